"""
Stochastic gradient descent: mini-batches
=========================================

Why compute the gradient from a few examples when you could use them all?

Until now, each step of gradient descent has used every example. With millions
of images, a single step would take hours. So nearly all networks are trained on
mini-batches, and the gradient that they follow is only an estimate. This lesson
measures how good that estimate is, and shows that its noise costs little and
sometimes helps.

After this lesson you can

- say how the noise of a gradient depends on the batch size
- train on mini-batches, by hand and with ``Batches``
- avoid two mistakes: batches of a sorted table, and a flat loss curve that is
  taken for the end
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
# All four agree that ``w`` should grow, but not how fast. Now suppose that we
# may look at only two of them. There are six possible pairs:

pair_means = []
for i in range(4):
    for n in range(i + 1, 4):
        pair_means.append((slopes[i] + slopes[n]).item() / 2)
print("pairs:", pair_means)
print("mean: ", sum(pair_means) / 6)

# %%
# A pair says something between −4 and −12 instead of −8. That is an *estimate*:
# it is usually wrong, but it is right on average, because the mean of the six
# is −8. A handful of examples that are drawn at random is a :term:`mini-batch`.
# To follow the gradient of one mini-batch after the other is called
# :term:`stochastic gradient descent`, or SGD. (*Stochastic* means that chance
# plays a part.)

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

table = datasets.penguins()
length = table.flipper_length
x = (length - length.mean()) / length.std()  # (342,)
y = (table.mass - table.mass.mean()) / 1000  # (342,), in kg
slopes = 2 * (0 * x - y) * x
exact = slopes.mean()
print(f"exact: {exact:.3f}")

# %%
# For each batch size, draw 2,000 batches and compute the gradient of each one.
# The standard deviation of these 2,000 numbers is the noise. (``randint`` draws
# the positions, so a penguin may be in a batch twice.)

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
# falls with the *square root* of the batch size. On axes with logarithmic
# scales, this is a straight line with the slope −½.
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
# The slope of a line is the rise divided by the run. With the logarithms of the
# first and the last point:

ratios = torch.tensor([noise[-1] / noise[0], sizes[-1] / sizes[0]])
rise, run = ratios.log().tolist()
print(f"slope {rise / run:.2f}")

# %%
# So large batches are a bad bargain. From 16 to 256, each step costs sixteen
# times as much, and its noise is a quarter. What if we take sixteen steps
# instead, each with more noise?

# %%
# .. check::

assert abs(rise / run + 0.5) < 0.03, "slope −½"
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
pixels = train_set.x.flatten(1)  # (10000, 784)
x_train = pixels[:4000]
y_train = train_set.y[:4000]


def train_by_hand(order, batch_size, lr):
    weights = torch.zeros(784, 10, requires_grad=True)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        loss = cross_entropy(x_train[chosen] @ weights, y_train[chosen])
        loss.backward()
        with torch.no_grad():
            weights -= lr * weights.grad
        weights.grad = None
    return weights.detach()


# %%
# The same with the library. :class:`handbook.Batches` cuts the batches, in a
# new order for each epoch if ``shuffle=True``, and ``torch.optim.SGD`` takes
# the steps. (The number of classes is the largest label plus one.)


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


# %%
# In batches of 50, an epoch has 4,000 / 50 = 80 steps. To compare the two
# ways, give both the same order, and do not shuffle again.

order = torch.randperm(4000)
print(len(Batches(x_train, y_train, batch_size=50)), "batches")

by_hand = train_by_hand(order, 50, lr=0.1)
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
# them. Each batch size may choose its :term:`learning rate` among three. (With
# a single step from weights of 0, all scores are multiplied by the learning
# rate, and the largest score stays the largest. So any learning rate will do.)

x_val = pixels[8000:]
y_val = train_set.y[8000:]
rates = {
    10: [0.06, 0.12, 0.25],
    100: [0.35, 0.7, 1.4],
    1000: [0.15, 0.3, 0.6],
    4000: [1.0],
}


def accuracy(weights, x, y):
    return ((x @ weights).argmax(dim=1) == y).float().mean()


# %%
# What counts is the :term:`accuracy` on 2,000 other images, the mean over five
# seeds. A seed decides only the order of the images.

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
    spread = results[size].std()
    print(f"{4000 // size:3} steps of {size:4} images: ", end="")
    print(f"{results[size].mean():.1%} ± {spread:.1%}")

# %%
# The many noisy steps win clearly, although all have seen the same images. A
# gradient is exact only at the weights where it was computed. After a step,
# another one is needed. With a single large batch there is no second look, and
# with small batches there are 400, each of them rough.
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
# A saddle
# --------
# Noise can even help. Take the loss x² − y². Along x it is a valley, with its
# lowest point at 0. Along y it is a hill, with its top at 0. Such a place,
# where the gradient is 0, but which is lowest in one direction and highest in
# another, is called a *saddle point*.
#
# We start at x = 1 and y = 0, exactly on the ridge. The gradient is (2x, −2y),
# and the learning rate is ¼. So each step multiplies x by ½ and y by 1.5, and
# then adds the noise, if there is any.


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
noisy_path = descend(noise=0.01, steps=25)
print("exact:", exact_path[:4].tolist())
print("exact, last:", exact_path[-1].tolist())
print("noisy, last:", noisy_path[-1].tolist())

# %%
# Without noise, x is halved again and again, and y stays 0. The run ends at the
# saddle, although the loss could fall without limit along y. With a little
# noise, y is soon not exactly 0, and from then on it grows by half in each
# step. The figure shows both paths and their losses.
#
# .. alt:: On the left, contour lines of the saddle. The exact path runs along
#    the ridge and ends in the middle. The noisy path runs beside it, turns in
#    the middle and leaves along y. On the right, the loss against the step.
#    Both fall to 0 and look flat. After about fifteen steps, that of the noisy
#    run falls again.

# %%
# .. drawing::

grid = torch.linspace(-1.5, 1.5, 61)
height = grid**2 - grid.unsqueeze(1) ** 2
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3), layout="constrained")
axes[0].contour(grid, grid, height, levels=12, cmap="Greys", linewidths=0.8)
for path, mark, name in [
    (exact_path, "s-", "exact"),
    (noisy_path, "o--", "noisy"),
]:
    axes[0].plot(path[:, 0], path[:, 1], mark, markersize=3, label=name)
    axes[1].plot(
        path[:, 0] ** 2 - path[:, 1] ** 2, mark, markersize=3, label=name
    )
axes[0].set(xlabel="x", ylabel="y", xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
axes[1].set(xlabel="step", ylabel="loss", ylim=(-2, 1.2))
axes[1].legend()

# %%
# One noisy run may be luck, so here are five. For each one, count the steps
# until y is larger than 1 or smaller than −1.

steps_to_leave = []
for seed in range(5):
    path = descend(noise=0.01, steps=60, seed=seed)
    outside = path[:, 1].abs() > 1  # (61,)
    steps_to_leave.append(outside.int().argmax().item())
print(steps_to_leave)

# %%
# All five leave. In training, the noise of the mini-batches plays this part.

# %%
# .. check::

assert exact_path[:3, 0].tolist() == [1, 0.5, 0.25], "x is halved"
assert exact_path[:, 1].abs().max() == 0, "y stays 0"
assert exact_path[-1].abs().max() < 1e-6, "at the saddle"
assert noisy_path[-1, 1].abs() > 1, "the noise leads away"
assert min(steps_to_leave) > 5, "the loss is flat for a while"
assert max(steps_to_leave) < 40, "all five leave"

# %%
# What goes wrong
# ---------------
# **A flat curve is taken for the end.** Look at the loss on the right of the
# figure again. Around step 10 it is flat, and you might stop there, but the
# noisy run has not reached any bottom. A flat curve says that the gradient is
# small. It does not say that the loss cannot fall. So let a run go on for a
# while before you call it finished.
#
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


# %%
# The same images, once in this order and once shuffled. Three learning rates
# make sure that none is at fault.

by_label = {}
mixed = {}
for lr in [0.05, 0.1, 0.5]:
    found = torch.zeros(5, 2)
    for seed in range(5):
        order = sorted_by_label(seed)
        x, y = x_train[order], y_train[order]
        unshuffled = train(x, y, 100, lr, shuffle=False)
        shuffled = train(x, y, 100, lr, shuffle=True, seed=seed)
        found[seed, 0] = accuracy(unshuffled, x_test, test_set.y)
        found[seed, 1] = accuracy(shuffled, x_test, test_set.y)
    by_label[lr], mixed[lr] = found.mean(dim=0).tolist()
    spread = found.std(dim=0).tolist()
    print(f"lr {lr}, sorted:   {by_label[lr]:.1%} ± {spread[0]:.1%}")
    print(f"lr {lr}, shuffled: {mixed[lr]:.1%} ± {spread[1]:.1%}")

# %%
# Sorted, the training is hardly better than guessing, which reads 10%. Nothing
# reports this mistake. The loss even looks excellent in each batch, because a
# model that says "9" whatever it sees is right throughout a batch of nines. In
# the end it says 9 to nearly everything, because the nines came last. So
# shuffle before you cut.
#
# How much it costs depends on the data. In exercise 2, you try it with the
# penguins.

# %%
# .. check::

assert max(by_label.values()) < 0.2, "sorted, it hardly learns"
assert min(mixed.values()) > 0.8, "shuffled, it does"

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
# - Its noise falls with the square root of the batch size.
# - With the same images, many noisy steps get further than few exact ones.
# - Shuffle the examples, because batches of a sorted table mislead.
# - A flat loss is not the end. At a saddle point, noise leads on.
#
# Exercises
# ---------
# 1. **Predict.** Four batches of *three* can be drawn from the targets 1, 3, 5
#    and 7. What are the means of their slopes at w = 0, and what is the mean of
#    these four? Is the noise larger or smaller than that of the pairs?
# 2. **Change.** Do the same with the penguins: train a layer that tells the
#    species from the four measurements, sorted and shuffled, with 242 penguins
#    in batches of 10, for three epochs. Do the sorted batches do harm here?
# 3. **Extend.** How long does the saddle hold a run with less noise? Count the
#    steps until y leaves, for noise 10⁻², 10⁻⁴, 10⁻⁶ and 10⁻⁸, the mean over
#    five seeds.

# %%
# .. answer:: 1
#
#    Each batch leaves out one slope. The sums are −32 minus the slope that is
#    left out, so the means are −10, −8.67, −7.33 and −6, and their mean is −8.
#    They lie between −6 and −10, and the pairs between −4 and −12, so the noise
#    is smaller.

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
#    Hardly. The three species lie so far apart that a rough training is enough
#    to tell them, and with each learning rate, the two ways end close together.
#    But you cannot know this before, and shuffling costs nothing. (The last
#    column of the table is 1, so that each score gets a bias. The mask
#    ``learns`` leaves the penguins in their order.)

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
#    For noise that is a hundred times smaller, it takes about eleven steps more
#    each time, because 1.5 to the power of 11 is close to 100. So even a tiny
#    noise is enough, and the run is only flat for longer.

means = []
for noise_size in [1e-2, 1e-4, 1e-6, 1e-8]:
    counts = []
    for seed in range(5):
        path = descend(noise=noise_size, steps=100, seed=seed)
        outside = path[:, 1].abs() > 1
        counts.append(outside.int().argmax().item())
    means.append(sum(counts) / 5)
print(means)

# %%
# .. check::

assert abs((means[3] - means[0]) / 3 - 11.4) < 0.7, "eleven steps each"
