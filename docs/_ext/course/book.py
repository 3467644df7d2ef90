"""The lessons of a site, from its configuration."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sphinx.config import Config
from sphinx.environment import BuildEnvironment

from course.introductions import TABLE, Introductions


def lesson_of(config: Config, page: str) -> str | None:
    """Return the lesson that a page shows, by its name in the order of the book."""
    name = page.removeprefix(f"{config.sphinx_gallery_conf['gallery_dirs']}/")
    return name if name != page and name in config.course_order else None


def page_of(config: Config, lesson: str) -> str:
    """Return the page of a lesson or of a part."""
    return f"{config.sphinx_gallery_conf['gallery_dirs']}/{lesson}"


def introductions(env: BuildEnvironment) -> Introductions:
    """Return which lesson introduces which name; scripts are read again when they have changed."""
    folder = Path(env.srcdir, env.config.sphinx_gallery_conf["examples_dirs"])
    order, not_yet = tuple(env.config.course_order), tuple(env.config.course_not_yet)
    files = [folder / TABLE, *(folder / f"{name}.py" for name in order)]
    changed = tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
    return _introductions(folder, order, not_yet, changed)


@cache
def _introductions(
    folder: Path, order: tuple[str, ...], not_yet: tuple[str, ...], changed: tuple[int, ...]
) -> Introductions:
    return Introductions(folder, list(order), list(not_yet))
