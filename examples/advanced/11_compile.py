"""
torch.compile and graph breaks
==============================

When does ``torch.compile`` really run compiled code, and when has it quietly
gone back to eager mode?

One line, ``torch.compile(model)``, can make a model faster. Where it cannot
compile something, it lets Python run that part as before, in *eager mode*, and
often says nothing about it. So we write a small tool that counts what happens
to each function.

After this lesson you can

- count the graphs that a function becomes, and how often they run
- say which calls make ``torch.compile`` compile once more
- notice when it has given up, and turn that into an error
"""

# %%
# Setup
# -----
# Compiled code is stored in a folder for later programs. An old result would
# make the first call look faster than it is. So we choose a new folder first,
# and delete it at the end of the page.

import os
import statistics
import tempfile
import time

cache = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache.name

import matplotlib.pyplot as plt
import torch
from torch import nn

from handbook import datasets

torch.manual_seed(0)

# %%
# One call, one graph
# -------------------
# At the first call, :func:`torch.compile` reads through the function without
# calculating, and writes down the operations on tensors as a
# :term:`computational graph`. It hands this graph to a *backend*, which returns
# something that can be called instead. A backend is an ordinary function, so we
# can write one. Ours only keeps a list of the graphs, and one of what happened.

graphs = []
events = []


def counting(graph, example_inputs):
    graphs.append(graph)
    events.append("compiled")

    def run(*inputs):
        events.append("ran")
        return graph(*inputs)

    return run


# %%
# Here is a function of three lines:


def line(x):
    doubled = 2 * x
    shifted = doubled + 1
    return shifted


compiled = torch.compile(line, backend=counting)
for _ in range(3):
    print(compiled(torch.tensor([1.0, 2.0, 3.0])).tolist())
print(events)
for node in graphs[0].graph.nodes:
    print(node.op, node.name)

# %%
# The function was compiled once, and its graph ran three times. Each line has
# the kind of a node and its name. Between the input (``l_x_`` is the local
# variable ``x``) and the output, there are two calculations. With each graph,
# ``torch.compile`` keeps conditions, the *guards*: ``x`` has three numbers, of
# type ``float32``, and so on. At each call it checks one graph after another,
# and runs the first one whose guards hold. If there is none, it makes another
# graph, which is a *recompilation*.

# %%
# .. check::

assert compiled(torch.tensor([1.0, 2.0, 3.0])).tolist() == [3, 5, 7], "line"
assert events[:4] == ["compiled"] + 3 * ["ran"], "one graph, three runs"
assert len(graphs) == 1, "compiled once"

# %%
# A letter for each call
# ----------------------
# To see this happen, we call a function several times and note a letter for
# each call: C if it compiled something, G if it only ran graphs that were
# there, and E if no graph ran at all, which here means eager mode.
# ``torch.compiler.reset()`` forgets what was compiled before.


def watch(function, inputs, **options):
    torch.compiler.reset()
    graphs.clear()
    compiled = torch.compile(function, backend=counting, **options)
    letters = ""
    for x in inputs:
        events.clear()
        compiled(x)
        if "compiled" in events:
            letters += "C"
        elif "ran" in events:
            letters += "G"
        else:
            letters += "E"
    return letters


# %%
# Now 12 lengths, from 2 to 13 numbers. How many graphs will they need?

twelve = [torch.ones(length) for length in range(2, 14)]
lengths = watch(line, twelve)
graphs_of_lengths = len(graphs)
print(lengths, "graphs:", graphs_of_lengths)

# %%
# They needed only two. The first graph is for length 2. When a second length
# came, ``torch.compile`` concluded that this number changes, and made a graph
# in which it may be any number from 2 on, a *dynamic shape*. (Lengths 0 and 1
# always get graphs of their own, because 0 is empty and 1 can be broadcast.) So
# a smaller last batch costs one recompilation, and not one for each size.

# %%
# .. check::

assert lengths == "CC" + 10 * "G", "the second length is the last to compile"
assert graphs_of_lengths == 2, "only two"

# %%
# Graph breaks
# ------------
# What if Python has to do something in the middle?


def talkative(x):
    doubled = 2 * x
    print("doubled")
    return doubled + 1


ones = 3 * [torch.ones(3)]
broken = watch(talkative, ones)
graphs_of_talkative = len(graphs)
print(broken, "graphs:", graphs_of_talkative)

