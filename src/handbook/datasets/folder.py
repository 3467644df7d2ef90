"""Images in folders, one folder for each class."""

from collections.abc import Iterator
from pathlib import Path

import torch

from ._image_io import CHANNELS, Kind, kind, pixels
from ._paths import shown
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
        ``class_names(root)[k]`` is what the answer ``k`` means. Sorted as text, ``10`` comes before
        ``2``. Names that begin with a dot are left out.

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
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {shown(root)}")
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if not names:
        raise ValueError(f"{shown(root)} holds no folders: put the images of each class into one")
    return names


def load_image_folder(root: str | Path) -> Split:
    """Read a folder of images, ``root/<class>/<image>``.

    Files beside the folders, and names that begin with a dot, are passed over.

    Parameters
    ----------
    root : str or Path
        The folder. It holds one folder for each class, and these hold images of one size, all grey
        or all in colour: PNG, JPEG, BMP, GIF, TIFF or WebP.

    Returns
    -------
    Split
        ``x``: float32 ``(N, C, H, W)`` from 0 to 1, with one channel for grey images and three for
        colour. ``y``: int64 ``(N,)``, numbers of the classes in :func:`class_names`. In the order
        of the classes, then of the names of the files.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there are no classes, a class has no images, or a file cannot be used: it is no image, is
        damaged, has more than 25,000,000 pixels, differs from the first in size or mode, or leads
        outside the folder. The message names the file.
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
    names = class_names(root)
    root = Path(root)
    files = [(file, k) for k, name in enumerate(names) for file in _files(root, root / name)]
    first = kind(files[0][0])
    for file, _ in files:  # all are looked at before memory is reserved for them
        if kind(file) != first:
            raise ValueError(
                f"{shown(file)} is {_words(kind(file))}, but {shown(files[0][0])} is "
                f"{_words(first)}: bring all images to one size and mode"
            )
    mode, (width, height) = first
    x = torch.empty(len(files), CHANNELS[mode], height, width)
    for i, (file, _) in enumerate(files):
        x[i] = pixels(file)  # from 0 to 255
    return Split(x.div_(255), torch.tensor([k for _, k in files]))


def _files(root: Path, folder: Path) -> Iterator[Path]:
    """Give the files of one class, sorted by name."""
    inside = root.resolve()
    paths = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    if not paths:
        raise ValueError(f"{shown(folder)} is empty: put images into it, or delete it")
    for path in paths:
        try:
            leads = path.resolve(strict=True)
        except (OSError, RuntimeError):  # a link that leads to itself, or to nothing
            leads = Path("/")
        if not leads.is_relative_to(inside):
            raise ValueError(f"{shown(path)} is a link that leads elsewhere: copy the file instead")
        if not leads.is_file():
            raise ValueError(f"{shown(path)} is no file: a class folder holds images, no folders")
        yield path


def _words(found: Kind) -> str:
    """Describe an image, such as ``grey (L), 28 × 28``."""
    mode, (width, height) = found
    return f"{'grey' if mode == 'L' else 'colour'} ({mode}), {width} × {height}"
