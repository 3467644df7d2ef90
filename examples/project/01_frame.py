"""
Project: checking the raw data
==============================

Somebody hands you a folder of files and asks for a model: what do you do before
you train anything?

This is the first of four lessons on one project, a digit reader. It begins with
raw files and ends as a service. Each lesson writes a few functions, and
together they are the package ``digit_reader``, which comes with the handbook.
Here we check the files, set some aside for the test, and find out what simple
methods can do.

After this lesson you can

- write checks that find unreadable, blank, mislabelled and repeated files
- split files by their content, so that new files and copies do no harm
- find labels that are probably wrong, and baselines that a network has to beat
"""

# %%
# Setup
# -----

import hashlib
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from digit_reader.raw import write_raw_files
from handbook import plots

torch.manual_seed(0)
temporary = tempfile.TemporaryDirectory()  # removed at the end

# %%
# What is asked for
# -----------------
# Before we open a file, we ask those who want the reader, and write the answers
# down:
#
# - **The task.** An office scans forms. Each box with a digit becomes a small
#   image, and until now somebody types what it says.
# - **The metric.** All mistakes cost the same, so we count the share of digits
#   that are read correctly, the :term:`accuracy`.
# - **Good enough.** At most one answer in a hundred may be wrong. Where the
#   reader is not sure, it may leave the digit to a person (third lesson).
# - **The test.** Some files are set aside before anyone has looked at the data,
#   and nothing is chosen with them.
#
# Twenty files
# ------------
# We write the checks for a folder so small that we know all that is wrong with
# it. Its digits are only 0 and 1, drawn as a frame and as a bar, with dark ink
# (0) on white paper (255). ``i`` moves them down, so that no two files are
# equal, and the file ``02.png`` is a 0, moved by 2.


def draw_scan(path, digit, i):
    page = torch.full((28, 28), 255, dtype=torch.uint8)
    if digit == 0:
        page[3 + i : 19 + i, 8:20] = 0  # a block
        page[6 + i : 16 + i, 11:17] = 255  # with a hole
    else:
        page[3 + i : 19 + i, 12:15] = 0  # a bar
    Image.fromarray(page.numpy()).save(path)


toy = Path(temporary.name) / "toy"
toy.mkdir()
labels = {}
for i in range(8):
    for digit in [0, 1]:
        draw_scan(toy / f"{digit}{i}.png", digit, i)
        labels[f"{digit}{i}.png"] = str(digit)

# %%
# Now we spoil it. The first of these five faults changes a label, and the other
# four add a file each.

labels["02.png"] = "1"  # a wrong label
draw_scan(toy / "letter.png", 1, 8)
labels["letter.png"] = "l"  # the letter instead of the digit
shutil.copyfile(toy / "13.png", toy / "again.png")
labels["again.png"] = "1"
whole = (toy / "00.png").read_bytes()
(toy / "half.png").write_bytes(whole[:60])  # as if the copying had stopped
labels["half.png"] = "0"
paper = torch.full((28, 28), 250, dtype=torch.uint8)
Image.fromarray(paper.numpy()).save(toy / "blank.png")
labels["blank.png"] = "0"

lines = [f"{name},{label}\n" for name, label in labels.items()]
(toy / "labels.csv").write_text("file,label\n" + "".join(lines), "utf-8")
print(len(labels), "files")

# %%
# ``read_image`` turns the bytes of a file into a tensor. ``Image.open`` wants a
# file, and ``io.BytesIO`` makes one of the bytes, in memory. It reads only the
# head of the file, and ``load`` reads the pixels. A network gets *ink*, which
# is 0 for white paper and 1 for black, so we turn the grey values around. What
# is not a grey PNG file of the right size raises a ``ValueError``. The service
# of the last lesson uses this very function, so it cannot read images in
# another way than the training did.

SIDE = 28  # pixels


def read_image(content):
    try:
        image = Image.open(io.BytesIO(content), formats=["PNG"])
        if image.size == (SIDE, SIDE):
            image.load()
    except Exception:  # a damaged file makes Pillow raise one of many kinds
        raise ValueError("is not a PNG image, or it is damaged") from None
    if image.size != (SIDE, SIDE):
        size = f"{image.width} × {image.height}"
        raise ValueError(f"is {size} pixels, not 28 × 28")
    if image.mode != "L":
        raise ValueError("is not grey: 8 bits a pixel, without transparency")
    return 1 - torch.from_numpy(np.array(image))[None].float() / 255


