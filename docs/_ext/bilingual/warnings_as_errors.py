"""Turn warnings into errors while a lesson runs."""

from __future__ import annotations

import warnings
from contextlib import ExitStack

_lesson = ExitStack()


def reset_warning_filter(gallery_conf: dict[str, object], script: str | None, when: str) -> None:
    """Turn every warning into an error before a lesson, and restore the filters after it."""
    _lesson.close()
    if when == "before":
        _lesson.enter_context(warnings.catch_warnings(action="error"))
