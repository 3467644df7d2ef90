"""
Calculating with tensors
========================

How do I calculate with tensors?

You write a formula once, and it holds for every number, every image, every batch. What you have to
watch are the shapes: a sum along the wrong axis or two shapes that stretch each other give numbers,
too, and no error. This page lets both happen. The page before is
:doc:`/lessons/tensors/03_index_reshape`.
"""

# %%
# Setup
# -----

import time

import matplotlib.pyplot as plt
import torch

from handbook import datasets, plots

train, test = datasets.mnist()
x, y = train.x.flatten(1), train.y  # (10000, 784), (10000,)
test_x = test.x.flatten(1)  # (2000, 784)

# %%
# The smallest one
# ----------------
# There are two products. ``*`` is the :term:`element-wise product`: each number meets the one in
# the same place, as with ``+``, ``/`` and ``**``. ``@`` is the :term:`matrix product`: each row
# meets each column, number by number, and what they give is summed.

a = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
b = torch.tensor([[10.0, 0.0], [0.0, 100.0]])
print("a * b:", (a * b).tolist(), "  a @ b:", (a @ b).tolist())
assert (a * b).tolist() == [[10, 0], [0, 400]] and (a @ b).tolist() == [
    [10, 200],
    [30, 400],
]

# %%
# One matrix product does real work. Write each label as a row with a single 1; in the product of
# the transposed rows with the images, row 7 is then the sum of all sevens. Divided by how many
# there are, it is their mean, and all ten come at once.
#
# .. alt:: Ten blurred grey digits, 0 to 9, each the mean of 1,000 images; the 1 is a slanted smear,
#    and the 4 and the 9 look alike.

member = (y[:, None] == torch.arange(10)).float()  # (10000, 10)
counts = member.sum(0)  # (10,)
means = (member.T @ x) / counts[:, None]  # (10, 784)
figure, axes = plt.subplots(2, 5, figsize=(6.4, 2.9), layout="constrained")
for k, axis in enumerate(axes.flat):
    axis.imshow(means[k].view(28, 28).numpy(), cmap="gray_r", vmin=0, vmax=1)
    axis.set(title=f"mean {k}", xticks=[], yticks=[])
print("images of each digit:", counts.int().tolist())
assert (
    torch.allclose(means[7], x[y == 7].mean(0), atol=1e-5)
    and counts.eq(1000).all()
)

# %%
# Reductions
# ----------
# A :term:`reduction` makes fewer numbers of many: ``sum``, ``mean``, ``amax``, ``argmax``. ``dim``
# names the axis that *disappears*; with ``keepdim=True`` it stays, with length 1. Take from each
# row of an image its own mean, so that each row averages 0. Which of these two does it?

image = train.x[0, 0]  # (28, 28)
wrong = image - image.mean(1)
right = image - image.mean(1, keepdim=True)
print(
    "shapes:",
    tuple(image.mean(1).shape),
    tuple(image.mean(1, keepdim=True).shape),
)
for name, result in {"wrong": wrong, "right": right}.items():
    print(f"{name}: largest row mean {result.mean(1).abs().max():.3f}")
assert right.mean(1).abs().max() < 1e-6 and wrong.mean(1).abs().max() > 0.1

# %%
# .. _broadcasting-stretches:
#
# Broadcasting
# ------------
# Both ran. When shapes differ, :term:`broadcasting` aligns them on the *right* and stretches every
# axis of length 1, or missing, to fit; any other difference is an error. So without ``keepdim`` the
# 28 row means lay down as one row, and each *column* lost the mean of some row.
#
# The same rule spoils losses. A model returns one guess for each image, shape (N, 1); the truth has
# shape (N,). Let the guesses be *perfect*, and subtract.
#
# .. alt:: Two grids of four by four. Left, a column of four numbers, copied in pale to the right
#    three times. Right, a row of the same four numbers, copied in pale downwards three times.

ink = (100 * x.mean(1)).round()  # (10000,), per cent of the paper
guess = ink[:, None]  # (10000, 1)
figure = plots.broadcast(guess[:4], ink[:4], names=("guess", "truth"))

# %%
# Each guess meets each truth: 1,000 of each give a million differences. Their mean is one number
# and looks like a loss. See what it says about perfect guesses, and about always saying the mean.

