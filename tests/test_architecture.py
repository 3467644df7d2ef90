"""The architecture: who may import whom, and what is public and documented."""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import handbook

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/handbook"
MODULES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."):
    file for file in sorted(PACKAGE.rglob("*.py"))
}  # fmt: skip
APART = ("datasets", "metrics", "models", "plots")  # packages that know nothing of the others
EXAMPLES = sorted(ROOT.glob("examples/*/[0-9]*.py"))


def public(module):
    """Return the public names of a module that are no modules themselves."""
    own = [name for name, thing in vars(module).items() if inspect.isfunction(thing)]
    own = [name for name in own if vars(module)[name].__module__ == module.__name__]
    names = getattr(module, "__all__", own)
    return [
        name for name in names if name[0] != "_" and not inspect.ismodule(getattr(module, name))
    ]


PUBLIC = [
    (module, name)
    for module in ("handbook", *(f"handbook.{name}" for name in APART))
    for name in public(importlib.import_module(module))
]


def tree(name):
    return ast.parse(MODULES[name].read_text("utf-8"))


def imports(parsed, package=""):
    """Return the full names of all modules and names that a file imports, wherever it does."""
    found = set()
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = f"{package}." * bool(node.level) + (node.module or "")
            found |= {f"{base.rstrip('.')}.{alias.name}" for alias in node.names}
    return found


def package(name):
    """Return the package in which ``from .`` looks, from the name of a module."""
    inside = MODULES[name].parent.relative_to(PACKAGE).parts
    return ".".join(("handbook", *inside))


def ours(name):
    """Return the modules of the package that a module imports."""
    found = set()
    for target in imports(tree(name), package(name)):
        parts = target.split(".")
        if parts[0] == "handbook":
            short = ".".join(parts[1:])
            found.add(short if short in MODULES else ".".join(parts[1:-1]))
    return found - {name}


def outside(name):
    """Return the packages from elsewhere that a module imports."""
    roots = {target.split(".")[0] for target in imports(tree(name), package(name))}
    return roots - {"handbook"} - set(sys.stdlib_module_names)


def uses(parsed):
    """Return the dotted names that stand in the code, such as ``torch.load``."""
    return {ast.unparse(node) for node in ast.walk(parsed) if isinstance(node, ast.Attribute)}


# What may import what


def test_arrows_point_down():
    layers = [
        {"_typing", "_modes", "steps", "episodes", "torchrun"},
        {"distributed", "saved_memory", "summary", "_checkpoint_validation"},
        {"validation"},
        {"batches", "_running_means", "progress", "_rank"},
        {"rng"},
        {"checkpoint"},
        {"training"},
        {""},
    ]
    level = {name: i for i, layer in enumerate(layers) for name in layer}
    apart = {name for name in MODULES if name.split(".")[0] in APART}
    assert level.keys() | apart == MODULES.keys()
    for name in level:
        for target in ours(name) - {""}:
            assert target in level and level[target] < level[name], f"{name} imports {target}"
    for name in apart:
        for target in ours(name) - {""}:
            assert target.split(".")[0] == name.split(".")[0], f"{name} imports {target}"


def test_no_import_cycles():
    done, above = set(), []

    def visit(name):
        assert name not in above, f"cycle: {' -> '.join([*above, name])}"
        if name not in done:
            above.append(name)
            for target in ours(name):
                visit(target)
            done.add(above.pop())

    for name in MODULES:
        if name:
            visit(name)


def test_models_and_metrics_know_torch_and_nothing_else():
    for name in MODULES:
        if name.split(".")[0] in ("models", "metrics"):
            assert outside(name) <= {"torch"}
            assert not re.search(r"\b(optim|backward|open|print)\b", ast.unparse(tree(name)))


def test_only_one_module_knows_each_outsider():
    plotting = {name for name in MODULES if "matplotlib" in outside(name)}
    assert plotting and {name.split(".")[0] for name in plotting} == {"plots"}
    assert {name for name in MODULES if "tqdm" in outside(name)} == {"progress"}
    assert {name for name in MODULES if "PIL" in outside(name)} == {"datasets._image_io"}
    assert {name for name in MODULES if "pandas" in outside(name)} == {"datasets.table"}
    assert {name for name in MODULES if "torchvision" in outside(name)} == {"datasets.mnist"}


def test_only_distributed_touches_torch_distributed_and_the_environment():
    """And what torchrun starts, which nothing else imports."""
    for name in MODULES:
        parsed = tree(name)
        words = imports(parsed) | uses(parsed)
        if name not in ("distributed", "_rank"):
            assert not [word for word in words if word.startswith("torch.distributed")], name
            assert not [word for word in words if re.match(r"os\.(environ|getenv)", word)], name


def test_only_checkpoint_touches_files_of_weights():
    for name in MODULES:
        if name != "checkpoint":
            assert not uses(tree(name)) & {"torch.load", "torch.save", "os.replace"}, name
    for node in ast.walk(tree("checkpoint")):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert keywords.get("weights_only") == "True", "reading must not run code"


