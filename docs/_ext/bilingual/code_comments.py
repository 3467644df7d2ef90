"""Comments in Python code are messages: editing code leaves their translations alone.

The tokenizer finds them, and each one is replaced in place. The code itself does not change.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Callable
from typing import NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from bilingual import catalogs, transform_priorities
from bilingual.line_wrapping import MAX_WIDTH, wrap

FORMATTER = re.compile(r"  # fmt: skip$", re.MULTILINE)
DIRECTIVE = re.compile(r"(noqa|type:|fmt:|ruff:|pragma:|sphinx_gallery_)")
ITEM = re.compile(r"[-*•] |\d+[.)] ")


class Comment(NamedTuple):
    """A trailing comment, or consecutive full-line comments that form one paragraph."""

    line: int  # the first one, counted from 0
    column: int
    text: str
    lines: int


def find_comments(code: str) -> list[Comment]:
    """List the comments that are prose, in order; shapes such as ``# (B, T)`` are left out."""
    rows = code.split("\n")
    found: list[Comment] = []
    for (row, column), text in _comment_tokens(code):
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


def translate_comments(code: str, lookup: Callable[[str], str]) -> str:
    """Replace each comment by what `lookup` returns for it, wrapped at the same indentation."""
    rows = code.split("\n")
    for comment in reversed(find_comments(code)):
        text = lookup(comment.text)
        if text == comment.text:
            continue
        before = rows[comment.line][: comment.column]
        if before.strip():
            rows[comment.line] = f"{before}# {text}"
        else:
            mark = before + re.match(r"#+\s*", rows[comment.line][comment.column :]).group()
            hang = " " * len(item.group()) if (item := ITEM.match(text)) else ""
            wrapped = f"\n{mark}{hang}".join(wrap(text, MAX_WIDTH - len(mark + hang)))
            rows[comment.line : comment.line + comment.lines] = [mark + wrapped]
    return "\n".join(rows)


def _comment_tokens(code: str) -> list[tuple[tuple[int, int], str]]:
    """Find the comments and their positions, with rows counted from 0."""
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.COMMENT:
                found.append(((token.start[0] - 1, token.start[1]), token.string))
    except (tokenize.TokenError, SyntaxError):  # a fragment in prose: keep what was found
        pass
    return found


class literal_block(nodes.literal_block, addnodes.translatable):
    """A code block. It has the name of its base class so that writers treat both alike."""

    def preserve_original_messages(self) -> None:
        """Keep the code as it is written: the messages are taken from it."""
        self["original"] = self.rawsource

    def extract_original_messages(self) -> list[str]:
        """Return the comments."""
        return [comment.text for comment in find_comments(self["original"])]

    def apply_translated_message(self, original_message: str, translated_message: str) -> None:
        """Do nothing: Sphinx skips a node once one of its messages is unchanged.

        `TranslateCodeComments` does it.
        """


class MarkCodeComments(SphinxTransform):
    """Make Python code translatable, before Sphinx notes the messages.

    What a line says to a formatter is not shown; the downloads keep it.
    """

    default_priority = transform_priorities.MARK_CODE_COMMENTS

    def apply(self, **kwargs: object) -> None:
        """Replace the plain nodes."""
        for node in list(self.document.findall(nodes.literal_block)):
            if node.get("language") in ("python", "Python", "py"):
                code = FORMATTER.sub("", node.rawsource)
                new = literal_block(code, code, **node.attributes)
                new.source, new.line = node.source, node.line
                node.replace_self(new)
        for formula in self.document.findall(nodes.math_block):
            formula["translatable"] = False


class TranslateCodeComments(SphinxTransform):
    """Put the translated comments into the code, after Sphinx has translated the prose."""

    default_priority = transform_priorities.TRANSLATE_CODE_COMMENTS

    def apply(self, **kwargs: object) -> None:
        """Look up every comment in the catalog of the page."""
        translations = catalogs.translations(self.env)
        if not translations:
            return
        for node in self.document.findall(literal_block):
            node.rawsource = translate_comments(
                node.rawsource, lambda message: translations.get(message, message)
            )
            node[:] = [nodes.Text(node.rawsource)]


def setup(app: Sphinx) -> None:
    """Register both transforms."""
    app.add_transform(MarkCodeComments)
    app.add_transform(TranslateCodeComments)
