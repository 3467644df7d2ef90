"""
The standard term: what a reader searches for
=============================================

One question, in one sentence that ends with a question mark?

Why a reader has it, in two to four sentences. Say where it comes up, what goes
wrong without it, and nothing that needs the page itself.

After this lesson you can

- do the first thing that the page shows;
- do the second thing;
- notice the mistake that nothing reports.
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch

torch.manual_seed(0)

# %%
# A section: toy numbers first
# ----------------------------
# Numbers that a reader can check in the head. Say what each line does before
# the code, and what came out after it. A new word is a :term:`tensor`, with
# its entry in the glossary; a function is :func:`torch.arange`.

numbers = torch.arange(1, 6)
print(numbers)
print("sum:", numbers.sum())

# %%
# What was printed, and what follows from it: five numbers, and their sum is 15.

# %%
# .. check::

assert numbers.sum() == 15, "the numbers from 1 to 5 sum to 15"

# %%
# On real data
# ------------
# The ordinary way, complete, as one would write it at work. A figure follows
# the text that asks for it, and its words stand here.
#
# .. alt:: A line that rises evenly from 1 to 5.

# %%
# .. drawing::

figure, axes = plt.subplots(figsize=(4, 2.5), layout="constrained")
axes.plot(numbers.tolist())
axes.set(xlabel="position", ylabel="number")

# %%
# What goes wrong
# ---------------
# The silent mistake: let it happen, show the number that gives it away, and
# put it right.
#
# Recipe
# ------
# The shortest complete code, in one block that runs by itself.

import torch

total = torch.arange(1, 6).sum()
print(total)

# %%
# .. check::

assert total == 15, "the recipe gives the same sum"

# %%
# What you learned
# ----------------
# - The rule, as an instruction.
# - The reason, in half a sentence.
# - The mistake, and how it shows.
#
# Exercises
# ---------
# 1. **Predict.** What comes out, before you run it?
# 2. **Change.** The same for other numbers.
# 3. **Extend.** Something that the page did not show.

# %%
# .. answer:: 1
#
#    Why it is so.

prediction = numbers.max()
print(prediction)

# %%
# .. check::

assert prediction == 5, "the largest number is 5"

# %%
# .. answer:: 2

changed = torch.arange(1, 11).sum()
print(changed)

# %%
# .. check::

assert changed == 55, "the numbers from 1 to 10 sum to 55"

# %%
# .. answer:: 3

extended = numbers.float().mean()
print(extended)

# %%
# .. check::

assert extended == 3, "the mean is in the middle"

# %%
# .. earlier::
#
#    What older notes say, what holds today, and since when. Leave the box out
#    where nothing has changed.
