"""Convolutional networks."""

from torch import Tensor, nn


class LeNet(nn.Module):
    """LeNet-5 in today's form: ReLU, max pooling and a linear last layer; 61,706 parameters.

    Parameters
    ----------
    classes : int
        Number of outputs: one logit per class.

    Notes
    -----
    LeCun, Bottou, Bengio & Haffner (1998), *Gradient-based learning applied to document
    recognition*. The sizes of the layers are theirs. They padded the images to 32 × 32 (here the
    first convolution pads), squashed by tanh, averaged in pooling, joined the maps of the second
    convolution to some of the first only, and ended in Gaussian units.

    Examples
    --------
    >>> import torch
    >>> LeNet()(torch.zeros(32, 1, 28, 28)).shape
    torch.Size([32, 10])
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(  # (B, 1, 28, 28)
            nn.Conv2d(1, 6, kernel_size=5, padding=2),  # (B, 6, 28, 28)
            nn.ReLU(),
            nn.MaxPool2d(2),  # (B, 6, 14, 14)
            nn.Conv2d(6, 16, kernel_size=5),  # (B, 16, 10, 10)
            nn.ReLU(),
            nn.MaxPool2d(2),  # (B, 16, 5, 5)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),  # (B, 400)
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, 1, 28, 28)`` to logits ``(B, classes)``.

        Raises
        ------
        ValueError
            If the input is not a batch of grey images of 28 × 28 pixels.
        """
        if x.ndim != 4 or x.shape[1:] != (1, 28, 28):
            raise ValueError(
                f"LeNet needs images of shape (B, 1, 28, 28), got {tuple(x.shape)}; "
                "unsqueeze(1) adds a missing channel axis, x[None] makes one image a batch"
            )
        return self.classifier(self.features(x))
