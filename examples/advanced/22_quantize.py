"""
Quantization
============

How few bits does a trained weight need, and what decides how much is lost?

A ``float32`` weight takes 4 bytes. A whole number of 8 bits takes one, so
weights rounded to such numbers need a quarter of the memory. That is
*quantization*, and done after training, as here, *post-training quantization*.

After this lesson you can

- quantize a weight matrix by hand, with one scale or with one per row
- quantize a model with torchao, and measure its size, accuracy and speed
- find out which layers were quantized
"""

# %%
# Setup
# -----

import copy
import io
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torchao.quantization import (
    Int8DynamicActivationInt8WeightConfig,
    Int8Tensor,
    Int8WeightOnlyConfig,
    quantize_,
)
from torchvision.models import mobilenet_v2

from handbook import datasets

torch.manual_seed(0)

# %%
# One scale, or one per row
# -------------------------
# An ``int8`` is a whole number (an *integer*) from −128 to 127
# (:doc:`/lessons/tensors/03_number_types`). We divide our weights by a number,
# the *scale*, so that the largest in size becomes 127 or −127, and round. To
# get weights back, to *dequantize* them, we multiply by the scale.

weights = torch.tensor([0.1, 0.2, -0.3, 0.4])
scale = weights.abs().max() / 127
whole = (weights / scale).round().to(torch.int8)
restored = whole * scale
print(whole.tolist())
print([round(weight, 3) for weight in restored.tolist()])

# %%
# Rounding moves a weight by at most half the scale. But now let one weight be
# an *outlier*, far larger than the others:

with_outlier = torch.tensor([0.1, 0.2, -0.3, 100.0])
scale = with_outlier.abs().max() / 127
lost = (with_outlier / scale).round().to(torch.int8)
print(lost.tolist())

# %%
# The scale is so large now that the other three become 0. When a whole matrix
# has one scale (*per tensor*), an outlier does much the same to all other rows.
# Each row of a weight matrix computes one output of the layer. So each row gets
# its own scale, called *per row* or *per channel*. The small weights of the
# second row are still lost, but the first row keeps its whole numbers.

matrix = torch.stack([weights, with_outlier])
scale = matrix.abs().max() / 127
scales = matrix.abs().amax(dim=1, keepdim=True) / 127  # (2, 1)
with_one = (matrix / scale).round().to(torch.int8)
with_two = (matrix / scales).round().to(torch.int8)
print("per tensor:", with_one.tolist())
print("per row:   ", with_two.tolist())

# %%
# .. check::

assert whole.tolist() == [32, 64, -95, 127], "whole numbers"
assert (restored - weights).abs().max() < 0.0016 + 1e-6, "half the scale"
assert lost.tolist() == [0, 0, 0, 127], "the others become 0"
assert with_one[0].tolist() == [0, 0, 0, 1], "much the same"
assert with_two[0].tolist() == [32, 64, -95, 127], "as on its own"
assert with_two[1].tolist() == [0, 0, 0, 127], "still lost"

# %%
# ``quantize_``
# -------------
# The library torchao quantizes PyTorch models. Its function ``quantize_``
# changes a model in place, and a *config* says how. ``Int8WeightOnlyConfig``
# stores the weights of linear layers as ``int8``, with one scale per row. The
# inputs of the layers stay ``float32``, so this is called *weight-only*.

layer = nn.Linear(4, 2)
with torch.no_grad():
    layer.weight.copy_(matrix)
quantize_(layer, Int8WeightOnlyConfig())
weight = layer.weight
print(weight.qdata.tolist())
print([round(scale, 4) for scale in weight.scale.flatten().tolist()])

# %%
# ``qdata`` holds the whole numbers. torchao divides the largest weight by
# 127.5, so some of them differ from ours by 1. But the weight itself reports
# something else:

held = weight.qdata.nbytes + weight.scale.nbytes
print(type(weight).__name__, weight.dtype)
print(f"nbytes says {weight.nbytes}, qdata and scale have {held}")

# %%
# An ``Int8Tensor`` reports the ``dtype`` and ``nbytes`` of the ``float32``
# weight that it replaces. To know the real size, add up ``qdata`` and
# ``scale``, or save the model to a file. We check what the layer computes:

x = torch.randn(3, 4)
products = x @ weight.qdata.float().T * weight.scale.flatten()
print("the same:", torch.allclose(layer(x), products + layer.bias))

