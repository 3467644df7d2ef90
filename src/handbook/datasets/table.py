"""A table of numbers from a CSV file: pandas reads it; here errors get a file, line and column."""

import codecs
import csv
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from ._paths import expand, shown
from .mnist import Split

LARGEST = torch.finfo(torch.float32).max


def load_csv(
    path: str | Path,
    target: str,
    columns: Sequence[str] | None = None,
    encoding: str | None = None,
) -> Split:
    """Read a CSV file of numbers, such as a spreadsheet program saves it.

    The first line names the columns; commas separate them. pandas reads the file. Empty lines below
    it are skipped; ``True`` and ``False`` are 1 and 0.

    Parameters
    ----------
    path : str or Path
        The file.
    target : str
        The column to predict.
    columns : sequence of str, optional
        The columns to predict from, in this order. By default, all others that have a name: the
        index that ``DataFrame.to_csv`` writes by default has none, and is left out, also where it
        was saved again as ``Unnamed: 0``.
    encoding : str, optional
        Such as ``"utf-8"`` or ``"gbk"``. By default, UTF-16 if the first bytes say so, else UTF-8
        if the whole file is UTF-8, else GB 18030, which includes GBK: what Excel saves as CSV on a
        Chinese Windows. Any other encoding must be named.

    Returns
    -------
    Split
        ``x``: float32 ``(N, F)``. ``y``: int64 ``(N,)`` if all its numbers are whole and
        below 2**53 in size, else float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is missing or its name occurs twice, a cell is empty or not a finite number, a
        row has too few or too many cells, or the text has another encoding. The message names the
        file and, where there is one, the line.
    LookupError
        If Python does not know the encoding.
    ModuleNotFoundError
        If pandas is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from handbook import datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = datasets.write_csv(folder + "/digits.csv", n=100)
    ...     x, y = load_csv(path, "label", columns=["ink", "height", "width"])
    >>> x.shape, y[:5]
    (torch.Size([100, 3]), tensor([5, 4, 1, 3, 6]))
    """
    import pandas as pd  # slow to import, so only where it is used

    if isinstance(columns, str):
        raise ValueError(f"columns must be a list of names, such as [{columns!r}], not a string")
    path = expand(path)
    name = shown(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {name}")
    try:
        encoding = encoding or _detect_encoding(path.read_bytes())
        with path.open(encoding=encoding, newline="") as file, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            options: dict[str, Any] = {"skipinitialspace": True, "skip_blank_lines": False}
            names = pd.read_csv(file, header=None, nrows=1, dtype=str, na_filter=False, **options)
            for mark in ";\t":
                if len(names.columns) == 1 and mark in names.iat[0, 0]:
                    raise ValueError(
                        f"{mark!r} separates its columns, not a comma: write a new file, "
                        f"pandas.read_csv(path, sep={mark!r}).to_csv(new, index=False); "
                        "decimal=',' reads decimal commas"
                    )
            file.seek(0)
            options |= {"keep_default_na": False, "na_values": [""], "low_memory": False}
            table = pd.read_csv(file, index_col=False, **options)
            if table.iloc[:, -1].hasnans:  # the last cell is empty, or there is none
                file.seek(0)
                _check_lengths(file, len(table.columns))
        head = names.iloc[0].str.strip("\ufeff \t").tolist()
        places = _find_columns(head, target, columns)
        cells = table.dropna(how="all").iloc[:, places]
        numbers = cells.apply(pd.to_numeric, errors="coerce").to_numpy("float64")
        if cells.empty:
            raise ValueError("there is no row below the names of the columns")
        for i, j in np.argwhere(~(abs(numbers) <= LARGEST)):  # nan is not <= anything
            cell, row = cells.iat[i, j], cells.index[i]
            above = "".join(map(str, table.iloc[:row].to_numpy().ravel()))
            line = row + 2 + above.count("\n")  # a cell may have several lines
            what = "empty" if pd.isna(cell) else f"{str(cell)!r:.40}, which is not a finite number"
            raise ValueError(
                f"line {line}: column {head[places[j]]!r:.60} is {what}; fix it, or choose other "
                "columns"
            )
    except pd.errors.EmptyDataError:
        raise ValueError(f"{name}: the first line must name the columns; it is empty") from None
    except pd.errors.ParserWarning:
        raise ValueError(f"{name}: the rows have more cells than the first line names") from None
    except UnicodeError:
        line = _find_undecodable(path.read_bytes(), str(encoding))
        raise ValueError(
            f"{name}: line {line} is not {encoding} text; pass its encoding, such as 'utf-8' or "
            "'gbk'"
        ) from None
    except (ValueError, csv.Error) as error:  # pandas names the line, in a long sentence
        said = str(error).strip().rpartition("C error: ")[2]
        quote = r"a quotation mark in \1 is not closed; row 0 names the columns"
        said = re.sub(r"EOF inside string starting at (row \d+)", quote, said)
        raise ValueError(f"{name}: {said}") from None
    x, y = torch.tensor(numbers).split([len(places) - 1, 1], dim=1)
    whole = bool(((y == y.round()) & (y.abs() < 2**53)).all())
    return Split(x.float(), y.squeeze(1).to(torch.int64 if whole else torch.float32))


def _detect_encoding(content: bytes) -> str:
    """Say how a file is written: by its first bytes, else by what all of it can be."""
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if 0 in content[:2]:  # half of an ASCII letter
        order = "be" if content[0] == 0 else "le"
        raise ValueError(f"UTF-16 without a byte order mark: pass encoding='utf-16-{order}'")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8-sig"  # with or without a byte order mark


def _find_undecodable(content: bytes, encoding: str) -> int:
    """Return the number of the first line that is not text in this encoding."""
    start = 0
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        start = error.start
    return 1 + len(re.findall("\r\n|\r|\n", content[:start].decode(encoding, errors="ignore")))


def _check_lengths(file: TextIO, columns: int) -> None:
    """Refuse a row that ends early: pandas fills it up."""
    rows = csv.reader(file)
    for cells in rows:
        if len(cells) < columns and any(map(str.strip, cells)):
            raise ValueError(f"line {rows.line_num}: {len(cells)} cells for {columns} columns")


def _find_columns(head: list[str], target: str, columns: Sequence[str] | None) -> list[int]:
    """Return the places of the columns to predict from, and of the target at the end."""
    named = [column for column in head if column and not column.startswith("Unnamed: ")]
    wanted = [column for column in named if column != target] if columns is None else list(columns)
    for column in [target, *wanted]:
        if head.count(column) != 1:
            times = "there more than once" if column in head else "not there"
            there = ", ".join(map(repr, head))
            raise ValueError(f"the column {column!r:.60} is {times}; there are {there:.300}")
    if target in wanted or not wanted:
        raise ValueError(f"choose at least one column besides the target {target!r}")
    return [head.index(column) for column in [*wanted, target]]