# %%
# ``find_fault`` says what is wrong with one file. ``seen`` is the set of the
# contents of all good files so far. We call a page blank if even its darkest
# point is fainter than 0.2.

LABELS = [str(digit) for digit in range(10)]
FAINT = 0.2


def find_fault(content, label, seen):
    if label not in LABELS:
        return "bad label"
    if content in seen:
        return "duplicate"
    try:
        x = read_image(content)
    except ValueError:
        return "unreadable"
    if x.max() < FAINT:
        return "blank"
    return ""


# %%
# ``check_files`` reads the table of labels, and adds what is wrong with each
# file. The two options of ``read_csv`` keep every label as the text that stands
# in the file, also where it is empty.


def check_files(folder):
    folder = Path(folder)
    table = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    faults = []
    seen = set()
    for name, label in zip(table["file"], table["label"], strict=True):
        content = (folder / name).read_bytes()
        fault = find_fault(content, label, seen)
        if fault == "":
            seen.add(content)
        faults.append(fault)
    table["fault"] = faults
    return table


# %%
# What does it find in the toy folder?

toy_table = check_files(toy)
toy_faults = toy_table[toy_table["fault"] != ""]
print(toy_faults)

# %%
# Four of the five faults are found. The wrong label is not, because 1 is a
# valid label. We return to it below.

# %%
# .. check::

assert len(toy_table) == 20, "twenty files"
assert toy_faults["file"].tolist() == [
    "letter.png",
    "again.png",
    "half.png",
    "blank.png",
], "four of the five faults"
assert toy_faults["fault"].tolist() == [
    "bad label",
    "duplicate",
    "unreadable",
    "blank",
], "each by its name"

# %%
# The real folder
# ---------------
# ``write_raw_files`` plays the part of the office. It writes scans of digits
# that people wrote by hand (from MNIST), with faults of the same five kinds. It
# returns which files have which fault. We use this only to see whether our
# checks work, because in your own project nobody can tell you.

folder = Path(temporary.name) / "scans"
planted = write_raw_files(folder)
table = check_files(folder)
print(len(table), "files")
print(table["fault"].value_counts())

# %%
# Does each name stand for the right files?

for fault in ["unreadable", "bad label", "blank", "duplicate"]:
    found = table["file"][table["fault"] == fault].tolist()
    print(fault, found == sorted(planted[fault]))

# %%
# .. check::

assert len(table) == 6054, "the number of files"
assert (table["fault"] == "").sum() == 5997, "those without a fault"
assert all(
    table["file"][table["fault"] == fault].tolist() == sorted(planted[fault])
    for fault in ["unreadable", "bad label", "blank", "duplicate"]
), "all of them, and no other"

# %%
# All of them are found, and no other file is accused. 5,997 files are left.
#
# Three sets, by content
# ----------------------
# Which file goes into the :term:`training set`, which into the
# :term:`validation set`, and which into the :term:`test set`? We let the bytes
# of the file decide. A :term:`hash` such as SHA-256 turns them into a large
# number that looks random, but the same bytes always give the same number. We
# take its last two digits. Below 60 is for training, 60 to 79 for validation,
# and the rest for the test.


def choose_set(content):
    number = int(hashlib.sha256(content).hexdigest(), 16) % 100
    if number < 60:
        return "train"
    if number < 80:
        return "val"
    return "test"


# %%
# This has two advantages over a random order. A file and its copy are always in
# the same set. And when the office sends more files next month, the old ones
# stay where they are, so a test image never becomes a training image. Nobody
# has looked at a digit so far, and the test is already set aside.
#
# ``read_sets`` reads the files without a fault into these three sets.


def read_sets(folder, table):
    folder = Path(folder)
    images = {"train": [], "val": [], "test": []}
    labels = {"train": [], "val": [], "test": []}
    good = table[table["fault"] == ""]
    for name, label in zip(good["file"], good["label"], strict=True):
        content = (folder / name).read_bytes()
        chosen = choose_set(content)
        images[chosen].append(read_image(content))
        labels[chosen].append(int(label))
    sets = {}
    for name in images:
        x = torch.stack(images[name])
        sets[name] = (x, torch.tensor(labels[name]))
    return sets


