"""Batches: what they yield, in which order, and how they are split over ranks."""

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    StackDataset,
    TensorDataset,
    random_split,
)

from handbook import Batches, distributed
from handbook.batches import iterate_batches

CPU = torch.device("cpu")
X, Y = torch.arange(20.0).reshape(10, 2), torch.arange(10)


@pytest.fixture
def ranks(monkeypatch):
    """Return a function that lets this process pretend to be one of several."""

    def pretend(rank, world):
        monkeypatch.setattr(distributed, "rank", lambda: rank)
        monkeypatch.setattr(distributed, "world_size", lambda: world)
        monkeypatch.setattr(distributed, "gather", lambda value: [value] * world)

    return pretend


def order(batches):
    return torch.cat([y for _, y in batches]).tolist()


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 11])
def test_same_batches_as_a_data_loader(batch_size, drop_last):
    if drop_last and batch_size > 10:
        return
    batches = Batches(X, Y, batch_size=batch_size, drop_last=drop_last)
    loader = DataLoader(TensorDataset(X, Y), batch_size=batch_size, drop_last=drop_last)
    assert len(batches) == len(loader)
    for ours, theirs in zip(batches, loader, strict=True):
        assert isinstance(ours, tuple)
        for our, their in zip(ours, theirs, strict=True):
            assert torch.equal(our, their)


def test_rows_stay_together_when_shuffled():
    for x, y in Batches(X, Y, batch_size=4, shuffle=True):
        assert torch.equal(x, X[y])


def test_order_is_a_function_of_seed_and_epoch():
    def one(seed, epoch):
        batches = Batches(X, Y, batch_size=3, shuffle=True, seed=seed)
        batches.set_epoch(epoch)
        torch.manual_seed(seed * 7 + epoch)  # must not matter
        return order(batches)

    orders = {(seed, epoch): one(seed, epoch) for seed in range(4) for epoch in range(1, 6)}
    assert all(sorted(found) == list(range(10)) for found in orders.values())
    assert len(set(map(tuple, orders.values()))) == len(orders)
    assert orders[2, 3] == one(2, 3)


def test_shuffling_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    order(Batches(X, Y, batch_size=3, shuffle=True))
    assert torch.rand(1) == expected


def test_a_finished_pass_moves_to_the_next_epoch_and_a_look_does_not():
    batches = Batches(X, Y, batch_size=3, shuffle=True)
    looked = next(iter(batches))[1]
    first, second = order(batches), order(batches)
    assert looked.tolist() == first[:3]
    assert first != second
    batches.set_epoch(1)
    assert order(batches) == first


def test_a_pass_ends_with_its_last_batch_and_not_only_when_another_is_asked_for():
    batches = Batches(X, Y, batch_size=3, shuffle=True)
    passes = [[y for _, (_, y) in zip(range(len(batches)), batches, strict=False)] for _ in "ab"]
    first, second = (torch.cat(each).tolist() for each in passes)
    assert sorted(first) == sorted(second) == Y.tolist()
    assert first != second


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_may_be_changed_in_place(shuffle):
    before = X.clone()
    for x, _ in Batches(X, Y, batch_size=4, shuffle=shuffle):
        x.zero_()
    assert torch.equal(X, before)


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 4, 7, 10])
@pytest.mark.parametrize("shuffle", [False, True])
def test_ranks_share_each_batch_without_rest(ranks, world, batch_size, shuffle):
    batches = Batches(X, Y, batch_size=batch_size, shuffle=shuffle)
    whole = [y.tolist() for _, y in batches]
    found = [[] for _ in whole]
    weights = torch.zeros(len(whole))
    for rank in range(world):
        ranks(rank, world)
        for i, ((_, y), size, weight) in enumerate(iterate_batches(batches, CPU, epoch=1)):
            assert len(y) == size or (size == 0 and 1 <= len(y) <= 2)  # lent: counts 0
            found[i] += y.tolist()[:size]
            weights[i] += (1.0 if weight is None else weight) / world
        batches.set_epoch(1)
        assert sum(len(y) for _, y in batches) == sum(
            size for _, size, _ in iterate_batches(batches, CPU, epoch=1)
        )
    assert found == whole
    assert torch.allclose(weights, torch.ones(len(whole)))


