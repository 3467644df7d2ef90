"""
Gradients and autograd
======================

If I change a number a little, how fast does the result change?

To train a network is to change its numbers so that the loss gets smaller. For
each number you need to know whether a little more of it makes the loss larger
or smaller, and how fast. You can find out by trying, or with the rules from
school, or you can let PyTorch do it. In this lesson you do all three, and they
agree.

After this lesson you can

- find a slope with a nudge, with the chain rule and with ``backward()``
- say what the sign and the size of a gradient tell you
- notice a nudge that is too small and a step that is too large, which raise no
  error
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets, plots

# %%
# A nudge
# -------
# Here is a very small model. It multiplies an input ``x`` by a weight ``w`` and
# adds ``b``. The result should be 5. The loss ``L`` is the squared distance
# from 5:
#
# .. math:: L = (w \cdot x + b - 5)^2
#
# For w = 2, x = 3 and b = 1, work out the loss in your head before you run the
# cell.


def loss(w, x, b):
    return (w * x + b - 5) ** 2


print(loss(2, 3, 1))

# %%
# The model says 7, which is 2 too many, and 2 squared is 4. Would a larger
# ``w`` make the loss larger or smaller, and how fast? Try it. Make ``w`` larger
# by 0.001, a *nudge*, and see how far the loss moves:

nudge = 0.001
print(loss(2 + nudge, 3, 1))
slope_w = (loss(2 + nudge, 3, 1) - loss(2, 3, 1)) / nudge
print(f"slope for w: {slope_w:.3f}")

# %%
# The loss rose from 4 to about 4.012. It moved about 12 times as far as ``w``.
# This number is the *slope* of the loss for ``w``. It is positive, so a larger
# ``w`` makes the loss larger. The other two numbers can be nudged in the same
# way, always one at a time:

slope_x = (loss(2, 3 + nudge, 1) - loss(2, 3, 1)) / nudge
slope_b = (loss(2, 3, 1 + nudge) - loss(2, 3, 1)) / nudge
print(f"slope for x: {slope_x:.3f}")
print(f"slope for b: {slope_b:.3f}")

# %%
# The slopes are about 12, 8 and 4. A smaller nudge would bring them closer to
# these numbers, up to a point that comes later.

# %%
# .. check::

assert loss(2, 3, 1) == 4, "the loss is 4"
assert abs(loss(2 + nudge, 3, 1) - 4.012) < 1e-4, "it rises to 4.012"
assert abs(slope_w - 12) < 0.01, "the slope for w is about 12"
assert abs(slope_x - 8) < 0.01, "the slope for x is about 8"
assert abs(slope_b - 4) < 0.01, "the slope for b is about 4"

# %%
# By hand
# -------
# School has a rule for this, the chain rule. Give the inner part a name, the
# error e = w·x + b − 5, so that L = e². If ``w`` grows a little, ``e`` grows x
# times as much. If ``e`` grows a little, ``L`` grows 2e times as much, because
# 2e is the derivative of e². One change sets off the next, so the two rates are
# multiplied:
#
# .. math::
#
#    \frac{dL}{dw} = \frac{dL}{de} \cdot \frac{de}{dw} = 2e \cdot x
#
# For ``x`` the second factor is w, and for ``b`` it is 1. With the numbers from
# above:

error = 2 * 3 + 1 - 5
print("error:", error)
print("for w:", 2 * error * 3)
print("for x:", 2 * error * 2)
print("for b:", 2 * error * 1)

# %%
# These are the 12, 8 and 4 that the nudges came close to. The first factor, 2e
# = 4, is in all three of them, so it has to be computed only once.

# %%
# .. check::

assert error == 2, "the error is 2"


# %%
# .. _requires-grad-underscore:
#
# By autograd
# -----------
# PyTorch can apply the chain rule for you. This part of it is called
# :term:`autograd`. You say which tensors you want slopes for, with
# ``requires_grad=True``, and then you calculate as always. After that,
# ``backward()`` works out the slopes of the result, and each tensor has its own
# in ``grad``.

w = torch.tensor(2.0, requires_grad=True)
x = torch.tensor(3.0, requires_grad=True)
b = torch.tensor(1.0, requires_grad=True)

result = loss(w, x, b)
result.backward()
print("loss:", result.item())
print("slopes:", w.grad, x.grad, b.grad)

# %%
# The same numbers again: 12, 8 and 4. All the slopes of one result together are
# called its :term:`gradient`. (If a tensor exists already,
# ``w.requires_grad_()`` asks for the slopes later. The underscore at the end
# says that it changes ``w`` itself.)
#
# How did PyTorch do it? It does not nudge anything, and it does not know your
# formula. While ``loss`` ran, autograd recorded each operation: a product, a
# sum, a difference, a square. It knows the derivative of each of them.
# ``backward()`` goes through this record from the result back to the start, and
# multiplies as you did by hand. What this record looks like is the subject of
# :doc:`/lessons/autograd/04_graph`.

# %%
# .. check::

assert w.grad == 12, "autograd finds 12"
assert x.grad == 8, "autograd finds 8"
assert b.grad == 4, "autograd finds 4"

# %%
# A gradient is a rate
# --------------------
# A slope of 12 does not say that the loss will rise by 12. It is a rate, as a
# speed is: how fast the loss rises at this place. For a step of ``w``, it
# predicts a change of 12 times the step. Compare that with the real change, for
# steps of three sizes:

for step in [0.01, 0.1, 1.0]:
    change = loss(2 + step, 3, 1) - loss(2, 3, 1)
    print(f"step {step}: predicted {12 * step:.2f}, real {change:.2f}")

# %%
# The figure shows why the prediction gets worse. The curve is the loss for each
# ``w``, and the straight line has the slope 12.
#
# .. alt:: The loss against w: a parabola that is 0 at w = 1.33. A dashed line
#    of slope 12 touches it at w = 2, where the loss is 4. At w = 3 the line has
#    reached 16, and the curve 25.

# %%
# .. drawing::

places = torch.linspace(0, 3.2, 65)
figure, axis = plt.subplots(figsize=(4.8, 3.2), layout="constrained")
axis.plot(places.numpy(), loss(places, 3, 1).numpy(), label="loss")
line = torch.tensor([1.67, 3.2])
axis.plot(line.numpy(), (4 + 12 * (line - 2)).numpy(), "--", label="slope 12")
axis.plot([2], [4], "o", color="black")
axis.set(xlabel="w", ylabel="loss", xlim=(0, 3.2), ylim=(0, 28))
axis.legend()

# %%
# Near w = 2 the line and the curve can hardly be told apart. At w = 3 the line
# is at 16 and the loss at 25. So a gradient belongs to *one point*, and it
# predicts well only for small steps.

# %%
# .. check::

assert abs(loss(2.01, 3, 1) - 4 - 0.12) < 0.002, "0.12, nearly as predicted"
assert loss(3, 3, 1) == 25, "at w = 3 the loss is 25"


# %%
# On real data
# ------------
# What would make this handwritten 9 look more like a 4? In
# :doc:`/lessons/tensors/09_broadcasting` we compared an image with the mean of
# each digit. As the *score* of the 4 we take the squared distance between the
# image and the mean 4, with a minus sign: the closer they are, the larger the
# score. This time the numbers that could change are the 784 pixels. Autograd
# finds a slope for each of them, with one call of ``backward()``.

train, test = datasets.mnist()
mean_4 = train.x[train.y == 4].mean(dim=0)  # (1, 28, 28)

image = test.x[0].clone().requires_grad_()  # (1, 28, 28)
score = -((image - mean_4) ** 2).sum()
score.backward()
print(f"score: {score.item():.1f}")
print("slopes:", tuple(image.grad.shape))

# %%
# The gradient has the shape of the image, so it can be shown as an image.
#
# .. alt:: Three pictures. A handwritten 9. The blurred mean of all 4s. The
#    gradient: blue along the arc at the top of the 9 and at its foot, red along
#    the inside of the loop, where the mean 4 has strokes.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.5), layout="constrained")
axes[0].imshow(image.detach()[0].numpy(), cmap="gray")
axes[0].set(title="the image", xticks=[], yticks=[])
axes[1].imshow(mean_4[0].numpy(), cmap="gray")
axes[1].set(title="mean 4", xticks=[], yticks=[])
shown = axes[2].imshow(image.grad[0].numpy(), cmap="RdBu_r", vmin=-2, vmax=2)
axes[2].set(title="gradient", xticks=[], yticks=[])
figure.colorbar(shown, ax=axes[2], shrink=0.8, label="slope of the score")

# %%
# Where the gradient is red, more ink (white, in these images) would raise the
# score. This is so on the inside of the loop, where the mean 4 has strokes and
# the 9 has none. Where it is blue, less ink would raise the score. This is so
# along the arc at the top, where a 4 is open, and at the foot, which reaches
# further down than that of the mean 4.
#
# The chain rule gives the slope of a pixel by hand, too: it is 2 · (mean −
# pixel). (``detach()``, from :doc:`/lessons/tensors/12_numpy_bridge`, gives the
# numbers without the recording.) And one pixel can be nudged. We take the
# bluest one, whose row and column :func:`torch.unravel_index` finds. The three
# ways agree:

row, column = torch.unravel_index(image.grad[0].argmin(), (28, 28))
by_hand = 2 * (mean_4 - image.detach())
nudged = image.detach().clone()
nudged[0, row, column] += 0.01
moved = -((nudged - mean_4) ** 2).sum() - score.detach()
print(f"nudge:    {moved.item() / 0.01:.2f}")
print(f"by hand:  {by_hand[0, row, column].item():.2f}")
print(f"autograd: {image.grad[0, row, column].item():.2f}")

# %%
# To nudge all the pixels you would have to compute 784 more scores.
# ``backward()`` went back once. In a network with a million weights, this is
# what makes training possible.

# %%
# .. check::

assert test.y[0] == 9, "the image is a 9"
assert image.grad.shape == (1, 28, 28), "a slope for each pixel"
assert torch.allclose(image.grad, by_hand, atol=1e-5), "by hand = autograd"
assert abs(moved / 0.01 - image.grad[0, row, column]) < 0.1, "and the nudge"

# %%
# What goes wrong
# ---------------
# **A nudge that is too small.** In theory, a smaller nudge is better. Try it
# with tensors, whose numbers have about seven digits:

w = torch.tensor(2.0)
for nudge in [0.01, 0.001, 1e-6, 1e-8]:
    slope = (loss(w + nudge, 3, 1) - loss(w, 3, 1)) / nudge
    print(f"nudge {nudge}: slope {slope.item():.2f}")

# %%
# The last slope is 0, and there is no error. Two plus a hundred-millionth has
# too many digits for ``float32``, so it is rounded to 2 and nothing is nudged.
# A millionth suffers from rounding as well. So use nudges to check a gradient,
# with a moderate size, and ``backward()`` to compute it.
#
# **A step that is too large.** The gradient is 12, so a smaller ``w`` makes the
# loss smaller. How much smaller should ``w`` be? It is tempting to subtract the
# gradient, but then the step is far too large:

print("before:       ", loss(2, 3, 1))
print("w - 12:       ", loss(2 - 12, 3, 1))
print("w - 0.1 * 12: ", round(loss(2 - 0.1 * 12, 3, 1), 2))

# %%
# The loss went from 4 to 1,156, though we went in the right direction. The
# gradient is a rate and has to be multiplied by a small number, the
# :term:`learning rate`. With 0.1 the loss gets smaller. (With 0.12 it would
# already rise, from 4 to 5.38. How small is small enough depends on the loss.)

# %%
# .. check::

assert (loss(w + 1e-8, 3, 1) - loss(w, 3, 1)) == 0, "nothing was nudged"
assert abs((loss(w + 0.001, 3, 1) - loss(w, 3, 1)) / 0.001 - 12) < 0.1, (
    "a thousandth is a good nudge"
)
assert abs((loss(w + 1e-6, 3, 1) - loss(w, 3, 1)) / 1e-6 - 12) > 0.1, (
    "a millionth is not"
)
assert loss(2 - 12, 3, 1) == 1156, "the whole step is too large"
assert loss(2 - 0.1 * 12, 3, 1) < 4, "a tenth of it is not"
assert abs(loss(2 - 0.12 * 12, 3, 1) - 5.38) < 0.01, "a little more is"

# %%
# Recipe
# ------
# A gradient by autograd, and a nudge that checks one number of it. For the
# check, take a tensor of ``float64``, which has more digits:

import torch


def function(x):
    return (x**3).sum()


x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
function(x).backward()
print("autograd:", x.grad)

nudged = x.detach().clone()
nudged[1] += 1e-6
moved = function(nudged) - function(x.detach())
print("nudge:   ", moved / 1e-6)

# %%
# .. check::

assert x.grad.tolist() == [3, 12], "the derivative of x**3 is 3 x**2"
assert abs(moved / 1e-6 - 12) < 1e-3, "the nudge agrees"

# %%
# What you learned
# ----------------
# - A slope says how fast a result changes when one number grows. All the slopes
#   of a result are its gradient.
# - Set ``requires_grad=True``, calculate, call ``backward()`` and read
#   ``grad``.
# - The chain rule multiplies rates. Autograd applies it to the operations that
#   it recorded.
# - A gradient is valid for small steps: multiply it by a small learning rate.
#
# Exercises
# ---------
# 1. **Predict.** The same loss, at w = 1, x = 3 and b = 1. What are the three
#    slopes, and should ``w`` become larger or smaller?
# 2. **Change.** Nudge ``w`` to both sides: take the loss at w + h and at w − h,
#    and divide the difference by 2h. How good is this for ``h = 0.1``, and for
#    ``h = 1``? Compare it with the nudge to one side.
# 3. **Extend.** Change the 9 in small steps along the gradient until it is
#    closer to the mean 4 than to the mean 9. The recipe in
#    :doc:`/lessons/tensors/11_in_place` shows how to take a step. How much does
#    a pixel change on average?

# %%
# .. answer:: 1
#
#    The error is 3 + 1 − 5 = −1, so the first factor is −2. The slopes are −6
#    for ``w``, −2 for ``x`` and −2 for ``b``. The slope for ``w`` is negative,
#    so ``w`` should become larger.

w = torch.tensor(1.0, requires_grad=True)
x = torch.tensor(3.0, requires_grad=True)
b = torch.tensor(1.0, requires_grad=True)
loss(w, x, b).backward()
print(w.grad, x.grad, b.grad)

# %%
# .. check::

assert w.grad == -6, "-2 times 3"
assert x.grad == -2, "-2 times 1"
assert b.grad == -2, "-2 times 1"

# %%
# .. answer:: 2
#
#    For this loss it is exact for every h. The curve rises above its straight
#    line by the same amount on both sides, so the difference cancels it. (For a
#    curve that is not a parabola a small error remains. With small nudges it is
#    smaller than that of the nudge to one side.)

for h in [0.1, 1.0]:
    one_side = (loss(2 + h, 3, 1) - loss(2, 3, 1)) / h
    both_sides = (loss(2 + h, 3, 1) - loss(2 - h, 3, 1)) / (2 * h)
    print(f"h {h}: one side {one_side:.1f}, both sides {both_sides:.1f}")

# %%
# .. check::

assert abs((loss(3, 3, 1) - loss(1, 3, 1)) / 2 - 12) < 1e-6, "exact for h = 1"
assert loss(3, 3, 1) - loss(2, 3, 1) == 21, "one side says 21"

# %%
# .. answer:: 3
#
#    Each step *follows* the gradient, because the score is to rise.
#    ``image.grad = None`` removes the old gradient; the next lesson says why. A
#    few steps are enough, and the image still looks like a 9: it has become a
#    little darker where a 4 has no ink, and a little brighter where it has
#    some.
#
#    .. alt:: Two pictures: the 9, and the same 9 after the steps, with greyer
#       strokes and faint traces of a 4.

mean_9 = train.x[train.y == 9].mean(dim=0)
image = test.x[0].clone().requires_grad_()
steps = 0
while ((image - mean_4) ** 2).sum() > ((image - mean_9) ** 2).sum():
    score = -((image - mean_4) ** 2).sum()
    score.backward()
    with torch.no_grad():
        image += 0.01 * image.grad
    image.grad = None
    steps += 1
changed = image.detach()
change = (changed - test.x[0]).abs().mean()
print(steps, "steps, mean change of a pixel:", round(change.item(), 3))
pictures = torch.stack([test.x[0], changed])
figure = plots.image_grid(pictures, titles=["before", "after"])

# %%
# .. check::

assert ((changed - mean_4) ** 2).sum() < ((changed - mean_9) ** 2).sum(), (
    "it is closer to the mean 4"
)
assert (changed - test.x[0]).abs().max() < 0.2, "no pixel needs to change much"
assert (changed > test.x[0] + 0.1).any(), "some pixels are brighter"
assert (changed < test.x[0] - 0.1).any(), "others are darker"

# %%
# .. earlier::
#
#    Older notes say that ``requires_grad_()`` without an argument sets the mark
#    to ``False``. It sets it to ``True``. And ``require_grad()``, which some
#    tables list, does not exist.

ones = torch.ones(2)
ones.requires_grad_()
print(ones.requires_grad)

# %%
# .. check::

assert ones.requires_grad, "requires_grad_() sets True"
assert not hasattr(ones, "require_grad"), "there is no require_grad"
