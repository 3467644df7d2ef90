"""Paths that callers pass, and their names in messages."""

import os
from pathlib import Path


def expand(path: str | Path) -> Path:
    """Return the path, with the home of the user in place of a leading ``~``."""
    return Path(os.path.expanduser(path))


def shown(path: Path) -> str:
    """Return a path as one printable line, whatever its name holds."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(path))
