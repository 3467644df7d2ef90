"""
Gradients, by hand and by autograd
==================================

How does PyTorch get my gradient?

Training asks each weight the same thing: would a little more of you make the loss larger or
smaller, and how fast? The answers together are the gradient. Here it is found in three ways, then
lost in several, some of them silent. The page before is :doc:`/lessons/tensors/12_numpy_bridge`.
"""

# %%
# Setup
# -----
# Threes and eights, 1,000 of each, to be told apart, with one :term:`weight` for each pixel. The
# sum of pixel times weight is the score, the :term:`logit <logits>`; a positive one says "eight".
# The :term:`loss <loss function>` is the :term:`cross-entropy`.

import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from handbook import datasets

torch.manual_seed(0)
train, _ = datasets.mnist()
pair = (train.y == 3) | (train.y == 8)
x, y = (
    train.x[pair].flatten(1),
    (train.y[pair] == 8).float(),
)  # (2000, 784), (2000,)


def loss_of(w):  # (784,)
    return F.binary_cross_entropy_with_logits(x @ w, y)


# %%
# By trying
# ---------
# A :term:`gradient` can be tried out. Raise one weight by very little, as the definition of a
# derivative wants it: by a millionth. Divide the move of the loss by that; then the next weight.

w, h = torch.zeros(784), 1e-6
start = loss_of(w)
tried = torch.stack(
    [(loss_of(w + h * unit) - start) / h for unit in torch.eye(784)]
)

# %%
# By hand
# -------
# The chain rule gives two factors. A small move of a logit moves this loss :math:`(p-y)/N` times as
# far, where :math:`p` is its :term:`sigmoid` and :math:`N` the number of images; a move of a weight
# moves each logit by that, times its pixel. Multiplied, summed over images: :math:`X^T(p-y)/N`.

p = torch.sigmoid(x @ w)  # (2000,), all 1/2: the weights are 0
hand = x.T @ (p - y) / len(x)  # (784,)
three, eight = (x[y == k].mean(0) for k in (0, 1))
assert torch.allclose(hand, (three - eight) / 4, atol=1e-5)

# %%
# As all weights are 0, the gradient is a picture: a quarter of the mean three minus the mean eight.
#
# .. _requires-grad-underscore:
#
# By autograd
# -----------
# Now ask :term:`autograd` to watch ``w``, compute the loss, say ``backward``, and read ``w.grad``.
# Older notes say that ``requires_grad_()`` without an argument sets ``False``; see what it prints.
#
# .. alt:: Three pictures. Tried: a blot that covers the place of the digits. By hand, by autograd:
#    the same clear picture, blue on the left, where an eight has ink and a three has none.

w.requires_grad_()
loss_of(w).backward()
figure, axes = plt.subplots(1, 3, figsize=(6.8, 2.6), layout="constrained")
results = {"tried": tried, "by hand": hand, "by autograd": w.grad}
for axis, (name, grad) in zip(axes, results.items(), strict=True):
    shown = axis.imshow(
        grad.view(28, 28).numpy(), cmap="RdBu_r", vmin=-0.15, vmax=0.15
    )
    axis.set(title=name, xticks=[], yticks=[])
figure.colorbar(
    shown, ax=axes, label="gradient", shrink=0.8, ticks=[-0.15, 0, 0.15]
)
rounding = torch.finfo().eps / 2 / h
print(
    f"requires_grad {w.requires_grad}, largest {hand.abs().max():.2f}, rounding {rounding:.2f}"
)
assert (
    w.requires_grad
    and torch.allclose(w.grad, hand, atol=1e-5)
    and hand.abs().max() > 0.1
)
assert (tried - hand).abs().max() > 0.05 and (
    tried - hand
).abs().mean() > hand.abs().mean()

