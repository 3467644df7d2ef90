"""Boxes with text in layers, and arrows that pass between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ._figure import COLOURS, new_canvas
from ._graph_layout import SIZE, Box, columns, ports, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RISE = 0.34  # inches between rows
STYLE = {"output": ("square", COLOURS[5]), "function": ("square", "#F0F0F0")}
STYLE["leaf"] = ("round,rounding_size=0.15", COLOURS[4])


def draw(boxes: Sequence[Box], edges: Sequence[tuple[int, int]]) -> Figure:
    """Draw boxes below each other, the first one at the top, with an arrow for each edge."""
    boxes = list(boxes)
    layers = rows(boxes, edges)
    paths = []  # of boxes, from one end of an edge to the other
    level = {i: n for n, row in enumerate(layers) for i in row}
    for a, b in edges:
        path = [a]
        for n in range(level[a] + 1, level[b]):
            path.append(len(boxes))
            layers[n].append(len(boxes))
            boxes.append(Box(""))
        paths.append([*path, b])
    x, wide = columns(boxes, layers, paths)

    tall = [max(boxes[i].height for i in row) for row in layers]
    middle = [sum(tall[:n]) + RISE * n + tall[n] / 2 + 0.1 for n in range(len(layers))]
    level = {i: n for n, row in enumerate(layers) for i in row}  # of the places of arrows, too
    figure, panel = new_canvas(wide + 0.1, sum(tall) + RISE * (len(layers) - 1) + 0.2)
    for i, box in enumerate(boxes):
        if box.kind:
            style, fill = STYLE[box.kind]
            panel.text(
                x[i] + 0.05,
                middle[level[i]],
                box.text,
                family="monospace",
                fontsize=SIZE,
                ha="center",
                va="center",
                linespacing=1.2,
                bbox={"boxstyle": f"{style},pad=0.35", "facecolor": fill, "edgecolor": "0.3"},
            )
    for path, (start, end) in zip(paths, ports(boxes, paths, x), strict=True):
        places = [start, *(x[i] for i in path[1:-1]), end]
        points = []
        for at, i in zip(places, path, strict=True):
            half, whole = boxes[i].height / 2, tall[level[i]] / 2
            heights = {path[0]: (half, whole), path[-1]: (-half,)}.get(i, (-whole, whole))
            points += [(at + 0.05, middle[level[i]] + height) for height in heights]
        _arrow(panel, points)
    return figure


def _arrow(panel: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Draw an arrow that is vertical wherever it passes a row."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    vertices, codes = [points[0]], [Path.MOVETO]
    for (a, top), (b, bottom) in pairwise(points):
        bend = (top + bottom) / 2
        vertices += [(a, bend), (b, bend), (b, bottom)]
        codes += [Path.CURVE4] * 3
    panel.add_patch(
        FancyArrowPatch(
            path=Path(vertices, codes), arrowstyle="-|>", mutation_scale=8, color="0.35"
        )
    )
