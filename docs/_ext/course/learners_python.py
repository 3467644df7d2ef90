"""Learner's Python: what the code of a lesson may contain, as far as its syntax tree shows.

Each rule is a generator that takes a lesson and yields faults. One idea stands in one line, so that
a reader who copies the code understands it. A line that says ``# learner: why`` is exempt.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator

from course.lesson import Fault, Lesson
from course.scopes import COMPREHENSIONS, events, scopes

Rule = Callable[[Lesson], Iterator[Fault]]
RULES: dict[str, Rule] = {}
LITERALS = (ast.List, ast.Tuple, ast.Set, ast.Dict)
LOOPS = (ast.For, ast.While, *COMPREHENSIONS)
ALWAYS = {"x", "y", "i", "n", "_"}
GROWING = {"append", "extend", "insert", "remove", "pop", "clear"}
SPLITTING = {"split", "rsplit", "partition", "rpartition", "splitlines"}
MAX_CALLS = 3


def rule(check: Rule) -> Rule:
    """Register a rule by the name of its function."""
    RULES[check.__name__.replace("_", " ")] = check
    return check


def _walk(lesson: Lesson) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """Yield every node with its ancestors, the nearest one last."""

    def visit(node: ast.AST, above: list[ast.AST]) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
        yield node, above
        for child in ast.iter_child_nodes(node):
            yield from visit(child, [*above, node])

    yield from visit(lesson.tree, [])


def _is_call_of(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in names


@rule
def lambda_in_a_collection_or_loop(lesson: Lesson) -> Iterator[Fault]:
    for node, above in _walk(lesson):
        if isinstance(node, ast.Lambda):
            held = any(isinstance(each, (*LITERALS, *LOOPS)) for each in above)
            if held or isinstance(above[-1], ast.arguments) or node.args.defaults:
                yield Fault(node.lineno, "define a function with a name")


@rule
def function_chosen_with_getattr(lesson: Lesson) -> Iterator[Fault]:
    for node, _ in _walk(lesson):
        if _is_call_of(node, "getattr"):
            yield Fault(node.lineno, "write the attribute with a dot")


@rule
def comprehension_in_a_comprehension(lesson: Lesson) -> Iterator[Fault]:
    for node, above in _walk(lesson):
        if isinstance(node, COMPREHENSIONS) and (
            len(node.generators) > 1 or any(isinstance(each, COMPREHENSIONS) for each in above)
        ):
            yield Fault(node.lineno, "write a loop")


@rule
def comprehension_unpacked(lesson: Lesson) -> Iterator[Fault]:
    for node, _ in _walk(lesson):
        unpacked = isinstance(node, ast.Assign) and isinstance(
            node.targets[0], ast.Tuple | ast.List
        )
        if unpacked and isinstance(node.value, COMPREHENSIONS):
            yield Fault(node.lineno, "give each name a line of its own")


@rule
def star_before_a_literal(lesson: Lesson) -> Iterator[Fault]:
    for node, _ in _walk(lesson):
        starred = isinstance(node, ast.Starred) and isinstance(
            node.value, (*LITERALS, *COMPREHENSIONS)
        )
        double = isinstance(node, ast.keyword) and not node.arg
        if starred or (double and isinstance(node.value, ast.Dict | ast.DictComp)):
            yield Fault(node.value.lineno, "write the items themselves")


@rule
def functional_tools(lesson: Lesson) -> Iterator[Fault]:
    for node, _ in _walk(lesson):
        match node:
            case ast.Call(func=ast.Name("zip"), args=args):
                if any(isinstance(each, ast.Starred) for each in args):
                    yield Fault(node.lineno, "zip(*…) is a riddle: write a loop")
            case ast.Call(func=ast.Name("map" | "filter")):
                yield Fault(node.lineno, "write a loop or a comprehension")
            case ast.Import(names=names) if any(each.name == "functools" for each in names):
                yield Fault(node.lineno, "define a function instead of functools")
            case ast.ImportFrom(module="functools"):
                yield Fault(node.lineno, "define a function instead of functools")
            case ast.ImportFrom(module="itertools", names=names):
                if any(each.name == "product" for each in names):
                    yield Fault(node.lineno, "write one loop in another")
            case ast.Attribute(value=ast.Name("itertools"), attr="product"):
                yield Fault(node.lineno, "write one loop in another")


class _Masked(ast.NodeTransformer):
    """Replace every name but that of a called function."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        func = node.func if isinstance(node.func, ast.Name) else self.visit(node.func)
        return ast.Call(
            func, list(map(self.visit, node.args)), list(map(self.visit, node.keywords))
        )

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name("…")


