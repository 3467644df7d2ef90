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


def test_the_size_of_an_image_is_not_that_of_a_tensor(tmp_path):
    head = SCRIPT.partition("# %%")[0]
    assert names.uses(lesson(tmp_path, f"{head}# %%\n# Text.\n\nimage.size == 3\n")) == {}
    assert list(names.uses(lesson(tmp_path, f"{head}# %%\n# Text.\n\nx.size()\n"))) == [
        "Tensor.size"
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
    assert found.new("last") == ["torch.arange"]


def test_a_lesson_builds_on_those_that_introduced_several_of_its_rare_names(tmp_path):
    """One link in passing is not enough, and what everybody uses says nothing."""
    for folder in ("tensors", "later"):
        (tmp_path / folder).mkdir()
    names_of = {
        "tensors/a": "ones|torch.ones(2)",
        "tensors/b": "arange rand|torch.arange(2)\ntorch.rand(2)",
        "tensors/c": "eye|torch.eye(2)",
        "later/d": "|",
        "later/e": "|",
    }
    everybody = {f"tensors/z{number}": "|torch.ones(2)" for number in range(30)}
    declared = """
        "tensors/a" = ["torch.ones"]
        "tensors/b" = ["torch.arange", "torch.rand"]
        "tensors/c" = ["torch.eye"]
    """
    order = [*everybody, *names_of]
    found = book(tmp_path, declared, **everybody, **names_of)
    script = tmp_path / "later/e.py"
    text = script.read_text().replace("# Text", "# :doc:`/lessons/tensors/c`, :doc:`/install`")
    script.write_text(f"{text}torch.ones(2)\ntorch.arange(2)\ntorch.rand(2)\n")
    found = Introductions(tmp_path, order, [])
    assert found.before("later/e") == ["tensors/b"]
    text = script.read_text().replace("# %%", "# %%\n# :doc:`so </lessons/tensors/c>`.\n#", 1)
    script.write_text(text)
    assert Introductions(tmp_path, order, []).before("later/e") == ["tensors/b", "tensors/c"]


def test_the_table_may_say_what_a_lesson_builds_on(tmp_path):
    declared = "last = ['torch.ones']\n[before]\nlast = ['second', 'first']\nsecond = ['last']"
    found = book(tmp_path, declared, first="|", second="|", last="ones|torch.ones(2)")
    assert found.before("last") == ["first", "second"]
    assert faults(found, "last") == []
    assert faults(found, "second") == [
        "last is no earlier lesson: correct [before] in introduces.toml"
    ]


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


def test_the_table_may_name_a_lesson_that_has_not_the_form_yet(tmp_path):
    codes = {"first": "", "old1": "ones eye|torch.ones(2)\ntorch.eye(2)", "old2": "|torch.ones(2)"}
    found = book(tmp_path, "old2 = ['torch.ones']", **codes)
    assert found.where == {"torch.ones": "old2", "torch.eye": "old1"}
    assert found.new("old1") == ["torch.eye"] and found.new("old2") == ["torch.ones"]


def test_a_name_of_the_package_in_the_first_lesson_belongs_to_it(tmp_path):
    for folder in ("start", "later"):
        (tmp_path / folder).mkdir()
    code = "from handbook import fit\n\nfit()"
    book(tmp_path, **{"start/01": f"fit|{code}", "later/02": f"fit|{code}"})
    found = Introductions(tmp_path, ["start/01", "later/02"], ["later/02"])
    assert found.where == {"handbook.fit": "start/01"}


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
        "torch.arange is only told here: declare it in introduces.toml for the lesson that explains"
        " it",
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


def test_the_table_knows_the_lessons(course):
    named = {name for lessons in course.declared_before.values() for name in lessons}
    assert {*course.declared, *course.declared_before, *named} <= set(ORDER)


def test_lessons_that_are_not_rewritten_use_the_names_that_they_declare(course):
    for lesson in set(course.declared) & set(NOT_YET):
        assert set(course.declared[lesson]) <= set(course.uses[lesson]), lesson


@pytest.mark.parametrize(
    ("name", "lesson"),
    [
        ("torch.no_grad", "autograd/03_no_grad"),
        ("torch.nn.functional.cross_entropy", "learning/06_softmax_regression"),
        ("Module.state_dict", "networks/02_parameters"),
        ("Module.parameters", "learning/02_linear_regression"),
        ("handbook.datasets.mnist", "start/01_quickstart"),
        ("handbook.fit", "networks/07_training_loop"),
        ("torch.nn.Conv2d", "networks/05_convolution"),
    ],
)
def test_a_name_that_many_lessons_use_is_listed_where_it_is_explained(name, lesson, course):
    assert course.where[name] == lesson
