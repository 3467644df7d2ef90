"""Which lesson introduces which name, and what each lesson builds on.

A lesson introduces a name if it explains it: `examples/introduces.toml` says so for every lesson
that has the form of CONTRIBUTING.md. Of the lessons in `NOT_YET`, the first that uses a name and
has it in its text introduces it, or else the first that uses it. The first lesson of the book shows
the whole road and leaves the explanations to later ones: it introduces what it declares and the
names of `handbook`, whose inside a reader need not know, and may use the others. The other lessons
of the first part belong to the tour: they may use a name that a later lesson introduces, if their
own text has it and says what it does there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from course import names
from course.lesson import Fault, Lesson

TABLE = "introduces.toml"
MAX_NEW = 10
SHOWN = 3  # lessons that a lesson builds on, at most
LINK = re.compile(r":doc:`(?:[^`<]*<)?/lessons/([^`<>]+)>?`")


class Introductions:
    """The names of all lessons, in the order of the book.

    Parameters
    ----------
    folder : Path
        The folder of the lessons, with the table.
    order : list of str
        The names of all lessons.
    not_yet : collection of str
        Those whose introductions are not declared.
    """

    def __init__(self, folder: Path, order: list[str], not_yet: list[str]) -> None:
        self.order = [name for name in order if (folder / f"{name}.py").exists()]
        self.not_yet = not_yet
        self.lessons = {name: Lesson(folder / f"{name}.py") for name in self.order}
        self.uses = {name: names.uses(lesson) for name, lesson in self.lessons.items()}
        table = folder / TABLE
        self.declared: dict[str, list[str]] = (
            tomllib.loads(table.read_text("utf-8")) if table.exists() else {}
        )
        self.where = self._find()

    def _find(self) -> dict[str, str]:
        """Return the lesson that introduces each name."""
        old = [name for name in self.order[1:] if name in self.not_yet]
        found: dict[str, str] = {}
        for lesson in self.order:  # what is declared comes first
            for name in self.declared.get(lesson, []):
                found.setdefault(name, lesson)
        for explained in (True, False):
            for lesson in old:
                for name in self.uses[lesson]:
                    if not explained or names.mentioned(self.lessons[lesson], name):
                        found.setdefault(name, lesson)
        for lesson in self._tour():
            for name in self._told(lesson):
                found.setdefault(name, lesson)
        for name in self._of_the_house():
            found.setdefault(name, self.order[0])
        return found

    def _of_the_house(self) -> list[str]:
        """Return the names of `handbook` that the first lesson uses."""
        first = [name for lesson in self.order[:1] for name in self.uses[lesson]]
        return [name for name in first if name.startswith("handbook.")]

    def _tour(self) -> list[str]:
        """Return the lessons of the first part, without the first one and those in `not_yet`."""
        part = self.order[0].partition("/")[0] if self.order else ""
        return [
            name
            for name in self.order[1:]
            if name.partition("/")[0] == part and name not in self.not_yet
        ]

    def _told(self, lesson: str) -> list[str]:
        """Return the names that a lesson uses and has in its text; syntax has to be declared."""
        return [
            name
            for name in self.uses[lesson]
            if not name.startswith("Python: ") and names.mentioned(self.lessons[lesson], name)
        ]

    def _known(self, place: int) -> set[str]:
        """Return the names that a reader has met before the lesson at a place of the book."""
        known = {name for name, lesson in self.where.items() if lesson in self.order[: place + 1]}
        for lesson in self.order[1:place]:
            known |= set(self.uses[lesson]) if lesson in self.not_yet else set()
        for lesson in self._tour():
            known |= set(self._told(lesson)) if lesson in self.order[: place + 1] else set()
        return known | set(self._of_the_house())

    def new(self, lesson: str) -> list[str]:
        """Return what a lesson introduces, the functions and classes of its own included."""
        declared = self.declared.get(lesson)
        if declared is None:
            declared = [name for name in self.uses[lesson] if self.where.get(name) == lesson]
        return [*declared, *names.own_names(self.lessons[lesson])]

    def before(self, lesson: str) -> list[str]:
        """Return the earlier lessons that a lesson builds on, in the order of the book.

        These are the first that its text links to. Where it links to none, they are the nearest
        that introduced names which it uses.
        """
        earlier = self.order[: self.order.index(lesson)]
        linked = dict.fromkeys(LINK.findall(self.lessons[lesson].text))
        found = [name for name in linked if name in earlier][:SHOWN]
        if not found:
            used = {self.where.get(name) for name in self.uses[lesson]}
            found = [name for name in earlier if name in used][-SHOWN:]
        return sorted(found, key=earlier.index)

    def faults(self, lesson: str) -> Iterator[Fault]:
        """Yield what is wrong with the names of a lesson whose introductions are declared."""
        place = self.order.index(lesson)
        known = self._known(place)
        declared = self.declared.get(lesson, [])
        for name in declared:
            if name not in self.uses[lesson]:
                yield Fault(1, f"{name} is declared in {TABLE}, and not used")
            elif not names.mentioned(self.lessons[lesson], name):
                yield Fault(self.uses[lesson][name], f"{name} is new: explain it in the text")
            if self.where[name] != lesson:
                yield Fault(1, f"{name} is declared by {self.where[name]}, too")
        for name, line in self.uses[lesson].items():
            if place and name not in known:
                later = f", or leave it to {self.where[name]}" if name in self.where else ""
                yield Fault(line, f"{name} is new: explain it and declare it in {TABLE}{later}")
        new = self.new(lesson)
        if len(new) > MAX_NEW:
            yield Fault(1, f"{len(new)} new names, {MAX_NEW} at most: {', '.join(new)}")
