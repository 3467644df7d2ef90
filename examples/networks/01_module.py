"""
Modules
=======

To be written?
"""

# %%
# Setup
# -----

print(1)
