"""
Your own data
=============

How do my own files become batches?

A model takes many examples at once, as tensors of one shape. You have a table, a folder of images,
lines of text. A data set hands out one example at a time, a loader asks for many and joins them.
The page before is :doc:`/lessons/networks/04_optimizers`.
"""

# %%
# Setup
# -----
# Real files first: 1,000 handwritten digits, measured, in a table, and 200 of them as images.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    default_collate,
)

from handbook import Batches, datasets, plots

torch.manual_seed(0)
work = tempfile.TemporaryDirectory()  # the last line of the page deletes it
folder = Path(work.name)
table = datasets.write_csv(folder / "digits.csv")
root = datasets.write_image_folder(folder / "digits")
print(*table.read_text(encoding="utf-8").splitlines()[:3], sep="\n")


def refused(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace(str(folder), "…")
    raise AssertionError("that went well")


# %%
# .. _float64-items:
#
# The smallest one
# ----------------
# A :term:`data set`, here a :class:`torch.utils.data.Dataset`, knows how many examples it has, and
# which one is number ``i``. A :term:`data loader` asks it. NumPy reads numbers as ``float64``.


class Table(Dataset):
    def __init__(self, path, dtype="float64"):
        columns = range(2, 8)  # the label, then five numbers
        rows = np.loadtxt(
            path,
            dtype,
            delimiter=",",
            skiprows=1,
            usecols=columns,
            encoding="utf-8",
        )
        self.x, self.y = (
            rows[:, 1:],
            rows[:, 0].astype("int64"),
        )  # (1000, 5), (1000,)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


x, y = next(iter(DataLoader(Table(table), batch_size=4)))
print(x.dtype, "in the layer:", refused(lambda: nn.Linear(5, 10)(x)))
digits = Table(table, "float32")
x, y = next(iter(DataLoader(digits, batch_size=4)))
print(x.dtype, "in the layer:", tuple(nn.Linear(5, 10)(x).shape))
assert default_collate([np.float64(1.5)]).dtype == torch.float64 != x.dtype
assert torch.equal(
    x, torch.stack([torch.from_numpy(digits[i][0]) for i in range(4)])
)

# %%
# The loader keeps the :term:`dtype` of NumPy, and of pandas; the layer refuses it. So convert where
# you read. Older notes say that the loader *compresses*. It stacks, as the last line checks.
#
# .. _dataset-methods:
# .. _last-index:
# .. _dataloader-spelling:
#
# Which methods it needs
# ----------------------
# "An abstract class with three methods, ``__init__`` included", notes say. Leave them out, and see.

nothing = Dataset()  # an object of an abstract class could not be made
print("no __getitem__:", refused(lambda: nothing[0]))
print("no __len__:    ", refused(lambda: next(iter(DataLoader(Dataset())))))
print("no __iter__:   ", refused(lambda: IterableDataset()))
print("one too far:   ", refused(lambda: digits[len(digits)]))
print("a small l:     ", refused(lambda: torch.utils.data.Dataloader))
assert "IterableDataset" in refused(IterableDataset)
assert len(list(digits)) == len(digits)

# %%
# ``Dataset`` is not abstract, ``IterableDataset`` is. Write ``__getitem__``, mostly ``__len__``,
# ``__init__`` if you need it. The last index is ``len(digits) - 1``; the error past it ends a loop.
#
# Images in folders
# -----------------
# A table fits into memory; a million photos do not. So this data set holds names, and opens a file
# when it is asked for. Two loaders try it, one in order, one with ``shuffle=True``.
#
# .. alt:: Two rows of eight handwritten digits with their labels. The upper row is all zeros. The
#    lower row, from the shuffled loader, holds several different digits.

from PIL import Image


class Folder(Dataset):
    def __init__(self, root):
        self.classes, self.files = (
            datasets.class_names(root),
            sorted(root.glob("*/*.png")),
        )

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        with Image.open(self.files[i]) as image:
            x = torch.from_numpy(np.array(image)).float() / 255  # (28, 28)
        return x[None], self.classes.index(self.files[i].parent.name)


images = Folder(root)
loaders = [
    DataLoader(images, batch_size=8, shuffle=shuffle)
    for shuffle in (False, True)
]
(first, zeros), (mixed, various) = (next(iter(loader)) for loader in loaders)
figure = plots.image_grid(
    torch.cat([first, mixed]), titles=torch.cat([zeros, various]), ncols=8
)
assert (
    first.shape == (8, 1, 28, 28)
    and zeros.tolist() == [0] * 8
    and len(various.unique()) > 3
)

# %%
# In order, few batches mix classes; :doc:`/lessons/networks/07_training_loop` shows the harm.
#
# An order you can repeat
# -----------------------
# The order comes from the global generator of random numbers, or from one that you pass. A
# ``range`` is a data set, too: walk through nine numbers, and look at the random number after that.

own = torch.Generator().manual_seed(1)
shuffled = DataLoader(range(9), batch_size=3, shuffle=True, generator=own)
after, orders = [], []
for loader in ([], DataLoader(range(9), batch_size=3), shuffled, shuffled):
    torch.manual_seed(0)
    orders.append([n for batch in loader for n in batch.tolist()])
    after.append(torch.rand(1).item())
    print(f"{after[-1]:.4f} after {orders[-1]}")
own.manual_seed(1)
assert after[0] == after[2] == after[3] != after[1]
assert torch.cat(list(shuffled)).tolist() == orders[2] != orders[3]

# %%
# Even a loader that does not shuffle takes a number from the global generator, so one more look at
# the validation set changes what is random later, :term:`dropout` for instance. A ``generator`` of
# its own disturbs nothing, gives each epoch a new order, and from the same seed the same orders.
#
# Rare classes
# ------------
# You look for eights, one row in twelve. A :term:`sampler` chooses the indices, some of them more
# often if it is a :class:`torch.utils.data.WeightedRandomSampler`. A weight for each class, then?
#
# .. alt:: Three bars of 1,000 rows. As in the file, 84 are eights. With one weight per class, none
#    is. With one weight per example, about half are.

eight = torch.from_numpy(digits.y == 8).long()  # (1000,)
per_class = 1 / eight.bincount()  # (2,)
drawn = {"as in the file": torch.arange(1000)}
for name, weights in {
    "one per class": per_class,
    "one per example": per_class[eight],
}.items():
    drawn[name] = torch.tensor(
        list(torch.utils.data.WeightedRandomSampler(weights, 1000))
    )
eights = {name: eight[index].sum().item() for name, index in drawn.items()}
figure, axis = plt.subplots(figsize=(6, 2.4), layout="constrained")
axis.barh(list(eights), 1000, color="0.8", label="other digits")
axis.barh(list(eights), eights.values(), color="#0072B2", label="eights")
axis.set(xlabel="rows drawn in one epoch", xlim=(0, 1000), ylim=(2.5, -0.5))
axis.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
for name, index in drawn.items():
    print(
        f"{name:15} {eights[name]:3} eights, {len(index.unique()):4} different rows"
    )
assert eights["one per class"] == 0 and 400 < eights[
    "one per example"
] < 600 > len(index.unique())

# %%
# Two weights mean rows 0 and 1, and nothing else was drawn; no warning. Each *example* needs one.
# Even then no eight is new: each comes about six times, and about half of all rows never come.
#
# Lines of different length
# -------------------------
# In six lines by the poet Bai Juyi (772–846), make each character a number. Three and seven do not
# stack. So tell the loader how to join them: fill up with 0 (:term:`padding`), keep the lengths.
#
# .. alt:: A grid of six lines: four hold three numbers and four white zeros, two seven numbers.

lines = [
    "花非花",
    "雾非雾",
    "夜半来",
    "天明去",
    "来如春梦几多时",
    "去似朝云无觅处",
]
known = sorted(set("".join(lines)))
texts = [
    torch.tensor([known.index(c) + 1 for c in line]) for line in lines
]  # 0 stays free
print(refused(lambda: default_collate(texts)))


def collate(items):
    lengths = torch.tensor([len(item) for item in items])
    ids = nn.utils.rnn.pad_sequence(items, batch_first=True)  # (B, T)
    return (
        ids,
        lengths,
        torch.arange(ids.shape[1]) < lengths[:, None],
    )  # the mask is (B, T), too


((ids, lengths, mask),) = DataLoader(texts, batch_size=6, collate_fn=collate)
figure, axis = plt.subplots(figsize=(4.2, 3.4), layout="constrained")
axis.imshow(mask.numpy(), cmap="Blues", vmax=4)
for (i, j), number in np.ndenumerate(ids.numpy()):
    axis.text(
        j,
        i,
        number,
        ha="center",
        va="center",
        color="black" if mask[i, j] else "0.4",
    )
axis.set(xlabel="place in the line", ylabel="line in the batch")

# %%
# A line should mean the same alone and in a batch. Give each number a vector, and take the mean:

vectors = nn.Embedding(len(known) + 1, 16)
alone, careless = vectors(texts[0]).mean(0), vectors(ids).mean(1)[0]
careful = (vectors(ids) * mask[..., None]).sum(1)[0] / lengths[0]
same = [torch.allclose(mean, alone, atol=1e-6) for mean in (careless, careful)]
print("the same mean: careless", same[0], "with the mask", same[1])
assert same == [False, True] and torch.equal(mask.sum(1), lengths)

# %%
# The careless mean counts the filling, so longer lines have a say. The :term:`mask` takes it out.
#
# .. _workers-are-processes:
#
# Workers
# -------
# For a file of any length there is :class:`torch.utils.data.IterableDataset`: no indices, row after
# row. And with ``num_workers``, others read for you: threads, say older notes. This script counts.

script = """
import csv, itertools, os
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

class Rows(IterableDataset):
    def __init__(self, split):
        self.split, self.read = split, 0

    def __iter__(self):
        me = get_worker_info()
        share = (me.id, None, me.num_workers) if me and self.split else (0, None)
        with open("digits.csv", encoding="utf-8", newline="") as file:
            for row in itertools.islice(csv.DictReader(file), *share):
                self.read += 1
                yield row["file"], os.getpid(), round(torch.rand(1).item(), 2)

if __name__ == "__main__":
    for workers, split in ((0, False), (2, False), (2, True)):
        torch.manual_seed(0)
        rows = Rows(split)
        files, ids, numbers = zip(*DataLoader(rows, batch_size=None, num_workers=workers))
        print(workers, "workers:", len(files), "rows,", len(set(files)), "different | counted here",
              rows.read, "| processes", len({os.getpid(), *ids}), "| random", *numbers[:2])
"""

# %%
# It runs as a process of its own. So does a second script, of two lines.

import subprocess
import sys


def run(script):
    (folder / "rows.py").write_text(script, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "rows.py"], cwd=folder, capture_output=True, text=True
    )


