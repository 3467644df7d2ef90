"""Checkpoints: written whole or not at all, read without running code, checked before use.

A run is the same, bit for bit, whether it was interrupted or not: what an epoch depends on (model,
optimizer, schedule, random generators) is saved at the end of each epoch, and an epoch that was
not finished is done again from the start. Out of reach are another number of processes or
threads, another device or version of PyTorch, operations that PyTorch itself calls
nondeterministic, what ``on_epoch`` keeps for itself, and loaders with ``persistent_workers``.
"""

import contextlib
import io
import os
import pathlib
import zipfile
from typing import Any

import torch
from torch import Tensor, nn

from . import contents, distributed
from .kinds import Data, Optimizer, Path, Row, Schedule
from .randomness import Randomness

FORMAT = "handbook checkpoint 1"
# Settings that decide how fast, not what: they may change between two runs.
SPEED = {"capturable", "differentiable", "foreach", "fused"}
# What moves in the schedules of PyTorch; everything else in them is a setting.
MOVING = {"last_epoch", "T_cur", "T_i"}


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read, does not fit, or cannot be written; the message says why."""


class Checkpoint:
    """The state of a training run, in a file if there is a ``path``.

    Parameters
    ----------
    path : path-like, optional
        Where it is written after each epoch. Under torchrun, rank 0 alone reads and writes.
    model, optimizer, schedule : nn.Module, Optimizer, LRScheduler
        What is trained, and by what; the schedule may be None.
    batches, val : iterable
        The data: generators of a `torch.utils.data.DataLoader` belong to the state.
    device : torch.device
        Where the model computes: its random generator belongs to the state.
    """

    def __init__(
        self,
        path: Path | None,
        model: nn.Module,
        optimizer: Optimizer,
        schedule: Schedule | None,
        batches: Data,
        val: Data | None,
        device: torch.device,
    ) -> None:
        self.path = None if path is None else pathlib.Path(path)
        self.model, self.optimizer, self.schedule = _bare(model), optimizer, schedule
        self.randomness = Randomness(device, batches, val)
        self.stopped = False

    def resume(self) -> list[Row]:
        """Restore what the file holds, if there is one, and return its history.

        Raises
        ------
        CheckpointError
            If the file is damaged, belongs to another model, optimizer or schedule, or could not
            be written later. It is left alone.
        """
        self.randomness.part()
        if self.path is None:
            return []
        state = distributed.on_first(_read_if_there, self.path)
        if state is None:
            return []
        _check_settings(self.path, state["settings"], _settings(self.optimizer, self.schedule))
        _check_model(self.path, state["model"], self.model)
        before = self.optimizer.state_dict()
        try:
            if found := contents.misfit(state, before, self.schedule):
                raise ValueError(found)
            self.optimizer.load_state_dict(state["optimizer"])
            self.randomness.load_state_dict(state["randomness"])
            self.model.load_state_dict(state["model"])
            if self.schedule is not None:
                self.schedule.load_state_dict(state["schedule"])
        except Exception as error:
            self.optimizer.load_state_dict(before)
            raise CheckpointError(
                f"{self.path} does not fit this model, optimizer and schedule ({_line(error)}): "
                "choose another path, or move the file away to start again"
            ) from error
        self.stopped = state["stopped"]
        history: list[Row] = state["history"]
        return history

    def save(self, history: list[Row], stopped: object) -> None:
        """Replace the file by the present state; ``stopped``: true if this was the last epoch.

        Raises
        ------
        CheckpointError
            If the file cannot be written. The one of the epoch before is left alone.
        """
        self.stopped = any(distributed.gather(bool(stopped)))
        if self.path is None:
            return
        state = {
            "format": FORMAT,
            "settings": _settings(self.optimizer, self.schedule),
            "history": history,
            "stopped": self.stopped,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "randomness": self.randomness.state_dict(),
        }
        distributed.on_first(_write, self.path, state)

    def finish(self) -> None:
        """Let the script go on with the same random numbers on all ranks."""
        self.randomness.join()


def load_checkpoint(path: Path, model: nn.Module) -> list[Row]:
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
        If there is no such file, or it is damaged or of another model. This one stays as it was.

    Examples
    --------
    >>> from handbook import load_checkpoint
    >>> load_checkpoint("digits.pt", nn.Linear(2, 1))
    Traceback (most recent call last):
    handbook.checkpoint.CheckpointError: digits.pt is not there: fit(..., checkpoint=…) writes it
    """
    path, model = pathlib.Path(path), _bare(model)
    if not path.exists():
        raise CheckpointError(f"{path} is not there: fit(..., checkpoint=…) writes it")
    state = _read(path)
    _check_model(path, state["model"], model)
    model.load_state_dict(state["model"])
    history: list[Row] = state["history"]
    return history


