"""Refresh the catalogs: add new messages, drop obsolete ones. `python docs/i18n.py [page …]`.

No lesson is executed. The work is done in a private copy, so several people can do it at once.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from bilingual import catalogs, sphinx_build
from bilingual.languages import TRANSLATIONS


def main(pages: list[str]) -> None:
    """Refresh the catalogs of these pages, or of all pages, and list what remains to translate."""
    with tempfile.TemporaryDirectory() as folder:
        root = sphinx_build.copy_project(Path(folder))
        templates = root / "gettext"
        sphinx_build.run_sphinx(root, "gettext", templates, "-q", "-D", "plot_gallery=0")
        for language in TRANSLATIONS:
            target = sphinx_build.ROOT / "docs/locale" / language.code / "LC_MESSAGES"
            for template in sorted(templates.rglob("*.pot")):
                page = template.relative_to(templates).with_suffix("").as_posix()
                if page != "sphinx" and (not pages or page in pages):
                    print(f"\n{page}")
                    print("\n".join(catalogs.refresh(template, target / f"{page}.po")))


if __name__ == "__main__":
    main(sys.argv[1:])
