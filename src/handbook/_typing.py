"""Names for the types in signatures."""

import os
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor

BatchIterable = Iterable[Any]  # of batches: each a tuple of tensors, or one tensor
Device = torch.device | str | None
EpochMetrics = dict[str, Any]  # a row of the history: "epoch", an int, and numbers by name
LRScheduler = torch.optim.lr_scheduler.LRScheduler
Optimizer = torch.optim.Optimizer
Path = str | os.PathLike[str]
SchedulerInterval = Literal["batch", "epoch"]

OnEpochEnd = Callable[[EpochMetrics], bool | None]
Step = Callable[..., tuple[Tensor, dict[str, Tensor]]]  # (model, *batch) -> (loss, metrics)
BoundStep = Callable[..., tuple[Tensor, dict[str, Tensor]]]  # (*batch) -> (loss, metrics)
