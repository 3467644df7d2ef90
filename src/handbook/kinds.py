"""Names for the types in signatures."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

Data = Iterable[Any]  # of batches: each a tuple of tensors, or one tensor
Device = torch.device | str | None
Optimizer = torch.optim.Optimizer
Path = str | os.PathLike[str]
Row = dict[str, Any]  # of the history: "epoch", an int, and numbers by name
Schedule = torch.optim.lr_scheduler.LRScheduler

OnEpoch = Callable[[Row], object]
Step = Callable[..., tuple[Tensor, dict[str, Tensor]]]  # (model, *batch) -> (loss, metrics)
Forward = Callable[..., tuple[Tensor, dict[str, Tensor]]]  # (*batch) -> (loss, metrics)
