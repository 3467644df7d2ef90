"""
Pooling, dilation, groups
=========================

How can a layer see more of its input, or compute less, than a plain
convolution?

A kernel of 3 × 3 sees nine pixels, but a digit is about 20 pixels high. A
larger kernel sees more, but it also has more weights. There are three cheaper
ways. Pooling replaces a window by one number, dilation spreads a kernel over a
wider window, and groups divide the channels among the kernels. You find all
three in networks for images and for sound.

After this lesson you can

- shrink a row or an image by pooling, and build a network for images of any
  size
- find out which cells an output depends on, and widen their range with dilation
- count what groups save, and notice when they keep apart what belongs together
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import Batches, datasets, plots

torch.manual_seed(0)

# %%
# Pooling: one number for a window
# --------------------------------
# :term:`Pooling <pooling>` divides its input into windows and keeps one number
# of each. *Max pooling* keeps the largest, and *average pooling* takes the
# mean. Here is a row of six cells. With windows of two cells, these are 1 3,
# then 2 0, then 4 6. What will the two layers return? And what happens to
# windows of four, which do not fit into the row?

row = torch.tensor([[[1.0, 3, 2, 0, 4, 6]]])  # (1, 1, 6): (B, C, L)
cut = nn.MaxPool1d(4)(row)
print("largest of two: ", nn.MaxPool1d(2)(row))
print("mean of two:    ", nn.AvgPool1d(2)(row))
print("largest of four:", cut)

# %%
# They return 3 2 6 and 2 1 5. The windows move as in a convolution, but there
# are no weights, so nothing is learned. The stride is as long as the window,
# unless you say otherwise. Only one window of four fits, and the last two cells
# are dropped, as in :doc:`/lessons/networks/05_convolution`. So the 6, the
# largest number of all, is lost. (``ceil_mode=True`` keeps the last, shorter
# window.)
#
# On images, :class:`torch.nn.MaxPool2d` and ``nn.AvgPool2d`` take square
# windows:

image = torch.tensor(
    [[1.0, 3, 0, 2], [5, 2, 2, 4], [7, 0, 1, 1], [0, 1, 1, 9]]
).reshape(1, 1, 4, 4)
print(nn.MaxPool2d(2)(image))
print(nn.AvgPool2d(2)(image))

# %%
# The four numbers 1, 3, 5 and 2 at the top left become 5 or 2.75. Each side is
# half as long, so the layers that follow have a quarter of the work. And one
# cell now stands for 2 × 2 pixels, so a kernel of 3 × 3 sees 6 × 6 of them.
# Each channel is pooled on its own.

# %%
# .. check::

assert nn.MaxPool1d(2)(row).tolist() == [[[3, 2, 6]]], "the largest"
assert nn.AvgPool1d(2)(row).tolist() == [[[2, 1, 5]]], "the mean"
assert cut.tolist() == [[[3]]], "the last two cells are left out"
assert nn.MaxPool2d(2)(image).tolist() == [[[[5, 4], [7, 9]]]], "5 top left"
assert nn.AvgPool2d(2)(image)[0, 0, 0, 0] == 2.75, "2.75 top left"

# %%
# On real data
# ------------
# If a digit moves a little, its pooled image should change less. We move 2,000
# digits to the right by one pixel, and measure how far each is from where it
# was. But pooling also makes *different* digits more alike. So we divide by the
# mean distance between two different images.

train_set, _ = datasets.mnist()
digits = train_set.x[:2000]  # (2000, 1, 28, 28)
moved = torch.zeros_like(digits)
moved[:, :, :, 1:] = digits[:, :, :, :-1]


def change(before, after):
    own = ((before - after) ** 2).flatten(1).sum(dim=1) ** 0.5
    other = (before[:1000] - before[1000:]) ** 2
    other = other.flatten(1).sum(dim=1) ** 0.5
    return (own.mean() / other.mean()).item()


# %%
# The fair comparison is an image of the same size without pooling, which keeps
# one pixel of each window, the one at the top left.

kept = {}
largest = {}
mean = {}
for size in [1, 2, 4]:
    thinned = digits[:, :, ::size, ::size]
    kept[size] = change(thinned, moved[:, :, ::size, ::size])
    pool = nn.MaxPool2d(size)
    largest[size] = change(pool(digits), pool(moved))
    pool = nn.AvgPool2d(size)
    mean[size] = change(pool(digits), pool(moved))
    print(f"window {size}: one pixel {kept[size]:.2f},", end=" ")
    print(f"largest {largest[size]:.2f}, mean {mean[size]:.2f}")

# %%
# With windows of one pixel, nothing is pooled, and a moved digit is about half
# as far from where it was as another image is. This stays the same if you keep
# one pixel of each window. Pooling makes the change smaller, and more so with
# the larger window. But the change does not disappear, and details are lost.
#
# The largest window is the whole image. ``nn.AdaptiveAvgPool2d`` is given the
# size of the *output* and chooses the windows itself. With 1, each channel
# becomes one number, its mean. So a linear layer after it fits images of any
# size:

any_size = nn.Sequential(
    nn.Conv2d(1, 8, 3),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),  # (B, 8, 1, 1)
    nn.Flatten(),  # (B, 8)
    nn.Linear(8, 10),
)
print(any_size(digits[:5]).shape)
print(any_size(torch.rand(5, 1, 40, 60)).shape)

# %%
# .. check::

assert largest[1] == kept[1], "nothing is pooled"
assert mean[1] == kept[1], "nothing is pooled"
assert 0.45 < kept[1] < 0.6, "about half"
assert abs(kept[2] - kept[1]) < 0.02, "fewer pixels: it stays the same"
assert abs(kept[4] - kept[1]) < 0.02, "fewer pixels: it stays the same"
assert largest[4] < largest[2] < kept[1] - 0.03, "the largest: smaller"
assert mean[4] < mean[2] < kept[1] - 0.03, "the mean: smaller"
assert mean[4] > 0.2, "the change does not disappear"
assert any_size(torch.zeros(5, 1, 40, 60)).shape == (5, 10), "any size fits"

# %%
# Dilation: a kernel with gaps
# ----------------------------
# Pooling makes an image smaller. If you need an answer for every pixel, spread
# the kernel instead. :term:`Dilation <dilation>` is the distance between two
# neighbouring cells of a kernel, and usually it is 1. We take a kernel of three
# ones, which adds three cells of the row 1 3 2 0 4 6.

plain = nn.Conv1d(1, 1, kernel_size=3, bias=False)
spread = nn.Conv1d(1, 1, kernel_size=3, dilation=2, bias=False)
with torch.no_grad():
    plain.weight.fill_(1)
    spread.weight.fill_(1)
    print("dilation 1:", plain(row))
    print("dilation 2:", spread(row))

# %%
# With dilation 2, the kernel adds every second cell: 1 + 2 + 4 = 7, and 3 + 0 +
# 6 = 9. It still has three weights, but it covers five cells. In general, k
# cells with dilation d cover d · (k − 1) + 1, and this takes the place of k in
# the size formula: 6 − 5 + 1 = 2.
#
# The *receptive field* of an output is the part of the input that it depends
# on. In a stack of convolutions, we find it with gradients: ``reads`` returns
# the cells, counted from 0, for which the first output has a gradient. (A ReLU
# that is off, or a max pooling, passes no gradient to cells that may count for
# another input. With these layers, change one cell at a time.)


def reads(layer, length):
    x = torch.zeros(1, 1, length, requires_grad=True)
    layer(x)[0, 0, 0].backward()
    slopes = x.grad[0, 0].tolist()
    return [i for i in range(length) if slopes[i] != 0]


print("one layer:", reads(spread, 6))

# %%
# Now two stacks of three layers with random weights. All kernels have three
# cells, but the second stack doubles the dilation from layer to layer.

narrow = nn.Sequential(
    nn.Conv1d(1, 1, kernel_size=3),
    nn.Conv1d(1, 1, kernel_size=3),
    nn.Conv1d(1, 1, kernel_size=3),
)
wide = nn.Sequential(
    nn.Conv1d(1, 1, kernel_size=3, dilation=1),
    nn.Conv1d(1, 1, kernel_size=3, dilation=2),
    nn.Conv1d(1, 1, kernel_size=3, dilation=4),
)
print("dilations 1, 1, 1:", reads(narrow, 15))
print("dilations 1, 2, 4:", reads(wide, 15))

# %%
# Both stacks have nine weights, but with the second one, an output sees 15
# cells instead of 7. Each layer adds d · (k − 1) cells: 1 + 2 + 2 + 2 = 7, and
# 1 + 2 + 4 + 8 = 15. The figure shows which cells lead to one output.
#
# .. alt:: Two stacks of three layers over a row of 15 cells, drawn from bottom
#    to top. With the dilations 1, 1, 1, lines lead from 7 input cells to the
#    output. With the dilations 1, 2, 4, lines lead from all 15 input cells to
#    the output.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(7, 2.9), layout="constrained")
for axis, stack in zip(axes, [narrow, wide], strict=True):
    dilations = [layer.dilation[0] for layer in stack]
    axis.plot(range(15), [0] * 15, "o", color="0.8", markersize=8)
    margins = [0]  # how far the first cell of each layer is from the left
    for step in dilations:
        margins.append(margins[-1] + step)
    output_place = 7 - margins[3]  # the output above the middle of the row
    cells = [output_place]
    axis.plot(7, 3, "o", color="#D55E00", markersize=8, zorder=3)
    for level in [3, 2, 1]:
        below = set()
        for place in cells:
            for offset in reads(stack[level - 1], 15):
                below.add(place + offset)
                ends = [place + margins[level], place + offset]
                ends[1] += margins[level - 1]
                axis.plot(ends, [level, level - 1], color="0.5", linewidth=0.8)
        cells = sorted(below)
        places = [cell + margins[level - 1] for cell in cells]
        axis.plot(places, [level - 1] * len(cells), "o", color="#0072B2")
    axis.set_title(f"dilations {dilations}: reads {len(cells)} cells")
    axis.set_yticks(range(4), ["input", "layer 1", "layer 2", "output"])
    axis.set(xlabel="cell", xticks=range(0, 15, 2), ylim=(-0.4, 3.4))

# %%
# .. check::

assert plain(row).tolist() == [[[6, 5, 6, 10]]], "three neighbours"
assert spread(row).tolist() == [[[7, 9]]], "every second cell"
assert reads(spread, 6) == [0, 2, 4], "dilation 2 reads every second cell"
assert reads(narrow, 15) == list(range(7)), "7 cells"
assert reads(wide, 15) == list(range(15)), "15 cells"

# %%
# Groups: divided channels
# ------------------------
# In a convolution, each output :term:`channel` reads all input channels. So
# ``nn.Conv2d(4, 8, 3)`` has 8 kernels of 4 · 9 weights, which makes 288. With
# ``groups=2``, the channels are divided into two groups, and each output
# channel reads only the two input channels of its own group. How many weights
# are left? And with four groups? :func:`handbook.plots.channel_map` counts
# them, and draws which input channels each output channel reads.
#
# .. alt:: Three tables with a row for each of eight output channels and a
#    column for each of four input channels. With one group, all cells are
#    filled, and there are 288 weights. With two groups, the output channels 0
#    to 3 read the input channels 0 and 1, and 4 to 7 read 2 and 3, with 144
#    weights. With four groups, each input channel is read by two output
#    channels, with 72 weights.

one_group = nn.Conv2d(4, 8, kernel_size=3)
two_groups = nn.Conv2d(4, 8, kernel_size=3, groups=2)
four_groups = nn.Conv2d(4, 8, kernel_size=3, groups=4)
figure = plots.channel_map(one_group, two_groups, four_groups, ncols=3)

# %%
# The number of weights is divided by the number of groups, and so is the number
# of multiplications. (The time usually shrinks less, so measure it. And both
# numbers of channels must be divisible by the number of groups.)
#
# With as many groups as channels, each channel has a kernel of its own. This is
# a *depthwise* convolution. It is usually followed by a convolution of size 1,
# which sees one pixel but all of its channels. In networks for phones, such a
# pair often takes the place of one convolution.

ordinary = nn.Conv2d(32, 64, 3, bias=False)
depthwise = nn.Conv2d(32, 32, 3, groups=32, bias=False)
size_one = nn.Conv2d(32, 64, 1, bias=False)
pair = depthwise.weight.numel() + size_one.weight.numel()
print(f"one convolution: {ordinary.weight.numel():,}, the pair: {pair:,}")

# %%
# The one has 64 · 32 · 9 = 18,432 weights, and the pair has 32 · 9 + 64 · 32 =
# 2,336, about an eighth.

# %%
# .. check::

assert one_group.weight.numel() == 8 * 4 * 9 == 288, "288 weights"
assert two_groups.weight.numel() == 8 * 2 * 9 == 144, "half of them"
assert four_groups.weight.numel() == 8 * 1 * 9 == 72, "a quarter"
assert ordinary.weight.numel() == 18_432, "one convolution"
assert pair == 2336, "the pair"
assert 7.5 < ordinary.weight.numel() / pair < 8.5, "about an eighth"

# %%
# What goes wrong
# ---------------
# **Groups that never meet.** Each image below has two channels, and each of
# them shows a 0 or a 1. The network has to say whether the two digits are the
# same. We pool the images to 7 × 7, which saves time, and make 2,000 pairs for
# training and 1,000 pairs of other digits for validation.

zero_or_one = train_set.y < 2
small = nn.MaxPool2d(4)(train_set.x[zero_or_one])  # (2000, 1, 7, 7)
labels = train_set.y[zero_or_one]

train = torch.randint(0, 1500, (2000, 2))  # two digits for each pair
x_train = torch.cat([small[train[:, 0]], small[train[:, 1]]], dim=1)
y_train = (labels[train[:, 0]] == labels[train[:, 1]]).to(torch.int64)
val = torch.randint(1500, 2000, (1000, 2))
x_val = torch.cat([small[val[:, 0]], small[val[:, 1]]], dim=1)
y_val = (labels[val[:, 0]] == labels[val[:, 1]]).to(torch.int64)
print(tuple(x_train.shape), tuple(x_val.shape))

# %%
# Here are four pairs. The label 1 means the same digit.
#
# .. alt:: Four pairs of handwritten digits, each a 0 or a 1, side by side. The
#    number above a pair is 1 if both are the same digit, and 0 if not.

side_by_side = torch.cat([x_train[:4, 0], x_train[:4, 1]], dim=2)
figure = plots.image_grid(side_by_side, titles=y_train[:4].tolist(), ncols=4)

# %%
# The network has two convolutions with two groups each, one group for each
# digit, and at the end a linear layer.


def make_network():
    return nn.Sequential(
        nn.Conv2d(2, 16, 3, groups=2),  # (B, 16, 5, 5)
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, groups=2),  # (B, 16, 3, 3)
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 3 * 3, 2),
    )


# %%
# ``learn`` trains it with the usual loop, and returns the loss and the accuracy
# on the validation set.


def learn(model, seed):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    batches = Batches(x_train, y_train, batch_size=20, shuffle=True, seed=seed)
    for _ in range(3):
        for x, y in batches:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        scores = model(x_val)
    right = (scores.argmax(dim=1) == y_val).float().mean().item()
    return cross_entropy(scores, y_val).item(), right


# %%
# We train five networks with different seeds. Guessing between two answers has
# a loss of ln 2.

print(f"guessing: loss {torch.tensor(2.0).log():.3f}")
split_results = []
for seed in range(5):
    torch.manual_seed(seed)
    loss, right = learn(make_network(), seed)
    split_results.append((loss, right))
    print(f"loss {loss:.3f}, right {right:.0%}")

# %%
# There is no error, but none of the five does better than guessing. To see why,
# replace the second digit of each pair by noise. Which of the 16 channels
# change after the second convolution? (``model[:3]`` is the chain of the first
# three layers.)

model = make_network()
noisy = x_val.clone()
noisy[:, 1] = torch.rand(1000, 7, 7)
with torch.no_grad():
    difference = (model[:3](x_val) - model[:3](noisy)).abs()
strongest = difference.amax(dim=(0, 2, 3))  # (16,), one for each channel
changed = [i for i in range(16) if strongest[i] > 1e-6]
print("changed:", changed)

# %%
# Only the channels of the second group change. The second convolution has
# groups, too, so the digits do not meet there, either. The linear layer is the
# first to see both, and it can only add a number for the first digit and one
# for the second. Call these numbers a and b, with the digit as index: a₀ is
# what a 0 as the first digit gives. The sums a₀ + b₀ and a₁ + b₁ should be
# positive, which means "the same", and a₀ + b₁ and a₁ + b₀ negative. But the
# first two sums together are as much as the last two. So there are no such
# numbers to be learned.
#
# The cure is a convolution of size 1 without groups, and a ReLU after it:


def make_network():
    return nn.Sequential(
        nn.Conv2d(2, 16, 3, groups=2),
        nn.ReLU(),
        nn.Conv2d(16, 16, 1),  # new
        nn.ReLU(),  # new
        nn.Conv2d(16, 16, 3, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 3 * 3, 2),
    )


# %%
# The same five seeds:

mixed_results = []
for seed in range(5):
    torch.manual_seed(seed)
    loss, right = learn(make_network(), seed)
    mixed_results.append((loss, right))
    print(f"loss {loss:.3f}, right {right:.0%}")

# %%
# With 16 · 16 + 16 = 272 more parameters, nearly all answers are right.

# %%
# .. check::

assert x_train.shape == (2000, 2, 7, 7), "2,000 pairs"
assert min([loss for loss, _ in split_results]) > 0.67, "the loss of guessing"
assert max([right for _, right in split_results]) < 0.6, "it guesses"
assert changed == list(range(8, 16)), "the channels of the second group"
assert sum([right for _, right in mixed_results]) / 5 > 0.93, "nearly all"

# %%
# Recipe
# ------
# All three in a network for images of any size. The made-up images have two
# channels with noise, and stripes that stand or lie.

import torch
from torch import nn
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
start = torch.randint(4, (300, 1))
line = ((torch.arange(16) + start) % 4 < 2).float()  # 1 1 0 0 1 1 0 0 …
standing = line.unsqueeze(1).expand(300, 16, 16)
y = torch.randint(2, (300,))
stripes = torch.where(y.reshape(300, 1, 1) == 1, standing.mT, standing)
x = stripes.unsqueeze(1) + 0.5 * torch.randn(300, 2, 16, 16)

# %%
# After each convolution with groups, there is one of size 1 without, so that
# all channels meet:

features = nn.Sequential(
    nn.Conv2d(2, 16, 3, padding=1, groups=2),
    nn.Conv2d(16, 16, 1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=16),
    nn.Conv2d(16, 16, 1),
)
model = nn.Sequential(
    features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2)
)

# %%
# Train with 200 images:

optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
for _ in range(200):
    batch = torch.randint(200, (25,))
    loss = cross_entropy(model(x[batch]), y[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Judge with the other 100, count the features that depend on each input
# channel, and let the model guess for a larger image:

with torch.no_grad():
    right = (model(x[200:]).argmax(dim=1) == y[200:]).float().mean()
    reached = []
    for channel in range(2):
        noisy = x.clone()
        noisy[:, channel] = torch.randn(300, 16, 16)
        difference = (features(x) - features(noisy)).abs().amax(dim=(0, 2, 3))
        reached.append((difference > 1e-6).sum().item())
    new = (torch.arange(24) % 4 < 2).float().unsqueeze(1)  # lying stripes
    guess = model(new.expand(1, 2, 24, 24)).argmax().item()
print(f"right: {right:.0%}, each channel reaches {reached} of 16 features")
print("larger image, 0 stands and 1 lies:", guess)

# %%
# .. check::

assert right > 0.9, "it tells the directions apart"
assert reached == [16, 16], "each channel reaches all features"
assert guess == 1, "the new stripes lie"

# %%
# What you learned
# ----------------
# - Pooling replaces a window by its largest number or its mean. It has no
#   weights, and cells that fill no window are left out.
# - ``nn.AdaptiveAvgPool2d(1)`` gives one number for each channel, so images of
#   any size fit the linear layer.
# - A kernel of k cells with dilation d covers d · (k − 1) + 1. In a stack of
#   convolutions, the gradient says which cells an output depends on.
# - Groups divide the weights by their number. Channels of different groups do
#   not meet, so put a convolution of size 1 between them.
#
# Exercises
# ---------
# 1. **Predict.** The row is −1 −3 −2 −4. What do ``nn.MaxPool1d(2, padding=1)``
#    and ``nn.AvgPool1d(2, padding=1)`` return? Are the cells of the padding
#    counted as zeros?
# 2. **Change.** Let the dilations be 2, 2, 2. How wide is the receptive field,
#    and how many of its cells are read? What changes with 1, 2, 2?
# 3. **Extend.** Groups can also meet without any weights. Write a module
#    ``Shuffle`` that puts the 16 channels into the order 0 8 1 9 2 10 …, and
#    use it in place of the two new layers. How well does the network learn?

# %%
# .. answer:: 1
#
#    Max pooling ignores the padding, as if its cells were −∞, so the result is
#    −1 −2 −4. Average pooling counts them as zeros, and its first and last
#    numbers are half of the only real cell. With ``count_include_pad=False``,
#    it ignores them, too.

negative = torch.tensor([[[-1.0, -3, -2, -4]]])
peak = nn.MaxPool1d(2, padding=1)(negative)
average = nn.AvgPool1d(2, padding=1)(negative)
real = nn.AvgPool1d(2, padding=1, count_include_pad=False)(negative)
print("largest:", peak)
print("mean:   ", average)
print("mean, count_include_pad=False:", real)

# %%
# .. check::

assert peak.tolist() == [[[-1, -2, -4]]], "no zeros"
assert average.tolist() == [[[-0.5, -2.5, -2]]], "with zeros"
assert real.tolist() == [[[-1, -2.5, -4]]], "without zeros"

# %%
# .. answer:: 2
#
#    It is 1 + 4 + 4 + 4 = 13 cells wide, but only every second cell is read,
#    because all steps are even. A detail between them goes unseen, and nothing
#    reports it. If the first dilation is 1, the field has 1 + 2 + 4 + 4 = 11
#    cells, and all of them are read.

even = nn.Sequential(
    nn.Conv1d(1, 1, kernel_size=3, dilation=2),
    nn.Conv1d(1, 1, kernel_size=3, dilation=2),
    nn.Conv1d(1, 1, kernel_size=3, dilation=2),
)
mixed = nn.Sequential(
    nn.Conv1d(1, 1, kernel_size=3, dilation=1),
    nn.Conv1d(1, 1, kernel_size=3, dilation=2),
    nn.Conv1d(1, 1, kernel_size=3, dilation=2),
)
print("dilations 2, 2, 2:", reads(even, 15))
print("dilations 1, 2, 2:", reads(mixed, 15))

# %%
# .. check::

assert reads(even, 15) == [0, 2, 4, 6, 8, 10, 12], "seven of 13"
assert reads(mixed, 15) == list(range(11)), "all eleven"

# %%
# .. answer:: 3
#
#    After the shuffle, each group of the second convolution gets four channels
#    of each digit. Both networks read nearly all pairs correctly, and they have
#    no more parameters than the first network.


class Shuffle(nn.Module):
    def forward(self, x):
        order = torch.arange(16).reshape(2, 8).T.flatten()
        return x[:, order]


shuffled_results = []
for seed in range(2):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(2, 16, 3, groups=2),
        nn.ReLU(),
        Shuffle(),
        nn.Conv2d(16, 16, 3, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 3 * 3, 2),
    )
    loss, right = learn(model, seed)
    shuffled_results.append((loss, right))
    print(f"loss {loss:.3f}, right {right:.0%}")

# %%
# .. check::

assert min([right for _, right in shuffled_results]) > 0.9, "nearly all"
