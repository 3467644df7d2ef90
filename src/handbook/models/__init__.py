"""Networks that the pages use: tensors in, tensors out, torch only."""

from handbook.models.cnn import LeNet
from handbook.models.mlp import MLP
from handbook.models.residual import ResidualBlock, ResNet

__all__ = ["MLP", "LeNet", "ResNet", "ResidualBlock"]
