"""Several processes, one training run: the only code that touches torch.distributed.

Under ``torchrun --nproc-per-node=N script.py`` the same script runs N times, once per *rank*.
Everything here does nothing, and costs nothing, when there is one process.
"""

import atexit
import functools
import os
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .kinds import Device, Forward, Step

T = TypeVar("T")


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
        dist.init_process_group(backend)
        atexit.register(_stop)
    return device


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
