"""The list of methods by which names of libraries are recognized."""

from helpers import library_methods

from course import methods


def test_the_list_of_methods_is_that_of_the_libraries():
    """After an update of one of them: python tests/helpers/library_methods.py."""
    assert methods.FILE.read_text("utf-8") == library_methods.current()
    assert methods.read()["sum"] == "Tensor.sum"
