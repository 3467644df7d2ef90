"""
Logistic regression
===================

How does a model answer yes or no, and say how sure it is?

Linear regression predicts a number, such as a mass in grams. But many questions
are answered with yes or no: is this message spam, is this lamp broken, does
this penguin belong to that species? A straight line does not fit such answers,
because it goes on below 0 and above 1. Logistic regression bends it into a
probability, which tells you the answer and also how far you can rely on it.

After this lesson you can

- turn a score into a probability with the sigmoid, and back into yes or no
- train a model of one or several measurements, and find its boundary in mm
- avoid the sigmoid twice, which gives no error, and notice weights that never
  settle
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# From a score to a probability
# -----------------------------
# Suppose that a model looks at a penguin and computes a *score* z. It may be
# any number. A large positive score means "yes, this is a Gentoo penguin", and
# a large negative one means "no". We want a probability p, which lies between 0
# and 1. The **sigmoid**, written σ, makes one from the other:
#
# .. math::
#
#    p = \sigma(z) = \frac{1}{1 + e^{-z}}
#
# Here e is 2.718…, the base of the natural logarithm ln. Try three scores: 0,
# ln 3 and −ln 3, which is ln ⅓. The number ln 3 is the one with
# :math:`e^{\ln 3} = 3`. So for z = ln 3 the formula needs
# :math:`e^{-\ln 3} = \tfrac{1}{3}`, and p = 1 / (1 + ⅓) = ¾. What do you expect
# for the other two? In PyTorch the function is ``torch.sigmoid``.


def sigmoid(z):
    return 1 / (1 + (-z).exp())


scores = torch.tensor([1.0, 3.0, 1 / 3]).log()  # 0, ln 3, −ln 3
print("scores: ", scores)
print("by hand:", sigmoid(scores))
print("PyTorch:", torch.sigmoid(scores))

# %%
# The score 0 gives ½: the model cannot decide. The score ln 3 gives ¾, so "yes"
# is 3 times as probable as "no". The score −ln 3 gives ¼, and here "no" is 3
# times as probable. This says what a score is: the logarithm of how many times
# "yes" is as probable as "no". In PyTorch, scores of this kind are called
# :term:`logits`, and the function is the :term:`sigmoid`. (Not every S-curve
# gives probabilities: that of ``torch.tanh`` goes from −1 to 1.)

# %%
# .. check::

assert torch.allclose(sigmoid(scores), torch.tensor([1 / 2, 3 / 4, 1 / 4])), (
    "1/2, 3/4 and 1/4"
)
assert torch.allclose(torch.sigmoid(scores), sigmoid(scores)), "as PyTorch"
assert torch.tanh(scores)[2] < 0, "tanh is negative, so not a probability"

# %%
# The loss
# --------
# What should a wrong answer cost? For each penguin, look at the probability
# that the model gave to the *truth*. If the truth is yes, this is p. If it is
# no, it is 1 − p. The loss L is its logarithm with a minus in front:
#
# .. math::
#
#    L = -\left( y \ln p + (1 - y) \ln (1 - p) \right)
#
# The truth y is 1 for yes and 0 for no, so one of the two terms is always
# multiplied by 0, and only the other one counts. Here are three penguins with
# the scores 0, ln 3 and ln 3. The first two are Gentoos, and the third is not.

scores = torch.tensor([1.0, 3.0, 3.0]).log()
truth = torch.tensor([1.0, 1.0, 0.0])
p = torch.sigmoid(scores)
by_hand = -(truth * p.log() + (1 - truth) * (1 - p).log())
print("for the truth:", truth * p + (1 - truth) * (1 - p))
print("losses:       ", by_hand)
print("mean, by hand:", by_hand.mean())
print("PyTorch:      ", binary_cross_entropy_with_logits(scores, truth))

# %%
# The truth got the probabilities ½, ¾ and ¼. The losses are ln 2 = 0.69, ln 4/3
# = 0.29 and ln 4 = 1.39. The more the model believed in the wrong answer, the
# more it pays, and there is no upper limit: at a probability of 0.001 it would
# pay 6.9. (The squared error of p would be at most 1.) A model that gives the
# truth the probability 1 pays nothing, because ln 1 = 0.
#
# The last line is :func:`torch.nn.functional.binary_cross_entropy_with_logits`,
# a :term:`cross-entropy` for two (*binary*) answers. Its name ends in "with
# logits" because it takes the *scores* and applies the sigmoid itself. The
# truth has to be of type ``float`` and of the same shape as the scores.
# Otherwise there is an error.

# %%
# .. check::

assert torch.allclose(by_hand, torch.tensor([2.0, 4 / 3, 4.0]).log()), (
    "ln 2, ln 4/3 and ln 4"
)
assert torch.allclose(
    by_hand.mean(), binary_cross_entropy_with_logits(scores, truth)
), "the mean is the loss of PyTorch"
assert 6.9 < -torch.tensor(0.001).log() < 6.91, "a probability of 0.001"

# %%
# On real data: one measurement
# -----------------------------
# Our table has 342 penguins of three species. Gentoos are the largest of them.
# Can we recognize a Gentoo by the length of its flipper, that is, of its wing?
# The table is sorted by species, so we shuffle it first. 242 penguins are for
# training, and 100 are kept back as the :term:`validation set`. As in
# :doc:`/lessons/learning/02_linear_regression`, we standardize the measurement
# with the training set.

table = datasets.penguins()
is_gentoo = table.species == 2  # (342,), True for a Gentoo
target = is_gentoo.float()  # 1 or 0
order = torch.randperm(342)
train = order[:242]
val = order[242:]

flipper = table.flipper_length  # in mm
mean = flipper[train].mean()
std = flipper[train].std()
x = ((flipper - mean) / std).unsqueeze(1)  # (342, 1)
print(f"mean {mean:.1f} mm, standard deviation {std:.1f} mm")

# %%
# ``train`` and ``val`` hold row numbers. The score is computed as in linear
# regression, from the measurement x with a weight w and a bias b:
#
# .. math::
#
#    z = w \cdot x + b
#
# Only the loss is new. It is less curved than the squared error, so the
# learning rate may be larger. ``squeeze(1)`` turns the column of scores, of
# shape (N, 1), into the shape of the truth, (N,), where N is the number of
# penguins.


def learn(x, y, steps):
    model = nn.Linear(x.shape[1], 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=4.0)
    for _ in range(steps):
        loss = binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


by_flipper = learn(x[train], target[train], steps=2000)
w = by_flipper.weight.item()
b = by_flipper.bias.item()
print(f"w {w:.2f}, b {b:.2f}")

# %%
# More steps hardly change these two numbers. The weight is positive, so a
# longer flipper makes a Gentoo more probable. Where does the answer change from
# no to yes? Where p is ½, and so where the score is 0. This place is called the
# *decision boundary*. From w·x + b = 0 we get x = −b / w. Multiply it by the
# standard deviation and add the mean, and you have it in mm.

boundary = mean - b / w * std
print(f"boundary: {boundary:.1f} mm")

lengths = torch.tensor([200.0, 205.0, 210.0, 215.0])
with torch.no_grad():
    z = by_flipper(((lengths - mean) / std).unsqueeze(1))
    p = torch.sigmoid(z).squeeze(1)
print("probabilities:", p)

# %%
# A penguin with a flipper of 215 mm is almost certainly a Gentoo, one with 200
# mm is almost certainly not, and between them the model is less sure. To answer
# with yes or no you need no sigmoid, since p > ½ is the same as z > 0. The
# figure shows all of it at once.
#
# .. alt:: An S-shaped curve over the flipper length from 170 to 235 mm. Dots at
#    probability 0 are penguins of other species, triangles at 1 are Gentoos.
#    The curve climbs from 0 to 1 between 195 and 218 mm. A dotted vertical line
#    marks the boundary near 207 mm, where the curve is at one half. Between 203
#    and 212 mm there are penguins of both kinds.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
spread = target + 0.08 * (torch.rand(342) - 0.5)
axis.plot(
    flipper[~is_gentoo],
    spread[~is_gentoo],
    "o",
    markersize=3,
    label="other species",
)
axis.plot(
    flipper[is_gentoo], spread[is_gentoo], "^", markersize=3, label="Gentoo"
)
grid = torch.linspace(170, 235, 200)
with torch.no_grad():
    curve = torch.sigmoid(by_flipper((grid - mean).unsqueeze(1) / std))
axis.plot(grid, curve, color="black", label="probability")
axis.axvline(boundary, color="black", linestyle=":", label="boundary")
axis.set(xlabel="flipper length in mm", ylabel="Is it a Gentoo?")
axis.legend(fontsize=8, loc="center left")

# %%
# (The points were moved up and down a little, so that they do not hide each
# other.) Near the boundary there are penguins of both kinds. There no boundary
# can be right for all, and a probability between 0 and 1 is the honest answer.

# %%
# .. check::

assert len(val) == 100, "100 penguins are kept back"
assert (
    abs((torch.sigmoid(by_flipper(x[train])[:, 0]) - target[train]).mean())
    < 1e-5
), "no slope is left for b, so more steps hardly change it"
assert (
    abs(
        (
            (torch.sigmoid(by_flipper(x[train])[:, 0]) - target[train])
            * x[train, 0]
        ).mean()
    )
    < 1e-5
), "and none for w"
assert (
    binary_cross_entropy_with_logits(0.1 * x[train, 0], target[train])
    + binary_cross_entropy_with_logits(-0.1 * x[train, 0], target[train])
    - 2 * binary_cross_entropy_with_logits(0 * x[train, 0], target[train])
    < 0.3 * 0.1**2
), "a curvature below 0.3, where that of the square is 2"
assert w > 0, "a longer flipper makes it more probable"
assert 206.5 < boundary < 207.5, "the boundary is near 207 mm"
assert torch.sigmoid(by_flipper((195 - mean) / std * torch.ones(1))) < 0.01, (
    "nearly 0 at 195 mm"
)
assert torch.sigmoid(by_flipper((218 - mean) / std * torch.ones(1))) > 0.99, (
    "nearly 1 at 218 mm"
)
assert p[0] < 0.05, "200 mm: almost certainly not"
assert p[3] > 0.95, "215 mm: almost certainly"
assert flipper[is_gentoo].min() == 203, "the shortest flipper of a Gentoo"
assert flipper[~is_gentoo].max() == 212, "the longest flipper of the others"

# %%
# Two measurements
# ----------------
# The bill of a Gentoo is less deep than that of the others. (The *depth* of a
# bill is measured from its upper to its lower edge.) With this measurement as a
# second one, the score is z = w₁·x₁ + w₂·x₂ + b. The function ``learn`` stays
# as it is.

both = torch.stack([flipper, table.bill_depth], dim=1)  # (342, 2)
mean2 = both[train].mean(dim=0)
std2 = both[train].std(dim=0)
x2 = (both - mean2) / std2
by_both = learn(x2[train], target[train], steps=500)
w1, w2 = by_both.weight.squeeze(0).tolist()
print(f"weights: {w1:.2f} for the flipper, {w2:.2f} for the bill")


def score_from_mm(points):
    return by_both((points - mean2) / std2)


# %%
# The second weight is negative, because a deep bill speaks against a Gentoo.
# The boundary, where z = 0, is now a straight line in the plane of the two
# measurements. :func:`handbook.plots.decision_boundary` colours the side where
# a score is positive, and draws the penguins. It uses ``score_from_mm``,
# because the axes are in millimetres.
#
# .. alt:: The penguins in the plane of flipper length and bill depth, over two
#    coloured regions with a straight border that rises to the right. The
#    Gentoos, with long flippers and bills that are not deep, are all below the
#    border, and the others are all above it.

# %%
# .. drawing::

panel = plots.decision_boundary(score_from_mm, both, is_gentoo.long())
panel.set(xlabel="flipper length in mm", ylabel="bill depth in mm")
panel.legend(["other species", "Gentoo"])

# %%
# Neither measurement alone separates the two groups, but the two together do:
# all penguins are on the right side of the line. How good are the two models on
# penguins that they have not seen? One shuffle may be lucky, so we take ten,
# and each time judge the 100 penguins that are kept back. The :term:`baseline`
# is the rule that always says no.


def share_right(columns, seed):
    torch.manual_seed(seed)
    order = torch.randperm(342)
    train = order[:242]
    val = order[242:]
    x = (columns - columns[train].mean(dim=0)) / columns[train].std(dim=0)
    model = learn(x[train], target[train], steps=200)
    with torch.no_grad():
        says_yes = model(x[val]).squeeze(1) > 0
    return (says_yes == is_gentoo[val]).float().mean()


one = torch.stack([share_right(both[:, :1], seed) for seed in range(10)])
two = torch.stack([share_right(both, seed) for seed in range(10)])
print(f"always no:        {1 - target.mean():.1%}")
print(f"flipper:          {one.mean():.1%} ± {one.std():.1%}")
print(f"flipper and bill: {two.mean():.1%} ± {two.std():.1%}")

# %%
# (± is the standard deviation over the ten shuffles.) With the flipper alone
# about 98% are right. With both, all 100 are right in each of the ten shuffles.

# %%
# .. check::

assert both[is_gentoo, 1].max() > both[~is_gentoo, 1].min(), (
    "the bill depth alone does not separate them"
)
assert w1 > 0, "a long flipper speaks for a Gentoo"
assert w2 < 0, "a deep bill speaks against it"
assert ((score_from_mm(both).squeeze(1) > 0) == is_gentoo).all(), (
    "all are on the right side"
)
assert 0.97 < one.mean() < 0.99, "about 98 % with one measurement"
assert (two == 1).all(), "100 % with two, in each shuffle"

# %%
# What goes wrong
# ---------------
# **The sigmoid twice.** The loss applies the sigmoid itself. If you pass
# probabilities to it, they are taken for scores. Here are two perfect answers,
# with p = 1 for a yes and p = 0 for a no:

perfect = torch.tensor([1.0, 0.0])
print(binary_cross_entropy_with_logits(perfect, perfect))

# %%
# The loss should be 0, but it is 0.50. The scores 1 and 0 stand for the
# probabilities 0.73 and 0.5. They cost 0.31 and 0.69, the least that a yes and
# a no can cost now. No error is raised, and the model still learns something.

# %%
# .. check::

assert 0.5 < binary_cross_entropy_with_logits(perfect, perfect) < 0.51, (
    "perfect answers cost 0.50"
)
assert torch.allclose(
    -torch.sigmoid(torch.tensor([1.0, 0.0])).log(),
    torch.tensor([0.31, 0.69]),
    atol=0.005,
), "a yes with the score 1 and a no with the score 0"

# %%
# **Weights that never settle.** This is harder to see. Train the model with two
# measurements for 100, 400 and 1,600 steps. What do you expect of the weights?

weights_after = {}
for steps in [100, 400, 1600]:
    model = learn(x2[train], target[train], steps=steps)
    w1, w2 = model.weight.squeeze(0).tolist()
    print(f"{steps:4} steps: weights {w1:.2f} and {w2:.2f}")
    weights_after[steps] = min(w1, -w2)

# %%
# The weights grow, and they would grow for as long as you train. Why? After 100
# steps, all training penguins are on the right side already. With larger
# weights they are right *with more certainty*, so the loss is a little smaller.
# It has no minimum. Data like these are called *linearly separable*: a straight
# boundary exists with each group on its own side. How certain the model sounds
# then depends on when you stopped.
#
# The cure is to make large weights expensive, by adding a penalty on them to
# the loss. This is a kind of *regularization*. :class:`torch.optim.SGD` does it
# with :term:`weight decay` (exercise 2). How large the penalty should be is for
# the validation set to say.

# %%
# .. check::

assert (
    (learn(x2[train], target[train], steps=100)(x2[train])[:, 0] > 0)
    == is_gentoo[train]
).all(), "all are on the right side after 100 steps"
assert weights_after[400] > 1.2 * weights_after[100], "both grow"
assert weights_after[1600] > 1.2 * weights_after[400], "and grow"

# %%
# Recipe
# ------
# The data are made up here: the answer is yes where two measurements and some
# noise have a positive sum. The first 200 points are for training, and the
# other 1,000 judge the model.

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

x = torch.randn(1200, 2)
y = (x[:, 0] + x[:, 1] + torch.randn(1200) > 0).float()

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
for _ in range(200):
    loss = binary_cross_entropy_with_logits(model(x[:200]).squeeze(1), y[:200])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    probability = torch.sigmoid(model(x[200:]).squeeze(1))
right = ((probability > 0.5) == (y[200:] == 1)).float().mean()
print(f"right on new points: {right:.0%}")

# %%
# .. check::

assert 0.75 < right < 0.85, "the best rule gets 80 % of such points"

# %%
# What you learned
# ----------------
# - Logistic regression computes a score as linear regression does. The sigmoid
#   makes a probability from it: 0 becomes ½, ln 3 becomes ¾.
# - The loss is −ln of the probability that the truth got. In PyTorch it is
#   ``binary_cross_entropy_with_logits``, and it takes scores, not
#   probabilities.
# - The decision boundary is where the score is 0. For one measurement it is a
#   number, −b / w, and for two it is a straight line.
# - Where data are linearly separable, the weights grow with every step. A
#   penalty on large weights brings them to rest.
#
# Exercises
# ---------
# 1. **Predict.** A model gives the score ln 4. What is the probability of yes?
#    What does the answer cost if the truth is yes, and what if it is no?
# 2. **Change.** Give the optimizer in ``learn`` one more argument,
#    ``weight_decay=0.01``. Train the model with two measurements for 100 and
#    for 1,000 steps. Do the weights settle?
# 3. **Extend.** Suppose that missing a Gentoo is worse than a false alarm. Say
#    yes where the probability is above 0.1, with the flipper alone. Count, for
#    all 342 penguins, the Gentoos that are missed and the others that are
#    called Gentoo, at 0.5 and at 0.1. (``~`` turns True into False and False
#    into True.)

# %%
# .. answer:: 1
#
#    Yes is 4 times as probable as no, so the probabilities are 4/5 and 1/5. The
#    loss is ln 5/4 = 0.22 for a yes, and ln 5 = 1.61 for a no.

score = torch.tensor(4.0).log()
print(torch.sigmoid(score))
for_yes = binary_cross_entropy_with_logits(score, torch.tensor(1.0))
for_no = binary_cross_entropy_with_logits(score, torch.tensor(0.0))
print(for_yes, for_no)

# %%
# .. check::

assert abs(torch.sigmoid(score) - 0.8) < 1e-6, "4/5"
assert torch.allclose(for_yes, torch.tensor(1.25).log()), "ln 5/4"
assert torch.allclose(for_no, torch.tensor(5.0).log()), "ln 5"

# %%
# .. answer:: 2
#
#    Yes. Both times the weights are 2.21 and −2.01. All 342 penguins are still
#    on the right side of the line, but the model is less certain of them.


def learn_with_decay(x, y, steps):
    model = nn.Linear(x.shape[1], 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=4.0, weight_decay=0.01)
    for _ in range(steps):
        loss = binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


settled = {}
for steps in [100, 1000]:
    settled[steps] = learn_with_decay(x2[train], target[train], steps)
    print(settled[steps].weight.detach())

# %%
# .. check::

assert torch.allclose(
    settled[100].weight, torch.tensor([[2.21, -2.01]]), atol=0.005
), "2.21 and -2.01 after 100 steps"
assert torch.allclose(settled[1000].weight, settled[100].weight, atol=0.001), (
    "and after 1,000"
)
assert ((settled[1000](x2)[:, 0] > 0) == is_gentoo).all(), "the right side"
assert (torch.sigmoid(settled[1000](x2)[:, 0]) - target).abs().mean() > (
    torch.sigmoid(by_both(x2)[:, 0]) - target
).abs().mean(), "less certain"

# %%
# .. answer:: 3
#
#    At 0.5, two Gentoos are missed and 6 other penguins are called Gentoo. At
#    0.1, only one is missed, and there are more false alarms. The model stays
#    the same, only the answer that you draw from it changes.

x_flipper = ((flipper - mean) / std).unsqueeze(1)
with torch.no_grad():
    p_gentoo = torch.sigmoid(by_flipper(x_flipper).squeeze(1))
missed = {}
alarms = {}
for threshold in [0.5, 0.1]:
    called = p_gentoo > threshold
    missed[threshold] = (~called & is_gentoo).sum().item()
    alarms[threshold] = (called & ~is_gentoo).sum().item()
    print(threshold, "missed", missed[threshold], "alarms", alarms[threshold])

# %%
# .. check::

assert missed[0.5] == 2, "two are missed"
assert alarms[0.5] == 6, "6 others"
assert missed[0.1] == 1, "only one is missed"
assert alarms[0.1] > alarms[0.5], "more false alarms"
