"""
Backpropagation by hand
=======================

How does one way back through a network find the gradient of every weight?

In a training loop this is the line ``loss.backward()``, and you can train
networks without ever looking inside. But if you know what it computes, you
understand why a deep network may not learn, and why training a network needs
more memory than using it. You can also tell whether the gradient of a layer of
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
# We begin with a network that has only two weights. It multiplies its input
# ``x`` by the weight ``w1``. Then :func:`torch.relu` replaces a negative result
# by 0. This is the *ReLU* (rectified linear unit) of the networks before. Last,
# the network multiplies by the weight ``w2``. The loss L is the squared
# distance of the output o from the target t:
#
# .. math::
#
#    z = w_1 x \qquad h = \text{relu}(z) \qquad o = w_2 h
#    \qquad L = (o - t)^2
#
# Take x = 2, w₁ = 3, w₂ = −1 and t = 0, and work out z, h, o and L in your
# head. This way from the input to the loss is the :term:`forward pass`.

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
# Now the way back. We want the slope of the loss for each weight. For that we
# go from the loss back to the weights, and ask at each operation the same
# question: if its input grows a little, how much does its output grow?
#
# - If o grows a little, (o − t)² grows 2 · (o − t) times as much.
# - In a product, the output grows as many times as the *other* factor says. So
#   in o = w₂h, the factor for w₂ is h, and the factor for h is w₂.
# - ReLU does not change a positive number, so there the factor is 1. To the
#   left of 0 its output stays 0, so there the factor is 0. (At 0 itself PyTorch
#   takes 0.)
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
# To the right of each number stands the one that autograd has found. (Autograd
# keeps the slopes of ``z``, ``h`` and ``o`` only if we ask for them with
# ``retain_grad()``. Our own lines need not be recorded, so they stand under
# ``no_grad``.)

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
# The two columns agree in every line. The slope for ``w2`` is −12 · 6 = −72,
# and the slope for ``w1`` is 12 · 2 = 24. Going back like this is called
# :term:`backpropagation`, or the *backward pass*. The figure shows both ways.
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
axis.axis("off")

# %%
# Notice three things. The slope ``grad_o`` is used twice, for ``w2`` and for
# ``h``, but it was computed only once. That is why one way back is enough for
# all weights. Second, the backward pass needs numbers from the forward pass,
# such as ``x`` and ``h``. They have to be kept until they are used, and this is
# the memory that :doc:`/lessons/autograd/05_graph_memory` measures. (Our line
# for ``grad_z`` reads ``z``, but ``h > 0`` would do as well.) Third, the slopes
# are products. After many small factors hardly anything is left of a slope, and
# a single factor 0 stops it. That is why a deep network may not learn.

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
# once. It computes
#
# .. math:: Y = X W + b
#
# where each row of X is an example, W is the weight, of shape (inputs,
# outputs), and b is the bias, with one number for each output. (``nn.Linear``
# keeps its weight the other way round, as (outputs, inputs).) Here are two
# examples with three inputs each, and one output. Suppose that the rest of the
# network has found the slope of the loss for each output: 1 for the first
# example, and 10 for the second. (As in :doc:`/lessons/autograd/06_jacobian`,
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
# :doc:`/lessons/autograd/04_graph`. So its slope is 1 · 1 + 4 · 10 = 41. For
# the other two it is 2 · 1 + 5 · 10 = 52 and 3 · 1 + 6 · 10 = 63. In a sum, the
# factor is 1 for each part. The bias is added in both examples, so its slope is
# 1 + 10 = 11. An input belongs to one example only, and here its factor is its
# weight. (With several outputs it would reach the loss through each of them,
# and these paths would be added, too.)
#
# Such sums of products are matrix products. For example, the first row of Xᵀ is
# (1, 4). Times the column (1, 10), it gives 1 · 1 + 4 · 10 = 41. Therefore:
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
# You need not learn the formulas by heart, because the shapes remind you of
# them. A gradient has the shape of its tensor. From (2, 3) and (2, 1), only one
# matrix product has the shape (3, 1): the first one transposed, times the
# second. (If a layer has as many inputs as outputs, W and Wᵀ have the same
# shape. Then a wrong product raises no error, and only a check finds it.) And
# where broadcasting has stretched a tensor, as it stretched the bias over the
# examples, the way back is a sum.

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
# and a layer with 10 scores. It has 25,450 weights and biases. The loss is the
# :term:`cross-entropy` of :doc:`/lessons/learning/06_softmax_regression`. The
# weights start as random numbers, divided by the root of the number of inputs.
# (The next lesson shows why they are divided.)

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
# First autograd goes back, so that we have something to compare with. Then we
# go back by hand, through the loss and the second layer. In the lesson on
# softmax, the gradient of the loss for the scores was the probability, and for
# the true class the probability minus 1. The loss of a batch is a mean over N
# examples, so here we divide by N. All later gradients are computed from this
# one, so they need no division of their own.

weights = new_weights(seed=0)
for weight in weights:
    weight.requires_grad_()
w1, b1, w2, b2 = weights
z, h, scores = forward(images, weights)
for tensor in [z, h, scores]:
    tensor.retain_grad()
cross_entropy(scores, labels).backward()

# %%
# Each line is compared with autograd as soon as it is there.

with torch.no_grad():
    grad_scores = torch.softmax(scores, dim=1)
    grad_scores[torch.arange(500), labels] -= 1
    grad_scores /= 500  # the loss is a mean
    compare("scores", grad_scores, scores)
    grad_w2 = h.T @ grad_scores
    compare("w2", grad_w2, w2)
    grad_b2 = grad_scores.sum(dim=0)
    compare("b2", grad_b2, b2)
    grad_h = grad_scores @ w2.T
    compare("h", grad_h, h)

# %%
# ``grad_h`` is what the second layer passes back. The rest is ReLU and the
# first layer, and for the layer the lines are the same.

with torch.no_grad():
    grad_z = grad_h * (z > 0)
    compare("z", grad_z, z)
    grad_w1 = images.T @ grad_z
    compare("w1", grad_w1, w1)
    grad_b1 = grad_z.sum(dim=0)
    compare("b1", grad_b1, b1)

# %%
# All gradients agree. Compared with the largest numbers, the differences are
# less than a millionth. These are rounding errors. They come from the gradient
# of the scores, because autograd goes back through the loss with other
# operations than our softmax and division.
#
# Can we train with them? ``gradients`` holds the lines from above in one
# function. We take 20 steps with it, and 20 steps with autograd from the same
# start, and compare the weights at the end.


def gradients(x, y, weights):
    z, h, scores = forward(x, weights)
    grad_scores = torch.softmax(scores, dim=1)
    grad_scores[torch.arange(len(x)), y] -= 1
    grad_scores /= len(x)
    grad_z = (grad_scores @ weights[2].T) * (z > 0)
    grad_w2 = h.T @ grad_scores
    grad_w1 = x.T @ grad_z
    return [grad_w1, grad_z.sum(dim=0), grad_w2, grad_scores.sum(dim=0)]


by_hand = new_weights(seed=0)
for _ in range(20):
    found = gradients(images, labels, by_hand)
    for weight, gradient in zip(by_hand, found, strict=True):
        weight -= 0.5 * gradient

# %%
# And the same with autograd:

weights = new_weights(seed=0)
for weight in weights:
    weight.requires_grad_()
optimizer = torch.optim.SGD(weights, lr=0.5)
for _ in range(20):
    loss = cross_entropy(forward(images, weights)[2], labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

last_by_hand = cross_entropy(forward(images, by_hand)[2], labels)
last = cross_entropy(forward(images, weights)[2], labels)
print(f"loss: {last_by_hand:.5f} by hand, {last:.5f} by autograd")
for mine, other in zip(by_hand, weights, strict=True):
    difference = (mine - other).abs().max().item()
    print(f"{tuple(mine.shape)}: largest difference {difference:.0e}")

# %%
# After 20 steps no weight differs by more than a millionth. Both runs took the
# same path.

# %%
# .. check::

assert sum(weight.numel() for weight in weights) == 25_450, "25,450 numbers"
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
assert (by_hand[0] - weights[0]).abs().max() < 1e-6, "the same w1"
assert (by_hand[1] - weights[1]).abs().max() < 1e-6, "the same b1"
assert (by_hand[2] - weights[2]).abs().max() < 1e-6, "the same w2"
assert (by_hand[3] - weights[3]).abs().max() < 1e-6, "the same b2"
assert last < 1.5, "the loss falls"

# %%
# What goes wrong
# ---------------
# **A bias gradient that is not summed.** Suppose that you forget the
# ``sum(dim=0)``. Then the gradient of the bias has one row for each example.

wrong_bias = b2.detach() - 0.5 * grad_scores
print("the bias was", tuple(b2.shape), "and is now", tuple(wrong_bias.shape))

# %%
# There was no error, because broadcasting stretched the bias. From now on each
# of the 500 images has a bias of its own, and training with these images runs
# on. With the 2,000 test images it raises an error. (In place, with ``-=``,
# PyTorch raises an error at once, because the result has another shape than the
# bias.)
#
# **A gradient that is averaged twice.** The loss is a mean, so its gradient is
# divided by N already. It is easy to write ``mean(dim=0)`` for the bias all the
# same. Then it is 500 times too small. Does the training show it? We train with
# five seeds, and measure the share of right answers for 2,000 test images. For
# comparison, a third network keeps its biases at 0. (``found[1]`` and
# ``found[3]`` are the gradients of the two biases.)


def learn(seed, bias_factor):
    weights = new_weights(seed)
    for _ in range(50):
        found = gradients(images, labels, weights)
        found[1] *= bias_factor
        found[3] *= bias_factor
        for weight, gradient in zip(weights, found, strict=True):
            weight -= 0.5 * gradient
    return weights


# %%
# For each way we print the mean of the five shares, the smallest and the
# largest.

test_images = test_set.x.flatten(1)  # (2000, 784)
ways = {"right": 1, "averaged twice": 1 / 500, "without biases": 0}
accuracy = {}
for name, bias_factor in ways.items():
    shares = []
    for seed in range(5):
        test_scores = forward(test_images, learn(seed, bias_factor))[2]
        right = test_scores.argmax(dim=1) == test_set.y
        shares.append(right.float().mean().item())
    accuracy[name] = sum(shares) / 5
    print(f"{name}: mean {accuracy[name]:.1%}")
    print(f"    from {min(shares):.1%} to {max(shares):.1%}")

# %%
# The network with the mistake reads the digits just as well. In this task the
# biases hardly matter, because even without them the mean is almost the same.
# So the accuracy cannot give the mistake away. What finds it is a comparison,
# with autograd or with a measurement.

# %%
# .. check::

assert wrong_bias.shape == (500, 10), "a bias for each image"
assert accuracy["right"] > 0.75, "it learns"
assert abs(accuracy["averaged twice"] - accuracy["right"]) < 0.01, "as well"
assert abs(accuracy["without biases"] - accuracy["right"]) < 0.01, "without"

# %%
# Recipe
# ------
# Here is the measurement, a :term:`gradient check`. It moves one number of a
# tensor up and down by a *nudge*, and sees how far the loss moves. This is the
# slope, found without any chain rule. (It is called a *finite difference*,
# because the nudge is small but not infinitely small. Use ``float64``, as in
# :doc:`/lessons/autograd/01_gradients`.) It takes two forward passes for each
# number, so use a small network for the check.

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
# needs no argument, because it reads ``weight`` and ``bias``, whose numbers are
# moved. The last line checks the gradient that was averaged twice.

torch.manual_seed(0)
x = torch.randn(6, 3, dtype=torch.float64)
target = torch.randn(6, 2, dtype=torch.float64)
weight = torch.randn(3, 2, dtype=torch.float64)
bias = torch.zeros(2, dtype=torch.float64)


def loss_of():
    return ((x @ weight + bias - target) ** 2).mean()


error = x @ weight + bias - target
grad_y = 2 * error / error.numel()
print(x.T @ grad_y - measured_gradient(loss_of, weight))
print(grad_y.sum(dim=0) - measured_gradient(loss_of, bias))
print(grad_y.mean(dim=0) - measured_gradient(loss_of, bias))

# %%
# The first two gradients agree with the measurement. The third one does not. It
# is a sixth of the right gradient, because there are six examples, so it is off
# by five sixths.
#
# At the corner of ReLU the two do not agree. If z is exactly 0, the measurement
# finds the slope ½, where autograd takes 0. So if only a few numbers disagree,
# try another seed. For a function of your own, ``gradcheck`` makes such a check
# for you (:doc:`/lessons/autograd/07_custom_function`).

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

# %%
# What you learned
# ----------------
# - Go back from the loss, one operation at a time. The slope of an input is the
#   slope of the output times the factor of the operation.
# - For a layer Y = XW + b, the gradient of W is Xᵀ times that of Y, the
#   gradient of X is that of Y times Wᵀ, and the gradient of b is that of Y,
#   summed over the batch.
# - A gradient has the shape of its tensor. Where the forward pass stretched a
#   tensor, the backward pass sums its gradient.
# - A wrong gradient may train well. Check it in ``float64`` with nudges to both
#   sides.
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
