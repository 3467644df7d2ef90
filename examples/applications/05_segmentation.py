"""
Semantic segmentation with a U-Net
==================================

Which pixels of an image belong to the object?

A box around a tumour or a road only says roughly where it is. To measure it,
one needs to know which pixels belong to it. In :term:`semantic segmentation
<semantic segmentation>`, each pixel gets a class. A network for it should use
the surroundings of a pixel, and yet be exact to the pixel. The U-Net
(Ronneberger et al., 2015) is made for this.

After this lesson you can

- judge a mask by IoU and Dice, and say why the share of correct pixels is not
  enough
- build and train a U-Net, and test what its skip connections are good for
- compare it with a method without learning that is tuned just as carefully
"""

# %%
# Setup
# -----

import math

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
# nothing. The second has the square one pixel too far to the right.

truth = torch.zeros(4, 4, dtype=torch.bool)
truth[1:3, 1:3] = True
empty = torch.zeros(4, 4, dtype=torch.bool)
moved = torch.zeros(4, 4, dtype=torch.bool)
moved[1:3, 2:4] = True
print("empty:", (empty == truth).float().mean().item())
print("moved:", (moved == truth).float().mean().item())

# %%
# Both have 75% of the pixels right. This *pixel accuracy* does not see that
# only one of them found something, because most pixels are background.
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
# its IoU is 2/6 and its Dice is 2 · 2 / (4 + 4) = 1/2. Dice is always 2 · IoU /
# (1 + IoU), so both order single masks alike (but not always means over
# images). :func:`handbook.metrics.mask_iou` and :func:`handbook.metrics.dice`
# compute them for many masks at once.

# %%
# .. check::

assert (empty == truth).float().mean() == 0.75, "empty: 75 % right"
assert (moved == truth).float().mean() == 0.75, "moved: 75 % right as well"
assert abs(metrics.mask_iou(moved, truth) - 2 / 6) < 1e-6, "IoU 2/6"
assert metrics.dice(moved, truth) == 0.5, "Dice 1/2"
assert abs(2 * (2 / 6) / (1 + 2 / 6) - 0.5) < 1e-6, "2 · IoU / (1 + IoU)"

# %%
# Data
# ----
# We make images of 48 × 48 pixels whose masks are exact. Digits are scattered
# as in :doc:`/lessons/applications/04_detector`, and a pixel belongs to the
# mask if its ink is above 0.5. The validation scenes are other scenes with the
# training digits. The test scenes have digits of their own.

digits_train, digits_test = datasets.mnist()
ink = {}
ink["train"], _, _ = datasets.digit_scenes(digits_train, n=500, overlap=0.1)
ink["val"], _, _ = datasets.digit_scenes(digits_train, n=100, overlap=0.1)
ink["test"], _, _ = datasets.digit_scenes(digits_test, n=200, overlap=0.1)
masks = {part: ink[part] > 0.5 for part in ink}
share = masks["test"].float().mean().item()
print(f"share of pixels that are ink: {100 * share:.1f}%")

# %%
# In each scene, a spot of light lies somewhere on the page, and the ink has a
# contrast of its own. The spot is a bell curve with a standard deviation of 12
# pixels (288 = 2 · 12²). Numbers of shape (n, 1, 1, 1), one for each scene, are
# broadcast over its pixels.

scenes = {}
contrast = {}
x = torch.arange(48.0)  # of each column
y = x.unsqueeze(1)  # of each row
for part in ink:
    n = len(ink[part])
    noise = 0.05 * torch.randn(n, 1, 48, 48)
    column = 48 * torch.rand(n, 1, 1, 1)  # the middle of the spot
    row = 48 * torch.rand(n, 1, 1, 1)
    squared = (x - column) ** 2 + (y - row) ** 2
    light = 0.7 * torch.exp(-squared / 288)
    contrast[part] = 0.25 + 0.35 * torch.rand(n, 1, 1, 1)
    scenes[part] = light + contrast[part] * ink[part] + noise

