"""The pages of the gallery: sphinx-gallery writes them, and it executes nothing.

A lesson that ran is left as it is. Of the others, the page has the text and the code alone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx_gallery import gen_gallery, utils
from sphinx_gallery.gen_gallery import generate_gallery_rst

from bilingual.project import Project


def write(app: Sphinx, project: Project) -> None:
    """Write the pages, and keep the time of those that did not change."""
    before = project.build / "used"  # the lists of lessons by the names that they use
    shutil.rmtree(before, ignore_errors=True)
    if project.used.exists():
        before.parent.mkdir(parents=True, exist_ok=True)
        project.used.rename(before)
    app.config.sphinx_gallery_conf["plot_gallery"] = False
    generate_gallery_rst(app)
    for new in sorted(project.used.rglob("*")):
        old = before / new.relative_to(project.used)
        if old.is_file() and new.is_file() and old.read_bytes() == new.read_bytes():
            old.replace(new)
    shutil.rmtree(before, ignore_errors=True)


def take_over(app: Sphinx) -> None:
    """Take sphinx-gallery out of the builds: its pages are written in a step of their own."""
    app.setup_extension("sphinx_gallery.gen_gallery")
    for listener in list(app.events.listeners["builder-inited"]):
        if listener.handler is generate_gallery_rst:
            app.disconnect(listener.id)
    # It would import Matplotlib, which takes a second, and no build draws anything.
    gen_gallery._import_matplotlib = lambda: None
    # It warns of a space anywhere in the path of a script, even above the project.
    utils.check_spaces_in_filenames = _check_spaces_in_names


def _check_spaces_in_names(files: list[str]) -> None:
    """Look only at what the project decides: the names of a lesson and of its part."""
    for file in map(Path, files):
        if " " in f"{file.parent.name}{file.name}":
            gen_gallery.logger.warning(
                "%s: no spaces in the name of a lesson, or in its part", file
            )
