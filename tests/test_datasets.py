"""Digits: the embedded file is what it claims to be, and the download gives the same kind."""

import gzip
import importlib
import struct
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handbook import datasets
from handbook.datasets import _mnist_files as originals

module = importlib.import_module("handbook.datasets.mnist")  # the name alone is the function
FILES = {
    "train-images-idx3-ubyte": (12, 28, 28),
    "train-labels-idx1-ubyte": (12,),
    "t10k-images-idx3-ubyte": (4, 28, 28),
    "t10k-labels-idx1-ubyte": (4,),
}


def idx(array: np.ndarray) -> bytes:
    """Write an array of bytes in the format of the original files (big endian)."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_originals(root: Path) -> dict[str, np.ndarray]:
    """Write small files of the original names and format, where they are looked for."""
    random = np.random.default_rng(0)
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    arrays = {name: random.integers(10, size=shape) for name, shape in FILES.items()}
    arrays["t10k-images-idx3-ubyte"][0, 0, 0] = 255
    for name, array in arrays.items():
        (folder / name).write_bytes(idx(array))
    return arrays


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Make small files the right ones, and their mirror an empty folder, whatever the network."""
    arrays = write_originals(tmp_path)
    sums = {name: sha256(idx(array)).hexdigest() for name, array in arrays.items()}
    monkeypatch.setattr(originals, "ORIGINALS", {n: (FILES[n], sums[n]) for n in FILES})
    monkeypatch.setattr(originals, "MIRRORS", [(tmp_path / "mirror").as_uri() + "/"])
    return arrays


# The embedded digits


@pytest.mark.parametrize(("part", "each"), [(0, 1000), (1, 200)])
def test_embedded_digits(part, each):
    x, y = datasets.mnist()[part]
    assert x.shape == (10 * each, 1, 28, 28) and x.dtype == torch.float32
    assert y.shape == (10 * each,) and y.dtype == torch.int64
    assert x.min() == 0 and x.max() == 1
    assert y.bincount().tolist() == [each] * 10
    assert 0.1 < x.mean() < 0.2  # little ink on much paper


def test_no_image_occurs_twice():
    images = [image.numpy().tobytes() for part in datasets.mnist() for image in part.x]
    assert len(set(images)) == len(images) == 12_000


def test_examples_unpack():
    train, test = datasets.mnist()
    x, y = train
    assert isinstance(train, datasets.Split) and x is train.x and y is train.y
    assert train.x.data_ptr() != test.x.data_ptr()


def test_each_call_gives_new_tensors():
    datasets.mnist()[0].x.zero_()
    assert datasets.mnist()[0].x.any()


def test_the_licence_names_the_file_it_stands_beside():
    data = files("handbook") / "data"
    digest = sha256((data / "mnist-10000.npz").read_bytes()).hexdigest()
    licence = (data / "mnist-10000.LICENSE").read_text()
    assert digest == module.CHECKSUM and digest in licence
    assert "CC BY-SA 3.0" in licence


def test_every_data_file_has_a_licence():
    names = {Path(str(file)) for file in (files("handbook") / "data").iterdir()}
    assert all(name.with_suffix(".LICENSE") in names for name in names)


@given(position=st.integers(0, 1_984_311), change=st.integers(1, 255))
def test_a_damaged_file_is_never_read(position, change, tmp_path_factory):
    content = bytearray(module.EMBEDDED.read_bytes())
    content[position] ^= change
    path = tmp_path_factory.getbasetemp() / "mnist-10000.npz"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError) as caught:
        patch.setattr(module, "EMBEDDED", path)
        datasets.mnist()
    assert str(caught.value) == f"{path} is damaged: install torch-handbook again"


