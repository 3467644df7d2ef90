"""Which lesson introduces which name: how names are found, and what the lessons use."""

from pathlib import Path

import pytest

from course import names
from course.introductions import Introductions
from course.lesson import Lesson
from course.order import NOT_YET, ORDER

ROOT = Path(__file__).parents[1]
SCRIPT = '''"""
Title
=====

A question?
"""

# %%
# Text with ``reshape`` and :func:`torch.full`.

import matplotlib.pyplot as plt
import torch
from torch import nn

from handbook import datasets, fit

train, _ = datasets.mnist()


class Model(nn.Module):
    def forward(self, x):
        return self.sum(x)

    def sum(self, x):
        return x


x = torch.arange(6).reshape(2, 3)
print(f"{torch.mean(x):.2f}", x.sum(), "a b".split())
rows = [row for row in x[::2]]
with torch.no_grad():
    fit(lambda: nn.functional.relu(x), *rows)
print(torch.nn.Linear.__mro__)

# %%
# .. check::

assert torch.equal(x, x), "x is x"

# %%
# .. drawing::

plt.plot(x)

# %%
# .. answer:: 1

print(torch.full((2,), 1).fill_(0))
'''


def lesson(folder, source=SCRIPT, name="lesson"):
    file = folder / f"{name}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)
    return Lesson(file)


def test_names_are_found_in_their_order(tmp_path):
    """A function that is also a method has one name; Python's own methods do not count."""
    assert list(names.uses(lesson(tmp_path))) == [
        "handbook.datasets.mnist",
        "torch.nn.Module",
        "torch.arange",
        "Tensor.reshape",
        "Python: f-string format",
        "Tensor.mean",
        "Python: slice with a step",
        "Python: with",
        "torch.no_grad",
        "handbook.fit",
        "Python: lambda",
        "torch.nn.functional.relu",
        "Python: star-arguments",
        "torch.nn.Linear",
        "torch.full",
        "Tensor.fill_",
    ]
    assert names.own_names(lesson(tmp_path)) == ["Model"]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("[i for i in x for x in n]", "comprehension with two loops"),
        ("{i: 1 for i in n}", "dict comprehension"),
        ("sum(i for i in n)", "generator expression"),
        ("lambda: 1", "lambda"),
        ("with f: pass", "with"),
        ("try: f()\nexcept E: pass", "try"),
        ("def f(): yield 1", "yield"),
        ("(x := 1)", "walrus"),
        ("f(*x)", "star-arguments"),
        ("f(**x)", "star-arguments"),
        ("def f(*x): pass", "star-arguments"),
        ("f'{x:.2f}'", "f-string format"),
        ("x[::2]", "slice with a step"),
        ("match x:\n    case 1: pass", "match"),
        ("x[..., 0]", "..."),
        ("y = 1 if x else 2", "conditional expression"),
        ("def f():\n    global x", "global"),
        ("@f\ndef g(): pass", "decorator"),
    ],
)
def test_advanced_syntax(code, name, tmp_path):
    head = SCRIPT.partition("# %%")[0]
    found = names.uses(lesson(tmp_path, f"{head}# %%\n# Text.\n\n{code}\n"))
    assert f"Python: {name}" in found and name in names.SYNTAX


def test_plain_python_is_no_name(tmp_path):
    head = SCRIPT.partition("# %%")[0]
    code = "class A:\n    pass\n\nx = [i for i in range(3)]\nprint(f'{x}', x[1:])"
    assert names.uses(lesson(tmp_path, f"{head}# %%\n# Text.\n\n{code}\n")) == {}
    assert set(names.SYNTAX) >= {name.removeprefix("Python: ") for name in names.ASSUMED}


def test_apply_of_an_own_class_is_no_method_of_modules(tmp_path):
    head = SCRIPT.partition("# %%")[0]
    code = "class A(F):\n    pass\n\nA.apply(1)"
    assert names.uses(lesson(tmp_path, f"{head}# %%\n# Text.\n\n{code}\n")) == {}
    assert list(names.uses(lesson(tmp_path, f"{head}# %%\n# Text.\n\nnet.apply(1)\n"))) == [
        "Module.apply"
    ]


def test_an_own_operator_is_no_name_of_torch(tmp_path):
    head = SCRIPT.partition("# %%")[0]
    code = "import torch\n\ntorch.ops.lesson.muladd(1)\ntorch.ops.lesson.sum(1)"
    assert list(names.uses(lesson(tmp_path, f"{head}# %%\n# Text.\n\n{code}\n"))) == ["torch.ops"]


def test_a_name_is_explained_where_the_text_has_it(tmp_path):
    found = lesson(tmp_path)
    assert names.mentioned(found, "Tensor.reshape") and names.mentioned(found, "torch.full")
    assert not names.mentioned(found, "torch.arange")


def book(folder, declared="", **codes):
    """Write lessons of one cell, with text that has the words before the bar; give the book."""
    for name, code in codes.items():
        words, _, code = code.partition("|")
        text = "".join(f" ``{word}``" for word in words.split())
        source = f'"""\nT\n=\n\nQ?\n"""\n\n# %%\n# Text{text}.\n\nimport torch\n\n{code}\n'
        lesson(folder, source, name)
    (folder / "introduces.toml").write_text(declared)
    return Introductions(folder, list(codes), [name for name in codes if name.startswith("old")])


def faults(found, name):
    return [fault.text for fault in found.faults(name)]


