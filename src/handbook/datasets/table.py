"""A table of numbers from a CSV file."""

import codecs
import csv
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import torch

from ._paths import shown
from .mnist import Split

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
LINE = 1 << 20  # letters: no line of a table is longer
LARGEST = torch.finfo(torch.float32).max


def load_csv(
    path: str | Path,
    target: str,
    columns: Sequence[str] | None = None,
    encoding: str | None = None,
) -> Split:
    """Read a CSV file of numbers, such as a spreadsheet program saves it.

    The first line names the columns; commas separate them. Empty lines are skipped.

    Parameters
    ----------
    path : str or Path
        The file.
    target : str
        The column to predict.
    columns : sequence of str, optional
        The columns to predict from, in this order. By default, all others.
    encoding : str, optional
        Such as ``"utf-8"`` or ``"gbk"``. By default, what the first bytes announce, else UTF-8 if
        the whole file is UTF-8, else GB 18030, which includes GBK: what Excel saves as CSV on a
        Chinese Windows. Any other encoding must be named.

    Returns
    -------
    Split
        ``x``: float32 ``(N, F)``. ``y``: int64 ``(N,)`` if all its numbers are whole, else float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is missing, a cell is no number, a row has too few cells, or the file is no
        such table. The message names the file and the line.

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
    if isinstance(columns, str):
        raise ValueError(f"columns must be a list of names, such as [{columns!r}], not one word")
    path, name = Path(path), shown(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {name}")
    encoding = encoding or _encoding(path)
    try:
        with path.open(encoding=encoding, newline="") as file:
            return _numbers(name, file, target, columns)
    except UnicodeError:
        raise ValueError(
            f"{name}, line {_first_not_text(path, encoding)}: this is not {encoding} text; "
            "pass its encoding, such as 'utf-8' or 'gbk'"
        ) from None


def _encoding(path: Path) -> str:
    """Say how a file is written: by its first bytes, else by what all of it can be."""
    with path.open("rb") as file:
        start = file.read(3)
        for mark, encoding in MARKS.items():
            if start.startswith(mark):
                return encoding
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := file.read(LINE):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeError:
            return "gb18030"
    return "utf-8"


def _first_not_text(path: Path, encoding: str) -> int:
    """Return the number of the first line that cannot be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, last, size = 1, "", LINE
    with path.open("rb") as file:
        while block := file.read(size):
            state = decoder.getstate()
            try:
                text = last + decoder.decode(block)
            except UnicodeError:
                if size == 1:
                    break
                decoder.setstate(state)
                file.seek(-len(block), 1)
                size = 1  # the same block again, up to the byte that is wrong
            else:
                line += _ends(text) - _ends(last)
                last = text[-1:]
    return line


def _ends(text: str) -> int:
    """Count the ends of lines, of any kind."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _lines(name: str, file: TextIO) -> Iterator[str]:
    """Give the lines of a table, and refuse what is none before it fills the memory."""
    number = 0
    while line := file.readline(LINE):
        number += 1
        if len(line) == LINE or "\0" in line:
            raise ValueError(f"{name}, line {number}: this is no table of text; save it as CSV")
        yield line


def _rows(name: str, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Give the rows that are not empty, each with the number of its first line."""
    reader = csv.reader(_lines(name, file), strict=True)
    first = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield first, row
            first = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{name}, line {first}: {error}; look for a quotation mark") from None


def _numbers(name: str, file: TextIO, target: str, columns: Sequence[str] | None) -> Split:
    """Read the columns that are asked for."""
    rows = _rows(name, file)
    head = [cell.strip("\ufeff \t") for cell in next(rows, (0, []))[1]]
    if not head:
        raise ValueError(f"{name} is empty: it needs a line with the names of the columns")
    wanted = [column for column in head if column != target] if columns is None else list(columns)
    for column in [target, *wanted]:
        if head.count(column) != 1:
            there = ", ".join(map(repr, head[:20])) + ", …" * (len(head) > 20)
            times = "twice or more" if column in head else "not there"
            raise ValueError(
                f"{name}: the column {column!r:.60} is {times}; there are {there:.300}"
            )
    if target in wanted or not wanted:
        raise ValueError(f"{name}: choose columns to predict {target!r} from, other than itself")

    places = [head.index(column) for column in wanted]
    x, y = array("f"), array("d")
    for line, row in rows:
        if len(row) != len(head):
            raise ValueError(f"{name}, line {line}: {len(row)} cells for {len(head)} columns")
        x.extend(_number(name, line, head[i], row[i]) for i in places)
        y.append(_number(name, line, target, row[head.index(target)]))
    if not y:
        raise ValueError(f"{name} has names of columns, but no row below them")
    whole = all(value.is_integer() and abs(value) < 2**53 for value in y)
    answers = torch.frombuffer(y, dtype=torch.float64).to(torch.int64 if whole else torch.float32)
    return Split(torch.frombuffer(x, dtype=torch.float32).view(len(y), -1), answers)


def _number(name: str, line: int, column: str, cell: str) -> float:
    """Read one cell."""
    try:
        value = float(cell)
        if "_" not in cell and abs(value) <= LARGEST:
            return value
    except ValueError:
        pass
    what = "empty" if not cell.strip() else f"{cell!r:.40}, which is no finite number"
    raise ValueError(
        f"{name}, line {line}: column {column!r:.60} is {what}; mend it, or name other columns"
    )
