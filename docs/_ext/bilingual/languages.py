"""The languages of the site: the first is the source, the others are translations of it."""

from __future__ import annotations

from typing import NamedTuple


class Language(NamedTuple):
    """A language of the site, by the names that Sphinx, addresses and browsers know it by."""

    code: str  # for Sphinx
    folder: str  # of the site
    tag: str  # for browsers
    name: str


LANGUAGES = [Language("en", "en", "en", "English"), Language("zh_CN", "zh", "zh-CN", "中文")]
SOURCE, *TRANSLATIONS = LANGUAGES
