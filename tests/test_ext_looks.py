"""Formulas, figures and the style sheet: what a page shows, and how little it loads."""

from __future__ import annotations

import ast
import io
import re
import warnings
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from course import program_slice
from course.lesson import Lesson
from course.order import LEVELS, ORDER, parts
from looks import drawing, long_names, slim_styles
from looks.dark_colours import PAPER, dark, darken
from looks.formulas import mathml
from publishing.descriptions import WIDTH, first_sentences, shorten

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def agg():
    """Draw without a window, and leave no figure open."""
    mpl.use("agg")
    yield
    plt.close("all")


# ---- Formulas


@pytest.mark.parametrize(
    ("tex", "part"),
    [
        (r"\sqrt{p(1-p)/n}", "<msqrt>"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "<mtr>"),
        (r"\{a\}", ">{</mo>"),
        (r"\text{a rate of 50\%}", "<mtext>"),
        ("a < b", "&lt;"),
    ],
)
def test_a_formula_is_mathml(tex, part):
    assert part in mathml(tex)


def test_a_sum_of_its_own_line_has_its_limits_above_and_below():
    assert "<munderover>" in mathml(r"\sum_{i=1}^n i", "block")
    assert "<msubsup>" in mathml(r"\sum_{i=1}^n i")


@pytest.mark.parametrize(
    ("tex", "fault"),
    [
        (r"\flac{a}{b}", "flac"),
        (r"\frac{a}", "an argument is missing"),
        ("{a", "a brace"),
        ("a}", "a brace"),
        ("x^", "Missing"),
        ("a & b", "&"),
    ],
)
def test_a_formula_with_a_fault_is_refused(tex, fault):
    with pytest.raises(ValueError, match=fault):
        mathml(tex)


# ---- Figures


def brightness(colour):
    """Return how light a colour is, from 0 to 1."""
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


def test_dark_colours_turn_lightness_over_and_keep_hue():
    assert np.allclose(to_rgb(dark("white")), PAPER)
    assert brightness(dark("black")) > 0.7
    for pale, strong in (("#cce6ff", "#0072B2"), ("#ffe0cc", "#D55E00")):
        assert brightness(dark(pale)) < brightness(dark(strong)), "as far apart as before"
    red, green, blue = to_rgb(dark("tab:blue"))
    assert blue > green > red
    assert dark((0, 0, 0, 0.25))[3] == 0.25


def test_what_is_drawn_on_pixels_stays_as_it_is():
    figure, (left, right) = plt.subplots(1, 2)
    left.imshow([[0, 1], [1, 0]], cmap="gray")
    on_pixels = left.text(0.5, 0.5, "1", color="black", ha="center", va="center")
    left.plot([], [], color="black")  # has no place at all
    beside = left.set_title("title", color="black")
    (line,) = right.plot([0, 1], color="black")
    figure.canvas.draw()
    darken(figure)
    assert to_hex(on_pixels.get_color()) == "#000000"
    assert brightness(beside.get_color()) > 0.7
    assert brightness(line.get_color()) > 0.7


def test_a_line_without_points_lies_on_no_pixels():
    figure, ax = plt.subplots()
    ax.imshow([[0, 1], [1, 0]])
    (line,) = ax.plot([], [], color="black")
    figure.canvas.draw()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as in a lesson
        darken(figure)
    assert brightness(line.get_color()) > 0.7


def test_ink_on_paper_becomes_light_ink_on_dark_paper():
    figure, ax = plt.subplots()
    image = ax.imshow([[0, 1], [1, 0]], cmap="gray_r")
    text = ax.text(0, 0, "0", color="black", ha="center", va="center")
    figure.canvas.draw()
    darken(figure)
    assert image.get_cmap().name == "gray"
    assert brightness(text.get_color()) > 0.7, "it stays readable"


def test_every_kind_of_artist_changes():
    figure, ax = plt.subplots()
    ax.bar([0, 1], [1, 2], color="white", edgecolor="black")
    ax.fill_between([0, 1], [0, 1], color="black")
    ax.scatter([0, 1], [0, 1], color="black")
    ax.annotate("here", (0, 0), (1, 1), arrowprops={"arrowstyle": "->"}, bbox={"fc": "white"})
    ax.legend(["bars"])
    ax.grid(color="0.9")
    figure.canvas.draw()
    darken(figure)
    figure.savefig(pixels := io.BytesIO(), facecolor="none")
    drawn = np.asarray(Image.open(pixels).convert("RGBA"), float)
    seen = drawn[drawn[..., 3] > 250][:, :3].max(axis=1)
    near_white, near_black = (seen > 235).mean(), (seen < 16).mean()
    assert near_white < 0.002, "nothing is white"
    assert near_black < 0.002, "nothing is black"


