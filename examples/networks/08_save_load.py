"""
Saving and loading
==================

To be written?
"""

# %%
# Setup
# -----

print(1)
