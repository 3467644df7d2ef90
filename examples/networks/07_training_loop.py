"""
The training loop
=================

What are the steps of training, and what does each of them do for me?

Every training script has the same few lines at its heart. Leave one out and there is seldom an
error: the numbers go wrong, quietly. So we build the loop line by line, let each line be missing
once, and find in the end that :func:`handbook.fit` does exactly the same.

The page before is :doc:`/lessons/autograd/04_custom_function`.
"""

# %%
# Setup
# -----
#
# ``device`` is the :term:`accelerator` if there is one, of whatever make, and else the CPU.
# Nothing below depends on which.

import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from handbook import Batches, classify, datasets, fit, plots

torch.manual_seed(0)
device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")

# %%
# Data
# ----
#
# Three sets of digits, for three purposes. The :term:`training set` is learnt from. The
# :term:`validation set` tells how it is going, and whatever you choose, you choose by it. The
# :term:`test set` is looked at once, at the end.

digits, test = datasets.mnist()
train = digits.x[:8000], digits.y[:8000]
val = digits.x[8000:], digits.y[8000:]
print("train:", len(train[0]), " validation:", len(val[0]), " test:", len(test.x))
assert len(train[0]) == 8000 and len(val[0]) == len(test.x) == 2000

# %%
# Model
# -----
#
# A :term:`multilayer perceptron`. The seed makes all the copies that we need start from the same
# :term:`weights <weight>`.


def new_model(dropout=0.0):
    torch.manual_seed(0)
    hidden, output = nn.Linear(784, 64), nn.Linear(64, 10)
    return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Dropout(dropout), output).to(device)


# %%
# One step
# --------
#
# Training repeats one :term:`step`. It takes a :term:`mini-batch` and asks the model for
# :term:`logits`, one score for each class. The :term:`loss <loss function>` says how wrong they
# are, and ``backward`` in which direction each weight should move.

x, y = (tensor.to(device) for tensor in next(iter(Batches(*train, batch_size=50))))
model = new_model()
logits = model(x)  # (50, 10)
loss = F.cross_entropy(logits, y)
loss.backward()
print(f"loss {loss.item():.3f}, and of pure guessing {math.log(10):.3f}")
assert abs(loss.item() - math.log(10)) < 0.1

# %%
# Untrained, the model guesses: log 10 is the loss of ten equal chances. Now to move each weight a
# little against its gradient. This is how it often gets written:

for weight in model.parameters():
    weight = weight - 0.3 * weight.grad
unmoved = F.cross_entropy(model(x), y).item()
print(f"loss {unmoved:.3f}")
assert unmoved == loss.item()

# %%
# Nothing happened. The line makes a *new* tensor and calls it ``weight``; the model still holds
# the old one. The weight itself must change, by an :term:`in-place operation`, and autograd must
# not record that.

with torch.no_grad():
    for weight in model.parameters():
        weight -= 0.3 * weight.grad
moved = F.cross_entropy(model(x), y).item()
print(f"loss {moved:.3f}")
assert moved < loss.item() - 0.05

# %%
# These three lines are an :term:`optimizer`. :class:`torch.optim.SGD` is the same thing with more
# options, and so ``optimizer.step()`` will stand for them from now on.
#
# Training
# --------
#
# One walk through the training set, batch by batch, in shuffled order, is an :term:`epoch`. This
# is the loop:

model = new_model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
for x, y in Batches(*train, batch_size=50, shuffle=True):
    x, y = x.to(device), y.to(device)
    optimizer.zero_grad()  # forget the gradients of the step before
    loss = F.cross_entropy(model(x), y)  # how wrong are we?
    loss.backward()  # which way is better?
    optimizer.step()  # go a little that way
print(f"loss of the last batch {loss.item():.3f}")
assert loss.item() < 0.9

# %%
# Which of these lines can go? The same loop once more, with a line that may be missing:


def one_epoch(missing="nothing", lr=0.3, data=train):
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    curve = []
    for x, y in Batches(*data, batch_size=50, shuffle=missing != "shuffle"):
        x, y = x.to(device), y.to(device)
        if missing != "zero_grad":
            optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        if missing != "backward":
            loss.backward()
        if missing != "step":
            optimizer.step()
        curve.append(loss.item())
    return model, curve


