"""
Your own data
=============

To be written?
"""

# %%
# Setup
# -----

print(1)
