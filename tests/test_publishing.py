"""The files at the root of the site, and the links between translations."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from course.order import ORDER
from publishing import site_root, write_site_root

TEMPLATES = Path(__file__).parents[1] / "docs/_templates"


@pytest.fixture
def html(tmp_path: Path) -> Path:
    """Write the sites of two languages."""
    for folder in ("en", "zh"):
        for name in ("index", "search", "lessons/one"):
            path = tmp_path / folder / f"{name}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("<h1>A title</h1>", "utf-8")
    return tmp_path


def test_without_an_address_links_are_relative_and_there_is_no_sitemap(html: Path) -> None:
    write_site_root(html, "https://example.org/handbook")  # nothing of this build may remain
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


def test_llms_txt_lists_the_lessons_as_markdown(html: Path) -> None:
    for folder, title in (("en", "First"), ("zh", "第一课")):
        page = html / folder / f"lessons/{ORDER[0]}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"# {title}\n\nText.\n", "utf-8")
    write_site_root(html, "https://example.org/handbook")
    lines = (html / "llms.txt").read_text("utf-8").splitlines()
    assert lines[0].startswith("# ") and lines[2].startswith("> ")
    assert [line for line in lines if line.startswith("- ")] == [
        f"- [First](https://example.org/handbook/en/lessons/{ORDER[0]}.md)",
        f"- [第一课](https://example.org/handbook/zh/lessons/{ORDER[0]}.md)",
    ]


def test_an_address_is_escaped(html: Path) -> None:
    assert "&amp;" in site_root.sitemap("https://example.org/?a&b/", ["index.html"])


def test_writing_again_changes_nothing(html: Path) -> None:
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
        "extensions": ["publishing", "search"],
        "html_theme": "pydata_sphinx_theme",
        "html_theme_options.navbar_persistent": "language-switch",
        "html_context.folder": "en",
        "templates_path": [str(TEMPLATES)],
    }
    build = tmp_path / "en"
    with docutils_namespace():  # what one application registers would make the next one warn
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
