"""
What backward(v) computes
=========================

A loss is one number, and ``backward()`` needs no argument; where there are many outputs it wants
a vector, so what is ``backward(v)``?

Older notes name the wrong product. Two rows of numbers settle it, and the right answer is a tool:
it shows which pixels a reader of digits looks at, how far a step may go, and which images pull
hardest at the weights. The page before is :doc:`/lessons/autograd/04_graph`.
"""

# %%
# Setup
# -----

import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.utils.flop_counter import FlopCounterMode

from handbook import Batches, classification_step, datasets, fit, models, plots

torch.manual_seed(0)
train, test = datasets.mnist()

# %%
# One number, or many
# -------------------
# From two outputs at once autograd refuses to go back:

A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
x = torch.zeros(2, requires_grad=True)
y = A @ x
try:
    y.backward()
except RuntimeError as error:
    print(error)

# %%
# There are four derivatives, one for each pair of output and input. Their matrix is the
# :term:`Jacobian` :math:`J`, a row for each output, a column for each input; here it is ``A``. But
# ``x.grad`` has room for two numbers. A single output, a :term:`scalar`, has a single row: nothing
# is left to choose, and ``backward()`` means ``backward(torch.tensor(1.0))``; either will do.

(A @ x).sum().backward(torch.tensor(1.0))
assert (
    x.grad.tolist()
    == torch.autograd.grad((A @ x).sum(), x)[0].tolist()
    == [4, 6]
)

# %%
# .. _backward-not-jvp:
#
# Rows, not columns
# -----------------
# For more outputs you hand in a :term:`vector` :math:`v`. Older notes call ``backward(v)`` the
# :term:`Jacobian–vector product` :math:`Jv`. For :math:`v=(1,0)` it is the first *column*, (1, 3).

v = torch.tensor([1.0, 0.0])
x.grad = None
y.backward(v)
print("backward(v):", x.grad.tolist())
assert x.grad.tolist() == (v @ A).tolist() == [1, 2]

# %%
# It is the first *row*: :math:`v^TJ`, the :term:`vector–Jacobian product`. Here :math:`v` has an
# entry for each *output*, and says how much it counts: the gradient is that of ``(v * y).sum()``.
#
# The other product exists, too. In :func:`torch.func.jvp`, :math:`v` has an entry for each *input*:
# it is a direction, and the result says how all outputs move. The first call in a program makes
# torch 2.15 warn of a deprecated part of its own; the ``with`` line ignores this, and only here.

with warnings.catch_warnings(action="ignore", category=FutureWarning):
    _, moved = jvp(lambda x: A @ x, (torch.zeros(2),), (v,))
(weighted,) = torch.autograd.grad((v * (A @ x)).sum(), x)
print(
    "jvp:", moved.tolist(), " gradient of the weighted sum:", weighted.tolist()
)
assert moved.tolist() == (A @ v).tolist() == [1, 3] and weighted.tolist() == [
    1,
    2,
]

# %%
# Since ``A`` is square, one :math:`v` fits both, and the mistake goes unnoticed.
#
# Who sends v
# -----------
# We need more outputs and inputs. A small convolutional network reads digits: 784 pixels in, ten
# :term:`logits` out, one score for each digit.

model = models.LeNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
batches = Batches(*train, batch_size=100, shuffle=True)
fit(
    model,
    batches,
    classification_step,
    optimizer=optimizer,
    epochs=2,
    device="cpu",
)
model.eval().requires_grad_(False)  # from now on we only ask


def read(image):  # (1, 28, 28) -> (10,)
    return model(image[None])[0]


image, label = test.x[0], test.y[0]
logits = read(image)
print(f"a {label}, read as {logits.argmax()}")
assert logits.argmax() == label == 9

# %%
# Behind the logits stands the loss, :term:`cross-entropy`. Its gradient with respect to them is
# :math:`v=p-e`: the probabilities, minus 1 at the right class. Hand that to the logits yourself.
# (``torch.autograd.grad`` is a ``backward`` that returns what it finds.)

watched = image.clone().requires_grad_()
(whole,) = torch.autograd.grad(F.cross_entropy(read(watched), label), watched)
v = logits.softmax(0) - F.one_hot(label, 10)
(by_hand,) = torch.autograd.grad(read(watched), watched, v)
print(
    f"largest entry {whole.abs().max():.1e}, by hand {by_hand.abs().max():.1e}"
)
assert torch.allclose(whole, by_hand, atol=1e-3 * whole.abs().max().item())

