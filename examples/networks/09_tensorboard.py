"""
Watching a run
==============

To be written?
"""

# %%
# Setup
# -----

print(1)
