"""Several processes under load: one fails or dies, and the others say so instead of waiting.

The processes are forked, without torchrun, which would end those that wait for a dead one. All that
fail go on living until each has answered, so that no connection breaks because a process ended.
"""

import os
import random
import signal
import time

import pytest
import torch
from helpers import rank_functions as ranks
from helpers.training_runs import FORKS, answers, equal, gone, in_ranks, kill
from test_distributed import torchrun
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from handbook import Batches, classification_step, evaluate, fit

X, Y = ranks.X, ranks.Y
ELSEWHERE = (
    "RuntimeError: another process failed, ended or does not answer: mend what its own error says, "
    "and run the same line again"
)
pytestmark = FORKS


# Killed


def lives(rank, path):
    """Train until killed, or until another one was: then say so with the exit status."""
    try:
        ranks.endless(path, 10**6, started=path.with_suffix(f".{rank}"))
    except RuntimeError as error:
        os._exit(3 if str(error) in ELSEWHERE else 4)


def test_kill_9_at_50_moments_loses_at_most_an_epoch(tmp_path):
    """Both, or only one: then the other must end by itself, with an error, and soon."""
    path, moments, hits = tmp_path / "run.pt", random.Random(0), 0
    part = tmp_path / "run.pt.part"
    signs = [path.with_suffix(".0"), path.with_suffix(".1")]
    for moment in range(50):
        for sign in signs:
            sign.unlink(missing_ok=True)
        children = in_ranks(lambda rank: lives(rank, path))
        victims = moments.choice([[0], [1], [0, 1]])
        if len(victims) == 1 or moment % 2:  # who dies before it has joined is torchrun's to see
            while not all(sign.exists() for sign in signs):
                time.sleep(0.001)
        writing = stamp(part)
        if moment % 3 == 0:  # in the middle of writing
            while stamp(part) == writing:
                assert not gone(children[0])
        if moment % 3 == 1:  # after an epoch was saved
            saved = stamp(path)
            while stamp(path) == saved:
                time.sleep(0.001)
        if moment % 3:
            time.sleep(moments.uniform(0, 0.05))
        for rank in victims:
            os.kill(children[rank], signal.SIGKILL)
        for rank, child in enumerate(children):
            status = ending(child)
            assert status == (-signal.SIGKILL if rank in victims else 3), (moment, rank, status)
        hits += 0 in victims and stamp(part) not in (None, writing)
    print(f"{hits} of 50 while it was written")
    assert hits >= 3
    epochs = len(torch.load(path, weights_only=True)["history"]) + 2
    assert epochs >= 16
    (tmp_path / "epochs").write_text(str(epochs))
    done = torchrun(tmp_path, "killed")
    assert done.returncode == 0, done.stderr.decode()
    for sign in signs:
        sign.unlink()
    straight = answers(lambda rank: ranks.endless(None, epochs), tmp_path)
    for rank in (0, 1):
        assert equal(torch.load(tmp_path / f"killed.{rank}"), straight[rank])
    assert sorted(os.listdir(tmp_path)) == ["epochs", "killed.0", "killed.1", "run.pt"]


def stamp(file):
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def ending(child, seconds=20):
    """Return the exit status of a process, minus the signal if one ended it."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            kill(child)
            return "waited in vain"
        time.sleep(0.002)


# One of two fails


class Examples(Dataset):
    """Examples of which two cannot be read, one on each rank, for those who ask for it to fail."""

    def __init__(self, fails):
        self.fails = fails

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        if self.fails and i in (4, 5):
            raise OSError("boom")
        return X[i], Y[i]


def loader(fails=False, data=None, **options):
    """Return a loader of this rank's part of the data."""
    data = Examples(fails) if data is None else data
    rank = int(os.environ["RANK"])
    sampler = DistributedSampler(data, num_replicas=2, rank=rank, shuffle=False)
    return DataLoader(data, batch_size=10, sampler=sampler, **options)


