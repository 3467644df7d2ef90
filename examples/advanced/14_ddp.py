"""
DistributedDataParallel (DDP)
=============================

What must change so that two processes train the network that one would train?

In the last lesson, two processes agreed on a gradient with calls that we wrote
ourselves. PyTorch's ``DistributedDataParallel``, *DDP* for short, makes these
calls for you, so only a few lines of a training loop change. If one of them is
wrong, often no error says so. So we compare two processes with one.

After this lesson you can

- train a network on several processes with DDP, and check it against one
- give each process its own share of the data
- start a job on one machine or on several, and continue after a process died
"""

# %%
# Setup
# -----

import os
import signal
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from handbook import Batches, classification_step, datasets, fit, torchrun

torch.manual_seed(0)
temporary = tempfile.TemporaryDirectory()  # removed at the end

# %%
# The mean of two gradients
# -------------------------
# Take four points of y = 2x, and a network with a single weight, which is 0. We
# compute the gradient of the mean squared error for all four points, then for
# each half.

points = torch.tensor([[1.0], [2.0], [3.0], [4.0]])


def gradient(net, x):
    net.zero_grad()
    ((net(x) - 2 * x) ** 2).mean().backward()
    return next(net.parameters()).grad.item()


line = nn.Linear(1, 1, bias=False)
nn.init.zeros_(line.weight)
whole = gradient(line, points)
first = gradient(line, points[:2])
second = gradient(line, points[2:])
print(whole, first, second)

# %%
# The mean of −10 and −50 is −30, the gradient of all four points. In
# ``backward``, DDP adds up the gradients of all ranks with an all-reduce
# (:doc:`/lessons/advanced/13_collectives`), and divides by the number of ranks.
# This plain mean is right when all ranks have equally many examples.

# %%
# .. check::

assert whole == -30, "all four"
assert first == -10, "the first two"
assert second == -50, "the last two"

# %%
# Which rank gets which items?
# ----------------------------
# The *sampler* of a loader says which items it takes, and in which order. A
# ``DistributedSampler`` takes only those of its own rank. Here no processes
# run, so we say how many ranks there are (``num_replicas``):

shares = []
for rank in range(2):
    sampler = DistributedSampler(
        range(5), num_replicas=2, rank=rank, shuffle=False
    )
    shares.append(list(sampler))
    print(f"rank {rank}: {list(sampler)}")

# %%
# Five items cannot be shared equally by two, so the sampler repeats item 0, and
# both ranks get three. Otherwise one rank could have a batch more than the
# other, and would wait for a gradient that never comes. But in an evaluation,
# the repeated item counts twice (exercise 1).
#
# For training we want another order in each epoch:

sampler = DistributedSampler(range(10), num_replicas=2, rank=0)
first_epoch = list(sampler)
second_epoch = list(sampler)
sampler.set_epoch(1)
after_set_epoch = list(sampler)
print(first_epoch)
print(second_epoch)
print(after_set_epoch)

# %%
# The sampler shuffles by default, but it repeats the same order until
# ``set_epoch`` tells it the number of the epoch.

# %%
# .. check::

assert shares == [[0, 2, 4], [1, 3, 0]], "item 0 twice"
assert first_epoch == second_epoch, "the same order"
assert first_epoch != after_set_epoch, "another order"

# %%
# On real data
# ------------
# First we train on one process, with 2,000 digits and batches of 64. The
# sampler and the batch size are arguments, because two processes need different
# ones. (Item i of a ``TensorDataset`` consists of x[i] and y[i].)

train, _ = datasets.mnist()
x = train.x[:2000]
y = train.y[:2000]
data = TensorDataset(x, y)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)
    )


# %%
# ``loop`` returns the final loss on the 2,000 digits, and all weights as one
# vector.


