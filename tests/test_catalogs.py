"""The Chinese catalogs are complete, keep code, numbers and links, and use one word for a term."""

import csv
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import polib
import pytest

from bilingual import build
from bilingual.project import Project

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/locale/zh_CN/LC_MESSAGES"
CATALOGS = {file.relative_to(FOLDER).as_posix(): file for file in sorted(FOLDER.rglob("*.po"))}
CJK = "\u3400-\u9fff"
FULL = "，。：；？！（）“”、《》—…"
WORD = r"[A-Za-z0-9$]"

ROLE = re.compile(r"(?::(?:py:|std:)?(\w+):|\{(\w+)\})`([^`]+)`")
CODE = re.compile(r"``(.+?)``|(?<![`\w}:])`([^`<>]+)`(?![`_\w])")
LINK = re.compile(r"`([^`<]*?)\s*<([^<>`]+)>`_{1,2}|\[([^\]]+)\]\(([^)\s]+)\)")
SNAKE = re.compile(r"[A-Za-z0-9]+_\w*", re.ASCII)
NUMBER = re.compile(r"(?<![A-Za-z_\d.])\d+(?:[.,]\d+)*")

# Phrases in which a word of the list means something else or has no fixed translation.
OTHERWISE: dict[str, list[str]] = {
    "double precision": ["双精度"],
    "single precision": ["单精度"],
    "conda channel": ["频道"],
    "that channel": ["频道"],
    "downloads resume": ["续传"],
    "memory": ["记忆"],  # of a recurrent network
    "No step": ["step"],  # a curve without the call
    # the titles of papers
    "rectifier neural network": ["rectifier neural networks"],
    "Attention is all you need": ["Attention is all you need"],
    "Language models are unsupervised": ["Language models are unsupervised"],
}


def entries(name: str) -> Iterator[polib.POEntry]:
    """Return the translated messages of a catalog."""
    return (entry for entry in polib.pofile(str(CATALOGS[name])) if entry.translated())


def targets(text: str) -> set[tuple[str, str]]:
    """Return the targets of the roles and links: their words may be translated, these may not."""
    found = set()
    for role in ROLE.finditer(text):
        name, content = role[1] or role[2], role[3]
        target = re.search(r"<([^<>]+)>$", content) if name != "math" else None
        found.add((name, target[1] if target else content))
    for link in LINK.finditer(ROLE.sub("", text)):
        found.add(("link", link[2] or link[4]))
    return found


def code(text: str) -> set[str]:
    """Return the inline code."""
    return {match[1] or match[2] for match in CODE.finditer(LINK.sub("", ROLE.sub("", text)))}


def prose(text: str) -> str:
    """Return the text that a reader sees, with the letter x for code."""

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
    """Apply a check to every message of a catalog, and return the faults."""
    return [
        f"{fault}\n    {entry.msgid}\n    {entry.msgstr}"
        for entry in entries(name)
        for fault in CHECKS[check](entry.msgid, entry.msgstr)
    ]


def same_code(original: str, translation: str) -> Iterator[str]:
    """Inline code must not be translated."""
    for text in code(original) ^ code(translation):
        yield f"code only on one side: {text}"


def same_targets(original: str, translation: str) -> Iterator[str]:
    """Roles and links must lead to the same places."""
    for text in targets(original) ^ targets(translation):
        yield f"target only on one side: {text}"


def same_numbers(original: str, translation: str) -> Iterator[str]:
    """Numbers must stay the same, in digits."""
    for text in set(NUMBER.findall(prose(original))) ^ set(NUMBER.findall(prose(translation))):
        yield f"number only on one side: {text}"


def same_names(original: str, translation: str) -> Iterator[str]:
    """Find names with an underscore as bare text: beside Chinese, the underscore makes a link."""
    for text in set(SNAKE.findall(prose(translation))) - set(SNAKE.findall(prose(original))):
        yield f"name as bare text, not code: {text}"


def spaces(original: str, translation: str) -> Iterator[str]:
    """Find spaces missing beside Latin letters, digits or code, and those at punctuation."""
    text = prose(translation)
    for match in re.finditer(rf"[{CJK}]{WORD}|{WORD}[{CJK}]", text):
        yield f"missing space: {match[0]}"
    for match in re.finditer(rf"[{CJK}{FULL}] +[{CJK}{FULL}]|[{FULL}] +\S|\S +[{FULL}]", text):
        yield f"unwanted space: {match[0]}"


def punctuation(original: str, translation: str) -> Iterator[str]:
    """Punctuation next to Chinese is full-width; 您 and 请 (but for 申请, 请求) are not used."""
    wrong = rf"[{CJK}][,.:;?!()\"]|[,.:;?!(\"][{CJK}]|您|(?<!申)请(?!求)"
    for match in re.finditer(wrong, prose(translation)):
        yield f"wrong punctuation: {match[0]}"


@cache
def terms() -> list[tuple[re.Pattern[str], list[str], list[str]]]:
    """Read docs/terms.csv: the pattern of each term, its allowed and its forbidden translations.

    A note allows a word (``MLP``, ``keep dtype in code``, ``轴 for axis``) or forbids one
    (``not 纪元``).
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
    """Match a term and its plural, with hyphens, spaces or dashes between the words."""
    words = r"[\s–-]+".join(map(re.escape, re.split(r"[\s–-]+", term)))
    flags = re.IGNORECASE if term.islower() else 0
    return re.compile(rf"(?<![\w-]){words}(?:e?s)?(?![\w-])", flags)


def vocabulary(original: str, translation: str) -> Iterator[str]:
    """Each term has one translation; a longer term hides the shorter ones in it."""
    text = prose(original)
    for pattern, allowed, never in terms():
        if pattern.search(text):
            text = pattern.sub("·", text)
            if allowed and not any(word.lower() in translation.lower() for word in allowed):
                yield f"{pattern.pattern}: {' or '.join(allowed)}"
        for word in never:
            if word in translation:
                yield f"forbidden: {word}"


CHECKS = {
    check.__name__: check
    for check in (
        same_code,
        same_targets,
        same_numbers,
        same_names,
        spaces,
        punctuation,
        vocabulary,
    )
}


def test_complete():
    """No message is missing, untranslated, fuzzy or obsolete."""
    assert build.check_catalogs(Project(ROOT / "docs")) == []


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", CATALOGS)
def test_faithful(name, check):
    """Code, targets and numbers are those of the original; spacing and punctuation are Chinese."""
    found = faults(name, check)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", [name for name in CATALOGS if name.startswith("api/")])
def test_a_translated_docstring_has_the_roles_of_markdown(name):
    """Its page is Markdown: in a translation, Sphinx reads {func}`mnist`, not :func:`mnist`."""
    translated = [entry.msgstr for entry in entries(name) if entry.msgstr != entry.msgid]
    assert [text for text in translated if re.search(r":\w+:`", text)] == []
