"""
Profiling a training loop
=========================

Where does the time of a training loop go, and which part is worth making
faster?

We predict where the time goes, measure it, explain what we see, and change one
thing.

After this lesson you can

- say how much a faster part can gain at most
- find the slow part with :mod:`torch.profiler`
- compare two versions so that other programs disturb both alike
"""

# %%
# Setup
# -----
# On a busy computer, several threads wait for one another, and times vary a
# lot. So :func:`torch.set_num_threads` chooses one. For your own loop, keep the
# number you train with.

import statistics
import tempfile
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.profiler import profile, record_function
from torch.utils.data import DataLoader, default_collate
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from handbook import Batches, datasets

torch.manual_seed(0)
torch.set_num_threads(1)

# %%
# The most you can gain
# ---------------------
# A loop takes 10 seconds: 9 to load the data, and 1 to train with them. How
# much faster does the loop become if only one of the two parts becomes faster?
# ``share`` is the part's share of the time, and the part becomes ``factor``
# times as fast.


def speedup(share, factor):
    return 1 / (1 - share + share / factor)


print(f"training takes no time at all: {speedup(0.1, torch.inf):.2f}")
print(f"loading is 9 times as fast:    {speedup(0.9, 9):.2f}")
print(f"loading takes no time at all:  {speedup(0.9, torch.inf):.2f}")

# %%
# If training took no time, 9 of the 10 seconds would be left, so the loop would
# be 1.11 times as fast. This is *Amdahl's law*. If a part has the share
# :math:`s`, the loop becomes at most :math:`1 / (1 - s)` times as fast, the
# dashed lines in the figure.

# %%
# .. alt:: Speed of the whole loop over the speed of one part, from 1 to 100
#    times, both on logarithmic axes. With a share of 0.9 the curve rises to 9
#    below its dashed limit of 10, with 0.5 to almost 2, and with 0.1 it stays
#    flat at about 1.1.

# %%
# .. drawing::

factors = torch.logspace(0, 2, 100)
figure, axis = plt.subplots(figsize=(4.6, 3.2), layout="constrained")
for share, color in [(0.9, "#004488"), (0.5, "#EE7733"), (0.1, "#009988")]:
    axis.plot(factors, speedup(share, factors), color=color, label=share)
    axis.axhline(1 / (1 - share), color=color, ls="--", lw=1)
axis.set(xscale="log", yscale="log")
axis.set_xticks([1, 10, 100], ["1", "10", "100"])
axis.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
axis.yaxis.minorticks_off()
axis.set(xlabel="the part: times as fast", ylabel="the loop: times as fast")
axis.grid(alpha=0.4)
axis.legend(title="share of the part")

# %%
# .. check::

assert round(speedup(0.1, torch.inf), 2) == 1.11, "9 of 10 seconds are left"
assert abs(speedup(0.9, 9) - 5) < 1e-9, "2 of 10 seconds are left"
assert abs(speedup(0.9, torch.inf) - 10) < 1e-9, "1 of 10 seconds is left"
assert speedup(0.9, 100) < 1 / (1 - 0.9), "below the limit"

# %%
# On real data: a slow loop
# -------------------------
# 1,000 digits lie in a folder as PNG files, and ``ImageFolder`` opens a file
# each time its image is asked for (:doc:`/lessons/networks/06_transforms`).

