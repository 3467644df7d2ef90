"""
What fast.ai adds
=================

fast.ai replaces your training loop with one call. What does this call do that
your loop does not?

fast.ai is a course, and `fastai <https://docs.fast.ai>`__ is its library on top
of PyTorch. You keep your network, your batches and your loss. The loop changes,
and with it the optimizer and the schedule of the learning rate.

After this lesson you can

- train your own network with a fastai ``Learner``
- say which defaults differ, and make your loop give the same weights
- test a learning rate that ``lr_find`` suggests
"""

# %%
# Setup
# -----

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.optim.lr_scheduler import OneCycleLR

from handbook import Batches, datasets

torch.manual_seed(0)

# %%
# Notebooks often begin with ``from fastai.vision.all import *``. Afterwards,
# ``DataLoader``, ``Adam`` and ``SGD`` are fastai's and no longer PyTorch's. So
# we import only the names that we need. We hide the warnings of the import
# (fastai 2.8.12).

with warnings.catch_warnings(action="ignore"):
    import fastai.vision.all
    from fastai.vision.all import (
        DataLoaders,
        Learner,
        default_device,
        minimum,
        valley,
    )

default_device(False)  # the CPU; otherwise fastai moves the net to a GPU
digits, test = datasets.mnist()
print("PyTorch's Adam:", fastai.vision.all.Adam is torch.optim.Adam)

# %%
# Ten learning rates
# ------------------
# A ``Learner`` is made of batches, a network and a loss. ``DataLoaders`` holds
# the batches for training and those for validation. Ours are ten batches of
# zeros, since we only want to see the learning rate. ``no_bar`` switches off
# the progress bar, and ``no_logging`` the table of losses. ``recorder.lrs``
# keeps the rate of every step.

toy = nn.Linear(1, 1)
zeros = Batches(torch.zeros(10, 1), torch.zeros(10, 1), batch_size=1)
learn = Learner(DataLoaders(zeros, zeros), toy, loss_func=mse_loss)
with learn.no_bar(), learn.no_logging():
    learn.fit_one_cycle(1, lr_max=1.0)  # one epoch
rates = {"fastai": learn.recorder.lrs}

# %%
# ``fit_one_cycle`` raises the rate and lets it fall again, as PyTorch's
# ``OneCycleLR`` does (:doc:`/lessons/networks/04_optimizers`). We print the
# rates of ``OneCycleLR`` too, with its defaults and matched to fastai's by
# three options.

matched = {
    "total_steps": 11,  # explained below
    "pct_start": 3.5 / 11,  # share of the steps in which the rate rises
    "final_div_factor": 4000,
}
cycles = {"defaults": {"total_steps": 10}, "matched": matched}

# %%

for name, options in cycles.items():
    optimizer = torch.optim.AdamW(toy.parameters())
    scheduler = OneCycleLR(optimizer, max_lr=1.0, **options)
    rates[name] = []
    for _ in range(10):
        rates[name] += scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()

for name, ten in rates.items():
    print(f"{name:8}", " ".join(f"{rate:.2f}" for rate in ten))

# %%
# .. alt:: The rate in ten steps. Both curves rise from 0.04 and fall again.
#    OneCycleLR with its defaults is at 1 in step 3 and at 0 in step 10. fastai
#    is highest in step 4 and ends at 0.04. Crosses lie on the curve of fastai.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.0), layout="constrained")
steps = range(1, 11)
axis.plot(steps, rates["fastai"], "o-", label="fastai")
axis.plot(steps, rates["defaults"], "s--", label="OneCycleLR, defaults")
axis.plot(steps, rates["matched"], "kx", label="OneCycleLR, matched")
axis.set(xlabel="step", ylabel="learning rate", xticks=steps)
axis.legend(fontsize="small")

# %%
# With their defaults, both begin at 1/25. Then three things differ:
#
# - fastai rises for 25% of the steps, and ``OneCycleLR`` for 30%.
# - ``OneCycleLR`` arrives at the lowest rate in step 10. fastai's would come in
#   step 11, after the training. So we tell ``OneCycleLR`` that there are 11.
# - fastai divides the *highest* rate by ``div_final``, 100,000. ``OneCycleLR``
#   divides the *first* rate by ``final_div_factor``, 10,000. The first rate is
#   already 25 times smaller, so fastai's 100,000 is 4,000 here.
#
# ``OneCycleLR`` has its highest rate ``pct_start * total_steps - 1`` steps
# after the first. fastai rises for 25% of 10 steps, so 2.5. From
# ``pct_start * 11 - 1 = 2.5`` follows ``pct_start = 3.5 / 11``. With these
# options, all ten rates agree.

