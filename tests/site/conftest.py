"""A server for the built site, in a folder below the root, and a browser."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.site_reader import FOLDERS, Reader
from helpers.site_server import serve
from helpers.site_survey import NARROW, Survey, at_a_desk, on_a_phone
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


def surveyed(
    survey: Callable[[Reader, str], Survey], site: str, browser: Browser, **options: object
) -> Callable[[str], Survey]:
    """Return a function that surveys the pages of a folder once, and fails if one has a fault."""

    @functools.cache
    def see(folder: str) -> Survey:
        context = browser.new_context(locale=FOLDERS[folder], **options)
        reader = Reader(site, context)
        found = survey(reader, folder)
        context.close()
        assert reader.faults == []
        return found

    return see


@pytest.fixture(scope="session")
def desk_survey(site: str, browser: Browser) -> Callable[[str], Survey]:
    """Return a function: what every page of a folder looks like on a computer."""
    return surveyed(at_a_desk, site, browser, viewport={"width": 1280, "height": 800})


@pytest.fixture(scope="session")
def phone_survey(site: str, browser: Browser) -> Callable[[str], Survey]:
    """Return a function: what every page of a folder looks like on a phone."""
    return surveyed(on_a_phone, site, browser, viewport=NARROW, has_touch=True, is_mobile=True)


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
