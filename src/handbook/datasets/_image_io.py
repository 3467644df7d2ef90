"""One image file: the only place that knows Pillow, which is imported when it is used."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ._paths import shown

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
PLAIN = {"1": "L", "P": "RGB"}  # modes that become another one without loss
WHITE = {"L": 255, "RGB": 255, "I;16": 65535, "I;16B": 65535}  # the greatest value in each mode


def read(file: Path) -> Tensor:
    """Return an image, upright, from 0 to 1: float32 ``(C, H, W)``."""
    from PIL import Image, ImageOps, UnidentifiedImageError  # slow, so only where it is used

    if not file.is_file():  # opening a pipe would never return
        raise ValueError(f"{shown(file)} is not a file: a class folder may hold only images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd files; those that matter raise errors
            with Image.open(file, formats=FORMATS) as image:
                problem = _find_problem(image)
                if problem is None:
                    upright = ImageOps.exif_transpose(image)
                    plain = upright.convert(PLAIN.get(upright.mode, upright.mode))
                    values = np.asarray(plain, dtype=np.float32) / WHITE[plain.mode]
    except UnidentifiedImageError:
        problem = "is not an image: move it away, or save it as PNG"
    except Exception as error:  # a damaged file makes Pillow raise one of many kinds
        what = (str(error).splitlines() or [type(error).__name__])[0][:80]
        problem = f"cannot be read ({what}): replace it or move it away"
    if problem:
        raise ValueError(f"{shown(file)} {problem}")
    return torch.from_numpy(values).view(*values.shape[:2], -1).movedim(2, 0)


def _find_problem(image: ImageFile) -> str | None:
    """Say why an image is neither grey nor colour, or would be only after a choice."""
    if getattr(image, "is_animated", False) and image.format != "MPO":  # a photo and its preview
        return "holds several images: save the one that you want"
    if image.mode in ("I", "F"):
        return (
            f"has 32 bits per pixel (mode {image.mode}), and its maximum value is unknown: scale "
            "numpy.array(image) to 0–65535 and save it as uint16 (convert('L') would clip it)"
        )
    if image.mode == "RGB" and "RGB;16" in str(image.tile):  # how the file stores its pixels
        return (
            "has 16 bits per channel, of which Pillow reads 8: save it with 8, if they are enough"
        )
    transparent = image.has_transparency_data
    if transparent or PLAIN.get(image.mode, image.mode) not in WHITE:
        what = "transparency" if transparent else f"mode {image.mode}"
        image_of = "image.convert('RGBA')" if transparent else "image"
        return f"has {what}: save {image_of}.convert('RGB') for colour, or .convert('L') for grey"
    return None


def write(file: Path, values: Tensor) -> None:
    """Write a grey image ``(1, H, W)`` from 0 to 1 as PNG."""
    from PIL import Image

    Image.fromarray((values[0] * 255).round().byte().numpy()).save(file)
