"""At the foot of a lesson: the previous and the next lesson of the book, across its parts."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from course import book


def link_neighbours(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Replace Sphinx's neighbours, which include the index pages of the parts."""
    lesson = book.lesson_of(app.config, page)
    if lesson is None:
        return
    order = [name for name in app.config.course_order if _page(app, name) in app.env.titles]
    place = order.index(lesson)
    if place:
        context["prev"] = _link(app, page, order[place - 1])
    if place + 1 < len(order):
        context["next"] = _link(app, page, order[place + 1])


def _page(app: Sphinx, lesson: str) -> str:
    return book.page_of(app.config, lesson)


def _link(app: Sphinx, page: str, lesson: str) -> dict[str, str]:
    target = _page(app, lesson)
    title = app.builder.render_partial(app.env.titles[target])["title"]
    return {"link": app.builder.get_relative_uri(page, target), "title": title}


def setup(app: Sphinx) -> None:
    """Register the handler."""
    app.connect("html-page-context", link_neighbours)