# %%
# Where we do not shuffle, the images come sorted by their digit, as files in folders often do.
#
# .. alt:: Training loss over one epoch, in four panels. Nothing missing: it falls to about 0.4.
#    Without zero_grad: it swings up and down around 2.3. Without step: flat at 2.3. Without
#    shuffling: it jumps up whenever a new digit begins, and then falls to almost 0.

order = train[1].argsort(stable=True)
in_order = train[0][order], train[1][order]
models, curves, end = {}, {}, {}
for missing in ("nothing", "zero_grad", "backward", "step", "shuffle"):
    data = in_order if missing == "shuffle" else train
    models[missing], curves[missing] = one_epoch(missing, data=data)
    end[missing] = sum(curves[missing][-10:]) / 10
    print(f"missing: {missing:9}  mean loss of the last ten steps {end[missing]:.2f}")
fig, axes = plt.subplots(2, 2, figsize=(7, 4.6), sharex=True, sharey=True, layout="constrained")
for ax, missing in zip(axes.flat, ("nothing", "zero_grad", "step", "shuffle"), strict=True):
    ax.plot(curves[missing], color="C0" if missing == "nothing" else "C1")
    ax.axhline(math.log(10), color="gray", linestyle=":")
    ax.set(title=f"missing: {missing}", ylim=(0, 7.5))
fig.supxlabel("step")
fig.supylabel("training loss (dotted: guessing)")
assert curves["step"] == curves["backward"] and end["step"] > 2.2 and end["zero_grad"] > 1.5
assert end["shuffle"] < 0.2 < end["nothing"] < 0.8

# %%
# Not one of them raised an error. Without ``zero_grad`` the gradients of all steps pile up, and
# the weights are thrown to and fro. Without ``backward`` or ``step`` they stay where they are;
# the loss changes only with the batch. And without shuffling the last losses are the lowest of
# all. Is that the best model, then?
#
# Evaluation
# ----------
#
# The loss on training images cannot tell, so we ask images that were not trained on. No
# ``backward`` will follow: under :class:`torch.no_grad` nothing is recorded for it.


def score(model, data):
    loss = right = 0.0
    with torch.no_grad():
        for x, y in Batches(*data, batch_size=1000):
            x, y = x.to(device), y.to(device)
            logits = model(x)
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            right += (logits.argmax(1) == y).sum().item()
    return loss / len(data[0]), right / len(data[0])


accuracy = {missing: score(models[missing], val)[1] for missing in ("nothing", "shuffle")}
for missing, value in accuracy.items():
    print(f"missing: {missing:9}  validation accuracy {value:.1%}")
assert accuracy["nothing"] > 0.8 and accuracy["shuffle"] < 0.2

# %%
# The sorted one saw nothing but nines in the end, and now takes one digit in ten for what it is.
#
# Now the whole of it: several epochs, and after each a look at the validation set. Around that
# look stand ``model.eval()`` and ``model.train()``. They compute nothing; they tell layers such
# as :term:`dropout`, which is for training only, what is going on.


