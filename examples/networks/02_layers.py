"""
Layers and shapes
=================

To be written?
"""

# %%
# Setup
# -----

print(1)
