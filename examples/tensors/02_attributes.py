"""
What a tensor knows
===================

What does a tensor know about itself, and what follows from it when tensors meet?

A :term:`tensor` carries a small label: how long each :term:`axis` is, what kind of number it holds,
on which :term:`device` they lie. Many error messages are about one of these three, and the
worst mistakes give no message at all. The page before is
:doc:`/lessons/tensors/01_create`.
"""

# %%
# Setup
# -----
# The digits of the package come as numbers from 0 to 1. Cameras and files give whole numbers from 0
# to 255, so turn them back into those.

import matplotlib.pyplot as plt
import torch

from handbook import datasets

torch.manual_seed(0)
train, _ = datasets.mnist()
pixels = (train.x * 255).round().to(torch.uint8)  # (10000, 1, 28, 28)

# %%
# .. _shape-and-ndim:
#
# Read the label
# --------------

print("shape", pixels.shape, "= size()", pixels.size())
print("ndim", pixels.ndim, "= len(shape)", len(pixels.shape))
print(
    "numel", f"{pixels.numel():,} numbers, itemsize {pixels.itemsize} byte each"
)
print("len", f"{len(pixels):,}, the first axis alone")
print("dtype", pixels.dtype)
print("device", pixels.device)
assert pixels.shape == (10_000, 1, 28, 28) and pixels.ndim == 4
assert pixels.numel() == 10_000 * 28 * 28 and len(pixels) == 10_000
assert isinstance(pixels.shape, tuple) and not hasattr(torch, "size")

# %%
# Older notes mix up two words: ``shape`` is the *length of each axis*, a tuple; ``ndim`` is *how
# many axes* there are, one number. There is no ``torch.size``: the type of a shape is
# :class:`torch.Size`, capital S, and it is a tuple.
#
# A sum that goes wrong in silence
# --------------------------------
# Make the digits brighter: add 100 to every pixel. It is the first idea that everybody has.

image = pixels[0, 0]  # (28, 28)
wrapped = image + 100
print("before:", image[7, 10:18].tolist())
print("after: ", wrapped[7, 10:18].tolist())
print(
    "darker now:",
    (wrapped < image).sum().item(),
    "of",
    image.count_nonzero().item(),
)
assert wrapped.dtype == torch.uint8 and (wrapped < image).any()

# %%
# The brightest pixels became *darker*, and nobody said a word. A ``uint8`` has room for 0 to 255,
# and what goes beyond begins again at 0: 253 + 100 is 353, and 353 - 256 is 97. The cure: leave the
# narrow :term:`dtype` before you calculate, and go back only after cutting at the ends.
#
# .. alt:: The digit five three times. Left, as it is: light strokes on black. Middle, plus 100 in
#    uint8: the strokes are as grey as the ground, with specks of black and white at their edges.
#    Right, plus 100 cut at 255: white strokes on grey.

right = (image.to(torch.int16) + 100).clamp(max=255).to(torch.uint8)
figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.5), layout="constrained")
titles = ("as it is", "+ 100 in uint8", "+ 100, cut at 255")
for axis, part, title in zip(
    axes, (image, wrapped, right), titles, strict=True
):
    axis.imshow(part.numpy(), cmap="gray", vmin=0, vmax=255)
    axis.set(title=title, xticks=[], yticks=[])
assert (right >= image).all() and right.max() == 255
assert torch.tensor([253], dtype=torch.uint8) + 100 == 97

# %%
# .. _more-than-five-kinds:
#
# The families
# ------------
# Older notes show a chart of five kinds. Let the module list them all, family by family; the first
# number in a name counts the bits.

every = {kind for kind in vars(torch).values() if isinstance(kind, torch.dtype)}
families = {
    "bool": [],
    "uint": [],
    "int": [],
    "float": [],
    "complex": [],
    "other": [],
}
for kind in sorted(every, key=lambda kind: (kind.itemsize, str(kind))):
    name = str(kind).removeprefix("torch.")
    family = next(
        (f for f in families if name.startswith((f, "b" + f))), "other"
    )
    families[family].append(name)
for family, names in families.items():
    print(f"{family:8}", *names)
print(len(every), "in all")
assert len(every) > 40 and families["bool"] == ["bool"]

