"""Refresh the catalogs: add new messages, drop obsolete ones. `python docs/i18n.py [page …]`.

No lesson is executed.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from bilingual import build, catalogs
from bilingual.project import Project


def main(pages: list[str]) -> None:
    """Refresh the catalogs of these pages, or of all pages, and list what remains to translate."""
    project = Project(Path(__file__).parent)
    with build.templates(project) as templates:
        for language in project.languages[1:]:
            folder = project.catalogs(language)
            todo = catalogs.refresh_all(templates, folder, project.says["project"], pages)
            print("\n".join(todo) or f"Nothing is left to translate into {language.name}.")


if __name__ == "__main__":
    main(sys.argv[1:])
