"""
Reshape, permute, squeeze
=========================

How do I give the numbers of a tensor another shape?

An image has 28 rows of 28 pixels, and the first layer of a network may want a
row of 784 numbers. A photo arrives with its colours on the last axis, and
PyTorch wants them in front. A single image is not a batch yet. In all of these
the shape has to change. But some calls give the right shape with the numbers in
the wrong places, and no error.

After this lesson you can

- join and split axes with ``reshape`` and ``flatten``
- swap axes with ``T`` and ``permute``, and say why ``reshape`` cannot
- add and remove axes of length 1 without losing an axis that you need
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets

# %%
# Fold the numbers differently: reshape
# -------------------------------------
# As in the lesson on indexing, each number says where it stands, counted from
# 0: 12 is in row 1, column 2.

x = torch.tensor([[0, 1, 2], [10, 11, 12]])  # (2, 3)
print(x.reshape(6))
print(x.reshape(3, 2))

# %%
# ``reshape`` reads the numbers in order, row by row, and fills the new
# :term:`shape` with them, row by row. Think of one long row of numbers that is
# folded in another place. With three axes it is the same: the last axis fills
# up first.

numbers = torch.arange(12)
print(numbers.reshape(2, 2, 3))

# %%
# The number of elements has to stay the same, so 12 numbers fit into (2, 6) and
# (3, 4) but not into (5, 3). One length may be -1, and PyTorch works it out.

print(numbers.reshape(2, -1).shape)
print(numbers.reshape(-1, 1).shape)
message = ""
try:
    numbers.reshape(5, 3)
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# For joining axes there is a method with a clearer name. ``flatten()`` joins
# all axes to one, and ``flatten(1)`` joins those from axis 1 on, so that the
# first axis stays. (``unflatten(1, (2, 3))`` splits axis 1, here of length 6,
# into 2 and 3 again.)

cube = numbers.reshape(2, 2, 3)
print(cube.flatten().shape)
print(cube.flatten(1).shape)

# %%
# .. check::

assert x.reshape(6).tolist() == [0, 1, 2, 10, 11, 12], "in order"
assert x.reshape(3, 2).tolist() == [[0, 1], [2, 10], [11, 12]], "folded"
assert cube[0].tolist() == [[0, 1, 2], [3, 4, 5]], "the last axis first"
assert numbers.reshape(2, -1).shape == (2, 6), "-1 is worked out"
assert numbers.reshape(-1, 1).shape == (12, 1), "-1 is worked out"
assert "[5, 3]" in message, "12 numbers do not fit into 5 3"
assert cube.flatten(1).shape == (2, 6), "axis 0 stays"
assert cube.flatten(1).unflatten(1, (2, 3)).equal(cube), "and back"

# %%
# Swap axes: T and permute
# ------------------------
# Rows should become columns. That is called *transposing*, and for a matrix it
# is ``x.T``. It has the shape (3, 2), too. Is it the same as
# ``x.reshape(3, 2)``?

print(x.T)

# %%
# .. alt:: Three grids of numbers. In x, the row 0, 1, 2 is blue and the row 10,
#    11, 12 is orange. In x.T, the left column is blue and the right column is
#    orange. In x.reshape(3, 2), the first row is blue, the second is half blue
#    and half orange, and the third is orange.

# %%
# .. drawing::

grids = [x, x.T, x.reshape(3, 2)]
titles = ["x", "x.T", "x.reshape(3, 2)"]
figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.4), layout="constrained")
for axis, grid, title in zip(axes, grids, titles, strict=True):
    for place, number in enumerate(grid.flatten().tolist()):
        row, column = divmod(place, grid.shape[1])
        color = "#56B4E9" if number < 10 else "#E69F00"
        axis.add_patch(plt.Rectangle((column, row), 1, 1, fc=color, ec="0.3"))
        axis.text(column + 0.5, row + 0.5, number, ha="center", va="center")
    axis.set(xlim=(-0.1, 3.1), ylim=(3.1, -0.1), aspect="equal", title=title)
    axis.set_axis_off()

# %%
# It is not. In ``x.T`` the blue row has become a column, and numbers that stood
# below each other, such as 1 and 11, now stand beside each other. In
# ``x.reshape(3, 2)`` the second row holds 2 and 10, which had nothing to do
# with each other.
#
# With more axes, :func:`torch.permute` takes the numbers of the old axes in
# their new order: ``permute(2, 0, 1)`` puts the old axis 2 first, then the old
# axes 0 and 1. A photo from a camera or a file usually has its three colours
# last, the shape is (height, width, colours), and PyTorch's layers want the
# colours first. So this is the order for it:

photo = torch.arange(24).reshape(2, 4, 3)  # height 2, width 4, 3 colours
colours_first = photo.permute(2, 0, 1)
print(colours_first.shape)
print(photo[1, 3, 2], colours_first[2, 1, 3])

# %%
# The colour 2 of the pixel in row 1, column 3 is the same number as before;
# only its three indices have changed places. ``permute(1, 0)`` is ``T``, and
# ``transpose(0, 1)`` swaps two axes of a tensor with any number of axes.

# %%
# .. check::

assert x.T.tolist() == [[0, 10], [1, 11], [2, 12]], "rows became columns"
assert x.T.shape == x.reshape(3, 2).shape, "the same shape"
assert not x.T.equal(x.reshape(3, 2)), "but not the same tensor"
assert colours_first.shape == (3, 2, 4), "colours first"
assert photo[1, 3, 2] == colours_first[2, 1, 3], "the same number"
assert x.permute(1, 0).equal(x.T), "permute(1, 0) is T"
assert x.transpose(0, 1).equal(x.T), "transpose(0, 1) is T, too"

# %%
# .. _only-axes-of-one:
#
# Axes of length 1: unsqueeze and squeeze
# ---------------------------------------
# A network wants a batch, and you have one image. Or a network returns one
# number for each image, in a column, and you want a plain row of numbers. An
# axis of length 1 is missing, or there is one too many. ``unsqueeze`` adds one
# at the position that you name:

row = torch.tensor([7, 8, 9])  # (3,)
print(row.unsqueeze(0))
print(row.unsqueeze(1))

# %%
# ``squeeze`` removes the axis that you name, if its length is 1. If the length
# is not 1, it leaves the tensor as it is and does not complain.

column = row.unsqueeze(1)  # (3, 1)
print(column.squeeze(1).shape)
print(column.squeeze(0).shape)

# %%
# .. check::

assert row.unsqueeze(0).tolist() == [[7, 8, 9]], "a row of a matrix"
assert row.unsqueeze(1).tolist() == [[7], [8], [9]], "a column of a matrix"
assert column.squeeze(1).shape == (3,), "the axis of length 1 is gone"
assert column.squeeze(0).shape == (3, 1), "axis 0 has length 3: it stays"

# %%
# On real data
# ------------
# The digits come as (N, 1, 28, 28), where the 1 counts the channels of a grey
# image. A plain stack of images does not need it, and a simple layer wants one
# row for each image. The way back restores each pixel, as ``equal`` confirms:
# it is ``True`` if two tensors have the same shape and the same numbers.

train, _ = datasets.mnist()
images = train.x.squeeze(1)  # (10000, 28, 28)
rows = images.flatten(1)  # (10000, 784)
back = rows.reshape(-1, 28, 28)  # (10000, 28, 28)
print(images.shape, rows.shape, back.shape)
print("the same images:", back.equal(images))

# %%
# .. check::

assert images.shape == (10_000, 28, 28), "the channel is gone"
assert rows.shape == (10_000, 784), "one row for each image"
assert back.equal(images), "the way back restores each pixel"

# %%
# What goes wrong
# ---------------
# **reshape for permute.** These images are 28 rows high and 20 columns wide. A
# program wants the columns first, (20, 28). ``reshape`` gives that shape, too,
# and without an error:

image = images[3, :, 4:24]  # (28, 20)
turned = image.permute(1, 0)
torn = image.reshape(20, 28)
print(turned.shape, torn.shape)

# %%
# .. alt:: A handwritten digit three times. As it is. After permute(1, 0),
#    mirrored along the diagonal and easy to read. After reshape to the same
#    shape, torn into short strokes that are spread over the picture.

# %%
# .. drawing::

pictures = [image, turned, torn]
titles = ["image", "permute(1, 0)", "reshape(20, 28)"]
figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6), layout="constrained")
for axis, shown, title in zip(axes, pictures, titles, strict=True):
    axis.imshow(shown.numpy(), cmap="gray", vmin=0, vmax=1)
    axis.set_title(f"{title}\n{tuple(shown.shape)}", fontsize=10)
    axis.set(xticks=[], yticks=[])

# %%
# The shapes agree, but only the picture in the middle is a digit, mirrored
# along its diagonal. The one on the right has lines of 28 pixels where the
# image had lines of 20, so strokes are torn apart. A network would be trained
# on such images all the same. **If axes change places, it is permute. If
# neighbouring axes are joined or split, it is reshape.**
#
# **squeeze without an axis.** Then it removes *every* axis of length 1. That
# works well until a batch happens to hold a single image:

for batch in (train.x[:3], train.x[:1]):
    squeezed = batch.squeeze()
    print(tuple(batch.shape), "->", tuple(squeezed.shape), len(squeezed))

# %%
# From the batch of one, not only the channel but also the batch has
# disappeared. ``len`` now counts 28 rows where it should count 1 image. The
# last batch of a data set is often shorter than the others, so this does
# happen. Name the axis: ``batch.squeeze(1)``.

# %%
# .. check::

assert turned.shape == torn.shape, "both shapes are (20, 28)"
assert turned[5, 7] == image[7, 5], "permute swapped the indices"
assert not torn.equal(turned), "reshape did not"
assert train.x[:3].squeeze().shape == (3, 28, 28), "only the channel"
assert train.x[:1].squeeze().shape == (28, 28), "the batch, too"
assert train.x[:1].squeeze(1).shape == (1, 28, 28), "the batch stays"

# %%
# Recipe
# ------
# The changes that you need most often, with the shape of each result:

import torch

x = torch.zeros(8, 1, 28, 28)  # a batch of grey images
photo = torch.zeros(100, 150, 3)  # height, width, colours

images = x.squeeze(1)  # (8, 28, 28)
rows = images.flatten(1)  # (8, 784)
again = rows.reshape(-1, 1, 28, 28)  # (8, 1, 28, 28)
batch_of_one = x[0].unsqueeze(0)  # (1, 1, 28, 28)
colours_first = photo.permute(2, 0, 1)  # (3, 100, 150)
column = torch.arange(8).unsqueeze(1)  # (8, 1)
print(images.shape, rows.shape, again.shape)
print(batch_of_one.shape, colours_first.shape, column.shape)

# %%
# .. check::

assert rows.shape == (8, 784), "one row for each image"
assert again.equal(x), "and back"
assert batch_of_one.shape == (1, 1, 28, 28), "one image as a batch"
assert colours_first.shape == (3, 100, 150), "colours first"
assert column.shape == (8, 1), "a column"

# %%
# What you learned
# ----------------
# - ``reshape`` reads the numbers in order and folds them into the new shape;
#   one length may be -1.
# - ``T`` and ``permute`` swap axes, and each number keeps its neighbours along
#   each axis.
# - Neighbouring axes are joined or split with ``reshape``; axes change places
#   with ``permute``. The shape alone does not tell you which one you used.
# - ``unsqueeze`` adds an axis of length 1. Give ``squeeze`` the axis to remove.
#
# Exercises
# ---------
# 1. **Predict.** What shapes do ``reshape(6, -1)``, ``flatten(1)``,
#    ``permute(1, 2, 0)``, ``unsqueeze(-1)`` and ``squeeze(1)`` give for
#    ``block = torch.arange(24).reshape(2, 3, 4)``? Where in
#    ``block.permute(1, 2, 0)`` is the number ``block[1, 2, 3]``?
# 2. **Change.** Put the 25 digits ``train.x[10:35, 0]`` into one picture of 140
#    × 140 pixels, five rows of five digits, with ``reshape`` and ``permute``
#    and without a loop. Hint: split the 25 into 5 × 5 first. Which two axes
#    must be neighbours before you join them?
# 3. **Extend.** Cut an image into its 16 patches of 7 × 7 pixels, shape (16, 7,
#    7), as a Vision Transformer does (a network that reads an image patch by
#    patch). Then put it together again, and check that it is the same image.

# %%
# .. answer:: 1
#
#    (6, 4), (2, 12), (3, 4, 2), (2, 3, 4, 1), and (2, 3, 4), because axis 1 has
#    length 3. The new order 1, 2, 0 takes the indices along: the number is at
#    (2, 3, 1).

block = torch.arange(24).reshape(2, 3, 4)
print(block.reshape(6, -1).shape, block.flatten(1).shape)
print(block.permute(1, 2, 0).shape, block.unsqueeze(-1).shape)
print(block.squeeze(1).shape)
print(block[1, 2, 3], block.permute(1, 2, 0)[2, 3, 1])

# %%
# .. check::

assert block.reshape(6, -1).shape == (6, 4), "24 / 6 is 4"
assert block.flatten(1).shape == (2, 12), "3 times 4 is 12"
assert block.permute(1, 2, 0).shape == (3, 4, 2), "the lengths move along"
assert block.unsqueeze(-1).shape == (2, 3, 4, 1), "-1 is the end"
assert block.squeeze(1).shape == (2, 3, 4), "nothing to remove"
assert block[1, 2, 3] == block.permute(1, 2, 0)[2, 3, 1], "the same number"

# %%
# .. answer:: 2
#
#    Split the 25 into 5 × 5. A line of the picture runs through five digits, so
#    bring the row of digits beside the row of pixels, and the column of digits
#    beside the column of pixels. Then join each pair.

some = train.x[10:35, 0]  # (25, 28, 28)
split = some.reshape(5, 5, 28, 28)
ordered = split.permute(0, 2, 1, 3)  # (5, 28, 5, 28)
picture = ordered.reshape(140, 140)
print(picture.shape)

# %%
# .. drawing::
#
#    .. alt:: A picture of 25 handwritten digits in five rows of five.

figure, axis = plt.subplots(figsize=(3.2, 3.2), layout="constrained")
axis.imshow(picture.numpy(), cmap="gray")
axis.set(xlabel="column", ylabel="row")

# %%
# .. check::

assert picture[28:56, 84:112].equal(some[5 + 3]), "row 1, column 3 of digits"

# %%
# .. answer:: 3
#
#    The same two moves: split each axis into 4 × 7, then bring the two axes of
#    a patch to the end. The way back swaps the same axes and joins.

image = train.x[7, 0]
split = image.reshape(4, 7, 4, 7)
patches = split.permute(0, 2, 1, 3).reshape(16, 7, 7)
print(patches.shape)

grid = patches.reshape(4, 4, 7, 7)
restored = grid.permute(0, 2, 1, 3).reshape(28, 28)
print("the same image:", restored.equal(image))

# %%
# .. check::

assert patches[6].equal(image[7:14, 14:21]), "patch 6 is in row 1, column 2"
assert restored.equal(image), "the image is put together again"

# %%
# .. earlier::
#
#    Older notes say that ``squeeze`` "reduces the dimensions" of a tensor. It
#    removes axes of length 1 and no others. A tensor without such axes keeps
#    its shape.
