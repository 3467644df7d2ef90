"""A lesson as the rules see it: its text, its cells and their kinds, and its syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bilingual import scripts
from bilingual.folds import KINDS

# A label may stand before it.
STARTS_FOLD = re.compile(rf"(?:\s*\.\. _[\w-]+:)*\s*\.\. (?P<kind>{'|'.join(KINDS)})::.*")
VISIBLE = "visible"
LEARNER = re.compile(r"# learner: \S")


class Fault(NamedTuple):
    """What is wrong in a line, and what to do about it."""

    line: int
    text: str


class Cell(NamedTuple):
    """A block of code: visible, or in a fold of some kind."""

    kind: str
    line: int  # of its first line in the script, counted from 1
    code: str
    statements: list[ast.stmt]


class Lesson:
    """A script `examples/<part>/NN_name.py`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.source = file.read_text("utf-8")
        self.lines = self.source.split("\n")
        self.blocks = scripts.read(file)
        self.tree = ast.parse(self.source)
        self.text = "\n\n".join(block.content for block in self.blocks if block.type == "text")

    @cached_property
    def cells(self) -> list[Cell]:
        """The blocks of code. One without a text of its own before it belongs to the one before."""
        found, kind = [], VISIBLE
        for n, block in enumerate(self.blocks):
            if block.type == "text":
                fold = STARTS_FOLD.match(block.content)
                kind = fold["kind"] if fold else VISIBLE
                continue
            end = self.blocks[n + 1].lineno if n + 1 < len(self.blocks) else len(self.lines) + 1
            inside = [node for node in self.tree.body[1:] if block.lineno <= node.lineno < end]
            found.append(Cell(kind, block.lineno, block.content, inside))
        return found

    def faults(self, rules: dict[str, object]) -> Iterator[str]:
        """Apply rules; lines that say `# learner: why` are exempt."""
        for name, rule in rules.items():
            for fault in rule(self):
                if not LEARNER.search(self.lines[fault.line - 1]):
                    yield f"{self.file}:{fault.line}: {name}; {fault.text}"