# %%
# .. check::

assert fastai.vision.all.Adam is not torch.optim.Adam, "fastai's Adam"
assert fastai.vision.all.SGD is not torch.optim.SGD, "fastai's SGD"
assert fastai.vision.all.DataLoader is not torch.utils.data.DataLoader, (
    "fastai's DataLoader"
)
assert abs(np.subtract(rates["fastai"], rates["matched"])).max() < 1e-6, (
    "all ten agree"
)
assert abs(np.subtract(rates["fastai"], rates["defaults"])).max() > 0.1, (
    "the defaults differ"
)
assert abs(rates["fastai"][0] - 1 / 25) < 1e-6, "begins at 1/25"
assert abs(rates["defaults"][0] - 1 / 25) < 1e-6, "so does OneCycleLR"
assert max(rates["defaults"]) == 1, "the highest rate, in step 3"

# %%
# One training, two loops
# -----------------------
# Now we train on 2,000 digits, with 2,000 others for validation. The network
# has batch normalization. First our own loop, with five epochs of 40 batches:

train_x = digits.x[:2000]
train_y = digits.y[:2000]
valid_x = digits.x[8000:]
valid_y = digits.y[8000:]


def new_net():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


# %%


def per_batch(net, batches, optimizer, scheduler):
    for _ in range(5):
        for x, y in batches:
            loss = cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()


# %%
# ``train_plain`` uses it with the defaults of PyTorch.


def train_plain(lr, seed, loop=per_batch):
    torch.manual_seed(seed)
    net = new_net()
    batches = Batches(train_x, train_y, batch_size=50, shuffle=True, seed=seed)
    optimizer = torch.optim.AdamW(net.parameters())  # the scheduler sets lr
    scheduler = OneCycleLR(optimizer, max_lr=lr, total_steps=5 * len(batches))
    loop(net, batches, optimizer, scheduler)
    return net


# %%
# fastai's default optimizer is its own ``Adam``, which corresponds to PyTorch's
# ``AdamW``.


def new_learner(seed):
    torch.manual_seed(seed)
    net = new_net()
    batches = Batches(train_x, train_y, batch_size=50, shuffle=True, seed=seed)
    held_out = Batches(valid_x, valid_y, batch_size=500)
    loaders = DataLoaders(batches, held_out)
    return Learner(loaders, net, loss_func=cross_entropy)


def train_fastai(lr, seed):
    learn = new_learner(seed)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(5, lr_max=lr)
    return learn.model


# %%
# Which rate? We try the same ones with both loops, on the validation images.


def percent(net, x, y):
    net.eval()
    with torch.no_grad():
        return 100 * (net(x).argmax(dim=1) == y).float().mean().item()


loops = {"plain": train_plain, "fastai": train_fastai}
grid = [0.01, 0.03, 0.1, 0.3]
valid_percent = {"plain": [], "fastai": []}
for name, train in loops.items():
    for lr in grid:
        scores = [
            percent(train(lr, seed), valid_x, valid_y) for seed in range(3)
        ]
        valid_percent[name].append(sum(scores) / 3)
        print(f"{name}, rate {lr}: {valid_percent[name][-1]:.1f}%")

# %%
# With both, 0.03 and 0.1 do better than the smaller and the larger rate. We
# take 0.1, and test with five other seeds. A seed decides the first weights and
# the order of the images, so both loops get the same ones.

seeds = [20, 21, 22, 23, 24]
nets = {}
results = {}
for name, train in loops.items():
    nets[name] = [train(0.1, seed) for seed in seeds]
    results[name] = torch.zeros(5)
    for i in range(5):
        results[name][i] = percent(nets[name][i], test.x, test.y)

# %%
# The first ± is the standard deviation over the seeds, and the second one the
# standard error of the mean difference.


def show(name, reference):
    values = results[name]
    differences = values - results[reference]  # one difference for each seed
    mean = differences.mean()
    error = differences.std() / 5**0.5
    print(f"{name}: {values.mean():.1f}% ± {values.std():.1f}")
    print(f"    {name} minus {reference}: {mean:.2f} ± {error:.2f}")


plain = results["plain"]
print(f"plain: {plain.mean():.1f}% ± {plain.std():.1f}")
show("fastai", "plain")

# %%
# With these five seeds, we cannot tell the loops apart.

# %%
# .. check::

