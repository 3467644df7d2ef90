"""Which channels of its input a layer uses for which channels of its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ._cells import cell, check_counts, new_frames
from ._figure import COLOURS
from ._text import use_installed_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT = 16  # channels
HEAD = 1.6  # units: room for numbers and words beside a table
FILLS = tuple(COLOURS[i] for i in (4, 5, 2, 3))


def channel_map(*layers: nn.Conv2d, names: Sequence[str] | None = None, ncols: int = 2) -> Figure:
    """Draw which input channels feed which output channels of a convolution.

    What is drawn is the gradient of each output channel with respect to each input channel: it is
    zero wherever no weight leads from one to the other.

    Parameters
    ----------
    *layers : Module
        One panel for each ``Conv2d``, of at most 16 channels on either side. They are left as they
        are.
    names : sequence of str, optional
        First lines of the titles. By default, the number of groups.
    ncols : int
        Panels in a row.

    Returns
    -------
    Figure
        One panel per layer, in ``figure.axes``: a row for each output channel, a column for each
        input channel, and a filled cell where one feeds the other; cells of one group share a
        colour. The titles end with the number of weights, without biases.

    Raises
    ------
    TypeError
        If a layer is not a ``Conv2d``.
    ValueError
        If there is no layer, it has too many channels, or names are not as many as layers.

    Examples
    --------
    >>> figure = channel_map(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, groups=2))
    >>> print(figure.axes[1].get_title(loc="left"))
    groups=2
    72 weights
    """
    check_counts("layers", layers, names, ncols)
    tables = [_feeds(layer) for layer in layers]
    heads = [f"groups={layer.groups}" for layer in layers] if names is None else names
    titles = [
        f"{head}\n{layer.weight.numel():,} weights"
        for head, layer in zip(heads, layers, strict=True)
    ]
    sizes = [(table.shape[1] + HEAD, table.shape[0] + HEAD) for table in tables]
    figure, panels = new_frames(sizes, titles, ncols)
    for panel, table in zip(panels, tables, strict=True):
        _draw(panel, table)
    use_installed_fonts(figure)
    return figure


def _draw(panel: Axes, table: Tensor) -> None:
    """Draw a table of what feeds what, with its head."""
    outputs, inputs = table.shape
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 10, "color": "0.2"}
    panel.text(HEAD + inputs / 2, 0.3, "input", **style)
    panel.text(0.3, HEAD + outputs / 2, "output", rotation=90, **style)
    for i in range(inputs):
        panel.text(HEAD + i + 0.5, 1.1, str(i), **style)
    colours: dict[tuple[bool, ...], str] = {}  # one for each set of input channels
    for o, row in enumerate(table.tolist()):
        colour = colours.setdefault(tuple(row), FILLS[len(colours) % len(FILLS)])
        panel.text(1.1, HEAD + o + 0.5, str(o), **style)
        for i, feeds in enumerate(row):
            fill = colour if feeds else "white"
            cell(panel, HEAD + i, HEAD + o, "", 1, fill, pale=not feeds)


def _feeds(layer: nn.Conv2d) -> Tensor:
    """Return which output (row) depends on which input (column), found by gradients."""
    if not isinstance(layer, nn.Conv2d):
        raise TypeError(f"channel_map draws Conv2d, not {type(layer).__name__}")
    if max(layer.in_channels, layer.out_channels) > LIMIT:
        raise ValueError(
            f"{layer.in_channels} channels to {layer.out_channels}: draw at most {LIMIT}, "
            "a narrower layer with as many channels in a group"
        )
    state = {name: torch.ones(value.shape) for name, value in layer.state_dict().items()}
    reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    padding = [] if isinstance(layer.padding, str) else layer.padding
    side = max(*reach, *padding) + 1  # room for a window, and for padding that copies
    image = torch.ones(1, layer.in_channels, side, side, requires_grad=True)
    with torch.enable_grad():
        answers = torch.func.functional_call(layer, state, image).sum((0, 2, 3))
        reached = [torch.autograd.grad(answer, image, retain_graph=True)[0] for answer in answers]
    return torch.cat(reached).sum((2, 3)) != 0
