"""Several processes: one fails or is killed, and the job ends soon, with the error of that one."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from helpers import launches
from helpers import rank_functions as ranks
from helpers.training_runs import (
    FORKS,
    NEVER,
    answers,
    equal,
    gone,
    in_ranks,
    kill,
    slow_disk,
    stamp,
    wait_for,
)
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from handbook import Batches, classification_step, evaluate, fit, load_checkpoint

X, Y = ranks.X, ranks.Y
SCRIPT = Path(__file__).parent / "helpers/failing_rank.py"
pytestmark = FORKS


# Under torchrun

ALONE = ["step", "dataset", "worker", "validation", "on_epoch_end", "after fit", "_exit", "SIGKILL"]
CASES = [(how, rank, "forked") for how in ALONE for rank in (0, 1)]
CASES += [("saving", 0, "forked")]  # rank 0 alone writes
# As users launch it; to older versions of torchrun, SIGINT in a forked rank is a success.
CASES += [("after fit", 1, "fresh"), ("SIGINT", 1, "fresh"), ("SIGKILL", 0, "fresh")]


@pytest.fixture(scope="module")
def jobs(request, tmp_path_factory):
    """Return, for each case that is asked for, its folder and its launch; four run at a time."""
    asked = [getattr(item, "callspec", None) for item in request.session.items]
    asked = {spec.params["case"] for spec in asked if spec and "case" in spec.params}
    waiting = sorted(asked & {*CASES}, key=lambda case: case[2])
    found = {}
    while waiting:
        four, waiting = waiting[:4], waiting[4:]
        folders = {case: tmp_path_factory.mktemp("job") for case in four}
        started = {
            case: launches.start(SCRIPT, folder, *case[:2], fork=case[2] == "forked")
            for case, folder in folders.items()
        }
        found |= {case: (folders[case], launches.finish(started[case])) for case in four}
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_the_job_ends_soon_with_the_error_of_the_rank_that_failed(jobs, case):
    (how, rank, _), (folder, job) = case, jobs[case]
    assert job.status == 1
    seconds = job.ended - float((folder / "moment").read_text())
    print(f"{seconds:.1f} s from failure to end")
    assert seconds < 120  # what waits for another one would wait for half an hour
    lines = [line.strip() for line in job.said.splitlines() if line.strip("= ")]
    pid = (folder / f"pid.{rank}").read_text()
    if how in ("_exit", "SIGKILL", "SIGINT"):  # torchrun's own words, about this process
        end = "\n".join(lines[-3:])
        assert pid in end and str({"_exit": 7, "SIGKILL": 9, "SIGINT": 2}[how]) in end
    elif how == "saving":  # both ranks raise it
        assert lines[-1] in ("on rank 0 of 2", "on rank 1 of 2")
        assert lines[-2].startswith(f"handbook.checkpoint.CheckpointError: cannot write {folder}")
    else:
        assert lines[-1] == f"on rank {rank} of 2"
        assert "ValueError: boom" in lines[-3:-1]  # a note on the batch may follow
    epochs = {"on_epoch_end": 2, "after fit": 3}.get(how, 1)
    assert len(load_checkpoint(folder / "run.pt", ranks.plain()[0])) == epochs


# Killed, without torchrun


def lives(rank, path, slow):
    """Train until killed, or until the other one was: then say so with the exit status."""
    if slow:
        slow_disk()
    try:
        ranks.endless(path, 10**6, started=path.with_suffix(f".{rank}"))
    except RuntimeError:
        os._exit(3)


def kill_once(path, moment, victims, seconds):
    """Train from the checkpoint until a moment; say whether it was in the middle of writing."""
    part = path.with_suffix(".pt.part")
    signs = [path.with_suffix(".0"), path.with_suffix(".1")]
    for sign in signs:
        sign.unlink(missing_ok=True)
    writing, saved = stamp(part), stamp(path)
    children = in_ranks(lambda rank: lives(rank, path, slow=moment == "writing"))
    wait_for(lambda: all(sign.exists() for sign in signs), *children)
    if moment == "writing":
        wait_for(lambda: stamp(part) not in (None, writing), *children)
    else:
        wait_for(lambda: stamp(path) != saved, *children)
    time.sleep(seconds)
    for rank in victims:
        os.kill(children[rank], signal.SIGKILL)
    for rank, child in enumerate(children):
        status = gone(child, NEVER)
        if status is None:
            kill(child)
        assert status == (-signal.SIGKILL if rank in victims else 3), (moment, rank)
    return 0 in victims and stamp(part) not in (None, writing)


def test_kill_9_at_10_moments_loses_at_most_an_epoch(tmp_path):
    """Both, or only one: then the other must end by itself, with an error, and soon."""
    path, moments, hits = tmp_path / "run.pt", random.Random(0), 0
    for i in range(10):
        moment, victims = ["writing", "saved"][i % 2], [[0], [1], [0, 1], [0]][i % 4]
        hits += kill_once(path, moment, victims, moments.uniform(0, 0.05))
    print(f"{hits} of 10 while it was written")
    assert hits >= 3
    epochs = len(torch.load(path, weights_only=True)["history"]) + 2
    assert epochs >= 5 + 2
    resumed = answers(lambda rank: ranks.endless(path, epochs), tmp_path)
    straight = answers(lambda rank: ranks.endless(None, epochs), tmp_path)
    assert equal(resumed, straight)
    assert sorted(os.listdir(tmp_path)) == ["run.0", "run.1", "run.pt"]


# An error that all ranks notice together


def loader(data=None, **options):
    """Return a loader of this rank's part of the data."""
    data = TensorDataset(X, Y) if data is None else data
    rank = int(os.environ["RANK"])
    sampler = DistributedSampler(data, num_replicas=2, rank=rank, shuffle=False)
    return DataLoader(data, batch_size=10, sampler=sampler, **options)


