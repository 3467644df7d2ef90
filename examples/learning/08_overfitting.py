"""
Overfitting and underfitting
============================

Why can a model that fits every training example be wrong on new ones?

A model is trained on examples that you have, but it is used on examples that
you do not have yet. So its error on the training examples is not the number
that you need, and it can be small for the wrong reason. This lesson shows how
that happens, and how to split your data so that you notice it in time.

After this lesson you can

- tell underfitting from overfitting by two errors, and see in two loss curves
  where overfitting begins
- split data into three sets, and say which one learns, chooses and judges
- explain why the error on the data that chose a model looks too good
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import cross_entropy

from handbook import datasets

torch.manual_seed(0)

# %%
# Four points
# -----------
# We invent a rule, so that we know the truth: y = x. We measure it at 0, 1, 2
# and 3, but two measurements are off by one, and so we get 0, 2, 1 and 3. A
# fifth point, x = 4 and y = 4, is kept back.
#
# The models are *polynomials*. A polynomial is a sum of powers of x, each
# multiplied by a weight, and its *degree* is the highest power. A line has
# degree 1, and a cubic, w₀ + w₁x + w₂x² + w₃x³, has degree 3. ``powers`` makes
# a table with one row for each point and one column for each power. (The
# numbers are ``float64``, because high powers need many digits.)

x = torch.tensor([0, 1, 2, 3], dtype=torch.float64)
y = torch.tensor([0, 2, 1, 3], dtype=torch.float64)


def powers(x, degree):
    return x.unsqueeze(1) ** torch.arange(degree + 1)  # (N, degree + 1)


print(powers(x, degree=3))

# %%
# This table times the weights gives all predictions at once. Training means
# finding the weights. We need no steps, because :func:`torch.linalg.lstsq`
# computes the weights with the smallest :term:`mean squared error`.


def fit_polynomial(x, y, degree):
    return torch.linalg.lstsq(powers(x, degree), y).solution  # (degree + 1,)


def predict(weights, x):
    return powers(x, len(weights) - 1) @ weights  # (N,)


def error(weights, x, y):
    return ((predict(weights, x) - y) ** 2).mean().item()


# %%
# Now fit a line and a cubic to the four points, and ask both for their
# prediction at the fifth one. The right answer is 4.

fifth = torch.tensor([4], dtype=torch.float64)
line = fit_polynomial(x, y, degree=1)
cubic = fit_polynomial(x, y, degree=3)
line_at_4 = predict(line, fifth).item()
cubic_at_4 = predict(cubic, fifth).item()
print(f"line:  training error {error(line, x, y):.2f}, at 4: {line_at_4:.2f}")
print(f"cubic: training error {error(cubic, x, y):.2f}, at 4: {cubic_at_4:.2f}")

# %%
# The cubic has four weights for four points, so it can go through all of them,
# and its training error is 0. But at the fifth point it says 14. The line
# misses two of the four points by about one, and at the fifth point it says
# 3.5, which is almost right.
#
# You can check the 14 without a computer. Write down the differences between
# neighbours, then the differences of these, and so on. For a cubic, the third
# differences are all equal, so the next one is 6 again. From the bottom up,
# 3 + 6 = 9, 2 + 9 = 11, and 3 + 11 = 14:
#
# .. code-block:: text
#
#    values              0   2   1   3  14
#    differences           2  -1   2  11
#    second differences     -3   3   9
#    third differences         6   6
#
# The figure shows what the cubic does in order to hit all four points.
#
# .. alt:: Four points, a straight line that passes between them, and a cubic
#    that goes through all of them. To the right of the last point, the cubic
#    shoots up far above the fifth point, and the line passes close to it.

# %%
# .. drawing::

places = torch.linspace(-0.3, 4.1, 100, dtype=torch.float64)
figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.plot(x, y, "ko", label="training points")
axis.plot(4, 4, "ks", fillstyle="none", label="the fifth point")
axis.plot(places, predict(line, places), label="line")
axis.plot(places, predict(cubic, places), "--", label="cubic")
axis.set(xlabel="x", ylabel="y", ylim=(-6, 15))
axis.legend()

# %%
# .. check::

assert error(cubic, x, y) < 1e-12, "the cubic goes through all four points"
assert abs(cubic_at_4 - 14) < 1e-6, "and says 14 at the fifth"
assert abs(line_at_4 - 3.5) < 1e-6, "the line says 3.5"
assert abs(error(line, x, y) - 0.45) < 1e-6, "and has an error of 0.45"

# %%
# Too simple, right, too flexible
# -------------------------------
# Now a larger experiment of the same kind. The truth is a curve that we choose,
# the sine of 3x + 1, which :func:`torch.sin` computes. Each measurement adds
# random noise with a standard deviation of 0.3. ``draw_points`` makes as many
# points as we like, with x between −1 and 1.


def curve(x):
    return torch.sin(3 * x + 1)


def draw_points(n):
    x = 2 * torch.rand(n, dtype=torch.float64) - 1
    noise = 0.3 * torch.randn(n, dtype=torch.float64)
    return x, curve(x) + noise


# %%
# The models learn from 20 points. Because we know the truth, we can afford
# 10,000 new points to find out how good they really are. Compare the degrees 1,
# 4 and 15.

x_train, y_train = draw_points(20)
x_new, y_new = draw_points(10_000)

for degree in [1, 4, 15]:
    weights = fit_polynomial(x_train, y_train, degree)
    on_train = error(weights, x_train, y_train)
    on_new = error(weights, x_new, y_new)
    print(f"degree {degree:2}: training {on_train:.3f}, new {on_new:,.3f}")

# %%
# The figure shows the three polynomials, with the true curve in grey.
#
# .. alt:: Three panels with the same 20 points and the true curve, a wave.
#    Degree 1 is a line that cannot follow the wave. Degree 4 stays close to the
#    true curve. Degree 15 passes close to the points, swings between them, and
#    leaves the panel at both ends.

# %%
# .. drawing::

places = torch.linspace(-1, 1, 400, dtype=torch.float64)
figure, axes = plt.subplots(
    1, 3, figsize=(8, 2.8), sharey=True, layout="constrained"
)
for axis, degree in zip(axes, [1, 4, 15], strict=True):
    weights = fit_polynomial(x_train, y_train, degree)
    axis.plot(places, curve(places), color="grey", label="truth")
    axis.plot(places, predict(weights, places), "--", label="polynomial")
    axis.plot(x_train, y_train, "k.")
    axis.set(title=f"degree {degree}", xlabel="x", ylim=(-2.2, 2.2))
axes[0].set(ylabel="y")
axes[0].legend(loc="upper left", fontsize=8)

# %%
# - **Degree 1** is too simple. A line cannot follow the curve, so both errors
#   are large. This is called *underfitting*.
# - **Degree 4** is about right. No model can have an error below 0.09 on many
#   new points, because 0.3² = 0.09 is the mean square of the noise.
# - **Degree 15** is too flexible. Its training error is the smallest of the
#   three, and its error on new points is the largest by far. It has fitted the
#   noise of these 20 points. For that it swings between them, and beyond them
#   it goes astray. Nearly all of its error comes from new points to the left or
#   to the right of all 20. This is called :term:`overfitting`.
#
# So the training error alone cannot tell you which degree is best. It never
# rises with the degree, because a polynomial can do all that one with a lower
# degree can. Look at both errors for all degrees from 0 to 15. (The figure ends
# at an error of 10. At degree 8, and from degree 10 on, the error on new points
# lies above it.)

degrees = list(range(16))
train_errors = []
new_errors = []
for degree in degrees:
    weights = fit_polynomial(x_train, y_train, degree)
    train_errors.append(error(weights, x_train, y_train))
    new_errors.append(error(weights, x_new, y_new))
print("lowest training error: degree", train_errors.index(min(train_errors)))
print("lowest error on new:   degree", new_errors.index(min(new_errors)))

# %%
# .. alt:: The error against the degree, from 0 to 15. The training error falls
#    all the way. The error on new points falls until about degree 4 and then
#    rises, with ups and downs, until it leaves the figure. A dotted line marks
#    the noise, 0.09.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
axis.plot(degrees, new_errors, "s-", markersize=4, label="new points")
axis.plot(degrees, train_errors, "o--", markersize=4, label="training points")
axis.axhline(0.09, color="black", linestyle=":", label="noise")
axis.set(xlabel="degree", ylabel="mean squared error", yscale="log")
axis.set(ylim=(0.01, 10))
axis.legend()

# %%
# .. check::

assert train_errors == sorted(train_errors, reverse=True), "it only falls"
assert min(new_errors) > 0.085, "no model is better than the noise"
assert new_errors[4] < 0.15, "degree 4 comes close to it"
assert new_errors[1] > 3 * new_errors[4], "degree 1 underfits"
assert train_errors[1] > 3 * 0.09, "on the training points, too"
assert train_errors[15] < 0.09 / 2, "degree 15 fits the noise"
assert new_errors[15] > 100 * new_errors[4], "and fails on new points"
assert ((predict(weights, x_new) - y_new) ** 2)[
    (x_new < x_train.min()) | (x_new > x_train.max())
].sum() > 0.99 * 10_000 * new_errors[15], "nearly all beyond the 20 points"
assert [degree for degree in degrees if new_errors[degree] > 10] == [
    8,
    *range(10, 16),
], "above the figure"
assert 3 <= new_errors.index(min(new_errors)) <= 6, "about degree 4"

# %%
# Who learns, who chooses, who judges
# -----------------------------------
# In real life you do not have 10,000 new points. You have one data set, and you
# split it into three parts:
#
# - the :term:`training set` *learns*: it finds the weights;
# - the :term:`validation set` *chooses*: it compares models that have learned,
#   here one for each degree, and the one with the smallest error wins;
# - the :term:`test set` *judges*: it measures the winner, once, at the end.
#
# (In linear and logistic regression nothing was chosen with the part that was
# kept back, so two parts were enough.)
#
# A setting such as the degree is called a :term:`hyperparameter`. The training
# set cannot choose it, because it would always take the highest degree. We try
# the degrees 1 to 6, because 20 points are few for more weights than that.


def choose(x_train, y_train, x_val, y_val):
    candidates = []
    errors = []
    for degree in range(1, 7):
        weights = fit_polynomial(x_train, y_train, degree)
        candidates.append(weights)
        errors.append(error(weights, x_val, y_val))
    best = errors.index(min(errors))
    return candidates[best], errors[best]


x_val, y_val = draw_points(20)
x_test, y_test = draw_points(20)
winner, on_val = choose(x_train, y_train, x_val, y_val)
print("chosen degree:", len(winner) - 1)
print(f"validation error {on_val:.3f}")
print(f"test error       {error(winner, x_test, y_test):.3f}")

# %%
# With only 20 points in each set, these two errors are rough estimates. (With
# so few examples, people often let the parts take turns at choosing, which is
# called *cross-validation*.) But why do we not report the validation error? We
# come back to this question below.
#
# On real data
# ------------
# For models that are trained in steps, the number of steps is a hyperparameter,
# too. Here the layer of :doc:`/lessons/autograd/08_straight_through`, without
# the rounding, learns to read digits from only 100 images, for 600 steps.
# Another 1,000 images are the validation set. We keep a copy of the weights
# with the lowest validation loss so far.

train_set, test_set = datasets.mnist()
x_digits = train_set.x[:100].flatten(1)  # (100, 784)
y_digits = train_set.y[:100]
x_others = train_set.x[9000:].flatten(1)  # (1000, 784)
y_others = train_set.y[9000:]

weights = torch.zeros(784, 10, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.5)
train_losses = []
val_losses = []
kept = weights.detach().clone()

# %%
# Each round measures both losses with the same weights, and then takes the
# step. We print an early step, the one with the lowest validation loss, and the
# last one.

for _ in range(600):
    loss = cross_entropy(x_digits @ weights, y_digits)
    with torch.no_grad():
        val_loss = cross_entropy(x_others @ weights, y_others)
    train_losses.append(loss.item())
    val_losses.append(val_loss.item())
    if val_losses[-1] == min(val_losses):
        kept = weights.detach().clone()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

turn = val_losses.index(min(val_losses))
for step in [10, turn, 599]:
    print(f"step {step:3}: training   {train_losses[step]:.3f}")
    print(f"          validation {val_losses[step]:.3f}")

# %%
# .. alt:: The two losses against the step. The training loss falls towards 0.
#    The validation loss falls first as well, reaches its lowest point, which a
#    dotted line marks, and then rises slowly.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
axis.plot(val_losses, label="validation")
axis.plot(train_losses, "--", label="training")
axis.axvline(turn, color="black", linestyle=":", label="lowest validation")
axis.set(xlabel="step", ylabel="loss", ylim=(0, 1.2))
axis.legend()

# %%
# Already at step 10 the validation loss is higher than the training loss. Such
# a gap alone is not a reason to stop, because both losses are still falling,
# and so each step makes the model better on new images as well. Overfitting
# begins where the validation loss turns upwards while the training loss goes on
# falling.
#
# Now the test set judges, once: the weights that were kept, and beside them the
# last ones.

x_judge = test_set.x.flatten(1)  # (2000, 784)
test_loss = {}
test_accuracy = {}
certainty = {}  # the mean largest probability of the wrong answers
for name, learned in [("kept", kept), ("last", weights.detach())]:
    scores = x_judge @ learned
    wrong = scores.argmax(dim=1) != test_set.y
    test_loss[name] = cross_entropy(scores, test_set.y).item()
    test_accuracy[name] = 1 - wrong.float().mean().item()
    largest = torch.softmax(scores, dim=1).amax(dim=1)
    certainty[name] = largest[wrong].mean().item()
    print(f"{name}: loss  {test_loss[name]:.3f}")
    print(f"      right {test_accuracy[name]:.1%}")
    print(f"      certainty of the wrong answers {certainty[name]:.2f}")

# %%
# The loss of the weights that were kept is lower, while the share of right
# answers hardly differs. Nearly all answers are the same, but the last weights
# give the wrong ones with more certainty, and that costs more. This is the idea
# of *early stopping*: keep the weights with the lowest validation loss, and
# stop when it has not fallen for a while. (At the turn itself, you cannot know
# that it will not fall again.)

# %%
# .. check::

assert val_losses[10] > train_losses[10] + 0.05, "a gap at step 10"
assert val_losses[11] < val_losses[10], "both still fall"
assert 20 < turn < 400, "then the validation loss turns"
assert val_losses[599] > val_losses[turn] + 0.03, "and rises"
assert train_losses[599] < train_losses[turn] / 2, "the training loss falls"
assert test_loss["kept"] < test_loss["last"] - 0.02, "kept is better"
assert abs(test_accuracy["kept"] - test_accuracy["last"]) < 0.02, "hardly"
assert (
    (x_judge @ kept).argmax(dim=1) == (x_judge @ weights).argmax(dim=1)
).float().mean() > 0.95, "nearly all answers are the same"
assert certainty["last"] > certainty["kept"] + 0.05, (
    "the wrong ones are given with more certainty"
)

# %%
# What goes wrong
# ---------------
# **The test set chooses.** Suppose that you have only two sets. You choose the
# degree with the test set, and report the error of the winner on the same set.
# Nothing fails. To see what this does, repeat it 500 times with new points. For
# each winner, note three errors: on the 20 points that chose it, on 20 points
# that were kept back, and on 1,000 new points, which come close to the truth.

errors = torch.zeros(500, 3)
for i in range(500):
    x_train, y_train = draw_points(20)
    x_val, y_val = draw_points(20)
    x_test, y_test = draw_points(20)
    x_new, y_new = draw_points(1000)
    winner, errors[i, 0] = choose(x_train, y_train, x_val, y_val)
    errors[i, 1] = error(winner, x_test, y_test)
    errors[i, 2] = error(winner, x_new, y_new)

print("mean errors:", errors.mean(dim=0))
gaps = errors[:, 2:] - errors[:, :2]  # (500, 2), how far below the truth
off = gaps.mean(dim=0)
spread = gaps.std(dim=0) / 500**0.5
print(f"chose:     off by {off[0]:.3f} ± {spread[0]:.3f}")
print(f"kept back: off by {off[1]:.3f} ± {spread[1]:.3f}")

# %%
# The points that were kept back tell the truth on average. The points that
# chose do not: the winner looks better on them than it is. (The number after ±
# is the standard error of the mean of the 500 differences, as in
# :doc:`/lessons/autograd/08_straight_through`.)
#
# The winner is the model that fits *these* 20 points best, and a part of that
# is luck. Six degrees had a try, and luck helped one of them to win. New points
# do not bring the same luck. It is the same with a learning rate, a network or
# the number of steps: on average, the number by which you chose is too good.
#
# **A gap is taken for overfitting.** A model almost always does better on its
# training examples, as at step 10 above. The question is whether the
# *validation* loss still falls.

# %%
# .. check::

assert off[0] > 5 * spread[0], "chosen looks too good"
assert off[1].abs() < 3 * spread[1], "kept back: no"

# %%
# Recipe
# ------
# Shuffle, split into three, choose with the second part, judge with the third.
# The data are made up. (``tensor_split([30, 60])`` cuts before the positions 30
# and 60.)

import torch

torch.manual_seed(0)
x = 2 * torch.rand(90, dtype=torch.float64) - 1
y = torch.sin(3 * x + 1) + 0.3 * torch.randn(90)
train, val, test = torch.randperm(90).tensor_split([30, 60])

degrees = [1, 4, 15]
squares = []  # for each degree, the squared error of each point
for degree in degrees:
    columns = x.unsqueeze(1) ** torch.arange(degree + 1)
    found = torch.linalg.lstsq(columns[train], y[train])
    squares.append((columns @ found.solution - y) ** 2)
val_errors = [square[val].mean().item() for square in squares]
best = val_errors.index(min(val_errors))
print(f"degree {degrees[best]}: test error {squares[best][test].mean():.3f}")

# %%
# .. check::

assert degrees[best] == 4, "neither too simple nor too flexible"
assert min(val_errors[0], val_errors[2]) > 1.5 * val_errors[1], "by far"

# %%
# What you learned
# ----------------
# - Underfitting: both errors are large. Overfitting: the training error is
#   small, and the error on new examples is larger than it need be.
# - The training set learns, the validation set chooses, the test set judges,
#   once.
# - The error on the examples that chose a model is too good, because a part of
#   it is luck.
# - A gap between the two losses is normal. Overfitting begins where the
#   validation loss turns upwards.
#
# Exercises
# ---------
# 1. **Predict.** The fifth point, (4, 4), joins the other four, and a
#    polynomial of degree 4 learns from the five. What is its training error?
#    What does it say at 5? Use a table of differences: this time the *fourth*
#    differences are equal.
# 2. **Change.** Let the polynomial of degree 15 learn from 20, 200 and 2,000
#    points. What becomes of its error on new points?
# 3. **Extend.** A hundred models guess: each answers 50 questions with yes or
#    no at random. Choose the best one by these 50 questions. How many per cent
#    does it get right there, and how many of 50 new questions? Repeat this 200
#    times.

# %%
# .. answer:: 1
#
#    Five weights go through five points, so the training error is 0. The first
#    differences are 2, −1, 2, 1, the second −3, 3, −1, the third 6, −4, and the
#    fourth is −10. The next values are, from the bottom up, −14, −15, −14 and
#    −10. So at 5 the polynomial says −10, where the truth is 5.

x_five = torch.tensor([0, 1, 2, 3, 4], dtype=torch.float64)
y_five = torch.tensor([0, 2, 1, 3, 4], dtype=torch.float64)
quartic = fit_polynomial(x_five, y_five, degree=4)
at_5 = predict(quartic, torch.tensor([5], dtype=torch.float64)).item()
print(f"error {error(quartic, x_five, y_five):.2f}, at 5: {at_5:.2f}")

# %%
# .. check::

assert error(quartic, x_five, y_five) < 1e-12, "through all five"
assert abs(at_5 - -10) < 1e-6, "and far away at 5"

# %%
# .. answer:: 2
#
#    The more points there are, the less room is left between and beyond them,
#    and the noise averages out. With 2,000 points the error is close to 0.09,
#    the mean square of the noise. So degree 15 is not too flexible in itself.
#    It was too flexible for 20 points.

x_new, y_new = draw_points(10_000)
by_points = {}
for n in [20, 200, 2000]:
    x_train, y_train = draw_points(n)
    weights = fit_polynomial(x_train, y_train, degree=15)
    by_points[n] = error(weights, x_new, y_new)
    print(f"{n:4} points: {by_points[n]:,.3f}")

# %%
# .. check::

assert by_points[20] > by_points[200], "more points help"
assert by_points[2000] < 0.1, "with 2,000 it is close to the noise"

# %%
# .. answer:: 3
#
#    Guessing is right half of the time. But the best of a hundred guessers gets
#    about two thirds right on the questions that chose it, and about 50% of new
#    ones. Nothing about it is good except its luck.

chose = []
afterwards = []
for _ in range(200):
    right = torch.randint(0, 2, (100, 50)).float()  # 1 where a guess is right
    luckiest = right.mean(dim=1).argmax()
    chose.append(right[luckiest].mean())
    new_guesses = torch.randint(0, 2, (50,)).float()
    afterwards.append(new_guesses.mean())
print(f"on the questions that chose: {torch.stack(chose).mean():.1%}")
print(f"on new questions:            {torch.stack(afterwards).mean():.1%}")

# %%
# .. check::

assert 0.65 < torch.stack(chose).mean() < 0.70, "the luckiest looks good"
assert 0.48 < torch.stack(afterwards).mean() < 0.52, "and guesses"
