"""Convert the reStructuredText that lessons may use to Markdown, for the notebooks."""

from __future__ import annotations

import re
from collections.abc import Iterable

from docutils import nodes
from docutils.core import publish_doctree
from sphinx.environment import BuildEnvironment
from sphinx.locale import admonitionlabels

LEVELS = {"=": "#", "-": "##", "~": "###"}
HEADING = re.compile(r"(?m)^(?P<title>\S.*)\n(?P<rule>[=~-])(?P=rule){2,}$")


def convert(text: str, env: BuildEnvironment) -> str:
    """Convert a block: headings by a pattern, the text between them with docutils."""
    parts, end = [], 0
    for heading in HEADING.finditer(text):
        parts.append(_body(text[end : heading.start()], env))
        parts.append(f"{LEVELS[heading['rule']]} {heading['title']}")
        end = heading.end()
    parts.append(_body(text[end:], env))
    return "\n\n".join(part for part in parts if part)


def _body(text: str, env: BuildEnvironment) -> str:
    settings = {"env": env, "halt_level": 2, "character_level_inline_markup": True}
    settings |= {"doctitle_xform": False, "sectsubtitle_xform": False, "smart_quotes": False}
    return _blocks(publish_doctree(text, settings_overrides=settings).children)


def _blocks(children: Iterable[nodes.Node]) -> str:
    return "\n\n".join(text for node in children if (text := _block(node)))


def _block(node: nodes.Node) -> str:
    """Write a block element."""
    match node:
        case nodes.comment() | nodes.target():
            return ""
        case nodes.bullet_list():
            return "\n".join(_item("- ", item) for item in node)
        case nodes.enumerated_list():
            start = node.get("start", 1)
            return "\n".join(_item(f"{number}. ", item) for number, item in enumerate(node, start))
        case nodes.literal_block():
            return f"```{node.get('language', '')}\n{node.astext()}\n```"
        case nodes.math_block():
            return f"$$\n{node.astext()}\n$$"
        case nodes.Admonition():
            title = f"**{admonitionlabels[node.tagname]}**"
            return _prefix("> ", f"{title}\n\n{_blocks(node)}")
        case nodes.block_quote():
            return _prefix("> ", _blocks(node))
        case nodes.table():
            return _table(node)
        case nodes.TextElement():
            return _inline(node)
    raise NotImplementedError(f"Notebooks have no Markdown for {node.tagname}: {node.astext()!r}")


def _item(mark: str, item: nodes.Element) -> str:
    rows = _blocks(item).split("\n")
    return mark + "\n".join(row and " " * len(mark) * bool(i) + row for i, row in enumerate(rows))


def _prefix(mark: str, text: str) -> str:
    return "\n".join((mark + row).rstrip() for row in text.split("\n"))


def _table(table: nodes.table) -> str:
    """Write the rows, with an empty header if the table has none: Markdown requires one."""
    rows = [
        "| "
        + " | ".join(_blocks(cell).replace("\n", " ").replace("|", r"\|") for cell in row)
        + " |"
        for row in table.findall(nodes.row)
    ]
    columns = next(table.findall(nodes.tgroup))["cols"]
    if not list(table.findall(nodes.thead)):
        rows.insert(0, "|" + "   |" * columns)
    rows.insert(1, "|" + " --- |" * columns)
    return "\n".join(rows)


def _inline(node: nodes.Node) -> str:
    """Write the content of a paragraph on one line."""
    if isinstance(node, nodes.Text):
        return re.sub(r"([*_$<`])", r"\\\1", node.astext().replace("\n", " "))
    text = node.astext().replace("\n", " ")
    match node:
        case nodes.literal() | nodes.title_reference():  # the default role is code
            return f"`` {text} ``" if "`" in text else f"`{text}`"
        case nodes.math():
            return f"${text}$"
    text = "".join(map(_inline, node.children))
    match node:
        case nodes.strong():
            return f"**{text}**"
        case nodes.emphasis():
            return f"*{text}*"
        case nodes.reference():
            return f"[{text}]({node['refuri']})"
    # Next to Chinese, Markdown does not recognize bold text that ends in punctuation.
    return re.sub(r"(\*\*[^*]+[^\w*]\*\*)(?=\w)", r"\1 ", text)