def test_an_error_that_all_raise_is_the_same_on_all(tmp_path):
    """No rank raises an echo of the others, though the first to end closes the connections."""
    for _ in range(3):
        for said in answers(lambda rank: ranks.even_with_nan(), tmp_path, n=3):
            assert said.startswith("RuntimeError: the loss is nan in epoch 1, step 2")


MISTAKES = {
    "loader": "ValueError: 2 processes would each go through all of the data: use handbook.Bat",
    "loader of evaluate": "ValueError: 2 processes would each go through all of the data: use",
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
    given = 4 if change < 0 else "more"
    assert one.startswith(f"ValueError: len(loader) is 6, but it yielded {given}:"), one
    assert zero.startswith("RuntimeError")  # its connections broke when the other ended


def test_loaders_of_different_length(tmp_path):
    def run(rank):
        part = TensorDataset(X[: 40 + 40 * rank], Y[: 40 + 40 * rank])
        model, optimizer = ranks.plain()
        fit(model, loader(part), classification_step, optimizer=optimizer)

    zero, one = answers(run, tmp_path)
    assert zero == one
    assert zero.startswith("ValueError: the processes have 2 to 4 batches: give all of them")


@pytest.mark.parametrize("empty", [0, 1])
def test_a_rank_without_examples_for_validation(tmp_path, empty):
    """The mean is that of the other; without any at all, both say so."""

    def run(rank):
        mine = Batches(X, Y, batch_size=32)
        model, optimizer = ranks.plain()
        val = loader(data=TensorDataset(X[:20], Y[:20]))
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


def test_evaluate_counts_an_example_that_the_sampler_repeats_once(tmp_path):
    """Data of 1 or 5 examples on 2 ranks: the same as in one process."""
    kinds = [(n, size, shuffle) for n in (1, 5) for size in (1, 2, 3) for shuffle in (False, True)]

    def scores(n, size, shuffle, rank=None):
        data = TensorDataset(X[:n], Y[:n])
        sampler = None
        if rank is not None:
            sampler = DistributedSampler(data, num_replicas=2, rank=rank, shuffle=shuffle)
        loader = DataLoader(data, batch_size=size, sampler=sampler)
        return evaluate(ranks.plain()[0], loader, classification_step)

    zero, one = answers(lambda rank: [scores(*kind, rank) for kind in kinds], tmp_path)
    assert zero == one
    for found, kind in zip(zero, kinds, strict=True):
        assert found == pytest.approx(scores(*kind), rel=1e-6), kind


# By seed


def test_two_ranks_twice_are_equal_bit_for_bit(tmp_path):
    def run(rank):
        return ranks.run(None, 4)

    assert equal(answers(run, tmp_path), answers(run, tmp_path))
