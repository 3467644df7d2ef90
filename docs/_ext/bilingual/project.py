"""What conf.py says, for the steps that run before Sphinx or without it."""

from __future__ import annotations

import runpy
from functools import cached_property
from pathlib import Path
from typing import Any

from bilingual.languages import Language
from bilingual.settings import DEFAULTS


class Project:
    """A folder with a conf.py, its scripts and what is built from them."""

    def __init__(self, docs: Path) -> None:
        self.docs = docs.resolve()
        self.says: dict[str, Any] = DEFAULTS | runpy.run_path(str(self.docs / "conf.py"))
        self.gallery: dict[str, Any] = self.says["sphinx_gallery_conf"]
        self.examples = (self.docs / self.gallery["examples_dirs"]).resolve()
        self.lessons = self.docs / self.gallery["gallery_dirs"]
        self.used = self.docs / self.gallery["backreferences_dir"]
        self.build = self.docs / "_build"
        self.locale = self.docs / self.says["locale_dirs"][0]

    @cached_property
    def languages(self) -> list[Language]:
        """The source, and the translations after it."""
        return [Language(*entry) for entry in self.says["bilingual_languages"]]

    @property
    def scripts(self) -> list[Path]:
        """The scripts of all parts: a part is a folder with a header, as for sphinx-gallery."""
        headers = sorted(self.examples.glob("*/GALLERY_HEADER.rst"))
        return [script for header in headers for script in sorted(header.parent.glob("*.py"))]

    def name(self, script: Path) -> str:
        """Return the name of a lesson: its part and the script, without a suffix."""
        return script.relative_to(self.examples).with_suffix("").as_posix()

    def shown(self, file: Path) -> str:
        """Return a path as messages show it, relative to the folder above conf.py."""
        above = self.docs.parent
        return str(file.relative_to(above) if file.is_relative_to(above) else file)

    def catalogs(self, language: Language) -> Path:
        """Return the folder of a language's catalogs."""
        return self.locale / language.code / "LC_MESSAGES"

    def html(self, language: Language) -> Path:
        """Return the folder of a language's site."""
        return self.build / "html" / language.folder
