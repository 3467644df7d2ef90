"""
N-gram language models: bits per character
==========================================

How well can you guess the next character of a poem by counting alone?

Before you train a Transformer on a text, find out what a table of counts
reaches. It takes seconds, and it is so simple that you can see when its score
is too good to be true.

After this lesson you can

- judge any model of text in bits per character, and say what no model can beat
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
# the probability of the character that really comes. Its *surprise* is −log2 p
# (in PyTorch, ``log2``), counted in *bits*: a coin toss, with p = 1/2, has 1
# bit, and each halving of p adds 1 bit. The mean over the text is called *bits
# per character*. It is the :term:`cross-entropy` with the logarithm to base 2,
# and lower is better.

chances = torch.tensor([1 / 2, 1 / 4, 1 / 8, 1 / 4])  # of four that came
surprises = -chances.log2()
print("bits:", surprises.tolist())
print("mean:", surprises.mean().item())

# %%
# .. check::

assert surprises.tolist() == [1, 2, 3, 2], "each halving adds a bit"
assert surprises.mean() == 2, "the mean"

# %%
# Random digits
# -------------
# No model can foresee a random digit. The best one gives each digit p = 1/10.
# So on new digits, no model has fewer than log2 10 = 3.322 bits on average.
# This is the *floor*. We count in 2,000 digits how often each digit followed
# each digit. Each row of counts, divided by its sum, is the guess after one
# digit. Then we judge the table on the same digits and on 2,000 new ones.

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
#
# The loss of PyTorch is in *nats*, with the natural logarithm. Divided by ln 2,
# it is in bits. :func:`handbook.metrics.bits_per_character` does this. It also
# takes the numbers of characters and of tokens, because in other models a token
# has several characters.

nats = cross_entropy(table[new[:-1]].log(), new[1:]).item()
many = len(new) - 1  # characters that were guessed
as_bits = metrics.bits_per_character(nats, many, many)
print(f"{nats:.3f} nats = {as_bits:.3f} bits")

# %%
# .. check::

assert digit_bits(table, old) < math.log2(10) - 0.01, "below the floor"
assert digit_bits(table, new) > math.log2(10) + 0.01, "above the floor"
assert abs(as_bits - digit_bits(table, new)) < 1e-4, "the same bits"
assert abs(as_bits - nats / math.log(2)) < 1e-6, "divided by ln 2"

# %%
# Poems
# -----
# :func:`handbook.datasets.poems` loads 313 poems of the Tang dynasty (618 to
# 907). Here is one by Li Bai, *Leaving Baidi at Dawn*:

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
# We split whole poems, 250 to train and 63 to test. No poem occurs twice. The
# vocabulary is the characters of all 313 poems, so that each has a chance.


def split(seed):
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(poems), generator=generator).tolist()
    texts = [poems[i].text + "\n\n" for i in order]  # an empty line ends each
    return "\n\n" + "".join(texts[:250]), "\n\n" + "".join(texts[250:])


train_text, test_text = split(seed=0)
vocabulary = set(train_text + test_text)
print(len(vocabulary), "characters")
print(len(train_text), "characters to count,", len(test_text), "to test")

# %%
# .. check::

assert leaving.text in test_text, "the poem is a test poem"
assert len(poems) == 313, "the poems"
assert len({poem.text for poem in poems}) == 313, "none occurs twice"
assert len(test_text.strip().split("\n\n")) == 63, "to test"

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
# from each count, and share out what was taken, in proportion to the guess of
# the shorter model:
#
# .. math::
#
#    p = \frac{\max(\text{count} - d,\ 0) + d \cdot \text{kinds} \cdot
#    p_\text{shorter}}{\text{total}}
#
# Here "count" says how often the character followed the context, "total" how
# often any did, and "kinds" how many different ones did. The last symbol is the
# probability by the shorter model. If a context was seen once, the character
# that followed it keeps 0.1, and 0.9 is shared out. If a context was never
# seen, the guess of the shorter model stays. For each context, these p add up
# to 1. If they did not, the bits would mean nothing. The method is called
# *absolute discounting*, and such a mixture of models an *interpolation*. The
# trigram asks the bigram, the bigram the unigram, and the unigram a uniform
# guess.


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
    for i in range(2, len(text)):  # after the empty line
        context = text[max(0, i - n + 1) : i]
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
# One character of context saves 0.7 bits. The second one changes almost
# nothing: with this smoothing, the trigram is 0.01 to 0.03 bits worse in each
# split. Why no better? We ask how many pairs and triples of the test poems were
# counted at all.

train_text, test_text = split(seed=0)
counts = count(train_text, longest=5)  # 4 and 5 for later
grams = counts[0]
known = {}
for n in [2, 3]:
    hits = 0
    for i in range(2, len(test_text)):
        hits += grams[test_text[i - n + 1 : i + 1]] > 0
    known[n] = hits / (len(test_text) - 2)
    print(f"{n}-grams that were counted: {known[n]:.0%}")

# %%
# With so little text, the trigram rarely knows more than the bigram. So the
# number to beat is 8.36, the mean of the bigram. (The best-known smoothing,
# *Kneser–Ney*, does a little better, but there, too, the second character
# changes almost nothing.)
#
# Which characters are hard to guess? Here are the bits of each character of the
# poem above, by the bigram. It is a test poem, so it was not counted.

previous = "\n"
costs = []
for line in leaving.text.split("\n"):
    for character in line:
        p = probability(counts, previous, character, n=2)
        costs.append([character, -math.log2(p)])
        print(character, f"{-math.log2(p):.0f}", end="  ")
        previous = character
    previous = "\n"
    print()

# %%
# After 千 (a thousand), the 里 (miles) costs only 3 bits. The 猿 (gibbons) costs
# 12, more than a uniform guess. The punctuation costs 2 or 3 bits each time,
# although every verse of this poem has seven characters. The bigram cannot
# count to seven. Whether a GPT can, you will see in
# :doc:`/lessons/applications/08_gpt`.

# %%
# .. check::

assert result[:, 0].max() < math.log2(2450), "below the uniform guess"
assert abs(result[:, 0].mean() - result[:, 1].mean() - 0.7) < 0.05, "0.7 bits"
assert difference.min() > 0.005, "0.01 bits worse or more"
assert difference.max() < 0.035, "0.03 bits or less"
assert abs(result[:, 1].mean() - 8.36) < 0.005, "the number to beat"
assert abs(result[:, 1].std() - 0.11) < 0.005, "in the summary"
assert known[3] < 0.2, "the trigram rarely knows more"
assert (
    abs(sum(probability(counts, "千里", each, 3) for each in vocabulary) - 1)
    < 1e-9
), "the p add up to 1"
assert abs(dict(costs)["里"] - 3) < 0.5, "3 bits"
assert abs(dict(costs)["猿"] - 12) < 0.5, "12 bits"
assert dict(costs)["猿"] > math.log2(2450), "more than a uniform guess"
assert all(
    1.5 < cost < 3.5 for character, cost in costs if character in "，。"
), "2 or 3 bits"

# %%
# What goes wrong
# ---------------
# **Memorizing looks like learning.** We judge longer and longer n-grams, on
# 5,000 characters of the training poems, and on the test poems.

counted = []
unseen = []
for n in range(1, 6):
    counted.append(bits(counts, train_text[:5000], n))
    unseen.append(bits(counts, test_text, n))
    print(f"n = {n}: training {counted[-1]:.2f}, test {unseen[-1]:.2f}")

# %%
# .. alt:: Bits per character against n, from 1 to 5. On the training poems, the
#    line falls from 9 to below 2. On the test poems it falls from 9.1 to 8.5 at
#    n = 2, and stays there.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.plot(range(1, 6), counted, "o--", label="training poems")
axis.plot(range(1, 6), unseen, "o-", label="test poems")
axis.set(xlabel="n", ylabel="bits per character", xticks=range(1, 6), ylim=0)
axis.legend()

# %%
# On the training poems, each further character seems to help. On the test
# poems, nothing gets better after n = 2. The long n-grams know verses by heart.
# Take *Seeing Off Meng Haoran* by Li Bai, which is among the training poems. We
# let them continue its first four characters. Each step appends the most
# frequent follower of the last four.

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
# This is Li Bai's couplet, character by character. The model did not write it.
# It quoted.
#
# **Leakage.** Collections of poems repeat each other. What would we have
# measured if 13 of the 63 test poems, or all of them, had also been counted?


def leak(seed, n_leaked):
    train_text, test_text = split(seed)
    leaked = test_text.strip().split("\n\n")[:n_leaked]
    copies = "\n\n".join(leaked) + "\n\n"
    leaky = count(train_text + copies, longest=3)
    return [bits(leaky, test_text, n) for n in [2, 3]]


fifth = torch.tensor([leak(seed, n_leaked=13) for seed in range(5)])  # (5, 2)
gain = fifth[:, 0] - fifth[:, 1]
print("bigram − trigram:", " ".join(f"{each:.2f}" for each in gain))
print(f"trigram, all 63 leaked: {leak(seed=0, n_leaked=63)[1]:.2f}")

# %%
# Leaking a fifth of the test poems is enough to reverse the verdict. Now the
# trigram wins in each split, because it remembers better. With all of them, it
# would have 3.45 bits.
#
# **In production**, leaks hide: a copy in another edition differs in a few
# characters, so comparing whole poems does not find it.

# %%
# .. check::

assert counted == sorted(counted, reverse=True), "each further character"
assert counted[-1] < 2, "below 2"
assert abs(unseen[0] - 9.1) < 0.1, "from 9.1"
assert min(unseen) == unseen[1], "nothing gets better after n = 2"
assert min(unseen[1:]) > 8.4, "to 8.5, not lower"
assert max(unseen[1:]) < 8.55, "and not higher"
assert written in train_text, "quoted"
assert gain.min() > 0.2, "the trigram wins in each split"
assert abs(leak(seed=0, n_leaked=63)[1] - 3.45) < 0.01, "all leaked"

# %%
# Recipe
# ------
# A baseline for your own text. Ours is made up of five words in random order.
# The floor is log2 5 / 5.4 = 0.43 bits, because each word is one of five and
# has 5.4 characters on average, with its space. If your text consists of
# documents, remove copies first, and split whole documents.

import math
from collections import Counter

import torch

torch.manual_seed(0)
words = ["red ", "green ", "blue ", "black ", "white "]
text = "".join([words[i] for i in torch.randint(0, 5, (1000,)).tolist()])
start = len(text) * 4 // 5  # 80 % to count
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

assert len("".join(words)) / 5 == 5.4, "characters in a word"
assert abs(math.log2(5) / len("".join(words)) * 5 - 0.43) < 0.005, "the floor"
assert recipe_bits[5] < recipe_bits[2] < recipe_bits[0], "context helps here"
assert recipe_bits[5] > 0.4, "not far below the floor"
assert guess("whit", "e", n=5) > 0.95, "white"

# %%
# What you learned
# ----------------
# - Bits per character are the mean of −log2 p over the text. A uniform guess
#   among k characters has log2 k. For random digits, 3.322 is the floor.
# - Discount the counts, and fill up with the shorter model. With this
#   smoothing, the bigram, counted on 250 poems, has 8.36 ± 0.11 bits on the
#   other 63, and the trigram gains nothing.
# - Judge on new text only. On text that was counted or leaked, the more a model
#   memorizes, the better it scores.
#
# Exercises
# ---------
# 1. **Predict.** A text is made up of 8 characters, all equally likely, in
#    random order. What is the floor? A model gives one of them p = 1/2 and each
#    of the others 1/14. Is it above or below the floor?
# 2. **Change.** We said d = 0.9. Choose it yourself among 0.5, 0.7, 0.9 and
#    0.97 for the bigram and the trigram. Count the first 200 of the 250
#    training poems of split 0, and judge on the last 50.
# 3. **Extend.** A program that compresses files is a language model, too. By
#    how many bits per test character does the output of ``bz2.compress`` grow
#    if the test poems are appended to the training poems? (It takes bytes,
#    ``text.encode()``.)

# %%
# .. answer:: 1
#
#    The floor is log2 8 = 3 bits. The model has 3.46 and is above, because
#    nothing is below the floor on average.

model_bits = (1 + 7 * math.log2(14)) / 8
print(f"floor {math.log2(8):.2f}, model {model_bits:.2f}")

# %%
# .. check::

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
for d in [0.97, 0.9, 0.7, 0.5]:
    bigram_bits.append(bits(first_counts, choosing_text, 2, d))
    trigram_bits.append(bits(first_counts, choosing_text, 3, d))
    print(f"{d}: {bigram_bits[-1]:.2f} {trigram_bits[-1]:.2f}")

# %%
# .. check::

assert bigram_bits.index(min(bigram_bits)) == 1, "0.9 for the bigram"
assert trigram_bits.index(min(trigram_bits)) == 1, "and for the trigram"
assert trigram_bits[3] > bigram_bits[3] + 0.1, "0.5 is bad for the trigram"

# %%
# .. answer:: 3
#
#    By about 9.4 bits, so ``bz2`` guesses worse than the unigram. It has to
#    find the bytes of the characters, too.

from bz2 import compress

train_text, test_text = split(seed=0)
before = len(compress(train_text.encode()))
after = len(compress((train_text + test_text).encode()))
compressed = 8 * (after - before) / len(test_text)  # 8 bits a byte
print(f"{compressed:.2f} bits per character")

# %%
# .. check::

assert abs(compressed - 9.4) < 0.2, "about 9.4"
assert compressed > unseen[0], "worse than the unigram"
