"""One image file: the only place that knows Pillow, which is imported when it is used."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ._paths import shown

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
CHANNELS = {"L": 1, "RGB": 3}  # Pillow's names of grey and of colour
LIMIT = 25_000_000  # pixels; a small file can claim any size
Kind = tuple[str, tuple[int, int]]  # mode, (width, height)


def kind(file: Path) -> Kind:
    """Return mode and size of an image without decoding it."""
    with _opened(file) as image:
        return image.mode, image.size


def pixels(file: Path) -> Tensor:
    """Decode an image: uint8 ``(C, H, W)``."""
    with _opened(file) as image:
        values = torch.from_numpy(np.array(image))
        return values.view(image.height, image.width, -1).movedim(2, 0)


def write(file: Path, values: Tensor) -> None:
    """Write a grey image ``(1, H, W)`` from 0 to 1 as PNG."""
    from PIL import Image  # slow to import, so only where it is used

    Image.fromarray((values[0] * 255).round().byte().numpy()).save(file)


@contextmanager
def _opened(file: Path) -> Iterator[Image]:
    """Open an image that can be used, or say why it cannot."""
    from PIL import Image, UnidentifiedImageError

    name = shown(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd files; those that matter raise errors below
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > LIMIT:
                    raise Image.DecompressionBombError
                if image.mode not in CHANNELS:
                    raise ValueError(
                        f"{name} has the mode {image.mode}: save it as grey or colour, with "
                        "image.convert('L') or image.convert('RGB')"
                    )
                yield image
    except UnidentifiedImageError:
        raise ValueError(f"{name} is no image: move it away, or save it as PNG") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name} has more than {LIMIT:,} pixels: make it smaller") from None
    except ValueError as error:
        if str(error).startswith(name):
            raise
        raise _damaged(name, error) from error
    except Exception as error:  # a damaged file makes Pillow raise one of many kinds
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> ValueError:
    what = (str(error).splitlines() or [type(error).__name__])[0][:80]
    return ValueError(f"{name} cannot be read ({what}): replace it or move it away")
