"""Text from the caller: a font that has its characters."""

from __future__ import annotations

import unicodedata
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# Fonts with Chinese characters: of Linux, of Adobe, of Windows, of macOS, and older ones.
FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN",
    "Microsoft YaHei", "SimHei", "DengXian", "SimSun", "PingFang SC", "Hiragino Sans GB",
    "Heiti SC", "Songti SC", "STHeiti", "Arial Unicode MS", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Noto Sans CJK JP", "Droid Sans Fallback",
)  # fmt: skip
BOXES = "Last Resort High-Efficiency"  # comes with matplotlib: a sign of the script in a box


def width(text: str) -> int:
    """Return how many columns a text takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def use_installed_fonts(figure: Figure) -> None:
    """Give texts with Chinese characters a font that has them, after their own; or warn once."""
    from matplotlib import font_manager
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if _lacks_characters(text)]
    if not texts:
        return
    family = _find_family()
    if family is None:
        warnings.warn(
            f"no installed font has the characters of {texts[0].get_text()!r:.40}: install one, "
            "Noto Sans CJK for instance",
            stacklevel=3,
        )
    installed = font_manager.get_font_names()
    more = [name for name in (family, BOXES) if name and name in installed]
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *more])


def _lacks_characters(text: Text) -> bool:
    """Say whether a text has wide characters that are not in its font."""
    from matplotlib import font_manager

    wide = [letter for letter in text.get_text() if width(letter) == 2]
    if not wide:
        return False
    font = font_manager.get_font(font_manager.findfont(text.get_fontproperties()))
    return not all(font.get_char_index(ord(letter)) for letter in wide)


def _find_family() -> str | None:
    """Return the first of FAMILIES that is installed."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    if not set(FAMILIES) & set(manager.get_font_names()):
        known = {font.fname for font in manager.ttflist}  # a list that matplotlib keeps on disk
        for path in set(font_manager.findSystemFonts()) - known:
            with suppress(Exception):  # a font that cannot be read
                manager.addfont(path)
    installed = manager.get_font_names()
    return next((name for name in FAMILIES if name in installed), None)
