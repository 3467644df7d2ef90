"""
A GPT block: the causal mask
============================

How does a Transformer learn to write without copying the answer?

A GPT (generative pretrained Transformer) reads a text and guesses what comes
next, at every place at once. That makes it quick to train, but each answer is
in the input, one place further on. If the mask that hides it is
forgotten, the loss becomes wonderfully small and the network cannot write. Here
you build the block, let it write a rhyme, and then see it fail.

After this lesson you can

- write the block of a GPT, and compare it with the one of this handbook
- train it on the characters of a text, and let it write
- notice a missing causal mask, which even the loss on held-out text hides
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from handbook import models

torch.manual_seed(0)

# %%
# Guess the next character
# ------------------------
# A *language model* gets the beginning of a text and guesses the next
# piece, the *token*. Here each character is a token. Inputs and targets come
# from the same text, and the targets are shifted by one place.

text = "abcab"
inputs = text[:-1]
targets = text[1:]
for i in range(len(inputs)):
    print(f"after {inputs[: i + 1]!r} comes {targets[i]!r}")

# %%
# One text of five characters gives four examples. The network computes all four
# guesses in one pass. So the third place, which has to guess "a", must not see
# the fourth one, where the "a" is. The causal mask of
# :doc:`/lessons/architectures/09_attention` hides it.

# %%
# The block
# ---------
# A block of a GPT has two parts. *Attention* fetches from other places, and
# then a small network works on each place by itself. In our block, as in GPT-2,
# both parts have
#
# - a :term:`layer normalization` before them, which gives the features of each
#   place the mean 0 and the variance 1 (and then a learned scale and shift),
# - a :term:`residual connection` around them, which adds their input to what
#   they compute.
#
# We write the block by hand. Its layers with their weights are those of
# :class:`handbook.models.TransformerBlock`, so that we can compare. One linear
# layer computes queries, keys and values together, and ``chunk`` takes them
# apart.


def split(x, heads):
    n, length, width = x.shape
    parts = x.reshape(n, length, heads, width // heads)
    return parts.permute(0, 2, 1, 3)  # (n, heads, length, width / heads)


def block_by_hand(block, x):
    projected = block.attention.in_projection(block.norm1(x))
    query, key, value = projected.chunk(3, dim=2)
    mixed = scaled_dot_product_attention(  # 4 heads
        split(query, 4), split(key, 4), split(value, 4), is_causal=True
    )
    joined = mixed.permute(0, 2, 1, 3).flatten(2)
    x = x + block.attention.out_projection(joined)
    return x + block.network(block.norm2(x))


# %%
# A new block has random weights, which is enough to compare.

block = models.TransformerBlock(width=32, heads=4, is_causal=True)
x = torch.randn(2, 5, 32)  # 2 sequences of 5 places
difference = (block_by_hand(block, x) - block(x)).abs().max().item()
print(f"difference: {difference:.0e}")
print(block.network)

# %%
# There is no difference. (On another machine, it may be a rounding error.) The
# printed network widens each place from 32 numbers to 128 and narrows it to 32
# again. Between its layers is GELU, a smooth relative of ReLU.
#
# Does the mask work? We change the last of the five places, and ask which
# outputs change.

changed = x.clone()
changed[:, 4] += 1
moves = (block(changed) - block(x)).abs().amax(dim=(0, 2)) > 0
print("changed outputs:", moves.tolist())

# %%
# Only the last output has changed. No earlier place saw it.

# %%
# .. check::

assert difference < 1e-5, "by hand as packaged"
assert moves.tolist() == [False, False, False, False, True], "only the last"

# %%
# A text
# ------
# Our text is an old nursery rhyme. Each verse repeats the one before it and
# adds a line. We keep the last verse for judging. Only its first line is new.

parts = [
    "the house that Jack built",
    "the malt that lay in",
    "the rat that ate",
    "the cat that killed",
    "the dog that worried",
    "the cow with the crumpled horn that tossed",
    "the maiden all forlorn that milked",
    "the man all tattered and torn that kissed",
]

# %%
# The loop puts the verses together. Each character becomes a number, also the
# space, the full stop and the line break.

text = ""
for last in range(len(parts)):
    lines = parts[: last + 1]
    lines.reverse()  # the newest first
    text += "This is " + " ".join(lines) + ".\n"
start = text.index("This is the man")

characters = sorted(set(text))
numbers = torch.tensor([characters.index(each) for each in text])
train_numbers = numbers[:start]
test_numbers = numbers[start:]
print(text[start : start + 66])
print(len(train_numbers), "characters,", len(characters), "different ones")

# %%
# Training
# --------
# :class:`handbook.models.Transformer` is an embedding, learned positions, some
# of these blocks (here one), a last layer normalization, and a linear layer
# with a score for each character. Each step takes 16 pieces of 21 characters,
# that is 20 inputs and 20 targets. (``starts`` is a column of 16 numbers, so
# ``starts + torch.arange(21)`` has 16 rows of 21 places.)


def train(model, numbers, steps=100):
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)
    losses = []
    for _ in range(steps):
        starts = torch.randint(0, len(numbers) - 20, (16, 1))
        pieces = numbers[starts + torch.arange(21)]  # (16, 21)
        scores = model(pieces[:, :-1])  # (16, 20, characters)
        # (320, characters) and (320,)
        loss = cross_entropy(scores.flatten(0, 1), pieces[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
# To write, the model gets the text so far. Its scores at the last place,
# ``scores[0, -1]``, become probabilities, ``torch.multinomial`` draws a
# character from them, and this character is appended. So training needs one
# pass for all places, but writing one pass for each character.


def write(model, beginning, length):
    model.eval()
    so_far = torch.tensor([[characters.index(each) for each in beginning]])
    with torch.no_grad():
        for _ in range(length):
            scores = model(so_far[:, -20:])  # it reads 20 at most
            chances = torch.softmax(scores[0, -1], dim=0)
            drawn = torch.multinomial(chances, 1)
            so_far = torch.cat([so_far, drawn.view(1, 1)], dim=1)
    return "".join([characters[number] for number in so_far[0]])


# %%
# Now we train a model and let it write.

torch.manual_seed(0)
model = models.Transformer(len(characters), max_length=20, is_causal=True)
losses = train(model, train_numbers)
print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}")
written = write(model, "This is the ", length=100)
print(written)

# %%
# After 100 steps, it writes words of the rhyme, with many mistakes. One wrong
# character leads to text that it has never seen.

# %%
# .. check::

assert losses[0] > 2.5, "it starts by guessing"
assert losses[-1] < 0.6, "it learns the rhyme"
assert "that" in written, "it writes words"

# %%
# What goes wrong
# ---------------
# **The mask is forgotten.** We train the same model with the mask and without
# it. ``judge`` returns three numbers: the last training loss, the loss on the
# last verse, and the share of right guesses at the *end* of each piece of the
# last verse. Only at the end is the answer not in the input, as when the model
# writes.


def judge(model, losses):
    model.eval()
    pieces = test_numbers.unfold(0, 21, 1)  # every piece of 21 characters
    with torch.no_grad():
        scores = model(pieces[:, :-1])
    loss = cross_entropy(scores.flatten(0, 1), pieces[:, 1:].flatten())
    right = scores[:, -1].argmax(dim=1) == pieces[:, -1]
    return [losses[-1], loss.item(), right.float().mean().item()]


# %%
# Five seeds each. We print the smallest and the largest number.

results = {}
curves = {}
samples = {}
for is_causal in [True, False]:
    rows = []
    for seed in range(5):
        torch.manual_seed(seed)
        model = models.Transformer(
            len(characters), max_length=20, is_causal=is_causal
        )
        losses = train(model, train_numbers)
        rows.append(judge(model, losses))
    curves[is_causal] = losses
    samples[is_causal] = write(model, "This is the ", length=60)
    results[is_causal] = torch.tensor(rows)  # (5, 3)

# %%
# The columns are the three numbers of ``judge``. Below them is what the model
# of the last seed writes.

for is_causal in [True, False]:
    print("mask:", is_causal)
    print("  smallest:", results[is_causal].amin(dim=0).round(decimals=2))
    print("  largest: ", results[is_causal].amax(dim=0).round(decimals=2))
    print("  ", samples[is_causal])

# %%
# Without the mask, the training loss is about 0.1. Even the loss on the last
# verse is far lower than with the mask, because there, too, the answers are in
# the input. But where the next character is not in the input, the model with
# the mask is right in about 80% of the cases, and the one without it in fewer
# than 65%. And the model without the mask writes rubbish.
#
# .. alt:: Training loss against the step, for the last seed. Both curves begin
#    above 3. In between, the loss without the mask is higher (0.8 against 0.6
#    at step 60). At the end it is about 0.1, and with the mask about 0.3.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.plot(curves[True], label="with the mask")
axis.plot(curves[False], "--", label="without")
axis.set(xlabel="step", ylabel="training loss", ylim=(0, 3.6))
axis.legend()

# %%
# A loss that is too good is a warning. The check from above finds a missing
# mask: change the last input. If an earlier output changes, the network sees
# what it should not.

# %%
# .. check::

assert abs(results[False][:, 0].mean() - 0.1) < 0.05, "without: about 0.1"
assert results[False][:, 0].max() < results[True][:, 0].min(), "and lower"
assert results[False][:, 1].max() < results[True][:, 1].min() - 0.3, (
    "even the loss on the last verse is far lower"
)
assert abs(results[True][:, 2].mean() - 0.8) < 0.05, "with the mask about 80%"
assert results[False][:, 2].max() < 0.65, "without fewer than 65%"
assert results[False][:, 2].max() < results[True][:, 2].min(), "fewer"
assert curves[False][60] > curves[True][60], "higher in between"
assert abs(curves[False][60] - 0.8) < 0.1, "without 0.8 at step 60"
assert abs(curves[True][60] - 0.6) < 0.1, "with the mask 0.6 at step 60"
assert abs(curves[True][-1] - 0.3) < 0.1, "with the mask about 0.3"
assert abs(curves[False][-1] - 0.1) < 0.05, "without about 0.1"
assert min(curves[True][0], curves[False][0]) > 3, "both begin above 3"

# %%
# Recipe
# ------
# A small GPT on your own text, with the test for the mask. Here the text is
# made up: 1,000 words, each drawn from the same five.

import torch
from torch import nn

from handbook import models


def sees_later_places(model, numbers):
    model.eval()  # dropout would change the scores, too
    changed = numbers.clone()
    changed[:, -1] = (changed[:, -1] == 0).long()  # 0 to 1, others to 0
    with torch.no_grad():
        before = model(numbers)[:, :-1]
        after = model(changed)[:, :-1]
    return not torch.allclose(before, after, atol=1e-5)


# %%
# ``unfold`` cuts the text into pieces of 17 characters. The first 200 train,
# and the others judge.

torch.manual_seed(0)
words = ["red", "green", "blue", "black", "white"]
drawn = [words[i] for i in torch.randint(0, 5, (1000,)).tolist()]
text = " ".join(drawn)
characters = sorted(set(text))
numbers = torch.tensor([characters.index(each) for each in text])
pieces = numbers.unfold(0, 17, 17)  # (N, 17): 16 inputs and 16 targets
train_pieces, test_pieces = pieces.tensor_split([200])

# %%
# Test the mask before you train.

model = models.Transformer(len(characters), max_length=16, is_causal=True)
print("sees later places:", sees_later_places(model, train_pieces[:, :-1]))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
model.train()
for _ in range(150):
    batch = train_pieces[torch.randint(0, len(train_pieces), (32,))]
    scores = model(batch[:, :-1])
    loss = nn.functional.cross_entropy(
        scores.flatten(0, 1), batch[:, 1:].flatten()
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# The baseline is a uniform guess, with the loss ln 16 = 2.77. No model gets far
# below ln 5 / 5.4 = 0.30, because each word is one of five and takes 5.4
# characters on average, with its space. And what comes after "red whit"?

model.eval()
with torch.no_grad():
    scores = model(test_pieces[:, :-1])
    test_loss = nn.functional.cross_entropy(
        scores.flatten(0, 1), test_pieces[:, 1:].flatten()
    ).item()
    new = torch.tensor([[characters.index(each) for each in "red whit"]])
    guess = characters[model(new)[0, -1].argmax()]
baseline = torch.tensor(len(characters)).log().item()
print(f"loss {test_loss:.2f}, baseline {baseline:.2f}, guess {guess!r}")

# %%
# .. check::

assert not sees_later_places(model, test_pieces[:, :-1]), "the mask is there"
assert sees_later_places(
    models.Transformer(len(characters), max_length=16), test_pieces[:, :-1]
), "without the mask the test says so"
assert test_loss < 0.5, "it knows the words: far below the baseline"
assert abs(baseline - 2.77) < 0.01, "16 different characters"
assert abs(torch.tensor(5.0).log() / 5.4 - 0.3) < 0.01, "the floor, 0.30"
assert guess == "e", "white"

# %%
# What you learned
# ----------------
# - A GPT guesses the next token at every place at once. The targets are the
#   inputs, shifted by one.
# - Its block is attention with a causal mask and a small network. Each has a
#   normalization before it and is added to its input.
# - Without the mask, the loss is lower, even on held-out text, but the model
#   cannot write. Change the last input, and no earlier output may change.
#
# Exercises
# ---------
# 1. **Predict.** The text is "banana". What are the inputs and the targets? In
#    a sequence of 6 places, how many of the 36 weights does the causal mask set
#    to 0?
# 2. **Change.** Write ``write_best`` for the model of the recipe. It takes the
#    character with the highest score instead of drawing one, and reads the last
#    16 characters. Start twice from "red ". Do the two texts differ?
# 3. **Extend.** A simple rival: for each character, count which one follows it
#    most often in the training text, and guess that one. How often is it right
#    at the ends of the pieces of the last verse, compared with the GPT?

# %%
# .. answer:: 1
#
#    The inputs are "banan", and the targets "anana". Each place hides all later
#    ones, so 5 + 4 + 3 + 2 + 1 = 15 weights are 0.

print("banana"[:-1], "banana"[1:])
hidden = (torch.ones(6, 6).tril() == 0).sum().item()
print(hidden, "hidden")

# %%
# .. check::

assert hidden == 15, "15 of 36"

# %%
# .. answer:: 2
#
#    No, both texts are the same, because nothing is drawn at random any more.


def write_best(model, beginning, length):
    so_far = beginning
    with torch.no_grad():
        for _ in range(length):
            codes = [characters.index(each) for each in so_far[-16:]]
            scores = model(torch.tensor([codes]))
            so_far += characters[scores[0, -1].argmax()]
    return so_far


first_text = write_best(model, "red ", length=30)
second_text = write_best(model, "red ", length=30)
print(first_text)
print(second_text)

# %%
# .. check::

assert first_text == second_text, "the same text"

# %%
# .. answer:: 3
#
#    It is right in about half of the cases, and the GPT in about 80%. But a
#    verse that repeats the others can be looked up. A second rival searches the
#    training text for the longest ending of the last 20 characters, and guesses
#    what came next there. It is right in 92%. So on this verse, the GPT is not
#    better than looking up. (``chr`` turns each number into a letter, because
#    we search for text.)

# the recipe has overwritten text and characters
different = int(train_numbers.max()) + 1
counts = torch.zeros(different, different)
for i in range(len(train_numbers) - 1):
    counts[train_numbers[i], train_numbers[i + 1]] += 1
most_often = counts.argmax(dim=1)
guesses = most_often[test_numbers[19:-1]]
rival = (guesses == test_numbers[20:]).float().mean().item()
print(f"rival: {rival:.0%}, GPT: {results[True][:, 2].mean():.0%}")

train_text = "".join([chr(97 + number) for number in train_numbers])
test_text = "".join([chr(97 + number) for number in test_numbers])
right = 0
for i in range(20, len(test_text)):
    size = 20
    while test_text[i - size : i] not in train_text[:-1]:
        size -= 1
    place = train_text.find(test_text[i - size : i])
    right += train_text[place + size] == test_text[i]
looked_up = right / (len(test_text) - 20)
print(f"looked up: {looked_up:.0%}")

# %%
# .. check::

assert abs(rival - 0.5) < 0.1, "about half"
assert rival < results[True][:, 2].min() - 0.2, "the GPT is far better"
assert abs(looked_up - 0.92) < 0.005, "looked up: 92%"
assert looked_up > results[True][:, 2].max(), "the GPT is not better"
