"""
Optimizers
==========

How do the weights move?

The gradient says which way is down; an optimizer, how far to go and what to remember. We write
two by hand, watch them walk, and compare four. The page before: :doc:`/lessons/networks/03_losses`.
"""

# %%
# Setup
# -----

import tempfile
import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    OneCycleLR,
    StepLR,
)

from handbook import Batches, datasets

torch.manual_seed(0)
digits = datasets.mnist()[0]  # x: (10000, 1, 28, 28), y: (10000,)

# %%
# .. _against-the-gradient:
#
# Against the gradient
# --------------------
# Some notes say: "Gradient descent moves left, and the gradient shrinks." It moves against the
# :term:`gradient`, wherever that points. See both sides of :math:`w^2`, and the way down a cosine.

for start in (-1.0, 1.0):
    w = torch.tensor(start, requires_grad=True)
    (w**2).backward()
    moved = w - 0.1 * w.grad
    print(
        f"w = {start:+}, gradient {w.grad:+}, moved to {moved:+.1f}; a leaf: {moved.is_leaf}"
    )
    assert abs(moved) < 1 and not moved.is_leaf and w.item() == start
places = torch.linspace(0.1, 3.0, 6, requires_grad=True)
places.cos().sum().backward()
print(
    "down a cosine, size of the gradient:",
    [f"{size:.2f}" for size in places.grad.abs()],
)
assert (places.grad < 0).all() and places.grad.abs().argmax() in (2, 3)

# %%
# Left of the minimum the step goes right, and from a flat top the gradient first grows on the way
# down. ``moved`` is a new tensor, no :term:`leaf <leaf tensor>`, and ``w`` is where it was. In a
# model, such a step trains nothing (:doc:`/lessons/networks/07_training_loop` lets it happen).
#
# SGD by hand
# -----------
# The weight itself must change, by an :term:`in-place operation`. Here is the heart of
# :class:`torch.optim.SGD`, :term:`stochastic gradient descent`. :term:`Weight decay <weight decay>`
# adds a bit of the weight to its gradient. With :term:`momentum`, the step follows a *velocity*,
# which keeps a part of itself, say 0.9, and gains the new gradient.


def sgd(weights, lr, momentum=0.0, weight_decay=0.0):
    velocity = [0.0 for w in weights]

    @torch.no_grad()
    def step():
        for i, w in enumerate(weights):
            velocity[i] = momentum * velocity[i] + w.grad.add(
                w, alpha=weight_decay
            )
            w.add_(velocity[i], alpha=-lr)  # w -= lr * velocity

    return step


# %%
# Real data, and two weights, so that the loss can be drawn: from how symmetric a digit is (0 to 1)
# and how wide (in pixels), predict the ink, in per cent of the paper. Each mean is subtracted.

with tempfile.TemporaryDirectory() as folder:
    path = datasets.write_csv(folder + "/digits.csv", n=1000)
    table = datasets.load_csv(path, "ink", columns=["symmetry", "width"])
x, y = (
    (table.x - table.x.mean(0)).double(),
    100 * (table.y - table.y.mean()).double(),
)


def loss_at(w, x=x):  # (..., 2) -> (...)
    return (w @ x.T - y).square().mean(-1)


def walk(rule, x=x, **options):
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    made, path = rule([w], **options), [w.detach().clone()]
    step = getattr(
        made, "step", made
    )  # of a torch optimizer, its method; ours is a function
    for _ in range(100):
        w.grad = None
        loss_at(w, x).backward()
        step()
        path.append(w.detach().clone())
    return torch.stack(path)  # (101, 2)


# %%
# Let our rule and PyTorch's start in the same place.

for options in ({}, {"momentum": 0.9}, {"momentum": 0.9, "weight_decay": 0.01}):
    same = torch.equal(
        walk(sgd, lr=0.05, **options), walk(optim.SGD, lr=0.05, **options)
    )
    print(f"100 steps, equal bit for bit: {same}  {options}")
    assert same

# %%
# .. _learning-rate-is-a-step-size:
#
# How long a step
# ---------------
# Some notes call the :term:`learning rate` the number of parameters that are updated. Count:

