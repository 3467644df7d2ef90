"""Several processes, one training run: the only code that touches torch.distributed.

Under ``torchrun --nproc-per-node=N script.py`` the same script runs N times, once per *rank*.
Everything here does nothing, and costs nothing, when there is one process.

When a rank fails or is killed, torchrun ends the others within seconds and closes its report with
the error of that rank, unless it came before `init` or is SystemExit. A rank that hangs, or whose
machine loses its power or network, ends the job at the timeout of torch.distributed, after half an
hour.
"""

import atexit
import functools
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ._typing import BoundStep, Device, Step

T = TypeVar("T")

ECHO = 1.0  # seconds: long enough for torchrun to end a rank that only echoes the end of another


def _launched() -> bool:
    """Say whether a launcher such as torchrun left its variables in the environment."""
    needed = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return dist.is_available() and all(name in os.environ for name in needed)


def rank() -> int:
    """Return the number of this process, from 0."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return int(os.environ["RANK"]) if _launched() else 0


def world_size() -> int:
    """Return the number of processes that train together: 1 without torchrun."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return int(os.environ["WORLD_SIZE"]) if _launched() else 1


def init(device: Device = None) -> torch.device:
    """Join the other processes, if there are any, and return the device of this one.

    Parameters
    ----------
    device : torch.device or str, optional
        Where to compute. Default: the accelerator if there is one, else the CPU. Rank *i* of a
        machine takes accelerator *i*.

    Returns
    -------
    torch.device
        With the index of the accelerator where there are several processes.

    Raises
    ------
    ValueError
        If a machine has fewer accelerators than processes.
    """
    if device is None:
        device = torch.accelerator.current_accelerator(check_available=True) or "cpu"
    device = torch.device(device)
    if "TORCHELASTIC_ERROR_FILE" in os.environ:
        report_errors()
    if world_size() == 1:
        return device
    if device.type != "cpu" and device.index is None:
        local, available = int(os.environ.get("LOCAL_RANK", 0)), torch.accelerator.device_count()
        if local >= available:
            raise ValueError(
                f"process {local} of this machine has no accelerator of its own: "
                f"use --nproc-per-node={available}, or fit(..., device='cpu')"
            )
        device = torch.device(device.type, local)
        torch.accelerator.set_device_index(local)
    if not dist.is_initialized():
        backend = "gloo"
        if device.type != "cpu":
            backend = f"cpu:gloo,{device.type}:{dist.get_default_backend_for_device(device)}"
        dist.init_process_group(backend)
        atexit.register(_leave_group)
    return device


def _leave_group() -> None:
    """Leave the group at the end of the script; after an error exit at once, without waiting."""
    if dist.is_initialized() and not hasattr(sys, "last_type"):
        dist.destroy_process_group()


@functools.cache  # once is enough
def report_errors() -> None:
    """Let the error that ends this process stand at the end of torchrun's report.

    When a rank ends, its connections break, and the other ranks raise an error that is only an
    echo. So each rank waits before it ends: torchrun, which looks ten times a second, has then
    seen which rank ended first, and has ended the others before they report anything.
    """
    sys.excepthook = functools.partial(_report_error, sys.excepthook)


