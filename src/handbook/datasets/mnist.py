"""Handwritten digits."""

import io
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import _embedded
from ._paths import expand

CHECKSUM = "1982674f7ff13183fcfde3989c940fc217cd811dedf7cc7b455707e56c8df48e"
# SHA-256 of the values in the four original files, a byte for each: pixels, labels.
CHECKSUMS = {
    "train-images-idx3-ubyte": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train-labels-idx1-ubyte": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "t10k-images-idx3-ubyte": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "t10k-labels-idx1-ubyte": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


class Split(NamedTuple):
    """Inputs and their targets, in the same order.

    A tuple of two tensors, so that it unpacks: ``Batches(*train, batch_size=128)``. For the same
    reason ``len(train)`` is 2; the number of examples is ``len(train.x)``.
    """

    x: Tensor  #: Inputs; axis 0 counts the examples.
    y: Tensor  #: Targets; axis 0 counts the examples.


def mnist(full: bool = False, root: str | Path = "data") -> tuple[Split, Split]:
    """Load handwritten digits, ready for training.

    Parameters
    ----------
    full : bool
        False: the 10,000 + 2,000 digits inside this package, for which no network is needed.
        True: all 60,000 + 10,000, through ``torchvision.datasets.MNIST``; the first time,
        it downloads 12 MB.
    root : str or Path
        Where torchvision looks for the original files, or puts them: in ``root/MNIST/raw``. The
        embedded digits need no folder.

    Returns
    -------
    train, test : Split
        ``x``: float32 ``(N, 1, 28, 28)``, from 0 (paper) to 1 (ink). ``y``: int64 ``(N,)``,
        the digits 0 to 9.

    Raises
    ------
    RuntimeError
        If a file is damaged, or absent and cannot be downloaded, or cannot be written. Pixels and
        labels are compared with a checksum each time.
    ModuleNotFoundError
        If torchvision is not installed, which the full set needs.

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
    return _full(expand(root)) if full else _small()


def _small() -> tuple[Split, Split]:
    content = _embedded.read("mnist-10000.npz", CHECKSUM)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        part = {name: torch.from_numpy(arrays[name]) for name in arrays}
    return _examples(part["x_train"], part["y_train"]), _examples(part["x_test"], part["y_test"])


def _full(root: Path) -> tuple[Split, Split]:
    from torchvision.datasets import MNIST  # slow to import, so only where it is used

    folder = root / "MNIST" / "raw"
    try:
        sets = [MNIST(root, train=train, download=True) for train in (True, False)]
        images = [one.data.byte().view(-1, 28, 28) for one in sets]
        labels = [one.targets.byte().view(-1) for one in sets]
    except Exception as error:  # a damaged file or a broken connection raises one of many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise RuntimeError(
            f"MNIST cannot be read or downloaded ({reason}): delete {folder} and try again with a "
            "network, or call mnist() without full=True for the digits inside the package"
        ) from error
    arrays = images[0], labels[0], images[1], labels[1]
    for (name, checksum), array in zip(CHECKSUMS.items(), arrays, strict=True):
        if sha256(array.numpy().tobytes()).hexdigest() != checksum:
            raise RuntimeError(f"{folder / name} is damaged: delete {folder} and try again")
    return _examples(images[0], labels[0]), _examples(images[1], labels[1])


def _examples(images: Tensor, labels: Tensor) -> Split:
    """Scale uint8 images ``(N, 28, 28)`` to [0, 1] and give them a channel axis."""
    return Split(images.unsqueeze(1).float().div_(255), labels.long())