ink, guess = ink[:1000], guess[:1000]
lazy = ink.mean().expand(1000, 1)
losses = []
for name, answer in {"perfect": guess, "lazy": lazy}.items():
    wrong = (answer - ink) ** 2
    right = (answer.squeeze(1) - ink) ** 2  # (1000,)
    losses.append(wrong.mean())
    print(
        f"{name:7} wrong: {tuple(wrong.shape)} {wrong.mean():5.2f}  right: {right.mean():5.2f}"
    )
assert torch.isclose(losses[0], 2 * losses[1]) and wrong.shape == (1000, 1000)

# %%
# The wrong loss calls the perfect answer twice as bad as the lazy one: it teaches a model to ignore
# its input, and nothing warned you. Check the shape of a loss before you take its mean.
#
# Meant well, stretching replaces loops. How far is each test image from each mean digit? Ask with
# a loop, with one subtraction of (2000, 1, 784) and (10, 784), and with the square multiplied out,
# :math:`|p|^2-2\,p\cdot q+|q|^2`, so that a matrix product does the work.

ways = {
    "loop": lambda p, q: torch.stack(
        [((i - j) ** 2).sum() for i in p for j in q]
    ).view(-1, 10),
    "broadcasting": lambda p, q: ((p[:, None] - q) ** 2).sum(-1),
    "product": lambda p, q: (
        (p**2).sum(1, keepdim=True) - 2 * p @ q.T + (q**2).sum(1)
    ),
}
seconds, distances = {}, {}
for name, way in ways.items():
    start = time.perf_counter()
    distances[name] = way(test_x, means)  # (2000, 10)
    seconds[name] = time.perf_counter() - start
    assert torch.allclose(distances[name], distances["loop"], atol=1e-2)
stretched = test_x[:, None] - means  # (2000, 10, 784)
nearest = (distances["product"].argmin(1) == test.y).float().mean().item()
print(
    "product 5 times as fast as loop:", 5 * seconds["product"] < seconds["loop"]
)
print(
    f"broadcasting: {stretched.nbytes / 1e6:.0f} MB for {distances['loop'].nbytes / 1e6} MB"
)
print(f"nearest mean digit: {nearest:.1%} right")
assert 5 * seconds["product"] < seconds["loop"] and nearest > 0.78

# %%
# Nothing was trained, and four of five digits are read. Stretching costs no memory, but what is
# calculated from it does: here 63 MB, on the way to a result of 0.08 MB.
#
# :func:`torch.einsum` writes products and sums in one formula. Each axis gets a letter; axes with
# the same letter meet, and a letter that is missing after the arrow is summed over.

totals = torch.einsum("nk,np->kp", member, x)  # member.T @ x
squares = torch.einsum("np,np->n", x, x)  # (x**2).sum(1)
assert torch.allclose(totals / counts[:, None], means, atol=1e-4)
assert torch.allclose(squares, (x**2).sum(1), rtol=1e-4)

# %%
# Linear algebra
# --------------
# A better reader of digits: weights :math:`W` for which :math:`XW` comes as near as possible to the
# rows of ``member``. They solve :math:`(X^TX+\lambda I)\,W=X^TY`. On paper one multiplies by the
# inverse; in a program, :func:`torch.linalg.solve` has less to do and loses fewer digits. (Pixels
# that are always white leave :math:`X^TX` without an inverse; a small :math:`\lambda` mends that.)

gram = x.T @ x + 0.01 * torch.eye(784)  # (784, 784)
targets = x.T @ member  # (784, 10)
exact = torch.linalg.solve(gram.double(), targets.double())
solved, inverted = (
    torch.linalg.solve(gram, targets),
    torch.linalg.inv(gram) @ targets,
)
lost = [
    ((weights - exact).norm() / exact.norm()).item()
    for weights in (solved, inverted)
]
accuracy = ((test_x @ solved).argmax(1) == test.y).float().mean().item()
print(
    f"off by {lost[0]:.1%} with solve, {lost[1]:.1%} with inv; solve: {accuracy:.1%} right"
)
assert lost[1] > 2 * lost[0] and accuracy > nearest

# %%
# .. _fft-flip-isnan:
#
# Waves, mirrors, and what is no number
# -------------------------------------
# Older notes say that PyTorch has no Fourier transform, no flip, no check for infinities. It has
# ``torch.fft``, ``torch.flip``, ``torch.isinf`` and ``torch.isnan``. A Fourier transform writes an
# image as a sum of waves; damp the short ones, and it is blurred.
#
# .. alt:: A handwritten five, four times: as it is; its spectrum, bright in the middle; blurred
#    after its short waves were damped; and mirrored left to right.

