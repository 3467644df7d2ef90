"""
LoRA: low-rank adaptation
=========================

A trained network should learn a new task. How few numbers do you have to
learn, and to keep, for it?

Fine-tuning moves every weight, so each new task needs a copy of the whole
network. LoRA freezes the network, and gives each layer two small matrices. Only
these are learned and saved. The answers will not be better than with
fine-tuning, and with 500 labels a simple rule beats all our networks: copy the
label of the nearest image.

After this lesson you can

- write a layer with LoRA, and merge it into an ordinary one
- say what LoRA saves, and what it does not
- save the two small matrices, and check that nothing else moved
"""

# %%
# Setup
# -----

import copy

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import SavedMemory, datasets

torch.manual_seed(0)

# %%
# Two thin matrices
# -----------------
# Multiply a column of three numbers by a row of three numbers:

column = torch.tensor([[1.0], [10.0], [0.0]])  # (3, 1)
row = torch.tensor([[1.0, 2.0, 3.0]])  # (1, 3)
print(column @ row)

# %%
# The product has nine numbers, but we only chose six. All its rows are
# multiples of one row, and such a matrix has *rank* 1. With *r* columns and *r*
# rows, the rank is at most *r*, as in
# :doc:`/lessons/applications/11_matrix_factorization`.
#
# Fine-tuning can change the weight of a layer by any matrix, LoRA only by one
# of low rank. How many numbers does that take, with *r* = 4?

for width in [64, 4096]:
    all_numbers = width * width
    two_matrices = 4 * width + width * 4
    share = two_matrices / all_numbers
    print(f"{width} wide: {two_matrices:,} of {all_numbers:,}, {share:.1%}")

# %%
# In large language models, layers are thousands wide.

# %%
# .. check::

assert (column @ row)[1].tolist() == [10, 20, 30], "ten times the row"
assert 4 * 64 + 64 * 4 == 512, "512 of 4,096"
assert abs((4 * 4096 + 4096 * 4) / 4096**2 - 0.002) < 0.0005, "0.2%"

# %%
# A frozen layer and two small matrices
# -------------------------------------
# The layer itself computes *Wx* + *b*. LoRA adds *BAx*, where *A* has *r* rows
# and *B* has *r* columns. *A* begins with random numbers, and *B* with zeros.
# (The `original paper <https://arxiv.org/abs/2106.09685>`_ also multiplies *BA*
# by a factor α/*r*. Here it is 1.)


class LoRA(nn.Module):
    def __init__(self, linear, rank=4):
        super().__init__()
        width = linear.in_features
        self.linear = linear
        self.A = nn.Parameter(torch.randn(rank, width) / width**0.5)
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + x @ self.A.T @ self.B.T


# %%
# The division keeps the numbers in *Ax* about as large as those in *x*. Each
# example is a row of ``x``, and for a row, (*BAx*)ᵀ = *xᵀAᵀBᵀ*, with shapes
# (8, 64) → (8, 4) → (8, 64). We freeze a layer, and put LoRA around it:

layer = nn.Linear(64, 64)
layer.requires_grad_(False)
lora = LoRA(layer)
rows = torch.randn(8, 64)
print("same output:", torch.equal(lora(rows), layer(rows)))

lora(rows).square().mean().backward()
print(f"largest gradient: A {lora.A.grad.abs().max():.4f}", end=", ")
print(f"B {lora.B.grad.abs().max():.4f}, W {layer.weight.grad}")

# %%
# As *B* is zero, nothing has changed yet, and the gradient of *A*, which the
# output sees only through *B*, is zero. But *B* has a gradient, and after its
# first step, *A* learns, too.
#
# After training, we can *merge* the layer by adding *BA* to its weight. The
# result is an ordinary layer again, as fast as before.

with torch.no_grad():
    lora.B += torch.randn(64, 4)  # as if it had learned something
    merged = copy.deepcopy(layer)
    merged.weight += lora.B @ lora.A
    change = (lora(rows) - layer(rows)).abs().max()
    difference = (lora(rows) - merged(rows)).abs().max()
print(f"LoRA has changed the output by up to {change:.1f},")
print(f"and the merged layer differs from it by {difference:.0e}")

