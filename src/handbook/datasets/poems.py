"""Tang poems: a small real text in Chinese."""

from typing import NamedTuple

from . import _embedded

CHECKSUM = "aacc7ce7fe7ea9dec3e6bd486260e0c5769f6d9ae47e6da15e88d3401689c070"


class Poem(NamedTuple):
    """A poem with its title and author, in simplified Chinese characters."""

    title: str  #: Title; in a few cases several poems share one.
    author: str  #: Name of the poet.
    text: str  #: The verses with their punctuation, with a new line for each couplet.


def poems() -> list[Poem]:
    """Load 313 poems of the Tang dynasty (618 to 907), for which no network is needed.

    They are sorted by form, from old-style verse to quatrains of seven characters a verse. So
    shuffle before you split, and split whole poems. No verse of five or more characters occurs in
    two poems.

    Returns
    -------
    list of Poem
        Title, author and text of each poem, all ``str``.

    Raises
    ------
    RuntimeError
        If the file inside the package is damaged.

    Notes
    -----
    From *Three Hundred Tang Poems*, compiled by Sun Zhu about 1763, as in the Debian package
    fortunes-zh. Prose prefaces are left out, and obvious mistakes are corrected. Licence: public
    domain.

    Examples
    --------
    >>> poem = poems()[244]
    >>> print(poem.title, poem.author)
    春晓 孟浩然
    >>> print(poem.text)
    春眠不觉晓，处处闻啼鸟。
    夜来风雨声，花落知多少。
    """
    text = _embedded.read("poems.txt", CHECKSUM).decode()
    result = []
    for block in text.removesuffix("\n").split("\n\n"):
        title, author, verses = block.split("\n", 2)
        result.append(Poem(title, author, verses))
    return result
