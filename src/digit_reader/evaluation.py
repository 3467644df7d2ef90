"""What the network can do, what it cannot, and when it should not answer."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, pad


def shift(x, pixels=3):
    """Move the digits to the right; what leaves the scan is gone."""
    return pad(x, (pixels, 0))[..., : x.shape[-1]]


def thicken(x):
    """Draw with a thicker pen: each pixel becomes the darkest of the nine around it."""
    return nn.MaxPool2d(kernel_size=3, stride=1, padding=1)(x)


def fade(x):
    """Write with a quarter of the ink."""
    return x / 4


def turn(x):
    """Rotate the scan by a quarter turn, to the left."""
    return x.rot90(dims=(2, 3))


def invert(x):
    """Swap ink and paper."""
    return 1 - x


CHANGES = {"shift": shift, "thicken": thicken, "fade": fade, "turn": turn, "invert": invert}


def predict(model, x):
    """Return the logits ``(N, 10)`` of all images."""
    model.eval()
    with torch.no_grad():
        return model(x)


def find_temperature(logits, y):
    """Find the number by which to divide the logits, so that the loss is lowest."""
    temperatures = torch.linspace(0.5, 4, 71)
    losses = []
    for temperature in temperatures:
        losses.append(cross_entropy(logits / temperature, y))
    return temperatures[torch.stack(losses).argmin()].item()


def find_threshold(confidence, right, wanted=0.99):
    """Find the lowest threshold with which at least this share of the answers is right."""
    for threshold in sorted(confidence.tolist()):
        share = right[confidence >= threshold].float().mean()
        if share >= wanted:
            return threshold
    raise ValueError(f"no threshold makes {wanted:.1%} of the answers right")


def score(model, temperature, threshold, x, y):
    """Return three shares of all images: right if all are answered, answered, answered wrongly."""
    probabilities = (predict(model, x) / temperature).softmax(dim=1)
    confidence, answers = probabilities.max(dim=1)
    right = answers == y
    answered = confidence >= threshold
    return {
        "accuracy": right.float().mean().item(),
        "answered": answered.float().mean().item(),
        "answered wrongly": (answered & ~right).float().mean().item(),
    }
