"""
torch.export and dynamic shapes
===============================

When you export a network with one example, what does it keep of the example
for good?

``torch.export`` goes through the code of a network once, guided by an example,
and writes down the operations. Later inputs may have another size, or need the
other branch of an ``if``. A number in the module may change, or the network may
still have been in training mode. Some of these cases fail loudly, and some
silently give wrong results.

After this lesson you can

- read the graph of an exported program, and find what was frozen
- say which sizes may vary, and keep both sides of an ``if`` with ``torch.cond``
- test an export for the mistakes that no error reports
"""

# %%
# Setup
# -----

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.export import Dim, export

from handbook import Batches, classification_step, datasets, fit

torch.manual_seed(0)

# %%
# One run, written down
# ---------------------
# In :doc:`/lessons/project/04_ship`, :mod:`torch.export` put a network into one
# file that runs without its class. Here we look inside. This module doubles its
# numbers. If it gets more than four rows, it first subtracts the mean of each
# column. We export it with three rows:


class Center(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = 2.0

    def forward(self, x):
        if x.shape[0] > 4:
            x = x - x.mean(dim=0)
        return self.factor * x


center = Center()
three = torch.arange(6.0).reshape(3, 2)
program = export(center, (three,))
print(program.graph_module.code.strip())

# %%
# This is the graph of the exported program, as Python code. Names that begin
# with ``torch.ops.aten`` are PyTorch's own operators, and ``x = None`` lets go
# of a tensor that is no longer needed. There is a single multiplication. The
# ``if`` is gone, because three rows did not need it, and ``self.factor`` has
# become the number 2.0.
#
# ``module()`` makes a module that we can call. What happens with six rows? And
# what if we change the factor?

exported = program.module()
six = torch.arange(12.0).reshape(6, 2)
refused = ""
try:
    exported(six)
except AssertionError as error:
    refused = str(error)
print(refused)

center.factor = 10.0
print("original:", center(three)[1].tolist())
print("exported:", exported(three)[1].tolist())

# %%
# The size is checked at each call. Such a check is called a *guard*. The number
# has none, so the exported module goes on with 2, and says nothing. If a number
# has to change later, make it a tensor that is passed in, or a :term:`buffer`
# that is changed in place, as with ``fill_``.

# %%
# .. check::

assert "if" not in program.graph_module.code, "the if is gone"
assert "Tensor(x, 2.0)" in program.graph_module.code, "the number 2.0"
assert refused == "Guard failed: x.size()[0] == 3", "the size is checked"
assert center(three)[1].tolist() == [20, 30], "the original has 10"
assert exported(three)[1].tolist() == [4, 6], "the exported one has 2"

# %%
# Sizes that may vary
# -------------------
# ``Dim`` asks for a number of rows that may vary. But one graph without the
# ``if`` cannot be right for three rows and for six, so ``export`` refuses.
# (``dynamic_shapes`` has one entry for each argument of ``forward``, and 0 is
# the dimension.)

center.factor = 2.0
refused_size = ""
try:
    export(center, (three,), dynamic_shapes=({0: Dim("rows")},))
except RuntimeError as error:
    refused_size = str(error)
place = refused_size.index("Suggested fixes")
print(refused_size[place:].split("\n\n")[0])

# %%
# ``export`` has noticed that this graph is right for up to four rows, and
# suggests that we say so. ``Dim.AUTO`` finds the same limit, but only notes it
# in ``range_constraints`` of the program (which says from 2, although one row
# is accepted):

up_to_four = {0: Dim("rows", max=4)}
automatic = {0: Dim.AUTO}
programs = {"no Dim": program}
programs["max=4"] = export(center, (three,), dynamic_shapes=(up_to_four,))
programs["Dim.AUTO"] = export(center, (three,), dynamic_shapes=(automatic,))

# %%
# So give the dimension a name. Then you learn of a limit when you export,
# before a call fails.
#
# To accept any number of rows, the graph needs both branches.
# :func:`torch.cond` takes the condition, a function for each branch, and a
# tuple of the arguments of these functions. During the export, a varying
# ``x.shape[0]`` is a symbol for the number of rows. An ``if`` has to decide at
# once, by the three rows of the example, but ``torch.cond`` puts the condition
# into the graph. Neither function may return its argument itself, so ``keep``
# returns a ``clone``.


def subtract_mean(x):
    return x - x.mean(dim=0)


def keep(x):
    return x.clone()


class CenterAny(nn.Module):
    def forward(self, x):
        many = x.shape[0] > 4
        return 2.0 * torch.cond(many, subtract_mean, keep, (x,))


rows = {0: Dim("rows")}
both = export(CenterAny(), (three,), dynamic_shapes=(rows,))
print("equal:", torch.equal(both.module()(six), center(six)))

# %%
# Six rows give the result of ``center``. How many rows does each of our four
# programs accept?

programs["torch.cond"] = both
takes = {}
for name, each in programs.items():
    takes[name] = []
    for n in range(1, 9):
        try:
            each.module()(torch.ones(n, 2))
            takes[name].append(n)
        except AssertionError:
            pass
    print(f"{name:10}", takes[name])

# %%
# .. alt:: Four rows of eight squares, for one to eight rows of input. Without
#    Dim, only the square of three is filled. With max=4 and with Dim.AUTO, one
#    to four are filled, and with torch.cond all eight.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 2.1), layout="constrained")
for height, sizes in enumerate(takes.values()):
    axis.plot(range(1, 9), [height] * 8, "s", color="0.7", fillstyle="none")
    axis.plot(sizes, [height] * len(sizes), "s", color="tab:blue")
axis.set(xlabel="rows of the input", ylim=(3.5, -0.5))
axis.set_yticks(range(4), list(takes))
for spine in ["top", "right", "left"]:
    axis.spines[spine].set_visible(False)

# %%
# .. check::

assert "rows = Dim('rows', max=4)" in refused_size, "it suggests max=4"
assert torch.equal(both.module()(six), center(six)), "equal for six rows"
assert takes["no Dim"] == [3], "the size of the example only"
assert takes["max=4"] == [1, 2, 3, 4], "up to four"
assert takes["Dim.AUTO"] == [1, 2, 3, 4], "AUTO found the same"
assert takes["torch.cond"] == list(range(1, 9)), "all of them"

# %%
# A branch on a value
# -------------------
# Now suppose that the ``if`` looks at a value, ``x.max() > 4``. As in
# :doc:`/lessons/advanced/18_custom_operator`, the graph is made with fake
# tensors. They have sizes, but no values, so the ``if`` cannot be decided:


class CenterLarge(nn.Module):
    def forward(self, x):
        if x.max() > 4:
            x = x - x.mean(dim=0)
        return 2.0 * x


refused_value = ""
try:
    export(CenterLarge(), (three,))
except RuntimeError as error:
    refused_value = str(error)
print(refused_value.split(" expression")[0])

# %%
# (In a terminal, PyTorch also prints the graph up to this point.) Again,
# ``torch.cond`` keeps both branches:


class CenterLarge(nn.Module):
    def forward(self, x):
        large = x.max() > 4
        return 2.0 * torch.cond(large, subtract_mean, keep, (x,))  # new


exported = export(CenterLarge(), (three,)).module()
print(exported(three)[0].tolist(), exported(three / 2)[0].tolist())

# %%
# The maximum of ``three`` is 5, so the means of its columns, 2 and 3, are
# subtracted: 2 × (0 − 2) and 2 × (1 − 3). ``three / 2`` is only doubled.

# %%
# .. check::

assert "Could not guard on data-dependent" in refused_value, "no way to know"
assert exported(three)[0].tolist() == [-4, -4], "the mean is subtracted"
assert exported(three / 2)[0].tolist() == [0, 1], "only doubled"

# %%
# On real data
# ------------
# This network reads digits. It accepts pixels from 0 to 1, and also bytes,
# which it divides by 255. It tells them apart by their dtype:


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(), nn.Linear(400, 10),
        )  # fmt: skip

    def forward(self, x):  # (B, 1, 28, 28)
        if x.dtype == torch.uint8:
            x = x / 255
        return self.layers(x)


