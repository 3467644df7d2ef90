"""The training loop of the handbook, all of it: read it, copy it, change it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import distributed
from .averages import Averages
from .batches import walk
from .progress import bar, visible

Step = Callable[..., tuple[Tensor, dict[str, Tensor]]]


def fit(
    model: nn.Module,
    batches: Iterable[Any],
    step: Step,
    *,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    val: Iterable[Any] | None = None,
    epochs: int = 1,
    device: torch.device | str | None = None,
    clip: float | None = None,
    checkpoint: str | Path | None = None,
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
    progress: bool | None = None,
) -> list[dict[str, Any]]:
    """Train a model and return its history, one row for each epoch."""
    device = distributed.start(device)
    model.to(device)
    parameters = list(model.parameters())
    show = visible(progress) and distributed.rank() == 0
    history: list[dict[str, Any]] = []
    while len(history) < epochs:
        epoch = len(history) + 1
        forward, averages = distributed.parallel(step, model), Averages(epoch)
        model.train()
        steps = walk(batches, device, epoch)
        for batch, size, share in bar(steps, None, f"epoch {epoch}/{epochs}", show):
            optimizer.zero_grad()
            loss, metrics = forward(*batch)
            loss.backward(share)
            if clip is not None:
                nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            if schedule is not None:
                schedule.step()
            averages.add(size, loss, metrics)
        row = {"epoch": epoch, **averages.means()}
        distributed.average_buffers(model)
        if val is not None:
            results = evaluate(model, val, step, device=device)
            row |= {f"val_{name}": value for name, value in results.items()}
        history.append(row)
        if on_epoch is not None and on_epoch(row):
            break
    return history


def evaluate(
    model: nn.Module,
    batches: Iterable[Any],
    step: Step,
    *,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Return loss and metrics of a model, averaged over all examples, without training it."""
    device = distributed.start(device)
    was_training = model.to(device).training
    model.eval()
    averages = Averages()
    with torch.no_grad():
        for batch, size, _ in walk(batches, device):
            averages.add(size, *step(model, *batch))
    model.train(was_training)
    return averages.means()