# %%
# .. alt:: Two panels. On the left a scene with dim digits, some of them in a
#    bright spot. On the right its mask, white digits on black.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(5, 2.6), layout="constrained")
for axis, picture, title in [
    (axes[0], scenes["test"][4, 0], "scene"),
    (axes[1], masks["test"][4, 0], "mask"),
]:
    axis.imshow(picture.numpy(), cmap="gray")
    axis.set(xticks=[], yticks=[], title=title)

# %%
# Two baselines
# -------------
# **A global threshold.** Every pixel brighter than some number counts as ink.
# We take the number with the best mean IoU on the validation scenes.


def best_threshold(values, truth):
    thresholds = torch.linspace(0, 1.5, 61)
    scores = torch.zeros(61)
    for i, threshold in enumerate(thresholds):
        scores[i] = metrics.mask_iou(values > threshold, truth).mean()
    return thresholds[scores.argmax()].item(), scores.max().item()


global_threshold, _ = best_threshold(scenes["val"], masks["val"])
found = scenes["test"] > global_threshold
iou = {"global": metrics.mask_iou(found, masks["test"])}
print(f"threshold {global_threshold:.2f}, IoU {iou['global'].mean():.3f}")

# %%
# This fails, because paper in the light is brighter than ink in the dark.
#
# **A top-hat.** A common remedy for uneven light is to estimate the background
# and subtract it. Here is a row of pixels that gets brighter to the right, with
# a stroke of ink in the middle. Each pixel gets the *minimum* of a window of
# three around it, and then the *maximum* of these minima (an *opening*). Max
# pooling with a stride of one does both, since the minimum of x is minus the
# maximum of −x.

line = torch.tensor([[[0.0, 0, 1, 1, 5, 2, 2, 3, 3]]])
highest = nn.MaxPool2d(3, stride=1, padding=1)
lowest = -highest(-line)
background = highest(lowest)
print("line:      ", line[0, 0].tolist())
print("minimum:   ", lowest[0, 0].tolist())
print("background:", background[0, 0].tolist())
print("difference:", (line - background)[0, 0].tolist())

# %%
# What is brighter than its surroundings and narrower than the window is removed
# by the minimum and does not come back. So the difference is the stroke.
#
# Against the noise, we smooth the scene before the minimum, smooth the
# background, and subtract it from the mean of the scene and the smoothed scene.
# At the end, each scene is divided by its maximum, so that one threshold suits
# every contrast.


def top_hat(scenes, window):
    pad = window // 2
    smooth = nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
    average = nn.AvgPool2d(window, 1, padding=pad, count_include_pad=False)
    highest = nn.MaxPool2d(window, stride=1, padding=pad)
    lowest = -highest(-smooth(scenes))
    background = average(highest(lowest))
    above = (scenes + smooth(scenes)) / 2 - background
    return above / above.amax(dim=(1, 2, 3), keepdim=True)


# %%
# Window and threshold are chosen on the validation scenes, too.

thresholds = {}
val_iou = {}
for window in [5, 7, 9, 11, 13]:
    above = top_hat(scenes["val"], window)
    thresholds[window], val_iou[window] = best_threshold(above, masks["val"])
    print(f"window {window}: validation IoU {val_iou[window]:.3f}")
best_window = max(val_iou, key=val_iou.get)
above = top_hat(scenes["test"], best_window)
found = above > thresholds[best_window]
iou["top-hat"] = metrics.mask_iou(found, masks["test"])
print(f"window {best_window}: test IoU {iou['top-hat'].mean():.3f}")

# %%
# This is the :term:`baseline` to beat.

# %%
# .. check::

assert abs(share - 0.06) < 0.01, "6 % are ink"
assert iou["global"].mean() < 0.4, "the global one fails"
assert (line - background)[0, 0].tolist() == [0, 0, 0, 0, 3, 0, 0, 0, 0], (
    "the difference is the stroke"
)

