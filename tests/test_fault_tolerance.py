"""Training under load, in one process: killed, on a full disk, for long, with seeds."""

import gc
import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from helpers import private_disk as namespace
from helpers.training_runs import FORKS, Noisy, Run, X, Y, answer, equal, in_child, kill
from torch import nn
from torch.utils.data import DataLoader, Dataset

from handbook import Batches, classification_step, fit, load_checkpoint
from handbook.checkpoint import CheckpointError

pytestmark = FORKS
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="mounts, and /proc")


class Endless(Run):
    """A run whose scheduler has no end, with a model that takes a while to write."""

    def __init__(self, data="batches"):
        super().__init__(data, scheduler=False, width=128)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(self.optimizer, 5)


# Killed


def stamp(file):
    """Return what changes when a file is written anew; None if there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def test_kill_9_at_50_moments_loses_at_most_an_epoch(tmp_path):
    """At any time after the start, or after an epoch was saved, or while it is written."""
    path, part, moments = tmp_path / "run.pt", tmp_path / "run.pt.part", random.Random(0)
    hits = 0
    for moment in range(50):
        saved, writing = stamp(path), stamp(part)
        child = in_child(lambda: Endless().train(10**6, path))
        if moment % 3 == 0:
            while stamp(part) == writing:
                pass
        if moment % 3 == 1:
            while stamp(path) == saved:
                time.sleep(0.001)
        if moment % 3:
            time.sleep(moments.uniform(0, 0.05))
        kill(child)
        hits += stamp(part) not in (None, writing)
    print(f"{hits} of 50 while it was written")
    assert hits >= 3
    epochs = len(load_checkpoint(path, Endless().model)) + 2
    assert epochs > 16
    assert equal(Endless().train(epochs, path).state(), Endless().train(epochs).state())
    assert os.listdir(tmp_path) == ["run.pt"]


MOMENTS = {
    "fsync of the file": ("fsync", 1),
    "replace": ("replace", 1),
    "fsync of the folder": ("fsync", 2),
}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("moment", MOMENTS)
def test_kill_9_between_any_two_steps_of_writing(tmp_path, moment, after):
    path, (name, times) = tmp_path / "run.pt", MOMENTS[moment]
    Run().train(2, path)
    calls, call = itertools.count(1), getattr(os, name)

    def deadly(*args):
        last = next(calls) == times
        if not last or after:
            call(*args)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)

    def die():
        setattr(os, name, deadly)
        Run().train(4, path)

    _, status = os.waitpid(in_child(die), 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    left = len(load_checkpoint(path, Run().model))
    assert left == 2 + (moment == "fsync of the folder" or (moment == "replace" and after))
    assert len(Run().train(left, path).history) == left  # trains nothing, and tidies up
    assert os.listdir(tmp_path) == ["run.pt"]
    assert equal(Run().train(4, path).state(), Run().train(4).state())


# No room, no right to write


@pytest.mark.parametrize("old", [False, True])
def test_file_too_large(tmp_path, old):
    """A limit on the size of files: on a disk shared by many, a quota says it like this."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "run.pt"
    if old:
        Run().train(1, path)
    before = path.read_bytes() if old else None

    def train():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, -1))
        try:
            Run().train(2, path)
        except CheckpointError as error:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, -1))
            return str(error)

    kept = "the file written before is untouched" if old else "nothing is saved"
    assert answer(train, tmp_path.parent) == (
        f"cannot write {path} (File too large): {kept}; fix that and run the same line again"
    )
    assert os.listdir(tmp_path) == (["run.pt"] if old else [])
    assert not old or path.read_bytes() == before


FAULTS = {
    "full": (namespace.fill, os.unlink, "No space left on device"),
    "read-only": (
        lambda disk: namespace.read_only(disk) or disk,
        lambda disk: namespace.read_only(disk, False),
        "Read-only file system",
    ),
}


@LINUX
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("epochs", [0, 2])
def test_a_disk_that_takes_no_more(tmp_path, fault, epochs):
    """Before the first epoch, or between two; mended, the same line gives the same weights."""
    disk, (spoil, mend, reason) = tmp_path / "disk", FAULTS[fault]
    path = disk / "run.pt"

    def train():
        namespace.disk(disk, 100_000)
        spoilt = []

        def on_epoch_end(row):
            if row["epoch"] == epochs + 1:
                spoilt.append(spoil(disk))

        if epochs:
            Run().train(epochs, path)
        before = path.read_bytes() if epochs else None
        if not epochs:
            on_epoch_end({"epoch": 1})
        with pytest.raises(CheckpointError) as caught:
            Run().train(4, path, on_epoch_end=on_epoch_end if epochs else None)
        kept = "the file written before is untouched; mend" if epochs else ""
        if epochs:
            assert path.read_bytes() == before
            assert len(load_checkpoint(path, Run().model)) == epochs
        assert not (disk / "run.pt.part").exists()
        mend(spoilt[0])
        assert kept in str(caught.value)
        state = Run().train(4, path).state()
        assert os.listdir(disk) == ["run.pt"]
        return str(caught.value), state

    said, state = answer(train, tmp_path)
    assert said.startswith(f"cannot write {path} ({reason}): "), said
    assert equal(state, Run().train(4).state())


