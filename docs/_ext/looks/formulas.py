"""Formulas as MathML, written when the site is built: browsers draw it without scripts or fonts."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)
NAMESPACE = "http://www.w3.org/1998/Math/MathML"
# How many parts an element must have; the converter writes fewer if an argument is missing.
PARTS = {"mfrac": 2, "msup": 2, "msub": 2, "mroot": 2, "munder": 2, "mover": 2, "msubsup": 3}

# In a line of its own, a sum has its limits above and below.
LIMITS = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
OPERATORS = {"∑", "∏", "max", "min", "lim", "arg max", "arg min"}


def mathml(tex: str, display: str = "inline") -> str:
    r"""Convert a formula from TeX, and keep its source as `alttext`.

    Parameters
    ----------
    tex : str
        The formula, without dollar signs.
    display : str
        `"inline"` or `"block"`.

    Raises
    ------
    ValueError
        If a command is not known, a brace is missing, or an argument is.

    Examples
    --------
    >>> mathml("x^2")
    '<math display="inline" alttext="x^2"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>'
    >>> mathml(r"\flac{a}{b}")
    Traceback (most recent call last):
    ValueError: \flac
    """
    depth = 0
    for brace in re.findall(r"\\.|[{}]", tex):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            break
    if depth:
        raise ValueError("a brace without its partner")
    try:
        known = tex.replace("{aligned}", "{align*}")  # the name that the converter has for it
        math = ElementTree.fromstring(convert(known, display=display))
    except ElementTree.ParseError:  # the converter passes an unknown `&` through
        raise ValueError("& outside of a known environment") from None
    except Exception as error:  # its errors have no common base, and their names are the message
        raise ValueError(type(error).__name__) from None
    for element in math.iter():
        element.tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
        text = element.text or ""
        if element.tag != "mtext" and re.search(r"\\[a-zA-Z]|[{}&]", text) and text not in "{}":
            raise ValueError(text)
        if len(element) != PARTS.get(element.tag, len(element)):
            raise ValueError(f"an argument is missing ({element.tag})")
        if display == "block" and element.tag in LIMITS and element[0].text in OPERATORS:
            element.tag = LIMITS[element.tag]
    math.set("alttext", " ".join(tex.split()))
    return ElementTree.tostring(math, encoding="unicode")


def _convert(node: nodes.Element, display: str) -> str:
    """Convert the formula of a node; a fault is a warning, which ends the build."""
    try:
        return mathml(node.astext(), display)
    except ValueError as error:
        logger.warning("a formula that cannot be drawn: %s", error, location=node)
        return f"<code>{nodes.unescape(node.astext())}</code>"


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    self.body.append(f'<span class="math">{_convert(node, "inline")}</span>')
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula of its own."""
    self.body.append(f'<div class="math" tabindex="0">{_convert(node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the renderer; `html_math_renderer = "mathml"` in conf.py selects it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
