"""What lies around the built sites, on two tiny ones."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from publishing import search, site_root, write_site_root

TEMPLATES = Path(__file__).parents[1] / "docs/_templates"

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
def html(tmp_path: Path) -> Path:
    """Make two sites of two pages each."""
    for folder in ("en", "zh"):
        for name in ("index", "search", "lessons/one"):
            path = tmp_path / folder / f"{name}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(PAGE, "utf-8")
    return tmp_path


def test_an_article_is_cut_at_its_headings_and_terms() -> None:
    article = BeautifulSoup(PAGE, "html.parser").article
    assert article is not None
    assert search.sections(article) == [
        ("top", "A title", "About nn.Conv2d and x^2. 张量和梯度。"),
        ("deep", "Deeper", "x = 1"),
        ("term-a", "a", "Both."),
        ("term-b", "b", "Both."),
        ("handbook.fit", "handbook.fit", "handbook.fit(model) Train."),
        ("handbook.fit.m", "handbook.fit.m", "m() Inner."),
    ]


def test_the_index_is_a_script_that_holds_only_articles(html: Path) -> None:
    search.write_index(html / "zh")
    script = (html / "zh/search-data.js").read_text("utf-8")
    pages = json.loads(script.removeprefix("window.handbookIndex=").rstrip().removesuffix(";"))
    assert [url for url, _, _ in pages] == ["lessons/one.html"]
    assert not re.search("Menu|Licence|Script|#", script)


def test_only_pages_that_changed_are_read_again(html: Path, monkeypatch) -> None:
    site = html / "zh"
    index = site / "search-data.js"
    (site / "lessons/two.html").write_text(PAGE.replace("A title", "Two"), "utf-8")
    search.write_index(site)
    whole = index.read_text("utf-8")
    read = []
    sections = search.sections
    monkeypatch.setattr(search, "sections", lambda tag: read.append(1) or sections(tag))
    search.write_index(site)
    assert not read and index.read_text("utf-8") == whole
    later = index.stat().st_mtime_ns + 1_000_000
    page = site / "lessons/one.html"
    page.write_text(PAGE.replace("A title", "Another"), "utf-8")
    os.utime(page, ns=(later, later))
    search.write_index(site)
    assert len(read) == 1
    assert index.read_text("utf-8") == whole.replace('"A title"', '"Another"')


def test_the_index_forgets_pages_that_are_gone(html: Path) -> None:
    site = html / "zh"
    search.write_index(site)
    (site / "lessons/one.html").unlink()
    search.write_index(site)
    assert (site / "search-data.js").read_text() == "window.handbookIndex=[\n\n];\n"


def test_an_index_that_was_written_by_half_is_made_anew(html: Path) -> None:
    site = html / "zh"
    index = site / "search-data.js"
    search.write_index(site)
    whole = index.read_text("utf-8")
    index.write_text(whole[:-20], "utf-8")
    search.write_index(site)
    assert index.read_text("utf-8") == whole


def test_without_an_address_links_are_relative_and_there_is_no_sitemap(html: Path) -> None:
    write_site_root(html, "https://example.org/handbook")  # an earlier build leaves nothing behind
    write_site_root(html)
    assert 'href="en/index.html"' in (html / "index.html").read_text("utf-8")
    assert 'href="zh/index.html"' in (html / "404.html").read_text("utf-8")
    assert not (html / "sitemap.xml").exists()
    assert not (html / "robots.txt").exists()


def test_with_an_address_the_sitemap_names_every_translation(html: Path) -> None:
    write_site_root(html, "https://example.org/handbook")
    assert 'href="https://example.org/handbook/zh/index.html"' in (html / "404.html").read_text()
    assert "Sitemap: https://example.org/handbook/sitemap.xml" in (html / "robots.txt").read_text()
    root = ElementTree.parse(html / "sitemap.xml").getroot()
    urls = [loc.text for loc in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert urls == [
        f"https://example.org/handbook/{folder}/{page}.html"
        for page in ("index", "lessons/one")
        for folder in ("en", "zh")
    ]
    alternates = {link.get("hreflang") for link in root[0] if link.get("rel") == "alternate"}
    assert alternates == {"en", "zh-CN"}


def test_an_address_is_escaped(html: Path) -> None:
    assert "&amp;" in site_root.sitemap("https://example.org/?a&b/", ["index.html"])


def test_twice_is_the_same(html: Path) -> None:
    write_site_root(html, "https://example.org/")
    first = {path: path.read_bytes() for path in html.rglob("*") if path.is_file()}
    write_site_root(html, "https://example.org/")
    assert first == {path: path.read_bytes() for path in html.rglob("*") if path.is_file()}


@pytest.mark.parametrize("address", ["", "https://example.org/handbook/"])
def test_a_page_names_its_translations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HANDBOOK_BASE_URL", address)
    (tmp_path / "index.rst").write_text("Title\n=====\n\n.. toctree::\n\n   part/page\n")
    (tmp_path / "part").mkdir()
    (tmp_path / "part/page.rst").write_text("Page\n====\n\nText.\n")
    settings = {
        "extensions": ["publishing"],
        "html_theme": "pydata_sphinx_theme",
        "html_theme_options.navbar_persistent": "language-switch",
        "html_context.folder": "en",
        "templates_path": [str(TEMPLATES)],
    }
    build = tmp_path / "en"
    Sphinx(tmp_path, None, build, build / "doctrees", "html", settings, status=None).build()
    page = BeautifulSoup((build / "part/page.html").read_text("utf-8"), "html.parser")

    base = address or "../../"
    alternates = {link["hreflang"]: link["href"] for link in page.select("link[rel=alternate]")}
    assert alternates == {
        "en": f"{base}en/part/page.html",
        "zh-CN": f"{base}zh/part/page.html",
        "x-default": f"{base}en/part/page.html",
    }
    canonical = [link["href"] for link in page.select("link[rel=canonical]")]
    assert canonical == ([f"{base}en/part/page.html"] if address else [])
    assert page.select_one(".hb-language")["href"] == "../../zh/part/page.html"
    assert not (build / "searchindex.js").exists()
    assert "part/page.html" in (build / "search-data.js").read_text("utf-8")
