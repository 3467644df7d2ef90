"""Scenes of several handwritten digits, with the box of each."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .mnist import Split

INK = 0.2  # A darker pixel belongs to the digit; what is fainter is cut off at the edges.
TRIES = 50  # How many places are tried before a digit is left out.

Box = tuple[int, int, int, int]


class Scenes(NamedTuple):
    """Images with several objects each, and where these are."""

    images: Tensor  #: float32 ``(N, 1, size, size)``, from 0 (paper) to 1 (ink).
    boxes: list[Tensor]  #: For each image float32 ``(n, 4)``: x1, y1, x2, y2 in pixels.
    labels: list[Tensor]  #: For each image int64 ``(n,)``: the classes, in the same order.


def digit_scenes(
    digits: Split,
    n: int,
    size: int = 48,
    most: int = 3,
    overlap: float = 0.0,
    generator: torch.Generator | None = None,
) -> Scenes:
    """Scatter handwritten digits over larger images, as data for object detection.

    Each image gets 1 to ``most`` digits, drawn with replacement, at random places. The longer side
    of a digit is a quarter to five twelfths of the image. Its box is exact: no column or row of
    pixels can be taken away without cutting ink.

    Parameters
    ----------
    digits : Split
        What to draw from, such as ``train`` or ``test`` of :func:`mnist`. For an honest test, draw
        the test scenes from digits that are in no training scene.
    n : int
        How many images.
    size : int
        Height and width of an image in pixels, at least 24.
    most : int
        The largest number of digits in an image. Where there is no room left, a digit is left out.
    overlap : float
        The largest intersection over union that two boxes of an image may have, from 0 to below 1.
        With 0 they share no pixel, but they may touch.
    generator : torch.Generator, optional
        Where the random numbers come from: the same seed gives the same scenes. By default the
        global generator.

    Returns
    -------
    Scenes
        The images ``(n, 1, size, size)``, and for each a tensor of boxes and one of labels.

    Raises
    ------
    ValueError
        If ``n`` or ``most`` is not positive, ``size`` is below 24, ``overlap`` is out of range,
        or a digit has no ink.

    Notes
    -----
    A box ends where the next pixel would begin: a digit that covers the columns 3 to 9 has x1 = 3
    and x2 = 10, so its width is x2 - x1.

    Examples
    --------
    >>> from handbook import datasets
    >>> train, test = datasets.mnist()
    >>> generator = torch.Generator().manual_seed(0)
    >>> images, boxes, labels = datasets.digit_scenes(train, n=100, generator=generator)
    >>> images.shape
    torch.Size([100, 1, 48, 48])
    >>> boxes[0].shape[1], len(boxes[0]) == len(labels[0])
    (4, True)
    """
    if n < 1 or most < 1:
        raise ValueError(f"n is {n} and most is {most}: both must be at least 1")
    if size < 24:
        raise ValueError(f"size is {size}: digits need images of at least 24 pixels")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}: it must be from 0 to below 1")

    def draw(low: int, high: int) -> int:
        """Draw a whole number from low to high, both included."""
        return int(torch.randint(low, high + 1, (), generator=generator))

    images = torch.zeros(n, 1, size, size)
    boxes, labels = [], []
    for image in images:
        placed: list[Box] = []
        shown = []
        for _ in range(draw(1, most)):
            i = draw(0, len(digits.x) - 1)
            ink = _resize(digits.x[i, 0], longer=draw(size // 4, 5 * size // 12))
            height, width = ink.shape
            for _ in range(TRIES):
                left, top = draw(0, size - width), draw(0, size - height)
                box = (left, top, left + width, top + height)
                if all(_iou(box, other) <= overlap for other in placed):
                    place = image[0, top : top + height, left : left + width]
                    place.copy_(torch.maximum(place, ink))
                    placed.append(box)
                    shown.append(int(digits.y[i]))
                    break
        boxes.append(torch.tensor(placed, dtype=torch.float32))
        labels.append(torch.tensor(shown))
    return Scenes(images, boxes, labels)


def _resize(image: Tensor, longer: int) -> Tensor:
    """Resize what is drawn in ``(H, W)``, without margins, so that its longer side fits."""
    ink = _cut(image)
    scale = longer / max(ink.shape)
    shape = [max(1, round(side * scale)) for side in ink.shape]
    resized = interpolate(ink[None, None], shape, mode="bilinear", antialias=True)
    return _cut(resized[0, 0])


def _cut(image: Tensor) -> Tensor:
    """Cut ``(H, W)`` to the smallest rectangle that holds all ink."""
    ink = image >= INK
    if not ink.any():
        raise ValueError("a digit has no ink: no pixel reaches 0.2")
    rows, columns = ink.any(1).nonzero(), ink.any(0).nonzero()
    return image[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]


def _iou(a: Box, b: Box) -> float:
    """Divide the area that two boxes share by the area that they cover."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height)
