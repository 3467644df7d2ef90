"""
Sampling and the KV cache
=========================

How does a GPT write a text, quickly, and how much of it is copied?

A trained GPT only gives probabilities for the next character. How we draw from
them decides whether its text is tame or wild. And a program that reads the
whole text again for each new character wastes most of its time.

After this lesson you can

- draw the next character with a temperature and top-k
- write a KV cache, and check that it gives the same text, only faster
- measure how much of a written text is copied from the training texts
"""

# %%
# Setup
# -----

import time

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from handbook import datasets, models

torch.manual_seed(0)

# %%
# Temperature and top-k
# ---------------------
# A GPT ends with a score for each character, the :term:`logits`. Before the
# softmax, they are divided by the :term:`temperature` T, as in
# :doc:`/lessons/learning/07_calibration`. Here are three logits at three
# temperatures:

logits = torch.tensor([[2.0, 1, 0]])
for temperature in [0.5, 1, 2]:
    chances = torch.softmax(logits / temperature, dim=1)
    print(f"T = {temperature}:", chances.numpy().round(2))

# %%
# Below T = 1, the best one gets more. Near T = 0 it gets nearly everything, and
# sampling becomes *greedy*. Above T = 1, the probabilities become more equal.
#
# In a large vocabulary, many characters hardly fit, but together they are drawn
# often. *Top-k* sampling keeps the k largest logits and sets the others to −∞,
# so that their probability is 0. ``topk(k).values`` (:func:`torch.topk`) holds
# the k largest of each row, from large to small, so the last of them is the
# limit.


def draw(logits, temperature=1.0, k=None):
    if k is not None:
        limit = logits.topk(k).values[:, -1:]  # (n, 1)
        logits = logits.masked_fill(logits < limit, -torch.inf)
    return torch.softmax(logits / temperature, dim=1).multinomial(1)


thousand = logits.expand(1000, 3)
from_all = draw(thousand).flatten().bincount(minlength=3).tolist()
from_two = draw(thousand, k=2).flatten().bincount(minlength=3).tolist()
print("all:  ", from_all)
print("top 2:", from_two)

# %%
# .. check::

assert abs(torch.softmax(logits / 0.5, 1)[0, 0] - 0.87) < 0.005, "T = 0.5"
assert abs(torch.softmax(logits, 1)[0, 0] - 0.67) < 0.005, "T = 1"
assert abs(torch.softmax(logits / 2, 1)[0, 0] - 0.51) < 0.005, "T = 2"
assert from_two[2] == 0, "with top 2, the third is never drawn"
assert from_all[2] > 50, "otherwise it is"

# %%
# A GPT that writes quatrains
# ---------------------------
# We split the Tang poems as in :doc:`/lessons/applications/08_gpt`, 250 to
# train and 63 held out, and keep those whose verses all have five characters.
# *Staying Overnight on the Jiande River* by Meng Haoran is held out:

poems = datasets.poems()
generator = torch.Generator().manual_seed(0)
order = torch.randperm(len(poems), generator=generator).tolist()
train_poems = []
test_poems = []
for place, i in enumerate(order):
    lengths = {len(line) for line in poems[i].text.split("\n")}
    if lengths == {12} and place < 250:  # two verses of five, two marks
        train_poems.append(poems[i])
    elif lengths == {12}:
        test_poems.append(poems[i])

titles = [poem.title for poem in test_poems]
river = test_poems[titles.index("宿建德江")]
print(river.text)
print(len(train_poems), "poems to train,", len(test_poems), "held out")

# %%
# | I move my boat, and moor it by a misty isle.
# | At dusk, the traveller's sorrow is new.
# | So wide is the plain that the sky hangs below the trees,
# | so clear the river that the moon comes near to me.
#
# Each line has 13 characters, with its line break. Our pieces start at a line
# break, so that each of the 52 places always has the same role in a verse. The
# model is that of the GPT lesson, trained for 150 steps.

