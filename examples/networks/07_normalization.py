"""
BatchNorm and LayerNorm
=======================

What does a normalization layer do to its numbers, and why may its answer for
one image depend on the other images?

Each layer of a deep network gets its numbers from the layer before. They may be
large or tiny, and training changes them all the time. A normalization layer
brings them back to the same size, again and again, and this often makes a deep
network much easier to train. But one of them, BatchNorm, computes something
else in training than in use. If you forget to tell it which of the two it is,
you get wrong answers and no error.

After this lesson you can

- compute BatchNorm and LayerNorm by hand, and say which of them needs a batch
- say what BatchNorm learns, what it only keeps, and what ``train()`` and
  ``eval()`` change
- notice answers that depend on the rest of the batch, and put them right
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import Batches, datasets

torch.manual_seed(0)

# %%
# Rows or columns
# ---------------
# You know how to standardize numbers: subtract their mean, and divide by their
# standard deviation. Here are two examples with two features each. Each row is
# an example, and each column is a feature. We standardize along one axis, first
# each row and then each column. (By default, ``std`` divides the sum of the
# squared differences by the number of values less 1. With ``correction=0`` it
# divides by their number. If all values were equal, our function would divide 0
# by 0. The layers below prevent this.)

x = torch.tensor([[1.0, 3.0], [2.0, 8.0]])  # (2, 2), example and feature


def normalize(x, dim):
    mean = x.mean(dim=dim, keepdim=True)
    std = x.std(dim=dim, keepdim=True, correction=0)
    return (x - mean) / std


print("each row:   ", normalize(x, dim=1).tolist())
print("each column:", normalize(x, dim=0).tolist())

# %%
# The first row, 1 and 3, has the mean 2, and both numbers are 1 away from it.
# So they become −1 and 1. The second row, 2 and 8, has the mean 5 and the
# standard deviation 3, and it becomes −1 and 1 as well. In the columns, 1 and 2
# become −1 and 1, and so do 3 and 8. (Two numbers always become −1 and 1. With
# more of them, the result shows how far each is from the mean.)
#
# Both are a :term:`normalization`. :term:`Layer normalization <layer
# normalization>` takes each example by itself, over its features.
# :term:`Batch normalization <batch normalization>` takes each feature by
# itself, over the examples of the batch.
#
# .. alt:: Two panels. On the left, LayerNorm: the two rows 1, 3 and 2, 8 have
#    different colours, and both become −1, 1. On the right, BatchNorm: the two
#    columns 1, 2 and 3, 8 have different colours, and both become −1, 1.

# %%
# .. drawing::


def draw_cells(axis, left, values, colors):
    for n in range(2):
        for i in range(2):
            color = colors[n][i]
            box = plt.Rectangle((left + i, n), 1, 1, fc=color, ec="0.3")
            axis.add_patch(box)
            text = f"{values[n, i].item():g}".replace("-", "−")
            axis.text(left + i + 0.5, n + 0.5, text, ha="center", va="center")


figure, axes = plt.subplots(1, 2, figsize=(6.4, 2), layout="constrained")
rows = [["#56B4E9", "#56B4E9"], ["#E69F00", "#E69F00"]]
columns = [["#56B4E9", "#E69F00"], ["#56B4E9", "#E69F00"]]
draw_cells(axes[0], 0, x, rows)
draw_cells(axes[0], 3, normalize(x, dim=1), rows)
draw_cells(axes[1], 0, x, columns)
draw_cells(axes[1], 3, normalize(x, dim=0), columns)
for axis in axes:
    arrow = {"arrowstyle": "->", "color": "0.3"}
    axis.annotate("", (2.9, 1), (2.1, 1), arrowprops=arrow)
    axis.set(xlim=(-0.1, 5.1), ylim=(2.1, -0.1), aspect="equal")
    axis.set_axis_off()
axes[0].set_title("LayerNorm: each row", fontsize=10)
axes[1].set_title("BatchNorm: each column", fontsize=10)

# %%
# .. check::

assert normalize(x, dim=1).tolist() == [[-1, 1], [-1, 1]], "each row: −1 and 1"
assert normalize(x, dim=0).tolist() == [[-1, -1], [1, 1]], "each column"

# %%
# As layers
# ---------
# PyTorch has both as layers, :class:`torch.nn.LayerNorm` and
# :class:`torch.nn.BatchNorm1d`. You say how many features there are.

layer_norm = nn.LayerNorm(2)
batch_norm = nn.BatchNorm1d(2)
by_layer = layer_norm(x).detach()
by_batch = batch_norm(x).detach()
print("LayerNorm:", by_layer.tolist()[0])
print("BatchNorm:", by_batch.tolist()[0])
for norm in [layer_norm, batch_norm]:
    print("parameters:", [name for name, _ in norm.named_parameters()])
    print("buffers:   ", [name for name, _ in norm.named_buffers()])

# %%
# These are our numbers, but for the last digits. Before the root is taken, each
# layer adds ``eps = 0.00001`` to the variance, which is the square of the
# standard deviation. So it never divides by 0, even if all numbers are equal.
#
# Both layers have two parameters. After the normalization, each feature is
# multiplied by its ``weight`` and its ``bias`` is added. They begin with 1 and
# 0, and training changes them. So the network may choose the size of each
# feature itself. Let us set them by hand:

with torch.no_grad():
    layer_norm.weight.copy_(torch.tensor([10.0, 1.0]))
    layer_norm.bias.copy_(torch.tensor([0.0, 5.0]))
scaled = layer_norm(x).detach()
print(scaled)

# %%
# The first feature is −1 · 10 + 0 = −10, and the second is 1 · 1 + 5 = 6.
#
# .. _running-statistics:
#
# Why BatchNorm keeps running statistics
# --------------------------------------
# BatchNorm needs a batch. But when the network is in use, there may be a single
# image. Where would its mean come from? This is what the three buffers are for.
# In training, the layer keeps a *running mean* and a *running variance* of each
# feature. Here is one feature and a batch of two:

norm = nn.BatchNorm1d(1)
batch = torch.tensor([[1.0], [3.0]])  # (2, 1)
print("output:", norm(batch).flatten().tolist())
first_mean = norm.running_mean.item()
first_var = norm.running_var.item()
print(f"running mean {first_mean:.2f}, by hand", 0.9 * 0 + 0.1 * 2)
print(f"running var  {first_var:.2f}, by hand", 0.9 * 1 + 0.1 * 2)
print("batches:", norm.num_batches_tracked.item())

# %%
# The running mean began with 0 and the running variance with 1. Each batch
# moves them a tenth of the way: the new value is 0.9 times the old one plus 0.1
# times that of the batch. (This 0.1 is the argument ``momentum`` of the layer.)
# The batch has the mean 2. Its variance is 1 if we divide by 2, and this
# one gives the output. For the running variance PyTorch divides by 2 − 1, which
# gives 2. In a large batch, the two hardly differ.
#
# We show the layer the same batch 49 more times. Then we tell it that training
# is over. ``norm.eval()`` switches it to *evaluation mode*. ``norm.train()``
# would switch it back to *training mode*, in which every module begins. Each
# module has these two methods, and they also switch all modules in it.

for _ in range(49):
    norm(batch)
print(f"running mean {norm.running_mean.item():.2f}")
print(f"running var  {norm.running_var.item():.2f}")

norm.eval()
both = norm(batch).detach()
alone = norm(batch[:1]).detach()
print("both:", both.flatten())
print("alone:", alone.flatten())
print("batches:", norm.num_batches_tracked.item())

# %%
# The running values have come close to 2 and 2. In evaluation mode the layer
# uses them instead of the mean and the variance of the batch. So 1 becomes (1 −
# 2) / √2 = −0.71 (−0.70 here, because the running values are not quite there),
# whether it comes alone or in company. The layer has not counted these two
# batches, because in this mode it changes nothing in itself.
#
# LayerNorm has no buffers, because each example brings its own mean. So it
# computes the same in both modes.

# %%
# .. check::

assert torch.allclose(by_layer, normalize(x, dim=1), atol=1e-4), "LayerNorm"
assert torch.allclose(by_batch, normalize(x, dim=0), atol=1e-4), "BatchNorm"
assert torch.allclose(
    scaled, torch.tensor([[-10.0, 6], [-10, 6]]), atol=1e-3
), "weight and bias"
assert abs(first_mean - 0.2) < 1e-6, "0.9 · 0 + 0.1 · 2"
assert abs(first_var - 1.1) < 1e-6, "0.9 · 1 + 0.1 · 2"
assert abs(norm.running_mean - 2) < 0.02, "close to 2"
assert abs(norm.running_var - 2) < 0.01, "and the variance, too"
assert norm.num_batches_tracked == 50, "evaluation is not counted"
assert torch.allclose(both[:1], alone), "alone as in company"
assert abs(alone + 0.70) < 0.005, "about −0.70"
assert not list(layer_norm.named_buffers()), "LayerNorm has no buffers"

# %%
# On real data
# ------------
# Does it help? We take a deep network with six hidden layers for the digits,
# once without and once with BatchNorm. The usual place for it is between the
# linear layer and the ReLU. (``append`` puts one more layer at the end of a
# ``Sequential``.)


def make_network(with_norm):
    model = nn.Sequential(nn.Flatten())
    for inputs in [784, 64, 64, 64, 64, 64]:
        model.append(nn.Linear(inputs, 64))
        if with_norm:
            model.append(nn.BatchNorm1d(64))
        model.append(nn.ReLU())
    model.append(nn.Linear(64, 10))
    return model


train_set, _ = datasets.mnist()
x_train = train_set.x[:6000]  # (6000, 1, 28, 28)
y_train = train_set.y[:6000]
x_val = train_set.x[8000:]  # (2000, 1, 28, 28)
y_val = train_set.y[8000:]

# %%
# The loop is the usual one, with two new lines: ``train()``
# before each epoch, ``eval()`` before the model is used.


def learn(with_norm, lr, seed, epochs=1):
    torch.manual_seed(seed)
    model = make_network(with_norm)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    batches = Batches(x_train, y_train, batch_size=100, shuffle=True, seed=seed)
    for _ in range(epochs):
        model.train()  # new
        for x, y in batches:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()  # new
    return model


# %%
# Which learning rate is best may depend on the network, so both try the same
# four, with five seeds each. We train for one epoch. For the five networks at
# each rate, we print the range of the accuracy on the validation set.


def accuracy(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


kinds = {False: "without", True: "with BatchNorm"}
rates = [0.03, 0.1, 0.3, 1.0]
results = {}
for with_norm, kind in kinds.items():
    print(kind)
    for lr in rates:
        models = [learn(with_norm, lr, seed) for seed in range(5)]
        five = [accuracy(model, x_val, y_val) for model in models]
        results[kind, lr] = five
        print(f"    lr {lr}: {min(five):.0%} to {max(five):.0%}")

# %%
# .. alt:: Validation accuracy against the learning rate, five points for each
#    of four rates. With BatchNorm, nearly all points are around 90%. Without
#    it, all are close to the dotted line of guessing, at 10%.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.6, 3), layout="constrained")
for kind, style in [("with BatchNorm", "C0o"), ("without", "C1s")]:
    for lr in rates:
        axis.plot(5 * [lr], results[kind, lr], style, label=kind)
axis.axhline(0.1, color="black", linestyle=":", label="guessing")
axis.set(xscale="log", ylim=(0, 1))
axis.set(xlabel="learning rate", ylabel="validation accuracy")
axis.set_xticks(rates, [str(lr) for lr in rates])
axis.minorticks_off()
handles, names = axis.get_legend_handles_labels()
axis.legend(handles[::4], names[::4], loc="center right")

# %%
# At each of these rates, all five networks with BatchNorm are far ahead. The
# others have hardly begun to learn. Does this mean that they cannot? We give
# them eight epochs instead of one, with the rate 0.3.

models = [learn(False, 0.3, seed, epochs=8) for seed in range(5)]
longer = [accuracy(model, x_val, y_val) for model in models]
print(f"without, eight epochs: {min(longer):.0%} to {max(longer):.0%}")

# %%
# They do learn, but slowly. So here BatchNorm has saved a lot of time, and has
# made it easy to choose the learning rate. It is not the only way. The first
# weights that ``nn.Linear`` gets are rather small for such a deep network, and
# larger ones help, too, as exercise 2 shows.
# (:doc:`/lessons/advanced/06_initialization_normalization` compares the two
# ways.)
#
# (The mean takes away whatever a bias before it has added. So before a
# BatchNorm, people often write ``nn.Linear(64, 64, bias=False)``.)

# %%
# .. check::

assert min([min(results["with BatchNorm", lr]) for lr in rates]) > 0.7, (
    "with BatchNorm, all are far ahead"
)
assert max([max(results["without", lr]) for lr in rates]) < 0.35, (
    "without, they have hardly begun"
)
assert min(longer) > 0.25, "with more time they learn"
assert sum(longer) / 5 < 0.84, "but slowly"

# %%
# .. _batchnorm-in-training-mode:
#
# What goes wrong
# ---------------
# **Answers in training mode.** We train one network with BatchNorm for two
# epochs. Image 7 of the validation set is a 0. How likely does the network find
# this? We ask in both modes, and each time in two batches that begin with this
# image. In the first, images of all digits follow, and in the second only
# zeros. (``train(False)`` is the same as ``eval()``.)

model = learn(True, lr=0.1, seed=0, epochs=2)
mixed = x_val[7:107]
zeros = x_val[7:][y_val[7:] == 0]
modes = {False: "evaluation", True: "training"}
chance = {}
for training, mode in modes.items():
    model.train(training)
    with torch.no_grad():
        in_mixed = torch.softmax(model(mixed), dim=1)[0, 0]
        in_zeros = torch.softmax(model(zeros), dim=1)[0, 0]
    chance[mode] = [in_mixed.item(), in_zeros.item()]
    print(f"{mode}: mixed {in_mixed:.3f}, zeros {in_zeros:.3f}")

# %%
# In evaluation mode, the company does not matter. In training mode, the same
# image is a sure 0 among all digits, and hardly a 0 among zeros. All zeros have
# something in common, which is how the network knows them. BatchNorm subtracts
# the mean of the batch, and in a batch of zeros this takes away just what they
# have in common.
#
# How many answers does it cost? We give the network all images of one digit as
# one batch, for each of the ten digits, and count the right answers in both
# modes. The running mean of its first BatchNorm is noted before and after.

model = learn(True, lr=0.1, seed=0, epochs=2)  # the same, made anew
kept = model[2].running_mean.clone()
right = {}
for training, mode in modes.items():
    model.train(training)
    print(f"{mode}, all digits: {accuracy(model, x_val, y_val):.0%}")
    right[mode] = []
    for digit in range(10):
        chosen = y_val == digit
        right[mode].append(accuracy(model, x_val[chosen], y_val[chosen]))
    print([f"{share:.0%}" for share in right[mode]])
moved = (model[2].running_mean - kept).abs().max()
print(f"running mean, largest change: {moved:.2f}")

# %%
# .. alt:: The share of right answers for each digit from 0 to 9. In evaluation
#    mode about nine of ten are right. In training mode, with one digit in each
#    batch, the shares are all close to the dotted line of guessing, at 10%.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.6, 2.8), layout="constrained")
axis.plot(range(10), right["evaluation"], "C0o", label="evaluation mode")
axis.plot(range(10), right["training"], "C1s", label="training mode")
axis.axhline(0.1, color="black", linestyle=":", label="guessing")
axis.set(xlabel="digit, one batch for each", ylabel="right answers")
axis.set(xticks=range(10), ylim=(0, 1.02))
axis.legend(loc="center right")

# %%
# With all digits mixed, you would hardly notice the wrong mode. With one digit
# in each batch, the network is hardly better than guessing. And nothing is
# reported. The last line is bad news, too. In training mode, each call moves
# the running statistics, even under ``no_grad``. So the test has changed the
# model. (We could make it anew. You would have to load a saved copy.)
#
# The cure is ``model.eval()`` before you use the model, and ``model.train()``
# before you go on training. (Dropout needs the two calls as well, see
# :doc:`/lessons/networks/08_dropout`.)
#
# **A batch of one.** The other mistake raises an error:

message = ""
model.train()
try:
    model(x_val[:1])
except ValueError as error:
    message = str(error)
print(message)
single = nn.LayerNorm(2)(torch.tensor([[2.0, 8.0]])).detach()
print("LayerNorm:", single)

# %%
# In training mode, one number is its own mean, and everything would become 0.
# You meet this error if you forget ``eval()``, but also in training, when 6,001
# images are cut into batches of 100 and one is left over. Then give ``Batches``
# the argument ``drop_last=True``, which leaves out a smaller last batch.
# LayerNorm has no trouble with a single example.

# %%
# .. check::

assert y_val[7] == 0, "image 7 is a 0"
assert abs(chance["evaluation"][0] - chance["evaluation"][1]) < 1e-4, (
    "the company does not matter"
)
assert chance["training"][0] > 0.8, "a sure 0 among all digits"
assert chance["training"][1] < 0.4, "hardly a 0 among zeros"
assert min(right["evaluation"]) > 0.75, "evaluation mode"
assert sum(right["evaluation"]) / 10 > 0.88, "about nine of ten"
assert max(right["training"]) < 0.35, "training mode"
assert sum(right["training"]) / 10 < 0.25, "hardly better than guessing"
assert moved > 0.01, "training mode moves the running statistics"
assert "more than 1 value" in message, "a batch of one"
assert torch.allclose(single, torch.tensor([[-1.0, 1.0]]), atol=1e-4), "−1, 1"

# %%
# Which one, and when
# -------------------
# .. list-table::
#    :header-rows: 1
#
#    * -
#      - BatchNorm
#      - LayerNorm
#    * - mean and variance of
#      - a feature, over the batch
#      - an example, over its features
#    * - depends on the other examples
#      - in training mode
#      - never
#    * - parameters
#      - weight and bias
#      - weight and bias
#    * - buffers
#      - running mean and variance, a count
#      - none
#    * - usual in
#      - networks with convolutions
#      - networks for texts and sequences
#
# Take LayerNorm if batches are tiny, or if the examples are sequences of
# different lengths. In a batch of sequences, (B, T, E), ``nn.LayerNorm(E)``
# takes each step by itself, over its E numbers. (``nn.BatchNorm1d`` looks for
# its features on axis 1, so there it would take the steps for features.) For
# images of the shape (B, C, H, W), there is ``nn.BatchNorm2d``. A feature is
# then a whole channel, so the mean is taken over the batch, the rows and the
# columns. (With many pixels in a channel, one image is enough, and the last
# line raises no error.)

images = 5 + 2 * torch.randn(8, 3, 10, 10)
output = nn.BatchNorm2d(3)(images).detach()
print("means are 0:", output.mean(dim=(0, 2, 3)).abs() < 1e-5)
print("one image:", tuple(nn.BatchNorm2d(3)(images[:1]).shape))

# %%
# .. check::

assert output.shape == (8, 3, 10, 10), "the shape stays"
assert output.mean(dim=(0, 2, 3)).abs().max() < 1e-5, "a mean for each channel"

# %%
# Recipe
# ------
# The data are those of :doc:`/lessons/networks/02_parameters`: two columns of
# very different size, and the class says whether both are on the same side of
# their means. Here the first BatchNorm standardizes the columns.

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import Batches

torch.manual_seed(0)
noise = torch.randn(600, 2)
x = torch.tensor([200.0, 3.0]) + noise * torch.tensor([30.0, 0.5])
y = (noise[:, 0] * noise[:, 1] > 0).to(torch.int64)

model = nn.Sequential(
    nn.BatchNorm1d(2),
    nn.Linear(2, 32, bias=False),
    nn.BatchNorm1d(32),
    nn.ReLU(),
    nn.Linear(32, 2),
)

# %%
# Training mode for training, evaluation mode for everything else:

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
batches = Batches(x[:500], y[:500], batch_size=50, shuffle=True, drop_last=True)
for _ in range(30):
    model.train()
    for x_batch, y_batch in batches:
        loss = cross_entropy(model(x_batch), y_batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    hits = (model(x[500:]).argmax(dim=1) == y[500:]).float().mean()
    guess = model(torch.tensor([[260.0, 4.0]])).argmax(dim=1)
print(f"right: {hits:.0%}, guess for the new row: {guess.item()}")

# %%
# .. check::

assert hits > 0.85, "the recipe learns"
assert guess == 1, "both are above their means"
assert not model.training, "and it ends in evaluation mode"
assert torch.allclose(model(x[500:])[:1], model(x[500:501]), atol=1e-4), (
    "a row alone gets the same answer"
)

# %%
# What you learned
# ----------------
# - A normalization layer brings numbers to mean 0 and standard deviation 1.
#   Then it scales and shifts each feature by two learned numbers.
# - BatchNorm does it for each feature over the batch, LayerNorm for each
#   example over its features.
# - In training mode, BatchNorm uses the batch and updates its running
#   statistics. In evaluation mode it uses these and changes nothing.
# - Call ``model.train()`` before you train, and ``model.eval()`` before you use
#   the model. Otherwise an answer depends on the rest of the batch.
# - BatchNorm made our deep network learn much faster. It is not the only way.
#
# Exercises
# ---------
# 1. **Predict.** Multiply the first example by ten, so that the rows are (10,
#    30) and (2, 8). Which numbers change in the output of LayerNorm, and which
#    in that of BatchNorm?
# 2. **Change.** Without BatchNorm, give the network larger first weights:
#    multiply the weight of each linear layer by √6, and set the biases to 0.
#    Train it for one epoch with the rates 0.03 and 0.1 and five seeds. How far
#    does it get?
# 3. **Extend.** Write BatchNorm as a module of your own, with two parameters
#    and two buffers. ``self.training`` is true in training mode. Compare it
#    with ``nn.BatchNorm1d`` in both modes.

# %%
# .. answer:: 1
#
#    In LayerNorm, nothing changes. The mean and the standard deviation of the
#    first row are ten times as large, so the ten is divided out. In BatchNorm,
#    the first example had the smaller number in both columns, and now it has
#    the larger one. So all four signs change.

larger = torch.tensor([[10.0, 30.0], [2.0, 8.0]])
print("each row:   ", normalize(larger, dim=1).tolist())
print("each column:", normalize(larger, dim=0).tolist())

# %%
# .. check::

assert normalize(larger, dim=1).tolist() == [[-1, 1], [-1, 1]], "as before"
assert normalize(larger, dim=0).tolist() == [[1, 1], [-1, -1]], "the signs"

# %%
# .. answer:: 2
#
#    It gets much further than with the usual start of ``nn.Linear``, which is
#    too small for a deep chain of ReLUs. But in one epoch and with these rates,
#    the five networks are on average behind those with BatchNorm.
#    (:doc:`/lessons/architectures/02_initialization` says where the √6 comes
#    from.)

better_start = {}
for lr in [0.03, 0.1]:
    better_start[lr] = []
    for seed in range(5):
        torch.manual_seed(seed)
        model = make_network(with_norm=False)
        with torch.no_grad():
            for layer in model:
                if isinstance(layer, nn.Linear):
                    layer.weight.copy_(layer.weight * 6**0.5)
                    layer.bias.zero_()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        batches = Batches(
            x_train, y_train, batch_size=100, shuffle=True, seed=seed
        )
        for x_batch, y_batch in batches:
            loss = cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        better_start[lr].append(accuracy(model, x_val, y_val))
    five = better_start[lr]
    print(f"lr {lr}: {min(five):.0%} to {max(five):.0%}")

# %%
# .. check::

assert min([sum(five) / 5 for five in better_start.values()]) > 0.45, "further"
assert max([sum(five) / 5 for five in better_start.values()]) < min(
    [sum(results["with BatchNorm", lr]) / 5 for lr in [0.03, 0.1]]
), "behind BatchNorm"

# %%
# .. answer:: 3
#
#    In training mode, take the mean and the variance of the batch, and move the
#    buffers. ``detach`` keeps the graph out of them.


class OwnBatchNorm(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.mean = nn.Buffer(torch.zeros(features))
        self.var = nn.Buffer(torch.ones(features))

    def forward(self, x):
        mean = self.mean
        var = self.var
        if self.training:
            mean = x.mean(dim=0)
            var = x.std(dim=0, correction=0) ** 2
            unbiased = x.std(dim=0).detach() ** 2
            self.mean.copy_(0.9 * self.mean + 0.1 * mean.detach())
            self.var.copy_(0.9 * self.var + 0.1 * unbiased)
        return (x - mean) / (var + 1e-5) ** 0.5 * self.weight + self.bias


own = OwnBatchNorm(4)
theirs = nn.BatchNorm1d(4)
data = 3 + 2 * torch.randn(500, 4)
in_training = own(data).allclose(theirs(data), atol=1e-5)
for part in data.chunk(10):
    own(part)
    theirs(part)
own.eval()
theirs.eval()
in_use = own(data).allclose(theirs(data), atol=1e-5)
print("equal in training mode:", in_training)
print("equal in evaluation mode:", in_use)

# %%
# .. check::

assert in_training, "equal in training mode"
assert in_use, "equal in evaluation mode"
assert own.mean.allclose(theirs.running_mean, atol=1e-5), "the running mean"
assert own.var.allclose(theirs.running_var, atol=1e-5), "and the variance"
