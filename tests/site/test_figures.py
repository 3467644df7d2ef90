"""Figures: readable on a phone, dark on dark pages, larger when asked, and where they belong."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from helpers.site_reader import FOLDERS, PAGE_KINDS, Reader
from helpers.site_survey import Survey
from PIL import Image

pytestmark = pytest.mark.site
Read = Callable[..., Reader]
See = Callable[[str], Survey]
BOTH = pytest.mark.parametrize("folder", FOLDERS)
LESSON = PAGE_KINDS["lesson with figures"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_follow_the_theme_that_is_chosen(read: Read, theme: str) -> None:
    """The system has the other theme."""
    other = {"light": "dark", "dark": "light"}[theme]
    page = read("en", color_scheme=other).open(f"en/{LESSON}")
    page.locator("header .theme-switch-button:visible").click()
    page.locator(f"header .theme-change-button[data-mode={theme}]:visible").click()
    for figure in page.locator(".drawn").filter(visible=True).all():
        figure.scroll_into_view_if_needed()
        shown = figure.locator("img").filter(visible=True)
        assert shown.count() == 1
        shown.evaluate("e => e.decode()")
        assert f"only-{theme}" in shown.get_attribute("class")
        with Image.open(io.BytesIO(figure.screenshot())) as image:
            pixels = np.asarray(image.convert("L"), float)
        paper = np.concatenate([pixels[:3].ravel(), pixels[-3:].ravel()])
        assert (np.median(paper) < 60) == (theme == "dark"), "no white card"


@BOTH
def test_a_figure_is_enlarged_and_closed_by_keyboard(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/{LESSON}")
    link = page.locator(".drawn a").first
    small = link.locator("img").filter(visible=True).bounding_box()
    link.focus()
    page.keyboard.press("Enter")
    large = page.locator("dialog.enlarged img").filter(visible=True)
    large.wait_for()
    box = large.bounding_box()
    assert box and small and box["width"] * box["height"] > small["width"] * small["height"]
    assert (
        page.locator("dialog.enlarged button").get_attribute("aria-label")
        == ({"en": "Close", "zh": "关闭"}[folder])
    )
    page.keyboard.press("Escape")
    assert page.locator("dialog.enlarged[open]").count() == 0
    assert link.evaluate("e => e === document.activeElement")


def test_on_a_phone_a_tap_enlarges_and_the_next_one_closes(read: Read) -> None:
    page = read("zh", phone=True).open(f"zh/{LESSON}")
    figure = page.locator(".drawn").first
    figure.scroll_into_view_if_needed()
    width = figure.locator("img").filter(visible=True).bounding_box()["width"]
    figure.locator("a").tap()
    large = page.locator("dialog.enlarged img").filter(visible=True)
    assert large.bounding_box()["width"] > 1.5 * width
    large.tap()
    assert page.locator("dialog.enlarged[open]").count() == 0


def test_without_scripts_the_link_opens_the_picture(read: Read) -> None:
    page = read("en", java_script_enabled=False).open(f"en/{LESSON}")
    page.locator(".drawn a").first.click()
    page.wait_for_url("**/_images/lessons/**")
    assert page.locator("img, svg").count() == 1


@pytest.mark.parametrize("phone", [False, True])
def test_text_keeps_away_from_the_figure_above_it(read: Read, phone: bool) -> None:
    page = read("en", phone=phone).open("en/lessons/tensors/06_views.html")
    gaps = page.locator(".drawn:has(+ p)").evaluate_all("""(all) => all.map((e) =>
        e.nextElementSibling.getBoundingClientRect().top - e.getBoundingClientRect().bottom)""")
    assert gaps and min(gaps) > 10
