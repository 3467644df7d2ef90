"""
Creating tensors
================

How do I create a tensor?

A tensor holds numbers, all of one kind, and PyTorch calculates with nothing
else: images, labels, weights and losses are all tensors. Sometimes you have the
numbers already. More often you only know how many you need, where they begin
and end, or that they should be random. There is a function for each case. Most
of them do what their names say, and this lesson also shows the few that do not.

After this lesson you can

- create a tensor from numbers, filled with one value, as a range, or at random
- get the same random numbers again
- notice a tensor that drops your fractions, and a range that is one too long
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# From numbers that you have
# --------------------------
# :func:`torch.tensor` makes a :term:`tensor` of the numbers that you write
# down: of one number, of a list, or of a list of lists.

number = torch.tensor(7)
row = torch.tensor([1, 2, 3])
table = torch.tensor([[1, 2, 3], [4, 5, 6]])
print(number)
print(row)
print(table)

# %%
# Count the brackets that open before the first number: none, one, two. That is
# how many axes the tensor has. An :term:`axis` is a direction in which you can
# walk through the numbers, and the :term:`shape` says how many numbers lie
# along each axis. Which shapes do you expect here?

print(number.shape)
print(row.shape)
print(table.shape)

# %%
# The table has 2 rows of 3 columns. Its shape is (2, 3), because the outer list
# comes first. (``torch.Size`` is PyTorch's name for this tuple of numbers.) The
# row has one axis of length 3, and the single number has no axis at all. A
# tensor without an axis is called a :term:`scalar`, one with one axis a
# :term:`vector`, and one with two axes a :term:`matrix`.
#
# It goes on in the same way. The digits of :doc:`/lessons/start/01_quickstart`
# are a stack of images, which has three axes. Pick one image from the stack,
# one row of pixels from the image, and one pixel from the row: each time, the
# first axis disappears. (``[:, 0]`` takes channel 0 of every image; the lesson
# on indexing explains it.)

train, _ = datasets.mnist()
stack = train.x[:, 0]  # all images, channel 0, the only one: (10000, 28, 28)
image = stack[0]  # (28, 28)
pixels = image[7]  # (28,)
pixel = pixels[10]  # ()
print(stack.shape, image.shape, pixels.shape, pixel.shape)

# %%
# The figure shows the four, from the pixel to the stack.
#
# .. alt:: Four panels. Scalar: one dark square. Vector: a strip of 28 pixels.
#    Matrix: the handwritten 5 that the strip belongs to. Stack: four digits,
#    one behind the other. Above them are the shapes (), (28,), (28, 28) and
#    (10000, 28, 28).

# %%
# .. drawing::

figure, axes = plt.subplots(1, 4, figsize=(5.6, 2.0), layout="constrained")
style = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
titles = ["scalar", "vector", "matrix", "stack"]
for axis, title, part in zip(
    axes, titles, (pixel, pixels, image, stack), strict=True
):
    axis.set_title(f"{title}\n{tuple(part.shape)}", fontsize=9)
    axis.set(xlim=(0, 28), ylim=(28, 0), xticks=[], yticks=[])
axes[0].imshow(pixel.reshape(1, 1).numpy(), extent=(10, 11, 8, 7), **style)
axes[1].imshow(pixels.reshape(1, 28).numpy(), extent=(0, 28, 8, 7), **style)
axes[2].imshow(image.numpy(), extent=(0, 28, 28, 0), **style)
for n in (3, 2, 1, 0):
    place = (12 * n, 12 * n + 28, 28 - 12 * n, -12 * n)
    axes[3].imshow(stack[n].numpy(), extent=place, **style)
    frame = plt.Rectangle((12 * n, -12 * n), 28, 28, fill=False, zorder=0)
    axes[3].add_patch(frame)
axes[3].set(xlim=(0, 64), ylim=(28, -36))

# %%
# All numbers of a tensor are of one kind. Whole numbers stay whole, as above.
# But one number with a decimal point is enough, and all of them get one:

print(torch.tensor([1, 2, 3.5]))

# %%
# The kind is called the :term:`dtype`. The next two lessons are about it. For
# now, remember how the two kinds look when they are printed: ``2`` is a whole
# number, and ``2.`` or ``2.0000`` is a *floating-point number*, which can have
# a fraction.

# %%
# .. check::

assert number.shape == (), "a single number has no axis"
assert row.shape == (3,), "a list has one axis"
assert table.shape == (2, 3), "two rows of three columns"
assert stack.shape == (10_000, 28, 28), "the stack has three axes"
assert image.shape == (28, 28), "an image has rows and columns"
assert pixels.shape == (28,), "a row of an image has 28 pixels"
assert pixel.shape == (), "a pixel is one number"
assert torch.tensor([1, 2, 3.5]).is_floating_point(), "3.5 has a fraction"
assert not table.is_floating_point(), "whole numbers stay whole"

# %%
# Filled with one value
# ---------------------
# Often you know the shape and will calculate the numbers later.
# :func:`torch.zeros` and :func:`torch.ones` take the shape.
# :func:`torch.zeros_like` takes another tensor, and copies its shape and its
# kind. What will be different about the third output?

print(torch.zeros(2, 3))
print(torch.ones(4))
print(torch.zeros_like(table))

# %%
# The third one holds whole numbers, without points, because ``table`` does. The
# first two hold floating-point numbers, which you want in most cases.
# ``torch.full((2, 3), 7.0)`` fills a tensor with any value, and there are
# ``torch.ones_like`` and ``torch.full_like``, too.

# %%
# .. check::

assert torch.zeros(2, 3).is_floating_point(), "zeros makes floating-point 0"
assert torch.ones(4).is_floating_point(), "ones makes floating-point 1"
assert not torch.zeros_like(table).is_floating_point(), "as in the table"
assert torch.zeros_like(table).shape == (2, 3), "the shape of the table"
assert torch.full((2, 3), 7.0).tolist() == [[7, 7, 7], [7, 7, 7]], "all are 7"

# %%
# Ranges
# ------
# :func:`torch.arange` counts like Python's ``range``: start, end, step, and the
# end is left out. :func:`torch.linspace` takes start, end and *how many*, and
# includes both ends. Here both divide the stretch from 0 to 1.

steps = torch.arange(0, 1, 0.25)
points = torch.linspace(0, 1, 5)
print(torch.arange(5))
print(steps)
print(points)

# %%
# Both have a distance of 0.25 from one number to the next, but only
# ``linspace`` gets to the end:
#
# .. alt:: Two rows of dots on a line from 0 to 1, with dashed lines at both
#    ends. arange has four dots, from 0 to 0.75. linspace has five dots, and the
#    last one is at 1.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 1.7), layout="constrained")
axis.plot(steps.tolist(), [1] * 4, "o", markersize=9, color="#0072B2")
axis.plot(points.tolist(), [0] * 5, "o", markersize=9, color="#D55E00")
axis.axvline(0, color="gray", linestyle="--", zorder=0)
axis.axvline(1, color="gray", linestyle="--", zorder=0)
labels = ["linspace(0, 1, 5)", "arange(0, 1, 0.25)"]
axis.set(xlabel="value", yticks=[0, 1], yticklabels=labels, ylim=(-0.5, 1.5))

# %%
# .. check::

assert torch.arange(5).tolist() == [0, 1, 2, 3, 4], "5 is left out"
assert steps.tolist() == [0, 0.25, 0.5, 0.75], "arange leaves out the end"
assert points.tolist() == [0, 0.25, 0.5, 0.75, 1], "linspace includes the end"

# %%
# Random numbers
# --------------
# :func:`torch.rand` draws numbers from 0 up to, but not including, 1, each as
# likely as any other. :func:`torch.randn` draws from the normal distribution,
# whose values lie around 0 and become rarer with the distance: about two in
# three lie between -1 and 1. :func:`torch.randint` draws whole numbers, and
# leaves out the upper end, so this is a die that is thrown ten times:

print(torch.rand(2, 3))
print(torch.randn(2, 3))
print(torch.randint(1, 7, (10,)))

# %%
# (``randint`` and ``full`` want the shape in parentheses. ``(10,)`` is Python's
# way to write a tuple of one number.) A few numbers do not show much, so the
# figure counts 100,000 of each.
#
# .. alt:: Three histograms of 100,000 numbers. rand: flat between 0 and 1.
#    randn: a bell around 0, hardly anything beyond -3 and 3. randint: six bars
#    of equal height, from 1 to 6.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 3, figsize=(5.8, 2.1), layout="constrained")
color = {"color": "#56B4E9", "edgecolor": "0.4"}
axes[0].hist(torch.rand(100_000).numpy(), 20, **color)
axes[1].hist(torch.randn(100_000).numpy(), 40, **color)
places = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
axes[2].hist(torch.randint(1, 7, (100_000,)).numpy(), places, **color)
axes[0].set(title="rand", xlabel="value", ylabel="how many")
axes[1].set(title="randn", xlabel="value")
axes[2].set(title="randint(1, 7)", xlabel="value", xticks=range(1, 7))

# %%
# Random numbers are different each time. A :term:`random seed` makes them
# repeatable: :func:`torch.manual_seed` sets the random number generator to a
# fixed starting point. The number itself has no meaning.

torch.manual_seed(7)
first = torch.randint(1, 7, (10,))
second = torch.randint(1, 7, (10,))
torch.manual_seed(7)
again = torch.randint(1, 7, (10,))
print(first)
print(second)
print(again)

# %%
# The second ten differ from the first ten, because they continue where those
# stopped. After the same seed the same ten come again.

# %%
# .. check::

assert again.equal(first), "the same seed gives the same numbers"
assert not second.equal(first), "the next numbers are others"
assert torch.rand(100_000).min() >= 0, "rand begins at 0"
assert torch.rand(100_000).max() < 1, "rand stays below 1"
assert 0.66 < (torch.randn(100_000).abs() < 1).float().mean() < 0.7, (
    "two in three numbers of randn lie between -1 and 1"
)
assert torch.randint(1, 7, (1000,)).unique().tolist() == [1, 2, 3, 4, 5, 6], (
    "a die has the numbers from 1 to 6"
)

# %%
# On real data
# ------------
# What does a digit look like in a bad photograph? Add random numbers to it, one
# for each pixel. Two ways of creating a tensor meet below: the image comes from
# data, and ``torch.randn`` makes noise of the same shape. The 0.3 says how
# strong the noise is.

noise = 0.3 * torch.randn(28, 28)
noisy = image + noise
pictures = torch.zeros(3, 28, 28)
pictures[0] = image
pictures[1] = noise
pictures[2] = noisy

# %%
# ``pictures`` is a stack with room for three images, and the last three lines
# write an image into each place. :func:`handbook.plots.image_grid` draws the
# stack. You can still read the digit. Images like these are used to test
# whether a network can read the digit, too.
#
# .. alt:: Three pictures: a handwritten 5, light on dark; grey noise; and their
#    sum, a 5 that shines through the noise.

figure = plots.image_grid(pictures, titles=["image", "noise", "sum"], ncols=3)

# %%
# .. check::

assert noise.shape == image.shape, "one random number for each pixel"

# %%
# What goes wrong
# ---------------
# **Whole numbers stay whole.** We have 3 apples, 1 pear and 2 plums, and want
# to know what share of the 6 fruits each kind makes up. So we create a tensor
# of the same shape, and fill it:

counts = torch.tensor([3, 1, 2])
shares = torch.zeros_like(counts)
for i in range(3):
    shares[i] = counts[i] / 6
print(shares)

# %%
# Half of the fruits are apples, but all shares are 0, and there was no error.
# ``zeros_like`` took the kind from ``counts``, so ``shares`` has room for whole
# numbers only. What is written into it loses its fraction. With ``torch.zeros``
# the result is right:

shares = torch.zeros(3)
for i in range(3):
    shares[i] = counts[i] / 6
print(shares)

# %%
# **One too many.** This range should contain 1, 1.1 and 1.2:

too_long = torch.arange(1, 1.3, 0.1)
print(too_long)

# %%
# The end should be left out, and it is there. A computer stores most fractions,
# 1.3 and 0.1 among them, only approximately. Here 1.3 is stored a little too
# large, so (1.3 - 1) / 0.1 comes out a little above 3, and there is a fourth
# number. Use ``arange`` with whole numbers. Where the step is a fraction, use
# ``linspace``, or divide afterwards:

print(torch.linspace(1, 1.2, 3))
print(torch.arange(10, 13) / 10)

# %%
# **A seed at the top is not always enough.** On one device, all of PyTorch's
# random functions draw from the same generator, unless you give them another.
# Here are two versions of a program. In the second one, a line has been added
# that draws one number:

torch.manual_seed(0)
weights = torch.rand(3)
print(weights)

torch.manual_seed(0)
extra = torch.rand(1)
weights_later = torch.rand(3)
print(weights_later)

# %%
# The seed is the same, but the weights have moved by one place: the first
# number went to the new line. To be sure of the numbers that a line draws, set
# the seed right before it. (Or give the line a :class:`torch.Generator` of its
# own: ``generator = torch.Generator().manual_seed(0)``, then
# ``torch.rand(3, generator=generator)``.) And do not expect more than this: on
# another device, or with another version of PyTorch, the same seed may give
# other numbers.
#
# **Empty is not empty.** ``torch.empty(5)`` creates a tensor of five numbers,
# too, but it is :term:`uninitialized`: it holds whatever was in the memory
# before. That saves the time it takes to write zeros, and it is right where you
# write every number yourself before you read any of them. If you forget one,
# you calculate with whatever was there, and that may be another number each
# time. If in doubt, use ``torch.zeros``.

# %%
# .. check::

assert torch.zeros_like(counts).tolist() == [0, 0, 0], "zeros like counts"
assert not torch.zeros_like(counts).is_floating_point(), "they are whole"
assert torch.allclose(shares, torch.tensor([3, 1, 2]) / 6), "the right shares"
assert len(too_long) == 4, "the range is one too long"
assert (1.3 - 1) / 0.1 > 3, "the division gives a little more than 3"
assert len(torch.linspace(1, 1.2, 3)) == 3, "linspace counts right"
assert torch.allclose(torch.arange(10, 13) / 10, torch.linspace(1, 1.2, 3)), (
    "dividing afterwards gives the same numbers"
)
assert weights_later[:2].equal(weights[1:]), "moved by one place"
assert extra == weights[0], "the first number went to the new line"
assert torch.empty(5).numel() == 5, "empty has five numbers"

# %%
# Recipe
# ------
# What you have, and what you write. For a NumPy array there are two ways:
# ``torch.tensor(array)`` copies it, and ``torch.from_numpy(array)`` shares its
# memory; :doc:`/lessons/tensors/12_numpy_bridge` explains the difference.

import torch

torch.manual_seed(0)

x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # numbers
blank = torch.zeros(2, 3)  # a shape
same_shape = torch.zeros_like(x)  # another tensor
indices = torch.arange(10)  # whole numbers, end left out
points = torch.linspace(0, 1, 11)  # two ends, both included
weights = torch.randn(2, 3)  # a bell around 0
throws = torch.randint(1, 7, (10,))  # whole numbers, end left out
print(points)

# %%
# .. check::

assert x.shape == same_shape.shape, "zeros_like takes the shape"
assert blank.shape == weights.shape, "both have the shape (2, 3)"
assert indices[-1] == 9, "arange leaves out the end"
assert points[-1] == 1, "linspace includes the end"
assert throws.max() <= 6, "randint leaves out the upper end"

# %%
# What you learned
# ----------------
# - ``torch.tensor`` takes numbers. The other functions take a shape, another
#   tensor, or the ends of a range.
# - As many brackets open as there are axes, and the shape lists their lengths
#   from the outside to the inside.
# - A tensor of whole numbers drops the fraction of what you write into it.
# - ``arange`` is for whole numbers, ``linspace`` for fractions.
# - A seed repeats random numbers if the same draws follow it in the same order.
#
# Exercises
# ---------
# 1. **Predict.** Which shape does each of these have, and are its numbers
#    whole: ``torch.tensor([[1, 2.0, 3]])``, ``torch.zeros(3, 0)``,
#    ``torch.arange(0, 10, 3)``, ``torch.linspace(0, 1, 1)``?
# 2. **Change.** Draw 100,000 numbers spread evenly between -3 and 5, and
#    100,000 numbers of a bell around 10 that is twice as wide as that of
#    ``torch.randn``. Use nothing but ``torch.rand``, ``torch.randn``, ``+`` and
#    ``*``.
# 3. **Extend.** Create an image of shape (28, 28) that becomes lighter from
#    left to right, from 0 to 1, and a second one that becomes lighter from top
#    to bottom. Write one row at a time.

# %%
# .. answer:: 1
#
#    One number with a point is enough for all three, and two brackets open
#    before the first number, so the shape is (1, 3). An axis may have the
#    length 0: three rows without a number. The range contains 0, 3, 6 and 9,
#    all of them whole. One point from 0 to 1 is the start, 0, with a point.

for result in (
    torch.tensor([[1, 2.0, 3]]),
    torch.zeros(3, 0),
    torch.arange(0, 10, 3),
    torch.linspace(0, 1, 1),
):
    print(tuple(result.shape), result)

# %%
# .. check::

assert torch.tensor([[1, 2.0, 3]]).shape == (1, 3), "two brackets open"
assert torch.tensor([[1, 2.0, 3]]).is_floating_point(), "2.0 has a point"
assert torch.zeros(3, 0).numel() == 0, "three rows without a number"
assert torch.zeros(3, 0).is_floating_point(), "zeros makes floating point"
assert torch.arange(0, 10, 3).tolist() == [0, 3, 6, 9], "10 is left out"
assert not torch.arange(0, 10, 3).is_floating_point(), "all of them are whole"
assert torch.linspace(0, 1, 1).tolist() == [0], "one point is the start"

# %%
# .. answer:: 2
#
#    First stretch, then move. From -3 to 5 is a distance of 8.

even = 8 * torch.rand(100_000) - 3
bell = 2 * torch.randn(100_000) + 10
print(even)
print(bell)

# %%
# .. check::

assert even.min() >= -3, "nothing lies below -3"
assert even.max() <= 5, "nothing lies above 5"
assert abs(even.mean() - 1) < 0.1, "1 is in the middle"
assert abs(bell.mean() - 10) < 0.1, "the bell stands around 10"
assert abs(bell.std() - 2) < 0.1, "the bell is twice as wide"

# %%
# .. answer:: 3
#
#    In the first image, all rows are the same range. In the second one, each
#    row is filled with a single number.

to_the_right = torch.zeros(28, 28)
downwards = torch.zeros(28, 28)
for i in range(28):
    to_the_right[i] = torch.linspace(0, 1, 28)
    downwards[i] = i / 27
print(to_the_right[0])  # a row of the first image
print(downwards[:, 0])  # a column of the second one

# %%
# .. check::

assert torch.allclose(to_the_right[:, 27], torch.ones(28)), "light on the right"
assert to_the_right[:, 0].tolist() == [0] * 28, "dark on the left"
assert downwards[0].tolist() == [0] * 28, "dark at the top"
assert downwards[27].tolist() == [1] * 28, "light at the bottom"

# %%
# .. earlier::
#
#    .. _old-ways-to-make-one:
#
#    Older notes create tensors with ``torch.FloatTensor`` and
#    ``torch.LongTensor``. From a list they do create a tensor, and
#    ``LongTensor`` drops the fractions without a warning. A single whole number
#    is taken for a *length*: ``torch.FloatTensor(3)`` is not the number 3, it
#    is three numbers, uninitialized as with ``torch.empty``. ``torch.Tensor``
#    with a capital T does the same. Deterministic mode makes such memory
#    visible: PyTorch then fills it with ``nan`` ("not a number").

print(torch.LongTensor([1.7]))
print(torch.FloatTensor(3).shape, torch.Tensor(3).shape)

torch.use_deterministic_algorithms(True)
print(torch.FloatTensor(3))
visible = torch.empty(5)
print(visible)
torch.use_deterministic_algorithms(False)

# %%
# .. check::

assert torch.LongTensor([1.7]).tolist() == [1], "the fraction is dropped"
assert torch.FloatTensor(3).shape == (3,), "3 is taken for a length"
assert torch.Tensor(3).shape == (3,), "3 is taken for a length here, too"
assert visible.isnan().all(), "deterministic mode shows uninitialized memory"
