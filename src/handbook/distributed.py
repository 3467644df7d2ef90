"""Several processes, one training run: the only code that touches torch.distributed.

Under ``torchrun --nproc-per-node=N script.py`` the same script runs N times, once per *rank*.
Everything here does nothing, and costs nothing, when there is one process.

No process waits for one that failed: when `fit` or `evaluate` ends with an error on one rank, it
closes the connections, so that the others get an error, too, at once. A script that catches it can
go on, but not train on several processes again: they have parted. Out of reach are, until the
timeout of torch.distributed, half an hour:

- a process that hangs, is stopped (SIGSTOP) or whose machine lost its power or network,
- one that fails or goes its own way outside of `fit` and `evaluate`, and does not end; or that ends
  before it has joined the others (torchrun ends those),
- a process group that the script opened itself: without the variables of torchrun it is left as it
  is; with them, worker processes of a DataLoader that outlive the error keep its connections open,
- on accelerators, a process in the middle of an operation of NCCL, which need not notice.
"""

import atexit
import contextlib
import functools
import os
import re
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from weakref import WeakSet

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .kinds import Device, Forward, Step

T = TypeVar("T")
SOCKETS: set[tuple[int, int]] = set()  # that connect the processes
PARTED: list[str] = []  # after which error
WRAPPED: WeakSet[nn.parallel.DistributedDataParallel] = WeakSet()  # each holds the connections


def _launched() -> bool:
    """Say whether a launcher such as torchrun left its variables in the environment."""
    needed = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return dist.is_available() and all(name in os.environ for name in needed)


def rank() -> int:
    """Return the number of this process, from 0."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return int(os.environ["RANK"]) if _launched() else 0


def world() -> int:
    """Return the number of processes that train together: 1 without torchrun."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return int(os.environ["WORLD_SIZE"]) if _launched() else 1


