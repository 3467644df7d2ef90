"""
Feature maps and embedding maps
===============================

A picture from inside a network looks meaningful. Did training put that there?

Drawn as small images or as points in a plane, the output of a layer often
shows edges or clusters. But the data have edges and clusters of their own, and
layers with random weights pass many of them on. So every picture needs another
one beside it for comparison, and a number.

After this lesson you can

- get the output of a layer with a forward hook
- compare every picture with the network's untrained twin
- measure with a linear probe what training added
"""

# %%
# Setup
# -----

from copy import deepcopy

import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets, models

torch.manual_seed(0)

# %%
# A hook on a layer
# -----------------
# Our first image shows a bar, two pixels wide. The kernel is the row [−1, 0, 1]
# of :doc:`/lessons/architectures/05_cnn`, repeated three times. It adds the
# right column of a window and subtracts the left one.

image = torch.zeros(1, 1, 6, 6)  # one image, one channel
image[0, 0, 1:5, 2:4] = 1
kernel = torch.tensor([[-1.0, 0, 1], [-1, 0, 1], [-1, 0, 1]])
print(image[0, 0].int())

# %%
# We put the kernel into a small network. It returns four numbers, but not what
# its convolution has computed.

small = nn.Sequential(
    nn.Conv2d(1, 1, kernel_size=3, bias=False),  # (B, 1, 4, 4)
    nn.ReLU(),
    nn.MaxPool2d(2),  # (B, 1, 2, 2)
)
with torch.no_grad():
    small[0].weight[:] = kernel
    answer = small(image)
print(answer.flatten())

# %%
# A :term:`forward hook` is a function that PyTorch calls each time a layer has
# computed its output. Ours puts a copy of the output into a list.
# :meth:`~torch.nn.Module.register_forward_hook` returns a handle, and
# ``handle.remove()`` takes the hook away again.

kept = []


def keep(layer, inputs, output):
    kept.append(output.detach().clone())


handle = small[0].register_forward_hook(keep)
small(image)
handle.remove()
small(image)  # not kept any more
print("kept:", len(kept))
edges = kept[0][0, 0]
print(edges.int())

# %%
# This is a *feature map*. A convolution makes one for each channel. Check its
# second row in your head: 3 where the right column of the window lies on the
# bar, and −3 where the left one does.
#
# From now on, we use one function. It needs a layer that is a module (a call of
# ``torch.relu`` is none) and returns one tensor. ``with`` removes the hook,
# even after an error. ``eval`` is for networks with dropout or batch
# normalization.


def output_of(layer, model, images):
    kept = []

    def keep(layer, inputs, output):
        kept.append(output.detach().clone())

    model.eval()
    with layer.register_forward_hook(keep), torch.no_grad():
        for part in images.split(500):  # in parts, for less memory
            model(part)
    return torch.cat(kept)


# %%
# .. check::

assert edges[1].tolist() == [3, 3, -3, -3], "3 and −3"
assert len(kept) == 1, "removed: the second call was not kept"
assert answer.numel() == 4, "four numbers"
assert torch.equal(output_of(small[0], small, image)[0, 0], edges), "the same"

# %%
# The untrained twin
# ------------------
# Now LeNet and the handwritten digits. Before the first training step we copy
# the network. The copy is its *untrained twin*, with the very weights from
# which training begins. What both of them show, training did not add.

train_set, test_set = datasets.mnist()
network_x = train_set.x[:4000]
network_y = train_set.y[:4000]