# %%
# We train five, to compare exports later.

train, test = datasets.mnist()
readers = []
for seed in range(5):
    torch.manual_seed(seed)
    reader = Reader()
    optimizer = torch.optim.AdamW(reader.parameters(), lr=0.003)
    batches = Batches(*train, batch_size=100, shuffle=True, seed=seed)
    fit(
        reader, batches, classification_step, optimizer=optimizer,
        epochs=2, device="cpu", progress=False,
    )  # fmt: skip
    readers.append(reader)

# %%
# The first one is exported in evaluation mode, with two images as the example:


def export_reader(reader, example):
    batch = {0: Dim("batch")}
    return export(reader, (example.clone(),), dynamic_shapes=(batch,))


reader = readers[0].eval()
program = export_reader(reader, test.x[:2])

# %%
# We save it. The file keeps the example, too. A slice is a view, and would be
# saved with all the memory behind it, 2,000 images, so we ``clone`` it. A new
# Python process, which imports only torch, then loads the file. It reads 1, 7
# and 100 images, saves the :term:`logits`, and prints what kind of module it
# got:

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
torch.export.save(program, folder / "reader.pt2")
torch.save(test.x[:100].clone(), folder / "images.pt")
code = (
    "import torch; "
    "reader = torch.export.load('reader.pt2').module(); "
    "x = torch.load('images.pt'); "
    "logits = [reader(x[:1]), reader(x[:7]), reader(x)]; "
    "torch.save(logits, 'logits.pt'); "
    "print(type(reader).__name__)"
)
command = [sys.executable, "-c", code]
said = subprocess.check_output(command, cwd=folder, text=True)
print(said.strip())

