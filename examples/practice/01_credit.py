"""
Who repays? Logistic regression on a table
==========================================

How do you decide who gets a loan, when one mistake costs more than another?

Much of the world's data comes in tables: a row for each customer, with numbers
in some columns and words in others. A bank looks at such a row and says yes or
no. If it says yes to the wrong customer, it loses money, and if it says no to a
good one, it earns nothing. So the share of right answers is not what counts.

After this lesson you can

- compare decisions by what they cost, and see why 70% right can be a bad result
- turn words into numbers, train logistic regression on a whole table, and check
  its probabilities
- notice a column that is known only afterwards, and one that is left out and
  still has an effect
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
# The prices come first
# ---------------------
# Ten customers ask for a loan. Seven will pay it back, and three will not. The
# bank has told us what its mistakes cost. A bad loan that it makes costs 5, and
# a good loan that it refuses costs 1. Everything else costs nothing.
#
# ``cost_per_loan`` adds up the prices of the mistakes, and divides by the
# number of loans. It takes two masks, tensors of True and False: whom the bank
# refuses, and whose loan is bad. (``&`` means "and", ``~`` means "not".) Try
# the two simplest rules, lend to all and refuse all.


def cost_per_loan(refuse, bad):
    made_and_bad = bad & ~refuse
    refused_and_good = refuse & ~bad
    return (5 * made_and_bad + 1 * refused_and_good).float().mean()


bad = torch.tensor([True] * 3 + [False] * 7)
lend_to_all = torch.tensor([False] * 10)
refuse_all = ~lend_to_all
for name, refuse in [("lend to all", lend_to_all), ("refuse all", refuse_all)]:
    right = (refuse == bad).float().mean()
    print(f"{name}: right {right:.0%}, cost {cost_per_loan(refuse, bad):.2f}")

# %%
# Lending to all is right in 7 of 10 cases. The 3 bad loans cost 3 · 5 = 15,
# which is 1.50 for each of the ten. Refusing all is right in only 3 cases. The
# 7 lost customers cost 7 · 1 = 7, or 0.70 for each of the ten. So the rule that
# is right more often costs twice as much. Therefore we compare decisions in
# money, and 0.70 is the :term:`baseline` that a model has to beat.

# %%
# .. check::

assert abs(cost_per_loan(lend_to_all, bad) - 1.5) < 1e-6, "15 for ten loans"
assert abs(cost_per_loan(refuse_all, bad) - 0.7) < 1e-6, "7 for ten loans"

# %%
# A table with numbers and words
# ------------------------------
# :func:`handbook.datasets.credit` loads 1,000 loans that a bank in southern
# Germany made from 1973 to 1975. We predict ``bad``, which is True for a loan
# that was not paid back as agreed. The other columns say what the bank knew
# when it decided. Some hold numbers, such as the duration in months. Others
# hold *codes*, which stand for words. ``table.names`` has the words. Here are
# those of the account. (DM is German money.)

table = datasets.credit()
print(f"{len(table.bad)} loans, {table.bad.sum()} of them bad")
print(f"codes of the first three accounts: {table.account[:3].tolist()}")
for code, meaning in enumerate(table.names["account"]):
    print(f"{code}: {meaning}")

# %%
# In this table 30% of the loans are bad. Among all loans of the bank it was a
# much smaller share, but bad loans were picked more often. So the probabilities
# below are meant for this sample, and not for all customers of a bank.
#
# (The older form of this table, the Statlog German credit data, has wrong words
# for many codes, such as "no account" where the customer has 200 DM or more.
# Ours is the form that Ulrike Grömping corrected in 2019.)
#
# A model multiplies each column by a weight. If you give it the code of the
# account as it is, it has to treat code 3 as three times code 1, although the
# numbers are only names. *One-hot encoding* gives each code a column of its
# own, which is 1 for the rows with this code and 0 for the others. Here are the
# three accounts, with :func:`torch.nn.functional.one_hot`:

print(one_hot(table.account[:3], num_classes=4))

# %%
# The first row has the code 0, so its 1 stands in column 0. Now each code gets
# a weight of its own. We do this for seven columns of codes, and get 37 columns
# of 0 and 1. Always pass ``num_classes``, the number of codes that exist.
# Without it, it is the largest code *in these rows* plus 1, too small for a
# single new customer. With the three columns of numbers, there are 40.

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
print("words:  ", words.shape)
print("numbers:", numbers.shape)

# %%
# .. check::

assert table.bad.sum() == 300, "300 of 1,000 are bad"
assert table.account[:3].tolist() == [0, 1, 3], "the first three accounts"
assert one_hot(table.account[:3], 4).argmax(1).tolist() == [0, 1, 3], "one-hot"
assert words.shape == (1000, 37), "37 columns of codes"
assert (words.sum(dim=1) == 7).all(), "one 1 for each of the seven"
assert numbers.shape == (1000, 3), "3 columns of numbers"

# %%
# Training
# --------
# *Logistic regression* computes a score z from all 40 columns, and the sigmoid
# makes a probability from it, as in
# :doc:`/lessons/learning/05_logistic_regression`:
#
# .. math::
#
#    z = w_1 x_1 + w_2 x_2 + \dots + w_{40} x_{40} + b
#    \qquad
#    p = \sigma(z)
#
# Here p is the probability that the loan is *bad*, x₁ to x₄₀ are the columns,
# and ``nn.Linear`` holds the weights w and the bias b. The loss is
# :class:`torch.nn.BCEWithLogitsLoss`, the layer form of
# ``binary_cross_entropy_with_logits``. The optimizer has :term:`momentum`, so
# that 200 steps are enough, and :term:`weight decay`, so that the weights of
# rare codes stay small.


def learn(x, y):
    model = nn.Linear(x.shape[1], 1)
    bce = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.01
    )
    for _ in range(200):
        loss = bce(model(x).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


# %%
# ``train_and_predict`` standardizes the numbers, for the reason in
# :doc:`/lessons/learning/02_linear_regression`, trains a model on the training
# rows, and returns the probabilities for the test rows. Everything that is
# *estimated* comes from the training rows alone: the means, the standard
# deviations and the weights. The rows of the :term:`test set <test set>` play
# the customers of tomorrow.


def train_and_predict(numbers, words, bad, train, test):
    mean = numbers[train].mean(dim=0)
    std = numbers[train].std(dim=0)
    x = torch.cat([(numbers - mean) / std, words], dim=1)
    model = learn(x[train], bad[train].float())
    with torch.no_grad():
        return torch.sigmoid(model(x[test]).squeeze(1))


# %%
# One split into 700 loans for training and 300 for the test may be lucky.
# Therefore we make ten splits, and keep the probabilities of each.

splits = []
p_splits = []
bad_splits = []
for seed in range(10):
    torch.manual_seed(seed)
    train, test = torch.randperm(1000).split([700, 300])
    splits.append((train, test))
    p_splits.append(train_and_predict(numbers, words, table.bad, train, test))
    bad_splits.append(table.bad[test])
print("three probabilities:", p_splits[0][:3])
print("are they bad?       ", bad_splits[0][:3])

# %%
# From probabilities to money
# ---------------------------
# Now decide. The usual rule refuses a loan where p > ½. Another rule asks what
# each decision will cost on average. A loan that is made costs 5 with the
# probability p, so 5 · p. A refusal costs 1 with the probability 1 − p, so 1 −
# p. The rule takes the cheaper of the two, and refuses where 5 · p > 1 − p,
# that is, where 6 · p > 1 or p > ⅙. This *threshold* comes from the prices
# alone.

right_half = []
right_cheaper = []
cost_half = []
cost_cheaper = []
refused = []
for p, bad_test in zip(p_splits, bad_splits, strict=True):
    refuse_half = p > 0.5
    refuse_cheaper = 5 * p > 1 - p
    right_half.append((refuse_half == bad_test).float().mean())
    right_cheaper.append((refuse_cheaper == bad_test).float().mean())
    cost_half.append(cost_per_loan(refuse_half, bad_test))
    cost_cheaper.append(cost_per_loan(refuse_cheaper, bad_test))
    refused.append(refuse_cheaper.float().mean())

# %%
# We print the mean over the ten splits, and after ± the standard deviation.
# (The test sets overlap, so ± shows how much the splits differ, not the error
# of the mean.) ``saved`` is how much less the cheaper decision costs than
# refusing all, in each split.


def show(name, values):
    values = torch.stack(values)
    print(f"{name:18} {values.mean():.2f} ± {values.std():.2f}")


share_bad = [bad.float().mean() for bad in bad_splits]
show("right, p > 1/2", right_half)
show("right, cheaper", right_cheaper)
show("cost, lend to all", [5 * share for share in share_bad])
show("cost, refuse all", [1 - share for share in share_bad])
show("cost, p > 1/2", cost_half)
show("cost, cheaper", cost_cheaper)
show("refused, cheaper", refused)
saved = 1 - torch.stack(share_bad) - torch.stack(cost_cheaper)
print(f"saved, against refuse all: {saved.min():.2f} to {saved.max():.2f}")

# %%
# The usual rule is right in 75% of the cases, but it costs 0.97 per loan, more
# than refusing all, because it makes too many of the bad loans. With the *same*
# probabilities, the cheaper decision costs only 0.53. In each of the ten splits
# it is better than the baseline, although it is right less often than lending
# to all is. It refuses two of three customers. That fits these prices and a
# sample with 30% of bad loans. (For other thresholds, see
# :doc:`/lessons/practice/02_threshold`.)

# %%
# .. check::

assert 0.72 < torch.stack(right_half).mean() < 0.78, "right in about 75%"
assert torch.stack(cost_half).mean() > 0.85, "and it costs more than 0.71"
assert abs(torch.stack(cost_cheaper).mean() - 0.53) < 0.03, "only 0.53"
assert saved.min() > 0, "better in each split"
assert torch.stack(right_cheaper).max() < 1 - torch.stack(share_bad).max(), (
    "right less often than lending to all"
)
assert abs(torch.stack(refused).mean() - 2 / 3) < 0.04, "two of three"

# %%
# Are the probabilities true?
# ---------------------------
# This works only if p means what it says. Of all loans with a p near 0.3, about
# 30% should be bad. A model of which this is true is called *calibrated*. We
# put the test loans of all ten splits into groups, p from 0 to 0.1, from 0.1 to
# 0.2 and so on up to 0.8, and count how many of each group are bad. (Above 0.8
# there are too few loans to count.)

p_all = torch.cat(p_splits)  # (3000,)
bad_all = torch.cat(bad_splits)
mean_p = []
bad_in_group = []
for i in range(8):
    group = (p_all >= i / 10) & (p_all < (i + 1) / 10)
    mean_p.append(p_all[group].mean().item())
    bad_in_group.append(bad_all[group].float().mean().item())
    print(f"{group.sum():4} loans, mean p {mean_p[i]:.2f}", end=", ")
    print(f"bad {bad_in_group[i]:.2f}")

# %%
# The share of bad loans is near the mean p in each group, and never further
# away than 0.06. So we may compute with these probabilities. Not every model is
# calibrated, so check it before you do.
#
# .. alt:: The share of bad loans against the mean probability, for eight groups
#    from 0.07 to 0.74. The points lie near the dotted diagonal.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
axis.plot(mean_p, bad_in_group, "o-", label="groups of loans")
axis.plot([0, 1], [0, 1], ":", color="black", label="calibrated")
axis.set(xlabel="probability p", ylabel="share of bad loans")
axis.legend()

# %%
# .. check::

assert (torch.tensor(mean_p) - torch.tensor(bad_in_group)).abs().max() < (
    0.06
), "never further away than 0.06"
assert (p_all >= 0.8).sum() < 60, "few above 0.8"

# %%
# What goes wrong
# ---------------
# **A column from the future.** Tables are often put together afterwards, and
# then they may hold what could not be known when the loan was made. This is
# called *leakage*. We invent such a column: did the bank have to send a
# reminder? It is 1 for 80% of the bad loans and for 5% of the good ones. But a
# customer who is just asking for a loan has not got a reminder, so in use the
# column is 0, as in ``today``.

torch.manual_seed(0)
chance = torch.where(table.bad, 0.8, 0.05)
reminder = (torch.rand(1000) < chance).float()
more = torch.cat([words, reminder.unsqueeze(1)], dim=1)  # (1000, 38)
in_test = []
in_use = []
for train, test in splits:
    p = train_and_predict(numbers, more, table.bad, train, test)
    in_test.append(cost_per_loan(5 * p > 1 - p, table.bad[test]))
    today = more.clone()
    today[test, 37] = 0  # no reminder has been sent yet
    p = train_and_predict(numbers, today, table.bad, train, test)
    in_use.append(cost_per_loan(5 * p > 1 - p, table.bad[test]))
show("cost in the test", in_test)
show("cost in use", in_use)

# %%
# In the test the column looks wonderful, because the cost falls from 0.53 to
# 0.32. In use the cost is 0.71, as much as refusing all, because the model
# takes the 0 as a good sign. A random split does not show the mistake. What
# helps is to ask of each column: was it known when the decision was made?
#
# **A column that is left out and still there.** Our model uses the age. Suppose
# that the bank does not want to refuse young customers for their age, and
# leaves this column out. Are they treated like the others now? We count how
# many of those below 26 and of the others are refused, among all customers and
# among those who did repay.

young = table.age < 26
no_age = numbers[:, :2]  # duration and amount
rates = torch.zeros(10, 4, 2)  # splits, groups, with age or without
for i in range(10):
    train, test = splits[i]
    is_young = young[test]
    good = ~table.bad[test]
    p_no_age = train_and_predict(no_age, words, table.bad, train, test)
    both = torch.stack([p_splits[i], p_no_age], dim=1)  # (300, 2)
    refuse = (5 * both > 1 - both).float()
    groups = [is_young, ~is_young, is_young & good, ~is_young & good]
    for row, group in enumerate(groups):
        rates[i, row] = refuse[group].mean(dim=0)

# %%
# Each line has the share that is refused, with the age and without it.

names = ["young", "others", "young, repaid", "others, repaid"]
for name, rate in zip(names, rates.mean(dim=0), strict=True):
    print(f"{name:14} refused {rate[0]:.0%}, without the age {rate[1]:.0%}")

# %%
# Without the age, the gap is a little smaller, but the young are still refused
# more often, because the other columns tell something about the age. Even of
# the customers who did repay, 73% of the young are refused, and 53% of the
# others. Loans of the young were bad more often, so a rule that follows the
# cost refuses more of them. Whether it may do so is a question of law and of
# fairness, and the data cannot answer it. But you can measure it, and you
# should do so before a model decides about people.
#
# Two more facts need the same care. One is whether the customer is a foreign
# worker. Our model does not use this column. It is true for only 37 customers,
# too few to measure much. The other is sex. In the original, one code stands
# for both single men and women who are not single. So for many customers the
# sex cannot be told, and our table leaves it out.
#
# **The refused are missing.** The table has only loans that were made. Nobody
# knows how the customers whom the bank refused would have paid, and no split
# can show it. So the model is untested on them.

# %%
# .. check::

assert abs(torch.stack(in_test).mean() - 0.32) < 0.04, "it looks wonderful"
assert abs(torch.stack(in_use).mean() - 0.71) < 0.06, "as much as refusing all"
assert (rates[:, 0] > rates[:, 1]).all(), "the young more often in each split"
assert (
    rates[:, 0, 1] - rates[:, 1, 1] < rates[:, 0, 0] - rates[:, 1, 0]
).all(), "the gap is smaller without the age"
assert (rates[:, 2] > rates[:, 3]).all(), "also of those who did repay"
assert abs(rates[:, 2, 1].mean() - 0.73) < 0.02, "73% of the young"
assert abs(rates[:, 3, 1].mean() - 0.53) < 0.02, "53% of the others"
assert table.bad[young].float().mean() > table.bad[~young].float().mean(), (
    "loans of the young were bad more often"
)
assert table.foreign_worker.sum() == 37, "37 foreign workers"

# %%
# Recipe
# ------
# The table is made up: a column of numbers (``number``), a column of three
# codes (``code``), and ``y``, which says whether the loan is bad.

import torch
from torch.nn.functional import one_hot

torch.manual_seed(0)
number = 50 + 10 * torch.randn(1000)
code = torch.randint(0, 3, (1000,))
y = torch.rand(1000) < torch.sigmoid((number - 60) / 10 + code - 1)
y = y.float()  # 1 for a bad loan
train, test = torch.randperm(1000).split([700, 300])
mean = number[train].mean()
std = number[train].std()


def encode(number, code):
    scaled = ((number - mean) / std).unsqueeze(1)
    return torch.cat([scaled, one_hot(code, num_classes=3)], dim=1)


# %%
# Train:

x = encode(number, code)
model = torch.nn.Linear(x.shape[1], 1)
bce = torch.nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(
    model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.01
)
for _ in range(200):
    loss = bce(model(x[train]).squeeze(1), y[train])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Judge in money on the 300 loans of the test set, and decide about one new
# customer:

with torch.no_grad():
    p = torch.sigmoid(model(x[test]).squeeze(1))
    new = encode(torch.tensor([48.0]), torch.tensor([2]))
    p_new = torch.sigmoid(model(new)).item()
refuse = (5 * p > 1 - p).float()  # the prices are 5 and 1
cost = (5 * y[test] * (1 - refuse) + (1 - y[test]) * refuse).mean()
print(f"cost {cost:.2f}, refuse all {(1 - y[test]).mean():.2f}")
print(f"new customer: p {p_new:.2f}, refuse: {5 * p_new > 1 - p_new}")

# %%
# .. check::

assert cost < (1 - y[test]).mean() - 0.05, "cheaper than refusing all"

# %%
# What you learned
# ----------------
# - Write down what each mistake costs before you train. A rule that is right in
#   70% can be the most expensive one.
# - One-hot encoding gives each code a column of its own, because a code is a
#   name and not an amount.
# - Split first. Compute means, standard deviations and weights from the
#   training rows alone.
# - If the probabilities are calibrated, take the decision whose expected cost
#   is lower.
# - Ask of each column whether it is known at the time of the decision. A column
#   that you leave out may still be told by the others.
#
# Exercises
# ---------
# 1. **Predict.** At another bank a bad loan costs 2, and a good one that is
#    refused costs 1. Of its loans 30% are bad. What do "lend to all" and
#    "refuse all" cost per loan? Which of them is the baseline?
# 2. **Change.** Give the model the seven codes as they are, as seven columns
#    instead of 37. What happens to the cost of the cheaper decision?
# 3. **Extend.** Standardize with the mean and the standard deviation of all
#    1,000 loans, so that the test set takes part. How much do the probabilities
#    of the first split change?

# %%
# .. answer:: 1
#
#    Lending to all costs 0.3 · 2 = 0.60, and refusing all costs 0.7 · 1 = 0.70.
#    So now "lend to all" is the baseline.

lend_cost = (2 * (bad & ~lend_to_all)).float().mean()  # the ten customers
refuse_cost = (1 * (refuse_all & ~bad)).float().mean()
print(f"lend to all {lend_cost:.2f}, refuse all {refuse_cost:.2f}")

# %%
# .. check::

assert abs(lend_cost - 0.6) < 1e-6, "lending to all"
assert abs(refuse_cost - 0.7) < 1e-6, "refusing all"

# %%
# .. answer:: 2
#
#    It rises a little, by about 0.03 on average. With one weight for each
#    column of codes, neighbouring codes have to be equally far apart, and they
#    are not. ``train_and_predict`` standardizes these codes like the other
#    numbers, so their size is not what hurts. (``words[:, :0]`` has no
#    columns, so there is no one-hot code.)

code_numbers = torch.stack(list(codes.values()), dim=1)
as_they_are = torch.cat([numbers, code_numbers], dim=1)
cost_codes = []
for train, test in splits:
    p = train_and_predict(as_they_are, words[:, :0], table.bad, train, test)
    cost_codes.append(cost_per_loan(5 * p > 1 - p, table.bad[test]))
show("codes as they are", cost_codes)
show("one-hot", cost_cheaper)
worse = torch.stack(cost_codes) - torch.stack(cost_cheaper)
print(f"difference {worse.mean():.3f} ± {worse.std():.3f}")

# %%
# .. check::

assert 0 < worse.mean() < 0.08, "a little more expensive"

# %%
# .. answer:: 3
#
#    By less than 0.01. With 700 rows, the mean and the standard deviation are
#    nearly the same. But the habit matters, because it is the same mistake as
#    with columns that are *chosen* with all rows, and there it can be large.

train, test = splits[0]
scaled = (numbers - numbers.mean(dim=0)) / numbers.std(dim=0)
x = torch.cat([scaled, words], dim=1)
model = learn(x[train], table.bad[train].float())
with torch.no_grad():
    p = torch.sigmoid(model(x[test]).squeeze(1))
change = (p - p_splits[0]).abs().max().item()
print(f"largest change of a probability: {change:.4f}")

# %%
# .. check::

assert change < 0.01, "nearly the same"
