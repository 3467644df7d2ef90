"""
Transfer learning
=================

You have few labels, but somebody has trained a network on other images. How
much of it can you use?

A network that was trained on something else has already learned to see edges,
corners and textures. In transfer learning, we take over these features and
train a new last layer. The old weights either stay *frozen*, or are trained a
little further, which is called *fine-tuning*.

After this lesson you can

- load ImageNet weights, and train a small head on frozen features
- fine-tune a network with two learning rates, and choose on validation data
- notice and stop a frozen network from changing
"""

# %%
# Setup
# -----

from copy import deepcopy

import matplotlib.pyplot as plt
import torch
from elpv_dataset.utils import load_dataset
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from handbook import datasets

torch.manual_seed(0)
digits, _ = datasets.mnist()

# %%
# A body and a head
# -----------------
# Suppose that someone has trained a network on the digits 0 to 4, and we want
# to recognize 5 to 9. The *body* of our network turns an image into 288
# numbers, its *features*.


def new_body():
    return nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=5, stride=2, padding=2),  # (B, 8, 14, 14)
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, kernel_size=3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (B, 16, 7, 7)
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(3),  # (B, 32, 3, 3)
        nn.Flatten(),  # (B, 288)
    )


# %%
# :class:`~torch.nn.AdaptiveMaxPool2d` returns a 3 × 3 map for an image of any
# size. The *head* is one linear layer, which turns the features into a
# :term:`logit <logits>` for each class. ``train`` is the usual loop, but takes
# *parameter groups*, a list of dictionaries, each with some parameters and
# their own learning rate.


def train(model, groups, x, y, steps=100):
    optimizer = torch.optim.AdamW(groups)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = torch.randperm(len(y))[:32]
        loss = cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()


# %%
# First the old task, with all of its 5,000 or so images:

old = digits.y < 5
source = nn.Sequential(new_body(), nn.Linear(288, 5))
groups = [{"params": source.parameters(), "lr": 2e-3}]
train(source, groups, digits.x[old], digits.y[old], steps=300)
body = source[0].eval()  # batch normalization no longer changes

# %%
# Frozen, fine-tuned, or from scratch
# -----------------------------------
# The five outputs of the old head mean 0 to 4. So all three methods train a
# new head, and differ in the body:
#
# - *from scratch*: new and trained
# - *frozen*: copied and never trained
# - *fine-tuned*: copied and trained
#
# Frozen features never change, so we compute them once:


def train_head(body, head, x, y, lr, steps=100):
    with torch.no_grad():
        features = body(x)
    groups = [{"params": head.parameters(), "lr": lr}]
    train(head, groups, features, y, steps)
    return nn.Sequential(body, head)


# %%
# The other two train body and head together, each with its own learning rate:


def train_both(body, head, x, y, lr, body_lr, steps=100):
    groups = [
        {"params": body.parameters(), "lr": body_lr},
        {"params": head.parameters(), "lr": lr},
    ]
    model = nn.Sequential(body, head)
    train(model, groups, x, y, steps)
    return model


# %%
# How many labels?
# ----------------
# ``draw`` takes *n* random images of each class.


def draw(y, n):
    order = torch.randperm(len(y))
    first = [order[y[order] == label][:n] for label in y.unique()]
    return torch.cat(first)


# %%
# We compare the methods with 1 and 100 labels a class, each with 100 steps. The
# rates were chosen with other draws, on the validation images.

pool_x = digits.x[~old][:3900]
pool_y = digits.y[~old][:3900] - 5
valid_x = digits.x[~old][3900:]
valid_y = digits.y[~old][3900:] - 5
frozen_lr = {1: 3e-3, 100: 1e-2}
body_lr = {1: 1e-3, 100: 3e-3}
right = torch.zeros(3, 2, 5)  # method, number of labels, draw

# %%
# All methods get the same five draws. Fine-tuning gets a ``deepcopy`` of the
# body, so the original stays as it is. The copy stays in evaluation mode, here
# and below.

for i, n in enumerate([1, 100]):
    for seed in range(5):
        torch.manual_seed(seed)
        few = draw(pool_y, n)
        x, y = pool_x[few], pool_y[few]
        heads = [nn.Linear(288, 5) for _ in range(3)]
        models = [
            train_both(new_body(), heads[0], x, y, 1e-2, 1e-2),
            train_head(body, heads[1], x, y, frozen_lr[n]),
            train_both(deepcopy(body), heads[2], x, y, 3e-3, body_lr[n]),
        ]
        for method, model in enumerate(models):
            with torch.no_grad():
                answers = model.eval()(valid_x).argmax(dim=1)
            right[method, i, seed] = (answers == valid_y).float().mean()

