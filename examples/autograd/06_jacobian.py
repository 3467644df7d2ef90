"""
backward(v): the vector–Jacobian product
========================================

What does ``backward(v)`` compute when the result is more than one number?

A loss is one number, and ``backward()`` needs no argument. A network that reads
digits returns ten scores, and then ``backward()`` raises an error and wants a
vector. It is easy to guess wrongly what this vector does, because with a square
matrix the wrong guess runs without an error. A table with two rows is enough to
see what is right.

After this lesson you can

- call ``backward`` on a result of several numbers, and predict what arrives
- compute every slope of every output, row by row and with ``jacrev``
- say why networks are trained backward, and when forward is cheaper
"""

# %%
# Setup
# -----

import warnings

import matplotlib.pyplot as plt
import torch
from torch.func import jacfwd, jacrev, jvp
from torch.utils.flop_counter import FlopCounterMode

from handbook import datasets

torch.manual_seed(0)
train, test = datasets.mnist()

# %%
# Two outputs
# -----------
# Square two numbers, and go back from both squares at once.

x = torch.tensor([1.0, 2.0], requires_grad=True)
y = x**2
message = ""
try:
    y.backward()
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# From a single number, ``backward()`` starts with the slope of that number with
# respect to itself, which is 1. The message says that this 1 is created
# *implicitly*, that is, without your asking, and only for a *scalar*. With two
# outputs, PyTorch does not know how much each of them counts. So you have to
# say it, with one number for each output:

v = torch.tensor([1.0, 10.0])
y.backward(v)
print(x.grad)

# %%
# The slopes of the squares are 2·1 = 2 and 2·2 = 4. The first one counts once
# and the second one ten times, which gives 2 and 40. You get the same if you
# first make one number of the two outputs, each multiplied by what it counts:

x.grad = None
weighted = (v * x**2).sum()
weighted.backward()
print(x.grad)

# %%
# This is the whole meaning of ``v``: **it weights the outputs**, and
# ``backward(v)`` returns the gradient of their weighted sum.

# %%
# .. check::

assert "only for scalar outputs" in message, "two outputs need v"
assert x.grad.tolist() == [2, 40], "the weighted sum has the gradient 2, 40"

# %%
# .. _backward-not-jvp:
#
# Rows and columns
# ----------------
# So far, each output came from one input. Now let both outputs use both inputs:
# the first one is :math:`x_0+2x_1`, the second one is :math:`3x_0+4x_1`. The
# matrix product does it in one line.

A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def mix(x):
    return A @ x


print(mix(torch.tensor([1.0, 1.0])))

# %%
# Now there are four slopes: each output has one for each input. Put them into a
# table with a row for each output and a column for each input. This table is
# called the :term:`Jacobian`, :math:`J`, and for ``mix`` it is ``A`` itself,
# because :math:`x_0+2x_1` has the slopes 1 and 2, and so on. But ``x.grad`` has
# room for two numbers only. Which two of the four do you expect from
# :math:`v=(1,0)`, the first row 1, 2 or the first column 1, 3?

for v in (torch.tensor([1.0, 0.0]), torch.tensor([1.0, 10.0])):
    x.grad = None
    mix(x).backward(v)
    print(v.tolist(), "->", x.grad.tolist())

# %%
# It is the first row. The second output counts 0, so all that is left is the
# gradient of the first one. With :math:`v=(1,10)` we get the first row plus ten
# times the second one: 1 + 30 and 2 + 40. In the language of matrices, this is
# :math:`v^TJ` (the small T says that :math:`v` is written as a row, to the left
# of the matrix). It is called the :term:`vector–Jacobian product`.
#
# There is another product, :math:`Jv`, the :term:`Jacobian–vector product`. Its
# vector has one number for each *input*: it says in which direction the inputs
# move, and the result says how far the outputs move with them. The function for
# it is :func:`torch.func.jvp`. It takes the function, the place and the
# direction, the latter two as tuples (a tuple with one entry is written
# ``(place,)``), and returns the output and its movement.
# (The first call of ``jvp`` or ``jacfwd`` makes torch 2.15 warn about an old
# part of its own. The ``with`` line ignores this one kind of warning.)

place = torch.tensor([1.0, 1.0])
direction = torch.tensor([1.0, 0.0])
with warnings.catch_warnings(action="ignore", category=FutureWarning):
    output, movement = jvp(mix, (place,), (direction,))
print(movement)

# %%
# When only :math:`x_0` moves, the first output moves by 1 and the second one by
# 3, and that is the first column.

# %%
# .. check::

assert x.grad.tolist() == [31, 42], "the first row and ten times the second"
assert movement.tolist() == [1, 3], "jvp gives the first column"
assert (torch.tensor([1.0, 0.0]) @ A).tolist() == [1, 2], "v on the left: a row"

