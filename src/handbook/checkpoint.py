"""Checkpoints: written whole or not at all, read without running code, checked before use.

A run is the same, bit for bit, whether it was interrupted or not: what an epoch depends on (model,
optimizer, scheduler, random generators) is saved at the end of each epoch, and an epoch that was
not finished is done again from the start. Not covered: another number of processes or threads,
another device or version of PyTorch, operations that PyTorch itself calls nondeterministic, what
``on_epoch_end`` keeps for itself, and what ``docs/api/checkpoints.md`` names.
"""

import contextlib
import io
import os
import pathlib
import re
import zipfile
from collections import Counter, OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from . import distributed
from ._checkpoint_validation import (
    FORMAT,
    find_infinite,
    find_mismatch,
    find_model_mismatch,
    settings_of,
    to_plain,
)
from ._typing import EpochMetrics, LRScheduler, Optimizer, Path, SchedulerInterval
from .rng import RandomStreams

WAY_OUT = "choose another path, or move the file away to start again"


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read, does not fit, or cannot be written; the message says why."""


class Checkpoint:
    """The file that holds a training run.

    Parameters
    ----------
    path : path-like
        Where it is written. ``~`` stands for the home folder, a link is followed, and a relative
        path stays where it is now. Under torchrun, rank 0 alone reads and writes.
    model, optimizer, scheduler : nn.Module, Optimizer, LRScheduler
        What is trained, and by what; the scheduler may be None.
    interval : {"batch", "epoch"} or None
        When the scheduler moves.
    streams : RandomStreams
        The random generators that training draws from.
    """

    def __init__(
        self,
        path: Path,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        interval: SchedulerInterval | None,
        streams: RandomStreams,
    ) -> None:
        self.path = _expand(path).resolve()
        self.model, self.optimizer, self.scheduler = _unwrap_compiled(model), optimizer, scheduler
        self.streams = streams
        self.settings = settings_of(self.model, optimizer, scheduler, interval)
        self.trained = self._trained()

    def load(self) -> tuple[list[EpochMetrics], bool]:
        """Restore what the file holds, if there is one.

        Returns
        -------
        history, stopped : list of dict, bool
            The rows of the epochs that are done, and whether ``on_epoch_end`` ended the run.

        Raises
        ------
        CheckpointError
            If the file is damaged, belongs to another model, optimizer or scheduler, or could not
            be written later. The file, the model and the optimizer are left alone.
        """
        self._state([], False)  # what cannot be saved is better refused now
        state = distributed.on_rank_zero(_read_if_there, self.path)
        if state is None:
            return [], False
        found = find_model_mismatch(state["model"], self.model)
        if found:
            raise CheckpointError(f"{self.path} is of another model ({found}): {WAY_OUT}")
        found = find_mismatch(state, self.settings)
        if found:
            raise CheckpointError(
                f"{self.path} was written {found}: set it back to continue, or choose another path "
                "to start again, as for a longer schedule"
            )
        self.settings = state["settings"]  # those of the first start: what moved since has moved
        self.optimizer.load_state_dict(state["optimizer"])
        self.model.load_state_dict(state["model"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.streams.load_state_dict(state["rng"])
        return state["history"], state["stopped"]

    def save(self, history: list[EpochMetrics], stopped: bool) -> None:
        """Replace the file by the present state.

        Raises
        ------
        CheckpointError
            If the file cannot be written. The one of the epoch before is left alone.
        """
        if self._trained() != self.trained:
            raise CheckpointError(
                "parameters were frozen, unfrozen or added during the training, which would not "
                "happen again when it resumes: give the optimizer all parameters from the start, "
                "and change requires_grad between two calls of fit, the second with more epochs"
            )
        if found := find_infinite(self.model, self.optimizer):
            raise CheckpointError(
                f"{found} is not finite in the optimizer, so it would never move again: lower the "
                "learning rate, or clip with max_grad_norm=1.0"
            )
        distributed.on_rank_zero(_write, self.path, self._state(history, stopped))

    def _state(self, history: list[EpochMetrics], stopped: bool) -> dict[str, Any]:
        state: dict[str, Any] = to_plain(
            {
                "format": FORMAT,
                "history": history,
                "stopped": stopped,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
                "rng": self.streams.state_dict(),
                "settings": self.settings,
            }
        )
        if found := _find_unsaved("", state):
            raise CheckpointError(
                f"{self.path} cannot hold {found}: it takes tensors, numbers and strings, and "
                "lists and dicts of them"
            )
        return state

    def _trained(self) -> list[list[tuple[int, bool]]]:
        return [
            [(id(parameter), parameter.requires_grad) for parameter in group["params"]]
            for group in self.optimizer.param_groups
        ]


def load_checkpoint(path: Path, model: nn.Module) -> list[EpochMetrics]:
    """Put the weights of a checkpoint into a model, to use it without training it.

    Parameters
    ----------
    path : path-like
        A file that ``fit(..., checkpoint=path)`` wrote, on any device.
    model : nn.Module
        A model of the same layers and sizes; its parameters and buffers are overwritten.

    Returns
    -------
    list of dict
        The history of the training, one row for each epoch.

    Raises
    ------
    CheckpointError
        If there is no such file, or it is damaged or of another model. The model is left unchanged.
    TypeError
        If ``fully_shard`` was applied to the model.

    Examples
    --------
    >>> from handbook import load_checkpoint
    >>> load_checkpoint("digits.pt", nn.Linear(2, 1))
    Traceback (most recent call last):
    handbook.checkpoint.CheckpointError: digits.pt is not there: fit(..., checkpoint=…) writes it
    """
    file, model = _expand(path), _unwrap_compiled(model)
    if not file.exists():
        raise CheckpointError(f"{file} is not there: fit(..., checkpoint=…) writes it")
    if distributed.is_sharded(model):
        raise TypeError("load the checkpoint first, and call fully_shard on the model afterwards")
    if lazy := [name for name, part in model.state_dict().items() if nn.parameter.is_lazy(part)]:
        raise CheckpointError(
            f"{lazy[0]} has no size yet: run the model once, model(x), and load {file} then"
        )
    state = _read(file)
    found = find_model_mismatch(state["model"], model)
    if found:
        raise CheckpointError(f"{file} is of another model ({found}): build the model as it was")
    model.load_state_dict(state["model"])
    history: list[EpochMetrics] = state["history"]
    return history


def _unwrap_compiled(model: nn.Module) -> nn.Module:
    """Return the model inside that of `torch.compile`, whose names all begin differently."""
    inner: nn.Module = getattr(model, "_orig_mod", model)
    return inner


def _find_unsaved(name: str, value: Any) -> str | None:
    """Name the first part of nested containers that a file cannot hold; None if there is none."""
    if type(value) in (dict, OrderedDict, Counter, list, tuple):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        found = (_find_unsaved(f"{name}.{key}".removeprefix("."), part) for key, part in parts)
        return next(filter(None, found), None)
    if isinstance(value, Tensor) or type(value) in (type(None), bool, int, float, str):
        return None
    try:  # a class may have been allowed with torch.serialization.add_safe_globals
        file = io.BytesIO()
        torch.save(value, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception:
        return f"{name}, which is {type(value).__name__}"
    return None


def _expand(path: Path) -> pathlib.Path:
    """Return the path with the home folder in it; refuse one that leads nowhere."""
    try:
        expanded = pathlib.Path(path).expanduser()
        expanded.resolve()
    except (OSError, RuntimeError) as error:  # no such user, links in a circle
        raise CheckpointError(
            f"cannot use {path} ({_first_line(error)}): choose another path"
        ) from error
    return expanded


def _first_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # PyTorch writes in bold
    return " ".join(text.split())[:200] or type(error).__name__


def _read_if_there(path: pathlib.Path) -> dict[str, Any] | None:
    """Return what the file holds; None, with the folder made ready, if there is none yet."""
    if path.exists():
        state = _read(path)
        _remove(_temporary_path(path))  # what was left behind when a process was killed
        return state
    try:  # better now than after the first epoch
        path.parent.mkdir(parents=True, exist_ok=True)
        _temporary_path(path).touch()
        _temporary_path(path).unlink()
    except OSError as error:
        raise CheckpointError(f"cannot write {path} ({_first_line(error)}): choose another") from (
            error
        )
    return None


def _read(path: pathlib.Path) -> dict[str, Any]:
    """Return what a checkpoint holds, on the CPU, or refuse it."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ValueError("it is not a file")  # opening a pipe would never return
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums
            if (damaged := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"{damaged} is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({_first_line(error)}): it is cut off, damaged "
            f"or something else; {WAY_OUT}"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} was not written by fit: choose another path")
    return state


def _write(path: pathlib.Path, state: dict[str, Any]) -> None:
    """Write to a second file, and give it the name only when it lies on the disk, complete."""
    temporary = _temporary_path(path)
    try:
        whole = io.BytesIO()  # straight to a full disk, torch.save fails without saying why
        torch.save(state, whole)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(whole.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        torch.load(temporary, weights_only=True, mmap=True)  # what cannot be read is not kept
        os.replace(temporary, path)
        if os.name == "posix":  # the new name must survive a power cut, too
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    except Exception as error:
        kept = "the file written before is untouched" if path.exists() else "nothing is saved"
        raise CheckpointError(
            f"cannot write {path} ({_first_line(error)}): {kept}; fix that and run the same line "
            "again"
        ) from error
    finally:
        _remove(temporary)


def _temporary_path(path: pathlib.Path) -> pathlib.Path:
    """Return the second file, in the same folder, so that it can take the name in one step."""
    return path.with_name(path.name + ".part")


def _remove(temporary: pathlib.Path) -> None:
    with contextlib.suppress(OSError):  # on a read-only disk even what is not there
        temporary.unlink()
