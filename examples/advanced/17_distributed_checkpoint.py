"""
Distributed checkpoints, many nodes
===================================

How can three processes continue a training run that two have saved?

After ``fully_shard``, no process has the whole network, so none can write it
into a file by itself. And when a long job restarts, the cluster may have more
machines for it, or fewer. With PyTorch's :term:`distributed checkpoint <DCP>`,
*DCP* for short, each process writes the pieces that it has, and later reads
those that it needs.

After this lesson you can

- save a sharded training run, and continue it on more or fewer processes
- check, by the next training steps, that nothing was lost
- avoid a way of loading that loses Adam's moments and raises no error
"""

# %%
# Setup
# -----

import warnings

import matplotlib.pyplot as plt
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    get_state_dict,
    set_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.functional import cross_entropy

from handbook import datasets, torchrun

torch.manual_seed(0)

# %%
# Here, a checkpoint is a folder. We remove it at the end.

import tempfile
from pathlib import Path

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)

# %%
# Ten numbers in two files
# ------------------------
# The last layer of our network has ten biases, one for each digit. On two
# ranks, each writes five of them into a file. Later there are three ranks, with
# 4, 4 and 2. From which files must each of the three read?
#
# .. alt:: The biases 0 to 9 in two rows. Where two ranks write, 0 to 4 are in
#    one file, and 5 to 9 in the other. Where three ranks read, rank 0 needs 0
#    to 3, rank 1 needs 4 to 7, and rank 2 needs 8 and 9. Only those of rank 1
#    come from both files.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.4, 2.3), layout="constrained")
for number in range(10):
    box = {"boxstyle": "round", "facecolor": "C0", "alpha": 0.35}
    if number >= 5:
        box["facecolor"] = "C1"
    for row, gap in [(0, number // 5), (1, number // 4)]:
        place = number + 0.6 * gap
        axis.text(place, row, number, ha="center", va="center", bbox=box)
axis.text(2, -0.65, "__0_0.distcp", ha="center", va="center")
axis.text(7.6, -0.65, "__1_0.distcp", ha="center", va="center")
for reader, place in enumerate([1.5, 6.1, 9.7]):
    axis.text(place, 1.65, f"rank {reader}", ha="center", va="center")
axis.set_yticks([0, 1], ["written by 2", "read by 3"])
axis.set_xticks([])
axis.set(xlim=(-0.7, 11), ylim=(2.1, -1.1))

# %%
# Rank 1 needs number 4 from the first file, and 5 to 7 from the second. So DCP
# writes an index that says which piece lies in which file.
#
# On real data
# ------------
# We shard a network as in :doc:`/lessons/advanced/15_fsdp` (see
# :term:`sharding`). On one process it stays as it is.

digits, _ = datasets.mnist()
x = digits.x[:5760]
y = digits.y[:5760]
val_x = digits.x[9000:]
val_y = digits.y[9000:]


def network(seed, ranks=1):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 10)
    )
    if ranks > 1:
        mesh = init_device_mesh("cpu", (ranks,))
        for module in [net[1], net[3], net]:
            fully_shard(module, mesh=mesh)
    return net, torch.optim.Adam(net.parameters(), lr=0.006)


# %%
# A step takes 120 digits, which the ranks share equally. After each step, we
# note the loss on 1,000 other digits. At the end, we collect the weights of the
# first layer for the comparison.


