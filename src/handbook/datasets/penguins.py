"""Measurements of penguins: a small real table."""

import csv
from typing import NamedTuple

import torch
from torch import Tensor

from . import _embedded

CHECKSUM = "661ee666cc37a6e074508ab4c543d7262d0cc2cfb9dcbf16ae0395fa69a1d9c7"


class Penguins(NamedTuple):
    """Measurements of 342 penguins: a tensor for each column, all in the same order."""

    bill_length: Tensor  #: Length of the bill in mm, float32 ``(342,)``.
    bill_depth: Tensor  #: Depth of the bill, from its upper to its lower edge, in mm.
    flipper_length: Tensor  #: Length of the flipper, a penguin's wing, in mm.
    mass: Tensor  #: Body mass in g.
    species: Tensor  #: Place of the species in ``names``, int64 ``(342,)``.
    names: tuple[str, ...]  #: The three species.


def penguins() -> Penguins:
    """Load measurements of penguins, for which no network is needed.

    The rows are sorted by species: shuffle them before you take some as a validation set.

    Returns
    -------
    Penguins
        Four columns of measurements, float32 ``(342,)``, and the species, int64 ``(342,)``.

    Raises
    ------
    RuntimeError
        If the file inside the package is damaged.

    Notes
    -----
    Gorman, Williams & Fraser (2014), *Ecological sexual dimorphism and environmental variability
    within a community of Antarctic penguins*, in the form of the data set palmerpenguins by Horst,
    Hill & Gorman. Of its 344 penguins, the 2 that were not measured are left out. Licence: CC0.

    Examples
    --------
    >>> table = penguins()
    >>> table.flipper_length[:3], table.mass[:3]
    (tensor([181., 186., 195.]), tensor([3750., 3800., 3250.]))
    >>> table.names, table.species.bincount()
    (('Adelie', 'Chinstrap', 'Gentoo'), tensor([151,  68, 123]))
    """
    lines = _embedded.read("penguins.csv", CHECKSUM).decode().splitlines()
    rows = list(csv.reader(lines))[1:]
    names = tuple(sorted({row[0] for row in rows}))
    bill_length, bill_depth, flipper_length, mass = (
        torch.tensor([float(row[column]) for row in rows]) for column in (1, 2, 3, 4)
    )
    species = torch.tensor([names.index(row[0]) for row in rows])
    return Penguins(bill_length, bill_depth, flipper_length, mass, species, names)
