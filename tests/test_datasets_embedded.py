"""The files inside the package: each has a licence, and none is read that was damaged."""

import importlib
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook import datasets

embedded = importlib.import_module("handbook.datasets._embedded")
FILES = {
    "mnist-10000.npz": (datasets.mnist, "CC BY-SA 3.0"),
    "penguins.csv": (datasets.penguins, "CC0 1.0"),
    "credit.csv": (datasets.credit, "CC BY 4.0"),
    "photos.npz": (datasets.photos, "CC BY 2.0"),
    "co2.csv": (datasets.co2, "public domain"),
    "poems.txt": (datasets.poems, "public domain"),
}
every_file = pytest.mark.parametrize("name", FILES)


def refused(name, folder):
    """Load a data set from a folder, and return what the error says."""
    load, _ = FILES[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "FOLDER", folder)
        with pytest.raises(RuntimeError) as caught:
            load()
    return str(caught.value)


def test_every_data_file_is_tried_here():
    names = {Path(str(file)).name for file in embedded.FOLDER.iterdir()}
    assert {name for name in names if not name.endswith(".LICENSE")} == FILES.keys()


@every_file
def test_the_licence_names_the_content_of_the_file_beside_it(name):
    load, licence = FILES[name]
    content = (embedded.FOLDER / name).read_bytes()
    text = (embedded.FOLDER / Path(name).with_suffix(".LICENSE").name).read_text("utf-8")
    assert sha256(content).hexdigest() in text and name in text
    assert licence in text
    assert len(content) < embedded.LIMIT
    assert load()


@every_file
@given(data=st.data())
def test_a_damaged_file_is_never_read(name, data, tmp_path_factory):
    content = bytearray((embedded.FOLDER / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    assert refused(name, path.parent) == f"{path} is damaged: install torch-handbook again"


@every_file
@pytest.mark.parametrize("content", [None, b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_file_that_is_something_else_is_refused(name, content, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert refused(name, tmp_path).endswith(" is damaged: install torch-handbook again")