def train(net, adam, steps, rank=0, ranks=1):
    losses = []
    for step in steps:
        own_x = x[120 * step : 120 * step + 120].chunk(ranks)[rank]
        own_y = y[120 * step : 120 * step + 120].chunk(ranks)[rank]
        loss = cross_entropy(net(own_x), own_y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            losses.append(cross_entropy(net(val_x), val_y).item())
    weight = net[1].weight.detach()
    if ranks > 1:
        weight = weight.full_tensor()
    return losses, weight


# %%
# The next function loads a checkpoint. The list below explains it.


def load(net, adam):
    model_state, optimizer_state = get_state_dict(net, adam)
    state = {"model": model_state, "optimizer": optimizer_state}
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        dcp.load(state, checkpoint_id=folder / "run")
    set_state_dict(
        net,
        adam,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
    )


# %%
# - ``get_state_dict`` returns two dictionaries, that of the network and that of
#   the optimizer. Their entries have the same names on any number of ranks,
#   such as ``3.bias``. The tensors are the shards of this rank. A new Adam has
#   no moments yet. To make them, ``get_state_dict`` lets it take a step with
#   gradients of zero and learning rate 0. No weight changes, and the moments
#   are zero, but Adam has counted a step. So call this on a new Adam only if
#   you load next.
# - ``dcp.load`` does not return a dictionary. You give it one, and it *fills*
#   this with what the checkpoint has under the same names. So network and
#   optimizer have to exist before. (Without a process group it warns, which we
#   turn off.)
# - ``set_state_dict`` gives what was loaded to the network and the optimizer.
#
# Two ranks train for 40 steps, and save a dictionary of the same kind with
# ``dcp.save``, which returns the index. Each rank writes its own file, so all
# must call it.
#
# Then the two take eight more steps. After that, a network from another seed
# loads the checkpoint and repeats them.


def write():
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    net, adam = network(seed=0, ranks=2)
    before, _ = train(net, adam, range(40), rank, ranks=2)
    model_state, optimizer_state = get_state_dict(net, adam)
    state = {"model": model_state, "optimizer": optimizer_state}
    index = dcp.save(state, checkpoint_id=folder / "run")
    never_stopped = train(net, adam, range(40, 48), rank, ranks=2)
    net, adam = network(seed=1, ranks=2)
    load(net, adam)
    resumed = train(net, adam, range(40, 48), rank, ranks=2)
    dist.destroy_process_group()
    return before[-1], never_stopped, resumed, index


# %%
# What does the index say about the ten biases, and which files are there?

saved_loss, never_stopped, on_two, index = torchrun(write, processes=2)[0]
pieces = index.state_dict_metadata["model.3.bias"].chunks
for piece in pieces:
    print(f"{piece.sizes[0]} biases, the first is {piece.offsets[0]}")
files = sorted(file.name for file in (folder / "run").iterdir())
print(files)

# %%
# There are two pieces of five biases, as in the figure. The index is also in
# the file ``.metadata``, and ``__1_0.distcp`` is file 0 of rank 1.
#
# Now three ranks continue, and then one process, without torchrun or sharding.


def read():
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    net, adam = network(seed=1, ranks=3)
    load(net, adam)
    biases = len(net[3].bias.to_local())
    print(f"{biases} biases")
    resumed = train(net, adam, range(40, 48), rank, ranks=3)
    dist.destroy_process_group()
    return resumed, biases


continued = torchrun(read, processes=3)
on_three, _ = continued[0]

net, adam = network(seed=1)
load(net, adam)
on_one = train(net, adam, range(40, 48))

# %%
# Does it matter who continues?

losses, weight = never_stopped
print(f"never stopped: loss after the next step {losses[0]:.3f}")

resumed = {"2 ranks": on_two, "3 ranks": on_three, "1 process": on_one}
errors = {}
for name, result in resumed.items():
    new_losses, new_weight = result
    errors[name] = (new_weight - weight).abs().max().item()
    close = errors[name] < 1e-5
    equal = torch.equal(new_weight, weight)
    print(f"{name}: loss {new_losses[0]:.3f}")
    print(f"  weights within 0.00001: {close}, bit for bit: {equal}")

# %%
# Hardly. The loss after the next step is the same. After eight steps, the
# weights agree bit for bit on two ranks. On three and on one, they agree within
# 0.00001. The difference is rounding, since there the 120 digits are grouped
# differently when their gradients are added up.

# %%
# .. check::

assert [piece.sizes[0] for piece in pieces] == [5, 5], "two pieces of five"
assert [piece.offsets[0] for piece in pieces] == [0, 5], "as in the figure"
assert [biases for _, biases in continued] == [4, 4, 2], "with 4, 4 and 2"
assert files == [".metadata", "__0_0.distcp", "__1_0.distcp"], "the files"
assert torch.equal(on_two[1], weight), "2 ranks: bit for bit"
assert all(error < 1e-5 for error in errors.values()), "the same weights"
assert all(
    abs(new_losses[0] - losses[0]) < 1e-4 for new_losses, _ in resumed.values()
), "the same next loss"

# %%
# .. _lost-moments:
#
# What goes wrong
# ---------------
# Without DCP, we call ``state_dict()`` of the network and of the optimizer. Let
# us do so here, too. What will be lost?

net, adam = network(seed=1)
state = {"model": net.state_dict(), "optimizer": adam.state_dict()}
with warnings.catch_warnings(action="ignore", category=UserWarning):
    dcp.load(state, checkpoint_id=folder / "run")
net.load_state_dict(state["model"])
adam.load_state_dict(state["optimizer"])

loaded_loss = cross_entropy(net(val_x), val_y).item()
print(f"loss when saved {saved_loss:.3f}, when loaded {loaded_loss:.3f}")
with_moments = len(adam.state)
print(with_moments, "weights and biases have moments")
lost_losses, lost_weight = train(net, adam, range(40, 48))
print(f"loss after the next step {lost_losses[0]:.3f}, not {losses[0]:.3f}")

# %%
# .. alt:: The loss on other digits after each of the steps 41 to 48. That of
#    the training that never stopped goes from 0.34 to 0.32. The points of 3
#    ranks lie on it. Without the moments, it jumps to 0.41 first, and ends at
#    0.36.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.4, 2.8), layout="constrained")
steps = range(41, 49)
axis.plot(steps, lost_losses, "C1--", label="moments lost")
axis.plot(steps, losses, "C0", label="never stopped")
three_losses, _ = on_three
axis.plot(steps, three_losses, "C2o", label="resumed on 3 ranks")
axis.set(xlabel="step", ylabel="loss on other digits", ylim=(0.28, 0.5))
axis.legend(loc="upper right", fontsize=8)

# %%
# There is no error, and the weights are right, as the loss shows. But 0 weights
# and biases have moments. A new Adam has none before its first step, so its
# dictionary has no entries for them, and DCP fills only what it finds. So Adam
# starts without moments. Its first step moves each weight with a nonzero
# gradient, even a tiny one, by about the learning rate, so the loss jumps. A
# few steps later, the curve looks harmless again.
#
# So get both dictionaries from ``get_state_dict``. For a name missing in the
# checkpoint, DCP does raise an error (see :doc:`/errata`).

# %%
# .. check::

assert abs(loaded_loss - saved_loss) < 1e-4, "the weights are right"
assert with_moments == 0, "none"
assert abs(losses[0] - 0.336) < 0.003, "0.34"
assert abs(losses[-1] - 0.32) < 0.01, "0.32"
assert abs(lost_losses[0] - 0.412) < 0.003, "it jumps to 0.41"
assert abs(lost_losses[-1] - 0.36) < 0.01, "0.36"
assert (lost_weight - weight).abs().max() > 0.01, "other weights"

# %%
# Many machines
# -------------
# On many machines, the calls are the same. But if each had the folder on a disk
# of its own, none would have all the files. So it has to be on a file system
# that all machines share (`a maintainer says so
# <https://github.com/pytorch/pytorch/issues/99976>`__).
#
# Save the recipe below there, as ``train.py``. In it, let ``runs`` be a folder
# there, such as ``Path("/shared/run")``, and replace all that follows the
# function ``work`` by ``work(epochs=10)``. Give this command on each of two
# machines. ``node1`` is the name of one, and the options are those of
# :doc:`/lessons/advanced/14_ddp`.
#
# .. code-block:: bash
#
#    torchrun --nnodes=2 --nproc-per-node=2 --rdzv-id=digits \
#        --rdzv-backend=c10d --rdzv-endpoint=node1:29500 train.py
#
# To continue on three machines later, write ``--nnodes=3``. With Slurm, start
# ``train.sbatch`` of that lesson by ``sbatch --nodes=3 train.sbatch``, since
# this number `replaces the one in the file
# <https://slurm.schedmd.com/sbatch.html>`__.
#
# We tried torchrun with two and three nodes, but all on one machine without a
# GPU. For NVIDIA GPUs, write ``"nccl"`` and ``"cuda"``, and
# ``labels[own].to("cuda")`` in the loss. At the start of ``work``, call
# ``torch.cuda.set_device`` with the number in the environment variable
# ``LOCAL_RANK``, since DCP sends its messages through the current GPU
# (`documentation
# <https://docs.pytorch.org/docs/stable/distributed.checkpoint.html>`__).
#
# Recipe
# ------
# This training saves after each epoch. Started again, it continues after the
# last saved epoch, on any number of ranks that can share 120 digits equally.

import tempfile
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    get_state_dict,
    set_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.functional import cross_entropy

from handbook import datasets, torchrun

# %%
# The network is sharded if there are several ranks.

place = tempfile.TemporaryDirectory()
runs = Path(place.name)  # in train.py: a folder that all machines share

digits, new_digits = datasets.mnist()
images = digits.x[:6000]
labels = digits.y[:6000]


def network(ranks=1):
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 10)]
    net = nn.Sequential(*layers)
    if ranks > 1:
        mesh = init_device_mesh("cpu", (ranks,))
        for module in [net[1], net[3], net]:  # layers first, then the whole
            fully_shard(module, mesh=mesh)
    adam = torch.optim.Adam(net.parameters(), lr=0.003)  # after fully_shard
    return net, adam


