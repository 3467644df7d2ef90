"""Digits as files of your own: a table of what was measured on them, and a folder of images."""

import csv
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ._image_io import write
from ._paths import expand
from .mnist import mnist

NAMES = "零一二三四五六七八九"
HEAD = ("file", "name", "label", "ink", "height", "width", "symmetry", "holes")


def write_csv(path: str | Path, n: int = 1000, encoding: str = "utf-8") -> Path:
    """Write a CSV file about the first digits of :func:`mnist`, to practise reading one.

    Each row is one real image: ``file``, its name in the folder of :func:`write_image_folder`;
    ``name``, the digit as a Chinese word; ``label``, the digit; and five measured columns. ``ink``
    is the mean of all pixels, from 0 to 1. ``height`` and ``width`` are those of the box around the
    pixels above 0.5, in pixels. ``symmetry`` is the share of the ink that the mirror image covers.
    ``holes`` counts the areas of paper that ink encloses.

    Parameters
    ----------
    path : str or Path
        The file to write; one that is there is replaced.
    n : int
        How many rows, 1 to 10,000.
    encoding : str
        Such as ``"utf-8"``, ``"utf-8-sig"`` (with a byte order mark) or ``"gbk"``.

    Returns
    -------
    Path
        The file. The same arguments give the same bytes.

    Raises
    ------
    ValueError
        If ``n`` is out of range, or the encoding has no Chinese characters.
    LookupError
        If Python does not know the encoding.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_csv(folder + "/digits.csv", n=2).read_text("utf-8"), end="")
    file,name,label,ink,height,width,symmetry,holes
    5/0000.png,五,5,0.1377,20,19,0.3528,0
    4/0000.png,四,4,0.0973,20,19,0.1794,0
    """
    x, y = mnist()[0]
    if not 1 <= n <= len(x):
        raise ValueError(f"n is {n}: it must be from 1 to {len(x)}")
    try:
        NAMES.encode(encoding)
    except UnicodeEncodeError:
        raise ValueError(
            f"{encoding} has no Chinese characters: use 'utf-8', 'utf-8-sig' or 'gbk'"
        ) from None
    images, labels = x[:n, 0], y[:n].tolist()
    numbers = _places(y)[:n]
    columns = [
        [f"{label}/{number:04d}.png" for label, number in zip(labels, numbers, strict=True)],
        [NAMES[label] for label in labels],
        labels,
        [f"{value:.4f}" for value in images.mean((1, 2)).tolist()],
        *_box(images > 0.5),
        [f"{value:.4f}" for value in _symmetry(images).tolist()],
        _holes(images > 0.5),
    ]
    path = expand(path)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        writer.writerows(zip(*columns, strict=True))
    return path


def write_image_folder(root: str | Path, per_class: int = 20) -> Path:
    """Write digits of :func:`mnist` as a folder of images, to practise reading one.

    Parameters
    ----------
    root : str or Path
        The folder. It gets one folder for each digit, ``0`` to ``9``, and these the images
        ``0000.png``, ``0001.png``, …: grey, 28 × 28 pixels.
    per_class : int
        How many images of each digit, 1 to 1,000.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If ``per_class`` is out of range.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     root = write_image_folder(folder + "/digits", per_class=2)
    ...     print(*sorted(file.relative_to(root).as_posix() for file in root.glob("[01]/*.png")))
    0/0000.png 0/0001.png 1/0000.png 1/0001.png
    """
    x, y = mnist()[0]
    most = int(y.bincount().min())
    if not 1 <= per_class <= most:
        raise ValueError(f"per_class is {per_class}: it must be from 1 to {most}")
    root = expand(root)
    for image, label, number in zip(x, y.tolist(), _places(y), strict=True):
        if number < per_class:
            file = root / str(label) / f"{number:04d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, image)
    return root


def _places(y: Tensor) -> list[int]:
    """Count, for each digit, how many of its class come before it."""
    seen = F.one_hot(y).cumsum(0)
    return (seen.gather(1, y[:, None]).squeeze(1) - 1).tolist()


def _box(dark: Tensor) -> tuple[list[int], list[int]]:
    """Return height and width of the box around what is dark, of each image ``(N, H, W)``."""
    sizes = []
    for axis in (2, 1):  # look along rows, then along columns
        line = dark.any(axis).int()
        first, last = line.argmax(1), line.shape[1] - 1 - line.flip(1).argmax(1)
        sizes.append((last - first + 1).tolist())
    return sizes[0], sizes[1]


def _symmetry(images: Tensor) -> Tensor:
    """Return the share of the ink that the mirror image covers, ``(N,)``."""
    covered = torch.minimum(images, images.flip(2))
    return covered.sum((1, 2)) / images.sum((1, 2))


def _holes(dark: Tensor) -> list[int]:
    """Count areas of paper that touch neither each other nor the edge of the image."""
    paper = F.pad(~dark, (1, 1, 1, 1), value=True).short()  # around the image is one area, too
    area = torch.arange(1, paper[0].numel() + 1).view(paper.shape[1:]).short() * paper
    while True:  # the greatest number in an area spreads all over it
        spread = area.clone()
        for axis in (1, 2):
            last = spread.shape[axis] - 1
            for a, b in ((0, 1), (1, 0)):  # from one neighbour, then from the other
                here, there = spread.narrow(axis, a, last), area.narrow(axis, b, last)
                torch.maximum(here, there, out=here)
        spread *= paper
        if torch.equal(spread, area):
            return [len(image.unique()) - 2 for image in area]  # without ink and the outside
        area = spread
