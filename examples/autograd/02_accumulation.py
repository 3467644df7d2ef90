"""
Gradient accumulation and ``zero_grad``
=======================================

Why does every training loop clear the gradients?

``backward()`` does not replace the gradient that is already there. It adds to
it. If you forget this, your training uses the sum of all the gradients so far,
and no error tells you. If you know it, you can use it as a tool: a batch that
does not fit into memory can be split into parts.

After this lesson you can

- clear the gradients in the right place, with and without an optimizer
- split a batch into parts that give the same gradient as the whole
- say which tensors keep a gradient, and find out why a tensor has none
"""

# %%
# Setup
# -----

import warnings

import matplotlib.pyplot as plt
import torch

from handbook import datasets

torch.manual_seed(0)

# %%
# .. _gradients-accumulate:
#
# Two calls, one sum
# ------------------
# The derivative of a + 1 is 1. The derivative of a² is 2a, which is 6 at a = 3.
# Compute a + 1 and then a², call ``backward()`` for each, and print the
# gradient each time.

a = torch.tensor(3.0, requires_grad=True)
first = a + 1
first.backward()
print("after the first: ", a.grad)

second = a**2
second.backward()
print("after the second:", a.grad)

# %%
# The second line says 7 and not 6, the derivative of a². ``backward()`` *added*
# the 6 to the 1 that was in ``a.grad``. This is called :term:`gradient
# accumulation`. If you want the 6 alone, remove the old gradient first. The
# attribute is then ``None``, as it was in the beginning:

a.grad = None
second = a**2
second.backward()
print("cleared first:   ", a.grad)

# %%
# .. check::

assert first.item() == 4, "3 + 1"
assert a.grad == 6, "with the old gradient removed, it is 6"

# %%
# Training by hand
# ----------------
# Where does this matter? In training, where ``backward()`` is called in every
# step. Let us find the ``w`` in y = w·x for two points, x = 1, y = 2 and x = 2,
# y = 4. The right answer is w = 2. The loss is the mean of the squared errors,
# and the learning rate is 0.1. Here are the first three steps:

x = torch.tensor([1.0, 2.0])
y = torch.tensor([2.0, 4.0])
w = torch.tensor(0.0, requires_grad=True)

for step in range(3):
    loss = ((w * x - y) ** 2).mean()
    loss.backward()
    slope = w.grad.item()
    with torch.no_grad():
        w -= 0.1 * w.grad
    w.grad = None
    print(f"step {step}: slope {slope:6.2f}, w {w.item():.2f}")

# %%
# At w = 0 the errors are −2 and −4. By the chain rule, the slope is the mean of
# 2 · (−2) · 1 = −4 and 2 · (−4) · 2 = −16, which is −10. The weight moves
# against it, from 0 to 1. With each step the slope is halved, and ``w``
# approaches 2: 1, 1.5, 1.75.
#
# (The step is taken under ``no_grad``, as in
# :doc:`/lessons/tensors/11_in_place`, because it is not a part of the loss.)

# %%
# .. check::

assert w.item() == 1.75, "after three steps"
assert ((0 * x - y) * 2 * x).mean() == -10, "the first slope"

# %%
# What goes wrong
# ---------------
# Now forget the line ``w.grad = None``. To compare the two, put the loop into a
# function that returns all the weights.


