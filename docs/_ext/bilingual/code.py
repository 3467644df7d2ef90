"""Code blocks whose comments are messages: editing code leaves the translations alone."""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from bilingual import catalogs, comments


class literal_block(nodes.literal_block, addnodes.translatable):
    """A code block; named as its base so that writers treat both alike."""

    def preserve_original_messages(self) -> None:
        """Keep the code as written: messages are taken from it."""
        self["original"] = self.rawsource

    def extract_original_messages(self) -> list[str]:
        """Give the comments."""
        return [comment.text for comment in comments.find(self["original"])]

    def apply_translated_message(self, original_message: str, translated_message: str) -> None:
        """Leave it to `TranslateComments`: Sphinx skips a node once one message is unchanged."""


class MarkCode(SphinxTransform):
    """Make Python code translatable, before messages are collected."""

    default_priority = 5

    def apply(self, **kwargs: object) -> None:
        """Replace the plain nodes."""
        for node in list(self.document.findall(nodes.literal_block)):
            if node.get("language") in ("python", "Python", "py"):
                new = literal_block(node.rawsource, *node.children, **node.attributes)
                new.source, new.line = node.source, node.line
                node.replace_self(new)
        for formula in self.document.findall(nodes.math_block):
            formula["translatable"] = False


class TranslateComments(SphinxTransform):
    """Put the translated comments into the code, after Sphinx translated the prose."""

    default_priority = 21

    def apply(self, **kwargs: object) -> None:
        """Look every comment up in the page's catalog."""
        known = catalogs.messages(self.env)
        if not known:
            return
        for node in self.document.findall(literal_block):
            node.rawsource = comments.translate(node.rawsource, lambda text: known.get(text, text))
            node[:] = [nodes.Text(node.rawsource)]


def setup(app: Sphinx) -> None:
    """Register both transforms."""
    app.add_transform(MarkCode)
    app.add_transform(TranslateComments)
