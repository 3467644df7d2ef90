"""Directives of the home page, which shows the lessons as they are: nothing is typed by hand.

``opening``  the lines of a lesson that draw its first figure, the figure, and the way to begin
``part``     a part of the book: its first figure, its size, and what a reader can do after it
"""

from __future__ import annotations

import math
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.locale import _
from sphinx.util.docutils import SphinxDirective

from bilingual import shared_words
from course import book
from course.cards import level_of
from course.head import link, reading_minutes
from course.program_slice import first_figure as lines_of_first_figure
from looks.figures import first_figure, small_figure

BEGIN = "Begin with the first lesson"
ALL = "All lessons"
SIZE = "{} lessons · about {} hours to read"
DRAWN = "These lines ran when this page was made, and drew this figure."
PART_SIZE = "{} lessons · {} min"


class Opening(SphinxDirective):
    """Read the lesson, and what the handbook is."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Create two columns: the words, and code with what it drew."""
        lesson = self.arguments[0]
        page = book.page_of(self.config, lesson)
        course = book.introductions(self.env)
        _note_scripts(self.env)
        self.env.note_dependency(self.env.doc2path(page))
        code = lines_of_first_figure(course.lessons[lesson])
        begin = _button(self.env, page, _(BEGIN))
        every = _button(self.env, book.page_of(self.config, "index"), _(ALL))
        minutes = sum(map(reading_minutes, course.lessons.values()))
        size = _(SIZE).format(len(course.order), math.ceil(minutes / 60))
        words = nodes.container(classes=["opening-words"])
        words += self.parse_content_to_nodes()
        words += _line("", begin, nodes.Text(" "), every, classes=["opening-buttons"])
        words += _line(size, classes=["opening-size"])
        shown = nodes.container(classes=["opening-code"])
        shown += nodes.literal_block(code, code, language="python")
        shown += first_figure(lesson=page)
        shown += _line(_(DRAWN), classes=["opening-note"])
        return [nodes.container("", words, shown, classes=["opening"])]


class Part(SphinxDirective):
    """Read the part, and what a reader can do after it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Create a card."""
        part = self.arguments[0]
        course = book.introductions(self.env)
        _note_scripts(self.env)
        lessons = [name for name in course.order if name.startswith(f"{part}/")]
        if not lessons:
            return [self.state_machine.reporter.error(f"there is no part {part}", line=self.lineno)]
        minutes = sum(reading_minutes(course.lessons[name]) for name in lessons)
        size = _(PART_SIZE).format(len(lessons), minutes)
        facts = " · ".join(filter(None, (size, level_of(self.config, lessons[0]))))
        card = nodes.container(classes=["part-card"])
        card += small_figure(lesson=book.page_of(self.config, self._drawing_lesson(lessons)))
        target = link(self.env, book.page_of(self.config, f"{part}/index"))
        card += _line("", target, classes=["part-title"])
        card += self.parse_content_to_nodes()
        card += _line(facts, classes=["card-facts"])
        return [card]

    def _drawing_lesson(self, lessons: list[str]) -> str:
        """Return the first lesson that draws something."""
        folder = Path(self.env.srcdir, self.config.sphinx_gallery_conf["examples_dirs"])
        draws = (name for name in lessons if ".. alt::" in (folder / f"{name}.py").read_text())
        return next(draws, lessons[0])


def _line(text: str, *children: nodes.Node, classes: list[str]) -> nodes.paragraph:
    """Return a paragraph that is not a message: its words are translated already."""
    shown = [nodes.Text(text), *children] if text else children
    return nodes.paragraph("", "", *shown, classes=classes, translatable=False)


def _button(env: BuildEnvironment, page: str, words: str) -> addnodes.pending_xref:
    """Return a link with words of its own."""
    button = link(env, page)
    button["refexplicit"] = True
    button[:] = [nodes.inline("", words)]
    return button


def _note_scripts(env: BuildEnvironment) -> None:
    """Read the page again when a lesson changes: its size, or the lines that are shown."""
    folder = Path(env.srcdir, env.config.sphinx_gallery_conf["examples_dirs"])
    for name in env.config.course_order:
        if (folder / f"{name}.py").exists():
            env.note_dependency(folder / f"{name}.py")


def setup(app: Sphinx) -> None:
    """Register the directives and their words."""
    shared_words.register(BEGIN, ALL, SIZE, DRAWN, PART_SIZE)
    app.add_directive("opening", Opening)
    app.add_directive("part", Part)
