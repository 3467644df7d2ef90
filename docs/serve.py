"""Show the site on this machine; a change of lessons, pages or catalogs builds it again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from livereload import Server

DOCS = Path(__file__).parent
WATCHED = (
    "../examples/**/*",
    "*.md",
    "api/*.md",
    "locale/**/*.po",
    "_static/*",
    "_templates/*",
    "_ext/*/static/*",
    "_ext/*/templates/*",
)


def build() -> None:
    """Build both languages; unfinished translations and warnings may pass while writing."""
    subprocess.run([sys.executable, DOCS / "build.py", "--draft"], check=False)


if __name__ == "__main__":
    build()
    server = Server()
    for pattern in WATCHED:
        server.watch(str(DOCS / pattern), build)
    server.serve(root=str(DOCS / "_build/html"), open_url_delay=1)
