"""
Views and strides
=================

Which calls copy the numbers of a tensor, and which ones only look at the same
memory in another way?

A slice of the training set is there at once, however large it is, because no
number is copied for it. The price is that two tensors now share their numbers:
what you write into one of them appears in the other too, and no message tells
you. One picture explains who shares with whom. A tensor is a row of memory, and
a rule for walking through it.

After this lesson you can

- say which calls give a view and which ones a copy, and ask for a copy
- find the place of a number in memory from the strides
- choose between ``view`` and ``reshape``, and read the error of ``view``
"""

# %%
# Setup
# -----

import torch

from handbook import datasets, plots

# %%
# .. _a-view-shares:
#
# Change one, see the other
# -------------------------
# Pick a row, write into the row, and look at the table from which it came.

x = torch.tensor([[0, 1, 2], [10, 11, 12]])  # (2, 3)
row = x[1]
row[0] = 99
print(x)

# %%
# The row and the table are two tensors that use the same memory. The row is
# called a :term:`view` of the table. The transposed table is a view as well,
# and what you write through it arrives in ``x``, too:

x.T[2, 0] = 77
print(x)

# %%
# If you want numbers of your own, ask for a copy with ``clone()``:

copy = x[1].clone()
copy[1] = -1
print(copy)
print(x)

# %%
# .. check::

assert x.tolist() == [[0, 1, 77], [99, 11, 12]], "both writes arrived in x"
assert copy.tolist() == [99, -1, 12], "the copy has numbers of its own"

# %%
# Memory and strides
# ------------------
# The memory of a computer is one long row of cells, and a table lies in it row
# after row: 0, 1, 2, 10, 11, 12 in cells 0 to 5. To find a number, PyTorch only
# needs to know how far it has to go for one step along each axis. These
# distances are the :term:`strides <stride>`.

x = torch.tensor([[0, 1, 2], [10, 11, 12]])
print(x.stride())

# %%
# One row further is 3 cells further, and one column further is 1 cell further.
# So ``x[1, 2]`` lies in cell 1·3 + 2·1 = 5, and this is where the 12 is.
#
# Now the transposed table. Its numbers are the same and so is its memory. What
# must its strides be? Think first, then look.

print(x.T.stride())

# %%
# The strides have changed places, and nothing else happened. ``x.T[2, 1]`` lies
# in cell 2·1 + 1·3 = 5: the same cell, the same 12. This is why transposing a
# million rows is no more work than transposing two. A slice is made in the same
# way. It may also begin later in the memory, and ``storage_offset()`` says
# where:

column = x[:, 1]
print(column.stride(), column.storage_offset())

# %%
# The column begins in cell 1, and each step goes 3 cells further, which gives
# cells 1 and 4. The function :func:`handbook.plots.memory_layout` draws each
# tensor above the memory it uses (storage). Each cell of the memory has its own
# colour, and the numbers of a tensor have the colours of their cells.
#
# .. alt:: Four grids, each above the same row of six memory cells from pale to
#    dark. x walks through the cells row by row. x.T has the same cells in
#    columns. x[:, 1] uses cells 1 and 4. x[:, ::2] leaves these two out.

names = ["x", "x.T", "x[:, 1]", "x[:, ::2]"]
figure = plots.memory_layout(x, x.T, x[:, 1], x[:, ::2], names=names, ncols=2)

# %%
# .. check::

assert x.stride() == (3, 1), "3 cells for a row, 1 for a column"
assert x.T.stride() == (1, 3), "the strides have changed places"
assert x[1, 2] == 12, "the 12 is in row 1, column 2"
assert x.as_strided((6,), (1,)).tolist() == [0, 1, 2, 10, 11, 12], (
    "the cells, one after the other"
)
assert column.stride() == (3,), "3 cells for each step"
assert column.storage_offset() == 1, "it begins in cell 1"
assert column.tolist() == [1, 11], "cells 1 and 4"

# %%
# View or copy?
# -------------
# A result that can be described by a first cell and strides can be a view. A
# list or a mask may pick cells at uneven distances, for which there are no
# strides, so their result is always a copy. (On the left of an ``=`` there is
# nothing to copy: ``x[x > 5] = 0`` writes into ``x``.)
#
# .. list-table::
#    :header-rows: 1
#
#    * - A view
#      - A copy
#      - The tensor itself or a view if possible, else a copy
#    * - ``x[1]``, ``x[:, 1:3]``, ``x[:, ::2]``
#      - ``x[[0, 1]]``, ``x[x > 5]``
#      - ``reshape``
#    * - ``T``, ``permute``, ``transpose``
#      - ``clone``
#      - ``flatten``
#    * - ``unsqueeze``, ``squeeze``, ``view``
#      - ``x + 1`` and other calculations
#      - ``contiguous``
#
# To find out about a line of your own, compare addresses: ``data_ptr()`` tells
# where in memory the first number of a tensor lies.

print("x[0]:  ", x[0].data_ptr() == x.data_ptr())
print("x[[0]]:", x[[0]].data_ptr() == x.data_ptr())

