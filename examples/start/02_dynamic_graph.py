"""
Dynamic graphs: if and for in forward
=====================================

Can a network decide, while it runs, what to compute next?

With PyTorch it can, with the ``if`` and the ``for`` that you know from Python.
To train a network, PyTorch must know what was computed. It records this while
your code runs, so the record may differ from one run to the next. Such a record
is called a *dynamic graph*. You need it whenever the amount of work depends on
the data: a sentence has as many words as it has, and an easy image needs less
work.

After this lesson you can

- use ``if``, ``for`` and ``while`` in a network, and say what PyTorch records
- write a network that stops when it is sure, and measure what that saves
- notice a value that has dropped out of the record, although nothing fails
"""

# %%
# Setup
# -----
# As in the quickstart, this page uses a few functions that later lessons take
# up again. Here, a sentence says what each of them does.

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import Batches, datasets

torch.manual_seed(0)

# %%
# The same code, two graphs
# -------------------------
# This function doubles a number until it is at least 10. How often the loop
# runs depends on the number.


def double_until_ten(x):
    while x < 10:
        x = 2 * x
    return x


# %%
# Try it in your head: 3 becomes 6 and 12, and 1 becomes 2, 4, 8 and 16. How
# fast does the result grow if the start grows a little? From 3, the result is
# 2 × 2 × x = 4x, so it grows four times as fast as x. From 1, it is
# 2 × 2 × 2 × 2 × x = 16x, sixteen times as fast. This factor is the slope.
#
# PyTorch finds the slope by itself. ``torch.tensor(3.0, requires_grad=True)``
# makes a tensor of one number, and asks PyTorch to record what is computed
# from it. ``backward()`` goes through the record and finds the slope, and
# ``grad`` holds it afterwards. (``item()`` takes the number out of a tensor.)

slopes = []
for start in (3.0, 1.0):
    x = torch.tensor(start, requires_grad=True)
    y = double_until_ten(x)
    y.backward()
    slopes.append(x.grad.item())
    print("from", start, "to", y.item(), "with slope", x.grad.item())

# %%
# Both slopes are right, although the loop ran longer for one number than for
# the other. The record has no loop in it. It lists what really happened to this
# number: two doublings in the first case, four in the second. Such a record is
# called a :term:`computational graph`. The figure shows both.
#
# .. alt:: Two rows of boxes joined by arrows. In the first row 3, 6, 12, with
#    two arrows, each marked times 2. In the second row 1, 2, 4, 8, 16, with
#    four arrows. On the right stand the slopes, 4 and 16.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.6, 1.9), layout="constrained")
for height, values, slope in ((1, [3, 6, 12], 4), (0, [1, 2, 4, 8, 16], 16)):
    for place, value in enumerate(values):
        box = {"boxstyle": "round", "facecolor": "#CCE6F6", "edgecolor": "0.3"}
        axis.text(
            place, height, str(value), ha="center", va="center", bbox=box,
            color="black",
        )  # fmt: skip
        if place:
            arrow = {"arrowstyle": "->", "color": "0.5"}
            ends = ((place - 0.25, height), (place - 0.75, height))
            axis.annotate("", *ends, arrowprops=arrow)
            axis.text(place - 0.5, height + 0.12, "× 2", ha="center")
    axis.text(4.5, height, f"slope {slope}", va="center")
axis.set(xlim=(-0.4, 5.5), ylim=(-0.5, 1.6))
axis.set_axis_off()

# %%
# PyTorch makes the graph while the code runs, each time from the beginning.
# This is a :term:`dynamic graph`. The way to make it is called
# :term:`define-by-run`, because running the code defines the graph.

# %%
# .. check::

assert double_until_ten(torch.tensor(3.0)) == 12, "3, 6, 12"
assert double_until_ten(torch.tensor(1.0)) == 16, "1, 2, 4, 8, 16"
assert slopes == [4, 16], "the slopes are those found by hand"

