"""
Mixed precision
===============

Can a network be trained with numbers of 16 bits, and what has to stay in 32?

A number of 16 bits takes half the memory of a ``float32``, and some processors
multiply it faster. But it has fewer digits or a smaller range, and both can
spoil a training run without an error message. Mixed precision uses 16 bits
where they do no harm, and 32 where they are needed.

After this lesson you can

- train with ``torch.autocast``, and say which numbers have 16 bits
- explain why the weights stay in ``float32``
- scale the loss for ``float16``, and clip the gradient at the right place
"""

# %%
# Setup
# -----

import copy

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy, pad

from handbook import datasets

torch.manual_seed(0)

# %%
# Too few digits, too small a range
# ---------------------------------
# There are two kinds of 16-bit numbers
# (:doc:`/lessons/tensors/03_number_types`). ``bfloat16`` has the range of
# ``float32``, but only two to three decimal digits. Suppose that a weight of 1
# takes a thousand steps of 0.001. It should arrive at 0.

exact_weight = torch.tensor(1.0)
low_weight = torch.tensor(1.0, dtype=torch.bfloat16)
for _ in range(1000):
    exact_weight -= 0.001
    low_weight -= 0.001
print(f"float32:  {exact_weight.item():.4f}")
print(f"bfloat16: {low_weight.item():.4f}")

# %%
# The next ``bfloat16`` below 1 is about 0.996, so 0.999 is rounded back to 1, a
# thousand times.

print(torch.tensor(0.999, dtype=torch.bfloat16).item())
print(torch.tensor(0.996, dtype=torch.bfloat16).item())

# %%
# ``float16`` has more digits, but a smaller range. What is closer to 0 than
# about 0.00000003 becomes 0, which is called *underflow*. The remedy is to
# multiply by a large number first, and to divide by it afterwards, in
# ``float32``.

small = torch.tensor(0.0001, dtype=torch.float16)
print("squared:", (small * small).item())
scaled = small * 65_536 * small
print("scaled: ", scaled.item())
print("divided:", scaled.float().item() / 65_536)

# %%
# .. check::

assert exact_weight.abs() < 0.001, "float32 arrives at 0"
assert low_weight == 1, "the weight has not moved"
assert torch.tensor(0.999).bfloat16() == 1, "0.999 is rounded to 1"
assert torch.tensor(0.9979).bfloat16() == 0.99609375, "the number below 1"
assert torch.tensor(2.9e-8).to(torch.float16) == 0, "below 3e-8: 0"
assert small * small == 0, "underflow"
assert abs(scaled.float().item() / 65_536 - 1e-8) < 1e-10, "it survives"

# %%
# Autocast
# --------
# :class:`torch.autocast` chooses the dtype of each operation, and its page
# lists which run in 16 bits. We write the forward pass and the loss inside the
# ``with`` block, and ``backward()`` after it. The backward pass follows the
# dtypes of the forward pass by itself.

layer = nn.Linear(4, 3)
x = torch.randn(2, 4)
y = torch.tensor([0, 2])
with torch.autocast("cpu", dtype=torch.bfloat16):
    logits = layer(x)
    loss = cross_entropy(logits, y)
logits.retain_grad()
loss.backward()
print("loss:  ", loss.dtype)
print("logits:", logits.dtype, "gradient:", logits.grad.dtype)
print("weight:", layer.weight.dtype, "gradient:", layer.weight.grad.dtype)

# %%
# The layer has multiplied in ``bfloat16``, using copies of its weight and of
# ``x``, and the gradient that comes back to its logits has 16 bits, too. This
# loss, the weights and their gradients are ``float32``, so the optimizer works
# as usual, and memory is saved only on what layers keep for ``backward()``.

# %%
# .. check::

assert layer.weight.dtype == torch.float32, "the weights stay"
assert logits.dtype == torch.bfloat16, "the layer multiplies in bfloat16"
assert loss.dtype == torch.float32, "the loss"
assert logits.grad.dtype == torch.bfloat16, "16 bits between layers"
assert layer.weight.grad.dtype == torch.float32, "the weight's gradient"

# %%
# On real data
# ------------
# Why not call ``model.bfloat16()``, so that the weights have 16 bits as
# well? We compare three ways: everything in ``float32``, autocast, and
# everything in ``bfloat16``. The network is small:

train, test = datasets.mnist()


def make_network(width):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, width), nn.ReLU(),
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10),
    )  # fmt: skip