# %%
# The accuracy on the validation images, ± its standard deviation over the
# draws:


def show(name, rows):
    print(f"{name:12}", end="")
    for row in rows:
        print(f"   {row.mean():.3f} ± {row.std():.3f}", end="")
    print()


methods = ["from scratch", "frozen", "fine-tuned"]
print(" " * 15 + "1 label         100 labels")
for name, rows in zip(methods, right, strict=True):
    show(name, rows)

# %%
# With one label a class, the old features are worth about 15 points. With 100,
# the order changes, and the frozen features are the worst of the three. They
# were made for other digits and cannot adapt. More steps do not change this
# (exercise 2).
#
# With few labels, the body often gets a smaller rate than the head, so that the
# old features are not lost at once.

# %%
# .. check::

assert (right[1:, 0].mean(dim=1) > right[0, 0].mean() + 0.05).all(), "1 label"
assert right[1, 1].mean() < right[0, 1].mean() - 0.005, "frozen < from scratch"
assert right[1, 1].mean() < right[2, 1].mean() - 0.005, "frozen < fine-tuned"

# %%
# On real data
# ------------
# The package ``elpv_dataset`` contains 2,624 photographs of solar cells, taken
# in the dark while a current makes them glow. Cracks and dead regions stay
# black. Experts gave each cell a probability of a defect: 0, ⅓, ⅔ or 1. We call
# it defective above ½. To save time, we take only the monocrystalline cells.

images, probability, kind = load_dataset()
mono = kind == "mono"
cells = torch.from_numpy(images[mono])  # (1074, 300, 300), 0 to 255
defective = torch.from_numpy(probability[mono] > 0.5).long()

# %%
# The file goes from one solar panel to the next, about 60 cells each. Cells of
# one panel look alike, so no panel may be in two sets. But the borders are not
# exactly at multiples of 60, as the mean brightness shows:

brightness = cells.float().mean(dim=(1, 2))
for i in [712, 713, 714, 715]:
    print(f"cell {i}: {brightness[i]:.0f}")

# %%
# Between 713 and 714 the brightness falls by 46: here a panel begins, six cells
# before 720. So we split by blocks of 60, and leave out ten cells on both sides
# of each border.

position = torch.arange(len(cells))
inside = (position % 60 >= 10) & (position % 60 < 50)
cells = cells[inside]
defective = defective[inside]
block = position[inside] // 60
training = block % 3 == 0
valid = block % 3 == 1
test = block % 3 == 2
for name, part in {"training": training, "validation": valid}.items():
    share = defective[part].float().mean()
    print(f"{name}: {part.sum()} cells, {share:.0%} defective")

# %%
# Not every defect is easy to see, as the last cell shows.
#
# .. alt:: Six solar cells of the training part. The three in the upper row,
#    without a defect, are evenly dark or bright. Below are three defective
#    ones. Two have webs of dark lines, and the third looks like a good one.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 3, figsize=(4.6, 3.3), layout="constrained")
for i, name in enumerate(["fine", "defective"]):
    shown = cells[training & (defective == i)][::40]
    for axis, cell in zip(axes[i], shown[:3], strict=True):
        axis.imshow(cell.numpy(), cmap="gray", vmin=0, vmax=255)
        axis.set(xticks=[], yticks=[], title=name)

# %%
# ``mobilenet_v2`` is a network for small devices. The weights
# ``MobileNet_V2_Weights.IMAGENET1K_V1`` come from 1,281,167 photographs in
# 1,000 classes. The first time, ``weights=`` downloads 14 MB. The weights come
# with their preprocessing. To save time, we use 128 pixels instead of 224.

weights = MobileNet_V2_Weights.IMAGENET1K_V1
net = mobilenet_v2(weights=weights)
net.eval()
preprocess = weights.transforms(crop_size=128, resize_size=128)

# %%
# ``net.features`` has 19 blocks, and block *k* is ``net.features[k - 1]``. On
# the validation cells, block 11 gave better features than 14 and 18. So we keep
# the outputs of the first ten, which stay frozen. Our body is block 11 and an
# average over each map.

with torch.no_grad():
    outputs = []
    for batch in cells.split(10):
        colors = batch.unsqueeze(1).repeat(1, 3, 1, 1)  # gray three times
        outputs.append(net.features[:10](preprocess(colors)))
    middle = torch.cat(outputs)
print(tuple(middle.shape))
cell_body = nn.Sequential(
    net.features[10], nn.AdaptiveAvgPool2d(1), nn.Flatten()
)

# %%
# Always answering "fine" would be right for most validation cells. We therefore
# use the AUC of :doc:`/lessons/practice/02_threshold`, the share of pairs of a
# defective and a good cell that are in the right order. We order by the logit
# for "defective" minus the other one.


