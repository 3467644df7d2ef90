"""Long names in text may be broken on a phone: after a dot or an underscore, not within a word."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

LONG = re.compile(r'(?<=<span class="pre">)[^<]{25,}')  # one word of code in a line of text
PLACE = re.compile(r"(?<=\w)[._(=](?=[^\W_]|&quot;)")


def mark(body: str) -> str:
    """Mark the places where the long names of a page may be broken.

    Examples
    --------
    >>> mark('<span class="pre">torch.optim.lr_scheduler.StepLR</span>')
    '<span class="pre">torch.<wbr>optim.<wbr>lr_<wbr>scheduler.<wbr>StepLR</span>'
    >>> mark('<span class="pre">torch.optim</span>')
    '<span class="pre">torch.optim</span>'
    """
    return LONG.sub(lambda name: PLACE.sub(r"\g<0><wbr>", name[0]), body)


def mark_page(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Mark them in the text of a page."""
    if "body" in context:
        context["body"] = mark(context["body"])


def setup(app: Sphinx) -> None:
    """Register the handler."""
    app.connect("html-page-context", mark_page)
