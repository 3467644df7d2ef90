"""
Custom operators: torch.library
===============================

How do you call a library that PyTorch cannot look into, and still have
gradients and ``torch.compile``?

Some results come from code that is not made of PyTorch's operations: an image
library, a solver, plain Python. You can wrap such code as a *custom operator*,
and tell PyTorch three things about it: how to compute the result, which shape
the result has, and what its gradient is. PyTorch believes all three, so each of
them needs a check. We will also meet a wrong gradient that passes the two usual
checks.

After this lesson you can

- turn a function into an operator, in three parts
- check it with ``opcheck`` and ``gradcheck``, and read what they print
- find a wrong gradient that passes both, with random weights
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from torch.autograd import gradcheck
from torch.library import custom_op, opcheck
from torch.nn.functional import avg_pool2d

from handbook import datasets

torch.manual_seed(0)

# %%
# What torch.compile cannot read
# ------------------------------
# We shrink a row of pixels to half its length. Each new pixel is the mean of
# two neighbors, so 1, 3, 5, 9 become 2 and 7. The function takes the numbers
# out of the tensor and works on a Python list. It stands for any library.


def row_means(x):
    numbers = x.tolist()
    means = []
    for i in range(0, len(numbers), 2):
        means.append((numbers[i] + numbers[i + 1]) / 2)
    return torch.tensor(means, dtype=x.dtype)


row = torch.tensor([1.0, 3.0, 5.0, 9.0], dtype=torch.float64)
row.requires_grad_()
means = row_means(row)
print(means, means.requires_grad)

# %%
# The result is right, but it does not require a gradient: autograd saw none of
# it. :func:`torch.compile` does not get through either. We ask for one graph
# with ``fullgraph=True``, as in :doc:`/lessons/start/02_dynamic_graph`:

refused = ""
try:
    torch.compile(row_means, fullgraph=True, backend="eager")(row)
except RuntimeError as error:
    refused = str(error)
print(refused[:39])

# %%
# It stops at ``tolist``. Without ``fullgraph=True`` it would leave this part to
# Python, and split your network into several graphs. A ``Function``, as in
# :doc:`/lessons/autograd/07_custom_function`, would supply the gradient, but
# ``torch.compile`` reads its ``forward``, too (exercise 1).

# %%
# .. check::

assert means.tolist() == [2, 7], "the result is right"
assert not means.requires_grad, "autograd saw none of it"
assert "tolist" in refused, "it stops at tolist"

# %%
# The three parts
# ---------------
# **Part 1 is the result.** We write the same function again, below the
# decorator :func:`~torch.library.custom_op`, which makes a custom operator of
# it. Its name is ``"lesson::row_means"``, where ``lesson`` is a prefix of your
# choice. ``mutates_args=()`` promises that the function changes none of its
# arguments. The result may not share memory with an argument either. If it
# would, return a ``clone``. The operator also has to know the types. They stand
# in the line with ``def``, as *annotations*: ``x`` is a ``torch.Tensor``, and
# so is the result, after ``->``.


@custom_op("lesson::row_means", mutates_args=())  # new
def row_means(x: torch.Tensor) -> torch.Tensor:  # new: the types
    numbers = x.tolist()
    means = []
    for i in range(0, len(numbers), 2):
        means.append((numbers[i] + numbers[i + 1]) / 2)
    return torch.tensor(means, dtype=x.dtype)


# %%
# **Part 2 is the shape.** While ``torch.compile`` builds its graph, there are
# no values yet. It works with *fake tensors*, which have a shape, strides and a
# dtype, but no numbers. ``register_fake`` registers the function that handles
# these. Nobody calls it by name, so people name it ``_``. ``torch.empty`` makes
# a contiguous tensor, and our real result is one, too. We make a mistake on
# purpose, and say that the result is as long as ``x``:


@row_means.register_fake
def _(x):
    return torch.empty(x.shape, dtype=x.dtype)


# %%
# **Part 3 is the gradient.** ``register_autograd`` takes a ``backward`` like
# that of a ``Function``. The first mean is :math:`(x_1 + x_2) / 2`, so its
# gradient goes to both of its pixels, with the factor ½. For this,
# ``repeat_interleave(2)`` turns 10, 20 into 10, 10, 20, 20. ``torch.compile``
# does read the ``backward``, so use only PyTorch's operations or other custom
# operators in it. Our second mistake is to forget the ½:


def backward(ctx, grad_output):
    return grad_output.repeat_interleave(2)


row_means.register_autograd(backward)
print(row_means(row))

# %%
# The operator works, and its result has a ``grad_fn``. Nothing complains.

# %%
# .. check::

assert row_means(row).tolist() == [2, 7], "the operator works"
assert row_means(row).requires_grad, "its result has a grad_fn"

# %%
# Two checks
# ----------
# :func:`~torch.library.opcheck` runs the operator with real and with fake
# tensors, forward and backward, and compares what comes out. It takes the
# operator and a tuple of inputs. They should require a gradient, or the
# backward is not tried. (Its error class is private to PyTorch, so we catch any
# ``Exception``.)

complaint = ""
try:
    opcheck(row_means, (row,))
except Exception as error:
    complaint = str(error)
print(complaint)

# %%
# The real result has the shape ``[2]``, and our function said ``[4]``. We
# register a right one, which replaces it. ``x[::2]`` takes every second number
# of ``x``, so it has the right length.


@row_means.register_fake
def _(x):
    return torch.empty(x[::2].shape, dtype=x.dtype)


report = opcheck(row_means, (row,))
for test, verdict in report.items():
    print(test, verdict)

# %%
# All four tests succeed, although the gradient is still wrong. ``opcheck``
# looks at how the parts fit together, and does not measure slopes.
# :func:`~torch.autograd.gradcheck` does:

mismatch = ""
try:
    gradcheck(row_means, row)
except RuntimeError as error:
    mismatch = str(error)
print(mismatch)

# %%
# The message shows two :term:`Jacobians <Jacobian>`, with a row for each input
# and a column for each output. The measured slope is ½, and our ``backward``
# says 1. With the factor, the check passes:


def backward(ctx, grad_output):
    return grad_output.repeat_interleave(2) / 2


row_means.register_autograd(backward)
print(gradcheck(row_means, row))

# %%
# .. check::

assert "torch.Size([2]) and torch.Size([4])" in complaint, "the shapes"
assert len(report) == 4, "four tests"
assert set(report.values()) == {"SUCCESS"}, "all succeed"
assert "Jacobian mismatch" in mismatch, "gradcheck finds the factor"
assert gradcheck(row_means, row), "passes with the factor"

# %%
# On real data
# ------------
# Now a real library. Pillow (its module is called ``PIL``) shrinks the digits
# from 28 × 28 to 14 × 14 pixels. ``Image.fromarray`` makes an image from a
# NumPy array. ``reduce(2)`` takes the mean of each 2 × 2 square, so we refuse
# odd sizes. Inside the operator ``x`` requires no gradient, so ``numpy()`` is
# allowed. ``device_types`` says that Pillow works on the CPU only.


@custom_op("lesson::shrink", mutates_args=(), device_types="cpu")
def shrink(x: torch.Tensor) -> torch.Tensor:
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError("even sizes only")
    small = []
    for array in x.numpy().astype(np.float32):
        image = Image.fromarray(array).reduce(2)
        small.append(torch.from_numpy(np.array(image)))
    return torch.stack(small).to(x.dtype)


@shrink.register_fake
def _(x):
    return torch.empty(x[:, ::2, ::2].shape, dtype=x.dtype)


# %%
# In real life you would take PyTorch's ``avg_pool2d``. Here it tells us what is
# right.

train, test = datasets.mnist()
digits = train.x[:100, 0]  # (100, 28, 28)
small = avg_pool2d(digits, 2)
difference = (shrink(digits) - small).abs().max().item()
print(f"largest difference {difference:.1g}")

# %%
# .. check::

assert difference < 1e-6, "the same except for rounding"

# %%
# .. _wrong-backward:
#
# What goes wrong
# ---------------
# In the backward, each gradient goes to four pixels, with the factor ¼. Suppose
# someone stores the gradient as an 8-bit image: whole numbers from 0 to 255.


def backward(ctx, grad_output):
    pixels = (255 * grad_output.clamp(0, 1)).byte()
    # each row twice, then each column twice
    wide = pixels.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    return wide.to(grad_output.dtype) / 255 / 4


shrink.register_autograd(backward)

# %%
# What do the two checks say? Pillow computes in ``float32``, and a tiny move
# would drown in its rounding. So ``gradcheck`` has to move the pixels further
# than usual (``eps``), and allow for rounding (``atol``). Shrinking is linear,
# so a long move does no harm. Checks speak only for the inputs that you try, so
# ``opcheck`` also gets a transposed image, which has other strides.

image = torch.rand(1, 4, 4, dtype=torch.float64, requires_grad=True)
report = opcheck(shrink, (image,))
turned = opcheck(shrink, (image.mT,))
print(set(report.values()), set(turned.values()))
passed = gradcheck(shrink, image, eps=0.01, atol=0.001)
print("gradcheck:", passed)

# %%
# Both pass. Now we send seven gradients back ourselves (``backward(v)``, as in
# :doc:`/lessons/autograd/06_jacobian`), each through an image of four pixels.
# Together, the four should receive what was sent.

sent = torch.linspace(-1, 2, 7)
images = torch.zeros(7, 2, 2, requires_grad=True)
shrink(images).backward(sent.reshape(7, 1, 1))
arrived = images.grad.sum(dim=(1, 2))
for i in range(7):
    print(f"sent {sent[i]:4.1f}, arrived {arrived[i]:5.3f}")

# %%
# .. alt:: The gradient that arrives over the gradient that was sent, from −1 to
#    2. The dashed line of the right answer rises evenly. The 8-bit line stays
#    at 0 for everything negative, rises with the dashed line from 0 to 1, and
#    stays at 1 beyond. Two circles at 0 and 1 mark where gradcheck looks. There
#    the lines meet.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.2), layout="constrained")
axis.plot(sent, sent, "--", color="grey", label="right")
axis.plot(sent, arrived, "o-", markersize=4, label="8-bit backward")
axis.plot(
    [0, 1], [0, 1], "o", markersize=13, fillstyle="none", color="black",
    label="gradcheck looks here",
)  # fmt: skip
axis.set(xlabel="gradient sent back", ylabel="gradient that arrives")
axis.grid(alpha=0.4)
axis.legend()

# %%
# Negative gradients are lost, and those above 1 are cut off. Even 0.5 does not
# arrive whole, because ``byte`` rounds down to 127 of 255. To get the slopes of
# one output, ``gradcheck`` by default sends 1 to it and 0 to the others, and
# these two happen to arrive.
#
# So the third check multiplies the result by random weights, and adds up. Then
# the operator receives all these weights, of both signs, at once, as its
# gradient (exercise 3).

weights = torch.randn(1, 2, 2, dtype=torch.float64)


def weighted(x):
    return (shrink(x) * weights).sum()


caught = ""
try:
    gradcheck(weighted, image, eps=0.01, atol=0.001)
except RuntimeError as error:
    caught = str(error)
print(caught[:54])

# %%
# The right ``backward`` leaves the gradient in its own dtype:


def backward(ctx, grad_output):
    wide = grad_output.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    return wide / 4


shrink.register_autograd(backward)
print("weighted:", gradcheck(weighted, image, eps=0.01, atol=0.001))

# %%
# .. check::

assert set(report.values()) == {"SUCCESS"}, "opcheck passes"
assert set(turned.values()) == {"SUCCESS"}, "for the transposed image, too"
assert passed, "gradcheck passes"
assert arrived[:2].tolist() == [0, 0], "negative is lost"
assert arrived[2] == 0, "0 is right"
assert 0.49 < arrived[3] < 0.4995, "0.5 does not arrive whole"
assert (arrived[4:] == 1).all(), "above 1 is cut off"
assert "Jacobian mismatch" in caught, "random weights catch it"
assert gradcheck(weighted, image, eps=0.01, atol=0.001), "now it is right"

# %%
# Under torch.compile
# -------------------
# With its shape and gradient registered, the operator can be part of one graph.
# The default backend, ``inductor``, writes C++ code for the rest, which needs a
# compiler and takes a while. If it fails on your machine, the code says so and
# takes ``aot_eager``, which runs the graphs of forward and backward as they
# are.

weighted(image).backward()
eager_grad = image.grad
image.grad = None

backend = "inductor"
try:
    compiled = torch.compile(weighted, fullgraph=True, backend=backend)
    compiled(image).backward()
except RuntimeError as error:
    print("no inductor here:", error)
    backend = "aot_eager"
    compiled = torch.compile(weighted, fullgraph=True, backend=backend)
    compiled(image).backward()
gap = (image.grad - eager_grad).abs().max().item()
print(f"{backend}: largest difference {gap:.1g}")

# %%
# There was one graph, and the gradient is the same except for rounding. The
# inside of the operator is not compiled, because nothing looks into it. One
# trap is left: a function that is already compiled keeps the old ``backward``.
# ``inductor`` also stores compiled code on disk, so after you change a
# ``backward``, even a new run may silently use the old one (`issue 144344
# <https://github.com/pytorch/pytorch/issues/144344>`__). Until your
# ``backward`` is finished, begin with
# ``torch.compiler.config.force_disable_caches = True``.

# %%
# .. check::

assert gap < 1e-12, "the same except for rounding"

# %%
# Recipe
# ------
# Here is an operator with two inputs, and a ``backward`` that needs both. As in
# a ``Function``, a function for ``setup_context`` saves them.

import torch
from torch.autograd import gradcheck
from torch.library import custom_op, opcheck


@custom_op("mine::multiply", mutates_args=())
def multiply(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    products = []
    for value, factor in zip(x.tolist(), weight.tolist(), strict=True):
        products.append(value * factor)
    return torch.tensor(products, dtype=x.dtype, device=x.device)


# %%
# The shape and the gradient:


@multiply.register_fake
def _(x, weight):
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


def keep(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def backward(ctx, grad_output):
    x, weight = ctx.saved_tensors
    return grad_output * weight, grad_output * x


multiply.register_autograd(backward, setup_context=keep)

# %%
# And all checks, the last one for ``torch.compile``:

x = torch.randn(3, dtype=torch.float64, requires_grad=True)
spread = torch.randn(6, dtype=torch.float64, requires_grad=True)[::2]
weight = torch.randn(3, dtype=torch.float64, requires_grad=True)
mix = torch.randn(3, dtype=torch.float64)


def weighted(x, weight):
    return (multiply(x, weight) * mix).sum()


report = opcheck(multiply, (x, weight))
strided = opcheck(multiply, (spread, weight))  # other strides
print(set(report.values()), set(strided.values()))
print(gradcheck(weighted, (x, weight)))

# %%

compiled = torch.compile(weighted, fullgraph=True, backend="aot_eager")
total = compiled(x, weight)
total.backward()
print(torch.allclose(multiply(x, weight), x * weight))
print(torch.allclose(total, (x * weight * mix).sum()))
print(torch.allclose(x.grad, weight * mix))
print(torch.allclose(weight.grad, x * mix))

# %%
# .. check::

assert set(report.values()) == {"SUCCESS"}, "opcheck"
assert set(strided.values()) == {"SUCCESS"}, "opcheck with other strides"
assert gradcheck(weighted, (x, weight)), "gradcheck with random weights"
assert torch.allclose(multiply(x, weight), x * weight), "the result"
assert torch.allclose(total, (x * weight * mix).sum()), "compiled"
assert torch.allclose(x.grad, weight * mix), "the gradient of x"
assert torch.allclose(weight.grad, x * mix), "the gradient of weight"

# %%
# What you learned
# ----------------
# - A custom operator has three parts: the result (``custom_op``), its shape
#   (``register_fake``) and its gradient (``register_autograd``).
# - ``opcheck`` compares the shape with the real result, and tries the backward.
#   It does not notice a wrong gradient, nor wrong numbers: compare those with a
#   known result.
# - ``gradcheck`` measures the gradient, but sends back only 0 and 1 by default.
#   Multiply the result by random weights before you check it, and add up.
# - ``torch.compile`` makes such an operator a part of its graph, and does not
#   compile what is inside.
#
# Exercises
# ---------
# 1. **Predict.** Put the list into the ``forward`` of a ``Function``, with the
#    right ``backward``. What is the gradient of the sum of the result? And what
#    does ``torch.compile`` do with ``fullgraph=True``?
# 2. **Change.** Write an operator that doubles its argument in place with
#    ``x.mul_(2)``, and break the promise of ``mutates_args=()``. What does
#    ``opcheck`` say? What is the sum of ``x``, three ones, after a compiled
#    function has called it? Then declare ``mutates_args={"x"}``, and return
#    nothing (``-> None``).
# 3. **Extend.** ``ImageOps.mirror(image)`` of Pillow swaps left and right. Make
#    an operator of it. Which operator is its ``backward``? Use all three
#    checks. Then let ``backward`` keep only the largest gradient, and set the
#    others to 0. Which check notices?

# %%
# .. answer:: 1
#
#    The gradient is right, ½ for each pixel. But ``torch.compile`` reads
#    ``forward``, and stops at ``tolist`` again.


class RowMeans(torch.autograd.Function):
    @staticmethod
    def forward(x):
        numbers = x.tolist()
        means = []
        for i in range(0, len(numbers), 2):
            means.append((numbers[i] + numbers[i + 1]) / 2)
        return torch.tensor(means, dtype=x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.repeat_interleave(2) / 2


RowMeans.apply(row).sum().backward()
print(row.grad)
refused_again = ""
try:
    torch.compile(RowMeans.apply, fullgraph=True, backend="eager")(row)
except RuntimeError as error:
    refused_again = str(error)
print(refused_again[:39])

# %%
# .. check::

assert row.grad.tolist() == [0.5, 0.5, 0.5, 0.5], "½ for each pixel"
assert "tolist" in refused_again, "it stops again"

# %%
# .. answer:: 2
#
#    ``opcheck`` says that the argument was changed. Without the check, it is a
#    silent mistake: the sum after doubling 1, 1, 1 is 6, and 3 when it is
#    compiled. The promise says that the call does nothing but return a result.
#    Nobody uses the result, so ``torch.compile`` drops the call. With the
#    declaration, it is 6 both times. An operator that returns nothing needs no
#    ``register_fake``. (Both are called on a copy of the input.)


@custom_op("lesson::hidden_double", mutates_args=())
def hidden_double(x: torch.Tensor) -> torch.Tensor:
    x.mul_(2)
    return x.clone()


@hidden_double.register_fake
def _(x):
    return torch.empty(x.shape, dtype=x.dtype)


@custom_op("lesson::declared_double", mutates_args={"x"})
def declared_double(x: torch.Tensor) -> None:
    x.mul_(2)


# %%


def sum_hidden(x):
    x = x.clone()
    hidden_double(x)
    return x.sum()


def sum_declared(x):
    x = x.clone()
    declared_double(x)
    return x.sum()


# %%

complaint = ""
try:
    opcheck(hidden_double, (torch.ones(3),))
except Exception as error:
    complaint = str(error)
print(complaint)
sums = []
for function in [sum_hidden, sum_declared]:
    in_one = torch.compile(function, fullgraph=True, backend="aot_eager")
    sums.append(function(torch.ones(3)).item())
    sums.append(in_one(torch.ones(3)).item())
print(sums)

# %%
# .. check::

assert "mutated" in complaint, "opcheck says so"
assert sums == [6, 3, 6, 6], "hidden: 6 and 3, declared: 6 and 6"

# %%
# .. answer:: 3
#
#    What came from the left has to go back to the left, so the ``backward`` is
#    the same operator once more. A ``backward`` may call a custom operator,
#    since PyTorch knows its shape, too.
#
#    Only the third check notices the other ``backward``. ``gradcheck`` alone
#    sends one 1 at a time and 0 otherwise, so the largest is all there is.

from PIL import ImageOps


@custom_op("lesson::mirror", mutates_args=(), device_types="cpu")
def mirror(x: torch.Tensor) -> torch.Tensor:
    array = x.numpy().astype(np.float32)
    mirrored = ImageOps.mirror(Image.fromarray(array))
    return torch.from_numpy(np.array(mirrored)).to(x.dtype)


@mirror.register_fake
def _(x):
    return torch.empty(x.shape, dtype=x.dtype)


def mirror_backward(ctx, grad_output):
    return mirror(grad_output)


mirror.register_autograd(mirror_backward)

# %%

picture = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
signs = torch.randn(2, 3, dtype=torch.float64)


def weighted_mirror(x):
    return (mirror(x) * signs).sum()


print(torch.allclose(mirror(picture), picture.flip(1)))
report = opcheck(mirror, (picture,))
turned = opcheck(mirror, (picture.mT,))
print(set(report.values()), set(turned.values()))
right = gradcheck(weighted_mirror, picture, eps=0.01, atol=0.001)
print(right)

# %%


def keep_largest(ctx, grad_output):
    size = grad_output.abs()
    return mirror(grad_output * (size == size.max()))


mirror.register_autograd(keep_largest)
largest = opcheck(mirror, (picture,))
print(set(largest.values()))
passed = gradcheck(mirror, picture, eps=0.01, atol=0.001)
print(passed)
caught = ""
try:
    gradcheck(weighted_mirror, picture, eps=0.01, atol=0.001)
except RuntimeError as error:
    caught = str(error)
print(caught[:54])

# %%
# .. check::

assert torch.allclose(mirror(picture), picture.flip(1)), "left and right"
assert set(report.values()) == {"SUCCESS"}, "opcheck"
assert set(turned.values()) == {"SUCCESS"}, "opcheck, transposed"
assert right, "the same operator once more"
assert set(largest.values()) == {"SUCCESS"}, "opcheck does not notice"
assert passed, "gradcheck alone does not notice"
assert "Jacobian mismatch" in caught, "the third check does"

# %%
# .. earlier::
#
#    Tutorials often take NumPy as their example. Since PyTorch 2.1,
#    ``torch.compile`` `translates NumPy calls
#    <https://docs.pytorch.org/docs/stable/torch.compiler_faq.html>`__ into its
#    own operations, so NumPy alone needs no operator if you always compile.
#    Without ``torch.compile``, it still gets no gradient.
