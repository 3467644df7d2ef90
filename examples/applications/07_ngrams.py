"""
N-gram language models: bits per character
==========================================

How well can you guess the next character of a poem by counting alone?

Before you train a Transformer on a text, find out what a table of counts
reaches. On a small text, this baseline is hard to beat. And because it is so
simple, you can see when its score is too good to be true.

After this lesson you can

- judge any model of text in bits per character, and name the floor
- build unigram, bigram and trigram models with smoothing and interpolation
- tell learning from memorizing, and see what leaked poems do to the score
"""

# %%
# Setup
# -----

import math
from collections import Counter

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import cross_entropy

from handbook import datasets, metrics

torch.manual_seed(0)

# %%
# Bits
# ----
# A language model gives each possible next character a probability. Let p be
# that of the character which really comes. Its *surprise* is −log2 p, counted
# in *bits*: a coin toss, with p = 1/2, has 1 bit, and each halving of p adds
# 1 bit. The mean over the text is called *bits per character*. It is the
# :term:`cross-entropy` with the logarithm to base 2, and lower is better. In
# PyTorch, ``log2`` is this logarithm.

chances = torch.tensor([1 / 2, 1 / 4, 1 / 8, 1 / 8])  # of four characters
surprises = -chances.log2()
print("bits:", surprises.tolist())
print("mean:", surprises.mean().item())

# %%
# .. check::

assert surprises.tolist() == [1, 2, 3, 3], "each halving adds a bit"
assert surprises.mean() == 2.25, "the mean"

# %%
# Random digits
# -------------
# No model can foresee a random digit. The best one gives each digit p = 1/10,
# so the floor is log2 10 = 3.322 bits. We count in 2,000 digits how often which
# digit followed which. Each row of counts, divided by its sum, is the guess
# after one digit. Then we judge the table on the same digits and on 2,000 new
# ones.

digits = torch.randint(0, 10, (4000,))
old, new = digits.chunk(2)
followed = torch.zeros(10, 10)
for i in range(len(old) - 1):
    followed[old[i], old[i + 1]] += 1
table = followed / followed.sum(dim=1, keepdim=True)


def digit_bits(table, digits):
    return -table[digits[:-1], digits[1:]].log2().mean().item()


print(f"counted digits: {digit_bits(table, old):.3f} bits")
print(f"new digits:     {digit_bits(table, new):.3f} bits")
print(f"floor:          {math.log2(10):.3f} bits")

# %%
# On the digits that were counted, the table is below the floor. There is
# nothing to learn, so it has memorized chance. On new digits, the same table is
# above the floor.

# %%
# .. check::

assert abs(math.log2(10) - 3.322) < 0.001, "the floor"
assert digit_bits(table, old) < math.log2(10) - 0.01, "below the floor"
assert digit_bits(table, new) > math.log2(10) + 0.01, "above the floor"

# %%
# The table is a network
# ----------------------
# Take a network with one linear layer and no bias. Its input is the last digit,
# one-hot, so the product with the weights picks one row of them. These ten
# numbers are the scores of the next digit. We train with cross-entropy.

