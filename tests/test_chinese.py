"""The Chinese of the pages: punctuation that joins sentences, and the words of a translator.

An editor of Chinese rarely puts a colon or a semicolon into a sentence, since 因为, 所以 or 但是
say how its halves belong together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest

ROOT = Path(__file__).parents[1]
LOCALE = ROOT / "docs/locale/zh_CN/LC_MESSAGES"
PAGES = [
    file.relative_to(LOCALE).with_suffix("").as_posix() for file in sorted(LOCALE.rglob("*.po"))
]
# Per 1,000 Chinese characters of all pages together; a single page may have twice as many
COLONS, SEMICOLONS = 3, 2
HAN = re.compile(r"[\u4e00-\u9fff]")
# A colon at the end leads to code or a formula, one before a quotation to what somebody says.
COLON = re.compile(r"[：:](?=[^\s“‘])")
SEMICOLON = re.compile(r"[；;]")
MARKUP = re.compile(r":[\w:]+:(?=`)|\{[\w:]+\}(?=`)|(`+)(?!`).*?\1|https?://\S+", re.DOTALL)
HEADING = re.compile(r"^(?:# )?(\S.*)\n(?:# )?[=\-~]{4,}$|^#+ (.+)$", re.MULTILINE)
ALT = re.compile(r"\.\. alt::((?:[^\S\n]*(?:\n#)?[^\S\n]+\S.*)+)")
BANNED = re.compile(
    "一声不响|遭到拒绝|旧笔记|相遇|往回走|毁掉|问梯度|预订|一件工具|零头|多少墨|拉得狠|造出张量|"
    r"做出张量|交出来|图画的|数组成|先放下一个|编译不做判断|报了错的|上一页是|\d %"
)


def text_of(page: str) -> str:
    """Return the English source of a page, or nothing if there is none, as for the templates."""
    script = ROOT / f"examples/{page.removeprefix('lessons/')}.py"
    found = [file for file in (script, ROOT / f"docs/{page}.md") if file.exists()]
    return found[0].read_text("utf-8") if found else ""


def prose(page: str) -> Iterator[str]:
    """Yield the Chinese messages but for headings and descriptions of figures, without code."""
    text = text_of(page)
    headings = {one or other for one, other in HEADING.findall(text)}
    alts = {" ".join(alt.replace("\n#", " ").split()) for alt in ALT.findall(text)}
    for entry in polib.pofile(str(LOCALE / f"{page}.po")):
        if entry.msgid not in headings | alts:
            yield MARKUP.sub("", entry.msgstr)


def counts(page: str) -> tuple[int, int, int]:
    """Return the numbers of Chinese characters, of colons and of semicolons in the prose."""
    texts = list(prose(page))
    characters, colons, semicolons = (
        sum(len(find.findall(text)) for text in texts) for find in (HAN, COLON, SEMICOLON)
    )
    return characters, colons, semicolons


@pytest.mark.parametrize("page", PAGES)
def test_sentences_are_joined_by_words(page: str) -> None:
    """One page has no more than twice what all of them may have, and a short one two of each."""
    characters, colons, semicolons = counts(page)
    assert colons <= max(2, 2 * COLONS * characters / 1000)
    assert semicolons <= max(2, 2 * SEMICOLONS * characters / 1000)


def test_colons_and_semicolons_are_rare() -> None:
    """The limits are those of good books in Chinese, with some room for lists."""
    characters, colons, semicolons = map(sum, zip(*map(counts, PAGES), strict=True))
    assert colons <= COLONS * characters / 1000
    assert semicolons <= SEMICOLONS * characters / 1000


@pytest.mark.parametrize("page", PAGES)
def test_no_words_of_a_translator(page: str) -> None:
    """Chinese is written, not translated; a percent sign follows its number without a space."""
    text = " ".join(entry.msgstr for entry in polib.pofile(str(LOCALE / f"{page}.po")))
    assert BANNED.findall(text) == []


def test_what_is_counted() -> None:
    """Code, roles and what leads to a block do not count."""
    text = "形状是 ``x[:, 1]``：见:doc:`/a`，再看 {term}`损失`。先读：结果如下：\n"
    assert len(COLON.findall(MARKUP.sub("", text))) == 2
    assert len(HAN.findall(MARKUP.sub("", text))) == 12
