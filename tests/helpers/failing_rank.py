"""Two ranks of which one fails: `torchrun failing_rank.py FOLDER HOW RANK`, in the second epoch."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does

from helpers.rank_functions import X, Y, plain

from handbook import classification_step, evaluate, fit


def die(how):
    """End this process as it was asked."""
    if how == "_exit":
        os._exit(7)
    if how in ("SIGINT", "SIGKILL"):
        os.kill(os.getpid(), getattr(signal, how))
        time.sleep(60)  # a signal may take a moment
    raise ValueError("boom")


class Failing(Dataset):
    """Examples that can be read, unless there is a ``moment`` to note first."""

    def __init__(self, moment=None):
        self.moment = moment

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        if self.moment:
            self.moment()
            raise ValueError("boom")
        return X[i], Y[i]


def main(folder, how, failing):
    rank = int(os.environ["RANK"])
    here = rank == failing
    (folder / f"pid.{rank}").write_text(str(os.getpid()))

    def moment():
        """Note the time, once, and say that this is the moment to fail."""
        if not (folder / "moment").exists():
            (folder / "moment").write_text(str(time.time()))

    def loader(fails=False, **options):
        data = Failing(moment if fails else None)
        sampler = DistributedSampler(data, num_replicas=2, rank=rank, shuffle=False)
        return DataLoader(data, batch_size=10, sampler=sampler, **options)

    def step(model, x, y):
        part = "step" if model.training else "validation"
        if epoch[0] == 2 and here and how in (part, "_exit", "SIGINT", "SIGKILL"):
            moment()
            die(how)
        return classification_step(model, x, y)

    def on_epoch_end(row):
        epoch[0] = row["epoch"] + 1
        if how == "saving" and row["epoch"] == 1 and rank == 0:
            moment()
            (folder / "run.pt.part").mkdir()  # what stands in the way of the next file
        if how == "on_epoch_end" and row["epoch"] == 2 and here:
            moment()
            die(how)

    epoch = [1]
    torch.manual_seed(0)
    model, optimizer = plain()
    options = {"optimizer": optimizer, "val": loader(), "checkpoint": folder / "run.pt"}
    options["on_epoch_end"] = on_epoch_end
    fit(model, loader(), classification_step, epochs=1, **options)
    batches = loader(here and how in ("dataset", "worker"), num_workers=int(how == "worker"))
    fit(model, batches, step, epochs=3, **options)
    with contextlib.suppress(ValueError):  # an error that the script handles is not reported
        fit(model, batches, step, optimizer=optimizer, max_grad_norm=-1)
    if how == "after fit" and here:
        moment()
        die(how)
    evaluate(model, loader(), step)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    except Exception:
        if multiprocessing.parent_process() is None:
            raise
        sys.excepthook(*sys.exc_info())  # as Python does at the end of a script that is not forked
        os._exit(1)
