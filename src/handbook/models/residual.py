"""Residual networks."""

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions that learn what to add to their input.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels that come in and go out.
    stride : int
        Stride of the first convolution: 2 halves height and width.

    Notes
    -----
    He, Zhang, Ren & Sun (2016), *Deep residual learning for image recognition*, figure 2. Where
    the shape changes, a 1 × 1 convolution brings the input to the new shape (their option B).

    Examples
    --------
    >>> import torch
    >>> ResidualBlock(16, 32, stride=2)(torch.zeros(8, 16, 28, 28)).shape
    torch.Size([8, 32, 14, 14])
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        # No bias: the normalization that follows subtracts it again.
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` to ``(B, out_channels, H / stride, W / stride)``."""
        residual = F.relu(self.norm1(self.conv1(x)))
        residual = self.norm2(self.conv2(residual))
        return F.relu(self.shortcut(x) + residual)


class ResNet(nn.Module):
    """A small residual network for small images, of 28 × 28 or 32 × 32 pixels, say.

    Three stages; the second and the third halve height and width and double the channels.

    Parameters
    ----------
    channels : int
        Channels of the images: 1 for grey, 3 for colour.
    classes : int
        Number of outputs: one logit per class.
    width : int
        Channels of the first stage.
    blocks : int
        Residual blocks in each stage; the network has ``6 * blocks + 2`` layers with weights.

    Notes
    -----
    He, Zhang, Ren & Sun (2016), *Deep residual learning for image recognition*, section 4.2;
    ``ResNet(channels=3, blocks=3)`` is their ResNet-20, but for the shortcuts.

    Examples
    --------
    >>> import torch
    >>> ResNet()(torch.zeros(8, 1, 28, 28)).shape
    torch.Size([8, 10])
    """

    def __init__(
        self, channels: int = 1, classes: int = 10, width: int = 16, blocks: int = 1
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.stages = nn.Sequential(
            _stage(width, width, blocks, stride=1),
            _stage(width, 2 * width, blocks, stride=2),
            _stage(2 * width, 4 * width, blocks, stride=2),
        )
        self.classifier = nn.Linear(4 * width, classes)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, channels, H, W)`` to logits ``(B, classes)``.

        Raises
        ------
        ValueError
            If the input is not a batch of images with that many channels.
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(
                f"ResNet needs images of shape (B, {self.channels}, H, W), got {tuple(x.shape)}; "
                "unsqueeze(1) adds a missing channel axis, x[None] makes one image a batch"
            )
        x = self.stages(self.stem(x))  # (B, 4 width, H / 4, W / 4)
        x = x.mean(dim=(2, 3))  # (B, 4 width): the average over all places
        return self.classifier(x)


def _stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    """Chain blocks; the first one changes the shape."""
    first = ResidualBlock(in_channels, out_channels, stride)
    return nn.Sequential(
        first, *(ResidualBlock(out_channels, out_channels) for _ in range(blocks - 1))
    )