# %%
# Upsampling and skip connections
# -------------------------------
# To use wide surroundings, a CNN halves the image with pooling. To give each
# pixel an answer, the image must grow again. ``nn.Upsample(scale_factor=2)``
# repeats each pixel in both directions. What happens to a diagonal line?

shrink = nn.MaxPool2d(2)
grow = nn.Upsample(scale_factor=2)
diagonal = torch.zeros(1, 1, 4, 4)
for i in range(4):
    diagonal[0, 0, i, i] = 1
print("diagonal:", diagonal[0, 0], sep="\n")
print("down and up:", grow(shrink(diagonal))[0, 0], sep="\n")

# %%
# This channel no longer shows where the line ran. But the image before pooling
# is still there. A U-Net puts it beside the enlarged one, as more channels.
# This is a *skip connection*.
#
# Each block of our network is a convolution with batch normalization and ReLU:


def make_block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


# %%
# It goes down twice and up twice, like the letter U. Because it halves twice,
# height and width have to be divisible by 4. The comments show the shapes of B
# scenes.


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
        joined = torch.cat([half, grow(quarter)], dim=1)  # (B, 48, 24, 24)
        upper = self.up(joined)  # (B, 8, 24, 24)
        return self.last(torch.cat([full, grow(upper)], dim=1))


# %%
# To see what the skip connections are good for, we also train a network with
# zeros in their place.


class NoSkips(UNet):
    def forward(self, x):
        full = self.first(x)
        half = self.down(shrink(full))
        quarter = self.bottom(shrink(half))
        nothing = torch.zeros_like(half)  # new
        upper = self.up(torch.cat([nothing, grow(quarter)], dim=1))
        nothing = torch.zeros_like(full)  # new
        return self.last(torch.cat([nothing, grow(upper)], dim=1))


# %%
# Training
# --------
# With two classes, ink and paper, one number for each pixel is enough. Its
# sigmoid is the probability of ink, and the loss is the binary cross-entropy of
# all pixels. ``OneCycleLR`` raises the learning rate up to ``rate`` and then
# lowers it to almost zero.


