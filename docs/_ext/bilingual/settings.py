"""What conf.py may say to this extension, with the value of what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DEFAULTS: dict[str, Any] = {
    # Each language as (code for Sphinx, folder of the site, tag for browsers, name). The first one
    # is the source, and the others are translations of it.
    "bilingual_languages": [],
    # A script that is run once, in the process from which the lessons are forked. It imports what
    # takes long, and starts no thread.
    "bilingual_warm_up": None,
    "bilingual_workers": 2,  # lessons that run at the same time
    "bilingual_fork": True,  # False: a fresh process for each lesson, as where fork is missing
    "bilingual_time_limit": 300,  # seconds for a lesson
    "bilingual_output_limit": 100_000,  # characters that a lesson may print
    # The lessons run again when the code of one of these packages changes,
    "bilingual_packages": [],
    # or the version of one of these distributions.
    "bilingual_distributions": [],
    "bilingual_run_files": [],  # or one of these files, by their paths from conf.py
    "bilingual_reads_environment": [],  # variables on which the pages depend
    "bilingual_environment": {},  # variables for all steps of a build, unless they are set
    # The title of the fold for readers who learned it earlier
    "bilingual_earlier": "If you learned it earlier",
    # How the names of the archives of all scripts and of all notebooks begin
    "bilingual_archives": "all",
    # What stands before and after the title of a page in a sentence, by language, e.g. "《》"
    "bilingual_title_marks": {},
    # What the lessons are for the pages: "ready" (all of them ran), "checked", "run" or "text": see
    # execute
    "bilingual_lessons": "ready",
}
# A page does not depend on how its lesson was run, or on what the other languages are called.
IN_PAGES = (
    "bilingual_languages",
    "bilingual_earlier",
    "bilingual_archives",
    "bilingual_title_marks",
)


def setup(app: Sphinx) -> None:
    """Register the values."""
    for name, default in DEFAULTS.items():
        app.add_config_value(name, default, "env" if name in IN_PAGES else "")