# %%
# Many of them are for storing, not for calculating: the whole numbers below 8 bits, the
# floating-point ones of 8 bits or fewer, and all in the last line. Here is the range of those you
# will meet, from :func:`torch.iinfo` and :func:`torch.finfo`. The last column is the gap between 1
# and the next number: the smaller, the more digits.

whole = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
floats = (
    torch.float8_e4m3fn,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
)
for kind in (*whole, *floats, torch.complex64):
    info = torch.iinfo(kind) if kind in whole else torch.finfo(kind)
    gap = 1 if kind in whole else info.eps
    print(
        f"{kind!s:20} {8 * kind.itemsize:2} bits {info.min:9.3g} to {info.max:8.3g} {gap:9.2g}"
    )
assert torch.iinfo(torch.int8).max == 127 and torch.complex64.itemsize == 8

# %%
# A floating-point number keeps a fixed count of significant digits, so the gap to its neighbour
# grows with it. Draw that gap. ``float16`` and ``bfloat16`` spend the same 16 bits differently: the
# first has smaller gaps, the second goes about as far as ``float32``.
#
# .. alt:: Gap to the next number against the number, both logarithmic: parallel rising lines,
#    lowest float64, then float32, float16, and highest bfloat16. The line of float16 ends before
#    65,504, where a dotted line stands; a dashed line marks a gap of 1.

figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
for kind, style in zip(floats[1:], ("^-", "s-", "o-", "D-"), strict=True):
    values = 10.0 ** torch.arange(-4, 10, dtype=torch.float64)
    values = values[values < torch.finfo(kind).max].to(kind)
    following = torch.nextafter(values, torch.full_like(values, torch.inf))
    gaps = following.double() - values.double()
    axis.loglog(
        values.tolist(),
        gaps.tolist(),
        style,
        label=str(kind).removeprefix("torch."),
    )
axis.axhline(1, color="gray", linestyle="--", zorder=0)
axis.axvline(65_504, color="gray", linestyle=":", zorder=0)
axis.set(xlabel="number", ylabel="gap to the next number")
axis.legend()
assert torch.finfo(torch.float16).max == 65_504

# %%
# Above the dashed line neighbours are more than 1 apart, and adding 1 may change nothing. Right of
# the dotted line ``float16`` has only ``inf``, infinity; ``bfloat16`` still has a coarse place.

for kind in (torch.float16, torch.bfloat16):
    large, huge = (
        torch.tensor(2048, dtype=kind),
        torch.tensor(70_000.0).to(kind),
    )
    print(
        f"{kind!s:15} 2048 + 1 = {(large + 1).item()}   70,000 is stored as {huge.item()}"
    )
assert torch.tensor(2048, dtype=torch.float16) + 1 == 2048
assert (
    torch.tensor(70_000.0).half().isinf()
    and not torch.tensor(70_000.0).bfloat16().isinf()
)

# %%
# When kinds meet
# ---------------
# Add two tensors of different dtype, and the result must have one. The rule is called
# :term:`type promotion`: the more general family wins, in the order bool, whole, floating point,
# complex; within a family, the narrowest dtype that has room for both. Guess each line before you
# read its end.

a = torch.ones(2, dtype=torch.uint8)
half = torch.ones(2, dtype=torch.float16)
meetings = {
    "uint8 + int8": a + torch.ones(2, dtype=torch.int8),
    "int64 + float16": torch.ones(2, dtype=torch.int64) + half,
    "float16 + bfloat16": half + torch.ones(2, dtype=torch.bfloat16),
    "int64 / int64": torch.tensor([1, 2]) / torch.tensor([2, 2]),
    "float16 + float64 without axes": half
    + torch.tensor(1.0, dtype=torch.float64),
    "uint8 + 300": a + 300,
    "uint8 + 1.5": a + 1.5,
}
for what, result in meetings.items():
    print(f"{what:31} {result.dtype!s:15} {result.tolist()}")
dtypes = [
    str(result.dtype).removeprefix("torch.") for result in meetings.values()
]
assert dtypes == [
    "int16",
    "float16",
    "float32",
    "float32",
    "float16",
    "uint8",
    "float32",
]

