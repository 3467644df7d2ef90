"""
Convolution: kernel, stride, padding
====================================

How can a layer find the same pattern anywhere in an image, with only a few
weights?

A fully connected layer has a weight of its own for each pixel. Move a stroke by
one pixel, and it meets other weights, so the layer has to learn it again at
each place. A convolution slides one small set of weights over the whole image.
Most networks for images contain such layers. You choose how large the set is
and where it stops. If you choose badly, a part of the image is never looked at,
and PyTorch does not tell you.

After this lesson you can

- compute a convolution by hand, and say how large its output will be
- use ``nn.Conv2d``, and count what it learns
- notice pixels that no window reads, and bring them back
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import conv1d

from handbook import datasets, summary

torch.manual_seed(0)

# %%
# A window on a row
# -----------------
# We begin with a row of seven pixels, which is dark (0) on the left and bright
# (1) on the right. Three weights, −1 0 1, are to find the edge between dark and
# bright. Lay them on the first three pixels, multiply each pixel by the weight
# on it, and add up. Then move on by one pixel and do the same, until the end of
# the row.

row = torch.tensor([0.0, 0, 0, 1, 1, 1, 1])
kernel = torch.tensor([-1.0, 0, 1])

found = []
for start in range(5):
    window = row[start : start + 3]
    total = (window * kernel).sum().item()
    found.append(total)
    print(f"{start}: {window.tolist()} gives {total:g}")

# %%
# Each total is the last pixel of the window minus its first one. So it is 0
# where the row stays the same, and 1 where the row becomes brighter. Two
# windows lie across the edge, so there are two ones.
#
# The small set of weights is called a :term:`kernel`, and sliding it along the
# input, multiplying and adding up, is a :term:`convolution`. PyTorch has the
# function ``conv1d`` for it. The input needs three axes: the examples of the
# batch, the :term:`channels <channel>` (a colour photo has three, our row has
# one), and the length. The kernel has three axes, too: output channels, input
# channels and length.

x = row.reshape(1, 1, 7)  # (B, C, L)
weight = kernel.reshape(1, 1, 3)  # (output channels, input channels, k)
print("by hand:", found)
print("conv1d: ", conv1d(x, weight).flatten().tolist())

# %%
# (In mathematics, a convolution flips the kernel first, and what PyTorch
# computes is called a *cross-correlation*. If the weights are learned, this
# makes no difference.)
#
# Stride and padding
# ------------------
# The window need not move by one pixel. The distance from one window to the
# next is called the *stride*. (It has nothing to do with the stride of a tensor
# in memory.) And you can put zeros before the first and after the last pixel,
# so that the window can begin earlier and end later. This is called
# :term:`padding`, and ``padding=1`` means one zero on each side.

strided = conv1d(x, weight, stride=2).flatten()
padded = conv1d(x, weight, padding=1).flatten()
print("stride 2: ", strided.tolist())
print("padding 1:", padded.tolist())

# %%
# With stride 2, every second result is left out, and with padding 1 there are
# as many results as pixels. But look at the last one. The last window is 1 1 0,
# and its 0 is not a pixel but padding. The kernel reports −1, an edge from
# bright to dark that is not in the row. So near the border, a part of what a
# layer finds comes from the padding. In the figure, this false edge is pink.
# The first window and its result are blue, the second ones orange.
#
# .. alt:: Three rows of cells with the results below them. With stride 1, the
#    first two of five windows are one cell apart. With stride 2, the first two
#    of three windows are two cells apart. With padding 1, a dotted 0 stands on
#    each side of the row, there are seven results, and the last one, −1, is
#    pink.

# %%
# .. drawing::


def draw_cell(axis, left, bottom, number, color, linestyle="-"):
    style = {"facecolor": color, "edgecolor": "0.4", "linestyle": linestyle}
    axis.add_patch(plt.Rectangle((left, bottom), 1, 1, **style))
    text = f"{number:g}".replace("-", "−")
    axis.text(left + 0.5, bottom + 0.5, text, ha="center", va="center")


def draw_row(axis, output, stride, padding):
    for left in [-1, 7][: 2 * padding]:
        draw_cell(axis, left, 0, 0, "white", linestyle=":")
    for left in range(7):
        draw_cell(axis, left, 0, row[left].item(), "0.92")
    colors = ["#56B4E9", "#E69F00"] + ["white"] * 5
    for i, number in enumerate(output):
        start = i * stride - padding
        if i < 2:
            y = 1.3 + 0.4 * i
            axis.hlines(y, start, start + 3, colors=colors[i], linewidth=5)
        if number < 0:
            colors[i] = "#E7B6D0"
        draw_cell(axis, start + 1, -1.4, number, colors[i])
    axis.text(-1.3, 0.5, "row", ha="right", va="center")
    axis.text(-1.3, -0.9, "result", ha="right", va="center")
    axis.set_title(f"stride {stride}, padding {padding}", fontsize=10)
    axis.set(xlim=(-3, 8.2), ylim=(-1.6, 2.1), aspect="equal")
    axis.set_axis_off()


figure, axes = plt.subplots(3, 1, figsize=(5.4, 6), layout="constrained")
draw_row(axes[0], found, stride=1, padding=0)
draw_row(axes[1], strided.tolist(), stride=2, padding=0)
draw_row(axes[2], padded.tolist(), stride=1, padding=1)

# %%
# .. check::

assert found == [0, 1, 1, 0, 0], "the edge is found by two windows"
assert conv1d(x, weight).flatten().tolist() == found, "conv1d computes the same"
assert strided.tolist() == found[::2], "every second result"
assert padded[1:-1].tolist() == found, "the windows without padding"
assert padded.tolist() == [0, 0, 1, 1, 0, 0, -1], "an edge that is not there"

# %%
# How large is the output?
# ------------------------
# Count with a finger. The first window starts at pixel 0. The last one has to
# end at pixel 6, so it starts at pixel 4, and from 0 to 4 there are 7 − 3 + 1 =
# 5 places. Padding makes the row longer, by p on each side. With a stride of s,
# only every s-th place counts. So for n pixels and a kernel of k weights, the
# size of the output is
#
# .. math::
#
#    \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1
#
# The brackets round down to a whole number, as ``//`` does in Python. The layer
# :class:`torch.nn.Conv1d` is ``conv1d`` with a weight and a bias of its own. We
# let it count in six cases. What do you expect for the last two?


def size(n, k, s=1, p=0):
    return (n + 2 * p - k) // s + 1


settings = [(7, 3, 1, 0), (7, 3, 2, 0), (7, 3, 1, 1), (8, 3, 2, 0)]
settings += [(28, 5, 1, 2), (28, 3, 2, 1)]
counted = []
print(" n  k  s  p  formula  Conv1d")
for n, k, s, p in settings:
    layer = nn.Conv1d(1, 1, kernel_size=k, stride=s, padding=p)
    output = layer(torch.zeros(1, 1, n))
    counted.append(output.shape[2])
    print(f"{n:2} {k:2} {s:2} {p:2} {size(n, k, s, p):8} {counted[-1]:7}")

# %%
# Two of these settings are used a lot. With stride 1 and an odd kernel, the
# padding (k − 1) / 2 keeps the size: 28 stays 28. (``padding="same"`` works it
# out for you, with stride 1 only.) A kernel of 3 with stride 2 and padding 1
# halves an even size: 28 becomes 14. And look at the fourth case. A row of 8
# pixels gives three results, just like a row of 7. We come back to this.

# %%
# .. check::

assert counted == [5, 3, 7, 3, 28, 14], "the sizes in the table"
assert counted == [size(n, k, s, p) for n, k, s, p in settings], "formula"

# %%
# .. _kernel-size-is-fixed:
# .. _one-sample-is-enough:
# .. _argument-names:
#
# Images: nn.Conv2d
# -----------------
# On an image, the window moves along the rows and down the columns, and
# ``kernel_size=5`` means 5 × 5 pixels. :class:`torch.nn.Conv2d` is the layer
# for this. It takes images of shape (B, C, H, W): the batch, the channels, the
# height and the width. You say how many channels go in and how many come out.
# Here are two such layers, one after the other.

train_set, _ = datasets.mnist()
images = train_set.x[:100]  # (100, 1, 28, 28)

first = nn.Conv2d(1, 6, kernel_size=5)
second = nn.Conv2d(6, 16, kernel_size=3, padding=1)
for layer in [first, second]:
    print("weight", tuple(layer.weight.shape), "bias", tuple(layer.bias.shape))
print(summary(nn.Sequential(first, second), images))
fully_connected = (28 * 28) * (6 * 24 * 24) + (6 * 24 * 24)
print(f"fully connected instead of the first: {fully_connected:,}")

# %%
# Each output channel has its own kernel and its own bias, and each kernel reads
# *all* input channels. So a window of the second layer is a block of 6 · 3 · 3
# = 54 numbers. In general, a layer has out · (in · k · k) + out parameters. The
# first has 6 · (1 · 25) + 6 = 156, the second 16 · 54 + 16 = 880. The size of
# the image does not occur in this. A fully connected layer with as many outputs
# as our first one would have 2,712,960. (What the difference does for
# learning, and a whole network of such layers, is the subject of
# :doc:`/lessons/architectures/05_cnn`.)
#
# You always have to give ``kernel_size``. Training never changes it, because
# the layer learns its weight and its bias and nothing else. A single image
# without the axis of the batch is accepted, too. And the names of arguments
# are written in lower case:

print("one image:", tuple(first(images[0]).shape))
message = ""
try:
    nn.Conv2d(1, 6, kernel_size=5, Stride=2)
except TypeError as error:
    message = str(error)
print(message)

# %%
# .. check::

assert first.weight.shape == (6, 1, 5, 5), "six kernels for one channel"
assert second.weight.shape == (16, 6, 3, 3), "16 kernels for six channels"
assert first.weight.numel() + first.bias.numel() == 156, "the first layer"
assert second.weight.numel() + second.bias.numel() == 880, "the second layer"
assert second(first(images)).shape == (100, 16, 24, 24), "24 stays 24"
assert fully_connected == 2_712_960, "2,712,960"
assert first(images[0]).shape == (6, 24, 24), "one image is accepted"
assert "Stride" in message, "Stride is not the name of an argument"

# %%
# On real data
# ------------
# What does −1 0 1 find in a digit? We write it three times, one below the
# other, as a kernel for *vertical* edges. (``edges.weight[0, 0]`` is the kernel
# of output channel 0 for input channel 0.) It reads our 100 digits, and then
# one of them once more, a 4 that is moved by four pixels, to the right and
# down. Does the layer find the same edges there?

vertical = torch.tensor([[-1.0, 0, 1]]).expand(3, 3)
edges = nn.Conv2d(1, 1, kernel_size=3, bias=False)
four = images[1]  # (1, 28, 28)
moved = torch.zeros(1, 28, 28)
moved[:, 4:, 4:] = four[:, :-4, :-4]
with torch.no_grad():
    edges.weight[0, 0] = vertical
    response = edges(images)  # (100, 1, 26, 26)
    moved_response = edges(moved)  # (1, 26, 26)
print(vertical)
same = moved_response[:, 4:, 4:].allclose(response[1, :, :-4, :-4], atol=1e-5)
print("the same, four pixels further on:", same)

# %%
# It does, with the same nine weights. Here are both images and what the layer
# makes of them.
#
# .. alt:: Two rows. Above, a handwritten 4 and the response to it: the left
#    side of each vertical stroke is red, its right side blue, and all else
#    nearly white. Below, the 4 is further to the right and further down, a part
#    of it is cut off, and the red and blue sides have moved with it.

# %%
# .. drawing::

figure, axes = plt.subplots(2, 2, figsize=(4.6, 4.2), layout="constrained")
for i, image in enumerate([four, moved]):
    axes[i, 0].imshow(image[0].numpy(), cmap="gray")
    found_edges = edges(image).detach()[0].numpy()
    axes[i, 1].imshow(found_edges, cmap="RdBu_r", vmin=-3, vmax=3)
    axes[i, 0].set(xticks=[], yticks=[], title="image")
    axes[i, 1].set(xticks=[], yticks=[], title="vertical edges")
colored = axes[0, 1].images[0]
figure.colorbar(colored, ax=axes, shrink=0.6, label="response")

# %%
# Red means that the image becomes brighter from left to right, and blue that it
# becomes darker. So each vertical stroke has a red and a blue side. An output
# channel is also called a *feature map*, because it shows where in the image a
# feature is.
#
# **A kernel that is learned.** Usually nobody knows which kernel is the right
# one, and so it is learned. Take our 100 digits and the responses to them. A
# new layer gets these pairs and starts from random weights. The loss is the
# mean of the squared differences. Does SGD find the kernel?


def learn(layer):
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    for _ in range(600):
        loss = ((layer(images) - response) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer.weight[0, 0].detach()


learner = nn.Conv2d(1, 1, kernel_size=3, bias=False)
print(learner.weight[0, 0].detach())
learned = learn(learner)
print(learned)

# %%
# The nine random weights have become −1, 0 and 1, except for a few hundredths.
# In a network that reads digits, the kernels are learned in the same way. But
# there, nobody says what a kernel should find. The loss only knows which digit
# the image shows.

# %%
# .. check::

assert response[1].amax() > 2, "brighter"
assert response[1].amin() < -2, "darker"
assert same, "the answer moves with the image"
assert (learned - vertical).abs().amax() < 0.05, "the kernel is found"

# %%
# .. _stride-that-does-not-fit:
#
# What goes wrong
# ---------------
# **Pixels that no window reads.** Above, a row of 8 pixels gave as many results
# as one of 7. With stride 2, the last window ends at pixel 6. The next one
# would end at pixel 8, which does not exist. So PyTorch stops there, and pixel
# 7 is left out. There is no error and no warning.
#
# You can count which pixels are read. Make all weights 1. Then each window adds
# each of its pixels once to the sum of the output, so the gradient of a pixel
# is the number of windows that read it.


def times_read(size, kernel_size, stride=1, padding=0):
    layer = nn.Conv2d(1, 1, kernel_size, stride, padding, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1)
    image = torch.zeros(1, 1, size, size, requires_grad=True)
    layer(image).sum().backward()
    return image.grad[0, 0].int()


print(times_read(6, kernel_size=3, stride=2))
print(times_read(6, kernel_size=3, padding=1))

# %%
# The first table is for stride 2. Its last row and its last column are 0, so
# these pixels are never read. (The second one, for padding 1, shows something
# else. Every pixel is read, but a corner 4 times, an edge 6 times and the
# middle 9 times.)
#
# Here it is only a thin strip. But some networks first cut the image into
# squares, with a stride as large as the kernel. We do so with squares of 8 × 8
# pixels. Then we erase the last four rows and columns of the moved 4. Does the
# output change?

patches = nn.Conv2d(1, 16, kernel_size=8, stride=8)
erased = moved.clone()
erased[:, 24:, :] = 0
erased[:, :, 24:] = 0
unread = (times_read(28, kernel_size=8, stride=8) == 0).sum()
print(f"never read: {unread} of {28 * 28} pixels")
print("output:", tuple(patches(moved).shape))
print("erased, same output:", patches(erased).equal(patches(moved)))

# %%
# The output is the same, although a part of the 4 is gone. The figure shows
# which part, and how padding helps.
#
# .. alt:: Left, without padding: the moved 4 under nine squares. A hatched
#    strip at the right and at the bottom is in none of them, and the lower end
#    of the 4 and a part of its right stroke lie there. Right, with padding 2:
#    sixteen squares cover the whole image and a border around it.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(5.6, 3), layout="constrained")
for axis, padding, squares in [(axes[0], 0, 3), (axes[1], 2, 4)]:
    axis.imshow(moved[0].numpy(), cmap="gray")
    lines = [8 * i - padding - 0.5 for i in range(squares + 1)]
    axis.vlines(lines, lines[0], lines[-1], colors="#56B4E9", linewidth=2)
    axis.hlines(lines, lines[0], lines[-1], colors="#56B4E9", linewidth=2)
    axis.set(xlim=(-3, 30), ylim=(30, -3))
    axis.set_title(f"padding {padding}", fontsize=10)
    axis.set_axis_off()
style = {"fill": False, "edgecolor": "#E69F00", "hatch": "///", "linewidth": 0}
axes[0].add_patch(plt.Rectangle((23.5, -0.5), 4, 28, **style))
axes[0].add_patch(plt.Rectangle((-0.5, 23.5), 24, 4, **style))

# %%
# The hatched pixels are never read. Three squares of 8 make 24, so they are
# 28 · 28 − 24 · 24 = 208 pixels, more than a quarter of the image. With padding
# 2, n + 2p is 32, and four squares fit exactly:

wider = nn.Conv2d(1, 16, kernel_size=8, stride=8, padding=2)
fewest = times_read(28, kernel_size=8, stride=8, padding=2).amin()
print("output:", tuple(wider(moved).shape))
print("each pixel is read at least", fewest.item(), "time")
print("erased, same output:", wider(erased).equal(wider(moved)))

# %%
# The rule comes from the formula. The remainder ``(n + 2 * p - k) % s`` says
# how many places at the end are left out. Up to p of them are only padding, as
# in the case 28, 3, 2, 1 of the table. Any more are pixels. (With a stride
# larger than the kernel, there are gaps between the windows, too.)

# %%
# .. check::

assert times_read(6, 3, stride=2)[5].tolist() == [0] * 6, "the last row"
assert times_read(6, 3, stride=2)[:, 5].tolist() == [0] * 6, "the last column"
assert times_read(6, 3, padding=1)[0].tolist() == [4, 6, 6, 6, 6, 4], "edge"
assert times_read(6, 3, padding=1)[2, 2] == 9, "the middle"
assert unread == 28 * 28 - 24 * 24 == 208, "never read"
assert unread / 784 > 0.25, "more than a quarter"
assert not erased.equal(moved), "something is erased"
assert patches(erased).equal(patches(moved)), "and the layer does not see it"
assert (28 - 8) % 8 == 4, "four rows and columns are left out"
assert times_read(28, 3, 2, 1).amin() == 1, "only padding is left out"
assert fewest == 1, "with padding, each pixel is read"
assert not wider(erased).equal(wider(moved)), "and then it is seen"

# %%
# What you learned
# ----------------
# - A convolution slides one kernel over the input, and multiplies and adds up
#   at each place. So it finds the same pattern anywhere.
# - The output has the size ⌊(n + 2p − k) / s⌋ + 1. An odd kernel with stride 1
#   and padding (k − 1) / 2 keeps the size.
# - ``nn.Conv2d`` takes (B, C, H, W) and has out · (in · k · k) + out
#   parameters, whatever the size of the image.
# - If ``(n + 2 * p - k) % s`` is more than p, the last pixels are never read,
#   and there is no error.
# - Padding with zeros can make an edge at the border that is not there.
#
# Exercises
# ---------
# 1. **Predict.** What does the kernel −1 0 1 give for the row 0 0 1 1 1 1 0 0
#    0? And with stride 2?
# 2. **Change.** An image of shape (3, 32, 32) should become (16, 16, 16), with
#    stride 2. Which padding do you need for a kernel of 3, and which for one of
#    5? And how many parameters do the two layers have?
# 3. **Extend.** Learn the kernel for vertical edges again, but with a kernel of
#    5 × 5. Which padding gives an output that fits ``response``? And which
#    weights do you expect?

# %%
# .. answer:: 1
#
#    There are 9 − 3 + 1 = 7 results. The 1s stand where the row becomes
#    brighter, and the −1s where it becomes darker. With stride 2, every second
#    one is left.

bar = torch.tensor([0.0, 0, 1, 1, 1, 1, 0, 0, 0]).reshape(1, 1, 9)
bar_edges = conv1d(bar, weight).flatten().tolist()
every_second = conv1d(bar, weight, stride=2).flatten().tolist()
print(bar_edges, every_second)

# %%
# .. check::

assert bar_edges == [1, 1, 0, 0, -1, -1, 0], "brighter, then darker"
assert every_second == [1, 0, -1, 0], "every second result"

# %%
# .. answer:: 2
#
#    The padding is 1 for a kernel of 3 and 2 for one of 5, because 31 // 2 + 1
#    = 16 in both cases. One row and one column are left out, but they are
#    padding. There are three input channels, so the first layer has 16 · 27 +
#    16 parameters and the second 16 · 75 + 16.

colour = torch.zeros(1, 3, 32, 32)
parameters = []
for k, p in [(3, 1), (5, 2)]:
    halving = nn.Conv2d(3, 16, kernel_size=k, stride=2, padding=p)
    parameters.append(halving.weight.numel() + halving.bias.numel())
    print(tuple(halving(colour).shape), "parameters:", parameters[-1])

# %%
# .. check::

assert parameters == [16 * (3 * 9) + 16, 16 * (3 * 25) + 16], "448 and 1,216"
assert size(32, 3, 2, 1) == size(32, 5, 2, 2) == 16, "half of 32"

# %%
# .. answer:: 3
#
#    The output has the size 28 + 2p − 5 + 1, and this is 26 if p is 1. The 3 ×
#    3 kernel appears in the middle, with weights near 0 around it.

larger = nn.Conv2d(1, 1, kernel_size=5, padding=1, bias=False)
larger_kernel = learn(larger)
print(larger_kernel)

# %%
# .. check::

assert (larger_kernel[1:4, 1:4] - vertical).abs().amax() < 0.15, "middle"
assert larger_kernel[[0, 4]].abs().amax() < 0.1, "nothing above and below"
assert larger_kernel[:, [0, 4]].abs().amax() < 0.1, "nothing at the sides"
