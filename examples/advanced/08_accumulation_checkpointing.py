"""
Accumulation and checkpointing
==============================

How do you take a training step that does not fit into memory?

A smaller batch or a smaller network would fit, but then you train something
else. There are two ways to take the same step in less memory. *Gradient
accumulation* computes one part of the batch after the other, and *activation
checkpointing* (or *gradient checkpointing*) computes some results twice instead
of keeping them. Both give the same gradient. But if you divide the losses of
the parts by the wrong number, no error is raised.

After this lesson you can

- split a batch of texts of different lengths, and get the same gradient
- trade computing time for memory with ``checkpoint``, and measure both
- find a wrong division by comparing gradients
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from handbook import SavedMemory, datasets, models

torch.manual_seed(0)

# %%
# Parts of different size
# -----------------------
# In :doc:`/lessons/autograd/02_accumulation` we split a batch into four equal
# parts, and divided each loss by 4. What if the parts are not equal? We take
# eight points of y = 2x, and a model ``w * x`` with w = 0.

x = torch.arange(1.0, 9.0)
y = 2 * x
w = torch.tensor(0.0, requires_grad=True)

loss = ((w * x - y) ** 2).mean()
loss.backward()
print(f"whole batch: {w.grad.item():.1f}")

# %%
# Now in parts of 3, 3 and 2 points. Such a part is called a
# :term:`micro-batch`. As before, we divide the mean loss of each part by the
# number of parts:

w.grad = None
for x_part, y_part in zip(x.split(3), y.split(3), strict=True):
    loss = ((w * x_part - y_part) ** 2).mean()
    (loss / 3).backward()
thirds = w.grad.item()
print(f"mean, divided by 3: {thirds:.1f}")

# %%
# This gradient is different. Each part counts for a third, so each of the last
# two points counts for a sixth instead of an eighth. So we add up the losses of
# a part, and divide by the number of points in the *whole* batch. Then the
# parts may have any size.

w.grad = None
for x_part, y_part in zip(x.split(3), y.split(3), strict=True):
    loss = ((w * x_part - y_part) ** 2).sum()
    (loss / 8).backward()
eighths = w.grad.item()
print(f"sum, divided by 8:  {eighths:.1f}")

# %%
# .. check::

assert ((0 * x - y) * 2 * x).mean() == -102, "the whole batch"
assert abs(thirds + 115.8) < 0.05, "another gradient"
assert eighths == -102, "the gradient of the whole batch"

# %%
# On real data
# ------------
# Parts with the same number of examples can still have different numbers of
# targets. We take 32 Tang poems, and a GPT that guesses the next character, as
# in :doc:`/lessons/applications/08_gpt`.

texts = []
for poem in datasets.poems():
    if len(poem.text) <= 64:
        texts.append(poem.text)
characters = sorted(set("".join(texts)))
codes = {character: i for i, character in enumerate(characters)}
rows = []
for text in texts[:32]:
    rows.append(torch.tensor([codes[character] for character in text]))
print("lengths:", [len(row) for row in rows[:8]])

# %%
# ``pad_sequence`` gives all rows the same length. The targets are filled up
# with −100, which ``cross_entropy`` leaves out. (The inputs are filled up with
# 0. A GPT only looks back, so no real character sees this padding after the
# text.)

inputs = pad_sequence([row[:-1] for row in rows], batch_first=True)
targets = pad_sequence(
    [row[1:] for row in rows], batch_first=True, padding_value=-100
)
total = (targets != -100).sum().item()
print("batch:", tuple(inputs.shape), " real targets:", total)
print("in parts:", [(part != -100).sum().item() for part in targets.chunk(4)])

# %%
# The loss is the mean over the 1,574 real targets, and each part has a
# different number of them. The network is a small GPT of eight blocks:

model = models.Transformer(
    len(characters),
    max_length=64,
    width=64,
    blocks=8,
    is_causal=True,
    dropout=0.1,
)
weights = list(model.parameters())
existing = [inputs, targets]
existing.extend(weights)

# %%
# ``accumulate`` computes the gradient in parts. It also measures the most that
# autograd keeps for the backward pass of a part
# (:doc:`/lessons/autograd/05_graph_memory`), apart from the tensors in
# ``existing``.


def accumulate(parts, reduction="sum", divisor=total):
    torch.manual_seed(1)  # the same dropout in each call
    model.zero_grad()
    largest = 0
    pairs = zip(inputs.chunk(parts), targets.chunk(parts), strict=True)
    for x_part, y_part in pairs:
        with SavedMemory(exclude=existing) as saved:
            logits = model(x_part).flatten(0, 1)
            loss = cross_entropy(logits, y_part.flatten(), reduction=reduction)
        largest = max(largest, saved.nbytes / 1e6)
        (loss / divisor).backward()
    gradient = torch.cat([weight.grad.flatten() for weight in weights])
    return gradient, largest


# %%
# To compare, we turn dropout off with ``eval()``, because in parts it would
# zero different values. The error is the length of the difference, relative to
# the gradient of the mean loss of the whole batch.

model.eval()
whole, whole_kept = accumulate(parts=1, reduction="mean", divisor=1)
megabytes = []
errors = []
for parts in [1, 4, 16]:
    gradient, kept = accumulate(parts)
    error = ((gradient - whole).norm() / whole.norm()).item()
    print(f"{parts:2} parts: {kept:4.1f} MB, error {error:.0e}")
    megabytes.append(kept)
    errors.append(error)

# %%
# Autograd keeps a quarter, then a sixteenth, and the gradient is the same
# except for rounding. Now the mean of each part, divided by the number of
# parts:

gradient, _ = accumulate(parts=4, reduction="mean", divisor=4)
mean_error = ((gradient - whole).norm() / whole.norm()).item()
print(f"mean of means: error {mean_error:.1%}")

# %%
# Here the error is a few percent. So divide by the number of targets, which are
# characters in a text and pixels in a segmentation.

# %%
# .. check::

assert total == 1574, "real targets"
assert 3.9 < whole_kept / megabytes[1] < 4.1, "a quarter of the memory"
assert 15 < whole_kept / megabytes[2] < 17, "a sixteenth"
assert max(errors) < 1e-5, "the same gradient except for rounding"
assert 0.02 < mean_error < 0.06, "a few percent"

# %%
# Activation checkpointing
# ------------------------
# What if even a single example is too large, for example a long text? Then we
# have to keep less of it. Autograd mostly keeps the results between the layers,
# which are called *activations*. With :term:`activation checkpointing
# <activation checkpointing>` they are not kept, but computed again.
#
# We begin with eight sines in a row. The slope of a sine is the cosine of its
# input, so autograd keeps the input of each. ``calls`` counts how often the
# function is called.

start = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
calls = []


def four_sines(h):
    calls.append("four sines")
    for _ in range(4):
        h = h.sin()
    return h


with SavedMemory(exclude=[start]) as saved:
    result = four_sines(four_sines(start)).sum()
plain_kept = saved.nbytes
result.backward()
plain_grad = start.grad
plain_calls = len(calls)
print("kept:", plain_kept, "bytes, calls:", plain_calls)

# %%
# ``start`` exists anyway, which leaves seven inputs of 12 bytes.
# :func:`checkpoint(four_sines, h) <torch.utils.checkpoint.checkpoint>` computes
# the same as ``four_sines(h)``, but of the inputs it keeps only ``h``. (It also
# keeps the state of the random generator, about 5 kB, which we do not count.)
# When the backward pass arrives there, the function runs a second time. (Always
# write ``use_reentrant=False``. With ``True``, the weights of a segment get no
# gradient if its input needs none, and the input in the recipe below needs
# none.)

calls.clear()
start.grad = None
with SavedMemory(exclude=[start]) as saved:
    middle = checkpoint(four_sines, start, use_reentrant=False)
    result = checkpoint(four_sines, middle, use_reentrant=False).sum()
less_kept = saved.nbytes
result.backward()
print("kept:", less_kept, "bytes, calls:", len(calls))
print("same gradient:", torch.equal(start.grad, plain_grad))

# %%
# Of the seven inputs only ``middle`` was kept, and each half was called twice.
# Such a half is a *segment*. While a segment runs again, the inputs of its
# sines are kept for a moment, in addition to what the forward pass kept.

# %%
# .. check::

assert plain_kept == 7 * 12, "seven inputs"
assert plain_calls == 2, "two halves"
assert less_kept == 12, "only the middle"
assert len(calls) == 4, "each half twice"
assert torch.equal(start.grad, plain_grad), "the same gradient"

# %%
# In a network
# ------------
# In the GPT, each block becomes such a segment. ``Recomputed`` wraps a block,
# and counts its calls:


class Recomputed(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def counted(self, x, mask):
        calls.append("block")
        return self.block(x, mask)

    def forward(self, x, mask=None):
        return checkpoint(self.counted, x, mask, use_reentrant=False)


# %%
# We leave dropout on, and begin without the wrapper.

model.train()
whole, whole_kept = accumulate(parts=1)
in_parts, parts_kept = accumulate(parts=4)

# %%
# Then with the wrapper. (It changes the names in the ``state_dict``, from
# ``blocks.0`` to ``blocks.0.block``.)

model.blocks = nn.ModuleList([Recomputed(block) for block in model.blocks])
calls.clear()
again, again_kept = accumulate(parts=1)
block_calls = len(calls)
both, both_kept = accumulate(parts=4)
print("calls of the 8 blocks:", block_calls)
print("whole batch, same gradient:", torch.equal(again, whole))
print("four parts, same gradient: ", torch.equal(both, in_parts))

# %%
# How much is kept by the loss, which is not wrapped?

logits = torch.randn(inputs.numel(), len(characters), requires_grad=True)
with SavedMemory(exclude=[logits, targets]) as saved:
    loss = cross_entropy(logits, targets.flatten(), reduction="sum")
loss_kept = saved.nbytes / 1e6
print(f"loss: {loss_kept:.1f} of {again_kept:.1f} MB")

# %%
# .. alt:: Four bars, what the forward pass keeps for backward in MB: whole
#    batch 87, four parts 22, checkpointed 16, both together 4.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.8, 2.4), layout="constrained")
names = ["whole batch", "four parts", "checkpointed", "both"]
bars = axis.barh(names, [whole_kept, parts_kept, again_kept, both_kept])
axis.bar_label(bars, fmt="%.0f", padding=3)
axis.invert_yaxis()
axis.set(xlabel="kept for backward (MB)", xlim=(0, 100))

# %%
# With checkpointing, the forward pass keeps less than a fifth, and together
# with four parts less than a twentieth. Of the 16 MB, 11 belong to the loss,
# and the rest fell from 76 MB to 5. (The peak of a whole step is higher,
# because the backward pass needs memory of its own.)
#
# On this processor, the gradient is equal to the last bit, even with dropout:
# ``checkpoint`` restores the state of the random generator before it runs a
# block again. The price is a second forward pass through the blocks.
#
# Accumulation computes nothing twice, so begin with it, in large parts, because
# a GPU is slower with small ones. Add checkpointing when that is not enough.
# Where the weights and the optimizer's state fill the memory, neither helps.

# %%
# .. check::

assert torch.equal(again, whole), "equal to the last bit"
assert torch.equal(both, in_parts), "in parts, too"
assert 86 < whole_kept < 88, "87 MB"
assert 21 < parts_kept < 22.5, "22 MB"
assert 15.5 < again_kept < 16.5, "16 MB"
assert 10.5 < loss_kept < 11.5, "11 of them belong to the loss"
assert 75.5 < whole_kept - loss_kept < 76.5, "the rest was 76 MB"
assert 4.5 < again_kept - loss_kept < 5.5, "and is 5 MB"
assert whole_kept > 5 * again_kept, "less than a fifth"
assert whole_kept > 20 * both_kept, "less than a twentieth"
assert block_calls == 16, "a second forward pass through the blocks"

# %%
# What goes wrong
# ---------------
# What if you forget the division altogether? ``test_loss`` trains a small
# network for 100 steps of 64 images, and divides the mean loss of each part by
# ``divisor``.

train, test = datasets.mnist()

# %%


def test_loss(parts, divisor, lr, make_optimizer=torch.optim.SGD):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    optimizer = make_optimizer(net.parameters(), lr=lr)
    for _ in range(100):
        chosen = torch.randint(len(train.x), (64,))
        optimizer.zero_grad()
        for part in chosen.chunk(parts):
            loss = cross_entropy(net(train.x[part]), train.y[part])
            (loss / divisor).backward()
        optimizer.step()
    with torch.no_grad():
        return cross_entropy(net(test.x), test.y).item()


# %%

divided = []
forgotten = []
for parts in [1, 2, 4]:
    right_loss = test_loss(parts, divisor=parts, lr=0.1)
    wrong_loss = test_loss(parts, divisor=1, lr=0.1)
    print(f"parts: {parts}, divided: {right_loss:.3f}, not: {wrong_loss:.3f}")
    divided.append(right_loss)
    forgotten.append(wrong_loss)

larger_rate = test_loss(1, divisor=1, lr=0.4)
print(f"parts: 1, rate 0.4:       {larger_rate:.3f}")

# %%
# Without the division, the loss even looks better. But with four parts, the
# gradient is four times as large, and so is the step of SGD. Four times the
# rate gives the same loss. For 100 steps, 0.1 was too small. With 0.5, the
# training here works only if you divide:

fast = test_loss(4, divisor=4, lr=0.5)
too_fast = test_loss(4, divisor=1, lr=0.5)
print(f"rate 0.5, parts: 4, divided: {fast:.3f}, not: {too_fast:.3f}")

# %%
# To find such a mistake, **compare the gradient of one step with that of the
# mean loss of the whole batch**, as with the poems. Turn dropout off, and take
# very unequal parts, because equal ones hide a mean of means.

# %%
# .. check::

assert max(divided) - min(divided) < 0.001, "the parts change nothing"
assert forgotten[2] < divided[2] - 0.1, "it looks better"
assert abs(forgotten[2] - larger_rate) < 0.001, "as with rate 0.4"
assert too_fast > fast + 0.7, "training works only if divided"

# %%
# Contrastive losses and :term:`batch normalization <batch normalization>` mix
# the examples, so in parts they compute something else. (With class weights,
# divide by the sum of the weights of all targets.) The batch below has mean 10,
# so one update moves the running mean from 0 to 1. Two parts update it twice,
# and so does ``checkpoint``:

norm = nn.BatchNorm1d(1)
batch = torch.tensor([[9.0], [11.0], [8.0], [12.0]])
norm(batch)
once = norm.running_mean.item()

norm.reset_running_stats()
for part in batch.chunk(2):
    norm(part)
halves = norm.running_mean.item()

norm.reset_running_stats()
result = checkpoint(norm, batch, use_reentrant=False)
(result**2).sum().backward()
twice = norm.running_mean.item()
print(f"once: {once:.1f}, two parts: {halves:.1f}, checkpointed: {twice:.1f}")

# %%
# .. check::

assert abs(once - 1) < 1e-5, "from 0 to 1"
assert abs(halves - 1.9) < 1e-5, "updated once per part"
assert abs(twice - 1.9) < 1e-5, "updated twice"

# %%
# Recipe
# ------
# Both together, with parts of 48, 48 and 32. Some targets are missing, so count
# the others first. (With a loader, collect the parts of a step before that.)
# Clip the gradient once per step, before ``optimizer.step()``, and step the
# scheduler once, after it.

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)
features = torch.randn(601, 20)
labels = features[:, :4].argmax(dim=1)  # four classes
labels[:500:5] = -100  # missing
body = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.1))
head = nn.Linear(64, 4)
network = nn.Sequential(body, head)
optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)

# %%
# Train:

for _ in range(40):
    chosen = torch.randperm(500)[:128]
    count = (labels[chosen] != -100).sum()
    optimizer.zero_grad()
    for part in chosen.split(48):
        hidden = checkpoint(body, features[part], use_reentrant=False)
        loss = nn.functional.cross_entropy(
            head(hidden), labels[part], reduction="sum"
        )
        (loss / count).backward()  # the targets of the whole batch
    optimizer.step()

# %%
# Judge on 100 other examples, and guess one more, which is new:

network.eval()
with torch.no_grad():
    guesses = network(features[500:]).argmax(dim=1)
right = (guesses[:100] == labels[500:600]).float().mean().item()
print(f"held out: {right:.0%} right")
print(f"new example: {guesses[100]}, true {labels[600]}")

# %%
# .. check::

assert right > 0.7, "it learns"

# %%
# What you learned
# ----------------
# - Add up the losses of a part, and divide by the number of targets in the
#   whole batch.
# - ``checkpoint`` keeps the input of a segment and computes the rest again. The
#   gradient is the same, and the price is a second forward pass.
# - To find a wrong division, compare the gradient of one step with that of the
#   mean loss of the whole batch, in very unequal parts.
# - Batch normalization computes something else in parts, and ``checkpoint``
#   updates its running mean twice.
#
# Exercises
# ---------
# 1. **Predict.** Split the eight points at the beginning into parts of 4 and 4,
#    and forget the division of the two means by 2. What is the gradient? What
#    is it for eight parts of one point?
# 2. **Change.** Compute the column "not" again, with ``AdamW`` and rate 0.003.
#    Why does the loss show nothing?
# 3. **Extend.** Compute sixteen sines in segments of 1, 2, 4, 8 and 16. Add up
#    what the forward pass keeps, and what one segment keeps while it runs
#    again. Which length needs the least?

# %%
# .. answer:: 1
#
#    The sum of the means is the number of parts times the gradient of the whole
#    batch: −204 for two parts, and −816 for eight.

for size in [4, 1]:
    w.grad = None
    for x_part, y_part in zip(x.split(size), y.split(size), strict=True):
        loss = ((w * x_part - y_part) ** 2).mean()
        loss.backward()
    print(f"parts of {size}: {w.grad.item():.0f}")

# %%
# .. check::

assert w.grad == -816, "eight times as large"

# %%
# .. answer:: 2
#
#    Adam divides the gradient by the usual size of the gradient, so a factor
#    that is always the same cancels. Without the division, the training is
#    still the same.

adam_losses = []
for parts in [1, 2, 4]:
    loss = test_loss(parts, 1, lr=0.003, make_optimizer=torch.optim.AdamW)
    adam_losses.append(loss)
    print(f"parts: {parts}, not divided: {loss:.3f}")

# %%
# .. check::

assert max(adam_losses) - min(adam_losses) < 0.005, "the same training"

# %%
# .. answer:: 3
#
#    Segments of 4 need the least, 3 inputs between the segments and 3 inside
#    one. With n layers in segments of k, there are about n/k between them and k
#    inside. The sum is smallest where both are equal, for k = √n.


def sines(h, count):
    for _ in range(count):
        h = h.sin()
    return h


sums = {}
for size in [1, 2, 4, 8, 16]:
    with SavedMemory(exclude=[start]) as between:
        h = start
        for _ in range(16 // size):
            h = checkpoint(sines, h, size, use_reentrant=False)
    kept_between = between.nbytes // 12  # three numbers of 4 bytes
    h.sum().backward()
    with SavedMemory(exclude=[start]) as inside:
        h = sines(start, size)
    sums[size] = kept_between + inside.nbytes // 12
print(sums)

# %%
# .. check::

assert sums == {1: 15, 2: 8, 4: 6, 8: 8, 16: 15}, "least for 4"
