"""Check one lesson: `nox -s check-lesson -- PART/NN_name`.

The script runs by itself, with warnings as errors, while its form, its references, its catalogs,
their terms and their style are checked. Everything that is wrong is listed at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from bilingual import build, catalogs  # noqa: E402
from bilingual.project import Project  # noqa: E402
from course.order import ORDER  # noqa: E402
from course.torch_warnings import OPTIONS  # noqa: E402

TESTS = ("learners_python", "course_names", "course_times", "lessons", "catalogs")


def main(name: str) -> int:
    """Run every check, and return 1 if one of them found something."""
    project = Project(HERE)
    script = project.examples / f"{name}.py"
    if name not in ORDER or not script.exists():
        sys.exit(f"{name}: not a lesson; docs/_ext/course/order.py lists them")
    env = os.environ | project.says["bilingual_environment"] | {"MPLBACKEND": "Agg"}
    with tempfile.TemporaryDirectory() as folder:
        # All of it at once: on two cores, what takes longest is then all that one waits for.
        command = [sys.executable, *OPTIONS, str(script)]
        lesson = start(command, folder, env, subprocess.DEVNULL)
        form = [start(each, HERE.parent, env, subprocess.PIPE) for each in form_commands(name)]
        found = check_pages(project, name)
        for process in form:
            said = "".join(process.communicate()).strip()
            if process.returncode:
                found.append(said or f"{' '.join(process.args)} failed")
        _output, errors = lesson.communicate()
        if lesson.returncode:
            found.append(f"{errors.strip()}\n{project.shown(script)}: it does not run")
        left = sorted(file.name for file in Path(folder).iterdir())
        if left:
            found.append(f"{project.shown(script)}: it leaves {', '.join(left)}; remove them in it")
    print("\n".join(found) or f"{name}: nothing is wrong.")
    return 1 if found else 0


def start(
    command: list[str], folder: str | Path, env: dict[str, str], output: int
) -> subprocess.Popen[str]:
    """Start a command whose errors are kept, and whose output goes where it is said."""
    return subprocess.Popen(
        command, cwd=folder, env=env, stdout=output, stderr=subprocess.PIPE, text=True
    )


def check_pages(project: Project, name: str) -> list[str]:
    """Look for references that lead nowhere, and for messages that are not translated."""
    found, page = [], f"lessons/{name}"
    try:
        build.check_scripts(project)
        with build.templates(project, *build.STRICT_OPTIONS) as templates:
            for language in project.languages[1:]:
                catalog = project.catalogs(language) / f"{page}.po"
                template = templates / f"{page}.pot"
                found += catalogs.unreadable(catalog) or catalogs.problems(template, catalog)
    except SystemExit as error:
        return [str(error)]
    return found


def form_commands(name: str) -> list[list[str]]:
    """Return what runs the tests of lessons and catalogs for this one, and the linter."""
    part, _, stem = name.partition("/")
    tests = [str(HERE.parent / f"tests/test_{test}.py") for test in TESTS]
    options = ["-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"]
    return [
        [sys.executable, "-m", "pytest", *options, "-k", f"{part} and {stem}", *tests],
        ["ruff", "check", "--quiet", f"examples/{name}.py"],
        ["ruff", "format", "--check", "--quiet", f"examples/{name}.py"],
    ]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
