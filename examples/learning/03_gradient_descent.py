"""
Gradient descent and the learning rate
======================================

How large should the learning rate be?

The learning rate is the first number that you choose for a training run, and
often the one that matters most. If it is too small, the training crawls. If it
is too large, the loss grows until it is ``nan``. On a parabola you can work out
in your head what each learning rate does.

After this lesson you can

- work out the steps of gradient descent by hand, from either side of a minimum
- say from the curvature of a loss which learning rates are too large
- notice a loss curve that looks flat although the minimum is still far away
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets

torch.manual_seed(0)

# %%
# Down a parabola
# ---------------
# Our loss is x². It has only one number, and its lowest point is at x = 0. Its
# gradient is 2x. :term:`Gradient descent <gradient descent>` repeats one rule:
#
# .. math:: x \leftarrow x - \eta \cdot L'(x)
#
# The arrow says that x is replaced by what stands on the right. :math:`L'(x)`
# is the gradient of the loss at x, and the letter η (eta) stands for the
# :term:`learning rate`, ``lr`` in code. Start at x = 10 with the learning rate
# 0.1. The gradient is 20, so the first step is 0.1 · 20 = 2, and it leads to 8.
# What is the second one? The function below returns all the places on the way,
# and the differences between them are the steps.


def parabola(x):
    return x**2


def descend(loss, start, lr, steps):
    x = torch.tensor(start, requires_grad=True)
    places = [x.detach().clone()]
    for _ in range(steps):
        loss(x).backward()
        with torch.no_grad():
            x -= lr * x.grad
        x.grad = None
        places.append(x.detach().clone())
    return torch.stack(places)


# %%
# Four steps from 10, and four steps from −10:

from_right = descend(parabola, 10.0, lr=0.1, steps=4)
from_left = descend(parabola, -10.0, lr=0.1, steps=4)
print("from  10:", from_right)
print("steps:   ", from_right[1:] - from_right[:-1])
print("from -10:", from_left)

# %%
# At 8 the gradient is 16, so the second step is only 1.6, and the third is
# 1.28. The learning rate was 0.1 all the time. So it is not the length of the
# step. It is a *factor*: the step is the learning rate times the gradient, and
# it gets shorter as the gradient gets smaller.
#
# From −10 the gradient is negative, and the walk goes to the right. Gradient
# descent goes *against* the gradient, whatever its sign is.

# %%
# .. check::

assert torch.allclose(from_right[:4], torch.tensor([10, 8, 6.4, 5.12])), (
    "8, 6.4 and 5.12"
)
assert torch.allclose(from_left, -from_right), "the mirror image"

# %%
# Five learning rates
# -------------------
# Now take five learning rates from the same start. Try to say the first two
# places for each of them before you look.

rates = [0.1, 0.5, 0.9, 1.0, 1.1]
for lr in rates:
    print(lr, descend(parabola, 10.0, lr=lr, steps=4))

# %%
# - 0.1 creeps down on one side.
# - 0.5 is there after a single step.
# - 0.9 jumps over the minimum to the other side, a little closer each time.
# - 1.0 jumps from 10 to −10 and back, and never gets closer.
# - 1.1 lands a little further away each time. It *diverges*.
#
# The figure shows three of them on the curve.
#
# .. alt:: Three parabolas with the places of four steps from 10. With 0.1 they
#    go down the right side. With 0.9 they jump from side to side and come down.
#    With 1.1 they jump from side to side and climb.

# %%
# .. drawing::

figure, axes = plt.subplots(
    1, 3, figsize=(6.8, 2.8), sharey=True, layout="constrained"
)
curve = torch.linspace(-22, 22, 89)
for axis, lr in zip(axes, [0.1, 0.9, 1.1], strict=True):
    walk = descend(parabola, 10.0, lr=lr, steps=4)
    axis.plot(curve.numpy(), parabola(curve).numpy(), color="gray", lw=1)
    axis.plot(walk.numpy(), parabola(walk).numpy(), "o-", markersize=4, lw=1)
    axis.plot([10], [100], "s", color="black", markersize=6)
    axis.set(title=f"learning rate {lr}", xlabel="x", ylim=(-15, 470))
axes[0].set(ylabel="loss")

# %%
# .. check::

assert descend(parabola, 10.0, lr=0.5, steps=1)[1] == 0, "0.5 is there at once"
assert torch.allclose(
    descend(parabola, 10.0, lr=0.9, steps=2), torch.tensor([10, -8, 6.4])
), "0.9 jumps over the minimum"
assert descend(parabola, 10.0, lr=1.0, steps=4)[4] == 10, "1.0 comes back"
assert torch.allclose(
    descend(parabola, 10.0, lr=1.1, steps=2), torch.tensor([10, -12, 14.4])
), "1.1 climbs"

# %%
# The limit
# ---------
# Why is 1.0 the limit here? The new place is x − η · 2x, which is
# (1 − 2η) · x. So each step multiplies the distance from the minimum by the
# same factor. For 0.1 it is 0.8, for 0.5 it is 0, for 0.9 it is −0.8, and for
# 1.1 it is −1.2. The distance shrinks as long as this factor lies between −1
# and 1.
#
# The 2 comes from the parabola. It is the derivative of the gradient 2x, and it
# says how fast the gradient changes. This second derivative is called the
# *curvature*. For any parabola with the curvature c, a step multiplies the
# distance from the minimum by 1 − η · c. This lies between −1 and 1 if
#
# .. math:: 0 < \eta < \frac{2}{c}
#
# Beyond 2/c gradient descent diverges. Half of that, 1/c, leads to the minimum
# in a single step. Test it on 3x². Its gradient is 6x, so its curvature is 6
# and the limit is 2/6 = 0.333.


def steep(x):
    return 3 * x**2


for lr in [0.16, 0.33, 0.34]:
    walk = descend(steep, 10.0, lr=lr, steps=50)
    print(f"lr {lr}: from 10 to {walk[-1]:.4f} in 50 steps")

# %%
# 0.33 still comes closer, but slowly, and 0.34 moves away. (The limit holds for
# plain gradient descent. The optimizers of later lessons have other limits.)

# %%
# .. check::

assert abs(descend(steep, 10.0, lr=0.16, steps=50)[-1]) < 1e-4, "0.16 arrives"
assert abs(descend(steep, 10.0, lr=0.33, steps=50)[-1]) < 5, "0.33 gets closer"
assert abs(descend(steep, 10.0, lr=0.34, steps=50)[-1]) > 20, "0.34 does not"

# %%
# A gradient may grow on the way down
# -----------------------------------
# On a parabola the gradient gets smaller all the way to the minimum. Other
# losses do not behave like that. Take the cosine, ``torch.cos``, which has a
# top at 0 and a minimum at π = 3.14. Start near the top, at 0.1:

walk = descend(torch.cos, 0.1, lr=0.5, steps=14)
print("places:", walk)
print("steps: ", walk[1:] - walk[:-1])

# %%
# The steps are short at first, grow until the slope is steepest, halfway down,
# and then shrink. So a small gradient does not have to mean that the minimum is
# near. Here it was small at the top as well.
#
# .. alt:: The cosine from its top at 0 to its minimum at 3.14, with the places
#    of the walk: close together at the top, far apart in the middle, and close
#    together again near the minimum.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 2.8), layout="constrained")
curve = torch.linspace(-0.5, 4.5, 101)
axis.plot(curve.numpy(), curve.cos().numpy(), color="gray", lw=1)
axis.plot(walk.numpy(), walk.cos().numpy(), "o", markersize=5)
axis.set(xlabel="x", ylabel="loss")

# %%
# .. check::

assert (walk[1:] - walk[:-1]).argmax() in (6, 7), "the longest step is halfway"
assert walk[1] - walk[0] < 0.1, "the first step is short"
assert abs(walk[-1] - torch.pi) < 0.1, "it comes close to the minimum"

# %%
# On real data
# ------------
# Does the limit hold for the loss of a model? Take the penguins of
# :doc:`/lessons/learning/02_linear_regression`, whose body mass is predicted
# from the length of the flipper. Subtract the mean from both columns. The best
# line then goes through (0, 0), so only the weight ``w`` has to be found. The
# loss is the mean of (w · x − y)². Its gradient is the mean of 2 · (w · x − y)
# · x. When ``w`` grows by 1, this gradient grows by the mean of 2x². So that is
# the curvature.

table = datasets.penguins()
x = table.flipper_length - table.flipper_length.mean()  # in mm
y = table.mass - table.mass.mean()  # in g


def penguin_loss(w):
    return ((w * x - y) ** 2).mean()


curvature = (2 * x**2).mean().item()
best = ((x * y).sum() / (x**2).sum()).item()  # in closed form
print(f"curvature {curvature:.1f}, limit 2/c = {2 / curvature:.5f}")
print(f"best w: {best:.2f} g per mm")

# %%
# The limit of about 0.005 is *computed*. Now let us *measure* it. We try a
# learning rate, and see whether ``w`` is further from the best one after 20
# steps than it was at the start. The limit lies between 0 and 0.02. We try the
# middle, keep the half in which the limit must be, and repeat that 14 times.


def moves_away(lr):
    walk = descend(penguin_loss, 0.0, lr=lr, steps=20)
    return abs(walk[-1] - best) > abs(walk[0] - best)


low = 0.0
high = 0.02
for _ in range(14):
    middle = (low + high) / 2
    if moves_away(middle):
        high = middle
    else:
        low = middle
print(f"measured: {low:.5f}")
print("one step with 1/c:", descend(penguin_loss, 0.0, 1 / curvature, steps=1))

# %%
# The measured limit is the computed one. And with 1/c, a single step leads from
# 0 to the best weight.
#
# If both ``w`` and ``b`` are learned, each has a curvature of its own. For the
# lengths in mm, it is about 81,000 for ``w`` and 2 for ``b``. There is also a
# third direction. If ``w`` grows by 1 and ``b`` falls by 201, the mean length,
# the guesses hardly change, so the loss is nearly flat. A step of length 1 in
# this direction changes ``w`` by only about 1/201, so its curvature is about
# 394.3 / 201², or 0.01. The learning rate has to stay below 2/81,000, and even
# after a million steps, more than half of the way in this direction is left. So
# gradient descent crawled in the last lesson. After standardizing, the mean is
# 0, and the curvature is about 2 in every direction.

# %%
# .. check::

assert abs(low * curvature / 2 - 1) < 0.01, "measured = computed"
assert abs(descend(penguin_loss, 0.0, 1 / curvature, 1)[1] - best) < 0.01, (
    "one step with 1/c"
)
assert abs((2 * table.flipper_length**2).mean() - 81_000) < 1000, "in mm"
assert round(table.flipper_length.mean().item()) == 201, "the mean length"
assert abs(curvature - 394.3) < 0.05, "the curvature for the centred lengths"
assert abs((1 + 201**2) ** 0.5 - 201) < 0.01, "a length of about 201"
assert 0.009 < 2 * (x**2).mean() / (1 + 201**2) < 0.011, (
    "the curvature where w grows by 1 and b falls by 201"
)
assert (
    1 - 2 / 81_000 * 2 * (x**2).mean().item() / (1 + 201**2)
) ** 1_000_000 > 0.5, "more than half is left after a million steps"
assert abs((2 * (x / x.std()) ** 2).mean() - 2) < 0.01, "standardized, for w"
assert abs((x / x.std()).mean()) < 1e-5, "and where w and b change"

# %%
# What goes wrong
# ---------------
# **A flat curve that has not arrived.** Take a loss of two numbers ``a`` and
# ``b``, with the curvature 1 for ``a`` and 100 for ``b``:
#
# .. math:: L = \frac{1}{2} (a^2 + 100 \, b^2)
#
# Both start at 10. Because of ``b`` the learning rate has to stay below 2/100.
# We take 0.01, which leads ``b`` to 0 in one step.

curvatures = torch.tensor([1.0, 100.0])


def valley(place):  # place holds a and b
    return (curvatures * place**2).sum() / 2


walk = descend(valley, [10.0, 10.0], lr=0.01, steps=500)
for step in [0, 1, 10, 20, 100, 500]:
    a, b = walk[step].tolist()
    print(
        f"step {step:3}: loss {valley(walk[step]):8.3f}, a {a:5.2f}, b {b:.2f}"
    )

# %%
# The first step removes 99 % of the loss. Between steps 10 and 20 the loss
# hardly changes, compared with where it began, and you might think that the
# training is finished. But ``a`` has hardly moved. After 20 steps, more than
# 80 % of its way is still ahead. Look at the loss curve on an ordinary axis,
# and on a logarithmic one, where going up by one mark multiplies the loss by
# 10.
#
# .. alt:: The loss against the step, twice. On the left, an ordinary axis: it
#    falls from 5,050 to nearly 0 at once and then looks flat. On the right, a
#    logarithmic axis: after the first fall, it goes down in a straight line to
#    the end.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.8), layout="constrained")
losses = [valley(place).item() for place in walk]
axes[0].plot(losses)
axes[0].set(title="ordinary axis", xlabel="step", ylabel="loss")
axes[1].semilogy(losses)
axes[1].set(title="logarithmic axis", xlabel="step")

# %%
# On the left the curve looks finished. On the right it is still falling: each
# step multiplies the loss by the same factor, 0.98. So if a curve looks flat,
# draw it on a logarithmic axis as well, and train ten times longer.
#
# But the logarithmic axis helps only because the smallest loss here is 0. In
# the last lesson the error stayed near 560 g, where 390 g is possible. That
# curve looks flat on both axes, and only a comparison shows it, for example
# with the closed form.

# %%
# .. check::

assert valley(walk[0]) == 5050, "the loss at the start"
assert valley(walk[1]) < 0.01 * valley(walk[0]), "99 % go in the first step"
assert valley(walk[10]) - valley(walk[20]) < 0.01 * valley(walk[0]), "flat"
assert walk[20, 0] > 8, "more than 80 % of the way of a is left"
assert walk[500, 0] < 0.1, "500 steps bring it near the minimum"
assert abs(valley(walk[11]) / valley(walk[10]) - 0.98) < 0.001, "early"
assert abs(valley(walk[401]) / valley(walk[400]) - 0.98) < 0.001, "and late"
assert (
    555
    < (
        (table.mass**2).mean()
        - (table.flipper_length * table.mass).mean() ** 2
        / (table.flipper_length**2).mean()
    )
    ** 0.5
    < 570
), "near 560 g for the best line through 0, since b hardly moves"
assert 385 < penguin_loss(best) ** 0.5 < 395, "390 g for the best line"

# %%
# Recipe
# ------
# Try learning rates that differ by a factor of about 3, and print the loss
# after a few steps. :class:`torch.optim.SGD` takes the same steps as our
# ``descend``.

import torch

x = torch.randn(200, 3)
y = x @ torch.tensor([1.0, 2.0, 3.0])

final_loss = {}
for lr in [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]:
    w = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=lr)
    for _ in range(20):
        loss = ((x @ w - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    final_loss[lr] = ((x @ w - y) ** 2).mean().item()
    print(f"lr {lr:6}: loss {final_loss[lr]:.2g}")

# %%
# 0.3 is the best one here, and the smaller ones are still on their way. 1.0 and
# 3.0 diverge: their loss is larger than at the start, when it was about 14.

# %%
# .. check::

assert 10 < (y**2).mean() < 18, "the loss at the start"
assert min(final_loss, key=final_loss.get) == 0.3, "0.3 is the best"
assert final_loss[0.1] > 10 * final_loss[0.3], "0.1 is still on its way"
assert final_loss[1.0] > 2 * (y**2).mean(), "1.0 diverges"
assert final_loss[3.0] > 1000, "3.0 diverges"

# %%
# What you learned
# ----------------
# - A step is the learning rate times the gradient, against the gradient. The
#   learning rate is a factor, not the length of the step.
# - On a parabola with the curvature c, plain gradient descent diverges if the
#   learning rate is above 2/c, and 1/c leads to the minimum in one step. On
#   other losses the curvature changes, but near a minimum the walk cannot
#   settle above 2/c.
# - With several curvatures, the largest one sets the limit, and the smallest
#   one sets the pace.
# - A small gradient or a flat loss curve is not proof of a minimum. Train
#   longer, or compare with a result that you know.
#
# Exercises
# ---------
# 1. **Predict.** Which places follow 10 on the parabola x² with the learning
#    rates 0.25 and 0.75? Which of them is faster? And what does −0.1 do?
# 2. **Change.** Give the flippers of the penguins in cm instead of mm. What
#    becomes of the curvature and of the limit? Try a learning rate just below
#    and one just above the new limit.
# 3. **Extend.** Let the curvature of ``a`` be 1 and that of ``b`` be 1, 10, 100
#    and 1,000. Each time, take 1 divided by the larger curvature as the
#    learning rate. How many steps does it take until ``a``, which starts at 10,
#    is below 0.1?

# %%
# .. answer:: 1
#
#    The factors 1 − 2η are 0.5 and −0.5. So 0.25 goes to 5 and 2.5, and 0.75
#    goes to −5 and 2.5. They are equally fast. With −0.1 the factor is 1.2. The
#    walk follows the gradient and goes up, to 12 and 14.4.

for lr in [0.25, 0.75, -0.1]:
    print(lr, descend(parabola, 10.0, lr=lr, steps=3))

# %%
# .. check::

assert descend(parabola, 10.0, 0.25, 2).tolist() == [10, 5, 2.5], "one side"
assert descend(parabola, 10.0, 0.75, 2).tolist() == [10, -5, 2.5], "both sides"
assert descend(parabola, 10.0, -0.1, 2)[2] > 14, "it goes up"

# %%
# .. answer:: 2
#
#    The numbers in the column are a tenth of what they were, and the curvature
#    is the mean of 2x², so it is a hundredth. The limit is a hundred times as
#    large, about 0.5.

x_cm = (table.flipper_length - table.flipper_length.mean()) / 10
mass = table.mass - table.mass.mean()
limit_cm = 2 / (2 * x_cm**2).mean().item()
best_cm = 10 * best


def loss_in_cm(w):
    return ((w * x_cm - mass) ** 2).mean()


below = descend(loss_in_cm, 0.0, lr=0.99 * limit_cm, steps=100)[-1]
above = descend(loss_in_cm, 0.0, lr=1.01 * limit_cm, steps=100)[-1]
print(f"limit {limit_cm:.3f}, best w {best_cm:.0f} g per cm")
print(f"distance after 100 steps, below: {abs(below - best_cm):.0f}")
print(f"distance after 100 steps, above: {abs(above - best_cm):.0f}")

# %%
# .. check::

assert abs(limit_cm - 0.507) < 0.01, "a hundred times as large"
assert abs(below - best_cm) < 0.2 * best_cm, "closer than at the start"
assert abs(above - best_cm) > 5 * best_cm, "further away"

# %%
# .. answer:: 3
#
#    The number of steps grows like the curvature of ``b``. It is 1, 44, 459 and
#    4,603. ``a`` is slow because ``b`` needs a small learning rate. (``b``
#    itself is at 0 after the first step.)

needed = []
for curvature_b in [1, 10, 100, 1000]:
    lr = 1 / curvature_b
    a = 10.0
    steps = 0
    while a >= 0.1:
        a = a - lr * 1 * a  # the gradient of a is 1 times a
        steps += 1
    needed.append(steps)
    print(f"curvatures 1 and {curvature_b}: {steps} steps")

# %%
# .. check::

assert needed[:3] == [1, 44, 459], "about ten times as many each time"
assert abs(needed[3] - 4603) <= 1, "and again"

# %%
# .. earlier::
#
#    Some older notes say that gradient descent moves to the left. It moves
#    against the gradient, which may also lead to the right.
