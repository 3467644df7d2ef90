"""
Indexing: slices, masks, gather
===============================

How do I pick the numbers that I want out of a tensor?

One image of a batch, the last column of a table, all the images of a 7, the
score of the right class: nearly every program picks before it calculates.
PyTorch uses square brackets for this, as Python does for lists, but with an
index for each axis. An index that is out of range raises an error. A wrong one
within the range, or a slice that is too long, does not: it picks other numbers,
or fewer, so it helps to know beforehand which shape must come out.

After this lesson you can

- pick rows, columns and blocks, and say which shape comes out
- pick by a condition with a mask, or by position with a list
- take one number from each row with ``gather``, and write one into each row
  with ``scatter_``
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets, plots

# %%
# .. _first-is-zero:
#
# Numbers and slices
# ------------------
# In this table each number says where it stands, counted from 0: 12 is in row
# 1, column 2. The index of the row comes first, then the index of the column.

x = torch.tensor([[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]])  # (3, 4)
print(x)
print("x[1, 2] ", x[1, 2])
print("x[1]    ", x[1])
print("x[:, 0] ", x[:, 0])

# %%
# Counting begins with 0, so the first column is ``x[:, 0]``, and ``x[:, 1]`` is
# the second one. A colon stands for a whole :term:`axis`. At the end it can be
# left out, so ``x[1]`` means ``x[1, :]``.
#
# A *slice* ``a:b`` begins at position ``a`` and stops before ``b``. Negative
# positions count from the end, so -1 is the last one. A third number is the
# step: ``::2`` takes every second position.

print("x[-1]    ", x[-1])
print("x[:, 1:3]", x[:, 1:3].tolist())
print("x[:, ::2]", x[:, ::2].tolist())

# %%
# The orange cells show what four of these lines pick.
#
# .. alt:: The table of three rows and four columns, four times, with the picked
#    cells in orange. x[1] is the middle row. x[:, 0] is the leftmost column.
#    x[:, 1:3] is the block of the two columns in the middle. x[:, ::2] is the
#    first and the third column.

# %%
# .. drawing::


def draw_grid(axis, left, values, shades):
    """Draw a cell for each number, in the shade at the same place."""
    for row, numbers in enumerate(values):
        for column, number in enumerate(numbers):
            x_cell = left + column
            color = shades[row][column]
            cell = plt.Rectangle((x_cell, row), 1, 1, fc=color, ec="0.3")
            axis.add_patch(cell)
            axis.text(x_cell + 0.5, row + 0.5, number, ha="center", va="center")


picks = [x[1], x[:, 0], x[:, 1:3], x[:, ::2]]
titles = ["x[1]", "x[:, 0]", "x[:, 1:3]", "x[:, ::2]"]
figure, axes = plt.subplots(2, 2, figsize=(5.2, 4.2), layout="constrained")
for axis, pick, title in zip(axes.flat, picks, titles, strict=True):
    shades = [["white"] * 4 for _ in range(3)]
    for number in pick.flatten().tolist():
        row, column = divmod(number, 10)
        shades[row][column] = "#E69F00"
    draw_grid(axis, 0, x.tolist(), shades)
    axis.set(xlim=(-0.1, 4.1), ylim=(3.1, -0.1), aspect="equal", title=title)
    axis.set_axis_off()

# %%
# Now compare ``x[1]`` with ``x[1:2]``. Both pick row 1 and nothing else. What
# is the difference?

print(x[1].shape)
print(x[1:2].shape)

# %%
# **A number takes its axis away, a slice keeps it.** This is why
# :doc:`/lessons/start/01_quickstart` passed a single image to the network as
# ``test.x[:1]`` and not as ``test.x[0]``: the network needs the axis that
# counts the images. A number and a slice both look at the same memory as ``x``,
# so writing into the result changes ``x``; masks and lists copy.
# :doc:`/lessons/tensors/06_views` explains it.
#
# ``x[1, 2]`` has lost both axes and is still a tensor, of shape ``()``. To get
# an ordinary Python number out of it, call ``item()``. It refuses more than one
# number:

number = x[1, 2].item()
print(number, type(number))
message = ""
try:
    x[1].item()
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# On an :term:`accelerator`, ``item()`` also has to wait until the number has
# been computed, so keep it out of inner loops.

# %%
# .. check::

assert x[1, 2] == 12, "12 is in row 1, column 2"
assert x[:, 0].tolist() == [0, 10, 20], "the first column has position 0"
assert x[:, 1].tolist() == [1, 11, 21], "position 1 is the second column"
assert x[-1].tolist() == [20, 21, 22, 23], "-1 is the last row"
assert x[:, 1:3].tolist() == [[1, 2], [11, 12], [21, 22]], "3 is left out"
assert x[:, ::2].tolist() == [[0, 2], [10, 12], [20, 22]], "every second one"
assert x[1].shape == (4,), "a number takes its axis away"
assert x[1:2].shape == (1, 4), "a slice keeps it"
assert x[1, 2].shape == (), "no axis is left"
assert message, "item refuses more than one number"

# %%
# A mask picks by condition
# -------------------------
# A comparison gives a tensor of ``True`` and ``False``. Between the brackets,
# such a tensor is a :term:`mask`: it picks the numbers where it is ``True``.

print(x > 11)
print(x[x > 11])

# %%
# The numbers where a mask is ``True`` need not form a rectangle, so the result
# has a single axis. A mask with one value for each row picks whole rows, and
# the other axis stays.
#
# Combine conditions with ``&`` (and), ``|`` (or) and ``~`` (not), and put each
# one in parentheses, because ``&`` binds more tightly than ``>``:
# ``x > 2 & x < 13`` means ``x > (2 & x) < 13``. Python's words ``and`` and
# ``or`` raise an error here, because they need one ``True`` or ``False``, not
# twelve.

print(x[(x > 2) & (x < 13)])
rows = torch.tensor([True, False, True])
print(x[rows])

# %%
# Sometimes the shape should stay. :func:`torch.where` takes two values for each
# position: the first where the condition is true, the second elsewhere. To
# overwrite numbers in a tensor, put the mask on the left of the ``=``.

large = torch.where(x > 11, x, 0)
print(large)
large[large == 0] = -1
print(large)

# %%
# .. check::

assert x[x > 11].tolist() == [12, 13, 20, 21, 22, 23], "one axis"
assert x[(x > 2) & (x < 13)].tolist() == [3, 10, 11, 12], "both conditions"
assert x[rows].shape == (2, 4), "whole rows, the columns stay"
assert large[1].tolist() == [-1, -1, 12, 13], "the zeros were overwritten"
assert x[0].tolist() == [0, 1, 2, 3], "x has not changed"

# %%
# A list picks by position
# ------------------------
# A list, or a tensor of ``int64``, picks positions in any order, and one
# position as often as you like. (A ``uint8`` tensor is still taken for a mask,
# with a warning. Convert it: ``long()`` for positions, ``bool()`` for a mask.)

print(x[[2, 0, 0]])

# %%
# With two lists, what do you expect? Rows 0 and 2, columns 1 and 3: are these
# four numbers, or two?

print(x[[0, 2], [1, 3]])

# %%
# Two. **Lists go in pairs**: the numbers at (0, 1) and at (2, 3). If you want
# the block, pick the rows first and then the columns:

print(x[[0, 2]][:, [1, 3]])

# %%
# .. check::

assert x[[2, 0, 0]][:, 0].tolist() == [20, 0, 0], "any order, also twice"
assert x[[0, 2], [1, 3]].tolist() == [1, 23], "lists go in pairs"
assert x[[0, 2]][:, [1, 3]].tolist() == [[1, 3], [21, 23]], "the block"

# %%
# One number from each row: gather
# --------------------------------
# Often each row has a position of its own. We want column 2 of row 0, column 0
# of row 1 and column 3 of row 2. Write these positions below each other, and
# :func:`torch.gather` picks the numbers, as ``x.gather(1, places)`` or
# ``torch.gather(x, 1, places)``. The 1 says that ``places`` holds positions
# along axis 1.

places = torch.tensor([[2], [0], [3]])  # (3, 1)
print(x.gather(1, places))

# %%
# The index may have several columns, as in the figure. The result has the shape
# of the index, and ``result[i, j]`` is ``x[i, index[i, j]]``. So each number
# comes from its own row, and the index says from which column.

index = torch.tensor([[2, 0], [0, 0], [3, 1]])  # (3, 2)
result = x.gather(1, index)  # (3, 2)
print(result)

# %%
# .. drawing::
#
#    .. alt:: Three grids side by side: index, x, and result, each row in a
#       colour of its own. The first row of index is 2, 0, and the first row of
#       result is 2, 0. The second row is 0, 0, and it picks 10, 10. The third
#       row is 3, 1, and it picks 23, 21.

colors = ["#56B4E9", "#E69F00", "#72C9A8"]
two_columns = [[color, color] for color in colors]
shades = [["white"] * 4 for _ in range(3)]
for row, columns in enumerate(index.tolist()):
    for column in columns:
        shades[row][column] = colors[row]
figure, axis = plt.subplots(figsize=(6.4, 2.5), layout="constrained")
draw_grid(axis, 0, index.tolist(), two_columns)
draw_grid(axis, 3, x.tolist(), shades)
draw_grid(axis, 8, result.tolist(), two_columns)
for place, title in [(1, "index"), (5, "x"), (9, "result")]:
    axis.text(place, -0.15, title, ha="center", va="bottom", fontsize=12)
axis.set(xlim=(-0.1, 10.1), ylim=(3.1, -0.7), aspect="equal")
axis.set_axis_off()

# %%
# Along axis 0, ``result[i, j]`` is ``x[index[i, j], j]``: the column stays, and
# the index says which row.
#
# ``scatter_`` goes the other way: it *writes* a value, here 1.0, at the
# positions. The underscore says that it changes the tensor on which it is
# called.

hits = torch.zeros(3, 4)
hits.scatter_(1, places, 1.0)
print(hits)

# %%
# .. check::

assert x.gather(1, places).tolist() == [[2], [10], [23]], "one from each row"
assert torch.gather(x, 1, places).equal(x.gather(1, places)), "both forms"
assert result.tolist() == [[2, 0], [10, 10], [23, 21]], "the index says where"
assert hits.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], (
    "a 1 in each row"
)

# %%
# On real data
# ------------
# The training images have the shape (10000, 1, 28, 28). First pick all the
# images of a 5 with a mask, then leave out four pixels at each edge. The three
# dots ``...`` stand for all axes that are not mentioned, here images and
# channel.
#
# .. alt:: Eight handwritten fives that fill their pictures.

train, _ = datasets.mnist()
fives = train.x[train.y == 5]
middle = fives[..., 4:24, 4:24]
print(fives.shape)
print(middle.shape)
figure = plots.image_grid(middle[:8], ncols=8)

# %%
# With ``scatter_``, the labels become rows of ten numbers with a 1 at the
# position of the digit. Such a table is called *one-hot*. The index needs a
# column of labels, and ``None`` between the brackets adds an axis of length 1:
# (10000,) becomes (10000, 1). (``unsqueeze(1)`` does the same.)

column = train.y[:, None]  # (10000, 1)
one_hot = torch.zeros(10_000, 10)
one_hot.scatter_(1, column, 1.0)
print(train.y[:3])
print(one_hot[:3])

# %%
# (``torch.nn.functional.one_hot(train.y, 10)`` makes the same table, in whole
# numbers.)

# %%
# .. check::

assert fives.shape == (1000, 1, 28, 28), "1,000 fives"
assert middle.shape == (1000, 1, 20, 20), "20 rows and columns are left"
assert one_hot.gather(1, column).eq(1).all(), "the 1 stands at the label"
assert one_hot.sum() == 10_000, "one 1 for each image"

# %%
# What goes wrong
# ---------------
# A network gives three scores for each of three images. The scores of an image
# add up to 1, like probabilities. A loss needs the score of the right class:
# 0.7 for the first image, 0.5 for the second, 0.6 for the third. It is easy to
# write this:

scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
labels = torch.tensor([1, 0, 2])  # (3,)
print(scores[:, labels])

# %%
# Nine numbers instead of three. The colon takes *all* rows, and each row gives
# its columns 1, 0 and 2. Only the diagonal was meant. There is no error, and a
# mean over all nine looks like a loss. Here each label occurs once, so each row
# is only the same three scores in another order and still adds up to 1. The
# mean of the nine is 1/3 whatever the network says, and it cannot learn from
# that.
#
# Pairs are meant, each row with its own label: two lists, or ``gather``.

print(scores[[0, 1, 2], labels])
print(scores.gather(1, labels[:, None])[:, 0])

# %%
# ``[:, 0]`` at the end takes the axis of length 1 away again. For a batch of
# any size, write ``torch.arange(len(labels))`` instead of the list. A look at
# the shape would have been enough: one number for each image is (3,).

# %%
# .. check::

assert scores.sum(dim=1).allclose(torch.ones(3)), "each row adds up to 1"
assert scores[:, labels].shape == (3, 3), "nine numbers"
assert abs(scores[:, labels].mean() - 1 / 3) < 1e-6, "the mean is 1/3"
assert scores[[0, 1, 2], labels].equal(torch.tensor([0.7, 0.5, 0.6])), (
    "a row with its label"
)
assert scores.gather(1, labels[:, None])[:, 0].equal(
    scores[[0, 1, 2], labels]
), "gather picks the same"

# %%
# Recipe
# ------
# What you need most often when scores and labels are given:

import torch

scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])  # (2, 3)
labels = torch.tensor([1, 0])  # (2,)

right = scores.gather(1, labels[:, None])[:, 0]  # (2,), one for each row
one_hot = torch.zeros(2, 3).scatter_(1, labels[:, None], 1.0)  # (2, 3)
sure = scores[right > 0.6]  # (1, 3), the rows that pass a condition
cut = torch.where(scores > 0.25, scores, 0.0)  # (2, 3)
print(right, one_hot, sure, cut, sep="\n")

# %%
# .. check::

assert right.equal(torch.tensor([0.7, 0.5])), "the scores of the right classes"
assert one_hot.tolist() == [[0, 1, 0], [1, 0, 0]], "a 1 at each label"
assert sure.shape == (1, 3), "one row passes"

# %%
# What you learned
# ----------------
# - Positions count from 0. A number takes its axis away, a slice keeps it.
# - A mask picks the numbers where it is ``True``; ``torch.where`` keeps the
#   shape.
# - Lists go in pairs. For a block, pick the rows first, then the columns.
# - ``x.gather(1, index)`` has the shape of ``index`` and takes each number from
#   its own row; ``scatter_`` writes at these positions.
#
# Exercises
# ---------
# 1. **Predict.** Which numbers do these pick, and what shape do they have:
#    ``x[1:, -2:]``, ``x[[1]]``, ``x[x < 2]`` and
#    ``x.gather(0, torch.tensor([[2, 0, 1, 0]]))``?
# 2. **Change.** With a Python list, ``[::-1]`` reverses the order. Try
#    ``x[:, ::-1]``. Then reverse the columns of ``x`` with a list of positions,
#    and in the same way mirror the first five digits of the training set.
# 3. **Extend.** Make a smaller training set that has only the images of a 3 or
#    an 8. Their labels should be 0 for a 3 and 1 for an 8.

# %%
# .. answer:: 1
#
#    The last two columns of the last two rows, shape (2, 2). A list keeps its
#    axis, as a slice does: (1, 4). A mask gives one axis: (2,). The last index
#    names a row for each column, and the result has its shape, (1, 4).

print(x[1:, -2:])
print(x[[1]])
print(x[x < 2])
print(x.gather(0, torch.tensor([[2, 0, 1, 0]])))

# %%
# .. check::

assert x[1:, -2:].tolist() == [[12, 13], [22, 23]], "the lower right corner"
assert x[[1]].shape == (1, 4), "a list keeps its axis"
assert x[x < 2].tolist() == [0, 1], "two numbers are below 2"
assert x.gather(0, torch.tensor([[2, 0, 1, 0]])).tolist() == [[20, 1, 12, 3]], (
    "column j from row index[0, j]"
)

# %%
# .. answer:: 2
#
#    A slice of a tensor needs a step greater than 0. A list of positions may
#    run backwards. (``torch.flip`` does the same.)
#
#    .. alt:: Five handwritten digits, mirrored left to right.

message = ""
try:
    x[:, ::-1]
except ValueError as error:
    message = str(error)
print(message)
print(x[:, [3, 2, 1, 0]])

backwards = list(range(27, -1, -1))  # 27, 26, ..., 0
mirrored = train.x[:5][..., backwards]
figure = plots.image_grid(mirrored, ncols=5)

# %%
# .. check::

assert message, "a negative step is refused"
assert x[:, [3, 2, 1, 0]][0].tolist() == [3, 2, 1, 0], "the columns reversed"
assert mirrored[..., 0].equal(train.x[:5][..., 27]), "the last column is first"

# %%
# .. answer:: 3
#
#    The same mask has to pick the images and the labels. With a mask for the
#    images alone, the labels would belong to other images.

keep = (train.y == 3) | (train.y == 8)
images = train.x[keep]
is_eight = torch.where(train.y[keep] == 8, 1, 0)
print(images.shape, is_eight.shape)
print(train.y[keep][:6], is_eight[:6])

# %%
# .. check::

assert len(images) == len(is_eight), "a label for each image"
assert images[is_eight == 1].equal(train.x[train.y == 8]), "1 means an eight"
assert images[is_eight == 0].equal(train.x[train.y == 3]), "0 means a three"

# %%
# .. earlier::
#
#    Some older notes call ``x[:, 1]`` the first column and ``x[1, :]`` the
#    first row. They are the second ones. Older code also picks with
#    ``torch.index_select`` and ``torch.masked_select``, which do what a list
#    and a mask between square brackets do.
