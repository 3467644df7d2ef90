"""Directives that fold the code after them: what a reader may want to see, but not at once.

============  =====================================================================
``answer::``  the answer to an exercise, by its number: text, code, output, figures
``check::``   assertions
``drawing::`` code that only draws; its figures stay in sight
``earlier::`` what has changed, for readers who learned it earlier: text, code
============  =====================================================================

A check or a drawing directly after an answer or after ``earlier`` belongs to it, and is inside it.
The alt text of a folded drawing stands in the text before it, or in the directive itself.
"""

from __future__ import annotations

from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.locale import _
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator
from sphinx_gallery.directives import imgsgnode

from bilingual import shared_words, transform_priorities
from bilingual.settings import DEFAULTS

logger = logging.getLogger(__name__)
RESULTS = (nodes.literal_block, nodes.comment, nodes.raw, imgsgnode)
IMAGES = ("sphx-glr-horizontal", "sphx-glr-single-img", "sphx-glr-multi-img")


class Kind(NamedTuple):
    """A kind of fold."""

    title: str
    numbered: bool = False
    inner: bool = False  # inside a fold of another kind that it follows
    shows_figures: bool = False
    needs_code: bool = False
    titled_in_downloads: bool = True
    hides_results: bool = False  # of its code, in a notebook


KINDS = {
    "answer": Kind("Answer %s", numbered=True, hides_results=True),
    "check": Kind("Checked", inner=True, needs_code=True),
    "drawing": Kind(
        "Code of the figure",
        inner=True,
        shows_figures=True,
        needs_code=True,
        titled_in_downloads=False,  # the code is in sight in a script, and speaks for itself
    ),
    "earlier": Kind(DEFAULTS["bilingual_earlier"], hides_results=True),
}


def title(kind: str, number: str = "") -> str:
    """Return the title of a fold in the language of the site."""
    text = _(KINDS[kind].title)  # `name_earlier` may have changed it
    return text % number if KINDS[kind].numbered else text


def title_in_downloads(kind: str, number: str = "") -> str:
    """Return the title that stands above the code in a script or a notebook; some have none."""
    return title(kind, number) if KINDS[kind].titled_in_downloads else ""


class fold(nodes.General, nodes.Element):
    """A closed `<details>` element."""


class Fold(SphinxDirective):
    """Read the text of the fold."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Create the node; `FoldCode` moves the code into it."""
        node = fold(kind=self.name, number="".join(self.arguments))
        self.set_source_info(node)
        node += self.parse_content_to_nodes()
        return [node]


class NumberedFold(Fold):
    """Read the number, too."""

    required_arguments = 1


class FoldCode(SphinxTransform):
    """Move the code after a fold, and what it printed and drew, into the fold."""

    default_priority = transform_priorities.FOLD_CODE

    def apply(self, **kwargs: object) -> None:
        """Move what follows, up to the next text; then, the inner folds into the outer ones."""
        folds = list(self.document.findall(fold))
        for node in folds:
            self._move_code(node, KINDS[node["kind"]])
        for node in folds:
            if not KINDS[node["kind"]].inner:
                _move_inner_folds(node)

    def _move_code(self, node: fold, kind: Kind) -> None:
        figures = []
        while _is_result(after := _next_sibling(node)):
            after.parent.remove(after)
            if kind.shows_figures and _is_figure(after):
                figures.append(after)
            else:
                node += after
        place = node.parent.index(node) + 1
        node.parent[place:place] = figures
        if kind.needs_code and not list(node.findall(nodes.literal_block)):
            logger.warning("`.. %s::` without code after it", node["kind"], location=node)


def _move_inner_folds(node: fold) -> None:
    """Move the checks and drawings that follow, with the figures of these."""
    inside = False
    while (after := _next_sibling(node)) is not None:
        if isinstance(after, fold) and KINDS[after["kind"]].inner:
            inside = True
        elif not (inside and _is_result(after)):
            break
        after.parent.remove(after)
        node += after


def _next_sibling(node: nodes.Node) -> nodes.Node | None:
    return node.next_node(descend=False, siblings=True)


def _is_result(node: nodes.Node | None) -> bool:
    """Return whether sphinx-gallery made the node from code: it, its output or its figures."""
    return isinstance(node, RESULTS) or any(name.startswith("sphx-glr") for name in _classes(node))


def _is_figure(node: nodes.Node) -> bool:
    return isinstance(node, imgsgnode) or any(name in IMAGES for name in _classes(node))


def _classes(node: nodes.Node | None) -> list[str]:
    return node.get("classes", []) if isinstance(node, nodes.Element) else []


def visit_fold(self: HTML5Translator, node: fold) -> None:
    """Open the element, with a title in the language of the site."""
    kind = node["kind"]
    self.body.append(self.starttag(node, "details", "", CLASS=f"fold {kind}"))
    self.body.append(f"<summary>{self.encode(title(kind, node['number']))}</summary>\n")


def depart_fold(self: HTML5Translator, node: fold) -> None:
    """Close the element."""
    self.body.append("</details>\n")


def name_earlier(app: Sphinx, config: Config) -> None:
    """Give the fold of what has changed the title that the site wants."""
    KINDS["earlier"] = KINDS["earlier"]._replace(title=config.bilingual_earlier)
    shared_words.register(*(kind.title for kind in KINDS.values()))


def setup(app: Sphinx) -> None:
    """Register the directives, the node, the transform and the titles."""
    app.connect("config-inited", name_earlier)
    app.add_node(fold, html=(visit_fold, depart_fold))
    for name, kind in KINDS.items():
        app.add_directive(name, NumberedFold if kind.numbered else Fold)
    app.add_transform(FoldCode)
