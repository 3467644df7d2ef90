"""
Your first network
==================

Can I train a network on an ordinary computer?

Yes, and it will read handwritten digits. This page is a tour: it shows the
whole road once, from the data to a network that is saved, loaded and used. It
uses more functions than any other page, and later lessons take them one by one.
Here, each one gets a sentence that says what it does. If a line still puzzles
you, run it, look at what it prints, and read on.

After this lesson you can

- train a network on images, and say how many it reads correctly
- judge that number: beside a simple rule, and on images that were kept back
- save a network, load it, and let it read a digit that you have drawn
"""

# %%
# Setup
# -----
# In code, PyTorch is called ``torch``. ``handbook`` is the small package behind
# these pages; it brings the digits and a few networks. To run this page on your
# machine, follow :doc:`/install` first. Then download the page as a script or
# as a notebook.
#
# A network starts from random numbers. ``torch.manual_seed(0)`` sets the
# :term:`random seed`, so that you get the same random numbers as this page.

import tempfile

import torch
from torch.nn.functional import cross_entropy

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
# We want a program that looks at an image of a handwritten digit and says which
# digit it is. It learns from 10,000 images with their answers, the
# :term:`training set`. Another 2,000, the :term:`test set`, are kept back: with
# them we find out how well it has learned. ``image_grid`` draws images. The
# result is kept in ``figure``, and the picture appears by itself.
#
# .. alt:: Twelve handwritten digits, white on black, each with its answer above
#    it.

train, test = datasets.mnist()
figure = plots.image_grid(train.x[:12], titles=train.y[:12], ncols=6)

# %%
# ``train.x`` holds the images and ``train.y`` the answers, called *labels*. The
# figure shows the first twelve. No two people write alike, and that is what
# makes the task difficult.
#
# What does the computer see? ``train.x[0, 0]`` is the first image (positions
# count from 0, and the second 0 will become clear in a moment).
# ``image[5:15, 8:20]`` takes rows 5 to 14 and columns 8 to 19. (Each pixel is a
# number from 0 to 1. We multiply by 9, and ``round().int()`` turns them into
# whole numbers, which are easier to read.)

image = train.x[0, 0]
print((9 * image[5:15, 8:20]).round().int())

# %%
# A 0 is black and a 9 is white, and with half-closed eyes you can see the upper
# part of the 5. (``dtype`` at the end only says that the numbers are whole.) To
# the computer, an image is a table of numbers. PyTorch keeps all numbers in
# such tables, which may have more than two dimensions, and calls them
# :term:`tensors <tensor>`. How large are ours?

print("images:", train.x.shape)
print("labels:", train.y.shape, train.y[:6].tolist())

# %%
# Read the :term:`shape` from left to right: 10,000 images, 1 channel (grey; a
# colour photo has 3), 28 rows, 28 columns. There is one label for each image.
# ``tolist()`` turns a tensor into an ordinary Python list.

# %%
# .. check::

assert train.x.shape == (10_000, 1, 28, 28), "10,000 images of 28 times 28"
assert test.x.shape == (2_000, 1, 28, 28), "2,000 images are kept back"
assert train.y[0] == 5, "the first image is a 5"
assert train.x.min() == 0, "0 is black"
assert train.x.max() == 1, "1 is white"

# %%
# A simple rule first
# -------------------
# Do we need a network for this? Here is a rule that a child can follow. Lay all
# images of a 0 on top of each other and take their average. Do the same for the
# 1, and so on. To read a new digit, choose the average that is closest to it.
#
# What does *closest* mean? Try it on an image of only four pixels. Subtract
# pixel by pixel, square the differences, so that none is negative, and add them
# up. The result is called the squared distance.

tiny = torch.tensor([9, 1, 9, 1])
average_a = torch.tensor([8, 0, 8, 0])
average_b = torch.tensor([0, 8, 0, 8])
print("to a:", ((tiny - average_a) ** 2).sum())
print("to b:", ((tiny - average_b) ** 2).sum())

# %%
# ``torch.tensor`` makes a tensor from a list. The distance to a is 1 + 1 + 1 +
# 1 = 4, and to b it is 81 + 49 + 81 + 49 = 260. So the rule says a.
#
# Now the digits. ``train.y == digit`` is ``True`` for the images of one digit,
# and ``train.x[...]`` keeps those. ``mean(dim=0)`` takes their average, pixel
# by pixel, and ``torch.stack`` puts the ten averages into one tensor.
#
# .. alt:: The averages of the ten digits: blurred, but each one is easy to
#    recognize.