# %%
# The same. So it goes on: in the :term:`backward pass` each operation gets its :math:`v` from the
# one after it, and passes on :math:`v^TJ`. The Jacobians themselves are not built.
#
# .. _whole-jacobian:
#
# The whole matrix
# ----------------
# "Autograd cannot compute a whole Jacobian", the same notes say. Ask ten times, each time with a
# single 1 in :math:`v`, and you have its ten rows. :func:`torch.func.jacrev` does so in one go: it
# makes, from a function, the function that returns the Jacobian.

logits = read(watched)
rows = [
    torch.autograd.grad(logits, watched, v, retain_graph=True)[0]
    for v in torch.eye(10)
]
jacobian = jacrev(read)(image)  # (10, 1, 28, 28): outputs first, then inputs
print(tuple(jacobian.shape))
assert torch.allclose(torch.stack(rows), jacobian, atol=1e-4)

# %%
# Each row is an image. Red: a little more ink on this pixel raises this score. Blue: it lowers it.
#
# .. alt:: The outline of a 9, ten times, on red and blue pixels, one for each logit. The colours
#    of the 4 are strongest: blue across the top of the loop, red along its left side.

limit = jacobian.abs().max().item()
figure, axes = plt.subplots(2, 5, figsize=(6.8, 3.1), layout="constrained")
for k, axis in enumerate(axes.flat):
    shown = axis.imshow(
        jacobian[k, 0].numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit
    )
    axis.contour(image[0].numpy(), levels=[0.5], colors="black", linewidths=0.6)
    axis.set(title=f"logit of {k}", xticks=[], yticks=[])
figure.colorbar(shown, ax=axes, label="derivative")

# %%
# Row 4 says that ink across the top speaks against a four: it would close the loop. True?
#
# A push on the pixels
# --------------------
# Let us erase the top. Now the change is in the *inputs*, and we ask for all outputs: that is
# :math:`Jv`. One ``jvp`` predicts what erasing will do, before anything is erased.
#
# .. alt:: The nine without its top, much like a four. Beside it a bar, predicted, and a dot,
#    measured, for each logit. Both are highest at 4; at 9 the dot lies far below the bar.

push = torch.zeros_like(image)
push[:, 5:11] = -image[:, 5:11]
_, predicted = jvp(read, (image,), (push,))
figure, (left, right) = plt.subplots(
    1, 2, figsize=(6.8, 3.2), layout="constrained"
)
left.imshow((image + push)[0].numpy(), cmap="gray_r")
left.set(title="top erased", xticks=[], yticks=[])
right.bar(range(10), predicted.numpy(), color="C0", label="predicted: Jv")
right.plot(
    (read(image + push) - read(image)).numpy(),
    "o",
    color="C1",
    label="measured",
)
right.set(xlabel="logit", ylabel="change", xticks=range(10))
figure.legend(loc="outside lower center", ncols=2)
print("now read as", read(image + push).argmax().item())
assert torch.allclose(
    predicted, jacobian.flatten(1) @ push.flatten(), atol=1e-3
)
assert predicted.argmax() == 4 == read(image + push).argmax()

# %%
# It reads a 4, as predicted. But :math:`Jv` follows the slope at the start, and erasing goes a
# long way: how far the score of the 9 falls, it misses.
#
# Which is cheaper
# ----------------
# :func:`torch.func.jacfwd` fills :math:`J` by columns. We count the work, in readings of one image.

work = []
for way in (read, jacrev(read), jacfwd(read)):
    with FlopCounterMode(display=False) as counter:
        result = way(image)
    work.append(counter.get_total_flops())
print("readings:", [round(count / work[0]) for count in work])
assert 10 < work[1] / work[0] < 12 and work[2] > 70 * work[1]
assert torch.allclose(result, jacobian, atol=1e-4)

# %%
# Ten rows cost ten more readings; 784 columns, over 70 times as much. So go backward where outputs
# are few, forward where inputs are. A loss is a single output: networks are trained backward.
#
# How far a step may go
# ---------------------
# The Jacobian of a gradient is the :term:`Hessian` :math:`H`: how each entry of the gradient
# changes with each :term:`weight`. Where weights are few, you can have all of it. Here a weighted
# sum of 16 grey squares and a constant is to tell whether a digit is a zero.

features = F.pad(
    F.avg_pool2d(train.x, 7).flatten(1), (0, 1), value=1.0
)  # (10000, 17)


def error_of(weights):
    return (features @ weights - (train.y == 0).float()).square().mean()


