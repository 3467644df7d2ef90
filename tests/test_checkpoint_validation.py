"""What a readable checkpoint must hold: what is missing is named, and nothing is touched."""

import copy

import pytest
import torch
from torch import nn

from handbook import Batches, classification_step, fit, load_checkpoint
from handbook.checkpoint import CheckpointError

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def train(path, epochs, scheduled=True):
    """Train as a script would, and return model, optimizer and history."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer) if scheduled else None
    parts = model, optimizer
    options = {"optimizer": optimizer, "scheduler": scheduler, "checkpoint": path}
    options["scheduler_interval"] = "batch" if scheduled else None
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    try:
        return *parts, fit(
            model, Batches(X, Y, batch_size=10), classification_step, epochs=epochs, **options
        )
    except CheckpointError:
        now = model.state_dict(), optimizer.state_dict()
        assert str(before) == str(now)  # all the numbers, nested as they are
        raise


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.pt"
    train(path, 2)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path, content):
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    return path


def put(state, where, value):
    """Replace what stands under these keys; ``del`` means: take it away."""
    *way, last = where
    for key in way:
        state = state[key]
    if value is del_:
        del state[last]
    else:
        state[last] = value


def del_():
    """Stand for: no entry."""


ODD = [
    *(([part], value) for part in ("settings", "history", "model", "optimizer", "rng")
      for value in (del_, None, 5, "text", torch.ones(2))),
    (["stopped"], "yes"), (["stopped"], del_), (["scheduler"], 3), (["scheduler"], del_),
    (["model", "weight"], del_), (["model", "weight"], 5), (["model", "more"], torch.ones(1)),
    (["model", "bias"], torch.ones(2, dtype=torch.int64)), (["model", 5], torch.ones(1)),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value"), ODD, ids=[f"{w}-{str(v)[:20]}" for w, v in ODD])
def test_a_wrong_entry_is_refused_and_nothing_is_touched(path, where, value):
    state = torch.load(path, weights_only=True)
    put(state, where, value)
    torch.save(state, path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        train(path, 3)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert "choose another path" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("part", ["settings", "stopped", "optimizer", "scheduler", "rng"])
def test_weights_are_read_only_from_a_whole_checkpoint(path, part):
    state = torch.load(path, weights_only=True)
    del state[part]
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=f"is damaged .it lacks {part}.: choose another"):
        load_checkpoint(path, nn.Linear(3, 2))


def test_rows_may_hold_what_on_epoch_end_adds(path):
    state = torch.load(path, weights_only=True)
    state["history"][0] |= {
        "lr": 0.1,
        "note": "warm",
        "seen": [1, {"a": torch.ones(3)}],
        "x": float("nan"),
    }
    torch.save(state, path)
    assert len(train(path, 3)[2]) == 3


def test_settings_of_another_version_are_no_fault(path):
    state = torch.load(path, weights_only=True)
    group = state["optimizer"]["param_groups"][0]
    group["of the future"] = 1
    del group["maximize"]
    torch.save(state, path)
    assert len(train(path, 2)[2]) == 2