text = "\n" + "".join(poem.text + "\n" for poem in train_poems)
test_text = "".join(poem.text for poem in test_poems)
characters = sorted(set(text + test_text))
codes = {character: i for i, character in enumerate(characters)}
numbers = torch.tensor([codes[character] for character in text])
pieces = numbers.unfold(0, 53, 13)  # (pieces, 53): 52 inputs, 52 targets

torch.manual_seed(0)
gpt = models.Transformer(
    len(characters), max_length=52, width=96, is_causal=True
)
optimizer = torch.optim.AdamW(gpt.parameters(), lr=0.005, fused=True)

# %%


def train(steps):
    for _ in range(steps):
        batch = pieces[torch.randint(0, len(pieces), (8,))]
        scores = gpt(batch[:, :-1])
        loss = cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


train(150)

# %%
# ``write`` starts n texts with a line break. In each round it reads all that
# they have, and appends a character to each. 26 characters make a *quatrain*, a
# poem of four verses. ``decode`` turns numbers into text.


def decode(rows):
    texts = []
    for row in rows.tolist():
        texts.append("".join([characters[i] for i in row]))
    return texts


# %%


def write(n, length, temperature, k=None):
    so_far = torch.full((n, 1), codes["\n"])
    with torch.no_grad():
        for _ in range(length):
            logits = gpt(so_far)[:, -1]  # of all places, only the last
            drawn = draw(logits, temperature, k)
            so_far = torch.cat([so_far, drawn], dim=1)
    return decode(so_far)


for temperature in [0.25, 0.5, 1, 2]:
    torch.manual_seed(0)
    written = write(1, 26, temperature)
    print(f"T = {temperature}{written[0]}")

# %%
# All four use the same random numbers. (Another machine may write other texts.)
# Do not look for a meaning in the whole. Some verses make sense, but rarely
# together, and some marks come too early. We come back to the first text below.
#
# Attention, one place at a time
# ------------------------------
# For each new character, ``write`` computes all earlier places again. Is this
# necessary? Here is causal attention on three places at once. The queries are
# zero, so each place gets the mean of the values up to its own.

queries = torch.zeros(3, 2)
keys = torch.randn(3, 2)
values = torch.tensor([[6.0], [12], [30]])
full = scaled_dot_product_attention(queries, keys, values, is_causal=True)
print("all at once:", full.flatten().tolist())

# %%
# Now the places come one after the other. The :term:`KV cache` holds the keys
# and values of all places so far. Those of the new place are appended, and its
# query looks at all of them.

cached_keys = torch.zeros(0, 2)
cached_values = torch.zeros(0, 1)
one_by_one = []
for i in range(3):
    cached_keys = torch.cat([cached_keys, keys[i : i + 1]])
    cached_values = torch.cat([cached_values, values[i : i + 1]])
    newest = scaled_dot_product_attention(
        queries[i : i + 1], cached_keys, cached_values
    )
    one_by_one.append(newest.item())
print("one by one: ", one_by_one)

# %%
# The results are the same. No mask is needed, because no later place is in the
# cache yet. Old queries are not needed, because each serves only its own place.
# And the old keys and values stay right, because under a causal mask, nothing
# that comes later changes an earlier place.

# %%
# .. check::

assert full.flatten().allclose(torch.tensor([6.0, 9, 16])), "the means"
assert torch.tensor(one_by_one).allclose(full.flatten()), "the same"

# %%
# The KV cache of a GPT
# ---------------------
# ``next_logits`` does what ``gpt`` does, but only for the newest place. These
# are the lines of the block of :doc:`/lessons/architectures/11_gpt`, and those
# marked ``new`` append to the cache. (Our model has one block. With several,
# each needs its own cache. ``unflatten`` splits the last axis into 12 parts,
# four heads each of query, key and value.)


