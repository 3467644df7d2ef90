"""
What a graph keeps in memory
============================

What fills my memory during training, and how do I free it?

"Out of memory" is one of the errors that people meet first. In a small network
with large batches, the weights are rarely the reason. Most of the memory holds
numbers that the backward pass will need, and one innocent line can keep them
alive for the whole training. (In a very large network, the weights, their
gradients and the numbers of the optimizer count as well.)

After this lesson you can

- say which operations keep numbers for the backward pass, and how many
- use one graph twice with ``retain_graph``, and know what it costs
- collect losses without filling the memory
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import SavedMemory, classification_step, datasets, models

torch.manual_seed(0)
train, test = datasets.mnist()

# %%
# What backward needs
# -------------------
# The slope of :math:`x^2` is :math:`2x`. So the :term:`backward pass` needs
# ``x`` again, and autograd keeps it. The slope of :math:`x+1` is 1, whatever
# ``x`` is, so nothing has to be kept. The slope of ``exp`` is ``exp`` itself,
# and here it is the *result* that is kept. (Kept does not mean copied: autograd
# holds on to the same memory, so that it cannot be freed. Here ``x`` exists
# anyway. In a network, it is mostly results between the layers that no name
# holds any more.)
#
# :class:`handbook.SavedMemory` counts what the operations inside its ``with``
# block keep. Its ``nbytes`` is the number of bytes. Three numbers of 4 bytes
# each are 12 bytes.

x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)

with SavedMemory() as saved:
    y = x + 1
print("x + 1:  ", saved.nbytes, "bytes")

with SavedMemory() as saved:
    y = x.exp()
print("exp:    ", saved.nbytes, "bytes")

with SavedMemory() as saved:
    y = (x**2).sum()
print("squares:", saved.nbytes, "bytes")

# %%
# How long are they kept? Until nothing needs them any more, and that is after
# ``backward``:

kept_before = saved.nbytes
y.backward()
print("before backward:", kept_before, " after:", saved.nbytes)

# %%
# .. check::

assert kept_before == 12, "the square keeps three numbers"
assert saved.nbytes == 0, "backward frees them"

# %%
# Twice through one graph
# -----------------------
# ``backward`` frees what was kept. Where something was kept, as here, you
# cannot go back a second time:

message = ""
try:
    y.backward()
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# The message names the way out. With ``retain_graph=True``, the first backward
# pass frees nothing, so a second one is possible. The last one goes without it,
# and frees the numbers. (The gradients add up: 2, 4, 6 and once more 2, 4, 6.)

x.grad = None
with SavedMemory() as saved:
    y = (x**2).sum()
y.backward(retain_graph=True)
retained = saved.nbytes
y.backward()
print(x.grad, " kept in between:", retained, "bytes")

# %%
# Use it only if you really want two backward passes through one graph, as in
# the next lesson. If the error comes as a surprise, the cause is usually a
# result from an earlier step that is used again, and then ``retain_graph`` only
# hides the mistake and fills the memory. The second exercise shows such a case.

# %%
# .. check::

assert "a second time" in message, "the graph is gone"
assert retained == 12, "retain_graph keeps the numbers"
assert saved.nbytes == 0, "the last pass frees them"
assert x.grad.tolist() == [4, 8, 12], "two passes add up"

# %%
# On real data
# ------------
# Now LeNet, the network of the quickstart, and its loss for some images.
# ``classification_step`` runs the network and returns this loss, and a
# dictionary that we do not need here. The images and the weights exist in any
# case, so we exclude them from the count.

model = models.LeNet()
weights = list(model.parameters())
existing = [train.x]
existing.extend(weights)

sizes = [50, 100, 200, 400]
kept = []
for size in sizes:
    with SavedMemory(exclude=existing) as saved:
        loss, _ = classification_step(model, train.x[:size], train.y[:size])
    kept.append(saved.nbytes / 1e6)
    print(f"{size:3} images: {kept[-1]:5.2f} MB")

weight_size = sum([weight.nbytes for weight in weights]) / 1e6
print(f"all weights: {weight_size:.2f} MB")

# %%
# For 200 images the graph keeps 9 MB, while all the weights together take 0.25
# MB. Each layer keeps numbers for each image, so twice the images need twice
# the memory. The weights are the same for all images.
#
# .. alt:: Memory against the number of images. What the graph keeps rises in a
#    straight line, to 18 MB for 400 images. The weights are a flat line near 0.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.6, 3), layout="constrained")
axis.plot(sizes, kept, "o-", label="kept for backward")
axis.axhline(weight_size, color="C1", linestyle="--", label="all weights")
axis.set(xlabel="images in the batch", ylabel="memory (MB)", ylim=(0, None))
axis.legend()

# %%
# If you only want answers and no gradients, nothing has to be kept. Under
# ``no_grad`` there is no graph at all (one ``with`` can enter two blocks,
# separated by a comma):

with torch.no_grad(), SavedMemory(exclude=existing) as saved:
    loss, _ = classification_step(model, train.x[:200], train.y[:200])
print("under no_grad:", saved.nbytes, "bytes")

# %%
# .. check::

assert 8 < kept[2] < 10, "9 MB for 200 images"
assert 0.24 < weight_size < 0.26, "0.25 MB of weights"
assert kept[2] > 30 * weight_size, "over 30 times the weights"
assert 1.9 < kept[3] / kept[2] < 2.1, "twice the images, twice the memory"
assert saved.nbytes == 0, "no_grad keeps nothing"

# %%
# .. _what-keeps-a-graph-alive:
#
# What goes wrong
# ---------------
# A graph lives as long as something holds its end. You want the mean loss over
# ten batches of test images, so you add up the losses. Look at these two loops.
# They differ in a single call. Each enters one ``saved`` in every round, so
# ``nbytes`` counts what is still kept of all rounds so far.

existing = [test.x]
existing.extend(weights)

with_loss = []
total = 0.0
saved = SavedMemory(exclude=existing)
for i in range(0, 1000, 100):
    with saved:
        loss, _ = classification_step(
            model, test.x[i : i + 100], test.y[i : i + 100]
        )
    total += loss
    with_loss.append(saved.nbytes / 1e6)
print(f"mean {total / 10:.3f}, kept {with_loss[-1]:.0f} MB")

# %%
# The second one adds the Python number that ``item()`` returns. First we delete
# ``total`` and ``loss``, which still hold the ten graphs of the first loop.

del total, loss
with_item = []
total = 0.0
saved = SavedMemory(exclude=existing)
for i in range(0, 1000, 100):
    with saved:
        loss, _ = classification_step(
            model, test.x[i : i + 100], test.y[i : i + 100]
        )
    total += loss.item()
    with_item.append(saved.nbytes / 1e6)
print(f"mean {total / 10:.3f}, kept {with_item[-1]:.0f} MB")

# %%
# The means are equal, but the memory is not.
#
# .. alt:: Memory against batches. With total += loss it rises in a straight
#    line to 45 MB. With total += loss.item() it stays flat near 5 MB.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.6, 3), layout="constrained")
batches = range(1, 11)
axis.plot(batches, with_loss, "o-", label="total += loss")
axis.plot(batches, with_item, "s-", label="total += loss.item()")
axis.set(xlabel="batches", ylabel="memory kept (MB)", ylim=(0, None))
axis.legend()

# %%
# A loss is one number, but it holds its whole graph. In the first loop,
# ``total`` is a tensor that was computed from all ten losses, so it holds all
# ten graphs. After a thousand batches these would be 4.5 GB. In the second
# loop, only the graph of the last ``loss`` is left. (While the next one is
# computed, ``loss`` still holds the old graph, so for a moment there are two.)
# A list is like the first loop: ``losses.append(loss)`` keeps every graph.
#
# With ``loss.backward()`` in the loop, the kept numbers are freed in each
# round. The nodes of the graphs still pile up, so use ``item()`` there, too.

# %%
# .. check::

assert with_loss[-1] > 9 * with_item[-1], "ten graphs against one"
assert 4400 < with_loss[-1] / 10 * 1000 < 4600, "4.5 GB for a thousand"

# %%
# When memory runs out
# --------------------
# On a GPU the error is "CUDA out of memory". Go through this list from the top;
# the first three points cost no accuracy.
#
# 1. Collect numbers, ``loss.item()``, and for other results ``detach()``.
# 2. Compute under ``no_grad`` where no ``backward`` follows.
# 3. Let go of names that hold old results, ``del scores`` for example. The
#    numbers are freed when no name holds the result any more.
# 4. Make the batch smaller. Half the images keep half the numbers, and gradient
#    accumulation makes up for it.
#
# If that is not enough, `Understanding CUDA Memory Usage
# <https://docs.pytorch.org/docs/stable/torch_cuda_memory.html>`__ shows how to
# see what fills a GPU.
#
# Recipe
# ------
# The mean test loss, without a graph:

import torch

from handbook import classification_step, datasets, models

train, test = datasets.mnist()
model = models.LeNet()

total = 0.0
with torch.no_grad():  # no graph
    for i in range(0, 1000, 100):
        x = test.x[i : i + 100]
        y = test.y[i : i + 100]
        loss, _ = classification_step(model, x, y)
        total += loss.item()  # a number, not a tensor
print(f"mean loss: {total / 10:.2f}")

# %%
# .. check::

assert 2.2 < total / 10 < 2.4, "an untrained network guesses"

# %%
# What you learned
# ----------------
# - Autograd keeps the numbers that the backward pass needs. They grow with the
#   batch. For LeNet and 200 images they take over 30 times as much memory as
#   the weights.
# - ``backward`` frees them, unless you say ``retain_graph=True``.
# - What holds the end of a graph holds all of it: collect ``loss.item()``, not
#   ``loss``.
# - Under ``no_grad``, nothing is kept.
#
# Exercises
# ---------
# 1. **Predict.** ``a`` and ``b`` have three numbers each and require a
#    gradient. How many bytes do ``a + b``, ``a * b`` and ``a.sum()`` keep?
# 2. **Change.** A loss that jumps is often smoothed: ``smooth = 0.9 * smooth +
#    0.1 * loss``. Start with ``smooth = torch.tensor(0.0)``, and take ``loss =
#    (a**2).sum()`` with ``a`` from exercise 1. Call ``smooth.backward()`` in
#    each of two steps. Read the error, and find the right fix.
# 3. **Extend.** Collect the *scores* of LeNet for ten batches of 100 test
#    images in a list, once as they are and once with ``detach()``. Leave the
#    images and the weights out of the count. How much is kept in each case?

# %%
# .. answer:: 1
#
#    The sum of two tensors needs nothing, so 0. The slope of ``a * b`` with
#    respect to ``a`` is ``b``, and the other way round, so both are kept: 24.
#    ``a.sum()`` only has to remember a shape: 0.

a = torch.ones(3, requires_grad=True)
b = torch.ones(3, requires_grad=True)
counts = []
with SavedMemory() as saved:
    result = a + b
counts.append(saved.nbytes)
with SavedMemory() as saved:
    result = a * b
counts.append(saved.nbytes)
with SavedMemory() as saved:
    result = a.sum()
counts.append(saved.nbytes)
print(counts)

# %%
# .. check::

assert counts == [0, 24, 0], "only the product keeps something"

# %%
# .. answer:: 2
#
#    The second ``smooth`` was computed from the first one, so its graph reaches
#    back into a graph that is gone. With ``retain_graph=True`` there is no
#    error, but the graph grows from step to step, and each ``backward`` adds
#    the slopes of all earlier losses again. The old ``smooth`` is only a number
#    to remember, so ``detach`` it.

message = ""
smooth = torch.tensor(0.0)
try:
    for _ in range(2):
        loss = (a**2).sum()
        smooth = 0.9 * smooth + 0.1 * loss
        smooth.backward()
except RuntimeError as error:
    message = str(error)
print(message[:60])

smooth = torch.tensor(0.0)
for _ in range(2):
    loss = (a**2).sum()
    smooth = 0.9 * smooth.detach() + 0.1 * loss
    smooth.backward()
print(f"smooth: {smooth.item():.2f}")

# %%
# .. check::

assert "a second time" in message, "the old graph is gone"
assert abs(smooth.item() - 0.57) < 1e-6, "0.9 · 0.3 + 0.3"

# %%
# .. answer:: 3
#
#    As they are, the scores keep all ten graphs. With ``detach()``, they keep
#    none, because the graph goes with the last name that holds it.

existing = [test.x]
existing.extend(model.parameters())
kept_by = {}
for detached in (False, True):
    collected = []
    saved = SavedMemory(exclude=existing)
    for i in range(0, 1000, 100):
        with saved:
            scores = model(test.x[i : i + 100])
        if detached:
            scores = scores.detach()
        collected.append(scores)
    kept_by[detached] = saved.nbytes / 1e6
    print(f"detached {detached}: {kept_by[detached]:.1f} MB")

# %%
# .. check::

assert 44 < kept_by[False] < 46, "ten graphs"
assert kept_by[True] == 0, "no graph"