# %%
# There are two graphs, one before the ``print`` and one after it, and Python
# prints in between. This is a *graph break*. The two parts can no longer be
# optimized together. ``item()`` (exercise 1), ``tolist()`` and an ``if`` about
# the values of a tensor break the graph, too. With ``fullgraph=True`` a break
# is an error, but ``item()``, and ``tolist()`` of integers, then become part of
# the graph. (Dynamo is the part of ``torch.compile`` that reads the function.)

refused = ""
try:
    watch(talkative, ones, fullgraph=True)
except RuntimeError as error:
    refused = str(error)
print(refused.splitlines()[1])

# %%
# .. check::

assert graphs_of_talkative == 2, "two graphs"
assert broken == "CGG", "compiled in the first call"
assert "print" in refused, "a break is an error"

# %%
# On real data
# ------------
# Now the default backend, ``inductor``. On a CPU it writes C++ code, so it
# needs a C++ compiler (see :doc:`/install`). We give 5,000 digits more contrast
# and standardize them (0.167 and 0.288 are the mean and the standard deviation
# after the contrast). That takes five operations. In eager mode, each of them
# reads all pixels from memory and writes all of them back.


def prepare(images):
    contrast = (6 * (images - 0.5)).sigmoid()
    return (contrast - 0.167) / 0.288


def median_times(eager, compiled, x):
    eager_times = []
    compiled_times = []
    for _ in range(50):  # in turn, so that both meet the same disturbances
        start = time.perf_counter()
        eager(x)
        middle = time.perf_counter()
        compiled(x)
        eager_times.append(middle - start)
        compiled_times.append(time.perf_counter() - middle)
    return statistics.median(eager_times), statistics.median(compiled_times)


# %%

train, test = datasets.mnist()
digits = train.x[:5000]
fast_prepare = torch.compile(prepare, fullgraph=True)
start = time.perf_counter()
prepared = fast_prepare(digits)
first_call = time.perf_counter() - start
same = torch.allclose(prepared, prepare(digits), atol=1e-5)
print("same numbers:", same)

eager_time, fast_time = median_times(prepare, fast_prepare, digits)
print("at least 1.5 times as fast:", eager_time > 1.5 * fast_time)
break_even = first_call / (eager_time - fast_time)
print("break-even after more than 100 calls:", break_even > 100)

# %%
# ``inductor`` `fuses
# <https://docs.pytorch.org/docs/stable/torch.compiler_get_started.html>`__ such
# operations into one loop, so the pixels are read once and written once. But
# the first call had to compile. Divide its time by what each later call saves,
# and you get the *break-even point*, the number of calls until it pays. Here it
# was more than 100. So leave the first call out when you measure a speed.
#
# Does it help a small network, too? We give it a batch of 1,000 digits.

torch.manual_seed(0)
model = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)
)
fast_model = torch.compile(model, fullgraph=True)
with torch.no_grad():
    batch = digits[:1000]
    scores = fast_model(batch)  # the first call
    same_scores = torch.allclose(scores, model(batch), atol=1e-4)
    model_time, fast_model_time = median_times(model, fast_model, batch)
print("same scores:", same_scores)
print("at least 1.5 times as fast:", model_time > 1.5 * fast_model_time)

# %%
# The scores agree except for rounding, but there is no such gain. For each
# image, the two matrix products take 784 × 256 + 256 × 10 = 203,264
# multiplications. Besides these, only the ReLU of the 256 hidden numbers could
# be fused with anything.

# %%
# .. check::

assert same, "the same numbers"
assert abs(prepared.mean()) < 0.01, "standardized: the mean is 0"
assert abs(prepared.std() - 1) < 0.01, "standardized: the deviation is 1"
assert eager_time > 1.5 * fast_time, "at least 1.5 times as fast"
assert break_even > 100, "more than 100 calls until it pays"
assert same_scores, "the same scores"
assert 784 * 256 + 256 * 10 == 203_264, "multiplications"
assert model_time < 1.5 * fast_model_time, "no such gain for the network"

# %%
# What goes wrong
# ---------------
# **A loop that may stop early.** This is the idea of the network in
# :doc:`/lessons/start/02_dynamic_graph`, which reads rows until it is sure:


def until_large(x):
    for _ in range(5):
        x = 2 * x
        if x.sum() > 100:
            break
    return x


inputs = 20 * [torch.ones(3)]
loop = watch(until_large, inputs)
print(loop, "graphs:", len(graphs))

# %%
# There is no graph at all. The ``if`` asks about values, so it breaks the
# graph, and ``torch.compile`` does not support a break inside a loop. It runs
# the whole of this function in eager mode, and reports nothing. (With the
# environment variable ``TORCH_LOGS="graph_breaks,recompiles"``, it would. If
# the loop calls another function of yours, that one is still compiled, and the
# letters are C and G, although the loop itself is eager.)
#
# **A counter in a module.** This one divides by the number of its calls:


class Shrinking(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x / self.calls


shrinking = Shrinking()
counter = watch(shrinking, inputs)
print(counter, "graphs:", len(graphs))

# %%
# .. check::

assert torch.equal(
    torch.compile(shrinking, backend=counting)(inputs[0]), inputs[0] / 21
), "right when eager"
assert shrinking.calls == 21, "one count for each call"
assert len(graphs) == 8, "no more graphs"

# %%
# An integer in a module counts as fixed, and there is a guard on it. So each
# call with a new value compiles again. After 8 graphs, the default of
# ``recompile_limit``, ``torch.compile`` gives up: new values run in eager mode.
# (All objects of a class share this limit.) In the terminal there is then one
# warning, *hit config.recompile_limit (8)*, with the guard that failed. The
# results stay right, so it is easily overlooked.
#
# The cure is to make the changing number a tensor, because guards look at the
# shape, type and layout of a tensor, and not at its values. (A plain tensor is
# not saved with the module. With ``register_buffer`` in ``__init__`` it would
# be.)


with_tensor_counter = Shrinking()
with_tensor_counter.calls = torch.tensor(0)
fixed = watch(with_tensor_counter, inputs)
graphs_of_fixed = len(graphs)
print(fixed, "graphs:", graphs_of_fixed)

# %%
# .. alt:: Four rows of 20 squares, one square for each call. Lengths: the first
#    two are dark (compiled), the rest light blue (graph runs again). Loop that
#    may stop early: all 20 are orange (eager). Integer counter: 8 dark, then 12
#    orange. Tensor counter: one dark, then 19 light blue.

# %%
# .. drawing::

rows = {
    "lengths": watch(line, [torch.ones(n) for n in range(2, 22)]),
    "loop that may stop early": loop,
    "integer counter": counter,
    "tensor counter": fixed,
}
colors = {"C": "#004488", "G": "#99CCEE", "E": "#EE7733"}
meanings = {"C": "compiles", "G": "runs a graph again", "E": "eager"}
figure, axis = plt.subplots(figsize=(5.6, 2.4), layout="constrained")
for height, letters in enumerate(rows.values()):
    for call, letter in enumerate(letters, start=1):
        axis.barh(height, 0.86, left=call - 0.43, color=colors[letter])
for letter, color in colors.items():
    axis.barh(0, 0, color=color, label=meanings[letter])
axis.set_yticks(range(4), list(rows))
axis.set(xlabel="call", xticks=[1, 5, 10, 15, 20])
axis.invert_yaxis()
figure.legend(loc="outside upper center", ncols=3)

# %%
# The figure shows the letters as colors, one row for each function. With
# ``fullgraph=True``, both mistakes become errors. (The second one is not a
# ``RuntimeError``, so we write ``except Exception``.)

stopped_at = []
for function in (until_large, Shrinking()):
    try:
        watch(function, inputs, fullgraph=True)
    except Exception as error:
        stopped_at.append(len(graphs))
        print(type(error).__name__, "after graphs:", len(graphs))

# %%
# For the counter, the error comes only after 8 graphs. To learn of the first
# recompilation, set the *stance* of the compiler after a warm-up call, with
# :func:`torch.compiler.set_stance`. (Alone, it is not enough, because a
# function that was given up before, such as ``until_large``, raises no error.)

torch.compiler.reset()
compiled = torch.compile(Shrinking(), backend=counting)
compiled(torch.ones(3))
reason = ""
try:
    with torch.compiler.set_stance("fail_on_recompile"):
        compiled(torch.ones(3))
except RuntimeError as error:
    reason = str(error)
for text in reason.splitlines():
    if "- 0/0" in text:  # the guard of the first graph
        print(text.split("#")[0].strip())

# %%
# .. check::

assert loop == 20 * "E", "no graph at all"
assert counter == 8 * "C" + 12 * "E", "8 graphs, then eager"
assert fixed == "C" + 19 * "G", "compiled once with a tensor"
assert graphs_of_fixed == 1, "one graph with a tensor"
assert with_tensor_counter.calls == 20, "the tensor counts"
assert "calls" not in with_tensor_counter.state_dict(), "not saved"
assert stopped_at == [0, 8], "at once, and after 8 graphs"
assert "self.calls == 0" in reason, "the stance names the guard"
assert watch(until_large, inputs) == loop, "given up again"
assert torch.compiler.set_stance("fail_on_recompile")(
    torch.compile(until_large, backend=counting)
)(torch.ones(3)).tolist() == 3 * [32], "no error after giving up"

# %%
# Recipe
# ------

import torch
from torch import nn

model = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 1)).eval()
fast = torch.compile(model, fullgraph=True)  # a graph break is an error

