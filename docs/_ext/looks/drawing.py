"""Save what a lesson draws, once for light pages and once for dark ones.

Sphinx-gallery calls `scrape` after each cell. A figure becomes an SVG, which is a tenth of a WebP
for lines and letters, unless it holds pixels or very many points. The background is transparent.
Every figure also gets a small version for the cards, and its page learns how wide it must be shown
for its smallest text to be read, on a phone, too.
"""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

DENSITY = 2  # pixels for one of the page, on a sharp screen
CARD = (320, 224)  # pixels across and down: sphinx-gallery shows half of it, on a sharp screen all
HEAVY = 40_000  # bytes of an SVG, compressed as servers send it
READABLE = 6.5  # pixels of the page: no text of a figure is smaller

DIRECTIVE = """
.. drawn:: /{path}
   :size: {width} {height}
   :needs: {needs}
   :class: sphx-glr-single-img
"""


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the open figures, close them, and return their directives."""
    import matplotlib.pyplot as plt

    found = []
    for number in plt.get_fignums():
        path = Path(block_vars["image_path_iterator"].next())
        found.append(save(plt.figure(number), path, Path(gallery_conf["src_dir"])))
    plt.close("all")
    return "".join(found)


def save(figure: Any, path: Path, root: Path) -> str:
    """Write the files of a figure: `NAME.svg` or `NAME.webp`, with `_dark` and `_card`.

    `root` is the folder above `path` from which the directive, which is returned, counts.
    """
    from looks.dark_colours import darken

    figure.canvas.draw()  # places the texts, and settles the ticks
    width, height = (round(inches * figure.dpi) for inches in figure.get_size_inches())
    needs = math.ceil(READABLE * width / _smallest_text(figure))
    light = _render(figure)
    darken(figure)
    both = {"": light, "_dark": _render(figure)}
    suffix = ".webp" if _is_heavy(light[0]) else ".svg"
    for theme, (svg, pixels) in both.items():
        stem = f"{path.stem}{theme}"
        if suffix == ".svg":
            path.with_name(f"{stem}.svg").write_bytes(svg)
        else:
            path.with_name(f"{stem}.webp").write_bytes(_webp(pixels))  # also where fewer would do
        card = ImageOps.contain(pixels, CARD, Image.Resampling.LANCZOS)
        path.with_name(f"{stem}_card.webp").write_bytes(_small_webp(card))
    shown = path.with_suffix(suffix).relative_to(root).as_posix()
    return DIRECTIVE.format(path=shown, width=width, height=height, needs=needs)


def _smallest_text(figure: Any) -> float:
    """Return the size of the smallest text that is seen, in pixels."""
    from matplotlib.text import Text

    sizes = [
        size * figure.dpi / 72
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip()
        for size in _font_sizes(text)
    ]
    return min(sizes, default=math.inf)


def _font_sizes(text: Any) -> Iterator[float]:
    """Yield the size of a text, and those of its formulas, where an exponent is smaller."""
    from matplotlib.cbook import is_math_text
    from matplotlib.mathtext import MathTextParser

    yield text.get_fontsize()
    if text.get_parse_math():
        for line in filter(is_math_text, text.get_text().split("\n")):
            parsed = MathTextParser("path").parse(line, prop=text.get_fontproperties())
            yield from (size for _font, size, *_place in parsed.glyphs)


def _render(figure: Any) -> tuple[bytes, Image.Image]:
    """Draw as SVG without dates and random names, and as pixels."""
    import matplotlib as mpl

    svg, png = io.BytesIO(), io.BytesIO()
    options = {"facecolor": "none", "edgecolor": "none"}
    with mpl.rc_context({"svg.hashsalt": "handbook", "svg.fonttype": "path"}):
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None}, **options)
    figure.savefig(png, format="png", dpi=DENSITY * figure.dpi, **options)
    return svg.getvalue(), Image.open(png).convert("RGBA")


def _is_heavy(svg: bytes) -> bool:
    """Return whether an SVG has pixels in it, or too many points."""
    return b"<image" in svg or len(gzip.compress(svg, mtime=0)) > HEAVY


def _webp(pixels: Image.Image) -> bytes:
    """Compress without loss where that is small, as for grids of digits; else nearly without."""
    lossless, lossy = (
        _compressed(pixels, options) for options in ({"lossless": True}, {"quality": 82})
    )
    return lossless if len(lossless) < 1.5 * len(lossy) else lossy


def _small_webp(pixels: Image.Image) -> bytes:
    """Compress what is only glanced at, and of which a page shows many."""
    options: list[dict[str, Any]] = [{"lossless": True}, {"quality": 75, "alpha_quality": 50}]
    return min((_compressed(pixels, each) for each in options), key=len)


def _compressed(pixels: Image.Image, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    pixels.save(file, "WEBP", method=4, **options)  # method 6 takes seconds for a hundredth
    return file.getvalue()
