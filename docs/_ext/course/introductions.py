"""Which lesson introduces which name, and what each lesson builds on.

A lesson introduces a name if it explains it: `examples/introduces.toml` says so for every lesson
that has the form of CONTRIBUTING.md. Of the lessons in `NOT_YET`, the first that uses a name and
has it in its text introduces it, or else the first that uses it. The first lesson of the book shows
the whole road and leaves the explanations to later ones: it introduces what it declares and the
names of `handbook`, whose inside a reader need not know, and may use the others. The other lessons
of the first part belong to the tour: they may use a name that a later lesson introduces, if their
own text has it and says what it does there. Later lessons may use it, too, but it has to be
declared for the one that explains it; the table may also name a lesson of `NOT_YET`.

A lesson builds on the earlier ones that introduced the names which it uses, on those that it links
to, and on its neighbours: `before` weighs them, and the part `[before]` of the table overrules it.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from course import names
from course.lesson import Fault, Lesson

TABLE = "introduces.toml"
MAX_NEW = 10
SHOWN = 3  # lessons that a lesson builds on, at most
# Points of an earlier lesson: for each link up to the third, for the same part, and to be shown.
LINKED, SAME_PART, ENOUGH = 1.5, 1, 2.5
RARE = 20  # a name that more lessons use is everybody's
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
        self.declared_before: dict[str, list[str]] = dict(self.declared.pop("before", {}))
        self.where = self._find()

    def _find(self) -> dict[str, str]:
        """Return the lesson that introduces each name."""
        old = [name for name in self.order[1:] if name in self.not_yet]
        found: dict[str, str] = {}
        for lesson in self.order:  # what is declared comes first
            for name in self.declared.get(lesson, []):
                found.setdefault(name, lesson)
        for name in self._of_the_house():
            found.setdefault(name, self.order[0])
        for explained in (True, False):
            for lesson in old:
                for name in self.uses[lesson]:
                    if not explained or names.mentioned(self.lessons[lesson], name):
                        found.setdefault(name, lesson)
        for lesson in self._tour():
            for name in self._told(lesson):
                found.setdefault(name, lesson)
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
        declared = self.declared.get(lesson, [])
        if lesson in self.not_yet or lesson not in self.declared:
            declared = [name for name in self.uses[lesson] if self.where.get(name) == lesson]
        return [*declared, *names.own_names(self.lessons[lesson])]

    def before(self, lesson: str) -> list[str]:
        """Return the earlier lessons that a lesson builds on, in the order of the book.

        The table may say which. Otherwise they are those with the most points: for each name that
        they introduced and the lesson uses, if it is rare, and the more the rarer; for each link;
        and for being near, in the same part.
        """
        earlier = self.order[: self.order.index(lesson)]
        found = self.declared_before.get(lesson)
        if found is None:
            points = {name: self._points(name, lesson) for name in earlier}
            best = sorted(earlier, key=lambda name: points[name], reverse=True)[:SHOWN]
            found = [name for name in best if points[name] >= max(ENOUGH, points[best[0]] / 3)]
        return sorted(found, key=earlier.index)

    def _points(self, earlier: str, lesson: str) -> float:
        """Return how much a lesson builds on an earlier one."""
        names = [name for name in self.uses[lesson] if self.where.get(name) == earlier]
        rare = [max(0.0, math.log(RARE / self._users(name))) for name in names]
        links = LINK.findall(self.lessons[lesson].text).count(earlier)
        part = earlier.partition("/")[0] == lesson.partition("/")[0]
        near = 1 / (self.order.index(lesson) - self.order.index(earlier))
        return sum(rare) + LINKED * min(links, 3) + part * (SAME_PART + near)

    def _users(self, name: str) -> int:
        """Return how many lessons use a name."""
        return sum(name in uses for uses in self.uses.values())

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
        if lesson in self._tour():
            later = {name for other in self.order[place + 1 :] for name in self.uses[other]}
            for name in self._told(lesson):
                if name in later and name not in self.declared.get(self.where[name], []):
                    rule = f"{name} is only told here: declare it in {TABLE}"
                    yield Fault(self.uses[lesson][name], f"{rule} for the lesson that explains it")
        for name in self.declared_before.get(lesson, []):
            if name not in self.order[:place]:
                yield Fault(1, f"{name} is no earlier lesson: correct [before] in {TABLE}")
        new = self.new(lesson)
        if len(new) > MAX_NEW:
            yield Fault(1, f"{len(new)} new names, {MAX_NEW} at most: {', '.join(new)}")
