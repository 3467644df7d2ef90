"""
Linear regression
=================

How does a program find the straight line that fits the data?

A straight line is one of the smallest models that can learn: it has only two
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
# .. alt:: The three points and three lines. After 1 step the line is too low
#    and too flat, after 10 steps it nearly meets the points, and after 300
#    steps it goes through all three.

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
# slopes are 0, and that gives two equations for two unknowns. Our three errors
# are b − 1, w + b − 3 and 2w + b − 5. The slope for ``b`` is 0 if their sum is
# 0, so 3w + 3b = 9. For ``w``, each error is multiplied by its x (0, 1 and 2)
# before they are added, so 5w + 3b = 13. Subtract the first equation from the
# second: 2w = 4, so w = 2, and then b = 1. A solution that you get from
# equations, and not step by step, is called a *closed form*.
#
# :func:`torch.linalg.lstsq` (for "least squares") does this for any number of
# points. It takes a matrix with a row for each point and a column for each
# number that we look for. ``w`` is multiplied by ``x``, and ``b`` by 1, so the
# columns are ``x`` and ones.


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
# They agree, except for rounding. So the layer and the optimizer hide nothing:
# they do what our loop did.

# %%
# .. check::

assert abs(model.weight.item() - descend(x, y, 0.1, 10)[0]) < 1e-5, "same w"
assert abs(model.bias.item() - descend(x, y, 0.1, 10)[1]) < 1e-5, "same b"
assert abs(losses[0] - 35 / 3) < 1e-5, "it starts from the same loss"

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
# This is the *root mean squared error* (RMSE). As the :term:`baseline`, we take
# a model that always says the mean mass.


def typical_error(guess, y):
    return mean_squared_error(guess, y).item() ** 0.5


table = datasets.penguins()
torch.manual_seed(0)
order = torch.randperm(342)
x_train, x_val = table.flipper_length[order].split([242, 100])  # in mm
y_train, y_val = table.mass[order].split([242, 100])  # in g

w, b = best_line(x_train, y_train)
line_error = typical_error(w * x_val + b, y_val)
always_mean = y_train.mean().expand(100)  # the same guess for each penguin
mean_error = typical_error(always_mean, y_val)
print(f"w = {w:.1f} g per mm, b = {b:.0f} g")
print(f"always the mean: {mean_error:.0f} g")
print(f"the line:        {line_error:.0f} g")

# %%
# A flipper that is 1 mm longer goes with about 50 g more. (``b``, the
# *intercept*, would be the mass at a flipper length of 0, and it is negative.
# The line is only meant for lengths like those in the table, from 172 to 231
# mm.) The line halves the typical error of the baseline, from about 800 g to
# about 400 g. On the 242 penguins that it was found with, the two errors are
# nearly the same as on these 100, so the 100 are not a lucky choice.
#
# Look at the single errors as well. What is left over, truth minus guess, is
# called the *residual*.
#
# .. alt:: Two panels. Left, body mass in g against flipper length in mm: 100
#    points that rise along a straight line, and a dotted level line, the mean.
#    Right, the residuals in g: a cloud around 0, most of it between −400 and
#    400. At the longest flippers, most of it lies above 0.

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
# Over most of the range, residuals lie on both sides of 0. But for flippers of
# 215 mm and more, most of them are above 0, so the line is too low there. It is
# useful, but it is not the whole truth (exercise 3).

# %%
# .. check::

assert 45 < w < 55, "about 50 g for each mm"
assert b < 0, "no mass without flippers"
assert line_error < 0.6 * mean_error, "the line halves the error"
assert abs(line_error - 400) < 20, "the line: about 400 g"
assert abs(mean_error - 800) < 20, "the baseline: about 800 g"
assert abs(typical_error(w * x_train + b, y_train) - line_error) < 20, (
    "on the 242 about the same, for the line"
)
assert abs(y_train.std() - mean_error) < 20, "and for the baseline"
assert table.flipper_length.min() == 172, "from 172 mm"
assert table.flipper_length.max() == 231, "to 231 mm"
assert (y_val - w * x_val - b)[x_val >= 215].mean() > 100, (
    "the line is too low for the longest flippers"
)
assert ((y_val - w * x_val - b)[x_val >= 215] > 0).float().mean() > 0.7, (
    "most of their residuals are above 0"
)

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
slow_model = nn.Linear(1, 1)
slow = train(slow_model, x_column, y_column, lr=1e-5, steps=3000)
best = typical_error(w * x_train + b, y_train)
print("lr 0.1, step 20:", fast[-1])
print(f"lr 0.00001, step 10:    {slow[9] ** 0.5:.0f} g")
print(f"lr 0.00001, step 3,000: {slow[-1] ** 0.5:.0f} g")
print(f"closed form:            {best:.0f} g")
print(f"b = {slow_model.bias.item():.1f} g instead of {b:.0f} g")

# %%
# With 0.1 the loss has become ``nan`` ("not a number"): each step was longer
# than the one before, until the numbers were too large for ``float32``. With
# 0.00001 the error falls within ten steps, and then it hardly moves. It looks
# finished, but it is far above what the best line reaches.
#
# The lengths are all near 200. So at the start, the slope for ``w`` is about
# 200 times that for ``b``. A learning rate that is small enough for ``w``
# hardly moves ``b``: after 3,000 steps it is still near 0. The cure is to
# *standardize* the feature, as in :doc:`/lessons/tensors/08_reductions`:
# subtract its mean, and divide by its standard deviation. Both are taken from
# the training data, and the validation data is treated with the same numbers.

mean = x_train.mean()
std = x_train.std()
scaled_column = (x_column - mean) / std
torch.manual_seed(0)
scaled_model = nn.Linear(1, 1)
scaled = train(scaled_model, scaled_column, y_column, lr=0.1, steps=100)
print(f"standardized, 100 steps: {scaled[-1] ** 0.5:.0f} g")

# the guess is w * (x - mean) / std + b: turn it back into w * x + b, in mm
w_mm = scaled_model.weight.item() / std
b_mm = scaled_model.bias.item() - w_mm * mean
print(f"gradient descent: w = {w_mm:.1f} g per mm, b = {b_mm:.0f} g")
print(f"closed form:      w = {w:.1f} g per mm, b = {b:.0f} g")

# %%
# After 100 steps the line is the one of the closed form. The figure shows the
# two ways there. (:doc:`/lessons/learning/03_gradient_descent` explains which
# learning rates are too large, and why.)
#
# .. alt:: The typical error in g against the step, up to step 100. Both curves
#    start above 4,000. In mm, the error falls at once to about 560 and stays
#    there. Standardized, it falls more slowly, and by step 30 it lies on the
#    dotted line of the closed form, 390.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
for name, curve in [
    ("in mm, lr 0.00001", slow),
    ("standardized, lr 0.1", scaled),
]:
    errors = torch.tensor(curve[:100]) ** 0.5
    axis.plot(errors.numpy(), label=name)
axis.axhline(best, color="black", ls=":", label="closed form")
axis.set(xlabel="step", ylabel="typical error (g)", ylim=(0, 4500))
axis.legend()

# %%
# .. check::

assert fast[-1] != fast[-1], "nan is the only number that is not itself"
assert slow[9] ** 0.5 - slow[-1] ** 0.5 < 5, "it hardly moves"
assert slow[-1] ** 0.5 > 1.3 * best, "far above the best line"
assert abs(slow_model.bias.item()) < 5, "b is still near 0"
assert abs(scaled[-1] ** 0.5 - best) < 1, "standardized, it arrives"
assert min(slow[0], scaled[0]) ** 0.5 > 4000, "both start above 4,000"
assert abs(slow[99] ** 0.5 - 560) < 10, "in mm, it stays at about 560"
assert abs(scaled[30] ** 0.5 - 390) < 3, "by step 30 it lies on the line"
assert abs(w_mm - w) < 0.1, "the same w"
assert abs(b_mm - b) < 20, "the same b"

# %%
# **A target of the wrong shape.** The model returns the shape (242, 1). If you
# forget to give the target its second axis, it has the shape (242,), and the
# two are broadcast, as in :doc:`/lessons/tensors/09_broadcasting`.

torch.manual_seed(0)
wrong_model = nn.Linear(1, 1)
wrong = train(wrong_model, scaled_column, y_train, lr=0.1, steps=100)
print(f"typical error: {wrong[-1] ** 0.5:.0f} g")
print(f"w = {wrong_model.weight.item():.2f} g per standard deviation")
print(f"b = {wrong_model.bias.item():.0f} g, mean {y_train.mean():.0f} g")

# %%
# No error, and the loss fell. But each guess was compared with all 242 targets,
# so the best that the model can do is to say their mean for every penguin. Its
# ``w`` is 0. The sign to look for is an error that stays at that of the
# baseline.
#
# Guess and target must have the same shape, and the recipe below checks it.
# (PyTorch's ``mse_loss`` only warns. See
# :doc:`/lessons/tensors/09_broadcasting`.)

# %%
# .. check::

assert abs(wrong_model.weight.item()) < 0.1, "w is 0"
assert abs(wrong_model.bias.item() - y_train.mean()) < 1, "b is the mean"
assert abs(wrong[-1] ** 0.5 - mean_error) < 100, "the error of the baseline"

# %%
# Recipe
# ------
# A regression with one feature, complete. The data is made up: ``y`` grows by
# 50 when ``x`` grows by 1, and the noise has the standard deviation 400.

import torch
from torch import nn

x = 170 + 60 * torch.rand(1000, 1)  # (N, 1)
y = 50 * x - 5800 + 400 * torch.randn(1000, 1)  # (N, 1)

# %%
# The mean and the standard deviation are kept, because a new input has to be
# scaled with the same two numbers.

mean = x.mean()
std = x.std()
model = nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(100):
    guess = model((x - mean) / std)  # standardized
    if guess.shape != y.shape:
        raise ValueError(f"guess {guess.shape}, target {y.shape}")
    loss = ((guess - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# What it has found, in the unit of the data:

print(f"typical error: {loss.item() ** 0.5:.0f}, baseline {y.std():.0f}")
print(f"for each unit of x: {(model.weight / std).item():.1f}")
new = torch.tensor([[200.0]])
print(f"guess at x = 200: {model((new - mean) / std).item():.0f}")

# %%
# .. check::

assert 330 < loss.item() ** 0.5 < 470, "the noise is left"
assert y.std() > 1.5 * loss.item() ** 0.5, "better than the baseline"
assert 45 < (model.weight / std).item() < 55, "50 for each unit"
assert abs(model((new - mean) / std).item() - 4200) < 100, "the truth is 4,200"

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
# - Guess and target must have the same shape. Check it before the loss.
#
# Exercises
# ---------
# 1. **Predict.** Take the three points again, at w = 2 and b = 0. What are the
#    loss and the two slopes?
# 2. **Change.** Real points hardly ever lie exactly on a line. Invent data with
#    a known truth: ``x`` between 0 and 10, w = 1.5 and b = 4, and noise with
#    the standard deviation 2. Find the line in 200 data sets of 100 points, and
#    in 200 of 10,000 points. Do you find ``w`` and ``b`` again? What is their
#    standard deviation?
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
#    On average, both numbers are found again. A single data set can be off, and
#    the ± says how far. With 100 times as many points, the ± falls to about a
#    tenth.


def find_lines(n):
    found = []
    for seed in range(200):
        torch.manual_seed(seed)
        x_made = 10 * torch.rand(n)
        y_made = 1.5 * x_made + 4 + 2 * torch.randn(n)
        found.append(best_line(x_made, y_made))
    return torch.stack(found)  # (200, 2)


lines = {}
for n in [100, 10_000]:
    lines[n] = find_lines(n)
    mean = lines[n].mean(dim=0)
    std = lines[n].std(dim=0)
    print(f"{n} points")
    print(f"  w = {mean[0]:.3f} ± {std[0]:.3f}")
    print(f"  b = {mean[1]:.3f} ± {std[1]:.3f}")

# %%
# .. check::

assert abs(lines[10_000][:, 0].mean() - 1.5) < 0.003, "w is found again"
assert abs(lines[10_000][:, 1].mean() - 4) < 0.02, "b is found again"
assert 8 < lines[100][:, 0].std() / lines[10_000][:, 0].std() < 14, (
    "a tenth for w"
)
assert 8 < lines[100][:, 1].std() / lines[10_000][:, 1].std() < 14, (
    "a tenth for b"
)

# %%
# .. answer:: 3
#
#    The Chinstraps are about 200 g lighter than the line says. With a ``b`` of
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
print(f"one b: {before:.0f} g, three: {after:.0f} g")

# %%
# .. check::

assert -240 < residual[table.species == 1].mean() < -190, "about 200 g lighter"
assert abs(before - 393) < 2, "about 390 g"
assert abs(after - 373) < 2, "about 370 g"
