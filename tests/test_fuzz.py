"""Damaged input: the right data or a one-line error; no crash, no wait, no more memory than that.

Every loader is tried on every damage: of the bytes, of what a readable archive holds, and on things
that are no files of their own.
"""

import contextlib
import gzip
import importlib
import io
import os
import pickle
import signal
import struct
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import nn

from handbook import Batches, classification_step, datasets, fit, load_checkpoint
from handbook.checkpoint import CheckpointError
from handbook.datasets import _mnist_files as originals

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, makes pipes")
embedded = importlib.import_module("handbook.datasets.mnist")  # the name alone is the function
fuzz = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])

SHAPES = {
    "train-images-idx3-ubyte": (40, 28, 28),
    "train-labels-idx1-ubyte": (40,),
    "t10k-images-idx3-ubyte": (4, 28, 28),
    "t10k-labels-idx1-ubyte": (4,),
}
X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def idx(shape, values):
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + values


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


def digits(path):
    """Read the full set in whose folder ``path`` is one of four files."""
    return [part for half in datasets.mnist(full=True, root=path.parents[2]) for part in half]


def inside(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "EMBEDDED", path)
        return [part for half in datasets.mnist() for part in half]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make small originals the right ones, and return a folder with valid files of all kinds."""
    top = tmp_path_factory.mktemp("fuzz")
    folder = top / "in" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    known = {}
    for name, shape in SHAPES.items():
        content = idx(shape, bytes(i % 10 for i in range(torch.Size(shape).numel())))
        (folder / name).write_bytes(content)
        known[name] = shape, sha256(content).hexdigest()
    (top / "in" / "mnist.npz").write_bytes(embedded.EMBEDDED.read_bytes())
    resume(top / "in" / "run.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(originals, "ORIGINALS", known)
        patch.setattr(originals, "MIRRORS", [(top / "no mirror").as_uri() + "/"])
        yield top


IMAGES = "in/MNIST/raw/train-images-idx3-ubyte"
LOADERS = {
    "embedded": ("in/mnist.npz", inside, RuntimeError),
    "images": (IMAGES, digits, RuntimeError),
    "labels": ("in/MNIST/raw/t10k-labels-idx1-ubyte", digits, RuntimeError),
    "packed": (IMAGES + ".gz", digits, RuntimeError),
    "weights": ("in/run.pt", weights, CheckpointError),
    "resume": ("in/run.pt", resume, CheckpointError),
}
ADVICE = ("install", "delete it", "choose another", "try again", "is not there", "of another model")


class Case:
    """One loader and its file, put back as it was at the end."""

    def __init__(self, top, name):
        file, self.load, self.error = LOADERS[name]
        self.top, self.path = top, top / file
        raw = self.path.with_suffix("")
        if packed := file.endswith(".gz"):
            self.path.write_bytes(gzip.compress(raw.read_bytes(), mtime=0))
        self.hidden = raw.rename(top / "hidden") if packed else None
        self.raw, self.content, self.right = raw, self.path.read_bytes(), self.load(self.path)

    def close(self):
        self.put(self.content)
        if self.hidden:
            self.path.unlink()
            self.hidden.rename(self.raw)

    def put(self, content):
        with contextlib.suppress(OSError):
            self.path.rmdir() if self.path.is_dir() else self.path.unlink()
        self.path.write_bytes(content)

    def check(self, any_data=False):
        """Load: the right data, or an error; return the error."""
        there = sorted(self.top.rglob("*"))
        size = self.path.stat().st_size if self.path.is_file() else 0
        try:
            with guarded(2 * min(size, len(self.content) * 2)):
                found = self.load(self.path)
        except self.error as error:
            text = str(error)
            assert "\n" not in text and str(self.path.parent) in text, text
            assert any(words in text for words in ADVICE), text
            found = error
        assert sorted(self.top.rglob("*")) == there
        if not any_data and not isinstance(found, Exception):
            assert str(found[0]) == str(self.right[0])
            assert all(map(torch.equal, found[1:], self.right[1:]))
        return found


@contextlib.contextmanager
def guarded(memory):
    """Fail after 10 seconds, or where an error took ``memory`` and 20 MB more than there was."""

    def late(*args):
        raise AssertionError("it hangs")

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, old = status("VmRSS"), signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    try:
        yield
    except Exception:
        assert status("VmHWM") - before <= memory + 20_000_000
        raise
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return int(line.split()[1]) * 1024


@pytest.fixture(params=LOADERS)
def case(request, place):
    case = Case(place, request.param)
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


@fuzz
@given(data=st.data())
def test_damaged_bytes(case, data):
    case.put(data.draw(damaged(case.content)))
    case.check()


HEADERS = [
    idx((2**31, 2**31, 2**31), b""),
    idx((2**31,), bytes(100)),
    idx((40, 28, 28), bytes(40 * 784 - 1)),
    idx((0, 28, 28), b""),
    struct.pack(">I", 0x0D03) + bytes(300),  # floats
    b"\x1f\x8b" + bytes(100),
    gzip.compress(idx((2**31, 2**31, 2**31), bytes(50_000_000))),
    gzip.compress(bytes(10_000_000))[:-8] + bytes(8),
    gzip.compress(b"") * 1000,
    b"",
    bytes(100_000),
    b"PK\x05\x06" + bytes(18),  # an empty archive
    b"PK\x05\x06" + b"\xff" * 18,
]


@pytest.mark.parametrize("content", HEADERS, ids=range(len(HEADERS)))
def test_huge_sizes_and_wrong_magic(case, content):
    case.put(content)
    assert isinstance(case.check(), Exception)


def missing(path):
    path.unlink()


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def endless(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def terabytes(path):
    os.truncate(path, 2**42)  # sparse: takes no disk


def loop(path):
    path.unlink()
    path.symlink_to(path)


CHANGES = [missing, folder, pipe, endless, terabytes, loop]


@pytest.mark.parametrize(
    ("case", "change"),
    # Where there is nothing, and a link to itself is nothing, a new run begins.
    [(n, c) for n in LOADERS for c in CHANGES if n != "resume" or c not in (missing, loop)],
    indirect=["case"],
)
def test_no_file_of_its_own(case, change):
    change(case.path)
    try:
        assert isinstance(case.check(), Exception)
    finally:
        case.put(b"")


# Inside an archive whose checksums are right


def entries(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(parts, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, part in parts.items():
            made.writestr(name, part, **options)
    return out.getvalue()


@pytest.fixture(params=["weights", "resume"])
def saved(request, place):
    case = Case(place, request.param)
    yield case
    case.close()


@settings(fuzz, max_examples=100)
@given(data=st.data())
def test_damaged_parts_of_a_checkpoint(saved, data):
    parts = entries(saved.content)
    name = data.draw(st.sampled_from(sorted(parts)) | st.just("run.pt/data.pkl"))
    name = next(part for part in parts if part.endswith(name.rpartition("/")[2]))
    parts[name] = data.draw(damaged(parts[name]))
    saved.put(archive(parts))
    saved.check(any_data=True)  # which may now be other numbers


NAMES = ["../../out", "/tmp/handbook-out", "C:\\out", "..\\out", "a/../../out", "é" * 200]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere_write_nothing(case, name):
    parts = entries(case.content) if case.content[:2] == b"PK" else {}
    case.put(archive(parts | {name: b"out"}))
    case.check()
    assert not Path("/tmp/handbook-out").exists()


def test_compressed_bombs(case):
    name = next(iter(entries(case.content))) if case.content[:2] == b"PK" else "x/data.pkl"
    case.put(archive({name: bytes(40_000_000)}, compress_type=zipfile.ZIP_DEFLATED))
    assert isinstance(case.check(), Exception)


def test_parts_that_overlap(saved):
    """A thousand names for the same bytes: read one after another, they are a thousand files."""
    content = bytearray(archive({"a": bytes(100_000)}))
    at = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[at:end]
    struct.pack_into("<HHI", content, end + 8, 1000, 1000, 1000 * len(entry))
    saved.put(bytes(content[:at] + entry * 1000 + content[end:]))
    assert isinstance(saved.check(), Exception)


PICKLES = {
    "a gigabyte in a word": b"\x80\x02c__builtin__\nbytearray\nJ\x00\x00\x00\x40\x85R.",
    "a text of 2 GB": b"\x80\x02X\xff\xff\xff\x7f.",
    "a number of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "nested deep": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "far place": b"\x80\x02]r\xff\xff\xff\x7f.",
    "code": pickle.dumps(print, 2),
    "nothing": b"",
}


@pytest.mark.parametrize("pickled", PICKLES.values(), ids=PICKLES)
def test_pickles_that_claim_too_much(saved, pickled):
    parts = entries(saved.content)
    (name,) = (name for name in parts if name.endswith("/data.pkl"))
    saved.put(archive(parts | {name: pickled}))
    assert isinstance(saved.check(), Exception)


class Storage:
    """Stands for the bytes of a tensor while it is pickled."""


class Claim:
    """A tensor that says it is larger than its bytes."""

    def __init__(self, shape, stride, offset):
        self.parts = (Storage(), offset, shape, stride, False, {})

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.parts


class Forger(pickle.Pickler):
    """Writes what torch.save would, with any number of elements."""

    elements = 6

    def persistent_id(self, thing):
        if isinstance(thing, Storage):
            return "storage", torch.FloatStorage, "0", "cpu", self.elements
        return None


SIZE = st.integers(-1, 9) | st.sampled_from([2**16, 2**31, 2**40, 2**60, 2**63 - 1])


@fuzz
@given(elements=SIZE, shape=st.tuples(SIZE, SIZE), stride=st.tuples(SIZE, SIZE), offset=SIZE)
@example(elements=6, shape=(2, 3), stride=(3, 1), offset=0)
@example(elements=6, shape=(2**40, 1), stride=(0, 1), offset=0)
@example(elements=2**40, shape=(2, 3), stride=(3, 1), offset=0)
def test_tensors_that_claim_too_much(saved, elements, shape, stride, offset):
    state = torch.load(io.BytesIO(saved.content), weights_only=True)
    out = io.BytesIO()
    for part in ("model", "optimizer", "history"):
        Forger.elements, claim = elements, Claim(shape, stride, offset)
        plain = {name: {} for name in state} | {"format": state["format"], "history": []}
        plain |= {"stopped": False, "scheduler": None, part: {"weight": claim}}
        out.seek(0)
        out.truncate()
        Forger(out, protocol=2).dump(plain)
        parts = {"x/data.pkl": out.getvalue(), "x/byteorder": "little", "x/version": "3\n"}
        saved.put(archive(parts | {"x/data/0": bytes(24)}))
        assert isinstance(saved.check(), Exception)
