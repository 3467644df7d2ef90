"""What each process runs that `handbook.torchrun` has started."""

import contextlib
import os
import pickle
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import record

from .torchrun import OUTPUT, RESULT, WORK


@record  # so that torchrun's report has the traceback
def main() -> None:
    """Unpack the function, call it, and leave what it prints and returns in files."""
    folder = Path(sys.argv[1])
    rank = os.environ["RANK"]
    function, arguments = pickle.loads((folder / WORK).read_bytes())
    # Line by line, so that a process that is killed leaves what it had printed.
    output = (folder / OUTPUT.format(rank=rank)).open("w", 1, "utf-8")
    with output, contextlib.redirect_stdout(output):
        result = function(*arguments)
    import cloudpickle

    (folder / RESULT.format(rank=rank)).write_bytes(cloudpickle.dumps(result))


if __name__ == "__main__":
    main()
