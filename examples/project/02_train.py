"""
Project: training and its checks
================================

The loss falls, but has the network learned to read?

A program that trains a network rarely stops with an error when something in it
is wrong. It trains a worse network, or learns something else than we wanted. So
before the real training of our digit reader, we run three checks that take
seconds. Afterwards we compare with the baselines, and then we kill the training
in the middle.

After this lesson you can

- check the loss at the start, with ten images, and with blank images
- judge a training by its curve over several seeds, beside the baselines
- kill a training and go on with it as if nothing had happened
"""

# %%
# Setup
# -----
# The folder of raw files and its checks are those of
# :doc:`/lessons/project/01_frame`.

import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from digit_reader.data import check_files, find_suspects, read_sets
from digit_reader.raw import write_raw_files
from handbook import Batches, classification_step, fit, load_checkpoint, models

torch.manual_seed(0)

# %%
# We write the raw files into a temporary folder, as in the first lesson.

temporary = tempfile.TemporaryDirectory()  # removed at the end
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

knows_nothing = cross_entropy(torch.zeros(1, 10), torch.tensor([3])).item()
print(f"{knows_nothing:.3f} {math.log(10):.3f}")

# %%
# Our network is LeNet, the CNN of :doc:`/lessons/architectures/05_cnn`. Its
# first weights are random but small, so it should begin close to ln 10. To see
# what the check can find, we also forget to divide the grey values by 255.

new = models.LeNet()
with torch.no_grad():
    start = cross_entropy(new(x), y).item()
    start_255 = cross_entropy(new(255 * x), y).item()
print(f"ink from 0 to 1: {start:.2f}, from 0 to 255: {start_255:.2f}")

# %%
# The first number is as expected. The second one is much larger: before it has
# seen a single label, the network is sure of some answers, most of them wrong.
# When a training begins far above ln 10, look at the scale of the inputs and of
# the first weights.

# %%
# .. check::

assert abs(knows_nothing - math.log(10)) < 1e-5, "ln 10"
assert abs(start - math.log(10)) < 0.05, "close to ln 10"
assert start_255 > start + 2, "much larger"

# %%
# Check 2: ten images
# -------------------
# A network with 61,706 parameters can learn ten images by heart. If its loss on
# these ten does not go to 0, then something is broken: the loss, the gradient,
# or the optimizer. ``learn_ten`` trains on the same ten images for 100 steps,
# and returns the losses. ``step`` computes the loss.


def learn_ten(step):
    torch.manual_seed(0)
    model = models.LeNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(100):
        loss, _ = step(model, x[:10], y[:10])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
# We try it with :func:`handbook.classification_step`, and with a function that
# contains a well-known mistake. ``cross_entropy`` wants logits, because it
# computes the :term:`softmax` itself. Here the softmax is computed twice.


def softmax_twice(model, x, y):
    probabilities = model(x).softmax(dim=1)
    return cross_entropy(probabilities, y), {}


right_step = learn_ten(classification_step)
wrong_step = learn_ten(softmax_twice)
for i in [0, 20, 99]:
    print(f"step {i}: {right_step[i]:.3f}, twice: {wrong_step[i]:.3f}")

# %%
# The right one brings the loss to 0. The other one never gets there. Its loss
# falls as well, so the curve alone would not look wrong, but even perfect
# answers would leave it at 1.46: the probabilities are at most 1, so in the
# second softmax the right digit gets at most :math:`e / (e + 9)`.

# %%
# .. check::

assert right_step[-1] < 0.005, "to 0"
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
# ``checkpoint`` is the name of a file in which ``fit`` keeps its state after
# each epoch. We need it further below.


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
# Suppose that reading the files goes wrong, and all images are blank. The
# network still gets labels. How low does its loss get? It can learn how
# frequent each digit is, and nothing else. If *p* is the share of a digit, the
# best loss is the *entropy* −Σ *p* ln *p*.

