"""The complete project: what its lessons show, and the folder that readers download."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from publishing import project_folder, write_project

ROOT = Path(__file__).parents[1]
LESSONS = {
    "data": "01_frame",
    "training": "02_train",
    "evaluation": "03_evaluate",
    "service": "04_ship",
}


def definitions(file: Path) -> dict[str, str]:
    """Return the functions and classes at the top of a file, without their docstrings."""
    found = {}
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for part in ast.walk(node):
                kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
                if isinstance(part, kinds) and ast.get_docstring(part) is not None:
                    del part.body[0]
            found[node.name] = ast.unparse(node)
    return found


@pytest.mark.parametrize("module", LESSONS)
def test_a_lesson_shows_the_functions_of_its_module(module: str) -> None:
    """What a reader downloads is what the lesson explained."""
    shown = definitions(ROOT / f"examples/project/{LESSONS[module]}.py")
    for name, code in definitions(ROOT / f"src/digit_reader/{module}.py").items():
        assert shown.get(name) == code, f"{LESSONS[module]} shows another {name} than {module}.py"


def test_the_folder_is_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = (write_project(tmp_path / name).read_bytes() for name in "ab")
    assert one == two


def test_the_folder_holds_what_it_imports(tmp_path: Path) -> None:
    """It runs without this repository; `nox -s downloads` runs all of it."""
    with zipfile.ZipFile(write_project(tmp_path)) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / project_folder.NAME
    look = "import run, handbook, digit_reader; print(handbook.__file__, digit_reader.__file__)"
    env = {"PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert all(place.startswith(str(folder)) for place in done.stdout.split())


def test_the_folder_names_what_has_to_be_installed() -> None:
    """Each package that a file of it imports at the top."""
    imported = {"uvicorn"}
    for name, content in project_folder.contents():
        if name.startswith(("digit_reader/", "handbook/training", "handbook/progress")):
            for node in ast.walk(ast.parse(content)) if name.endswith(".py") else []:
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    imported.add((node.module or "").partition(".")[0])
    outside = imported - sys.stdlib_module_names - {"digit_reader", "handbook"}
    packages = {"PIL": "pillow"}
    assert sorted(packages.get(name, name) for name in outside) == project_folder.NEEDS
    script = project_folder.run_script()
    for name in project_folder.NEEDS:
        assert f'#     "{name}==' in script
