"""What a pass over MNIST costs: `handbook.Batches` against torchvision and a DataLoader.

All yield the same 60,000 images, normalized, and their labels, shuffled, in batches of 64 and of
512; that the batches are equal, bit for bit and in the same order, is checked first. One thread;
the workers of a DataLoader are processes beside it, started before the time is taken.

- Batches: all images as one tensor, normalized once (the seconds for that: `prepare_seconds`).
- TensorDataset: the same tensor in a DataLoader.
- MNIST: torchvision's data set with ToTensor and Normalize in a DataLoader, as in most tutorials.
  It normalizes each image again in every pass: that is part of its time, and of what it is for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import full_mnist
import measure
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from handbook import Batches, datasets

MEAN, STD = 0.1307, 0.3081
SIZES = (64, 512)
ROUNDS, PASSES = 5, 20  # of Batches, which is soon done, so many passes are one measurement


def prepared(root: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all images, normalized, and their labels."""
    x, y = datasets.mnist(full=True, root=root)[0]
    return x.sub_(MEAN).div_(STD), y


def tutorial(root: Path) -> Dataset[Any]:
    """Return the data set of torchvision that prepares each image when it is asked for."""
    from torchvision.datasets import MNIST
    from torchvision.transforms import Compose, Normalize, ToTensor

    return MNIST(root, transform=Compose([ToTensor(), Normalize((MEAN,), (STD,))]))


def check_equal(data: Dataset[Any], x: torch.Tensor, y: torch.Tensor, size: int) -> None:
    """Fail unless a DataLoader and Batches yield the same bits, in the order of Batches."""
    order = [int(i) for (index,) in Batches(torch.arange(len(x)), batch_size=size, shuffle=True)
             for i in index]  # fmt: skip
    pairs = zip(
        DataLoader(data, size, sampler=order), Batches(x, y, batch_size=size, shuffle=True),
        strict=True,
    )  # fmt: skip
    for theirs, ours in pairs:
        for a, b in zip(theirs, ours, strict=True):
            if a.dtype != b.dtype or not torch.equal(a, b):
                raise AssertionError("the batches differ")


def through(batches: Iterable[Any]) -> None:
    """Take every batch, and do nothing with it."""
    for _ in batches:
        pass


def contestants(root: Path, x: torch.Tensor, y: torch.Tensor, size: int) -> dict[str, Any]:
    """Return what yields the batches, by name."""
    images, tensors, two = tutorial(root), TensorDataset(x, y), {"num_workers": 2}
    return {
        "Batches": Batches(x, y, batch_size=size, shuffle=True),
        "TensorDataset": DataLoader(tensors, size, shuffle=True),
        "MNIST": DataLoader(images, size, shuffle=True),
        "MNIST, 2 workers": DataLoader(images, size, shuffle=True, persistent_workers=True, **two),
    }


def timer(batches: Any) -> Callable[[], float]:
    """Return a task that measures the seconds of one pass."""
    passes = PASSES if isinstance(batches, Batches) else 1
    return lambda: measure.seconds(lambda: [through(batches) for _ in range(passes)]) / passes


def main() -> None:
    """Let all take turns, and record their times."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    torch.set_num_threads(1)
    root = full_mnist.root()
    prepare = measure.seconds(lambda: prepared(root))
    x, y = prepared(root)
    rows: dict[str, dict[str, Any]] = {}
    for size in SIZES:
        check_equal(tutorial(root), x, y, size)
        print(f"batches of {size} are equal, bit for bit")
        tasks = {name: timer(loader) for name, loader in contestants(root, x, y, size).items()}
        measure.interleaved(tasks, 1)  # starts the workers
        for name, row in measure.rows(measure.interleaved(tasks, rounds), "Batches").items():
            row["images_per_second"] = round(len(x) / row["seconds"]["median"])
            rows.setdefault(name, {})[str(size)] = row
    measure.record(
        "batches", rows, ["torchvision"], threads=1, rounds=rounds, images=len(x),
        prepare_seconds=round(prepare, 2), equal=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
