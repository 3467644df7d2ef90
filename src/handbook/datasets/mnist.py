"""Handwritten digits."""

import io
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._mnist_files import original

EMBEDDED = files("handbook") / "data" / "mnist-10000.npz"
CHECKSUM = "1982674f7ff13183fcfde3989c940fc217cd811dedf7cc7b455707e56c8df48e"


class Split(NamedTuple):
    """Inputs and their answers, in the same order.

    A tuple of two tensors, so that it unpacks: ``Batches(*train, batch_size=128)``. For the same
    reason ``len(train)`` is 2; the number of examples is ``len(train.x)``.
    """

    x: Tensor  #: Inputs; axis 0 counts the examples.
    y: Tensor  #: Answers; axis 0 counts the examples.


def mnist(full: bool = False, root: str | Path = "data") -> tuple[Split, Split]:
    """Load handwritten digits, ready for training.

    Parameters
    ----------
    full : bool
        False: the 10,000 + 2,000 digits inside this package, for which no network is needed.
        True: all 60,000 + 10,000; the first time, 12 MB are downloaded.
    root : str or Path
        Where the original files are, as they are or compressed (``.gz``), or will be:
        in ``root/MNIST/raw``, as for torchvision. The embedded digits need no folder.

    Returns
    -------
    train, test : Split
        ``x``: float32 ``(N, 1, 28, 28)``, from 0 (paper) to 1 (ink). ``y``: int64 ``(N,)``,
        the digits 0 to 9.

    Raises
    ------
    RuntimeError
        If a file is damaged, or absent and not to be downloaded, or cannot be written.

    Notes
    -----
    LeCun, Bottou, Bengio & Haffner (1998), *Gradient-based learning applied to document
    recognition*. Of each digit, the package embeds 1,000 images from the training set and 200
    from the test set. Licence: CC BY-SA 3.0.

    Examples
    --------
    >>> train, test = mnist()
    >>> train.x.shape, test.x.shape
    (torch.Size([10000, 1, 28, 28]), torch.Size([2000, 1, 28, 28]))
    >>> train.y[:5]
    tensor([5, 4, 1, 3, 6])
    """
    return _full(Path(root).expanduser() / "MNIST" / "raw") if full else _embedded()


def _embedded() -> tuple[Split, Split]:
    content = b""
    if EMBEDDED.is_file():
        with EMBEDDED.open("rb") as file:
            content = file.read(2_000_000)  # it is smaller; more is something else
    if sha256(content).hexdigest() != CHECKSUM:
        raise RuntimeError(f"{EMBEDDED} is damaged: install torch-handbook again")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        part = {name: torch.from_numpy(arrays[name]) for name in arrays}
    return _examples(part["x_train"], part["y_train"]), _examples(part["x_test"], part["y_test"])


def _full(folder: Path) -> tuple[Split, Split]:
    kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
    train = [original(folder / f"train-{kind}") for kind in kinds]
    test = [original(folder / f"t10k-{kind}") for kind in kinds]
    return _examples(*train), _examples(*test)


def _examples(images: Tensor, labels: Tensor) -> Split:
    """Scale uint8 images ``(N, 28, 28)`` to [0, 1] and give them a channel axis."""
    return Split(images.unsqueeze(1).float().div_(255), labels.long())