# %%
# Each call turns the whole numbers into ``float32`` before it multiplies. With
# ``Int8DynamicActivationInt8WeightConfig``, whole numbers are multiplied with
# whole numbers. For this, each call quantizes ``x``, with one scale per row,
# taken from the row's number that is largest in size. That is *dynamic*
# quantization.

# %%
# .. check::

assert (weight.qdata - with_two).abs().max() == 1, "they differ by one"
assert abs(weight.scale[0].item() - 0.4 / 127.5) < 1e-6, "127.5"
assert weight.nbytes == 32, "four bytes a weight"
assert weight.qdata.nbytes == 8, "one byte a weight"
assert weight.dtype == torch.float32, "it says float32"
assert torch.allclose(layer(x), products + layer.bias), "the same"

# %%
# On real data
# ------------
# We train five networks to read digits, and leave out the last 1,000 training
# images, as a :term:`validation set`.

train, test = datasets.mnist()


def train_network(seed):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(),
        nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.003)
    for _ in range(300):
        i = torch.randint(9000, (64,))
        loss = nn.functional.cross_entropy(net(train.x[i]), train.y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


# %%

nets = [train_network(seed) for seed in range(5)]

# %%
# We compare ``float32`` with the two configs: the size of the saved file, and
# the right answers on 2,000 test images.


def kilobytes(net):
    file = io.BytesIO()  # a file in memory
    torch.save(net.state_dict(), file)
    return len(file.getvalue()) / 1000


def answers(net, x):
    with torch.no_grad():
        return net(x).argmax(dim=1)


def accuracy(net, x, y):
    return 100 * (answers(net, x) == y).float().mean()


# %%
# Some processors add up ``int8`` products in 16 bits and cut off large sums
# without an error. ``reduce_range=True`` uses only 7 of the 8 bits, for weights
# and inputs, which `prevents this <https://github.com/pytorch/ao/pull/4266>`__.
# We set it for the same output everywhere.
# ``torchao.utils.should_reduce_range`` says whether your processor needs it.

configs = {
    "weight-only": Int8WeightOnlyConfig(),
    "dynamic": Int8DynamicActivationInt8WeightConfig(reduce_range=True),
}
sizes = {"float32": kilobytes(nets[0])}
right = {"float32": [accuracy(net, test.x, test.y) for net in nets]}
changes = {"float32": 0}

# %%

for name, config in configs.items():
    right[name] = []
    changes[name] = 0
    for net in nets:
        small = copy.deepcopy(net)
        quantize_(small, config)
        sizes[name] = kilobytes(small)
        right[name].append(accuracy(small, test.x, test.y))
        changed = answers(small, test.x) != answers(net, test.x)
        changes[name] += changed.sum().item()

# %%
# After ± comes the standard deviation over the five networks, and at the end of
# the line, how many of their 10,000 answers changed.

for name, size in sizes.items():
    values = torch.stack(right[name])
    print(f"{name:11} {size:.0f} KB", end="")
    print(f"  {values.mean():.1f} ± {values.std():.1f} %", end="")
    print(f"  changed: {changes[name]}")

# %%
# The file shrinks to about a quarter, and hardly any answer changes.

# %%
# .. check::

assert 0.24 < sizes["weight-only"] / sizes["float32"] < 0.28, "a quarter"
assert 0.24 < sizes["dynamic"] / sizes["float32"] < 0.28, "a quarter"
assert changes["weight-only"] < 50, "hardly any answer changes"
assert changes["dynamic"] < 50, "hardly any answer changes"

# %%
# Fewer bits
# ----------
# 4 bits are enough for whole numbers from −7 to 7 (we leave out −8, so that
# both signs are alike), 3 bits for −3 to 3, and 2 bits for −1, 0 and 1. To see
# what fewer bits do, we only round the weights and keep them in ``float32``
# (*fake quantization*). ``modules`` goes through all parts of the network. With
# a ``share`` of 1, the scale comes from the largest weight.


def rounded(net, bits, way, share=1.0):
    net = copy.deepcopy(net)
    top = 2 ** (bits - 1) - 1  # 127 for 8 bits
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            weight = layer.weight.detach()  # the layer's own memory
            largest = weight.abs().amax()
            if way == "per row":
                largest = weight.abs().amax(dim=1, keepdim=True)
            scale = share * largest / top
            whole = (weight / scale).round().clamp(-top, top)
            weight.copy_(whole * scale)
    return net


# %%

ways = ["per tensor", "per row"]
few = torch.zeros(4, 2, 5)  # bits, way, network
for line, bits in enumerate([8, 4, 3, 2]):
    print(f"{bits} bits", end="")
    for place, way in enumerate(ways):
        for i, net in enumerate(nets):
            coarse = rounded(net, bits, way)
            few[line, place, i] = accuracy(coarse, test.x, test.y)
        values = few[line, place]
        print(f"  {way} {values.mean():.1f} ± {values.std():.1f}", end="")
    print()

# %%
# With 8 and 4 bits, both ways are about as good as ``float32``. With 2 bits,
# both lose much, because every weight smaller in size than half of the largest
# one (in the matrix or in its row) becomes 0. How many are these in the first
# layer?

zeros = []
for way in ways:
    first = rounded(nets[0], 2, way)[1]
    fraction = (first.weight == 0).float().mean().item()
    zeros.append(fraction)
    print(f"{way}: {fraction:.0%} became 0")

# %%
# So a smaller scale may work better. With a ``share`` below 1, fewer weights
# become 0, but ``clamp`` cuts off the largest ones. We try shares at 2 bits on
# the validation images. The figure shows how many answers are right, and
# ``float32`` as a dashed line.

shares = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
images = train.x[9000:]
digits = train.y[9000:]
valid = torch.zeros(2, 9, 5)  # way, share, network
for place, way in enumerate(ways):
    for column, share in enumerate(shares):
        for i, net in enumerate(nets):
            coarse = rounded(net, 2, way, share)
            valid[place, column, i] = accuracy(coarse, images, digits)

# %%
# .. alt:: Right answers at 2 bits over the share of the largest weight. Per
#    tensor, the line rises from about 15 at a share of 1 to above 90 at 0.4.
#    Per row, it rises from about 60 at 1 to above 90 at 0.5, and falls again
#    below 0.4, to about 84 at 0.2. A dashed line a little above both tops shows
#    float32.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
for way, values, style in zip(ways, valid, ["o-", "s-"], strict=True):
    mean = values.mean(dim=1)
    spread = values.std(dim=1)
    axis.errorbar(shares, mean, spread, fmt=style, capsize=3, label=way)
exact = torch.stack([accuracy(net, images, digits) for net in nets])
axis.axhline(exact.mean(), color="black", ls="--", label="float32")
axis.set(xlabel="share of the largest weight", ylabel="right (%)")
axis.grid(alpha=0.4)
axis.legend(loc="lower left")

# %%
# For each way, we take the ``share`` that did best on the validation images,
# and measure on the test images.

chosen = torch.zeros(2, 5)
for place, way in enumerate(ways):
    share = shares[valid[place].mean(dim=1).argmax()]
    for i, net in enumerate(nets):
        coarse = rounded(net, 2, way, share)
        chosen[place, i] = accuracy(coarse, test.x, test.y)
    values = chosen[place]
    print(f"{way:10} share {share}: {values.mean():.1f} ± {values.std():.1f}")
full = torch.stack(right["float32"])
print(f"float32: {full.mean():.1f} ± {full.std():.1f}")

# %%
# With a well-chosen scale, even 2 bits lose only about two points here, and one
# scale per tensor does about as well as one per row. But one scale per row
# withstands an outlier without any search (exercise 2).
#
# To store 4 bits on a GPU, torchao has ``Int4WeightOnlyConfig``, with one scale
# for each *group* of, say, 128 weights of a row. Another way to few bits is
# *quantization-aware training*, which trains through the rounding
# (:doc:`/lessons/autograd/08_straight_through`).

# %%
# .. check::

assert (few[:2].mean(dim=2) - full.mean()).abs().max() < 0.5, "as good"
assert (few[3].mean(dim=1) < full.mean() - 5).all(), "both lose much"
assert (few[3, 1] > few[3, 0]).all(), "per tensor loses more"
assert zeros[0] > 0.9, "most weights become 0"
assert zeros[0] > zeros[1], "per tensor, more weights become 0"
assert (full.mean() - chosen.mean(dim=1)).max() < 3, "about two points"
assert (chosen[0] - chosen[1]).mean().abs() < 2, "about as well"
assert valid.mean(dim=2).argmax(dim=1).max() < 8, "a smaller scale"

# %%
# Is it faster?
# -------------
# We time a layer with 1,024 inputs and outputs, once with a single example and
# once with a batch of 256, and keep the best of 20 calls.

linear = nn.Linear(1024, 1024)
layers = {"float32": linear}
for name, config in configs.items():
    layers[name] = copy.deepcopy(linear)
    quantize_(layers[name], config)

# %%

best = {}
for examples in [1, 256]:
    batch = torch.randn(examples, 1024)
    times = {name: [] for name in layers}
    for _ in range(20):
        for name, each in layers.items():
            start = time.perf_counter()
            with torch.no_grad():
                each(batch)
            times[name].append(time.perf_counter() - start)
    for name in layers:
        best[name, examples] = min(times[name])

# %%
# On one thread of our processor, both took longer than ``float32`` for a single
# example. Dynamic quantization took longest, since the work before and after
# the product takes longer than the product. For 256 examples, it was faster, as
# our processor has instructions for ``int8`` products, but weight-only was not.
# So weight-only saved memory, but no time.
#
# We did not compile (torchao's `quick start
# <https://docs.pytorch.org/ao/stable/quick_start.html>`__ does, with
# :func:`torch.compile`) and used no GPU, so print ``best`` on your own machine.

# %%
# .. check::

assert best["weight-only", 1] > 0.5 * best["float32", 1], "no time saved"
assert best["dynamic", 1] > 0.5 * best["float32", 1], "no time saved"
assert (
    torch.get_num_threads() > 1
    or not torch.cpu.get_capabilities().get("avx512_vnni")
    or best["dynamic", 256] < best["float32", 256]
), "dynamic is faster"

# %%
# What goes wrong
# ---------------
# By default, ``quantize_`` takes linear layers and passes over everything else.
# MobileNetV2 (:doc:`/lessons/advanced/01_transfer_learning`) consists of
# convolutions, and ends with one linear layer.

mobile = mobilenet_v2()
before = kilobytes(mobile)
quantize_(mobile, Int8WeightOnlyConfig())
kinds = (nn.Conv2d, nn.Linear)
found = [module for module in mobile.modules() if isinstance(module, kinds)]
reached = [one for one in found if isinstance(one.weight, Int8Tensor)]
print(f"{len(reached)} of {len(found)} layers are quantized")
print(f"{before / 1000:.1f} MB before, {kilobytes(mobile) / 1000:.1f} MB after")

# %%
# Without a warning, only one layer of 53 was quantized, and the file is far
# larger than a quarter. So count the layers that hold an ``Int8Tensor``, or
# compare the files. (``filter_fn`` chooses other layers, such as embeddings.
# For convolutions, see `torchao's page on PT2E
# <https://docs.pytorch.org/ao/stable/pt2e_quantization/index.html>`__.)

# %%
# .. check::

assert len(reached) == 1, "only one layer"
assert len(found) == 53, "of 53"
assert kilobytes(mobile) > 0.7 * before, "far larger than a quarter"

# %%
# Recipe
# ------
# Train as usual, and quantize at the end, since whole numbers get no gradient.

import copy
import io

import torch
from torch import nn
from torchao.quantization import Int8Tensor, Int8WeightOnlyConfig, quantize_

torch.manual_seed(0)
features = torch.randn(601, 20)  # put your data here
labels = features[:, :4].argmax(dim=1)  # four classes
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 4))
untrained = copy.deepcopy(model)

