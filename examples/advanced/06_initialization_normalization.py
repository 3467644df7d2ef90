"""
Initialization and normalization
================================

A good initialization, or start, sets the sizes inside a deep network once. What
is gained by a layer that sets them again at each step?

Most deep networks have layers with "norm" in their name, which are said to make
the start unimportant. We test that, and give the network without a norm a fair
chance, with a good start and a learning rate of its own.

After this lesson you can

- say what a layer norm does to a wrong start, and what it cannot do
- compare starts fairly, each at its own best learning rate
- avoid the mistake that batch norm makes easy
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets

torch.manual_seed(0)

# %%
# Two norms by hand
# -----------------
# Here are two examples with two features each. The second is the first times 2.
# :term:`Layer normalization <layer normalization>`
# (:class:`torch.nn.LayerNorm`) looks at one row at a time. It subtracts the
# mean of the row, and divides by the standard deviation. (Under the root, it
# adds 0.00001 to the variance, so that it never divides by 0.)

x = torch.tensor([[1.0, 7.0], [2.0, 14.0]])
row_mean = x.mean(dim=1, keepdim=True)  # 4 and 8
# correction=0: divide by 2, not by 1
row_std = x.std(dim=1, keepdim=True, correction=0)  # 3 and 6
by_hand = (x - row_mean) / row_std
layer_norm = nn.LayerNorm(2)(x).detach()
print("by hand:   ", by_hand.tolist())
print("layer norm:", layer_norm.round(decimals=3).tolist())

# %%
# Both rows have become −1 and 1, so the factor 2 is gone.
# :term:`Batch normalization <batch normalization>` does the same with each
# *column*, that is with one feature over all examples of the batch.

batch_norm = nn.BatchNorm1d(2)(x).detach()
print("batch norm:", batch_norm.round(decimals=3).tolist())

# %%
# Now we put a layer norm behind a layer, and make all weights of the layer 20
# times as large.

inputs = torch.randn(500, 100)
weight = torch.randn(100, 100)
once = nn.LayerNorm(100)(inputs @ weight)
twenty_times = nn.LayerNorm(100)(inputs @ (20 * weight))
change = (once - twenty_times).abs().max().item()
print(f"largest change: {change:.5f}")

# %%
# Only rounding is left of the factor. It multiplies each number of a row, so it
# is divided out, unless the numbers get so small that the 0.00001 counts.

# %%
# .. check::

assert torch.allclose(layer_norm, by_hand, atol=1e-4), "by hand"
assert torch.allclose(by_hand, torch.tensor([[-1.0, 1], [-1, 1]])), "−1 and 1"
assert torch.allclose(
    batch_norm, torch.tensor([[-1.0, -1], [1, 1]]), atol=1e-3
), "columns"
assert change < 1e-4, "rounding"

# %%
# Fifty layers
# ------------
# We take 50 layers of 100 units with tanh, and random weights with one of three
# standard deviations. By the rule of
# :doc:`/lessons/architectures/02_initialization`, σ = √(1/100) = 0.1 keeps the
# size of a sum. (The size of many numbers is the root of their mean square.)


def deep(x, weights, norm):
    outputs = []
    for weight in weights:
        x = torch.tanh(norm(x @ weight))
        outputs.append(x)
    return outputs


def size(numbers):
    return numbers.detach().double().square().mean().sqrt().item()


# %%
# :class:`torch.nn.Identity` returns its input, so it stands for "no norm".

norms = {"no norm": nn.Identity(), "layer norm": nn.LayerNorm(100)}
stds = {"too small": 0.05, "good": 0.1, "too large": 1.0}

# %%
# We note the size of each layer's outputs. Then we send a gradient of size 1
# back from the last layer, and note its size at the inputs and at the first
# layer's weights.

sizes = {}
gradients = {}
weight_gradients = {}
for kind, norm in norms.items():
    for start, std in stds.items():
        torch.manual_seed(0)
        x = torch.randn(200, 100, requires_grad=True)
        weights = [std * torch.randn(100, 100) for _ in range(50)]
        weights[0].requires_grad_()
        outputs = deep(x, weights, norm)
        outputs[-1].backward(torch.randn(200, 100))
        sizes[kind, start] = [size(output) for output in outputs]
        gradients[kind, start] = size(x.grad)
        weight_gradients[kind, start] = size(weights[0].grad)

# %%
# This has arrived at the two ends.

for kind, start in sizes:
    print(f"{kind}, {start}: size {sizes[kind, start][-1]:.2f},", end=" ")
    print(f"gradient {gradients[kind, start]:.0e}")
small = weight_gradients["layer norm", "too small"]
large = weight_gradients["layer norm", "too large"]
print(f"layer norm, gradient of the weights: {small / large:.0f} to 1")

# %%
# .. alt:: Two panels with the size of the outputs against the layer, 1 to 50.
#    Left, without a norm: the small start falls steeply below the panel, the
#    good one falls slowly to about 0.1, and the large one is level just below
#    1. Right, with a layer norm, the three lines lie on each other, level at
#    about 0.6.

# %%
# .. drawing::

figure, axes = plt.subplots(
    1, 2, figsize=(6.4, 2.9), layout="constrained", sharey=True
)
layers = list(range(1, 51))
styles = {"too small": "v:", "good": "o-", "too large": "^--"}
for axis, kind in zip(axes, norms, strict=True):
    for start, style in styles.items():
        axis.plot(
            layers, sizes[kind, start], style, markersize=4, markevery=7,
            label=start,
        )  # fmt: skip
    axis.set(title=kind, xlabel="layer", yscale="log", ylim=(0.001, 2))
axes[0].set_ylabel("size of the outputs")
lines = axes[0].get_legend_handles_labels()
figure.legend(*lines, loc="outside upper center", ncols=3, fontsize=8)

# %%
# Without a norm, the small start lets everything vanish. With the large one
# most outputs are close to −1 or 1, and the gradient explodes. With a layer
# norm, the three starts give outputs of the same size, and the same gradient at
# the inputs.
#
# But the large weights, which are 20 times the small ones, get a 20th of their
# gradient. And the gradient still grows on its way back, to about 60 here,
# since the layers multiply it by the slope of tanh, and divide it by the size
# of the outputs before them, which is mostly a little smaller. (The residual
# connections of :doc:`/lessons/architectures/06_residual` help.)

# %%
# .. check::

assert sizes["no norm", "too small"][-1] < 1e-12, "vanishes"
assert gradients["no norm", "too small"] < 1e-12, "vanishes"
assert 0.06 < sizes["no norm", "good"][-1] < 0.12, "about 0.1"
assert sizes["no norm", "too large"][-1] > 0.9, "close to −1 or 1"
assert gradients["no norm", "too large"] > 1e12, "explodes"
assert all(
    abs(sizes["layer norm", start][-1] - 0.63) < 0.02 for start in stds
), "the same sizes"
assert all(45 < gradients["layer norm", start] < 80 for start in stds), (
    "about 60 times"
)
assert size(torch.tanh(once)) < size(1 - torch.tanh(once) ** 2) < 0.75, (
    "a little smaller"
)
assert abs(small / large - 20) < 0.5, "a 20th of the gradient"

# %%
# On real data
# ------------
# We take digits, with every second pixel of every second row. Of the 10,000
# images, 8,000 are for training, and the other 2,000 choose the learning rate.

train_set, test_set = datasets.mnist()
pixels = train_set.x[:, 0, ::2, ::2].flatten(1)  # (10000, 196)
mean = pixels[:8000].mean()
std = pixels[:8000].std()
images = (pixels - mean) / std
labels = train_set.y
test_images = (test_set.x[:, 0, ::2, ::2].flatten(1) - mean) / std

# %%
# Ten layers of 16 units with tanh are followed by ten scores. The weights of
# these layers are those of the good start, times 0.3 (too small), 1 (good) or 3
# (too large). The last layer has no factor, since no norm comes after it.
#
# We train 15 networks side by side. A weight has the shape (network, input,
# output), so 64 images times the first weights give (15, 64, 16). The factor is
# 0.3 for five networks, then 1 and 3 for the same five.

factors = torch.tensor(5 * [0.3] + 5 * [1.0] + 5 * [3.0])
factors = factors.reshape(15, 1, 1)


def first_weights(seed):
    torch.manual_seed(seed)
    weights = []
    for inputs in [196] + 9 * [16]:
        five = torch.randn(5, inputs, 16) / inputs**0.5
        weights.append(factors * five.repeat(3, 1, 1))
    last = torch.randn(5, 16, 10) / 16**0.5
    weights.append(last.repeat(3, 1, 1))  # no factor
    return weights


def scores_of(x, weights, norm):
    outputs = deep(x, weights[:-1], norm)
    return outputs[-1] @ weights[-1]  # (15, image, 10)


# %%
# We train for two epochs with Adam, with the same batches for all. For the loss
# we lay the 15 blocks of scores under each other, so the labels come 15 times.


def learn(norm, lr, seed, epochs=2):
    weights = first_weights(seed)
    for weight in weights:
        weight.requires_grad_()
    optimizer = torch.optim.Adam(weights, lr=lr, fused=True)  # faster
    torch.manual_seed(1)
    for _ in range(epochs):
        for rows in torch.randperm(8000).split(64):
            scores = scores_of(images[rows], weights, norm).flatten(0, 1)
            loss = cross_entropy(scores, labels[rows].repeat(15))
            optimizer.zero_grad()
            (15 * loss).backward()  # the sum over the 15 networks
            optimizer.step()
    return weights


# %%
# We count the right answers of each network, in percent.


def accuracies(x, y, weights, norm):
    with torch.no_grad():
        answers = scores_of(x, weights, norm).argmax(dim=2)
    right = 100 * (answers == y).float().mean(dim=1)
    return right.reshape(3, 5)  # (start, network)


# %%
# A norm usually learns a weight and a bias for each feature. We leave them out
# (``elementwise_affine=False``), so that our networks share nothing.

norms = {
    "no norm": nn.Identity(),
    "layer norm": nn.LayerNorm(16, elementwise_affine=False),
}
rates = [0.0006, 0.0015, 0.004, 0.01, 0.025]
validation = {}
for kind, norm in norms.items():
    for lr in rates:
        weights = learn(norm, lr, seed=0)
        validation[kind, lr] = accuracies(
            images[8000:], labels[8000:], weights, norm
        )

# %%
# .. alt:: Two panels with the accuracy on validation images against the
#    learning rate, five rates from 0.0006 to 0.025. Left, without a norm, the
#    good start reaches about 85% and the other two stay below 50% at each
#    rate. Right, with a layer norm, each of the three starts reaches about
#    80%, the small one at the second rate, the good one at the third, and the
#    large one at the fourth.

# %%
# .. drawing::

figure, axes = plt.subplots(
    1, 2, figsize=(6.4, 2.9), layout="constrained", sharey=True
)
for axis, kind in zip(axes, norms, strict=True):
    for i, start in enumerate(stds):
        five = torch.stack([validation[kind, lr][i] for lr in rates])
        shifted = [lr * 1.05 ** (i - 1) for lr in rates]
        axis.errorbar(
            shifted, five.mean(dim=1), five.std(dim=1), fmt=styles[start],
            capsize=3, label=start,
        )  # fmt: skip
    axis.set(title=kind, xlabel="learning rate", xscale="log", ylim=(0, 100))
    axis.set_xticks(rates, [str(lr) for lr in rates])
    axis.minorticks_off()
axes[0].set_ylabel("right, in percent")
lines = axes[0].get_legend_handles_labels()
figure.legend(*lines, loc="outside upper center", ncols=3, fontsize=8)

# %%
# Each start gets the rate at which its five networks did best. Then five new
# networks are trained with it, and judged on the test images.

result = {}
best_rate = {}
trained = {}
for kind, norm in norms.items():
    for i, start in enumerate(stds):
        means = torch.stack([validation[kind, lr][i].mean() for lr in rates])
        lr = rates[means.argmax()]
        best_rate[kind, start] = lr
        if (kind, lr) not in trained:
            trained[kind, lr] = learn(norm, lr, seed=1)
        weights = trained[kind, lr]
        right = accuracies(test_images, test_set.y, weights, norm)
        result[kind, start] = right[i]

# %%
# ± is the standard deviation of five networks, which differ only in their first
# weights. In brackets is the difference from the good start without a norm,
# network by network, ± its :term:`standard error`.

good = result["no norm", "good"]
for kind in norms:
    for start in stds:
        five = result[kind, start]
        gap = five - good
        error = gap.std() / 5**0.5
        print(f"{kind}, {start}, lr {best_rate[kind, start]}:")
        print(f"    {five.mean():.1f} ± {five.std():.1f}", end="")
        print(f" ({gap.mean():+.1f} ± {error:.1f})")

# %%
# Without a norm, only the good start learns well. With a layer norm, all three
# starts are only a few points behind. So in these two epochs, the norm made
# up for most of a wrong start, and did not improve on a good one. (The peak of
# the small start in the left panel was luck, as the new networks show.)
#
# It did not make the start unimportant. With the norm, the larger the weights,
# the higher the best rate. That fits Adam, which moves a weight by about the
# learning rate, and such a move has less effect on a large weight. At a rate
# that is too high, networks with the norm fail, too.

# %%
# .. check::

assert all(
    (good - result["no norm", start]).mean() > 20
    for start in ["too small", "too large"]
), "only the good start"
assert all(
    0 < (good - result["layer norm", start]).mean() < 7 for start in stds
), "a few points behind"
assert (
    best_rate["layer norm", "too small"] <= best_rate["layer norm", "good"]
), "the larger, the higher"
assert (
    best_rate["layer norm", "good"] <= best_rate["layer norm", "too large"]
), "the larger, the higher"
assert (
    best_rate["layer norm", "too small"] < best_rate["layer norm", "too large"]
), "the larger, the higher"
assert validation["layer norm", 0.025][0].mean() < 60, "fail, too"
assert validation["no norm", 0.0015][0].mean() > 2 + (
    result["no norm", "too small"].mean()
), "luck"

# %%
# More time
# ---------
# Perhaps the wrong starts only need more time? We train for four epochs instead
# of two, without a norm, at the best rate of the good start.

none = norms["no norm"]
lr = best_rate["no norm", "good"]
after_two = accuracies(test_images, test_set.y, trained["no norm", lr], none)
weights = learn(none, lr, seed=1, epochs=4)
after_four = accuracies(test_images, test_set.y, weights, none)
for i, start in enumerate(stds):
    two = after_two[i]
    four = after_four[i]
    print(f"{start}: {two.mean():.1f} ± {two.std():.1f} after two,", end=" ")
    print(f"{four.mean():.1f} ± {four.std():.1f} after four")

# %%
# After two epochs, the wrong starts are about as far at this rate as at their
# own. More time makes the gap smaller. But they are still far from what the
# norm reached in two epochs. What it saves here is at least time.

# %%
# .. check::

assert all(
    (after_four[1] - after_four[i]).mean()
    < (after_two[1] - after_two[i]).mean()
    for i in [0, 2]
), "the gap gets smaller"
assert result["no norm", "too small"].mean() - after_two[0].mean() < 12, (
    "about as far"
)
assert result["no norm", "too large"].mean() - after_two[2].mean() < 12, (
    "about as far"
)
assert after_four[0].mean() < result["layer norm", "too small"].mean() - 15, (
    "still far"
)
assert after_four[2].mean() < result["layer norm", "too large"].mean() - 15, (
    "still far"
)

# %%
# What goes wrong
# ---------------
# Batch norm works on columns, so in training the answer for one image depends
# on the other images of its batch. After ``model.eval()``, it uses *running
# averages* from the training instead. What if you forget ``eval()`` before the
# test? We train five small networks with batch norm.

five_networks = []
for seed in range(5):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(196, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.004)
    for rows in torch.randperm(8000).split(64):
        loss = cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    five_networks.append(model)

# %%
# The test images come in batches of 100, mixed or sorted by digit.


def right_share(model, order):
    right = 0
    with torch.no_grad():
        for rows in order.split(100):
            answers = model(test_images[rows]).argmax(dim=1)
            right += (answers == test_set.y[rows]).sum().item()
    return 100 * right / len(order)


# %%
# We forget ``eval()`` in the second and third test.

mixed = torch.randperm(2000)
in_order = test_set.y.argsort(stable=True)
share = torch.zeros(4, 5)
for i, model in enumerate(five_networks):
    model.eval()
    share[0, i] = right_share(model, mixed)
    model.train()
    share[1, i] = right_share(model, mixed)
    share[2, i] = right_share(model, in_order)
    model.eval()
    share[3, i] = right_share(model, mixed)
cases = ["eval()", "train, mixed", "train, sorted", "eval() afterwards"]
for case, five in zip(cases, share, strict=True):
    print(f"{case}: {five.mean():.1f} ± {five.std():.1f}")

# %%
# With mixed batches, you would hardly notice the mistake. With sorted ones, the
# networks are little better than guessing. What all images of a batch have in
# common is in the mean of a column, and batch norm subtracts it. Even
# ``eval()`` does not quite undo that afterwards, because a forward pass in
# training mode also changes the running averages, under ``no_grad``, too.

# %%
# .. check::

assert abs(share[0].mean() - share[1].mean()) < 2, "hardly notice"
assert share[2].max() < 25, "little better than guessing"
assert share[3].mean() < share[0].mean() - 0.2, "not quite undone"

# %%
# Recipe
# ------
# A deep network with a layer norm before each tanh but the first (see exercise
# 2). In front of a batch norm, a bias would have no effect, and here we can do
# without. The question is whether a point lies in a circle.

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(600, 2)
y = ((x**2).sum(dim=1) < 1.4).long()

layers = [nn.Linear(2, 32), nn.Tanh()]
for _ in range(9):
    linear = nn.Linear(32, 32, bias=False)
    nn.init.normal_(linear.weight, std=1 / 32**0.5)
    layers += [linear, nn.LayerNorm(32), nn.Tanh()]
model = nn.Sequential(*layers, nn.Linear(32, 2))

# %%
# The first 400 points are for training.

optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
for _ in range(100):
    loss = nn.functional.cross_entropy(model(x[:400]), y[:400])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# The other 200 points judge it. ``eval()`` does nothing here, but keep it, in
# case you exchange the norm.

model.eval()
with torch.no_grad():
    right = (model(x[400:]).argmax(dim=1) == y[400:]).float().mean()
    chance = torch.softmax(model(torch.tensor([[0.1, 0.2]])), dim=1)
print(f"right: {right:.0%}, new point inside: {chance[0, 1]:.2f}")

# %%
# .. check::

assert right > 0.9, "far better than guessing"
assert chance[0, 1] > 0.5, "inside"

# %%
# What you learned
# ----------------
# - A layer norm divides out a common factor of the weights in front of it.
# - Here, the norm made up for most of a wrong start. It did not beat a good
#   one.
# - With a norm, the scale of the weights still decides which learning rate is
#   best. So compare starts and norms each at its own rate.
# - Batch norm mixes the examples of a batch in training mode. Call ``eval()``
#   before you test.
#
# Exercises
# ---------
# 1. **Predict.** :class:`torch.nn.RMSNorm`, common in large language models,
#    subtracts no mean. It divides each row by its size, the root of the mean
#    square. What does it make of the rows (1, 7) and (2, 14)?
# 2. **Change.** Put a layer norm behind the first layer of the recipe, too. Do
#    it once with the bias of that layer, and once without. Why is one of the
#    two networks no better than guessing?
# 3. **Extend.** Repair the running averages of ``five_networks``, without
#    training the weights. (Look up ``reset_running_stats`` and ``momentum`` in
#    :class:`torch.nn.BatchNorm1d`.)

# %%
# .. answer:: 1
#
#    The mean squares are (1 + 49) / 2 = 25 and 100, so the sizes are 5 and 10.
#    Both rows become 0.2 and 1.4.

rows = torch.tensor([[1.0, 7.0], [2.0, 14.0]])
print(nn.RMSNorm(2)(rows).detach())

# %%
# .. check::

assert torch.allclose(
    nn.RMSNorm(2)(rows), torch.tensor([[0.2, 1.4], [0.2, 1.4]]), atol=1e-5
), "0.2 and 1.4"

# %%
# .. answer:: 2
#
#    Without a bias, x and 2x differ only by a factor, and the norm removes it.
#    So a point twice as far in the same direction gives the same outputs, but
#    the distance was just what the question is about. With a bias, Wx + b and
#    2Wx + b differ by more than a factor, and the distance survives. (The other
#    layers go on from what they have learned.)

with_norm = {}
for bias in [True, False]:
    torch.manual_seed(0)
    first = [nn.Linear(2, 32, bias=bias), nn.LayerNorm(32)]
    model = nn.Sequential(*first, *layers[1:], nn.Linear(32, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(100):
        loss = nn.functional.cross_entropy(model(x[:400]), y[:400])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        answers = model(x[400:]).argmax(dim=1)
    with_norm[bias] = (answers == y[400:]).float().mean()
    print(f"bias {bias}: {with_norm[bias]:.0%}")

# %%
# .. check::

assert with_norm[False] < 0.65, "no better than guessing"
assert with_norm[True] > 0.9, "the distance survives"

# %%
# .. answer:: 3
#
#    Reset them, and send the training images through in training mode. With
#    ``momentum = None`` each batch counts the same.

repaired = torch.zeros(5)
for i, model in enumerate(five_networks):
    norm = model[1]
    norm.reset_running_stats()
    norm.momentum = None
    model.train()
    with torch.no_grad():
        for part in images[:8000].split(100):
            model(part)
    model.eval()
    repaired[i] = right_share(model, mixed)
print(f"repaired: {repaired.mean():.1f} ± {repaired.std():.1f}")

# %%
# .. check::

assert abs(repaired.mean() - share[0].mean()) < 0.5, "repaired"
