"""What a checkpoint must hold, and what must be the same when training continues from it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor, nn

from ._typing import LRScheduler, Optimizer

FORMAT = "handbook checkpoint 2"
PARTS = {
    "settings": dict,
    "history": list,
    "stopped": bool,
    "model": dict,
    "optimizer": dict,
    "scheduler": dict | None,
    "rng": dict,
}
# Settings of an optimizer that decide how fast, not what: they may change between two runs.
SPEED = {"capturable", "differentiable", "foreach", "fused"}
# What moves in the schedulers of PyTorch; everything else in them is a setting.
MOVING = {
    "last_epoch", "T_cur", "T_i", "best", "num_bad_epochs", "cooldown_counter",
    "_step_count", "_last_lr", "_is_initial", "_get_lr_called_within_step",
}  # fmt: skip


def find_corruption(state: dict[str, Any]) -> str | None:
    """Say what is missing in the state that a file holds; None if nothing is."""
    for name, kind in PARTS.items():
        if name not in state:
            return f"it lacks {name}"
        if not isinstance(state[name], kind):
            return f"{name} is {type(state[name]).__name__}"
    return None


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
    if len(differences) > 3:
        differences[3:] = [f"{len(differences) - 3} more"]
    return "; ".join(differences) or None


def settings_of(
    model: nn.Module, optimizer: Optimizer, scheduler: LRScheduler | None
) -> dict[str, Any]:
    """Return what must be the same when training continues: types, names and constant numbers."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    of_scheduler = {}
    if scheduler is not None and type(scheduler).__module__ == "torch.optim.lr_scheduler":
        of_scheduler = dict(_constants(scheduler.state_dict()))
    return {
        "optimizer": type(optimizer).__name__,
        "scheduler": "none" if scheduler is None else type(scheduler).__name__,
        "parameters": [
            [names[id(parameter)] for parameter in group["params"]]
            for group in optimizer.param_groups
        ],
        "groups": [_group_settings(group) for group in optimizer.param_groups],
        "of scheduler": of_scheduler,
    }


def find_mismatch(state: dict[str, Any], here: dict[str, Any]) -> str | None:
    """Say which setting is not as it was, old and new: loading would silently undo the change.

    A setting may have moved since the start, as a learning rate does. So it may be as it was then,
    or as it was when the file was written.
    """
    saved = state["settings"]
    for name in ("optimizer", "scheduler"):
        if saved[name] != here[name]:
            return _changed(name, saved[name], here[name])
    if len(saved["groups"]) != len(here["groups"]):
        return _changed("parameter groups", len(saved["groups"]), len(here["groups"]))
    for i, (then, now) in enumerate(zip(saved["parameters"], here["parameters"], strict=True)):
        if then != now:
            missing = [name for name in then if name not in now] or then
            other = [name for name in now if name not in then] or now
            return _changed(f"parameters of group {i}", missing[0], other[0])
    several = len(here["groups"]) > 1
    for i, now in enumerate(here["groups"]):
        start = saved["groups"][i]
        last = _group_settings(state["optimizer"]["param_groups"][i])
        for name in now.keys() & start.keys():  # versions of PyTorch may have more, or fewer
            if now[name] not in (start[name], last.get(name, start[name])):
                where = f"{name} of group {i}" if several else name
                return _changed(where, start[name], now[name])
    for name, now in here["of scheduler"].items():
        then = saved["of scheduler"].get(name, now)
        if then != now:
            return _changed(name, then, now)
    return None


def to_plain(value: Any) -> Any:
    """Return nested containers with NumPy's numbers as Python's: a file holds no others."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {key: to_plain(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(to_plain(part) for part in value)
    return value


def _changed(name: str, then: object, now: object) -> str:
    return f"{name}={then}, but now {name}={now}"


def _group_settings(group: dict[str, Any]) -> dict[str, Any]:
    """Return the constant settings of a parameter group: without what a scheduler moves."""
    moved = set()
    if "initial_lr" in group:
        moved.add("lr")
    if "max_momentum" in group:  # OneCycleLR and CyclicLR move it
        moved |= {"momentum", "betas"}
    return {
        name: _number(value)
        for name, value in group.items()
        if name not in SPEED | moved | {"params"}
    }


def _constants(state: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings of a scheduler, those of the schedulers inside it included."""
    for name, value in state.items():
        if name == "_schedulers":
            for i, part in enumerate(value):
                yield from _constants(part, f"{prefix}scheduler {i}: ")
        elif name not in MOVING and not callable(value):
            yield prefix + name.removeprefix("_"), _number(value)


def _number(value: Any) -> Any:
    """Return a number for a tensor or a NumPy scalar, and containers of them likewise."""
    if isinstance(value, Tensor | np.generic) and np.ndim(value) == 0:
        return value.item()
    if isinstance(value, dict):
        return {key: _number(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_number(part) for part in value]
    return value


def _describe(tensor: object) -> str:
    if not isinstance(tensor, Tensor):
        return f"not a tensor, but {type(tensor).__name__}"
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
