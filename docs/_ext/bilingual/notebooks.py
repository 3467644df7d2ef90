"""Write a lesson as a notebook: the translated page, with what the build printed and drew.

What the page folds is collapsed as far as notebooks allow: a text in `<details>`, code and results
by the marks that JupyterLab, VS Code (`source_hidden`) and Colab (`# @title`) know.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.locale import _
from sphinx_gallery import notebook
from sphinx_gallery.directives import imgsgnode

from bilingual import folds, markdown, shared_words
from bilingual.alt_text import alt_text

FROM_THE_TOP = (
    "Run the cells in order, from the top. A cell that is run twice goes on from what it did the "
    "first time, and a check after it may then fail."
)
Cell = dict[str, Any]


class Fold(NamedTuple):
    """What a cell shows of a fold that it is in."""

    title: str
    hides_results: bool


def write(env: BuildEnvironment, document: nodes.document, first_cell: str) -> str:
    """Return the notebook of a page, which begins with a cell of code."""
    book = notebook.jupyter_notebook_skeleton()
    notebook.add_code_cell(book, first_cell)
    book["cells"][0]["metadata"] = _collapsed(results=False)
    cells = _Cells(env, book)
    cells.add(document.children)
    cells.end_text()
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


class _Cells:
    """Go through a page in reading order and add its cells to a notebook."""

    def __init__(self, env: BuildEnvironment, book: Cell) -> None:
        self.env, self.book = env, book
        self.writer = markdown.Writer(env)
        self.text: list[str] = []
        self.in_head = True

    def add(
        self, children: Iterable[nodes.Node], level: int = 0, within: Fold | None = None
    ) -> None:
        """Add what is on the page, in a section, or in a fold."""
        for node in children:
            match node:
                case nodes.section():
                    self.add(node.children, level + 1)
                case nodes.title():
                    if level > 1:
                        self._end_head()
                    self.text.append(f"{'#' * level} {self.writer.inline(node)}")
                case folds.fold():
                    self._fold(node, within)
                case nodes.literal_block() if _is_output(node):
                    text = f"{node.astext()}\n"
                    self._output({"output_type": "stream", "name": "stdout", "text": [text]})
                case nodes.literal_block() if _is_code(node):
                    self._code(node.astext(), within)
                case imgsgnode() | nodes.bullet_list() if _is_figure(node):
                    for figure in node.findall(imgsgnode):
                        self._figure(figure)
                case nodes.raw() | alt_text() | addnodes.only():  # the last holds the downloads
                    pass
                case _ if text := self.writer.block(node):
                    self.text.append(text)

    def end_text(self) -> None:
        """Begin a new cell after the text so far."""
        self._end_head()
        if self.text:
            notebook.add_markdown_cell(self.book, "\n\n".join(self.text))
        self.text = []

    def _end_head(self) -> None:
        if self.in_head:
            self.text.append(f"*{_(FROM_THE_TOP)}*")
        self.in_head = False

    def _fold(self, node: folds.fold, within: Fold | None) -> None:
        """Add a fold. Its text is in `<details>`; without text, its title stands above the code."""
        title = folds.title(node["kind"], node["number"])
        hides = folds.KINDS[node["kind"]].hides_results or bool(within and within.hides_results)
        parts: tuple[list[nodes.Node], list[nodes.Node]] = ([], [])
        for child in node.children:
            parts[_is_result(child)].append(child)
        if text := self.writer.blocks(parts[False]):
            self.text.append(f"<details><summary>{title}</summary>\n\n{text}\n\n</details>")
        elif above := folds.title_in_downloads(node["kind"], node["number"]):
            self.text.append(f"**{above}**")
        self.add(parts[True], within=Fold(title, hides))

    def _code(self, code: str, within: Fold | None) -> None:
        self.end_text()
        notebook.add_code_cell(self.book, f"# @title {within.title}\n{code}" if within else code)
        if within:
            self.book["cells"][-1]["metadata"] = _collapsed(within.hides_results)

    def _figure(self, node: imgsgnode) -> None:
        name = node["uri"].lstrip("/")
        self.env.note_dependency(name)
        kind, data = _picture(Path(self.env.srcdir, name))
        shown = {kind: data, "text/plain": [unescape(node["alt"])]}
        self._output({"output_type": "display_data", "metadata": {}, "data": shown})

    def _output(self, output: Cell) -> None:
        last = next(cell for cell in self.book["cells"][::-1] if cell["cell_type"] == "code")
        last["outputs"].append(output)


def _picture(file: Path) -> tuple[str, str | list[str]]:
    """Return the type of a picture and its data, in a form that every notebook can show."""
    match file.suffix:
        case ".svg":
            return "image/svg+xml", file.read_text("utf-8").splitlines(keepends=True)
        case ".png":
            return "image/png", base64.b64encode(file.read_bytes()).decode("ascii")
    from PIL import Image  # only for the kinds that notebooks do not know

    png = io.BytesIO()
    with Image.open(file) as image:
        image.save(png, "PNG", optimize=True)
    return "image/png", base64.b64encode(png.getvalue()).decode("ascii")


def _collapsed(results: bool) -> Cell:
    """Return the metadata of a cell whose code, and perhaps its results, are collapsed."""
    return {
        "cellView": "form",
        "collapsed": results,
        "jupyter": {"source_hidden": True, "outputs_hidden": results},
    }


def _is_result(node: nodes.Node) -> bool:
    """Return whether a node is not text: code, its results, a fold within a fold."""
    if isinstance(node, folds.fold | nodes.raw):
        return True
    return _is_code(node) or _is_output(node) or _is_figure(node)


def _is_code(node: nodes.Node) -> bool:
    """Return whether a node is code that ran: a block that is only shown says `python`."""
    return isinstance(node, nodes.literal_block) and node.get("language") == "Python"


def _is_output(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Element) and "sphx-glr-script-out" in node["classes"]


def _is_figure(node: nodes.Node) -> bool:
    return isinstance(node, imgsgnode) or (
        isinstance(node, nodes.Element) and "sphx-glr-horizontal" in node["classes"]
    )


def setup(app: Sphinx) -> None:
    """Register the words."""
    shared_words.register(FROM_THE_TOP)
