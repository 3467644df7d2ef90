"""The lessons of a site, from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

from course.introductions import TABLE, Introductions

CODE = sorted(Path(__file__).parent.glob("*.py"))
Found = TypeVar("Found")
Names = tuple[str, ...]
Scripts = tuple[Path, Names, Names, tuple[int, ...]]


def lesson_of(config: Config, page: str) -> str | None:
    """Return the lesson that a page shows, by its name in the order of the book."""
    name = page.removeprefix(f"{config.sphinx_gallery_conf['gallery_dirs']}/")
    return name if name != page and name in config.course_order else None


def page_of(config: Config, lesson: str) -> str:
    """Return the page of a lesson or of a part."""
    return f"{config.sphinx_gallery_conf['gallery_dirs']}/{lesson}"


def introductions(env: BuildEnvironment) -> Introductions:
    """Return which lesson introduces which name; scripts are read again when they have changed."""
    return _introductions(*_scripts(env))


def known(env: BuildEnvironment, what: str, compute: Callable[[], Found]) -> Found:
    """Return something that follows from the scripts alone.

    It is kept with the pages that Sphinx has read, so that a build in which no script has changed
    reads none of them.
    """
    scripts = _scripts(env)
    kept = getattr(env, "course_known", {})
    if kept.get("scripts") != scripts:
        kept = env.course_known = {"scripts": scripts}
    if what not in kept:
        kept[what] = compute()
    return kept[what]


def _scripts(env: BuildEnvironment) -> Scripts:
    """Return the folder of the lessons, their order, and when they and this code were changed."""
    folder = Path(env.srcdir, env.config.sphinx_gallery_conf["examples_dirs"])
    return _seen(folder, tuple(env.config.course_order), tuple(env.config.course_not_yet))


@cache
def _seen(folder: Path, order: Names, not_yet: Names) -> Scripts:
    """Look at the files once in a build: each page asks for them, and most of them twice."""
    files = [folder / TABLE, *(folder / f"{name}.py" for name in order), *CODE]
    changed = tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
    return folder, order, not_yet, changed


@cache
def _introductions(
    folder: Path, order: Names, not_yet: Names, changed: tuple[int, ...]
) -> Introductions:
    return Introductions(folder, list(order), list(not_yet))


def setup(app: Sphinx) -> None:
    """Look at the files again in each build."""
    app.connect("builder-inited", lambda app: _seen.cache_clear())
