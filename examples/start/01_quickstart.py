"""
Your first network
==================

Can I train a network in five minutes?

Yes: real handwritten digits, a real network, an ordinary computer. This page shows you the whole
road once, before you look at any part of it closely. If a line puzzles you, read on; later pages
take the parts one by one.

To run the page yourself, follow :doc:`/install`, then download it as a script or a notebook.
"""

# %%
# Setup
# -----
# In code, PyTorch is called ``torch``. ``handbook`` is the small package behind these pages: it
# holds the digits, a few networks, and the loop that trains them.
#
# Training starts from random numbers. A :term:`random seed` makes them the same in every run.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from handbook import (
    Batches,
    classification_step,
    datasets,
    evaluate,
    fit,
    models,
    plots,
)

torch.manual_seed(0)

# %%
# Data
# ----
# We want a program that looks at a picture of a handwritten digit and says which digit it is. It
# learns from 10,000 pictures with answers, the :term:`training set`. Another 2,000, the
# :term:`test set`, will tell us how well it has learned.

train, test = datasets.mnist()
print("train.x:", tuple(train.x.shape))
print("train.y:", train.y[:6].tolist(), "...")
print("test.x: ", tuple(test.x.shape))
assert train.x.shape == (10_000, 1, 28, 28) and test.x.shape == (
    2_000,
    1,
    28,
    28,
)

# %%
# ``train.x`` holds all the pictures in one :term:`tensor`, a block of numbers. Read its
# :term:`shape` from left to right: 10,000 pictures, 1 channel (grey; a colour photo has 3), 28 rows
# and 28 columns of pixels. Each number says how much ink is on one pixel, from 0 to 1. ``train.y``
# holds the answers.
#
# .. alt:: Twelve handwritten digits, white on black, each with its answer above it.

figure = plots.image_grid(train.x[:12], titles=train.y[:12], ncols=4)

# %%
# No two people write alike. That is the whole difficulty.
#
# A simple idea first
# -------------------
# Do we need a network for this? Take the average of all pictures of a 0, of all pictures of a 1,
# and so on. To read a new digit, choose the average from which it differs least, pixel by pixel.
#
# .. alt:: The averages of the ten digits: blurred, but each is easily recognized.

averages = torch.stack(
    [train.x[train.y == digit].mean(dim=0) for digit in range(10)]
)
figure = plots.image_grid(averages, titles=range(10), ncols=5)

# %%
# They look good. How many of the test pictures do they read? The share of right answers is called
# :term:`accuracy`.

# How far is each test picture from each average, both written as rows of 784 numbers?
distance = torch.cdist(test.x.flatten(1), averages.flatten(1))  # (2000, 10)
nearest = (distance.argmin(dim=1) == test.y).float().mean().item()
print(f"nearest average: {nearest:.1%} right")
assert 0.75 < nearest < 0.88

# %%
# About four out of five. Guessing would give one out of ten, but nobody would let this sort the
# mail: a digit that leans has its ink where the average has none. This number is our
# :term:`baseline`: the network has to beat it.
#
# Model
# -----
# ``LeNet`` is a small network that was published in 1998, when banks used such networks to read
# cheques. Ours is new and has learned nothing yet.

model = models.LeNet()
numbers = sum(parameter.numel() for parameter in model.parameters())
before = evaluate(model, Batches(*test, batch_size=1000), classification_step)
print(f"numbers inside:  {numbers:,}")
print(f"before training: {before['accuracy']:.1%} right")
assert numbers == 61_706 and before["accuracy"] < 0.2

# %%
# A network is a formula with many numbers in it, its :term:`parameters <parameter>`. These 61,706
# are still random, so the answers are no better than guesses. :func:`handbook.evaluate` showed the
# test pictures to the network, 1,000 at a time, and counted the right answers.
#
# Training
# --------
# To train is to change these numbers, a little at a time, so that the answers get better:
#
# 1. Show the network 128 pictures, a :term:`mini-batch`.
# 2. Measure how wrong its answers are. This measure is the *loss*; 0 would be perfect.
# 3. Find out for each of the 61,706 numbers which way it must move to make the loss smaller.
#    PyTorch does this for you.
# 4. Move them all. That is the work of the :term:`optimizer`, here ``AdamW``.
#
# :func:`handbook.fit` repeats these four steps; ``classification_step`` tells it how to do step 2
# when there are classes to choose from. Once through all 10,000 pictures is one :term:`epoch`. The
# :term:`learning rate`, ``lr``, says how far the numbers move, and the schedule changes it on the
# way: small steps to begin with, then large ones, tiny ones at the end.

epochs = 5
batches = Batches(
    *train, batch_size=128, shuffle=True
)  # pictures and answers, in random order
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=0.01, total_steps=epochs * len(batches)
)
history = fit(
    model, batches, classification_step,
    optimizer=optimizer, scheduler=scheduler, scheduler_interval="batch", epochs=epochs,
)  # fmt: skip
for row in history:
    print(
        f"epoch {row['epoch']}:  loss {row['loss']:.3f}  accuracy {row['accuracy']:.1%}"
    )
assert history[-1]["loss"] < history[0]["loss"] / 5

# %%
# The loss falls, the accuracy rises. Nothing about ``fit`` is secret: in
# :doc:`/lessons/networks/07_training_loop` you write such a loop yourself.
#
# But these are the pictures that the network was learning from, and a pupil who knows the answers
# by heart gets good marks too. What counts are pictures that it has never learned from:

after = evaluate(model, Batches(*test, batch_size=1000), classification_step)
print(f"after training: {after['accuracy']:.1%} right")
assert after["accuracy"] > 0.97

# %%
# More than 97 out of 100 are right. Here is the result beside the ones that it had to beat:
#
# .. alt:: Bars of test accuracy: guessing 10 %, the nearest average about 80 %, the trained network
#    about 98 %.