best = torch.linalg.lstsq(x, y).solution  # (2,)
lowest, above = loss_at(best).item(), {}
for rate in (0.001, 0.002, 0.06, 0.065):
    path = walk(optim.SGD, lr=rate)
    above[rate] = loss_at(path[-1]).item() - lowest
    moved = f"{(path[1] != 0).sum()} weights moved, by {path[1].norm():.3f}"
    print(
        f"rate {rate:5}: {moved}; after 100 steps {above[rate]:.3g} above the minimum"
    )
flat, steep = torch.linalg.eigvalsh(2 * x.T @ x / len(x)).tolist()
print(
    f"curvature: {flat:.2f} along the valley, {steep:.1f} across; 2 / steep = {2 / steep:.4f}"
)
assert f"{walk(optim.SGD, lr=0.001)[1].norm():.3f}" == "0.020"
assert (
    above[0.06] < above[0.001] < 1e4 < above[0.065]
    and (path[1] != 0).all()
    and steep < 33
)

# %%
# Both weights move each time, and twice as far for twice the rate. So the rate is a factor: the step
# is the gradient times the rate, here 0.020 long at a rate of 0.001. In a direction of curvature
# :math:`c`, a step multiplies the distance from the minimum by :math:`1-\text{rate}\cdot c`. Beyond
# a rate of 0.0627 the steps across the valley explode; below it, they hardly get ahead along the
# floor, which is about 800 times flatter. No rate suits both.
#
# Momentum and Adam
# -----------------
# There are two ways out. Momentum: along the floor the gradients agree, and the velocity grows to
# ten times one of them; across, they change sign and cancel. Adam averages, too, and divides by the
# usual size of the gradient, for each weight alone. Exercise 2 shows how Adam and AdamW differ.


def adamw(weights, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    state = [(0.0, 0.0, 1) for w in weights]

    @torch.no_grad()
    def step():
        for i, w in enumerate(weights):
            mean, square, t = state[i]
            mean = betas[0] * mean + (1 - betas[0]) * w.grad
            square = betas[1] * square + (1 - betas[1]) * w.grad**2
            state[i] = mean, square, t + 1
            usual = (
                square / (1 - betas[1] ** t)
            ).sqrt()  # it began at 0: this makes up for it
            w.mul_(1 - lr * weight_decay)
            w.sub_(lr * mean / (1 - betas[0] ** t) / (usual + eps))

    return step


gap = (walk(adamw, lr=0.5) - walk(optim.AdamW, lr=0.5)).abs().max().item()
print(f"100 steps, largest difference {gap:.0e}")
assert gap < 1e-9

# %%
# The same but for rounding. Now all three, each near its best rate. (The picture is stretched.)
#
# .. alt:: Contours of the loss, long ellipses, and three paths. SGD jumps up and down, then creeps
#    and ends far from the minimum. Momentum swings along the floor; AdamW goes in wide curves.

walks = {
    "SGD": walk(optim.SGD, lr=0.06),
    "momentum": walk(optim.SGD, lr=0.09, momentum=0.9),
    "AdamW": walk(optim.AdamW, lr=0.5, weight_decay=0.0),
}
figure, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
across = (
    torch.linspace(-1, 23, 61).double(),
    torch.linspace(-0.5, 2.3, 57).double(),
)
grid = torch.stack(torch.meshgrid(*across, indexing="xy"), -1)  # (57, 61, 2)
ax.contour(
    *across,
    loss_at(grid),
    lowest * 1.01 ** (2.0 ** torch.arange(9)),
    colors="silver",
)
for (name, path), style in zip(walks.items(), ("o-", "^-", "s-"), strict=True):
    above[name] = (loss_at(path) > 1.01 * lowest).sum().item()
    print(
        f"{name:8} is more than 1 % above the minimum at {above[name]} of 101 places"
    )
    ax.plot(*path.T, style, markersize=3, linewidth=1, label=name)
ax.plot(*best, "k*", markersize=12, label="minimum")
ax.set(xlabel="weight of symmetry", ylabel="weight of width")
ax.legend(loc="upper center", ncols=4, fontsize="small")
assert above["AdamW"] < above["momentum"] < 80 and above["SGD"] == 101

# %%
# Adam has it easy, since this valley lies along an axis; exercise 3 turns it. It also hides a wrong
# scale, as :doc:`/lessons/autograd/07_custom_function` shows.
#
# A fair comparison
# -----------------
# Now digits, and a fourth. :class:`torch.optim.Muon` makes the step of a matrix about equally long
# in all directions. It is meant for the matrices of hidden layers; another optimizer must move the
# output layer and the biases. Weights come in *groups*, each with options of its own: here, biases
# have no weight decay.

makers = {
    "SGD": lambda groups, lr: [optim.SGD(groups, lr)],
    "momentum": lambda groups, lr: [optim.SGD(groups, lr, momentum=0.9)],
    "AdamW": lambda groups, lr: [optim.AdamW(groups, lr)],
    "Muon": lambda groups, lr: [
        optim.Muon(groups[:1], lr),
        optim.AdamW(groups[1:], lr=0.01),
    ],
}
pixels = F.avg_pool2d(digits.x, 2).flatten(
    1
)  # (10000, 196): half as wide, to be quick


def learn(
    name,
    lr,
    seed,
    new_schedule=lambda optimizer: ConstantLR(optimizer, factor=1.0),
):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(196, 32), nn.ReLU(), nn.Linear(32, 10))
    hidden, output = model[0], model[2]
    groups = [
        {"params": [hidden.weight], "weight_decay": 1e-4},
        {"params": [output.weight], "weight_decay": 1e-4},
        {"params": [hidden.bias, output.bias], "weight_decay": 0.0},
    ]
    optimizers, rates = makers[name](groups, lr), []
    schedule = new_schedule(optimizers[0])
    batches = Batches(
        pixels[:4000], digits.y[:4000], batch_size=50, shuffle=True, seed=seed
    )
    for x, y in (*batches, *batches):  # two epochs, 160 steps
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        rates.append(optimizers[0].param_groups[0]["lr"])
        for part in (
            *optimizers,
            schedule,
        ):  # the schedule comes after the step
            part.step()
    with torch.no_grad():
        return F.cross_entropy(
            model(pixels[8000:]), digits.y[8000:]
        ).item(), rates


