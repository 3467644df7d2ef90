r"""
First of all
============

What may a lesson contain? Each construct of the house stands on this page,
:math:`\frac{a}{b}` and ``C:\new`` included.

Paragraphs with **bold** and *slanted* words, a :term:`square`, a :term:`few squares <square>`, the
page :doc:`/lessons/part/02_second`, :doc:`another page </glossary>`, a function :func:`~tiny.area`
and a `link <https://example.org/a_b>`__.
"""

# %%
# Setup
# -----
#
# Lists, of which each item is a message:
#
# - the first item,
#   which goes on in a second line,
# - the second item
#
#   - with an item of its own.
#
# And with numbers:
#
# 1. **Predict.** What comes out?
# 2. **Change.** Make it larger.

# A comment of one line.
side = 3  # a trailing comment
shape = (2, 3)  # (B, T)
text = "# no comment"

# A comment of several lines, which reads as one paragraph and is wrapped again when its
# translation needs more or fewer lines than the original.
#
# A second paragraph.
# - a point
# - another point, which
#   goes on


def area(side):
    """Not a comment, a docstring."""
    # Inside a function, indented.
    return side * side  # fmt: skip


long = """
# no comment either
"""
print("area:", area(side))

# %%
# .. check::

assert area(side) == 9, "the area is nine"

# %%
# .. note::
#
#    An admonition with two paragraphs.
#
#    - A list inside of it.
#
# .. list-table::
#    :header-rows: 1
#
#    * - Name
#      - Meaning
#    * - ``side``
#      - the length of a side
#
# .. math::
#
#    A = a^2
#
# A quotation:
#
#     Number rules the universe.
#
# .. code-block:: python
#
#    area(4)  # in a block that is only shown
#
# Exercises
# ---------
#
# One is enough.

# %%
# .. answer:: 1
#
#    Three times three, as ``area`` says.

# The answer has a comment.
print(area(3))

# %%
# .. check::

# A check in an answer.
assert area(3) == 9, "three times three is nine"

# %%
# .. answer:: 2

print(area(30))

# %%
# What remains
# ------------
#
# The text after an answer is not folded.

# %%
# .. earlier::
#
#    Areas were called ``quadratures``.
