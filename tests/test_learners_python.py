"""The code and the form of the lessons: each rule, and then every lesson."""

from pathlib import Path
from textwrap import dedent

import pytest

from course import form, learners_python
from course.lesson import Lesson
from course.order import NOT_YET, ORDER

ROOT = Path(__file__).parents[1]

RULES = form.RULES | learners_python.RULES

# For each rule: code that breaks it, and code that looks like it and is welcome.
EXAMPLES = {
    "lambda in a collection or loop": (
        [
            "steps = {'a': lambda x: x}",
            "calls = [lambda: 1]",
            "def f(g=lambda x: x): pass",
            "for i in n:\n    f(lambda: i)",
            "f(lambda x, y=y: x)",
        ],
        ["f(key=lambda x: -x)"],
    ),
    "function chosen with getattr": (["getattr(x, name)()"], ["x.name()"]),
    "comprehension in a comprehension": (
        [
            "[[y for y in x] for x in n]",
            "[sum(i for i in x) for x in n]",
            "[i for x in n for i in x]",
        ],
        ["[x for x in n if x]", "rows = [sum(x) for x in n]"],
    ),
    "comprehension unpacked": (["x, y = (i for i in n)"], ["x, y = batch"]),
    "star before a literal": (
        ["f(*(i for i in n))", "f(*[x, y])", "f(**{'a': 1})", "n = [*(x, y)]"],
        ["f(*layers)", "f(**options)", "first, *rest = n"],
    ),
    "functional tools": (
        [
            "zip(*rows)",
            "map(f, x)",
            "list(filter(f, x))",
            "import functools",
            "from functools import partial",
            "from itertools import product",
            "import itertools\nitertools.product(x, y)",
        ],
        ["zip(x, y)", "from itertools import pairwise", "x.map(f)"],
    ),
    "several values in one assignment": (
        ["x, y = f(), g()", "x = y = 0", "x, y = 0, 1", "x, y = 0, 0", "x, y = f(1), f(2)"],
        ["x, y = batch", "x, y = x.to(device), y.to(device)", "x, y = y, x", "x = (1, 2)"],
    ),
    "deep unpacking": (
        ["(x, y), n = f()", "for i, (x, y) in enumerate(n): pass"],
        ["x, y = f()", "for x, y in n: pass"],
    ),
    "two numbers as index": (["x[1][0]", "x[-1][0]"], ["x[-1]['loss']", "x[1, 0]", "x[0][n]"]),
    "semicolon": (["x = 1; y = 2"], ["x = ';'"]),
    "mixed comparison": (["x == y != i", "x == y < i"], ["0 < x <= 1", "x == y"]),
    "hidden condition": (
        [
            "f(1 if x else 2)",
            "f(y=1 if x else 2)",
            "for i in x if y else n: pass",
            "[i for i in (x if y else n)]",
            "x = 1 if y else (2 if i else 3)",
            "[1 if x else 2, 3]",
        ],
        ["x = 1 if y else 2", "print(f\"{'a' if x else 'b'}\")"],
    ),
    "or for its value": (
        ["x = y or 0", "f(x and y)", "x = [y or n]"],
        [
            "if x or y: pass",
            "while x and not y: pass",
            "both = x > 0 and y > 0",
            "x = [i for i in n if i and y]",
            "assert x or y",
        ],
    ),
    "name from a loop used after it": (
        [
            "for i in n: pass\nprint(i)",
            "for i in n:\n    x = f(i)\nprint(x)",
            "def g():\n    while n:\n        x = 1\n    return x",
            "for i in n: pass\ndef g():\n    return i",
        ],
        [
            "x = []\nfor i in n:\n    x.append(i)\nprint(x)",
            "x = 0\nfor i in n:\n    x += i\nprint(x)",
            "for i in n: pass\nfor i in n:\n    print(i)",
            "for i in n:\n    x = i\nx = [i for i in n]\nprint(x)",
            "def g(x):\n    while x < n:\n        x = 2 * x\n    return x",
        ],
    ),
    "one name for two things": (
        ["import x\nx = 1", "def f(): pass\nf = 1", "class A: pass\nfor A in n: pass"],
        ["x = 1\nx = 2", "def f(): pass\ndef f(): pass", "import x\nimport x"],
    ),
    "list that grows while it is walked": (
        ["for i in x:\n    x.append(i)"],
        ["for i in x:\n    y.append(i)"],
    ),
    "nested calls": (
        ["a(b(c(d())))", "print(tuple(a(x=b(i))))"],
        ["a(b(c()))", "print(round(x.mean().item(), 2))"],
    ),
    "name of one letter": (
        ["a = 1", "def f(b): pass", "[c for c in n]"],
        ["x = 1", "_, y = n", '# %%\n# The slope :math:`2a`, and ``b + 1``.\n\na = 1\nb = 2'],
    ),
    "walrus": (["if (x := f()): pass"], ["x = f()"]),
    "program in a string": (
        ["x = '''\nimport y\n'''", "exec(x)", "f('''\ny = 1\n''')"],
        ["x = '''\nsome text, with a comma\n'''", "def f():\n    '''x\n    y = 1'''"],
    ),
    "private name": (
        ["import torch\ntorch._C", "from x import _y", "x._y()"],
        ["self._y = 1", "x.__class__", "import x.y"],
    ),
    "parsing of an error message": (
        ["try: f()\nexcept E as error:\n    print(str(error).split('.')[0])"],
        ["try: f()\nexcept E as error:\n    print(error)\nx.split()"],
    ),
    "long line": (["x = 1  # " + "x" * 80], ["x = 1  # " + "x" * 71]),
    "long cell": (
        ["\n".join(["x = 1"] * 16)],
        ["\n\n".join(["x = 1"] * 15), "# %%\n# .. drawing::\n\n" + "x = 1\n" * 16],
    ),
    "fold": (
        [
            "# %%\n# Text.\n#\n# .. check::\n\nassert x, 'x'",
            "# %%\n# .. check::\n#\n#    Text.\n\nassert x, 'x'",
            "# %%\n# .. answer:: 1\n#\n# Text.\n\nx = 1",
            "# %%\n# .. earlier::\n#\n#    One.\n\n# %%\n# .. earlier::\n#\n#    Two.\n",
            "# %%\n# .. earlier::\n#\n#    One.\n\n# %%\n# More text.\n",
        ],
        [
            "# %%\n# .. check::\n\nassert x, 'x'",
            "# %%\n# .. drawing::\n#\n#    .. alt:: A line\n#       that falls.\n\nplot(x)",
            "# %%\n# .. answer:: 1\n#\n#    Text.\n\nx = 1",
            "# %%\n# .. _label:\n#\n# .. earlier::\n#\n#    One.\n",
            "# %%\n# .. earlier::\n#\n#    One.\n\nx = 1\n\n# %%\n# .. check::\n\nassert x, 'x'",
        ],
    ),
    "check": (
        [
            "assert x, 'x'",
            "# %%\n# .. check::\n\nassert x",
            "# %%\n# .. check::\n\nassert x and y, 'both'",
            "# %%\n# .. check::\n\nx = 1\nassert x, 'x'",
            "# %%\n# .. answer:: 1\n\nassert x, 'x'",
        ],
        ["# %%\n# .. check::\n\nassert x, 'x'\nassert 0 < y < 1, 'y is a share'"],
    ),
    "mail link": (
        ["# %%\n# The recall@10 of a list."],
        ["# %%\n# The ``recall@10`` of ``a @ b``.", "# %%\n# .. alt:: recall@10\n\nplot(x)"],
    ),
    "drawing": (["# %%\n# .. drawing::\n\nprint(x)"], ["# %%\n# .. drawing::\n\nplot(x)"]),
    "name from a fold": (
        [
            "# %%\n# .. drawing::\n\nz = 1\n\n# %%\n# Text.\n\nprint(z)",
            "# %%\n# .. answer:: 1\n\nz = 1\n\n# %%\n# Text.\n\ndef f():\n    return z",
            "# %%\n# .. drawing::\n\nz = 1\n\n# %%\n# .. check::\n\nassert z, 'z'",
        ],
        [
            "# %%\n# .. drawing::\n\nz = 1\n\n# %%\n# Text.\n\nz = 2\nprint(z)",
            "# %%\n# .. answer:: 1\n\nz = 1\n\n# %%\n# .. check::\n\nassert z, 'z'",
            "z = 1\n\n# %%\n# .. drawing::\n\nplot(z)",
        ],
    ),
}  # fmt: skip
HEAD = '"""\nTitle\n=====\n\nA question?\n\nWhy.\n\nAfter this lesson you can\n\n{}\n"""\n'
BULLETS = "- one;\n- two,\n  which goes on;\n- three."


