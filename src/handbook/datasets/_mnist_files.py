"""The original files of MNIST: the very bytes, from the disk or from a mirror, or an error."""

import gzip
import io
import math
import os
import zlib
from contextlib import suppress
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import torch
from torch import Tensor

# What each holds, behind a header of four bytes and four for each axis; the checksum of it all.
ORIGINALS = {
    "train-images-idx3-ubyte": (
        (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
# Where they are to be had, compressed.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
ROOM = 1000  # bytes by which a compressed file may be longer than what is in it
UNREADABLE = (OSError, EOFError, HTTPException, zlib.error)


def original(path: Path) -> Tensor:
    """Return the values of a file, uint8, in their shape; fetch the file if it is not there.

    Raises
    ------
    RuntimeError
        If it is damaged, or absent and not to be downloaded, or cannot be written.
    """
    shape, checksum = ORIGINALS[path.name]
    header = 4 + 4 * len(shape)
    size = header + math.prod(shape)
    packed = path.with_name(path.name + ".gz")
    there = next((one for one in (path, packed) if os.path.lexists(one)), None)
    if there is None:
        content = _download(path, size, checksum)
    else:
        content = _from_disk(there, size)
        if sha256(content).hexdigest() != checksum:
            raise RuntimeError(f"{there} is damaged or another file: delete it and try again")
    return torch.frombuffer(content, dtype=torch.uint8, offset=header).view(shape)


def _from_disk(path: Path, size: int) -> bytearray:
    """Return what is in a file; nothing, and without opening it, if it cannot be the right one."""
    try:
        if not path.is_file() or path.stat().st_size > size + ROOM:  # a pipe would wait for ever
            return bytearray()
        with path.open("rb") as file:
            return _unpacked(file, size) if path.suffix == ".gz" else _take(file, size)
    except UNREADABLE:
        return bytearray()


def _download(path: Path, size: int, checksum: str) -> bytearray:
    """Fetch a file from the first mirror that has it, and keep it."""
    for mirror in MIRRORS:
        try:
            with urlopen(f"{mirror}{path.name}.gz", timeout=60) as response:
                content = _unpacked(io.BytesIO(response.read(size + ROOM)), size)
        except UNREADABLE:
            continue
        if sha256(content).hexdigest() == checksum:
            break
    else:
        raise RuntimeError(
            f"MNIST is not in {path.parent} and cannot be downloaded: try again with a network, "
            "or call mnist() without full=True for the digits inside the package"
        )
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")  # one for each process
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise RuntimeError(
            f"cannot write {path} ({error.strerror}): choose another root"
        ) from error
    return content


def _unpacked(file: io.BufferedIOBase, size: int) -> bytearray:
    with gzip.open(file) as inside:
        return _take(inside, size)


def _take(file: io.BufferedIOBase, size: int) -> bytearray:
    """Read ``size`` bytes and one more, if there are any: however much a file claims to hold."""
    content = bytearray(size + 1)
    del content[file.readinto(content) :]
    return content
