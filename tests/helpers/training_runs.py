"""Training runs that tests make, interrupt and compare, in this process or in forked ones."""

import os
import random
import signal
import socket
import time

import numpy as np
import pytest
import torch
import torch._dynamo  # optimizers and DDP import it: once here, not in each forked process
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Dataset, TensorDataset

from handbook import Batches, classification_step, fit

X = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + X[:, 1] > 0).long()

FORKS = [  # marks of tests that fork, which newer versions of Python warn of
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]


PYTEST = os.getpid()
NEVER = 600.0  # seconds: tells what takes seconds, on the busiest machine, from what never ends


class Noisy(Dataset):
    """Examples that every generator of Python, NumPy and PyTorch has changed."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        noise = random.gauss(0, 1) + np.random.randn() + torch.randn(()).item()
        return X[i] + 0.01 * noise, Y[i]


class Run:
    """A model and all that belongs to it, made again as a script would."""

    interval = "batch"

    def __init__(self, data="batches", scheduler=True, width=8):
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        self.model = nn.Sequential(
            nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(), nn.Linear(width, 2)
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.batches = self.loader(data)
        total = 4 * len(self.batches)
        self.scheduler = (
            lr_scheduler.OneCycleLR(self.optimizer, 1e-2, total_steps=total) if scheduler else None
        )

    def loader(self, data):
        examples = TensorDataset(X, Y)
        generator = torch.Generator().manual_seed(3)
        return {
            "batches": lambda: Batches(X, Y, batch_size=16, shuffle=True),
            "loader": lambda: DataLoader(examples, batch_size=16, shuffle=True),
            "own generator": lambda: DataLoader(
                examples, batch_size=16, shuffle=True, generator=generator
            ),
            "own sampler": lambda: DataLoader(
                examples,
                batch_size=16,
                sampler=torch.utils.data.RandomSampler(examples, generator=generator),
            ),
            "noise": lambda: DataLoader(Noisy(), batch_size=16, shuffle=True),
            "workers": lambda: DataLoader(Noisy(), batch_size=16, shuffle=True, num_workers=1),
            "two workers": lambda: DataLoader(Noisy(), batch_size=16, shuffle=True, num_workers=2),
        }[data]()

    def train(self, epochs, path=None, step=classification_step, **options):
        val = DataLoader(TensorDataset(X, Y), batch_size=20, shuffle=True)
        self.history = fit(
            self.model, self.batches, step, optimizer=self.optimizer, scheduler=self.scheduler,
            scheduler_interval=self.scheduler and self.interval,
            val=val, max_grad_norm=1.0, epochs=epochs, checkpoint=path, **options,
        )  # fmt: skip
        return self

    def state(self):
        """Return all that must be equal, the next random numbers included."""
        return {
            "history": self.history,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler and self.scheduler.state_dict(),
            "next": (torch.rand(3), random.random(), np.random.rand()),
        }


def equal(a, b):
    """Compare nested containers, tensors bit for bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def in_child(call):
    """Run ``call`` in a process of its own, which need not import torch again; return its id."""
    if (child := os.fork()) == 0:
        try:
            call()
        finally:
            os._exit(0)
    return child


def assert_in_child():
    """Refuse what must not happen to the process of pytest: mounts, limits, signals."""
    assert os.getpid() != PYTEST, "this belongs in a process of its own"


def note(call, file):
    """Write what ``call`` returns, or the error it ends with, to a file that appears whole."""
    try:
        answer = call()
    except BaseException as error:
        answer = f"{type(error).__name__}: {error}"
    torch.save(answer, f"{file}.new")
    os.replace(f"{file}.new", file)


def answer(call, folder):
    """Return what ``call`` returns in a process of its own, or the error it ends with."""
    file = folder / "answer"
    child = in_child(lambda: note(call, file))
    status = gone(child, NEVER)
    if status is None:
        kill(child)
    assert file.exists(), f"no answer, but exit status {status}"
    result = torch.load(file)
    file.unlink()
    return result


def gone(child, seconds=0.0):
    """Wait for the end of a process; return its exit status, negative for a signal, or None."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def wait_for(condition, *children):
    """Wait until something has happened; an error if one of the children ends before, or never."""
    end = time.monotonic() + NEVER
    while not condition():
        for child in children:
            status = gone(child)
            assert status is None, f"a process ended, with exit status {status}"
        assert time.monotonic() < end, "it has never happened"
        time.sleep(0.001)


def kill(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def stamp(file):
    """Return what changes when a file is written again; None if there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def slow_disk():
    """Let each `os.fsync` of this process take a while: time enough to be killed in it."""
    assert_in_child()
    real = os.fsync
    os.fsync = lambda *args: (real(*args), time.sleep(0.5))


def in_ranks(call, n=2):
    """Run ``call(rank)`` in n processes with the variables of torchrun, but without torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}

    def join(rank):
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n}
        os.environ.update(where | {name: str(value) for name, value in names.items()})
        call(rank)

    return [in_child(lambda rank=rank: join(rank)) for rank in range(n)]


def answers(call, folder, n=2):
    """Return what ``call(rank)`` returned on n ranks, or its error; None for a rank that died.

    A rank that has answered stays a while, in case all of them have an answer; then it ends, which
    breaks the connections of those that wait for it.
    """
    files = [folder / f"answer {rank}" for rank in range(n)]

    def stay(rank):
        note(lambda: call(rank), files[rank])
        end = time.monotonic() + 2
        while not all(file.exists() for file in files) and time.monotonic() < end:
            time.sleep(0.002)

    children, end = in_ranks(stay, n), time.monotonic() + NEVER
    for rank, child in enumerate(children):
        if gone(child, end - time.monotonic()) is None:
            kill(child)
            raise AssertionError(f"rank {rank} has not ended")
    found = [torch.load(file) if file.exists() else None for file in files]
    for file in files:
        file.unlink(missing_ok=True)
    return found
