"""The methods and attributes by which names of libraries are recognized.

The site does not import the libraries, because that takes seconds: `methods.txt` lists them. It is
written by tests/helpers/library_methods.py.
"""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_name("methods.txt")


def read() -> dict[str, str]:
    """Return the full name of each method: ``sum`` is ``Tensor.sum``."""
    found = {}
    for paragraph in FILE.read_text("utf-8").split("\n\n"):
        name, _, methods = paragraph.partition(":")
        found |= {method: f"{name}.{method}" for method in methods.split()}
    return found