averages = []
for digit in range(10):
    averages.append(train.x[train.y == digit].mean(dim=0))
figure = plots.image_grid(torch.stack(averages), titles=range(10), ncols=5)

# %%
# They look good. How many of the 2,000 test images does the rule read
# correctly? For each image, we compute its distance to the ten averages, and
# ``argmin`` returns the position of the smallest one. Positions count from 0,
# so the position is the digit. (``test.x - average`` subtracts one average from
# each of the 2,000 images, and ``sum(dim=(1, 2, 3))`` adds up all pixels of
# each image. ``torch.stack`` with ``dim=1`` puts the ten distances of an image
# side by side, and ``argmin(dim=1)`` looks among these ten. In the comments,
# N is the number of images.)

distances = []
for average in averages:
    distances.append(((test.x - average) ** 2).sum(dim=(1, 2, 3)))
nearest = torch.stack(distances, dim=1).argmin(dim=1)  # (N,)
rule = (nearest == test.y).float().mean().item()
print(f"nearest average: {rule:.1%} right")

# %%
# The comparison gives ``True`` or ``False`` for each image. ``float()`` turns
# them into 1 and 0, so their mean is the share of right answers, which is
# called :term:`accuracy`. ``item()`` takes the number out of the tensor, and
# ``:.1%`` prints it as a percentage with one decimal.
#
# The rule reads about four out of five, and guessing would read one out of ten.
# This is our :term:`baseline`: a network is worth its trouble only if it is
# better.

# %%
# .. check::

assert ((tiny - average_a) ** 2).sum() == 4, "4 to a"
assert ((tiny - average_b) ** 2).sum() == 260, "260 to b"
assert 0.78 < rule < 0.85, "the rule reads about four out of five"

# %%
# Model
# -----
# A :term:`neural network` is a formula with many numbers in it, its
# :term:`parameters <parameter>`. ``LeNet`` is a small one, published in 1998,
# when banks used such networks to read cheques. ``numel()`` counts the numbers
# in a tensor, and ``:,`` prints a large number with commas.

model = models.LeNet()
count = 0
for parameter in model.parameters():
    count += parameter.numel()
print(f"{count:,} parameters")

# %%
# Call the network like a function, ``model(images)``. It returns ten scores for
# each image, one for each digit. The largest score is its answer, and
# ``argmax`` returns the position of that score. The function below measures the
# accuracy. ``eval()`` tells the network that it is being used and not trained.
# ``with torch.no_grad():`` means that, in the lines below it, PyTorch need not
# prepare for training.


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        scores = model(images)  # (N, 10)
    answers = scores.argmax(dim=1)  # (N,)
    return (answers == labels).float().mean().item()


before = accuracy(model, test.x, test.y)
print(f"before training: {before:.1%} right")

# %%
# The parameters are still random, so the answers are no better than guesses.
#
# Training
# --------
# To train a network is to change its parameters, a little at a time, so that
# the answers become better. Four steps are repeated again and again:
#
# 1. Show the network 50 images, a :term:`mini-batch`.
# 2. Measure how wrong its scores are. This number is the *loss*, and 0 would be
#    perfect. For a choice between classes, it is the ``cross_entropy``.
# 3. Find out for each parameter whether the loss falls if the parameter grows,
#    or if it shrinks, and how fast. ``backward()`` does this.
# 4. Move all parameters a little in the better direction. This is the work of
#    an :term:`optimizer`, here ``AdamW``. The :term:`learning rate`, ``lr``,
#    says how far.
#
# ``Batches`` cuts the images into mini-batches, in a random order. Once through
# all 10,000 images is one :term:`epoch`.

batches = Batches(train.x, train.y, batch_size=50, shuffle=True)


def train_network(model, lr, epochs):
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    for _ in range(epochs):
        total = 0.0
        for x, y in batches:  # step 1
            loss = cross_entropy(model(x), y)  # step 2
            optimizer.zero_grad()
            loss.backward()  # step 3
            optimizer.step()  # step 4
            total += loss.item()
        print(f"lr {lr}: mean loss {total / len(batches):.3f}")


# %%
# ``zero_grad()`` forgets what step 3 found out for the mini-batch before, and
# ``train()`` is the opposite of ``eval()``. We train for three epochs, and then
# for one more with a tenth of the learning rate, so that the last steps are
# small. (``:.3f`` prints three decimals.)

train_network(model, lr=0.003, epochs=3)
train_network(model, lr=0.0003, epochs=1)

