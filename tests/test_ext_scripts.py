"""Scripts are split, translated, cleaned and written again; notebooks contain Markdown."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

import pytest
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx_gallery.py_source_parser import Block

from bilingual import downloads, markdown, requirements, scripts

WHEEL = requirements.wheel_name("torch-handbook")
# The pattern of the specification.
PEP_723 = r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"

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


SETTINGS = SimpleNamespace(html_context={}, language="zh_CN", bilingual_title_marks={})


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
    env = SimpleNamespace(config=SETTINGS)
    assert downloads.plain_role(env, role, content) == plain


@pytest.fixture
def config():
    """Return the settings of a site with a package of its own, which is installed here."""
    return SimpleNamespace(
        downloads_package=("torch-handbook", ["handbook"]),
        downloads_needs={"handbook.plots": ["matplotlib"], "PIL.Image": ["pandas"]},
        downloads_python=">=3.11,<3.15",
        downloads_address="https://example.org/book",
    )


def pinned(package):
    """Return a requirement at the version that is installed here."""
    return f"{package}=={version(package).partition('+')[0]}"


@pytest.mark.parametrize(
    ("source", "modules", "packages"),
    [
        ("import os.path, numpy as np", ["numpy"], ["numpy"]),
        ("from PIL import ImageOps", ["PIL"], ["pillow"]),
        ("def f():\n    import torch.nn", ["torch"], ["torch"]),
        ("from handbook import fit as train", ["handbook"], []),
        ("from handbook.plots import graph", ["handbook"], ["matplotlib"]),
        ("import handbook as h\nh.plots.graph(1).x", ["handbook"], ["matplotlib"]),
        ("import PIL\nPIL.Image", ["PIL"], ["pandas", "pillow"]),
    ],
)
def test_a_lesson_needs_what_it_imports(config, source, modules, packages):
    """At the versions that are here, and the standard library needs nothing."""
    needs = requirements.needs(source, config)
    own = [f"torch-handbook @ https://example.org/book/downloads/{WHEEL}"]
    assert needs.modules == modules
    assert needs.requirements == [*map(pinned, packages), *own * ("handbook" in modules)]


def test_a_module_of_no_package_is_an_error(config):
    """The download could not run."""
    with pytest.raises(ExtensionError, match="has the module nowhere_to_be_found"):
        requirements.needs("import nowhere_to_be_found", config)


def test_the_header_is_metadata_and_leaves_the_script_alone(config, tmp_path, blocks):
    """Tools read the block as PEP 723 says; for Python and sphinx-gallery it is not there."""
    script = scripts.write(blocks)
    needs = requirements.needs("import torch, handbook", config)
    file = tmp_path / "01_one.py"
    file.write_text(requirements.script_header(needs, file.name, config) + script)
    found = [match[:2] for match in re.findall(PEP_723, file.read_text())]
    assert [kind for kind, _ in found] == ["script"]
    text = "".join(line.removeprefix("#").removeprefix(" ") for line in found[0][1].splitlines(1))
    assert tomllib.loads(text) == {
        "requires-python": ">=3.11,<3.15",
        "dependencies": needs.requirements,
    }
    assert "`uv run 01_one.py`" in file.read_text().split("\n")[0]
    assert ast.get_docstring(ast.parse(file.read_text())) == ast.get_docstring(ast.parse(script))
    assert scripts.same_program(script, file.read_text())
    first, *rest = scripts.read(file)
    assert first.content == blocks[0].content.lstrip()
    assert [block.content for block in rest] == [block.content for block in blocks[1:]]


def test_without_an_address_a_line_says_where_the_wheel_is(config, tmp_path):
    """The package is in no index, so the metadata leave it out."""
    config.downloads_address = ""
    needs = requirements.needs("import torch, handbook", config)
    assert needs.requirements == [pinned("torch")]
    first = requirements.script_header(needs, "01_one.py", config).split("\n")[0]
    assert f"`uv run --with {WHEEL} 01_one.py`" in first
    cell = requirements.install_cell(needs)
    exec(cell, {})  # all of it is here
    alone = [sys.executable, "-I", "-S", "-c", cell]
    done = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True)
    error = done.stderr.strip().split("\n")[-1]
    assert error.startswith("ModuleNotFoundError") and f"%pip install {WHEEL} torch==" in error


def without(missing):
    """Return a function that finds the versions of all packages but these."""

    def find(name):
        if name in missing:
            raise PackageNotFoundError(name)
        return version(name)

    return find


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("from PIL import Image", "pillow"),
        ("import PIL.Image", "pandas"),
        ("from handbook import plots", "matplotlib"),
    ],
)
@pytest.mark.parametrize("address", ["", "https://example.org/book"])
def test_the_first_cell_looks_for_all_that_it_would_install(
    config, monkeypatch, source, package, address
):
    """What the lesson imports, and what that needs for the names that it uses."""
    config.downloads_address = address
    cell = requirements.install_cell(requirements.needs(source, config))
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    monkeypatch.setattr("importlib.metadata.version", without({package}))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())  # pip is there
    try:
        exec(cell, {})
    except ModuleNotFoundError as error:
        calls.append(str(error).split())
    assert len(calls) == 1 and pinned(package) in calls[0]


@pytest.mark.parametrize("pip", [True, False])
def test_the_first_cell_installs_once(config, tmp_path, monkeypatch, pip):
    """It asks pip, or uv where there is no pip, for what the script lists."""
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    cell = requirements.install_cell(needs := requirements.needs("import handbook, PIL", config))
    exec(cell, {})
    assert not calls, "all of it is here"
    there = {"pip"} if pip else set()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name in there)
    monkeypatch.setattr("importlib.metadata.version", without({"pillow"}))
    exec(cell, {})
    (command,) = calls
    assert command[-len(needs.requirements) :] == needs.requirements
    assert command[:3] == [sys.executable, "-m", "pip"] if pip else command[:2] == ["uv", "pip"]
    assert sys.executable in command


@pytest.mark.parametrize("installed", ["0.0.1", None])
def test_another_version_is_installed_over(config, monkeypatch, installed):
    """The package changes with the lessons."""
    calls = []
    cell = requirements.install_cell(requirements.needs("import handbook", config))
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))

    def find(name):
        if installed is None:
            raise PackageNotFoundError(name)
        return installed

    monkeypatch.setattr("importlib.metadata.version", find)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())  # pip is there
    exec(cell, {})
    assert len(calls) == 1


def test_plain_role_links_if_the_address_is_known():
    """The downloads of a published site lead back to it."""
    context = {"base_url": "https://example.org/book", "folder": "zh"}
    env = SimpleNamespace(config=SimpleNamespace(**vars(SETTINGS) | {"html_context": context}))
    link = "`上一页 <https://example.org/book/zh/start/one.html>`__"
    assert downloads.plain_role(env, "doc", "上一页 </start/one>") == link


def test_clean_leaves_code_alone():
    """A string that looks like a directive stays as it is."""
    code = Block("code", 'x = ".. alt:: text"\n', 1)
    assert scripts.clean([code], titled, describe) == [code]


def test_markdown_rejects_unknown_elements():
    """A notebook must not lose text without an error."""
    with pytest.raises(NotImplementedError, match="topic"):
        markdown.Writer(env=None).block(nodes.topic("", nodes.title("", "Title")))
