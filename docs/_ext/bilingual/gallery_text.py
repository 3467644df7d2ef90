"""Translate the sentences and thumbnails that sphinx-gallery writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.locale import _
from sphinx.transforms import SphinxTransform
from sphinx_gallery.directives import MiniGallery

from bilingual import shared_words, transform_priorities

DOWNLOAD_NOTE = "Download this lesson as a script or a notebook"
DOWNLOAD_LABELS = {"python": "Script", "jupyter": "Notebook"}
OUTPUT = "Out:"  # static/bilingual.css.jinja shows it


class TranslateGalleryText(SphinxTransform):
    """Reword the generated sentences and exclude them from the catalogs of the pages."""

    default_priority = transform_priorities.TRANSLATE_GALLERY_TEXT

    def apply(self, **kwargs: object) -> None:
        """Find the elements by the classes that sphinx-gallery gives them."""
        self._nest_sections()
        for note in self._nodes_of_class(nodes.note, "sphx-glr-download-link-note"):
            self._replace_text(note[0], DOWNLOAD_NOTE)
        for box in self._nodes_of_class(nodes.container, "sphx-glr-download-zip"):
            box.parent.remove(box)
        for kind, word in DOWNLOAD_LABELS.items():
            for box in self._nodes_of_class(nodes.container, f"sphx-glr-download-{kind}"):
                self._replace_text(box[0], word)
        for raw in list(self.document.findall(nodes.raw)):
            if "sg-tag-list" in raw.astext():  # for tags, which lessons have not; several on a page
                raw.parent.remove(raw)
            if "sphx-glr-thumbcontainer" in raw.astext():
                self._thumbnail(raw)

    def _nest_sections(self) -> None:
        """Put the parts below the title of the page, beside which sphinx-gallery writes them."""
        first = next((n for n in self.document if isinstance(n, nodes.section)), None)
        if first is not None:
            for node in self.document.children[self.document.index(first) + 1 :]:
                self.document.remove(node)
                first += node

    def _nodes_of_class(self, kind: type[nodes.Element], name: str) -> Iterator[nodes.Element]:
        found = (node for node in self.document.findall(kind) if name in node["classes"])
        yield from list(found)

    def _replace_text(self, paragraph: nodes.Element, words: str) -> None:
        """Reduce the paragraph to its link, with these words."""
        link = next(paragraph.findall(lambda node: "reftarget" in getattr(node, "attributes", {})))
        link.children[0][:] = [nodes.Text(_(words))]
        paragraph[:] = [link]
        paragraph["translatable"] = False

    def _thumbnail(self, opening: nodes.raw) -> None:
        """Note which lesson the raw HTML belongs to, because its title is not known yet."""
        only, closing = opening.parent[opening.parent.index(opening) + 1 :][:2]
        for paragraph in only.findall(nodes.paragraph):
            paragraph["translatable"] = False
        lesson = next(only.findall(addnodes.pending_xref))["reftarget"].lstrip("/")
        opening["lesson"] = closing["lesson"] = lesson
        page = self.env.metadata[self.env.current_document.docname]
        page["thumbnails"] = sorted({*page.get("thumbnails", ()), lesson})


class TrackedMiniGallery(MiniGallery):
    """A mini-gallery whose page is read again when the list of its lessons may have changed."""

    def run(self) -> list[nodes.Node]:
        """Note that the page depends on the file that lists the lessons."""
        env = self.state.document.settings.env
        used = Path(env.srcdir, env.config.sphinx_gallery_conf["backreferences_dir"])
        env.note_dependency(used / "backreferences_all.json")
        return super().run()


def note_intro(app: Sphinx, document: nodes.document) -> None:
    """Keep the first paragraph of each page for the thumbnails."""
    for paragraph in document.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section):
            intro = paragraph.astext().replace("\n", " ")
            app.env.metadata[app.env.current_document.docname]["intro"] = intro
            break


def fill_thumbnails(app: Sphinx, document: nodes.document, docname: str) -> None:
    """Put the translated title and first paragraph of the lesson into the raw HTML."""
    for raw in document.findall(nodes.raw):
        if lesson := raw.get("lesson"):
            raw[:] = [nodes.Text(_localized(raw.astext(), *_shown(app.env, lesson)))]


def _shown(env: BuildEnvironment, lesson: str) -> tuple[str, str]:
    """Return the title and the first paragraph of a lesson, as HTML."""
    return escape(env.titles[lesson].astext()), escape(env.metadata[lesson].get("intro", ""))


def pages_to_write(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Return the pages with the thumbnail of a lesson that has changed: they are only written.

    To read them again would take long, since the pages of the package are among them. Of a
    translation, only the title and the first paragraph matter.
    """
    pages = {page: env.metadata[page].get("thumbnails", ()) for page in env.all_docs}
    lessons = {lesson for shown in pages.values() for lesson in shown if lesson in env.titles}
    times = {lesson: Path(env.doc2path(lesson)).stat().st_mtime_ns for lesson in lessons}
    now = {lesson: (*_shown(env, lesson), times[lesson]) for lesson in lessons}
    before = getattr(env, "bilingual_thumbnails", {})
    env.bilingual_thumbnails = now
    return [
        page
        for page, shown in pages.items()
        if any(now.get(lesson) != before.get(lesson) for lesson in shown)
    ]


def _localized(html: str, title: str, intro: str) -> str:
    html = re.sub('(tooltip=").*?(")', lambda match: match[1] + intro + match[2], html)
    return re.sub('(-title">).*?(</div>)', lambda match: match[1] + title + match[2], html)


def setup(app: Sphinx) -> None:
    """Register the transform, the handlers and their words."""
    shared_words.register(DOWNLOAD_NOTE, *DOWNLOAD_LABELS.values(), OUTPUT)
    app.add_transform(TranslateGalleryText)
    app.add_directive("minigallery", TrackedMiniGallery, override=True)
    app.connect("doctree-read", note_intro)
    app.connect("env-updated", pages_to_write)
    app.connect("doctree-resolved", fill_thumbnails)