# %%
# The loss falls. And how many of the test images does the network read now?

after = accuracy(model, test.x, test.y)
print(f"guessing:        {0.1:.1%} right")
print(f"nearest average: {rule:.1%} right")
print(f"our network:     {after:.1%} right")

# %%
# More than 97 out of 100. The simple rule gets about one image in five wrong,
# the network about one in fifty.

# %%
# .. check::

assert count == 61_706, "LeNet has 61,706 parameters"
assert before < 0.25, "before training, the answers are guesses"
assert after > 0.97, "more than 97 out of 100 are right"
assert 1 - after < (1 - rule) / 6, "far fewer mistakes than the rule"

# %%
# Save and load
# -------------
# All that the network has learned is in its parameters. ``state_dict()``
# returns them with their names, as a :term:`state dict`, and ``torch.save``
# writes them into a file. Then a new network, which has learned nothing, loads
# them. ``weights_only=True`` makes sure that data is read from the file, and
# that no code in it is run.
#
# Here the file goes into a temporary folder, which is deleted at the end of the
# ``with`` block. In your own programs, write the name of a file, such as
# ``"digits.pt"``.

with tempfile.TemporaryDirectory() as folder:
    path = f"{folder}/digits.pt"
    torch.save(model.state_dict(), path)
    reader = models.LeNet()
    reader.load_state_dict(torch.load(path, weights_only=True))
print(f"after loading: {accuracy(reader, test.x, test.y):.1%} right")

# %%
# The new network reads exactly as well as the one that was trained.
#
# Read one digit
# --------------
# A network takes many images at once. A single one goes in as a mini-batch of
# one image, so write ``test.x[:1]`` and not ``test.x[0]``.

reader.eval()
with torch.no_grad():
    scores = reader(test.x[:1])  # (1, 10)
print("scores:", scores.round().int().tolist())
print("answer:", scores.argmax(dim=1).item(), "label:", test.y[0].item())

# %%
# Out come the ten scores, which are called :term:`logits`; ``round()`` rounds
# them to whole numbers. The largest is at position 9, and the image is a 9.
#
# Look at the mistakes
# --------------------
# Which images does the network get wrong? ``torch.arange(2000)`` counts the
# images, and the comparison keeps the numbers of those whose answer differs
# from the label. Above each of the first eight stand its answer and its label.
#
# .. alt:: Eight handwritten digits that the network got wrong. Above each stand
#    the answer of the network and the label. Some are sloppy, and for some a
#    person would hesitate, too.

with torch.no_grad():
    answers = reader(test.x).argmax(dim=1)  # (N,)
wrong = torch.arange(2000)[answers != test.y]
print(len(wrong), "of 2000 are wrong")
titles = [f"{answers[i]}, not {test.y[i]}" for i in wrong[:8]]
figure = plots.image_grid(test.x[wrong[:8]], titles=titles, ncols=4)

# %%
# Some of them are hard to read for us as well, and others should not have gone
# wrong. Looking at mistakes is the best way to learn what a network does not
# know yet.

# %%
# .. check::

assert reader(test.x).equal(model(test.x)), "everything was in the file"
assert scores.argmax() == 9, "the network reads a 9"
assert test.y[0] == 9, "and it is a 9"
assert len(wrong) < 60, "fewer than 3 in 100 are wrong"

# %%
# A digit of your own
# -------------------
# Here is a drawing made of text, ten lines of ten characters. Change it as you
# like, and run the cell again.

drawing = [
    ".#######..",
    "......##..",
    ".....##...",
    "....##....",
    "...####...",
    "......##..",
    ".......##.",
    ".......##.",
    "##....##..",
    ".######...",
]

# %%
# Each ``#`` becomes a white square of two times two pixels. The digits of the
# training set stand in the middle, with a margin of four pixels, so ours does,
# too. ``torch.zeros`` makes the black image to begin with.
#
# .. alt:: A 3 made of white squares on black. Above it stands the answer of the
#    network, 3.

mine = torch.zeros(1, 1, 28, 28)
for i, line in enumerate(drawing):
    for n, character in enumerate(line):
        if character == "#":
            top = 4 + 2 * i
            left = 4 + 2 * n
            mine[0, 0, top : top + 2, left : left + 2] = 1

with torch.no_grad():
    my_answer = reader(mine).argmax(dim=1).item()
figure = plots.image_grid(mine, titles=[f"I read a {my_answer}"], ncols=1)

