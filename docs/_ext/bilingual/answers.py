"""The directive ``.. answer:: N`` folds the text, code, output and figures of an answer."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.locale import _
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator
from sphinx_gallery.directives import imgsgnode

from bilingual import transform_priorities

RESULTS = (nodes.literal_block, nodes.comment, nodes.raw, imgsgnode)


class answer(nodes.General, nodes.Element):
    """A closed `<details>` element."""


class Answer(SphinxDirective):
    """Read the number of the exercise and the text that explains the answer."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Create the node; `FoldAnswers` moves the code into it."""
        node = answer(number=self.arguments[0])
        self.set_source_info(node)
        node += self.parse_content_to_nodes()
        return [node]


class FoldAnswers(SphinxTransform):
    """Move the code after an answer, and what it printed and drew, into the answer."""

    default_priority = transform_priorities.FOLD_ANSWERS

    def apply(self, **kwargs: object) -> None:
        """Move what follows, up to the next text."""
        for node in list(self.document.findall(answer)):
            while (after := node.next_node(descend=False, siblings=True)) is not None:
                gallery = isinstance(after, nodes.Element) and any(
                    name.startswith("sphx-glr") for name in after.get("classes", [])
                )
                if not isinstance(after, RESULTS) and not gallery:
                    break
                after.parent.remove(after)
                node += after


def visit_answer(self: HTML5Translator, node: answer) -> None:
    """Open the element, with a title in the language of the site."""
    title = _("Answer %s") % node["number"]
    self.body.append(f'<details class="answer"><summary>{title}</summary>\n')


def depart_answer(self: HTML5Translator, node: answer) -> None:
    """Close the element."""
    self.body.append("</details>\n")


def setup(app: Sphinx) -> None:
    """Register directive, node and transform."""
    app.add_node(answer, html=(visit_answer, depart_answer))
    app.add_directive("answer", Answer)
    app.add_transform(FoldAnswers)