assert sorted(valid_percent["plain"])[2:] == sorted(
    valid_percent["plain"][1:3]
), "0.03 and 0.1 do better"
assert sorted(valid_percent["fastai"])[2:] == sorted(
    valid_percent["fastai"][1:3]
), "with fastai, too"
assert (
    abs((results["fastai"] - plain).mean())
    < 2.8 * (results["fastai"] - plain).std() / 5**0.5
), "we cannot tell the loops apart"

# %%
# The same weights
# ----------------
# The weights do differ, because fastai's optimizer has other defaults, too. We
# find them in the source of `Learner
# <https://github.com/fastai/fastai/blob/main/fastai/learner.py>`__ and of its
# `optimizers
# <https://github.com/fastai/fastai/blob/main/fastai/optimizer.py>`__:
#
# - Adam's second *beta*, which averages the squared gradients, is 0.99 instead
#   of 0.999.
# - ``eps``, the small number in the denominator, is 1e-5 instead of 1e-8.
# - :term:`Weight decay <weight decay>`: fastai's ``Adam`` decays like PyTorch's
#   ``AdamW``, separately from the gradient. Both use 0.01, but fastai leaves
#   out the biases and the batch normalization.
#
# Let us give our loop these values. In ``float32``, rounding errors grow during
# the training, so we compare in ``float64``.

torch.manual_seed(20)
by_hand = new_net().double()
x64 = train_x.double()
batches = Batches(x64, train_y, batch_size=50, shuffle=True, seed=20)

# %%

norm = by_hand[2]
decayed = [by_hand[1].weight, by_hand[4].weight]
others = [by_hand[1].bias, norm.weight, norm.bias, by_hand[4].bias]
optimizer = torch.optim.AdamW(
    [
        {"params": decayed, "weight_decay": 0.01},
        {"params": others, "weight_decay": 0},
    ],
    betas=(0.9, 0.99),  # OneCycleLR moves the first, like fastai
    eps=1e-5,
)

# %%
# The rate rises for 50 of 200 steps.

scheduler = OneCycleLR(
    optimizer,
    max_lr=0.1,
    total_steps=201,
    pct_start=51 / 201,
    final_div_factor=4000,
)
per_batch(by_hand, batches, optimizer, scheduler)

# %%
# fastai averages the losses in ``float32``, so we convert the loss. The
# gradients stay in ``float64``.


def loss_in_float32(logits, y):
    return cross_entropy(logits, y).float()


torch.manual_seed(20)
batches = Batches(x64, train_y, batch_size=50, shuffle=True, seed=20)
held_out = Batches(valid_x.double(), valid_y, batch_size=500)
learn = Learner(
    DataLoaders(batches, held_out),
    new_net().double(),
    loss_func=loss_in_float32,
)
with learn.no_bar(), learn.no_logging():
    learn.fit_one_cycle(5, lr_max=0.1)

# %%


def largest_difference(net, other):
    largest = 0
    for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
        largest = max(largest, (mine - theirs).abs().max().item())
    return largest


default_gap = largest_difference(nets["plain"][0], nets["fastai"][0])
same_gap = largest_difference(by_hand, learn.model)
print("defaults: above 0.01:      ", default_gap > 0.01)
print("same values: below 0.00001:", same_gap < 1e-5)

# %%
# After 200 steps, no weight differs by more than 0.00001. So for this training,
# nothing is hidden in the call: it is our loop with other defaults.
#
# The ``Learner`` also switches between ``train()`` and ``eval()``, validates
# after each epoch, and moves everything to a GPU if there is one.

# %%
# .. check::

assert default_gap > 0.01, "the defaults give other weights"
assert same_gap < 1e-5, "the same values give the same weights"

# %%
# A suggested rate
# ----------------
# ``lr_find`` trains for up to 100 steps, half a training here, with a growing
# rate, suggests a rate and puts back the old weights. It saves them in a folder
# ``models``, so we give it a temporary place. We use two of its methods:
# ``valley`` is the default, and ``minimum`` takes a tenth of the rate with the
# lowest loss.

suggested = {"valley": [], "minimum": []}
for seed in seeds:
    learn = new_learner(seed)
    with TemporaryDirectory() as folder, learn.no_bar():
        learn.path = Path(folder)
        with warnings.catch_warnings(action="ignore"):  # for its authors, too
            found = learn.lr_find(
                show_plot=False, suggest_funcs=(valley, minimum)
            )
    suggested["valley"].append(found.valley)
    suggested["minimum"].append(found.minimum)
    print(f"seed {seed}: {found.valley:.4f} {found.minimum:.4f}")

