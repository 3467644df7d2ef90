"""
Linear layers and activations
=============================

What does a linear layer compute, and why does a network need something else
between two of them?

You will meet ``nn.Linear`` in nearly every network, up to the largest language
models. It does only one thing: it computes weighted sums. And however many such
layers you put in a row, together they can do no more than one of them. It is
the small function between them that makes a network able to follow a curve. The
same function can also switch off a part of the network for good, without any
error message.

After this lesson you can

- compute by hand what a linear layer returns, also for an input of zeros, and
  say which shape comes out
- explain why a network needs an activation function, and choose one
- count the dead units of a network, and avoid them
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import Batches, datasets

torch.manual_seed(0)

# %%
# A weighted sum
# --------------
# A taxi costs 2 euros for each kilometre and 0.50 euros for each minute, and
# the basic fare is 4 euros. So the price is a *weighted sum* of two numbers,
# plus a constant. That is exactly what a :term:`fully connected layer`
# computes, so we can write the price as a :class:`torch.nn.Linear` with two
# inputs and one output. Training usually finds the weights, but here we set
# them by hand.

taxi = nn.Linear(2, 1)
with torch.no_grad():
    taxi.weight.copy_(torch.tensor([[2.0, 0.5]]))  # per km, per minute
    taxi.bias.copy_(torch.tensor([4.0]))

ride = torch.tensor([10.0, 20.0])  # 10 km, 20 minutes
print(taxi(ride).tolist())

# %%
# The price is 2 · 10 + 0.5 · 20 + 4 = 34. With five outputs, the layer would
# have five rows of weights and five biases. Each output would be a weighted sum
# of all inputs, and this is why the layer is called *fully connected*.
#
# .. _linear-is-affine:
#
# Zeros give the bias
# -------------------
# What does the taxi cost if you travel twice as far and twice as long? And if
# you do not travel at all?

rides = torch.tensor([[10.0, 20.0], [20.0, 40.0], [0.0, 0.0]])  # (3, 2)
print("with bias:   ", taxi(rides).squeeze(1).tolist())

no_bias = nn.Linear(2, 1, bias=False)
with torch.no_grad():
    no_bias.weight.copy_(taxi.weight)
print("without bias:", no_bias(rides).squeeze(1).tolist())

# %%
# Twice the ride costs 64 and not 68, and no ride at all costs 4, because **for
# zeros the layer returns its bias.** In mathematics, a function is *linear*
# only if twice the input gives twice the output, and then zeros give zeros. A
# linear function plus a constant is called *affine*. So ``nn.Linear`` is
# affine, and only with ``bias=False`` is it really linear.

# %%
# .. check::

assert taxi(ride).tolist() == [34], "20 + 10 + 4"
assert taxi(rides).tolist() == [[34], [64], [4]], "twice the ride is not 68"
assert taxi(rides)[2] == taxi.bias, "for zeros it returns the bias"
assert no_bias(rides).tolist() == [[30], [60], [0]], "without bias, it is twice"

# %%
# Only the last axis matters
# --------------------------
# One ride was a tensor of the shape (2,), and three rides had the shape (3, 2).
# The layer computes along the last :term:`axis`, which must have as many
# numbers as the layer has inputs. All axes before it stay as they are.

week = torch.zeros(7, 3, 2)  # 7 days, 3 rides a day
print("week: ", tuple(taxi(week).shape))

image = torch.rand(28, 28)
print("image:", tuple(nn.Linear(28, 5)(image).shape))
flat = image.flatten()
print("flat: ", tuple(nn.Linear(784, 5)(flat).shape))

# %%
# Look at the second case. If the layer has 28 inputs, a whole image raises no
# error. The layer takes each *row* of the image for one example, and returns
# five numbers for each of the 28 rows. If you want five numbers for the whole
# image, flatten it first, as in the third case.

# %%
# .. check::

assert taxi(week).shape == (7, 3, 1), "one price for each ride"
assert nn.Linear(28, 5)(image).shape == (28, 5), "five numbers for each row"
assert nn.Linear(784, 5)(flat).shape == (5,), "five for the whole image"

# %%
# Two linear layers are one
# -------------------------
# Here is a small network with one input x, two hidden numbers and one output.
# The hidden numbers are x and x − 2, and the output is the first minus twice
# the second. We compute it for x from −1 to 5, once without ReLU between the
# layers and once with it.

with_relu = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
with torch.no_grad():
    with_relu[0].weight.copy_(torch.tensor([[1.0], [1.0]]))
    with_relu[0].bias.copy_(torch.tensor([0.0, -2.0]))
    with_relu[2].weight.copy_(torch.tensor([[1.0, -2.0]]))
    with_relu[2].bias.fill_(0)
without = nn.Sequential(with_relu[0], with_relu[2])  # the same two layers

x = torch.arange(-1.0, 6.0).unsqueeze(1)  # (7, 1)
print("x:        ", x.squeeze(1).tolist())
print("without:  ", without(x).squeeze(1).tolist())
print("with ReLU:", with_relu(x).squeeze(1).tolist())

# %%
# Without ReLU, the output falls by 1 whenever x grows by 1, because it is
# x − 2 · (x − 2), which is 4 − x. A single layer with the weight −1 and the
# bias 4 does the same. This holds for linear layers of any size, because a
# weighted sum of weighted sums is again a weighted sum. (Exercise 3 of
# :doc:`/lessons/networks/01_module` computes the weights of the single layer.)
#
# With ReLU, the output rises and then falls. Below 0, neither hidden number is
# positive, so the output is 0. From 0 to 2, only x is positive, and the output
# is x. Beyond 2, both are positive, and the two networks agree. So there is a
# bend wherever a hidden number changes its sign, and 64 hidden numbers can give
# up to 64 bends. With enough bends, a network can come close to any curve.
#
# .. alt:: Output against input from −1 to 5. Without ReLU, a straight line
#    falls from 5 to −1. With ReLU, the line is 0 up to x = 0, rises to 2 at x =
#    2, and then falls along the other line. Dots mark the two bends.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.4, 3), layout="constrained")
axis.plot(x, with_relu(x).detach(), "C0", linewidth=3, label="with ReLU")
axis.plot(x, without(x).detach(), "C1--", linewidth=2, label="without")
axis.plot([0, 2], [0, 2], "oC0", markersize=8)
axis.set(xlabel="x", ylabel="output")
axis.legend()

# %%
# .. check::

assert without(x).squeeze(1).tolist() == [5, 4, 3, 2, 1, 0, -1], "4 − x"
assert with_relu(x).squeeze(1).tolist() == [0, 0, 1, 2, 1, 0, -1], "two bends"

# %%
# Activation functions and their slopes
# -------------------------------------
# Any function that is not affine can stand between the layers as an
# :term:`activation function`. Four of them are new here.
#
# - ``nn.LeakyReLU`` multiplies negative numbers by 0.01, where ReLU turns them
#   into 0.
# - ``nn.GELU`` is a ReLU without a corner. It multiplies a number by the
#   probability that ``torch.randn`` gives a smaller one.
# - ``nn.Sigmoid`` and ``nn.Tanh`` are the S-shaped functions ``torch.sigmoid``
#   and ``torch.tanh``, now as layers.
#
# For training, the slope of the function is what counts, because the
# :term:`backward pass` multiplies the gradient by it. What are the slopes at
# five places?

activations = {
    "ReLU": nn.ReLU(),
    "LeakyReLU": nn.LeakyReLU(),
    "GELU": nn.GELU(),
    "Tanh": nn.Tanh(),
    "Sigmoid": nn.Sigmoid(),
}
sums = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0], requires_grad=True)
slopes = {}
for name, activation in activations.items():
    sums.grad = None
    activation(sums).sum().backward()
    slopes[name] = [round(slope, 3) for slope in sums.grad.tolist()]
    print(f"{name:9}", slopes[name])

# %%
# The figure shows the five functions, and their slopes at all places.
#
# .. alt:: Five functions on the left and their slopes on the right, from −5 to
#    5. ReLU, LeakyReLU and GELU lie near 0 on the left side and rise on the
#    right side with a slope of about 1. Tanh goes from −1 to 1 and Sigmoid from
#    0 to 1. Both are flat at the ends. The slope of Sigmoid is never larger
#    than a quarter.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.4), layout="constrained")
styles = ["-", "--", "-.", "-", "--"]
for activation, style in zip(activations.items(), styles, strict=True):
    name, function = activation
    places = torch.linspace(-5, 5, 401, requires_grad=True)
    values = function(places)
    values.sum().backward()
    axes[0].plot(places.detach(), values.detach(), style, label=name)
    axes[1].plot(places.detach(), places.grad, style)
axes[0].set(xlabel="input", ylabel="output", ylim=(-1.3, 3))
axes[1].set(xlabel="input", ylabel="slope", ylim=(-0.2, 1.2))
figure.legend(loc="outside lower center", ncols=3)

# %%
# ReLU passes the whole gradient if its input is positive, and nothing
# otherwise. Sigmoid and tanh become flat at both ends, where they *saturate*:
# at 3, their slopes are 0.045 and 0.01, and little of the gradient passes. Even
# at its steepest, the sigmoid lets through only a quarter.
# (:doc:`/lessons/architectures/02_initialization` shows what that does to deep
# networks.)
#
# Which one should you take? Between layers, start with ReLU. Many Transformers
# use GELU. Sigmoid and tanh are useful where a number has to lie between 0 and
# 1, or between −1 and 1.

# %%
# .. check::

assert slopes["ReLU"] == [0, 0, 0, 1, 1], "nothing, or the whole gradient"
assert slopes["LeakyReLU"][:2] == [0.01, 0.01], "0.01 on the left"
assert slopes["Sigmoid"][2] == 0.25, "at most a quarter"
assert slopes["Sigmoid"][4] == 0.045, "the sigmoid becomes flat"
assert slopes["Tanh"][4] == 0.01, "and so does tanh"
assert 0.84 < nn.GELU()(torch.tensor(1.0)) < 0.842, "84 % lie below 1"

# %%
# On real data
# ------------
# Does it matter for the digits? We compare a single linear layer, two linear
# layers in a row, and the same two with ReLU between them. For each kind, we
# first tried the learning rates 0.1, 0.2, 0.5 and 1 with five other seeds.

digits, _ = datasets.mnist()
x_train = digits.x[:8000].flatten(1)  # (8000, 784)
y_train = digits.y[:8000]
x_val = digits.x[8000:].flatten(1)  # (2000, 784)
y_val = digits.y[8000:]


def make_network(kind):
    if kind == "one layer":
        return nn.Linear(784, 10)
    if kind == "two layers":
        return nn.Sequential(nn.Linear(784, 64), nn.Linear(64, 10))
    return nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


# %%
# ``train`` is the loop that you know, with a seed for the order of the images.


def train(model, lr, seed, epochs=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    batches = Batches(x_train, y_train, batch_size=50, shuffle=True, seed=seed)
    for _ in range(epochs):
        for x, y in batches:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def accuracy(model):
    with torch.no_grad():
        return (model(x_val).argmax(dim=1) == y_val).float().mean()


# %%
# Now we train five networks of each kind, each kind with its best rate.

rates = {"one layer": 0.5, "two layers": 0.2, "with ReLU": 0.5}
models = {}
shares = {}
for kind, lr in rates.items():
    models[kind] = []
    for seed in range(5):
        torch.manual_seed(seed)
        model = make_network(kind)
        train(model, lr, seed)
        models[kind].append(model)
    shares[kind] = torch.stack([accuracy(each) for each in models[kind]])
    print(f"{kind}: {shares[kind].mean():.1%} ± {shares[kind].std():.1%}")
gain = shares["with ReLU"] - shares["two layers"]
print(f"gain by ReLU: {gain.mean():.1%} ± {gain.std() / 5**0.5:.1%}")

# %%
# (The last ± is the :term:`standard error`, the others are standard
# deviations.) Two linear layers have 50,890 parameters, and one has 7,850, but
# both get between 89% and 90% of the digits right. ReLU has no parameters at
# all, and with it about 93% are right.

# %%
# .. check::

assert 0.885 < shares["one layer"].mean() < 0.905, "one layer, 89 to 90 %"
assert 0.885 < shares["two layers"].mean() < 0.905, "two layers, 89 to 90 %"
assert abs(shares["with ReLU"].mean() - 0.93) < 0.012, "with ReLU, about 93 %"
assert gain.mean() > 3 * gain.std() / 5**0.5, "the gain is not by luck"
assert 784 * 64 + 64 + 64 * 10 + 10 == 50_890, "two layers"
assert 784 * 10 + 10 == 7850, "one layer"

# %%
# What goes wrong
# ---------------
# **A dead unit.** A hidden number together with its weights is called a *unit*.
# Take a unit with one input, which should return its input: 0, 1, 2, 3. It
# starts with the weight 1 and the bias −5, so its sums are −5, −4, −3 and −2.
# What can it learn with ReLU, and what with LeakyReLU or GELU?


def train_unit(activation):
    x = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    unit = nn.Sequential(nn.Linear(1, 1), activation)
    with torch.no_grad():
        unit[0].weight.fill_(1.0)
        unit[0].bias.fill_(-5.0)
    optimizer = torch.optim.SGD(unit.parameters(), lr=0.1)
    for _ in range(600):
        loss = ((unit(x) - x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return unit[0].weight.item(), unit[0].bias.item()


# %%
# We print the weight and the bias after 600 steps.

units = {}
for name in ["ReLU", "LeakyReLU", "GELU"]:
    weight, bias = train_unit(activations[name])
    units[name] = (weight, bias)
    print(f"{name:9} weight {weight:.2f}, bias {bias:.2f}")

# %%
# With ReLU, nothing has moved. All sums are negative, so all outputs and all
# slopes are 0. Then the gradients of the weight and the bias are exactly 0, and
# the next step finds the same. Such a unit is called **dead**. LeakyReLU still
# has the slope 0.01, and that was enough to come close to the weight 1 and the
# bias 0. GELU does not help here. For these sums its slope is negative, so its
# unit was pushed the wrong way.

# %%
# .. check::

assert units["ReLU"] == (1, -5), "nothing has moved"
assert abs(units["LeakyReLU"][0] - 1) < 0.05, "close to the weight 1"
assert abs(units["LeakyReLU"][1]) < 0.1, "and to the bias 0"
assert units["GELU"][1] < -5.1, "with GELU the bias went away from 0"
assert slopes["GELU"][0] < 0, "its slope is negative at −3"

# %%
# **A rate that kills units.** In a network, one step that is too large can push
# a unit that far. We train the network with ReLU again, with the rate 1 where
# 0.5 was best. ``share_on`` tells for each unit on which share of the images
# its sum is positive. If this share is 0, the unit is dead.


def share_on(model):
    with torch.no_grad():
        sums = model[0](x_train)  # (8000, 64)
    return (sums > 0).float().mean(dim=0)  # (64,)


fast = []
for seed in range(5):
    torch.manual_seed(seed)
    model = make_network("with ReLU")
    train(model, 1.0, seed)
    fast.append(model)
fast_shares = torch.stack([accuracy(each) for each in fast])

# %%
# How many of the 64 units are dead in each of the five networks, and how many
# answers are right on average?

dead = {}
for lr, networks in [(0.5, models["with ReLU"]), (1.0, fast)]:
    dead[lr] = [(share_on(each) == 0).sum().item() for each in networks]
    print(f"rate {lr}: dead {dead[lr]}")
print(f"right: {fast_shares.mean():.1%} ± {fast_shares.std():.1%}")

# %%
# With the rate 1, about half of the units are dead. No error says so. On
# average, the networks still read most of the digits, but fewer than with the
# rate 0.5. Some of that is due to the large steps themselves, and a smaller
# rate later on would make up for it. But it would not bring back the dead
# units: their gradient is 0 for every training image, so plain SGD does not
# move them. So count the dead units after the first epoch, and if there are
# many, begin anew with a smaller rate.

# %%
# .. check::

assert max(dead[0.5]) < 8, "with the rate 0.5, hardly any unit is dead"
assert min(dead[1.0]) > 8, "with the rate 1, many are"
assert 20 < sum(dead[1.0]) / 5 < 50, "about half of 64"
assert fast_shares.mean() < shares["with ReLU"].mean() - 0.01, "fewer are right"

# %%
# Recipe
# ------
# A network that predicts a number. The data are made up: the two sides of a
# rectangle in centimetres, and its area. Inputs and outputs are standardized,
# because then the sums of most units have both signs, and this is where an
# activation function makes a difference (exercise 3).

import torch
from torch import nn

torch.manual_seed(0)
sides = 1 + 8 * torch.rand(600, 2)
area = sides[:, :1] * sides[:, 1:]  # (600, 1)
x_mean = sides[:500].mean(dim=0)
x_std = sides[:500].std(dim=0)
y_mean = area[:500].mean()
y_std = area[:500].std()
x = (sides - x_mean) / x_std
y = (area - y_mean) / y_std

# %%
# Train with 500 rows. The :term:`baseline` is a single linear layer, trained in
# the same way.

model = nn.Sequential(
    nn.Linear(2, 64),
    nn.ReLU(),  # between two linear layers
    nn.Linear(64, 1),  # and none after the last
)
line = nn.Linear(2, 1)
for each in [model, line]:
    optimizer = torch.optim.SGD(each.parameters(), lr=0.1)
    for _ in range(1000):
        loss = ((each(x[:500]) - y[:500]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %%
# Judge with the other 100 by the root mean squared error in square
# centimetres, count the dead units, and predict the area for the sides 3 and 4.

new = (torch.tensor([[3.0, 4.0]]) - x_mean) / x_std
with torch.no_grad():
    errors = (model(x[500:]) - y[500:]) * y_std
    line_errors = (line(x[500:]) - y[500:]) * y_std
    new_area = (model(new) * y_std + y_mean).item()
    largest = model[0](x[:500]).amax(dim=0)  # (64,), of each unit
dead_units = (largest <= 0).sum().item()
rmse = (errors**2).mean() ** 0.5
line_rmse = (line_errors**2).mean() ** 0.5
print(f"error {rmse:.1f}, of a single layer {line_rmse:.1f}")
print(f"3 cm by 4 cm: {new_area:.1f}, dead units: {dead_units} of 64")

# %%
# .. check::

assert rmse < line_rmse / 4, "far better than a single layer"
assert abs(new_area - 12) < 2, "3 · 4 = 12"
assert dead_units < 10, "few dead units"

# %%
# What you learned
# ----------------
# - A linear layer computes weighted sums along the last axis and adds a bias.
#   For zeros it returns the bias.
# - Linear layers in a row are no more than one. Put an activation function
#   between two of them, and usually none after the last.
# - The gradient is multiplied by the slope of the activation function. Where
#   the slope is 0, nothing is learned.
# - A unit with ReLU is dead if its sum is 0 or negative for every example.
#   Count dead units, and train with a smaller rate if there are many.
#
# Exercises
# ---------
# 1. **Predict.** Let ``layer = nn.Linear(8, 3)``. Which shapes come out for
#    inputs of the shapes (8,), (2, 8), (2, 5, 8) and (8, 2)? And what are the
#    numbers for ``torch.zeros(2, 8)``?
# 2. **Change.** Give ``with_relu`` four hidden numbers, and set its weights so
#    that the output is 0, 0, 1, 1, 0, 0 for x = −1, 0, 1, 2, 3, 4.
# 3. **Extend.** Give 500 temperatures between 280 and 300 kelvin to a new
#    ``nn.Linear(1, 64)``, without training it. How many of its units have a
#    negative sum for all temperatures, and how many a positive one for all?
#    What does ReLU then do? Compare with standardized temperatures, for five
#    seeds.

# %%
# .. answer:: 1
#
#    The last axis, 8, becomes 3: (3,), (2, 3) and (2, 5, 3). For (8, 2) the
#    last axis has 2 numbers, and this is an error. For zeros, each of the two
#    rows is the bias.

layer = nn.Linear(8, 3)
for shape in [(8,), (2, 8), (2, 5, 8)]:
    output = layer(torch.zeros(shape))
    print(shape, "->", tuple(output.shape))
message = ""
try:
    layer(torch.zeros(8, 2))
except RuntimeError as error:
    message = str(error)
print(message)
both_rows = layer(torch.zeros(2, 8))
print("first row is the bias:", both_rows[0].equal(layer.bias))

# %%
# .. check::

assert layer(torch.zeros(2, 5, 8)).shape == (2, 5, 3), "the last axis"
assert message, "(8, 2) is an error"
assert both_rows[0].equal(layer.bias), "for zeros, the bias"
assert both_rows[1].equal(layer.bias), "in each row"

# %%
# .. answer:: 2
#
#    The output has to rise at 0, become level at 1, fall at 2 and become level
#    again at 3. So there are four bends, one for each hidden number x, x − 1,
#    x − 2 and x − 3. At each bend, the slope changes by the weight of the
#    second layer: by 1, −1, −1 and 1.

plateau = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
with torch.no_grad():
    plateau[0].weight.fill_(1)
    plateau[0].bias.copy_(torch.tensor([0.0, -1.0, -2.0, -3.0]))
    plateau[2].weight.copy_(torch.tensor([[1.0, -1.0, -1.0, 1.0]]))
    plateau[2].bias.fill_(0)
places = torch.arange(-1.0, 5.0).unsqueeze(1)  # (6, 1)
heights = plateau(places).squeeze(1).tolist()
print(heights)

# %%
# .. check::

assert heights == [0, 0, 1, 1, 0, 0], "a plateau"

# %%
# .. answer:: 3
#
#    The temperatures are so large that the sign of the weight decides alone.
#    About half of the units are dead before training begins, and the sums of
#    the others are always positive, so that ReLU changes nothing there. In the
#    whole range there is no bend, and the network begins as a straight line.
#    With standardized temperatures, most units have their bend among the data.


def count_signs(inputs, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        on = (nn.Linear(1, 64)(inputs) > 0).float().mean(dim=0)  # (64,)
    never = (on == 0).sum().item()
    always = (on == 1).sum().item()
    return [never, always, 64 - never - always]


kelvin = 280 + 20 * torch.rand(500, 1)
standardized = (kelvin - kelvin.mean()) / kelvin.std()
raw_counts = [count_signs(kelvin, seed) for seed in range(5)]
counts = [count_signs(standardized, seed) for seed in range(5)]
print("never, always, both signs:")
print("kelvin:      ", raw_counts)
print("standardized:", counts)

# %%
# .. check::

assert max([row[2] for row in raw_counts]) <= 2, "no bend, or hardly any"
assert min([row[0] for row in raw_counts]) > 12, "many are dead"
assert min([row[2] for row in counts]) > 32, "most units have a bend"
