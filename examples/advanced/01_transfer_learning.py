"""
Transfer learning
=================

You have few labels, but somebody has trained a network on other images. How
much of it can you use?

Labels cost money: someone has to look at every image. A network that was
trained on something else has already learned to see edges, corners and
textures. In transfer learning, we take these features over and train only
what is new. Then you have to decide whether the old weights stay *frozen*, or
are trained a little further, which is called *fine-tuning*.

After this lesson you can

- load ImageNet weights, and train a small head on frozen features
- fine-tune a network with two learning rates, and choose by comparing
- see and prevent that a frozen network changes all the same
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from elpv_dataset.utils import load_dataset
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn.functional import cross_entropy, interpolate
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from handbook import datasets

torch.manual_seed(0)

# %%
# A body and a head
# -----------------
# We begin with a small example. Suppose that someone has trained a network on
# the digits 0 to 4, and we want to recognize 5 to 9. The *body* of our network
# turns an image into 288 numbers, its *features*.


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
# :term:`logit <logits>` for each class. ``train`` is the usual loop. It takes
# *parameter groups*: a list of dictionaries, each with some parameters and a
# learning rate of their own.


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
# Now the old task, with all of its 5,000 or so images:

digits, test_digits = datasets.mnist()
old = digits.y < 5
body = new_body()
source = nn.Sequential(body, nn.Linear(288, 5))
groups = [{"params": source.parameters(), "lr": 2e-3}]
train(source, groups, digits.x[old], digits.y[old], steps=300)

source.eval()
old_test = test_digits.y < 5
with torch.no_grad():
    old_answers = source(test_digits.x[old_test]).argmax(dim=1)
old_right = (old_answers == test_digits.y[old_test]).float().mean().item()
print(f"0 to 4: {old_right:.1%} right")

# %%
# .. check::

assert old_right > 0.96, "the old task is learned"

# %%
# Frozen, fine-tuned, or from scratch
# -----------------------------------
# The old head is of no use now, because its five outputs mean 0 to 4. So all
# three ways begin with a new head. In the first one, the body is frozen. Its
# features never change, so we compute them once, which makes the training very
# fast.


def frozen(x, y, lr):
    head = nn.Linear(288, 5)
    with torch.no_grad():
        features = body(x)
    train(head, [{"params": head.parameters(), "lr": lr}], features, y)
    return nn.Sequential(body, head)


# %%
# Fine-tuning starts from a copy of the same body, and trains body and head
# together, each with its own learning rate:


def fine_tuned(x, y, lr, body_lr):
    copy = new_body()
    copy.load_state_dict(body.state_dict())
    head = nn.Linear(288, 5)
    groups = [
        {"params": copy.parameters(), "lr": body_lr},
        {"params": head.parameters(), "lr": lr},
    ]
    model = nn.Sequential(copy, head)
    train(model, groups, x, y)
    return model


# %%
# The baseline is the same network, trained from random weights.


def from_scratch(x, y, lr):
    model = nn.Sequential(new_body(), nn.Linear(288, 5))
    train(model, [{"params": model.parameters(), "lr": lr}], x, y)
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
# We compare the three ways with 1, 10 and 100 labels a class. Each has its own
# learning rates, chosen with other draws on about 1,000 images that are left
# out here.

pool_x = digits.x[~old][:3900]  # the rest was used to choose the rates
pool_y = digits.y[~old][:3900] - 5
test_x = test_digits.x[~old_test]
test_y = test_digits.y[~old_test] - 5
rates = {  # labels: from scratch, frozen, fine-tuned (head and body)
    1: (3e-2, 3e-3, 3e-3, 3e-4),
    10: (1e-2, 1e-2, 3e-3, 1e-3),
    100: (1e-2, 1e-2, 3e-3, 3e-3),
}

# %%
# Five draws for each number of labels, the same for all three ways:

ways = ["from scratch", "frozen", "fine-tuned"]
right = torch.zeros(3, 3, 5)  # way, number of labels, draw
for i, n in enumerate(rates):
    scratch_lr, frozen_lr, tuned_lr, body_lr = rates[n]
    for seed in range(5):
        torch.manual_seed(seed)
        few = draw(pool_y, n)
        x, y = pool_x[few], pool_y[few]
        model_scratch = from_scratch(x, y, scratch_lr)
        model_frozen = frozen(x, y, frozen_lr)
        model_tuned = fine_tuned(x, y, tuned_lr, body_lr)
        for way, model in enumerate([model_scratch, model_frozen, model_tuned]):
            with torch.no_grad():
                answers = model.eval()(test_x).argmax(dim=1)
            right[way, i, seed] = (answers == test_y).float().mean()

# %%
# First the accuracy in percent, ± its standard deviation over the draws. Then
# the lead of fine-tuned over frozen, draw by draw, ± its :term:`standard
# error`.

for name, rows in zip(ways, 100 * right, strict=True):
    print(f"{name:12}", end="")
    for row in rows:
        print(f"  {row.mean():4.1f} ± {row.std():3.1f}", end="")
    print()

gain = 100 * (right[2] - right[1])
for n, row in zip(rates, gain, strict=True):
    error = row.std() / 5**0.5
    print(f"{n:3} labels: {row.mean():+.1f} ± {error:.1f} points")

# %%
# .. alt:: Accuracy on the digits 5 to 9 over the number of labels per class, on
#    a logarithmic axis. With one label, frozen and fine-tuned begin far above
#    from scratch. The three curves come together towards 100 labels, where
#    fine-tuned is the highest and frozen the lowest.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
for name, rows, style in zip(ways, right, ["s:", "o-", "^--"], strict=True):
    axis.errorbar(
        list(rates), 100 * rows.mean(dim=1), 100 * rows.std(dim=1), fmt=style,
        capsize=3, label=name,
    )  # fmt: skip
axis.set(xscale="log", xlabel="labels per class", ylabel="right (%)")
axis.set_xticks(list(rates), [str(n) for n in rates])
axis.minorticks_off()
axis.grid(alpha=0.4)
axis.legend()

# %%
# With one label a class, the old features are worth about 20 points, and frozen
# and fine-tuned are equal. With 100, the order is another one. The frozen
# features are now the worst of the three: they were made for other digits and
# cannot adapt. Fine-tuning is the best with 10 and with 100.
#
# For the body, one usually tries a smaller rate than for the head, so that the
# old features are not lost at once. Here a tenth or a third was a good choice
# with 1 and 10 labels. With 100, the same rate for both was better.

# %%
# .. check::

assert (right[1:, 0].mean(dim=1) > right[0, 0].mean() + 0.1).all(), "far above"
assert abs(gain[0].mean()) < 5, "equal with one label"
assert right[1, 2].mean() < right[0, 2].mean(), "frozen is the worst with 100"
assert right[2, 2].mean() > right[0, 2].mean(), "fine-tuned is the best"
assert gain[1].mean() > 0, "ahead of frozen with 10"
assert gain[2].mean() > 0.5, "and with 100"

# %%
# On real data
# ------------
# The package ``elpv_dataset`` brings 2,624 photographs of solar cells, taken in
# the dark while a current makes them glow. Cracks and dead regions stay black.
# Experts gave each cell a probability of a defect: 0, ⅓, ⅔ or 1. We call it
# defective above ½, and keep the doubtful cells, since an inspection meets them
# as well. To save time, we take only the monocrystalline cells.

images, probability, kind = load_dataset()
mono = kind == "mono"
cells = torch.from_numpy(images[mono])  # (1074, 300, 300), 0 to 255
defective = torch.from_numpy(probability[mono] > 0.5).long()

# %%
# The file goes from one solar panel to the next, about 60 cells each. Cells of
# one panel look alike, so a network could recognize the panel. For this reason
# no panel may be in two sets. We split by blocks of 60, and leave out ten cells
# at each border, since not every panel has exactly 60.

position = torch.arange(len(cells))
inside = position % 60 >= 10
cells = cells[inside]
defective = defective[inside]
part = (position[inside] // 60) % 3  # 0 training, 1 validation, 2 test
for name, i in {"training": 0, "validation": 1, "test": 2}.items():
    y = defective[part == i]
    print(f"{name}: {len(y)} cells, {y.float().mean():.0%} defective")

used = part != 1  # the validation cells were used to choose the rates
cells, defective, part = cells[used], defective[used], part[used]

# %%
# .. alt:: Six solar cells of the training part. The three in the upper row,
#    without a defect, are evenly dark or bright. Below are three defective
#    ones. One has a web of dark lines, one a large black spot, and the third
#    looks like a good one.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 3, figsize=(4.6, 3.3), layout="constrained")
for i, name in enumerate(["fine", "defective"]):
    shown = cells[(part == 0) & (defective == i)][::45]
    for axis, cell in zip(axes[i], shown[:3], strict=True):
        axis.imshow(cell.numpy(), cmap="gray", vmin=0, vmax=255)
        axis.set(xticks=[], yticks=[], title=name)

# %%
# ``mobilenet_v2`` is a network for small devices. The weights
# ``MobileNet_V2_Weights.IMAGENET1K_V1`` come from 1,281,167 photographs in
# 1,000 classes. The first time, ``weights=`` downloads 14 MB. The weights bring
# their preprocessing, with the mean and standard deviation of each color. To
# save time, we use 128 pixels and not the usual 224. The network wants three
# channels, so we repeat the grey one.

weights = MobileNet_V2_Weights.IMAGENET1K_V1
net = mobilenet_v2(weights=weights)
net.eval()
preprocess = weights.transforms(crop_size=128, resize_size=128)

# %%
# We cut the 19 blocks of ``net.features`` after block 11, 14 and 18. With five
# labels a class, the first eleven did best on the validation cells. The
# averages after block 11 are our frozen features. We also keep the outputs of
# block 10, for fine-tuning.

with torch.no_grad():
    outputs = []
    for batch in cells.split(10):
        colors = batch.unsqueeze(1).expand(-1, 3, -1, -1)
        outputs.append(net.features[:10](preprocess(colors)))
    middle = torch.cat(outputs)  # (594, 64, 8, 8)
    features = net.features[10](middle).mean(dim=(2, 3))  # (594, 64)
print(tuple(middle.shape), tuple(features.shape))

# %%
# About a quarter of the test cells are defective, so whoever always answers
# "fine" is right for three of four. We therefore use the AUC of
# :doc:`/lessons/practice/02_threshold`, the share of pairs of a defective and a
# good cell that are in the right order. Guessing gives 0.5.

test = part == 2


def auc(model, x):
    model.eval()
    with torch.no_grad():
        logits = model(x[test])
    return roc_auc_score(defective[test], logits[:, 1] - logits[:, 0])


# %%
# The cheapest rule learns nothing: the darker the image, the more suspicious.

darkness = -cells.float().mean(dim=(1, 2))
dark_auc = roc_auc_score(defective[test], darkness[test])
print(f"darkness: {dark_auc:.2f}")

# %%
# Now the head on the frozen features, with 5, 20 and 80 labels a class. Its
# rate was chosen with other draws, on the validation cells.

pool = torch.arange(len(cells))[part == 0]
frozen_auc = torch.zeros(3, 5)
for i, n in enumerate([5, 20, 80]):
    for seed in range(5):
        torch.manual_seed(seed)
        few = pool[draw(defective[pool], n)]
        head = nn.Linear(64, 2)
        groups = [{"params": head.parameters(), "lr": 0.01}]
        train(head, groups, features[few], defective[few])
        frozen_auc[i, seed] = auc(head, features)
    mean = frozen_auc[i].mean()
    print(f"{n:2} a class: {mean:.2f} ± {frozen_auc[i].std():.2f}")

# %%
# The small network from scratch gets all 80 labels a class, on cells of 32 × 32
# pixels, and the same five draws. Only two of its outputs are used.

small = interpolate(cells.unsqueeze(1).float(), size=(32, 32), mode="area")
small = (small - small.mean()) / small.std()
scratch_auc = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    few = pool[draw(defective[pool], 80)]
    network = from_scratch(small[few], defective[few], lr=3e-3)
    scratch_auc[seed] = auc(network, small)
mean = scratch_auc.mean()
print(f"from scratch, 80 a class: {mean:.2f} ± {scratch_auc.std():.2f}")

# %%
# To fine-tune, we also train block 11, here with 20 labels a class. The blocks
# before it stay frozen, so we can begin with the kept outputs of block 10.

tuned_auc = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    few = pool[draw(defective[pool], 20)]
    last = mobilenet_v2(weights=weights).features[10].eval()
    head = nn.Linear(64, 2)
    groups = [
        {"params": last.parameters(), "lr": 1e-3},
        {"params": head.parameters(), "lr": 0.01},
    ]
    model = nn.Sequential(last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    train(model, groups, middle[few], defective[few], steps=20)
    tuned_auc[seed] = auc(model, middle)

# %%
# The same draws served for both, so we look at the differences:

lead = tuned_auc - frozen_auc[1]
print(f"fine-tuned: {tuned_auc.mean():.2f} ± {tuned_auc.std():.2f}")
print(f"lead over frozen: {lead.mean():+.3f} ± {lead.std() / 5**0.5:.3f}")

# %%
# The frozen features are better than darkness, and with five labels a class
# they are already as good as the network from scratch with 80. In these draws,
# fine-tuning one block adds a little more. (± is the luck of the draw only.
# With other panels in the test set, all numbers would move.)

# %%
# .. check::

assert frozen_auc[0].mean() > dark_auc + 0.03, "better than darkness"
assert frozen_auc[0].mean() > scratch_auc.mean() - 0.03, "as good as with 80"
assert frozen_auc[2].mean() > scratch_auc.mean() + 0.02, "better with as many"
assert 0 < lead.mean() < 0.04, "a little more"

# %%
# What goes wrong
# ---------------
# With ``requires_grad`` set to False, the optimizer never moves the weights.
# But :term:`batch normalization` also keeps a running mean. It is not a
# parameter but a *buffer*, and each forward pass in training mode moves it. We
# freeze a copy of our first body, and show it the same 50 new digits 20 times:

copy = new_body()
copy.load_state_dict(body.state_dict())
copy.requires_grad_(False)
norm = copy[1]  # the first batch normalization
print("before:", norm.running_mean[:3])
copy.train()
for _ in range(20):
    copy(pool_x[:50])
print("train():", norm.running_mean[:3])
moved = (norm.running_mean - body[1].running_mean).abs().max().item()
print(f"moved by up to {moved:.3f}")

# %%
# The body is not frozen. The accuracy may hardly tell (exercise 3), but a head
# that was trained on kept features now gets other ones. In evaluation mode
# nothing moves. So a frozen body needs ``eval()`` too, again after every
# ``model.train()``.

copy.load_state_dict(body.state_dict())
copy.eval()
copy(pool_x[:50])
print("eval():", norm.running_mean[:3])
print("unchanged:", torch.equal(norm.running_mean, body[1].running_mean))

# %%
# .. check::

assert moved > 1e-3, "train() moves the buffer"
assert torch.equal(norm.running_mean, body[1].running_mean), "nothing moves"

# %%
# Recipe
# ------
# Frozen features and logistic regression, for two classes. Put your own images
# in place of the digits 4 and 9, from 0 to 255, with three channels.

import torch
from sklearn.linear_model import LogisticRegression
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from handbook import datasets

digits, _ = datasets.mnist()
chosen = (digits.y == 4) | (digits.y == 9)
images = (255 * digits.x[chosen][:301]).byte().repeat(1, 3, 1, 1)
labels = digits.y[chosen][:301].numpy()

weights = MobileNet_V2_Weights.IMAGENET1K_V1
backbone = mobilenet_v2(weights=weights).features.eval()
preprocess = weights.transforms(crop_size=64, resize_size=64)
with torch.no_grad():
    maps = [backbone(preprocess(batch)) for batch in images.split(10)]
features = torch.cat(maps).mean(dim=(2, 3)).numpy()  # (301, 1280)

# %%
# The last image is the new one:

head = LogisticRegression(C=0.1, max_iter=1000)  # choose C by validation
head.fit(features[:150], labels[:150])
held_right = head.score(features[150:300], labels[150:300])
print(f"held out: {held_right:.0%} right")
print(f"new image: {head.predict(features[300:])[0]}, true {labels[300]}")

# %%
# .. check::

assert held_right > 0.8, "better than guessing"

# %%
# What you learned
# ----------------
# - Features from another task are worth labels. With few labels per class, the
#   pretrained body was far ahead of the network from scratch.
# - Start with frozen features: compute them once, and train a head. When there
#   are more labels, try fine-tuning, and keep it if it wins on validation data.
# - Parameter groups give body and head their own learning rates.
# - Use the preprocessing that the weights bring. Split by groups that belong
#   together, such as the cells of one panel.
# - Frozen means ``requires_grad_(False)`` and ``eval()``.
#
# Exercises
# ---------
# 1. **Predict.** The frozen body of the digits is replaced by one with random
#    weights. With 20 labels a class, is the head better than guessing? Is it as
#    good as with the trained body?
# 2. **Change.** Forget the preprocessing, and give the network the grey values
#    from 0 to 255, in training and in the test. What happens to the AUC with 20
#    labels a class?
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
random_body = new_body().eval()
right_with = {}
for name, some_body in {"random": random_body, "trained": source[0]}.items():
    with torch.no_grad():
        some_features = some_body(pool_x[few])
        some_test = some_body(test_x)
    some_head = nn.Linear(288, 5)
    groups = [{"params": some_head.parameters(), "lr": 1e-2}]
    train(some_head, groups, some_features, pool_y[few])
    answers = some_head(some_test).argmax(dim=1)
    right_with[name] = (answers == test_y).float().mean().item()
    print(f"{name}: {right_with[name]:.0%} right")

# %%
# .. check::

assert right_with["random"] > 0.4, "far better than guessing"
assert right_with["trained"] > right_with["random"] + 0.03, "better"

# %%
# .. answer:: 2
#
#    No error is raised, and with these cells the AUC hardly changes. So nobody
#    would notice the mistake here. Do not count on it with other images.

plain_outputs = []
with torch.no_grad():
    for batch in cells.split(10):
        grey = interpolate(
            batch.unsqueeze(1).float(), size=128, mode="bilinear",
            antialias=True,
        )  # fmt: skip
        plain = net.features[:11](grey.expand(-1, 3, -1, -1))
        plain_outputs.append(plain.mean(dim=(2, 3)))
plain_features = torch.cat(plain_outputs)
plain_auc = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    few = pool[draw(defective[pool], 20)]
    plain_head = nn.Linear(64, 2)
    groups = [{"params": plain_head.parameters(), "lr": 0.01}]
    train(plain_head, groups, plain_features[few], defective[few])
    plain_auc[seed] = auc(plain_head, plain_features)
print(f"{plain_auc.mean():.2f} instead of {frozen_auc[1].mean():.2f}")

# %%
# .. check::

assert abs(plain_auc.mean() - frozen_auc[1].mean()) < 0.05, "hardly changes"

# %%
# .. answer:: 3
#
#    The accuracy hardly changes, so it would not have warned us. Comparing the
#    buffers does.

torch.manual_seed(0)
few = draw(pool_y, 20)
model = frozen(pool_x[few], pool_y[few], lr=1e-2).eval()
with torch.no_grad():
    before = (model(test_x).argmax(dim=1) == test_y).float().mean().item()
    model.train()
    for _ in range(20):
        model(pool_x[few])
    model.eval()
    after = (model(test_x).argmax(dim=1) == test_y).float().mean().item()
print(f"before {before:.1%}, after {after:.1%}")

# %%
# .. check::

assert abs(after - before) < 0.03, "hardly changes"
