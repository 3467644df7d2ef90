"""What a readable checkpoint must hold: looked at before any of it is used."""

from typing import Any

from torch import Tensor

from .kinds import Schedule

PARTS = {
    "settings": dict,
    "history": list,
    "stopped": bool,
    "model": dict,
    "optimizer": dict,
    "schedule": dict | None,
    "randomness": dict,
}


def fault(state: dict[str, Any], size: int) -> str | None:
    """Say what is wrong with the state that a file of ``size`` bytes holds; None if nothing is."""
    for name, kind in PARTS.items():
        if name not in state:
            return f"it lacks {name}"
        if not isinstance(state[name], kind):
            return f"{name} is {type(state[name]).__name__}"
    for i, row in enumerate(state["history"], start=1):
        epoch = row.get("epoch") if isinstance(row, dict) else None
        if type(epoch) is not int or epoch != i or not isinstance(row.get("loss"), float):
            return f"row {i} of its history is none"
    for name in PARTS.keys() - {"model"}:  # whose shapes are compared with those of the model
        for tensor in _tensors(state[name]):
            if tensor.device.type != "cpu" or tensor.nbytes > size:
                return f"{name} has a tensor {tuple(tensor.shape)}, more than the file can hold"
    return None


def misfit(
    state: dict[str, Any], optimizer: dict[str, Any], schedule: Schedule | None
) -> str | None:
    """Say where the saved settings are of other kinds than those here; None if nowhere."""
    if schedule is not None and (
        found := difference(state["schedule"], schedule.state_dict(), "schedule")
    ):
        return found
    for then, now in zip(
        state["optimizer"]["param_groups"], optimizer["param_groups"], strict=True
    ):
        both = then.keys() & now.keys()  # other versions of PyTorch have more, or fewer
        here = {key: now[key] for key in both}
        if found := difference({key: then[key] for key in both}, here, "optimizer"):
            return found
    return None


def difference(saved: object, here: object, name: str) -> str | None:
    """Say where a saved state is of other names or kinds than one from here; None if nowhere.

    Numbers may differ in value, lists in length, and what is None on one side is not looked at.
    """
    if saved is None or here is None:
        return None
    if isinstance(saved, dict) and isinstance(here, dict):
        if odd := sorted(map(str, saved.keys() ^ here.keys())):
            return f"{name} differs in {odd[0]}"
        found = [difference(saved[key], here[key], f"{name}.{key}") for key in here]
        return next(filter(None, found), None)
    if isinstance(saved, list | tuple) and isinstance(here, list | tuple):
        found = [difference(a, b, name) for a, b in zip(saved, here, strict=False)]
        return next(filter(None, found), None)
    if isinstance(saved, Tensor) and isinstance(here, Tensor):
        same = saved.shape == here.shape and saved.dtype == here.dtype
    elif _number(saved) and _number(here):
        same = bool(saved == saved)  # not nan
    else:
        same = type(saved) is type(here)
    return None if same else f"{name} is of another kind"


def _number(thing: object) -> bool:
    if isinstance(thing, Tensor):
        return thing.ndim == 0
    return isinstance(thing, int | float) and not isinstance(thing, bool)


def _tensors(thing: object) -> list[Tensor]:
    """Return all tensors in nested containers."""
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, list | tuple):
        return [tensor for part in thing for tensor in _tensors(part)]
    return [thing] if isinstance(thing, Tensor) else []
