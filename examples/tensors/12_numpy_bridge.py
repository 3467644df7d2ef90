"""
The bridge to NumPy
===================

What does a tensor share with a NumPy array, and what is copied on the way?

Images and tables mostly arrive as NumPy arrays. To cross costs nothing, because nothing is moved,
and there the mistakes begin: two names for one memory. Which calls copy an array you saw at the end
of :doc:`/lessons/tensors/01_create`; the page before is :doc:`/lessons/tensors/11_in_place`.
"""

# %%
# Setup
# -----

import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, default_collate

from handbook import datasets, plots

torch.manual_seed(0)
train, test = datasets.mnist()
digits = train.x[:1000].squeeze(1).numpy()  # (1000, 28, 28), float32

# %%
# The smallest one
# ----------------
# :func:`torch.from_numpy` makes a tensor of an array, ``ones.numpy()`` an array of a tensor. Start
# from either side, write on both, and look at both.

array = np.array([1.0, 2.0, 3.0])
x = torch.from_numpy(array)
array[0], x[1] = 10, 20
ones = torch.ones(3)
back = ones.numpy()
back[0], ones[1] = 10, 20
print(array, x, back, ones, sep="\n")
print(array.ctypes.data == x.data_ptr(), np.shares_memory(back, ones.numpy()))
assert (
    x.tolist() == array.tolist() == [10, 20, 3]
    and back.tolist() == ones.tolist()
)
assert array.ctypes.data == x.data_ptr() and np.shares_memory(
    back, ones.numpy()
)

# %%
# Each sees what the other wrote. The last line proves it without writing: both start at the same
# address, and ``np.shares_memory`` says so of two arrays. How long does a crossing take, then?
# Here is an array that nobody could copy: a million rows and columns, all of them one and the same
# number, because the step from one to the next is 0 bytes.

single = np.zeros(1, np.float32)
vast = np.lib.stride_tricks.as_strided(single, (1_000_000, 1_000_000), (0, 0))
x = torch.from_numpy(vast)
print(f"{x.nbytes:,} bytes, there and back: {x.numpy().shape}")
single[0] = 7
assert (
    x.nbytes == 4 * 10**12
    and x[-1, -1] == 7
    and x.data_ptr() == single.ctypes.data
)

# %%
# A copy would have filled 4 terabytes. Only a description crosses: address, shape, strides, dtype.
#
# A buffer that is used again
# ---------------------------
# Now the bug. Readers of videos like to fill one array again and again. So does this data set,
# and with ``copy=False`` its tensors share that array. Guess what a batch looks like.
#
# .. alt:: Two rows of eight images, with the labels above them. In the row that shares, all eight
#    are the same digit, the last one of the batch. In the row with clone, each fits its label.


class Camera(Dataset):
    def __init__(self, copy):
        self.copy, self.buffer = copy, np.empty((28, 28), np.float32)

    def __len__(self):
        return len(digits)

    def __getitem__(self, i):
        self.buffer[:] = digits[i]
        x = torch.from_numpy(self.buffer)
        return x.clone() if self.copy else x, train.y[i]


figure, axes = plt.subplots(2, 8, figsize=(7, 2.3), layout="constrained")
for row, copy in zip(axes, (False, True), strict=True):
    x, y = next(iter(DataLoader(Camera(copy), batch_size=8)))
    row[0].set_ylabel("clone" if copy else "shared")
    for axis, image, label in zip(row, x, y, strict=True):
        axis.imshow(image.numpy(), cmap="gray_r")
        axis.set(title=label.item(), xticks=[], yticks=[])
    print(f"copy={copy}: {len(x.unique(dim=0))} different images")
    assert len(x.unique(dim=0)) == (8 if copy else 1) and torch.equal(
        y, train.y[:8]
    )

