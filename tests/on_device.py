"""What only an accelerator can show, in under four minutes: `python tests/on_device.py`.

Prints one line for each check, ends with an error at the first that fails, and writes its figures
to the file that is named as an argument. Without an accelerator nothing is checked, and it says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handbook import Batches, classification_step, datasets, evaluate, fit, models

EPOCHS = 3
ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 4
train, test = datasets.mnist()


def lenet() -> nn.Module:
    """Return the same network each time."""
    torch.manual_seed(0)
    return models.LeNet()


def run(device: str, step: Any = classification_step, **options: Any) -> tuple[nn.Module, list]:
    """Train a network as a script would, and return it with its history."""
    model = options.pop("model", None) or lenet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = Batches(*train, batch_size=500, shuffle=True)
    settings = {"optimizer": optimizer, "epochs": EPOCHS, "device": device} | options
    return model, fit(model, batches, step, **settings)


def mixed_precision_step(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, dict]:
    """Compute in bfloat16, as docs/api/training.md has it."""
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        return classification_step(model, x, y)


def equals_the_cpu(device: str) -> dict[str, float]:
    """Compare the histories of both: equal, but for rounding."""
    _, here = run(device)
    _, there = run("cpu")
    gap = max(abs(a["loss"] - b["loss"]) for a, b in zip(here, there, strict=True))
    assert gap < 0.02, f"losses differ by {gap}"
    return {"largest difference of a loss": gap}


def resumes_bit_for_bit(device: str) -> dict[str, float]:
    """Two epochs and one more are three epochs, down to the last bit."""
    torch.use_deterministic_algorithms(True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.pt"
        run(device, epochs=2, checkpoint=path)
        resumed, history = run(device, epochs=3, checkpoint=path)
        straight, whole = run(device, epochs=3)
    torch.use_deterministic_algorithms(False)
    assert history == whole, f"{history} is not {whole}"
    states = resumed.state_dict(), straight.state_dict()
    assert all(map(torch.equal, *(state.values() for state in states))), "weights differ"
    return {"epochs": 3}


def recipes_run(device: str) -> dict[str, float]:
    """bfloat16 and torch.compile reach the accuracy of the plain run."""
    scores = {}
    for name, step, model in (
        ("plain", classification_step, lenet()),
        ("bfloat16", mixed_precision_step, lenet()),
        ("compiled", classification_step, torch.compile(lenet())),
    ):
        start = time.perf_counter()
        model, _ = run(device, step, model=model)
        batches = Batches(*test, batch_size=1000)
        accuracy = evaluate(model, batches, classification_step, device=device)["accuracy"]
        scores[f"{name}: accuracy"] = accuracy
        scores[f"{name}: seconds"] = time.perf_counter() - start
        assert accuracy > 0.9, f"{name} reads {accuracy:.1%}"
    return scores


def does_not_wait_inside_the_loop(device: str) -> dict[str, float]:
    """CUDA raises at any operation that makes the CPU wait between two steps."""
    if device != "cuda":
        print("  only CUDA can say when the CPU waits: not checked")
        return {}
    calls = 0

    def watched(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, dict]:
        nonlocal calls
        calls += 1
        torch.cuda.set_sync_debug_mode("error" if calls < 20 else "default")
        return classification_step(model, x, y)

    try:
        # 20 batches: from the first step to the last one nothing may wait.
        run(device, watched, epochs=1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return {"steps without waiting": calls - 1}


def nccl_with_one_rank(device: str) -> dict[str, float]:
    """Train in a group of one process: the same as a script without a group."""
    if device != "cuda":
        print("  NCCL needs CUDA: not checked")
        return {}
    _, alone = run(device)
    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost"}
    os.environ["MASTER_PORT"] = "29511"
    torch.distributed.init_process_group("nccl")
    model = nn.parallel.DistributedDataParallel(lenet().to(device))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for x, y in Batches(*train, batch_size=500):
        loss, _ = classification_step(model, x.to(device), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    _, grouped = run(device)
    torch.distributed.destroy_process_group()
    assert losses[-1] < losses[0], "DDP over NCCL does not learn"
    gap = max(abs(a["loss"] - b["loss"]) for a, b in zip(alone, grouped, strict=True))
    assert gap < 0.02, f"losses differ by {gap}"
    return {"largest difference of a loss": gap}


def ends_with(script: Path) -> str:
    """Run a lesson as a reader would, and return the last line of its error, or nothing."""
    settings = {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT / "src")}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=folder,
            env=os.environ | settings,
            capture_output=True,
            text=True,
        )
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def lessons_run(_device: str) -> dict[str, float]:
    """Run the lessons of `advanced`, which find the accelerator by themselves."""
    scripts = sorted((ROOT / "examples/advanced").glob("[0-9]*.py"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = dict(zip(scripts, pool.map(ends_with, scripts), strict=True))
    faults = [f"{script.stem}: {end}" for script, end in ends.items() if end]
    assert not faults, "\n".join(faults)
    return {"lessons": len(scripts)}


CHECKS: list[Callable[[str], dict[str, float]]] = [
    equals_the_cpu,
    resumes_bit_for_bit,
    recipes_run,
    does_not_wait_inside_the_loop,
    nccl_with_one_rank,
    lessons_run,
]


def main() -> None:
    """Run all checks on the accelerator."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        sys.exit("there is no accelerator: nothing was checked")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for deterministic products
    device = accelerator.type
    found: dict[str, Any] = {"torch": torch.__version__, "device": device}
    if device == "cuda":
        found["name"] = torch.cuda.get_device_name()
    for check in CHECKS:
        start = time.perf_counter()
        print(check.__name__, flush=True)
        found[check.__name__] = check(device)
        print(f"  {found[check.__name__]}, {time.perf_counter() - start:.1f} s", flush=True)
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
