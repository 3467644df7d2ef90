"""Wrap text that mixes Chinese and Latin letters, as a terminal or an editor shows it."""

from __future__ import annotations

import re
import unicodedata

MAX_WIDTH = 88  # columns

# What a line may not be broken within: inline code, a word, one Chinese character; with the
# punctuation that may not begin or end a line, and the space that follows.
_WIDE = "\u2e80-\ua4cf\uf900-\ufaff\uff00-\uffef\u3000-\u303f“”…—"
UNBREAKABLE = re.compile(
    rf"[（“《]*(?:`+[^`]+`+_*|[^\s`{_WIDE}]+|[{_WIDE}`])[，。：；？！）”》、…]*\s*"
)


def wrap(text: str, width: int) -> list[str]:
    """Break a paragraph into lines: Latin words stay whole, Chinese breaks between characters."""
    lines, line = [], ""
    for piece in UNBREAKABLE.findall(text):
        if line.strip() and display_width((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
    return [*lines, line.rstrip()] if line.strip() else lines


def display_width(text: str) -> int:
    """Count the columns of a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