# %%
# ``uint8`` and ``int8`` go to ``int16``, which holds both. A plain number, or a tensor without
# axes, does not widen a partner of its own family that has axes: 1 + 300 wraps in ``uint8`` and
# gives 45. But 1.5 is of a more general family and lifts ``uint8`` to the default, ``float32``.
# Dividing whole numbers gives floating point.
#
# Not everything promotes. A matrix product refuses two kinds, an operation in place has nowhere to
# put a fraction, a mean does not choose a dtype for you, and some newer dtypes have no rule at all:

weights, counts = torch.ones(2, 2, dtype=torch.float64), torch.tensor([3, 1])
wide = torch.ones(2, dtype=torch.uint16)
for what, call in {
    "float32 @ float64": lambda: torch.ones(2, 2) @ weights,
    "int64 += 0.5": lambda: counts.add_(0.5),
    "mean of int64": lambda: counts.mean(),
    "uint16 + uint8": lambda: wide + a,
}.items():
    try:
        call()
        raise AssertionError("no error")
    except RuntimeError as error:
        print(f"{what}: {str(error).splitlines()[0]}")
print(
    "converted first:",
    (torch.ones(2, 2) @ weights.float()).dtype,
    counts.float().mean().item(),
)

# %%
# ``x.to(dtype)`` converts, and ``x.float()``, ``x.long()``, ``x.double()`` are short for it. To
# whole numbers it does not round, it drops the fraction: what is negative goes up. ``type()`` tells
# the old name, which said dtype and device in one word; read it, but write the dtype.

exact = torch.tensor([1.7, -1.7, 2.6])
print("to:   ", exact.to(torch.int64).tolist())
print("round:", exact.round().to(torch.int64).tolist())
print("type: ", exact.type(), "is", exact.dtype, "on", exact.device)
assert exact.long().tolist() == [1, -1, 2] and exact.round().tolist() == [
    2,
    -2,
    3,
]
assert exact.type() == "torch.FloatTensor"

# %%
# .. _one-line-for-every-device:
#
# Where the numbers lie
# ---------------------
# A tensor lies on one :term:`device`: on the CPU, or on an :term:`accelerator` such as the GPU of a
# graphics card or of an Apple chip. Older notes ask ``torch.cuda.is_available()``, which says no to
# Apple's and Intel's GPUs. This line is right on every machine:

device = torch.accelerator.current_accelerator(
    check_available=True
) or torch.device("cpu")
x = train.x[:100].to(device)
there = torch.zeros(3, device=device)
print("is there an accelerator?", torch.accelerator.is_available())
print(
    f"from {train.x.device.type} to {x.device.type}, made there: {there.device.type}"
)
assert (
    x.device.type
    == device.type
    == there.device.type
    == torch.ones_like(x).device.type
)
assert (
    (device.type != "cpu")
    == torch.accelerator.is_available()
    >= torch.cuda.is_available()
)

# %%
# Leave ``check_available=True`` in: without it the answer is what this build of PyTorch was *made
# for*, and a build for CUDA says ``cuda`` on a machine without any card.
#
# The method is called ``to``, not ``using`` as in one older note. It returns a tensor and leaves
# the old one where it is, so without an assignment nothing is gained. The device ``meta``
# shows it on any machine: its tensors have a label and no numbers.

moved = torch.zeros(2, 3)
moved.to("meta")
print("without assignment, it is still on", moved.device)
ghost = moved.to("meta")
print(ghost, "would need", ghost.nbytes, "bytes")
try:
    moved + ghost
    raise AssertionError("no error")
except RuntimeError as error:
    print(error)
assert moved.device.type == "cpu" and ghost.is_meta and moved.to("cpu") is moved
assert not hasattr(torch.Tensor, "using")

# %%
# On a GPU a forgotten ``.to(device)`` fails in the same place, in other words. Where nothing has to
# be done, ``to`` hands back the very same tensor, so writing it always costs nothing.
#
# .. _what-a-tensor-is:
#
# A closer look
# -------------
# What does a dtype cost? The same digits in four of them: the memory, and how far the worst pixel
# is from the truth, whole numbers divided by 255.

for kind in (torch.uint8, torch.float16, torch.float32, torch.float64):
    stored = pixels.to(kind) if kind == torch.uint8 else train.x.to(kind)
    back = stored.double() / 255 if kind == torch.uint8 else stored.double()
    error = (back - pixels.double() / 255).abs().max().item()
    print(f"{kind!s:15} {stored.nbytes / 2**20:6.1f} MiB   error {error:.0e}")
    assert error < 3e-4 and (error == 0) == (kind == torch.uint8)
