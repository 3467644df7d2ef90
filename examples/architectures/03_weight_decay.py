"""
Weight decay and early stopping
===============================

How can a model with far more weights than examples still do well on new ones?

Such a model can fit its training examples perfectly, noise and all. *Weight
decay* keeps the weights small, and *early stopping* ends the training in time.
Measures that lower the error on new examples rather than on the training
examples are called *regularization*.

After this lesson you can

- write weight decay by hand, and say what ``weight_decay`` in PyTorch does
- keep the weights with the lowest validation loss, and return those
- choose the decay with a validation set, and spare the biases
"""

# %%
# Setup
# -----

import copy

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets

torch.manual_seed(0)

# %%
# One weight
# ----------
# Let the loss of a weight w be (w − 3)². By itself, it is smallest at w = 3.
# Now add a *penalty* for large weights, λw². The number λ (lambda) says how
# much a large weight costs:
#
# .. math:: L(w) = (w - 3)^2 + \lambda w^2
#
# At the lowest point the slope is 0. So 2(w − 3) + 2λw = 0, and w = 3 / (1 +
# λ). Does gradient descent end up there?


def descend(penalty, lr=0.1):
    w = 0.0
    for _ in range(100):
        slope = 2 * (w - 3) + 2 * penalty * w
        w = w - lr * slope
    return w


for penalty in [0, 1, 2]:
    print(f"λ = {penalty}: w = {descend(penalty):.4f}")

# %%
# The penalty pulls the weight towards 0, and the loss pulls it towards 3. They
# meet in between.
#
# Weight decay in PyTorch
# -----------------------
# Look at one step again. The gradient of the penalty is 2λw, so with a learning
# rate lr the step is
#
# .. math::
#
#    w - lr \cdot (g + 2 \lambda w) = (1 - 2\,lr\,\lambda)\,w - lr \cdot g
#
# where g is the gradient of the loss alone. So each step first makes the weight
# a little smaller, and this is why the method is called :term:`weight decay`.
#
# :class:`torch.optim.SGD` has an option for this. Its ``weight_decay`` adds
# ``weight_decay · w`` to the gradient. There is no factor 2, so our λ
# corresponds to ``weight_decay=2 * λ``. We compare both for λ = 1.

with_sgd = {}
for decay in [1.0, 2.0]:
    w = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1, weight_decay=decay)
    for _ in range(100):
        optimizer.zero_grad()
        loss = (w - 3) ** 2  # without a penalty
        loss.backward()
        optimizer.step()
    with_sgd[decay] = w.item()
    print(f"weight_decay={decay}: w = {with_sgd[decay]:.4f}")
print(f"by hand, λ = 1:   w = {descend(penalty=1):.4f}")

# %%
# With ``weight_decay=2`` SGD finds 1.5, as ours does. With 1 it finds 2, the
# right answer for λ = ½.
#
# ``Adam`` and ``AdamW`` have the option as well, with other meanings
# (:doc:`/lessons/networks/04_optimizers`). In SGD and Adam it is 0 unless you
# set it, but in AdamW it is 0.01.

# %%
# .. check::

assert abs(descend(0) - 3) < 1e-6, "3 for λ = 0"
assert abs(descend(1) - 1.5) < 1e-6, "1.5 for λ = 1"
assert abs(descend(2) - 1) < 1e-6, "1 for λ = 2"
assert abs(with_sgd[2.0] - descend(1)) < 1e-6, "SGD with 2 is the same"
assert abs(with_sgd[1.0] - 2) < 1e-6, "with 1 it finds 2"
assert torch.optim.SGD([torch.zeros(1)]).defaults["weight_decay"] == 0, "SGD: 0"
assert torch.optim.Adam([torch.zeros(1)]).defaults["weight_decay"] == 0, (
    "Adam: 0"
)
assert torch.optim.AdamW([torch.zeros(1)]).defaults["weight_decay"] == 0.01, (
    "AdamW: 0.01"
)

# %%
# 20 samples, 200 inputs
# ----------------------
# Now we make up data, so that we know the truth. A room is some degrees warmer
# or colder than usual. Each of 200 cheap thermometers reads this temperature,
# with noise whose standard deviation is 2 degrees. A good thermometer has noise
# of only 0.3 degrees. From the 200 readings, the model has to predict what the
# good one says.


def draw(n):
    warmth = torch.randn(n, 1)
    readings = warmth + 2 * torch.randn(n, 200)
    target = warmth + 0.3 * torch.randn(n, 1)
    return readings, target  # (n, 200), (n, 1)


