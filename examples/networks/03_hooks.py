"""
Hooks: intermediate results
===========================

How do I see what a layer inside a network computes, without rewriting the
network?

A model returns its last result and nothing else. But if its answers are wrong,
you want to know what happened in the layers before. You could put a ``print``
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
# layer. The network has computed them, but it did not show them.
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
# The figure shows where the hook is.
#
# .. alt:: Three boxes in a row, Linear, ReLU and Linear, with arrows between
#    them. The numbers 1 and 2 go in, then 3, −1 and 2 go on, then 3, 0 and 2,
#    and 4.5 comes out. From the box ReLU, an orange arrow with the numbers 3, 0
#    and 2 leads up to a box with the name catch.

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
axis.annotate("", (2.5, 1.55), (2.5, 1), arrowprops=hook)
axis.text(2.62, 1.27, "3, 0, 2", va="center")
box = plt.Rectangle(
    (2, 1.55), 1, 0.55, facecolor="#E69F0066", edgecolor="#D55E00"
)
axis.add_patch(box)
axis.text(2.5, 1.82, "catch", ha="center", va="center")
axis.set(xlim=(-1.1, 6.1), ylim=(-0.1, 2.2))
axis.set_axis_off()

# %%
# The hook stays on the layer until you take it away. For this,
# ``register_forward_hook`` has returned a *handle*, which has a method
# ``remove``. The handle also works with ``with``, which removes the hook at the
# end of the block.

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
# call ``forward`` yourself, you go past them. That is one more reason to write
# ``model(x)`` and not ``model.forward(x)``.
#
# (``register_forward_pre_hook`` is for a function that is called before
# ``forward``, and ``register_full_backward_hook`` for one that gets gradients.
# Register hooks before ``torch.compile``, because a compiled model may not call
# those that come later.)

# %%
# .. check::

assert toy(x).item() == 4.5, "the answer is 4.5"
assert caught[0].tolist() == [[3, 0, 2]], "3, 0 and 2 after ReLU"
assert answer.item() == 4.5, "the hook does not change the answer"
assert len(caught) == 2, "one before remove, and one inside with"

# %%
# Several layers in one run
# -------------------------
# ``outputs_of`` takes a model, a list of its layers, and a batch. It runs the
# model once and returns the outputs of these layers. The hook is defined inside
# the function, so that it can fill the dictionary there. A module can be the
# key of a dictionary, so each output is kept under its layer. The part after
# ``finally`` runs in any case, even after an error, and it removes the hooks.


def outputs_of(model, layers, x):
    outputs = {}

    def keep(module, inputs, output):
        outputs[module] = output.detach()

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        with torch.no_grad():
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
# layers, because it is told which module has called it. (Each layer must return
# one tensor. Of a layer that is called several times, only the last output is
# kept. With dropout or batch normalization, which come later, call
# ``model.eval()`` first.)
#
# In a class of your own, the layers are attributes, so you write
# ``model.hidden`` and not ``model[0]``. Only a module has hooks. For a function
# such as ``torch.relu`` in ``forward``, take ``inputs[0]`` of the layer that
# uses its result, or the output of the model itself if no layer follows.

# %%
# .. check::

assert first.tolist() == [[3, -1, 2]], "before ReLU there is a -1"
assert activated.tolist() == [[3, 0, 2]], "after ReLU it is 0"

# %%
# On real data
# ------------
# Now a network with two hidden layers for the digits, 8,000 images to learn
# from, and 2,000 that are kept back. ``nn.Flatten`` is ``flatten(1)`` as a
# layer, and ``list`` gives the layers of a ``Sequential``.

train_set, _ = datasets.mnist()
x_train = train_set.x[:8000]  # (8000, 1, 28, 28)
y_train = train_set.y[:8000]
x_val = train_set.x[8000:]  # (2000, 1, 28, 28)
y_val = train_set.y[8000:]

reader = nn.Sequential(
    nn.Flatten(),  # (N, 784)
    nn.Linear(784, 128),
    nn.ReLU(),
    nn.Linear(128, 64),
    nn.ReLU(),  # (N, 64)
    nn.Linear(64, 10),
)
layers = list(reader)

# %%
# How does training change what the layers compute? The output of a layer is a
# row of numbers for each image, so two images have a distance. (Square the
# differences of the two rows, add them, and take the root. :func:`torch.cdist`
# does this for each row of one tensor with each row of another.) Two images of
# a 6 should be close to each other and far from other digits.
# ``distance_ratio`` divides the mean distance of two such images by that of a 6
# and another digit.


def distance_ratio(output):
    sixes = output[y_val == 6]  # one row for each image of a 6
    others = output[y_val != 6]
    to_sixes = torch.cdist(sixes[:100], sixes[100:]).mean()
    to_others = torch.cdist(sixes, others).mean()
    return (to_sixes / to_others).item()


before = [distance_ratio(out) for out in outputs_of(reader, layers, x_val)]
print("before:", [f"{ratio:.2f}" for ratio in before])

# %%
# The first ratio belongs to ``Flatten``, which passes on the pixels. Near 1,
# the images of a 6 are on average no closer to each other than to other digits.
# (A layer may still tell them apart by a few of its numbers.) Near 0, all of
# them would be almost equal. Before training, all layers stay above 0.8.
#
# Now we train with the loop of the last two lessons and look again.

optimizer = torch.optim.SGD(reader.parameters(), lr=0.2)
batches = Batches(x_train, y_train, batch_size=50, shuffle=True)
for _ in range(3):
    for images, labels in batches:
        loss = cross_entropy(reader(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

outputs = outputs_of(reader, layers, x_val)
after = [distance_ratio(output) for output in outputs]
print("after: ", [f"{ratio:.2f}" for ratio in after])
right = (outputs[-1].argmax(dim=1) == y_val).float().mean()
print(f"right answers: {right:.1%}")

# %%
# The figure shows both rows of ratios.
#
# .. alt:: The distance ratio of the images of a 6 after each layer. Before
#    training, the line stays above 0.8. After training, it falls from 0.86 for
#    the pixels to less than 0.5 for the scores, with a drop at each linear
#    layer.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
axis.plot(before, "s--", color="C1", label="before training")
axis.plot(after, "o-", color="C0", label="after training")
names = [f"[{i}]\n{type(layer).__name__}" for i, layer in enumerate(layers)]
axis.set_xticks(range(6), names)
axis.set(xlabel="output of layer", ylabel="distance ratio", ylim=(0, 1.05))
axis.legend()

# %%
# After training, the ratio falls from 0.86 for the pixels to less than 0.5 for
# the scores, and each ``Linear`` layer makes it smaller. So in this network,
# training made the layers bring the images of a 6 together. We have seen this
# without changing a line of the network.
#
# The 64 numbers before the last layer are often called the *features* of an
# image, because the last layer sees nothing else of it.
# (:doc:`/lessons/advanced/03_feature_maps` draws what hooks have caught. The
# function ``create_feature_extractor`` of torchvision makes a network that
# returns the outputs of layers that you name.)

# %%
# .. check::

assert right > 0.88, "the network reads most digits"
assert f"{before[0]:.2f}" == "0.86", "the pixels before training"
assert f"{after[0]:.2f}" == "0.86", "and the same pixels after it"
assert min(before) > 0.8, "above 0.8 before training"
assert after[-1] < 0.5, "less than 0.5 for the scores"
assert after[1] < after[0], "a drop at the first linear layer"
assert after[3] < after[2], "a drop at the second"
assert after[5] < after[4], "a drop at the third"

# %%
# What goes wrong
# ---------------
# **Hooks pile up.** The loop below registers the hook three times and throws
# the handle away. How many outputs does each of the three calls catch?

spoiled = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
piled_up = []
for _ in range(3):
    caught.clear()
    spoiled[1].register_forward_hook(catch)  # and never removed
    spoiled(x)
    piled_up.append(len(caught))
print("without remove:", piled_up)

# %%
# Each time there is one more hook, and nothing warns you. The same happens in a
# notebook when you run a cell that registers a hook a second time. If you use
# ``with``, each call catches one output:

one_each = []
for _ in range(3):
    caught.clear()
    with toy[1].register_forward_hook(catch):  # new
        toy(x)
    one_each.append(len(caught))
print("with:", one_each)

# %%
# Without the handles there is no official way to take the hooks away, and
# ``deepcopy`` copies them, too. To keep what the network has learned, make a
# new one and load the weights of the old one into it, as
# :doc:`/lessons/networks/08_save_load` shows.
#
# **Outputs keep their graph.** Without ``detach``, an output holds the graph
# that has computed it, and if you collect such outputs, every batch takes more
# memory, as :doc:`/lessons/autograd/05_graph_memory` has shown. Under
# ``no_grad`` there is no graph, but a hook may also be called in training, so
# write ``detach`` in any case. (It does not copy. If the next layer works in
# place, such as ``nn.ReLU(inplace=True)``, keep ``output.detach().clone()``.)

# %%
# .. check::

assert piled_up == [1, 2, 3], "each time there is one more hook"
assert one_each == [1, 1, 1], "with the block, each call catches one output"

# %%
# .. _one-sample:
#
# One sample or many
# ------------------
# Hooks also show shapes. What happens if you give a network one image and not a
# batch? Ours begins with ``nn.Flatten``, which keeps axis 0 for the batch. We
# put a hook on this layer, and try a digit and a colour photo:

shapes = []


def show_shapes(module, inputs, output):
    shapes.append(tuple(output.shape))
    print(tuple(inputs[0].shape), "->", tuple(output.shape))


image = x_val[0]  # (1, 28, 28): one channel, 28 rows, 28 columns
photo = torch.rand(3, 28, 28)  # in colour: red, green and blue
with reader[0].register_forward_hook(show_shapes):
    image_answers = reader(image)
    photo_answers = reader(photo)
print("answers for the image:", len(image_answers))
print("answers for the photo:", len(photo_answers))

# %%
# ``Flatten`` takes axis 0, the channel, for the batch. The digit is right by
# luck, because a grey image has one channel. But the three channels of the
# photo are taken for three images, so there are three answers, and no error.
#
# The right way is a batch of one image. ``image[None]`` puts a new axis in
# front, just like ``image.unsqueeze(0)``.

message = ""
try:
    with reader[0].register_forward_hook(show_shapes):
        reader(image[None])
        reader(photo[None])
except RuntimeError as error:
    message = str(error)
print(message)
answer = reader(image[None])
print("answers for the image:", len(answer))

# %%
# The photo now has 3 · 28 · 28 = 2,352 numbers, and the first ``Linear`` layer
# refuses them. This is what you want: an error instead of three wrong answers.
# (The last call printed no shapes, so ``with`` has removed the hook although
# there was an error. Other layers have other rules. For example,
# ``nn.BatchNorm2d``, which comes later, refuses an image without the batch
# axis.)

# %%
# .. check::

assert shapes == [(1, 784), (3, 784), (1, 784), (1, 2352)], "as printed"
assert len(image_answers) == 1, "the digit is right by luck"
assert len(photo_answers) == 3, "three answers for one photo"
assert "1x2352" in message, "the photo has 2,352 numbers"
assert len(answer) == 1, "one answer for the image"

# %%
# Recipe
# ------
# The features of many examples, batch by batch, for your own network, layer and
# data. (With dropout or batch normalization, call ``model.eval()`` first.)

import torch
from torch import nn

model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
layer = model[1]  # the layer whose output you want
data = torch.randn(500, 20)
parts = []


def catch(module, inputs, output):
    parts.append(output.detach())


with layer.register_forward_hook(catch), torch.no_grad():  # both at once
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
# - Call ``model(x)`` and not ``model.forward(x)``, which goes past the hooks.
# - ``Flatten`` takes axis 0 for the batch. Make one image a batch with
#   ``image[None]``.
#
# Exercises
# ---------
# 1. **Predict.** Register one hook on ``toy``, one on ``toy[2]`` and one on
#    ``toy[0]``, in this order, and call ``toy`` with the inputs 0 and 1. Each
#    hook prints the class of its module and the output. What is printed?
# 2. **Change.** What a hook *returns* takes the place of the output. Set one of
#    the 64 features of ``reader``, the outputs of ``reader[4]``, to 0 for all
#    images. Do this with each of the 64 in turn. How much accuracy is lost at
#    most?
# 3. **Extend.** Write a function that runs a model and returns the name and the
#    output shape of each layer. ``model.named_modules()`` gives the names and
#    modules, including the model itself. Compare with ``handbook.summary``.

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
#    The hook copies the output, sets one column to 0 and returns the copy. In
#    this network, no single feature decides. Even the one that is missed most
#    costs fewer than three answers in a hundred. (If the smallest loss is
#    negative, a few more answers are right without that feature.)


def accuracy():
    with torch.no_grad():
        return (reader(x_val).argmax(dim=1) == y_val).float().mean()


def accuracy_without(unit):
    def switch_off(module, inputs, output):
        output = output.clone()
        output[:, unit] = 0
        return output

    with reader[4].register_forward_hook(switch_off):
        return accuracy()


complete = accuracy()
without = [accuracy_without(unit) for unit in range(64)]
lost = complete - torch.stack(without)
print(f"complete: {complete:.1%}")
print(f"lost at most {lost.amax():.1%}, at least {lost.amin():.1%}")

# %%
# .. check::

assert 0 < lost.amax() < 0.03, "fewer than three answers in a hundred"

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
