"""Checks before, during and after an epoch, each with an error that says what to do."""

import warnings
from collections.abc import Iterable
from typing import Any, SupportsIndex

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from . import distributed
from ._typing import (
    BatchIterable,
    EpochMetrics,
    LRScheduler,
    Optimizer,
    SchedulerInterval,
    Step,
)

# Before an epoch


def validate_arguments(
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    scheduler_interval: SchedulerInterval | None,
    val: BatchIterable | None,
    epochs: int,
    max_grad_norm: float | None,
) -> None:
    """Refuse arguments of `fit` that do not belong together, before an epoch is spent on them.

    Raises
    ------
    ValueError
        If the optimizer is not that of the model, the scheduler not that of the optimizer, or a
        setting is out of range.
    TypeError
        If the model is wrapped already, the optimizer needs a closure, or ``epochs`` is not whole.
    """
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise TypeError("give fit the bare model: it wraps it in DistributedDataParallel itself")
    named = [*model.named_parameters(), *model.named_buffers()]
    lazy = [name for name, tensor in named if nn.parameter.is_lazy(tensor)]
    if lazy:
        raise ValueError(
            f"{lazy[0]} has no size yet: run the model once, model(x), and make the optimizer then"
        )
    _validate_optimizer(model, optimizer)
    _validate_scheduler(optimizer, scheduler, scheduler_interval, val)
    alone = distributed.world_size() == 1  # otherwise some ranks may have none
    if alone and val is not None and num_batches(val) == 0:
        raise ValueError("val has no batches: the data is empty; pass data, or omit val")
    if not isinstance(epochs, SupportsIndex):
        raise TypeError(f"epochs is {epochs!r}: it must be a whole number")
    if max_grad_norm is not None and not max_grad_norm > 0:
        raise ValueError(
            f"max_grad_norm is {max_grad_norm}: it must be positive; omit it to disable clipping"
        )


def _validate_optimizer(model: nn.Module, optimizer: Optimizer) -> None:
    if isinstance(optimizer, torch.optim.LBFGS):
        raise TypeError(
            "LBFGS computes the loss several times in a step, which fit cannot do: write the loop "
            "by hand, or use another optimizer such as AdamW"
        )
    of_model = {id(parameter) for parameter in model.parameters()}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    foreign = [parameter for parameter in held if id(parameter) not in of_model]
    if len(foreign) == len(held):
        raise ValueError(
            "the optimizer holds no parameter of this model: make it again from model.parameters()"
        )
    if foreign:
        raise ValueError(
            f"the optimizer holds {len(foreign)} parameters that the model does not have, the "
            f"first of shape {tuple(foreign[0].shape)}: make what they belong to, such as a loss, "
            "a module of the model, so that they are moved and saved with it"
        )
    if not any(parameter.requires_grad for parameter in held):
        raise ValueError(
            "no parameter of the optimizer requires a gradient, so nothing would be trained: "
            "call requires_grad_(True) on those that should be"
        )


def _validate_scheduler(
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    interval: SchedulerInterval | None,
    val: BatchIterable | None,
) -> None:
    if scheduler is None:
        if interval is not None:
            raise ValueError(f"scheduler_interval={interval!r}, but there is no scheduler")
        return
    if scheduler.optimizer is not optimizer:
        raise ValueError("the scheduler belongs to another optimizer: make it again from this one")
    if interval not in ("batch", "epoch"):
        raise ValueError(
            "say when the scheduler moves: scheduler_interval='batch' or scheduler_interval='epoch'"
        )
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        if interval == "batch":
            raise ValueError("ReduceLROnPlateau moves by val_loss: scheduler_interval='epoch'")
        if val is None:
            raise ValueError("ReduceLROnPlateau moves by val_loss: pass val=")