def lesson(folder: Path, code: str, docstring: str = HEAD.format(BULLETS)) -> Lesson:
    """Write a lesson of one block, or of the blocks that the code itself begins."""
    file = folder / "lesson.py"
    start = "" if code.startswith("# %%") else "# %%\n# Text.\n\n"
    file.write_text(f"{docstring}\n{start}{dedent(code)}\n", "utf-8")
    return Lesson(file)


def test_every_rule_has_examples():
    assert set(EXAMPLES) | {"head"} == set(RULES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_rule(name, tmp_path):
    """The rule finds what breaks it, and nothing else."""
    broken, welcome = EXAMPLES[name]
    for code in broken:
        assert list(RULES[name](lesson(tmp_path, code))), code
    for code in welcome:
        assert not list(RULES[name](lesson(tmp_path, code))), code


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", None),
        ("After this lesson you can\n\n", "", "end the docstring"),
        ("- three.", "", "three bullets follow"),
        ("- three.", "- three.\n\nMore.", "three bullets follow"),
        ("Why.", "Why: :doc:`/index`.", "no link"),
        ("Why.\n\n", "", "say why"),
    ],
)
def test_head(old, new, message, tmp_path):
    faults = list(RULES["head"](lesson(tmp_path, "x = 1", HEAD.format(BULLETS).replace(old, new))))
    assert [fault.text for fault in faults if message and message in fault.text] or not message
    assert len(faults) == bool(message)