def train_network(
    model, rate, steps=200, loss_function=binary_cross_entropy_with_logits
):
    model.to(memory_format=torch.channels_last)  # only faster on a CPU
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    scheduler = OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(0, 500, (8,))
        logits = model(scenes["train"][chosen])
        loss = loss_function(logits, masks["train"][chosen].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return model.eval()


# %%
# The learning rate is chosen on the validation scenes, with half of the steps
# to save time. A pixel is ink if its probability is above ½, so if its logit is
# above 0.

rate_iou = {}
for rate in [0.01, 0.03, 0.1]:
    torch.manual_seed(10)
    model = train_network(UNet(), rate, steps=100)
    with torch.no_grad():
        found = model(scenes["val"]) > 0
    rate_iou[rate] = metrics.mask_iou(found, masks["val"]).mean().item()
    print(f"rate {rate}: validation IoU {rate_iou[rate]:.3f}")

# %%
# 0.03 and 0.1 are about equal, and we take 0.03. Now we train with other seeds,
# which choose the starting weights and the scenes of each step. Each network
# gets a column of IoUs, with a row for each test scene.

networks = {"U-Net": [], "no skips": []}
for seed in range(5):
    torch.manual_seed(seed)
    networks["U-Net"].append(train_network(UNet(), rate=0.03))
for seed in range(2):
    torch.manual_seed(seed)
    networks["no skips"].append(train_network(NoSkips(), rate=0.03))
for name in networks:
    columns = []
    for model in networks[name]:
        with torch.no_grad():
            found = model(scenes["test"]) > 0
        columns.append(metrics.mask_iou(found, masks["test"]))  # (200, 1)
    iou[name] = torch.cat(columns, dim=1)

# %%
# Here is the mean IoU of the 200 test scenes, ± the standard deviation over the
# seeds. (The *mIoU* of benchmarks is another mean, over classes, of the pixels
# of all images together.)

for name in iou:
    by_seed = iou[name].mean(dim=0)
    print(f"{name:8}  {by_seed.mean():.3f}", end="")
    if len(by_seed) > 1:
        wins = (by_seed > iou["top-hat"].mean()).sum()
        print(f" ± {by_seed.std():.3f}", end=", ")
        print(f"above the top-hat with {wins} of {len(by_seed)} seeds", end="")
    print()

# %%
# The U-Net is better than the top-hat with each seed, 0.87 against 0.85, but
# the lead is small. After 100 steps, the two were about level on the validation
# scenes. The top-hat needs masks only to choose two numbers. Without skip
# connections, after 200 steps as well, the network gets 0.73, less than the
# top-hat.
#
# The worst scenes
# ----------------
# We cut the scenes into quarters by their contrast.

quarters = contrast["test"].flatten().argsort().chunk(4)
quarter_iou = torch.zeros(4, 2)
for i, places in enumerate(quarters):
    quarter_iou[i, 0] = iou["U-Net"][places].mean()
    quarter_iou[i, 1] = iou["top-hat"][places].mean()
    print(f"contrast up to {contrast['test'][places].max():.2f}:", end=" ")
    print(f"U-Net {quarter_iou[i, 0]:.2f}, top-hat {quarter_iou[i, 1]:.2f}")

# %%
# Both are worst where the ink is faint, and there the lead of the U-Net is
# largest. Below are the scene shown earlier and the worst one of the first
# U-Net. Missed ink is blue, and paper that was taken for ink is orange. Digits
# that touch share one mask. To tell them apart is *instance segmentation*.
#
# .. alt:: Two rows of four panels. The scene shown earlier, its mask, the mask
#    that the U-Net found, which is nearly the same, and the errors, single blue
#    and orange pixels along the edges of grey strokes. Below, the same for the
#    worst scene, a thick and faint digit in the light. Much of it is blue.

# %%
# .. drawing::

with torch.no_grad():
    first_masks = networks["U-Net"][0](scenes["test"]) > 0
worst = iou["U-Net"][:, 0].argmin().item()
figure, axes = plt.subplots(2, 4, figsize=(6.6, 3.6), layout="constrained")
for i, place in enumerate([4, worst]):
    true_mask = masks["test"][place, 0]
    found = first_masks[place, 0]
    errors = torch.zeros(48, 48, 3)
    errors[found & true_mask] = 0.5
    errors[true_mask & ~found] = torch.tensor([0.34, 0.71, 0.91])
    errors[found & ~true_mask] = torch.tensor([0.90, 0.62, 0.0])
    axes[i, 0].imshow(scenes["test"][place, 0].numpy(), cmap="gray")
    axes[i, 1].imshow(true_mask.numpy(), cmap="gray")
    axes[i, 2].imshow(found.numpy(), cmap="gray")
    axes[i, 3].imshow(errors.numpy())
for axis in axes.flatten():
    axis.set(xticks=[], yticks=[])
for i, title in enumerate(["scene", "mask", "U-Net", "errors"]):
    axes[0, i].set(title=title)
axes[1, 0].set(ylabel="worst")

# %%
# .. check::

assert abs(rate_iou[0.03] - rate_iou[0.1]) < 0.03, "0.03 and 0.1 about equal"
assert abs(rate_iou[0.03] - val_iou[best_window]) < 0.03, (
    "level after 100 steps"
)
assert abs(iou["U-Net"].mean() - 0.867) < 0.015, "0.87"
assert abs(iou["top-hat"].mean() - 0.847) < 0.01, "0.85"
assert abs(iou["no skips"].mean() - 0.734) < 0.05, "0.73"
assert (iou["U-Net"].mean(dim=0) > iou["top-hat"].mean()).all(), (
    "the U-Net wins with each seed"
)
assert (iou["no skips"].mean(dim=0) < iou["top-hat"].mean()).all(), (
    "without skips less than the top-hat"
)
assert quarter_iou[:, 0].argmin() == 0, "the U-Net is worst where it is faint"
assert quarter_iou[:, 1].argmin() == 0, "the top-hat as well"
assert (quarter_iou[:, 0] - quarter_iou[:, 1]).argmax() == 0, (
    "and there the lead is largest"
)

# %%
# What goes wrong
# ---------------
# **The loss falls, 94% of the pixels are right, and the mask is empty.** Train
# the U-Net for only 100 steps, with a learning rate of 0.003, once without
# batch normalization and once with it. Here are the loss on the test scenes and
# the IoU.

torch.manual_seed(0)
without_norm = UNet()
blocks = [without_norm.first, without_norm.down, without_norm.bottom]
blocks += [without_norm.up, without_norm.last[0]]
for block in blocks:
    block[1] = nn.Identity()  # returns what it gets
torch.manual_seed(0)
with_norm = UNet()
true_masks = masks["test"]
with torch.no_grad():
    logits = without_norm(scenes["test"])
start_loss = binary_cross_entropy_with_logits(logits, true_masks.float())
print(f"without, at the start: loss {start_loss:.2f}")

# %%

end_loss = {}
end_iou = {}
for name, model in [("without", without_norm), ("with", with_norm)]:
    train_network(model, rate=0.003, steps=100)
    with torch.no_grad():
        logits = model(scenes["test"])
    loss = binary_cross_entropy_with_logits(logits, true_masks.float())
    end_loss[name] = loss.item()
    end_iou[name] = metrics.mask_iou(logits > 0, true_masks).mean().item()
    print(f"{name}: loss {end_loss[name]:.2f}, IoU {end_iou[name]:.2f}")

# %%
# A constant answer, the share of ink s as the probability of every pixel, has
# the loss −s ln s − (1 − s) ln(1 − s).

constant_loss = -share * math.log(share) - (1 - share) * math.log(1 - share)
print(f"constant: loss {constant_loss:.2f}", end=", ")
print(f"correct pixels {100 * (1 - share):.1f}%")

# %%
# Without normalization, the loss is nearly that of the constant, so the network
# has learned little more than that ink is rare. With it, the loss is higher,
# and the masks are far better. So print the IoU beside the loss.

# %%
# .. check::

assert abs(constant_loss - 0.23) < 0.02, "0.23"
assert end_loss["without"] < start_loss - 0.2, "the loss falls"
assert end_iou["without"] < 0.02, "empty masks"
assert abs(end_loss["without"] - constant_loss) < 0.03, "nearly the constant"
assert end_loss["with"] > end_loss["without"], "the loss is higher"
assert end_iou["with"] > 0.5, "and the masks are far better"
assert abs(1 - share - 0.94) < 0.01, "an empty mask has 94 % right"

# %%
# In production
# -------------
# Two people do not draw the same edge, so measure the IoU of their masks first.
# A new camera or other light changes the images, so test on each. A mean over
# all images hides small objects, so report the IoU by size and by class. One
# usually begins with a pretrained encoder, and augments image and mask
# together.
#
# Recipe
# ------
# A network that shrinks and enlarges once, for images of even height and width.
# Ours are made up, with a bright square in noise.

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
# Put your images and masks here. Both are (N, 1, H, W), and the masks are
# numbers, 0 and 1.

torch.manual_seed(0)
images = 0.3 * torch.randn(300, 1, 16, 16)
squares = torch.zeros(300, 1, 16, 16)
for i in range(300):
    size = torch.randint(3, 7, ()).item()
    top = torch.randint(0, 17 - size, ()).item()
    left = torch.randint(0, 17 - size, ()).item()
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
# Tune a threshold on the smoothed training images, as a baseline.

smooth = nn.AvgPool2d(3, stride=1, padding=1)
cuts = torch.linspace(0, 1, 21)
cut_iou = torch.zeros(21)
for i, cut in enumerate(cuts):
    guess = smooth(x_train) > cut
    cut_iou[i] = metrics.mask_iou(guess, y_train > 0.5).mean()
best_cut = cuts[cut_iou.argmax()]

# %%
# Judge both on images that were kept back, and give a new one its mask.

true = y_test > 0.5
guess = smooth(x_test) > best_cut
with torch.no_grad():
    found = model(x_test) > 0
print(f"mean IoU, threshold: {metrics.mask_iou(guess, true).mean():.3f}")
print(f"mean IoU, network:   {metrics.mask_iou(found, true).mean():.3f}")
new = 0.3 * torch.randn(1, 1, 16, 16)
new[0, 0, 4:9, 6:11] += 1
with torch.no_grad():
    area = (model(new) > 0).sum().item()
print(f"new image: {area} pixels, and 25 are right")

# %%
# .. check::

assert metrics.mask_iou(found, true).mean() > 0.8, "good masks on new images"
assert (
    metrics.mask_iou(found, true).mean() > metrics.mask_iou(guess, true).mean()
), "better than the threshold"
assert abs(area - 25) < 8, "and about the right area"

# %%
# What you learned
# ----------------
# - A mask has a class for each pixel. Judge it by IoU or Dice of the object,
#   because the pixel accuracy of an empty mask can be 94%.
# - A U-Net goes down to use wide surroundings and up to give each pixel an
#   answer. It got 0.87, without its skip connections 0.73, and a top-hat, which
#   does not learn, 0.85.
# - If objects are rare, the loss can fall while the mask stays empty, so look
#   at the IoU as well.
#
# Exercises
# ---------
# 1. **Predict.** A true mask has 20 pixels. An answer covers all of them, and
#    20 more. What are IoU and Dice?
# 2. **Change.** The *Dice loss* is 1 minus Dice, with probabilities in place of
#    True and False, so that it has a gradient. Train without batch
#    normalization again, with this loss. Are the masks still empty?
# 3. **Extend.** Average the probabilities of the five networks, and cut at ½.
#    Is this *ensemble* better than each of the five?

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
#    No. With everything else the same, the IoU is about 0.5 here. (With three
#    other seeds, it was 0.2 to 0.5.) Background that both agree on adds nothing
#    to the Dice loss, so an empty mask gains nothing.


def dice_loss(logits, truth):
    probability = logits.sigmoid()
    both = (probability * truth).sum()
    return 1 - 2 * both / (probability.sum() + truth.sum())


torch.manual_seed(0)
model = UNet()
blocks = [model.first, model.down, model.bottom, model.up, model.last[0]]
for block in blocks:
    block[1] = nn.Identity()
train_network(model, rate=0.003, steps=100, loss_function=dice_loss)
with torch.no_grad():
    found = model(scenes["test"]) > 0
dice_iou = metrics.mask_iou(found, true_masks).mean().item()
print(f"Dice loss: IoU {dice_iou:.3f}")

# %%
# .. check::

assert dice_iou > 0.1, "no collapse"

# %%
# .. answer:: 3
#
#    Yes, though not by much.

mean = torch.zeros(200, 1, 48, 48)
for model in networks["U-Net"]:
    with torch.no_grad():
        mean += model(scenes["test"]).sigmoid() / 5
ensemble_iou = metrics.mask_iou(mean > 0.5, true_masks).mean()
print(f"best of the five: {iou['U-Net'].mean(dim=0).max():.3f}")
print(f"ensemble:         {ensemble_iou:.3f}")

# %%
# .. check::

assert ensemble_iou > iou["U-Net"].mean(dim=0).max(), "better than each"