# %%
# All three classes have 0.001 as their default learning rate. So compare them there? Or at 1.024?
# The loss on 2,000 validation images, mean of two seeds:
#
# .. alt:: Validation loss against the learning rate: four valleys, nearly equally deep; those of
#    AdamW and Muon come first, then momentum, and last SGD, at a rate about 60 times as high as AdamW's.

scale = [0.001 * 4**k for k in range(7)]
mean = {
    name: torch.tensor(
        [[learn(name, lr, seed)[0] for seed in range(2)] for lr in scale]
    ).mean(1)
    for name in makers
}
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for (name, loss), style in zip(
    mean.items(), ("o-", "^--", "s-", "D--"), strict=True
):
    ax.semilogx(scale, loss, style, label=name)
    print(
        f"{name:8} at 0.001: {loss[0]:.2f}, at 1.024: {loss[5]:.2f}, best: {loss.min():.2f}"
    )
ax.axhline(2.303, color="gray", linestyle=":", label="guessing")
ax.set(xlabel="learning rate", ylabel="validation loss", ylim=(0, 3.5))
ax.legend(ncols=2, fontsize="small")
assert (
    mean["AdamW"][0] + 1 < mean["SGD"][0]
    and mean["SGD"][5] + 1 < mean["AdamW"][5]
)

# %%
# At 0.001 AdamW wins by far, at 1.024 SGD does. Both verdicts are about the rate: SGD multiplies
# the gradient by it, AdamW moves each weight by about the rate itself. Between rates that differ by
# a factor of 4, and with two seeds, more cannot be said. So we went through each valley in steps of
# 1.4, again on the validation images. Here is each optimizer at its best rate, with five seeds:

best_rate = {"SGD": 1.0, "momentum": 0.07, "AdamW": 0.028, "Muon": 0.04}
losses = {
    name: torch.tensor([learn(name, lr, seed)[0] for seed in range(5)])
    for name, lr in best_rate.items()
}
for name, loss in losses.items():
    print(
        f"{name:8} at {best_rate[name]:5}: {loss.mean():.3f}, spread {loss.std():.3f}"
    )
muon, adamw = losses["Muon"], losses["AdamW"]
assert muon.mean() + muon.std() < adamw.mean() - adamw.std()
gap = losses["SGD"].mean() - losses["momentum"].mean()
assert abs(gap) < losses["SGD"].std()

