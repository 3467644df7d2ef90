"""
In-place operations
===================

When I change a tensor, what else changes with it?

An in-place operation writes its result into the memory of its input. The result
needs no memory of its own, and training moves the weights of a network this
way. But every other tensor that uses the same memory changes too, and no
message says so. Autograd, the part of PyTorch that computes gradients, may
still need the numbers that you overwrite.

After this lesson you can

- tell an operation that changes its tensor from one that returns a new tensor
- predict which views and names change with it, and make a copy in time
- read the two errors that autograd raises, and fix what caused them
"""

# %%
# Setup
# -----

import warnings

import torch

from handbook import datasets, plots

train, test = datasets.mnist()

# %%
# .. _suffix-not-prefix:
#
# Two ways to add
# ---------------
# ``add`` returns a new tensor and leaves ``x`` as it is. ``add_``, with an
# underscore at the end, is an :term:`in-place operation`: it writes the result
# over ``x``.

x = torch.tensor([1, 2, 3])
y = x.add(10)
print("x:", x, " y:", y)

# %%
# .. check::

assert x.tolist() == [1, 2, 3], "add left x as it was"
assert y.tolist() == [11, 12, 13], "add returned the sums"

# %%
# Now with the underscore:

x.add_(10)
print("x:", x)

# %%
# The suffix ``_`` marks the methods that work in place: ``mul_``, ``zero_``,
# ``fill_``, ``copy_``. (Some layers and functions have the switch
# ``inplace=True``, such as ``torch.nn.ReLU(inplace=True)``.) Two other ways
# have no underscore, an assignment to a part and operators such as ``+=``:

x[0] = 7
print("x:", x)
x += 100
print("x:", x)

# %%
# Now a line that looks almost like the last one, ``x = x + 100``. It computes a
# new tensor and then gives it the *name* ``x``. The address of the memory,
# ``data_ptr()``, shows the difference:

address = x.data_ptr()
x += 100
same_after_operator = x.data_ptr() == address
print("after x += 100:    ", same_after_operator)
x = x + 100
same_after_name = x.data_ptr() == address
print("after x = x + 100: ", same_after_name)

# %%
# .. list-table::
#    :header-rows: 1
#
#    * - Changes ``x``
#      - Returns a new tensor
#    * - ``x.add_(1)``, ``x += 1``
#      - ``x.add(1)``, ``x + 1``
#    * - ``x.mul_(2)``, ``x *= 2``
#      - ``x.mul(2)``, ``x * 2``
#    * - ``x.zero_()``, ``x.fill_(7)``
#      - ``torch.zeros_like(x)``, ``torch.full_like(x, 7)``
#    * - ``x.copy_(y)``
#      - ``y.clone()``
#    * - ``x[x > 2] = 7``
#      - ``torch.where(x > 2, 7, x)``: 7 where the condition is true, ``x``
#        elsewhere
#
# .. _in-place-and-views:
#
# Who else changes
# ----------------
# Here is a matrix, and beside it three things that one might take for copies: a
# row, a second name, and a real copy. Before you read on, say which of them
# ``grid += 10`` changes.

grid = torch.tensor([[0, 1, 2], [3, 4, 5]])
row = grid[0]
alias = grid
copy = grid.clone()
grid += 10
print("row:  ", row)
print("alias:", alias)
print("copy: ", copy)

# %%
# ``row`` is a :term:`view`, so it reads the memory of ``grid``. ``alias`` is
# the same tensor with another name. Both changed. Only ``clone()`` made memory
# of its own.
#
# A new name, on the other hand, changes nothing. This line leaves ``alias`` and
# ``row`` as they are and moves the name ``grid`` to a new tensor:

grid = grid + 100
print("row:  ", row)
print("alias:", alias)
print("grid: ", grid)

# %%
# The figure shows the three tensors and, below each, the memory that it reads
# (storage). ``alias`` and ``row`` share the colours from yellow to blue,
# because they share their memory. ``grid`` has another memory and so a palette
# of its own, from yellow to red.
#
# .. alt:: Three grids. alias holds 10 to 15, in colours from yellow to blue.
#    row holds 10 to 12 in the same colours and lies in the same memory. grid
#    holds 110 to 115 in colours from yellow to red, in a memory of its own.

names = ["alias", "row", "grid = grid + 100"]
figure = plots.memory_layout(alias, row, grid, names=names, ncols=2)

# %%
# This is why the first loop below does nothing. In each round, ``weight =``
# moves a name to a new tensor, and the tensors in the list stay as they were:

weights = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])]
for weight in weights:
    weight = weight * 10
print(weights)

for weight in weights:
    weight *= 10
print(weights)

# %%
# .. check::

