"""
Bounding boxes, IoU and mAP
===========================

A program draws boxes around the objects in an image and names them. How good is
it?

In *object detection*, one answer can be wrong in many ways. The box lies badly,
the name is wrong, an object is missed, or it is found twice. The number that
people report for all of this is the *mean average precision* (mAP). It is easy
to compute wrongly, and then it is often too high.

After this lesson you can

- compute the intersection over union of two boxes, and convert between the two
  common forms of a box
- compute average precision by hand, from hits, false alarms and misses
- notice when a duplicate is counted as a hit, or boxes come in the wrong form
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torchvision.ops import box_convert, box_iou, roi_align

from handbook import datasets
from handbook.metrics import mean_average_precision

torch.manual_seed(0)

# %%
# How well do two boxes agree?
# ----------------------------
# A :term:`bounding box` is the smallest upright rectangle around an object. We
# write it as x1, y1, x2, y2: the left, upper, right and lower edge, in pixels,
# with y counted downwards. Here are two squares of 2 × 2 pixels. The second one
# is moved by one pixel to the right and down.

first = [0, 0, 2, 2]
second = [1, 1, 3, 3]
width = min(first[2], second[2]) - max(first[0], second[0])
height = min(first[3], second[3]) - max(first[1], second[1])
shared = width * height
covered = 2 * 2 + 2 * 2 - shared
print(f"shared {shared}, covered {covered}, IoU {shared / covered:.4f}")

# %%
# They share one pixel. Together they cover 4 + 4 − 1 = 7, because the shared
# pixel must not be counted twice. The *intersection over union* (IoU) is the
# shared area divided by the covered one, here 1/7. Equal boxes have an IoU of
# 1, and boxes that do not touch have 0.
#
# :func:`torchvision.ops.box_iou` compares each box of one tensor (N, 4) with
# each box of another tensor (M, 4), and returns a table (N, M).

boxes = torch.tensor([first, second]).float()
print(box_iou(boxes, boxes))

# %%
# .. check::

assert shared == 1, "one pixel"
assert covered == 7, "seven in all"
assert torch.allclose(box_iou(boxes, boxes)[0, 1], torch.tensor(1 / 7)), "1/7"
assert box_iou(boxes, boxes).diagonal().tolist() == [1, 1], "equal boxes"

# %%
# Hits and average precision
# --------------------------
# An image shows two objects. A detector has found three boxes, each with a
# score. The higher the score, the surer the detector is. The second box lies on
# the first object again.

truth = torch.tensor([[0.0, 0, 4, 4], [6, 6, 9, 9]])
toy_found = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [6, 6, 9, 9]])
scores = torch.tensor([0.9, 0.8, 0.7])
print(box_iou(toy_found, truth))

# %%
# Which of the three are hits? We go from the highest score to the lowest. A box
# is a *hit* if its IoU with a true box that is still free reaches a threshold,
# usually 0.5. Then this true box is taken. Any other box is a *false alarm*. So
# the second box on the same object is not a hit.


def find_hits(boxes, scores, truth, threshold=0.5):
    hits = torch.zeros(len(boxes), dtype=torch.bool)
    if len(truth) == 0:
        return hits
    overlap = box_iou(boxes, truth)  # (N, M)
    for i in scores.argsort(descending=True):
        best = overlap[i].argmax()
        if overlap[i, best] >= threshold:
            hits[i] = True
            overlap[:, best] = 0  # taken
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
# *Average precision* (AP) asks for each object: how good was the precision when
# it was found? Its answer is the best precision from there on. The first object
# gets 1, the second one 2/3, and an object that is never found gets 0. AP is
# the mean over the *objects*, (1 + 2/3) / 2 = 0.83.


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
# larger images. So we know each box exactly. The boxes may overlap a little, up
# to an IoU of 0.1. The test scenes are made from digits that are in no training
# scene.

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
# We need something to judge. A simple detector will do. It takes all pixels of
# at least 0.5 as ink, and ink that is connected as one object. ``components``
# gives each ink pixel a number of its own. Then each pixel takes the largest
# number among its neighbours, again and again, until nothing changes. Pixels
# that are connected have the same number then.


def components(ink):
    numbers = torch.arange(1, ink.numel() + 1).reshape(ink.shape) * ink
    numbers = numbers.float()
    largest = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
    changed = True
    while changed:
        spread = largest(numbers) * ink
        changed = not spread.equal(numbers)
        numbers = spread
    return numbers


small = torch.tensor([[[True, True, False, True]]])  # (1, 1, 4)
print(components(small))

# %%
# To name an object, we need its pixels in a fixed size.
# :func:`torchvision.ops.roi_align` cuts boxes out of images and brings each to
# 16 × 16 pixels. We do this with the true boxes of the training scenes, and
# compute a mean image for each digit.

crops = roi_align(train_images, train_boxes, output_size=16).flatten(1)
names = torch.cat(train_labels)
means = torch.stack([crops[names == digit].mean(dim=0) for digit in range(10)])
print(crops.shape, means.shape)

# %%
# ``detect`` takes the digit whose mean image is nearest. The score is minus the
# distance. It need not be a probability, because AP uses only the order of the
# scores. The result is a dictionary with the three entries that detectors of
# torchvision return.


def detect(image, least=0.5):
    ink = image[0] >= least
    numbers = components(ink.unsqueeze(0))[0]
    boxes = []
    for number in sorted(set(numbers[ink].tolist())):
        rows, columns = torch.where(numbers == number)
        top_left = [columns.min(), rows.min()]
        bottom_right = [columns.max() + 1, rows.max() + 1]
        boxes.append(torch.stack(top_left + bottom_right))
    boxes = torch.stack(boxes).float()
    crops = roi_align(image.unsqueeze(0), [boxes], output_size=16)
    distances = torch.cdist(crops.flatten(1), means)  # (N, 10)
    scores = -distances.amin(dim=1)
    labels = distances.argmin(dim=1)
    return {"boxes": boxes, "scores": scores, "labels": labels}


# %%
# Apply it to all test scenes. Here is the result for the first one.

detected = [detect(image) for image in images]
print(detected[0])

# %%
# The figure shows six scenes. For the lower row we take the first three in
# which the number of boxes is wrong.
#
# .. alt:: Six scenes with two or three digits each. A dashed box, the truth,
#    lies around each digit. In the upper row there is a solid box, found, on
#    each digit. In the lower row, digits that touch share one solid box, and
#    specks of ink have solid boxes of their own.

# %%
# .. drawing::

chosen = [[], []]  # the number of boxes is right, wrong
for i in range(len(images)):
    differs = len(detected[i]["boxes"]) != len(true_boxes[i])
    chosen[differs].append(i)
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
            name = "_"  # one line in the legend
    labels = ", ".join(str(label) for label in detected[i]["labels"].tolist())
    axis.set(xticks=[], yticks=[], title=f"found: {labels}")
axes[0, 0].legend(fontsize=7)

# %%
# AP judges one class at a time, over all images together. ``class_ap`` collects
# the hits and the scores of one digit. The *mean* average precision is the mean
# of AP over the ten digits.


def class_ap(digit, found, threshold):
    hits = []
    scores = []
    objects = 0
    for i in range(len(found)):
        mine = found[i]["labels"] == digit
        boxes = found[i]["boxes"][mine]
        score = found[i]["scores"][mine]
        truth = true_boxes[i][true_labels[i] == digit]
        hits.append(find_hits(boxes, score, truth, threshold))
        scores.append(score)
        objects += len(truth)
    return average_precision(torch.cat(hits), torch.cat(scores), objects)


# %%
# :func:`handbook.metrics.mean_average_precision` does all of this in one call.
# It follows the rules of COCO, the best known test for detectors, and reads the
# precision at 101 values of recall instead of at each object. So the two may
# differ a little, by 1/101 at most. We print both for three thresholds of IoU.

truths = []
for boxes, labels in zip(true_boxes, true_labels, strict=True):
    truths.append({"boxes": boxes, "labels": labels})

by_hand = {}
packaged = {}
for threshold in [0.5, 0.75, 0.9]:
    values = [class_ap(digit, detected, threshold) for digit in range(10)]
    by_hand[threshold] = sum(values) / 10
    packaged[threshold] = mean_average_precision(detected, truths, threshold)
    print(f"mAP@{threshold}: by hand {by_hand[threshold]:.3f}", end=", ")
    print(f"packaged {packaged[threshold]:.3f}")

# %%
# The stricter the threshold, the lower the mAP, because some boxes lie too
# badly. (Our detector takes only dark ink, so its boxes are a little too
# small.) The mAP alone does not say what is wrong. It mixes boxes that merge
# two digits, boxes that lie badly, and wrong names.

# %%
# .. check::

assert components(small).flatten().tolist() == [2, 2, 0, 4], "two objects"
assert all(
    abs(by_hand[level] - packaged[level]) < 1 / 101 for level in by_hand
), "1/101 at most"
assert by_hand[0.5] > by_hand[0.75] > by_hand[0.9], "the stricter, the lower"
assert len(torch.cat(true_boxes)) > 150, "about two digits in a scene"

# %%
# What goes wrong
# ---------------
# **Boxes in the other form.** Many files store a box as x, y, width, height
# (``xywh``). ``box_iou`` expects x1, y1, x2, y2 (``xyxy``), and cannot see the
# difference. :func:`torchvision.ops.box_convert` converts.

xywh = torch.tensor([[10.0, 20, 30, 30], [13, 20, 30, 30]])
xyxy = box_convert(xywh, in_fmt="xywh", out_fmt="xyxy")
wrong_iou = box_iou(xywh[:1], xywh[1:]).item()
right_iou = box_iou(xyxy[:1], xyxy[1:]).item()
print(f"xywh, no error: {wrong_iou:.3f}")
print(f"xyxy:           {right_iou:.3f}")

# %%
# The wrong number is as plausible as the right one. (The packaged mAP raises an
# error if a box has x2 < x1. ``box_iou`` does not.) Therefore draw a few boxes
# over their images, as above, before you compute anything.
#
# **A duplicate is counted as a hit.** It is tempting to call each box a hit
# whose IoU with *some* object is at least 0.5. Try this with the three boxes
# from the beginning.

every = box_iou(toy_found, truth).amax(dim=1) >= 0.5
print("hits:", every)
print(f"AP {average_precision(every, scores, objects=2):.2f}")

# %%
# An AP of 1.5 is impossible, so here you notice. But on real data objects are
# also missed, and the sum can look normal. The right rule punishes duplicates.
# Here each box is returned twice, the second time with a slightly lower score.

twice = []
for each in detected:
    boxes = torch.cat([each["boxes"], each["boxes"]])
    doubled = torch.cat([each["scores"], each["scores"] - 0.001])
    labels = torch.cat([each["labels"], each["labels"]])
    twice.append({"boxes": boxes, "scores": doubled, "labels": labels})
map_twice = mean_average_precision(twice, truths)
print(f"once {packaged[0.5]:.3f}, twice {map_twice:.3f}")

# %%
# .. check::

assert abs(right_iou - 810 / 990) < 1e-4, "27 x 30 of 990 pixels"
assert abs(wrong_iou - 0.85) < 1e-4, "no error, and plausible"
assert every.all(), "each of the three is a hit"
assert average_precision(every, scores, objects=2) == 1.5, "impossible"
assert map_twice < packaged[0.5] - 0.05, "duplicates are punished"

# %%
# In production
# -------------
# The mAP says nothing about the score above which you should act. Choose it
# with a validation set (:doc:`/lessons/practice/02_threshold`). Compare two
# mAPs only if the threshold of IoU, the images and the rules are the same:
# "mAP" often means the mean over the thresholds 0.5, 0.55, …, 0.95. Each class
# has the same weight, so a class with three objects moves the mean as much as
# one with 3,000. And people draw boxes that are off by some pixels, so for
# small objects a high threshold measures the people as well.
#
# Recipe
# ------
# The boxes are made up, and those that were found are a little off. Put your
# own in their place, one dictionary for each image.

import torch
from torchvision.ops import box_convert

from handbook.metrics import mean_average_precision

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
# COCO compares detectors by the mean over ten thresholds.

values = []
for percent in range(50, 100, 5):
    threshold = percent / 100
    values.append(mean_average_precision(predictions, targets, threshold))
print(f"mAP@.5 {values[0]:.2f}, mAP@.75 {values[5]:.2f}", end=", ")
print(f"mAP@[.5:.95] {sum(values) / len(values):.2f}")

# %%
# .. check::

assert values[0] > 0.9, "a little off is good enough for 0.5"
assert values[-1] < 0.5, "and not for 0.95"

# %%
# What you learned
# ----------------
# - IoU is the shared area divided by the covered area. Two squares of 2 × 2,
#   moved by one pixel in both directions, have 1/7.
# - A box is a hit if its IoU with a free object reaches the threshold. A second
#   box on the same object is a false alarm.
# - AP is the mean over the objects of the best precision from the moment on
#   when they are found. An object that is missed counts 0. mAP is its mean over
#   the classes.
# - ``box_iou`` takes ``xywh`` without an error. Convert, and draw a few boxes.
# - Say which threshold of IoU a mAP belongs to.
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
#    threshold the boxes of single digits become exact. At a strict IoU that
#    matters most.

found_02 = [detect(image, least=0.2) for image in images]
map_02 = mean_average_precision(found_02, truths, 0.9)
print(f"mAP@0.9: {packaged[0.9]:.3f} with 0.5, {map_02:.3f} with 0.2")

# %%
# .. check::

assert map_02 > packaged[0.9] + 0.05, "exact boxes are rewarded"

# %%
# .. answer:: 3
#
#    Without names, AP is 0.78 instead of 0.54. So wrong names cost
#    more than 0.2. The rest is lost because digits that touch share a box, or a
#    digit falls into pieces. (With one class, mAP and AP are
#    the same.)

found_any = []
truth_any = []
for each, true in zip(detected, truths, strict=True):
    zeros = torch.zeros_like(each["labels"])
    found_any.append(
        {"boxes": each["boxes"], "scores": each["scores"], "labels": zeros}
    )
    zeros = torch.zeros_like(true["labels"])
    truth_any.append({"boxes": true["boxes"], "labels": zeros})
ap_any = mean_average_precision(found_any, truth_any)
print(f"AP@0.5 without names {ap_any:.3f}, with names {packaged[0.5]:.3f}")

# %%
# .. check::

assert abs(ap_any - 0.78) < 0.03, "without names"
assert abs(packaged[0.5] - 0.54) < 0.03, "with names"
assert ap_any - packaged[0.5] > 0.2, "more than 0.2"
