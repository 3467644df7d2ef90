"""Names of files in messages."""

from pathlib import Path


def shown(path: Path) -> str:
    """Return a path as one printable line, whatever its name holds."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(path))