def next_logits(newest, place, cache, is_causal=False):
    x = gpt.embedding(newest) + gpt.positions[place]  # (n, 1, width)
    block = gpt.blocks[0]
    projected = block.attention.in_projection(block.norm1(x))
    parts = projected.unflatten(2, (12, -1)).permute(0, 2, 1, 3)
    query, key, value = parts.chunk(3, dim=1)  # (n, 4 heads, 1, width / 4)
    cache["keys"] = torch.cat([cache["keys"], key], dim=2)  # new
    cache["values"] = torch.cat([cache["values"], value], dim=2)  # new
    mixed = scaled_dot_product_attention(
        query, cache["keys"], cache["values"], is_causal=is_causal
    )
    joined = mixed.permute(0, 2, 1, 3).flatten(2)  # (n, 1, width)
    x = x + block.attention.out_projection(joined)
    x = x + block.network(block.norm2(x))
    return gpt.out(gpt.norm(x))[:, -1]


# %%
# The rest is as in ``write``, but with a cache that is empty at first.


def write_cached(n, length, temperature, k=None, is_causal=False):
    so_far = torch.full((n, 1), codes["\n"])
    empty = torch.zeros(n, 4, 0, 24)  # 4 heads, no place yet, 96 / 4 features
    cache = {"keys": empty, "values": empty}
    with torch.no_grad():
        for place in range(length):
            newest = so_far[:, -1:]
            logits = next_logits(newest, place, cache, is_causal)
            drawn = draw(logits, temperature, k)
            so_far = torch.cat([so_far, drawn], dim=1)
    return decode(so_far)


# %%
# Both functions write 40 texts of 52 characters with the same seed.

torch.manual_seed(1)
start = time.perf_counter()
texts = write(40, 52, temperature=0.5)
slow = time.perf_counter() - start

torch.manual_seed(1)
start = time.perf_counter()
cached_texts = write_cached(40, 52, temperature=0.5)
fast = time.perf_counter() - start

print("the same texts:", cached_texts == texts)
print("places computed for each:", sum(range(1, 53)), "and", 52)
print("more than three times as fast:", slow > 3 * fast)

# %%
# The texts are identical. (Sums are added up in another order, so rounding
# might change a character once in a while.) Without the cache, 1, 2, 3 and so
# on up to 52 places are computed, 1,378 in all. That is 26 times as many. The
# time shrinks less, because each call has a fixed cost. (A part of the gain
# needs no cache: ``write`` computes logits at all places, and throws away all
# but the last.)

# %%
# .. check::

assert cached_texts == texts, "the same texts"
assert abs(1378 / 52 - 26) < 1, "26 times as many"
assert slow > 2 * fast, "faster"

# %%
# What goes wrong
# ---------------
# **A causal mask for one query.** The attention of a GPT says
# ``is_causal=True``, so it is tempting to leave this in. But then
# :func:`torch.nn.functional.scaled_dot_product_attention` takes our only query
# for that of the first place.

masked = scaled_dot_product_attention(queries[2:], keys, values, is_causal=True)
print("without:", one_by_one[2], "with is_causal=True:", masked.item())

# %%
# The third place has seen only the first value, and there is no error. Do the
# texts show it? We compare them, and count those that have the *meter* of a
# quatrain, with all marks where the poem above has them.

marks = "，。？！\n"
form = [character in marks for character in "\n" + river.text + "\n"]

torch.manual_seed(1)
masked_texts = write_cached(40, 52, temperature=0.5, is_causal=True)
formed = 0
for text in masked_texts:
    formed += [character in marks for character in text[:27]] == form
print("the same texts:", masked_texts == texts)
print("with the right meter:", formed, "of 40")
print(masked_texts[0][:27])

# %%
# They look as good as before. The position and the newest character are enough
# to know where a mark belongs. But of the rest of the text, the model sees only
# the line break at the start. What reveals the mistake is the comparison with
# the texts without a cache.

# %%
# .. check::

assert masked.item() == values[0].item(), "only the first value"
assert masked_texts != texts, "not the same"
assert formed > 30, "they look as good as before"

