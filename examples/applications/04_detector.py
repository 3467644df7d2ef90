"""
Object detection: a centre-point detector
=========================================

How can a network find objects if it is not told how many there are?

A classifier gives one answer for an image. A detector has to give a list of
boxes, and the list is longer for some images than for others. A network has
outputs of a fixed size, though. The way out is to ask the same question at each
place of the image: is the centre of an object here?

After this lesson you can

- turn boxes into a heat map of centres, and find the peaks of a heat map
- train a small network that finds and measures digits
- compare it fairly with a detector that needs no training
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import OneCycleLR
from torchvision.ops import box_iou

from handbook import datasets, metrics

torch.manual_seed(0)

# %%
# Peaks of a heat map
# -------------------
# The image is divided into cells. For each cell, the network says how sure it
# is that the centre of an object lies there. These numbers form a *heat map*.
# Here is a heat map of one row with six cells. How many objects are there?

row = torch.tensor([[[0.1, 0.3, 0.8, 0.4, 0.2, 0.6]]])  # (1, 1, 6)
highest_around = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
print("highest around each cell:", highest_around(row))
print("peaks:", row == highest_around(row))

# %%
# The cells around 0.8 have high numbers as well, because they are close to the
# centre. So an object is a *peak*, a cell that is not lower than any of its
# neighbours. Max pooling with a window of three and a stride of one gives the
# highest number around each cell, and the peaks are those that equal it. Here
# there are two.

# %%
# .. check::

assert (row == highest_around(row)).flatten().tolist() == [
    False, False, True, False, False, True,
], "two peaks"  # fmt: skip

# %%
# Data
# ----
# The scenes are made as in :doc:`/lessons/applications/03_boxes_iou_map`: 48 ×
# 48 pixels with one to three digits, whose boxes may overlap up to an IoU of
# 0.2. The test scenes are made from digits that are in no training scene.

digits_train, digits_test = datasets.mnist()
images, boxes, _ = datasets.digit_scenes(digits_train, n=1000, overlap=0.2)
test_images, test_boxes, _ = datasets.digit_scenes(
    digits_test, n=200, overlap=0.2
)
print(f"digits: {len(torch.cat(boxes))}, test {len(torch.cat(test_boxes))}")

# %%
# Here the network learns only *where* the digits are. To name them, cut the
# boxes out and classify them, as in the last lesson.
#
# A baseline without training
# ---------------------------
# The detector of the last lesson takes connected ink as one object: connected
# pixels get the same number. Ink is what is at least 0.3, and pieces of fewer
# than five pixels are left out.


def find_ink(scene):
    ink = scene >= 0.3  # (1, 48, 48)
    labels = torch.arange(1.0, ink.numel() + 1).reshape(ink.shape) * ink
    spread_labels = highest_around(labels) * ink
    while not spread_labels.equal(labels):
        labels = spread_labels
        spread_labels = highest_around(labels) * ink
    found = [torch.zeros(0, 4)]
    for label in labels[labels > 0].unique():
        _, rows, columns = torch.where(labels == label)
        top_left = [columns.min(), rows.min()]
        bottom_right = [columns.max() + 1, rows.max() + 1]
        if len(rows) >= 5:
            found.append(torch.stack(top_left + bottom_right).unsqueeze(0))
    return torch.cat(found)


# %%
# Is this :term:`baseline` good?
# :func:`handbook.metrics.average_precision` judges boxes without names. Its
# threshold of IoU is 0.5, where a box may be a little off, or 0.75, where it
# has to fit well. Digits that touch share one box, and such a box is large. So
# its score is minus the area.

ink_boxes = [find_ink(scene) for scene in test_images]
ink_scores = []
for found in ink_boxes:
    size = found[:, 2:] - found[:, :2]  # width and height
    ink_scores.append(-size.prod(dim=1))
ink_50 = metrics.average_precision(ink_boxes, ink_scores, test_boxes, 0.5)
ink_75 = metrics.average_precision(ink_boxes, ink_scores, test_boxes, 0.75)
print(f"connected ink: AP@.5 {ink_50:.3f}, AP@.75 {ink_75:.3f}")

# %%
# How well do the boxes fit the digits that are found? Take the best box for
# each digit. Of the IoUs that are at least 0.5, which share is at least 0.75?


def best_ious(some_boxes, others):
    best = []
    for mine, theirs in zip(some_boxes, others, strict=True):
        theirs = torch.cat([theirs, torch.zeros(1, 4)])  # if empty
        best.append(box_iou(mine, theirs).amax(dim=1))
    return best


def share_that_fits(found):
    ious = torch.cat(best_ious(test_boxes, found))
    return (ious >= 0.75).sum() / (ious >= 0.5).sum()


print(f"connected ink: {share_that_fits(ink_boxes):.2f}")

# %%
# From boxes to targets
# ---------------------
# The network divides a scene into 12 × 12 cells of 4 × 4 pixels. (*CenterNet*,
# a well-known detector, looks for peaks as ours does, and *FCOS* for sides.)

middle = 4 * torch.arange(12) + 2.0  # of each cell, in pixels
x = middle.expand(12, 12)  # grows to the right, and y downwards
y = x.T
middles = torch.stack([x, y])  # (2, 12, 12)

# %%
# For each cell we write down three targets:
#
# - ``heat``, exp(−d² / 32), where d is the distance in pixels from the middle
#   of the cell to the nearest centre of an object. It is a bell curve with a
#   standard deviation of one cell (32 = 2 · 4²), so it is close to 1 at a
#   centre and falls off around it;
# - ``sides``, how far it is from the middle of the cell to the left, upper,
#   right and lower edge of the box;
# - ``near``, whether a centre is less than 4 pixels away. The sides are learned
#   only there.


def make_targets(scene_boxes):
    heat = torch.zeros(12, 12)
    sides = torch.zeros(4, 12, 12)
    near = torch.zeros(12, 12, dtype=torch.bool)
    for box in scene_boxes:
        x1, y1, x2, y2 = box.tolist()
        squared = (x - (x1 + x2) / 2) ** 2 + (y - (y1 + y2) / 2) ** 2
        heat = torch.maximum(heat, torch.exp(-squared / 32))
        here = squared < 16
        to_edges = torch.stack([x - x1, y - y1, x2 - x, y2 - y])
        sides = torch.where(here, to_edges, sides)  # the last box wins
        near = near | here
    return heat, sides, near


# %%
# Make the targets of all training scenes:

targets = [make_targets(scene_boxes) for scene_boxes in boxes]
all_heat = torch.stack([heat for heat, _, _ in targets])  # (1000, 12, 12)
all_sides = torch.stack([sides for _, sides, _ in targets])
all_near = torch.stack([near for _, _, near in targets])
print(all_heat.shape, all_sides.shape, all_near.shape)

# %%
# Model and training
# ------------------
# Three convolutions look at the scene. A fourth one, with a window of a single
# cell, gives five numbers for each cell: one for the heat and four for the
# sides.


def make_network():
    return nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=5, stride=2, padding=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),  # (B, 8, 24, 24)
        nn.Conv2d(8, 24, kernel_size=5, stride=2, padding=2),
        nn.BatchNorm2d(24),
        nn.ReLU(),  # (B, 24, 12, 12)
        nn.Conv2d(24, 24, kernel_size=5, padding=2),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Conv2d(24, 5, kernel_size=1),  # (B, 5, 12, 12)
    )


# %%
# There are two losses. The heat is treated as a probability, and its loss is
# binary cross-entropy in all cells. The loss of the sides is the mean absolute
# error in pixels, where ``near`` is True. Such a distance is about 7 pixels, so
# the network gives it in units of 8.


def compute_loss(output, chosen):
    heat_loss = binary_cross_entropy_with_logits(
        output[:, 0], all_heat[chosen], reduction="sum"
    )
    off = (8 * output[:, 1:] - all_sides[chosen]).abs().mean(dim=1)
    # Divided by 10, the first loss begins about as large as the second.
    return heat_loss / len(chosen) / 10 + off[all_near[chosen]].mean()


# %%
# A whole training takes 150 steps of 32 scenes.


def train_network(seed, steps=150):
    torch.manual_seed(seed)
    model = make_network()
    with torch.no_grad():
        model[-1].bias[0] = -3  # most cells have no object: start near 0.05
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = OneCycleLR(optimizer, max_lr=0.01, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(0, len(images), (32,))
        loss = compute_loss(model(images[chosen]), chosen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return model.eval()


# %%
# From outputs to boxes
# ---------------------
# Each peak above 0.1 becomes a box, with the heat as its score. The edges are
# the middle of the cell, minus or plus the sides. ``highest_around`` takes the
# N scenes for channels, so each is pooled alone. (``only_peaks=False`` is for a
# mistake below.)


def find_centres(model, scenes, only_peaks=True):
    with torch.no_grad():
        output = model(scenes)  # (N, 5, 12, 12)
    heat = output[:, 0].sigmoid()  # (N, 12, 12)
    is_centre = heat > 0.1
    if only_peaks:
        is_centre = is_centre & (heat == highest_around(heat))
    sides = 8 * output[:, 1:].clamp(min=0)
    edges = torch.cat([middles - sides[:, :2], middles + sides[:, 2:]], dim=1)
    found = []
    scores = []
    for i in range(len(scenes)):
        found.append(edges[i][:, is_centre[i]].T)  # (K, 4)
        scores.append(heat[i][is_centre[i]])  # (K,)
    return found, scores


# %%
# (``clamp`` is for a network that gives a negative distance: x2 must not be
# less than x1.) Train with five seeds, which choose the starting weights and
# the scenes of each step. The test scenes stay the same.

ap_50 = torch.zeros(5)
ap_75 = torch.zeros(5)
fits = torch.zeros(5)
networks = []
for seed in range(5):
    networks.append(train_network(seed))
    found, scores = find_centres(networks[seed], test_images)
    ap_50[seed] = metrics.average_precision(found, scores, test_boxes, 0.5)
    ap_75[seed] = metrics.average_precision(found, scores, test_boxes, 0.75)
    fits[seed] = share_that_fits(found)

# %%

print(f"connected ink: AP@.5 {ink_50:.3f}, AP@.75 {ink_75:.3f}")
print(f"network, @.5:  {ap_50.mean():.3f} ± {ap_50.std():.3f}")
print(f"network, @.75: {ap_75.mean():.3f} ± {ap_75.std():.3f}")
print(f"network, fits: {fits.mean():.2f} ± {fits.std():.2f}")

# %%
# After 150 steps, the network is better at an IoU of 0.5 with each of the five
# seeds, 0.92 against 0.85. At 0.75 connected ink is better with each seed, 0.78
# against 0.58. Of the digits found, 92% have a box of the ink that fits well,
# and 74% one of the network. So the network finds more digits, and the ink
# measures them better. (The true boxes were made from ink, too.)
#
# The ± is over the seeds, for the same 200 scenes. In a longer experiment, with
# 750 steps, three networks came close to the ink at 0.75, 0.73 to 0.78.
#
# The figure shows one scene, the heat of its true centres, and the heat that
# the first network gives. Where two digits are close, the spots flow together.
#
# .. alt:: Three panels. A scene with three digits, the heat map of its true
#    centres, with a bright spot for each digit, and the heat map of the
#    network. There, one spot stands alone, and those of two neighbours flow
#    together.

# %%
# .. drawing::

i = [len(box) for box in test_boxes].index(3)  # the first with three digits
with torch.no_grad():
    given = networks[0](test_images[i : i + 1])[0, 0].sigmoid()
wanted, _, _ = make_targets(test_boxes[i])
figure, axes = plt.subplots(1, 3, figsize=(6.6, 2.4), layout="constrained")
for axis, picture, title in [
    (axes[0], test_images[i, 0], "scene"),
    (axes[1], wanted, "true centres"),
    (axes[2], given, "network"),
]:
    axis.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[], title=title)

# %%
# .. check::

assert abs(ap_50.mean() - 0.92) < 0.02, "0.92"
assert abs(ink_50 - 0.85) < 0.01, "0.85"
assert abs(ap_75.mean() - 0.58) < 0.03, "0.58"
assert abs(ink_75 - 0.78) < 0.01, "0.78"
assert abs(share_that_fits(ink_boxes) - 0.92) < 0.01, "92%"
assert abs(fits.mean() - 0.74) < 0.03, "74%"
assert fits.max() < 0.86, "the ink measures better than each network"
assert ap_50.min() > ink_50 + 0.04, "better at 0.5 with each seed"
assert ap_75.max() < ink_75 - 0.04, "worse at 0.75 with each seed"

# %%
# The mistakes of the network
# ---------------------------
# For the first network, how well does the best box fit each digit, and how many
# boxes fit none?

found, scores = find_centres(networks[0], test_images)
best = best_ious(test_boxes, found)
ious = torch.cat(best)
nothing = torch.cat(best_ious(found, test_boxes)) < 0.5
print(f"IoU at least 0.75:  {(ious >= 0.75).sum()} digits")
print(f"from 0.5 to 0.75:   {((ious >= 0.5) & (ious < 0.75)).sum()}")
print(f"below 0.5, missed:  {(ious < 0.5).sum()}")
print(f"false alarms:       {nothing.sum()} boxes below 0.5")

# %%
# Most mistakes are boxes that are off by a few pixels. For a thin digit such as
# a 1, one or two pixels are enough to fall below 0.75. A digit that overlaps
# another one, or lies at the edge, may be missed.
#
# .. alt:: Three scenes with true boxes, dashed, and found ones, solid. The
#    solid box of a 1 is a few pixels wider than the dashed one. Those of a 5
#    and a 2 cut off the right end. A thin digit at the edge has no solid box.

# %%
# .. drawing::

bad = [i for i in range(len(best)) if best[i].min() < 0.75]
figure, axes = plt.subplots(1, 3, figsize=(6.6, 2.4), layout="constrained")
for axis, i in zip(axes, bad[:3], strict=True):
    axis.imshow(test_images[i, 0].numpy(), cmap="gray")
    for name, drawn, style, colour in [
        ("truth", test_boxes[i], "--", "#56b4e9"),
        ("found", found[i], "-", "#e69f00"),
    ]:
        for x1, y1, x2, y2 in (drawn - 0.5).tolist():
            edges = [x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1]
            axis.plot(*edges, style, color=colour, label=name)
            name = "_"  # one line in the legend
    axis.set(xticks=[], yticks=[])
axes[0].legend(fontsize=7)

# %%
# .. check::

assert ((ious >= 0.5) & (ious < 0.75)).sum() > (
    (ious < 0.5).sum() + nothing.sum()
), "most mistakes are boxes that are off"
assert (
    2
    < torch.cat(
        [
            (true - mine[box_iou(true, mine).argmax(dim=1)]).abs().amax(dim=1)
            for true, mine in zip(test_boxes, found, strict=True)
        ]
    )[(ious >= 0.5) & (ious < 0.75)].median()
    < 4
), "a few pixels"

# %%
# What goes wrong
# ---------------
# **Every hot cell becomes a box.** Leave out the peaks, and take all cells with
# a heat above 0.1. There is no error message, and in a picture the boxes lie
# almost on top of each other. Here it is with the first network.

hot, hot_scores = find_centres(networks[0], test_images, only_peaks=False)
hot_50 = metrics.average_precision(hot, hot_scores, test_boxes, 0.5)
print(f"true boxes {len(torch.cat(test_boxes))}")
print(f"peaks {len(torch.cat(found))}, AP@.5 {ap_50[0]:.3f}")
print(f"hot   {len(torch.cat(hot))}, AP@.5 {hot_50:.3f}")

# %%
# There are about 14 boxes for each digit, and each box after the first one is a
# false alarm. So count the boxes before you look at pictures. (Detectors
# without peaks use *non-maximum suppression*, which drops a box if it overlaps
# too much with one of a higher score.)

# %%
# .. check::

assert abs(len(torch.cat(hot)) / len(ious) - 14.4) < 2, "about 14 boxes"
assert hot_50 < ap_50[0] - 0.15, "and the AP falls"

# %%
# In production
# -------------
# Two objects with centres in the same cell or in neighbouring ones may become
# one, so many small objects need smaller cells. Photographs have shadows and
# clutter, and connected ink is of little use there. A network trained from
# scratch needs thousands of boxes drawn by people, so one usually fine-tunes a
# pretrained detector, with far fewer.
#
# Recipe
# ------
# From heat and sides, which are made up here, to a list of boxes:

import torch

torch.manual_seed(0)
heat = 0.2 * torch.rand(12, 12)
heat[3, 4] = 0.9
heat[3, 5] = 0.7  # beside the first centre
heat[8, 2] = 0.6
sides = torch.full((4, 12, 12), 7.0)  # left, upper, right, lower, in pixels

# %%


def find_boxes(heat, sides, least, cell=4):
    window = torch.nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
    is_peak = heat == window(heat.unsqueeze(0)).squeeze(0)
    rows, columns = torch.where(is_peak & (heat > least))
    middles = cell * torch.stack([columns, rows]) + cell / 2  # (2, K)
    chosen = sides[:, rows, columns]  # (4, K)
    edges = torch.cat([middles - chosen[:2], middles + chosen[2:]])
    return edges.T, heat[rows, columns]


boxes, scores = find_boxes(heat, sides, least=0.3)
for box, score in zip(boxes, scores, strict=True):
    print(f"box {box.tolist()}, score {score:.1f}")

# %%
# .. check::

assert boxes.tolist() == [[11, 7, 25, 21], [3, 27, 17, 41]], (
    "two objects, and not the cell beside the first"
)

# %%
# What you learned
# ----------------
# - A centre-point detector asks each cell: is the centre of an object here? The
#   peaks of the heat map are the objects, so their number can differ.
# - The sides of the box are learned only near the centres.
# - Compare with a detector without a network. After 150 steps, the network
#   found more digits (AP@.5 0.92 against 0.85), and connected ink measured them
#   better (92% of those found have a box that fits well, against 74%).
#
# Exercises
# ---------
# 1. **Predict.** A row of the heat map is 0.2, 0.9, 0.9, 0.1, 0.5, 0.4. How
#    many peaks does the rule find, and what is wrong with that?
# 2. **Change.** Give all boxes the same score, those of the ink and those of
#    the networks. What happens to the APs?
# 3. **Extend.** Let each detector do what it does best. Where a box of
#    connected ink has an IoU of at least 0.6 with a box of the network, take
#    the box of the ink, and otherwise keep that of the network. What are the
#    two APs, with each of the five seeds?

# %%
# .. answer:: 1
#
#    Three. Both cells with 0.9 equal the highest number around them, so one
#    object is found twice. Equal numbers are rare in the output of a network.
#    In our targets they are common: a centre on the border of two cells makes
#    both equal, and the rule finds 514 peaks for 394 digits.

tie = torch.tensor([[[0.2, 0.9, 0.9, 0.1, 0.5, 0.4]]])
print("peaks:", (tie == highest_around(tie)).sum().item())
wanted = torch.stack([make_targets(true)[0] for true in test_boxes])
in_targets = (wanted == highest_around(wanted)) & (wanted > 0.1)
print(f"targets: {in_targets.sum()} peaks, {len(ious)} digits")

# %%
# .. check::

assert (tie == highest_around(tie)).sum() == 3, "three"
assert in_targets.sum() == 514, "514 peaks"
assert len(ious) == 394, "394 digits"

# %%
# .. answer:: 2
#
#    Those of the ink fall to 0.83 and 0.71, and those of the networks to 0.90
#    and 0.51, because hits no longer come before the other boxes. (Among equal
#    scores, the order of the scenes decides, so this order matters, too.)

equal = [torch.ones(len(theirs)) for theirs in ink_boxes]
equal_ink_50 = metrics.average_precision(ink_boxes, equal, test_boxes, 0.5)
equal_ink_75 = metrics.average_precision(ink_boxes, equal, test_boxes, 0.75)
print(f"ink: @.5 {equal_ink_50:.3f}, @.75 {equal_ink_75:.3f}")

equal_50 = torch.zeros(5)
equal_75 = torch.zeros(5)
for seed in range(5):
    found, _ = find_centres(networks[seed], test_images)
    equal = [torch.ones(len(mine)) for mine in found]
    equal_50[seed] = metrics.average_precision(found, equal, test_boxes, 0.5)
    equal_75[seed] = metrics.average_precision(found, equal, test_boxes, 0.75)
print(f"networks, @.5:  {equal_50.mean():.3f} ± {equal_50.std():.3f}")
print(f"networks, @.75: {equal_75.mean():.3f} ± {equal_75.std():.3f}")

# %%
# .. check::

assert abs(equal_ink_50 - 0.825) < 0.01, "0.83"
assert abs(equal_ink_75 - 0.71) < 0.01, "0.71"
assert abs(equal_50.mean() - 0.902) < 0.02, "0.90"
assert abs(equal_75.mean() - 0.507) < 0.03, "0.51"
assert (equal_75 < ap_75).all(), "they fall"
assert equal_50.mean() < ap_50.mean(), "they fall"
assert equal_ink_50 < ink_50 - 0.01, "they fall"
assert equal_ink_75 < ink_75 - 0.05, "they fall"

# %%
# .. answer:: 3
#
#    They are 0.91 and 0.77, at each threshold about as good as the better of
#    the two. So the network can say where, and the ink how large.

both_50 = torch.zeros(5)
both_75 = torch.zeros(5)
for seed in range(5):
    found, scores = find_centres(networks[seed], test_images)
    for mine, theirs in zip(found, ink_boxes, strict=True):
        if len(mine) > 0 and len(theirs) > 0:
            overlap, nearest = box_iou(mine, theirs).max(dim=1)
            good = overlap >= 0.6
            mine[good] = theirs[nearest[good]]  # in place, so in the list, too
    both_50[seed] = metrics.average_precision(found, scores, test_boxes, 0.5)
    both_75[seed] = metrics.average_precision(found, scores, test_boxes, 0.75)
print(f"both, @.5:  {both_50.mean():.3f} ± {both_50.std():.3f}")
print(f"both, @.75: {both_75.mean():.3f} ± {both_75.std():.3f}")

# %%
# .. check::

assert abs(both_50.mean() - 0.913) < 0.02, "0.91"
assert abs(both_75.mean() - 0.769) < 0.03, "0.77"
assert (both_75 > ap_75).all(), "better than the network at 0.75"
assert abs(both_75.mean() - ink_75) < 0.03, "about as good as the ink"
assert abs(both_50.mean() - ap_50.mean()) < 0.02, "about as good at 0.5"
