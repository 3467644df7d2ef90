"""Carbon dioxide in the air, month by month: a small real time series."""

import csv
from typing import NamedTuple

import torch
from torch import Tensor

from . import _embedded

CHECKSUM = "76078796e58e52d1a7ecd9d28f59d30d289556cab7a3611a876baf01b792622d"


class CO2(NamedTuple):
    """Carbon dioxide at Mauna Loa: a tensor ``(444,)`` for each column, in the order of time."""

    year: Tensor  #: Year, from 1965 to 2001, int64.
    month: Tensor  #: Month, from 1 to 12, int64.
    ppm: Tensor  #: Mean of the month in parts per million, float32.


def co2() -> CO2:
    """Load carbon dioxide in the air of 444 months, for which no network is needed.

    No month is missing. Split the months by time: neighbours are nearly equal.

    Returns
    -------
    CO2
        Year and month, int64 ``(444,)``, and parts per million, float32 ``(444,)``.

    Raises
    ------
    RuntimeError
        If the file inside the package is damaged.

    Notes
    -----
    Keeling & Whorf (2004), *Atmospheric CO2 concentrations derived from flask air samples at sites
    in the SIO network*, in the form of the weekly data set of statsmodels, measured at Mauna Loa,
    Hawaii. A month is the mean of its weeks. The years before 1965, in which some months were not
    measured, are left out. Licence: public domain.

    Examples
    --------
    >>> table = co2()
    >>> table.year[:3], table.month[:3]
    (tensor([1965, 1965, 1965]), tensor([1, 2, 3]))
    >>> table.ppm[:3]
    tensor([319.4000, 320.4500, 320.9200])
    """
    rows = list(csv.DictReader(_embedded.read("co2.csv", CHECKSUM).decode().splitlines()))
    return CO2(
        year=torch.tensor([int(row["year"]) for row in rows]),
        month=torch.tensor([int(row["month"]) for row in rows]),
        ppm=torch.tensor([float(row["ppm"]) for row in rows]),
    )
