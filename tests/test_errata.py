"""The page on older tutorials: every entry has a proof, and leads to a lesson that exists."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/errata.md").read_text("utf-8")
ENTRIES = {
    entry.partition("\n")[0]: entry.partition("\n")[2]
    for topic in PAGE.split("\n## ")[1:]
    for entry in topic.split("\n### ")[1:]
}
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
SOURCE = re.compile(r"\]\(https://[^)\s]+\)")
LINK = re.compile(r"\{ref\}`[^`<]+ <([^`>]+)>`")
LABELS = {
    label
    for script in ROOT.glob("examples/*/*.py")
    for label in re.findall(r"^#\s+\.\. _([\w-]+):$", script.read_text("utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize("title", ENTRIES)
def test_an_entry_has_a_proof(title):
    """Code with what it returns, prints or raises; where nothing can be run, a source."""
    code = CODE.findall(ENTRIES[title])
    for block in code:
        last = block.rstrip().splitlines()[-1]
        assert not last.startswith((">>>", "...")), "the code shows no result"
    assert code or SOURCE.search(ENTRIES[title]), "neither code nor a source"


@pytest.mark.parametrize("title", ENTRIES)
def test_an_entry_is_a_short_question(title):
    assert title.endswith("?"), "a claim that is wrong must not stand as a heading"
    prose = CODE.sub("", ENTRIES[title])
    assert len(SOURCE.sub("", prose).split()) <= 75, "shorten the answer"


def test_links_lead_to_lessons():
    """Each line of links names labels that the lessons have."""
    lines = [line for line in PAGE.splitlines() if line.startswith("→")]
    found = [label for line in lines for label in LINK.findall(line)]
    assert found and all(line.count("{ref}") == len(LINK.findall(line)) for line in lines)
    assert not set(found) - LABELS
    assert PAGE.count("{ref}") == len(found), "a link outside of the line at the end"


def test_no_question_is_asked_twice():
    twice = [
        title
        for title, count in Counter(re.findall(r"^### (.*)$", PAGE, re.M)).items()
        if count > 1
    ]
    assert not twice
