"""A server for the built site, in a folder below the root, and a browser."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.site_reader import BUILT, FOLDERS, Reader
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = os.environ.get("HANDBOOK_CHROMIUM", "/usr/bin/chromium")
BELOW = "/some/where/"  # the site must work in any folder of a host
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


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


def serve(handler: type[Handler]) -> Iterator[str]:
    """Serve the site, and yield its address."""
    if not (BUILT / "index.html").exists():
        pytest.fail(f"No built site in {BUILT}: run `nox -s docs` first.", pytrace=False)
    bound = functools.partial(handler, directory=str(BUILT))
    with ThreadingHTTPServer(("127.0.0.1", 0), bound) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{BELOW}"
        server.shutdown()


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Serve the site, and yield its address."""
    yield from serve(Handler)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium."""
    if not Path(CHROMIUM).exists():
        pytest.fail(
            f"No Chromium at {CHROMIUM}: install the package `chromium`, or set HANDBOOK_CHROMIUM.",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@pytest.fixture
def read(site: str, browser: Browser) -> Iterator[Callable[..., Reader]]:
    """Yield a function that makes readers; when the test ends, none may have noted a fault."""
    readers: list[Reader] = []

    def make(folder: str = "en", phone: bool = False, **options: object) -> Reader:
        size = {"width": 360, "height": 740} if phone else {"width": 1280, "height": 800}
        touch = {"has_touch": True, "is_mobile": True} if phone else {}
        context = browser.new_context(viewport=size, locale=FOLDERS[folder], **touch, **options)
        readers.append(Reader(site, context))
        return readers[-1]

    yield make
    for reader in readers:
        reader.context.close()
    assert [line for reader in readers for line in reader.faults] == []
