"""
Reductions: sums and means along an axis
========================================

How do I get one number for each row of a tensor, or one for each column?

A loss is the mean over a batch, an accuracy is a share of right answers, and a
prediction is the position of the largest score. In all of these, many numbers
become few. The code is short, and only one thing has to be decided: along which
axis. The wrong axis gives numbers, too, so this lesson also shows how to notice
it.

After this lesson you can

- sum, average or find the largest along the axis that you mean, and say
  beforehand which shape comes out
- make each row of a table sum to 1
- find out where a ``nan`` comes from, and prevent it
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets, plots

# %%
# One number for everything
# -------------------------
# Two shops sell bicycles. Each row is a shop, each column is a day, and each
# number says how many bicycles the shop sold on that day.

sold = torch.tensor([[4.0, 0.0, 2.0, 2.0], [0.0, 1.0, 3.0, 0.0]])  # (2, 4)
print(sold)
print("sum: ", sold.sum())
print("mean:", sold.mean())

# %%
# Twelve bicycles in all, and eight numbers, so the mean is 1.5. An operation
# that makes few numbers out of many is called a :term:`reduction`. Without
# further instructions it takes all numbers of the tensor, however many axes
# there are, and the result is a tensor that holds one number.

# %%
# .. check::

assert sold.sum() == 12, "the two shops sold 12 bicycles"
assert sold.mean() == 1.5, "12 bicycles in 8 places are 1.5 each"

# %%
# Along one axis: dim
# -------------------
# How many bicycles were sold on each day, and how many by each shop? For that,
# name an :term:`axis` with ``dim``. Axis 0 counts the shops and axis 1 counts
# the days. Do the sums of the days need ``dim=0`` or ``dim=1``? Decide first,
# then look at the output below.

print(sold.sum(dim=0))
print(sold.sum(dim=1))

# %%
# They need ``dim=0``. Many people expect it to give a sum for each row, because
# axis 0 counts the rows. It is the other way round: **dim names the axis that
# disappears.** Cross it out in the shape, and what is left is the shape of the
# result: (2, 4) without axis 0 is (4,), one sum for each day. Without axis 1 it
# is (2,), one sum for each shop.
#
# .. alt:: The table of two rows and four columns, twice. On the left, arrows
#    run down the columns to the sums 4, 1, 5, 2. On the right, arrows run along
#    the rows to the sums 8 and 4.

# %%
# .. drawing::


def draw_row(axis, x, y, values, color):
    for i, value in enumerate(values):
        box = plt.Rectangle((x + i, y), 1, 1, facecolor=color, edgecolor="0.3")
        axis.add_patch(box)
        axis.text(x + i + 0.5, y + 0.5, f"{value:g}", ha="center", va="center")


arrow = {"arrowstyle": "->", "color": "0.3"}
figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.5), layout="constrained")
for axis in axes:
    for n, row in enumerate(sold.tolist()):
        draw_row(axis, 0, n, row, "#56B4E966")
    axis.set(xlim=(-0.1, 6.1), ylim=(4.1, -0.1), aspect="equal")
    axis.set_axis_off()
draw_row(axes[0], 0, 3, sold.sum(dim=0).tolist(), "#E69F00")
for n in range(4):
    axes[0].annotate("", (n + 0.5, 3), (n + 0.5, 2), arrowprops=arrow)
for n, total in enumerate(sold.sum(dim=1).tolist()):
    draw_row(axes[1], 5, n, [total], "#E69F00")
    axes[1].annotate("", (5, n + 0.5), (4, n + 0.5), arrowprops=arrow)
axes[0].set_title("sum(dim=0): (2, 4) becomes (4,)", fontsize=10)
axes[1].set_title("sum(dim=1): (2, 4) becomes (2,)", fontsize=10)

# %%
# As with indexing, -1 is the last axis, so ``sold.sum(dim=-1)`` is the same as
# ``sold.sum(dim=1)`` here. The other reductions of this lesson take ``dim``,
# too. Not everything that takes ``dim`` is a reduction: ``sold.cumsum(dim=1)``
# gives the running totals of each row and keeps the shape (2, 4).

# %%
# .. check::

assert sold.sum(dim=0).tolist() == [4, 1, 5, 2], "one sum for each day"
assert sold.sum(dim=1).tolist() == [8, 4], "one sum for each shop"

# %%
# The largest, and where it is
# ----------------------------
# Which day was the best one for each shop? Along an axis, ``max`` returns two
# tensors: the largest values, and their positions. ``argmax`` returns the
# positions alone.

most, best_day = sold.max(dim=1)
print("most:    ", most)
print("best day:", best_day)
print("argmax:  ", sold.argmax(dim=1))

# %%
# Positions count from 0, so the first shop had its best day on the first day,
# and the second shop on the third. This is also how a network's answer is read:
# one row of scores for each image, and ``scores.argmax(dim=1)`` is the
# predicted class. (``min`` and ``argmin`` work the same way. All four take one
# axis at a time. If you want the values alone, there are ``amax`` and ``amin``,
# which can also take several axes at once, like ``sum`` and ``mean``.)

# %%
# .. check::

assert most.tolist() == [4, 3], "the most that each shop sold on one day"
assert best_day.tolist() == [0, 2], "the position of each shop's best day"
assert sold.argmax(dim=1).equal(best_day), "argmax gives the same positions"

# %%
# Rows that sum to 1: keepdim
# ---------------------------
# The first shop sold 4 of its 8 bicycles on the first day, which is one half.
# To get such shares for the whole table, divide each row by its own sum. A
# first attempt:

message = ""
try:
    sold / sold.sum(dim=1)
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# The sums have lost their axis: the shape is (2,), and PyTorch cannot tell that
# these two numbers belong to the two rows. ``keepdim=True`` keeps the axis that
# was summed over, with length 1. The shape is then (2, 1), a column that stands
# beside the rows it belongs to. (The next lesson reads the error message word
# by word.)

total = sold.sum(dim=1, keepdim=True)  # (2, 1)
print(total)
share = sold / total  # (2, 4)
print(share)
print("sums:", share.sum(dim=1))

# %%
# Each number was divided by the sum of its row. How PyTorch matches (2, 4) with
# (2, 1) is the subject of :doc:`/lessons/tensors/09_broadcasting`. Until then
# this is enough: **to calculate with the tensor that you reduced, keep the
# axis.**

# %%
# .. check::

assert message, "without keepdim, the shapes do not fit"
assert total.tolist() == [[8], [4]], "the sum of each row, as a column"
assert share[0].tolist() == [0.5, 0, 0.25, 0.25], "4, 0, 2, 2 divided by 8"
assert share[1].tolist() == [0, 0.25, 0.75, 0], "0, 1, 3, 0 divided by 4"
assert share.sum(dim=1).tolist() == [1, 1], "each row sums to 1"

# %%
# On real data
# ------------
# The digits are 10,000 images of 28 × 28 pixels, and each pixel is a number
# from 0 (paper) to 1 (ink). How much ink is on each image? Rows and columns
# have to disappear, so ``dim`` names two axes at once. What is the mean of all
# images, pixel by pixel? Here the axis that counts the images disappears. And
# what share of the images are light, with a mean ink below 0.07?

train, _ = datasets.mnist()
images = train.x.squeeze(1)  # (10000, 28, 28)
ink = images.mean(dim=(1, 2))  # (10000,)
mean_image = images.mean(dim=0)  # (28, 28)
light = (ink < 0.07).float().mean()
print("ink:       ", tuple(ink.shape), "first three:", ink[:3])
print("mean image:", tuple(mean_image.shape))
print(f"images with mean ink below 0.07: {light:.1%}")

# %%
# The last line is worth remembering: ``ink < 0.07`` is a tensor of ``True`` and
# ``False``, and the mean of zeros and ones is a *share*. An :term:`accuracy` is
# calculated in the same way. ``mean`` needs floating-point numbers, so
# ``float()`` stands before it; ``sum`` counts the ``True`` without it.

# %%
# .. check::

assert ink.shape == (10_000,), "one number for each image"
assert mean_image.shape == (28, 28), "one number for each pixel"
assert 0.05 < light < 0.08, "about 7 % of the images are light"

# %%
# What goes wrong
# ---------------
# **Axes of equal length.** In which row of this 7 is the most ink? It is easy
# to think "rows are axis 0" and to write ``dim=0``. The shape cannot warn,
# because an image has as many columns as rows.

seven = images[train.y == 7][0]  # (28, 28)
wrong = seven.sum(dim=0)  # (28,)
right = seven.sum(dim=1)  # (28,)
print("dim=0:", tuple(wrong.shape), "largest at", wrong.argmax().item())
print("dim=1:", tuple(right.shape), "largest at", right.argmax().item())

# %%
# Two answers, both between 0 and 27, and no error. Draw the sums beside the
# image, and you see what each of them counts. The orange lines mark the two
# answers: row 9 is the stroke of the 7, while 15 is a column, not a row.
#
# .. alt:: A handwritten 7. Below it, bars for its 28 columns, from dim=0. To
#    its right, bars for its 28 rows, from dim=1; the longest is at the level of
#    the horizontal stroke of the 7. Two orange lines mark the column and the
#    row with the most ink.

# %%
# .. drawing::

figure, axes = plt.subplots(
    2,
    2,
    figsize=(4.6, 4.6),
    width_ratios=[2, 1],
    height_ratios=[2, 1],
    layout="constrained",
)
place = range(28)
axes[0, 0].imshow(seven.numpy(), cmap="gray", aspect="auto")
axes[0, 0].set(title="image", ylabel="row")
axes[0, 0].axhline(right.argmax().item(), color="#D55E00", linewidth=2)
axes[0, 0].axvline(wrong.argmax().item(), color="#D55E00", linewidth=2)
axes[1, 0].bar(place, wrong.tolist(), color="#0072B2")
axes[1, 0].set(title="sum(dim=0)", xlabel="column", ylabel="ink")
axes[1, 0].set_xlim(-0.5, 27.5)
axes[0, 1].barh(place, right.tolist(), color="#0072B2")
axes[0, 1].set(title="sum(dim=1)", xlabel="ink", ylim=(27.5, -0.5))
axes[1, 1].set_axis_off()

# %%
# Summing a row means adding across its columns, so the columns' axis has to
# disappear: ``dim=1``. Where two axes are of equal length, try the line on a
# small table whose axes are not, as above.
#
# **Not a number.** A third shop was closed on all four days. Here are the
# shares again, and their mean.

closed = torch.zeros(1, 4)
three_shops = torch.cat([sold, closed])  # (3, 4)
shares = three_shops / three_shops.sum(dim=1, keepdim=True)
print(shares)
print("mean:", shares.mean())
print("nan in each row:", shares.isnan().sum(dim=1))

# %%
# In the third row, 0 was divided by 0. Python's own ``0 / 0`` raises an error,
# but with tensors the result is ``nan`` ("not a number"). (Any other number
# divided by 0 gives ``inf``, infinity, or ``-inf``.) A ``nan`` is a value like
# any other, and a sum, a mean or a ``max`` that contains it is ``nan`` as well.
# So one closed shop spoils the mean of all three. The last line says where to
# look: ``isnan`` gives ``True`` for each ``nan``, and ``sum`` counts them along
# the rows. (Searching with ``shares == float("nan")`` finds nothing, because a
# ``nan`` is not equal to itself.)

# %%
# .. check::

assert right.argmax() == 9, "row 9 has the most ink"
assert wrong.argmax() == 15, "column 15 has the most ink"
assert shares.mean().isnan(), "one row of nan spoils the mean of all"
assert shares.max().isnan(), "and the max of all"
assert shares.isnan().sum(dim=1).tolist() == [0, 0, 4], "the third row is nan"

# %%
# The same happens with real data. Before training, inputs are often
# *standardized*: from each column of a table one subtracts its mean, and one
# divides by its *standard deviation*, ``std``, which says how far the values
# typically lie from their mean. Do this with each pixel of the digits. (How one
# mean image is subtracted from all 10,000 images is, again, the subject of the
# next lesson.)

mean = images.mean(dim=0)  # (28, 28)
std = images.std(dim=0)  # (28, 28)
standard = (images - mean) / std  # (10000, 28, 28)
print("mean of all:", standard.mean())
print("nan in the first image:", standard[0].isnan().sum())
print("pixels whose std is 0: ", (std == 0).sum())

# %%
# In the first image, 101 pixels became ``nan``, and 101 pixels have a standard
# deviation of 0. The figure shows where they are.
#
# .. alt:: Three images of 28 by 28 pixels. The mean of all digits is a grey
#    blob in the middle. The standard deviation is a larger blob. In the third
#    image, the pixels at the corners and along the edges are white: their
#    standard deviation is 0.

maps = torch.stack([mean, std, (std == 0).float()])
figure = plots.image_grid(maps, titles=["mean", "std", "std is 0"], ncols=3)

# %%
# At these pixels, in the corners and along the edges, all 10,000 images are
# paper. Each value is equal to the mean, and again 0 was divided by 0. A pixel
# that never changes tells us nothing about the digit, so divide it by 1, and it
# becomes 0 everywhere. (``std == 0`` finds these pixels because their values
# are exactly 0. With other constants it can fail in some shapes; the recipe
# below has a safer way.)

std[std == 0] = 1
standard = (images - mean) / std
print("nan in all images:", standard.isnan().sum())
# abs, because a tiny negative mean would be printed as -0.0000
print(f"mean of all: {standard.mean().abs():.4f}")

# %%
# .. check::

assert standard.isnan().sum() == 0, "no nan is left"
assert standard.mean().abs() < 1e-4, "the mean of all is 0"

# %%
# If numbers are *missing* and therefore ``nan``, as in many tables,
# :func:`torch.nanmean` and :func:`torch.nansum` leave them out. Where you have
# calculated a ``nan`` yourself, look for the division first.
#
# Recipe
# ------
# Standardize the columns of a table, a constant column included. Mean and
# standard deviation come from the training rows alone, and the test rows are
# treated in the same way. A column is constant if its largest and its smallest
# value are equal. Do not look for it with ``column_std == 0``: depending on the
# shape of the table, rounding can leave a tiny number instead of 0, as in
# ``torch.full((10, 1), 0.1).std(dim=0)``.
#
# ``std`` adds up the squared distances from the mean, divides by N − 1, and
# takes the root. The first column of the table below is 160, 180 and 170, so N
# is 3 and this is √((100 + 100 + 0) / 2) = 10. It is N − 1 and not N because
# the numbers lie a little closer to their own mean than to the true one. With
# ``correction=0`` it divides by N, which hardly matters when N is large.

import torch

# centimetres, kilograms, and a column that is always 1
train_rows = torch.tensor([[160.0, 60, 1], [180, 80, 1], [170, 70, 1]])
test_rows = torch.tensor([[190.0, 60, 1]])

column_mean = train_rows.mean(dim=0)  # (3,)
column_std = train_rows.std(dim=0)  # (3,)
constant = train_rows.amax(dim=0) == train_rows.amin(dim=0)  # (3,)
column_std[constant] = 1  # a constant column becomes 0, not nan
train_standard = (train_rows - column_mean) / column_std
test_standard = (test_rows - column_mean) / column_std
print(train_standard)
print(test_standard)

# %%
# .. check::

assert column_std[0] == 10, "the std of 160, 180 and 170"
assert train_standard.isnan().sum() == 0, "no nan in the training rows"
assert train_standard[:, 2].tolist() == [0, 0, 0], "the constant column is 0"
assert torch.allclose(test_standard, torch.tensor([[2.0, -1.0, 0.0]])), (
    "190 cm is 2 std above the mean"
)

# %%
# What you learned
# ----------------
# - ``dim`` names the axis that disappears; cross it out in the shape.
# - ``max`` along an axis returns values and positions, ``argmax`` the
#   positions.
# - Keep the axis with ``keepdim=True`` when you go on calculating with the
#   tensor you reduced.
# - The mean of ``True`` and ``False``, as floating-point numbers, is a share.
# - 0 / 0 is ``nan``, and one ``nan`` spoils every sum, mean and ``max`` that
#   contains it; ``isnan`` finds it.
#
# Exercises
# ---------
# 1. **Predict.** ``x = torch.ones(3, 4, 5)``. Which shapes have
#    ``x.sum(dim=0)``, ``x.mean(dim=(0, 2))`` and ``x.sum(dim=-1,
#    keepdim=True)``? And what is the sum of a tensor that holds no numbers,
#    ``torch.ones(3, 0).sum(dim=1)``?
# 2. **Change.** Which digit is written with the most ink, and which with the
#    least? Make a tensor that holds the mean ink of each of the ten digits, and
#    let a reduction answer.
# 3. **Extend.** There is no ``nan`` left in ``standard``, but one value is
#    almost 100. Find the image and the pixel, look at how many images have ink
#    on that pixel, and decide what you would do. (Without ``dim``, ``argmax``
#    counts through the flattened tensor; give that position and the shape to
#    :func:`torch.unravel_index`, and you get image, row and column.)

# %%
# .. answer:: 1
#
#    Cross out axis 0, then axes 0 and 2; with ``keepdim=True`` the last axis
#    stays, with length 1. A sum of no numbers is 0.

x = torch.ones(3, 4, 5)
print(x.sum(dim=0).shape)
print(x.mean(dim=(0, 2)).shape)
print(x.sum(dim=-1, keepdim=True).shape)
print(torch.ones(3, 0).sum(dim=1))

# %%
# .. check::

assert x.sum(dim=0).shape == (4, 5), "axis 0 disappears"
assert x.mean(dim=(0, 2)).shape == (4,), "axes 0 and 2 disappear"
assert x.sum(dim=-1, keepdim=True).shape == (3, 4, 1), "the axis stays"
assert torch.ones(3, 0).sum(dim=1).tolist() == [0, 0, 0], "nothing sums to 0"

# %%
# .. answer:: 2
#
#    A mask picks the images of one digit, and ``mean`` makes one number of
#    them. The position in the tensor is the digit: a 0 takes the most ink, a 1
#    the least.

ink_of_digit = torch.zeros(10)
for digit in range(10):
    ink_of_digit[digit] = ink[train.y == digit].mean()
print(ink_of_digit)
print("most: ", ink_of_digit.argmax())
print("least:", ink_of_digit.argmin())

# %%
# .. check::

assert ink_of_digit.argmax() == 0, "a 0 takes the most ink"
assert ink_of_digit.argmin() == 1, "a 1 takes the least"

# %%
# .. answer:: 3
#
#    This image is the only one of 10,000 with ink on that pixel, so the
#    standard deviation is tiny, and dividing by it turns a little ink into a
#    huge value. One remedy is a lower limit for the standard deviation:
#    ``clamp(min=0.1)`` raises smaller values to 0.1.

position = torch.unravel_index(standard.argmax(), standard.shape)
image, row, column = position
print(f"largest value: {standard.max():.2f}")
print(f"image {image}, row {row}, column {column}")
with_ink = (images[:, row, column] > 0).sum()
print("images with ink there:", with_ink)

limited_std = images.std(dim=0).clamp(min=0.1)
limited = (images - mean) / limited_std
print(f"largest value now: {limited.max():.2f}")

# %%
# .. check::

assert with_ink == 1, "only one image has ink on that pixel"
assert standard.max() > 90, "the largest value is about 100"
assert limited.max() < 12, "with a lower limit it is about 10"

# %%
# .. earlier::
#
#    .. _fft-flip-isnan:
#
#    Older notes say that PyTorch has no Fourier transform, cannot flip a
#    tensor, and cannot check for infinity or ``nan``. It has ``torch.fft``,
#    ``torch.flip``, ``torch.isinf`` and ``torch.isnan``.

wave = torch.tensor([0.0, 1.0, 0.0, -1.0])
print(torch.fft.fft(wave).abs())  # the one wave, and its mirror image
print(torch.flip(sold, dims=[1]))
print(torch.isinf(1 / sold).sum(), torch.isnan(0 / sold).sum())
