"""Words that extensions show. The catalog `sphinx.po` holds them, with those of the templates."""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.builders.gettext import MessageCatalogBuilder, MsgOrigin

_registered: dict[str, None] = {}


def register(*words: str) -> None:
    """Add words, so that their translations are demanded."""
    _registered.update(dict.fromkeys(words))


def registered() -> list[str]:
    """Return all words."""
    return list(_registered)


def list_words(app: Sphinx) -> None:
    """Add the words to the template of `sphinx.po`."""
    if isinstance(app.builder, MessageCatalogBuilder):
        for word in registered():
            app.builder.catalogs["sphinx"].add(word, MsgOrigin("bilingual", 0))


def setup(app: Sphinx) -> None:
    """Register the handler."""
    app.connect("builder-inited", list_words)
