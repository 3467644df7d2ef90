"""Which cells of its input a convolution or a pooling layer looks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from ._cells import cell, check_counts, new_frames, width
from ._figure import COLOURS
from ._receptive_field import Look, look
from ._text import use_installed_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILLS = (COLOURS[4], COLOURS[5], "#8FD3BE", "#E8B9D3")  # one for each window that is drawn


def receptive_fields(
    *layers: nn.Module,
    size: int | tuple[int, int] = 5,
    which: Sequence[int] = (0, 1),
    names: Sequence[str] | None = None,
    ncols: int = 2,
) -> Figure:
    """Draw which cells of an image the windows of a layer cover.

    The cells of the image are numbered from 1. Around them, dotted, stands the padding, each cell
    with what the layer finds there: 0, or the number of the cell that was copied; a cell that
    pooling leaves out of account is empty. A cell in several of the windows has several colours; a
    cell that no window of the layer covers is hatched.

    Nothing of this is assumed: the layer runs, with other weights, and its outputs tell
    which numbers it has read.

    Parameters
    ----------
    *layers : Module
        One panel for each ``Conv2d``, ``MaxPool2d`` or ``AvgPool2d``. They are left as they are.
    size : int or tuple of int
        Height and width of the image, at most 64 cells.
    which : sequence of int
        Up to four windows, counted in reading order from 0, as the numbers of the output are; -1 is
        the last.
    names : sequence of str, optional
        First lines of the titles. By default, the class and the size of the window.
    ncols : int
        Panels in a row.

    Returns
    -------
    Figure
        One panel per layer, in ``figure.axes``. The titles end with the sizes of image and output.

    Raises
    ------
    TypeError
        If a layer is of another type.
    ValueError
        If there is no layer, a window does not exist, the image is too large, or names are not as
        many as layers.
    RuntimeError
        If the image is smaller than a window, or a layer reads other cells than its settings say,
        as a subclass might.

    Examples
    --------
    >>> figure = receptive_fields(nn.Conv2d(1, 6, 3), nn.MaxPool2d(2), size=6)
    >>> print(figure.axes[1].get_title(loc="left"))
    MaxPool2d, 2 × 2
    stride=2
    (6, 6) becomes (3, 3)
    """
    height, wide = (size, size) if isinstance(size, int) else size
    check_counts("layers", layers, names, ncols)
    if not 1 <= len(which) <= len(FILLS):
        raise ValueError(f"{len(which)} windows: draw 1 to {len(FILLS)}")
    looks = [look(layer, height, wide) for layer in layers]
    for seen in looks:
        for number in which:
            if not -len(seen.windows) <= number < len(seen.windows):
                raise ValueError(
                    f"there is no window {number}: {seen.name} has {len(seen.windows)} of them "
                    f"on an image of {height} × {wide}"
                )
    heads = [seen.name for seen in looks] if names is None else names
    titles = [
        "\n".join([head, seen.options, f"{seen.image} becomes {seen.output}"])
        for head, seen in zip(heads, looks, strict=True)
    ]
    across = width([str(height * wide)])
    sizes = [(across * len(seen.columns), float(len(seen.rows))) for seen in looks]
    figure, panels = new_frames(sizes, titles, ncols)
    for panel, seen in zip(panels, looks, strict=True):
        _draw(panel, seen, which, across)
    use_installed_fonts(figure)
    return figure


def _draw(panel: Axes, seen: Look, which: Sequence[int], across: float) -> None:
    """Draw the image, its padding, and the windows over them."""
    from matplotlib.patches import Rectangle

    read: set[tuple[int, int]] = set().union(*seen.windows)
    for row in seen.rows:
        for column in seen.columns:
            place = row, column
            x, y = (column - seen.columns[0]) * across, row - seen.rows[0]
            inside = 0 <= row < seen.image[0] and 0 <= column < seen.image[1]
            fills = [
                fill
                for fill, number in zip(FILLS, which, strict=False)
                if place in seen.windows[number]
            ]
            for n, fill in enumerate(fills):
                part = across / len(fills)
                panel.add_patch(Rectangle((x + n * part, y), part, 1, facecolor=fill, zorder=0))
            ground = "none" if fills or not inside else "#F0F0F0"
            cell(panel, x, y, "", across, ground, pale=not inside)
            if inside and place not in read:
                hatch = Rectangle((x, y), across, 1, fill=False, hatch="////", edgecolor="0.75")
                panel.add_patch(hatch).set_zorder(2.5)
            panel.text(
                x + across / 2,
                y + 0.5,
                seen.texts.get(place, ""),
                ha="center",
                va="center",
                fontsize=10,
                color="black" if fills or inside else "0.35",
            )