# %%
# The loader fetches eight items before it joins them. By then, eight tensors look at one memory,
# and the last image is in it. The labels are right, no error is raised, nothing warns. Copy what
# will be overwritten: ``clone()`` after the bridge, or ``copy()`` before it.
#
# .. _numpy-copies:
#
# When it is copied
# -----------------
# "A tensor and its array always share memory" is what older notes say. They share as long as the
# same bytes, read with other steps, will do. NumPy counts these strides in bytes, PyTorch in
# elements. Here is a piece of a five, its pixels from 0 to 255.
#
# .. alt:: Four grids of grey values, each above the memory that it reads. The piece, its
#    transpose and every second column have the colours of one storage. The last one, of dtype
#    int64, has other colours: it lies in another storage.

piece = (digits[0][12:15, 12:17] * 255).round().astype(np.int32)  # (3, 5)
views = {"piece": piece, "piece.T": piece.T, "piece[:, ::2]": piece[:, ::2]}
tensors = {name: torch.from_numpy(view) for name, view in views.items()}
for name, view in views.items():
    print(
        f"{name:14} {view.strides!s:8} bytes, {tensors[name].stride()} elements"
    )
    assert view.strides == tuple(4 * n for n in tensors[name].stride())
    assert np.shares_memory(piece, tensors[name].numpy())
tensors["as int64"] = torch.as_tensor(piece, dtype=torch.int64)
plots.memory_layout(*tensors.values(), names=list(tensors), ncols=2)
assert not np.shares_memory(piece, tensors["as int64"].numpy())

# %%
# Another dtype needs other bytes: it copies, as for a list. And back? Decide before you look.

image = digits[0]
x = torch.from_numpy(image)
made = {
    "np.asarray(x)": np.asarray(x),
    "x.T.numpy()": x.T.numpy(),
    "x.T.flatten().numpy()": x.T.flatten().numpy(),
    "x.to(torch.float32).numpy()": x.to(torch.float32).numpy(),
    "x.numpy().astype(np.float32)": x.numpy().astype(np.float32),
    "np.array(x.tolist())": np.array(x.tolist()),
}
shares = [np.shares_memory(image, result) for result in made.values()]
for call, shared in zip(made, shares, strict=True):
    print(f"{call:29} {'shares' if shared else 'copies'}")
assert shares == [True, True, False, True, False, False]

# %%
# ``x.to`` gives ``x`` itself back if it has that dtype already; NumPy's ``astype`` copies all the
# same. Some things do not cross at all. The ``meta`` :term:`device` stands in for a GPU here.

refused = {
    "mirrored": lambda: torch.from_numpy(image[:, ::-1]),
    "mirrored, to copy": lambda: torch.tensor(image[:, ::-1]),
    "big-endian": lambda: torch.from_numpy(np.zeros(2, ">f4")),
    "bfloat16": lambda: x.to(torch.bfloat16).numpy(),
    "another device": lambda: x.to("meta").numpy(),
    "requires grad": lambda: x.clone().requires_grad_().numpy(),
}
said = {}
for name, call in refused.items():
    try:
        call()
    except (RuntimeError, TypeError, ValueError) as error:
        said[name] = str(error)
        print(f"{name + ':':18} {said[name].split('.')[0].split(',')[0]}")
assert said.keys() == refused.keys() and "negative" in said["mirrored, to copy"]
assert torch.equal(torch.from_numpy(image[:, ::-1].copy()), x.flip(1))

# %%
# A mirrored array walks backwards, with a negative stride, which no tensor has: copy it first, or
# mirror the tensor with ``x.flip(1)``. Other byte orders go through ``astype``, ``bfloat16``
# through ``float()``, a GPU's tensor through ``cpu()``. What requires grad is cut from its graph
# with ``detach()``, which shares. Whoever keeps weights, to see how they changed, must copy:

weight = torch.zeros(2, requires_grad=True)
before, copied = weight.detach().numpy(), weight.detach().numpy().copy()
weight.sum().backward()
torch.optim.SGD([weight], lr=0.1).step()
print("before the step:", before, "copied:", copied)
assert before.tolist() == weight.tolist() != copied.tolist() == [0, 0]

# %%
# A read-only array, from a mapped file or a string of bytes, crosses with a warning, once in each
# process unless ``set_warn_always`` asks for more. Tensors have no such lock. What if you write?

