"""
Few labels: semi-supervised learning
====================================

Thousands of images, and labels for only fifty: what can you do with them?

Images are often free, but each label costs somebody's time.
:term:`Semi-supervised learning <semi-supervised learning>` uses the images
without labels, too. We try two such methods. But you also decide *which* fifty
images get a label, and in this lesson that choice gained at least as much as
either method, as far as eight draws can tell.

After this lesson you can

- spread a few labels to the points around them, and say when this works
- choose the images to label with k-means
- notice pseudo-labels that are sure and wrong, and a validation set that you
  could not have afforded
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy, pad

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# Two labels for seven points
# ---------------------------
# Seven points lie on a line. The first one has the label 0, the last one the
# label 1, and −1 stands for "no label". The simplest rule gives each point the
# label of the nearest labelled point, found with :func:`torch.cdist`.

line = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0], [6.0], [7.0]])
line_labels = torch.tensor([0, -1, -1, -1, -1, -1, 1])


def by_nearest(points, known, known_labels):
    nearest = torch.cdist(points, known).argmin(dim=1)
    return known_labels[nearest]


print(by_nearest(line, line[[0, 6]], torch.tensor([0, 1])))

# %%
# The point at 4 gets the label 1, because 7 is nearer than 0. But the points
# before the gap look like one group. So let the labels *spread* in small steps.
# Of all points without a label, take the one that is nearest to a labelled
# point, copy that label, and repeat.


def spread(points, labels):
    labels = labels.clone()
    while (labels == -1).any():
        known = (labels != -1).nonzero().flatten()
        unknown = (labels == -1).nonzero().flatten()
        distances = torch.cdist(points[unknown], points[known])
        distance, owner = distances.min(dim=1)
        closest = distance.argmin()
        labels[unknown[closest]] = labels[known[owner[closest]]]
    return labels


print(spread(line, line_labels))

# %%
# The label 0 walks from 0 to 4 in steps of 1 and stops at the gap. The same
# code works for 200 points on two moons
# (:doc:`/lessons/applications/15_flow_matching`), with one label on each.

spots, moon = make_moons(200, noise=0.05, random_state=0)
spots = torch.tensor(spots).float()
moon = torch.tensor(moon)
zeros = (moon == 0).nonzero()
ones = (moon == 1).nonzero()
labelled = torch.cat([zeros[0], ones[0]])  # the first point of each moon
moon_labels = torch.full((200,), -1)
moon_labels[labelled] = moon[labelled]
near_moon = by_nearest(spots, spots[labelled], moon[labelled])
spread_moon = spread(spots, moon_labels)
print(f"nearest label: {(near_moon == moon).float().mean():.0%} right")
print(f"spread:        {(spread_moon == moon).float().mean():.0%} right")

# %%
# .. alt:: The two moons twice, with a large star on the labelled point of each.
#    On the left, each point has the label of the nearest star, and over a third
#    of the lower moon has the wrong colour. On the right, the labels were
#    spread, and each moon has one colour.

# %%
# .. drawing::

figure, axes = plt.subplots(
    1, 2, figsize=(6, 2.6), sharey=True, layout="constrained"
)
panels = {"nearest label": near_moon, "spread": spread_moon}
for axis, title in zip(axes, panels, strict=True):
    given = panels[title]
    for kind, marker in enumerate(["o", "s"]):
        dots = spots[given == kind]
        colour = ["#0072B2", "#D55E00"][kind]
        axis.scatter(dots[:, 0], dots[:, 1], s=8, color=colour, marker=marker)
    stars = spots[labelled]
    axis.scatter(stars[:, 0], stars[:, 1], s=160, color="black", marker="*")
    axis.set(title=title, xlabel="first coordinate")
axes[0].set(ylabel="second coordinate")

# %%
# Spreading works if short steps connect the points of one class and not the
# classes.

# %%
# .. check::

assert by_nearest(line, line[[0, 6]], torch.tensor([0, 1])).tolist() == [
    0, 0, 0, 0, 1, 1, 1,
], "4 gets the label 1"  # fmt: skip
assert spread(line, line_labels).tolist() == [0, 0, 0, 0, 0, 1, 1], "the gap"
assert (near_moon == moon).float().mean() < 0.9, "the nearest label errs"
assert spread_moon.equal(moon), "spreading names all"

# %%
# Which fifty?
# ------------
# Now digits, of which we may label 50. From 10,000 training images we take
# 4,000 at random, eight times, and call this eight *draws*. 2,000 other images
# are the test. To save time, width and height are halved, to 14 × 14 pixels.
#
# Without labels, we can still group the images with :term:`k-means`.
# ``KMeans(50)`` of scikit-learn looks for 50 clusters (``n_init=1`` means from
# a single start), and then ``labels_`` holds the number of each image's
# cluster. The image nearest to the mean of a cluster is *typical*, and we ask
# for the labels of these 50.
#
# We compare them with two other choices. *Random* draws 50 of the images.
# *Any of each cluster* takes the first image of each cluster.

digits, test = datasets.mnist()
images = avg_pool2d(digits.x, 2)  # (10,000, 1, 14, 14)
test_x = avg_pool2d(test.x, 2)
test_flat = test_x.flatten(1)  # (2,000, 196)


def choose(flat, seed):
    k_means = KMeans(50, n_init=1, random_state=seed).fit(flat.numpy())
    centres = torch.tensor(k_means.cluster_centers_)
    clusters = torch.tensor(k_means.labels_)
    any_one = [(clusters == i).nonzero()[0] for i in range(50)]
    return {
        "random": torch.randperm(4000)[:50],
        "any of each cluster": torch.cat(any_one),
        "typical": torch.cdist(centres, flat).argmin(dim=1),
    }


# %%
# On each choice we train a logistic regression. Its score is the share of the
# test images that it reads correctly.


def score(answers):
    return (answers == test.y).float().mean()


def logistic(x, y):
    model = LogisticRegression(max_iter=1000)
    model.fit(x.numpy(), y.numpy())
    return torch.tensor(model.predict(test_flat.numpy()))


# %%
# ``pools`` and ``choices`` keep the draws for later.

pools = []
choices = []
ways = ["random", "any of each cluster", "typical"]
by_way = {way: torch.zeros(8) for way in ways}
for seed in range(8):
    torch.manual_seed(seed)
    pools.append(torch.randperm(10_000)[:4000])
    flat = images[pools[seed]].flatten(1)
    y = digits.y[pools[seed]]
    choices.append(choose(flat, seed))
    for way, chosen in choices[seed].items():
        by_way[way][seed] = score(logistic(flat[chosen], y[chosen]))
for way, shares in by_way.items():
    print(f"{way:20} {shares.mean():.3f} ± {shares.std():.3f}")

# %%
# These are mean ± standard deviation of the eight draws. The typical images
# gain about 13 points over random ones, and any image of each cluster about 8.
# So it helps that each group has its share, and further that the images are
# typical. Here are the typical ones of the last draw.
#
# .. alt:: The fifty typical images in five rows. All ten digits are there, most
#    of them several times in different handwriting, upright and slanted. Most
#    are easy to read.

last = choices[7]["typical"]
figure = plots.image_grid(images[pools[7]][last], ncols=10)

# %%
# .. check::

assert 0.57 < by_way["random"].mean() < 0.69, "random"
assert 0.09 < (by_way["typical"] - by_way["random"]).mean() < 0.17, "about 13"
assert (by_way["typical"] > by_way["any of each cluster"]).all(), (
    "typical helps"
)
assert (
    0.04 < (by_way["any of each cluster"] - by_way["random"]).mean() < 0.11
), "any of each cluster: about 8"

# %%
# Five methods
# ------------
# Three methods learn from the labelled images only. These are logistic
# regression, the *nearest label*, as on the line, and a small CNN. The other
# two also use the rest of the 4,000 images.
#
# *Label spreading* is ``LabelSpreading`` in scikit-learn. In our ``spread``, a
# point copies one label and keeps it. Here, each image is linked to the nine
# nearest others (``n_neighbors=10`` counts the image itself) and has a share of
# each label. In each round, it takes nine tenths of its shares from its
# neighbours (``alpha=0.9``) and one tenth from its own label, if it has one,
# until the shares hardly change. The largest one is the answer, so a wrong
# neighbour can be outvoted. For a test image, ``predict`` adds up the shares of
# the ten nearest images.


def label_spreading(flat, chosen, few):
    labels = torch.full((len(flat),), -1)
    labels[chosen] = few
    model = LabelSpreading(
        kernel="knn", n_neighbors=10, alpha=0.9, max_iter=100
    )
    model.fit(flat.numpy(), labels.numpy())
    return torch.tensor(model.predict(test_flat.numpy()))


# %%
# The CNN takes 60 steps with 50 images each, so with 50 images it sees each
# about 60 times, moved by at most one pixel, as in
# :doc:`/lessons/architectures/04_dropout_augmentation`.


def learn(x, y):
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.MaxPool2d(2),
        nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.MaxPool2d(2),
        nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for batch in torch.randint(len(x), (60, 50)):
        top, left = torch.randint(3, (2,)).tolist()
        moved = pad(x[batch], [1] * 4)[:, :, top : top + 14, left : left + 14]
        optimizer.zero_grad()
        cross_entropy(model(moved), y[batch]).backward()
        optimizer.step()
    return model.eval()


# %%
# With :term:`pseudo-labels <pseudo-label>` we train twice. The first CNN reads
# all 4,000 images. Those of which it is more than 95% sure join the 50, with
# its answers as labels, and a second CNN learns from all of them.


def read(model, x):
    with torch.no_grad():
        return model(x).softmax(dim=1).max(dim=1)  # sureness and guess


def pseudo_labels(x, chosen, few):
    first = learn(x[chosen], few)
    sureness, guess = read(first, x)
    sureness[chosen] = 0  # we know their labels
    sure = sureness > 0.95
    more_x = torch.cat([x[chosen], x[sure]])
    more_y = torch.cat([few, guess[sure]])
    second = learn(more_x, more_y)
    return first, second, sureness, guess


# %%
# We run all five with random and with typical labels, first those without a
# network.

names = ["logistic", "nearest label", "label spreading", "CNN", "pseudo-labels"]
right = {name: torch.zeros(2, 8) for name in names}  # random or typical, draw
right["logistic"] = torch.stack([by_way["random"], by_way["typical"]])
for seed in range(8):
    flat = images[pools[seed]].flatten(1)
    for i, way in enumerate(["random", "typical"]):
        chosen = choices[seed][way]
        few = digits.y[pools[seed][chosen]]
        answers = by_nearest(test_flat, flat[chosen], few)
        right["nearest label"][i, seed] = score(answers)
        answers = label_spreading(flat, chosen, few)
        right["label spreading"][i, seed] = score(answers)

# %%
# Of the networks we also keep what the first one says about the 4,000 images.

sureness = torch.zeros(2, 8, 4000)
guesses = torch.zeros(2, 8, 4000, dtype=torch.long)
for seed in range(8):
    torch.manual_seed(seed)
    x = images[pools[seed]]
    for i, way in enumerate(["random", "typical"]):
        chosen = choices[seed][way]
        few = digits.y[pools[seed][chosen]]
        first, second, how_sure, guess = pseudo_labels(x, chosen, few)
        sureness[i, seed] = how_sure
        guesses[i, seed] = guess
        _, answers = read(first, test_x)
        right["CNN"][i, seed] = score(answers)
        _, answers = read(second, test_x)
        right["pseudo-labels"][i, seed] = score(answers)

# %%
# The last column is the gain of typical over random labels. The number after
# its ± is a standard error.

print("                mean ± standard deviation       mean ± standard error")
print("                random         typical          gain")
gain = {}
for name, shares in right.items():
    random, typical = shares
    gain[name] = typical - random
    print(f"{name:15} {random.mean():.3f} ± {random.std():.3f}", end="  ")
    print(f"{typical.mean():.3f} ± {typical.std():.3f}", end="    ")
    print(f"{gain[name].mean():.3f} ± {gain[name].std() / 8**0.5:.3f}")

# %%
# What do the two methods gain over a simpler one without the other images? The
# last line of each compares the simpler one with typical labels to the method
# with random labels.

simpler = {"label spreading": "nearest label", "pseudo-labels": "CNN"}
more = {}
for name, base in simpler.items():
    random, typical = right[name] - right[base]
    more[name] = gain[base] - random
    print(f"{name} over {base}")
    for title, each in [("random", random), ("typical", typical)]:
        print(f"  {title}: {each.mean():.3f} ± {each.std() / 8**0.5:.3f}")
    error = more[name].std() / 8**0.5
    print(f"  choice more: {more[name].mean():.3f} ± {error:.3f}")

# %%
# Labelling typical images helps each of the five methods, the networks by 5 to
# 6 points and the others by 10 to 14. With random labels, label spreading gains
# about 11 points and pseudo-labels about 3. With typical ones, they gain 8 and
# 1.
#
# On average, the choice gained more than either method, by about 3 and 4
# points. But these are about two standard errors, so eight draws cannot tell
# them apart. (As the draws share images, the standard errors are even too
# small.) You need not decide, because both methods were best with typical
# images.
#
# Our pseudo-labels are made only once. Stronger methods, such as FixMatch, make
# them again in each step, from a slightly changed image, and train on a
# strongly changed version of it.

# %%
# .. check::

assert all(0.07 < gain[name].mean() < 0.18 for name in names[:3]), "10 to 14"
assert 0.03 < gain["CNN"].mean() < 0.1, "the CNN, 6 points"
assert 0.02 < gain["pseudo-labels"].mean() < 0.09, "pseudo-labels, 5 points"
assert (
    0.08
    < (right["label spreading"][0] - right["nearest label"][0]).mean()
    < 0.15
), "about 11"
assert (
    0.05
    < (right["label spreading"][1] - right["nearest label"][1]).mean()
    < 0.11
), "about 8"
assert 0.005 < (right["pseudo-labels"] - right["CNN"])[0].mean() < 0.06, "3"
assert 0 < (right["pseudo-labels"] - right["CNN"])[1].mean() < 0.035, "1"
assert all(-0.02 < each.mean() < 0.08 for each in more.values()), "about equal"
assert all(right[name][1].mean() > right[name][0].mean() for name in names), (
    "best with typical images"
)

# %%
# What goes wrong
# ---------------
# **Labels that are sure and wrong.** How many of the pseudo-labels should be
# wrong according to their mean sureness, and how many are?

wrong, promised = torch.zeros(2, 2, 8)
pairs = torch.zeros(100, dtype=torch.long)  # counts of 10 * truth + guess
for i, way in enumerate(["random", "typical"]):
    for seed in range(8):
        sure = sureness[i, seed] > 0.95
        truth = digits.y[pools[seed]][sure]
        guess = guesses[i, seed, sure]
        wrong[i, seed] = (guess != truth).float().mean()
        promised[i, seed] = 1 - sureness[i, seed, sure].mean()
        pair = 10 * truth + guess
        pairs += torch.bincount(pair[guess != truth], minlength=100)
    print(f"{way:8} promised {promised[i].mean():.1%}", end=", ")
    print(f"wrong {wrong[i].mean():.1%}, worst {wrong[i].max():.1%}")
for pair in pairs.argsort(descending=True)[:2].tolist():
    print(f"a {pair // 10} read as a {pair % 10}: {pairs[pair]} times")

# %%
# With random labels, about 4% are wrong instead of 1%, and with typical ones
# 2%. In the worst draw it is one in ten. The most frequent mistakes are between
# digits that look alike. The second CNN learns these labels like all others. So
# let a person check a sample of them.

# %%
# .. check::

assert (promised.mean(dim=1) < 0.015).all(), "about 1% promised"
assert (wrong.mean(dim=1) > 1.6 * promised.mean(dim=1)).all(), "two to three"
assert (wrong.mean(dim=1) < 4.5 * promised.mean(dim=1)).all(), "times as many"
assert 0.025 < wrong[0].mean() < 0.055, "about 4% with random labels"
assert 0.015 < wrong[1].mean() < 0.03, "about 2% with typical labels"
assert 0.07 < wrong.max() < 0.15, "one in ten"

# %%
# **A validation set that you could not afford.** We chose the settings (the
# number of neighbours, the learning rate, 95% …) on other draws with 1,000
# validation images. That is 20 times as many labels as the 50. What if the CNN
# learns from them? Four draws will do.

rich = torch.zeros(4)
for seed in range(4):
    torch.manual_seed(seed)
    rows = torch.randperm(10_000)[4000:5000]  # not in the 4,000
    rows = torch.cat([rows, pools[seed][choices[seed]["typical"]]])
    _, answers = read(learn(images[rows], digits.y[rows]), test_x)
    rich[seed] = score(answers)
print(f"CNN, 1,050 labels: {rich.mean():.3f}")

# %%
# The CNN is now better than every method in our table. So if you have such a
# validation set, train on most of it. If not, use common settings.

# %%
# .. check::

assert rich.mean() > right["pseudo-labels"][1].mean() + 0.02, "better than all"

# %%
# In production
# -------------
# Labelling usually goes in rounds. You label some images, train, and choose the
# next ones, which is called :term:`active learning`. A common rule asks for the
# images of which the model is least sure. With very few labels they may add
# nothing, as exercise 3 shows. For the test, keep a random sample aside,
# because typical images are not representative. K-means on pixels suits centred
# digits, but for photographs one compares features of a trained network.
#
# Recipe
# ------
# Choose the images, label them, and spread the labels.

import torch
from sklearn import cluster, semi_supervised
from torch.nn.functional import avg_pool2d

from handbook import datasets

digits, test = datasets.mnist()
x = avg_pool2d(digits.x[:3000], 2).flatten(1)

k_means = cluster.KMeans(50, n_init=1, random_state=0).fit(x.numpy())
centres = torch.tensor(k_means.cluster_centers_)
chosen = torch.cdist(centres, x).argmin(dim=1)
labels = torch.full((len(x),), -1)
labels[chosen] = digits.y[chosen]  # a person writes these
model = semi_supervised.LabelSpreading(
    kernel="knn", n_neighbors=10, alpha=0.9, max_iter=100
)
model = model.fit(x.numpy(), labels.numpy())

# %%
# For images, a CNN can learn from the 50 instead, as above.

test_flat = avg_pool2d(test.x, 2).flatten(1)
answers = torch.tensor(model.predict(test_flat.numpy()))
on_test = (answers == test.y).float().mean()
print(f"test: {on_test:.1%}")
print("first image:", answers[0].item(), "truth:", test.y[0].item())

# %%
# .. check::

assert on_test > 0.78, "from 50 labels"

# %%
# What you learned
# ----------------
# - Spreading labels works if short steps connect the points of one class and
#   not the classes.
# - Labelling typical images, found with k-means, helped each method, by 5 to 14
#   points.
# - Label spreading and pseudo-labels helped, too, and eight draws cannot tell
#   whether the choice gains more.
# - Of the pseudo-labels, on average two to three times as many were wrong as
#   promised.
# - Labels for validation are labels, too. A CNN that learned from them was
#   better than every method without them.
#
# Exercises
# ---------
# 1. **Predict.** On the line, the points at 2 and 7 are labelled instead of
#    those at 0 and 7. What does the nearest label give now?
# 2. **Change.** Make the moons wider, with ``noise=0.2``, for five values of
#    ``random_state``. How many points are right with the nearest label, and how
#    many after spreading?
# 3. **Extend.** Label only 25 typical images. Then label the 25 of which the
#    logistic regression is least sure, and train again. Do these help more than
#    25 random images?

# %%
# .. answer:: 1
#
#    The label 0 up to 4, and then 1, because 4 is nearer to 2 than to 7. The
#    gap separates them now.

line_answers = by_nearest(line, line[[2, 6]], torch.tensor([0, 1]))
print(line_answers)

# %%
# .. check::

assert line_answers.tolist() == [0, 0, 0, 0, 0, 1, 1], "the gap separates them"

# %%
# .. answer:: 2
#
#    The moons touch, and one wrong step is copied on and on. In most of the
#    five cases spreading is worse than the nearest label, and in one it gets
#    almost all points right. Its mistakes come in large pieces.

shares = []
for seed in range(5):
    wide, kind = make_moons(200, noise=0.2, random_state=seed)
    wide = torch.tensor(wide).float()
    kind = torch.tensor(kind)
    zeros = (kind == 0).nonzero()
    ones = (kind == 1).nonzero()
    two = torch.cat([zeros[0], ones[0]])
    two_labels = torch.full((200,), -1)
    two_labels[two] = kind[two]
    simple = by_nearest(wide, wide[two], kind[two])
    simple = (simple == kind).float().mean()
    steps = (spread(wide, two_labels) == kind).float().mean()
    shares.append([simple.item(), steps.item()])
    print(f"nearest label {simple:.0%}, spread {steps:.0%}")

# %%
# .. check::

assert sum(steps < simple for simple, steps in shares) >= 3, "worse in most"
assert max(steps for _, steps in shares) > 0.9, "almost all in one"

# %%
# .. answer:: 3
#
#    No. In five draws, the 25 unsure images add nothing on average to the 25
#    typical ones, and 25 random images add about 5 points.

typical_alone = torch.zeros(5)
with_random = torch.zeros(5)
with_unsure = torch.zeros(5)
for seed in range(5):
    flat = images[pools[seed]].flatten(1)
    y = digits.y[pools[seed]]
    k_means = KMeans(25, n_init=1, random_state=seed).fit(flat.numpy())
    centres = torch.tensor(k_means.cluster_centers_)
    typical = torch.cdist(centres, flat).argmin(dim=1)
    typical_alone[seed] = score(logistic(flat[typical], y[typical]))
    model = LogisticRegression(max_iter=1000)
    model.fit(flat[typical].numpy(), y[typical].numpy())
    how_sure = torch.tensor(model.predict_proba(flat.numpy())).amax(dim=1)
    both = torch.cat([typical, choices[seed]["random"][:25]])
    with_random[seed] = score(logistic(flat[both], y[both]))
    both = torch.cat([typical, how_sure.argsort()[:25]])
    with_unsure[seed] = score(logistic(flat[both], y[both]))
print(f"25 typical:            {typical_alone.mean():.3f}")
print(f"25 typical, 25 random: {with_random.mean():.3f}")
print(f"25 typical, 25 unsure: {with_unsure.mean():.3f}")

# %%
# .. check::

assert (with_unsure - typical_alone).mean().abs() < 0.025, "unsure: nothing"
assert 0.02 < (with_random - typical_alone).mean() < 0.08, "random: about 5"
