"""axe-core finds no violation on any kind of page, in both languages, light and dark."""

from __future__ import annotations

from collections.abc import Callable

import axe
import pytest
from helpers.site_reader import FOLDERS, PAGE_KINDS, Reader

pytestmark = pytest.mark.site


@pytest.fixture(scope="session")
def script() -> str:
    """Return axe-core."""
    return axe.source()


def violations(page: object, script: str) -> list[str]:
    """Run axe-core, and return one line for each violation."""
    page.evaluate(script)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} · {node['failureSummary'].splitlines()[-1].strip()}"
        for one in found
        for node in one["nodes"][:3]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_no_violations(read: Callable[..., Reader], script: str, folder: str, theme: str) -> None:
    reader = read(folder, color_scheme=theme, reduced_motion="reduce")
    page = reader.context.new_page()
    found = {}
    for kind, address in PAGE_KINDS.items():
        reader.open(f"{folder}/{address}", page)
        page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
        found[kind] = violations(page, script)
    page.keyboard.press("Escape")
    reader.open(f"{folder}/{PAGE_KINDS['home']}", page)
    page.keyboard.press("Control+k")
    page.keyboard.type("torch")
    page.locator(".hb-search__link").first.wait_for()
    found["search dialog"] = violations(page, script)
    reader.open("404.html", page)
    found["404"] = violations(page, script)
    assert {kind: lines for kind, lines in found.items() if lines} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_violations_on_a_phone(read: Callable[..., Reader], script: str, folder: str) -> None:
    reader = read(folder, phone=True, reduced_motion="reduce")
    page = reader.open(f"{folder}/{PAGE_KINDS['lesson with formulas']}")
    assert violations(page, script) == []
    page.locator("button.primary-toggle").click()
    assert violations(page, script) == []