weights = torch.zeros(10, 10, requires_grad=True)
optimizer = torch.optim.Adam([weights], lr=0.1)
for _ in range(200):
    loss = cross_entropy(weights[old[:-1]], old[1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

learned = weights.detach().softmax(dim=1)
difference = (learned - table).abs().max().item()
nats = cross_entropy(weights[old[:-1]], old[1:]).item()
print(f"largest difference of a probability: {difference:.0e}")
print(f"loss of the network: {nats:.3f} nats = {nats / math.log(2):.3f} bits")
many = len(old) - 1  # characters that were guessed
print(f"packaged: {metrics.bits_per_character(nats, many, many):.3f} bits")

# %%
# The loss of PyTorch is in *nats*, with the natural logarithm. Divided by ln 2,
# it is in bits. The network has found the table of counts, because no other
# table has a lower cross-entropy on these digits. Counting finds it at once.
# :func:`handbook.metrics.bits_per_character` converts nats to bits, too. It
# takes the numbers of characters and of tokens, because in other models a token
# has several characters.

# %%
# .. check::

assert difference < 1e-3, "the network is the table"
assert abs(nats / math.log(2) - digit_bits(table, old)) < 1e-3, "the same bits"
assert (
    abs(metrics.bits_per_character(nats, many, many) - nats / math.log(2))
    < 1e-6
), "as packaged"

# %%
# Poems
# -----
# :func:`handbook.datasets.poems` loads 313 poems of the Tang dynasty (618 to
# 907). They are in the public domain. Here is one by Li Bai, *Leaving Baidi at
# Dawn*:

poems = datasets.poems()
titles = [poem.title for poem in poems]
leaving = poems[titles.index("早发白帝城")]
print(leaving.author)
print(leaving.text)

# %%
# | At dawn I leave Baidi among coloured clouds;
# | a thousand miles to Jiangling, home in one day.
# | On both banks the gibbons never cease to cry;
# | my light boat has passed ten thousand mountains.
#
# We split whole poems, 250 to count and 63 to judge. No poem is there twice.
# The vocabulary is the characters of all 313 poems, so that each has a chance.
# (Strictly, no model should know which characters the judging poems contain.
# Here every model gets the same list.)


def split(seed):
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(poems), generator=generator).tolist()
    texts = [poems[i].text + "\n\n" for i in order]  # an empty line ends each
    return "\n\n" + "".join(texts[:250]), "\n\n" + "".join(texts[250:])


train_text, test_text = split(seed=0)
vocabulary = set(train_text + test_text)
print(len(vocabulary), "characters")
print(len(train_text), "places to count,", len(test_text), "to judge")

# %%
# .. check::

assert leaving.text in test_text, "the poem is one of those that judge"
assert len(poems) == 313, "the poems"
assert len({poem.text for poem in poems}) == 313, "none is there twice"

# %%
# Unigram, bigram, trigram
# ------------------------
# An *n-gram* is n characters in a row. A trigram model looks at the last two
# characters, its *context*, and guesses the third. A bigram model has a context
# of one character, and a unigram model has none. To count, we use a ``Counter``
# of the standard library, a dictionary in which every count begins at 0.

letters = Counter("banana")
print(letters)
print(letters["x"])

# %%
# ``count`` counts every n-gram, how often each context occurs, and how many
# different characters follow it.


def count(text, longest):
    grams = Counter()
    totals = Counter()
    kinds = Counter()
    for n in range(1, longest + 1):
        for i in range(n - 1, len(text)):
            context = text[i - n + 1 : i]
            gram = context + text[i]
            if grams[gram] == 0:
                kinds[context] += 1
            grams[gram] += 1
            totals[context] += 1
    return grams, totals, kinds


# %%
# The trouble is what was never counted. A count of 0 would give p = 0, and one
# infinite surprise spoils the mean. So we *smooth*: we take a discount d = 0.9
# from each count, and hand out what was taken in the way of the shorter model:
#
# .. math::
#
#    p = \frac{\max(\text{count} - d,\ 0) + d \cdot \text{kinds} \cdot
#    p_\text{shorter}}{\text{total}}
#
# Here "count" says how often the character followed the context, "total" how
# often any did, and "kinds" how many different ones did. The last symbol is the
# probability by the shorter model. If a context was seen once, the character
# that followed it keeps 0.1, and 0.9 is handed out. Such a mixture of models is
# an *interpolation*. The trigram asks the bigram, the bigram the unigram, and
# the unigram a uniform guess.


def probability(counts, context, character, n, d=0.9):
    grams, totals, kinds = counts
    p = 1 / len(vocabulary)  # the uniform guess
    for length in range(min(n, len(context) + 1)):
        last = context[len(context) - length :]  # from short to long
        if totals[last] > 0:
            kept = max(grams[last + character] - d, 0)
            p = (kept + d * kinds[last] * p) / totals[last]
    return p


def bits(counts, text, n, d=0.9):
    surprise = 0.0
    for i in range(2, len(text)):
        context = text[:i]
        surprise -= math.log2(probability(counts, context, text[i], n, d))
    return surprise / (len(text) - 2)


# %%
# We repeat everything for five random splits, and print the mean and the
# standard deviation.

rows = []
for seed in range(5):
    train_text, test_text = split(seed)
    counts = count(train_text, longest=3)
    rows.append([bits(counts, test_text, n) for n in [1, 2, 3]])
result = torch.tensor(rows)  # (5 splits, 3 models)

print(f"uniform: {math.log2(len(vocabulary)):.2f}")
for i, name in enumerate(["unigram", "bigram", "trigram"]):
    print(f"{name}: {result[:, i].mean():.2f} ± {result[:, i].std():.2f}")
difference = result[:, 2] - result[:, 1]
print("trigram − bigram:", " ".join(f"{each:.3f}" for each in difference))

# %%
# One character of context saves 0.7 bits. The second one saves nothing. In each
# split, the trigram is a little worse than the bigram. Why? We ask how many
# pairs and triples of the judging poems were counted at all.

train_text, test_text = split(seed=0)
counts = count(train_text, longest=5)
grams = counts[0]
known = {}
for n in [2, 3]:
    hits = 0
    for i in range(2, len(test_text)):
        hits += grams[test_text[i - n + 1 : i + 1]] > 0
    known[n] = hits / (len(test_text) - 2)
    print(f"{n}-grams that were counted: {known[n]:.0%}")

# %%
# Only every seventh triple was counted. With so little text, the trigram rarely
# knows more than the bigram. So the number to beat is that of the bigram.
#
# Where are the bits? Here are those of the poem from above, by the bigram.

previous = "\n"
costs = {}
for line in leaving.text.split("\n"):
    for character in line:
        p = probability(counts, previous, character, n=2)
        costs[character] = -math.log2(p)
        print(character, f"{costs[character]:.0f}", end="  ")
        previous = character
    previous = "\n"
    print()

# %%
# After 千 (a thousand), the 里 (miles) costs only 3 bits. The 猿 (gibbons) costs
# 12, more than a uniform guess. The comma and the full stop cost 2 or 3 bits
# each time, although every verse of this poem has seven characters. The bigram
# cannot count to seven. Whether a GPT can, you will see in
# :doc:`/lessons/applications/08_gpt`.

# %%
# .. check::

assert result[:, 0].max() < math.log2(2450), "below the uniform guess"
assert abs(result[:, 0].mean() - result[:, 1].mean() - 0.7) < 0.05, "0.7 bits"
assert difference.min() > 0, "the trigram is worse in each split"
assert difference.max() < 0.05, "but only a little"
assert abs(known[3] - 1 / 7) < 0.02, "every seventh triple"
assert abs(costs["里"] - 3) < 0.6, "3 bits"
assert abs(costs["猿"] - 12) < 0.6, "12 bits"
assert costs["猿"] > math.log2(2450), "more than a uniform guess"
assert max(costs["，"], costs["。"]) < 3.5, "2 or 3 bits"

# %%
# What goes wrong
# ---------------
# **Memorizing looks like learning.** We judge longer and longer n-grams, on
# 5,000 of the characters that they counted, and on the new poems.

counted = []
unseen = []
for n in range(1, 6):
    counted.append(bits(counts, train_text[:5000], n))
    unseen.append(bits(counts, test_text, n))
    print(f"n = {n}: counted {counted[-1]:.2f}, new {unseen[-1]:.2f}")

# %%
# .. alt:: Bits per character against n, from 1 to 5. On the poems that were
#    counted, the line falls from 9 to below 2. On new poems it falls from 9.1
#    to 8.5 at n = 2, and stays there.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.plot(range(1, 6), counted, "o--", label="counted poems")
axis.plot(range(1, 6), unseen, "o-", label="new poems")
axis.set(xlabel="n", ylabel="bits per character", xticks=range(1, 6), ylim=0)
axis.legend()

# %%
# On the counted poems, each further character seems to help. On new poems,
# nothing gets better after n = 2. The long n-grams know verses by heart. We let
# them continue the first four characters of *Seeing Off Meng Haoran* by Li Bai,
# which was counted. Each step appends the most frequent follower of the last
# four.

characters = sorted(vocabulary)
written = "故人西辞"
for _ in range(12):
    frequencies = [grams[written[-4:] + each] for each in characters]
    written += characters[frequencies.index(max(frequencies))]
print(written)

# %%
# | My old friend leaves Yellow Crane Tower in the west;
# | in the mist and blossoms of spring he sails to Yangzhou.
#
# This is Li Bai's couplet, character by character. The model has not written
# it, it has quoted.
#
# **Leakage.** Collections of poems repeat each other. What would we have
# measured if 13 of the 63 judging poems, or all of them, had also been counted?

test_poems = test_text.strip().split("\n\n")
leaky_bigram = {}
leaky_trigram = {}
for n_leaked in [13, 63]:
    copies = "\n\n".join(test_poems[:n_leaked]) + "\n\n"
    leaky = count(train_text + copies, longest=3)
    bigram = bits(leaky, test_text, n=2)
    trigram = bits(leaky, test_text, n=3)
    print(f"{n_leaked} leaked: bigram {bigram:.2f}, trigram {trigram:.2f}")
    leaky_bigram[n_leaked] = bigram
    leaky_trigram[n_leaked] = trigram

# %%
# A fifth of the poems is enough to turn the verdict around. Now the trigram
# wins, because it remembers better. With all of them, it would have 3.5 bits.
#
# **In production**, such models complete words on keyboards and choose between
# guesses in speech recognition. They break where the text changes, since a new
# word is a new n-gram. And leaks hide: a copy in another edition differs in a
# few characters, so comparing whole poems does not find it.

# %%
# .. check::

assert counted == sorted(counted, reverse=True), "each further character"
assert counted[-1] < 2, "below 2"
assert abs(unseen[0] - 9.1) < 0.1, "from 9.1"
assert min(unseen) == unseen[1], "nothing gets better after n = 2"
assert max(unseen[1:]) < 8.55, "about 8.5"
assert written in train_text, "quoted"
assert len(test_poems) == 63, "all of them"
assert leaky_trigram[13] < leaky_bigram[13] - 0.2, "the trigram wins"
assert abs(leaky_trigram[63] - 3.5) < 0.1, "3.5 bits"

# %%
# Recipe
# ------
# A baseline for your own text. Ours is made up of five words in random order.
# The floor is log2 5 / 5.4 = 0.43 bits, because each word is one of five and
# has 5.4 characters on average, with its space.

import math
from collections import Counter

import torch

torch.manual_seed(0)
words = ["red ", "green ", "blue ", "black ", "white "]
text = "".join([words[i] for i in torch.randint(0, 5, (1000,)).tolist()])
start = len(text) * 4 // 5  # remove duplicates before you split
train_text = text[:start]
test_text = text[start:]
size = len(set(text))

# %%
# All n-grams up to n = 5:

grams = Counter()
totals = Counter()
kinds = Counter()
for n in range(1, 6):
    for i in range(n - 1, len(train_text)):
        context = train_text[i - n + 1 : i]
        gram = context + train_text[i]
        if grams[gram] == 0:
            kinds[context] += 1
        grams[gram] += 1
        totals[context] += 1

# %%
# Choose n and the discount on other held-out text, and judge on this one last.
# ``guess`` is ``probability`` again.


def guess(context, character, n, d=0.9):
    p = 1 / size
    for length in range(min(n, len(context) + 1)):
        last = context[len(context) - length :]
        if totals[last] > 0:
            kept = max(grams[last + character] - d, 0)
            p = (kept + d * kinds[last] * p) / totals[last]
    return p


# %%

recipe_bits = {}
for n in range(6):  # n = 0 is the uniform guess
    surprise = 0.0
    for i in range(5, len(test_text)):
        surprise -= math.log2(guess(test_text[i - 5 : i], test_text[i], n))
    recipe_bits[n] = surprise / (len(test_text) - 5)
    print(f"n = {n}: {recipe_bits[n]:.2f} bits per character")
print(f"after 'whit', 'e' has {guess('whit', 'e', n=5):.3f}")

# %%
# .. check::

assert abs(math.log2(5) / 5.4 - 0.43) < 0.005, "the floor"
assert recipe_bits[5] < recipe_bits[2] < recipe_bits[0], "context helps here"
assert recipe_bits[5] > 0.4, "not far below the floor"
assert guess("whit", "e", n=5) > 0.95, "white"

# %%
# What you learned
# ----------------
# - Bits per character are the mean of −log2 p over the text. A uniform guess
#   among k characters has log2 k. For random digits, 3.322 is the floor.
# - A table of counts is what a linear layer on one-hot inputs would learn with
#   cross-entropy.
# - Discount the counts, and fill up with the shorter model. On 250 poems, the
#   bigram is the best with 8.36 ± 0.11 bits, and the trigram adds nothing.
# - Judge on new text only. Text that was counted, or leaked, has a better score
#   the more the model memorizes.
#
# Exercises
# ---------
# 1. **Predict.** A text is made up of 8 characters, all equally likely, in
#    random order. What is the floor? A model gives one of them p = 1/2 and each
#    of the others 1/14. Is it above or below the floor?
# 2. **Change.** We said d = 0.9. Choose it yourself among 0.5, 0.7 and 0.9 for
#    the bigram and the trigram, with the last 50 poems of the 250 that we
#    counted in split 0.
# 3. **Extend.** A program that compresses files is a language model, too. By
#    how many bits per judged character does the output of ``bz2.compress`` grow
#    if the judging poems are appended to the others?

# %%
# .. answer:: 1
#
#    The floor is log2 8 = 3 bits. The model has 3.46 and is above, because
#    nothing is below the floor on average.

model_bits = (1 + 7 * math.log2(14)) / 8
print(f"floor {math.log2(8):.2f}, model {model_bits:.2f}")

# %%
# .. check::

assert math.log2(8) == 3, "the floor"
assert abs(model_bits - 3.46) < 0.005, "above"

# %%
# .. answer:: 2
#
#    Both are best with 0.9. With 0.5, the trigram takes its few counts too
#    seriously.

train_text, test_text = split(seed=0)
train_poems = train_text.strip().split("\n\n")
first_text = "\n\n" + "\n\n".join(train_poems[:200]) + "\n\n"
choosing_text = "\n\n" + "\n\n".join(train_poems[200:]) + "\n\n"
first_counts = count(first_text, longest=3)
bigram_bits = []
trigram_bits = []
for d in [0.9, 0.7, 0.5]:
    bigram_bits.append(bits(first_counts, choosing_text, 2, d))
    trigram_bits.append(bits(first_counts, choosing_text, 3, d))
    print(f"{d}: {bigram_bits[-1]:.2f} {trigram_bits[-1]:.2f}")

# %%
# .. check::

assert bigram_bits == sorted(bigram_bits), "0.9 is the best for the bigram"
assert trigram_bits == sorted(trigram_bits), "and for the trigram"

# %%
# .. answer:: 3
#
#    By about 9.4 bits, so it guesses worse than the unigram. It has to find the
#    bytes of the characters, too.

from bz2 import compress

before = len(compress(train_text.encode()))
after = len(compress((train_text + test_text).encode()))
compressed = 8 * (after - before) / len(test_text)  # 8 bits a byte
print(f"{compressed:.2f} bits per character")

# %%
# .. check::

assert abs(compressed - 9.4) < 0.2, "about 9.4"
assert compressed > unseen[0], "worse than the unigram"