# %%
# A number can be in the dictionary, too. Each epoch has a folder of its own.
# DCP writes ``.metadata`` `last
# <https://docs.pytorch.org/docs/stable/distributed.checkpoint.html>`__, so a
# folder without it is incomplete, and is passed over. Without any, ``load``
# returns before ``get_state_dict``, so Adam counts no step. Every rank looks
# for itself, so all must see the same folders.


def load(net, adam):
    complete = sorted(runs.glob("epoch-*/.metadata"))
    if not complete:
        return 0
    model_state, optimizer_state = get_state_dict(net, adam)
    state = {"model": model_state, "optimizer": optimizer_state, "epoch": 0}
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        dcp.load(state, checkpoint_id=complete[-1].parent)
    set_state_dict(
        net,
        adam,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
    )
    return state["epoch"]


# %%
# The number of the epoch seeds its order, so that all ranks have the same, also
# those that continue.


def train(net, adam, epoch, rank, ranks):
    generator = torch.Generator().manual_seed(epoch)
    order = torch.randperm(len(images), generator=generator)
    for batch in order.split(120):
        own = batch.chunk(ranks)[rank]
        loss = cross_entropy(net(images[own]), labels[own])
        adam.zero_grad()
        loss.backward()
        adam.step()
    model_state, optimizer_state = get_state_dict(net, adam)
    state = {"model": model_state, "optimizer": optimizer_state}
    state["epoch"] = epoch + 1
    dcp.save(state, checkpoint_id=runs / f"epoch-{epoch + 1:04}")
    print(f"epoch {epoch + 1} saved")


