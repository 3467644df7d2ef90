"""Read catalogs, refresh them from new templates, and find what is wrong with them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polib
from sphinx.environment import BuildEnvironment

from bilingual.languages import SOURCE

HEADER = {
    "Project-Id-Version": "torch-handbook",
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=UTF-8",
    "Content-Transfer-Encoding": "8bit",
    "Plural-Forms": "nplurals=1; plural=0;",
}

SHARED = (
    "sphinx.pot"  # words of our templates, listed there, and of Sphinx and the theme, which are not
)


def translations(env: BuildEnvironment, docname: str | None = None) -> dict[str, str]:
    """Return the translations of a page; the page being read depends on them from now on."""
    file = catalog_path(env, docname or env.current_document.docname)
    if env.config.language == SOURCE.code or not file.exists():
        return {}
    env.note_dependency(file)
    return read(file)


def catalog_path(env: BuildEnvironment, page: str) -> Path:
    """Return the path of a page's catalog in the language of the site."""
    language, folder = env.config.language, env.config.locale_dirs[0]
    return Path(env.srcdir, folder, language, "LC_MESSAGES", f"{page}.po")


def read(file: Path) -> dict[str, str]:
    """Return the finished translations of a catalog."""
    return _read(file, file.stat().st_mtime_ns)


@cache
def _read(file: Path, changed: int) -> dict[str, str]:
    return {entry.msgid: entry.msgstr for entry in polib.pofile(str(file)) if entry.translated()}


def refresh(template: Path, catalog: Path) -> list[str]:
    """Merge a template into a catalog, keep what is translated, and list what remains to do.

    A new message takes its translation from another catalog that has the same message. Messages
    that are dropped are listed with their translations, which may suit a reworded message.
    """
    old = polib.pofile(str(catalog)) if catalog.exists() else polib.POFile()
    existing = {entry.msgid: entry for entry in old if not entry.obsolete}
    other_catalogs = _translations_of_all_catalogs(catalog)
    new = polib.POFile(wrapwidth=100)
    new.metadata = {"Language": _folder(catalog).parent.name} | HEADER
    for entry in polib.pofile(str(template)):
        kept = existing.pop(entry.msgid, entry)
        new.append(
            polib.POEntry(
                msgid=entry.msgid,
                msgstr=kept.msgstr or other_catalogs.get(entry.msgid, ""),
                tcomment=kept.tcomment,
                flags=kept.flags,
            )
        )
    content = str(new).replace('#\nmsgid ""', 'msgid ""', 1)
    if not catalog.exists() or catalog.read_text("utf-8") != content:
        catalog.parent.mkdir(parents=True, exist_ok=True)
        catalog.write_text(content, "utf-8")
    dropped = [f"dropped: {entry.msgid}\n    {entry.msgstr}" for entry in existing.values()]
    return dropped + problems(template, catalog)


def _translations_of_all_catalogs(catalog: Path) -> dict[str, str]:
    """Collect the translations of all catalogs of a language, so that titles agree everywhere."""
    files = sorted(_folder(catalog).rglob("*.po"))
    return {message: text for file in files for message, text in read(file).items()}


def _folder(catalog: Path) -> Path:
    return next(parent for parent in catalog.parents if parent.name == "LC_MESSAGES")


def problems(template: Path, catalog: Path) -> list[str]:
    """List the messages of a catalog that are missing, untranslated, fuzzy or obsolete."""
    messages = {entry.msgid for entry in polib.pofile(str(template))}
    if not catalog.exists():
        return [f"{catalog}: missing"] if messages else []
    entries = {entry.msgid: entry for entry in polib.pofile(str(catalog))}
    found = [f"missing: {text}" for text in messages - set(entries)]
    for text, entry in entries.items():
        if template.name == SHARED and text not in messages:
            continue
        if text not in messages or entry.obsolete:
            found.append(f"obsolete: {text}")
        elif entry.fuzzy:
            found.append(f"fuzzy: {text}")
        elif not entry.msgstr:
            found.append(f"untranslated: {text}")
    return [f"{catalog}: {line}" for line in sorted(found)]


def compare(templates: Path, folder: Path) -> list[str]:
    """List the problems of all catalogs in a folder, and the catalogs that have no page."""
    found = []
    pages = {file.relative_to(templates).with_suffix("") for file in templates.rglob("*.pot")}
    for page in sorted(pages):
        found += problems(templates / f"{page}.pot", folder / f"{page}.po")
    for catalog in sorted(folder.rglob("*.po")):
        if catalog.relative_to(folder).with_suffix("") not in pages:
            found.append(f"{catalog}: obsolete: there is no such page")
    return found