assert same_after_operator, "x += 100 writes into the same memory"
assert not same_after_name, "x = x + 100 is a new tensor"
assert row.tolist() == [10, 11, 12], "the view changed, too"
assert alias.tolist() == [[10, 11, 12], [13, 14, 15]], "so did the alias"
assert copy.tolist() == [[0, 1, 2], [3, 4, 5]], "the clone did not"
assert grid.tolist() == [[110, 111, 112], [113, 114, 115]], "grid is new"
assert row.data_ptr() == alias.data_ptr(), "row begins where alias begins"
assert grid.data_ptr() != alias.data_ptr(), "grid has memory of its own"
assert weights[0].tolist() == [10, 20], "only the second loop changed it"

# %%
# What goes wrong
# ---------------
# We want to see four digits in black on white, so we write a function that
# returns their negatives. It looks harmless.


def negative(images):
    images *= -1
    images += 1
    return images


print(f"mean before: {train.x[:4].mean():.2f}")
shown = negative(train.x[:4])
bright = train.x[:4].mean()
print(f"mean after:  {bright:.2f}")

# %%
# We never assigned anything to ``train.x``. But ``train.x[:4]`` is a view, the
# function wrote into it, and so four training images are now negatives. Here
# are the first eight:
#
# .. alt:: Eight handwritten digits from the training set. The first four are
#    black on white, the other four white on black.

figure = plots.image_grid(train.x[:8], ncols=8)

# %%
# A network would be trained on these, and no error would ever tell you. And if
# you run the cell again to find out what happened, the images turn back:

shown = negative(train.x[:4])
print(f"mean after a second call: {train.x[:4].mean():.2f}")

# %%
# The fix is to compute a new tensor:


def negative(images):
    return 1 - images


shown = negative(train.x[:4])
print(f"mean of the negatives:     {shown.mean():.2f}")
print(f"mean of the training data: {train.x[:4].mean():.2f}")

# %%
# A function should leave its arguments alone. Where it has to change one, its
# name says so, as PyTorch's names do: ``negative_``.
#
# There is also the opposite mistake: a change that you want, and that gets
# lost. A list or a :term:`mask` picks a *copy*, so ``fill_`` fills a copy that
# is then thrown away. An assignment writes into ``x`` itself, and so does
# ``+=``: Python reads ``x[x > 2]``, adds, and assigns the result back to
# ``x[x > 2]``.

x = torch.tensor([1, 2, 3, 4])
x[x > 2].fill_(0)
lost = x.tolist()
print(lost)
x[x > 2] += 1
raised = x.tolist()
print(raised)
x[x > 2] = 0
print(x.tolist())

# %%
# .. check::

assert bright > 0.8, "the first function made the training images bright"
assert 0.8 < shown.mean() < 0.95, "the negatives are bright"
assert 0.05 < train.x[:4].mean() < 0.2, "the training images are dark again"
assert lost == [1, 2, 3, 4], "fill_ filled a copy"
assert raised == [1, 2, 4, 5], "+= wrote into x"
assert x.tolist() == [1, 2, 0, 0], "the assignment wrote into x"

# %%
# What stays fixed
# ----------------
# The result has to fit into memory that is already there. So a calculation in
# place can change neither the dtype nor the shape of its tensor. (Methods that
# calculate nothing and only rearrange, such as ``t_()`` and ``unsqueeze_()``,
# do change the shape.)

counts = torch.tensor([1, 2, 3])
dtype_message = ""
try:
    counts += 0.5
except RuntimeError as error:
    dtype_message = str(error)
print(dtype_message)
shape_message = ""
try:
    counts += torch.tensor([[10], [20]])  # (3,) and (2, 1) make (2, 3)
except RuntimeError as error:
    shape_message = str(error)
print(shape_message)

# %%
# Assignments, ``copy_`` and ``fill_`` are less strict. They convert numbers to
# the dtype of the tensor, and fractions are lost without an error:

counts[0] = 9.9
assigned = counts.tolist()
print(assigned)
counts.copy_(torch.tensor([1.5, 2.5, 3.5]))
copied = counts.tolist()
print(copied)
counts.fill_(7.9)
print(counts.tolist())

# %%
# Why would one work in place at all? For memory. ``train.x * 2`` needs room for
# another 31 MB, and so does every step of a longer formula. ``mul_`` needs
# none.
#
# Between the two lies ``out=``: it writes the result over *another* tensor,
# which you can use again and again. This tensor should have the right shape. If
# it has another shape, PyTorch resizes it, with a warning unless it was empty.
# Autograd refuses to record a call with ``out=``. ``torch.empty_like`` makes a
# tensor of the same shape and dtype, whose numbers mean nothing yet.

print(f"{train.x.nbytes / 1e6:.0f} MB")
room = torch.empty_like(train.x)
address = room.data_ptr()
torch.mul(train.x, 2, out=room)
print(room.max(), room.data_ptr() == address)

# %%
# .. check::

