"""Images in a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ._figure import MISSING, WRONG, new_panels
from ._text import use_installed_fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def image_grid(
    x: Tensor,
    titles: Sequence[object] | None = None,
    ncols: int = 8,
    correct: Sequence[bool] | Tensor | None = None,
) -> Figure:
    """Draw images in a grid.

    Parameters
    ----------
    x : Tensor
        Images ``(N, H, W)``, ``(N, 1, H, W)`` or, in colour, ``(N, 3, H, W)``, at most 200. Grey
        images share one scale: black is the least value of all, white the greatest. Colours are
        floats from 0 to 1 or integers from 0 to 255; values beyond are clipped. A pixel that is
        nan or infinite is pink and does not count.
    titles : sequence, optional
        What to write above each image: ``N`` words or numbers.
    ncols : int
        Images in a row.
    correct : sequence of bool, optional
        Which predictions are right: ``N`` values. Titles of the others turn vermilion, and so does
        a frame around the image.

    Returns
    -------
    Figure
        One panel per image, in ``figure.axes``.

    Raises
    ------
    ValueError
        If ``x`` is not a batch of 1 to 200 images or is complex, ``titles`` or ``correct`` are not
        as many, or there is no column.

    Examples
    --------
    >>> figure = image_grid(torch.rand(6, 1, 28, 28), titles=range(6), ncols=3)
    >>> len(figure.axes)
    6
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    x = torch.as_tensor(x).detach().cpu()
    if x.is_complex():
        raise ValueError("image_grid needs real numbers, got complex ones: pass x.abs() or x.real")
    if x.dtype != torch.uint8:  # matplotlib knows no bfloat16, and PyTorch no maximum of uint16
        x = x.float() if x.is_floating_point() else x.long()
    if x.ndim == 4 and x.shape[1] == 1:
        x = x.squeeze(1)
    elif x.ndim == 4 and x.shape[1] == 3:
        x = x.movedim(1, -1)
    elif x.ndim != 3:
        raise ValueError(
            f"image_grid needs shape (N, 1, H, W), (N, 3, H, W) or (N, H, W), got {tuple(x.shape)}"
        )
    if not 1 <= len(x) <= 200:
        raise ValueError(f"cannot draw {len(x)} images: pass 1 to 200, x[:24] for instance")
    if ncols < 1:
        raise ValueError(f"ncols is {ncols}: an image needs at least 1 column")
    for name, values in (("titles", titles), ("correct", correct)):
        if values is not None and len(values) != len(x):
            raise ValueError(f"{len(values)} {name} for {len(x)} images: pass one for each")

    ncols = min(ncols, len(x))
    figure, panels = new_panels(math.ceil(len(x) / ncols), ncols, width=1.1, height=1.3)
    for panel in panels[len(x) :]:
        panel.remove()
    finite = x[x.isfinite()] if x.isfinite().any() else torch.zeros(1)
    low, high = finite.min().item(), finite.max().item()
    greys = colormaps["gray"].with_extremes(bad=MISSING)
    if x.ndim == 4 and x.is_floating_point():
        x = torch.where(x.isfinite().all(-1, keepdim=True), x, torch.tensor(to_rgb(MISSING)))
    for i, image in enumerate(x):
        panels[i].imshow(image.numpy(), cmap=greys, vmin=low, vmax=high)
        wrong = correct is not None and not correct[i]
        panels[i].set(xticks=[], yticks=[])
        panels[i].spines[:].set(color=WRONG if wrong else "0.7", linewidth=3 if wrong else 0.5)
        if titles is not None:
            title = titles[i]
            text = str(title.item() if isinstance(title, Tensor) else title)
            panels[i].set_title(text, fontsize=9, color=WRONG if wrong else "black")
    use_installed_fonts(figure)
    return figure
