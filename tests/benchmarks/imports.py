"""What an import costs: processor time of a fresh Python that imports one thing and ends.

The ratio is to a Python that imports torch alone; the processes take turns, and the first round,
which reads the files from the disk, does not count.
"""

import os
import subprocess
import sys

import measure

STATEMENTS = {
    "torch": "import torch",
    "handbook": "from handbook import fit, models, datasets",
    "torchvision": "import torchvision",
    "ignite": "import ignite.engine",
    "skorch": "import skorch",
    "accelerate": "import accelerate",
    "lightning": "import lightning",
    "fastai": "import fastai.basics",
}
PACKAGES = ["torchvision", "pytorch-ignite", "skorch", "accelerate", "lightning", "fastai"]


def cost(statement: str) -> float:
    """Return the processor time, in seconds, that a fresh Python spends on a statement."""
    command = [sys.executable, "-W", "ignore", "-c", statement]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{statement} failed")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure all and record them."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    tasks = {name: lambda line=line: cost(line) for name, line in STATEMENTS.items()}
    measure.interleaved(tasks, 1)
    rows = measure.rows(measure.interleaved(tasks, rounds), "torch")
    measure.record("imports", rows, PACKAGES, rounds=rounds)


if __name__ == "__main__":
    main()
