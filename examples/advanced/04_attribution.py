"""
Attribution: occlusion and Grad-CAM
===================================

A heat map shows where a network looks. When may you believe it?

A *heat map* says which parts of an image counted towards the answer. Computing
it is called :term:`attribution`. Every method returns a map for every network,
even for one that was never trained. So we train networks of which we know what
they look at, and test whether the maps show it.

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
# *Occlusion* covers one pixel at a time, here with 0, and records how far the
# score drops. We begin with four pixels and a linear score.

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
# The first pixel is worth 2 points. Covering the third raises the score. The
# second has the largest weight, but it is blank here, so covering it changes
# nothing.

# %%
# .. check::

assert score == 1, "2 − 1"
assert drops.tolist() == [2, 0, -1, 0], "weight times pixel"

# %%
# Digits with a stamp
# -------------------
# ``stamp`` prints a square of 2 × 2 pixels below each digit. The higher the
# class, the further to the right the square stands, so a network does not have
# to read the digit. The stamp is the *cue* that we plant. In photographs, such
# a leak (:doc:`/lessons/applications/02_leakage`) can be the mark of a scanner.


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
# cells. Each stands for a block of 4 × 4 pixels, and sees 10 × 10. Behind them
# is one linear layer.


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
# For each of five seeds we make three networks: one learns from stamped
# digits, one from plain digits, and one keeps its random weights.

nets = {"stamped": [], "plain": [], "random": []}
# network and stamp were settled with other seeds and other test images
for seed in range(20, 25):
    torch.manual_seed(seed)
    nets["stamped"].append(learn(stamped_train, train_set.y))
    nets["plain"].append(learn(train_set.x, train_set.y))
    nets["random"].append(new_net())

# %%
# We test them with the right stamp, without a stamp, and with the stamp of a
# wrong class, where we count the answers that follow it.


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
# (± is the standard deviation over five networks.) With the right stamp, the
# stamped networks make almost no mistake. Without it, they are far below the
# plain ones, and about four of five answers follow a wrong stamp. So they
# mostly look at the stamp, and the plain ones hardly do.

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
# A single pixel changes little, so we cover windows of 4 × 4 pixels: seven
# rows of seven. Each stamp lies inside one of them, and 0 is blank paper.
# Both help occlusion; in a photograph, no value is as neutral. The score is
# the logit of the true class.


def occlude(net, images, labels):
    rows = torch.arange(len(images))
    drops = torch.zeros(len(images), 7, 7)
    with torch.no_grad():
        before = net(images)[rows, labels]  # one logit for each image
        for row in range(7):
            for column in range(7):
                top, left = 4 * row, 4 * column
                covered = images.clone()
                covered[:, :, top : top + 4, left : left + 4] = 0
                after = net(covered)[rows, labels]
                drops[:, row, column] = before - after
    return drops


# %%
# *Captum* is a library for attribution in PyTorch. ``Occlusion(net)`` makes
# an object whose method ``attribute`` returns a map as large as the image.

first = nets["stamped"][0]
by_hand = occlude(first, x, y)
captum_map = Occlusion(first).attribute(
    x,
    target=y,  # the class
    sliding_window_shapes=(1, 4, 4),  # channels, height, width
    strides=(1, 4, 4),  # from one window to the next
    baselines=0,  # the value to cover with
)
captum_drops = captum_map[:, 0, ::4, ::4]  # one value for each window
print(tuple(captum_map.shape), tuple(captum_drops.shape))
print("equal:", torch.allclose(captum_drops, by_hand, atol=1e-4))

# %%
# Here are three maps of the first test image, for the first seed. Dark means
# a large drop. Negative drops are drawn as 0. Each map has its own scale, as
# usual, and the drops of the random network are tiny.

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
# Each map looks like an explanation. That of the random network follows the 6
# as well, because covering blank paper changes nothing, whatever the weights
# are.

# %%
# .. check::

assert torch.allclose(captum_drops, by_hand, atol=1e-4), "Captum's is equal"
assert by_hand.abs().max() > 1, "values that could differ"

# %%
# Test the map
# ------------
# So we measure which *share* of the map lies in the window of the stamp.
# Negative drops count as 0. A method passes if every stamped network has more
# than twice the share of every plain and random one, and of the image itself.


def share(maps, labels):
    maps = maps.clamp(min=0)
    rows = torch.arange(len(maps))
    column = (4 + 2 * labels) // 4  # each window has 4 pixels
    inside = maps[rows, 6, column]  # one value from each map
    total = maps.sum(dim=(1, 2))
    return inside / total.clamp(min=1e-9)  # an empty map has share 0


# %%
# The image itself, averaged over each window by
# :func:`~torch.nn.functional.avg_pool2d`, knows nothing of the network.

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
# Occlusion passes. In the stamped networks, about two thirds of the map lie
# in the stamp. In the plain and the random ones it is a tenth or less on
# average.

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
), "it passes: plain"
assert (
    shares["occlusion", "stamped"].min()
    > 2 * shares["occlusion", "random"].max()
), "it passes: random"
assert shares["occlusion", "stamped"].min() > 2 * ink_share, (
    "it passes: the image itself"
)

# %%
# What goes wrong
# ---------------
# Occlusion needs a pass for each window; `Grad-CAM
# <https://arxiv.org/abs/1610.02391>`__ needs only one forward and one backward
# pass. It takes the last feature maps, here ``net[:6]``, and computes the
# gradient of the logit for each cell. The average over the 49 cells gives each
# feature map one weight. Then it adds up the weighted feature maps, and keeps
# what is positive (our ``share`` does that).


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
# Captum's map is equal. Does it pass the same test?

empty = {}
for name, group in nets.items():
    values = torch.zeros(5)
    blanks = torch.zeros(5)
    for i, net in enumerate(group):
        maps = grad_cam(net, x, y)
        values[i] = share(maps, y).mean()
        blanks[i] = (maps.amax(dim=(1, 2)) <= 0).float().mean()
    shares["Grad-CAM", name] = values
    empty[name] = blanks
    print(f"Grad-CAM, {name}: {values.mean():.2f} ± {values.std():.2f}")
    print(f"    no positive cell: {blanks.mean():.0%} of the maps")

# %%
# It fails, and nothing reported an error. The maps of the stamped networks
# have no share in the stamp. More than half of them have no positive cell at
# all. Of the plain networks' maps it is almost half, so the stamp alone is
# not to blame. (In a known `sanity check
# <https://arxiv.org/abs/1810.03292>`__, which makes trained weights random
# again, Grad-CAM passes: its map changes with them. That does not make it
# right.)
#
# The linear layer has a weight of its own for each cell, and the average of
# the gradients says little about any one of them. Here are three cells of one
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
# score, gets the most negative value. Without the average, each cell keeps
# its own gradient, and the values add up to the score. (This is known as
# `HiResCAM <https://arxiv.org/abs/2011.08891>`__.) Does leaving it out help?

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
# Leaving it out helps, and the maps pass, so on these networks the average is
# what fails. (The share counts one cell, though a stamp reaches about six. So
# do not compare 0.35 with occlusion's 0.65.) These networks are a hard case
# that we chose: the class depends on a position, and a linear layer sees each
# cell. (After global average pooling, as in :doc:`ResNet
# </lessons/architectures/06_residual>`, all cells of a feature map have the
# same gradient, so averaging changes nothing.)

# %%
# .. check::

assert torch.allclose(captum_cam[:, 0], cam, atol=1e-4), "Captum's is equal"
assert cam.abs().max() > 0.1, "values that could differ"
assert shares["Grad-CAM", "stamped"].max() < 0.01, "no share in the stamp"
assert empty["stamped"].mean() > 0.5, "more than half"
assert 0.4 < empty["plain"].mean() < 0.56, "almost half"
assert (gradient * cells).sum() == toy_score, "add up to the score"
assert (gradient.mean() * cells).argmin() == 0, "most negative"
assert (
    shares["no average", "stamped"].min()
    > 2 * shares["no average", "plain"].max()
), "it passes: plain"
assert (
    shares["no average", "stamped"].min()
    > 2 * shares["no average", "random"].max()
), "it passes: random"
assert shares["no average", "stamped"].min() > 2 * ink_share, (
    "it passes: the image itself"
)
assert abs(shares["no average", "stamped"].mean() - 0.35) < 0.07, "0.35"

# %%
# Recipe
# ------
# Plant a cue whose place you know into images like yours, and a decoy that is
# just as bright, so that brightness alone does not give the cue away. Then
# train your network on them. Here the images are noise, and two of their 16
# blocks have horizontal stripes. In class 1, one of the two has vertical ones
# instead; this is the cue.

from copy import deepcopy

import torch
from captum.attr import Occlusion
from torch import nn

torch.manual_seed(0)
images = 0.3 * torch.rand(401, 1, 12, 12)
labels = torch.arange(401) % 2
labels[400] = 1  # the last one is our new example

# %%

lying = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 1, 1]])
cue = torch.zeros(401, dtype=torch.long)
for i in range(401):
    blocks = torch.randperm(16)[:2]
    cue[i] = blocks[0]
    stripes = [lying, lying]
    if labels[i] == 1:
        stripes[0] = lying.T
    for block, pattern in zip(blocks, stripes, strict=True):
        top = 3 * (block // 4)
        left = 3 * (block % 4)
        images[i, 0, top : top + 3, left : left + 3] = pattern

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
# On held-out images, the share must be more than twice that of the untrained
# network and of the image itself.

right = model(images[300:400]).argmax(dim=1) == labels[300:400]
print(f"held-out accuracy: {right.float().mean():.2f}")

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
    inside = sums[torch.arange(50), cue[301:400:2]]
    found[name] = (inside / sums.sum(dim=1).clamp(min=1e-9)).mean().item()
    print(f"{name}: {found[name]:.2f}")

# %%
# A pass is necessary, but it is no proof: in real images, your network may
# use cues of another kind. Here is the map of the new example:

print("class:", model(images[400:]).argmax().item())
new_map = Occlusion(model).attribute(images[400:], target=1, **window)
hottest = nn.functional.avg_pool2d(new_map, 3).argmax().item()
print(f"hottest block: {hottest}, cue: {cue[400]}")

# %%
# .. check::

assert found["trained"] > 2 * found["untrained"], "twice the untrained"
assert found["trained"] > 2 * found["image"], "twice the image itself"
assert right.float().mean() > 0.9, "the cue was learned"
assert hottest == cue[400], "the new example's cue"

# %%
# What you learned
# ----------------
# - Occlusion covers a part of the image, and records how far the score drops.
# - One picture proves little: even random weights give a map that follows the
#   digit.
# - Test a method first: plant a cue and a decoy, and compare the cue's share of
#   the map with that of the untrained network and of the image itself. A pass
#   is necessary, but no proof.
# - Grad-CAM gives each feature map one weight. On networks whose class depends
#   on a position, it lost the cue, without an error.
#
# Exercises
# ---------
# 1. **Predict.** The score is the larger one of two pixels, and both are 1. By
#    how much does it drop if you cover the left one? The right one? Both?
# 2. **Change.** Compute the occlusion map of the first stamped network from
#    probabilities instead of logits. What happens to the share? In what part
#    of the images does no window reach a drop of 0.05?
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
#    The share grows, but some of the maps are almost blank. There, no single
#    window can make the network unsure. The share counts these maps in full,
#    because it divides each map by its own total.


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
assert blank.float().mean() > 0.05, "some are almost blank"

# %%
# .. answer:: 3
#
#    The logit, up to rounding, because only a linear layer comes behind the
#    feature maps. So the map holds the whole score except the bias.

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