# %%
# The best answer is close to the mean of the readings, so each weight should be
# about 1/200 = 0.005.
#
# We train four models at once. Each column of ``w`` is a model, and ``decay``
# holds one number for each of them. It means the same as ``weight_decay`` in
# SGD.


def train_columns(x, y, w, decay):
    for _ in range(1000):
        slope = 2 * x.T @ (x @ w - y) / len(x)  # (200, 4)
        w = w - 0.002 * (slope + decay * w)
    return w


def errors(w, x, y):
    return ((x @ w - y) ** 2).mean(dim=0)  # mean squared error of each model


# %%
# We do this for five seeds. Each has 20 training samples, 20 validation samples
# to choose the decay, and 1,000 test samples to judge. The baseline always
# answers with the mean of the 20 training targets.

decay = torch.tensor([0.0, 1.0, 10.0, 100.0])
on_train = torch.zeros(5, 4)  # a row for each seed, a column for each model
on_test = torch.zeros(5, 4)
chosen = torch.zeros(5)
baseline = torch.zeros(5)
starts = []
learned = []

# %%
# All four models of a seed start at the same weights.

for seed in range(5):
    torch.manual_seed(seed)
    x, y = draw(20)
    x_val, y_val = draw(20)
    x_test, y_test = draw(1000)
    start = nn.Linear(200, 1).weight.detach().T  # PyTorch's own start
    w = train_columns(x, y, start.expand(200, 4), decay)
    starts.append(start)
    learned.append(w)
    on_train[seed] = errors(w, x, y)
    on_test[seed] = errors(w, x_test, y_test)
    best = errors(w, x_val, y_val).argmin()
    chosen[seed] = on_test[seed, best]
    baseline[seed] = ((y.mean() - y_test) ** 2).mean()

# %%
# We print the means of the five seeds.

for i in range(4):
    train = on_train[:, i].mean()
    test = on_test[:, i].mean()
    print(f"decay {decay[i]:3.0f}: training {train:.3f}, test {test:.2f}")
print(f"chosen: test {chosen.mean():.2f}")
print(f"baseline: test {baseline.mean():.2f}")

# %%
# Without decay, the training error is 0. Yet for each seed the model does worse
# than the baseline. With the decay that the validation set chose, its error is
# about a seventh of the baseline's. (The mean of the readings would have 0.11.)
#
# What happened? Take two inputs with the readings 1 and 1. If one weight grows
# by 5 and the other falls by 5, the prediction stays the same. 200 weights can
# change in many such ways and leave all 20 predictions as they are. The
# gradient never corrects such a change, so what the random start put there
# remains. Only decay pulls it to 0. (Exercise 2 starts at 0 instead.) The
# figure shows the start of the last seed, and the weights learned with a decay
# of 0 and of 10.
#
# .. alt:: 200 weights in order of size, three times. The start and the weights
#    learned without decay both run from about −0.07 to 0.07 and nearly
#    coincide. With a decay of 10, the weights form a much flatter line close to
#    0.005.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
axis.plot(starts[4][:, 0].sort().values, ":", color="black", label="start")
axis.plot(learned[4][:, 0].sort().values, label="decay 0")
axis.plot(learned[4][:, 2].sort().values, "--", label="decay 10")
axis.axhline(0.005, color="grey", linewidth=0.8, label="0.005")
axis.set(xlabel="weights, in order of size", ylabel="weight")
axis.legend()

# %%
# .. check::

assert on_train[:, 0].max() < 1e-6, "a perfect fit without decay"
assert (on_test[:, 0] > baseline).all(), "worse than the baseline, each seed"
assert (chosen < 0.25 * baseline).all(), "chosen: far better, for each seed"
assert 0.12 < chosen.mean() / baseline.mean() < 0.17, "about a seventh"
assert abs(0.3**2 + 2**2 / 200 - 0.11) < 1e-9, "the mean of the readings"
assert abs(learned[4][:, 0].max() - 0.07) < 0.02, "without decay up to 0.07"
assert abs(learned[4][:, 0].min() + 0.07) < 0.02, "and down to −0.07"
assert abs(starts[4].max() - 0.07) < 0.005, "the start, too"
assert abs(starts[4].min() + 0.07) < 0.005, "on both sides"
assert (learned[4][:, 0] - starts[4][:, 0]).std() < 0.015, "near the start"
assert abs(learned[4][:, 2].mean() - 0.005) < 0.003, "close to 0.005"
assert learned[4][:, 2].std() < 0.2 * starts[4].std(), "much flatter"

