"""The files at the root of the site, and the links between translations."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import polib
import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from bilingual import sphinx_build
from bilingual.languages import Language
from bilingual.project import Project
from bilingual.requirements import wheel_name
from course.order import ORDER
from publishing import build_wheel, site_root, write_site_root, write_wheel

LANGUAGES = [Language("en", "en", "en", "English"), Language("zh_CN", "zh", "zh-CN", "中文")]
ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "docs/_templates"
TINY = ROOT / "tests/tinysite"


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
    write_site_root(
        html, LANGUAGES, "https://example.org/handbook"
    )  # nothing of this build may remain
    write_site_root(html, LANGUAGES)
    assert 'href="en/index.html"' in (html / "index.html").read_text("utf-8")
    assert 'href="zh/index.html"' in (html / "404.html").read_text("utf-8")
    assert not (html / "sitemap.xml").exists()
    assert not (html / "robots.txt").exists()


def test_with_an_address_the_sitemap_names_every_translation(html: Path) -> None:
    write_site_root(html, LANGUAGES, "https://example.org/handbook")
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
    write_site_root(html, LANGUAGES, "https://example.org/handbook")
    lines = (html / "llms.txt").read_text("utf-8").splitlines()
    assert lines[0].startswith("# ") and lines[2].startswith("> ")
    assert [line for line in lines if line.startswith("- ")] == [
        f"- [First](https://example.org/handbook/en/lessons/{ORDER[0]}.md)",
        f"- [第一课](https://example.org/handbook/zh/lessons/{ORDER[0]}.md)",
    ]


def test_an_address_is_escaped(html: Path) -> None:
    assert "&amp;" in site_root.sitemap("https://example.org/?a&b/", LANGUAGES, ["index.html"])


def test_writing_again_changes_nothing(html: Path) -> None:
    write_site_root(html, LANGUAGES, "https://example.org/")
    first = {path: path.read_bytes() for path in html.rglob("*") if path.is_file()}
    write_site_root(html, LANGUAGES, "https://example.org/")
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
        "bilingual_languages": LANGUAGES,
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


REPOSITORY = "https://github.com/anyone/book"


def page_links(root: Path, language: str) -> dict[str, dict[str, str]]:
    """Build the tiny site in one language, and return the links below the text of each page."""
    html = root / language
    project = Project(root / "docs")
    options = ("-D", "bilingual_lessons=text")
    sphinx_build.run_sphinx(project, "html", html, *options, language=language)
    found = {}
    for file in html.rglob("*.html"):
        page = BeautifulSoup(file.read_text("utf-8"), "html.parser")
        links = {link.get_text(): link["href"] for link in page.select(".hb-page-links a")}
        found[file.relative_to(html).with_suffix("").as_posix()] = links
        assert bool(links) == bool(page.select(".bd-footer-article")), "no empty frame"
    return found


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Copy the tiny site, and give it the theme and the frame of the handbook."""
    root = tmp_path / "site"
    shutil.copytree(TINY, root)
    conf = root / "docs/conf.py"
    with conf.open("a", encoding="utf-8") as file:
        file.write(
            'extensions += ["publishing", "search"]\n'
            'html_theme = "pydata_sphinx_theme"\n'
            f"templates_path = [{str(TEMPLATES)!r}]\n"
        )
    return root


