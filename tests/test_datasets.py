"""Digits: the embedded file is what it claims to be, and the download gives the same kind."""

import gzip
import importlib
import shutil
import struct
from functools import partial
from hashlib import md5, sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from torchvision.datasets import MNIST

from handbook import datasets

module = importlib.import_module("handbook.datasets.mnist")  # the name alone is the function
FILES = {
    "train-images-idx3-ubyte": (12, 28, 28),
    "train-labels-idx1-ubyte": (12,),
    "t10k-images-idx3-ubyte": (4, 28, 28),
    "t10k-labels-idx1-ubyte": (4,),
}
NAMES = [f"{name}.gz" for name in FILES]


def idx(array: np.ndarray) -> bytes:
    """Write an array of bytes in the format of the original files (big endian)."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """Serve small files of the original names and format from this machine; return the folder."""
    random = np.random.default_rng(0)
    folder = tmp_path / "mirror"
    folder.mkdir()
    arrays = {name: random.integers(10, size=shape) for name, shape in FILES.items()}
    arrays["t10k-images-idx3-ubyte"][0, 0, 0] = 255
    for name, array in arrays.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array), mtime=0))
    resources = [(f.name, md5(f.read_bytes()).hexdigest()) for f in map(folder.joinpath, NAMES)]
    sums = {n: sha256(arrays[n].astype(np.uint8).tobytes()).hexdigest() for n in FILES}
    monkeypatch.setattr(MNIST, "resources", resources)
    monkeypatch.setattr(module, "CHECKSUMS", sums)
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        monkeypatch.setenv("no_proxy", "*")
        here = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(MNIST, "mirrors", [here])
        yield folder
        server.shutdown()


def unpack(folder, root):
    """Put the files of a mirror where torchvision leaves them."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))
    return raw


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


# The full set


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("there", ["files", "packed", "nothing"])
def test_full_set(kind, there, mirror, tmp_path, monkeypatch):
    """From the files that are there, as they are or compressed; else it is downloaded."""
    root = tmp_path / "new" / "folder"
    if there == "files":
        unpack(mirror, root)
    elif there == "packed":
        shutil.copytree(mirror, root / "MNIST" / "raw")
    if there != "nothing":
        monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    train, test = datasets.mnist(full=True, root=kind(root))
    for part, name in ((train, "train"), (test, "t10k")):
        images, labels = (
            np.frombuffer(gzip.decompress((mirror / f"{name}-{kind}.gz").read_bytes()), np.uint8)
            for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
        )
        assert isinstance(part, datasets.Split)
        assert part.x.dtype == torch.float32 and part.y.dtype == torch.int64
        pixels = torch.tensor(images[16:]).view(-1, 1, 28, 28)
        assert torch.equal(part.x, pixels.float() / 255)
        assert part.y.tolist() == labels[8:].tolist()
    assert test.x.max() == 1

    monkeypatch.setattr(MNIST, "mirrors", [])  # from now on they are there
    again, _ = datasets.mnist(full=True, root=kind(root))
    assert torch.equal(again.x, train.x)


def test_a_home_folder_is_expanded(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    unpack(mirror, tmp_path / "home" / "data")
    assert len(datasets.mnist(full=True, root="~/data")[0].y) == 12


def test_the_checksums_are_of_the_files_that_torchvision_reads():
    assert [f"{name}.gz" for name in module.CHECKSUMS] == [name for name, _ in MNIST.resources]


def one_line(root, *words):
    with pytest.raises(RuntimeError) as caught:
        datasets.mnist(full=True, root=root)
    text = str(caught.value)
    assert text.isprintable() and str(root / "MNIST" / "raw") in text and len(text) < 900
    assert all(word in text for word in ("try again", *words)), text


def test_without_files_and_network_the_error_says_what_to_do(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [(tmp_path / "nowhere").as_uri() + "/"])
    one_line(tmp_path / "new", "downloaded", "call mnist() without full=True")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"<html>Not found</html>",
        lambda content: content[:-9],
        lambda content: gzip.compress(gzip.decompress(content)[:-1] + b"\1"),
    ],
)
def test_a_damaged_download_is_refused(damage, mirror, tmp_path):
    path = mirror / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    one_line(tmp_path / "new", "downloaded")
    path.write_bytes(whole)
    assert len(datasets.mnist(full=True, root=tmp_path / "new")[1].x) == 4


@pytest.mark.usefixtures("mirror")
def test_a_root_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    one_line(tmp_path / "file")


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
def test_damaged_originals_are_refused_in_one_line(name, damage, mirror, tmp_path):
    path = unpack(mirror, tmp_path) / name
    path.write_bytes(damage(path.read_bytes()))
    one_line(tmp_path, "delete")


@pytest.mark.parametrize("at", [3, 7, 11, 15])
def test_a_damaged_header_never_changes_the_pixels(at, mirror, tmp_path):
    path = unpack(mirror, tmp_path) / "train-images-idx3-ubyte"
    right = datasets.mnist(full=True, root=tmp_path)[0].x
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    try:
        assert torch.equal(datasets.mnist(full=True, root=tmp_path)[0].x, right)
    except RuntimeError as error:
        assert str(path.parent) in str(error)
