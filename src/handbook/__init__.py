"""The helper package of the bilingual PyTorch handbook: the public names, nothing else."""

import importlib
from types import ModuleType

from .batches import Batches
from .checkpoint import load_checkpoint
from .shapes import shapes
from .steps import classify, regress
from .training import evaluate, fit

__all__ = [
    "Batches",
    "classify",
    "datasets",
    "evaluate",
    "fit",
    "load_checkpoint",
    "models",
    "plots",
    "regress",
    "shapes",
]


def __getattr__(name: str) -> ModuleType:
    """Import `models`, `datasets` and `plots` when they are first used."""
    if name in ("datasets", "models", "plots"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