# %%
# This is what torchrun runs.


def work(epochs):
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    ranks = dist.get_world_size()
    if 120 % ranks != 0:
        raise ValueError("the ranks cannot share 120 digits equally")
    net, adam = network(ranks)
    for epoch in range(load(net, adam), epochs):
        train(net, adam, epoch, rank, ranks)
    dist.destroy_process_group()


# %%
# At first, there is nothing to load. Two processes train for two epochs. Then
# one process loads the newest checkpoint, and reads new digits.

net, adam = network()
start = load(net, adam)
moments = len(adam.state)
print(f"at first: epoch {start}, {moments} weights and biases have moments")

torchrun(work, 2, processes=2)

net, adam = network()
epoch = load(net, adam)
accuracy = (net(new_digits.x).argmax(1) == new_digits.y).float().mean()
guess = net(new_digits.x[:1]).argmax().item()
print(f"after epoch {epoch}: accuracy on new digits {accuracy:.0%}")
print(f"the first is a {new_digits.y[0]}, the guess {guess}")

# %%
# When do you need this? The ``checkpoint`` of :func:`handbook.fit` is one file,
# which is simpler, and enough while each process has the whole network. After
# ``fully_shard``, ``fit`` refuses to write one, so take DCP. Delete old folders
# by hand. ``dcp.async_save`` writes while the training goes on. As another
# version of PyTorch may be unable to read the folder, keep a finished network
# as one file. `dcp_to_torch_save
# <https://docs.pytorch.org/docs/stable/distributed.checkpoint.html>`__ makes
# one of the whole folder, in which ``"model"`` is the network.