assert dtype_message, "whole numbers cannot take the fraction 0.5"
assert shape_message, "three numbers have no room for six"
assert assigned == [9, 2, 3], "9.9 became 9"
assert copied == [1, 2, 3], "copy_ dropped the fractions"
assert counts.tolist() == [7, 7, 7], "7.9 became 7"
assert round(train.x.nbytes / 1e6) == 31, "the images take 31 MB"
assert torch.equal(room, train.x * 2), "room holds the products"
assert room.data_ptr() == address, "the result lies where room was"

# %%
# .. _in-place-and-autograd:
#
# What autograd refuses
# ---------------------
# Autograd has a part of this book to itself. You may meet two of its errors
# before then, because in-place operations cause them. For the first one, take a
# step of training by hand: the loss is the sum of the squares, and each weight
# moves against its :term:`gradient`. How far it moves is set by the learning
# rate, here 0.1.

w = torch.tensor([1.0, 2.0], requires_grad=True)
loss = (w * w).sum()
loss.backward()
print(w.grad)
leaf_message = ""
try:
    w -= 0.1 * w.grad
except RuntimeError as error:
    leaf_message = str(error)
print(leaf_message)

# %%
# A :term:`leaf <leaf tensor>` is a tensor at the beginning of the graph, where
# the gradients arrive, here ``w``. (``Variable`` is an old name for a tensor.)
# Autograd would have to record the subtraction, and then ``w`` would no longer
# be a beginning, and its gradient would have nowhere to arrive. The step is not
# a part of the calculation, so tell autograd not to record it. Optimizers do
# this too.

with torch.no_grad():
    w -= 0.1 * w.grad
stepped = w.tolist()
print(w)

# %%
# The second error concerns numbers that autograd keeps. The derivative of
# ``exp`` is ``exp`` itself, so to find the gradient later, autograd keeps the
# result ``y``. What if you overwrite it?

w = torch.tensor([0.0, 1.0], requires_grad=True)
y = w.exp()
y += 1
version_message = ""
try:
    y.sum().backward()
except RuntimeError as error:
    version_message = str(error)
print(version_message)

# %%
# The message is long, but each part helps. ``FloatTensor [2]`` is the kind and
# the shape of what was overwritten, and ``output 0 of Exp`` says where it came
# from. PyTorch counts how often a tensor is written: autograd kept version 0 of
# ``y``, and now it is version 1. A write through a view of ``y``, such as
# ``y[0].add_(1)``, counts too. Note that ``backward()`` raises the error,
# though the line to change is ``y += 1``. A new tensor is the fix:

y = w.exp()
y = y + 1
y.sum().backward()
print(w.grad)

# %%
# Not every in-place operation is an error: it depends on what autograd keeps.
# The gradient of ``3 * v`` is 3 whatever the result is, so this result may be
# overwritten:

v = torch.tensor([0.0, 1.0], requires_grad=True)
y = 3 * v
y += 1
y.sum().backward()
print(v.grad)

# %%
# You need not know what every operation keeps. In code that autograd records,
# write new tensors, and work in place only when memory forces you to.
#
# In a large network you may not know which ``exp`` the message means. Inside
# :class:`torch.autograd.set_detect_anomaly`, PyTorch also warns, and the
# warning names the line that computed the kept tensor, here ``y = w.exp()``.
# The line that overwrote it comes later. Anomaly detection is slow, so remove
# it when you have found the line. Below we make the mistake again, and look for
# the line in the warning:

named = False
# collect the warning in caught instead of printing it
with warnings.catch_warnings(record=True, action="always") as caught:
    try:
        with torch.autograd.set_detect_anomaly(True):
            y = w.exp()
            y += 1
            y.sum().backward()
    except RuntimeError:
        named = "y = w.exp()" in str(caught[0].message)
print("the warning names the line:", named)

# %%
# .. check::

assert leaf_message, "a leaf refuses the step in place"
assert torch.allclose(torch.tensor(stepped), torch.tensor([0.8, 1.6])), (
    "under no_grad the step is taken"
)
assert version_message, "backward misses the numbers that were kept"
assert torch.allclose(w.grad, torch.tensor([0.0, 1.0]).exp()), (
    "the derivative of exp is exp"
)
assert v.grad.tolist() == [3, 3], "the gradient of 3 v is 3"
assert named, "the warning names the line"

# %%
# Recipe
# ------
# Training by hand: the step is in place and not recorded. The gradient is
# removed after each step, because ``backward()`` adds to what is there.

import torch

weight = torch.tensor([1.0, 2.0], requires_grad=True)
for step in range(3):
    loss = (weight * weight).sum()
    loss.backward()
    with torch.no_grad():
        weight -= 0.1 * weight.grad
    weight.grad = None
    print(step, weight)

# %%
# .. check::

