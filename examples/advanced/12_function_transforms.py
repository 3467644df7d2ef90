"""
vmap, per-sample gradients, Hessian
===================================

Which training images make a model read a digit wrongly?

You could leave out one image after the other, and train again each time. The
gradients of the single images predict much of it from one training, but
``backward()`` gives only their mean. ``torch.func`` takes the loss of one image
and turns it into other functions, which return its gradient, the gradients of
all images, or the Hessian.

After this lesson you can

- write a function for one example, and let ``vmap`` apply it to all of them
- get the largest learning rate of plain gradient descent from the Hessian
- say which training examples are behind a wrong answer, and check it
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn.functional import cross_entropy

from handbook import datasets

torch.manual_seed(0)

# %%
# From one example to all
# -----------------------
# Three numbers, 1, 2 and 6, and a guess ``w`` for all three. We write the loss
# of one number:

numbers = torch.tensor([1.0, 2.0, 6.0])
w = torch.tensor(3.0)


def squared(w, number):
    return (w - number) ** 2


# %%
# :func:`torch.func.grad` turns this function into another one, which returns
# the slope for the *first* argument. We call it for each number:

slope = grad(squared)
for number in numbers:
    print(slope(w, number))

# %%
# On average the slope is 0, so 3, the mean of the numbers, is the best guess.
#
# :func:`torch.func.vmap` does the work of the loop. It turns a function of one
# example into a function of many. ``in_dims`` has an entry for each argument:
# ``None`` for ``w``, which is the same for all, and 0 for the numbers, which
# are taken one by one along axis 0.

slopes = vmap(grad(squared), in_dims=(None, 0))
print(slopes(w, numbers))

# %%
# These are :term:`per-sample gradients <per-sample gradient>`. Each result is a
# function again, so we can go on. ``jacrev`` of ``grad`` gives the second
# derivatives, the :term:`Hessian` (:doc:`/lessons/autograd/06_jacobian`). Here
# it is a single number, the curvature:

print(jacrev(grad(squared))(w, numbers[0]))

# %%
# Slopes and curvature together tell what happens without the number 1. The
# other two slopes, 2 and −6, have the mean −2. With the curvature 2, the slope
# is 0 again when ``w`` has grown by 1. So the prediction is 4, and the mean of
# 2 and 6 is indeed 4.

# %%
# .. check::

assert [slope(w, number).item() for number in numbers] == [4, 2, -6], "the loop"
assert slopes(w, numbers).tolist() == [4, 2, -6], "vmap gives the same"
assert slopes(w, numbers).mean() == 0, "on average 0"
assert jacrev(grad(squared))(w, numbers[0]) == 2, "the curvature"
assert slopes(w, numbers[1:]).mean() == -2, "without the 1"
assert numbers[1:].mean() == 4, "the mean of the other two"

# %%
# On real data
# ------------
# The model is a softmax regression on digits of 7 × 7 pixels, so that we can
# train it many times. Each pixel is the mean of 4 × 4 pixels, minus the mean
# over the training images.

train, test = datasets.mnist()
pixels = train.x.reshape(-1, 7, 4, 7, 4).mean(dim=(2, 4)).flatten(1)
test_pixels = test.x.reshape(-1, 7, 4, 7, 4).mean(dim=(2, 4)).flatten(1)
test_pixels = test_pixels - pixels.mean(dim=0)
pixels = pixels - pixels.mean(dim=0)
print(tuple(pixels.shape), tuple(test_pixels.shape))

# %%
# ``grad`` needs a function of the weights, but a module keeps its weights
# inside. :func:`functional_call(model, weights, inputs)
# <torch.func.functional_call>` calls it with other weights, which you pass by
# name. The last term is weight decay. It gives the loss a single minimum, and
# it is part of every loss that we print.

model = nn.Linear(49, 10, bias=False)


def loss_of(weight, x, y):
    scores = functional_call(model, {"weight": weight}, (x,))
    return cross_entropy(scores, y) + 0.0005 * (weight**2).sum()


# %%
# ``x`` may be one image or a batch, whose mean ``cross_entropy`` takes. Plain
# gradient descent finds the minimum. (Is a learning rate of 60 not too large?
# The next section answers this.)


def fit(x, y):
    weight = torch.zeros(10, 49)
    for _ in range(200):
        weight = weight - 60 * grad(loss_of)(weight, x, y)
    return weight


# %%
# We train on 500 images, and take the first test image that is read wrongly:

chosen = torch.randperm(len(pixels))[:500]
x = pixels[chosen]
y = train.y[chosen]
weight = fit(x, y)
answers = (test_pixels @ weight.T).argmax(dim=1)
wrong = torch.arange(len(test.y))[answers != test.y]
first = wrong[0]
print("a", test.y[first].item(), "is read as a", answers[first].item())

# %%
# Now the gradients of all 500 images, by a loop and by ``vmap``:

one_by_one = []
for i in range(500):
    one_by_one.append(grad(loss_of)(weight, x[i], y[i]))

per_sample = vmap(grad(loss_of), in_dims=(None, 0, 0))
gradients = per_sample(weight, x, y)
print(tuple(gradients.shape))
print("equal:", torch.allclose(gradients, torch.stack(one_by_one), atol=1e-6))
print(f"longest:            {gradients.flatten(1).norm(dim=1).max():.1f}")
print(f"length of the mean: {gradients.mean(dim=0).norm():.4f}")

# %%
# As with the three numbers, only the mean is nearly 0.

# %%
# .. check::

assert test.y[first] == 6, "a 6"
assert answers[first] == 2, "is read as a 2"
assert torch.allclose(gradients, torch.stack(one_by_one), atol=1e-6), (
    "vmap and the loop agree"
)
assert gradients.mean(dim=0).norm() < 4e-5, "the mean is nearly 0"
assert gradients.flatten(1).norm(dim=1).max() > 1, "a single one is not"

# %%
# The largest learning rate
# -------------------------
# The Hessian of the mean loss has a row and a column for each of the 490
# weights. The largest curvature of all directions, λ, is its largest
# :term:`eigenvalue`, the last one that :func:`torch.linalg.eigvalsh` returns.
# For a parabola, the learning rate had to stay below 2 divided by the curvature
# (:doc:`/lessons/learning/03_gradient_descent`). With many weights, the
# steepest direction decides, so near the minimum the limit is 2/λ.

hessian = jacrev(grad(loss_of))(weight, x, y).reshape(490, 490)
largest = torch.linalg.eigvalsh(hessian)[-1].item()
print(f"largest curvature {largest:.3f}, limit {2 / largest:.0f}")

curves = {}
for factor in [1.9, 2.1]:
    place = torch.zeros(10, 49)
    curves[factor] = []
    for _ in range(100):
        curves[factor].append(loss_of(place, x, y).item())
        place = place - factor / largest * grad(loss_of)(place, x, y)
    print(f"{factor} / largest: loss {curves[factor][-1]:.2f}")
minimum = loss_of(weight, x, y).item()
print(f"minimum:       loss {minimum:.2f}")

# %%
# .. alt:: The loss above its minimum against the step, on a logarithmic axis.
#    With 1.9 divided by the largest curvature it falls to a millionth, where
#    the axis ends. With 2.1 it falls at first, then stays near 0.01.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 2.6), layout="constrained")
for factor, style in [(1.9, "-"), (2.1, "--")]:
    above = (torch.tensor(curves[factor]) - minimum).clamp(min=1e-6)
    axis.semilogy(above.numpy(), style, label=f"{factor} / largest")
axis.set(xlabel="step", ylabel="loss above minimum")
axis.legend(title="learning rate")

# %%
# With 1.9/λ, gradient descent arrives. With 2.1/λ the loss does not blow up. It
# falls, and then stays slightly too high. On an ordinary loss curve, you would
# think that the training is finished.

# %%
# .. check::

assert abs(curves[1.9][-1] - minimum) < 2e-6, "1.9 arrives"
assert 0.005 < curves[2.1][-1] - minimum < 0.02, "2.1 stays slightly above"
assert 1.9 / largest > 60, "60 is small enough"

# %%
# Which images are behind the mistake?
# ------------------------------------
# The simplest prediction multiplies the gradient of each training image with
# that of the 6. Where the product is negative, a small step that makes the loss
# of the image smaller makes the loss of the 6 larger.

digit = test_pixels[first]
label = test.y[first]
products = (gradients * grad(loss_of)(weight, digit, label)).sum(dim=(1, 2))
print("most negative:", products.argsort()[:3].tolist())

# %%
# The Hessian tells how far the weights would move. Without an image, the mean
# gradient of the other 499 is that of the image, with a minus sign and divided
# by 499. With the three numbers, we divided by the curvature; with a matrix,
# ``solve`` does this (:doc:`/lessons/tensors/10_matrix_products`). So
# ``others`` holds the predicted weights of 500 models, each without one of the
# images. (This is called an *influence function*.) Here ``vmap`` runs over the
# *weights*, and all models read the same digit.

moves = torch.linalg.solve(hessian, gradients.flatten(1).T).T / 499
others = weight + moves.reshape(500, 10, 49)
losses = vmap(loss_of, in_dims=(0, None, None))(others, digit, label)
before = loss_of(weight, digit, label).item()
predicted = losses - before
order = predicted.argsort()
print("falls most without:", order[:3].tolist())

# %%
# Is this what happens? For the first ten images of this order and the last ten,
# without which the loss should rise most, we train again without the image.


def loss_without(left_out, digit, label):
    keep = torch.ones(500, dtype=torch.bool)
    keep[left_out] = False
    return loss_of(fit(x[keep], y[keep]), digit, label).item()


tried = torch.cat([order[:10], order[-10:]])
measured = []
for i in tried:
    measured.append(loss_without(i, digit, label) - before)

# %%
# .. alt:: Left, twenty points near the diagonal, the measured change of the
#    loss against the predicted one. Most measured changes are a little larger.
#    Right, the 6 that is read as a 2, and the three training images without
#    which its loss should fall most: two flat 2s and a round 6.

# %%
# .. drawing::

figure = plt.figure(figsize=(6.8, 2.9), layout="constrained")
grid = figure.add_gridspec(2, 5)
axis = figure.add_subplot(grid[:, :3])
axis.plot(predicted[tried].numpy(), measured, "o", markersize=4)
axis.axline((0, 0), slope=1, color="gray", lw=1)
axis.set(xlabel="predicted change of the loss", ylabel="measured change")
pictures = [test.x[first, 0]]
titles = ["read as 2"]
for i in order[:3]:
    pictures.append(train.x[chosen[i], 0])
    titles.append(f"label {y[i].item()}")
for panel in range(4):
    axis = figure.add_subplot(grid[panel // 2, 3 + panel % 2])
    axis.imshow(pictures[panel].numpy(), cmap="gray_r")
    axis.set(title=titles[panel], xticks=[], yticks=[])

# %%
# All twenty changes have the predicted sign, and most are somewhat larger than
# predicted. Two of the three images are 2s. The third one is itself a 6, but
# written in another way.

# %%
# .. check::

assert (torch.tensor(measured) * predicted[tried] > 0).all(), "the same sign"
assert (
    1.02 < (torch.tensor(measured) / predicted[tried]).quantile(0.25) < 1.4
), "most are larger than predicted"
assert y[order[:3]].tolist() == [2, 2, 6], "two 2s and a 6"

# %%
# Ten digits
# ----------
# For each of the first ten misread digits, we leave out ten training images
# together. Four rules choose them: both predictions, the images nearest to the
# digit in the class that it is mistaken for, and the images with the highest
# loss.

names = ["gradients and Hessian", "gradients only", "look-alikes", "high loss"]
changes = {name: [] for name in names}
own_loss = vmap(loss_of, in_dims=(None, 0, 0))(weight, x, y)
digit_loss = vmap(loss_of, in_dims=(0, None, None))

# %%

for i in wrong[:10]:
    digit = test_pixels[i]
    label = test.y[i]
    with_hessian = digit_loss(others, digit, label)
    digit_gradient = grad(loss_of)(weight, digit, label)
    products = (gradients * digit_gradient).sum(dim=(1, 2))
    distances = (x - digit).norm(dim=1)
    distances[y != answers[i]] = torch.inf
    before = loss_of(weight, digit, label).item()
    scores = [with_hessian, products, distances, -own_loss]
    for name, score in zip(names, scores, strict=True):
        ten = score.argsort()[:10]
        changes[name].append(loss_without(ten, digit, label) - before)

# %%
# The change of the digit's loss, mean ± standard deviation:

table = torch.tensor([changes[name] for name in names])  # (4, 10)
for name, row in zip(names, table, strict=True):
    print(f"{name:21} {row.mean():5.2f} ± {row.std():.2f}")
lead = table[1] - table[0]
print(f"the Hessian adds {lead.mean():.2f} ± {lead.std() / 10**0.5:.2f}")

# %%
# The per-sample gradients do most of the work. Leaving out look-alikes helps
# less than half as much, and leaving out the images with the highest loss
# hardly helps. The Hessian adds a little (0.08, with a standard error of 0.02).
# All this is for one draw of training images; the second exercise takes four
# others. For a network with 60,000 weights, the Hessian would take 14 GB, so
# there you use the gradients alone, or approximate the Hessian.

# %%
# .. check::

assert lead.mean() > 2 * lead.std() / 10**0.5, "more than two standard errors"
assert abs(lead.mean() - 0.08) < 0.02, "0.08"
assert table[1].mean() < 0.8 * table[0].mean(), "gradients: most of the work"
assert table[2].mean() > table[1].mean() / 2, "look-alikes: less than half"
assert table[3].mean() > 0.1 * table[1].mean(), "high loss: hardly"
assert 14 < 60_000**2 * 4 / 1e9 < 15, "14 GB in float32"

# %%
# What goes wrong
# ---------------
# What if the name of a weight is wrong? We pass zeros, so all scores must be 0.

zeros = torch.zeros(10, 49)
for name in ["weight", "weights"]:
    scores = functional_call(model, {name: zeros}, (x[0],))
    print(f"{name:7} largest score {scores.abs().max():.2f}")

# %%
# With one letter too many, there is no error. The zeros are ignored, and the
# module computes with its own random weights. So the result does not depend on
# what we pass, and all gradients are 0:


def misnamed(weight, x, y):
    scores = functional_call(model, {"weights": weight}, (x,))
    return cross_entropy(scores, y)


ignored = vmap(grad(misnamed), in_dims=(None, 0, 0))(weight, x, y)
print("largest entry of 500 gradients:", ignored.abs().max().item())

# %%
# With ``strict=True``, this raises an error:

message = ""
try:
    functional_call(model, {"weights": zeros}, (x[0],), strict=True)
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# So **write** ``strict=True``. (Dropout in training mode is an error that
# ``vmap`` does report; see the third exercise.)

# %%
# .. check::

assert torch.equal(scores, model(x[0])), "computed with its own weights"
assert scores.abs().max() > 0.05, "not 0"
assert ignored.abs().max() == 0, "all gradients are 0"
assert "Unexpected key" in message, "the wrong name"
assert "Missing key" in message, "the missing name"

# %%
# Recipe
# ------
# 5 of 200 training labels are wrong, all of them close to the new example.

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
points = torch.randn(300, 2)
classes = (points[:, 0] > 0).to(torch.int64)
new_point = torch.tensor([1.0, 1.0])
noisy = classes[:200].clone()
near = (points[:200] - new_point).norm(dim=1).argsort()[:5]
noisy[near] = 0  # wrong

# %%
# Train, and judge on the other 100 points:

net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
for _ in range(300):
    optimizer.zero_grad()
    cross_entropy(net(points[:200]), noisy).backward()
    optimizer.step()
net.eval()
correct = net(points[200:]).argmax(dim=1) == classes[200:]
print(f"held out: {correct.float().mean():.2f}")
guess = net(new_point).argmax()
print("new example:", guess.item())

# %%
# Which training examples speak most against class 1 here? (The gradients come
# as a dictionary, like the weights.)

params = dict(net.named_parameters())


def example_loss(params, x, y):
    scores = functional_call(net, params, (x,), strict=True)
    return cross_entropy(scores, y)


all_gradients = vmap(grad(example_loss), in_dims=(None, 0, 0))(
    params, points[:200], noisy
)
new_gradient = grad(example_loss)(params, new_point, torch.tensor(1))
product = 0
for name in params:
    product += (all_gradients[name] * new_gradient[name]).flatten(1).sum(dim=1)
against = product.argsort()[:5]
print("against class 1:", sorted(against.tolist()))
print("wrong labels:   ", sorted(near.tolist()))

# %%
# .. check::

assert correct.float().mean() > 0.9, "it learned, in spite of the wrong labels"
assert guess == 1, "the new example is in class 1"
assert set(against.tolist()) == set(near.tolist()), "the five wrong labels"

# %%
# What you learned
# ----------------
# - For the loss of one example, ``grad`` gives the gradient, ``vmap`` of
#   ``grad`` that of each example, and ``jacrev`` of ``grad`` the Hessian.
# - Near the minimum, plain gradient descent needs a learning rate below 2/λ.
#   Slightly above, our loss stood still, but too high.
# - The product of two gradients predicts which training examples speak against
#   an answer. Check it by training without them.
# - ``functional_call`` ignores a misspelled weight. Write ``strict=True``.
#
# Exercises
# ---------
# 1. **Predict.** In the first section, take the guess ``w`` = 2. What are the
#    three slopes? Where does one step with the learning rate 1/2 lead?
# 2. **Change.** Draw other training images, with the seeds 1 to 4, and take the
#    first three misread digits of each. Is the order of the first three rules
#    the same in each draw?
# 3. **Extend.** Compute per-sample gradients of a network with dropout. What
#    does ``vmap`` say? Fix it, and compare one image with ``backward()``.

# %%
# .. answer:: 1
#
#    2, 0 and −8, with the mean −2. The step is 1/2 · 2 = 1, so it leads to 3,
#    the minimum. (1/2 is 1 divided by the curvature, so one step is enough.)

start = torch.tensor(2.0)
at_two = slopes(start, numbers)
print(at_two, start - 0.5 * at_two.mean())

# %%
# .. check::

assert at_two.tolist() == [2, 0, -8], "the three slopes"
assert start - 0.5 * at_two.mean() == 3, "the minimum"

# %%
# .. answer:: 2
#
#    Yes, on average over the three digits. The gradients with the Hessian are
#    ahead of the gradients alone, and the look-alikes are far behind.

rows = []
for seed in range(1, 5):
    torch.manual_seed(seed)
    chosen = torch.randperm(len(pixels))[:500]
    x = pixels[chosen]
    y = train.y[chosen]
    weight = fit(x, y)
    answers = (test_pixels @ weight.T).argmax(dim=1)
    wrong = torch.arange(len(test.y))[answers != test.y]
    gradients = per_sample(weight, x, y)
    hessian = jacrev(grad(loss_of))(weight, x, y).reshape(490, 490)
    moves = torch.linalg.solve(hessian, gradients.flatten(1).T).T / 499
    others = weight + moves.reshape(500, 10, 49)
    for i in wrong[:3]:
        digit = test_pixels[i]
        label = test.y[i]
        digit_gradient = grad(loss_of)(weight, digit, label)
        distances = (x - digit).norm(dim=1)
        distances[y != answers[i]] = torch.inf
        rules = [
            digit_loss(others, digit, label),
            (gradients * digit_gradient).sum(dim=(1, 2)),
            distances,
        ]
        before = loss_of(weight, digit, label).item()
        for score in rules:
            ten = score.argsort()[:10]
            rows.append(loss_without(ten, digit, label) - before)
draws = torch.tensor(rows).reshape(4, 3, 3).mean(dim=1)  # mean over digits
for row in draws:
    print([f"{change:.2f}" for change in row.tolist()])

# %%
# .. check::

assert (draws[:, 0] < draws[:, 1]).all(), "the Hessian is ahead"
assert (draws[:, 1] < 0.7 * draws[:, 2]).all(), "look-alikes are far behind"

# %%
# .. answer:: 3
#
#    Dropout draws random numbers, and ``vmap`` does not know whether each
#    example should have its own. ``randomness="different"`` would say so. To
#    ask about a trained network, switch dropout off with ``eval()``.

dropout_net = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10)
)
dropout_params = dict(dropout_net.named_parameters())


def dropout_loss(params, image, label):
    batch = image.unsqueeze(0)  # a batch of one
    scores = functional_call(dropout_net, params, (batch,), strict=True)
    return cross_entropy(scores, label.unsqueeze(0))


dropout_gradients = vmap(grad(dropout_loss), in_dims=(None, 0, 0))
complaint = ""
try:
    dropout_gradients(dropout_params, train.x[:8], train.y[:8])
except RuntimeError as error:
    complaint = str(error)
print(complaint)

dropout_net.eval()
eight = dropout_gradients(dropout_params, train.x[:8], train.y[:8])
cross_entropy(dropout_net(train.x[5:6]), train.y[5:6]).backward()
last_layer = dropout_net[4].weight.grad
print("equal:", torch.allclose(eight["4.weight"][5], last_layer, atol=1e-6))

# %%
# .. check::

assert "randomness" in complaint, "vmap asks"
assert torch.allclose(eight["4.weight"][5], last_layer, atol=1e-6), (
    "backward() gives the same"
)
