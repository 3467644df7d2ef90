"""What a page loads, as a server with gzip sends it, and that nothing moves while it loads."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from helpers.site_reader import BUILT, FOLDERS, PAGE_KINDS
from helpers.site_server import Compressing, serve
from helpers.site_survey import MOVES, PHONE, SHIFTS, VISITS
from playwright.sync_api import Browser

from course.order import ORDER, parts

pytestmark = pytest.mark.site
BOTH = pytest.mark.parametrize("folder", FOLDERS)
KB = 1000
TEXT_PAGE, LESSON_PAGE, ALL_CARDS = 150 * KB, 450 * KB, 800 * KB

ALL_LOADED = """[...document.images].filter((image) => image.checkVisibility())
    .every((image) => image.complete)"""


@pytest.fixture(scope="module")
def compressed() -> Iterator[str]:
    """Serve the site with gzip, and yield its address."""
    yield from serve(Compressing)


def weight(browser: Browser, site: str, address: str, scroll: bool) -> tuple[int, float]:
    """Return the bytes of a first visit, read to its end if `scroll`, and the layout shift."""
    phone = {"viewport": PHONE, "is_mobile": True, "has_touch": True} if scroll else {}
    context = browser.new_context(**(phone or {"viewport": {"width": 1280, "height": 900}}))
    page = context.new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(sum_of(request.sizes())))
    page.add_init_script(SHIFTS)
    page.goto(site + address, wait_until="load" if scroll else "networkidle")
    if scroll:
        height = page.evaluate("document.documentElement.scrollHeight")
        for place in range(0, height, 600):
            page.evaluate(f"scrollTo(0, {place})")
            page.wait_for_timeout(15)
        page.wait_for_function(ALL_LOADED)
    page.wait_for_timeout(50 if scroll else 200)
    shift = page.evaluate("window.shift")
    context.close()
    return sum(sizes), shift


def sum_of(sizes: dict[str, int]) -> int:
    """Add what a response brings."""
    return sizes["responseBodySize"] + sizes["responseHeadersSize"]


@BOTH
@pytest.mark.parametrize("kind", [kind for kind in PAGE_KINDS if "lesson" not in kind])
def test_a_page_of_text_is_light(browser: Browser, compressed: str, folder: str, kind: str) -> None:
    size, _ = weight(browser, compressed, f"{folder}/{PAGE_KINDS[kind]}", scroll=False)
    print(json.dumps({"page": f"{folder}/{PAGE_KINDS[kind]}", "bytes": size}))
    assert size <= TEXT_PAGE


@pytest.mark.parametrize("part", parts())
def test_the_page_of_a_part_is_light(browser: Browser, compressed: str, part: str) -> None:
    """A browser loads the cards somewhat below the screen, too: for most parts, all of them."""
    size, _ = weight(browser, compressed, f"en/lessons/{part}/index.html", scroll=False)
    print(json.dumps({"page": part, "bytes": size}))
    assert size <= TEXT_PAGE


def test_the_cards_of_all_lessons_are_light(browser: Browser, compressed: str) -> None:
    size, _ = weight(browser, compressed, "en/lessons/index.html", scroll=True)
    print(json.dumps({"page": "all lessons", "bytes": size}))
    assert size <= ALL_CARDS


@pytest.mark.parametrize("lesson", ORDER)
def test_a_lesson_is_light_with_all_its_figures(
    browser: Browser, compressed: str, lesson: str
) -> None:
    size, _ = weight(browser, compressed, f"en/lessons/{lesson}.html", scroll=True)
    print(json.dumps({"page": lesson, "bytes": size}))
    assert size <= LESSON_PAGE


@BOTH
@pytest.mark.parametrize("kind", PAGE_KINDS)
def test_nothing_moves_until_a_page_asks_for_nothing_more(
    browser: Browser, compressed: str, folder: str, kind: str
) -> None:
    shifts: list[float] = []
    while not shifts or (shifts[-1] > MOVES and len(shifts) < VISITS):  # as the survey does
        shifts.append(weight(browser, compressed, f"{folder}/{PAGE_KINDS[kind]}", scroll=False)[1])
    assert shifts[-1] <= MOVES, shifts


def test_no_icon_font_and_no_script_of_bootstrap_is_there() -> None:
    names = {file.name for file in BUILT.rglob("*")}
    assert not any(name.startswith(("fa-", "bootstrap", "fontawesome")) for name in names)
    assert not any(file.suffix == ".map" for file in BUILT.rglob("*.map"))