# %%
# The learning rate falls to 0 along a cosine:


def learn(net, x, y, lr, steps=80, mixed=False):
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        i = torch.randint(len(x), (64,))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            loss = cross_entropy(net(x[i]), y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()


# %%
# The task is fine-tuning, where learning rates are often small. Five networks
# learn the digits in ``float32``. Then all images move two pixels to the right.
# The last 1,000 training images are for validation.

moved = pad(train.x, (2, -2))  # two columns more on the left, two fewer right
moved_test = pad(test.x, (2, -2))
images = moved[:9000]
digits = train.y[:9000]


def accuracy(net, x, y):
    with torch.no_grad():
        answers = copy.deepcopy(net).float()(x).argmax(dim=1)
    return (answers == y).float().mean()


# %%

bases = []
before = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    base = make_network(64)
    learn(base, train.x[:9000], digits, lr=0.02)
    bases.append(base)
    before[seed] = accuracy(base, moved_test, test.y)
print(f"before fine-tuning: {before.mean():.1%} right")

# %%
# We try four learning rates, and train three copies of each network, on the
# same batches.

rates = [0.0001, 0.001, 0.01, 0.03]
right = torch.zeros(3, 4, 5)  # way, learning rate, network
valid = torch.zeros(4, 5)  # float32 on the validation images
for i, lr in enumerate(rates):
    for seed, base in enumerate(bases):
        nets = [copy.deepcopy(base), copy.deepcopy(base), copy.deepcopy(base)]
        torch.manual_seed(seed + 10)
        learn(nets[0], images, digits, lr)
        torch.manual_seed(seed + 10)
        learn(nets[1], images, digits, lr, mixed=True)
        torch.manual_seed(seed + 10)
        learn(nets[2].bfloat16(), images.bfloat16(), digits, lr)
        for way, net in enumerate(nets):
            right[way, i, seed] = accuracy(net, moved_test, test.y)
        valid[i, seed] = accuracy(nets[0], moved[9000:], train.y[9000:])

# %%
# Below each rate, with the validation result of ``float32``, are the right
# answers on the test images in percent, ± their standard deviation over the
# five networks. Beside them is the difference from ``float32``, network by
# network, ± its :term:`standard error`.

ways = ["float32", "autocast", "all bfloat16"]
differences = 100 * (right - right[0])
for i, lr in enumerate(rates):
    print(f"learning rate {lr}, validation {100 * valid[i].mean():.1f}")
    for way, name in enumerate(ways):
        row = 100 * right[way, i]
        mean = differences[way, i].mean()
        error = differences[way, i].std() / 5**0.5
        print(f"  {name:12}  {row.mean():.1f} ± {row.std():.1f}", end="")
        print(f"  {mean:+.1f} ± {error:.1f}")

# %%
# .. alt:: Right answers on the moved digits over the learning rate. The points
#    of autocast lie on the line of float32. The line of all bfloat16 is below
#    them at 0.0001 and 0.001, and almost meets them at 0.01 and 0.03. A dashed
#    line shows the networks before fine-tuning.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
styles = ["o-", "s", "^-"]
sizes = [10, 5, 6]
rows = 100 * right
for name, row, style, size in zip(ways, rows, styles, sizes, strict=True):
    axis.errorbar(
        rates, row.mean(dim=1), row.std(dim=1), fmt=style, ms=size, capsize=3,
        label=name,
    )  # fmt: skip
axis.axhline(100 * before.mean(), color="black", ls="--", label="before")
axis.set(xscale="log", xlabel="learning rate", ylabel="right (%)")
axis.grid(alpha=0.4)
axis.legend()

# %%
# Autocast cannot be told apart from ``float32`` here. With everything in
# ``bfloat16``, the result depends on the learning rate. At 0.01 and 0.03, the
# best in validation, the mean difference is under half a point. At the smaller
# rates it is about two points lower, and nothing warns you.
#
# The products are not to blame, since autocast computes them in ``bfloat16``,
# too. In its first step, Adam moves each weight that has a gradient by about
# the learning rate (:doc:`/lessons/networks/04_optimizers`). How many weights
# of the second layer would not feel such a step?

base = bases[0]
weights = base[3].weight.detach()
low_weights = weights.bfloat16()
unmoved = []
for lr in rates:
    same = low_weights - lr == low_weights
    unmoved.append(same.float().mean().item())
    print(f"rate {lr}: {unmoved[-1]:.0%} stay where they are")

# %%
# The run that begins with 0.001 comes to such small steps later. The rate
# falls, and Adam's steps become smaller by themselves, too. The loss and Adam's
# averages have 16 bits here, too. Exercise 3 tests at 0.0001 whether the
# weights alone explain what was lost. Autocast does not lose such steps,
# because its weights are ``float32``.

# %%
# .. check::

assert differences[1].mean(dim=1).abs().max() < 0.5, "autocast = float32"
assert differences[1, :3].mean(dim=1).abs().max() < 0.15, "autocast = float32"
assert (differences[2, :2].mean(dim=1) < -1).all(), "it learns less"
assert differences[2, 2:].mean(dim=1).abs().max() < 0.6, "under half a point"
assert valid[2:].mean(dim=1).min() > valid[:2].mean(dim=1).max(), "the best"
assert unmoved[0] > 0.5, "most weights stay"

# %%
# How fast is it?
# ---------------
# That depends on the processor. Some have instructions for ``bfloat16``, whose
# names contain ``bf16``. Without them, autocast may be slower than ``float32``.
# :func:`torch.cpu.get_capabilities` tells what the processor can do:

abilities = torch.cpu.get_capabilities()
for name in sorted(abilities):
    if "bf16" in name:
        print(name, abilities[name])

# %%
# Measure on your own machine before you use autocast for speed. This lesson was
# not run on a GPU.
#
# ``float16`` needs a scaled loss
# -------------------------------
# Some GPUs, such as the T4 and the V100, are fast with ``float16`` but not with
# ``bfloat16``. There, underflow has to be prevented. Gradients are small when
# the loss is small, so we train a network until it knows 500 digits by heart.

torch.manual_seed(0)
net = make_network(64)
optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
few_x = train.x[:500]
few_y = train.y[:500]
for _ in range(200):
    loss = cross_entropy(net(few_x), few_y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.5f}")

# %%
# *Loss scaling* means to multiply the loss by ``scale`` before ``backward()``,
# and to divide the gradient afterwards.


def gradients(dtype, scale):
    net.zero_grad()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        loss = cross_entropy(net(few_x), few_y)
    (loss * scale).backward()
    rows = [weight.grad.flatten() for weight in net.parameters()]
    return torch.cat(rows) / scale


exact = gradients(torch.float32, scale=1)
plain = gradients(torch.float16, scale=1)
scaled = gradients(torch.float16, scale=65_536)

# %%
# How many gradients became 0, and how far is the whole gradient from the exact
# one, relative to its norm? To compare, we also round the exact
# one to ``float16`` at the end.

lost = {}
errors = {}
rounded = exact.to(torch.float16)
rows = {"plain": plain, "rounded": rounded, "scaled": scaled}
for name, row in rows.items():
    lost[name] = (row[exact != 0] == 0).float().mean()
    errors[name] = (row - exact).norm() / exact.norm()
    print(f"{name:7}: {lost[name]:.0%} became 0, error {errors[name]:.0%}")

# %%
# Without scaling, the gradient is about a quarter off. Rounding it at the end
# makes about as many zeros, but does little harm. Most is lost earlier, because
# what the layers pass back has 16 bits, too. For the logits, nearly all is 0:

with torch.autocast("cpu", dtype=torch.float16):
    logits = net(few_x)
    loss = cross_entropy(logits, few_y)
logits.retain_grad()
loss.backward()
zeros = (logits.grad == 0).float().mean()
print(f"{logits.grad.dtype}, {zeros:.0%} are 0")

# %%
# Below 0.00006, the dotted line in the figure, ``float16`` loses digits, too.
# All gradients of the weights lie there. The factor 65,536 moves most of them
# into the range where it has all its digits.

# %%
# .. alt:: Two histograms of the sizes of the weights' gradients, as powers of
#    ten. Dashed lines at −7.5 and 4.8 are the ends of float16, and below a
#    dotted line at −4.2 it has fewer digits. Without scaling, all gradients lie
#    left of the dotted line. Times 65,536, most lie between it and 4.8.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3), layout="constrained")
for row, label in [(exact, "gradient"), (exact * 65_536, "times 65,536")]:
    powers = row[row != 0].abs().log10()
    axis.hist(powers.numpy(), bins=60, alpha=0.6, label=label)
axis.axvline(-7.5, color="black", ls="--", label="ends of float16")  # 3e-8
axis.axvline(4.8, color="black", ls="--")  # 65,504
axis.axvline(-4.2, color="black", ls=":", label="fewer digits below")  # 6e-5
axis.set(xlim=(-15, 6), ylim=(0, 11000), xticks=range(-15, 6, 5))
axis.set(xlabel="power of ten", ylabel="weights")
axis.legend(loc="upper center", bbox_to_anchor=(0.65, 1))

# %%
# .. check::

assert 0.12 < errors["plain"] < 0.45, "about a quarter off"
assert abs(lost["plain"] - lost["rounded"]) < 0.05, "about as many zeros"
assert errors["rounded"] < 0.2 * errors["plain"], "little harm at the end"
assert logits.grad.dtype == torch.float16, "passed back in 16 bits"
assert zeros > 0.75, "nearly all is 0"
assert exact.abs().max() < 6.1e-5, "all lie where digits are lost"
assert (65_536 * exact[exact != 0].abs() > 6.1e-5).float().mean() > 0.8, "most"
assert lost["scaled"] < 0.35 * lost["plain"], "scaling saves most"
assert errors["scaled"] < 0.3 * errors["plain"], "closer"

# %%
# :class:`torch.amp.GradScaler` finds the scale by trial and error. It begins
# with 65,536. ``scale`` multiplies the loss, and ``step`` divides the gradients
# and calls the optimizer. If the scale was too large, a gradient overflows to
# infinity. Then ``step`` leaves the weights alone, and ``update`` halves the
# scale. After 2,000 good steps in a row, it doubles it. Here the gradient of
# the weight is 3:

weight = torch.tensor(1.0, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.1)
scaler = torch.amp.GradScaler("cpu")
for _ in range(4):
    loss = (weight.to(torch.float16) * 3).float()
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    gradient = weight.grad.item()
    scaler.step(optimizer)
    scaler.update()
    scale = scaler.get_scale()
    print(f"{gradient:5.0f}  weight {weight.item():.1f}  scale {scale:.0f}")

# %%
# Two steps are skipped, because 65,536 · 3 and 32,768 · 3 are more than 65,504,
# the largest ``float16``.

# %%
# .. check::

assert scaler.get_scale() == 16_384, "halved twice"
assert abs(weight.item() - 0.4) < 1e-3, "two steps of 0.3, and two skipped"

# %%
# What goes wrong
# ---------------
# Gradient clipping (:doc:`/lessons/architectures/08_lstm`) comes between
# ``backward()`` and ``step``. There the gradients are still scaled. We clip
# the gradient (30, 40), whose norm is 50, to 1. With a learning rate of 1, the
# step should have the length 1.

norms = []
lengths = []
for first in ["clip", "unscale"]:
    pair = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([pair], lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024)
    loss = (pair * torch.tensor([30.0, 40.0])).sum()
    scaler.scale(loss).backward()
    if first == "unscale":
        scaler.unscale_(optimizer)
    norms.append(nn.utils.clip_grad_norm_([pair], max_norm=1.0).item())
    scaler.step(optimizer)
    lengths.append(pair.detach().norm().item())
    print(f"{first} first: norm {norms[-1]:.0f}, step {lengths[-1]:.5f}")

# %%
# Clipped first, the step is 1,024 times too short, because ``step`` divides the
# clipped gradient by 1,024. There is no error. ``unscale_`` divides before, and
# ``step`` then knows that it was done.

# %%
# .. check::

assert abs(norms[1] - 50) < 1e-3, "the true norm"
assert abs(lengths[1] - 1) < 1e-5, "a step of 1"
assert abs(1024 * lengths[0] - 1) < 1e-3, "1,024 times too short"

# %%
# Recipe
# ------
# This loop combines autocast, accumulation
# (:doc:`/lessons/autograd/02_accumulation`) and clipping. ``bfloat16`` has a
# large range, so the ``GradScaler`` is switched off, and ``step`` only calls
# the optimizer. On an NVIDIA GPU, first ask
# ``torch.cuda.is_bf16_supported(including_emulation=False)``.

import torch
from torch import nn
from torch.nn.functional import cross_entropy

device = "cpu"
if torch.accelerator.is_available():
    device = str(torch.accelerator.current_accelerator())  # such as "cuda"
dtype = torch.bfloat16  # or torch.float16

torch.manual_seed(0)
features = torch.randn(601, 20).to(device)  # put your data here
labels = features[:, :4].argmax(dim=1)  # four classes
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 4))
model.to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
scaler = torch.amp.GradScaler(device, enabled=dtype == torch.float16)