waves = torch.fft.fft2(image)  # (28, 28), complex
rate = torch.fft.fftfreq(28)  # waves per pixel
damping = torch.exp(-50 * (rate[:, None] ** 2 + rate**2))
blurred = torch.fft.ifft2(waves * damping).real
spectrum = torch.fft.fftshift(waves.abs().log1p())
panels = {
    "image": image,
    "spectrum": spectrum / spectrum.max(),
    "blurred": blurred,
}
panels["flip(1)"] = image.flip(1)
figure, axes = plt.subplots(1, 4, figsize=(6.8, 2.1), layout="constrained")
for axis, (name, part) in zip(axes, panels.items(), strict=True):
    axis.imshow(
        part.numpy(),
        cmap="gray" if name == "spectrum" else "gray_r",
        vmin=0,
        vmax=1,
    )
    axis.set(title=name, xticks=[], yticks=[])
assert torch.allclose(torch.fft.ifft2(waves).real, image, atol=1e-5)
assert torch.isclose(blurred.sum(), image.sum()) and torch.equal(
    image.flip(1).flip(1), image
)

# %%
# Next, give each pixel mean 0 and standard deviation 1, as networks like it. Some pixels are white
# in all images: their deviation is 0, and 0 / 0 is ``nan``, which spoils every later sum.

deviation = x.std(0)  # (784,)
scaled = (x - x.mean(0)) / deviation
print(
    "infinite:",
    torch.isinf(1 / deviation).sum().item(),
    "pixels of 1 / deviation",
)
print(
    "not a number:",
    torch.isnan(scaled).any(0).sum().item(),
    "pixels; sum:",
    scaled.sum().item(),
)
scaled = (x - x.mean(0)) / deviation.clamp(min=0.01)
print("not a number after clamp:", torch.isnan(scaled).sum().item())
assert (
    torch.isinf(1 / deviation).sum() == (x == 0).all(0).sum() > 50
    and scaled.isfinite().all()
)

# %%
# .. _suffix-not-prefix:
# .. _how-many-operations:
#
# In place
# --------
# An :term:`in-place operation` writes its result over its input. It is known by its *suffix*, an
# underscore; older notes say prefix, and write ``x.copy(y)``, which does not exist. They also speak
# of about a hundred operations. Count a tensor's methods, and the operators of ATen, the library
# that does the work.

methods = [
    n
    for n in dir(torch.Tensor)
    if n[0] != "_" and callable(getattr(torch.Tensor, n))
]
suffix = [name for name in methods if name.endswith("_")]
aten = {
    op.split(".")[0]
    for op in torch._C._dispatch_get_all_op_names()
    if op[:6] == "aten::"
}
print(
    len(methods),
    "methods,",
    len(suffix),
    "with the suffix;",
    len(aten),
    "operators in ATen",
)
counter = torch.zeros(3)
try:
    counter.copy(torch.ones(3))
except AttributeError as error:
    print("AttributeError:", error)
counter.copy_(torch.ones(3))
print(counter.add_(5))
assert len(methods) > 500 and len(suffix) > 100 and len(aten) > 1500
assert counter.tolist() == [6, 6, 6] and not hasattr(counter, "copy")

# %%
# .. _in-place-and-views:
#
# What it does to views
# ---------------------
# "It replaces the variable", one reads. It changes the *memory*, and everyone who looks at it sees
# that: every :term:`view`, and every other name. ``x += 1`` is in place, too; ``x = x + 1`` makes a
# new tensor and moves the name over to it.
#
# .. alt:: Three grids. w and its first row, above the same memory, both begin 1, 11, 21.
#    The third, w + 1, lies above memory of its own and begins 2, 12, 22.

w = torch.arange(6.0).reshape(2, 3)
row, before = w[0], w.data_ptr()
row.mul_(10)
w += 1
new = w + 1
assert w.data_ptr() == before != new.data_ptr() and row.tolist() == [1, 11, 21]
figure = plots.memory_layout(
    w, row, new, names=["w", "row", "new = w + 1"], ncols=2
)

# %%
# Between the two stands ``out=``: it writes a result over *another* tensor that you have ready.

room = torch.empty(2, 3)
address = room.data_ptr()
torch.add(w, 1, out=room)
print(room.tolist(), "in the same memory:", room.data_ptr() == address)
assert torch.equal(room, new) and room.data_ptr() == address

