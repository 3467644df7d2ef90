"""
Making tensors
==============

How do I make a tensor?

A :term:`tensor` is an array of numbers of one kind, and everything in PyTorch starts with one.
There are a dozen ways to make it: from data, filled, in ranges, at random, from NumPy. Most do
what they say; two old ones do not, and they come early. The page before is
:doc:`/lessons/start/02_define_by_run`.
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import numpy as np
import torch

from handbook import datasets

torch.manual_seed(0)
train, _ = datasets.mnist()

# %%
# The smallest one
# ----------------
# :func:`torch.tensor` takes the numbers that you write down. Brackets within brackets make more
# dimensions, and ``shape`` tells how many numbers lie along each :term:`axis`.

for data in (3, [1, 2, 3], [[1, 2], [3, 4], [5, 6]]):
    x = torch.tensor(data)
    print(f"{data!s:25} ndim {x.ndim}, shape {tuple(x.shape)}")
assert torch.tensor(3).shape == () and x.shape == (3, 2)

# %%
# A :term:`scalar` has no axis, a :term:`vector` one, a :term:`matrix` two, and it goes on: images
# of handwritten digits lie in a stack with three axes. Whoever picks one image, one row of it, one
# pixel, loses one axis each time.
#
# .. alt:: Four panels: one dark pixel, shape (); the strip of 28 pixels that it comes from, shape
#    (28,); the image of a five with that strip, shape (28, 28); a stack of digits, shape (10000,
#    28, 28).

stack = train.x.squeeze(1)  # (10000, 28, 28)
image = stack[0]
row = image[7]
pixel = row[10]
assert [part.ndim for part in (pixel, row, image, stack)] == [0, 1, 2, 3]

figure, axes = plt.subplots(1, 4, figsize=(7, 2.3), layout="constrained")
style = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
places = {"scalar": (pixel, (10, 11, 8, 7)), "vector": (row, (0, 28, 8, 7))}
places["matrix"] = image, (0, 28, 28, 0)
for axis, (name, (part, place)) in zip(axes, places.items(), strict=False):
    axis.imshow(torch.atleast_2d(part).numpy(), extent=place, **style)
    axis.set(title=f"{name}\n{tuple(part.shape)}", xlim=(0, 28), ylim=(28, 0))
for n in (36, 24, 12, 0):
    axes[3].imshow(
        stack[n // 12].numpy(), extent=(n, n + 28, 28 - n, -n), **style
    )
    axes[3].add_patch(plt.Rectangle((n, -n), 28, 28, fill=False, zorder=0))
axes[3].set(title=f"stack\n{tuple(stack.shape)}", xlim=(0, 64), ylim=(28, -36))
for axis in axes:
    axis.set(xticks=[], yticks=[])

# %%
# .. _old-ways-to-make-one:
#
# Two old ways that mislead
# -------------------------
# Older notes write ``torch.FloatTensor`` and ``torch.LongTensor``. From a list they do make a
# tensor; ``LongTensor`` drops the fractions. A bare whole number they take for a *size*: the last
# one below is not the number 3, it is three numbers. ``torch.Tensor``, capital T, does the same.

print(torch.LongTensor([1.7]), torch.FloatTensor([3]))
print(torch.FloatTensor(3).shape)
assert torch.LongTensor([1.7]).item() == 1
assert torch.FloatTensor(3).shape == torch.Tensor(3).shape == (3,)

# %%
# Which three numbers? Nobody chose them: they are :term:`uninitialized`, whatever the memory held
# before, and another time something else. :func:`torch.empty` does the same and says so a little
# better; it is not empty, ``torch.empty(3, 5)`` has 15 numbers. One switch makes such memory
# visible: in deterministic mode PyTorch fills it, here with ``nan``, "not a number".

torch.use_deterministic_algorithms(True)
three, fifteen = torch.FloatTensor(3), torch.empty(3, 5)
print(three, fifteen.isnan().sum())
assert three.isnan().all() and fifteen.isnan().all() and fifteen.numel() == 15
torch.use_deterministic_algorithms(False)

# %%
# What is that good for? For numbers that you are going to write yourself, every one of them, before
# anybody reads them: zeros would be written for nothing. In doubt, take :func:`torch.zeros`.

squares = torch.empty(5)
for i in range(5):
    squares[i] = i**2
print(squares)
assert squares.tolist() == [0, 1, 4, 9, 16]

# %%
# The kind of number
# ------------------
# One tensor, one :term:`dtype`. :func:`torch.tensor` reads it off the data: whole numbers become
# ``int64``, numbers with a point ``float32``, and a mixture takes the more general kind. Older
# notes know five kinds; count them.

for data in (True, 3, 3.0, 3j, [True, 2], [1, 2.5], np.array([0.1, 0.2])):
    print(f"{data!r:17} {torch.tensor(data).dtype}")
kinds = {k for k in vars(torch).values() if isinstance(k, torch.dtype)}
print(len(kinds), "dtypes in all")
assert torch.tensor([1, 2.5]).dtype == torch.float32 and len(kinds) > 40
assert torch.tensor(np.array([0.1, 0.2])).dtype == torch.float64

# %%
# NumPy's numbers keep NumPy's kind, here ``float64``. Python's numbers with a point do not: they
# have 53 significant bits, ``float32`` has 24, so digits are lost at the door, and converting
# afterwards does not bring them back. Ask for the kind you want at once.

late = torch.tensor(0.1).to(torch.float64)
early = torch.tensor(0.1, dtype=torch.float64)
print(f"late: {late.item()}  early: {early.item()}")
print(torch.tensor(16_777_217.0).item())  # 2**24 + 1
assert late != 0.1 and early == 0.1 and torch.tensor(16_777_217.0) == 16_777_216

# %%
# Filled, and like another
# ------------------------
# Shape first, then the value. The functions that end in ``_like`` take shape, dtype and
# :term:`device` from a tensor that you have. Guess the last line before you read it.

counts = torch.tensor([3, 1, 2])
print(torch.zeros(2, 3), torch.full((2, 3), 7), torch.eye(2), sep="\n")
print(torch.ones_like(counts), torch.zeros_like(image).shape)
print(torch.full_like(counts, 0.5))
assert torch.full_like(counts, 0.5).eq(0).all()
assert torch.full_like(counts, 0.5, dtype=torch.float32).eq(0.5).all()

# %%
# ``counts`` holds whole numbers, so 0.5 became 0 without a word; with ``dtype=torch.float32`` it
# stays what it is. ``torch.full((2, 3), 7)`` holds whole numbers too, because 7 is one, while
# :func:`torch.zeros` makes ``float32``.
#
# Ranges
# ------
# :func:`torch.arange` fixes the step and leaves out the end. :func:`torch.linspace` fixes how many
# and includes both ends. ``torch.logspace`` spaces the exponents evenly.
#
# .. alt:: Three rows of dots between dashed lines at 0 and 1. arange: 0 to 0.75, the end left out.
#    linspace: five dots, both ends included. logspace: dots crowded near 0 and the last one at 1.

ranges = {
    "logspace(-2, 0, 5)": torch.logspace(-2, 0, 5),
    "linspace(0, 1, 5)": torch.linspace(0, 1, 5),
    "arange(0, 1, 0.25)": torch.arange(0, 1, 0.25),
}
figure, axis = plt.subplots(figsize=(5.6, 2), layout="constrained")
for height, values in enumerate(ranges.values()):
    axis.plot(values.tolist(), [height] * len(values), "o", markersize=8)
axis.set(xlabel="value", yticks=range(3), yticklabels=ranges, ylim=(-0.5, 2.5))
for end in (0, 1):
    axis.axvline(end, color="gray", linestyle="--", zorder=0)
assert ranges["arange(0, 1, 0.25)"].tolist() == [0, 0.25, 0.5, 0.75]

# %%
# "Leaves out the end" is true of whole numbers. With a step such as 0.1, which no binary
# floating-point number equals, rounding decides, and here the end slips in:

print(torch.arange(1, 1.3, 0.1), torch.linspace(1, 1.2, 3), sep="\n")
assert len(torch.arange(1, 1.3, 0.1)) == 4

# %%
# So count with ``arange`` and measure with ``linspace``.
#
# Random numbers
# --------------
# :func:`torch.rand` draws evenly from 0 up to, not including, 1; :func:`torch.randn` from the
# normal distribution with mean 0 and standard deviation 1; :func:`torch.randint` whole numbers,
# the upper end left out. The dashed lines are what they should be.
#
# .. alt:: Three histograms of 100,000 numbers, each along its dashed line: rand flat between 0 and
#    1, randn a bell around 0, randint six equal bars from 0 to 5.

n = 100_000
draws = {"rand": torch.rand(n), "randn": torch.randn(n)}
draws["randint"] = torch.randint(0, 6, (n,))
t = torch.linspace(-4, 4, 200)
bell = torch.exp(-(t**2) / 2) / (2 * torch.pi) ** 0.5
ideal = {
    "rand": ([0, 0, 1, 1], [0, 1, 1, 0]),
    "randn": (t.tolist(), bell.tolist()),
    "randint": ([-0.5, 5.5], [1 / 6, 1 / 6]),
}
figure, axes = plt.subplots(1, 3, figsize=(6.8, 2.4), layout="constrained")
for axis, (name, values) in zip(axes, draws.items(), strict=True):
    bins = [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5] if name == "randint" else 40
    axis.hist(values.numpy(), bins, density=True, color="lightblue", ec="gray")
    axis.plot(*ideal[name], "--", color="tab:red")
    axis.set(title=name, xlabel="value")
axes[0].set_ylabel("density")
assert draws["rand"].min() >= 0 and draws["rand"].max() < 1
assert draws["randint"].min() == 0 and draws["randint"].max() == 5
assert (
    abs(draws["randn"].mean()) < 0.02 and abs(draws["randn"].std() - 1) < 0.02
)

# %%
# A :term:`random seed` makes draws repeatable, but a wrong idea comes along: "I set it at the top,
# so this line always draws the same." All lines share one stream of numbers. Whoever draws before
# you moves you along.


def draw(someone_before_me, generator=None):
    torch.manual_seed(0)
    if someone_before_me:
        torch.rand(1)
    return torch.rand(3, generator=generator)


print("shared stream:", draw(False), draw(True), sep="\n")
first = draw(False, torch.Generator().manual_seed(7))
second = draw(True, torch.Generator().manual_seed(7))
print("own generator:", first, second, sep="\n")
assert not torch.equal(draw(False), draw(True))
assert torch.equal(first, second)

# %%
# A :class:`torch.Generator` of your own is a stream of its own: nobody else draws from it. Promise
# no more than that: another device or another version of PyTorch may give other numbers for the
# same seed.
#
# A closer look
# -------------
# Does a tensor that was made from an array *copy* it, or do both look at the same memory? Change
# the array and see who notices.

array = np.array([1.0, 2.0, 3.0])
made = {
    "tensor(array)": torch.tensor(array),
    "from_numpy(array)": torch.from_numpy(array),
    "as_tensor(array)": torch.as_tensor(array),
    "as_tensor(array, dtype=float32)": torch.as_tensor(
        array, dtype=torch.float32
    ),
}
array[0] = 100
for call, x in made.items():
    shared = np.shares_memory(array, x.numpy())
    print(f"{call:32} {'shares' if shared else 'copies'}  {x.tolist()}")
assert [x[0].item() for x in made.values()] == [1, 100, 100, 1]

# %%
# :func:`torch.tensor` always copies. :func:`torch.from_numpy` never does, and
# :func:`torch.as_tensor` only where it must: for another dtype, another device, or a list. To copy
# a tensor write ``x.clone()``; ``torch.tensor(x)`` works and warns.
#
# .. list-table::
#    :header-rows: 1
#
#    * - You have
#      - You write
#    * - numbers
#      - ``torch.tensor([1.0, 2.0])``
#    * - an array, to keep apart
#      - ``torch.tensor(array)``
#    * - an array, not to copy
#      - ``torch.from_numpy(array)``
#    * - a shape
#      - ``torch.zeros(2, 3)``, ``torch.ones(2, 3)``, ``torch.full((2, 3), 7)``
#    * - a tensor to match
#      - ``torch.zeros_like(x)``
#    * - a step
#      - ``torch.arange(10)``
#    * - two ends
#      - ``torch.linspace(0, 1, 5)``
#    * - chance
#      - ``torch.rand(2, 3, generator=generator)``
#
# What you learnt
# ---------------
# - Make tensors from data with ``torch.tensor``, and never with ``FloatTensor`` and its kin.
# - Read ``torch.empty`` as "not yet written", and write every number before you read one.
# - Ask for the dtype when you make a tensor: digits lost then are lost for good.
# - Give random numbers that must be repeatable a generator of their own.
# - Know whether you copied: ``tensor`` does, ``from_numpy`` does not, ``as_tensor`` if it must.
#
# Exercises
# ---------
# 1. **Predict.** What are shape and dtype of ``torch.tensor([[1, 2.0, True]])``,
#    ``torch.zeros(3, 0)``, ``torch.arange(0, 10, 3) / 2`` and ``torch.linspace(0, 1, 1)``?
# 2. **Change.** Draw 100,000 numbers evenly between -3 and 5, and as many from a normal
#    distribution with mean 10 and standard deviation 2, with ``torch.rand`` and ``torch.randn``
#    alone.
# 3. **Extend.** A camera hands you a list of NumPy images of whole numbers from 0 to 255. Make one
#    tensor of shape (N, 1, 28, 28) from 0 to 1, without a loop over pixels, and say which steps
#    copy.

# %%
# .. answer:: 1
#
#    The more general kind wins, an axis may have length 0, and a division makes floating-point
#    numbers. One point between two ends is the first end.

mixed, nothing = torch.tensor([[1, 2.0, True]]), torch.zeros(3, 0)
halves, point = torch.arange(0, 10, 3) / 2, torch.linspace(0, 1, 1)
for x in (mixed, nothing, halves, point):
    print(f"{tuple(x.shape)!s:7} {x.dtype}  {x.tolist()}")
assert mixed.dtype == torch.float32 and nothing.numel() == 0
assert halves.tolist() == [0, 1.5, 3, 4.5] and point.tolist() == [0]

# %%
# .. answer:: 2
#
#    Stretch, then shift: 8 is the width, -3 the left end; 2 is the spread, 10 the centre.

even = 8 * torch.rand(100_000) - 3
normal = 2 * torch.randn(100_000) + 10
print(f"even: {even.min():.2f} to {even.max():.2f}")
print(f"normal: mean {normal.mean():.2f}, deviation {normal.std():.2f}")
assert even.min() >= -3 and even.max() <= 5 and abs(even.mean() - 1) < 0.05
assert abs(normal.mean() - 10) < 0.05 and abs(normal.std() - 2) < 0.05

# %%
# .. answer:: 3
#
#    ``np.stack`` copies once. ``torch.from_numpy`` and ``unsqueeze`` copy nothing. The division
#    writes new numbers, of a new kind. (``torch.tensor`` takes the list, too, but number by
#    number, and warns that it is slow.)

camera = [np.full((28, 28), 51 * n, dtype=np.uint8) for n in range(6)]
joined = np.stack(camera)  # (6, 28, 28)
whole = torch.from_numpy(joined).unsqueeze(1)  # (6, 1, 28, 28)
x = whole / 255
print(tuple(x.shape), x.dtype, x[:, 0, 0, 0], sep="\n")
assert np.shares_memory(joined, whole.numpy())
assert not np.shares_memory(joined, x.numpy())
assert x.shape == (6, 1, 28, 28) and x.dtype == torch.float32
assert x.min() == 0 and x.max() == 1

# %%
# Next
# ----
# :doc:`/lessons/tensors/02_attributes`: what a tensor knows about itself, and what follows when two
# of them meet.
