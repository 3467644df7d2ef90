"""
Parameters, buffers, containers
===============================

Which numbers of a model does PyTorch train, save and move?

You need not hand PyTorch a list of your layers. You store them as attributes,
and then an optimizer can train their weights, a file can hold them, and one
call moves them all to a GPU. So the module must find them by itself. It looks
in certain places only, and what you keep elsewhere is left out without an
error.

After this lesson you can

- say for each tensor of a model whether it is trained, saved and moved
- put any number of layers into a model, count its parameters, and freeze a part
- notice layers that the model uses, but that no optimizer knows of
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import Batches, datasets, summary

torch.manual_seed(0)

# %%
# Three tensors, three kinds
# --------------------------
# This module computes slope · (x − center) + offset, and it stores the three
# numbers in three different ways. The slope is to be learned, so it is an
# ``nn.Parameter``, as in the last lesson. The center belongs to the module,
# too, but is not learned. Such a tensor is called a :term:`buffer`, and you
# wrap it in ``nn.Buffer``. The offset is an ordinary tensor.


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([2.0]))
        self.center = nn.Buffer(torch.tensor([5.0]))
        self.offset = torch.tensor([1.0])

    def forward(self, x):
        return self.slope * (x - self.center) + self.offset


net = Net()
x = torch.tensor([7.0])
print(net(x))

# %%
# All three take part in the result: 2 · (7 − 5) + 1 = 5. Now ask the module
# what it has found. ``named_buffers()`` goes through the buffers, as
# ``named_parameters()`` does through the parameters. ``state_dict()`` returns
# the :term:`state dict`, a dictionary of all tensors that are saved when you
# save the model (:doc:`/lessons/networks/08_save_load`).

print("parameters:", [name for name, _ in net.named_parameters()])
print("buffers:   ", [name for name, _ in net.named_buffers()])
print("state dict:", list(net.state_dict()))

# %%
# As you know, a module looks at each attribute that you store. It has one list
# for parameters, one for modules, and a third one for buffers. Anything else is
# an ordinary attribute of Python. ``forward`` can use it, but the module keeps
# no record of it, so ``offset`` is nowhere.
#
# First we train. For x = 7 the result should be 9, the loss is the square of
# the difference, and we take one step with the learning rate ⅛. The gradient
# for the slope is 2 · (5 − 9) · (7 − 5) = −16. Which of the three numbers will
# change?

optimizer = torch.optim.SGD(net.parameters(), lr=1 / 8)
loss = ((net(x) - 9) ** 2).sum()
loss.backward()
optimizer.step()
print("slope: ", net.slope.item())
print("center:", net.center.item())
print("offset:", net.offset.item())
print("result:", net(x).item())

# %%
# Only the parameter has changed, from 2 to 2 + 16 · ⅛ = 4, and the result is 9.
# In training, the buffer and the ordinary tensor behave alike.

# %%
# .. check::

assert Net()(x) == 5, "2 · (7 − 5) + 1"
assert [name for name, _ in net.named_parameters()] == ["slope"], "learned"
assert [name for name, _ in net.named_buffers()] == ["center"], "not learned"
assert list(net.state_dict()) == ["slope", "center"], "both are saved"
assert net.slope.grad == -16, "the gradient is 2 · (5 − 9) · (7 − 5)"
assert net.slope == 4, "the slope is 2 + 16 / 8"
assert net.center == 5, "the buffer is as it was"
assert net.offset == 1, "and so is the ordinary tensor"
assert net(x) == 9, "4 · (7 − 5) + 1"

# %%
# What moves with the model: to
# -----------------------------
# The two differ as soon as you convert or move the module with ``to``. For a
# tensor, ``to`` returns a new tensor. A module converts what it has found and
# keeps it, so you need not store the result. Because not every computer has a
# GPU, we move it to the device ``"meta"``, where tensors have a shape and a
# data type, but no numbers. This is only for looking, because the numbers of
# ``net`` are lost.

net.to(torch.float64)
print("slope: ", net.slope.dtype)
print("center:", net.center.dtype)
print("offset:", net.offset.dtype)

net.to("meta")
message = ""
try:
    net(x.to("meta"))
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# Both times, the offset was left behind. The slope and the center are on
# ``"meta"``, but the offset is still on the CPU, so they cannot be added. With
# a GPU, the error is similar. In a table:
#
# .. list-table::
#    :header-rows: 1
#
#    * - Stored as
#      - trained
#      - saved
#      - moved by ``to``
#    * - ``nn.Parameter``
#      - yes
#      - yes
#      - yes
#    * - ``nn.Buffer``
#      - no
#      - yes
#      - yes
#    * - an ordinary tensor
#      - no
#      - no
#      - no
#
# (With ``nn.Buffer(tensor, persistent=False)``, a buffer is not saved.)

# %%
# .. check::

assert net.slope.device.type == "meta", "the parameter has moved"
assert net.center.device.type == "meta", "and so has the buffer"
assert net.offset.device.type == "cpu", "the ordinary tensor has not"
assert net.slope.dtype == torch.float64, "the parameter was converted"
assert net.center.dtype == torch.float64, "and so was the buffer"
assert net.offset.dtype == torch.float32, "the ordinary tensor was not"
assert "meta" in message, "and then they cannot be added"

# %%
# Many layers: ModuleList
# -----------------------
# A module that is stored as an attribute is found with everything in it. But
# how do you store layers if their number is an argument, so that you cannot
# write one attribute for each? :class:`torch.nn.ModuleList` is a list that is
# itself a module. So it is found, and the layers in it, too. Here is the
# :term:`multilayer perceptron` of the last lesson, with any number of hidden
# layers. ``forward`` goes through them in a loop.


class Deep(nn.Module):
    def __init__(self, inputs, width, classes, depth):
        super().__init__()
        layers = [nn.Linear(inputs, width)]
        for _ in range(depth - 1):
            layers.append(nn.Linear(width, width))
        self.hidden = nn.ModuleList(layers)
        self.relu = nn.ReLU()
        self.output = nn.Linear(width, classes)

    def forward(self, x):
        x = x.flatten(1)  # one row for each example
        for layer in self.hidden:
            x = self.relu(layer(x))
        return self.output(x)


# %%
# How does this differ from ``nn.Sequential``? Both keep layers in order, but a
# ``ModuleList`` has no ``forward``. Yours decides what happens between the
# layers, and may use some of them twice or not at all. (``nn.ModuleDict`` is
# for a dictionary of layers, and ``nn.ParameterList`` for a list of
# parameters.)
#
# Count and freeze
# ----------------
# Here is a small ``Deep``, with two hidden layers. How many parameters does it
# have? The first layer has 4 · 3 weights and 3 biases, which makes 15. Work out
# the other two, and the sum, before you look at the output.
# :func:`handbook.summary` runs a model once, and shows for each layer what goes
# in, what comes out, and how many parameters it has. In the total, a layer that
# runs twice counts once.

small = Deep(inputs=4, width=3, classes=2, depth=2)
print(summary(small, torch.zeros(1, 4)))

# %%
# The layers have 15, 12 and 8, and the sum is 35. ``hidden.0`` is the layer at
# position 0 of ``hidden``. If the model counts more or fewer than you, find out
# why before you train.
#
# Sometimes a part of a model should stay as it is, for example because it was
# trained before, on other data. You know ``requires_grad_`` from tensors. For a
# module, it does the same with all parameters in it.

small.hidden[0].requires_grad_(False)
learns = []
for name, parameter in small.named_parameters():
    print(f"{name:16} {parameter.requires_grad}")
    if parameter.requires_grad:
        learns.append(parameter.numel())
print("still learns:", sum(learns))

# %%
# The first layer is *frozen*. Its 15 numbers get no new gradient, and 20 are
# left to learn. They are still parameters, so they are counted, saved and
# moved. If you have trained the layer, call ``optimizer.zero_grad()`` first, or
# its old gradient moves it once more. (Buffers that ``forward`` itself changes,
# as in batch normalization, go on changing.)

# %%
# .. check::

assert sum([parameter.numel() for parameter in small.parameters()]) == 35, (
    "15 + 12 + 8"
)
assert sum(learns) == 20, "35 without the 15 of the frozen layer"
assert len(list(small.parameters())) == 6, "three weights and three biases"

# %%
# On real data
# ------------
# The pixels of the digits are numbers from 0 to 1. We standardize them, with
# the mean and the standard deviation of the training images. Anyone who uses
# the model later needs the same two numbers, and training must not change them.
# This is what buffers are for.


class Standardize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = nn.Buffer(torch.tensor([mean]))
        self.std = nn.Buffer(torch.tensor([std]))

    def forward(self, x):
        return (x - self.mean) / self.std


train_set, _ = datasets.mnist()
x_train = train_set.x[:8000]  # (8000, 1, 28, 28)
y_train = train_set.y[:8000]
x_val = train_set.x[8000:]  # (2000, 1, 28, 28)
y_val = train_set.y[8000:]
mean = x_train.mean().item()
std = x_train.std().item()

# %%
# Training is as in the last lesson. After each epoch, we measure the
# :term:`accuracy` on the validation set.


def train(model, lr=0.1, epochs=4):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    batches = Batches(x_train, y_train, batch_size=50, shuffle=True)
    accuracies = []
    for _ in range(epochs):
        for x, y in batches:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = model(x_val).argmax(dim=1) == y_val
        accuracies.append(right.float().mean().item())
    return accuracies


# %%
# The model is a chain of two modules, ``Standardize`` and a ``Deep`` with three
# hidden layers. We print its state dict, the number of its parameters, and the
# four accuracies.

torch.manual_seed(0)
model = nn.Sequential(Standardize(mean, std), Deep(784, 64, 10, depth=3))
for name, tensor in model.state_dict().items():
    print(f"{name:18} {tuple(tensor.shape)}")
sizes = [parameter.numel() for parameter in model.parameters()]
print(f"parameters: {sum(sizes):,}")
accuracies = train(model)
print([f"{each:.1%}" for each in accuracies])

# %%
# The state dict begins with the two buffers, which are no parameters. In
# ``1.hidden.0.weight``, the 1 is the position in the chain and the 0 the
# position in the ``ModuleList``. The layers have 50,240 + 4,160 + 4,160 + 650 =
# 59,210 parameters. After four epochs, more than nine of ten images are read
# correctly.

# %%
# .. check::

assert sum(sizes) == 59_210, "all four layers"
assert sizes[0] + sizes[1] == 50_240, "weight and bias of the first layer"
assert sizes[2] + sizes[3] == 4160, "of the second"
assert sizes[4] + sizes[5] == 4160, "of the third"
assert sizes[6] + sizes[7] == 650, "of the last"
assert len(model.state_dict()) == 10, "8 parameters and 2 buffers"
assert accuracies[-1] > 0.9, "it learns"

# %%
# .. _list-of-layers:
#
# What goes wrong
# ---------------
# **Layers in a Python list.** Here is the same model once more. Only one line
# is different: the layers stay in an ordinary list.


class DeepInList(nn.Module):
    def __init__(self, inputs, width, classes, depth):
        super().__init__()
        layers = [nn.Linear(inputs, width)]
        for _ in range(depth - 1):
            layers.append(nn.Linear(width, width))
        self.hidden = layers  # not a ModuleList
        self.relu = nn.ReLU()
        self.output = nn.Linear(width, classes)

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.hidden:
            x = self.relu(layer(x))
        return self.output(x)


# %%
# We train it in the same way, from the same random numbers:

torch.manual_seed(0)
in_list = nn.Sequential(
    Standardize(mean, std), DeepInList(784, 64, 10, depth=3)
)
list_accuracies = train(in_list)
print([f"{each:.1%}" for each in list_accuracies])

# %%
# There is no error, and the model even learns. But after each epoch it is far
# behind the other one. So ask the model what it has found:

sizes_in_list = [parameter.numel() for parameter in in_list.parameters()]
print(f"parameters: {sum(sizes_in_list):,}")
print("state dict:", list(in_list.state_dict()))

# %%
# It knows only 650 of the 59,210 numbers, those of the last layer. ``forward``
# uses all four layers, but three of them are in a Python list, and a module
# does not look into lists. So the optimizer has never heard of them, and they
# would be missing from a saved file.
#
# Has training changed the weights? With the same seed, we get the untrained
# layers once more, and compare the weights of each. ``model[1]`` is the second
# module of the chain, the ``Deep``.

torch.manual_seed(0)
start = Deep(784, 64, 10, depth=3)  # untrained
unchanged = {}
for name, deep in [("ModuleList", model[1]), ("list", in_list[1])]:
    unchanged[name] = []
    for i in range(3):
        same = deep.hidden[i].weight.equal(start.hidden[i].weight)
        unchanged[name].append(same)
    unchanged[name].append(deep.output.weight.equal(start.output.weight))
    print(f"{name:10} unchanged:", unchanged[name])

# %%
# In the list, the three hidden layers are as they were. Their weights are still
# random, and the last layer has to make do with what they compute. In the
# figure, the layers in ``parameters()`` are blue.
#
# .. alt:: Above, the validation accuracy after each of four epochs. With
#    ModuleList it rises to above 90%, with a list it stays below 50%. Below,
#    two rows of four boxes, one for each layer, with its number of parameters.
#    With ModuleList all four are blue and changed. With a list, the three
#    hidden layers are grey, dashed boxes and unchanged, and only the output
#    layer is blue and changed.

# %%
# .. drawing::

figure, axes = plt.subplots(
    2, 1, figsize=(5.6, 5), height_ratios=[5, 4], layout="constrained"
)
curves = {"ModuleList": accuracies, "list": list_accuracies}
for name, style in [("ModuleList", "C0o-"), ("list", "C1s--")]:
    axes[0].plot(range(1, 5), curves[name], style, label=name)
axes[0].axhline(0.1, color="black", linestyle=":", label="guessing")
axes[0].set(xlabel="epoch", ylabel="validation accuracy", ylim=(0, 1))
axes[0].set(xticks=range(1, 5))
axes[0].legend(loc="center right", bbox_to_anchor=(1, 0.6))

for name, deep, y in [("ModuleList", model[1], 0), ("list", in_list[1], -1.1)]:
    known = [title for title, _ in deep.named_parameters()]
    for i, title in enumerate(["hidden.0", "hidden.1", "hidden.2", "output"]):
        style = {"facecolor": "0.85", "linestyle": "--"}
        if f"{title}.weight" in known:
            style = {"facecolor": "#56B4E9", "linestyle": "-"}
        box = plt.Rectangle((i, y), 0.9, 0.6, edgecolor="0.2", **style)
        axes[1].add_patch(box)
        text = f"{sizes[2 * i] + sizes[2 * i + 1]:,}\nchanged"
        if unchanged[name][i]:
            text = text.replace("changed", "unchanged")
        axes[1].text(i + 0.45, y + 0.3, text, ha="center", va="center")
    axes[1].text(0, y + 0.68, name, weight="bold")
for i, title in enumerate(["hidden.0", "hidden.1", "hidden.2", "output"]):
    axes[1].text(i + 0.45, -1.35, title, ha="center")
axes[1].set(xlim=(-0.05, 3.95), ylim=(-1.4, 0.95))
axes[1].set_axis_off()

# %%
# Nothing reports the mistake until you convert or move the model:

message = ""
try:
    in_list.to(torch.float64)
    in_list(x_val.to(torch.float64))
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# The input is now ``float64`` (Double), but the first hidden layer was left
# behind with ``float32`` (Float). On a GPU, a similar error would come with the
# first mini-batch. Training on a CPU gives none, so count the parameters.
#
# The cure is the line ``self.hidden = nn.ModuleList(layers)`` in the class.
# Because a module looks at each attribute when it is stored, we can even do it
# to the finished model:

in_list[1].hidden = nn.ModuleList(in_list[1].hidden)
sizes_cured = [parameter.numel() for parameter in in_list.parameters()]
print(f"parameters: {sum(sizes_cured):,}")
in_list.to(torch.float64)
print(in_list(x_val.to(torch.float64)).dtype)

# %%
# Now the model has all 59,210, and ``to`` reaches every layer. To go on
# training, make a new optimizer, because the old one was given only the 650.

# %%
# .. check::

assert max(list_accuracies) < 0.6, "the list stays behind"
assert min(accuracies) > 0.75, "far behind after each epoch"
assert list_accuracies[-1] > 0.15, "but it learns"
assert sum(sizes_in_list) == 650, "the last layer alone"
assert len(in_list.state_dict()) == 10, "the cure saves all, too"
assert unchanged["list"] == [True, True, True, False], "only the last changed"
assert not any(unchanged["ModuleList"]), "with ModuleList all changed"
assert "dtype" in message, "float64 meets float32"
assert sum(sizes_cured) == 59_210, "the cure finds all"

# %%
# Recipe
# ------
# The data are made up: two columns of very different size, and the class says
# whether both are on the same side of their means.

import torch
from torch import nn
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
noise = torch.randn(600, 2)
x = torch.tensor([200.0, 3.0]) + noise * torch.tensor([30.0, 0.5])
y = (noise[:, 0] * noise[:, 1] > 0).to(torch.int64)


# %%
# The network standardizes its input itself, with two buffers, and keeps its
# hidden layers in a ``ModuleList``:


class Net(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = nn.Buffer(mean)  # (2,)
        self.std = nn.Buffer(std)  # (2,)
        layers = [nn.Linear(2, 32), nn.Linear(32, 32), nn.Linear(32, 32)]
        self.hidden = nn.ModuleList(layers)
        self.relu = nn.ReLU()
        self.output = nn.Linear(32, 2)

    def forward(self, x):
        x = (x - self.mean) / self.std
        for layer in self.hidden:
            x = self.relu(layer(x))
        return self.output(x)


# %%
# Count, and compare with your own number. Then train with 500 rows:

model = Net(mean=x[:500].mean(dim=0), std=x[:500].std(dim=0))
counted = sum([parameter.numel() for parameter in model.parameters()])
print(counted, "and by hand", (2 * 32 + 32) + 2 * (32 * 32 + 32) + (32 * 2 + 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for _ in range(300):
    loss = cross_entropy(model(x[:500]), y[:500])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Judge with the other 100, guess for one new row, and freeze all hidden layers,
# if only the last one should go on learning:

with torch.no_grad():
    right = (model(x[500:]).argmax(dim=1) == y[500:]).float().mean()
    guess = model(torch.tensor([[260.0, 4.0]])).argmax(dim=1)
print(f"right: {right:.0%}, guess for the new row: {guess.item()}")
optimizer.zero_grad()  # an old gradient would still move the layers
model.hidden.requires_grad_(False)
learns = [each.numel() for each in model.parameters() if each.requires_grad]
print("still learns:", sum(learns))

# %%
# .. check::

assert counted == 2274, "every layer is found"
assert list(model.state_dict())[:2] == ["mean", "std"], "and both buffers"
assert right > 0.85, "the recipe learns"
assert guess == 1, "both are above their means"
assert sum(learns) == 66, "only the last layer"
assert model.hidden[0].weight.grad is None, "and no old gradient is left"

# %%
# What you learned
# ----------------
# - A module finds the parameters, buffers and modules that are its attributes.
#   ``to`` moves them, and the state dict has them.
# - ``nn.Parameter`` is for what the optimizer changes, ``nn.Buffer`` for what
#   belongs to the model and is not changed by it. An ordinary tensor is neither
#   saved nor moved.
# - Keep layers in a ``ModuleList``. In a Python list they never learn, and
#   training on a CPU gives no error.
# - Count the parameters by hand and by the model before you train.
# - ``requires_grad_(False)`` freezes the parameters of a layer, or of a whole
#   ``ModuleList``. Call ``optimizer.zero_grad()`` first.
#
# Exercises
# ---------
# 1. **Predict.** Which names do ``named_parameters()`` and ``state_dict()``
#    list for this module, and how many parameters does it have? The layer
#    ``first`` has a second name.
#
#    .. code-block:: python
#
#       class Odd(nn.Module):
#           def __init__(self):
#               super().__init__()
#               self.a = nn.Parameter(torch.ones(2))
#               self.b = torch.ones(2, requires_grad=True)
#               self.c = [nn.Parameter(torch.ones(2))]
#               self.first = nn.Linear(2, 2)
#               self.second = self.first
#               self.d = nn.Buffer(torch.ones(2), persistent=False)
#
# 2. **Change.** Make the model with the ``ModuleList`` anew with the seed 0,
#    freeze its three hidden layers, and train it in the same way. How many
#    numbers learn? Where have you seen these accuracies before?
# 3. **Extend.** Write ``forgotten(module)``, which returns the names of the
#    attributes that are lists or tuples with a module or a parameter in them.
#    ``vars(module)`` gives a dictionary of all ordinary attributes. Try it on a
#    ``DeepInList`` and a ``Deep``.

# %%
# .. answer:: 1
#
#    ``b`` requires a gradient, but it is not an ``nn.Parameter``, and ``c`` is
#    a list, so both are missing. ``first`` and ``second`` are two names for one
#    layer. Its parameters are listed once and counted once, so there are 2 + 4
#    + 2 = 8. The state dict has it under both names, but ``d`` is not saved.


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.ones(2))
        self.b = torch.ones(2, requires_grad=True)
        self.c = [nn.Parameter(torch.ones(2))]
        self.first = nn.Linear(2, 2)
        self.second = self.first
        self.d = nn.Buffer(torch.ones(2), persistent=False)


odd = Odd()
print([name for name, _ in odd.named_parameters()])
print(list(odd.state_dict()))
odd_sizes = [parameter.numel() for parameter in odd.parameters()]
print("parameters:", sum(odd_sizes))

# %%
# .. check::

assert sum(odd_sizes) == 8, "a, and the layer once"
assert len(list(odd.parameters())) == 3, "a, weight and bias"
assert len(odd.state_dict()) == 5, "the layer under both names"
assert "d" not in odd.state_dict(), "a buffer that is not saved"

# %%
# .. answer:: 2
#
#    650 numbers learn, and the accuracies are those of the model with the list,
#    because there, too, only the last layer learned. To keep layers in a list
#    is to freeze them without wanting to.

torch.manual_seed(0)
frozen = nn.Sequential(Standardize(mean, std), Deep(784, 64, 10, depth=3))
frozen[1].hidden.requires_grad_(False)
learns = [each.numel() for each in frozen.parameters() if each.requires_grad]
print("learns:", sum(learns))
frozen_accuracies = train(frozen)
print([f"{each:.1%}" for each in frozen_accuracies])

# %%
# .. check::

assert sum(learns) == 650, "the last layer"
assert frozen_accuracies == list_accuracies, "as with the list"

# %%
# .. answer:: 3
#
#    What the module has found is not among the ordinary attributes, because the
#    module keeps it in dictionaries of its own. So a ``ModuleList`` does not
#    appear. The function looks at one module, and not into dictionaries or
#    nested lists. (``model.modules()`` goes through all modules of a model.)


def forgotten(module):
    found = []
    for name, value in vars(module).items():
        if isinstance(value, (list, tuple)):
            for each in value:
                if isinstance(each, (nn.Module, nn.Parameter)):
                    found.append(name)
                    break
    return found


print(forgotten(DeepInList(4, 3, 2, depth=2)))
print(forgotten(small), forgotten(odd))

# %%
# .. check::

assert forgotten(DeepInList(4, 3, 2, depth=2)) == ["hidden"], "the list"
assert forgotten(small) == [], "a ModuleList is found by the module itself"
assert forgotten(odd) == ["c"], "a parameter in a list"

# %%
# .. earlier::
#
#    ``self.register_buffer("center", tensor)`` is the older spelling of
#    ``self.center = nn.Buffer(tensor)``, which PyTorch has since 2.5. Both do
#    the same. Some notes keep fixed numbers in an ordinary tensor, which is
#    neither saved nor moved (:doc:`/errata`).

older = nn.Module()
older.register_buffer("center", torch.tensor([5.0]))
print([name for name, _ in older.named_buffers()])

# %%
# .. check::

assert "center" in older.state_dict(), "registered in the older way"
