"""
Number ranges, precision, type promotion
========================================

Which numbers fit into a tensor, and what becomes of those that do not?

Python's whole numbers grow as large as they must. The numbers in a tensor have
a fixed size, which makes them fast and small. The price is that some results do
not fit. When a *calculation* gives such a result, PyTorch raises no error: it
stores another number. This lesson shows which one, and how to choose a dtype
that has room.

After this lesson you can

- say which numbers a dtype can hold, and how precisely
- tell beforehand which dtype a calculation with two dtypes returns
- calculate with the pixels of image files without spoiling them
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets

# %%
# Whole numbers: a range
# ----------------------
# Most image files store a pixel as a whole number from 0 to 255, in 8 bits.
# That is the dtype ``torch.uint8``: unsigned, so without negative numbers, and
# an integer of 8 bits. ``dtype=`` says which dtype the new tensor gets. What do
# you expect from 200 + 100, and from 3 - 5?

shades = torch.tensor([200, 3], dtype=torch.uint8)
print(shades + 100)
print(shades - 5)

# %%
# The first result should start with 300 but starts with 44. The second should
# end with -2 but ends with 254. After 255 comes 0 again, as on a counter that
# has run out of digits: 300 - 256 = 44. In the other direction, 255 comes
# before 0. The numbers *wrap around*, and there is no error. (Writing 300 into
# a ``uint8`` tensor yourself, as in ``torch.tensor([300], dtype=torch.uint8)``,
# is an error; writing -1 is not, it becomes 255.) :func:`torch.iinfo` says
# which range an integer dtype has:

print(torch.iinfo(torch.uint8))
print(torch.iinfo(torch.int64).max)

# %%
# ``int64``, the dtype of whole numbers that you write down, reaches beyond
# 9 × 10¹⁸. So wrapping is mostly a danger of the small dtypes, such as
# ``uint8`` and ``int8``, which holds -128 to 127.

# %%
# .. check::

assert (shades + 100).tolist() == [44, 103], "300 - 256 is 44"
assert (shades - 5).tolist() == [195, 254], "-2 + 256 is 254"
assert torch.tensor([-1], dtype=torch.uint8).item() == 255, "-1 becomes 255"
assert torch.iinfo(torch.uint8).max == 255, "uint8 ends at 255"
assert torch.iinfo(torch.int64).max > 9e18, "int64 reaches beyond 9e18"
assert torch.iinfo(torch.int8).min == -128, "int8 begins at -128"
assert torch.iinfo(torch.int8).max == 127, "int8 ends at 127"

# %%
# With a fraction: a range and a precision
# ----------------------------------------
# A *floating-point number* is stored like 6.02 × 10²³: a few significant
# digits, and an exponent. (The computer uses powers of 2.) So the range is
# large, but only the first digits are kept. ``bfloat16`` is a dtype of 16 bits
# that is used to train large networks. Here it counts:

print(torch.tensor(255.0, dtype=torch.bfloat16) + 1)
print(torch.tensor(256.0, dtype=torch.bfloat16) + 1)

# %%
# 256 + 1 is 256. ``bfloat16`` has room for 8 significant binary digits, and 257
# is 100000001 in binary, nine digits. The next number after 256 is 258, so the
# sum is rounded back. The usual ``float32`` has 24 binary digits, about 7
# decimal ones. The same happens there, only much later:

print(torch.tensor(16_777_216.0) + 1)

# %%
# The gap between a number and the next one grows with the number. The figure
# shows this for four dtypes. Where a line is above the dashed one, the gap is
# larger than 1.
#
# .. alt:: Four rising lines, one for each dtype: the gap to the next number,
#    drawn over the number, both from small to large powers of ten. The lines of
#    bfloat16, float16, float32 and float64 run in parallel, bfloat16 on top.
#    They cross the dashed line, a gap of 1, at about 100, 1,000, 10 million and
#    10 to the power of 16. The line of float16 ends before 65,504.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
kinds = [torch.bfloat16, torch.float16, torch.float32, torch.float64]
for kind, style in zip(kinds, ["D-", "o-", "s-", "^-"], strict=True):
    values = 10.0 ** torch.arange(-2, 19, dtype=torch.float64)
    values = values[values < torch.finfo(kind).max].to(kind)
    following = torch.nextafter(values, torch.full_like(values, torch.inf))
    gaps = following.double() - values.double()
    name = str(kind).removeprefix("torch.")
    axis.loglog(values.tolist(), gaps.tolist(), style, label=name, markersize=4)
axis.axhline(1, color="gray", linestyle="--", zorder=0)
axis.set(xlabel="number", ylabel="gap to the next number")
axis.legend()

# %%
# The line of ``float16`` ends early. It is a second dtype of 16 bits, with more
# digits than ``bfloat16`` and a smaller range: it ends at 65,504. What is
# clearly larger, from 65,520 on, becomes ``inf``, infinity.

large = torch.tensor(70_000.0)
print(large.to(torch.float16))
print(large.to(torch.bfloat16))
print(torch.finfo(torch.float16).max)

# %%
# :func:`torch.finfo` gives the largest number of a dtype, ``max``, and its
# precision, ``eps``: the gap from 1 to the next number. ``float16`` overflows,
# ``bfloat16`` stores 70,000 as 70,144. For training, range is worth more than
# digits; that is why ``bfloat16`` was made.
#
# Most fractions, such as 0.1, have no end in binary digits, so they are rounded
# when they are stored. Therefore do not ask with ``==`` whether two results are
# equal: ``0.1 + 0.2 == 0.3`` is ``False`` in Python. Ask whether they are
# close, with ``torch.allclose``.
#
# What was rounded does not come back. Python's 0.1 has 53 binary digits, and
# ``float32`` keeps 24 of them. A later conversion cannot restore the others, so
# ask for ``float64`` at once where you need it:

late = torch.tensor(0.1).to(torch.float64)
early = torch.tensor(0.1, dtype=torch.float64)
print(late.item(), early.item())

# %%
# .. check::

assert torch.tensor(255.0).bfloat16() + 1 == 256, "255 + 1 is 256"
assert torch.tensor(256.0).bfloat16() + 1 == 256, "256 + 1 is 256"
assert torch.tensor(256.0).bfloat16() + 2 == 258, "258 is the next number"
assert torch.tensor(16_777_216.0) + 1 == 16_777_216, "2**24 + 1 is 2**24"
assert torch.tensor(16_777_215.0) + 1 == 16_777_216, "until there, 1 counts"
assert torch.finfo(torch.float16).max == 65_504, "float16 ends at 65,504"
assert torch.tensor(65_519.0).half() == 65_504, "rounded back to the end"
assert torch.tensor(65_520.0).half().isinf(), "infinity from 65,520 on"
assert large.to(torch.float16).isinf(), "70,000 is infinity in float16"
assert large.to(torch.bfloat16) == 70_144, "70,000 is 70,144 in bfloat16"
assert torch.finfo(torch.bfloat16).max > 1e38, "bfloat16 reaches 1e38"
assert 0.1 + 0.2 != 0.3, "0.1 + 0.2 is not exactly 0.3 in Python"
assert late != 0.1, "a later conversion does not restore the digits"
assert early == 0.1, "float64 keeps the digits of Python's number"

# %%
# Two dtypes meet: type promotion
# -------------------------------
# A tensor has one dtype, so if you add two tensors of different dtypes, PyTorch
# has to choose one for the result. The rule is called :term:`type promotion`.
# It knows four families: ``bool``, whole numbers, floating-point numbers,
# complex numbers.
#
# 1. Different families: the later one in this list wins.
# 2. The same family: the smallest dtype that holds both.
#
# (The rules are for the usual dtypes. ``uint16``, ``uint32``, ``uint64`` and
# the ``float8`` dtypes mostly raise an error instead, and ``complex64`` with
# ``float64`` gives ``complex128``.) Work out each line before you read the
# output.

small = torch.tensor([1, 2], dtype=torch.uint8)
whole = torch.tensor([1, 2])  # int64
half = torch.tensor([1.0, 2.0], dtype=torch.float16)
usual = torch.tensor([1.0, 2.0])  # float32
print("uint8 + int64:    ", (small + whole).dtype)
print("float16 + float32:", (half + usual).dtype)
print("int64 + float16:  ", (whole + half).dtype)
print("int64 / int64:    ", (whole / whole).dtype)

# %%
# The third line surprises many people. Floating-point numbers win over whole
# ones, however small they are, so ``int64`` becomes ``float16``, where 70,000
# is infinity. And a division of whole numbers returns ``float32``, because the
# result can have a fraction.
#
# What about a single number? One expects that 300 makes room for itself:

print("uint8 + 300:", small + 300)
print("uint8 + 1.5:", small + 1.5)

# %%
# It does not. **Beside a tensor with axes, a plain number, or a tensor without
# axes, changes the family, but not the size within a family.** (Two tensors
# without axes follow the rules above.) 300 is whole, like ``uint8``, so the
# result stays ``uint8`` and wraps: 1 + 300 - 256 = 45. 1.5 is of a later
# family, and the result becomes ``float32``, the default for Python's
# fractions. This is useful in general: ``half * 2`` stays ``float16`` instead
# of taking twice the memory.
#
# Matrix products, and with them linear and convolutional layers, do not
# promote. They raise an error if two dtypes meet, as in
# :doc:`/lessons/tensors/02_shape_dtype_device`.

# %%
# .. check::

assert (small + whole).dtype == torch.int64, "int64 holds both"
assert (half + usual).dtype == torch.float32, "float32 holds both"
assert (whole + half).dtype == torch.float16, "floating point wins"
assert (whole / whole).dtype == torch.float32, "a division has a fraction"
assert (small + 300).tolist() == [45, 46], "300 does not widen uint8"
assert (small + 300).dtype == torch.uint8, "the result stays uint8"
assert (small + whole[0]).dtype == torch.uint8, "no axes: no wider dtype"
assert (small[0] + whole[0]).dtype == torch.int64, "both without axes"
assert (small + 1.5).tolist() == [2.5, 3.5], "1.5 changes the family"
assert (half * 2).dtype == torch.float16, "2 does not widen float16"

# %%
# On real data
# ------------
# What does a dtype cost? In the handbook, pixels are ``float32`` from 0 to 1.
# In the file they were whole numbers from 0 to 255, so let us get those back.
# ``round`` is needed, because a conversion drops the fraction, and 252.9999
# would become 252.

train, _ = datasets.mnist()
pixels = (train.x * 255).round().to(torch.uint8)  # (10000, 1, 28, 28)
print(f"uint8:   {pixels.nbytes / 1e6:.1f} MB")
print(f"float32: {train.x.nbytes / 1e6:.1f} MB")

for kind in (torch.bfloat16, torch.float16):
    rounded = train.x.to(kind)
    error = (rounded.float() - train.x).abs().max()
    print(f"{kind}: {rounded.nbytes / 1e6:.1f} MB, error {error:.5f}")

# %%
# ``nbytes`` is the memory of all elements: one byte for each pixel as
# ``uint8``, four as ``float32``. With ``abs``, the differences lose their sign,
# so the last column is the largest error of any pixel. Between two shades of
# grey there is 1/255, about 0.004. ``float16`` is precise enough for them, and
# ``bfloat16`` is just precise enough. So **store images as uint8 and convert
# each batch**; it is exact, at a quarter of the memory.

# %%
# .. check::

assert train.x.nbytes == 4 * pixels.nbytes, "a quarter of the memory"
assert (pixels / 255).equal(train.x), "uint8 gives the pixels back"
assert (train.x.half().float() - train.x).abs().max() < 0.0003, "float16"
assert (train.x.bfloat16().float() - train.x).abs().max() < 0.002, (
    "bfloat16 is off by less than half a shade of grey"
)

# %%
# What goes wrong
# ---------------
# Make a digit brighter: add 100 to every pixel. Cut off what is above 255.

image = pixels[0, 0]  # (28, 28)
wrong = (image + 100).clamp(max=255)
print("before:", image[7, 15:21].tolist())
print("after: ", wrong[7, 15:21].tolist())

# %%
# ``clamp(max=255)`` replaces everything above 255 by 255. But there is nothing
# above 255: by then, the sums have wrapped around. The bright pixels became
# darker, from 253 to 97. So calculate in a dtype that has room, and go back to
# ``uint8`` after the cut. (Without the cut, nothing guarantees what a number
# outside the range becomes.)

right = (image.float() + 100).clamp(max=255).to(torch.uint8)
print("after: ", right[7, 15:21].tolist())

# %%
# The figure shows at once what is hard to see in a table of numbers.
#
# .. alt:: The handwritten 5 three times. Before: light strokes on black. Added
#    in uint8: the inside of the strokes is as grey as the background, and only
#    their edges are bright or black. Added in float32: white strokes on grey.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.5), layout="constrained")
titles = ["before", "+ 100 in uint8", "+ 100 in float32"]
for axis, part, title in zip(axes, [image, wrong, right], titles, strict=True):
    axis.imshow(part.numpy(), cmap="gray", vmin=0, vmax=255)
    axis.set(title=title, xticks=[], yticks=[])

# %%
# The same happens in the mean of two images, ``(first + second) / 2``, where
# the sum wraps before it is divided, and in their difference,
# ``first - second``. A network would train on such images without any
# complaint.

# %%
# .. check::

assert (torch.tensor([253], dtype=torch.uint8) + 100).item() == 97, "253 wraps"
assert (wrong < image).any(), "some pixels became darker"
assert (right >= image).all(), "no pixel became darker"
assert right.max() == 255, "the cut is at 255"

# %%
# Recipe
# ------
# From an image file to a network, and back.

import torch

stored = torch.tensor([[0, 100, 255]], dtype=torch.uint8)  # from a file
x = stored.float() / 255  # from 0 to 1, for the network
brighter = x + 0.2
result = (brighter * 255).round().clamp(0, 255).to(torch.uint8)
print(result)

# %%
# ``clamp(0, 255)`` cuts at both ends, and ``round`` comes before the conversion
# because that drops the fraction.

# %%
# .. check::

assert result.tolist() == [[51, 151, 255]], "0.2 of 255 is 51"

# %%
# What you learned
# ----------------
# - Calculations with whole numbers wrap around at the end of their range,
#   without an error.
# - Floating-point numbers keep a few digits, and become ``inf`` at the end of
#   their range.
# - When dtypes meet, the later family wins; a single number never makes the
#   dtype of a tensor with axes wider within its family.
# - Convert before you calculate, and cut and round before you convert back.
#
# Exercises
# ---------
# 1. **Predict.** What are the values and the dtypes of
#    ``torch.tensor([250], dtype=torch.uint8) * 2``,
#    ``torch.tensor([1, 2]) * 0.5``, ``torch.tensor([True]) + 1`` and
#    ``torch.arange(4) // 2``?
# 2. **Change.** Calculate the mean of the first two digits, pixel by pixel, as
#    ``uint8``. No pixel may be off by more than 0.5. How far off is
#    ``(first + second) // 2``?
# 3. **Extend.** From which whole number on does ``float16`` skip the next one?
#    Find it with a loop, and compare with ``finfo``.

# %%
# .. answer:: 1
#
#    500 - 256 is 244. 0.5 is of a later family than whole numbers. So is 1,
#    compared with ``True``. The operator ``//`` keeps whole numbers whole.

doubled = torch.tensor([250], dtype=torch.uint8) * 2
halves = torch.tensor([1, 2]) * 0.5
two = torch.tensor([True]) + 1
pairs = torch.arange(4) // 2
for result in (doubled, halves, two, pairs):
    print(result.tolist(), result.dtype)

# %%
# .. check::

assert doubled.tolist() == [244], "500 - 256 is 244"
assert halves.tolist() == [0.5, 1], "0.5 makes floating-point numbers"
assert two.dtype == torch.int64, "1 makes whole numbers"
assert two.tolist() == [2], "True counts as 1"
assert pairs.tolist() == [0, 0, 1, 1], "whole numbers stay whole"

# %%
# .. answer:: 2
#
#    In ``float32`` the sum has room. ``round`` leaves an error of at most 0.5.
#    In ``uint8`` the sum wraps wherever it is above 255, and half of 256 is
#    128. ``//`` drops up to 0.5 more.

first = pixels[0]
second = pixels[1]
exact = (first.float() + second.float()) / 2
mean = exact.round().to(torch.uint8)
print("rounded: ", (mean.float() - exact).abs().max())
naive = (first + second) // 2
print("in uint8:", (naive.float() - exact).abs().max())

# %%
# .. check::

assert (mean.float() - exact).abs().max() <= 0.5, "at most one half"
assert (naive.float() - exact).abs().max() == 128.5, "128 and a half are lost"

# %%
# .. answer:: 3
#
#    Up to 2048, adding 1 changes the number. ``eps``, the gap after 1, is
#    1/1024. The gap doubles each time the number doubles, and 2048 × 1/1024 is
#    2.

number = torch.tensor(1.0, dtype=torch.float16)
while number + 1 != number:
    number = number + 1
print(number)
print(2 / torch.finfo(torch.float16).eps)

# %%
# .. check::

assert number == 2048, "float16 counts up to 2048"
assert 2 / torch.finfo(torch.float16).eps == 2048, "the gap there is 2"

# %%
# .. earlier::
#
#    .. _more-than-five-kinds:
#
#    Older notes show a chart of five dtypes. There are more than forty today.
#    Many of them only serve to store numbers in little memory, such as those
#    whose names begin with ``float8`` or ``float4``.

dtypes = set()
for value in vars(torch).values():
    if isinstance(value, torch.dtype):
        dtypes.add(value)
print(len(dtypes))

# %%
# .. check::

assert len(dtypes) > 40, "more than forty dtypes"