# %%
# A graph that is made only once
# ------------------------------
# Would it not be faster to make the graph once and use it for every number?
# That is a :term:`static graph`. Let us make one. ``record`` writes down the
# steps for one number, and ``replay`` repeats these steps for another.


def record(x):
    steps = []
    while x < 10:
        steps.append(2)
        x = 2 * x
    return steps


def replay(steps, x):
    for factor in steps:
        x = factor * x
    return x


steps = record(1.0)
print("steps:", steps)
print("1 replayed:", replay(steps, 1.0))
print("3 replayed:", replay(steps, 3.0))
print("3 itself:  ", double_until_ten(3.0))

# %%
# For 1 the record is right. For 3 it gives 48 instead of 12, and there is no
# error. The question ``x < 10`` was asked while the record was made, and it is
# not part of the record. So a static graph needs special parts for loops and
# decisions. Before 2019, many frameworks worked in that way; the box at the end
# of this page says more about them.

# %%
# .. check::

assert replay(steps, 1.0) == 16, "the record is right for its own number"
assert replay(steps, 3.0) == 48, "and wrong for another one"

# %%
# A network that stops when it is sure
# ------------------------------------
# Now a network that makes use of this freedom. It reads a digit from the top,
# one row of pixels after the other. After each row it says how sure it is, and
# when it is sure enough, it stops.
#
# To remember what it has read, it needs a memory, here 64 numbers. At the
# beginning all of them are 0, which ``torch.zeros`` makes.
# :class:`torch.nn.GRUCell` takes a row of 28 pixels and the memory, and returns
# the new memory. Later lessons show what is inside; here it is enough that
# training teaches it what to remember. :class:`torch.nn.Linear` computes ten
# scores from the memory, one for each digit.
#
# A network in PyTorch is a class that builds on ``nn.Module``. ``__init__``
# makes its parts, after ``super().__init__()`` has prepared the object, and
# ``forward`` says what it computes. ``model(x)`` calls it, and the parts
# ``self.read`` and ``self.answer`` are called like functions, too. In
# ``forward``, ``images[:, 0, i]`` is row i of every image: the colon means all
# images, and 0 is the only channel. ``softmax`` turns the ten scores into
# shares that sum to 1, and the largest of them, found by ``max()``, says how
# sure the network is.


class RowReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.GRUCell(28, 64)
        self.answer = nn.Linear(64, 10)

    def forward(self, images, sure=1.0):  # images: (N, 1, 28, 28)
        memory = torch.zeros(len(images), 64)
        scores = []  # one entry, (N, 10), for each row that was read
        for i in range(28):
            memory = self.read(images[:, 0, i], memory)
            scores.append(self.answer(memory))
            if scores[-1].softmax(dim=1).max() > sure:
                break
        return scores


# %%
# The ``for`` and the ``if`` are Python's own, and the ``if`` looks at a number
# that the network has just computed. No share is larger than 1, so with
# ``sure=1.0`` it reads all 28 rows. With a smaller value, give it one image at
# a time. In a batch, ``max()`` looks at all the images, so the surest one would
# stop the reading for all of them.
#
# Training is the loop of :doc:`/lessons/start/01_quickstart`. For each
# mini-batch, ``zero_grad()`` forgets the old slopes, ``backward()`` finds the
# new ones, and the optimizer ``AdamW`` moves the ``parameters()`` of the
# network with ``step()``. Only the loss is new. The network should know as
# early as possible which digit it is, so the ``cross_entropy`` after every row
# counts, and we take the mean of all 28.

train, test = datasets.mnist()
batches = Batches(train.x, train.y, batch_size=100, shuffle=True)
model = RowReader()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
for epoch in range(3):
    total = 0.0
    for x, y in batches:
        losses = [cross_entropy(scores, y) for scores in model(x)]
        loss = sum(losses) / 28
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: mean loss {total / len(batches):.3f}")

