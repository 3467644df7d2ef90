"""Read catalogs, refresh them from new templates, and find what is wrong with them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import polib
from babel.messages.plurals import get_plural

from bilingual.languages import is_source

if TYPE_CHECKING:
    from sphinx.environment import BuildEnvironment

SHARED = (
    "sphinx.pot"  # words of our templates, listed there, and of Sphinx and the theme, which are not
)


def translations(env: BuildEnvironment, docname: str | None = None) -> dict[str, str]:
    """Return the translations of a page; the page being read depends on them from now on."""
    file = catalog_path(env, docname or env.current_document.docname)
    if is_source(env.config) or not file.exists():
        return {}
    env.note_dependency(file)
    return read(file)


def catalog_path(env: BuildEnvironment, page: str) -> Path:
    """Return the path of a page's catalog in the language of the site."""
    language, folder = env.config.language, env.config.locale_dirs[0]
    return Path(env.srcdir, folder, language, "LC_MESSAGES", f"{page}.po")


def read(file: Path) -> dict[str, str]:
    """Return the finished translations of a catalog, of which there are none if it is missing."""
    return _read(file, file.stat().st_mtime_ns) if file.exists() else {}


@cache
def _read(file: Path, changed: int) -> dict[str, str]:
    return {entry.msgid: entry.msgstr for entry in entries(file) if entry.translated()}


def entries(file: Path) -> list[polib.POEntry]:
    """Return the messages of a catalog; one that cannot be read has none (see `unreadable`)."""
    try:
        return list(polib.pofile(str(file), encoding="utf-8")) if file.exists() else []
    except (OSError, ValueError):
        return []


def refresh_all(templates: Path, folder: Path, project: str, pages: list[str]) -> list[str]:
    """Refresh the catalogs of these pages, or of all, and list what remains to do.

    A message that moved to another page takes its translation along.
    """
    known = {
        entry.msgid: entry.msgstr
        for file in sorted(folder.rglob("*.po"))
        for entry in entries(file)
        if entry.translated() and not entry.obsolete
    }
    written = {
        template.relative_to(templates).with_suffix("").as_posix(): template
        for template in sorted(templates.rglob("*.pot"))
    }
    found = [f"{page}: there is no such page" for page in pages if page not in written]
    dropped, kept = {}, set()
    for page, template in written.items():
        kept |= {entry.msgid for entry in polib.pofile(str(template))}
        if template.name != SHARED and (not pages or page in pages):
            catalog = folder / f"{page}.po"
            if faults := unreadable(catalog):
                found += faults
                continue
            dropped |= refresh(template, catalog, known, project)
            found += problems(template, catalog)
    found += [
        f"dropped: {message}\n    {text}"
        for message, text in dropped.items()
        if message not in kept
    ]
    return found if pages else found + orphans(templates, folder)


def refresh(
    template: Path, catalog: Path, known: dict[str, str], project: str = ""
) -> dict[str, str]:
    """Merge a template into a catalog, and return the translations that have no message any more.

    What is translated is kept, and a new message is translated as it is known from elsewhere. The
    file is left alone if nothing changes.
    """
    old = polib.pofile(str(catalog)) if catalog.exists() else polib.POFile()
    existing = {entry.msgid: entry for entry in old if not entry.obsolete}
    new = polib.POFile(wrapwidth=100)
    new.metadata = old.metadata or header(_folder(catalog).parent.name, project)
    for entry in polib.pofile(str(template)):
        kept = existing.pop(entry.msgid, entry)
        new.append(
            polib.POEntry(
                msgid=entry.msgid,
                msgstr=kept.msgstr or known.get(entry.msgid, ""),
                tcomment=kept.tcomment,
                flags=kept.flags,
            )
        )
    content = str(new).replace('#\nmsgid ""', 'msgid ""', 1)
    if not catalog.exists() or catalog.read_text("utf-8") != content:
        catalog.parent.mkdir(parents=True, exist_ok=True)
        catalog.write_text(content, "utf-8")
    return {entry.msgid: entry.msgstr for entry in existing.values() if entry.msgstr}


def header(language: str, project: str) -> dict[str, str]:
    """Return the header of a new catalog: without a date, so that a refresh changes nothing."""
    return {
        "Project-Id-Version": project,
        "Language": language,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": get_plural(language).plural_forms,
    }


def _folder(catalog: Path) -> Path:
    return next(parent for parent in catalog.parents if parent.name == "LC_MESSAGES")


def problems(template: Path, catalog: Path) -> list[str]:
    """List the messages of a catalog that are missing, untranslated, fuzzy or obsolete."""
    messages = {entry.msgid for entry in polib.pofile(str(template))}
    if not catalog.exists():
        return [f"{catalog}: missing"] if messages else []
    there = {entry.msgid: entry for entry in entries(catalog)}
    found = [f"missing: {text}" for text in messages - set(there)]
    for text, entry in there.items():
        if template.name == SHARED and text not in messages:
            continue
        if text not in messages or entry.obsolete:
            found.append(f"obsolete: {text}")
        elif entry.fuzzy:
            found.append(f"fuzzy: {text}")
        elif not entry.msgstr:
            found.append(f"untranslated: {text}")
    return [f"{catalog}: {line}" for line in sorted(found)]


def unreadable(catalog: Path) -> list[str]:
    """List what is wrong in a catalog itself: its syntax, or a message that stands twice."""
    try:
        found_here = polib.pofile(str(catalog), encoding="utf-8") if catalog.exists() else []
    except (OSError, ValueError) as error:  # polib says the line, or Python that it is not UTF-8
        return [f"{catalog}:1: {error}; fix the catalog"]
    first: dict[tuple[str | None, str], int] = {}
    found = []
    for entry in found_here:
        key = (entry.msgctxt, entry.msgid)
        if not entry.obsolete and first.setdefault(key, entry.linenum) != entry.linenum:
            line = f"{catalog}:{entry.linenum}: it stands in line {first[key]}, too; keep one"
            found.append(f"{line}: {entry.msgid}")
    return found


def compare(templates: Path, folder: Path) -> list[str]:
    """List the problems of all catalogs in a folder, and the catalogs that have no page."""
    found = []
    for template in sorted(templates.rglob("*.pot")):
        catalog = folder / template.relative_to(templates).with_suffix(".po")
        found += unreadable(catalog) or problems(template, catalog)
    return found + orphans(templates, folder)


def orphans(templates: Path, folder: Path) -> list[str]:
    """List the catalogs that have no page."""
    return [
        f"{catalog}: obsolete: there is no such page"
        for catalog in sorted(folder.rglob("*.po"))
        if not (templates / catalog.relative_to(folder)).with_suffix(".pot").exists()
    ]
