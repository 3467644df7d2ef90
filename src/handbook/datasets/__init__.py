"""Data that the pages use: plain tensors out, most of them from files inside the package."""

from .folder import class_names, read_images
from .mnist import Examples, mnist
from .table import read_table
from .written import write_images, write_table

__all__ = [
    "Examples",
    "class_names",
    "mnist",
    "read_images",
    "read_table",
    "write_images",
    "write_table",
]