# %%
# This is only rounding.

# %%
# .. check::

assert not lora.A.grad.any(), "the gradient of A is zero"
assert lora.B.grad.any(), "B has a gradient"
assert layer.weight.grad is None, "W is frozen"
assert change > 1, "changed"
assert difference < 1e-4, "rounding"

# %%
# On real data
# ------------
# The old task is to read the digits of MNIST, shrunk to 8 × 8 pixels. The new
# task is to read those of scikit-learn, written by other people, and reduced by
# another program.

old, old_test = datasets.mnist()


def shrink(images):
    middle = images[:, :, 4:24, 4:24]  # 20 × 20 of 28 × 28 pixels
    return nn.AdaptiveAvgPool2d(8)(middle).flatten(1)


pixels, labels = load_digits(return_X_y=True)
new_x = torch.tensor(pixels / 16, dtype=torch.float32)  # (1797, 64), 0 to 1
new_y = torch.tensor(labels)
pool_x, pool_y = new_x[:900], new_y[:900]  # labels for learning come from here
val_x, val_y = new_x[900:1300], new_y[900:1300]
test_x, test_y = new_x[1300:], new_y[1300:]

# %%
# .. alt:: The digits 0 to 4, old ones above and new ones below, each of 8 × 8
#    grey pixels. The new ones are narrower and brighter.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 5, figsize=(4.6, 2.2), layout="constrained")
few_old = shrink(old.x[:100])
for i in range(5):
    old_i = few_old[old.y[:100] == i][0]
    new_i = new_x[new_y == i][0]
    for axis, image in zip(axes[:, i], [old_i, new_i], strict=True):
        square = image.reshape(8, 8).numpy()
        axis.imshow(square, cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("old")
axes[1, 0].set_ylabel("new")

# %%
# The network has three linear layers:


def new_network():
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


# %%
# Frozen weights have no gradient, so the optimizer skips them. (``fused=True``
# saves time.)


def train(model, x, y, lr, steps=150, batch_size=32):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    for _ in range(steps):
        batch = torch.randint(0, len(y), (batch_size,))
        loss = cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def accuracy(model, x, y):
    with torch.no_grad():
        answers = model(x).argmax(dim=1)
    return (answers == y).float().mean().item()


# %%
# We train seven *bases* on the old digits, one for each draw of labels below.

small_old = shrink(old.x)
bases = {}
base_old = []
base_new = []
for seed in [0, 1, 2, 3, 4, 10, 11]:
    torch.manual_seed(seed)
    base = new_network()
    train(base, small_old, old.y, lr=3e-3, steps=600, batch_size=128)
    bases[seed] = base
    base_old.append(accuracy(base, shrink(old_test.x), old_test.y))
    base_new.append(accuracy(base, test_x, test_y))
print(f"old digits: {min(base_old):.1%} to {max(base_old):.1%}")
print(f"new digits: {min(base_new):.1%} to {max(base_new):.1%}")

# %%
# .. check::

assert min(base_old) > 0.91, "learned"
assert max(base_new) < 0.8, "worse on the new digits"

# %%
# What is saved, and what is not
# ------------------------------
# There are four ways to the new task. ``prepare`` returns a network for each:


def prepare(way, seed):
    if way == "from scratch":
        return new_network()
    model = copy.deepcopy(bases[seed])
    if way == "full":  # all weights of the base learn
        return model
    model.requires_grad_(False)
    if way == "head":  # only the last layer learns
        model[4].requires_grad_(True)
    if way == "LoRA":
        for i in [0, 2, 4]:
            model[i] = LoRA(model[i])
    return model


# %%
# :class:`handbook.SavedMemory` counts the bytes that are kept for the backward
# pass (:doc:`/lessons/autograd/05_graph_memory`), here with 32 images.

x, y = pool_x[:32], pool_y[:32]
n_learned = {}
kept_bytes = {}
for way in ["head", "LoRA", "full"]:
    model = prepare(way, 0)
    n_learned[way] = 0
    for weight in model.parameters():
        if weight.requires_grad:
            n_learned[way] += weight.numel()
    with SavedMemory(exclude=[*model.parameters(), x, y]) as saved:
        loss = cross_entropy(model(x), y)
    kept_bytes[way] = saved.nbytes
    print(f"{way}: {n_learned[way]:,} learned,", end=" ")
    print(f"{kept_bytes[way]:,} bytes for backward")

# %%
# LoRA learns 2,344 numbers, 9% of all 26,122. Frozen weights need no gradient
# in memory, nor the two averages that Adam keeps.
#
# But for the backward pass, LoRA in every layer keeps *more* bytes than full
# fine-tuning. The gradient of *A* needs the input of the layer, as that of *W*
# would, and the product ``x @ A.T`` comes on top.

# %%
# .. check::

assert n_learned["LoRA"] == 2344, "2,344"
assert n_learned["full"] == 26122, "26,122"
assert kept_bytes["LoRA"] == kept_bytes["full"] + 3 * 32 * 4 * 4, "x @ A.T"
assert kept_bytes["head"] < kept_bytes["full"], "less"

# %%
# How good is it?
# ---------------
# ``scores`` trains a network for each seed, which also draws the labels:


def scores(way, n, lr, seeds, x, y):
    accuracies = []
    for seed in seeds:
        torch.manual_seed(seed)
        few = torch.randperm(900)[:n]
        model = prepare(way, seed)
        train(model, pool_x[few], pool_y[few], lr)
        accuracies.append(accuracy(model, x, y))
    return torch.tensor(accuracies)


# %%
# We choose each learning rate on 400 validation images, with two draws:

grids = {
    20: [0.0001, 0.0003, 0.001, 0.003, 0.01],
    500: [0.003, 0.01, 0.03],
}
ways = ["head", "LoRA", "full", "from scratch"]
best_rate = {}
for n, rates in grids.items():
    for way in ways:
        means = []
        for lr in rates:
            means.append(scores(way, n, lr, [10, 11], val_x, val_y).mean())
        best_rate[way, n] = rates[torch.stack(means).argmax()]
        print(f"{n} labels, {way}: {best_rate[way, n]}")

# %%
# Then we compare on the test images, with five other draws and bases.

results = {}
for n in [20, 500]:
    for way in ways:
        lr = best_rate[way, n]
        results[way, n] = scores(way, n, lr, range(5), test_x, test_y)
    accuracies = []
    for seed in range(5):
        torch.manual_seed(seed)
        few = torch.randperm(900)[:n]
        nearest = few[torch.cdist(test_x, pool_x[few]).argmin(dim=1)]
        accuracies.append((pool_y[nearest] == test_y).float().mean())
    results["nearest image", n] = torch.stack(accuracies)

# %%
# The mean accuracy, ± its standard deviation over the draws:

for key, shares in results.items():
    way, n = key
    print(f"{n:3} labels, {way}: {shares.mean():.3f} ± {shares.std():.3f}")
base_mean = sum(base_new[:5]) / 5
print(f"the bases alone: {base_mean:.3f}")

# %%
# LoRA minus full, draw by draw, ± the :term:`standard error`:

for n in [20, 500]:
    lead = results["LoRA", n] - results["full", n]
    error = lead.std() / 5**0.5
    print(f"{n:3} labels, LoRA − full: {lead.mean():+.3f} ± {error:.3f}")

# %%
# .. alt:: Accuracy on the new digits, for five ways. With 20 labels, the
#    means of head, LoRA and full lie above the dashed line of the bases
#    alone, those of scratch and nearest below it. With 500, all are far
#    above it, and nearest is highest.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
for n, style in {20: "o", 500: "s"}.items():
    shares = [results[way, n] for way in [*ways, "nearest image"]]
    means = [share.mean().item() for share in shares]
    spreads = [share.std().item() for share in shares]
    axis.errorbar(
        range(5), means, spreads, fmt=style, capsize=3, label=f"{n} labels"
    )
axis.axhline(base_mean, color="black", linestyle="--", label="base")
axis.set_xticks(range(5), ["head", "LoRA", "full", "scratch", "nearest"])
axis.set(xlabel="way", ylabel="accuracy, new digits", ylim=(0.45, 1))
axis.grid(alpha=0.4)
figure.legend(loc="outside upper center", ncols=3)

# %%
# With 20 labels, the old network helps. On average, even the bases alone beat
# the network from scratch and the nearest image, and LoRA adds a few points.
# (Choosing the rates took 400 more labels.) With 500 labels, the network from
# scratch has caught up with LoRA, and in every draw the nearest image is ahead
# of all networks.
#
# On average, LoRA is at best about level with full fine-tuning. So here LoRA
# gives a small file, but no better answers. (These are five draws, and all
# share one test set.)

# %%
# .. check::

assert base_mean > results["from scratch", 20].mean() + 0.03, (
    "ahead of the network from scratch"
)
assert base_mean > results["nearest image", 20].mean() + 0.02, (
    "ahead of the nearest image"
)
assert 0.02 < results["LoRA", 20].mean() - base_mean < 0.1, "a few points"
assert (
    results["LoRA", 500] - results["from scratch", 500]
).mean().abs() < 0.03, "caught up"
assert all(
    (results["nearest image", 500] > results[way, 500]).all() for way in ways
), "ahead of all four networks"
assert -0.04 < (results["LoRA", 20] - results["full", 20]).mean() < 0.01, (
    "at best about level, 20 labels"
)
assert -0.04 < (results["LoRA", 500] - results["full", 500]).mean() < 0.01, (
    "at best about level, 500 labels"
)

# %%
# Why a low rank can be enough
# ----------------------------
# The singular value decomposition writes a matrix as a sum of matrices of rank
# 1. Their sizes are the *singular values*. In the change by full fine-tuning,
# what share of the sum of all squares do the four largest hold?

torch.manual_seed(0)
few = torch.randperm(900)[:500]
full = prepare("full", 0)
train(full, pool_x[few], pool_y[few], best_rate["full", 500])
held = []
for i in [0, 2, 4]:
    change = full[i].weight.detach() - bases[0][i].weight.detach()
    shares = []
    for matrix in [change, torch.randn(change.shape)]:
        squares = torch.linalg.svdvals(matrix) ** 2  # the largest first
        shares.append((squares[:4].sum() / squares.sum()).item())
    held.append(shares)
    print(f"layer {i}: {shares[0]:.0%}, random matrix: {shares[1]:.0%}")

# %%
# About half or more, far more than in a random matrix. So a few
# directions hold much of the change, though rank 4 does not hold all of it. And
# LoRA does not need this change, only one of rank 4 that also answers well.

# %%
# .. check::

assert all(ours > 0.4 for ours, _ in held), "about half or more"
assert all(ours > by_chance + 0.15 for ours, by_chance in held), (
    "far more than in a random matrix"
)

# %%
# What goes wrong
# ---------------
# **Forgetting to freeze.** We repeat the first run with 500 labels, once as it
# was, and once with all weights learning:

trained = {}
for frozen in [True, False]:
    torch.manual_seed(0)
    few = torch.randperm(900)[:500]
    model = prepare("LoRA", 0)
    if not frozen:
        model.requires_grad_(True)
    train(model, pool_x[few], pool_y[few], best_rate["LoRA", 500])
    trained[frozen] = model

# %%
# Then we keep only *A* and *B*, the *adapter*, and load it into a fresh copy.
# ``strict=False`` lets the weights of the base be absent, but it also passes
# over wrong names, so we print ``unexpected_keys``.

loaded_right = {}
for frozen, model in trained.items():
    adapter = {}
    for name, value in model.state_dict().items():
        if name.endswith((".A", ".B")):
            adapter[name] = value
    fresh = prepare("LoRA", 0)
    report = fresh.load_state_dict(adapter, strict=False)
    print("unexpected:", report.unexpected_keys, end=", ")
    model_right = accuracy(model, test_x, test_y)
    fresh_right = accuracy(fresh, test_x, test_y)
    loaded_right[frozen] = [model_right, fresh_right]
    print(f"frozen {frozen}: {model_right:.1%}, loaded: {fresh_right:.1%}")
print(f"the base alone: {base_new[0]:.1%}")

# %%
# Without freezing, the training looks fine. But the base has moved, and the
# moved base is not in the adapter. Once loaded, the adapter is only a little
# better than none.

# %%
# .. check::

assert loaded_right[True][0] == loaded_right[True][1], "the adapter is enough"
assert loaded_right[False][0] > 0.86, "looks fine"
assert loaded_right[False][1] < base_new[0] + 0.08, "only a little better"

# %%
# Recipe
# ------
# Put your own network and data in place of ours. A task with other classes
# needs a new last layer, which also learns and is saved. Biases stay frozen.
# Move the network to the GPU after ``add_lora``. Do not wrap ``out_proj`` of
# ``nn.MultiheadAttention``, or the linear layers of
# ``nn.TransformerEncoderLayer``: their weights are read from outside.

import copy
import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy


class LoRA(nn.Module):
    def __init__(self, linear, rank=4):
        super().__init__()
        width = linear.in_features
        self.linear = linear
        self.A = nn.Parameter(torch.randn(rank, width) / width**0.5)
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + x @ self.A.T @ self.B.T


# %%
# The old rule is which of the first four numbers is the largest.


def fit_all(network, inputs, targets):
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(200):
        loss = cross_entropy(network(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


torch.manual_seed(0)
inputs = torch.randn(2601, 20)
old_rule = inputs[:, :4].argmax(dim=1)
new_rule = (inputs[:, :4] + inputs[:, 4:8]).argmax(dim=1)
old_network = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 4))
fit_all(old_network, inputs[:2000], old_rule[:2000])

# %%
# ``add_lora`` freezes a copy and wraps its linear layers.


def add_lora(network):
    network = copy.deepcopy(network).requires_grad_(False)
    for i in [0, 2]:  # the places of the linear layers
        network[i] = LoRA(network[i])
    return network


# %%
# Is the rest unchanged?

tuned = add_lora(old_network)
before = copy.deepcopy(tuned.state_dict())
fit_all(tuned, inputs[:400], new_rule[:400])
adapter = {}
same = []
for name, value in tuned.state_dict().items():
    if name.endswith((".A", ".B")):
        adapter[name] = value
    else:
        same.append(torch.equal(value, before[name]))
print("base unchanged:", all(same))

# %%
# Save the adapter, and load it:

with tempfile.TemporaryDirectory() as folder:  # choose a place that stays
    path = Path(folder) / "adapter.pt"
    torch.save(adapter, path)
    print(f"file: {path.stat().st_size:,} bytes")
    saved_adapter = torch.load(path)
loaded = add_lora(old_network)
report = loaded.load_state_dict(saved_adapter, strict=False)
print("unexpected:", report.unexpected_keys)

# %%
# Merge, and compare:

merged_network = copy.deepcopy(old_network)
with torch.no_grad():
    for i in [0, 2]:
        merged_network[i].weight += loaded[i].B @ loaded[i].A
    difference = (merged_network(inputs) - tuned(inputs)).abs().max()
print(f"merged differs from tuned by {difference:.0e}")

# %%
# Judge it on held-out data. One answer in ten is wrong.

held_old = old_network(inputs[2000:2600]).argmax(dim=1)
held_new = merged_network(inputs[2000:2600]).argmax(dim=1)
answer = merged_network(inputs[2600:]).argmax(dim=1).item()
old_right = (held_old == new_rule[2000:2600]).float().mean().item()
held_right = (held_new == new_rule[2000:2600]).float().mean().item()
print(f"held out: before {old_right:.0%}, after {held_right:.0%}")
print("new example:", answer, "true:", new_rule[2600].item())

# %%
# .. check::

assert all(same), "the base is unchanged"
assert not report.unexpected_keys, "all names are known"
assert difference < 1e-3, "merged is the same as tuned"
assert 0.85 < held_right < 0.95, "one in ten is wrong"
assert held_right > old_right + 0.2, "the new rule is learned"

# %%
# What you learned
# ----------------
# - LoRA freezes a layer and learns a change of low rank, *BA*. Afterwards,
#   the change can be merged.
# - Fewer numbers learn and are saved. With LoRA in every layer, the backward
#   pass keeps no fewer bytes.
# - The answers were close to those of full fine-tuning.
#
# Exercises
# ---------
# 1. **Predict.** What happens if *A* begins with zeros, and *B* with random
#    numbers? Is the output the same at the start? Which of the two learns
#    first? And what if both begin with zeros?
# 2. **Change.** Train LoRA and full fine-tuning with 500 labels for 450 steps
#    instead of 150. Does one of them reach the nearest image?
# 3. **Extend.** Learn a second adapter of the same base, for mirrored old
#    digits. Then go back and forth between the two adapters.

# %%
# .. answer:: 1
#
#    The output is the same, because *BA* is still zero. This time *A* has a
#    gradient, and *B* has none. So *A* learns first. If both are zero, neither
#    has one, and the optimizer never moves them, without any error.

swapped = LoRA(layer)
with torch.no_grad():
    swapped.A.zero_()
    swapped.B += torch.randn(64, 4)
swapped(rows).square().mean().backward()
print("same output:", torch.equal(swapped(rows), layer(rows)))
print("gradient of A:", bool(swapped.A.grad.any()), end=", ")
print("of B:", bool(swapped.B.grad.any()))

stuck = LoRA(layer)
with torch.no_grad():
    stuck.A.zero_()
stuck(rows).square().mean().backward()
print("both zero: gradient of A:", bool(stuck.A.grad.any()), end=", ")
print("of B:", bool(stuck.B.grad.any()))

# %%
# .. check::

assert torch.equal(swapped(rows), layer(rows)), "the same"
assert swapped.A.grad.any(), "A has a gradient"
assert not swapped.B.grad.any(), "B has none"
assert not stuck.A.grad.any(), "A does not move"
assert not stuck.B.grad.any(), "B does not move"

# %%
# .. answer:: 2
#
#    On average, even with 450 steps, neither reaches the nearest image.

nearest_mean = results["nearest image", 500][:3].mean()
longer = {}
for way in ["LoRA", "full"]:
    accuracies = []
    for seed in range(3):
        torch.manual_seed(seed)
        few = torch.randperm(900)[:500]
        model = prepare(way, seed)
        lr = best_rate[way, 500]
        train(model, pool_x[few], pool_y[few], lr, steps=450)
        accuracies.append(accuracy(model, test_x, test_y))
    longer[way] = sum(accuracies) / 3
    short = results[way, 500][:3].mean()
    print(f"{way}: {short:.3f}, with 450 steps {longer[way]:.3f}")
print(f"nearest image: {nearest_mean:.3f}")

# %%
# .. check::

assert max(longer.values()) < nearest_mean, "neither reaches it"

# %%
# .. answer:: 3
#
#    One network reads new digits with one adapter, and mirrored ones with the
#    other. Each adapter is far worse at the other task.

mirrored_x = shrink(old.x[:900].flip(3))
mirrored_test = shrink(old_test.x.flip(3))
tasks = {"new": [pool_x, pool_y], "mirrored": [mirrored_x, old.y[:900]]}
adapters = {}
for task, data in tasks.items():
    torch.manual_seed(0)
    model = prepare("LoRA", 0)
    train(model, data[0], data[1], lr=0.01)
    adapters[task] = {}
    for name, value in model.state_dict().items():
        if name.endswith((".A", ".B")):
            adapters[task][name] = value

alone = accuracy(bases[0], mirrored_test, old_test.y)
print(f"the base alone, mirrored: {alone:.0%}")
network = prepare("LoRA", 0)
seen = []
for task in ["new", "mirrored", "new"]:
    network.load_state_dict(adapters[task], strict=False)
    right_new = accuracy(network, test_x, test_y)
    right_mirrored = accuracy(network, mirrored_test, old_test.y)
    seen.append([right_new, right_mirrored])
    print(f"{task}: new {right_new:.0%}, mirrored {right_mirrored:.0%}")
gap = torch.tensor(seen)[0] - torch.tensor(seen)[1]
print(f"the first is ahead by {gap[0]:.0%} on new ones", end=", ")
print(f"the second by {-gap[1]:.0%} on mirrored ones")

# %%
# .. check::

assert seen[0] == seen[2], "the same network reads both"
assert gap[0] > 0.2, "the second adapter is far worse on new ones"
assert gap[1] < -0.2, "the first adapter is far worse on mirrored ones"
