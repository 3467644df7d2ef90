"""The search finds the right pages, in both languages, by keyboard and on a phone."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.site_reader import Reader
from helpers.site_survey import MOVES, SHIFTS
from playwright.sync_api import Page

pytestmark = pytest.mark.site
Read = Callable[..., Reader]

CREATE = "lessons/tensors/01_create.html"
CUSTOM = "lessons/autograd/07_custom_function.html"
LOOP = "lessons/networks/07_training_loop.html"
MNIST = "lessons/practice/03_mnist.html"

# What learners type, with the pages that answer it: error messages, names, synonyms, typing
# errors, questions. No query has a rule of its own in the search.
QUERIES = Path(__file__).with_name("queries.csv")
FIRST, FIRST_THREE = 0.80, 0.95  # of the queries find their page there


def address(page: str) -> str:
    """Return the address of a page named in the list."""
    is_lesson = "/" in page and not page.startswith("api/")
    return f"lessons/{page}.html" if is_lesson else f"{page}.html"


def open_search(read: Read, folder: str, address: str = "index.html") -> Page:
    """Open the dialog on a page, and wait until the index is there."""
    page = read(folder).open(f"{folder}/{address}")
    page.keyboard.press("Control+k")
    page.wait_for_function("window.handbookEngine")
    return page


@pytest.mark.parametrize("folder", ["en", "zh"])
def test_the_right_page_is_among_the_first_three(read: Read, folder: str) -> None:
    with QUERIES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["language"] == folder]
    found = open_search(read, folder).evaluate(
        "queries => queries.map((query) => handbookEngine.search(query).results"
        ".slice(0, 4).map((result) => result.section.url))",
        [row["query"] for row in rows],
    )
    ranks = []
    for row, urls in zip(rows, found, strict=True):
        wanted = [address(page) for page in row["pages"].split() if page != "glossary"]
        urls = [url for url in urls if url != "glossary.html"][:3]  # it has a line on everything
        ranks.append(next((i for i, url in enumerate(urls) if url in wanted), None))
        if ranks[-1] != 0:
            print(row["kind"], row["query"], urls)
    assert len(rows) >= 60
    assert sum(rank == 0 for rank in ranks) >= FIRST * len(rows)
    assert sum(rank is not None for rank in ranks) >= FIRST_THREE * len(rows)


@pytest.mark.parametrize(("folder", "query"), [("en", "how do I"), ("zh", "zzzz"), ("en", "zzzz")])
def test_what_no_page_has_is_found_nowhere(read: Read, folder: str, query: str) -> None:
    page = open_search(read, folder, LOOP)
    page.locator("input[type=search]:visible").fill(query)
    status = page.locator(".hb-search__status:visible")
    status.filter(has_text="Nothing found" if folder == "en" else "没有找到").wait_for()
    page.locator(".hb-search__elsewhere a:visible").click()
    page.wait_for_url(f"**/{folder}/index.html")


def test_what_is_spelled_too_badly_has_neighbours(read: Read) -> None:
    page = open_search(read, "en")
    page.locator("input[type=search]:visible").fill("brodcstng")
    page.get_by_text("These come closest").wait_for()
    headings = page.locator(".hb-search__link:visible").all_inner_texts()
    assert any("broadcasting" in heading.lower() for heading in headings)


@pytest.mark.parametrize(
    ("folder", "query", "name"), [("en", "过拟合", "overfitting"), ("zh", "暂退法", "dropout")]
)
def test_a_page_found_by_another_name_says_so(
    read: Read, folder: str, query: str, name: str
) -> None:
    page = open_search(read, folder)
    page.locator("input[type=search]:visible").fill(query)
    page.locator(".hb-search__link:visible").first.wait_for()
    assert name in page.locator(".hb-search__status:visible").inner_text()


@pytest.mark.parametrize("folder", ["en", "zh"])
def test_formulas_in_excerpts_are_read_not_source(read: Read, folder: str) -> None:
    page = open_search(read, folder)
    page.locator("input[type=search]:visible").fill("Jacobian")
    page.locator(".hb-search__excerpt:visible").first.wait_for()
    texts = page.evaluate(
        "handbookIndex.flatMap((page) => page[2].map((section) => section[2])).join(' ')"
    )
    assert not any(command in texts for command in (r"\frac", r"\partial", r"\theta", r"\("))


def test_by_keyboard(read: Read) -> None:
    page = read("zh").open(f"zh/{MNIST}")
    page.keyboard.press("/")
    page.keyboard.type("torch.empty")
    page.locator(".hb-search__link mark").first.wait_for()
    page.keyboard.press("ArrowDown")
    first = page.locator(".hb-search__link").first
    assert first.evaluate("e => e === document.activeElement")
    target = first.evaluate("e => e.href")  # which page is right, queries.csv says
    assert MNIST not in target
    page.keyboard.press("ArrowUp")
    assert page.locator("input[type=search]:visible").evaluate("e => e === document.activeElement")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(target)
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    assert not page.locator(".hb-search").is_visible()


def test_enter_lists_all_results_and_the_switch_keeps_the_query(read: Read) -> None:
    page = open_search(read, "en")
    page.locator("input[type=search]:visible").fill("loss function")
    page.keyboard.press("Enter")
    page.wait_for_url("**/en/search.html?q=loss*")
    page.locator(".hb-search__link").nth(12).wait_for()  # more than the dialog shows
    page.locator("[data-language=zh]:visible").first.click()
    page.wait_for_url("**/zh/search.html?q=loss*")
    page.locator(".hb-search__link").first.wait_for()
    assert page.locator("input[type=search]").input_value() == "loss function"


@pytest.mark.parametrize("phone", [False, True])
def test_nothing_moves_when_the_results_come(read: Read, phone: bool) -> None:
    reader = read("en", phone=phone)
    reader.context.add_init_script(SHIFTS)
    page = reader.open("en/search.html?q=dropout")
    page.locator(".hb-search__link").nth(3).wait_for()
    page.wait_for_timeout(200)
    assert page.evaluate("window.shift") <= MOVES, page.evaluate("window.moved")


def test_nothing_is_loaded_before_the_first_search(read: Read) -> None:
    reader = read("en")
    page = reader.context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    reader.open("en/index.html", page)
    late = {"search-data.js", "minisearch.min.js", "search-engine.js"}
    assert not late & {name.partition("?")[0] for name in asked}
    page.keyboard.press("Control+k")
    page.wait_for_function("window.handbookEngine")
    assert late <= {name.partition("?")[0] for name in asked}


def test_on_a_phone(read: Read) -> None:
    page = read("zh", phone=True).open(f"zh/{LOOP}")
    page.locator(".hb-search-open:visible").tap()
    page.locator("input[type=search]:visible").fill("张量")
    page.locator(".hb-search__link").first.tap()
    page.wait_for_url("**/zh/**")
    assert "张量" in page.locator("article").inner_text()


@pytest.mark.parametrize(("folder", "none"), [("en", "Nothing found"), ("zh", "没有找到")])
def test_the_search_page(read: Read, folder: str, none: str) -> None:
    reader = read(folder)
    page = reader.open(f"{folder}/search.html?q=torch.empty")
    page.locator(f".hb-search__link[href*='{CREATE}']").first.wait_for()
    page.locator("input[type=search]").fill("zzzz")
    page.get_by_text(none).wait_for()
    assert page.url.endswith("?q=zzzz")


@pytest.mark.parametrize("folder", ["en", "zh"])
def test_each_index_holds_one_language(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/index.html")
    page.keyboard.press("Control+k")
    page.wait_for_function("window.handbookIndex")
    titles = page.evaluate("window.handbookIndex.map((page) => page[1])")
    chinese = [any("\u4e00" <= c <= "\u9fff" for c in title) for title in titles]
    assert all(chinese) if folder == "zh" else not any(chinese)