# %%

optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
for _ in range(60):
    chosen_rows = torch.randperm(500)[:128]
    outputs = model(features[chosen_rows])
    loss = nn.functional.cross_entropy(outputs, labels[chosen_rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Count what was quantized, and save it:

original = copy.deepcopy(model)
quantize_(model, Int8WeightOnlyConfig())
count = 0
for weight in model.parameters():
    count += isinstance(weight, Int8Tensor)
print("quantized:", count)
file = io.BytesIO()  # or the name of a file
torch.save(model.state_dict(), file)

# %%
# To load it, build the same model and load with ``assign=True``, so that the
# saved weights take the place of the model's own. The program that loads has to
# import torchao, too. We judge on 100 held-out examples, and the last example
# stands for a new one.

loaded = untrained
file.seek(0)
loaded.load_state_dict(torch.load(file), assign=True)
held_right = []
for each in [original, loaded]:
    with torch.no_grad():
        guesses = each(features[500:]).argmax(dim=1)
    hits = guesses[:100] == labels[500:600]
    held_right.append(hits.float().mean().item())
    print(f"{held_right[-1]:.0%} right, new example: {guesses[100].item()}")
print("true class:", labels[600].item())

# %%
# .. check::

assert count == 2, "both layers"
assert isinstance(loaded[0].weight, Int8Tensor), "replaced"
assert held_right[1] > 0.7, "the loaded model has learned"
assert abs(held_right[0] - held_right[1]) < 0.05, "as good as before"

# %%
# What you learned
# ----------------
# - Quantization stores whole numbers and a scale. The scale decides which
#   weights become 0 and which are cut off.
# - One scale per row keeps an outlier from harming the other rows.
# - With ``int8``, the file was about a quarter as large, and hardly any answer
#   changed. 4 bits did about as well as ``float32``, and 2 bits with a
#   well-chosen scale lost about two points.
# - On our processor, without compiling, weight-only saved no time, and dynamic
#   was faster only with many examples.
# - By default, ``quantize_`` passes over all but linear layers, without a
#   warning. Count the layers that it reached.
#
# Exercises
# ---------
# 1. **Predict.** Quantize 10, 20, −30 and 70 to 4 bits by hand, so that the
#    largest becomes 7. What if the last one is 700?
# 2. **Change.** The first pixel is black in all images, so its weights never
#    count. Set one of them to 100 in the first layer of a trained network, and
#    round to 8 bits, per tensor and per row.
# 3. **Extend.** How many of the numbers in
#    ``nn.TransformerEncoderLayer(64, 4, 256)`` does ``quantize_`` reach?

# %%
# .. answer:: 1
#
#    The scale is 10, so they become 1, 2, −3 and 7. With 700 it is 100, and the
#    others are rounded to 0.

results = []
for last in [70.0, 700.0]:
    numbers = torch.tensor([10.0, 20.0, -30.0, last])
    scale = numbers.abs().max() / 7
    results.append((numbers / scale).round().to(torch.int8).tolist())
print(results)

# %%
# .. check::

assert results[0] == [1, 2, -3, 7], "the scale is 10"
assert results[1] == [0, 0, 0, 7], "the others are rounded to 0"

# %%
# .. answer:: 2
#
#    In ``float32``, nothing changes. With one scale per tensor, all other
#    weights of the layer become 0, so every image gets the same answer. With
#    one per row, only one of 128 rows is harmed.

spoiled = copy.deepcopy(nets[0])
with torch.no_grad():
    spoiled[1].weight[0, 0] = 100.0
print(f"float32:    {accuracy(spoiled, test.x, test.y):.0f} % right")
became_0 = []
spoiled_right = []
for way in ways:
    coarse = rounded(spoiled, 8, way)
    fraction = (coarse[1].weight == 0).float().mean().item()
    became_0.append(fraction)
    spoiled_right.append(accuracy(coarse, test.x, test.y).item())
    print(f"{way:11} {spoiled_right[-1]:.0f} % right", end="")
    print(f", {fraction:.0%} became 0")

# %%
# .. check::

assert accuracy(spoiled, test.x, test.y) == right["float32"][0], "no change"
assert became_0[0] > 0.9999, "all other weights become 0"
assert len(answers(rounded(spoiled, 8, "per tensor"), test.x).unique()) == 1, (
    "the same answer for all"
)
assert spoiled_right[1] > right["float32"][0] - 1.5, "only one row"

# %%
# .. answer:: 3
#
#    About two thirds, the weights of the two linear layers behind the
#    attention. The attention keeps three of its matrices as one parameter that
#    belongs to no linear layer. The fourth belongs to a special linear layer,
#    which torchao passes over as well.

encoder = nn.TransformerEncoderLayer(64, 4, 256)
quantize_(encoder, Int8WeightOnlyConfig())
total = 0
numbers_reached = 0
for name, weight in encoder.named_parameters():
    total += weight.numel()
    if isinstance(weight, Int8Tensor):
        numbers_reached += weight.numel()
        print(name)
print(f"{numbers_reached:,} of {total:,}")

# %%
# .. check::

assert numbers_reached == 2 * 64 * 256, (
    "the two linear layers behind the attention"
)
assert 0.6 < numbers_reached / total < 0.7, "about two thirds"

# %%
# .. earlier::
#
#    Older notes call ``torch.ao.quantization.quantize_dynamic``, or prepare a
#    model with stubs and ``convert``. All of this is deprecated, and torchao
#    took its place (:doc:`/errata`).
