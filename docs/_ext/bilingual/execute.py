"""Execute the lessons of all parts together, two at a time.

Sphinx-gallery by itself goes part by part, so one worker would wait at the end of each part. Here
the longest lesson starts first. When sphinx-gallery then makes its own pass to write the index
pages, it finds the results ready.
"""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.display import status_iterator
from sphinx_gallery import gen_rst
from sphinx_gallery.gen_gallery import get_subsections
from sphinx_gallery.utils import get_md5sum

logger = logging.getLogger(__name__)
WORKERS = 2
READY = "The lessons are ready to be read."  # `build_sites` waits for this line


def execute_lessons(app: Sphinx) -> None:
    """Run the lessons that changed, and hand the results to sphinx-gallery."""
    conf = app.config.sphinx_gallery_conf
    lessons = [lesson for lesson in _lessons(app) if _is_stale(*lesson, conf)]
    if not lessons:
        return
    from joblib import Parallel, delayed  # imported here because most builds execute nothing

    lessons.sort(key=_seconds, reverse=True)
    names = [f"{source.parent.name}/{source.name}" for source, _ in lessons]
    tasks = (
        delayed(gen_rst.generate_file_rst)(source.name, target.parent, source.parent, conf)
        for (source, target), _ in zip(
            lessons, status_iterator(names, "executing lessons... ", length=len(names)), strict=True
        )
    )
    results = Parallel(n_jobs=WORKERS, pre_dispatch="n_jobs", batch_size=1, backend="loky")(tasks)
    ran = {source: result for (source, _), result in zip(lessons, results, strict=True)}
    gen_rst.generate_file_rst = partial(_look_up, ran, gen_rst.generate_file_rst)


def _lessons(app: Sphinx) -> list[tuple[Path, Path]]:
    """List each script and the path of its copy, the last lesson first."""
    conf = app.config.sphinx_gallery_conf
    source, target = (Path(app.srcdir, conf[key]) for key in ("examples_dirs", "gallery_dirs"))
    found = []
    for part in get_subsections(app.srcdir, source, conf):
        (target / part / "images/thumb").mkdir(parents=True, exist_ok=True)
        found += [(file, target / part / file.name) for file in sorted(source.glob(f"{part}/*.py"))]
    return found[::-1]


def _is_stale(source: Path, target: Path, conf: dict[str, Any]) -> bool:
    """Return whether a lesson must run: sphinx-gallery keeps the digest of the script that ran."""
    note = target.with_name(f"{target.name}.md5")
    current = note.exists() and note.read_text() == get_md5sum(source, mode="t")
    return gen_rst.executable_script(source.resolve(), conf) and not current


def _seconds(lesson: tuple[Path, Path]) -> float:
    """Return how long the lesson took when it last ran; one that never ran may take long."""
    try:
        return json.loads(lesson[1].with_suffix(".cost.json").read_text())["time"]
    except (OSError, ValueError, KeyError):
        return math.inf


def _look_up(ran: dict[Path, Any], run: Any, name: str, target: Path, source: Path, conf: Any):
    """Replace `generate_file_rst`: return the result of a lesson that ran, or run it."""
    lesson = Path(source, name)
    return ran[lesson] if lesson in ran else run(name, target, source, conf)


def announce(app: Sphinx) -> None:
    """Announce that the pages of the lessons are written, unless one of them failed."""
    if not app.config.sphinx_gallery_conf["failing_examples"]:
        logger.info(READY)


def setup(app: Sphinx) -> None:
    """Run before and after sphinx-gallery, which has the priority 500."""
    app.connect("builder-inited", execute_lessons, priority=400)
    app.connect("builder-inited", announce, priority=600)