def validate_schedule(
    scheduler: LRScheduler | None,
    interval: SchedulerInterval | None,
    batches: BatchIterable,
    epochs: int,
    done: int,
) -> None:
    """Refuse a scheduler whose end comes before that of the training, of which some may be done.

    Raises
    ------
    ValueError
        If a `OneCycleLR` would end, or a `CosineAnnealingLR` climb again, on the way.
    """
    per_epoch = num_batches(batches) if interval == "batch" else 1
    if scheduler is None or per_epoch is None or epochs <= done:
        return
    parts = getattr(scheduler, "_schedulers", [])  # a ChainedScheduler has no number of its own
    steps = getattr(scheduler, "last_epoch", parts[0].last_epoch if parts else 0)
    start = "start again with another checkpoint path and" if done else "make it with"
    for part, name, end, last in _ends(scheduler, steps + (epochs - done) * per_epoch):
        if end < last:
            what = "ends" if name == "total_steps" else "climbs again"
            raise ValueError(
                f"{type(part).__name__} {what} after {name}={end} steps, but this training needs "
                f"{last}, one per {interval}: {start} {name}={last}"
            )


def _ends(scheduler: Any, last: int) -> Iterable[tuple[Any, str, int, int]]:
    """Yield each scheduler that has an end: the name of its setting, its value, what is needed."""
    if isinstance(scheduler, lr_scheduler.SequentialLR):
        starts = [0, *scheduler._milestones]
        stops = [*scheduler._milestones, last]
        for part, start, stop in zip(scheduler._schedulers, starts, stops, strict=True):
            yield from _ends(part, min(stop, last) - start)
    elif isinstance(scheduler, lr_scheduler.ChainedScheduler):
        for part in scheduler._schedulers:
            yield from _ends(part, last)
    elif isinstance(scheduler, lr_scheduler.OneCycleLR):
        yield scheduler, "total_steps", scheduler.total_steps, last
    elif isinstance(scheduler, lr_scheduler.CosineAnnealingLR):
        yield scheduler, "T_max", scheduler.T_max, last


def num_batches(batches: BatchIterable) -> int | None:
    """Return how many batches there are; None for a generator or a loader of a stream."""
    try:
        return len(batches)  # type: ignore[arg-type]
    except TypeError:
        return None


# During an epoch


def annotate_errors(step: Step) -> Step:
    """Return ``step`` with its result checked; its errors gain a note about model and batch."""
    name = getattr(step, "__name__", type(step).__name__)

    def annotated(model: nn.Module, *batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        try:
            result = step(model, *batch)
        except Exception as error:
            where = "" if torch.is_grad_enabled() else " in evaluation"
            error.add_note(f"{name} failed on a batch of {_describe(batch)}{where}")
            for hint in _hints(error, model, batch):
                error.add_note(hint)
            raise
        _check_result(name, result)
        return result

    return annotated


def _describe(batch: tuple[Any, ...]) -> str:
    """Write types and shapes, such as ``float32 (10, 6), int64 (10,)``."""
    return ", ".join(
        f"{_dtype(part)} {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__
        for part in batch
    )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _hints(error: Exception, model: nn.Module, batch: tuple[Any, ...]) -> Iterable[str]:
    """Yield what may be wrong with the batch, and what to do about it."""
    if isinstance(error, torch.OutOfMemoryError):
        yield "use a smaller batch_size or a smaller model"
        return
    tensors = [part for part in batch if isinstance(part, Tensor)]
    floats = {_dtype(p) for p in model.parameters() if p.is_floating_point()}
    first = tensors[0] if tensors else torch.zeros(())
    takes_indices = any(isinstance(m, nn.Embedding | nn.EmbeddingBag) for m in model.modules())
    wrong = _dtype(first) not in floats and (first.is_floating_point() or not takes_indices)
    if isinstance(error, RuntimeError) and floats and first.ndim and wrong:
        yield (
            f"x is {_dtype(first)}, but the model is {', '.join(sorted(floats))}: unless the "
            "model converts it, pass x.float()"
        )
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d) and m.training]
    if isinstance(error, ValueError) and first.ndim and len(first) == 1 and norms:
        yield "BatchNorm1d cannot train on one example: use drop_last=True"
    if isinstance(error, IndexError):
        sizes = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
        for x in tensors:
            if sizes and not x.is_floating_point() and x.numel() and int(x.max()) >= max(sizes):
                yield (
                    f"an index is {int(x.max())}, but an embedding of {max(sizes)} rows takes "
                    f"indices from 0 to {max(sizes) - 1}"
                )


