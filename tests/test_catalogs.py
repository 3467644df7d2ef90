"""The Chinese catalogs: complete, faithful in code, numbers and links, one word for one term."""

import csv
import re
from collections.abc import Iterator
from functools import cache

import polib
import pytest

from bilingual import build
from bilingual.sphinx_build import ROOT, copy_project

FOLDER = ROOT / "docs/locale/zh_CN/LC_MESSAGES"
CATALOGS = {file.relative_to(FOLDER).as_posix(): file for file in sorted(FOLDER.rglob("*.po"))}
CJK = "\u3400-\u9fff"
FULL = "，。：；？！（）“”、《》—…"
WORD = r"[A-Za-z0-9$]"

ROLE = re.compile(r"(?::(?:py:|std:)?(\w+):|\{(\w+)\})`([^`]+)`")
CODE = re.compile(r"``(.+?)``|(?<![`\w}:])`([^`<>]+)`(?![`_\w])")
LINK = re.compile(r"`([^`<]*?)\s*<([^<>`]+)>`_{1,2}|\[([^\]]+)\]\(([^)\s]+)\)")
NUMBER = re.compile(r"(?<![A-Za-z_\d.])\d+(?:[.,]\d+)*")

# Where a word of the list means something else, or nothing that has one translation.
OTHERWISE: dict[str, list[str]] = {
    "double precision": ["双精度"],
    "single precision": ["单精度"],
    "conda channel": ["频道"],
    "that channel": ["频道"],
    "downloads resume": ["续传"],
    "memory": ["记忆"],  # of a recurrent network
    "No step": ["step"],  # a curve without the call
    "rectifier neural network": ["rectifier neural networks"],  # the title of a paper
}


def entries(name: str) -> Iterator[polib.POEntry]:
    """Give the finished messages of a catalog."""
    return (entry for entry in polib.pofile(str(CATALOGS[name])) if entry.translated())


def targets(text: str) -> set[tuple[str, str]]:
    """Say where its roles and links lead: their words may be translated, not these."""
    found = set()
    for role in ROLE.finditer(text):
        name, content = role[1] or role[2], role[3]
        target = re.search(r"<([^<>]+)>$", content) if name != "math" else None
        found.add((name, target[1] if target else content))
    for link in LINK.finditer(ROLE.sub("", text)):
        found.add(("link", link[2] or link[4]))
    return found


def code(text: str) -> set[str]:
    """Give its inline code."""
    return {match[1] or match[2] for match in CODE.finditer(LINK.sub("", ROLE.sub("", text)))}


def prose(text: str) -> str:
    """Give what a reader sees, with the letter x for code."""

    def shown(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        words = re.sub(r"\s*<[^<>]+>$", "", match[3])
        if name == "doc" and "<" not in match[3]:
            return "页"  # the title of the page, in Chinese
        return words if name in ("term", "doc", "ref") else "x"

    text = ROLE.sub(shown, text)
    text = LINK.sub(lambda match: match[1] or match[3], text)
    text = CODE.sub("x", text)
    return re.sub(r"\\ |\*+", "", text)


def faults(name: str, check: str) -> list[str]:
    """Apply a check to every message of a catalog."""
    return [
        f"{fault}\n    {entry.msgid}\n    {entry.msgstr}"
        for entry in entries(name)
        for fault in CHECKS[check](entry.msgid, entry.msgstr)
    ]


def same_code(original: str, translation: str) -> Iterator[str]:
    """Inline code is not translated."""
    for text in code(original) ^ code(translation):
        yield f"code only on one side: {text}"


def same_targets(original: str, translation: str) -> Iterator[str]:
    """Roles and links lead to the same places."""
    for text in targets(original) ^ targets(translation):
        yield f"target only on one side: {text}"


def same_numbers(original: str, translation: str) -> Iterator[str]:
    """Digits stay digits."""
    for text in set(NUMBER.findall(prose(original))) ^ set(NUMBER.findall(prose(translation))):
        yield f"number only on one side: {text}"


def spaces(original: str, translation: str) -> Iterator[str]:
    """A space between Chinese and Latin letters, digits, code; none beside punctuation."""
    text = prose(translation)
    for match in re.finditer(rf"[{CJK}]{WORD}|{WORD}[{CJK}]", text):
        yield f"space missing: {match[0]}"
    for match in re.finditer(rf"[{CJK}{FULL}] +[{CJK}{FULL}]|[{FULL}] +\S|\S +[{FULL}]", text):
        yield f"space too many: {match[0]}"


def punctuation(original: str, translation: str) -> Iterator[str]:
    """Full-width beside Chinese; the polite words are not ours."""
    for match in re.finditer(rf"[{CJK}][,.:;?!()\"]|[,.:;?!(\"][{CJK}]|[您请]", prose(translation)):
        yield f"not here: {match[0]}"


@cache
def terms() -> list[tuple[re.Pattern[str], list[str], list[str]]]:
    """Read docs/terms.csv: how a term may occur, what may stand for it, and what never may.

    A note allows (``MLP``, ``keep dtype in code``, ``轴 for axis``) or forbids (``not 纪元``).
    """
    found: dict[str, tuple[list[str], list[str]]] = {}
    with (ROOT / "docs/terms.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            wrong = re.findall(rf"not ([{CJK}]+)", row["note"])
            notes = re.findall(rf"[{CJK}]+|^[A-Z][A-Za-z]*$|(?<=keep )\w+", row["note"])
            english = re.sub(r" \(.*\)", "", row["english"])
            chinese = re.sub(r"（.*）", "", row["chinese"])
            for term, translation in zip(english.split(" / "), chinese.split(" / "), strict=True):
                allowed, never = found.setdefault(term, ([], []))
                allowed += [translation, *(note for note in notes if note not in wrong)]
                never += wrong
    for term, allowed in OTHERWISE.items():
        found.setdefault(term, ([], []))[0].extend(allowed)
    longest_first = sorted(found, key=len, reverse=True)
    return [(_pattern(term), *found[term]) for term in longest_first]


def _pattern(term: str) -> re.Pattern[str]:
    """Match a term and its plural, with hyphens or spaces or dashes between its words."""
    words = r"[\s–-]+".join(map(re.escape, re.split(r"[\s–-]+", term)))
    flags = re.IGNORECASE if term.islower() else 0
    return re.compile(rf"(?<![\w-]){words}(?:e?s)?(?![\w-])", flags)


def vocabulary(original: str, translation: str) -> Iterator[str]:
    """One word for each term; a longer term hides the shorter ones in it."""
    text = prose(original)
    for pattern, allowed, never in terms():
        if pattern.search(text):
            text = pattern.sub("·", text)
            if allowed and not any(word.lower() in translation.lower() for word in allowed):
                yield f"{pattern.pattern}: {' or '.join(allowed)}"
        for word in never:
            if word in translation:
                yield f"never: {word}"


CHECKS = {
    check.__name__: check
    for check in (same_code, same_targets, same_numbers, spaces, punctuation, vocabulary)
}


def test_complete(tmp_path):
    """No message is missing, untranslated, fuzzy or obsolete."""
    assert build.check_catalogs(copy_project(tmp_path)) == []


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", CATALOGS)
def test_faithful(name, check):
    """Code, targets and numbers are those of the original; spacing and punctuation are Chinese."""
    found = faults(name, check)
    assert not found, "\n".join(found)
