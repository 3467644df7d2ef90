"""The Python blocks of the pages in this folder are tests; a page is one namespace."""

from doctest import ELLIPSIS

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

# `--doctest-modules` would import these: the site's own machinery and what it generates.
collect_ignore_glob = ["_build/*", "lessons/*", "build.py", "conf.py", "i18n.py", "serve.py"]

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)],
    pattern="*.md",
    excludes=["_build/*", "lessons/*"],
).pytest()