# %%
# Early stopping
# --------------
# :doc:`/lessons/learning/08_overfitting` showed early stopping with one tensor.
# Here we do it for a whole model. Suppose that the validation losses of five
# epochs are 5, 4, 3, 3.5 and 4. We want the weights of epoch 3, but after the
# loop the model holds those of epoch 5.
#
# ``model.state_dict()`` returns all tensors of a model in a dict. We keep it in
# two ways: as it is, and as a *deep copy*, which copies each tensor as well.

model = nn.Linear(1, 1)
lowest = float("inf")  # larger than any number
states = {}
for epoch, val_loss in enumerate([5, 4, 3, 3.5, 4], start=1):
    with torch.no_grad():
        model.weight.fill_(epoch)  # instead of training
    if val_loss < lowest:
        lowest = val_loss
        states["reference"] = model.state_dict()
        states["deep copy"] = copy.deepcopy(model.state_dict())

for name, state in states.items():
    print(f"{name}: weight of epoch {state['weight'].item():.0f}")

# %%
# The dict from ``state_dict()`` shares its memory with the model, so it changed
# along with it, and no error tells you. Only the deep copy still has the
# weights of epoch 3.
#
# On real data
# ------------
# A network now learns to read digits from 100 images. Another 100, the
# validation images, choose the epoch. The first 100 are one batch, so an
# :term:`epoch` is one step.

digits, test_set = datasets.mnist()
# every second pixel, to be quick
pixels = digits.x[:, 0, ::2, ::2].flatten(1)  # (10000, 196)
test_pixels = test_set.x[:, 0, ::2, ::2].flatten(1)  # (2000, 196)


def validate(model, x, y):
    with torch.no_grad():
        return cross_entropy(model(x), y).item()


# %%
# ``learn`` takes the row numbers of 200 images. It trains on the first 100 and
# keeps the state with the lowest loss on the others.


def learn(model, rows, decay):
    train, val = rows.split(100)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, weight_decay=decay)
    val_losses = []
    lowest = float("inf")
    best_state = copy.deepcopy(model.state_dict())
    for _ in range(200):  # to the end, for the curve; the recipe stops
        optimizer.zero_grad()
        cross_entropy(model(pixels[train]), digits.y[train]).backward()
        optimizer.step()
        val_losses.append(validate(model, pixels[val], digits.y[val]))
        if val_losses[-1] < lowest:
            lowest = val_losses[-1]
            best_state = copy.deepcopy(model.state_dict())
    return val_losses, best_state


# %%
# For each of five seeds, we train with a decay of 0.01, fixed beforehand, and
# without decay. Early stopping takes the state that the run without decay kept.
# ``load_state_dict`` puts a state into the model. The test images judge all
# three.

curves = {}  # the validation losses of each run
ends = {}  # the states to judge
names = ["no remedy", "weight decay", "early stopping"]
loss = {name: torch.zeros(5) for name in names}  # on the test images
right = {name: torch.zeros(5) for name in names}

# %%
# All runs of a seed start at the same weights.

for seed in range(5):
    torch.manual_seed(seed)
    rows = torch.randperm(10_000)[:200]
    for name, decay in [("weight decay", 0.01), ("no remedy", 0)]:
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(196, 32), nn.ReLU(), nn.Linear(32, 10))
        curves[seed, decay], kept = learn(model, rows, decay)
        ends[name] = copy.deepcopy(model.state_dict())
        if name == "no remedy":
            ends["early stopping"] = kept
    for name in names:
        model.load_state_dict(ends[name])
        loss[name][seed] = validate(model, test_pixels, test_set.y)
        answers = model(test_pixels).argmax(dim=1)
        right[name][seed] = (answers == test_set.y).float().mean()

# %%
# We compare runs with the same seed. (± is the standard error of the mean
# difference.)

for name in names:
    share = right[name].mean()
    print(f"{name}: loss {loss[name].mean():.3f}, right {share:.1%}")
    gain = loss["no remedy"] - loss[name]
    if name != "no remedy":
        error = gain.std() / 5**0.5
        print(f"    lower by {gain.mean():.3f} ± {error:.3f}")

# %%
# Both remedies lower the loss, by about 0.08 and 0.09. They do so for each of
# the five seeds. But they do not read more digits. About 73% are right without
# a remedy and with decay, and 72% with early stopping. What gets better is the
# probabilities.
#
# .. alt:: Validation loss against the epoch, for the first seed. Without decay
#    (0) it falls, is lowest near epoch 60, where a dotted line stands, and
#    rises again. With a decay of 0.01 it rises much less.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
axis.plot(curves[0, 0], label="decay 0")
axis.plot(curves[0, 0.01], "--", label="decay 0.01")
turn = curves[0, 0].index(min(curves[0, 0]))
axis.axvline(turn, color="black", linestyle=":", label="lowest")
axis.set(xlabel="epoch", ylabel="validation loss", ylim=(0.8, 1.4))
axis.legend()

