"""The search index: what it holds of a page, and when a page is read again."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from search import index as search_index

PAGE = """<html><body><nav>Menu</nav><article>
<section id="top"><h1>A title<a class="headerlink" href="#">#</a></h1>
<p>About <code><span>nn</span>.<span>Conv2d</span></code> and \\(x^2\\).</p>
<p>张量和<em>梯度</em>。</p>
<section id="deep"><h2>Deeper</h2><pre><span>x</span> = 1
</pre><div class="sphx-glr-footer">Script</div></section>
<dl class="glossary"><dt id="term-a">a</dt><dt id="term-b">b</dt><dd><p>Both.</p></dd></dl>
<dl class="py function"><dt class="sig" id="handbook.fit">handbook.fit(<em>model</em>)</dt>
<dd><p>Train.</p>
<dl class="py method"><dt class="sig" id="handbook.fit.m">m()</dt><dd>Inner.</dd></dl></dd></dl>
</section></article><footer>Licence</footer></body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Make the site of one language, with one page that the index holds."""
    for name in ("index", "search", "lessons/one"):
        path = tmp_path / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGE, "utf-8")
    return tmp_path


def test_an_article_is_cut_at_its_headings_and_terms() -> None:
    article = BeautifulSoup(PAGE, "html.parser").article
    assert article is not None
    assert search_index.split_sections(article) == [
        ("top", "A title", "About nn.Conv2d and x^2. 张量和梯度。"),
        ("deep", "Deeper", "x = 1"),
        ("term-a", "a", "Both."),
        ("term-b", "b", "Both."),
        ("handbook.fit", "handbook.fit", "handbook.fit(model) Train."),
        ("handbook.fit.m", "handbook.fit.m", "m() Inner."),
    ]


def test_the_index_is_a_script_that_holds_only_articles(site: Path) -> None:
    search_index.write_index(site)
    script = (site / "search-data.js").read_text("utf-8")
    pages = json.loads(script.removeprefix("window.handbookIndex=").rstrip().removesuffix(";"))
    assert [url for url, _, _ in pages] == ["lessons/one.html"]
    assert not re.search("Menu|Licence|Script|#", script)


def test_only_changed_pages_are_read_again(site: Path, monkeypatch) -> None:
    index = site / "search-data.js"
    (site / "lessons/two.html").write_text(PAGE.replace("A title", "Two"), "utf-8")
    search_index.write_index(site)
    whole = index.read_text("utf-8")
    read = []
    split = search_index.split_sections
    monkeypatch.setattr(search_index, "split_sections", lambda tag: read.append(1) or split(tag))
    search_index.write_index(site)
    assert not read and index.read_text("utf-8") == whole
    later = index.stat().st_mtime_ns + 1_000_000
    page = site / "lessons/one.html"
    page.write_text(PAGE.replace("A title", "Another"), "utf-8")
    os.utime(page, ns=(later, later))
    search_index.write_index(site)
    assert len(read) == 1
    assert index.read_text("utf-8") == whole.replace('"A title"', '"Another"')


def test_the_index_forgets_deleted_pages(site: Path) -> None:
    search_index.write_index(site)
    (site / "lessons/one.html").unlink()
    search_index.write_index(site)
    assert (site / "search-data.js").read_text() == "window.handbookIndex=[\n\n];\n"


def test_a_truncated_index_is_written_again(site: Path) -> None:
    index = site / "search-data.js"
    search_index.write_index(site)
    whole = index.read_text("utf-8")
    index.write_text(whole[:-20], "utf-8")
    search_index.write_index(site)
    assert index.read_text("utf-8") == whole
