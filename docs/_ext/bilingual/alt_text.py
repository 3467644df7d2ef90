"""The directive ``.. alt:: text`` describes the figures that the next code block draws."""

from __future__ import annotations

from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.builders.gettext import MessageCatalogBuilder
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx_gallery.directives import imgsgnode

from bilingual import transform_priorities

logger = logging.getLogger(__name__)


class alt_text(nodes.General, nodes.TextElement):
    """A message like a paragraph, until it is moved into its figure."""


class Alt(SphinxDirective):
    """Read the text, which may continue on indented lines."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Create the node."""
        self.assert_has_content()
        text = " ".join(line.strip() for line in self.content)
        children, errors = self.state.inline_text(text, self.lineno)
        node = alt_text(text, "", *children)
        self.set_source_info(node)
        return [node, *errors]


class MoveAltText(SphinxTransform):
    """Move each alt text into the figures that the code block after it draws."""

    default_priority = transform_priorities.MOVE_ALT_TEXT

    def apply(self, **kwargs: object) -> None:
        """Go through the page in reading order, unless a catalog is built: it needs the texts."""
        if issubclass(self.env._builder_cls, MessageCatalogBuilder):
            return
        text, blocks = None, 0
        for node in list(self.document.findall()):
            if isinstance(node, alt_text):
                text, blocks = node.astext(), 0
                node.parent.remove(node)
            elif isinstance(node, nodes.literal_block) and node.get("language") != "none":
                blocks += 1
            elif isinstance(node, imgsgnode):
                if text is None or blocks != 1:
                    logger.warning("a figure without `.. alt::` before its code", location=node)
                else:
                    node["alt"] = escape(text)


def setup(app: Sphinx) -> None:
    """Register directive, node and transform."""
    app.add_node(alt_text)
    app.add_directive("alt", Alt)
    app.add_transform(MoveAltText)
