"""
Quantization and the straight-through estimator
===============================================

How can a network learn if its weights may take only three values?

A weight usually takes 4 bytes. If it may only be −1/2, 0 or 1/2, two bits are
enough, and a phone can hold a network that is many times larger. So weights are
rounded to a few values, which is called *quantization*. But rounding has the
slope 0, and with this slope nothing learns. A gradient that is wrong on purpose
helps.

After this lesson you can

- say why nothing learns behind a rounding
- write the straight-through estimator, as a function and in one line
- compare two methods fairly, with several seeds
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
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
# class. ``detach`` cuts the difference out of the graph, so it changes the
# value, but the gradient passes by it:

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
# rounded. We keep the real weight, too, and it is the one that moves. Many
# small steps add up in it until the rounded weight jumps.
#
# The loss is :func:`torch.nn.functional.cross_entropy`. It is small when the
# score of the right digit is the largest by far, and about 2.30 when all ten
# scores are equal. (A later lesson derives it.) Each seed draws 500 training
# images of its own.

pixels = train.x.flatten(1)  # (10000, 784)


def keep(weight):
    return weight


# %%
# ``train_weight`` takes the function that rounds, and returns the weight and
# the losses of 60 steps. With ``keep``, nothing is rounded.


def train_weight(quantize, lr, seed):
    torch.manual_seed(seed)
    chosen = torch.randperm(8000)[:500]
    x = pixels[chosen]
    y = train.y[chosen]
    weight = torch.zeros(784, 10, requires_grad=True)
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(x @ quantize(weight), y)
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
_, smooth = train_weight(keep, 1.0, seed=0)
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
# A fair comparison
# -----------------
# There is a simpler way to a quantized layer: train as usual, and round at the
# end. Is the straight-through estimator better? One training proves little,
# because the seed matters, and the learning rate matters even more. So each
# method gets its own learning rate. We choose it with five seeds and images
# that neither training nor test uses, 8,000 to 9,999 of the training set.


def accuracy(weight, x, y):
    return ((x @ weight).argmax(dim=1) == y).float().mean().item()


def results(lr, seeds, x, y):
    rows = []
    for seed in seeds:
        free, _ = train_weight(keep, lr, seed)
        learnt, _ = train_weight(StraightThrough.apply, lr, seed)
        after = accuracy(three_values(free), x, y)
        during = accuracy(three_values(learnt), x, y)
        rows.append([accuracy(free, x, y), after, during])
    return torch.tensor(rows)  # (seeds, 3)


# %%
# The three columns are: not rounded, rounded after training, and straight
# through. Each row is a learning rate, each number the mean of five seeds.

rates = [0.5, 1.0, 3.0, 4.0, 6.0, 8.0, 12.0]
table = []
for lr in rates:
    found = results(lr, range(5), pixels[8000:], train.y[8000:])
    table.append(found.mean(dim=0))
    print(lr, table[-1])
best = torch.stack(table).argmax(dim=0)
print("best row:", best)

# %%
# Now five new seeds, each method with its own learning rate, and the test
# images, which were not used so far. The number after ± is the standard
# deviation over the seeds.

x_test = test.x.flatten(1)
final = []
for column in range(3):
    lr = rates[best[column]]
    found = results(lr, range(5, 10), x_test, test.y)
    final.append(found[:, column])
names = ["not rounded", "rounded after", "straight through"]
for name, values in zip(names, final, strict=True):
    print(f"{name:16}  {values.mean():.1%} ± {values.std():.1%}")
gain = final[2] - final[1]
print(f"gain {gain.mean():.1%} ± {gain.std() / 5**0.5:.1%} (standard error)")

# %%
# Three values cost a few per cent of accuracy, and training through the
# rounding loses less than rounding afterwards. The gain is the mean of five
# differences, one for each seed. It is several times its standard error, so
# chance alone hardly explains it. It was measured for this small layer, and
# another network may show another gain.

# %%
# .. check::

assert final[0].mean() > final[2].mean(), "three values cost accuracy"
assert final[0].mean() - final[1].mean() < 0.1, "but only a few per cent"
assert gain.mean() > 2 * gain.std() / 5**0.5, "straight through gains"

# %%
# What goes wrong
# ---------------
# It is tempting to keep only the rounded weight: take a step, then round the
# weight itself. It saves memory, and there is no error.

x = pixels[:500]
y = train.y[:500]
only_rounded = torch.zeros(784, 10, requires_grad=True)
losses = []
steps = []
for _ in range(60):
    loss = F.cross_entropy(x @ only_rounded, y)
    loss.backward()
    with torch.no_grad():
        step = 1.0 * only_rounded.grad
        only_rounded.copy_(three_values(only_rounded - step))
        only_rounded.grad = None
    losses.append(loss.item())
    steps.append(step.abs().max().item())
print(f"loss {losses[-1]:.2f}, largest step {max(steps):.2f}")

# %%
# The loss stays at 2.30. Every step is shorter than 0.25, so each weight is
# rounded back to where it came from, 60 times. Keep the real weight, let it
# collect the small steps, and round a copy of it in the forward pass.

# %%
# .. check::

assert abs(losses[-1] - 2.30) < 0.01, "nothing was learnt"
assert max(steps) < 0.25, "each step is too short to reach a new value"

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
weight = torch.rand(4, 3, requires_grad=True)  # the real weight
loss = F.cross_entropy(x @ round_straight_through(weight), y)
loss.backward()
print("slopes that are not 0:", (weight.grad != 0).sum().item(), "of 12")

# %%
# .. check::

assert (weight.grad != 0).sum() == 12, "every weight gets a gradient"

# %%
# What you learnt
# ---------------
# - The slope of a rounding is 0, so nothing that stands before it learns.
# - The straight-through estimator rounds in ``forward`` and passes the gradient
#   on as it is in ``backward``.
# - Its gradient is wrong on purpose. ``gradcheck`` rejects it, and only
#   training shows whether it is useful.
# - Keep the real weight for the small steps, and round it in each forward pass.
# - Choose with some seeds, report with others, and show the spread.
#
# Exercises
# ---------
# 1. **Predict.** Which values and which slopes does ``StraightThrough.apply``
#    give for the weights 0.2, 0.26 and 3?
# 2. **Change.** Allow five values: −1/2, −1/4, 0, 1/4 and 1/2. Train with the
#    straight-through estimator, the learning rate 1 and the seed 0. Is the last
#    loss lower than with three values?
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
#    Yes. With more values, the rounded layer can come closer to the real one.


def five_values(weight):
    rounded = (4 * weight).round().clamp(-2, 2) / 4
    return weight + (rounded - weight).detach()


_, finer = train_weight(five_values, 1.0, seed=0)
print(f"three values {through[-1]:.2f}, five values {finer[-1]:.2f}")

# %%
# .. check::

assert finer[-1] < through[-1], "five values reach a lower loss"

# %%
# .. answer:: 3
#
#    ``backward`` needs the weight now, so it is saved. A weight beyond 3/4
#    stays where it is, instead of moving further and further away.


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

# %%
# .. check::

assert weight.grad.tolist() == [1, 1, 0], "no gradient beyond 3/4"
