"""
Collectives and process groups
==============================

Two processes share no memory. How do they arrive at the same gradient?

Training on several GPUs usually takes several processes. Each has its own copy
of the network and sees only its own part of a batch, so each computes a
different gradient. Before the step, they have to agree on one. They do it with
*collectives*, calls in which all processes take part.

After this lesson you can

- start a function on two processes, and tell which of them you are in
- combine tensors with all-reduce, broadcast and all-gather
- compute the right gradient from unequal parts, and avoid a mix-up that raises
  no error
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets, torchrun

torch.manual_seed(0)

# %%
# Two processes
# -------------
# A process is a running program with memory of its own. This is the usual way
# to start two:
#
# .. code-block:: bash
#
#    torchrun --nproc-per-node=2 script.py
#
# ``torchrun`` comes with PyTorch. It runs the same script in two processes, and
# tells each of them its number, the *rank*, here 0 or 1. (A *node* is a
# machine, and ``nproc`` is the number of processes on it.)
#
# In a notebook there is no script. So :func:`handbook.torchrun` lets the real
# torchrun call a function in two processes. It prints their lines, each with
# its rank in front, and returns a list of what they returned.
#
# Three collectives
# -----------------
# Suppose that rank 0 owns the numbers 1 and 2, and rank 1 the numbers 3 and 4.
# The function ``work`` runs in both processes. Read it as if you were one of
# them, first rank 0, then rank 1.

start = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def work():
    dist.init_process_group("gloo")
    own = start[dist.get_rank()]
    total = own.clone()
    dist.all_reduce(total)
    received = own.clone()
    dist.broadcast(received, src=0)
    gathered = torch.zeros(4)
    dist.all_gather_single(gathered, own)
    dist.destroy_process_group()
    print("all-reduce", total.tolist())
    print("broadcast", received.tolist())
    print("all-gather", gathered.tolist())
    return {"all-reduce": total, "broadcast": received, "all-gather": gathered}


# %%
# - ``init_process_group`` waits until both processes are there, and connects
#   them into a *process group*. The *backend* is the library that carries the
#   messages. ``"gloo"`` does it for the CPU. For NVIDIA GPUs, the
#   `documentation <https://docs.pytorch.org/docs/stable/distributed.html>`__
#   recommends ``"nccl"``. Then each process puts its tensors on a GPU of its
#   own, whose number is in the environment variable ``LOCAL_RANK``.
# - ``get_rank`` returns the rank of this process. Both have a copy of
#   ``start``, and each takes the row with its own number.
# - ``all_reduce`` adds up the tensors of all ranks, which must have the same
#   shape and dtype. (Addition is the default of its option ``op``.) The sum
#   replaces the tensor, on every rank. So we give it a clone, not ``own``.
# - ``broadcast`` sends the tensor of rank ``src`` to all. (It has nothing to do
#   with the :term:`broadcasting` of shapes.)
# - ``all_gather_single`` puts the tensors of all ranks side by side. Older code
#   calls it ``all_gather_into_tensor``.
# - ``destroy_process_group`` closes the connections. Every process should end
#   with it.
#
# Before you run the next line, say what each rank will hold after each call.

held = torchrun(work, processes=2)

# %%
# .. alt:: What rank 0 and rank 1 hold before and after each collective. Before,
#    they hold 1, 2 and 3, 4. After all-reduce, both hold 4, 6. After broadcast,
#    both hold 1, 2. After all-gather, both hold 1, 2, 3, 4.

# %%
# .. drawing::

figure, axes = plt.subplots(3, 1, figsize=(4.4, 4.4), layout="constrained")
for axis, name in zip(
    axes, ["all-reduce", "broadcast", "all-gather"], strict=True
):
    axis.set(title=name, xlim=(-0.7, 7.7), ylim=(1.6, -0.6))
    axis.set_yticks([0, 1], ["rank 0", "rank 1"])
    axis.set_xticks([0.5, 5.5], ["before", "after"])
    for rank in range(2):
        after = held[rank][name].tolist()
        left = 5.5 - (len(after) - 1) / 2
        cells = list(enumerate(start[rank].tolist()))
        cells += [(left + i, value) for i, value in enumerate(after)]
        for place, value in cells:
            color = "C0" if value < 3 else "C1"
            if name == "all-reduce" and place > 2:
                color = "C2"
            box = {"boxstyle": "round", "facecolor": color, "alpha": 0.35}
            axis.text(
                place, rank, f"{value:.0f}", ha="center", va="center", bbox=box
            )

# %%
# All-reduce adds place by place, 1 + 3 and 2 + 4. After each of the three, both
# ranks hold the same numbers, as we need for the gradient.

# %%
# .. check::

assert all(own["all-reduce"].tolist() == [4, 6] for own in held), "the sum"
assert all(own["broadcast"].tolist() == [1, 2] for own in held), "of rank 0"
assert all(own["all-gather"].tolist() == [1, 2, 3, 4] for own in held), "all"

# %%
# On real data
# ------------
# For a batch of 64 digits and for four parts of it, we compute the gradient of
# the mean loss of a small network, as one vector.

train, _ = datasets.mnist()
x = train.x[:64]
y = train.y[:64]
model = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)
)

gradients = {}
for begin, end in [(0, 64), (0, 32), (32, 64), (0, 48), (48, 64)]:
    model.zero_grad()
    cross_entropy(model(x[begin:end]), y[begin:end]).backward()
    parts = [parameter.grad.flatten() for parameter in model.parameters()]
    gradients[begin, end] = torch.cat(parts)
whole = gradients[0, 64]
print(len(whole), "numbers")

# %%
# How do we get the gradient of the whole batch from those of two parts? One
# process is enough to find out. We try the plain mean, and a weighted mean:
# multiply each gradient by the number of digits in its part, add, and divide by
# 64. With texts, unequal parts are usual, because one part has more tokens than
# the other.

plain_error = {}  # by the size of the first part
weighted_error = {}
for size in [32, 48]:
    first = gradients[0, size]
    second = gradients[size, 64]
    plain = (first + second) / 2
    weighted = (size * first + (64 - size) * second) / 64
    plain_error[size] = ((plain - whole).norm() / whole.norm()).item()
    weighted_error[size] = ((weighted - whole).norm() / whole.norm()).item()
    print(f"{size} + {64 - size} digits: plain mean off by", end=" ")
    print(f"{plain_error[size]:.1g}, weighted by {weighted_error[size]:.1g}")

# %%
# Each error is the length of the difference from the right gradient, divided by
# the length of the right one. With equal parts, both ways are right except for
# rounding. With 48 and 16, the plain mean is off by about 30%, because each of
# the 16 digits counts as much as three of the 48. No error is raised.
#
# The weighted mean is right both times. In its formula, 48 times the *mean*
# over 48 digits is the *sum* over them. So each process can compute the sum
# over its own digits (``reduction="sum"``; gradients add up, see
# :doc:`/lessons/autograd/02_accumulation`), and count them. All-reduce adds up
# both, and each process divides at the very end.

# %%
# .. check::

assert len(whole) == 25_450, "25,450 numbers"
assert plain_error[32] < 1e-5, "equal parts: right"
assert weighted_error[32] < 1e-5, "equal parts, weighted: right"
assert weighted_error[48] < 1e-5, "unequal parts, weighted: right"
assert abs(plain_error[48] - 0.3) < 0.05, "about 30%"

# %%
# What goes wrong
# ---------------
# Say that the losses of rank 0 sum to 100 over 48 digits, and those of rank 1
# to 40 over 16.

losses = torch.tensor([100.0, 40.0])
counts = torch.tensor([48.0, 16.0])
print(f"mean loss {losses.sum() / counts.sum():.2f}")

# %%
# Suppose we make a mistake and let rank 1 make the two calls in the other
# order. What will happen?


def work():
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    loss = losses[rank].clone()
    count = counts[rank].clone()
    if rank == 0:
        dist.all_reduce(loss)
        dist.all_reduce(count)
    else:
        dist.all_reduce(count)
        dist.all_reduce(loss)
    dist.destroy_process_group()
    print(f"loss {loss:.0f} / count {count:.0f} = {loss / count:.2f}")
    return loss.item(), count.item()


results = torchrun(work, processes=2)

# %%
# .. alt:: The first call of rank 0 brings its loss, 100, and that of rank 1 its
#    count, 16, together 116. The second call of rank 0 brings its count, 48,
#    and that of rank 1 its loss, 40, together 88.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.4, 2.4), layout="constrained")
table = [
    ["loss 100", "count 48"],
    ["count 16", "loss 40"],
    ["sum 116", "sum 88"],
]
for row, words in enumerate(table):
    for call, word in enumerate(words):
        color = "C0" if word.startswith("loss") else "C1"
        if word.startswith("sum"):
            color = "C2"
        box = {"boxstyle": "round", "facecolor": color, "alpha": 0.35}
        axis.text(call, row, word, ha="center", va="center", bbox=box)
axis.set_xticks([0, 1], ["first call", "second call"])
axis.set_yticks([0, 1, 2], ["rank 0", "rank 1", "both get"])
axis.set(xlim=(-0.6, 1.6), ylim=(2.5, -0.5))

# %%
# There is no error. Both results look plausible and are wrong. A collective
# does not know the names of our variables. It joins the first call of one rank
# with the first call of the other, so the loss of rank 0 was added to the count
# of rank 1.
#
# A loop over a *set* of names, such as ``for name in {"loss", "count"}``, can
# do the same, because Python may order a set of strings differently in each
# process. ``sorted`` gives them one order.
#
# Another mistake is that not every rank makes the call, as below
# ``if rank == 0``. Those that call wait for the others, at most for the
# ``timeout`` of :func:`~torch.distributed.init_process_group`, and then fail.
# So every rank must make the same calls in the same order.

# %%
# .. check::

assert abs(losses.sum() / counts.sum() - 2.19) < 0.005, "the mean loss"
assert results[0] == (116, 88), "100 + 16 and 48 + 40"
assert results[1] == (88, 116), "the other way round"

# %%
# Recipe
# ------
# This is one step of training, for any number of processes.

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import datasets, torchrun

digits, _ = datasets.mnist()
images = digits.x[:65]
labels = digits.y[:65]

# %%
# This function leaves the mean gradient of all digits in ``.grad`` and returns
# their mean loss. The loss and the count are in one tensor, so they cannot be
# mixed up. The all-reduces of the gradients follow in the order of
# ``net.parameters()``, which is the same on every rank.


def backward_on_all_ranks(net, x, y):
    net.zero_grad()
    loss = cross_entropy(net(x), y, reduction="sum")
    loss.backward()
    totals = torch.tensor([loss.item(), len(y)])
    dist.all_reduce(totals)
    for parameter in net.parameters():
        dist.all_reduce(parameter.grad)
        parameter.grad /= totals[1]
    return totals[0] / totals[1]


# %%
# Each rank starts with different weights, on purpose, and then gets those of
# rank 0 by broadcast. ``get_world_size`` returns the number of processes.


def work():
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    torch.manual_seed(rank)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    for parameter in net.parameters():
        dist.broadcast(parameter.detach(), src=0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    own_images = images.tensor_split(dist.get_world_size())[rank]
    own_labels = labels.tensor_split(dist.get_world_size())[rank]
    loss = backward_on_all_ranks(net, own_images, own_labels)
    optimizer.step()
    dist.destroy_process_group()
    print(f"{len(own_labels)} digits, mean loss of all {loss:.4f}")
    return net[1].weight.detach()


# %%
# The next cell starts two processes, and compares them with the same step in
# one. In a script for ``torchrun``, write ``work()`` in place of this cell,
# since there every process runs the whole file. PyTorch's
# ``DistributedDataParallel`` makes the broadcast and the all-reduces for you,
# but it takes the plain mean of the ranks.

weights = torchrun(work, processes=2)

torch.manual_seed(0)  # the first weights of rank 0
alone = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
alone_loss = cross_entropy(alone(images), labels)
alone_loss.backward()
torch.optim.SGD(alone.parameters(), lr=0.1).step()
error = (weights[0] - alone[1].weight).abs().max().item()
same = torch.equal(weights[0], weights[1])
print(f"in one process: loss {alone_loss:.4f}, weights off by {error:.1g}")
print("equal on both ranks, bit for bit:", same)

# %%
# .. check::

assert error < 1e-6, "the weights of one process"
assert same, "the same on both ranks"

# %%
# What you learned
# ----------------
# - ``torchrun`` starts the same script in several processes. Each learns its
#   rank, and joins the others by ``init_process_group``.
# - All-reduce gives everyone the sum, broadcast the tensor of one rank, and
#   all-gather the tensors of all.
# - Add up sums and counts, and divide at the end. A plain mean of means is
#   wrong when the parts are unequal.
# - Collectives are matched by their order. Every rank makes the same calls in
#   the same order.
#
# Exercises
# ---------
# 1. **Predict.** Three ranks own [1, 2], [3, 4] and [5, 6]. What does each of
#    them hold after an all-reduce, after a broadcast with ``src=2``, and after
#    an all-gather?
# 2. **Change.** Cut the 64 digits into 63 and 1. How wrong is the plain mean?
# 3. **Extend.** Write an all-reduce in which each of three ranks only ever
#    sends to the next one, and rank 2 to rank 0. In one process, take a tensor
#    with a row of three numbers for each rank. Cut each row into three pieces,
#    and let a rank send one piece at a time. How many pieces does each rank
#    send in all?

# %%
# .. answer:: 1
#
#    All three hold the same: the sum [9, 12], then [5, 6], then the numbers
#    from 1 to 6.

owned = torch.tensor([[1, 2], [3, 4], [5, 6]])
total = owned.sum(dim=0).tolist()
received = owned[2].tolist()
gathered = owned.flatten().tolist()
print(total, received, gathered)

# %%
# .. check::

assert total == [9, 12], "the sum"
assert received == [5, 6], "the numbers of rank 2"
assert gathered == [1, 2, 3, 4, 5, 6], "all"

# %%
# .. answer:: 2
#
#    It is useless: the error is larger than the gradient itself, because one
#    digit counts as much as the 63 others together.

for begin, end in [(0, 63), (63, 64)]:
    model.zero_grad()
    cross_entropy(model(x[begin:end]), y[begin:end]).backward()
    parts = [parameter.grad.flatten() for parameter in model.parameters()]
    gradients[begin, end] = torch.cat(parts)
plain = (gradients[0, 63] + gradients[63, 64]) / 2
weighted = (63 * gradients[0, 63] + gradients[63, 64]) / 64
plain_off = ((plain - whole).norm() / whole.norm()).item()
weighted_off = ((weighted - whole).norm() / whole.norm()).item()
print(f"plain mean off by {plain_off:.1f}, weighted by {weighted_off:.1g}")

# %%
# .. check::

assert plain_off > 1, "larger than the gradient"
assert weighted_off < 1e-5, "right"

# %%
# .. answer:: 3
#
#    Here each piece is one number. In the first two rounds, each rank sends one
#    piece, and the next rank adds it to its own. After that, every rank has one
#    complete sum. In two more rounds, the sums are handed on. This is called
#    *ring all-reduce*. Each rank sends four numbers. With an all-gather in
#    which every rank sends its three numbers to the two others, it would send
#    six.

ring = torch.tensor([[1, 2, 3], [10, 20, 30], [100, 200, 300]])
sent = torch.tensor([0, 0, 0])
for turn in range(4):
    before = ring.clone()
    for rank in range(3):
        following = (rank + 1) % 3  # 1, 2, 0
        piece = (rank - turn) % 3
        sent[rank] += 1
        if turn < 2:
            ring[following, piece] += before[rank, piece]
        else:
            ring[following, piece] = before[rank, piece]
    print(ring.tolist())
print("sent", sent.tolist())

# %%
# .. check::

assert (ring == torch.tensor([111, 222, 333])).all(), "the sum, on each rank"
assert sent.tolist() == [4, 4, 4], "each rank sends four numbers"