def scraped(tmp_path, draw):
    """Let the scraper save one figure, and return its directive."""
    (tmp_path / "images").mkdir(parents=True)
    paths = iter([str(tmp_path / "images/sphx_glr_lesson_001.png")])

    class Paths:
        def next(self):
            return next(paths)

    draw()
    return drawing.scrape(None, {"image_path_iterator": Paths()}, {"src_dir": str(tmp_path)})


def lines():
    """Draw a figure of lines, with text of 6 points."""
    _, ax = plt.subplots(figsize=(8, 4))
    ax.plot([0, 1, 4, 9])
    ax.tick_params(labelsize=6)


def pixels():
    """Draw noise."""
    _, ax = plt.subplots(figsize=(3, 3))
    ax.imshow(np.random.default_rng(0).random((64, 64)))


def test_lines_become_svg_and_pixels_webp(tmp_path):
    directive = scraped(tmp_path / "a", lines)
    assert ".. drawn:: /images/sphx_glr_lesson_001.svg" in directive
    assert "<image" not in (tmp_path / "a/images/sphx_glr_lesson_001.svg").read_text()
    assert ":size: 800 400" in directive
    assert ":needs: 624" in directive, "6 points are 8.3 pixels of 800; 6.5 of 624"
    directive = scraped(tmp_path / "b", pixels)
    assert ".. drawn:: /images/sphx_glr_lesson_001.webp" in directive
    names = sorted(
        file.name.removeprefix("sphx_glr_lesson_001") for file in (tmp_path / "b/images").iterdir()
    )
    assert names == sorted([".webp", "_card.webp", "_dark.webp", "_dark_card.webp"])
    with Image.open(tmp_path / "b/images/sphx_glr_lesson_001.webp") as image:
        assert image.size == (600, 600)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("label", "smallest"),
    [("$10^{-3}$", 0.7), ("two lines\n$x^{y^2}$", 0.49), ("$a$", 1), (r"5 \$", 1)],
)
def test_exponents_are_read_too(tmp_path, label, smallest):
    """They are smaller than the text in which they stand."""

    def draw():
        _, ax = plt.subplots(figsize=(8, 4))
        ax.set_axis_off()
        ax.text(0.5, 0.5, label, fontsize=7.2)

    (needs,) = re.findall(r":needs: (\d+)", scraped(tmp_path, draw))
    assert int(needs) == pytest.approx(520 / smallest, abs=1), "7.2 points are 10 pixels of 800"


@pytest.mark.parametrize(("size", "card"), [((8, 4), (320, 160)), ((4, 8), (112, 224))])
def test_a_card_is_no_larger_than_it_is_shown(tmp_path, size, card):
    """A high figure, too."""

    def draw():
        plt.subplots(figsize=size)

    scraped(tmp_path, draw)
    with Image.open(tmp_path / "images/sphx_glr_lesson_001_card.webp") as image:
        assert image.size == card


def test_drawing_again_gives_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        scraped(tmp_path / folder, lines)
    for file in (tmp_path / "a/images").iterdir():
        assert file.read_bytes() == (tmp_path / "b/images" / file.name).read_bytes(), file.name


# ---- The style sheet


def test_only_rules_that_can_apply_are_kept():
    css = """@charset "utf-8"; /* .used */ @import "x.css";
    .used > a:hover, .unused { color : red ; content: "; } a  b" }
    .unused:is(.used) { top: 0 } .used:not(.unused) { top: 0 } #gone { top: 0 }
    @media (width > 600px) { .used { margin: 0 auto } .unused { top: 0 } }
    @media print { .unused { top: 0 } }
    @keyframes turn { from { top: 0 } to { top: 1px } }"""
    assert slim_styles.slim(slim_styles.COMMENT.sub("", css), {"used"}) == (
        '.used>a:hover{color:red;content:"; } a  b"}.used:not(.unused){top:0}'
        "@media (width>600px){.used{margin:0 auto}}@keyframes turn{from{top:0}to{top:1px}}"
    )