said = run(script).stdout.splitlines()
print(*said, sep="\n")
bare = "import multiprocessing as m\nm.get_context('spawn').Process(target=print).start()"
print("bare:", *run(bare).stderr.split("RuntimeError:")[1].split()[:19])
assert (
    "counted here 1000 | processes 1 |" in said[0]
    and "here 0 | processes 3 |" in said[1]
)
assert (
    "2000 rows, 1000" in said[1] and said[1].replace("2000", "1000") == said[2]
)

# %%
# A :term:`worker <worker process>` is a process, with a copy of the data set: the count in ours is
# 0, and each reads *all* rows, until ``get_worker_info`` shares them out. Its random numbers follow
# from the generator of the loader. On Windows and macOS, and on Linux from Python 3.14, a worker
# imports your script first; without the ``__main__`` guard it would start more, as ``bare`` tries.
#
# A closer look
# -------------
# Not all files are as they should be. On a Chinese Windows, for instance, many are written in GBK:

gbk = datasets.write_csv(folder / "gbk.csv", n=2, encoding="gbk")
print("as UTF-8:  ", refused(lambda: gbk.read_text(encoding="utf-8")))
print("as Latin-1:", gbk.read_text(encoding="latin-1").splitlines()[1])
print("as GBK:    ", gbk.read_text(encoding="gbk").splitlines()[1])
few = datasets.write_image_folder(folder / "few", per_class=1)
(few / "3" / "0001.png").write_bytes(b"not a photo")
print(refused(lambda: datasets.load_csv(gbk, "label", encoding="utf-8")))
print(refused(lambda: datasets.load_csv(gbk, "digit")))
print(refused(lambda: datasets.load_image_folder(folder / "few")))
assert "Îå" in gbk.read_text(encoding="latin-1") and "五" in gbk.read_text(
    encoding="gbk"
)