def _masked(node: ast.expr) -> str:
    copy = ast.parse(ast.unparse(node), mode="eval").body
    return ast.dump(_Masked().visit(copy))


@rule
def several_values_in_one_assignment(lesson: Lesson) -> Iterator[Fault]:
    for node, _ in _walk(lesson):
        if not isinstance(node, ast.Assign):
            continue
        if len(node.targets) > 1:
            yield Fault(node.lineno, "x = y = … is two assignments: write two lines")
        elif isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            # the same call on two names, or an exchange, is one idea
            values = {_masked(each) for each in node.value.elts}
            names = any(isinstance(each, ast.Name) for each in ast.walk(node.value))
            if len(values) > 1 or not names:
                yield Fault(node.lineno, "write one line for each value")


@rule
def deep_unpacking(lesson: Lesson) -> Iterator[Fault]:
    for node, above in _walk(lesson):
        stored = isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Store)
        if stored and isinstance(above[-1], ast.Tuple | ast.List):
            yield Fault(node.lineno, "unpack the inner values in a line of their own")


@rule
def two_numbers_as_index(lesson: Lesson) -> Iterator[Fault]:
    def by_number(node: ast.AST) -> bool:
        return isinstance(node, ast.Subscript) and bool(
            re.fullmatch(r"-?\d+", ast.unparse(node.slice))
        )

    for node, _ in _walk(lesson):
        if by_number(node) and by_number(node.value):
            yield Fault(node.lineno, "give the inner result a name")


@rule
def semicolon(lesson: Lesson) -> Iterator[Fault]:
    for token in tokenize.generate_tokens(io.StringIO(lesson.source).readline):
        if token.type == tokenize.OP and token.string == ";":
            yield Fault(token.start[0], "write two lines")


@rule
def mixed_comparison(lesson: Lesson) -> Iterator[Fault]:
    kinds = {ast.Lt: "<", ast.LtE: "<", ast.Gt: ">", ast.GtE: ">"}
    for node, _ in _walk(lesson):
        operators = node.ops if isinstance(node, ast.Compare) else []
        if len({kinds.get(type(each), type(each)) for each in operators}) > 1:
            yield Fault(node.lineno, "write one comparison for each claim")


@rule
def hidden_condition(lesson: Lesson) -> Iterator[Fault]:
    holders = (ast.Call, ast.keyword, ast.IfExp, ast.comprehension, *LITERALS, *COMPREHENSIONS)
    for node, above in _walk(lesson):
        if isinstance(node, ast.IfExp):
            parent = above[-1]
            in_loop = isinstance(parent, ast.For) and parent.iter is node
            if isinstance(parent, holders) or in_loop:
                yield Fault(node.lineno, "write if and else as statements")


@rule
def or_for_its_value(lesson: Lesson) -> Iterator[Fault]:
    tests = (ast.If, ast.While, ast.IfExp, ast.Assert, ast.comprehension, ast.BoolOp)

    def is_truth(node: ast.expr) -> bool:
        negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        return negated or isinstance(node, ast.Compare | ast.BoolOp)

    for node, above in _walk(lesson):
        if not isinstance(node, ast.BoolOp):
            continue
        parent = above[-1]
        tested = (
            getattr(parent, "test", None) is node
            or isinstance(parent, ast.UnaryOp | ast.BoolOp)
            or (isinstance(parent, tests) and node in getattr(parent, "ifs", []))
        )
        if not tested and not all(is_truth(each) for each in node.values):
            yield Fault(node.lineno, "write an if statement")


@rule
def name_from_a_loop_used_after_it(lesson: Lesson) -> Iterator[Fault]:
    for body, arguments in scopes(lesson.tree):
        history = list(events(body))
        for loop in _own_loops(body):
            inside = {id(event.node) for event in events([loop])}
            places = [n for n, event in enumerate(history) if id(event.node) in inside]
            if not places:
                continue
            before = {event.name for event in history[: places[0]] if event.bound} | arguments
            targets = (
                {e.name for e in events([loop.target])} if isinstance(loop, ast.For) else set()
            )
            bound = {history[n].name for n in places if history[n].bound}
            watched = targets | (bound - before)
            for event in history[places[-1] + 1 :]:
                if event.name in watched and not event.bound:
                    yield Fault(event.node.lineno, f"{event.name} is what the last round left")
                watched.discard(event.name)


