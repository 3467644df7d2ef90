"""Checkpoints: written whole or not at all, read without running code, checked before use.

A run is the same, bit for bit, whether it was interrupted or not: what an epoch depends on (model,
optimizer, scheduler, random generators) is saved at the end of each epoch, and an epoch that was
not finished is done again from the start. Out of reach are another number of processes or
threads, another device or version of PyTorch, operations that PyTorch itself calls
nondeterministic, what ``on_epoch_end`` keeps for itself, and loaders with ``persistent_workers``.
"""

import contextlib
import io
import os
import pathlib
import zipfile
from typing import Any

import torch
from torch import nn

from . import distributed
from ._checkpoint_validation import (
    FORMAT,
    find_corruption,
    find_mismatch,
    find_model_mismatch,
    settings_of,
    to_plain,
)
from ._typing import EpochMetrics, LRScheduler, Optimizer, Path
from .rng import RandomStreams

WAY_OUT = "choose another path, or move the file away to start again"


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read, does not fit, or cannot be written; the message says why."""


class Checkpoint:
    """The file in which a training run is kept.

    Parameters
    ----------
    path : path-like
        Where it is written. ``~`` stands for the home folder, a link is followed, and a relative
        path stays where it is now. Under torchrun, rank 0 alone reads and writes.
    model, optimizer, scheduler : nn.Module, Optimizer, LRScheduler
        What is trained, and by what; the scheduler may be None.
    streams : RandomStreams
        The random generators that training draws from.
    """

    def __init__(
        self,
        path: Path,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        streams: RandomStreams,
    ) -> None:
        self.path = pathlib.Path(path).expanduser().resolve()
        self.model, self.optimizer, self.scheduler = _unwrap_compiled(model), optimizer, scheduler
        self.streams = streams
        self.settings = settings_of(self.model, optimizer, scheduler)

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
        state = distributed.on_rank_zero(_read_if_there, self.path)
        if state is None:
            return [], False
        found = find_model_mismatch(state["model"], self.model)
        if found:
            raise CheckpointError(f"{self.path} is of another model ({found}): {WAY_OUT}")
        found = find_mismatch(state, self.settings)
        if found:
            raise CheckpointError(
                f"{self.path} was written with {found}: choose another path to start again, or "
                "set it back to continue"
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
        state = {
            "format": FORMAT,
            "settings": self.settings,
            "history": history,
            "stopped": stopped,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "rng": self.streams.state_dict(),
        }
        distributed.on_rank_zero(_write, self.path, to_plain(state))


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
        If there is no such file, or it is damaged or of another model. This one stays as it was.
    TypeError
        If ``fully_shard`` was applied to the model.

    Examples
    --------
    >>> from handbook import load_checkpoint
    >>> load_checkpoint("digits.pt", nn.Linear(2, 1))
    Traceback (most recent call last):
    handbook.checkpoint.CheckpointError: digits.pt is not there: fit(..., checkpoint=…) writes it
    """
    file, model = pathlib.Path(path).expanduser(), _unwrap_compiled(model)
    if not file.exists():
        raise CheckpointError(f"{file} is not there: fit(..., checkpoint=…) writes it")
    if distributed.is_sharded(model):
        raise TypeError("load the checkpoint first, and call fully_shard on the model afterwards")
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


def _first_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__


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
            if sum(item.file_size for item in archive.infolist()) > path.stat().st_size:
                raise zipfile.BadZipFile("it holds more than its size allows")
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
    if found := find_corruption(state):
        raise CheckpointError(f"{path} is damaged ({found}): {WAY_OUT}")
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