names = ["guessing", "nearest average", "trained network"]
figure, ax = plt.subplots(figsize=(5, 2), layout="constrained")
bars = ax.barh(
    names,
    [10, 100 * nearest, 100 * after["accuracy"]],
    color=["C7", "C1", "C0"],
)
ax.bar_label(bars, fmt="%.1f %%", padding=3)
ax.invert_yaxis()
ax.set(xlim=(0, 120), xlabel="accuracy on the test pictures (%)")

# %%
# Save and load
# -------------
# What the network has learned is in its parameters. ``state_dict()`` returns them by name, as a
# :term:`state dict`, and ``torch.save`` writes them to a file. Then a new network, which has not
# learned anything, loads them. With ``weights_only=True``, nothing but data is read from the file.

with (
    tempfile.TemporaryDirectory() as folder
):  # in your own programs: any folder you like
    path = Path(folder) / "digits.pt"
    torch.save(model.state_dict(), path)
    reader = models.LeNet()
    reader.load_state_dict(torch.load(path, weights_only=True))

# %%
# Read one digit
# --------------
# A network takes a batch, so a single picture goes in as a batch of one: ``test.x[:1]``, not
# ``test.x[0]``. ``eval()`` tells the network that training is over. ``no_grad`` tells PyTorch that
# it need not prepare for step 3.

reader.eval()
with torch.no_grad():
    logits = reader(test.x[:1])  # (1, 10)
print("scores:", [round(score) for score in logits[0].tolist()])
prediction = logits.argmax(dim=1).item()
print("prediction:", prediction, " answer:", test.y[0].item())
assert prediction == test.y[0]

# %%
# Out come ten scores, the :term:`logits`, one for each digit. ``argmax`` finds the place of the
# largest; places count from 0, so the place is the digit.
#
# Now all 2,000 at once. Here are the first eight that went right, and the first four that went
# wrong:
#
# .. alt:: Twelve digits with their predictions. Eight are right. Four are wrong, in orange frames.

with torch.no_grad():
    predictions = reader(test.x).argmax(dim=1)  # (2000,)
correct = predictions == test.y
print(f"right: {correct.sum()} of {len(correct)}")
assert (
    abs(correct.float().mean().item() - after["accuracy"]) < 0.002
)  # all was in the file
right, wrong = correct.nonzero()[:8, 0], (~correct).nonzero()[:4, 0]
shown = torch.cat([right, wrong])  # the places of these twelve
titles = [
    f"{predictions[i]}" if correct[i] else f"{predictions[i]}, not {test.y[i]}"
    for i in shown
]
figure = plots.image_grid(
    test.x[shown], titles=titles, ncols=4, correct=correct[shown]
)

# %%
# The new network reads as well as the one that was trained. How to halve its mistakes, and how much
# of such a number is luck, is the question of :doc:`/lessons/practice/02_mnist`.
#
# What you learnt
# ---------------
# - Put pictures into a tensor ``(N, 1, 28, 28)`` and answers into a tensor ``(N,)``.
# - Ask what a simple idea reaches, so that you can judge what the network reaches.
# - Choose a model, an optimizer and a number of epochs; :func:`handbook.fit` does the rest.
# - Believe the accuracy on pictures that the network has not learned from, and no other.
# - Keep the state dict, and load it into a new network of the same kind.
#
# Exercises
# ---------
# 1. **Predict.** Our digits are white on black; on paper it is the other way round. What becomes of
#    the accuracy if every test picture is replaced by its negative, ``1 - test.x``?
# 2. **Change.** Train a new network on the first 500 pictures alone, for 50 epochs. How well does
#    it read those 500, and how well the test pictures?
# 3. **Extend.** Draw a digit of your own into ``torch.zeros(1, 1, 28, 28)`` and have it read.

# %%
# .. answer:: 1
#
#    Little is left of it. Every picture that the network has seen was light on dark, so nothing
#    told it that only the form matters. It knows what its training pictures showed, and no more.

with torch.no_grad():
    negatives = reader(1 - test.x).argmax(dim=1)
accuracy = (negatives == test.y).float().mean().item()
print(f"negatives: {accuracy:.1%} right")
assert accuracy < 0.5

# %%
# .. answer:: 2
#
#    It knows its 500 by heart, and of the others it reads about nine out of ten. Such a gap is
#    called :term:`overfitting`, and more pictures are the surest cure.

pupil = models.LeNet()
few = Batches(train.x[:500], train.y[:500], batch_size=128, shuffle=True)
optimizer = torch.optim.AdamW(pupil.parameters(), lr=0.003)
history = fit(pupil, few, classification_step, optimizer=optimizer, epochs=50)
result = evaluate(pupil, Batches(*test, batch_size=1000), classification_step)
print(f"its 500:       {history[-1]['accuracy']:.1%} right")
print(f"test pictures: {result['accuracy']:.1%} right")
assert history[-1]["accuracy"] > 0.99 and 0.85 < result["accuracy"] < 0.95

# %%
# .. answer:: 3
#
#    Two strokes make a 7. Write as the people of the training pictures did: light ink, three pixels
#    wide, about twenty pixels high, in the middle.

mine = torch.zeros(1, 1, 28, 28)
mine[..., 5:8, 8:20] = 1  # the bar: rows 5 to 7, columns 8 to 19
for row in range(8, 24):  # the leg leans: two rows down, one column to the left
    left = 17 - (row - 8) // 2
    mine[..., row, left : left + 3] = 1
with torch.no_grad():
    prediction = reader(mine).argmax(dim=1).item()
print("I read a", prediction)
assert prediction == 7

# %%
# Next
# ----
# :doc:`/lessons/start/02_define_by_run`