@pytest.mark.parametrize("content", [None, b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_file_that_is_something_else_is_refused(content, tmp_path, monkeypatch):
    other = tmp_path / "mnist-10000.npz"
    if content is not None:
        other.write_bytes(content)
    monkeypatch.setattr(module, "EMBEDDED", other)
    with pytest.raises(RuntimeError, match="install torch-handbook again"):
        datasets.mnist()


# The full set


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("packed", [False, True])
def test_full_set_from_original_files(kind, packed, small, tmp_path):
    for path in list((tmp_path / "MNIST" / "raw").iterdir()) if packed else []:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    train, test = datasets.mnist(full=True, root=kind(tmp_path))
    for part, name in ((train, "train"), (test, "t10k")):
        assert isinstance(part, datasets.Split)
        assert part.x.dtype == torch.float32 and part.y.dtype == torch.int64
        images = torch.from_numpy(small[f"{name}-images-idx3-ubyte"])
        assert torch.equal(part.x, images[:, None].float() / 255)
        assert part.y.tolist() == small[f"{name}-labels-idx1-ubyte"].tolist()
    assert test.x.max() == 1


def test_the_true_originals_are_as_many_as_they_are_known_to_be():
    sizes = [shape for shape, _ in originals.ORIGINALS.values()]
    assert sizes == [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]
    assert len({checksum for _, checksum in originals.ORIGINALS.values()}) == 4


def test_a_mirror_of_torchvision_is_asked_first():
    from torchvision.datasets import MNIST

    assert originals.MIRRORS[0] in MNIST.mirrors
    assert [name for name, _ in MNIST.resources] == [f"{name}.gz" for name in originals.ORIGINALS]


@pytest.fixture
def mirror(small, tmp_path, monkeypatch):
    """Serve the small files from this machine, as the mirrors of MNIST do; return the folder."""
    folder = tmp_path / "MNIST" / "raw"
    for name in FILES:
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        monkeypatch.setenv("no_proxy", "*")
        here = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(originals, "MIRRORS", [f"{here}nothing/", here])
        yield folder
        server.shutdown()


@pytest.mark.usefixtures("mirror")
def test_full_set_is_downloaded_once(tmp_path, monkeypatch):
    root = tmp_path / "new" / "folder"
    train, test = datasets.mnist(full=True, root=root)
    assert len(train.x) == 12 and len(test.x) == 4

    monkeypatch.setattr(originals, "MIRRORS", [])
    again, _ = datasets.mnist(full=True, root=root)
    assert torch.equal(again.x, train.x)
    assert {path.name for path in (root / "MNIST" / "raw").iterdir()} == set(FILES)


def test_only_what_is_missing_is_downloaded(mirror, tmp_path):
    root = tmp_path / "new"
    datasets.mnist(full=True, root=root)
    (root / "MNIST" / "raw" / "train-labels-idx1-ubyte").unlink()
    for path in mirror.glob("*images*.gz"):
        path.unlink()
    assert len(datasets.mnist(full=True, root=root)[0].y) == 12


def test_torchvision_reads_what_was_downloaded(mirror, tmp_path):
    from torchvision.datasets import MNIST

    train, _ = datasets.mnist(full=True, root=tmp_path / "new")
    theirs = MNIST(tmp_path / "new", train=True)
    assert torch.equal(theirs.data[:, None].float() / 255, train.x)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"<html>Not found</html>",
        lambda content: content[:-9],
        lambda content: gzip.compress(bytes(50_000_000)),  # 50 kB
        lambda content: gzip.compress(gzip.decompress(content)[:-1] + b"\1"),
    ],
)
def test_a_damaged_download_is_refused_and_not_kept(damage, mirror, tmp_path):
    path = mirror / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RuntimeError, match="cannot be downloaded") as caught:
        datasets.mnist(full=True, root=tmp_path / "new")
    assert "\n" not in str(caught.value)
    kept = {path.name for path in (tmp_path / "new" / "MNIST" / "raw").iterdir()}
    assert kept == {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}


@pytest.mark.usefixtures("small")
def test_without_files_and_network_the_error_says_what_to_do(tmp_path):
    with pytest.raises(RuntimeError, match="cannot be downloaded: try again with") as caught:
        datasets.mnist(full=True, root=tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "new" / "MNIST" / "raw") in str(caught.value)
    assert "call mnist() without full=True" in str(caught.value)


@pytest.mark.usefixtures("mirror")
def test_a_root_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RuntimeError, match=r"cannot write .*: choose another root"):
        datasets.mnist(full=True, root=tmp_path / "file")

    def full(path, content):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RuntimeError, match=r"No space left on device"):
        datasets.mnist(full=True, root=tmp_path / "new")
    assert not list((tmp_path / "new" / "MNIST" / "raw").iterdir())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"<html>Not found</html>",
        lambda content: content[:3],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[:2] + b"\x0d" + content[3:],  # says that it holds floats
        lambda content: idx(np.zeros((3, 5), int)),
        lambda content: idx(np.zeros((1, 28, 28), int)),
        lambda content: idx(np.zeros(5, int)),
        lambda content: idx(np.zeros(0, int)),
        lambda content: idx(np.full(12, 10)),  # labels beyond nine
    ],
)
def test_damaged_originals_are_refused_in_one_line(name, damage, tmp_path):
    path = tmp_path / "MNIST" / "raw" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RuntimeError, match="damaged or another file: delete it and") as caught:
        datasets.mnist(full=True, root=tmp_path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
