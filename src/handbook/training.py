"""The training loop of the handbook, all of it: read it, copy it, change it."""

import torch
from torch import nn

from . import distributed
from ._modes import evaluation_mode, training_mode
from ._running_means import RunningMeans
from ._typing import (
    BatchIterable,
    Device,
    EpochMetrics,
    LRScheduler,
    OnEpochEnd,
    Optimizer,
    Path,
    SchedulerInterval,
    Step,
)
from .batches import iterate_batches
from .checkpoint import Checkpoint
from .progress import ProgressBar
from .rng import RandomStreams
from .validation import (
    FiniteCheck,
    annotate_errors,
    check_rates,
    step_scheduler,
    validate_arguments,
    validate_schedule,
    wants_to_stop,
)


def fit(
    model: nn.Module,
    batches: BatchIterable,
    step: Step,
    *,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
    scheduler_interval: SchedulerInterval | None = None,
    val: BatchIterable | None = None,
    epochs: int = 1,
    device: Device = None,
    max_grad_norm: float | None = None,
    checkpoint: Path | None = None,
    on_epoch_end: OnEpochEnd | None = None,
    progress: bool | None = None,
) -> list[EpochMetrics]:
    """Train a model and return the history; the same line, run again, resumes.

    Parameters
    ----------
    model : nn.Module
        Trained in place, on ``device``. A module inside it that is in evaluation mode, such as a
        frozen BatchNorm, stays so, unless the whole model is in evaluation mode. Each epoch begins
        with the modes of the start.
    batches : Batches, DataLoader or iterable
        Yields the batches of one epoch: tuples of tensors ``(B, …)``.
    step : callable
        ``step(model, *batch) -> (loss, metrics)``: the loss, and a dict of metrics by name; all of
        them tensors ``()``, means over the batch.
    optimizer : Optimizer
        Holds parameters of the model, and updates them once per batch.
    scheduler : LRScheduler, optional
        Changes the learning rate while the model trains.
    scheduler_interval : {"batch", "epoch"}
        When the scheduler moves: after each batch, or after each epoch. Required with a scheduler.
        A ``ReduceLROnPlateau`` moves per epoch, by the ``val_loss``.
    val : Batches, DataLoader or iterable, optional
        What the model is evaluated on after each epoch, as ``batches``.
    epochs : int
        Total number of epochs; when resuming, only the remaining ones run.
    device : torch.device or str, optional
        Where to compute. By default the accelerator if there is one, else the CPU.
    max_grad_norm : float, optional
        Clip the gradient so that its norm, over all parameters of the optimizer, is at most this.
    checkpoint : path-like, optional
        File to write at the end of each epoch, and to resume from if it is there. Refused for a
        model after ``fully_shard``: save that with ``torch.distributed.checkpoint``.
    on_epoch_end : callable, optional
        Called with each new row of the history, after it was saved. Return True to stop.
    progress : bool, optional
        Show a progress bar. By default on a terminal and in a notebook.

    Returns
    -------
    list of dict
        ``{"epoch": 1, "loss": …, "accuracy": …, "val_loss": …}``: means over all examples.

    Raises
    ------
    ValueError, TypeError
        If the arguments do not fit together; before the first batch wherever that is possible.
    RuntimeError
        If the loss or a parameter is not finite. The checkpoint of the epoch before stays.
    CheckpointError
        If the checkpoint is damaged or belongs to another run, or cannot be written.

    Examples
    --------
    >>> from handbook import regression_step
    >>> x, model = torch.ones(8, 1), nn.Linear(1, 1)
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> fit(model, [(x, 3 * x)], regression_step, optimizer=sgd, epochs=50)[-1]["loss"] < 0.01
    True
    """
    device = distributed.init(device)
    model.to(device)
    validate_arguments(model, optimizer, scheduler, scheduler_interval, val, epochs, max_grad_norm)
    distributed.validate_sharding(model, checkpoint is not None)
    streams = RandomStreams(device, batches, val)
    streams.fork_ranks()
    history: list[EpochMetrics] = []
    stopped = False
    run = None
    if checkpoint is not None:
        run = Checkpoint(checkpoint, model, optimizer, scheduler, scheduler_interval, streams)
        history, stopped = run.load()
    validate_schedule(scheduler, scheduler_interval, batches, epochs, len(history))

    finite = FiniteCheck(model)
    bar = ProgressBar(progress, epochs, batches)
    with training_mode(model) as set_modes:
        forward = distributed.wrap_step(annotate_errors(step), model)
        while len(history) < epochs and not (stopped and on_epoch_end):
            epoch = len(history) + 1
            check_rates(scheduler, epoch)
            set_modes()  # on_epoch_end may have changed them
            means = RunningMeans(epoch)
            steps = bar.track(iterate_batches(batches, device, epoch), epoch)
            for batch, size, grad_weight in steps:
                optimizer.zero_grad()
                loss, metrics = forward(*batch)  # step(model, *batch)
                distributed.weight_gradient(loss, grad_weight)  # nothing to do in one process
                loss.backward()
                if max_grad_norm is not None:
                    trained = [p for group in optimizer.param_groups for p in group["params"]]
                    nn.utils.clip_grad_norm_(trained, max_grad_norm)
                optimizer.step()
                if scheduler is not None and scheduler_interval == "batch":
                    scheduler.step()
                means.add(size, loss, metrics)  # still tensors: nothing waits for the device

            row = {"epoch": epoch, **means.compute()}
            distributed.average_buffers(model)
            finite.check(epoch, means.steps)
            if val is not None:
                scores = evaluate(model, val, step, device=device)
                row |= {f"val_{name}": value for name, value in scores.items()}
            if scheduler_interval == "epoch":
                step_scheduler(scheduler, row)
            history.append(row)
            bar.finish_epoch(row)
            if run is not None:
                run.save(history, stopped=False)
            if on_epoch_end is not None:
                stopped = distributed.any_rank(wants_to_stop(on_epoch_end(row)))
                if run is not None:  # on_epoch_end may have changed the row, or the rate
                    run.save(history, stopped)
    streams.rejoin_ranks()
    return history


def evaluate(
    model: nn.Module, batches: BatchIterable, step: Step, *, device: Device = None
) -> dict[str, float]:
    """Return loss and metrics of a model, means over all examples, without training it.

    Parameters
    ----------
    model : nn.Module
        Moved to ``device``. It runs in evaluation mode; afterwards each of its modules has the
        mode it had before.
    batches : Batches, DataLoader or iterable
        Tuples of tensors ``(B, …)``. `Batches` are taken in order, without shuffling.
    step : callable
        ``step(model, *batch) -> (loss, metrics)``, as for `fit`.
    device : torch.device or str, optional
        Where to compute. By default the accelerator if there is one, else the CPU.

    Returns
    -------
    dict
        ``{"loss": …, "accuracy": …}``: floats, in the units of the step.

    Raises
    ------
    ValueError
        If there are no batches, or if the model is split by tensor parallelism.

    Examples
    --------
    >>> from handbook import Batches, regression_step
    >>> batches = Batches(torch.ones(5), torch.zeros(5), batch_size=2)
    >>> evaluate(nn.Identity(), batches, regression_step)
    {'loss': 1.0, 'mae': 1.0}
    """
    device = distributed.init(device)
    model.to(device)
    distributed.validate_placement(model)
    forward = annotate_errors(step)
    means = RunningMeans()
    try:
        with evaluation_mode(model), torch.no_grad():
            for batch, size, _ in iterate_batches(batches, device):
                means.add(size, *forward(model, *batch))
    finally:
        distributed.reshard(model)
    return means.compute()
