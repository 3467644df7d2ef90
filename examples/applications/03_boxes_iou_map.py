"""
Bounding boxes, IoU and mAP
===========================

A program draws boxes around the objects in an image and names them. How good is
it?

In *object detection*, one answer can be wrong in many ways. The box is off, the
name is wrong, an object is missed, or it is found twice. All of this is usually
summed up in one number, the *mean average precision* (mAP). It is easy to
compute wrongly, and then it is often too high.

After this lesson you can

- compute the intersection over union of two boxes, and convert between two
  common formats of a box
- compute average precision by hand, from hits, false alarms and misses
- notice when a duplicate is counted as a hit, or boxes come in the wrong format
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torchvision.ops import box_convert, box_iou, roi_align

from handbook import datasets, metrics

torch.manual_seed(0)

# %%
# How well do two boxes agree?
# ----------------------------
# A :term:`bounding box` is the smallest upright rectangle around an object. We
# write it as x1, y1, x2, y2: the left, upper, right and lower edge, in pixels,
# with y counted downwards. Here are two squares of 2 × 2 pixels. The second one
# is moved by one pixel to the right and down.


def shared_area(first, second):
    width = max(0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0, min(first[3], second[3]) - max(first[1], second[1]))
    return width * height


first = [0, 0, 2, 2]
second = [1, 1, 3, 3]
shared = shared_area(first, second)
covered = 2 * 2 + 2 * 2 - shared
print(f"shared {shared}, covered {covered}, IoU {shared / covered:.4f}")

# %%
# They share one pixel. (If two boxes do not overlap, a difference is 0 or
# negative. ``max(0, …)`` makes it 0.) Together they cover 4 + 4 − 1 = 7,
# because the shared pixel must not be counted twice. The *intersection over
# union* (IoU) is the shared area divided by the covered one, here 1/7. Equal
# boxes have an IoU of 1, and boxes that do not overlap have 0.
#
# :func:`torchvision.ops.box_iou` compares each box of one tensor (N, 4) with
# each box of another tensor (M, 4), and returns a table (N, M).

boxes = torch.tensor([first, second]).float()
print(box_iou(boxes, boxes))

# %%
# .. check::

assert shared == 1, "one pixel"
assert covered == 7, "seven in all"
assert shared_area([0, 0, 2, 2], [5, 5, 7, 7]) == 0, "no overlap"
assert torch.allclose(box_iou(boxes, boxes)[0, 1], torch.tensor(1 / 7)), "1/7"
assert box_iou(boxes, boxes).diagonal().tolist() == [1, 1], "equal boxes"

# %%
# Hits and average precision
# --------------------------
# An image shows two objects. A detector has found three boxes, each with a
# score. The higher the score, the more confident the detector. The second box
# is on the first object again.

truth = torch.tensor([[0.0, 0, 4, 4], [6, 6, 9, 9]])
toy_found = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [6, 6, 9, 9]])
scores = torch.tensor([0.9, 0.8, 0.7])
print(box_iou(toy_found, truth))

# %%
# Which are hits? We go from the highest score to the lowest. A box is a *hit*
# if its IoU with a true box that is still free reaches a threshold, usually
# 0.5. Then this true box is taken. Any other box is a *false alarm*, including
# a second box on the same object.


def find_hits(boxes, scores, truth, threshold=0.5):
    hits = torch.zeros(len(boxes), dtype=torch.bool)
    overlap = box_iou(boxes, truth)  # (N, M)
    for i in scores.argsort(descending=True):
        best = overlap[i].argmax()
        if overlap[i, best] >= threshold:
            hits[i] = True
            overlap[:, best] = -1  # taken
    return hits


hits = find_hits(toy_found, scores, truth)
print(hits)

# %%
# Among the boxes so far, *precision* is the share of hits, and *recall* is the
# share of the objects that were found. Here they are after each box:
#
# .. list-table::
#    :header-rows: 1
#
#    * - boxes so far
#      - precision
#      - recall
#    * - 1
#      - 1/1
#      - 1/2
#    * - 2
#      - 1/2
#      - 1/2
#    * - 3
#      - 2/3
#      - 2/2
#
# *Average precision* (AP) asks for each object: how good is the precision once
# it is found? Later boxes may raise the precision again. Then the higher value
# counts, because we could have stopped there instead. The first object gets 1,
# the second one 2/3, and an object that is never found gets 0. AP is the mean
# over the *objects*, (1 + 2/3) / 2 = 0.83.


def average_precision(hits, scores, objects):
    hits = hits[scores.argsort(descending=True)]
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    total = 0.0
    for i in range(len(hits)):
        if hits[i]:
            total += precision[i:].max().item()
    return total / objects


print(f"AP {average_precision(hits, scores, objects=2):.4f}")

# %%
# .. check::

assert hits.tolist() == [True, False, True], "the duplicate is a false alarm"
assert abs(average_precision(hits, scores, 2) - 5 / 6) < 1e-6, "(1 + 2/3) / 2"

# %%
# On real data
# ------------
# :func:`handbook.datasets.digit_scenes` scatters real handwritten digits over
# larger images. The test scenes are made from different handwritten digits than
# the training scenes.

digits_train, digits_test = datasets.mnist()
train_images, train_boxes, train_labels = datasets.digit_scenes(
    digits_train, n=400, overlap=0.1
)
images, true_boxes, true_labels = datasets.digit_scenes(
    digits_test, n=100, overlap=0.1
)
print("images:", images.shape)
print("boxes of the first image:", true_boxes[0])
print("their labels:", true_labels[0])

# %%
# We need something to judge. A simple detector treats connected ink as one
# object. ``components`` gives each ink pixel a number of its own. Then each
# pixel takes the largest number among its neighbours, until nothing changes.
# Now connected pixels have the same number.


def components(ink):
    numbers = torch.arange(1, ink.numel() + 1).reshape(ink.shape) * ink
    numbers = numbers.float()
    largest = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
    changed = True
    while changed:
        spread = largest(numbers) * ink  # paper stays 0
        changed = not spread.equal(numbers)
        numbers = spread
    return numbers


small = torch.tensor([[[True, True, False, True]]])  # (1, 1, 4)
print(components(small))

# %%
# :func:`torchvision.ops.roi_align` cuts boxes out of images and brings each to
# 16 × 16 pixels. ``aligned=True`` puts the pixels where the box says. The
# default, kept for old models, is off by half a pixel. From the true boxes of
# the training scenes, we get a mean image for each digit.

crops = roi_align(train_images, train_boxes, 16, aligned=True).flatten(1)
names = torch.cat(train_labels)
means = torch.stack([crops[names == digit].mean(dim=0) for digit in range(10)])
print(crops.shape, means.shape)

# %%
# .. check::

assert torch.allclose(
    roi_align(torch.arange(5.0).repeat(1, 1, 5, 1), [boxes[1:]], 2),
    roi_align(
        torch.arange(5.0).repeat(1, 1, 5, 1), [boxes[1:]], 2, aligned=True
    )
    + 0.5,
), "half a pixel to the right, on an image whose pixels are their x"

# %%
# ``detect`` takes the digit whose mean image is nearest. The score is minus the
# distance. It need not be a probability, because AP uses only the order of the
# scores. The detectors of torchvision return such a dictionary, too.


def detect(image, least=0.5):
    numbers = components(image >= least)[0]
    boxes = []
    for number in sorted(set(numbers[numbers > 0].tolist())):
        rows, columns = torch.where(numbers == number)
        top_left = [columns.min(), rows.min()]
        bottom_right = [columns.max() + 1, rows.max() + 1]
        boxes.append(torch.stack(top_left + bottom_right))
    boxes = torch.stack(boxes).float()  # each scene has ink
    batch = image.unsqueeze(0)  # one image, so one entry in the list of boxes
    crops = roi_align(batch, [boxes], 16, aligned=True)
    distances = torch.cdist(crops.flatten(1), means)  # (N, 10)
    scores = -distances.amin(dim=1)
    labels = distances.argmin(dim=1)
    return {"boxes": boxes, "scores": scores, "labels": labels}


# %%
# Apply it to all test scenes. Here is the result for the first one.

detected = [detect(image) for image in images]
print(detected[0])

# %%
# The scene has two digits, 2 and 8. The second box lies over both, because
# their ink touches. The other two are slivers, one pixel wide.
#
# The figure shows the first three scenes with the right number of boxes, and
# below the first three with a wrong one. Even in the upper row, some names are
# wrong.
#
# .. alt:: Six scenes with two or three digits each. A dashed box, the truth,
#    lies around each digit. In the upper row there is a solid box, found, on
#    each digit. In the lower row, digits that touch share one solid box, and
#    slivers of ink have solid boxes of their own. The titles hold the digits
#    that were found, and the true ones.

# %%
# .. drawing::

chosen = [[], []]  # the number of boxes is right, wrong
for i in range(len(images)):
    differs = len(detected[i]["boxes"]) != len(true_boxes[i])
    chosen[int(differs)].append(i)
figure, axes = plt.subplots(2, 3, figsize=(6.6, 4.8), layout="constrained")
rows = chosen[0][:3] + chosen[1][:3]
for axis, i in zip(axes.flat, rows, strict=True):
    axis.imshow(images[i, 0].numpy(), cmap="gray")
    for name, boxes, style, colour in [
        ("truth", true_boxes[i], "--", "#56b4e9"),
        ("found", detected[i]["boxes"], "-", "#e69f00"),
    ]:
        for x1, y1, x2, y2 in (boxes - 0.5).tolist():
            edges = [x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1]
            axis.plot(*edges, style, color=colour, label=name)
            name = "_"  # hidden from the legend
    found_labels = sorted(detected[i]["labels"].tolist())
    title = f"found {found_labels}\ntrue {sorted(true_labels[i].tolist())}"
    axis.set_title(title, fontsize=9)
    axis.set(xticks=[], yticks=[])
axes[0, 0].legend(fontsize=7)

# %%
# AP judges one class at a time, over all images together. So a good box with a
# wrong name is a false alarm. The *mean* average precision is the mean of AP
# over the ten digits.
# :func:`handbook.metrics.mean_average_precision` does all of this in one call.
# Like COCO, the best-known benchmark for detectors, it averages the precision
# over 101 fixed values of recall. This changes an AP by 1/101 at most. We print
# the mAP at three IoU thresholds, and for each half of the scenes.

truths = []
for boxes, labels in zip(true_boxes, true_labels, strict=True):
    truths.append({"boxes": boxes, "labels": labels})

map_at = {}
for threshold in [0.5, 0.75, 0.9]:
    map_at[threshold] = metrics.mean_average_precision(
        detected, truths, threshold
    )
    print(f"mAP@{threshold}: {map_at[threshold]:.2f}")
half_1 = metrics.mean_average_precision(detected[:50], truths[:50])
half_2 = metrics.mean_average_precision(detected[50:], truths[50:])
print(f"mAP@0.5 of the two halves: {half_1:.2f}, {half_2:.2f}")

# %%
# The stricter the threshold, the lower the mAP, because some boxes no longer
# fit well enough. The two halves differ by more than 0.1, so on a few scenes
# the mAP is only a rough number.

# %%
# .. check::

assert components(small).flatten().tolist() == [2, 2, 0, 4], "two objects"
assert true_labels[0].tolist() == [2, 8], "two digits"
assert box_iou(detected[0]["boxes"][1:2], true_boxes[0]).min() > 0.3, (
    "over both digits"
)
assert (
    detected[0]["boxes"][::2, 2] - detected[0]["boxes"][::2, 0]
).tolist() == [1, 1], "the slivers are one pixel wide"
assert sorted(detected[1]["labels"].tolist()) == [1, 9, 9], "not 4, 9, 9"
assert sorted(true_labels[1].tolist()) == [4, 9, 9], "the upper row"
assert (
    abs(metrics.average_precision([toy_found], [scores], [truth]) - 5 / 6)
    < 1 / 101
), "as by hand, up to 1/101"
assert map_at[0.5] > map_at[0.75] > map_at[0.9], "the stricter, the lower"
assert abs(half_1 - half_2) > 0.1, "the halves differ"

# %%
# What goes wrong
# ---------------
# **Boxes in the other format.** Many files store a box as x, y, width, height
# (``xywh``). ``box_iou`` assumes x1, y1, x2, y2 (``xyxy``) unless you say
# ``fmt="xywh"``, and cannot tell the two apart.
# :func:`torchvision.ops.box_convert` converts.

xywh = torch.tensor([[10.0, 20, 30, 30], [13, 20, 30, 30]])
xyxy = box_convert(xywh, in_fmt="xywh", out_fmt="xyxy")
wrong_iou = box_iou(xywh[:1], xywh[1:]).item()
right_iou = box_iou(xyxy[:1], xyxy[1:]).item()
print(f"xywh, no error: {wrong_iou:.3f}")
print(f"xyxy:           {right_iou:.3f}")

# %%
# The wrong number is as plausible as the right one. The packaged mAP raises an
# error if x2 < x1, but it would not notice these, because 30 > 10. Therefore
# draw a few boxes over their images first.
#
# **A duplicate is counted as a hit.** It is tempting to call each box a hit
# whose IoU with *some* object is at least 0.5. Try this with the three boxes
# from the beginning, and then as if two more objects had been missed.

every = box_iou(toy_found, truth).amax(dim=1) >= 0.5
print("hits:", every)
for objects in [2, 4]:
    right_ap = average_precision(hits, scores, objects)
    wrong_ap = average_precision(every, scores, objects)
    print(f"{objects} objects: right {right_ap:.2f}, wrong {wrong_ap:.2f}")

# %%
# An AP of 1.5 is impossible, so here you notice. But the 0.75 with four objects
# looks normal. The right rule punishes duplicates. Here our detector returns
# each box twice, the second time with a slightly lower score.

twice = []
for each in detected:
    boxes = torch.cat([each["boxes"], each["boxes"]])
    doubled = torch.cat([each["scores"], each["scores"] - 0.001])
    labels = torch.cat([each["labels"], each["labels"]])
    twice.append({"boxes": boxes, "scores": doubled, "labels": labels})
map_twice = metrics.mean_average_precision(twice, truths)
print(f"once {map_at[0.5]:.2f}, twice {map_twice:.2f}")

# %%
# .. check::

assert abs(right_iou - 810 / 990) < 1e-4, "27 x 30 of 990 pixels"
assert abs(wrong_iou - 0.85) < 1e-4, "no error, and plausible"
assert box_iou(xywh[:1], xywh[1:], fmt="xywh").item() == right_iou, "fmt"
assert (
    metrics.mean_average_precision(
        [{"boxes": xywh[:1], "scores": scores[:1], "labels": torch.zeros(1)}],
        [{"boxes": xywh[1:], "labels": torch.zeros(1)}],
    )
    == 1
), "the packaged mAP takes these boxes, too"
assert every.all(), "each of the three is a hit"
assert average_precision(every, scores, objects=2) == 1.5, "impossible"
assert average_precision(every, scores, objects=4) == 0.75, "normal"
assert map_twice < map_at[0.5] - 0.15, "duplicates are punished"

# %%
# In production
# -------------
# The mAP says nothing about the score above which you should act. Choose it
# with a validation set (:doc:`/lessons/practice/02_threshold`). Compare two
# mAPs only if the IoU threshold, the images and the rules are the same: "mAP"
# often means the mean over the thresholds 0.5, 0.55, …, 0.95. The usual tools
# are ``pycocotools`` and ``torchmetrics.detection.MeanAveragePrecision``.
#
# Recipe
# ------
# The boxes are random, and the found ones a little off. Replace both with your
# own, one dictionary for each image.

import torch
from torchvision.ops import box_convert

from handbook import metrics

torch.manual_seed(0)
targets = []
predictions = []
for _ in range(50):  # images
    xywh = 20 + 40 * torch.rand(3, 4)
    boxes = box_convert(xywh, in_fmt="xywh", out_fmt="xyxy")
    labels = torch.randint(0, 2, (3,))
    targets.append({"boxes": boxes, "labels": labels})
    boxes = boxes + 2 * torch.randn(3, 4)
    scores = torch.rand(3)
    found = {"boxes": boxes, "scores": scores, "labels": labels}
    predictions.append(found)

# %%

values = []
for percent in range(50, 100, 5):
    threshold = percent / 100
    value = metrics.mean_average_precision(predictions, targets, threshold)
    values.append(value)
print(f"mAP@.5 {values[0]:.2f}, mAP@.75 {values[5]:.2f}", end=", ")
print(f"mAP@[.5:.95] {sum(values) / len(values):.2f}")

# %%
# .. check::

assert values[0] > 0.9, "a little off is good enough for 0.5"
assert values[-1] < 0.5, "and not for 0.95"

# %%
# What you learned
# ----------------
# - IoU is the shared area divided by the covered area.
# - A box is a hit if its IoU with a free object reaches the threshold. A second
#   box on the same object is a false alarm.
# - AP is the mean over the objects of the best precision from the moment they
#   are found. An object that is missed counts 0. mAP is its mean over the
#   classes.
# - ``box_iou`` does not notice boxes in ``xywh``. Convert them, and draw a few.
# - State the IoU threshold with every mAP.
#
# Exercises
# ---------
# 1. **Predict.** There are three objects. The boxes, from the highest score to
#    the lowest, are a hit, a false alarm, a hit and a false alarm. What is AP?
# 2. **Change.** Take all pixels of at least 0.2 as ink instead of 0.5. What
#    happens to the mAP at an IoU of 0.9?
# 3. **Extend.** How much of the mAP is lost by wrong names? Give all boxes, the
#    found and the true ones, the label 0.

# %%
# .. answer:: 1
#
#    The first object gets 1, the second 2/3, and the third, which is missed, 0.
#    So AP is (1 + 2/3 + 0) / 3 = 0.56.

hits = torch.tensor([True, False, True, False])
falling = torch.tensor([0.9, 0.8, 0.7, 0.6])
print(f"AP {average_precision(hits, falling, objects=3):.2f}")

# %%
# .. check::

assert abs(average_precision(hits, falling, 3) - 5 / 9) < 1e-6, "5/9"

# %%
# .. answer:: 2
#
#    It rises clearly. The true boxes hold all ink of at least 0.2, so with this
#    threshold the boxes of single digits become exact. At an IoU of 0.5 there
#    is no such gain, because there they were good enough before.

found_02 = [detect(image, least=0.2) for image in images]
loose = metrics.mean_average_precision(found_02, truths, 0.5)
strict = metrics.mean_average_precision(found_02, truths, 0.9)
print(f"mAP@0.5: {map_at[0.5]:.2f} with 0.5, {loose:.2f} with 0.2")
print(f"mAP@0.9: {map_at[0.9]:.2f} with 0.5, {strict:.2f} with 0.2")

# %%
# .. check::

assert strict > map_at[0.9] + 0.08, "exact boxes are rewarded"
assert loose < map_at[0.5] + 0.03, "no such gain"

# %%
# .. answer:: 3
#
#    Without names, AP is 0.78 instead of 0.56. So wrong names cost about 0.2.
#    The rest is lost because digits that touch share a box, or a digit falls
#    into pieces. (With one class, mAP and AP are the same.)

found_any = []
truth_any = []
for each, true in zip(detected, truths, strict=True):
    zeros = torch.zeros_like(each["labels"])
    found_any.append(
        {"boxes": each["boxes"], "scores": each["scores"], "labels": zeros}
    )
    zeros = torch.zeros_like(true["labels"])
    truth_any.append({"boxes": true["boxes"], "labels": zeros})
ap_any = metrics.mean_average_precision(found_any, truth_any)
print(f"AP@0.5 without names {ap_any:.2f}, with names {map_at[0.5]:.2f}")

# %%
# .. check::

assert abs(ap_any - 0.78) < 0.005, "without names"
assert abs(map_at[0.5] - 0.56) < 0.005, "with names"
assert abs(ap_any - map_at[0.5] - 0.2) < 0.05, "about 0.2"