# %%
# The last two agree: where an eight has ink and a three has none, a larger weight lowers the loss.
# What was tried is mostly rounding error: one rounding, divided by a millionth, is 0.06, and the
# largest gradient 0.15. A better step, as in :doc:`/lessons/autograd/07_custom_function`, costs no
# less: at least one more loss for each weight.
#
# Autograd does not try, and it has no formula for your loss. While ``loss_of`` ran, it recorded
# the operations in a :term:`graph <computational graph>`; it knows the derivative of each, and
# ``backward`` walks back from the loss and multiplies: one walk, however many weights there are.
#
# .. _update-makes-a-new-tensor:
#
# One step
# --------
# Now go a little against the gradient, twice. This is how it often gets written:

w = torch.zeros(784, requires_grad=True)
with warnings.catch_warnings(record=True, action="always") as caught:
    try:
        for _ in range(2):
            loss = loss_of(w)
            loss.backward()
            print(f"loss {loss:.3f}, leaf {w.is_leaf}")
            w = w - 0.1 * w.grad
    except TypeError as error:
        print("TypeError:", error)
print("warning:", str(caught[0].message).split(". ")[0])
assert loss < 0.65 and not w.is_leaf and len(caught) == 1

# %%
# The first step works, the second finds no gradient: ``w - …`` makes a *new* tensor, and the name
# ``w`` moves over to it. A recorded operation made it, so it is no :term:`leaf <leaf tensor>`;
# ``backward`` goes on through it to the old one, which has no name any more. The tensor itself must
# change, by an :term:`in-place operation`, and then there is one more refusal.

w = torch.zeros(784, requires_grad=True)
loss_of(w).backward()
try:
    w -= 0.1 * w.grad
except RuntimeError as error:
    print("RuntimeError:", error)
with torch.no_grad():
    w -= 0.1 * w.grad
print(f"loss {loss_of(w):.3f}, leaf {w.is_leaf}")
assert w.is_leaf and loss_of(w) < 0.65

# %%
# Recorded, the step would have turned the leaf into a result. It is no part of the loss, so it is
# taken under :class:`torch.no_grad`, unrecorded; an :term:`optimizer` does the same.
#
# .. _who-gets-a-gradient:
#
# Who gets a gradient
# -------------------
# Older notes say: every tensor; or: every leaf. Look; ``retain_grad`` orders one for the logits.

logits = x @ w
logits.retain_grad()
loss = F.binary_cross_entropy_with_logits(logits, y)
w.grad = None
loss.backward()
with warnings.catch_warnings(record=True, action="always") as caught:
    for name, tensor in {
        "x": x,
        "w": w,
        "logits": logits,
        "loss": loss,
    }.items():
        flags = f"leaf {tensor.is_leaf!s:5}  requires_grad {tensor.requires_grad!s:5}"
        print(
            f"{name:6}  {flags}  grad {None if tensor.grad is None else 'yes'}"
        )
assert x.grad is None and len(caught) == 1
assert torch.allclose(
    logits.grad, (torch.sigmoid(logits) - y) / len(x), atol=1e-7
)
assert torch.allclose(w.grad, x.T @ logits.grad, atol=1e-5)

# %%
# ``x`` is a leaf, but nobody asked for its gradient. The loss is in the graph, but no leaf: reading
# its ``grad`` warns. So ``backward`` leaves a gradient on those leaves of the graph that *require*
# one, and elsewhere on order. The order shows autograd at work: the gradient of the logits is our
# first factor, :math:`(p-y)/N`, and the second turns it into that of the weights.
#
# .. _gradients-accumulate:
# .. _zero-grad-sets-none:
#
# It adds up
# ----------
# The derivative of :math:`a+1` is 1, that of :math:`a^2` at 3 is 6. Go back from both.

a = torch.tensor(3.0, requires_grad=True)
for result in (a + 1, a**2):
    result.backward()
    print(a.grad.item())
assert a.grad.item() == 7

# %%
# Seven: ``backward`` *adds* to ``grad``. This :term:`gradient accumulation` is a mistake when you
# forget it, and a tool when memory is short (:doc:`/lessons/networks/07_training_loop` has both).
#
# Between two steps ``optimizer.zero_grad()`` clears the gradients. Older notes print zeros after
# it; today it sets ``None``, and that is not the same. Take a step, clear, and step again:

