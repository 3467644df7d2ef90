"""The helper package of the bilingual PyTorch handbook: the public names, nothing else."""

import importlib
from typing import Any

from .batches import Batches
from .checkpoint import load_checkpoint
from .episodes import Episodes, play_episodes
from .saved_memory import SavedMemory
from .steps import classification_step, regression_step
from .summary import summary
from .torchrun import torchrun
from .training import evaluate, fit

__all__ = [
    "Batches",
    "Episodes",
    "SavedMemory",
    "classification_step",
    "datasets",
    "evaluate",
    "fit",
    "load_checkpoint",
    "metrics",
    "models",
    "play_episodes",
    "plots",
    "regression_step",
    "summary",
    "torchrun",
]


__version__: str


def __getattr__(name: str) -> Any:
    """Import `datasets`, `metrics`, `models`, `plots`, or look up the version, when it is used."""
    if name in ("datasets", "metrics", "models", "plots"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "__version__":
        from importlib.metadata import version  # slow to import, so only where it is used

        return version("torch-handbook")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
