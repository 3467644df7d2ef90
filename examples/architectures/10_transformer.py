"""
Multi-head attention and positions
==================================

How does attention know the order, and how can it see several places at once?

"The dog bites the man" and "the man bites the dog" have the same words, and
attention alone cannot tell them apart. A *Transformer* is a network of
attention layers with small networks between them. Because attention ignores the
order, the first Transformers added a vector for the position to the row of each
word. They also split attention into several *heads*, so that a word can look at
several places without mixing them up.

After this lesson you can

- show that attention ignores the order, and add positions that change this
- compute multi-head attention by hand, and get what PyTorch's layer returns
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
# The outputs are the same three rows, moved in the same way. A sum does not
# depend on the order of its terms. So attention sees only what is in a
# sequence, not where. (With a mask that hides later rows, as in a GPT, this no
# longer holds.)

# %%
# .. check::

assert moved_output.allclose(output[order], atol=1e-6), "moved along"

# %%
# Positions
# ---------
# The remedy is to add to each row a vector that stands for its position, the
# *positional encoding*. There are two simple ways. *Learned* positions are
# a table with a row of weights for each position, in PyTorch an
# ``nn.Embedding``. A longer sequence raises an error. *Sinusoidal* positions
# are computed, for any length. With d features, position p has these numbers in
# columns 2i and 2i + 1:
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
# Now the output depends on the order. (Many newer language models add nothing.
# They rotate queries and keys by an angle that grows with the position.)

# %%
# .. check::

assert difference > 0.1, "with positions the order counts"

# %%
# A task whose solution we know
# -----------------------------
# Can a network learn where to look? Let it reverse a sequence of 8 random
# digits. For the first digit, it has to look at the last place. For the second,
# it has to look at the place before that, and so on.
#
# The network has an :term:`embedding` for the digits and learned positions. The
# layer :class:`torch.nn.MultiheadAttention` computes query, key and value with
# three linear layers, and sends the result through a fourth one. It also
# returns the weights.


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
# ``source`` says for each place of the target where its digit comes from.

backwards = [7, 6, 5, 4, 3, 2, 1, 0]


def train(model, source):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(80):
        tokens = torch.randint(0, 10, (32, 8))
        scores, _ = model(tokens)
        target = tokens[:, source]
        loss = cross_entropy(scores.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# %%
# ``judge`` tries the model on 500 new sequences.


def judge(model, source):
    tokens = torch.randint(0, 10, (500, 8))
    with torch.no_grad():
        scores, weights = model(tokens)
    right = scores.argmax(dim=2) == tokens[:, source]
    # the share of right digits, and the mean of the weights
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
# The baseline always answers with the most frequent digit (``mode``):

tokens = torch.randint(0, 10, (5000, 8))
most_frequent = tokens.mode(dim=1, keepdim=True).values
baseline = (tokens == most_frequent).float().mean().item()
print(f"always the most frequent digit: {baseline:.1%}")

# %%
# With positions, more than 99% of the digits are right, for each seed. Without
# them, it is about 31%: the network can only guess a digit that occurs often
# (always the most frequent one: 30%).
#
# The weights of one head, drawn as a *map*: each row is an output place, and
# shows where it looks.
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
# With positions, the map is the *anti-diagonal* that we expected. (In a network
# with many layers, a map tells you less, because each row has already taken in
# others.)

# %%
# .. check::

assert min(accuracy[True]) > 0.99, "with positions nearly all are right"
assert min(accuracy[False]) > 0.29, "without about 31%"
assert abs(baseline - 0.3) < 0.01, "the most frequent digit: 30%"
assert max(accuracy[False]) < baseline + 0.03, "hardly more"
assert (
    torch.stack(maps[True]).argmax(dim=2) == torch.tensor(backwards)
).all(), "the anti-diagonal, for each seed"
assert torch.stack(maps[True]).amax(dim=2).min() > 0.9, "nearly all weight"
assert torch.stack(maps[False]).max() < 0.2, "without it is spread"

# %%
# Several heads
# -------------
# One head returns *one* mean for each query. Suppose that a query needs two
# things from two places. Here its first two features ask for something that the
# first key has, and its last two for something that the second key has. The
# third key has neither. The three values are rows of 10, 60 and 20.
#
# *Multi-head attention* cuts the features into parts, here two parts of two.
# Each part is a *head* with its own scores and its own mean. Then the results
# are joined. What do you expect from one head, and from two?

# 10: nearly all weight on the best fit
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
# Now the same in ``nn.MultiheadAttention``. Its ``in_proj_weight`` holds the
# weights of the three linear layers, one below the other, and ``out_proj`` is
# the last layer. By default it returns the mean of its heads' attention
# weights. With ``average_attn_weights=False`` we get those of each head. The
# scores are divided by √d, and d counts the features of one head, here 4 of
# the 8.

layer = nn.MultiheadAttention(embed_dim=8, num_heads=2, batch_first=True)
x = torch.randn(5, 6, 8)  # 5 sequences of 6 rows
with torch.no_grad():
    expected, expected_weights = layer(x, x, x, average_attn_weights=False)
    projected = x @ layer.in_proj_weight.T + layer.in_proj_bias  # (5, 6, 24)
    query, key, value = projected.chunk(3, dim=2)  # each (5, 6, 8)
    scores = split(query, 2) @ split(key, 2).mT / 4**0.5  # (5, 2, 6, 6)
    weights = torch.softmax(scores, dim=-1)
    by_hand = layer.out_proj(join(weights @ split(value, 2)))
print("weights:", torch.allclose(weights, expected_weights, atol=1e-6))
print("output: ", torch.allclose(by_hand, expected, atol=1e-6))

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
# takes the first axis for the sequence and the second one for the batch. If you
# still give it (N, length, features), each row looks at the other *examples*
# instead of its own sequence. To see it, we change the first of four examples
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
# there is no error. Test your model in the same way: call ``eval()``, change
# one example, and see whether the outputs of the others stay. (In training
# mode, dropout and batch normalization change them, too.)

# %%
# .. check::

assert reached[True] == [True, False, False, False], "only the first"
assert reached[False] == [True, True, True, True], "all four"

# %%
# Recipe
# ------
# A classifier for sequences in which the order counts. The data are made up: 8
# different numbers below 20, always with a 0 and a 1. The class says which of
# the two comes first.

import torch
from torch import nn


def make_sequences(n):
    tokens = torch.stack([torch.randperm(18)[:8] + 2 for _ in range(n)])
    places = torch.stack([torch.randperm(8)[:2] for _ in range(n)])
    place_of_0, place_of_1 = places.unbind(dim=1)
    tokens[torch.arange(n), place_of_0] = 0
    tokens[torch.arange(n), place_of_1] = 1
    return tokens, (
        place_of_1 < place_of_0
    ).long()  # class 1: the number 1 comes first


# %%
# Each row keeps its own number and place, because ``x`` is added to the result
# (a :term:`residual connection`). The mean over the places then turns each
# sequence into one row. We do not need the weights here. With
# ``need_weights=False`` the layer returns none, and can use the faster
# ``scaled_dot_product_attention``.


class Classifier(nn.Module):
    def __init__(self, vocabulary, length, classes, width=32, heads=4):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length, width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.out = nn.Linear(width, classes)

    def forward(self, tokens):
        position = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.embedding(tokens) + self.positions(position)
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
baseline = test_labels.bincount().max().item() / len(test_labels)
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
# - Self-attention without a mask ignores the order. Positions, computed or
#   learned, are added to the rows so that the order counts.
# - Each head has its own part of the features, its own scores and its own mean.
# - Pass ``batch_first=True``, or examples will look at each other.
#
# Exercises
# ---------
# 1. **Predict.** How many parameters does ``nn.MultiheadAttention(32, 1)``
#    have? And with 8 heads?
# 2. **Change.** Let each place repeat the digit of the place before it, and let
#    the first place repeat the last digit. What does the map look like?
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
#    of five seeds. There the network does not see how the rows are ordered.


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