for to_none in (False, True):
    b = torch.tensor(1.0, requires_grad=True)
    optimizer = torch.optim.SGD([b], lr=0.1, momentum=0.9)
    b.backward()
    for _ in range(2):
        optimizer.step()
        optimizer.zero_grad(set_to_none=to_none)
    print(f"grad {b.grad}: b = {b:.2f}")
assert b.grad is None and abs(b.item() - 0.9) < 1e-5

# %%
# Momentum, the memory of earlier steps, pushed on where zeros stood; ``None`` is passed over.
#
# Not recorded
# ------------
# Under ``no_grad`` nothing is recorded, nor under :class:`torch.inference_mode`; ``detach`` takes a
# result out of the graph. Use the results of all three later, in a calculation that is recorded:

with torch.no_grad():
    plain = x @ w
with torch.inference_mode():
    fast = x @ w
cut = logits.detach()
print("requires_grad:", [result.requires_grad for result in (plain, fast, cut)])
(w.sum() * plain * cut).sum().backward()
try:
    w.sum() * fast
except RuntimeError as error:
    print(str(error).split(". ")[0])
assert (
    fast.is_inference()
    and torch.equal(fast, plain)
    and cut.data_ptr() == logits.data_ptr()
)

# %%
# All three give the same numbers. What ``inference_mode`` makes cannot be kept for a backward pass;
# in return it saves some bookkeeping. Use it where a model only answers, ``no_grad`` for the rest.
# ``detach`` copies nothing: it is a :term:`view` of the same memory.
#
# .. _data-or-detach:
#
# A silent way out
# ----------------
# Older notes leave the graph by ``.data``. Say you want to know, at each step, how many digits are
# read right, and round the probabilities for it; perhaps in place, to save memory.


def train_with(rounded):
    w, curve = torch.zeros(784, requires_grad=True), []
    for _ in range(100):
        p = torch.sigmoid(x @ w)
        loss = F.binary_cross_entropy(p, y)
        accuracy = (rounded(p) == y).float().mean().item()
        w.grad = None
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
        curve.append(loss.item())
    return w.detach(), curve, accuracy


# %%
# .. alt:: The loss over 100 steps: with detach it falls from 0.69 to below 0.2, with .data it
#    stays flat, on the dotted line of guessing.

ways = {"p.data.round_()": lambda p: p.data.round_()}
ways["p.detach().round_()"] = lambda p: p.detach().round_()
ways["p.detach().round()"] = lambda p: p.detach().round()
figure, axis = plt.subplots(figsize=(5.6, 3), layout="constrained")
for name, rounded in ways.items():
    try:
        learnt, curve, accuracy = train_with(rounded)
    except RuntimeError as error:
        print(
            f"{name:19}  refused:",
            str(error).split("has been ")[1].split(":")[0],
        )
        continue
    print(f"{name:19}  last loss {curve[-1]:.3f}, {accuracy:.1%} right")
    axis.plot(curve, "--" if "data" in name else "-", linewidth=2.5, label=name)
    assert (curve[-1] < 0.2) == (accuracy > 0.9) == ("data" not in name)
axis.axhline(start, color="black", linestyle=":", label="guessing")
axis.set(xlabel="step", ylabel="loss", ylim=(0, 0.8))
axis.legend(loc="center right")

# %%
# ``.data``: no error, no warning, and nothing learnt. The derivative of the sigmoid is
# :math:`p(1-p)`, from the :math:`p` that was kept; rounded to 0 or 1 behind autograd's back, it
# makes every gradient exactly 0. ``detach`` shares the memory, too, but also the count of its
# changes, so ``backward`` notices. Without the underscore, all is well.
#
# .. _floating-point-only:
#
# A closer look
# -------------
# Only floating-point and complex tensors can require a gradient: a slope needs steps as small as
# you like. In the complex plane, too, ``grad`` points where the loss grows fastest.

