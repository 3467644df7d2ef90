"""The raw files that the work starts from: scans, a table of labels, and faults."""

import csv
import shutil
from pathlib import Path

import torch
from PIL import Image

from handbook import datasets

BLANK, DUPLICATE, WRONG_LABEL = 12, 40, 30  # how many of each are planted


def write_raw_files(folder, count=6000):
    """Write scans of handwritten digits, and plant faults among them.

    Each scan is a PNG file of 28 × 28 grey pixels, dark ink on white paper. ``labels.csv`` has a
    row for each: ``file,label``.

    Parameters
    ----------
    folder : str or Path
        Where to write; it is made if it is not there.
    count : int
        How many digits, 1,000 to 10,000. The faults come on top.

    Returns
    -------
    dict of str to list of str
        The names of the files with a fault, for those who want to know whether they found all:
        ``"unreadable"``, ``"bad label"``, ``"blank"``, ``"duplicate"``, ``"wrong label"``.

    Raises
    ------
    ValueError
        If ``count`` is out of range.

    Notes
    -----
    The digits are those of `handbook.datasets.mnist`: LeCun, Bottou, Bengio & Haffner (1998),
    *Gradient-based learning applied to document recognition*. Licence: CC BY-SA 3.0.
    """
    if not 1000 <= count <= 10_000:
        raise ValueError(f"count={count}: there are digits for 1,000 to 10,000 scans")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    train, _ = datasets.mnist()
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(count, generator=generator)
    rows = {}
    for i in range(count):
        name = f"scan{i:05d}.png"
        grey = 255 - train.x[i, 0] * 255
        Image.fromarray(grey.round().to(torch.uint8).numpy()).save(folder / name)
        rows[name] = str(train.y[i].item())
    names = [f"scan{i:05d}.png" for i in chosen.tolist()]

    wrong = names[:WRONG_LABEL]
    for name in wrong:
        rows[name] = str((int(rows[name]) + 5) % 10)
    bad = names[WRONG_LABEL : WRONG_LABEL + 3]
    for name, label in zip(bad, ["10", "", "l"], strict=True):
        rows[name] = label
    originals = names[WRONG_LABEL + 3 : WRONG_LABEL + 3 + DUPLICATE]

    duplicates = [f"scan{count + i:05d}.png" for i in range(DUPLICATE)]
    for original, copy in zip(originals, duplicates, strict=True):
        shutil.copyfile(folder / original, folder / copy)
        rows[copy] = rows[original]
    blank = [f"scan{count + DUPLICATE + i:05d}.png" for i in range(BLANK)]
    for i, name in enumerate(blank):
        paper = torch.randint(244, 256, (28, 28), generator=generator, dtype=torch.uint8)
        Image.fromarray(paper.numpy()).save(folder / name)
        rows[name] = str(i % 10)
    unreadable = [f"scan{count + DUPLICATE + BLANK + i:05d}.png" for i in range(2)]
    for name, original in zip(unreadable, names[-2:], strict=True):
        whole = (folder / original).read_bytes()
        (folder / name).write_bytes(whole[:60])  # as if the copying had stopped
        rows[name] = "3"

    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "label"])
        writer.writerows(sorted(rows.items()))
    return {
        "unreadable": unreadable,
        "bad label": bad,
        "blank": blank,
        "duplicate": duplicates,
        "wrong label": wrong,
    }
