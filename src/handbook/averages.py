"""Averages over the examples of an epoch, without waiting for the device in between."""

from typing import Any

import torch
from torch import Tensor

from . import distributed


class Averages:
    """Collect loss and metrics of each batch as tensors; turn them into numbers at the end."""

    def __init__(self, epoch: int | None = None) -> None:
        self.epoch = epoch
        self.sizes: list[int] = []
        self.values: dict[str, list[Tensor]] = {}

    def add(self, size: int, loss: Tensor, metrics: dict[str, Tensor]) -> None:
        """Note one batch of ``size`` examples."""
        self.sizes.append(size)
        self.values.setdefault("loss", []).append(loss.detach())
        for name, value in metrics.items():
            self.values.setdefault(name, []).append(value.detach())

    def means(self) -> dict[str, float]:
        """Return the mean of each value over all examples of all ranks."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        sums: dict[str, float] = {}
        for name, values in self.values.items():
            numbers = torch.stack(values).cpu().double()
            if name == "loss" and self.epoch is not None and not numbers.isfinite().all():
                step = int((~numbers.isfinite()).nonzero()[0]) + 1
                raise RuntimeError(
                    f"the loss is {numbers[step - 1]:g} in epoch {self.epoch}, step {step}: lower "
                    "the learning rate, clip gradients (clip=1.0), or look for nan in the data"
                )
            sums[name] = float(numbers @ sizes)
        parts: list[tuple[float, dict[str, Any]]] = distributed.gather((float(sizes.sum()), sums))
        total = sum(size for size, _ in parts)
        if not total:
            raise ValueError("no batches: the data is empty, or a generator that was used up")
        names = {name: None for _, part in parts for name in part}
        return {name: sum(part.get(name, 0.0) for _, part in parts) / total for name in names}
