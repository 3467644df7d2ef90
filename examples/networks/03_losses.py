"""
Loss functions
==============

Which loss goes with which question?

A network gives numbers, and the :term:`loss <loss function>` decides what they will mean. A wrong
one seldom raises an error: the network learns, only worse. So we ask four questions of the same
digits, and try wrong losses, too. Before this page: :doc:`/lessons/networks/04_linear`.
"""

# %%
# Setup
# -----

import math
import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from handbook import Batches, datasets, fit

torch.manual_seed(0)
digits, _ = datasets.mnist()
x, val_x = (
    digits.x[:8000],
    digits.x[8000:],
)  # 8,000 to learn from, 2,000 to compare on
y, val_y = digits.y[:8000], digits.y[8000:]
bce = F.binary_cross_entropy_with_logits

# %%
# Four questions
# --------------
#
# *How wide* wants a number: :term:`regression`. The others are :term:`classification`. *Is it a 7*
# is binary, yes or no. *Which digit* is multi-class: one of ten is right. And with two digits laid
# on top of each other, *which digits* is multi-label: ten times yes or no.

wide, val_wide = (
    (part > 0.5).any(2).sum(-1).float() for part in (x, val_x)
)  # columns with ink
seven, val_seven = (
    (part == 7).float()[:, None] for part in (y, val_y)
)  # (N, 1), as wide


def overlay(x, y):
    other = torch.randperm(len(x))
    there = (F.one_hot(y, 10) + F.one_hot(y[other], 10)).clamp(max=1)
    return torch.maximum(x, x[other]), there.float()  # (N, 1, 28, 28), (N, 10)


def wrong(out, y):  # the share of wrong answers
    return ((out.argmax(1) if y.ndim == 1 else out > 0) != y).float().mean()


questions = {  # a loss to train with, a measure to understand, and the data
    "how wide": (F.mse_loss, F.l1_loss, x, wide, val_x, val_wide),
    "is it a 7": (bce, wrong, x, seven, val_x, val_seven),
    "which digit": (F.cross_entropy, wrong, x, y, val_x, val_y),
    "which digits": (bce, wrong, *overlay(x, y), *overlay(val_x, val_y)),
}

# %%
# The network stays the same, but for the number of outputs. All that :func:`handbook.fit` knows of
# the task is ``step``, which returns the loss, and numbers worth watching.


def learn(
    loss_of,
    measure,
    x,
    y,
    val_x,
    val_y,
    seed=0,
    optimizer=torch.optim.AdamW,
    lr=0.01,
):
    torch.manual_seed(seed)
    outputs = 10 if y.ndim == 1 else y.shape[1]
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, outputs)
    )

    def step(model, x, y):
        out = model(x)
        return loss_of(out, y), {"measure": measure(out, y)}

    batches = Batches(x, y, batch_size=200, shuffle=True, seed=seed)
    val = Batches(val_x, val_y, batch_size=2000)
    optimizer = optimizer(model.parameters(), lr=lr)
    history = fit(
        model,
        batches,
        step,
        optimizer=optimizer,
        val=val,
        epochs=6,
        device="cpu",
    )
    return model.requires_grad_(False), history


# %%
# What is good? As a :term:`baseline`, a blind network learns from blank images: the best that is
# left to it is one answer that never changes.

networks, final = {}, {}
for name, (loss_of, measure, x1, y1, x2, y2) in questions.items():
    networks[name], seeing = learn(loss_of, measure, x1, y1, x2, y2)
    _, blind = learn(loss_of, measure, 0 * x1, y1, 0 * x2, y2)
    out, label = (
        tuple(networks[name](x2).shape),
        f"{tuple(y2.shape)} {y2.dtype}",
    )
    print(f"{name}: {loss_of.__name__}, output {out}, label {label}")
    final[name] = [
        row[-1][k]
        for k in ("val_loss", "val_measure")
        for row in (blind, seeing)
    ]
    print(
        "    loss: blind {:.2f}, seeing {:.2f}; measure: {:.3f}, {:.3f}".format(
            *final[name]
        )
    )
    assert (
        final[name][1] < 0.6 * final[name][0]
        and final[name][3] < 0.75 * final[name][2]
    )

# %%
# Seeing helps each time, so each loss taught what it should. One answer to each question:
#
# .. alt:: Four images above four bar charts, all near the truth: the width of a 7, one bar; whether
#    it is a 7, one bar above one half; which digit, one high bar of ten; which digits of a 4 and a
#    7 on top of each other, two high bars of ten.

