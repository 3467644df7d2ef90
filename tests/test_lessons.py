"""Each lesson has the form that readers rely on."""

import ast
import re
import sys
from pathlib import Path

import pytest

from bilingual.sphinx_build import ROOT
from course.lesson import Lesson as Script
from course.order import ORDER

EXAMPLES = ROOT / "examples"
LESSONS = {
    file.relative_to(EXAMPLES).with_suffix("").as_posix(): file
    for file in sorted(EXAMPLES.glob("*/[0-9]*.py"))
}
PACKAGES = {
    "handbook",
    "matplotlib",
    "numpy",
    "PIL",
    "safetensors",
    "tensorboard",
    "torch",
    "torchvision",
}
DRAWS = re.compile(r"\bplt\.(subplots|figure|subplot_mosaic)\(|\bplots\.\w+\(")


class Lesson(Script):
    """A script, its blocks of text and code, and its titles."""

    def __init__(self, name: str) -> None:
        super().__init__(LESSONS[name])
        self.name = name
        self.code = [cell.code.strip("\n") for cell in self.cells]
        self.titles = re.findall(r"(?m)^(\S.*)\n-{3,}$", self.text)

    def paragraphs(self) -> list[str]:
        """Give the running text, without titles and directives."""
        found = []
        for paragraph in re.split(r"\n\s*\n", self.text):
            for item in re.split(r"(?m)^\s*(?:[-*]|\d+\.) ", paragraph):
                text = " ".join(item.split())
                if text and not re.search(r"^\.\. |^:\w+:|[=-]{4,}", text):
                    found.append(text)
        return found


@pytest.fixture(params=LESSONS)
def lesson(request) -> Lesson:
    """Give one lesson after the other."""
    return Lesson(request.param)


def test_order_names_every_lesson():
    """A lesson that is not in the chain would not be found."""
    assert sorted(ORDER) == sorted(LESSONS)


def test_opening(lesson):
    """A title, and one question; nobody's name."""
    title, rule, rest = ast.get_docstring(lesson.tree).split("\n", 2)
    assert rule == "=" * len(title) and len(title) < 60
    question = " ".join(rest.strip().split("\n\n")[0].split())
    assert question.endswith("?") and question.count("?") == 1, question
    assert not re.search(r"(?i)\b(author|copyright|licen[cs]e|date):", lesson.source)


def test_links(lesson):
    """All pages to which the text links exist."""
    for link in re.findall(r":doc:`(?:[^`<]*<)?([^`<>]+)>?`", lesson.text):
        page = ROOT / f"docs{link}.md"
        assert link.removeprefix("/lessons/") in LESSONS or page.exists(), link


def test_words_are_linked(lesson):
    """A reader can look up the words, in the glossary, and the names, in the documentation."""
    assert re.search(r":term:`", lesson.text)
    assert re.search(r":(func|class|meth|mod):`", lesson.text)


def test_ending(lesson):
    """What you learnt, in 3 to 5 lines; three exercises; the way on."""
    ending = [title for title in lesson.titles if title != "Next"][-2:]
    assert ending == ["What you learnt", "Exercises"]
    learnt = re.split(r"(?m)^What you learnt\n-+$", lesson.text)[1].split("Exercises\n---")[0]
    assert 3 <= len(re.findall(r"(?m)^- ", learnt)) <= 5
    exercises = re.split(r"(?m)^Exercises\n-+$", lesson.text)[1]
    starts = re.findall(r"(?m)^(?:\d+|#)\. (\*\*\w+\.\*\*)", exercises)
    assert starts == ["**Predict.**", "**Change.**", "**Extend.**"]


def test_answers(lesson):
    """Each exercise has an answer: code that is checked."""
    assert re.findall(r"(?m)^\.\. answer:: (\S+)$", lesson.text) == ["1", "2", "3"]
    folded: list[str] = []
    for block in lesson.blocks:
        start = block.type == "text" and re.match(r"\.\. (\w+)::", block.content)
        if start and start[1] == "answer":
            folded.append("")
        elif folded and (block.type == "code" or (start and start[1] in ("check", "drawing"))):
            folded[-1] += block.content
        elif folded:
            break
    assert len(folded) == 3 and all("assert" in code for code in folded)


def test_figures(lesson):
    """One to four, each drawn by a block of its own, after the words that describe it."""
    described, words = 0, ""
    for block in lesson.blocks:
        if block.type == "text":
            words += block.content
            continue
        drawn = len(DRAWS.findall(block.content)) > 0
        assert drawn == (".. alt::" in words), block.content
        described, words = described + drawn, ""
    assert 1 <= described == lesson.text.count(".. alt::") <= 4


def test_code(lesson):
    """What a reader can run anywhere, and nothing that belongs elsewhere."""
    for node in ast.walk(lesson.tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first = name.split(".")[0]
            assert first in PACKAGES | sys.stdlib_module_names and first != "argparse", name
            assert first != "handbook" or not re.search(r"\._[a-z]", name), name
    assert not re.search(r"plt\.show\(|def main\(|warnings\.(filter|simple)", lesson.source)
    names = {node.id for node in ast.walk(lesson.tree) if isinstance(node, ast.Name)}
    assert "__name__" not in names, "a guard belongs into scripts that a lesson writes"
    assert "assert " in lesson.source.split("\n# Exercises\n")[0]
    if re.search(r"\brand|shuffle|\bfit\(|nn\.", ast.unparse(ast.Module(lesson.tree.body[1:], []))):
        assert "manual_seed(" in lesson.code[0], "seeds stand at the top"


def test_words(lesson):
    """Nothing is simple or obvious to everybody."""
    for text in lesson.paragraphs():
        found = re.search(r"(?i)\b(simply|obviously|of course|trivially)\b", text)
        assert not found, text


def test_parts_have_headers():
    """Each part introduces itself."""
    for part in {Path(name).parent.as_posix() for name in LESSONS}:
        assert (EXAMPLES / part / "GALLERY_HEADER.rst").exists()
