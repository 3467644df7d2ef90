"""How training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ._figure import COLOURS, new_panels
from ._text import use_installed_fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curves(history: Sequence[Mapping[str, float]], metric: str | None = None) -> Figure:
    """Draw how training went: one panel per metric, training and validation in each.

    Parameters
    ----------
    history : list of dict
        What :func:`handbook.fit` returns: one row per epoch.
    metric : str, optional
        Draw this one alone, ``"loss"`` for instance. By default, all.

    Returns
    -------
    Figure
        Its panels are in ``figure.axes``, loss first. A value that is not finite leaves a gap.

    Raises
    ------
    ValueError
        If the history is empty or does not hold the metric.

    Examples
    --------
    >>> history = [{"epoch": 1, "loss": 0.9, "accuracy": 0.7}]
    >>> [panel.get_ylabel() for panel in learning_curves(history).axes]
    ['loss', 'accuracy']
    """
    if not history:
        raise ValueError("the history is empty: train for at least one epoch before drawing it")
    known = [name for name in history[-1] if name != "epoch" and not name.startswith("val_")]
    if metric is not None and metric not in known:
        raise ValueError(f"the history holds no {metric!r}; it holds {', '.join(known)}")
    metrics = known if metric is None else [metric]

    first, last = history[0]["epoch"], history[-1]["epoch"]  # also where a value is not finite
    margin = 0.05 * (last - first) or 0.5
    figure, panels = new_panels(1, len(metrics), width=4.8, height=3.6)
    for panel, name in zip(panels, metrics, strict=True):
        for key, label, style, colour in (
            (name, "train", "o-", COLOURS[0]),
            (f"val_{name}", "validation", "s--", COLOURS[1]),
        ):
            rows = [row for row in history if key in row]
            if rows:
                epochs, values = [row["epoch"] for row in rows], [row[key] for row in rows]
                panel.plot(epochs, values, style, color=colour, label=label, markersize=4)
        panel.set(xlabel="epoch", ylabel=name, xlim=(first - margin, last + margin))
        panel.locator_params(axis="x", integer=True, min_n_ticks=1)
        panel.grid(alpha=0.3)
        panel.legend()
    use_installed_fonts(figure)
    return figure