fig, axes = plt.subplots(2, 4, figsize=(7, 3.6), layout="constrained")
for (top, bottom), name, i in zip(
    axes.T, questions, (69, 69, 69, 872), strict=True
):
    image, label = questions[name][4][i], questions[name][5][i]
    out = networks[name](image[None])[0]
    if name != "how wide":
        out = out.softmax(0) if name == "which digit" else out.sigmoid()
    truth = F.one_hot(label, 10) if label.ndim == 0 else label
    top.imshow(image[0].numpy(), cmap="gray_r")
    top.set(title=name, xticks=[], yticks=[])
    bottom.bar(range(len(out)), out.tolist(), label="network")
    bottom.plot(
        truth.tolist(),
        "_",
        color="C1",
        markersize=9,
        markeredgewidth=3,
        label="truth",
    )
    bottom.set(xlim=(-1, len(out)), xticks=range(1, len(out), 2), ylim=(0, 1.1))
axes[1, 0].set(ylim=(0, 28), ylabel="pixels")
axes[1, 1].set(ylabel="probability")
axes[1, 0].legend(fontsize="small")

# %%
# .. _logits-not-the-label:
#
# A vector of logits
# ------------------
#
# Older notes say that a classifier returns one number, the label. In fact it returns a *vector* for
# each image, one :term:`logit <logits>` for each class; the one number is the *loss*. The predicted
# label is the ``argmax`` of the vector, and has no gradient to learn from.

target, logits = y[:5], nn.Sequential(nn.Flatten(), nn.Linear(784, 10))(x[:5])
loss, total = (
    F.cross_entropy(logits, target, reduction=how) for how in ("mean", "sum")
)
by_hand = -logits.softmax(1)[range(5), target].log()  # (5,)
print(
    "logits",
    tuple(logits.shape),
    f"loss {loss.item():.3f}, by hand {by_hand.mean():.3f}",
)
print(
    f"sum {total.item():.2f}; log 10 = {math.log(10):.3f}, exp(-0.2) = {math.exp(-0.2):.2f}"
)
torch.testing.assert_close(by_hand.mean(), loss)
assert (
    not logits.argmax(1).requires_grad
    and abs(final["which digit"][0] - math.log(10)) < 0.02
)

# %%
# :term:`Cross-entropy <cross-entropy>` takes the :term:`softmax`, picks the probability of the
# label, and averages minus its logarithm. (``reduction="sum"`` adds up; then gradients grow with
# the batch.) A tenth for each digit costs log 10, the loss of the blind network; more is worse than
# knowing nothing. A loss of 0.2 means that the right digit gets 82 %, as a geometric mean.
#
# .. _tanh-is-no-probability:
#
# Which squashing?
# ----------------
#
# Some older notes offer sigmoid and tanh alike for the probabilities of many classes. Compare:

seen = networks["which digit"](val_x[69])[0]
for name, p in {
    "softmax": seen.softmax(0),
    "sigmoid": seen.sigmoid(),
    "tanh": seen.tanh(),
}.items():
    print(f"{name:8} sum {p.sum():5.2f}, from {p.min():5.2f} to {p.max():.2f}")
try:
    F.binary_cross_entropy(torch.tanh(logits), F.one_hot(target, 10).float())
except RuntimeError as error:
    print("RuntimeError:", error)
torch.testing.assert_close(
    seen.sigmoid(), torch.stack([0 * seen, seen]).softmax(0)[1]
)

# %%
# Softmax shares out one whole among classes that exclude each other. :term:`Sigmoid <sigmoid>` is
# for one yes or no, as softmax of the logits 0 and z; ten need not sum to 1. Tanh goes down to −1.
#
# .. _sigmoid-before-cross-entropy:
#
# A sigmoid too many
# ------------------
#
# "First make it a probability": it sounds right, and it runs. But ``cross_entropy`` holds a softmax
# already, and its input now lies between 0 and 1. Even 1 for the right class and 0 for nine others
# costs log(1 + 9/e) = 1.46. We train with and without, by SGD, three seeds each.
#
# .. alt:: Two panels over six epochs, three lines each. Left, the training loss: with logits it
#    falls to 0.3, with a sigmoid first it stays above a dotted line at 1.46. Right, the share of
#    right answers: about 90 % with logits, below 86 % with a sigmoid first.

ways = {
    "logits": F.cross_entropy,
    "sigmoid first": lambda z, y: F.cross_entropy(z.sigmoid(), y),
}
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
reached = {name: [] for name in ways}
for (name, loss_of), style in zip(ways.items(), ("C0-", "C1--"), strict=True):
    for seed in range(3):
        task = questions["which digit"][1:]
        _, history = learn(
            loss_of, *task, seed=seed, optimizer=torch.optim.SGD, lr=0.2
        )
        reached[name].append(1 - history[-1]["val_measure"])
        left.plot(range(1, 7), [row["loss"] for row in history], style)
        right.plot(
            range(1, 7), [1 - row["val_measure"] for row in history], style
        )
    print(
        f"{name:13} right: "
        + ", ".join(f"{share:.1%}" for share in reached[name])
    )
