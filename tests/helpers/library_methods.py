"""Write docs/_ext/course/methods.txt: the methods by which names of libraries are recognized.

Run `python tests/helpers/library_methods.py` after an update of one of these libraries.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib.axes
import matplotlib.figure
import numpy
import torch

FILE = Path(__file__).parents[2] / "docs/_ext/course/methods.txt"
CLASSES = {
    "Tensor": torch.Tensor,
    "Module": torch.nn.Module,
    "Optimizer": torch.optim.Optimizer,
    "ndarray": numpy.ndarray,
    "Axes": matplotlib.axes.Axes,
    "Figure": matplotlib.figure.Figure,
}


def current() -> str:
    """Return the public methods and attributes by class, of the libraries that are installed."""
    taken = {each for kind in (str, list, dict, set, tuple, int, float, Path) for each in dir(kind)}
    paragraphs = []
    for name, kind in CLASSES.items():
        names = sorted({each for each in dir(kind) if each[0] != "_"} - taken)
        taken |= set(names)  # the first class that has it gives it its name
        text = f"{name}: {' '.join(names)}"
        paragraphs.append(textwrap.fill(text, 100, subsequent_indent="    "))
    return "\n\n".join(paragraphs) + "\n"


if __name__ == "__main__":
    FILE.write_text(current(), "utf-8")