assert pixels.nbytes * 4 == train.x.nbytes

# %%
# ``float64`` takes twice the memory of ``float32`` and is no better here: ``train.x`` came as
# ``float32``, and digits once lost do not come back. ``uint8`` is exact at a quarter of the memory,
# because whole numbers are what the camera wrote; keep images so, and convert each batch.
#
# And what is a tensor? Ask :class:`torch.nn.Parameter`, which older notes call a "variable".

for kind in torch.nn.Parameter.__mro__:
    print(f"{kind.__module__}.{kind.__name__}")
assert torch.nn.Parameter.__base__ is torch.Tensor
assert torch.Tensor.__base__.__module__ == "torch._C"

# %%
# A parameter is a tensor. :class:`torch.Tensor` is a Python class, not C++ alone; it stands on
# ``TensorBase`` from ``torch._C``, the part of PyTorch that is written in C++.
#
# What you learnt
# ---------------
# - Read ``shape``, ``ndim``, ``dtype`` and ``device`` first when two tensors do not get on.
# - Widen ``uint8`` before you calculate: whole numbers wrap without a word.
# - Choose between ``float16`` and ``bfloat16`` by range or by gaps; neither counts beyond 2048.
# - Remember that a plain number does not widen a tensor of its own family.
# - Write ``x = x.to(device)``, with the assignment, and pick the device by ``torch.accelerator``.
#
# Exercises
# ---------
# 1. **Predict.** Which dtype has ``torch.tensor([1, 2]) * 0.5``, ``torch.tensor([True]) + True``,
#    ``torch.arange(3) // 2``, ``torch.tensor([1 + 1j]) * torch.ones(1, dtype=torch.float64)``?
# 2. **Change.** Average the first two digits pixel by pixel, into ``uint8``, without wrapping: no
#    pixel off by more than one.
# 3. **Extend.** Write ``describe(x)``: one line with shape, dtype, device and mebibytes for any
#    tensor, tuple, list or dictionary of tensors. Which part of the training set takes most memory?

# %%
# .. answer:: 1
#
#    A number with a point lifts whole numbers to ``float32``; bool plus ``True`` stays bool; ``//``
#    keeps whole numbers whole; complex with ``float64`` needs the wide complex kind.

results = (
    torch.tensor([1, 2]) * 0.5,
    torch.tensor([True]) + True,
    torch.arange(3) // 2,
    torch.tensor([1 + 1j]) * torch.ones(1, dtype=torch.float64),
)
print(*(result.dtype for result in results))
kinds = [torch.float32, torch.bool, torch.int64, torch.complex128]
assert [result.dtype for result in results] == kinds

# %%
# .. answer:: 2
#
#    Widen, add, halve, narrow. In ``uint8`` the sum would wrap wherever it passes 255.

one, two = pixels[0], pixels[1]
average = ((one.to(torch.int16) + two.to(torch.int16)) // 2).to(torch.uint8)
truth = (one.double() + two.double()) / 2
naive = (one + two) // 2
print((average - truth).abs().max().item(), (naive - truth).abs().max().item())
assert (average - truth).abs().max() <= 0.5 < (naive - truth).abs().max()

# %%
# .. answer:: 3
#
#    A function that calls itself for what lies inside. The images take nearly everything: 784
#    numbers of 4 bytes for each label of 8.


def describe(x, name="x"):
    if isinstance(x, torch.Tensor):
        size = x.nbytes / 2**20
        print(
            f"{name}: {tuple(x.shape)}, {x.dtype}, {x.device.type}, {size:.2f} MiB"
        )
        return size
    parts = x.items() if isinstance(x, dict) else enumerate(x)
    return sum(describe(part, f"{name}[{key!r}]") for key, part in parts)


total = describe(train, "train") + describe({"mean": train.x.mean()}, "more")
print(f"{total:.1f} MiB in all")
assert train.x.nbytes > 100 * train.y.nbytes

# %%
# Next
# ----
# :doc:`/lessons/tensors/04_indexing`: how to pick numbers out of a tensor.
