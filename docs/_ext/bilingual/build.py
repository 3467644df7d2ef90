"""Build every language: the first one executes the lessons, the others reuse its results."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from bilingual import catalogs
from bilingual.execute import READY
from bilingual.languages import SOURCE, TRANSLATIONS, Language
from bilingual.sphinx_build import ROOT, print_line, run_sphinx

STRICT_OPTIONS = ("-n", "-W", "--keep-going")
NOTHING_RAN = "successfully executed 0 out of 0"


def build_sites(root: Path, *options: str, draft: bool = False) -> Path:
    """Build the project in `root`, and return the folder that holds the site of each language.

    The translations are built at the same time as the source, as soon as its lessons have run.
    Their logs are printed after its log.
    """
    html = root / "docs/_build/html"
    if not draft:
        options = (*options, *STRICT_OPTIONS)
    remove_stale_results(root)
    remove_draft(root, draft)
    runs: dict[Language, Future[str]] = {}
    logs: dict[Language, list[str]] = {language: [] for language in TRANSLATIONS}

    def follow(line: str) -> None:
        print_line(line)
        if READY in line and not runs:
            for language, log in logs.items():
                output = html / language.folder
                run = pool.submit(
                    _build_html, root, output, language.code, *options, echo=log.append
                )
                runs[language] = run

    with ThreadPoolExecutor() as pool:
        _build_html(root, html / SOURCE.folder, SOURCE.code, *options, echo=follow)
    for language, log in logs.items():
        print_line("".join(log))
        if NOTHING_RAN not in re.sub(r"\s+", " ", runs[language].result()):
            sys.exit(f"Building {language.name} executed lessons again.")
    return html


def remove_draft(root: Path, draft: bool) -> None:
    """Remove the doctrees of a draft, which may hold pages that had warnings."""
    drafted = root / "docs/_build/doctrees/draft"
    if drafted.exists() and not draft:
        shutil.rmtree(drafted.parent)
    if draft:
        drafted.parent.mkdir(parents=True, exist_ok=True)
        drafted.touch()


def check_catalogs(root: Path) -> list[str]:
    """Compare every catalog with a new template, without executing anything."""
    templates = root / "docs/_build/gettext"
    shutil.rmtree(templates, ignore_errors=True)
    run_sphinx(root, "gettext", templates, "-q", "-D", "plot_gallery=0")
    found = []
    for language in TRANSLATIONS:
        folder = root / "docs/locale" / language.code / "LC_MESSAGES"
        found += catalogs.compare(templates, folder)
    return found


def remove_stale_results(root: Path) -> None:
    """Remove the results of deleted lessons, and those of all lessons if the package changed.

    Sphinx-gallery itself notices only a change of the script.
    """
    examples, lessons = root / "examples", root / "docs/lessons"
    for folder in lessons.glob("*/"):
        if folder.name not in ("images", "used") and not (examples / folder.name).exists():
            shutil.rmtree(folder)
    for page in list(lessons.rglob("*.py")):
        if not (examples / page.relative_to(lessons)).exists():
            pictures = page.parent.rglob(f"sphx_glr_{page.stem}_*")
            name = page.relative_to(root / "docs").with_suffix("")
            built = (root / "docs/_build/html").glob(f"*/{name}.*")  # and as Markdown
            for file in [*page.parent.glob(f"{page.stem}.*"), *pictures, *built]:
                file.unlink()
    stamp, now = lessons / "package.sha256", _fingerprint(ROOT / "src")
    if not stamp.exists() or stamp.read_text() != now:
        for md5 in list(lessons.rglob("*.md5")):
            md5.unlink()
        lessons.mkdir(parents=True, exist_ok=True)
        stamp.write_text(now)


def _fingerprint(package: Path) -> str:
    """Return a digest of the package and of the versions of what the lessons import."""
    digest = hashlib.sha256()
    for file in sorted(file for file in package.rglob("*") if file.suffix != ".pyc"):
        if file.is_file():
            digest.update(str(file.relative_to(package)).encode() + file.read_bytes())
    for module in ("drawing", "dark_colours"):  # which save what the lessons draw
        digest.update((ROOT / f"docs/_ext/looks/{module}.py").read_bytes())
    for name in ("torch", "torchvision", "numpy", "matplotlib", "sphinx-gallery"):
        digest.update(metadata.version(name).encode())
    return digest.hexdigest()


def _build_html(
    root: Path, output: Path, language: str, *options: str, echo: Callable[[str], object]
) -> str:
    """Build one site and return the log.

    Sphinx's note on how the site was built (`.buildinfo`) depends on the paths of this machine, so
    it is kept outside of the site.
    """
    note, kept = output / ".buildinfo", root / f"docs/_build/doctrees/{language}.buildinfo"
    if kept.exists() and output.exists():
        kept.replace(note)
    log = run_sphinx(root, "html", output, *options, language=language, echo=echo)
    note.replace(kept)
    note.with_name(".buildinfo.bak").unlink(missing_ok=True)
    return log