# %%
# **Copying looks like writing.** We look for the longest run of characters that
# a text shares with a training poem. Marks and line breaks do not count.

source = "|".join(poem.text for poem in train_poems)
for mark in marks:
    source = source.replace(mark, "")


def longest_copy(text):
    for mark in marks:
        text = text.replace(mark, "")
    longest = ""
    for start in range(len(text)):
        end = start + len(longest) + 1  # try to find a longer one
        while end <= len(text) and text[start:end] in source:
            longest = text[start:end]
            end += 1
    return longest


# %%
# At T = 0.25, our machine wrote this:
#
# | 浮云游子意 · Drifting clouds, the thoughts of a traveller.
# | 何处寻行迹 · Where should I look for the tracks?
# | 三日依丛适 · Three days, by the thicket, at ease.
# | 何处寻行迹 · Where should I look for the tracks?
#
# Is it copied, and from whom?

for verse in ["浮云游子意", "何处寻行迹", "三日依丛适"]:
    copied = longest_copy(verse)
    for poem in train_poems:
        for line in poem.text.split("\n"):
            if copied in line:
                print(copied, "<-", line, poem.author)

# %%
# | Drifting clouds, the thoughts of a traveller;
# | the setting sun, the feelings of an old friend. (Li Bai)
# | Fallen leaves fill the empty mountain.
# | Where should I look for the tracks? (Wei Yingwu)
# | By the thicket I rest at ease;
# | along the brook I go, and come again. (Wei Yingwu)
#
# What sounds good here was written by two poets, Li Bai to a friend who leaves,
# and Wei Yingwu to a hermit. That their verses fit together is chance.

# %%
# .. check::

assert longest_copy("浮云游子意") == "浮云游子意", "Li Bai"
assert longest_copy("何处寻行迹") == "何处寻行迹", "Wei Yingwu"
assert longest_copy("三日依丛适") == "依丛适", "Wei Yingwu, too"

# %%
# How much would a real poet share with the training poems? We ask the same of
# the held-out poems, up to the same length. The model writes 20 quatrains for
# each of five seeds.


def judge(temperature, k=None):
    rows = []
    for seed in range(5):
        torch.manual_seed(seed)
        copied = 0
        formed = 0
        for text in write_cached(20, 26, temperature, k):
            copied += len(longest_copy(text))
            formed += [character in marks for character in text] == form
        rows.append([copied / 20, formed / 20])
    return torch.tensor(rows)  # (5 seeds, 2)


# %%

temperatures = [0.25, 0.5, 0.75, 1, 1.5, 2]
after_150 = torch.stack([judge(each) for each in temperatures])
top_10 = judge(2, k=10)
train(150)
after_300 = torch.stack([judge(each) for each in temperatures])
held_out = [len(longest_copy(poem.text[:25])) for poem in test_poems]

# %%
# After 150 steps, the length of the longest copy, and the share with the right
# meter (mean ± standard deviation over the five seeds, with one model):

mean = after_150.mean(dim=1)
std = after_150.std(dim=1)
for i, temperature in enumerate(temperatures):
    print(
        f"T = {temperature:4.2f}: {mean[i, 0]:.1f} ± {std[i, 0]:.1f}", end=", "
    )
    print(f"meter {mean[i, 1]:.0%} ± {std[i, 1]:.0%}")
print(f"T = 2, top 10: {top_10[:, 0].mean():.1f}", end=", ")
print(f"meter {top_10[:, 1].mean():.0%}")
real = sum(held_out) / len(held_out)
print(f"held-out poems: {real:.1f}, at most {max(held_out)}")

# %%
# .. alt:: Two panels against the temperature, from 0.25 to 2, with a curve for
#    150 training steps and one for 300. Above, the longest copied run falls
#    from 6 to 2 after 150 steps, and from 11 to 2 after 300. A dotted line for
#    held-out poems is at 2. Below, the share with the right meter is above 0.9
#    up to T = 1, and falls to 0.0 and 0.2 at T = 2.