# %%
# (A view that does not begin at the first cell has another address, as ``x[1]``
# does. Then write a number into the view and look whether ``x`` has changed.)

# %%
# .. check::

assert x[0].data_ptr() == x.data_ptr(), "a slice is a view"
assert x[[0]].data_ptr() != x.data_ptr(), "a list makes a copy"
assert x[x > 5].data_ptr() != x.data_ptr(), "a mask makes a copy"
assert x.unsqueeze(0).data_ptr() == x.data_ptr(), "unsqueeze gives a view"
assert x[1].data_ptr() != x.data_ptr(), "row 1 begins elsewhere"

# %%
# .. _view-and-reshape:
#
# Another shape: view or reshape
# ------------------------------
# There are two methods for a new shape. ``view`` never copies. It needs strides
# that allow the new shape, and otherwise it raises an error.

print(x.view(3, 2))
message = ""
try:
    x.T.view(6)
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# Read row by row, ``x.T`` is 0, 10, 1, 11, 2, 12, from cells 0, 3, 1, 4, 2, 5.
# The steps are 3, −2, 3, −2, 3 cells. No single stride fits, so this row of six
# cannot be a view. A tensor whose numbers lie in memory in the order in which
# they are read is called :term:`contiguous`. ``is_contiguous()`` says that
# ``x`` is and ``x.T`` is not. ``x.contiguous()`` returns a tensor that is:
# ``x`` itself if it already is, otherwise a copy. ``reshape`` gives a view
# where it can, and copies where it cannot.

print(x.is_contiguous(), x.T.is_contiguous())
print(x.T.contiguous().view(6))
print(x.T.reshape(6))

# %%
# "Where it can" also means that you do not see from the code whether you have a
# copy. An assignment of the same kind reaches ``x`` in the first line and is
# lost in the second:

x.reshape(6)[0] = 99
x.T.reshape(6)[1] = 77
print(x)

# %%
# To calculate with the result, use ``reshape``, which always works. To write
# through the result, use ``view``: it either shares the memory or tells you
# that it cannot.

# %%
# .. check::

assert "view size is not compatible" in message, "no view of x.T as six"
assert x.is_contiguous(), "x lies in memory as it is read"
assert x.contiguous() is x, "contiguous already: x itself"
assert not x.T.is_contiguous(), "x.T does not"
assert x.T.contiguous().view(6).equal(x.T.reshape(6)), "the same numbers"
assert x.tolist() == [[99, 1, 2], [10, 11, 12]], "only the first write arrived"

# %%
# What goes wrong
# ---------------
# "What I picked is mine" is the wrong idea behind many strange results. We want
# to see how hard it is to read digits whose left half is covered. We pick three
# digits with a list and three others with a slice, and cover their left halves.

train, _ = datasets.mnist()
from_list = train.x[[0, 1, 2]]  # (3, 1, 28, 28)
from_list[..., :14] = 1

from_slice = train.x[3:6]  # (3, 1, 28, 28)
from_slice[..., :14] = 1

# %%
# In both cases we wrote only into what we had picked. Now the first six images
# of the training set:
#
# .. alt:: Six handwritten digits of the training set. The first three are
#    whole. The other three have a white left half.

figure = plots.image_grid(train.x[:6], ncols=6)

# %%
# The list gave a copy, so the first three are as they were. The slice gave a
# view, and three training images are spoiled. Every network that is trained
# after this line sees them, and there was no message. Before you write into
# something that you have picked, call ``clone()``:

covered = train.x[6:9].clone()
covered[..., :14] = 1
print("shares memory:", covered.data_ptr() == train.x[6:9].data_ptr())

# %%
# .. check::

assert not (train.x[:3, 0, :, 0] == 1).any(), "the first three are whole"
assert (from_list[..., :14] == 1).all(), "the copy was written"
assert (train.x[3:6, ..., :14] == 1).all(), "the slice wrote into the set"
assert covered.data_ptr() != train.x[6:9].data_ptr(), "memory of its own"
assert not (train.x[6:9, 0, :, 0] == 1).any(), "clone protects the set"

# %%
# Recipe
# ------
# Each line says what it gives:

import torch

x = torch.zeros(4, 3)
row = x[0]  # a view: writing changes x
own_row = x[0].clone()  # a copy
picked = x[[0, 2]]  # a copy, because of the list
columns_first = x.T  # a view: the strides change places
in_order = x.T.contiguous()  # a copy, laid out as it is read
long_row = x.view(12)  # a view, or an error
safe_row = x.T.reshape(12)  # a view if possible, here a copy

row[0] = 5
print(columns_first[0, 0], long_row[0])  # changed too
print(own_row[0], picked[0, 0], in_order[0, 0], safe_row[0])  # not changed

# %%
# .. check::

assert x[0, 0] == columns_first[0, 0] == long_row[0] == 5, "views change too"
assert own_row[0] == picked[0, 0] == 0, "copies do not"
assert in_order[0, 0] == safe_row[0] == 0, "copies do not"

