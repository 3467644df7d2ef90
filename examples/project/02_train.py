"""
Project: training and its checks
================================

The loss falls, but has the network learned to read?

A program that trains a network rarely stops with an error when something in it
is wrong. It trains a worse network, or learns something else than we wanted. So
before the real training of our digit reader, we run three checks that take
seconds. Afterwards we compare with the best baseline, and then we kill a
training run in the middle.

After this lesson you can

- check the loss at the start, with ten images, and with blank images
- judge a training run by its curve over several seeds, beside a baseline
- resume a training run that was killed
"""

# %%
# Setup
# -----

import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import cross_entropy

from digit_reader.data import check_files, find_suspects, read_sets
from digit_reader.raw import write_raw_files
from handbook import Batches, classification_step, fit, load_checkpoint, models

torch.manual_seed(0)
temporary = tempfile.TemporaryDirectory()  # removed at the end

# %%
# As in :doc:`/lessons/project/01_frame`, we write the raw files into a
# temporary folder.

folder = Path(temporary.name) / "scans"
planted = write_raw_files(folder)

# %%
# ``load`` puts the functions of the first lesson together. The suspects are
# still in their sets (exercise 2 leaves them out).


def load(folder):
    return read_sets(folder, check_files(folder))


sets = load(folder)
x, y = sets["train"]
val_x, val_y = sets["val"]
print(f"training {len(y)}, validation {len(val_y)}")

# %%
# Check 1: the loss at the start
# ------------------------------
# What should the loss be before any training? A network that knows nothing
# gives each of the ten digits the same :term:`logit <logits>`, so each has the
# probability 1/10. The :term:`cross-entropy` is then −ln(1/10) = ln 10,
# whatever the digit is.
#
# Our network is LeNet, the CNN of :doc:`/lessons/architectures/05_cnn`. Its
# first weights are random but small, so it should begin close to ln 10. To see
# what the check can find, we also forget to divide the grey values by 255.

new = models.LeNet()
with torch.no_grad():
    start = cross_entropy(new(x), y).item()
    start_255 = cross_entropy(new(255 * x), y).item()
print(f"ln 10 = {math.log(10):.2f}")
print(f"ink from 0 to 1: {start:.2f}, from 0 to 255: {start_255:.2f}")

# %%
# With ink from 0 to 1, the loss is as expected. From 0 to 255 it is much
# larger: before it has seen a single label, the network is sure of some
# answers, most of them wrong. So when the loss begins far above ln 10, look at
# the scale of the inputs and of the first weights.

# %%
# .. check::

assert abs(start - math.log(10)) < 0.05, "close to ln 10"
assert start_255 > start + 2, "much larger"

# %%
# Check 2: ten images
# -------------------
# A network with 61,706 parameters can memorize ten images. If its loss on these
# ten does not go to 0, then something is broken: the loss, the gradient, the
# optimizer, or its learning rate. ``learn_ten`` trains on the same ten images
# for 100 steps, and returns the losses. ``step`` computes the loss.


def learn_ten(step, scale=1):
    torch.manual_seed(0)
    model = models.LeNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(100):
        loss, _ = step(model, scale * x[:10], y[:10])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
# We try it with :func:`handbook.classification_step`, and with a function that
# contains a well-known mistake. ``cross_entropy`` wants logits, because it
# computes the :term:`softmax` itself. Here the softmax is computed twice. The
# third run forgets the division by 255.


def softmax_twice(model, x, y):
    probabilities = model(x).softmax(dim=1)
    return cross_entropy(probabilities, y), {}


right_step = learn_ten(classification_step)
wrong_step = learn_ten(softmax_twice)
undivided = learn_ten(classification_step, scale=255)
for i in [0, 20, 99]:
    print(f"step {i}: {right_step[i]:.3f}, twice: {wrong_step[i]:.3f}", end="")
    print(f", undivided: {undivided[i]:.3f}")

# %%
# The right one brings the loss to 0. The wrong one never gets there. Its loss
# falls as well, so the curve alone would not look wrong, but even perfect
# answers would leave it at 1.46: the probabilities are at most 1, so in the
# second softmax the right digit gets at most :math:`e / (e + 9)`.
#
# This check does not notice the missing division by 255, because the network
# memorizes ten images without it, too.

# %%
# .. check::

assert right_step[-1] < 0.005, "to 0"
assert undivided[-1] < 0.005, "memorized, too"
assert wrong_step[-1] < wrong_step[0] - 0.2, "it falls as well"
assert min(wrong_step) > 1.46, "never below"
assert abs(-math.log(math.e / (math.e + 9)) - 1.46) < 0.005, "1.46"

