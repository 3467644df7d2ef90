"""Errors that say in one line what happened and what to do."""

from typing import Any

import torch
from torch import Tensor, nn

from .kinds import Data, Optimizer, Schedule, Step

# What PyTorch's messages contain, and what helps then.
HINTS = {
    "same dtype": "convert the data to the dtype of the model, for instance with x.float()",
    "should be the same": "convert the data to the dtype of the model, for instance with x.float()",
    "target dtype": "labels must be int64: y.long() converts them",
    "scalar types: Long": "indices must be int64: x.long() converts them",
    "expected scalar type": "convert the data: inputs float32, labels int64 (y.long())",
    "not implemented for": "convert the data: inputs float32, labels int64 (y.long())",
    "shapes cannot be multiplied": "compare the shape of x with what the first layers expect",
    "index out of range in self": "an embedding needs indices from 0 to num_embeddings - 1",
    "channels": "compare the shape of x with what the first layers expect",
    "class probabilities": "the model must return one row of logits for each example, (B, C)",
    "multi-target": "labels must be one number per example, (B,): y.squeeze(1) drops an axis",
    "more than 1 value per channel": "BatchNorm cannot train on one example: use drop_last=True",
    "out of memory": "use a smaller batch_size or a smaller model",
    "device-side assert": "most likely a label out of range: fit(..., device='cpu') shows which",
    "same device": "create new tensors in the step on x.device",
}


def explained(step: Step) -> Step:
    """Return ``step`` with errors that name the batch they came from and a way out."""
    name = getattr(step, "__name__", type(step).__name__)
    checked = False

    def explaining(model: nn.Module, *batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal checked
        try:
            result = step(model, *batch)
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            kinds = (ValueError, TypeError, IndexError, RuntimeError)
            kind = next(kind for kind in kinds if isinstance(error, kind))
            raise kind(_explanation(name, batch, str(error))) from error
        if not checked:
            _check_result(name, result)
            checked = True
        return result

    return explaining


def check(
    model: nn.Module, optimizer: Optimizer, schedule: Schedule | None, batches: Data, epochs: int
) -> None:
    """Refuse parts that do not belong together, before an epoch is spent on them.

    Raises
    ------
    ValueError
        If the optimizer is not that of the model, the schedule not that of the optimizer, or the
        schedule shorter than the training.
    TypeError
        If the model is wrapped already, or the schedule needs to be told a metric.
    """
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise TypeError("give fit the bare model: it wraps it in DistributedDataParallel itself")
    if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise TypeError(
            "ReduceLROnPlateau needs a metric, once an epoch: leave schedule out and call "
            "plateau.step(row['val_loss']) in on_epoch"
        )
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if held.isdisjoint(id(parameter) for parameter in model.parameters()):
        raise ValueError(
            "the optimizer holds no parameter of this model: make it anew from model.parameters()"
        )
    if schedule is not None and schedule.optimizer is not optimizer:
        raise ValueError("the schedule belongs to another optimizer: make it anew from this one")
    ends = getattr(schedule, "total_steps", None)  # OneCycleLR
    needed = epochs * (length(batches) or 0)
    if ends is not None and ends < needed:
        raise ValueError(
            f"the schedule ends after {ends} steps, but {epochs} epochs have {needed}: it moves "
            f"once per batch, so make it with total_steps={needed}"
        )


def length(batches: Data) -> int | None:
    """Return how many batches there are; None for a generator or a loader of a stream."""
    try:
        return len(batches)  # type: ignore[arg-type]
    except TypeError:
        return None


def _explanation(name: str, batch: tuple[Any, ...], message: str) -> str:
    """Return one line: which step, which batch, what happened, what helps."""
    shapes = ", ".join(
        f"{str(part.dtype).removeprefix('torch.')} {tuple(part.shape)}"
        if isinstance(part, Tensor)
        else type(part).__name__
        for part in batch
    )
    first = next((line.strip() for line in message.splitlines() if line.strip()), "no message")
    hint = next((f"; {hint}" for words, hint in HINTS.items() if words in message), "")
    return f"{name} failed on a batch of {shapes}: {first}{hint}"


def _check_result(name: str, result: Any) -> None:
    """Refuse what is not ``(loss, metrics)``, before it is used."""
    pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)
    if not pair or not all(isinstance(v, Tensor) for v in (result[0], *result[1].values())):
        raise TypeError(
            f"{name} must return (loss, metrics), a tensor and a dict of tensors such as "
            "{'accuracy': …}; leave out .item(), which waits for the device"
        )
    loss, metrics = result
    for what, value in {"the loss": loss, **metrics}.items():
        if value.ndim:
            raise ValueError(
                f"{name} returned {what} of shape {tuple(value.shape)}: return its mean over the "
                "batch, a scalar"
            )
    if "loss" in metrics or "epoch" in metrics:
        raise ValueError(f"{name} names a metric 'loss' or 'epoch': the history needs these names")
    if torch.is_grad_enabled() and not loss.requires_grad:
        raise ValueError(
            f"{name} returned a loss that does not depend on the model's parameters: compute it "
            "from model(x), without detach, no_grad or item, and with parameters that require grad"
        )
