"""The training loop of the handbook, all of it: read it, copy it, change it."""

import torch
from torch import nn

from . import distributed
from .averages import Averages
from .batches import walk
from .checkpoint import Checkpoint
from .errors import check, explained
from .kinds import Data, Device, OnEpoch, Optimizer, Path, Row, Schedule, Step
from .progress import Progress


@distributed.together()
def fit(
    model: nn.Module, batches: Data, step: Step, *, optimizer: Optimizer,
    schedule: Schedule | None = None, val: Data | None = None, epochs: int = 1,
    device: Device = None, clip: float | None = None, checkpoint: Path | None = None,
    on_epoch: OnEpoch | None = None, progress: bool | None = None) -> list[Row]:  # fmt: skip
    """Train a model and return the history; the same line, run again, resumes.

    Parameters
    ----------
    model : nn.Module
        Trained in place, on `device`: by default the accelerator, or else the CPU.
    batches, val : Batches, DataLoader or iterable
        Tuples of tensors ``(B, …)`` to train on, and to evaluate on after each epoch.
    step : callable
        ``step(model, *batch) -> (loss, metrics)``, scalars ``()``: means over the batch.
    optimizer : Optimizer
        Stepped once per batch; before that, `clip` bounds the norm of the gradient.
    schedule : LRScheduler
        Stepped once per batch, after the optimizer.
    epochs : int
        The total: those that the file `checkpoint` holds already are not trained again.
    on_epoch : callable
        Called with each new row of the history; a true answer ends the training.
    progress : bool
        Show a bar; by default where somebody watches: on a terminal, in a notebook.

    Returns
    -------
    list of dict
        ``{"epoch": 1, "loss": …, "accuracy": …, "val_loss": …}``: means over all examples.

    Examples
    --------
    >>> from handbook import regress
    >>> x, model = torch.ones(8, 1), nn.Linear(1, 1)
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> fit(model, [(x, 3 * x)], regress, optimizer=sgd, epochs=50)[-1]["loss"] < 0.01
    True
    """
    device = distributed.start(device)
    check(model.to(device), optimizer, schedule, batches, epochs)
    saved = Checkpoint(checkpoint, model, optimizer, schedule, batches, val, device)
    history, bar = saved.resume(), Progress(progress, epochs, batches)
    while len(history) < epochs and not (on_epoch and saved.stopped):
        epoch = len(history) + 1
        averages, forward = Averages(epoch), distributed.parallel(explained(step), model.train())
        for batch, size, share in bar.watch(walk(batches, device, epoch), epoch):
            optimizer.zero_grad()
            loss, metrics = forward(*batch)  # step(model, *batch)
            loss.backward(share)  # share: None, or the weight of this process's part
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            if schedule is not None:
                schedule.step()
            averages.add(size, loss, metrics)  # still tensors: nothing waits for the device
        row = {"epoch": epoch, **averages.means()}
        distributed.synchronize(model)
        if val is not None:
            row |= {f"val_{k}": v for k, v in evaluate(model, val, step, device=device).items()}
        history.append(row)
        bar.row(row)
        saved.save(history, stopped=on_epoch is not None and on_epoch(row))
    saved.finish()
    return history


@distributed.together()
def evaluate(model: nn.Module, batches: Data, step: Step, *, device: Device = None) -> Row:
    """Return loss and metrics as floats, means over all examples; the parameters are fit's.

    Examples
    --------
    >>> from handbook import Batches, regress
    >>> evaluate(nn.Identity(), Batches(torch.ones(5), torch.zeros(5), batch_size=2), regress)
    {'loss': 1.0, 'mae': 1.0}
    """
    device, training, forward = distributed.start(device), model.training, explained(step)
    model, averages = model.to(device).eval(), Averages()
    with torch.no_grad():
        for batch, size, _ in walk(batches, device):
            averages.add(size, *forward(model, *batch))
    model.train(training)
    return averages.means()