locked = image.copy()
locked.flags.writeable = False
torch.set_warn_always(True)
with warnings.catch_warnings(record=True, action="always") as caught:
    torch.from_numpy(locked)[0, 0] = 9
    torch.from_dlpack(locked)[0, 1] = 9
torch.set_warn_always(False)
print(str(caught[0].message).split(",")[0], "and yet:", locked[0, :3])
assert (
    len(caught) == 1
    and not locked.flags.writeable
    and locked[0, :2].tolist() == [9, 9]
)

# %%
# Both writes got past the lock, and ``from_dlpack``, which comes last on this page, did not even
# warn. In a mapped file such a write ends the program. Copy: ``torch.tensor(locked)``.
#
# .. _numpy-float64:
#
# Numbers in double precision
# ---------------------------
# NumPy computes in ``float64``, tables of pandas do, too, and the bridge keeps it. A loader makes
# such rows, and even plain numbers of Python, into batches that the model refuses.

table = np.array([[5.1, 3.5], [4.9, 3.0], [6.3, 2.9]])
model = nn.Linear(2, 1)
batch = default_collate(list(table))
print(
    batch.dtype,
    default_collate([np.float64(1.5)]).dtype,
    default_collate([1.5]).dtype,
)
try:
    model(batch)
except RuntimeError as error:
    refusal = str(error)
    print(refusal)
mended = default_collate(list(table.astype(np.float32)))
print(mended.dtype, tuple(model(mended).shape))
assert (
    default_collate([np.float64(1.5)]).dtype
    == default_collate([1.5]).dtype
    == batch.dtype
)
assert "Double and Float" in refusal and model(mended).dtype == torch.float32

# %%
# Convert once, where the array is made, rather than batch by batch.
#
# NumPy's functions, and their names
# ----------------------------------
# Some of NumPy's functions take a tensor, and what comes back is not always what you think.

x = torch.tensor([[1.0, 4.0], [9.0, 16.0]])
array, came, warned = x.numpy(), {}, []
for call in (
    "np.concatenate([x, x])",
    "np.sqrt(x)",
    "x + array",
    "array + x",
    "np.sum(x)",
):
    with warnings.catch_warnings(record=True, action="always") as caught:
        try:
            came[call] = type(eval(call)).__name__
        except TypeError as error:
            came[call] = type(error).__name__
    warned.append(len(caught) > 0)
    print(f"{call:22}  {came[call]}{', warns' * warned[-1]}")
assert list(came.values()) == [
    "ndarray",
    "Tensor",
    "Tensor",
    "TypeError",
    "TypeError",
]
assert warned == [False, True, True, False, False] or np.__version__ < "2"

# %%
# An array, a tensor with a warning of NumPy 2, an error: cross on purpose, and calculate on one
# side. In each pair below, both give the same numbers. Watch ``transpose`` and ``repeat``, which
# mean different things, and ``std``, which by default divides by n in NumPy and by n - 1 here.

pairs = {
    "array.sum(axis=0)": "x.sum(dim=0)",
    "array.astype(np.int64)": "x.to(torch.int64)",
    "np.concatenate([array, array])": "torch.cat([x, x])",
    "array.transpose(1, 0)": "x.permute(1, 0)",
    "np.swapaxes(array, 0, 1)": "x.transpose(0, 1)",
    "np.repeat(array, 2, axis=1)": "x.repeat_interleave(2, dim=1)",
    "np.tile(array, (1, 2))": "x.repeat(1, 2)",
    "array.std()": "x.std(correction=0)",
    "array.copy()": "x.clone()",
}
for theirs, ours in pairs.items():
    print(f"{theirs:32} {ours}")
    assert np.allclose(eval(theirs), eval(ours).numpy())
assert not np.isclose(array.std(), x.std()) and torch.equal(
    x.sum(axis=0), x.sum(dim=0)
)

