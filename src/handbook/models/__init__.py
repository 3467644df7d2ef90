"""Networks that the pages use: tensors in, tensors out, torch only."""

from .cnn import LeNet
from .mlp import MLP
from .recurrent import RecurrentNetwork
from .residual import ResidualBlock, ResNet
from .transformer import SelfAttention, Transformer, TransformerBlock, sinusoidal_positions

__all__ = [
    "MLP",
    "LeNet",
    "RecurrentNetwork",
    "ResNet",
    "ResidualBlock",
    "SelfAttention",
    "Transformer",
    "TransformerBlock",
    "sinusoidal_positions",
]
