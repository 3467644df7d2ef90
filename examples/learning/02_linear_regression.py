"""
Linear regression
=================

How does a program find the straight line that fits the data?

A straight line is the smallest model that can learn, because it has only two
numbers. You can use it to predict the mass of a penguin from the length of its
flipper. Its training has the same parts as that of a large network: a loss, a
gradient and many small steps. And the best line can also be computed without
any steps, so you can check what training has found.

After this lesson you can

- find the best line by gradient descent, in closed form and with ``nn.Linear``,
  and check that all three agree
- say how large the errors of a model are, in the unit of the data and beside a
  baseline
- notice a feature that needs scaling and a target of the wrong shape, which
  raise no error
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn

from handbook import datasets

torch.manual_seed(0)

# %%
# Three points
# ------------
# Here are three points: (0, 1), (1, 3) and (2, 5). Our model is a straight
# line. It multiplies the input ``x`` by a weight ``w`` and adds a bias ``b``.
# The result is the guess, written ŷ (read "y hat"):
#
# .. math:: \hat{y} = w \cdot x + b
#
# You can see the answer. When ``x`` grows by 1, ``y`` grows by 2, so w = 2. At
# x = 0 the line starts at 1, so b = 1. The program has to find these two
# numbers. It starts from w = 0 and b = 0, where every guess is 0. It also needs
# a loss that says how bad the guesses are. The usual choice is the :term:`mean
# squared error`. For N points it is
#
# .. math:: L = \frac{1}{N} \sum_{i=1}^{N} (\hat{y}_i - y_i)^2

x = torch.tensor([0.0, 1.0, 2.0])
y = torch.tensor([1.0, 3.0, 5.0])
w = torch.tensor(0.0, requires_grad=True)
b = torch.tensor(0.0, requires_grad=True)


def mean_squared_error(guess, y):
    return ((guess - y) ** 2).mean()


loss = mean_squared_error(w * x + b, y)
loss.backward()
print(f"loss {loss.item():.2f}")
print(f"slopes: {w.grad.item():.2f} for w, {b.grad.item():.2f} for b")

# %%
# The errors (guess minus ``y``) are −1, −3 and −5. Their squares are 1, 9 and
# 25, and the mean of these is 35/3 = 11.67. The slopes can be worked out by
# hand, too. Call the error of point i by the name :math:`e_i`. The derivative
# of its square is two times the error. If ``w`` grows a little, the error grows
# x times as much. If ``b`` grows, the error grows as much as ``b``. So the
# chain rule gives
#
# .. math::
#
#    \frac{dL}{dw} = \frac{1}{N} \sum_{i=1}^{N} 2 \, e_i \, x_i
#    \qquad
#    \frac{dL}{db} = \frac{1}{N} \sum_{i=1}^{N} 2 \, e_i
#
# The first is 2 · (0 − 3 − 10) / 3 = −8.67, and the second is
# 2 · (−1 − 3 − 5) / 3 = −6. Both are negative, so ``w`` and ``b`` should grow.

# %%
# .. check::

assert abs(loss - 35 / 3) < 1e-5, "the loss is 11.67"
assert abs(w.grad + 26 / 3) < 1e-5, "the slope for w is -8.67"
assert b.grad == -6, "the slope for b is -6"

# %%
# By gradient descent
# -------------------
# Now take many small steps against the slopes. This is called :term:`gradient
# descent`. In each step, both numbers move by the :term:`learning rate` ``lr``
# times their slope. The function uses the two formulas, without autograd. We
# look at the line after 1, 10 and 300 steps.


def descend(x, y, lr, steps):
    w = torch.tensor(0.0)
    b = torch.tensor(0.0)
    for _ in range(steps):
        error = w * x + b - y
        slope_w = (2 * error * x).mean()
        slope_b = (2 * error).mean()
        w = w - lr * slope_w
        b = b - lr * slope_b
    return torch.stack([w, b])


for steps in [1, 10, 300]:
    print(f"{steps:3} steps: w, b =", descend(x, y, lr=0.1, steps=steps))

# %%
# The first step goes to 0.1 · 8.67 = 0.867 and 0.1 · 6 = 0.6. After 300 steps
# the line has reached w = 2 and b = 1.
#
# .. alt:: The three points and three lines. The line after 1 step is too low
#    and too flat. The line after 10 steps nearly meets the points, and the one
#    after 300 steps goes through all three.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.8, 3.2), layout="constrained")
for steps, style in [(1, ":"), (10, "--"), (300, "-")]:
    w_now, b_now = descend(x, y, lr=0.1, steps=steps).tolist()
    ends = [b_now, 2 * w_now + b_now]
    label = "1 step" if steps == 1 else f"{steps} steps"
    axis.plot([0, 2], ends, style, label=label)
axis.plot(x.tolist(), y.tolist(), "o", color="black", label="data")
axis.set(xlabel="x", ylabel="y")
axis.legend()

# %%
# .. check::

assert torch.allclose(
    descend(x, y, lr=0.1, steps=1), torch.tensor([0.8667, 0.6]), atol=1e-4
), "the first step goes to 0.867 and 0.6"
assert torch.allclose(
    descend(x, y, lr=0.1, steps=300), torch.tensor([2.0, 1.0]), atol=1e-4
), "300 steps find the line"

# %%
# In closed form
# --------------
# For a straight line, no steps are needed. At the lowest point of the loss both
# slopes are 0, and that gives two equations for two unknowns. For our points
# they are 5w + 3b = 13 and 3w + 3b = 9. Subtract the second from the first:
# 2w = 4, so w = 2, and then b = 1. A solution that you get from equations, and
# not step by step, is called a *closed form*.
#
# :func:`torch.linalg.lstsq` (for "least squares") does this for any number of
# points. It takes a matrix with one row for each point and one column for each
# number that we look for. ``w`` is multiplied by ``x``, and ``b`` by 1, so the
# columns are ``x`` and ones. The attribute ``solution`` holds the answer.


def best_line(x, y):
    columns = torch.stack([x, torch.ones(len(x))], dim=1)  # (N, 2)
    return torch.linalg.lstsq(columns, y).solution  # w and b


print(best_line(x, y))

# %%
# .. check::

assert torch.allclose(best_line(x, y), torch.tensor([2.0, 1.0]), atol=1e-4), (
    "lstsq finds the same line"
)

# %%
# With nn.Linear and an optimizer
# -------------------------------
# In a network, the same model is a layer. :class:`torch.nn.Linear` with one
# input and one output holds a ``weight`` and a ``bias``. It takes a table with
# one row for each point, so the shape of its input is (N, 1), and that of its
# output, too. Therefore ``x`` and ``y`` get a second axis.
#
# The function trains a model with :class:`torch.optim.SGD`, in the loop that
# you know from :doc:`/lessons/autograd/02_accumulation`, and returns the loss
# of each step. ``model.parameters()`` gives the optimizer what it should move,
# here the weight and the bias.


def train(model, x, y, lr, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = mean_squared_error(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
# The layer starts from random numbers. We set them to 0, so that it starts
# where we did, and let it take 10 steps. Is it in the same place as our own
# line after 10 steps?

model = nn.Linear(1, 1)
with torch.no_grad():
    model.weight.fill_(0.0)
    model.bias.fill_(0.0)
losses = train(model, x.unsqueeze(1), y.unsqueeze(1), lr=0.1, steps=10)
print("by hand:   w, b =", descend(x, y, lr=0.1, steps=10))
print(f"nn.Linear: w, b = {model.weight.item():.4f}, {model.bias.item():.4f}")

# %%
# They agree, except for rounding. The difference is below 0.00001. So the layer
# and the optimizer hide nothing: they do what our loop did.

# %%
# .. check::

assert abs(model.weight.item() - descend(x, y, 0.1, 10)[0]) < 1e-5, "same w"
assert abs(model.bias.item() - descend(x, y, 0.1, 10)[1]) < 1e-5, "same b"
assert abs(losses[0] - 35 / 3) < 1e-5, "it starts from the same loss"

# %%
# Data whose truth we know
# ------------------------
# Real points hardly ever lie exactly on a line. Can the method be trusted then?
# To find out, invent a truth, hide it behind random noise, and see whether it
# is found again. We choose w = 1.5 and b = 4, and the noise has the standard
# deviation 2. Each number of points is tried with 20 random seeds, and ± is the
# standard deviation over the seeds.


def invent(n):
    x = 10 * torch.rand(n)
    y = 1.5 * x + 4 + 2 * torch.randn(n)
    return x, y


lines = {}
for n in [20, 200, 2000]:
    found = []
    for seed in range(20):
        torch.manual_seed(seed)
        x_made, y_made = invent(n)
        found.append(best_line(x_made, y_made))
    lines[n] = torch.stack(found)  # (20, 2)

# %%
# For each number of points, ``lines`` now holds 20 pairs of ``w`` and ``b``.
# Their means and standard deviations:

for n, found in lines.items():
    mean = found.mean(dim=0)
    std = found.std(dim=0)
    print(f"{n} points")
    print(f"  w = {mean[0]:.2f} ± {std[0]:.2f}")
    print(f"  b = {mean[1]:.2f} ± {std[1]:.2f}")

# %%
# On average, the numbers that we had hidden come out. A single data set can be
# off, and the ± says how far. With 100 times as many points, the ± falls to
# about a tenth.

# %%
# .. check::

assert abs(lines[2000][:, 0].mean() - 1.5) < 0.02, "w is found again"
assert abs(lines[2000][:, 1].mean() - 4) < 0.1, "b is found again"
assert 6 < lines[20][:, 0].std() / lines[2000][:, 0].std() < 16, "a tenth"

# %%
# On real data
# ------------
# :func:`handbook.datasets.penguins` loads a table of 342 penguins. We predict
# their body mass, in g, from the length of the flipper, in mm. The rows are
# sorted by species, so we shuffle them first. The line is found with 242
# penguins, and the other 100, the :term:`validation set`, are kept to judge it.
#
# The errors are numbers in g, and we want one typical size. The mean of their
# squares is in g², so we take the root of it (``** 0.5``), which is in g again.
# As the :term:`baseline`, we take a model that always says the mean mass.


def typical_error(guess, y):
    return mean_squared_error(guess, y).item() ** 0.5


table = datasets.penguins()
torch.manual_seed(0)
order = torch.randperm(342)
x_train, x_val = table.flipper_length[order].split([242, 100])  # in mm
y_train, y_val = table.mass[order].split([242, 100])  # in g

w, b = best_line(x_train, y_train)
line_error = typical_error(w * x_val + b, y_val)
mean_error = typical_error(y_train.mean(), y_val)
print(f"w = {w:.1f} g per mm, b = {b:.0f} g")
print(f"always the mean: {mean_error:.0f} g")
print(f"the line:        {line_error:.0f} g")

# %%
# A flipper that is 1 mm longer goes with about 50 g more. (``b`` would be the
# mass of a penguin without flippers, and it is negative. The line is only meant
# for lengths like those in the table, from 172 to 231 mm.) The line halves the
# typical error of the baseline. Look at the single errors, too. What is left
# over, truth minus guess, is called the *residual*. It is the error with the
# opposite sign.
#
# .. alt:: Two panels. Left, body mass in g against flipper length in mm: 100
#    points that rise along a straight line, and a dotted level line, the mean.
#    Right, the residuals in g: a cloud around 0, most of it between −400 and
#    400, and some beyond 800.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.2), layout="constrained")
ends = torch.tensor([172.0, 231.0])
axes[0].plot(x_val.numpy(), y_val.numpy(), "o", markersize=3, label="data")
axes[0].plot(ends.numpy(), (w * ends + b).numpy(), "-", label="line")
axes[0].axhline(y_train.mean().item(), color="black", ls=":", label="mean")
axes[0].set(xlabel="flipper length (mm)", ylabel="body mass (g)")
axes[0].legend(fontsize=8)
residual = y_val - (w * x_val + b)
axes[1].plot(x_val.numpy(), residual.numpy(), "o", markersize=3)
axes[1].axhline(0, color="black", lw=0.8)
axes[1].axhspan(-line_error, line_error, alpha=0.2, label="typical error")
axes[1].set(xlabel="flipper length (mm)", ylabel="residual (g)")
axes[1].legend(fontsize=8, loc="lower right")

# %%
# The residuals lie on both sides of 0 over the whole range, so a straight line
# is a fair model here. Was this split a lucky one? Try ten others, with new
# seeds:

line_errors = []
mean_errors = []
for seed in range(1, 11):
    torch.manual_seed(seed)
    order = torch.randperm(342)
    x_known, x_new = table.flipper_length[order].split([242, 100])
    y_known, y_new = table.mass[order].split([242, 100])
    w_found, b_found = best_line(x_known, y_known)
    line_errors.append(typical_error(w_found * x_new + b_found, y_new))
    mean_errors.append(typical_error(y_known.mean(), y_new))

of_lines = torch.tensor(line_errors)
of_means = torch.tensor(mean_errors)
print(f"always the mean: {of_means.mean():.0f} ± {of_means.std():.0f} g")
print(f"the line:        {of_lines.mean():.0f} ± {of_lines.std():.0f} g")

# %%
# It was not. On penguins that it has not seen, the line is typically wrong by
# about 400 g, and the baseline by about 800 g.

# %%
# .. check::

assert 45 < w < 55, "about 50 g for each mm"
assert b < 0, "no mass without flippers"
assert line_error < 0.6 * mean_error, "the line halves the error"
assert 380 < of_lines.mean() < 420, "about 400 g"
assert 750 < of_means.mean() < 850, "about 800 g"
assert max(line_errors) < min(mean_errors), "in each of the ten splits"

# %%
# What goes wrong
# ---------------
# **A feature that is not scaled.** An input column is called a *feature*. The
# closed form took the flipper length as it is. What does gradient descent do
# with it, at the learning rate 0.1 that served us well so far, and at a much
# smaller one?

x_column = x_train.unsqueeze(1)  # (242, 1), in mm
y_column = y_train.unsqueeze(1)  # (242, 1), in g

torch.manual_seed(0)
fast = train(nn.Linear(1, 1), x_column, y_column, lr=0.1, steps=20)
slow = train(nn.Linear(1, 1), x_column, y_column, lr=1e-5, steps=3000)
best = mean_squared_error(w * x_train + b, y_train).item()
print("lr 0.1, 20 steps:", fast[-1])
print(f"lr 0.00001, 10 steps:    {slow[9] ** 0.5:.0f} g")
print(f"lr 0.00001, 3,000 steps: {slow[-1] ** 0.5:.0f} g")
print(f"closed form:             {best**0.5:.0f} g")

# %%
# With 0.1 the loss has become ``nan`` ("not a number"): each step was longer
# than the one before, until the numbers were too large for ``float32``. With
# 0.00001 the error falls within ten steps, and then it hardly moves. It looks
# finished, but it is far above what the best line reaches.
#
# The lengths are all near 200. So at the start, the slope for ``w`` is about
# 200 times that for ``b``. A learning rate that is small enough for ``w`` is
# far too small for ``b``, which has to go to almost −6,000. The cure is to
# *standardize* the feature, as in :doc:`/lessons/tensors/08_reductions`:
# subtract its mean, and divide by its standard deviation. Both are taken from
# the training data, and the validation data are treated with the same numbers.

mean = x_train.mean()
std = x_train.std()
scaled_column = (x_column - mean) / std
torch.manual_seed(0)
scaled_model = nn.Linear(1, 1)
scaled = train(scaled_model, scaled_column, y_column, lr=0.1, steps=100)
print(f"standardized, 100 steps: {scaled[-1] ** 0.5:.0f} g")

# w is now in g per standard deviation: turn it back into g per mm
w_mm = scaled_model.weight.item() / std
b_mm = scaled_model.bias.item() - w_mm * mean
print(f"gradient descent: w = {w_mm:.1f} g per mm, b = {b_mm:.0f} g")
print(f"closed form:      w = {w:.1f} g per mm, b = {b:.0f} g")

# %%
# After 100 steps the line is the one of the closed form. The figure shows the
# two ways there. (:doc:`/lessons/learning/03_gradient_descent` explains which
# learning rates are too large, and why.)
#
# .. alt:: The typical error in g against the step, up to step 100. In mm, it
#    falls at once to about 560 and stays there. Standardized, it falls more
#    slowly, and by step 30 it lies on the dotted line of the closed form, 390.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
for name, curve in [
    ("in mm, lr 0.00001", slow),
    ("standardized, lr 0.1", scaled),
]:
    errors = torch.tensor(curve[:100]) ** 0.5
    axis.plot(errors.numpy(), label=name)
axis.axhline(best**0.5, color="black", ls=":", label="closed form")
axis.set(xlabel="step", ylabel="typical error (g)", ylim=(0, 2000))
axis.legend()

# %%
# .. check::

assert fast[-1] != fast[-1], "nan is the only number that is not itself"
assert slow[9] ** 0.5 - slow[-1] ** 0.5 < 5, "it hardly moves"
assert slow[-1] ** 0.5 > 1.3 * best**0.5, "far above the best line"
assert abs(scaled[-1] ** 0.5 - best**0.5) < 1, "standardized, it arrives"
assert abs(w_mm - w) < 0.1, "the same w"
assert abs(b_mm - b) < 20, "the same b"

# %%
# **A target of the wrong shape.** The model returns the shape (242, 1). If you
# forget to give the target its second axis, it has the shape (242,). What
# happens in the loss? You know it from
# :doc:`/lessons/tensors/09_broadcasting`. Here is what it does to training:

torch.manual_seed(0)
wrong_model = nn.Linear(1, 1)
wrong = train(wrong_model, scaled_column, y_train, lr=0.1, steps=100)
print(f"typical error: {wrong[-1] ** 0.5:.0f} g")
print(f"w = {wrong_model.weight.item():.2f} g per standard deviation")
print(f"b = {wrong_model.bias.item():.0f} g, mean {y_train.mean():.0f} g")

# %%
# No error, and the loss fell. But each guess was compared with all 242 targets,
# so the best that the model can do is to say their mean for every penguin. Its
# ``w`` is 0, and the flipper no longer matters. The sign to look for is an
# error that stays at that of the baseline.
#
# The rule: guess and target must have the same shape. Let the loss check it.
# This is version 2 of the function:


def mean_squared_error(guess, y):
    if guess.shape != y.shape:  # new
        raise ValueError(f"guess {guess.shape}, target {y.shape}")  # new
    return ((guess - y) ** 2).mean()


message = ""
try:
    train(wrong_model, scaled_column, y_train, lr=0.1, steps=1)
except ValueError as error:
    message = str(error)
print(message)

# %%
# (:func:`torch.nn.functional.mse_loss` is PyTorch's own version. It only prints
# a warning when the shapes differ.)

# %%
# .. check::

assert abs(wrong_model.weight.item()) < 0.1, "w is 0"
assert abs(wrong_model.bias.item() - y_train.mean()) < 1, "b is the mean"
assert abs(wrong[-1] ** 0.5 - mean_error) < 100, "the error of the baseline"
assert message, "version 2 refuses it"

# %%
# Recipe
# ------
# A regression with one feature, complete. The data are invented: 50 for each
# unit of ``x``, and noise with the standard deviation 400.

import torch
from torch import nn

x = 170 + 60 * torch.rand(1000, 1)  # (N, 1)
y = 50 * x - 5800 + 400 * torch.randn(1000, 1)  # (N, 1)
scaled_x = (x - x.mean()) / x.std()  # standardized

model = nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(100):
    guess = model(scaled_x)
    if guess.shape != y.shape:
        raise ValueError(f"guess {guess.shape}, target {y.shape}")
    loss = ((guess - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# What it has found, in the unit of the data:

print(f"typical error: {loss.item() ** 0.5:.0f}")
print(f"for each unit of x: {(model.weight / x.std()).item():.1f}")

# %%
# .. check::

assert 330 < loss.item() ** 0.5 < 470, "the noise is left"
assert 45 < (model.weight / x.std()).item() < 55, "50 for each unit"

# %%
# What you learned
# ----------------
# - Linear regression finds ``w`` and ``b`` with the smallest mean squared
#   error. Gradient descent and the closed form lead to the same line.
# - ``nn.Linear`` and ``optim.SGD`` do what the loop by hand does.
# - Say the typical error in the unit of the data, and compare it with a model
#   that always says the mean.
# - Standardize features before gradient descent, with the mean and the standard
#   deviation of the training data.
# - Guess and target must have the same shape. Let the loss check it.
#
# Exercises
# ---------
# 1. **Predict.** Take the three points again, at w = 2 and b = 0. What are the
#    loss and the two slopes?
# 2. **Change.** Give the flipper length in cm instead of mm. What becomes of
#    ``w``, of ``b`` and of the typical error of the closed form?
# 3. **Extend.** The line does not know the species. Find it with all 342
#    penguins, and compute the mean residual of each species. Then give
#    ``lstsq`` a column for each species, with 1 for its penguins and 0 for the
#    others, instead of the one column of ones. How large is the typical error
#    for these 342 penguins before and after?

# %%
# .. answer:: 1
#
#    Each guess is 1 too small. So the loss is 1, the slope for ``b`` is
#    2 · (−1) = −2, and the slope for ``w`` is 2 · (0 − 1 − 2) / 3 = −2.

x = torch.tensor([0.0, 1.0, 2.0])
y = torch.tensor([1.0, 3.0, 5.0])
w = torch.tensor(2.0, requires_grad=True)
b = torch.tensor(0.0, requires_grad=True)
loss = mean_squared_error(w * x + b, y)
loss.backward()
print(loss.item(), w.grad.item(), b.grad.item())

# %%
# .. check::

assert loss == 1, "each error is -1"
assert abs(w.grad + 2) < 1e-5, "the slope for w"
assert abs(b.grad + 2) < 1e-5, "the slope for b"

# %%
# .. answer:: 2
#
#    One cm is ten times as much as one mm, so ``w`` is ten times as large,
#    about 500 g per cm. ``b`` and the error stay the same, because it is the
#    same line.

in_mm = best_line(x_train, y_train)
in_cm = best_line(x_train / 10, y_train)
error_cm = typical_error(in_cm[0] * x_val / 10 + in_cm[1], y_val)
print(f"mm: w {in_mm[0]:.1f}, b {in_mm[1]:.0f}, error {line_error:.0f} g")
print(f"cm: w {in_cm[0]:.1f}, b {in_cm[1]:.0f}, error {error_cm:.0f} g")

# %%
# .. check::

assert abs(in_cm[0] / in_mm[0] - 10) < 0.01, "w is ten times as large"
assert abs(in_cm[1] - in_mm[1]) < 5, "b stays"
assert abs(error_cm - line_error) < 0.5, "the error stays"

# %%
# .. answer:: 3
#
#    The Chinstraps are about 200 g lighter than the line says. With a start of
#    its own for each species, the typical error falls a little, from about 390
#    g to about 370 g. (Both are measured on the penguins that the line was
#    fitted to, so they are a little too good.)

flipper = table.flipper_length
mass = table.mass
whole = best_line(flipper, mass)
residual = mass - (whole[0] * flipper + whole[1])
columns = [flipper]
for i, name in enumerate(table.names):
    chosen = table.species == i
    columns.append(chosen.float())
    print(f"{name}: mean residual {residual[chosen].mean():.0f} g")

matrix = torch.stack(columns, dim=1)  # (342, 4)
numbers = torch.linalg.lstsq(matrix, mass).solution
before = typical_error(whole[0] * flipper + whole[1], mass)
after = typical_error(matrix @ numbers, mass)
print(f"one start: {before:.0f} g, three starts: {after:.0f} g")

# %%
# .. check::

assert -240 < residual[table.species == 1].mean() < -190, "about 200 g lighter"
assert abs(before - 393) < 2, "about 390 g"
assert abs(after - 373) < 2, "about 370 g"
