"""
ROC and a cost-based threshold
==============================

A model gives a probability. From which probability on do you say no?

A probability is not a decision yet. It takes a *threshold*, the probability
above which the answer changes. It is easy to take ½ without thinking about it,
but if one mistake costs five times as much as the other, ½ is an expensive
choice. This lesson computes the threshold from the prices, shows what all
thresholds do in a single curve, and chooses one from data where the prices
alone are not enough.

After this lesson you can

- compute the threshold from the prices of the two mistakes
- draw a ROC curve by hand, and say what the area under it means
- choose a threshold with the validation set, and say why one that is chosen
  with the test set looks too good
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import one_hot

from handbook import datasets

torch.manual_seed(0)

# %%
# The threshold follows from the prices
# -------------------------------------
# The prices are those of :doc:`/lessons/practice/01_credit`: a bad loan that is
# made costs 5, and a good loan that is refused costs 1. A customer comes whose
# loan will be bad with the probability p = 0.18. Lending costs 5 with this
# probability, and refusing costs 1 with the probability 1 − p. Which decision
# is cheaper on average, for this customer and for some others?

for p in [0.10, 0.18, 0.20, 0.50]:
    lend = 5 * p
    refuse = 1 - p
    print(f"p {p:.2f}: lending costs {lend:.2f}, refusing {refuse:.2f}")

# %%
# At 0.18 lending costs 0.90 and refusing 0.82. So the bank should refuse,
# although the loan will be good in 82 of 100 cases. The threshold t is the p at
# which both decisions cost the same:
#
# .. math::
#
#    5 \, p = 1 \cdot (1 - p)
#    \qquad \text{is true at} \qquad
#    p = t = \frac{1}{5 + 1} = \frac{1}{6}
#
# In general it is the price of a wrong refusal, divided by the *sum* of the two
# prices. It is tempting to say ⅕, because the prices are as 5 to 1. But a
# threshold of ⅕ would lend at 0.18, and pay 0.90 where 0.82 would do.

# %%
# .. check::

assert abs(5 * 0.18 - 0.90) < 1e-9, "lending at 0.18"
assert abs((1 - 0.18) - 0.82) < 1e-9, "refusing at 0.18"
assert abs(5 / 6 - (1 - 1 / 6)) < 1e-9, "both cost the same at 1/6"

# %%
# All thresholds in one curve: ROC
# --------------------------------
# Here are six loans, sorted by p, the largest first. Three of them are bad. At
# first we refuse none, then the first one, then the first two, and so on, as if
# the threshold moved down. Each time we note two shares:
#
# - the *true positive rate*, also called *recall*: of the three bad loans, how
#   many are refused;
# - the *false positive rate*: of the three good loans, how many are refused.
#
# ("Positive" stands for what we look for, and here it is a bad loan.)
# ``argsort(descending=True)`` gives the places from the largest p to the
# smallest, and ``cumsum(0)`` adds up from the first element to each one.


def roc(p, bad):
    sorted_bad = bad[p.argsort(descending=True)]
    true_rate = sorted_bad.cumsum(0) / bad.sum()
    false_rate = (~sorted_bad).cumsum(0) / (~bad).sum()
    start = torch.zeros(1)  # none is refused
    return torch.cat([start, false_rate]), torch.cat([start, true_rate])


six_p = torch.tensor([0.8, 0.6, 0.5, 0.3, 0.2, 0.1])
six_bad = torch.tensor([True, False, True, True, False, False])
false_rate, true_rate = roc(six_p, six_bad)
print("true positive rate: ", true_rate)
print("false positive rate:", false_rate)

# %%
# The first loan is bad, so the true positive rate goes from 0 to ⅓. The second
# one is good, so the false positive rate goes to ⅓, and so on until all are
# refused. Drawn against each other, the two rates are the *ROC curve* (receiver
# operating characteristic, a name that comes from radar). A bad loan takes it
# up, and a good one takes it to the right.
#
# .. alt:: The ROC curve of six loans, a staircase from (0, 0) to (1, 1): one
#    stair up, one to the right, two up, two to the right. The area below it is
#    shaded. A dotted diagonal is marked as guessing.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(3.8, 3.4), layout="constrained")
axis.plot(false_rate, true_rate, "o-", label="six loans")
axis.fill_between(false_rate, true_rate, alpha=0.2)
axis.plot([0, 1], [0, 1], ":", color="black", label="guessing")
axis.set(xlabel="false positive rate", ylabel="true positive rate")
axis.set(xticks=[0, 1 / 3, 2 / 3, 1], yticks=[0, 1 / 3, 2 / 3, 1])
axis.set(xticklabels=["0", "1/3", "2/3", "1"])
axis.set(yticklabels=["0", "1/3", "2/3", "1"])
axis.grid(alpha=0.4)
axis.legend(loc="lower right")

# %%
# A model that puts all bad loans before the good ones goes straight up and then
# to the right, and one that guesses stays near the diagonal. So the *area under
# the curve* (AUC) is one number for all thresholds. In the figure, 7 of the 9
# squares of the grid are below the curve, so it is 7/9.
#
# The number has a meaning. Take one bad loan and one good loan. Does the bad
# one have the larger p? There are 3 · 3 = 9 such pairs. The bad loan with 0.8
# beats all three good ones, the one with 0.5 beats two, and the one with 0.3
# beats two. That makes 7 of 9. So the AUC is the share of pairs in the right
# order.
# :func:`torch.trapezoid` computes the area.


def auc(p, bad):
    in_order = p[bad].unsqueeze(1) > p[~bad]  # a row for each bad loan
    return in_order.float().mean()


print(f"pairs in the right order: {auc(six_p, six_bad):.4f}")
print(f"area under the curve:     {torch.trapezoid(true_rate, false_rate):.4f}")
print(f"7/9:                      {7 / 9:.4f}")

# %%
# .. check::

assert torch.allclose(
    3 * true_rate, torch.tensor([0.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0])
), "a bad loan is a step up"
assert torch.allclose(
    3 * false_rate, torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 3.0])
), "a good one is a step to the right"
assert abs(auc(six_p, six_bad) - 7 / 9) < 1e-6, "7 of 9 pairs"
assert abs(torch.trapezoid(true_rate, false_rate) - 7 / 9) < 1e-6, "the area"

# %%
# On real data
# ------------
# The table and the model are those of :doc:`/lessons/practice/01_credit`, three
# columns of numbers, 37 columns of one-hot codes, and logistic regression. This
# time there are three parts, as in :doc:`/lessons/learning/08_overfitting`: 500
# loans train the model, 200 are the :term:`validation set`, and 300 are the
# :term:`test set`.

table = datasets.credit()
bad = table.bad
codes = {
    "account": table.account,
    "history": table.history,
    "purpose": table.purpose,
    "savings": table.savings,
    "employment": table.employment,
    "property": table.property,
    "housing": table.housing,
}
parts = [one_hot(code, len(table.names[name])) for name, code in codes.items()]
words = torch.cat(parts, dim=1)  # (1000, 37)
numbers = torch.stack([table.duration, table.amount, table.age], dim=1)

# %%
# ``train_and_predict`` trains on the rows ``train`` with the loss ``bce``. It
# returns the probabilities of all 1,000 loans.


def train_and_predict(train, bce):
    mean = numbers[train].mean(dim=0)
    std = numbers[train].std(dim=0)
    x = torch.cat([(numbers - mean) / std, words], dim=1)
    model = nn.Linear(40, 1)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.01
    )
    for _ in range(200):
        loss = bce(model(x[train]).squeeze(1), bad[train].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return torch.sigmoid(model(x).squeeze(1))


# %%
# One split may be lucky, so we make twenty. (± is the standard deviation over
# the twenty splits.)

splits = []
p_splits = []
aucs = torch.zeros(20)
for i in range(20):
    torch.manual_seed(i)
    train, val, test = torch.randperm(1000).split([500, 200, 300])
    splits.append((train, val, test))
    p = train_and_predict(train, nn.BCEWithLogitsLoss())
    p_splits.append(p)
    aucs[i] = auc(p[test], bad[test])
_, _, first_test = splits[0]
print(f"AUC on the test set: {aucs.mean():.2f} ± {aucs.std():.2f}")

# %%
# Of 100 pairs of a bad and a good loan, the model puts 78 in the right order.
# But the AUC does not know the prices, and it is not a decision. A decision is
# one point on the curve, and the threshold says which. The figure shows the
# first split, with the thresholds ½ and ⅙. At ½ too few of the bad loans are
# refused.
#
# .. alt:: The ROC curve of 300 test loans, a fine staircase well above the
#    dotted diagonal of guessing. The square for the threshold 1/2 lies at the
#    lower left, where a third of the bad loans and few good ones are refused.
#    The triangle for 1/6 lies far up, where most bad loans and about half of
#    the good ones are refused.

# %%
# .. drawing::

p_test = p_splits[0][first_test]
bad_test = bad[first_test]
figure, axis = plt.subplots(figsize=(4.4, 3.8), layout="constrained")
false_test, true_test = roc(p_test, bad_test)
axis.plot(false_test, true_test, label="300 test loans")
axis.plot([0, 1], [0, 1], ":", color="black", label="guessing")
for value, mark, label in [(1 / 2, "s", "1/2"), (1 / 6, "^", "1/6")]:
    refused = p_test > value
    right = refused[bad_test].float().mean()
    wrong = refused[~bad_test].float().mean()
    axis.plot(wrong, right, mark, color="black", label=f"threshold {label}")
axis.set(xlabel="false positive rate", ylabel="true positive rate")
axis.legend(loc="lower right")

# %%
# A threshold chosen from data
# ----------------------------
# The threshold ⅙ is right if p is the true probability, and for this model the
# lesson before has checked that. Not every p is one. Many people give the rare
# class a larger weight in the loss, with ``pos_weight``. With 7/3, the 30% of
# bad loans count as much as the 70% of good ones. Then p is too large, and ⅙ is
# the wrong place. In such a case the validation set can choose: try many
# thresholds, and take the cheapest.


def cost(p, bad, threshold):
    refuse = p > threshold
    mistakes = 5 * (bad & ~refuse) + 1 * (refuse & ~bad)
    return mistakes.float().mean()


def choose(p, bad):
    thresholds = [i / 100 for i in range(1, 100)]
    costs = torch.stack([cost(p, bad, t) for t in thresholds])
    return thresholds[costs.argmin()]


# %%
# We compare five ways to decide, on the same twenty test sets: the plain model
# with ½, with ⅙ and with the chosen threshold, and the weighted model with ⅙
# and with its chosen threshold.

weighted = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(7 / 3))
weighted_splits = [train_and_predict(train, weighted) for train, _, _ in splits]
costs = torch.zeros(20, 5)
chosen = torch.zeros(20, 2)
for i in range(20):
    _, val, test = splits[i]
    chosen[i, 0] = choose(p_splits[i][val], bad[val])
    chosen[i, 1] = choose(weighted_splits[i][val], bad[val])
    p = p_splits[i][test]
    costs[i, 0] = cost(p, bad[test], 1 / 2)
    costs[i, 1] = cost(p, bad[test], 1 / 6)
    costs[i, 2] = cost(p, bad[test], chosen[i, 0])
    p = weighted_splits[i][test]
    costs[i, 3] = cost(p, bad[test], 1 / 6)
    costs[i, 4] = cost(p, bad[test], chosen[i, 1])

# %%
# For comparison, refusing all costs 0.70, the share of good loans in the table.

ways = ["plain, 1/2", "plain, 1/6", "plain, chosen", "weighted, 1/6"]
ways += ["weighted, chosen"]
for way, column in zip(ways, costs.unbind(1), strict=True):
    print(f"{way:16}  {column.mean():.2f} ± {column.std():.2f}")
saved = costs[:, 3] - costs[:, 4]
print(f"weighted: choosing saves {saved.mean():.3f} ± {saved.std():.3f}")
lowest = chosen[:, 0].min()
highest = chosen[:, 0].max()
print(f"plain: chosen thresholds from {lowest:.2f} to {highest:.2f}")

# %%
# With ½ the cost is far above the 0.70 of refusing all. For the plain model, ⅙
# is at least as good as the threshold that was chosen. This is no surprise,
# because 200 loans say little about the best place: the chosen thresholds go
# from 0.08 to 0.35. For the weighted model, ⅙ is too low, and choosing saves
# 0.04 per loan. So use the prices where p is calibrated, and the validation set
# where it is not.
#
# The figure shows the cost at every threshold.
#
# .. alt:: The mean cost per loan on the test sets against the threshold, for
#    the plain and the weighted model. Both curves fall to a flat valley below
#    0.6 and then rise. The valley of the plain model lies around the dotted
#    line at 1/6, and that of the weighted model lies further to the right. At
#    1/2 the plain model is far above the dashed line of refusing all, 0.70.

# %%
# .. drawing::

grid = [i / 50 for i in range(1, 40)]
figure, axis = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
for name, results, style in [
    ("plain", p_splits, "-"),
    ("weighted", weighted_splits, "-."),
]:
    curve = torch.zeros(len(grid))
    for i in range(20):
        _, _, test = splits[i]
        p = results[i][test]
        truth = bad[test]
        curve += torch.stack([cost(p, truth, value) for value in grid]) / 20
    axis.plot(grid, curve, style, label=name)
axis.axvline(1 / 6, color="black", linestyle=":", label="1/6")
axis.axhline(0.7, color="grey", linestyle="--", label="refuse all")
axis.set(xlabel="threshold", ylabel="mean cost per loan", ylim=(0.4, 1.4))
axis.legend()

# %%
# Around its lowest place each curve is flat, so a threshold that is a little
# off costs little. But for the plain model, ½ is far off.

# %%
# .. check::

assert abs(aucs.mean() - 0.78) < 0.02, "78 of 100 pairs"
assert (
    abs(
        (p_splits[0][first_test][bad[first_test]] > 1 / 2).float().mean()
        - 1 / 3
    )
    < 0.05
), "at 1/2 a third of the bad loans is refused"
assert (p_splits[0][first_test][~bad[first_test]] > 1 / 2).float().mean() < (
    0.1
), "and few good ones"
assert (p_splits[0][first_test][bad[first_test]] > 1 / 6).float().mean() > (
    0.8
), "at 1/6 most of the bad loans"
assert (
    0.43
    < (p_splits[0][first_test][~bad[first_test]] > 1 / 6).float().mean()
    < 0.53
), "and about half of the good ones"
assert costs[:, 0].mean() > 0.85, "1/2 is far above 0.70"
assert costs[:, 1].mean() < costs[:, 2].mean() + 0.01, "1/6 is as good"
assert saved.mean() > 2 * saved.std() / 20**0.5, "choosing saves"
assert abs(saved.mean() - 0.04) < 0.02, "0.04 per loan"
assert lowest < 0.13, "from 0.08"
assert highest > 0.28, "to 0.35"

# %%
# What goes wrong
# ---------------
# **The threshold is chosen on the test set.** Suppose that you try all
# thresholds on the test set and report the lowest cost. Nothing fails. To see
# what this number is worth, look what the same threshold costs on loans that
# had no part in the choice. Here these are the 200 loans of the validation set,
# which is free this time.

reported = torch.zeros(20)
on_new = torch.zeros(20)
for i in range(20):
    train, val, test = splits[i]
    p = p_splits[i]
    lucky = choose(p[test], bad[test])
    reported[i] = cost(p[test], bad[test], lucky)
    on_new[i] = cost(p[val], bad[val], lucky)
off = on_new - reported
error = off.std() / 20**0.5
print(f"reported {reported.mean():.3f}, on new loans {on_new.mean():.3f}")
print(f"off by {off.mean():.3f}, standard error {error:.3f}")

# %%
# The reported cost is 0.51, but on loans that had no part in the choice it is
# 0.57. The threshold fits these 300 loans, and a part of that is luck which new
# loans do not bring. (The standard error of a mean is explained in
# :doc:`/lessons/autograd/08_straight_through`.) The number to report is that of
# the section before: chosen on one part, judged on another.

# %%
# .. check::

assert off.mean() > 2 * error, "the reported cost is too low"

# %%
# Recipe
# ------
# It needs only the probabilities of a model and the truth. Both are made up
# here, and the probabilities are not calibrated. Enter your own two prices.

import torch

torch.manual_seed(0)
score = torch.randn(1000)
y = torch.rand(1000) < torch.sigmoid(score - 1)
p = torch.sigmoid(2 * score)
val, test = torch.randperm(1000).split([500, 500])
price_missed = 5  # the answer was no, the truth is yes
price_alarm = 1  # the answer was yes, the truth is no


def price(p, y, threshold):
    yes = p > threshold
    return (price_missed * (y & ~yes) + price_alarm * (yes & ~y)).float().mean()


# %%
# Choose on one part, judge on the other, and answer for one new example:

thresholds = torch.linspace(0, 1, 101)
prices = torch.stack([price(p[val], y[val], t) for t in thresholds])
threshold = thresholds[prices.argmin()].item()
always_yes = price(p[test], y[test], -1)
print(f"threshold {threshold:.2f}")
print(f"test set: {price(p[test], y[test], threshold):.2f} for each example,")
print(f"          {always_yes:.2f} if the answer is always yes")
new_p = 0.60
print(f"new example with p = {new_p:.2f}, answer yes: {new_p > threshold}")

# %%
# .. check::

assert price(p[test], y[test], threshold) < always_yes, "cheaper"

# %%
# What you learned
# ----------------
# - If p is calibrated, the threshold is the price of a false alarm divided by
#   the sum of both prices. With 5 and 1 it is ⅙, and neither ⅕ nor ½.
# - The ROC curve shows the two rates of all thresholds. The area under it is
#   the share of pairs in the right order, and it knows nothing of prices.
# - If p is not calibrated, choose the threshold on the validation set.
# - The cost on the loans that chose the threshold is too low.
#
# Exercises
# ---------
# 1. **Predict.** A bridge is inspected. A fault that is missed costs 9, and a
#    false alarm costs 1. What is the threshold? Four bridges have p = 0.9, 0.4,
#    0.3 and 0.2, and the first and the third have a fault. What is the AUC?
# 2. **Change.** Train with ``pos_weight=5``, the ratio of the prices, and cut
#    at ½. What does a loan cost, beside the plain model with ⅙?
# 3. **Extend.** Replace each p of the first split by its third power. What
#    becomes of the AUC on the test set, and of the cost with ⅙?

# %%
# .. answer:: 1
#
#    The threshold is 1 / (9 + 1) = 0.1. The fault with 0.9 beats both sound
#    bridges, and the one with 0.3 beats only that with 0.2, so 3 of the 4 pairs
#    are in the right order and the AUC is ¾.

bridge_p = torch.tensor([0.9, 0.4, 0.3, 0.2])
bridge_fault = torch.tensor([True, False, True, False])
print(f"threshold {1 / (9 + 1)}, AUC {auc(bridge_p, bridge_fault):.2f}")

# %%
# .. check::

assert auc(bridge_p, bridge_fault) == 0.75, "3 of 4 pairs"

# %%
# .. answer:: 2
#
#    It costs 0.56, about as much as the plain model with ⅙. The difference is
#    less than two standard errors. A bad loan now weighs five times as much in
#    the loss, so where the plain model says p = ⅙, this one says about ½.

by_price = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(5.0))
costs_by_price = torch.zeros(20)
for i in range(20):
    train, val, test = splits[i]
    p_by_price = train_and_predict(train, by_price)
    costs_by_price[i] = cost(p_by_price[test], bad[test], 1 / 2)
worse = costs_by_price - costs[:, 1]
worse_error = worse.std() / 20**0.5
print(f"cost {costs_by_price.mean():.2f} ± {costs_by_price.std():.2f}")
print(f"difference {worse.mean():.3f}, standard error {worse_error:.3f}")

# %%
# .. check::

assert worse.mean().abs() < 0.04, "about as much"
assert worse.mean().abs() < 2 * worse_error, "less than two standard errors"

# %%
# .. answer:: 3
#
#    The AUC stays as it is, because the order of the loans does not change. But
#    the small p become much smaller. So far too many bad loans are made, and
#    the cost doubles.

p_first = p_splits[0][first_test]
bad_first = bad[first_test]
for power in [1, 3]:
    changed = p_first**power
    print(f"power {power}: AUC {auc(changed, bad_first):.3f}", end=", ")
    print(f"cost {cost(changed, bad_first, 1 / 6):.2f}")

# %%
# .. check::

assert auc(p_first**3, bad_first) == auc(p_first, bad_first), "the same order"
assert cost(p_first**3, bad_first, 1 / 6) > 1.7 * cost(
    p_first, bad_first, 1 / 6
), "about twice the cost"