def test_a_line_can_be_exempt_and_a_fault_says_where_it_is(tmp_path):
    code = "x = 1\nx = y or 0\nx = y or 1  # learner: the idiom of the library"
    found = lesson(tmp_path, code)
    line = found.lines.index("x = y or 0") + 1
    assert list(found.faults(RULES)) == [
        f"{found.file}:{line}: or for its value; write an if statement"
    ]


def test_the_template_has_the_form():
    """A new lesson starts from it."""
    found = Lesson(ROOT / "docs/lesson_template.py")
    assert list(found.faults(RULES)) == []
    assert {cell.kind for cell in found.cells} == {"visible", "check", "drawing", "answer"}
    compile(found.source, str(found.file), "exec")


@pytest.mark.parametrize("name", ORDER)
def test_lesson(name):
    """The lesson has the form, and its code is learner's Python, unless it is an old one."""
    found = list(Lesson(ROOT / f"examples/{name}.py").faults(RULES))
    if name in NOT_YET:
        print(f"{name} is not rewritten yet: {len(found)} faults")
        assert found, f"remove {name} from NOT_YET in docs/_ext/course/order.py"
    else:
        assert not found, "\n" + "\n".join(found)


def test_the_list_of_old_lessons_only_gets_shorter():
    """A lesson that is rewritten leaves `NOT_YET`, and the bound here gets smaller."""
    print(f"{len(NOT_YET)} lessons are not rewritten yet: {', '.join(NOT_YET)}")
    assert set(NOT_YET) <= set(ORDER)
    assert len(NOT_YET) == len(set(NOT_YET)) <= 7
