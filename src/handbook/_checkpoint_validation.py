"""What a checkpoint must hold, and what must be the same when training continues from it."""

import copy
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ._typing import LRScheduler, Optimizer, SchedulerInterval

FORMAT = "handbook checkpoint 3"
# Settings of an optimizer that decide how fast, not what: they may change between two runs.
SPEED = {"capturable", "differentiable", "foreach", "fused"}
# What moves in the schedulers of PyTorch; everything else that stays constant is a setting.
MOVING = {
    "last_epoch", "T_cur", "T_i", "best", "num_bad_epochs", "cooldown_counter",
    "_step_count", "_last_lr", "_is_initial", "_get_lr_called_within_step",
}  # fmt: skip
# What the user passed, where a scheduler keeps it under another name.
PASSED_AS = {
    "base_lrs": "base_lr", "max_lrs": "max_lr", "min_lrs": "min_lr", "default_min_lr": "min_lr",
    "base_momentums": "base_momentum", "max_momentums": "max_momentum",
    "anneal_func_type": "anneal_strategy", "total_size": "step_size_up + step_size_down",
    "step_ratio": "step_size_up / (step_size_up + step_size_down)",
    "schedule_phases": "pct_start or three_phase: ends of the phases",
}  # fmt: skip


def find_model_mismatch(saved: dict[str, Any], model: nn.Module) -> str | None:
    """Say how the saved model differs from this one in names, shapes and dtypes."""
    here = model.state_dict()
    differences = [f"it lacks {name}" for name in here if name not in saved]
    differences += [f"it has {name}" for name in saved if name not in here]
    for name in here:
        if isinstance(here[name], Tensor) and name in saved:
            then, now = _describe(saved[name]), _describe(here[name])
            if then != now:
                differences.append(f"{name} was {then} and is {now}")
    differences = differences or _find_tied(saved, here)
    if len(differences) > 3:
        differences[3:] = [f"{len(differences) - 3} more"]
    return "; ".join(differences) or None


def settings_of(
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    interval: SchedulerInterval | None,
) -> dict[str, Any]:
    """Return what must be the same when training continues: types, names and constant numbers."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        "optimizer": type(optimizer).__name__,
        "scheduler": "none" if scheduler is None else _type_of(scheduler),
        "scheduler_interval": interval,
        "parameters": [
            [names[id(parameter)] for parameter in group["params"]]
            for group in optimizer.param_groups
        ],
        "groups": [_group_settings(group) for group in optimizer.param_groups],
        "of scheduler": {} if scheduler is None else dict(_constants(scheduler.state_dict())),
    }


def find_mismatch(state: dict[str, Any], here: dict[str, Any]) -> str | None:
    """Say which setting is not as it was, old and new: loading would silently undo the change.

    A setting of a group may have moved since the start, as a learning rate does. So it may be as it
    was then, or as it was when the file was written. What moved in a scheduler is no setting.
    """
    saved = state["settings"]
    for name in ("optimizer", "scheduler", "scheduler_interval"):
        if saved[name] != here[name]:
            return _changed(name, saved[name], here[name])
    before, after = len(saved["groups"]), len(here["groups"])
    if before != after:
        return f"with {before} parameter group{'s' * (before > 1)}, but now {after}"
    for i, (then, now) in enumerate(zip(saved["parameters"], here["parameters"], strict=True)):
        if then != now:
            missing = [name for name in then if name not in now] or then
            other = [name for name in now if name not in then] or now
            return f"when group {i} of the optimizer held {missing[0]}, but now it holds {other[0]}"
    several = len(here["groups"]) > 1
    for i, now in enumerate(here["groups"]):
        start = saved["groups"][i]
        last = _group_settings(state["optimizer"]["param_groups"][i])
        for name in now:
            then = start.get(name, now[name])  # versions of PyTorch may have more, or fewer
            if now[name] not in (then, last.get(name, then)):
                return _changed(name + several * f" of group {i}", then, now[name])
    start, last = saved["of scheduler"], dict(_constants(state["scheduler"] or {}))
    for name, now in here["of scheduler"].items():
        then = start.get(name, now)
        if then == last.get(name) and then != now:
            return _changed(name, then, now)
    return None


def find_infinite(model: nn.Module, optimizer: Optimizer) -> str | None:
    """Name a moment that is not finite, so that its parameter would never move again."""
    for name, parameter in model.named_parameters():
        for moment, value in optimizer.state.get(parameter, {}).items():
            dense = type(value) is Tensor and not value.is_sparse
            if dense and value.shape == parameter.shape and not value.isfinite().all():
                return f"{moment} of {name}"
    return None


def to_plain(value: Any) -> Any:
    """Return nested containers with NumPy's numbers as Python's: a file holds no others."""
    if isinstance(value, np.generic | np.ndarray) and value.ndim == 0:
        return value.item()
    if type(value) in (dict, OrderedDict, Counter):
        plain = copy.copy(value)  # with its metadata, if it is that of a model
        plain.clear()
        plain.update({to_plain(key): to_plain(part) for key, part in value.items()})
        return plain
    if type(value) in (list, tuple):
        return type(value)(to_plain(part) for part in value)
    return value


def _find_tied(saved: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Say which saved tensors differ although they share memory here: one would be lost."""
    first: dict[Any, str] = {}
    differences = []
    for name, tensor in here.items():
        if isinstance(tensor, Tensor) and tensor.layout == torch.strided and tensor.data_ptr():
            other = first.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()), name)
            if other != name and not torch.equal(saved[other], saved[name]):
                differences.append(f"{other} and {name} were two and are one")
    return differences


def _type_of(scheduler: Any) -> str:
    """Return the type of a scheduler, with those of the schedulers inside it."""
    inside = ", ".join(map(_type_of, getattr(scheduler, "_schedulers", [])))
    return type(scheduler).__name__ + (inside and f"({inside})")


def _changed(name: str, then: object, now: object) -> str:
    return f"with {name}={_shorten(then)}, but now {name}={_shorten(now)}"


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _group_settings(group: dict[str, Any]) -> dict[str, Any]:
    """Return the constant settings of a parameter group: without what a scheduler moves."""
    settings = {
        name: _number(value) for name, value in group.items() if name not in SPEED | {"params"}
    }
    if "max_lr" in group:  # OneCycleLR makes initial_lr and min_lr from it: name it first
        del settings["lr"]
        settings = {"max_lr": settings["max_lr"], **settings}
    elif "initial_lr" in group:
        settings["lr"] = settings.pop("initial_lr")
    if "max_momentum" in group:  # OneCycleLR and CyclicLR move the momentum, or the first of betas
        settings.pop("momentum", None)
        settings["betas[1:]"] = settings.pop("betas", [])[1:]
    return settings


def _constants(state: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings of a scheduler, those of the schedulers inside it included."""
    for name, value in state.items():
        plain = name.removeprefix("_")
        if name == "_schedulers":
            for i, part in enumerate(value):
                yield from _constants(part, f"{prefix}scheduler {i}: ")
        elif name == "_schedule_phases":
            yield prefix + PASSED_AS[plain], [phase["end_step"] for phase in value]
        elif name not in MOVING and not callable(value):
            yield prefix + PASSED_AS.get(plain, plain), _number(value)


def _number(value: Any) -> Any:
    """Return numbers for tensors and arrays, and containers of them likewise."""
    if isinstance(value, Tensor | np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Counter):  # the milestones of a MultiStepLR
        return _number(sorted(value.elements()))
    if isinstance(value, dict):
        return {_number(key): _number(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_number(part) for part in value]
    return value


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
