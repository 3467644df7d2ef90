"""
LeNet and weight sharing
========================

Why does a convolutional network need fewer examples than a fully connected one?

A fully connected layer has a weight of its own for each pixel, so what it
learns in one corner of an image it does not know in another. A convolution uses
the same few weights everywhere. That rests on two assumptions about images:
pixels close together belong together, and a stroke is a stroke wherever it is.

After this lesson you can

- compute a convolution with loops, and get the same as PyTorch
- count the parameters of a convolution and of a fully connected layer with an
  output of the same size
- test on your own data whether neighbouring pixels matter
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import conv2d, cross_entropy

from handbook import datasets, models

torch.manual_seed(0)

# %%
# An edge in a row
# ----------------
# A row of seven pixels is 0 on the left and 1 on the right. A :term:`kernel` of
# three weights, −1 0 1, looks for the edge between them. Lay it on the first
# three pixels, multiply, and add: −1 · 0 + 0 · 0 + 1 · 0 = 0. Then move it on
# by one pixel, and so on. There are five places.

row = torch.tensor([0.0, 0, 0, 1, 1, 1, 1])
kernel = torch.tensor([-1.0, 0, 1])

found = []
for place in range(5):
    window = row[place : place + 3]
    found.append((window * kernel).sum().item())
print("by hand:", found)

# %%
# The two 1s say where the edge is. Sliding a kernel along like this,
# multiplying and adding, is a :term:`convolution`. A fully connected layer can
# do the same. It needs a matrix with a row for each of the five places.

matrix = torch.zeros(5, 7)
for place in range(5):
    matrix[place, place : place + 3] = kernel
print(matrix.int())
print("matrix: ", (matrix @ row).tolist())
moved_edge = torch.tensor([0.0, 0, 0, 0, 1, 1, 1])
print("moved:  ", (matrix @ moved_edge).tolist())

# %%
# The matrix has 35 weights. Outside the windows all are 0, and inside are the
# same three weights again and again. This is *weight sharing*: a convolution is
# a fully connected layer whose weights outside the window are 0, and which uses
# the same weights in every window. So if the edge moves, the answer moves with
# it.

# %%
# .. check::

assert found == [0, 1, 1, 0, 0], "the edge"
assert (matrix @ row).tolist() == found, "the matrix gives the same"
assert matrix.numel() == 35, "35 weights"
assert (matrix @ moved_edge).tolist() == [0, 0, 1, 1, 0], "it moves, too"

# %%
# Convolution by hand
# -------------------
# An image has rows, columns and channels. So the window is a block: all
# channels, k rows and k columns. An output channel has a kernel of the same
# shape and a bias b. Multiply every number of the window by its weight, add all
# of them, and add the bias:
#
# .. math::
#
#    y_{o,r,c} = b_o + \sum_{i} \sum_{u=0}^{k-1} \sum_{v=0}^{k-1}
#    w_{o,i,u,v} \; x_{i,\,r+u,\,c+v}
#
# Here o counts the output channels and i the input channels, r and c are the
# row and the column of the output, and u and v go through the window. (In
# mathematics, this is called a cross-correlation.) Three loops go through o, r
# and c, and ``sum()`` adds over i, u and v. A kernel of size 3 fits at 6 − 3 +
# 1 = 4 places in each direction.

x = torch.randn(2, 6, 6)  # 2 channels, 6 rows, 6 columns
weight = torch.randn(3, 2, 3, 3)  # 3 output channels, 2 input channels
bias = torch.randn(3)


def convolve(x, weight, bias):
    outputs, _, k, _ = weight.shape
    rows = x.shape[1] - k + 1
    columns = x.shape[2] - k + 1
    y = torch.zeros(outputs, rows, columns)
    for channel in range(outputs):
        for top in range(rows):
            for left in range(columns):
                window = x[:, top : top + k, left : left + k]
                total = (window * weight[channel]).sum()
                y[channel, top, left] = total + bias[channel]
    return y


# %%
# We compare the result with :func:`torch.nn.functional.conv2d`.

y = convolve(x, weight, bias)
difference = (y - conv2d(x, weight, bias)).abs().max()
print(f"shape {tuple(y.shape)}, largest difference {difference:.0e}")

# %%
# The difference is rounding.
#
# How many parameters are saved? ``nn.Conv2d(1, 8, 3)`` has 8 kernels of 9
# weights and 8 biases. From an image of 28 × 28 pixels it makes 8 · 26 · 26 =
# 5,408 numbers. We compare it with a fully connected layer.


def count(model):
    return sum([parameter.numel() for parameter in model.parameters()])


print(f"Conv2d: {count(nn.Conv2d(1, 8, 3)):,}")
print(f"Linear: {count(nn.Linear(28 * 28, 8 * 26 * 26)):,}")

# %%
# .. check::

assert difference < 1e-5, "all numbers"
assert conv2d(x, weight).abs().max() > 1, "numbers that can differ"
assert convolve(x, weight, bias).shape == (3, 4, 4), "4 places each way"
assert count(nn.Conv2d(1, 8, 3)) == 80, "80"
assert count(nn.Linear(784, 5408)) == 4_245_280, "4,245,280"

# %%
# LeNet
# -----
# LeNet (1998) read the digits on cheques. :class:`handbook.models.LeNet` is
# today's form of it. Two convolutions find patterns, and after each, pooling
# keeps the largest of every 2 × 2 numbers. Then three fully connected layers,
# its ``classifier``, decide. We compare it with an MLP that has about as many
# parameters.


def new_mlp():
    hidden = nn.Linear(784, 78)
    return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Linear(78, 10))


print(models.LeNet().features)
print(f"LeNet {count(models.LeNet()):,}, MLP {count(new_mlp()):,}")

# %%
# ``padding=(2, 2)`` first puts two zeros around each side, so the first
# convolution keeps 28 × 28. Pooling gives 14 × 14, the second convolution 10 ×
# 10, and pooling 5 × 5.

# %%
# On real data
# ------------
# Both learn from 500 digits. Then we put the 784 pixels of all images into a
# new order, drawn at random, and the same one for all images. So neighbours are
# no longer neighbours. Both networks learn again from these images. Which of
# them suffers?

train_set, test_set = datasets.mnist()
test_x = test_set.x[:1000]
test_y = test_set.y[:1000]


def shuffle_pixels(images, order):
    return images.flatten(1)[:, order].reshape(-1, 1, 28, 28)


# %%
# The learning rate is 0.003 for both. 120 steps with 32 images each are enough
# for a first look. (More steps, or another rate for each network, may change
# the distances.)


def learn(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(120):
        batch = torch.randint(len(x), (32,))
        optimizer.zero_grad()
        cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    return model


def accuracy(model, x, y):
    with torch.no_grad():
        return 100 * (model(x).argmax(dim=1) == y).float().mean().item()


# %%
# We do this for five seeds, each with 500 other images, another start and
# another order, and judge with 1,000 test images.

scores = {}
for name, make in {"LeNet": models.LeNet, "MLP": new_mlp}.items():
    for kind in ["ordinary", "shuffled"]:
        scores[name, kind] = torch.zeros(5)
        for seed in range(5):
            torch.manual_seed(seed)
            few = torch.randperm(10_000)[:500]
            order = torch.arange(784)  # as they are
            if kind == "shuffled":
                order = torch.randperm(784)
            x = shuffle_pixels(train_set.x[few], order)
            model = learn(make(), x, train_set.y[few])
            test_images = shuffle_pixels(test_x, order)
            scores[name, kind][seed] = accuracy(model, test_images, test_y)

# %%
# Does the MLP get as far with more images? We give it 2,000, and 120 steps
# again.

scores["MLP", "2,000 images"] = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    more = torch.randperm(10_000)[:2000]
    model = learn(new_mlp(), train_set.x[more], train_set.y[more])
    scores["MLP", "2,000 images"][seed] = accuracy(model, test_x, test_y)

for pair, accuracies in scores.items():
    print(f"{pair}: mean {accuracies.mean():.1f}%, from", end=" ")
    print(f"{accuracies.min():.1f}% to {accuracies.max():.1f}%")

# %%
# With ordinary images, LeNet is better for each seed, although it has no more
# parameters. With 2,000 images instead of 500, the MLP gets about as far. With
# shuffled pixels, the MLP is as good as before, because it never knew which
# pixels are neighbours. LeNet falls far behind it. So its lead came from what
# LeNet assumes about neighbours, and for shuffled pixels that is wrong.
#
# .. alt:: Accuracy on the test images, five points for each of five cases. With
#    ordinary images, LeNet is above the MLP. With shuffled pixels, LeNet is far
#    below the MLP, which stays where it was. With 2,000 images, the MLP is
#    about as high as LeNet with 500.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
names = [f"{name}\n{kind}" for name, kind in scores]
for place, accuracies in enumerate(scores.values()):
    color = "C0" if names[place].startswith("LeNet") else "C1"
    axis.plot([place] * 5, accuracies.tolist(), "o", color=color, alpha=0.6)
axis.set(ylabel="test accuracy (%)", xticks=range(5), xlim=(-0.5, 4.5))
axis.set_xticklabels(names)

# %%
# .. check::

assert count(models.LeNet()) == 61_706, "LeNet"
assert count(new_mlp()) == 62_020, "the MLP has hardly more"
assert (scores["LeNet", "ordinary"] > scores["MLP", "ordinary"]).all(), "lead"
assert (scores["LeNet", "shuffled"] < scores["MLP", "shuffled"] - 10).all(), (
    "far behind"
)
assert (
    abs((scores["MLP", "ordinary"] - scores["MLP", "shuffled"]).mean()) < 2
), "the MLP as good as before"
assert (
    abs(
        scores["MLP", "2,000 images"].mean()
        - scores["LeNet", "ordinary"].mean()
    )
    < 1.5
), "about as far as LeNet"

# %%
# What goes wrong
# ---------------
# **The flatten size fits by accident.** For images of 28 × 28 pixels, the
# features of LeNet are 16 · 5 · 5 = 400 numbers each. Many programs reshape
# them with ``view(-1, 400)``, where −1 lets PyTorch find the number of rows.
# Suppose that your images have 48 × 48 pixels.

model = models.LeNet()
larger = torch.zeros(8, 1, 48, 48)
larger[:, :, 10:38, 10:38] = test_x[:8]
with torch.no_grad():
    features = model.features(larger)
    answers = model.classifier(features.view(-1, 400))
print("features:", tuple(features.shape))
print("answers: ", tuple(answers.shape))
try:
    cross_entropy(answers, test_y[:8])
except ValueError as error:
    print(error)
hits = answers[:4].argmax(dim=1) == test_y[:1]  # of the first image alone
print("one image:", tuple(hits.shape))

# %%
# Eight images get 32 answers. Each image has 16 · 10 · 10 = 1,600 features, and
# that is four rows of 400. The loss then stops with an error that names the
# batch size, not the cause. But counting the hits of a single image does not
# stop: ``==`` compares its four answers with its one label by broadcasting, and
# there is no error. ``flatten(1)`` keeps the first axis as it is, so the
# mistake shows where it is made.

try:
    model.classifier(features.flatten(1))
except RuntimeError as error:
    print(error)

# %%
# .. check::

assert features.shape == (8, 16, 10, 10), "the features"
assert answers.shape == (32, 10), "32 answers"
assert hits.shape == (4,), "four for one image"
assert features.flatten(1).shape == (8, 1600), "eight rows"

# %%
# Recipe
# ------
# Before you choose a CNN for data of your own, test whether it suits them.
# Train it twice, once with the pixels in a random order. If the order does not
# matter, an MLP or another model will do. Here are made-up images of size 12 ×
# 12, with a bright bar that lies or stands.

import torch
from torch import nn

torch.manual_seed(0)
images = 0.5 * torch.randn(400, 1, 12, 12)
labels = torch.randint(2, (400,))
for i in range(400):
    top = torch.randint(8, ()).item()
    left = torch.randint(8, ()).item()
    if labels[i] == 0:
        images[i, 0, top, left : left + 5] += 1.5
    else:
        images[i, 0, top : top + 5, left] += 1.5

# %%
# ``train`` tries one image to find how many features there are, so it works for
# images of another size, too. (A trained model fits only the size it was
# trained with.)


def train(x, y, steps=200):
    features = nn.Sequential(
        nn.Conv2d(x.shape[1], 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    )
    size = features(x[:1]).shape[1]
    model = nn.Sequential(features, nn.Linear(size, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        batch = torch.randint(len(x), (32,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    return model


# %%
# Judge both with images that were kept back, and let the model for ordinary
# pixels read a new image. (With 100 images, an accuracy is known only to within
# about ±10 points. If the two are closer than that, repeat with other seeds.)

order = torch.randperm(144)
mixed = images.flatten(1)[:, order].reshape(-1, 1, 12, 12)
scores = {}
learned = {}
for name, x in [("ordinary", images), ("shuffled", mixed)]:
    learned[name] = train(x[:300], labels[:300])
    with torch.no_grad():
        answers = learned[name](x[300:]).argmax(dim=1)
    scores[name] = (answers == labels[300:]).float().mean().item()
    print(f"{name} pixels: {scores[name]:.0%} right")

new = torch.zeros(1, 1, 12, 12)
new[0, 0, 3:8, 6] = 1.5  # a bar that stands
guess = learned["ordinary"](new).argmax().item()  # 0 lies, 1 stands
print("new image:", guess)

# %%
# .. check::

assert scores["ordinary"] > 0.85, "it reads bars"
assert scores["ordinary"] > scores["shuffled"] + 0.1, "neighbours matter"
assert guess == 1, "the new bar stands"

# %%
# What you learned
# ----------------
# - A convolution lays the same kernel on every window, multiplies and adds. It
#   is a fully connected layer with shared weights, and zeros elsewhere.
# - ``Conv2d(1, 8, 3)`` has 80 parameters. A fully connected layer with an
#   output of the same size has 4,245,280.
# - LeNet's lead comes from what it assumes about neighbours. Shuffle the
#   pixels, and the lead is gone. In 120 steps, an MLP with 2,000 images got
#   about as far as LeNet with 500.
# - Use ``flatten(1)`` and not ``view(-1, …)``, so that a wrong size is an
#   error.
#
# Exercises
# ---------
# 1. **Predict.** How many parameters does ``nn.Conv2d(3, 16, 5)`` have? What
#    shape does it return for an image of shape (3, 32, 32)?
# 2. **Change.** Move only the edge in the row: 0 0 0 0 0 1 1. What does the
#    kernel −1 0 1 find? And what does −1 2 −1 find in both rows?
# 3. **Extend.** Let a kernel be *learned*. Make 100 random rows of 7 pixels,
#    compute the answers of the kernel −1 0 1, and find three weights and a bias
#    that give these answers with ``nn.Conv1d(1, 1, 3)`` and SGD.
#
# How deep such a network can be is the question of
# :doc:`/lessons/architectures/06_residual`.

# %%
# .. answer:: 1
#
#    Each of the 16 kernels has 3 · 25 weights, so with the biases there are 16
#    · 75 + 16 = 1,216. The kernel fits at 32 − 5 + 1 = 28 places, so the shape
#    is (16, 28, 28).

layer = nn.Conv2d(3, 16, 5)
y = layer(torch.zeros(3, 32, 32))
print(count(layer), tuple(y.shape))

# %%
# .. check::

assert count(layer) == 1216, "by hand"
assert y.shape == (16, 28, 28), "28 places"

# %%
# .. answer:: 2
#
#    The two 1s have moved by two places. The kernel −1 2 −1 compares a pixel
#    with both of its neighbours. Before an edge it gives −1, and after it 1.

later = torch.tensor([0.0, 0, 0, 0, 0, 1, 1])
# unfold(0, 3, 1): all windows of 3 along axis 0
print("−1 0 1: ", (later.unfold(0, 3, 1) @ kernel).tolist())
second = torch.tensor([-1.0, 2, -1])
print("−1 2 −1:", (row.unfold(0, 3, 1) @ second).tolist())
print("        ", (later.unfold(0, 3, 1) @ second).tolist())

# %%
# .. check::

assert (later.unfold(0, 3, 1) @ kernel).tolist() == [0, 0, 0, 1, 1], "moved"
assert (row.unfold(0, 3, 1) @ second).tolist() == [0, -1, 1, 0, 0], "first"
assert (later.unfold(0, 3, 1) @ second).tolist() == [0, 0, 0, -1, 1], "second"

# %%
# .. answer:: 3
#
#    It finds −1 0 1, and a bias of 0. This is how the kernels of LeNet are
#    found, too, except that only the labels of whole images are given.

rows = torch.randn(100, 1, 7)
windows = rows.unfold(2, 3, 1)  # windows of 3 along axis 2
targets = (windows * kernel).sum(dim=3)
layer = nn.Conv1d(1, 1, 3)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
for _ in range(200):
    loss = ((layer(rows) - targets) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
learned = layer.weight.detach().flatten()
print("kernel:", [round(each, 3) for each in learned.tolist()])
print(f"bias: {layer.bias.item():.3f}")

# %%
# .. check::

assert (learned - kernel).abs().max() < 1e-3, "−1 0 1"
assert abs(layer.bias.item()) < 1e-3, "0"
