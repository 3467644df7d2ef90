"""The page of each lesson has what readers rely on; the rules are in docs/_ext/course/page.py."""

import re
from pathlib import Path

import pytest

from course import page
from course.lesson import Lesson
from course.order import ORDER

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
LESSONS = {
    file.relative_to(EXAMPLES).with_suffix("").as_posix(): file
    for file in sorted(EXAMPLES.glob("*/[0-9]*.py"))
}
GOOD = Lesson(ROOT / "docs/lesson_template.py").source.replace(
    "One question, in one sentence that ends with a question mark?", "What is a tensor?"
)


def test_order_names_every_lesson():
    """A lesson that is not in the chain would not be found."""
    missing = [
        f"examples/{name}.py:1: order; add it to ORDER in docs/_ext/course/order.py"
        for name in sorted({*LESSONS} - {*ORDER})
    ]
    gone = [
        f"docs/_ext/course/order.py: {name}: there is no such script; remove the line"
        for name in sorted({*ORDER} - {*LESSONS})
    ]
    assert not missing + gone, "\n" + "\n".join(missing + gone)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("name", LESSONS)
def test_page(name):
    """Every fault says its file and line, its rule, and what to do."""
    found = list(Lesson(LESSONS[name]).faults(page.RULES))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("part", sorted({Path(name).parent.as_posix() for name in LESSONS}))
def test_parts_have_headers(part):
    assert (EXAMPLES / part / "GALLERY_HEADER.rst").exists(), f"examples/{part}: no GALLERY_HEADER"


# For each rule: what in a good lesson to replace, by what, and what is said then.
BREAKS = {
    "title": ("=\n", "==\n", "underline the title with"),
    "question": ("a tensor?", "a tensor.", "one question"),
    "no author": ("import torch\n", "import torch  # Author: A. N. Other\n", "remove the line"),
    "link": ("function is", "page is :doc:`/lessons/none/at_all`,", "/lessons/none/at_all"),
    "linked words": (":term:`tensor`", "tensor", "link a word to the glossary"),
    "ending": ("# - The mistake, and how it shows.\n", "", "three to five points, not 2"),
    "answers": (".. answer:: 3", ".. answer:: 4", "not 1, 2, 4"),
    "figures": ("# .. alt:: A line that rises evenly from 1 to 5.\n", "", "describe the figure"),
    "imports": ("import torch\n", "import torch, requests\n", "do without requests"),
    "code": ("figure, axes", "plt.show()\nfigure, axes", "`plt.show`"),
    "words": ("Numbers that", "Numbers that simply", "leave out 'simply'"),
}


def test_what_a_drawing_returns_is_not_shown(tmp_path):
    (tmp_path / "examples/part").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    file = tmp_path / "examples/part/01_lesson.py"
    file.write_text(GOOD.replace("figure, axes", 'axis.axis("off")\nfigure, axes', 1), "utf-8")
    found = list(Lesson(file).faults({"code": page.RULES["code"]}))
    assert len(found) == 1 and "set_axis_off()" in found[0]


@pytest.mark.parametrize("name", page.RULES)
def test_each_rule_finds_what_breaks_it(name, tmp_path):
    old, new, said = BREAKS[name]
    for part in ("examples/part", "docs"):
        (tmp_path / part).mkdir(parents=True)
    file = tmp_path / "examples/part/01_lesson.py"
    file.write_text(GOOD, "utf-8")
    rule = {name: page.RULES[name]}
    assert list(Lesson(file).faults(rule)) == []
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1), "utf-8")
    found = list(Lesson(file).faults(rule))
    assert re.match(rf"{file}:\d+: {name}; ", found[0]) and said in found[0], found
