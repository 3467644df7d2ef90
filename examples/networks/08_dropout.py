"""
Dropout, train() and eval()
===========================

Why does a network answer differently in training and in use, and how do you
tell it which of the two it is?

Some layers have one job while a network learns and another one when it is used.
The plainest of them is dropout. In training it sets some of the numbers to 0 at
random, so that the network cannot rely on any single one. In use you want all
of them. The network cannot know by itself what you are doing, so you have to
tell it. If you forget to, no error reminds you.

After this lesson you can

- write dropout by hand, and say why it enlarges the numbers that it keeps
- call ``train()`` and ``eval()`` in the right places, and tell them from
  ``no_grad``
- notice that a network is in the wrong mode, although nothing reports it
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import Batches, datasets

torch.manual_seed(0)

# %%
# Dropout in numbers
# ------------------
# :term:`Dropout <dropout>` decides about each number that it gets on its own.
# With the probability ``p`` it sets the number to 0. Otherwise it keeps the
# number, and divides it by 1 − p. In PyTorch this is the layer
# :class:`torch.nn.Dropout`, and ``p`` is its argument. We send eight ones
# through it twice, with p = 0.5, and then once with p = 0.25.

ones = torch.ones(8)
half = nn.Dropout(p=0.5)
first = half(ones)
second = half(ones)
quarter = nn.Dropout(p=0.25)(ones)
print("p = 0.5: ", first)
print("again:   ", second)
print("p = 0.25:", quarter)

# %%
# Each call draws anew, so the zeros are in other places, and there may be more
# or fewer of them. With p = 0.5, what is kept becomes 1 / 0.5 = 2, and with
# p = 0.25 it becomes 1 / 0.75 = 4/3.

# %%
# .. check::

assert set(first.tolist()) == {0.0, 2.0}, "p = 0.5: each is 0 or 2"
assert set(second.tolist()) == {0.0, 2.0}, "the second time, too"
assert not first.equal(second), "the zeros are in other places"
assert quarter.amax().allclose(torch.tensor(4 / 3)), "p = 0.25: 1 / 0.75"

# %%
# .. _dropout-is-for-training:
#
# Dropout acts in training only
# -----------------------------
# You know the switch from :doc:`/lessons/networks/07_normalization`. A module
# is in training mode until you call ``eval()``, and from then on it is in
# evaluation mode, until you call ``train()``. Dropout then does nothing at all:

half.eval()
evaluated = half(ones)
print("after eval():", evaluated)

# %%
# In the figure, the two calls from above stand between the input and the
# output after ``eval()``.
#
# .. alt:: Four rows of eight boxes. In the input, each box is 1. In the two
#    calls in training mode, some boxes are 0 and grey, in other places each
#    time, and the others are 2. After eval() all are 1 again.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
rows = {
    "input": ones,
    "training": first,
    "training, again": second,
    "after eval()": evaluated,
}
colors = {0: "0.85", 1: "#56B4E9", 2: "#E69F00"}
for row, numbers in enumerate(rows.values()):
    for i, number in enumerate(numbers.tolist()):
        box = plt.Rectangle(
            (i, -row), 0.9, 0.8, facecolor=colors[number], edgecolor="0.3"
        )
        axis.add_patch(box)
        axis.text(i + 0.45, 0.4 - row, f"{number:g}", ha="center", va="center")
axis.set(xlim=(-0.05, 7.95), ylim=(-3.1, 0.9))
axis.set_yticks([0.4, -0.6, -1.6, -2.6], list(rows))
axis.set_xticks([])
axis.tick_params(length=0)
axis.spines[:].set_visible(False)

# %%
# How does the layer know? Each module has an attribute ``training``, which is
# True or False, and its ``forward`` may look at it. So you can write dropout
# yourself. (``rand_like`` draws as many numbers as ``x`` has, on the device of
# ``x``. In ``x * keep``, True counts as 1 and False as 0.)


class OurDropout(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training:
            return x
        keep = torch.rand_like(x) >= self.p  # True with probability 1 − p
        return x * keep / (1 - self.p)


# %%
# We compare the two layers with 10,000 ones and p = 0.25. Each draws its own
# zeros, so the places differ, but the share of zeros and the mean should agree.
# The third row is a dropout that does not divide.

many = torch.ones(10_000)
ours = OurDropout(0.25)
theirs = nn.Dropout(0.25)
results = {"ours": ours(many), "PyTorch": theirs(many)}
results["undivided"] = many * (torch.rand_like(many) >= 0.25)
for name, result in results.items():
    zeros = (result == 0).float().mean()
    print(f"{name:9} {zeros:.1%} zeros, mean {result.mean():.3f}")

ours.eval()
theirs.eval()
print("after eval() all ones, ours:   ", ours(many).equal(many))
print("after eval() all ones, PyTorch:", theirs(many).equal(many))

# %%
# Here you see why dropout divides. The mean is 0.75 · 4/3 + 0.25 · 0 = 1, as
# without dropout. In the third row it is about 0.75, but after ``eval()`` it
# would be 1. The next layer would learn from numbers of one size, and get
# larger ones when the network is used.

# %%
# .. check::

assert evaluated.equal(ones), "after eval() nothing happens"
assert ours(many).equal(many), "ours is off after eval()"
assert theirs(many).equal(many), "and so is that of PyTorch"
assert abs((results["ours"] == 0).float().mean() - 0.25) < 0.02, (
    "a quarter becomes 0 in ours"
)
assert abs((results["PyTorch"] == 0).float().mean() - 0.25) < 0.02, (
    "and in that of PyTorch"
)
assert abs(results["ours"].mean() - 1) < 0.03, "ours keeps the mean"
assert abs(results["PyTorch"].mean() - 1) < 0.03, "and so does PyTorch's"
assert abs(results["undivided"].mean() - 0.75) < 0.02, "undivided: 0.75"

# %%
# One call reaches every layer
# ----------------------------
# You need not switch the layers one by one. ``train()`` and ``eval()`` change
# ``training`` in the module itself and in all modules that it contains, however
# deep they are:

nested = nn.Sequential(
    nn.Linear(8, 4),
    nn.Sequential(nn.ReLU(), nn.Dropout(0.5)),
)
nested.eval()
after_eval = [module.training for _, module in nested.named_modules()]
nested.train()
after_train = [module.training for _, module in nested.named_modules()]
print([name for name, _ in nested.named_modules()])
print("eval(): ", after_eval)
print("train():", after_train)

# %%
# There are five values, because the two containers count as well. (The empty
# name is that of ``nested`` itself.) ``Linear`` and ``ReLU`` have the
# attribute, too, but their ``forward`` does not look at it. Those of dropout,
# of BatchNorm and of some others do, such as ``nn.GRU`` with ``dropout=…``.
#
# ``eval()`` is not ``no_grad``
# -----------------------------
# Both are called before a model is used, so they are easily confused. Here is a
# model with 100 outputs and dropout at its end. We call it in both modes, each
# time without and with ``no_grad``.

model = nn.Sequential(nn.Linear(8, 100), nn.Dropout(0.5))
outputs = {"train()": model(ones)}
with torch.no_grad():
    outputs["train(), no_grad"] = model(ones)
model.eval()
outputs["eval()"] = model(ones)
with torch.no_grad():
    outputs["eval(), no_grad"] = model(ones)
for name, output in outputs.items():
    zeros = (output == 0).sum()
    print(f"{name:17} {zeros:2} zeros, recorded: {output.requires_grad}")

# %%
# The mode decides whether there are zeros, and ``no_grad`` decides whether
# autograd records the calculation. Neither does the work of the other:
#
# .. list-table::
#    :header-rows: 1
#
#    * - You write
#      - dropout
#      - autograd
#      - until
#    * - ``model.train()``
#      - acts
#      - not affected
#      - ``eval()``
#    * - ``model.eval()``
#      - does nothing
#      - not affected
#      - ``train()``
#    * - ``with torch.no_grad():``
#      - not affected
#      - records nothing
#      - the end of the block
#
# To judge a model, use both: ``eval()`` so that the answers are right, and
# ``no_grad`` to save time and memory. (``torch.inference_mode()`` is a stricter
# ``no_grad``, and does not change the mode either.)

# %%
# .. check::

assert after_eval == [False] * 5, "eval() reaches all five"
assert after_train == [True] * 5, "and so does train()"
assert (outputs["train()"] == 0).any(), "dropout acts"
assert (outputs["train(), no_grad"] == 0).any(), "under no_grad, too"
assert (outputs["eval()"] != 0).all(), "after eval() it does nothing"
assert (outputs["eval(), no_grad"] != 0).all(), "and so under no_grad"
assert outputs["train()"].requires_grad, "train() records"
assert outputs["eval()"].requires_grad, "and so does eval()"
assert not outputs["train(), no_grad"].requires_grad, "no_grad does not"
assert not outputs["eval(), no_grad"].requires_grad, "in neither mode"

# %%
# On real data
# ------------
# A network reads digits, with dropout on its 64 hidden numbers. (There is none
# after the last layer, because each of the ten scores is needed.) 8,000 images
# are for training, and 2,000 for validation.

train_set, _ = datasets.mnist()
x_train = train_set.x[:8000]  # (8000, 1, 28, 28)
y_train = train_set.y[:8000]
x_val = train_set.x[8000:]  # (2000, 1, 28, 28)
y_val = train_set.y[8000:]


def make_network(p):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 64),
        nn.ReLU(),
        nn.Dropout(p),  # new
        nn.Linear(64, 10),
    )


# %%
# ``train_epoch`` is the loop that you know, for one epoch, and it returns the
# mean loss. ``measure`` returns the loss and the :term:`accuracy`. Neither of
# them changes the mode.


def train_epoch(model, batches, optimizer):
    losses = []
    for x, y in batches:
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def measure(model, x, y):
    with torch.no_grad():
        scores = model(x)
    right = (scores.argmax(dim=1) == y).float().mean()
    return cross_entropy(scores, y).item(), right.item()


# %%
# ``learn`` calls ``train()`` before each epoch, and ``eval()`` at the end, when
# the network is ready for use.


def learn(seed, p, epochs=2):
    torch.manual_seed(seed)
    model = make_network(p)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    batches = Batches(x_train, y_train, batch_size=100, shuffle=True, seed=seed)
    for _ in range(epochs):
        model.train()  # new
        train_epoch(model, batches, optimizer)
    model.eval()  # new
    return model


# %%
# We train with p = 0.5, and measure the same network in both modes.

model = learn(seed=0, p=0.5)
loss_val, right_val = measure(model, x_val, y_val)
loss_eval, right_eval = measure(model, x_train, y_train)
model.train()
loss_train, right_train = measure(model, x_train, y_train)
print(f"training images, train():  {loss_train:.2f}, {right_train:.1%} right")
print(f"training images, eval():   {loss_eval:.2f}, {right_eval:.1%} right")
print(f"validation images, eval(): {loss_val:.2f}, {right_val:.1%} right")

# %%
# The weights are the same in all three rows. In training mode, about half of
# the hidden numbers are missing, so the loss is higher. The loss that a
# training loop prints is of this kind. With dropout, it may therefore be above
# the validation loss, as it is here, and this is no reason to worry. Compare
# losses of the same mode only.

# %%
# .. check::

assert loss_train > loss_eval + 0.08, "in training mode the loss is higher"
assert loss_train > loss_val + 0.05, "even above that of the validation images"
assert right_train < right_eval, "and the accuracy is lower"

# %%
# What goes wrong
# ---------------
# **eval() is forgotten.** The model is in training mode now. We ask it twice
# about the same 2,000 images, and count the answers that have changed. Then we
# do the same after ``eval()``.

with torch.no_grad():
    once = model(x_val).argmax(dim=1)
    twice = model(x_val).argmax(dim=1)
    model.eval()
    once_eval = model(x_val).argmax(dim=1)
    twice_eval = model(x_val).argmax(dim=1)
changed = (once != twice).sum()
changed_eval = (once_eval != twice_eval).sum()
print(f"train(): {changed} of 2,000 answers have changed")
print(f"eval():  {changed_eval} have changed")

# %%
# Without ``eval()``, about one answer in seven changes from call to call, and
# there is no error. How much accuracy does it cost? We train five networks for
# each of three values of p, and measure each network in both modes.

lost = {}  # percentage points, one number for each network
for p in [0.2, 0.5, 0.8]:
    eval_right = torch.zeros(5)
    train_right = torch.zeros(5)
    for seed in range(5):
        model = learn(seed, p)  # in evaluation mode
        _, eval_right[seed] = measure(model, x_val, y_val)
        model.train()
        _, train_right[seed] = measure(model, x_val, y_val)
    lost[p] = 100 * (eval_right - train_right)
    print(
        f"p = {p}: eval() {eval_right.mean():.1%},",
        f"train() {train_right.mean():.1%},",
        f"difference {lost[p].mean():.1f} ± {lost[p].std():.1f}",
    )

# %%
# After ± stands the standard deviation of the five differences. With p = 0.2
# the accuracy drops so little that you would take it for an ordinary result.
#
# **train() is forgotten.** Many loops measure the model after each epoch. If
# they call ``eval()`` for that and do not switch back, dropout is off from the
# second epoch on. We let it happen, and then do it right.

epoch_losses = {"forgotten": [], "switched back": []}
for name, losses in epoch_losses.items():
    torch.manual_seed(0)
    model = make_network(0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    batches = Batches(x_train, y_train, batch_size=100, shuffle=True, seed=0)
    for _ in range(4):
        losses.append(train_epoch(model, batches, optimizer))
        model.eval()
        measure(model, x_val, y_val)
        if name == "switched back":
            model.train()
    print(f"{name:14}", [f"{loss:.2f}" for loss in losses])

# %%
# A new model is in training mode, so the first epoch is the same in both. From
# the second on, the wrong loop prints the *lower* loss, so it looks like a
# success. But it goes on without dropout, and that is not what you wanted.
# (Whether dropout helps is another question, see
# :doc:`/lessons/architectures/04_dropout_augmentation`.) So call ``train()`` at
# the start of each epoch, and not once before the loop. If you are in doubt,
# print ``model.training`` there.
#
# **Dropout as a function.** In other people's code you will see ``F.dropout``,
# which is ``torch.nn.functional.dropout``. It is a function and has no mode.
# Its argument ``training`` is True unless you say otherwise, so it is always
# on. In version 2 we pass the mode on:


class Hidden(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, p=0.5)


hidden = Hidden()
hidden.eval()
always_on = hidden(ones)


class Hidden(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, p=0.5, training=self.training)  # new


hidden = Hidden()
hidden.eval()
switched = hidden(ones)
print("version 1 after eval():", always_on)
print("version 2 after eval():", switched)

# %%
# In version 1, ``eval()`` has set ``training`` of the module to False, but
# nobody has told the function. And since the function is not a module,
# ``print(model)`` does not show it. You can also store an ``nn.Dropout`` in
# ``__init__``, which looks at its mode by itself.

# %%
# .. check::

assert changed > 200, "about one answer in seven"
assert changed_eval == 0, "after eval() none"
assert all((lost[p] > 0).all() for p in lost), "each network loses"
assert lost[0.2].mean() < 3, "with p = 0.2 little"
assert epoch_losses["forgotten"][0] == epoch_losses["switched back"][0], (
    "the first epoch is the same"
)
assert epoch_losses["forgotten"][1] < epoch_losses["switched back"][1] - 0.05, (
    "from the second on it is lower"
)
assert epoch_losses["forgotten"][3] < epoch_losses["switched back"][3] - 0.05, (
    "up to the last"
)
assert set(always_on.tolist()) == {0.0, 2.0}, "the function is always on"
assert switched.equal(ones), "with training=self.training it is off"

# %%
# Recipe
# ------
# Two functions, and each sets its own mode first. So you can call them in any
# order.

import torch
from torch import nn
from torch.nn.functional import cross_entropy


def train_epoch(model, batches, optimizer):
    model.train()
    for x, y in batches:
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        answers = model(x).argmax(dim=1)
    return (answers == y).float().mean().item()


# %%
# The data are made up: points of 20 numbers, each near one of three centres.
# 600 are for training, 200 for validation, and the last one is new.

torch.manual_seed(0)
centres = torch.randn(3, 20)
y = torch.randint(3, (801,))
x = centres[y] + 1.5 * torch.randn(801, 20)
model = nn.Sequential(
    nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 3)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(1, 6):
    chunks = torch.randperm(600).chunk(12)
    batches = [(x[rows], y[rows]) for rows in chunks]
    train_epoch(model, batches, optimizer)
    score = evaluate(model, x[600:800], y[600:800])
    print(f"epoch {epoch}: {score:.0%} right")

# %%
# Before the model answers for a new point, set the mode once more:

model.eval()
with torch.no_grad():
    answer = model(x[800:]).argmax().item()
print(f"new point: {answer}, truth: {y[800]}")

# %%
# .. check::

assert evaluate(model.train(), x[600:800], y[600:800]) > 0.8, "it learns"
assert not model.training, "evaluate has set the mode"

# %%
# What you learned
# ----------------
# - In training mode, dropout sets each number to 0 with the probability p, and
#   divides the others by 1 − p, so that the mean stays. In evaluation mode it
#   does nothing.
# - ``train()`` and ``eval()`` set ``training`` in a module and in all modules
#   inside it. They do not touch gradients, and ``no_grad`` does not touch
#   dropout.
# - Call ``train()`` at the start of each epoch, and ``eval()`` before you judge
#   or use the model.
# - If two calls with the same input disagree, the model is probably in training
#   mode. ``model.training`` tells you.
# - ``F.dropout`` needs ``training=self.training``. Otherwise it is always on.
#
# Exercises
# ---------
# 1. **Predict.** Call ``nested.eval()``, and then ``nested[1].train()``. What
#    is ``training`` in ``nested``, in its ``Linear`` and in its ``Dropout``?
#    And what does ``nn.Dropout(0.75)`` make of ``3 * torch.ones(24)`` in
#    training mode?
# 2. **Change.** In its first form, dropout did not divide in training. Instead,
#    the numbers were multiplied by 1 − p when the network was used. Write
#    ``OurDropout`` in this way. What is the mean of 10,000 ones in each mode,
#    for p = 0.25?
# 3. **Extend.** Leave a network in training mode on purpose. Ask it 30 times
#    about the validation images, and take the mean of the probabilities. How
#    does the accuracy compare with that of one call, and with ``eval()``?

# %%
# .. answer:: 1
#
#    ``eval()`` reaches all of them, and then ``train()`` only what is inside
#    ``nested[1]``. So ``nested`` and the ``Linear`` have False, and the
#    ``Dropout`` has True. In this way, a part of a network can stay in another
#    mode. But the next ``nested.train()`` switches everything again. Of the
#    threes, each becomes 0 or 3 / 0.25 = 12.

nested.eval()
inner = nested[1]
inner.train()
print(nested.training, nested[0].training, inner[1].training)
twelves = nn.Dropout(0.75)(3 * torch.ones(24))
print(twelves)

# %%
# .. check::

assert not nested.training, "the outer module is as eval() left it"
assert not nested[0].training, "and so is the linear layer"
assert inner[1].training, "the dropout is in training mode"
assert set(twelves.tolist()) == {0.0, 12.0}, "0 or 12"

# %%
# .. answer:: 2
#
#    The mean is close to 0.75 in both modes, so the next layer gets numbers of
#    the same size, too. Dividing in training is the more convenient way,
#    because a finished network then needs no dropout at all.


class OurDropout(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training:
            return x * (1 - self.p)
        keep = torch.rand_like(x) >= self.p
        return x * keep


layer = OurDropout(0.25)
mean_train = layer(many).mean()
layer.eval()
mean_eval = layer(many).mean()
print(f"train(): {mean_train:.3f}, eval(): {mean_eval:.3f}")

# %%
# .. check::

assert abs(mean_train - 0.75) < 0.02, "about 0.75 in training mode"
assert abs(mean_eval - 0.75) < 1e-4, "0.75 after eval()"

# %%
# .. answer:: 3
#
#    The mean of 30 calls comes close to ``eval()``, and is far better than one
#    call. So ``eval()`` gives you in one call nearly what you would get from
#    many. (Some people ask many times in order to see how much the answers
#    vary. This is called *Monte Carlo dropout*.)

model = learn(seed=0, p=0.5)
accuracy_eval = measure(model, x_val, y_val)[1]
model.train()
accuracy_once = measure(model, x_val, y_val)[1]
with torch.no_grad():
    calls = [torch.softmax(model(x_val), dim=1) for _ in range(30)]
answers = torch.stack(calls).mean(dim=0).argmax(dim=1)
accuracy_mean = (answers == y_val).float().mean().item()
print(f"one call {accuracy_once:.1%}, mean of 30 calls {accuracy_mean:.1%}")
print(f"eval() {accuracy_eval:.1%}")

# %%
# .. check::

assert abs(accuracy_mean - accuracy_eval) < 0.015, "close to eval()"
assert accuracy_mean > accuracy_once + 0.02, "far better than one call"

# %%
# .. earlier::
#
#    In PyTorch 0.4, the argument ``training`` of ``F.dropout`` was False unless
#    you said otherwise, so the function did nothing. Since PyTorch 1.0 it is
#    True.
