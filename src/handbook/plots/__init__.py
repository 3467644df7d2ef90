"""Figures that the pages draw again and again; matplotlib loads when the first one is drawn."""

from .broadcast import broadcast
from .channel_map import channel_map
from .confusion_matrix import confusion_matrix
from .decision_boundary import decision_boundary
from .graph import graph
from .image_grid import image_grid
from .learning_curves import learning_curves
from .memory_layout import memory_layout
from .receptive_fields import receptive_fields

__all__ = [
    "broadcast",
    "channel_map",
    "confusion_matrix",
    "decision_boundary",
    "graph",
    "image_grid",
    "learning_curves",
    "memory_layout",
    "receptive_fields",
]