# %%
# How large are they?

sets = read_sets(folder, table)
for name in sets:
    print(name, len(sets[name][1]))

# %%
# .. check::

assert [len(y) for _, y in sets.values()] == [3623, 1169, 1205], "sizes"

# %%
# Labels that are probably wrong
# ------------------------------
# A wrong label cannot be seen in the label alone, but the image and its
# neighbours can tell. If all the images that look most like it have another
# label, we call it a suspect. Images are alike if the distance between their
# pixels is small (:func:`torch.cdist`). ``fill_diagonal_`` makes the distance
# of an image from itself infinite, so that no image is its own neighbour.


def find_suspects(x, y, neighbours=10):
    flat = x.flatten(1)
    distances = torch.cdist(flat, flat)
    distances.fill_diagonal_(torch.inf)
    nearest = distances.topk(neighbours, largest=False).indices
    same = y[nearest] == y[:, None]
    return ~same.any(dim=1)


def read_rows(folder, rows):
    contents = [(folder / name).read_bytes() for name in rows["file"]]
    x = torch.stack([read_image(content) for content in contents])
    return x, torch.tensor([int(label) for label in rows["label"]])


# %%
# First the toy folder, with three neighbours because it is so small, and then
# the real one. A person will look at the suspects of all three sets, so we want
# the names of the files.

toy_good = toy_table[toy_table["fault"] == ""]
x, y = read_rows(toy, toy_good)
toy_suspects = toy_good["file"][find_suspects(x, y, neighbours=3).numpy()]
print("toy:", toy_suspects.tolist())

good = table[table["fault"] == ""]
x, y = read_rows(folder, good)
suspect = find_suspects(x, y)
names = good["file"][suspect.numpy()].tolist()
caught = [name for name in names if name in planted["wrong label"]]
print(f"suspects: {len(names)} of {len(good)} files")
print(f"planted: {len(caught)} of {len(planted['wrong label'])}")

# %%
# In the toy folder it finds the fifth fault. In the real one it names 77 files,
# with 23 of the 30 planted wrong labels among them. So a person who looks at 77
# images instead of 5,997 finds most of the wrong labels. These are the first
# twelve, with the label above each:
#
# .. alt:: Twelve handwritten digits with their labels. Several labels are
#    plainly wrong. The other digits are written in an unusual way.

figure = plots.image_grid(
    x[suspect][:12], titles=y[suspect][:12].tolist(), ncols=6
)

# %%
# Which labels would you change? Most of the 77 labels are right, and the digits
# are only hard to read, so a program must not change the labels on its own.
# They go to a person.
#
# Until the office has answered, the suspects stay where they are. In the
# training set, the hard digits among them teach more than the wrong labels
# spoil (the next lesson has an exercise on this). In the other two sets, a
# model must not choose what it is tested on. What happens if it does? For once
# we leave out the suspects of the validation set. We read each image as its
# nearest neighbour in the training set. (``argmin`` finds the smallest
# distance.)

train_x, train_y = sets["train"]
val_x, val_y = sets["val"]
distances = torch.cdist(val_x.flatten(1), train_x.flatten(1))
right = (train_y[distances.argmin(dim=1)] == val_y).float()
easy = ~find_suspects(val_x, val_y)
print(f"validation: {right.mean():.1%}")
print(f"without {(~easy).sum()} suspects: {right[easy].mean():.1%}")

# %%
# The answers are the same, but the accuracy is a point higher.

# %%
# .. check::

assert toy_suspects.tolist() == ["02.png"], "the fifth fault"
assert len(names) == 77, "77 suspects"
assert len(caught) == 23, "23 planted ones"
assert len(caught) < len(names) / 2, "most of the labels are right"
assert 0.007 < right[easy].mean() - right.mean() < 0.013, "a point higher"

# %%
# Baselines
# ---------
# What can simple methods do? One is the classifier of
# :doc:`/lessons/learning/06_softmax_regression`, which scikit-learn calls
# logistic regression. The smaller its ``C``, the smaller it keeps the weights.
# We choose ``C`` with the validation set.

