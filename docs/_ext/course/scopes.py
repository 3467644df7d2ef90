"""Names in the order in which a program binds and uses them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Event(NamedTuple):
    """A name is bound, or it is used."""

    name: str
    bound: bool
    node: ast.AST


def events(nodes: Iterable[ast.AST]) -> Iterator[Event]:
    """Yield what happens to the names of a scope, as far as the text of the program tells.

    The inside of a function counts where the function is defined, without its own names.
    """
    for node in nodes:
        yield from _events(node)


def _events(node: ast.AST) -> Iterator[Event]:
    match node:
        case ast.Name():
            yield Event(node.id, not isinstance(node.ctx, ast.Load), node)
        case ast.alias():
            yield Event((node.asname or node.name).partition(".")[0], True, node)
        case ast.Assign():
            yield from events([node.value, *node.targets])
        case ast.AnnAssign():
            yield from events([node.value] * bool(node.value))
            yield from events([node.target])
        case ast.AugAssign():
            if isinstance(node.target, ast.Name):
                yield Event(node.target.id, False, node.target)
            yield from events([node.value, node.target])
        case ast.NamedExpr():
            yield from events([node.value, node.target])
        case ast.For():
            yield from events([node.iter, node.target, *node.body, *node.orelse])
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from events([*node.decorator_list, *node.args.defaults])
            yield from _free(node.body, {arg.arg for arg in ast.walk(node.args) if _is_arg(arg)})
            yield Event(node.name, True, node)
        case ast.Lambda():
            yield from events(node.args.defaults)
            yield from _free([node.body], {arg.arg for arg in ast.walk(node.args) if _is_arg(arg)})
        case ast.ClassDef():
            yield from events([*node.decorator_list, *node.bases])
            yield from _free(node.body, set())
            yield Event(node.name, True, node)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            # what it binds is its own
            yield from _free([*node.generators, *_elements(node)], set())
        case ast.comprehension():
            yield from events([node.iter, node.target, *node.ifs])
        case ast.ExceptHandler():
            yield from events([node.type] * bool(node.type))
            if node.name:
                yield Event(node.name, True, node)
            yield from events(node.body)
        case ast.withitem():
            yield from events([node.context_expr, *[node.optional_vars] * bool(node.optional_vars)])
        case _:
            yield from events(ast.iter_child_nodes(node))


def _elements(node: ast.AST) -> list[ast.AST]:
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]


def _is_arg(node: ast.AST) -> bool:
    return isinstance(node, ast.arg)


def _free(body: Iterable[ast.AST], own: set[str]) -> Iterator[Event]:
    """Yield the uses of names that come from outside."""
    inside = list(events(body))
    own = own | {event.name for event in inside if event.bound}
    yield from (event for event in inside if event.name not in own)


def scopes(tree: ast.AST) -> Iterator[tuple[list[ast.stmt], set[str]]]:
    """Yield the statements of the module and of each function, with the names of its arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module):
            yield node.body, set()
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.body, {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
