"""Write the files at the root: they lead readers to a language, and programs to all pages."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from bilingual.languages import Language
from course.order import ORDER

UNLISTED = {"search.html", "genindex.html", "py-modindex.html"}
HERE = Path(__file__).parent


def write_site_root(html_dir: Path, languages: list[Language], base_url: str | None = None) -> None:
    """Complete the built sites in `html_dir`, which holds one folder per language."""
    base = f"{base_url.rstrip('/')}/" if base_url else ""
    for name in ("index.html", "404.html"):
        page = Template((HERE / name).read_text("utf-8"))
        (html_dir / name).write_text(page.substitute(base=escape(base)), "utf-8")
    (html_dir / ".nojekyll").touch()  # hosts that run Jekyll drop folders such as _static
    (html_dir / "llms.txt").write_text(llms(base, languages, html_dir), "utf-8")
    for name in ("sitemap.xml", "robots.txt"):  # of an earlier build for another address
        (html_dir / name).unlink(missing_ok=True)
    if base:
        (html_dir / "sitemap.xml").write_text(
            sitemap(base, languages, pages(html_dir, languages)), "utf-8"
        )
        (html_dir / "robots.txt").write_text(robots(base), "utf-8")


def pages(html_dir: Path, languages: list[Language]) -> list[str]:
    """Return the pages that every language has, relative to its folder."""
    each = (
        {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
        for site in (html_dir / language.folder for language in languages)
    )
    common = set.intersection(*each)
    return sorted(page for page in common - UNLISTED if not page.startswith("_"))


def llms(base: str, languages: list[Language], html_dir: Path) -> str:
    """Return a list of the lessons as Markdown, in the form that llms.txt has."""
    lines = [
        "# PyTorch Handbook · PyTorch 手册",
        "",
        "> A bilingual PyTorch course in which everything ran: each lesson asks one question and"
        " answers it with code and its output. The same lessons in English and Chinese.",
    ]
    for language in languages:
        site = html_dir / language.folder
        lines += ["", f"## {language.name}", ""]
        for lesson in ORDER:
            file = site / f"lessons/{lesson}.md"
            if file.exists():
                title = file.read_text("utf-8").partition("\n")[0].removeprefix("# ")
                lines.append(f"- [{title}]({base}{language.folder}/lessons/{lesson}.md)")
    return "\n".join([*lines, ""])


def sitemap(base: str, languages: list[Language], pages: Iterable[str]) -> str:
    """Return a sitemap in which each page names its translations."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"',
        '        xmlns:xhtml="http://www.w3.org/1999/xhtml">',
    ]
    for page in pages:
        urls = {each.tag: escape(f"{base}{each.folder}/{page}") for each in languages}
        links = "".join(
            f'<xhtml:link rel="alternate" hreflang="{tag}" href="{url}"/>'
            for tag, url in urls.items()
        )
        lines += [f"<url><loc>{url}</loc>{links}</url>" for url in urls.values()]
    return "\n".join([*lines, "</urlset>", ""])


def robots(base: str) -> str:
    """Return a robots.txt that allows everything and names the sitemap."""
    return f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n"
