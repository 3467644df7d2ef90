"""The home page shows in its first screen what the handbook is, and that it ran."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.site_reader import FOLDERS, Reader

from course.lesson import Lesson
from course.order import ORDER, parts
from course.program_slice import first_figure

pytestmark = pytest.mark.site
Read = Callable[..., Reader]
ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("folder", FOLDERS)
SCREENS = [{"width": 1280, "height": 900}, {"width": 390, "height": 844}]


@BOTH
@pytest.mark.parametrize("screen", SCREENS, ids=["computer", "phone"])
def test_the_first_screen_shows_it_all(read: Read, folder: str, screen: dict[str, int]) -> None:
    phone = screen["width"] < 600
    reader = read(folder, phone=phone)
    page = reader.context.new_page()
    page.set_viewport_size(screen)
    reader.open(f"{folder}/index.html", page)
    for part in ("h1", ".opening-words > p", ".opening-buttons a", ".opening pre"):
        box = page.locator(part).first.bounding_box()
        assert box and box["y"] >= 0 and box["y"] + box["height"] <= screen["height"], part
    figure = page.locator(".opening .drawn img").filter(visible=True)
    figure.evaluate("e => e.decode()")
    box = figure.bounding_box()
    assert box and box["width"] > 150 and box["y"] + box["height"] <= screen["height"]


@BOTH
def test_the_code_and_the_figure_are_those_of_the_first_lesson(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/index.html")
    shown = page.locator(".opening pre").inner_text()
    assert shown.strip() == first_figure(Lesson(ROOT / f"examples/{ORDER[0]}.py"))
    address = page.locator(".opening .drawn a").get_attribute("href")
    page.locator(".opening-buttons a").first.click()
    page.wait_for_url(f"**/lessons/{ORDER[0]}.html")
    there = page.locator(".drawn a").first.get_attribute("href")
    assert address.rpartition("/")[2] == there.rpartition("/")[2]


@BOTH
def test_it_says_how_much_there_is(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/index.html")
    lessons, hours = re.findall(r"\d+", page.locator(".opening-size").inner_text())
    assert int(lessons) == len(ORDER) and 1 <= int(hours) <= len(ORDER)
    cards = page.locator(".part-card")
    assert cards.count() == len(parts())
    links = cards.locator("a.internal").evaluate_all("all => all.map((e) => e.pathname)")
    assert [link.split("/")[-2] for link in links] == parts()
    numbers = [
        int(re.search(r"\d+", text)[0]) for text in cards.locator(".card-facts").all_inner_texts()
    ]
    assert sum(numbers) == len(ORDER)


@BOTH
def test_the_card_of_a_lesson_says_question_time_and_level(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/lessons/index.html")
    cards = page.locator(".sphx-glr-thumbcontainer")
    assert cards.count() == len(ORDER)
    for text in cards.all_inner_texts():
        _title, question, facts = [line for line in text.split("\n") if line.strip()]
        assert re.search(r"[?？]", question), text
        assert re.fullmatch(r"\d+ (min|分钟) · \S+", facts), text
