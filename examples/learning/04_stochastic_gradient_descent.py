"""
Stochastic gradient descent: mini-batches
=========================================

Why compute the gradient from a few examples when you could use them all?

Until now, each step of gradient descent has used every example. With millions
of images and a large network, a single step could take hours. So nearly all
networks are trained on mini-batches, and the gradient that they follow is only
an estimate. This lesson measures how good that estimate is, and shows that its
noise costs little.

After this lesson you can

- say how the noise of a gradient depends on the batch size
- train on mini-batches, by hand and with ``Batches``
- avoid batches of a sorted table, and recognize them by their loss curve
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import cross_entropy

from handbook import Batches, datasets

torch.manual_seed(0)

# %%
# Four numbers
# ------------
# The smallest model is one number, ``w``, which is to be close to all the
# targets 1, 3, 5 and 7. The loss of a target y is (w − y)², and its slope is
# 2(w − y). These are the slopes at w = 0, and their mean is the slope of the
# mean loss:

y = torch.tensor([1.0, 3.0, 5.0, 7.0])
w = 0.0
slopes = 2 * (w - y)
print("slopes:", slopes.tolist())
print("mean:  ", slopes.mean().item())

# %%
# All four are negative, so all four agree that ``w`` should grow, but not by
# how much. Now suppose that we may look at only two of them. There are six
# possible pairs:

pair_means = []
for i in range(4):
    for n in range(i + 1, 4):
        pair_means.append((slopes[i] + slopes[n]).item() / 2)
print("pairs:", pair_means)
print("mean: ", sum(pair_means) / 6)

# %%
# A pair says something between −4 and −12, and only two of the six say −8. That
# is an *estimate*: it is usually wrong, but it is right on average, because the
# mean of the six is −8. A handful of examples that are drawn at random is a
# :term:`mini-batch`. To follow the gradient of one mini-batch after the other
# is called :term:`stochastic gradient descent`, or SGD. (*Stochastic* means
# that chance plays a part.)

# %%
# .. check::

assert slopes.tolist() == [-2, -6, -10, -14], "four slopes"
assert slopes.mean() == -8, "their mean"
assert pair_means == [-4, -6, -8, -8, -10, -12], "six pairs"
assert sum(pair_means) / 6 == -8, "right on average"

# %%
# Noise against batch size
# ------------------------
# How far off is the estimate? We measure it on the penguins, with the mass as
# the target and the length of a flipper as the input. Both are centred, and the
# length is divided by its standard deviation. The model is w·x, so the slope of
# each penguin is 2(w·x − y)·x, here at w = 0.
#
# For each batch size, draw 2,000 batches and compute the gradient of each one.
# The standard deviation of these 2,000 numbers is the noise. (``randint`` draws
# the positions, so a penguin may be in a batch twice.)

table = datasets.penguins()
length = table.flipper_length
x = (length - length.mean()) / length.std()  # (342,)
y = (table.mass - table.mass.mean()) / 1000  # (342,), in kg
slopes = 2 * (w * x - y) * x
print(f"exact: {slopes.mean():.3f}")

sizes = [1, 4, 16, 64, 256]
noise = []
for size in sizes:
    chosen = torch.randint(0, len(slopes), (2000, size))
    estimates = slopes[chosen].mean(dim=1)  # (2000,)
    noise.append(estimates.std().item())
    print(f"{size:3}: mean {estimates.mean():.3f}, noise {noise[-1]:.3f}")

# %%
# The means are all close to the exact gradient. Look at the noise: from line to
# line, the batch grows four times, and the noise is only halved. The noise
# is divided by the *square root* of the batch size. On axes with logarithmic
# scales, this is a straight line with the slope −½. (Here it holds for every
# size, because the same penguin may be drawn twice. If no example comes twice,
# it holds as long as the batch is a small part of the data, and a batch of all
# the data has no noise at all.)
#
# So, counted in examples, large batches are a bad bargain. From 16 to 256, each
# step costs sixteen times as much, and its noise is a quarter. What if we take
# sixteen steps instead, each with more noise?
#
# .. alt:: The noise of the gradient against the batch size, both on logarithmic
#    scales. The five measured points lie on a dotted straight line with the
#    slope −½.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.plot(sizes, noise, "o", label="measured")
rule = [noise[0] / size**0.5 for size in sizes]
axis.plot(sizes, rule, "k:", label="slope −½")
axis.set(xlabel="batch size", ylabel="noise of the gradient, kg")
axis.set(xscale="log", yscale="log")
axis.set_xticks(sizes, labels=sizes)
axis.legend()

# %%
# .. check::

assert abs(noise[0] / noise[4] - 16) < 1.5, "slope −½: 256 is 16 times 16"
assert abs(noise[2] / noise[3] - 2) < 0.2, "four times the size, half the noise"
assert abs(noise[2] / noise[4] - 4) < 0.4, "sixteen times: a quarter"

# %%
# Training on mini-batches
# ------------------------
# Now we train on 4,000 digits. The scores of an image are its pixels times the
# weights, and the loss is ``cross_entropy``, as in
# :doc:`/lessons/autograd/08_straight_through`. First by hand. ``order`` holds
# the positions of all images in a random order, and each batch takes the next
# ones, until every image was used once. Such a pass through all images is an
# :term:`epoch`.

train_set, test_set = datasets.mnist()
x_train = train_set.x[:4000].flatten(1)  # (4000, 784)
y_train = train_set.y[:4000]


def train_by_hand(order, batch_size, lr):
    weights = torch.zeros(784, 10, requires_grad=True)
    losses = []
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        loss = cross_entropy(x_train[chosen] @ weights, y_train[chosen])
        loss.backward()
        with torch.no_grad():
            weights -= lr * weights.grad
        weights.grad = None
        losses.append(loss.item())
    return weights.detach(), losses


# %%
# The same with the library. :class:`handbook.Batches` cuts the batches, in a
# new order for each epoch if ``shuffle=True``, and ``torch.optim.SGD`` takes
# the steps. (The number of classes is the largest label plus one.) ``accuracy``
# is the share of right answers, the :term:`accuracy`. We will need it for 2,000
# other images, ``x_val``.


def train(x, y, batch_size, lr, shuffle=True, seed=0, epochs=1):
    weights = torch.zeros(x.shape[1], int(y.max()) + 1, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=lr)
    batches = Batches(x, y, batch_size=batch_size, shuffle=shuffle, seed=seed)
    for _ in range(epochs):
        for x_batch, y_batch in batches:
            loss = cross_entropy(x_batch @ weights, y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return weights.detach()


def accuracy(weights, x, y):
    return ((x @ weights).argmax(dim=1) == y).float().mean()


x_val = train_set.x[8000:].flatten(1)  # (2000, 784)
y_val = train_set.y[8000:]


# %%
# In batches of 50, an epoch has 4,000 / 50 = 80 steps. To compare the two
# ways, give both the same order, and do not shuffle again.

order = torch.randperm(4000)
print(len(Batches(x_train, y_train, batch_size=50)), "batches")

by_hand, _ = train_by_hand(order, 50, lr=0.1)
with_batches = train(x_train[order], y_train[order], 50, 0.1, shuffle=False)
print("equal:", torch.allclose(by_hand, with_batches, atol=1e-5))

# %%
# The weights are equal, except for rounding errors.

# %%
# .. check::

assert len(Batches(x_train, y_train, batch_size=50)) == 80, "80 steps"
assert torch.allclose(by_hand, with_batches, atol=1e-5), "the same weights"
assert by_hand.abs().max() > 0.1, "and they have moved"

# %%
# Many noisy steps or few exact ones
# ----------------------------------
# Each training may look at every one of the 4,000 images once. It may use them
# for 400 steps with 10 images each, or for 40, 4, or a single step with all of
# them. Each batch size chooses the best of three :term:`learning rates
# <learning rate>`. What counts is the accuracy on the other images, the mean
# over five seeds, which decide only the order of the images. (The single step
# has just one rate. From weights of 0, it multiplies all scores by the learning
# rate, and the largest score stays the largest. So any learning rate will do.)

rates = {
    10: [0.06, 0.12, 0.25],
    100: [0.35, 0.7, 1.4],
    1000: [0.25, 0.3, 0.36],
    4000: [1.0],
}

chosen_rate = {}
for size, candidates in rates.items():
    means = torch.zeros(len(candidates))
    for i, lr in enumerate(candidates):
        for seed in range(5):
            weights = train(x_train, y_train, size, lr, seed=seed)
            means[i] += accuracy(weights, x_val, y_val) / 5
    chosen_rate[size] = candidates[means.argmax()]
print(chosen_rate)

# %%
# Then five new seeds, and the test images, which were not used so far. The
# number after ± is the standard deviation over the seeds.

x_test = test_set.x.flatten(1)  # (2000, 784)

results = {}
for size, lr in chosen_rate.items():
    found = []
    for seed in range(5, 10):
        weights = train(x_train, y_train, size, lr, seed=seed)
        found.append(accuracy(weights, x_test, test_set.y))
    results[size] = torch.stack(found)
    percent = f"{results[size].mean():.1%} ± {results[size].std():.1%}"
    print(f"{4000 // size:3} x {size:4} images: {percent}")

# %%
# All have used the same images, but many steps are better than few: 400 steps
# win clearly over 4, and 4 over 1. A gradient is exact only at the weights
# where it was computed. After a step, another one is needed.
#
# This compares the number of images, not the time. Computers work through one
# large batch faster than through many small ones. So in practice, people use
# batches of some dozens or hundreds.

# %%
# .. check::

assert results[10].mean() > 0.86, "many noisy steps"
assert results[4000].mean() < 0.7, "one exact step"
assert results[10].mean() > results[1000].mean() + 0.05, "more than a few"
assert results[1000].mean() > results[4000].mean() + 0.05, "a few, or one"

# %%
# What goes wrong
# ---------------
# **Batches of a sorted table.** An estimate is right on average only if the
# batch is drawn at random. Many tables are sorted. The penguins, for example,
# stand in the order of their species. Let us sort the digits in the same way:
# first every 0, then every 1, and so on. Each batch of 100 then holds hardly
# more than one digit. ``sorted_by_label`` does this, and within each digit the
# seed decides the order.


def sorted_by_label(seed):
    torch.manual_seed(seed)
    order = torch.randperm(4000)
    parts = [order[y_train[order] == digit] for digit in range(10)]
    return torch.cat(parts)  # (4000,)


sorted_weights, sorted_losses = train_by_hand(sorted_by_label(0), 100, lr=0.1)
_, mixed_losses = train_by_hand(torch.randperm(4000), 100, lr=0.1)
print("sorted:  ", [round(loss, 1) for loss in sorted_losses[:10]])
print("shuffled:", [round(loss, 1) for loss in mixed_losses[:10]])

# %%
# No error is raised. In most batches the loss even looks excellent, because a
# model that says "9" whatever it sees is right throughout a batch of nines.
# Only when the next digit begins does the loss jump. So a curve with one spike
# for each new class is the sign to look for.
#
# .. alt:: The loss of each of the 40 batches. Shuffled, it falls from 2.3 to
#    below 1. Sorted, it is close to 0 in most batches, and nine times it jumps
#    above 2.3, the loss of guessing.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
axis.plot(sorted_losses, "s-", markersize=3, label="sorted")
axis.plot(mixed_losses, "o--", markersize=3, label="shuffled")
axis.set(xlabel="batch", ylabel="loss")
axis.legend()

# %%
# And what has the model learned? We train with the same images, once in this
# order and once shuffled. The learning rates 0.1 and 0.5 suit the shuffled
# order, and 0.0001 is tiny. We measure with the validation images, because the
# test images have already judged.

by_label = {}
mixed = {}
for lr in [0.0001, 0.1, 0.5]:
    found = torch.zeros(5, 2)
    for seed in range(5):
        order = sorted_by_label(seed)
        x, y = x_train[order], y_train[order]
        unshuffled = train(x, y, 100, lr, shuffle=False)
        shuffled = train(x, y, 100, lr, shuffle=True, seed=seed)
        found[seed, 0] = accuracy(unshuffled, x_val, y_val)
        found[seed, 1] = accuracy(shuffled, x_val, y_val)
    by_label[lr], mixed[lr] = found.mean(dim=0).tolist()
    spread = found.std(dim=0).tolist()
    print(f"lr {lr}, sorted:   {by_label[lr]:.1%} ± {spread[0]:.1%}")
    print(f"lr {lr}, shuffled: {mixed[lr]:.1%} ± {spread[1]:.1%}")

# %%
# With 0.1 and 0.5, sorted training is hardly better than guessing, which gets
# 10%. In the end the model says 9 to nearly everything, because the nines came
# last. So shuffle before you cut. (With 0.0001 the weights hardly move, so all
# steps together are close to the single exact step above, and the order makes
# hardly any difference. But then neither way gets far.)
#
# How much it costs depends on the data. In exercise 2, you try it with the
# penguins.

# %%
# .. check::

assert max(by_label[0.1], by_label[0.5]) < 0.2, "sorted, it hardly learns"
assert ((x_val @ sorted_weights).argmax(dim=1) == 9).float().mean() > 0.8, (
    "with 0.1, it says 9 to nearly everything"
)
assert min(mixed[0.1], mixed[0.5]) > 0.8, "shuffled, it does"
assert abs(by_label[0.0001] - mixed[0.0001]) < 0.02, "with 0.0001, no matter"
assert abs(by_label[0.0001] - results[4000].mean()) < 0.05, "one exact step"
assert (torch.tensor(sorted_losses[1:]) > 2.5).sum() == 9, "nine spikes"
assert torch.tensor(sorted_losses).median() < 0.3, "excellent in most batches"
assert mixed_losses[-1] < 1, "shuffled, it falls"

# %%
# Recipe
# ------
# Mini-batches with a new order in each epoch:

import torch

from handbook import Batches

x = torch.randn(1000, 3)
y = x @ torch.tensor([1.0, 2.0, 3.0])
weights = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.1)
batches = Batches(x, y, batch_size=50, shuffle=True)

for _ in range(3):
    for x_batch, y_batch in batches:
        loss = ((x_batch @ weights - y_batch) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(weights.detach())

# %%
# .. check::

assert torch.allclose(weights, torch.tensor([1.0, 2.0, 3.0]), atol=0.01), (
    "it finds the weights"
)

# %%
# What you learned
# ----------------
# - The gradient of a mini-batch is an estimate: right on average, if the batch
#   is drawn at random.
# - Its noise is divided by the square root of the batch size, as long as the
#   batch is a small part of the data.
# - With the same images, many noisy steps get further than few exact ones.
# - Shuffle the examples, because batches of a sorted table mislead.
#
# Exercises
# ---------
# 1. **Predict.** Four batches of *three* can be drawn from the targets 1, 3, 5
#    and 7. What are the means of their slopes at w = 0, and what is the mean of
#    these four? Is the noise larger or smaller than that of the pairs?
# 2. **Change.** Do the same with the penguins: train a layer that tells the
#    species from the four measurements, sorted and shuffled, with 242 penguins
#    in batches of 10, for three epochs. Do the sorted batches do harm here?
# 3. **Extend.** Noise can even help. At x = 0, y = 0, the loss x² − y² has a
#    *saddle point*: the gradient is 0, but along x it is the lowest place and
#    along y the highest. Start at x = 1, y = 0 and take 25 steps with the
#    learning rate ¼, without noise and then with random numbers of the size
#    0.01 added to the gradient. Where do the runs end? Try five seeds.

# %%
# .. answer:: 1
#
#    The four slopes have the sum −32, and each batch leaves out one of them.
#    The sums are −32 minus the slope that is left out, so the means are −10,
#    −8.67, −7.33 and −6, and their mean is −8. They lie between −6 and −10, and
#    the pairs between −4 and −12, so the noise is smaller.

four = torch.tensor([-2.0, -6.0, -10.0, -14.0])
three_means = (four.sum() - four) / 3
print([round(value, 2) for value in three_means.tolist()])
print(three_means.mean().item())

# %%
# .. check::

assert three_means.max() == -6, "the smallest in size"
assert three_means.min() == -10, "the largest"
assert abs(three_means.mean() + 8) < 1e-5, "right on average"

# %%
# .. answer:: 2
#
#    Hardly. With these three learning rates, the two ways end close together.
#    Probably the three species lie so far apart that a rough training is enough
#    to tell them. But you cannot know this before, and shuffling costs nothing.
#    (The last column of the table is 1, so that each score gets a bias. The
#    mask ``learns`` leaves the penguins in their order.)

columns = [table.bill_length, table.bill_depth, length, table.mass]
measured = torch.stack(columns, dim=1)  # (342, 4)
measured = (measured - measured.mean(dim=0)) / measured.std(dim=0)
features = torch.cat([measured, torch.ones(342, 1)], dim=1)  # (342, 5)


def penguin_accuracy(shuffle, lr, seed):
    torch.manual_seed(seed)
    learns = torch.randperm(342) >= 100  # (342,), True for 242 penguins
    x = features[learns]
    y = table.species[learns]
    weights = train(x, y, 10, lr, shuffle=shuffle, seed=seed, epochs=3)
    return accuracy(weights, features[~learns], table.species[~learns])


gaps = {}
for lr in [0.03, 0.1, 0.3]:
    found = torch.zeros(5, 2)
    for seed in range(5):
        found[seed, 0] = penguin_accuracy(False, lr, seed)
        found[seed, 1] = penguin_accuracy(True, lr, seed)
    unshuffled, shuffled = found.mean(dim=0).tolist()
    gaps[lr] = unshuffled - shuffled
    print(f"lr {lr}: sorted {unshuffled:.1%}, shuffled {shuffled:.1%}")

# %%
# .. check::

assert max(abs(gap) for gap in gaps.values()) < 0.03, "hardly any harm"

# %%
# .. answer:: 3
#
#    The gradient is (2x, −2y), so each step multiplies x by ½ and y by 1.5.
#    Without noise, x is halved again and again, and y stays 0. The run ends at
#    the saddle, although the loss could fall without limit along y. With a
#    little noise, y is soon not exactly 0, and from then on it grows by half in
#    each step, to one side or the other. All five runs leave. In training, the
#    noise of the mini-batches can give such a push.


def descend(noise, steps, seed=0):
    torch.manual_seed(seed)
    place = torch.tensor([1.0, 0.0])
    path = [place]
    for _ in range(steps):
        gradient = torch.tensor([2.0, -2.0]) * place
        gradient = gradient + noise * torch.randn(2)
        place = place - 0.25 * gradient
        path.append(place)
    return torch.stack(path)  # (N, 2)


exact_path = descend(noise=0, steps=25)
noisy_paths = [descend(noise=0.01, steps=25, seed=seed) for seed in range(5)]
print("exact, last:", exact_path[-1].tolist())
print("noisy, last y:", [round(path[-1, 1].item()) for path in noisy_paths])

# %%
# .. check::

assert exact_path[:3, 0].tolist() == [1, 0.5, 0.25], "x is halved"
assert exact_path[:, 1].abs().max() == 0, "y stays 0"
assert exact_path[-1].abs().max() < 1e-6, "at the saddle"
assert min([path[-1, 1].abs() for path in noisy_paths]) > 1, "all five leave"
