"""Every page of both languages, as a reader at a desk sees it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from helpers.site_reader import BUILT, FOLDERS
from helpers.site_survey import MOVES, Survey

from course.order import ORDER

pytestmark = pytest.mark.site
See = Callable[[str], Survey]
BOTH = pytest.mark.parametrize("folder", FOLDERS)


@BOTH
def test_every_page_opens(desk_survey: See, folder: str) -> None:
    assert desk_survey(folder)
    for address, page in desk_survey(folder).items():
        assert page["lang"] == {"en": "en", "zh": "zh-CN"}[folder], address
        assert page["h1"], address
        assert page["title"], address


def test_both_languages_have_the_same_places(desk_survey: See) -> None:
    """Links to a section, and the switch, lead to the same place of the other page."""
    for address, page in desk_survey("en").items():
        assert page["places"] == desk_survey("zh")[address.replace("en/", "zh/", 1)]["places"], (
            address
        )


@BOTH
def test_formulas_are_drawn(desk_survey: See, folder: str) -> None:
    """By the browser alone: as wide and as high as their parts need."""
    assert sum(page["formulas"]["count"] for page in desk_survey(folder).values()) > 20
    for address, page in desk_survey(folder).items():
        assert page["formulas"]["faults"] == [], address
        assert "mathjax" not in (BUILT / address).read_text("utf-8").lower(), address


@BOTH
def test_code_is_never_cut(desk_survey: See, folder: str) -> None:
    """Beside both side bars, no line of code or output leaves its box, and no button covers it."""
    for address, page in desk_survey(folder).items():
        assert page["cut"] == [], address
        assert page["covered"] == [], address


@BOTH
def test_every_id_is_unique_and_every_page_has_one_title(desk_survey: See, folder: str) -> None:
    for address, page in desk_survey(folder).items():
        assert page["repeated"] == [], address
        assert page["titles"] == 1, address


@BOTH
def test_every_page_has_a_description_of_its_own(desk_survey: See, folder: str) -> None:
    found = {}
    for address, page in desk_survey(folder).items():
        description, for_cards = page["descriptions"]
        assert description == for_cards, address
        assert 10 <= len(description) <= 170, address
        if folder == "zh":
            assert re.search("[\u4e00-\u9fff]", description), address
        found[address] = description
    assert len(set(found.values())) == len(found)


@BOTH
def test_the_head_and_the_foot_of_a_lesson_lead_to_its_neighbours(
    desk_survey: See, folder: str
) -> None:
    for place, lesson in enumerate(ORDER):
        page = desk_survey(folder)[f"{folder}/lessons/{lesson}.html"]
        assert len(page["head"]) in (1, 2), lesson
        assert re.search(r"\d+ (min|分钟)", " ".join(page["head"])), lesson
        for shift, link in ((-1, "previous"), (1, "next")):
            if 0 <= place + shift < len(ORDER):
                (target,) = page[link]
                assert target.endswith(f"{ORDER[place + shift].rpartition('/')[2]}.html"), lesson


@BOTH
def test_pictures_name_their_size_and_wait_until_they_are_needed(
    desk_survey: See, folder: str
) -> None:
    for address, page in desk_survey(folder).items():
        assert page["unsized"] == [], address


@BOTH
def test_nothing_moves_while_a_page_loads(desk_survey: See, folder: str) -> None:
    """What moves at each of three visits is the page's fault."""
    for address, page in desk_survey(folder).items():
        assert page["shift"] <= MOVES, address
