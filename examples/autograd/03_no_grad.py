"""
``no_grad``, ``inference_mode`` and ``detach``
==============================================

How do I compute something that autograd should not record?

Most of a training program is not training. It counts correct answers, draws
figures, moves weights and makes predictions. None of this needs a gradient, and
recording it costs time and memory. PyTorch has three ways to leave it out.
A fourth, older way, ``data``, can give wrong gradients without an error.

After this lesson you can

- choose between ``no_grad``, ``inference_mode`` and ``detach()``
- find out why ``backward()`` says ``element 0 of tensors does not require
  grad``
- recognize code that changes numbers without autograd's knowledge
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets

# %%
# Three ways
# ----------
# Double a weight in four ways, and ask each result whether it is recorded. Its
# ``requires_grad`` says so.

w = torch.tensor(3.0, requires_grad=True)

recorded = 2 * w

with torch.no_grad():
    plain = 2 * w

with torch.inference_mode():
    fast = 2 * w

cut = recorded.detach()

print("recorded:", recorded.item(), recorded.requires_grad)
print("plain:   ", plain.item(), plain.requires_grad)
print("fast:    ", fast.item(), fast.requires_grad)
print("cut:     ", cut.item(), cut.requires_grad)

# %%
# All four results are 6, but only the first one is recorded. In a
# :class:`torch.no_grad` block and in a :class:`torch.inference_mode` block,
# nothing is recorded. ``detach()`` works on a single tensor: it returns a
# tensor with the same numbers that is not connected to the calculation any
# more. It copies nothing, because the result is a :term:`view` of the same
# memory.
#
# For later calculations, ``plain`` and ``cut`` are constants, as if you had
# typed a 6. You can see this in a gradient. The derivative of w · w is 2w = 6.
# What is it if one of the two factors is detached?

product = w * w
product.backward()
print("w * w:         ", w.grad)

w.grad = None
product = w * w.detach()
product.backward()
print("w * w.detach():", w.grad)

# %%
# It is 3, because autograd sees w · 3. The result is 9 in both cases. So detach
# a tensor where its numbers are wanted, but not its gradient.

# %%
# .. check::

assert recorded.requires_grad, "recorded as usual"
assert not plain.requires_grad, "not under no_grad"
assert not fast.requires_grad, "not in inference_mode"
assert not cut.requires_grad, "not after detach"
assert cut.data_ptr() == recorded.data_ptr(), "the same memory"
assert product.item() == 9, "3 times 3"
assert w.grad == 3, "the other factor is a constant"

# %%
# Which one when
# --------------
# ``inference_mode`` is often a little faster than ``no_grad``, because it
# leaves out more of PyTorch's bookkeeping. (*Inference* means that a finished
# model only answers.) The price is that autograd may not keep its results for
# the way back. A sum with such a tensor still works, but a product needs its
# factors later and raises an error, so do not use it in training. The result of
# ``no_grad`` may take part:

(w * plain).backward()
print("w * plain: fine")
(w + fast).backward()
print("w + fast: fine")

inference_message = ""
try:
    w * fast
except RuntimeError as error:
    inference_message = str(error)
print("w * fast:", inference_message)

# %%
# So the choice is this:
#
# .. list-table::
#    :header-rows: 1
#
#    * - You want to
#      - Use
#    * - move weights, measure a model during training
#      - ``torch.no_grad()``
#    * - only make predictions with a finished model
#      - ``torch.inference_mode()``
#    * - use one result as a constant, print it, draw it or keep it
#      - ``detach()``; for a single number ``item()``
#    * - exclude a weight from training
#      - ``weight.requires_grad_(False)``, and ``weight.grad = None`` if it has
#        been trained before
#
# None of them tells the *model* that training is over. Some layers behave
# differently then, and they need ``model.eval()`` as well.

# %%
# .. check::

assert "saved for backward" in inference_message, "fast may not be kept"

# %%
# On real data
# ------------
# Here is a small training with a measurement in it. The model tells a 3 from an
# 8. The score of an image should be 0 for a 3 and 1 for an 8.

train_set, _ = datasets.mnist()
chosen = (train_set.y == 3) | (train_set.y == 8)
images = train_set.x[chosen].flatten(1)  # (2000, 784)
targets = (train_set.y[chosen] == 8).float()  # (2000,)

# %%
# In every step we also want to know the share of wrong answers. An answer is
# wrong if its score is more than 0.5 away from the target. The measurement is a
# function of its own, so that we can try others:


def share_wrong(errors):
    return (errors.detach().abs() > 0.5).float().mean()


# %%
# The training gets this function as its argument ``measure``. (The ``.2g`` in
# its last f-string keeps two significant digits.)


def train(measure, steps):
    weights = torch.zeros(784, requires_grad=True)
    losses = []
    shares = []
    for _ in range(steps):
        errors = images @ weights - targets
        loss = (errors**2).mean()
        shares.append(measure(errors))
        loss.backward()
        with torch.no_grad():
            weights -= 0.01 * weights.grad
        weights.grad = None
        losses.append(loss.item())
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2g}, wrong: {shares[-1]:.1%}")
    return losses


# %%
# Twenty steps:

good = train(share_wrong, steps=20)

# %%
# The loss falls from 0.5 to less than 0.1, and about one answer in ten is still
# wrong. Each way has its place here: ``detach()`` in the measurement,
# ``no_grad`` around the step, and ``item()`` for the loss that we keep.

# %%
# .. check::

assert good[0] == 0.5, "at first, every second answer is wrong by 1"
assert good[-1] < 0.1, "the loss falls"

# %%
# .. _data-or-detach:
#
# What goes wrong
# ---------------
# In older code you will find ``errors.data`` instead of ``errors.detach()``. It
# seems to do the same. Suppose the author also wanted to save memory and took
# the absolute value in place, with ``abs_()``:


def share_wrong_data(errors):
    return (errors.data.abs_() > 0.5).float().mean()


bad = train(share_wrong_data, steps=20)

# %%
# We changed only the measurement and got no error, yet the loss has exploded.
#
# .. alt:: The loss against the step, on a logarithmic axis. With detach it
#    falls from 0.5 to below 0.1. With data it rises to more than a million.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.2, 3), layout="constrained")
axis.plot(good, "o-", markersize=3, label="errors.detach().abs()")
axis.plot(bad, "s-", markersize=3, label="errors.data.abs_()")
axis.set(xlabel="step", ylabel="loss", yscale="log", xticks=range(0, 20, 5))
axis.legend()

# %%
# The loss is the mean of e², and the derivative of e² is 2e. To compute it
# later, autograd keeps the errors. But ``data`` shares their memory, so
# ``abs_()`` has made the kept errors positive, too. So for a score that is too
# low, the gradient says that it is too high, and each step makes it even lower.
# You would look for the mistake in the learning rate, but it is in the
# measurement.
#
# Now the same with ``detach()``, which also shares the memory:


def share_wrong_in_place(errors):
    return (errors.detach().abs_() > 0.5).float().mean()


detach_message = ""
try:
    train(share_wrong_in_place, steps=20)
except RuntimeError as error:
    detach_message = str(error)
print(detach_message)

# %%
# This is the error that you know from :doc:`/lessons/tensors/11_in_place`.
# PyTorch counts how often a tensor is written. The count is the version in the
# message: ``abs_()`` raised it from 0 to 1. ``detach()`` shares this count, so
# ``backward()`` notices the change, and ``data`` does not. So write
# ``detach()`` instead of ``data``, and a new tensor (``abs``) instead of a
# change in place.
#
# Autograd does not see what NumPy writes, either. If you change the array
# ``errors.detach().numpy()``, the gradient can be wrong, and there is no error.
# So change a copy.

# %%
# .. check::

assert bad[0] == good[0], "the first loss is the same"
assert bad[-1] > 1e6, "then it explodes"
assert "modified by an inplace operation" in detach_message, "detach notices"
assert "at version 1; expected version 0" in detach_message, "one write"

# %%
# .. _element-0-does-not-require-grad:
#
# ``element 0 of tensors does not require grad``
# ----------------------------------------------
# Sooner or later everyone meets this error of ``backward()``. It says that the
# tensor has not been recorded, so there is no way back. (The *tensors* are
# those that you call ``backward()`` for. Here there is only one, number 0.)
# Here is the error, together with the two attributes that show the cause.
# ``grad_fn`` is the record of how a tensor was made, which the next lesson
# explains. Here it is ``None``.

scores = torch.tensor([0.2, 0.9], requires_grad=True)
truth = torch.tensor([1.0, 1.0])
accuracy = ((scores > 0.5) == truth).float().mean()
print(accuracy.requires_grad, accuracy.grad_fn)

element_message = ""
try:
    accuracy.backward()
except RuntimeError as error:
    element_message = str(error)
print(element_message)

# %%
# A comparison has no derivative, so the way back ends there. These are the
# usual causes. To find yours, print the ``requires_grad`` of each tensor, from
# the start. Your data has ``False``, too, and that is fine. Look for the first
# line that takes a tensor with ``True`` and gives a result with ``False``. If
# no tensor has ``True``, it is one of the first two causes.
#
# .. list-table::
#    :header-rows: 1
#
#    * - Cause
#      - What to do
#    * - No tensor requires a gradient
#      - Set ``requires_grad=True`` before you calculate
#    * - All weights are frozen with ``requires_grad_(False)``
#      - Leave at least one to train
#    * - The loss was computed under ``no_grad`` or ``inference_mode``
#      - Take it out of the block
#    * - ``detach()``, ``item()``, ``detach().numpy()``, or a new tensor made
#        from a result, such as ``torch.tensor(loss)``
#      - Go on with the result itself
#    * - A comparison, ``argmax``, or a conversion to whole numbers
#      - Train with a loss that has a slope, and count mistakes beside it
#    * - ``w = w - 0.1 * w.grad`` under ``no_grad``
#      - ``w -= 0.1 * w.grad``
#
# .. _floating-point-only:
#
# A slope needs small changes, so whole numbers cannot have a gradient. Only
# floating-point tensors can (and complex ones, which you will not need here).
# So convert whole numbers with ``float()`` before you set ``requires_grad``.

# %%
# .. check::

assert not accuracy.requires_grad, "a comparison is not recorded"
assert accuracy.grad_fn is None, "there is no record"
assert "element 0 of tensors" in element_message, "so there is no way back"

# %%
# Recipe
# ------
# A training step is not recorded, and the loss is kept as a number:

import torch

x = torch.tensor([1.0, 2.0, 3.0])
y = torch.tensor([2.0, 4.0, 6.0])
weight = torch.tensor(0.0, requires_grad=True)
history = []

for _ in range(30):
    loss = ((weight * x - y) ** 2).mean()
    loss.backward()
    with torch.no_grad():  # the step is not recorded
        weight -= 0.05 * weight.grad
    weight.grad = None
    history.append(loss.item())  # a number, not a tensor

# %%
# Then measure the model, and let it make predictions:

with torch.no_grad():  # a measurement during training
    largest_error = (weight * x - y).abs().max()
print(f"largest error: {largest_error:.3f}")

with torch.inference_mode():  # only predictions
    print(weight * torch.tensor([10.0, 20.0]))

# %%
# .. check::

assert abs(weight.item() - 2) < 1e-3, "the weight is found"
assert largest_error < 0.01, "and it fits"
assert not largest_error.requires_grad, "without a record"

# %%
# What you learned
# ----------------
# - ``no_grad`` is for steps and measurements, ``inference_mode`` for a model
#   that only answers, and ``detach()`` for a single result.
# - A detached tensor is a constant: no gradient goes through it.
# - Autograd does not see what is written through ``data`` or NumPy, and then
#   the gradient is wrong without an error. Use ``detach()``, and do not work in
#   place.
# - At ``element 0 of tensors does not require grad``, find the first line that
#   turns ``True`` into ``False`` in ``requires_grad``.
#
# Exercises
# ---------
# 1. **Predict.** ``w`` is 3 and requires a gradient. Under ``no_grad`` you
#    compute ``a = w * 2``, and after the block ``b = a * w``. Does ``b``
#    require a gradient, and what is ``w.grad`` after ``b.backward()``?
# 2. **Change.** Round the errors in place instead, with ``data.round_()``. What
#    does the loss do in 60 steps, compared with the right way? Why is this
#    mistake harder to find?
# 3. **Extend.** Fit y = w·x + b to the points (1, 3) and (2, 5), with ``b``
#    frozen at 0. Then let ``b`` be trained, too. How small does the loss get in
#    each case?

# %%
# .. answer:: 1
#
#    Yes, because ``w`` takes part in it. ``a`` is the constant 6, so the
#    gradient is 6. (Recorded, b would be 2w², with the gradient 4w = 12.)

w = torch.tensor(3.0, requires_grad=True)
with torch.no_grad():
    a = w * 2
b = a * w
b.backward()
print(b.requires_grad, w.grad)

# %%
# .. check::

assert b.requires_grad, "w takes part in it"
assert w.grad == 6, "a is a constant"

# %%
# .. answer:: 2
#
#    The loss falls, so everything looks fine, but it stays more than 1.5 times
#    as large. An error below 0.5 becomes 0 and has no gradient any more. Such
#    images stop teaching the model anything. It is harder to find because the
#    loss falls, only less far.


def share_wrong_round(errors):
    return (errors.data.round_() != 0).float().mean()


right_way = train(share_wrong, steps=60)
rounded = train(share_wrong_round, steps=60)

# %%
# .. check::

assert rounded[-1] < 0.2, "it falls"
assert rounded[-1] > 1.5 * right_way[-1], "but it stays larger"

# %%
# .. answer:: 3
#
#    With ``b`` frozen at 0 the best line through the origin is w = 2.6, and the
#    loss stays at 0.1. With ``b`` it falls to almost 0, at w = 2 and b = 1.

x = torch.tensor([1.0, 2.0])
y = torch.tensor([3.0, 5.0])
final_losses = []
for frozen in [True, False]:
    w = torch.tensor(0.0, requires_grad=True)
    b = torch.tensor(0.0, requires_grad=True)
    if frozen:
        b.requires_grad_(False)
    optimizer = torch.optim.SGD([w, b], lr=0.1)
    for _ in range(500):
        optimizer.zero_grad()
        loss = ((w * x + b - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    print(f"w {w.item():.2f}, b {b.item():.2f}, loss {loss.item():.3f}")
    final_losses.append(loss.item())

# %%
# .. check::

assert abs(final_losses[0] - 0.1) < 0.01, "through the origin"
assert final_losses[1] < 0.001, "with b the line fits"

# %%
# .. earlier::
#
#    ``data`` was the usual way until version 0.4 of 2018, and so was the switch
#    ``volatile=True``, which ``no_grad`` has replaced. Code from before then
#    often wraps tensors in ``Variable``; see
#    :doc:`/lessons/autograd/04_graph`.
