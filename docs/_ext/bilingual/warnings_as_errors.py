"""Turn warnings into errors while a lesson runs."""

from __future__ import annotations

import warnings


def turn_warnings_into_errors(conf: dict[str, object], script: str | None, when: str) -> None:
    """Change the filter for good: each lesson has a process of its own."""
    warnings.simplefilter("error")
