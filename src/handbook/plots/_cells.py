"""Cells with a value in them, of which the pictures of tensors are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from ._figure import new_panels
from ._text import width as text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT = 64  # cells: more cannot be read on a phone
SIDE = 0.34  # inches: the height of a cell, the unit of these pictures
ROW = 12.0  # units: how wide a picture may become before it goes on in a new line


def words(values: Tensor) -> list[str]:
    """Return what to write into the cells of a tensor, in reading order."""
    flat = values.detach().cpu().flatten().tolist()
    return [str(value) if isinstance(value, int) else f"{value:.2g}" for value in flat]


def width(texts: list[str]) -> float:
    """Return how wide the cells must be for these texts, in units."""
    return max(1.0, 0.27 * max(map(len, texts)) + 0.3)


def cell(
    panel: Axes,
    x: float,
    y: float,
    text: str,
    wide: float,
    fill: str | tuple[float, ...],
    pale: bool,
) -> None:
    """Draw one cell whose upper left corner is (x, y); y grows downwards."""
    from matplotlib.patches import Rectangle

    edge, ink, line = ("0.7", "0.35", ":") if pale else ("0.25", "black", "-")
    box = Rectangle((x, y), wide, 1, facecolor=fill, edgecolor=edge, linestyle=line)
    panel.add_patch(box).set_zorder(1 if pale else 2)
    panel.text(x + wide / 2, y + 0.5, text, ha="center", va="center", fontsize=10, color=ink)


def frame(panel: Axes, size: tuple[float, float], title: str) -> None:
    """Show units from 0 to ``size`` (x, y), square, y downwards, without axes."""
    panel.set(xlim=(-0.1, size[0] + 0.1), ylim=(size[1] + 0.1, -0.1), aspect="equal", anchor="NW")
    panel.set_title(title, loc="left", fontsize=10)
    panel.axis("off")


def check_counts(
    what: str, things: Sequence[object], names: Sequence[str] | None, ncols: int
) -> None:
    """Refuse to draw nothing, in no column, or under names that are not as many."""
    if not things or ncols < 1:
        raise ValueError(
            f"{len(things)} {what}, {ncols} columns: there must be at least one of each"
        )
    if names is not None and len(names) != len(things):
        raise ValueError(f"{len(names)} names for {len(things)} {what}: pass one for each")


def new_frames(
    sizes: Sequence[tuple[float, float]], titles: Sequence[str], ncols: int
) -> tuple[Figure, list[Axes]]:
    """Make a figure of frames, ``ncols`` in a row, each with room for its units and its title."""
    longest = max(text_width(line) for title in titles for line in title.splitlines())
    wide = max(0.24 * longest, *(x for x, _ in sizes))
    rows = [sizes[i : i + ncols] for i in range(0, len(sizes), ncols)]
    heights = [max(y for _, y in row) for row in rows]
    figure, panels = new_panels(
        len(rows),
        len(rows[0]),
        width=SIDE * (wide + 0.6),
        height=SIDE * (sum(heights) / len(heights) + 0.4) + 0.7,
        heights=heights,
    )
    for panel in panels[len(sizes) :]:
        panel.remove()
    for i, (panel, title) in enumerate(zip(panels, titles, strict=False)):
        frame(panel, (wide, heights[i // ncols]), title)
    return figure, panels[: len(sizes)]
