"""Run what the site offers for download, each file in a folder of its own, two at a time.

`python run_downloads.py SITE TOOLS`: TOOLS is a folder with nbclient and ipykernel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NOTEBOOK = (
    "import nbformat, nbclient, sys; "
    "nbclient.NotebookClient(nbformat.read(sys.argv[1], 4), timeout=300).execute()"
)


def main(site: Path, tools: Path) -> None:
    """Run all files and list those that failed."""
    files = sorted(
        file for file in site.glob("*/_downloads/*/*") if file.suffix in (".py", ".ipynb")
    )
    if not files:
        sys.exit(f"There is nothing to download in {site}: run `nox -s docs` first.")
    with ThreadPoolExecutor(2) as pool:
        failed = [fault for fault in pool.map(lambda file: run(file, tools), files) if fault]
    sys.exit("\n".join(failed) if failed else print(f"{len(files)} downloads ran."))


def run(file: Path, tools: Path) -> str:
    """Run one file; give what went wrong, or nothing."""
    command = [sys.executable, "-W", "error", file.name]
    settings = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    if file.suffix == ".ipynb":
        command = [sys.executable, "-c", NOTEBOOK, file.name]
        settings["PYTHONPATH"] = str(tools.resolve())
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / file.name).write_bytes(file.read_bytes())
        done = subprocess.run(
            command, cwd=folder, env=os.environ | settings, capture_output=True, text=True
        )
        left = sorted(path.name for path in Path(folder).iterdir() if path.name != file.name)
    name = "/".join(file.parts[-4:])
    print("ran" if done.returncode == 0 else "FAILED", name, flush=True)
    if done.returncode:
        return f"{name}:\n{done.stderr}"
    return f"{name} left files behind: {', '.join(left)}" if left else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
