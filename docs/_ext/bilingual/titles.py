"""Titles and addresses of pages, for readers of a downloaded file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sphinx.environment import BuildEnvironment

from bilingual import catalogs, scripts


def page_title(env: BuildEnvironment, page: str) -> str:
    """Return the translated title of a page without markup; Sphinx may not have read it yet."""
    script, prose = (Path(env.srcdir, page + suffix) for suffix in (".py", ".md"))
    if script.exists():
        text = _title(script, script.stat().st_mtime_ns)
    elif prose.exists():
        rows = prose.read_text("utf-8").splitlines()
        text = next(row for row in rows if row.startswith("# ")).removeprefix("# ")
    else:
        return page.replace("_", " ")  # Sphinx itself warns about the link
    return catalogs.translations(env, page).get(text, text).replace("``", "")


def page_address(env: BuildEnvironment, page: str) -> str:
    """Return the address of a page in the language of the site, or nothing if it has none."""
    context = env.config.html_context
    if not context.get("base_url"):
        return ""
    return f"{context['base_url']}/{context['folder']}/{page}.html"


@cache
def _title(script: Path, changed: int) -> str:
    """Split a script only once, however many pages link to it."""
    return scripts.title(script)
