"""From raw files to three sets of tensors: read, check, split."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

SIDE = 28  # pixels
LABELS = [str(digit) for digit in range(10)]
FAINT = 0.2  # a page whose darkest point has less ink than this is blank


def read_image(content):
    """Turn the bytes of a scan into ink: float32 ``(1, 28, 28)``, from 0 (paper) to 1.

    Training and service both read by this function. Raises ``ValueError``, which says what is
    wrong with the file.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=["PNG"])
        if image.size == (SIDE, SIDE):  # do not unpack a huge image
            image.load()
    except Exception:  # a damaged file makes Pillow raise one of many kinds
        raise ValueError("is not a PNG image, or it is damaged") from None
    if image.size != (SIDE, SIDE):
        size = f"{image.width} × {image.height}"
        raise ValueError(f"is {size} pixels, not 28 × 28")
    if image.mode != "L" or "transparency" in image.info:
        raise ValueError("is not 8-bit grey, or it is transparent")
    ink = 1 - torch.from_numpy(np.array(image)).float() / 255
    return ink[None]  # (1, 28, 28), with one channel


def find_fault(content, label, seen):
    """Say what is wrong with a file, or return ``""``; ``seen`` holds the good files before it."""
    if label not in LABELS:
        return "bad label"
    if content in seen:
        return "duplicate"
    try:
        x = read_image(content)
    except ValueError:
        return "unreadable"
    if x.max() < FAINT:
        return "blank"
    return ""


def check_files(folder):
    """Return ``labels.csv`` as a table, with what is wrong with each file in a column ``fault``."""
    folder = Path(folder)
    table = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    faults = []
    seen = set()
    for row in table.itertuples():
        content = (folder / row.file).read_bytes()
        fault = find_fault(content, row.label, seen)
        if fault == "":
            seen.add(content)
        faults.append(fault)
    table["fault"] = faults
    return table


def choose_set(content):
    """Choose train, val or test by the bytes of a file: the same bytes, always the same set."""
    number = int(hashlib.sha256(content).hexdigest(), 16) % 100
    if number < 60:
        return "train"
    if number < 80:
        return "val"
    return "test"


def read_sets(folder, table):
    """Read the files without a fault, and return ``{"train": (x, y), "val": …, "test": …}``."""
    folder = Path(folder)
    images = {"train": [], "val": [], "test": []}
    labels = {"train": [], "val": [], "test": []}
    good = table[table["fault"] == ""]
    for row in good.itertuples():
        content = (folder / row.file).read_bytes()
        chosen = choose_set(content)
        images[chosen].append(read_image(content))
        labels[chosen].append(int(row.label))
    sets = {}
    for name in images:
        x = torch.stack(images[name])
        sets[name] = (x, torch.tensor(labels[name]))
    return sets


def find_suspects(x, y, neighbours=10):
    """Find images whose nearest neighbours all have another label: bool ``(N,)``."""
    flat = x.flatten(1)
    distances = torch.cdist(flat, flat)
    distances.fill_diagonal_(torch.inf)
    nearest = distances.topk(neighbours, largest=False).indices
    same = y[nearest] == y[:, None]
    return ~same.any(dim=1)
