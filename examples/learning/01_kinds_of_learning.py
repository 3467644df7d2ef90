"""
Supervised and unsupervised learning
====================================

What tells a program that its answer is right?

Every digit in the first lesson came with its label, so we could count how many
answers were right. But a person had to write these labels, which takes time and
costs money. Often there are only a few of them, or none. In this lesson, the
same data is learned with all labels, without any, and with a few.

After this lesson you can

- say what supervised, unsupervised and semi-supervised learning are told
- write k-means, and say which number it makes smaller
- avoid two silent mistakes: reading the number of a cluster as a label, and
  letting one column decide alone because of its unit
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets

torch.manual_seed(0)

# %%
# With labels: supervised learning
# --------------------------------
# Here are the lengths of six fish from an aquarium, in centimetres. Their owner
# has written down what each of them is: 0 for a guppy, 1 for a goldfish.

lengths = torch.tensor([[1.0], [2.0], [3.0], [11.0], [12.0], [13.0]])  # (6, 1)
labels = torch.tensor([0, 0, 0, 1, 1, 1])  # (6,)

# %%
# We want a program that names a new fish by its length. You know a rule from
# :doc:`/lessons/tensors/09_broadcasting`: compute the mean of each kind, and
# choose the kind whose mean is nearest. ``group_means`` computes the means, one
# row for each group. ``nearest`` returns for each point the number of the
# nearest centre, which is its row, counted from 0. In the comments, N is the
# number of points, K the number of centres, and D the number of columns.


def group_means(points, groups, count):
    rows = []
    for group in range(count):
        rows.append(points[groups == group].mean(dim=0))
    return torch.stack(rows)  # (K, D)


def nearest(points, centres):
    # each point minus each centre
    differences = points.unsqueeze(1) - centres  # (N, K, D)
    return (differences**2).sum(dim=2).argmin(dim=1)  # (N,)


means = group_means(lengths, labels, 2)
new_fish = torch.tensor([[5.0], [9.0]])
print("means:   ", means.flatten().tolist())
print("six fish:", nearest(lengths, means).tolist())
print("new fish:", nearest(new_fish, means).tolist())

# %%
# The means are 2 and 12. The six fish get the right names, a new fish of 5 cm
# is taken for a guppy, and one of 9 cm for a goldfish.
#
# This is :term:`supervised learning`: each example comes with the right answer,
# its label. The labels tell the program what to learn, and they tell us how
# good it is.

# %%
# .. check::

assert means.flatten().tolist() == [2, 12], "the means are 2 and 12"
assert nearest(lengths, means).equal(labels), "all six are right"
assert nearest(new_fish, means).tolist() == [0, 1], "5 cm and 9 cm"

# %%
# Without labels: unsupervised learning
# -------------------------------------
# Now suppose that the kinds were never written down. You still see at once that
# there are two groups. How can a program find them?
#
# A well-known method is called :term:`k-means`. Begin with two centres,
# anywhere. Then repeat two steps: put each fish into the group of its nearest
# centre, and move each centre to the mean of its group. Such a group is called
# a *cluster*, and to find clusters is called *clustering*. We begin badly on
# purpose, with the centres at 1 and 2. In each round we print the sum of the
# squared distances from each fish to its centre. (``centres[clusters]`` picks
# for each fish the centre of its cluster.)

centres = torch.tensor([[1.0], [2.0]])
for _ in range(3):
    clusters = nearest(lengths, centres)
    total = ((lengths - centres[clusters]) ** 2).sum()
    left, right = centres.flatten().tolist()
    print(f"centres {left:.1f} and {right:4.1f}, sum {total:5.1f}")
    print("    clusters", clusters.tolist())
    centres = group_means(lengths, clusters, 2)
clusters = nearest(lengths, centres)

# %%
# In the first round, only the fish of 1 cm belongs to the centre at 1. The
# other five belong to the centre at 2, so this centre moves to their mean,
# which is (2 + 3 + 11 + 12 + 13) / 5 = 8.2. Now the fish of 2 cm and 3 cm are
# nearer to the other centre, and they change over. In the third round the
# centres have arrived.
#
# .. alt:: Three rows, one for each round, with the six lengths as dots and the
#    two centres as crosses. The crosses are at 1 and 2 in round 1, at 1 and 8.2
#    in round 2, and at 2 and 12 in round 3, in the middle of three dots each.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 2.2), layout="constrained")
colours = ["#0072B2", "#D55E00", "#009E73"]
markers = ["o", "s", "^"]
places = torch.tensor([[1.0], [2.0]])
for n in (1, 2, 3):
    belongs = nearest(lengths, places)
    for i in range(2):
        dots = lengths[belongs == i].flatten()
        axis.plot(dots, [n] * len(dots), markers[i], color=colours[i])
        axis.plot(places[i], [n - 0.3], "x", color=colours[i], markersize=8)
    places = group_means(lengths, belongs, 2)
axis.set(xlabel="length in cm", yticks=[1, 2, 3], ylim=(3.4, 0.4))
axis.set_yticklabels(["round 1", "round 2", "round 3"])

# %%
# The same two means were found, without a single label. This is
# :term:`unsupervised learning`. What tells the program that it is right? The
# sum of the squared distances, which plays the part of the loss. In the first
# round it was 0 + 0 + 1 + 81 + 100 + 121 = 303, then 50.3, and then 4. It fell,
# and it can never rise, because neither of the two steps can make it larger.
# The nearest centre is the one with the smallest distance, and the mean of a
# group is the place with the smallest sum of squares.
#
# But this number only says that the clusters are tight. It does not know what a
# guppy is. With other data, the clusters may be something else than the kinds.

# %%
# .. check::

assert ((lengths[1:] - 2) ** 2).sum() == 303, "303 in the first round"
assert abs(lengths[1:].mean() - 8.2) < 1e-5, "the five have the mean 8.2"
assert abs(((lengths[3:] - 8.2) ** 2).sum() + 0 + 1 + 4 - 50.3) < 0.1, (
    "50.3 in the second round"
)
assert ((lengths - centres[clusters]) ** 2).sum() == 4, "4 in the third round"
assert clusters.equal(labels), "the clusters are the two kinds"
assert centres.flatten().tolist() == [2, 12], "the centres have arrived"

# %%
# A few labels: semi-supervised learning
# --------------------------------------
# Often there is a lot of data with only a few labels. Suppose that the owner
# has named just two of the fish, the first one a guppy (0) and the last one a
# goldfish (1). Give each cluster the label of the named fish that is nearest to
# its centre, and then give this label to all fish of the cluster. (This time
# the centres are the points of ``nearest``, and the two named fish are its
# centres.)

known = [0, 5]  # the positions of the two named fish
closest = nearest(centres, lengths[known])  # (2,), one for each cluster
cluster_labels = labels[known][closest]
print("labels of the clusters:", cluster_labels.tolist())
print("labels of the fish:    ", cluster_labels[clusters].tolist())

# %%
# Two labels are enough to name all six fish. This is :term:`semi-supervised
# learning`. The data says what belongs together, and the few labels say what it
# is called. (There is a fourth kind. In *reinforcement learning* a program
# acts, for example in a game, and is only told how good the outcome was.)

# %%
# .. check::

assert cluster_labels.tolist() == [0, 1], "guppy and goldfish"
assert cluster_labels[clusters].equal(labels), "two labels name all six"

# %%
# On real data
# ------------
# :func:`handbook.datasets.penguins` returns a table of 342 penguins of three
# species, measured in Antarctica. We take two of its columns, the length of the
# bill in millimetres and the mass in grams. The rows are sorted by species, so
# we shuffle them. 242 penguins are for learning, and 100 are kept back.
#
# The columns are standardized, as in :doc:`/lessons/tensors/08_reductions`,
# with the mean and the standard deviation of the 242. *What goes wrong* below
# shows why.

table = datasets.penguins()
species = table.species  # (342,)
measured = torch.stack([table.bill_length, table.mass], dim=1)  # (342, 2)
print(table.names)
print(measured[:2])

order = torch.randperm(342)
train = order[:242]
test = order[242:]
mean = measured[train].mean(dim=0)  # (2,)
x = (measured - mean) / measured[train].std(dim=0)  # (342, 2)

# %%
# **All labels.** The same two functions, with two columns instead of one:

means = group_means(x[train], species[train], 3)  # (3, 2)
answers = nearest(x[test], means)  # (100,)
supervised = (answers == species[test]).float().mean()
print(f"supervised: {supervised:.0%} of 100 new penguins are right")

# %%
# About nine out of ten are right.
#
# **No labels.** ``k_means`` repeats the two steps 50 times, which is more than
# enough here. It begins at three random penguins. Where it ends may depend on
# where it begins, and exercise 3 shows what to do about that. (A centre that
# lost all its points would become ``nan``. The recipe takes care of that.)


def k_means(points, centres):
    for _ in range(50):
        clusters = nearest(points, centres)
        centres = group_means(points, clusters, len(centres))
    return centres


start = torch.randperm(342)[:3]
centres = k_means(x, x[start])  # (3, 2)
clusters = nearest(x, centres)  # (342,)

# %%
# Only now do we look at the labels, to count which species is in which cluster.
# ``bincount(minlength=3)`` counts how often 0, 1 and 2 occur. Then every
# cluster is called by its most frequent species. How many penguins have the
# right name? ``amax(dim=1)`` picks the largest number of each row.


def count_species(clusters):
    rows = []
    for cluster in range(3):
        rows.append(species[clusters == cluster].bincount(minlength=3))
    return torch.stack(rows)  # (3, 3), a row for each cluster


counts = count_species(clusters)
agreement = counts.amax(dim=1).sum() / 342
print(table.names)
print(counts)
print(f"unsupervised: {agreement:.0%} are in the cluster of their species")

# %%
# Most of each cluster is one species, and about nine penguins out of ten have
# the right name, although no label was used to find the clusters. This share is
# called *purity*. (Do not compare it with the share above. That one is of 100
# new penguins, and here all 342 labels have named the clusters.) The figure
# shows the species on the left and the clusters on the right.
#
# .. alt:: Two pictures of the same 342 points, bill length against mass. On the
#    left, the three species form three clouds that touch. On the right, the
#    clusters are nearly the same clouds, with straight borders between them.

# %%
# .. drawing::


def draw(axis, groups, names, hues):
    for i, name in enumerate(names):
        dots = measured[groups == i]
        style = {"s": 9, "marker": markers[hues[i]], "color": colours[hues[i]]}
        axis.scatter(dots[:, 0], dots[:, 1], label=name, alpha=0.7, **style)
    axis.set(xlabel="bill length in mm")
    axis.legend(fontsize=8, loc="upper left")


cluster_numbers = ["cluster 0", "cluster 1", "cluster 2"]
figure, axes = plt.subplots(
    1, 2, figsize=(6.2, 3.2), sharey=True, layout="constrained"
)
draw(axes[0], species, table.names, [0, 1, 2])
draw(axes[1], clusters, cluster_numbers, counts.argmax(dim=1).tolist())
axes[0].set(ylabel="mass in g", ylim=(2500, 7400), title="species")
axes[1].set(title="k-means")

# %%
# **Three labels.** Finally, one penguin of each species is named, drawn at
# random. The first way uses these three labels alone: each penguin gets the
# name of the nearest named one. The second way names the clusters, as with the
# fish. (The penguins are drawn in the order of the species, so the number that
# ``nearest`` returns is the species.)


def try_three_labels():
    drawn = []
    for kind in range(3):
        members = x[species == kind]
        drawn.append(members[torch.randint(len(members), (1,))])
    named = torch.cat(drawn)  # (3, 2)
    by_penguin = nearest(x, named)  # (342,)
    by_cluster = nearest(centres, named)[clusters]  # (342,)
    alone = (by_penguin == species).float().mean()
    with_clusters = (by_cluster == species).float().mean()
    return torch.stack([alone, with_clusters])


print("labels alone, with clusters:", try_three_labels())

# %%
# This is one draw, and another one gives other numbers. Over 100 draws, three
# labels alone name about four penguins out of five, and the clusters add about
# four points on average. So the other penguins are of use, although they have
# no label. But both ways can fail, because a named penguin may be unusual for
# its species.

# %%
# .. check::

assert 0.84 < supervised < 0.96, "about nine out of ten, with all labels"
assert 0.87 < agreement < 0.93, "about nine out of ten, without labels"
assert (counts.amax(dim=1) > 0.5 * counts.sum(dim=1)).all(), "most is one"
assert len(counts.argmax(dim=1).unique()) == 3, "a cluster for each species"
assert torch.allclose(group_means(x, clusters, 3), centres), "enough rounds"
assert (
    0.77
    < torch.stack([try_three_labels() for _ in range(100)])[:, 0].mean()
    < 0.87
), "labels alone: four penguins out of five"
assert (
    0.025
    < torch.stack([try_three_labels().diff() for _ in range(100)]).mean()
    < 0.055
), "the clusters add about four points"
assert (
    torch.stack([try_three_labels() for _ in range(100)]).amin(dim=0) < 0.6
).all(), "both ways can fail"

# %%
# What goes wrong
# ---------------
# **The number of a cluster is not a label.** Run k-means on the fish once more,
# from other centres, and compare the clusters with the labels:

swapped_centres = k_means(lengths, torch.tensor([[13.0], [1.0]]))
swapped = nearest(lengths, swapped_centres)
print("clusters:", swapped.tolist())
print("labels:  ", labels.tolist())
print(f"equal: {(swapped == labels).float().mean():.0%}")

# %%
# The clusters are perfect, and the comparison says 0 %. Which cluster is called
# 0 depends on the order of the centres at the beginning. So do not compare the
# numbers. Count, as we did above, or let a few labels name the clusters.
#
# **Units decide what is near.** Here are the penguins without standardization,
# in millimetres and grams. Nothing else has changed.

raw_centres = k_means(measured, measured[start])
raw_clusters = nearest(measured, raw_centres)
raw_counts = count_species(raw_clusters)
raw_agreement = raw_counts.amax(dim=1).sum() / 342
print(raw_counts)
print(f"in mm and g: {raw_agreement:.0%} are in the cluster of their species")

# %%
# Far fewer than before, and there was no error. The Chinstraps are not the most
# frequent species of any cluster. The figure shows why.
#
# .. alt:: The 342 penguins, bill length against mass. The three clusters are
#    three horizontal slices: light, medium and heavy penguins.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4, 3.2), layout="constrained")
draw(axis, raw_clusters, cluster_numbers, [0, 1, 2])
axis.set(ylabel="mass in g", ylim=(2500, 7400), title="k-means in mm and g")

# %%
# The clusters are slices of the mass. Two penguins may well differ by 500 g and
# by 5 mm. Squared, that is 250,000 and 25. So the grams decide alone, only
# because a gram is a small unit. Standardized, both columns count.

# %%
# .. check::

assert (swapped == labels).sum() == 0, "the comparison says 0 %"
assert swapped.equal(1 - labels), "the clusters are perfect"
assert raw_agreement < 0.75, "far fewer than before"
assert 1 not in raw_counts.argmax(dim=1), "no cluster of Chinstraps"
assert raw_clusters[measured[:, 1].argsort()].diff().ne(0).sum() <= 4, (
    "slices of the mass"
)

# %%
# Recipe
# ------
# Here is k-means to copy, with two changes. :func:`torch.cdist` computes the
# distance of each point to each centre, as a table of shape (N, K). And a
# cluster that has lost all its points keeps its centre, because the mean of
# nothing would be ``nan``. (The centres are changed in place, so ``clone``
# protects the tensor that you pass in.) The data is made up: two clouds of 100
# points each.

import torch


def k_means(points, centres, rounds=50):
    centres = centres.clone()
    for _ in range(rounds):
        clusters = torch.cdist(points, centres).argmin(dim=1)  # (N,)
        for i in range(len(centres)):
            group = points[clusters == i]
            if len(group) > 0:
                centres[i] = group.mean(dim=0)
    return centres


clouds = torch.cat([torch.randn(100, 2), torch.randn(100, 2) + 6])
scaled = (clouds - clouds.mean(dim=0)) / clouds.std(dim=0)  # (200, 2)
found = k_means(scaled, scaled[torch.randperm(200)[:2]])
print(torch.cdist(scaled, found).argmin(dim=1).bincount())

# %%
# k-means began at two random points and found the two clouds. On real data,
# start it several times and keep the smallest sum, as in exercise 3.

# %%
# .. check::

assert (
    torch.cdist(scaled, found)
    .argmin(dim=1)
    .bincount()
    .equal(torch.tensor([100, 100]))
), "the two clouds"
assert torch.allclose(k_means(x, centres), centres, atol=1e-4), (
    "the centres from above stay where they are"
)

# %%
# What you learned
# ----------------
# - Supervised learning is told the right answers, unsupervised learning only
#   the data, and semi-supervised learning the data and a few answers.
# - k-means puts each point to its nearest centre, and moves each centre to the
#   mean of its points. Start it several times, and keep the smallest sum of
#   squared distances.
# - A small sum says that the clusters are tight. What they mean is another
#   question.
# - The number of a cluster is not a label. Count, or let a few labels name the
#   clusters.
# - Standardize the columns before you compute distances.
#
# Exercises
# ---------
# 1. **Predict.** Run k-means on the six fish from the centres 12 and 13, in
#    your head. Where are the centres after each round? Which cluster do the
#    guppies end up in?
# 2. **Change.** If you may ask for three labels, which ones do you ask for? Ask
#    for the species of the penguin that is nearest to each centre. How many
#    penguins get the right name, with the clusters and with these labels alone?
# 3. **Extend.** Take all four measurements of the penguins, and run k-means
#    from ten different starts. Print for each the sum of the squared distances,
#    and how many penguins are in the cluster of their species. Which run would
#    you keep if you had no labels? Is it the one that agrees best with the
#    species?

# %%
# .. answer:: 1
#
#    In the first round, only the fish of 13 cm belongs to the centre at 13. The
#    other five have the mean (1 + 2 + 3 + 11 + 12) / 5 = 5.8. Now 11 and 12 are
#    nearer to 13, so the centres move to 2 and 12, and there they stay. The
#    guppies are in cluster 0, because the first centre is the one that has
#    moved to them.

places = torch.tensor([[12.0], [13.0]])
for _ in range(3):
    belongs = nearest(lengths, places)
    places = group_means(lengths, belongs, 2)
    print(f"{places[0].item():.1f} {places[1].item():.1f}", belongs.tolist())

# %%
# .. check::

assert places.flatten().tolist() == [2, 12], "they arrive at 2 and 12"
assert belongs.tolist() == [0, 0, 0, 1, 1, 1], "guppies in cluster 0"

# %%
# .. answer:: 2
#
#    Ask about penguins that are typical. ``nearest`` finds them, if the centres
#    are the points and the penguins are the centres. About nine out of ten get
#    the right name, as many as with all labels. And once they are chosen, these
#    three labels do as well without the clusters. But the clusters have told us
#    whom to ask about. So it matters a lot *which* penguins are named.

asked = nearest(centres, x)  # (3,), the penguin nearest to each centre
names = species[asked]
by_clusters = (names[clusters] == species).float().mean()
by_labels = (names[nearest(x, x[asked])] == species).float().mean()
print("species asked for:", names.tolist())
print(f"with the clusters: {by_clusters:.1%}")
print(f"labels alone:      {by_labels:.1%}")

# %%
# .. check::

assert sorted(names.tolist()) == [0, 1, 2], "one of each species"
assert 0.87 < by_clusters < 0.94, "about nine out of ten"
assert 0.87 < by_labels < 0.94, "as well with the labels alone"

# %%
# .. answer:: 3
#
#    Without labels you would keep a run with the smallest sum, 378.3. More than
#    nine out of ten of its penguins are in the cluster of their species. But
#    the runs with the sum 380.0 or 380.2 agree even better. The sum measures
#    how tight the clusters are, and the species are not exactly the tightest
#    groups. The runs differ because k-means goes downhill from where it starts
#    and stays where no step helps any more.

four = torch.stack(
    [table.bill_length, table.bill_depth, table.flipper_length, table.mass],
    dim=1,
)  # (342, 4)
four = (four - four.mean(dim=0)) / four.std(dim=0)

runs = []
for seed in range(10):
    torch.manual_seed(seed)
    start = four[torch.randperm(342)[:3]]
    four_centres = k_means(four, start)
    groups = nearest(four, four_centres)
    squares = ((four - four_centres[groups]) ** 2).sum().item()
    hits = count_species(groups).amax(dim=1).sum().item()
    runs.append([squares, hits])
for squares, hits in sorted(runs):
    print(f"sum {squares:.1f}: {hits / 342:.1%}")

# %%
# .. check::

assert abs(min(runs)[0] - 378.3) < 0.2, "the smallest sum"
assert min(runs)[1] / 342 > 0.9, "more than nine out of ten"
assert max(hits for _, hits in runs) > max(
    hits for squares, hits in runs if squares < 379
), "other runs agree even better"
