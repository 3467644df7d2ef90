"""Batches: tensors indexed a whole batch at a time, seeded, split over ranks."""

import operator
import zlib
from collections.abc import Iterator, Sequence, Sized
from typing import Any, SupportsIndex

import torch
from torch import Tensor
from torch.utils.data import DistributedSampler

from . import distributed
from ._typing import BatchIterable


class Batches:
    """Iterate over tensors in batches, in an order that the seed and the epoch decide.

    Does what a `torch.utils.data.DataLoader` over a `torch.utils.data.TensorDataset` does, many
    times faster: a whole batch is taken with one index operation instead of example by example.

    Parameters
    ----------
    *tensors : Tensor
        Tensors with the examples along axis 0: ``(N, …)``, the same N for all.
    batch_size : int
        Examples in a batch. Under torchrun that is the sum over all ranks, and each rank gets
        its part of every batch.
    shuffle : bool
        Draw a new order for every epoch.
    seed : int
        Decides, with the number of the epoch, the order.
    drop_last : bool
        Leave out the last batch where it is smaller than the others.

    Raises
    ------
    ValueError
        If there is nothing to iterate over, or the tensors differ in length.
    TypeError
        If something is not a tensor.

    Examples
    --------
    >>> x, y = torch.arange(10).reshape(5, 2), torch.arange(5)
    >>> batches = Batches(x, y, batch_size=2)
    >>> len(batches)
    3
    >>> [part.tolist() for part in next(iter(batches))]
    [[[0, 1], [2, 3]], [0, 1]]
    """

    def __init__(
        self,
        *tensors: Tensor,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"Batches takes tensors, but argument {i} is {type(tensor).__name__}: "
                    "convert it with torch.as_tensor"
                )
        lengths = [len(tensor) if tensor.ndim else 0 for tensor in tensors]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"the tensors have {', '.join(map(str, lengths))} examples along axis 0: "
                "they must have the same number"
            )
        if not lengths or lengths[0] == 0:
            raise ValueError("Batches got no examples: axis 0 of each tensor counts them")
        if len({tensor.device for tensor in tensors}) > 1:
            raise ValueError("the tensors are on different devices: move them to one")
        if not isinstance(batch_size, SupportsIndex) or operator.index(batch_size) < 1:
            raise ValueError(f"batch_size is {batch_size}: it must be a whole number, at least 1")
        if drop_last and lengths[0] < batch_size:
            raise ValueError(
                f"drop_last leaves nothing of {lengths[0]} examples with batch_size={batch_size}: "
                "make batch_size smaller"
            )
        self.tensors = tensors
        self.batch_size = operator.index(batch_size)
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 1

    def __len__(self) -> int:
        """Return the number of batches in an epoch, the same on every rank."""
        full, rest = divmod(len(self.tensors[0]), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass; a pass that was finished adds one by itself.

        Parameters
        ----------
        epoch : int
            The number of the pass, from 1.

        Examples
        --------
        >>> batches = Batches(torch.arange(4), batch_size=4, shuffle=True)
        >>> (first,), (second,) = *batches, *batches
        >>> batches.set_epoch(1)
        >>> torch.equal(next(iter(batches))[0], first)
        True
        """
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of the next epoch: tuples with one tensor ``(B, …)`` each."""
        epoch = self.epoch
        for i, (batch, size, _) in enumerate(self._rank_shards(epoch), start=1):
            if i == len(self):  # before the last one: not all who take it ask for another
                self.epoch = epoch + 1
            if size:
                yield batch

    def _rank_shards(self, epoch: int | None) -> Iterator[tuple[tuple[Tensor, ...], int, int]]:
        """Yield this rank's part of each batch, its examples, and those of the whole batch.

        A small last batch is split into pairs, because BatchNorm cannot train on one example. A
        rank that gets nothing is handed two examples that count 0: it must take part in what all
        ranks do together. ``epoch=None`` means: in order.
        """
        order = self._order(epoch)
        rank, world_size = distributed.rank(), distributed.world_size()
        for i in range(len(self)):
            start = i * self.batch_size
            total = min(self.batch_size, len(self.tensors[0]) - start)
            parts = world_size if total == self.batch_size else max(1, min(world_size, total // 2))
            first, last = start + rank * total // parts, start + (rank + 1) * total // parts
            size = last - first if rank < parts else 0
            if not size:
                first, last = start, start + min(2, total)
            if order is None:
                yield tuple(t[first:last].clone() for t in self.tensors), size, total
            else:
                index = order[first:last]
                yield tuple(t.index_select(0, index) for t in self.tensors), size, total

    def _order(self, epoch: int | None) -> Tensor | None:
        """Return the permutation of an epoch, a function of the seed and the epoch alone."""
        if not self.shuffle or epoch is None:
            return None
        # A CPU generator looks at 32 bits of its seed only, so mix both numbers into 32 bits.
        generator = torch.Generator().manual_seed(zlib.crc32(f"{self.seed} {epoch}".encode()))
        order = torch.randperm(len(self.tensors[0]), generator=generator)
        return order.to(self.tensors[0].device)


def iterate_batches(
    batches: BatchIterable, device: torch.device, epoch: int | None = None
) -> Iterator[tuple[Sequence[Any], int, Tensor | None]]:
    """Yield ``(batch, size, grad_weight)`` for each batch, with its tensors on ``device``.

    ``size`` is the number of examples of this rank. ``grad_weight`` is what the gradient must be
    multiplied by so that its average over ranks is the gradient over all examples; None for 1.
    Without an epoch, as for `evaluate`, nothing is shuffled by `Batches`, and an example that a
    `DistributedSampler` repeats to fill up the ranks is left out. A batch of such examples alone
    has size 0.
    """
    if isinstance(batches, Tensor):
        raise TypeError("batches is a tensor: wrap it in Batches(x, batch_size=…)")
    if isinstance(batches, Batches):
        yield from _own_batches(batches, device, epoch)
        return
    announced = _check_split(batches, epoch)
    if epoch is not None:
        for owner in order_keepers(batches):
            if hasattr(owner, "set_epoch"):
                owner.set_epoch(epoch)
    count = seen = 0
    for count, batch in enumerate(batches, start=1):
        if count - 1 == announced:
            break
        parts = [batch] if isinstance(batch, Tensor) else batch
        if not isinstance(parts, list | tuple) or not _counts(parts):
            raise TypeError(
                "a batch must be a tensor (B, …) or a tuple that begins with one, its examples "
                f"along axis 0, but it is {_describe(batch)}"
            )
        size = len(parts[0])
        if epoch is None and (own := _own_examples(batches, seen, size)) < size:
            seen, size = seen + size, own
            if own:  # else the batch counts 0: after fully_shard, all ranks must take part
                parts = [_first(own, part) for part in parts]
        else:
            seen += size
        moved = [p.to(device, non_blocking=True) if hasattr(p, "to") else p for p in parts]
        yield moved, size, None
    if announced not in (None, count):
        given = "more" if count > announced else count
        raise ValueError(
            f"len(loader) is {announced}, but it yielded {given}: with several processes, it must "
            "be right"
        )


def _own_batches(
    batches: Batches, device: torch.device, epoch: int | None
) -> Iterator[tuple[Sequence[Tensor], int, Tensor | None]]:
    """Yield the same for `Batches`."""
    world_size = distributed.world_size()
    there = all(tensor.device == device for tensor in batches.tensors)
    for tensors, size, total in batches._rank_shards(epoch):
        weight = None
        if size * world_size != total:
            weight = torch.full((), size * world_size / total, device=device)
        if not there:
            tensors = tuple(tensor.to(device, non_blocking=True) for tensor in tensors)
        yield tensors, size, weight


def order_keepers(loader: Any) -> list[Any]:
    """Return every object inside a loader that may keep its order or its random numbers."""
    found: dict[int, Any] = {}
    waiting = [loader]
    while waiting:
        one = waiting.pop(0)
        if one is not None and id(one) not in found:
            found[id(one)] = one
            waiting += [
                getattr(one, name, None) for name in ("dataset", "sampler", "batch_sampler")
            ]
            inside = getattr(one, "datasets", None)  # of a ConcatDataset or a StackDataset
            inside = list(inside.values()) if isinstance(inside, dict) else inside
            waiting += inside if isinstance(inside, list | tuple) else []
    return list(found.values())


def _counts(parts: Sequence[Any]) -> bool:
    """Say whether the first part of a batch counts its examples."""
    return len(parts) > 0 and isinstance(parts[0], Tensor) and parts[0].ndim > 0


def _describe(batch: Any) -> str:
    if isinstance(batch, list | tuple):
        return f"a {type(batch).__name__} of {', '.join(map(_describe, batch)) or 'nothing'}"
    if isinstance(batch, Tensor):
        return f"a tensor {tuple(batch.shape)}"
    return f"a {type(batch).__name__}"


def _own_examples(loader: Any, seen: int, size: int) -> int:
    """Return how many of the next ``size`` examples are not repeated by a `DistributedSampler`.

    Its ranks take turns, and behind the end of the data the first examples come again.
    """
    samplers = [one for one in order_keepers(loader) if isinstance(one, DistributedSampler)]
    if not samplers:
        return size
    rank, world_size = samplers[0].rank, samplers[0].num_replicas
    before_the_end = -(-(len(samplers[0].dataset) - rank) // world_size)  # type: ignore[arg-type]
    return min(max(before_the_end - seen, 0), size)


def _first(n: int, part: Any) -> Any:
    """Return the first n examples of a part of a batch, which may hold several tensors."""
    if isinstance(part, dict):
        return {name: _first(n, value) for name, value in part.items()}
    if isinstance(part, list | tuple) and not all(isinstance(value, str) for value in part):
        return [_first(n, value) for value in part]
    return part[:n] if isinstance(part, list | tuple) or getattr(part, "ndim", None) else part


def _check_split(loader: Any, epoch: int | None) -> int | None:
    """Refuse a loader that does not split its data over the ranks, or not equally.

    Return how many batches all ranks have announced; None where that need not hold.
    """
    world_size = distributed.world_size()
    if world_size == 1:
        return None
    if not any(hasattr(owner, "num_replicas") for owner in order_keepers(loader)):
        raise ValueError(
            f"{world_size} processes would each go through all of the data: use handbook.Batches, "
            "or DataLoader(..., sampler=torch.utils.data.DistributedSampler(dataset, "
            "int(os.environ['WORLD_SIZE']), int(os.environ['RANK'])))"
        )
    if epoch is not None and isinstance(loader, Sized):
        lengths = set(distributed.gather(len(loader)))
        if len(lengths) > 1:
            raise ValueError(
                f"the processes have {min(lengths)} to {max(lengths)} batches: give all of them "
                "equally many, or they wait for each other until the timeout"
            )
        return len(loader)
    return None
