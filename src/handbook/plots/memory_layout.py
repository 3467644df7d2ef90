"""Where the elements of a tensor lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ._cells import LIMIT, check_counts, frame, new_frames
from ._storage_drawing import draw
from ._text import use_installed_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAPS = ("YlGnBu", "YlOrRd", "RdPu", "Greys")  # one for each storage


def memory_layout(
    *tensors: Tensor,
    names: Sequence[str] | None = None,
    ncols: int = 1,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw tensors as grids, and below each the storage that its elements lie in.

    An element has the colour of its cell in the storage, and colours run from pale to dark along
    the storage: what a transpose or a slice does is visible. Cells of the storage that the tensor
    leaves out are white and dotted. Tensors in one storage have the same colours; a tensor in
    another one, because it was copied for instance, has others, and its title says so.

    Parameters
    ----------
    *tensors : Tensor
        One panel for each: 0 to 3 axes, 1 to 64 elements, in a storage of at most 64. A tensor
        with three axes is drawn slice by slice.
    names : sequence of str, optional
        Names for the titles. By default, ``tensor 0``, ``tensor 1``, …
    ncols : int
        Panels in a row.
    ax : Axes or sequence of Axes, optional
        Where to draw, one for each tensor. By default, in a new figure.

    Returns
    -------
    Figure
        One panel per tensor, in ``figure.axes``; the numbers below a storage count its elements.

    Raises
    ------
    ValueError
        If a tensor is too large, empty, without a storage of its own, or names or axes are not as
        many as tensors.

    Examples
    --------
    >>> x = torch.arange(12).reshape(3, 4)
    >>> figure = memory_layout(x, x.T, x[:, ::2].clone(), names=["x", "x.T", "x[:, ::2].clone()"])
    >>> print(figure.axes[1].get_title(loc="left"))
    x.T
    shape (4, 3), stride (1, 4)
    offset 0, in the storage of x
    >>> print(figure.axes[2].get_title(loc="left").splitlines()[-1])
    offset 0, in another storage
    """
    check_counts("tensors", tensors, names, ncols)
    names = [f"tensor {i}" for i in range(len(tensors))] if names is None else names
    for name, tensor in zip(names, tensors, strict=True):
        _check(name, tensor)
    owners: dict[int, str] = {}  # the address of each storage, and the first tensor in it
    titles: list[str] = []
    colours: list[str] = []
    for name, tensor in zip(names, tensors, strict=True):
        address = tensor.untyped_storage().data_ptr()
        owner = owners.setdefault(address, name)
        where = f", in the storage of {owner}" if owner != name else ", in another storage"
        titles.append(
            f"{name}\nshape {tuple(tensor.shape)}, stride {tensor.stride()}\n"
            f"offset {tensor.storage_offset()}" + where * bool(colours)
        )
        colours.append(MAPS[list(owners).index(address) % len(MAPS)])

    sizes = [draw(None, tensor, "") for tensor in tensors]
    if ax is None:
        _, panels = new_frames(sizes, titles, ncols)
    else:
        panels = list(ax) if hasattr(ax, "__iter__") else [ax]
        if len(panels) != len(tensors):
            raise ValueError(f"{len(panels)} axes for {len(tensors)} tensors: pass one for each")
        for panel, size, title in zip(panels, sizes, titles, strict=True):
            frame(panel, size, title)
    for panel, tensor, colour in zip(panels, tensors, colours, strict=True):
        draw(panel, tensor, colour)
    figure = panels[0].get_figure(root=True)
    assert figure is not None
    use_installed_fonts(figure)
    return figure


def _check(name: str, tensor: Tensor) -> None:
    """Refuse tensors that cannot be drawn legibly."""
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
        raise ValueError(f"{name} is not a dense (strided) tensor")
    if tensor.ndim > 3:
        raise ValueError(f"{name} has {tensor.ndim} axes: draw at most 3, a slice for instance")
    cells = tensor.untyped_storage().nbytes() // tensor.element_size()
    if not 1 <= tensor.numel() <= LIMIT or cells > LIMIT:
        raise ValueError(
            f"{name} has {tensor.numel()} elements, in a storage of {cells}: draw 1 to {LIMIT}, "
            "a smaller example or a clone of a part"
        )