# %%
# The error is the lucky case: Latin-1 reads any bytes, and gives garbage. On its own,
# :func:`handbook.datasets.load_csv` finds UTF-8 or GBK; errors name the file and the line.
#
# What you learned
# ----------------
# - Write ``__len__`` and ``__getitem__``; convert to ``float32`` there, and name the encoding.
# - Shuffle for training, with a ``generator`` of its own for an order that you can repeat.
# - Weigh examples, mask the filling, share a stream among workers, and guard what starts them.
# - Read what fits into memory once, for :class:`handbook.Batches`; keep the loader for the rest.
#
# Exercises
# ---------
# 1. **Predict.** The 200 images, in order, in batches of 64: how large is each batch, and which
#    images does ``drop_last=True`` leave out? What does a loader make of a class that has nothing
#    but ``__getitem__``, with ``sampler=[3, 5]``? And a table that Excel wrote as ``"utf-8-sig"``,
#    read as ``"utf-8"``: what is the name of its first column?
# 2. **Change.** Read all 200 images once, and walk through them with :class:`handbook.Batches`. Are
#    they the same, and how much faster is an epoch? When would you keep the loader?
# 3. **Extend.** The keywords of Python have 2 to 8 letters. Shuffle them, and make batches of five:
#    how much is filling? Write a *batch sampler* that puts words of similar length together.

