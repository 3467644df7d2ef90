"""A server for the built site, in a folder below the root, and a browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.site_reader import FOLDERS, Reader
from helpers.site_server import serve
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = os.environ.get("HANDBOOK_CHROMIUM", "/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Serve the site, and yield its address."""
    yield from serve()


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
