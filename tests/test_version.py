"""One number: of pyproject.toml, of what is installed, of the changelog."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import handbook

ROOT = Path(__file__).parents[1]
CHANGES = (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_version_is_the_same_everywhere():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    released = re.findall(r"^## (\d\S*)", CHANGES, re.M)
    assert handbook.__version__ == version("torch-handbook") == declared == released[0]
    assert re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", declared)


def test_the_changelog_begins_with_what_comes_next_and_goes_back():
    headings = re.findall(r"^## (\S+)", CHANGES, re.M)
    assert headings[0] == "Unreleased"
    numbers = [tuple(map(int, heading.split("."))) for heading in headings[1:]]
    assert numbers == sorted(set(numbers), reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", CHANGES, re.M)) <= kinds