def test_no_argparse_registry_pass_through_or_global_state():
    for name in MODULES:
        for node in ast.walk(tree(name)):
            assert not isinstance(node, ast.Global), f"{name}: global"
            if isinstance(node, ast.arguments):
                assert node.kwarg is None, f"{name}: **{node.kwarg.arg}"
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in {"eval", "exec", "globals"}, name
        assert not imports(tree(name)) & {"argparse", "click", "fire", "hydra"}


def test_the_docs_extension_imports_neither_torch_nor_handbook():
    files = [*ROOT.glob("docs/_ext/**/*.py"), ROOT / "docs/conf.py", ROOT / "docs/build.py"]
    assert len(files) > 3
    for file in files:
        roots = {name.split(".")[0] for name in imports(ast.parse(file.read_text("utf-8")))}
        assert not roots & {"torch", "handbook"}, file


def test_the_extension_for_languages_knows_nothing_of_this_project():
    """Another project could use it: it names no package, language or folder of this one."""
    package = ROOT / "docs/_ext/bilingual"
    ours = re.compile(
        r"handbook|digit_reader|torch|:lang\(|zh[-_]|[\"'/]zh\b|[\"'/](docs|examples)/", re.I
    )
    found = []
    for file in (*package.rglob("*.py"), *package.glob("static/*")):
        text = file.read_text("utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            if ours.search(line):
                found.append(f"{file}:{number}: {line.strip()}; make it a setting of conf.py")
        if file.suffix == ".py":
            roots = {name.split(".")[0] for name in imports(ast.parse(text))}
            others = roots & {"course", "looks", "publishing", "search"}
            found += [f"{file}: imports {name}; move what it needs" for name in others]
    assert found == []


# PyTorch documents these two under a name that begins with an underscore, and has no other.
DOCUMENTED = {f"torch._inductor.aoti_{verb}_package" for verb in ("compile_and", "load")}


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda file: file.stem)
def test_examples_use_public_names(script):
    """What else a lesson may import is in test_lessons.py."""
    parsed = ast.parse(script.read_text("utf-8"))
    imported = set(imports(parsed))
    names = {f"handbook.{name}" for name in handbook.__all__}
    for name in imported:
        assert name.split(".")[0] != "handbook" or name in names | {"handbook"}, name
        if name not in DOCUMENTED:
            hidden = [part for part in name.split(".") if part.startswith("_")]
            assert not hidden or hidden == ["__future__"], name
    for use in uses(parsed):
        head, *rest = use.split(".")
        if head in APART and f"handbook.{head}" in imported:
            name = rest[0].partition("(")[0]  # what a call returns has names of its own
            assert name in public(getattr(handbook, head)), use


# The loop


def test_the_loop_knows_no_model_no_data_set_no_plot_and_no_file():
    assert not {name.split(".")[0] for name in ours("training")} & set(APART)
    assert not uses(tree("training")) & {"torch.save", "torch.load"}
    assert "open" not in {n.id for n in ast.walk(tree("training")) if isinstance(n, ast.Name)}


def test_one_callback():
    parameters = inspect.signature(handbook.fit).parameters
    assert [name for name in parameters if name.startswith("on_")] == ["on_epoch_end"]


# What importing costs


FRESH = """
import json, sys
import torch
before = set(sys.modules)
from handbook import fit, models, datasets, metrics
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_loads_torch_and_the_package_alone():
    """What that costs in time is in tests/benchmarks/imports.py."""
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, check=True)
    roots = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert roots - set(sys.stdlib_module_names) == {"handbook"}


def test_submodules_are_there_when_they_are_used():
    assert set(handbook.__all__) <= set(dir(handbook))
    assert handbook.plots.learning_curves
    with pytest.raises(AttributeError, match="has no attribute 'trainer'"):
        _ = handbook.trainer


# Documentation


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=[name for _, name in PUBLIC])
def test_public_docstrings(module, name):
    thing = getattr(importlib.import_module(module), name)
    text = inspect.getdoc(thing)
    first, *rest = text.split("\n")
    assert first.endswith((".", "?")) or not rest[0], name
    if isinstance(thing, type) and issubclass(thing, tuple):
        return  # a plain record
    assert ">>> " in text, f"{name} has no example"
    parameters = inspect.signature(thing).parameters.values()
    if parameters:
        assert "\nParameters\n----------\n" in text, name
        for parameter in parameters:
            assert re.search(rf"[`\n *,]{parameter.name}\b", text), f"{name}: {parameter.name}"


def test_methods_on_the_pages_of_the_package_have_examples():
    found = []
    for page in sorted((ROOT / "docs/api").glob("*.md")):
        text = page.read_text("utf-8")
        for name, members in re.findall(r"autoclass:: (\S+)\n\s+:members: (.+)", text):
            owner = getattr(handbook, name.rpartition(".")[2], None)
            for member in members.split(", ") if owner else []:
                found.append(f"{name}.{member}")
                assert ">>> " in inspect.getdoc(getattr(owner, member)), found[-1]
    assert "Batches.set_epoch" in found


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").exists()


def test_generated_pages_are_not_kept():
    ignored = (ROOT / ".gitignore").read_text("utf-8").split()
    assert {"/docs/_build/", "/docs/lessons/", "*.mo", "*.pot"} <= set(ignored)
