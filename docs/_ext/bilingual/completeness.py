"""The build of a translation warns about whatever is untranslated or obsolete.

A page is compared with its catalog when it is read, and it is read again when the catalog changes.
"""

from __future__ import annotations

import re
from pathlib import Path

import polib
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.environment import BuildEnvironment
from sphinx.locale import _
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.nodes import extract_messages

from bilingual import catalogs, shared_words, transform_priorities
from bilingual.languages import is_source

logger = logging.getLogger(__name__)
RAW_MARKUP = re.compile(r"(?<!\d)\*\*|\*\*(?!\d)|``|(?<!\w):[a-z:]+:`|\{[a-z:]+\}`")


class CheckCompleteness(SphinxTransform):
    """Compare the messages of a page with its catalog, before Sphinx translates them."""

    default_priority = transform_priorities.CHECK_COMPLETENESS

    def apply(self, **kwargs: object) -> None:
        """Warn about messages without a translation, and about translations without a message."""
        if is_source(self.config):
            return
        translations = catalogs.translations(self.env)
        # Sphinx has translated its own headings already.
        translated = {_(message) for message in translations}
        messages = set()
        for node, text in extract_messages(self.document):
            messages.add(text)
            if text not in translations and text not in translated:
                logger.warning("untranslated: %s", text, location=node, type="bilingual")
        self.document.messages = list(extract_messages(self.document))  # for `CheckMarkup`
        page = self.env.current_document.docname
        catalog = catalogs.catalog_path(self.env, page)
        for fault in catalogs.unreadable(catalog):
            logger.warning("%s", fault, type="bilingual")
        for text in obsolete_messages(catalog, messages):
            logger.warning("obsolete: %s", text, location=page, type="bilingual")


class CheckMarkup(SphinxTransform):
    """Name the catalog and the message of each translation whose markup is not understood.

    Sphinx only says where the original stands, or says nothing.
    """

    default_priority = transform_priorities.CHECK_MARKUP

    def apply(self, **kwargs: object) -> None:
        """Look at the nodes of all messages, which Sphinx has translated by now."""
        for node, message in self.document.__dict__.pop("messages", []):
            fault = markup_fault(node)
            if fault and message in catalogs.translations(self.env):
                page = self.env.current_document.docname
                catalog = catalogs.catalog_path(self.env, page)
                entry = polib.pofile(str(catalog)).find(message)
                logger.warning(
                    "%s; fix the translation: %s",
                    fault,
                    entry.msgstr,
                    location=f"{catalog}:{entry.linenum}",
                    type="bilingual",
                )


def markup_fault(node: nodes.Element) -> str | None:
    """Say which markup in a translated paragraph or title a reader would see as it is written."""
    for problem in node.findall(nodes.problematic):
        return f"markup that is not understood, at {problem.astext()!r}"
    for text in node.findall(nodes.Text):
        raw = RAW_MARKUP.search(text.astext())
        if raw and not isinstance(text.parent, (nodes.literal, nodes.literal_block, nodes.math)):
            return f"markup that is not closed, at {raw[0]!r}"
    return None


def obsolete_messages(catalog: Path, messages: set[str]) -> list[str]:
    """List the messages of a catalog that its page does not have."""
    return sorted(
        entry.msgid
        for entry in catalogs.entries(catalog)
        if entry.obsolete or not messages & {entry.msgid, _(entry.msgid)}
    )


def check_shared_messages(app: Sphinx) -> None:
    """Warn about words of the templates and of the extensions that are not translated."""
    if is_source(app.config) or not isinstance(app.builder, StandaloneHTMLBuilder):
        return
    words = shared_words.registered()
    for folder in app.config.templates_path:
        if not Path(app.srcdir, folder).is_relative_to(app.srcdir):
            continue  # the theme's templates
        for file in sorted(Path(app.srcdir, folder).rglob("*.html")):
            extract = app.builder.templates.environment.extract_translations
            words += [text for _line, _function, text in extract(file.read_text("utf-8"))]
    translations = catalogs.read(catalogs.catalog_path(app.env, "sphinx"))
    for text in words:
        if text not in translations:
            logger.warning("untranslated: %s", text, location="sphinx", type="bilingual")


def check_orphans(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn about catalogs without a page."""
    if is_source(app.config):
        return
    folder = catalogs.catalog_path(env, "sphinx").parent
    for catalog in sorted(folder.rglob("*.po")):
        page = catalog.relative_to(folder).with_suffix("").as_posix()
        if page not in env.found_docs and page != "sphinx":
            logger.warning("obsolete: there is no such page", location=page, type="bilingual")


def setup(app: Sphinx) -> None:
    """Register the transform and the handlers."""
    app.add_transform(CheckCompleteness)
    app.add_transform(CheckMarkup)
    app.connect("builder-inited", check_shared_messages)
    app.connect("env-check-consistency", check_orphans)
