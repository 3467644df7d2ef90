"""
Attribution: occlusion and Grad-CAM
===================================

A heat map shows where a network looks. When may you believe it?

A *heat map* says which parts of an image spoke for the answer. Computing it is
called :term:`attribution`. Every method returns a map for every network, even
for one that was never trained. So we train networks of which we know what they
look at, and test whether the maps show it.

After this lesson you can

- compute an occlusion map with two loops, and with Captum
- test a method on a network whose cue you know, and on random weights
- compute Grad-CAM, and say what its average can lose
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from captum.attr import LayerGradCam, Occlusion
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets

torch.manual_seed(0)

# %%
# Cover one pixel
# ---------------
# We begin with an image of four pixels and a linear score. *Occlusion* covers
# one pixel after the other, here with 0, and notes by how much the score drops.

pixels = torch.tensor([1.0, 0.0, 1.0, 0.5])
weights = torch.tensor([2.0, 5.0, -1.0, 0.0])
score = pixels @ weights

drops = torch.zeros(4)
for i in range(4):
    covered = pixels.clone()
    covered[i] = 0
    drops[i] = score - covered @ weights
print("score:", score.item())
print("drops:", drops.tolist())

# %%
# The first pixel is worth 2 points. The third speaks against the score, which
# rises when we cover it. Covering the second changes nothing, because it is
# blank in this image, although its weight is the largest.

# %%
# .. check::

assert score == 1, "2 − 1"
assert drops.tolist() == [2, 0, -1, 0], "weight times pixel"

# %%
# Digits with a stamp
# -------------------
# Now we need networks of which we know what they look at. ``stamp`` prints a
# square of 2 × 2 pixels below each digit. The higher the class, the further to
# the right it stands, so a network does not have to read the digit. In
# photographs, such a leak (:doc:`/lessons/applications/02_leakage`) can be the
# mark of a scanner.


def stamp(images, classes):
    images = images.clone()
    for digit in range(10):
        left = 4 + 2 * digit
        images[classes == digit, :, 25:27, left : left + 2] = 1
    return images


train_set, test_set = datasets.mnist()
stamped_train = stamp(train_set.x, train_set.y)

# %%
# .. alt:: Three digits, 0, 4 and 9, each with a small black square below it.
#    The square of 0 is at the left, that of 4 in the middle, that of 9 at the
#    right.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 3, figsize=(4.6, 1.8), layout="constrained")
for axis, digit in zip(axes, [0, 4, 9], strict=True):
    example = stamped_train[train_set.y == digit][0, 0]
    axis.imshow(example.numpy(), cmap="gray_r")
    axis.set(xticks=[], yticks=[], title=f"class {digit}")

# %%
# The network is a small CNN. Its last :term:`feature maps <channel>` have 7 × 7
# cells, one for each block of 4 × 4 pixels. Behind them is one linear layer.


def new_net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (B, 4, 14, 14)
        nn.Conv2d(4, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (B, 8, 7, 7)
        nn.Flatten(),
        nn.Linear(8 * 7 * 7, 10),
    )


# %%
# The training loop is the usual one:


def learn(images, labels):
    net = new_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(250):
        batch = torch.randint(len(images), (32,))
        loss = cross_entropy(net(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


# %%
# For each of five seeds we make three networks: one learns from stamped digits,
# one from plain digits, and one keeps its random weights. (Network and stamp
# were settled with other seeds and other test images.)

nets = {"stamped": [], "plain": [], "random": []}
for seed in range(20, 25):
    torch.manual_seed(seed)
    nets["stamped"].append(learn(stamped_train, train_set.y))
    nets["plain"].append(learn(train_set.x, train_set.y))
    nets["random"].append(new_net())

# %%
# What do they look at? We test with the right stamp, without a stamp, and with
# the stamp of a wrong class. There we count the answers that follow the stamp.


def agreement(group, images, answers):
    percents = torch.zeros(len(group))
    for i, net in enumerate(group):
        with torch.no_grad():
            guesses = net(images).argmax(dim=1)
        percents[i] = 100 * (guesses == answers).float().mean()
    return percents


# %%

clean = test_set.x[500:800]
y = test_set.y[500:800]
x = stamp(clean, y)
wrong = (y + 5) % 10  # 0 becomes 5, 7 becomes 2
agree = {}
for name in ["stamped", "plain"]:
    agree[name, "right stamp"] = agreement(nets[name], x, y)
    agree[name, "no stamp"] = agreement(nets[name], clean, y)
    follows = agreement(nets[name], stamp(clean, wrong), wrong)
    agree[name, "follows a wrong stamp"] = follows

for case, percents in agree.items():
    net_name, test_name = case
    print(f"{net_name} net, {test_name}: ", end="")
    print(f"{percents.mean():.1f}% ± {percents.std():.1f}")

# %%
# (± is the standard deviation over five networks, on the same images.) With the
# right stamp, the stamped networks make almost no mistake, so nothing warns us.
# Without it, they are far below the plain ones, and about four of five answers
# follow a wrong stamp. So we know the truth: the stamped networks mostly look
# at the stamp, the plain ones hardly.

# %%
# .. check::

assert agree["stamped", "right stamp"].min() > 98.5, "almost no mistake"
assert (
    agree["stamped", "no stamp"].max() < agree["plain", "no stamp"].min() - 10
), "far below"
assert abs(agree["stamped", "follows a wrong stamp"].mean() - 80) < 10, (
    "about four of five"
)
assert agree["stamped", "follows a wrong stamp"].min() > 60, "mostly"
assert agree["plain", "follows a wrong stamp"].max() < 15, "hardly"

# %%
# An occlusion map
# ----------------
# A single pixel changes little, so we cover windows of 4 × 4 pixels: seven rows
# of seven. Each stamp lies inside one of them. Covered means 0, which is blank
# paper here. (A photograph has no such neutral value.) The score is the logit
# of the true class, ``logits[rows, labels]``: with ``rows`` from 0 to the last
# image, this takes one logit for each image.


def occlude(net, images, labels):
    rows = torch.arange(len(images))
    drops = torch.zeros(len(images), 7, 7)
    with torch.no_grad():
        before = net(images)[rows, labels]
        for row in range(7):
            for column in range(7):
                top, left = 4 * row, 4 * column
                covered = images.clone()
                covered[:, :, top : top + 4, left : left + 4] = 0
                after = net(covered)[rows, labels]
                drops[:, row, column] = before - after
    return drops


# %%
# *Captum* is a library for attribution in PyTorch. ``Occlusion(net)`` makes an
# object whose method ``attribute`` returns the map. It takes the class
# (``target``), the size of a window (with the channel in front), the
# ``strides`` between windows, and the value to cover with (``baselines``). Its
# map is as large as the image, so we keep one value for each window, every
# fourth row and column.

first = nets["stamped"][0]
by_hand = occlude(first, x, y)
captum_map = Occlusion(first).attribute(
    x, target=y, sliding_window_shapes=(1, 4, 4), strides=(1, 4, 4),
    baselines=0,
)  # fmt: skip
captum_drops = captum_map[:, 0, ::4, ::4]
print(tuple(captum_map.shape), tuple(captum_drops.shape))
print("equal:", torch.allclose(captum_drops, by_hand, atol=1e-4))

# %%
# Here are the maps of the first test image, from the networks of the first
# seed. Dark means a large drop. As usual, each map has its own scale.

# %%
# .. alt:: A handwritten 6 with a stamp below it, and three maps of 7 × 7
#    windows. The stamped network's map is darkest at the stamp. The maps of the
#    plain and of the random network both follow the stroke of the 6.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 2, figsize=(4.6, 3.9), layout="compressed")
axes = axes.flatten()
axes[0].imshow(x[0, 0].numpy(), cmap="gray_r")
axes[0].set_title("image")
for axis, name in zip(axes[1:], nets, strict=True):
    heat = occlude(nets[name][0], x[:1], y[:1])[0].clamp(min=0)
    drawn = axis.imshow(heat.numpy(), cmap="Blues")
    figure.colorbar(drawn, ax=axis, label="drop of the logit")
    axis.set_title(name)
for axis in axes:
    axis.set(xticks=[], yticks=[])

# %%
# Each of these maps looks like an explanation. The random network never learned
# anything, but its map follows the 6 as well: covering blank paper changes
# nothing, whatever the weights are. (Its drops are tiny, but many maps are
# shown without a scale.)

# %%
# .. check::

assert torch.allclose(captum_drops, by_hand, atol=1e-4), "Captum's is equal"
assert by_hand.abs().max() > 1, "values that could differ"

# %%
# Test the map
# ------------
# So we measure. Which *share* of the map lies in the window of the stamp?
# Negative drops count as 0. The window is in the last row, and its column
# depends on the class, so ``maps[rows, 6, column]`` takes one value from each
# map.


def share(maps, labels):
    maps = maps.clamp(min=0)
    rows = torch.arange(len(maps))
    column = (4 + 2 * labels) // 4  # each window has 4 pixels
    inside = maps[rows, 6, column]
    total = maps.sum(dim=(1, 2))
    return inside / total.clamp(min=1e-9)  # an empty map has share 0


print("classes:", y[:5].tolist())
print("columns:", ((4 + 2 * y[:5]) // 4).tolist())

# %%
# The cheapest map is the image itself, averaged over each window by
# :func:`~torch.nn.functional.avg_pool2d`. It knows nothing of the network.

ink = nn.functional.avg_pool2d(x, 4)[:, 0]  # (300, 7, 7)
ink_share = share(ink, y).mean().item()
print(f"the image itself: {ink_share:.2f}")

shares = {}
for name, group in nets.items():
    values = torch.zeros(5)
    for i, net in enumerate(group):
        values[i] = share(occlude(net, x, y), y).mean()
    shares["occlusion", name] = values
    print(f"occlusion, {name}: {values.mean():.2f} ± {values.std():.2f}")

# %%
# Occlusion passes. In the stamped networks, about two thirds of the map lie in
# the stamp. In the plain and the random ones it is a tenth or less on average,
# so the map points to the stamp only where the network uses it.
#
# Random weights are a known `sanity check
# <https://arxiv.org/abs/1810.03292>`__: a map that stays the same without
# training cannot explain what was learned.

# %%
# .. check::

assert abs(ink_share - 0.05) < 0.01, "the image itself"
assert occlude(nets["random"][0], x, y)[ink == 0].abs().max() < 1e-5, (
    "blank paper: no change"
)
assert abs(shares["occlusion", "stamped"].mean() - 2 / 3) < 0.1, "two thirds"
assert shares["occlusion", "plain"].mean() < 0.105, "a tenth or less"
assert shares["occlusion", "random"].mean() < 0.105, "a tenth or less"
assert (
    shares["occlusion", "stamped"].min()
    > 2 * shares["occlusion", "plain"].max()
), "only there"
assert (
    shares["occlusion", "stamped"].min()
    > 2 * shares["occlusion", "random"].max()
), "only there"

# %%
# What goes wrong
# ---------------
# Occlusion needs a pass for each window, `Grad-CAM
# <https://arxiv.org/abs/1610.02391>`__ one forward and one back. It takes the
# last feature maps, here ``net[:6]``, and computes the gradient of the logit
# for each cell. The average over the 49 cells gives each feature map one
# weight. Then it adds up the weighted feature maps, and keeps what is positive
# (our ``share`` does that).


def grad_cam(net, images, labels, average=True):
    features = net[:6](images).detach().requires_grad_()  # (B, 8, 7, 7)
    logits = net[6:](features)
    rows = torch.arange(len(images))
    logits[rows, labels].sum().backward()
    gradient = features.grad
    if average:
        gradient = gradient.mean(dim=(2, 3), keepdim=True)
    return (gradient * features).sum(dim=1).detach()


cam = grad_cam(first, x, y)
captum_cam = LayerGradCam(first, first[5]).attribute(x, target=y)
print(tuple(captum_cam.shape))
print("equal:", torch.allclose(captum_cam[:, 0], cam, atol=1e-4))

# %%
# Captum's map is equal. (It keeps the negative values, too, unless we pass
# ``relu_attributions=True``.) Does it pass the same test?

for name, group in nets.items():
    values = torch.zeros(5)
    for i, net in enumerate(group):
        values[i] = share(grad_cam(net, x, y), y).mean()
    shares["Grad-CAM", name] = values
    print(f"Grad-CAM, {name}: {values.mean():.2f} ± {values.std():.2f}")

at_stamp = cam[torch.arange(len(x)), 6, (4 + 2 * y) // 4]
negative = (at_stamp < 0).float().mean().item()
print(f"negative at the stamp: {negative:.0%} of the images")

# %%
# It fails, and nothing reported an error. The maps of the stamped networks have
# no share in the stamp. In the first network, they are even negative there in
# nearly every image, as if the stamp spoke against the class.
#
# How can that be? The linear layer has a weight of its own for each cell. In
# one cell, the stamp speaks for the class. In other cells, it would be the
# stamp of another class, and speak against it. Here are three such cells of one
# feature map:

cells = torch.tensor([3.0, 1.0, 1.0], requires_grad=True)
toy_score = cells[0] - cells[1] - cells[2]
toy_score.backward()
gradient = cells.grad
print("score:", toy_score.item(), "gradient:", gradient.tolist())
print("Grad-CAM:  ", gradient.mean() * cells.detach())
print("no average:", gradient * cells.detach())

# %%
# The average of 1, −1 and −1 is negative, so the first cell, which raised the
# score, gets the most negative value. Without the average, each cell keeps its
# own gradient, and the values add up to the score. (This is known as `HiResCAM
# <https://arxiv.org/abs/2011.08891>`__.) If the average is to blame, leaving it
# out should help.

for name, group in nets.items():
    values = torch.zeros(5)
    for i, net in enumerate(group):
        maps = grad_cam(net, x, y, average=False)
        values[i] = share(maps, y).mean()
    shares["no average", name] = values
    print(f"no average, {name}: {values.mean():.2f} ± {values.std():.2f}")

# %%
# .. alt:: The share of the map in the stamp, five points for each kind of
#    network. With occlusion, the stamped networks lie between 0.5 and 0.8, with
#    Grad-CAM at 0, without the average between 0.3 and 0.4. The plain and the
#    random ones lie below 0.2 everywhere. A dashed line at 0.05 is the image.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
places = {"occlusion": 0, "Grad-CAM": 1, "no average": 2}
shifts = {"stamped": -0.2, "plain": 0, "random": 0.2}
markers = {"stamped": "o", "plain": "s", "random": "x"}
for name, shift in shifts.items():
    across = []
    up = []
    for method, place in places.items():
        across += 5 * [place + shift]
        up += shares[method, name].tolist()
    axis.plot(across, up, markers[name], label=name)
axis.axhline(ink_share, color="gray", ls="--", label="the image itself")
axis.set(ylabel="share of the map in the stamp", ylim=(-0.05, None))
axis.set_xticks(list(places.values()), list(places))
axis.legend()

# %%
# It does, so on these networks the average is what fails. They are a hard case
# that we chose: the class depends on a position, and a linear layer sees each
# cell. This page tests no others. (With global average pooling, as in
# :doc:`ResNet </lessons/architectures/06_residual>`, the last layer sees only
# the mean of each feature map. Then all its cells have the same gradient, and
# averaging changes nothing.)

# %%
# .. check::

assert shares["Grad-CAM", "stamped"].max() < 0.01, "no share in the stamp"
assert negative > 0.9, "negative in nearly every image"
assert (gradient * cells).sum() == toy_score, "add up to the score"
assert (gradient.mean() * cells).argmin() == 0, "most negative"
assert (
    shares["no average", "stamped"].min()
    > 2 * shares["no average", "plain"].max()
), "it passes"
assert (
    shares["no average", "stamped"].min()
    > 2 * shares["no average", "random"].max()
), "it passes"

# %%
# Recipe
# ------
# Plant a cue whose place you know into images like yours, and train your
# network on them. Here the images are noise, and class 1 has a bright square in
# one of 16 blocks.

from copy import deepcopy

import torch
from captum.attr import Occlusion
from torch import nn

torch.manual_seed(0)
images = 0.3 * torch.rand(401, 1, 12, 12)
labels = torch.arange(401) % 2
labels[400] = 1  # the last one is our new example
block = torch.randint(16, (401,))
for i in range(401):
    if labels[i] == 1:
        top = 3 * (block[i] // 4)
        left = 3 * (block[i] % 4)
        images[i, :, top : top + 3, left : left + 3] = 1

# %%
# Before the training, keep a copy:

model = nn.Sequential(
    nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(800, 2)
)
untrained = deepcopy(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(100):
    loss = nn.functional.cross_entropy(model(images[:300]), labels[:300])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# A method passes if its share, on images that were held out, is far above that
# of the untrained network and of the image itself.

held = images[301:400:2]  # class 1
window = {"sliding_window_shapes": (1, 3, 3), "strides": (1, 3, 3)}
heat_maps = {
    "trained": Occlusion(model).attribute(held, target=1, **window),
    "untrained": Occlusion(untrained).attribute(held, target=1, **window),
    "image": held,
}
found = {}
for name, heat in heat_maps.items():
    sums = nn.functional.avg_pool2d(heat.clamp(min=0), 3).flatten(1)
    inside = sums[torch.arange(50), block[301:400:2]]
    found[name] = (inside / sums.sum(dim=1)).mean().item()
    print(f"{name}: {found[name]:.2f}")

# %%
# And the map of the new example:

print("class:", model(images[400:]).argmax().item())
new_map = Occlusion(model).attribute(images[400:], target=1, **window)
hottest = nn.functional.avg_pool2d(new_map, 3).argmax().item()
print(f"hottest block: {hottest}, cue: {block[400]}")

# %%
# .. check::

assert found["trained"] > found["untrained"] + 0.2, "far above the untrained"
assert found["trained"] > found["image"] + 0.2, "far above the image itself"

# %%
# What you learned
# ----------------
# - Occlusion covers a part of the image, and notes by how much the score drops.
# - One picture proves little: even random weights give a map that follows the
#   digit.
# - Test a method first: plant a cue, and compare its share of the map with the
#   same network untrained, and with the image itself.
# - Grad-CAM gives each feature map one weight. On networks whose class depends
#   on a position, it lost the cue, without an error.
#
# Exercises
# ---------
# 1. **Predict.** The score is the larger one of two pixels, and both are 1. By
#    how much does it drop if you cover the left one? The right one? Both?
# 2. **Change.** Compute the occlusion map of the first stamped network from
#    probabilities instead of logits. What happens to the share? In how many
#    images does no window reach a drop of 0.05?
# 3. **Extend.** Without the average, add up all cells of a map, with their
#    signs, and the bias of the class. What do you get?

# %%
# .. answer:: 1
#
#    0, 0 and 1. Each pixel can replace the other one, so covering one at a time
#    finds neither.

both = torch.tensor([1.0, 1.0])
left_drop = both.max() - torch.tensor([0.0, 1.0]).max()
right_drop = both.max() - torch.tensor([1.0, 0.0]).max()
both_drop = both.max() - torch.tensor([0.0, 0.0]).max()
print(left_drop.item(), right_drop.item(), both_drop.item())

# %%
# .. check::

assert left_drop == 0, "left alone: nothing"
assert right_drop == 0, "right alone: nothing"
assert both_drop == 1, "together: everything"

# %%
# .. answer:: 2
#
#    The share grows, but a part of the maps is almost blank. There, no single
#    window can make the network unsure.


def probabilities(images):
    return first(images).softmax(dim=1)


probability_maps = occlude(probabilities, x, y)
probability_share = share(probability_maps, y).mean().item()
blank = probability_maps.amax(dim=(1, 2)) < 0.05
print(f"share {probability_share:.2f}, before {share(by_hand, y).mean():.2f}")
print(f"no drop of 0.05: {blank.float().mean():.0%} of the images")

# %%
# .. check::

assert probability_share > share(by_hand, y).mean() + 0.1, "the share grows"
assert blank.float().mean() > 0.05, "a part is almost blank"

# %%
# .. answer:: 3
#
#    The logit, but for rounding, because only a linear layer comes behind the
#    feature maps. So nothing of the score is missing in the map.

signed_maps = grad_cam(first, x, y, average=False)
totals = signed_maps.sum(dim=(1, 2)) + first[7].bias.detach()[y]
with torch.no_grad():
    true_logits = first(x)[torch.arange(len(x)), y]
print("equal:", torch.allclose(totals, true_logits, atol=1e-3))
print(f"largest logit: {true_logits.max():.1f}")

# %%
# .. check::

assert torch.allclose(totals, true_logits, atol=1e-3), "the logit"
assert true_logits.max() > 1, "values that could differ"
