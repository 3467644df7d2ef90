"""
Hooks: intermediate results
===========================

How do I see what a layer inside a network computes, without rewriting the
network?

A model returns its last result and nothing else. But if its answers are wrong,
you want to know what happened in the layers before. And a trained network often
computes something useful on the way to its answer. You could put a ``print``
into ``forward``. But the network may come from somebody else, or it may be a
``Sequential``, whose ``forward`` you did not write.

After this lesson you can

- get the output of any layer with a forward hook, and take the hook away again
- catch the outputs of all layers in one run, and see what training has changed
- see from inside whether a network has taken your image for a batch
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
# Three numbers in the middle
# ---------------------------
# We begin with the small network of :doc:`/lessons/networks/01_module`, as a
# ``Sequential`` and with the same weights. It has two inputs, three hidden
# numbers and one output. ``toy[0]`` is its first layer, ``toy[1]`` the second,
# and ``toy[2]`` the third.

toy = nn.Sequential(
    nn.Linear(2, 3),
    nn.ReLU(),
    nn.Linear(3, 1),
)
with torch.no_grad():
    toy[0].weight.copy_(torch.tensor([[1.0, 1], [2, -2], [-1, 1]]))
    toy[0].bias.copy_(torch.tensor([0.0, 1, 1]))
    toy[2].weight.copy_(torch.tensor([[2.0, 5, -1]]))
    toy[2].bias.copy_(torch.tensor([0.5]))

x = torch.tensor([[1.0, 2.0]])  # (1, 2), one row
print(toy(x))

# %%
# The answer is 4.5. What did the layers compute on the way to it? By hand, the
# first layer gives 1 + 2 = 3, then 2 − 4 + 1 = −1, and −1 + 2 + 1 = 2.
# ``ReLU`` turns the negative number into 0, so 3, 0 and 2 go into the last
# layer. The network has computed these three numbers, too, but it did not show
# them.
#
# A hook
# ------
# A :term:`forward hook` is a function that a module calls each time its
# ``forward`` has computed an output. You write the function, and
# :meth:`~torch.nn.Module.register_forward_hook` tells the module about it. The
# function gets three arguments: the module itself, its inputs as a tuple (those
# passed by position), and its output. Ours is called ``catch`` and puts the
# output into a list.

caught = []


def catch(module, inputs, output):
    caught.append(output.detach())


handle = toy[1].register_forward_hook(catch)
answer = toy(x)
print("answer:", answer.item())
print("caught:", caught)

# %%
# These are the three numbers. The answer is still 4.5, because ``catch``
# returns nothing, and then the output goes on unchanged. ``detach`` takes the
# numbers without their graph, for a reason that comes under *What goes wrong*.
# The figure shows the whole way of the numbers, and where the hook is.
#
# .. alt:: Three boxes in a row, Linear, ReLU and Linear, with arrows between
#    them. The numbers 1 and 2 go in, then 3, −1 and 2 go on, then 3, 0 and 2,
#    and 4.5 comes out. From the arrow after ReLU, another arrow leads up to a
#    box with the name catch.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(6.4, 2.2), layout="constrained")
for i, name in enumerate(["toy[0]\nLinear", "toy[1]\nReLU", "toy[2]\nLinear"]):
    box = plt.Rectangle(
        (2 * i, 0), 1, 1, facecolor="#56B4E966", edgecolor="0.3"
    )
    axis.add_patch(box)
    axis.text(2 * i + 0.5, 0.5, name, ha="center", va="center")
for i, numbers in enumerate(["1, 2", "3, −1, 2", "3, 0, 2", "4.5"]):
    start = 2 * i - 1
    arrow = {"arrowstyle": "->", "color": "0.3"}
    axis.annotate("", (start + 1, 0.5), (start, 0.5), arrowprops=arrow)
    axis.text(start + 0.5, 0.25, numbers, ha="center", va="center")
hook = {"arrowstyle": "->", "color": "#D55E00", "linewidth": 2}
axis.annotate("", (3.5, 1.45), (3.5, 0.5), arrowprops=hook)
box = plt.Rectangle(
    (3, 1.45), 1, 0.6, facecolor="#E69F0066", edgecolor="#D55E00"
)
axis.add_patch(box)
axis.text(3.5, 1.75, "catch", ha="center", va="center")
axis.set(xlim=(-1.1, 6.1), ylim=(-0.1, 2.15))
axis.set_axis_off()

# %%
# The hook stays on the layer until you take it away. For this,
# ``register_forward_hook`` has returned a *handle*, which has a method
# ``remove``. The handle also works with ``with``: at the end of the block the
# hook is removed, even after an error.

handle.remove()
toy(x)
print("after remove:", len(caught))

with toy[1].register_forward_hook(catch):
    toy(x)
    toy[1].forward(torch.ones(1, 3))  # not a call of the module
print("after with:", len(caught))
toy(x)
print("later:", len(caught))

# %%
# Inside ``with``, ``toy(x)`` added one result to the first one. The line below
# it added none. **A module calls its hooks when you call the module.** If you
# call ``forward`` yourself, you go past the hooks of this module. That is one
# more reason to write ``model(x)`` and not ``model.forward(x)``.
#
# (There are other kinds of hooks, such as ``register_forward_pre_hook``, which
# is called before ``forward``. :class:`torch.nn.Module` lists them.)

# %%
# .. check::

assert toy(x).item() == 4.5, "the answer is 4.5"
assert caught[0].tolist() == [[3, 0, 2]], "3, 0 and 2 after ReLU"
assert answer.item() == 4.5, "the hook does not change the answer"
assert len(caught) == 2, "one before remove, and one inside with"

# %%
# Several layers in one run
# -------------------------
# At work you will want a function that you can use again. ``outputs_of`` takes
# a model, a list of its layers, and a batch. It runs the model once and returns
# the outputs in the order of the list. The hook is defined inside the function,
# so that it can fill the dictionary there. The part after ``finally`` runs in
# any case, so the hooks are removed even if the model raises an error.


def outputs_of(model, layers, x):
    outputs = {}

    def keep(module, inputs, output):
        outputs[module] = output.detach()

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return [outputs[layer] for layer in layers]


first, activated = outputs_of(toy, [toy[0], toy[1]], x)
print("toy[0]:", first)
print("toy[1]:", activated)

# %%
# Here you see the −1 before ``ReLU``, and the 0 after it. One hook serves both
# layers, because it is told which module has called it. (``outputs_of`` expects
# layers that return one tensor, as all of ours do. Of a layer that is called
# several times, like the ReLU of ``Deep`` in the last lesson, it keeps the last
# output only.)
#
# In a class of your own, the layers are attributes, so you write
# ``model.hidden`` and not ``model[0]``. What is not a module has no hooks, for
# example a call of ``torch.relu`` in ``forward``. Then take the layer that
# comes next. Its hook gets the same numbers in ``inputs[0]``.

# %%
# .. check::

assert first.tolist() == [[3, -1, 2]], "before ReLU there is a -1"
assert activated.tolist() == [[3, 0, 2]], "after ReLU it is 0"

# %%
# On real data
# ------------
# Now a network with two hidden layers for the digits. It learns from 8,000
# images, and 2,000 are kept back. ``nn.Flatten`` is ``flatten(1)`` as a layer.

train_set, _ = datasets.mnist()
x_train = train_set.x[:8000]  # (8000, 1, 28, 28)
y_train = train_set.y[:8000]
x_val = train_set.x[8000:]  # (2000, 1, 28, 28)
y_val = train_set.y[8000:]


def make_network():
    return nn.Sequential(
        nn.Flatten(),  # (N, 784)
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),  # (N, 64)
        nn.Linear(64, 10),
    )


# %%
# ``learn`` makes such a network and trains it with the loop of the last two
# lessons. The seed decides on the first weights and on the order of the images.
# With ``epochs=0``, the network keeps its first weights.


def learn(seed, epochs=3):
    torch.manual_seed(seed)
    model = make_network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    batches = Batches(x_train, y_train, batch_size=50, shuffle=True, seed=seed)
    for _ in range(epochs):
        for x, y in batches:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


# %%
# What do the layers contribute to the answer? Here is one way to measure it.
# The output of a layer is a row of numbers for each image, so we can compute
# the distance between two images. If they show the same digit, it should be
# small, and if they show different digits, large. ``distance_ratio`` divides
# the mean distance of the first kind by that of the second. At 1, the layer
# does not separate the digits at all, and at 0 all images of one digit would be
# equal. (:func:`torch.cdist` computes the distance of each of the first 1,000
# images to each of the others.)


def distance_ratio(output):
    distances = torch.cdist(output[:1000], output[1000:])  # (1000, 1000)
    same = y_val[:1000].unsqueeze(1) == y_val[1000:]  # (1000, 1000)
    return (distances[same].mean() / distances[~same].mean()).item()


reader = learn(seed=0)
outputs = outputs_of(reader, reader, x_val)
for layer, output in zip(reader, outputs, strict=True):
    print(f"{distance_ratio(output):.2f} {tuple(output.shape)} {layer}")
right = (outputs[-1].argmax(dim=1) == y_val).float().mean()
print(f"right answers: {right:.1%}")

# %%
# You can go through a ``Sequential`` as through a list of layers, so
# ``outputs_of`` has caught all six outputs in one run. ``Flatten`` passes on
# the pixels, and with them the ratio is 0.87, so two images of the same digit
# are not much closer than two images of different digits. Each ``Linear`` layer
# makes the ratio smaller, and in the end it is 0.46. The 64 numbers before the
# last layer are often called the *features* of an image, because they are all
# that the last layer sees of it.
#
# Did training do this? We compare five networks with the same networks before
# training.

before = []
after = []
for seed in range(5):
    for epochs, lines in [(0, before), (3, after)]:
        network = learn(seed, epochs)
        outputs = outputs_of(network, network, x_val)
        lines.append([distance_ratio(output) for output in outputs])
print("scores, before:", [f"{line[-1]:.2f}" for line in before])
print("scores, after: ", [f"{line[-1]:.2f}" for line in after])

# %%
# In the figure, each network has one line from before its training and one from
# after it.
#
# .. alt:: The distance ratio after each of the six layers. Before training, all
#    lines stay near 0.9. After training, all five fall, from 0.87 for the
#    pixels to about 0.46 for the scores, with a drop at each linear layer.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for line in before:
    axis.plot(range(6), line, "s--", color="C1", label="before training")
for line in after:
    axis.plot(range(6), line, "o-", color="C0", label="after training")
layer_names = [f"[{i}]\n{type(reader[i]).__name__}" for i in range(6)]
axis.set_xticks(range(6), layer_names)
axis.set(xlabel="output of layer", ylabel="distance ratio", ylim=(0, 1))
handles, names = axis.get_legend_handles_labels()
axis.legend(handles[::5], names[::5])

# %%
# Before training, the ratio stays near 0.9 from the first layer to the last. So
# it was training that made the layers bring the images of one digit together.
# We have seen this without changing a line of the networks.
# (:doc:`/lessons/advanced/03_feature_maps` draws what hooks have caught.)

# %%
# .. check::

assert right > 0.9, "more than nine of ten answers are right"
assert [f"{line[0]:.2f}" for line in after] == 5 * ["0.87"], "the pixels"
assert max([line[-1] for line in after]) < 0.52, "about 0.46 for the scores"
assert min([line[-1] for line in after]) > 0.40, "about 0.46 for the scores"
assert min([min(line) for line in before]) > 0.84, "near 0.9 before training"
assert max([max(line) for line in before]) < 0.95, "near 0.9 before training"
assert max([line[1] - line[0] for line in after]) < 0, "a drop at layer 1"
assert max([line[3] - line[2] for line in after]) < 0, "a drop at layer 3"
assert max([line[5] - line[4] for line in after]) < 0, "a drop at layer 5"

# %%
# What goes wrong
# ---------------
# **Hooks pile up.** The loop below registers a hook in each round and throws
# the handle away. How many outputs will be caught in each round?

spoiled = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
for i in range(1, 4):
    caught.clear()
    spoiled[1].register_forward_hook(catch)  # and never removed
    spoiled(x)
    print(f"round {i}: {len(caught)} caught")

# %%
# .. check::

assert len(caught) == 3, "in the third round, three hooks catch the output"

# %%
# Each round adds one more hook, and all of them put the output into the list:
# 1, 2, 3. Nothing warns you. The same happens in a notebook, when you run a
# cell that registers a hook a second time. Without the handles there is no
# official way to take these hooks away, so make the network anew. If you
# register the hook in ``with``, each round catches one output:

for i in range(1, 4):
    caught.clear()
    with toy[1].register_forward_hook(catch):  # new
        toy(x)
    print(f"round {i}: {len(caught)} caught")

# %%
# **Outputs keep their graph.** Without ``detach``, an output holds the graph
# that has computed it, and with it the numbers that the :term:`backward pass`
# would need. If you collect such outputs, every batch takes more memory, as
# :doc:`/lessons/autograd/05_graph_memory` has shown. Under ``no_grad`` there is
# no graph, but a hook may also be called in training, so write ``detach`` in
# any case.
#
# (``detach`` does not copy. If a later layer changes the same numbers in place,
# as ``nn.ReLU(inplace=True)`` does, keep ``output.detach().clone()``.)

# %%
# .. check::

assert len(caught) == 1, "with the block, each round catches one output"

# %%
# .. _one-sample:
#
# One sample or many
# ------------------
# Hooks also show shapes. What happens if you give a network one image and not a
# batch? Most layers accept that. For example, ``nn.Linear(784, 128)`` turns the
# shape (784,) into (128,):


def show_shapes(module, inputs, output):
    print(tuple(inputs[0].shape), "->", tuple(output.shape))


image = x_val[0]  # (1, 28, 28): one channel, 28 rows, 28 columns
with reader[1].register_forward_hook(show_shapes):
    reader[1](image.flatten())

# %%
# But our network begins with ``nn.Flatten``, which keeps axis 0 for the batch
# and flattens the others. Put the hook on this layer, and try five inputs. (The
# last one ends in an error, and we print its message.)

photo = torch.rand(3, 28, 28)  # in colour: red, green and blue
message = ""
with reader[0].register_forward_hook(show_shapes):
    reader(x_val[:8])  # a batch of eight
    reader(x_val[:8, 0])  # eight images without the axis of the channels
    reader(image)  # one image
    photo_answers = reader(photo)
    try:
        reader(image[0])  # one image without the axis of the channel
    except RuntimeError as error:
        message = str(error)
print(message)
print("answers for the photo:", len(photo_answers))

# %%
# The two batches are treated as they should be: eight rows of 784 numbers. The
# single image is right by luck. ``Flatten`` takes axis 0, the channel, for the
# batch, and a grey image has one channel. With the photo the luck ends: its
# three channels are taken for three images, so there are three answers, and no
# error. In the last case, the 28 rows are taken for 28 images of 28
# numbers. ``Flatten`` has worked, as the hook shows, and it is the ``Linear``
# layer after it that complains, because it needs 784.
#
# The right way is a batch of one image. ``image[None]`` puts a new axis in
# front, just like ``image.unsqueeze(0)``. We do the same with the photo:

with reader[0].register_forward_hook(show_shapes):
    answer = reader(image[None])
    try:
        reader(photo[None])
    except RuntimeError as error:
        message = str(error)
print(message)
print("answers for the image:", len(answer))

# %%
# The image gets its one answer. The photo now has 3 · 28 · 28 = 2,352 numbers,
# and the network refuses it. This is what you want: an error instead of three
# wrong answers. (Other layers have other rules. ``nn.BatchNorm2d`` refuses a
# single image, and ``nn.LSTM`` takes axis 0 for time unless you say
# ``batch_first=True``. Both come later.)

# %%
# .. check::

assert reader[1](image.flatten()).shape == (128,), "Linear takes one sample"
assert reader[0](x_val[:8]).shape == (8, 784), "eight images"
assert reader[0](x_val[:8, 0]).shape == (8, 784), "eight without channels"
assert reader[0](image).shape == (1, 784), "one image fits by luck"
assert photo_answers.shape == (3, 10), "three answers for one photo"
assert reader[0](image[0]).shape == (28, 28), "the rows as a batch"
assert "1x2352" in message, "the photo has 2,352 numbers"
assert answer.shape == (1, 10), "one answer"

# %%
# Recipe
# ------
# The features of many examples, batch by batch. Put your own network, layer and
# data in place of these. (With dropout or batch normalization, which come
# later, call ``model.eval()`` first.)

import torch
from torch import nn

model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
layer = model[1]  # the layer whose output you want
data = torch.randn(500, 20)
parts = []


def catch(module, inputs, output):
    parts.append(output.detach())


with layer.register_forward_hook(catch), torch.no_grad():
    for batch in data.chunk(5):
        model(batch)
features = torch.cat(parts)
print(tuple(features.shape))

# %%
# .. check::

assert features.shape == (500, 64), "64 features for each example"
assert torch.allclose(features, torch.relu(model[0](data)), atol=1e-6), (
    "the outputs of the layer, in the order of the data"
)

# %%
# What you learned
# ----------------
# - A forward hook is a function ``hook(module, inputs, output)`` that a module
#   calls after its ``forward``.
# - Register it in ``with``, or keep the handle and call ``remove``. Otherwise
#   the hooks pile up.
# - Keep ``output.detach()``, because an output holds its graph.
# - Call ``model(x)``. ``forward`` alone goes past the hooks.
# - ``Flatten`` takes axis 0 for the batch. Make one image a batch with
#   ``image[None]``.
#
# Exercises
# ---------
# 1. **Predict.** Register one hook on ``toy``, one on ``toy[2]`` and one on
#    ``toy[0]``, in this order, and call ``toy`` with the inputs 0 and 1. Each
#    hook prints the class of its module and the output. What is printed, and in
#    which order?
# 2. **Change.** What a hook *returns* takes the place of the output. Switch
#    off one of the 64 features of ``reader``, the outputs of ``reader[4]``, so
#    that it is 0 for each image. Do this with each of the 64 in turn. How much
#    accuracy is lost at most?
# 3. **Extend.** Write a function that runs a model and returns, for each layer,
#    its name and the shape of its output. ``model.named_modules()`` gives names
#    and modules, those of the model itself and of all that it contains. Compare
#    with ``handbook.summary``.

# %%
# .. answer:: 1
#
#    The order in which the hooks were registered does not matter, because each
#    belongs to another module. ``toy[0]`` is called first, and ``toy`` ends
#    last, when all of its layers are done. The first layer gives 1, −1 and 2.
#    The answer is 2 · 1 + 5 · 0 − 1 · 2 + 0.5 = 0.5. It is printed twice,
#    because the output of the last layer is the output of ``toy``.

order = []


def show(module, inputs, output):
    order.append(type(module).__name__)
    print(type(module).__name__, output.tolist())


inputs = torch.tensor([[0.0, 1.0]])
handles = [each.register_forward_hook(show) for each in [toy, toy[2], toy[0]]]
result = toy(inputs)
for handle in handles:
    handle.remove()

# %%
# .. check::

assert order == ["Linear", "Linear", "Sequential"], "the model ends last"
assert toy[0](inputs).tolist() == [[1, -1, 2]], "1, −1 and 2"
assert result.item() == 0.5, "2 + 0 − 2 + 0.5"

# %%
# .. answer:: 2
#
#    The hook copies the output, sets one column to 0 and returns the copy. No
#    single feature decides. Even the one that is missed most costs only a few
#    answers in a hundred. (If the smallest loss is negative, a few more answers
#    are right without that feature.)


class SwitchOff:
    def __init__(self, unit):
        self.unit = unit

    def hook(self, module, inputs, output):
        output = output.clone()
        output[:, self.unit] = 0
        return output


def accuracy(model):
    with torch.no_grad():
        return (model(x_val).argmax(dim=1) == y_val).float().mean()


complete = accuracy(reader)
without = []
for unit in range(64):
    with reader[4].register_forward_hook(SwitchOff(unit).hook):
        without.append(accuracy(reader))
lost = complete - torch.stack(without)
print(f"complete: {complete:.1%}")
print(f"lost at most {lost.amax():.1%}, at least {lost.amin():.1%}")

# %%
# .. check::

assert accuracy(reader) == complete, "the hooks are gone"
assert 0 < lost.amax() < 0.05, "only a few answers in a hundred"

# %%
# .. answer:: 3
#
#    The hook gets the module, not its name, so a dictionary says which name
#    belongs to it. The model itself has the empty name, and we leave it out.


def show_layers(model, x):
    names = {}
    rows = []

    def note(module, inputs, output):
        rows.append((names[module], tuple(output.shape)))

    handles = []
    for name, module in model.named_modules():
        if name:
            names[module] = name
            handles.append(module.register_forward_hook(note))
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return rows


rows = show_layers(reader, x_val[:8])
for name, shape in rows:
    print(f"{name:3} {shape}")
print(summary(reader, x_val[:8]))

# %%
# .. check::

assert rows == [(row.name, row.output) for row in summary(reader, x_val[:8])], (
    "the same names and shapes"
)

# %%
# .. earlier::
#
#    Older notes say that a forward hook must not return anything. Since PyTorch
#    1.2, what it returns takes the place of the output.
