"""What search engines and messengers say about a page: its first sentences."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.locale import _

from bilingual import shared_words
from bilingual.line_wrapping import display_width

WIDTH = 160  # columns; search engines cut longer ones
SPECIAL = {
    "search": "Search the PyTorch Handbook: lessons, terms, functions and error messages.",
    "genindex": "Every function and every term of the PyTorch Handbook, from A to Z.",
}


def describe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Tell the template the description: the page's own, or its first paragraphs."""
    own = re.search(r'<meta content="([^"]*)" name="description"', context.get("metatags") or "")
    context["own_description"] = bool(own)
    if own:
        context["description"] = nodes.unescape(own[1])
    elif page in SPECIAL:
        context["description"] = _(SPECIAL[page])
    else:
        context["description"] = first_sentences(doctree) if doctree else ""


def first_sentences(document: nodes.document) -> str:
    """Return the beginning of the prose of a page, at most `WIDTH` columns, cut between words."""
    prose = [
        " ".join(node.astext().split())
        for node in document.findall(nodes.paragraph)
        if isinstance(node.parent, nodes.section)
    ]
    found = ""
    for text in prose[:3]:
        longer = f"{found} {text}".strip()
        if display_width(longer) > WIDTH:
            return found if display_width(found) > WIDTH / 2 else shorten(longer)
        found = longer
    return found


def shorten(text: str) -> str:
    """Cut a text at the end of a word, or of a clause, and say so with dots.

    Examples
    --------
    >>> shorten("a few words")
    'a few words'
    >>> len(shorten("word " * 50))
    156
    """
    if display_width(text) <= WIDTH:
        return text
    end = len(text)
    while display_width(text[:end]) > WIDTH - 2:
        end -= 1
    cut = re.match(r".*[\s，。；：？！、]", text[:end], re.DOTALL)
    return f"{(cut[0] if cut else text[:end]).rstrip(' ，；：、')} …"


def setup(app: Sphinx) -> None:
    """Register the handler and the words."""
    shared_words.register(*SPECIAL.values())
    app.connect("html-page-context", describe)
