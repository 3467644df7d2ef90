"""
The bridge to NumPy
===================

How do I turn a NumPy array into a tensor, and back?

Images and tables often arrive as NumPy arrays, and many libraries for drawing
and statistics want arrays. The way across costs nothing, because the numbers
stay where they are: the tensor and the array use the same memory. That is fast,
and now and then it is a trap.

After this lesson you can

- convert in both directions, and say whether the memory is shared
- make a copy where a change must not be seen on the other side
- avoid what most often stops you at the bridge: ``float64``, mirrored arrays,
  and tensors that require a gradient
"""

# %%
# Setup
# -----

import numpy as np
import torch

from handbook import datasets, models, plots

torch.manual_seed(0)

# %%
# There and back
# --------------
# :func:`torch.from_numpy` makes a tensor from an array, and so does
# ``torch.tensor``. What is the difference? Change one number in the array, and
# look at both.

array = np.array([1.0, 2.0, 3.0])
shared = torch.from_numpy(array)
copied = torch.tensor(array)
array[0] = 10
print("shared:", shared)
print("copied:", copied)

# %%
# The first tensor has changed, too: it uses the memory of the array. The second
# one has its own memory. Sharing works in both directions, so a number that you
# write into the tensor is seen in the array:

shared[1] = 20
print("array:", array)

# %%
# The way back is ``numpy()``. It shares, too:

x = torch.ones(3)
back = x.numpy()
x[0] = 10
print("back:", back)

# %%
# You need not write anything to find out. ``np.shares_memory`` compares two
# arrays:

print(np.shares_memory(array, shared.numpy()))
print(np.shares_memory(array, copied.numpy()))

# %%
# .. check::

assert shared.tolist() == [10, 20, 3], "the tensor sees what was written"
assert copied.tolist() == [1, 2, 3], "the copy does not change"
assert array.tolist() == [10, 20, 3], "the array sees it, too"
assert back.tolist() == [10, 1, 1], "on the way back, memory is shared"
assert np.shares_memory(array, shared.numpy()), "from_numpy shares"
assert not np.shares_memory(array, copied.numpy()), "tensor copies"

# %%
# What changes, and what does not, follows the rule of
# :doc:`/lessons/tensors/11_in_place`. An :term:`in-place operation` is seen on
# the other side. A new array under the old name is not. What does ``shared``
# hold after each of these two lines?

array += 100
print("shared:", shared)
array = array + 100
print("shared:", shared)

# %%
# ``array += 100`` wrote into the shared memory. ``array = array + 100`` created
# a new array elsewhere and gave it the name ``array``. From then on, the two
# have nothing to do with each other.

# %%
# .. check::

assert shared.tolist() == [110, 120, 103], "only the first line was seen"
assert array.tolist() == [210, 220, 203], "the name moved on"

# %%
# .. _numpy-copies:
#
# Shared or copied?
# -----------------
# .. list-table::
#    :header-rows: 1
#
#    * - You write
#      - Memory
#    * - ``torch.from_numpy(array)``, ``x.numpy()``
#      - shared, always
#    * - ``torch.tensor(array)``
#      - copied, always
#    * - ``torch.as_tensor(array)``
#      - shared, unless you ask for another dtype or device
#    * - ``x.clone()``, ``array.copy()``, ``array.astype(np.float32)``
#      - copied, always
#    * - ``x.to(torch.float32)``
#      - ``x`` itself if it has this dtype already, else copied
#
# :func:`torch.as_tensor` is for functions that take arrays, lists and tensors
# alike, and need not copy. Another dtype needs other bytes, so the memory
# cannot be shared:

numbers = np.array([1.0, 2.0, 3.0])
same = torch.as_tensor(numbers)
other = torch.as_tensor(numbers, dtype=torch.float16)
print("same dtype: ", np.shares_memory(numbers, same.numpy()))
print("other dtype:", np.shares_memory(numbers, other.numpy()))

# %%
# .. check::