def train_by_hand(model, batches, val, lr, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    history = []
    for epoch in range(1, epochs + 1):
        model.train()
        total = count = 0
        for x, y in batches:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total, count = total + loss.item() * len(x), count + len(x)
        model.eval()
        val_loss, val_accuracy = score(model, val)
        row = {"epoch": epoch, "loss": total / count}
        history.append(row | {"val_loss": val_loss, "val_accuracy": val_accuracy})
    return history


# %%
# We train it on 500 images, far too few, for 60 epochs.
#
# .. alt:: Loss over 60 epochs: on the training images it falls towards 0; on the validation
#    images it falls at first, is lowest near epoch 20, and then slowly rises again.

few = train[0][:500], train[1][:500]
model = new_model(dropout=0.5)
history = train_by_hand(model, Batches(*few, batch_size=50, shuffle=True), val, lr=0.3, epochs=60)
figure = plots.curves(history, "loss")
best = min(history, key=lambda row: row["val_loss"])
print(f"validation loss: lowest {best['val_loss']:.3f}, in the end {history[-1]['val_loss']:.3f}")
print(f"accuracy: training {score(model, few)[1]:.1%}, validation {score(model, val)[1]:.1%}")
model.train()
forgotten = [score(model, val)[1] for _ in range(2)]
print("without eval(), twice:", [f"{value:.1%}" for value in forgotten])
assert best["epoch"] < 50 and history[-1]["val_loss"] > 1.05 * best["val_loss"]
assert score(model.eval(), few)[1] > 0.98 and score(model, val)[1] < 0.92
assert max(forgotten) < score(model, val)[1] - 0.02 and forgotten[0] != forgotten[1]

# %%
# Asked about its own training images, the model looks perfect: it knows them by heart. That is
# :term:`overfitting`, and only the validation curve shows it: stop where that is lowest. And
# without ``eval()`` half of the hidden layer is dropped: each measurement comes out different,
# and too low.
#
# Learning rate and batch size
# ----------------------------
#
# The :term:`learning rate` is not how many weights get updated, as older notes say. It is how far
# they go:

moved, distance = {}, {}
for lr in (0.1, 0.2):
    model = new_model()
    before = nn.utils.parameters_to_vector(model.parameters())
    F.cross_entropy(model(x), y).backward()
    moved[lr] = sum((weight.grad != 0).sum().item() for weight in model.parameters())
    torch.optim.SGD(model.parameters(), lr=lr).step()
    distance[lr] = (nn.utils.parameters_to_vector(model.parameters()) - before).norm().item()
    print(f"learning rate {lr}: weights to move {moved[lr]}, distance {distance[lr]:.4f}")
assert moved[0.1] == moved[0.2] and math.isclose(distance[0.2], 2 * distance[0.1], rel_tol=1e-3)

# %%
# How far should they go? We try three learning rates for an epoch.
#
# .. alt:: The loss over one epoch with three learning rates: 0.003 hardly falls, 0.3 falls to
#    about 0.4, 3 jumps up and down and stays at guessing.

final = {}
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for lr, style in ((0.003, "--"), (0.3, "-"), (3.0, "-.")):
    model, curve = one_epoch(lr=lr)
    ax.plot(curve, style, label=f"learning rate {lr}")
    final[lr] = score(model, val)[1]
    print(f"learning rate {lr:5}: validation accuracy {final[lr]:.1%}")
ax.axhline(math.log(10), color="gray", linestyle=":", label="guessing")
ax.set(xlabel="step", ylabel="training loss", ylim=(0, 4))
ax.legend(loc="upper right")
assert final[0.3] > 0.8 and max(final[0.003], final[3.0]) < 0.6

# %%
# Too small a step gets nowhere in time; too large a step overshoots, and destroys what was there.
#
# And how many images should decide on a step? We measure how far the gradient of a batch is off
# from that of all 8,000 images, in units of its own length.
#
# .. alt:: The relative error of the gradient against the batch size, on logarithmic axes: a
#    straight line downwards from 5 at 4 images to 0.3 at 1,024, parallel to one over the root.


def gradient(x, y):
    loss = F.cross_entropy(model(x.to(device)), y.to(device))
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


model = new_model()
exact = gradient(*train)
off = {}
for size in (4, 16, 64, 256, 1024):
    picks = torch.randint(8000, (20, size))
    errors = [(gradient(train[0][pick], train[1][pick]) - exact).norm() for pick in picks]
    off[size] = (torch.stack(errors).square().mean().sqrt() / exact.norm()).item()
print({size: round(error, 2) for size, error in off.items()})
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
ax.loglog(off.keys(), off.values(), "o-", label="measured")
ax.loglog(off.keys(), [10 / size**0.5 for size in off], "--", color="gray", label="10 / √size")
ax.set(xlabel="batch size (images)", ylabel="relative error of the gradient")
ax.set(xticks=list(off), xticklabels=off, yticks=[0.3, 1, 3], yticklabels=[0.3, 1, 3])
ax.minorticks_off()
ax.legend()
assert 0.4 < math.log(off[4] / off[1024]) / math.log(256) < 0.6

# %%
# Four times as many images make the gradient only twice as exact. So for the same number of
# images, many rough steps lead further than a few exact ones; a larger batch pays when your
# device computes it in the same time.
#
# A closer look
# -------------
#
# You will not want to type the loop for every model. :func:`handbook.fit` is this loop in a
# function, with :func:`handbook.classify` for the line that computes the loss. Same seed, same
# batches: is it really the same?

by_hand = new_model(dropout=0.5)
rows = train_by_hand(by_hand, Batches(*train, batch_size=50, shuffle=True), val, lr=0.3, epochs=3)

packaged = new_model(dropout=0.5)
history = fit(
    packaged,
    Batches(*train, batch_size=50, shuffle=True),
    classify,
    optimizer=torch.optim.SGD(packaged.parameters(), lr=0.3),
    val=Batches(*val, batch_size=1000),
    epochs=3,
)
pairs = list(zip(by_hand.parameters(), packaged.parameters(), strict=True))
print("same weights, bit for bit:", all(torch.equal(a, b) for a, b in pairs))
for row, other in zip(rows, history, strict=True):
    print(f"epoch {row['epoch']}: by hand {row['val_loss']:.6f}, fit {other['val_loss']:.6f}")
    assert math.isclose(row["val_loss"], other["val_loss"], rel_tol=1e-5)
    assert math.isclose(row["loss"], other["loss"], rel_tol=1e-9)
assert all(torch.equal(a, b) for a, b in pairs)

# %%
# Every bit of every weight. What ``fit`` adds stands around the loop: checkpoints, several
# processes, and no waiting for the device at each step, which ``loss.item()`` costs here.
#
# All choices are made. Only now do we look at the test images, once:

packaged.eval()
accuracy = score(packaged, test)[1]
print(f"test accuracy {accuracy:.1%}")
assert accuracy > 0.88

# %%
# What you learnt
# ---------------
#
# - Repeat four lines for each batch: ``zero_grad``, the loss, ``backward``, ``step``.
# - Shuffle the training data, and never judge a model by the loss on it.
# - Evaluate on validation data, under ``eval()`` and ``no_grad()``; keep the test set for the
#   end.
# - Look for the learning rate first: too small stands still, too large destroys.
# - Use ``fit`` when you know what is in it.
#
# Exercises
# ---------
#
# 1. **Predict.** Somebody moves ``optimizer.zero_grad()`` between ``backward`` and ``step``. What
#    does the model learn in an epoch?
# 2. **Change.** Train for two epochs with 50 images in a batch and learning rate 0.1, then with
#    200 images. What brings the validation loss back?
# 3. **Extend.** Your memory is enough for 50 images, but you want the step of a batch of 200.
#    Write the loop, and show that the weights come out the same.

# %%
# .. answer:: 1
#
#    Nothing. The gradients are gone before ``step`` could use them, and no weight moves.

model = new_model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
for x, y in Batches(*train, batch_size=50, shuffle=True):
    F.cross_entropy(model(x.to(device)), y.to(device)).backward()
    optimizer.zero_grad()
    optimizer.step()
pairs = zip(model.parameters(), new_model().parameters(), strict=True)
assert all(torch.equal(a, b) for a, b in pairs)

# %%
# .. answer:: 2
#
#    A quarter as many steps, so each must be about four times as long.

reached = {}
for size, lr in ((50, 0.1), (200, 0.1), (200, 0.4)):
    batches = Batches(*train, batch_size=size, shuffle=True)
    row = train_by_hand(new_model(), batches, val, lr=lr, epochs=2)[-1]
    reached[size, lr] = row["val_loss"]
    print(f"batch size {size:3}, learning rate {lr}: validation loss {row['val_loss']:.3f}")
assert reached[200, 0.1] > 1.4 * reached[50, 0.1] and reached[200, 0.4] < 1.2 * reached[50, 0.1]

# %%
# .. answer:: 3
#
#    Gradients that pile up are a mistake when you forget them, and a tool when you want them. The
#    loss is a mean, so each part counts a quarter.

big, parts = new_model(), new_model()
for model, pieces in ((big, 1), (parts, 4)):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for x, y in Batches(*train, batch_size=200):
        optimizer.zero_grad()
        for xs, ys in zip(x.chunk(pieces), y.chunk(pieces), strict=True):
            loss = F.cross_entropy(model(xs.to(device)), ys.to(device)) / pieces
            loss.backward()
        optimizer.step()
pairs = list(zip(big.parameters(), parts.parameters(), strict=True))
difference = max((a - b).abs().max().item() for a, b in pairs)
print(f"largest difference of a weight {difference:.6f}")
assert difference < 1e-4

# %%
# Next
# ----
#
# With the loop in hand, how far can a small network get? :doc:`/lessons/practice/02_mnist`.