def _own_loops(body: list[ast.stmt]) -> Iterator[ast.For | ast.While]:
    """Yield the loops of a scope, but not those of the functions in it."""
    for node in body:
        if isinstance(node, ast.For | ast.While):
            yield node
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
            inner += [s for h in getattr(node, "handlers", []) for s in h.body]
            yield from _own_loops(inner)


@rule
def one_name_for_two_things(lesson: Lesson) -> Iterator[Fault]:
    kinds: dict[str, type] = {}
    for event in events(lesson.tree.body):
        if event.bound:
            kind = type(event.node) if isinstance(event.node, ast.alias) else ast.Name
            if isinstance(event.node, ast.FunctionDef | ast.ClassDef):
                kind = type(event.node)
            if kinds.setdefault(event.name, kind) is not kind:
                yield Fault(event.node.lineno, f"{event.name} is something else above: rename it")


@rule
def list_that_grows_while_it_is_walked(lesson: Lesson) -> Iterator[Fault]:
    for loop, _ in _walk(lesson):
        if isinstance(loop, ast.For) and isinstance(loop.iter, ast.Name):
            calls = [node for node in ast.walk(loop) if isinstance(node, ast.Call)]
            for call in calls:
                owner, _, method = ast.unparse(call.func).rpartition(".")
                if owner == loop.iter.id and method in GROWING:
                    yield Fault(call.lineno, "fill another list")


@rule
def nested_calls(lesson: Lesson) -> Iterator[Fault]:
    def depth(node: ast.AST) -> int:
        if isinstance(node, ast.Call):
            below = max(map(depth, [*node.args, *node.keywords]), default=0)
            return max(1 + below, depth(node.func))
        return max(map(depth, ast.iter_child_nodes(node)), default=0)

    for node, above in _walk(lesson):
        outermost = not any(isinstance(each, ast.Call) for each in above)
        if isinstance(node, ast.Call) and outermost and depth(node) > MAX_CALLS:
            yield Fault(node.lineno, "give an inner result a name")


@rule
def name_of_one_letter(lesson: Lesson) -> Iterator[Fault]:
    """Formulas and code in the text explain a letter."""
    shown = re.findall(r":math:`[^`]+`|``.+?``|(?m:^\.\. math::(?:\n+ +.*)+)", lesson.text)
    letters = set(re.findall(r"(?<![A-Za-z_])[A-Za-z](?![A-Za-z])", " ".join(shown)))
    for node, _ in _walk(lesson):
        name = node.arg if isinstance(node, ast.arg) else ""
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        if len(name) == 1 and name not in ALWAYS | letters:
            yield Fault(node.lineno, f"give {name} a name that says what it is")


@rule
def walrus(lesson: Lesson) -> Iterator[Fault]:
    for node, _ in _walk(lesson):
        if isinstance(node, ast.NamedExpr):
            yield Fault(node.lineno, "assign in a line of its own")


@rule
def program_in_a_string(lesson: Lesson) -> Iterator[Fault]:
    for node, above in _walk(lesson):
        if _is_call_of(node, "exec", "eval", "compile"):
            yield Fault(node.lineno, "write the code itself")
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        held = is_text and not isinstance(above[-1], ast.Expr | ast.JoinedStr)
        if held and "\n" in node.value and _is_program(node.value):
            yield Fault(node.lineno, "write the code itself")


def _is_program(text: str) -> bool:
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    return any(not isinstance(node, ast.Expr | ast.AnnAssign) for node in body)


@rule
def private_name(lesson: Lesson) -> Iterator[Fault]:
    def private(name: str) -> bool:
        return name.startswith("_") and not name.startswith("__") and name != "_"

    for node, _ in _walk(lesson):
        if isinstance(node, ast.Attribute) and private(node.attr):
            if not isinstance(node.value, ast.Name) or node.value.id not in ("self", "cls"):
                yield Fault(node.lineno, f"{node.attr} may change: use public names")
        elif isinstance(node, ast.alias) and any(map(private, node.name.split("."))):
            yield Fault(node.lineno, f"{node.name} may change: use public names")


@rule
def parsing_of_an_error_message(lesson: Lesson) -> Iterator[Fault]:
    for handler, _ in _walk(lesson):
        if not isinstance(handler, ast.ExceptHandler) or not handler.name:
            continue
        for node in ast.walk(handler):
            if isinstance(node, ast.Attribute) and node.attr in SPLITTING:
                names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
                if handler.name in names:
                    yield Fault(node.lineno, "print the whole message")
