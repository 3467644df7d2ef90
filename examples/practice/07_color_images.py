"""
Colour photographs
==================

How does a network learn from photographs in colour, and what can go wrong?

A grey image has one number for each pixel, and a photograph in colour has
three. They come in an order that a convolution does not expect, and if you
change the order in the wrong way, no error tells you. Photographs also make it
easy to test on almost the same pixels that you trained on.

After this lesson you can

- bring photographs into the shape and range that a network needs
- split images by place, so that nothing leaks from the test into the training
- measure what data augmentation brings, and compare with honest baselines
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
# With ``permute``, the red plane holds both ones. ``reshape`` gives the same
# shape, but only cuts the row of six numbers into pairs. So the "red" plane
# holds a red and a green number, and the image is scrambled.
#
# Data
# ----
# :func:`handbook.datasets.photos` holds four photographs: a temple, a flower, a
# cat and a cup of coffee. (The first two are by danielbuechele and vultilion,
# CC BY 2.0. The others are by Stefan van der Walt and Rachel Michetti, CC0.)

files, names = datasets.photos()
photos = files.permute(0, 3, 1, 2) / 255  # (4, 3, 128, 192)
scrambled = files.reshape(4, 3, 128, 192) / 255
print(photos.shape, photos.min(), photos.max())

# %%
# Now we look at the images. (``imshow`` wants (H, W, C) again.)
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
    axes[1, i].imshow(scrambled[i].permute(1, 2, 0).numpy())
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("permute")
axes[1, 0].set_ylabel("reshape")

# %%
# .. check::

assert (pixel / 255).tolist() == [1, 0, 0], "pure red"
assert 0 <= photos.min() < photos.max() <= 1, "the range"
assert permuted.tolist() == [[[1, 1]], [[0, 0]], [[0, 0]]], "planes"
assert reshaped.tolist() == [[[1, 0]], [[0, 1]], [[0, 0]]], "scrambled"

# %%
# Split by place
# --------------
# The task: a network sees a small patch of 16 × 16 pixels, and has to say which
# of the four photographs it comes from. If we cut patches anywhere and split
# them at random, many test patches overlap with training patches. So we first
# cut each photograph into 24 blocks of 32 × 32 pixels. Six blocks of each go to
# the test set as a whole, and patches are cut only inside a block. Even then,
# blocks that touch look alike at the edge. Only other photographs would be a
# really new test.

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
# The seed chooses the test blocks.


def split(seed):
    torch.manual_seed(seed)
    train = []
    test = []
    for i in range(4):
        order = 24 * i + torch.randperm(24)  # the blocks of photograph i
        train.append(order[6:])
        test.append(order[:6])
    return torch.cat(train), torch.cat(test)  # block numbers: (72,), (24,)


# %%
# ``patches`` cuts patches out of the given blocks. With ``spacing=8`` there are
# nine of them in a block.


def patches(rows, spacing):
    x = []
    y = []
    for top in range(0, 17, spacing):  # 32 - 16 + 1 places
        for left in range(0, 17, spacing):
            x.append(blocks[rows, :, top : top + 16, left : left + 16])
            y.append(labels[rows])
    return torch.cat(x), torch.cat(y)


# %%
# Baselines
# ---------
# Before we train a network: how much does the mean colour of a patch tell? And
# how much its *contrast*, the standard deviation of each colour within the
# patch? For each test patch we look for the training patch whose three numbers
# are nearest, and answer with its photograph. (:func:`torch.cdist` computes all
# distances between two tables of points.) Five seeds choose other test blocks.


def nearest(x, y, x_test, y_test):
    distances = torch.cdist(x_test.flatten(1), x.flatten(1))
    answers = y[distances.argmin(dim=1)]
    return (answers == y_test).float().mean()


# %%
# The loop measures both.

by_colour = torch.zeros(5)
by_contrast = torch.zeros(5)
for seed in range(5):
    train, test = split(seed)
    x, y = patches(train, spacing=8)  # (648, 3, 16, 16)
    x_test, y_test = patches(test, spacing=8)
    mean = x.mean(dim=(2, 3))  # (648, 3)
    by_colour[seed] = nearest(mean, y, x_test.mean(dim=(2, 3)), y_test)
    std = x.std(dim=(2, 3))
    by_contrast[seed] = nearest(std, y, x_test.std(dim=(2, 3)), y_test)
print(f"mean colour: {by_colour.mean():.1%} ± {by_colour.std():.1%}")
print(f"contrast: {by_contrast.mean():.1%} ± {by_contrast.std():.1%}")

# %%
# The mean colour alone names the right photograph for almost nine of ten
# patches. So a network would need to learn very little. We make the task
# harder: ``without_mean`` subtracts the mean colour of each patch, and only its
# pattern is left. A guess is right in 25% of the cases, and the contrast, our
# baseline, in about 68%.


def without_mean(x):
    return x - x.mean(dim=(2, 3), keepdim=True)


# %%
# .. check::

assert 0.85 < by_colour.mean() < 0.92, "almost nine of ten"
assert abs(by_contrast.mean() - 0.68) < 0.03, "about 68%"
assert without_mean(blocks).mean(dim=(2, 3)).abs().max() < 1e-5, "no colour"
assert (labels.bincount() == 24).all(), "a guess: 25%"

# %%
# A residual network with augmentation
# ------------------------------------
# The network has two blocks from :doc:`/lessons/architectures/06_residual`,
# between a convolution and a linear layer. In each step it gets 32 patches.
# Without augmentation, they come from the 648 of the baseline.
# :term:`Data augmentation <data augmentation>` makes more patches out of the
# same photographs: they are cut at any place in the block, and about half of
# them are mirrored. The answer stays the same, because a mirrored cat is still
# a cat.


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
# To keep the code short, all patches of one step come from the same place of
# their blocks. Usually each image gets its own.


def random_patches(rows, augment):
    if augment:
        top, left = torch.randint(0, 17, (2,)).tolist()
    else:
        top, left = (8 * torch.randint(0, 3, (2,))).tolist()
    x = blocks[rows, :, top : top + 16, left : left + 16]  # a copy
    if augment:
        mirrored = torch.rand(len(x)) < 0.5  # each image by itself
        x[mirrored] = x[mirrored].flip(3)  # left and right exchanged
    return without_mean(x)


# %%
# The patches are divided by the standard deviation of the training patches.


def learn(seed, augment, steps=100):
    train, _ = split(seed)
    std = without_mean(patches(train, spacing=8)[0]).std()
    model = make_network()
    optimizer = torch.optim.AdamW(model.parameters())
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
# The test is not augmented.


def accuracy(model, std, x, y):
    model.eval()
    with torch.no_grad():
        answers = model(without_mean(x) / std).argmax(dim=1)
    return (answers == y).float().mean().item()


# %%
# Both ways get the same five seeds. The last line holds the mean gain and its
# standard error.

results = {}
for name, augment in {"network": False, "augmented": True}.items():
    shares = torch.zeros(5)
    for seed in range(5):
        model, std = learn(seed, augment)
        _, test = split(seed)
        x_test, y_test = patches(test, spacing=8)
        shares[seed] = accuracy(model, std, x_test, y_test)
    results[name] = shares
    print(f"{name}: {shares.mean():.1%} ± {shares.std():.1%}")
gain = 100 * (results["augmented"] - results["network"])
print(f"gain: {gain.mean():.1f} ± {gain.std() / 5**0.5:.1f} points")

# %%
# The network gets about 75% of the patches right, and the contrast alone 68%.
# With augmentation it is about 75%, too. With only five seeds, a gain is clear
# if it is at least about three times its standard error
# (:doc:`/lessons/practice/04_mistakes`). Here there is none. In 100 steps, the
# network sees each of the 648 patches only about five times, so it has had
# little time to learn them by heart. In another task, or in a longer training,
# augmentation may help.

# %%
# .. check::

assert abs(results["network"].mean() - 0.75) < 0.04, "about 75%"
assert abs(results["augmented"].mean() - 0.75) < 0.04, "too"
assert results["network"].mean() > by_contrast.mean() + 0.03, "more"
assert gain.mean().abs() < 3 * gain.std() / 5**0.5, "no clear difference"
assert abs(100 * 32 / (9 * len(split(0)[0])) - 5) < 0.5, "about five times"

# %%
# What goes wrong
# ---------------
# **A random split of patches.** We cut patches from all blocks, with a spacing
# of 4, and give a quarter of the *patches* to the test set at random. Again the
# most similar training patch gives the answer. First the split by place:

by_place = torch.zeros(5)
for seed in range(5):
    train, test = split(seed)
    x, y = patches(train, spacing=4)
    x_test, y_test = patches(test, spacing=4)
    x = without_mean(x)
    by_place[seed] = nearest(x, y, without_mean(x_test), y_test)

# %%
# And at random:

at_random = torch.zeros(5)
x, y = patches(torch.arange(96), spacing=4)  # 25 from each block: 2400
x = without_mean(x)
orders = torch.zeros(5, 2400, dtype=torch.long)
for seed in range(5):
    torch.manual_seed(seed)
    orders[seed] = torch.randperm(2400)
    test = orders[seed, :600]
    train = orders[seed, 600:]
    at_random[seed] = nearest(x[train], y[train], x[test], y[test])

print(f"by place:  {by_place.mean():.1%} ± {by_place.std():.1%}")
print(f"at random: {at_random.mean():.1%} ± {at_random.std():.1%}")

# %%
# The same method now seems to be about ten points better, because most test
# patches share three quarters of their pixels with some training patch. This is
# a *leak*. Frames of one video, or several pictures of one patient,
# leak in the same way. Split by place, video or patient first.

# %%
# .. check::

assert 0.06 < at_random.mean() - by_place.mean() < 0.14, "about ten points"
assert (at_random > by_place).all(), "for each seed"
# 480 places further, the patch is 4 pixels lower in the same block
assert (
    torch.isin(orders[0, :600] + 480, orders[0, 600:])
    | torch.isin(orders[0, :600] - 480, orders[0, 600:])
).float().mean() > 0.8, "most share 12 of 16 rows"

# %%
# Recipe
# ------
# :class:`handbook.models.ResNet` is a network of such blocks. ``files`` has the
# shape (N, H, W, 3) and holds whole numbers from 0 to 255. Put your own
# photographs in its place. Here they are made up, with more red (class 0) or
# more blue (class 1). Images that belong together must stay on one side of the
# split.

import torch

import handbook

torch.manual_seed(0)
y = torch.randint(0, 2, (200,))
files = torch.randint(0, 200, (200, 24, 24, 3), dtype=torch.uint8)
files[y == 0, :, :, 0] += 55
files[y == 1, :, :, 2] += 55

x = files.permute(0, 3, 1, 2).float() / 255  # (N, 3, H, W)
x_train, x_test = x.split([150, 50])
y_train, y_test = y.split([150, 50])
mean = x_train.mean(dim=(0, 2, 3), keepdim=True)  # one for each channel
std = x_train.std(dim=(0, 2, 3), keepdim=True)

# %%
# Train with images mirrored at random, and evaluate without.

model = handbook.models.ResNet(channels=3, classes=2, width=8)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
for _ in range(3):  # epochs
    for rows in torch.randperm(len(x_train)).split(25):
        batch = (x_train[rows] - mean) / std
        mirrored = torch.rand(len(rows)) < 0.5
        batch[mirrored] = batch[mirrored].flip(3)
        scores = model(batch)
        loss = torch.nn.functional.cross_entropy(scores, y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %%
# The mean colour would do here, too. Measure it on your photographs.

model.eval()
new = torch.zeros(1, 3, 24, 24)
new[:, 2] = 0.7  # blue
with torch.no_grad():
    guesses = model((x_test - mean) / std).argmax(dim=1)
    guess = model((new - mean) / std).argmax(dim=1).item()
print(f"right: {(guesses == y_test).float().mean():.0%}")
print("new image:", guess)

# %%
# .. check::

assert (guesses == y_test).float().mean() > 0.9, "the recipe learns"
assert guess == 1, "blue"

# %%
# What you learned
# ----------------
# - Divide by 255 and use ``permute`` to bring (N, H, W, C) to (N, C, H, W).
#   ``reshape`` scrambles the image and gives no error.
# - Print the smallest and the largest number of the images, and look at a few
#   of them.
# - Measure simple baselines first. Here the mean colour alone was right for
#   almost nine of ten patches, and the contrast for about 68%.
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
# 3. **Extend.** The leak needs patches that overlap. With a spacing of 16 they
#    share no pixels. Is the random split still better than the split by place?

# %%
# .. answer:: 1
#
#    The numbers are 1 0 0 0 1 0. The planes are [1, 0], [0, 1] and [0, 0], and
#    ``reshape`` gives [1, 0], [0, 0] and [1, 0]. So the red pixel becomes
#    magenta, and the green one black.

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
#    The sky is then at the bottom. A network could no longer use the rule that
#    the sky is at the top. Left and right can be exchanged in most photographs.

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
#    No. It is even about three points lower, but that is less than three
#    standard errors.

shares = torch.zeros(2, 5)
for seed in range(5):
    x, y = patches(torch.arange(96), spacing=16)
    x = without_mean(x)
    _, test = split(seed)
    is_test = torch.zeros(96, dtype=torch.bool)
    is_test[test] = True
    placed = is_test.repeat(4)  # four patches per block
    drawn = placed[torch.randperm(len(x))]
    for i, mask in enumerate([placed, drawn]):
        shares[i, seed] = nearest(x[~mask], y[~mask], x[mask], y[mask])
mean = shares.mean(dim=1)
std = shares.std(dim=1)
print(f"by place:  {mean[0]:.1%} ± {std[0]:.1%}")
print(f"at random: {mean[1]:.1%} ± {std[1]:.1%}")
gap = 100 * (shares[1] - shares[0])
print(f"gap: {gap.mean():.1f} ± {gap.std() / 5**0.5:.1f} points")

# %%
# .. check::

assert -4.5 < gap.mean() < -1.5, "about three points lower"
assert gap.mean().abs() < 3 * gap.std() / 5**0.5, "no clear difference"
