"""
Broadcasting
============

What happens when I add two tensors of different shapes?

You have seen a table of shape (2, 4) divided by a column of shape (2, 1), and
the same division fail with a tensor of shape (2,). One short rule is behind
both. It saves you many loops: a single subtraction compares 2,000 images with
ten others. It also lets some wrong lines run without an error, so it is worth
knowing by heart.

After this lesson you can

- work out on paper which shape two shapes give, or that they give an error
- make two shapes fit with ``keepdim=True`` or ``unsqueeze``
- recognize a result that was stretched by mistake, such as a loss that punishes
  perfect answers
"""

# %%
# Setup
# -----

import torch

from handbook import datasets, plots

# %%
# A number, a row, a column
# -------------------------
# Take a table of six numbers, and add to it first a number, then a row, then a
# column.

table = torch.tensor([[1, 2, 3], [4, 5, 6]])  # (2, 3)
row = torch.tensor([10, 20, 30])  # (3,)
column = torch.tensor([[100], [200]])  # (2, 1)

print(table + 10)
print(table + row)
print(table + column)

# %%
# The number was added everywhere. The row was added to each row of the table.
# The column was added to each column: 100 to all of the first row, 200 to all
# of the second. What is missing was filled in by repeating what is there. This
# is called :term:`broadcasting`, and it works in the same way for ``-``, ``*``,
# ``/``, ``**`` and comparisons.
#
# What do you expect from the column and the row, without the table? The
# function :func:`handbook.plots.broadcast` draws what happens.
#
# .. alt:: Two grids of two rows and three columns. On the left, the column 100,
#    200 in full colour, and its copies to the right, pale. On the right, the
#    row 10, 20, 30 in full colour, and its copy below, pale. Under them, the
#    shapes aligned on the right: column 2 1, row 3, result 2 3.

print(column + row)
figure = plots.broadcast(column, row, names=("column", "row"))

# %%
# Neither of the two has the shape (2, 3), but the result does. The column is
# repeated to the right, the row is repeated downwards, and then the numbers in
# the same place are added. The pale cells exist in the picture only: PyTorch
# does not copy them, it reads the same numbers again.

# %%
# .. check::

assert (table + row).tolist() == [[11, 22, 33], [14, 25, 36]], "row to each row"
assert (table + column).tolist() == [[101, 102, 103], [204, 205, 206]], (
    "column to each column"
)
assert (column + row).tolist() == [[110, 120, 130], [210, 220, 230]], (
    "each number with each number"
)

# %%
# .. _broadcasting-stretches:
#
# The rule
# --------
# Write the two shapes below each other, **aligned on the right**, as under the
# figure. Go through them from right to left, and compare the two lengths in
# each place:
#
# 1. Equal: that is the length of the result.
# 2. One of them is 1, or missing: it is stretched to the other length.
# 3. Anything else: an error.
#
# Here are five pairs of shapes. Work them out before you read on. One of them
# is an error.
#
# .. code-block:: text
#
#    a         6 4     6 4     6 1 4     5 1 4     6 4
#    b           4     6 1       3 4       3 1       6
#    result    ? ?     ? ?     ? ? ?     ? ? ?     ? ?
#
# :func:`torch.broadcast_shapes` applies the rule to shapes alone:

print(torch.broadcast_shapes((6, 4), (4,)))
print(torch.broadcast_shapes((6, 4), (6, 1)))
print(torch.broadcast_shapes((6, 1, 4), (3, 4)))
print(torch.broadcast_shapes((5, 1, 4), (3, 1)))

# %%
# Take the fourth pair, from the right: 4 and 1 give 4, 1 and 3 give 3, and 5
# has nothing below it, so it stays. The fifth pair is the error, because the 6
# stands below the 4. Now let us cause this error with our table. It has two
# rows, and we want to add one number to each of them:

for_each_row = torch.tensor([100, 200])  # (2,)
message = ""
try:
    table + for_each_row
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# Aligned on the right, the 2 stands below the 3. That is what the message says:
# tensor a is the left one, b the right one, a *non-singleton dimension* is an
# axis whose length is not 1, and the axes of the result are counted from 0. The
# two numbers are meant as a column, so give them an axis of length 1 on the
# right:

print(table + for_each_row.unsqueeze(1))  # (2, 3) + (2, 1)

# %%
# You will often read ``for_each_row[:, None]``, which does the same: ``None``
# in an index adds an axis of length 1. And ``keepdim=True`` keeps such an axis
# where a reduction would remove it.

# %%
# .. check::