# %%
# Muon is ahead by more than the seeds scatter. SGD scatters so widely that five seeds do not tell it
# from momentum. All of that is about this small network and its two epochs.
#
# .. _step-before-schedule:
#
# Schedules
# ---------
# A :term:`learning-rate schedule` changes the rate on the way. Its ``step`` comes *after* that of
# the optimizer (exercise 1 swaps them). Warm-up begins small, cosine ends small, one-cycle does
# both. AdamW with each, mean of three seeds:
#
# .. alt:: Left, the rate over 160 steps: flat; a rise, then flat; a fall to 0; a rise and a fall to
#    0. Right, validation loss: cosine and one-cycle reach the lowest points, at a higher rate.

schedules = {
    "constant": lambda optimizer: ConstantLR(optimizer, factor=1.0),
    "warm-up": lambda optimizer: LinearLR(
        optimizer, start_factor=0.05, total_iters=32
    ),
    "cosine": lambda optimizer: CosineAnnealingLR(optimizer, T_max=160),
    "one-cycle": lambda o: OneCycleLR(
        o, max_lr=o.param_groups[0]["lr"], total_steps=160
    ),
}
figure, (left, right) = plt.subplots(
    1, 2, figsize=(7.0, 3.4), layout="constrained"
)
for (name, new), style in zip(
    schedules.items(), ("o-", "^--", "s-", "D--"), strict=True
):
    runs = [
        [learn("AdamW", lr, seed, new) for seed in range(3)]
        for lr in scale[1:5]
    ]
    left.plot(runs[1][0][1], style, markevery=20, label=name)
    mean[name] = torch.tensor([[loss for loss, _ in row] for row in runs]).mean(
        1
    )
    right.loglog(scale[1:5], mean[name], style)
    print(
        f"{name:9} with rates from 0.004 to 0.256:",
        [f"{loss:.2f}" for loss in mean[name]],
    )
left.set(xlabel="step", ylabel="learning rate")
left.legend(fontsize="small")
right.set(
    xlabel="highest learning rate", ylabel="validation loss", ylim=(0.25, 2)
)
right.set_yticks([0.3, 0.5, 1, 2], ["0.3", "0.5", "1", "2"])
right.minorticks_off()
for name in ("cosine", "one-cycle"):
    assert (
        mean[name].min() < mean["constant"].min() - 0.02
        and mean[name][0] > mean["constant"][0]
    )

# %%
# A rate that falls to zero lets the weights settle: it may begin higher, and the loss ends lower.
# Where the rate is too low, falling costs. Warm-up alone lessens the harm of too high a rate.
#
# What you learned
# ----------------
# - Move against the gradient, in place; the rate says how far, the optimizer what is remembered.
# - Tune the learning rate first, for each optimizer by itself, on validation images.
# - Use momentum for long valleys, AdamW for weights of different scale, and scale your data.
# - Call ``optimizer.step()``, then ``schedule.step()``, and let the rate fall in the end.
#
# Exercises
# ---------
#
# 1. **Predict.** How many numbers do SGD, SGD with momentum, AdamW and Muon keep for each weight?
#    Which of these are refused, and which only warns: Muon for a layer with a bias;
#    ``StepLR(optimizer, 1, verbose=True)``; ``schedule.step()`` before ``optimizer.step()``?
# 2. **Change.** A pixel is 0 in all images, so the gradient of its weight is always 0; that of
#    another weight jumps about. Both begin at 1. What is left of them after 200 steps with
#    :class:`torch.optim.SGD`, :class:`torch.optim.Adam` and :class:`torch.optim.AdamW`, with weight
#    decay 0.0001 and 0.01?
# 3. **Extend.** Turn the valley by 45°, by a matrix product of ``x`` with a rotation. Who suffers,
#    SGD or AdamW? Then divide the columns by their standard deviation instead, and find a rate
#    with which SGD needs a single step.
#
# All the batches on this page were cut from tensors that were ready. Your data come from files:
# :doc:`/lessons/networks/05_data`.

# %%
# .. answer:: 1
#
#    None, one, two and one; AdamW also counts the steps. Muon and ``verbose`` are refused, and the
#    wrong order warns: the first rate is lost. The lines between show what Muon does: the gradient
#    is far stronger in some directions than in others; the step is almost as strong in all of them.

