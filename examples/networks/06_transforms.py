"""
Transforms and augmentation
===========================

To be written?
"""

# %%
# Setup
# -----

print(1)