# %%
# .. _in-place-and-autograd:
#
# What it does to autograd
# ------------------------
# Autograd needs old values to find a :term:`gradient`, and in-place operations destroy them. So it
# refuses two things: to overwrite a :term:`leaf <leaf tensor>` that requires a gradient, and to go
# back through a value that was overwritten after it was kept. (``requires_grad_`` has the suffix,
# but writes no numbers; it sets a flag.)

leaf = torch.ones(2).requires_grad_()
kept = leaf.exp()  # its gradient is its own value
kept.add_(1)
for refused in (lambda: leaf.add_(1), lambda: kept.sum().backward()):
    try:
        refused()
        raise AssertionError("not refused")
    except RuntimeError as error:
        print(str(error).split(": [")[0])
with torch.no_grad():
    leaf.add_(1)
print("without recording:", leaf)
assert leaf.tolist() == [2, 2] and leaf.is_leaf

# %%
# What you learnt
# ---------------
# - Tell ``*``, number by number, from ``@``, rows by columns.
# - Align shapes on the right, and keep the axis with ``keepdim=True`` when you go on calculating.
# - Check the shape of a loss before its mean: (N, 1) minus (N,) is (N, N), in silence.
# - Solve equations with ``solve``, and look for ``nan`` where something was divided.
# - Read a suffix ``_`` as "changes the memory, for all who look at it", autograd among them.
#
# Exercises
# ---------
# 1. **Predict.** Which shapes have ``torch.ones(5, 1, 3) + torch.ones(4, 1)``,
#    ``torch.ones(2, 3, 4) @ torch.ones(4, 5)`` and
#    ``torch.ones(2, 3, 4).sum((0, 2), keepdim=True)``? Which one of
#    ``torch.ones(3) + torch.ones(4)`` and ``torch.ones(3, 0).sum(1)`` is refused?
# 2. **Change.** Find the nearest *image* instead of the nearest mean: compare all test images with
#    the first 2,000 training images. How many are right, and how much memory would one subtraction
#    with broadcasting have taken?
# 3. **Extend.** Blur an image with a window of 5 × 5 equal weights, once by shifting it with
#    ``torch.roll`` and adding up, in place, and once by ``torch.fft``. Are they equal?

# %%
# .. answer:: 1
#
#    From the right: 3 and 1 give 3, 1 and 4 give 4, 5 stays. A matrix product takes the last two
#    axes and keeps the others. 3 and 4 do not fit; the sum of no numbers is 0.

first = torch.ones(5, 1, 3) + torch.ones(4, 1)
second = torch.ones(2, 3, 4) @ torch.ones(4, 5)
third = torch.ones(2, 3, 4).sum((0, 2), keepdim=True)
for part in (first, second, third, torch.ones(3, 0).sum(1)):
    print(tuple(part.shape), part.flatten()[0].item())
try:
    torch.ones(3) + torch.ones(4)
except RuntimeError as error:
    print(error)
assert (
    first.shape == (5, 4, 3)
    and second.shape == (2, 3, 5)
    and third.shape == (1, 3, 1)
)

# %%
# .. answer:: 2
#
#    The matrix product makes (2000, 2000) at once, 16 MB; the subtraction would have held 784 times
#    as much.

near = ways["product"](test_x, x[:2000]).argmin(1)
accuracy = (y[near] == test.y).float().mean().item()
size = 2000 * 2000 * 784 * x.element_size()
print(f"{accuracy:.1%} right; broadcasting would have held {size / 1e9:.1f} GB")
assert accuracy > 0.88 and size == 784 * 16e6

# %%
# .. answer:: 3
#
#    Equal up to rounding: shifting and adding is a product of waves. Both go round the edge, since
#    ``roll`` brings back on one side what leaves on the other.

shifted = torch.zeros(28, 28)
window = torch.zeros(28, 28)
for i in range(-2, 3):
    for j in range(-2, 3):
        shifted.add_(image.roll((i, j), (0, 1)), alpha=1 / 25)
        window[i, j] = 1 / 25
by_waves = torch.fft.ifft2(torch.fft.fft2(image) * torch.fft.fft2(window)).real
print(f"largest difference {(shifted - by_waves).abs().max():.0e}")
assert torch.allclose(shifted, by_waves, atol=1e-6)

# %%
# Next
# ----
# :doc:`/lessons/tensors/05_numpy_bridge`: what a tensor shares with a NumPy array, and what is
# copied on the way.
