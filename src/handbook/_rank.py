"""What each process runs that `handbook.torchrun` has started."""

import contextlib
import os
import pickle
import sys
from pathlib import Path

import torch.distributed as dist

from .distributed import report_errors
from .torchrun import OUTPUT, RESULT, WORK


def main() -> None:
    """Unpack the function, call it, and leave what it prints and returns in files."""
    report_errors()
    folder = Path(sys.argv[1])
    rank = os.environ["RANK"]
    function, arguments = pickle.loads((folder / WORK).read_bytes())
    # Line by line, so that a process that is killed leaves what it had printed.
    output = (folder / OUTPUT.format(rank=rank)).open("w", 1, "utf-8")
    with output, contextlib.redirect_stdout(output):
        result = function(*arguments)
    import cloudpickle

    (folder / RESULT.format(rank=rank)).write_bytes(cloudpickle.dumps(result))
    if dist.is_initialized():
        dist.destroy_process_group()
    # After fully_shard, the threads of gloo outlive their group. One that still frees a tensor
    # while Python shuts down ends the process by SIGABRT, seldom, and only on a busy machine.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
