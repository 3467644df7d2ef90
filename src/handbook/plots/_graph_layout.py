"""Where boxes stand that arrows connect: in layers, near their neighbours, without overlap."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ._text import width as text_width

SIZE = 9  # points, of monospaced letters, so that the width of a text is known
WIDE = 4.8  # inches: a layer that is wider goes on in another row


class Box(NamedTuple):
    """A text and the kind of thing that it stands for."""

    text: str
    kind: str = ""  # one of STYLE; without a kind, the place where an arrow passes

    @property
    def width(self) -> float:
        """In inches, with room beside it."""
        return (
            0.61 * SIZE / 72 * max(map(text_width, self.text.split("\n"))) + 0.28
            if self.kind
            else 0.1
        )

    @property
    def height(self) -> float:
        """In inches."""
        return 1.25 * SIZE / 72 * (self.text.count("\n") + 1) + 0.12 if self.kind else 0.0


def rows(boxes: Sequence[Box], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Put each box below all that lead to it, in rows of at most WIDE inches if it can be."""
    depth = [0] * len(boxes)
    for _ in boxes:
        for a, b in edges:
            depth[b] = max(depth[b], depth[a] + 1)
    found: list[list[int]] = []
    for n in range(max(depth) + 1):
        found.append([])
        for i in (i for i, d in enumerate(depth) if d == n):
            if found[-1] and sum(boxes[k].width for k in [*found[-1], i]) > WIDE:
                found.append([])
            found[-1].append(i)
    return found


def columns(
    boxes: Sequence[Box], layers: list[list[int]], paths: Sequence[Sequence[int]]
) -> tuple[list[float], float]:
    """Find where each box stands, near its neighbours above and below; return the width, too.

    Sugiyama, Tagawa & Toda (1981): order each row by the means of the neighbours, to and fro.
    """
    near: list[list[list[int]]] = [[[] for _ in boxes], [[] for _ in boxes]]  # above, below
    for path in paths:
        for a, b in pairwise(path):
            near[0][b].append(a)
            near[1][a].append(b)
    wide = max(sum(boxes[i].width for i in row) for row in layers)
    x = [wide / 2] * len(boxes)
    for row in layers:
        _spread(row, [float(n) for n in range(len(row))], boxes, x, wide)
    for sweep in range(12):
        sides = (near[sweep % 2],) if sweep < 10 else near
        for row in layers if sweep % 2 == 0 else layers[::-1]:
            wish = []
            for i in row:
                others = [x[k] for side in sides for k in side[i]] or [x[i]]
                wish.append(sum(others) / len(others))
            _spread(row, wish, boxes, x, wide)
    return x, wide


def _spread(
    row: list[int], wish: list[float], boxes: Sequence[Box], x: list[float], wide: float
) -> None:
    """Order a row by where its boxes want to be, and move them apart within the width."""
    pairs = sorted(zip(wish, row, strict=True), key=lambda pair: pair[0])
    row[:] = [i for _, i in pairs]
    left = 0.0
    for at, i in pairs:
        x[i] = max(at, left + boxes[i].width / 2)
        left = x[i] + boxes[i].width / 2
    right = wide
    for i in reversed(row):
        x[i] = min(x[i], right - boxes[i].width / 2)
        right = x[i] - boxes[i].width / 2


def ports(
    boxes: Sequence[Box], paths: Sequence[Sequence[int]], x: Sequence[float]
) -> list[tuple[float, float]]:
    """Find where each arrow leaves and arrives, so that those of one box stand side by side."""
    found: list[list[float]] = [[0.0, 0.0] for _ in paths]
    for end, beside in ((0, 1), (-1, -2)):
        for i in {path[end] for path in paths}:
            here = [n for n, path in enumerate(paths) if path[end] == i]
            here.sort(key=lambda n: x[paths[n][beside]])
            step = min(0.2, (boxes[i].width - 0.2) / len(here))
            for k, n in enumerate(here):
                found[n][end] = x[i] + (k - (len(here) - 1) / 2) * step
    return [(start, end) for start, end in found]
