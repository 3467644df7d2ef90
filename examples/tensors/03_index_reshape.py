"""
Picking, joining, reshaping
===========================

How do I pick numbers out of a tensor, join tensors, and see the same numbers in another shape?

Most lines of a real program move numbers about before they calculate anything. They are short, and
they go wrong in silence: one axis taken for another, an image scrambled by ``reshape``, a change
that shows up somewhere else. One picture explains all of it: a :term:`tensor` is a row of memory
and a rule for walking through it. The page before is :doc:`/lessons/tensors/03_number_types`.
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

from handbook import datasets, plots

torch.manual_seed(0)
train, _ = datasets.mnist()
digits = train.x[:6, 0]  # (6, 28, 28)

# %%
# .. _first-is-zero:
#
# Rows and columns
# ----------------
# Positions count from 0, so the *first* column is ``x[:, 0]``. Older notes call ``x[:, 1]`` the
# first column; look at what it is. A colon stands for the whole :term:`axis`, ``a:b`` for a part of
# it without ``b``, and negative positions count from the end.

x = torch.arange(12).reshape(3, 4)
print(x)
print("x[0]     ", x[0].tolist(), "first row")
print("x[:, 0]  ", x[:, 0].tolist(), "first column")
print("x[:, 1]  ", x[:, 1].tolist(), "second column")
print("x[-1, 1:]", x[-1, 1:].tolist(), "last row from position 1 on")
print("x[:, ::2]", x[:, ::2].tolist(), "every second column")
print("x[1, 2]  ", x[1, 2], "still a tensor; .item() gives", x[1, 2].item())
try:
    x.item()
    raise AssertionError("no error")
except RuntimeError as error:
    print("x.item() ", error)
assert x[:, 1].tolist() == [1, 5, 9] != x[:, 0].tolist()
assert isinstance(x[1, 2].item(), int) and x[1, 2].ndim == 0

# %%
# A number takes its axis away, a slice keeps it: ``x[0]`` has shape (4,), ``x[0:1]`` has (1, 4).
# ``.item()`` turns one number into Python's; it refuses more than one. On an :term:`accelerator` it
# also waits until the number is there, so keep it out of inner loops.
#
# Picking by condition and by list
# --------------------------------
# A :term:`mask` is a tensor of ``True`` and ``False``; a list of positions picks in any order
# and as often as it likes. Here ``gather`` picks one number from each row: the score of the right
# class, which is what a loss needs.

labels = train.y
fives = train.x[labels == 5]
again = digits[[0, 0, 3]]
scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])  # (B, C)
right = torch.tensor([1, 2])  # (B,)
picked = scores.gather(1, right.unsqueeze(1)).squeeze(1)
print("fives:", tuple(fives.shape), "one digit twice:", tuple(again.shape))
print("gathered:", picked, "the same in two lists:", scores[[0, 1], right])
print("rows and columns at once:", x[[0, 2], [1, 3]].tolist())
assert len(fives) == (labels == 5).sum() == 1000
assert torch.equal(picked, scores[[0, 1], right])

# %%
# Two lists at once go in pairs: ``x[[0, 2], [1, 3]]`` is the two numbers at (0, 1) and (2, 3), not
# the block of two rows and two columns. That block is ``x[[0, 2]][:, [1, 3]]``.
#
# .. _a-view-shares:
#
# Two kinds of picking
# --------------------
# The wrong idea of this page: "what I picked is mine." Make the left half of a digit white, in a
# part that came from slicing, and in one that came from a list.

half = digits[0, :, :14]  # what we watch
listed, sliced = digits[[0]][:, :, :14], digits[0:1, :, :14]
print(f"before: mean {half.mean():.2f}")
listed.fill_(1)
print(f"after filling the list's part:  mean {half.mean():.2f}")
assert half.mean() < 0.5
sliced.fill_(1)
print(f"after filling the slice's part: mean {half.mean():.2f}")
assert (half == 1).all() and train.x[0, 0, 0, 0] == 1

# %%
# The slice is a :term:`view`: another rule for walking through the *same* memory. The change went
# through to ``digits`` and on to ``train.x``. What a list or a mask picks follows no such rule, so
# it is a copy. Where a view is in your way, ask for a copy with ``clone()``.
#
# On the left of an assignment it is another matter: there a mask, too, writes into the tensor.

y = x.clone()
y[y > 8] = 0
print(y[2].tolist(), "and x[2] is still", x[2].tolist())
assert y[2].tolist() == [8, 0, 0, 0] and x[2].tolist() == [8, 9, 10, 11]

# %%
# The rule itself is short: the shape, where to begin (``storage_offset``) and how far to go in
# memory for one step along each axis (:term:`stride`). :func:`handbook.plots.memory_layout`
# draws a tensor above the memory it walks through; the colours are those of the memory.
#
# .. alt:: Four grids, each above the same row of twelve memory cells, pale to dark. x runs row by
#    row. x.T runs down the columns. x[:, 1] uses every fourth cell, from cell 1. x[:, ::2] uses
#    every second one.

views = {"x": x, "x.T": x.T, "x[:, 1]": x[:, 1], "x[:, ::2]": x[:, ::2]}
for name, view in views.items():
    print(f"{name:9} shape {tuple(view.shape)!s:7} stride {view.stride()!s:7} "
          f"offset {view.storage_offset()}")  # fmt: skip
    assert view.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
figure = plots.memory_layout(*views.values(), names=list(views), ncols=2)
assert (
    x.stride() == (4, 1)
    and x.T.stride() == (1, 4)
    and x[:, 1].storage_offset() == 1
)

# %%
# Transposing moved nothing: it exchanged two strides. That is why it is free for a tensor of any
# size, and why writing into ``x.T`` writes into ``x``.
#
# .. _view-and-reshape:
#
# Another shape
# -------------
# ``view`` keeps the memory and needs strides that allow the new shape; ``reshape`` does the same
# where it can, and copies where it cannot. Neither
# changes how many numbers there are; one length may be -1, which is worked out. Older notes write
# ``torch.view``; ``view`` is a method of tensors only.

print(x.view(2, 6).shape, x.view(-1).shape, x.reshape(2, 2, -1).shape)
for call in (lambda: x.T.view(12), lambda: x.view(5, 3)):
    try:
        call()
        raise AssertionError("no error")
    except RuntimeError as error:
        print(str(error).split(". ")[0])
flat = x.T.reshape(12)
print("x.T.reshape(12) copies:", flat.tolist())
assert flat.tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
assert flat.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()
assert not hasattr(torch, "view") and x.T.contiguous().view(12).equal(flat)

# %%
# A tensor that walks straight through its memory, without jumps, is called :term:`contiguous`;
# ``x.T`` is not, and ``contiguous()`` makes the straight copy.
#
# Now the mistake that costs days. An image has shape (H, W); somebody needs the columns first,
# (W, H), and writes ``reshape`` because the shape comes out right.
#
# .. alt:: A handwritten digit three times. As it is; after permute(1, 0), mirrored at the diagonal
#    and readable; after reshape to the same shape, torn into short level strokes.

image = train.x[3, 0, :, 4:24]  # (28, 20)
turned, torn = image.permute(1, 0), image.reshape(20, 28)
figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6), layout="constrained")
titles = ("image", "permute(1, 0)", "reshape(20, 28)")
for axis, part, title in zip(axes, (image, turned, torn), titles, strict=True):
    axis.imshow(part.numpy(), cmap="gray_r", vmin=0, vmax=1)
    axis.set(title=f"{title}\n{tuple(part.shape)}", xticks=[], yticks=[])
assert turned.shape == torn.shape and not torch.equal(turned, torn)
assert turned[5, 7] == image[7, 5]

# %%
# ``permute`` reorders axes, and each number keeps its neighbours along each axis. ``reshape`` reads
# the numbers in order and breaks the line elsewhere. If axes change places, it is ``permute`` (or
# ``transpose``); if neighbouring axes are joined or split, it is ``reshape``, ``flatten`` or
# ``unflatten``.
#
# .. _only-axes-of-one:
#
# Axes of length 1
# ----------------
# ``unsqueeze`` adds one. ``squeeze`` drops one, and only one of length 1; older notes say that it
# "reduces the dimensions". Without an argument it drops *all* axes of length 1, also the batch when
# that happens to be one image. So name the axis.

batch = train.x[:1]  # (1, 1, 28, 28)
print(tuple(torch.ones(2, 3).squeeze(0).shape), "nothing to drop")
print(tuple(batch.squeeze().shape), "the batch is gone, too")
print(tuple(batch.squeeze(1).shape), tuple(batch.squeeze(1).unsqueeze(1).shape))
assert torch.ones(2, 3).squeeze(0).shape == (
    2,
    3,
) and batch.squeeze().shape == (28, 28)

# %%
# Joining
# -------
# ``cat`` lengthens an axis that is there, and the others must agree; ``stack`` makes a new one, and
# all shapes must agree.
#
# .. alt:: Three pictures of two digits joined: cat along axis 0, one above the other; cat along
#    axis 1, side by side; stack, one behind the other in a new axis.

one, two = train.x[1, 0], train.x[2, 0]  # (28, 28) each
joined = {
    "cat(dim=0)": torch.cat([one, two], dim=0),
    "cat(dim=1)": torch.cat([one, two], dim=1),
    "stack(dim=0)": torch.stack([one, two]),
}
figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.8), layout="constrained")
for axis, (name, part) in zip(axes, joined.items(), strict=True):
    for n, layer in enumerate(reversed(part) if part.ndim == 3 else [part]):
        height, width = layer.shape
        shift = 10 * (len(part) - 1 - n) if part.ndim == 3 else 0
        place = (shift, shift + width, height - shift, -shift)
        axis.imshow(layer.numpy(), cmap="gray_r", extent=place)
        axis.add_patch(
            plt.Rectangle((shift, -shift), width, height, fill=False)
        )
    axis.set(
        title=f"{name}\n{tuple(part.shape)}", xlim=(-2, 60), ylim=(58, -12)
    )
    axis.set_axis_off()
assert [tuple(part.shape) for part in joined.values()] == [
    (56, 28),
    (28, 56),
    (2, 28, 28),
]

# %%
# ``split`` cuts by length, ``chunk`` by number of parts, and ``unbind`` takes a stack apart. All
# three give views; ``cat`` and ``stack`` make new memory.

tall, pile = joined["cat(dim=0)"], joined["stack(dim=0)"]
parts = {
    "split": tall.split(28),
    "chunk": tall.chunk(2),
    "unbind": pile.unbind(),
}
for name, (first, second) in parts.items():
    assert torch.equal(first, one) and torch.equal(second, two)
    whole = pile if name == "unbind" else tall
    views = first.data_ptr() == whole.data_ptr()
    print(
        f"{name:6} gives {tuple(first.shape)} twice, {'views' if views else 'copies'}"
    )
    assert views and whole.data_ptr() != one.data_ptr()

# %%
# A closer look
# -------------
# ``expand`` repeats an axis of length 1 without copying: its stride becomes 0, so every step stays
# where it is. ``repeat`` copies. That is how a small tensor can take part in a large calculation.

column = torch.tensor([[1.0], [2.0], [3.0]])
wide, copied = column.expand(3, 1000), column.repeat(1, 1000)
for name, part in {"expand": wide, "repeat": copied}.items():
    size = part.untyped_storage().nbytes()
    print(
        f"{name}: shape {tuple(part.shape)}, stride {part.stride()}, {size} bytes"
    )
assert torch.equal(wide, copied) and wide.stride() == (1, 0)
assert (
    wide.untyped_storage().nbytes() == 12
    and copied.untyped_storage().nbytes() == 12_000
)

# %%
# What you learnt
# ---------------
# - Count from 0; a number drops its axis, a slice keeps it.
# - Expect a view from a slice, a transpose, a ``view``; expect a copy from a list or a mask.
# - Read the strides when in doubt: a shape and the strides say how memory is walked.
# - Exchange axes with ``permute``, join or split neighbours with ``reshape``, never the reverse.
# - Name the axis when you ``squeeze``, and choose ``stack`` for a new axis, ``cat`` for an old one.
#
# Exercises
# ---------
# 1. **Predict.** For ``x`` of shape (3, 4), row by row in memory: which strides have
#    ``x.view(2, 6)``, ``x[1:, 2:]``, ``x.unsqueeze(1)`` and ``x[:, :1].expand(3, 4)``?
# 2. **Change.** Put 25 digits into one picture of 140 × 140 pixels, five rows of five, with
#    ``reshape`` and ``permute`` and without a loop.
# 3. **Extend.** Cut an image into its 16 patches of 7 × 7 pixels, shape (16, 7, 7), as a Vision
#    Transformer does, and put it together again. Which of your steps copy?

# %%
# .. answer:: 1
#
#    A view computes its strides from those of ``x``, (4, 1). The new axis of length 1 gets what the
#    axis after it spans, 4; nobody ever steps along it.

parts = x.view(2, 6), x[1:, 2:], x.unsqueeze(1), x[:, :1].expand(3, 4)
print(*(part.stride() for part in parts))
assert [part.stride() for part in parts] == [(6, 1), (4, 1), (4, 4, 1), (4, 0)]

# %%
# .. answer:: 2
#
#    Split 25 into 5 × 5, bring each row of pictures beside its row of pixels, and join the pairs.
#    The second ``reshape`` copies, because rows of different images now follow each other.

some = train.x[10:35, 0]  # (25, 28, 28)
picture = some.reshape(5, 5, 28, 28).permute(0, 2, 1, 3).reshape(140, 140)
print(tuple(picture.shape))
assert torch.equal(picture[28:56, 84:112], some[5 + 3])

# %%
# .. answer:: 3
#
#    The same two moves: split each axis, then bring the two axes of a patch to the end. The first
#    ``reshape`` and the ``permute`` are views; joining 4 × 4 into 16 copies, and so does the way
#    back.

image = train.x[7, 0]
split = image.reshape(4, 7, 4, 7).permute(0, 2, 1, 3)  # (4, 4, 7, 7)
patches = split.reshape(16, 7, 7)
back = patches.reshape(4, 4, 7, 7).permute(0, 2, 1, 3).reshape(28, 28)
for name, part in {"split": split, "patches": patches, "back": back}.items():
    memory = part.untyped_storage().data_ptr()
    print(
        name,
        "is a",
        "view" if memory == image.untyped_storage().data_ptr() else "copy",
    )
assert (
    split.data_ptr()
    == image.data_ptr()
    != patches.data_ptr()
    != back.data_ptr()
)
assert torch.equal(back, image) and torch.equal(patches[6], image[7:14, 14:21])

# %%
# Next
# ----
# :doc:`/lessons/tensors/08_reductions`: one number for each row, or for each column.
