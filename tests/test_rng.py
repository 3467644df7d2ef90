"""Random streams: everything an epoch may draw from is saved, restored, and apart on each rank."""

import io
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler

from handbook import distributed
from handbook.rng import RandomStreams

CPU = torch.device("cpu")


def draw():
    return torch.rand(2).tolist(), random.random(), random.gauss(0, 1), np.random.randn()


def test_the_global_generators_are_restored():
    streams = RandomStreams(CPU)
    draw()
    state = streams.state_dict()
    first = draw()
    assert draw() != first
    streams.load_state_dict(state)
    assert draw() == first


def test_generators_of_loaders_are_restored_each_once():
    mine, other = torch.Generator(), torch.Generator()
    loader = DataLoader(range(9), shuffle=True, generator=mine)
    sampled = DataLoader(range(9), sampler=RandomSampler(range(9), generator=other))
    streams = RandomStreams(CPU, loader, sampled, [1, 2], None)
    assert streams.generators == [mine, other]
    state = streams.state_dict()
    first = [list(loader), list(sampled)]
    assert [list(loader), list(sampled)] != first
    streams.load_state_dict(state)
    assert [list(loader), list(sampled)] == first


@pytest.mark.parametrize(
    ("own", "draw"),
    [
        (np.random.default_rng(0), lambda rng: rng.normal()),
        (np.random.Generator(np.random.MT19937(0)), lambda rng: rng.normal()),
        (np.random.RandomState(0), lambda rng: rng.normal()),
        (random.Random(0), lambda rng: rng.gauss(0, 1)),
        (torch.Generator(), lambda rng: torch.rand((), generator=rng).item()),
    ],
)
def test_a_generator_of_a_wrapped_data_set_is_restored(own, draw):
    inner = SimpleNamespace(rng=own, secret=random.SystemRandom())
    outer = SimpleNamespace(datasets=[SimpleNamespace(dataset=inner)])
    streams = RandomStreams(CPU, SimpleNamespace(dataset=outer))
    assert streams.generators == [own]
    saved = io.BytesIO()
    torch.save(streams.state_dict(), saved)
    saved.seek(0)
    first = draw(own)
    assert draw(own) != first
    streams.load_state_dict(torch.load(saved, weights_only=True))
    assert draw(own) == first


def test_another_kind_of_generator_keeps_its_own_state():
    """As after a change of the data set between two runs."""
    state = RandomStreams(CPU, SimpleNamespace(rng=random.Random(0))).state_dict()
    other = np.random.default_rng(0)
    RandomStreams(CPU, SimpleNamespace(rng=other)).load_state_dict(state)
    assert other.normal() == np.random.default_rng(0).normal()


def test_ranks_part_differently_and_the_first_stays(monkeypatch):
    seen = []
    for rank in range(4):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        expected = None
        if not rank:
            state = RandomStreams(CPU).state_dict()
            expected = draw()
            RandomStreams(CPU).load_state_dict(state)
        RandomStreams(CPU).fork_ranks()
        seen.append(draw())
        assert expected in (None, seen[0])
    assert len({number for numbers in seen for number in numbers[0]}) == 8
    assert len({numbers[1] for numbers in seen}) == len({numbers[3] for numbers in seen}) == 4


def test_more_ranks_than_were_saved_keep_their_own_stream(monkeypatch):
    state = RandomStreams(CPU).state_dict()
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    before = torch.get_rng_state()
    RandomStreams(CPU).load_state_dict(state)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("saved_on", ["cpu", "cuda", "mps"])
def test_the_accelerator_has_a_stream_of_its_own(monkeypatch, saved_on):
    """A stand-in for the accelerator: no machine of the tests has one."""
    states = {torch.device("cuda", 1): torch.tensor([1, 2], dtype=torch.uint8)}
    module = SimpleNamespace(
        get_rng_state=states.__getitem__,
        set_rng_state=lambda state, device: states.update({device: state}),
    )
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    streams = RandomStreams(torch.device("cuda", 1))
    state = streams.state_dict()
    assert state["ranks"][0]["device"][0] == "cuda"
    state["ranks"][0]["device"] = (saved_on, torch.tensor([7], dtype=torch.uint8))
    streams.load_state_dict(state)
    found = states[torch.device("cuda", 1)].tolist()
    assert found == ([7] if saved_on == "cuda" else [1, 2])