assert np.shares_memory(numbers, same.numpy()), "the same dtype is shared"
assert not np.shares_memory(numbers, other.numpy()), "another is copied"
assert not np.shares_memory(numbers, numbers.copy()), "copy copies"
assert not np.shares_memory(numbers, numbers.astype(np.float64)), (
    "astype copies even for the same dtype"
)
assert same.to(torch.float64) is same, "to returns the tensor itself"

# %%
# .. _numpy-float64:
#
# float64 comes along
# -------------------
# NumPy stores numbers with a fraction as ``float64`` unless told otherwise, and
# so do programs that read tables. The bridge keeps the dtype, and the network
# refuses it:

train, _ = datasets.mnist()
pixels = np.array(train.x[:1].tolist())  # (1, 1, 28, 28), as from a table
print(torch.from_numpy(pixels).dtype)

model = models.LeNet()
message = ""
try:
    model(torch.from_numpy(pixels))
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# The message calls ``float64`` *double* and ``float32`` *float*. Convert once,
# where the array comes from: with ``astype`` in NumPy, or with ``float()`` on
# the other side.

narrow = pixels.astype(np.float32)
print(model(torch.from_numpy(narrow)).shape)
print(model(torch.from_numpy(pixels).float()).shape)

# %%
# .. check::

assert torch.from_numpy(pixels).dtype == torch.float64, "float64 comes along"
assert message, "the network refuses float64"
assert torch.from_numpy(narrow).dtype == torch.float32, "converted in NumPy"

# %%
# What does not cross
# -------------------
# Three things often stop at the bridge with an error, and each has a remedy.
#
# **A mirrored array.** NumPy reads it backwards from the same memory, with a
# negative stride. A tensor cannot do that.

digits = train.x[:8, 0].numpy()  # (8, 28, 28)
mirrored = digits[0][:, ::-1]
refusals = []
for convert in (torch.from_numpy, torch.tensor, torch.as_tensor):
    try:
        convert(mirrored)
    except ValueError as error:
        refusals.append(str(error))
print(refusals[0])

# %%
# Copy it first, as the message says: ``torch.from_numpy(mirrored.copy())``. Or
# cross first, and mirror the tensor with ``flip``. (All three calls raise the
# same error, even ``torch.tensor``, which copies.)
#
# **A tensor that requires a gradient.** Weights of a network are such tensors.
# NumPy knows nothing of gradients, so you have to say that you do without them.
# ``detach()`` returns a tensor that uses the same memory but is not tracked for
# gradients.

weight = torch.tensor([1.0, 2.0], requires_grad=True)
try:
    weight.numpy()
except RuntimeError as error:
    print(error)
    refusals.append(str(error))
print(weight.detach().numpy())

# %%
# **A tensor on a GPU.** NumPy cannot reach this memory. The message is
# ``can't convert cuda:0 device type tensor to numpy``, and ``x.cpu()`` copies
# the tensor to the CPU. (If it is there already, you get the tensor itself.)
#
# Three cases are rarer. An array of texts or of dtype ``object``, such as a
# table with a column of names, is refused: pick the columns of numbers and
# convert them with ``astype``. NumPy has no ``bfloat16``, so write
# ``x.float().numpy()``. And an array that is read-only, such as a file that is
# read from disk only where it is needed (memory-mapped), crosses with a warning
# (only the first time in a program), because a tensor cannot be read-only:
# writing into it would write into locked memory. Copy it with
# ``torch.tensor(array)``.

# %%
# .. check::

assert len(refusals) == 4, "the mirrored array and the weight are refused"
assert refusals[0] == refusals[1] == refusals[2], "the same error three times"
assert torch.equal(
    torch.from_numpy(mirrored.copy()), torch.from_numpy(digits[0]).flip(1)
), "a copy of the mirrored array is the flipped tensor"
assert np.shares_memory(weight.detach().numpy(), weight.detach().numpy()), (
    "detach shares the memory"
)
assert weight.cpu() is weight, "on the CPU, cpu returns the tensor itself"