# %%
# A ``GraphModule`` is a module made from a graph, so the class ``Reader`` is
# not needed. Are its logits those of the original?

logits = torch.load(folder / "logits.pt")
temporary.cleanup()
gaps = []
for part in logits:
    n = len(part)
    gaps.append((part - reader(test.x[:n])).abs().max().item())
    print(f"{n:3} images: the same up to 1e-5: {gaps[-1] < 1e-5}")

# %%
# .. check::

assert said.split() == ["GraphModule"], "a module made from a graph"
assert max(gaps) < 1e-5, "the same logits"
assert [
    kept.untyped_storage().nbytes() for kept in program.example_inputs[0]
] == [2 * 784 * 4], "two images only"
assert test.x[:2].untyped_storage().nbytes() == 2000 * 784 * 4, "all images"

# %%
# What goes wrong
# ---------------
# **The size 1.** ``export`` takes for granted that a size which may vary is at
# least 2. So it decides an ``if`` that asks for 0 or 1, and sets no guard. Even
# ``min=2`` adds none, only ``min=3`` does. The first line is the original:


class CenterSome(nn.Module):
    def forward(self, x):
        if x.shape[0] > 1:
            x = x - x.mean(dim=0)
        return 2.0 * x


some = CenterSome()
found = [some(three[:1])[0].tolist()]
for dim in [Dim("rows"), Dim("rows", min=2), Dim("rows", min=3)]:
    shapes = ({0: dim},)
    exported = export(some, (three,), dynamic_shapes=shapes).module()
    try:
        found.append(exported(three[:1])[0].tolist())
    except AssertionError as error:
        found.append(str(error))
print(*found, sep="\n")

# %%
# So compare a single row with the original. ``torch.cond`` helps here, too:


