"""Measure how long lessons take, and note their classes: `nox -s times [-- NAME …]`.

A page says "under 10 s on 2 cores", the class, not the seconds, so that two builds give the same
bytes. The classes are kept in docs/lesson_times.json; a lesson changes its class only when it is
clearly out of it. What counts is the processor time of the lesson itself, which a busy machine
does not change, without importing torch and matplotlib and making the first optimizer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from bilingual.project import Project  # noqa: E402
from course.order import ORDER  # noqa: E402
from course.run_times import FILE, choose, read  # noqa: E402
from course.torch_warnings import OPTIONS  # noqa: E402

RUN = """
import resource, runpy, sys

runpy.run_path(sys.argv[2])


def used():
    own, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


before = used()
runpy.run_path(sys.argv[1], run_name="__main__")
print(used() - before)
"""


def seconds(lesson: str) -> float:
    """Run a lesson in a process of its own."""
    script = HERE.parent / f"examples/{lesson}.py"
    project = Project(HERE)
    env = os.environ | project.says["bilingual_environment"] | {"MPLBACKEND": "Agg"}
    warm_up = HERE / project.says["bilingual_warm_up"]
    command = [sys.executable, *OPTIONS, "-c", RUN, str(script), str(warm_up)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{script} failed: see above.")
    return float(done.stdout.split()[-1])


def main(lessons: list[str]) -> None:
    """Measure these lessons, or all of them."""
    classes = {name: limit for name, limit in read(FILE).items() if name in ORDER}
    for lesson in lessons or ORDER:
        measured = seconds(lesson)
        classes[lesson] = choose(measured, classes.get(lesson))
        print(f"{lesson}: {measured:.1f} s, under {classes[lesson]} s", flush=True)
        ordered = {name: classes[name] for name in ORDER if name in classes}
        FILE.write_text(json.dumps(ordered, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
