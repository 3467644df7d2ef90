"""
Backpropagation by hand
=======================

How does a single pass back through a network find the gradient of every weight?

In a training loop this is the line ``loss.backward()``. If you know what it
computes, you understand why a deep network may not learn, and why training a
network needs more memory than using it. You can also tell whether a gradient of
your own is right. So here you do the work of ``backward()`` yourself, and
compare each line with autograd.

After this lesson you can

- go back through a small network by hand, from the loss to each weight
- write the gradients of a layer for a whole batch as matrix products
- find a wrong gradient that gives no error, with a gradient check
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import cross_entropy

from handbook import datasets

torch.manual_seed(0)

# %%
# Two weights
# -----------
# We begin with a network of two weights. It multiplies its input ``x`` by
# ``w1``. Then :func:`torch.relu`, the *ReLU* (rectified linear unit) of the
# earlier networks, replaces a negative result by 0. Last, the network
# multiplies by ``w2``. The loss L is the squared distance of the output o from
# the target t:
#
# .. math::
#
#    z = w_1 x \qquad h = \text{relu}(z) \qquad o = w_2 h
#    \qquad L = (o - t)^2
#
# Take x = 2, w₁ = 3, w₂ = −1 and t = 0, and work out z, h, o and L in your
# head. This is the :term:`forward pass`.

x = torch.tensor(2.0)
w1 = torch.tensor(3.0, requires_grad=True)
w2 = torch.tensor(-1.0, requires_grad=True)
t = 0

z = w1 * x
h = torch.relu(z)
o = w2 * h
loss = (o - t) ** 2
print("z, h, o:", z.item(), h.item(), o.item())
print("loss:   ", loss.item())

# %%
# Now the way back. We go from the loss to the weights, and ask at each
# operation: if its input grows a little, how much does its output grow?
#
# - If o grows a little, (o − t)² grows 2 · (o − t) times as much.
# - In the product o = w₂h, if w₂ grows a little, o grows h times as much. So
#   the factor for w₂ is h, and the factor for h is w₂. It is always the *other*
#   number.
# - ReLU does not change a positive number, so there the factor is 1. A negative
#   number becomes 0, so there the factor is 0. (At 0 itself PyTorch takes 0.)
#
# The chain rule multiplies these factors along the way. Each line needs only
# the slope that was found before it, and a number from the forward pass:
#
# .. math::
#
#    \begin{aligned}
#    \frac{dL}{do} &= 2 \, (o - t) \\
#    \frac{dL}{dw_2} &= \frac{dL}{do} \cdot h \\
#    \frac{dL}{dh} &= \frac{dL}{do} \cdot w_2 \\
#    \frac{dL}{dz} &= \frac{dL}{dh} \cdot 1 \quad \text{because } z > 0 \\
#    \frac{dL}{dw_1} &= \frac{dL}{dz} \cdot x
#    \end{aligned}
#
# In the code, the slope of the loss for ``o`` is called ``grad_o``, and so on.
# To the right of each number stands that of autograd. (Autograd keeps the
# slopes of ``z``, ``h`` and ``o`` only if we ask with ``retain_grad()``.)

for tensor in [z, h, o]:
    tensor.retain_grad()
loss.backward()

with torch.no_grad():
    grad_o = 2 * (o - t)
    print("o: ", grad_o.item(), o.grad.item())
    grad_w2 = grad_o * h
    print("w2:", grad_w2.item(), w2.grad.item())
    grad_h = grad_o * w2
    print("h: ", grad_h.item(), h.grad.item())
    grad_z = grad_h * (z > 0)  # True counts as 1, False as 0
    print("z: ", grad_z.item(), z.grad.item())
    grad_w1 = grad_z * x
    print("w1:", grad_w1.item(), w1.grad.item())

# %%
# The two columns agree in every line. Going back like this is called
# :term:`backpropagation`, or the *backward pass*. The figure shows both passes.
#
# .. alt:: Five boxes in a row: x is 2, z is 6, h is 6, o is −6, L is 36. Arrows
#    to the right carry the operations times w1 = 3, ReLU, times w2 = −1 and
#    square. Below, arrows to the left carry the slopes: −12 at o, 12 at h and
#    12 at z. At the two products, arrows lead down to 24 for w1 and −72 for w2.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(7.2, 2.7), layout="constrained")
values = {"x": x, "z": z, "h": h, "o": o, "L": loss}
for place, name in enumerate(values):
    axis.text(
        2 * place,
        1,
        f"{name} = {values[name].item():.0f}",
        ha="center",
        va="center",
        bbox={"boxstyle": "round", "facecolor": "white"},
    )
steps = [f"· w1 = {w1.item():.0f}", "ReLU", f"· w2 = {w2.item():.0f}", "square"]
for place, step in enumerate(steps):
    axis.annotate(
        "",
        (2 * place + 1.45, 1),
        (2 * place + 0.55, 1),
        arrowprops={"arrowstyle": "->"},
    )
    axis.text(2 * place + 1, 1.35, step, ha="center", fontsize=9)
for place, slope in enumerate([grad_z, grad_h, grad_o]):
    middle = 2 * place + 2
    axis.annotate(
        "",
        (middle + 0.5, 0.2),
        (middle + 1.5, 0.2),
        arrowprops={"arrowstyle": "->", "color": "tab:red"},
    )
    axis.text(
        middle,
        0.2,
        f"{slope.item():.0f}",
        ha="center",
        va="center",
        color="tab:red",
    )
for place, name, slope in [(1, "w1", grad_w1), (5, "w2", grad_w2)]:
    axis.annotate(
        "",
        (place, -0.45),
        (place + 0.75, 0.1),
        arrowprops={"arrowstyle": "->", "color": "tab:red"},
    )
    axis.text(
        place,
        -0.75,
        f"{name}: {slope.item():.0f}",
        ha="center",
        color="tab:red",
    )
axis.set(xlim=(-0.8, 8.8), ylim=(-1, 1.8))
axis.set_axis_off()

# %%
# Notice three things. The slope ``grad_o`` is used twice, for ``w2`` and for
# ``h``, but it was computed only once. That is why a single pass back is enough
# for all weights. Second, the backward pass needs numbers from the forward
# pass, such as ``x`` and ``h``. They have to be kept, and this is the memory
# that :doc:`/lessons/autograd/05_graph_memory` measures. Third, the slopes are
# products. Many small factors leave hardly anything of a slope, and a factor 0
# on a path stops it there. This is one reason why a deep network may not learn.

# %%
# .. check::

assert z.item() == 6, "2 times 3"
assert h.item() == 6, "ReLU leaves it"
assert o.item() == -6, "6 times -1"
assert loss.item() == 36, "the square"
assert grad_o == o.grad == -12, "o"
assert grad_w2 == w2.grad == -72, "w2"
assert grad_h == h.grad == 12, "h"
assert grad_z == z.grad == 12, "z"
assert grad_w1 == w1.grad == 24, "w1"

# %%
# A layer and a batch
# -------------------
# A real layer has many weights, and it computes a whole batch of N examples at
# once:
#
# .. math:: Y = X W + b
#
# Each row of X is an example, W is the weight, of shape (inputs, outputs), and
# b is the bias, with one number for each output. (``nn.Linear`` keeps its
# weight as (outputs, inputs).) Here are two examples with three inputs and one
# output. Suppose that the rest of the network has found the slope of the loss
# for the two outputs, 1 and 10. (As in :doc:`/lessons/autograd/06_jacobian`,
# ``backward(v)`` starts from such slopes.)

x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])  # (2, 3)
weight = torch.tensor([[1.0], [0.0], [-1.0]])  # (3, 1)
bias = torch.tensor([0.5])  # (1,)
for tensor in [x, weight, bias]:
    tensor.requires_grad_()

grad_y = torch.tensor([[1.0], [10.0]])  # (2, 1)
y = x @ weight + bias  # (2, 1)
y.backward(grad_y)
print("weight:", weight.grad.flatten())
print("bias:  ", bias.grad)
print("x:     ", x.grad)

# %%
# Where do these numbers come from? The first weight meets 1 in the first
# example, and 4 in the second. A change of it reaches the loss on both paths,
# and slopes of several paths are added, as in
# :doc:`/lessons/autograd/04_graph`. So its slope is 1 · 1 + 4 · 10 = 41. The
# bias is added in both examples, so its slope is 1 + 10 = 11. An input belongs
# to one example only, and here its factor is its weight. (With several outputs,
# its paths through them would be added, too.)
#
# Such sums of products are matrix products. For example, the first row of Xᵀ is
# (1, 4), and times the column (1, 10) it gives 41. Therefore:
#
# .. math::
#
#    \frac{dL}{dW} = X^T \, \frac{dL}{dY}
#    \qquad
#    \frac{dL}{db} = \sum_{i=1}^{N} \left(\frac{dL}{dY}\right)_i
#    \qquad
#    \frac{dL}{dX} = \frac{dL}{dY} \, W^T
#
# The index i counts the examples. ``compare`` prints the shape of a gradient,
# its largest number (without the sign), and its largest difference from that of
# autograd.


def compare(name, by_hand, tensor):
    largest = by_hand.abs().max().item()
    difference = (by_hand - tensor.grad).abs().max().item()
    print(f"{name}: {tuple(by_hand.shape)}, largest {largest:.2g}")
    print(f"    difference {difference:.0e}")


with torch.no_grad():
    grad_weight = x.T @ grad_y  # (3, 2) @ (2, 1)
    compare("weight", grad_weight, weight)
    grad_bias = grad_y.sum(dim=0)  # over the batch
    compare("bias", grad_bias, bias)
    grad_x = grad_y @ weight.T  # (2, 1) @ (1, 3)
    compare("x", grad_x, x)

# %%
# You need not learn these formulas by heart, because a gradient has the shape
# of its tensor. From (2, 3) and (2, 1), only one matrix product has the shape
# (3, 1). And where broadcasting has stretched a tensor, as it stretched the
# bias over the examples, the way back is a sum.

# %%
# .. check::

assert weight.grad.flatten().tolist() == [41, 52, 63], "the weights"
assert bias.grad.tolist() == [11], "the bias"
assert x.grad.tolist() == [[1, 0, -1], [10, 0, -10]], "the inputs"
assert grad_weight.equal(weight.grad), "by hand the same weights"
assert grad_bias.equal(bias.grad), "bias"
assert grad_x.equal(x.grad), "and inputs"

# %%
# Two layers and softmax
# ----------------------
# Now a network that reads digits: 784 pixels, a layer with 32 outputs, ReLU,
# and a layer with 10 scores. The loss is the :term:`cross-entropy` of
# :doc:`/lessons/learning/06_softmax_regression`. The weights start as random
# numbers, divided by the root of the number of inputs. (The next lesson shows
# why.)

train_set, test_set = datasets.mnist()
images = train_set.x[:500].flatten(1)  # (500, 784)
labels = train_set.y[:500]


def new_weights(seed):
    torch.manual_seed(seed)
    w1 = torch.randn(784, 32) / 784**0.5
    w2 = torch.randn(32, 10) / 32**0.5
    return [w1, torch.zeros(32), w2, torch.zeros(10)]


def forward(x, weights):
    w1, b1, w2, b2 = weights
    z = x @ w1 + b1  # (N, 32)
    h = torch.relu(z)
    return z, h, h @ w2 + b2  # the last one: (N, 10)


# %%
# First autograd goes back, so that we have something to compare with.

weights = new_weights(seed=0)
for weight in weights:
    weight.requires_grad_()
w1, b1, w2, b2 = weights
z, h, scores = forward(images, weights)
for tensor in [z, h, scores]:
    tensor.retain_grad()
cross_entropy(scores, labels).backward()

# %%
# Now by hand. In the lesson on softmax, the gradient of the loss for the scores
# was the probability, and for the true class the probability minus 1. The loss
# of a batch is a mean over N examples, so here we divide by N. All later
# gradients are computed from this one, so they need no division of their own.

with torch.no_grad():
    grad_scores = torch.softmax(scores, dim=1)
    grad_scores[torch.arange(500), labels] -= 1
    grad_scores /= 500  # the loss is a mean
    grad_w2 = h.T @ grad_scores
    compare("w2", grad_w2, w2)
    grad_b2 = grad_scores.sum(dim=0)
    compare("b2", grad_b2, b2)
    grad_h = grad_scores @ w2.T
    grad_z = grad_h * (z > 0)
    compare("z", grad_z, z)
    grad_w1 = images.T @ grad_z
    compare("w1", grad_w1, w1)
    grad_b1 = grad_z.sum(dim=0)
    compare("b1", grad_b1, b1)

# %%
# All gradients agree. The differences are less than a millionth of the largest
# numbers. These are rounding errors, because autograd goes back through the
# loss with other operations than our softmax and division.

# %%
# .. check::

assert grad_scores.shape == scores.shape, "the shape of scores"
assert grad_w2.shape == w2.shape, "the shape of w2"
assert grad_b2.shape == b2.shape, "the shape of b2"
assert grad_h.shape == h.shape, "the shape of h"
assert grad_z.shape == z.shape, "the shape of z"
assert grad_w1.shape == w1.shape, "the shape of w1"
assert grad_b1.shape == b1.shape, "the shape of b1"
assert (
    grad_scores - scores.grad
).abs().max() < 1e-6 * scores.grad.abs().max(), "scores"
assert (grad_w2 - w2.grad).abs().max() < 1e-6 * w2.grad.abs().max(), "w2"
assert (grad_b2 - b2.grad).abs().max() < 1e-6 * b2.grad.abs().max(), "b2"
assert (grad_h - h.grad).abs().max() < 1e-6 * h.grad.abs().max(), "h"
assert (grad_z - z.grad).abs().max() < 1e-6 * z.grad.abs().max(), "z"
assert (grad_w1 - w1.grad).abs().max() < 1e-6 * w1.grad.abs().max(), "w1"
assert (grad_b1 - b1.grad).abs().max() < 1e-6 * b1.grad.abs().max(), "b1"
assert scores.grad.abs().max() > 1e-4, "scores has a gradient"
assert w2.grad.abs().max() > 1e-4, "w2 has a gradient"
assert b2.grad.abs().max() > 1e-4, "b2 has a gradient"
assert h.grad.abs().max() > 1e-4, "h has a gradient"
assert z.grad.abs().max() > 1e-4, "z has a gradient"
assert w1.grad.abs().max() > 1e-4, "w1 has a gradient"
assert b1.grad.abs().max() > 1e-4, "b1 has a gradient"

# %%
# What goes wrong
# ---------------
# **A factor is forgotten.** Suppose that we leave out the factor of ReLU. No
# shape changes, so there is no error. Does the training show it? ``gradients``
# holds the lines from above, with or without the mistake.


def gradients(x, y, weights, forget_relu):
    z, h, scores = forward(x, weights)
    grad_scores = torch.softmax(scores, dim=1)
    grad_scores[torch.arange(len(x)), y] -= 1
    grad_scores /= len(x)
    grad_z = grad_scores @ weights[2].T
    if not forget_relu:
        grad_z = grad_z * (z > 0)
    grad_w2 = h.T @ grad_scores
    grad_w1 = x.T @ grad_z
    return [grad_w1, grad_z.sum(dim=0), grad_w2, grad_scores.sum(dim=0)]


# %%
# We train for 50 steps.


def learn(seed, forget_relu):
    weights = new_weights(seed)
    for _ in range(50):
        found = gradients(images, labels, weights, forget_relu)
        for weight, gradient in zip(weights, found, strict=True):
            weight -= 0.5 * gradient
    return weights


# %%
# For five seeds we print the mean share of right answers for the 2,000 test
# images, the smallest and the largest.

test_images = test_set.x.flatten(1)  # (2000, 784)
accuracy = {}
for name, forget_relu in {"right": False, "forgotten": True}.items():
    shares = []
    for seed in range(5):
        test_scores = forward(test_images, learn(seed, forget_relu))[2]
        right = test_scores.argmax(dim=1) == test_set.y
        shares.append(right.float().mean().item())
    accuracy[name] = shares
    print(f"{name}: mean {sum(shares) / 5:.1%}")
    print(f"    from {min(shares):.1%} to {max(shares):.1%}")

# %%
# The network with the mistake learns, too, and its accuracy is only about one
# point lower. If you do not know the right number, you suspect nothing. What
# finds the mistake is a comparison, with autograd or with a measurement.

# %%
# .. check::

assert (
    gradients(images, labels, weights, False)[0] - w1.grad
).abs().max() < 1e-7, "the function finds the same for w1"
assert (
    gradients(images, labels, weights, False)[1] - b1.grad
).abs().max() < 1e-7, "b1"
assert (
    gradients(images, labels, weights, False)[2] - w2.grad
).abs().max() < 1e-7, "w2"
assert (
    gradients(images, labels, weights, False)[3] - b2.grad
).abs().max() < 1e-7, "b2"
assert min(accuracy["right"]) > 0.8, "it learns"
assert min(accuracy["forgotten"]) > 0.8, "the other learns, too"
assert (
    0.005 < (sum(accuracy["right"]) - sum(accuracy["forgotten"])) / 5 < 0.015
), "about one point"

# %%
# Recipe
# ------
# A :term:`gradient check` compares a gradient with a measurement. Here is the
# measurement. It moves one number of a tensor up and down by a *nudge*, and
# sees how far the loss moves. (Such a slope is called a *finite difference*.
# Use ``float64``, as in :doc:`/lessons/autograd/01_gradients`.) It takes two
# forward passes for each number, so use a small network for the check.

import torch


def measured_gradient(loss_of, tensor, nudge=1e-6):
    with torch.no_grad():
        numbers = tensor.view(-1)  # the same memory, as one row
        slopes = torch.zeros_like(numbers)
        for i in range(len(numbers)):
            kept = numbers[i].item()
            numbers[i] = kept + nudge
            above = loss_of()
            numbers[i] = kept - nudge
            below = loss_of()
            numbers[i] = kept
            slopes[i] = (above - below) / (2 * nudge)
        return slopes.view(tensor.shape)


# %%
# Use it like this, here for one layer with a mean squared error. ``loss_of``
# reads ``weight`` and ``bias``, whose numbers are moved. The last line has a
# mistake that is easily made. It takes the mean, although the loss is a mean
# already.

torch.manual_seed(0)
x = torch.randn(6, 3, dtype=torch.float64)
target = torch.randn(6, 2, dtype=torch.float64)
weight = torch.randn(3, 2, dtype=torch.float64)
bias = torch.randn(2, dtype=torch.float64)


def loss_of():
    return ((x @ weight + bias - target) ** 2).mean()


error = x @ weight + bias - target
grad_y = 2 * error / error.numel()
print(x.T @ grad_y - measured_gradient(loss_of, weight))
print(grad_y.sum(dim=0) - measured_gradient(loss_of, bias))
print(grad_y.mean(dim=0) - measured_gradient(loss_of, bias))

# %%
# The first two gradients agree with the measurement. The third one is only a
# sixth of the right gradient, because there are six examples.
#
# At the corner of ReLU, where z is exactly 0, the measurement finds the slope
# ½, and autograd takes 0. With biases of 0 this happens easily, because where
# one ReLU layer gives only zeros, the next layer computes exactly 0. So check
# with random biases. And switch off dropout, because the loss must be the same
# at each call. For a function of your own, ``gradcheck`` makes such a check for
# you (:doc:`/lessons/autograd/07_custom_function`).

# %%
# .. check::

assert torch.allclose(
    x.T @ grad_y, measured_gradient(loss_of, weight), atol=1e-8
), "the weight"
assert torch.allclose(
    grad_y.sum(dim=0), measured_gradient(loss_of, bias), atol=1e-8
), "the bias"
assert (grad_y.mean(dim=0) - measured_gradient(loss_of, bias)).allclose(
    -5 / 6 * grad_y.sum(dim=0), atol=1e-8
), "averaged twice"
assert torch.tensor([-1e-6, 1e-6]).relu().diff() / 2e-6 == 0.5, "the corner"

# %%
# What you learned
# ----------------
# - Go back from the loss, one operation at a time. The slope of an input is the
#   slope of the output times the factor of the operation.
# - For a layer Y = XW + b, the gradient of W is Xᵀ times that of Y, the
#   gradient of X is that of Y times Wᵀ, and the gradient of b is that of Y,
#   summed over the batch.
# - A wrong gradient may train almost as well. Check it in ``float64`` with
#   nudges to both sides.
#
# Exercises
# ---------
# 1. **Predict.** In the network of two weights, let w₁ be −3 and the target 1.
#    What are z, h, o and L? What are the five slopes, and what does a step of
#    gradient descent change?
# 2. **Change.** Replace ReLU in the network for digits by the
#    :term:`sigmoid`. If s is the sigmoid of z, its slope is s · (1 − s). Which
#    line of the backward pass changes? Compare the gradient of ``w1`` with
#    autograd.
# 3. **Extend.** Write the backward pass for any number of layers, with a loop
#    that goes back through a list of weights. Try it with 784, 64, 32 and 10
#    numbers, and compare with autograd.

# %%
# .. answer:: 1
#
#    z is −6, so h and o are 0 and L is 1. The slope for o is 2 · (0 − 1) = −2.
#    For ``w2`` it is −2 · 0 = 0, for h it is −2 · (−1) = 2, and for z it is 2 ·
#    0 = 0, because z is negative. So it is 0 for ``w1``, too. A step changes
#    nothing. From this example alone, the network cannot learn. (The −0.0 in
#    the output comes from −2 · 0 and equals 0.)

x = torch.tensor(2.0)
w1 = torch.tensor(-3.0, requires_grad=True)
w2 = torch.tensor(-1.0, requires_grad=True)
o = w2 * torch.relu(w1 * x)
((o - 1) ** 2).backward()
print(w1.grad.item(), w2.grad.item())

# %%
# .. check::

assert w1.grad == 0, "w1 stays"
assert w2.grad == 0, "and w2 stays"

# %%
# .. answer:: 2
#
#    Only the line for ``grad_z`` changes.

weights = new_weights(seed=0)
for weight in weights:
    weight.requires_grad_()
w1, b1, w2, b2 = weights
h = torch.sigmoid(images @ w1 + b1)
scores = h @ w2 + b2
cross_entropy(scores, labels).backward()

with torch.no_grad():
    grad_scores = torch.softmax(scores, dim=1)
    grad_scores[torch.arange(500), labels] -= 1
    grad_scores /= 500
    grad_h = grad_scores @ w2.T
    grad_z = grad_h * h * (1 - h)
    grad_w1 = images.T @ grad_z
    compare("w1", grad_w1, w1)

# %%
# .. check::

assert torch.allclose(grad_w1, w1.grad, atol=1e-6), "as autograd"
assert w1.grad.abs().max() > 1e-4, "and not zero"

# %%
# .. answer:: 3
#
#    Each layer needs its input for the way back, so the forward pass keeps it.
#    This input is the output of a ReLU, except for the images. Where the output
#    is positive, so was the number before, and therefore the code says
#    ``h > 0`` instead of ``z > 0``.


def deep_gradients(x, y, weights, biases):
    kept = [x]  # the input of each layer
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        kept.append(torch.relu(kept[-1] @ weight + bias))
    grad = torch.softmax(kept[-1] @ weights[-1] + biases[-1], dim=1)
    grad[torch.arange(len(x)), y] -= 1
    grad /= len(x)
    found = []
    for weight, h in zip(reversed(weights), reversed(kept), strict=True):
        found.append(h.T @ grad)
        found.append(grad.sum(dim=0))
        if h is not x:  # the images need no gradient
            grad = (grad @ weight.T) * (h > 0)
    return found  # from the last layer to the first


torch.manual_seed(0)
weights = []
biases = []
for inputs, outputs in [(784, 64), (64, 32), (32, 10)]:
    weight = torch.randn(inputs, outputs) / inputs**0.5
    weights.append(weight.requires_grad_())
    biases.append(torch.zeros(outputs, requires_grad=True))

h = images
for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
    h = torch.relu(h @ weight + bias)
cross_entropy(h @ weights[-1] + biases[-1], labels).backward()

with torch.no_grad():
    found = deep_gradients(images, labels, weights, biases)
for i in range(3):
    compare("weight", found[2 * i], weights[2 - i])
    compare("bias", found[2 * i + 1], biases[2 - i])

# %%
# .. check::

assert torch.allclose(found[0], weights[2].grad, atol=1e-7), "the last layer"
assert torch.allclose(found[1], biases[2].grad, atol=1e-7), "its bias"
assert torch.allclose(found[2], weights[1].grad, atol=1e-7), "the second"
assert torch.allclose(found[3], biases[1].grad, atol=1e-7), "its bias"
assert torch.allclose(found[4], weights[0].grad, atol=1e-7), "the first"
assert torch.allclose(found[5], biases[0].grad, atol=1e-7), "its bias"
assert weights[0].grad.abs().max() > 1e-4, "and it is not zero"