train_flat = train_x.flatten(1).numpy()
val_flat = val_x.flatten(1).numpy()
fitted = {}
scores = {}
for strength in [0.03, 0.1, 0.3, 1]:
    model = LogisticRegression(C=strength, max_iter=300)
    model.fit(train_flat, train_y.numpy())
    fitted[strength] = model
    scores[strength] = model.score(val_flat, val_y.numpy())
    print(strength, f"{scores[strength]:.3f}")

# %%
# We take 0.3. The other methods always answer the most frequent digit, or the
# digit whose mean image is nearest, or that of the nearest image, or the one
# that is most frequent (``mode``) among the three nearest images. The last two
# are called :term:`k-nearest neighbours`.

means = []
for digit in range(10):
    means.append(train_x[train_y == digit].mean(dim=0).flatten())

# %%
# The five sets of answers:

to_means = torch.cdist(val_x.flatten(1), torch.stack(means))
three = train_y[distances.topk(3, largest=False).indices]
answers = {
    "most frequent": train_y.mode().values,
    "nearest mean": to_means.argmin(dim=1),
    "logistic": torch.from_numpy(fitted[0.3].predict(val_flat)),
    "nearest image": train_y[distances.argmin(dim=1)],
    "three nearest": three.mode(dim=1).values,
}

# %%
# With *n* images and accuracy *p*, the :term:`standard error` is
# :math:`\sqrt{p(1 - p)/n}`.

accuracies = {}
for name, answer in answers.items():
    accuracy = (answer == val_y).float().mean().item()
    error = (accuracy * (1 - accuracy) / len(val_y)) ** 0.5
    accuracies[name] = accuracy
    print(f"{name:14} {accuracy:.1%} ± {error:.1%}")

# %%
# The nearest image reads 91% correctly, without any training. This is the
# number to beat in the next lesson. That the three nearest do a little worse
# means nothing, since the difference is smaller than the standard error.

# %%
# .. check::

assert scores[0.3] > max(scores.values()) - 0.006, "0.3 is as good as any"
assert 0.08 < accuracies["most frequent"] < 0.13, "one in ten"
assert abs(accuracies["nearest image"] - 0.91) < 0.005, "91%"
assert accuracies["logistic"] < accuracies["nearest image"] - 0.01, "behind"
assert abs(accuracies["nearest image"] - accuracies["three nearest"]) < 0.008, (
    "smaller than the standard error"
)

# %%
# What goes wrong
# ---------------
# **Copies on both sides of a random split.** Suppose that we had not looked for
# duplicates, and had split at random. We do so five times, find the nearest
# training image of each test image, and look at those test images that have a
# copy among the training images.

rows = table[table["fault"].isin(["", "duplicate"])]
x, y = read_rows(folder, rows)
flat = x.flatten(1)
distances = torch.cdist(flat, flat).fill_diagonal_(torch.inf)

# %%
# ``min`` gives the smallest distance and its place.

copies_right = []
others_right = []
for seed in range(5):
    torch.manual_seed(seed)
    test, train = torch.randperm(len(x)).tensor_split([1200])
    nearest = distances[test][:, train].min(dim=1)
    right = (y[train[nearest.indices]] == y[test]).float()
    copied = nearest.values < 0.1  # the same image, except for rounding
    copies_right.append(right[copied].mean().item())
    others_right.append(right[~copied].mean().item())
    print(f"{copied.sum()} copies: {right[copied].mean():.0%} right", end=", ")
    print(f"others: {right[~copied].mean():.1%}")

# %%
# The copies are read without a mistake, which says nothing about new digits.
# Here only a dozen test images have a copy, so it changes the result little. If
# every file were there twice, most of the test would be copies, and nothing
# would warn us.
#
# Our checks find equal bytes only. If a page is scanned twice, the bytes
# differ, so split by page. If the reader will meet new writers, split by
# writer. This folder names neither.

# %%
# .. check::

assert min(copies_right) == 1, "copies without a mistake"
assert max(others_right) < 0.95, "the others are not"

# %%
# Recipe
# ------
# Copies and three sets, for files of any kind. Put your own folder in place of
# the temporary one.