@pytest.mark.parametrize("world", [2, 3, 8])
def test_no_rank_is_left_with_one_example_of_a_small_last_batch(ranks, world):
    for rank in range(world):
        ranks(rank, world)
        for rest in range(2, 16):
            *_, ((y,), _, _) = iterate_batches(Batches(torch.arange(16 + rest), batch_size=16), CPU)
            assert len(y) >= 2


def test_one_process_needs_no_grad_weight():
    found = iterate_batches(Batches(X, Y, batch_size=3), CPU, epoch=1)
    assert all(weight is None for *_, weight in found)


def test_iterate_batches_takes_loaders_lists_and_single_tensors():
    loader = DataLoader(TensorDataset(X, Y), batch_size=4)
    assert [size for _, size, _ in iterate_batches(loader, CPU)] == [4, 4, 2]
    assert [len(batch) for batch, _, _ in iterate_batches([X, X], CPU)] == [1, 1]
    assert [batch[1] for batch, _, _ in iterate_batches([(X, "name")], CPU)] == ["name"]


def test_iterate_batches_tells_a_distributed_sampler_the_epoch(ranks):
    sampler = torch.utils.data.DistributedSampler(X, num_replicas=2, rank=0)
    ranks(0, 2)
    loader = DataLoader(X, batch_size=2, sampler=sampler)
    orders = [
        torch.cat([batch[0] for batch, *_ in iterate_batches(loader, CPU, epoch)]).tolist()
        for epoch in (1, 2, 1)
    ]
    assert orders[0] == orders[2] != orders[1]


class Counting(Dataset):
    """Note the epochs that it is told, as a data set or as a sampler."""

    def __init__(self, inner=X):
        self.sampler, self.epochs = inner, []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return X[index]

    def __iter__(self):
        return iter(range(len(X)))


@pytest.mark.parametrize(
    "loader",
    [
        lambda one: DataLoader(one, batch_size=4),
        lambda one: DataLoader(random_split(one, [6, 4])[0], batch_size=4),
        lambda one: DataLoader(ConcatDataset([ConcatDataset([one, one])]), batch_size=4),
        lambda one: DataLoader(StackDataset(a=one, b=one), batch_size=4, collate_fn=lambda b: X),
        lambda one: DataLoader(X, batch_size=4, sampler=Counting(Counting(one))),
        lambda one: DataLoader(X, batch_sampler=BatchSampler(Counting(one), 4, False)),
    ],
)
def test_all_that_is_inside_a_loader_is_told_the_epoch(loader):
    inner = Counting()
    for epoch in (1, 2):
        list(iterate_batches(loader(inner), CPU, epoch))
    assert inner.epochs == [1, 2]


def padded(n, world, rank, shuffle=False, **options):
    """Return the loader of a rank over the numbers below n; its sampler fills up the ranks."""
    data = torch.arange(n)
    sampler = torch.utils.data.DistributedSampler(data, world, rank, shuffle=shuffle)
    return DataLoader(data, sampler=sampler, **options)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
@pytest.mark.parametrize("shuffle", [False, True])
def test_an_example_that_a_sampler_repeats_is_left_out(ranks, n, world, batch_size, shuffle):
    """A batch that holds nothing else counts 0, so that all ranks have equally many batches."""
    found, batches = [], []
    for rank in range(world):
        ranks(rank, world)
        loader = padded(n, world, rank, shuffle, batch_size=batch_size)
        batches.append(list(iterate_batches(loader, CPU)))
        for (numbers,), size, _ in batches[-1]:
            assert len(numbers) == (size or len(numbers)) > 0
            found += numbers[:size].tolist()
    assert sorted(found) == list(range(n))
    assert len(set(map(len, batches))) == 1


@pytest.mark.parametrize("shuffle", [False, True])
def test_of_a_loader_that_drops_its_last_batch_each_example_counts_once(ranks, shuffle):
    given, found = [], []
    for rank in range(2):
        ranks(rank, 2)
        loader = padded(5, 2, rank, shuffle, batch_size=2, drop_last=True)
        given += torch.cat(list(loader)).tolist()
        for (numbers,), size, _ in iterate_batches(loader, CPU):
            found += numbers[:size].tolist()
    assert sorted(found) == sorted(set(given)) and len(found) == 4