class CenterSome(nn.Module):
    def forward(self, x):
        several = x.shape[0] > 1
        return 2.0 * torch.cond(several, subtract_mean, keep, (x,))  # new


exported = export(CenterSome(), (three,), dynamic_shapes=(rows,)).module()
found.append(exported(three[:1])[0].tolist())
print(found[-1])

# %%
# **The mode.** Somebody forgets ``eval()`` after training, and the export
# raises no error. Do two calls with the same images give the same result?

reader.train()
with_eval = program.module()
without_eval = export_reader(reader, test.x[:2]).module()
once = without_eval(test.x)
print("with eval():", torch.equal(with_eval(test.x), with_eval(test.x)))
print("without eval():", torch.equal(without_eval(test.x), once))

complaint = ""
try:
    without_eval.eval()
except NotImplementedError as error:
    complaint = str(error)
print(complaint)

# %%
# In the second module, dropout is still at work. ``eval()`` comes too late,
# because the graph has only one mode. But we can look at its *nodes*, which are
# the inputs, the weights, the operators and the output:

for module in [with_eval, without_eval]:
    for node in module.graph.nodes:
        if "dropout" in node.name:
            print(node.target, node.args)

# %%
# The last argument says whether dropout is on.
#
# **The branch on the dtype.** If the example has bytes, the division by 255 is
# in the graph. The program divides pixels from 0 to 1, too, because no guard
# checks the dtype. What do the two mistakes cost? We test the five networks on
# 2,000 digits:

as_bytes = (255 * test.x).round().to(torch.uint8)
results = torch.zeros(5, 4)
for seed, reader in enumerate(readers):
    without_eval = export_reader(reader.train(), test.x[:2]).module()
    with_eval = export_reader(reader.eval(), test.x[:2]).module()
    divides = export_reader(reader, as_bytes[:2]).module()
    cases = [(with_eval, test.x), (without_eval, test.x)]
    cases += [(divides, as_bytes), (divides, test.x)]
    for i, case in enumerate(cases):
        module, x = case
        answers = module(x).argmax(dim=1)
        results[seed, i] = (answers == test.y).float().mean()

lost = results[:, 0] - results[:, 1]
print("each network lost some without eval():", (lost > 0).all().item())
print("on average 1 to 5 in 100:", 0.01 < lost.mean().item() < 0.05)

# %%
# Without ``eval()``, each network gets fewer digits right, on average a few in
# a hundred fewer. With bytes as the example and pixels from 0 to 1 as the
# input, the pixels are divided once too often, and one digit in ten is right,
# as many as by guessing.
#
# .. alt:: Share of right answers of five networks, exported in four ways. With
#    eval() and for bytes they lie above 95%, without eval() a little lower, and
#    for pixels from 0 to 1 in a program made for bytes at 10%.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3), layout="constrained")
for i in range(4):
    axis.plot([i] * 5, 100 * results[:, i], "o", alpha=0.6, color="tab:blue")
axis.axhline(10, linestyle="--", color="grey", label="guessing")
names = ["eval()", "no eval()", "bytes\n→ bytes", "bytes\n→ 0 to 1"]
axis.set_xticks(range(4), names)
axis.set(ylabel="right answers in %", ylim=(0, 103), xlim=(-0.5, 3.5))
axis.grid(axis="y", alpha=0.4)
axis.legend()

# %%
# So call ``eval()`` before you export, and before you call the program, compare
# the dtype with that of the example, which is in ``example_inputs``.

# %%
# .. check::

