"""
Custom autograd.Function and gradcheck
======================================

How do I give PyTorch a gradient of my own, and know that it is right?

Autograd knows the derivatives of PyTorch's operations. Now and then you have to
write one yourself, because a formula comes from another library, or because you
can compute its gradient more accurately. A few lines are enough for that. But
PyTorch believes whatever they say, and a wrong gradient can train a network
that looks healthy. So checking is half of this lesson.

After this lesson you can

- write a function with its own ``backward``, and call it with ``apply``
- check it with ``gradcheck``, and read the numbers of its message
- say when you do not need such a function at all
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch.autograd import Function, gradcheck

from handbook import datasets

torch.manual_seed(0)
train, test = datasets.mnist()

# %%
# .. _static-methods-only:
#
# Three static methods
# --------------------
# We begin with a function whose slope you know from school. The cube of 2 is 8,
# and the slope of :math:`x^3` is :math:`3x^2`, which is 12 at 2. A function
# with a gradient of its own is a class made from
# :class:`torch.autograd.Function`, with three methods:
#
# - ``forward`` computes the result. Autograd records nothing inside it.
# - ``setup_context`` puts aside what ``backward`` will need. ``inputs`` is the
#   tuple of all arguments of ``forward``, and ``output`` is what ``forward``
#   returned. Both ``setup_context`` and ``backward`` get the same ``ctx``,
#   short for *context*, to pass it on.
# - ``backward`` receives the :term:`gradient` of the loss with respect to the
#   output, ``grad_output``, the :math:`v` of the last lesson. It returns the
#   gradient with respect to the input: ``grad_output`` times the Jacobian,
#   :math:`v^TJ`. A function that works on each number by itself, as ours does,
#   multiplies ``grad_output`` by its slope.
#
# The line ``@staticmethod`` above a method is a *decorator*: it changes the
# function below it. Here it says that the method has no ``self``. PyTorch never
# makes an object of this class, so whatever the methods share goes through
# ``ctx``.


class Cube(Function):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        x = inputs[0]
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad_output):
        x = ctx.saved_tensors[0]
        return grad_output * 3 * x**2


# %%
# You never call ``forward`` yourself. ``apply`` calls it, and also puts a node
# for your function into the graph:

a = torch.tensor(2.0, requires_grad=True)
cube = Cube.apply(a)
cube.backward()
print("cube:", cube.item(), " slope:", a.grad.item())

# %%
# .. check::

assert cube.item() == 8, "2 cubed is 8"
assert a.grad.item() == 12, "the slope is 12"

# %%
# .. _forgotten-constant:
#
# What goes wrong
# ---------------
# **A forgotten constant.** The next function multiplies by a constant. The
# constant is a plain number, so ``ctx`` keeps it as an attribute. ``forward``
# has two inputs, so ``backward`` returns two gradients, and ``None`` says that
# the constant gets none. There is a mistake in this class. Do you see it?


class Scale(Function):
    @staticmethod
    def forward(x, constant):
        return x * constant

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.constant = inputs[1]

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output, None


# %%
# Let us try it with the digits. As in the last lesson, scores are to come close
# to 1 for the right digit and to 0 for the others. Here the scores are one
# matrix product, multiplied by 5 with our function.

images = train.x[:1000].flatten(1)  # (1000, 784)
targets = (train.y[:1000].unsqueeze(1) == torch.arange(10)).float()


# %%
# ``train_with`` takes the function that multiplies, trains for 60 steps, and
# returns the loss of each step.


def train_with(multiply):
    weight = torch.zeros(784, 10, requires_grad=True)
    losses = []
    for _ in range(60):
        scores = multiply(images @ weight, 5.0)
        loss = ((scores - targets) ** 2).sum(dim=1).mean()
        loss.backward()
        with torch.no_grad():
            weight -= 0.0005 * weight.grad
            weight.grad = None
        losses.append(loss.item())
    return losses


wrong = train_with(Scale.apply)
print(f"first loss {wrong[0]:.2f}, last loss {wrong[-1]:.2f}")

# %%
# There is no error and no warning, and the loss falls. Most people would go on
# to the next task here. But ``backward`` is wrong: the slope of :math:`3x` is
# 3, so with a constant it has to return ``grad_output * constant``. Even a test
# can miss it. This one uses the constant 1:

a.grad = None
Scale.apply(a, 1.0).backward()
print("slope with the constant 1:", a.grad.item())

# %%
# The slope of :math:`1x` is 1, so this is correct. Of all constants, only 1
# gives the same slope either way.

# %%
# .. check::

assert wrong[-1] < 0.8 * wrong[0], "the loss falls in spite of the mistake"
assert a.grad.item() == 1, "with the constant 1, the mistake does not show"

# %%
# Check it with gradcheck
# -----------------------
# :func:`torch.autograd.gradcheck` moves each input a little, measures how far
# each output moves with it, and compares this with what ``backward`` says. It
# takes a function and its inputs, and raises an error if they disagree. The
# tensors must have double precision, ``float64``, because a movement of a
# millionth drowns in the rounding of ``float32``
# (:doc:`/lessons/autograd/01_gradients`). (It checks first derivatives. For
# second ones there is ``gradgradcheck``.) We use the constant 3:

numbers = torch.tensor([0.5, -2.0], dtype=torch.float64, requires_grad=True)
message = ""
try:
    gradcheck(Scale.apply, (numbers, 3.0))
except RuntimeError as error:
    message = str(error)
print(message)

# %%
# The message shows two Jacobians, with two inputs and two outputs each.
# *Numerical* is the measured one: when an input moves, its output moves 3 times
# as far, and the other output stays where it is. *Analytical* is what
# ``backward`` claims: once as far. So a factor of 3 is missing, and 3 was our
# constant. With this factor, ``gradcheck`` returns ``True``:


class FixedScale(Scale):
    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.constant, None


print("fixed:", gradcheck(FixedScale.apply, (numbers, 3.0)))
print("cube: ", gradcheck(Cube.apply, numbers))

# %%
# What did the mistake cost us? We train again with the right gradient.

right = train_with(FixedScale.apply)
print(f"last loss: wrong {wrong[-1]:.2f}, right {right[-1]:.2f}")

# %%
# .. alt:: The loss over 60 steps. Both curves fall from 1. With the right
#    gradient the loss falls steeply at first, and it stays below the curve with
#    the wrong gradient, which falls far more slowly.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.plot(wrong, label="wrong backward")
axis.plot(right, "--", label="right backward")
axis.set(xlabel="step", ylabel="loss", ylim=(0, 1.05))
axis.legend()

# %%
# All steps were five times too short, because the constant was 5. The direction
# was right, so the loss fell, only more slowly. **A loss that falls does not
# prove that a gradient is right.**

# %%
# .. check::

assert "Jacobian mismatch" in message, "gradcheck finds the mistake"
assert "3.0000" in message, "it measures 3"
assert gradcheck(FixedScale.apply, (numbers, 3.0)), "the fixed one is right"
assert gradcheck(Cube.apply, numbers), "the cube is right"
assert right[-1] < wrong[-1] - 0.1, "the mistake slowed the training down"

# %%
# Keep tensors safe
# -----------------
# ``Cube`` gave ``x`` to ``save_for_backward``, and ``Scale`` wrote the constant
# to ``ctx`` directly. Why not write tensors to ``ctx`` directly, too? Here is a
# cube that does. Between the forward and the backward pass, one line multiplies
# its input by 10, in place:


class UnsafeCube(Cube):
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.x = inputs[0]

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * 3 * ctx.x**2


# %%
# We run it with the unsafe cube first, and then with ours.

slopes = []
for cube_of in (UnsafeCube.apply, Cube.apply):
    a.grad = None
    copy = a * 1  # a leaf may not be changed in place
    cube = cube_of(copy)
    copy *= 10
    try:
        cube.backward()
        slopes.append(a.grad.item())
        print("slope:", slopes[-1])
    except RuntimeError as error:
        print(error)

# %%
# The unsafe cube gives the slope 3·20² = 1200 instead of 12, and says nothing.
# What ``save_for_backward`` keeps is guarded: it remembers the version of the
# tensor, and ``backward`` raises an error if the tensor has changed since. It
# also lets go in time: an output kept on ``ctx`` directly holds the graph that
# holds it, so it is not freed when its last name goes.

# %%
# .. check::

assert slopes == [1200], "the unsafe one is wrong, the guarded one refuses"

# %%
# Do you need one at all?
# -----------------------
# Usually not. If your function is made of PyTorch's operations, autograd can
# work out its gradient already. Write a ``Function`` if
#
# - another library computes the result, so autograd sees nothing of it;
# - the ordinary gradient becomes infinite or ``nan`` on the way, although the
#   true one is a normal number (the third exercise);
# - you want to keep less memory for ``backward`` than autograd does, or compute
#   it faster;
# - you want *another* gradient than the true one, on purpose. The next lesson
#   does this.
#
# ``torch.compile`` understands such a class. If the result comes from code that
# it cannot read, that is, from another library, use
# :func:`torch.library.custom_op`.
#
# Recipe
# ------
# Change the formulas of ``forward`` and ``backward``, and run the check with
# numbers other than 0 and 1:

import torch
from torch.autograd import Function, gradcheck


class Multiply(Function):
    @staticmethod
    def forward(x, weight):
        return x * weight

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, weight = inputs
        ctx.save_for_backward(x, weight)  # tensors only

    @staticmethod
    def backward(ctx, grad_output):  # one gradient for each input
        x, weight = ctx.saved_tensors
        return grad_output * weight, grad_output * x


# %%
# The check takes the function and a tuple of its inputs.

x = torch.rand(3, dtype=torch.float64, requires_grad=True)
weight = torch.rand(3, dtype=torch.float64, requires_grad=True)
print(gradcheck(Multiply.apply, (x, weight)))

# %%
# .. check::

assert gradcheck(Multiply.apply, (x, weight)), "both gradients are right"

# %%
# What you learned
# ----------------
# - Write ``forward``, ``setup_context`` and ``backward`` as static methods, and
#   call the function with ``apply``.
# - ``backward`` returns one gradient for each input: ``grad_output`` times the
#   Jacobian, :math:`v^TJ`. If the function works on each number by itself, this
#   is ``grad_output`` times the slope.
# - Check it with ``gradcheck``, in ``float64`` and with constants other than 1.
#   A loss that falls is no proof.
# - Give tensors to ``save_for_backward``, which notices when they change.
#
# Exercises
# ---------
# 1. **Predict.** In older notes, the constant is handed to ``__init__``, the
#    methods have a ``self``, and the function is called with
#    ``OldScale(3.0)(a)``. What happens today?
# 2. **Change.** In ``train_with``, divide the gradient by its largest absolute
#    value before the step, and set the learning rate to 0.001. Train with
#    ``Scale.apply`` and with ``FixedScale.apply``. Can you still see the
#    mistake?
# 3. **Extend.** ``torch.log(1 + torch.exp(x))`` is called *softplus*. At 800 it
#    should be 800, with the slope 1. What does PyTorch give? Write it as a
#    ``Function`` that is right there, too. (The slope is
#    ``1 / (1 + torch.exp(-x))``.)

# %%
# .. answer:: 1
#
#    It raises an error: all methods have to be static, and what they share goes
#    into ``ctx``.


class OldScale(Function):
    def __init__(self, constant):
        self.constant = constant

    def forward(self, x):
        return x * self.constant


refusal = ""
try:
    OldScale(3.0)(a)
except RuntimeError as error:
    refusal = str(error)
print(refusal)

# %%
# .. check::

assert "non-static forward" in refusal, "static methods only"

# %%
# .. answer:: 2
#
#    No. A missing factor makes every entry of the gradient smaller, the largest
#    one as well, so it cancels in the division. Adam, an optimizer that you
#    will meet later, divides each gradient by its recent size. So it hides this
#    mistake, too, and ``gradcheck`` is what finds it.


def train_divided(multiply):
    weight = torch.zeros(784, 10, requires_grad=True)
    losses = []
    for _ in range(60):
        scores = multiply(images @ weight, 5.0)
        loss = ((scores - targets) ** 2).sum(dim=1).mean()
        loss.backward()
        with torch.no_grad():
            weight -= 0.001 * weight.grad / weight.grad.abs().max()
            weight.grad = None
        losses.append(loss.item())
    return losses


divided_wrong = train_divided(Scale.apply)
divided_right = train_divided(FixedScale.apply)
print(f"wrong {divided_wrong[-1]:.4f}, right {divided_right[-1]:.4f}")

# %%
# .. check::

assert abs(divided_wrong[-1] - divided_right[-1]) < 0.001, "nothing shows"
assert divided_right[-1] < divided_right[0] - 0.1, "and both learn"

# %%
# .. answer:: 3
#
#    At 800, ``exp`` is infinite, so the plain formula gives ``inf`` and its
#    gradient ``nan``. In ``forward``, no positive number is passed to ``exp``,
#    and ``backward`` computes the slope directly. (Far below 0, this result is
#    rounded to 0. ``torch.nn.functional.softplus`` stays accurate there, too.)


class Softplus(Function):
    @staticmethod
    def forward(x):
        return x.clamp(min=0) + torch.log(1 + torch.exp(-x.abs()))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, grad_output):
        x = ctx.saved_tensors[0]
        return grad_output / (1 + torch.exp(-x))


far = torch.tensor([0.5, 800.0], dtype=torch.float64, requires_grad=True)
plain = torch.log(1 + torch.exp(far))
plain.sum().backward()
print("plain:", plain[1].item(), " slope:", far.grad[1].item())

far.grad = None
ours = Softplus.apply(far)
ours.sum().backward()
print("ours: ", ours[1].item(), " slope:", far.grad[1].item())
print(gradcheck(Softplus.apply, far))

# %%
# .. check::

assert plain[1].item() == float("inf"), "the plain formula overflows"
assert ours[1].item() == 800, "softplus of 800"
assert far.grad[1].item() == 1, "and its slope"
assert gradcheck(Softplus.apply, far), "gradcheck agrees"
assert Softplus.apply(far - 840)[1] == 0, "far below 0, rounded to 0"
assert torch.nn.functional.softplus(far - 840)[1] > 0, "PyTorch is accurate"

# %%
# .. earlier::
#
#    Older notes write ``forward(ctx, x)`` and save inside it. This still works,
#    but the separate ``setup_context`` is the form that ``torch.func`` needs.
#    They also say that ``save_for_backward`` takes anything. It takes tensors
#    and ``None``; for a number it raises a ``TypeError``.
