"""
Watching a run
==============

How do you see what happens in a training run, and not only how it ends?

A loss is one number, and a network has thousands. TensorBoard draws them while they change. Here a
run looks healthy by its loss, and is not. The page before is :doc:`/lessons/networks/08_save_load`.
"""

# %%
# .. _tensorboard-package:
#
# Setup
# -----
#
# TensorBoard is a package of its own, ``pip install tensorboard``; torch does not ask for it. Our
# files go into a temporary folder, yours will go into ``runs``.

import io
import itertools
import json
import tempfile
import warnings
from collections import Counter, OrderedDict
from importlib.metadata import requires
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.tensorboard import SummaryWriter

from handbook import Batches, classification_step, datasets, fit

torch.manual_seed(0)
place = tempfile.TemporaryDirectory()
runs = Path(place.name)
assert not any("tensorboard" in need for need in requires("torch"))

# %%
# The smallest one
# ----------------
#
# A writer takes a name, a number and a step. It collects before it writes, for up to two minutes by
# default, unless you ``flush`` or ``close`` it. An ``EventAccumulator`` reads the file back.


def read(run):
    everything = {
        "scalars": 0,
        "histograms": 0,
        "images": 0,
    }  # 0: keep all, do not sample
    return EventAccumulator(str(runs / run), size_guidance=everything).Reload()


writer = SummaryWriter(runs / "smallest")
writer.add_scalar("answer", 42, 0)
writer.close()
point = read("smallest").Scalars("answer")[0]
print(f"{point.value} at step {point.step}")
assert (point.value, point.step) == (42, 0)

# %%
# Training
# --------
#
# A :term:`multilayer perceptron` reads digits. How often is each hidden unit on, above zero?

digits, _ = datasets.mnist()
train = digits.x[:8000], digits.y[:8000]  # (8000, 1, 28, 28), (8000,)
val = digits.x[8000:], digits.y[8000:]


def new_model():
    torch.manual_seed(0)
    layers = OrderedDict(
        flatten=nn.Flatten(), first=nn.Linear(784, 64), relu1=nn.ReLU()
    )
    layers |= OrderedDict(
        second=nn.Linear(64, 64), relu2=nn.ReLU(), out=nn.Linear(64, 10)
    )
    return nn.Sequential(layers)


def how_often_on(model):
    x, rates = val[0], {}
    with torch.no_grad():
        for name, layer in model.named_children():
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                rates[name] = (x > 0).float().mean(0)  # (64,), from 0 to 1
    return rates, x  # and the logits, (2000, 10)


# %%
# The loss of each step is written by the step function, the rest by ``on_epoch_end``, for which
# :func:`handbook.fit` has a place. A ``/`` in a name makes groups; a folder keeps a run apart.


def train_and_write(name, lr, epochs=5):
    model, steps = new_model(), itertools.count()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    writer = SummaryWriter(runs / name)

    def step(model, x, y):
        loss, metrics = classification_step(model, x, y)
        if model.training:
            writer.add_scalar("step/loss", loss.item(), next(steps))
        return loss, metrics

    def on_epoch_end(row):
        for key in ("loss", "val_loss", "val_accuracy"):
            writer.add_scalar(f"epoch/{key}", row[key], row["epoch"])
        rates, logits = how_often_on(model)
        for layer, rate in rates.items():
            writer.add_histogram(
                f"on/{layer}", rate, row["epoch"], bins=torch.arange(21) / 20
            )
        losses = nn.functional.cross_entropy(
            logits, val[1], reduction="none"
        )  # (2000,)
        writer.add_images(
            "worst", val[0][losses.topk(16).indices], row["epoch"]
        )

    batches, asked = (
        Batches(*train, batch_size=50, shuffle=True),
        Batches(*val, batch_size=500),
    )
    fit(model, batches, step, optimizer=optimizer, val=asked, epochs=epochs, device="cpu",
        on_epoch_end=on_epoch_end)  # fmt: skip
    writer.close()
    return model


# %%
# Scalars
# -------
#
# One run takes ordinary steps, the other large ones. We draw from their files what the board would
# show. Its slider *Smoothing* takes an average in which older steps count less and less.
#
# .. alt:: Left, loss at each step of two runs: two noisy bands that fall and overlap; smoothed, the
#    large rate stays higher. Right, validation accuracy after each epoch: 0.94 against 0.9.