blank_sets = {
    "train": (torch.zeros_like(x), y),
    "val": (torch.zeros_like(val_x), val_y),
}
_, blank_history = train(blank_sets, epochs=1)
_, history = train(sets, epochs=1)
share = y.bincount() / len(y)
entropy = -(share * share.log()).sum().item()
print(f"entropy of the labels: {entropy:.2f}")
print(f"blank images: {blank_history[-1]['val_loss']:.2f}")
print(f"real images:  {history[-1]['val_loss']:.2f}")

# %%
# With blank images the loss stays at the entropy, which is close to ln 10
# because all digits are about equally frequent. With the real images it is far
# below after one :term:`epoch`. So the network does see the images.

# %%
# .. check::

assert abs(entropy - math.log(10)) < 0.01, "close to ln 10"
assert abs(blank_history[-1]["val_loss"] - entropy) < 0.02, "at the entropy"
assert history[-1]["val_loss"] < 1, "far below"

# %%
# The real training
# -----------------
# Now we train with three seeds. Beside the networks stand two baselines of the
# first lesson, logistic regression and the nearest image.

networks = []
histories = []
for seed in range(3):
    model, history = train(sets, seed=seed)
    networks.append(model)
    histories.append(history)
    last = history[-1]
    print(f"loss {last['val_loss']:.2f}, right {last['val_accuracy']:.1%}")

logistic = LogisticRegression(C=0.3, max_iter=300)
logistic.fit(x.flatten(1).numpy(), y.numpy())
logistic_score = logistic.score(val_x.flatten(1).numpy(), val_y.numpy())
nearest = torch.cdist(val_x.flatten(1), x.flatten(1)).argmin(dim=1)
nearest_right = (y[nearest] == val_y).float()
print(f"logistic {logistic_score:.1%}, nearest {nearest_right.mean():.1%}")

# %%
# .. alt:: Accuracy on the validation set after each of eight epochs, for three
#    seeds. All three curves begin between 80% and 90%, pass the dashed line of
#    the nearest image at 91% by the third epoch, and level off near 96%. The
#    dotted line of logistic regression is at 89%.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
for seed, history in enumerate(histories):
    curve = [100 * row["val_accuracy"] for row in history]
    axis.plot(range(1, EPOCHS + 1), curve, "o-", ms=4, label=f"seed {seed}")
axis.axhline(100 * nearest_right.mean().item(), color="black", ls="--")
axis.axhline(100 * logistic_score, color="black", ls=":")
axis.text(EPOCHS, 100 * nearest_right.mean() + 0.3, "nearest image", ha="right")
axis.text(EPOCHS, 100 * logistic_score + 0.3, "logistic", ha="right")
axis.set(xlabel="epoch", ylabel="right, validation (%)")
axis.legend(loc="lower right", ncols=3)

# %%
# The three curves agree, and they have levelled off, so eight epochs are
# enough. About 96% are read correctly. Is the lead over the nearest image more
# than luck with these images? The first network and the nearest image answered
# the same ones, so we look at the differences, as in
# :doc:`/lessons/practice/04_mistakes`.

network = networks[0].cpu().eval()
with torch.no_grad():
    network_right = (network(val_x).argmax(dim=1) == val_y).float()
difference = network_right - nearest_right  # −1, 0 or 1
error = difference.std() / len(difference) ** 0.5
print(f"{100 * difference.mean():.1f} ± {100 * error:.1f} points")

# %%
# The difference is many times its :term:`standard error`. The network wins, but
# it is not yet good enough: the office wanted at most one wrong answer in a
# hundred. The next lesson lets it leave the hard digits to a person.

# %%
# .. check::

