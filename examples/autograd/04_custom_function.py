"""
A gradient of your own
======================

When autograd does not know your function, or knows a useless gradient for it, how do you teach it
a better one, and how do you know that you are right?

A weight that gets rounded, a formula that overflows: sooner or later you want to write a gradient
yourself. A dozen lines are enough, and PyTorch believes whatever they say. So this page is as much
about checking as about writing. The page before is :doc:`/lessons/autograd/06_jacobian`.
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
# ``backward`` is handed the :term:`gradient` of the loss with respect to the output, and returns
# the one with respect to the input: by the chain rule, the same times the derivative, here
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


a = torch.tensor(4.0, requires_grad=True)
Cube.apply(a).backward()
print("gradient:", a.grad.item())
assert a.grad.item() == 48

# %%
# You call ``apply``, never ``forward``: that is where the function enters the graph. Autograd
# knew the cube already, so we can tell that ours is right: 3 · 4² = 48.
#
# A wrong one that looks right
# ----------------------------
#
# Next, a multiplication by a constant. It is no tensor: ``ctx`` keeps it as an attribute, and in
# its place ``backward`` returns ``None``. A well-known handbook has had this class since 2019.


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
# Let it multiply the :term:`logits` of a linear classifier of digits by 5. We train the
# :term:`weights <weight>` on 1,000 images.

x, y = train.x[:1000].flatten(1), train.y[:1000]  # (1000, 784), (1000,)


def train_weight(logits_of, lr, optimizer_class=torch.optim.SGD):
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


curve, _ = train_weight(lambda x, weight: Scale.apply(x @ weight, 5.0), lr=0.01)
print(f"loss at step 0: {curve[0]:.3f}, at step 99: {curve[99]:.3f}")
assert curve[99] < 0.4 * curve[0]

# %%
# No error, no warning, and the loss falls to about a third. Yet ``backward`` is wrong. Read it once
# more, and find the mistake before you go on.
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


class FixedScale(Scale):
    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.constant, None


print("fixed:", gradcheck(lambda x: FixedScale.apply(x, 3.0), numbers))
print("cube:", gradcheck(Cube.apply, numbers))

# %%
# It raises an error, unless told not to, or returns ``True``. What did the mistake cost, with SGD
# and with Adam?
#
# .. alt:: Training loss over 100 steps. With SGD the wrong gradient makes the loss fall far more
#    slowly than the right one. With Adam the two curves lie on top of each other.

gap = {}
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for optimizer, lr, color in (
    (torch.optim.SGD, 0.01, "C0"),
    (torch.optim.Adam, 0.001, "C1"),
):
    name = optimizer.__name__
    bad, _ = train_weight(
        lambda x, weight: Scale.apply(x @ weight, 5.0), lr, optimizer
    )
    good, _ = train_weight(
        lambda x, weight: FixedScale.apply(x @ weight, 5.0), lr, optimizer
    )
    ax.plot(
        bad,
        color=color,
        linewidth=5,
        alpha=0.4,
        label=f"{name}, wrong backward",
    )
    ax.plot(good, "--", color=color, label=f"{name}, right backward")
    gap[name] = max(abs(p - q) for p, q in zip(bad, good, strict=True))
    print(
        f"{name:4}  wrong {bad[99]:.3f}  right {good[99]:.3f}  largest gap {gap[name]:.3f}"
    )
ax.axhline(bad[0], color="gray", linestyle=":", label="chance")
ax.set(xlabel="step", ylabel="training loss")
ax.legend()
assert gap["SGD"] > 0.5 and gap["Adam"] < 0.001

# %%
# The steps of SGD were five times too short. Adam divides each gradient by its own recent size,
# so the lost factor cancels and there is nothing to see. A falling loss proves nothing about a
# gradient.
#
# What gradcheck measures
# -----------------------
#
# It moves the input by :math:`h` both ways and takes the slope of the secant,
# :math:`(f(x+h)-f(x-h))/(2h)`. How long should :math:`h` be? For the cube we know the right slope,
# so we can measure the error, here as the median over 200 places.
#
# .. alt:: The error of the slope against the step size, both on logarithmic axes: a deep valley
#    near 3e-6 in double precision, and a much shallower one near 3e-3 in single precision.

places = 0.5 + 2 * torch.rand(200, dtype=torch.float64)
h = 10.0 ** torch.arange(-11, -0.9, 0.5, dtype=torch.float64)
error, valley = {}, {}
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for dtype, style in ((torch.float64, "o-"), (torch.float32, "s--")):
    at, step = places.to(dtype), h.to(dtype)[:, None]
    slope = ((at + step) ** 3 - (at - step) ** 3) / (2 * step)  # (21, 200)
    error[dtype] = (slope - 3 * places**2).abs().median(1).values
    valley[dtype] = h[error[dtype].argmin()].item()
    ax.loglog(h, error[dtype], style, label=str(dtype))
    print(
        f"{dtype}: best h {valley[dtype]:.0e}, error at h = 1e-06: {error[dtype][10]:.1g}"
    )
ax.axvline(1e-6, color="gray", linestyle=":", label="gradcheck")
ax.set(xlabel="step size h", ylabel="error of the slope")
ax.legend()
assert (
    3e-7 < valley[torch.float64] < 3e-5 and 3e-4 < valley[torch.float32] < 3e-2
)
assert error[torch.float64][10] < 1e-8 and error[torch.float32][10] > 1e-2

# %%
# A long step averages over too much of the curve: here the error is h² exactly. A short one
# subtracts two almost equal numbers and divides the rounding that is left by 2h. In double
# precision 1e-6, the step of ``gradcheck``, lies in the valley; in single precision it is wrong
# by 0.3 and would reject gradients that are right.
#
# Training through a rounding
# ---------------------------
#
# Now a gradient worth writing. Quantization allows a weight only some values, here the multiples of
# 1/4, but rounding is flat: its derivative is 0 almost everywhere, and nothing learns. The
# *straight-through estimator* rounds in ``forward``, and in ``backward`` acts as if it had not
# (`Bengio and others, 2013 <https://arxiv.org/abs/1308.3432>`__). That ``backward`` we have: what
# was a mistake in ``Scale`` is what we want here.
#
# .. alt:: Training loss over 100 steps. The rounded weights stay at chance, a flat line at 2.30.
#    With the straight-through estimator the loss falls, after a short delay, almost as far as the
#    dashed line without rounding.


class Round(Scale):
    @staticmethod
    def forward(x, constant):
        return torch.round(x * constant) / constant


layers = {
    "torch.round": lambda x, weight: x @ (torch.round(weight * 4) / 4),
    "straight-through": lambda x, weight: x @ Round.apply(weight, 4),
    "not quantized": lambda x, weight: x @ weight,
}
final, accuracy = {}, {}
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for (name, layer), style in zip(layers.items(), ("-", "-", "--"), strict=True):
    curve, weight = train_weight(layer, lr=0.3)
    ax.plot(curve, style, label=name)
    final[name] = curve[99]
    accuracy[name] = (
        (layer(test.x.flatten(1), weight).argmax(1) == test.y)
        .float()
        .mean()
        .item()
    )
    print(
        f"{name:16}  last loss {final[name]:.2f}  test accuracy {accuracy[name]:.1%}"
    )
ax.set(xlabel="step", ylabel="training loss")
ax.legend()
assert (
    final["not quantized"]
    < final["straight-through"]
    < 0.5
    < 2.3
    < final["torch.round"]
)
assert accuracy["straight-through"] > max(0.75, accuracy["not quantized"] - 0.1)

# %%
# Weights in quarters read the digits only a few points worse than real numbers. ``gradcheck``
# rejects this function, and rightly: it measures 0 where ``backward`` says 1. It tells whether a
# gradient is *true*; this one is false on purpose, and the curve speaks for it.
#
# A closer look
# -------------
#
# **Why** ``save_for_backward``? It remembers which version of a tensor it was given. When an
# :term:`in-place operation` has changed it since, the gradient would be wrong, and you are told
# so. A tensor that is kept as an attribute of ``ctx`` has no such guard.

assert not gradcheck(
    lambda x: Round.apply(x, 4), numbers, raise_exception=False
)
b = a * 1
c = Cube.apply(b)
b.mul_(10)
try:
    c.backward()
except RuntimeError as error:
    refusal = str(error)
print(refusal.split(":")[0])
assert "modified by an inplace operation" in refusal

# %%
# **Twice?** ``backward`` is itself recorded with ``create_graph=True``, so :math:`x^3` has its
# second derivative, :math:`6x`. :func:`torch.autograd.gradgradcheck` checks that one.
#
# **Compiled?** :func:`torch.compile` traces both passes, and believes you, too. On a CPU its
# default backend needs a C++ compiler; ``aot_eager`` does the same tracing without one.

(slope,) = torch.autograd.grad(Cube.apply(a), a, create_graph=True)
(curvature,) = torch.autograd.grad(slope, a)
print(
    "second derivative:", curvature.item(), gradgradcheck(Cube.apply, numbers)
)
compiled = torch.compile(Scale.apply, backend="aot_eager", fullgraph=True)
(slope,) = torch.autograd.grad(compiled(a, 3.0), a)
print("the wrong gradient, compiled:", slope.item())
assert curvature.item() == 24 and slope.item() == 1

# %%
# **When not to write one.** What is made of known operations has the right gradient already, as
# long as nothing on the way, there or back, becomes infinite. Even the straight-through estimator
# needs no class: one line does it. And where another library computes, and the model is to be
# compiled or exported, use :func:`torch.library.custom_op`.

w = torch.tensor([0.3, 1.8], requires_grad=True)
(w + (torch.round(w) - w).detach()).sum().backward()
assert w.grad.tolist() == [1, 1]

# %%
# What you learnt
# ---------------
#
# - Write ``forward``, ``setup_context`` and ``backward`` as static methods, and call ``apply``.
# - Return one gradient for each input of ``forward``, multiplied by ``grad_output``.
# - Check each ``backward`` with ``gradcheck`` in double precision: a falling loss is no proof.
# - Give tensors to ``save_for_backward``, so that a later change of them is noticed.
# - Write a false gradient on purpose only, and let a training curve speak for it.
#
# Exercises
# ---------
#
# 1. **Predict.** Older notes hand the constant to ``__init__``, and write ``OldScale(3.0)(a)``.
#    What happens today?
# 2. **Change.** Write a function that returns its input, and clips the gradient to [−1, 1]. Fit a
#    line to ten points, one of them far off, with and without it, and draw the error of the slope
#    at each step. Which loss have you found again?
# 3. **Extend.** ``torch.log(1 + torch.exp(x))`` overflows for large inputs, and its gradient is
#    lost. Write a softplus that is right beyond 50, on both sides, and check it.
#
# A gradient is worth what is done with it. The next page is :doc:`/lessons/networks/01_module`.

# %%
# .. answer:: 1
#
#    It is refused: all methods are static, and what they share goes into ``ctx``.


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
# .. answer:: 2
#
#    The gradient of half the squared error is the residual. Clipped, it is the gradient of the
#    Huber loss, and the point far off pulls no harder than 1.
#
#    .. alt:: Error of the slope over 50 steps. Without clipping it grows, and stays large; with
#       the clipped gradient it falls, and stays small.


class Clip(Scale):
    @staticmethod
    def forward(x, constant):
        return x.clone()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.clamp(-ctx.constant, ctx.constant), None


points = torch.linspace(-1, 1, 10)
targets = torch.where(points < 1, 2 * points, -8)
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for limit, name in ((1e6, "as it is"), (1.0, "clipped")):
    slope, off = torch.zeros((), requires_grad=True), []
    for _ in range(50):
        loss = (
            0.5 * (Clip.apply(slope * points, limit) - targets).square().sum()
        )
        huber = F.huber_loss(
            slope * points, targets, reduction="sum", delta=limit
        )
        grads = [
            torch.autograd.grad(value, slope)[0] for value in (loss, huber)
        ]
        torch.testing.assert_close(*grads)
        slope = (slope - 0.1 * grads[0]).detach().requires_grad_()
        off.append(abs(slope.item() - 2))
    ax.plot(off, label=f"gradient {name}")
ax.set(xlabel="step", ylabel="error of the slope")
ax.legend()

# %%
# .. answer:: 3
#
#    Only negative numbers are exponentiated, and the derivative is the sigmoid.


class Softplus(Cube):
    @staticmethod
    def forward(x):
        return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * torch.sigmoid(x)


far = torch.tensor(
    [-800.0, -60.0, 0.5, 60.0, 800.0], dtype=torch.float64, requires_grad=True
)
for name, value in (
    ("naive", torch.log(1 + torch.exp(far))),
    ("ours", Softplus.apply(far)),
):
    (grad,) = torch.autograd.grad(value.sum(), far)
    print(
        f"{name:5}  value at 800: {value[-1].item()}, gradient: {grad[-1].item()}"
    )
assert value[-1] == 800 and grad[-1] == 1
assert gradcheck(Softplus.apply, far) and gradgradcheck(Softplus.apply, far)
