"""
Layers and shapes
=================

What does each layer do to a shape?

When a new network fails, the cause is often a shape that does not fit. Worse is one that fits by
accident. So here each kind of layer answers twice: with the shape that it makes, and with a fact
that you might not expect. How layers become a network stands in
:doc:`/lessons/networks/01_module`.
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from handbook import datasets, plots, summary

torch.manual_seed(0)
train, _ = datasets.mnist()
x, y = train.x[:64], train.y[:64]  # (64, 1, 28, 28), (64,)

# %%
# A network that fails
# --------------------
# It should read digits, and was written down quickly: a :term:`convolution` with ``padding=1``,
# which keeps the size; :term:`pooling`, which halves it; so 6 · 14 · 14 numbers for the last layer.
# :func:`handbook.summary` runs a model and notes what each layer does.

layers = [
    nn.Conv2d(1, 6, kernel_size=5, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
]
try:
    summary(nn.Sequential(*layers, nn.Linear(6 * 14 * 14, 10)), x)
except RuntimeError as error:
    print(error)
    assert "4 (Linear) failed" in str(error) and "64x1014 and 1176x10" in str(
        error
    )

# %%
# Read the two pairs from the left: 64 images came, with 1014 numbers each; the layer was made to
# turn 1176 into 10. So 1014 would run. But why 1014?

table = summary(nn.Sequential(*layers, nn.Linear(1014, 10)), x)
print(table)
assert table[0].output == (64, 6, 26, 26) and table[3].output == (
    64,
    6 * 13 * 13,
)

# %%
# The first line tells you: ``padding=1`` turned 28 into 26. We come back to that.
#
# .. _linear-is-affine:
#
# Linear
# ------
# :class:`torch.nn.Linear` changes the last :term:`axis`, and takes all axes before it for a batch.

linear = nn.Linear(28, 5)
print(
    "shape:",
    tuple(linear(x).shape),
    "  of zeros:",
    linear(torch.zeros(28)).detach(),
)
assert (
    linear(x).shape == (64, 1, 28, 5)
    and (linear(torch.zeros(28)) == linear.bias).all()
)

# %%
# A whole image is no error: each *row* of it gave 5 numbers. And the layer is not linear, for then
# zeros would give zeros: it adds its :term:`bias`, and is *affine*, unless you say ``bias=False``.
#
# .. _kernel-size-is-fixed:
# .. _one-sample-is-enough:
# .. _argument-names:
#
# Convolution
# -----------
# :class:`torch.nn.Conv2d` moves a window over the image. Wherever it stops, each output
# :term:`channel` multiplies what is there by its own :term:`kernel`, adds up, and adds its bias.

conv = nn.Conv2d(1, 6, kernel_size=5)
h = conv(x)  # (64, 6, 24, 24)
by_hand = (x[:, :, 3:8, 10:15] * conv.weight[2]).sum((1, 2, 3)) + conv.bias[2]
assert torch.allclose(
    h[:, 2, 3, 10], by_hand, atol=1e-5
)  # channel 2, row 3, column 10
print("learned:", {name: tuple(p.shape) for name, p in conv.named_parameters()})
print(
    "one image:",
    tuple(conv(x[0]).shape),
    " flattened:",
    tuple(nn.Flatten()(conv(x[0])).shape),
)
try:
    nn.Conv2d(1, 6, kernel_size=5, Stride=2)
except TypeError as error:
    print("TypeError:", error)
assert conv.weight.shape == (6, 1, 5, 5) and conv(x[0]).shape == (6, 24, 24)

# %%
# Three corrections to older notes. Training does not adjust the size of a kernel: you fix it, and
# its weights learn. One image needs no batch axis, but ``Flatten`` starts at axis 1, and then takes
# the channels for a batch. And names of arguments are case-sensitive.
#
# Every argument, drawn
# ---------------------
# Where does the window stop? :func:`handbook.plots.receptive_fields` runs a layer on an image with
# numbered cells and draws what it reads: its first window, orange, and its second, blue.
#
# .. alt:: Six grids of six by six numbered cells, with two windows of nine cells. Stride 2: they
#    share three; the last row and column are hatched. Dilation 2: the nine cells have gaps.
#    Padding 1, four times: a ring of zeros, of mirrored, of nearest, of opposite cells.

modes = ("zeros", "reflect", "replicate", "circular")
settings = [
    {"stride": 2},
    {"dilation": 2},
    *({"padding": 1, "padding_mode": m} for m in modes),
]
figure = plots.receptive_fields(
    *(nn.Conv2d(1, 1, 3, **options) for options in settings), size=6
)

# %%
# ``stride`` is the distance from window to window, ``dilation`` that from cell to cell in a window.
# ``padding`` puts cells around the image; ``padding_mode`` fills them with zeros, or with what is
# mirrored at the edge (``"reflect"``), nearest (``"replicate"``), or on the opposite side
# (``"circular"``). What is hatched is read by no window, and lost.
#
# The size, calculated
# --------------------
# Along an axis of :math:`n` cells, with kernel :math:`k`, stride :math:`s`, padding :math:`p` and
# dilation :math:`d`, one window fits, and one more for each stride in what is left beside it:
# :math:`\lfloor(n+2p-d(k-1)-1)/s\rfloor+1` in all. Is that always so? Try 500 random settings.


def size(n, k, s=1, p=0, d=1):
    return (n + 2 * p - d * (k - 1) - 1) // s + 1


for _ in range(500):
    k, s, d = (torch.randint(1, end, ()).item() for end in (8, 6, 4))
    n, p = (
        torch.randint(d * (k - 1) + 1, 40, ()).item(),
        torch.randint(0, k // 2 + 1, ()).item(),
    )
    for layer in (nn.Conv2d(1, 1, k, s, p, d), nn.MaxPool2d(k, s, p, d)):
        assert (
            layer(torch.zeros(1, n, n)).shape[1:] == (size(n, k, s, p, d),) * 2
        )
kept = [size(28, 3, p=1), size(28, 5, p=1), size(28, 3, s=2, p=1)]
print(
    "padding=1 makes of 28: kernel 3:",
    kept[0],
    " kernel 5:",
    kept[1],
    " stride 2:",
    kept[2],
)
assert (
    kept == [28, 26, 14]
    and nn.Conv2d(1, 6, 5, padding="same")(x).shape[2] == 28
)

# %%
# The formula held. With stride 1, :math:`p=d(k-1)/2`, if that is whole, keeps the size: 1 for a
# kernel of 3, but 2 for one of 5. With that stride, ``padding="same"`` calculates it for you.
#
# Groups
# ------
# Each output channel reads all input channels; with ``groups``, only those of its own group. The
# shape stays, the weights get fewer. This, too, is measured, by :term:`gradients <gradient>`.
#
# .. alt:: Three tables of output channels against input channels. Groups 1: all filled. Groups 2:
#    two blocks on the diagonal. Groups 4: each input feeds two outputs of its own.

figure = plots.channel_map(
    *(nn.Conv2d(4, 8, 3, groups=n) for n in (1, 2, 4)), ncols=3
)

# %%
# Pooling
# -------
# Pooling has windows too, but no weights, and by default a stride as long as its window. An
# *adaptive* layer is told the size of its *output* instead.

pools = [
    nn.MaxPool2d(2),
    nn.AvgPool2d(3),
    nn.AdaptiveAvgPool2d((7, 7)),
    nn.AdaptiveAvgPool2d(1),
]
for pool in pools:
    print(f"{type(pool).__name__:18}", tuple(pool(h).shape))
image = x[:1].clone().requires_grad_()
pools[0](image).sum().backward()
print(
    "MaxPool2d, pixels with a gradient:",
    image.grad.count_nonzero().item(),
    "of",
    image.numel(),
)
assert [pool(h).shape[3] for pool in pools] == [
    12,
    8,
    7,
    1,
] and image.grad.count_nonzero() == 196

# %%
# ``MaxPool2d`` hands its gradient to one pixel in four, even where all four are equal.
#
# Activations
# -----------
# An :term:`activation function` bends the numbers and leaves the shape alone. For learning its
# slope matters: on the way back, the gradient is multiplied by it.
#
# .. alt:: Six activation functions from −4 to 4, and their slopes. Sigmoid's slope is at most a
#    quarter, ReLU's 0 or 1; those of GELU and SiLU fall below 0 on the left and rise above 1.

z = torch.linspace(-4, 4, 401, requires_grad=True)
styles = {
    "ReLU": "-",
    "ELU": "--",
    "GELU": "-.",
    "SiLU": ":",
    "Tanh": "-",
    "Sigmoid": "--",
}
figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.6), layout="constrained")
slopes = {}
for name, style in styles.items():
    value = getattr(nn, name)()(z)  # (401,)
    (slopes[name],) = torch.autograd.grad(value.sum(), z)
    axes[0].plot(z.detach(), value.detach(), style, label=name)
    axes[1].plot(z.detach(), slopes[name], style)
axes[0].set(xlabel="input", ylabel="output", ylim=(-1.5, 4))
axes[1].set(xlabel="input", ylabel="slope")
figure.legend(loc="outside lower center", ncols=3)
assert (
    slopes["Sigmoid"].max() <= 0.25
    and slopes["GELU"].min() < 0 < 1 < slopes["GELU"].max()
)

# %%
# Ten sigmoids in a row multiply a gradient by ten slopes of at most 1/4, in all by less than a
# millionth. ReLU lets all of it pass, or, where its input is not above 0, nothing.
#
# .. _dropout-is-for-training:
#
# Normalization and dropout
# -------------------------
# :term:`Normalization <normalization>` shifts and scales numbers to mean 0 and variance 1;
# :term:`dropout` sets a share of them to zero. Both keep the shape. Show image 0 twice, the second
# time with fewer others in the batch: is the answer the same?

for layer in (
    nn.BatchNorm2d(6),
    nn.LayerNorm((6, 24, 24)),
    nn.GroupNorm(3, 6),
    nn.Dropout(0.2),
):
    moved = [
        (layer.train(on)(h)[0] - layer(h[:8])[0]).abs().max()
        for on in (True, False)
    ]
    print(
        f"{type(layer).__name__:11}  differs by {moved[0]:.2f}, after eval() by {moved[1]:.2f}"
    )
    assert (moved[0] > 0.01) == isinstance(
        layer, nn.BatchNorm2d | nn.Dropout
    ) and moved[1] < 1e-5
print(
    "dropout makes of 1:", nn.Dropout(0.2)(torch.ones(10_000)).unique().tolist()
)

# %%
# A module is in training mode until you call ``eval()``. Until then dropout answers at random, and
# enlarges what is left, so that the mean stays. And :term:`batch normalization` takes mean and
# variance of a channel over all images, so that each depends on the others; later it uses kept
# ones.
#
# Embedding
# ---------
# An :term:`embedding` turns each whole number into a row of its weights: one axis more.

embedding = nn.Embedding(10, 3)
vectors = embedding(y[:4])  # (4,) -> (4, 3)
vectors.sum().backward()
touched = embedding.weight.grad.any(1).nonzero().flatten().tolist()
print(
    tuple(vectors.shape),
    " labels:",
    y[:4].tolist(),
    " rows with a gradient:",
    touched,
)
assert torch.allclose(vectors, F.one_hot(y[:4], 10).float() @ embedding.weight)
assert touched == y[:4].unique().tolist()

# %%
# It is a ``Linear`` without bias for one-hot rows. Only rows that were looked up get a gradient.
#
# .. _lstm-is-sequence-first:
#
# Recurrent layers
# ----------------
# A :term:`recurrent <recurrent neural network>` layer walks along a sequence and takes notes, its
# :term:`hidden state`. :class:`torch.nn.LSTM` is sequence-first by default, which mixed up the
# images on the page before. Here each image is a sequence of 28 rows, and a bidirectional layer
# walks both ways. Has its last output read the whole image?

rows = x.squeeze(1).requires_grad_()  # (64, 28, 28): image, row, pixel
output, (hidden, cell) = nn.LSTM(28, 16, batch_first=True, bidirectional=True)(
    rows
)
print("output:", tuple(output.shape), " hidden:", tuple(hidden.shape))
read = []
for way, last in {
    "forwards": output[:, -1, :16],
    "backwards": output[:, -1, 16:],
}.items():
    (grad,) = torch.autograd.grad(last.sum(), rows, retain_graph=True)
    read.append(grad[0].any(1).sum().item())
    print(f"{way}: the last output has read {read[-1]} of 28 rows")
assert read == [28, 1] and torch.equal(hidden[1], output[:, 0, 16:])
assert nn.LSTM(28, 16)(rows)[1][0].shape == (
    1,
    28,
    16,
)  # sequence-first: 28 where 64 should be

# %%
# The walk backwards begins at the last row, so its last output knows that row only. The whole image
# is in ``output[:, 0, 16:]``, and in ``hidden``, which holds the end of each walk. It also tells
# when the axes are mixed up: its axis 1 has to be as long as the batch.
#
# Attention
# ---------
# In :term:`attention` each row asks all rows, and takes a mean of what they hold, weighted by how
# well their answers suit it. Shuffle the rows: what becomes of the output?

attention = nn.MultiheadAttention(28, num_heads=4, batch_first=True)
output, weights = attention(rows, rows, rows)
order = torch.randperm(28)
shuffled, _ = attention(*[rows[:, order]] * 3)
same = torch.allclose(shuffled, output[:, order], atol=1e-5)
print(
    tuple(output.shape),
    " weights:",
    tuple(weights.shape),
    " shuffled in the same way:",
    same,
)
assert same and torch.allclose(weights.sum(2), torch.ones(64, 28))

# %%
# It is shuffled in the same way, and nothing else: attention knows no order. A shape does not tell
# what its numbers depend on; gradients do. So here we take the gradient of each step of the output
# with respect to each step of the input, twelve rows of an image.
#
# .. alt:: Four tables of output steps against input steps. Linear: the diagonal. Conv1d: a band of
#    three. LSTM: everything up to the diagonal. Attention: everything.

readers = {
    "Linear": nn.Linear(28, 8),
    "Conv1d": lambda steps: nn.Conv1d(28, 8, 3, padding=1)(steps.T).T,
    "LSTM": lambda steps: nn.LSTM(28, 8)(steps)[0],
    "attention": lambda steps: attention(steps, steps, steps)[0],
}
figure, axes = plt.subplots(
    1, 4, figsize=(7, 2.4), layout="constrained", sharey=True
)
reach = {}
for axis, (name, reader) in zip(axes, readers.items(), strict=True):
    slope = torch.autograd.functional.jacobian(
        lambda s, f=reader: f(s).sum(1), rows[0, 8:20]
    )
    reach[name] = (
        slope.abs().sum(2) > 0
    )  # (steps of the output, steps of the input)
    axis.imshow(reach[name].numpy(), cmap="Blues", vmin=0, vmax=1.4)
    axis.set(
        title=name, xlabel="input step", xticks=[0, 5, 10], yticks=[0, 5, 10]
    )
axes[0].set(ylabel="output step")
assert (
    torch.equal(reach["LSTM"], torch.ones(12, 12).tril().bool())
    and reach["attention"].all()
)
assert reach["Linear"].sum() == 12 and reach["Conv1d"].sum() == 34

# %%
# What you learned
# ----------------
# - Read a shape error from the left: what came, then what the layer was made for.
# - Calculate sizes by the formula, and distrust "``padding=1`` keeps the size".
# - Say ``batch_first=True``: shapes can fit by accident. Gradients tell what an output depends on.
# - Call ``eval()`` before you ask: dropout and batch normalization answer differently in training.
#
# Exercises
# ---------
# 1. **Predict.** Which shapes come out of ``nn.Conv2d(3, 8, 3, stride=2, padding=1)`` for
#    (16, 3, 33, 33), of ``nn.Linear(10, 4)`` for (2, 3, 10), of ``nn.Embedding(100, 6)`` for
#    (5, 7), and of ``nn.GRU(6, 9, num_layers=2, bidirectional=True)`` for (7, 5, 6)?
# 2. **Change.** The network above fails on images of 40 × 40 pixels. Change its end so that it
#    reads every size from 4 × 4 up. What does that do to its number of parameters?
# 3. **Extend.** Write ``Conv2d`` as a matrix product: :func:`torch.nn.functional.unfold` lays each
#    window out as a column. Compare with the real one, for stride, padding and dilation.
#
# The last layer has spoken; how wrong was it? :doc:`/lessons/networks/03_losses`.

# %%
# .. answer:: 1
#
#    The GRU is sequence-first, and joins both directions in its output; its hidden state has one
#    row for each layer and direction.

print(
    tuple(
        nn.Conv2d(3, 8, 3, stride=2, padding=1)(
            torch.zeros(16, 3, 33, 33)
        ).shape
    )
)
print(tuple(nn.Linear(10, 4)(torch.zeros(2, 3, 10)).shape))
print(tuple(nn.Embedding(100, 6)(torch.zeros(5, 7, dtype=torch.int64)).shape))
output, hidden = nn.GRU(6, 9, num_layers=2, bidirectional=True)(
    torch.zeros(7, 5, 6)
)
print(tuple(output.shape), tuple(hidden.shape))
assert (
    size(33, 3, s=2, p=1) == 17
    and output.shape == (7, 5, 18)
    and hidden.shape == (4, 5, 9)
)

# %%
# .. answer:: 2
#
#    Pool each channel to one number, whatever its size. 226 parameters are left instead of 10,306,
#    most of them in the convolution.

flexible = nn.Sequential(
    *layers[:3], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10)
)
for pixels in (4, 28, 40):
    print(
        pixels,
        "pixels:",
        tuple(flexible(torch.zeros(2, 1, pixels, pixels)).shape),
    )
print("parameters:", summary(flexible, x).total)
assert summary(flexible, x).total == 226 and flexible(
    torch.zeros(2, 1, 4, 4)
).shape == (2, 10)

# %%
# .. answer:: 3
#
#    One product of (6, 25) and (25, windows) for each image does all windows at once.


def convolve(x, weight, bias, **options):
    columns = F.unfold(
        x, weight.shape[2:], **options
    )  # (B, in * k * k, windows)
    output = weight.flatten(1) @ columns + bias[:, None]  # (B, out, windows)
    side = int(output.shape[2] ** 0.5)
    return output.unflatten(2, (side, side))


for options in (
    {},
    {"stride": 2},
    {"padding": 3},
    {"stride": 3, "padding": 2, "dilation": 2},
):
    ours = convolve(x, conv.weight, conv.bias, **options)
    real = F.conv2d(x, conv.weight, conv.bias, **options)
    assert torch.allclose(ours, real, atol=1e-5)
    print(options, tuple(ours.shape))
