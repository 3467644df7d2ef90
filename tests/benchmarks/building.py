"""How long the site takes to build, and how that grows: `building.py [site] [growth]`.

All of it happens in a copy of the tree. `site` compares a build of both languages with the lessons
themselves (with all of them, more than half an hour), `growth` keeps the first 20 and adds light
ones, up to 200 (17 minutes).
Each has a file of its own: docs/measured/site.json and growth.json.
"""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import measure

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs/_ext"))

from bilingual.project import Project  # noqa: E402
from course.order import ORDER, parts  # noqa: E402

STEADY = Project(ROOT / "docs").says["bilingual_environment"]

SIZES = (20, 100, 200)
PARTS = parts()
LIGHT = "tensors/01_create"  # the lesson that is copied
CATALOGS = "docs/locale/zh_CN/LC_MESSAGES/lessons"
PACKAGES = ("torch", "sphinx", "sphinx-gallery", "myst-parser")
ALL_READ = ("docs/_build",)  # without the results of the lessons
NOTHING_LEFT = (*ALL_READ, "docs/lessons")
GENERATED = (".git", ".nox", "_build", "__pycache__", "*.mo", "dist", "runs", ".*_cache")
# One language, without the other beside it
ALONE = """
import sys
sys.path.insert(0, "docs/_ext")
from pathlib import Path
from bilingual.build import write_lessons
from bilingual.project import Project
from bilingual.sphinx_build import run_sphinx
project = Project(Path("docs"))
write_lessons(project, None)
run_sphinx(project, "html", project.build / "{code}", language="{code}")
"""

Times = dict[str, float]


def copy(target: Path) -> Path:
    """Copy the tree without what was built in it."""
    ignore = shutil.ignore_patterns(*GENERATED)
    shutil.copytree(ROOT, target, ignore=ignore)
    shutil.rmtree(target / "docs/lessons", ignore_errors=True)
    return target


def timed(tree: Path, *command: str, where: Path | None = None) -> Times:
    """Run Python and wait; give the seconds on the clock, and those of all processes together."""
    env = os.environ | STEADY | {"PYTHONPATH": str(tree / "src"), "MPLBACKEND": "Agg"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # as on a reader's machine: compiled once
    start, before = time.perf_counter(), _cpu()
    done = subprocess.run(
        [sys.executable, *command], cwd=where or tree, env=env, capture_output=True, text=True
    )
    found = {"wall": time.perf_counter() - start, "cpu": _cpu() - before}
    if done.returncode:
        sys.exit(f"{done.stdout}\n{done.stderr}\n{' '.join(command)} failed.")
    return {name: round(value, 2) for name, value in found.items()}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def build(tree: Path, *removed: str) -> Times:
    """Build both languages after removing these folders."""
    for folder in removed:
        shutil.rmtree(tree / folder, ignore_errors=True)
    return timed(tree, "docs/build.py", "--draft")  # docs/benchmarks.md may still lack this result


def one_language(tree: Path, code: str, *removed: str) -> Times:
    """Build one language alone, with nothing read before."""
    for folder in (f"docs/_build/doctrees/html-{code}", f"docs/_build/{code}", *removed):
        shutil.rmtree(tree / folder, ignore_errors=True)
    return timed(tree, "-c", ALONE.format(code=code))


def changes(tree: Path) -> dict[str, Times]:
    """Build after a change of one lesson, of one message, and of nothing."""
    found = {"nothing": build(tree)}
    lesson = tree / f"examples/{LIGHT}.py"
    lesson.write_text(lesson.read_text("utf-8") + "\nassert True\n", "utf-8")
    found["one lesson"] = build(tree)
    catalog = tree / f"{CATALOGS}/{LIGHT}.po"
    text = catalog.read_text("utf-8")
    changed = text.replace('msgid "Setup"\nmsgstr "准备', 'msgid "Setup"\nmsgstr "准备一下', 1)
    assert changed != text
    catalog.write_text(changed, "utf-8")
    found["one message"] = build(tree)
    return found


def measure_build(folder: Path) -> dict[str, object]:
    """Compare a cold build with its lessons, and say what the second language adds."""
    tree = copy(folder / "build")
    timed(tree, "-c", "import handbook, sphinx.application, torchvision, matplotlib.pyplot")
    (folder / "empty").mkdir()
    lessons = {
        f"{file.parent.name}/{file.stem}": timed(tree, str(file), where=folder / "empty")
        for file in sorted(tree.glob("examples/*/*.py"))
    }
    build(tree, *NOTHING_LEFT)  # not counted: the first to read the files would wait for the disk
    source = one_language(tree, "en", *NOTHING_LEFT)
    second = one_language(tree, "zh_CN")
    whole = build(tree, *NOTHING_LEFT)
    total = round(sum(each["cpu"] for each in lessons.values()), 2)
    return {
        "lessons": lessons,
        "lessons_cpu": total,
        "cold": whole,
        "ratio": round(whole["wall"] / total, 3),
        "source_alone": source,
        "second_alone": second,
        "second_share": {
            "wall": round(1 - source["wall"] / whole["wall"], 3),  # what it adds to the source
            "cpu": round(second["cpu"] / whole["cpu"], 3),
        },
        "changed": changes(tree),
    }


def shrink(tree: Path, size: int) -> None:
    """Keep so many of the lessons, the first ones, without the table that leads to the others."""
    for lesson in ORDER[size:]:
        (tree / f"examples/{lesson}.py").unlink()
    table = tree / "examples/introduces.toml"
    table.write_text(table.read_text("utf-8").partition("\n[before]")[0], "utf-8")


def grow(tree: Path, size: int) -> None:
    """Copy the light lesson until there are so many; its catalog follows."""
    name = LIGHT.partition("/")[2]
    for number in range(len(list(tree.glob("examples/*/*.py"))), size):
        part = PARTS[number % len(PARTS)]
        for old, new in (
            (f"examples/{LIGHT}.py", "examples"),
            (f"{CATALOGS}/{LIGHT}.po", CATALOGS),
        ):
            target = tree / new / part / f"{50 + number}_copy_of_{name}{Path(old).suffix}"
            shutil.copy(ROOT / old, target)


def measure_growth(folder: Path) -> dict[str, object]:
    """Build with more and more lessons; what executes them is left out of `all read`."""
    tree = copy(folder / "growth")
    shrink(tree, SIZES[0])
    found = {}
    for size in SIZES:
        grow(tree, size)
        rows = {"added": build(tree), "all read": build(tree, *ALL_READ), **changes(tree)}
        for site in ("en", "zh"):
            index = (tree / f"docs/_build/html/{site}/search-data.js").read_bytes()
            rows[f"search {site}"] = {"bytes": len(index), "gzip": len(gzip.compress(index))}
        page = tree / f"docs/_build/html/en/lessons/{LIGHT}.html"
        rows["page"] = {"bytes": page.stat().st_size}
        found[str(size)] = rows
        print(size, rows, flush=True)
    slopes = {
        f"{few} to {many}": {
            task: {
                unit: round((found[str(many)][task][unit] - value) / (many - few), 4)
                for unit, value in values.items()
            }
            for task, values in found[str(few)].items()
            if task != "added"
        }
        for few, many in pairwise(SIZES)
    }
    return {"lessons": found, "per_lesson": slopes}


TASKS = {"site": measure_build, "growth": measure_growth}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or TASKS:
            measure.record(name, TASKS[name](Path(folder)), PACKAGES)