def train(clear, steps):
    w = torch.tensor(0.0, requires_grad=True)
    weights = [w.item()]
    for _ in range(steps):
        loss = ((w * x - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
        if clear:
            w.grad = None
        weights.append(w.item())
    return weights


print("cleared:  ", train(clear=True, steps=3))
print("forgotten:", train(clear=False, steps=3))

# %%
# The first step is the same, since there was no old gradient. The second one
# differs. At w = 1 the slope is −5, but ``w.grad`` holds −10 − 5 = −15, so the
# step is 1.5 instead of 0.5. The weight jumps over the goal, to 2.5. There was
# no error. The figure shows how it goes on.
#
# .. alt:: The weight against the step. Cleared: it rises from 0 and stays at 2.
#    Forgotten: it swings between 0 and about 4 and does not come to rest.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 3), layout="constrained")
axis.plot(train(clear=True, steps=24), "o-", markersize=3, label="cleared")
axis.plot(train(clear=False, steps=24), "s-", markersize=3, label="forgotten")
axis.axhline(2, color="black", linestyle=":", label="the right answer")
axis.set(xlabel="step", ylabel="w", ylim=(-0.5, 6))
axis.legend(ncols=3, loc="upper center", fontsize=8)

# %%
# With old gradients left in the sum, the weight swings around 2 and never comes
# to rest. In a large network this may look like a loss that will not go down,
# or like a learning rate that is too large.

# %%
# .. check::

assert train(clear=True, steps=3) == [0, 1, 1.5, 1.75], "it approaches 2"
assert train(clear=False, steps=3) == [0, 1, 2.5, 3.75], "it jumps over"
assert abs(train(clear=True, steps=24)[-1] - 2) < 0.001, "it stays at 2"
assert max(train(clear=False, steps=24)) > 3.9, "it swings to about 4"
assert min(train(clear=False, steps=24)[12:]) < 0.1, "and back to about 0"
assert max(train(clear=False, steps=24)[12:]) > 3.9, "without coming to rest"

# %%
# .. _zero-grad-sets-none:
#
# With an optimizer
# -----------------
# An :term:`optimizer` takes the steps for you. :class:`torch.optim.SGD` does
# what we did by hand, for a list of tensors. Its ``step()`` moves them, and its
# ``zero_grad()`` clears their gradients.

w = torch.tensor(0.0, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)

for step in range(3):
    loss = ((w * x - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: w {w.item():.2f}")
optimizer.zero_grad()
print("after zero_grad:", w.grad)

# %%
# The weights are the same as before. ``zero_grad()`` may stand anywhere between
# ``step()`` and the next ``backward()``. Its name says "zero", but the last
# line says ``None``. That makes a difference: an optimizer skips weights whose
# gradient is ``None``. So weights that took no part in a loss stay where they
# are. (Exercise 3 compares this with zeros.)

# %%
# .. check::

assert w.item() == 1.75, "the same as by hand"
assert w.grad is None, "zero_grad() sets None"

# %%
# On real data
# ------------
# Sometimes a large batch does not fit into memory. Then accumulation helps. We
# take 200 images, each of a 3 or an 8. The score of an image is the sum of its
# pixels, each multiplied by a weight, and it should be 1 for an 8 and 0 for
# a 3. First, the gradient of the whole batch:

train_set, _ = datasets.mnist()
chosen = (train_set.y == 3) | (train_set.y == 8)
images = train_set.x[chosen][:200].flatten(1)  # (200, 784)
targets = (train_set.y[chosen][:200] == 8).float()  # (200,)

weights = torch.zeros(784, requires_grad=True)
loss = ((images @ weights - targets) ** 2).mean()
loss.backward()
whole = weights.grad

# %%
# Now four parts of 50 images, one after the other, with four calls of
# ``backward()`` and no clearing in between. What has to change so that the sum
# is the gradient of the whole batch? (``torch.allclose`` compares two tensors
# and allows for rounding.)

weights.grad = None
for start in [0, 50, 100, 150]:
    x_part = images[start : start + 50]
    y_part = targets[start : start + 50]
    loss = ((x_part @ weights - y_part) ** 2).mean()
    (loss / 4).backward()  # a quarter of the batch
in_parts = weights.grad
print("same gradient:", torch.allclose(in_parts, whole, atol=1e-5))

# %%
# The loss of each part has to be divided by 4, because each loss is the mean
# over 50 images, and the mean over all 200 is the mean of the four means.
# Without the division the gradient would be four times as large, and with SGD
# the step, too. Only one part has to fit into memory at a time: after each
# ``backward()``, what autograd has kept for it is freed.
#
# This holds if each image is computed on its own. Batch normalization, which a
# later lesson explains, mixes the images of a batch, and then the parts give
# another gradient.

# %%
# .. check::

assert images.shape == (200, 784), "200 images"
assert torch.allclose(in_parts, whole, atol=1e-5), "the same gradient"
assert in_parts.abs().max() > 0.1, "and it is not zero"

# %%
# .. _who-gets-a-gradient:
#
# Which tensors keep a gradient
# -----------------------------
# Here is the small loss again, in two steps. Which of the four tensors has a
# ``grad`` after ``backward()``? Make a guess first.

w = torch.tensor(0.0, requires_grad=True)
prediction = w * x
prediction.retain_grad()  # explained below
loss = ((prediction - y) ** 2).mean()
loss.backward()

print("x:         ", x.is_leaf, x.requires_grad, x.grad)
print("w:         ", w.is_leaf, w.requires_grad, w.grad)
print("prediction:", prediction.is_leaf, prediction.requires_grad)
print("loss:      ", loss.is_leaf, loss.requires_grad)

# %%
# ``requires_grad`` is ``True`` where you have asked for gradients, and for
# every floating-point result that was computed from there while autograd
# recorded. A tensor at the start of a calculation is a :term:`leaf <leaf
# tensor>`, and ``is_leaf`` says so. Here these are ``x`` and ``w``. Tensors
# that a recorded operation has made are not leaves.
#
# ``backward()`` leaves a gradient on the leaves that *require* one and took
# part in the result, here on ``w`` alone. On its way it computes the gradient
# of ``prediction`` as well, but it does not keep it, unless you have asked for
# it with ``retain_grad()``. We did:

print(prediction.grad)
print((prediction.grad * x).sum())

# %%
# The errors −2 and −4 give the slopes −2 and −4 (twice the error, and half of
# it for the mean). Multiplied by ``x`` and added up, they are the −10 of ``w``.
# This is the chain rule at work.

# %%
# .. check::

assert x.grad is None, "x does not require a gradient"
assert w.grad == -10, "w does"
assert prediction.grad.tolist() == [-2, -4], "kept with retain_grad"
assert not prediction.is_leaf, "the result of a product"
assert not loss.is_leaf, "the result of a mean"

# %%
# .. _update-makes-a-new-tensor:
#
# When the gradient is None
# -------------------------
# It is easy to lose a leaf. This line is meant to make three small random
# weights. But it makes a *new* tensor, the result of a product:

small = torch.randn(3, requires_grad=True) * 0.01
small.sum().backward()
# collect the warnings in caught instead of printing them
with warnings.catch_warnings(record=True, action="always") as caught:
    lost = small.grad
print("leaf:", small.is_leaf, "  grad:", lost)
print(str(caught[0].message).split(". ")[0])

# %%
# The gradient has gone to the tensor that ``randn`` made, before the
# multiplication by 0.01. It has no name in your code, so you cannot use it as a
# weight. You get ``None`` and a warning. Ask for the gradient last:

small = (torch.randn(3) * 0.01).requires_grad_()
small.sum().backward()
print("leaf:", small.is_leaf, "  grad:", small.grad)

# %%
# The next line is meant to move a weight. It makes a new tensor as well:

moved = w - 0.1 * w.grad
print("leaf:", moved.is_leaf, "  value:", moved.item())

# %%
# ``moved`` has the right value, but it is not a leaf, so the next
# ``backward()`` leaves no gradient on it, and there is nothing to take the next
# step with. Move a weight in place, under ``no_grad``, as in the loop above.

# %%
# .. check::

assert lost is None, "the result of a product has no gradient"
assert len(caught) == 1, "reading the gradient warns"
assert small.is_leaf, "asked for last, it is a leaf"
assert small.grad.tolist() == [1, 1, 1], "and it has a gradient"
assert moved == 1, "the right value"
assert not moved.is_leaf, "w - ... is a new tensor"

# %%
# Recipe
# ------
# A training loop that takes one step for every four parts:

import torch

x = torch.randn(80, 3)
y = x @ torch.tensor([1.0, 2.0, 3.0])
weights = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.1)

for _ in range(40):
    optimizer.zero_grad()
    for x_part, y_part in zip(x.chunk(4), y.chunk(4), strict=True):
        loss = ((x_part @ weights - y_part) ** 2).mean()
        (loss / 4).backward()  # adds to the gradient
    optimizer.step()
print(weights)

# %%
# .. check::

assert torch.allclose(weights, torch.tensor([1.0, 2.0, 3.0]), atol=0.05), (
    "it finds the weights"
)

# %%
# What you learned
# ----------------
# - ``backward()`` adds to ``grad``. Clear the gradients before the next
#   ``backward()``.
# - ``zero_grad()`` sets ``None``, and an optimizer skips weights whose gradient
#   is ``None``.
# - Equal parts of a batch add up to its gradient if each loss is divided by the
#   number of parts, as long as no layer mixes the images of a batch.
# - A gradient is kept on the leaves of the calculation that require it, and
#   elsewhere after ``retain_grad()``.
# - An operation makes a new tensor: use ``requires_grad_()`` last, and change
#   weights in place.
#
# Exercises
# ---------
# 1. **Predict.** ``a`` is 2 and requires a gradient. You call ``(a *
#    a).backward()`` twice and ``(3 * a).backward()`` once. What is ``a.grad``?
#    Then you set ``a.grad = None`` and call ``(5 * a).backward()``. What is it
#    now?
# 2. **Change.** Split the 200 images into parts of 80, 80 and 40. Show that
#    dividing each loss by 3 does not give the gradient of the whole batch, and
#    find the factors that do.
# 3. **Extend.** With :term:`momentum`, an optimizer keeps a sum. In each step
#    it multiplies the sum by 0.9 and adds the new gradient. Then the weight
#    moves against this sum, times the learning rate. Take one step of
#    ``torch.optim.SGD([w], lr=0.1, momentum=0.9)`` with a gradient of 1 (call
#    ``w.backward()``), clear the gradient, and call ``step()`` again. Compare
#    ``zero_grad()`` with ``zero_grad(set_to_none=False)``, which writes zeros,
#    as PyTorch did before version 2.0.

# %%
# .. answer:: 1
#
#    The derivative of a·a is 2a = 4, and it is added twice, then 3. That makes
#    11. After the clearing it is 5.

a = torch.tensor(2.0, requires_grad=True)
(a * a).backward()
(a * a).backward()
(3 * a).backward()
total = a.grad.item()
a.grad = None
(5 * a).backward()
print(total, a.grad.item())

# %%
# .. check::

assert total == 11, "4 + 4 + 3"
assert a.grad == 5, "cleared before"

# %%
# .. answer:: 2
#
#    The loss of each part is a mean over its own images, so it counts by its
#    share of the batch: 80/200, 80/200 and 40/200. Division by 3 gives the 40
#    images of the last part too much weight.

sizes = [80, 80, 40]
gradients = {}
for way in ["thirds", "shares"]:
    weights = torch.zeros(784, requires_grad=True)
    for x_part, y_part in zip(
        images.split(sizes), targets.split(sizes), strict=True
    ):
        loss = ((x_part @ weights - y_part) ** 2).mean()
        factor = 1 / 3
        if way == "shares":
            factor = len(x_part) / 200
        (factor * loss).backward()
    gradients[way] = weights.grad
print("thirds:", torch.allclose(gradients["thirds"], whole, atol=1e-5))
print("shares:", torch.allclose(gradients["shares"], whole, atol=1e-5))

# %%
# .. check::

assert torch.allclose(gradients["shares"], whole, atol=1e-5), "by their shares"
assert not torch.allclose(gradients["thirds"], whole, atol=1e-5), "not thirds"

# %%
# .. answer:: 3
#
#    In the first step the sum is 1, and the weight moves by 0.1 · 1 = 0.1. A
#    zero is a gradient like any other. So with zeros the sum becomes 0.9 · 1 +
#    0, and the weight moves on, to 0.81. ``None`` means that there is no
#    gradient, and the optimizer skips the weight.


def two_steps(to_none):
    w = torch.tensor(1.0, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    w.backward()  # the derivative of w itself is 1
    optimizer.step()
    after_one = w.item()
    optimizer.zero_grad(set_to_none=to_none)
    optimizer.step()
    print(f"grad {w.grad}:  {after_one:.2f}, then {w.item():.2f}")
    return w.item()


with_zeros = two_steps(to_none=False)
with_none = two_steps(to_none=True)

# %%
# .. check::

assert abs(with_zeros - 0.81) < 1e-6, "with zeros it moves on"
assert abs(with_none - 0.9) < 1e-6, "with None the weight stays"

# %%
# .. earlier::
#
#    Older notes print zeros after ``zero_grad()``. Since PyTorch 2.0 it sets
#    ``None``. Older notes also say that every tensor, or every leaf, has a
#    gradient after ``backward()``. It is every leaf that requires one and took
#    part in the result.