# %%
# What goes wrong
# ---------------
# Cameras and readers of videos often use one array again and again: the next
# image overwrites the one before. Here is such a camera with one buffer. It
# takes eight pictures, and we keep a tensor of each.

buffer = digits[0].copy()  # (28, 28)
frames = []
clones = []
for image in digits:
    buffer[:] = image
    frames.append(torch.from_numpy(buffer))
    clones.append(torch.from_numpy(buffer).clone())

# %%
# How many different images are in ``frames``?
#
# .. alt:: Two rows of eight pictures. In the upper row all are the same
#    handwritten 3, the last picture. The lower row has eight different images.

pictures = torch.stack(frames + clones)
figure = plots.image_grid(pictures, titles=["shared"] * 8 + ["clone"] * 8)

# %%
# Only one: all eight tensors use the memory of the buffer, and it holds the
# last picture. There is no error, and if the labels are kept in a list, they
# are even right. A network trained with this sees one image with eight labels.
# **Copy what will be overwritten**: with ``clone()``, or with ``copy()`` before
# the bridge.
#
# The same happens when you keep weights in order to compare them later:
# ``weight.detach().numpy()`` changes with the training. Write
# ``weight.detach().clone()``.

# %%
# .. check::

assert len(torch.stack(frames).unique(dim=0)) == 1, "one image eight times"
assert len(torch.stack(clones).unique(dim=0)) == 8, "eight images"
assert torch.equal(frames[0], torch.from_numpy(digits[7])), "the last one"

# %%
# NumPy's names and ours
# ----------------------
# Much has the same name on both sides, such as ``reshape``, ``sum`` and
# ``argmax``. These differ. Watch the last three: ``transpose`` and ``repeat``
# exist on both sides and mean different things (``x.transpose(0, 1)`` swaps two
# axes, ``x.repeat(2)`` repeats the whole row), and ``std`` divides by N in
# NumPy and by N − 1 in PyTorch.
#
# .. list-table::
#    :header-rows: 1
#
#    * - NumPy
#      - PyTorch
#    * - ``array.sum(axis=0)``
#      - ``x.sum(dim=0)``
#    * - ``array.astype(np.int64)``
#      - ``x.to(torch.int64)``
#    * - ``np.concatenate([array, array])``
#      - ``torch.cat([x, x])``
#    * - ``array.copy()``
#      - ``x.clone()``
#    * - ``array.transpose(1, 0)``
#      - ``x.permute(1, 0)``
#    * - ``np.repeat(array, 2)``
#      - ``x.repeat_interleave(2)``
#    * - ``array.std()``
#      - ``x.std(correction=0)``

# %%
# .. check::

assert np.concatenate([narrow, narrow]).shape == (2, 1, 28, 28), "as cat"
assert np.allclose(back.std(), torch.from_numpy(back).std(correction=0)), "by N"
assert not np.allclose(back.std(), torch.from_numpy(back).std()), "by N - 1"
assert np.repeat(back, 2).tolist() == x.repeat_interleave(2).tolist(), (
    "repeat is repeat_interleave"
)
assert np.repeat(back, 2).tolist() != x.repeat(2).tolist(), (
    "repeat means something else in PyTorch"
)
assert np.array_equal(
    digits[0].transpose(1, 0), torch.from_numpy(digits[0]).permute(1, 0)
), "transpose is permute"

# %%
# Recipe
# ------
# From an array to a tensor for a network, and from a tensor to an array.

import numpy as np
import torch

table = np.array([[5.1, 3.5], [4.9, 3.0]])
x = torch.from_numpy(table.astype(np.float32))  # converted, and so a copy
result = (x * 2).detach().cpu().numpy()  # any device, with or without gradient
print(x.dtype, result)

# %%
# .. check::

