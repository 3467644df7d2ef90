"""
LoRA: low-rank adaptation
=========================

A trained network should learn a new task. How few numbers do you have to
learn, and to keep, for it?

Fine-tuning moves every weight, so each new task needs a copy of the whole
network. LoRA freezes the network, and gives each layer two small matrices. Only
these are learned and saved. We measure what that saves, and what it does not.
The answers will not be better than with fine-tuning. With 500 labels, a simple
rule beats all our networks, which is to copy the label of the nearest image.

After this lesson you can

- write a layer with LoRA, and merge it into an ordinary one
- say what LoRA saves, and what it does not
- check that the two small matrices are all you have to keep
"""

# %%
# Setup
# -----

import copy

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

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
# The product has nine numbers, but we only chose six, so it cannot be just any
# matrix. All its rows are multiples of one row, and such a matrix has *rank* 1.
# With *r* columns and *r* rows, the rank is at most *r*, as in
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
# The wider the layer, the smaller the share. In large language models, layers
# are thousands of numbers wide.

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
# Each image is a row of ``x``, so ``x @ A.T @ B.T`` is *BAx* for each of them.
# We freeze a layer, and put LoRA around it:

layer = nn.Linear(64, 64)
layer.requires_grad_(False)
lora = LoRA(layer)
rows = torch.randn(8, 64)
print("same output:", torch.equal(lora(rows), layer(rows)))

lora(rows).square().mean().backward()
print(f"largest gradient: A {lora.A.grad.abs().max():.4f}", end=", ")
print(f"B {lora.B.grad.abs().max():.4f}, W {layer.weight.grad}")

# %%
# As *B* is zero, nothing has changed yet. The gradient of *A* is zero as well,
# because the output sees *A* only through *B*. But *B* has a gradient. After
# its first step it is no longer zero, and then *A* learns, too.
#
# After training, we can *merge* the layer, which means to add *BA* to its
# weight. The result is an ordinary layer again, as fast as before.

with torch.no_grad():
    lora.B += torch.randn(64, 4)  # as if it had learned something
    merged = copy.deepcopy(layer)
    merged.weight += lora.B @ lora.A
    learned = (lora(rows) - layer(rows)).abs().max()
    difference = (lora(rows) - merged(rows)).abs().max()
print(f"LoRA has changed the output by up to {learned:.1f},")
print(f"and the merged layer differs from it by {difference:.0e}")

# %%
# This is only rounding.

# %%
# .. check::

assert not lora.A.grad.any(), "the gradient of A is zero"
assert lora.B.grad.any(), "B has a gradient"
assert layer.weight.grad is None, "W is frozen"
assert learned > 1, "changed"
assert difference < 1e-4, "rounding"

# %%
# On real data
# ------------
# The old task is to read the digits of MNIST, shrunk to 8 × 8 pixels without
# their margin. The new task is to read those of scikit-learn, which other
# people wrote, and which another program brought to 8 × 8 pixels.

old, old_test = datasets.mnist()


def shrink(images):
    middle = images[:, :, 4:24, 4:24]  # 20 × 20 of 28 × 28 pixels
    return interpolate(middle, size=(8, 8), mode="area").flatten(1)


pixels, labels = load_digits(return_X_y=True)
new_x = torch.tensor(pixels / 16, dtype=torch.float32)  # (1797, 64), 0 to 1
new_y = torch.tensor(labels)
pool_x, pool_y = new_x[:900], new_y[:900]  # labels for learning come from here
val_x, val_y = new_x[900:1300], new_y[900:1300]
test_x, test_y = new_x[1300:], new_y[1300:]

