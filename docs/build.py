"""Build the site in every language into docs/_build/html, executing the lessons only once.

`--copy FOLDER` builds in a copy of the tree, which with `--results` has the results of the lessons
that ran here, `--only PATTERN` executes only the lessons whose path matches, and `--draft`
tolerates warnings and unfinished catalogs.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from bilingual import build, sphinx_build
from bilingual.project import Project
from publishing import build_wheel, write_project, write_site_root, write_wheel


def main() -> None:
    """Read the options, build the sites, and write the files at their root."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copy", type=Path, metavar="FOLDER")
    parser.add_argument("--results", action="store_true")
    parser.add_argument("--only", metavar="PATTERN")
    parser.add_argument("--draft", action="store_true")
    choice = parser.parse_args()

    project = Project(Path(__file__).parent)
    docs = project.docs
    if choice.copy:
        docs = sphinx_build.copy_project(project, choice.copy.resolve(), choice.results)
    with ThreadPoolExecutor() as pool:
        wheel = pool.submit(build_wheel)  # beside the pages
        html = build.build_sites(
            docs, only=choice.only, draft=choice.draft, references_first=not choice.copy
        )
    write_site_root(html, project.languages, os.environ.get("HANDBOOK_BASE_URL"))
    write_wheel(html, wheel.result())
    write_project(html)
    print(f"Both sites: {html / 'index.html'}")


if __name__ == "__main__":
    main()
