"""
Residual connections and the receptive field
============================================

Why does a network need many layers, and what makes it possible to train them?

A convolution sees only a few cells at a time. To see more of an image, you can
put several convolutions in a row. But a network with many layers often learns
badly, even with a good start. *Residual connections* are a small change that
lets deep networks learn, and you find them in most large networks of today.

After this lesson you can

- say how far a stack of convolutions sees, and measure it with gradients
- write a residual block, with a shortcut where the shapes differ
- show with numbers what the residual connection does to the gradient
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets, models

torch.manual_seed(0)

# %%
# How far does an output see?
# ---------------------------
# We begin with a row of nine numbers. :class:`torch.nn.Conv1d` is the
# :term:`convolution` of :doc:`/lessons/networks/05_convolution` along a row.
# With a window of three cells, each output depends on its own cell and on one
# neighbour on each side. If we apply it twice, each of these three cells has
# seen its own neighbours.
#
# Gradients show which cells matter. If an input cell has no influence on the
# output, its gradient is 0. We set all weights to 1 and look at the output in
# the middle.

conv = nn.Conv1d(1, 1, kernel_size=3, padding=1, bias=False)
with torch.no_grad():
    conv.weight.fill_(1.0)
paths = []
for layers in [1, 2, 3]:
    row = torch.zeros(1, 1, 9, requires_grad=True)  # (batch, channel, cell)
    h = row
    for _ in range(layers):
        h = conv(h)
    h[0, 0, 4].backward()
    paths.append(row.grad.int().flatten().tolist())
    print("layers:", layers, paths[-1])

# %%
# The output depends on 3, 5 and 7 cells. These cells are its *receptive field*.
# The numbers count the paths from a cell to the output. After two layers, three
# paths lead from the middle cell to the output, but only one from each end.
#
# Each layer adds one cell on each side. So with windows of three, L layers in a
# row see
#
# .. math:: 1 + 2 L
#
# cells. In images, two 3 × 3 convolutions see 5 × 5 pixels, and three see
# 7 × 7. Pooling and a larger stride make that grow faster (exercise 3). (There
# is no ReLU in these layers. A closed ReLU would also make gradients 0.)

# %%
# .. check::

assert paths[1] == [0, 0, 1, 2, 3, 2, 1, 0, 0], "three paths in the middle"
assert paths[2] == [0, 1, 3, 6, 7, 6, 3, 1, 0], "7 cells"

# %%
# Ten layers in a row
# -------------------
# On its way back, the gradient is multiplied by a slope at each layer, as in
# :doc:`/lessons/architectures/02_initialization`. Take a layer that multiplies
# a number by 0.1. What is left of the slope after ten such layers? And what if
# each layer *adds* its result to its input?

x = torch.tensor(1.0, requires_grad=True)
plain = x
residual = x
for _ in range(10):
    plain = 0.1 * plain
    residual = residual + 0.1 * residual

plain.backward()
plain_slope = x.grad.item()
x.grad = None
residual.backward()
residual_slope = x.grad.item()
print(f"plain:    {plain_slope:.1e}")
print(f"residual: {residual_slope:.2f}")

# %%
# The plain slope is 0.1¹⁰, almost nothing. With the addition, each layer has
# the slope 1.1, and 1.1¹⁰ is 2.59. For a layer f:
#
# .. math::
#
#    y = x + f(x) \qquad \frac{dy}{dx} = 1 + f'(x)
#
# where :math:`f'(x)` is the slope of f. The 1 comes from the x that is added,
# and it remains even if :math:`f'(x)` is almost 0. This addition is a
# :term:`residual connection`. What f adds is called the *residual*: it is what
# is still missing in x.

# %%
# .. check::

assert abs(plain_slope / 0.1**10 - 1) < 1e-4, "0.1 to the power of 10"
assert abs(residual_slope - 2.59) < 0.005, "1.1 to the power of 10"

# %%
# On real data
# ------------
# Now a deep network for digits. So that training is quick, we take every second
# pixel and read an image as a row of 14 cells. Each cell is a column of the
# image, so it holds 14 numbers, which are the channels.

train_set, test_set = datasets.mnist()
images = train_set.x[:, 0, ::2, ::2]  # (10000, 14, 14): image, channel, cell
test_images = test_set.x[:, 0, ::2, ::2]  # (2000, 14, 14)

# %%
# A block has two convolutions, each followed by :term:`batch normalization`
# (:class:`torch.nn.BatchNorm1d`). So the size of f(x) hardly depends on how
# large the weights are at the start. At the end comes a ReLU. Its slope is 1
# wherever its input is positive. With ``residual=False``, only the addition is
# left out.


class Block(nn.Module):
    def __init__(self, residual):
        super().__init__()
        # five networks of 16 channels each
        self.conv1 = nn.Conv1d(80, 80, kernel_size=3, padding=1, groups=5)
        self.norm1 = nn.BatchNorm1d(80)
        self.conv2 = nn.Conv1d(80, 80, kernel_size=3, padding=1, groups=5)
        self.norm2 = nn.BatchNorm1d(80)
        self.residual = residual

    def forward(self, x):
        h = torch.relu(self.norm1(self.conv1(x)))
        h = self.norm2(self.conv2(h))
        if self.residual:
            h = x + h
        return torch.relu(h)


# %%
# Five networks with different random starts lie side by side: ``groups=5``
# keeps their 16 channels apart. One more convolution comes before the blocks.
# The ten scores are computed from the third cell alone. It lies near the edge,
# so a network has to see far to read the digit.


class FiveNetworks(nn.Module):
    def __init__(self, blocks, residual):
        super().__init__()
        # each of the 80 channels reads all 14
        self.first = nn.Conv1d(14, 80, kernel_size=3, padding=1)
        layers = [Block(residual) for _ in range(blocks)]
        self.blocks = nn.Sequential(*layers)
        self.last = nn.Conv1d(80, 50, kernel_size=1, groups=5)

    def forward(self, x):
        h = self.blocks(torch.relu(self.first(x)))  # (B, 80, 14)
        return self.last(h[:, :, 2:3]).reshape(-1, 5, 10)  # (B, network, class)


def losses_of(model, x, y):
    scores = model(x)  # (B, 5, 10)
    losses = [cross_entropy(scores[:, i], y) for i in range(5)]
    return torch.stack(losses)  # (5,)


# %%
# 1 block makes 3 convolutions, and the third cell sees columns 1 to 6 of 14.
# 3 blocks make 7 convolutions, which see columns 1 to 10. 10 blocks make 21
# convolutions, which see all of them, and 20 blocks make 41. How large is the
# gradient of the weights in the first layer, before training?

first_grads = {}
for kind in ["plain", "residual"]:
    first_grads[kind] = torch.zeros(4, 5)  # (depth, network)
    for i, blocks in enumerate([1, 3, 10, 20]):
        torch.manual_seed(0)
        model = FiveNetworks(blocks, residual=(kind == "residual"))
        losses_of(model, images[:100], train_set.y[:100]).sum().backward()
        grads = model.first.weight.grad.reshape(5, -1)
        first_grads[kind][i] = grads.norm(dim=1)  # root of the sum of squares
    average = first_grads[kind].mean(dim=1)
    print(f"{kind}: {average[0]:.1f} with 3, {average[3]:.1f} with 41")

# %%
# .. alt:: The size of the gradient at the first layer against the number of
#    convolutions, with a logarithmic scale. Both kinds start at about 0.6. For
#    plain networks it grows to several hundred with 41 convolutions. With
#    residual connections it stays below 30.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
convolutions = [3, 7, 21, 41]
for kind, style in zip(first_grads, ["v:", "o-"], strict=True):
    lowest = first_grads[kind].amin(dim=1)
    highest = first_grads[kind].amax(dim=1)
    average = first_grads[kind].mean(dim=1)
    axis.plot(convolutions, average, style, label=kind)
    axis.fill_between(convolutions, lowest, highest, alpha=0.2)
axis.set(xlabel="convolutions", ylabel="gradient, first layer", yscale="log")
axis.legend()

# %%
# Here the slope of a plain layer is larger than 1, so the gradient explodes.
# With the addition it grows far more slowly. Batch normalization keeps f(x) at
# the same size, while x grows from block to block. So f(x) becomes small beside
# x, and the slope of a block approaches 1. We train for 50 steps of 25 new
# images, the same for all.


def learn(blocks, residual):
    torch.manual_seed(0)
    model = FiveNetworks(blocks, residual)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    torch.manual_seed(1)
    for rows in torch.randperm(10_000)[:1250].split(25):
        losses = losses_of(model, images[rows], train_set.y[rows])
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return losses_of(model, test_images, test_set.y)


# %%
# We print the mean loss of five networks on the 2,000 test images, and the
# standard deviation. Guessing evenly has the loss ln 10 = 2.30.

results = {}
for kind in ["plain", "residual"]:
    for blocks in [1, 3, 10]:
        losses = learn(blocks, residual=(kind == "residual"))
        results[kind, blocks] = losses
        print(f"{kind}, {2 * blocks + 1} convolutions:", end=" ")
        print(f"{losses.mean():.2f} ± {losses.std():.2f}")

# %%
# With 7 convolutions, which see more of the digit, both kinds are better than
# with 3. With 21, the plain networks are far worse. This is not
# :term:`overfitting`, because no image was shown twice. The residual networks
# learn about as well as with 7. So depth no longer spoils the training. Here it
# gains nothing more. 7 convolutions already see 10 of the 14 columns. (After 50
# steps with one learning rate, these losses tell how fast the networks learn,
# not how far they get.)

# %%
# .. check::

assert (first_grads["plain"][3] > 5 * first_grads["residual"][3]).all(), (
    "41: far larger in each of the five"
)
assert (first_grads["plain"][3] > 100 * first_grads["plain"][0]).all(), (
    "the plain gradient explodes"
)
assert first_grads["plain"][3].max() < 1000, "several hundred"
assert first_grads["residual"][3].max() < 30, "below 30"
assert FiveNetworks(20, True).blocks(torch.rand(100, 80, 14)).std() > (
    2 * FiveNetworks(1, True).blocks(torch.rand(100, 80, 14)).std()
), "x grows from block to block"
assert abs(first_grads["plain"][0].mean() - 0.6) < 0.15, "about 0.6"
assert abs(first_grads["residual"][0].mean() - 0.6) < 0.15, "about 0.6 as well"
assert (results["plain", 3] < results["plain", 1]).all(), "7 better than 3"
assert (results["residual", 3] < results["residual", 1]).all(), "as well"
assert results["plain", 10].mean() > results["plain", 3].mean() + 0.5, (
    "plain: 21 far worse than 7"
)
assert (results["plain", 10] > results["residual", 10]).all(), (
    "each of the five plain ones is worse"
)
assert (
    abs(results["residual", 10].mean() - results["residual", 3].mean()) < 0.25
), "residual: 21 about as 7"

# %%
# ResidualBlock, by hand
# ----------------------
# For images, use :class:`handbook.models.ResidualBlock`. By hand, with its own
# layers:

block = models.ResidualBlock(8, 8)
x = torch.randn(4, 8, 14, 14)
h = torch.relu(block.norm1(block.conv1(x)))
h = block.norm2(block.conv2(h))
by_hand = torch.relu(x + h)
print("largest difference:", (by_hand - block(x)).abs().max().item())

# %%
# Often a block also changes the shape. With ``stride=2`` it halves height and
# width, and it may double the channels. Then x and f(x) no longer fit. A
# *shortcut* helps, as in ``ResidualBlock``. This is a 1 × 1 convolution with
# the same stride, and at each place it turns the 8 channels of x into 16.

wide = nn.Conv2d(8, 16, kernel_size=3, stride=2, padding=1)
shortcut = nn.Conv2d(8, 16, kernel_size=1, stride=2)
try:
    x + wide(x)
except RuntimeError as error:
    print(error)
print(tuple((shortcut(x) + wide(x)).shape))
print(tuple(models.ResidualBlock(8, 16, stride=2)(x).shape))

# %%
# .. check::

assert (by_hand - block(x)).abs().max() < 1e-6, "by hand the same"
assert shortcut(x).shape == (4, 16, 7, 7), "the shortcut fits"
assert models.ResidualBlock(8, 16, stride=2)(x).shape == (4, 16, 7, 7), (
    "so does the one of ResidualBlock"
)

# %%
# What goes wrong
# ---------------
# **The addition is done in place.** ``x += h`` looks like ``x = x + h``. But it
# changes the tensor x itself (:doc:`/lessons/tensors/11_in_place`), and x
# belongs to the caller.


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, kernel_size=3, padding=1)

    def forward(self, x):
        h = self.conv(x)
        x += h
        return torch.relu(x)


# %%
# The block reads the same images twice, and then trains.

block = InPlace()
batch = test_set.x[:5].clone()
with torch.no_grad():
    first = block(batch)
    second = block(batch)
print("same images:  ", batch.equal(test_set.x[:5]))
print("same answers: ", first.equal(second))

try:
    block(batch).sum().backward()
except RuntimeError as error:
    print("in training:  ", str(error)[:79], "…")

# %%
# In training there is an error, because ``backward()`` needs x as it was. But
# under ``no_grad`` nothing warns you. The images have changed, so the second
# answer differs. Write ``x = x + h``.

# %%
# .. check::

assert not batch.equal(test_set.x[:5]), "the images have changed"
assert not first.equal(second), "another answer"

# %%
# Recipe
# ------
# A small residual network that accepts images of any size. Each made-up image
# shows a bright bar in noise, and the network has to say whether the bar is
# horizontal (class 0) or vertical (class 1).

import torch
from torch import nn

from handbook import models

torch.manual_seed(0)
images = torch.randn(300, 1, 16, 16)
labels = torch.randint(0, 2, (300,))
for image, label in zip(images, labels, strict=True):
    place = torch.randint(0, 16, ()).item()
    if label == 0:
        image[0, place, :] += 2
    else:
        image[0, :, place] += 2

# %%
# The mean and the standard deviation come from the training images only.

x_train, x_test = images.split([200, 100])
y_train, y_test = labels.split([200, 100])
mean = x_train.mean()
std = x_train.std()
model = nn.Sequential(
    nn.Conv2d(1, 8, kernel_size=3, padding=1),  # 1: channels of an image
    models.ResidualBlock(8, 8),
    models.ResidualBlock(8, 16, stride=2),
    models.ResidualBlock(16, 16),
    nn.AdaptiveAvgPool2d(1),  # the mean over all places
    nn.Flatten(),
    nn.Linear(16, 2),  # 2: classes
)

# %%
# Train in small batches. Afterwards, ``model.eval()`` makes sure that an answer
# does not depend on the other images of its batch.

optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
for _ in range(4):  # epochs
    for rows in torch.randperm(len(x_train)).split(20):
        scores = model((x_train[rows] - mean) / std)
        loss = nn.functional.cross_entropy(scores, y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %%
# On the 100 test images, and on a new one:

model.eval()
with torch.no_grad():
    answers = model((x_test - mean) / std).argmax(dim=1)
    new = torch.randn(1, 1, 16, 16)
    new[0, 0, :, 5] += 2  # vertical
    guess = model((new - mean) / std).argmax(dim=1).item()
print(f"right: {(answers == y_test).float().mean():.0%}")
print(f"always answering 0: {(y_test == 0).float().mean():.0%}")
print("new image:", guess)

# %%
# .. check::

assert (answers == y_test).float().mean() > 0.85, "far better than guessing"
assert guess == 1, "the new bar is vertical"

# %%
# What you learned
# ----------------
# - With windows of three, L convolutions in a row see 1 + 2L cells in each
#   direction. Without ReLU, the gradient of one output shows these cells.
# - A residual connection adds the input of a layer to its output. This adds 1
#   to the slope.
# - A plain network with many layers can learn badly, even with batch
#   normalization. With residual connections, ours did not.
# - Where the shapes differ, a 1 × 1 convolution brings x to the new shape.
# - Do not add in place, because that changes the tensor of the caller.
#
# Exercises
# ---------
# 1. **Predict.** How many cells do four layers with windows of *five* cells
#    see? And in the chain of ten layers, which slope does the residual chain
#    have if the layers multiply by −0.1?
# 2. **Change.** Replace the batch normalization with
#    :class:`torch.nn.Identity`, which returns its input. How large is the
#    gradient of the first layer with 21 convolutions?
# 3. **Extend.** Let the first of three layers have ``stride=2``. Measure how
#    many cells of a row one output sees, and explain the number.

# %%
# .. answer:: 1
#
#    Each layer adds two cells on each side, so it is 1 + 4 · 4 = 17. The slope
#    of each residual layer is 1 − 0.1 = 0.9, and 0.9¹⁰ is 0.35.

row = torch.zeros(1, 1, 31, requires_grad=True)
h = row
for _ in range(4):
    h = nn.Conv1d(1, 1, kernel_size=5, padding=2)(h)
h[0, 0, 15].backward()

x = torch.tensor(1.0, requires_grad=True)
h = x
for _ in range(10):
    h = h - 0.1 * h
h.backward()
print((row.grad != 0).sum().item(), f"{x.grad.item():.2f}")

# %%
# .. check::

assert (row.grad != 0).sum() == 17, "17 cells"
assert abs(x.grad - 0.35) < 0.005, "0.35"

# %%
# .. answer:: 2
#
#    Now the slope of a plain layer is smaller than 1, so the gradient vanishes.
#    With the addition it does not. (The name ``images`` now means those of the
#    recipe, so we take the digits again.)

images = train_set.x[:, 0, ::2, ::2]
without = {}
for kind in ["plain", "residual"]:
    torch.manual_seed(0)
    model = FiveNetworks(blocks=10, residual=(kind == "residual"))
    for block in model.blocks:
        block.norm1 = nn.Identity()
        block.norm2 = nn.Identity()
    losses_of(model, images[:100], train_set.y[:100]).sum().backward()
    without[kind] = model.first.weight.grad.reshape(5, -1).norm(dim=1)
    print(f"{kind}: {without[kind].mean():.0e}")

# %%
# .. check::

assert without["plain"].max() < 1e-6, "vanishes"
assert without["residual"].min() > 1e-3, "does not vanish"

# %%
# .. answer:: 3
#
#    One output sees 11 cells. The two layers after the first see 1 + 2 · 2 = 5
#    of its outputs. These lie two cells apart, so their middles span 9 cells,
#    and the window of the first layer adds one on each side. Without the
#    stride it would be 7.

row = torch.zeros(1, 1, 32, requires_grad=True)
h = nn.Conv1d(1, 1, kernel_size=3, stride=2, padding=1)(row)  # 16 cells
h = nn.Conv1d(1, 1, kernel_size=3, padding=1)(h)
h = nn.Conv1d(1, 1, kernel_size=3, padding=1)(h)
h[0, 0, 8].backward()
print((row.grad != 0).sum().item())

# %%
# .. check::

assert (row.grad != 0).sum() == 11, "11 cells"