assert found[0] == [0, 2], "the original only doubles it"
assert found[1] == [0, 0], "the exported one does not"
assert found[2] == [0, 0], "min=2 adds no guard"
assert found[3] == "Guard failed: x.size()[0] >= 3", "min=3 adds one"
assert found[4] == [0, 2], "torch.cond only doubles it"
assert torch.equal(with_eval(test.x), with_eval(test.x)), "the same twice"
assert not torch.equal(without_eval(test.x), once), "dropout is at work"
assert "eval() is not supported" in complaint, "eval() comes too late"
assert (lost > 0).all(), "each network loses some"
assert 0.01 < lost.mean() < 0.05, "a few digits in a hundred"
assert results[:, 0].min() > 0.95, "above 95% with eval()"
assert results[:, 2].min() > 0.95, "above 95% for bytes"
assert results[:, 3].max() < 0.2, "one in ten, as by guessing"

# %%
# Recipe
# ------
# First export in evaluation mode, with a named dimension, and save and load:

import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.export import Dim, export

torch.manual_seed(0)
network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(), nn.Linear(8, 3))
network.eval()
example = torch.rand(2, 4)  # more than one, where the size may vary
batch = {0: Dim("batch")}
program = export(network, (example,), dynamic_shapes=(batch,))
with tempfile.TemporaryDirectory() as place:
    torch.export.save(program, Path(place) / "network.pt2")
    stored = torch.export.load(Path(place) / "network.pt2")
loaded = stored.module()

# %%
# Then come the checks, on inputs that are not the example:

x = torch.rand(5, 4)
args, kwargs = stored.example_inputs  # the example is in the file
if x.dtype != args[0].dtype:
    raise TypeError(f"{args[0].dtype} is needed, but this is {x.dtype}")
for n in [1, 5]:
    if not torch.allclose(loaded(x[:n]), network(x[:n]), atol=1e-6):
        raise RuntimeError(f"size {n}: not the same")
together = loaded(x)
if not torch.equal(loaded(x), together):
    raise RuntimeError("called twice: not the same")
if not torch.allclose(loaded(x[:1]), together[:1], atol=1e-6):
    raise RuntimeError("alone and in the batch: not the same")
new = torch.rand(1, 4)
print("a new example:", loaded(new).argmax(dim=1).item())

# %%
# .. check::

assert torch.allclose(loaded(x), network(x), atol=1e-6), "the same"
assert torch.equal(loaded(x), loaded(x)), "the same twice"
assert torch.allclose(loaded(x[:1]), together[:1], atol=1e-6), "alone"
assert args[0].equal(example), "the file has the example"

# %%
# What you learned
# ----------------
# - Ask of every export which size, branch, number and mode it has frozen.
# - A size fails loudly, because a guard checks it, except for a branch on the
#   sizes 0 and 1. ``export`` refuses a branch on a value. ``Dim`` says which
#   sizes may vary, and ``torch.cond`` keeps both branches.
# - A number of the module, a branch on the dtype and the mode are frozen
#   silently. Call ``eval()`` before you export.
# - Compare the loaded program with the original, at other sizes, among them 1,
#   and with the dtype that it will really get. Call it twice, and give it one
#   example alone and in a batch. The answer has to be the same each time.
#
# Exercises
# ---------
# 1. **Predict.** Export an ``nn.Linear(2, 1)``, and save the program. Then set
#    the bias of the original to 100. For an input of zeros, what does the
#    exported module return, and what the module loaded from the file? What does
#    that mean if you go on training?
# 2. **Change.** Export ``center`` with ``Dim("rows")``, and with six rows as
#    the example instead of three. What does ``export`` suggest now? And what
#    happens with one row as the example, for ``Dim("rows")`` and for
#    ``Dim.AUTO``?
# 3. **Extend.** Export ``nn.BatchNorm1d(2)`` without ``eval()``, with six rows,
#    and let their number vary. Call the exported module three times, once with
#    a single row. What has changed in it? And what does the original do with a
#    single row?

# %%
# .. answer:: 1
#
#    The exported module returns 100, because it shares its weights with the
#    original. The file still has the old bias. So if you go on training, the
#    exported module changes with it. Only the file stays the same.