# %%
# .. alt:: Validation accuracy over the learning rate. Both loops are highest at
#    0.03 and 0.1. The five rates of valley lie far to the left, between 0.001
#    and 0.005, and those of minimum between 0.03 and 0.1.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.2), layout="constrained")
for name, style in {"plain": "o-", "fastai": "d--"}.items():
    axis.semilogx(grid, valid_percent[name], style, label=name)
low = axis.get_xaxis_transform()  # heights from 0 to 1
for name, style in {"valley": "^", "minimum": "s"}.items():
    marks = {"label": name, "alpha": 0.5, "transform": low}
    axis.plot(suggested[name], 5 * [0.05], style, **marks)
axis.set(xlabel="highest learning rate", ylabel="validation accuracy (%)")
axis.margins(y=0.15)
axis.legend(fontsize="small", loc="upper left")

# %%
# The marks at the bottom are the suggestions. (Their height means nothing.) We
# train with them, and then with ``fit_one_cycle(5)``, without ``lr_max``.

suggested["no lr_max"] = 5 * [None]  # the default
for name, chosen in suggested.items():
    results[name] = torch.zeros(5)
    for i, seed in enumerate(seeds):
        net = train_fastai(chosen[i], seed)
        results[name][i] = percent(net, test.x, test.y)
    show(name, "fastai")
print("rate without lr_max:", learn.lr)

# %%
# The rates of ``valley`` are more than 20 times smaller than 0.1, and cost
# about 2 points. ``minimum`` did as well as 0.1. Start from a suggestion, and
# try larger and smaller rates on validation data.
#
# Without ``lr_max``, ``fit_one_cycle`` took 0.001 without a warning, which cost
# about 3 points. ``OneCycleLR`` asks you for a rate.

# %%
# .. check::

assert max(suggested["valley"]) < 0.1 / 20, "more than 20 times smaller"
assert abs((results["fastai"] - results["valley"]).mean() - 2) < 1, (
    "about 2 points"
)
assert abs((results["fastai"] - results["minimum"]).mean()) < 0.4, (
    "as well as 0.1"
)
assert abs((results["fastai"] - results["no lr_max"]).mean() - 3) < 1, (
    "about 3 points"
)
assert learn.lr == 0.001, "takes 0.001"

# %%
# What goes wrong
# ---------------
# ``fit_one_cycle`` counts the batches itself. In your own loop,
# ``scheduler.step()`` can slip out of the inner loop:


def per_epoch(net, batches, optimizer, scheduler):
    for _ in range(5):
        for x, y in batches:
            loss = cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        epoch_rates.extend(scheduler.get_last_lr())
        scheduler.step()  # once an epoch instead of once a batch


# %%

epoch_rates = []
results["per epoch"] = torch.zeros(5)
for i, seed in enumerate(seeds):
    net = train_plain(0.1, seed, loop=per_epoch)
    results["per epoch"][i] = percent(net, test.x, test.y)
print(f"rate of the last epoch: {epoch_rates[4]:.4f}")
show("per epoch", "plain")

# %%
# The scheduler took 5 of its 200 steps without a warning. (Only too many steps
# are an error.) The rate is still at the beginning of the rise. This costs
# about 1.5 points. So print the last rate once. :func:`handbook.fit` makes you
# choose the ``scheduler_interval``, ``"batch"`` or ``"epoch"``.

# %%
# .. check::

assert max(epoch_rates) < 0.006, "at the beginning of the rise"
assert abs((plain - results["per epoch"]).mean() - 1.5) < 0.8, (
    "about 1.5 points"
)

# %%
# Recipe
# ------
# Put in your own batches, network and loss. Instead of ``Batches``, you can use
# PyTorch's ``DataLoader``. The image that we classify at the end is used for
# neither training nor validation. (Run by itself, the code shows the warnings
# that we hid above.)

import torch
from fastai.vision.all import DataLoaders, Learner, accuracy, default_device
from torch import nn

from handbook import Batches, datasets

default_device(False)  # leave this out to use a GPU
torch.manual_seed(0)
images, _ = datasets.mnist()
fit_x = images.x[:2000]
fit_y = images.y[:2000]
held_x = images.x[2000:4000]
held_y = images.y[2000:4000]

# %%

train_batches = Batches(fit_x, fit_y, batch_size=50, shuffle=True)
valid_batches = Batches(held_x, held_y, batch_size=500)
model = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)
)
learner = Learner(
    DataLoaders(train_batches, valid_batches),
    model,
    loss_func=nn.functional.cross_entropy,
    metrics=accuracy,
)

# %%
# Leave out ``no_bar`` and ``no_logging`` to see the table. ``validate`` returns
# the loss and the metrics on the validation data.

