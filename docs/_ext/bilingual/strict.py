"""Warnings are errors while a lesson runs."""

from __future__ import annotations

import warnings
from typing import Any

_saved: list[Any] = []


def warnings_are_errors(gallery_conf: dict[str, Any], script: str | None, when: str) -> None:
    """Turn every warning into an error before a lesson, and back after it."""
    if when == "before":
        _saved[:] = warnings.filters
        warnings.resetwarnings()
        warnings.simplefilter("error")
    else:
        warnings.filters[:] = _saved