# %%
# Training
# --------
# The third check needs the function that trains, so here it is. It puts
# together what earlier lessons have explained: :func:`handbook.fit` with AdamW,
# and a learning rate that falls to 0 along a cosine
# (:doc:`/lessons/networks/04_optimizers`).

EPOCHS = 8

# %%
# After each epoch, ``fit`` saves its state in the file ``checkpoint``.


def train(sets, checkpoint=None, seed=0, epochs=EPOCHS):
    torch.manual_seed(seed)
    model = models.LeNet()
    batches = Batches(*sets["train"], batch_size=64, shuffle=True, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=epochs * len(batches)
    )
    val = Batches(*sets["val"], batch_size=1000)
    history = fit(
        model, batches, classification_step, optimizer=optimizer,
        scheduler=scheduler, scheduler_interval="batch", val=val,
        epochs=epochs, checkpoint=checkpoint, progress=False,
    )  # fmt: skip
    return model, history


# %%
# Check 3: blank images
# ---------------------
# Does the network use the images at all? We blank them ourselves, and keep the
# labels. Now it can learn how frequent each digit is, and nothing else. If *p*
# is the share of a digit in the training set, the lowest possible training loss
# is the *entropy* −Σ *p* ln *p*.
#
# With ten equally frequent digits this is ln 10. Usually some classes are more
# frequent, so we keep every 0, and every tenth of the other digits, as in a box
# that is often left at 0.

often = (y == 0) | (torch.arange(len(y)) % 10 == 0)
val_often = (val_y == 0) | (torch.arange(len(val_y)) % 10 == 0)
box = {
    "train": (x[often], y[often]),
    "val": (val_x[val_often], val_y[val_often]),
}
blank_box = {
    "train": (torch.zeros_like(x[often]), y[often]),
    "val": (torch.zeros_like(val_x[val_often]), val_y[val_often]),
}
share = y[often].bincount() / often.sum()
entropy = -(share * share.log()).sum().item()
print(f"entropy {entropy:.2f}, most frequent {share.max():.0%}")

# %%
# First with the blank images, then with the real ones:

_, blank_history = train(blank_box)
for i in [0, 1, 7]:
    row = blank_history[i]
    print(f"epoch {i + 1}: loss {row['loss']:.2f}", end=", ")
    print(f"right {row['val_accuracy']:.0%}")

_, real_history = train(box)
for name, history in {"blank": blank_history, "real": real_history}.items():
    last = history[-1]
    print(f"{name}: val_loss {last['val_loss']:.2f}", end=", ")
    print(f"right {last['val_accuracy']:.0%}")

# %%
# With blank images the loss falls as well, and half of the answers are right,
# five times as many as by guessing among ten digits. It looks like learning,
# but the network has learned only that 0 is frequent. Its training loss stops
# at the entropy (on the validation set, with other shares, it is a little
# higher), and its accuracy near the share of the most frequent digit. A network
# that beats neither the entropy nor this share shows no sign of using the
# images. With the real images it is better than both, so it does see them.

# %%
# .. check::

assert abs(entropy - 1.75) < 0.01, "the entropy"
assert blank_history[0]["loss"] > blank_history[-1]["loss"] + 0.1, "it falls"
assert abs(blank_history[-1]["loss"] - entropy) < 0.05, "to the entropy"
assert abs(blank_history[-1]["val_accuracy"] - 0.5) < 0.03, "half are right"
assert real_history[-1]["val_loss"] < entropy - 0.5, "far lower"
assert real_history[-1]["val_accuracy"] > share.max() + 0.08, "more right"

# %%
# The real training
# -----------------
# Now we train on all the digits, with three seeds. Beside the networks stands
# the best baseline of the first lesson, the nearest image.

networks = []
histories = []
for seed in range(3):
    model, history = train(sets, seed=seed)
    networks.append(model)
    histories.append(history)
    last = history[-1]
    print(f"loss {last['val_loss']:.2f}, right {last['val_accuracy']:.1%}")

nearest = torch.cdist(val_x.flatten(1), x.flatten(1)).argmin(dim=1)
nearest_right = (y[nearest] == val_y).float()
print(f"nearest image {nearest_right.mean():.1%}")

# %%
# .. alt:: Accuracy on the validation set after each of eight epochs, for three
#    seeds. All three curves begin between 80% and 90%, pass the dashed line of
#    the nearest image at 91% by the second epoch, and level off near 96%.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
for seed, history in enumerate(histories):
    curve = [100 * row["val_accuracy"] for row in history]
    axis.plot(range(1, EPOCHS + 1), curve, "o-", ms=4, label=f"seed {seed}")