models = {
    name: train_and_write(name, lr)
    for name, lr in (("ordinary", 3e-3), ("large", 5e-2))
}
files, accuracy = {name: read(name) for name in models}, {}
fig, (left, right) = plt.subplots(
    1, 2, figsize=(7.4, 3.2), layout="constrained"
)
for color, (name, file) in zip(("C0", "C1"), files.items(), strict=True):
    noisy = [event.value for event in file.Scalars("step/loss")]
    smooth = list(
        itertools.accumulate(noisy, lambda old, new: 0.95 * old + 0.05 * new)
    )
    left.plot(noisy, color=color, alpha=0.25, linewidth=0.6)
    left.plot(smooth, color=color)
    points = file.Scalars("epoch/val_accuracy")
    accuracy[name] = points[-1].value
    right.plot(
        [p.step for p in points],
        [p.value for p in points],
        "o-",
        color=color,
        label=name,
    )
    print(
        f"{name:8} loss {smooth[100]:.2f} ... {smooth[-1]:.2f}, accuracy {accuracy[name]:.1%}"
    )
    assert smooth[-1] < 0.6 * smooth[100] and len(noisy) == 5 * 160
left.axhline(2.303, color="gray", linestyle=":")
left.set(
    xlabel="step", ylabel="training loss (dotted: guessing)", ylim=(0, 2.5)
)
right.set(xlabel="epoch", ylabel="validation accuracy", xticks=range(1, 6))
right.legend()
assert (
    accuracy["ordinary"] > 0.92
    and accuracy["large"] < accuracy["ordinary"] - 0.02
)

# %%
# Pale, the noise. Smoothed, both losses fall; the second run seems to need more epochs.
#
# Histograms
# ----------
#
# A histogram shows all units at once. On its left are those that are on for hardly any image.
#
# .. alt:: How often 64 units are on, a histogram for each of five epochs. Ordinary rate: spread
#    out. Large rate: from the first epoch on, most units pile up at zero.

fig, axes = plt.subplots(
    1, 2, figsize=(7.4, 3.2), sharey=True, layout="constrained"
)
never = {}
for color, ax, (name, file) in zip(
    ("C0", "C1"), axes, files.items(), strict=True
):
    for event in file.Histograms("on/relu1"):
        value = event.histogram_value
        centre = [limit - 0.025 for limit in value.bucket_limit]
        ax.bar(
            centre,
            [n / 64 for n in value.bucket],
            0.05,
            event.step,
            color=color,
        )
    ax.set(
        title=name,
        xlabel="share of images with the unit on",
        xlim=(0, 1),
        yticks=range(1, 6),
    )
    never[name] = (
        (how_often_on(models[name])[0]["relu1"] == 0).float().mean().item()
    )
    print(f"{name:8} never on: {never[name]:.0%} of the first layer")
axes[0].set_ylabel("epoch (height: share of units)")
assert never["large"] > 0.5 > 0.3 > never["ordinary"]

# %%
# Most of the layer is dead: large first steps threw these units below zero for every image, where
# ReLU has no gradient to pull them back. A smaller :term:`learning rate` spares most of them.
#
# Images
# ------
#
# What goes wrong? We also wrote the 16 digits with the greatest loss; the file holds a PNG.
#
# .. alt:: Sixteen handwritten digits in two rows; some of them are hard to read.

image = files["ordinary"].Images("worst")[-1]
pixels = plt.imread(
    io.BytesIO(image.encoded_image_string), format="png"
)  # (H, W, 3)
figure, ax = plt.subplots(figsize=(6.4, 1.9), layout="constrained")
ax.imshow(pixels)
ax.set(xticks=[], yticks=[], title=f"greatest loss after epoch {image.step}")
assert image.step == 5 and pixels.shape == (image.height, image.width, 3)

# %%
# The graph
# ---------
#
# ``add_graph`` draws a network on the board. It still works, but by way of something deprecated:

writer = SummaryWriter(runs / "ordinary")
try:
    with warnings.catch_warnings(action="error"):
        writer.add_graph(models["ordinary"], val[0][:1])
except FutureWarning as warning:
    print("FutureWarning:", warning)

# %%
# The board needs a list of nodes, each with a name, a kind and inputs. For models without ``if`` on
# their input, :func:`torch.fx.symbolic_trace` has it, without a warning. We write it ourselves:

graph, modules = GraphDef(), dict(models["ordinary"].named_modules())
for node in torch.fx.symbolic_trace(models["ordinary"]).graph.nodes:
    kind = (
        type(modules[node.target]).__name__
        if node.op == "call_module"
        else node.op
    )
    graph.node.add(
        name=node.name,
        op=kind,
        input=[given.name for given in node.all_input_nodes],
    )
writer.file_writer.add_event(Event(graph_def=graph.SerializeToString()))
writer.close()
nodes = read("ordinary").Graph().node
print(" -> ".join(f"{node.name} ({node.op})" for node in nodes))
assert len(nodes) == 2 + len(models["ordinary"])

# %%
# Where the time goes
# -------------------
#
# The profiler notes when each operator starts and how long it takes; ``record_function`` adds names
# of your own. The first steps are slower than the rest, so three of them run before it.


def steps(model, n):
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for x, y in itertools.islice(Batches(*train, batch_size=1000), n):
        with record_function("forward"):
            loss, _ = classification_step(model, x, y)
        optimizer.zero_grad()
        with record_function("backward"):
            loss.backward()
        with record_function("step"):
            optimizer.step()


