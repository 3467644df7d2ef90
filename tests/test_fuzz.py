"""Damaged input: the right data or a one-line error; no crash, no wait.

Every loader is tried on what happens by accident: bytes that were changed or cut off, files of
another kind, and things that are not files. Loaders that hang do so in a process of its own.
"""

import contextlib
import importlib
import os
import struct

import pytest
import torch
from helpers.training_runs import FORKS, answer
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from handbook import Batches, classification_step, datasets, fit, load_checkpoint
from handbook.checkpoint import CheckpointError

pytestmark = FORKS
embedded = importlib.import_module("handbook.datasets._embedded")

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def resume(path):
    """Train, or go on, as a script would; return all that it gives."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    adam = torch.optim.AdamW(model.parameters())
    batches = Batches(X, Y, batch_size=10)
    rows = fit(model, batches, classification_step, optimizer=adam, epochs=2, checkpoint=path)
    return [rows, *model.state_dict().values()]


def weights(path):
    model = nn.Linear(3, 2)
    return [load_checkpoint(path, model), *model.state_dict().values()]


def inside(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "FOLDER", path.parent)
        return [part for half in datasets.mnist() for part in half]


def table(path):
    return [*datasets.load_csv(path, "label", ["ink", "height", "holes"])]


def images(path):
    """Read the folder in which ``path`` is one of several images."""
    return [*datasets.load_image_folder(path.parents[1])]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with valid files of all kinds."""
    top = tmp_path_factory.mktemp("fuzz")
    (top / "in").mkdir()
    digits = embedded.FOLDER / "mnist-10000.npz"
    (top / "in" / digits.name).write_bytes(digits.read_bytes())
    resume(top / "in" / "run.pt")
    datasets.write_csv(top / "in" / "digits.csv", n=20)
    datasets.write_image_folder(top / "images", per_class=1)
    return top


RETRAIN = ("delete it", "choose another", "try again", "is not there", "of another model")
REPLACE = ("move it away", "only images", "put images", "save it as", "save the one", "bring all")
REFUSED = (ValueError, FileNotFoundError)
# Name, file, reader, its error, its advice, and whether damaged bytes may be data: other values.
LOADERS = {
    "embedded": ("in/mnist-10000.npz", inside, RuntimeError, ("install torch-handbook",), False),
    "weights": ("in/run.pt", weights, CheckpointError, RETRAIN, False),
    "resume": ("in/run.pt", resume, CheckpointError, RETRAIN, False),
    "csv": ("in/digits.csv", table, REFUSED, ("",), True),  # pandas gives none
    "image": ("images/7/0000.png", images, REFUSED, REPLACE, True),
}


class Case:
    """One loader and its file, put back as it was at the end."""

    def __init__(self, top, name, outside):
        file, self.load, self.error, self.advice, self.any_data = LOADERS[name]
        self.top, self.path, self.outside = top, top / file, outside
        self.content, self.right = self.path.read_bytes(), self.load(self.path)

    def close(self):
        self.put(self.content)

    def put(self, content):
        with contextlib.suppress(OSError):
            self.path.rmdir() if self.path.is_dir() else self.path.unlink()
        self.path.write_bytes(content)

    def check(self):
        """Load: the right data, or an error; say whether it was an error."""
        there = sorted(self.top.rglob("*"))
        try:
            found = self.load(self.path)
        except self.error as error:
            text = str(error)
            assert text.isprintable() and len(text) < 600, text
            assert str(self.path.parent) in text, text
            assert any(words in text for words in self.advice), text
            found = error
        assert sorted(self.top.rglob("*")) == there
        if not self.any_data and not isinstance(found, Exception):
            assert str(found[0]) == str(self.right[0])
            assert all(map(torch.equal, found[1:], self.right[1:]))
        return isinstance(found, Exception)

    def refused(self):
        """Check it in a process of its own, and say the same."""
        found = answer(self.check, self.outside)
        assert isinstance(found, bool), found
        return found


@pytest.fixture(params=LOADERS)
def case(request, place, tmp_path):
    case = Case(place, request.param, tmp_path)
    yield case
    case.close()


@st.composite
def damaged(draw, content):
    """Cut, overwrite, insert, repeat."""
    start = draw(st.integers(0, len(content)) | st.integers(0, 200))
    stop = start + draw(st.integers(0, 64) | st.just(len(content)))
    number = st.sampled_from([2**31, 2**32 - 1, 2**16, 0]).map(lambda n: struct.pack(">I", n))
    new = draw(st.binary(max_size=64) | number | st.just(content[start:stop] * 2))
    return content[:start] + new + content[stop:]


def test_damaged_bytes(case):
    @settings(max_examples=50)
    @given(st.data())
    def damage(data):
        case.put(data.draw(damaged(case.content)))
        case.check()

    assert answer(damage, case.outside) is None


FOREIGN = [
    b"",
    bytes(100_000),  # as after a crash
    b"<html>Not found</html>",
    b"version https://git-lfs.github.com/spec/v1\n",
    b"PK\x05\x06" + bytes(18),  # an empty archive
    b"\x1f\x8b" + bytes(100),
    b"\x89PNG\r\n\x1a\n" + bytes(100),
    b"%PDF-1.7\n",
]


@pytest.mark.parametrize("content", FOREIGN, ids=range(len(FOREIGN)))
def test_foreign_files(case, content):
    case.put(content)
    assert case.refused()


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, -1])
def test_files_that_break_off(case, kept):
    case.put(case.content[: int(kept * len(case.content)) if kept > 0 else kept])
    assert case.refused() or case.any_data


def missing(path):
    path.unlink()


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def loop(path):
    path.unlink()
    path.symlink_to(path)


CASES = [
    *((name, change) for name in LOADERS for change in (missing, folder, loop)),
    *((name, pipe) for name in ("embedded", "csv", "image", "weights", "resume")),
]
CASES.remove(("resume", missing))  # where there is nothing, a new run begins,
CASES.remove(("resume", loop))  # and a link to itself is nothing


@pytest.mark.parametrize(("case", "change"), CASES, indirect=["case"])
def test_no_file_of_its_own(case, change):
    change(case.path)
    try:
        assert case.refused()
    finally:
        case.put(b"")
