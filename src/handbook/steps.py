"""Steps: the only code that knows a task.

A step takes the model and one batch and returns the loss, a scalar tensor, and a dictionary of
metrics, scalar tensors too; each is a mean over the examples of the batch. Write your own for
any other task: it is a plain function.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NO_LABEL = -(2**63)  # cross_entropy would silently skip labels of -100


def classification_step(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the cross-entropy and the accuracy of a classifier.

    Parameters
    ----------
    model : nn.Module
        Maps ``x`` to logits ``(B, C)``, unnormalized scores of C classes.
    x : Tensor
        Inputs ``(B, …)``.
    y : Tensor
        Labels ``(B,)``, int64, from 0 to C - 1.

    Returns
    -------
    loss, metrics : Tensor, dict
        Cross-entropy in nats, ``()``, and ``{"accuracy": …}``, the share of right answers, ``()``,
        from 0 to 1.

    Raises
    ------
    ValueError
        If a label is not one of the classes, labels and outputs differ in shape, or the model has
        one output: that needs a binary loss.
    TypeError
        If the labels are not int64.

    Examples
    --------
    >>> import torch
    >>> logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    >>> loss, metrics = classification_step(nn.Identity(), logits, torch.tensor([0, 1, 1]))
    >>> print(f"{loss:.4f} {metrics['accuracy']:.4f}")
    0.4963 0.6667
    """
    logits = model(x)
    if logits.ndim > 1 and logits.shape[1] == 1:
        raise ValueError(
            "the model has one output, which cannot tell classes apart: give it two, or write a "
            "step with F.binary_cross_entropy_with_logits"
        )
    if logits.ndim < 2 or logits.shape[:1] + logits.shape[2:] != y.shape:
        raise ValueError(
            f"the model returns {tuple(logits.shape)} and the labels are {tuple(y.shape)}, but "
            "they must be (B, C) and (B,): one row of logits and one number for each example"
        )
    if y.dtype != torch.int64:
        raise TypeError(f"labels must be int64, but they are {y.dtype}: y.long() converts them")
    try:
        loss = F.cross_entropy(logits, y, ignore_index=NO_LABEL)
    except IndexError as error:
        raise ValueError(
            f"labels from {y.min()} to {y.max()}, but the model has {logits.shape[1]} outputs: "
            f"labels must be from 0 to {logits.shape[1] - 1}"
        ) from error
    return loss, {"accuracy": (logits.argmax(1) == y).float().mean()}


def regression_step(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the mean squared error and the mean absolute error of a regression.

    Parameters
    ----------
    model : nn.Module
        Maps ``x`` to predictions of the shape of ``y``.
    x : Tensor
        Inputs ``(B, …)``.
    y : Tensor
        Targets ``(B, …)``, floating point.

    Returns
    -------
    loss, metrics : Tensor, dict
        Mean squared error, ``()``, in the unit of ``y``, squared, and ``{"mae": …}``, the mean
        absolute error, ``()``, in the unit of ``y``.

    Raises
    ------
    ValueError
        If prediction and target differ in shape: broadcasting would compare all with all.

    Examples
    --------
    >>> import torch
    >>> x, y = torch.tensor([1.0, 4.0]), torch.tensor([2.0, 2.0])
    >>> loss, metrics = regression_step(nn.Identity(), x, y)
    >>> print(loss.item(), metrics["mae"].item())
    2.5 1.5
    """
    prediction = model(x)
    if prediction.shape != y.shape:
        raise ValueError(
            f"the model predicts shape {tuple(prediction.shape)}, but y has {tuple(y.shape)}: "
            "make them equal, for instance with y.unsqueeze(1)"
        )
    error = prediction - y
    return (error**2).mean(), {"mae": error.detach().abs().mean()}
