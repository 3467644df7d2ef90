"""Keep the built sites true: nothing half-written, and nothing that no build writes any more."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from bilingual.languages import Language
from bilingual.project import Project
from bilingual.results import files_of_package
from bilingual.sphinx_build import doctrees


@contextmanager
def unfinished(project: Project, language: Language) -> Iterator[None]:
    """Note that a site is being written, and begin from nothing if the last build did not end.

    Sphinx itself compares times only: it does not notice that it was killed between reading a page
    and writing it.
    """
    kept = doctrees(project, "html", language.code)
    note = kept.with_suffix(".unfinished")
    if note.exists():
        shutil.rmtree(kept, ignore_errors=True)
        shutil.rmtree(project.html(language), ignore_errors=True)
        for compiled in project.catalogs(language).rglob("*.mo"):
            compiled.unlink()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
    yield
    note.unlink()


class Current:
    """Whether a site is what a build would make: then Sphinx need not start at all.

    What a build reads is noted as it was before the build, so that a change meanwhile is not lost.
    """

    def __init__(self, project: Project, language: Language, options: tuple[str, ...]) -> None:
        self.note = doctrees(project, "html", language.code).with_suffix(".current")
        self.site = project.html(language)
        self.read = repr(options) + _read_by_a_build(project, language)

    def __bool__(self) -> bool:
        """Compare all of it, and the files of the site, with the note."""
        try:
            return self.note.read_text("utf-8") == f"{self.read} {_signature([self.site])}"
        except OSError:
            return False

    def forget(self) -> None:
        """Remove the note before the site changes."""
        self.note.unlink(missing_ok=True)

    def remember(self) -> None:
        """Note that the site is complete."""
        self.note.write_text(f"{self.read} {_signature([self.site])}", "utf-8")


def _read_by_a_build(project: Project, language: Language) -> str:
    """Return a digest of everything from which a site is made."""
    others = {project.catalogs(each) for each in project.languages if each != language}
    above = project.docs.parent
    paths = [project.docs, project.examples, *sorted(above.glob("*.md"))]
    for name in project.says["bilingual_packages"]:
        paths += files_of_package(name)
    installed = [sorted(each.name for each in Path(at).glob("*.dist-info")) for at in sys.path]
    names = project.says["bilingual_reads_environment"]
    rest = repr((sys.version, installed, [os.environ.get(name) for name in names]))
    return _signature(paths, {project.build, *others}) + hashlib.sha256(rest.encode()).hexdigest()


def _signature(paths: list[Path], without: Collection[Path] = ()) -> str:
    """Return a digest of the names, sizes and times of files."""
    digest = hashlib.sha256()
    for path in paths:
        for file in _walk(path, without):
            stat = file.stat()
            digest.update(f"{file} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _walk(path: Path, without: Collection[Path]) -> Iterator[Path]:
    """List the files below a path, or the path itself, without what Python and Sphinx compile."""
    if path.is_file():
        yield path
    for folder, folders, files in os.walk(path):
        here = Path(folder)
        folders[:] = sorted(
            name for name in folders if name != "__pycache__" and here / name not in without
        )
        yield from (here / name for name in sorted(files) if not name.endswith(".mo"))


def remove_what_is_gone(project: Project, language: Language) -> None:
    """Remove a site if a file is gone from which it was made.

    Sphinx leaves the pages, pictures and downloads of a deleted page. Without the folder it writes
    all pages again, from what it has read before.
    """
    note = doctrees(project, "html", language.code).with_suffix(".sources.json")
    now = sorted(_sources(project))
    try:
        before = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError):
        before = None
    if before is None or set(before) - set(now):
        shutil.rmtree(project.html(language), ignore_errors=True)
    if before != now:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(now, indent=0), "utf-8")


def _sources(project: Project) -> Iterator[str]:
    """List the files that can have a trace in a site.

    What is built is not looked at: the build of another language may be removing it.
    """
    for file in _walk(project.docs, {project.build, project.used}):
        if file.suffix not in (".pyc", ".new"):
            yield file.relative_to(project.docs).as_posix()


def remove_other_languages(project: Project) -> None:
    """Remove the sites of languages that conf.py does not name any more."""
    folders = {language.folder for language in project.languages}
    for site in Path(project.build, "html").glob("*/"):
        if site.name not in folders:
            shutil.rmtree(site)


def remove_draft(project: Project, draft: bool) -> None:
    """Remove the doctrees of a draft, which may hold pages that had warnings."""
    drafted = project.build / "doctrees/draft"
    if drafted.exists() and not draft:
        shutil.rmtree(drafted.parent)
    if draft:
        drafted.parent.mkdir(parents=True, exist_ok=True)
        drafted.touch()
