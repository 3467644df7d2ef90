"""
Bias and variance
=================

Where does the error of a model come from?

Two models can be equally wrong for opposite reasons. One misses in the same way
whatever examples it learns from, and the other says something else with each
new set of examples. More examples usually help the second, but hardly the
first. So before you collect data, find out which of the two you have.

After this lesson you can

- split a mean squared error into bias, variance and noise
- measure each part with data sets that you make up, so that you know the truth
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
# 8 or 10, each half of the time. The *bias* of a scale is the mean of what it
# shows, minus the truth. (The bias of a layer is another thing with the same
# name.) Its *variance* says how far the single numbers are from their own mean:
# square these distances, and take the mean. Work out both for each scale, and
# the mean squared error, and compare:

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
# 0 + 9 = 9 and 1 + 1 = 2. This is always so. The error of each reading is
# b + d, where b is the bias and d is the difference from the mean. Its square
# is b² + 2bd + d², and in the mean 2bd vanishes, because the differences add up
# to 0. Scale B is right on average, and yet its error is the largest.
#
# Usually you do not know the truth, but a measurement of it. Suppose that the
# label on the bag says 9 or 11 kg, each half of the time, whatever our scale
# shows. Compared with the label, scale A is off by 1 or by 3, so its mean
# squared error is (1 + 9) / 2 = 5. The label is right on average and knows
# nothing of the scale. So the additional 1 is the variance of the label, called
# *noise*, and no scale can avoid it. Altogether:
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
# the standard deviation 0.3. Each data set has the same x, evenly spaced from
# −1 to 1, and only its noise is its own. (With the random x of that lesson,
# high degrees go much further astray.) As there, ``powers`` makes a column for
# each power of x. :func:`torch.linalg.lstsq` takes all data sets at once, one
# in each column.

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
# Besides computing the sum of the three parts, we *measure* the error, by
# comparing each polynomial with new measurements. The two should agree.

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
# up to chance. Apart from the noise, the error of degree 1 is nearly all bias,
# and that of degree 12 nearly all variance. What about the degrees between?

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
# With each further degree, bias² gets smaller or stays near 0, and the variance
# grows, because more weights follow the noise. Up to degree 4, a further degree
# removes more bias² than it adds variance, and then the other way round. So the
# sum is smallest at degree 4. This is called the *bias–variance
# trade-off*. (With many more weights than points, as in large networks, the sum
# can fall again, in a `double descent <https://arxiv.org/abs/1812.11118>`__.)

# %%
# .. check::

assert abs(sums[1] - measured[1]) < 0.01, "the sum is the error, degree 1"
assert abs(sums[4] - measured[4]) < 0.005, "degree 4"
assert abs(sums[12] - measured[12]) < 0.01, "degree 12"
assert parts(said[1])[0] > 0.9 * (sums[1] - 0.09), "degree 1: bias"
assert parts(said[12])[1] > 0.9 * (sums[12] - 0.09), "degree 12: variance"
assert total.argmin() == 4, "degree 4 has the smallest sum"
assert (total[1:5] < total[:4]).all(), "the sum falls until degree 4"
assert (total[5:] > total[4:-1]).all(), "and then rises"
assert bias_by_degree[:5] == sorted(bias_by_degree[:5], reverse=True), (
    "bias² gets smaller until it is near 0"
)
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
# (Shifting and scaling the measurements first keeps the squares small, and
# changes no prediction.) The noise is everything about the mass that the
# measurements do not tell, for example how much a penguin has eaten.

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
# We shuffle 50 times, and print the means for 20, 60 and 242 penguins. The ± is
# the standard deviation over the shuffles. The :term:`baseline` is a model that
# predicts the mean mass for every penguin.

results = {}
for name, model in [("simple", simple), ("flexible", flexible)]:
    shuffles = [learning_curves(model, seed) for seed in range(50)]
    results[name] = torch.stack(shuffles)  # (50, 8, 2)
    mean = results[name].mean(dim=0)
    std = results[name].std(dim=0)
    print(f"{name} model")
    for i in [0, 3, 7]:
        print(f"  {sizes[i]:3} penguins: training {mean[i, 0]:.0f}")
        print(f"    validation {mean[i, 1]:.0f} ± {std[i, 1]:.0f}")
print(f"always the mean: {mass.std():.0f} g")

# %%
# The figure shows the means for all eight numbers of penguins. With 242, both
# models have about half the error of the baseline.
#
# .. alt:: The root mean squared error in g against the number of training
#    penguins, from 20 to 242. For the simple model, the training error rises
#    from 356 to 390, the validation error falls from 420 to 403, and they
#    nearly meet. For the flexible one, the training error rises from 231 to
#    341, and the validation error falls from 628, steeply at first, to 371. The
#    two validation curves cross near 60 penguins.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.8, 3.4), layout="constrained")
for name, colour in [("simple", "C0"), ("flexible", "C1")]:
    mean = results[name].mean(dim=0)
    axis.plot(
        sizes, mean[:, 1], "o-", color=colour, label=f"{name}, validation"
    )
    axis.plot(sizes, mean[:, 0], "s--", color=colour, label=f"{name}, training")
axis.set(xlabel="training penguins", ylabel="root mean squared error (g)")
axis.legend(fontsize=8)

# %%
# With few penguins, the flexible model is far better on the training penguins
# than on the others. Its weights follow the chance in these few. That makes the
# training error too small and the validation error larger, so a wide gap is a
# sign of variance. It shrinks as the number of penguins grows. The training
# error rises and the validation error falls, so they can only meet between 341
# and 371 g. So more penguins can still help this model, but by less than 30 g.
#
# The errors of the simple model have nearly met, and what is left is bias and
# noise. More penguins would hardly help. To tell bias from noise, try a cubic
# in the flipper length alone:

cubic = torch.stack([ones, flipper, flipper**2, flipper**3], dim=1)
shuffles = [learning_curves(cubic, seed) for seed in range(50)]
results["cubic"] = torch.stack(shuffles)
print(f"cubic, validation: {results['cubic'][:, 7, 1].mean():.0f}")

# %%
# It sees what the line sees, so its noise is the same. Yet its error is 389 g
# instead of 403, and it is smaller in 46 of the same 50 shuffles, so a part was
# bias. The flexible model comes to 371 g, also because the bill tells a part of
# what is noise for the line.

# %%
# .. check::

assert flexible.shape == (342, 10), "10 weights"
assert (results["simple"][:, 7, 1] - results["simple"][:, 7, 0]).mean() < 20, (
    "nearly met"
)
assert (
    results["flexible"][:, 7, 1] - results["flexible"][:, 7, 0]
).mean() > 20, "not met, by 371 - 341"
assert 0.4 < results["flexible"][:, 7, 1].mean() / mass.std() < 0.55, "half"
assert 0.45 < results["simple"][:, 7, 1].mean() / mass.std() < 0.55, "of it"
assert (
    results["flexible"][:, 0, 1].mean()
    > 2 * results["flexible"][:, 0, 0].mean()
), "a large gap with 20"
assert (results["flexible"].mean(dim=0).diff(dim=0)[:, 1] < 0).all(), (
    "its validation error falls all the way"
)
assert (results["flexible"].mean(dim=0).diff(dim=0)[:, 0] > 0).all(), (
    "and its training error rises"
)
assert (
    results["flexible"][:, 2, 1].mean() > results["simple"][:, 2, 1].mean()
), "with 40, the flexible model is worse"
assert (
    results["flexible"][:, 3, 1].mean() < results["simple"][:, 3, 1].mean()
), "with 60 it is better, so they cross near 60"
assert abs(results["flexible"][:, 7, 0].mean() - 341) < 2, "from 341"
assert abs(results["flexible"][:, 7, 1].mean() - 371) < 2, "to 371"
assert abs(results["simple"][:, 7, 1].mean() - 403) < 2, "the line"
assert abs(results["cubic"][:, 7, 1].mean() - 389) < 2, "the cubic"
assert (results["cubic"][:, 7, 1] < results["simple"][:, 7, 1]).sum() == 46, (
    "is better in 46 of 50 shuffles"
)

# %%
# What goes wrong
# ---------------
# **More examples against bias.** Back to the made-up curve, with 20, 200 and
# 2,000 points in each data set:

by_points = {}
for degree in [1, 12]:
    for points in [20, 200, 2000]:
        bias_squared, variance = parts(learn_from_many(degree, points))
        by_points[degree, points] = (bias_squared, variance)
        print(f"degree {degree:2}, {points:4} points: bias² {bias_squared:.3f}")
        print(f"  variance {variance:.4f}")

# %%
# Ten times as many points divide the variance by about ten. But the bias of the
# line hardly moves. However many points you collect, you need another model.
#
# **One curve is taken for the truth.** It is tempting to draw a learning curve
# with a single shuffle. In how many of our 50 shuffles is the flexible model
# better, for each number of penguins?

simple_val = results["simple"][:, :, 1]  # (50, 8)
flexible_val = results["flexible"][:, :, 1]
for i, n in enumerate(sizes):
    better = (flexible_val[:, i] < simple_val[:, i]).sum()
    print(f"{n:3} penguins: flexible better in {better} of 50")

# %%
# With 40 penguins, the simple model is better on average, but about half of the
# single shuffles say the opposite. With 20 penguins, and again from 160 on,
# nearly all shuffles agree. In between, a single one can easily mislead.

# %%
# .. check::

assert simple_val[:, 2].mean() < flexible_val[:, 2].mean(), (
    "with 40, the simple model is better on average"
)
assert 15 <= (flexible_val[:, 2] < simple_val[:, 2]).sum() <= 33, "about half"
assert (flexible_val < simple_val)[:, 0].sum() < 6, "with 20, nearly all agree"
assert (flexible_val < simple_val)[:, 6:].sum(dim=0).min() > 44, "160 on, too"
assert (flexible_val < simple_val)[:, 1:6].sum(dim=0).max() < 44, "between, not"
assert (flexible_val < simple_val)[:, 1:6].sum(dim=0).min() > 6, "either way"
assert 8 < by_points[1, 20][1] / by_points[1, 200][1] < 14, "a tenth, degree 1"
assert 8 < by_points[12, 200][1] / by_points[12, 2000][1] < 14, "degree 12"
assert abs(by_points[1, 2000][0] - by_points[1, 20][0]) < 0.01, "the bias stays"

# %%
# Recipe
# ------
# A learning curve over 20 shuffles of made-up data, with three features and
# noise with the standard deviation 50.

import torch

torch.manual_seed(0)
x = 100 * torch.rand(400, 3, dtype=torch.float64)
y = 3 * x[:, 0] - 2 * x[:, 1] + x[:, 2] + 50 * torch.randn(400)
columns = torch.cat([torch.ones(400, 1), x], dim=1)  # (N, 4)


# %%
# In each shuffle, fit with more and more examples, and judge all fits on the
# same 80:

sizes = [10, 20, 40, 80, 160, 320]
errors = torch.zeros(20, 6, 2)
for shuffle in range(20):
    order = torch.randperm(400)
    val = order[320:]
    for i, n in enumerate(sizes):
        train = order[:n]
        found = torch.linalg.lstsq(columns[train], y[train])
        squares = (columns @ found.solution - y) ** 2
        errors[shuffle, i, 0] = squares[train].mean() ** 0.5
        errors[shuffle, i, 1] = squares[val].mean() ** 0.5
means = errors.mean(dim=0)  # (6, 2)
for n, row in zip(sizes, means, strict=True):
    print(f"{n:3} examples: training {row[0]:.1f}, validation {row[1]:.1f}")

# %%
# If a gap still shrinks, more examples will help. If the two have met, more
# examples will hardly help. In the end, fit the model with all examples, and
# use it:

weights = torch.linalg.lstsq(columns, y).solution
new = torch.tensor([1.0, 50.0, 50.0, 50.0], dtype=torch.float64)
print(f"guess: {new @ weights:.0f}")

# %%
# .. check::

assert (means[1:, 1] < means[:-1, 1]).all(), "the validation error falls"
assert abs(means[5, 1] - means[5, 0]) < 1, "and the two meet"
assert abs(new @ weights - 100) < 15, "the truth is 100"

# %%
# What you learned
# ----------------
# - The mean squared error is bias² + variance + noise.
# - A model that is too simple has a high bias (it underfits): it is wrong in
#   the same way with every data set. One that is too flexible has a high
#   variance (it overfits): it says something else with every data set.
# - More examples make the variance of a polynomial smaller, but hardly its
#   bias. Against bias, take another model.
# - In a learning curve, look at the two errors. A gap that still shrinks says
#   that more examples will help this model, by less than the gap. Where the two
#   have met, more examples will hardly help it.
# - Average a learning curve over many shuffles.
#
# Exercises
# ---------
# 1. **Predict.** A scale shows 9, 9 or 12 for the bag of 10 kg, each a third of
#    the time, and the label says 8 or 12, each half of the time. What are bias,
#    variance, noise and error?
# 2. **Change.** Set ``noise``, the standard deviation, to 0.9, three times as
#    much. What becomes of bias² and variance at degree 4, and which degree has
#    the smallest sum?
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
#    The standard deviation of the noise is three times as large, so the
#    variance is about nine times as large, and bias² hardly changes. Now
#    flexibility costs more, and the smallest sum is at degree 3.

noise = 0.9
noisy = []
for degree in range(7):
    bias_squared, variance = parts(learn_from_many(degree, sets=2000))
    noisy.append(bias_squared + variance)
    print(f"degree {degree}: bias² {bias_squared:.3f}, variance {variance:.3f}")
print("smallest sum: degree", noisy.index(min(noisy)))
noise = 0.3  # as before

# %%
# .. check::

assert noisy.index(min(noisy)) == 3, "degree 3"
assert 8 < (noisy[4] - 0.0012) / variance_by_degree[4] < 10, "nine times"

# %%
# .. answer:: 3
#
#    The variance is about a tenth of what it was, and the bias stays. So
#    averaging helps where models disagree, and not where all make the same
#    mistake. But the ten have 200 points between them. As their x are the same,
#    one polynomial fitted to all 200 is exactly the mean of the ten.

averaged = {}
for degree in [1, 12]:
    groups = said[degree].reshape(201, 50, 10)  # 50 groups of ten
    averaged[degree] = parts(groups.mean(dim=2))
    bias_squared, variance = averaged[degree]
    print(
        f"degree {degree:2}: bias² {bias_squared:.3f}, variance {variance:.4f}"
    )
x = torch.linspace(-1, 1, 20, dtype=torch.float64)
y = measure(x, 10)
ten = torch.linalg.lstsq(powers(x, 12), y).solution.mean(dim=1)
all_rows = powers(x, 12).repeat(10, 1)  # (200, 13)
one = torch.linalg.lstsq(all_rows, y.T.reshape(-1)).solution
print("one is the mean of ten:", torch.allclose(one, ten))

# %%
# .. check::

assert 7 < variance_by_degree[12] / variance < 14, "about a tenth"
assert abs(max(averaged[1]) - bias_by_degree[1]) < 0.01, "the bias stays"
assert torch.allclose(one, ten), "one from all 200 points is the mean of ten"
