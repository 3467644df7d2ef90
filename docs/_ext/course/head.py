"""What the site adds below the question of a lesson: its place, its time, what it builds on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.locale import _
from sphinx.transforms import SphinxTransform

from bilingual import shared_words, transform_priorities
from course import book, run_times
from course.lesson import STARTS_FOLD, VISIBLE, Lesson

WORDS_A_MINUTE = 150  # of prose that explains code
LINES_A_MINUTE = 20  # of code
PLACE = "Lesson {} of {}"
READ = "{} min to read"
RUN = "Runs in under {} s on 2 cores"
BEFORE = "Before: "


class Head(NamedTuple):
    """What the head of a lesson says."""

    part: str
    number: int
    count: int
    minutes: int
    seconds: int | None
    before: tuple[str, ...]


def head_of(env: BuildEnvironment, lesson: str) -> Head:
    """Collect what the head of a lesson says."""
    times = run_times.read(Path(env.srcdir, env.config.course_times))
    return heads(env)[lesson]._replace(seconds=times.get(lesson))


def heads(env: BuildEnvironment) -> dict[str, Head]:
    """Return the heads of all lessons, without the class of time, which is measured."""

    def collect() -> dict[str, Head]:
        course = book.introductions(env)
        found = {}
        for lesson in course.order:
            part = lesson.partition("/")[0]
            lessons = [name for name in course.order if name.startswith(f"{part}/")]
            found[lesson] = Head(
                part=part,
                number=lessons.index(lesson) + 1,
                count=len(lessons),
                minutes=reading_minutes(course.lessons[lesson]),
                seconds=None,
                before=tuple(course.before(lesson)),
            )
        return found

    return book.known(env, "heads", collect)


def reading_minutes(lesson: Lesson) -> int:
    """Estimate how long a reader needs who opens no fold, in either language."""
    texts = [block.content for block in lesson.blocks if block.type == "text"]
    prose = " ".join(text for text in texts if not STARTS_FOLD.match(text))
    words = len(re.findall(r"[^\W\d_]{2,}|\b[aAI]\b", re.sub(r":\w+:|\.\. [\w-]+:.*", "", prose)))
    cells = [cell.code for cell in lesson.cells if cell.kind == VISIBLE]
    lines = sum(bool(line.strip()) for code in cells for line in code.split("\n"))
    return math.ceil(words / WORDS_A_MINUTE + lines / LINES_A_MINUTE)


class AddHead(SphinxTransform):
    """Add the head after the question, once the messages of the page are translated."""

    default_priority = transform_priorities.ADD_LESSON_HEAD

    def apply(self, **kwargs: object) -> None:
        """Add two lines, and remember them, so that the page is read again when they change."""
        page = self.env.current_document.docname
        lesson = book.lesson_of(self.config, page)
        question = next(
            (
                node
                for node in self.document.findall(nodes.paragraph)
                if isinstance(node.parent, nodes.section)
            ),
            None,
        )
        if lesson is None or question is None:
            return
        head = head_of(self.env, lesson)
        self.env.metadata[page]["lesson_head"] = repr(head)
        place = [self._link(f"{head.part}/index"), _(PLACE).format(head.number, head.count)]
        place.append(_(READ).format(head.minutes))
        if head.seconds:
            place.append(_(RUN).format(head.seconds))
        lines = [nodes.paragraph("", "", *_joined(place))]
        if head.before:
            links = _joined(map(self._link, head.before))
            lines.append(nodes.paragraph("", "", nodes.Text(_(BEFORE)), *links))
        question.parent.insert(
            question.parent.index(question) + 1,
            nodes.container("", *lines, classes=["lesson-head"]),
        )

    def _link(self, lesson: str) -> addnodes.pending_xref:
        """Link to a page by its title, in the language of the site."""
        return link(self.env, book.page_of(self.config, lesson))


def link(env: BuildEnvironment, page: str) -> addnodes.pending_xref:
    """Return a link to a page that shows the page's own title."""
    return addnodes.pending_xref(
        "",
        nodes.inline("", page, classes=["xref", "doc"]),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{page}",
        refexplicit=False,
        refwarn=True,
        refdoc=env.current_document.docname,
        listed=True,  # no sentence is around it: see bilingual.title_marks
    )


def _joined(parts: Iterable[nodes.Node | str]) -> list[nodes.Node]:
    """Put dots between the parts."""
    found: list[nodes.Node] = []
    for part in parts:
        found += [nodes.Text(" · ")] * bool(found)
        found.append(nodes.Text(part) if isinstance(part, str) else part)
    return found


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Return the lessons whose head has changed, though their scripts have not."""
    found = []
    for page in env.all_docs:
        lesson = book.lesson_of(app.config, page)
        if lesson not in heads(env):
            continue
        if env.metadata[page].get("lesson_head") != repr(head_of(env, lesson)):
            found.append(page)
    return found


def setup(app: Sphinx) -> None:
    """Register the transform, the handler and the words."""
    shared_words.register(PLACE, READ, RUN, BEFORE)
    app.add_transform(AddHead)
    app.connect("env-get-outdated", outdated)
