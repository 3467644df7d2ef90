"""The class of time of each lesson: it is known, and it does not flip between two measurements."""

from pathlib import Path

import pytest

from course import run_times
from course.head import reading_minutes
from course.lesson import Lesson
from course.order import ORDER

ROOT = Path(__file__).parents[1]


def test_every_lesson_was_measured():
    """For a new lesson: nox -s times -- NAME."""
    found = run_times.read(run_times.FILE)
    assert list(found) == ORDER
    assert set(found.values()) <= set(run_times.CLASSES)


@pytest.mark.parametrize(
    ("seconds", "kept", "chosen"),
    [
        (0.1, None, 10),
        (9.9, None, 10),
        (10, None, 30),
        (12, 10, 10),  # near the class that was kept
        (8, 30, 30),
        (13.1, 10, 30),
        (7, 30, 10),
        (0.1, 10, 10),
        (25, 99, 30),  # not a class
    ],
)
def test_a_class_is_kept_while_the_time_is_near_it(seconds, kept, chosen):
    assert run_times.choose(seconds, kept) == chosen


def test_a_lesson_that_takes_minutes_is_an_error():
    with pytest.raises(ValueError, match="130 s are too long for a lesson"):
        run_times.choose(130)


def test_reading_time_counts_prose_and_visible_code(tmp_path):
    script = tmp_path / "lesson.py"
    words = "# " + "word " * 75 + "\n"
    head = '"""\nTitle\n=====\n"""\n\n'
    script.write_text(head + "# %%\n" + words + words)
    assert reading_minutes(Lesson(script)) == 2  # the title is a word, too
    code = "x = 1\n" * 30
    script.write_text(head + "# %%\n" + words + "\n" + code)
    assert reading_minutes(Lesson(script)) == 3
    folded = f"\n# %%\n# .. answer:: 1\n#\n#    {words[2:]}\n{code}"
    script.write_text(head + "# %%\n" + words + "\n" + code + folded)
    assert reading_minutes(Lesson(script)) == 3
    for name in ORDER:
        assert 1 < reading_minutes(Lesson(ROOT / f"examples/{name}.py")) < 40, name
