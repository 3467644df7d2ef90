"""The regions of the plane that a model gives to each class."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ._figure import COLOURS, MARKERS, new_panels

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes


def decision_boundary(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Axes:
    """Draw points in the plane over the regions that a model gives to each class.

    Parameters
    ----------
    model : Module or callable
        Maps points ``(B, 2)`` to logits ``(B, C)``, or, of two classes, to one logit ``(B,)`` or
        ``(B, 1)`` that is positive for class 1. A module stays as it is: a copy of it, on the CPU
        and in evaluation mode, computes the logits.
    x : Tensor
        Points ``(N, 2)``.
    y : Tensor
        Their classes, integers ``(N,)`` from 0 to 6.

    Returns
    -------
    Axes
        Regions in pale colours, points over them. Where a logit is nan, the plane stays white.

    Raises
    ------
    ValueError
        If a shape is wrong, a point is not finite, or the classes are not integers from 0 to 6.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    >>> panel = decision_boundary(lambda points: points, x, torch.tensor([1, 0]))
    >>> panel.get_xlabel(), panel.get_ylabel()
    ('x[:, 0]', 'x[:, 1]')
    """
    from matplotlib.colors import ListedColormap

    x, y = torch.as_tensor(x).cpu().float(), torch.as_tensor(y).cpu()
    if x.shape != (len(y), 2) or y.ndim != 1 or len(y) == 0:
        raise ValueError(
            "decision_boundary needs points (N, 2) and classes (N,), "
            f"got shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not x.isfinite().all():
        raise ValueError("decision_boundary needs finite points, got nan or inf")
    if y.is_floating_point() or y.min() < 0:
        raise ValueError("decision_boundary needs class numbers: integers from 0, got other values")
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model).cpu().eval()
    margin = 0.1 * (x.amax(0) - x.amin(0)) + 1e-3
    (left, bottom), (right, top) = (x.amin(0) - margin).tolist(), (x.amax(0) + margin).tolist()
    rows, columns = torch.linspace(bottom, top, 200), torch.linspace(left, right, 200)
    grid = torch.cartesian_prod(rows, columns).flip(1)  # (200 * 200, 2): row by row, from below
    with torch.no_grad():
        logits = model(grid).reshape(len(grid), -1)
    region = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    region = region.float().where(logits.isnan().any(1).logical_not(), torch.nan)
    classes = max(int(y.max()) + 1, logits.shape[1], 2)
    if classes > len(COLOURS):
        raise ValueError(
            f"decision_boundary has {len(COLOURS)} colours, too few for {classes} classes"
        )

    _, (panel,) = new_panels(1, 1, width=4.8, height=4.0)
    panel.imshow(
        region.view(200, 200).numpy(),
        cmap=ListedColormap(COLOURS),
        vmin=0,
        vmax=len(COLOURS) - 1,
        alpha=0.25,
        interpolation="nearest",
        extent=(left, right, bottom, top),
        origin="lower",
        aspect="auto",
    )
    for i in range(classes):
        points = x[y == i].T.numpy()
        panel.plot(*points, MARKERS[i], color=COLOURS[i], markersize=4, label=f"class {i}")
    panel.set(xlabel="x[:, 0]", ylabel="x[:, 1]")
    panel.legend()
    return panel
