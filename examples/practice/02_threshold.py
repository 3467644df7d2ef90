"""
ROC and a cost-based threshold
==============================

A model gives a probability. How large must it be before you say no?

The probability above which the answer changes is the *threshold*. ½ comes to
mind, but if one mistake costs five times as much as the other, it is an
expensive choice.

After this lesson you can

- compute the threshold from the prices of the two mistakes
- draw a ROC curve by hand, and say what the area under it means
- choose a threshold with the validation set, and say why a threshold
  chosen with the test set looks too good
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
# made costs 5, and a good loan that is refused costs 1. A customer asks for a
# loan that will be bad with probability p = 0.18. Lending costs 5 with this
# probability, and refusing costs 1 with probability 1 − p. Which decision is
# cheaper on average, for this customer and for some others?

p = torch.tensor([0.10, 0.18, 0.20, 0.50])
lend = 5 * p
refuse = 1 - p
for i in range(4):
    print(f"p {p[i]:.2f}: lending {lend[i]:.2f}, refusing {refuse[i]:.2f}")

# %%
# At 0.18 refusing is cheaper, although the loan will be good in 82 of 100
# cases. The threshold t is the p at which both decisions cost the same:
#
# .. math::
#
#    5 \, p = 1 \cdot (1 - p)
#    \qquad \Longrightarrow \qquad
#    p = t = \frac{1}{5 + 1} = \frac{1}{6}
#
# In general it is the price of a false alarm (here a wrong refusal) divided by
# the *sum* of the two prices. It is not ⅕, the ratio of the prices: ⅕ would
# lend at 0.18, and pay 0.90 where 0.82 would do.

# %%
# .. check::

assert abs(lend[1] - 0.90) < 1e-6, "lending at 0.18"
assert abs(refuse[1] - 0.82) < 1e-6, "refusing at 0.18"
assert ((lend > refuse) == (p > 1 / 6)).all(), "refusing is cheaper above 1/6"

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
# smallest, and ``cumsum(0)`` gives running totals: how many there are up to
# each place.


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
# The true positive rate, drawn against the false positive rate, is the
# *ROC curve* (receiver operating characteristic, a name that comes from radar).
# A bad loan takes it up, and a good one takes it to the right.
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
# squares of the grid are below the curve, so the area is 7/9. A perfect order
# gives 1, and guessing gives about ½.
#
# The number has a meaning. Take one bad loan and one good loan. Does the bad
# one have the larger p? There are 3 · 3 = 9 such pairs. The bad loan with 0.8
# beats all three good ones, and those with 0.5 and 0.3 beat two each. That
# makes 7 of 9. So the AUC is the share of pairs in the right order.
# :func:`torch.trapezoid` computes the area. It takes the heights first, then
# the places.


def auc(p, bad):
    in_order = p[bad].unsqueeze(1) > p[~bad]  # a row for each bad loan
    return in_order.float().mean()  # equal p would count 1/2: there are none


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
# The table and the model are those of :doc:`/lessons/practice/01_credit`. This
# time 500 loans train, 200 are the :term:`validation set`, and 300 are the
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
    seen = numbers[train]
    x = torch.cat([(numbers - seen.mean(0)) / seen.std(0), words], dim=1)
    train_x = x[train]
    train_y = bad[train].float()
    model = nn.Linear(40, 1)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.01
    )
    for _ in range(200):
        loss = bce(model(train_x).squeeze(1), train_y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.sigmoid(model(x).squeeze(1)).detach()


# %%
# One split may be lucky, so we make twenty. (± is the standard deviation over
# the twenty splits. They share the same 1,000 loans, so it says nothing about
# other banks.)

splits = []
p_plain = []
aucs = torch.zeros(20)
for i in range(20):
    torch.manual_seed(i)
    train, val, test = torch.randperm(1000).split([500, 200, 300])
    splits.append((train, val, test))
    p = train_and_predict(train, nn.BCEWithLogitsLoss())
    p_plain.append(p)
    aucs[i] = auc(p[test], bad[test])
_, _, first_test = splits[0]
print(f"AUC on the test set: {aucs.mean():.2f} ± {aucs.std():.2f}")

# %%
# Of 100 pairs of a bad and a good loan, the model puts on average 78 in the
# right order. But the AUC does not know the prices. A decision is one point on
# the curve, as the figure shows for the first split. At ½ too few of the bad
# loans are refused.
#
# .. alt:: The ROC curve of 300 test loans, a fine staircase well above the
#    dotted diagonal of guessing. The square for 1/2 lies at the lower left,
#    where a third of the bad loans and few good ones are refused. The triangle
#    for 1/6 lies far up, where most bad loans and about half of the good ones
#    are refused.

# %%
# .. drawing::

p_test = p_plain[0][first_test]
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
# The threshold ⅙ is right if p is calibrated. The lesson before checked this
# for the same kind of model, and near ⅙ it holds here too. Not every model
# gives true probabilities. If one class is smaller, many people give it a
# larger weight in the loss, with the option ``pos_weight``. With 7/3 each bad
# loan counts as 7/3 loans, so the 30% of bad loans weigh as much as the 70% of
# good ones. Then p is too large, and ⅙ is the wrong place.

weighted = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(7 / 3))
p_weighted = [train_and_predict(train, weighted) for train, _, _ in splits]
print(f"plain:    mean p {p_plain[0].mean():.2f}")
print(f"weighted: mean p {p_weighted[0].mean():.2f}")

# %%
# But we know how p is wrong. With a weight of 7/3, the odds p / (1 − p) become
# about 7/3 times as large (here 2.1 times). ⅙ has the odds 1/5, which become
# 7/3 · 1/5 = 7/15: seven bad loans to fifteen good ones. That is p =
# 7 / (7 + 15) = 7/22, or 0.32. Where you do not know how p is wrong, let the
# validation set choose. Try many thresholds on it, and take the cheapest.


def mean_cost(p, bad, threshold):
    refuse = p > threshold
    mistakes = 5 * (bad & ~refuse) + 1 * (refuse & ~bad)
    return mistakes.float().mean()


def choose(p, bad):
    thresholds = [i / 100 for i in range(1, 100)]
    costs = torch.stack([mean_cost(p, bad, t) for t in thresholds])
    return thresholds[costs.argmin().item()]


# %%
# We compare six ways to decide, three for each model, on the same twenty test
# sets.

costs = torch.zeros(20, 6)
chosen = torch.zeros(20, 2)
for i in range(20):
    _, val, test = splits[i]
    p = p_plain[i]
    chosen[i, 0] = choose(p[val], bad[val])
    costs[i, 0] = mean_cost(p[test], bad[test], 1 / 2)
    costs[i, 1] = mean_cost(p[test], bad[test], 1 / 6)
    costs[i, 2] = mean_cost(p[test], bad[test], chosen[i, 0])
    p = p_weighted[i]
    chosen[i, 1] = choose(p[val], bad[val])
    costs[i, 3] = mean_cost(p[test], bad[test], 1 / 6)
    costs[i, 4] = mean_cost(p[test], bad[test], 7 / 22)
    costs[i, 5] = mean_cost(p[test], bad[test], chosen[i, 1])

# %%
# Refusing all costs the share of good loans in the table.

ways = ["plain, 1/2", "plain, 1/6", "plain, chosen"]
ways += ["weighted, 1/6", "weighted, 7/22", "weighted, chosen"]
for way, column in zip(ways, costs.unbind(1), strict=True):
    print(f"{way:16}  {column.mean():.3f} ± {column.std():.3f}")
print(f"{'refuse all':16}  {(~bad).float().mean():.3f}")
lowest = chosen[:, 0].min()
highest = chosen[:, 0].max()
print(f"plain: chosen thresholds from {lowest:.2f} to {highest:.2f}")
saved = costs[:, 3] - costs[:, 5]
error = saved.std() / 20**0.5
print(
    f"weighted: choosing saves {saved.mean():.3f}, standard error {error:.3f}"
)

# %%
# With ½ the cost is above the 0.70 of refusing all, in each of the twenty
# splits. For the plain model, ⅙ is at least as good as the chosen threshold,
# because 200 loans say little about the best place: the chosen thresholds
# range from 0.08 to 0.35. For the weighted model, ⅙ is too low. Choosing saves
# 0.04 per loan, four times its standard error (see
# :doc:`/lessons/autograd/08_straight_through`). But 7/22 costs as little as the
# plain model with ⅙, and it needs no validation set. Near its lowest point each
# curve in the figure is flat, so a threshold that is a little off costs little.
# (These test sets cannot tell ⅙ from ⅕.)
#
# .. alt:: The mean cost per loan on the test sets against the threshold. Both
#    curves fall to a flat valley below 0.6 and then rise. The valley of the
#    plain model lies around the dotted line at 1/6, and that of the weighted
#    model around the dashed line at 7/22. At 1/2 the plain model is far above
#    the level line of refusing all, 0.70.

# %%
# .. drawing::

grid = [i / 25 for i in range(1, 20)]
figure, axis = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
for name, results, style in [
    ("plain", p_plain, "-"),
    ("weighted", p_weighted, "-."),
]:
    curve = torch.zeros(len(grid))
    for i in range(20):
        _, _, test = splits[i]
        p = results[i][test]
        truth = bad[test]
        curve += (
            torch.stack([mean_cost(p, truth, value) for value in grid]) / 20
        )
    axis.plot(grid, curve, style, label=name)
axis.axvline(1 / 6, color="black", linestyle=":", label="1/6")
axis.axvline(7 / 22, color="black", linestyle="--", label="7/22")
axis.axhline(0.7, color="grey", linewidth=1, label="refuse all")
axis.set(xlabel="threshold", ylabel="mean cost per loan", ylim=(0.4, 1.4))
axis.legend(loc="lower right")

# %%
# .. check::

assert abs(aucs.mean() - 0.78) < 0.02, "78 of 100 pairs"
assert not any(
    torch.isin(
        p_plain[i][splits[i][2]][bad[splits[i][2]]],
        p_plain[i][splits[i][2]][~bad[splits[i][2]]],
    ).any()
    for i in range(20)
), "no equal p in a pair"
assert (
    abs(
        (p_plain[0][first_test][bad[first_test]] > 1 / 2).float().mean() - 1 / 3
    )
    < 0.05
), "at 1/2 a third of the bad loans is refused"
assert (
    p_plain[0][first_test][~bad[first_test]] > 1 / 2
).float().mean() < 0.1, "and few good ones"
assert (p_plain[0][first_test][bad[first_test]] > 1 / 6).float().mean() > 0.8, (
    "at 1/6 most bad loans"
)
assert (
    abs(
        (p_plain[0][first_test][~bad[first_test]] > 1 / 6).float().mean() - 0.48
    )
    < 0.05
), "and about half of the good ones"
assert (
    abs(
        torch.cat(
            [
                (p_plain[i] - bad.float())[splits[i][2]][
                    (p_plain[i][splits[i][2]] - 0.15).abs() < 0.05
                ]
                for i in range(20)
            ]
        ).mean()
    )
    < 0.02
), "calibrated near 1/6"
assert abs(p_plain[0].mean() - bad.float().mean()) < 0.03, "plain: p is right"
assert p_weighted[0].mean() > 0.4, "weighted: p is too large"
assert (
    1.9
    < (p_weighted[0] / (1 - p_weighted[0]) / (p_plain[0] / (1 - p_plain[0])))[
        first_test
    ].median()
    < 2.2
), "2.1 times"
assert costs[:, 0].min() > 0.7, "1/2 costs more than 0.70 in each split"
assert costs[:, 0].mean() > 0.85, "and it is far off"
assert costs[:, 1].mean() < costs[:, 2].mean(), "1/6 is as good as chosen"
assert abs(saved.mean() - 0.04) < 0.01, "choosing saves 0.04"
assert 3.5 < saved.mean() / error < 5, "four times its standard error"
assert abs(costs[:, 4].mean() - costs[:, 1].mean()) < 0.01, (
    "7/22 costs as little"
)
assert abs(lowest - 0.08) < 0.005, "from 0.08"
assert abs(highest - 0.35) < 0.005, "to 0.35"
assert (
    abs(
        sum(
            mean_cost(p_plain[i][splits[i][2]], bad[splits[i][2]], 1 / 5)
            for i in range(20)
        )
        / 20
        - costs[:, 1].mean()
    )
    < 0.01
), "1/6 and 1/5 cost about the same"

# %%
# What goes wrong
# ---------------
# **The threshold is chosen on the test set.** You try all thresholds on the
# test set and report the lowest cost. Nothing fails. But what does the same
# threshold cost on loans that had no part in the choice? Here these are the 200
# of the validation set, which this time chose nothing. We do the same with ⅙.

reported = torch.zeros(20, 2)  # chosen on the test set, 1/6
on_new = torch.zeros(20, 2)
for i in range(20):
    _, val, test = splits[i]
    p = p_plain[i]
    lucky = choose(p[test], bad[test])
    for column, t in enumerate([lucky, 1 / 6]):
        reported[i, column] = mean_cost(p[test], bad[test], t)
        on_new[i, column] = mean_cost(p[val], bad[val], t)
off = on_new - reported
for name, column in [("chosen", 0), ("1/6", 1)]:
    print(f"{name:6} reported {reported[:, column].mean():.3f}", end=", ")
    print(f"on new loans {on_new[:, column].mean():.3f}")
rest = off[:, 0] - off[:, 1]
print(f"rest {rest.mean():.3f}, standard error {rest.std() / 20**0.5:.3f}")

# %%
# On loans that had no part in the choice, the cost is 0.066 higher. Of this,
# 0.018 is chance: with ⅙, too, the validation sets cost more. The rest comes
# from the choice: the threshold fits luck that new loans do not bring. Report
# the number from the section before, where the threshold was chosen on one part
# and judged on another.

# %%
# .. check::

assert abs(off[:, 0].mean() - 0.066) < 0.005, "0.066 higher"
assert abs(off[:, 1].mean() - 0.018) < 0.005, "by 0.018"
assert abs(rest.mean() - 0.048) < 0.005, "the rest is 0.048"
assert rest.mean() > 2 * rest.std() / 20**0.5, "the reported cost is too low"

# %%
# Recipe
# ------
# It needs only the probabilities of a model and the truth. Both are made up
# here, and the probabilities are too large. Enter your own two prices.

import torch

torch.manual_seed(0)
score = torch.randn(1000)
y = torch.rand(1000) < torch.sigmoid(score - 1)
p = torch.sigmoid(score)  # too large: the truth is sigmoid(score - 1)
val, test = torch.randperm(1000).split([500, 500])
price_missed = 5  # the answer was no, the truth is yes
price_alarm = 1  # the answer was yes, the truth is no


def mean_cost(p, y, threshold):
    yes = p > threshold
    mistakes = price_missed * (y & ~yes) + price_alarm * (yes & ~y)
    return mistakes.float().mean()


# %%
# Choose on one part, judge on the other, and answer for one new example:

thresholds = torch.linspace(0, 1, 101)
val_costs = torch.stack([mean_cost(p[val], y[val], t) for t in thresholds])
threshold = thresholds[val_costs.argmin()].item()
by_price = price_alarm / (price_alarm + price_missed)
cost_chosen = mean_cost(p[test], y[test], threshold)
cost_by_price = mean_cost(p[test], y[test], by_price)
always_yes = (price_alarm * ~y[test]).float().mean()  # "no" is a false alarm
print(f"chosen:     threshold {threshold:.2f}, cost {cost_chosen:.2f}")
print(f"by prices:  threshold {by_price:.2f}, cost {cost_by_price:.2f}")
print(f"always yes: cost {always_yes:.2f}")
new_p = 0.25
print(f"new example with p = {new_p:.2f}, answer yes: {new_p > threshold}")

# %%
# .. check::

assert cost_chosen < cost_by_price, "p is too large for the prices alone"
assert cost_chosen < always_yes, "cheaper than always yes"

# %%
# What you learned
# ----------------
# - If p is calibrated, the threshold is the price of a false alarm divided by
#   the sum of both prices. With 5 and 1 it is ⅙, and neither ⅕ nor ½.
# - The ROC curve shows the two rates of all thresholds. The area under it is
#   the share of pairs in the right order, and it knows nothing of prices.
# - If p is not calibrated, correct the threshold if you know how p is wrong.
#   Otherwise choose it on the validation set.
# - The cost on the loans used to choose the threshold is usually too low.
#
# Exercises
# ---------
# 1. **Predict.** A bridge is inspected. A fault that is missed costs 9, and a
#    false alarm costs 1. What is the threshold? Four bridges have p = 0.9, 0.4,
#    0.3 and 0.2, and the first and the third have a fault. What is the AUC?
# 2. **Change.** Train with ``pos_weight=5``, the ratio of the prices, and cut
#    at ½. What does a loan cost, compared with the plain model with ⅙?
# 3. **Extend.** Replace each p of the first split by its third power. What
#    happens to the AUC on the test set, and to the cost with ⅙?

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
#    the loss, so the odds are five times as large. Where the plain model says
#    ⅙, with the odds 1/5, this one says about ½, with the odds 1.

by_price_loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(5.0))
costs_by_price = torch.zeros(20)
for i in range(20):
    train, val, test = splits[i]
    p_by_price = train_and_predict(train, by_price_loss)
    costs_by_price[i] = mean_cost(p_by_price[test], bad[test], 1 / 2)
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
#    the small p become much smaller. The bank then makes far too many bad
#    loans, and the cost doubles.

p_first = p_plain[0][first_test]
bad_first = bad[first_test]
for power in [1, 3]:
    changed = p_first**power
    print(f"power {power}: AUC {auc(changed, bad_first):.3f}", end=", ")
    print(f"cost {mean_cost(changed, bad_first, 1 / 6):.2f}")

# %%
# .. check::

assert auc(p_first**3, bad_first) == auc(p_first, bad_first), "the same order"
assert mean_cost(p_first**3, bad_first, 1 / 6) > 1.7 * mean_cost(
    p_first, bad_first, 1 / 6
), "about twice the cost"
