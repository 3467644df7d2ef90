"""What takes long and what every lesson needs: done once, before the lessons are forked.

The first optimizer imports the compiler of PyTorch. The package is not imported here: a lesson
imports it itself, as its readers do.
"""

import matplotlib.pyplot  # noqa: F401
import torch

torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
