"""The poems are what their description says."""

import re
from collections import Counter

from handbook import datasets

POEMS = datasets.poems()
CHARACTER = "[\u4e00-\u9fff]"  # the block of Unicode in which all of them are


def test_each_poem_has_a_title_an_author_and_couplets():
    assert len(POEMS) == 313
    for poem in POEMS:
        assert re.fullmatch(f"{CHARACTER}+", poem.author)
        assert re.fullmatch(f"({CHARACTER}|[·，。])+", poem.title)
        for line in poem.text.split("\n"):
            assert re.fullmatch(f"({CHARACTER}+[，。？！：])+", line), line


def test_they_are_those_of_the_source():
    """The most famous ones, and the poets with most poems."""
    by_title = {poem.title: poem for poem in POEMS}
    assert by_title["春晓"].author == "孟浩然"
    assert by_title["登鹳雀楼"].text == "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"
    authors = Counter(poem.author for poem in POEMS)
    assert authors.most_common(1) == [("杜甫", 39)]
    assert authors["王维"] == authors["李白"] == 29
    assert len(authors) == 77


def test_most_have_five_or_seven_characters_in_each_verse():
    regular = 0
    for poem in POEMS:
        verses = re.findall(f"{CHARACTER}+", poem.text)
        regular += len({len(verse) for verse in verses} - {5}) == 0
        regular += len({len(verse) for verse in verses} - {7}) == 0
    assert regular > 280


def test_no_verse_occurs_in_two_poems():
    """Otherwise a split by poems would leak."""
    poems_with = Counter()
    for poem in POEMS:
        poems_with.update(set(re.findall(f"{CHARACTER}+", poem.text)))
    assert all(n == 1 for verse, n in poems_with.items() if len(verse) >= 5)


def test_each_call_gives_a_list_of_its_own():
    datasets.poems().clear()
    assert len(datasets.poems()) == 313
