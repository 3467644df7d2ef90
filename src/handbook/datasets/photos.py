"""Four photographs in colour: small real images with three channels."""

import io
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import _embedded

CHECKSUM = "eaa3d615ba042465ffc10883a6909487243fba8924dcec7ffa1a349b37ee80aa"
NAMES = ("temple", "flower", "cat", "coffee")


class Photos(NamedTuple):
    """Four photographs, as image files hold them: rows, columns, then the three colours."""

    images: Tensor  #: Red, green and blue of each pixel, uint8 ``(4, 128, 192, 3)``, 0 to 255.
    names: tuple[str, ...]  #: What each photograph shows.


def photos() -> Photos:
    """Load four colour photographs, for which no network is needed.

    The channels are the last axis. A convolution wants them before height and width:
    ``images.permute(0, 3, 1, 2)``.

    Returns
    -------
    Photos
        The pixels, uint8 ``(4, 128, 192, 3)``, and the names.

    Raises
    ------
    RuntimeError
        If the file inside the package is damaged.

    Notes
    -----
    The temple is ``china.jpg`` by danielbuechele and the flower ``flower.jpg`` by danielbuechele
    and vultilion (the source names one and links to the other), from scikit-learn, both under CC BY
    2.0. The cat is ``chelsea.png`` by Stefan van der Walt and the coffee
    ``coffee.png`` by Rachel Michetti, from scikit-image, both under CC0. All four were cut to 3 : 2
    and made smaller. The file ``photos.LICENSE`` beside the data has the details.

    Examples
    --------
    >>> images, names = photos()
    >>> images.shape, images.dtype
    (torch.Size([4, 128, 192, 3]), torch.uint8)
    >>> names[3], images[3, 64, 96]
    ('coffee', tensor([248, 246, 249], dtype=torch.uint8))
    """
    content = _embedded.read("photos.npz", CHECKSUM)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Photos(torch.from_numpy(arrays["images"]), NAMES)