# %%
# Three digits, three graphs
# --------------------------
# Let the network read three digits, one at a time, and stop when it is more
# than 90 % sure. (We chose them because they need different numbers of rows.)
# ``with torch.no_grad():`` means that nothing is recorded in the lines below
# it, because we do not train here. ``argmax()`` returns the position of the
# largest score, which is the answer. How many rows does the network need?

with torch.no_grad():
    for i in (28, 0, 42):
        scores = model(test.x[i : i + 1], sure=0.9)
        answer = scores[-1].argmax().item()
        print(f"a {test.y[i]}, read as {answer} after {len(scores)} rows")

# %%
# All three answers are right. One digit is clear after a few rows, one takes
# about twelve, and for the last one the network reads to the end. The figure
# hides the rows that it did not read.
#
# .. alt:: Three handwritten digits: a 6, a 9 and a 3. A grey veil covers the
#    rows that the network did not read. It covers most of the 6, the lower half
#    of the 9, and nothing of the 3.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 3, figsize=(5.6, 2.2), layout="constrained")
for axis, i in zip(axes, (28, 0, 42), strict=True):
    with torch.no_grad():
        rows = len(model(test.x[i : i + 1], sure=0.9))
    axis.imshow(test.x[i, 0].numpy(), cmap="gray_r")
    axis.axhspan(rows - 0.5, 27.5, color="tab:gray", alpha=0.6, linewidth=0)
    axis.set(title=f"{rows} rows", xticks=[], yticks=[0, 27])
axes[0].set_ylabel("row of pixels")

# %%
# How many rows does it save? Read 1,000 test images like this, one at a time,
# and count the rows. (A comparison gives ``True`` or ``False``, which Python
# counts as 1 and 0.)

rows_read = 0
correct = 0
with torch.no_grad():
    for i in range(1000):
        scores = model(test.x[i : i + 1], sure=0.9)
        rows_read += len(scores)
        correct += (scores[-1].argmax() == test.y[i]).item()
    all_scores = model(test.x[:1000])

stopping_accuracy = correct / 1000
average_rows = rows_read / 1000
print(
    f"stops when sure: {stopping_accuracy:.1%} right, {average_rows:.1f} rows"
)

# %%
# Now let every image have the same number of rows: first as many as our network
# takes on average, then 17, then all of them. ``all_scores`` is a list with one
# entry for each row, so the scores after 17 rows are ``all_scores[16]``. (For a
# whole tensor of ``True`` and ``False``, ``float().mean()`` gives the share
# that is ``True``.)

accuracy = {}
for rows in (round(average_rows), 17, 28):
    right = all_scores[rows - 1].argmax(dim=1) == test.y[:1000]
    accuracy[rows] = right.float().mean().item()
    print(f"{rows} rows for all:  {accuracy[rows]:.1%} right")

# %%
# Our network reads about 15 of the 28 rows. If every image gets 15, more
# answers are wrong, because some images need more rows, and others have rows to
# spare. With 17 rows for all, the answers are about as good as ours. So the
# ``if`` saves two or three rows of each image, and not 13: the last rows are of
# little use to this network, which was trained to answer early. (With each of
# five seeds, two or three rows were saved.) That helps only where images come
# one at a time. A computer reads a batch of 1,000 images faster than 1,000
# single ones, even if it reads all the rows.

# %%
# .. check::

assert round(average_rows) in (14, 15), "about 15 of the 28 rows"
assert stopping_accuracy > accuracy[round(average_rows)], (
    "better than the same for all"
)
assert accuracy[17] > stopping_accuracy - 0.01, (
    "17 rows for all are about as good"
)
assert 2 < 17 - average_rows < 3, "two or three rows are saved"
assert accuracy[28] - accuracy[17] < 0.03, (
    "the last rows are of little use to this network"
)

