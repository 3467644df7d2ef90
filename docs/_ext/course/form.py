"""The form of a lesson: its head, its cells and its folds.

Each rule is a generator that takes a lesson and yields faults, as in `learners_python`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from bilingual.folds import KINDS
from course.lesson import STARTS_FOLD, VISIBLE, Fault, Lesson
from course.scopes import events

Rule = Callable[[Lesson], Iterator[Fault]]
RULES: dict[str, Rule] = {}
MAX_COLUMNS = 80
MAX_LINES = 15
AFTER_THIS_LESSON = "After this lesson you can"
# Of which kinds of cells a cell may use the names.
REACH = {
    VISIBLE: {VISIBLE},
    "answer": {VISIBLE, "answer"},
    "earlier": {VISIBLE, "answer", "earlier"},
    "check": {VISIBLE, "answer", "earlier", "check"},  # where the rule `check` allows no names
    "drawing": {VISIBLE, "answer", "earlier", "drawing"},
}


def rule(check: Rule) -> Rule:
    """Register a rule by the name of its function."""
    RULES[check.__name__.replace("_", " ")] = check
    return check


@rule
def head(lesson: Lesson) -> Iterator[Fault]:
    """A question, why a reader has it, and what they can do afterwards."""
    text = ast.get_docstring(lesson.tree) or ""
    before, found, after = text.partition(f"\n{AFTER_THIS_LESSON}\n")
    if not found:
        yield Fault(1, f'end the docstring with the line "{AFTER_THIS_LESSON}" and three bullets')
        return
    if len(re.findall(r"(?m)^- ", after)) != 3 or re.search(r"(?m)^[^-\s]", after):
        yield Fault(1, f'three bullets follow "{AFTER_THIS_LESSON}", and nothing else')
    if re.search(r":doc:`", text):
        yield Fault(1, "no link to other lessons in the head: the site adds them")
    if "\n\n" not in before.partition("?")[2].strip("\n") and not before.partition("?")[2].strip():
        yield Fault(1, "say why a reader has this question, in two to four sentences")


@rule
def long_line(lesson: Lesson) -> Iterator[Fault]:
    for number, line in enumerate(lesson.lines, 1):
        if len(line) > MAX_COLUMNS:
            yield Fault(number, f"wrap it: {len(line)} columns, {MAX_COLUMNS} fit on the page")


@rule
def long_cell(lesson: Lesson) -> Iterator[Fault]:
    for cell in lesson.cells:
        lines = [line for line in cell.code.split("\n") if line.strip()]
        if cell.kind == VISIBLE and len(lines) > MAX_LINES:
            first = cell.line + next(n for n, line in enumerate(cell.code.split("\n")) if line)
            yield Fault(first, f"split it: {len(lines)} lines, {MAX_LINES} are one step")


@rule
def fold(lesson: Lesson) -> Iterator[Fault]:
    """A fold begins its block; only an answer and the box at the foot hold text."""
    earlier = []
    for block in lesson.blocks:
        if block.type != "text":
            continue
        start = STARTS_FOLD.match(block.content)
        for found in re.finditer(rf"(?m)^ *\.\. ({'|'.join(KINDS)})::", block.content):
            if not start or found.start() > start.end():
                line = block.lineno + block.content[: found.start()].count("\n")
                yield Fault(line, f"`.. {found[1]}::` begins a block of its own")
        if not start:
            continue
        kind, rest = start["kind"], block.content[start.end() :]
        if re.search(r"(?m)^\S", rest):
            yield Fault(block.lineno, "the text of a fold is indented; other text is a new block")
        if kind in ("check", "drawing") and rest.strip():
            alone = re.fullmatch(r"\s*\.\. alt::.*(\n {4,}.*|\n\s*)*", rest)
            if kind == "check" or not alone:
                yield Fault(block.lineno, f"a {kind} holds code, and no text")
        earlier += [block] * (kind == "earlier")
    for block in earlier[1:]:
        yield Fault(block.lineno, "one box for those who learned it earlier")
    if earlier:
        after = lesson.blocks[lesson.blocks.index(earlier[0]) + 1 :]
        kinds = [STARTS_FOLD.match(each.content) for each in after if each.type == "text"]
        if not all(each and each["kind"] in ("check", "drawing") for each in kinds):
            yield Fault(earlier[0].lineno, "this box is the last thing of the lesson")


@rule
def mail_link(lesson: Lesson) -> Iterator[Fault]:
    """The markup takes ``recall@10`` for an address, and writes a link for letters to it."""
    for block in lesson.blocks:
        if block.type != "text" or ".. alt::" in block.content:
            continue
        code = r"``.+?``|`[^`]+`"
        text = re.sub(code, lambda found: "\n" * found[0].count("\n"), block.content)
        for found in re.finditer(r"\w+@\w{2,}", text):
            line = block.lineno + text[: found.start()].count("\n")
            yield Fault(line, f"write ``{found[0]}`` as code, with two backquotes")


@rule
def check(lesson: Lesson) -> Iterator[Fault]:
    """Asserts stand in checks, and nothing else does; each states one claim."""
    for cell in lesson.cells:
        for statement in cell.statements:
            if cell.kind == "check" and not isinstance(statement, ast.Assert):
                yield Fault(
                    statement.lineno,
                    "a check holds asserts alone: put this into the assert, or show it",
                )
            for node in ast.walk(statement):
                if not isinstance(node, ast.Assert):
                    continue
                if cell.kind != "check":
                    yield Fault(node.lineno, "asserts stand in a block that begins `.. check::`")
                if node.msg is None:
                    yield Fault(node.lineno, "the message of an assert states its claim")
                if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And):
                    yield Fault(node.lineno, "one claim for each assert")


@rule
def drawing(lesson: Lesson) -> Iterator[Fault]:
    for cell in lesson.cells:
        if cell.kind == "drawing":
            for node in (each for root in cell.statements for each in ast.walk(root)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                    yield Fault(node.lineno, "a drawing only draws; what is printed is shown")


@rule
def name_from_a_fold(lesson: Lesson) -> Iterator[Fault]:
    """Hold what a reader sees: it runs without what is folded."""
    bound_in: dict[str, str] = {}
    for cell in lesson.cells:
        for event in events(cell.statements):
            kind = bound_in.get(event.name, VISIBLE)
            if event.bound:
                bound_in[event.name] = cell.kind
            elif kind not in REACH[cell.kind]:
                yield Fault(event.node.lineno, f"{event.name} comes from a fold ({kind})")
