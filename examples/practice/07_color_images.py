"""
Colour photographs
==================

How does a network learn from photographs in colour, and what can go wrong?

A grey image has one number for each pixel, and a photograph in colour has
three. They come in an order that a convolution does not expect, and if you
change the order in the wrong way, no error tells you. Photographs also make it
easy to test on almost the same pixels as you trained on.

After this lesson you can

- bring photographs into the shape and range that a network needs
- split images by place, so that the test set does not leak
- measure what data augmentation brings, beside honest baselines
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
# A pixel is three numbers
# ------------------------
# An image file holds how much red, green and blue light each pixel gives, as
# whole numbers from 0 to 255. Networks want numbers of about the size 1, so we
# divide by 255. Pure red, (255, 0, 0), becomes 1 0 0.

pixel = torch.tensor([255, 0, 0], dtype=torch.uint8)
print(pixel / 255)

# %%
# The file stores an image as (H, W, C): height, width, channels. A convolution
# wants (C, H, W), which is one whole plane for each colour. Take an image of
# one row with two red pixels. What should its three planes be?

image = torch.tensor([[[1, 0, 0], [1, 0, 0]]])  # (1, 2, 3): H, W, C
permuted = image.permute(2, 0, 1)  # (3, 1, 2): C, H, W
reshaped = image.reshape(3, 1, 2)  # the same shape
print("permute:", permuted.tolist())
print("reshape:", reshaped.tolist())

# %%
# With ``permute``, the red plane holds two ones, and the others are 0. With
# ``reshape`` the shape is the same, but it only cuts the row of six numbers
# into pairs. So the "red" plane holds a red and a green number, and the
# image is scrambled.
#
# Data
# ----
# :func:`handbook.datasets.photos` holds four photographs: a temple, a flower, a
# cat and a cup of coffee. (The first two are by danielbuechele and vultilion,
# CC BY 2.0. The others are by Stefan van der Walt and Rachel Michetti, CC0.)

files, names = datasets.photos()
print(tuple(files.shape), files.dtype)
photos = files.permute(0, 3, 1, 2) / 255  # (4, 3, 128, 192)
mixed = files.reshape(4, 3, 128, 192) / 255  # wrong

# %%
# This is what the two ways look like. (``imshow`` wants (H, W, C) again.)
#
# .. alt:: Above, the four photographs: a temple, a flower, a cat, and a cup of
#    coffee. Below, after reshape, each is a fine grid in false colours. The
#    photograph can hardly be recognized.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 4, figsize=(7.2, 2.9), layout="constrained")
for i in range(4):
    axes[0, i].imshow(photos[i].permute(1, 2, 0).numpy())
    axes[0, i].set_title(names[i])
    axes[1, i].imshow(mixed[i].permute(1, 2, 0).numpy())
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("permute")
axes[1, 0].set_ylabel("reshape")

# %%
# .. check::

assert (pixel / 255).tolist() == [1, 0, 0], "pure red"
assert permuted.tolist() == [[[1, 1]], [[0, 0]], [[0, 0]]], "planes"
assert reshaped.tolist() == [[[1, 0]], [[0, 1]], [[0, 0]]], "scrambled"

# %%
# Split by place
# --------------
# The task: a network sees a small patch of 16 × 16 pixels, and has to say which
# of the four photographs it comes from. If we cut patches anywhere and split
# them at random, many test patches overlap with training patches. So we first
# cut each photograph into 24 blocks of 32 × 32 pixels. Six blocks of each go to
# the test set as a whole, and patches are cut only inside a block.

blocks = []
labels = []
for i in range(4):
    for top in range(0, 128, 32):
        for left in range(0, 192, 32):
            blocks.append(photos[i, :, top : top + 32, left : left + 32])
            labels.append(i)
blocks = torch.stack(blocks)  # (96, 3, 32, 32)
labels = torch.tensor(labels)

# %%
# ``split`` returns the numbers of the training and of the test blocks.


def split(seed):
    torch.manual_seed(seed)
    train = []
    test = []
    for i in range(4):
        order = 24 * i + torch.randperm(24)
        train.append(order[6:])
        test.append(order[:6])
    return torch.cat(train), torch.cat(test)  # (72,), (24,)


# %%
# ``patches`` cuts patches out of the given blocks. With a step of 8 there are
# nine of them in a block.


def patches(rows, step):
    found = []
    answers = []
    for top in range(0, 17, step):
        for left in range(0, 17, step):
            cut = blocks[rows, :, top : top + 16, left : left + 16]
            found.append(cut)
            answers.append(labels[rows])
    return torch.cat(found), torch.cat(answers)


# %%
# Baselines
# ---------
# Before we train a network: how far does a patch get with its mean colour? For
# each test patch we look for the training patch whose mean colour is nearest
# (in the sense of :func:`torch.cdist`), and answer with its photograph. Five
# seeds choose other test blocks.


def nearest(x, y, x_test, y_test):
    distances = torch.cdist(x_test.flatten(1), x.flatten(1))
    answers = y[distances.argmin(dim=1)]
    return (answers == y_test).float().mean().item()


def without_mean(x):
    return x - x.mean(dim=(2, 3), keepdim=True)


# %%
# The second baseline compares whole patches, without their mean colour. We will
# see why.

results = {"mean colour": [], "nearest patch": []}
for seed in range(5):
    train, test = split(seed)
    x, y = patches(train, step=8)
    x_test, y_test = patches(test, step=8)
    colour = x.mean(dim=(2, 3))  # (648, 3)
    colour_test = x_test.mean(dim=(2, 3))
    results["mean colour"].append(nearest(colour, y, colour_test, y_test))
    x = without_mean(x)
    x_test = without_mean(x_test)
    results["nearest patch"].append(nearest(x, y, x_test, y_test))

for name, shares in results.items():
    shares = torch.tensor(shares)
    print(f"{name}: {shares.mean():.1%} ± {shares.std():.1%}")

# %%
# The mean colour alone names the right photograph for almost nine of ten
# patches. That is honest, but then a network would need to learn very little.
# So we make the task harder. ``without_mean`` subtracts the mean colour of each
# patch, so the patch keeps only its pattern, and the differences of colour
# inside it. Now the mean colour is the same for all patches, and a guess is
# right in 25%. To find the most similar training patch gives about 51%. This is
# our baseline.

# %%
# .. check::

assert 0.85 < sum(results["mean colour"]) / 5 < 0.92, "almost nine of ten"
assert 0.46 < sum(results["nearest patch"]) / 5 < 0.56, "about 51%"
assert without_mean(blocks).mean(dim=(2, 3)).abs().max() < 1e-5, "no colour"
assert (labels.bincount() == 24).all(), "a guess: 25%"

# %%
# A residual network with augmentation
# ------------------------------------
# The network has two blocks from :doc:`/lessons/architectures/06_residual`. In
# each step it gets 32 patches. Without augmentation these come from the four
# corners of the training blocks, 288 patches in all.
# :term:`Data augmentation <data augmentation>` makes more out of the same
# photographs: the patches are cut at any place in the block, and in half of the
# steps they are mirrored. The answer stays the same, because a mirrored cat is
# still a cat.


def make_network():
    return nn.Sequential(
        nn.Conv2d(3, 16, kernel_size=3, stride=2, padding=1),  # 3 colours
        models.ResidualBlock(16, 16),
        models.ResidualBlock(16, 32, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


# %%
# In one step, all patches come from the same place of their blocks.


def random_patches(rows, augment):
    if augment:
        top = torch.randint(0, 17, ()).item()
        left = torch.randint(0, 17, ()).item()
    else:
        top = 16 * torch.randint(0, 2, ()).item()
        left = 16 * torch.randint(0, 2, ()).item()
    x = blocks[rows, :, top : top + 16, left : left + 16]
    if augment and torch.rand(()) < 0.5:
        x = x.flip(3)  # left and right exchanged
    return without_mean(x)


# %%
# Before training, look at a batch as the network sees it. It is divided by the
# standard deviation of the training patches. In each channel, the mean should
# be 0 and the standard deviation close to 1.

train, test = split(seed=0)
x, _ = patches(train, step=8)
std = without_mean(x).std()
batch = random_patches(train, augment=True) / std  # (72, 3, 16, 16)
print("mean:", batch.mean(dim=(0, 2, 3)))
print("std: ", batch.std(dim=(0, 2, 3)))

# %%
# Means of 0 were to be expected here, since we have subtracted them. In other
# projects these two lines find a division by 255 that was forgotten or done
# twice. Now we train.


def learn(seed, augment, steps=150):
    train, _ = split(seed)
    std = without_mean(patches(train, step=8)[0]).std()
    model = make_network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, steps)
    for _ in range(steps):
        rows = train[torch.randperm(len(train))[:32]]
        x = random_patches(rows, augment) / std
        loss = cross_entropy(model(x), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return model, std


# %%
# The test set is the same with and without augmentation.


def accuracy(model, std, x, y):
    model.eval()
    with torch.no_grad():
        answers = model(without_mean(x) / std).argmax(dim=1)
    return (answers == y).float().mean().item()


# %%
# Five seeds choose blocks, starting weights and patches. We compare both ways
# with the same seeds. The last line holds the mean difference and its standard
# error.

for name, augment in {"network": False, "augmented": True}.items():
    results[name] = []
    for seed in range(5):
        model, std = learn(seed, augment)
        _, test = split(seed)
        x_test, y_test = patches(test, step=8)
        results[name].append(accuracy(model, std, x_test, y_test))
for name, shares in results.items():
    shares = torch.tensor(shares)
    print(f"{name}: {shares.mean():.1%} ± {shares.std():.1%}")
gain = torch.tensor(results["augmented"]) - torch.tensor(results["network"])
print(f"gain: {gain.mean():.1%} ± {gain.std() / 5**0.5:.1%}")

# %%
# The network gets about 76% of the patches right, far more than the 51% of the
# baseline. With augmentation it is about 79%. But the gain of 3.4 points is
# less than twice its standard error of 2.1 points. With only five seeds you
# should ask for almost three times (:doc:`/lessons/practice/04_mistakes`). So
# augmentation may help here, but these runs do not show it.

# %%
# .. check::

assert batch.mean(dim=(0, 2, 3)).abs().max() < 1e-5, "means of 0"
assert (batch.std(dim=(0, 2, 3)) - 1).abs().max() < 0.3, "close to 1"
assert 0.7 < sum(results["network"]) / 5 < 0.82, "about 76%"
assert 0.74 < sum(results["augmented"]) / 5 < 0.85, "about 79%"
assert sum(results["network"]) > sum(results["nearest patch"]) + 5 * 0.15, (
    "far better than the baseline"
)
assert gain.mean() < 3 * gain.std() / 5**0.5, "the gain is not clear"

# %%
# What goes wrong
# ---------------
# **Patches are split at random.** Now we forget the blocks of the test set. We
# cut patches from all blocks, with a step of 4, and give a quarter of the
# *patches* to the test set at random. The baseline answers with the most
# similar training patch. We compare with the split by place, also with a step
# of 4.

by_place = []
at_random = []
for seed in range(5):
    train, test = split(seed)
    x, y = patches(train, step=4)
    x_test, y_test = patches(test, step=4)
    share = nearest(without_mean(x), y, without_mean(x_test), y_test)
    by_place.append(share)

# %%
# And at random:

for seed in range(5):
    torch.manual_seed(seed)
    x, y = patches(torch.arange(96), step=4)
    order = torch.randperm(len(x))
    x = without_mean(x[order])
    y = y[order]
    cut = len(x) // 4
    at_random.append(nearest(x[cut:], y[cut:], x[:cut], y[:cut]))

print(f"by place:  {sum(by_place) / 5:.1%}")
print(f"at random: {sum(at_random) / 5:.1%}")

# %%
# The same method now seems to be about ten points better, because many test
# patches share most of their pixels with a training patch. This is a *leak*. On
# a new part of a photograph nothing has improved. Frames of one video, or
# several pictures of one patient, leak in the same way. Split by place, video
# or patient first.
#
# The other mistake of this page was ``reshape`` instead of ``permute``. It
# gives no error either, so always look at a few images just before they enter
# the network.

# %%
# .. check::

assert sum(at_random) / 5 - sum(by_place) / 5 > 0.06, "a leak"
assert sum(at_random) / 5 - sum(by_place) / 5 < 0.14, "about ten points"
assert min(at_random) > max(by_place) - 0.05, "for the seeds, too"

# %%
# Recipe
# ------
# The package's :class:`handbook.models.ResNet` is a network of such blocks.
# ``files`` has the shape (N, H, W, 3) and holds whole numbers from 0 to 255.
# Put your own photographs in its place. Here they are made up, bright in red
# (class 0) or in blue (class 1). Images that belong together must stay on one
# side of the split.

import torch

import handbook

torch.manual_seed(0)
answers = torch.randint(0, 2, (200,))
files = torch.randint(0, 200, (200, 24, 24, 3), dtype=torch.uint8)
files[answers == 0, :, :, 0] += 55
files[answers == 1, :, :, 2] += 55

x = files.permute(0, 3, 1, 2).float() / 255  # (N, 3, H, W)
x_train, x_test = x.split([150, 50])
y_train, y_test = answers.split([150, 50])
mean = x_train.mean(dim=(0, 2, 3), keepdim=True)  # one for each channel
std = x_train.std(dim=(0, 2, 3), keepdim=True)

# %%
# Train with mirrored images, and judge without.

model = handbook.models.ResNet(channels=3, classes=2, width=8)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
for _ in range(3):  # epochs
    for rows in torch.randperm(len(x_train)).split(25):
        batch = (x_train[rows] - mean) / std
        if torch.rand(()) < 0.5:
            batch = batch.flip(3)
        scores = model(batch)
        loss = torch.nn.functional.cross_entropy(scores, y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %%
# The last image is the new example.

model.eval()
new = torch.zeros(1, 3, 24, 24)
new[:, 2] = 0.7  # blue
with torch.no_grad():
    found = model((x_test - mean) / std).argmax(dim=1)
    guess = model((new - mean) / std).argmax(dim=1).item()
print(f"right: {(found == y_test).float().mean():.0%}")
print("new image:", guess)

# %%
# .. check::

assert (found == y_test).float().mean() > 0.9, "the recipe learns"
assert guess == 1, "blue"

# %%
# What you learned
# ----------------
# - Divide by 255 and use ``permute`` to bring (N, H, W, C) to (N, C, H, W).
#   ``reshape`` scrambles the image and gives no error.
# - Print the mean and the standard deviation of a normalized batch, and look at
#   a few images.
# - Measure a simple baseline first. Here the mean colour alone was right for
#   almost nine of ten patches.
# - Split by place, so that test and training patches share no pixels.
# - Augmentation changes an image, but not its class. Measure over several seeds
#   whether it helps.
#
# Exercises
# ---------
# 1. **Predict.** An image of one row has a red and a green pixel. What are its
#    planes after ``permute``, and what does ``reshape`` make of it?
# 2. **Change.** Mirror the patches up and down instead of left and right, with
#    ``flip(2)``. For a photograph of a landscape, what does this change that
#    ``flip(3)`` does not? Print both for a small tensor.
# 3. **Extend.** The leak needs patches that overlap. Compare the random split
#    with a step of 16, where patches share no pixels.

# %%
# .. answer:: 1
#
#    The numbers are 1 0 0 0 1 0. The planes are [1, 0], [0, 1] and [0, 0], and
#    ``reshape`` gives [1, 0], [0, 0] and [1, 0]. So the green pixel becomes
#    blue.

image = torch.tensor([[[1, 0, 0], [0, 1, 0]]])
print(image.permute(2, 0, 1).tolist())
print(image.reshape(3, 1, 2).tolist())

# %%
# .. check::

assert image.permute(2, 0, 1).flatten().tolist() == [1, 0, 0, 1, 0, 0], "planes"
assert image.reshape(3, 1, 2).flatten().tolist() == [1, 0, 0, 0, 1, 0], "pairs"

# %%
# .. answer:: 2
#
#    The sky is then below. A network that uses the rule "sky is above" would
#    lose it, but left and right are exchangeable in most photographs.

small = torch.tensor([[[[1, 2], [3, 4]]]])
print(small.flip(3).tolist())
print(small.flip(2).tolist())

# %%
# .. check::

assert small.flip(3).flatten().tolist() == [2, 1, 4, 3], "left and right"
assert small.flip(2).flatten().tolist() == [3, 4, 1, 2], "up and down"

# %%
# .. answer:: 3
#
#    Now the random split is no better than the split by place, up to chance.

without_overlap = []
for seed in range(5):
    torch.manual_seed(seed)
    x, y = patches(torch.arange(96), step=16)
    order = torch.randperm(len(x))
    x = without_mean(x[order])
    y = y[order]
    cut = len(x) // 4
    without_overlap.append(nearest(x[cut:], y[cut:], x[:cut], y[:cut]))
print(f"step 16, at random: {sum(without_overlap) / 5:.1%}")

# %%
# .. check::

assert sum(without_overlap) / 5 < sum(at_random) / 5 - 0.05, "no leak"