# %%
# A closer look
# -------------
# NumPy is one library of many. DLPack is what they agreed on: an object with two methods, one that
# says where the memory is, one that hands it over. Then :func:`torch.from_dlpack` takes it, and
# NumPy's ``from_dlpack`` takes a tensor, without a copy.


class Picture:
    def __dlpack_device__(self):
        return image.__dlpack_device__()

    def __dlpack__(self, **options):
        return image.__dlpack__(**options)


x = torch.from_dlpack(Picture())
print(
    Picture().__dlpack_device__(),
    "same address:",
    x.data_ptr() == image.ctypes.data,
)
assert Picture().__dlpack_device__() == (1, 0) and np.shares_memory(
    np.from_dlpack(x), image
)

# %%
# The 1 means the memory of a CPU, the 0 the first one of its kind.
#
# What you learnt
# ---------------
# - Expect ``from_numpy``, ``numpy()`` and DLPack to share: a write on one side shows on the other.
# - Copy what will be overwritten, and what must not change: ``clone()``, ``copy()``.
# - Expect a copy for another dtype, another device or a list; a refusal says what is missing.
# - Convert to ``float32`` where the array is made, and calculate on one side of the bridge.
#
# Exercises
# ---------
# 1. **Predict.** ``loss = (weight * x).sum()``, where ``x`` shares the memory of an array of ones.
#    Before ``backward()``, somebody writes 100 into the array. What are loss and gradient? And if
#    ``x.fill_(100)`` wrote it?
# 2. **Change.** Train a linear classifier on ``Camera``, with and without the copy, in batches of
#    50. How many of the test images does it read?
# 3. **Extend.** Write ``to_tensor(array)``, which shares where that is safe and copies otherwise:
#    mirrored, read-only, of another byte order. Try it on each.

# %%
# .. answer:: 1
#
#    The loss was computed before, the gradient afterwards, with the new numbers, and it is wrong.
#    Autograd counts what tensors write, and raises an error; what NumPy writes, it cannot see.

refusal = ""
for by_numpy in (True, False):
    ones = np.ones(2, np.float32)
    x, weight = torch.from_numpy(ones), torch.ones(2, requires_grad=True)
    loss = (weight * x).sum()
    if by_numpy:
        ones[:] = 100
    else:
        x.fill_(100)
    try:
        loss.backward()
        print(f"loss {loss.item()}, gradient {weight.grad.tolist()}")
        assert loss == 2 and weight.grad.tolist() == [100, 100]
    except RuntimeError as error:
        refusal = str(error)
        print(refusal.split(":")[0])
assert "modified by an inplace operation" in refusal

# %%
# .. answer:: 2
#
#    One image for fifty labels teaches next to nothing.


def learn(copy):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for x, y in list(DataLoader(Camera(copy), batch_size=50)) * 10:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (model(test.x).argmax(1) == test.y).float().mean().item()


accuracy = {copy: learn(copy) for copy in (False, True)}
print(f"shared: {accuracy[False]:.0%}, cloned: {accuracy[True]:.0%}")
assert accuracy[False] < 0.5 < 0.8 < accuracy[True]

# %%
# .. answer:: 3
#
#    NumPy knows all that is asked: the strides, the lock, the byte order.


def to_tensor(array):
    native = array.dtype.newbyteorder("=")
    safe = (
        array.flags.writeable
        and array.dtype == native
        and min(array.strides, default=0) >= 0
    )
    return torch.from_numpy(
        array if safe else array.astype(native, order="C", copy=True)
    )


cases = {"plain": image, "transposed": image.T, "mirrored": image[:, ::-1]}
cases |= {"read-only": locked, "big-endian": image.astype(">f4")}
shared = {}
for name, array in cases.items():
    x = to_tensor(array)
    shared[name] = np.shares_memory(array, x.numpy())
    print(f"{name:11} {'shares' if shared[name] else 'copies'}")
    assert np.array_equal(array, x.numpy())
assert [name for name in shared if shared[name]] == ["plain", "transposed"]

# %%
# Next
# ----
# :doc:`/lessons/autograd/01_gradients`: what becomes of tensors when a gradient must flow back
# through them.