def test_without_a_repository_there_are_no_links_to_it(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDBOOK_SITE_BRANCH", "gh-pages")
    monkeypatch.setenv("HANDBOOK_REPOSITORY", "")
    assert not any(page_links(tiny, "en").values())


def test_every_page_leads_to_its_source_in_the_repository(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDBOOK_REPOSITORY", f"{REPOSITORY}/")
    monkeypatch.setenv("HANDBOOK_SITE_BRANCH", "gh-pages")
    monkeypatch.setenv("HANDBOOK_BRANCH", "next")
    lesson = "lessons/part/01_first"
    english, chinese = (page_links(tiny, language) for language in ("en", "zh_CN"))
    edit, colab = f"{REPOSITORY}/edit/next", "https://colab.research.google.com/github/anyone/book"
    for links, folder, title in ((english, "en", "First of all"), (chinese, "zh", "首先")):
        words = list(links[lesson])
        assert len(words) == (3 if folder == "en" else 4)
        assert links[lesson][words[0]] == (
            f"{colab}/blob/gh-pages/{folder}/_downloads/part/01_first.ipynb"
        )
        assert links[lesson][words[1]] == f"{edit}/examples/part/01_first.py"
        asked = urlsplit(links[lesson][words[-1]])
        assert asked.path == "/anyone/book/issues/new"
        assert parse_qs(asked.query)["page"] == [f"{title} ({folder}/{lesson})"]
        (form,) = parse_qs(asked.query)["template"]
        fields = (ROOT / ".github/ISSUE_TEMPLATE" / form).read_text("utf-8")
        assert "id: page" in fields
        assert links["lessons/part/index"][words[1]].endswith("/examples/part/GALLERY_HEADER.rst")
        assert links["lessons/index"][words[1]].endswith("/examples/GALLERY_HEADER.rst")
        assert links["glossary"][words[1]] == f"{edit}/docs/glossary.md"
        assert words[0] not in links["glossary"], "it is no notebook"
        assert not links["search"]
    catalog = f"{edit}/docs/locale/zh_CN/LC_MESSAGES/{lesson}.po"
    assert list(chinese[lesson].values())[2] == catalog
    sources = {
        link.partition("/edit/next/")[2] for links in english.values() for link in links.values()
    }
    assert all((tiny / file).exists() for file in sources)


@pytest.mark.parametrize("setting", ["REPOSITORY", "SITE_BRANCH"])
def test_colab_opens_only_what_is_on_a_branch_on_github(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("HANDBOOK_REPOSITORY", REPOSITORY)
    monkeypatch.setenv("HANDBOOK_SITE_BRANCH", "gh-pages")
    monkeypatch.setenv(
        f"HANDBOOK_{setting}", {"REPOSITORY": "https://example.org/a/b"}.get(setting, "")
    )
    for links in page_links(tiny, "en").values():
        assert not any("colab" in link for link in links.values())


def test_a_page_links_to_the_wheel(tiny: Path) -> None:
    """Where a server lists no folders, nobody would find it otherwise."""
    (tiny / "docs/where.md").write_text("# Where\n\nIn {wheel}`torch-handbook`.\n", "utf-8")
    html = tiny / "en"
    sphinx_build.run_sphinx(Project(tiny / "docs"), "html", html, "-D", "bilingual_lessons=text")
    page = BeautifulSoup((html / "where.html").read_text("utf-8"), "html.parser")
    (link,) = page.select("article p a")
    wheel = wheel_name("torch-handbook")
    assert link["href"] == f"../downloads/{wheel}" and link.get_text() == wheel

    catalog = polib.pofile(str(ROOT / "docs/locale/zh_CN/LC_MESSAGES/install.po"))
    texts = [(entry.msgid, entry.msgstr) for entry in catalog if "{wheel}" in entry.msgid]
    assert len(texts) == 1 and all("{wheel}`torch-handbook`" in text for text in texts[0])


def test_the_wheel_can_be_installed_and_is_the_same_each_time(tmp_path: Path) -> None:
    one, two = (write_wheel(tmp_path / name, build_wheel()) for name in ("one", "two"))
    assert one.name == two.name and one.read_bytes() == two.read_bytes()
    assert one.parent.name == "downloads" and list(one.parent.iterdir()) == [one]
    with zipfile.ZipFile(one) as archive:
        names = archive.namelist()
        (meta,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        assert "handbook/__init__.py" in names and "handbook/data/mnist-10000.npz" in names
        version = one.name.split("-")[1]
        assert f"\nVersion: {version}\n" in archive.read(meta).decode()