with learner.no_bar(), learner.no_logging():
    learner.fit_one_cycle(5, lr_max=0.01)  # choose the rate by validation
    used = learner.recorder.lrs
    valid_loss, valid_accuracy = learner.validate()
print(f"highest rate: {max(used):.5f}, last rate: {used[-1]:.5f}")
print(f"validation: {valid_accuracy:.0%} right")
model.cpu().eval()  # fastai may have moved it to a GPU
with torch.no_grad():
    guess = model(images.x[4000:4001]).argmax().item()
print(f"new digit: {guess}, true {images.y[4000]}")

# %%
# When is it worth it? fastai also has ready-made parts that we did not test,
# such as augmentation and fine-tuning. Take it if you need several of them. If
# you only need a loop, your own or :func:`handbook.fit` keeps every default
# visible.

# %%
# .. check::

assert valid_accuracy > 0.8, "better than guessing"
assert used[-1] < 0.01 / 100, "the schedule went through"

# %%
# What you learned
# ----------------
# - A ``Learner`` takes your batches, network and loss. It brings its own loop,
#   optimizer and schedule.
# - ``fit_one_cycle`` is ``OneCycleLR`` with other defaults, and fastai's
#   ``Adam`` is ``AdamW`` with others. With the same values, our loop gave the
#   same weights.
# - At the same rate, and otherwise with its own defaults for each loop, we
#   could not tell the accuracies apart.
# - By default, ``lr_find`` suggested rates that were too low for these five
#   epochs. Without ``lr_max``, ``fit_one_cycle`` takes 0.001. Compare with
#   other rates on validation data.
# - If a schedule counts batches, call its ``step`` once a batch. Nothing warns
#   you if you call it too rarely.
#
# Exercises
# ---------
# 1. **Predict.** The toy has ten batches and one epoch. Which rates does fastai
#    use with five batches and two epochs?
# 2. **Change.** Perhaps the loop that calls ``scheduler.step()`` once an epoch
#    only needs a higher rate. Try 0.3 and 1 on the validation images, with
#    three seeds.
# 3. **Extend.** Call ``fit_one_cycle`` twice on one ``Learner``. What starts
#    again, and what continues?

# %%
# .. answer:: 1
#
#    The same ten. fastai counts the batches of all epochs.

five = Batches(torch.zeros(5, 1), torch.zeros(5, 1), batch_size=1)
learn = Learner(DataLoaders(five, five), nn.Linear(1, 1), loss_func=mse_loss)
with learn.no_bar(), learn.no_logging():
    learn.fit_one_cycle(2, lr_max=1.0)
two_epochs = torch.tensor(learn.recorder.lrs)
one_epoch = torch.tensor(rates["fastai"])
print("the same:", torch.allclose(two_epochs, one_epoch))

# %%
# .. check::

assert len(two_epochs) == 10, "ten rates"
assert torch.allclose(two_epochs, one_epoch), "the same"

# %%
# .. answer:: 2
#
#    No. The better of the two is still behind the best rate of our loop.

tuned = []
for lr in [0.3, 1.0]:
    scores = [
        percent(train_plain(lr, seed, loop=per_epoch), valid_x, valid_y)
        for seed in range(3)
    ]
    tuned.append(sum(scores) / 3)
    print(f"rate {lr}: {tuned[-1]:.1f}%")

# %%
# .. check::

assert max(tuned) < max(valid_percent["plain"]) - 0.2, "still behind"

# %%
# .. answer:: 3
#
#    The schedule starts again. The optimizer continues, so Adam has counted 20
#    steps. ``reset_opt=True`` makes a new optimizer.

learn = Learner(DataLoaders(zeros, zeros), nn.Linear(1, 1), loss_func=mse_loss)
with learn.no_bar(), learn.no_logging():
    learn.fit_one_cycle(1, lr_max=1.0)
    learn.fit_one_cycle(1, lr_max=1.0)
again = learn.recorder.lrs
print("rates of the second call:", len(again), f"first {again[0]:.2f}")
counted = learn.opt.state[learn.model.bias]["step"]
print("steps of Adam:", counted)
with learn.no_bar(), learn.no_logging():
    learn.fit_one_cycle(1, lr_max=1.0, reset_opt=True)
reset = learn.opt.state[learn.model.bias]["step"]
print("with reset_opt:", reset)

# %%
# .. check::

assert abs(again[0] - 0.04) < 1e-6, "the schedule starts again"
assert counted == 20, "the optimizer continues"
assert reset == 10, "a new optimizer"
