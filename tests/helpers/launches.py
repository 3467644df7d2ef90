"""torchrun in a process of its own, which need not import torch again."""

import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

from helpers.training_runs import NEVER, gone, in_child, kill


class Launch(NamedTuple):
    """How a launch has ended: its exit status, all that it wrote, and when, if it failed."""

    status: int
    said: str
    ended: float | None


def start(script, *args, fork=False, n=2):
    """Start torchrun; return what `finish` takes.

    With ``fork``, the ranks too are forked, by torchrun's own options, and start at once. Else each
    is a fresh process, which imports torch.
    """
    folder = Path(tempfile.mkdtemp())
    options = ["--standalone", f"--nproc-per-node={n}", f"--log-dir={folder}"]
    options += ["--start-method=fork", "--run-path"] * fork

    def run():
        terminal = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(terminal, 1)
        os.dup2(terminal, 2)
        sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1)  # not what pytest captures
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            from torch.distributed.run import main

            main([*options, str(script), *map(str, args)])
        except BaseException:
            traceback.print_exc()  # as Python does at the end of a script
            (folder / "ended").write_text(str(time.time()))
            os._exit(1)

    return in_child(run), folder


def finish(started):
    """Wait for the end of a launch, and return how it was."""
    child, folder = started
    status = gone(child, NEVER)
    if status is None:
        kill(child)
    said = (folder / "said").read_text()
    ended = float((folder / "ended").read_text()) if status else None
    shutil.rmtree(folder)
    assert status is not None, f"torchrun has not ended: {said}"
    return Launch(status, said, ended)
