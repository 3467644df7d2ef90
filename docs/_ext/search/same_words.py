"""Words that mean the same: synonyms, translations, and the traditional forms of characters."""

from __future__ import annotations

import csv
import re
from pathlib import Path

TABLE = Path(__file__).parent / "traditional.txt"


def read_synonyms(file: Path) -> list[list[str]]:
    """Read groups of words that mean the same, one a line, from a text or a table of terms.

    In a table, the first two columns are a term and its translation; brackets explain.
    """
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [
            row
            for row in csv.reader(lines, skipinitialspace=True)
            if row and not row[0].startswith("#")
        ]
    if file.suffix == ".csv":
        pairs = [
            [re.sub(r" ?[(（].*", "", word).split(" / ") for word in row[:2]] for row in rows[1:]
        ]
        rows = [group for pair in pairs for group in zip(*pair, strict=True)]
    groups = [list(dict.fromkeys(word.strip().lower() for word in row)) for row in rows]
    return [group for group in groups if len(group) > 1]


def traditional_characters(text: str) -> str:
    """Return pairs of a traditional character and its simplified form, for those in a text."""
    pairs, there = TABLE.read_text("utf-8").split("\n"), set(text)
    return "".join(pair for pair in pairs if pair[:1] != "#" and pair[1:] and pair[1] in there)
