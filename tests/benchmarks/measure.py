"""Measure tasks side by side, and keep what came out for the page docs/benchmarks.md.

All tasks of a benchmark take turns in one run, so that what disturbs the machine disturbs all of
them; what counts is the ratio to the reference within each round.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "docs" / "measured"


def seconds(task: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def interleaved(tasks: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Let the tasks take turns, in another order each round; each returns what it measured."""
    found: dict[str, list[float]] = {name: [] for name in tasks}
    names = list(tasks)
    for i in range(rounds):
        turn = names[i % len(names) :] + names[: i % len(names)]
        for name in turn if i % 2 == 0 else reversed(turn):
            found[name].append(tasks[name]())
    return found


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return the median, the smallest and the largest of what was measured."""
    values = sorted(values)
    found = {"median": statistics.median(values), "low": values[0], "high": values[-1]}
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def rows(times: Mapping[str, list[float]], reference: str) -> dict[str, dict[str, Any]]:
    """Return, for each task, its time and its ratio to the reference, round by round."""
    return {
        name: {
            "seconds": spread(mine),
            "ratio": spread(a / b for a, b in zip(mine, times[reference], strict=True)),
        }
        for name, mine in times.items()
    }


def record(name: str, rows: Mapping[str, Any], packages: Iterable[str] = (), **facts: Any) -> None:
    """Write the result with machine, versions and date to docs/measured/<name>.json."""
    names = dict.fromkeys(["torch", *packages])
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": {"Python": platform.python_version(), **{n: version(n) for n in names}},
        **facts,
        "rows": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def machine() -> dict[str, Any]:
    """Return what the times depend on: processor, cores, memory, system."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "system": platform.system(),
    }
