"""The pages of both languages, as a reader sees and uses them."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.site_reader import FOLDERS, PAGE_KINDS, Reader, pages
from helpers.site_survey import Survey, look
from PIL import Image

pytestmark = pytest.mark.site
Read = Callable[..., Reader]
See = Callable[[str], Survey]
BOTH = pytest.mark.parametrize("folder", FOLDERS)
LESSON = PAGE_KINDS["lesson with formulas"]
OTHER = {"en": "zh", "zh": "en"}

# Texts of a Chinese page that may be in Latin letters only: names, licences, versions.
NAMES = re.compile(r"Notebook|API|CC BY 4\.0|BSD-3-Clause|\w+[._(][\w.()]*|[^A-Za-z]*")


def test_both_languages_have_the_same_pages() -> None:
    en, zh = ([page.split("/", 1)[1] for page in pages(folder)] for folder in ("en", "zh"))
    assert en == zh


@BOTH
def test_the_name_of_the_site_fits_a_phone(read: Read, folder: str) -> None:
    page = read(folder, phone=True).open(f"{folder}/{LESSON}")
    name = page.locator(".bd-header .hb-home:visible span").bounding_box()
    search = page.locator(".bd-header .hb-search-open:visible").bounding_box()
    assert name and search and name["x"] + name["width"] <= search["x"]


def test_emphasis_is_slanted_in_english_and_bold_in_chinese(read: Read) -> None:
    """Chinese has no italics."""
    looks = {}
    for folder in FOLDERS:
        term = read(folder).open(f"{folder}/{LESSON}").locator("article em").first
        looks[folder] = term.evaluate(
            "(e) => [getComputedStyle(e).fontStyle, getComputedStyle(e).fontWeight]"
        )
    assert looks == {"en": ["italic", "400"], "zh": ["normal", "600"]}


def test_the_chinese_site_has_no_english_words(read: Read) -> None:
    reader = read("zh")
    page = reader.context.new_page()
    for kind, address in PAGE_KINDS.items():
        reader.open(f"zh/{address}", page)
        texts = [str(text) for text in look(page, "frame")]
        english = [text for text in texts if text.isascii() and not NAMES.fullmatch(text)]
        assert english == [], kind


@BOTH
@pytest.mark.parametrize("phone", [False, True])
def test_the_switch_keeps_the_page(read: Read, folder: str, phone: bool) -> None:
    reader = read(folder, phone)
    for address in (LESSON, PAGE_KINDS["home"], PAGE_KINDS["package"]):
        page = reader.open(f"{folder}/{address}#setup")
        switch = page.locator(".hb-language:visible")
        assert switch.count() == 1
        assert switch.get_attribute("lang") == {"en": "zh-CN", "zh": "en"}[folder]
        switch.click()
        page.wait_for_url(f"**/some/where/{OTHER[folder]}/{address}#setup")


@BOTH
def test_the_switch_keeps_the_section_in_view(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/{LESSON}")
    sections = page.locator("article section section[id]")
    middle = sections.nth(sections.count() // 2)
    name = middle.get_attribute("id")
    top = "e.getBoundingClientRect().top + scrollY - 80"
    middle.evaluate(f"e => scrollTo({{ top: {top}, behavior: 'instant' }})")
    # Playwright's own click would scroll first, although the header is in view.
    page.locator(".hb-language:visible").evaluate("e => e.click()")
    page.wait_for_url(f"**/{OTHER[folder]}/{LESSON}#{name}")
    place = page.locator(f"section[id='{name}']").bounding_box()
    assert place and -5 < place["y"] < 400


@BOTH
@pytest.mark.parametrize("opened_at", ["", "#training", "#term-epoch"])
def test_the_switch_keeps_the_term_in_view(read: Read, folder: str, opened_at: str) -> None:
    """Also where the reader has scrolled on from the place that the address names."""
    glossary, term = PAGE_KINDS["glossary"], "term-gradient-clipping"
    page = read(folder).open(f"{folder}/{glossary}{opened_at}")
    top = "e.getBoundingClientRect().top + scrollY - 80"
    page.locator(f"#{term}").evaluate(f"e => scrollTo({{ top: {top}, behavior: 'instant' }})")
    page.locator(".hb-language:visible").evaluate("e => e.click()")
    page.wait_for_url(f"**/{OTHER[folder]}/{glossary}#{term}")


@BOTH
def test_underlines_leave_underscores_to_be_seen(read: Read, folder: str) -> None:
    """A line on them would hide them: `manual_seed` would read `manual seed`."""
    reader = read(folder)
    page = reader.context.new_page()
    found = 0
    for kind, address in PAGE_KINDS.items():
        reader.open(f"{folder}/{address}", page)
        offsets = page.evaluate("""[...document.querySelectorAll("main a, .prev-next-title")]
            .filter((e) => e.getClientRects().length && e.textContent.includes("_"))
            .map((e) => [e.textContent, getComputedStyle(e)])
            .filter(([text, style]) => style.textDecorationLine.includes("underline"))
            .map(([text, style]) =>
                [text, parseFloat(style.textUnderlineOffset) / parseFloat(style.fontSize)])""")
        assert [text for text, offset in offsets if not offset > 0.35] == [], kind
        found += len(offsets)
    assert found > 10


@BOTH
def test_alternates_name_each_other(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/{LESSON}")
    links = page.eval_on_selector_all(
        "link[rel=alternate][hreflang]", "all => all.map((e) => [e.hreflang, e.href])"
    )
    tails = {tag: url.split("/some/where/")[-1] for tag, url in links}
    assert tails == {"en": f"en/{LESSON}", "zh-CN": f"zh/{LESSON}", "x-default": f"en/{LESSON}"}


@BOTH
def test_the_footer_names_the_versions(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/{LESSON}")
    footer = page.locator("footer.bd-footer").inner_text()
    assert re.search(
        r"torch \d+\.\d+\.\d+ · torchvision \d+\.\d+\.\d+ · Python \d+\.\d+\.\d+", footer
    )
    assert "CC BY 4.0" in footer and "BSD-3-Clause" in footer
    assert {"en": "Executed with", "zh": "运行环境"}[folder] in footer


@BOTH
def test_formulas_need_no_script(read: Read, folder: str) -> None:
    page = read(folder, java_script_enabled=False).open(f"{folder}/{LESSON}")
    formulas = page.locator(".math > math").filter(visible=True)
    assert formulas.count()
    for i in range(formulas.count()):
        box = formulas.nth(i).bounding_box()
        assert box and box["width"] > 4 and box["height"] >= 7  # as in looks.js


@BOTH
def test_long_lines_on_a_phone_scroll_and_show_it(read: Read, folder: str) -> None:
    page = read(folder, phone=True).open(f"{folder}/{PAGE_KINDS['lesson with figures']}")
    wide = page.locator("div.highlight pre").filter(visible=True)
    scrolling = [
        block
        for block in wide.all()
        if block.evaluate("e => e.scrollWidth > e.clientWidth + 40 && e.clientHeight < 600")
    ]
    assert scrolling
    block = scrolling[0]
    block.scroll_into_view_if_needed()
    before = edge(block.screenshot())
    block.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
    page.wait_for_timeout(100)
    after = edge(block.screenshot())
    assert before["right"] > after["right"] + 10 and after["left"] > before["left"] + 10
    assert look(page, "covered") == []


def edge(picture: bytes) -> dict[str, float]:
    """Return how far the outermost pixels at each side differ from the paper of the box."""
    with Image.open(io.BytesIO(picture)) as image:
        pixels = np.asarray(image.convert("L"), float)
    paper = np.median(pixels)
    return {
        "left": float(np.median(np.abs(pixels[8:-8, 1:4] - paper))),
        "right": float(np.median(np.abs(pixels[8:-8, -4:-1] - paper))),
    }


@BOTH
def test_answers_are_folded(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/{LESSON}")
    answers = page.locator("details.answer")
    assert answers.count() == 3
    code = answers.first.locator("pre").first
    assert not code.is_visible()
    answers.first.locator("> summary").focus()  # a check inside has one, too
    page.keyboard.press("Enter")
    assert code.is_visible()


@BOTH
def test_print_opens_answers_and_closes_the_other_folds(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/{LESSON}")
    article = page.locator("article.bd-article")
    article.evaluate("""article => article.insertAdjacentHTML("beforeend",
        '<details class="fold check" open><summary>Checked</summary><p>assert</p></details>')""")
    code = page.locator("details.answer pre").first
    check = article.locator("details.check").last.locator("p")
    assert not code.is_visible() and check.is_visible()
    page.emulate_media(media="print")
    assert code.is_visible() and not check.is_visible()
    assert code.bounding_box()["height"] > 0
    page.set_viewport_size({"width": 640, "height": 900})
    assert look(page, "cut") == [], "on paper, nothing scrolls"
    assert page.locator(".copybtn").filter(visible=True).count() == 0


def test_paper_is_light(read: Read) -> None:
    """The dark page comes back when the printing ends."""
    page = read("en", color_scheme="dark").open(f"en/{LESSON}")
    page.evaluate("""() => {
        window.seen = [];
        const note = () => seen.push(getComputedStyle(document.body).backgroundColor);
        note();
        addEventListener("beforeprint", note);
        addEventListener("afterprint", note);
    }""")
    page.pdf()
    page.wait_for_function("seen.length === 3")
    screen, paper, after = page.evaluate("seen")
    assert paper == "rgb(255, 255, 255)" and screen == after != paper


@BOTH
def test_the_copy_button_copies_only_code(read: Read, folder: str) -> None:
    reader = read(folder)
    reader.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = reader.open(f"{folder}/{LESSON}")
    assert page.locator(".sphx-glr-script-out .copybtn").count() == 0
    block = page.locator("article div.highlight:has(.copybtn)").first
    block.hover()
    block.locator(".copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == block.locator("pre").inner_text().strip()
    ast.parse(copied)

    reader.open(f"{folder}/{PAGE_KINDS['glossary']}", page)
    block = page.locator("article div.highlight:has(.gp)").first
    block.hover()
    block.locator(".copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied and ">>>" not in copied
    ast.parse(copied)


@BOTH
def test_downloads_are_in_the_language_of_the_site(read: Read, folder: str) -> None:
    reader = read(folder)
    page = reader.context.new_page()
    trees = []
    for kind in ("python", "jupyter"):
        reader.open(f"{folder}/{LESSON}", page)
        with page.expect_download() as download:
            page.locator(f".sphx-glr-download-{kind} a").click()
        name = download.value.suggested_filename
        text = Path(download.value.path()).read_text("utf-8")
        assert name == Path(LESSON).stem + {"python": ".py", "jupyter": ".ipynb"}[kind]
        assert bool(re.search("[\u4e00-\u9fff]", text)) == (folder == "zh")
        if kind == "jupyter":
            cells = json.loads(text)["cells"]
            _install, *code = ("".join(c["source"]) for c in cells if c["cell_type"] == "code")
            text = "\n".join(code)
        body = ast.parse(text).body
        docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        trees.append([ast.dump(node) for node in body[docstring:]])
    assert trees[0] == trees[1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_the_choice(read: Read, theme: str) -> None:
    reader = read("zh", color_scheme=theme)
    page = reader.open(f"zh/{LESSON}")
    light = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((n) => n > 127)"
    assert page.evaluate(light) == (theme == "light")
    other = {"light": "dark", "dark": "light"}[theme]
    page.locator("header .theme-switch-button:visible").click()
    page.locator(f"header .theme-change-button[data-mode={other}]:visible").click()
    assert page.evaluate(light) == (other == "light")
    reader.open(f"zh/{PAGE_KINDS['home']}", page)
    assert page.evaluate(light) == (other == "light")


def test_the_keyboard_reaches_the_text(read: Read) -> None:
    page = read("zh").open(f"zh/{LESSON}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").strip() == "跳到正文"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("!!document.activeElement.closest('main')")


def test_the_menu_of_a_phone_works(read: Read) -> None:
    page = read("zh", phone=True).open(f"zh/{PAGE_KINDS['home']}")
    page.locator("button.primary-toggle").click()
    page.locator("dialog[open] a", has_text="安装").first.click()
    page.wait_for_url("**/zh/install.html")
