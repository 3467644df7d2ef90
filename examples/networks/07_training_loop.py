"""
The training loop
=================

What are the steps of training, and what does each of them do for me?

Every training script has the same few lines at its heart. Leave one out, and there is seldom an
error: the numbers go wrong, quietly. So here they go missing, one at a time, and in the end we
meet :func:`handbook.fit`. The page before is :doc:`/lessons/networks/06_transforms`.
"""

# %%
# Setup
# -----
#
# ``device`` is the :term:`accelerator`, of whatever make, or else the CPU. All code fits both.

import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from handbook import Batches, classification_step, datasets, fit, plots

torch.manual_seed(0)
device = torch.accelerator.current_accelerator(
    check_available=True
) or torch.device("cpu")

# %%
# Data
# ----
#
# Three sets of digits. The :term:`training set` is learned from. The :term:`validation set` tells
# how it goes, and is what we choose by. The :term:`test set` is asked once, at the end.

digits, test = datasets.mnist()  # (10000, 1, 28, 28), (2000, 1, 28, 28)
train = digits.x[:8000], digits.y[:8000]
val = digits.x[8000:], digits.y[8000:]

# %%
# Model
# -----
#
# A :term:`multilayer perceptron`. Each one we make starts from the same :term:`weights <weight>`.


def new_model(dropout=0.0):
    torch.manual_seed(0)
    hidden, output = nn.Linear(784, 64), nn.Linear(64, 10)
    return nn.Sequential(
        nn.Flatten(), hidden, nn.ReLU(), nn.Dropout(dropout), output
    ).to(device)


# %%
# .. _a-new-weight-moves-nothing:
#
# One step
# --------
#
# Training repeats one :term:`step`. It takes a :term:`mini-batch`, a few images, and asks the
# model for :term:`logits`, one score for each digit. The :term:`loss <loss function>` says how
# wrong they are; ``backward`` finds how it would change with each weight, the :term:`gradient`.

x, y = (
    tensor.to(device) for tensor in next(iter(Batches(*train, batch_size=50)))
)
model = new_model()
loss = F.cross_entropy(model(x), y)
loss.backward()
print(f"loss {loss.item():.3f}, and of pure guessing {math.log(10):.3f}")
assert abs(loss.item() - math.log(10)) < 0.1

# %%
# Untrained, the model guesses: log 10 is the loss when all ten digits get the same chance. Now
# each weight has to move a little against its gradient. This is how it often gets written:

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
# One walk through the training set, in shuffled batches, is an :term:`epoch`. This is the loop:

model = new_model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
for x, y in Batches(*train, batch_size=50, shuffle=True):
    x, y = x.to(device), y.to(device)
    optimizer.zero_grad()  # forget the gradients of the step before
    loss = F.cross_entropy(model(x), y)  # how wrong are we?
    loss.backward()  # which way is better?
    optimizer.step()  # go a little that way
print(f"loss of the last batch {loss.item():.3f}")

# %%
# Which of these lines can go? The same loop once more, with a line that may be missing:


def one_epoch(missing="nothing", lr=0.3, batch_size=50, data=train):
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    curve = []
    for x, y in Batches(
        *data, batch_size=batch_size, shuffle=missing != "shuffle"
    ):
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
# .. alt:: Training loss, four times. Nothing missing: it falls to about 0.4. Gradients kept: it
#    swings around 2.3. No step: flat at 2.3. No shuffling: it jumps up with each new digit.

order = train[1].argsort(stable=True)
in_order = train[0][order], train[1][order]
models, curves, end = {}, {}, {}
fig, axes = plt.subplots(
    2, 2, figsize=(7, 4.6), sharex=True, sharey=True, layout="constrained"
)
for ax, missing in zip(
    axes.flat, ("nothing", "zero_grad", "step", "shuffle"), strict=True
):
    data = in_order if missing == "shuffle" else train
    models[missing], curves[missing] = one_epoch(missing, data=data)
    ax.plot(curves[missing], color="C0" if missing == "nothing" else "C1")
    ax.axhline(math.log(10), color="gray", linestyle=":")
    ax.set(title=f"missing: {missing}", ylim=(0, 7.5))
    end[missing] = sum(curves[missing][-10:]) / 10
    print(
        f"missing: {missing:9}  mean loss of the last ten steps {end[missing]:.2f}"
    )
fig.supxlabel("step")
fig.supylabel("training loss (dotted: guessing)")
assert (
    end["zero_grad"] > 1.5
    and end["step"] > 2.2
    and end["shuffle"] < 0.2 < end["nothing"] < 0.8
)
assert one_epoch("backward")[1] == curves["step"]

