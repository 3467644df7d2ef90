"""
Bias and variance
=================

Where does the error of a model come from?

Two models can be equally wrong for opposite reasons. One misses in the same way
whatever examples it learns from, and the other says something else with each
new set of examples. More examples help the second, but hardly the first. So
before you collect data, find out which of the two you have.

After this lesson you can

- split a mean squared error into bias, variance and noise
- measure each part in many made-up data sets, whose truth you know
- draw a learning curve, and say what more examples would change
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets

torch.manual_seed(0)

# %%
# Three scales
# ------------
# A bag weighs 10 kg. Scale A always shows 8. Scale B shows 7 or 13, and scale C
# shows 8 or 10, each of the two half of the time. The *bias* of a scale is the
# mean of what it shows, minus the truth. (The bias of a layer is another thing
# with the same name.) Its *variance* says how far the single numbers are from
# their own mean: square these distances, and take the mean. Work out both for
# each scale, and the mean squared error, and compare:

weight = 10.0
scales = {
    "A": torch.tensor([8.0, 8.0]),
    "B": torch.tensor([7.0, 13.0]),
    "C": torch.tensor([8.0, 10.0]),
}
for name, shown in scales.items():
    bias = shown.mean() - weight
    variance = ((shown - shown.mean()) ** 2).mean()
    error = ((shown - weight) ** 2).mean()
    print(
        f"{name}: bias {bias:.0f}, variance {variance:.0f}, error {error:.0f}"
    )

# %%
# For each scale, bias² + variance is the mean squared error: 4 + 0 = 4,
# 0 + 9 = 9 and 1 + 1 = 2. This is always so. Each single error is the bias plus
# a distance from the mean. Its square is the square of the bias, the square of
# the distance, and twice their product. Over all numbers, the distances cancel,
# and so do the products. Scale B is right on average, and yet its error is the
# largest. Scale C has a little of both, and its error is the smallest.
#
# Usually you do not know the truth, but a measurement of it. Suppose that the
# bag was weighed before, and the label says 9 or 11 kg, each half of the time,
# whatever our scale shows. Compared with the label, scale A is off by 1 or by
# 3, so its mean squared error is (1 + 9) / 2 = 5. The additional 1 is the
# variance of the label, called *noise*, and no scale can avoid it. Altogether:
#
# .. math::
#
#    \text{error} = \text{bias}^2 + \text{variance} + \text{noise}

# %%
# .. check::

assert ((scales["A"] - weight) ** 2).mean() == 4, "A: 4 + 0"
assert ((scales["B"] - weight) ** 2).mean() == 9, "B: 0 + 9"
assert ((scales["C"] - weight) ** 2).mean() == 2, "C: 1 + 1"
assert ((scales["A"] - torch.tensor([9.0, 11.0])) ** 2).mean() == 5, "noise 1"

# %%
# Many data sets
# --------------
# A model that is trained on examples is like a scale. With other examples, it
# would say something else. To see its bias and its variance, we need many data
# sets and the truth, so we make them up. The truth is the curve of
# :doc:`/lessons/learning/08_overfitting`, the sine of 3x + 1, and the noise has
# the standard deviation 0.3. Each data set has points at the same places, from
# −1 to 1, and only its noise is its own. As there, ``powers`` makes a column
# for each power of x, and :func:`torch.linalg.lstsq` finds the weights. It
# takes all data sets at once, one in each column.

noise = 0.3
places = torch.linspace(-1, 1, 201, dtype=torch.float64)


def curve(x):
    return torch.sin(3 * x + 1)


def powers(x, degree):
    return x.unsqueeze(1) ** torch.arange(degree + 1)  # (N, degree + 1)


def measure(x, sets):
    random = torch.randn(len(x), sets, dtype=torch.float64)
    return curve(x).unsqueeze(1) + noise * random  # (N, sets)


# %%
# ``learn_from_many`` draws the data sets, fits a polynomial to each of them,
# and returns what they say at 201 places. We compare the degrees 1, 4 and 12,
# with 500 data sets of 20 points each.


def learn_from_many(degree, points=20, sets=500):
    x = torch.linspace(-1, 1, points, dtype=torch.float64)
    y = measure(x, sets)
    weights = torch.linalg.lstsq(powers(x, degree), y).solution
    return powers(places, degree) @ weights  # (201, sets)


said = {}
for degree in [1, 4, 12]:
    said[degree] = learn_from_many(degree)
    print(f"degree {degree:2}:", said[degree].shape)

# %%
# The figure shows the first 30 of the 500 polynomials of each degree, in grey.
#
# .. alt:: Three panels over x from −1 to 1, each with 30 grey curves, their
#    dashed mean and the true curve, a wave. Degree 1: straight lines close to
#    each other, whose mean is far from the wave. Degree 4: curves close to each
#    other, and their mean lies on the wave. Degree 12: the mean lies on the
#    wave, too, but the single curves wriggle around it, most of all at both
#    ends.

# %%
# .. drawing::

figure, axes = plt.subplots(
    1, 3, figsize=(8, 2.8), sharey=True, layout="constrained"
)
for axis, degree in zip(axes, [1, 4, 12], strict=True):
    axis.plot(places, said[degree][:, :30], color="0.6", linewidth=0.6)
    axis.plot(places, curve(places), color="C0", linewidth=2, label="truth")
    axis.plot(
        places, said[degree].mean(dim=1), "--", color="C1", label="mean of 500"
    )
    axis.set(title=f"degree {degree}", xlabel="x", ylim=(-2.2, 2.2))
axes[0].set(ylabel="y")
axes[0].legend(loc="lower right", fontsize=8)

# %%
# Lines are like scale A: they agree with each other, and their mean is wrong.
# The polynomials of degree 12 are like scale B: right on average, but each one
# is off in its own way.
#
# Now in numbers. ``parts`` computes bias² and variance at each place, and takes
# the mean over the 201 places.


def parts(predictions):
    mean = predictions.mean(dim=1, keepdim=True)  # (201, 1)
    bias_squared = ((mean - curve(places).unsqueeze(1)) ** 2).mean()
    variance = ((predictions - mean) ** 2).mean()
    return bias_squared.item(), variance.item()


# %%
# Beside the sum of the three parts we *measure* the error, by comparing each
# polynomial with new measurements at the 201 places. The two should agree.

sums = {}
measured = {}
for degree, predictions in said.items():
    bias_squared, variance = parts(predictions)
    sums[degree] = bias_squared + variance + noise**2
    new = measure(places, 500)
    measured[degree] = ((predictions - new) ** 2).mean().item()
    print(
        f"degree {degree:2}: bias² {bias_squared:.3f}, variance {variance:.3f}"
    )
    print(f"  sum {sums[degree]:.3f}, measured error {measured[degree]:.3f}")

# %%
# The sum contains the noise, 0.3² = 0.09, and it agrees with the measured error
# up to chance. Nearly all of the error of degree 1 that is not noise is bias,
# and of degree 12 it is variance. What lies between?

bias_by_degree = []
variance_by_degree = []
for degree in range(13):
    bias_squared, variance = parts(learn_from_many(degree))
    bias_by_degree.append(bias_squared)
    variance_by_degree.append(variance)
total = torch.tensor(bias_by_degree) + torch.tensor(variance_by_degree)
print("smallest sum: degree", total.argmin().item())

# %%
# .. alt:: Bias², variance and the sum of both and the noise, against the degree
#    from 0 to 12. Bias² starts near 0.5 and is close to 0 from degree 4 on. The
#    variance rises slowly, from near 0 to about 0.08. The sum falls until
#    degree 4 and then rises slowly. A dotted line marks the noise, 0.09.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
axis.plot(range(13), total + noise**2, "o-", markersize=4, label="sum")
axis.plot(range(13), bias_by_degree, "s--", markersize=4, label="bias²")
axis.plot(range(13), variance_by_degree, "^-.", markersize=4, label="variance")
axis.axhline(noise**2, color="black", linestyle=":", label="noise")
axis.set(xlabel="degree", ylabel="mean square")
axis.legend()

# %%
# With each degree, the bias gets smaller or stays near 0, and the variance
# grows, because more weights follow the noise. The sum is smallest where the
# bias has just gone. This is called the *bias–variance trade-off*.

# %%
# .. check::

assert abs(sums[1] - measured[1]) < 0.01, "the sum is the error, degree 1"
assert abs(sums[4] - measured[4]) < 0.005, "degree 4"
assert abs(sums[12] - measured[12]) < 0.01, "degree 12"
assert parts(said[1])[0] > 0.9 * (sums[1] - 0.09), "degree 1: bias"
assert parts(said[12])[1] > 0.9 * (sums[12] - 0.09), "degree 12: variance"
assert total.argmin() == 4, "degree 4 has the smallest sum"
assert variance_by_degree == sorted(variance_by_degree), "it grows"
assert max(bias_by_degree[4:]) < 0.003, "close to 0 from degree 4 on"
assert 0.45 < bias_by_degree[0] < 0.55, "near 0.5 at degree 0"
assert 0.06 < variance_by_degree[12] < 0.1, "about 0.08 at degree 12"

# %%
# On real data: learning curves
# -----------------------------
# For the penguins we have one table and no true curve, so we cannot compute the
# parts. But we can see what more examples do. A *learning curve* shows the
# error on the training examples and on the validation set against the number of
# training examples.
#
# Two models predict the body mass. The simple one is a line in the flipper
# length, with 2 weights. The flexible one uses three measurements, their
# squares and their products, which the two loops append. It has 10 weights.
# (Subtracting a round number and dividing by another changes no prediction, and
# keeps the squares small.)

table = datasets.penguins()
mass = table.mass.to(torch.float64)  # in g
ones = torch.ones(342, dtype=torch.float64)
flipper = (table.flipper_length - 200) / 10
bill_length = (table.bill_length - 44) / 5
bill_depth = (table.bill_depth - 17) / 2
columns = [ones, flipper, bill_length, bill_depth]
for i in range(1, 4):
    for other in range(i, 4):
        columns.append(columns[i] * columns[other])
flexible = torch.stack(columns, dim=1)  # (342, 10)
simple = flexible[:, :2]  # (342, 2)

# %%
# In each shuffle, the last 100 penguins are the validation set, and the first n
# are for training. The error is the *root mean squared error*, in g.

sizes = [20, 30, 40, 60, 80, 120, 160, 242]


def learning_curves(model, seed):
    torch.manual_seed(seed)
    order = torch.randperm(342)
    val = order[242:]
    rows = []
    for n in sizes:
        train = order[:n]
        found = torch.linalg.lstsq(model[train], mass[train])
        squares = (model @ found.solution - mass) ** 2
        on_train = squares[train].mean().item() ** 0.5
        on_val = squares[val].mean().item() ** 0.5
        rows.append([on_train, on_val])
    return torch.tensor(rows)  # (8, 2)


# %%
# We shuffle 50 times, and print the means for three numbers of penguins. The ±
# is the standard deviation over the shuffles. The :term:`baseline` is a model
# that says the mean mass for every penguin.

curves = {}
for name, model in [("simple", simple), ("flexible", flexible)]:
    shuffles = [learning_curves(model, seed) for seed in range(50)]
    curves[name] = torch.stack(shuffles)  # (50, 8, 2)
    mean = curves[name].mean(dim=0)
    std = curves[name].std(dim=0)
    print(f"{name} model")
    for i in [0, 3, 7]:
        print(f"  {sizes[i]:3} penguins: training {mean[i, 0]:.0f}")
        print(f"    validation {mean[i, 1]:.0f} ± {std[i, 1]:.0f}")
print(f"always the mean: {mass.std():.0f} g")

# %%
# The figure shows the means for all eight numbers of penguins. With 242 of
# them, both models have about half the error of the baseline.
#
# .. alt:: The typical error in g against the number of training penguins, from
#    20 to 242. For the simple model, the training error rises from 356 to 390,
#    the validation error falls from 420 to 403, and they nearly meet. For the
#    flexible one, the training error rises from 231 to 341, and the validation
#    error falls from 628, steeply at first, to 371. The two validation curves
#    cross near 60 penguins.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.8, 3.4), layout="constrained")
for name, colour in [("simple", "C0"), ("flexible", "C1")]:
    mean = curves[name].mean(dim=0)
    axis.plot(
        sizes, mean[:, 1], "o-", color=colour, label=f"{name}, validation"
    )
    axis.plot(sizes, mean[:, 0], "s--", color=colour, label=f"{name}, training")
axis.set(xlabel="training penguins", ylabel="typical error (g)")
axis.legend(fontsize=8)

# %%
# With few penguins, the flexible model is far better on the training penguins
# than on the others. Its weights follow these few penguins, so the gap comes
# from variance, and it shrinks as their number grows. For the simple model, the
# two errors have nearly met. More penguins would hardly help it, because what
# is left is bias and noise. From its curve alone we cannot tell them apart. But
# the flexible model ends about 30 g lower, so at least a part of it was bias.

# %%
# .. check::

assert flexible.shape == (342, 10), "10 weights"
assert abs(curves["simple"][:, 7].mean(dim=0) - 397).max() < 15, "nearly met"
assert 0.4 < curves["flexible"][:, 7, 1].mean() / mass.std() < 0.55, "half"
assert 0.45 < curves["simple"][:, 7, 1].mean() / mass.std() < 0.55, "of it"
assert (
    curves["flexible"][:, 0, 1].mean() > 2 * curves["flexible"][:, 0, 0].mean()
), "a large gap with 20"
assert (
    curves["flexible"].mean(dim=0)[1:, 1]
    < curves["flexible"].mean(dim=0)[:-1, 1]
).all(), "its validation error falls all the way"
assert 22 < (curves["simple"] - curves["flexible"])[:, 7, 1].mean() < 42, (
    "about 30 g lower"
)

# %%
# What goes wrong
# ---------------
# **More examples against bias.** Back to the made-up curve, with 20, 200 and
# 2,000 points in each data set:

found = {}
for degree in [1, 12]:
    for points in [20, 200, 2000]:
        bias_squared, variance = parts(learn_from_many(degree, points))
        found[degree, points] = (bias_squared, variance)
        print(f"degree {degree:2}, {points:4} points: bias² {bias_squared:.3f}")
        print(f"  variance {variance:.4f}")

# %%
# Ten times as many points divide the variance by about ten. But the bias of the
# line hardly moves. However many points you collect, you need another model.
#
# **One curve is taken for the truth.** It is tempting to draw a learning curve
# with a single shuffle. In how many of our 50 shuffles is the flexible model
# better, for each number of penguins?

simple_val = curves["simple"][:, :, 1]  # (50, 8)
flexible_val = curves["flexible"][:, :, 1]
for i, n in enumerate(sizes):
    better = (flexible_val[:, i] < simple_val[:, i]).sum()
    print(f"{n:3} penguins: flexible better in {better} of 50")
harmed = (simple_val[:, 7] > simple_val[:, 0]).sum()
print(f"simple worse with 242 than with 20: {harmed} of 50")

# %%
# With 40 penguins, the simple model is better on average, but about half of the
# single shuffles say the opposite. Only from 160 penguins on do nearly all of
# them agree. And in some shuffles the simple model is worse with 242 penguins
# than with 20, as if penguins did harm. The figure shows five single curves of
# the flexible model beside the mean of all 50.
#
# .. alt:: The typical validation error of the flexible model in g against the
#    number of training penguins: five thin curves and a thick one, the mean of
#    50. Up to 60 penguins the thin ones are 100 g and more apart, and some rise
#    again. At 242 they are within about 60 g.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.8, 3.2), layout="constrained")
axis.plot(sizes, flexible_val[:5].T, color="0.6", linewidth=0.9)
axis.plot(sizes, flexible_val.mean(dim=0), "o-", color="C1", label="mean of 50")
axis.set(xlabel="training penguins", ylabel="validation error (g)")
axis.legend()

# %%
# .. check::

assert curves["simple"][:, 2, 1].mean() < curves["flexible"][:, 2, 1].mean(), (
    "with 40, the simple model is better on average"
)
assert 15 <= (flexible_val[:, 2] < simple_val[:, 2]).sum() <= 33, "about half"
assert (flexible_val[:, 6:] < simple_val[:, 6:]).sum(dim=0).min() > 40, (
    "from 160 on, nearly all"
)
assert 2 <= harmed <= 15, "some shuffles"
assert 8 < found[1, 20][1] / found[1, 200][1] < 14, "a tenth, for the line"
assert 8 < found[12, 200][1] / found[12, 2000][1] < 14, "and for degree 12"
assert abs(found[1, 2000][0] - found[1, 20][0]) < 0.01, "the bias stays"
assert (flexible_val[:5, 3].amax() - flexible_val[:5, 3].amin()) > 100, "apart"
assert (flexible_val[:5, 7].amax() - flexible_val[:5, 7].amin()) < 65, "close"

# %%
# Recipe
# ------
# A learning curve over 20 shuffles. The data are made up, with three features
# and noise with the standard deviation 50.

import torch

torch.manual_seed(0)
x = 100 * torch.rand(400, 3, dtype=torch.float64)
y = 3 * x[:, 0] - 2 * x[:, 1] + x[:, 2] + 50 * torch.randn(400)
columns = torch.cat([torch.ones(400, 1), x], dim=1)  # (N, 4)


# %%
# For each number of examples, shuffle, fit, and note both errors:

for n in [10, 20, 40, 80, 160, 320]:
    errors = []
    for _ in range(20):
        order = torch.randperm(len(y))
        train = order[:n]
        val = order[-80:]
        found = torch.linalg.lstsq(columns[train], y[train])
        squares = (columns @ found.solution - y) ** 2
        errors.append(
            [squares[train].mean() ** 0.5, squares[val].mean() ** 0.5]
        )
    on_train, on_val = torch.tensor(errors).mean(dim=0)
    print(f"{n:3} examples: training {on_train:.1f}, validation {on_val:.1f}")

# %%
# If the two have met, more examples will hardly help. Then fit the model with
# all of them, and use it:

weights = torch.linalg.lstsq(columns, y).solution
new = torch.tensor([1.0, 50.0, 50.0, 50.0], dtype=torch.float64)
print(f"guess: {new @ weights:.0f}")

# %%
# .. check::

assert abs(new @ weights - 100) < 15, "the truth is 100"

# %%
# What you learned
# ----------------
# - The mean squared error is bias² + variance + noise.
# - A model that is too simple has bias: it is wrong in the same way with every
#   data set. One that is too flexible has variance: it says something else with
#   every data set.
# - More examples make the variance smaller, but not the bias.
# - In a learning curve, look at the two errors. A gap that still shrinks says
#   that more examples will help this model. Where the two have met, more
#   examples will hardly help it.
# - Average a learning curve over many shuffles.
#
# Exercises
# ---------
# 1. **Predict.** A scale shows 9, 9 or 12 for the bag of 10 kg, each a third of
#    the time, and the label says 8 or 12, each half of the time. What are bias,
#    variance, noise and error?
# 2. **Change.** Set ``noise`` to 0.9, three times as much. What becomes of
#    bias² and variance at degree 4, and which degree has the smallest sum?
# 3. **Extend.** Let ten polynomials, each from a data set of its own, answer
#    together with the mean of what they say. What are bias² and variance of
#    this mean, at the degrees 1 and 12?

# %%
# .. answer:: 1
#
#    The mean is 10, so the bias is 0. The variance is (1 + 1 + 4) / 3 = 2, the
#    noise is 4, and the error is 0 + 2 + 4 = 6.

shown = torch.tensor([9.0, 9.0, 12.0])
label = torch.tensor([8.0, 12.0])
print(((shown.unsqueeze(1) - label) ** 2).mean())

# %%
# .. check::

assert ((shown.unsqueeze(1) - label) ** 2).mean() == 6, "0 + 2 + 4"

# %%
# .. answer:: 2
#
#    The noise is three times as large, so the variance is about nine times as
#    large, and bias² hardly changes. Now flexibility costs more, and the
#    smallest sum is at degree 3.

noise = 0.9
noisy = []
for degree in range(7):
    bias_squared, variance = parts(learn_from_many(degree, sets=2000))
    noisy.append(bias_squared + variance)
    print(f"degree {degree}: bias² {bias_squared:.3f}, variance {variance:.3f}")
print("smallest sum: degree", noisy.index(min(noisy)))

# %%
# .. check::

assert noisy.index(min(noisy)) == 3, "degree 3"
assert 8 < (noisy[4] - 0.0012) / variance_by_degree[4] < 10, "nine times"

# %%
# .. answer:: 3
#
#    The variance is a tenth of what it was, and the bias stays. So averaging
#    helps where models disagree, and not where all make the same mistake.

averaged = {}
for degree in [1, 12]:
    groups = said[degree].reshape(201, 50, 10)  # 50 groups of ten
    averaged[degree] = parts(groups.mean(dim=2))
    bias_squared, variance = averaged[degree]
    print(
        f"degree {degree:2}: bias² {bias_squared:.3f}, variance {variance:.4f}"
    )

# %%
# .. check::

assert 7 < variance_by_degree[12] / variance < 14, "about a tenth"
assert abs(max(averaged[1]) - bias_by_degree[1]) < 0.01, "the bias stays"