import tempfile
from hashlib import sha256
from pathlib import Path

home = tempfile.TemporaryDirectory()
for i in range(200):
    Path(home.name, f"{i:03}.txt").write_text(f"page {i % 190}")

# %%
# ``sets_of`` says for each content to which set it belongs.

sets_of = {}
copies = []
for path in sorted(Path(home.name).iterdir()):
    key = sha256(path.read_bytes()).hexdigest()
    if key in sets_of:
        copies.append(path.name)
    elif int(key, 16) % 100 < 60:
        sets_of[key] = "train"
    elif int(key, 16) % 100 < 80:
        sets_of[key] = "val"
    else:
        sets_of[key] = "test"

# %%
# What came out, and the set of a new file:

names = list(sets_of.values())
print("copies:", copies)
print({name: names.count(name) for name in ["train", "val", "test"]})
number = int(sha256(b"a new page").hexdigest(), 16) % 100
print("a new page is for training:", number < 60)
home.cleanup()

# %%
# .. check::

assert len(copies) == 10, "page 0 to page 9 are there twice"
assert len(names) == 190, "the others once"
assert 90 < names.count("train") < 138, "about 60 of 100"

# %%
# What you learned
# ----------------
# - Before the first file, write down the task, the metric, and what is good
#   enough.
# - Write a function that names the fault of a file, and try it on a small
#   folder into which you put each fault yourself.
# - Let the content of a file choose its set. Copies then stay together, and new
#   files move no old ones.
# - Suspicious labels go to a person. A model must not choose what it is tested
#   on.
# - Measure simple methods first. Here the nearest image reads 91% correctly.
#
# Exercises
# ---------
# 1. **Predict.** The office sends 600 new files, and we split the 6,597 good
#    files again. How many of the 5,997 old files change their set, with
#    ``choose_set``, and with a random order?
# 2. **Change.** Give 10% of the training labels a wrong digit. How often is the
#    nearest image right now, and how often if the suspects are left out?
# 3. **Extend.** ``check_files`` looks at the rows of ``labels.csv`` only. Find
#    files that have no row. Put one into the toy folder to try it.

# %%
# .. answer:: 1
#
#    None with ``choose_set``, because it looks at nothing but the file itself.
#    With a random order more than half of them change.


def draw_sets(count):
    order = torch.randperm(count)
    drawn = torch.zeros(count)  # 0 is training
    drawn[order[count * 6 // 10 :]] = 1  # validation
    drawn[order[count * 8 // 10 :]] = 2  # test
    return drawn


torch.manual_seed(0)
before = draw_sets(5997)
after = draw_sets(6597)
moved = (before != after[:5997]).float().mean()
print(f"{moved:.0%} have moved")

# %%
# .. check::

assert 0.5 < moved < 0.62, "more than half"

# %%
# .. answer:: 2
#
#    The nearest image is right about ten points less often, because it often
#    has one of the wrong labels. Without the suspects most of that comes back.

x, y = sets["train"]
torch.manual_seed(0)
wrong = torch.rand(len(y)) < 0.1
noisy = torch.where(wrong, (y + torch.randint(1, 10, y.shape)) % 10, y)
kept = ~find_suspects(x, noisy)
noisy_right = []
for rows in [kept | True, kept]:  # all of them, or without the suspects
    distances = torch.cdist(val_x.flatten(1), x[rows].flatten(1))
    right = noisy[rows][distances.argmin(dim=1)] == val_y
    noisy_right.append(right.float().mean().item())
print(f"{noisy_right[0]:.1%}, without suspects {noisy_right[1]:.1%}")

# %%
# .. check::

assert 0.78 < noisy_right[0] < 0.85, "about ten points less"
assert noisy_right[1] > noisy_right[0] + 0.05, "most comes back"

# %%
# .. answer:: 3


def find_files_without_row(folder, table):
    files = {path.name for path in Path(folder).glob("*.png")}
    return sorted(files - set(table["file"]))


draw_scan(toy / "forgotten.png", 0, 9)
forgotten = find_files_without_row(toy, toy_table)
print(forgotten)
temporary.cleanup()

# %%
# .. check::

assert forgotten == ["forgotten.png"], "the one without a row"