def train(fails="", path=None, **options):
    """Train two epochs; ``fails`` names where an error comes up, here and on no other rank."""
    calls = {"train": 0, "val": 0}

    def step(model, x, y):
        which = "train" if model.training else "val"
        calls[which] += 1
        if calls[which] == 3:
            if fails == which or fails == "with workers":
                raise ValueError("boom")
            if fails == "dies":
                os._exit(1)
            if fails == "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if fails == "Ctrl-C":
                os.kill(os.getpid(), signal.SIGINT)
            if fails == "leaves":
                raise SystemExit("boom")
        return classification_step(model, x, y)

    def on_epoch_end(row):
        if fails == "on_epoch_end":
            raise KeyError("boom")
        if fails == "on_epoch_end, last" and row["epoch"] == 2:
            raise KeyError("boom")

    batches, val = loader(fails == "dataset"), loader(fails == "dataset of val")
    if fails == "worker":
        batches = loader(True, num_workers=1)
    if fails == "with workers":
        batches = loader(False, num_workers=1, persistent_workers=True)
    model, optimizer = ranks.plain()
    options = {"val": val, "epochs": 2, "on_epoch_end": on_epoch_end, "checkpoint": path} | options
    history = fit(model, batches, step, optimizer=optimizer, **options)
    return history, model.state_dict()


WHERE = {
    "train": "ValueError: step failed on a batch of float32 (10, 6), int64 (10,): boom",
    "val": "ValueError: step failed on a batch of float32 (10, 6), int64 (10,): boom",
    "dataset": "OSError: boom",
    "dataset of val": "OSError: boom",
    "worker": "OSError: Caught OSError in DataLoader worker process 0.",
    "with workers": "ValueError: step failed on a batch of float32 (10, 6), int64 (10,): boom",
    "on_epoch_end": "KeyError: 'boom'",
    "on_epoch_end, last": "KeyError: 'boom'",
    "leaves": "SystemExit: boom",
    "Ctrl-C": "KeyboardInterrupt: ",
    "dies": None,
    "is killed": None,
}


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("where", WHERE)
def test_an_error_on_one_rank_is_an_error_on_both(tmp_path, where, failing):
    start = time.monotonic()
    fails = {failing: where}
    found = answers(lambda rank: train(fails.get(rank, "")), tmp_path)
    assert found[1 - failing] == ELSEWHERE
    said = found[failing]
    assert said == WHERE[where] if said is None else said.startswith(WHERE[where])
    assert time.monotonic() - start < 30


def test_a_disk_that_fails_rank_0_is_an_error_on_both(tmp_path):
    def spoil(row):
        if row["epoch"] == 1:
            (tmp_path / "run.pt.part").mkdir(exist_ok=True)

    found = answers(lambda rank: train(path=tmp_path / "run.pt", on_epoch_end=spoil), tmp_path)
    assert found[0] == found[1]
    assert found[0].startswith(f"CheckpointError: cannot write {tmp_path / 'run.pt'} (Is a dir")
    (tmp_path / "run.pt.part").rmdir()


def test_after_an_error_nobody_trains_on_with_the_others(tmp_path):
    """A script that catches the error is told, at once, on every rank."""

    def again(rank):
        try:
            train("train" if rank else "")
        except (RuntimeError, ValueError):
            train()

    for said in answers(again, tmp_path):
        assert said.startswith("RuntimeError: the processes have parted after an error (")
        assert said.endswith("): start the script again")


def test_an_error_that_all_raise_is_the_same_on_all(tmp_path):
    """Nobody is told to look elsewhere, though the first to raise closes the connections."""
    for _ in range(5):
        for said in answers(lambda rank: ranks.even_with_nan(), tmp_path, n=3):
            assert said.startswith("RuntimeError: the loss is nan in epoch 1, step 2")


