"""The picture of one tensor over its storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ._cells import ROW, cell, width, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(panel: Axes | None, tensor: Tensor, colours: str) -> tuple[float, float]:
    """Draw a tensor and its storage, or without a panel nothing; return the size in units."""
    storage = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    storage = storage.set_(tensor.untyped_storage())  # all its elements, along one axis
    places = torch.arange(len(storage)).as_strided(
        tensor.shape, tensor.stride(), tensor.storage_offset()
    )
    grid = places.reshape((1,) * (3 - places.ndim) + tuple(places.shape))
    texts, stored = words(tensor), words(storage)
    wide = width(texts + stored)
    slices, rows, columns = grid.shape
    across = max(1, int((ROW + 1) // (columns * wide + 1)))  # slices beside each other
    per_line = max(int(ROW // wide), 1)
    lines = -(-len(storage) // per_line)
    per_line = -(-len(storage) // lines)  # lines of equal length
    head = 0.8 if slices > 1 else 0.0  # room for the number of a slice
    below = -(-slices // across) * (rows + head + 0.4) + 0.8
    size = (
        max(min(slices, across) * (columns * wide + 1) - 1, per_line * wide),
        below + 1.8 * lines,
    )
    if panel is None:
        return size

    from matplotlib import colormaps

    used = set(places.flatten().tolist())
    shade = [
        colormaps[colours](0.1 + 0.45 * i / max(len(stored) - 1, 1)) for i in range(len(stored))
    ]
    for n, (s, i, j) in enumerate(torch.cartesian_prod(*map(torch.arange, grid.shape)).tolist()):
        left = (s % across) * (columns * wide + 1)
        top = (s // across) * (rows + head + 0.4) + head
        cell(panel, left + j * wide, top + i, texts[n], wide, shade[grid[s, i, j]], pale=False)
        if head and i == j == 0:
            panel.text(left, top - 0.15, f"[{s}]", fontsize=9, va="bottom")
    panel.text(
        0,
        below - 0.15,
        f"storage: {len(stored)} element" + "s" * (len(stored) > 1),
        fontsize=9,
        va="bottom",
    )
    for k, text in enumerate(stored):
        left, top = k % per_line * wide, below + 1.8 * (k // per_line)
        cell(panel, left, top, text, wide, shade[k] if k in used else "white", k not in used)
        panel.text(
            left + wide / 2, top + 1.1, str(k), fontsize=8, ha="center", va="top", color="0.3"
        )
    return size