left.axhline(math.log(1 + 9 / math.e), color="gray", linestyle=":")
left.set(xlabel="epoch", ylabel="training loss (dotted: 1.46)", ylim=0)
right.set(xlabel="epoch", ylabel="right, of 2,000 held back")
right.legend(right.lines[::3], ways)
assert (
    min(reached["logits"]) > max(reached["sigmoid first"]) + 0.03
    and history[-1]["loss"] > 1.46
)

# %%
# No error, a falling loss, and each seed loses several points: a sigmoid lets through at most a
# quarter of the gradient, and almost nothing where it is flat. Give the loss logits.
#
# Out of digits
# -------------
#
# ``F.binary_cross_entropy`` wants probabilities. Let a network be ever surer of a 7, and wrong.

for size in (10.0, 16.0, 17.0, 100.0):
    z = torch.tensor([size], requires_grad=True)
    losses = (
        F.binary_cross_entropy(z.sigmoid(), torch.zeros(1)),
        bce(z, torch.zeros(1)),
    )
    grads = [torch.autograd.grad(loss, z)[0].item() for loss in losses]
    print(
        f"logit {size}: losses {losses[0]:.2f} {losses[1]:.2f}, gradients {grads}"
    )
assert losses[0] == losses[1] == 100 and grads == [0, 1]

# %%
# From about 17 on, the sigmoid is 1 in float32. The loss, infinite, is cut at 100, and the gradient
# is 0: the worst mistakes are never corrected. ``binary_cross_entropy_with_logits`` corrects them.
#
# .. _class-index-or-one-hot:
#
# The shape of a label
# --------------------
#
# ``cross_entropy`` takes class numbers, int64 (N,), or probabilities, float (N, C), such as one-hot
# rows. Yes or no takes floats in the shape of the output. Labels that are almost right are refused:

one_hot = F.one_hot(target, 10)  # (5, 10), int64
torch.testing.assert_close(F.cross_entropy(logits, one_hot.float()), loss)
attempts = {
    "one-hot integers": (F.cross_entropy, logits, one_hot),
    "numbers as floats": (F.cross_entropy, logits, target.float()),
    "numbers (N, 1)": (F.cross_entropy, logits, target[:, None]),
    "yes or no (N,)": (bce, logits[:, :1], seven[:5, 0]),
    "widths (N,)": (F.mse_loss, logits[:, :1], wide[:5, 0]),
}
with warnings.catch_warnings(action="error"):
    for name, (loss_of, *pair) in attempts.items():
        try:
            loss_of(*pair)
            raise AssertionError("not refused")
        except (RuntimeError, ValueError, UserWarning) as error:
            print(f"{name}: {type(error).__name__}: {error}")

# %%
# The last is no more than a warning, which we turned into an error: ``mse_loss`` would go on, and
# compare all with all. :doc:`/lessons/tensors/09_broadcasting` shows where that leads.
#
# A rare class
# ------------
#
# Keep only 48 of the 7s to learn from, one for 150 others. Now "never" is right for 99.3 %. So ask
# how many 7s are found, and how many others are called one. ``pos_weight`` counts each 7 as 150.

few = torch.cat([(y == 7).nonzero()[:48, 0], (y != 7).nonzero()[:, 0]])
ratio = torch.tensor((len(few) - 48) / 48)
ways = {"as it is": bce, "weighted": lambda z, y: bce(z, y, pos_weight=ratio)}
found = {name: [] for name in ways}
for name, loss_of in ways.items():
    for seed in range(3):
        model, _ = learn(
            loss_of, wrong, x[few], seven[few], val_x, val_seven, seed=seed
        )
        said = model(val_x)[:, 0] > 0
        share, false = (
            said[part].float().mean().item()
            for part in (val_y == 7, val_y != 7)
        )
        found[name].append(share)
        print(f"{name:9} {share:.0%} of 7s, {false:.1%} of others")
torch.testing.assert_close(
    F.cross_entropy(logits, target, weight=torch.full((10,), 7.0)), loss
)
assert min(found["weighted"]) > max(found["as it is"]) and int(ratio) == 150

# %%
# More are found, for some false alarms, but the output is no longer the chance of a 7: the logit to
# aim at moved up by log 150. ``cross_entropy`` weighs its mean by ``weight``, one per class.
#
# Softer labels
# -------------
#
# :term:`Label smoothing <label smoothing>` of 0.1 takes a tenth from the label, and shares it out
# among all ten classes. Then the loss cannot fall below 0.50, and being too sure does not pay.

