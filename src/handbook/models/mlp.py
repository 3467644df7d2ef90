"""The multilayer perceptron."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Multilayer perceptron: linear layers with a ReLU after each but the last.

    Parameters
    ----------
    in_features : int
        Number of values in one example: 784 for a digit of 28 × 28 pixels.
    hidden : sequence of int
        Width of each hidden layer; ``()`` leaves one linear layer (softmax regression).
    out_features : int
        Number of outputs: one logit per class.
    dropout : float
        Probability with which each hidden value is zeroed in training.

    Notes
    -----
    Rumelhart, Hinton & Williams (1986), *Learning representations by back-propagating errors*;
    the ReLU follows Glorot, Bordes & Bengio (2011), *Deep sparse rectifier neural networks*.

    Examples
    --------
    >>> import torch
    >>> MLP()(torch.zeros(32, 1, 28, 28)).shape
    torch.Size([32, 10])
    """

    def __init__(
        self,
        in_features: int = 784,
        hidden: Sequence[int] = (128,),
        out_features: int = 10,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [in_features, *hidden]
        self.hidden = nn.ModuleList(map(nn.Linear, widths[:-1], widths[1:]))
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(widths[-1], out_features)
        self.in_features = in_features

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch ``(B, ...)`` of ``in_features`` values each to logits ``(B, out_features)``.

        Raises
        ------
        ValueError
            If an example does not hold ``in_features`` values, or the batch axis is missing.
        """
        if x.ndim < 2 or x.shape[1:].numel() != self.in_features:
            raise ValueError(
                f"MLP needs a batch with {self.in_features} values in each example, "
                f"got shape {tuple(x.shape)}; one example alone becomes a batch by x[None]"
            )
        x = x.flatten(start_dim=1)  # (B, in_features)
        for layer in self.hidden:
            x = self.dropout(F.relu(layer(x)))
        return self.out(x)
