"""The search index: the plain text of every article, cut at its headings.

It is one script, `search-data.js`, which `_static/search.js` loads when a reader first searches. A
script, and not JSON, since a page opened from the file system may load scripts and nothing else.
The text is whole, not cut into words: Chinese has no spaces to cut at, and identifiers such as
`nn.Conv2d` are found as they are written.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup, SoupStrainer, Tag

ALWAYS_NEW = {"search.html", "genindex.html", "py-modindex.html"}
SKIP = ALWAYS_NEW | {"index.html", "lessons/index.html"}
# What stands in an article without being its text: lists of other pages, buttons, downloads.
FURNITURE = (
    ".headerlink, .toctree-wrapper, .sd-card, .viewcode-link, div.math, script, style,"
    " .sphx-glr-thumbnails, .sphx-glr-footer, .sphx-glr-download-link-note,"
    " .sphx-glr-timing, .sphx-glr-signature"
)
BLOCKS = ["p", "pre", "li", "dt", "dd", "td", "th", "div", "h1", "h2", "h3", "h4", "summary"]
HEADING = re.compile("^h[1-6]$")
HEAD, TAIL = "window.handbookIndex=[\n", "\n];\n"

ARTICLE = SoupStrainer("article")

Section = tuple[str, str, str]  # anchor, heading, text


def write_index(site: Path) -> None:
    """Write the index of the site of one language into its folder; read only pages that changed."""
    index, found = site / "search-data.js", pages(site)
    rows = {
        url: row
        for url, row in _rows(index).items()
        if url in found and _changed(found[url]) < _changed(index)
    }
    new = records({url: path for url, path in found.items() if url not in rows})
    rows |= {row[0]: json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in new}
    lines = ",\n".join(rows[url] for url in found if url in rows)
    index.write_text(f"{HEAD}{lines}{TAIL}", "utf-8")


def _rows(index: Path) -> dict[str, str]:
    """Read the row of each page as it was written; none if this module changed since, or half."""
    if not index.exists() or _changed(index) < _changed(Path(__file__)):
        return {}
    text = index.read_text("utf-8")
    if not (text.startswith(HEAD) and text.endswith(TAIL)):
        return {}
    lines = text.removeprefix(HEAD).removesuffix(TAIL).split(",\n")
    return {json.loads(line)[0]: line for line in lines if line}


def pages(site: Path) -> dict[str, Path]:
    """Find the pages of a site by their address."""
    found = {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*.html"))}
    return {url: path for url, path in found.items() if url[0] != "_"}


def _changed(file: Path) -> int:
    return file.stat().st_mtime_ns


def records(found: dict[str, Path]) -> Iterator[tuple[str, str, list[Section]]]:
    """Yield address, title and sections of each page that has an article."""
    for url, path in found.items():
        if url in SKIP:
            continue
        article = BeautifulSoup(path.read_text("utf-8"), "html.parser", parse_only=ARTICLE).article
        if isinstance(article, Tag) and (cut := sections(article)):
            yield url, cut[0][1], cut


def sections(article: Tag) -> list[Section]:
    """Cut an article at its headings, glossary terms and API entries."""
    for extra in article.select(FURNITURE):
        extra.extract()
    for block in article.find_all(BLOCKS):
        block.insert_before("\n")
    found = []
    # The innermost comes first and is taken out, so that no text is found twice.
    for part in reversed(article.select("section, dl.glossary > dt, dl.py > dt[id]")):
        if part.name == "section":
            heading = part.find(HEADING)
            title = plain(heading.extract()) if isinstance(heading, Tag) else ""
            body = part.extract()
        else:
            body = part.find_next_sibling("dd")  # which several terms may share
            title = plain(part)
            if "sig" in part.get("class", []):  # the call is text, its name the heading
                body.insert(0, part.extract(), "\n")
                title = str(part["id"])
        for entries in body.select("dl.glossary, dl.py"):
            entries.extract()
        found.append((str(part.get("id", "")), title, plain(body)))
    return found[::-1]


def plain(tag: Tag) -> str:
    """Return the text of an element on one line, without the marks around formulas."""
    return " ".join(re.sub(r"\\[()]", "", tag.get_text()).split())
