"""Run what the site offers for download: each lesson once, in a folder of its own, two at a time.

`python run_downloads.py SITE TOOLS`: TOOLS is a folder with nbclient and ipykernel. A lesson exists
as script and as notebook in each language. All of them are the same program, so one of them runs:
which one, its place in the book decides. A script finds only the packages that it says it needs,
and nothing can be installed while it runs. It must print the words that the site shows, and
draw its figures byte for byte.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from itertools import zip_longest
from pathlib import Path

EXTENSIONS = Path(__file__).parents[1] / "docs/_ext"
ORDER = runpy.run_path(str(EXTENSIONS / "course/order.py"))["ORDER"]
OPTIONS = runpy.run_path(str(EXTENSIONS / "course/torch_warnings.py"))["OPTIONS"]
TURNS = (("en", ".py"), ("zh", ".ipynb"), ("zh", ".py"), ("en", ".ipynb"))
NOTEBOOK = """\
import nbclient, nbformat, sys

book = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(book, timeout=300).execute()
for output in (output for cell in book.cells for output in cell.get("outputs", [])):
    print(output.text if output.get("name") == "stdout" else "", end="")
"""
KERNEL = "must be Tensor, not method"  # what Python's `input` is in a notebook
PYTHON = "must be Tensor, not function"
# Added to a lesson: save what it drew, as the site does.
DRAW = """\
import sys

if pyplot := sys.modules.get("matplotlib.pyplot"):
    sys.path.append({extensions!r})
    from pathlib import Path

    from looks.drawing import save

    for place, number in enumerate(pyplot.get_fignums(), 1):
        file = Path({folder!r}, f"sphx_glr_{stem}_{{place:03}}.png")
        save(pyplot.figure(number), file, file.parent)
"""
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
        faults += filter(None, pool.map(lambda file: run(file, tools, site), files))
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


def run(file: Path, tools: Path, site: Path) -> str:
    """Run one file; give what went wrong, or nothing."""
    command = [sys.executable, *OPTIONS, file.name]
    settings = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    settings |= {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1"}
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as hooks,
        tempfile.TemporaryDirectory() as drawn,
    ):
        draw = DRAW.format(extensions=str(EXTENSIONS), folder=drawn, stem=file.stem)
        text = file.read_text("utf-8")
        if file.suffix == ".ipynb":
            command = [sys.executable, "-c", NOTEBOOK, file.name]
            settings["PYTHONPATH"] = str(tools.resolve())
            book = json.loads(text)
            last = next(cell for cell in reversed(book["cells"]) if cell["cell_type"] == "code")
            book["cells"].append(last | {"id": "drawn", "source": draw, "outputs": []})
            text = json.dumps(book)
        else:
            (Path(hooks) / "sitecustomize.py").write_text(SITECUSTOMIZE)
            settings["PYTHONPATH"] = hooks
            settings["HANDBOOK_HIDDEN"] = ",".join(hidden_modules(text))
            text += draw
        (Path(folder) / file.name).write_text(text, "utf-8")
        done = subprocess.run(
            command, cwd=folder, env=os.environ | settings, capture_output=True, text=True
        )
        left = sorted(path.name for path in Path(folder).iterdir() if path.name != file.name)
        name = "/".join(file.parts[-4:])
        faults = [f"it left files behind: {', '.join(left)}"] if left else []
        if done.returncode:
            faults.append(done.stderr)
        else:
            faults += differences(
                site / "en",
                f"{file.parent.name}/{file.stem}",
                done.stdout.replace(KERNEL, PYTHON),
                drawn,
            )
    print("FAILED" if faults else "ran", name, flush=True)
    return "\n".join(f"{name}: {fault}" for fault in faults)


def lines(text: str) -> list[str]:
    """Split what was printed, into words; the site has no tabs, and no spaces around a cell."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def differences(site: Path, lesson: str, printed: str, drawn: str) -> Iterator[str]:
    """Compare what a lesson printed and drew with what the site shows."""
    book = json.loads((site / f"_downloads/{lesson}.ipynb").read_text("utf-8"))
    outputs = [output for cell in book["cells"] for output in cell.get("outputs", [])]
    streams = [output["text"] for output in outputs if output.get("name") == "stdout"]
    shown = "".join("".join(text) for text in streams)
    for here, there in zip_longest(lines(printed), lines(shown)):
        if here != there:
            yield f"it printed {here!r}, and the site shows {there!r}"
            break
    part, _slash, stem = lesson.partition("/")
    figures = {
        file.name: file for file in (site / f"_images/lessons/{part}").glob(f"sphx_glr_{stem}_0*")
    }
    new = {file.name: file for file in Path(drawn).iterdir()}
    for name in sorted(figures.keys() | {name for name in new if re.search(r"_\d+\.\w+$", name)}):
        if name not in figures or name not in new:
            is_drawn = "drawn, but the site does not show it"
            yield f"{name} is {is_drawn if name in new else 'shown, but was not drawn'}"
        elif figures[name].read_bytes() != new[name].read_bytes():
            yield f"{name} looks different from the one on the site"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
