"""One style sheet for all pages, which holds no rule that no page uses.

The theme, its icons, cards and galleries bring half a megabyte of styles; a tenth of it applies to
some element. What is kept follows from the pages and scripts alone, so it is the same in every
build.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

STYLE = "style.css"
# The theme loads these by its own templates; ours (layout.html) loads the one style sheet instead.
THEME = ("basic.css", "styles/pydata-sphinx-theme.css")
# Scripts for what this site does not have: Sphinx's own search, tabs, tags of lessons.
UNUSED_SCRIPTS = {
    "doctools.js",
    "translations.js",
    "sphinx_highlight.js",
}  # the second needs the first
UNUSED_SCRIPTS |= {"design-tabs.js", "sg-tags.js"}
# What the theme brings and no page loads. It would also hide which styles are needed.
UNUSED_FILES = ("vendor", "webpack-macros.html", "scripts/*.map", "scripts/bootstrap.*")
UNUSED_FILES += ("scripts/fontawesome.*", "styles/*.map")
# The icons are ours (static/looks.css), so the font of the theme's is not needed: neither its rules
# nor, in other rules, its name.
ICON_RULE = re.compile(r"\.fa\b|\.fa-")
ICON_FONT = re.compile(r"font:\s*var\(--fa-[^)]*\);?")

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
NAMES = re.compile(r"[.#](-?[A-Za-z_][\w-]*)")
ATTRIBUTE = re.compile(r"""\b(?:class|id)\s*=\s*("[^"]*"|'[^']*')""")
ARGUMENTS = re.compile(r"\([^()]*\)|\[[^\]]*\]")  # of :is(), :not(); one of them may apply


def drop_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Leave the scripts out of a page that nothing on it uses."""
    context["script_files"] = [
        script
        for script in context["script_files"]
        if str(getattr(script, "filename", script)).rpartition("/")[2] not in UNUSED_SCRIPTS
    ]


def write_style(app: Sphinx, exception: Exception | None) -> None:
    """Write the style sheet of a site once all its pages are written."""
    if exception or app.builder.name != "html" or app.config.html_theme == "basic":
        return
    site = Path(app.outdir)
    for pattern in UNUSED_FILES:
        for path in (site / "_static").glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    pages, scripts = sorted(site.rglob("*.html")), sorted((site / "_static").rglob("*.js"))
    used = used_names(pages, scripts, Path(app.doctreedir) / "used-names.json")
    sheets = [*THEME, *(str(sheet.filename) for sheet in app.builder._css_files)]
    files = [site / "_static" / sheet.removeprefix("_static/") for sheet in sheets]
    texts = [file.read_text("utf-8") for file in dict.fromkeys(files) if file.suffix == ".css"]
    texts[1] = without_icons(texts[1])
    style = "".join(slim(COMMENT.sub("", text), used) for text in texts)
    (site / "_static" / STYLE).write_text(style, "utf-8")


def without_icons(css: str) -> str:
    """Return the theme's style sheet without the rules of its icon font.

    Examples
    --------
    >>> without_icons(".fa-bars { --fa: 'x' } a { top: 0; font: var(--fa-font-solid) }")
    'a{top: 0; }'
    """
    kept = [
        f"{head}{{{body}}}"
        for head, body in _blocks(COMMENT.sub("", css))
        if body
        and not ICON_RULE.search(head)
        and not body.startswith("--fa-")
        and not (head == "@font-face" and "Font Awesome" in body)
    ]
    return ICON_FONT.sub("", "".join(kept))


def used_names(
    pages: Iterable[Path], scripts: Iterable[Path], kept: Path | None = None
) -> set[str]:
    """Return the classes and ids on the pages, and every word of the scripts, which may add one.

    `kept` is a file with the names of each page as it was last read: only changed ones are read.
    """
    written = Path(__file__).stat().st_mtime_ns  # names found by other code do not count
    before = json.loads(kept.read_text("utf-8")) if kept and kept.exists() else {}
    before = before if before.pop("", None) == written else {}
    now = {}
    for page in pages:
        changed, names = before.get(str(page), (0, []))
        if changed != page.stat().st_mtime_ns:
            changed, names = page.stat().st_mtime_ns, sorted(_names_on(page.read_text("utf-8")))
        now[str(page)] = (changed, names)
    if kept:
        kept.write_text(json.dumps({"": written} | now), "utf-8")
    used = {name for _changed, names in now.values() for name in names}
    for script in scripts:
        used.update(re.findall(r"[\w-]+", script.read_text("utf-8")))
    return used


def _names_on(html: str) -> set[str]:
    used: set[str] = set()
    for value in ATTRIBUTE.findall(html):
        used.update(value[1:-1].split())
    for script in re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL):
        used.update(re.findall(r"[\w-]+", script))
    return used


def slim(css: str, used: set[str]) -> str:
    """Return the rules of a style sheet that can apply, without needless white space.

    Examples
    --------
    >>> css = "a, .b > #c { color: red } @media print { .b { top: 0 } } .d:not(.b) { top: 1px }"
    >>> slim(css, {"d"})
    'a{color:red}.d:not(.b){top:1px}'
    """
    found = []
    for head, body in _blocks(css):
        if body is None:
            continue  # an @import or @charset
        if head.startswith(("@media", "@supports", "@layer", "@container")):
            body = slim(body, used)
        elif head.startswith("@"):
            body = _squeeze(body)
        else:
            selectors = [part.strip() for part in _split(head)]
            head = ",".join(part for part in selectors if _applies(part, used))
            body = _squeeze(body)
        if head and body:
            found.append(f"{_squeeze(head)}{{{body}}}")
    return "".join(found)


def _blocks(css: str) -> Iterator[tuple[str, str | None]]:
    """Yield each rule as what stands before and inside its braces; a statement has no inside."""
    start = depth = 0
    head = ""
    for token in re.finditer(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]""", css):
        match token[0]:
            case "{":
                if not depth:
                    head, start = css[start : token.start()].strip(), token.end()
                depth += 1
            case "}":
                depth -= 1
                if not depth:
                    yield head, css[start : token.start()].strip()
                    start = token.end()
            case ";" if not depth:
                yield css[start : token.start()].strip(), None
                start = token.end()


def _split(selectors: str) -> list[str]:
    """Split at the commas that are not inside of parentheses."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(selectors):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append(selectors[start:i])
            start = i + 1
    return [*parts, selectors[start:]]


def _applies(selector: str, used: set[str]) -> bool:
    while (shorter := ARGUMENTS.sub("", selector)) != selector:
        selector = shorter
    return all(name in used for name in NAMES.findall(selector))


def _squeeze(css: str) -> str:
    """Remove white space that means nothing; in strings, it is kept."""
    pieces = re.split(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|url\([^)]*\))""", css)
    pieces[::2] = [
        re.sub(r"\s*([{};,>]|:(?=\s))\s*", r"\1", re.sub(r"\s+", " ", piece))
        for piece in pieces[::2]
    ]
    return "".join(pieces).strip().removesuffix(";")


def setup(app: Sphinx) -> None:
    """Register the handlers."""
    app.connect("html-page-context", drop_scripts, priority=900)  # after all have added theirs
    app.connect("build-finished", write_style, priority=900)  # after the theme's colours of code
