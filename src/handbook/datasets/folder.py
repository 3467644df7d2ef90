"""Images in folders, one folder for each class."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ._image_io import read
from ._paths import expand, shown
from .mnist import Split


def class_names(root: str | Path) -> list[str]:
    """List the classes in a folder of images: its folders, sorted by name.

    Parameters
    ----------
    root : str or Path
        The folder that :func:`load_image_folder` reads.

    Returns
    -------
    list of str
        ``class_names(root)[k]`` is the name of class number ``k``. Sorted as text, ``10`` comes
        before ``2``. Names that begin with a dot are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there is no folder in it.

    Examples
    --------
    >>> import tempfile
    >>> from handbook import datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     class_names(datasets.write_image_folder(folder, per_class=1))[:3]
    ['0', '1', '2']
    """
    root = expand(root)
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {shown(root)}")
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if not names:
        raise ValueError(f"{shown(root)} holds no folders: put the images of each class into one")
    return names


def load_image_folder(root: str | Path, classes: Sequence[str] | None = None) -> Split:
    """Read a folder of images, ``root/<class>/<image>``.

    Pillow reads the files. A photograph is turned upright, as its EXIF orientation says. Grey
    images with 16 bits keep their values; those with a palette become colour, black-and-white ones
    grey. Files beside the folders, and names that begin with a dot, are skipped.

    Parameters
    ----------
    root : str or Path
        The folder. It holds one folder for each class, and these hold images of one size, all grey
        or all in colour: PNG, JPEG, BMP, GIF, TIFF or WebP.
    classes : sequence of str, optional
        The classes, in the order of their numbers: pass those of the training folder,
        ``class_names(train)``, when reading another one, so that a number means the same in both.
        Each must have a folder, which may be empty. By default, :func:`class_names` of ``root``.

    Returns
    -------
    Split
        ``x``: float32 ``(N, C, H, W)`` from 0 to 1, with one channel for grey images and three for
        colour. ``y``: int64 ``(N,)``, numbers of the classes. In the order of the classes, then of
        the names of the files.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there are no classes, they differ from ``classes``, a class has no images, or a file
        cannot be used: it is not an image, is damaged, holds several images, has transparency,
        another mode or 16 bits per colour channel, or differs from the first in size or channels.
        The message names the file.
    ModuleNotFoundError
        If Pillow, which torchvision brings along, is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from handbook import datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     x, y = load_image_folder(datasets.write_image_folder(folder, per_class=3))
    >>> x.shape, y[:5]
    (torch.Size([30, 1, 28, 28]), tensor([0, 0, 0, 1, 1]))
    """
    root = expand(root)
    names = class_names(root)
    if classes is not None:
        _check_classes(root, names, list(classes))
        names = list(classes)
    files, labels = [], []
    for k, name in enumerate(names):
        found = sorted(path for path in (root / name).iterdir() if path.name[0] != ".")
        if not found and classes is None:
            raise ValueError(f"{shown(root / name)} is empty: put images into it, or delete it")
        files += found
        labels += [k] * len(found)
    if not files:
        raise ValueError(f"the folders in {shown(root)} are empty: put images into them")
    first = read(files[0])
    x = torch.empty(len(files), *first.shape)
    for i, file in enumerate(files):
        image = read(file)
        if image.shape != first.shape:
            raise ValueError(
                f"{shown(file)} is {_describe(image)}, but {shown(files[0])} is "
                f"{_describe(first)}: bring all images to one size, all grey or all colour"
            )
        x[i] = image
    return Split(x, torch.tensor(labels))


def _check_classes(root: Path, there: list[str], classes: list[str]) -> None:
    """Refuse a folder that has other classes than those given."""
    for name in there:
        if name not in classes:
            raise ValueError(
                f"{shown(root / name)} is not one of the {len(classes)} classes: move it away, or "
                "add its name to classes"
            )
    for name in classes:
        if name not in there:
            raise ValueError(
                f"{shown(root)} has no folder for the class {name!r:.60}: make one, which may be "
                "empty, or leave its name out of classes"
            )
    if len(classes) != len(there):
        raise ValueError(f"a name is in classes more than once: {', '.join(classes):.300}")


def _describe(image: Tensor) -> str:
    """Describe an image, such as ``grey, 28 × 28``."""
    channels, height, width = image.shape
    return f"{'grey' if channels == 1 else 'colour'}, {width} × {height}"