axis.axhline(100 * nearest_right.mean().item(), color="black", ls="--")
axis.text(EPOCHS, 100 * nearest_right.mean() + 0.3, "nearest image", ha="right")
axis.set(xlabel="epoch", ylabel="right, validation (%)")
axis.legend(loc="lower right", ncols=3)

# %%
# The three curves agree, and about 96% are read correctly. A learning rate that
# falls to 0 flattens the curve whatever the number of epochs, so this does not
# show that eight are enough.
#
# Is the lead over the nearest image more than luck with these images? The first
# network and the nearest image answered the same ones, so we look at the
# differences, as in :doc:`/lessons/practice/04_mistakes`.

network = networks[0].cpu().eval()  # fit uses a GPU if there is one
with torch.no_grad():
    network_right = (network(val_x).argmax(dim=1) == val_y).float()
difference = network_right - nearest_right  # −1, 0 or 1
error = difference.std() / len(difference) ** 0.5
print(f"{100 * difference.mean():.1f} ± {100 * error:.1f} points")

# %%
# The difference is many times its :term:`standard error`. The network wins, but
# it is not yet good enough: the office wanted at most one wrong in a hundred of
# the answers given. The next lesson lets it leave the hard digits to a person.

# %%
# .. check::

assert all(
    abs(history[-1]["val_accuracy"] - 0.96) < 0.012 for history in histories
), "the curves agree on about 96%"
assert all(
    history[1]["val_accuracy"] > nearest_right.mean() for history in histories
), "above the nearest image by the second epoch"
assert difference.mean() > 4 * error, "many times its standard error"

# %%
# Killed in the middle
# --------------------
# A long training run may be interrupted, for example by a power cut. The module
# ``digit_reader/training.py`` ends like this, so that it can be run as a
# program with the names of a folder and of a :term:`checkpoint` file:
#
# .. code-block:: python
#
#    if __name__ == "__main__":
#        scans, checkpoint = sys.argv[1:]
#        _, history = train(load(scans), Path(checkpoint))
#        print(f"epoch {len(history)}, val_loss {history[-1]['val_loss']:.4f}")
#
# We start it as a process of its own, with fewer scans to be quick. As soon as
# the file of the first epoch is there, we kill the process. It cannot prevent
# that, and has no time to save anything.

few = Path(temporary.name) / "few"
write_raw_files(few, count=1000)
state = Path(temporary.name) / "killed.pt"
command = [sys.executable, "-m", "digit_reader.training", str(few), str(state)]

process = subprocess.Popen(command)
while not state.exists() and process.poll() is None:
    time.sleep(0.01)
process.kill()
process.wait()
done = load_checkpoint(state, models.LeNet())
print("killed before the end:", len(done) < EPOCHS)

# %%
# It printed nothing, because it did not get that far. Usually only the first of
# the eight epochs is done by then. Now ``train`` does the rest from the same
# file, and beside it we train without an interruption:

few_sets = load(few)
resumed, resumed_history = train(few_sets, state)
whole, whole_history = train(few_sets)
print(f"resumed: val_loss {resumed_history[-1]['val_loss']:.4f}")
print(f"never killed: val_loss {whole_history[-1]['val_loss']:.4f}")

weights = resumed.state_dict()
same = all(
    torch.equal(tensor, weights[name])
    for name, tensor in whole.state_dict().items()
)
print("weights equal, bit for bit:", same)

# %%
# On the same machine and with the same settings, all weights are equal, bit for
# bit (on a GPU this is not promised). It works because the file holds more than
# the weights: the state of the optimizer and of the schedule, the number of
# epochs, and the state of the random numbers
# (:doc:`/lessons/networks/08_save_load`). The file is written under another
# name first and then renamed, so a kill in the middle does no harm.
#
# The file does not know the images. If you resume with others that give as many
# batches, it goes unnoticed, and a finished run just returns the old network.
# So a new data set needs a new file name.

# %%
# .. check::

assert len(done) < EPOCHS, "killed before the end"
assert same, "equal, bit for bit"
assert resumed_history == whole_history, "the same losses"

# %%
# Recipe
# ------
# The three checks in one block. Put your own data and network in place of
# the first lines and of the network in ``learn``.

import math

import torch
from torch import nn
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
features = torch.randn(601, 20)
target = features[:, :4].argmax(dim=1)  # four classes
train_x, train_y = features[:400], target[:400]
held_x, held_y = features[400:600], target[400:600]

