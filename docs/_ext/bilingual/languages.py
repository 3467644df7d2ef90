"""The languages of the site: the first is the source, the others are translations of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sphinx.config import Config


class Language(NamedTuple):
    """A language of the site, by the names that Sphinx, addresses and browsers know it by."""

    code: str  # for Sphinx
    folder: str  # of the site
    tag: str  # for browsers
    name: str


def languages(config: Config) -> list[Language]:
    """Return the languages that conf.py names."""
    return [Language(*entry) for entry in config.bilingual_languages]


def is_source(config: Config) -> bool:
    """Return whether the pages are built in the language in which they are written."""
    return config.language == languages(config)[0].code
