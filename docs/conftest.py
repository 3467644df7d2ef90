"""Test the Python blocks of the pages of the site; the blocks of a page share a namespace."""

from doctest import ELLIPSIS

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

# `--doctest-modules` would import these: the scripts of the site, and what they generate.
collect_ignore_glob = ["_build/*", "lessons/*", "*.py"]

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)],
    pattern="*.md",
    excludes=["_build/*", "_ext/*/*", "lessons/*"],
).pytest()