layer = nn.Linear(2, 1)
zeros = torch.zeros(4, 2)
program = export(layer, (zeros,))
with tempfile.TemporaryDirectory() as place:
    torch.export.save(program, Path(place) / "layer.pt2")
    with torch.no_grad():
        layer.bias.fill_(100)
    loaded = torch.export.load(Path(place) / "layer.pt2").module()
shared = program.module()(zeros)[0].item()
saved = loaded(zeros)[0].item()
print(f"exported {shared:.2f}, file {saved:.2f}")

# %%
# .. check::

assert shared == 100, "the weights are shared"
assert abs(saved) < 1, "the file keeps the old bias"

# %%
# .. answer:: 2
#
#    Now the other branch is in the graph, and it suggests at least five rows.
#    With one row, ``export`` refuses ``Dim("rows")``, because it treats a size
#    of 1 as fixed. ``Dim.AUTO`` accepts it and freezes the size at 1, with no
#    more than a line in the log.

suggested_six = ""
try:
    export(center, (six,), dynamic_shapes=(rows,))
except RuntimeError as error:
    suggested_six = str(error)
place = suggested_six.index("Suggested fixes")
print(suggested_six[place:].split("\n\n")[0])

suggested_one = ""
try:
    export(center, (three[:1],), dynamic_shapes=(rows,))
except RuntimeError as error:
    suggested_one = str(error)
place = suggested_one.index("Suggested fixes")
print(suggested_one[place:].split("\n\n")[0])

# %%

frozen = ""
program = export(center, (three[:1],), dynamic_shapes=(automatic,))
try:
    program.module()(three)
except AssertionError as error:
    frozen = str(error)
print(frozen)

# %%
# .. check::

assert "rows = Dim('rows', min=5)" in suggested_six, "at least five"
assert "rows = 1" in suggested_one, "Dim is refused"
assert frozen == "Guard failed: x.size()[0] == 1", "AUTO froze the size"

# %%
# .. answer:: 3
#
#    The original refuses a single row, because a single value has no spread.
#    The check is an ``if`` on the size, and ``export`` takes for granted that a
#    varying size is at least 2, so no guard is left of it. The exported module
#    subtracts the row from itself, and returns zeros. Each call also moves its
#    running mean and raises its count of batches. The original shares these
#    buffers, so both change whenever one is used. Two calls with the same batch
#    still give the same result, so only an example that is alone shows the
#    mistake here.

norm = nn.BatchNorm1d(2)
program = export(norm, (six,), dynamic_shapes=(rows,))
exported = program.module()
alone = exported(three[:1])
twice = torch.equal(exported(six), exported(six))
print("twice the same:", twice)
print(f"alone: {alone.abs().max().item():.2f}")
count = exported.num_batches_tracked.item()
print("calls:", count, "running mean:", exported.running_mean)

complaint = ""
try:
    norm(three[:1])
except ValueError as error:
    complaint = str(error)
print(complaint)

# %%
# .. check::

assert "Expected more than 1 value" in complaint, "the original refuses"
assert alone.abs().max() < 1e-3, "the row minus itself"
assert twice, "the same twice"
assert count == 3, "it counts its calls"
assert exported.num_batches_tracked == norm.num_batches_tracked, "shared"
assert (exported.running_mean != 0).all(), "it moves the running mean"

# %%
# .. earlier::
#
#    ``torch.jit.trace`` is deprecated (:doc:`/errata`). It only warned about a
#    branch on a value, and froze it, where ``torch.export`` refuses.
#    ``move_exported_model_to_eval`` has moved from ``torch.ao.quantization`` to
#    the package torchao. If you have the network itself, export it again.
#
#    What comes next: besides ``Dim``, the reference of PyTorch 2.15 describes
#    ``ShapesSpec``, and recommends it for the future. It does not treat the
#    sizes 0 and 1 as special, so ``export`` refused the ``if`` of the first
#    ``CenterSome`` with it. It is still in ``torch.fx.experimental``.
