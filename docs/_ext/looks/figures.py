"""Show what a lesson drew: the light or the dark drawing, in its own size, larger when clicked.

Both drawings are on the page, and the style sheet hides one; a browser loads only what it shows.
Cards show the first figure of their lesson, in a small version.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from html import escape
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.locale import _
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator
from sphinx_gallery.directives import imgsgnode

from bilingual import shared_words, transform_priorities

ENLARGE, CLOSE = "Enlarge the figure", "Close"
DRAWING = re.compile(r"sphx_glr_[\w.-]+")
THEMES = {"light": "", "dark": "_dark"}


class drawn(imgsgnode):
    """A figure in two drawings, for light and for dark pages."""


class Drawn(SphinxDirective):
    """Read the path of the light drawing, its size, and how wide a page must show it."""

    required_arguments = 1
    option_spec: ClassVar = {
        "size": lambda text: [int(number) for number in text.split()],
        "needs": directives.nonnegative_int,
        "class": directives.class_option,
    }

    def run(self) -> list[nodes.Node]:
        """Create the node."""
        (width, height), needs = self.options["size"], self.options["needs"]
        node = drawn(uri=self.arguments[0], width=width, height=height, needs=needs, alt="")
        node["classes"] += self.options.get("class", [])
        self.set_source_info(node)
        return [node]


class small_figure(nodes.General, nodes.Element):
    """The first figure of a lesson, for a card; the words beside it say what the lesson is."""


class first_figure(nodes.General, nodes.Element):
    """The place of the first figure of a lesson, on another page; it is put in last of all."""


class ReplaceThumbnails(SphinxTransform):
    """Replace the thumbnails of sphinx-gallery, which know neither dark pages nor WebP."""

    default_priority = transform_priorities.REPLACE_THUMBNAILS

    def apply(self, **kwargs: object) -> None:
        """Find them by their folder; they are named after their lessons."""
        for image in list(self.document.findall(nodes.image)):
            folder, found, name = image["uri"].partition("/images/thumb/sphx_glr_")
            if found:
                lesson = f"{folder.lstrip('/')}/{name.rpartition('_thumb')[0]}"
                image.replace_self(small_figure(lesson=lesson))


def put_first_figures(app: Sphinx, document: nodes.document, docname: str) -> None:
    """Copy figures from the pages of their lessons, with the alt texts in the language of these."""
    for place in list(document.findall(first_figure)):
        lesson = app.env.get_doctree(place["lesson"])
        figure = next(lesson.findall(drawn), None)
        place.replace_self([figure.deepcopy()] if figure else [])


def publish(self: HTML5Translator, source: str) -> str:
    """Copy a file of a lesson to the site, and return its address as the page sees it."""
    target = Path(self.builder.outdir, name_in_site(self.builder, source))
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(self.builder.srcdir, source.lstrip("/")), target)
    return address(self.builder, source, self.docnames[0])


def name_in_site(builder: Builder, source: str) -> str:
    """Return where a file of a lesson lies in the site."""
    return f"{builder.imagedir}/{source.lstrip('/').replace('/images/', '/')}"


def address(builder: Builder, source: str, page: str) -> str:
    """Return the address of a file of a lesson as a page sees it."""
    folder = posixpath.dirname(builder.get_target_uri(page))
    return posixpath.relpath(name_in_site(builder, source), folder or ".")


def remove_unshown(app: Sphinx, exception: Exception | None) -> None:
    """Remove the drawings that no page shows any more: Sphinx leaves those of the last build."""
    if exception or app.builder.name != "html":
        return
    site = Path(app.outdir)
    shown = {
        name for page in site.rglob("*.html") for name in DRAWING.findall(page.read_text("utf-8"))
    }
    for file in Path(site, app.builder.imagedir).rglob("sphx_glr_*"):
        if file.name not in shown:
            file.unlink()


def pair(self: HTML5Translator, uri: str, attributes: str) -> str:
    """Return both drawings, the light one being the one that is named."""
    stem, suffix = posixpath.splitext(uri)
    small = "_card" if stem.endswith("_card") else ""
    found = []
    for theme, ending in THEMES.items():
        address = publish(self, f"{stem.removesuffix(small)}{ending}{small}{suffix}")
        found.append(
            f'<img class="only-{theme}" src="{address}" {attributes}'
            ' loading="lazy" decoding="async">'
        )
    return "".join(found)


def visit_drawn(self: HTML5Translator, node: drawn) -> None:
    """Write the drawings inside of a link to the light one."""
    large = publish(self, node["uri"])
    # The alt text is escaped already (`MoveAltText`).
    size = f'width="{node["width"]}" height="{node["height"]}" alt="{node["alt"]}"'
    self.body.append(
        f'<div class="drawn {" ".join(node["classes"])}" style="--needs: {node["needs"]}px">'
        f'<a href="{large}" title="{escape(_(ENLARGE))}" data-close="{escape(_(CLOSE))}">'
        f"{pair(self, node['uri'], size)}</a>"
        "</div>\n"
    )
    raise nodes.SkipNode


def visit_small_figure(self: HTML5Translator, node: small_figure) -> None:
    """Write the card drawings, if the lesson draws anything."""
    part, _slash, name = node["lesson"].rpartition("/")
    card = f"/{part}/images/sphx_glr_{name}_001_card.webp"
    file = Path(self.builder.srcdir, card.lstrip("/"))
    if file.exists():
        with Image.open(file) as image:
            size = f'width="{image.width // 2}" height="{image.height // 2}" alt=""'
        whole = card.replace("_card", "")  # of a grid of digits, it is the smaller file
        larger = Path(self.builder.srcdir, whole.lstrip("/"))
        if larger.exists() and larger.stat().st_size < file.stat().st_size:
            card = whole
        self.body.append(f'<div class="card-figure">{pair(self, card, size)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the directive, the node, the script that enlarges, and its words."""
    shared_words.register(ENLARGE, CLOSE)
    app.add_directive("drawn", Drawn)
    app.add_node(drawn, html=(visit_drawn, None))
    app.add_node(small_figure, html=(visit_small_figure, None))
    app.add_node(first_figure)
    app.add_transform(ReplaceThumbnails)
    app.connect("doctree-resolved", put_first_figures)
    app.connect("build-finished", remove_unshown)
    app.add_js_file("enlarge.js", defer="defer")