def start(device: Device = None) -> torch.device:
    """Join the other processes, if there are any, and return the device of this one.

    Parameters
    ----------
    device : torch.device or str, optional
        Where to compute. Default: the accelerator if there is one, else the CPU. Rank *i* of a
        machine takes accelerator *i*.

    Raises
    ------
    ValueError
        If a machine has fewer accelerators than processes.
    RuntimeError
        If an error has parted the processes before.
    """
    if device is None:
        device = torch.accelerator.current_accelerator(check_available=True) or "cpu"
    device = torch.device(device)
    if world() == 1:
        return device
    if device.type != "cpu" and device.index is None:
        local, have = int(os.environ.get("LOCAL_RANK", 0)), torch.accelerator.device_count()
        if local >= have:
            raise ValueError(
                f"process {local} of this machine has no accelerator of its own: "
                f"use --nproc-per-node={have}, or fit(..., device='cpu')"
            )
        device = torch.device(device.type, local)
        torch.accelerator.set_device_index(local)
    if not dist.is_initialized():
        backend = "gloo"
        if device.type != "cpu":
            backend = f"cpu:gloo,{device.type}:{dist.get_default_backend_for_device(device)}"
        if PARTED:
            raise RuntimeError(
                f"the processes have parted after an error ({PARTED[0]}): start the script again"
            )
        before = _sockets()
        dist.init_process_group(backend)
        SOCKETS.update(_sockets() - before)
        gather(None)  # nobody may fail, and close, before all have joined
        atexit.register(_stop)
    return device


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Let an error of one rank be an error of all ranks: nobody waits for one that failed.

    Raises
    ------
    RuntimeError
        On the other ranks, where each says that the cause is to be found elsewhere.
    """
    try:
        yield
    except BaseException as error:
        broken = world() > 1 and isinstance(error, dist.DistError)
        elsewhere = broken or "gloo/transport" in str(error)
        first = next(iter(str(error).splitlines()), type(error).__name__)
        _leave("another process failed" if elsewhere else first)
        if elsewhere:
            raise RuntimeError(
                "another process failed, ended or does not answer: mend what its own error says, "
                "and run the same line again"
            ) from error
        raise


def _leave(reason: str) -> None:
    """Close the connections to the other ranks, even while a debugger looks at the error."""
    if dist.is_available() and dist.is_initialized() and _launched():
        for wrapped in WRAPPED:
            for name in ("reducer", "logger", "process_group"):
                vars(wrapped).pop(name, None)
        for number, _ in SOCKETS & _sockets():  # which workers of a DataLoader may hold, too
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as connection:
                connection.getpeername()  # an error for one that listens, which must go on
                connection.shutdown(socket.SHUT_RDWR)
        SOCKETS.clear()
        PARTED.append(reason)
        if (group := dist.group.WORLD) is not None:
            group.abort()  # NCCL would wait
        dist.destroy_process_group()


def _sockets() -> set[tuple[int, int]]:
    """Return the open sockets of this process, by number and identity; on Windows none."""
    found = set()
    for name in os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else []:
        with contextlib.suppress(OSError):  # that of the folder itself is closed already
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                found.add((int(name), status.st_ino))
    return found


def _stop() -> None:
    """Leave the group at the end of the script; after an error leave at once, without waiting."""
    if dist.is_initialized() and not hasattr(sys, "last_type"):
        dist.destroy_process_group()


def gather(value: T) -> list[T]:
    """Return the values of all ranks, in order of rank, to each of them."""
    if world() == 1:
        return [value]
    values: list[Any] = [None] * world()
    dist.all_gather_object(values, value)
    return values


def on_first(call: Callable[..., T], *args: Any) -> T:
    """Let rank 0 alone do something; give every rank its result, or raise its error there."""
    if world() == 1:
        return call(*args)
    answer: list[Any] = [None, None]
    if rank() == 0:
        try:
            answer[0] = call(*args)
        except Exception as error:
            answer[1] = error
    dist.broadcast_object_list(answer, src=0)
    if answer[1] is not None:
        raise answer[1]
    result: T = answer[0]
    return result


class _Step(nn.Module):
    """A step as a module, so that a step may call any method of the model under DDP."""

    def __init__(self, step: Step, model: nn.Module) -> None:
        super().__init__()
        self.step, self.model = step, model

    def forward(self, *batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return self.step(self.model, *batch)


def parallel(step: Step, model: nn.Module) -> Forward:
    """Return ``step`` bound to ``model``; gradients of its loss are averaged over the ranks."""
    if world() == 1:
        return functools.partial(step, model)
    wrapped = nn.parallel.DistributedDataParallel(_Step(step, model))
    wrapped.broadcast_buffers = False  # once an epoch is enough: see synchronize
    WRAPPED.add(wrapped)

    def forward(*batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        try:
            result: tuple[Tensor, dict[str, Tensor]] = wrapped(*batch)
        except RuntimeError as error:
            found = re.search(r"did not receive grad for rank \d+: ([\d ]+)", str(error))
            names = [name for name, p in model.named_parameters() if p.requires_grad]
            if found:
                _refuse_unused([names[int(index)] for index in found[1].split()])
            raise
        return result

    return forward


def synchronize(model: nn.Module) -> None:
    """Average the buffers over the ranks: the running statistics of BatchNorm."""
    if world() == 1:
        return
    named = model.named_parameters()
    _refuse_unused([name for name, p in named if p.requires_grad and p.grad is None])
    for buffer in model.buffers():
        if buffer.is_floating_point():
            mean = buffer.double()
            dist.all_reduce(mean)
            buffer.copy_(mean / world())
        else:
            dist.broadcast(buffer, src=0)


def _refuse_unused(names: list[str]) -> None:
    """Refuse parameters without a gradient: the ranks wait in vain for those of each other."""
    if names:
        raise RuntimeError(
            f"{', '.join(names[:3])} got no gradient, and with several processes all parameters "
            "must take part in the loss: freeze them with requires_grad_(False)"
        )
