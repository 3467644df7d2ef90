"""What every page of the built site looks like; each is opened once, at a desk and on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.site_reader import Reader, pages
from playwright.sync_api import Page

LOOKS = (Path(__file__).parents[1] / "site/looks.js").read_text("utf-8").strip()
# The sum of all layout shifts so far, as `window.shift`, and what moved, as `window.moved`.
SHIFTS = """window.shift = 0; window.moved = []; new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) {
        shift += entry.value;
        for (const { node, previousRect: a, currentRect: b } of entry.sources)
            moved.push(`${(node?.outerHTML ?? "").slice(0, 80)} ${a.x},${a.y} to ${b.x},${b.y}`);
    }
}).observe({ type: "layout-shift", buffered: true });"""
MOVES, VISITS = 0.02, 3  # on a busy machine, a page may be drawn once before all of it is there
NARROW, PHONE = {"width": 360, "height": 740}, {"width": 390, "height": 844}

Survey = dict[str, dict[str, Any]]  # what was found, by address and name of the function


def look(page: Page, what: str) -> Any:
    """Call a function of looks.js in a page."""
    return page.evaluate(f"{LOOKS}.{what}()")


def unfold(page: Page) -> None:
    """Open every fold."""
    page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true; })")


def at_a_desk(reader: Reader, folder: str) -> Survey:
    """Open every page of a language beside both side bars, each as on a first visit."""
    page = reader.context.new_page()
    page.context.new_cdp_session(page).send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.add_init_script(SHIFTS)
    found: Survey = {}
    for address in pages(folder):
        shifts = []
        while not shifts or (shifts[-1][0] > MOVES and len(shifts) < VISITS):
            reader.open(address, page)
            h1 = page.locator("h1").first.is_visible()
            page.wait_for_timeout(100)
            shifts.append(page.evaluate("[window.shift, window.moved]"))
        if len(shifts) > 1:
            print(address, shifts)
        shift = min(value for value, _moved in shifts)
        facts = look(page, "facts")
        unfold(page)
        names = ("cut", "covered", "formulas")
        found[address] = {"h1": h1, "shift": shift, **facts} | {n: look(page, n) for n in names}
    return found


def on_a_phone(reader: Reader, folder: str) -> Survey:
    """Open every page of a language on a narrow phone, with every fold open."""
    page = reader.context.new_page()
    found: Survey = {}
    for address in pages(folder):
        page.set_viewport_size(NARROW)
        reader.open(address, page)
        unfold(page)
        found[address] = {name: look(page, name) for name in ("beyond", "unreachable", "formulas")}
        page.set_viewport_size(PHONE)
        found[address] |= {name: look(page, name) for name in ("figures", "torn")}
    return found
