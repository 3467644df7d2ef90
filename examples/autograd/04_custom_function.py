"""
A gradient of your own
======================

When autograd does not know your function, or knows a useless gradient for it, how do you teach it
a better one, and how do you know that you are right?

A rounded weight, a formula that overflows, a call into another library: sooner or later you want
to write a gradient yourself. A dozen lines are enough, and PyTorch believes whatever they say. So
this page is as much about checking as about writing.

The page before is :doc:`/lessons/tensors/01_create`.
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch.autograd import Function, gradcheck, gradgradcheck

from handbook import datasets

torch.manual_seed(0)
train, test = datasets.mnist()

# %%
# The smallest one
# ----------------
#
# A :class:`torch.autograd.Function` has three static methods. ``forward`` computes, and nothing
# of it is recorded. ``setup_context`` puts aside what the :term:`backward pass` will need.
# ``backward`` receives the :term:`gradient` of the loss with respect to the output, and returns
# the one with respect to the input: times the derivative, says the chain rule, here
# :math:`3x^2`.


class Cube(Function):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        (x,) = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 3 * x**2


a = torch.tensor(2.0, requires_grad=True)
b = Cube.apply(a)
b.backward()
print("value:", b.item(), " gradient:", a.grad.item())
assert b.item() == 8 and a.grad.item() == 12

# %%
# You call ``apply``, never ``forward``: that is where the function enters the graph. Autograd knew
# the cube already, so we can tell that ours is right: 3 · 2² = 12.
#
# A wrong one that looks right
# ----------------------------
#
# Next, a multiplication by a constant. The constant is no tensor: it is kept as an attribute of
# ``ctx``, and in its place ``backward`` returns ``None``. Handbooks have carried this class since
# 2019.


class Scale(Function):
    @staticmethod
    def forward(x, constant):
        return x * constant

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.constant = inputs

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output, None


# %%
# We let it sharpen the :term:`logits` of a linear classifier of digits, five times, and train the
# weights on 1,000 images.

x, y = train.x[:1000].flatten(1), train.y[:1000]  # (1000, 784), (1000,)


def train_weight(logits_of, optimizer_class=torch.optim.SGD, lr=0.01):
    weight = torch.zeros(784, 10, requires_grad=True)
    optimizer = optimizer_class([weight], lr=lr)
    curve = []
    for _ in range(100):
        loss = F.cross_entropy(logits_of(x, weight), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    return curve, weight.detach()


wrong, _ = train_weight(lambda x, weight: Scale.apply(x @ weight, 5.0))
print(f"loss at step 0: {wrong[0]:.3f}, at step 99: {wrong[99]:.3f}")
assert wrong[99] < 0.4 * wrong[0]

# %%
# No error, no warning, and the loss falls to a third. Yet ``backward`` is wrong. Read it once more
# and find the mistake before you go on.
#
# How to know
# -----------
#
# :func:`torch.autograd.gradcheck` measures the gradient and compares it with the one you wrote.
# Give it a few numbers in double precision:

numbers = torch.randn(2, dtype=torch.float64, requires_grad=True)
try:
    gradcheck(lambda x: Scale.apply(x, 3.0), numbers)
except RuntimeError as error:
    verdict = str(error)
print(verdict)
assert "Jacobian mismatch" in verdict and "3.0000" in verdict

# %%
# Read the message number by number. Two inputs and two outputs make four pairs, one entry each.
# *Numerical* is measured: move an input a little, and its own output moves 3 times as far, the
# other not at all. *Analytical* is what ``backward`` claims: once as far. The lost factor is 3,
# our constant: ``backward`` forgot it.


class MendedScale(Scale):
    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.constant, None


mended_passes = gradcheck(lambda x: MendedScale.apply(x, 3.0), numbers)
print("mended:", mended_passes, " cube:", gradcheck(Cube.apply, numbers))
assert mended_passes

# %%
# Now we can see what the mistake cost, with SGD and with Adam.
#
# .. alt:: Training loss over 100 steps. With SGD the wrong gradient makes the loss fall far more
#    slowly than the right one. With Adam the two curves lie on top of each other.

gap = {}
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for name, lr, color in (("SGD", 0.01, "C0"), ("Adam", 0.001, "C1")):
    bad, good = (
        train_weight(lambda x, w, s=s: s.apply(x @ w, 5.0), getattr(torch.optim, name), lr)[0]
        for s in (Scale, MendedScale)
    )
    ax.plot(bad, color=color, linewidth=5, alpha=0.4, label=f"{name}, wrong backward")
    ax.plot(good, "--", color=color, label=f"{name}, right backward")
    gap[name] = max(abs(p - q) for p, q in zip(bad, good, strict=True))
    print(f"{name:4}  wrong {bad[99]:.3f}  right {good[99]:.3f}  largest gap {gap[name]:.3f}")
ax.axhline(bad[0], color="gray", linestyle=":", label="chance")
ax.set(xlabel="step", ylabel="training loss")
ax.legend()
assert gap["SGD"] > 0.5 and gap["Adam"] < 0.001

# %%
# SGD takes steps five times too short. Adam divides every gradient by its own size, so the
# lost factor cancels and there is nothing to see. A falling loss proves nothing about a gradient.
#
# What gradcheck measures
# -----------------------
#
# It moves the input by :math:`h` both ways and takes the slope of the secant,
# :math:`\frac{f(x+h)-f(x-h)}{2h}`. How long should :math:`h` be? For the cube we know the right
# answer: here is the error at 200 places (the median).
#
# .. alt:: Left, the cube, its tangent, and a secant that is steeper. Right, the error against the
#    step size on logarithmic axes: a valley near 3e-6 in double precision, and one near 3e-3,
#    a million times higher, in single precision.

places = 0.5 + 2 * torch.rand(200, dtype=torch.float64)
h = 10.0 ** torch.arange(-11, -0.9, 0.5, dtype=torch.float64)
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
t = torch.linspace(0, 2, 100)
left.plot(t, t**3, "k", label="cube")
left.plot(t, 3 * t - 2, "--", label="tangent at 1")
left.plot([0.4, 1.6], [0.4**3, 1.6**3], "o-", label="secant, h = 0.6")
left.set(xlabel="x", ylabel="f(x)")
left.legend()
error, valley = {}, {}
for dtype, style in ((torch.float64, "o-"), (torch.float32, "s--")):
    at, step = places.to(dtype), h.to(dtype)[:, None]
    slope = ((at + step) ** 3 - (at - step) ** 3) / (2 * step)  # (21, 200)
    error[dtype] = (slope - 3 * places**2).abs().median(1).values
    valley[dtype] = h[error[dtype].argmin()].item()
    right.loglog(h, error[dtype], style, markersize=4, label=str(dtype)[6:])
    print(f"{dtype}: smallest at h = {valley[dtype]:.0e}, error at 1e-06: {error[dtype][10]:.0e}")
right.axvline(1e-6, color="gray", linestyle=":", label="gradcheck")
right.set(xlabel="step size h", ylabel="error of the slope")
right.legend(loc="lower left")
assert 3e-7 < valley[torch.float64] < 3e-5 and 3e-4 < valley[torch.float32] < 3e-2
assert error[torch.float64][10] < 1e-8 and error[torch.float32][10] > 1e-2

# %%
# A long step misses the curvature: here the error is h² exactly. A short one subtracts two almost
# equal numbers and divides the rounding that is left by 2h. In double precision 1e-6, the
# step of ``gradcheck``, lies in the valley; in single precision it is wrong by 0.3 and would
# reject gradients that are right. Hence double precision.
#
# Training through a rounding
# ---------------------------
#
# Now a gradient worth writing. Quantization wants weights that are multiples of 1/4, but
# rounding is flat: its derivative is 0 almost everywhere, and nothing learns. The
# *straight-through estimator* rounds in ``forward``, and in ``backward`` acts as if it had not
# (`Bengio and others, 2013 <https://arxiv.org/abs/1308.3432>`__).


class Round(Function):
    @staticmethod
    def forward(x):
        return torch.round(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


# %%
# .. alt:: Training loss over 100 steps. The rounded weights stay at chance, a flat line at 2.30.
#    With the straight-through estimator the loss falls, after a short delay, almost as far as the
#    dashed line without rounding.

layers = {
    "torch.round": lambda x, weight: x @ (torch.round(weight * 4) / 4),
    "straight-through": lambda x, weight: x @ (Round.apply(weight * 4) / 4),
    "not quantized": lambda x, weight: x @ weight,
}
final, accuracy = {}, {}
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for name, layer in layers.items():
    curve, weight = train_weight(layer, lr=0.3)
    ax.plot(curve, "--" if name == "not quantized" else "-", label=name)
    final[name] = curve[99]
    accuracy[name] = (layer(test.x.flatten(1), weight).argmax(1) == test.y).float().mean().item()
    print(f"{name:16}  last loss {final[name]:.2f}  test accuracy {accuracy[name]:.1%}")
    if name == "straight-through":
        quarters = torch.round(weight * 4).int().unique().tolist()
ax.set(xlabel="step", ylabel="training loss")
ax.legend()
print("weights that occur, in quarters:", quarters)
assert final["not quantized"] < final["straight-through"] < 0.5 < 2.3 < final["torch.round"]
assert accuracy["straight-through"] > 0.75 and len(quarters) <= 7

# %%
# 7,840 weights of only three values read the digits almost as well as 7,840 real numbers. Note that
# ``gradcheck`` rejects this function: it measures 0 where ``backward`` says 1. It tells whether a
# gradient is *true*; this one is false on purpose, and the curve speaks for it.

assert not gradcheck(Round.apply, numbers, raise_exception=False)

# %%
# A closer look
# -------------
#
# **Why** ``save_for_backward``? It remembers which version of a tensor it was given. If an
# :term:`in-place operation` has changed that tensor since, the backward pass refuses to go on. A tensor
# that is kept as an attribute of ``ctx`` has no such guard:


class CarelessCube(Cube):
    @staticmethod
    def setup_context(ctx, inputs, output):
        (ctx.x,) = inputs

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * 3 * ctx.x**2


results = {}
for function in (Cube, CarelessCube):
    weight = torch.tensor(2.0, requires_grad=True)
    a = weight * 1
    b = function.apply(a)
    a.mul_(10)
    try:
        b.backward()
        results[function] = f"gradient {weight.grad.item()}"
    except RuntimeError as error:
        results[function] = str(error).split(":")[0]
    print(f"{function.__name__:12}  {results[function]}")
assert "modified by an inplace operation" in results[Cube]
assert results[CarelessCube] == "gradient 1200.0"

# %%
# An error is better than 1200 for 12.
#
# **Twice?** ``backward`` is recorded in its turn when you ask for it, so :math:`x^3` has its second
# derivative :math:`6x`, and :func:`torch.autograd.gradgradcheck` checks that.
#
# **Compiled?** :func:`torch.compile` traces both passes into its graph. The default backend needs a
# C++ compiler on your machine; ``aot_eager`` does the same tracing without one. It believes you as
# well: a wrong ``backward`` stays wrong.

a = torch.tensor(2.0, requires_grad=True)
(slope,) = torch.autograd.grad(Cube.apply(a), a, create_graph=True)
(curvature,) = torch.autograd.grad(slope, a)
print("second derivative:", curvature.item(), gradgradcheck(Cube.apply, numbers))

compiled = torch.compile(Cube.apply, backend="aot_eager", fullgraph=True)
(slope,) = torch.autograd.grad(compiled(a), a)
print("compiled gradient:", slope.item())
assert curvature.item() == slope.item() == 12

# %%
# Older notes put the constant into ``__init__``. That form is gone:


class OldScale(Function):
    def __init__(self, constant):
        self.constant = constant

    def forward(self, x):
        return x * self.constant


try:
    OldScale(3.0)(a)
except RuntimeError as error:
    refusal = str(error)
print(refusal.split(".")[0])
assert "non-static forward" in refusal

# %%
# **When not to write one.** If your function is made of known operations, autograd is right already.
# Even straight-through needs no class, as the next line shows. And if another library
# does the computing and the model must be compiled or exported, use
# :func:`torch.library.custom_op` instead.

a = torch.tensor([0.3, 1.8], requires_grad=True)
(a + (torch.round(a) - a).detach()).sum().backward()
assert a.grad.tolist() == [1, 1]

# %%
# What you learnt
# ---------------
#
# - Write ``forward``, ``setup_context`` and ``backward`` as static methods, and call ``apply``.
# - Return one gradient for each input of ``forward``, multiplied by ``grad_output``.
# - Check each backward pass with ``gradcheck`` in double precision: a falling loss is no proof.
# - Give tensors to ``save_for_backward``, so that changing them later is noticed.
# - Write a false gradient only on purpose, and let a training curve speak for it.
#
# Exercises
# ---------
#
# 1. **Predict.** ``ctx.needs_input_grad`` tells ``backward`` which gradients are wanted. What does it
#    say in ``Scale`` for the input and for the constant?
# 2. **Change.** Write a function that returns its input and clips the gradient to [−1, 1]. Fit a line
#    through ten points, one of them far off, with and without it, and draw both training
#    curves. Which loss have you reinvented?
# 3. **Extend.** ``torch.log(1 + torch.exp(x))`` overflows for large inputs, and its gradient is lost. Write a
#    softplus whose value and gradient are right for ``|x| > 50``, and check it.

# %%
# .. answer:: 1
#
#    A plain number needs no gradient. Where computing a gradient is costly, ask first.


class Nosy(MendedScale):
    @staticmethod
    def backward(ctx, grad_output):
        print("needs_input_grad:", ctx.needs_input_grad)
        assert ctx.needs_input_grad == (True, False)
        return grad_output * ctx.constant, None


Nosy.apply(torch.ones(1, requires_grad=True), 3.0).backward()

# %%
# .. answer:: 2
#
#    The gradient of half the squared error is the residual. Clipped to [−1, 1], it is the gradient
#    of the Huber loss: one bad point pulls no harder than one.
#
#    .. alt:: Error of the slope over 50 steps: without clipping it settles far from zero, with
#       clipping close to zero.


class ClipGradient(Function):
    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.clamp(-1, 1)


points = torch.linspace(-1, 1, 10)
targets = 2 * points
targets[-1] = -8.0


def fit_slope(loss_of):
    slope = torch.zeros((), requires_grad=True)
    curve = []
    for _ in range(50):
        (grad,) = torch.autograd.grad(loss_of(slope * points), slope)
        slope = (slope - 0.1 * grad).detach().requires_grad_()
        curve.append((slope - 2).abs().item())
    return curve


plain = fit_slope(lambda p: 0.5 * F.mse_loss(p, targets, reduction="sum"))
clipped = fit_slope(lambda p: 0.5 * F.mse_loss(ClipGradient.apply(p), targets, reduction="sum"))
huber = fit_slope(lambda p: F.huber_loss(p, targets, reduction="sum"))
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(plain, label="squared error")
ax.plot(clipped, linewidth=4, alpha=0.5, label="gradient clipped")
ax.plot(huber, "--", color="black", label="Huber loss")
ax.set(xlabel="step", ylabel="error of the slope")
ax.legend()
assert clipped[-1] < 0.5 * plain[-1] and torch.allclose(torch.tensor(clipped), torch.tensor(huber))

# %%
# .. answer:: 3
#
#    Only negative numbers are exponentiated, and the derivative is the sigmoid.


class Softplus(Function):
    @staticmethod
    def forward(x):
        return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * torch.sigmoid(x)


far = torch.tensor([-800.0, -60.0, 0.5, 60.0, 800.0], dtype=torch.float64, requires_grad=True)
naive = torch.log(1 + torch.exp(far))
print("naive:", torch.autograd.grad(naive.sum(), far)[0].tolist())
print("ours: ", torch.autograd.grad(Softplus.apply(far).sum(), far)[0].tolist())
assert gradcheck(Softplus.apply, far) and gradgradcheck(Softplus.apply, far)
assert naive.isinf().any() and torch.equal(Softplus.apply(far), F.softplus(far))

# %%
# Next
# ----
#
# A gradient is only worth what is done with it: :doc:`/lessons/networks/07_training_loop`.
