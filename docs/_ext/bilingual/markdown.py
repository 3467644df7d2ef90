"""Write the translated page as Markdown, for the notebooks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.environment import BuildEnvironment
from sphinx.locale import admonitionlabels

from bilingual import titles


@dataclass
class Writer:
    """Write elements of a page for readers without Sphinx."""

    env: BuildEnvironment

    def blocks(self, children: Iterable[nodes.Node]) -> str:
        """Write block elements, with an empty line between two of them."""
        return "\n\n".join(text for node in children if (text := self.block(node)))

    def block(self, node: nodes.Node) -> str:
        """Write a block element."""
        match node:
            case nodes.Invisible() | nodes.system_message():  # comments, targets, notes of docutils
                return ""
            case nodes.bullet_list():
                return "\n".join(self._item("- ", item) for item in node)
            case nodes.enumerated_list():
                items = enumerate(node, node.get("start", 1))
                return "\n".join(self._item(f"{number}. ", item) for number, item in items)
            case nodes.literal_block():
                return f"```{node.get('language', '')}\n{node.astext()}\n```"
            case nodes.math_block():
                return f"$$\n{node.astext()}\n$$"
            case nodes.Admonition():
                title = f"**{admonitionlabels[node.tagname]}**"
                return _prefix("> ", f"{title}\n\n{self.blocks(node)}")
            case nodes.line_block():  # sphinx-gallery puts an empty one between two cells
                return "  \n".join(text for line in node if (text := self.inline(line)))
            case nodes.block_quote():
                return _prefix("> ", self.blocks(node))
            case nodes.table():
                return self._table(node)
            case nodes.TextElement():
                return self.inline(node)
        raise NotImplementedError(
            f"Notebooks have no Markdown for {node.tagname}: {node.astext()!r}"
        )

    def inline(self, node: nodes.Node) -> str:
        """Write the content of a paragraph on one line."""
        if isinstance(node, nodes.Text):
            return re.sub(r"([*_$<`])", r"\\\1", node.astext().replace("\n", " "))
        text = node.astext().replace("\n", " ")
        match node:
            case nodes.literal() | nodes.title_reference():  # the default role is code
                return f"`` {text} ``" if "`" in text else f"`{text}`"
            case nodes.math():
                return f"${text}$"
            case pending_xref() if node["reftype"] == "doc":
                return self._link(node, text)
        text = "".join(map(self.inline, node.children))
        match node:
            case nodes.strong():
                return f"**{text}**"
            case nodes.emphasis():
                return f"*{text}*"
            case nodes.reference() if "refuri" in node:
                return f"[{text}]({self.address(node['refuri'])})"
        # Next to Chinese, Markdown does not recognize bold text that ends in punctuation.
        return re.sub(r"(\*\*[^*]+[^\w*]\*\*)(?=\w)", r"\1 ", text)

    def address(self, found: str) -> str:
        """Return where a link leads whose address Sphinx has found."""
        return found

    def _link(self, node: pending_xref, text: str) -> str:
        """Write a link to a page, or its title where the address of the site is not known."""
        page = node["reftarget"].lstrip("/")
        if not node["refexplicit"]:
            text = titles.page_title(self.env, page)
        if address := titles.page_address(self.env, page):
            return f"[{text}]({address})"
        return text if node["refexplicit"] or node.get("marked") else f"“{text}”"

    def _item(self, mark: str, item: nodes.Element) -> str:
        rows = self.blocks(item).split("\n")
        indent = " " * len(mark)
        return mark + "\n".join(row and indent * bool(i) + row for i, row in enumerate(rows))

    def _table(self, table: nodes.table) -> str:
        """Write the rows, with an empty header if the table has none: Markdown requires one."""
        rows = [
            "| "
            + " | ".join(self.blocks(cell).replace("\n", " ").replace("|", r"\|") for cell in row)
            + " |"
            for row in table.findall(nodes.row)
        ]
        columns = next(table.findall(nodes.tgroup))["cols"]
        if not list(table.findall(nodes.thead)):
            rows.insert(0, "|" + "   |" * columns)
        rows.insert(1, "|" + " --- |" * columns)
        return "\n".join(rows)


def _prefix(mark: str, text: str) -> str:
    return "\n".join((mark + row).rstrip() for row in text.split("\n"))