def loop(net, sampler, batch_size):
    loader = DataLoader(data, batch_size=batch_size, sampler=sampler)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        for x_batch, y_batch in loader:
            loss = cross_entropy(net(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        weights = torch.cat([part.flatten() for part in net.parameters()])
        return cross_entropy(net(x), y).item(), weights


# %%
# With ``num_replicas=1``, the sampler takes all items:

sampler = DistributedSampler(data, num_replicas=1, rank=0)
one_loss, one_weights = loop(network(), sampler, batch_size=64)
print(f"one process: loss {one_loss:.3f}")

# %%
# Now two processes. Each calls the next function, which computes the gradient
# for its own two points, and then trains. ``DistributedSampler`` finds the rank
# by itself. A batch of 64 becomes 32 on each rank. Both shuffle in the same
# order, and each takes every second item, so together they have the 64 digits
# of one process.


def train_share(toy, net):
    own = points.chunk(2)[dist.get_rank()]
    toy_gradient = gradient(toy, own)
    loss, weights = loop(net, DistributedSampler(data), batch_size=32)
    print(f"gradient {toy_gradient:.0f}, loss {loss:.3f}")
    return {"gradient": toy_gradient, "loss": loss, "weights": weights}


# %%
# ``DistributedDataParallel`` wraps a network. The wrapper is called like the
# network, which is inside it as ``.module``. On purpose, ``line`` starts with
# another weight on rank 1, and the second call of ``train_share`` contains a
# mistake. What will the two ranks print?


def work():
    dist.init_process_group("gloo")
    with torch.no_grad():
        line.weight += dist.get_rank()  # now 0 and 1
    toy = DistributedDataParallel(line)
    net = DistributedDataParallel(network())
    right = train_share(toy, net)
    net = DistributedDataParallel(network())
    wrong = train_share(toy.module, net.module)
    dist.destroy_process_group()
    return [right, wrong]


results = torchrun(work, processes=2)

# %%
# In the first line, both ranks have the gradient −30, although rank 1 has other
# points and began with another weight. When DDP wraps a network, it sends the
# weights of rank 0 to all ranks, and ``backward`` takes the mean gradient. The
# loss is that of one process. Are the weights the same, too?

right_zero, wrong_zero = results[0]
right_one, wrong_one = results[1]
equal = torch.equal(right_zero["weights"], right_one["weights"])
error = (right_zero["weights"] - one_weights).abs().max().item()
print("equal on both ranks, bit for bit:", equal)
print("equal to one process, within 1e-5:", error < 1e-5)

# %%
# The ranks agree exactly. The weights of one process agree except for rounding,
# because it adds up in another order.

# %%
# .. check::

assert right_zero["gradient"] == -30, "−30 on rank 0"
assert right_one["gradient"] == -30, "−30 on rank 1"
assert abs(right_zero["loss"] - one_loss) < 1e-4, "the loss of one process"
assert abs(right_one["loss"] - one_loss) < 1e-4, "on rank 1, too"
assert equal, "bit for bit"
assert error < 1e-5, "the weights of one process"

# %%
# What goes wrong
# ---------------
# The second line of each rank comes from the mistake, ``net.module`` in place
# of ``net``.
#
# .. alt:: The gradients of the two ranks. When the wrapper was called, both
#    bars reach −30, the dashed line of one process. When the network inside was
#    called, they reach −10 and −50.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.4, 2.4), layout="constrained")
on_zero = [right_zero["gradient"], wrong_zero["gradient"]]
on_one = [right_one["gradient"], wrong_one["gradient"]]
axis.bar([-0.2, 0.8], on_zero, 0.38, color="C0")
axis.bar([0.2, 1.2], on_one, 0.38, color="C1")
for place in [0, 1]:
    axis.text(place - 0.2, 1, "rank 0", ha="center", va="bottom")
    axis.text(place + 0.2, 1, "rank 1", ha="center", va="bottom")
axis.axhline(-30, color="black", ls="--")
axis.text(0.5, -31, "one process", ha="center", va="top")
axis.set_xticks([0, 1], ["net(x)", "net.module(x)"])
axis.set(ylabel="gradient", ylim=(-54, 10))

# %%
# The forward call of the wrapper prepares the all-reduce. Without it, each rank
# keeps its own gradient, −10 or −50. With the digits, each rank trained alone
# on its half:

drift = (wrong_zero["weights"] - wrong_one["weights"]).abs().max().item()
print(f"weights differ by up to {drift:.2f}")

# %%
# There is no error, and the losses, 0.72 and 0.69, look harmless.
# ``net.module`` is for saving and evaluation.
#
# Three more cases:
#
# - **Batch normalization** uses the mean of its own rank's examples, so the
#   result differs from that of one process. On GPUs, first convert the network
#   by ``nn.SyncBatchNorm.convert_sync_batchnorm(net)``. Dropout drops other
#   units than on one process.
# - **A weight that has no part in the loss** stops the second step with
#   *Expected to have finished reduction in the prior iteration*, unless you
#   wrap with ``find_unused_parameters=True``.
# - **An evaluation through the wrapper on rank 0 alone** hangs or fails with
#   batch normalization, because the first call after training sends the running
#   means to all ranks, and the others take no part.

# %%
# .. check::

assert wrong_zero["gradient"] == -10, "−10 on rank 0"
assert wrong_one["gradient"] == -50, "−50 on rank 1"
assert drift > 0.01, "they have drifted apart"
assert abs(wrong_zero["loss"] - 0.72) < 0.01, "0.72"
assert abs(wrong_one["loss"] - 0.69) < 0.01, "0.69"

# %%
# The same with ``fit``
# ---------------------
# Under torchrun, :func:`handbook.fit` joins the :term:`process group`, wraps
# the network, and shares out the data. The ``batch_size`` of ``Batches`` is
# that of all ranks together, so no line changes. (Two processes should not
# share a GPU, so we set ``device="cpu"``.)


def train_fit(checkpoint=None, step=classification_step):
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    batches = Batches(x, y, batch_size=64, shuffle=True)
    return fit(
        net, batches, step, optimizer=optimizer, epochs=4,
        checkpoint=checkpoint, device="cpu", progress=False,
    )  # fmt: skip


alone = train_fit()
both = torchrun(train_fit, processes=2)
for row, row_of_two in zip(alone, both[0], strict=True):
    print(f"epoch {row['epoch']}: one process {row['loss']:.3f}", end=", ")
    print(f"two processes {row_of_two['loss']:.3f}")

# %%
# Again, two processes have the losses of one.

# %%
# .. check::

assert all(
    abs(row["loss"] - row_of_two["loss"]) < 1e-4
    for row, row_of_two in zip(alone, both[0], strict=True)
), "the losses of one process"

# %%
# When a process is killed
# ------------------------
# We let rank 1 end itself in its step 100, by the signal ``SIGKILL``, which no
# process can survive. An epoch has 32 steps, so this is in epoch 4. (torchrun
# sets ``RANK`` in each process.)

state = Path(temporary.name) / "run.pt"
note = Path(temporary.name) / "time.txt"
steps_taken = []


def dying_step(net, x_batch, y_batch):
    steps_taken.append(len(y_batch))
    if len(steps_taken) == 100 and os.environ.get("RANK") == "1":
        print("step 100: killed")
        note.write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    return classification_step(net, x_batch, y_batch)


# %%
# Rank 0 needs the gradient of rank 1. Will it wait forever?

report = "no error"
try:
    torchrun(train_fit, state, dying_step, processes=2)
except RuntimeError as failure:
    report = str(failure)
seconds = time.time() - float(note.read_text())  # from the kill to here
print("the report names SIGKILL:", "SIGKILL" in report)

# %%
# No. Within seconds, torchrun notices that a process has died, ends the others,
# and reports the signal. (If a process hangs, the others wait until the timeout
# of 30 minutes.)
#
# Now we start again, on one process, as if we had lost the machine of the
# other. (Each process has its own ``steps_taken``, so ours is still empty.)

history = train_fit(state, dying_step)
print(len(steps_taken), "steps")
for row in history:
    print(f"epoch {row['epoch']}: loss {row['loss']:.3f}")

# %%
# ``fit`` read the checkpoint of epoch 3, and trained only epoch 4, in 32 steps.
# All four losses are those of the training that was never killed.

# %%
# .. check::

assert "SIGKILL" in report, "named"
assert seconds < 60, "long before the timeout of 30 minutes"
assert len(steps_taken) == 32, "epoch 4 only"
assert len(history) == 4, "four epochs"
assert all(
    abs(row["loss"] - never_killed["loss"]) < 1e-4
    for row, never_killed in zip(history, alone, strict=True)
), "the same losses"

# %%
# Recipe
# ------
# Each rank of this script judges its share of the 200 items held out. Only rank
# 0 prints and saves. Inside ``if rank == 0``, there must be no call that all
# ranks have to make, and ``net(x)`` can be such a call.
#
# .. code-block:: python
#
#    # train.py
#    import torch
#    import torch.distributed as dist
#    from torch import nn
#    from torch.nn.functional import cross_entropy
#    from torch.nn.parallel import DistributedDataParallel
#    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
#
#    device = torch.device("cpu")
#    dist.init_process_group("gloo")
#    rank = dist.get_rank()
#    x = torch.randn(1200, 20, generator=torch.Generator().manual_seed(0))
#    y = (x[:, 0] > 0).long()  # put yours here
#    data = TensorDataset(x[200:], y[200:])  # the first 200 are held out
#    sampler = DistributedSampler(data)
#    loader = DataLoader(data, batch_size=32, sampler=sampler)  # of each rank
#    net = DistributedDataParallel(nn.Linear(20, 2).to(device))
#    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
#    for epoch in range(3):
#        sampler.set_epoch(epoch)
#        for x_batch, y_batch in loader:
#            output = net(x_batch.to(device))
#            loss = cross_entropy(output, y_batch.to(device))
#            optimizer.zero_grad()
#            loss.backward()
#            optimizer.step()
#    net.eval()
#    own = slice(rank, 200, dist.get_world_size())
#    with torch.no_grad():
#        output = net.module(x[own].to(device))
#    right = (output.argmax(dim=1) == y[own].to(device)).sum()
#    dist.all_reduce(right)  # the sum of all ranks
#    if rank == 0:
#        print(f"accuracy {right / 200:.2f}")
#        new = torch.ones(1, 20, device=device)
#        print("class", net.module(new).argmax(dim=1).item())
#        torch.save(net.module.state_dict(), "net.pt")
#    dist.destroy_process_group()
#
# The same with ``fit``, which goes on from ``run.pt`` when you start it again:
#
# .. code-block:: python
#
#    # train_fit.py
#    import torch
#    from torch import nn
#    from handbook import Batches, classification_step, fit
#
#    x = torch.randn(1200, 20, generator=torch.Generator().manual_seed(0))
#    y = (x[:, 0] > 0).long()
#    net = nn.Linear(20, 2)
#    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
#    batches = Batches(x[200:], y[200:], batch_size=64, shuffle=True)
#    fit(net, batches, classification_step, optimizer=optimizer, epochs=3,
#        checkpoint="run.pt")
#
# On one machine, start either with two processes by
#
# .. code-block:: bash
#
#    torchrun --standalone --nproc-per-node=2 train.py
#
# On two machines, give this command on each. They meet (*rendezvous*) at a port
# of one of them, here ``node1``:
#
# .. code-block:: bash
#
#    torchrun --nnodes=2 --nproc-per-node=2 --rdzv-id=digits \
#        --rdzv-backend=c10d --rdzv-endpoint=node1:29500 train.py
#
# On a cluster with Slurm, which shares out machines, submit this file by
# ``sbatch train.sbatch``. ``head`` is the name of the first machine, and
# ``srun`` starts one torchrun on each.
#
# .. code-block:: bash
#
#    #!/bin/bash
#    #SBATCH --nodes=2
#    #SBATCH --ntasks-per-node=1
#    #SBATCH --cpus-per-task=8
#    #SBATCH --time=01:00:00
#    export OMP_NUM_THREADS=4  # 8 CPUs, 2 processes
#    head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
#    srun --cpus-per-task="$SLURM_CPUS_PER_TASK" torchrun \
#        --nnodes="$SLURM_NNODES" --nproc-per-node=2 \
#        --rdzv-id="$SLURM_JOB_ID" --rdzv-backend=c10d \
#        --rdzv-endpoint="$head:29500" train.py
#
# The `torchrun documentation
# <https://docs.pytorch.org/docs/stable/elastic/run.html>`__ explains the
# options. On NVIDIA GPUs, put these lines in place of the two with ``device =``
# and ``"gloo"``, and ``#SBATCH --gpus-per-node=2`` into the Slurm file. ``fit``
# needs no change. (This page ran on one machine, without a GPU or Slurm.)
#
# .. code-block:: python
#
#    import os
#
#    local = int(os.environ["LOCAL_RANK"])  # counts on each machine from 0
#    device = torch.device("cuda", local)
#    torch.cuda.set_device(device)
#    dist.init_process_group("nccl")
#
# According to the documentation,
#
# - NCCL needs a GPU for each process, because sharing one can end in a
#   deadlock (:func:`~torch.distributed.init_process_group`),
# - with NCCL, the timeout is 10 minutes (same page),
# - DDP starts the all-reduce of a `bucket
#   <https://docs.pytorch.org/docs/stable/notes/ddp.html>`__ of gradients while
#   ``backward`` still computes the others.
#
# What you learned
# ----------------
# - DDP gives all ranks the weights of rank 0 and the mean gradient.
# - In the loop, three things change: the wrapper, the sampler with
#   ``set_epoch``, and the batch size of each rank. Then the loss is that of one
#   process, if the ranks have equally many examples, and the network has no
#   batch normalization or dropout.
# - Train with the wrapper. With ``net.module(x)``, the ranks drift apart
#   without an error.
# - When a process was killed, torchrun ends the job within seconds. With a
#   checkpoint, ``fit`` continues it.
#
# Exercises
# ---------
# 1. **Predict.** Ten items are shared out among four ranks, without shuffling.
#    Which items come twice? The network is wrong on items 0 and 1, and right on
#    the other eight. Which accuracy do the four ranks measure together?
# 2. **Change.** Somebody forgets to halve the batch size, and uses 64 on each
#    of two ranks. What is the loss after three epochs? You can find out with
#    one process.
# 3. **Extend.** Let rank 0 have three of the four points, and rank 1 the last
#    one. Which gradient does DDP compute? By what must each rank multiply its
#    loss, so that the mean is −30 again?

# %%
# .. answer:: 1
#
#    Items 0 and 1 come twice. So 8 of 12 are right, 67%, in place of 80%. To
#    count each item once, let rank r evaluate the items r, r + 4 and so on, and
#    add up the numbers of right answers and of items.

right = torch.ones(10)
right[:2] = 0
served = []
for rank in range(4):
    sampler = DistributedSampler(
        range(10), num_replicas=4, rank=rank, shuffle=False
    )
    served.extend(list(sampler))
print(served)
print(f"measured {right[served].mean():.2f}, true {right.mean():.2f}")

counts = torch.zeros(2)
for rank in range(4):
    own = right[rank::4]
    counts += torch.tensor([own.sum(), len(own)])  # stands for an all-reduce
print(f"each item once {counts[0] / counts[1]:.2f}")

# %%
# .. check::

assert sorted(served) == [0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9], "0, 1 twice"
assert abs(right[served].mean() - 8 / 12) < 1e-6, "8 of 12"
assert counts.tolist() == [8, 10], "8 of 10"

# %%
# .. answer:: 2
#
#    A batch of all ranks now has 128 digits, so there are only half as many
#    steps. At the same learning rate, the network has learned less. Usually one
#    also raises the learning rate.

sampler = DistributedSampler(data, num_replicas=1, rank=0)
large_loss, _ = loop(network(), sampler, batch_size=128)
print(f"64: loss {one_loss:.2f}, 128: loss {large_loss:.2f}")

# %%
# .. check::

assert large_loss > one_loss + 0.2, "learned less"

# %%
# .. answer:: 3
#
#    DDP takes the plain mean, −41.33. Each rank must multiply its loss by the
#    number of ranks times its share of the points, here 2 · ¾ and 2 · ¼.
#    ``fit`` does this.

nn.init.zeros_(line.weight)
three = gradient(line, points[:3])
one = gradient(line, points[3:])
plain = (three + one) / 2
weighted = (2 * 0.75 * three + 2 * 0.25 * one) / 2
print(f"{plain:.2f}, {weighted:.2f}")
temporary.cleanup()

# %%
# .. check::

assert abs(plain + 41.33) < 0.01, "the plain mean"
assert abs(weighted + 30) < 1e-3, "the gradient of all four"
