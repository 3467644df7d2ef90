"""A server for the built site, in a folder below the root, as a web host serves it."""

from __future__ import annotations

import functools
import gzip
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.site_reader import BUILT

BELOW = "/some/where/"  # the site must work in any folder of a host
TEXT = {".html", ".css", ".js", ".svg", ".json", ".xml", ".txt", ".md"}


class Handler(SimpleHTTPRequestHandler):
    """Serve the site below a path, with 404.html for missing pages, as web hosts do."""

    def translate_path(self, path: str) -> str:
        """Map an address below the path to a file; other addresses do not exist."""
        if not path.startswith(BELOW):
            return "/nowhere"
        return super().translate_path(path.removeprefix(BELOW.rstrip("/")))

    def send_error(self, code: int, *args: object) -> None:
        """Send the site's own page for missing addresses."""
        body = (BUILT / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


class Compressing(Handler):
    """Serve texts with gzip, as web hosts do."""

    def do_GET(self) -> None:
        """Send the file, compressed if it is a text."""
        file = Path(self.translate_path(self.path.partition("?")[0]))
        if file.suffix not in TEXT or not file.is_file():
            super().do_GET()
            return
        body = gzip.compress(file.read_bytes(), compresslevel=6)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(handler: type[Handler] = Handler) -> Iterator[str]:
    """Serve the site, and yield its address."""
    if not (BUILT / "index.html").exists():
        pytest.fail(f"No built site in {BUILT}: run `nox -s docs` first.", pytrace=False)
    bound = functools.partial(handler, directory=str(BUILT))
    with ThreadingHTTPServer(("127.0.0.1", 0), bound) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{BELOW}"
        server.shutdown()
