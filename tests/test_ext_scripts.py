"""Scripts are split, translated, cleaned and written again; notebooks contain Markdown."""

from types import SimpleNamespace

import pytest
from sphinx_gallery.py_source_parser import Block

from bilingual import downloads, markdown, scripts

SCRIPT = '''\
r"""
Title
=====

A question with \\backslash and :math:`x`?
"""

# %%
# Setup
# -----
#
# A paragraph that goes
# on, then a list:
#
# - an item that goes
#   on
#
# Setup of a message inside a longer message.

x = 1  # a comment

# %%
# .. answer:: 2
#
#    Text.
#
#    .. alt:: What is to
#       be seen.

assert x == 1
'''


@pytest.fixture
def blocks(tmp_path):
    """Split the script above."""
    file = tmp_path / "lesson.py"
    file.write_text(SCRIPT)
    return scripts.read(file)


def describe(role, content):
    """Show the arguments."""
    return f"<{role} {content}>"


def titled(kind, number):
    """Show the arguments; one kind has no title."""
    return "" if kind == "drawing" else f"{kind} {number}".strip()


def test_untranslated_and_uncleaned_is_the_same_text(blocks):
    """Only the line break after the opening quotes is lost."""
    new, unmatched = scripts.translate(blocks, {})
    assert scripts.write(new) == SCRIPT.replace('"""\nTitle', '"""Title')
    assert not unmatched


def test_translate(blocks):
    """Paragraphs, titles, lists and comments are found across line breaks; others are reported."""
    translations = {
        "Title": "一个很长的标题",
        "A question with \\backslash and :math:`x`?": "关于 \\backslash 的问题？",
        "Setup": "准备",
        "A paragraph that goes on, then a list:": "一段话" * 20,
        "an item that goes on": "一项" * 30,
        "Setup of a message inside a longer message.": "消息。",
        "a comment": "注释",
        "Text.": "文字。",
        "What is to be seen.": "可以看到什么。",
        "Not on this page.": "这里没有。",
    }
    new, unmatched = scripts.translate(blocks, translations)
    text = scripts.write(new)
    assert unmatched == {"Not on this page."}
    assert 'r"""一个很长的标题\n==============\n\n关于 \\backslash 的问题？\n"""' in text
    assert "\n# 准备\n# -----\n" in text and "\n# 消息。\n" in text
    assert "\n# - 一项" in text and "\n#   一项" in text, "a list item hangs"
    assert "x = 1  # 注释" in text
    assert scripts.same_program(SCRIPT, text)
    assert max(map(len, text.split("\n"))) < 60


def test_clean(blocks):
    """Readers of the file see the answer, but no alt texts and no roles."""
    text = scripts.write(scripts.clean(blocks, titled, describe))
    assert "# **answer 2**\n#\n# Text.\n\nassert" in text
    assert ".. " not in text and "<math x>" in text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (".. check::\n", "**check**"),
        (".. drawing::\n\n   .. alt:: A line.\n", None),
        (".. earlier::\n\n   One.\n\n   Two.\n\nThree.\n", "**earlier**\n\nOne.\n\nTwo.\n\nThree."),
    ],
)
def test_every_fold_is_cleaned(text, cleaned):
    """A fold without a title leaves no empty block."""
    left = scripts.clean([Block("text", text, 1)], titled, describe)
    assert [block.content.strip() for block in left] == ([cleaned] if cleaned else [])


def test_a_different_program_is_noticed():
    """Only comments and the docstring may differ."""
    assert scripts.same_program('"""a"""\nx = 1  # y', '"""b"""\nx = 1')
    assert not scripts.same_program('"""a"""\nx = 1', '"""a"""\nx = 2')


@pytest.mark.parametrize(
    ("role", "content", "plain"),
    [
        ("func", "torch.add", "``torch.add``"),
        ("meth", "~torch.Tensor.add_", "``add_``"),
        ("term", "几个梯度 <gradient>", "几个梯度"),
        ("doc", "the page before </start/one>", "the page before"),
        ("math", "x^2", ":math:`x^2`"),
    ],
)
def test_plain_role(role, content, plain):
    """A role has a plain form for readers without Sphinx."""
    env = SimpleNamespace(config=SimpleNamespace(html_context={}))
    assert downloads.plain_role(env, role, content) == plain


def test_plain_role_links_if_the_address_is_known():
    """The downloads of a published site lead back to it."""
    context = {"base_url": "https://example.org/book", "folder": "zh"}
    env = SimpleNamespace(config=SimpleNamespace(html_context=context))
    link = "`上一页 <https://example.org/book/zh/start/one.html>`__"
    assert downloads.plain_role(env, "doc", "上一页 </start/one>") == link


def test_clean_leaves_code_alone():
    """A string that looks like a directive stays as it is."""
    code = Block("code", 'x = ".. alt:: text"\n', 1)
    assert scripts.clean([code], titled, describe) == [code]


def test_markdown_rejects_unknown_elements():
    """A notebook must not lose text without an error."""
    with pytest.raises(NotImplementedError, match="topic"):
        markdown.convert(".. topic:: Title\n\n   Text.\n", env=None)
