"""The lessons as the pages need them, and the process in which they run and are written as pages.

`bilingual_lessons` is "ready" in an ordinary build of Sphinx: it executes nothing and writes no
page of the gallery, and it fails if a lesson has not run as it stands. With "checked" it does not
look again whether they did. With "text", pages without results are written, which is enough for
catalogs and references. With "run" the lessons that changed are executed first, the longest one
first; `python -m bilingual.execute FOLDER [PATTERN]` does that for the folder with conf.py, and the
pattern selects lessons by their paths.
"""

from __future__ import annotations

import json
import math
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import docutils_namespace

from bilingual import gallery_pages, linux
from bilingual.project import Project
from bilingual.results import Results, missing_results

logger = logging.getLogger(__name__)


def prepare_lessons(app: Sphinx) -> None:
    """Run the lessons and write their pages, or make sure that both has been done."""
    project = Project(Path(app.confdir))
    pattern = app.config.sphinx_gallery_conf["filename_pattern"]
    if app.config.bilingual_lessons == "text":
        gallery_pages.write(app, project)
    elif app.config.bilingual_lessons == "run":
        write_lessons(app, project, pattern)
    elif app.config.bilingual_lessons == "ready" and (missing := missing_results(project, pattern)):
        raise ExtensionError("\n".join(missing))
    app.config.sphinx_gallery_conf["plot_gallery"] = False  # from here on nothing is executed


def write_lessons(app: Sphinx, project: Project, pattern: str) -> None:
    """Run the lessons that changed, write the pages around them, and remove everything else."""
    results = Results(project)
    results.book.unlink(missing_ok=True)
    if stale := sorted(results.stale(pattern), key=lambda script: -_seconds(project, script)):
        run(app, project, results, stale)
    gallery_pages.write(app, project)
    if app._warncount:
        raise ExtensionError("the pages of the gallery have warnings: see above")
    results.write_book(pattern)


def run(app: Sphinx, project: Project, results: Results, scripts: list[Path]) -> None:
    """Run lessons in a process that forks them, and take over their results one by one."""
    from bilingual.lesson_process import Job  # these import what executes, and most builds do not
    from bilingual.runner import Work

    folder = project.build / "running"
    shutil.rmtree(folder, ignore_errors=True)
    made_from = {str(script): results.made_from(script) for script in scripts}
    jobs = {}
    for script in scripts:
        scratch = folder / project.name(script).replace("/", "-")
        place = (project.lessons / project.name(script)).relative_to(project.docs)
        job = Job(
            script,
            (scratch / "made" / place).with_suffix(".py"),
            scratch,
            app.config.sphinx_gallery_conf,
            project.says["bilingual_output_limit"],
        )
        (job.target.parent / "images/thumb").mkdir(parents=True)
        jobs[str(script)] = job
    warm_up = project.says["bilingual_warm_up"]
    work = Work(
        list(jobs.values()),
        project.docs / warm_up if warm_up else None,
        project.says["bilingual_workers"],
        project.says["bilingual_fork"],
        project.says["bilingual_time_limit"],
    )
    file = folder / "work.pickle"
    file.write_bytes(pickle.dumps(work))
    command = [sys.executable, "-m", "bilingual.runner", str(file)]
    failed, left = [], set(jobs)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            said: dict[str, Any] = json.loads(line)
            script = Path(said["script"])
            left.discard(str(script))
            if said["error"]:
                failed.append(_say_failure(project, script, said))
                continue
            job = jobs[str(script)]
            made = job.made / project.lessons.relative_to(project.docs)
            results.adopt(script, made, made_from[str(script)])
            logger.info("ran %s in %.1f s", project.name(script), said["seconds"])
    if failed or process.returncode or left:
        raise ExtensionError("\n".join(failed) or "the lessons did not run: see above")
    shutil.rmtree(folder)


def _say_failure(project: Project, script: Path, said: dict[str, Any]) -> str:
    """Print what a lesson printed when it failed, and return the line that says it all."""
    if said.get("traceback"):
        logger.info("%s", said["traceback"].rstrip())
    return f"{project.shown(script)}:{said['line'] or 1}: {said['error']}"


def _seconds(project: Project, script: Path) -> float:
    """Return how long the lesson took when it last ran; one that never ran may take long."""
    cost = project.lessons / f"{project.name(script)}.cost.json"
    try:
        return float(json.loads(cost.read_text("utf-8"))["time"])
    except (OSError, ValueError, KeyError):
        return math.inf


def main(docs: str, pattern: str | None = None) -> int:
    """Run the lessons of a project; Sphinx itself starts, but builds nothing."""
    if linux.can_fork():
        linux.end_with_parent()  # the lessons of a build that was killed would run on for minutes
    build = Path(docs, "_build")
    settings: dict[str, object] = {"bilingual_lessons": "run"}
    if pattern:
        settings["sphinx_gallery_conf.filename_pattern"] = pattern
    try:
        with docutils_namespace():
            Sphinx(
                docs,
                docs,
                build / "lessons",
                build / "doctrees/lessons",
                "dummy",
                settings,
                freshenv=True,
            )
    except ExtensionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def setup(app: Sphinx) -> None:
    """Take the place of sphinx-gallery's own pass."""
    gallery_pages.take_over(app)
    app.connect("builder-inited", prepare_lessons)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
