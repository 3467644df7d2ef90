"""The lines of a lesson that lead to its first figure, without the rest of the lesson."""

from __future__ import annotations

import ast

from course.lesson import Lesson


def first_figure(lesson: Lesson) -> str:
    """Return the program that draws the first figure: the statement, and what its names need.

    Imports are reduced to the names that are used. The lesson must draw with a call whose result it
    names `figure` or `fig`.

    Raises
    ------
    ValueError
        If no statement does that.
    """
    statements = lesson.tree.body[1:]
    drawing = [n for n, each in enumerate(statements) if _bound(each) & {"figure", "fig"}]
    if not drawing:
        raise ValueError(f"{lesson.file}: no figure is drawn")
    last = statements[drawing[0]]
    source = "\n".join(lesson.lines)
    needed, kept = _loaded(last), [ast.get_source_segment(source, last)]
    imports: list[str] = []
    for before in reversed(statements[: drawing[0]]):
        if not _bound(before) & needed:
            continue
        if isinstance(before, ast.Import | ast.ImportFrom):
            used = [alias for alias in before.names if (alias.asname or alias.name) in needed]
            before.names, names = used, before.names
            imports.insert(0, ast.unparse(before))
            before.names = names
        else:
            kept.insert(0, ast.get_source_segment(source, before))
            needed |= _loaded(before)
    return "\n".join([*imports, "", *kept])


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement gives a value to."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _loaded(statement: ast.stmt) -> set[str]:
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