def test_the_icon_font_of_the_theme_is_left_out():
    css = """.fa,.fa-bars:before{content:"x"} a{top:0} :root{--fa-font:1} html{--pst-a:1}
    @font-face{font-display:block;font-family:Font Awesome\\ 7 Free;src:url(x.woff2)}
    p:before{font:var(--fa-font-solid);content:"y"}"""
    assert slim_styles.without_icons(css) == 'a{top:0}html{--pst-a:1}p:before{content:"y"}'


def test_what_a_page_or_a_script_names_is_used(tmp_path):
    page, script = tmp_path / "a.html", tmp_path / "a.js"
    page.write_text("<p class='one two' id=\"three\"><script>x.className = 'four'</script>")
    script.write_text("e.classList.add('five-six')")
    assert {"one", "two", "three", "four", "five-six"} <= slim_styles.used_names([page], [script])

    kept = tmp_path / "names.json"
    first = slim_styles.used_names([page], [script], kept)
    assert first == slim_styles.used_names([page], [script])
    assert slim_styles.used_names([page], [script], kept) == first  # nothing is read again
    page.write_text('<p class="seven">', "utf-8")
    assert {"seven"} == slim_styles.used_names([page], [], kept)


# ---- Names


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        ("nn.SyncBatchNorm.convert_batchnorm", "nn.|SyncBatchNorm.|convert_|batchnorm"),
        (
            "key_averages(sort_by=&quot;cpu_time&quot;)",
            "key_|averages(|sort_|by=|&quot;cpu_|time&quot;)",
        ),
        ("torch.nn.functional.__init__.py", "torch.|nn.|functional.__|init__.|py"),
        ("short_name", "short_name"),
    ],
)
def test_a_long_name_may_be_broken_between_its_words(name, marked):
    page = f'<a href="torch.nn.functional.cross_entropy"><span class="pre">{name}</span></a>'
    assert long_names.mark(page) == page.replace(f">{name}<", f">{marked.replace('|', '<wbr>')}<")


# ---- Cards and the home page


def test_every_part_has_a_level_and_a_card_on_the_home_page():
    assert set(LEVELS) == set(parts())
    home = (ROOT / "docs/index.md").read_text("utf-8")
    shown = [line.split()[1] for line in home.splitlines() if line.startswith("::::{part}")]
    assert shown == parts()


def test_the_lines_on_the_home_page_are_a_whole_program_of_the_lesson():
    lesson = Lesson(ROOT / f"examples/{ORDER[0]}.py")
    code = program_slice.first_figure(lesson)
    assert len(code.splitlines()) <= 6
    statements = {ast.unparse(node) for node in lesson.tree.body}
    names: dict[str, object] = {}
    for node in ast.parse(code).body:
        assert isinstance(node, ast.ImportFrom) or ast.unparse(node) in statements
    exec(code, names)
    assert plt.figure(1) is names["figure"]


def test_a_slice_takes_what_its_names_need_and_nothing_else(tmp_path):
    file = tmp_path / "01_one.py"
    file.write_text(
        '"""T\n=\n\nQ?\n"""\n\nimport math\nfrom os import path, sep\n\na = 1\nb = a + 1\nc = 3\n'
        "print(c)\nfigure = math.hypot(b, len(sep))\nfigure = 2\n"
    )
    expected = (
        "import math\nfrom os import sep\n\na = 1\nb = a + 1\nfigure = math.hypot(b, len(sep))"
    )
    assert program_slice.first_figure(Lesson(file)) == expected
    file.write_text('"""T\n=\n"""\n\na = 1\n')
    with pytest.raises(ValueError, match="no figure"):
        program_slice.first_figure(Lesson(file))


def test_a_description_is_whole_and_short():
    from docutils.core import publish_doctree

    long = "word " * 60
    text = f"Title\n=====\n\nIs it short?\n\n{long}\n\nNot this.\n"
    settings = {"doctitle_xform": False}
    found = first_sentences(publish_doctree(text, settings_overrides=settings))
    assert found.startswith("Is it short? word") and found.endswith(" word …")
    assert WIDTH * 0.9 < len(found) <= WIDTH
    assert len(shorten("张量，" * 60)) <= WIDTH / 2
