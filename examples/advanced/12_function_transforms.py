"""
vmap, per-sample gradients, Hessian
===================================

Which training images make a model read a digit wrongly?

You could leave out each image in turn, and train again. After a single training
run, the gradients of the images predict much of the result, but ``backward()``
gives only their mean. ``torch.func`` turns the loss of one image into other
functions, which return its gradient, the gradients of all images, or the
Hessian.

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
# :func:`torch.func.vmap` replaces the loop. It turns a function of one example
# into a function of many. ``in_dims`` has an entry for each argument: ``None``
# for ``w``, which is the same for all, and 0 for the numbers, which are taken
# one by one along axis 0.

slopes = vmap(grad(squared), in_dims=(None, 0))
print(slopes(w, numbers))

# %%
# These are :term:`per-sample gradients <per-sample gradient>`. ``grad`` returns
# a function again, and ``jacrev`` of this gives the second derivatives, the
# :term:`Hessian` (:doc:`/lessons/autograd/06_jacobian`; in one call,
# :func:`torch.func.hessian`). Here it is a single number, the curvature:

print(jacrev(grad(squared))(w, numbers[0]))

# %%
# What happens without the number 1? The other two slopes, 2 and −6, have the
# mean −2. With the curvature 2, it is 0 again when ``w`` has grown by 1, to 4.
# This is indeed the mean of 2 and 6.

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
# train it many times. Each pixel is the mean of 4 × 4 pixels, minus its own
# mean over all 10,000 training images.

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
# name; ``strict=True`` checks the names. The last term is weight decay. It
# gives the loss a single minimum, and a Hessian that we can invert.

model = nn.Linear(49, 10, bias=False)


def loss_of(weight, x, y):
    scores = functional_call(model, {"weight": weight}, (x,), strict=True)
    return cross_entropy(scores, y) + 0.0005 * (weight**2).sum()


# %%
# ``x`` may be one image or a batch, whose mean ``cross_entropy`` takes. Plain
# gradient descent finds the minimum. (60 is not too large, since the limit is
# 86, as the next section shows.)


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
print(f"length of the mean: {gradients.mean(dim=0).norm():.3f}")

# %%
# As with the three numbers, only the mean is nearly 0. ``vmap`` does in one
# batched operation what the loop does in 500 small ones. (``chunk_size=``
# limits its memory.)

# %%
# .. check::

assert torch.allclose(
    vmap(grad(loss_of), in_dims=(None, 0, 0), chunk_size=64)(weight, x, y),
    gradients,
    atol=1e-6,
), "chunks give the same"
assert test.y[first] == 6, "a 6"
assert answers[first] == 2, "is read as a 2"
assert torch.allclose(gradients, torch.stack(one_by_one), atol=1e-6), (
    "vmap and the loop agree"
)
assert gradients.mean(dim=0).norm() < 4e-5, "the mean is nearly 0"
assert gradients.flatten(1).norm(dim=1).max() > 1.5, "a single one is not"

# %%
# The largest learning rate
# -------------------------
# The Hessian of the mean loss has a row and a column for each of the 490
# weights; ``jacrev`` returns it in the shape (10, 49, 10, 49). The largest
# curvature of all directions, λ, is its largest
# :term:`eigenvalue`, the last one that :func:`torch.linalg.eigvalsh` returns.
# For a parabola, the learning rate had to stay below 2 divided by the curvature
# (:doc:`/lessons/learning/03_gradient_descent`). With many weights, the
# direction with the largest curvature decides, so near the minimum the limit is
# 2/λ.

hessian = jacrev(grad(loss_of))(weight, x, y).reshape(490, 490)
largest = torch.linalg.eigvalsh(hessian)[-1].item()
print(f"largest curvature {largest:.3f}, limit {2 / largest:.0f}")

# %%

curves = {}
paths = {}
for factor in [1.9, 2.1]:
    place = torch.zeros(10, 49)
    curves[factor] = []
    paths[factor] = []
    for _ in range(100):
        curves[factor].append(loss_of(place, x, y).item())
        paths[factor].append(place)
        place = place - factor / largest * grad(loss_of)(place, x, y)
    print(f"{factor} / largest: loss {curves[factor][-1]:.2f}")
minimum = loss_of(weight, x, y).item()
print(f"minimum:       loss {minimum:.2f}")

# %%

path = paths[2.1]
print("2.1 / largest, how far the weights move:")
print(f"in the last step      {(path[-1] - path[-2]).norm():.1f}")
print(f"in the last two steps {(path[-1] - path[-3]).norm():.1f}")

# %%
# .. alt:: The loss above its minimum against the step, on a logarithmic axis.
#    With 1.9 divided by the largest curvature it falls to a millionth, and is
#    flat from there on. With 2.1 it falls at first, then stays near 0.01.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 2.6), layout="constrained")
for factor, style in [(1.9, "-"), (2.1, "--")]:
    above = (torch.tensor(curves[factor]) - minimum).clamp(min=1e-6)
    axis.semilogy(above.numpy(), style, label=f"{factor} / largest")
axis.set(xlabel="step", ylabel="loss above minimum")
axis.legend(title="learning rate")

# %%
# With 1.9/λ, gradient descent arrives. (Smaller values are drawn at a
# millionth.) With 2.1/λ the loss falls, too, and then stays slightly too high,
# as if the training were finished. But the weights jump between two places on
# both sides of the minimum. (Far out, the cross-entropy grows only linearly, so
# the jumps stay bounded.)

# %%
# .. check::

assert abs(curves[1.9][-1] - minimum) < 2e-6, "1.9 arrives"
assert min(curves[2.1][50:]) - minimum > 0.005, "2.1 stays above"
assert max(curves[2.1][50:]) - minimum < 0.02, "slightly"
assert (path[-1] - path[-2]).norm() > 1, "the weights jump"
assert (path[-1] - path[-3]).norm() < 0.01, "and come back"
assert ((path[-1] + path[-2]) / 2 - weight).norm() < 0.5, "both sides"
assert 1.9 / largest > 60, "60 is small enough"
assert round(2 / largest) == 86, "the limit"

# %%
# Which images are behind the mistake?
# ------------------------------------
# The simplest prediction is the inner product of the gradient of each training
# image and that of the 6. Where it is negative, a small step that lowers the
# loss of the image raises that of the 6. (This is *TracIn*, for the final
# weights only.)

digit = test_pixels[first]
label = test.y[first]
products = (gradients * grad(loss_of)(weight, digit, label)).sum(dim=(1, 2))
print("most negative:", products.argsort()[:3].tolist())

# %%
# The Hessian tells how far the weights would move. The 500 gradients sum to
# nearly 0, so without an image, the mean of the others is minus its gradient,
# divided by 499. Descent goes against it, so the weights move by plus the
# gradient, divided by 499 and by the curvature. With a matrix, ``solve``
# divides (:doc:`/lessons/tensors/10_matrix_products`); it takes the images as
# columns, hence ``.T``. So ``others`` holds the predicted weights of 500
# models, each without one image. (This is an *influence function*.) Here
# ``vmap`` runs over the *weights*, for the same digit.

moves = torch.linalg.solve(hessian, gradients.flatten(1).T).T / 499
others = weight + moves.reshape(500, 10, 49)
losses = vmap(loss_of, in_dims=(0, None, None))(others, digit, label)
before = loss_of(weight, digit, label).item()
predicted = losses - before
order = predicted.argsort()
print("falls most without:", order[:3].tolist())

# %%
# Is this true? We train again without each of the first five images of this
# order, and each of the last five, where the loss should rise most.


def fit_without(left_out, x, y):
    keep = torch.ones(500, dtype=torch.bool)
    keep[left_out] = False
    return fit(x[keep], y[keep])


tried = torch.cat([order[:5], order[-5:]])
measured = []
for i in tried:
    refitted = fit_without(i, x, y)
    measured.append(loss_of(refitted, digit, label).item() - before)

# %%
# .. alt:: Left, ten points near the diagonal, the measured change of the
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
# All ten changes have the predicted sign. Most are larger than predicted, one
# nearly twice, because our Hessian still contains the image that is left out.
# Two of the three images are 2s. The third is a 6, written in another way.

# %%
# .. check::

assert (torch.tensor(measured) * predicted[tried] > 0).all(), "the same sign"
assert (torch.tensor(measured) / predicted[tried]).quantile(0.25) > 1.05, (
    "most are larger than predicted"
)
assert 1.8 < (torch.tensor(measured) / predicted[tried]).max() < 2, (
    "one nearly twice"
)
assert y[order[:3]].tolist() == [2, 2, 6], "two 2s and a 6"

# %%
# Ten misread digits
# ------------------
# For each of the first ten misread digits, we leave out ten training images
# together. Five rules choose them: both predictions, the images nearest to the
# digit in the class that it is mistaken for, those with the highest loss, and
# chance.

names = ["gradients and Hessian", "gradients only", "look-alikes"]
names += ["high loss", "random"]
changes = {name: [] for name in names}
right = dict.fromkeys(names, 0)
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
    scores = [with_hessian, products, distances, -own_loss, torch.rand(500)]
    for name, score in zip(names, scores, strict=True):
        refitted = fit_without(score.argsort()[:10], x, y)
        changes[name].append(loss_of(refitted, digit, label).item() - before)
        right[name] += int((refitted @ digit).argmax() == label)

# %%
# The change of the loss (mean ± standard deviation), and how many of the ten
# digits are now read correctly:

table = torch.tensor([changes[name] for name in names])  # (5, 10)
for name, row in zip(names, table, strict=True):
    result = f"{row.mean():5.2f} ± {row.std():.2f}"
    print(f"{name:21} {result}, {right[name]} right")
lead = table[1] - table[0]
spread = lead.std() / 10**0.5
print(f"the Hessian adds {lead.mean():.2f} (standard error {spread:.2f})")

# %%
# The loss falls most when gradients choose the images, and the Hessian adds a
# little. Leaving out look-alikes helps less than half as much, high losses
# hardly. But at least half of the answers stay wrong, and counted this way,
# look-alikes are nearly as good. With 60,000 weights, the Hessian would take 14
# GB, so there you use the gradients alone, or approximate it.

# %%
# .. check::

assert lead.mean() > 2 * spread, "more than two standard errors"
assert lead.mean() < 0.2 * table[0].mean().abs(), "a little"
assert table[1].mean() < 0.8 * table[0].mean(), "gradients: most of the work"
assert table[2].mean() > table[1].mean() / 2, "look-alikes: less than half"
assert table[3].mean() > 0.1 * table[1].mean(), "high loss: hardly"
assert table[4].mean() > 0.1 * table[1].mean(), "neither does chance"
assert max(right.values()) <= 5, "half of the answers stay wrong"
assert right["look-alikes"] >= right[names[0]] - 1, "nearly as good"
assert right["look-alikes"] > right["random"] + 2, "better than chance"
assert 14 < 60_000**2 * 4 / 1e9 < 15, "14 GB in float32"

# %%
# What goes wrong
# ---------------
# What if the name of a weight is wrong, without ``strict=True``? We pass zeros,
# so all scores must be 0.

zeros = torch.zeros(10, 49)
for name in ["weight", "weights"]:
    scores = functional_call(model, {name: zeros}, (x[0],))
    print(f"{name:7} largest score {scores.abs().max():.2f}")

# %%
# There is no error. The module ignores the zeros, and computes with its own
# random weights. So all gradients are 0:


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
# So **write** ``strict=True``. With batch norm, call ``net.eval()`` first, and
# pass the buffers, too, as ``{**params, **dict(net.named_buffers())}``.

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
# 10 of 200 training labels are wrong, 5 of them close to the new example.

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
points = torch.randn(300, 2)
classes = (points[:, 0] > 0).to(torch.int64)
new_point = torch.tensor([1.0, 1.0])
noisy = classes[:200].clone()
# every second of the ten nearest points
near = (points[:200] - new_point).norm(dim=1).argsort()[:10:2]
far = (points[:200] + new_point).norm(dim=1).argsort()[:10:2]
noisy[near] = 0  # wrong
noisy[far] = 1  # wrong, but far away

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
# Which training examples speak most against this answer? (The gradients are a
# dictionary, like the weights. ``detach`` cuts off the module's graph.)

params = {name: value.detach() for name, value in net.named_parameters()}


def example_loss(params, x, y):
    scores = functional_call(net, params, (x,), strict=True)
    return cross_entropy(scores, y)


all_gradients = vmap(grad(example_loss), in_dims=(None, 0, 0))(
    params, points[:200], noisy
)
new_gradient = grad(example_loss)(params, new_point, guess)
product = 0
for name in params:
    product += (all_gradients[name] * new_gradient[name]).flatten(1).sum(dim=1)
against = product.argsort()[:5]

# %%
# For comparison, the examples with the highest loss:

losses = vmap(example_loss, in_dims=(None, 0, 0))(params, points[:200], noisy)
highest = losses.argsort(descending=True)[:5]
print("against:       ", sorted(against.tolist()))
print("highest loss:  ", sorted(highest.tolist()))
print("wrong and near:", sorted(near.tolist()))

# %%
# .. check::

assert (noisy != classes[:200]).sum() == 10, "10 wrong labels"
assert correct.float().mean() > 0.9, "it learned, in spite of the wrong labels"
assert guess == 1, "the new example is in class 1"
assert set(against.tolist()) == set(near.tolist()), "the five near ones"
assert set(highest.tolist()) != set(near.tolist()), "not the highest losses"
assert not all_gradients["0.weight"].requires_grad, "no graph is kept"

# %%
# What you learned
# ----------------
# - For the loss of one example, ``grad`` gives the gradient, ``vmap`` of
#   ``grad`` that of each example, and ``jacrev`` of ``grad`` the Hessian.
# - Near the minimum, plain gradient descent needs a learning rate below 2/λ.
#   Slightly above, our loss stopped too high.
# - The inner product of two gradients predicts which training examples speak
#   against an answer. Check it by training without them.
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
            refitted = fit_without(score.argsort()[:10], x, y)
            rows.append(loss_of(refitted, digit, label).item() - before)
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
dropout_params = {}
for name, value in dropout_net.named_parameters():
    dropout_params[name] = value.detach()


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