assert torch.allclose(weight, torch.tensor([1.0, 2.0]) * 0.8**3), (
    "each step multiplies by 0.8"
)
assert weight.is_leaf, "weight is still the beginning of the graph"
assert weight.requires_grad, "and it still requires a gradient"

# %%
# What you learned
# ----------------
# - A suffix ``_``, an operator such as ``+=`` and an assignment to a part write
#   into the memory of a tensor; ``x = x + 1`` moves a name.
# - All views and names of that memory see the change; a ``clone()`` does not.
# - A function that changes its argument may change your data set.
# - Weights are changed in place under ``no_grad``.
# - What autograd keeps must not be overwritten. In code that it records, write
#   new tensors.
#
# Exercises
# ---------
# 1. **Predict.** After ``x = torch.tensor([1, 2, 3, 4])``, ``a = x[1:3]``,
#    ``b = x[x > 2]``, ``a.zero_()``, ``b.fill_(9)`` and ``x[0] += 5``, what do
#    ``x``, ``a`` and ``b`` hold?
# 2. **Change.** In the recipe, write ``weight = weight - 0.1 * weight.grad``.
#    In which round does it fail, and why?
# 3. **Extend.** Count how often each digit occurs among the first 1,000 labels
#    with ``counts[labels] += 1``. What do you get, and why? Then try
#    ``counts.index_add_(0, labels, torch.ones(1000))``. Its arguments are the
#    axis, the places along it, and what to add at each place.

# %%
# .. answer:: 1
#
#    ``a`` is a view, so its zeros are also in ``x``. ``b`` is a copy, so the
#    nines stay in ``b``.

x = torch.tensor([1, 2, 3, 4])
a = x[1:3]
b = x[x > 2]
a.zero_()
b.fill_(9)
x[0] += 5
print(x, a, b)

# %%
# .. check::

assert x.tolist() == [6, 0, 0, 4], "x has the zeros, and not the nines"
assert b.tolist() == [9, 9], "the copy has the nines"

# %%
# .. answer:: 2
#
#    In the second. The first round moves the name to a new tensor. It was
#    computed under ``no_grad``, so it does not require a gradient, and the
#    second ``backward()`` has no graph to go through.

weight = torch.tensor([1.0, 2.0], requires_grad=True)
message = ""
try:
    for step in range(3):
        loss = (weight * weight).sum()
        loss.backward()
        with torch.no_grad():
            weight = weight - 0.1 * weight.grad
        weight.grad = None
        print(step, weight)
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# .. check::

assert message, "the second round raises an error"
assert torch.allclose(weight, torch.tensor([0.8, 1.6])), (
    "only the first round moved it"
)
assert not weight.requires_grad, "the new tensor requires no gradient"

# %%
# .. answer:: 3
#
#    Each count is 1. The line reads the counts at all 1,000 places, adds 1 and
#    writes the results back. A digit that occurs a hundred times is written a
#    hundred times, always with 1. ``index_add_`` adds one after the other.

labels = train.y[:1000]
counts = torch.zeros(10)
counts[labels] += 1
print(counts)
overwritten = counts.tolist()

counts = torch.zeros(10)
counts.index_add_(0, labels, torch.ones(1000))
print(counts)

# %%
# .. check::

assert overwritten == [1] * 10, "each count is 1"
assert counts.sum() == 1000, "index_add_ counts all labels"
assert counts[7] == (labels == 7).sum(), "the sevens are counted correctly"

# %%
# .. earlier::
#
#    .. _how-many-operations:
#
#    Some notes call the underscore a *prefix*, say that such an operation
#    "replaces the variable", and write ``x.copy(y)``. It is a suffix, the
#    operation changes the memory and with it every view, and the method is
#    called ``copy_``. Some also count only about a hundred operations, but a
#    tensor has more than 500 public names, nearly all of them methods, and more
#    than 100 have the suffix. A few of these write no numbers.
#    ``requires_grad_()`` sets a flag, to ``True`` unless you say otherwise.
#
#    Old code also writes into ``y.data``. Autograd does not see that, so there
#    is no error, and the gradient is wrong. Below it should be 1 and 2.72.

public = [name for name in dir(torch.Tensor) if not name.startswith("_")]
suffixed = [name for name in public if name.endswith("_")]
print(len(public), "public names,", len(suffixed), "with the suffix")
print("copy" in public, "copy_" in public)

w = torch.tensor([0.0, 1.0]).requires_grad_()
y = w.exp()
y.data += 1
y.sum().backward()
print(w.grad)

# %%
# .. check::

assert "copy" not in public, "there is no method copy"
assert len(public) > 500, "a tensor has more than 500 public names"
assert len(suffixed) > 100, "more than 100 have the suffix"
assert w.requires_grad, "requires_grad_() sets the flag to True"
assert w.grad[0] == 2, "the gradient is wrong: it should be 1"
