"""Figures that the pages draw again and again; matplotlib loads when the first one is drawn."""

from .broadcasting import broadcast
from .channels import channels
from .classes import boundary, confusion
from .graphs import graph
from .history import curves
from .memory import layout
from .pictures import images
from .windows import windows

__all__ = [
    "boundary",
    "broadcast",
    "channels",
    "confusion",
    "curves",
    "graph",
    "images",
    "layout",
    "windows",
]