# %%
# .. check::

assert start == 0, "there is nothing to load"
assert moments == 0, "Adam has counted no step"
assert epoch == 2, "the newest"
assert accuracy > 0.8, "it has learned"
assert guess == new_digits.y[0], "it is right"

# %%
# What you learned
# ----------------
# - With DCP, each rank writes its own pieces, and an index says where they are.
#   Any number of ranks can load them.
# - ``dcp.load`` fills the dictionary that you give it. What you do not ask for
#   is not loaded, and no error says so.
# - ``get_state_dict`` asks for everything, Adam's moments included, and
#   ``set_state_dict`` gives it to the network and the optimizer.
# - Compare the next steps with those of a run that never stopped. Except
#   for rounding, they are equal.
#
# Exercises
# ---------
# 1. **Predict.** Three ranks have saved the ten biases, 4, 4 and 2. Now four
#    ranks load them. ``fully_shard`` cuts as ``chunk`` does. Which of the four
#    need more than one file?
# 2. **Change.** Delete ``__1_0.distcp``, as if it were on the disk of another
#    machine, and load. Does ``except Exception`` catch the error?
# 3. **Extend.** Write a checkpoint in pieces by hand. Save the numbers 0 to 9
#    in two files by ``torch.save``, with an index of where each piece begins
#    and ends. Write a function that reads the numbers from ``begin`` to ``end``
#    and opens only the files it needs.

# %%
# .. answer:: 1
#
#    The four get 3, 3, 3 and 1. Rank 1 needs 3, 4 and 5, of which 3 is in the
#    first file and the others in the second. Rank 2 needs 6 and 7 from the
#    second, and 8 from the third.

written_by = torch.zeros(10, dtype=torch.int64)
for writer, piece in enumerate(torch.arange(10).chunk(3)):
    written_by[piece] = writer
needed = []
for reader, piece in enumerate(torch.arange(10).chunk(4)):
    needed.append(written_by[piece].unique().tolist())
    print(f"rank {reader} reads the files of ranks {needed[reader]}")

# %%
# .. check::

assert needed == [[0], [0, 1], [1, 2], [2]], "ranks 1 and 2"

# %%
# .. answer:: 2
#
#    No. The error is a ``CheckpointException``, which is a ``BaseException``
#    but not an ``Exception``, like ``KeyboardInterrupt``, which Ctrl-C raises.
#    Its message names the file.

(folder / "run" / "__1_0.distcp").unlink()
caught = "nothing"
named = False
try:
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        dcp.load({"model": net.state_dict()}, checkpoint_id=folder / "run")
except Exception:
    caught = "an Exception"
except BaseException as error:
    caught = type(error).__name__
    named = "__1_0.distcp" in str(error)
print("caught:", caught)
print("the message names the file:", named)

# %%
# .. check::

assert caught == "CheckpointException", "not an Exception"
assert named, "the message names the file"

# %%
# .. answer:: 3
#
#    For each piece, we look for the part that lies between ``begin`` and
#    ``end``. If there is one, it is copied to its place.

index = [(0, 5, folder / "first.pt"), (5, 10, folder / "second.pt")]
numbers = torch.arange(10)
for first, last, file in index:
    torch.save(numbers[first:last].clone(), file)


def read_range(begin, end):
    own = torch.zeros(end - begin, dtype=torch.int64)
    opened = 0
    for first, last, file in index:
        left = max(begin, first)
        right = min(end, last)
        if left < right:
            piece = torch.load(file)
            own[left - begin : right - begin] = piece[
                left - first : right - first
            ]
            opened += 1
    return own, opened


for begin, end in [(0, 4), (4, 8), (8, 10)]:
    own, opened = read_range(begin, end)
    print(f"{own.tolist()} from {opened} file(s)")
middle, opened_for_middle = read_range(4, 8)
temporary.cleanup()
place.cleanup()

# %%
# .. check::

assert middle.tolist() == [4, 5, 6, 7], "the numbers 4 to 7"
assert opened_for_middle == 2, "from both files"
