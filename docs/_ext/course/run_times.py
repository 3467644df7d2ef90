"""The class of time that each lesson takes: measured by docs/lesson_times.py, kept in a file."""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).parents[2] / "lesson_times.json"
CLASSES = (10, 30, 60, 120)  # seconds
TOLERANCE = 1.3  # by which a measurement may leave the class before the class changes


def read(file: Path) -> dict[str, int]:
    """Return the class of each lesson that was measured: it takes less than so many seconds."""
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


def choose(seconds: float, kept: int | None = None) -> int:
    """Return the class of a measured time, or the class that was kept while the time is near it."""
    if kept in CLASSES:
        below = max((limit for limit in CLASSES if limit < kept), default=0)
        if below / TOLERANCE <= seconds < kept * TOLERANCE:
            return kept
    found = [limit for limit in CLASSES if seconds < limit]
    if not found:
        raise ValueError(f"{seconds:.0f} s are too long for a lesson: {CLASSES[-1]} s at most")
    return found[0]
