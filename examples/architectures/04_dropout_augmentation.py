"""
Dropout and augmentation as regularizers
========================================

Which helps most when examples are few: dropout, moved images or weight decay?

A network that has more weights than examples can learn its examples by heart.
Weight decay is one remedy, and there are two others that change what the
network sees in each step. *Dropout* hides some of the numbers, and *data
augmentation* changes the images a little.

After this lesson you can

- write dropout by hand, and say what it does in training and in evaluation
- move the training images at random in each step
- compare regularizers fairly: choose with one set of data and judge with
  another
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy, pad

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# Dropout in numbers
# ------------------
# In training, :term:`dropout` sets each number to 0 with a certain probability,
# the *dropout rate*. To make up for this, it divides the others by 1 − rate. A
# rate of ½ doubles them, so of eight ones some become 0 and the others 2. We do
# it by hand, and then with :class:`torch.nn.Dropout`. Each draws its own zeros.
# (In ``ones * keep``, True counts as 1.)

ones = torch.ones(8)
rate = 0.5
keep = torch.rand(8) >= rate  # True with probability 1 − rate
print("by hand: ", (ones * keep / (1 - rate)).tolist())

dropout = nn.Dropout(rate)
answer = dropout(ones)
print("training:", answer.tolist())
many = dropout(torch.ones(10_000))
print(f"mean of 10,000: {many.mean():.2f}")

dropout.eval()
print("eval:    ", dropout(ones).tolist())

# %%
# The mean stays close to 1, because ½ · 0 + ½ · 2 = 1. Without the division,
# the next layer would get larger numbers after training than during it. After
# ``eval()``, dropout changes nothing.
#
# Why should that help? Let a weight w read a 1, and let the target be 3. With a
# rate of ½ the answer is 0 or 2w, each half of the time. So the mean squared
# error is
#
# .. math::
#
#    \tfrac12 (0 - 3)^2 + \tfrac12 (2w - 3)^2 = (w - 3)^2 + w^2
#
# The last term, w², is the penalty of weight decay
# (:doc:`/lessons/architectures/03_weight_decay`). So here dropout makes a large
# weight costly, and the best w is no longer 3 but 1.5.

# %%
# .. check::

assert set((ones * keep / (1 - rate)).tolist()) == {0.0, 2.0}, "by hand: 0 or 2"
assert set(many.tolist()) == {0.0, 2.0}, "nn.Dropout: 0 or 2"
assert answer.equal(ones * (answer != 0) / (1 - rate)), (
    "same zeros, same result"
)
assert abs(many.mean() - 1) < 0.06, "the mean stays close to 1"
assert dropout(ones).equal(ones), "eval() leaves the ones"

# %%
# More images from one
# --------------------
# A digit that is moved by a pixel is still the same digit. So we may move the
# training images at random, differently in each step, and keep their labels.
# This is :term:`data augmentation`. Take a row of three pixels, 1 2 3, and add
# a 0 on both sides. The row is now 0 1 2 3 0. A window of three numbers fits in
# three places: 0 1 2, 1 2 3 and 2 3 0. In an image we do this in both
# directions.
#
# ``shifts`` returns every copy of every image, moved by at most ``max_shift``
# pixels in each direction. For ``max_shift=1`` an image has 3 · 3 = 9 copies.
# :func:`torch.nn.functional.pad` adds the zeros.


def shifts(images, max_shift):  # (N, 1, 28, 28)
    padded = pad(images, [max_shift] * 4)  # on all four sides
    copies = []
    for top in range(2 * max_shift + 1):
        for left in range(2 * max_shift + 1):
            window = padded[:, :, top : top + 28, left : left + 28]
            copies.append(window.flatten(1))
    return torch.stack(copies)  # (copies, N, 784)


# %%
# .. alt:: The same handwritten digit nine times, each time moved by at most one
#    pixel. You have to look closely to see a difference.

digits, test_set = datasets.mnist()
nine = shifts(digits.x[:1], max_shift=1)  # (9, 1, 784)
figure = plots.image_grid(nine.reshape(9, 28, 28), ncols=9)

# %%
# .. check::

assert shifts(digits.x[:1], 0)[0].equal(digits.x[:1].flatten(1)), "0: as it is"
assert nine[4].equal(digits.x[:1].flatten(1)), "the middle one is the original"
assert len(nine.unique(dim=0)) == 9, "nine different images"

# %%
# On real data
# ------------
# Now we try all three remedies on the same network. It learns from 100 images,
# as in the lesson before. In each step, one copy of every image is drawn at
# random. Dropout acts on the pixels and on the 32 hidden numbers. A strength of
# 0 switches a remedy off.


def learn(seed, copies, y, decay, rate):  # copies: (copies, N, 784)
    torch.manual_seed(seed)
    layers = [nn.Dropout(rate), nn.Linear(784, 32), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Dropout(rate), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=decay
    )
    for _ in range(100):
        drawn = torch.randint(len(copies), (len(y),))
        x = copies[drawn, torch.arange(len(y))]  # one copy of each image
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval()


# %%
# 1,000 validation images choose the strength. These images are not moved,
# because we want to know how the network does on ordinary ones. ``choose``
# trains one model for each strength, and returns the one with the best
# validation accuracy. (In a real task with so few labels, you would keep most
# of them for training. Here, many of them make the choice less a matter of
# luck.)


def accuracy(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


def choose(seed, strengths):
    torch.manual_seed(seed)
    train, val, _ = torch.randperm(10_000).split([100, 1000, 8900])
    models = []
    on_val = []
    for decay, rate, max_shift in strengths:
        copies = shifts(digits.x[train], max_shift)
        model = learn(seed, copies, digits.y[train], decay, rate)
        models.append(model)
        x = digits.x[val].flatten(1)
        on_val.append(accuracy(model, x, digits.y[val]))
    return models[on_val.index(max(on_val))]


# %%
# Each remedy gets two strengths.

remedies = {  # decay, rate, max_shift
    "no remedy": [(0, 0, 0)],
    "weight decay": [(0.001, 0, 0), (0.01, 0, 0)],
    "dropout": [(0, 0.2, 0), (0, 0.5, 0)],
    "moved images": [(0, 0, 1), (0, 0, 2)],
}

# %%
# We repeat this for five seeds, each with 100 other images and another start.
# The 2,000 test images judge the chosen models. We print the mean accuracy, and
# how much higher it is than with no remedy on the same seeds. After ± stands
# the standard error of this mean: the standard deviation of the five
# differences, divided by √5.

test_x = test_set.x.flatten(1)
percent = {}
for name, strengths in remedies.items():
    percent[name] = torch.zeros(5)
    for seed in range(5):
        model = choose(seed, strengths)
        percent[name][seed] = 100 * accuracy(model, test_x, test_set.y)

for name, shares in percent.items():
    gain = shares - percent["no remedy"]
    error = gain.std() / 5**0.5
    print(f"{name}: {shares.mean():.1f}%")
    print(f"    more than no remedy: {gain.mean():.1f} ± {error:.1f}")

# %%
# Moved images help with each of the five seeds, by about 3 percentage points on
# average. They tell the network something new: a digit that moves stays the
# same. Weight decay and dropout change the mean by less than two standard
# errors. Chance alone often does that, so five seeds cannot tell whether they
# help or harm. (This holds for this network, 100 images, 100 steps, one
# learning rate and two strengths each.)
#
# .. alt:: Accuracy on the test images, five points each for no remedy,
#    weight decay, dropout and moved images. The first three groups lie
#    around 74%, where a dotted line marks the mean without a remedy. The
#    moved images lie around 77%.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
for place, shares in enumerate(percent.values()):
    axis.plot([place] * 5, shares.tolist(), "o", color="C0", alpha=0.6)
mean = percent["no remedy"].mean().item()
axis.axhline(mean, color="black", linestyle=":", label="mean without a remedy")
axis.set(ylabel="test accuracy (%)", xticks=range(4), xlim=(-0.5, 3.5))
axis.set_xticklabels(percent)
axis.legend(loc="upper left")

# %%
# .. check::

assert (percent["moved images"] > percent["no remedy"]).all(), "for each seed"
assert abs((percent["moved images"] - percent["no remedy"]).mean() - 3) < 1, (
    "about 3"
)
assert all(
    abs((percent[name] - percent["no remedy"]).mean())
    < 2 * (percent[name] - percent["no remedy"]).std() / 5**0.5
    for name in ["weight decay", "dropout"]
), "less than two standard errors"
assert all(
    abs(percent[name].mean() - 74) < 2
    for name in ["no remedy", "weight decay", "dropout"]
), "around 74%"
assert abs(percent["moved images"].mean() - 77) < 2, "around 77%"

# %%
# What goes wrong
# ---------------
# **eval() is forgotten.** Then dropout goes on hiding numbers while the model
# is tested. We test a model that was trained with dropout, twice in training
# mode and once after ``eval()``.

train = torch.randperm(10_000)[:100]
copies = shifts(digits.x[train], max_shift=0)  # only the originals
model = learn(0, copies, digits.y[train], decay=0, rate=0.5)
model.train()
first = accuracy(model, test_x, test_set.y)
second = accuracy(model, test_x, test_set.y)
model.eval()
evaluated = accuracy(model, test_x, test_set.y)
print(f"training mode: {first:.1%}, then {second:.1%}; eval: {evaluated:.1%}")

# %%
# There is no error, but the accuracy is more than ten points lower, and it
# differs from call to call. That two calls disagree is the sign to look for.
#
# **The images are augmented before the split.** Suppose that we first make nine
# copies of each of 30 images, and then split the 270 copies at random. Then
# copies of the same image are on both sides. We compare the accuracy on the
# validation part with that on the test images, for five seeds.

leaked = torch.zeros(5)
honest = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    few = torch.randperm(10_000)[:30]
    pixels = shifts(digits.x[few], max_shift=1).flatten(0, 1)  # (270, 784)
    labels = digits.y[few].repeat(9)
    train, val = torch.randperm(270).split([220, 50])
    x = pixels[train].unsqueeze(0)  # (1, 220, 784), no more copies
    model = learn(seed, x, labels[train], decay=0, rate=0)
    leaked[seed] = accuracy(model, pixels[val], labels[val])
    honest[seed] = accuracy(model, test_x, test_set.y)

print("validation:", [f"{share:.0%}" for share in leaked])
print("test:      ", [f"{share:.0%}" for share in honest])

# %%
# The validation set promises more than 90%, because the network has nearly seen
# those images. It reads new ones far worse. So split first, and then augment
# only the training images.

# %%
# .. check::

assert first < evaluated - 0.1, "more than ten points lower"
assert second < evaluated - 0.1, "the second time, too"
assert first != second, "two calls disagree"
assert leaked.min() > 0.9, "promises more than 90%"
assert (leaked > honest + 0.15).all(), "far worse on new images"

# %%
# Recipe
# ------
# ``move`` works for images of any size whose background is 0. It moves each
# image of a batch by its own random number of pixels. Call ``move`` and
# ``train()`` in training only, and ``eval()`` before you judge. (For other
# changes of images, see :doc:`/lessons/networks/06_transforms`.)

import torch
from torch import nn

from handbook import datasets


def move(images, max_shift):  # (N, C, H, W)
    height, width = images.shape[2:]
    padded = nn.functional.pad(images, [max_shift] * 4)
    moved = torch.empty_like(images)
    for i in range(len(images)):
        top = torch.randint(2 * max_shift + 1, ()).item()
        left = torch.randint(2 * max_shift + 1, ()).item()
        moved[i] = padded[i, :, top : top + height, left : left + width]
    return moved


# %%
# The model is trained with dropout and moved images.


def fit(x, y, rate, max_shift, steps=100):
    layers = [nn.Flatten(), nn.Linear(x[0].numel(), 64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Dropout(rate), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    model.train()
    for _ in range(steps):
        batch = torch.randint(len(x), (50,))
        optimizer.zero_grad()
        scores = model(move(x[batch], max_shift))
        nn.functional.cross_entropy(scores, y[batch]).backward()
        optimizer.step()
    return model


# %%
# The accuracy is measured without either.


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


# %%
# There are 200 images for training, and 2,000 for choosing.

# Split first
torch.manual_seed(0)
digits, test_set = datasets.mnist()
rows = torch.randperm(len(digits.x))
train, val, _ = rows.split([200, 2000, len(rows) - 2200])

# Train once with each pair of a dropout rate and a largest shift
models = []
on_val = []
for rate, max_shift in [(0.0, 0), (0.5, 0), (0.0, 1), (0.5, 1)]:
    model = fit(digits.x[train], digits.y[train], rate, max_shift)
    models.append(model)
    on_val.append(accuracy(model, digits.x[val], digits.y[val]))
print("validation:", [round(score, 3) for score in on_val])

# %%
# With 2,000 images, each accuracy is known only to within about ±2 points, so
# this choice is a close one. The best one is judged by the test set, and reads
# a new image.

best = models[on_val.index(max(on_val))]
on_test = accuracy(best, test_set.x, test_set.y)
with torch.no_grad():
    answer = best(test_set.x[:1]).argmax().item()
print(f"test: {on_test:.1%}")
print(f"the first image is a {test_set.y[0]}, the answer {answer}")

# %%
# .. check::

assert on_test > 0.75, "it reads new images"
assert accuracy(best, test_set.x, test_set.y) == on_test, "no dropout in tests"
assert move(digits.x[val], 0).equal(digits.x[val]), "0 pixels: not moved"
assert len(move(torch.ones(50, 1, 1, 1), 1).unique()) == 2, "each its own way"

# %%
# What you learned
# ----------------
# - In training, dropout sets each number to 0 with a probability, the rate, and
#   divides the others by 1 − rate. After ``eval()`` it does nothing.
# - For one weight, dropout acted like weight decay: it made a large weight
#   costly. Five seeds could not tell whether it helps with 100 digits.
# - Augmentation changes training images in ways that keep the label true.
#   Change each image again in each step. Moved images helped with each seed.
# - Split first, and augment only the training images. The validation set
#   chooses the strength, and the test set judges.
#
# Exercises
# ---------
# 1. **Predict.** What does ``nn.Dropout(0.2)`` make of ones? How many of 10,000
#    ones become 0, and what is the mean? What is it after ``eval()``?
# 2. **Change.** Move the images by at most 4 pixels instead. Does it still
#    help?
# 3. **Extend.** Let a model with one weight learn from 1,000 ones with the
#    target 3, through ``nn.Dropout(0.5)``. Which weight does SGD find?
#
# Next comes a network that shares its weights between all places of an image,
# so that it needs fewer of them: :doc:`/lessons/architectures/05_cnn`.

# %%
# .. answer:: 1
#
#    Each one becomes 0 or 1 / 0.8 = 1.25. About 2,000 become 0, and the mean is
#    close to 1. After ``eval()`` all stay 1.

dropout = nn.Dropout(0.2)
answer = dropout(torch.ones(10_000))
zeros = (answer == 0).sum()
print(f"{zeros} zeros, largest {answer.max():.2f}, mean {answer.mean():.2f}")

# %%
# .. check::

assert abs(zeros - 2000) < 200, "about 2,000"
assert abs(answer.max() - 1.25) < 1e-6, "1.25"
assert abs(answer.mean() - 1) < 0.03, "close to 1"

# %%
# .. answer:: 2
#
#    No. For each seed the accuracy is lower than without a remedy, by about 7
#    points on average. Each image now has 9 · 9 = 81 copies, so in 100 steps
#    each copy is drawn only about once. Perhaps more steps would help: change
#    ``range(100)`` and see.

wide = torch.zeros(5)
for seed in range(5):
    model = choose(seed, [(0, 0, 4)])
    wide[seed] = 100 * accuracy(model, test_x, test_set.y)
lower = percent["no remedy"] - wide
print(f"lower by {lower.mean():.1f} ± {lower.std() / 5**0.5:.1f} points")
print([round(each, 1) for each in lower.tolist()])

# %%
# .. check::

assert (lower > 0).all(), "lower for each seed"
assert abs(lower.mean() - 7) < 2, "about 7 points"

# %%
# .. answer:: 3
#
#    It finds about 1.5, and not 3, because 1.5 is where (w − 3)² + w² is
#    smallest. It is not exactly 1.5, since different ones are hidden in each
#    step.

torch.manual_seed(0)
layer = nn.Linear(1, 1, bias=False)
model = nn.Sequential(nn.Dropout(0.5), layer)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(100):
    loss = ((model(torch.ones(1000, 1)) - 3) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"w = {layer.weight.item():.2f}")

# %%
# .. check::

assert abs(layer.weight.item() - 1.5) < 0.1, "about 1.5"
