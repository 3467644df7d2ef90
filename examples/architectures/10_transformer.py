"""
Multi-head attention and positions
==================================

How does attention learn where things stand, and look for several at once?

"The dog bites the man" and "the man bites the dog" have the same words, and
attention alone cannot tell them apart. Transformers therefore add a vector for
the position to each word. And they split attention into several heads, so that
a word can look at several places without mixing them up. Here you build both,
and check both on examples whose answer is known.

After this lesson you can

- show that attention ignores the order, and add positions that change this
- compute multi-head attention by hand, with the result of PyTorch's layer
- read a map of attention weights, and notice a batch on the wrong axis
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from handbook import datasets

torch.manual_seed(0)

# %%
# Attention ignores the order
# ---------------------------
# In :doc:`/lessons/architectures/09_attention` each query got a weighted mean
# of all values. In *self-attention*, the same rows are queries, keys and
# values. We take three rows, and then the same rows with the last one first.

rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
order = torch.tensor([2, 0, 1])
moved = rows[order]
output = scaled_dot_product_attention(rows, rows, rows)
moved_output = scaled_dot_product_attention(moved, moved, moved)
print("output:\n", output.round(decimals=2))
print("rows moved:\n", moved_output.round(decimals=2))

# %%
# The outputs are the same three rows, moved in the same way. Every row got
# the same mean as before. A sum does not depend on the order of its
# terms, so attention treats a sequence as a set.

# %%
# .. check::

assert moved_output.allclose(output[order], atol=1e-6), "moved along"
assert not output[0].allclose(output[2]), "and the rows differ"

# %%
# Positions
# ---------
# The remedy is to add to each row a vector that stands for its position, the
# *positional encoding*. There are two usual ways. *Learned* positions are
# a table with a row of weights for each position, in PyTorch an
# ``nn.Embedding``. *Sinusoidal* positions are computed. With d features,
# position p has in columns 2i and 2i + 1 the numbers
#
# .. math::
#
#    \sin\left(\frac{p}{10000^{2i/d}}\right) \qquad
#    \cos\left(\frac{p}{10000^{2i/d}}\right)
#
# for i = 0, 1, 2 and so on. The first pair of columns changes fast from one
# position to the next, and each later pair more slowly.


def sinusoids(length, width):
    position = torch.arange(length).unsqueeze(1)  # (length, 1)
    pair = torch.arange(width // 2)
    angle = position / 10_000 ** (2 * pair / width)  # (length, width / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


print(sinusoids(length=3, width=4).round(decimals=2))
first = rows + sinusoids(3, 2)
second = moved + sinusoids(3, 2)
output = scaled_dot_product_attention(first, first, first)
moved_output = scaled_dot_product_attention(second, second, second)
difference = (moved_output - output[order]).abs().max()
print(f"largest difference after moving: {difference:.2f}")

# %%
# Now the output depends on the order. Can attention see that two positions are
# near each other? It compares by dot products, so we compute the dot product of
# position 20 with the others.

positions = sinusoids(length=60, width=32)
alike = positions @ positions.T  # (60, 60)
print("20 with 19, 20, 21:", alike[20, 19:22].round(decimals=2))
print("40 with 39, 40, 41:", alike[40, 39:42].round(decimals=2))

# %%
# It is largest with itself, equal on both sides, and the same around position
# 40. It depends only on the distance, because
# sin a · sin b + cos a · cos b = cos (a − b).
#
# .. alt:: A curve over the positions 0 to 59. It has its peak, 16, at position
#    20, falls steeply and equally on both sides, and then runs in small waves
#    at less than 12.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 2.8), layout="constrained")
axis.plot(alike[20].numpy())
axis.axvline(20, color="black", linestyle=":", label="position 20")
axis.set(xlabel="position", ylabel="dot product with position 20")
axis.legend()

# %%
# .. check::

assert difference > 0.1, "with positions the order counts"
assert alike[20].argmax() == 20, "largest with itself"
assert abs(alike[20, 20] - 16) < 1e-4, "16 pairs, each with the sum 1"
assert alike[20, 19].allclose(alike[20, 21]), "equal on both sides"
assert alike[20, 19].allclose(alike[40, 41], atol=1e-4), "only the distance"
assert alike[20, :10].max() < 12, "the left side runs below 12"
assert alike[20, 31:].max() < 12, "the right side, too"

# %%
# A task with a known map
# -----------------------
# Can a network learn where to look? Take a task whose solution we know, made-up
# data again: reverse a sequence of 8 digits. For its first digit, the network
# has to look at the last place, for the second one at the last but one, and so
# on.
#
# The network has an :term:`embedding` for the digits and learned positions. The
# layer :class:`torch.nn.MultiheadAttention` computes query, key and value with
# three linear layers, and sends the result through a fourth one. It also
# returns the weights. We begin with one head.


class Reverser(nn.Module):
    def __init__(self, use_positions):
        super().__init__()
        self.embedding = nn.Embedding(10, 32)
        self.positions = nn.Embedding(8, 32)
        self.use_positions = use_positions
        self.attention = nn.MultiheadAttention(32, 1, batch_first=True)
        self.out = nn.Linear(32, 10)

    def forward(self, tokens):
        x = self.embedding(tokens)  # (N, 8, 32)
        if self.use_positions:
            x = x + self.positions(torch.arange(8))
        mixed, weights = self.attention(x, x, x)  # query, key, value
        return self.out(mixed), weights  # (N, 8, 10), (N, 8, 8)


# %%
# The target is the same sequence, with its places in another order. We train on
# random digits.

backwards = [7, 6, 5, 4, 3, 2, 1, 0]


def train(model, places):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(80):
        tokens = torch.randint(0, 10, (32, 8))
        scores, _ = model(tokens)
        target = tokens[:, places]
        loss = cross_entropy(scores.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# %%
# ``judge`` returns the share of right digits in 500 new sequences, and the mean
# of their weights.


def judge(model, places):
    tokens = torch.randint(0, 10, (500, 8))
    with torch.no_grad():
        scores, weights = model(tokens)
    right = scores.argmax(dim=2) == tokens[:, places]
    return right.float().mean().item(), weights.mean(dim=0)


# %%
# Five seeds with positions, and five without:

accuracy = {}
maps = {}
for use_positions in [True, False]:
    accuracy[use_positions] = []
    maps[use_positions] = []
    for seed in range(5):
        torch.manual_seed(seed)
        model = Reverser(use_positions)
        train(model, backwards)
        share, weights = judge(model, backwards)
        accuracy[use_positions].append(round(share, 3))
        maps[use_positions].append(weights)
    print(f"positions {use_positions}: {accuracy[use_positions]}")

# %%
# With positions, more than 99% of the digits are right, for each seed. Without
# them, it is about 31%. That is more than guessing (10%), because the network
# still sees *which* digits occur, but not where.
#
# Each row of the maps is an output place, and shows where it looks.
#
# .. alt:: Two maps of eight by eight weights. Left, with positions: all weight
#    lies on the line from the upper right corner to the lower left one. Right,
#    without positions: the weights are spread over the whole map.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2), layout="constrained")
for axis, use_positions in zip(axes, [True, False], strict=True):
    axis.imshow(maps[use_positions][0].numpy(), vmin=0, vmax=1)
    title = "with positions" if use_positions else "without positions"
    axis.set(title=title, xlabel="place looked at", ylabel="output place")
figure.colorbar(axes[0].images[0], ax=axes, label="weight")

# %%
# With positions, the map is the *anti-diagonal* that we expected. Output place
# 0 looks at place 7, place 1 at place 6, and so on. (In a network with many
# layers, a map tells you less, because each row has already taken in others.)

# %%
# .. check::

assert min(accuracy[True]) > 0.99, "with positions nearly all are right"
assert min(accuracy[False]) > 0.27, "without about 31%"
assert max(accuracy[False]) < 0.35, "for each seed"
assert (
    torch.stack(maps[True]).argmax(dim=2) == torch.tensor(backwards)
).all(), "the anti-diagonal, for each seed"
assert torch.stack(maps[True]).amax(dim=2).min() > 0.9, "nearly all weight"
assert torch.stack(maps[False]).max() < 0.5, "without it is spread"

# %%
# Several heads
# -------------
# One head returns *one* mean for each query. Suppose that a query needs two
# things from two places. Here its first two features ask for something that the
# first key has, and its last two for something that the second key has. The
# three values are rows of 10, 60 and 20.
#
# *Multi-head attention* cuts the features into parts, here two parts of two.
# Each part is a *head* with its own scores and its own mean. The results are
# joined again. What do you expect from one head, and from two?

query = torch.tensor([[[10.0, 0, 0, 10]]])  # (1, 1, 4)
key = torch.tensor([[[10.0, 0, 0, 0], [0, 0, 0, 10], [0, 10, 10, 0]]])
value = torch.tensor([10.0, 60, 20]).view(1, 3, 1).expand(1, 3, 4)


def split(x, heads):
    n, length, width = x.shape
    parts = x.reshape(n, length, heads, width // heads)
    return parts.permute(0, 2, 1, 3)  # (n, heads, length, width / heads)


def join(x):
    return x.permute(0, 2, 1, 3).flatten(2)  # (n, length, width)


# %%
# ``split`` puts the heads on an axis beside the batch, so that each head is
# computed by itself. ``join`` does the opposite.

results = {}
for heads in [1, 2]:
    mixed = scaled_dot_product_attention(
        split(query, heads), split(key, heads), split(value, heads)
    )
    results[heads] = join(mixed).flatten()
    print("heads:", heads, "output:", results[heads].tolist())

# %%
# With one head, the first and the second key fit equally well, so the output
# holds only their mean, 35. Two heads return 10 and 60 separately.
#
# Now the same in ``nn.MultiheadAttention``. Its weight ``in_proj_weight`` holds
# the three linear layers below each other, and ``out_proj`` is the last layer.
# We compare the weights of each head and the output with those of the layer.

layer = nn.MultiheadAttention(embed_dim=8, num_heads=2, batch_first=True)
x = torch.randn(5, 6, 8)  # 5 sequences of 6 rows
with torch.no_grad():
    expected, expected_weights = layer(x, x, x, average_attn_weights=False)
    projected = x @ layer.in_proj_weight.T + layer.in_proj_bias  # (5, 6, 24)
    query, key, value = projected.chunk(3, dim=2)  # each (5, 6, 8)
    scores = split(query, 2) @ split(key, 2).mT / 4**0.5  # (5, 2, 6, 6)
    weights = torch.softmax(scores, dim=-1)
    by_hand = layer.out_proj(join(weights @ split(value, 2)))
print(f"weights: {(weights - expected_weights).abs().max():.0e}")
print(f"output:  {(by_hand - expected).abs().max():.0e}")

# %%
# Both agree to within 0.000001. A head has 4 of the 8 features here, so d is 4
# in √d.

# %%
# .. check::

assert results[1].allclose(torch.full((4,), 35.0)), "one head: the mean"
assert results[2].allclose(torch.tensor([10.0, 10, 60, 60])), "two: 10 and 60"
assert (weights - expected_weights).abs().max() < 1e-6, "the weights agree"
assert (by_hand - expected).abs().max() < 1e-6, "the output agrees"

# %%
# What goes wrong
# ---------------
# **The batch is on the wrong axis.** Without ``batch_first=True``, the layer
# takes the first axis for the sequence and the second one for the batch. Give
# it (N, length, features) all the same, and each row looks at other *examples*
# and not at its own sequence. To see it, we change the first of four examples
# only, and ask which outputs change.

x = torch.randn(4, 6, 8)  # 4 examples, 6 rows each
changed = x.clone()
changed[0] += 1
reached = {}
for batch_first in [True, False]:
    layer = nn.MultiheadAttention(8, num_heads=2, batch_first=batch_first)
    with torch.no_grad():
        before, _ = layer(x, x, x)
        after, _ = layer(changed, changed, changed)
    moves = (before - after).abs().amax(dim=(1, 2)) > 1e-4
    reached[batch_first] = moves.tolist()
    print(f"batch_first={batch_first}: changed {reached[batch_first]}")

# %%
# Without it, the change has reached all four examples. The shapes agree, so
# there is no error. Test your model as we did here: change one example, and see
# whether the outputs of the others stay.

# %%
# .. check::

assert reached[True] == [True, False, False, False], "only the first"
assert reached[False] == [True, True, True, True], "all four"

# %%
# Recipe
# ------
# A classifier for sequences in which the order counts. The data is made up: 8
# different numbers below 20, and the class says whether the 0 or the 1 comes
# first.

import torch
from torch import nn


def make_sequences(n):
    tokens = torch.stack([torch.randperm(18)[:8] + 2 for _ in range(n)])
    places = torch.stack([torch.randperm(8)[:2] for _ in range(n)])
    every = torch.arange(n)
    tokens[every, places[:, 0]] = 0
    tokens[every, places[:, 1]] = 1
    return tokens, (places[:, 1] < places[:, 0]).long()  # 1: the 1 comes first


# %%
# The mean over the places makes one row of each sequence.


class Classifier(nn.Module):
    def __init__(self, vocabulary, length, classes, width=32, heads=4):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length, width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.out = nn.Linear(width, classes)

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.embedding(tokens) + self.positions(places)
        mixed, _ = self.attention(x, x, x, need_weights=False)
        return self.out((x + mixed).mean(dim=1))  # (N, classes)


# %%
# Train on 2,000 sequences.

torch.manual_seed(0)
tokens, labels = make_sequences(2000)
test_tokens, test_labels = make_sequences(500)
model = Classifier(vocabulary=20, length=8, classes=2)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
for _ in range(200):
    batch = torch.randint(0, len(tokens), (64,))
    scores = model(tokens[batch])
    loss = nn.functional.cross_entropy(scores, labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Judge on 500 others, beside always guessing the larger class, and classify one
# new sequence.

model.eval()
new = torch.tensor([[5, 1, 9, 12, 0, 3, 7, 2]])  # the 1 comes first
with torch.no_grad():
    right = model(test_tokens).argmax(dim=1) == test_labels
    guess = model(new).softmax(dim=1)
share = right.float().mean().item()
baseline = test_labels.bincount().max().item() / 500
print(f"right: {share:.1%}, always the larger class: {baseline:.1%}")
print(f"new sequence: the 1 comes first with {guess[0, 1]:.2f}")

# %%
# .. check::

assert share > 0.95, "it reads the order"
assert baseline < 0.6, "far above the baseline"
assert guess[0, 1] > 0.5, "the new sequence is right"

# %%
# What you learned
# ----------------
# - Self-attention treats a sequence as a set. Positions, computed or learned,
#   are added to the rows so that the order counts.
# - Each head has its own part of the features, its own scores and its own mean.
#   So a row can look at several places without mixing them up.
# - A map of weights shows which place looks at which. When a sequence is
#   reversed, it is the anti-diagonal.
# - Give ``batch_first=True``, or examples will look at each other.
#
# Exercises
# ---------
# 1. **Predict.** How many parameters does ``nn.MultiheadAttention(32, 1)``
#    have? And with 8 heads?
# 2. **Change.** Let each place repeat the digit of the place before it, and the
#    first place that of the last one. What does the map look like?
# 3. **Extend.** Does the order count for images? Read each digit of
#    ``datasets.mnist()`` as 14 rows of 14 pixels (every second pixel). Replace
#    the embedding of ``Classifier`` by a linear layer, and compare training
#    with positions and without.

# %%
# .. answer:: 1
#
#    There are four linear layers with 32 · 32 weights and 32 biases each, so
#    4,224 parameters. With 8 heads there are as many, because the heads share
#    the features.

counts = []
for heads in [1, 8]:
    layer = nn.MultiheadAttention(32, heads)
    counts.append(sum(each.numel() for each in layer.parameters()))
print(counts)

# %%
# .. check::

assert counts == [4224, 4224], "4,224, for any number of heads"

# %%
# .. answer:: 2
#
#    The weights lie just below the diagonal: each place looks at the one before
#    it. Place 0 looks at place 7.

before_it = [7, 0, 1, 2, 3, 4, 5, 6]
torch.manual_seed(0)
repeater = Reverser(use_positions=True)
train(repeater, before_it)
repeat_share, repeat_map = judge(repeater, before_it)
print(f"right: {repeat_share:.1%}")
print("looks at:", repeat_map.argmax(dim=1).tolist())

# %%
# .. check::

assert repeat_share > 0.98, "it learns"
assert repeat_map.argmax(dim=1).tolist() == before_it, "the place before"

# %%
# .. answer:: 3
#
#    Yes. After 40 steps, far fewer digits are right without positions, for each
#    of five seeds. There the network sees the rows of an image as a set.


class RowReader(nn.Module):
    def __init__(self, use_positions):
        super().__init__()
        self.embedding = nn.Linear(14, 32)
        self.positions = nn.Embedding(14, 32)
        self.use_positions = use_positions
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.out = nn.Linear(32, 10)

    def forward(self, rows):
        x = self.embedding(rows)
        if self.use_positions:
            x = x + self.positions(torch.arange(14))
        mixed, _ = self.attention(x, x, x, need_weights=False)
        return self.out((x + mixed).mean(dim=1))


train_set, test_set = datasets.mnist()
pixels = train_set.x[:, 0, ::2, ::2]  # (10000, 14, 14)
test_pixels = test_set.x[:, 0, ::2, ::2]
read = {True: [], False: []}
for use_positions in read:
    for seed in range(5):
        torch.manual_seed(seed)
        reader = RowReader(use_positions)
        optimizer = torch.optim.AdamW(reader.parameters(), lr=0.01)
        for _ in range(40):
            batch = torch.randint(0, 10_000, (64,))
            loss = cross_entropy(reader(pixels[batch]), train_set.y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = reader(test_pixels).argmax(dim=1) == test_set.y
        read[use_positions].append(round(right.float().mean().item(), 2))
    print(f"positions {use_positions}: {read[use_positions]}")

# %%
# .. check::

assert min(read[True]) > max(read[False]) + 0.1, "far fewer without"
