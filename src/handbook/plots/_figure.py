"""Panels and colours that the figures share; the only place where pyplot is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colours of Okabe & Ito (2008), told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WRONG = COLOURS[1]
MISSING = COLOURS[3]  # where a value is not finite
MARKERS = "os^Dv*P"


def new_panels(
    nrows: int, ncols: int, width: float, height: float, heights: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels, each ``width`` × ``height`` inches, in reading order.

    With ``heights``, one number for each row, ``height`` is the mean.
    """
    import matplotlib.pyplot as plt  # slow to import, so only where a figure is drawn

    figure, panels = plt.subplots(
        nrows,
        ncols,
        figsize=(width * ncols, height * nrows),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    return figure, list(panels.flat)


def new_canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure that is one empty panel, measured in inches from its upper left corner."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width, height))
    panel = figure.add_axes((0, 0, 1, 1))
    panel.set(xlim=(0, width), ylim=(height, 0))
    panel.axis("off")
    return figure, panel
