"""A new lesson gets its place in the order of the book."""

import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))
import new_lesson  # noqa: E402

from course.order import ORDER  # noqa: E402

sys.path.remove(str(DOCS))


@pytest.mark.parametrize(
    ("order", "name", "after"),
    [
        (["a/01_one", "a/05_five", "b/01_one"], "a/03_three", "a/01_one"),
        (["a/01_one", "a/05_five", "b/01_one"], "a/06_six", "a/05_five"),
        (["a/01_one", "b/01_one"], "c/01_one", "b/01_one"),
        (["a/05_five", "b/05_five"], "b/01_one", "a/05_five"),
        (["a/05_five"], "a/01_one", None),
        ([], "a/01_one", None),
    ],
)
def test_place(order, name, after):
    assert new_lesson.place(order, name) == after


def test_the_order_has_one_more_line_and_stays_python():
    text = (DOCS / "_ext/course/order.py").read_text("utf-8")
    for name in (f"{ORDER[3].partition('/')[0]}/99_last", "a_new_part/01_first"):
        changed = new_lesson.insert(text, ORDER, name)
        assert len(changed.splitlines()) == len(text.splitlines()) + 1
        found = {}
        exec(changed, found)
        assert [each for each in found["ORDER"] if each != name] == ORDER
        assert name in found["ORDER"] and found["parts"]()


@pytest.mark.parametrize(
    "name", ["", "tensors", "tensors/views", "Tensors/04_x", "a b/04_x", "../04_x"]
)
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(SystemExit, match="name it PART/NN_name"):
        new_lesson.main(name)


def test_a_lesson_that_is_there_is_not_overwritten():
    with pytest.raises(SystemExit, match="it is there already"):
        new_lesson.main(ORDER[0])
