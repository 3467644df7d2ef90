"""Which classes a classifier confuses with which, as a table of counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ._figure import new_panels
from ._text import use_installed_fonts, width

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion_matrix(truth: Tensor, prediction: Tensor, names: Sequence[str] | None = None) -> Axes:
    """Draw which classes are confused with which.

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
    >>> truth, prediction = torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])
    >>> panel = confusion_matrix(truth, prediction, names=["cat", "dog"])
    >>> panel.get_xlabel(), panel.get_ylabel()
    ('predicted class', 'true class')
    """
    truth, prediction = torch.as_tensor(truth).cpu(), torch.as_tensor(prediction).cpu()
    if truth.shape != prediction.shape or truth.ndim != 1 or len(truth) == 0:
        raise ValueError(
            "confusion_matrix needs two vectors of class numbers, got shapes "
            f"{tuple(truth.shape)} and {tuple(prediction.shape)}; "
            "logits become class numbers by logits.argmax(1)"
        )
    both = torch.stack((truth, prediction))
    if both.is_floating_point() or both.min() < 0:
        raise ValueError("confusion_matrix needs class numbers: integers from 0, got other values")
    size = int(both.max()) + 1 if names is None else len(names)
    if both.max() >= size:
        raise ValueError(f"{size} names for {int(both.max()) + 1} classes: name each class")
    labels = list(map(str, range(size) if names is None else names))
    cells = truth.long() * size + prediction.long()  # the matrix, row after row
    counts = cells.bincount(minlength=size**2).view(size, size)
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)

    side = 2 + 0.4 * size
    figure, (panel,) = new_panels(1, 1, width=side + 0.8, height=side)
    picture = panel.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, label="share of the true class", shrink=0.8)
    panel.set(xlabel="predicted class", ylabel="true class")
    panel.set(xticks=range(size), yticks=range(size), xticklabels=labels, yticklabels=labels)
    panel.tick_params(axis="x", rotation=45 if max(map(width, labels)) > 3 else 0)
    for i, j in counts.nonzero().tolist():
        ink = "white" if shares[i, j] > 0.7 else "black"
        panel.text(j, i, str(counts[i, j].item()), ha="center", va="center", color=ink, fontsize=8)
    use_installed_fonts(figure)
    return panel
