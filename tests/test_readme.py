"""The two READMEs show the same code, and it runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text("utf-8"), re.M | re.S)


@pytest.mark.parametrize("language", ["bash", "python"])
def test_both_languages_show_the_same_code(language):
    english, chinese = (blocks(path, language) for path in READMES)
    assert english and english == chinese


def test_both_languages_link_to_files_that_exist():
    for path in READMES:
        for target in re.findall(r"\]\(([^):]+)\)", path.read_text("utf-8")):
            assert (ROOT / target).exists(), f"{path.name}: {target}"


def test_the_two_commands_stand_on_the_first_screen():
    for path in READMES:
        screen = "\n".join(path.read_text("utf-8").splitlines()[:25])
        for command in ("docs", "tests"):
            assert f'python -m pip install "nox[uv]" && nox -s {command}\n' in screen


def test_the_example_runs(capsys):
    (code,) = blocks(READMES[0], "python")
    namespace: dict[str, object] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), namespace)
    accuracy = float(re.search(r"'accuracy': ([\d.]+)", capsys.readouterr().out).group(1))
    assert accuracy > 0.95