MISTAKES = {
    "loader": "ValueError: 2 processes would each walk through all of the data: use handbook.Bat",
    "loader of evaluate": "ValueError: 2 processes would each walk through all of the data: use",
    "nan on one": "RuntimeError: the loss is nan in epoch 1, step 1",
    "no folder": "CheckpointError: cannot write",
    "garbage": "CheckpointError: ",
    "frozen": "RuntimeError: unused.weight, unused.bias got no gradient",
    "frozen, one step": "RuntimeError: unused.weight, unused.bias got no gradient",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_both_ranks_raise_the_same_one_line_error(tmp_path, name):
    zero, one = answers(lambda rank: ranks.mistake(name, tmp_path), tmp_path)
    assert zero == one
    assert zero.startswith(MISTAKES[name])
    assert "\n" not in zero


# Uneven data


class Short(DistributedSampler):
    """A sampler that gives rank 1 fewer, or more, examples than its loader announces."""

    change = -15

    def __iter__(self):
        indices = list(super().__iter__())
        if self.rank == 0:
            return iter(indices)
        return iter(indices[: self.change] if self.change < 0 else indices * 2)


@pytest.mark.parametrize("change", [-15, 15])
def test_a_loader_of_another_length_than_it_announced(tmp_path, change):
    def run(rank):
        batches = loader()
        sampler = Short(batches.dataset, num_replicas=2, rank=rank, shuffle=False)
        sampler.change = change
        model, optimizer = ranks.plain()
        fit(
            model, DataLoader(batches.dataset, batch_size=10, sampler=sampler), classification_step,
            optimizer=optimizer, epochs=2,
        )  # fmt: skip

    zero, one = answers(run, tmp_path)
    given = "4 of 6" if change < 0 else "more than 6"
    assert one.startswith(f"ValueError: the loader gave {given} batches"), one
    assert zero == ELSEWHERE


def test_loaders_of_different_length(tmp_path):
    def run(rank):
        part = torch.utils.data.TensorDataset(X[: 40 + 40 * rank], Y[: 40 + 40 * rank])
        model, optimizer = ranks.plain()
        fit(model, loader(data=part), classification_step, optimizer=optimizer)

    zero, one = answers(run, tmp_path)
    assert zero == one
    assert zero.startswith("ValueError: the processes have 2 to 4 batches: give all of them")


@pytest.mark.parametrize("empty", [0, 1])
def test_a_rank_without_examples_for_validation(tmp_path, empty):
    """The mean is that of the other; without any at all, both say so."""

    def run(rank):
        mine = Batches(X, Y, batch_size=32)
        model, optimizer = ranks.plain()
        val = loader(data=torch.utils.data.TensorDataset(X[:20], Y[:20]))
        if rank == empty:
            val = DataLoader([], sampler=Nothing())
        rows = fit(model, mine, classification_step, optimizer=optimizer, val=val, epochs=2)
        other = X[:20][1 - empty :: 2], Y[:20][1 - empty :: 2]
        loss, _ = classification_step(model, *other)
        try:
            evaluate(model, DataLoader([], sampler=Nothing()), classification_step)
        except ValueError as error:
            return rows, loss.item(), str(error)

    zero, one = answers(run, tmp_path)
    assert zero[0] == one[0]
    assert zero[0][-1]["val_loss"] == pytest.approx(zero[1], rel=1e-6)
    assert zero[2] == one[2]
    assert zero[2].startswith("there are no batches")


class Nothing:
    """A sampler of a rank that got none of the data."""

    num_replicas = 2

    def __iter__(self):
        return iter([])

    def __len__(self):
        return 0


def test_statistics_of_batch_norm_are_means_over_the_ranks(tmp_path):
    """With a learning rate of 0, each rank's statistics can be computed here, one by one."""

    def norm():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 2))

    def run(rank):
        model = norm()
        sgd = torch.optim.SGD(model.parameters(), lr=0.0)
        fit(model, Batches(X, Y, batch_size=14), classification_step, optimizer=sgd)
        return model.state_dict()

    found, parts = answers(run, tmp_path), []
    for rank in (0, 1):
        model = norm()
        for i in range(0, 101, 14):
            x = X[i : i + 14]
            half = len(x) // 2  # 7 and 7; at the end, 1 and 2 of 3 are 3 alone on rank 0
            x = x if len(x) < 4 else (x[:half], x[half:])[rank]
            model(x[:2] if len(x) < 4 and rank else x)
        parts.append(model.state_dict())
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name])
        mean = (parts[0][name].double() + parts[1][name].double()) / 2
        assert torch.allclose(value.double(), mean, rtol=1e-6, atol=1e-7), name


# By seed


def test_two_ranks_twice_are_equal_bit_for_bit(tmp_path):
    def run(rank):
        return ranks.run(None, 4)

    assert equal(answers(run, tmp_path), answers(run, tmp_path))
