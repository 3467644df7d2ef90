"""What Linux knows about the processes of a lesson. Elsewhere nothing is forked (see `runner`)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

SET_DEATH_SIGNAL, SET_CHILD_SUBREAPER = 1, 36  # of prctl(2)


def can_fork() -> bool:
    """Return whether a process that has imported much can be forked safely and watched closely."""
    return sys.platform == "linux"


def end_with_parent() -> None:
    """Let the kernel kill this process when the one that forked it ends."""
    ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every process that a lesson leaves behind."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)


def threads() -> int:
    """Count the threads of this process."""
    return len(os.listdir("/proc/self/task"))


def sleeps(process: int) -> bool:
    """Return whether a process waits for something, rather than for its turn on the processor."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:  # it ended meanwhile
        return False
    return stat.rpartition(")")[2].split()[0] == "S"


def children() -> dict[int, str]:
    """Return the children of this process that live, each with its command."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            name = command.strip() or (folder / "comm").read_text().strip()
        except OSError:  # it ended meanwhile
            continue
        if int(parent) == os.getpid() and state != "Z":
            found[int(folder.name)] = name
    return found


def wait_for_orphans(seconds: float) -> list[str]:
    """Give the adopted processes so long to end, kill the others, and return their commands."""
    until = time.monotonic() + seconds
    left: list[str] = []
    while _any_child():
        if time.monotonic() > until:
            for process, command in children().items():
                left.append(command)
                os.kill(process, signal.SIGKILL)  # its own children come to us, and are next
        time.sleep(0.02)
    return left


def _any_child() -> bool:
    """Collect the children that ended, and return whether others live."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