# %%
# .. check::

assert (loss["no remedy"] > loss["weight decay"]).all(), "decay, each seed"
assert (loss["no remedy"] > loss["early stopping"]).all(), "stopping, too"
assert 0.06 < (loss["no remedy"] - loss["weight decay"]).mean() < 0.1, "0.08"
assert 0.07 < (loss["no remedy"] - loss["early stopping"]).mean() < 0.12, "0.09"
assert abs(right["no remedy"].mean() - 0.73) < 0.01, "73%"
assert abs(right["weight decay"].mean() - 0.73) < 0.01, "73%, too"
assert abs(right["early stopping"].mean() - 0.724) < 0.01, "72%"
assert abs(curves[0, 0].index(min(curves[0, 0])) - 60) < 15, (
    "the turn is near epoch 60"
)

# %%
# What goes wrong
# ---------------
# **The decay pulls at the biases, too.** Take two samples, x = −1 and x = 1,
# with the targets 19 and 21. The right answer is a weight of 1 and a bias of
# 20. ``weight_decay=1`` corresponds to λ = ½, so both are divided by 1.5.
#
# Parameters can be given to an optimizer in *groups*, each with options of its
# own. So in the second run the bias gets no decay.

x = torch.tensor([[-1.0], [1.0]])
y = torch.tensor([[19.0], [21.0]])
bias = {}