assert torch.broadcast_shapes((6, 4), (4,)) == (6, 4), "6 4 and 4 give 6 4"
assert torch.broadcast_shapes((6, 4), (6, 1)) == (6, 4), "6 4 and 6 1 give 6 4"
assert torch.broadcast_shapes((6, 1, 4), (3, 4)) == (6, 3, 4), (
    "6 1 4 and 3 4 give 6 3 4"
)
assert torch.broadcast_shapes((5, 1, 4), (3, 1)) == (5, 3, 4), (
    "5 1 4 and 3 1 give 5 3 4"
)
assert message, "2 3 and 2 do not fit"
assert (table + for_each_row.unsqueeze(1)).equal(table + column), (
    "with an axis of length 1, it is a column"
)

# %%
# On real data
# ------------
# In :doc:`/lessons/start/01_quickstart` the digits were read with a simple
# idea: choose the mean digit that is nearest to the image. Now we can write it
# ourselves. ``flatten(1)`` keeps axis 0 and joins all axes from 1 on, so each
# image becomes a row of 784 numbers. So does the mean of each digit.

train, test = datasets.mnist()
images = test.x.flatten(1)  # (2000, 784)

rows = []
for digit in range(10):
    rows.append(train.x[train.y == digit].flatten(1).mean(dim=0))
means = torch.stack(rows)  # (10, 784)

# %%
# First a single image: (784,) minus (10, 784). The image lacks the axis of the
# means, so it is repeated ten times, and the result is its difference from each
# of the ten. The sum of the squares is the squared distance; the figure shows
# the ten differences, each with the digit of its mean above it.
#
# .. alt:: Ten pictures, one for each mean digit: the same handwritten 9, minus
#    that mean. The strokes of the 9 are light. Where the mean has ink and the 9
#    has none, the picture is dark. The pictures for 4 and for 9 are the
#    greyest.

image = images[0]
difference = image - means  # (784,) - (10, 784) -> (10, 784)
distance = (difference**2).sum(dim=1)  # (10,)
print(distance.round())
print("nearest:", distance.argmin().item(), "label:", test.y[0].item())
pictures = difference.reshape(10, 28, 28)
figure = plots.image_grid(pictures, titles=range(10), ncols=5)

# %%
# The nearest mean is that of the 9, and the image is a 9; the mean of the 4
# comes close. (White is ink of the image that the mean lacks, black is ink of
# the mean that the image lacks, and grey is no difference.)
#
# Now all 2,000 images at once. Each image is to be compared with each mean, so
# the result has three axes: images, means and pixels. On paper:
#
# .. code-block:: text
#
#    images   2000    1  784
#    means           10  784
#    result   2000   10  784
#
# ``unsqueeze(1)`` puts the 1 into the shape of the images, where the means have
# their 10. The means need no such call, because what is missing on the left is
# stretched, too.

differences = images.unsqueeze(1) - means  # (2000, 10, 784)
distances = (differences**2).sum(dim=2)  # (2000, 10)
nearest = distances.argmin(dim=1)  # (2000,)
accuracy = (nearest == test.y).float().mean()
print(f"accuracy: {accuracy:.1%}")
print(f"differences: {differences.nbytes / 1e6:.1f} MB")
print(f"distances:   {distances.nbytes / 1e6:.2f} MB")

# %%
# Three lines without a loop, and four out of five digits are read correctly.
# But look at the memory. Stretching costs nothing, yet the *result* is a tensor
# of full size: on the way to 0.08 MB of distances, we filled 63 MB with
# differences, and as much again with their squares. If that becomes too much,
# take the images in parts, or one mean at a time, as the quickstart does. (The
# function ``torch.cdist`` computes distances without the large tensors.)

# %%
# .. check::

assert distance.argmin() == 9, "the mean 9 is the nearest one"
assert torch.allclose(distances[0], distance), "all at once gives what one gave"
assert 0.78 < accuracy < 0.85, "four out of five digits are read correctly"
assert differences.nbytes == 2000 * 10 * 784 * 4, "63 MB of differences"
assert distances.nbytes == 2000 * 10 * 4, "0.08 MB of distances"

# %%
# What goes wrong
# ---------------
# **A square table.** We want to subtract from each row its mean, so that each
# row becomes −1, 0, 1. Which of these two lines does it?

square = torch.arange(9.0).reshape(3, 3)
print(square)
print(square - square.mean(dim=1))
print(square - square.mean(dim=1, keepdim=True))

