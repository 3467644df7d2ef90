"""Run what the site offers for download: each lesson once, in a folder of its own, two at a time.

`python run_downloads.py SITE TOOLS`: TOOLS is a folder with nbclient and ipykernel. A lesson exists
as script and as notebook in each language. All of them are the same program, so one of them runs:
which one, its place in the book decides. A script finds only the packages that it says it needs,
and nothing can be installed while it runs.
"""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

ORDER = runpy.run_path(str(Path(__file__).parents[1] / "docs/_ext/course/order.py"))["ORDER"]
TURNS = (("en", ".py"), ("zh", ".ipynb"), ("zh", ".py"), ("en", ".ipynb"))
NOTEBOOK = (
    "import nbformat, nbclient, sys; "
    "nbclient.NotebookClient(nbformat.read(sys.argv[1], 4), timeout=300).execute()"
)
METADATA = re.compile(r"(?m)^# /// script\n((?:# .*\n)+?)# ///$")
# Runs when Python starts: what is not needed is as if it were not installed.
SITECUSTOMIZE = """\
import os
from importlib.machinery import PathFinder

hidden = set(os.environ["HANDBOOK_HIDDEN"].split(","))
find = PathFinder.find_spec


def find_spec(name, *rest):
    return None if name.split(".")[0] in hidden else find(name, *rest)


PathFinder.find_spec = find_spec
"""


def main(site: Path, tools: Path) -> None:
    """Run the files and list those that failed."""
    downloads = {turn: site / turn[0] / "_downloads" for turn in TURNS}
    offered = {str(file.relative_to(site)) for file in site.glob("*/_downloads/*/*")}
    wanted = {f"{folder}/_downloads/{name}{suffix}" for name in ORDER for folder, suffix in TURNS}
    if offered != wanted:
        sys.exit(
            f"These are offered but not expected, or the other way: {sorted(offered ^ wanted)}"
        )
    files, faults = [], []
    for place, name in enumerate(ORDER):
        variants = [folder / f"{name}{turn[1]}" for turn, folder in downloads.items()]
        if len({program(file) for file in variants}) > 1:
            faults.append(f"{name}: the scripts and notebooks are not the same program")
        files.append(variants[place % len(TURNS)])
    with ThreadPoolExecutor(2) as pool:
        faults += filter(None, pool.map(lambda file: run(file, tools), files))
    sys.exit("\n".join(faults) if faults else print(f"{len(files)} downloads ran."))


def program(file: Path) -> str:
    """Return what a script does after its docstring, or a notebook after the installation."""
    text = file.read_text("utf-8")
    if file.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        text = "\n".join("".join(cell["source"]) for cell in cells[1:])
    return ast.dump(ast.Module(ast.parse(text).body[file.suffix == ".py" :], []))


def hidden_modules(script: str) -> list[str]:
    """Return the modules that are here though the script does not name a package of theirs."""
    block = METADATA.search(script)[1]
    listed = tomllib.loads(re.sub("(?m)^# ?", "", block))["dependencies"]
    # The wheel is named only by a site that knows its address.
    needed, new = set(), {*map(distribution, listed), "torch-handbook"}
    while new:
        needed |= new
        asked = {each for name in new for each in requires(name)}
        new = asked - needed
    found = metadata.packages_distributions().items()
    return [module for module, owners in found if not needed & set(map(distribution, owners))]


def requires(name: str) -> set[str]:
    """Return what a package asks for, except for its extras."""
    try:
        asked = metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # for another system
        return set()
    return {distribution(each) for each in asked if "extra ==" not in each}


def distribution(requirement: str) -> str:
    """Return the name at the beginning of a requirement, as indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def run(file: Path, tools: Path) -> str:
    """Run one file; give what went wrong, or nothing."""
    command = [sys.executable, "-W", "error", file.name]
    settings = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    settings |= {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1"}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as hooks:
        if file.suffix == ".ipynb":
            command = [sys.executable, "-c", NOTEBOOK, file.name]
            settings["PYTHONPATH"] = str(tools.resolve())
        else:
            (Path(hooks) / "sitecustomize.py").write_text(SITECUSTOMIZE)
            settings["PYTHONPATH"] = hooks
            settings["HANDBOOK_HIDDEN"] = ",".join(hidden_modules(file.read_text("utf-8")))
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