# %%
# The network has never seen a digit made of squares, and it reads the 3.
#
# What goes wrong
# ---------------
# Suppose that you have only 500 images, and that you measure the accuracy on
# the images that the network learns from. To save lines, :func:`handbook.fit`
# does the work of the loop above, with ``classification_step`` as its step 2.
# ``fit()`` returns a list with one dictionary for each epoch.
# ``history[-1]["accuracy"]`` is the share of right answers during the last
# epoch.

pupil = models.LeNet()
few = Batches(train.x[:500], train.y[:500], batch_size=50, shuffle=True)
optimizer = torch.optim.AdamW(pupil.parameters(), lr=0.003)
history = fit(pupil, few, classification_step, optimizer=optimizer, epochs=30)
on_its_500 = history[-1]["accuracy"]
print(f"on its 500 images: {on_its_500:.1%} right")

# %%
# That looks even better than our own network, and nothing reports an error. But
# the network has seen the same 500 images 30 times and knows their answers by
# heart, so this number says nothing about new images. :func:`handbook.evaluate`
# measures the same network on the test images:

test_batches = Batches(test.x, test.y, batch_size=1000)
result = evaluate(pupil, test_batches, classification_step)
print(f"on the test images: {result['accuracy']:.1%} right")

# %%
# Only about nine out of ten are right. Such a gap is a sign of
# :term:`overfitting`, and more images are the surest cure. So do not believe an
# accuracy unless it was measured on images that the network has not learned
# from.

# %%
# .. check::

assert my_answer == 3, "the network reads the 3"
assert on_its_500 > 0.98, "it knows its 500 images by heart"
assert 0.85 < result["accuracy"] < 0.95, "nine out of ten test images"

# %%
# What you learned
# ----------------
# - Images are tensors of the shape (N, 1, 28, 28), and labels have the shape
#   (N,).
# - Training repeats four steps: take a mini-batch, compute the loss, call
#   ``backward``, and let the optimizer take a step.
# - A simple rule tells you what an accuracy is worth.
# - Believe the accuracy on images that were kept back, and no other.
# - Save the state dict, and load it into a new network of the same kind.
#
# Exercises
# ---------
# 1. **Predict.** Our digits are white on black. On paper it is the other way
#    round. What becomes of the accuracy if you replace each test image by its
#    negative, ``1 - test.x``?
# 2. **Change.** Train a new network for one epoch with a learning rate of 0.2.
#    What does the loss tell you?
# 3. **Extend.** Does it matter where a digit stands? Move all test images by 0,
#    1, 2, 3 and 4 columns to the left, and measure the accuracy.
#    ``test.x.roll(-2, dims=3)`` moves them by two columns. What leaves on the
#    left comes back on the right, so stay within their black margin of about
#    four columns.

# %%
# .. answer:: 1
#
#    Little is left of it. Every image in the training was light on dark, so
#    nothing told the network that only the strokes matter, not the colours.

negative = accuracy(reader, 1 - test.x, test.y)
print(f"negatives: {negative:.1%} right")

# %%
# .. check::

assert negative < 0.5, "most negatives are read wrongly"

# %%
# .. answer:: 2
#
#    The mean loss is far above 2.3, the loss of guessing: with equal scores for
#    ten digits, it is ln 10. So some steps were much too long and raised the
#    loss. After training it is still about 2.3, and the network has learned
#    nothing. If the loss does not fall below that of guessing, try a smaller
#    learning rate first.

hasty = models.LeNet()
train_network(hasty, lr=0.2, epochs=1)
hasty_result = evaluate(hasty, test_batches, classification_step)
print(f"test loss {hasty_result['loss']:.3f}")
print(f"{hasty_result['accuracy']:.1%} right")

# %%
# .. check::

assert abs(hasty_result["loss"] - 2.3) < 0.2, "the loss of guessing"
assert hasty_result["accuracy"] < 0.15, "with long steps it learns nothing"

# %%
# .. answer:: 3
#
#    Two columns cost a few answers in a hundred, and four columns about thirty.
#    In the training every digit stood in the middle, and nothing told the
#    network that its place does not matter.

moved = []
for columns in range(5):
    images = test.x.roll(-columns, dims=3)
    moved.append(accuracy(reader, images, test.y))
    print(f"moved by {columns}: {moved[columns]:.1%} right")

# %%
# .. check::

assert 0.01 < after - moved[2] < 0.07, "two columns cost a few in a hundred"
assert 0.2 < after - moved[4] < 0.4, "four columns cost about thirty"
