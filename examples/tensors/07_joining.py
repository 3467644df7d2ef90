"""
Joining and splitting: cat, stack, split
========================================

How do I make one tensor out of several, and several out of one?

Images come one by one and a network wants them in a batch. The results of many
batches belong in one table. A data set is divided into a part for training and
a part for checking. Joining needs one decision: do the tensors go one after the
other along an existing axis, or one behind the other along a new one? And it
needs care, because a joined tensor does not know where its rows came from.

After this lesson you can

- join tensors along an axis with ``cat``, or along a new axis with ``stack``
- split a tensor by lengths or into a number of parts
- notice parts that are missing and labels that belong to other images
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# One after the other: cat
# ------------------------
# Here are two small tables. :func:`torch.cat` (short for *concatenate*) takes a
# list of tensors and, as ``dim``, the axis along which they are joined (*dim*
# is PyTorch's word for axis).

a = torch.tensor([[1, 2], [3, 4]])  # (2, 2)
b = torch.tensor([[5, 6], [7, 8]])  # (2, 2)
below = torch.cat([a, b], dim=0)
beside = torch.cat([a, b], dim=1)
print(below)
print(beside)

# %%
# Along axis 0 the rows follow each other, (2, 2) and (2, 2) give
# (4, 2). Along axis 1 the columns do, which gives (2, 4). **cat makes one axis
# longer.** Its lengths are added and may differ, but all other lengths must
# agree. The single row ``c`` fits below ``a``, and it does not fit beside it:

c = torch.tensor([[9, 9]])  # (1, 2)
print(torch.cat([a, c], dim=0))
message = ""
try:
    torch.cat([a, c], dim=1)
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# One behind the other: stack
# ---------------------------
# :func:`torch.stack` joins along a *new* axis. All shapes must be equal, and
# the new axis counts the tensors. So ``stack`` is what makes a batch out of
# images.

both = torch.stack([a, b])
print(both.shape)
print(both[0])

# %%
# The figure shows the three results, with the numbers of ``a`` in blue and
# those of ``b`` in orange.
#
# .. alt:: Three drawings. cat with dim 0 has the blue table a above the orange
#    table b. cat with dim 1 has a to the left of b. stack has a in front and b
#    behind it, like two cards.

# %%
# .. drawing::


def draw_table(axis, left, top, values, color, depth):
    for row, numbers in enumerate(values):
        for column, number in enumerate(numbers):
            x = left + column
            y = top + row
            cell = plt.Rectangle((x, y), 1, 1, fc=color, ec="0.3", zorder=depth)
            axis.add_patch(cell)
            style = {"ha": "center", "va": "center", "zorder": depth}
            axis.text(x + 0.5, y + 0.5, number, **style)


figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.9), layout="constrained")
titles = ["cat, dim=0: (4, 2)", "cat, dim=1: (2, 4)", "stack: (2, 2, 2)"]
places = [(0, 2), (2, 0), (0.75, -0.75)]
for axis, title, place in zip(axes, titles, places, strict=True):
    draw_table(axis, place[0], place[1], b.tolist(), "#E69F00", depth=1)
    draw_table(axis, 0, 0, a.tolist(), "#56B4E9", depth=2)
    axis.set(xlim=(-0.1, 4.1), ylim=(4.1, -0.9), aspect="equal")
    axis.set_title(title, fontsize=10)
    axis.set_axis_off()

# %%
# In a loop, collect the tensors in a list, and join them once at the end. A
# ``cat`` in each round would copy everything joined so far again.

rows = []
for n in range(1, 5):
    rows.append(torch.tensor([n, n * n]))
squares = torch.stack(rows)
print(squares)

# %%
# .. check::

assert below.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]], "rows follow"
assert beside.tolist() == [[1, 2, 5, 6], [3, 4, 7, 8]], "columns follow"
assert torch.cat([a, c], dim=0).shape == (3, 2), "the lengths are added"
assert "Expected size 2 but got size 1" in message, "one row beside two"
assert both.shape == (2, 2, 2), "a new axis of length 2"
assert both[0].equal(a), "the first one is a"
assert squares.tolist() == [[1, 1], [2, 4], [3, 9], [4, 16]], "four rows"

# %%
# Take apart: split and unbind
# ----------------------------
# ``split`` cuts by length. One number is the length of each part, and the last
# part takes what is left. A list gives all lengths, which must add up.

numbers = torch.arange(7)
print(numbers.split(3))
print(numbers.split([2, 5]))

# %%
# ``unbind`` takes a stack apart, one tensor for each position of axis 0, and
# the axis is gone. It is what a ``for`` loop over a tensor does.

print(both.unbind())

# %%
# ``split`` and ``unbind`` take ``dim`` for another axis. And they give
# :term:`views <view>`: a part shares the memory of the whole. ``cat`` and
# ``stack`` give copies, because numbers from several places have to come
# together in one.

part = numbers.split(3)[0]
part[0] = 100
print(numbers)
below[0, 0] = 100
print(a)

# %%
# .. check::

assert [len(part) for part in torch.arange(7).split(3)] == [3, 3, 1], (
    "the last part is shorter"
)
assert [len(part) for part in torch.arange(7).split([2, 5])] == [2, 5], (
    "the lengths of the list"
)
assert both.unbind()[1].equal(b), "the second tensor of the stack"
assert numbers[0] == 100, "a part is a view"
assert a[0, 0] == 1, "cat made a copy"

# %%
# On real data
# ------------
# While a network is trained, one keeps some images aside to check its progress,
# the :term:`validation set`. ``split`` with a list divides images and labels in
# the same places:

train, _ = datasets.mnist()
train_x, val_x = train.x.split([8000, 2000])
train_y, val_y = train.y.split([8000, 2000])
print(train_x.shape, val_x.shape)
print(train_y.shape, val_y.shape)

# %%
# (This is right if the images are in random order, as they are here. If they
# were sorted by digit, the last 2,000 would all be images of an 8 or a 9.)

# %%
# .. check::

assert train_x.shape == (8000, 1, 28, 28), "8,000 to learn from"
assert val_y.shape == (2000,), "2,000 to check"
assert torch.cat([train_x, val_x]).equal(train.x), "nothing is lost"
assert len(val_y.unique()) == 10, "every digit is among the last 2,000"

# %%
# What goes wrong
# ---------------
# **The wrong order.** We want a small set with images of a 1 and of a 7. The
# images are joined in one line and the labels in another:

ones = train.x[train.y == 1]
sevens = train.x[train.y == 7]
images = torch.cat([ones[:4], sevens[:4]])
labels = torch.tensor([7, 7, 7, 7, 1, 1, 1, 1])
print(images.shape, labels.shape)

# %%
# Eight images, eight labels, no error. But the images begin with 1 and the
# labels with 7:
#
# .. alt:: Eight handwritten digits with a label above each. The four images of
#    a 1 have the label 7, and the four images of a 7 have the label 1.

figure = plots.image_grid(images, titles=labels, ncols=8)

# %%
# Every label is wrong. No shape can show that, so look at a few images with
# their labels. It is safer still to pick both with the same mask, as in the
# recipe below.
#
# **A part is missing.** Four people want to read nine digits, and ``chunk(4)``
# cuts a tensor into four parts. Does it?

nine = train.x[:9]
print([len(part) for part in nine.chunk(4)])

# %%
# Three parts, so the fourth person gets nothing. ``chunk`` divides the length
# by the number of parts, rounds *up* to 3, and cuts pieces of this length.
# After three pieces nothing is left. :func:`torch.tensor_split` gives as many
# parts as you ask for, with lengths that differ by 1 at most:

print([len(part) for part in nine.tensor_split(4)])

# %%
# **Different sizes.** Photos from a folder rarely have the same size, and then
# they cannot be stacked. The message names the two shapes:

stack_message = ""
try:
    torch.stack([torch.zeros(3, 20, 30), torch.zeros(3, 18, 24)])
except RuntimeError as error:
    stack_message = str(error)
print(stack_message)

# %%
# The images have to be brought to the same size first. Sentences of different
# lengths are padded with zeros instead.

# %%
# .. check::

assert len(images) == len(labels), "the lengths agree"
assert images[:4].equal(ones[:4]), "the images begin with 1"
assert (labels[:4] == 7).all(), "the labels begin with 7"
assert [len(part) for part in nine.chunk(4)] == [3, 3, 3], "three parts"
assert [len(part) for part in nine.tensor_split(4)] == [3, 2, 2, 2], "four"
assert "[3, 18, 24]" in stack_message, "different sizes cannot be stacked"

# %%
# Recipe
# ------
# A small data set of chosen classes: images and labels are picked together,
# collected in lists, joined once, and split in the same places.

import torch

from handbook import datasets

train, _ = datasets.mnist()
chosen_x = []
chosen_y = []
for digit in [1, 7]:
    mask = train.y == digit
    chosen_x.append(train.x[mask])
    chosen_y.append(train.y[mask])
x = torch.cat(chosen_x)  # (2000, 1, 28, 28)
y = torch.cat(chosen_y)  # (2000,)

order = torch.randperm(len(x))  # (2000,)
train_x, val_x = x[order].split([1600, 400])
train_y, val_y = y[order].split([1600, 400])
print(train_x.shape, val_x.shape, val_y[:8])

# %%
# ``torch.randperm`` gives the positions 0 to 1,999 in random order. Both
# ``x[order]`` and ``y[order]`` use the same one, so the pairs stay together.

# %%
# .. check::

assert x.shape == (2000, 1, 28, 28), "1,000 images of each"
assert train_x.shape == (1600, 1, 28, 28), "1,600 to learn from"
assert (
    torch.cat([train_x[train_y == 7], val_x[val_y == 7]])
    .unique(dim=0)
    .equal(train.x[train.y == 7].unique(dim=0))
), "each seven kept its label"

# %%
# What you learned
# ----------------
# - ``cat`` makes an existing axis longer; ``stack`` makes a new one.
# - In a loop, collect in a list and join once.
# - ``split`` cuts by length, ``tensor_split`` into a number of parts; ``chunk``
#   may give fewer parts than you ask for.
# - Parts are views, joined tensors are copies.
# - Join, shuffle and split images and labels in the same way, and look at some.
#
# Exercises
# ---------
# 1. **Predict.** ``p`` and ``q`` have the shape (2, 3). What shapes do
#    ``torch.cat([p, q])``, ``torch.cat([p, q], dim=-1)``, ``torch.stack([p,
#    q])`` and ``torch.stack([p, q], dim=2)`` have? How long are the parts of
#    ``torch.arange(10).chunk(4)`` and of ``torch.arange(10).chunk(6)``?
# 2. **Change.** Make one picture with a digit of each class, 0 to 4 in the
#    first line and 5 to 9 in the second, with ``cat`` alone.
# 3. **Extend.** To predict a series of numbers, one looks at it through a
#    window. Cut ``torch.arange(10)`` into windows of four numbers, each
#    beginning two numbers after the one before, in a table of shape (4, 4).
#    Compare with ``series.unfold(0, 4, 2)``, which takes the axis, the length
#    of a window and the step. Which of the two copies?

# %%
# .. answer:: 1
#
#    (4, 3), (2, 6), (2, 2, 3) and (2, 3, 2). With 4 parts, 10 / 4 is rounded up
#    to 3, so the lengths are 3, 3, 3, 1. With 6 parts, 10 / 6 is rounded up to
#    2, and there are five parts of 2.

p = torch.zeros(2, 3)
q = torch.ones(2, 3)
print(torch.cat([p, q]).shape, torch.cat([p, q], dim=-1).shape)
print(torch.stack([p, q]).shape, torch.stack([p, q], dim=2).shape)
print([len(part) for part in torch.arange(10).chunk(4)])
print([len(part) for part in torch.arange(10).chunk(6)])

# %%
# .. check::

assert torch.cat([p, q]).shape == (4, 3), "along axis 0"
assert torch.cat([p, q], dim=-1).shape == (2, 6), "along the last axis"
assert torch.stack([p, q]).shape == (2, 2, 3), "a new axis 0"
assert torch.stack([p, q], dim=2).shape == (2, 3, 2), "a new axis 2"
assert [len(part) for part in torch.arange(10).chunk(4)] == [3, 3, 3, 1], (
    "pieces of 3"
)
assert len(torch.arange(10).chunk(6)) == 5, "five parts of 2"

# %%
# .. answer:: 2
#
#    First five images beside each other for each line, along axis 1, then the
#    two lines below each other, along axis 0.

digits = []
for digit in range(10):
    digits.append(train.x[train.y == digit][0, 0])
upper = torch.cat(digits[:5], dim=1)  # (28, 140)
lower = torch.cat(digits[5:], dim=1)  # (28, 140)
picture = torch.cat([upper, lower], dim=0)  # (56, 140)
print(picture.shape)

# %%
# .. drawing::
#
#    .. alt:: The digits 0 to 4 in a line, and below them the digits 5 to 9.

figure, axis = plt.subplots(figsize=(5, 2.4), layout="constrained")
axis.imshow(picture.numpy(), cmap="gray")
axis.set(xlabel="column", ylabel="row")

# %%
# .. check::

assert picture.shape == (56, 140), "two lines of five"
assert picture[28:, 56:84].equal(digits[7]), "the 7 is the third in line two"

# %%
# .. answer:: 3
#
#    The slices are views, and ``stack`` copies them into one table. ``unfold``
#    gives a view with the strides 2 and 1: the next window begins 2 cells
#    further, so neighbouring windows read the same cells.

series = torch.arange(10)
windows = torch.stack([series[i : i + 4] for i in range(0, 7, 2)])
unfolded = series.unfold(0, 4, 2)
print(windows)
print(unfolded.equal(windows), unfolded.stride())
print("stack: ", windows.data_ptr() == series.data_ptr())
print("unfold:", unfolded.data_ptr() == series.data_ptr())

# %%
# .. check::

assert windows[-1].tolist() == [6, 7, 8, 9], "the last window"
assert unfolded.equal(windows), "the same table"
assert unfolded.stride() == (2, 1), "two cells to the next window"
assert unfolded.data_ptr() == series.data_ptr(), "unfold gives a view"
assert windows.data_ptr() != series.data_ptr(), "stack copies"

# %%
# .. earlier::
#
#    Some code writes ``torch.concat``, ``torch.concatenate``, ``torch.hstack``
#    and ``torch.vstack``. These names come from NumPy. The first two are other
#    names for ``cat``; ``hstack`` puts matrices beside each other, ``vstack``
#    below each other (of two rows, ``hstack`` makes one long row).