# %%
# .. drawing::

figure, axes = plt.subplots(
    2, sharex=True, figsize=(5, 4.6), layout="constrained"
)
above, below = axes
for result, steps, style in [(after_150, 150, "o-"), (after_300, 300, "s--")]:
    mean = result.mean(dim=1).numpy()
    std = result.std(dim=1).numpy()
    for axis, column in [(above, 0), (below, 1)]:
        axis.errorbar(
            temperatures,
            mean[:, column],
            yerr=std[:, column],
            fmt=style,
            capsize=3,
            label=f"{steps} steps",
        )
above.axhline(real, color="gray", linestyle=":", label="held-out poems")
above.set(ylabel="longest copied run", ylim=0)
above.legend()
below.set(xlabel="temperature", ylabel="right meter", ylim=(0, 1.05))

# %%
# Up to T = 1, this model copies two to three times as long runs as real poems
# have. At T = 2 they are no longer than in real poems, but hardly any quatrain
# is left. With top-10, half of the texts have the meter again, and longer
# copies, too. After 300 steps, the model copies much more. No setting that we
# tried gives both the meter and copies as short as those of the poets.

# %%
# .. check::

assert after_150[:4, :, 0].mean(1).min() > 1.7 * real, "about two times"
assert after_150[:4, :, 0].mean(1).max() < 3.5 * real, "to three times"
assert after_150[:4, :, 1].mean(1).min() > 0.75, "the meter holds up to T = 1"
assert after_150[5, :, 0].mean() < real + 0.3, "at T = 2 no more than they do"
assert after_150[5, :, 1].mean() < 0.2, "hardly any quatrain"
assert abs(top_10[:, 1].mean() - 0.5) < 0.15, "top-10: half of the cases"
assert top_10[:, 0].mean() > real + 0.7, "and more copying"
assert (
    after_300[:4, :, 0].mean(1) > 1.3 * after_150[:4, :, 0].mean(1)
).all(), "300 steps: much more"
assert max(held_out) < 5, "real poems share little"

# %%
# In production
# -------------
# The cache grows with every character of every text, and for long texts it can
# need more memory than the weights. Programs reserve it once, because
# ``torch.cat`` copies it at every step. Where a text becomes longer than
# ``max_length`` and loses its oldest characters, all others get new positions,
# and the cache is wrong. And if the training texts are protected or private,
# search them for what the model writes before you show it.
#
# Recipe
# ------
# Attention with a cache that also takes several new places at once, such as the
# beginning of a text (a *prompt*). The last query sees everything, the one
# before it all but the last place, and so on.

import torch
from torch.nn.functional import scaled_dot_product_attention


def attend(query, key, value, cache):  # each (..., new places, features)
    if cache:
        key = torch.cat([cache["key"], key], dim=-2)
        value = torch.cat([cache["value"], value], dim=-2)
    cache["key"] = key
    cache["value"] = value
    new = query.shape[-2]
    total = key.shape[-2]
    keep = torch.ones(new, total, dtype=torch.bool).tril(total - new)
    return scaled_dot_product_attention(query, key, value, attn_mask=keep)


# %%
# The test that belongs to it: six places, then one, then three must give the
# same as all ten at once.

torch.manual_seed(0)
query, key, value = torch.randn(3, 2, 4, 10, 8)  # 2 texts, 4 heads, 10 places
expected = scaled_dot_product_attention(query, key, value, is_causal=True)
cache = {}
outputs = []
for places in [slice(0, 6), slice(6, 7), slice(7, 10)]:
    outputs.append(
        attend(
            query[:, :, places], key[:, :, places], value[:, :, places], cache
        )
    )
difference = (torch.cat(outputs, dim=2) - expected).abs().max().item()
print("the cache is right:", difference < 1e-5)