origin = torch.zeros(17)
curvature = hessian(error_of)(origin)  # (17, 17)
eigenvalues = torch.linalg.eigvalsh(curvature)
limit = 2 / eigenvalues[-1].item()
print(
    f"eigenvalues from {eigenvalues[0]:.5f} to {eigenvalues[-1]:.1f}, limit {limit:.2f}"
)
assert torch.allclose(curvature, 2 * features.T @ features / 10000, atol=1e-4)
assert 0 < eigenvalues[0] < 0.001 and 0.6 < limit < 0.65

# %%
# Each :term:`eigenvalue` :math:`\lambda` is the curvature along its own direction. As this loss is
# quadratic, a step of :term:`gradient descent` with :term:`learning rate` :math:`\eta` multiplies
# the distance from the minimum there by :math:`1-\eta\lambda`; beyond :math:`\eta=2/\lambda` that
# is less than −1. The largest sets the limit; the smallest, with a factor near 1, the waiting time.
#
# Newton need not wait: his step, :math:`-H^{-1}` times the gradient, has the right length in every
# direction at once; here one is enough. (:func:`torch.func.grad` makes the gradient of a function.)
#
# .. alt:: Squared error over 100 steps, logarithmic. At 0.98 of the limit it creeps down towards
#    the dashed line of Newton's one step; at 1.02 it hesitates, then climbs out of the picture.

best = error_of(
    origin - torch.linalg.solve(curvature, grad(error_of)(origin))
).item()
figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
curves = {}
for share, style in ((0.98, "-"), (1.02, "-.")):
    weights, curves[share] = origin, []
    for _ in range(101):
        curves[share].append(error_of(weights).item())
        weights = weights - share * limit * grad(error_of)(weights)
    axis.semilogy(curves[share], style, label=f"learning rate {share} × limit")
axis.axhline(best, color="gray", linestyle="--", label="Newton, one step")
axis.set(xlabel="step", ylabel="mean squared error", ylim=(0.04, 2))
axis.legend()
print(
    f"Newton {best:.3f}, below the limit {curves[0.98][-1]:.3f}, beyond {curves[1.02][-1]:.0f}"
)
assert best < curves[0.98][-1] < 1.3 * best and curves[1.02][-1] > 10

# %%
# Two per cent to either side decide between learning and blowing up. In a deep network the Hessian
# changes on the way, and the limit with it; the third exercise finds it for our reader.
#
# Who pulls hardest
# -----------------
# The gradient of a :term:`mini-batch` is the mean of the gradients of its images, and ``backward``
# leaves only the mean. :func:`torch.func.vmap` turns a function of one example into one of many;
# applied to ``grad``, it gives each example a gradient of its own.
# :func:`torch.func.functional_call` runs a model with the weights you hand in.

params = dict(model.named_parameters())


def loss_of_one(params, x, y):
    return F.cross_entropy(functional_call(model, params, (x[None],)), y[None])


x, y = train.x[:50], train.y[:50]
each = vmap(grad(loss_of_one), in_dims=(None, 0, 0))(
    params, x, y
)  # the same weights for all
loop = [grad(loss_of_one)(params, x[i], y[i]) for i in range(50)]
mean = grad(
    lambda params: F.cross_entropy(functional_call(model, params, (x,)), y)
)(params)
for name, many in each.items():
    assert torch.allclose(
        many, torch.stack([alone[name] for alone in loop]), atol=1e-3
    )
    assert torch.allclose(many.mean(0), mean[name], atol=1e-4)
print(
    f"{name}: weights {tuple(params[name].shape)}, gradients {tuple(many.shape)}"
)

# %%
# The same as from a loop, and their mean is the gradient of the batch. How long is each gradient?
# We ask 2,000 training images, 50 at a time, which saves memory.
#
# .. alt:: Twelve digits, hard to read; above each its label, and another digit, read instead.


def pull(params, x, y):
    gradient = grad(loss_of_one)(params, x, y)
    return torch.cat([part.flatten() for part in gradient.values()]).norm()


x, y = train.x[:2000], train.y[:2000]
lengths = vmap(pull, in_dims=(None, 0, 0), chunk_size=50)(
    params, x, y
)  # (2000,)
order = lengths.argsort(descending=True)
hardest, easier = order[:12], order[1000:]
guesses = model(x[hardest]).argmax(1)
titles = [
    f"{a}, read {b}"
    for a, b in zip(y[hardest].tolist(), guesses.tolist(), strict=True)
]
figure = plots.image_grid(x[hardest], titles, ncols=6)
shares = [
    (lengths[part].sum() / lengths.sum()).item()
    for part in (order[:20], easier)
]
print(
    f"of all pulling: hardest 20 images {shares[0]:.0%}, easier 1000 images {shares[1]:.0%}"
)
assert shares[0] > 0.1 > 5 * shares[1] and (guesses != y[hardest]).all()