# %%
# .. answer:: 1
#
#    64, 64, 64 and 8. Left out are the last eight, all of them nines: in an evaluation nobody looks
#    at them. (In training, shuffling leaves out others each time.) The class works, since someone
#    gave the indices. The name has an invisible character in front, a byte order mark; looking up
#    ``"file"`` fails.

sizes = [len(y) for _, y in DataLoader(images, batch_size=64)]
kept = sum(len(y) for _, y in DataLoader(images, batch_size=64, drop_last=True))
print(sizes, "left out:", [images[i][1] for i in range(kept, len(images))])


class Squares(Dataset):
    def __getitem__(self, i):
        return i**2


(batch,) = DataLoader(Squares(), batch_size=2, sampler=[3, 5])
marked = datasets.write_csv(folder / "marked.csv", encoding="utf-8-sig")
names = [
    marked.read_text(encoding=name).split(",")[0]
    for name in ("utf-8", "utf-8-sig")
]
print(batch, names)
assert sizes == [64, 64, 64, 8] and kept == 192 and batch.tolist() == [9, 25]
assert images[kept][1] == 9 and names == ["\ufefffile", "file"]

# %%
# .. answer:: 2
#
#    The same pixels, many times faster: no file is opened, and a batch is one index operation. More
#    is measured in :doc:`/benchmarks`. Keep the loader for data that memory does not hold, and
#    where each example is prepared in a new way each time, so that workers can share that load.

import time

memory = datasets.load_image_folder(root)
seconds = {}
for batches in (
    DataLoader(images, batch_size=50),
    Batches(*memory, batch_size=50),
):
    start = time.perf_counter()
    x = torch.cat([x for x, _ in batches])
    seconds[type(batches).__name__] = time.perf_counter() - start
    assert torch.equal(x, memory.x)
print("five times as fast:", 5 * seconds["Batches"] < seconds["DataLoader"])
assert 5 * seconds["Batches"] < seconds["DataLoader"]

# %%
# .. answer:: 3
#
#    Sorted by length, cut into fives, and the batches shuffled, not the words. What is lost is some
#    of the mixing: short words meet short words only.

import keyword

words = [torch.tensor([ord(c) for c in word]) for word in keyword.kwlist]
order = sorted(range(len(words)), key=lambda i: len(words[i]))
fives = [order[i : i + 5] for i in range(0, len(order), 5)]


def filling(loader):
    masks = [mask for _, _, mask in loader]
    return 1 - sum(mask.sum().item() for mask in masks) / sum(
        mask.numel() for mask in masks
    )


mixed = filling(
    DataLoader(words, batch_size=5, shuffle=True, collate_fn=collate)
)
by_length = [fives[i] for i in torch.randperm(len(fives)).tolist()]
alike = filling(DataLoader(words, batch_sampler=by_length, collate_fn=collate))
print(f"filling: {mixed:.0%} shuffled, {alike:.0%} by length")
assert alike < 0.1 < 0.15 < mixed

# %%
# Next
# ----
# :doc:`/lessons/networks/06_transforms`: what is done to an image on its way into the batch. The
# files of this page are deleted:

work.cleanup()
assert not folder.exists()
