"""
Sampling and the KV cache
=========================

How does a GPT write a text, quickly, and how much of it is copied?

A trained GPT only gives probabilities for the next character, and how we draw
from them decides whether its text is tame or wild.

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
# Below T = 1, the best one gets more, and near T = 0 nearly everything. (For
# T = 0 itself, *greedy* sampling, take ``argmax``, because nothing can be
# divided by 0.) Above T = 1, the probabilities become more equal.
#
# In a large vocabulary, many characters hardly fit, but together they are drawn
# often. *Top-k* sampling keeps the k largest logits, found by ``topk(k)``
# (:func:`torch.topk`), and sets the others to −∞, so that their probability is
# 0. (Logits that are equal to the last of the k are kept, too.)


def draw(logits, temperature=1.0, k=None):
    if k is not None:
        largest = logits.topk(k).values  # (n, k), from large to small
        limit = largest[:, -1:]  # (n, 1)
        logits = logits.masked_fill(logits < limit, -torch.inf)
    return torch.softmax(logits / temperature, dim=1).multinomial(1)


thousand = logits.repeat(1000, 1)  # the same row 1,000 times
from_all = draw(thousand).flatten()
from_two = draw(thousand, k=2).flatten()
print("all:  ", from_all.bincount(minlength=3).tolist())  # how often each
print("top 2:", from_two.bincount(minlength=3).tolist())

# %%
# .. check::

assert abs(torch.softmax(logits / 0.5, 1)[0, 0] - 0.87) < 0.005, "T = 0.5"
assert abs(torch.softmax(logits, 1)[0, 0] - 0.67) < 0.005, "T = 1"
assert abs(torch.softmax(logits / 2, 1)[0, 0] - 0.51) < 0.005, "T = 2"
assert (from_two == 2).sum() == 0, "with top 2, the third is never drawn"
assert (from_all == 2).sum() > 50, "otherwise it is"

# %%
# A GPT that writes quatrains
# ---------------------------
# We split the Tang poems as in :doc:`/lessons/applications/08_gpt`, 250 to
# train and 63 held out, and keep those whose verses all have five characters.
# A line has two verses, two marks and a line break, 13 characters in all.

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

print(len(train_poems), "poems to train,", len(test_poems), "held out")

# %%
# Our pieces start at a line break, so that each of the 52 places always has the
# same role in a line. The model is that of the GPT lesson, trained for 150
# steps.

text = "\n" + "".join(poem.text + "\n" for poem in train_poems)
characters = sorted(set(text))
codes = {character: i for i, character in enumerate(characters)}
numbers = torch.tensor([codes[character] for character in text])
# every 13 characters, a piece of 53 starts
pieces = numbers.unfold(0, 53, 13)  # (pieces, 53): 52 inputs, 52 targets

torch.manual_seed(0)
gpt = models.Transformer(
    len(characters), max_length=52, width=96, is_causal=True
)
# fused: the same steps, only faster
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
# they have, and appends a character to each. A *quatrain*, a poem of four
# verses, takes 26 rounds, because it has four marks and two line breaks, too.


def to_texts(rows):
    texts = []
    for row in rows.tolist():
        texts.append("".join([characters[i] for i in row]))
    return texts


# %%


def write(n, length, temperature, k=None):
    so_far = torch.full((n, 1), codes["\n"])
    with torch.no_grad():
        for i in range(length):
            x = gpt.embedding(so_far) + gpt.positions[: i + 1]
            x = gpt.blocks[0](x)[:, -1]  # of all places, only the last
            logits = gpt.out(gpt.norm(x))
            drawn = draw(logits, temperature, k)
            so_far = torch.cat([so_far, drawn], dim=1)
    return to_texts(so_far)


# %%

for temperature in [0.25, 0.5, 1, 2]:
    torch.manual_seed(0)
    written = write(1, 26, temperature)
    print(f"T = {temperature}{written[0]}")
torch.manual_seed(0)
top_ten = write(1, 26, temperature=2, k=10)
print(f"T = 2, top 10{top_ten[0]}")

# %%
# All five use the same random numbers. (Another machine may write other texts.)
# Some verses make sense, but rarely together. We come back to the first text
# below.
#
# Attention, one place at a time
# ------------------------------
# For each new character, ``write`` computes all earlier places again. Must it?
# Here is causal attention on three places at once, with random queries. Each
# place gets a weighted mean of the values up to its own.

queries = torch.randn(3, 2)
keys = torch.tensor([[1.0, 0], [0, 2], [2, 1]])
values = torch.tensor([[6.0], [12], [30]])
full = scaled_dot_product_attention(queries, keys, values, is_causal=True)
print("all at once:", full.flatten().numpy().round(2))

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
print("one by one: ", torch.tensor(one_by_one).numpy().round(2))
print(torch.cat([cached_keys, cached_values], dim=1))  # the cache at the end

# %%
# The results are the same. No mask is needed, because no later place is in the
# cache yet. Old queries are not needed, because each serves only its own place.
# And the old keys and values stay right, because under a causal mask, nothing
# that comes later changes an earlier place.

# %%
# .. check::

assert full[0].item() == 6, "the first value"
assert torch.tensor(one_by_one).allclose(full.flatten()), "the same"

# %%
# The KV cache of a GPT
# ---------------------
# ``next_logits`` does what ``gpt`` does, but only for the newest place. These
# are the lines of the block of :doc:`/lessons/architectures/11_gpt`, and those
# marked ``new`` append to the cache. (Our model has one block. With several,
# each needs its own cache.)


def next_logits(newest, place, cache, is_causal=False):
    x = gpt.embedding(newest) + gpt.positions[place]  # (n, 1, width)
    block = gpt.blocks[0]
    projected = block.attention.in_projection(block.norm1(x))
    parts = projected.reshape(len(x), -1, 3, 4, 24)  # (n, 1, 3, 4 heads, 24)
    query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (n, 4, 1, 24)
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


def write_cached(n, length, temperature, is_causal=False):
    so_far = torch.full((n, 1), codes["\n"])
    empty = torch.zeros(n, 4, 0, 24)  # 4 heads, no place yet, 96 / 4 features
    cache = {"keys": empty, "values": empty}
    with torch.no_grad():
        for place in range(length):
            newest = so_far[:, -1:]
            logits = next_logits(newest, place, cache, is_causal)
            drawn = draw(logits, temperature)
            so_far = torch.cat([so_far, drawn], dim=1)
    return to_texts(so_far)


# %%
# First, we give both the same piece of the poems, place by place with the
# cache, and all at once to ``gpt``.

piece = pieces[:1, :52]
empty = torch.zeros(1, 4, 0, 24)
piece_cache = {"keys": empty, "values": empty}
differences = []
with torch.no_grad():
    expected = gpt(piece)
    for place in range(52):
        newest = piece[:, place : place + 1]
        logits = next_logits(newest, place, piece_cache)
        difference = (logits - expected[:, place]).abs().max().item()
        differences.append(difference)
print("the same logits:", max(differences) < 1e-3)

# %%
# Both functions write 40 texts of 52 characters with the same seed.

torch.manual_seed(1)
texts = write(40, 52, temperature=0.5)
torch.manual_seed(1)
cached_texts = write_cached(40, 52, temperature=0.5)
same = 0
for written, cached in zip(texts, cached_texts, strict=True):
    same += written == cached
print("at least 36 of 40 texts are the same:", same >= 36)

# %%
# (The two functions add up sums in another order, so rounding may change a
# character once in a while.) Which one is faster? We take the best time of
# three, with 20 texts.

slow = []
fast = []
for _ in range(3):
    start = time.perf_counter()
    write(20, 52, temperature=0.5)
    middle = time.perf_counter()
    write_cached(20, 52, temperature=0.5)
    slow.append(middle - start)
    fast.append(time.perf_counter() - middle)
print("faster with the cache:", min(slow) > min(fast))
print("places computed:", sum(range(1, 53)), "without,", 52, "with it")

# %%
# Without the cache, 1, 2, 3 and so on up to 52 places are computed, 1,378 in
# all. With it, writing was about three times as fast on one core of our
# machine. The time shrinks less than the places, because both must draw as
# often, and each call has a fixed cost.

# %%
# .. check::

assert max(differences) < 1e-3, "the same logits"
assert same >= 36, "the same texts"
assert min(slow) > min(fast), "faster"

# %%
# What goes wrong
# ---------------
# **A causal mask for one query.** The attention of a GPT says
# ``is_causal=True``, so it is tempting to leave this in. But then
# :func:`torch.nn.functional.scaled_dot_product_attention` treats our only query
# as the first place.

masked = scaled_dot_product_attention(queries[2:], keys, values, is_causal=True)
print(f"without: {one_by_one[2]:.2f}, with is_causal=True: {masked.item()}")

# %%
# The third place has seen only the first value, and there is no error. Do the
# texts show it? We compare them with those written without a cache, and count
# those that have the *meter* of a quatrain, with marks and line breaks at the
# right places and nowhere else.

marks = "，。？！\n"
mark_places = [0, 6, 12, 13, 19, 25, 26]
meter = [place in mark_places for place in range(27)]

torch.manual_seed(1)
masked_texts = write_cached(40, 52, temperature=0.5, is_causal=True)
n_right = 0
n_masked = 0
for written, masked_text in zip(cached_texts, masked_texts, strict=True):
    n_right += [each in marks for each in written[:27]] == meter
    n_masked += [each in marks for each in masked_text[:27]] == meter
print("the same texts:", masked_texts == texts)
print(f"with the meter: {n_right} of 40, and {n_masked} with is_causal=True")

# %%
# Many texts still have the meter, because the position and the newest character
# often suffice to know where a mark belongs. (How many depends on the starting
# weights.) But of the rest of the text, the model sees only the line break at
# the start. Only a comparison with texts written without a cache reveals it.

# %%
# .. check::

assert masked.item() == values[0].item(), "only the first value"
assert masked_texts != texts, "not the same"
assert n_right > 28, "with the meter"
assert n_masked >= 10, "many of them still have it"

# %%
# **Copying looks like writing.** We look for the longest run of characters that
# a text shares with a training poem. Marks and line breaks do not count.

# the | keeps a run from crossing into the next poem
source = "|".join(poem.text for poem in train_poems)
for mark in marks:
    source = source.replace(mark, "")


def longest_copy(written):
    for mark in marks:
        written = written.replace(mark, "")
    longest = ""
    for start in range(len(written)):
        for end in range(start + 1, len(written) + 1):
            run = written[start:end]
            if len(run) > len(longest) and run in source:
                longest = run
    return longest


# %%
# At T = 0.25, our machine wrote this:
#
# | 今夜鄜州月 · Tonight, the moon over Fuzhou.
# | 月是故乡明 · The moon is brightest at home.
# | 昨别离言说 · Yesterday parted, away from words.
# | 预来煮子堂 · (This has no meaning.)
#
# Is it copied, and from whom?

for verse in ["今夜鄜州月", "月是故乡明", "昨别离言说"]:
    copied = longest_copy(verse)
    for poem in train_poems:
        for line in poem.text.split("\n"):
            if copied in line:
                print(copied, "<-", line, poem.author)

# %%
# The verses that sound good are from two poems by Du Fu, who misses his wife in
# one and his brothers in the other.

# %%
# .. check::

assert longest_copy("今夜鄜州月") == "今夜鄜州月", "Du Fu"
assert longest_copy("月是故乡明") == "月是故乡明", "Du Fu, too"
assert longest_copy("昨别离言说") == "离言说", "Liu Zongyuan"

# %%
# How much would a real poet share with the training poems? We ask the same of
# the held-out poems, up to the same length. The model writes 20 quatrains for
# each of five seeds.


def judge(temperature):
    rows = []
    for seed in range(5):
        torch.manual_seed(seed)
        copied = 0
        n_right = 0
        for written in write_cached(20, 26, temperature):
            copied += len(longest_copy(written))
            n_right += [each in marks for each in written] == meter
        rows.append([copied / 20, n_right / 20])
    return torch.tensor(rows)  # (5 seeds, 2)


# %%

temperatures = [0.25, 0.5, 0.75, 1, 1.5, 2]
after_150 = torch.stack([judge(temperature) for temperature in temperatures])
train(150)
after_300 = torch.stack([judge(temperature) for temperature in temperatures])
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
real = sum(held_out) / len(held_out)
print(f"held-out poems: {real:.1f}, at most {max(held_out)}")

# %%
# .. alt:: Two panels against the temperature, from 0.25 to 2, with a curve for
#    150 training steps and one for 300. Above, the longest copied run falls
#    from 5 to 2 after 150 steps, and from 19 to 2 after 300. A dotted line for
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
# Up to T = 1, the copied runs of this model are about two to three times as
# long as those of real poems. At T = 2 they are as short, but almost no text is
# still a quatrain. After 300 steps, the model copies much more. No temperature
# that we tried gives, on average, both the meter and copies as short as those
# of the poets. (One can write many texts at T = 1.5, and keep only those with
# the meter.)

# %%
# .. check::

assert after_150[:4, :, 0].mean(1).min() > 1.4 * real, "about two times"
assert after_150[:4, :, 0].mean(1).max() < 4.5 * real, "to three times"
assert after_150[:4, :, 1].mean(1).min() > 0.7, "the meter holds up to T = 1"
assert after_150[5, :, 0].mean() < real + 0.4, "at T = 2 as short"
assert after_150[5, :, 1].mean() < 0.25, "almost no quatrain"
assert after_150[4, :, 1].mean() < 0.8, "at T = 1.5, many lose the meter"
assert (
    after_300[:4, :, 0].mean(1) > 1.3 * after_150[:4, :, 0].mean(1)
).all(), "300 steps: much more"
assert after_300[4, :, 0].mean() > 1.2 * real, "T = 1.5 copies more"
assert after_300[5, :, 1].mean() < 0.5, "and T = 2 has lost the meter"
assert max(held_out) < 5, "real poems share little"

# %%
# In production
# -------------
# The cache grows with every character of every text, and ``torch.cat`` copies
# it at every step, so fast servers reserve it in blocks. Where positions are
# learned, as here, dropping the oldest characters of a long text moves all
# others to new positions, and the cache is wrong.
#
# Recipe
# ------
# Attention with a cache that also takes several new places at once, such as the
# beginning of a text, the *prompt*. (Reading it at once is called *prefill*,
# and then writing one place at a time *decode*.) The last query sees
# everything, the one before it all but the last place, and so on.
# ``causal_lower_right`` of ``torch.nn.attention.bias`` makes the same mask.

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
    keep = torch.ones(new, total, dtype=torch.bool, device=query.device)
    keep = keep.tril(total - new)
    return scaled_dot_product_attention(query, key, value, attn_mask=keep)


# %%
# For two new places of five, ``tril(3)`` keeps the diagonal that starts at the
# top left, all below it, and three diagonals above it:

print(torch.ones(2, 5, dtype=torch.int).tril(3))

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
# .. check::

assert difference < 1e-5, "the cache is right"

# %%
# What you learned
# ----------------
# - A low temperature sharpens the probabilities, and top-k draws only from the
#   k best.
# - With a KV cache, only the newest place is computed, and the text stays the
#   same.
# - One query with ``is_causal=True`` sees only the first key, so compare with
#   the text without a cache.
# - Compare copies with those of real held-out texts.
#
# Exercises
# ---------
# 1. **Predict.** A model with ``max_length=1000`` writes a text of 1,000
#    characters, with each of the two functions. How many places does each
#    compute? And how many numbers does the cache hold at the end, with one
#    block of width 96?
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

held = piece_cache["keys"].numel() + piece_cache["values"].numel()
for_each_place = held // 52
print(sum(range(1, 1001)), for_each_place * 1000)

# %%
# .. check::

assert for_each_place == 2 * 96, "a key and a value for each place"

# %%
# .. answer:: 2
#
#    Two, and one. Top-k keeps as many where the model is sure as where it is
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
#    places 0, 13, 26 and 39. On our machine, the first line says: "The spring
#    wind blows at the green tomb; things of old set behind Liangzhou." Almost
#    all of it is copied: Zhang Qiao wrote "the white sun sets behind
#    Liangzhou".

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
