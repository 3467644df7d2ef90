"""
Second of all
=============

How does a figure get its words?

First of all comes :doc:`/lessons/part/01_first`.
"""

# %%
# The text before the code describes its figure.
#
# .. alt:: A line that rises "steeply" from 0,
#    and reaches 9.

import warnings

import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(2, 2))
ax.plot([0, 1, 4, 9])

# %%
# A figure stays in sight when the code that draws it is folded.
#
# .. alt:: A line that rises and falls.

# %%
# .. drawing::

fig, ax = plt.subplots(figsize=(2, 2))
ax.plot([0, 1, 0])  # a comment in a drawing

# %%
# A warning is an error while a lesson runs.

try:
    warnings.warn("watch out", stacklevel=1)
except UserWarning as error:
    print("raised:", error)

# %%
# .. answer:: 1
#
#    An answer may draw.
#
#    .. alt:: A line that falls.

fig, ax = plt.subplots(figsize=(2, 2))
ax.plot([9, 4, 1, 0])

# %%
# .. answer:: 2
#
#    The next answer has its drawing inside.

level = [1, 1]

# %%
# .. drawing::
#
#    .. alt:: A level line.

fig, ax = plt.subplots(figsize=(2, 2))
ax.plot(level)

# %%
# .. check::

assert level[0] == level[1], "the line is level"