# %%
# ``learn`` trains a new network, and returns it with its losses:


def learn(x, y):
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(100):
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


# %%
# Then the checks, and a new example with its true class:

_, ten = learn(train_x[:10], train_y[:10])
_, blank = learn(torch.zeros_like(train_x), train_y)
model, real = learn(train_x, train_y)
share = train_y.bincount() / len(train_y)
with torch.no_grad():
    held_loss = cross_entropy(model(held_x), held_y).item()
    answer = model(features[600:]).argmax(dim=1).item()
print(f"start: {real[0]:.2f}, ln 4 = {math.log(4):.2f}")
print(f"ten: {ten[-1]:.3f}")
print(f"blank: {blank[-1]:.2f}, entropy {-(share * share.log()).sum():.2f}")
print(f"real, held out: {held_loss:.2f}")
print(f"new example: {answer}, true class {target[600]}")

# %%
# .. check::

assert abs(real[0] - math.log(4)) < 0.15, "about ln 4"
assert ten[-1] < 0.05, "to 0"
assert abs(blank[-1] - 1.38) < 0.05, "the entropy"
assert held_loss < 0.7, "far below"

# %%
# What you learned
# ----------------
# - Before training: the loss begins at ln 10, ten images can be memorized, and
#   real images give a lower loss than blank ones.
# - A network that sees nothing can bring its loss down to the entropy of the
#   labels. One that does no better in loss or in accuracy shows no sign of
#   using the images.
# - Show the curve of several seeds beside a baseline. Here the network reads
#   96% correctly, and the nearest image 91%.
# - A checkpoint with the whole state lets a killed training run continue as if
#   it had never stopped. A new data set needs a new file.
#
# Exercises
# ---------
# 1. **Predict.** The labels of the training set no longer belong to the images,
#    as if they alone had been shuffled. Which of the three checks notices it?
#    What is the loss on the validation set after one epoch?
# 2. **Change.** Leave the suspects of the first lesson out of the training set,
#    and train once more with seed 0. Does it help?
# 3. **Extend.** Write a fourth check: after one backward pass, every parameter
#    has a gradient that is not 0 everywhere. Find a mistake that it notices.

# %%
# .. answer:: 1
#
#    Only the third. The loss begins at ln 10, and ten images are memorized with
#    any labels. But real images now do no better than blank ones: the digits
#    are about equally frequent, and the loss on the validation set stays near
#    their entropy, ln 10.

torch.manual_seed(0)
shuffled = y[torch.randperm(len(y))]
mixed = {"train": (x, shuffled), "val": (val_x, val_y)}
_, mixed_history = train(mixed, epochs=1)
mixed_loss = mixed_history[-1]["val_loss"]
print(f"{mixed_loss:.2f}")

# %%
# .. check::

assert abs(mixed_loss - math.log(10)) < 0.03, "near ln 10"

# %%
# .. answer:: 2
#
#    It does not help here. Without the suspects the loss is higher, and the
#    accuracy hardly differs. Most of their labels are right, so perhaps the
#    network has fewer hard digits to learn from. With many more wrong labels,
#    as in exercise 2 of the first lesson, it may be the other way round. So a
#    person should look at them, and correct the labels that are wrong.

keep = ~find_suspects(x, y)
_, without = train({"train": (x[keep], y[keep]), "val": sets["val"]})
kept = histories[0]
for name, history in {"kept": kept, "left out": without}.items():
    last = history[-1]
    print(f"{name}: {last['val_loss']:.3f}, right {last['val_accuracy']:.1%}")

# %%
# .. check::

assert all(
    without[-1]["val_loss"] > history[-1]["val_loss"] for history in histories
), "higher"
assert all(
    abs(without[-1]["val_accuracy"] - history[-1]["val_accuracy"]) < 0.015
    for history in histories
), "hardly differs"

# %%
# .. answer:: 3
#
#    Here a ``detach`` in the middle cuts the network in two. The later layers
#    still learn, so the loss falls, but the convolutions stay as they are.


class Cut(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = models.LeNet()

    def forward(self, x):
        return self.net.classifier(self.net.features(x).detach())


def without_gradient(model):
    cross_entropy(model(x[:64]), y[:64]).backward()
    names = []
    for name, parameter in model.named_parameters():
        if parameter.grad is None or not parameter.grad.any():
            names.append(name)
    return names


print(without_gradient(models.LeNet()))
print(without_gradient(Cut()))
temporary.cleanup()

# %%
# .. check::

assert without_gradient(models.LeNet()) == [], "every parameter"
assert len(without_gradient(Cut())) == 4, "weights and biases of both"