def learn(seed):
    torch.manual_seed(seed)
    untrained = models.LeNet()
    trained = deepcopy(untrained)
    optimizer = torch.optim.Adam(trained.parameters(), lr=0.003)
    for _ in range(3):  # epochs
        for batch in torch.randperm(4000).split(64):
            loss = cross_entropy(trained(network_x[batch]), network_y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {"untrained": untrained, "trained": trained}


# %%
# We train five networks. The first pair gets a digit that it has not seen.

# not 0 to 4, which we tried out
pairs = [learn(seed) for seed in range(20, 25)]
val_x = train_set.x[9000:]  # the last 1,000 of 10,000
val_y = train_set.y[9000:]
digit = val_x[2:3]
maps = {}
for name, model in pairs[0].items():
    first_relu = model.features[1]
    maps[name] = output_of(first_relu, model, digit)[0]
    print(name, tuple(maps[name].shape))

# %%
# Here are the six feature maps after the first convolution and its ReLU.
# Which of the untrained ones show strokes of the digit, or their edges?
#
# .. alt:: Two rows with a handwritten digit and its six feature maps. Above,
#    from the untrained network, four maps show strokes of the digit or their
#    edges, and two are nearly black. Below, from the trained one, all six show
#    strokes or edges.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 7, figsize=(5.6, 2.1), layout="constrained")
for row, name in zip(axes, maps, strict=True):
    row[0].imshow(digit[0, 0].numpy(), cmap="gray")
    row[0].set_ylabel(name)
    for axis, one_map in zip(row[1:], maps[name], strict=True):
        # each small image has a grey scale of its own
        axis.imshow(one_map.numpy(), cmap="gray")
    for axis in row:
        axis.set(xticks=[], yticks=[])

# %%
# Four do, and two are nearly black. So a map with strokes or edges does not
# show that a network has learned something.

# %%
# Embedding maps
# --------------
# The last hidden layer of LeNet turns each image into 84 numbers, its
# :term:`embedding`. That is a point in 84 dimensions. *t-SNE* places many such
# points in a plane, and tries to keep near neighbours near. It does not try to
# keep long distances, so do not read anything into the distance between two
# clusters, or into their size. ``perplexity`` is roughly the number of
# neighbours that count.
#
# We draw 500 digits from their 784 pixels, and from the 84 numbers of each
# network of the first pair.

points = {"pixels": val_x[:500].flatten(1)}
for name, model in pairs[0].items():
    last_relu = model.classifier[4]
    points[name] = output_of(last_relu, model, val_x[:500])

# %%
# We also count how often the nearest point is the same digit, in the plane and
# before t-SNE. By chance, it would be about one in ten.


def agreement(places):
    distances = torch.cdist(places, places).fill_diagonal_(torch.inf)
    nearest = distances.argmin(dim=1)
    return (val_y[nearest] == val_y[:500]).float().mean().item()


planes = {}
same = {}
for name, values in points.items():
    tsne = TSNE(perplexity=30, random_state=0)
    planes[name] = torch.from_numpy(tsne.fit_transform(values.numpy()))
    same[name] = agreement(planes[name])
    print(f"{name}: {same[name]:.0%} in the plane,", end=" ")
    print(f"{agreement(values):.0%} before t-SNE")

# %%
# .. alt:: Three clouds of 500 points, coloured by digit. From the pixels, there
#    are clusters of one colour that touch each other. From the untrained
#    network, some colours are together and others are mixed. From the trained
#    one, there are ten tight groups, most of them apart.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 3, figsize=(7, 2.6), layout="constrained")
for axis, name in zip(axes, planes, strict=True):
    plane_x, plane_y = planes[name].T.numpy()
    axis.scatter(
        plane_x, plane_y, c=val_y[:500].numpy(), cmap="tab10", s=4,
        vmin=-0.5, vmax=9.5,
    )  # fmt: skip
    axis.set(title=name, xticks=[], yticks=[])
dots = axes[0].collections[0]
figure.colorbar(dots, ax=axes, label="digit", ticks=range(10))

# %%
# The trained network has the tidiest map. But the pixels form clusters, too,
# without any network, and even in the untrained twin the groups of 0 and 1
# stand out. So clusters alone do not show that a network has learned something.

# %%
# .. check::

assert same["trained"] > same["untrained"] + 0.05, "tidier than the twin's"
assert same["trained"] > same["pixels"], "tidier than that of the pixels"
assert torch.cdist(
    planes["untrained"][val_y[:500] == 0],
    planes["untrained"][val_y[:500] == 0],
).median() < torch.cdist(
    planes["untrained"][val_y[:500] == 0],
    planes["untrained"][val_y[:500] > 1],
).quantile(0.05), "0 stands out"
assert torch.cdist(
    planes["untrained"][val_y[:500] == 1],
    planes["untrained"][val_y[:500] == 1],
).median() < torch.cdist(
    planes["untrained"][val_y[:500] == 1],
    planes["untrained"][val_y[:500] > 1],
).quantile(0.05), "1 stands out"

# %%
# A linear probe
# --------------
# How much did training add? A :term:`linear probe` answers with a number. One
# fits a linear classifier to the outputs of a layer, while the network stays as
# it is, and counts how often the classifier is right on new images.
#
# Ours is the logistic regression of :doc:`/lessons/applications/06_sentiment`.
# The first ``n`` rows are for fitting, the next 1,000 to choose ``C`` (the
# larger, the less weight decay), and the rest for the test. Before that, each
# feature gets mean 0, and the feature vector of an image gets length 1 on
# average, so that one list of ``C`` suits all.


def probe(features, y, n=500, choices=(1, 10, 100, 1000)):
    features = features.flatten(1)
    features = features - features[:n].mean(dim=0)
    features = features / features[:n].norm(dim=1).mean()
    x, y = features.numpy(), y.numpy()
    best = 0
    right = 0
    for choice in choices:
        model = LogisticRegression(C=choice, max_iter=1000)
        model.fit(x[:n], y[:n])
        val = model.score(x[n : n + 1000], y[n : n + 1000])
        if val > best:  # keep the test score of the best C
            best = val
            right = model.score(x[n + 1000 :], y[n + 1000 :])
    return 100 * right


# %%
# For each pair we draw 500 images that the network has not seen.


def draw(seed, n=500):
    torch.manual_seed(seed)
    few = 5000 + torch.randperm(3000)[:n]  # of 5,000 to 7,999
    x = torch.cat([train_set.x[few], val_x, test_set.x])
    y = torch.cat([train_set.y[few], val_y, test_set.y])
    return x, y


# %%
# We probe the pixels, the 400 numbers after the second pooling
# (``features[5]``), and the 84 of the last hidden layer (``classifier[4]``).
# ``features`` and ``classifier`` are networks, too, so the hook works on each.

pixels = torch.zeros(5)
pooled = {"untrained": torch.zeros(5), "trained": torch.zeros(5)}
hidden = {"untrained": torch.zeros(5), "trained": torch.zeros(5)}
for i, pair in enumerate(pairs):
    x, y = draw(20 + i)
    pixels[i] = probe(x, y)
    for name, model in pair.items():
        after_pool = output_of(model.features[5], model.features, x)
        pooled[name][i] = probe(after_pool, y)
        last = output_of(model.classifier[4], model.classifier, after_pool)
        hidden[name][i] = probe(last, y)

# %%
# The test accuracy in percent, ± its standard deviation, and the gain from
# untrained to trained, pair by pair, ± its :term:`standard error`:

gains = {}
print(f"pixels: {pixels.mean():.1f} ± {pixels.std():.1f}")
for place, table in {"pooled": pooled, "hidden": hidden}.items():
    for name, values in table.items():
        print(f"{place}, {name}: {values.mean():.1f} ± {values.std():.1f}")
    gain = table["trained"] - table["untrained"]
    print(f"  gain: {gain.mean():.1f} ± {gain.std() / 5**0.5:.1f} points")
    gains[place] = gain.mean().item()

# %%
# The untrained pooled features are better than the pixels. So with the pixels
# as the only comparison, you would praise training for what two random
# convolutions do, with their ReLU and pooling. Compared with the twin, training
# added about 4.5 points there.
#
# In the last hidden layer, it added about 17.5. The untrained 84 numbers are
# worse than the pixels, and the trained 84 are about as good as the 400 pooled
# ones.
#
# The ± covers the luck of the initial weights, the batch order and the 500
# images, but not that of the 4,000 or of the test images.

# %%
# .. check::

assert (pooled["untrained"] > pixels + 1).all(), "better than the pixels"
assert abs(gains["pooled"] - 4.5) < 0.8, "about 4.5 points"
assert abs(gains["hidden"] - 17.5) < 2, "about 17.5 points"
assert (hidden["untrained"] < pixels - 2).all(), "worse than the pixels"
assert abs(hidden["trained"].mean() - pooled["trained"].mean()) < 1, (
    "about as good"
)

# %%
# All this holds for probes with 500 labels. But the training has used 4,000, so
# now the probes of both get these. (``C`` stays at 10, to save time.)

all_x = torch.cat([network_x, val_x, test_set.x])
all_y = torch.cat([network_y, val_y, test_set.y])
more = {}
for name in pairs[0]:
    more[f"pooled, {name}"] = torch.zeros(5)
    more[f"hidden, {name}"] = torch.zeros(5)
for i, pair in enumerate(pairs):
    for name, model in pair.items():
        after_pool = output_of(model.features[5], model.features, all_x)
        more[f"pooled, {name}"][i] = probe(after_pool, all_y, 4000, [10])
        last = output_of(model.classifier[4], model.classifier, after_pool)
        more[f"hidden, {name}"][i] = probe(last, all_y, 4000, [10])
for place, values in more.items():
    print(f"{place}: {values.mean():.1f} ± {values.std():.1f}")

# %%
# Now the twin's pooled features are about as good as the trained ones were with
# 500 labels. With equal labels, training adds about 2.5 points there, and about
# 12.5 in the last hidden layer.

# %%
# .. check::

assert abs(more["pooled, untrained"].mean() - pooled["trained"].mean()) < 1, (
    "as good"
)
assert (
    1.7 < (more["pooled, trained"] - more["pooled, untrained"]).mean() < 3.3
), "about 2.5 points"
assert (
    10.5 < (more["hidden, trained"] - more["hidden, untrained"]).mean() < 14.5
), "about 12.5 points"

# %%
# What goes wrong
# ---------------
# Many networks of torchvision use ``nn.ReLU(inplace=True)``, which writes its
# result over its input (:doc:`/lessons/tensors/11_in_place`). That input is the
# tensor that the hook has just kept. We leave out ``clone``:

small[1] = nn.ReLU(inplace=True)
without_clone = []


def keep_without_clone(layer, inputs, output):
    without_clone.append(output.detach())


with small[0].register_forward_hook(keep_without_clone), torch.no_grad():
    small(image)
print("without clone:", without_clone[0][0, 0, 1])
print("with clone:   ", output_of(small[0], small, image)[0, 0, 1])

# %%
# No error is raised, but each −3 has become 0. ``detach`` returns a tensor that
# shares its memory with the output, while ``clone`` copies the numbers.

# %%
# .. check::

assert without_clone[0][0, 0, 1].tolist() == [3, 3, 0, 0], "has become 0"
assert output_of(small[0], small, image)[0, 0, 1, 2] == -3, "kept"

# %%
# Recipe
# ------
# Put your own network in place of ours, and your own images in place of these
# 1,797 digits of 8 × 8 pixels.

import copy

import torch
from sklearn import linear_model
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
scans = load_digits()
inputs = torch.tensor(scans.data).float().reshape(-1, 1, 8, 8) / 16
labels = torch.tensor(scans.target)
before = nn.Sequential(
    nn.Conv2d(1, 8, kernel_size=3), nn.ReLU(), nn.Flatten(),
    nn.Linear(288, 32), nn.ReLU(), nn.Linear(32, 10),
)  # fmt: skip
after = copy.deepcopy(before)

# %%
# The network learns from the first 900 images:

optimizer = torch.optim.Adam(after.parameters(), lr=0.003)
for _ in range(400):
    batch = torch.randint(900, (32,))
    loss = nn.functional.cross_entropy(after(inputs[batch]), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

found = [inputs.flatten(1).numpy()]  # the pixels, without a network


def catch(layer, arguments, output):
    found.append(output.detach().clone().numpy())


for model in [before, after]:
    model.eval()
    with model[4].register_forward_hook(catch), torch.no_grad():
        model(inputs)

# %%
# The probes learn from the next 400 (choose ``C`` on validation data), and are
# judged on 496. The last image is the new one.

held_right = {}
names = ["pixels", "untrained", "trained"]
for name, values in zip(names, found, strict=True):
    probe_model = linear_model.LogisticRegression(C=10, max_iter=1000)
    probe_model.fit(values[900:1300], labels[900:1300])
    held_right[name] = probe_model.score(values[1300:1796], labels[1300:1796])
    new = probe_model.predict(values[1796:])[0]
    print(f"{name}: {held_right[name]:.0%} right, new image: {new}")
print("true:", labels[1796].item())

# %%
# .. check::

assert held_right["trained"] > held_right["untrained"] + 0.07, "a gain"

# %%
# What you learned
# ----------------
# - A forward hook gets the output of a layer. Keep a ``clone``, and remove the
#   hook afterwards.
# - Edges in feature maps and clusters in embedding maps can appear without any
#   training. Show the untrained twin beside every picture.
# - A linear probe on held-out images gives the number. Compare it with that of
#   the twin and that of the input.
# - Say at which layer, and with how many labels, the gain was measured.
#
# Exercises
# ---------
# 1. **Predict.** The kernel gets the opposite sign. What is the second row of
#    the map, and what does ReLU leave of it?
# 2. **Change.** Give the probe 100 images and not 500. Which loses more, the
#    pixels or the trained last hidden layer?
# 3. **Extend.** Are the 84 untrained numbers bad because they come late in the
#    network, or because they are few? Make the last hidden layer ten times as
#    wide, then the one before it, then both, and probe without any training.

# %%
# .. answer:: 1
#
#    All signs change, so ReLU now keeps the right edge.

opposite = nn.functional.conv2d(image, -kernel.reshape(1, 1, 3, 3))
print(opposite[0, 0, 1])
print(opposite[0, 0, 1].relu())

# %%
# .. check::

assert opposite[0, 0, 1].relu().tolist() == [0, 0, 3, 3], "the right edge"

# %%
# .. answer:: 2
#
#    The pixels lose far more. But remember that the network has used 4,000
#    labels of its own. We take the first three pairs. The test set is used
#    again, but nothing is chosen by it.

pixels_100 = torch.zeros(3)
trained_100 = torch.zeros(3)
for i in range(3):
    x, y = draw(20 + i, n=100)
    pixels_100[i] = probe(x, y, n=100)
    model = pairs[i]["trained"]
    values = output_of(model.classifier[4], model, x)
    trained_100[i] = probe(values, y, n=100)
pixel_loss = (pixels[:3] - pixels_100).mean()
trained_loss = (hidden["trained"][:3] - trained_100).mean()
print(f"pixels: {pixel_loss:.1f} points, trained: {trained_loss:.1f}")

# %%
# .. check::

assert pixel_loss > trained_loss + 5, "far more"

# %%
# .. answer:: 3
#
#    They are few. With 840, they are better at the same depth, but the 120
#    before them are few, too. With both layers wide, they come close to the
#    pooled 400, although they come as late as before.

wide_last = torch.zeros(3)
wide_first = torch.zeros(3)
wide_both = torch.zeros(3)
for i in range(3):
    x, y = draw(20 + i)
    model = pairs[i]["untrained"]
    after_pool = output_of(model.features[5], model.features, x)
    layers = models.LeNet().classifier[:5]
    layers[3] = nn.Linear(120, 840)
    wide_last[i] = probe(output_of(layers, layers, after_pool), y)
    layers[1] = nn.Linear(400, 1200)
    layers[3] = nn.Linear(1200, 84)
    wide_first[i] = probe(output_of(layers, layers, after_pool), y)
    layers[3] = nn.Linear(1200, 840)
    wide_both[i] = probe(output_of(layers, layers, after_pool), y)
print(f"both as before:  {hidden['untrained'][:3].mean():.1f}")
print(f"last one wider:  {wide_last.mean():.1f}")
print(f"first one wider: {wide_first.mean():.1f}")
print(f"both wider:      {wide_both.mean():.1f}")

# %%
# .. check::

assert wide_last.mean() > hidden["untrained"][:3].mean() + 2, "better"
assert wide_last.mean() > wide_first.mean() + 1, "help more"
assert wide_last.mean() < wide_both.mean() - 2, "the 120 are few, too"
assert abs(wide_both.mean() - pooled["untrained"][:3].mean()) < 2, "close"
