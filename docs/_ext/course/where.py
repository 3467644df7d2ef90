"""The directive ``where-explained`` lists the names of a library, each with its lesson."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.locale import _
from sphinx.util.docutils import SphinxDirective

from bilingual import shared_words
from course import book, names
from course.head import link

PYTHON = "Python: "
# Where a name belongs that does not begin with the library.
CLASSES = {
    "Tensor": "torch",
    "Module": "torch",
    "Optimizer": "torch",
    "ndarray": "numpy",
    "Axes": "matplotlib",
    "Figure": "matplotlib",
}


def library(name: str) -> str:
    """Return to which library a name belongs."""
    first = "Python" if name.startswith(PYTHON) else name.partition(".")[0]
    return CLASSES.get(first, first)


def entries(env: BuildEnvironment, wanted: str) -> list[tuple[str, str]]:
    """Return the names of a library in alphabetical order, each with its lesson."""
    where = book.known(env, "where", lambda: book.introductions(env).where)
    found = [(name, lesson) for name, lesson in where.items() if library(name) == wanted]
    return sorted(found, key=lambda entry: (entry[0].rpartition(".")[2].lower(), entry[0]))


class WhereExplained(SphinxDirective):
    """Read the name of the library."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Create the list, and remember it, so that the page is read again when it changes."""
        found = entries(self.env, self.arguments[0])
        noted = self.env.metadata[self.env.current_document.docname].setdefault("where", {})
        noted[self.arguments[0]] = found
        items = nodes.bullet_list("", classes=["where-explained"])
        for name, lesson in found:
            shown = nodes.literal("", name)
            if name.startswith(PYTHON):
                shown = nodes.inline("", _(name.removeprefix(PYTHON)))
            target = link(self.env, book.page_of(self.config, lesson))
            items += nodes.list_item("", nodes.paragraph("", "", shown, nodes.Text(" · "), target))
        return [items]


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Return the pages whose lists have changed."""
    return [
        page
        for page in env.all_docs
        if any(
            entries(env, wanted) != found
            for wanted, found in env.metadata[page].get("where", {}).items()
        )
    ]


def setup(app: Sphinx) -> None:
    """Register the directive, the handler and the names of syntax."""
    shared_words.register(*names.SYNTAX)
    app.add_directive("where-explained", WhereExplained)
    app.connect("env-get-outdated", outdated)
