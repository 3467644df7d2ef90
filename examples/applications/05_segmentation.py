"""
Semantic segmentation with a U-Net
==================================

Which pixels of an image belong to the object?

A box around a tumour or a road only says roughly where it is. To measure it,
one needs to know which pixels belong to it. In :term:`semantic segmentation
<semantic segmentation>`, each pixel gets a class. A network for it has to see
far, to know what it is looking at, and yet be exact to the pixel. The U-Net
does both.

After this lesson you can

- judge a mask by IoU and Dice, and say why the share of right pixels is not
  enough
- build and train a U-Net, and test what its skip connections are good for
- compare it with thresholds that are chosen as carefully as the network
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import OneCycleLR

from handbook import datasets, metrics

torch.manual_seed(0)

# %%
# How good is a mask?
# -------------------
# A :term:`mask` is True on the pixels of the object. Here is one of 4 × 4
# pixels, with a square of 2 × 2, and two answers to judge. The first finds
# nothing. The second finds the square, but one pixel too far to the right.

truth = torch.zeros(4, 4, dtype=torch.bool)
truth[1:3, 1:3] = True
empty = torch.zeros(4, 4, dtype=torch.bool)
moved = torch.zeros(4, 4, dtype=torch.bool)
moved[1:3, 2:4] = True
print("empty:", (empty == truth).float().mean().item())
print("moved:", (moved == truth).float().mean().item())

# %%
# Both have 75% of the pixels right. This number, the *pixel accuracy*, does not
# see that one of them found something and the other nothing, because most
# pixels are background.
#
# The *intersection over union* (IoU), which you know for boxes from
# :doc:`/lessons/applications/03_boxes_iou_map`, leaves out the background on
# which both masks agree. It is the number of pixels in both masks, divided by
# the number in at least one. The *Dice coefficient* is twice the pixels in
# both, divided by the sum of the two areas.

for name, answer in [("empty", empty), ("moved", moved)]:
    both = (answer & truth).sum()
    either = (answer | truth).sum()
    areas = answer.sum() + truth.sum()
    print(f"{name}: IoU {both / either:.3f}, Dice {2 * both / areas:.3f}")

# %%
# The moved square shares 2 pixels with the truth, and together they cover 6, so
# its IoU is 2/6 and its Dice is 2 · 2 / (4 + 4) = 1/2. The empty mask gets 0
# from both. :func:`handbook.metrics.mask_iou` and :func:`handbook.metrics.dice`
# compute them for many masks at once.

answers = torch.stack([empty, moved])
truths = torch.stack([truth, truth])
print("IoU: ", metrics.mask_iou(answers, truths))
print("Dice:", metrics.dice(answers, truths))

# %%
# .. check::

assert (empty == truth).float().mean() == 0.75, "empty: 75 % right"
assert (moved == truth).float().mean() == 0.75, "moved: 75 % right as well"
assert metrics.mask_iou(answers, truths).allclose(torch.tensor([0, 1 / 3])), (
    "IoU 0 and 1/3"
)
assert metrics.dice(answers, truths).tolist() == [0, 0.5], "Dice 0 and 1/2"

# %%
# Data
# ----
# We make images whose masks are exact. Digits are scattered as in
# :doc:`/lessons/applications/04_detector`, and a pixel belongs to the mask if
# its ink is above 0.5. The validation scenes are other scenes with the training
# digits. The test scenes have digits of their own.

digits_train, digits_test = datasets.mnist()
ink = {}
ink["train"], _, _ = datasets.digit_scenes(digits_train, n=500, overlap=0.1)
ink["val"], _, _ = datasets.digit_scenes(digits_train, n=100, overlap=0.1)
ink["test"], _, _ = datasets.digit_scenes(digits_test, n=200, overlap=0.1)
masks = {part: ink[part] > 0.5 for part in ink}
share = masks["test"].float().mean().item()
print(f"share of pixels that are ink: {100 * share:.1f}%")

# %%
# An *easy* scene is the ink with a little noise, like a clean scan. In a *hard*
# scene, a spot of light lies somewhere on the page, and the ink is fainter,
# with another contrast in each scene. (The spot is a bell curve with a standard
# deviation of 12 pixels, and 288 = 2 · 12².)

scenes = {}
contrast = {}
x = torch.arange(48.0)  # of each column
y = x.unsqueeze(1)  # of each row
for part in ink:
    n = len(ink[part])
    noise = 0.05 * torch.randn(n, 1, 48, 48)
    scenes["easy", part] = ink[part] + noise
    column = 48 * torch.rand(n, 1, 1, 1)  # the middle of the spot
    row = 48 * torch.rand(n, 1, 1, 1)
    squared = (x - column) ** 2 + (y - row) ** 2
    light = 0.7 * torch.exp(-squared / 288)
    contrast[part] = 0.25 + 0.35 * torch.rand(n, 1, 1, 1)
    scenes["hard", part] = light + contrast[part] * ink[part] + noise

# %%
# .. alt:: Three panels with the same digits: bright on black in the easy scene,
#    dim and partly in a bright spot in the hard scene, and black and white in
#    the mask.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 3, figsize=(6.6, 2.4), layout="constrained")
for axis, picture, title in [
    (axes[0], scenes["easy", "test"][4, 0], "easy"),
    (axes[1], scenes["hard", "test"][4, 0], "hard"),
    (axes[2], masks["test"][4, 0], "mask"),
]:
    axis.imshow(picture.numpy(), cmap="gray")
    axis.set(xticks=[], yticks=[], title=title)

# %%
# Two baselines
# -------------
# **A global threshold.** What is brighter than a number is ink. The number is
# chosen on the validation scenes, by their mean IoU.


def best_threshold(values, truth):
    thresholds = torch.linspace(0, 1.5, 61)
    scores = torch.zeros(61)
    for i, threshold in enumerate(thresholds):
        scores[i] = metrics.mask_iou(values > threshold, truth).mean()
    return thresholds[scores.argmax()].item(), scores.max().item()


iou = {}
for kind in ["easy", "hard"]:
    threshold, _ = best_threshold(scenes[kind, "val"], masks["val"])
    found = scenes[kind, "test"] > threshold
    iou[kind, "global"] = metrics.mask_iou(found, masks["test"])  # (200, 1)
    mean = iou[kind, "global"].mean()
    print(f"{kind}: threshold {threshold:.2f}, IoU {mean:.3f}")

# %%
# On easy scenes this is hard to beat. On hard ones it fails, but there is a
# remedy for uneven light, and it would be unfair to leave it out.
#
# **A local threshold.** Ink is brighter than what is *around* it. So we smooth
# the noise a little, subtract the mean of a window around each pixel, and
# divide by the largest difference in the scene, because the contrast varies.
# ``AvgPool2d`` with a stride of one computes such means, and
# ``count_include_pad=False`` leaves the padding out.


def above_around(scenes, window):
    small = nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
    large = nn.AvgPool2d(
        window, 1, padding=window // 2, count_include_pad=False
    )
    above = (scenes + small(scenes)) / 2 - large(scenes)
    return above / above.amax(dim=(1, 2, 3), keepdim=True)


# %%
# The window and the threshold are chosen on the validation scenes, too.

windows = [7, 9, 11, 15, 21, 31]
for kind in ["easy", "hard"]:
    thresholds = {}
    val_iou = {}
    for window in windows:
        above = above_around(scenes[kind, "val"], window)
        thresholds[window], val_iou[window] = best_threshold(
            above, masks["val"]
        )
    best = max(windows, key=val_iou.get)
    above = above_around(scenes[kind, "test"], best)
    found = above > thresholds[best]
    iou[kind, "local"] = metrics.mask_iou(found, masks["test"])
    print(f"{kind}: window {best}, threshold {thresholds[best]:.2f}", end=", ")
    print(f"IoU {iou[kind, 'local'].mean():.3f}")

# %%
# On hard scenes, the local threshold is the :term:`baseline` to beat, and on
# easy ones the global one.

# %%
# .. check::

assert abs(share - 0.06) < 0.01, "6 % are ink"
assert abs(iou["easy", "global"].mean() - 0.95) < 0.015, "0.95"
assert iou["easy", "global"].mean() > iou["easy", "local"].mean() + 0.02, (
    "easy: the global one"
)
assert iou["hard", "local"].mean() > iou["hard", "global"].mean() + 0.4, (
    "hard: the local one, by far"
)

# %%
# Down and up again
# -----------------
# To see far, a CNN halves the image with pooling. To answer for each pixel, the
# image must grow again. ``nn.Upsample(scale_factor=2)`` repeats each pixel in
# both directions. What happens to a diagonal line?

shrink = nn.MaxPool2d(2)
grow = nn.Upsample(scale_factor=2)
line = torch.zeros(1, 1, 4, 4)
for i in range(4):
    line[0, 0, i, i] = 1
print("line:", line[0, 0], sep="\n")
print("down and up:", grow(shrink(line))[0, 0], sep="\n")

# %%
# The line has become two blocks, and where exactly it ran is lost. But the
# image before pooling is still there. A U-Net puts it beside the enlarged one,
# as more channels. This is a *skip connection*.
#
# Each step of our network is a convolution with batch normalization and ReLU:


def make_block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


# %%
# It goes down twice and up twice, like the letter U. The comments show the
# shapes of B scenes of 48 × 48.


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = make_block(1, 8)
        self.down = make_block(8, 16)
        self.bottom = make_block(16, 32)
        self.up = make_block(16 + 32, 8)
        self.last = nn.Sequential(make_block(8 + 8, 8), nn.Conv2d(8, 1, 1))

    def forward(self, x):  # (B, 1, 48, 48)
        full = self.first(x)  # (B, 8, 48, 48)
        half = self.down(shrink(full))  # (B, 16, 24, 24)
        quarter = self.bottom(shrink(half))  # (B, 32, 12, 12)
        half = self.up(torch.cat([half, grow(quarter)], dim=1))  # 8 channels
        return self.last(torch.cat([full, grow(half)], dim=1))  # (B, 1, 48, 48)


# %%
# To see what the skip connections are good for, we also train a network with
# zeros in their place.


class NoSkips(UNet):
    def forward(self, x):
        full = self.first(x)
        half = self.down(shrink(full))
        quarter = self.bottom(shrink(half))
        half = self.up(torch.cat([0 * half, grow(quarter)], dim=1))  # new: 0
        return self.last(torch.cat([0 * full, grow(half)], dim=1))  # new: 0


# %%
# Training
# --------
# There are two classes, ink and paper, so one number for each pixel is enough.
# Its sigmoid is the probability of ink, and the loss is the binary
# cross-entropy of all pixels. (For more classes, the last layer gives a channel
# for each, the loss is ``nn.functional.cross_entropy``, and the answer is
# ``argmax(dim=1)``.)


def train_network(
    model, kind, rate, loss_function=binary_cross_entropy_with_logits
):
    model.to(memory_format=torch.channels_last)  # faster on a CPU
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    scheduler = OneCycleLR(optimizer, max_lr=rate, total_steps=100)
    for _ in range(100):
        chosen = torch.randint(0, 500, (8,))
        logits = model(scenes[kind, "train"][chosen])
        loss = loss_function(logits, masks["train"][chosen].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return model.eval()


# %%
# The learning rate is chosen like the thresholds, with a seed that is not used
# again. A pixel is ink if its probability is above ½, so if its logit is above
# 0.

rate_iou = {}
for kind in ["easy", "hard"]:
    rate_iou[kind] = []
    for rate in [0.01, 0.03, 0.1]:
        torch.manual_seed(10)
        model = train_network(UNet(), kind, rate)
        with torch.no_grad():
            found = model(scenes[kind, "val"]) > 0
        score = metrics.mask_iou(found, masks["val"]).mean().item()
        rate_iou[kind].append(score)
        print(f"{kind}, rate {rate}: IoU {score:.3f}")

# %%
# We take 0.03 for both, and train with five other seeds, which choose the
# starting weights and the scenes of each step.

networks = {}
for kind, name, Network in [
    ("easy", "U-Net", UNet),
    ("hard", "U-Net", UNet),
    ("hard", "no skips", NoSkips),
]:
    networks[kind, name] = []
    for seed in range(5):
        torch.manual_seed(seed)
        model = train_network(Network(), kind, rate=0.03)
        networks[kind, name].append(model)

# %%
# Their IoU on the test scenes:

for kind, name in networks:
    all_iou = []
    for model in networks[kind, name]:
        with torch.no_grad():
            found = model(scenes[kind, "test"]) > 0
        all_iou.append(metrics.mask_iou(found, masks["test"]))
    iou[kind, name] = torch.cat(all_iou, dim=1)  # (200, 5): scene, seed

# %%
# Here is the mean IoU of the 200 test scenes, ± the standard deviation over the
# seeds. The last two lines compare the U-Net with the better threshold, scene
# by scene: the mean difference, ± its standard error over the scenes.

for kind, name in sorted(iou):
    by_seed = iou[kind, name].mean(dim=0)
    print(f"{kind} {name:8}  {by_seed.mean():.3f}", end="")
    if len(by_seed) > 1:
        print(f" ± {by_seed.std():.3f}", end="")
    print()
for kind, name in [("easy", "global"), ("hard", "local")]:
    gain = iou[kind, "U-Net"].mean(dim=1) - iou[kind, name][:, 0]
    error = gain.std() / 200**0.5
    print(f"{kind}, U-Net minus {name}: {gain.mean():.3f} ± {error:.3f}")

# %%
# On easy scenes the threshold wins by a hundredth, with each of the five seeds.
# There the truth itself comes from a threshold, and only noise is in the way.
# On hard scenes the U-Net is better than the local threshold with each seed,
# 0.84 against 0.79. Without skip connections, at the same rate, it falls to
# 0.64, below the local threshold. (The networks had only 100 steps. More steps
# may close the gap on easy scenes.)
#
# The figure shows the hard scene from above and the errors of the first U-Net:
# missed ink is blue, and paper that was taken for ink is orange.
#
# .. alt:: Four panels. A hard scene with a bright spot, its mask, the mask that
#    the U-Net found, which is nearly the same, and the errors, single blue and
#    orange pixels along the edges of grey strokes.

# %%
# .. drawing::


def paint_errors(found, truth):
    picture = torch.zeros(48, 48, 3)
    picture[found & truth] = 0.5
    picture[truth & ~found] = torch.tensor([0.34, 0.71, 0.91])
    picture[found & ~truth] = torch.tensor([0.90, 0.62, 0.0])
    return picture


with torch.no_grad():
    drawn = networks["hard", "U-Net"][0](scenes["hard", "test"]) > 0
figure, axes = plt.subplots(1, 4, figsize=(6.6, 2), layout="constrained")
for axis, picture, title in [
    (axes[0], scenes["hard", "test"][4, 0], "scene"),
    (axes[1], masks["test"][4, 0], "mask"),
    (axes[2], drawn[4, 0], "U-Net"),
    (axes[3], paint_errors(drawn[4, 0], masks["test"][4, 0]), "errors"),
]:
    axis.imshow(picture.numpy(), cmap="gray")
    axis.set(xticks=[], yticks=[], title=title)

# %%
# .. check::

assert rate_iou["easy"][1] > max(rate_iou["easy"]) - 0.01, "0.03 for both"
assert rate_iou["hard"][1] > max(rate_iou["hard"]) - 0.01, "0.03 for both"
assert abs(iou["hard", "U-Net"].mean() - 0.84) < 0.025, "0.84"
assert abs(iou["hard", "local"].mean() - 0.79) < 0.015, "0.79"
assert abs(iou["hard", "no skips"].mean() - 0.64) < 0.06, "0.64"
assert (
    iou["easy", "U-Net"].mean(dim=0) < iou["easy", "global"].mean()
).all(), "easy: the threshold wins with each seed"
assert (
    abs(iou["easy", "global"].mean() - iou["easy", "U-Net"].mean() - 0.013)
    < 0.007
), "by a hundredth"
assert (iou["hard", "U-Net"].mean(dim=0) > iou["hard", "local"].mean()).all(), (
    "hard: the U-Net wins with each seed"
)
assert (
    iou["hard", "no skips"].mean(dim=0) < iou["hard", "local"].mean()
).all(), "without skips below the local threshold"

# %%
# The worst scenes
# ----------------
# Are both equally good in all hard scenes? We cut the scenes into quarters by
# their contrast.

quarters = contrast["test"].flatten().argsort().chunk(4)
worst = iou["hard", "U-Net"].mean(dim=1).argsort()[:3].tolist()
quarter_iou = torch.zeros(4, 2)
for i, rows in enumerate(quarters):
    quarter_iou[i, 0] = iou["hard", "U-Net"][rows].mean()
    quarter_iou[i, 1] = iou["hard", "local"][rows].mean()
    print(f"contrast up to {contrast['test'][rows].max():.2f}:", end=" ")
    print(f"U-Net {quarter_iou[i, 0]:.2f}, local {quarter_iou[i, 1]:.2f}")

# %%
# Both are worst where the ink is faint, and there the lead of the U-Net is
# largest. The three worst scenes of all are among these. In one of them, thick
# strokes lie in the light, and in the other two, a thin digit lies at the edge.
#
# .. alt:: Three faint scenes, and below each the errors of the U-Net. In the
#    first, most of a thick digit is blue, because it was missed. In the others,
#    thin digits at the edge of the scene have blue and some orange pixels.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 3, figsize=(6, 4), layout="constrained")
for i, place in enumerate(worst):
    errors = paint_errors(drawn[place, 0], masks["test"][place, 0])
    axes[0, i].imshow(scenes["hard", "test"][place, 0].numpy(), cmap="gray")
    axes[1, i].imshow(errors.numpy())
for axis in axes.flatten():
    axis.set(xticks=[], yticks=[])
axes[0, 0].set(ylabel="scene")
axes[1, 0].set(ylabel="errors")

# %%
# .. check::

assert quarter_iou[:, 0].argmin() == 0, "the U-Net is worst where it is faint"
assert quarter_iou[:, 1].argmin() == 0, "the threshold as well"
assert (quarter_iou[:, 0] - quarter_iou[:, 1]).argmax() == 0, (
    "and there the lead is largest"
)
assert set(worst) <= set(quarters[0].tolist()), "the three lowest as well"

# %%
# What goes wrong
# ---------------
# **The loss falls, 94% of the pixels are right, and the mask is empty.** Take
# the same U-Net without batch normalization, with a learning rate of 0.003, and
# train it with two seeds.

without_norm = []
for seed in range(2):
    torch.manual_seed(seed)
    model = UNet()
    blocks = [model.first, model.down, model.bottom, model.up, model.last[0]]
    for block in blocks:
        block[1] = nn.Identity()  # returns what it gets
    without_norm.append(train_network(model, "hard", rate=0.003))

# %%
# How good are they?

true_masks = masks["test"]
empty_loss = []
empty_iou = []
for model in without_norm:
    with torch.no_grad():
        logits = model(scenes["hard", "test"])
    found = logits > 0
    loss = binary_cross_entropy_with_logits(logits, true_masks.float())
    empty_loss.append(loss.item())
    empty_iou.append(metrics.mask_iou(found, true_masks).mean().item())
    right = (found == true_masks).float().mean()
    print(f"loss {empty_loss[-1]:.2f}, right {100 * right:.1f}%", end=", ")
    print(f"IoU {empty_iou[-1]:.3f}")

# %%
# An untrained network has a loss of about ln 2 = 0.69, so this looks like
# progress. But what is the loss if we answer with the share of ink s
# everywhere? It is −s ln s − (1 − s) ln(1 − s).

ink_share = true_masks.float().mean()
paper_share = 1 - ink_share
only_share = -ink_share * ink_share.log() - paper_share * paper_share.log()
print(f"loss of a constant answer: {only_share:.2f}")

# %%
# These networks have learned little more than that ink is rare. So print the
# IoU beside the loss, and compare the loss with that of a constant. (With batch
# normalization and a larger rate, the same loss led to 0.84 above. Exercise 2
# tries another loss.)

# %%
# .. check::

assert abs(only_share - 0.229) < 0.02, "0.23"
assert max(empty_iou) < 0.02, "empty masks"
assert min(empty_loss) > only_share - 0.06, "little more than the share"
assert abs(paper_share - 0.94) < 0.01, "an empty mask has 94 % right"

# %%
# In production
# -------------
# Real masks are drawn by people, and two people do not draw the same edge. So
# measure the IoU of their masks first. A new camera or other light changes the
# scenes, so test on images from each. A mean over all images hides small
# objects, so report the IoU by size and by class.
#
# Recipe
# ------
# A network with one step down and one step up. The images are made up, with a
# bright square in noise. The height and width of your own have to be even.

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from handbook import metrics

# %%
# The network:


class TinyUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine = nn.Conv2d(1, 8, kernel_size=3, padding=1)
        self.coarse = nn.Conv2d(8, 16, kernel_size=3, padding=1)
        self.score = nn.Conv2d(8 + 16, 1, kernel_size=3, padding=1)
        self.shrink = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2)

    def forward(self, x):
        fine = torch.relu(self.fine(x))
        coarse = torch.relu(self.coarse(self.shrink(fine)))
        return self.score(torch.cat([fine, self.grow(coarse)], dim=1))


# %%
# Put your images and masks in place of these. Both are (N, 1, H, W), and the
# masks are numbers, 0 and 1.

torch.manual_seed(0)
images = 0.3 * torch.randn(300, 1, 16, 16)
squares = torch.zeros(300, 1, 16, 16)
for i in range(300):
    size = torch.randint(3, 7, ()).item()
    top = torch.randint(0, 16 - size, ()).item()
    left = torch.randint(0, 16 - size, ()).item()
    squares[i, 0, top : top + size, left : left + size] = 1
images = images + (0.5 + torch.rand(300, 1, 1, 1)) * squares
x_train, x_test = images.split([250, 50])
y_train, y_test = squares.split([250, 50])

# %%
# Train in small batches.

model = TinyUNet()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(150):
    rows = torch.randint(0, len(x_train), (16,))
    logits = model(x_train[rows])
    loss = binary_cross_entropy_with_logits(logits, y_train[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Judge on images that were kept back, beside an empty mask, and answer for a
# new image.

with torch.no_grad():
    found = model(x_test) > 0
true = y_test > 0.5
print(f"pixel accuracy, empty mask: {(~true).float().mean():.3f}")
print(f"pixel accuracy, network:    {(found == true).float().mean():.3f}")
print(f"mean IoU, network:          {metrics.mask_iou(found, true).mean():.3f}")
new = 0.3 * torch.randn(1, 1, 16, 16)
new[0, 0, 4:9, 6:11] += 1
with torch.no_grad():
    area = (model(new) > 0).sum().item()
print(f"new image: {area} pixels, and 25 are right")

# %%
# .. check::

assert metrics.mask_iou(found, true).mean() > 0.8, "good masks on new images"
assert abs(area - 25) < 8, "and about the right area"

# %%
# What you learned
# ----------------
# - A mask has a class for each pixel. Judge it by IoU or Dice of the object,
#   because the pixel accuracy of an empty mask can be 94%.
# - A U-Net goes down to see far and up to answer for each pixel. Its skip
#   connections keep the exact place: without them the IoU fell from 0.84 to
#   0.64.
# - On clean scenes one threshold was better than the network (0.95 against
#   0.94). On scenes with uneven light the network was better (0.84) than a
#   local threshold (0.79), and a global one failed (0.20).
# - If objects are rare, a falling loss may only mean that the network has
#   learned how rare. Compare it with the loss of a constant.
#
# Exercises
# ---------
# 1. **Predict.** A true mask has 20 pixels. An answer covers all of them, and
#    20 more. What are IoU and Dice?
# 2. **Change.** The *Dice loss* is 1 minus Dice, with probabilities in place of
#    True and False, so that it has a gradient. Train without batch
#    normalization again, with this loss. Are the masks still empty?
# 3. **Extend.** Average the probabilities of the five networks, and cut at ½.
#    Is this *ensemble* better than the five are on average? On easy scenes,
#    does it beat the threshold?

# %%
# .. answer:: 1
#
#    20 pixels are in both and 40 in at least one, so the IoU is 1/2. Dice is 2
#    · 20 / (20 + 40) = 2/3.

square = torch.zeros(8, 8, dtype=torch.bool)
square[:5, :4] = True
wide = torch.zeros(8, 8, dtype=torch.bool)
wide[:5, :] = True
print(f"IoU {metrics.mask_iou(wide, square):.3f}", end=", ")
print(f"Dice {metrics.dice(wide, square):.3f}")

# %%
# .. check::

assert metrics.mask_iou(wide, square) == 0.5, "1/2"
assert abs(metrics.dice(wide, square) - 2 / 3) < 1e-6, "2/3"

# %%
# .. answer:: 2
#
#    No. With everything else the same, the IoU is about 0.5. Background that
#    both agree on adds nothing to the Dice loss, so an empty mask does not pay.


def dice_loss(logits, truth):
    probability = logits.sigmoid()
    both = (probability * truth).sum()
    return 1 - 2 * both / (probability.sum() + truth.sum())


dice_iou = []
for seed in range(2):
    torch.manual_seed(seed)
    model = UNet()
    blocks = [model.first, model.down, model.bottom, model.up, model.last[0]]
    for block in blocks:
        block[1] = nn.Identity()
    train_network(model, "hard", 0.003, dice_loss)
    with torch.no_grad():
        found = model(scenes["hard", "test"]) > 0
    dice_iou.append(metrics.mask_iou(found, true_masks).mean().item())
    print(f"Dice loss, seed {seed}: IoU {dice_iou[seed]:.3f}")

# %%
# .. check::

assert abs(sum(dice_iou) / 2 - 0.5) < 0.12, "about 0.5"
assert min(dice_iou) > 0.3, "not empty"

# %%
# .. answer:: 3
#
#    It is better than their average on both kinds of scenes. On easy ones it
#    about reaches the threshold.

for kind in ["easy", "hard"]:
    mean = torch.zeros(200, 1, 48, 48)
    for model in networks[kind, "U-Net"]:
        with torch.no_grad():
            mean += model(scenes[kind, "test"]).sigmoid() / 5
    iou[kind, "ensemble"] = metrics.mask_iou(mean > 0.5, true_masks)
    print(f"{kind}: average {iou[kind, 'U-Net'].mean():.3f}", end=", ")
    print(f"ensemble {iou[kind, 'ensemble'].mean():.3f}")
print(f"easy: threshold {iou['easy', 'global'].mean():.3f}")

# %%
# .. check::

assert iou["easy", "ensemble"].mean() > iou["easy", "U-Net"].mean(), (
    "better than the average on easy scenes"
)
assert iou["hard", "ensemble"].mean() > iou["hard", "U-Net"].mean(), (
    "better than the average on hard scenes"
)
assert (
    abs(iou["easy", "ensemble"].mean() - iou["easy", "global"].mean()) < 0.01
), "about the threshold"