for bias_decay in [1.0, 0.0]:
    model = nn.Linear(1, 1)
    weights = {"params": [model.weight], "weight_decay": 1.0}
    biases = {"params": [model.bias], "weight_decay": bias_decay}
    optimizer = torch.optim.SGD([weights, biases], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        ((model(x) - y) ** 2).mean().backward()
        optimizer.step()
    bias[bias_decay] = model.bias.item()
    print(f"bias decay {bias_decay}: bias {bias[bias_decay]:.2f}")

# %%
# With decay, the bias is 13.33, and all predictions are far too low. The usual
# rule is to decay the weight matrices only. Biases and the scales of
# normalization layers have one axis, so the recipe tells them apart by
# ``ndim``. (For the digits we skipped this.)

# %%
# .. check::

assert states["reference"]["weight"] == 5, "a reference changes"
assert states["deep copy"]["weight"] == 3, "a deep copy stays"
assert abs(bias[1.0] - 20 / 1.5) < 1e-3, "with decay 13.33"
assert abs(bias[0.0] - 20) < 1e-3, "without 20"

# %%
# Recipe
# ------
# Only the matrices decay, and training stops when the validation loss has
# reached no new low for ``patience`` epochs. The data are made up.

import copy

import torch
from torch import nn
from torch.nn.functional import mse_loss


def make_groups(model, decay):
    matrices = [each for each in model.parameters() if each.ndim > 1]
    others = [each for each in model.parameters() if each.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]


# %%
# With dropout or batch normalization, ``validate`` has to call
# ``model.eval()`` first and ``model.train()`` at the end.


def validate(model, x, y):
    with torch.no_grad():
        return mse_loss(model(x), y).item()


def train_epoch(model, optimizer, x, y):
    optimizer.zero_grad()
    mse_loss(model(x), y).backward()
    optimizer.step()


# %%
# ``fit`` leaves the best weights in the model, and returns their loss.


def fit(model, optimizer, x, y, x_val, y_val, patience=20, max_epochs=5000):
    lowest = validate(model, x_val, y_val)
    best_state = copy.deepcopy(model.state_dict())
    best = 0
    for epoch in range(1, max_epochs + 1):
        train_epoch(model, optimizer, x, y)
        val_loss = validate(model, x_val, y_val)
        if val_loss < lowest:
            lowest = val_loss
            best = epoch
            best_state = copy.deepcopy(model.state_dict())
        if epoch - best >= patience:
            break
    model.load_state_dict(best_state)
    return lowest


# %%
# Split the data, and train once with each decay. Here only the first of 50
# inputs matters.

torch.manual_seed(0)
x = torch.randn(300, 50)
y = 5 + 2 * x[:, :1] + torch.randn(300, 1)
x_train, x_val, x_test = x.split(100)
y_train, y_val, y_test = y.split(100)
models = []
val_losses = []
for decay in [0.0, 0.1, 1.0]:
    model = nn.Linear(50, 1)
    optimizer = torch.optim.SGD(make_groups(model, decay), lr=0.05)
    val_loss = fit(model, optimizer, x_train, y_train, x_val, y_val)
    models.append(model)
    val_losses.append(val_loss)

# %%
# Choose with the validation set, judge with the test set, and predict one new
# example. By our rule it is 5 + 2 · 1 = 7.

best = val_losses.index(min(val_losses))
new = torch.zeros(1, 50)
new[0, 0] = 1
test_error = validate(models[best], x_test, y_test)
with torch.no_grad():
    guess = models[best](new).item()
print(f"model {best}: mean squared error {test_error:.2f}")
print(f"new example: {guess:.1f}")

# %%
# .. check::

assert test_error < 0.7 * y_test.var().item(), "better than the mean"
assert validate(models[best], x_val, y_val) == min(val_losses), "the best"
assert abs(guess - 7) < 1.5, "the guess is near 7"

# A loss that stays the same to the last digit has to end the training.
assert (
    fit(
        models[0],
        torch.optim.SGD(models[0].parameters(), lr=0.05),
        x_train,
        5 + 2 * x_train[:, :1],
        x_val,
        5 + 2 * x_val[:, :1],
        max_epochs=10**9,
    )
    < 1e-6
), "ends after a tie"

# %%
# What you learned
# ----------------
# - Weight decay adds a part of the weight to its gradient, so each step also
#   makes the weight smaller. For a penalty λw², that part is 2λw.
# - Where few examples leave the weights much freedom, decay removes what the
#   start left there.
# - Early stopping returns the weights with the lowest validation loss. The
#   accuracy need not be best there. Keep a deep copy of ``state_dict()``,
#   because the dict changes with the model.
# - The validation set chooses the decay and the epoch, and the test set judges.
#   Biases get no decay.
#
# Exercises
# ---------
# 1. **Predict.** The loss is (w − 6)², and λ is ½. Where is the lowest point?
#    Which ``weight_decay`` does SGD need for it? Where is w after the first
#    step from 0 with a learning rate of 0.1?
# 2. **Change.** Let all 200 weights start at 0, with the same five seeds. How
#    large is the test error without decay now?
# 3. **Extend.** Write a function that gets validation losses and a patience,
#    and returns the epoch whose weights are kept. Try 5, 4, 3, 3.5, 4, 2.5 with
#    a patience of 2 and of 3.

# %%
# .. answer:: 1
#
#    2(w − 6) + w = 0, so w = 4. SGD needs ``weight_decay=1``. At 0 the slope is
#    −12 and the decay adds nothing, so the first step leads to 1.2.

w = torch.zeros((), requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1, weight_decay=1.0)
path = []
for _ in range(100):
    optimizer.zero_grad()
    ((w - 6) ** 2).backward()
    optimizer.step()
    path.append(w.item())
print(f"first {path[0]:.2f}, last {path[-1]:.2f}")

# %%
# .. check::

assert abs(path[0] - 1.2) < 1e-6, "1.2 after the first step"
assert abs(path[-1] - 4) < 1e-4, "4 in the end"

# %%
# .. answer:: 2
#
#    It is about 0.17, nearly the same as with decay. So almost the whole gap
#    came from the random start. But the layers of a network have to start at
#    random, or else they do not learn
#    (:doc:`/lessons/architectures/02_initialization`).

decay = torch.tensor([0.0, 1.0, 10.0, 100.0])
from_zero = torch.zeros(5, 4)
for seed in range(5):
    torch.manual_seed(seed)
    x, y = draw(20)
    _ = draw(20)  # the validation set, not needed here
    w = train_columns(x, y, torch.zeros(200, 4), decay)
    from_zero[seed] = errors(w, *draw(1000))
print("means:", [round(mean, 2) for mean in from_zero.mean(dim=0).tolist()])

# %%
# .. check::

assert abs(from_zero[:, 0].mean() - 0.17) < 0.01, "about 0.17"
assert abs(from_zero[:, 0] - from_zero[:, 1]).max() < 0.05, "as with decay"

# %%
# .. answer:: 3
#
#    With a patience of 2, training ends after epoch 5 and epoch 3 is kept. With
#    a patience of 3, it reaches epoch 6, which is better still. A longer
#    patience costs time and may find a lower loss.


def kept_epoch(val_losses, patience):
    best = 0
    for epoch in range(1, len(val_losses)):
        if val_losses[epoch] < val_losses[best]:
            best = epoch
        if epoch - best >= patience:
            break
    return best + 1  # the first epoch is 1


losses = [5, 4, 3, 3.5, 4, 2.5]
print(kept_epoch(losses, patience=2), kept_epoch(losses, patience=3))

# %%
# .. check::

assert kept_epoch(losses, patience=2) == 3, "epoch 3"
assert kept_epoch(losses, patience=3) == 6, "epoch 6"
