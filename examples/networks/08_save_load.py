"""
Saving and loading
==================

How do I keep a model, so that it comes back exactly as it was?

What a program has learned is gone when it ends, unless a file holds it. A file that holds most of it
often loads as well, and in silence. So here parts are left out, one at a time, until nothing is
missing. The page before is :doc:`/lessons/networks/07_training_loop`.
"""

# %%
# Setup
# -----

import copy
import json
import os
import pickle
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from handbook import (
    Batches,
    classification_step,
    datasets,
    fit,
    load_checkpoint,
)

torch.manual_seed(0)
temporary = tempfile.TemporaryDirectory()  # removed at the end, with all files
folder = Path(temporary.name)
digits, _ = datasets.mnist()
x, val_x = (
    digits.x[:8000],
    digits.x[8000:],
)  # 8,000 to learn from, 2,000 to compare on
y, val_y = digits.y[:8000], digits.y[8000:]

# %%
# Model
# -----
#
# A run is a network, here with batch normalization and :term:`dropout`, an :term:`optimizer`, and a
# :term:`schedule <learning-rate schedule>` that lowers the :term:`learning rate` with each step.

batches = Batches(x, y, batch_size=200, shuffle=True)  # 40 batches


def new_run():
    torch.manual_seed(0)
    hidden = nn.Linear(784, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3)
    model = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)
    scheduler = torch.optim.lr_scheduler.LinearLR(
        optimizer, 1.0, 0.01, total_iters=6 * 40
    )
    return model, optimizer, scheduler


# %%
# It is trained by the loop of the page before, for three epochs.


def train(model, optimizer, scheduler, epochs):
    curve = []
    model.train()
    for epoch in epochs:
        batches.set_epoch(epoch)  # decides the order
        for images, labels in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            curve.append(loss.item())
    return curve


def accuracy(model):
    with torch.no_grad():
        return (model.eval()(val_x).argmax(1) == val_y).float().mean().item()


model, *rest = new_run()
train(model, *rest, epochs=range(1, 4))
right = accuracy(model)
print(f"accuracy {right:.1%}")

# %%
# .. _state-dict-holds-buffers:
#
# What a state dict holds
# -----------------------
#
# The learned parameters: so it is often said. Save those, and load them into a new network:

torch.save(dict(model.named_parameters()), folder / "parameters.pt")
fresh = new_run()[0]
try:
    fresh.load_state_dict(torch.load(folder / "parameters.pt"))
except RuntimeError as error:
    print(error)
fresh.load_state_dict(torch.load(folder / "parameters.pt"), strict=False)
without = accuracy(fresh)
print(f"accuracy with strict=False {without:.1%}")
assert without < right - 0.05

# %%
# ``strict=False`` made the error go away, not the mistake. Batch normalization also keeps the mean
# and the variance that it saw in training. No gradient moves them, so they are not parameters but
# :term:`buffers <buffer>`. A :term:`state dict` holds both:

parameters = dict(model.named_parameters())
for name, tensor in model.state_dict().items():
    print(
        f"{name:22} {'parameter' if name in parameters else 'buffer':10} {tuple(tensor.shape)}"
    )
torch.save(model.state_dict(), folder / "model.pt")
fresh.load_state_dict(torch.load(folder / "model.pt"))
assert torch.equal(fresh.eval()(val_x), model.eval()(val_x))

# %%
# Every output is the same, bit for bit. The file holds numbers under names. The code that builds
# the network is not in it: keep that, too.
#
# .. _whole-model-pickles:
#
# A file that runs code
# ---------------------
#
# Why not ``torch.save(model)``? Older notes do so, and load it again with ``torch.load``:

torch.save(model, folder / "whole.pt")
try:
    torch.load(folder / "whole.pt")
except pickle.UnpicklingError as error:
    print(str(error).split("WeightsUnpickler error: ")[1].split(". Please")[0])

# %%
# Every file that ``torch.save`` writes holds a *pickle*, Python's way to write almost any object.
# It can name any function, and loading *calls* it. What differs is what the loader allows. Since
# PyTorch 2.6 ``weights_only=True`` is the default, and all but a few classes and functions are
# refused. A state dict needs only these few, a whole model needs more. This pickle makes a folder;
# it could as well delete yours.


class Trap:
    def __reduce__(self):
        return os.mkdir, (str(folder / "it ran"),)


torch.save({"weight": torch.ones(2), "more": Trap()}, folder / "found.pt")
try:
    torch.load(folder / "found.pt")
except pickle.UnpicklingError as error:
    print(
        type(error).__name__,
        "- the folder is there:",
        (folder / "it ran").exists(),
    )
torch.load(folder / "found.pt", weights_only=False)
print("weights_only=False - the folder is there:", (folder / "it ran").exists())
assert (folder / "it ran").exists()

