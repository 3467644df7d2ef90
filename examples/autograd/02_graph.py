"""
The recorded graph
==================

To be written?
"""

# %%
# Setup
# -----

print(1)