# %%
# One of four characters, with top-2 and T = 0.8:

scores = torch.tensor([[2.0, 1, 0, -1]])
limit = scores.topk(2).values[:, -1:]
kept = scores.masked_fill(scores < limit, -torch.inf)
chosen = torch.softmax(kept / 0.8, dim=1).multinomial(1).item()
print("drawn:", chosen)

# %%
# .. check::

assert difference < 1e-5, "the cache is right"
assert chosen in [0, 1], "one of the top 2"

# %%
# What you learned
# ----------------
# - A low temperature sharpens the probabilities, a high one evens them out.
#   Top-k never draws what is not among the k best.
# - A KV cache keeps the keys and values of earlier places, so that only the
#   newest place is computed. The text stays the same.
# - One query with ``is_causal=True`` sees only the first key. Nothing reports
#   it, so compare with the text without a cache.
# - Compare copies with those of real held-out texts. Wherever this model kept
#   the meter, its copies were longer.
#
# Exercises
# ---------
# 1. **Predict.** Both functions write a text of 1,000 characters. How many
#    places does each compute? And how many numbers does the cache hold at the
#    end, with one block of width 96?
# 2. **Change.** *Top-p* keeps as few of the most likely characters as have
#    together a probability of at least p. Write it for one row of logits. How
#    many are kept with p = 0.8, for the logits 2, 1, 0 and for 5, 1, 0?
# 3. **Extend.** Write an *acrostic*: the four lines, of two verses each, begin
#    with 春 (spring), 江 (river), 秋 (autumn) and 月 (moon). Put these
#    characters where ``write_cached`` would draw the first one of a line.

# %%
# .. answer:: 1
#
#    500,500 without the cache and 1,000 with it. The cache holds 2 · 96 · 1,000
#    = 192,000 numbers, because there are a key and a value for each place.

print(sum(range(1, 1001)), 2 * 96 * 1000)

# %%
# .. check::

assert sum(range(1, 1001)) == 500_500, "without the cache"

# %%
# .. answer:: 2
#
#    Two and one. Top-k keeps as many where the model is sure as where it is
#    not. Top-p keeps fewer where it is sure. A character is kept if those
#    before it do not reach p yet.


def keep_top_p(logits, top_p):
    chances = torch.softmax(logits, dim=0)
    order = chances.argsort(descending=True)
    before = chances[order].cumsum(dim=0) - chances[order]
    keep = torch.zeros(len(logits), dtype=torch.bool)
    keep[order[before < top_p]] = True
    return logits.masked_fill(~keep, -torch.inf)


unsure = keep_top_p(torch.tensor([2.0, 1, 0]), top_p=0.8)
sure = keep_top_p(torch.tensor([5.0, 1, 0]), top_p=0.8)
print(unsure, sure)

# %%
# .. check::

assert (unsure > -torch.inf).sum() == 2, "two"
assert (sure > -torch.inf).sum() == 1, "one"

# %%
# .. answer:: 3
#
#    Each line has 13 characters with its line break, so lines begin at the
#    places 0, 13, 26 and 39. On our machine, the first line says: "A light
#    breeze comes to the spring grass; old love is kept from a good match."

so_far = torch.tensor([[codes["\n"]]])
empty = torch.zeros(1, 4, 0, 24)
cache = {"keys": empty, "values": empty}
beginnings = list("春江秋月")
torch.manual_seed(0)
with torch.no_grad():
    for place in range(51):
        newest = so_far[:, -1:]
        logits = next_logits(newest, place, cache)
        drawn = draw(logits, temperature=1.0, k=10)
        if place % 13 == 0:
            drawn = torch.tensor([[codes[beginnings[place // 13]]]])
        so_far = torch.cat([so_far, drawn], dim=1)
acrostic = "".join([characters[i] for i in so_far[0].tolist()])
print(acrostic)

# %%
# .. check::

assert acrostic[1::13] == "春江秋月", "the four lines"
