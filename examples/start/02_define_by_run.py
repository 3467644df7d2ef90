"""
A graph drawn while it runs
===========================

What does a dynamic graph buy me?

PyTorch is praised for its :term:`dynamic graph`, and seldom is it shown what that is good for.
Here a network reads a handwritten digit row by row and stops as soon as it is sure: a ``for`` and
an ``if`` of plain Python, a graph of its own for each image, and about half of the rows left
unread. On the page before, :doc:`/lessons/start/01_quickstart`, every image took the same path.
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from handbook import Batches, datasets, fit

torch.manual_seed(0)
train, test = datasets.mnist()

# %%
# The smallest one
# ----------------
# How often this function halves its number depends on the number. ``requires_grad=True`` asks
# PyTorch to watch: each division then leaves a node in the :term:`computational graph`. The result
# holds the last node as ``grad_fn``, and each node holds the ones before it; ``nodes`` walks from
# the result back to the start.


def halve(x):
    while x > 1:
        x = x / 2
    return x


def nodes(tensor):
    """List the nodes of the graph behind a tensor, the last one first."""
    found, todo = [], [tensor.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in found:
            found.append(node)
            todo += [earlier for earlier, _ in node.next_functions]
    return found


for start in (5.0, 20.0):
    x = torch.tensor(start, requires_grad=True)
    y = halve(x)
    y.backward()
    names = [type(node).__name__.removesuffix("Backward0") for node in nodes(y)]
    print(f"{start:g} -> {y}, gradient {x.grad}:", *names)
    assert names == ["Div"] * (len(names) - 1) + ["AccumulateGrad"]
    assert x.grad == 0.5 ** (len(names) - 1)

# %%
# The code has a loop, so one expects a loop in the graph. There is none: the graph is no picture
# of the code, it is a record of what happened to this number. Three divisions happened to 5 and
# five to 20; the node at the end of each list, ``AccumulateGrad``, adds what arrives there to
# ``x.grad``, the :term:`gradient`.
#
# Why not record once and keep the record? That is a :term:`static graph`: made once, run for every
# input. But a record of plain operations fits only inputs that would take the same path. Five
# divisions for 20 become five divisions for 5 as well, and the answer is wrong.

*divisions, _ = nodes(y)  # of 20
replayed = torch.tensor(5.0)
for _ in divisions:
    replayed = replayed / 2
print(
    f"5 by the record of 20: {replayed}; by itself: {halve(torch.tensor(5.0))}"
)
assert replayed == 0.15625 and halve(torch.tensor(5.0)) == 0.625

# %%
# Model
# -----
# Now a network that needs this. A recurrent cell, :class:`torch.nn.GRUCell`, takes one row of 28
# pixels and a memory of 64 numbers and returns the memory that follows; from the memory a layer
# computes ten scores, the :term:`logits` of the ten digits. What matters here are the ``for`` and
# the ``if`` in ``forward``: they are Python's own, and the ``if`` looks at a number that the
# network computed a moment ago.


class Reader(nn.Module):
    """Read images from the top, row by row, and stop when sure of each."""

    def __init__(self, width=64):
        super().__init__()
        self.cell = nn.GRUCell(28, width)
        self.answer = nn.Linear(width, 10)

    def look(self, row, memory):  # (B, 28), (B, W)
        memory = self.cell(row, memory)
        return memory, self.answer(memory)

    def forward(self, images, sure=None):  # (B, 1, 28, 28)
        memory = images.new_zeros(len(images), self.cell.hidden_size)
        answers = []
        for row in images.squeeze(1).unbind(1):
            memory, logits = self.look(row, memory)
            answers.append(logits)
            if sure and logits.softmax(-1).amax(-1).min() > sure:
                break
        return torch.stack(answers, 1)  # (B, R, 10), R rows read


# %%
# Training
# --------
# To stop in time, the network must know after each row how sure it may be. So the
# :term:`cross-entropy` after every row counts, not only after the last one.


def every_row(model, x, y):
    logits = model(x)  # (B, 28, 10)
    loss = F.cross_entropy(
        logits.transpose(1, 2), y.unsqueeze(1).expand(-1, 28)
    )
    right = logits[:, -1].argmax(-1) == y
    return loss, {"accuracy": right.float().mean()}


batches = Batches(*train, batch_size=200, shuffle=True)
model = Reader()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, 0.03, 6 * len(batches)
)
history = fit(
    model,
    batches,
    every_row,
    optimizer=optimizer,
    scheduler=scheduler,
    scheduler_interval="batch",
    epochs=6,
)
model.cpu()  # reading one image at a time is no work for an accelerator
print(f"training accuracy after all 28 rows: {history[-1]['accuracy']:.1%}")
assert history[-1]["accuracy"] > 0.94

# %%
# Three digits, three graphs
# --------------------------
# To compare many images, read all of them to the end once and compute afterwards where each would
# have stopped. Then the model itself reads three: an early, a middle and a late one.

with torch.no_grad():
    confidence, prediction = model(test.x).softmax(-1).max(-1)  # (2000, 28)
right = prediction == test.y.unsqueeze(1)


def rows_until(sure):
    enough = confidence > sure
    enough[:, -1] = True  # after the last row there is nothing left to read
    return enough.int().argmax(1) + 1  # the first row that is sure enough


needed = rows_until(0.95)
chosen = needed.argsort(stable=True)[[20, 1000, 1800]].tolist()
for i in chosen:
    image = test.x[i : i + 1].clone().requires_grad_()
    logits = model(image, sure=0.95)
    logits[0, -1].max().backward()
    rows, size = logits.shape[1], len(nodes(logits))
    print(f"a {test.y[i]}: {rows} rows read, {size} nodes in the graph")
    used = image.grad[0, 0].ne(0).any(1)  # does any pixel of the row matter?
    assert rows == needed[i] and used[:rows].all() and not used[rows:].any()

# %%
# The later the network is sure, the longer the graph. The ``assert`` looks at the gradient of the
# pixels: it is exactly zero in all rows not read, because no path of the graph leads to them.
#
# .. alt:: Three digits, the rows that the network did not read hidden by a grey veil, and beside
#    each row that it did read a bar, its confidence. Bars grow downwards until one passes 95 %.

figure = plt.figure(figsize=(6.4, 2), layout="compressed")
axes = figure.subplots(1, 6, width_ratios=[2, 1] * 3)
for i, picture, bars in zip(chosen, axes[::2], axes[1::2], strict=True):
    rows = int(needed[i])
    picture.imshow(test.x[i, 0].numpy(), cmap="gray_r")
    picture.axhspan(rows - 0.5, 27.5, color="tab:gray", alpha=0.6, linewidth=0)
    picture.set(title=f"{rows} rows", xticks=[], yticks=[0, 27])
    bars.barh(range(rows), (100 * confidence[i, :rows]).tolist(), height=0.7)
    bars.axvline(95, color="tab:red", linestyle="--")
    bars.set(
        xlim=(0, 105),
        xlabel="sure (%)",
        ylim=picture.get_ylim(),
        yticks=[],
        box_aspect=2,
    )
axes[0].set_ylabel("row of pixels")

# %%
# What it buys
# ------------
# A static reader has one number of rows for all images. Ours has one threshold, and each image
# takes the rows that it needs. Which of the two answers better for the same reading?
#
# .. alt:: Accuracy against the average number of rows read. The reader that stops when sure lies
#    above the one that reads a fixed number, until both level off near 96 % and 20 rows.

fixed = right.float().mean(0).tolist()  # accuracy after 1, 2, … 28 rows
rows_read, accuracy = [], []
for sure in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995):
    rows = rows_until(sure)
    rows_read.append(rows.float().mean().item())
    accuracy.append(right[range(2000), rows - 1].float().mean().item())

figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
axis.plot(rows_read, accuracy, "o-", label="stop when sure: a dynamic graph")
axis.plot(
    range(1, 29), fixed, "s--", color="tab:orange", label="the same for all"
)
axis.text(rows_read[5], accuracy[5] + 0.02, "95 % sure", ha="center")
axis.set(
    xlabel="rows read (average)",
    ylabel="accuracy",
    xlim=(6, 29),
    ylim=(0.55, 1),
)
axis.legend()

average, hits = rows_read[5], accuracy[5]  # where sure is 0.95
same = fixed[int(average)]  # as many rows for all, rounded up
print(f"stop at 95 %: {average:.1f} rows on average, {hits:.1%} right")
print(f"{int(average) + 1} rows for all: {same:.1%}; all 28: {fixed[-1]:.1%}")
assert average < 16 and hits > fixed[-1] - 0.02 and same < fixed[-1] - 0.02
assert abs(max(fixed) - max(accuracy)) < 0.02

# %%
# Half of the rows, and about one answer in a hundred is lost; anyone who gives that half to all
# images alike loses three. The network was not told which digits are hard: an ``if`` asks it,
# image by image. Where there is time for 20 rows or more, stopping early buys nothing.
#
# A closer look
# -------------
# Does such freedom not forbid every optimization? :func:`torch.compile` reads the bytecode of your
# functions, turns it into graphs and hands each graph to a *backend*. The default one translates
# it to C++ or GPU code and needs a compiler for that; ours keeps the graphs for us to see and runs
# them as they are. At first we demand the whole model as a single graph.

graphs = []


def collect(graph, example_inputs):
    graphs.append(graph)
    return graph.forward


strict = torch.compile(model, backend=collect, fullgraph=True)
try:
    with torch.no_grad():
        strict(test.x[:1], sure=0.95)
except RuntimeError as error:
    reason = str(error).splitlines()[0]
print("refused:", reason)
assert "branching" in reason and not graphs

# %%
# A Python ``if`` that depends on the data cannot be part of such a graph; a branch inside it would
# be written with :func:`torch.cond`. Without our demand the compiler takes what it can:

compiled = torch.compile(model, backend=collect)
with torch.no_grad():
    for image in test.x[chosen].split(1):
        assert torch.equal(compiled(image, 0.95), model(image, 0.95))
calls = [node for node in graphs[0].graph.nodes if node.op == "call_function"]
print(len(graphs), "graph:", [call.target.__name__ for call in calls])
assert len(graphs) == 1

# %%
# The same answers, to the last bit, from one graph of two operations: that is ``look``, compiled
# once and called for each row of each image. The ``for`` and the ``if`` stayed with Python.
#
# Two prices remain: an ``if`` on a tensor makes Python wait for its value, which hurts on a GPU;
# and images that stop at different rows are harder to read together (exercise 3).
#
# Then and now
# ------------
# Older notes compare frameworks as they were in 2018. All of those computed gradients by
# :term:`backpropagation`; that is not what made a graph changeable. The difference was *when* the
# graph came to be: declared first and run later, or :term:`defined by running <define-by-run>`.
#
# - **Caffe**: a net was `a text file
#   <https://caffe.berkeleyvision.org/tutorial/net_layer_blob.html>`__ that listed its layers. No
#   release followed 1.0 in 2017; its successor Caffe2 `joined PyTorch
#   <https://caffe2.ai/blog/2018/05/02/Caffe2_PyTorch_1_0.html>`__ in 2018.
# - **TensorFlow**: Python built a graph and a session ran it; a loop was a node,
#   ``tf.while_loop``. `Since 2.0
#   <https://blog.tensorflow.org/2019/09/tensorflow-20-is-now-available.html>`__ (2019) operations
#   run at once; `tf.function <https://www.tensorflow.org/guide/function>`__ makes graphs on
#   demand.
# - **Keras**: an interface to TensorFlow, Theano or CNTK. `Keras 3 <https://keras.io/keras_3/>`__
#   (2023) runs on TensorFlow, JAX or PyTorch.
# - **Chainer** made define-by-run known in 2015; its makers `went over to PyTorch
#   <https://beam2d.net/blog/2019/12/10/chainer-look-back-en>`__ in 2019.
# - **PyTorch** was `define-by-run <https://arxiv.org/abs/1912.01703>`__ from its first day. It
#   still is, and since 2.0 (2023) it has :func:`torch.compile`.
#
# What you learnt
# ---------------
# - Write control flow in plain Python: the graph records the operations that ran, and no others.
# - Expect a graph of its own for every call; backpropagation follows it, whatever its length.
# - Let the data decide how long to compute, and measure what that saves against a fixed effort.
# - Compile what decides nothing: the result is the same, and the decisions stay with Python.
#
# Exercises
# ---------
# 1. **Predict.** Some images never reach the threshold. Of the others, what share is answered
#    right if the threshold is 0.8, 0.9, 0.95? As much as promised, less, or more?
# 2. **Change.** Stop only when the network was sure of the same digit after three rows running.
#    What does it cost, and what does it bring?
# 3. **Extend.** Read all 2,000 test images in one batch in which each image leaves as soon as the
#    network is sure of it. Check that no answer changes, and count the rows saved.

# %%
# .. answer:: 1
#
#    More: at the moment of stopping the confidence is *above* the threshold, not at it, and this
#    network is not overconfident.

for sure in (0.8, 0.9, 0.95):
    last = rows_until(sure).unsqueeze(1) - 1
    stopped = confidence.gather(1, last) > sure
    share = right.gather(1, last)[stopped].float().mean()
    print(f"promised {sure:.0%}: {share:.1%} of {stopped.sum()} right")
    assert share > sure

# %%
# .. answer:: 2
#
#    A counter is all it takes. Some two more rows an image, and hardly an answer improves: where
#    the network errs, it errs for many rows.


def read(image, patience):  # (28, 28)
    memory, rows, streak, before = torch.zeros(1, 64), 0, 0, None
    for row in image.split(1):
        rows += 1
        memory, logits = model.look(row, memory)
        chance, digit = logits.softmax(-1).max(-1)
        streak = streak + 1 if digit == before else 1
        streak, before = streak if chance > 0.95 else 0, digit
        if streak == patience:
            break
    return rows, digit.item()


rows, hits = {}, {}
with torch.no_grad():
    for patience in (1, 3):
        results = torch.tensor(
            [read(image[0], patience) for image in test.x[:500]]
        )
        rows[patience] = results[:, 0].float().mean()
        hits[patience] = (results[:, 1] == test.y[:500]).float().mean()
        print(
            f"{patience} running: {rows[patience]:.1f} rows, {hits[patience]:.1%} right"
        )
assert 1 < rows[3] - rows[1] < 4 and abs(hits[3] - hits[1]) < 0.02

# %%
# .. answer:: 3
#
#    An index of the images still being read is enough: the batch shrinks from row to row.

reading = torch.arange(2000)
memory, digits = torch.zeros(2000, 64), torch.zeros(2000, dtype=torch.long)
rows_read = 0
with torch.no_grad():
    for row in test.x.squeeze(1).unbind(1):
        memory, logits = model.look(row[reading], memory)
        rows_read += len(reading)
        chance, digits[reading] = logits.softmax(-1).max(-1)
        memory, reading = memory[chance <= 0.95], reading[chance <= 0.95]
alone = prediction[range(2000), needed - 1]
same = (digits == alone).float().mean()
share = rows_read / (2000 * 28)
print(f"same answers: {same:.1%}; rows read: {share:.0%}")
assert same > 0.999 and share < 0.6

# %%
# Next
# ----
# :doc:`/lessons/tensors/01_create`: before the graph come the numbers that flow through it.
