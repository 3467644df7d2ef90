"""Figures that the pages draw again and again; matplotlib loads when the first one is drawn."""

from .broadcasting import broadcast
from .classes import boundary, confusion
from .graphs import graph
from .history import curves
from .memory import layout
from .pictures import images

__all__ = ["boundary", "broadcast", "confusion", "curves", "graph", "images", "layout"]