def auc(model, x, part):
    model.eval()
    with torch.no_grad():
        logits = model(x[part])
    return roc_auc_score(defective[part], logits[:, 1] - logits[:, 0])


# %%
# The network from scratch is our small one, on cells of 32 × 32 pixels. Each
# method gets 80 labels a class and 50 steps. The rates were chosen with other
# draws, on the validation cells.

small = nn.AdaptiveAvgPool2d(32)(cells.unsqueeze(1).float())
small = (small - small[training].mean()) / small[training].std()
pool = torch.arange(len(cells))[training]

# %%
# Again, we take five draws:

scores = torch.zeros(3, 5)  # method, draw
fitted = []
for seed in range(5):
    torch.manual_seed(seed)
    few = pool[draw(defective[pool], 80)]
    x, y = middle[few], defective[few]
    heads = [nn.Linear(size, 2) for size in [288, 64, 64]]
    new = train_both(new_body(), heads[0], small[few], y, 1e-3, 1e-3, 50)
    frozen = train_head(cell_body, heads[1], x, y, 3e-2, 50)
    tuned = train_both(deepcopy(cell_body), heads[2], x, y, 1e-2, 3e-3, 50)
    scores[0, seed] = auc(new, small, valid)
    scores[1, seed] = auc(frozen, middle, valid)
    scores[2, seed] = auc(tuned, middle, valid)
    fitted.append(frozen)

# %%
# The cheapest rule is that the darker image is the more suspicious one.

darkness = -brightness[inside]
dark_auc = roc_auc_score(defective[valid], darkness[valid])
print(f"darkness       {dark_auc:.3f}")
for name, row in zip(methods, scores, strict=True):
    show(name, [row])

# %%
# Both methods with old features are ahead, with hardly a difference between
# them. The network from scratch is also smaller and sees smaller images, so not
# all of its distance is due to the weights. So we choose the frozen features,
# which are simpler, and only now open the test:

test_scores = torch.tensor([auc(model, middle, test) for model in fitted])
show("test", [test_scores])
dark_test = roc_auc_score(defective[test], darkness[test])
print(f"darkness       {dark_test:.3f}")

# %%
# The ± is the luck of the draw only. With other panels, all numbers would move.

# %%
# .. check::

assert (scores[1:].mean(dim=1) > scores[0].mean() + 0.03).all(), "ahead"
assert abs(scores[2].mean() - scores[1].mean()) < 0.02, "hardly a difference"
assert 45 < brightness[713] - brightness[714] < 47, "falls by 46"
assert test_scores.min() > dark_test + 0.05, "better than darkness in the test"

# %%
# To fine-tune a whole network of torchvision instead, replace its last layer.
# One usually trains this new head first, and then everything at a low rate.

net.classifier[1] = nn.Linear(1280, 2)  # it had 1,000 outputs
print(net.classifier)

# %%
# What goes wrong
# ---------------
# With ``requires_grad`` set to False, the optimizer never moves the weights.
# But :term:`batch normalization` also keeps a running mean and variance. They
# are not parameters but *buffers*, and each forward pass in training mode moves
# them. We freeze a copy of our first body, and show it the same 50 new digits
# 20 times:

shifted = deepcopy(body).requires_grad_(False)
norm = shifted[1]  # the first batch normalization
print("before:", norm.running_mean[:3])
shifted.train()
for _ in range(20):
    shifted(pool_x[:50])
print("train():", norm.running_mean[:3])
moved = (norm.running_mean - body[1].running_mean).abs().max().item()
print(f"moved by up to {moved:.3f}")

# %%
# The body is not frozen. A head that was trained on kept features now gets
# different ones. So a frozen body needs ``eval()`` too, again after every
# ``model.train()``.

still = deepcopy(body).requires_grad_(False)
still.eval()
for _ in range(20):
    still(pool_x[:50])
same_mean = torch.equal(still[1].running_mean, body[1].running_mean)
same_var = torch.equal(still[1].running_var, body[1].running_var)
print("eval(), unchanged:", same_mean, same_var)

# %%
# .. check::

assert moved > 1e-3, "train() moves the buffer"
assert same_mean, "eval() keeps the mean"
assert same_var, "and the variance"

# %%
# Recipe
# ------
# Frozen features and logistic regression. Put your own images in place of the
# digits 4 and 9, as ``uint8`` from 0 to 255, with three channels. For
# photographs, leave out the two sizes of 64.

import torch
from sklearn.linear_model import LogisticRegression
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from handbook import datasets

