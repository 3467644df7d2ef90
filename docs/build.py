"""Build the site in every language into docs/_build/html; the first executes, the others do not.

`--copy FOLDER` builds in a copy of the tree, `--only PATTERN` executes only the lessons whose path
matches, `--draft` lets warnings and unfinished catalogs pass.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from bilingual import catalogs, project

NOTHING_RAN = "successfully executed 0 out of 0"


def main() -> None:
    """Build one language after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copy", type=Path, metavar="FOLDER")
    parser.add_argument("--only", metavar="PATTERN")
    parser.add_argument("--draft", action="store_true")
    choice = parser.parse_args()

    root = project.copy(choice.copy.resolve()) if choice.copy else project.ROOT
    built = root / "docs/_build"
    options = [] if choice.draft else ["-n", "-W", "--keep-going"]
    if choice.only:
        options += ["-D", f"sphinx_gallery_conf.filename_pattern={choice.only}"]

    project.sphinx(root, "html", built / "html" / project.SOURCE.folder, *options)
    check_catalogs(root, draft=choice.draft)
    for language in project.TRANSLATIONS:
        out = built / "html" / language.folder
        log = project.sphinx(root, "html", out, *options, language=language.code)
        if NOTHING_RAN not in re.sub(r"\s+", " ", log):
            sys.exit(f"Building {language.name} executed lessons again.")


def check_catalogs(root: Path, draft: bool) -> None:
    """Stop if a message of a page is missing, untranslated, fuzzy or obsolete."""
    templates = root / "docs/_build/gettext"
    project.sphinx(root, "gettext", templates, "-q", "-D", "plot_gallery=0")
    found = []
    for language in project.TRANSLATIONS:
        folder = root / "docs/locale" / language.code / "LC_MESSAGES"
        for template in sorted(templates.rglob("*.pot")):
            page = template.relative_to(templates).with_suffix(".po")
            found += catalogs.problems(template, folder / page)
    if found and not draft:
        sys.exit("\n".join([*found, "Translate these (nox -s i18n refreshes the catalogs)."]))


if __name__ == "__main__":
    main()
