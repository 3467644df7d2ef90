"""The table of penguins is what its description says."""

import torch

from handbook import datasets


def test_a_tensor_for_each_column():
    table = datasets.penguins()
    measured = torch.stack(table[:4])
    assert measured.shape == (4, 342) and measured.dtype == torch.float32
    assert table.species.shape == (342,) and table.species.dtype == torch.int64
    assert all(column.is_contiguous() for column in table[:5])
    assert table.names == ("Adelie", "Chinstrap", "Gentoo")
    assert table.species.bincount().tolist() == [151, 68, 123]


def test_the_means_are_those_of_the_paper_data():
    """As palmerpenguins gives them, each with the unit of its column."""
    table = datasets.penguins()
    expected = [43.92, 17.15, 200.92, 4201.75]  # mm, mm, mm, g
    torch.testing.assert_close(
        torch.stack(table[:4]).mean(1), torch.tensor(expected), atol=0.005, rtol=0
    )


def test_each_call_gives_tensors_of_its_own():
    datasets.penguins().mass.zero_()
    assert datasets.penguins().mass.all()