# %%
# .. alt:: The digits 0 to 4, five old ones in the upper row and five new ones
#    in the lower row, each of 8 × 8 grey pixels. All can be read. The new ones
#    are narrower and brighter.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 5, figsize=(4.6, 2.2), layout="constrained")
small_old = shrink(old.x[:100])
for i in range(5):
    old_i = small_old[old.y[:100] == i][0]
    new_i = new_x[new_y == i][0]
    for axis, image in zip(axes[:, i], [old_i, new_i], strict=True):
        square = image.reshape(8, 8).numpy()
        axis.imshow(square, cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("old")
axes[1, 0].set_ylabel("new")

# %%
# The network has three linear layers. We train it on the old digits:


def new_network():
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


# %%
# ``fused=True`` moves all weights in one call, which saves time. The optimizer
# skips frozen weights, because they have no gradient.


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
# The old task:

base = new_network()
train(base, shrink(old.x), old.y, lr=3e-3, steps=600, batch_size=128)
base_old = accuracy(base, shrink(old_test.x), old_test.y)
base_new = accuracy(base, test_x, test_y)
print(f"old digits: {base_old:.0%}, new digits: {base_new:.0%}")

# %%
# .. check::

assert base_old > 0.93, "learned"
assert base_new < 0.8, "worse on the new digits"

# %%
# What is saved, and what is not
# ------------------------------
# We compare four ways to the new task. ``prepare`` returns a network for each:


def prepare(way):
    if way == "from scratch":
        return new_network()
    model = copy.deepcopy(base)
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
    model = prepare(way)
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
# LoRA learns 2,344 numbers, 9% of the 26,122 of the whole network. Only these
# have to be saved for each task. Adam needs less memory, too, since it keeps
# two averages for every number that learns.
#
# But for the backward pass, LoRA keeps *more* bytes than full fine-tuning. The
# gradient still passes through all layers, and that of *A* needs the input of
# the layer, as that of *W* would. The product ``x @ A.T`` comes on top. (With
# the head, the backward pass ends at the last layer.)

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
    right = []
    for seed in seeds:
        torch.manual_seed(seed)
        few = torch.randperm(900)[:n]
        model = prepare(way)
        train(model, pool_x[few], pool_y[few], lr)
        right.append(accuracy(model, x, y))
    return torch.tensor(right)


# %%
# First we choose each learning rate on the validation images, with two draws:

grids = {
    20: [0.00003, 0.0001, 0.0003, 0.001, 0.003],
    500: [0.001, 0.003, 0.01, 0.03],
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
# Then we compare, on the test images, with five other draws.

results = {}
for n in [20, 500]:
    for way in ways:
        lr = best_rate[way, n]
        results[way, n] = scores(way, n, lr, range(5), test_x, test_y)
    right = []
    for seed in range(5):
        torch.manual_seed(seed)
        few = torch.randperm(900)[:n]
        nearest = few[torch.cdist(test_x, pool_x[few]).argmin(dim=1)]
        right.append((pool_y[nearest] == test_y).float().mean())
    results["nearest image", n] = torch.stack(right)

# %%
# The mean share of right answers, ± its standard deviation over the draws:

for key, right in results.items():
    way, n = key
    print(f"{n:3} labels, {way}: {right.mean():.3f} ± {right.std():.3f}")

# %%
# LoRA minus full, draw by draw, ± the :term:`standard error`:

for n in [20, 500]:
    lead = results["LoRA", n] - results["full", n]
    error = lead.std() / 5**0.5
    print(f"{n:3} labels, LoRA − full: {lead.mean():+.3f} ± {error:.3f}")

# %%
# .. alt:: Share of right answers on the new digits, for five ways with 20 and
#    with 500 labels. With 20 labels, the means of head, LoRA and full lie above
#    the dashed line of the untouched base, those of scratch and nearest below
#    it. With 500 labels all lie far above it, and nearest is the highest.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
for n, style in {20: "o", 500: "s"}.items():
    rights = [results[way, n] for way in [*ways, "nearest image"]]
    means = [right.mean().item() for right in rights]
    spreads = [right.std().item() for right in rights]
    axis.errorbar(
        range(5), means, spreads, fmt=style, capsize=3, label=f"{n} labels"
    )
axis.axhline(base_new, color="black", linestyle="--", label="base")
axis.set_xticks(range(5), ["head", "LoRA", "full", "scratch", "nearest"])
axis.set(xlabel="way", ylabel="right, new digits", ylim=(0.45, 1))
axis.grid(alpha=0.4)
figure.legend(loc="outside upper center", ncols=3)

# %%
# With 20 labels, the old network helps. In every draw, LoRA is far ahead of the
# network from scratch and of the nearest image. With 500 labels, the network
# from scratch has caught up with LoRA, and in every draw the nearest image is
# ahead of all four networks.
#
# LoRA and full fine-tuning stay close to each other, and full is one or two
# points ahead. The head alone, with the fewest numbers, is at most a few points
# behind LoRA. So here LoRA gives a small file, but no better answers than full
# fine-tuning. (Exercise 2 trains longer. The ± contains the luck of the draw.
# There is only one base. With another one, such small leads may change.)

# %%
# .. check::

assert (results["LoRA", 20] > results["from scratch", 20] + 0.05).all(), (
    "far ahead of the network from scratch"
)
assert (results["LoRA", 20] > results["nearest image", 20] + 0.03).all(), (
    "far ahead of the nearest image"
)
assert (
    results["LoRA", 500] - results["from scratch", 500]
).mean().abs() < 0.03, "caught up"
assert all(
    (results["nearest image", 500] > results[way, 500]).all() for way in ways
), "ahead of all four networks"
assert -0.035 < (results["LoRA", 20] - results["full", 20]).mean() < 0, (
    "one or two points, 20 labels"
)
assert -0.025 < (results["LoRA", 500] - results["full", 500]).mean() < 0, (
    "one or two points, 500 labels"
)
assert all(
    (results["LoRA", n] - results["head", n]).mean() < 0.07 for n in [20, 500]
), "a few points"

# %%
# What goes wrong
# ---------------
# **Both matrices begin with zeros.** It looks even safer, but then the gradient
# of *B* is zero as well, since the output sees *B* only through *A*.

stuck = LoRA(layer)
with torch.no_grad():
    stuck.A.zero_()
stuck(rows).square().mean().backward()
print("largest gradient: A", stuck.A.grad.abs().max().item(), end=", ")
print("B", stuck.B.grad.abs().max().item())

# %%
# So the optimizer never moves them, and there is no error.
#
# **Freezing is forgotten.** We train with 500 labels, once as before, and once
# with all weights learning:

trained = {}
for frozen in [True, False]:
    torch.manual_seed(0)
    model = prepare("LoRA")
    if not frozen:
        model.requires_grad_(True)
    train(model, pool_x[:500], pool_y[:500], lr=0.01)
    trained[frozen] = model

# %%
# Then we keep only *A* and *B*, the *adapter*, and load it into a fresh copy.
# ``strict=False`` says that the adapter does not hold the weights of the base.

loaded_right = {}
for frozen, model in trained.items():
    adapter = {}
    for name, value in model.state_dict().items():
        if name.endswith((".A", ".B")):
            adapter[name] = value
    fresh = prepare("LoRA")
    fresh.load_state_dict(adapter, strict=False)
    model_right = accuracy(model, val_x, val_y)
    fresh_right = accuracy(fresh, val_x, val_y)
    loaded_right[frozen] = [model_right, fresh_right]
    print(f"frozen {frozen}: {model_right:.1%}, loaded: {fresh_right:.1%}")
base_right = accuracy(base, val_x, val_y)
print(f"the base alone: {base_right:.1%}")

# %%
# Without freezing, the training looks fine. But the base has moved, too, and we
# did not keep it. Once loaded, the adapter is hardly better than none. So check
# that the base is unchanged, as the recipe does.

# %%
# .. check::

assert not stuck.A.grad.any(), "A does not move"
assert not stuck.B.grad.any(), "B does not move"
assert loaded_right[True][0] == loaded_right[True][1], "the adapter is enough"
assert loaded_right[False][0] > 0.88, "looks fine"
assert loaded_right[False][1] < base_right + 0.08, "hardly better"

# %%
# Recipe
# ------
# Put your own network and data in place of the first lines.

import copy

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
# ``fit_all`` trains what is not frozen. The old rule is which of the first four
# numbers is the largest, and the new rule is a little different:


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
# Freeze, wrap, train, and check that the base has not moved:

tuned = copy.deepcopy(old_network).requires_grad_(False)
for i in [0, 2]:  # the places of the linear layers
    tuned[i] = LoRA(tuned[i])
fit_all(tuned, inputs[:400], new_rule[:400])
unchanged = all(
    torch.equal(tuned[i].linear.weight, old_network[i].weight) for i in [0, 2]
)
print("base unchanged:", unchanged)

# %%
# Merge a copy for use, and judge it on held-out data:

merged_network = copy.deepcopy(old_network)
with torch.no_grad():
    for i in [0, 2]:
        merged_network[i].weight += tuned[i].B @ tuned[i].A
    held_old = old_network(inputs[2000:2600]).argmax(dim=1)
    held_new = merged_network(inputs[2000:2600]).argmax(dim=1)
    answer = merged_network(inputs[2600:]).argmax(dim=1).item()
old_right = (held_old == new_rule[2000:2600]).float().mean().item()
held_right = (held_new == new_rule[2000:2600]).float().mean().item()
print(f"held out: before {old_right:.0%}, after {held_right:.0%}")
print("new example:", answer, "true:", new_rule[2600].item())

# %%
# .. check::

assert unchanged, "the base has not moved"
assert held_right > old_right + 0.2, "the new rule is learned"

# %%
# What you learned
# ----------------
# - LoRA freezes a layer and learns a change of low rank, *BA*. One matrix
#   begins random, the other one with zeros. Afterwards they can be merged.
# - Fewer numbers are learned and saved, but the backward pass keeps no fewer.
# - The answers were close to those of full fine-tuning. With 500 labels, the
#   nearest image was ahead of both.
# - Check that the base is unchanged before you keep only the adapter.
#
# Exercises
# ---------
# 1. **Predict.** What happens if *A* begins with zeros, and *B* with random
#    numbers? Is the output the same at the start? Which of the two learns
#    first?
# 2. **Change.** Train LoRA and full fine-tuning with 500 labels for 600 steps
#    instead of 150. Does one of them reach the nearest image?
# 3. **Extend.** Learn a second adapter of the same base, for mirrored old
#    digits. Then go back and forth between the two adapters.

# %%
# .. answer:: 1
#
#    The output is the same, because *BA* is still zero. This time *A* has a
#    gradient, and *B* has none.

swapped = LoRA(layer)
with torch.no_grad():
    swapped.A.zero_()
    swapped.B += torch.randn(64, 4)
swapped(rows).square().mean().backward()
print("same output:", torch.equal(swapped(rows), layer(rows)))
print("gradient of A:", bool(swapped.A.grad.any()), end=", ")
print("of B:", bool(swapped.B.grad.any()))

# %%
# .. check::

assert torch.equal(swapped(rows), layer(rows)), "the same"
assert swapped.A.grad.any(), "A has a gradient"
assert not swapped.B.grad.any(), "B has none"

# %%
# .. answer:: 2
#
#    On average, neither reaches the nearest image.

nearest_mean = results["nearest image", 500].mean()
longer = {}
for way in ["LoRA", "full"]:
    right = []
    for seed in range(3):
        torch.manual_seed(seed)
        few = torch.randperm(900)[:500]
        model = prepare(way)
        lr = best_rate[way, 500]
        train(model, pool_x[few], pool_y[few], lr, steps=600)
        right.append(accuracy(model, test_x, test_y))
    longer[way] = sum(right) / 3
    short = results[way, 500][:3].mean()
    print(f"{way}: {short:.3f}, with 600 steps {longer[way]:.3f}")
print(f"nearest image: {nearest_mean:.3f}")

# %%
# .. check::

assert max(longer.values()) < nearest_mean, "neither reaches it"

# %%
# .. answer:: 3
#
#    One network reads new digits with one adapter, and mirrored ones with the
#    other. Each adapter is worse at the other task.

mirrored_x = shrink(old.x[:900].flip(3))
mirrored_test = shrink(old_test.x.flip(3))
tasks = {"new": [pool_x, pool_y], "mirrored": [mirrored_x, old.y[:900]]}
adapters = {}
for task, data in tasks.items():
    torch.manual_seed(0)
    model = prepare("LoRA")
    train(model, data[0], data[1], lr=0.01)
    adapters[task] = {}
    for name, value in model.state_dict().items():
        if name.endswith((".A", ".B")):
            adapters[task][name] = value

alone = accuracy(base, mirrored_test, old_test.y)
print(f"the base alone, mirrored: {alone:.0%}")
network = prepare("LoRA")
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
assert gap[0] > 0.1, "the second adapter is worse on new ones"
assert gap[1] < -0.1, "the first adapter is worse on mirrored ones"
