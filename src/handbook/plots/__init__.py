"""Figures that the pages draw again and again; matplotlib loads when the first one is drawn."""

from .classes import boundary, confusion
from .history import curves
from .pictures import images

__all__ = ["boundary", "confusion", "curves", "images"]
