"""What a convolution or a pooling layer reads, found by running it on numbered cells."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ._cells import LIMIT

Place = tuple[int, int]  # row and column; those of the padding before the image are negative
DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "padding_mode": "zeros", "ceil_mode": False}


class Axis(NamedTuple):
    """The settings of a layer along the rows, or along the columns."""

    size: int  # of the image
    kernel: int
    stride: int
    dilation: int
    padding: tuple[int, int]  # before and after

    def places(self, window: int) -> list[int]:
        """Return what a window covers if the settings are true."""
        start = window * self.stride - self.padding[0]
        return [start + step * self.dilation for step in range(self.kernel)]

    def all(self, windows: int) -> range:
        """Return the image, its padding, and what the last window covers beyond them."""
        after = max(self.size + self.padding[1], self.places(windows - 1)[-1] + 1)
        return range(-self.padding[0], after)


class Look(NamedTuple):
    """What was seen of a layer."""

    name: str
    options: str  # the settings that are worth a word
    image: tuple[int, int]
    rows: range  # of the image with all that surrounds it
    columns: range
    texts: dict[Place, str]  # the number that the layer finds there
    windows: list[set[Place]]
    output: tuple[int, int]


def look(layer: nn.Module, height: int, width: int) -> Look:
    """Run a layer on an image and see which of its cells, and what in its padding, it reads."""
    if not isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        raise TypeError(
            f"Conv2d, MaxPool2d and AvgPool2d have windows to draw, {type(layer).__name__} does not"
        )
    if not 1 <= height * width <= LIMIT:
        raise ValueError(
            f"an image of {height} × {width} cells: draw 1 to {LIMIT}, for example size=5"
        )
    rows, columns = axes = [_axis(layer, n, size) for n, size in enumerate((height, width))]
    with torch.no_grad():
        found = _convolve(layer, *axes) if isinstance(layer, nn.Conv2d) else _pool(layer, *axes)

    texts = {(i, j): str(i * width + j + 1) for i, j in product(range(height), range(width))}
    windows: list[set[Place]] = []
    for i, j in product(range(found.shape[1]), range(found.shape[2])):
        places = list(product(rows.places(i), columns.places(j)))
        for place, number in zip(places, found[:, i, j].tolist(), strict=True):
            text = f"{number:.0f}" if number >= 0 else ""
            if texts.setdefault(place, text) != text:
                raise RuntimeError(
                    f"{type(layer).__name__} does not read what its settings say: "
                    f"{text or 'nothing'} in place of {texts[place]}"
                )
        windows.append(set(places))
    options = [
        f"{name}={value}"
        for name, default in DEFAULTS.items()
        if (value := _short(getattr(layer, name, default))) != default
    ] or ["stride=1"]
    return Look(
        f"{type(layer).__name__}, {rows.kernel} × {columns.kernel}",
        ", ".join(options),
        (height, width),
        rows.all(found.shape[1]),
        columns.all(found.shape[2]),
        texts,
        windows,
        (found.shape[1], found.shape[2]),
    )


def _axis(layer: nn.Module, n: int, size: int) -> Axis:
    """Read the settings for one of the two axes."""

    def at(name: str) -> int:
        value = getattr(layer, name, 1)
        return value[n] if isinstance(value, tuple) else value

    total = at("dilation") * (at("kernel_size") - 1)
    named = {"same": (total // 2, total - total // 2), "valid": (0, 0)}
    padding = named[layer.padding] if isinstance(layer.padding, str) else (at("padding"),) * 2
    return Axis(size, at("kernel_size"), at("stride"), at("dilation"), padding)


def _short(value: object) -> object:
    """Write (2, 2) as 2."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _convolve(layer: nn.Conv2d, rows: Axis, columns: Axis) -> Tensor:
    """Return the numbers that each window finds, (places, windows down, windows across).

    The layer runs once for each place, with a weight of 1 there and zeros elsewhere.
    """
    numbers = torch.arange(1, rows.size * columns.size + 1, dtype=torch.double)
    image = numbers.view(1, rows.size, columns.size).repeat(layer.in_channels, 1, 1)
    found = []
    for i, j in product(range(rows.kernel), range(columns.kernel)):
        state = {
            name: torch.zeros_like(value, dtype=torch.double, device="cpu")
            for name, value in layer.state_dict().items()
        }
        state["weight"][0, 0, i, j] = 1
        found.append(torch.func.functional_call(layer, state, image)[0])
    return torch.stack(found)


def _pool(layer: nn.Module, rows: Axis, columns: Axis) -> Tensor:
    """Return the same for a layer without weights; -1 stands for what does not count.

    Each cell is 1 in an image of its own, all others 0: a window that covers it answers with 1, or
    with 1 / n if it takes the mean of n.
    """
    cells = rows.size * columns.size
    images = torch.eye(cells).view(cells, 1, rows.size, columns.size)
    output = layer(images)
    answers = (output[0] if isinstance(output, tuple) else output)[:, 0]  # with return_indices
    found = torch.full((rows.kernel * columns.kernel, *answers.shape[1:]), -1.0)
    for i, j in product(range(found.shape[1]), range(found.shape[2])):
        covered = {n for n in range(cells) if answers[n, i, j] > 0}
        places = list(product(rows.places(i), columns.places(j)))
        numbers = [columns.size * row + column for row, column in places]
        inside = [0 <= row < rows.size and 0 <= column < columns.size for row, column in places]
        if {number for number, true in zip(numbers, inside, strict=True) if true} != covered:
            continue  # what the settings say is false
        zeros = round(1 / answers[:, i, j].max().item()) > len(covered)
        for n, (row, column) in enumerate(places):
            if inside[n]:
                found[n, i, j] = numbers[n] + 1
            elif zeros and row < rows.size + rows.padding[1]:
                found[n, i, j] = 0 if column < columns.size + columns.padding[1] else -1
    return found
