"""What the tests of the built site share: its pages, and a reader that notes every fault."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

BUILT = Path(
    os.environ.get("HANDBOOK_SITE") or Path(__file__).parents[2] / "docs/_build/html"
).resolve()
FOLDERS = {"en": "en-US", "zh": "zh-CN"}


def pages(folder: str) -> list[str]:
    """Return the addresses of all pages of a language; none if the site is not built."""
    found = (path.relative_to(BUILT).as_posix() for path in (BUILT / folder).rglob("*.html"))
    return sorted(page for page in found if "/_static/" not in page)


# One page of each kind, in each language.
PAGE_KINDS = {
    "home": "index.html",
    "prose": "install.html",
    "glossary": "glossary.html",
    "names": "where.html",
    "lesson with formulas": "lessons/autograd/07_custom_function.html",
    "lesson with figures": "lessons/practice/03_mnist.html",
    "all lessons": "lessons/index.html",
    "part": "lessons/start/index.html",
    "package": "api/index.html",
    "function": "api/training.html",
    "index": "genindex.html",
    "search": "search.html",
}


class Reader:
    """Opens pages, and collects errors, missing files and requests to anywhere else."""

    def __init__(self, site: str, context: BrowserContext) -> None:
        """Listen to all that the context does."""
        self.site = site
        self.context = context
        self.faults: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"error: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("requestfailed", self._failed)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "404" not in message.text:
            self.faults.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.site, "data:", "blob:", "file:")):
            self.faults.append(f"third party: {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by the test, which went on to another page
            self.faults.append(f"failed: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    def open(self, address: str, page: Page | None = None) -> Page:
        """Open an address of the site."""
        page = page or self.context.new_page()
        page.set_default_timeout(10_000)
        page.goto(address if "://" in address else self.site + address)
        return page