smooth = nn.CrossEntropyLoss(
    label_smoothing=0.1
)  # the same function, as a module
soft = 0.9 * one_hot + 0.1 / 10
torch.testing.assert_close(
    smooth(logits, target), F.cross_entropy(logits, soft)
)
softened, history = learn(smooth, *questions["which digit"][1:])
print(
    f"lowest {-(soft * soft.log()).sum(1).mean():.2f}, reached {history[-1]['loss']:.2f}"
)
for name, model in {
    "as it is": networks["which digit"],
    "smoothed": softened,
}.items():
    out = model(val_x)
    share, sure = 1 - wrong(out, val_y), out.softmax(1).amax(1).mean()
    print(
        f"{name}: {share:.1%} right, {sure:.1%} sure, loss {F.cross_entropy(out, val_y):.2f}"
    )
assert history[-1]["loss"] > 0.5 and share > 0.93 and 0.78 < sure < 0.88

# %%
# About as many are read. But right in about 95 % of all cases, the network is only some 83 % sure.
#
# What you learned
# ----------------
#
# - Match output, label and loss to the question: a number, a yes or no, one of many, any of many.
# - Give logits to the loss, and turn them into probabilities only to read them.
# - Compare a loss with that of a blind network: log of the number of classes, if equally frequent.
# - Check shape and dtype of the labels; most mistakes are refused, ``mse_loss`` only warns.
# - Give a rare class more weight to find more of it, and pay with false alarms.
#
# Exercises
# ---------
#
# 1. **Predict.** ``cross_entropy`` takes the labels of *which digits* without complaint. Train a
#    network like that, and count a digit as seen where its probability is above 50 %. For how many
#    of the images with two different digits will the answer be complete?
# 2. **Change.** Leave the loss of the rare class as it is, and say 7 above a logit of −log 150
#    instead of 0. How does that compare, and what did it cost to train?
# 3. **Extend.** Spoil every twentieth of the widths to learn from, as if its decimal point were
#    lost: 15.0 becomes 150. Write the Huber loss yourself, a square up to an error of 1 and
#    straight from there, and see how far ``mse_loss``, ``l1_loss`` and yours end from the true
#    widths.
#
# The loss says what is wrong; what puts it right is :doc:`/lessons/networks/04_optimizers`.

# %%
# .. answer:: 1
#
#    None. Softmax shares out 100 %, and two cannot both have more than half. That the labels sum to
#    2 is not checked.

many = questions["which digits"]
model, _ = learn(F.cross_entropy, wrong, *many[2:])
two = many[5].sum(1) == 2
chances = {"softmax": model(many[4]).softmax(1)}
chances["sigmoid"] = networks["which digits"](many[4]).sigmoid()
complete = {}
for name, p in chances.items():
    complete[name] = ((p > 0.5) == many[5]).all(1)[two].float().mean().item()
    print(f"{name}: {complete[name]:.1%} complete")
assert complete["softmax"] == 0 and complete["sigmoid"] > 0.2

# %%
# .. answer:: 2
#
#    As many 7s as with ``pos_weight``, or more, and more false alarms. It cost nothing: the
#    threshold is chosen after training.

for seed in range(3):
    model, _ = learn(
        bce, wrong, x[few], seven[few], val_x, val_seven, seed=seed
    )
    said = model(val_x)[:, 0] > -ratio.log()
    share, false = (
        said[part].float().mean().item() for part in (val_y == 7, val_y != 7)
    )
    print(f"{share:.0%} of the 7s, {false:.1%} of the others")
    assert share > found["as it is"][seed] + 0.1

# %%
# .. answer:: 3
#
#    Squared, an error of 135 weighs as much as 18,225 errors of 1, and the network gives in to the
#    spoilt labels. The other two losses pull no harder from far away than from 1 pixel.


def huber(out, y):
    off = (out - y).abs()
    return torch.where(off < 1, off**2 / 2, off - 0.5).mean()


slipped, off = wide.clone(), {}
slipped[::20] *= 10
for loss_of in (F.mse_loss, F.l1_loss, huber):
    name = loss_of.__name__
    model, history = learn(loss_of, F.l1_loss, x, slipped, val_x, val_wide)
    off[name] = history[-1]["val_measure"]
    print(f"{name:8} {off[name]:.1f} pixels off the true widths")
torch.testing.assert_close(
    huber(model(x), slipped), F.huber_loss(model(x), slipped)
)
assert off["mse_loss"] > 1.7 * max(off["l1_loss"], off["huber"])
