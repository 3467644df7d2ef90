"""Two real gloo processes under torchrun: the same numbers as one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import rank_functions as ranks
from helpers.training_runs import equal

from handbook import classification_step, distributed, fit

SCRIPT = Path(__file__).parent / "helpers/rank_functions.py"


NAMES = ["even", "odd", "one_alone", "single", "straight", "half", "rest"]
NAMES += ["masks", "loader", "methods", "stopping", "order"]
NAMES += ["sharded", "sharded_uneven", "sharded_faults", "hybrid", "tensor_parallel_faults"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def launch(folder):
    """Run functions of rank_functions.py in two processes, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", SCRIPT, folder, *NAMES]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, capture_output=True, env=env, timeout=900)
    assert done.returncode == 0, done.stderr.decode()
    return done


@pytest.fixture
def result(folder, launch):
    """Return a function that reads what a rank returned."""
    return lambda name, rank: torch.load(folder / f"{name}.{rank}")


@pytest.mark.parametrize("name", ["even", "odd", "one_alone", "single"])
def test_two_ranks_give_the_numbers_of_one_process(result, name):
    one, weights, score = getattr(ranks, name)(None)
    for rank in (0, 1):
        history, state, scored = result(name, rank)
        for row, expected in zip(history, one, strict=True):
            assert row == pytest.approx(expected, rel=1e-6)
        for key, value in weights.items():
            assert torch.allclose(state[key], value, rtol=1e-4, atol=1e-6)
        assert scored == pytest.approx(score, rel=1e-6)
    assert result(name, 0)[0] == result(name, 1)[0]
    assert equal(result(name, 0)[1], result(name, 1)[1])


def test_a_sharded_model_gives_the_numbers_of_one_process(result):
    one, weights, score = ranks.sharded(None)
    for rank in (0, 1):
        history, shared, scored = result("sharded", rank)
        for row, expected in zip(history, one, strict=True):
            assert row == pytest.approx(expected, rel=1e-6)
        for name, value in weights.items():
            assert torch.allclose(shared[name], value, rtol=1e-4, atol=1e-6)
        assert scored == pytest.approx(score, rel=1e-6)


def test_a_sharded_model_is_evaluated_where_a_rank_has_a_batch_less(result):
    """Each rank must take part in each batch, since the layers collect their weights."""
    for rank in (0, 1):
        assert result("sharded_uneven", rank) == pytest.approx(ranks.sharded_uneven(None))


def test_what_cannot_be_done_with_a_sharded_model_is_said(result):
    for rank in (0, 1):
        loaded, saved, compiled, head, nan = result("sharded_faults", rank)
        assert loaded.startswith("TypeError: load the checkpoint first")
        assert "checkpoint= would keep that of rank 0 alone" in saved and compiled == saved
        assert head.startswith("ValueError: 2.weight is not sharded")
        assert "is not finite after epoch 1" in nan, "both ranks, though one of them has the nan"


def test_a_mesh_of_two_dimensions_gives_the_numbers_of_one_process(result):
    for rank in (0, 1):
        for row, expected in zip(result("hybrid", rank), ranks.hybrid(None), strict=True):
            assert row == pytest.approx(expected, rel=1e-6)


def test_a_model_whose_ranks_need_the_same_batch_is_refused(result):
    """Their losses and scores would be wrong in silence, since each would have its own part."""
    for rank in (0, 1):
        *cut, trained_alone, evaluated_alone = result("tensor_parallel_faults", rank)
        assert len(cut) == 4
        for line in cut:
            assert line.startswith("0.weight is split by tensor parallelism"), line
        assert trained_alone == evaluated_alone
        assert trained_alone.startswith("0.weight is spread over 1 of 2 processes")


