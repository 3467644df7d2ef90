"""Comments are found and replaced; nothing else changes."""

import ast

import pytest

from bilingual import line_wrapping
from bilingual.code_comments import find_comments, translate_comments

CODE = '''\
x = 1  # a trailing comment
shape = (2, 3)  # (B, T)
text = "# not a comment"

# One line that goes
# on in a second line.
#
# Another paragraph.
# - a point that
#   goes on
if x:
    # indented  # twice
    y = """
# not a comment
"""  # noqa: F841
'''


def test_find():
    """Consecutive full-line comments form a paragraph; shapes, directives, strings do not count."""
    assert [comment.text for comment in find_comments(CODE)] == [
        "a trailing comment",
        "One line that goes on in a second line.",
        "Another paragraph.",
        "- a point that goes on",
        "indented  # twice",
    ]


def test_unknown_messages_leave_the_code_alone():
    """The layout does not change either."""
    assert translate_comments(CODE, lambda text: text) == CODE


def test_translate():
    """Only the comments change, and they keep their indentation."""
    new = translate_comments(CODE, lambda text: "译文" * 30)
    assert ast.dump(ast.parse(new)) == ast.dump(ast.parse(CODE))
    rows = new.split("\n")
    assert rows[0] == "x = 1  # " + "译文" * 30  # a trailing comment cannot be wrapped
    assert rows[4] == "# " + "译文" * 21 + "译"
    assert rows[5] == "# 文" + "译文" * 8
    assert "    # 译文" in new and '"""  # noqa: F841' in new


@pytest.mark.parametrize("code", ["f(", "  x = 1  # a comment\n y = 2", "x = '''", "第 # 一 1"])
def test_fragments_are_not_an_error(code):
    """Prose may show code that Python cannot parse."""
    find_comments(code)


def test_wrap():
    """Words and inline code stay whole, and no line begins with closing punctuation."""
    text = "先调用 `model.train()`，再调用 `loss.backward()`。梯度会累加，所以每一步都要清零。"
    rows = line_wrapping.wrap(text, 20)
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")
    assert any("`loss.backward()`。" in row for row in rows)
    assert not any(row[0] in "，。" for row in rows)
    assert all(line_wrapping.display_width(row) <= 22 for row in rows)
