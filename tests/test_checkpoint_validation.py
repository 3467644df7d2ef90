"""What a readable checkpoint must hold: what is missing is named, and nothing is touched."""

import copy

import pytest
import torch
from torch import nn

from handbook import Batches, classification_step, fit
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


def forget(state):
    del state["weight"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (forget, "it lacks weight"),
        (lambda state: state.update(more=torch.ones(1)), "it has more"),
        (lambda state: state.update(bias=torch.ones(2, dtype=torch.int64)), "bias was int64"),
        (lambda state: state.update(bias=torch.ones(3)), r"bias was float32 \(3,\) and is"),
    ],
)
def test_another_model_is_refused_and_nothing_is_touched(path, change, message):
    state = torch.load(path, weights_only=True)
    change(state["model"])
    torch.save(state, path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=message) as caught:
        train(path, 3)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert "choose another path" in str(caught.value)
    assert path.read_bytes() == before


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