# %%
# Not one of them raised an error. Without ``zero_grad`` the gradients of all steps pile up, and
# the weights are thrown to and fro. Without ``step``, or without ``backward``, they stay where
# they are. And without shuffling the last losses are the lowest of all: is that the best model?
#
# Evaluation
# ----------
#
# The loss on training images cannot tell, so we ask images that were not trained on. No
# ``backward`` will follow, and under :class:`torch.no_grad` nothing is recorded for it.


def score(model, data):
    loss = right = 0.0
    with torch.no_grad():
        for x, y in Batches(*data, batch_size=1000):
            x, y = x.to(device), y.to(device)
            logits = model(x)
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            right += (logits.argmax(1) == y).sum().item()
    return loss / len(data[0]), right / len(data[0])


complete, in_sorted_order = (
    score(models[name], val)[1] for name in ("nothing", "shuffle")
)
print(
    f"validation accuracy: shuffled {complete:.1%}, sorted {in_sorted_order:.1%}"
)
assert complete > 0.8 and in_sorted_order < 0.2

# %%
# The lowest loss belongs to the worst model: it ended on nothing but nines, and forgot the rest.
#
# Now the whole of it: several epochs, and after each a look at the validation set, between
# ``model.eval()`` and ``model.train()``. These two compute nothing. They tell layers such as
# :term:`dropout`, which must work in training only, what is going on.