# %%
# The second one. The row means are 1, 4 and 7, and without ``keepdim`` they
# have the shape (3,), which counts as a row. So 1 was subtracted from the first
# *column*, 4 from the second and 7 from the third. With two rows and three
# columns, the means would have the shape (2,), which does not fit (2, 3), and
# you would get an error, as above. In a square table it fits.
#
# **A loss.** A model returns one guess for each example, shape (3, 1), and the
# true values have shape (3,). The :term:`mean squared error` is the mean of the
# squared differences. One model is perfect; the other one is lazy and always
# says 2, the mean of the true values. Which one gets the smaller loss?
#
# .. alt:: Two grids of three by three. On the left, the column 1, 2, 3 is the
#    guess, and pale copies stand to its right. On the right, the row 1, 2, 3 is
#    the truth, and pale copies stand below it. Under them the shapes: guess 3
#    1, truth 3, result 3 3.

truth = torch.tensor([1.0, 2.0, 3.0])  # (3,)
perfect = torch.tensor([[1.0], [2.0], [3.0]])  # (3, 1)
lazy = torch.tensor([[2.0], [2.0], [2.0]])  # (3, 1)


def mean_squared_error(guess, truth):
    return ((guess - truth) ** 2).mean()


print("perfect:", mean_squared_error(perfect, truth))
print("lazy:   ", mean_squared_error(lazy, truth))
figure = plots.broadcast(perfect, truth, names=("guess", "truth"))

# %%
# The perfect model should get 0. It gets 1.33, and the lazy one gets half of
# that. The figure shows why: each guess was compared with each true value, nine
# differences instead of three, and only those on the diagonal were meant. Each
# guess is now compared with 1, 2 and 3 alike, whatever its own true value is.
# The number with the smallest squared differences from all three is their mean,
# 2, and it is the same for every example. So a model that is trained with this
# loss learns to say the mean, whatever its input is.
#
# ``squeeze(1)`` removes the axis of length 1, and the losses are right:

print("perfect:", mean_squared_error(perfect.squeeze(1), truth))
print("lazy:   ", mean_squared_error(lazy.squeeze(1), truth))

# %%
# (PyTorch's own :func:`torch.nn.functional.mse_loss` prints a warning when the
# two shapes differ. A formula of your own does not.)
#
# **An accuracy.** Comparisons are broadcast, too. These predictions for the
# 2,000 test images are all correct, but they have kept an axis of length 1:

predictions = test.y.unsqueeze(1)  # (2000, 1), all of them correct
correct = predictions == test.y
print(f"accuracy: {correct.float().mean():.1%}")
print("compared:", tuple(correct.shape))

# %%
# Ten per cent is what guessing reaches with ten classes, so you would look for
# a mistake in the model. But it is in the shape: four million comparisons
# instead of 2,000.

# %%
# .. check::

assert (square - square.mean(dim=1, keepdim=True))[2].tolist() == [-1, 0, 1], (
    "with keepdim the last row is -1, 0, 1"
)
assert abs(mean_squared_error(perfect, truth) - 4 / 3) < 1e-6, (
    "perfect guesses get 1.33"
)
assert abs(mean_squared_error(lazy, truth) - 2 / 3) < 1e-6, (
    "lazy guesses get half of 1.33"
)
assert mean_squared_error(perfect.squeeze(1), truth) == 0, (
    "without the extra axis, perfect guesses get 0"
)
assert correct.shape == (2000, 2000), "each prediction with each label"
assert abs(correct.float().mean() - 0.1) < 1e-6, "the accuracy reads 10 %"

# %%
# In all three cases, **one shape was not what its author thought**: (3,)
# instead of (3, 1), or the other way round. So write the shapes in a comment,
# and where two shapes must be equal, let the program check it.
#
# Recipe
# ------
# The patterns of this lesson, with the shapes beside them, and a loss that
# checks its shapes:

import torch

x = torch.arange(24.0).reshape(6, 4)  # 6 rows
y = torch.arange(12.0).reshape(3, 4)  # 3 rows

columns_centred = x - x.mean(dim=0)  # (6, 4) - (4,)
rows_centred = x - x.mean(dim=1, keepdim=True)  # (6, 4) - (6, 1)
each_with_each = x.unsqueeze(1) - y  # (6, 1, 4) - (3, 4) -> (6, 3, 4)


def checked_mse(guess, truth):
    if guess.shape != truth.shape:
        raise ValueError(f"guess {guess.shape}, truth {truth.shape}")
    return ((guess - truth) ** 2).mean()


print(columns_centred.mean(dim=0))
print(rows_centred.mean(dim=1))
print(each_with_each.shape)
print(checked_mse(x, x))