# %%
# .. _whole-jacobian:
#
# The whole Jacobian
# ------------------
# One call gives one row, so a loop gives all of them. In each round, ``v`` has
# a single 1, in the place of the output whose row we want. As in the last
# lesson, ``retain_graph`` keeps what the next round needs. Without it, the
# second call would raise an error.


def rows_of(function, x):
    x = x.clone().requires_grad_()
    y = function(x)
    rows = []
    for i in range(len(y)):
        v = torch.zeros(len(y))
        v[i] = 1
        x.grad = None
        y.backward(v, retain_graph=True)
        rows.append(x.grad)
    return torch.stack(rows)


print(rows_of(mix, place))

# %%
# PyTorch has a function that does the same, :func:`torch.func.jacrev`. You give
# it a function, and it returns *another function*, the one that computes the
# Jacobian. That is why there are two pairs of parentheses:

print(jacrev(mix)(place))

# %%
# .. check::

assert rows_of(mix, place).equal(A), "the Jacobian of mix is A"
assert jacrev(mix)(place).equal(A), "jacrev gives the same"

# %%
# On real data
# ------------
# Now a function with more inputs and outputs. This small network takes the 784
# pixels of a digit and returns ten scores, one for each digit; the largest one
# is its answer. It is built like the one in :doc:`/lessons/autograd/04_graph`,
# with ten scores instead of one.

W1 = (0.03 * torch.randn(784, 64)).requires_grad_()
W2 = (0.1 * torch.randn(64, 10)).requires_grad_()


def scores_of(pixels):
    hidden = (pixels @ W1).clamp(min=0)
    return hidden @ W2


# %%
# We train it on 4,000 images, with 1 as the target for the right digit and 0
# for the other nine:

images = train.x[:4000].flatten(1)  # (4000, 784)
targets = (train.y[:4000].unsqueeze(1) == torch.arange(10)).float()

for _ in range(150):
    loss = ((scores_of(images) - targets) ** 2).sum(dim=1).mean()
    loss.backward()
    with torch.no_grad():
        for weight in (W1, W2):
            weight -= 0.05 * weight.grad
            weight.grad = None

answers = scores_of(test.x.flatten(1)).argmax(dim=1)
accuracy = (answers == test.y).float().mean()
print(f"accuracy: {accuracy:.1%}")

# %%
# Take the first test image, a 9. From now on the weights stay as they are, and
# the image is the input that we look at.
#
# Who gives ``v`` to the scores while the network trains? You never wrote one.
# The loss does it. For one image, it is the sum of :math:`(s-t)^2` over the ten
# scores :math:`s` and their targets :math:`t`, so its slope with respect to
# each score is :math:`2(s-t)`. We hand exactly this to the scores ourselves:

W1.requires_grad_(False)
W2.requires_grad_(False)
image = test.x[0].flatten().requires_grad_()  # (784,)
target = (torch.arange(10) == test.y[0]).float()

loss = ((scores_of(image) - target) ** 2).sum()
loss.backward()
from_loss = image.grad

image.grad = None
scores = scores_of(image)
v = 2 * (scores - target).detach()
scores.backward(v)
print("equal:", torch.allclose(from_loss, image.grad, atol=1e-6))

# %%
# All 784 slopes agree. The whole :term:`backward pass` is a relay race: each
# operation receives its ``v`` from the operation after it, multiplies it by its
# own Jacobian, and passes the product on. Large Jacobians are never written
# down.
#
# Sometimes we want to see the whole table, though. Here it has ten rows of 784
# slopes.

jacobian = jacrev(scores_of)(image.detach())  # (10, 784)
print(tuple(jacobian.shape))

# %%
# Each row has a slope for each pixel, so it is a picture. It shows what would
# happen to one score if a pixel got a little more ink.
#
# .. alt:: The outline of a 9 ten times, one for each score, over red and blue
#    pixels. For the score of 4 the top of the loop is blue, and for the score
#    of 9 it is red.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 5, figsize=(6.8, 3.1), layout="constrained")
limit = jacobian.abs().max().item()
for digit, axis in enumerate(axes.flatten()):
    axis.imshow(
        jacobian[digit].reshape(28, 28).numpy(),
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
    )
    axis.contour(
        test.x[0, 0].numpy(), levels=[0.5], colors="black", linewidths=0.6
    )
    axis.set(title=f"score of {digit}", xticks=[], yticks=[])
figure.colorbar(axes[0, 0].images[0], ax=axes, label="slope")