def train_by_hand(model, data, val, lr, epochs, batch_size=50):
    batches = Batches(*data, batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    history = []
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for x, y in batches:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        model.eval()
        val_loss, val_accuracy = score(model, val)
        row = {"epoch": epoch, "loss": total / len(data[0])}
        history.append(
            row | {"val_loss": val_loss, "val_accuracy": val_accuracy}
        )
    return history


# %%
# We train it on 500 images, far too few, for 60 epochs.
#
# .. alt:: Loss over 60 epochs: on the training images it falls towards 0; on the validation
#    images it falls at first, is lowest between epochs 15 and 35, and then slowly rises again.

few = train[0][:500], train[1][:500]
model = new_model(dropout=0.5)
history = train_by_hand(model, few, val, lr=0.3, epochs=60)
figure = plots.learning_curves(history, "loss")
best = min(history, key=lambda row: row["val_loss"])
print(
    f"validation loss: lowest {best['val_loss']:.3f}, in the end {history[-1]['val_loss']:.3f}"
)
print(
    f"accuracy: training {score(model, few)[1]:.1%}, validation {score(model, val)[1]:.1%}"
)
model.train()
forgotten = [score(model, val)[1] for _ in range(2)]
print("without eval(), twice:", [f"{value:.1%}" for value in forgotten])
assert best["epoch"] < 50 and history[-1]["val_loss"] > 1.05 * best["val_loss"]
assert score(model.eval(), few)[1] > 0.98 and score(model, val)[1] < 0.92
assert (
    max(forgotten) < score(model, val)[1] - 0.02
    and forgotten[0] != forgotten[1]
)

# %%
# Asked about its own training images, the model looks perfect: it knows them by heart. Only the
# validation curve shows this :term:`overfitting`, and when to stop. And without ``eval()``, dropout
# goes on switching off half of the hidden layer: each measurement differs, and is too low.
#
# Learning rate and batch size
# ----------------------------
#
# The :term:`learning rate` says how far a step goes; the :term:`batch size`, how many images
# decide on it, and so how many steps there are in an epoch. We try three of each.
#
# .. alt:: Training loss against the images seen in one epoch. Left, learning rates: 0.003 hardly
#    falls, 0.3 falls to about 0.4, 3 jumps up and down and stays at guessing. Right, batch sizes:
#    the loss falls fastest with 10, more slowly with 50, and hardly at all with 1,000.

fig, axes = plt.subplots(
    1, 2, figsize=(8, 3.6), sharey=True, layout="constrained"
)
rates = [(3.0, 50, ":"), (0.3, 50, "-"), (0.003, 50, "--")]
sizes = [(0.1, 10, ":"), (0.1, 50, "-"), (0.1, 1000, "--")]
reached = {}
for ax, settings in zip(axes, (rates, sizes), strict=True):
    for lr, size, style in settings:
        model, curve = one_epoch(lr=lr, batch_size=size)
        ax.plot(
            range(0, 8000, size),
            curve,
            style,
            label=f"rate {lr}, batches of {size}",
        )
        reached[lr, size] = score(model, val)[1]
        print(
            f"rate {lr:5}, batches of {size:4}: validation accuracy {reached[lr, size]:.1%}"
        )
    ax.set(xlabel="images seen", ylabel="training loss", ylim=(0, 4))
    ax.legend(loc="upper right", fontsize="small")
assert (
    max(reached[0.003, 50], reached[3.0, 50]) < 0.6 and reached[0.3, 50] > 0.8
)
assert reached[0.1, 1000] < 0.7 < 0.8 < min(reached[0.1, 50], reached[0.1, 10])

# %%
# Too small a step gets nowhere in time; too large a step overshoots, and destroys what was there.
# And a hundred rough steps of ten images lead further than one careful step of a thousand.
#
# A closer look
# -------------
#
# You will not type all this for every model. :func:`handbook.fit` is this loop in a function, and
# :func:`handbook.classification_step` the line that computes the loss. Is it really the same?

by_hand = new_model(dropout=0.5)
rows = train_by_hand(by_hand, train, val, lr=0.3, epochs=3)

packaged = new_model(dropout=0.5)
batches = Batches(*train, batch_size=50, shuffle=True)
optimizer = torch.optim.SGD(packaged.parameters(), lr=0.3)
history = fit(
    packaged, batches, classification_step, optimizer=optimizer, epochs=3
)

pairs = list(zip(by_hand.parameters(), packaged.parameters(), strict=True))
same = all(torch.equal(a, b) for a, b in pairs)
accuracy = score(packaged.eval(), test)[1]
print(f"same weights, bit for bit: {same}; test accuracy {accuracy:.1%}")
assert same and accuracy > 0.88
assert math.isclose(rows[-1]["loss"], history[-1]["loss"], rel_tol=1e-9)

# %%
# Every bit of every weight; and as all choices are made, the test images were asked, once. What
# ``fit`` adds stands around the loop: checkpoints, several processes, and no ``loss.item()`` in
# each step, which makes the CPU wait for the accelerator.
#
# What you learned
# ----------------
#
# - Repeat four lines for each batch: ``zero_grad``, the loss, ``backward``, ``step``.
# - Shuffle the training data, and never judge a model by the loss on it.
# - Evaluate on validation data, with ``eval()`` and ``no_grad()``; keep the test set for last.
# - Try the learning rate first of all: too small stands still, too large destroys.
# - Use ``fit`` when you know what is in it.
#
# Exercises
# ---------
#
# 1. **Predict.** Older notes call the learning rate the number of weights that are updated. With
#    0.1 and then 0.2, how many weights does one step move, and how far?
# 2. **Change.** Train for two epochs with batches of 50 and learning rate 0.1, then with batches
#    of 200. Which change of the learning rate makes up for it?
# 3. **Extend.** Your memory holds no more than 50 images at a time, but you want the steps of a
#    batch of 200. Write the loop, and show that the weights come out the same but for rounding.
#
# What was learned should outlive the program: :doc:`/lessons/networks/08_save_load`.

# %%
# .. answer:: 1
#
#    All whose gradient is not zero, both times, and with 0.2 twice as far. (A pixel without
#    ink in the whole batch gives its weights a gradient of zero.)

moved, distance = {}, {}
for lr in (0.1, 0.2):
    model = new_model()
    before = nn.utils.parameters_to_vector(model.parameters())
    F.cross_entropy(model(x), y).backward()
    moved[lr] = sum(
        (weight.grad != 0).sum().item() for weight in model.parameters()
    )
    torch.optim.SGD(model.parameters(), lr=lr).step()
    distance[lr] = (
        (nn.utils.parameters_to_vector(model.parameters()) - before)
        .norm()
        .item()
    )
    print(
        f"learning rate {lr}: weights that move {moved[lr]}, distance {distance[lr]:.4f}"
    )
assert moved[0.1] == moved[0.2] and math.isclose(
    distance[0.2], 2 * distance[0.1], rel_tol=1e-3
)

# %%
# .. answer:: 2
#
#    A quarter as many steps, so each must be about four times as long.

reached = {}
for size, lr in ((50, 0.1), (200, 0.1), (200, 0.4)):
    row = train_by_hand(
        new_model(), train, val, lr=lr, epochs=2, batch_size=size
    )[-1]
    reached[size, lr] = row["val_loss"]
    print(
        f"batch size {size:3}, learning rate {lr}: validation loss {row['val_loss']:.3f}"
    )
assert (
    reached[200, 0.1] > 1.4 * reached[50, 0.1]
    and reached[200, 0.4] < 1.2 * reached[50, 0.1]
)

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
print(f"largest difference of a weight {difference:.0e}")
assert difference < 1e-4