layer, kept, messages = nn.Linear(50, 20), [], []
w = layer.weight
w.grad = torch.randn(20, 50) * torch.logspace(-2, 0, 20)[:, None]
for make in (
    optim.SGD,
    lambda w: optim.SGD(w, momentum=0.9),
    optim.AdamW,
    optim.Muon,
):
    before, optimizer = w.detach().clone(), make([w])
    optimizer.step()
    kept.append(
        sum(v.numel() for v in optimizer.state[w].values() if v.ndim)
        // w.numel()
    )
spread = [torch.linalg.svdvals(m.detach()) for m in (w.grad, w - before)]
spread = [
    f"strongest direction: {s[0] / s[-1]:.0f} times the weakest" for s in spread
]
for refused in (
    lambda: optim.Muon(layer.parameters()),
    lambda: StepLR(optimizer, 1, verbose=True),
):
    try:
        refused()
    except (TypeError, ValueError) as error:
        messages.append(str(error))
print(kept, *spread, *messages, sep="\n")
for order in ("right", "wrong"):
    optimizer, rates = optim.SGD([w], lr=0.8), []
    parts = optimizer, StepLR(optimizer, step_size=1, gamma=0.5)
    with warnings.catch_warnings(record=True, action="always") as caught:
        for part in (parts if order == "right" else parts[::-1]) * 3:
            if part is optimizer:
                rates.append(optimizer.param_groups[0]["lr"])
            part.step()
    print(f"{order} order: rates {rates}, {len(caught)} warnings")
assert (
    kept == [0, 1, 2, 1]
    and len(messages) == 2
    and rates == [0.4, 0.2, 0.1]
    and caught
)

# %%
# .. answer:: 2
#
#    SGD and AdamW shrink each weight by the factor 1 − rate · decay, apart from its gradient step.
#    Adam puts the decay into the gradient, as L2 does, and divides by its size. So the idle weight
#    is gone with either decay, and the busy one hardly notices a decay a hundred times as strong.

left = {}
for optimizer_class in (optim.SGD, optim.Adam, optim.AdamW):
    for decay in (0.0001, 0.01):
        weight = nn.Parameter(torch.ones(2))
        optimizer = optimizer_class([weight], lr=0.01, weight_decay=decay)
        torch.manual_seed(0)
        for _ in range(200):
            weight.grad = torch.tensor([0.0, 10 * torch.randn(()).item()])
            optimizer.step()
        idle, busy = left[optimizer_class, decay] = weight.tolist()
        print(
            f"{optimizer_class.__name__:5}  decay {decay:6}: idle {idle:.3f}, busy {busy:.3f}"
        )
expected = (1 - 0.01 * 0.01) ** 200
for optimizer_class in (optim.SGD, optim.AdamW):
    assert abs(left[optimizer_class, 0.01][0] - expected) < 1e-4
assert left[optim.Adam, 0.0001][0] < 0.1 and left[optim.Adam, 0.01][0] < 0.1
assert abs(left[optim.Adam, 0.0001][1] - left[optim.Adam, 0.01][1]) < 0.01

# %%
# .. answer:: 3
#
#    SGD walks the same path, turned: it knows no axes. AdamW does, and comes late. Scaled columns
#    make the valley a round bowl of curvature 2 or nearly so, and a rate of 1/2 jumps into its
#    middle.

turn = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64) / 2**0.5
scaled = x / x.std(0)
late = {}
for name, columns in (
    ("as it was", x),
    ("turned", x @ turn),
    ("scaled", scaled),
):
    for rule, options in (
        (optim.SGD, {"lr": 0.5 if name == "scaled" else 0.06}),
        (optim.AdamW, {"lr": 0.5, "weight_decay": 0.0}),
    ):
        path = walk(rule, columns, **options)
        late[name, rule] = loss_at(path, columns)
        far = (late[name, rule] > 1.01 * lowest).sum()
        print(
            f"{name:9} {rule.__name__:5} more than 1 % above at {far} of 101 places"
        )
torch.testing.assert_close(
    late["as it was", optim.SGD], late["turned", optim.SGD]
)
assert (
    late["turned", optim.AdamW][50]
    > 1.01 * lowest
    > late["as it was", optim.AdamW][50]
)
assert late["scaled", optim.SGD][1] < 1.01 * lowest
