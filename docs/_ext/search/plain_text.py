"""What the index keeps of an element: its words, without markup, formulas as they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bs4 import Tag

PYTHON = re.compile("highlight-(python|pycon|default)", re.IGNORECASE)
# Classes of Pygments: comments, and what is not a name (strings, output, keywords, built-ins).
COMMENT, OTHER = re.compile(r"^c\d?$"), re.compile(r"^(s[a-z0-9]?|go|k[a-z]?|ow|nb|bp)$")
NAME = re.compile(r"[^\W\d]\w(?:\.?\w+)*")
WORD = re.compile(r"[^\W\d_]{2,}")
COMMANDS = {
    r"\\[dt]?frac\s*{([^{}]*)}\s*{([^{}]*)}": r"\1/\2",
    r"\\(?:text|mathrm|mathbf|operatorname|hat|bar|tilde)\s*{([^{}]*)}": r"\1",
    r"\\(?:left|right|,|;|!|quad|displaystyle)(?![a-z])": " ",
    r"\\(?:cdot|times)(?![a-z])": "·",
    r"\\([a-zA-Z]+)": r"\1",  # a Greek letter is found by its name
    r"[{}\\$]": "",
}


def plain_text(tag: Tag) -> str:
    """Return the text of an element on one line."""
    return " ".join(tag.get_text().split())


def strip_formulas(article: Tag) -> None:
    r"""Replace the source of each formula by what is read: ``\frac{a}{b}`` by ``a/b``."""
    for formula in article.select(".math"):
        math = formula.find("math", alttext=True)  # where MathML keeps its source
        text = str(math["alttext"]) if isinstance(math, Tag) else ""
        for pattern, replacement in COMMANDS.items():
            text = re.sub(pattern, replacement, text)
        formula.string = text


def take_names(body: Tag) -> str:
    """Replace Python code by its comments, and output by what it says; return the names in code."""
    names: dict[str, None] = {}
    for block in body.find_all("pre"):
        wrapper = block.find_parent("div", class_=re.compile("^highlight-"))
        classes = " ".join(wrapper.get("class", [])) if isinstance(wrapper, Tag) else ""
        if PYTHON.match(classes):
            kept = [
                span.extract().get_text().strip("# \n") for span in block.find_all("span", COMMENT)
            ]
            kept += _messages("".join(s.get_text() for s in block.find_all("span", class_="go")))
            for other in block.find_all("span", class_=OTHER):
                other.replace_with(" ")
            names |= dict.fromkeys(NAME.findall(block.get_text()))
            block.string = "\n".join(kept)
        elif "highlight-none" in classes:
            block.string = "\n".join(_messages(block.get_text()))
    return " ".join(names)


def _messages(output: str) -> Iterator[str]:
    """Yield the lines of output that say something: a message or a label, not rows of numbers."""
    return (line for line in output.splitlines() if len(WORD.findall(line)) > 2)
