"""Data that the pages use: plain tensors out, most of them from files inside the package."""

from .co2 import CO2, co2
from .credit import Credit, credit
from .export import write_csv, write_image_folder
from .folder import class_names, load_image_folder
from .mnist import Split, mnist
from .penguins import Penguins, penguins
from .photos import Photos, photos
from .poems import Poem, poems
from .scenes import Scenes, digit_scenes
from .table import load_csv

__all__ = [
    "CO2",
    "Credit",
    "Penguins",
    "Photos",
    "Poem",
    "Scenes",
    "Split",
    "class_names",
    "co2",
    "credit",
    "digit_scenes",
    "load_csv",
    "load_image_folder",
    "mnist",
    "penguins",
    "photos",
    "poems",
    "write_csv",
    "write_image_folder",
]
