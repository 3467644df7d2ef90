"""
Embedding, recurrent, attention: shapes
=======================================

Which shape does a layer for sequences take, and which shape does it return?

A sentence is a sequence of words, and a sound is a sequence of measurements. A
batch of sequences has three axes: the sequences, the steps of each sequence,
and the numbers at each step. Some layers take them in this order only if you
say so. If you forget it, there is usually no error, and the examples of a batch
are mixed up. This lesson is about what goes in and what comes out. How the
layers compute, and what they are good for, comes in the part on architectures.

After this lesson you can

- say which shapes an embedding, a recurrent layer and attention take and return
- put sequences of different lengths into one batch without changing the results
- find out whether a layer mixes up the examples of a batch
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from handbook import Batches, datasets

torch.manual_seed(0)

# %%
# From words to rows: nn.Embedding
# --------------------------------
# A layer computes with numbers, so each word gets a number. We have three
# words: "is" is 0, "hot" is 1 and "tea" is 2. The sentence "tea is hot" is then
# 2 0 1, and the question "is tea hot" is 0 2 1. But a word is not a quantity,
# tea is not twice as much as hot. So the number only picks a row of a table,
# and the row describes the word. A layer that does this is an
# :term:`embedding`, in PyTorch :class:`torch.nn.Embedding`. Ours has three rows
# with two numbers each. We set them by hand:

embedding = nn.Embedding(3, 2)  # 3 words, 2 numbers for each
with torch.no_grad():
    embedding.weight.copy_(torch.tensor([[0.0, 1], [1, 0], [2, 2]]))

sentences = torch.tensor([[2, 0, 1], [0, 2, 1]])  # (2, 3)
x = embedding(sentences)  # (2, 3, 2)
print(x)
print(tuple(sentences.shape), "->", tuple(x.shape))
print("picks rows:", x.equal(embedding.weight[sentences]))

# %%
# Each number became a row of the table, 2 became (2, 2), 0 became (0, 1) and 1
# became (1, 0), just as with indexing. The shape has one more axis at the end.
# We call the axes B, T and E:
#
# - B, the batch: which sequence is it? Here there are 2 sentences.
# - T, the steps (T for time): at which place of the sequence? Here there are 3.
# - E, the features: the numbers that describe one step. Here there are 2.
#
# The table is a parameter, which starts with random numbers and is changed by
# training. A number without a row raises an error. Here -1 is such a number,
# and does not mean the last row:

message = ""
try:
    embedding(torch.tensor([[-1]]))
except IndexError as error:
    message = str(error)
print(message)

# %%
# .. check::

assert x[0].tolist() == [[2, 2], [0, 1], [1, 0]], "rows 2, 0 and 1"
assert x.equal(embedding.weight[sentences]), "the same as indexing the table"
assert x.shape == (2, 3, 2), "one more axis at the end"
assert isinstance(embedding.weight, nn.Parameter), "the table is a parameter"
assert "out of range" in message, "there is no row -1"

# %%
# A recurrent layer: nn.GRU
# -------------------------
# A :term:`recurrent <recurrent neural network>` layer reads a sequence step by
# step. It carries a memory along, its :term:`hidden state`, and changes it at
# each step. You know one such step from :doc:`/lessons/start/02_dynamic_graph`,
# where ``nn.GRUCell`` read a row of an image. :class:`torch.nn.GRU` contains
# the loop as well. Ours takes 2 features, and its memory has 4 numbers.
#
# By default, it takes the steps from axis 0 and the batch from axis 1. With
# ``batch_first=True`` it is the other way round, as we need it. It returns two
# tensors. Which shapes do you expect?

gru = nn.GRU(2, 4, batch_first=True)
with torch.no_grad():
    output, state = gru(x)
print("output:", tuple(output.shape))
print("state: ", tuple(state.shape))
print(state)
print("last step is state:", output[:, -1].equal(state[0]))

# %%
# ``output`` has the memory after each step, and its
# shape is (B, T, H) with H = 4. ``state`` has the memory after the last step,
# so it is ``output[:, -1]`` once more. Its axis 0 counts the layers, because a
# ``nn.GRU`` can contain several, one above the other. **Its batch is always
# axis 1**, whatever you say with ``batch_first``. In the figure, the same four
# numbers of each sentence are orange.
#
# .. alt:: Two sentences of three words, one above the other. From left to
#    right: their numbers 2 0 1 and 0 2 1, then three rows of two cells for
#    each, then three rows of four cells for each. The last of these three rows
#    is orange, and it appears once more on the right, as the state of the
#    sentence.

# %%
# .. drawing::


def draw_rows(left, top, rows, colors):
    for n, row in enumerate(rows):
        for i, text in enumerate(row):
            corner = (left + i, top + n)
            box = plt.Rectangle(corner, 1, 1, fc=colors[n], ec="0.3")
            axis.add_patch(box)
            place = (left + i + 0.5, top + n + 0.55)
            axis.text(*place, text, ha="center", va="center", color="black")


figure, axis = plt.subplots(figsize=(6.6, 3.7), layout="constrained")
words = ["is", "hot", "tea"]
arrows = [(1, 2.6, 1.5), (4.6, 6.2, 1.5), (10.2, 11.8, 2.5)]
arrow = {"arrowstyle": "->", "color": "0.4"}
blue = ["#CCE6F6", "#CCE6F6", "#CCE6F6"]
last = ["#CCE6F6", "#CCE6F6", "#F5CF83"]
for n in range(2):
    top = 4 * n
    sentence = sentences[n].tolist()
    for i in range(3):
        word = words[sentence[i]]
        axis.text(-0.2, top + i + 0.55, word, ha="right", va="center")
        features = [f"{value:g}" for value in x[n, i].tolist()]
        draw_rows(0, top + i, [[str(sentence[i])]], blue)
        draw_rows(2.6, top + i, [features], blue)
    draw_rows(6.2, top, [[""] * 4] * 3, last)
    draw_rows(11.8, top + 2, [[""] * 4], last[2:])
    for start, end, height in arrows:
        spots = ((end - 0.15, top + height), (start + 0.15, top + height))
        axis.annotate("", *spots, arrowprops=arrow)
for middle, text in [
    (0.5, "numbers\n(B, T)"),
    (3.6, "embedding\n(B, T, E)"),
    (8.2, "output of GRU\n(B, T, H)"),
    (13.8, "state\n(1, B, H)"),
]:
    axis.text(middle, -0.3, text, ha="center", va="bottom")
axis.set(xlim=(-1.6, 16), ylim=(7.2, -1.9))
axis.set_axis_off()

# %%
# To classify a whole sequence, you usually put ``state[-1]``, the last memory
# of the top layer, into a linear layer. To say something about each step, you
# take ``output``. (``nn.RNN`` and ``nn.LSTM`` are used in the same way. But an
# LSTM has two memories, so it returns ``output, (state, cell)``. What the
# layers compute is explained from :doc:`/lessons/architectures/07_rnn` on.)

# %%
# .. check::

assert output.shape == (2, 3, 4), "(B, T, H)"
assert state.shape == (1, 2, 4), "one layer, two sentences, four numbers"
assert output[:, -1].equal(state[0]), "the last step is the state"

# %%
# Attention: nn.MultiheadAttention
# --------------------------------
# :term:`Attention <attention>` does not go step by step. Each step looks at all
# steps of its sequence and takes a weighted mean of what it finds there. How it
# finds its weights is explained in :doc:`/lessons/architectures/09_attention`,
# and so are its three inputs (query, key and value). When a sequence looks at
# itself, as here, all three are the same tensor.
# :class:`torch.nn.MultiheadAttention` is told the number of features and the
# number of *heads*, which look at the sequence side by side. The features have
# to be divisible by the heads. This layer, too, needs ``batch_first=True``.

attention = nn.MultiheadAttention(2, num_heads=1, batch_first=True)
with torch.no_grad():
    attended, weights = attention(x, x, x)
print("output: ", tuple(attended.shape))
print("weights:", tuple(weights.shape))
print(weights[0])
print("sums:", weights[0].sum(dim=1))

# %%
# The output has the shape of the input, (B, T, E). The weights are (B, T, T),
# a table for each sentence: row i says how much step i takes from each of the
# three steps. Without dropout, the sum of each row is 1, because a step takes a
# weighted mean. With several heads, you get the mean of their tables.

# %%
# .. check::

assert attended.shape == x.shape, "(B, T, E) stays"
assert weights.shape == (2, 3, 3), "(B, T, T)"
assert torch.allclose(weights.sum(dim=2), torch.ones(2, 3)), "rows sum to 1"

# %%
# Sequences of different lengths
# ------------------------------
# "hot tea" has only two words. A tensor has no ragged edge, so the shorter
# sentence is filled up. This is called :term:`padding`, and
# :func:`torch.nn.utils.rnn.pad_sequence` does it, with zeros. (It also has a
# ``batch_first``.) Keep the true lengths, because the tensor no longer tells
# them. Below we read "hot tea" alone, and then padded, beside "tea is hot".

tea_is_hot = torch.tensor([2, 0, 1])
hot_tea = torch.tensor([1, 2])
padded = pad_sequence([tea_is_hot, hot_tea], batch_first=True)  # (2, 3)
true_lengths = torch.tensor([3, 2])
print(padded)

x_padded = embedding(padded).detach()  # (2, 3, 2)
x_alone = embedding(hot_tea.unsqueeze(0)).detach()  # (1, 2, 2)
with torch.no_grad():
    _, state_alone = gru(x_alone)
    _, state_padded = gru(x_padded)
print("alone: ", state_alone[0, 0])
print("padded:", state_padded[0, 1])

# %%
# The two states differ, because the layer has read the 0 as a third word, "is".
# So tell it the lengths. ``pack_padded_sequence`` packs the steps without the
# padding, and the layer takes the packed sequence in place of the tensor.
# (``enforce_sorted=False`` allows the lengths in any order. They stay on the
# CPU, even if the rest is on a GPU.)

packed = pack_padded_sequence(
    x_padded, true_lengths, batch_first=True, enforce_sorted=False
)
with torch.no_grad():
    _, state_packed = gru(packed)
print("alone: ", state_alone[0, 0])
print("packed:", state_packed[0, 1])

# %%
# Packed, "hot tea" has the state that it has alone. Take ``state`` here:
# ``output`` has to be unpacked first, and for "hot tea" its last step is then
# padding, with only zeros.
#
# Attention is told in another way, with a mask ``key_padding_mask=ignore``. It
# has the shape (B, T) and is ``True`` where a step has to be *ignored*. (In
# ``scaled_dot_product_attention`` it is the other way round.) At least one step
# of each sequence must stay, otherwise the result is ``nan``. In exercise 2 you
# make a mask.

# %%
# .. check::

assert padded.tolist() == [[2, 0, 1], [1, 2, 0]], "filled up with a zero"
assert (state_padded[0, 1] - state_alone[0, 0]).abs().max() > 0.01, "differ"
assert torch.allclose(state_packed[0, 1], state_alone[0, 0], atol=1e-6), (
    "packed, the state is the same as alone"
)

# %%
# On real data
# ------------
# A digit can also be read as a sequence, of 28 rows from top to bottom. Each
# row is a step, and its 28 pixels are the features. So we take away the axis of
# the channel, and (N, 1, 28, 28) becomes (B, T, E). The network reads all rows,
# and computes ten scores from its memory after the last one. This is
# ``output[:, -1]``, because each image has all 28 rows, without padding.


class RowReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(28, 32, batch_first=True)
        self.scores = nn.Linear(32, 10)

    def forward(self, images):  # (B, 28, 28)
        output, _ = self.gru(images)  # (B, 28, 32)
        return self.scores(output[:, -1])  # (B, 10)


# %%
# It learns from 4,000 images, and 2,000 others are kept back.

digits, _ = datasets.mnist()
x_train = digits.x[:4000].squeeze(1)  # (4000, 28, 28)
y_train = digits.y[:4000]
x_val = digits.x[8000:].squeeze(1)  # (2000, 28, 28)
y_val = digits.y[8000:]

# %%
# We train for four epochs. Then we count the right answers among the 2,000.


def learn(model):
    model.train()
    batches = Batches(x_train, y_train, batch_size=40, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(4):
        for x, y in batches:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        answers = model(x_val).argmax(dim=1)
    return (answers == y_val).float().mean().item()


# %%
# For comparison, we also print how often it would be right to always name the
# most frequent digit.

torch.manual_seed(0)
right = learn(RowReader())
most_frequent = y_val.bincount().max().item() / len(y_val)
print(f"GRU: {right:.1%}, most frequent digit: {most_frequent:.1%}")

# %%
# Nearly nine of ten answers are right, and the simple rule is right once in
# nine times. All that the network knew of the rows before were the 32 numbers
# of its memory.

# %%
# .. check::

assert 0.84 < right < 0.94, "nearly nine of ten"
assert 0.10 < most_frequent < 0.12, "one in nine"

# %%
# .. _lstm-is-sequence-first:
#
# What goes wrong
# ---------------
# **batch_first is forgotten.** We take the same network, but its layer is made
# without ``batch_first=True``. Which error do you expect?

torch.manual_seed(0)
forgetful = RowReader()
forgetful.gru = nn.GRU(28, 32)  # batch_first is forgotten
print(tuple(forgetful(x_val[:8]).shape))
right_forgetful = learn(forgetful)
print(f"batch_first forgotten: {right_forgetful:.1%} right")

# %%
# There is no error, the shape is right, and the training runs to its end. But
# the answers are no better than guessing. To see why, give eight images to both
# kinds of layer. Then erase one image, by setting its pixels to 0, and look at
# which outputs change. Do this with each of the eight in turn:


def changed_by_erasing(layer, images):
    before, _ = layer(images)
    lines = []
    for i in range(len(images)):
        erased = images.clone()
        erased[i] = 0
        after, _ = layer(erased)
        difference = (after - before).abs()  # (8, 28, 32)
        largest = difference.amax(dim=(1, 2))  # (8,)
        lines.append(largest > 1e-4)
    return torch.stack(lines)  # (8, 8), erased image and changed output


# %%
# We print the shapes as well, and how many images end with a blank row.

images = x_val[:8]  # (8, 28, 28)
states = {}
changed = {}
with torch.no_grad():
    for batch_first in [False, True]:
        layer = nn.GRU(28, 32, batch_first=batch_first)
        output, states[batch_first] = layer(images)
        changed[batch_first] = changed_by_erasing(layer, images)
        print(f"batch_first={batch_first}: output {tuple(output.shape)},")
        print(f"  state {tuple(states[batch_first].shape)},")
        print(f"  changed {changed[batch_first].sum().item()} of 64")
blank = (x_val[:, -1].amax(dim=1) == 0).float().mean().item()
print(f"images whose last row is blank: {blank:.0%}")

# %%
# .. alt:: Two grids of eight by eight cells. The row is the erased image, the
#    column the output. Without the batch first, the diagonal and everything to
#    the right of it is filled, 36 cells. With the batch first, only the
#    diagonal is filled, 8 cells.

# %%
# .. drawing::

figure, axes = plt.subplots(
    1, 2, figsize=(5.6, 3.5), sharey=True, layout="constrained"
)
for axis, batch_first in zip(axes, [False, True], strict=True):
    grid = changed[batch_first]
    axis.imshow(grid.float().numpy(), cmap="Blues", vmin=0, vmax=1.3)
    axis.set_xticks(torch.arange(7).numpy() + 0.5, minor=True)
    axis.set_yticks(torch.arange(7).numpy() + 0.5, minor=True)
    axis.grid(which="minor", color="0.7", linewidth=0.6)
    axis.tick_params(which="minor", length=0)
    axis.set(title=f"batch_first={batch_first}", xticks=range(8))
    axis.set(xlabel="output of image", yticks=range(8))
axes[0].set(ylabel="erased image")

# %%
# With ``batch_first=True``, the output of an image changes only if this image
# is erased: 8 of 64. Without it, each output also depends on all images before
# it: 8 + 7 + 6 + 5 + 4 + 3 + 2 + 1 = 36 of 64. The layer took (8, 28, 28) for
# *8 steps* of a batch of *28 sequences*. So it went from one image to the next.
# Our network answers from row 27 of each image. For the layer, these rows are a
# sequence of their own: row 27 of image 0, then of image 1, and so on. In it,
# the layer never sees rows 0 to 26, and row 27 is blank in 99 % of the images.
#
# Why was there no error? The layer checks that the last axis has as many
# features as it was made for. B and T may have any length. So the shape of
# ``output`` is the same in both cases, but ``state`` gives the mistake away:
# its axis 1 has to be as long as the batch, 8, and it is 28. (A network that
# takes ``state[-1]`` instead of ``output[:, -1]`` returns 28 answers for 8
# images, and the loss raises an error.) These layers need ``batch_first=True``:
#
# .. list-table::
#    :header-rows: 1
#
#    * - Layer
#      - takes
#      - returns
#      - ``batch_first``
#    * - ``nn.Embedding``
#      - (B, T)
#      - (B, T, E)
#      - not needed
#    * - ``nn.Linear``
#      - (B, T, E)
#      - (B, T, H)
#      - not needed
#    * - ``nn.GRU``, ``nn.RNN``
#      - (B, T, E)
#      - (B, T, H) and (1, B, H)
#      - say ``True``
#    * - ``nn.MultiheadAttention``
#      - (B, T, E), three times
#      - (B, T, E) and (B, T, T)
#      - say ``True``

# %%
# .. check::

assert right_forgetful < 0.2, "no better than guessing"
assert changed[False].sum() == 36, "36 of 64"
assert changed[True].sum() == 8, "8 of 64"
assert changed[True].equal(torch.eye(8) > 0), "only the image itself"
assert changed[False].equal(torch.ones(8, 8).triu() > 0), "and all after it"
assert states[False].shape == (1, 28, 32), "28, not 8"
assert states[True].shape == (1, 8, 32), "as long as the batch"
assert blank > 0.95, "row 27 is blank in nearly all images"

# %%
# Recipe
# ------
# Classify sequences of different lengths. Number your words from 1, and keep 0
# for the padding. The data are made up: random numbers from 1 to 9, and the
# class says whether a 1 is among them.

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

torch.manual_seed(0)
lengths = torch.randint(3, 9, (500,))
sequences = [torch.randint(1, 10, (n,)) for n in lengths.tolist()]
numbers = pad_sequence(sequences, batch_first=True)  # (500, 8)
y = ((numbers == 1).sum(dim=1) > 0).to(torch.int64)  # is there a 1?


# %%
# The model, for any number of words and of classes. ``padding_idx=0`` keeps row
# 0 of the table at zero, in training too:


class SequenceClassifier(nn.Module):
    def __init__(self, words, classes):
        super().__init__()
        self.embedding = nn.Embedding(words + 1, 8, padding_idx=0)
        self.gru = nn.GRU(8, 16, batch_first=True)
        self.scores = nn.Linear(16, classes)

    def forward(self, numbers, lengths):  # (B, T) and (B,)
        x = self.embedding(numbers)  # (B, T, 8)
        packed = pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        _, state = self.gru(packed)  # (1, B, 16)
        return self.scores(state[-1])  # (B, classes)


# %%
# It learns from 400 sequences. The other 100 are kept back.

model = SequenceClassifier(words=9, classes=2)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
model.train()
for _ in range(200):
    loss = cross_entropy(model(numbers[:400], lengths[:400]), y[:400])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Here is the accuracy on the 100, beside the rule that always names the more
# frequent class, and the answer for one new sequence:

model.eval()
new = torch.tensor([[5, 1, 7, 2]])
with torch.no_grad():
    answers = model(numbers[400:], lengths[400:]).argmax(dim=1)
    new_answer = model(new, torch.tensor([4])).argmax(dim=1)
right_recipe = (answers == y[400:]).float().mean()
most = y[400:].bincount().max() / 100
print(f"right: {right_recipe:.0%}, always the same class: {most:.0%}")
print("new sequence:", new_answer.item())

# %%
# .. check::

assert right_recipe > 0.9, "the recipe learns"
assert right_recipe > most + 0.2, "far better than the baseline"
assert new_answer == 1, "there is a 1 in it"

# %%
# What you learned
# ----------------
# - Layers for sequences take (batch, steps, features). ``nn.Embedding`` makes
#   this shape from word numbers (batch, steps), by picking rows of a table.
# - A recurrent layer returns the memory after each step, (B, T, H), and the
#   last one, (1, B, H). Attention returns (B, T, E) and weights (B, T, T).
# - Say ``batch_first=True`` to recurrent layers and to attention. Otherwise the
#   examples of a batch are mixed up, and there is no error.
# - Pad sequences of different lengths, and pass on the lengths: packed for a
#   recurrent layer, as a ``key_padding_mask`` for attention.
# - To test a layer, erase one example. Only its own output may change.
#
# Exercises
# ---------
# 1. **Predict.** Five sentences of seven words go through ``nn.Embedding(100,
#    6)`` and then through ``nn.GRU(6, 9, num_layers=2, batch_first=True)``.
#    What are the shapes of the embedding's output, and of the two results of
#    the GRU?
# 2. **Change.** Give ``x_padded``, the padded batch, to ``attention``, with and
#    without a mask. The mask is ``True`` at the padding. Make it from
#    ``true_lengths``, by comparing with the numbers of the steps, 0, 1 and 2.
#    Show that with the mask, the first two outputs of "hot tea" are the same as
#    alone.
# 3. **Extend.** ``nn.GRU(28, 16, batch_first=True, bidirectional=True)`` reads
#    each image twice, from the top and from the bottom, and puts the 16 numbers
#    of both ways side by side. On how many rows of an image does the first half
#    of ``output[:, -1]`` depend, and on how many the second half? Ask the
#    gradient: a row without influence has the gradient 0.

# %%
# .. answer:: 1
#
#    The embedding returns (5, 7, 6). ``output`` has the states of the upper
#    layer only, (5, 7, 9). ``state`` has one state for each of the two layers,
#    (2, 5, 9), and ``state[-1]`` is that of the upper one.

seven_words = torch.randint(0, 100, (5, 7))
embedded = nn.Embedding(100, 6)(seven_words)
two_layers = nn.GRU(6, 9, num_layers=2, batch_first=True)
output, state = two_layers(embedded)
print(tuple(embedded.shape), tuple(output.shape), tuple(state.shape))
print(state[-1].equal(output[:, -1]))

# %%
# .. check::

assert embedded.shape == (5, 7, 6), "one more axis"
assert output.shape == (5, 7, 9), "(B, T, H)"
assert state.shape == (2, 5, 9), "two layers"
assert state[-1].equal(output[:, -1]), "the upper layer"

# %%
# .. answer:: 2
#
#    A step is padding if its number is not below the length. With the mask, the
#    padding gets the weight 0. (The third row of weights belongs to the padding
#    itself. Do not use it, for example in a mean over the steps.)

ignore = torch.arange(3) >= true_lengths.unsqueeze(1)  # (2, 3)
print(ignore)
with torch.no_grad():
    expected, _ = attention(x_alone, x_alone, x_alone)
    unmasked, _ = attention(x_padded, x_padded, x_padded)
    masked, weights = attention(
        x_padded, x_padded, x_padded, key_padding_mask=ignore
    )
print("weights of the second sentence:", weights[1], sep="\n")
print("hot, alone:           ", expected[0, 0])
print("hot, without the mask:", unmasked[1, 0])
print("hot, with the mask:   ", masked[1, 0])

# %%
# .. check::

assert ignore.tolist() == [[False] * 3, [False, False, True]], "one is padding"
assert weights[1, :, 2].tolist() == [0, 0, 0], "the padding gets no weight"
assert (unmasked[1, 0] - expected[0, 0]).abs().max() > 0.01, "it differs"
assert torch.allclose(masked[1, :2], expected[0], atol=1e-6), "as alone"

# %%
# .. answer:: 3
#
#    The first half has read from the top, so at the last step it knows all 28
#    rows. The second half begins at the bottom, so there it has read the last
#    row only. What it knows after all rows is ``output[:, 0, 16:]``. ``state``
#    holds the ends of both ways, so use ``state`` with such layers.

both_ways = nn.GRU(28, 16, batch_first=True, bidirectional=True)
image = x_val[:1].clone().requires_grad_()  # (1, 28, 28)
rows_read = []
for half in [slice(0, 16), slice(16, 32)]:
    output, state = both_ways(image)
    image.grad = None
    output[0, -1, half].sum().backward()
    rows_read.append((image.grad[0].abs().amax(dim=1) > 0).sum().item())
print("rows:", rows_read)
print(state[0].equal(output[:, -1, :16]), state[1].equal(output[:, 0, 16:]))

# %%
# .. check::

assert rows_read == [28, 1], "all rows, and one row"
assert state[0].equal(output[:, -1, :16]), "from the top, after all rows"
assert state[1].equal(output[:, 0, 16:]), "from the bottom, after all rows"