digits, _ = datasets.mnist()
chosen = (digits.y == 4) | (digits.y == 9)
images = (255 * digits.x[chosen][:201]).byte().repeat(1, 3, 1, 1)
labels = digits.y[chosen][:201].numpy()

weights = MobileNet_V2_Weights.IMAGENET1K_V1
backbone = mobilenet_v2(weights=weights).features.eval()
preprocess = weights.transforms(crop_size=64, resize_size=64)
with torch.no_grad():
    maps = [backbone(preprocess(batch)) for batch in images.split(10)]
features = torch.cat(maps).mean(dim=(2, 3)).numpy()  # (201, 1280)

# %%
# We shuffle before the split. Where images belong together, split by groups, as
# with the panels. The last image is the new one:

order = torch.randperm(200, generator=torch.Generator().manual_seed(0)).numpy()
fit = order[:100]
held = order[100:]
head = LogisticRegression(C=0.1, max_iter=1000)  # choose C by validation
head.fit(features[fit], labels[fit])
held_right = head.score(features[held], labels[held])
print(f"held out: {held_right:.0%} right")
print(f"new image: {head.predict(features[200:])[0]}, true {labels[200]}")

# %%
# .. check::

assert held_right > 0.75, "better than guessing"

# %%
# What you learned
# ----------------
# - Features from another task save labels.
# - Start with frozen features, which are computed once. With 100 labels a
#   class, they fell behind.
# - Fine-tuning adapts them, with a learning rate for the body and one for the
#   head. Choose on validation data, and test once.
# - Use the preprocessing of the weights. Split by groups that belong together,
#   such as the cells of one panel.
# - A frozen body inside a trained model needs ``requires_grad_(False)`` and
#   ``eval()``.
#
# Exercises
# ---------
# 1. **Predict.** The frozen body of the digits is replaced by one with random
#    weights. With 20 labels a class, is the head better than guessing? Is it as
#    good as with the trained body?
# 2. **Change.** Give frozen features and the network from scratch 200 steps
#    with 100 labels a class. Do the frozen features catch up?
# 3. **Extend.** Train the head on kept features in evaluation mode, then show
#    the digits to the body in training mode 20 times. How does the accuracy
#    change? Would you notice that the body is no longer the old one?

# %%
# .. answer:: 1
#
#    It is far better than guessing, since random convolutions still describe
#    the image. But the trained body is better.

torch.manual_seed(0)
few = draw(pool_y, 20)
right_with = {}
for name, some_body in {"random": new_body().eval(), "trained": body}.items():
    some_head = nn.Linear(288, 5)
    model = train_head(some_body, some_head, pool_x[few], pool_y[few], 1e-2)
    with torch.no_grad():
        answers = model(valid_x).argmax(dim=1)
    right_with[name] = (answers == valid_y).float().mean().item()
    print(f"{name}: {right_with[name]:.0%} right")

# %%
# .. check::

assert right_with["random"] > 0.4, "far better than guessing"
assert right_with["trained"] > right_with["random"] + 0.03, "better"

# %%
# .. answer:: 2
#
#    They do not. With twice the steps, the frozen features are still behind.

torch.manual_seed(0)
few = draw(pool_y, 100)
x, y = pool_x[few], pool_y[few]
heads = [nn.Linear(288, 5) for _ in range(2)]
models = [
    train_both(new_body(), heads[0], x, y, 1e-2, 1e-2, steps=200),
    train_head(body, heads[1], x, y, 1e-2, steps=200),
]
longer = {}
for name, model in zip(methods[:2], models, strict=True):
    with torch.no_grad():
        answers = model.eval()(valid_x).argmax(dim=1)
    longer[name] = (answers == valid_y).float().mean().item()
    print(f"{name}: {longer[name]:.1%} right")

# %%
# .. check::

assert longer["frozen"] < longer["from scratch"], "still below scratch"

# %%
# .. answer:: 3
#
#    The accuracy hardly changes, so it would not have warned us. Comparing the
#    buffers does.

torch.manual_seed(0)
few = draw(pool_y, 20)
head = nn.Linear(288, 5)
model = train_head(deepcopy(body), head, pool_x[few], pool_y[few], 1e-2)
with torch.no_grad():
    before = (model(valid_x).argmax(dim=1) == valid_y).float().mean().item()
    model.train()
    for _ in range(20):
        model(pool_x[few])
    model.eval()
    after = (model(valid_x).argmax(dim=1) == valid_y).float().mean().item()
shown = model[0]
moved = (shown[1].running_mean - body[1].running_mean).abs().max().item()
print(f"before {before:.1%}, after {after:.1%}, moved by up to {moved:.3f}")

# %%
# .. check::

assert abs(after - before) < 0.03, "hardly changes"
assert moved > 1e-3, "the buffer moves"