assert all(
    abs(history[-1]["val_accuracy"] - 0.96) < 0.012 for history in histories
), "the curves agree on about 96%"
assert all(
    abs(history[-1]["val_accuracy"] - history[-3]["val_accuracy"]) < 0.01
    for history in histories
), "they have levelled off"
assert all(
    history[2]["val_accuracy"] > nearest_right.mean() for history in histories
), "above the nearest image by the third epoch"
assert difference.mean() > 4 * error, "many times its standard error"

# %%
# Killed in the middle
# --------------------
# A long training gets interrupted. The power fails, or a cluster takes the
# machine away. The file of the module, ``digit_reader/training.py``, ends like
# this, so that it can be run as a program with the names of a folder and of a
# file for the state (a :term:`checkpoint`):
#
# .. code-block:: python
#
#    if __name__ == "__main__":
#        scans, checkpoint = sys.argv[1:]
#        _, history = train(load(scans), Path(checkpoint))
#        print(f"epoch {len(history)}, val_loss {history[-1]['val_loss']:.4f}")
#
# We start it as a process of its own, with fewer scans to be quick. As soon as
# the file of the first epoch is there, we kill the process. On Linux and macOS
# ``kill`` sends SIGKILL, like ``kill -9`` in a terminal. No program can catch
# it, so there is no time to save anything.

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
# It printed nothing, because it did not get that far. Now the same command once
# more, and beside it a training that nobody interrupts:

finished = subprocess.run(command, check=True, capture_output=True, text=True)
print(finished.stdout, end="")
whole, whole_history = train(load(few))
print(f"never killed: val_loss {whole_history[-1]['val_loss']:.4f}")

resumed = models.LeNet()
resumed_history = load_checkpoint(state, resumed)
weights = resumed.state_dict()
equal = []
for name, tensor in whole.cpu().state_dict().items():
    equal.append(torch.equal(tensor, weights[name]))
print("equal, bit for bit:", all(equal))

# %%
# All weights are equal, to the last bit. This works because the file holds more
# than the weights: the state of the optimizer and of the schedule, the number
# of epochs, and the state of the random numbers
# (:doc:`/lessons/networks/08_save_load`). It is written under another name
# first and then renamed, so a kill in the middle of writing does no harm.

# %%
# .. check::

assert len(done) < EPOCHS, "killed before the end"
assert "epoch 8" in finished.stdout, "the second one reached the end"
assert all(equal), "equal, bit for bit"
assert resumed_history == whole_history, "the same history"

# %%
# What goes wrong
# ---------------
# **A falling loss that is not learning.** With ten equally frequent digits, a
# network that sees nothing gives itself away: its loss does not move. Usually
# some classes are more frequent. We keep every 0, and every tenth of the other
# digits, as in a box that is often left at 0. The images are blank again.

often = (y == 0) | (torch.arange(len(y)) % 10 == 0)
val_often = (val_y == 0) | (torch.arange(len(val_y)) % 10 == 0)
blank_sets = {
    "train": (torch.zeros_like(x[often]), y[often]),
    "val": (torch.zeros_like(val_x[val_often]), val_y[val_often]),
}
_, blank_history = train(blank_sets, epochs=4)
for row in blank_history:
    print(f"loss {row['loss']:.2f}, right {row['val_accuracy']:.0%}")
share = y[often].bincount() / often.sum()
entropy = -(share * share.log()).sum().item()
print(f"entropy {entropy:.2f}, most frequent {share.max():.0%}")

# %%
# The loss falls from epoch to epoch, and half of the answers are right, five
# times as many as by guessing among ten digits. It looks like learning, but the
# network has learned only that 0 is frequent. The entropy and the share of the
# most frequent digit show it: a network must be better than these two numbers
# before it has learned to read anything.

# %%
# .. check::

assert blank_history[0]["loss"] > blank_history[-1]["loss"] + 0.1, "it falls"
assert abs(blank_history[-1]["loss"] - entropy) < 0.05, "to the entropy"
assert abs(blank_history[-1]["val_accuracy"] - 0.5) < 0.03, "half are right"

