"""
Calibration
===========

When a model says 70%, how often should it be right?

A classifier returns probabilities, and people act on them. A doctor who is not
sure orders another test. A letter with an unclear postcode is sorted by hand.
This works only if a model that says 70% is right in 70% of the cases. Training
does not promise that, and the accuracy does not show it.

After this lesson you can

- draw a reliability curve, and see in it whether a model is over-confident
- compute the expected calibration error in a few lines
- fit a temperature on held-out examples, and judge it on others
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from handbook import datasets

torch.manual_seed(0)

# %%
# Four bulbs
# ----------
# Of four light bulbs, three are good. A model has to give the probability that
# a bulb is good. It knows nothing about any single bulb, so it has one score
# for all four, and the probability is the sigmoid of this score. The scores
# ln 1, ln 3 and ln 9 give the probabilities ½, ¾ and ⁹⁄₁₀. Which of them has
# the smallest loss on the four bulbs?

good = torch.tensor([1.0, 1.0, 1.0, 0.0])
for score in torch.tensor([1.0, 3.0, 9.0]).log():
    loss = binary_cross_entropy_with_logits(score.expand(4), good)
    print(f"probability {torch.sigmoid(score):.2f}: loss {loss:.3f}")

# %%
# It is ln 3, with the probability ¾, which is the share of good bulbs. With
# ln 9, the model pays less for the three good bulbs, but far more for the
# fourth. So on the bulbs that the model learned from, the :term:`cross-entropy`
# is smallest at the share of good ones. (Exercise 1 lets training search among
# all scores.)

# %%
# .. check::

assert binary_cross_entropy_with_logits(
    torch.tensor(3.0).log().expand(4), good
) < min(
    binary_cross_entropy_with_logits(torch.zeros(4), good),
    binary_cross_entropy_with_logits(torch.tensor(9.0).log().expand(4), good),
), "3/4 has the smallest loss of the three"

# %%
# What calibrated means
# ---------------------
# A model is *calibrated* if its probabilities come true: of all days with "70%
# rain", it rains on 70%. Suppose that a forecast says 70% on ten days and 90%
# on ten others, and it rains on seven days of each ten. The first ten fit. On
# the others it promised 0.9, and 0.7 came true, so the forecast is
# *over-confident* by 0.2. The mean of the two gaps, 0 and 0.2, is 0.1.
#
# A classifier gives a probability to each class. Its answer is the class with
# the largest probability, and this probability is called the *confidence*. We
# ask only whether the answer is right. A confidence can be any number up to 1,
# so close ones are put together into ten *bins*, from 0 to 0.1, from 0.1 to
# 0.2, and so on. ``bin_table`` returns a row for each bin that is not empty:
# how many answers it has, their mean confidence, and the share of them that is
# right.


def bin_table(confidence, right):
    place = (10 * confidence).int().clamp(max=9)  # from 0 to 9
    rows = []
    for k in range(10):
        inside = place == k
        count = inside.sum().item()
        if count > 0:
            mean_confidence = confidence[inside].mean().item()
            share_right = right[inside].mean().item()
            rows.append([count, mean_confidence, share_right])
    return torch.tensor(rows)  # (bins, 3)


# %%
# The *expected calibration error* (ECE) is the mean gap, where each bin is
# weighted by its number of answers:
#
# .. math::
#
#    \text{ECE} = \sum_k \frac{n_k}{n} \, | r_k - c_k |
#
# The sign Σ sums over all bins. Here n is the number of all answers and
# :math:`n_k` the number in bin :math:`k`. The mean confidence in the bin is
# :math:`c_k`, and :math:`r_k` is the share that is right. The two bars take the
# gap without its sign. Try it with the twenty days, where "right" means that it
# rained.


def calibration_error(table):
    count, mean_confidence, share_right = table.unbind(dim=1)
    gap = (share_right - mean_confidence).abs()
    return ((count * gap).sum() / count.sum()).item()


forecast = torch.tensor([0.7] * 10 + [0.9] * 10)
rain = torch.tensor([1.0] * 7 + [0.0] * 3 + [1.0] * 7 + [0.0] * 3)
days = bin_table(forecast, rain)
print(days)
print(f"ECE {calibration_error(days):.3f}")

# %%
# The two bins have the gaps 0 and 0.2, and the ECE is 0.1, as by hand. (With
# more bins or fewer answers, chance makes the ECE larger. So compare two ECEs
# only with the same bins and the same number of answers.)

# %%
# .. check::

assert torch.allclose(days[:, 0], torch.tensor([10.0, 10.0])), "ten days each"
assert torch.allclose(days[:, 2], torch.tensor([0.7, 0.7])), "rain on seven"
assert abs(calibration_error(days) - 0.1) < 1e-6, "the mean gap is 0.1"

# %%
# On real data
# ------------
# Is a model that reads digits calibrated? ``learn`` trains softmax regression,
# as in :doc:`/lessons/learning/06_softmax_regression`, but without a bias, on
# only 100 images. They are drawn at random from the first 9,000. The last 1,000
# are the :term:`validation set`, which we need later. The 2,000 test images are
# for judging the model.

train_set, test_set = datasets.mnist()
pixels = train_set.x.flatten(1)  # (10000, 784)
x_val = pixels[9000:]  # (1000, 784)
y_val = train_set.y[9000:]
x_test = test_set.x.flatten(1)  # (2000, 784)

# %%
# It returns the weights, and the images and labels that they were learned from.


def learn(seed, steps=400):
    torch.manual_seed(seed)
    chosen = torch.randperm(9000)[:100]
    x = pixels[chosen]
    y = train_set.y[chosen]
    weights = torch.zeros(784, 10, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=1.0)
    for _ in range(steps):
        loss = cross_entropy(x @ weights, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weights.detach(), x, y


# %%
# ``judge`` makes the table of bins from scores and labels. The confidence is
# the largest probability of ``torch.softmax``, and ``right`` is 1 for a right
# answer and 0 for a wrong one. ``report`` prints what the table says about all
# answers together.


def judge(scores, y):
    confidence = torch.softmax(scores, dim=1).amax(dim=1)
    right = (scores.argmax(dim=1) == y).float()
    return bin_table(confidence, right)


def report(name, table):
    count, mean_confidence, share_right = table.unbind(dim=1)
    says = (count * mean_confidence).sum() / count.sum()
    right = (count * share_right).sum() / count.sum()
    ece = calibration_error(table)
    print(f"{name}: says {says:.1%}, right {right:.1%}, ECE {ece:.3f}")


# %%
# How confident is the model on its training images, and on the test images?

weights, x_train, y_train = learn(seed=0)
train_scores = x_train @ weights
test_scores = x_test @ weights
on_train = judge(train_scores, y_train)
before = judge(test_scores, test_set.y)
report("training", on_train)
report("test    ", before)

# %%
# On the test images, the model says 82% on average, and 72% of its answers are
# right. The *reliability curve* (also called reliability diagram or calibration
# curve) shows where the gap lies. It draws, for each bin, the share of right
# answers against the mean confidence. A calibrated model lies on the diagonal.
#
# .. alt:: The share of right answers against the mean confidence, both from 0
#    to 1. A dotted diagonal is the calibrated model. The curve of the softmax
#    regression rises below it. At confidences between 0.5 and 0.9, it is lower
#    than the diagonal by 0.1 to 0.2.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.4, 3.8), layout="constrained")
axis.plot([0, 1], [0, 1], ":", color="black", label="calibrated")
axis.plot(before[:, 1], before[:, 2], "o-", label="softmax regression")
axis.set(xlabel="mean confidence", ylabel="share of right answers")
axis.legend()

# %%
# All points lie below the diagonal, so the model is over-confident. Why? All
# 100 training images are right, after 15 steps already. Larger scores still
# make the loss smaller, as in :doc:`/lessons/learning/05_logistic_regression`,
# so the scores keep growing. At first, the model is not confident enough
# (exercise 2), and later it is too confident for new images. (Large networks
# can be over-confident, too. `Guo and others, 2017
# <https://arxiv.org/abs/1706.04599>`__ measured it, and recommend what comes
# next.)

# %%
# .. check::

assert (on_train[:, 0] * on_train[:, 2]).sum() > 99.5, "all 100 are right"
assert all(
    ((images @ learned).argmax(dim=1) == labels).all()
    for learned, images, labels in [learn(seed=0, steps=15)]
), "after 15 steps already"
assert abs((before[:, 0] * before[:, 2]).sum() / 2000 - 0.72) < 0.015, (
    "72% are right"
)
assert abs((before[:, 0] * before[:, 1]).sum() / 2000 - 0.82) < 0.015, (
    "and it says 82%"
)
assert (before[:, 2] < before[:, 1]).all(), "all points are below the diagonal"
assert ((before[3:7, 1] - before[3:7, 2]) > 0.1).all(), "by more than 0.1"
assert ((before[3:7, 1] - before[3:7, 2]) < 0.22).all(), "and up to 0.2"

# %%
# Temperature
# -----------
# The scores are too far apart, so divide all of them by one number, the
# *temperature* T. For example, the scores ln 1 and ln 9 give the probabilities
# 0.1 and 0.9. With T = 2 they become ln 1 and ln 3, because half of ln 9 is
# ln 3, and the probabilities are ¼ and ¾. The larger score stays the larger
# one. So no answer changes, only its confidence.
#
# Which T is right? Again the one with the smallest
# :func:`cross-entropy <torch.nn.functional.cross_entropy>`, but on images that
# the model did not learn from, so we take the validation set. (The ECE would be
# a rougher guide, because it jumps when an answer moves to another bin.) We try
# 97 temperatures from 0.2 to 5.

temperatures = torch.linspace(0.2, 5, 97)


def losses_at(scores, y):
    losses = []
    for temperature in temperatures:
        losses.append(cross_entropy(scores / temperature, y))
    return torch.stack(losses)  # (97,)


val_losses = losses_at(x_val @ weights, y_val)
best = temperatures[val_losses.argmin()]
print(f"temperature {best:.2f}")
after = judge(test_scores / best, test_set.y)
report("before", before)
report("after ", after)
loss_before = cross_entropy(test_scores, test_set.y)
loss_after = cross_entropy(test_scores / best, test_set.y)
print(f"test loss {loss_before:.2f} before, {loss_after:.2f} after")

# %%
# As many answers are right as before, and now the model says so. The loss on
# the test images is smaller, too. The new curve lies close to the diagonal.
# (Its lowest point stands for three answers only.)
#
# .. alt:: The same axes and the dotted diagonal. The curve before scaling lies
#    below it. The curve after scaling follows it, except for its lowest point.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.4, 3.8), layout="constrained")
axis.plot([0, 1], [0, 1], ":", color="black", label="calibrated")
axis.plot(before[:, 1], before[:, 2], "o-", label="before")
axis.plot(after[:, 1], after[:, 2], "s--", label="after")
axis.set(xlabel="mean confidence", ylabel="share of right answers")
axis.legend(loc="lower right")

# %%
# Was this draw of 100 images a lucky one? We take five others. And how small
# can an ECE become? Even a model with perfect probabilities has an ECE above 0,
# because 2,000 answers are subject to chance. To see how much, we invent such a
# model: an answer with the confidence 0.8 counts as right if a random number
# between 0 and 1 is below 0.8, that is, in 80% of the cases.

errors = torch.zeros(5, 3)  # before, after, by chance alone
for i in range(5):
    learned, _, _ = learn(seed=i + 1)
    best_of_draw = temperatures[losses_at(x_val @ learned, y_val).argmin()]
    scores = x_test @ learned
    plain = judge(scores, test_set.y)
    scaled = judge(scores / best_of_draw, test_set.y)
    errors[i, 0] = calibration_error(plain)
    errors[i, 1] = calibration_error(scaled)
    confidence = torch.softmax(scores / best_of_draw, dim=1).amax(dim=1)
    for _ in range(20):
        right = (torch.rand(2000) < confidence).float()
        invented = bin_table(confidence, right)
        errors[i, 2] += calibration_error(invented) / 20

# %%
# The mean and the range over the five draws, and the mean of the five
# differences with its standard error:

for i, name in enumerate(["before", "after ", "chance"]):
    ece = errors[:, i]
    print(f"{name} {ece.mean():.3f}, from {min(ece):.3f} to {max(ece):.3f}")
gain = errors[:, 0] - errors[:, 1]
print(f"before − after: {gain.mean():.3f} ± {gain.std() / 5**0.5:.3f}")

# %%
# In all five draws, scaling has made the ECE smaller, on average to about a
# quarter. What is left is a little more than chance alone makes, 0.025 against
# 0.019. Two draws are at the level of chance, and the worst is at twice the
# level. And the first draw was lucky: none of the five comes down to its 0.010.
# (A temperature makes all confidences smaller or all of them larger. So one
# temperature cannot repair a model that is over-confident for one class and not
# confident enough for another.)

# %%
# .. check::

assert 1.3 < best < 1.7, "the scores are too large"
assert val_losses.argmin() > 0, "and the temperature is not at the end"
assert (
    abs((after[:, 0] * after[:, 2]).sum() - (before[:, 0] * before[:, 2]).sum())
    < 0.5
), "as many answers are right"
assert (
    abs((after[:, 0] * after[:, 2]).sum() - (after[:, 0] * after[:, 1]).sum())
    < 0.03 * 2000
), "and the model says so"
assert after[0, 0] < 10, "few answers make the lowest point"
assert (gain > 0).all(), "smaller in all five draws"
assert 0.2 < errors[:, 1].mean() / errors[:, 0].mean() < 0.35, "to a quarter"
assert gain.mean() > 5 * gain.std() / 5**0.5, "that is not chance"
assert abs(errors[:, 1].mean() - 0.025) < 0.002, "0.025 after"
assert abs(errors[:, 2].mean() - 0.019) < 0.001, "0.019 by chance"
assert (errors[:, 1] < errors[:, 2]).sum() == 2, "two at the level of chance"
assert 1.8 < (errors[:, 1] / errors[:, 2]).max() < 2.3, "the worst at twice"
assert errors[:, 1].min() > calibration_error(after), "the first was lucky"
assert loss_after < loss_before - 0.05, "the test loss is smaller"

# %%
# What goes wrong
# ---------------
# **The temperature is fitted on the training images.** No error is raised:

train_losses = losses_at(train_scores, y_train)
wrong = temperatures[train_losses.argmin()]
print(f"temperature {wrong:.2f}")
spoiled = judge(test_scores / wrong, test_set.y)
report("test", spoiled)

# %%
# The temperature is 0.2, the smallest that was tried, and it makes the scores
# five times as large. All training images are right, so more confidence always
# pays there. The figure shows both losses. If the best temperature is the first
# or the last that you tried, widen the range. If it stays at the end of the
# range, as it does here, check whether you took the training examples.
#
# .. alt:: The loss against the temperature, from 0.2 to 5. On the training
#    images it is close to 0 at small temperatures and rises all the way. On the
#    validation images it falls steeply to a lowest point at about 1.5, which a
#    dotted line marks, and then rises slowly.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 3), layout="constrained")
axis.plot(temperatures, val_losses, label="validation")
axis.plot(temperatures, train_losses, "--", label="training")
axis.axvline(best, color="black", linestyle=":", label="best")
axis.set(xlabel="temperature", ylabel="loss", ylim=(0, 2))
axis.legend()

# %%
# **A high accuracy is mistaken for good probabilities.** Without a temperature,
# the ECE of our first model was 0.10. With the one from the validation set it
# was 0.01 (0.025 on average in the five other draws), and with the one from the
# training images 0.24. The accuracy was the same each time, so it cannot tell
# which of the three confidences to believe. And the ECE cannot replace it: a
# calibrated model may know very little (exercise 3).

# %%
# .. check::

assert train_losses.argmin() == 0, "the smallest temperature wins"
assert (train_losses[1:] >= train_losses[:-1]).all(), "it rises all the way"
assert abs(calibration_error(before) - 0.10) < 0.015, "0.10 before"
assert calibration_error(after) < 0.02, "0.01 after"
assert abs(calibration_error(spoiled) - 0.24) < 0.015, "0.24 with 0.2"
assert (
    abs(
        (spoiled[:, 0] * spoiled[:, 2]).sum()
        - (before[:, 0] * before[:, 2]).sum()
    )
    < 0.5
), "the same accuracy"

# %%
# Recipe
# ------
# The data are made up: three groups that overlap, with 20 features. The model
# learns from 60 points, the next 500 fit the temperature, and the last 500 are
# for the final check.

import torch
from torch import nn

centres = 0.4 * torch.randn(3, 20)
y = torch.randint(0, 3, (1060,))
x = centres[y] + torch.randn(1060, 20)
train, val, test = torch.arange(1060).tensor_split([60, 560])

model = nn.Linear(20, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(1000):
    loss = nn.functional.cross_entropy(model(x[train]), y[train])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# If the best temperature is the first or the last one, widen the range.

with torch.no_grad():
    scores = model(x)
candidates = torch.linspace(0.2, 10, 99)
losses = []
for temperature in candidates:
    scaled = scores[val] / temperature
    losses.append(nn.functional.cross_entropy(scaled, y[val]))
best = candidates[torch.stack(losses).argmin()]
print(f"temperature {best:.1f}")

# %%
# Judge it, and use it for a new point:

loss_before = nn.functional.cross_entropy(scores[test], y[test])
loss_after = nn.functional.cross_entropy(scores[test] / best, y[test])
print(f"test loss {loss_before:.2f} before, {loss_after:.2f} after")

new = torch.ones(1, 20)
with torch.no_grad():
    print("a new point:", torch.softmax(model(new) / best, dim=1))

# %%
# .. check::

assert best > 1.5, "60 points make the model over-confident"
assert loss_after < loss_before - 0.1, "and the temperature helps"

# %%
# What you learned
# ----------------
# - A model is calibrated if its probabilities come true. In the reliability
#   curve it lies on the diagonal, and below it if it is over-confident.
# - The ECE is the mean gap between confidence and share of right answers, over
#   all bins. Even perfect probabilities get an ECE above 0 on a limited number
#   of answers.
# - Where all training examples are right, larger scores still make the loss
#   smaller. If training goes on for long, this leads to over-confidence.
# - Dividing the scores by a temperature changes the confidence, and no answer.
#   Fit it on examples that the model did not learn from, and judge it on
#   others.
#
# Exercises
# ---------
# 1. **Predict.** Four of five bulbs are good. Which score does training find?
#    What does the probability become at the temperature 2?
# 2. **Change.** Stop the training on digits after 15 and after 100 steps. What
#    are the best temperatures for the seeds 1 to 5?
# 3. **Extend.** A model does not look at the image. It always gives each digit
#    its share among the first 9,000 labels. How calibrated is it, and how often
#    is it right?

# %%
# .. answer:: 1
#
#    It finds ln 4, because the probability has to be ⅘. Half of ln 4 is ln 2,
#    so the probability becomes 2 / (1 + 2) = ⅔.

four_good = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])
score = torch.tensor(0.0, requires_grad=True)
optimizer = torch.optim.SGD([score], lr=1.0)
for _ in range(100):
    loss = binary_cross_entropy_with_logits(score.expand(5), four_good)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(score.item(), torch.tensor(4.0).log().item())
print(torch.sigmoid(score / 2).item())

# %%
# .. check::

assert abs(score.item() - 1.3863) < 1e-3, "ln 4"
assert abs(torch.sigmoid(score / 2).item() - 2 / 3) < 1e-3, "2/3"

# %%
# .. answer:: 2
#
#    After 15 steps, the best temperature is below 1 in each draw. So the model
#    is *under-confident*: it is right more often than it says. After 100 steps
#    it is over-confident already.

best_after = {}
for steps in [15, 100]:
    found = []
    for seed in range(1, 6):
        stopped, _, _ = learn(seed, steps)
        losses = losses_at(x_val @ stopped, y_val)
        found.append(temperatures[losses.argmin()].item())
    best_after[steps] = found
    print(steps, "steps:", [round(value, 2) for value in found])

# %%
# .. check::

assert max(best_after[15]) < 1, "under-confident"
assert min(best_after[100]) > 1, "over-confident"

# %%
# .. answer:: 3
#
#    Its ECE is almost 0, because it says 10% and is right in 10%. So being
#    calibrated is not enough. Look at the accuracy and the ECE together.

shares = train_set.y[:9000].bincount() / 9000
always = judge(shares.log().expand(2000, 10), test_set.y)
report("always the same", always)

# %%
# .. check::

assert calibration_error(always) < 0.02, "almost 0"
assert abs(always[0, 2] - 0.1) < 0.02, "right in 10%"