# %%
# What you learned
# ----------------
# - A tensor is a row of memory, a starting cell in it, and a stride for each
#   axis. From the starting cell, ``x[i, j]`` is ``i`` times the stride of axis
#   0 and ``j`` times that of axis 1 away.
# - Slices, ``T``, ``permute`` and ``view`` give views; lists, masks and
#   ``clone()`` give copies.
# - ``view`` shares the memory or raises an error; ``reshape`` copies where it
#   has to.
# - Before you write into what you picked, ``clone()`` it, or you write into the
#   original.
#
# Exercises
# ---------
# 1. **Predict.** ``x`` has the shape (3, 4) and lies row by row in memory. What
#    are the strides of ``x``, ``x.view(2, 6)``, ``x[1:, 2:]`` and
#    ``x[::2, ::3]``? In which cell does ``x[1:, 2:]`` begin?
# 2. **Change.** In the last exercise of the lesson before, an image was cut
#    into patches: ``reshape(4, 7, 4, 7)``, then ``permute(0, 2, 1, 3)``, then
#    ``reshape(16, 7, 7)``. Which of these steps copy? Find out with
#    ``data_ptr()``, and say why.
# 3. **Extend.** ``expand(3, 4)`` stretches axes of length 1 until the tensor
#    has the shape (3, 4). ``repeat(1, 4)`` puts the whole tensor once down and
#    four times across. For a column of shape (3, 1) both give the same table.
#    Draw both with ``memory_layout``. How does ``expand`` do it with three
#    cells?

# %%
# .. answer:: 1
#
#    (4, 1), then (6, 1), because a row now has six numbers. A slice keeps the
#    strides, (4, 1), and begins in cell 1·4 + 2·1 = 6. Two rows further are 8
#    cells, and three columns are 3.

x = torch.arange(12).reshape(3, 4)
print(x.stride(), x.view(2, 6).stride())
print(x[1:, 2:].stride(), x[1:, 2:].storage_offset())
print(x[::2, ::3].stride())

# %%
# .. check::

assert x.stride() == (4, 1), "four numbers in a row"
assert x.view(2, 6).stride() == (6, 1), "six numbers in a row"
assert x[1:, 2:].stride() == (4, 1), "a slice keeps the strides"
assert x[1:, 2:].storage_offset() == 6, "4 + 2"
assert x[::2, ::3].stride() == (8, 3), "two rows, three columns"

# %%
# .. answer:: 2
#
#    Only the last one. The first splits each axis, for which there are strides,
#    and ``permute`` swaps them. But the patches in one row of the image begin 7
#    cells apart, and the next row of patches begins 175 cells after the last
#    one of the row before. There is no single stride for all 16.

image = train.x[7, 0]  # (28, 28)
split = image.reshape(4, 7, 4, 7)
ordered = split.permute(0, 2, 1, 3)
patches = ordered.reshape(16, 7, 7)
print("split:  ", split.data_ptr() == image.data_ptr(), split.stride())
print("ordered:", ordered.data_ptr() == split.data_ptr(), ordered.stride())
print("patches:", patches.data_ptr() == ordered.data_ptr(), patches.stride())

# %%
# .. check::

assert split.data_ptr() == image.data_ptr(), "splitting gives a view"
assert ordered.data_ptr() == image.data_ptr(), "permute gives a view"
assert ordered.stride() == (196, 7, 28, 1), "7 cells apart in a row"
assert ordered[1, 0].data_ptr() - ordered[0, 3].data_ptr() == 175 * 4, (
    "175 cells of 4 bytes to the next row of patches"
)
assert patches.data_ptr() != image.data_ptr(), "joining copies"

# %%
# .. answer:: 3
#
#    Its stride on the stretched axis is 0: each step stays in the same cell.
#    ``repeat`` copies, and needs 12 cells. :term:`Broadcasting <broadcasting>`,
#    which comes soon, stretches tensors in the way of ``expand``.
#
#    .. alt:: Two grids of three rows and four columns with the numbers 7, 8 and
#       9 in rows. The storage of the first has three cells, that of the second
#       twelve.

column = torch.tensor([[7], [8], [9]])
wide = column.expand(3, 4)
copied = column.repeat(1, 4)
names = ["expand(3, 4)", "repeat(1, 4)"]
figure = plots.memory_layout(wide, copied, names=names, ncols=2)

# %%
# .. check::

assert wide.equal(copied), "the same numbers"
assert wide.stride() == (1, 0), "a step of 0 cells"
assert len(wide.untyped_storage()) == 3 * 8, "three numbers of 8 bytes"
assert len(copied.untyped_storage()) == 12 * 8, "twelve of them"

# %%
# .. earlier::
#
#    Older notes write ``torch.view`` and say that it changes the size of a
#    tensor. There is no such function: ``view`` is a method, the number of
#    elements stays the same, and the strides have to allow the new shape. Notes
#    that treat whatever was picked from a tensor as a copy are wrong about
#    slices.
