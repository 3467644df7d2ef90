"""One build at a time in a tree: a second one waits for the first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_held: list[int] = []


@contextmanager
def lock(file: Path, wait: Callable[[], object]) -> Iterator[None]:
    """Hold a lock; `wait()` is called once if another process holds it.

    The steps of a build inherit it (`inherited`), so it is held until the last of them has ended,
    even if the build itself was killed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        if not _take(handle.fileno()):
            wait()
            while not _take(handle.fileno()):
                time.sleep(0.1)
        _held.append(handle.fileno())
        try:
            yield
        finally:
            _held.remove(handle.fileno())


def inherited() -> list[int]:
    """Return the files that a step of the build keeps open; Windows hands none on."""
    return list(_held) if os.name == "posix" else []


def _take(number: int) -> bool:
    """Try to lock an open file, which unlocks itself when it is closed."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