# For long


def resident():
    """Return the memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@LINUX
@pytest.mark.parametrize("checkpoint", [False, True])
def test_memory_stays_flat_over_1000_epochs(tmp_path, checkpoint):
    def train():
        seen = {}

        def on_epoch_end(row):
            if row["epoch"] in (200, 1000):
                gc.collect()
                seen[row["epoch"]] = resident()

        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        batches = Batches(X, Y, batch_size=50, shuffle=True)
        path = None
        if checkpoint:
            namespace.disk(tmp_path / "disk", 10**6)  # in memory: 1000 times fsync take minutes
            path = tmp_path / "disk" / "run.pt"
        fit(model, batches, classification_step, optimizer=optimizer, val=batches, epochs=1000,
            checkpoint=path, on_epoch_end=on_epoch_end)  # fmt: skip
        return seen

    seen = answer(train, tmp_path.parent)
    grown = seen[1000] - seen[200]
    print(f"{grown / 1e6:.2f} MB grown in 800 epochs")
    assert grown < 4e6  # the history of 800 epochs is 0.4 MB; a graph kept for each step much more


def held():
    """Count what a process can leak: open files, threads, children."""
    gc.collect()
    tasks = len(os.listdir("/proc/self/task"))
    children = multiprocessing.active_children()
    return len(os.listdir("/proc/self/fd")), threading.active_count(), tasks, len(children)


@LINUX
@pytest.mark.parametrize("persistent", [False, True])
def test_no_files_threads_or_processes_are_left(tmp_path, persistent):
    """Not even after errors in the middle of an epoch."""

    def train(fails=False):
        def step(model, x, y):
            if fails:
                raise ValueError("boom")
            return classification_step(model, x, y)

        run = Run(scheduler=False)
        run.batches = DataLoader(
            Noisy(), batch_size=16, num_workers=2, persistent_workers=persistent
        )
        path = tmp_path / "run.pt"
        if not fails:
            run.train(2, path)
            path.unlink()
            return
        with pytest.raises(ValueError, match="boom"):
            run.train(2, path, step)

    train()  # what is opened once and kept
    train(fails=True)
    before = held()
    for _ in range(3):
        train()
        train(fails=True)
    end = time.monotonic() + 10
    while held() != before and time.monotonic() < end:
        time.sleep(0.05)  # a thread of the system may still be ending
    assert held() == before


@LINUX
def test_a_worker_that_is_killed_is_an_error_within_seconds(tmp_path):
    """As the kernel does when memory is short; the checkpoint stays as it is."""
    run, path = Run("workers"), tmp_path / "run.pt"

    def on_epoch_end(row):
        before.append(path.read_bytes() if path.exists() else None)

    def step(model, x, y):
        if len(before) == 1 and model.training:
            for worker in multiprocessing.active_children():
                os.kill(worker.pid, signal.SIGKILL)
        return classification_step(model, x, y)

    before, start = [], time.monotonic()
    run.batches = DataLoader(Slow(), batch_size=2, num_workers=1)
    run.scheduler = None
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid.*\) (is killed|exited)"):
        run.train(4, path, step, on_epoch_end=on_epoch_end)
    assert time.monotonic() - start < 30
    assert len(load_checkpoint(path, run.model)) == 1
    assert os.listdir(tmp_path) == ["run.pt"]


class Slow(Dataset):
    """Examples that take a while, so that not all are there before the worker dies."""

    def __len__(self):
        return 20

    def __getitem__(self, i):
        time.sleep(0.01)
        return X[i], Y[i]


# By seed

SCRIPT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import torch
from helpers.training_runs import Run
for data in ("batches", "noise", "two workers"):
    state = Run(data).train(3).state()
    tensors = [*state["model"].values(), state["next"][0]]
    digest = hashlib.sha256(b"".join(t.numpy().tobytes() for t in tensors))
    print(data, state["history"][-1], digest.hexdigest())
"""


def test_two_fresh_processes_are_equal_bit_for_bit():
    """Also where the workers of a loader draw random numbers, and names are hashed differently."""
    folder = os.path.dirname(__file__)
    runs = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT, folder],
            env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True,
        )
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0].stdout.count("\n") == 3, runs[0].stderr
    assert runs[0].stdout == runs[1].stdout
    assert len(set(runs[0].stdout.split("\n"))) == 4  # that something was computed