try:
    torch.arange(3).requires_grad_()
except RuntimeError as error:
    print(error)
z = torch.tensor(1 + 2j, requires_grad=True)
(z.abs() ** 2).backward()
print("complex:", z.grad.item())
assert abs(z.grad.item() - (2 + 4j)) < 1e-5

# %%
# What you learnt
# ---------------
# - Let autograd multiply the known derivatives of your operations: one walk back for all weights.
# - Expect ``grad`` on leaves that require it; order it elsewhere with ``retain_grad``.
# - Change weights in place under ``no_grad``, and clear ``grad`` between steps: it adds up.
# - Leave the graph by ``detach``, not by ``.data``, which lets wrong gradients pass in silence.
#
# Exercises
# ---------
# 1. **Predict.** Weights should begin small: ``v = torch.randn(784, requires_grad=True) * 0.01``.
#    What is ``v.grad`` after ``loss_of(v).backward()``, and how would you write the line?
# 2. **Change.** What you care about is the share of wrong answers. Make it the loss. What does
#    ``backward`` say to that, and what does trying say?
# 3. **Extend.** Keep the learnt weights and let the gradient change the *image*: in small steps,
#    until an eight is read as a three. What changes, and how much?

# %%
# .. answer:: 1
#
#    ``None``, with a warning: the leaf is the large tensor before ``* 0.01``, and it has no name.
#    The same happens with ``.to(device)``, where it copies. Ask for the gradient last.

v = torch.randn(784, requires_grad=True) * 0.01
u = (torch.randn(784) * 0.01).requires_grad_()
for weights in (u, v):
    loss_of(weights).backward()
with warnings.catch_warnings(record=True, action="always") as caught:
    missing = v.grad
print(f"v: {missing}, u: {tuple(u.grad.shape)}; warnings: {len(caught)}")
assert missing is None and u.is_leaf and len(caught) == 1

# %%
# .. answer:: 2
#
#    A comparison has no derivative, so nothing was recorded, and there is no way back. Trying gives
#    0 everywhere: a little more of one weight changes no answer. That is why one trains with
#    another loss, and counts errors afterwards.


def errors_of(w):
    return ((x @ w > 0) != (y == 1)).float().mean()


try:
    errors_of(learnt.clone().requires_grad_()).backward()
except RuntimeError as error:
    print(error)
errors = errors_of(learnt)
slopes = [
    (errors_of(learnt + h * unit) - errors) / h for unit in torch.eye(784)
]
print("tried:", {slope.item() for slope in slopes})
assert not any(slopes)

# %%
# .. answer:: 3
#
#    The image is the leaf now. Its gradient is :math:`(p-y)\,w`, so each step wipes ink from the
#    left side of the eight and adds a little elsewhere.
#
#    .. alt:: An eight; the change, blue on its left side and pale red elsewhere; and the changed
#       image, to our eyes still an eight, with a few faint smears.

eight = x[(y == 1) & (x @ learnt > 0)][0]
image = eight.clone().requires_grad_()
while image @ learnt > -1:
    F.binary_cross_entropy_with_logits(
        image @ learnt, torch.tensor(0.0)
    ).backward()
    with torch.no_grad():
        image -= 0.2 * image.grad
        image.clamp_(0, 1)
    image.grad = None
change = image.detach() - eight
figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.4), layout="constrained")
for axis, picture in zip(axes, (eight, change, image.detach()), strict=True):
    cmap, low = ("RdBu_r", -1) if picture is change else ("gray_r", 0)
    axis.imshow(picture.view(28, 28).numpy(), cmap=cmap, vmin=low, vmax=1)
    title = "change" if picture is change else f"logit {picture @ learnt:.1f}"
    axis.set(title=title, xticks=[], yticks=[])
print(f"mean change of a pixel {change.abs().mean():.3f}")
assert image @ learnt < -1 and change.abs().mean() < 0.1

# %%
# Next
# ----
# :doc:`/lessons/autograd/02_graph`: what was recorded, and what it costs to keep.
