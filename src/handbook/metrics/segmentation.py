"""How well a mask covers an object."""

import torch
from torch import Tensor


def mask_iou(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the intersection over union of each mask with its true one (the Jaccard index).

    Parameters
    ----------
    prediction, target : Tensor
        Masks ``(…, H, W)``, bool, True on the object.

    Returns
    -------
    Tensor
        One value for each mask, ``(…)``, from 0 to 1; 1 where both masks are empty, because
        the prediction is right.

    Raises
    ------
    ValueError
        If the shapes differ or have fewer than two axes.
    TypeError
        If a mask is not bool.

    Notes
    -----
    Jaccard (1912), *The distribution of the flora in the alpine zone*.
    For several classes, compare one class at a time: ``labels == c``.

    Examples
    --------
    Two squares of four pixels, which share one pixel of seven:

    >>> import torch
    >>> a, b = torch.zeros(2, 3, 3, dtype=torch.bool)
    >>> a[:2, :2] = True
    >>> b[1:, 1:] = True
    >>> mask_iou(a, b)
    tensor(0.1429)
    """
    intersection, size, true_size = _counts(prediction, target)
    union = size + true_size - intersection
    return torch.where(union == 0, 1.0, intersection / union)


def dice(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the Dice coefficient of each mask with its true one: the F1 score of its pixels.

    It is twice the intersection, divided by the sum of both areas; with ``iou`` from
    :func:`mask_iou`, ``2 * iou / (1 + iou)``.

    Parameters
    ----------
    prediction, target : Tensor
        Masks ``(…, H, W)``, bool, True on the object.

    Returns
    -------
    Tensor
        One value for each mask, ``(…)``, from 0 to 1; 1 where both masks are empty.

    Raises
    ------
    ValueError
        If the shapes differ or have fewer than two axes.
    TypeError
        If a mask is not bool.

    Notes
    -----
    Dice (1945), *Measures of the amount of ecologic association between species*.

    Examples
    --------
    >>> import torch
    >>> a, b = torch.zeros(2, 3, 3, dtype=torch.bool)
    >>> a[:2, :2] = True
    >>> b[1:, 1:] = True
    >>> dice(a, b)
    tensor(0.2500)
    """
    intersection, size, true_size = _counts(prediction, target)
    both = size + true_size
    return torch.where(both == 0, 1.0, 2 * intersection / both)


def _counts(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pixels of the intersection, of the prediction and of the target."""
    if prediction.shape != target.shape or prediction.ndim < 2:
        raise ValueError(
            f"masks of shapes {tuple(prediction.shape)} and {tuple(target.shape)}: pass two of "
            "the same shape (…, H, W)"
        )
    for mask in (prediction, target):
        if mask.dtype != torch.bool:
            raise TypeError(
                f"masks must be bool, but one is {mask.dtype}: compare, as in logits > 0"
            )
    both = prediction & target
    return both.sum((-2, -1)), prediction.sum((-2, -1)), target.sum((-2, -1))
