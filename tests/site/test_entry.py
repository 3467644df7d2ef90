"""The ways into the site: the root, a missing address, and a file opened without a server."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from helpers.site_reader import BUILT, PAGE_KINDS, Reader

pytestmark = pytest.mark.site
Read = Callable[..., Reader]


@pytest.mark.parametrize("folder", ["en", "zh"])
def test_the_root_opens_in_the_readers_language(read: Read, folder: str) -> None:
    page = read(folder).open("index.html")
    page.wait_for_url(f"**/some/where/{folder}/index.html")


def test_the_root_remembers_the_language_chosen(read: Read) -> None:
    reader = read("en")
    page = reader.open("en/index.html")
    page.locator(".hb-language:visible").click()
    page.wait_for_url("**/zh/index.html")
    reader.open("", page)
    page.wait_for_url("**/zh/index.html")


def test_the_root_has_plain_links(read: Read) -> None:
    reader = read("zh", java_script_enabled=False)
    page = reader.context.new_page()
    page.goto((BUILT / "index.html").as_uri())
    page.get_by_role("link", name="中文").click()
    page.wait_for_url("**/zh/index.html")
    reader.faults.clear()  # the scripts, which are not loaded


@pytest.mark.parametrize("missing", ["zh/lessons/none.html", "en/x/y/z.html", "none.html"])
def test_a_missing_page_says_so_and_leads_home(read: Read, missing: str) -> None:
    reader = read("zh")
    page = reader.open(missing)
    assert "没有这个页面" in page.content() and "no such page" in page.content()
    folder = "zh" if missing.startswith("zh") else "en"
    page.locator(f"a[data-page='{folder}/index.html']").click()
    page.wait_for_url(f"**/some/where/{folder}/index.html")
    assert [line.split(":")[0] for line in reader.faults] == ["404"]
    reader.faults.clear()


def test_every_kind_of_page_works_without_a_server(read: Read) -> None:
    reader = read("zh")
    page = reader.context.new_page()
    for address in PAGE_KINDS.values():
        reader.open((BUILT / "zh" / address).as_uri(), page)
        assert page.locator("h1").first.is_visible()
    reader.open((BUILT / "index.html").as_uri(), page)
    page.wait_for_url("**/zh/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("张量")
    page.locator(".hb-search__link[href*='01_create']").click()
    page.wait_for_url("**/zh/lessons/tensors/01_create.html*")


class Links(HTMLParser):
    """Collects the links of a page to files of the site."""

    def __init__(self) -> None:
        """Start without links."""
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep relative links."""
        for name, value in attrs:
            if name in ("href", "src") and value and ":" not in value and value[0] != "#":
                self.found.add(value.split("#")[0].split("?")[0])


def test_every_link_leads_to_a_file() -> None:
    broken = []
    for page in sorted(set(BUILT.rglob("*.html")) - set(BUILT.glob("*/_static/*"))):
        links = Links()
        links.feed(page.read_text("utf-8"))
        broken += [
            f"{page}: {link}" for link in sorted(links.found) if not (page.parent / link).exists()
        ]
    assert broken == []
