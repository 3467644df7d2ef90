"""Split lessons into blocks of text and code, translate and clean these, and write them again."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path

from sphinx_gallery.py_source_parser import Block, split_code_and_text_blocks

from bilingual import line_wrapping
from bilingual.code_comments import translate_comments
from bilingual.folds import KINDS

# Between two words of a paragraph: at most one line break. (Sets such as [ \t] compile slowly.)
GAP = r"(?: *\\?\n *| +)"
UNDERLINE = re.compile(r"(?m)^(?P<title>\S.*)\n(?P<rule>([=~^-])\3{2,})$")
Describe = Callable[[str, str], str]
Title = Callable[[str, str], str]
ROLE = re.compile(r":(?:py:|std:)?(\w+):`([^`]+)`")
ALT = re.compile(r"(?m)^( *)\.\. alt::.*\n?(?:(?:\1 +.*)?\n)*")
FOLD = re.compile(
    rf"(?m)^\.\. ({'|'.join(KINDS)}):: *(\S*) *(?:\n|\Z)(?P<text>(?:(?: +.*)?(?:\n|\Z))*)"
)


def read(file: Path) -> list[Block]:
    """Split a script as sphinx-gallery does."""
    return split_code_and_text_blocks(str(file))[1]


def title(file: Path) -> str:
    """Return the first line of a script's docstring."""
    return read(file)[0].content.strip().partition("\n")[0]


def translate(
    blocks: list[Block], translations: dict[str, str], wrap: bool = True
) -> tuple[list[Block], set[str]]:
    """Translate text and comments; also return the messages that were not found."""
    unmatched = set(translations)

    def lookup(message: str) -> str:
        unmatched.discard(message)
        return translations.get(message, message)

    new = []
    for block in blocks:
        if block.type == "code":
            content = translate_comments(block.content, lookup)
        else:
            content = _translate_text(block.content, translations, unmatched, wrap)
        new.append(block._replace(content=content))
    return new, unmatched


def _translate_text(
    text: str, translations: dict[str, str], unmatched: set[str], wrap: bool
) -> str:
    """Replace paragraphs, the longest first, so that no message is found within another one."""
    done: list[str] = []

    def replace(match: re.Match[str]) -> str:
        translation = translations[message]
        done.append(_fit(translation, match, wrap) if translation != message else match[0])
        unmatched.discard(message)
        return f"\0{len(done) - 1}\0"

    for message in sorted(translations, key=len, reverse=True):
        if all(word in text for word in message.split()):  # most are not, and need no pattern
            text = _pattern(message).sub(replace, text)
    text = re.sub("\0(\\d+)\0", lambda match: done[int(match[1])], text)
    return UNDERLINE.sub(_underline, text)


@cache
def _pattern(message: str) -> re.Pattern[str]:
    """Match a message up to the end of a line, however it is wrapped in the script."""
    words = GAP.join(map(re.escape, message.split()))
    return re.compile(rf"(?<!\S){words}(?=[ \t]*(?:\n|\Z))")


def _fit(text: str, match: re.Match[str], wrap: bool) -> str:
    """Wrap a translation like the original, with the same indentation on every further line."""
    source, start = match.string, match.start()
    before = source[source.rfind("\n", 0, start) + 1 : start]
    titled = UNDERLINE.match(source, start)
    if not wrap or titled:
        return text
    second = re.search(r"\n([ \t]*)", match[0])
    if second:
        indent = second[1]
    else:
        directive = before.lstrip().startswith("..")
        indent = " " * (len(before) - len(before.lstrip()) + 3 if directive else len(before))
    return f"\n{indent}".join(line_wrapping.wrap(text, line_wrapping.MAX_WIDTH - len(indent) - 2))


def _underline(match: re.Match[str]) -> str:
    width = max(len(match["rule"]), line_wrapping.display_width(match["title"]))
    return f"{match['title']}\n{match['rule'][0] * width}"


def clean(blocks: list[Block], title: Title, describe: Describe) -> list[Block]:
    """Replace what only the site understands by what a reader of the file understands.

    Alt texts are removed, a fold such as ``.. answer:: 1`` becomes the bold words that
    `title("answer", "1")` returns, if any, and roles become plain text. A block of text in which
    nothing is left is dropped.
    """

    def name(match: re.Match[str]) -> str:
        words = title(match[1], match[2])
        text = textwrap.dedent(match["text"]).strip()
        parts = [f"**{words}**" if words else "", text]
        return "".join(f"{part}\n\n" for part in parts if part)

    cleaned = []
    for block in blocks:
        if block.type == "text":
            text = FOLD.sub(name, ALT.sub("", block.content))
            block = block._replace(content=plain(text, describe))
        if block.content.strip():
            cleaned.append(block)
    return cleaned


def plain(text: str, describe: Describe) -> str:
    """Replace each role by what `describe(role, content)` returns for it."""
    return ROLE.sub(lambda match: describe(match[1], match[2]), text)


def write(blocks: list[Block]) -> str:
    """Join the blocks into a script."""
    docstring = blocks[0].content.strip("\n") + "\n"
    raw = "r" if "\\" in docstring else ""
    parts = [f'{raw}"""{docstring}"""\n\n']
    last = ""
    for block in blocks[1:]:
        if block.type == "text":
            rows = block.content.rstrip("\n").split("\n")
            parts.append("\n" if last == "text" else "")
            parts.append("# %%\n" + "".join(f"# {row}".rstrip() + "\n" for row in rows))
        else:
            parts.append(("# %%\n" if last == "code" else "") + block.content)
        last = block.type
    return "".join(parts).rstrip("\n") + "\n"


def same_program(one: str, other: str) -> bool:
    """Return whether two scripts differ only in docstring, comments and layout."""
    return _program(one) == _program(other)


def _program(source: str) -> list[str]:
    return [ast.dump(statement) for statement in ast.parse(source).body[1:]]
