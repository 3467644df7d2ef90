"""Which lessons have to run: a note beside each page says what it was made from, and which files.

The note is removed before the files of a lesson are replaced, and written when they are complete.
So a build that is killed at any moment leaves either the old results, or none that are taken for
results.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from bilingual.project import Project

# Settings of sphinx-gallery that decide which pages there are, not what a lesson prints or draws.
PLACES = {
    "backreferences_dir",
    "doc_module",
    "examples_dirs",
    "filename_pattern",
    "gallery_dirs",
    "subsection_order",
    "within_subsection_order",
}
HERE = Path(__file__).parent
RUNS_LESSONS = ("lesson_process.py", "warnings_as_errors.py")


class Results:
    """The results of a project's lessons, with what all of them depend on."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.book = project.lessons / "book.json"

    @cached_property
    def _common(self) -> bytes:
        """A digest of what every lesson depends on: packages, versions and settings."""
        project, digest = self.project, hashlib.sha256(sys.version.encode())
        for name in project.says["bilingual_packages"]:
            for file in files_of_package(name):
                digest.update(f"{name} {file.parent.name}/{file.name}".encode() + file.read_bytes())
        for name in ("sphinx-gallery", *project.says["bilingual_distributions"]):
            digest.update(f"{name} {metadata.version(name)}".encode())
        settings = {key: value for key, value in project.gallery.items() if key not in PLACES}
        digest.update(json.dumps(settings, sort_keys=True, default=repr).encode())
        own = [HERE / name for name in RUNS_LESSONS]
        for file in (*own, *(project.docs / name for name in project.says["bilingual_run_files"])):
            digest.update(file.read_bytes())
        return digest.digest()

    def made_from(self, script: Path) -> str:
        """Return a digest of everything that decides what a lesson prints and draws."""
        return hashlib.sha256(self._common + script.read_bytes()).hexdigest()

    def is_fresh(self, script: Path) -> bool:
        """Return whether a lesson ran as it stands, and every file that it made is still there."""
        return _agrees(self.note(script), self.made_from(script), self.project.lessons)

    def note(self, script: Path) -> Path:
        """Return the path of a lesson's note."""
        return self.project.lessons / f"{self.project.name(script)}.ran.json"

    def adopt(self, script: Path, made: Path, made_from: str) -> None:
        """Replace the files of a lesson by those in a folder, which is laid out as the gallery."""
        note, lessons = self.note(script), self.project.lessons
        note.unlink(missing_ok=True)
        new = {file.relative_to(made) for file in made.rglob("*") if file.is_file()}
        for file in self.files(script):
            if file.relative_to(lessons) not in new:
                file.unlink()
        for name in new:
            (lessons / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(made / name, lessons / name)
        _write(note, made_from, lessons, [lessons / name for name in new])

    def files(self, script: Path) -> Iterator[Path]:
        """List the files of a lesson by their names, whatever made them."""
        folder = self.project.lessons / script.parent.name
        picture = re.compile(rf"sphx_glr_{re.escape(script.stem)}_(\d{{3}}(_\w+)?|thumb)\.\w+")
        for file in folder.rglob("*"):
            beside = file.parent == folder and file.name.startswith(f"{script.stem}.")
            if file.is_file() and (beside or picture.fullmatch(file.name)):
                yield file

    # The pages around the lessons

    def book_made_from(self, pattern: str | None) -> str:
        """Return a digest of what decides the pages of the gallery, and which lessons have run."""
        project, digest = self.project, hashlib.sha256(self._common)
        digest.update(json.dumps(project.gallery, sort_keys=True, default=repr).encode())
        digest.update(repr(pattern).encode() + (HERE / "gallery_pages.py").read_bytes())
        headers = sorted(project.examples.rglob("GALLERY_HEADER.rst"))
        for file in (*headers, *project.scripts):
            digest.update(f"{project.shown(file)}\0".encode() + file.read_bytes())
        return digest.hexdigest()

    def book_is_fresh(self, pattern: str | None) -> bool:
        """Return whether the pages of the gallery were written as conf.py and the scripts stand."""
        return _agrees(self.book, self.book_made_from(pattern), self.project.lessons)

    def write_book(self, pattern: str | None) -> None:
        """Note that the pages are written, after removing what belongs to no lesson and no page."""
        kept = self.remove_what_is_gone()
        notes = {self.note(script) for script in self.project.scripts}
        _write(self.book, self.book_made_from(pattern), self.project.lessons, [*{*kept} - notes])

    def remove_what_is_gone(self) -> list[Path]:
        """Remove the files of lessons and parts that there are no more, and list the others."""
        project = self.project
        lessons = {file for script in project.scripts for file in self.files(script)}
        parts = {script.parent.name for script in project.scripts}
        indices = [project.lessons / name / "index.rst" for name in ("", *parts)]
        pages = {*indices, *project.used.rglob("*")}
        for file in sorted(project.lessons.rglob("*"), reverse=True):  # folders after their files
            if file.is_file() and file not in lessons | pages:
                file.unlink()
            elif file.is_dir() and not any(file.iterdir()):
                file.rmdir()
        return [file for file in sorted(lessons | pages) if file.is_file()]

    def stale(self, pattern: str | None) -> list[Path]:
        """List the lessons that have to run, among those that a pattern selects."""
        return [
            script
            for script in self.project.scripts
            if is_selected(script, pattern) and not self.is_fresh(script)
        ]


def is_selected(script: Path, pattern: str | None) -> bool:
    """Return whether a lesson is to be run, as sphinx-gallery decides it."""
    return pattern is None or re.search(pattern, str(script)) is not None


def missing_results(project: Project, pattern: str) -> list[str]:
    """List the lessons that did not run as they stand, and the pages that are not written."""
    results = Results(project)
    stale = results.stale(pattern)
    found = [f"{project.shown(script)}:1: has not run; build with build.py" for script in stale]
    if not results.book_is_fresh(pattern):
        found.append(f"{project.shown(results.book)}: out of date; build with build.py")
    return found


def files_of_package(name: str) -> list[Path]:
    """List the files of a package without importing it."""
    spec = importlib.util.find_spec(name)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise ModuleNotFoundError(f"bilingual_packages: there is no package {name!r}")
    files = (file for folder in folders for file in Path(folder).rglob("*"))
    return sorted(file for file in files if file.is_file() and "__pycache__" not in file.parts)


def _agrees(note: Path, made_from: str, folder: Path) -> bool:
    """Return whether a note is complete, and agrees with what there is."""
    try:
        said: dict[str, Any] = json.loads(note.read_text("utf-8"))
        return said["made from"] == made_from and all(
            digest == _digest(folder / name) for name, digest in said["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _write(note: Path, made_from: str, folder: Path, files: Iterable[Path]) -> None:
    """Write a note, all of it or nothing."""
    made = {file.relative_to(folder).as_posix(): _digest(file) for file in sorted(files)}
    content = json.dumps({"made from": made_from, "files": made}, indent=1) + "\n"
    new = note.with_name(f"{note.name}.new")
    new.write_text(content, "utf-8")
    os.replace(new, note)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
