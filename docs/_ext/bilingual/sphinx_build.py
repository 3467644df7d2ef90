"""Run Sphinx, or another step of a build, on a project or on a copy of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bilingual import locks
from bilingual.project import Project
from bilingual.results import Results

EXTENSIONS = Path(__file__).parents[1]


def copy_project(project: Project, target: Path, results: bool = False) -> Path:
    """Copy what a build reads to `target`, and return the folder with conf.py.

    What was built there before is kept; with `results` that of the lessons is replaced by what
    they printed and drew here.
    """
    above = project.docs.parent
    made = {project.build} if results else {project.build, project.lessons}
    docs, examples = (target / each.relative_to(above) for each in (project.docs, project.examples))
    for old in [*docs.glob("*"), examples]:
        if old not in {docs / folder.relative_to(project.docs) for folder in made}:
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)

    def generated(folder: str, names: list[str]) -> set[str]:
        """Name what a build made, and what Python did."""
        return {
            name
            for name in names
            if Path(folder, name) in made or name == "__pycache__" or name.endswith(".mo")
        }

    for source, copy in ((project.docs, docs), (project.examples, examples)):
        shutil.copytree(source, copy, ignore=generated, dirs_exist_ok=True)
    for page in above.glob("*.md"):
        shutil.copy2(page, target)
    if results:  # the pages around them are written again, as they name files of this tree
        Results(Project(docs)).book.unlink(missing_ok=True)
    return docs


def print_line(line: str) -> None:
    """Print a line of a log without delay."""
    print(line, end="", flush=True)


def run_step(
    project: Project, *command: str, echo: Callable[[str], object] = print_line
) -> tuple[int, str]:
    """Run a module with these arguments, and return its exit code and its log."""
    paths = [str(EXTENSIONS), os.environ.get("PYTHONPATH", "")]
    env = project.says["bilingual_environment"] | os.environ
    env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    log = []
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        pass_fds=locks.inherited(),
    ) as process:
        for line in process.stdout:
            echo(line)
            log.append(line)
    return process.returncode, "".join(log)


def doctrees(project: Project, builder: str, language: str) -> Path:
    """Return the folder in which Sphinx keeps the pages that it has read."""
    return project.build / "doctrees" / f"{builder}-{language}"


def run_sphinx(
    project: Project,
    builder: str,
    output: Path,
    *options: str,
    language: str | None = None,
    echo: Callable[[str], object] = print_line,
) -> str:
    """Run a Sphinx builder with its own doctree folder, and return the log."""
    language = language or project.languages[0].code
    kept = doctrees(project, builder, language)
    command = ["sphinx", "-b", builder, "-d", str(kept), "-D", f"language={language}", *options]
    code, log = run_step(project, *command, str(project.docs), str(output), echo=echo)
    if code:
        shutil.rmtree(kept, ignore_errors=True)  # otherwise a page that warned passes next time
        sys.exit(f"Building {builder} ({language}) failed: see above.")
    return log
