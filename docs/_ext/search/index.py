"""The search index of a language: what its articles say, cut at their headings.

It is one script, `search-data.js`, which `static/search.js` loads when a reader first searches. It
is a script rather than JSON because a page opened from the file system may load scripts and nothing
else. The text is kept whole, since results quote it; `static/search-engine.js` cuts it into words.
Of Python code, the names and the comments are kept, and of output the lines that say something.
"""

import json
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from search.plain_text import plain_text, strip_formulas, take_names
from search.same_words import traditional_characters

# Pages of links to other pages: their text would only repeat what those pages say.
EXCLUDED_PAGES = {
    "index.html",
    "lessons/index.html",
    "where.html",
    "search.html",
    "genindex.html",
    "py-modindex.html",
}
# What stands in an article without being its text: lists of other pages, buttons, downloads, and
# the code that checks or draws.
EXCLUDED_ELEMENTS = (
    ".headerlink, .toctree-wrapper, .sd-card, .viewcode-link, div.math, script, style,"
    " .sphx-glr-thumbnails, .sphx-glr-footer, .sphx-glr-download-link-note,"
    " .sphx-glr-timing, .sphx-glr-signature, .lesson-head, details.check,"
    " details.drawing"
)
BLOCKS = ["p", "pre", "li", "dt", "dd", "td", "th", "div", "h1", "h2", "h3", "h4", "summary"]
HEADING = re.compile("^h[1-6]$")
PREFIX, SUFFIX = "window.handbookIndex=[\n", "\n];\n"
WORDS = "window.handbookWords="

ARTICLE = re.compile(r"<article\b.*</article>", re.DOTALL)

Section = tuple[str, str, str, str]  # anchor, heading, text, names


def write_index(
    site: Path, synonyms: Sequence[Sequence[str]] = (), aside: Sequence[str] = ()
) -> None:
    """Write the index of the site of one language into its folder; read only changed pages.

    `synonyms` are groups of words, in any language, that mean the same. `aside` are pages that
    touch on everything: where both match, the page that explains it comes first.
    """
    index, pages = site / "search-data.js", find_pages(site)
    before = _read_rows(index)
    rows = {
        url: row
        for url, row in before.items()
        if url in pages and _mtime(pages[url]) < _mtime(index)
    }
    changed = {url: path for url, path in pages.items() if url not in rows}
    for row in read_pages(changed):
        rows[row[0]] = _to_json(row)
    lines = ",\n".join(rows[url] for url in pages if url in rows)
    words = _to_json(synonyms)
    characters = traditional_characters(lines + words)
    pages_aside = _to_json([f"{page}.html" for page in aside])
    explains = (before and _explained_before(index)) or read_explained(site)
    words = (
        f'{{"synonyms":{words},"traditional":"{characters}","aside":{pages_aside},'
        f'"explains":{_to_json(explains)}}}'
    )
    index.write_text(f"{PREFIX}{lines}{SUFFIX}{WORDS}{words};\n", "utf-8")


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _read_rows(index: Path) -> dict[str, str]:
    """Return each page's row as it was written.

    There are none if the index is incomplete, or older than this module.
    """
    if not index.exists() or _mtime(index) < _mtime(Path(__file__)):
        return {}
    text = index.read_text("utf-8")
    if not (text.startswith(PREFIX) and SUFFIX in text and text.endswith("};\n")):
        return {}
    lines = text.removeprefix(PREFIX).partition(SUFFIX)[0].split(",\n")
    address = json.JSONDecoder().raw_decode
    return {address(line, 1)[0]: line for line in lines if line}


def _explained_before(index: Path) -> dict[str, list[str]]:
    """Return what `read_explained` found for the index, if the pages that say it are older."""
    pages = explaining(index.parent)
    if not pages or any(_mtime(page) >= _mtime(index) for page in pages):
        return {}
    words = index.read_text("utf-8").rpartition(WORDS)[2]
    return dict(json.loads(words.removesuffix(";\n"))["explains"])


def find_pages(site: Path) -> dict[str, Path]:
    """Return the pages of a site by their addresses."""
    found = {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*.html"))}
    return {url: path for url, path in found.items() if url[0] != "_"}


def explaining(site: Path) -> list[Path]:
    """Return the pages that list which names are explained where."""
    pages = sorted(site.glob("*.html"))
    return [page for page in pages if 'class="where-explained' in page.read_text("utf-8")]


def read_explained(site: Path) -> dict[str, list[str]]:
    """Return the names that each page explains, as the lists of "Where is it explained?" say."""
    found: dict[str, list[str]] = {}
    for page in explaining(site):
        article = _article(page.read_text("utf-8"))
        for item in article.select("ul.where-explained > li") if article else []:
            name, link = item.find("code"), item.find("a", href=True)
            if isinstance(name, Tag) and isinstance(link, Tag):
                url = posixpath.normpath(str(link["href"]).partition("#")[0])
                found.setdefault(url, []).append(plain_text(name))
    return dict(sorted(found.items()))


def _article(page: str) -> Tag | None:
    """Read what a page says itself, without the menus around it, which are longer."""
    cut = ARTICLE.search(page)
    return BeautifulSoup(cut[0], "html.parser").article if cut else None


def _mtime(file: Path) -> int:
    return file.stat().st_mtime_ns


def read_pages(pages: dict[str, Path]) -> Iterator[tuple[str, str, list[Section]]]:
    """Yield the address, title and sections of each page that has an article."""
    for url, path in pages.items():
        if url in EXCLUDED_PAGES:
            continue
        article = _article(path.read_text("utf-8"))
        if article and (sections := split_sections(article)):
            yield url, sections[0][1], sections


def split_sections(article: Tag) -> list[Section]:
    """Cut an article at its headings, glossary terms and API entries."""
    for element in article.select(EXCLUDED_ELEMENTS):
        element.extract()
    strip_formulas(article)
    for block in article.find_all(BLOCKS):
        block.insert_before("\n")
    sections = []
    # The innermost section comes first and is taken out, so that no text is found twice.
    for part in reversed(article.select("section, dl.glossary > dt, dl.py > dt[id]")):
        if part.name == "section":
            heading = part.find(HEADING)
            title = plain_text(heading.extract()) if isinstance(heading, Tag) else ""
            body = part.extract()
        else:
            body = part.find_next_sibling("dd")  # which several terms may share
            title = plain_text(part)
            if "sig" in part.get("class", []):  # the call is text, its name the heading
                body.insert(0, part.extract(), "\n")
                title = str(part["id"])
        for entries in body.select("dl.glossary, dl.py"):
            entries.extract()
        names = take_names(body)
        sections.append((str(part.get("id", "")), title, plain_text(body), names))
    return sections[::-1]
