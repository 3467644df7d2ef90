"""The table of carbon dioxide is what its description says."""

import torch

from handbook import datasets

TABLE = datasets.co2()


def test_a_tensor_for_each_column():
    assert all(column.shape == (444,) for column in TABLE)
    assert all(column.is_contiguous() for column in TABLE)
    assert TABLE.year.dtype == TABLE.month.dtype == torch.int64
    assert TABLE.ppm.dtype == torch.float32


def test_each_month_occurs_once_and_in_order():
    number = 12 * TABLE.year + TABLE.month
    assert number.diff().eq(1).all()
    assert (TABLE.month.min(), TABLE.month.max()) == (1, 12)
    assert (TABLE.year[0], TABLE.year[-1]) == (1965, 2001)


def test_values_are_those_of_the_source():
    """The first and the last month: the means of their weekly numbers."""
    january = TABLE.ppm[(TABLE.year == 1965) & (TABLE.month == 1)]
    december = TABLE.ppm[(TABLE.year == 2001) & (TABLE.month == 12)]
    torch.testing.assert_close(january, torch.tensor([319.40]))
    torch.testing.assert_close(december, torch.tensor([371.02]))


def test_it_rises_and_turns_each_year():
    """The highest month of a year is in spring, the lowest one in autumn."""
    years = TABLE.ppm.reshape(37, 12)
    assert years.mean(1).diff().gt(0).all()
    assert set(years[:, :10].argmax(1).tolist()) <= {3, 4, 5}
    assert set(years.argmin(1).tolist()) <= {0, 7, 8, 9}


def test_each_call_gives_tensors_of_its_own():
    datasets.co2().ppm.zero_()
    assert datasets.co2().ppm.all()
