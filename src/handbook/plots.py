"""Figures that the pages draw again and again; matplotlib loads when the first one is drawn."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colours of Okabe & Ito (2008), told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WRONG = COLOURS[1]
MARKERS = "os^Dv*P"


def curves(history: Sequence[Mapping[str, float]], metric: str | None = None) -> Figure:
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
        Its panels are in ``figure.axes``, loss first.

    Raises
    ------
    ValueError
        If the history is empty or does not hold the metric.

    Examples
    --------
    >>> history = [{"epoch": 1, "loss": 0.9, "accuracy": 0.7}]
    >>> [panel.get_ylabel() for panel in curves(history).axes]
    ['loss', 'accuracy']
    """
    if not history:
        raise ValueError("the history is empty: train for at least one epoch before drawing it")
    known = [name for name in history[-1] if name != "epoch" and not name.startswith("val_")]
    if metric is not None and metric not in known:
        raise ValueError(f"the history holds no {metric!r}; it holds {', '.join(known)}")
    metrics = known if metric is None else [metric]

    figure, panels = _panels(1, len(metrics), width=4.8, height=3.6)
    for panel, name in zip(panels, metrics, strict=True):
        for key, label, style, colour in (
            (name, "train", "o-", COLOURS[0]),
            (f"val_{name}", "validation", "s--", COLOURS[1]),
        ):
            rows = [row for row in history if key in row]
            if rows:
                epochs, values = [row["epoch"] for row in rows], [row[key] for row in rows]
                panel.plot(epochs, values, style, color=colour, label=label, markersize=4)
        panel.set(xlabel="epoch", ylabel=name)
        panel.locator_params(axis="x", integer=True, min_n_ticks=1)
        panel.grid(alpha=0.3)
        panel.legend()
    return figure


def images(
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
        images share one scale: black is the least value of all, white the greatest.
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
        If ``x`` is not a batch of 1 to 200 images, or ``titles`` or ``correct`` are not as many.

    Examples
    --------
    >>> figure = images(torch.rand(6, 1, 28, 28), titles=range(6), ncols=3)
    >>> len(figure.axes)
    6
    """
    x = torch.as_tensor(x).detach().cpu()
    if x.ndim == 4 and x.shape[1] == 1:
        x = x.squeeze(1)
    elif x.ndim == 4 and x.shape[1] == 3:
        x = x.movedim(1, -1)
    elif x.ndim != 3:
        raise ValueError(
            f"images need shape (N, 1, H, W), (N, 3, H, W) or (N, H, W), got {tuple(x.shape)}"
        )
    if not 1 <= len(x) <= 200:
        raise ValueError(f"cannot draw {len(x)} images: pass 1 to 200, x[:24] for instance")
    for name, values in (("titles", titles), ("correct", correct)):
        if values is not None and len(values) != len(x):
            raise ValueError(f"{len(values)} {name} for {len(x)} images: pass one for each")

    ncols = min(ncols, len(x))
    figure, panels = _panels(math.ceil(len(x) / ncols), ncols, width=1.1, height=1.3)
    for panel in panels[len(x) :]:
        panel.remove()
    for i, image in enumerate(x):
        panels[i].imshow(image.numpy(), cmap="gray", vmin=x.min().item(), vmax=x.max().item())
        wrong = correct is not None and not correct[i]
        panels[i].set(xticks=[], yticks=[])
        panels[i].spines[:].set(color=WRONG if wrong else "0.7", linewidth=3 if wrong else 0.5)
        if titles is not None:
            title = titles[i]
            text = str(title.item() if isinstance(title, Tensor) else title)
            panels[i].set_title(text, fontsize=9, color=WRONG if wrong else "black")
    return figure


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
    figure, (panel,) = _panels(1, 1, width=side + 0.8, height=side)
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
        If the shapes are others, or there are more than seven classes.

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

    _, (panel,) = _panels(1, 1, width=4.8, height=4.0)
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


def _panels(nrows: int, ncols: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels, each ``width`` × ``height`` inches, in reading order."""
    import matplotlib.pyplot as plt  # slow to import, so only where a figure is drawn

    size = (width * ncols, height * nrows)
    figure, panels = plt.subplots(nrows, ncols, figsize=size, squeeze=False, layout="constrained")
    return figure, list(panels.flat)
