"""Means over the examples of an epoch, without waiting for the device in between."""

import torch
from torch import Tensor

from . import distributed

CHUNK = 1024  # so many batches are kept one by one; then they are put into one tensor


class RunningMeans:
    """Collect loss and metrics of each batch as tensors; turn them into numbers at the end.

    Parameters
    ----------
    epoch : int, optional
        The epoch of a training run, in which the loss must stay finite.
    """

    def __init__(self, epoch: int | None = None) -> None:
        self.epoch = epoch
        self.sizes: list[int] = []
        self.values: list[dict[str, Tensor]] = []
        self.chunks: list[dict[str, Tensor]] = []

    @property
    def steps(self) -> int:
        """How many batches were added."""
        return len(self.sizes)

    def add(self, size: int, loss: Tensor, metrics: dict[str, Tensor]) -> None:
        """Note the means ``()`` over one batch of ``size`` examples."""
        self.sizes.append(size)
        values = {"loss": loss.detach(), **metrics}
        for name, value in metrics.items():
            if value.requires_grad:
                values[name] = value.detach()
        self.values.append(values)
        if len(self.values) == CHUNK:
            self._pack()

    def compute(self) -> dict[str, float]:
        """Return the mean of each value over all examples of all ranks.

        Raises
        ------
        ValueError
            If there were no batches, or not all of them had the same metrics.
        RuntimeError
            If the loss of a training step is not finite.
        """
        parts = distributed.gather(self._sums())
        wrong = min((first for _, _, first in parts if first), default=None)
        if self.epoch is not None and wrong:
            raise RuntimeError(
                f"the loss is {wrong[1]} in epoch {self.epoch}, step {wrong[0]}: lower the "
                "learning rate, clip the gradient (max_grad_norm=1.0), or look for nan and inf "
                "in the data"
            )
        total = sum(examples for examples, _, _ in parts)
        if not total:
            where = " to evaluate on (in fit: val)" if self.epoch is None else ""
            raise ValueError(
                f"there are no batches{where}: the data is empty, or an exhausted generator "
                "(make it a list, a DataLoader or Batches)"
            )
        names = {name: None for _, sums, _ in parts for name in sums}
        return {name: sum(sums.get(name, 0.0) for _, sums, _ in parts) / total for name in names}

    def _pack(self) -> None:
        """Put what was collected one by one into one tensor for each name."""
        if any(values.keys() != self.values[0].keys() for values in self.values):
            raise ValueError(
                "the step returned different metrics for some batches than for others: return "
                "the same names for each batch"
            )
        if self.values:
            names = self.values[0].keys()
            self.chunks.append({k: torch.stack([v[k] for v in self.values]) for k in names})
        self.values = []

    def _sums(self) -> tuple[int, dict[str, float], tuple[int, str] | None]:
        """Return this rank's examples, sums over them, and the first loss that is not finite."""
        self._pack()
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        names = self.chunks[0].keys() if self.chunks else []
        numbers = {k: torch.cat([c[k] for c in self.chunks]).cpu().double() for k in names}
        first = None
        if numbers and not (finite := numbers["loss"].isfinite()).all():
            step = int(finite.logical_not().nonzero()[0])
            first = step + 1, str(numbers["loss"][step].item())
        return sum(self.sizes), {name: float(v @ sizes) for name, v in numbers.items()}, first