# %%
# Each batch of 128 goes through the network in parts of 32:

for _ in range(60):
    chosen = torch.randperm(500, device=device)[:128]
    optimizer.zero_grad()
    for part in chosen.split(32):
        with torch.autocast(device, dtype=dtype):
            outputs = model(features[part])
            loss = cross_entropy(outputs, labels[part], reduction="sum")
        scaler.scale(loss / len(chosen)).backward()
    scaler.unscale_(optimizer)  # once, after the last part
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    scaler.step(optimizer)
    scaler.update()

# %%
# We judge on 100 held-out examples, and the last example plays the new one:

model.eval()
with torch.no_grad(), torch.autocast(device, dtype=dtype):
    answers = model(features[500:]).argmax(dim=1)
held_right = (answers == labels[500:])[:100].float().mean().item()
print(f"held out: {held_right:.0%} right")
print("new example:", answers[100].item(), "true class:", labels[600].item())

# %%
# .. check::

assert held_right > 0.7, "it has learned"

# %%
# What you learned
# ----------------
# - ``bfloat16`` lacks digits, so small steps of a weight are lost. ``float16``
#   lacks range, so small gradients become 0.
# - Autocast keeps the weights and their gradients in ``float32``. The products,
#   and the gradients between layers, have 16 bits.
# - ``float16`` needs a ``GradScaler``. Call ``unscale_`` before you clip.
#
# Exercises
# ---------
# 1. **Predict.** A ``bfloat16`` weight of 1 takes 100 steps of 0.003. Between
#    0.5 and 1, the numbers are 1/256 apart. Where does it arrive?
# 2. **Change.** Fine-tune twice as long at the rate 0.0001. Do the
#    ``bfloat16`` networks catch up with ``float32``?
# 3. **Extend.** Test whether the weights alone explain what was lost. Train in
#    ``float32``, but after each step round the weights to ``bfloat16``, at the
#    rate 0.0001.

