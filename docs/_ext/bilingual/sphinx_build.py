"""Run Sphinx on the project or on a copy of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[3]
STEADY = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1767225600"}


def copy_project(target: Path) -> Path:
    """Copy what a build reads to `target` and return it; what was built there before is kept."""
    for stale in ("examples", "docs/locale", "docs/_ext", "docs/_templates", "docs/_static"):
        shutil.rmtree(target / stale, ignore_errors=True)
    for part in ("docs", "examples"):
        shutil.copytree(ROOT / part, target / part, ignore=_generated, dirs_exist_ok=True)
    for page in ROOT.glob("*.md"):
        shutil.copy2(page, target)
    return target


def _generated(folder: str, names: list[str]) -> set[str]:
    """Name what a build made: docs/lessons, but not the catalogs in a folder of that name."""
    made = {"_build", "__pycache__"} | ({"lessons"} if Path(folder) == ROOT / "docs" else set())
    return {name for name in names if name in made or name.endswith(".mo")}


def print_line(line: str) -> None:
    """Print a line of a log without delay."""
    print(line, end="", flush=True)


def run_sphinx(
    root: Path,
    builder: str,
    output: Path,
    *options: str,
    language: str = "en",
    echo: Callable[[str], object] = print_line,
) -> str:
    """Run a Sphinx builder with its own doctree folder, and return the log."""
    doctrees = root / "docs/_build/doctrees" / f"{builder}-{language}"
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-d", str(doctrees)]
    command += ["-D", f"language={language}", *options, str(root / "docs"), str(output)]
    paths = [str(ROOT / "docs/_ext"), os.environ.get("PYTHONPATH", "")]
    env = STEADY | os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    log = []
    with subprocess.Popen(command, env=env, **pipes) as process:
        for line in process.stdout:
            echo(line)
            log.append(line)
    if process.returncode:
        shutil.rmtree(
            doctrees, ignore_errors=True
        )  # otherwise a page that warned would pass next time
        sys.exit(f"Building {builder} ({language}) failed: see above.")
    return "".join(log)