def test_a_sharded_model_is_not_that_of_an_optimizer_made_before(monkeypatch):
    """In one process, which is a group of its own: there, too, nothing would be trained."""
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_PORT": 0}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    torch.distributed.init_process_group("gloo")
    try:
        model, early = ranks.plain()
        ranks.shard(model, mesh=(1,))
        model(ranks.X)
        late = torch.optim.SGD(model.parameters(), lr=1e-2)  # of the whole weights
        for optimizer in (early, late):
            with pytest.raises(ValueError, match="holds no parameter of this model"):
                fit(
                    model,
                    [(ranks.X, ranks.Y)],
                    classification_step,
                    optimizer=optimizer,
                    device="cpu",
                )
    finally:
        torch.distributed.destroy_process_group()


def test_resumed_is_uninterrupted_on_two_ranks(result):
    for rank in (0, 1):
        assert equal(result("rest", rank), result("straight", rank))
    assert equal(result("rest", 0), result("rest", 1))  # the random numbers afterwards, too


def test_a_checkpoint_has_the_names_of_the_bare_model_and_one_stream_for_each_rank(folder, launch):
    state = torch.load(folder / "run.pt", weights_only=True)
    assert list(state["model"])[:2] == ["0.weight", "0.bias"]
    zero, one = (each["torch"] for each in state["rng"]["ranks"])
    assert not torch.equal(zero, one)


def test_running_statistics_of_both_ranks_count(result):
    """The mean over both shares, and not that of rank 0 alone, as DDP would have it."""
    _, state, *_ = result("straight", 0)
    assert state["1.num_batches_tracked"] == 4 * 7
    one = ranks.straight(None)[1]
    assert torch.allclose(state["1.running_mean"], one["1.running_mean"], atol=0.05)


def test_ranks_draw_different_dropout_masks(result):
    zero, one = result("masks", 0), result("masks", 1)
    assert zero.shape == one.shape
    for mask in zero:
        assert not any(torch.equal(mask, other) for other in one)


def test_a_loader_with_a_distributed_sampler(result):
    firsts, histories = [], []
    for rank in (0, 1):
        first_epoch, both, history = result("loader", rank)
        firsts += first_epoch.tolist()
        histories.append(history)
        assert both[: len(first_epoch)].tolist() != both[len(first_epoch) :].tolist()
    assert sorted(set(firsts)) == list(range(101))
    assert histories[0] == histories[1]


def test_a_step_may_call_any_method_of_the_model(result):
    for rank in (0, 1):
        assert result("methods", rank) == (["Model"], pytest.approx(1 - 2.0))


def test_one_rank_may_stop_all(result):
    for rank in (0, 1):
        assert [row["epoch"] for row in result("stopping", rank)] == [1, 2]


def test_a_plain_loop_over_batches_sees_the_part_of_its_rank(result):
    parts = zip(result("order", 0), result("order", 1), strict=False)
    assert [y for zero, one in parts for y in zero + one] == list(range(100))


def test_only_rank_0_shows_a_bar_and_nothing_else_is_said(launch):
    assert launch.stdout == b""
    lines = [line.split("\r")[-1] for line in launch.stderr.decode().strip("\n").split("\n")]
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]  # of half


# What one process can check


def test_alone_everything_is_as_it_is():
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert distributed.gather("x") == ["x"]
    assert distributed.on_rank_zero(max, 1, 2) == 2


def test_an_environment_that_only_names_a_world_size_is_not_torchrun(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert distributed.world_size() == 1


def test_device(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    assert distributed.init() == torch.device("cpu")
    assert distributed.init("meta") == torch.device("meta")


def test_more_processes_than_accelerators(monkeypatch):
    for name, value in {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1, "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"use --nproc-per-node=1, or fit\(..., device='cpu'\)"):
        distributed.init("cuda")


def test_each_rank_takes_the_accelerator_of_its_number(monkeypatch):
    """Stand-ins for the accelerators and the group: no machine of the tests has them."""
    for name, value in {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    chosen, backends = [], []
    monkeypatch.setattr(torch.accelerator, "set_device_index", chosen.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", backends.append)
    assert distributed.init("cuda") == torch.device("cuda", 1)
    assert chosen == [1] and backends == ["cpu:gloo,cuda:nccl"]