def _report_error(
    previous: Callable[..., None],
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """Leave an error that nothing has caught where torchrun looks for it."""
    if isinstance(error, Exception):
        from torch.distributed.elastic.multiprocessing.errors import get_error_handler

        error.add_note(f"on rank {rank()} of {world_size()}")
        if world_size() > 1:
            time.sleep(ECHO)
        if not os.path.exists(os.environ["TORCHELASTIC_ERROR_FILE"]):  # else `record` wrote it
            try:
                raise error
            except Exception:  # what is recorded is the traceback of the error being handled
                get_error_handler().record_exception(error.with_traceback(trace))
    previous(kind, error, trace)


def gather(value: T) -> list[T]:
    """Return the values of all ranks, in order of rank, to each of them."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def any_rank(value: bool) -> bool:
    """Say whether the value is true on at least one rank."""
    return any(gather(value))


def on_rank_zero(call: Callable[..., T], *args: Any) -> T:
    """Let rank 0 alone do something; give every rank its result, or raise its error there."""
    if world_size() == 1:
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


class _StepModule(nn.Module):
    """A step as a module, so that a step may call any method of the model under DDP."""

    def __init__(self, step: Step, model: nn.Module) -> None:
        super().__init__()
        self.step, self.model = step, model

    def forward(self, *batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return self.step(self.model, *batch)


def _sharded_modules(model: nn.Module) -> list[Any]:
    """Return the modules to which ``fully_shard`` was applied."""
    fsdp = sys.modules.get("torch.distributed.fsdp")  # imported by the code that calls it
    if fsdp is None:
        return []
    return [module for module in model.modules() if isinstance(module, fsdp.FSDPModule)]


def is_sharded(model: nn.Module) -> bool:
    """Say whether ``fully_shard`` was applied to the model: it averages gradients by itself."""
    return bool(_sharded_modules(model))


def validate_placement(model: nn.Module) -> None:
    """Refuse a model whose processes must not each have a part of the batch of their own.

    Raises
    ------
    ValueError
        If a parameter was distributed without ``fully_shard``, or besides it, as tensor parallelism
        does, or over some of the processes only.
    """
    tensor = sys.modules.get("torch.distributed.tensor")  # imported by the code that makes one
    if tensor is None or world_size() == 1:
        return
    sharded = is_sharded(model)
    for name, parameter in model.named_parameters():
        if not isinstance(parameter, tensor.DTensor):
            continue
        cuts = [place for place in parameter.placements if not place.is_replicate()]
        if len(cuts) > 1 or not sharded:
            raise ValueError(
                f"{name} is split by tensor parallelism, whose processes need the same batch, "
                "while fit and evaluate give each its own part: write the loop for it yourself"
            )
        members = parameter.device_mesh.size()
        if members != world_size():
            raise ValueError(
                f"{name} is spread over {members} of {world_size()} processes, so they would not "
                "stay equal: call fully_shard with a mesh of all of them"
            )


def validate_sharding(model: nn.Module, checkpoint: bool) -> None:
    """Refuse what `fit` cannot do with a model after ``fully_shard``.

    Raises
    ------
    TypeError
        If a checkpoint is wanted.
    ValueError
        If a parameter that is trained is not sharded, or not as `validate_placement` wants it.
    """
    validate_placement(model)
    if not is_sharded(model):
        return
    if checkpoint:
        raise TypeError(
            "each process has only a share of a model after fully_shard, and checkpoint= would "
            "keep that of rank 0 alone: save with torch.distributed.checkpoint in on_epoch_end"
        )
    from torch.distributed.tensor import DTensor

    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not isinstance(parameter, DTensor):
            raise ValueError(
                f"{name} is not sharded, so nothing would average its gradient over the "
                "processes: call fully_shard on the whole model, once it is complete"
            )


def reshard(model: nn.Module) -> None:
    """Drop the whole weights that a forward pass without a backward pass leaves behind."""
    for module in _sharded_modules(model):
        module.reshard()


def wrap_step(step: Step, model: nn.Module) -> BoundStep:
    """Return ``step`` bound to ``model``; gradients of its loss are averaged over the ranks."""
    if world_size() == 1 or is_sharded(model):
        return functools.partial(step, model)
    wrapped = nn.parallel.DistributedDataParallel(_StepModule(step, model))
    wrapped.broadcast_buffers = False  # once an epoch is enough: see average_buffers
    named = model.named_parameters()
    without_gradient = dict.fromkeys(name for name, p in named if p.requires_grad)
    hooks = [
        parameter.register_post_accumulate_grad_hook(
            lambda _, name=name: without_gradient.pop(name, None)
        )
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    ]
    calls = 0

    def forward(*batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal calls
        calls += 1
        if calls == 2:  # the first step has shown which parameters take part
            for hook in hooks:
                hook.remove()
            _refuse_unused(list(without_gradient))
        result: tuple[Tensor, dict[str, Tensor]] = wrapped(*batch)
        return result

    return forward


def weight_gradient(loss: Tensor, weight: Tensor | None) -> None:
    """Multiply the gradient of a loss by the weight of this rank's part of the batch.

    DDP averages over ranks as if all had equally many examples. With a weight, the average is the
    gradient over all examples of the batch; None stands for 1.
    """
    if weight is not None:
        loss.register_hook(weight.mul)


def average_buffers(model: nn.Module) -> None:
    """Average the buffers over the ranks: the running statistics of BatchNorm."""
    if world_size() == 1:
        return
    named = model.named_parameters()
    _refuse_unused([name for name, p in named if p.requires_grad and p.grad is None])
    for buffer in model.buffers():
        if buffer.is_floating_point():
            mean = buffer.double()
            dist.all_reduce(mean)
            buffer.copy_(mean / world_size())
        else:
            dist.broadcast(buffer, src=0)


def _refuse_unused(names: list[str]) -> None:
    """Refuse parameters without a gradient: each rank waits for those of the others."""
    if names:
        raise RuntimeError(
            f"{', '.join(names[:3])} got no gradient, and with several processes all parameters "
            "must take part in the loss: freeze them with requires_grad_(False)"
        )