def test_a_sampler_of_batches_may_hold_the_one_that_repeats(ranks):
    found = []
    for rank in range(2):
        ranks(rank, 2)
        sampler = torch.utils.data.DistributedSampler(X[:5], 2, rank, shuffle=False)
        whole = torch.utils.data.BatchSampler(sampler, 2, drop_last=False)
        loader = DataLoader(TensorDataset(X[:5], Y[:5]), batch_sampler=whole)
        for (_, labels), size, _ in iterate_batches(loader, CPU):
            found += labels[:size].tolist()
    assert sorted(found) == list(range(5))


def test_every_part_of_a_batch_is_cut_where_an_example_is_left_out(ranks):
    """Names, dicts, and pairs of tensors, as the loader puts them together."""
    data = [(X[i], str(i), {"y": Y[i]}, (X[i], Y[i])) for i in range(5)]
    sampler = torch.utils.data.DistributedSampler(data, 2, 1, shuffle=False)
    ranks(1, 2)
    *_, (batch, size, _) = iterate_batches(DataLoader(data, batch_size=3, sampler=sampler), CPU)
    x, names, dictionary, (first, second) = batch
    assert size == len(x) == len(names) == len(dictionary["y"]) == len(first) == len(second) == 2
    assert list(names) == ["1", "3"] and second.tolist() == [1, 3]


def test_loader_without_distributed_sampler_is_refused_under_torchrun(ranks):
    ranks(0, 2)
    for batches in (DataLoader(TensorDataset(X, Y), batch_size=4), [(X, Y)]):
        with pytest.raises(ValueError, match=r"^2 processes .*DistributedSampler\(dataset, "):
            next(iterate_batches(batches, CPU))


def test_ranks_with_different_numbers_of_batches_are_refused(ranks, monkeypatch):
    ranks(0, 2)
    monkeypatch.setattr(distributed, "gather", lambda value: [value, value + 1])
    sampler = torch.utils.data.DistributedSampler(X, num_replicas=2, rank=0)
    with pytest.raises(ValueError, match="3 to 4 batches"):
        next(iterate_batches(DataLoader(X, batch_size=2, sampler=sampler), CPU, 1))


def test_batch_size_takes_any_integer():
    batches = Batches(X, batch_size=np.int64(4))
    assert len(batches) == 3 and type(batches.batch_size) is int


@pytest.mark.parametrize(
    ("kind", "tensors", "options", "message"),
    [
        (ValueError, (X, Y[:9]), {}, "10, 9 examples along axis 0: they must have the same number"),
        (ValueError, (X[:0], Y[:0]), {}, "no examples"),
        (ValueError, (), {}, "no examples"),
        (ValueError, (torch.tensor(1.0),), {}, "no examples"),
        (
            ValueError,
            (X,),
            {"batch_size": 0},
            "batch_size is 0: it must be a whole number, at least 1",
        ),
        (ValueError, (X,), {"batch_size": 2.5}, "batch_size is 2.5"),
        (ValueError, (X, Y.to("meta")), {}, "on different devices: move them to one"),
        (ValueError, (X,), {"batch_size": 11, "drop_last": True}, "make batch_size smaller"),
        (TypeError, (np.zeros(3),), {}, "argument 0 is ndarray: convert it with torch.as_tensor"),
    ],
)
def test_errors_say_what_to_do(kind, tensors, options, message):
    with pytest.raises(kind, match=message) as caught:
        Batches(*tensors, **{"batch_size": 4, **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (X, "wrap it in Batches"),
        ([{"x": X}], "it is a dict"),
        ([torch.tensor(1.0)], r"it is a tensor \(\)"),
        ([()], "it is a tuple of nothing"),
        ([("a", X)], r"it is a tuple of a str, a tensor \(10, 2\)"),
    ],
)
def test_what_does_not_count_its_examples_is_refused(batches, message):
    with pytest.raises(TypeError, match=message):
        list(iterate_batches(batches, CPU))
