"""The table of loans is what its description says."""

import pytest
import torch

from handbook import datasets

TABLE = datasets.credit()


def test_a_tensor_for_each_column():
    assert all(column.shape == (1000,) for column in TABLE[:-1])
    assert all(column.is_contiguous() for column in TABLE[:-1])
    kinds = {name: column.dtype for name, column in zip(TABLE._fields, TABLE[:-1], strict=False)}
    assert {name for name in kinds if kinds[name] == torch.int64} == TABLE.names.keys()
    assert {name for name in kinds if kinds[name] == torch.bool} == {"bad", "foreign_worker"}
    assert {name for name in kinds if kinds[name] == torch.float32} == {"duration", "amount", "age"}


@pytest.mark.parametrize("name", TABLE.names)
def test_codes_are_places_of_words(name):
    column = getattr(TABLE, name)
    assert column.min() >= 0 and column.max() == len(TABLE.names[name]) - 1
    assert len(set(TABLE.names[name])) == len(TABLE.names[name])


def test_the_counts_are_those_of_the_corrected_data():
    """Of loans, and of bad ones, for the codes whose words differ most from the older table."""
    assert TABLE.bad.sum() == 300
    assert TABLE.foreign_worker.sum() == 37
    assert TABLE.account.bincount().tolist() == [274, 269, 63, 394]
    assert TABLE.account[TABLE.bad].bincount().tolist() == [135, 105, 14, 46]
    assert TABLE.property.bincount().tolist() == [282, 232, 332, 154]


def test_the_means_are_those_of_the_source():
    means = torch.stack([TABLE.duration, TABLE.amount, TABLE.age]).mean(1)
    expected = torch.tensor([20.903, 3271.258, 35.546])  # months, DM, years
    torch.testing.assert_close(means, expected, atol=0.001, rtol=0)


def test_each_call_gives_tensors_of_its_own():
    datasets.credit().amount.zero_()
    assert datasets.credit().amount.all()
    datasets.credit().names.clear()
    assert datasets.credit().names == TABLE.names
