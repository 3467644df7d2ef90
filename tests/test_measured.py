"""Numbers from docs/measured: how a page quotes them, and what it may claim about them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from publishing import benchmark_role

RESULTS = Path(__file__).parents[1] / "docs/measured"
SPREAD = {"median": 0.0004012, "low": 0.000399, "high": 0.12345}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (SPREAD, "ms", "0.401 ms (0.399–123)"),
        (1.0204, "", "1.02"),
        (12.345, "s", "12.3 s"),
        (0.9913, "%", "99.1 %"),
        (12345, "", "12,345"),
        (12345, "KB", "12.3 KB"),
        (2, "", "2"),
        ("Intel", "", "Intel"),
    ],
)
def test_numbers_have_three_digits_and_their_unit(value, unit, text):
    assert benchmark_role.format_number(value, unit) == text


def build(folder: Path, builder: str, page: str) -> str:
    """Build a site of this one page, and return the warnings of Sphinx."""
    (folder / "measured").mkdir(exist_ok=True)
    (folder / "measured/run.json").write_text(json.dumps({"rows": {"a": {"time": 1.5}}}))
    (folder / "index.md").write_text(page)
    warnings = io.StringIO()
    confoverrides = {"extensions": ["myst_parser", "publishing"], "gettext_compact": False}
    with docutils_namespace():  # what one application registers would make the next one warn
        Sphinx(
            folder, None, folder / builder, folder / "doctrees", builder,
            confoverrides=confoverrides, status=None, warning=warnings, freshenv=True,
        ).build()  # fmt: skip
    return warnings.getvalue()


def test_cells_that_hold_only_numbers_are_not_messages(tmp_path):
    page = "# T\n\nIt took {measured}`run; rows/a/time; s`.\n\n"
    table = "| a | b |\n|---|---|\n| name | {measured}`run; rows/a/time` |\n"
    assert build(tmp_path, "gettext", page + table) == ""
    catalog = (tmp_path / "gettext/index.pot").read_text()
    assert "It took" in catalog and "name" in catalog
    assert catalog.count("rows/a/time") == 1


def test_a_missing_number_is_an_error(tmp_path):
    warnings = build(tmp_path, "gettext", "# T\n\nIt took {measured}`run; rows/b/time`.\n")
    assert "run.json has no 'b' of rows/b/time" in warnings


# What docs/benchmarks.md says about the numbers


def rows(name: str) -> dict:
    """Return the rows of a result."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["rows"]


@pytest.mark.parametrize("what", ["loss", "accuracy"])
def test_the_loop_costs_little_more_than_the_bare_one_and_less_than_the_others(what):
    found = rows("fit")
    medians = {name: row[what]["ratio"]["median"] for name, row in found.items()}
    assert medians.pop("bare") == 1
    ours = medians.pop("handbook")
    assert ours <= 1.02 and ours < min(medians.values())
    assert all(row["same"] for row in found.values())


@pytest.mark.parametrize("size", ["64", "512"])
def test_batches_are_two_hundred_times_faster_than_images_one_by_one(size):
    found = rows("batches")
    assert found["MNIST"][size]["ratio"]["median"] >= 200


def test_every_seed_reads_99_percent_sixty_times_sooner():
    found = rows("mnist99")
    ours = found["handbook"]
    assert len({run["seed"] for run in ours["runs"]}) >= 10
    assert min(run["accuracies"][-1] for run in ours["runs"]) >= 0.99
    assert ours["ratio"]["median"] >= 60


def test_importing_costs_little():
    found = {name: row["ratio"]["median"] for name, row in rows("imports").items()}
    assert found.pop("torch") == 1
    assert found.pop("handbook") <= 1.02 < found["torchvision"]


def test_the_site_is_built_faster_than_its_lessons_run_one_by_one():
    found = rows("site")
    assert found["ratio"] <= 0.75
    assert len(found["lessons"]) == 10  # the page says so


def test_a_small_change_costs_little_more_on_a_large_site():
    found = rows("growth")
    assert list(found["lessons"]) == ["20", "100", "200"]
    slopes = found["per_lesson"]["100 to 200"]
    for task in ("nothing", "one message", "one lesson"):
        assert slopes[task]["wall"] < slopes["all read"]["wall"] / 5
    assert all(row["one message"]["wall"] <= 5 for row in found["lessons"].values())
    sizes = [found["lessons"][n]["page"]["bytes"] for n in found["lessons"]]
    assert sizes == sorted(sizes)