agree = []
with torch.no_grad():
    for size in (64, 17, 1):  # warm up: two sizes, and a single example
        fast(torch.randn(size, 20))
    with torch.compiler.set_stance("fail_on_recompile"):
        for size in (32, 5, 1):
            x = torch.randn(size, 20)
            agree.append(torch.allclose(fast(x), model(x), atol=1e-5))
print(agree)

# %%
# Warm up under the same conditions as later, because gradients on or off is a
# guard, too, and so is ``train()`` or ``eval()`` if a layer such as ``Dropout``
# uses it. Save ``model.state_dict()``, not ``fast.state_dict()``, whose names
# begin with ``_orig_mod.``.

# %%
# .. check::

assert agree == [True, True, True], "compiled and eager agree"
assert "_orig_mod.0.weight" in fast.state_dict(), "the names of fast"

# %%
# What you learned
# ----------------
# - ``torch.compile`` turns a call into graphs, and guards decide whether a
#   later call may use them.
# - What it cannot compile runs in eager mode, often in silence, or with one
#   warning. Count, or use both ``fullgraph=True`` and ``fail_on_recompile``.
# - Sizes become dynamic after the second one. A changing integer in a module
#   recompiles until the limit of 8.
# - On our CPU, operations that could be fused became faster. A small network of
#   matrix products had no such gain. The first call must be won back.
#
# Exercises
# ---------
# 1. **Predict.** A function computes ``y = 2 * x`` and returns
#    ``y * y.sum().item()``. How many graphs are there? And with
#    ``y * y.sum()``?
# 2. **Change.** Watch ``line`` with ``twelve`` again, with ``dynamic=True``,
#    and with ``dynamic=False``. Then let the counter of ``Shrinking`` begin
#    with ``0.0``.
# 3. **Extend.** Write ``until_large`` so that it becomes one graph, with the
#    same results. (``torch.where`` chooses without an ``if``.)

# %%
# .. answer:: 1
#
#    Two with ``item()``, because the number leaves the graph, and one without.
#    (With ``fullgraph=True``, ``item()`` stays in the graph, and there is one.)


def with_item(x):
    y = 2 * x
    return y * y.sum().item()


def with_tensor(x):
    y = 2 * x
    return y * y.sum()


watch(with_item, ones)
graphs_with_item = len(graphs)
watch(with_tensor, ones)
graphs_with_tensor = len(graphs)
print(graphs_with_item, graphs_with_tensor)

# %%
# .. check::

assert graphs_with_item == 2, "two with item()"
assert graphs_with_tensor == 1, "one without"
assert watch(with_item, ones, fullgraph=True) == "CGG", "item() is no error"
assert len(graphs) == 1, "with fullgraph=True, item() stays in the graph"

# %%
# .. answer:: 2
#
#    With ``dynamic=True`` there is one graph for all lengths. With
#    ``dynamic=False`` each length compiles until the limit of 8, and then it is
#    eager. A ``float`` in a module becomes dynamic at its second value, unlike
#    an integer.


class ShrinkingFloat(Shrinking):
    def __init__(self):
        super().__init__()
        self.calls = 0.0


always = watch(line, twelve, dynamic=True)
never = watch(line, twelve, dynamic=False)
with_float = watch(ShrinkingFloat(), inputs)
print(always, never, with_float)

# %%
# .. check::

assert always == "C" + 11 * "G", "one graph for all"
assert never == 8 * "C" + 4 * "E", "the limit"
assert with_float == "CC" + 18 * "G", "a float becomes dynamic"

# %%
# .. answer:: 3
#
#    All five rounds are computed, but after the first, doubling happens only
#    while the sum is small enough. That is more work, in one graph.


def until_large_in_one(x):
    x = 2 * x
    for _ in range(4):
        x = torch.where(x.sum() > 100, x, 2 * x)
    return x


in_one = watch(until_large_in_one, inputs, fullgraph=True)
agree = []
for start_value in (1.0, 5.0, 20.0, 60.0):
    x = torch.full((3,), start_value)
    agree.append(torch.equal(until_large_in_one(x), until_large(x)))
print(in_one, agree)
cache.cleanup()

# %%
# .. check::

assert in_one == "C" + 19 * "G", "one graph"
assert agree == 4 * [True], "the same results"
