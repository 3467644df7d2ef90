"""Build every language: the lessons run first, in a step of their own, then no build runs any."""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bilingual import catalogs, locks, sites
from bilingual.languages import Language
from bilingual.project import Project
from bilingual.results import Results, missing_results
from bilingual.sphinx_build import copy_project, print_line, run_sphinx, run_step

STRICT_OPTIONS = ("-n", "-W", "--keep-going")
WAITS = "Another build is at work in this tree; this one begins when that one has ended."


def build_sites(
    docs: Path, *, only: str | None = None, draft: bool = False, references_first: bool = True
) -> Path:
    """Build the project whose conf.py is in `docs`; return the folder with a site per language.

    `only` is a pattern: of the lessons that have to run, those run whose path matches. References
    that lead nowhere are found before the lessons run, unless `references_first` is false: then by
    the build of the pages, as in a second build of a tree that is known to be right. All
    languages are built at the same time. The log of the first one is printed at once, the others
    when they are complete.
    """
    project = Project(docs)
    with locks.lock(project.build / "lock", wait=lambda: print(WAITS, flush=True)):
        sites.remove_draft(project, draft)
        sites.remove_other_languages(project)
        write_lessons(project, only, references_first=references_first and not draft)
        options = [] if draft else [*STRICT_OPTIONS]
        if only:
            options += ["-D", f"sphinx_gallery_conf.filename_pattern={only}"]
        build_languages(project, *options)
    return project.build / "html"


def write_lessons(
    project: Project, only: str | None = None, *, references_first: bool = True
) -> None:
    """Run the lessons that have to, and write their pages, unless all of it is there."""
    pattern = only or project.gallery["filename_pattern"]
    if not missing_results(project, pattern):
        return
    check_scripts(project)
    if references_first:
        with templates(project, *STRICT_OPTIONS):
            pass  # a reference that leads nowhere costs seconds
    code, _log = run_step(project, "bilingual.execute", str(project.docs), *filter(None, [only]))
    if code:
        sys.exit("Running the lessons failed: see above.")


def check_scripts(project: Project) -> None:
    """Refuse scripts that sphinx-gallery cannot read, all of them at once."""
    found = []
    for script in project.scripts:
        try:
            text = script.read_text("utf-8")
            ast.parse(text)
        except UnicodeDecodeError as error:
            line = script.read_bytes()[: error.start].count(b"\n") + 1
            found.append(f"{project.shown(script)}:{line}: not UTF-8; save the script as UTF-8")
        except SyntaxError as error:
            found.append(f"{project.shown(script)}:{error.lineno}: {error.msg}; correct the code")
        else:
            if not (ast.get_docstring(ast.parse(text)) or "").strip():
                found.append(f"{project.shown(script)}:1: no docstring; begin with the title")
        if " " in f"{script.parent.name}{script.name}":
            found.append(f"{project.shown(script)}:1: a space in its name; use _ instead")
    if found:
        sys.exit("\n".join(found))


def build_languages(project: Project, *options: str) -> None:
    """Build all languages at once, and report all that went wrong before giving up."""
    source, *translations = project.languages
    logs: dict[Language, list[str]] = {language: [] for language in translations}
    failed: list[str] = []

    def build(language: Language, echo: Callable[[str], object]) -> None:
        try:
            build_html(project, language, *options, echo=echo)
        except SystemExit as error:
            failed.append(str(error))

    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(build, language, log.append) for language, log in logs.items()]
        build(source, print_line)
    for run, log in zip(runs, logs.values(), strict=True):
        print_line("".join(log))
        run.result()  # raises what went wrong in our own code
    if failed:
        sys.exit("\n".join(failed))


def build_html(
    project: Project, language: Language, *options: str, echo: Callable[[str], object] = print_line
) -> str:
    """Build one site and return the log.

    Sphinx's note on how the site was built (`.buildinfo`) depends on the paths of this machine, so
    it is kept outside of the site.
    """
    current = sites.Current(project, language, options)
    if current:
        echo(f"{language.name}: nothing has changed.\n")
        return ""
    current.forget()
    output = project.html(language)
    note = output / ".buildinfo"
    kept = project.build / f"doctrees/{language.code}.buildinfo"
    with sites.unfinished(project, language):
        sites.remove_what_is_gone(project, language)
        if kept.exists() and output.exists():
            kept.replace(note)
        checked = ["-D", "bilingual_lessons=checked"]  # by `write_lessons`, which comes first
        log = run_sphinx(
            project, "html", output, *checked, *options, language=language.code, echo=echo
        )
        note.replace(kept)
        note.with_name(".buildinfo.bak").unlink(missing_ok=True)
    current.remember()
    return log


@contextmanager
def templates(project: Project, *options: str) -> Iterator[Path]:
    """Write new templates of all catalogs into a folder, to be read here; nothing is executed.

    With `STRICT_OPTIONS` this finds every reference that leads nowhere. The work is done in a copy
    of the project below _build, which keeps the pages that it has read. No other build writes the
    templates while they are read.
    """
    # Pages that were read without these options may hold faults that were passed over.
    copy = project.build / ("check" if set(STRICT_OPTIONS) <= set(options) else "templates")
    unfinished = copy.with_suffix(".unfinished")
    with locks.lock(project.build / "check.lock", wait=lambda: print(WAITS, flush=True)):
        if unfinished.exists():  # it was killed, perhaps between reading a fault and failing for it
            shutil.rmtree(copy, ignore_errors=True)
        unfinished.touch()
        copied = Project(copy_project(project, copy))
        Results(copied).remove_what_is_gone()
        folder = copy / "templates"
        shutil.rmtree(folder, ignore_errors=True)
        text = ["-q", "-D", "bilingual_lessons=text"]
        run_sphinx(copied, "gettext", folder, *text, *options)
        unfinished.unlink()
        yield folder


def check_catalogs(project: Project) -> list[str]:
    """Compare every catalog with a new template."""
    found = []
    with templates(project, *STRICT_OPTIONS) as folder:
        for language in project.languages[1:]:
            found += catalogs.compare(folder, project.catalogs(language))
    return found
