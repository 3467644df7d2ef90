"""
Dropout and augmentation as regularizers
========================================

Which helps most when examples are few: dropout, moved images or weight decay?

A network that has more weights than examples can learn its examples by heart.
Weight decay is one remedy, and there are two others that change what the
network sees in each step. *Dropout* hides some of the numbers, and *data
augmentation* changes the images a little. Which of them helps depends on your
data, so you have to measure it.

After this lesson you can

- write dropout by hand, and say what it does in training and in evaluation
- move the training images at random in each step
- compare regularizers fairly, choosing with one set and judging with another
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# Dropout in numbers
# ------------------
# In training, :term:`dropout` sets each number to 0 with a certain probability,
# the *dropout rate*. To make up for this, it divides the others by 1 − rate. A
# rate of ½ doubles them, so of eight ones some become 0 and the others 2. We do
# it by hand, and then with :class:`torch.nn.Dropout`. Each draws its own zeros.

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
# the next layer would get larger numbers in use than in training. After
# ``eval()``, dropout changes nothing.

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
# Where dropout helps
# -------------------
# Take the thermometers of :doc:`/lessons/architectures/03_weight_decay` again.
# Each of 200 cheap ones reads the same temperature with a lot of noise, and the
# model has to predict a good one from 20 samples. Now dropout hides about half
# of the readings, others in each step.


def draw(n):
    warmth = torch.randn(n, 1)
    readings = warmth + 2 * torch.randn(n, 200)
    return readings, warmth + 0.3 * torch.randn(n, 1)  # (n, 200), (n, 1)


def learn_readings(x, y, rate):
    model = nn.Sequential(nn.Dropout(rate), nn.Linear(200, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.002)
    for _ in range(300):
        loss = ((model(x) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


# %%
# For five seeds, 1,000 new samples judge both models. The baseline always
# answers with the mean of the 20 training targets. After ± stands the standard
# deviation of the five.

names = ["no dropout", "dropout", "baseline"]
squares = {name: torch.zeros(5) for name in names}
for seed in range(5):
    torch.manual_seed(seed)
    x, y = draw(20)
    x_test, y_test = draw(1000)
    for name, rate in [("no dropout", 0.0), ("dropout", 0.5)]:
        torch.manual_seed(seed)  # both start at the same weights
        model = learn_readings(x, y, rate)
        with torch.no_grad():
            squares[name][seed] = ((model(x_test) - y_test) ** 2).mean()
    squares["baseline"][seed] = ((y.mean() - y_test) ** 2).mean()

for name in names:
    mean = squares[name].mean()
    print(f"{name}: test error {mean:.2f} ± {squares[name].std():.2f}")

# %%
# Without dropout, the model is worse than the baseline. With dropout its error
# is less than a quarter of the baseline's, for each seed. No reading can be
# relied upon, because it may be hidden in the next step. So the model has to
# use many readings a little, and that is the right answer here.

# %%
# .. check::

assert (squares["no dropout"] > squares["baseline"]).all(), "worse, each seed"
assert (squares["dropout"] < 0.25 * squares["baseline"]).all(), "a quarter"

# %%
# More images from one
# --------------------
# A digit that is moved by a pixel is still the same digit. So we may move the
# training images at random, differently in each step, and keep their labels.
# This is :term:`data augmentation`. In a row of three pixels 1 2 3 with a 0
# added on both sides, three windows fit: 0 1 2, then 1 2 3, then 2 3 0. In an
# image we do this in both directions.
#
# ``shifts`` returns all copies of all images that are moved by at most ``most``
# pixels. For ``most = 1`` there are 3 · 3 = 9 of each. Then ``small`` takes
# every second pixel, so that the training is quick.


def small(images):  # (N, 1, 28, 28)
    return images[:, 0, ::2, ::2].flatten(1)  # (N, 196)


def shifts(images, most):
    size = 28 + 2 * most
    padded = torch.zeros(len(images), 1, size, size)
    padded[:, :, most : most + 28, most : most + 28] = images
    copies = []
    for top in range(2 * most + 1):
        for left in range(2 * most + 1):
            window = padded[:, :, top : top + 28, left : left + 28]
            copies.append(small(window))
    return torch.stack(copies)  # (copies, N, 196)


# %%
# These are the nine copies of one image, as the network sees them.
#
# .. alt:: The same handwritten digit nine times, coarse, each time moved by at
#    most one pixel of the original. They differ a little at the edges of the
#    strokes.

digits, test_set = datasets.mnist()
nine = shifts(digits.x[:1], most=1)  # (9, 1, 196)
figure = plots.image_grid(nine.reshape(9, 14, 14), ncols=9)

# %%
# .. check::

assert shifts(digits.x[:1], 0)[0].equal(small(digits.x[:1])), "0: the original"
assert nine[4].equal(small(digits.x[:1])), "the middle one is the original"
assert len(nine.unique(dim=0)) == 9, "nine different images"

# %%
# On real data
# ------------
# Now all three remedies try to improve the same network. It learns from 100
# images, as in the lesson before. In each step, one copy of every image is
# drawn at random. Dropout acts on the pixels and on the 32 hidden numbers. A
# remedy that is not used gets a 0.


def learn(seed, copies, y, decay, rate):  # copies: (copies, N, 196)
    torch.manual_seed(seed)
    layers = [nn.Dropout(rate), nn.Linear(196, 32), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Dropout(rate), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=decay
    )
    for _ in range(300):
        drawn = torch.randint(len(copies), (len(y),))
        scores = model(copies[drawn, torch.arange(len(y))])
        optimizer.zero_grad()
        cross_entropy(scores, y).backward()
        optimizer.step()
    return model.eval()


# %%
# Each remedy has a strength, and 200 validation images choose it. These images
# are not moved, because we want to know how the network does on ordinary ones.


def accuracy(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


def choose(seed, settings):
    torch.manual_seed(seed)
    order = torch.randperm(10_000)
    train, val, _ = order.split([100, 200, 9700])
    models = []
    on_val = []
    for decay, rate, most in settings:
        copies = shifts(digits.x[train], most)
        model = learn(seed, copies, digits.y[train], decay, rate)
        models.append(model)
        on_val.append(accuracy(model, small(digits.x[val]), digits.y[val]))
    return models[on_val.index(max(on_val))]


# %%
# For each of five seeds, with 100 other images and another start, the 2,000
# test images judge the chosen models. We compare each remedy with no remedy on
# the same seed. After ± stands the standard error of the mean difference.

remedies = {  # decay, rate, most
    "no remedy": [(0, 0, 0)],
    "weight decay": [(0.001, 0, 0), (0.01, 0, 0)],
    "dropout": [(0, 0.2, 0), (0, 0.5, 0)],
    "moved images": [(0, 0, 1), (0, 0, 2)],
}

# %%
# We print the mean accuracy of each remedy, and how much more it is than
# without any remedy.

right = {}
for name, settings in remedies.items():
    shares = []
    for seed in range(5):
        model = choose(seed, settings)
        shares.append(accuracy(model, small(test_set.x), test_set.y))
    right[name] = 100 * torch.tensor(shares)

for name in remedies:
    gain = right[name] - right["no remedy"]
    error = gain.std() / 5**0.5
    print(f"{name}: {right[name].mean():.1f}%, spread {right[name].std():.1f}")
    print(f"    more than no remedy: {gain.mean():.1f} ± {error:.1f}")

# %%
# Moved images help for each of the five seeds, by about 4 percentage points
# on average. Dropout and weight decay change the accuracy by less than a
# point, which is too little to call it a help. Yet dropout was a great help
# with the thermometers. There, 200 inputs said the same. Here the network has
# seen too few ways to write a digit, and only moved images show it more of
# them. (This holds for this network, 100 images and one learning rate. In the
# lesson before, weight decay did lower the *loss* of such a network. Here we
# look at the accuracy.)
#
# .. alt:: Accuracy on the test images, five points each for no remedy,
#    weight decay, dropout and moved images. The first three groups lie
#    around 73%, where a dotted line marks the mean without a remedy. The
#    moved images lie around 77%.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
for place, shares in enumerate(right.values()):
    axis.plot([place] * 5, shares.tolist(), "o", color="C0", alpha=0.6)
axis.axhline(
    right["no remedy"].mean().item(), color="black", linestyle=":", label="mean"
)
axis.set(ylabel="test accuracy (%)", xticks=range(4), xlim=(-0.5, 3.5))
axis.set_xticklabels(right)
axis.legend(title="no remedy", loc="upper left")

# %%
# .. check::

assert (right["moved images"] > right["no remedy"]).all(), "for each seed"
assert 2.8 < (right["moved images"] - right["no remedy"]).mean() < 5, "about 4"
assert abs((right["dropout"] - right["no remedy"]).mean()) < 1, "dropout"
assert abs((right["weight decay"] - right["no remedy"]).mean()) < 1, "decay"

# %%
# What goes wrong
# ---------------
# **eval() is forgotten.** Then dropout goes on hiding numbers while the model
# is tested. We test a model that was trained with dropout, twice in training
# mode and once after ``eval()``.

train = torch.randperm(10_000)[:100]
copies = shifts(digits.x[train], most=0)  # only the originals
model = learn(0, copies, digits.y[train], decay=0, rate=0.5)
test_pixels = small(test_set.x)
model.train()
first = accuracy(model, test_pixels, test_set.y)
second = accuracy(model, test_pixels, test_set.y)
model.eval()
evaluated = accuracy(model, test_pixels, test_set.y)
print(f"training mode: {first:.1%}, then {second:.1%}; eval: {evaluated:.1%}")

# %%
# There is no error. But the accuracy is more than ten points lower, and it
# differs from call to call. That two calls disagree is the sign to look for.
#
# **The validation set is augmented, too.** Suppose that we first make nine
# copies of each of 50 images, and then split the 450 at random. So copies of
# the same image are on both sides. For five seeds, we compare the accuracy on
# the validation part with that on the test images.

leaked = torch.zeros(5)
honest = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    few = torch.randperm(10_000)[:50]
    pixels = shifts(digits.x[few], most=1).flatten(0, 1)  # (450, 196)
    labels = digits.y[few].repeat(9)
    train, val = torch.randperm(450).split([360, 90])
    x = pixels[train].unsqueeze(0)  # (1, 360, 196), no more copies
    model = learn(seed, x, labels[train], decay=0, rate=0)
    leaked[seed] = accuracy(model, pixels[val], labels[val])
    honest[seed] = accuracy(model, test_pixels, test_set.y)

print(f"validation: {leaked.mean():.1%} ± {leaked.std():.1%}")
print(f"test:       {honest.mean():.1%} ± {honest.std():.1%}")

# %%
# The validation set promises more than 90%, because the network has nearly seen
# those images. New ones it reads far worse. So split first, and then augment
# only the training images.

# %%
# .. check::

assert first < evaluated - 0.1, "more than ten points lower"
assert second < evaluated - 0.1, "the second time, too"
assert first != second, "two calls disagree"
assert leaked.mean() > 0.9, "promises more than 90%"
assert (leaked > honest + 0.08).all(), "far worse on new images"

# %%
# Recipe
# ------
# ``move`` works for images of any size whose background is 0. It moves each
# image of a batch by its own random number of pixels.

import torch
from torch import nn

from handbook import datasets


def move(images, most):  # (N, C, H, W)
    n, channels, height, width = images.shape
    padded = torch.zeros(n, channels, height + 2 * most, width + 2 * most)
    padded[:, :, most : most + height, most : most + width] = images
    moved = torch.empty_like(images)
    for i in range(n):
        top = torch.randint(2 * most + 1, ()).item()
        left = torch.randint(2 * most + 1, ()).item()
        moved[i] = padded[i, :, top : top + height, left : left + width]
    return moved


# %%
# ``move`` and ``train()`` belong to the training steps.


def fit(x, y, rate, most, steps=150):
    layers = [nn.Flatten(), nn.Linear(x[0].numel(), 64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Dropout(rate), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    model.train()
    for _ in range(steps):
        batch = torch.randint(len(x), (50,))
        optimizer.zero_grad()
        scores = model(move(x[batch], most))
        nn.functional.cross_entropy(scores, y[batch]).backward()
        optimizer.step()
    return model


# %%
# ``eval()`` belongs to the judging.


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


# %%
# Split first, into 200 images for training and 200 for validation.

torch.manual_seed(0)
digits, test_set = datasets.mnist()
rows = torch.randperm(len(digits.x))[:400]
x_train, x_val = digits.x[rows].split(200)
y_train, y_val = digits.y[rows].split(200)

# %%
# Then train once with each pair of a dropout rate and a number of pixels.

models = []
on_val = []
for rate, most in [(0.0, 0), (0.5, 0), (0.0, 2), (0.5, 2)]:
    model = fit(x_train, y_train, rate, most)
    models.append(model)
    on_val.append(accuracy(model, x_val, y_val))

# %%
# The best one is judged by the test set, and reads a new image.

best = models[on_val.index(max(on_val))]
on_test = accuracy(best, test_set.x, test_set.y)
print("validation:", [round(score, 3) for score in on_val])
answer = best(test_set.x[:1]).argmax().item()
print(f"test: {on_test:.1%}, the first image is a {answer}")

# %%
# .. check::

assert on_test > 0.75, "it reads new images"
assert accuracy(best, test_set.x, test_set.y) == on_test, "no dropout in tests"
assert accuracy(best, x_val, y_val) == max(on_val), "the best one"
assert move(x_val, 0).equal(x_val), "0 pixels: not moved"
assert len(move(torch.ones(50, 1, 1, 1), 1).unique()) == 2, "each its own way"

# %%
# What you learned
# ----------------
# - In training, dropout sets each number to 0 with a probability, the rate, and
#   divides the others by 1 − rate. After ``eval()`` it does nothing.
# - Dropout makes the model use many inputs a little. It helped with 200 noisy
#   readings, and hardly changed the accuracy with 100 digits.
# - Augmentation changes training images in ways that keep the label true. Draw
#   again for each image and each step.
# - Split first, and augment only the training images. The validation set
#   chooses the strength, and the test set judges.
#
# Exercises
# ---------
# 1. **Predict.** What does ``nn.Dropout(0.2)`` make of ones? How many of 10,000
#    ones become 0, and what is the mean? What is it after ``eval()``?
# 2. **Change.** Combine moved images (at most 2 pixels) with a dropout rate of
#    0.2. Over the same five seeds, is it better than moved images alone?
# 3. **Extend.** A table can be augmented as well. Add new noise with a standard
#    deviation of 2 to the 20 training readings in each step, without dropout.
#    How large is the test error?
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
#    Five seeds do not tell. On average it has 0.3 points more, but the standard
#    error is 1.1. Some seeds gain and one loses.

both = torch.zeros(5)
for seed in range(5):
    model = choose(seed, [(0, 0.2, 2)])
    both[seed] = 100 * accuracy(model, test_pixels, test_set.y)
gain = both - right["moved images"]
print(f"more by {gain.mean():.1f} ± {gain.std() / 5**0.5:.1f} points")
print([round(each, 1) for each in gain.tolist()])

# %%
# .. check::

assert abs(gain.mean()) < 2 * gain.std() / 5**0.5, "five seeds do not tell"
assert (gain > 0).any(), "some seeds gain"
assert (gain < 0).sum() == 1, "one loses"

# %%
# .. answer:: 3
#
#    It is about as small as with dropout. The noise, too, makes it costly to
#    rely on few readings.

noisy_squares = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    x, y = draw(20)
    x_test, y_test = draw(1000)
    model = nn.Linear(200, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.002)
    for _ in range(300):
        loss = ((model(x + 2 * torch.randn(20, 200)) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        noisy_squares[seed] = ((model(x_test) - y_test) ** 2).mean()
print(f"{noisy_squares.mean():.2f} ± {noisy_squares.std():.2f}")

# %%
# .. check::

assert abs(noisy_squares.mean() - squares["dropout"].mean()) < 0.05, "as small"
