"""
``nn.Module``: ``__init__`` and ``forward``
===========================================

How do you write a network as a class, so that PyTorch finds all that has to
learn?

So far, a single ``nn.Linear`` was the whole model. A network has several
layers, and each of them has numbers that training must change. If you keep the
list of these numbers yourself, sooner or later one of them is missing, and
nothing tells you. PyTorch keeps the list for you if you write the network as a
class of a certain form. Nearly all PyTorch code has this form.

After this lesson you can

- write a network as a class, or as a chain of layers, and use it
- count its parameters by hand, and let the network count them
- recognize a layer that is made anew in every call and therefore never learns
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import Batches, datasets, plots

torch.manual_seed(0)

# %%
# Version 1: a function
# ---------------------
# We write one small network four times, each time with the same output. It
# computes three numbers from two, and from these three the output. Here is one
# input row, and the weights and biases of the two layers:

x = torch.tensor([[1.0, 2.0]])  # (1, 2), one row
w1 = torch.tensor([[1.0, 1.0], [2.0, -2.0], [-1.0, 1.0]])  # (3, 2)
b1 = torch.tensor([0.0, 1.0, 1.0])  # (3,)
w2 = torch.tensor([[2.0, 5.0, -1.0]])  # (1, 3)
b2 = torch.tensor([0.5])  # (1,)

sums = x @ w1.T + b1  # (1, 3)
clamped = sums.clamp(min=0)  # negative numbers become 0
result = clamped @ w2.T + b2  # (1, 1)
print("sums:   ", sums)
print("clamped:", clamped)
print("result: ", result)

# %%
# Each of the three sums has its own row of weights. They are 1 + 2 + 0 = 3,
# then 2 − 4 + 1 = −1, and −1 + 2 + 1 = 2. Before the second layer, negative
# numbers become 0. This is called *ReLU*, and a function between two layers is
# an :term:`activation function`. (Without it, the two layers could do no more
# than a single one, see exercise 3.) The result is 2 · 3 + 5 · 0 − 1 · 2 + 0.5
# = 4.5.
#
# The three numbers in the middle are a *hidden layer*, because neither input
# nor output shows them. A network of such layers is called a :term:`multilayer
# perceptron`, or MLP. In the figure, the 3 hidden numbers stand between the 2
# inputs and the 1 output.
#
# .. alt:: The network as circles and lines. On the left two inputs, 1 and 2, in
#    the middle three hidden numbers, on the right the output 4.5. Six lines
#    lead from the inputs to the hidden numbers and three from there to the
#    output. Each line carries its weight and each circle its bias. The hidden
#    sums are 3, −1 and 2, and the −1 becomes 0.

# %%
# .. drawing::


def draw_line(start, end, weight):
    axis.plot([start[0], end[0]], [start[1], end[1]], color="0.6", zorder=1)
    axis.text(
        start[0] + 0.62 * (end[0] - start[0]),
        start[1] + 0.62 * (end[1] - start[1]),
        f"{weight:g}".replace("-", "−"),
        ha="center",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def draw_circle(place, text, below, color):
    axis.plot(*place, "o", markersize=42, color=color, zorder=2)
    axis.text(*place, text, ha="center", va="center")
    axis.text(place[0], place[1] - 0.95, below, ha="center")


figure, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
inputs = [(0, 1), (0, -1)]
middle = [(2, 2), (2, 0), (2, -2)]
end = (4, 0)
for n in range(3):
    for i in range(2):
        draw_line(inputs[i], middle[n], w1[n, i].item())
    draw_line(middle[n], end, w2[0, n].item())
draw_circle(inputs[0], "1", "", "#56B4E9")
draw_circle(inputs[1], "2", "", "#56B4E9")
draw_circle(middle[0], "3", "bias 0", "#E69F00")
draw_circle(middle[1], "−1 → 0", "bias 1", "#E69F00")
draw_circle(middle[2], "2", "bias 1", "#E69F00")
draw_circle(end, "4.5", "bias 0.5", "#009E73")
for i, name in enumerate(["2 inputs", "3 hidden", "1 output"]):
    axis.text(2 * i, 2.9, name, ha="center")
axis.set(xlim=(-0.6, 4.6), ylim=(-3.2, 3.3))
axis.set_axis_off()

# %%
# As a function, this is version 1:


def forward(x):
    clamped = (x @ w1.T + b1).clamp(min=0)  # (N, 3)
    return clamped @ w2.T + b2  # (N, 1)


print(forward(x))

# %%
# To train it, you would pass all four tensors to the optimizer. With four this
# is easy. With a hundred, you would forget one.

# %%
# .. check::

assert sums.tolist() == [[3, -1, 2]], "the three sums"
assert clamped.tolist() == [[3, 0, 2]], "ReLU sets −1 to 0"
assert result.item() == 4.5, "6 + 0 − 2 + 0.5"
assert forward(x).equal(result), "the function computes the same"

# %%
# Version 2: a class
# ------------------
# In PyTorch, a network is a :term:`module`: an object of a class that is
# derived from :class:`torch.nn.Module`. You write two methods.
#
# - ``__init__`` stores what the network owns. Each tensor that has to learn is
#   wrapped in :class:`torch.nn.Parameter`.
# - ``forward`` says what the network computes. It is the function from above,
#   with ``self.`` before what the network owns.
#
# The first line of ``__init__`` is always ``super().__init__()``. It calls the
# ``__init__`` of ``nn.Module``, which prepares an empty list for the
# parameters.


class Net(nn.Module):
    def __init__(self, w1, b1, w2, b2):
        super().__init__()
        # Copies, so that training does not change the tensors outside.
        self.w1 = nn.Parameter(w1.clone())
        self.b1 = nn.Parameter(b1.clone())
        self.w2 = nn.Parameter(w2.clone())
        self.b2 = nn.Parameter(b2.clone())

    def forward(self, x):
        clamped = (x @ self.w1.T + self.b1).clamp(min=0)  # (N, 3)
        return clamped @ self.w2.T + self.b2  # (N, 1)


# %%
# You call the object like a function, and ``nn.Module`` then calls your
# ``forward``. Its method ``named_parameters()`` gives the parameters with their
# names, and ``parameters()`` gives them without. We print each shape, and
# whether the tensor requires a gradient. Then we count the numbers in all four.

net2 = Net(w1, b1, w2, b2)
print(net2(x))
for name, parameter in net2.named_parameters():
    print(name, tuple(parameter.shape), parameter.requires_grad)

by_hand = (3 * 2 + 3) + (1 * 3 + 1)
counted = sum([parameter.numel() for parameter in net2.parameters()])
print(f"by hand: {by_hand}, counted: {counted}")

# %%
# The output is 4.5 again. Now it has a ``grad_fn`` as well, because an
# ``nn.Parameter`` is a tensor that requires a gradient, unless you say
# otherwise. So autograd has recorded the calculation, and you never write a
# ``backward``. Write ``net2(x)`` and not ``net2.forward(x)``, because the call
# also runs the hooks, which are the subject of
# :doc:`/lessons/networks/03_hooks`.
#
# How did PyTorch find the four tensors? Whenever you store something as an
# attribute, as in ``self.w1 = …``, ``nn.Module`` looks at it. If it is a
# parameter, it is entered in the list, under the name of the attribute. Both
# methods go through this list and give one parameter after the other, for use
# in a loop. (If you want a list, write ``list(net2.parameters())``.) And
# ``net2.parameters()`` is what you pass to an optimizer.
#
# The two layers hold 6 + 3 and 3 + 1 numbers. People say that this network has
# 13 parameters, and mean these 13 numbers.

# %%
# .. check::

assert net2(x).equal(result), "version 2 gives the same output"
assert net2(x).grad_fn is not None, "autograd has recorded it"
assert len(list(net2.parameters())) == 4, "four tensors"
assert by_hand == 13, "by hand there are 13 numbers"
assert counted == by_hand, "and the network counts as many"

# %%
# Version 3: layers
# -----------------
# :class:`torch.nn.Linear` holds a weight and a bias that belong together.
# ``nn.Linear(2, 3)`` has a ``weight`` of the shape (3, 2), as our ``w1``, and a
# ``bias`` of the shape (3,). It computes ``x @ weight.T + bias``. Such a layer
# is called a :term:`fully connected layer`. A layer is a module, too, and a
# module may own other modules. ``nn.ReLU`` is a layer without parameters. We
# write ``Net`` anew, with layers:


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 3)  # instead of w1 and b1
        self.relu = nn.ReLU()  # instead of clamp
        self.output = nn.Linear(3, 1)  # instead of w2 and b2

    def forward(self, x):
        x = self.relu(self.hidden(x))  # (N, 3)
        return self.output(x)  # (N, 1)


net3 = Net()
print(net3)

# %%
# Printing a network shows the layers that it owns. They begin with random
# numbers, so we copy our own into them. ``copy_`` writes numbers into the
# tensor itself. Autograd must not record this, so we do it under
# ``torch.no_grad()``.

print("random:", net3(x))
with torch.no_grad():
    net3.hidden.weight.copy_(w1)
    net3.hidden.bias.copy_(b1)
    net3.output.weight.copy_(w2)
    net3.output.bias.copy_(b2)
print("copied:", net3(x))
print([name for name, _ in net3.named_parameters()])

# %%
# The output is the same, and again there are four tensors. But this class never
# mentions ``nn.Parameter``, because the layers make their parameters
# themselves. Our network has entered the layers in a second list, and each
# layer knows what it owns. So ``hidden.weight`` is the ``weight`` of the layer
# ``hidden``. This search goes as deep as you like, so a whole network can be a
# layer of a larger one.

# %%
# .. check::

assert net3(x).equal(result), "version 3 gives the same output"
assert [name for name, _ in net3.named_parameters()] == [
    "hidden.weight",
    "hidden.bias",
    "output.weight",
    "output.bias",
], "the names say in which layer a parameter is"

# %%
# Version 4: nn.Sequential
# ------------------------
# In our network, each layer takes what the layer before it has computed. For
# such a chain, :class:`torch.nn.Sequential` writes the class for you. The
# layers have numbers instead of names:

net4 = nn.Sequential(
    nn.Linear(2, 3),
    nn.ReLU(),
    nn.Linear(3, 1),
)
with torch.no_grad():
    net4[0].weight.copy_(w1)
    net4[0].bias.copy_(b1)
    net4[2].weight.copy_(w2)
    net4[2].bias.copy_(b2)
print("copied:", net4(x))
print([name for name, _ in net4.named_parameters()])

# %%
# Layer 1 is the ReLU, which has no parameters. Use ``nn.Sequential`` for a
# plain chain. Write a class as soon as ``forward`` has to do more, such as
# reshape, use an ``if``, take two inputs, or use a result twice.

# %%
# .. check::

assert net4(x).equal(result), "version 4 gives the same output"
assert [name for name, _ in net4.named_parameters()] == [
    "0.weight",
    "0.bias",
    "2.weight",
    "2.bias",
], "layer 1 has no parameters"

# %%
# On real data
# ------------
# The same class, larger, reads digits. An image comes as (1, 28, 28), and the
# first layer wants 784 numbers in a row, so ``forward`` begins with
# ``flatten``. The last layer gives ten scores, one for each digit. There is no
# ReLU after it, because scores may be negative, and no softmax, because
# ``cross_entropy`` takes scores.


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 64)
        self.relu = nn.ReLU()
        self.output = nn.Linear(64, 10)

    def forward(self, images):  # (N, 1, 28, 28)
        x = images.flatten(1)  # (N, 784)
        x = self.relu(self.hidden(x))  # (N, 64)
        return self.output(x)  # (N, 10)


# %%
# Before you train a network, send a few examples through it. We do by hand what
# ``forward`` does with three images, and look at the shape after each line.

digits, _ = datasets.mnist()
x_train = digits.x[:8000]  # (8000, 1, 28, 28)
y_train = digits.y[:8000]
x_val = digits.x[8000:]  # (2000, 1, 28, 28)
y_val = digits.y[8000:]

model = DigitNet()
images = x_val[:3]
flat = images.flatten(1)
after_relu = model.relu(model.hidden(flat))
scores = model.output(after_relu)
for tensor in [images, flat, after_relu, scores]:
    print(tuple(tensor.shape))
same = scores.equal(model(images))
print("same as model(images):", same)

# %%
# The first axis is 3 throughout, one row for each image. Now train it, with the
# loop from :doc:`/lessons/learning/04_stochastic_gradient_descent`. It returns
# the loss of every mini-batch. The loop only calls the model, and asks for its
# parameters.


def train(model, epochs=5):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    batches = Batches(x_train, y_train, batch_size=50, shuffle=True)
    losses = []
    for _ in range(epochs):
        for x, y in batches:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


# %%
# We measure the share of right answers on the 2,000 images kept back, before
# and after.

with torch.no_grad():
    answers_before = model(x_val).argmax(dim=1)
losses = train(model)
with torch.no_grad():
    answers = model(x_val).argmax(dim=1)
before = (answers_before == y_val).float().mean()
after = (answers == y_val).float().mean()
print(f"untrained: {before:.1%} right")
print(f"trained:   {after:.1%} right")
print(f"first loss {losses[0]:.2f}")
print(f"mean of the last 100 losses {sum(losses[-100:]) / 100:.2f}")

# %%
# The untrained network guesses, and its first loss is about ln 10 = 2.3, the
# loss of guessing among ten digits. After five epochs, more than nine of ten
# answers are right. Here are our three images, each with its answer.
#
# .. alt:: Three handwritten digits, a 6, a 1 and a 5. The answers above them
#    are right: 6, 1, 5.

figure = plots.image_grid(images, titles=answers[:3].tolist(), ncols=3)

# %%
# .. check::

assert after_relu.shape == (3, 64), "64 hidden numbers for each image"
assert scores.shape == (3, 10), "ten scores for each image"
assert same, "by hand as by forward"
assert before < 0.25, "untrained it guesses"
assert after > 0.9, "trained, more than nine of ten are right"
assert abs(losses[0] - 2.3) < 0.15, "the first loss is that of guessing, ln 10"
assert sum(losses[-100:]) / 100 < 0.35, "the loss has fallen"
assert answers[:3].tolist() == [6, 1, 5], "the answers for the three images"

# %%
# .. _module-mistakes:
#
# What goes wrong
# ---------------
# **Mistakes that raise an error.** The first one is a forgotten
# ``super().__init__()``, so there is no list yet in which the layer could be
# entered. The second is a call with ``input`` before you have made a tensor of
# that name. Until then it is a function of Python. (And mind the capital
# letters: it is ``nn.ReLU``, not ``nn.Relu``.)


try:

    class NoSuper(nn.Module):
        def __init__(self):
            self.output = nn.Linear(64, 10)

    NoSuper()
except AttributeError as error:
    print(error)
    no_super = str(error)

try:
    net3(input)
except TypeError as error:
    print(error)
    no_tensor = str(error)

# %%
# .. check::

assert "before Module.__init__() call" in no_super, "super() comes first"
assert "must be Tensor" in no_tensor, "a function is not a tensor"
assert not hasattr(nn, "Relu"), "there is no nn.Relu"

# %%
# **A layer that is made in forward.** This mistake raises no error. Look for
# the layer that is not in ``__init__``:


class ForgetfulNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.output = nn.Linear(64, 10)

    def forward(self, images):  # (N, 1, 28, 28)
        x = images.flatten(1)  # (N, 784)
        hidden = nn.Linear(784, 64)  # the mistake
        x = self.relu(hidden(x))  # (N, 64)
        return self.output(x)  # (N, 10)


forgetful = ForgetfulNet()
forgetful_losses = train(forgetful)
forgetful_mean = sum(forgetful_losses[-100:]) / 100
print(f"first loss {forgetful_losses[0]:.2f}")
print(f"mean of the last 100 losses {forgetful_mean:.2f}")

# %%
# All shapes fit, and the training runs to its end. But the loss hardly leaves
# 2.3, the loss of guessing.
#
# .. alt:: The loss of two networks over 800 steps. That of DigitNet falls to
#    about 0.2. That of ForgetfulNet stays at the dotted line of guessing, 2.3.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
for name, curve, style in [
    ("ForgetfulNet", forgetful_losses, "C1--"),
    ("DigitNet", losses, "C0-"),
]:
    means = torch.tensor(curve).reshape(-1, 20).mean(dim=1)
    steps = torch.arange(len(means)) * 20 + 10
    axis.plot(steps.numpy(), means.numpy(), style, label=name)
axis.axhline(
    torch.tensor(10.0).log().item(), color="black", ls=":", label="guessing"
)
axis.set(xlabel="step", ylabel="loss, mean of 20 steps", ylim=(0, 2.8))
axis.legend()

# %%
# Each call of ``forward`` makes a new hidden layer with new random weights, and
# forgets it at the end. So even for the same image, the output layer gets other
# numbers every time. There are three ways to notice: call the network twice
# with the same images, print it, and count its parameters.

with torch.no_grad():
    first_call = forgetful(images)
    second_call = forgetful(images)
print("two calls agree:", first_call.allclose(second_call))
print(forgetful)
for name, network in [("ForgetfulNet", forgetful), ("DigitNet", model)]:
    sizes = [parameter.numel() for parameter in network.parameters()]
    print(f"{name}: {sum(sizes):,} parameters")

# %%
# By hand, we expect (784 · 64 + 64) + (64 · 10 + 10) = 50,890, and ``DigitNet``
# has them all. ``ForgetfulNet`` knows only the 650 of its output layer, so the
# optimizer moves no others. The cure is to make the layer in ``__init__``, as
# ``self.hidden``, and to write ``self.hidden(x)`` in ``forward``. Then the
# class is ``DigitNet``, and it learns.
#
# So the rule is: what has to learn is stored in ``__init__``, as an attribute,
# and ``forward`` only computes with it.

# %%
# .. check::

assert abs(forgetful_losses[0] - 2.3) < 0.15, "it begins with guessing"
assert forgetful_mean > 2.2, "and stays there"
assert not first_call.allclose(second_call), "two calls differ"
assert sum([parameter.numel() for parameter in model.parameters()]) == 50_890, (
    "DigitNet has 50,890"
)
assert (
    sum([parameter.numel() for parameter in forgetful.parameters()]) == 650
), "the forgetful network has 650"

# %%
# Recipe
# ------
# The sizes are arguments of ``__init__``, so the class serves other data, too.

import torch
from torch import nn
from torch.nn.functional import cross_entropy


class Net(nn.Module):
    def __init__(self, inputs, width, classes):
        super().__init__()
        self.hidden = nn.Linear(inputs, width)
        self.relu = nn.ReLU()
        self.output = nn.Linear(width, classes)

    def forward(self, x):  # (N, inputs)
        x = self.relu(self.hidden(x))  # (N, width)
        return self.output(x)  # (N, classes), the scores


# %%
# The data are made up: points with both coordinates around 5. The class says
# whether a point lies inside a circle (0) or outside (1).

points = 5 + 2 * torch.randn(600, 2)
y = (((points - 5) ** 2).sum(dim=1) > 6).to(torch.int64)
mean = points[:500].mean(dim=0)
std = points[:500].std(dim=0)
x = (points - mean) / std  # standardized

model = Net(inputs=2, width=16, classes=2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for _ in range(500):
    loss = cross_entropy(model(x[:500]), y[:500])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Now the 100 points that were kept back, beside the rule that always names the
# more frequent class, and one new point in the middle of the circle:

new_point = (torch.tensor([[5.0, 5.0]]) - mean) / std
with torch.no_grad():
    answers = model(x[500:]).argmax(dim=1)
    new_answer = model(new_point).argmax(dim=1)
right = (answers == y[500:]).float().mean()
most_frequent = y[500:].bincount().max() / 100
print(f"right: {right:.0%}, always the same class: {most_frequent:.0%}")
print("new point:", new_answer.item())

# %%
# .. check::

assert right > 0.9, "the recipe learns"
assert right > most_frequent + 0.2, "far better than the baseline"
assert new_answer == 0, "the middle is inside"
assert len(list(model.parameters())) == 4, "and all four tensors are found"

# %%
# What you learned
# ----------------
# - A network is a class derived from ``nn.Module``. ``__init__`` begins with
#   ``super().__init__()`` and stores what the network owns, and ``forward``
#   says what it computes.
# - PyTorch finds each parameter that you store as an attribute, and those of
#   each layer that you store. Pass ``model.parameters()`` to the optimizer.
# - Call ``model(x)``, not ``model.forward(x)``.
# - For a plain chain of layers, ``nn.Sequential`` is enough.
# - Before training, print the network and count its parameters. A layer that is
#   made in ``forward`` is new in each call and never learns.
#
# Exercises
# ---------
# 1. **Predict.** A network is ``nn.Sequential(nn.Linear(4, 8), nn.ReLU(),
#    nn.Linear(8, 3))``. How many parameters does it have, and what are their
#    names? What is the shape of its output for an input of the shape (5, 4)?
# 2. **Change.** Give ``DigitNet`` a second hidden layer with 32 numbers, and a
#    ReLU after it. How many parameters does it have now? Count them by hand
#    first. Then train it, and make sure that the loss falls.
# 3. **Extend.** Take the ReLU out of version 4. Show that a single
#    ``nn.Linear(2, 1)`` gives the same output for any input. Its weight and its
#    bias can be computed from ``w1``, ``b1``, ``w2`` and ``b2``.

# %%
# .. answer:: 1
#
#    The first layer has 4 · 8 + 8 = 40 parameters and the last one 8 · 3 + 3 =
#    27, so there are 67. The layers are called 0, 1 and 2, and layer 1 has no
#    parameters. For five rows the output has five rows: (5, 3).

chain = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
chain_count = sum([parameter.numel() for parameter in chain.parameters()])
chain_names = [name for name, _ in chain.named_parameters()]
chain_shape = tuple(chain(torch.zeros(5, 4)).shape)
print(chain_count, chain_names, chain_shape)

# %%
# .. check::

assert chain_count == 67, "40 and 27"
assert chain_names == ["0.weight", "0.bias", "2.weight", "2.bias"], "the names"
assert chain_shape == (5, 3), "three numbers for each of the five rows"

# %%
# .. answer:: 2
#
#    The layers have 784 · 64 + 64 = 50,240, then 64 · 32 + 32 = 2,080, and
#    32 · 10 + 10 = 330 parameters. The sum is 52,650. One ``relu`` is enough
#    for both places, because it has no parameters.


class DeeperNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1 = nn.Linear(784, 64)
        self.hidden2 = nn.Linear(64, 32)
        self.relu = nn.ReLU()
        self.output = nn.Linear(32, 10)

    def forward(self, images):  # (N, 1, 28, 28)
        x = images.flatten(1)  # (N, 784)
        x = self.relu(self.hidden1(x))  # (N, 64)
        x = self.relu(self.hidden2(x))  # (N, 32)
        return self.output(x)  # (N, 10)


deeper = DeeperNet()
deeper_count = sum([parameter.numel() for parameter in deeper.parameters()])
deeper_losses = train(deeper)
print(f"{deeper_count:,} parameters")
print(f"first loss {deeper_losses[0]:.2f}")
print(f"mean of the last 100 losses {sum(deeper_losses[-100:]) / 100:.2f}")

# %%
# .. check::

assert deeper_count == 50_240 + 2_080 + 330, "52,650"
assert sum(deeper_losses[-100:]) / 100 < 0.5, "the loss falls"

# %%
# .. answer:: 3
#
#    Write W₁ and W₂ for the weights. Without ReLU, the output is (x W₁ᵀ + b₁)
#    W₂ᵀ + b₂ = x W₁ᵀ W₂ᵀ + b₁ W₂ᵀ + b₂. Because W₁ᵀ W₂ᵀ = (W₂ W₁)ᵀ, the weight
#    of the single layer is W₂ W₁, and its bias is W₂ b₁ + b₂.

single = nn.Linear(2, 1)
with torch.no_grad():
    single.weight.copy_(w2 @ w1)
    single.bias.copy_(w2 @ b1 + b2)
without_relu = nn.Sequential(net4[0], net4[2])
rows = torch.randn(1000, 2)
print("equal:", single(rows).allclose(without_relu(rows), atol=1e-4))
print("equal with ReLU:", single(rows).allclose(net4(rows), atol=1e-4))

# %%
# .. check::

assert single(rows).allclose(without_relu(rows), atol=1e-4), "one is enough"
assert not single(rows).allclose(net4(rows), atol=1e-4), "not with ReLU"

# %%
# .. earlier::
#
#    Older code writes ``super(Net, self).__init__()``. It still works, but
#    ``super().__init__()`` is enough. Some notes derive a network from ``nn``,
#    but that is the package. Some say that ``parameters()`` returns a list, but
#    it is a generator, which is used up after one loop. And some add a ``def
#    __len__(self): pass``, which breaks even ``if net:`` (:doc:`/errata`).

found = net4.parameters()
print("first loop:", len(list(found)), "second loop:", len(list(found)))

# %%
# .. check::

assert list(found) == [], "the generator is used up"
