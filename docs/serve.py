"""Serve the site on this machine, and build it again when lessons, pages or catalogs change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from livereload import Server

DOCS = Path(__file__).parent
WATCHED = (
    "../examples/**/*",
    "../src/**/*.py",
    "*.md",
    "api/*.md",
    "locale/**/*.po",
    "_static/*",
    "_templates/*",
    "_ext/*/static/*",
    "_ext/*/templates/*",
)


def build() -> None:
    """Build both languages; drafts may have warnings and unfinished translations."""
    subprocess.run([sys.executable, DOCS / "build.py", "--draft"], check=False)


if __name__ == "__main__":
    build()
    server = Server()
    for pattern in WATCHED:
        server.watch(str(DOCS / pattern), build)
    server.serve(root=str(DOCS / "_build/html"), open_url_delay=1)