# %%
# Shapes that differ are refused, even where broadcasting would stretch them:

message = ""
try:
    checked_mse(x, x[:, :1])  # (6, 4), (6, 1)
except ValueError as error:
    message = str(error)
print(message)

# %%
# .. check::

assert columns_centred.mean(dim=0).abs().max() < 1e-5, (
    "the columns' means are 0"
)
assert rows_centred.mean(dim=1).abs().max() < 1e-5, "the rows' means are 0"
assert checked_mse(x, x) == 0, "equal tensors have no loss"
assert message, "the loss refuses shapes that differ"
assert each_with_each.shape == (6, 3, 4), "each row of x with each row of y"

# %%
# What you learned
# ----------------
# - Align shapes on the right: lengths must be equal, or one of them 1 or
#   missing.
# - The axis of length 1 is stretched without copying, but the result has its
#   full size.
# - ``unsqueeze`` and ``keepdim=True`` put the 1 where you need it.
# - (N, 1) and (N,) give (N, N), without an error: check the shapes before you
#   take a mean.
#
# Exercises
# ---------
# 1. **Predict.** What is the shape of the sum of two tensors of the shapes (5,
#    1, 3) and (4, 1); (2, 3) and (2, 1, 1); (4, 1) and (1, 4)? Which of these
#    is an error: (3,) and (4,); (3,) and (1,)?
# 2. **Change.** Choose the nearest training *image* instead of the nearest
#    mean. Compare the first 200 test images with the first 2,000 training
#    images. How much memory would the differences take at once? Do it with a
#    loop over the test images.
# 3. **Extend.** Without a loop, make a mask of shape (28, 28) that is ``True``
#    within 10 pixels of the centre, which lies at row 13.5 and column 13.5.
#    What share of all the ink of the training images lies in this circle?

# %%
# .. answer:: 1
#
#    (5, 4, 3), (2, 2, 3) and (4, 4). In the second pair, the 2 of the first
#    shape stands above the 1, and the 2 of the second shape has nothing above
#    it. (3,) and (4,) is the error; (3,) and (1,) give (3,).

print(torch.broadcast_shapes((5, 1, 3), (4, 1)))
print(torch.broadcast_shapes((2, 3), (2, 1, 1)))
print(torch.broadcast_shapes((4, 1), (1, 4)))
print(torch.broadcast_shapes((3,), (1,)))
message = ""
try:
    torch.ones(3) + torch.ones(4)
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# .. check::

assert message, "3 and 4 do not fit"
assert torch.broadcast_shapes((2, 3), (2, 1, 1)) == (2, 2, 3), (
    "2 3 and 2 1 1 give 2 2 3"
)

# %%
# .. answer:: 2
#
#    The differences would take 200 × 2,000 × 784 numbers of 4 bytes, more than
#    1 GB, and their squares as much again. In the loop, one image at a time is
#    compared with all the others, which takes two tensors of 6 MB. Of these 200
#    digits, the nearest image gets more right than the nearest mean. (The
#    nearest mean gets fewer right here than the four out of five above, because
#    these are the first 200 test images alone.)

others = train.x[:2000].flatten(1)  # (2000, 784)
labels = train.y[:2000]
print(f"at once: {200 * 2000 * 784 * 4 / 1e9:.2f} GB")

hits = 0
for i in range(200):
    to_others = ((images[i] - others) ** 2).sum(dim=1)  # (2000,)
    if labels[to_others.argmin()] == test.y[i]:
        hits += 1
by_mean = (nearest[:200] == test.y[:200]).float().mean()
print(f"nearest image: {hits / 200:.1%}")
print(f"nearest mean:  {by_mean:.1%}")

# %%
# .. check::

assert hits / 200 > by_mean, "the nearest image gets more digits right"

# %%
# .. answer:: 3
#
#    A column of squared distances for the rows plus a row of squared distances
#    for the columns is a table for all pixels, as in the first figure. The mask
#    then multiplies each of the 10,000 images: (10000, 28, 28) and (28, 28).

place = torch.arange(28) - 13.5  # (28,)
square_distance = place.unsqueeze(1) ** 2 + place**2  # (28, 28)
circle = square_distance < 10**2

digits = train.x.squeeze(1)  # (10000, 28, 28)
inside = (digits * circle).sum() / digits.sum()
print("pixels in the circle:", circle.sum())
print(f"ink in the circle: {inside:.1%}")

# %%
# .. check::

assert circle.shape == (28, 28), "a column plus a row is a table"
assert 0.88 < inside < 0.95, "about nine tenths of the ink lies in the circle"