def _check_result(name: str, result: Any) -> None:
    """Refuse what is not ``(loss, metrics)``, before it is used."""
    pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)
    if not pair or not all(isinstance(v, Tensor) for v in (result[0], *result[1].values())):
        raise TypeError(
            f"{name} must return (loss, metrics), a tensor and a dict of tensors such as "
            "{'accuracy': …}; leave out .item(), which waits for the device"
        )
    loss, metrics = result
    if loss.ndim or any(value.ndim for value in metrics.values()):
        what, value = next((k, v) for k, v in {"the loss": loss, **metrics}.items() if v.ndim)
        raise ValueError(
            f"{name} returned {what} of shape {tuple(value.shape)}: return its mean over the "
            "batch, a scalar"
        )
    taken = [key for key in metrics if key in ("loss", "epoch") or str(key).startswith("val_")]
    if taken:
        raise ValueError(
            f"{name} names a metric {taken[0]!r}: choose another name, since the history itself "
            "uses 'loss', 'epoch' and those that begin with 'val_'"
        )
    if torch.is_grad_enabled() and not loss.requires_grad:
        raise ValueError(
            f"{name} returned a loss that does not depend on the model's parameters: compute it "
            "from model(x), without detach, no_grad or item, and with parameters that require grad"
        )


# After an epoch


class FiniteCheck:
    """Find parameters and buffers that are no longer finite.

    The last step of an epoch can have a finite loss and a gradient of nan. What is not finite from
    the start, such as a mask of -inf kept as a buffer, is left out, and so are sparse tensors.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.from_start = set(self._not_finite())

    def check(self, epoch: int, step: int) -> None:
        """Look at all of them, once an epoch.

        Raises
        ------
        RuntimeError
            If one is not finite; with its name, and the last step of the epoch.
        """
        found = [name for name in self._not_finite() if name not in self.from_start]
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            why = (
                "a gradient was nan or inf, as that of sqrt is at 0; add a small number before the "
                "root, lower the learning rate, or clip with max_grad_norm=1.0"
            )
            if found[0] in dict(self.model.named_buffers()):
                why = (
                    "the model itself wrote nan or inf into this buffer, as BatchNorm does for an "
                    "input that is too large; look for such values, or lower the learning rate"
                )
            raise RuntimeError(
                f"{found[0]}{more} is not finite after epoch {epoch}, step {step}, although every "
                f"loss was: {why}"
            )

    def _not_finite(self) -> list[str]:
        named = [*self.model.named_parameters(), *self.model.named_buffers()]
        named = [(name, t) for name, t in named if t.is_floating_point() or t.is_complex()]
        named = [(name, t) for name, t in named if t.layout == torch.strided and not t.is_nested]
        if not named:
            return []
        flags = [t.detach().isfinite().all() for _, t in named]
        # After fully_shard each process has seen its share alone, and all of them must agree.
        flags = [flag.full_tensor() if hasattr(flag, "full_tensor") else flag for flag in flags]
        finite = torch.stack(flags).tolist()
        return [name for (name, _), fine in zip(named, finite, strict=True) if not fine]


def check_rates(scheduler: Any, epoch: int) -> None:
    """Look at the learning rates with which an epoch begins; warn if all of them are 0.

    Raises
    ------
    ValueError
        If one is negative, which would raise the loss.
    """
    if scheduler is None:
        return
    name = type(scheduler).__name__
    rates = [round(float(group["lr"]), 12) for group in scheduler.optimizer.param_groups]
    if min(rates) < 0:
        raise ValueError(
            f"{name} has made the learning rate {min(rates):g} before epoch {epoch}, and a "
            "negative rate raises the loss: make the schedule longer, or train for fewer epochs"
        )
    if epoch > 1 and not any(rates):  # a warm-up may begin at 0
        warnings.warn(
            f"{name} has made the learning rate 0 while epochs remain, which change no weights "
            "unless it rises again: make the schedule longer, or train for fewer epochs",
            stacklevel=4,
        )


def step_scheduler(scheduler: Any, row: EpochMetrics) -> None:
    """Move a scheduler at the end of an epoch."""
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        scheduler.step(row["val_loss"])
    else:
        scheduler.step()


def wants_to_stop(answer: object) -> bool:
    """Say whether ``on_epoch_end`` asked to stop: it returns True for that, else nothing.

    Raises
    ------
    TypeError
        If it returned anything but True, False or None, such as a loss.
    """
    if answer is None or isinstance(answer, bool):
        return bool(answer)
    raise TypeError(
        f"on_epoch_end returned {answer!r:.40}: return True to stop, and nothing to continue"
    )