# %%
# So keep ``weights_only=False`` for files that you wrote yourself. A format without room for code
# is *safetensors*: names, dtypes and shapes in JSON, then the numbers.

again, file = new_run()[0], folder / "model.safetensors"
save_file(model.state_dict(), file)
content = file.read_bytes()
print(
    json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["5.bias"]
)
again.load_state_dict(load_file(file))
assert torch.equal(again.eval()(val_x), model.eval()(val_x))

# %%
# .. _strict-false-hides:
#
# Into a changed model
# --------------------
#
# Now the network is to tell 7s from all other digits: two outputs instead of ten.

changed, saved = new_run()[0], torch.load(folder / "model.pt")
changed[5] = nn.Linear(64, 2)
try:
    changed.load_state_dict(saved, strict=False)
except RuntimeError as error:
    print(error)
body = {name: tensor for name, tensor in saved.items() if name[:2] != "5."}
print(changed.load_state_dict(body, strict=False))

# %%
# A wrong shape is refused even so. Leave these tensors out, and read what comes back: missing are
# the two you meant, and nothing was left over. Now do not read it, and let the names begin
# differently, as they do when they are saved from ``DistributedDataParallel``:

wrapped = {"module." + name: tensor for name, tensor in saved.items()}
stranger = new_run()[0]
report = stranger.load_state_dict(wrapped, strict=False)
nothing = accuracy(stranger)
print(
    f"{len(report.unexpected_keys)} of {len(saved)} left over, accuracy {nothing:.1%}"
)
assert nothing < 0.3 and len(report.unexpected_keys) == len(saved)

# %%
# Not one tensor was loaded, and nothing complained.
#
# Another device
# --------------
#
# A file remembers the :term:`device` of each tensor, and loading puts it back there, or fails where
# there is no such device. With ``map_location="cpu"`` it can be read anywhere; ``load_state_dict``
# copies the numbers to where the model is. Here ``"meta"``, which has only shapes, is the other.

meta, cpu = (
    torch.load(folder / "model.pt", map_location=device)
    for device in ("meta", "cpu")
)
print(meta["5.bias"].device, cpu["5.bias"].device)
assert meta["5.bias"].is_meta and torch.equal(cpu["5.bias"], model[5].bias)

# %%
# Going on
# --------
#
# Three epochs are done, three are to come. Are the weights enough to go on? We stop a run, keep all
# it depends on (on an accelerator that has its own random numbers, these too), and go on with
# everything, with one part forgotten, or with weights alone.

whole = new_run()
curve = train(*whole, epochs=range(1, 7))
stopped, parts = new_run(), ("model", "optimizer", "scheduler")
before = train(*stopped, epochs=range(1, 4))
state = {
    name: part.state_dict() for name, part in zip(parts, stopped, strict=True)
}
torch.save(
    state | {"epoch": 3, "random": torch.get_rng_state()}, folder / "run.pt"
)


def resume(forgotten):
    state = torch.load(folder / "run.pt")
    run = new_run()
    for name, part in zip(parts, run, strict=True):
        if name not in forgotten:
            part.load_state_dict(state[name])
    if "random" not in forgotten:
        torch.set_rng_state(state["random"])
    done = 0 if "epoch" in forgotten else state["epoch"]
    return run[0], train(*run, epochs=range(done + 1, done + 4))


# %%
# .. alt:: Training loss from step 40 to 240. The run resumed with everything lies on the one never
#    stopped. The one resumed with its weights alone rises after step 120, and comes back later.

after, apart = {}, {}
rest = ["optimizer", "scheduler", "epoch", "random"]
for forgotten in (
    [],
    ["optimizer"],
    ["scheduler"],
    ["epoch"],
    ["random"],
    rest,
):
    name = " ".join(forgotten) or "nothing"
    model, after[name] = resume(forgotten)
    pairs = list(zip(whole[0].parameters(), model.parameters(), strict=True))
    apart[name] = max((a - b).abs().max().item() for a, b in pairs)
    print(f"forgotten: {name:31} weights differ by up to {apart[name]:.2f}")
assert (
    apart.pop("nothing") == 0
    and after["nothing"] == curve[120:]
    and min(apart.values()) > 0.01
)

first = [
    sum(losses[:40]) / 40 for losses in (curve[120:], after[" ".join(rest)])
]
print(
    f"mean loss of epoch 4: {first[0]:.2f}, with weights alone {first[1]:.2f}"
)
assert first[1] > 1.15 * first[0]
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for name, losses, style, size in (
    ("never stopped", curve, "C7-", 5),
    ("resumed with everything", before + after["nothing"], "C0-", 1.5),
    ("resumed with weights alone", before + after[" ".join(rest)], "C1--", 1.5),
):
    mean = torch.tensor(losses).unfold(0, 9, 1).mean(1)
    ax.plot(range(4, 236), mean.tolist(), style, linewidth=size, label=name)
