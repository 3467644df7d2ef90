"""How much memory autograd keeps for the backward pass."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


class SavedMemory:
    """Count what the operations inside a ``with`` block keep for the backward pass.

    The block may be entered again, and then all that it has seen is counted together.

    Parameters
    ----------
    exclude : iterable of Tensor
        Tensors whose memory does not count, such as inputs and weights, which exist anyway.

    Attributes
    ----------
    nbytes : int
        Bytes that are kept at this moment, each piece of memory once.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(3, requires_grad=True)
    >>> with SavedMemory() as saved:
    ...     y = (x**2).sum()
    >>> saved.nbytes
    12
    >>> y.backward()
    >>> saved.nbytes
    0
    """

    def __init__(self, exclude: Iterable[Tensor] = ()) -> None:
        self._excluded = [tensor.detach() for tensor in exclude]  # kept, so no address is reused
        self._kept: weakref.WeakSet[Tensor] = weakref.WeakSet()
        self._hooks: list[saved_tensors_hooks] = []

    def __enter__(self) -> Self:
        """Start to watch."""
        self._hooks.append(saved_tensors_hooks(self._pack, Tensor.detach))
        self._hooks[-1].__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching; saved tensors still count."""
        self._hooks.pop().__exit__(kind, error, trace)

    def _pack(self, tensor: Tensor) -> Tensor:
        kept = tensor.detach()  # only the graph holds it, so it goes when the graph goes
        self._kept.add(kept)
        return kept

    @property
    def nbytes(self) -> int:
        """Bytes that are kept at this moment, each piece of memory once."""
        excluded = {tensor.untyped_storage().data_ptr() for tensor in self._excluded}
        storages = [tensor.untyped_storage() for tensor in self._kept]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        return sum(size for place, size in sizes.items() if place not in excluded)
