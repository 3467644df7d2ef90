"""What `nox -s downloads` says when a lesson prints or draws something else than the site shows."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIGURE = "sphx_glr_01_one_001.svg"


@pytest.fixture(scope="module")
def differences():
    """Return the function; the script that it belongs to needs a built site."""
    return runpy.run_path(str(ROOT / "tests/run_downloads.py"))["differences"]


@pytest.fixture
def site(tmp_path):
    """Write a site with one lesson, which prints two lines and draws one figure."""
    notebook = tmp_path / "site/_downloads/part/01_one.ipynb"
    notebook.parent.mkdir(parents=True)
    stream = {"output_type": "stream", "name": "stdout", "text": ["one\n", "2\n"]}
    value = {"output_type": "execute_result", "data": {"text/plain": ["3"]}}
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": [stream, value]}]
    notebook.write_text(json.dumps({"cells": cells}), "utf-8")
    figures = tmp_path / "site/_images/lessons/part"
    figures.mkdir(parents=True)
    for name in (FIGURE, FIGURE.replace(".svg", "_dark.svg")):
        (figures / name).write_bytes(b"<svg/>")
    return tmp_path / "site"


@pytest.fixture
def drawn(tmp_path):
    """Write what the lesson drew, with the small version, which no page of this site shows."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    for name in (FIGURE, FIGURE.replace(".svg", "_dark.svg")):
        (folder / name).write_bytes(b"<svg/>")
    (folder / FIGURE.replace(".svg", "_card.webp")).write_bytes(b"small")
    return folder


def test_the_same(differences, site, drawn):
    assert list(differences(site, "part/01_one", "one\n2\n", str(drawn))) == []


def test_spaces_are_not_seen(differences, site, drawn):
    assert list(differences(site, "part/01_one", " one  \n\t2\n\n", str(drawn))) == []


def test_another_number(differences, site, drawn):
    (said,) = differences(site, "part/01_one", "one\n2.5\n", str(drawn))
    assert "it printed '2.5', and the site shows '2'" in said


def test_a_line_less(differences, site, drawn):
    (said,) = differences(site, "part/01_one", "one\n", str(drawn))
    assert "None" in said
    assert "'2'" in said


@pytest.mark.parametrize("name", [FIGURE, FIGURE.replace(".svg", "_dark.svg")])
def test_another_figure(differences, site, drawn, name):
    (drawn / name).write_bytes(b"<svg></svg>")
    (said,) = differences(site, "part/01_one", "one\n2\n", str(drawn))
    assert said.startswith(name)


def test_a_figure_more(differences, site, drawn):
    (drawn / FIGURE.replace("001", "002")).write_bytes(b"<svg/>")
    (said,) = differences(site, "part/01_one", "one\n2\n", str(drawn))
    assert "drawn" in said


def test_a_figure_less(differences, site, drawn):
    for file in drawn.iterdir():
        file.unlink()
    assert len(list(differences(site, "part/01_one", "one\n2\n", str(drawn)))) == 2
