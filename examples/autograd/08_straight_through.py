"""
Quantization and the straight-through estimator
===============================================

How can a network learn if its weights may take only three values?

In ``float32``, a weight takes 4 bytes. If it may only be −1/2, 0 or 1/2, two
bits (a quarter of a byte) are enough, and a phone can hold a network that is
many times larger. So weights are rounded to a few values, which is called
*quantization*. But rounding has the slope 0, and with this slope nothing
learns. What helps is a gradient that is wrong on purpose.

After this lesson you can

- say why nothing learns behind a rounding
- write the straight-through estimator, as a function and in one line
- compare two methods with several seeds, and say how far the result holds
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.autograd import Function, gradcheck

from handbook import datasets

torch.manual_seed(0)
train, test = datasets.mnist()

# %%
# Rounding is flat
# ----------------
# Our function rounds each weight to the nearest of three values. It doubles the
# weight, rounds to a whole number, keeps it between −1 and 1, and halves it
# again. What slopes do you expect at 0.1, 0.3 and 0.9?


def three_values(weight):
    return (2 * weight).round().clamp(-1, 1) / 2


weight = torch.tensor([0.1, 0.3, 0.9], requires_grad=True)
rounded = three_values(weight)
rounded.sum().backward()
print("rounded:", rounded.tolist())
print("slopes: ", weight.grad.tolist())

# %%
# All slopes are 0, and they are right. Move 0.3 a little, and it is still
# rounded to 0.5. The function is a staircase: flat everywhere, except for the
# jumps, where it has no slope at all. So every gradient that passes through it
# is multiplied by 0.
#
# .. alt:: A staircase of three levels over the weights from −1 to 1, at −0.5, 0
#    and 0.5, and a dashed straight line with the slope 1 through its middle.

# %%
# .. drawing::

line = torch.linspace(-1, 1, 401)
figure, axis = plt.subplots(figsize=(5, 2.8), layout="constrained")
axis.plot(line, three_values(line), label="three_values: slope 0")
axis.plot(line, line, "--", label="what backward assumes: slope 1")
axis.set(xlabel="weight", ylabel="rounded weight")
axis.legend()

# %%
# .. check::

assert rounded.tolist() == [0, 0.5, 0.5], "rounded to the nearest value"
assert weight.grad.tolist() == [0, 0, 0], "all slopes are 0"

# %%
# Straight through
# ----------------
# On the whole, the staircase rises like the dashed line. A larger weight does
# get a larger value sooner or later. So ``forward`` rounds, and ``backward``
# acts as if nothing had been rounded: it passes the :term:`gradient` on as it
# is. This is the *straight-through estimator* (`Bengio and others, 2013
# <https://arxiv.org/abs/1308.3432>`__). We write it as a
# :class:`torch.autograd.Function`; nothing has to be saved, so
# ``setup_context`` is empty.


class StraightThrough(Function):
    @staticmethod
    def forward(weight):
        return three_values(weight)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


weight.grad = None
StraightThrough.apply(weight).sum().backward()
print("slopes:", weight.grad.tolist())

# %%
# The slopes are 1 now. You will often see the same in one line, without a
# class. For ``backward()``, the detached difference is a constant. So it
# changes the value, and the gradient of ``weight`` is still 1:

weight.grad = None
one_line = weight + (three_values(weight) - weight).detach()
one_line.sum().backward()
print("values:", one_line.tolist())
print("slopes:", weight.grad.tolist())

# %%
# In the last lesson such a ``backward`` was a mistake. Here it is on purpose,
# and :func:`torch.autograd.gradcheck` still says that it is not the true
# gradient:

numbers = torch.tensor([0.1, 0.3], dtype=torch.float64, requires_grad=True)
true_gradient = gradcheck(StraightThrough.apply, numbers, raise_exception=False)
print("true gradient:", true_gradient)

# %%
# That verdict is correct. So ``gradcheck`` cannot tell us whether this gradient
# is *useful*. Only training can.

# %%
# .. check::

assert one_line.tolist() == [0, 0.5, 0.5], "the values are rounded"
assert weight.grad.tolist() == [1, 1, 1], "the slopes are 1"
assert not true_gradient, "it is not the true gradient"

# %%
# On real data
# ------------
# One layer reads digits: scores are pixels times weights, and every weight is
# rounded. We keep the weight from before the rounding, too, and it is the one
# that moves. Many small steps add up in it until the rounded weight jumps.
#
# The loss is :func:`torch.nn.functional.cross_entropy`. It is small when the
# score of the right digit is the largest by far, and about 2.30 when all ten
# scores are equal. (A later lesson derives it.)

pixels = train.x.flatten(1)  # (10000, 784)
x_test = test.x.flatten(1)  # (2000, 784)


def not_rounded(weight):
    return weight


def draw(seed):
    torch.manual_seed(seed)
    chosen = torch.randperm(8000)[:500]
    return pixels[chosen], train.y[chosen]


# %%
# ``train_weight`` takes the function that rounds, and returns the weight and
# the losses of 60 steps. Each seed draws 500 training images of its own.


def train_weight(quantize, lr, seed):
    x, y = draw(seed)
    weight = torch.zeros(10, 784, requires_grad=True)
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(x @ quantize(weight).T, y)
        loss.backward()
        with torch.no_grad():
            weight -= lr * weight.grad
            weight.grad = None
        losses.append(loss.item())
    return weight.detach(), losses


# %%
# Three trainings with the same learning rate: rounded as it is, rounded with
# the straight-through estimator, and not rounded at all.

_, flat = train_weight(three_values, 1.0, seed=0)
_, through = train_weight(StraightThrough.apply, 1.0, seed=0)
_, smooth = train_weight(not_rounded, 1.0, seed=0)
print(f"plain {flat[-1]:.2f}, straight through {through[-1]:.2f}")

# %%
# .. alt:: The loss over 60 steps. With plain rounding it stays at 2.30, a flat
#    line. With the straight-through estimator it falls in jumps, to below 0.5.
#    Without rounding it falls smoothly.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.plot(flat, ":", label="plain rounding")
axis.plot(through, label="straight through")
axis.plot(smooth, "--", label="not rounded")
axis.set(xlabel="step", ylabel="loss", ylim=(0, 3))
axis.legend()

# %%
# With plain rounding, nothing happens at all: the loss stays at 2.30. With the
# straight-through estimator, the layer learns. Its loss is rough, because
# weights jump.

# %%
# .. check::

assert flat[-1] == flat[0], "behind a plain rounding, nothing learns"
assert abs(flat[0] - 2.30) < 0.01, "ten equal scores"
assert through[-1] < 1, "straight through, the layer learns"

# %%
# A comparison with several seeds
# -------------------------------
# There is a simpler way to a quantized layer: train as usual, and round at the
# end. Is the straight-through estimator better? One training proves little,
# because the seed matters, and the learning rate matters even more. So each
# method may choose among three learning rates, with five seeds and images that
# neither training nor test uses, 8,000 to 9,999 of the training set.


def accuracy(weight, x, y):
    return ((x @ weight.T).argmax(dim=1) == y).float().mean()


def accuracies(method, lr, seeds, x, y):
    found = []
    for seed in seeds:
        if method == "straight through":
            weight, _ = train_weight(StraightThrough.apply, lr, seed)
        else:
            weight, _ = train_weight(not_rounded, lr, seed)
        if method != "not rounded":
            weight = three_values(weight)
        found.append(accuracy(weight, x, y))
    return torch.stack(found)


# %%
# Then ten new seeds and the test images, which were not used so far. The number
# after ± is the standard deviation over the seeds.

candidates = {
    "not rounded": [0.25, 0.5, 1.0],
    "rounded after": [2.0, 4.0, 8.0],
    "straight through": [4.0, 8.0, 16.0],
}
final = {}
for method, rates in candidates.items():
    means = torch.zeros(3)
    for i, lr in enumerate(rates):
        found = accuracies(method, lr, range(5), pixels[8000:], train.y[8000:])
        means[i] = found.mean()
    lr = rates[means.argmax()]
    final[method] = accuracies(method, lr, range(5, 15), x_test, test.y)
    mean = final[method].mean()
    print(f"{method:16} lr {lr}: {mean:.1%} ± {final[method].std():.1%}")

# %%
# Three values cost about two percentage points, and training through the
# rounding loses less than rounding afterwards. How sure is that? Each seed
# gives one difference between the two methods.

gain = final["straight through"] - final["rounded after"]
error = gain.std() / 10**0.5
print(f"gain {gain.mean():.1%}, standard error {error:.1%}")

# %%
# The *standard error* is the standard deviation divided by the square root of
# the number of seeds. It says how far a mean of ten seeds may be off, for these
# test images. A mean several times as large is hardly chance. But the rival is
# a weak one, because it rounds the weights as they are. In the second exercise
# you give it a better form, and the gain shrinks. And all of this was measured
# for one small layer.

# %%
# .. check::

assert (final["not rounded"] - final["straight through"]).mean() > 0.015, "cost"
assert (final["not rounded"] - final["straight through"]).mean() < 0.025, "two"
assert gain.mean() > 3 * error, "straight through gains"

# %%
# What goes wrong
# ---------------
# It is tempting to keep only the rounded weight: take a step, then round the
# weight itself. It saves memory, and there is no error.


def train_only_rounded(lr, seed):
    x, y = draw(seed)
    weight = torch.zeros(10, 784, requires_grad=True)
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(x @ weight.T, y)
        loss.backward()
        with torch.no_grad():
            weight.copy_(three_values(weight - lr * weight.grad))
            weight.grad = None
        losses.append(loss.item())
    return weight.detach(), losses


kept, losses = train_only_rounded(1.0, seed=0)
print(f"loss {losses[-1]:.2f}, largest weight {kept.abs().max():.2f}")

# %%
# The loss stays at 2.30. Every step is shorter than 0.25, so each weight is
# rounded back to 0, 60 times. A larger learning rate makes weights jump, but
# wildly. These are the test images at 8.0, the learning rate at which the
# straight-through estimator reached more than 80 %:

jumping = []
for seed in range(5):
    weight, _ = train_only_rounded(8.0, seed)
    jumping.append(accuracy(weight, x_test, test.y).item())
print([round(value, 2) for value in jumping])

# %%
# Keep the weight from before the rounding, let it collect the small steps, and
# round a copy of it in the forward pass.

# %%
# .. check::

assert abs(losses[-1] - 2.30) < 0.01, "nothing was learned"
assert kept.abs().max() == 0, "each step was rounded back to 0"
assert max(losses) == min(losses), "all 60 times"
assert max(jumping) < 0.75, "jumping weights learn worse"
assert max(jumping) - min(jumping) > 0.2, "and wildly"
assert final["straight through"].min() > 0.8, "more than 80 %"

# %%
# Recipe
# ------
# The one-line form, in a step of training:

import torch
import torch.nn.functional as F


def round_straight_through(weight):
    rounded = (2 * weight).round().clamp(-1, 1) / 2
    return weight + (rounded - weight).detach()


x = torch.rand(8, 4)
y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
weight = torch.rand(4, 3, requires_grad=True)  # before the rounding
loss = F.cross_entropy(x @ round_straight_through(weight), y)
loss.backward()
print("weights with a gradient:", (weight.grad != 0).sum().item(), "of 12")

# %%
# .. check::

assert (weight.grad != 0).sum() == 12, "every weight gets a gradient"

# %%
# What you learned
# ----------------
# - The slope of a rounding is 0, so nothing that stands before it learns.
# - The straight-through estimator rounds in ``forward`` and passes the gradient
#   on as it is in ``backward``.
# - Its gradient is wrong on purpose. ``gradcheck`` rejects it, and only
#   training shows whether it is useful.
# - Keep the weight from before the rounding for the small steps, and round it
#   in each forward pass.
# - Choose with some seeds, report with others, show the spread, and give the
#   rival its best form.
#
# Exercises
# ---------
# 1. **Predict.** Which values and which slopes does ``StraightThrough.apply``
#    give for the weights 0.2, 0.26 and 3?
# 2. **Change.** Give the rival a better form: before you round, multiply all
#    weights by the same number, so that a share of 0.8, 0.85 or 0.9 of them is
#    rounded to 0 (a weight is rounded to 0 if its size is below 0.25). Choose
#    the share as we chose the learning rate. How large is the gain now?
# 3. **Extend.** A weight of 3 is rounded to 1/2, and a few steps change nothing
#    about that. Write a version that passes the gradient on only where the
#    weight lies between −3/4 and 3/4, and is 0 elsewhere.

# %%
# .. answer:: 1
#
#    The values are 0, 0.5 and 0.5, because 0.26 is nearer to 0.5 than to 0, and
#    3 is cut off. All slopes are 1.

weight = torch.tensor([0.2, 0.26, 3.0], requires_grad=True)
values = StraightThrough.apply(weight)
values.sum().backward()
print(values.tolist(), weight.grad.tolist())

# %%
# .. check::

assert values.tolist() == [0, 0.5, 0.5], "rounded and cut off"
assert weight.grad.tolist() == [1, 1, 1], "straight through"

# %%
# .. answer:: 2
#
#    ``limit`` is the size below which the chosen share of the weights lies. The
#    factor moves it to 0.25, where rounding turns from 0 to 1/2. The share 0.85
#    is the best one. The rival gains, and the mean difference is only between
#    two and three times its standard error.


def fitted(seed, share):
    weight, _ = train_weight(not_rounded, 0.5, seed)
    sizes = sorted(weight.abs().flatten().tolist())
    limit = sizes[int(share * len(sizes))]  # this share is smaller
    return three_values(0.25 * weight / limit)


for share in (0.8, 0.85, 0.9):
    total = 0.0
    for seed in range(5):
        total += accuracy(fitted(seed, share), pixels[8000:], train.y[8000:])
    print(share, f"{total / 5:.1%}")

rival = []
for seed in range(5, 15):
    rival.append(accuracy(fitted(seed, 0.85), x_test, test.y))
still = final["straight through"] - torch.stack(rival)
error = still.std() / 10**0.5
print(f"gain {still.mean():.1%}, standard error {error:.1%}")

# %%
# .. check::

assert 0 < still.mean() < gain.mean(), "a smaller gain"
assert 2 < still.mean() / error < 3, "two to three standard errors"

# %%
# .. answer:: 3
#
#    ``backward`` needs the weight now, so it is saved. A weight beyond 3/4
#    stays where it is. It does not run away, but it cannot come back either. At
#    the learning rate 8 this costs about ten points. But 8 was chosen for the
#    other form. At 4, which the clipped one would choose, it costs less than
#    two:


class Clipped(StraightThrough):
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, grad_output):
        weight = ctx.saved_tensors[0]
        return grad_output * (weight.abs() < 0.75)


weight.grad = None
Clipped.apply(weight).sum().backward()
print(weight.grad.tolist())


def clipped(lr, seeds, x, y):
    found = []
    for seed in seeds:
        learned, _ = train_weight(Clipped.apply, lr, seed)
        found.append(accuracy(three_values(learned), x, y))
    return torch.stack(found)


lost = {}
for lr in (8.0, 4.0):
    found = clipped(lr, range(5, 15), x_test, test.y)
    lost[lr] = final["straight through"] - found
    print(f"clipped, lr {lr}: {found.mean():.1%} ± {found.std():.1%}")

# %%
# .. check::

assert weight.grad.tolist() == [1, 1, 0], "no gradient beyond 3/4"
assert 0.08 < lost[8.0].mean() < 0.13, "about ten points"
assert 0.005 < lost[4.0].mean() < 0.02, "less than two"
assert (
    max(
        (2.0, 4.0, 8.0),
        key=lambda lr: clipped(
            lr, range(5), pixels[8000:], train.y[8000:]
        ).mean(),
    )
    == 4.0
), "4 is the rate that it would choose"
