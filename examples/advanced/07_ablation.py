"""
Schedules, clipping, EMA: an ablation
=====================================

You tried a training trick, and your network got better. Was it the trick, or
only a learning rate that happens to suit it?

To find out what a trick is worth, you train with it and without it, and leave
everything else as it is. That is called an :term:`ablation`. We test three
common tricks, and see why "everything else" must not include the learning rate.

After this lesson you can

- compare tricks fairly, each at its own best learning rate
- average the weights of a network during training
- tell an effect from the luck of the seeds, and say "no gain seen"
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from handbook import datasets

torch.manual_seed(0)

# %%
# A trick on one number
# ---------------------
# We minimize x², which has the gradient 2x, and start at x = 8. Our trick is to
# multiply each gradient by one half. After three steps, how far are we?


def after_three_steps(factor, lr):
    x = 8.0
    for _ in range(3):
        x = x - lr * factor * 2 * x
    return x


toy = {}
for lr in [0.25, 0.5, 1.0]:
    toy["plain", lr] = after_three_steps(1.0, lr)
    toy["trick", lr] = after_three_steps(0.5, lr)
    print(f"lr {lr}: plain {toy['plain', lr]}, trick {toy['trick', lr]}")

# %%
# At a rate of 1, the plain steps jump from 8 to −8 and back, while the trick
# leads to the minimum, 0. At a rate of 0.5, the plain steps reach it, and with
# the trick we only get to 1. But with its own best rate, each of the two
# reaches the minimum, so the trick is worth nothing. It only moves the best
# rate from 0.5 to 1.

# %%
# .. check::

assert toy["plain", 1.0] == -8, "to −8 and back"
assert toy["trick", 1.0] == 0, "the trick leads to the minimum"
assert toy["plain", 0.5] == 0, "the plain steps reach it"
assert toy["trick", 0.5] == 1, "only get to 1"

# %%
# Three tricks
# ------------
# You know two of our three tricks. A cosine schedule
# (:doc:`/lessons/networks/04_optimizers`) lets the learning rate fall to 0 by
# the end of the training. Gradient clipping
# (:doc:`/lessons/architectures/08_lstm`) shortens a gradient that is longer
# than a limit.
#
# The third is an :term:`exponential moving average` (EMA) of the weights. After
# each step, the average is moved a little towards the new weights:
#
# .. math:: \text{average} \leftarrow
#    \text{decay} \cdot \text{average} + (1 - \text{decay}) \cdot \text{weights}
#
# In the end, we use the averaged weights instead of the last ones.
# :class:`torch.optim.swa_utils.AveragedModel` keeps such a copy of a model, and
# ``get_ema_multi_avg_fn`` gives it the formula with a decay. (With batch
# normalization, ``update_bn`` must compute the statistics again.) We let one
# weight be 8, 0 and 4, with a decay of 0.5.

one_weight = nn.Linear(1, 1, bias=False)
averaged = AveragedModel(one_weight, multi_avg_fn=get_ema_multi_avg_fn(0.5))
averages = []
for value in [8.0, 0.0, 4.0]:
    with torch.no_grad():
        one_weight.weight.fill_(value)
    averaged.update_parameters(one_weight)
    averages.append(averaged.module.weight.item())
print("weight 8, 0, 4, average", averages)

# %%
# The first call copies 8. Then comes ½ · 8 + ½ · 0 = 4, and ½ · 4 + ½ · 4 = 4.
# The weight jumps about, and the average is calmer.

# %%
# .. check::

assert averages == [8, 4, 4], "the average is calmer"

# %%
# On real data
# ------------
# We take digits, with every second pixel of every second row. Of the 10,000
# images, 8,000 are for training, and the other 2,000 choose the learning rates.

train_set, test_set = datasets.mnist()
pixels = train_set.x[:, 0, ::2, ::2].flatten(1)  # (10000, 196)
mean = pixels[:8000].mean()
std = pixels[:8000].std()
images = (pixels - mean) / std
labels = train_set.y
test_images = (test_set.x[:, 0, ::2, ::2].flatten(1) - mean) / std

# %%
# One training step takes 16 random images. For clipping, we note the length of
# each gradient, which ``clip_grad_norm_`` returns as it was before the cut.

limit = float("inf")  # nothing is cut until we have chosen a limit
norms = []


def training_step(model, optimizer, clipping):
    rows = torch.randint(8000, (16,))
    loss = cross_entropy(model(images[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    if clipping:
        norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
        norms.append(norm.item())
    optimizer.step()


# %%
# Each network is trained for 400 steps of SGD, with one of the three tricks or
# none (plain). Each way of training in such a comparison is called an *arm*.
# The seed decides the first weights and the images, so all arms with one seed
# share them. (With a decay of 0.95, the average reaches back about 20 steps.
# Each arm makes the average and the schedule, but they are only used in their
# own arms. ``fused`` does the same step faster.)


def train(arm, lr, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(196, 32), nn.ReLU(), nn.Linear(32, 10))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, fused=True)
    schedule = CosineAnnealingLR(optimizer, T_max=400)
    for _ in range(400):
        training_step(model, optimizer, clipping=(arm == "clipping"))
        if arm == "cosine":
            schedule.step()
        if arm == "EMA":
            average.update_parameters(model)
    if arm == "EMA":
        return average.module
    return model


# %%
# For several seeds, we count the right answers in percent.


def accuracies(arm, lr, seeds, x, y):
    results = []
    for seed in seeds:
        model = train(arm, lr, seed)
        with torch.no_grad():
            answers = model(x).argmax(dim=1)
        results.append(100 * (answers == y).float().mean().item())
    return torch.tensor(results)


# %%
# Each arm tries five learning rates, with the seeds 0 to 4.

rates = [0.06, 0.12, 0.25, 0.5, 1.0]
validation = {}


def choose_rate(arm):
    means = []
    for lr in rates:
        results = accuracies(arm, lr, range(5), images[8000:], labels[8000:])
        validation[arm, lr] = results
        means.append(results.mean().item())
    return rates[means.index(max(means))]


# %%
# Plain SGD comes first, because its gradients give us the limit. We take their
# median, so that about half of them are cut. This rule looks at no accuracy.

best_rate = {"plain": choose_rate("plain")}
train("clipping", best_rate["plain"], seed=0)  # still cuts nothing
limit = torch.tensor(norms).median().item()
print(f"limit {limit:.2f}")
arms = ["plain", "clipping", "cosine", "EMA"]
for arm in arms[1:]:
    best_rate[arm] = choose_rate(arm)
print(best_rate)

# %%
# .. alt:: The accuracy on validation images against five learning rates, with
#    error bars. Up to 0.25, plain and clipping lie close together, at 88% or a
#    little below. EMA and cosine rise to about 90% at 0.25. At 1.0, plain and
#    EMA have fallen below the panel, cosine to about 62%, and clipping to about
#    70%.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
styles = {"plain": "o-", "clipping": "s--", "cosine": "^-.", "EMA": "v:"}
for i, arm in enumerate(arms):
    results = torch.stack([validation[arm, lr] for lr in rates])
    shifted = [lr * 1.03 ** (i - 1.5) for lr in rates]
    axis.errorbar(
        shifted, results.mean(dim=1), results.std(dim=1), fmt=styles[arm],
        markersize=5, capsize=3, label=arm,
    )  # fmt: skip
axis.set(xlabel="learning rate", ylabel="right, in percent", xscale="log")
axis.set(ylim=(55, 95))
axis.set_xticks(rates, [str(lr) for lr in rates])
axis.minorticks_off()
axis.legend(loc="lower left", ncols=2)

# %%
# The bars are the standard deviation of five seeds. At 1.0, plain and EMA lie
# below the panel. Of our five rates, the cosine and the EMA do best with a
# higher one than plain SGD. They cope with it, since the cosine ends with small
# steps, and the average calms the jumps of large ones. None of the best rates
# lies at the edge, or we would have to try further ones.

# %%
# .. check::

assert all(lr not in (0.06, 1.0) for lr in best_rate.values()), "no edge"
assert best_rate["cosine"] > best_rate["plain"], "cosine: higher"
assert best_rate["EMA"] > best_rate["plain"], "EMA: higher"
assert all(validation[arm, 1.0].mean() < 55 for arm in ["plain", "EMA"]), (
    "below the panel"
)

# %%
# Each at its own best
# --------------------
# Now ten other seeds, 5 to 14, and the test images. We compare seed by seed,
# since a part of the luck may be in both results, and their difference removes
# that part. We print the mean accuracy ± the standard deviation of the ten
# networks. Below it is the gain, the mean of the ten differences from plain ±
# its :term:`standard error`, the standard deviation of these differences
# divided by √10.

norms.clear()
test = {}
gain_at_best = {}
for arm in arms:
    lr = best_rate[arm]
    results = accuracies(arm, lr, range(5, 15), test_images, test_set.y)
    test[arm] = results
    gains = results - test["plain"]
    gain_at_best[arm] = gains
    error = gains.std() / 10**0.5
    print(f"{arm}, lr {lr}: {results.mean():.1f} ± {results.std():.1f}")
    if arm != "plain":
        print(f"  gain {gains.mean():+.1f} ± {error:.1f}")
cut = (torch.tensor(norms) > limit).float().mean().item()
print(f"clipping cut {cut:.0%} of the gradients")

# %%
# .. alt:: Three rows of ten dots, the differences from plain, one dot a seed.
#    Clipping: close to 0, on both sides. Cosine and EMA: the dots lie to the
#    right of 0, up to about 3 points, and the two rows overlap.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
for i, arm in enumerate(arms[1:]):
    axis.plot(gain_at_best[arm], 10 * [i], f"C{i + 1}o", alpha=0.5)
    axis.plot(gain_at_best[arm].mean(), i, "k|", markersize=24)
axis.axvline(0, color="gray", linestyle="--")
axis.set_yticks(range(3), arms[1:])
axis.set(xlabel="difference from plain, in points", ylim=(2.5, -0.5))

# %%
# As a rule of thumb, an effect is seen if the mean difference is further from 0
# than two standard errors. For the cosine and the EMA it is: they gain about
# two points. For clipping, the mean is not above 0 by that much, and some seeds
# gain and some lose. The right words for this are *no gain seen*. What that
# rules out depends on the standard error. Here, we would very likely have seen
# a gain of half a point.
#
# It does not mean that clipping never helps. The result holds for these
# networks, 400 steps and this limit. And it only means something because
# clipping was at work, on about half of the gradients. (The ± contains the luck
# of these ten seeds, but neither that of the test images nor that of the seeds
# that chose the rates.)

# %%
# .. check::

assert (
    gain_at_best["clipping"].mean()
    < 2 * gain_at_best["clipping"].std() / 10**0.5
), "no gain seen"
assert (
    gain_at_best["clipping"].mean()
    + 2 * gain_at_best["clipping"].std() / 10**0.5
    < 0.5
), "we would very likely have seen a gain of half a point"
assert gain_at_best["clipping"].max() > 0, "some seeds gain"
assert gain_at_best["clipping"].min() < 0, "some lose"
assert all(1 < gain_at_best[arm].mean() < 3 for arm in ["cosine", "EMA"]), (
    "about two points"
)
assert all(
    gain_at_best[arm].mean() > 2 * gain_at_best[arm].std() / 10**0.5
    for arm in ["cosine", "EMA"]
), "an effect is seen"
assert 0.4 < cut < 0.65, "about half of the gradients"

# %%
# What goes wrong
# ---------------
# An ablation at one common rate looks fair, and nothing warns you. First, we
# take the best rate of plain SGD, like someone who tuned the old code and then
# adds a trick. Then we take 1.0, like someone who tuned nothing.

gain_at_common = {}
for arm in arms[1:]:
    for lr in [best_rate["plain"], 1.0]:
        gains = validation[arm, lr] - validation["plain", lr]
        gain_at_common[arm, lr] = gains
        error = gains.std() / 5**0.5
        print(f"{arm}, both at {lr}: {gains.mean():+.1f} ± {error:.1f}")
at_one = validation["plain", 1.0].mean()
print(f"plain at 1.0: {at_one:.0f}% right")

# %%
# At the best rate of plain SGD, most of the cosine's gain is gone, and one
# might throw it away. (The EMA keeps most of its gain.) At 1.0, clipping and
# the cosine each seem to gain tens of points. But all four are far below their
# best there, and plain SGD fails. So these lines only say that plain SGD must
# not take this rate. That clipping copes better with a rate that is too high
# may be useful, but "gives better networks" is another claim.
#
# The second mistake is to train only one network for each arm. In the dots
# above, the gains of the cosine are spread over about three points, and with
# some seeds, clipping would have beaten plain SGD.

# %%
# .. check::

assert gain_at_common["cosine", best_rate["plain"]].mean() < 0.5 * (
    validation["cosine", best_rate["cosine"]].mean()
    - validation["plain", best_rate["plain"]].mean()
), "most of the cosine's gain is gone"
assert gain_at_common["EMA", best_rate["plain"]].mean() > 0.5 * (
    validation["EMA", best_rate["EMA"]].mean()
    - validation["plain", best_rate["plain"]].mean()
), "the EMA keeps most"
assert gain_at_common["clipping", 1.0].mean() > 20, "tens of points"
assert gain_at_common["cosine", 1.0].mean() > 20, "tens of points"
assert at_one < 60, "plain SGD fails"
assert all(
    validation[arm, 1.0].mean() < validation[arm, best_rate[arm]].mean() - 8
    for arm in arms
), "far below their best"
assert 2 < gain_at_best["cosine"].max() - gain_at_best["cosine"].min() < 4, (
    "spread over about three points"
)
assert gain_at_best["clipping"].max() > 0, "clipping would have beaten plain"

# %%
# Recipe
# ------
# Does a cosine schedule help a network that decides whether a point lies in a
# circle?

import torch
from torch import nn

torch.manual_seed(0)
points = torch.randn(900, 2)
inside = ((points**2).sum(dim=1) < 1.4).long()

# %%
# The first 300 points are for training, with the cosine schedule or without it.


def fit(cosine, lr, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=120)
    for _ in range(120):
        rows = torch.randint(300, (5,))
        loss = nn.functional.cross_entropy(net(points[rows]), inside[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if cosine:
            schedule.step()
    return net


# %%
# The points 300 to 599 choose the rate of each arm, and the rest is for the
# test.


def right_share(cosine, lr, seed, rows):
    net = fit(cosine, lr, seed)
    with torch.no_grad():
        answers = net(points[rows]).argmax(dim=1)
    return (answers == inside[rows]).float().mean().item()


best_lr = {}
for cosine in [False, True]:
    shares = {}
    for lr in [0.03, 0.1, 0.3, 1.0]:
        five = [
            right_share(cosine, lr, seed, range(300, 600)) for seed in range(5)
        ]
        shares[lr] = sum(five) / 5
    best_lr[cosine] = max(shares, key=shares.get)
print("best rates:", best_lr)

# %%
# Ten other seeds give the verdict. At the end, one network judges a new point.

gains = []
for seed in range(5, 15):
    without = right_share(False, best_lr[False], seed, range(600, 900))
    with_trick = right_share(True, best_lr[True], seed, range(600, 900))
    gains.append(100 * (with_trick - without))
gains = torch.tensor(gains)
print(f"gain: {gains.mean():.1f} ± {gains.std() / 10**0.5:.1f} points")
net = fit(True, best_lr[True], seed=5)
chance = torch.softmax(net(torch.tensor([[0.1, 0.2]])), dim=1)
print(f"new point inside: {chance[0, 1]:.2f}")

# %%
# .. check::

assert gains.mean() > 2 * gains.std() / 10**0.5, "an effect is seen"
assert all(0.03 < lr < 1.0 for lr in best_lr.values()), "not at the edge"
assert chance[0, 1] > 0.5, "inside"

# %%
# What you learned
# ----------------
# - A trick can move the best learning rate. So each arm of an ablation gets its
#   own.
# - Choose the rate on validation data, and compare with other seeds on the test
#   data, seed by seed.
# - "No gain seen" is a result, if the trick was at work and the standard error
#   is small. It is not a rule for other networks.
#
# Exercises
# ---------
# 1. **Predict.** Another trick doubles each gradient of x². What is its best
#    rate, and where does it end after three steps at a rate of 0.5?
# 2. **Change.** Set ``limit`` to 1000, and compare clipping with plain at the
#    best rate of plain, for the seeds 5 to 9. What do the differences say about
#    clipping?
# 3. **Extend.** Do the gains add up? Train with the cosine schedule *and* an
#    EMA. Choose the rate among 0.12, 0.25 and 0.5, and compare with the cosine
#    alone.

# %%
# .. answer:: 1
#
#    A step multiplies x by 1 − 4 · rate, so it arrives at once with the rate
#    0.25. At 0.5, x jumps from 8 to −8 and back, and ends at −8.

print(after_three_steps(2.0, 0.25), after_three_steps(2.0, 0.5))

# %%
# .. check::

assert after_three_steps(2.0, 0.25) == 0, "arrives"
assert after_three_steps(2.0, 0.5) == -8, "back and forth"

# %%
# .. answer:: 2
#
#    Each difference is exactly 0, because no gradient is that long, and the
#    two trainings are the same. That says nothing about clipping. Count how
#    often a trick acts, before you call it useless.

limit = 1000.0
norms.clear()
lr = best_rate["plain"]
clipped = accuracies("clipping", lr, range(5, 10), test_images, test_set.y)
unclipped = test["plain"][:5]  # the same seeds
print((clipped - unclipped).tolist(), "longest gradient:", round(max(norms)))

# %%
# .. check::

assert torch.equal(clipped, unclipped), "exactly 0"
assert max(norms) < limit, "no gradient is that long"

# %%
# .. answer:: 3
#
#    There is hardly any further gain. At the end of the cosine schedule, the
#    steps are so small that the average is almost the same as the last network.
#    So two tricks that help alone need not help more together.


def train_both(lr, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(196, 32), nn.ReLU(), nn.Linear(32, 10))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, fused=True)
    schedule = CosineAnnealingLR(optimizer, T_max=400)
    for _ in range(400):
        training_step(model, optimizer, clipping=False)
        schedule.step()
        average.update_parameters(model)
    return average.module


def both(lr, seeds, x, y):
    results = []
    for seed in seeds:
        model = train_both(lr, seed)
        with torch.no_grad():
            answers = model(x).argmax(dim=1)
        results.append(100 * (answers == y).float().mean().item())
    return torch.tensor(results)


means = {}
for lr in [0.12, 0.25, 0.5]:
    means[lr] = both(lr, range(3), images[8000:], labels[8000:]).mean()
lr = max(means, key=means.get)
results = both(lr, range(5, 10), test_images, test_set.y)
further = results - test["cosine"][:5]  # the same seeds
error = further.std() / 5**0.5
print(f"lr {lr}: further gain {further.mean():+.2f} ± {error:.2f}")

# %%
# .. check::

assert lr == 0.25, "not at the edge"
assert abs(further.mean()) < 0.15, "hardly any further gain"
