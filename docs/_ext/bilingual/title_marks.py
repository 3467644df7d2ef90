"""Marks around the title of a page, where a language writes them: 《标题》 in Chinese.

A link that shows the title of its page gets them in a sentence. In a list of links, in a menu and
in the head of a lesson the title stands alone.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import SphinxTransform

from bilingual import transform_priorities


def marks_of(config: Config) -> str:
    """Return the two marks of the language, or an empty text."""
    marks: str = config.bilingual_title_marks.get(config.language, "")
    return marks


class MarkTitles(SphinxTransform):
    """Put the marks around each link that is part of a sentence."""

    default_priority = transform_priorities.MARK_TITLES

    def apply(self, **kwargs: object) -> None:
        """Add the marks as text, so that the link itself stays as it is."""
        marks = marks_of(self.config)
        if not marks:
            return
        for link in list(self.document.findall(pending_xref)):
            if link["reftype"] != "doc" or link["refexplicit"] or link.get("listed"):
                continue
            if link.parent.astext().strip() == link.astext().strip():
                continue  # it stands alone
            place = link.parent.index(link)
            link["marked"] = True
            link.parent[place : place + 1] = [nodes.Text(marks[0]), link, nodes.Text(marks[1])]


def setup(app: Sphinx) -> None:
    """Register the transform."""
    app.add_transform(MarkTitles)
