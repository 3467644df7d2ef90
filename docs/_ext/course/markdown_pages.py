"""Each lesson as Markdown beside its page, for readers that are programs: text, code and output.

`llms.txt`, which `site_root` writes, lists them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx_gallery._doctree_links import code_links_block

from bilingual import folds, markdown
from course import book
from looks import figures


@dataclass
class Writer(markdown.Writer):
    """Writes a page of which the other lessons, and its figures, are files beside it."""

    builder: Builder
    page: str

    def address(self, found: str) -> str:
        """Return the address of a lesson as Markdown, which has no places; others stay."""
        path = found.partition("#")[0].removesuffix(".html")
        other = posixpath.normpath(posixpath.join(posixpath.dirname(self.page), path))
        return f"{path}.md" if path and book.lesson_of(self.env.config, other) else found


def write_page(app: Sphinx, document: nodes.document, page: str) -> None:
    """Write the Markdown of a lesson when its page is written."""
    if app.builder.name != "html" or book.lesson_of(app.config, page) is None:
        return
    text = "\n\n".join(_blocks(Writer(app.env, app.builder, page), document.children, 0)) + "\n"
    file = Path(app.outdir, f"{page}.md")
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.read_text("utf-8") != text:
        file.write_text(text, "utf-8")


def _blocks(writer: Writer, children: Iterable[nodes.Node], level: int) -> list[str]:
    return [text for node in children if (text := _block(writer, node, level))]


def _block(writer: Writer, node: nodes.Node, level: int) -> str:
    """Convert what only pages have; the rest is converted as for the notebooks."""
    match node:
        case nodes.section():
            return "\n\n".join(_blocks(writer, node.children, level + 1))
        case nodes.title():
            return f"{'#' * level} {writer.inline(node)}"
        case folds.fold():
            title = f"**{folds.title(node['kind'], node['number'])}**"
            return "\n\n".join([title, *_blocks(writer, node.children, level)])
        case figures.drawn():
            file = figures.address(writer.builder, node["uri"], writer.page)
            return f"![{' '.join(node['alt'].split())}]({file})"
        case nodes.literal_block() | code_links_block():  # the latter has links in the code
            name = node.get("language", node.get("lang", "")).lower()
            return f"```{'text' if name == 'none' else name}\n{node.astext().strip()}\n```"
        case nodes.container() | nodes.note() | nodes.compound() | nodes.block_quote():
            skipped = ("lesson-head", "sphx-glr-footer", "sphx-glr-download-link-note")
            if any(name in node["classes"] for name in skipped):
                return ""
            if isinstance(node, nodes.container | nodes.compound):
                return "\n\n".join(_blocks(writer, node.children, level))
        case nodes.raw() | nodes.system_message() | nodes.Invisible():
            return ""
    return writer.block(node)


def setup(app: Sphinx) -> None:
    """Register the handler."""
    app.connect("doctree-resolved", write_page, priority=900)  # after the figures are put in