# %%
# What torch.compile does now
# ---------------------------
# Is a dynamic graph slow, because PyTorch makes it again and again? Today it
# can be fast. :func:`torch.compile` takes your function, finds the parts
# without decisions, and turns each of them into a graph that can be made
# faster. The decisions stay with Python. (``backend="eager"`` says that the
# graphs should run as they are. The default backend translates them into faster
# code, which needs a compiler on your machine.)
#
# What if we demand that the whole function becomes one graph? Then
# ``fullgraph=True``, and this is an error. Python stops at an error, unless it
# happens below ``try``: then it goes on below ``except``. (``str(error)`` is
# the message, and we look for one word in it.)

whole = torch.compile(double_until_ten, backend="eager", fullgraph=True)
refused = False
try:
    whole(torch.tensor(3.0))
except RuntimeError as error:
    refused = "Data-dependent" in str(error)
print("as one graph, refused:", refused)

in_parts = torch.compile(double_until_ten, backend="eager")
from_3 = in_parts(torch.tensor(3.0)).item()
from_1 = in_parts(torch.tensor(1.0)).item()
print("in parts:", from_3, from_1)

# %%
# One graph for everything was refused, because ``x < 10`` depends on the data.
# In parts, both results are right. So ``torch.compile`` does not make the
# mistake of ``replay``: it either keeps the decision or says that it cannot.

# %%
# .. check::

assert refused, "one graph cannot hold the decision"
assert from_3 == 12, "compiled in parts, 3 gives 12"
assert from_1 == 16, "compiled in parts, 1 gives 16"

# %%
# What goes wrong
# ---------------
# The record holds operations on tensors, and nothing else. Here is the same
# loop once more, but ``x.item()`` takes the number out of the tensor, and
# ``torch.tensor`` makes a new tensor of it. Which slope do you expect?


def double_with_item(x):
    while x < 10:
        x = x + torch.tensor(x.item())
    return x


x = torch.tensor(3.0, requires_grad=True)
y = double_with_item(x)
y.backward()
print("result", y.item(), "slope", x.grad.item())

# %%
# The result is right, the slope is 1 instead of 4, and there is no error. The
# new tensor has the right value, but PyTorch does not know where it came from.
# So it counts as a fixed number, like the 5 in ``x + 5``, and only the first
# ``x`` of each sum is in the graph. The parts of a network whose results pass
# through such a line get no slopes, or wrong ones, and do not learn what they
# should.
#
# Keep this rule in mind: **use plain numbers to decide, and tensors to
# compute**. In an ``if`` or a ``while``, ``item()`` does no harm.

# %%
# .. check::

assert y == 12, "the result is right"
assert x.grad == 1, "the slope is 1, and 4 would be right"

# %%
# What you learned
# ----------------
# - Write ``if``, ``for`` and ``while`` in plain Python. The graph records the
#   operations that ran.
# - Each call has a graph of its own, and ``backward()`` follows it, however
#   long it is.
# - A graph that was recorded once fits only data that takes the same path.
# - A network may decide how much to compute. Measure what that saves.
# - A value that leaves its tensor, as with ``item()``, leaves the graph.
#
# Exercises
# ---------
# 1. **Predict.** Which result and which slope does ``double_until_ten`` have
#    from 2.5, from 0.5 and from 20?
# 2. **Change.** Let the network stop when it is 70 % sure, and when it is 99 %
#    sure. What happens to the number of rows, and to the accuracy? Use the
#    first 300 test images.
# 3. **Extend.** Write ``triple_or_halve(x)``, which multiplies ``x`` by 3 if it
#    is smaller than 1, and divides it by 2 if it is not, five times in all.
#    What is the slope from 0.9, and from 5? Check it by hand.

# %%
# .. answer:: 1
#
#    From 2.5, two doublings give 10, and 10 is not smaller than 10, so the loop
#    stops: the slope is 4. From 0.5, five doublings give 16, and the slope is
#    32. From 20, the loop does not run at all. The result is x itself, and its
#    slope is 1.