# %%
# Red pixels raise the score, blue pixels lower it. Look at the top of the loop:
# for the 4 it is blue. So the network says that ink at the top speaks against a
# 4, and if we erase it, the score of the 4 should rise. Does it? A change of
# the *inputs* is a direction, so :math:`Jv` predicts the ten scores before
# anything is erased.

erased = test.x[0].clone()
erased[0, 5:11] = 0  # rows 5 to 10 of the picture
push = (erased - test.x[0]).flatten()  # (784,)

predicted = jacobian @ push  # (10,)
after = scores_of(erased.flatten())
measured = after - scores.detach()
print("read before:", scores.argmax(), " read after:", after.argmax())
print("rises most, predicted:", predicted.argmax())
print(f"score of 4: {predicted[4]:.2f} predicted, {measured[4]:.2f} measured")
print(f"score of 9: {predicted[9]:.2f} predicted, {measured[9]:.2f} measured")

# %%
# Without its top, the 9 is read as a 4, and its score rises as predicted. The
# score of the 9 falls further than predicted, because slopes hold for small
# changes, and erasing is a large one.

# %%
# .. check::

assert 0.85 < accuracy < 0.93, "most digits are read correctly"
assert torch.allclose(from_loss, image.grad, atol=1e-6), "the loss sends v"
assert torch.allclose(
    rows_of(scores_of, image.detach()), jacobian, atol=1e-5
), "the loop and jacrev agree"
assert jacobian[4, 140:308].mean() < 0, "ink at the top speaks against 4"
assert scores.argmax() == 9, "the image is read as a 9"
assert after.argmax() == 4, "without its top it is a 4"
assert predicted.argmax() == 4, "Jv predicts it"
assert measured[9] < predicted[9] - 0.02, "the 9 falls further than predicted"

# %%
# .. _rows-or-columns:
#
# Reverse mode or forward mode
# ----------------------------
# There are two ways to fill the table. ``jacrev`` goes backward and gets one
# *row* in each pass; this is called *reverse mode*. :func:`torch.func.jacfwd`
# moves one input at a time, goes forward and gets one *column* in each pass;
# this is called *forward mode*. The table for our image has 10 rows and 784
# columns, so we expect ten passes against 784. ``FlopCounterMode`` counts the
# multiplications and additions of the matrix products inside its ``with``
# block. We count a single reading of the image first, then both ways.

work = {}
functions = {
    "one reading": scores_of,
    "jacrev": jacrev(scores_of),
    "jacfwd": jacfwd(scores_of),
}
for name, function in functions.items():
    with FlopCounterMode(display=False) as counter:
        function(image.detach())
    work[name] = counter.get_total_flops()
    print(f"{name:11}  {work[name] / work['one reading']:6.1f} readings")

# %%
# ``jacrev`` has to read the image once and then goes back ten times: 11.
# ``jacfwd`` needs one pass for each of the 784 pixels, and two more in the
# count for the scores themselves: 786, more than 70 times as much. The result
# is the same. So go backward where there are fewer outputs, and forward where
# there are fewer inputs (the second exercise). A loss is a single output, and a
# network has thousands of weights as inputs. That is why networks are trained
# backward: one pass gives the slopes of all weights.

# %%
# .. check::

assert work["jacrev"] / work["one reading"] == 11, "once and ten times back"
assert work["jacfwd"] / work["one reading"] == 786, "784 pixels, and two more"
assert work["jacfwd"] > 70 * work["jacrev"], "columns cost 70 times as much"
assert torch.allclose(jacfwd(scores_of)(image.detach()), jacobian, atol=1e-5), (
    "both fill the same table"
)

# %%
# What goes wrong
# ---------------
# "My function has several outputs, so I write ``y.sum().backward()`` and read
# the slopes from ``x.grad``." For the squares this works: each output has only
# one input, so 2 and 4 are all the slopes there are. Do the same with ``mix``:

x.grad = None
(x**2).sum().backward()
print("squares:", x.grad)

x.grad = None
mix(x).sum().backward()
print("mix:    ", x.grad)

# %%
# There is no error, but (4, 6) is the row of neither output. It is the two rows
# added up, 1 + 3 and 2 + 4, because a sum is ``v`` with a 1 everywhere. The
# same happens with ten scores: the sum mixes ten pictures into one. To see one
# output, go back from this output alone, for example ``scores[4].backward()``.
#
# The other mistake is to expect :math:`Jv` from ``backward(v)``. With the
# square matrix ``A``, you get 1, 2 instead of 1, 3, and no message. With ten
# scores and 784 pixels, the shapes differ, and PyTorch tells you.

# %%
# .. check::

assert x.grad.tolist() == [4, 6], "the two rows added up"

# %%
# Recipe
# ------
# Everything in one block:

import torch
from torch.func import jacrev