assert x.dtype == torch.float32, "ready for a network"
assert not np.shares_memory(table, x.numpy()), "astype has copied"
assert result.dtype == np.float32, "the dtype crosses the bridge"

# %%
# What you learned
# ----------------
# - ``from_numpy`` and ``numpy()`` share the memory, ``torch.tensor`` copies.
# - ``a += 1`` is seen on the other side, ``a = a + 1`` is not.
# - Copy what will be overwritten, with ``clone()`` or ``copy()``.
# - Convert ``float64`` to ``float32`` where the array comes from.
# - ``x.detach().cpu().numpy()`` works on any device and with or without a
#   gradient; ``bfloat16`` needs ``float()`` first.
#
# Exercises
# ---------
# 1. **Predict.** ``a = np.array([1, 2, 3])``, ``x = torch.from_numpy(a)``,
#    ``y = x.float()``, ``b = a[1:]``. Then ``b[0] = 50``. What do ``a``, ``x``
#    and ``y`` hold, and what are the dtypes of ``x`` and ``y``?
# 2. **Change.** Write ``a = a * 2`` so that the tensor that shares its memory
#    sees the new values.
# 3. **Extend.** A camera returns a list of images, NumPy arrays of ``uint8``
#    and shape (28, 28). Make one tensor of them, of shape (N, 1, 28, 28) and
#    with values from 0 to 1, without a loop over pixels. In your solution,
#    which steps copy?

# %%
# .. answer:: 1
#
#    A slice shares the memory of its array, and ``x`` does, too. ``float()``
#    has copied. Whole numbers of NumPy are ``int64``.

a = np.array([1, 2, 3])
x = torch.from_numpy(a)
y = x.float()
b = a[1:]
b[0] = 50
print(a, x, y)

# %%
# .. check::

assert a.tolist() == [1, 50, 3], "the slice shares the memory of a"
assert x.tolist() == [1, 50, 3], "x shares it, too"
assert y.tolist() == [1, 2, 3], "float has copied"

# %%
# .. answer:: 2
#
#    An operation in place: ``a *= 2``, or an assignment to all elements.

a = np.array([1, 2, 3])
x = torch.from_numpy(a)
a *= 2
print(x)
a[:] = a * 2
print(x)

# %%
# .. check::

assert x.tolist() == [4, 8, 12], "both lines are seen"

# %%
# .. answer:: 3
#
#    ``np.stack`` copies the images into one array. ``from_numpy`` and
#    ``unsqueeze`` share it. The division calculates new numbers of another
#    dtype, in new memory.

camera = []
for image in digits:
    camera.append((image * 255).round().astype("uint8"))
joined = np.stack(camera)  # (8, 28, 28)
whole = torch.from_numpy(joined).unsqueeze(1)  # (8, 1, 28, 28)
batch = whole / 255
print(tuple(batch.shape), batch.dtype)

# %%
# .. check::

assert np.shares_memory(joined, whole.numpy()), "stack was the only copy"
assert not np.shares_memory(joined, batch.numpy()), "the division made another"
assert batch.shape == (8, 1, 28, 28), "images with one channel"
assert torch.allclose(batch, train.x[:8]), "the digits are back"
assert batch.min() == 0, "0 is black"
assert batch.max() == 1, "255 is 1"

# %%
# .. earlier::
#
#    Older notes say that a tensor and its array always share memory. They do so
#    after ``from_numpy`` and ``numpy()``, not after ``torch.tensor`` or a
#    change of dtype. There is now also :func:`torch.from_dlpack`, which takes
#    an array of any library that knows the standard DLPack, also on a GPU, and
#    shares its memory. And do not mix the two in one calculation: ``x + array``
#    gives a tensor (of ``float64`` if the array is) and, with NumPy 2, a
#    warning, and ``array + x`` is an error. Convert first.

y = torch.from_dlpack(digits)
print(np.shares_memory(digits, y.numpy()))

# %%
# .. check::

assert np.shares_memory(digits, y.numpy()), "DLPack shares"
