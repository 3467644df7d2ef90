"""The role ``measured`` quotes numbers that `nox -s bench` wrote to docs/measured.

It takes a file, a path in the file and, optionally, a unit: ``fit; rows/bare/loss/ratio``,
``fit; rows/bare/loss/seconds; ms``. Table cells and paragraphs that hold only such numbers are not
messages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxRole

from bilingual import transform_priorities

UNITS = {
    "": (1, ""),
    "ms": (1e3, " ms"),
    "s": (1, " s"),
    "%": (100, " %"),
    "×": (1, " ×"),
    "KB": (1e-3, " KB"),
}


def look_up(file: Path, path: str) -> Any:
    """Return the value at a path of names in a JSON file."""
    found = json.loads(file.read_text("utf-8"))
    for name in path.split("/"):
        if not isinstance(found, dict) or name not in found:
            raise KeyError(f"{file.name} has no {name!r} of {path}")
        found = found[name]
    return found


def format_number(value: Any, unit: str) -> str:
    """Write a number with three digits, and a spread as its median and range."""
    factor, name = UNITS[unit]
    if isinstance(value, dict):
        median, low, high = (_digits(value[key] * factor) for key in ("median", "low", "high"))
        return f"{median}{name} ({low}–{high})"
    if isinstance(value, str):
        return value
    return f"{_digits(value * factor)}{name}"


def _digits(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) >= 1 else 3}f}" if abs(value) < 10 else f"{value:.1f}"


class BenchmarkRole(SphinxRole):
    """Quote a number from a result."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number as text, and read the page again when the file changes."""
        name, path, *unit = (part.strip() for part in self.text.split(";"))
        file = Path(self.env.srcdir, "measured", f"{name}.json")
        self.env.note_dependency(file)
        try:
            text = format_number(look_up(file, path), *unit or [""])
        except (KeyError, OSError, ValueError) as error:
            message = self.inliner.reporter.error(f"measured: {error}", line=self.lineno)
            return [], [message]
        return [nodes.inline(self.rawtext, text, classes=["measured"])], []


class ExcludeFromCatalog(SphinxTransform):
    """Exclude paragraphs that hold only numbers."""

    default_priority = transform_priorities.EXCLUDE_NUMBERS

    def apply(self, **kwargs: object) -> None:
        """Mark each paragraph in which everything comes from the role."""
        for paragraph in self.document.findall(nodes.paragraph):
            if all(map(_is_number, paragraph.children)):
                paragraph["translatable"] = False


def _is_number(node: nodes.Node) -> bool:
    return isinstance(node, nodes.inline) and "measured" in node["classes"]


def setup(app: Sphinx) -> None:
    """Register the role and the transform."""
    app.add_role("measured", BenchmarkRole())
    app.add_transform(ExcludeFromCatalog)