slopes = []
for start in (2.5, 0.5, 20.0):
    x = torch.tensor(start, requires_grad=True)
    y = double_until_ten(x)
    y.backward()
    slopes.append(x.grad.item())
    print("from", start, "to", y.item(), "with slope", x.grad.item())

# %%
# .. check::

assert slopes == [4, 32, 1], "two doublings, five, and none"

# %%
# .. answer:: 2
#
#    With a higher threshold, the network reads more rows, and fewer answers are
#    wrong. At 99 %, they are as good as with all 28 rows. What is better
#    depends on what a row costs and what a mistake costs.

mean_rows = {}
share_right = {}
for sure in (0.7, 0.99):
    rows_read = 0
    correct = 0
    with torch.no_grad():
        for i in range(300):
            scores = model(test.x[i : i + 1], sure=sure)
            rows_read += len(scores)
            correct += (scores[-1].argmax() == test.y[i]).item()
    mean_rows[sure] = rows_read / 300
    share_right[sure] = correct / 300
    print(f"{sure}: {mean_rows[sure]:.1f} rows, {share_right[sure]:.1%} right")

right = all_scores[27][:300].argmax(dim=1) == test.y[:300]
share_right["all"] = right.float().mean().item()
print(f"all:  28 rows, {share_right['all']:.1%} right")

# %%
# .. check::

assert mean_rows[0.99] > mean_rows[0.7] + 5, "more rows"
assert share_right[0.99] > share_right[0.7], "more right answers"
assert abs(share_right[0.99] - share_right["all"]) < 0.01, "as with 28 rows"

# %%
# .. answer:: 3
#
#    From 0.9 the steps are times 3, halved, halved, times 3, halved: 9 / 8 =
#    1.125. From 5 they are three halvings, then times 3, then halved: 3 / 16 =
#    0.1875.


def triple_or_halve(x):
    for _ in range(5):
        if x < 1:
            print("times 3", end="  ")
            x = 3 * x
        else:
            print("halved", end="  ")
            x = x / 2
    print()
    return x


five_steps = []
for start in (0.9, 5.0):
    x = torch.tensor(start, requires_grad=True)
    y = triple_or_halve(x)
    y.backward()
    five_steps.append(x.grad.item())
print(five_steps)

# %%
# .. check::

assert five_steps == [1.125, 0.1875], "9 / 8 and 3 / 16"

# %%
# .. earlier::
#
#    Older notes compare frameworks as they were in 2018. All of them computed
#    gradients by :term:`backpropagation`, so that is not what made a graph
#    static or dynamic. The difference was *when* the graph was made.
#
#    - **Caffe**: a network was `a text file
#      <https://caffe.berkeleyvision.org/tutorial/net_layer_blob.html>`__ that
#      listed its layers. Nothing was released after 1.0 in 2017, and its
#      successor Caffe2 `became a part of PyTorch
#      <https://caffe2.ai/blog/2018/05/02/Caffe2_PyTorch_1_0.html>`__ in 2018.
#    - **TensorFlow**: Python built a graph, and a session ran it. A loop was a
#      part of the graph, ``tf.while_loop``. `Since 2.0
#      <https://www.tensorflow.org/guide/migrate/tf1_vs_tf2>`__ (2019)
#      operations run at once, and `tf.function
#      <https://www.tensorflow.org/guide/function>`__ makes graphs when you ask
#      for them.
#    - **Keras** was an interface to TensorFlow, Theano or CNTK. `Keras 3
#      <https://keras.io/keras_3/>`__ (2023) runs on TensorFlow, JAX or PyTorch.
#    - **Chainer** made define-by-run known in 2015. Its makers `moved to
#      PyTorch <https://beam2d.net/blog/2019/12/10/chainer-look-back-en>`__ in
#      2019.
#    - **PyTorch** has been `define-by-run <https://arxiv.org/abs/1912.01703>`__
#      from the beginning, and since 2.0 (2023) it has ``torch.compile``.
