"""Turn a figure that was drawn for a light page into one for a dark page.

Lightness is turned over and hue is kept: black becomes the colour of the text, white that of the
page, a pale blue box a dark blue one. So whatever could be told apart before can be told apart
after. Pixels are data and stay, with what is drawn on them; only images in black ink on white paper
become light ink on dark paper, like the text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import Collection, QuadMesh
from matplotlib.colors import to_rgba, to_rgba_array
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation, Text

# Colour maps that begin with white, as paper does, and end with black.
INK_ON_PAPER = {"gray_r", "grey_r", "binary", "Greys"}
# Text and background of the dark theme (pydata-sphinx-theme).
INK = np.array(to_rgba("#ced6dd")[:3])
PAPER = np.array(to_rgba("#14181e")[:3])


def dark(colour: Any) -> Any:
    """Turn the lightness of a colour over, and keep its hue and its opacity.

    Examples
    --------
    >>> from matplotlib.colors import to_hex
    >>> [to_hex(dark(colour)) for colour in ("white", "black", "C0", "#cce6ff")]
    ['#14181e', '#ced6dd', '#389cdb', '#123053']
    """
    *rgb, alpha = to_rgba(colour)
    lightness = (max(rgb) + min(rgb)) / 2
    grey = INK + (PAPER - INK) * lightness
    return (*np.clip(grey + np.array(rgb) - lightness, 0, 1).tolist(), alpha)


def darken(figure: Figure) -> None:
    """Change the colours of everything in a figure that was drawn, except for pixels."""
    kept = _drawn_on_pixels(figure)
    for artist in figure.findobj():
        if id(artist) not in kept:
            _recolour(artist)
            if isinstance(artist, Text) and (box := artist.get_bbox_patch()):
                _recolour(box)
            if isinstance(artist, Annotation) and artist.arrow_patch:
                _recolour(artist.arrow_patch)


def _recolour(artist: Artist) -> None:
    match artist:
        case AxesImage() if _is_ink(artist):
            name = artist.get_cmap().name
            artist.set_cmap(name.removesuffix("_r") if name.endswith("_r") else f"{name}_r")
        case Text():
            artist.set_color(dark(artist.get_color()))
        case Line2D():
            for part in ("color", "markerfacecolor", "markeredgecolor"):
                colour = getattr(artist, f"get_{part}")()
                if not (isinstance(colour, str) and colour == "none"):
                    getattr(artist, f"set_{part}")(dark(colour))
        case Patch():
            face, edge = artist.get_facecolor(), artist.get_edgecolor()
            artist.set_edgecolor(dark(edge))
            if artist.get_fill():
                artist.set_facecolor(dark(face))
        case Collection() if artist.get_array() is None:
            for part in ("facecolor", "edgecolor"):
                colours = to_rgba_array(getattr(artist, f"get_{part}")())
                if len(colours):
                    getattr(artist, f"set_{part}")([dark(colour) for colour in colours])


def _drawn_on_pixels(figure: Figure) -> set[int]:
    """Find what lies on an image or on coloured fields: a number in a cell, a line on a digit."""
    kept: set[int] = set()
    for axes in figure.axes:
        fields = [artist for artist in axes.get_children() if _is_field(artist)]
        if not fields:
            continue
        boxes = [field.get_window_extent() for field in fields]
        frame = {id(axes.patch), *map(id, axes.spines.values())}
        for artist in (*axes.texts, *axes.lines, *axes.patches, *axes.collections):
            extent = artist.get_window_extent()
            if not np.isfinite(extent.extents).all():  # of what is not drawn
                continue
            middle = extent.p0 + (extent.p1 - extent.p0) / 2
            if id(artist) not in frame and any(box.contains(*middle) for box in boxes):
                kept.update(map(id, artist.findobj()))
    return kept


def _is_field(artist: Artist) -> bool:
    filled = isinstance(artist, ContourSet) and artist.filled
    return filled or (isinstance(artist, AxesImage | QuadMesh) and not _is_ink(artist))


def _is_ink(artist: Artist) -> bool:
    """Return whether an image shows numbers, not colours, as ink on paper."""
    if not isinstance(artist, AxesImage) or artist.get_cmap().name not in INK_ON_PAPER:
        return False
    return artist.get_array() is not None and artist.get_array().ndim == 2
