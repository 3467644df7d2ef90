"""Loans, and which of them were not paid back: a real table of numbers and codes."""

import csv
from typing import NamedTuple

import torch
from torch import Tensor

from . import _embedded

CHECKSUM = "181532f7cfa814682dad583a4ad022b7319aaa953162c50b36d998028903ad5c"
NAMES = {
    "account": ("no account", "below 0 DM", "0 to 199 DM", "200 DM or more, or salary"),
    "history": (
        "delays in the past",
        "critical account, or loans elsewhere",
        "no loans, or all paid back duly",
        "loans paid back duly so far",
        "all loans at this bank paid back duly",
    ),
    "purpose": (
        "other",
        "new car",
        "used car",
        "furniture or equipment",
        "radio or television",
        "household appliances",
        "repairs",
        "education",
        "holiday",
        "retraining",
        "business",
    ),
    "savings": ("none or unknown", "below 100 DM", "100 to 499 DM", "500 to 999 DM", "1000 DM up"),
    "employment": ("unemployed", "below 1 year", "1 to 3 years", "4 to 6 years", "7 years or more"),
    "property": (
        "none or unknown",
        "car or other",
        "savings plan or life insurance",
        "real estate",
    ),
    "housing": ("free of charge", "rented", "owned"),
}


class Credit(NamedTuple):
    """What a bank knew about 1,000 loans: a tensor ``(1000,)`` for each column.

    Seven columns hold codes, int64: the places of words in ``names``.
    """

    bad: Tensor  #: True for a loan that was not paid back as agreed, bool.
    account: Tensor  #: Code of the balance of the current account.
    duration: Tensor  #: Duration of the loan in months, float32.
    history: Tensor  #: Code of how earlier and other loans went.
    purpose: Tensor  #: Code of what the money was for.
    amount: Tensor  #: Amount in DM, float32, on a scale that its source changed (see the notes).
    savings: Tensor  #: Code of the savings.
    employment: Tensor  #: Code of the time with the present employer.
    property: Tensor  #: Code of the most valuable property.
    housing: Tensor  #: Code of the kind of housing.
    age: Tensor  #: Age in years, float32.
    foreign_worker: Tensor  #: True for a foreign worker, bool.
    names: dict[str, tuple[str, ...]]  #: The words for the codes of each such column.


def credit() -> Credit:
    """Load a table of loans, for which no network is needed.

    Returns
    -------
    Credit
        The target ``bad``, three columns of numbers, seven of codes and one of True and False.

    Raises
    ------
    RuntimeError
        If the file inside the package is damaged.

    Notes
    -----
    A bank in southern Germany made these loans from 1973 to 1975. 300 of the 1,000 were not paid
    back as agreed: bad loans were picked far more often than they occurred. With the data came a
    price list: a bad loan that is made costs 5 times as much as a good one that is refused. The
    amounts were transformed by an unknown function that keeps their order. DM is the Deutsche Mark.

    Hofmann (1994), *Statlog (German Credit Data)*, in the coding of Grömping (2019), *South German
    Credit Data: Correcting a Widely Used Data Set*, who compared it with older sources and showed
    that the words for many codes were wrong, those for the account and for foreign workers among
    them. (21 rows differ from her file.) Nine columns are left out. One of them is personal status
    and sex: one of its codes stands for both single men and women who were not single, so for this
    code the sex cannot be told. Licence: CC BY 4.0.

    Examples
    --------
    >>> table = credit()
    >>> table.duration[:3], table.bad[:3]
    (tensor([ 6., 48., 12.]), tensor([False,  True, False]))
    >>> table.names["housing"], table.housing.bincount()
    (('free of charge', 'rented', 'owned'), tensor([179, 713, 108]))
    """
    rows = csv.DictReader(_embedded.read("credit.csv", CHECKSUM).decode().splitlines())
    columns: dict[str, list[int]] = {name: [] for name in Credit._fields[:-1]}
    for row in rows:
        for name, values in columns.items():
            values.append(int(row[name]))
    tensors = {name: torch.tensor(values) for name, values in columns.items()}
    for name in ("duration", "amount", "age"):
        tensors[name] = tensors[name].float()
    for name in ("bad", "foreign_worker"):
        tensors[name] = tensors[name].bool()
    return Credit(**tensors, names=dict(NAMES))
