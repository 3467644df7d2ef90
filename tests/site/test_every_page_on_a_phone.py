"""Every page of both languages, as a reader with a phone sees it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from helpers.site_reader import FOLDERS
from helpers.site_survey import Survey

pytestmark = pytest.mark.site
See = Callable[[str], Survey]
BOTH = pytest.mark.parametrize("folder", FOLDERS)


@BOTH
def test_a_phone_never_scrolls_sideways(phone_survey: See, folder: str) -> None:
    for address, page in phone_survey(folder).items():
        assert page["beyond"] == [0], address
        assert page["unreachable"] == [], address


@BOTH
def test_no_text_of_a_figure_is_too_small_on_a_phone(phone_survey: See, folder: str) -> None:
    """The build notes how wide a figure must be for its smallest text to have 6.5 pixels."""
    assert sum(len(page["figures"]) for page in phone_survey(folder).values()) > 20
    for address, page in phone_survey(folder).items():
        assert [pair for pair in page["figures"] if pair[1] < pair[0] - 1] == [], address


@BOTH
def test_no_name_in_a_table_is_torn_apart(phone_survey: See, folder: str) -> None:
    """A table that is too wide scrolls."""
    assert {
        address: page["torn"] for address, page in phone_survey(folder).items() if page["torn"]
    } == {}


@BOTH
def test_formulas_begin_in_their_box(phone_survey: See, folder: str) -> None:
    """What is too wide scrolls, and begins at its beginning."""
    for address, page in phone_survey(folder).items():
        assert page["formulas"]["faults"] == [], address