model = new_model()
steps(model, 3)
with profile(activities=[ProfilerActivity.CPU]) as profiler:
    steps(model, 5)
profiler.export_chrome_trace(str(runs / "trace.json"))
trace = json.loads((runs / "trace.json").read_text())["traceEvents"]
calls = sorted(
    (e for e in trace if e.get("cat") == "cpu_op"),
    key=lambda e: (e["ts"], -e["dur"]),
)

# %%
# Operators call operators. Here the calls stand in order: the deeper a call is nested, the taller
# its bar. The time of each operator is summed up, without that of the operators it calls.
#
# .. alt:: The operators of one training step, in order: fewest in forward, most in step.

fig, ax = plt.subplots(figsize=(7.4, 2.4), layout="constrained")
colors, counts, bars = (
    {"forward": "C0", "backward": "C1", "step": "C2"},
    Counter(),
    [],
)
named = [
    event for event in trace if event.get("name") in colors and "dur" in event
]
own, running = Counter(), []
for order, event in enumerate(calls):
    while running and event["ts"] >= running[-1]["ts"] + running[-1]["dur"]:
        running.pop()
    own[event["name"]] += event["dur"]  # microseconds
    if running:
        own[running[-1]["name"]] -= event["dur"]
    running.append(event)
    for phase in named:
        if 0 <= event["ts"] - phase["ts"] < phase["dur"]:
            counts[phase["name"]] += 1
            bars.append((order, len(running), colors[phase["name"]]))
orders, depths, hues = zip(*bars, strict=True)
ax.bar(orders, depths, 1, color=hues)
ax.set(
    xlabel="calls: forward, backward, step",
    ylabel="depth",
    xlim=(0, len(calls) / 5),
)
print(
    "calls in one step:", {name: count // 5 for name, count in counts.items()}
)
print("most time:", sorted(name for name, _ in own.most_common(2)))
assert (
    counts["forward"] < counts["backward"] < counts["step"]
    and own["aten::addmm"] > 0
)

# %%
# Open the board
# --------------
#
# In a terminal, ``tensorboard --logdir runs``, then open the address that it prints, such as
# ``http://localhost:6006``: runs to switch on and off, and a page for each kind of what we wrote.
# The trace, ``trace.json``, opens at ``https://ui.perfetto.dev``: PyTorch's developers `removed
# <https://github.com/pytorch/kineto/pull/1374>`__ the plug-in for the board in 2026.
#
# What you learned
# ----------------
#
# - Write into one folder for each run, and ``close`` the writer.
# - Smooth a loss of single steps before you believe it.
# - Look at histograms of what layers put out: dead units hide behind a falling loss.
# - Profile after a few steps, and count for each operator only its own time.
#
# Exercises
# ---------
#
# 1. **Predict.** You write 1 at step 0, 2 at step 0 and 3 at step 5, each under the name ``"a"``.
#    How many points does the file hold?
# 2. **Change.** Write two runs into the same folder. What does the curve of ``step/loss`` look
#    like?
# 3. **Extend.** Let ``on_epoch_end`` end a run as soon as half of a layer is dead. (Return True to
#    stop.)

# %%
# .. answer:: 1
#
#    Three. A writer appends, it does not replace; the board draws two points above step 0.

writer = SummaryWriter(runs / "three")
for value, at in ((1, 0), (2, 0), (3, 5)):
    writer.add_scalar("a", value, at)
writer.close()
points = [(point.step, point.value) for point in read("three").Scalars("a")]
print(points)
assert points == [(0, 1), (0, 2), (5, 3)]

# %%
# .. answer:: 2
#
#    Both runs count from step 0: the line goes to the end, jumps back to the start and goes
#    there once more. Give each run its own folder.

for lr in (3e-3, 5e-2):
    train_and_write("both", lr, epochs=1)
at = [point.step for point in read("both").Scalars("step/loss")]
print(
    len(at),
    "points, back to the start:",
    sum(b < a for a, b in itertools.pairwise(at)),
    "time",
)
assert len(at) == 2 * 160 and max(at) == 159

# %%
# .. answer:: 3
#
#    With the large rate it ends after the first epoch. In the end the temporary folder goes.


def half_is_dead(row):
    rates, _ = how_often_on(model)
    return any((rate == 0).float().mean() > 0.5 for rate in rates.values())


model = new_model()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-2)
batches = Batches(*train, batch_size=50, shuffle=True)
rows = fit(model, batches, classification_step, optimizer=optimizer, epochs=5, device="cpu",
           on_epoch_end=half_is_dead)  # fmt: skip
print("ended after epoch", len(rows))
place.cleanup()
assert len(rows) < 5 and not runs.exists()

# %%
# Next
# ----
#
# :doc:`/lessons/practice/03_mnist`: everything so far, put to work on one task.
