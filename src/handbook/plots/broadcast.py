"""What broadcasting does to two shapes."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ._cells import LIMIT, ROW, cell, new_frames, width, words
from ._figure import COLOURS
from ._text import use_installed_fonts
from ._text import width as text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def broadcast(a: Tensor, b: Tensor, names: tuple[str, str] = ("a", "b")) -> Figure:
    """Draw how two tensors are stretched to one shape before an element-wise operation.

    Parameters
    ----------
    a, b : Tensor
        Two tensors whose shapes broadcast to at most two axes and 64 elements.
    names : tuple of str
        What to call them.

    Returns
    -------
    Figure
        A panel for each, ``figure.axes[0]`` and ``figure.axes[1]``: its elements in colour, the
        copies that broadcasting imagines pale and dotted (none is made in memory). Below them the
        sizes of the axes, aligned on the right, as PyTorch compares them.

    Raises
    ------
    ValueError
        If the shapes do not broadcast, or the result is empty or too large to draw.

    Examples
    --------
    >>> figure = broadcast(torch.arange(3).view(3, 1), torch.arange(4))
    >>> print(figure.axes[0].get_title(loc="left"))
    a: (3, 1) becomes (3, 4)
    >>> broadcast(torch.arange(3), torch.arange(4))
    Traceback (most recent call last):
    ...
    ValueError: shapes (3,) and (4,) do not broadcast: axis -1 is 3 and 4, but must be equal or 1
    """
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    shape = _result(tuple(a.shape), tuple(b.shape))
    if len(shape) > 2 or not 1 <= shape.numel() <= LIMIT:
        raise ValueError(
            f"the result has shape {tuple(shape)}: draw at most two axes and 1 to {LIMIT} elements"
        )
    rows, columns = (1, 1, *shape)[-2:]
    wide = width(words(a) + words(b))
    size = columns * wide, float(rows)
    titles = [
        f"{name}: {tuple(x.shape)}" + f" becomes {tuple(shape)}" * (x.shape != shape)
        for name, x in zip(names, (a, b), strict=True)
    ]
    table = _table({names[0]: tuple(a.shape), names[1]: tuple(b.shape), "result": tuple(shape)})
    figure, panels = new_frames([size] * 2, titles, 2 if 2 * size[0] < ROW - 2 else 1)
    for panel, tensor, colour in zip(panels, (a, b), COLOURS[4:6], strict=True):
        source = torch.arange(tensor.numel()).reshape(tensor.shape).expand(shape)
        texts = words(tensor)
        seen: set[int] = set()
        for n, k in enumerate(source.flatten().tolist()):
            fill = colour + "22" if k in seen else colour
            cell(panel, n % columns * wide, n // columns, texts[k], wide, fill, k in seen)
            seen.add(k)
    figure.supxlabel(table, fontsize=10, family="monospace", linespacing=1.3)
    use_installed_fonts(figure)
    return figure


def _result(a: tuple[int, ...], b: tuple[int, ...]) -> torch.Size:
    """Return the shape that both broadcast to."""
    pairs = list(zip_longest(reversed(a), reversed(b), fillvalue=1))
    for i, (m, n) in enumerate(pairs, 1):
        if m != n and 1 not in (m, n):
            raise ValueError(
                f"shapes {a} and {b} do not broadcast: axis {-i} is {m} and {n}, but must be "
                "equal or 1"
            )
    return torch.Size([n if m == 1 else m for m, n in reversed(pairs)])


def _table(shapes: dict[str, tuple[int, ...]]) -> str:
    """Write sizes below each other, aligned on the right."""
    axes = max(map(len, shapes.values()))
    return "\n".join(
        f"{name}{' ' * (max(map(text_width, shapes)) - text_width(name))}  "
        + "".join(f"{n:>4}" for n in ("",) * (axes - len(s)) + s)
        for name, s in shapes.items()
    )
