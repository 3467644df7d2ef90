"""Data that the pages use: plain tensors out, most of them from files inside the package."""

from .mnist import Examples, mnist

__all__ = ["Examples", "mnist"]
