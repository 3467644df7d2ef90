"""The bar: there when somebody watches, and costs nothing otherwise."""

import builtins
import sys

import torch
from torch import nn

from handbook import Batches, fit, regression_step
from handbook.progress import ProgressBar

X = torch.linspace(-1, 1, 20).unsqueeze(1)


def train(progress):
    model = nn.Linear(1, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = Batches(X, X, batch_size=5)
    return fit(
        model, batches, regression_step, optimizer=sgd, val=batches, epochs=2, progress=progress
    )


def test_silent_without_a_terminal(capsys):
    train(progress=None)
    assert capsys.readouterr() == ("", "")


def test_hidden_means_the_very_same_iterable():
    batches = [1, 2]
    assert ProgressBar(False, 3, batches).track(batches, 1) is batches


def test_one_bar_for_each_epoch_with_its_results(capsys):
    history = train(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line.split("\r")[-1] for line in err.strip("\n").split("\n")]
    for line, row in zip(lines, history, strict=True):
        assert line.startswith(f"epoch {row['epoch']}/2: 100%")
        assert "4/4" in line
        assert f"val_loss={row['val_loss']:.3g}" in line


def test_shown_on_a_terminal_and_in_a_notebook(monkeypatch):
    assert not ProgressBar(None, 1, []).show
    with monkeypatch.context() as patch:
        patch.setattr(sys.stderr, "isatty", lambda: True)
        assert ProgressBar(None, 1, []).show
        assert not ProgressBar(False, 1, []).show
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "get_ipython", print, raising=False)
        assert ProgressBar(None, 1, []).show


def test_only_rank_0_shows(monkeypatch):
    monkeypatch.setattr("handbook.distributed.rank", lambda: 1)
    assert not ProgressBar(True, 1, []).show


def test_data_of_unknown_length(capsys):
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(X)

    loader = torch.utils.data.DataLoader(Stream(), batch_size=5)
    bar = ProgressBar(True, 1, loader)
    assert len(list(bar.track(loader, 1))) == 4
    bar.finish_epoch({"epoch": 1})
    assert "4step" in capsys.readouterr().err


def test_an_error_ends_the_line(capsys):
    bar = ProgressBar(True, 1, [1, 2])
    steps = iter(bar.track([1, 2], 1))
    next(steps)
    steps.close()
    assert capsys.readouterr().err.endswith("\n")