def _bare(model: nn.Module) -> nn.Module:
    """Return the model inside that of `torch.compile`, whose names all begin differently."""
    inner: nn.Module = getattr(model, "_orig_mod", model)
    return inner


def _line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__


def _read_if_there(path: pathlib.Path) -> dict[str, Any] | None:
    """Return what the file holds; None, with the folder made ready, if there is none yet."""
    if path.exists():
        state = _read(path)
        _remove(_part(path))  # what was left behind when a process was killed
        return state
    try:  # better now than after the first epoch
        path.parent.mkdir(parents=True, exist_ok=True)
        _part(path).touch()
        _part(path).unlink()
    except OSError as error:
        raise CheckpointError(f"cannot write {path} ({_line(error)}): choose another") from error
    return None


def _read(path: pathlib.Path) -> dict[str, Any]:
    """Return what a checkpoint holds, on the CPU, or refuse it."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ValueError("it is no regular file")  # a pipe would wait for ever
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums
            items = archive.infolist()
            for item in items:
                if item.compress_type != zipfile.ZIP_STORED or item.file_size > size:
                    raise zipfile.BadZipFile(f"{item.filename} is not as torch.save writes it")
            if sum(item.file_size for item in items) > size:  # it would be read for hours
                raise zipfile.BadZipFile("its parts overlap")
            if (damaged := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            for item in items:  # the one type that PyTorch lets a file make as large as it likes
                if item.filename.endswith("/data.pkl") and b"\nbytearray\n" in archive.read(item):
                    raise ValueError("it holds a bytearray")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({_line(error)}): it is cut off, damaged or "
            "something else; choose another path, or move the file away to start again"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} was not written by fit: choose another path")
    if found := contents.fault(state, size):
        raise CheckpointError(
            f"{path} is damaged ({found}): choose another path, or move the file away to start "
            "again"
        )
    return state


def _write(path: pathlib.Path, state: dict[str, Any]) -> None:
    """Write to a second file, and give it the name only when it lies on the disk, complete."""
    temporary = _part(path)
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
        kept = "the file of the epoch before is untouched" if path.exists() else "nothing is saved"
        raise CheckpointError(
            f"cannot write {path} ({_line(error)}): {kept}; mend that and run the same line again"
        ) from error
    finally:
        _remove(temporary)


def _part(path: pathlib.Path) -> pathlib.Path:
    """Return the second file, in the same folder, so that it can take the name in one step."""
    return path.with_name(path.name + ".part")


def _remove(temporary: pathlib.Path) -> None:
    with contextlib.suppress(OSError):  # on a read-only disk even what is not there
        temporary.unlink()


def _settings(optimizer: Optimizer, schedule: Schedule | None) -> dict[str, Any]:
    """Return what must be the same when training goes on: the kinds, and constant numbers."""
    kind = "none" if schedule is None else type(schedule).__name__
    settings = {"optimizer": type(optimizer).__name__, "schedule": kind}
    settings |= {k: v for k, v in optimizer.defaults.items() if k not in SPEED}
    if schedule is not None and type(schedule).__module__ == "torch.optim.lr_scheduler":
        state = schedule.state_dict()
        settings |= {k: v for k, v in state.items() if k[0] != "_" and k not in MOVING}
    plain = (bool, int, float, str, tuple)
    return {k: v for k, v in settings.items() if isinstance(v, plain)}


def _check_settings(path: pathlib.Path, saved: dict[str, Any], here: dict[str, Any]) -> None:
    """Refuse another optimizer, schedule or setting: loading would silently undo the change."""
    for name in here:
        if name in saved and here[name] != saved[name]:
            raise CheckpointError(
                f"{path} was written with {name}={saved[name]}, but now {name}={here[name]}: "
                "choose another path to start again, or set it back to go on"
            )


def _check_model(path: pathlib.Path, saved: dict[str, Any], model: nn.Module) -> None:
    """Refuse another model before anything of it is overwritten."""
    here = model.state_dict()
    differences = [f"it lacks {name}" for name in here if name not in saved]
    differences += [f"it has {name}" for name in saved if name not in here]
    for name in here:
        if isinstance(here[name], Tensor) and name in saved:
            then, now = _kind(saved[name]), _kind(here[name])
            differences += [f"{name} was {then} and is {now}"] * (then != now)
    if differences:
        more = f"; {len(differences) - 3} more" if len(differences) > 3 else ""
        raise CheckpointError(
            f"{path} is of another model ({'; '.join(differences[:3])}{more}): choose another "
            "path, or build the model as it was"
        )


def _kind(tensor: object) -> str:
    if not isinstance(tensor, Tensor) or tensor.is_meta:  # meta: a shape without values
        return f"no tensor, but {type(tensor).__name__}"
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
