"""Two gloo processes on one machine against one process, at the same global batch.

LeNet on the embedded digits, 512 images a batch, one thread per process, all started by torchrun:
the wall time of an epoch. What else is measured says where the time goes:
- half: one process on half of the images, 256 a batch: as many steps, each half the work, and
  nothing to exchange. Two ranks cannot be faster than this.
- two halves: two of these at once: what sharing the machine costs, still without an exchange.
- `all_reduce_share`: the part of an epoch of two ranks that its all-reduces take, estimated from
  the time of one among ranks that do nothing else; waiting for the slower rank is not in it.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import time

import measure

EPOCHS, ROUNDS, BATCH, REDUCES = 6, 5, 512, 300


def worker(part: int) -> None:
    """Train on 1/part of the digits; rank 0 prints seconds per epoch and per all-reduce."""
    import torch
    import torch.distributed as dist

    from handbook import Batches, classification_step, datasets, fit, models

    torch.manual_seed(0)
    train, _ = datasets.mnist()
    count = len(train.x) // part
    batches = Batches(train.x[:count], train.y[:count], batch_size=BATCH // part, shuffle=True)
    model, ends = models.LeNet(), []
    fit(
        model, batches, classification_step,
        optimizer=torch.optim.AdamW(model.parameters()), device="cpu",
        epochs=EPOCHS, progress=False, on_epoch_end=lambda row: ends.append(time.perf_counter()),
    )  # fmt: skip
    epochs = [b - a for a, b in itertools.pairwise(ends)]  # not the first one
    found = {"epoch": statistics.median(epochs), "all_reduces": 0.0}
    if dist.is_initialized():
        gradient = torch.zeros(sum(p.numel() for p in model.parameters()))
        dist.all_reduce(gradient)
        start = time.perf_counter()
        for _ in range(REDUCES):
            dist.all_reduce(gradient)
        found["all_reduces"] = (time.perf_counter() - start) / REDUCES * len(batches)
    if os.environ["RANK"] == "0":
        print(json.dumps(found))


def launch(ranks: int, part: int, times: int = 1) -> dict[str, float]:
    """Run torchrun, several times at once if told so; return what the first printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={ranks}", __file__, "worker", str(part)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(times)
    ]
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit("a process failed: see above")
    found: dict[str, float] = json.loads(printed[0].splitlines()[-1])
    return found


def main() -> None:
    """Let all take turns, and record their times."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    shares: list[float] = []

    def two_ranks() -> float:
        found = launch(2, 1)
        shares.append(found["all_reduces"] / found["epoch"])
        return found["epoch"]

    tasks = {
        "one process": lambda: launch(1, 1)["epoch"],
        "two ranks": two_ranks,
        "half": lambda: launch(1, 2)["epoch"],
        "two halves": lambda: launch(1, 2, times=2)["epoch"],
    }
    rows = measure.rows(measure.interleaved(tasks, rounds), "one process")
    rows["two ranks"]["all_reduce_share"] = measure.spread(shares)
    measure.record("two_ranks", rows, threads=1, rounds=rounds, batch=BATCH)


if __name__ == "__main__":
    worker(int(sys.argv[2])) if sys.argv[1:2] == ["worker"] else main()
