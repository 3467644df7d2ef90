"""Handwritten digits."""

import io
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

EMBEDDED = files("handbook") / "data" / "mnist-10000.npz"
CHECKSUM = "1982674f7ff13183fcfde3989c940fc217cd811dedf7cc7b455707e56c8df48e"


class Examples(NamedTuple):
    """Inputs and their answers, in the same order.

    A tuple of two tensors, so that it unpacks: ``Batches(*train, batch_size=128)``. For the same
    reason ``len(train)`` is 2; the number of examples is ``len(train.x)``.
    """

    x: Tensor  #: Inputs; axis 0 counts the examples.
    y: Tensor  #: Answers; axis 0 counts the examples.


def mnist(full: bool = False, root: str | Path = "data") -> tuple[Examples, Examples]:
    """Load handwritten digits, ready for training.

    Parameters
    ----------
    full : bool
        False: the 10,000 + 2,000 digits inside this package, for which no network is needed.
        True: all 60,000 + 10,000, through torchvision, which downloads 12 MB the first time.
    root : str or Path
        Where the downloaded files are, or will be: in ``root/MNIST/raw``. The embedded digits
        need no folder.

    Returns
    -------
    train, test : Examples
        ``x``: float32 ``(N, 1, 28, 28)``, from 0 (paper) to 1 (ink). ``y``: int64 ``(N,)``,
        the digits 0 to 9.

    Raises
    ------
    RuntimeError
        If a file is damaged, or absent and not to be downloaded.
    ModuleNotFoundError
        If ``full=True`` and torchvision is not installed.

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
    return _downloaded(Path(root).expanduser()) if full else _embedded()


def _embedded() -> tuple[Examples, Examples]:
    content = EMBEDDED.read_bytes()
    if sha256(content).hexdigest() != CHECKSUM:
        raise RuntimeError(f"{EMBEDDED} is damaged: install torch-handbook again")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        part = {name: torch.from_numpy(arrays[name]) for name in arrays}
    return _examples(part["x_train"], part["y_train"]), _examples(part["x_test"], part["y_test"])


def _downloaded(root: Path) -> tuple[Examples, Examples]:
    from torchvision.datasets import MNIST  # slow to import, so only where it is used

    folder = root / "MNIST" / "raw"
    try:
        train, test = (MNIST(root, train=part, download=True) for part in (True, False))
        return _examples(train.data, train.targets), _examples(test.data, test.targets)
    except Exception as error:  # a damaged file makes torchvision raise one of six kinds
        if len(list(folder.glob("*-ubyte"))) == 4:
            problem = f"a file in {folder} is damaged: delete that folder and try again"
        else:
            problem = (
                f"MNIST is not in {folder} and cannot be downloaded: try again with a network, "
                "or call mnist() without full=True for the digits inside the package"
            )
        raise RuntimeError(problem) from error


def _examples(images: Tensor, labels: Tensor) -> Examples:
    """Scale uint8 images ``(N, 28, 28)`` to [0, 1] and give them a channel axis."""
    if images.shape != (len(labels), 28, 28) or len(labels) == 0 or labels.max() > 9:
        raise ValueError(f"no digits: images {tuple(images.shape)}, labels {tuple(labels.shape)}")
    return Examples(images.unsqueeze(1).float() / 255, labels.long())
