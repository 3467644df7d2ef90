"""The progress bar: tqdm on a terminal or in a notebook, silent elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def visible(progress: bool | None) -> bool:
    """Say whether to show a bar: as asked, else where somebody can watch it."""
    if progress is not None:
        return progress
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def bar(steps: Iterable[T], total: int | None, title: str, show: bool) -> Iterator[T]:
    """Yield from ``steps``, with a bar if ``show``."""
    if not show:
        yield from steps
        return
    from tqdm import tqdm  # imported only when somebody watches

    yield from tqdm(steps, desc=title, total=total, unit="step")
