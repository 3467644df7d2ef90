"""Comments in Python code: found by the tokenizer, replaced in place; code stays as it is."""

from __future__ import annotations

import io
import re
import tokenize
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

WIDTH = 88
DIRECTIVE = re.compile(r"(noqa|type:|fmt:|ruff:|pragma:|sphinx_gallery_)")
ITEM = re.compile(r"[-*•] |\d+[.)] ")


class Comment(NamedTuple):
    """A comment of its own, or a run of full-line comments that reads as one paragraph."""

    line: int  # of its first line, from 0
    column: int
    text: str
    lines: int


def find(code: str) -> list[Comment]:
    """List the comments that are prose, in order; shapes such as ``# (B, T)`` are not."""
    rows = code.split("\n")
    found: list[Comment] = []
    for (row, column), text in _tokens(code):
        full_line = not rows[row][:column].strip()
        text = re.sub(r"^#+ ?", "", text).rstrip()
        last = found[-1] if found else None
        if (
            full_line
            and last
            and (last.line + last.lines, last.column) == (row, column)
            and not rows[last.line][:column].strip()
            and text
            and last.text
            and not ITEM.match(text)
            and (text[0] != " " or ITEM.match(last.text))
        ):
            found[-1] = last._replace(text=f"{last.text} {text.strip()}", lines=last.lines + 1)
        else:
            found.append(Comment(row, column, text, 1))
    return [
        comment._replace(text=comment.text.strip())
        for comment in found
        if re.search("[a-z]{2}", comment.text) and not DIRECTIVE.match(comment.text)
    ]


def translate(code: str, lookup: Callable[[str], str]) -> str:
    """Replace each comment by what `lookup` makes of it, wrapped at the same indentation."""
    rows = code.split("\n")
    for comment in reversed(find(code)):
        text = lookup(comment.text)
        if text == comment.text:
            continue
        before = rows[comment.line][: comment.column]
        if before.strip():
            rows[comment.line] = f"{before}# {text}"
        else:
            mark = before + re.match(r"#+\s*", rows[comment.line][comment.column :]).group()
            hang = " " * len(item.group()) if (item := ITEM.match(text)) else ""
            wrapped = f"\n{mark}{hang}".join(wrap(text, WIDTH - len(mark + hang)))
            rows[comment.line : comment.line + comment.lines] = [mark + wrapped]
    return "\n".join(rows)


def wrap(text: str, width: int) -> list[str]:
    """Break a paragraph into lines: Latin words stay whole, Chinese breaks between characters."""
    rows, row = [], ""
    for piece in PIECE.findall(text):
        if row.strip() and display_width((row + piece).rstrip()) > width:
            rows.append(row.rstrip())
            row = piece.lstrip()
        else:
            row += piece
    return [*rows, row.rstrip()] if row.strip() else rows


def display_width(text: str) -> int:
    """Count the columns of a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


# What a line may not be broken within: inline code, a word, one Chinese character; with the
# punctuation that may not begin or end a line, and the space that follows.
_WIDE = "\u2e80-\ua4cf\uf900-\ufaff\uff00-\uffef\u3000-\u303f“”…—"
PIECE = re.compile(rf"[（“《]*(?:`+[^`]+`+_*|[^\s`{_WIDE}]+|[{_WIDE}`])[，。：；？！）”》、…]*\s*")


def _tokens(code: str) -> list[tuple[tuple[int, int], str]]:
    """Find the comments with their positions, rows counted from 0."""
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.COMMENT:
                found.append(((token.start[0] - 1, token.start[1]), token.string))
    except (tokenize.TokenError, SyntaxError):  # a fragment in prose: what was found counts
        pass
    return found