# %%
# .. answer:: 1
#
#    0.003 is more than half of 1/256, so each step is rounded to a full 1/256.
#    The weight arrives at 1 − 100/256, and not at 0.7.

weight = torch.tensor(1.0, dtype=torch.bfloat16)
for _ in range(100):
    weight -= 0.003
print(weight.item(), 1 - 100 / 256)

# %%
# .. check::

assert weight == 1 - 100 / 256, "a full 1/256 each time"

# %%
# .. answer:: 2
#
#    No, they fall further behind. A step that is rounded away leaves no trace,
#    however many there are.

longer = torch.zeros(2, 5)
for seed, base in enumerate(bases):
    copies = [copy.deepcopy(base), copy.deepcopy(base).bfloat16()]
    torch.manual_seed(seed + 10)
    learn(copies[0], images, digits, lr=0.0001, steps=160)
    torch.manual_seed(seed + 10)
    learn(copies[1], images.bfloat16(), digits, lr=0.0001, steps=160)
    longer[0, seed] = accuracy(copies[0], moved_test, test.y)
    longer[1, seed] = accuracy(copies[1], moved_test, test.y)
lag = 100 * (longer[0] - longer[1])
print(f"80 steps:  {-differences[2, 0].mean():.1f} points behind")
print(f"160 steps: {lag.mean():.1f} points behind")

# %%
# .. check::

assert lag.mean() > 0.5 - differences[2, 0].mean(), "further behind"

# %%
# .. answer:: 3
#
#    At this rate they do. As much is lost as with everything in ``bfloat16``.

after = torch.zeros(5)
for seed, base in enumerate(bases):
    torch.manual_seed(seed + 10)
    net = copy.deepcopy(base)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.0001)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 80)
    for _ in range(80):
        i = torch.randint(len(images), (64,))
        loss = cross_entropy(net(images[i]), digits[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.copy_(parameter.bfloat16())
    after[seed] = accuracy(net, moved_test, test.y)

# %%

lost_points = 100 * (right[0, 0] - after).mean()
print(f"rounded weights: {lost_points:.1f} points behind")
print(f"all bfloat16:    {-differences[2, 0].mean():.1f} points behind")

# %%
# .. check::

assert abs(lost_points + differences[2, 0].mean()) < 0.7, "as much is lost"
