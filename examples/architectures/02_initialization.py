"""
Vanishing gradients and initialization
======================================

With which numbers should the weights of a deep network start?

Before training, the weights are random numbers. How large should they be? Each
layer multiplies what goes through it by some factor. In a deep network the
factors of many layers are multiplied, and then numbers shrink to almost nothing
or grow without limit. Such a network does not learn, and no error message tells
you why. The cure is one line for each layer, and this lesson shows which.

After this lesson you can

- explain why gradients vanish or explode in a deep network
- calculate how large the weights of a layer should be, and set them to that
  size
- see from the size of each layer's outputs and gradients whether a network can
  start to learn
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets

torch.manual_seed(0)

# %%
# Ten sigmoids in a row
# ---------------------
# Take the number 0 and apply the :term:`sigmoid` ten times in a row. On the way
# back, each operation multiplies the slope by a factor
# (:doc:`/lessons/architectures/01_backpropagation`). If ``s`` is the output of
# a sigmoid, its factor is s · (1 − s). That is at most ¼, at s = ½. So how much
# can be left after ten sigmoids?

x = torch.tensor(0.0, requires_grad=True)
s = x
slope = 1.0
for step in range(1, 11):
    s = torch.sigmoid(s)
    slope = slope * s.item() * (1 - s.item())
    if step in [1, 2, 5, 10]:
        print(f"after {step:2}: slope {slope:.1e}")
s.backward()
print(f"autograd: slope {x.grad.item():.1e}")

# %%
# After ten sigmoids 0.00000039 is left. A weight in front of them would hardly
# move, however wrong it is. This is called a :term:`vanishing gradient`. ReLU
# has the slope 1 for positive numbers, which is one reason why deep networks
# use it. But the slope is also multiplied by the weights of each layer. So
# their size counts, too.

# %%
# .. check::

assert abs(x.grad - slope) < 1e-9, "by hand as autograd"
assert 3.85e-7 < slope < 3.95e-7, "3.9e-7"

# %%
# How large is a sum?
# -------------------
# Each output of a layer is a sum of products, one for each input. How large is
# such a sum? As the *size* of many numbers we take the root of their mean
# square. Let both inputs and weights have size 1. The products have size 1 as
# well. Is the sum of 4, of 100 and of 400 of them 4, 100 and 400 times as
# large?


def size(numbers):
    return (numbers**2).mean().item() ** 0.5


sums = {}
for n in [4, 100, 400]:
    inputs = torch.randn(1000, n)
    weight = torch.randn(n, 1000)
    sums[n] = size(inputs @ weight)
    print(f"{n:3} products: size {sums[n]:.1f}")

# %%
# It is only 2, 10 and 20 times as large, because products with a plus and with
# a minus partly cancel. The size of the sum grows with the root of n. Now let
# the weights be random numbers with the mean 0 and the standard deviation
# :math:`\sigma` (read "sigma"). Then an output y of a layer with n inputs x has
# about the size
#
# .. math::
#
#    \text{size}(y) = \sqrt{n} \cdot \sigma \cdot \text{size}(x)
#
# ReLU replaces about half of the outputs by 0. This halves the mean square, so
# it divides the size by √2. Together, a layer with ReLU multiplies the size by
# :math:`\sqrt{n/2} \cdot \sigma`. We try five values of σ. Two are guesses,
# 0.05 and 0.3. The other three are formulas:
#
# - **Kaiming** initialization (after its first author, Kaiming He, so also *He*
#   initialization) makes the factor 1, so σ = √(2/n). It is the usual start for
#   ReLU.
# - **Xavier** initialization is older, and leaves out the ½ for ReLU. Then the
#   factor is √n · σ, so σ should be √(1/n). On the way back, the sum runs over
#   the *outputs*, so there n is their number. Xavier takes the mean of the two:
#   σ = √(2 / (inputs + outputs)).
# - **nn.Linear** fills its weight and its bias, when you create it, with random
#   numbers between −1/√n and 1/√n, all equally likely. Their standard deviation
#   is √(1/(3n)).
#
# What becomes of the size 1 after ten layers with 100 inputs and outputs?

stds = {
    "too small": 0.05,
    "too large": 0.3,
    "Kaiming": (2 / 100) ** 0.5,
    "Xavier": (2 / 200) ** 0.5,
    "nn.Linear": (1 / 300) ** 0.5,
}
for name, std in stds.items():
    factor = (100 / 2) ** 0.5 * std
    print(f"{name}: {std:.3f}, factor {factor:.2f}")
    print(f"    after ten layers {factor**10:.1e}")

# %%
# ``nn.Linear``, which you use all the time, is hardly better than our small
# guess.

# %%
# .. check::

assert all(0.95 < sums[n] / n**0.5 < 1.05 for n in sums), "the root of n"
assert 2.5e-5 < ((100 / 2) ** 0.5 * 0.05) ** 10 < 3.5e-5, "too small"
assert 1800 < ((100 / 2) ** 0.5 * 0.3) ** 10 < 1900, "too large"
assert (100 / 2) ** 5 * stds["nn.Linear"] ** 10 < 2e-4, "hardly better"
assert abs(nn.Linear(100, 100).weight.std() - stds["nn.Linear"]) < 0.003, (
    "1/(3n)"
)
assert 0.09 < nn.Linear(100, 100).bias.abs().max() <= 0.1, "the bias, too"

# %%
# Ten layers, measured
# --------------------
# Does this hold in a real network, and what about the gradients? The functions
# of ``torch.nn.init`` fill a weight in place (hence the underscore).
# :func:`torch.nn.init.normal_` takes σ, :func:`torch.nn.init.xavier_normal_`
# and :func:`torch.nn.init.kaiming_normal_` calculate it from the shape, and
# :func:`torch.nn.init.zeros_` writes zeros.


def start_weight(weight, start):
    if start == "Xavier":
        nn.init.xavier_normal_(weight)
    elif start == "Kaiming":
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    elif start != "nn.Linear":  # that one is filled already
        nn.init.normal_(weight, std=stds[start])


# %%
# All biases start at 0.


def deep_network(start):
    layers = []
    inputs = 784
    for outputs in 10 * [100] + [10]:
        linear = nn.Linear(inputs, outputs)
        start_weight(linear.weight, start)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers[:-1])  # no ReLU after the scores


# %%
# We take 1,000 digits, with their pixels standardized. So the inputs have the
# size 1.

train_set, test_set = datasets.mnist()
mean = train_set.x.mean()
std = train_set.x.std()
images = (train_set.x[:1000].flatten(1) - mean) / std  # (1000, 784)
labels = train_set.y[:1000]

# %%
# ``sizes_by_depth`` sends images through a network, layer by layer. It notes
# the size of the output of each ReLU (the *activations*), and of the gradient
# at the same places.


def sizes_by_depth(network, x, y):
    activations = []
    for layer in network:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            x.retain_grad()
            activations.append(x)
    cross_entropy(x, y).backward()
    forwards = [size(each.detach()) for each in activations]
    backwards = [size(each.grad) for each in activations]
    return forwards, backwards


# %%
# How much of an image reaches the last ReLU, and how much of the gradient
# reaches the first? We print the smallest and the largest size of five seeds.
# The figure shows all ten layers, for the last seed.

forwards = {}
backwards = {}
for start in stds:
    forwards[start] = []
    backwards[start] = []
    for seed in range(5):
        torch.manual_seed(seed)
        forward, backward = sizes_by_depth(deep_network(start), images, labels)
        forwards[start].append(forward)
        backwards[start].append(backward)
    last = [sizes[-1] for sizes in forwards[start]]
    first = [sizes[0] for sizes in backwards[start]]
    print(f"{start}:")
    print(f"    activations {min(last):.0e}, {max(last):.0e}")
    print(f"    gradients   {min(first):.0e}, {max(first):.0e}")

# %%
# .. alt:: Two panels against the layer, 1 to 10, with a logarithmic scale.
#    Left, the size of the activations: level near 1 for Kaiming, a slow fall to
#    a few hundredths for Xavier, a steep fall for nn.Linear and too small, a
#    steep rise for too large. Right, the size of the gradients: Kaiming is
#    level, Xavier, nn.Linear and too small fall towards the first layer, and
#    too large rises towards it.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
styles = {
    "too small": "v:",
    "too large": "^-.",
    "Kaiming": "o-",
    "Xavier": "s--",
    "nn.Linear": "d:",
}
depth = list(range(1, 11))
for start, style in styles.items():
    axes[0].plot(depth, forwards[start][-1], style, markersize=3, label=start)
    axes[1].plot(depth, backwards[start][-1], style, markersize=3)
axes[0].set(xlabel="layer", ylabel="size of the activations", yscale="log")
axes[1].set(xlabel="layer", ylabel="size of the gradients", yscale="log")
axes[0].legend(fontsize=8)

# %%
# With Kaiming initialization both lines are level. With Xavier, each layer
# multiplies both sizes by about 0.71, as calculated. The small start and
# ``nn.Linear`` lose far more. At the first layer their gradients are thousands
# of times smaller than with Kaiming. With the large start activations and
# gradients *explode* (:term:`exploding gradient`).

# %%
# .. check::

assert all(0.3 < row[-1] / row[0] < 3 for row in forwards["Kaiming"]), "level"
assert all(0.3 < row[0] / row[-1] < 3 for row in backwards["Kaiming"]), "level"
assert all(
    0.6 < (row[-1] / row[0]) ** (1 / 9) < 0.8 for row in forwards["Xavier"]
), "0.71"
assert all(
    0.6 < (row[0] / row[-1]) ** (1 / 9) < 0.8 for row in backwards["Xavier"]
), "0.71"
assert all(row[-1] / row[0] < 1e-3 for row in forwards["too small"]), "vanish"
assert all(row[-1] / row[0] < 1e-3 for row in forwards["nn.Linear"]), "vanish"
assert min(row[0] for row in backwards["Kaiming"]) > 9e-5, "1e-04"
assert all(row[0] < 9e-5 / 2000 for row in backwards["too small"]), "vanish"
assert all(row[0] < 9e-5 / 2000 for row in backwards["nn.Linear"]), "vanish"
assert all(row[-1] / row[0] > 100 for row in forwards["too large"]), "explode"
assert all(row[0] / row[-1] > 100 for row in backwards["too large"]), "explode"

# %%
# Does it learn?
# --------------
# Perhaps a start that is too small only needs larger steps, and one that is too
# large smaller steps. So we try several learning rates with SGD. Two runs use
# AdamW, which adapts its steps to small gradients.

runs = [
    ("too small", torch.optim.SGD, 10),
    ("nn.Linear", torch.optim.SGD, 0.1),
    ("nn.Linear", torch.optim.SGD, 1),
    ("too large", torch.optim.SGD, 0.03),
    ("too large", torch.optim.SGD, 1e-5),
    ("Kaiming", torch.optim.SGD, 0.03),
    ("nn.Linear", torch.optim.AdamW, 0.003),
    ("Kaiming", torch.optim.AdamW, 0.003),
]
test_images = (test_set.x.flatten(1) - mean) / std  # (2000, 784)

# %%
# Each run takes 20 steps.


def learn(start, optimizer_class, lr, seed):
    torch.manual_seed(seed)
    network = deep_network(start)
    optimizer = optimizer_class(network.parameters(), lr=lr)
    for step in range(1, 21):
        rows = torch.randint(0, 1000, (50,))  # a mini-batch
        loss = cross_entropy(network(images[rows]), labels[rows])
        if loss.isnan():
            print(f"    step {step}: loss {loss.item()}")
            break  # it will not recover
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


# %%
# We print the mean accuracy of five seeds on 2,000 test images, and the
# standard deviation of the five. (Guessing would give 10%.)

accuracy = {}
for start, optimizer_class, lr in runs:
    shares = []
    for seed in range(5):
        network = learn(start, optimizer_class, lr, seed)
        with torch.no_grad():
            answers = network(test_images).argmax(dim=1)
        shares.append((answers == test_set.y).float().mean())
    shares = torch.stack(shares)
    accuracy[start, lr] = shares.mean()
    print(f"{start}, {optimizer_class.__name__}, lr {lr}:")
    print(f"    {shares.mean():.1%} ± {shares.std():.1%}")

# %%
# From the small start and from the weights of ``nn.Linear``, SGD does not get
# beyond guessing in these 20 steps, even with large steps. Almost nothing of an
# image reaches the scores, and almost nothing of the gradient reaches the first
# layers. And these are the weights you get if you do nothing, without an error.
# AdamW gets beyond guessing from them, but with Kaiming it gets much further.
# (Many deep networks also have layers that correct the sizes on the way, such
# as the :term:`normalization` in :doc:`/lessons/networks/07_normalization`.)
#
# With the large start and lr 0.03, the numbers overflow to ``nan`` at the third
# step. With steps of 0.00001 the network learns, but slowly. (20 steps show how
# fast a start is, not where it ends.)

# %%
# .. check::

assert accuracy["too small", 10] < 0.12, "guessing"
assert accuracy["nn.Linear", 0.1] < 0.12, "guessing"
assert accuracy["nn.Linear", 1] < 0.12, "guessing"
assert accuracy["too large", 0.03] < 0.12, "nan"
assert 0.15 < accuracy["too large", 1e-5] < 0.35, "it learns"
assert accuracy["too large", 1e-5] < accuracy["Kaiming", 0.03] - 0.1, "slowly"
assert accuracy["nn.Linear", 0.003] > 0.13, "AdamW learns"
assert accuracy["Kaiming", 0.003] > accuracy["nn.Linear", 0.003] + 0.2, (
    "further"
)

# %%
# Recipe
# ------
# Start the weights, and look at the sizes by depth before you train. The data
# are made up: does a point lie in a circle? ``x`` is standardized already. With
# your data, do that first.

import torch
from torch import nn

torch.manual_seed(0)
layers = [nn.Linear(2, 64), nn.ReLU()]
for _ in range(10):
    layers += [nn.Linear(64, 64), nn.ReLU()]
model = nn.Sequential(*layers, nn.Linear(64, 2))

for layer in model:
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)

# %%
# Now, after each layer, how much do its outputs differ *from point to point*?
# That is what the network can learn from. We take the standard deviation of
# each output over the points, and the mean of these. (``size`` would also count
# biases, should yours not be 0.) With Kaiming the numbers fall slowly, because
# deep ReLU layers make all points a little more alike. A factor of ten is fine.

x = torch.randn(600, 2)  # mean 0 and standard deviation 1
y = ((x**2).sum(dim=1) < 1.4).long()  # 1 inside, 0 outside
values = x[:400]
sizes = []
for layer in model:
    values = layer(values)
    if isinstance(layer, nn.Linear):
        sizes.append(round(values.std(dim=0).mean().item(), 2))
print(sizes)

# %%
# Then train, test it on the other 200 points, and ask about a new point. (``p``
# holds the probabilities of outside and inside.)

optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for _ in range(200):
    loss = nn.functional.cross_entropy(model(x[:400]), y[:400])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

with torch.no_grad():
    right = (model(x[400:]).argmax(dim=1) == y[400:]).float().mean()
    p = torch.softmax(model(torch.tensor([[0.1, 0.2]])), dim=1)
print(f"right: {right:.0%}, the point (0.1, 0.2) is inside: {p[0, 1]:.2f}")

# %%
# .. check::

assert right > 0.9, "the recipe learns"
assert p[0, 1] > 0.5, "the point is inside"
assert max(sizes) < 10 * min(sizes), "within a factor of ten"

# %%
# What you learned
# ----------------
# - Each layer multiplies the size of activations and gradients by a factor. In
#   a deep network these factors make numbers vanish or explode.
# - With ReLU, start with Kaiming, σ = √(2/n), where n is the number of inputs.
#   What ``nn.Linear`` starts with is so small that deep networks with ReLU
#   hardly learn with SGD.
# - Do not start all weights at the same number, such as 0 (exercise 3). Biases
#   may start at 0.
# - Before you train a deep network, look at the sizes by depth.
#
# Exercises
# ---------
# 1. **Predict.** A layer has 50 inputs and 200 outputs. What is σ for Kaiming,
#    and what for Xavier? And if six layers with 50 inputs and ReLU start with
#    σ = 0.1, what has become of the size 1 after them?
# 2. **Change.** Instead of the sizes, print the loss of a new network for each
#    of the five starts. Guessing evenly among ten digits gives ln 10 = 2.303.
#    Which faults does this first loss show, and which does it not show?
# 3. **Extend.** Start all weights and biases of a network with two layers at 0,
#    and train it. Which parameters move? Start them at 0.01. A row of the first
#    weight belongs to each of the 32 hidden numbers. How much do these rows
#    differ after training?

# %%
# .. answer:: 1
#
#    For Kaiming σ is √(2/50) = 0.2, for Xavier √(2/250) = 0.089. With σ = 0.1
#    each layer has the factor √25 · 0.1 = ½, so after six layers about 1/64 is
#    left. (With so few random numbers, it is not exact.)

weight = torch.zeros(200, 50)  # outputs, inputs
print(f"Kaiming {nn.init.kaiming_normal_(weight).std().item():.3f}")
print(f"Xavier  {nn.init.xavier_normal_(weight).std().item():.3f}")
values = torch.randn(1000, 50)
for _ in range(6):
    values = torch.relu(values @ (0.1 * torch.randn(50, 50)))
print(f"size {size(values):.4f}, and 1/64 is {1 / 64:.4f}")

# %%
# .. check::

assert 0.008 < size(values) < 0.03, "about 1/64"

# %%
# .. answer:: 2
#
#    With the large start, the first loss is more than 10,000, because the
#    scores are far too large. With the small start and ``nn.Linear`` it is
#    2.303. This looks right, but it only says that all scores are nearly 0,
#    because almost nothing of the images reaches them. So the first loss shows
#    a start that is too large, but not one that is too small. Kaiming's 3.3
#    does no harm. (The last layer has no ReLU after it, so √(1/n) would be
#    enough there.)

first_losses = {}
for start in stds:
    torch.manual_seed(0)
    with torch.no_grad():
        first_losses[start] = cross_entropy(deep_network(start)(images), labels)
    print(f"{start}: {first_losses[start].item():.3f}")

# %%
# .. check::

assert first_losses["too large"] > 10_000, "far too large"
assert 2.5 < first_losses["Kaiming"] < 4.5, "about 3.3"
assert abs(first_losses["too small"] - 2.303) < 0.001, "ln 10"
assert abs(first_losses["nn.Linear"] - 2.303) < 0.001, "ln 10"

# %%
# .. answer:: 3
#
#    From 0, only the last bias moves, so the ten scores are the same for every
#    image. The gradient of the second weight is a product with H, the output of
#    ReLU, and H is 0. What the second layer passes back is a product with its
#    weight, which is 0, too. So the first layer gets nothing, at any step.
#
#    From 0.01, the weights move, but all hidden numbers are equal and stay
#    equal, as if there were only one. So the rows do not differ at all. Random
#    numbers make the hidden numbers differ.


def train_from(value):
    network = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(20):
        loss = cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


from_zero = train_from(0.0)
for name, parameter in from_zero.named_parameters():
    print(name, "largest:", parameter.abs().max().item())
rows = train_from(0.01)[0].weight.detach()  # (32, 784)
print("moved:", (rows - 0.01).abs().max().item())
print("largest difference of two rows:", (rows - rows[0]).abs().max().item())

# %%
# .. check::

assert from_zero[0].weight.abs().max() == 0, "the first weight stays"
assert from_zero[0].bias.abs().max() == 0, "the first bias"
assert from_zero[2].weight.abs().max() == 0, "the second weight"
assert from_zero[2].bias.abs().max() > 0.02, "the last bias moves"
assert (rows - 0.01).abs().max() > 1e-3, "the weights have moved"
assert torch.allclose(rows, rows[:1], atol=1e-5), "but all in the same way"
