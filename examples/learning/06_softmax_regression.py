"""
Softmax regression
==================

How does a model choose one of several classes?

A yes or a no is one question with one score. But a digit has ten possible
answers, and a penguin in our table belongs to one of three species. So the
model computes one score for each class, and softmax makes probabilities from
them, which sum to 1. Almost every network that classifies ends in this way,
whatever comes before.

After this lesson you can

- compute softmax and its loss by hand, and get what PyTorch gets
- train a model for several classes, and see which classes it confuses
- recognize a mistake that gives no error: softmax applied twice
"""

# %%
# Setup
# -----

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# From scores to probabilities
# ----------------------------
# Suppose that a model has computed three scores for a penguin, one for each
# species. They are called z₁, z₂ and z₃, and may be any numbers. The
# probability p of class :math:`k` should be large if its score is larger than
# the others. **Softmax** does this in two steps. First it raises e to the
# power of each score, which always gives a positive number. Then it divides
# each of these powers by their sum, so that the results sum to 1:
#
# .. math::
#
#    p_k = \frac{e^{z_k}}{e^{z_1} + e^{z_2} + e^{z_3}}
#
# Try it with two classes and the scores ln 1 and ln 3. The powers are 1 and 3,
# so the probabilities must be ¼ and ¾. With three classes and the scores
# ln 1, ln 2 and ln 5, what do you expect? (``dim=-1`` is the last axis, and
# ``keepdim=True`` keeps it, so that the function also works for a batch.)


def softmax_by_hand(scores):
    powers = scores.exp()
    return powers / powers.sum(dim=-1, keepdim=True)


two = torch.tensor([1.0, 3.0]).log()
three = torch.tensor([1.0, 2.0, 5.0]).log()
print("two classes:  ", softmax_by_hand(two))
print("three classes:", softmax_by_hand(three))
print("PyTorch:      ", torch.softmax(three, dim=-1))

# %%
# The powers 1, 2 and 5 have the sum 8, so the three probabilities are ⅛, ²⁄₈
# and ⅝. The function of PyTorch is ``torch.softmax``, and the scores are called
# :term:`logits`. The class with the largest score has the largest probability,
# so ``argmax`` of the scores is enough if you only want the answer.

# %%
# .. check::

assert torch.allclose(softmax_by_hand(two), torch.tensor([0.25, 0.75])), (
    "1/4 and 3/4"
)
assert torch.allclose(
    softmax_by_hand(three), torch.tensor([0.125, 0.25, 0.625])
), "1/8, 2/8 and 5/8"
assert torch.allclose(softmax_by_hand(three), torch.softmax(three, dim=-1)), (
    "as PyTorch"
)

# %%
# Only differences count
# ----------------------
# What happens if we add 10 to all scores? And what if we add 100?

print("plus 10: ", softmax_by_hand(three + 10))
print("plus 100:", softmax_by_hand(three + 100))
print("powers:  ", torch.tensor([88.0, 89.0]).exp())

# %%
# With 10 more, nothing changes. Each power is multiplied by the same number
# e¹⁰, and so is their sum, so dividing gives the same. With 100 more, the
# probabilities should also be the same, but they are ``nan``. A ``float32``
# goes up to about 3.4 · 10³⁸. The 88th power of e is below that, and the 89th
# is beyond it and becomes infinite. And ∞ / ∞ is not a number.
#
# The first result shows the way out. Since a shift changes nothing, subtract
# the largest score from all of them. Then the largest is 0, its power is 1, and
# nothing can overflow. This is version 2 of the same function, with the changed
# line marked ``# new``:


def softmax_by_hand(scores):
    shifted = scores - scores.amax(dim=-1, keepdim=True)  # new
    powers = shifted.exp()
    return powers / powers.sum(dim=-1, keepdim=True)


print("plus 100:", softmax_by_hand(three + 100))

# %%
# ``torch.softmax`` does the same.
#
# The shift also tells us how softmax belongs to the sigmoid. With two classes,
# subtract the first score from both. The first is then 0, and the second is the
# difference d. Softmax gives the second class eᵈ / (1 + eᵈ). Divide the top
# and the bottom by eᵈ, and it is 1 / (1 + e⁻ᵈ), the sigmoid of d:

scores = torch.tensor([2.0, 5.0])
print("softmax:", torch.softmax(scores, dim=-1)[1])
print("sigmoid:", torch.sigmoid(scores[1] - scores[0]))

