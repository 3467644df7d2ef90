"""Which names a lesson uses: of the libraries, and of Python's advanced syntax.

A name is written as a reader would look it up: ``torch.arange``, ``Tensor.sum`` for a method (the
function ``torch.sum`` is the same name), ``handbook.fit``, ``Python: lambda`` for syntax. Code
counts that a reader sees or writes: what is in checks, in drawings and in the box *If you learned
PyTorch earlier* does not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from course import methods
from course.lesson import VISIBLE, Lesson
from course.scopes import COMPREHENSIONS

LIBRARIES = {"handbook", "matplotlib", "numpy", "torch", "torchvision"}
COUNTED = {VISIBLE, "answer"}
# Advanced syntax, as a reader would look it up.
SYNTAX = (
    "...",
    "class",
    "comprehension",
    "comprehension with two loops",
    "conditional expression",
    "decorator",
    "dict comprehension",
    "f-string format",
    "generator expression",
    "global",
    "lambda",
    "match",
    "slice with a step",
    "star-arguments",
    "try",
    "walrus",
    "with",
    "yield",
)
# A reader who begins this book knows functions, classes and simple comprehensions.
ASSUMED = {"Python: class", "Python: comprehension"}


def uses(lesson: Lesson) -> dict[str, int]:
    """Return the names that a lesson uses, with the line of the first use."""
    found: dict[str, int] = {}
    modules = _imports(lesson)
    own = set(own_names(lesson)) | _own_attributes(lesson)
    for cell in lesson.cells:
        if cell.kind in COUNTED:
            for statement in cell.statements:
                for name, line in _names(statement, modules, own):
                    found.setdefault(name, line)
    skipped = ASSUMED | LIBRARIES
    return {name: line for name, line in found.items() if name not in skipped}


def own_names(lesson: Lesson) -> list[str]:
    """Return the functions and classes that the page itself defines where a reader sees it."""
    found = [
        node.name
        for cell in lesson.cells
        if cell.kind == VISIBLE
        for node in cell.statements
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    return list(dict.fromkeys(found))  # versions of one function are one name


def mentioned(lesson: Lesson, name: str) -> bool:
    """Return whether the text of a lesson has a name, in code or as a link."""
    if name.startswith("Python: "):
        return True  # syntax has no name that one would write
    last = re.escape(name.rpartition(".")[2])
    codes = re.findall(r"``(.+?)``|:(?:py:)?\w+:`([^`]+)`", lesson.text)
    return any(re.search(rf"(?<![A-Za-z0-9_]){last}(?![A-Za-z0-9_])", a or b) for a, b in codes)


@cache
def _methods() -> dict[str, str]:
    return methods.read()


def _imports(lesson: Lesson) -> dict[str, str]:
    """Return what the imported names of libraries stand for."""
    found = {}
    for node in ast.walk(lesson.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                full = alias.name if alias.asname else alias.name.partition(".")[0]
                found[alias.asname or full] = full
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return {name: full for name, full in found.items() if full.partition(".")[0] in LIBRARIES}


def _own_attributes(lesson: Lesson) -> set[str]:
    """Return the methods and attributes of the lesson's own classes.

    `Own.apply` of an ``autograd.Function`` is not ``Module.apply``, so it stands with its class.
    Nor is a ``size`` that is not called that of a tensor: images of Pillow have such an attribute.
    """
    found = set()
    called = [node.func for node in ast.walk(lesson.tree) if isinstance(node, ast.Call)]
    for node in ast.walk(lesson.tree):
        if isinstance(node, ast.Attribute) and node.attr == "size" and node not in called:
            found.add(ast.unparse(node))
        if isinstance(node, ast.ClassDef):
            found |= {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
            found.add(f"{node.name}.apply")
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found |= {node.attr} if ast.unparse(node.value) == "self" else set()
    return found


def _names(node: ast.AST, modules: dict[str, str], own: set[str]) -> Iterator[tuple[str, int]]:
    """Yield the names in a piece of code, in the order of the text."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return
    line = getattr(node, "lineno", 0)
    for syntax in _syntax(node):
        yield f"Python: {syntax}", line
    full = _full_name(node, modules)
    if full:
        yield _canonical(full), line
        return
    of_own_class = isinstance(node, ast.Attribute) and ast.unparse(node) in own
    if (
        isinstance(node, ast.Attribute)
        and not of_own_class
        and (node.attr not in own and node.attr in _methods())
    ):
        yield from _names(node.value, modules, own)
        yield _methods()[node.attr], line
        return
    for child in ast.iter_child_nodes(node):
        yield from _names(child, modules, own)


def _full_name(node: ast.AST, modules: dict[str, str]) -> str:
    """Return what ``torch.nn.Linear``, ``nn.Linear`` or ``fit`` stands for, if anything public."""
    if isinstance(node, ast.Name):
        return modules.get(node.id, "")
    if isinstance(node, ast.Attribute) and (owner := _full_name(node.value, modules)):
        return owner if node.attr.startswith("_") else f"{owner}.{node.attr}"
    return ""


def _canonical(full: str) -> str:
    """Give a function of torch that is also a method the name of the method.

    Below ``torch.ops`` are operators that the lesson has registered itself.
    """
    if full.startswith("torch.ops."):
        return "torch.ops"
    owner, _, name = full.rpartition(".")
    method = _methods().get(name, "")
    return method if owner in ("torch", "torch.Tensor") and method.startswith("Tensor.") else full


def _syntax(node: ast.AST) -> Iterator[str]:
    """Yield what a node is of Python's advanced syntax."""
    match node:
        case ast.DictComp():
            yield "dict comprehension"
        case ast.ListComp() | ast.SetComp():
            yield "comprehension"
        case ast.GeneratorExp():
            yield "generator expression"
        case ast.Lambda():
            yield "lambda"
        case ast.With():
            yield "with"
        case ast.Try():
            yield "try"
        case ast.Yield() | ast.YieldFrom():
            yield "yield"
        case ast.NamedExpr():
            yield "walrus"
        case ast.Starred():
            yield "star-arguments"
        case ast.keyword(arg=None):
            yield "star-arguments"
        case ast.FormattedValue(format_spec=ast.JoinedStr()):
            yield "f-string format"
        case ast.Slice(step=ast.AST()):
            yield "slice with a step"
        case ast.Match():
            yield "match"
        case ast.Constant(value=value) if value is Ellipsis:
            yield "..."
        case ast.ClassDef():
            yield "class"
        case ast.IfExp():
            yield "conditional expression"
        case ast.Global() | ast.Nonlocal():
            yield "global"
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.decorator_list:
        yield "decorator"
    if isinstance(node, ast.FunctionDef) and (node.args.vararg or node.args.kwarg):
        yield "star-arguments"
    if isinstance(node, COMPREHENSIONS) and len(node.generators) > 1:
        yield "comprehension with two loops"