def area_and_edge(sides):  # (2,) -> (2,)
    return torch.stack([sides[0] * sides[1], 2 * sides.sum()])


sides = torch.tensor([3.0, 5.0], requires_grad=True)
result = area_and_edge(sides)
result.backward(torch.tensor([1.0, 0.0]))  # one number for each output
print(sides.grad)  # the row of the area
print(jacrev(area_and_edge)(sides.detach()))  # all rows

# %%
# .. check::

assert sides.grad.tolist() == [5, 3], "the slopes of the area"
assert jacrev(area_and_edge)(sides.detach()).tolist() == [[5, 3], [2, 2]], (
    "area and edge"
)

# %%
# What you learned
# ----------------
# - The Jacobian has a row for each output and a column for each input.
# - ``backward(v)`` computes :math:`v^TJ`: ``v`` says how much each output
#   counts, and the result has one number for each input.
# - ``jacrev`` fills the Jacobian by rows, ``jacfwd`` by columns. With few
#   outputs, rows are cheaper, and a loss has one output.
# - ``y.sum().backward()`` gives the rows added up. Only where each output has
#   an input of its own does this show every slope, the diagonal of the
#   Jacobian.
#
# Exercises
# ---------
# 1. **Predict.** A function takes a tensor of shape (5,) and returns one of
#    shape (2, 3). What shape must ``v`` have in ``backward(v)``? What shape
#    does the result of ``jacrev`` have?
# 2. **Change.** Now take a function with two inputs and 784 outputs: ``x @ B``,
#    where ``B`` has the shape (2, 784). Which is cheaper here, ``jacrev`` or
#    ``jacfwd``? Count it.
# 3. **Extend.** The gradient of :math:`x^2y` is a function with two outputs, so
#    it has a Jacobian, too: the second derivatives, called the
#    :term:`Hessian`. Work it out on paper at :math:`x=1`, :math:`y=2`, and
#    compare.

# %%
# .. answer:: 1
#
#    ``v`` needs one number for each output, so it has the shape (2, 3). The
#    Jacobian has the outputs first and then the inputs: (2, 3, 5).


def outer(x):
    return x[:2].unsqueeze(1) * x[2:]


five = torch.arange(5.0, requires_grad=True)
outer(five).backward(torch.ones(2, 3))
print(five.grad.shape, jacrev(outer)(five.detach()).shape)

# %%
# .. check::

assert jacrev(outer)(five.detach()).shape == (2, 3, 5), "outputs, then inputs"

# %%
# .. answer:: 2
#
#    ``jacfwd``. Its two columns are two passes, against 784 for the rows. The
#    plain calculation comes on top, once in ``jacrev`` and twice in
#    ``jacfwd``'s count. So it is 785 against 4, about 200 times as much.

B = torch.randn(2, 784)


def widen(x):
    return x @ B


work = {}
functions = {"jacrev": jacrev(widen), "jacfwd": jacfwd(widen)}
for name, function in functions.items():
    with FlopCounterMode(display=False) as counter:
        function(place)
    work[name] = counter.get_total_flops()
print(work)

# %%
# .. check::

assert work["jacrev"] == 785 * 2 * B.numel(), "784 rows, and the calculation"
assert work["jacfwd"] == 4 * 2 * B.numel(), (
    "two columns, and twice the calculation"
)
assert torch.allclose(jacrev(widen)(place), B.T), "by rows"
assert torch.allclose(jacfwd(widen)(place), B.T), "by columns"

# %%
# .. answer:: 3
#
#    The gradient is :math:`(2xy,x^2)`, here 4 and 1. Its slopes are :math:`2y`
#    and :math:`2x` in the first row, :math:`2x` and 0 in the second one, here
#    4, 2 and 2, 0. Where the result is a single number, ``jacrev`` gives the
#    gradient, so ``jacrev`` of ``jacrev`` is the Hessian.
#    (:func:`torch.func.hessian` computes it, too.)


def power(point):
    return point[0] ** 2 * point[1]


point = torch.tensor([1.0, 2.0])
print(jacrev(power)(point))
print(jacrev(jacrev(power))(point))

# %%
# .. check::

assert jacrev(power)(point).tolist() == [4, 1], "the gradient"
assert jacrev(jacrev(power))(point).tolist() == [[4, 2], [2, 0]], "the Hessian"

# %%
# .. earlier::
#
#    Older notes call ``backward(v)`` the Jacobian–vector product. It is the
#    vector–Jacobian product, :math:`v^TJ`. They also say that autograd cannot
#    compute a whole Jacobian. It can, with ``torch.func.jacrev``, since torch
#    2.0, and with ``torch.autograd.functional.jacobian`` since 1.5.