ax.axvline(120, color="gray", linestyle=":")
ax.set(
    xlabel="step",
    ylabel="training loss, mean of 9 steps",
    xlim=(40, 240),
    ylim=(0, 0.6),
)
ax.legend()

# %%
# Each wrong one went on without an error, and became another run: a learning rate that jumped back
# up, images in an old order, other units dropped. With everything, it is the same, bit for bit.
#
# A closer look
# -------------
#
# Given a file, :func:`handbook.fit` saves all this after each epoch. The same line again, with more
# epochs, goes on where the file ends. Is that the same run?


def with_fit(epochs):
    model, optimizer, scheduler = new_run()
    kept = {
        "optimizer": optimizer,
        "scheduler": scheduler,
        "scheduler_interval": "batch",
        "checkpoint": folder / "fit.pt",
    }
    return model, fit(
        model, batches, classification_step, epochs=epochs, device="cpu", **kept
    )


with_fit(3)
model, history = with_fit(6)
same = all(
    map(
        torch.equal, whole[0].state_dict().values(), model.state_dict().values()
    )
)
reader = new_run()[0]
rows = load_checkpoint(folder / "fit.pt", reader)
print(
    f"by hand and by fit: same bits {same}; {len(rows)} epochs; {accuracy(reader):.1%} right"
)
print(list(torch.load(folder / "fit.pt")))
assert (
    same and rows == history and torch.equal(reader(val_x), model.eval()(val_x))
)

# %%
# The same, and safer: it writes beside the old file and renames, and refuses a file of another
# network. :func:`handbook.load_checkpoint` takes the network alone out of it.
#
# What you learned
# ----------------
#
# - Save the state dict: parameters *and* buffers. Keep the code that builds the model beside it.
# - Load with ``weights_only=True``, the default: a pickle can run anything, safetensors nothing.
# - Read what ``load_state_dict`` returns whenever you say ``strict=False``.
# - Keep optimizer, schedule, epoch and random state, too, if training is to go on.
# - Load with ``map_location="cpu"`` when the file comes from another machine.
#
# Exercises
# ---------
#
# 1. **Predict.** You keep ``best = model.state_dict()`` at the best epoch, and train on. What is in
#    ``best`` afterwards?
# 2. **Change.** Resume with everything, but build the optimizer with a learning rate of 1 first.
#    Which learning rate does training go on with?
# 3. **Extend.** The program is killed in the middle of ``torch.save``. Let an object that cannot be
#    saved play that part, see what becomes of the file, and write a function that spares the old one.
#
# What is on disk can be watched while it grows: :doc:`/lessons/networks/09_tensorboard`.

# %%
# .. answer:: 1
#
#    What the model holds now: the tensors of a state dict are those of the model, and no copies.
#    Copy it, or write it to a file.

model, optimizer, scheduler = new_run()
best = model.state_dict()
copied = copy.deepcopy(best)
train(model, optimizer, scheduler, epochs=range(1, 2))
for name, kept in {"best": best, "copied": copied}.items():
    print(
        name,
        "is still the first:",
        torch.equal(kept["5.bias"], new_run()[0][5].bias),
    )
assert torch.equal(best["5.bias"], model[5].bias) and not torch.equal(
    copied["5.bias"], best["5.bias"]
)

# %%
# .. answer:: 2
#
#    With the one in the file: the state of an optimizer holds its settings, too. To go on with
#    another one, set it *after* loading.

model = new_run()[0]
optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
state = torch.load(folder / "run.pt")
optimizer.load_state_dict(state["optimizer"])
rate = optimizer.param_groups[0]["lr"]
print(f"learning rate {rate:.5f}")
assert rate == stopped[1].param_groups[0]["lr"] < 0.03

# %%
# .. answer:: 3
#
#    The file is cut off, and what was in it is lost. Write under another name, and rename when that
#    is complete: until then the old file stays. Without ``os.fsync`` that protects against a killed
#    program, but not against a power failure, because the system may rename first and write the
#    numbers to the disk later. :func:`handbook.fit` does the same, and writes the folder to the
#    disk, too.


def save_safely(state, path):
    beside = path.with_suffix(".part")
    try:
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # returns when it is on the disk
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


bad = {"weight": torch.ones(2), "power failure": lambda: None}
for name, save in {
    "torch.save": torch.save,
    "save_safely": save_safely,
}.items():
    path = folder / "mine.pt"
    torch.save({"weight": torch.zeros(2)}, path)
    try:
        save(bad, path)
    except (pickle.PicklingError, AttributeError) as error:
        print(f"{name}: {str(error).split(' <')[0]}")
    try:
        survived = torch.load(path)["weight"].tolist() == [0, 0]
    except RuntimeError:
        survived = False
    print(f"{name}: the old file survived: {survived}")
    assert survived == (save is save_safely)
temporary.cleanup()
