"""What variants change on this CPU: `torch.compile`, channels_last, optimizers, threads.

Each trains LeNet, or the MLP, for STEPS steps on batches of 128 images, the same for all; the
ratio is to the variant `plain`: eager, contiguous, AdamW as it is by default, one thread.
- compile: the model through `torch.compile`, whose first step is timed apart (`compile_seconds`).
- channels_last: the weights of the model and the images in that order of memory.
- for-loop, fused: AdamW with `foreach=False`, and with `fused=True`; the default on a CPU is one
  of the two others, whichever PyTorch chooses.
- two threads: `torch.set_num_threads(2)`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import measure
import torch
from torch import nn
from torch.nn import functional as F

from handbook import datasets, models

STEPS, ROUNDS = 50, 11
NETWORKS: dict[str, Callable[[], nn.Module]] = {"LeNet": models.LeNet, "MLP": models.MLP}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "compile": {"compile": True},
    "channels_last": {"memory_format": torch.channels_last},
    "for-loop": {"optimizer": {"foreach": False}},
    "fused": {"optimizer": {"fused": True}},
    "two threads": {"threads": 2},
}


def task(
    network: Callable[[], nn.Module],
    compile: bool = False,
    memory_format: torch.memory_format = torch.contiguous_format,
    optimizer: dict[str, Any] | None = None,
    threads: int = 1,
) -> Callable[[], float]:
    """Return a task that measures the seconds of one step of a variant."""
    torch.manual_seed(0)
    images, labels = datasets.mnist()[0]
    x, y = images[:128].clone(memory_format=memory_format), labels[:128]
    model = network().to(memory_format=memory_format)
    steps = torch.optim.AdamW(model.parameters(), **(optimizer or {}))
    forward = torch.compile(model) if compile else model

    def train() -> None:
        for _ in range(STEPS):
            steps.zero_grad()
            F.cross_entropy(forward(x), y).backward()
            steps.step()

    def measured() -> float:
        torch.set_num_threads(threads)
        seconds = measure.seconds(train) / STEPS
        torch.set_num_threads(1)
        return seconds

    return measured


def main() -> None:
    """Let the variants of each network take turns, and record their times."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    torch.set_num_threads(1)
    rows: dict[str, dict[str, Any]] = {name: {} for name in VARIANTS}
    for network, make in NETWORKS.items():
        tasks = {name: task(make, **options) for name, options in VARIANTS.items()}
        first = {name: one() * STEPS for name, one in tasks.items()}
        for name, row in measure.rows(measure.interleaved(tasks, rounds), "plain").items():
            if name == "compile":
                row["compile_seconds"] = round(first[name] - STEPS * row["seconds"]["median"], 1)
            rows[name][network] = row
            print(network, name, row, flush=True)
    measure.record("variants", rows, rounds=rounds, batch=128)


if __name__ == "__main__":
    main()
