"""What a classifier takes for what: a table of counts, and regions of the plane."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .panels import COLOURS, MARKERS, new_panels

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes


def confusion(truth: Tensor, prediction: Tensor, names: Sequence[str] | None = None) -> Axes:
    """Draw which classes are taken for which.

    Parameters
    ----------
    truth, prediction : Tensor
        True and predicted classes, integers ``(N,)``.
    names : sequence of str, optional
        Names of the classes. By default, their numbers.

    Returns
    -------
    Axes
        Numbers count examples; the colour is the share of the row, from 0 to 1.

    Raises
    ------
    ValueError
        If the two are not class numbers of the same length, or a class has no name.

    Examples
    --------
    >>> panel = confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]), names=["cat", "dog"])
    >>> panel.get_xlabel(), panel.get_ylabel()
    ('predicted class', 'true class')
    """
    truth, prediction = torch.as_tensor(truth).cpu(), torch.as_tensor(prediction).cpu()
    if truth.shape != prediction.shape or truth.ndim != 1 or len(truth) == 0:
        raise ValueError(
            f"confusion needs two vectors of class numbers, got shapes {tuple(truth.shape)} and "
            f"{tuple(prediction.shape)}; logits become class numbers by logits.argmax(1)"
        )
    both = torch.stack((truth, prediction))
    if both.is_floating_point() or both.min() < 0:
        raise ValueError("confusion needs class numbers: integers from 0, got other values")
    size = int(both.max()) + 1 if names is None else len(names)
    if both.max() >= size:
        raise ValueError(f"{size} names for {int(both.max()) + 1} classes: name each class")
    labels = [str(i) for i in range(size)] if names is None else list(names)
    cells = truth.long() * size + prediction.long()  # the matrix, row after row
    counts = cells.bincount(minlength=size**2).view(size, size)
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)

    side = 2 + 0.4 * size
    figure, (panel,) = new_panels(1, 1, width=side + 0.8, height=side)
    picture = panel.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, label="share of the true class", shrink=0.8)
    panel.set(xlabel="predicted class", ylabel="true class")
    panel.set(xticks=range(size), yticks=range(size), xticklabels=labels, yticklabels=labels)
    panel.tick_params(axis="x", rotation=45 if max(map(len, labels)) > 3 else 0)
    for i, j in counts.nonzero().tolist():
        ink = "white" if shares[i, j] > 0.7 else "black"
        panel.text(j, i, str(counts[i, j].item()), ha="center", va="center", color=ink, fontsize=8)
    return panel


def boundary(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Axes:
    """Draw points in the plane over the regions that a model gives to each class.

    Parameters
    ----------
    model : Module or callable
        Maps points ``(B, 2)`` to logits ``(B, C)``, or, of two classes, to one logit ``(B,)`` or
        ``(B, 1)`` that is positive for class 1. A module stays as it is: a copy of it, on the CPU
        and in evaluation mode, is asked.
    x : Tensor
        Points ``(N, 2)``.
    y : Tensor
        Their classes, integers ``(N,)`` from 0 to 6.

    Returns
    -------
    Axes
        Regions in pale colours, points over them.

    Raises
    ------
    ValueError
        If the shapes are others, or the classes are not integers from 0 to 6.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    >>> panel = boundary(lambda points: points, x, torch.tensor([1, 0]))
    >>> panel.get_xlabel(), panel.get_ylabel()
    ('x[:, 0]', 'x[:, 1]')
    """
    from matplotlib.colors import ListedColormap

    x, y = torch.as_tensor(x).cpu().float(), torch.as_tensor(y).cpu()
    if x.shape != (len(y), 2) or y.ndim != 1 or len(y) == 0:
        raise ValueError(
            "boundary needs points (N, 2) and classes (N,), "
            f"got shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if y.is_floating_point() or y.min() < 0:
        raise ValueError("boundary needs class numbers: integers from 0, got other values")
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model).cpu().eval()
    margin = 0.1 * (x.amax(0) - x.amin(0)) + 1e-3
    (left, bottom), (right, top) = (x.amin(0) - margin).tolist(), (x.amax(0) + margin).tolist()
    rows, columns = torch.linspace(bottom, top, 200), torch.linspace(left, right, 200)
    grid = torch.cartesian_prod(rows, columns).flip(1)  # (200 * 200, 2): row by row, from below
    with torch.no_grad():
        logits = model(grid).reshape(len(grid), -1)
    region = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    classes = max(int(y.max()) + 1, logits.shape[1], 2)
    if classes > len(COLOURS):
        raise ValueError(f"boundary has {len(COLOURS)} colours, too few for {classes} classes")

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