# %%
# So :doc:`/lessons/learning/05_logistic_regression` was softmax regression for
# two classes, with the score of "no" fixed at 0.

# %%
# .. check::

assert torch.allclose(
    softmax_by_hand(three + 10), torch.tensor([0.125, 0.25, 0.625])
), "a shift by 10 changes nothing"
assert torch.allclose(
    softmax_by_hand(three + 100),
    torch.tensor([0.125, 0.25, 0.625]),
    atol=1e-5,
), "version 2 does not overflow"
assert torch.tensor(88.0).exp().isfinite(), "e to the 88 is finite"
assert torch.tensor(89.0).exp() == torch.inf, "e to the 89 is infinite"
assert torch.allclose(
    torch.softmax(scores, dim=-1)[1], torch.sigmoid(scores[1] - scores[0])
), "the sigmoid of the difference"

# %%
# The loss and its gradient
# -------------------------
# The loss is the one you know. Look at the probability :math:`p` of the *true*
# class, and take −ln p. The truth is now the number of the class, 0, 1 or 2.
# Here are two penguins, the first of class 2, the second of class 0. For each,
# we pick the probability of its true class, by row and column.

scores = torch.tensor([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]]).log()  # (2, 3)
truth = torch.tensor([2, 0])
p = softmax_by_hand(scores)
given = p[torch.arange(2), truth]
print("for the truth:", given)
print("by hand:", (-given.log()).mean())
print("PyTorch:", cross_entropy(scores, truth))

far = torch.tensor([[0.0, 200.0]])  # very wrong, when class 0 is true
print("far, by hand:", -softmax_by_hand(far)[0, 0].log())
print("far, PyTorch:", cross_entropy(far, torch.tensor([0])))

# %%
# The truth got ⅝ and ¼. The losses are ln 8/5 = 0.47 and ln 4 = 1.39, and their
# mean is 0.93. :func:`torch.nn.functional.cross_entropy` computes all of it
# from the scores (N, C) and the class numbers (N,), where N is the number of
# penguins and C the number of classes. This loss is called
# :term:`cross-entropy`. For very wrong answers ours fails: the probability is
# rounded to 0, and its logarithm is −∞. PyTorch computes the logarithm from the
# scores and gets 200, which is right. So pass scores, not probabilities.
#
# Which way does it push the scores? Take the first penguin alone, with ⅛, ²⁄₈
# and ⅝ and the true class 2, and let autograd answer.

first = torch.tensor([[1.0, 2.0, 5.0]]).log().requires_grad_()
cross_entropy(first, torch.tensor([2])).backward()
print("probabilities:", p[0])
print("gradient:     ", first.grad[0])

# %%
# The gradient is the probability, and for the true class it is the probability
# minus 1. That is ⅛, ²⁄₈ and ⅝ − 1 = −⅜. A step goes against the gradient, so
# the score of the true class rises. The other scores fall, and most of all the
# one with the largest probability. The more certain the right answer is,
# the smaller the gradient becomes, and at p = 1 it is 0. (Exercise 3 trains
# with this formula, without autograd.)

# %%
# .. check::

assert torch.allclose(given, torch.tensor([5 / 8, 1 / 4])), "5/8 and 1/4"
assert torch.allclose((-given.log()).mean(), cross_entropy(scores, truth)), (
    "by hand as PyTorch"
)
assert 0.92 < cross_entropy(scores, truth) < 0.94, "the mean is 0.93"
assert torch.allclose(
    first.grad[0], torch.tensor([1 / 8, 2 / 8, 5 / 8 - 1]), atol=1e-6
), "probability, minus 1 for the truth"
assert (-softmax_by_hand(far)[0, 0].log()).isinf(), "ours becomes infinite"
assert cross_entropy(far, torch.tensor([0])) == 200, "that of PyTorch does not"

# %%
# On real data
# ------------
# The penguins have four measurements (length and depth of the bill, length of
# the flipper, mass) and three species. We shuffle them, keep 100 back, and
# standardize each column with the mean and the standard deviation of the
# *training* set. All data that come later are standardized with the same two.

table = datasets.penguins()
columns = torch.stack(
    [table.bill_length, table.bill_depth, table.flipper_length, table.mass],
    dim=1,
)  # (342, 4)
species = table.species  # (342,)
order = torch.randperm(342)
train = order[:242]
val = order[242:]