work = tempfile.TemporaryDirectory()  # deleted at the end
root = datasets.write_image_folder(work.name + "/digits", per_class=100)
to_tensor = v2.Compose(
    [v2.Grayscale(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
)
data = ImageFolder(root, to_tensor)
loader = DataLoader(data, batch_size=100, shuffle=True)

model = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

# %%
# A :term:`confusion matrix` counts the answers, one after another:

confusion = torch.zeros(10, 10, dtype=torch.int64)


def count_one_by_one(y, answers):
    for digit, answer in zip(y, answers, strict=True):
        confusion[digit, answer] += 1


# %%
# In the loop, ``torch.profiler.record_function`` gives each part a name.


def epoch(batches, count):
    for x, y in batches:
        with record_function("forward"):
            scores = model(x)
            loss = nn.functional.cross_entropy(scores, y)
        with record_function("backward"):
            optimizer.zero_grad()
            loss.backward()
        with record_function("step"):
            optimizer.step()
        with record_function("count"):
            count(y, scores.argmax(dim=1))
        with record_function("item"):
            loss.item()  # for a progress bar, for example


# %%

epoch(loader, count_one_by_one)
print(confusion.sum().item(), "answers counted")

# %%
# **Predict.** Which part takes longest? Perhaps the one with the most
# arithmetic. ``FlopCounterMode`` counts *floating-point operations* (FLOPs) of
# matrix products and convolutions (:doc:`/lessons/autograd/06_jacobian`).

from torch.utils.flop_counter import FlopCounterMode

with FlopCounterMode(display=False) as counter:
    list(loader)
loading_flops = counter.get_total_flops()
with FlopCounterMode(display=False) as counter:
    epoch(loader, count_one_by_one)
epoch_flops = counter.get_total_flops()
print("loading:", loading_flops, " whole epoch:", epoch_flops)

# %%
# All of the 102,272,000 are in the network. (The counter leaves out smaller
# things: scaling the pixels takes 784,000, less than 1%.) So if arithmetic
# decides, forward and backward take longest.

# %%
# .. check::

assert confusion.sum() == 2000, "two epochs of 1,000 answers"
assert loading_flops == 0, "no matrix product in loading"
assert epoch_flops == 102_272_000, "all in the network"
assert epoch_flops > 100 * 784_000, "scaling is less than 1%"

# %%
# Measure: the profiler
# ---------------------
# :class:`torch.profiler.profile` notes when each operator begins and ends, and
# each named part. ``events()`` lists these calls one by one, and
# ``key_averages()`` has a row for each name. We put a name around everything,
# ``"epoch"``. The loader names its own part.

LOADING = "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"
parts = ["forward", "backward", "step", "count", "item"]


def profiled(batches, count):
    with profile() as profiler, record_function("epoch"):
        epoch(batches, count)
    return profiler


# %%
# Each part is called about once for each batch. We compare the medians of these
# calls, because a single one may be disturbed by another program.


def times_of(profiler, names):
    calls = {name: [] for name in names}
    for event in profiler.events():
        if event.name in calls:
            calls[event.name].append(event.cpu_time_total)
    return {name: statistics.median(row) for name, row in calls.items()}


profiler = profiled(loader, count_one_by_one)
times = times_of(profiler, [LOADING, *parts])
loading_share = times[LOADING] / sum(times.values())
print("longest:", max(times, key=times.get))
print("more than two thirds of the sum:", loading_share > 2 / 3)

# %%
# Our prediction was wrong: loading takes more than two thirds of the time. (To
# see the whole table, print
# ``profiler.key_averages().table(sort_by="cpu_time_total")``. And
# ``profiler.export_chrome_trace("trace.json")`` writes a timeline for
# `Perfetto <https://ui.perfetto.dev>`__.)
#
# **Explain.** To load an image, Python opens a file, decodes it, and calls one
# small operator after another, 1,000 times in each epoch. None of this is a
# matrix product.

# %%
# .. check::

assert max(times, key=times.get) == LOADING, "loading takes longest"
assert loading_share > 2 / 3, "more than two thirds"

# %%
# Change one thing
# ----------------
# All the images together take only 3 MB as tensors. So we load them once, and
# ``Batches`` takes 100 at a time with one indexing operation
# (:doc:`/lessons/networks/05_data`). By Amdahl's law, without a part of two
# thirds the loop is 3 times as fast. Loading has an even larger share, so we
# expect more. (This works because no step of ``to_tensor`` is random. The time
# for loading once, before the first epoch, is not counted.)
#
# If memory is too small, other processes can load (``num_workers``). The name
# of the row then contains ``_MultiProcessing``, and its time is only the
# waiting.

x = torch.stack([image for image, label in data])
y = torch.tensor(data.targets)
ready = Batches(x, y, batch_size=100, shuffle=True)
print(x.nbytes / 1e6, "MB")

profiler = profiled(ready, count_one_by_one)
times = times_of(profiler, parts)
print("longest:", max(times, key=times.get))
rows = {row.key: row for row in profiler.key_averages()}
print("calls of item:", rows["aten::item"].count)
print("matrix products:", rows["aten::addmm"].count + rows["aten::mm"].count)

# %%
# Now counting takes longest. The line ``confusion[digit, answer] += 1`` reads
# both numbers twice, once to get the entry and once to set it. That is 4 calls
# of ``item`` for each of the 1,000 answers, and it calls other operators as
# well. Each does almost nothing, but for every call PyTorch has to check the
# inputs and look up what to run. This time is called *overhead*. The network
# needs only 50 matrix products. (``aten`` is the library of PyTorch's
# operators. The 10 other calls read the loss.)
#
# The cure is one operator for the whole batch. A digit 3 with the answer 5 gets
# the number 35, and ``bincount`` counts how often each number occurs.


def count_at_once(y, answers):
    pairs = (10 * y + answers).bincount(minlength=100)
    confusion.add_(pairs.reshape(10, 10))


answers = model(x).argmax(dim=1)
confusion.zero_()
count_one_by_one(y, answers)
one_by_one = confusion.clone()
confusion.zero_()
count_at_once(y, answers)
same_table = torch.equal(confusion, one_by_one)
print("same table:", same_table)
quick = profiled(ready, count_at_once)
averages = quick.key_averages()
item_calls = [row.count for row in averages if row.key == "aten::item"]
print("calls of item:", item_calls)

# %%
# .. check::

assert round(x.nbytes / 1e6) == 3, "3 MB"
assert abs(speedup(2 / 3, torch.inf) - 3) < 1e-9, "the prediction"
assert max(times, key=times.get) == "count", "counting takes longest"
assert rows["aten::item"].count == 4010, "4 for each answer, 10 for the loss"
assert rows["aten::addmm"].count == 20, "two layers in ten batches"
assert rows["aten::mm"].count == 30, "and backward"
assert same_table, "the same table"
assert item_calls == [10], "only those of the loss"

# %%
# Measure the gain
# ----------------
# The profiler has to note each operator, which takes time, too, most in parts
# with many small ones, such as counting. So its shares are not those of a loop
# that runs without it. We take our prediction as a lower bound, and measure
# gains without the profiler. First we name the versions:

versions = {
    "as it was": (loader, count_one_by_one),
    "only counting": (loader, count_at_once),
    "only loading": (ready, count_one_by_one),
    "both": (ready, count_at_once),
}

# %%
# Other programs may slow our computer down for a while. So we take the versions
# in turn, each for one batch, and compare the medians. The order is random,
# because what ran just before may matter, too.

names = list(versions)
seconds = {name: [] for name in names}
for _ in range(71):
    for i in torch.randperm(len(names)).tolist():
        batches, count = versions[names[i]]
        start = time.perf_counter()
        batch = next(iter(batches))
        epoch([batch], count)
        seconds[names[i]].append(time.perf_counter() - start)

# %%
# What does each change gain, and what does the second gain if it comes first?

median = {name: statistics.median(row) for name, row in seconds.items()}
loading_gain = median["as it was"] / median["only loading"]
counting_gain = median["only loading"] / median["both"]
first_gain = median["as it was"] / median["only counting"]
print("loading, more than 3 times:         ", loading_gain > 3)
print("then counting, more than 1.25 times:", counting_gain > 1.25)
print("counting first gains less:          ", first_gain < counting_gain)

# %%
# Both changes help, and the first one helps more. In the loop as it was, the
# second change gains less. It saves the same work, but at that point counting
# has only a small share. So measure again after each change: what gains little
# now may gain much later.
#
# **What would not help.** People often advise against ``item()`` in the loop.
# What can we gain at most without it?

quick_times = times_of(quick, parts)
item_share = quick_times["item"] / sum(quick_times.values())
print("less than 1.05 times:", speedup(item_share, torch.inf) < 1.05)

# %%
# So we leave it. (The profiler makes so short a call look longer than it is, so
# the true gain is smaller still.) On a GPU the answer may differ, as the next
# section explains.

# %%
# .. check::

assert loading_gain > 3, "as predicted"
assert counting_gain > 1.25, "more than 1.25"
assert loading_gain > counting_gain, "the first one helps more"
assert first_gain < counting_gain, "it gains less if it comes first"
assert speedup(item_share, torch.inf) < 1.05, "almost nothing to gain"

# %%
# What goes wrong
# ---------------
# **A part without a name.** Suppose that we collect the batches ourselves,
# without a ``DataLoader``, and look for the longest part. (A function with
# ``yield`` is a *generator*. ``epoch`` gets one batch after another from it.)


def by_hand():
    for chosen in torch.randperm(1000).split(100):
        yield default_collate([data[i] for i in chosen.tolist()])


profiler = profiled(by_hand(), count_one_by_one)
times = times_of(profiler, parts)
print("longest:", max(times, key=times.get))

# %%
# Now it looks as if counting were the slow part. But we know that loading is.
# Opening and decoding files is not an operator of PyTorch, and it has no name
# here, so it has no row of its own.
#
# The name around the whole reveals it. Its *self* time is what no row inside it
# accounts for:

rows = {row.key: row for row in profiler.key_averages()}
unnamed = rows["epoch"].self_cpu_time_total / rows["epoch"].cpu_time_total
print("more than half of the epoch is in no other row:", unnamed > 0.5)

# %%
# Name more parts, until this share is small, before you change anything.
#
# **The clock does not wait for a GPU.** A call `returns before the GPU has
# finished <https://docs.pytorch.org/docs/stable/notes/cuda.html>`__, so a clock
# may show only how long it took to hand over the work. If
# ``torch.accelerator.is_available()``, call
# :func:`torch.accelerator.synchronize` before you read the clock, at the start
# and at the end. (:class:`torch.utils.benchmark.Timer`, which repeats one
# statement, does so by itself.) ``item()`` has to wait for its number, which is
# where that advice comes from. In the profiler, the GPU's time is in
# ``device_time_total``. This lesson was not run on a GPU.

# %%
# .. check::

assert max(times, key=times.get) == "count", "counting seems to be slow"
assert LOADING not in rows, "no row for loading"
assert unnamed > 0.5, "more than half is in no other row"

# %%
# Recipe
# ------
# Profile a few batches, not a whole training: every call is kept in memory.

import torch
from torch import nn
from torch.profiler import profile, record_function

net = nn.Linear(20, 1)
sgd = torch.optim.SGD(net.parameters(), lr=0.1)

with profile() as profiler, record_function("all"):  # a name around the whole
    for _ in range(20):
        with record_function("load"):
            inputs = torch.randn(64, 20)
            targets = inputs.sum(dim=1, keepdim=True)
        with record_function("train"):
            loss = nn.functional.mse_loss(net(inputs), targets)
            sgd.zero_grad()
            loss.backward()
            sgd.step()

# %%

averages = profiler.key_averages()
# print(averages.table(sort_by="cpu_time_total", row_limit=10))
rows = {row.key: row for row in averages}
totals = {name: rows[name].cpu_time_total for name in ["load", "train"]}
print("longest:", max(totals, key=totals.get))
unnamed = rows["all"].self_cpu_time_total / rows["all"].cpu_time_total
print("unnamed share below 0.5:", unnamed < 0.5)

# %%
# .. check::

assert max(totals, key=totals.get) == "train", "training takes longest"
assert unnamed < 0.5, "almost everything has a name"

# %%
# What you learned
# ----------------
# - If a part has the share s of the time, a faster part makes the whole at most
#   1 / (1 − s) times as fast.
# - Most arithmetic does not mean most time. Profile, then change the longest
#   part, and profile again.
# - Many small operators cost overhead. Use one for the whole batch, or none.
# - Measure the gain without the profiler, with the versions in turn.
# - Put a name around the whole loop, and look at its self time.
#
# Exercises
# ---------
# 1. **Predict.** An epoch takes 60 seconds: loading 20, forward 15, backward
#    20, the update 5. Which makes it faster, loading that takes no time, or
#    forward and backward that become twice as fast?
# 2. **Change.** Is the Python loop to blame? Write ``count_in_a_list``, which
#    turns ``y`` and ``answers`` into lists with ``tolist()`` first, and counts
#    in a list of 100 integers, still one by one.
# 3. **Extend.** Give the loading in ``by_hand`` a name, and profile it again.
#    Which part takes longest now?

# %%
# .. answer:: 1
#
#    If loading takes no time, 40 seconds are left, and the epoch is 1.5 times
#    as fast. With the other change, 42.5 seconds are left: 1.41 times.

without_loading = speedup(20 / 60, torch.inf)
faster_network = speedup(35 / 60, 2)
print(f"{without_loading:.2f} {faster_network:.2f}")

# %%
# .. check::

assert abs(without_loading - 60 / 40) < 1e-9, "40 seconds are left"
assert abs(faster_network - 60 / 42.5) < 1e-9, "42.5 seconds are left"

# %%
# .. answer:: 2
#
#    No. It counts more than 20 times as fast. The loop is the same, but it
#    calls no operator for a single number.

counts = 100 * [0]


def count_in_a_list(y, answers):
    for digit, answer in zip(y.tolist(), answers.tolist(), strict=True):
        counts[10 * digit + answer] += 1


count_in_a_list(y, answers)
list_table = list(counts)
one_times = []
list_times = []
for _ in range(15):
    start = time.perf_counter()
    count_one_by_one(y, answers)
    middle = time.perf_counter()
    count_in_a_list(y, answers)
    one_times.append(middle - start)
    list_times.append(time.perf_counter() - middle)
ratio = statistics.median(one_times) / statistics.median(list_times)
print("more than 20 times as fast:", ratio > 20)
averages = profiled(ready, count_in_a_list).key_averages()
list_calls = [row.count for row in averages if row.key == "aten::item"]
print("calls of item:", list_calls)

# %%
# .. check::

assert ratio > 20, "more than 20 times as fast"
assert list_calls == [10], "only those of the loss"
assert list_table == one_by_one.flatten().tolist(), "the same table"

# %%
# .. answer:: 3
#
#    Now the longest part is ``load``. The name ends before the ``yield``, so
#    that it does not include the training.


def by_hand_named():
    for chosen in torch.randperm(1000).split(100):
        with record_function("load"):
            batch = default_collate([data[i] for i in chosen.tolist()])
        yield batch


profiler = profiled(by_hand_named(), count_one_by_one)
named_times = times_of(profiler, ["load", *parts])
print("longest:", max(named_times, key=named_times.get))
work.cleanup()

# %%
# .. check::

assert max(named_times, key=named_times.get) == "load", "now it has a row"
