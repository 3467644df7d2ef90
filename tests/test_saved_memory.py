"""What a graph keeps: counted once, until the graph is gone."""

import pytest
import torch

from handbook import SavedMemory


def test_each_piece_of_memory_counts_once():
    x = torch.ones(3, requires_grad=True)
    with SavedMemory() as saved:
        h = x.exp()  # keeps its result
        _y = h * h  # keeps it twice
    assert saved.nbytes == 3 * 4


def test_what_is_excluded_does_not_count():
    w, x = torch.ones(3, requires_grad=True), torch.ones(3)
    with SavedMemory(exclude=[w]) as saved:
        _product = w * x[:2].repeat(2)[:3]
    assert saved.nbytes == 4 * 4  # the copy of four numbers behind the view
    with SavedMemory(exclude=(t for t in (w, x))) as none:
        _product = w * x[:3]
    assert none.nbytes == 0


@pytest.mark.parametrize("end", ["backward", "delete"])
def test_it_goes_with_the_graph(end):
    x = torch.ones(3, requires_grad=True)
    with SavedMemory() as saved:
        y = (x**2).sum()
    assert saved.nbytes == 12
    if end == "backward":
        y.backward()
        assert x.grad.tolist() == [2, 2, 2]
    del y
    assert saved.nbytes == 0


def test_entered_again_it_counts_together():
    saved, results = SavedMemory(), []
    for _ in range(3):
        with saved:
            results.append(torch.ones(2, requires_grad=True).exp())
    assert saved.nbytes == 3 * 2 * 4


def test_nothing_outside_the_block_is_counted():
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(ZeroDivisionError), SavedMemory() as saved:
        raise ZeroDivisionError
    y = x.exp()
    assert saved.nbytes == 0 and y.requires_grad