# %%
# Recipe
# ------
# The three checks in one block. Put your own data and network in place of the
# first lines.

import torch
from torch import nn
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
features = torch.randn(600, 20)
target = features[:, :4].argmax(dim=1)  # four classes

# %%
# ``learn`` trains a new network, and ``final_loss`` judges it:


def learn(x, y, steps=300):
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 4))
    print(f"start {cross_entropy(model(x), y):.2f}", end=", ")
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def final_loss(model, x, y):
    with torch.no_grad():
        return cross_entropy(model(x), y).item()


# %%
# Then the checks, and a new example:

train_x, train_y = features[:400], target[:400]
other_x, other_y = features[400:], target[400:]
share = train_y.bincount() / len(train_y)
print(f"ln 4 = {torch.tensor(4.0).log():.2f}")
ten = learn(train_x[:10], train_y[:10])
print(f"ten: {final_loss(ten, train_x[:10], train_y[:10]):.3f}")
blank = learn(torch.zeros_like(train_x), train_y)
blank_loss = final_loss(blank, torch.zeros_like(other_x), other_y)
print(f"blank: {blank_loss:.2f}")
print(f"entropy: {-(share * share.log()).sum():.2f}")
real = learn(train_x, train_y, steps=100)
print(f"real: {final_loss(real, other_x, other_y):.2f}")
print("new example:", real(torch.randn(1, 20)).argmax(dim=1).item())

# %%
# .. check::

assert final_loss(ten, train_x[:10], train_y[:10]) < 0.01, "to 0"
assert abs(blank_loss - 1.386) < 0.1, "the entropy"
assert final_loss(real, other_x, other_y) < 0.7, "far below"

# %%
# What you learned
# ----------------
# - Before training: the loss begins at ln 10, ten images can be learned by
#   heart, and real images give a lower loss than blank ones.
# - The entropy of the labels is the loss of a network that sees nothing. A
#   falling loss above it proves nothing.
# - Show the curve of several seeds beside the baselines. Here the network reads
#   96% correctly, and the nearest image 91%.
# - A checkpoint with the whole state makes a killed training go on as if
#   nothing had happened, to the last bit.
#
# Exercises
# ---------
# 1. **Predict.** The labels of the training set no longer belong to the images,
#    as if they alone had been shuffled. Which of the three checks notices it?
#    What is the loss on the validation set after one epoch?
# 2. **Change.** Leave the suspects of the first lesson out of the training set,
#    for two epochs and two seeds. Does it help?
# 3. **Extend.** Write a fourth check: after one backward pass, every parameter
#    has a gradient that is not 0 everywhere. Find a mistake that it notices.

# %%
# .. answer:: 1
#
#    Only the third. The loss begins at ln 10, and ten images are learned by
#    heart with any labels. But real images now do no better than blank ones:
#    the loss on the validation set stays near ln 10.

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
#    It does not help here. The loss is lower with the suspects in, for both
#    seeds. Most of their labels are right, so without them the network has
#    fewer hard digits to learn from. With many more wrong labels, as in
#    exercise 2 of the first lesson, it may be the other way round. So a person
#    should look at them, and correct the labels that are wrong.

keep = ~find_suspects(x, y)
without = {"train": (x[keep], y[keep]), "val": sets["val"]}
losses = torch.zeros(2, 2)
for seed in range(2):
    for i, chosen in enumerate([without, sets]):
        _, history = train(chosen, seed=seed, epochs=2)
        losses[seed, i] = history[-1]["val_loss"]
    print(f"left out {losses[seed, 0]:.3f}, kept {losses[seed, 1]:.3f}")

# %%
# .. check::

assert (losses[:, 1] < losses[:, 0]).all(), "lower with the suspects in"

# %%
# .. answer:: 3
#
#    Here a ``detach`` in the middle cuts the network in two. The later layers
#    still learn, so the loss falls, but the convolutions stay as they are.


class Cut(nn.Module):
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
