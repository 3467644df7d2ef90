"""
Gradients
=========

To be written?
"""

# %%
# Setup
# -----

print(1)
