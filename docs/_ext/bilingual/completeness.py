"""The build of a translation warns about whatever is untranslated or obsolete.

A page is compared with its catalog when it is read, and it is read again when the catalog changes.
"""

from __future__ import annotations

from pathlib import Path

import polib
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.environment import BuildEnvironment
from sphinx.locale import _
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.nodes import extract_messages

from bilingual import catalogs, shared_words, transform_priorities
from bilingual.languages import SOURCE

logger = logging.getLogger(__name__)


class CheckCompleteness(SphinxTransform):
    """Compare the messages of a page with its catalog, before Sphinx translates them."""

    default_priority = transform_priorities.CHECK_COMPLETENESS

    def apply(self, **kwargs: object) -> None:
        """Warn about messages without a translation, and about translations without a message."""
        if self.config.language == SOURCE.code:
            return
        translations = catalogs.translations(self.env)
        # Sphinx has translated its own headings already.
        translated = {_(message) for message in translations}
        messages = set()
        for node, text in extract_messages(self.document):
            messages.add(text)
            if text not in translations and text not in translated:
                logger.warning("untranslated: %s", text, location=node, type="bilingual")
        page = self.env.current_document.docname
        for text in obsolete_messages(catalogs.catalog_path(self.env, page), messages):
            logger.warning("obsolete: %s", text, location=page, type="bilingual")


def obsolete_messages(catalog: Path, messages: set[str]) -> list[str]:
    """List the messages of a catalog that its page does not have."""
    if not catalog.exists():
        return []
    return sorted(
        entry.msgid
        for entry in polib.pofile(str(catalog))
        if entry.obsolete or not messages & {entry.msgid, _(entry.msgid)}
    )


def check_shared_messages(app: Sphinx) -> None:
    """Warn about words of the templates and of the extensions that are not translated."""
    if app.config.language == SOURCE.code or not isinstance(app.builder, StandaloneHTMLBuilder):
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
    if app.config.language == SOURCE.code:
        return
    folder = catalogs.catalog_path(env, "sphinx").parent
    for catalog in sorted(folder.rglob("*.po")):
        page = catalog.relative_to(folder).with_suffix("").as_posix()
        if page not in env.found_docs and page != "sphinx":
            logger.warning("obsolete: there is no such page", location=page, type="bilingual")


def setup(app: Sphinx) -> None:
    """Register the transform and the handlers."""
    app.add_transform(CheckCompleteness)
    app.connect("builder-inited", check_shared_messages)
    app.connect("env-check-consistency", check_orphans)
