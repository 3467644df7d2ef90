"""
Shape, dtype, device
====================

What should I know about a tensor before I calculate with it?

Three things: how its numbers are arranged, what kind of numbers they are, and
in which memory they lie. When two tensors do not fit together, the reason is
nearly always one of the three, and most error messages of PyTorch name it. If
you ask for all three first, you find the mistake without guessing.

After this lesson you can

- read the shape, the dtype and the device of a tensor, and change each of them
- write code that uses a GPU where there is one, and runs without it, too
- read the error messages about shape, dtype and device, and fix the cause
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets, models

torch.manual_seed(0)

# %%
# Three questions
# ---------------
# Here is a table of two rows and three columns. What shape does it have, what
# kind of numbers does it hold, and where are they?

x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
print("shape: ", x.shape)
print("dtype: ", x.dtype)
print("device:", x.device)

# %%
# Every tensor answers these three questions. The answers take up one line each,
# and it is worth printing them whenever something surprises you. We now take
# them one by one.
#
# .. _shape-and-ndim:
#
# What shape?
# -----------
# The :term:`shape` lists how long each :term:`axis` is. Three other things are
# easily confused with it. Here is a tensor with three axes, and each line below
# prints one number. Which numbers do you expect?

block = torch.zeros(2, 3, 4)
print("ndim:   ", block.ndim)
print("numel():", block.numel())
print("len():  ", len(block))

# %%
# ``ndim`` is the *number of axes*, here 3, which is the same as
# ``len(block.shape)``. ``numel()`` is the *number of elements*, the product of
# all lengths, 2 × 3 × 4 = 24. And ``len`` is the length of the first axis
# alone, as for a list of lists. (``block.size()`` returns the shape, too.)
#
# .. alt:: Two tables of 3 rows and 4 columns, one behind the other. Arrows show
#    the axes: axis 0 of length 2 from the front table to the one behind it,
#    axis 1 of length 3 downwards, axis 2 of length 4 to the right.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3), layout="constrained")
for shift, color in ((1.2, "#CCE6F6"), (0, "#56B4E9")):
    for row in range(3):
        for column in range(4):
            corner = (column + shift, row - shift)
            cell = plt.Rectangle(corner, 1, 1, facecolor=color, edgecolor="0.3")
            axis.add_patch(cell)
arrow = {"arrowstyle": "->", "color": "0.3"}
axis.annotate("", (-0.3, 3), (-0.3, 0), arrowprops=arrow)
axis.text(-0.5, 1.5, "axis 1:\nlength 3", ha="right", va="center")
axis.annotate("", (4, 3.3), (0, 3.3), arrowprops=arrow)
axis.text(2, 3.5, "axis 2: length 4", ha="center", va="top")
axis.annotate("", (0.9, -1.4), (-0.3, -0.2), arrowprops=arrow)
axis.text(0, -1, "axis 0:\nlength 2", ha="right", va="center")
axis.set(xlim=(-2.2, 5.4), ylim=(4.2, -1.6), aspect="equal")
axis.set_axis_off()

# %%
# .. check::

assert x.shape == (2, 3), "two rows of three columns"
assert block.ndim == 3, "three axes"
assert block.ndim == len(block.shape), "ndim is the length of the shape"
assert block.numel() == 24, "2 times 3 times 4 elements"
assert len(block) == 2, "len is the length of the first axis"
assert block.size() == block.shape, "size() returns the shape"

# %%
# What dtype?
# -----------
# All elements of a tensor have the same :term:`dtype`, that is, the same type
# of number. The number in the name is how many bits each element takes. Of more
# than forty dtypes, you will meet these five again and again:
#
# .. list-table::
#    :header-rows: 1
#
#    * - dtype
#      - Numbers
#      - Where you meet it
#    * - ``float32``
#      - with a fraction, about 7 digits
#      - weights, inputs, losses: the usual one
#    * - ``float64``
#      - with a fraction, about 16 digits
#      - data from NumPy and from tables
#    * - ``int64``
#      - whole numbers
#      - labels, positions, counts
#    * - ``uint8``
#      - whole numbers from 0 to 255
#      - pixels in image files
#    * - ``bool``
#      - ``True`` or ``False``
#      - results of comparisons
#
# ``to`` converts. It returns a new tensor, and the old one stays as it is. (If
# the dtype is already right, it returns the same tensor.)

precise = x.to(torch.float64)
print(precise.dtype)
print(x.dtype)

# %%
# Each frequent dtype has a short form: ``x.float()`` for ``float32``,
# ``x.double()`` for ``float64``, ``x.long()`` for ``int64``. A conversion to
# whole numbers does not round, it drops the fraction: 1.7 becomes 1, and -1.7
# becomes -1. Write ``x.round().long()`` if you want 2 and -2. What else a dtype
# can do to your numbers is the subject of the next lesson.

# %%
# .. check::

assert precise.dtype == torch.float64, "to returns the dtype asked for"
assert x.dtype == torch.float32, "the old tensor stays as it is"
assert x.float().dtype == torch.float32, "float is float32"
assert x.double().dtype == torch.float64, "double is float64"
assert x.long().dtype == torch.int64, "long is int64"
assert torch.tensor([1.7, -1.7]).long().tolist() == [1, -1], "no rounding"
assert torch.tensor([1.7, -1.7]).round().long().tolist() == [2, -2], "rounded"

# %%
# .. _one-line-for-every-device:
#
# Where?
# ------
# A tensor lies in the memory of one :term:`device`. That is the CPU, unless you
# say otherwise, or an :term:`accelerator`, such as the GPU of a graphics card
# or of an Apple computer. An accelerator does many calculations at once, so
# networks are trained there if possible. These three lines choose the device,
# whatever the machine has:

device = torch.device("cpu")
if torch.accelerator.is_available():
    device = torch.accelerator.current_accelerator()
print(device)

# %%
# ``current_accelerator`` names the accelerator, once ``is_available`` has said
# that there is one. This page was made on a machine without one, so it says
# ``cpu``. With a card from Nvidia or AMD you read ``cuda``, with one from Intel
# ``xpu``, on an Apple computer ``mps``. The rest of the code is the same
# everywhere: move a tensor with ``to(device)``, or create it there at once.

moved = x.to(device)
created = torch.zeros(2, 3, device=device)
print((moved + created).device)

# %%
# ``created`` was never anywhere else, which saves the move. If a machine has
# several cards, ``torch.device("cuda:1")`` is the second one.

# %%
# On real data
# ------------
# Let us put the three answers into one line, and ask about the digits:


def describe(name, x):
    print(f"{name}: {tuple(x.shape)}, {x.dtype}, {x.device}")


train, _ = datasets.mnist()
describe("images", train.x)
describe("labels", train.y)

# %%
# That is the usual form of images in PyTorch: (number of images, channels,
# rows, columns), ``float32``. Labels are ``int64``, one for each image. Both
# lie on the CPU. A GPU usually has less memory than the computer around it, so
# you move only the batch that comes next. The network has to be on the same
# device:

model = models.LeNet()
model.to(device)
batch = train.x[:100].to(device)
scores = model(batch)
describe("scores", scores)

# %%
# One row for each of the 100 images, one column for each of the ten digits, and
# the same dtype and device as the batch.
#
# Is the GPU really being used? Print ``batch.device`` and
# ``next(model.parameters()).device`` (the device of the first parameter): both
# should name the accelerator. A program that never names a device runs on the
# CPU, however many cards there are.

# %%
# .. check::

assert moved.device == created.device, "moved or created, it is there"
assert train.x.shape == (10_000, 1, 28, 28), "images, channels, rows, columns"
assert train.x.dtype == torch.float32, "pixels are float32"
assert train.y.dtype == torch.int64, "labels are int64"
assert scores.shape == (100, 10), "ten scores for each image"
assert scores.device == batch.device, "the scores are where the batch is"
assert scores.dtype == batch.dtype, "the scores have the dtype of the batch"

# %%
# What goes wrong
# ---------------
# **Three errors, three questions.** The last layer of the network takes rows of
# 84 numbers, and returns ten scores for each row. Here are three inputs that it
# refuses. The third one lies on ``meta``, a device that every machine has: its
# tensors have a shape and a dtype, but no numbers. It stands in for a GPU here.

layer = models.LeNet().classifier[-1]  # the last layer
wide = torch.randn(2, 100)
double = torch.randn(2, 84).to(torch.float64)
elsewhere = torch.randn(2, 84).to("meta")

messages = []
for refused in (wide, double, elsewhere):
    describe("input", refused)
    try:
        layer(refused)
    except RuntimeError as error:
        print(error)
        messages.append(str(error))

# %%
# The message is printed below each input. ``mat1`` is the input. ``mat2`` is
# the weights of the layer, with rows and columns exchanged: the layer stores
# them as (10, 84).
#
# 1. *What shape?* A row of the input must be as long as the weights expect: the
#    100 in 2x100 should be the 84 in 84x10.
# 2. *What dtype?* *Double* is ``float64``, *Float* is ``float32``. The remedy
#    is ``float()``. Such data usually comes from NumPy or from a table.
# 3. *Where?* The weights are on the CPU, and the input is not.
#
# Now the GPU. If the model is there and the batch is not, or the other way
# round, the message names the devices. On an Nvidia card you may read one of
# these three (this page was made without a GPU):
#
# .. code-block:: text
#
#    Expected all tensors to be on the same device, but found at least two
#    devices, cuda:0 and cpu!
#
#    Expected all tensors to be on the same device, but got mat1 is on cpu,
#    different from other tensors on cuda:0 (when checking argument ...)
#
#    Input type (torch.FloatTensor) and weight type (torch.cuda.FloatTensor)
#    should be the same ...
#
# The third one comes from a convolutional layer, and ``torch.cuda`` marks what
# is on the GPU. The model and the batch are moved in the same lines in every
# program, so these are rarely the culprits. Look for the tensor that was
# forgotten:
#
# - the labels, which go into the loss together with the scores;
# - a tensor that is created on the way, such as ``torch.zeros(3)`` in a loss or
#   in a model: write ``torch.zeros(3, device=x.device)``;
# - a tensor that a model holds as an ordinary attribute, such as
#   ``self.scale = torch.ones(3)``: ``model.to`` moves only parameters and
#   buffers (other tensors that the model has registered).
#
# **A move that does not happen.** One more mistake gives no error where it is
# made:

y = torch.zeros(3)
y.to("meta")
print(y.device)
y = y.to("meta")
print(y.device)

# %%
# ``y.to`` returns the tensor that has moved, and leaves ``y`` where it is. So a
# line without an assignment has no effect, and the error comes much later,
# where ``y`` meets a tensor on the GPU. The method of a *model* is different:
# ``model.to(device)`` moves its parameters and buffers, and no assignment is
# needed. (Where nothing has to be done, ``y.to`` returns ``y`` itself, so
# writing it costs nothing.)

# %%
# .. check::

assert len(messages) == 3, "all three inputs are refused"
assert "2x100 and 84x10" in messages[0], "the first message names the shapes"
assert layer.weight.shape == (10, 84), "a row of weights for each score"
assert "Double and Float" in messages[1], "the second one names the dtypes"
assert "device" in messages[2], "the third one is about the device"
assert double.dtype == torch.float64, "the second input is float64"
assert elsewhere.device.type == "meta", "the third input is on meta"
assert y.device.type == "meta", "after the assignment, y is on meta"
assert next(layer.parameters()) is layer.weight, "the first parameter"
assert x.to(x.device) is x, "where nothing has to be done, x itself comes back"

# %%
# Recipe
# ------
# One device for the whole program, chosen at the top. Batches are moved, other
# tensors are created where the batch is.

import torch

device = torch.device("cpu")
if torch.accelerator.is_available():
    device = torch.accelerator.current_accelerator()

inputs = torch.ones(4, 3)  # a batch, on the CPU
inputs = inputs.to(device)
noise = torch.randn(4, 3, device=inputs.device)
noisy = inputs + noise
print(tuple(noisy.shape), noisy.dtype, noisy.device)

# %%
# .. check::

assert noisy.device == inputs.device, "the sum is where the batch is"

# %%
# What you learned
# ----------------
# - When two tensors do not fit, ask: what shape, what dtype, where?
# - The shape is a list of lengths; ``ndim`` counts the axes, ``numel()`` the
#   elements.
# - ``float32`` is for calculating, ``int64`` for labels; ``to`` converts and
#   returns a new tensor.
# - Choose the device once with ``torch.accelerator``, and move tensors with
#   ``x = x.to(device)``, with the assignment.
#
# Exercises
# ---------
# 1. **Predict.** What are ``ndim``, ``numel()`` and ``shape`` of
#    ``torch.zeros(5, 1, 3)``, of ``torch.tensor(7.0)`` and of
#    ``torch.zeros(3, 0)``? Which dtype does ``torch.zeros(3) > 1`` return?
# 2. **Change.** Make the first two inputs fit that the layer refused, each with
#    a small change, so that it returns two rows of ten scores.
# 3. **Extend.** Write ``describe_all(name, x)``, which describes a tensor, or
#    every tensor in a list, a tuple or a dictionary. It should also work where
#    a list contains another list. Try it on
#    ``{"data": train, "sizes": [torch.zeros(2), [torch.zeros(3)]]}``.

# %%
# .. answer:: 1
#
#    An axis of length 1 counts like any other. A scalar has no axis and one
#    element. Where one length is 0, there are no elements. A comparison returns
#    ``bool``.

for result in (torch.zeros(5, 1, 3), torch.tensor(7.0), torch.zeros(3, 0)):
    print(result.ndim, result.numel(), tuple(result.shape))
print((torch.zeros(3) > 1).dtype)

# %%
# .. check::

assert torch.zeros(5, 1, 3).ndim == 3, "an axis of length 1 counts"
assert torch.zeros(5, 1, 3).numel() == 15, "5 times 1 times 3"
assert torch.tensor(7.0).ndim == 0, "a scalar has no axis"
assert torch.tensor(7.0).numel() == 1, "a scalar has one element"
assert torch.zeros(3, 0).numel() == 0, "there are no elements"
assert (torch.zeros(3) > 1).dtype == torch.bool, "a comparison returns bool"

# %%
# .. answer:: 2
#
#    Use only the first 84 numbers of each row, and convert to ``float32``.

describe("first", layer(wide[:, :84]))
describe("second", layer(double.float()))

# %%
# .. check::

assert layer(wide[:, :84]).shape == (2, 10), "84 numbers in each row fit"
assert layer(double.float()).shape == (2, 10), "float32 fits"

# %%
# .. answer:: 3
#
#    The function calls itself for whatever is inside. ``train`` is a tuple of
#    images and labels. A dictionary has names for its parts, the others have
#    numbers.


def describe_all(name, x):
    if isinstance(x, dict):
        for key, part in x.items():
            describe_all(f"{name} {key}", part)
    elif isinstance(x, (list, tuple)):
        for n, part in enumerate(x):
            describe_all(f"{name} {n}", part)
    else:
        describe(name, x)


sizes = [torch.zeros(2), [torch.zeros(3)]]
describe_all("x", {"data": train, "sizes": sizes})

# %%
# .. check::

assert isinstance(train, tuple), "the training set is a tuple"
assert len(train) == 2, "it has images and labels"

# %%
# .. earlier::
#
#    .. _what-a-tensor-is:
#
#    - Older notes ask ``torch.cuda.is_available()`` for a GPU. It does not know
#      those of Apple and Intel; ``torch.accelerator`` does.
#    - There is no ``torch.size``. The type of a shape is :class:`torch.Size`,
#      with a capital S, and it is a tuple.
#    - A parameter of a network is not a "variable" of a separate kind. It is a
#      tensor, and so is the result of ``torch.autograd.Variable``. And
#      ``Tensor`` is not written in C++ alone: it is a Python class that builds
#      on a class in C++.

print(torch.cuda.is_available(), torch.accelerator.is_available())
print(isinstance(x.shape, tuple), hasattr(torch, "size"))
for kind in torch.nn.Parameter.__mro__:
    print(kind)

# %%
# .. check::

assert isinstance(x.shape, tuple), "a shape is a tuple"
assert not hasattr(torch, "size"), "there is no torch.size"
assert torch.nn.Parameter.__base__ is torch.Tensor, "a parameter is a tensor"
assert torch.Tensor.__base__.__module__ == "torch._C", "on a class in C++"
