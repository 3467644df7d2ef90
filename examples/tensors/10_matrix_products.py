"""
Matrix products and einsum
==========================

Which product do I need, ``*``, ``@`` or ``einsum``, and which shapes does each
of them take?

Most layers of a network are built on a product, and so is the attention in a
language model. PyTorch has several ways to write one, and often two of them run
where only one is right. What tells them apart is always the same: which axes
are multiplied, which ones are summed, and which ones stay.

After this lesson you can

- choose the product that you mean, and read the error when shapes do not fit
- say from the shapes alone what a product gives, for a batch as well
- write a product of tensors with any number of axes with ``einsum``
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# Multiply, then sum
# ------------------
# Ann buys two apples and one pear. Ben buys three pears and one melon. An apple
# costs 3, a pear 5, and a melon 1. What does each of them pay?
#
# The ordinary ``*`` is the :term:`element-wise product`: it multiplies numbers
# that stand in the same place. The three prices are broadcast to both rows.

# 2 people, 3 fruits
orders = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]])
price = torch.tensor([3.0, 5.0, 1.0])  # 3 fruits
print(orders * price)
print((orders * price).sum(dim=1))

# %%
# The sum over the axis of the fruits is what each person pays. "Multiply along
# an axis, then sum over it" is needed so often that it has an operator, ``@``,
# the :term:`matrix product`.

print(orders @ price)

# %%
# With a second shop, the prices become a matrix: one row for each fruit, one
# column for each shop. Each person now gets one bill for each shop.

# 3 fruits, 2 shops
prices = torch.tensor([[3.0, 4.0], [5.0, 2.0], [1.0, 6.0]])
bills = orders @ prices  # 2 people, 2 shops
print(bills)

# %%
# Every number on the right of the figure is a row of ``orders`` times a column
# of ``prices``. For Ben in the second shop this is 0·4 + 3·2 + 1·6 = 12. The
# sum of products of two vectors is called their *dot product*.
#
# .. alt:: Three grids of numbers. orders, two rows of three, is at the lower
#    left. prices, three rows of two, is at the upper right. bills, two by two,
#    stands to the right of orders and below prices. The second row of orders,
#    0 3 1, the second column of prices, 4 2 6, and the 12 where the two cross
#    are orange.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 4), layout="constrained")
grids = [
    ("orders (2, 3)", orders, 0, 4, [3, 4, 5]),
    ("prices (3, 2)", prices, 4, 0, [1, 3, 5]),
    ("bills (2, 2)", bills, 4, 4, [3]),
]
for title, grid, left, top, marked in grids:
    axis.text(left, top - 0.15, title, fontsize=11)
    for place, value in enumerate(grid.flatten().int().tolist()):
        row, column = divmod(place, grid.shape[1])
        color = "#E69F00" if place in marked else "white"
        corner = (left + column, top + row)
        axis.add_patch(plt.Rectangle(corner, 1, 1, fc=color, ec="black"))
        axis.text(
            corner[0] + 0.5, corner[1] + 0.5, value,
            ha="center", va="center", fontsize=13, color="black",
        )  # fmt: skip
axis.set(xlim=(-0.1, 6.6), ylim=(6.1, -0.6), aspect="equal")
axis.set_axis_off()

# %%
# Written as loops, the matrix product is this. PyTorch gives the same numbers,
# but does all of it in one call.

by_hand = torch.zeros(2, 2)
for person in range(2):
    for shop in range(2):
        costs = orders[person] * prices[:, shop]  # 3 fruits
        by_hand[person, shop] = costs.sum()
print(by_hand)

# %%
# .. check::

assert (orders * price).sum(dim=1).tolist() == [11, 16], "11 and 16 to pay"
assert (orders @ price).tolist() == [11, 16], "@ multiplies and sums"
assert bills.tolist() == [[11, 10], [16, 12]], "one bill per person and shop"
assert torch.equal(by_hand, bills), "the loops give what @ gives"

# %%
# Which shapes fit
# ----------------
# The rule can be read from the shapes: **(n, m) @ (m, p) gives (n, p)**. The
# two inner lengths must be equal, and their axis disappears. The outer lengths
# stay. When the inner lengths differ, you meet one of PyTorch's most common
# error messages:

message = ""
try:
    orders @ orders
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# In ``2x3 and 2x3``, look at the two numbers in the middle, 3 and 2: they
# should have been equal. Transposing one side makes them so. Then each row
# meets each *row* in a dot product, and the result says how much any two orders
# have in common.

print(orders @ orders.T)  # (2, 3) @ (3, 2)

# %%
# With more than two axes, ``@`` works on the last two. The axes before them
# count as a batch and are broadcast: here four weeks of orders meet one list of
# prices. To transpose each matrix of a batch, write ``.mT``, which swaps the
# last two axes.

weeks = torch.stack([orders, 2 * orders, 3 * orders, 4 * orders])  # (4, 2, 3)
print((weeks @ prices).shape)  # (4, 2, 3) @ (3, 2)
print((weeks @ weeks.mT).shape)  # (4, 2, 3) @ (4, 3, 2)

# %%
# ``@`` is short for :func:`torch.matmul`. Four functions do one of its cases
# each and refuse all others:
#
# .. list-table::
#    :header-rows: 1
#
#    * - Shapes
#      - Result
#      - Strict function
#    * - ``(m,) @ (m,)``
#      - ``()``
#      - :func:`torch.dot`
#    * - ``(n, m) @ (m,)``
#      - ``(n,)``
#      - :func:`torch.mv`
#    * - ``(m,) @ (m, p)``
#      - ``(p,)``
#      - none
#    * - ``(n, m) @ (m, p)``
#      - ``(n, p)``
#      - :func:`torch.mm`
#    * - ``(b, n, m) @ (b, m, p)``
#      - ``(b, n, p)``
#      - :func:`torch.bmm`
#    * - ``(b, n, m) @ (m, p)``
#      - ``(b, n, p)``
#      - none, because it broadcasts
#    * - ``(b, n, m) @ (m,)``
#      - ``(b, n)``
#      - none, because it broadcasts
#
# A vector on the left counts as a row and a vector on the right as a column.
# Its axis is summed over, so it does not occur in the result.
#
# Use ``@`` by default. A strict function is for places where another number of
# axes would be a mistake, since it raises an error instead of broadcasting.

print(torch.dot(price, price))  # 3·3 + 5·5 + 1·1
print(torch.mm(orders, prices))
print(torch.bmm(weeks, weeks.mT).shape)
print((price @ prices).shape)  # (3,) @ (3, 2)
print((weeks @ price).shape)  # (4, 2, 3) @ (3,)
bmm_message = ""
try:
    torch.bmm(weeks, prices)
except RuntimeError as error:
    bmm_message = str(error)
print(bmm_message)

# %%
# .. check::

assert message, "the shapes (2, 3) and (2, 3) do not fit"
assert (orders @ orders.T).tolist() == [[5, 3], [3, 10]], "rows times rows"
assert (weeks @ prices).shape == (4, 2, 2), "the four weeks stay in front"
assert torch.equal((weeks @ prices)[2], 3 * bills), "each week has its bills"
assert (weeks @ weeks.mT).shape == (4, 2, 2), "mT swaps the last two axes"
assert torch.dot(price, price) == 35, "dot multiplies and sums two vectors"
assert torch.equal(torch.mm(orders, prices), bills), "mm is @ of two matrices"
assert (price @ prices).shape == (2,), "a vector on the left loses its axis"
assert (weeks @ price).shape == (4, 2), "a vector meets each week"
assert bmm_message, "bmm refuses a batch and one matrix"

# %%
# On real data
# ------------
# :doc:`/lessons/start/01_quickstart` averaged the digits of each class and then
# looked for the nearest average. Two matrix products do all of that.
#
# Write each label as a row of ten numbers, with a single 1 in the column of its
# digit. This is called a *one-hot* encoding. For row 7 of ``one_hot.T @ x``,
# every seven is multiplied by 1 and every other image by 0, and all are added
# up. So row 7 is the sum of all sevens.

train, test = datasets.mnist()
x = train.x.flatten(1)  # (10000, 784)
one_hot = (train.y.unsqueeze(1) == torch.arange(10)).float()  # (10000, 10)
totals = one_hot.T @ x  # (10, 10000) @ (10000, 784)
counts = one_hot.sum(dim=0)  # (10,)
averages = totals / counts.unsqueeze(1)
print(averages.shape)

# %%
# For each pixel, :math:`(p - q)^2 = p^2 - 2pq + q^2`. Summed over all pixels,
# the squared distance of an image :math:`p` from an average :math:`q` is
# :math:`|p - q|^2 = |p|^2 - 2\,p \cdot q + |q|^2`. Here :math:`|p|^2` is the
# sum of the squares of :math:`p`, and :math:`p \cdot q` is the dot product. The
# term :math:`|p|^2` is the same for all ten averages: leave it out, divide by
# −2, and the smallest becomes the largest. So the nearest average is the one
# with the largest :math:`p \cdot q - |q|^2 / 2`. All those dot products are one
# matrix product:

test_x = test.x.flatten(1)  # (2000, 784)
bias = -(averages**2).sum(dim=1) / 2  # (10,)
scores = test_x @ averages.T + bias  # (2000, 784) @ (784, 10)
accuracy = (scores.argmax(dim=1) == test.y).float().mean().item()
print(f"{accuracy:.1%} right")

# %%
# That is more than four out of five, as in the quickstart, and there is no
# loop. Now look at the line that computes ``scores``. *Images times a matrix,
# plus one number for each class*: that is a linear layer of a network. Here its
# numbers are averages, and training will find better ones.
#
# Sometimes the product is known and one of the two factors is not, as when you
# have the orders and the bills of three people and look for the prices of three
# fruits. Such a system, with as many equations as unknowns, is solved by
# :func:`torch.linalg.solve`. Suppose that Cleo buys one apple and one melon and
# pays 4:

cleo = torch.tensor([[1.0, 0.0, 1.0]])
three_orders = torch.cat([orders, cleo])  # 3 people, 3 fruits
three_bills = torch.tensor([11.0, 16.0, 4.0])  # 3 people
found = torch.linalg.solve(three_orders, three_bills)
print(found)  # the prices in that shop

# %%
# Do not multiply by the inverse of the matrix, :func:`torch.linalg.inv`:
# ``solve`` has less to do, and its result is as a rule more accurate.
#
# Name the axes: einsum
# ---------------------
# To get the shapes right we had to flatten and transpose. With
# :func:`torch.einsum`, named after Einstein's summation convention, you give
# each axis a letter instead and say which ones you want. Take ``p`` for people,
# ``f`` for fruits and ``s`` for shops:

print(torch.einsum("pf,fs->ps", orders, prices))

# %%
# There are three rules:
#
# 1. Where two tensors have the same letter, they are multiplied along it,
#    element by element.
# 2. A letter that is missing after the arrow is summed over.
# 3. The order after the arrow is the order of the axes in the result.
#
# So ``"pf,fs->ps"`` reads: for each person and each shop, multiply along the
# fruits and sum over them. With nothing after the arrow, all letters are summed
# over, and one number remains. Before you read on, say what these five are.

print(torch.einsum("pf,f->pf", orders, price))
print(torch.einsum("pf,f->p", orders, price))
print(torch.einsum("f,f->", price, price))
print(torch.einsum("pf->fp", orders))
print(torch.einsum("wpf,fs->wps", weeks, prices).shape)

# %%
# They are ``orders * price``, ``orders @ price``, a dot product, a transpose
# and a product of a batch. (You will also read ``"ii->i"``, the diagonal, and
# ``"...ij"``, where ``...`` stands for any number of axes.)
#
# Like ``@``, ``einsum`` refuses lengths that differ, but it also stretches an
# axis of length 1 that is summed over, and ``@`` does not. This can hide a
# mistake. Here two of the three prices are missing, and only ``@`` says so:

one_price = torch.tensor([3.0])
print(torch.einsum("pf,f->p", orders, one_price))
price_message = ""
try:
    orders @ one_price
except RuntimeError as error:
    price_message = str(error)
print(price_message)

# %%
# With letters, you can also sum the digits of each class without turning the
# images into rows first: ``n`` counts the images, ``k`` the classes, and the
# height ``h`` and the width ``w`` stay.
#
# .. alt:: The averages of the ten digits, 0 to 9, white on black: blurred, but
#    each is easily recognized.

images = train.x.squeeze(1)  # (10000, 28, 28)
sums = torch.einsum("nk,nhw->khw", one_hot, images)  # (10, 28, 28)
shown = sums / counts.reshape(10, 1, 1)
figure = plots.image_grid(shown, titles=range(10), ncols=5)

# %%
# .. check::

assert 0.78 < accuracy < 0.85, "more than four out of five are right"
assert torch.allclose(found, price), "solve finds the prices"
assert torch.equal(torch.einsum("pf,fs->ps", orders, prices), bills), (
    "letters give what @ gives"
)
assert torch.equal(torch.einsum("pf->fp", orders), orders.T), "a transpose"
assert torch.equal(
    torch.einsum("wpf,fs->wps", weeks, prices), weeks @ prices
), "a product of a batch"
assert torch.equal(torch.einsum("pf,f->pf", orders, price), orders * price), (
    "no letter missing: no sum"
)
assert torch.equal(torch.einsum("pf,f->p", orders, price), orders @ price), (
    "f is missing: a sum over the fruits"
)
assert torch.einsum("f,f->", price, price) == 35, "one number remains"
assert torch.equal(
    torch.einsum("pf,f->p", orders, one_price), 3 * orders.sum(dim=1)
), "einsum stretched the single price"
assert price_message, "@ does not stretch it"
assert torch.allclose(shown.flatten(1), averages, atol=1e-4), (
    "the same averages"
)

# %%
# What goes wrong
# ---------------
# When all lengths are equal, every product fits, and no error tells you that
# you wrote the wrong one. As an example, we move numbers with a matrix. Three
# numbers first: the 1 in row 0 and column 1 sends the number at place 0 to
# place 1, and the 1 in row 1 and column 2 sends the next one to place 2.

step = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
three = torch.tensor([7.0, 8.0, 9.0]) @ step
print(three)

# %%
# Now an image of 28 by 28 pixels is to move six pixels to the right. So a 1 in
# row ``i`` and column ``i + 6`` sends column ``i`` of the image to column
# ``i + 6``.

image = images[2]  # (28, 28)
shift = torch.zeros(28, 28)
for i in range(22):
    shift[i, i + 6] = 1
first = image @ shift
second = shift @ image
third = image * shift
print(first.shape, second.shape, third.shape)

# %%
# All three run, and all three shapes are right. Look at the images:
#
# .. alt:: Four images. A handwritten 1 in the middle. After image @ shift, it
#    has moved to the right. After shift @ image, it has moved up. After
#    image * shift, only a few pixels are left.

moved = torch.stack([image, first, second, third])
titles = ["image", "image @ shift", "shift @ image", "image * shift"]
figure = plots.image_grid(moved, titles=titles, ncols=4)

# %%
# Only ``image @ shift`` is what we wanted. A matrix on the right mixes columns,
# and a matrix on the left mixes rows. A square weight matrix that should have
# been transposed gives no error either. The cure is to try the code with
# lengths that all differ. Cut the image to 20 rows, and two of the three
# products cannot hide:

low = image[4:24]  # (20, 28)
print((low @ shift).shape)
left_message = ""
try:
    shift @ low
except RuntimeError as error:
    left_message = str(error)
print(left_message)
times_message = ""
try:
    low * shift
except RuntimeError as error:
    times_message = str(error)
print(times_message)

# %%
# A batch can hide the same mistake. Three matrices are to be multiplied by
# three vectors, the first by the first and so on. But ``@`` takes the three
# vectors for one matrix and multiplies each of the three matrices by it.
# Letters say what we mean:

matrices = torch.rand(3, 2, 3)  # 3 matrices
vectors = torch.rand(3, 3)  # 3 vectors, one for each matrix
print((matrices @ vectors).shape)  # not what we want
pairs = torch.einsum("bnm,bm->bn", matrices, vectors)
print(pairs.shape)

# %%
# .. check::

assert three.tolist() == [0, 7, 8], "each number moves one place"

assert torch.equal(first[:, 6:], image[:, :-6]), "image @ shift moves right"
assert torch.equal(second[:-6], image[6:]), "shift @ image moves up"
assert 0 < (third > 0).sum() < 10, "image * shift keeps a few pixels"
assert first.shape == second.shape == third.shape, "all shapes are (28, 28)"
assert (low @ shift).shape == (20, 28), "the right product still runs"
assert left_message, "shift @ low does not fit"
assert times_message, "low * shift does not fit"
assert (matrices @ vectors).shape == (3, 2, 3), "@ multiplies all by all"
assert torch.allclose(pairs[0], matrices[0] @ vectors[0]), "the first pair"
assert torch.allclose(pairs[2], matrices[2] @ vectors[2]), "the last pair"

# %%
# Recipe
# ------
# Three products that you will meet again, each in both notations: a layer, a
# dot product for each row, and the dot products of all pairs of rows in a
# batch, as in attention. There the rows of one tensor are called queries and
# those of the other keys. So the letters of the last ``einsum`` are ``b`` for
# the batch, ``q`` and ``k`` for the rows, and ``d`` for the numbers of a row.

import torch

inputs = torch.rand(5, 4)  # 5 rows with 4 features
weight = torch.rand(3, 4)  # 3 outputs, as in torch.nn.Linear
queries = torch.rand(2, 6, 8)  # a batch of 2, with 6 rows of 8 numbers each
keys = torch.rand(2, 7, 8)  # a batch of 2, with 7 rows

output = inputs @ weight.T  # (5, 3)
output = torch.einsum("nf,of->no", inputs, weight)

dots = (inputs * inputs).sum(dim=1)  # (5,), a dot product for each row
dots = torch.einsum("nf,nf->n", inputs, inputs)

similar = queries @ keys.mT  # (2, 6, 7)
similar = torch.einsum("bqd,bkd->bqk", queries, keys)
print(output.shape, dots.shape, similar.shape)

# %%
# .. check::

assert torch.allclose(inputs @ weight.T, output), "a layer, in both notations"
assert torch.allclose((inputs * inputs).sum(dim=1), dots), "dot products"
assert torch.allclose(queries @ keys.mT, similar), "all pairs of rows"

# %%
# What you learned
# ----------------
# - ``*`` multiplies what stands in the same place; ``@`` also sums over the
#   axis that both sides share.
# - ``(n, m) @ (m, p)`` gives ``(n, p)``; axes before the last two are a batch.
# - In ``einsum``, a letter that is missing after the arrow is summed over.
# - Equal lengths hide a wrong product, so test with lengths that all differ,
#   and none of them 1.
#
# Exercises
# ---------
# 1. **Predict.** Let ``a = torch.ones(5, 2, 3)``, ``b = torch.ones(3, 4)`` and
#    ``v = torch.ones(3)``. Which shapes do ``a @ b``, ``a @ v``, ``a * v``, ``v
#    @ v``, ``torch.einsum("bij,bij->b", a, a)`` and ``torch.einsum("ji->ij",
#    b)`` have? Which two of ``a @ a.mT``, ``a @ a`` and ``b @ v`` raise an
#    error?
# 2. **Change.** Leave ``bias`` out of the scores. How many digits are right
#    now, and which digit is never predicted? Why?
# 3. **Extend.** Find for each test image the nearest of all 10,000 training
#    images, with one matrix product, and predict that image's label. How many
#    are right? How much memory would ``test_x.unsqueeze(1) - x`` have needed?

# %%
# .. answer:: 1
#
#    ``@`` takes the last two axes and keeps the batch of 5; ``*`` sums nothing;
#    ``"bij,bij->b"`` keeps only ``b``; ``"ji->ij"`` transposes. (Without an
#    arrow, the letters that occur once come out in alphabetical order, so
#    ``"ji"`` means the same. Always write the arrow.) In ``a @ a``, the inner
#    lengths are 3 and 2; in ``b @ v``, they are 4 and 3.

a = torch.ones(5, 2, 3)
b = torch.ones(3, 4)
v = torch.ones(3)
print((a @ b).shape, (a @ v).shape, (a * v).shape, (v @ v).shape)
print(torch.einsum("bij,bij->b", a, a).shape, torch.einsum("ji->ij", b).shape)
print((a @ a.mT).shape)
messages = []
try:
    a @ a
except RuntimeError as error:
    messages.append(str(error))
try:
    b @ v
except RuntimeError as error:
    messages.append(str(error))
print(messages)

# %%
# .. check::

assert (a @ b).shape == (5, 2, 4), "the batch stays"
assert (a @ v).shape == (5, 2), "the axis of length 3 is summed"
assert (a * v).shape == (5, 2, 3), "* sums nothing"
assert (v @ v).shape == (), "a dot product is one number"
assert torch.einsum("bij,bij->b", a, a).shape == (5,), "only b is kept"
assert torch.einsum("ji->ij", b).shape == (4, 3), "ji->ij transposes"
assert torch.equal(torch.einsum("ji", b), b.T), "so does ji without the arrow"
assert (a @ a.mT).shape == (5, 2, 2), "a row times a row"
assert len(messages) == 2, "a @ a and b @ v raise an error"

# %%
# .. answer:: 2
#
#    The dot product alone prefers averages with many bright pixels: the sums of
#    squares of 0 and 8 are the largest, and these two are chosen far too often.
#    Even the average 5 has a larger dot product with the averages of 0, 8 and 3
#    than with itself, and no image is taken for a 5. The term :math:`|q|^2 / 2`
#    makes up for that. (``int()`` drops the fractions of what is printed.)

without_bias = (test_x @ averages.T).argmax(dim=1)
correct = (without_bias == test.y).float().mean().item()
print(f"{correct:.1%} right")
chosen = without_bias.unsqueeze(1) == torch.arange(10)  # (2000, 10)
print("predicted:", chosen.sum(dim=0).tolist())
print("squares:  ", (averages**2).sum(dim=1).int().tolist())
with_5 = averages @ averages[5]  # (10,)
print("dot with 5:", with_5.int().tolist())

# %%
# .. check::

assert correct < accuracy - 0.1, "without the bias, far fewer are right"
assert not (without_bias == 5).any(), "no image is taken for a 5"
assert (averages**2).sum(dim=1).topk(2).indices.tolist() == [0, 8], (
    "0 and 8 have the largest sums of squares"
)
assert with_5[[0, 3, 8]].min() > with_5[5], (
    "the average 5 has larger dot products with 0, 3 and 8"
)

# %%
# .. answer:: 3
#
#    The product has 2,000 · 10,000 numbers, which is 80 MB. The differences
#    would be 784 times as many.

closeness = test_x @ x.T - (x**2).sum(dim=1) / 2  # (2000, 10000)
nearest = closeness.argmax(dim=1)  # (2000,)
correct = (train.y[nearest] == test.y).float().mean().item()
size = closeness.numel() * 784 * 4  # bytes: 4 for each number
print(f"{correct:.1%} right")
print(f"the differences would need {size / 1e9:.0f} GB")

# %%
# .. check::

assert 0.92 < correct < 0.96, "the nearest image is right for 94 of 100"
assert round(size / 1e9) == 63, "63 GB"

# %%
# .. earlier::
#
#    The old functions for equations are gone: calling ``torch.solve`` or
#    ``torch.lstsq`` raises an error that names ``torch.linalg.solve`` or
#    ``torch.linalg.lstsq``, where the matrix comes first. And ``x.T`` is meant
#    for matrices: with another number of axes it warns, and ``x.mT`` is what
#    you want for a batch.

message = ""
try:
    torch.solve(torch.ones(2, 1), torch.ones(2, 2))
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# .. check::

assert message, "torch.solve raises an error"