# %%
# All twelve were misread. The hardest twenty pull more than five times as hard as the easier
# thousand together. Look through such a list before you trust your labels.
#
# What you learnt
# ---------------
# - Read ``backward(v)`` as :math:`v^TJ`: one number for each output in, one for each input out.
# - Ask ``jvp`` for :math:`Jv`: a direction in the inputs in, the change of each output out.
# - Build whole Jacobians with ``jacrev`` where outputs are fewer, with ``jacfwd`` where inputs are.
# - Descend with a learning rate below 2 divided by the largest eigenvalue of the Hessian.
# - Map ``grad`` with ``vmap`` to see what each example wants.
#
# Exercises
# ---------
# 1. **Predict.** A function takes shape (5,) to shape (2, 3). What shapes do its ``jacrev``
#    and its ``hessian`` have? And how many entries of ``jacrev(model)`` at two images must be zero?
# 2. **Change.** Ask for the probabilities, ``read(image).softmax(0)``, instead of the logits. What
#    do the ten images of their Jacobian add up to, and why are they so pale?
# 3. **Extend.** The Hessian of the reader would have 61,706 × 61,706 entries. A product
#    with it, ``jvp`` of ``grad``, needs no matrix. Multiply a random direction by it ten times to
#    find the largest eigenvalue; then go 15 steps at half the limit, and at four times the limit.
#
# So far, autograd knew the derivative of each operation. What if it does not? The next page is
# :doc:`/lessons/autograd/04_custom_function`.

# %%
# .. answer:: 1
#
#    Outputs first, then inputs, for the Hessian twice: (2, 3, 5) and (2, 3, 5, 5). The logits of
#    one image do not depend on the other image: half of the entries are zero.

vector = torch.arange(5.0)


def outer(x):
    return torch.outer(x[:2], x[2:])


print(tuple(jacrev(outer)(vector).shape), tuple(hessian(outer)(vector).shape))
pair = jacrev(model)(test.x[:2])  # (2, 10, 2, 1, 28, 28)
assert (
    pair[0, :, 1].abs().max()
    == pair[1, :, 0].abs().max()
    == 0
    < pair[0, :, 0].abs().max()
)
assert jacrev(outer)(vector).shape == (2, 3, 5) and hessian(outer)(
    vector
).shape == (2, 3, 5, 5)

# %%
# .. answer:: 2
#
#    To zero: probabilities sum to 1, whatever the image. And this reader is sure, so a little ink
#    changes little. A pale image does not mean that the pixels do not matter.

of_probabilities = jacrev(lambda image: read(image).softmax(0))(image)
paler = (jacobian.abs().max() / of_probabilities.abs().max()).item()
print("more than 10 times as pale:", paler > 10)
assert of_probabilities.sum(0).abs().max() < 1e-4 and paler > 10

# %%
# .. answer:: 3
#
#    Each product stretches the most curved direction most, so the others fade. At half the limit
#    the loss falls; at four times the limit it blows up. A little beyond it a network may slip into
#    a flatter place, where the limit is another one.

images, labels = train.x[:100], train.y[:100]


def loss_of_reader(params):
    return F.cross_entropy(functional_call(model, params, (images,)), labels)


direction = {name: torch.randn_like(weight) for name, weight in params.items()}
for _ in range(10):
    size = sum(part.square().sum() for part in direction.values()).sqrt()
    direction = {name: part / size for name, part in direction.items()}
    _, bent = jvp(grad(loss_of_reader), (params,), (direction,))
    largest = sum(
        (direction[name] * bent[name]).sum() for name in params
    ).item()
    direction = bent
losses = {0: loss_of_reader(params).item()}
for share in (0.5, 4):
    moving = params
    for _ in range(15):
        slope = grad(loss_of_reader)(moving)
        moving = {
            name: moving[name] - share * 2 / largest * slope[name]
            for name in params
        }
    losses[share] = loss_of_reader(moving).item()
print({f"{share} × limit": round(loss, 3) for share, loss in losses.items()})
assert sum(weight.numel() for weight in params.values()) == 61706
assert losses[0.5] < losses[0] < 0.5 < losses[4]
