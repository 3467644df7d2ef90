"""
Defining a network
==================

How do you define a network, and how do you know that all of it learns?

You say what it owns and what it computes; PyTorch finds what has to learn. It looks in certain
places only: a layer kept elsewhere stays random, and on a CPU no error tells you. Here that happens
to three layers of four.
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from handbook import (
    Batches,
    classification_step,
    datasets,
    evaluate,
    fit,
    plots,
    summary,
)

torch.manual_seed(0)
digits, _ = datasets.mnist()
train = digits.x[:8000], digits.y[:8000]  # (8000, 1, 28, 28), (8000,)
val = digits.x[8000:], digits.y[8000:]

# %%
# The smallest one
# ----------------
#
# A network is a :term:`module`. Its class derives from :class:`torch.nn.Module`; ``__init__``
# stores what it owns, ``forward`` computes. A :term:`fully connected layer`, written out:


class Affine(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.weight.T + self.bias


x = val[0].flatten(1)  # (2000, 784)
layer, ready = Affine(784, 10), nn.Linear(784, 10)
ready.load_state_dict(layer.state_dict())
found = layer.parameters()
print({name: tuple(p.shape) for name, p in layer.named_parameters()})
print(
    type(found).__name__,
    "gives",
    len(list(found)),
    "parameters, and then",
    len(list(found)),
)
print("has a method backward:", hasattr(layer, "backward"))
assert torch.allclose(ready(x), layer(x), atol=1e-4) and issubclass(
    nn.Parameter, torch.Tensor
)
assert not hasattr(layer, "backward")

# %%
# :class:`torch.nn.Linear` with the same numbers gives the same result. You call the module,
# ``layer(x)``, and it calls ``forward``. Nobody writes a ``backward``: the operations are recorded
# as they run, see :doc:`/lessons/autograd/04_graph`.
#
# A :class:`torch.nn.Parameter` is a tensor that becomes a :term:`parameter` when you store it.
# ``parameters()`` gives a generator, not a list: it is empty once you have walked through it.
#
# .. _module-mistakes:
#
# Mistakes that say so
# --------------------
#
# ``nn`` is a package of classes; subclass ``nn.Module``. Before ``super().__init__()`` (in older
# code, ``super(Net, self).__init__()``) there is no place to register anything. Names are
# case-sensitive, and ``input`` is a function of Python until you make a tensor of that name.


def subclass_nn():
    class Net(nn):
        pass


class NoSuper(nn.Module):
    def __init__(self):
        self.out = nn.Linear(784, 10)


def refused(kind, mistake):
    try:
        mistake()
    except kind as error:
        print(f"{kind.__name__}: {error}")
    else:
        raise AssertionError("no error")


refused(TypeError, subclass_nn)
refused(AttributeError, NoSuper)
refused(AttributeError, lambda: nn.Relu())
refused(AttributeError, lambda: torch.size)
refused(TypeError, lambda: nn.Conv2d(1, 6, 5, Stride=1))
refused(TypeError, lambda: ready(input))

# %%
# Do not test for a model by ``if model:``. Where there is a ``__len__``, that asks for the length:
# ``None`` is refused, an empty container counts as false. So write ``if model is not None:``.
# (Names like ``__len__`` have two underscores on both sides; Python never calls a ``__getitem``.)


class Stub(nn.Module):
    def __len__(self):
        pass


refused(TypeError, lambda: bool(Stub()))
assert not nn.ModuleList() and layer

# %%
# .. _list-of-layers:
#
# A list of layers
# ----------------
#
# Now a quiet mistake. Between input and output we want several layers, called hidden layers, and
# that calls for a list. Next to it we try a :class:`torch.nn.ModuleList`. (``torch.flatten(x, 1)``
# joins all axes from axis 1 on; older code has a method ``num_flat_features`` for that.)


class Deep(nn.Module):
    def __init__(self, container):
        super().__init__()
        self.hidden = container([nn.Linear(n, 64) for n in (784, 64, 64)])
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.flatten(x, 1)  # (B, 784)
        for layer in self.hidden:
            x = F.relu(layer(x))  # (B, 64)
        return self.out(x)  # (B, 10)


def learn(model, epochs):
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    batches, held_out = (
        Batches(*train, batch_size=50, shuffle=True),
        Batches(*val, batch_size=250),
    )
    return fit(
        model, batches, classification_step,
        optimizer=sgd, val=held_out, epochs=epochs, device="cpu",
    )  # fmt: skip


# %%
# Both start from the same :term:`weights <weight>`. How far have those of each layer moved after
# four :term:`epochs <epoch>`, compared with their size?
#
# .. alt:: Left, validation accuracy: with ModuleList it rises to about 0.9, with a list it stays
#    far below. Right, how far each layer moved: with ModuleList all, with a list only the last.

fig, (left, right) = plt.subplots(
    1, 2, figsize=(7.2, 3.2), layout="constrained"
)
models, best, moved = {}, {}, {}
for container, style in ((list, "C1s--"), (nn.ModuleList, "C0o-")):
    torch.manual_seed(0)
    model, name = Deep(container), container.__name__
    weights = [layer.weight for layer in (*model.hidden, model.out)]
    old = [weight.detach().clone() for weight in weights]
    accuracy = [row["val_accuracy"] for row in learn(model, epochs=4)]
    models[name], best[name] = model, max(accuracy)
    moved[name] = [
        ((w - o).norm() / o.norm()).item()
        for w, o in zip(weights, old, strict=True)
    ]
    left.plot(range(1, 5), accuracy, style)
    right.plot(
        ["first", "second", "third", "out"], moved[name], style, label=name
    )
    print(
        f"{name:10} best {best[name]:.1%}, moved",
        [f"{m:.0%}" for m in moved[name]],
    )
left.axhline(0.1, color="gray", linestyle=":")
left.set(
    xlabel="epoch",
    ylabel="accuracy (dotted: guessing)",
    ylim=(0, 1),
    xticks=range(1, 5),
)
right.set(xlabel="layer", ylabel="moved / size")
right.legend()
assert best["list"] < 0.5 < 0.85 < best["ModuleList"]
assert moved["list"][:3] == [0, 0, 0] and min(moved["ModuleList"]) > 0.02

# %%
# A module finds the attributes that are parameters or modules. It does not look into a list or a
# dict. So the optimizer never heard of three layers, and the last one had to make do with what
# random layers left over. They are also missing from ``state_dict``, which gets saved, and from
# whatever treats all parameters alike, such as ``to`` and here ``double``:

for name, model in models.items():
    first = model.double().hidden[0].weight.dtype
    print(
        f"{name:10} {len(model.state_dict())} tensors to save, first layer now {first}"
    )
refused(RuntimeError, lambda: models["list"](val[0][:1].double()))
assert models["ModuleList"](val[0][:1].double()).dtype == torch.float64
for model in models.values():
    model.float()
refused(RuntimeError, lambda: Deep(list).to("meta")(val[0][:1].to("meta")))
assert [len(model.state_dict()) for model in models.values()] == [2, 8]

# %%
# So the mistake is quiet only as long as nothing is converted or moved. After ``double`` the input
# and the first layer no longer match, and after ``to`` they are on two devices (the last line shows
# it with ``"meta"``, a device whose tensors have only a shape). Both end in an error.
#
# Counting parameters
# -------------------
#
# For a fully connected layer you can tell the number beforehand: a weight for each pair of input
# and output, and a :term:`bias` for each output. :func:`handbook.summary` counts layer by layer.

by_hand = (784 * 64 + 64) + 2 * (64 * 64 + 64) + (64 * 10 + 10)
counts = {
    name: sum(p.numel() for p in model.parameters())
    for name, model in models.items()
}
print("by hand:", by_hand, " counted:", counts)
print(summary(models["ModuleList"], val[0][:1]))
assert (
    counts == {"list": 64 * 10 + 10, "ModuleList": by_hand}
    and by_hand == 59_210
)

# %%
# Buffers
# -------
#
# Some numbers belong to a network and are not to be learned, here the mean and the standard
# deviation of the pixels. A :term:`buffer` is saved and moves along, and no optimizer gets it; a
# plain tensor stays behind. The device ``"meta"`` shows it again.


class Standardize(nn.Module):
    def __init__(self, x):
        super().__init__()
        self.mean, self.deviation = nn.Buffer(x.mean()), nn.Buffer(x.std())
        self.plain = x.mean()

    def forward(self, x):
        return (x - self.mean) / self.deviation


away = Standardize(train[0]).to("meta")
print(
    "saved:",
    list(away.state_dict()),
    " buffer:",
    away.mean.device,
    " plain:",
    away.plain.device,
)
assert (
    len(away.state_dict()) == 2 and away.mean.is_meta and not away.plain.is_meta
)
assert not list(away.parameters())

# %%
# Hooks
# -----
#
# Where each layer feeds the next, :class:`torch.nn.Sequential` writes ``forward``. A
# :term:`convolution` here has 5 × 5 weights for each pair of channels, and a bias for each output.

reader = nn.Sequential(
    Standardize(train[0]),
    *(
        nn.Conv2d(1, 8, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ),  # (B, 8, 14, 14)
    *(
        nn.Conv2d(8, 8, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ),  # (B, 8, 7, 7)
    *(nn.Flatten(), nn.Linear(8 * 7 * 7, 10)),
)
by_hand = 8 * (1 * 5 * 5 + 1) + 8 * (8 * 5 * 5 + 1) + 10 * (8 * 7 * 7 + 1)
accuracy = learn(reader, epochs=2)[-1]["val_accuracy"]
print(f"{by_hand:,} parameters, {accuracy:.1%} right")
assert (
    sum(p.numel() for p in reader.parameters()) == by_hand
    and accuracy > best["ModuleList"]
)

# %%
# A tenth of the parameters, and better; but what goes on inside? A module calls a *forward hook*
# after its ``forward``, with inputs and output; ours keeps the outputs of the two ``ReLU``. Only a
# call ``layer(x)`` runs it, ``layer.forward(x)`` does not. Leaving ``with`` takes the hooks away.
#
# .. alt:: Two rows of eight small images. Above, what the first convolution makes of a handwritten
#    digit: its strokes and their edges. Below, the second: coarser, brighter in fewer places.

caught = {}


def catch(module, inputs, output):
    caught[module] = output.detach()  # (1, 8, H, W)


image = val[0][:1]  # (1, 1, 28, 28)
with (
    reader[2].register_forward_hook(catch),
    reader[5].register_forward_hook(catch),
):
    reader[2].forward(image)
    print("caught by forward:", len(caught))
    reader(image)
print("caught by a call:", [tuple(maps.shape) for maps in caught.values()])
large = [
    F.interpolate(maps / maps.max(), size=28)[0] for maps in caught.values()
]
figure = plots.image_grid(torch.cat(large), ncols=8)
assert len(caught) == 2 and all(maps.min() == 0 for maps in caught.values())

# %%
# .. _one-sample:
#
# One sample or many
# ------------------
#
# Most layers take a single sample, too, without the batch axis. Batch normalization does not, nor
# does a network that flattens from axis 1, which in a single image is another axis.

print(
    "Conv2d:",
    tuple(nn.Conv2d(1, 6, 5)(image[0]).shape),
    " Linear:",
    tuple(layer(x[0]).shape),
)
refused(ValueError, lambda: nn.BatchNorm2d(1)(image[0]))
refused(RuntimeError, lambda: reader(image[0]))

# %%
# The trap is a recurrent layer. ``nn.LSTM`` reads sequences, and wants the *steps* on axis 0 and
# the batch on axis 1. Give it eight images, each a sequence of 28 rows: the shapes fit, whatever it
# takes them for. Erase one image at a time, and see which outputs change.
#
# .. alt:: Two grids of eight by eight. Left: erasing an image changes its own output and those of
#    all images after it. Right, with the batch first: its own only.

rows = val[0][:8, 0]  # (8, 28, 28): images, rows, pixels
fig, axes = plt.subplots(
    1, 2, figsize=(6.4, 3.2), sharey=True, layout="constrained"
)
changed = []
for ax, batch_first in zip(axes, (False, True), strict=True):
    lstm = nn.LSTM(28, 16, batch_first=batch_first)
    change = torch.zeros(8, 8)
    for i in range(8):
        erased = rows * (torch.arange(8) != i)[:, None, None]
        change[i] = (
            (lstm(erased)[0] - lstm(rows)[0]).detach().abs().amax((1, 2))
        )
    changed.append((change > 1e-6).sum().item())
    ax.imshow(change.numpy(), cmap="cividis", vmin=0)
    ax.set(
        title=f"batch_first={batch_first}",
        xlabel="output of image",
        ylabel="image erased",
    )
    print(f"batch_first={batch_first}: {changed[-1]} of 64 changed")
assert changed == [36, 8]

# %%
# By default the eight images were eight steps, and each output knew all images before it. A model
# like that trains, and no error ever tells you.
#
# What you learned
# ----------------
#
# - Subclass ``nn.Module``, begin with ``super().__init__()``, and call the module, not ``forward``.
# - Store parameters, buffers and modules as attributes, and several modules in a ``ModuleList``.
# - Count parameters by hand, and hang a forward hook on a layer to see what it puts out.
# - Know which axis a layer takes for the batch: a wrong one may fit.
#
# Exercises
# ---------
#
# 1. **Predict.** With ``shared = nn.Linear(64, 64)``, how many parameters does each of these have:
#    ``nn.Sequential(shared, nn.ReLU(), shared)``, ``nn.Conv2d(8, 8, 5, bias=False)``,
#    ``nn.BatchNorm2d(8)`` and ``nn.ReLU()``? How many entries does the state dict of the first
#    have?
# 2. **Change.** What a forward hook returns takes the place of the output. Switch off the eight
#    channels of the second convolution, one at a time. Are there any that the network does not
#    miss?
# 3. **Extend.** Write a function that searches a model for modules and parameters in plain lists,
#    and says where they are.

# %%
# .. answer:: 1
#
#    4,160, since ``parameters()`` gives each parameter once, however often it is used; 1,600; 16, a
#    weight and a bias for each channel; none. The state dict names each place, so it has 4 entries.

shared = nn.Linear(64, 64)
twice = nn.Sequential(shared, nn.ReLU(), shared)
for module in (
    twice,
    nn.Conv2d(8, 8, 5, bias=False),
    nn.BatchNorm2d(8),
    nn.ReLU(),
):
    print(type(module).__name__, sum(p.numel() for p in module.parameters()))
print(list(twice.state_dict()))
assert (
    sum(p.numel() for p in twice.parameters()) == 64 * 64 + 64
    and len(twice.state_dict()) == 4
)

# %%
# .. answer:: 2
#
#    The network can do without some of them, and not without others.


def without(channel):
    def erase(module, inputs, output):
        output = output.clone()
        output[:, channel] = 0
        return output

    handle = reader[4].register_forward_hook(erase)
    row = evaluate(
        reader, Batches(*val, batch_size=250), classification_step, device="cpu"
    )
    handle.remove()
    return row["accuracy"]


complete, scores = without([]), [without(channel) for channel in range(8)]
print(f"all {complete:.1%}; without one:", [f"{score:.1%}" for score in scores])
assert min(scores) < complete - 0.01 and max(scores) > complete - 0.015

# %%
# .. answer:: 3
#
#    ``vars`` gives the attributes of an object. What is registered lies in dictionaries of the
#    module itself, whose names begin with an underscore.


def hidden(model):
    places = []
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            plain = attribute[0] != "_" and isinstance(
                value, list | tuple | dict
            )
            items = value.values() if isinstance(value, dict) else value
            if plain and any(
                isinstance(item, nn.Module | nn.Parameter) for item in items
            ):
                places.append(f"{name}.{attribute}".strip("."))
    return places


print(hidden(models["list"]), hidden(models["ModuleList"]), hidden(reader))
assert hidden(models["list"]) == ["hidden"] and not hidden(models["ModuleList"])

# %%
# Next
# ----
#
# :doc:`/lessons/networks/02_layers`: what the layers themselves compute.
