"""Training under load, in one process: killed, on a full disk, for long, with seeds."""

import builtins
import errno
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
from helpers.training_runs import (
    FORKS,
    NEVER,
    Noisy,
    Run,
    X,
    Y,
    answer,
    assert_in_child,
    equal,
    gone,
    in_child,
    kill,
    slow_disk,
    stamp,
    wait_for,
)
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


def kill_once(path, moment, seconds):
    """Train from the checkpoint until a moment; say whether it was in the middle of writing."""
    part = path.with_suffix(".pt.part")
    writing, saved = stamp(part), stamp(path)

    def train():
        if moment == "writing":
            slow_disk()
        Endless().train(10**6, path)

    child = in_child(train)
    if moment == "writing":
        wait_for(lambda: stamp(part) not in (None, writing), child)
    if moment == "saved":
        wait_for(lambda: stamp(path) != saved, child)
    time.sleep(seconds)
    kill(child)
    return stamp(part) not in (None, writing)


def test_kill_9_at_20_moments_loses_at_most_an_epoch(tmp_path):
    """At any time after the start, or after an epoch was saved, or while it is written."""
    path, moments, hits = tmp_path / "run.pt", random.Random(0), 0
    for i in range(20):
        moment = ["writing", "saved", "started"][i % 3]
        hits += kill_once(path, moment, moments.uniform(0, 0.05))
    print(f"{hits} of 20 while it was written")
    assert hits >= 3
    epochs = len(load_checkpoint(path, Endless().model)) + 2
    assert epochs >= 7 + 2
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
            time.sleep(NEVER)

    def die():
        assert_in_child()
        setattr(os, name, deadly)
        Run().train(4, path)

    assert gone(in_child(die), NEVER) == -signal.SIGKILL
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
        assert_in_child()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, -1))
        try:
            Run().train(2, path)
        except CheckpointError as error:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, -1))
            return str(error)

    kept = "the file written before is untouched" if old else "nothing is saved"
    reason = os.strerror(errno.EFBIG)
    assert answer(train, tmp_path.parent) == (
        f"cannot write {path} ({reason}): {kept}; fix that and run the same line again"
    )
    assert os.listdir(tmp_path) == (["run.pt"] if old else [])
    assert not old or path.read_bytes() == before


FAULTS = {
    "full": (namespace.fill, os.unlink, os.strerror(errno.ENOSPC)),
    "read-only": (
        lambda disk: namespace.read_only(disk) or disk,
        lambda disk: namespace.read_only(disk, False),
        os.strerror(errno.EROFS),
    ),
}


@LINUX
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("epochs", [0, 2])
def test_a_disk_that_takes_no_more(tmp_path, fault, epochs):
    """Before the first epoch, or in the third; repaired, the same line gives the same weights."""
    disk, (spoil, repair, reason) = tmp_path / "disk", FAULTS[fault]
    path = disk / "run.pt"

    def train():
        namespace.disk(disk, 100_000)
        before, spoilt = None, []

        def step(model, x, y):
            if not spoilt:
                spoilt.append(spoil(disk))
            return classification_step(model, x, y)

        if epochs:
            Run().train(epochs, path)
            before = path.read_bytes()
        else:
            spoilt.append(spoil(disk))
        with pytest.raises(CheckpointError) as caught:
            Run().train(4, path, step)
        if epochs:
            assert "the file written before is untouched; fix" in str(caught.value)
            assert path.read_bytes() == before
            assert len(load_checkpoint(path, Run().model)) == epochs
        assert not (disk / "run.pt.part").exists()
        repair(spoilt[0])
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
def test_memory_stays_flat_over_250_epochs(tmp_path, checkpoint):
    def train():
        seen = {}

        def on_epoch_end(row):
            if row["epoch"] in (50, 250):
                gc.collect()
                seen[row["epoch"]] = resident()

        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        batches = Batches(X, Y, batch_size=50, shuffle=True)
        path = None
        if checkpoint:
            namespace.disk(tmp_path / "disk", 10**6)  # in memory: 500 times fsync take long
            path = tmp_path / "disk" / "run.pt"
        fit(model, batches, classification_step, optimizer=optimizer, val=batches, epochs=250,
            checkpoint=path, on_epoch_end=on_epoch_end)  # fmt: skip
        return seen

    seen = answer(train, tmp_path.parent)
    grown = seen[250] - seen[50]
    print(f"{grown / 1e6:.2f} MB grown in 200 epochs")
    assert grown < 1e6  # the history of 200 epochs is 0.1 MB; a graph kept for each step much more


def held():
    """Count what a process can leak: open files, threads, children."""
    gc.collect()
    tasks = len(os.listdir("/proc/self/task"))
    children = multiprocessing.active_children()
    return len(os.listdir("/proc/self/fd")), threading.active_count(), tasks, len(children)


def grown(before, after):
    """Name what a process holds more of; six trainings that leak add six of it."""
    names = ("files", "threads", "tasks", "children")
    return [name for name, was, now in zip(names, before, after, strict=True) if now > was]


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

    def count():
        train()  # what is opened once and kept
        train(fails=True)
        before = held()  # or more, if a thread of this training is still ending
        for _ in range(3):
            train()
            train(fails=True)
        end = time.monotonic() + NEVER / 2
        while grown(before, held()) and time.monotonic() < end:
            time.sleep(0.05)  # a thread may still be ending here, too
        return before, held()

    before, after = answer(count, tmp_path.parent)
    assert not grown(before, after)


@LINUX
def test_a_worker_that_is_killed_is_an_error_within_seconds(tmp_path):
    """As the kernel does when memory is short; the checkpoint stays as it is."""
    path = tmp_path / "run.pt"

    def train():
        assert_in_child()  # PyTorch's handler of SIGCHLD raises in whatever code is running
        run, rows = Run("workers"), []

        def step(model, x, y):
            if len(rows) == 1 and model.training:
                for worker in multiprocessing.active_children():
                    os.kill(worker.pid, signal.SIGKILL)
            return classification_step(model, x, y)

        run.batches = DataLoader(Slow(), batch_size=2, num_workers=1)
        run.scheduler = None
        run.train(4, path, step, on_epoch_end=rows.append)

    error = answer(train, tmp_path.parent)  # which ends, or there is no answer
    # The handler of SIGCHLD raises, unless the pipe or the socket of the worker broke before.
    kind = getattr(builtins, str(error).partition(":")[0], object)
    assert kind in {RuntimeError, EOFError} or issubclass(kind, OSError), error
    assert len(load_checkpoint(path, Run("workers").model)) == 1
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
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SCRIPT, folder],
            env=os.environ | {"PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True,
        )
        for seed in ("1", "2")
    ]  # fmt: skip
    one, two = (run.communicate()[0] for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    assert one == two
    assert len(set(one.splitlines())) == 3  # that something was computed
