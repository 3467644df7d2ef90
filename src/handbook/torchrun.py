"""Run a function of a page on several processes, by the real torchrun."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

WORK = "work.pickle"  # the function and its arguments
OUTPUT = "{rank}.txt"  # what a process printed
RESULT = "{rank}.pickle"  # what the function returned
REPORT = 4000  # characters of torchrun's report that an error quotes: its end names the cause


def torchrun(function: Callable[..., Any], *arguments: Any, processes: int = 2) -> list[Any]:
    """Run a function on several processes of this machine, and print what they print.

    ``torchrun --nproc-per-node=2 script.py`` starts a file. In a notebook there is none, so this
    packs the function, with all that it uses of the page, and has torchrun start a file that
    unpacks and calls it. Everything else is as with a file: each process learns its rank from the
    environment, and nothing is shared but what `torch.distributed` sends.

    Parameters
    ----------
    function : callable
        What each process runs.
    *arguments
        What the function gets, the same in each process.
    processes : int
        How many processes to start.

    Returns
    -------
    list
        What the function returned, by rank.

    Raises
    ------
    ValueError
        If ``processes`` is less than 1.
    RuntimeError
        If a process failed, with the end of torchrun's report.

    Notes
    -----
    The printed lines come when all processes have ended, in the order of the ranks, each with its
    rank before it. The function is packed with cloudpickle, of the extra ``advanced``.

    Examples
    --------
    >>> from handbook import torchrun
    >>> def greet():
    ...     import os
    ...
    ...     print("hello")
    ...     return int(os.environ["RANK"])
    >>> torchrun(greet)
    rank 0: hello
    rank 1: hello
    [0, 1]
    """
    if processes < 1:
        raise ValueError(f"processes={processes}: start one process or more")
    import cloudpickle

    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / WORK).write_bytes(cloudpickle.dumps((function, arguments)))
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={processes}", "-m", "handbook._rank", name]
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
        for rank in range(processes):
            _show(folder / OUTPUT.format(rank=rank), rank)
        if done.returncode:
            raise RuntimeError(f"torchrun ended with an error:\n{done.stderr[-REPORT:]}")
        results = [folder / RESULT.format(rank=rank) for rank in range(processes)]
        return [pickle.loads(result.read_bytes()) for result in results]


def _show(output: Path, rank: int) -> None:
    """Print the lines of one process, each with its rank before it."""
    lines = output.read_text("utf-8").splitlines() if output.exists() else []
    for line in lines:
        print(f"rank {rank}: {line}")