mean = columns[train].mean(dim=0)
std = columns[train].std(dim=0)
x = (columns - mean) / std
print("species:", table.names)
print("in the validation set:", species[val].bincount())

# %%
# ``bincount`` has counted how often each class number occurs. So a rule that
# always says "Adelie" would be right for 46 of these 100. Our model is
# ``nn.Linear(4, 3)``. From four measurements it computes three scores, each
# with four weights and a bias of its own, which makes 15 numbers. We train it
# twice, once with our own loss and once with that of PyTorch. The random seed
# is set before each run, so that both start from the same weights.


def loss_by_hand(scores, truth):
    given = softmax_by_hand(scores)[torch.arange(len(truth)), truth]
    return (-given.log()).mean()


def learn(x, y, loss_function):
    model = nn.Linear(x.shape[1], 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(300):
        loss = loss_function(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, loss_function(model(x), y).item()


# %%
# Then we compare the two models, and count how many penguins of the validation
# set the second one gets right.

torch.manual_seed(0)
model_by_hand, last_by_hand = learn(x[train], species[train], loss_by_hand)
torch.manual_seed(0)
model, last = learn(x[train], species[train], cross_entropy)
difference = (model_by_hand.weight - model.weight).abs().max()
print(f"last loss: {last_by_hand:.5f} by hand, {last:.5f} with PyTorch")
print(f"largest difference of two weights: {difference:.0e}")

with torch.no_grad():
    p = torch.softmax(model(x[val]), dim=-1)
right = (p.argmax(dim=-1) == species[val]).float().mean()
largest = p.amax(dim=-1)  # (100,), how certain each answer is
least = largest.argmin()  # the row of the least certain one
print(f"right: {right:.0%}")
print("least certain:", p[least], "truth:", species[val][least])

# %%
# The two losses agree, and the weights differ by rounding errors only. The last
# row shows the three probabilities of the penguin for which the model is least
# certain. They sum to 1, as they do in every row.

# %%
# .. check::

assert sum(each.numel() for each in model.parameters()) == 15, "15 numbers"
assert difference < 1e-4, "only rounding"
assert species[val].bincount()[0] == 46, "46 Adelies"
assert right > 0.95, "nearly all are right"
assert torch.allclose(p.sum(dim=-1), torch.ones(100)), "each row sums to 1"

# %%
# Two measurements, and three regions
# -----------------------------------
# With two measurements we can draw what the model has learned. We take the
# length of the bill and of the flipper, the first and the third column.

pair = columns[:, [0, 2]]
pair_mean = mean[[0, 2]]
pair_std = std[[0, 2]]
x_pair = (pair - pair_mean) / pair_std
small, last_small = learn(x_pair[train], species[train], cross_entropy)


def scores_from_mm(points):
    return small((points - pair_mean) / pair_std)


# %%
# :func:`handbook.plots.decision_boundary` from the last lesson now colours each
# place by the class with the largest score.
#
# .. alt:: The penguins in the plane of bill length and flipper length, over
#    three coloured regions with straight borders that meet in one point.
#    Adelies have short bills and short flippers, Chinstraps long bills and
#    short flippers, Gentoos long flippers. A few points lie in the region of
#    another species, most of them at the border of Adelie and Chinstrap.

# %%
# .. drawing::

panel = plots.decision_boundary(scores_from_mm, pair, species)
panel.set(xlabel="bill length in mm", ylabel="flipper length in mm")
panel.legend(table.names)

# %%
# On the border of two regions the two scores are equal. Each score has the form
# w₁·x₁ + w₂·x₂ + b, and so has the difference of two of them. The border is
# where this difference is 0. So it is a straight line, as in the last lesson.
#
# Some penguins are in the wrong region. One number for all of them hides which
# species suffers, so we count for each species what the answers are. The result
# is a table with one row for each true species and one column for each answer.
# Such a table is called a :term:`confusion matrix`. With so few penguins, a
# single shuffle says little, so we add up the tables of ten.


def count_answers(columns, seed):
    torch.manual_seed(seed)
    order = torch.randperm(342)
    train = order[:242]
    val = order[242:]
    x = (columns - columns[train].mean(dim=0)) / columns[train].std(dim=0)
    model, _ = learn(x[train], species[train], cross_entropy)
    with torch.no_grad():
        answer = model(x[val]).argmax(dim=-1)
    cell = 3 * species[val] + answer  # the place in the table, from 0 to 8
    return cell.bincount(minlength=9).reshape(3, 3)


counts = sum([count_answers(pair, seed) for seed in range(10)])  # (3, 3)
for k in range(3):
    wrong = 1 - counts[k, k] / counts[k].sum()
    print(f"{table.names[k]:10} {counts[k].tolist()}, {wrong:.1%} wrong")

# %%
# Of the Adelies and the Gentoos, one or two in a hundred are wrong. Of the
# Chinstraps it is about one in ten, and most of these are taken for Adelies.
# Near the border of the two the penguins are hard to tell apart, and there are
# fewer Chinstraps than Adelies.

# %%
# .. check::

assert counts.sum() == 1000, "ten times 100"
assert 0.01 < 1 - counts[0, 0] / counts[0].sum() < 0.035, "two Adelies in 100"
assert 0.07 < 1 - counts[1, 1] / counts[1].sum() < 0.14, "a Chinstrap in ten"
assert 0 < 1 - counts[2, 2] / counts[2].sum() < 0.02, "a Gentoo in 100"
assert counts[1, 0] > 2 * counts[1, 2], "mostly taken for Adelies"
assert species.bincount().argmin() == 1, "the fewest are Chinstraps"

# %%
# What goes wrong
# ---------------
# **Softmax twice.** ``cross_entropy`` takes scores and applies softmax itself.
# If you pass probabilities, it takes them for scores. Below is a perfect
# answer, with the probability 1 for the true class 0, and then a training with
# this mistake.

perfect = torch.tensor([[1.0, 0.0, 0.0]])
print("perfect answer:", cross_entropy(perfect, torch.tensor([0])))


def softmax_twice(scores, truth):
    return cross_entropy(torch.softmax(scores, dim=-1), truth)


torch.manual_seed(0)
twice, last_twice = learn(x[train], species[train], softmax_twice)
with torch.no_grad():
    right_twice = (twice(x[val]).argmax(dim=-1) == species[val]).float().mean()
print(f"softmax once:  loss {last:.3f}, right {right:.0%}")
print(f"softmax twice: loss {last_twice:.3f}, right {right_twice:.0%}")

# %%
# A perfect answer should cost 0, but it costs 0.551. The three powers are e, 1
# and 1, so softmax makes e / (e + 2) = 0.58 from the 1, and −ln 0.58 is 0.55.
# (With ten classes it is 1.46.) After 300 steps the answers are as good as with
# one softmax, and this is why the mistake is hard to find. But the loss stays
# above 0.551, where it could be 0.03. If the loss of a classifier stops far
# above 0 while nearly all its answers are right, look first for a softmax that
# is one too many.

# %%
# .. check::

assert 0.551 < cross_entropy(perfect, torch.tensor([0])) < 0.552, (
    "a perfect answer costs 0.551"
)
assert last_twice > 0.551, "the loss cannot get below"
assert abs(right_twice - right) < 0.02, "the answers are as good"
assert last < 0.04, "with one softmax the loss is 0.03"
assert 1.455 < cross_entropy(torch.eye(10)[:1], torch.tensor([0])) < 1.465, (
    "with ten classes 1.46"
)

# %%
# Recipe
# ------
# The data are made up: three groups of points around three centres.

import torch
from torch.nn.functional import cross_entropy

centres = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
y = torch.randint(0, 3, (300,))  # class numbers, int64
x = centres[y] + torch.randn(300, 2)
mean = x[:200].mean(dim=0)  # of the training part
std = x[:200].std(dim=0)
x = (x - mean) / std

model = torch.nn.Linear(2, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for _ in range(200):
    loss = cross_entropy(model(x[:200]), y[:200])  # scores, no softmax
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# Now the 100 points that were kept back:

with torch.no_grad():
    p = torch.softmax(model(x[200:]), dim=-1)
share_right = (p.argmax(dim=-1) == y[200:]).float().mean()
print(f"right: {share_right:.0%}")

# %%
# .. check::

assert share_right > 0.9, "the recipe learns"

# %%
# What you learned
# ----------------
# - Softmax raises e to the power of each score and divides by the sum of these
#   powers. Only differences of scores count, and with two classes it is the
#   sigmoid of the difference.
# - ``cross_entropy`` takes scores (N, C) and class numbers (N,). It computes
#   −ln of the probability of the true class, and the mean over the batch.
# - Its gradient for the scores is the probability, minus 1 for the true class.
# - Do not apply softmax before ``cross_entropy``.
# - Look at the errors of each class, not only at one number for all.
#
# Exercises
# ---------
# 1. **Predict.** The scores are ln 2, ln 2 and ln 6, and the third class is
#    true. What are the probabilities, the loss and the gradient? What changes
#    if you add 7 to each score?
# 2. **Change.** Take the depth of the bill and the mass, the second and the
#    fourth column. Count the answers for each species, with ten shuffles. Which
#    species is lost?
# 3. **Extend.** Train without autograd. Start with weights and biases of zero,
#    compute the gradient of the scores by the formula, and from it that of the
#    weights and the biases. Take 20 steps, and compare with autograd.

# %%
# .. answer:: 1
#
#    The powers are 2, 2 and 6, with the sum 10. So the probabilities are 0.2,
#    0.2 and 0.6, the loss is −ln 0.6 = 0.51, and the gradient is 0.2, 0.2 and
#    −0.4. Adding 7 changes none of them.

logits = torch.tensor([[2.0, 2.0, 6.0]]).log().requires_grad_()
loss = cross_entropy(logits, torch.tensor([2]))
loss.backward()
print(torch.softmax(logits, dim=1).tolist(), loss.item())
print(logits.grad)
loss_shifted = cross_entropy(logits + 7, torch.tensor([2]))
print(loss_shifted.item())

# %%
# .. check::

assert torch.allclose(
    torch.softmax(logits, dim=1), torch.tensor([[0.2, 0.2, 0.6]])
), "2, 2 and 6 of 10"
assert 0.5 < loss < 0.52, "-ln 0.6"
assert torch.allclose(logits.grad, torch.tensor([[0.2, 0.2, -0.4]])), "p - 1"
assert torch.allclose(loss, loss_shifted), "a shift changes nothing"

# %%
# .. answer:: 2
#
#    In depth of the bill and in mass, Adelies and Chinstraps are alike. Between
#    two groups that look the same, the more frequent one wins, so not a
#    single Chinstrap is recognized. One number for all penguins, about 80%
#    right, does not show this.

other_pair = columns[:, [1, 3]]
others = sum([count_answers(other_pair, seed) for seed in range(10)])
for k in range(3):
    wrong = 1 - others[k, k] / others[k].sum()
    print(f"{table.names[k]:10} {others[k].tolist()}, {wrong:.1%} wrong")
share_right = (others[0, 0] + others[1, 1] + others[2, 2]) / others.sum()
print(f"right: {share_right:.0%}")

# %%
# .. check::

assert others[1, 1] == 0, "all Chinstraps are lost"
assert others[0, 0] > 0.97 * others[0].sum(), "Adelies are right"
assert 0.79 < share_right < 0.82, "about 80%"

# %%
# .. answer:: 3
#
#    For the mean over the batch, the gradient of the scores is divided by the
#    number of penguins. By the chain rule, each weight gets the sum of the
#    gradients of its score, each multiplied by its measurement. That is a
#    matrix product. Each bias gets the sum alone.

x = (columns - columns[train].mean(dim=0)) / columns[train].std(dim=0)
x_train, y_train = x[train], species[train]
rows = torch.arange(len(x_train))
weight = torch.zeros(3, 4)
bias = torch.zeros(3)
for _ in range(20):
    p = torch.softmax(x_train @ weight.T + bias, dim=1)
    p[rows, y_train] -= 1  # probability minus 1 for the truth
    score_gradient = p / len(x_train)
    weight -= 0.5 * score_gradient.T @ x_train
    bias -= 0.5 * score_gradient.sum(dim=0)

weight_auto = torch.zeros(3, 4, requires_grad=True)
bias_auto = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.SGD([weight_auto, bias_auto], lr=0.5)
for _ in range(20):
    loss = cross_entropy(x_train @ weight_auto.T + bias_auto, y_train)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(torch.allclose(weight, weight_auto, atol=1e-5))
print(torch.allclose(bias, bias_auto, atol=1e-5))

# %%
# .. check::

assert torch.allclose(weight, weight_auto, atol=1e-5), "the same weights"
assert torch.allclose(bias, bias_auto, atol=1e-5), "the same biases"
assert weight.abs().max() > 0.1, "and they have moved"