def test_a_declared_name_is_introduced_by_its_lesson(tmp_path):
    found = book(
        tmp_path,
        "new = ['torch.ones']\nlast = ['torch.arange']",
        first="|torch.ones(2)",
        old="|torch.ones(2)",
        new="ones|torch.ones(2)",
        last="arange|torch.ones(2)\ntorch.arange(3)",
    )
    assert found.where == {"torch.ones": "new", "torch.arange": "last"}
    assert faults(found, "new") == faults(found, "last") == []
    assert found.before("last") == ["new"] and found.before("new") == []
    assert found.new("last") == ["torch.arange"]


def test_a_lesson_builds_on_those_that_its_text_links_to(tmp_path):
    """Not on those that happened to introduce `plt.bar`; the first three links, in book order."""
    book(tmp_path, "a = ['torch.ones']", a="ones|torch.ones(2)", b="|", c="|", d="|", e="|")
    links = [":doc:`/lessons/d`", ":doc:`words </lessons/b>`", ":doc:`/lessons/e`"]
    links += [":doc:`/install`", ":doc:`/lessons/c`", ":doc:`/lessons/a`"]
    script = tmp_path / "e.py"
    text = script.read_text().replace("# Text", f"# {' '.join(links)}") + "torch.ones(2)\n"
    script.write_text(text)
    assert Introductions(tmp_path, list("abcde"), []).before("e") == ["b", "c", "d"]


def test_a_book_without_lessons(tmp_path):
    """A site may have other pages only."""
    assert Introductions(tmp_path, ["gone"], []).where == {}


def test_a_name_that_no_lesson_has_introduced_is_a_fault(tmp_path):
    """The first lesson of the book is exempt; what an old lesson uses is known after it."""
    found = book(
        tmp_path,
        first="|torch.ones(2)",
        old1="|torch.eye(2)",
        new="|torch.ones(2)\ntorch.eye(2)\ntorch.arange(2)\ntorch.rand(2)",
        old2="rand|torch.rand(2)",
    )
    assert faults(found, "first") == []
    assert faults(found, "new") == [
        "torch.ones is new: explain it and declare it in introduces.toml",
        "torch.arange is new: explain it and declare it in introduces.toml",
        "torch.rand is new: explain it and declare it in introduces.toml, or leave it to old2",
    ]


def test_an_old_lesson_introduces_what_its_text_has(tmp_path):
    found = book(
        tmp_path,
        first="",
        old1="|torch.ones(2)\ntorch.eye(2)",
        old2="ones|torch.ones(2)\ntorch.eye(2)",
    )
    assert found.where == {"torch.ones": "old2", "torch.eye": "old1"}
    assert found.new("old2") == ["torch.ones"]


def test_a_lesson_of_the_first_part_may_tell_what_a_later_one_introduces(tmp_path):
    """Its text has to say what the name does; advanced syntax is declared in any case."""
    for folder in ("start", "later"):
        (tmp_path / folder).mkdir()
    found = book(
        tmp_path,
        "'later/03' = ['torch.ones']",
        **{
            "start/01": "|torch.ones(2)",
            "start/02": "ones arange|torch.ones(2)\ntorch.arange(2)\ntorch.eye(2)\nx = lambda: 1",
            "later/03": "ones rand|torch.ones(2)\ntorch.arange(2)\ntorch.rand(2)",
        },
    )
    assert faults(found, "start/02") == [
        "torch.eye is new: explain it and declare it in introduces.toml",
        "Python: lambda is new: explain it and declare it in introduces.toml",
    ]
    assert faults(found, "later/03") == [
        "torch.rand is new: explain it and declare it in introduces.toml"
    ]
    assert found.where == {"torch.ones": "later/03", "torch.arange": "start/02"}


def test_what_is_declared_is_used_and_explained_once(tmp_path):
    found = book(
        tmp_path,
        "new = ['torch.ones', 'torch.eye']\nlast = ['torch.ones']",
        first="",
        new="|torch.ones(2)",
        last="ones|torch.ones(2)",
    )
    assert faults(found, "new") == [
        "torch.ones is new: explain it in the text",
        "torch.eye is declared in introduces.toml, and not used",
    ]
    assert faults(found, "last") == ["torch.ones is declared by new, too"]


def test_a_lesson_introduces_ten_names_at_most(tmp_path):
    own = "\n".join(f"def f{number}(): pass" for number in range(10))
    found = book(
        tmp_path,
        "more = ['torch.ones']",
        first="",
        ten=f"|{own}",
        more=f"ones|{own}\ntorch.ones(2)",
    )
    assert faults(found, "ten") == []
    assert faults(found, "more")[0].startswith("11 new names, 10 at most: torch.ones, f0")


@pytest.fixture(scope="module")
def course():
    return Introductions(ROOT / "examples", ORDER, NOT_YET)


@pytest.mark.parametrize("name", ORDER)
def test_lesson(name, course):
    """No lesson uses a name before the lesson that introduces it."""
    new = course.new(name)
    print(f"{name} introduces {len(new)} names: {', '.join(new)}")
    if name not in NOT_YET:
        found = [f"examples/{name}.py:{fault.line}: {fault.text}" for fault in course.faults(name)]
        assert not found, "\n" + "\n".join(found)


def test_only_lessons_that_are_rewritten_declare_names(course):
    assert set(course.declared) <= set(ORDER) - set(NOT_YET)
