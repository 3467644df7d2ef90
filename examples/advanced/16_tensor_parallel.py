"""
Tensor parallelism with DTensor
===============================

How can two processes compute with a layer that neither of them has whole?

FSDP divides the weights of a network, but it collects each layer before the
layer computes. So for a moment, every GPU must hold a whole layer. Tensor
parallelism divides the computation itself. Each process multiplies with its own
piece of the weights, and only results travel.

After this lesson you can

- cut two layers by hand so that the parts add up to the right output
- let ``parallelize_module`` do it, and count the bytes and the collectives
- avoid dividing the batches as for FSDP, which is wrong here and raises no
  error
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.nn.functional import cross_entropy

from handbook import datasets, torchrun

torch.manual_seed(0)

# %%
# Two halves of a product
# -----------------------
# We begin with two layers so small that you can check them in your head. They
# have no bias, and the ReLU between them can wait.

x = torch.tensor([1.0, 2.0])
first = torch.tensor([[1.0, -4.0], [2.0, 6.0]])
second = torch.tensor([[1.0], [5.0]])
hidden = x @ first
print("hidden", hidden.tolist(), "output", (hidden @ second).tolist())

# %%
# Now we cut ``first`` into its two columns, and ``second`` into its two rows.
# The hidden number 5 = 1·1 + 2·2 needs only the left column of ``first``, and
# it is multiplied only by the top row of ``second``. So a rank that has just
# these two pieces can compute its part of the output.

first_left, first_right = first.chunk(2, dim=1)
second_top, second_bottom = second.chunk(2, dim=0)
part_0 = x @ first_left @ second_top
part_1 = x @ first_right @ second_bottom
print("parts", part_0.item(), part_1.item())
print("sum", (part_0 + part_1).item())

# %%
# .. alt:: The numbers of x, first, hidden, second and the parts, from left to
#    right. The left column of first, the hidden 5, the top row of second and
#    the part 5 are blue. The right column, the hidden 8, the bottom row and the
#    part 40 are orange. Below the parts stands their sum, 45.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 2.3), layout="constrained")
cells = [(0, 0.5, "1", "C7"), (1, 0.5, "2", "C7")]
cells += [(2.6, 0, "1", "C0"), (2.6, 1, "2", "C0")]
cells += [(3.6, 0, "−4", "C1"), (3.6, 1, "6", "C1")]
cells += [(5.2, 0.5, "5", "C0"), (6.2, 0.5, "8", "C1")]
cells += [(7.8, 0, "1", "C0"), (7.8, 1, "5", "C1")]
cells += [(9.4, 0, "5", "C0"), (9.4, 1, "40", "C1")]
for column, row, number, color in cells:
    box = {"boxstyle": "round,pad=0.4", "facecolor": color, "alpha": 0.4}
    axis.text(column, row, number, ha="center", va="center", bbox=box)
names = ["x", "first", "hidden", "second", "parts"]
for column, name in zip([0.5, 3.1, 5.7, 7.8, 9.4], names, strict=True):
    axis.text(column, -0.9, name, ha="center", va="center")
axis.text(9.4, 1.9, "sum 45", ha="center", va="center")
axis.text(3.6, 1.9, "blue: rank 0, orange: rank 1", ha="center", va="center")
axis.set(xlim=(-0.6, 10.4), ylim=(2.3, -1.3))
axis.set_axis_off()

# %%
# Here rank 0 is blue, and rank 1 is orange. Each rank needs all of ``x``, but
# only half of the weights. A single :term:`all-reduce`
# (:doc:`/lessons/advanced/13_collectives`) then adds the parts. This is called
# :term:`tensor parallelism`.
#
# Why columns for the first layer? Suppose that we cut it into rows, too. Then
# each rank has a part of *both* hidden numbers.

first_top, first_bottom = first.chunk(2, dim=0)
hidden_0 = x[:1] @ first_top
hidden_1 = x[1:] @ first_bottom
print("parts", hidden_0.tolist(), hidden_1.tolist())
print("ReLU of the sum", (hidden_0 + hidden_1).relu().tolist())
print("sum of the ReLUs", (hidden_0.relu() + hidden_1.relu()).tolist())

# %%
# The ReLU has to come after the sum, so the ranks would have to talk once more.
# With columns, each rank has whole hidden numbers, and applies the ReLU to them
# by itself.

# %%
# .. check::

assert (hidden @ second).item() == 45, "45 on one process"
assert part_0.item() == 5, "the part of rank 0"
assert part_1.item() == 40, "the part of rank 1"
assert (x @ first_left).relu().tolist() == [5], "columns: ReLU changes nothing"
assert (x @ first_right).relu().tolist() == [8], "on either rank"
assert (hidden_0 + hidden_1).relu().tolist() == [5, 8], "ReLU of the sum"
assert (hidden_0.relu() + hidden_1.relu()).tolist() == [5, 12], "and 12 for 8"

# %%
# The same with PyTorch
# ---------------------
# ``parallelize_module`` takes a network, the mesh of the ranks
# (:doc:`/lessons/advanced/15_fsdp`) and a *plan*, a dictionary that says for
# each layer, by its name, how to cut it. In a ``Sequential``, the name of a
# layer is its position, from "0". A name that does not exist only gives a
# warning.
#
# - ``ColwiseParallel`` cuts a layer into columns, and leaves each rank with its
#   own part of the output.
# - ``RowwiseParallel`` cuts a layer into rows, expects such a part as its
#   input, and adds the parts of the output by all-reduce.
#
# Columns and rows are those of the formula ``x @ first``. But ``nn.Linear``
# stores the transpose of ``first``, so a column of ``first`` is a *row* of
# ``weight``. The number of hidden numbers must be divisible by the number of
# ranks.
#
# On real data
# ------------
# The network, the digits and the loop are those of the lesson on FSDP. But this
# time, ``rank`` and ``ranks`` keep their defaults, because every rank takes the
# *whole* batch of 64 digits.

train_data, _ = datasets.mnist()
digits = train_data.x[:2048]
labels = train_data.y[:2048]


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10)
    )


# %%
# ``train`` returns the loss of each step and the final loss on all digits.


def train(net, rank=0, ranks=1):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    losses = []
    for start in range(0, len(digits), 64):
        own_x = digits[start : start + 64].chunk(ranks)[rank]
        own_y = labels[start : start + 64].chunk(ranks)[rank]
        loss = cross_entropy(net(own_x), own_y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        return losses, cross_entropy(net(digits), labels).item()


# %%
# As with FSDP, the optimizer comes after the cut, so ``train`` creates it.


def tensor_parallel(mesh):
    net = network()
    plan = {"1": ColwiseParallel(), "3": RowwiseParallel()}
    return parallelize_module(net, mesh, plan)


# %%
# (Layers in the plan are cut from the weights of rank 0. The others stay as
# they are, so give all ranks the same seed.)
#
# The weights are now DTensors. ``look`` shows how each is cut, and counts the
# bytes of a rank.


def look(net):
    own_bytes = 0
    for name, weight in net.named_parameters():
        own = weight.to_local()
        cut = weight.placements[0]
        print(f"{name} {tuple(weight.shape)} {cut!r}, own {tuple(own.shape)}")
        own_bytes += own.nbytes
    return own_bytes


# %%
# ``CommDebugMode`` counts the collectives inside its block.


def count(net, batch):
    with CommDebugMode() as counter:
        loss = cross_entropy(net(batch), labels[:64])
        forward = counter.get_total_counts()
        loss.backward()
    backward = counter.get_total_counts() - forward
    print(f"collectives: {forward} forward, {backward} backward")
    return forward, backward


# %%
# Each rank trains, and then counts twice. The second time the digits need a
# gradient, as if there were layers before. Afterwards it trains another network
# with its own half of every batch, as with FSDP.


def work():
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    net = tensor_parallel(mesh)
    found = {"whole": train(net), "bytes": look(net)}
    batch = digits[:64].clone()
    found["alone"] = count(net, batch)
    found["after layers"] = count(net, batch.requires_grad_())
    found["weight"] = net[1].weight.full_tensor().detach()
    second_net = tensor_parallel(mesh)
    found["halves"] = train(second_net, dist.get_rank(), dist.get_world_size())
    found["half bias"] = second_net[3].bias.to_local().detach()
    dist.destroy_process_group()
    return found


results = torchrun(work, processes=2)

# %%
# Of the first layer, each rank has half of the rows of ``weight``
# (``Shard(dim=0)``) and half of the bias. Of the second, it has half of the
# columns (``Shard(dim=1)``) and the whole bias (``Replicate()``). It adds half
# of this bias to its own part, so the sum contains the bias once.

result = results[0]
net = network()
losses, loss = result["whole"]
_, loss_alone = train(net)
error = (result["weight"] - net[1].weight).abs().max().item()
all_bytes = sum(weight.nbytes for weight in net.parameters())
print(f"training loss {loss:.2f}, on one process {loss_alone:.2f}")
print("first layer: largest difference below 0.0001:", error < 1e-4)
print(f"bytes of each rank {result['bytes']:,}, all {all_bytes:,}")

# %%
# The training is the same as on one process, except for rounding. (Dropout
# between the two layers would be an exception. With the same seed, all ranks
# drop the same positions of their parts.) Each rank has half of the weights,
# and 20 bytes more for the other half of the last bias. The gradients and
# Adam's moments are cut in the same way.
#
# The only collective of a step is the sum of the outputs. If there are layers
# before the two, their gradient is a sum of parts as well, so there is an
# all-reduce in the backward pass, too. Such a sum grows with the batch. What
# FSDP collects does not depend on it.
#
# The price is that all ranks must wait for each sum. FSDP can collect the next
# layer while this one computes. So PyTorch's `tutorial
# <https://docs.pytorch.org/tutorials/intermediate/TP_tutorial.html>`__ uses
# tensor parallelism within one machine, where the GPUs are well connected, and
# FSDP between machines. Then only the ranks of one machine must get the same
# batch.

# %%
# .. check::

assert abs(loss - loss_alone) < 1e-3, "the loss of one process"
assert error < 1e-4, "the weights of one process"
assert all(one["bytes"] == all_bytes / 2 + 20 for one in results), (
    "half and 20 bytes"
)
assert result["alone"] == (1, 0), "one all-reduce, in the forward pass"
assert result["after layers"] == (1, 1), "and one in the backward pass"

# %%
# What goes wrong
# ---------------
# Back to the two small layers. Rank 0 gets the input x again, but rank 1 gets
# 2x. The right outputs are 45 and 90. What does the all-reduce give?

part_of_2x = 2 * x @ first_right @ second_bottom
print("sum", (part_0 + part_of_2x).item())

# %%
# Both ranks get 85, the part 5 of x and the part 80 of 2x. In the second
# training, every output mixed two digits in this way.

half_losses, half_loss = result["halves"]
print(f"last batch: {half_losses[-1]:.1f}, right {losses[-1]:.1f}")
print(f"all digits: {half_loss:.2f}, right {loss:.2f}")

# %%
# .. alt:: The training loss over 32 steps. When both ranks take the whole batch
#    it falls from 2.3 and ends at 0.7. When each takes its own half it falls
#    more slowly, and ends at 1.5.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.4, 2.6), layout="constrained")
axis.plot(half_losses, "C1--", label="each rank its own half")
axis.plot(losses, "C0", label="both ranks the whole batch")
axis.set(xlabel="step", ylabel="training loss of rank 0", ylim=(0, 2.9))
axis.legend(fontsize=8)

# %%
# There is no error, and the loss falls, so this may go unnoticed for a long
# time. On all digits, both ranks have the same input again, so no digits are
# mixed. But the weights have learned from mixed outputs, and the last bias, of
# which each rank has a copy, is no longer the same on both.

bias_0 = results[0]["half bias"]
bias_1 = results[1]["half bias"]
print("the same bias:", torch.allclose(bias_0, bias_1, atol=1e-4))

# %%
# So with tensor parallelism, all ranks must get the same batch.
# :func:`handbook.fit` and :func:`handbook.evaluate` give each rank its own
# part, as DDP and FSDP need, and therefore refuse such a network with an error.

# %%
# .. check::

assert (2 * x @ first @ second).item() == 90, "90 for 2x"
assert (part_0 + part_of_2x).item() == 85, "5 + 80"
assert half_losses[-1] < half_losses[0] - 0.4, "the loss falls"
assert half_losses[-1] > 1.5 * losses[-1], "but stays higher"
assert half_loss > loss + 0.05, "and is worse on all digits"
assert not torch.allclose(bias_0, bias_1, atol=1e-4), (
    "another bias on each rank"
)

# %%
# Recipe
# ------
# Save this as ``script.py``, with ``work()`` in place of the last two lines,
# and start it as in the lesson on FSDP.

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from handbook import datasets, torchrun

known, new = datasets.mnist()
training_set = TensorDataset(known.x[:4096], known.y[:4096])


# %%
# First the network, and its plan.


def tensor_parallel(mesh):
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10)]
    net = nn.Sequential(*layers)
    plan = {"1": ColwiseParallel(), "3": RowwiseParallel()}  # columns, rows
    return parallelize_module(net, mesh, plan)


# %%
# With the same seed, all ranks draw the same batches. There is no
# ``DistributedSampler``.


def train(net):
    adam = torch.optim.Adam(net.parameters(), lr=0.001)  # after the cut
    same = torch.Generator().manual_seed(0)
    loader = DataLoader(training_set, 64, shuffle=True, generator=same)
    for _ in range(2):
        for batch_x, batch_y in loader:
            loss = cross_entropy(net(batch_x), batch_y)
            adam.zero_grad()
            loss.backward()
            adam.step()


# %%
# In the evaluation, too, every rank must call the network with the same digits.


def work():
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    net = tensor_parallel(mesh)
    train(net)
    with torch.no_grad():
        answers = net(known.x[5000:6000]).argmax(1)
        guess = net(new.x[:1]).argmax().item()
    dist.destroy_process_group()
    accuracy = (answers == known.y[5000:6000]).double().mean().item()
    print(f"accuracy {accuracy:.0%}, a new digit: {guess}")
    return accuracy, guess


guesses = torchrun(work, processes=2)
print("the new digit is a", new.y[0].item())

# %%
# This page ran on a CPU. For NVIDIA GPUs, write ``"nccl"`` for ``"gloo"`` and
# ``"cuda"`` for ``"cpu"``, and move the network and all digits and labels to
# the GPU of the rank, as in :doc:`/lessons/advanced/14_ddp`.

# %%
# .. check::

assert all(accuracy > 0.8 for accuracy, _ in guesses), "it has learned"
assert all(guess == new.y[0] for _, guess in guesses), "it is right"
assert guesses[0] == guesses[1], "both ranks agree"

# %%
# What you learned
# ----------------
# - Cut the first of two layers into columns and the second into rows. Then each
#   rank computes whole hidden numbers, and the output is a sum of parts.
# - ``parallelize_module`` with the plan ``ColwiseParallel``, then
#   ``RowwiseParallel``, needs one all-reduce for the two layers in the forward
#   pass, and one in the backward pass if there are layers before them.
# - The training is that of one process, except for rounding, and for dropout
#   between the two layers.
# - All ranks must get the same batch. With different ones of the same size,
#   nothing raises an error, and the loss even falls.
#
# Exercises
# ---------
# 1. **Predict.** How many bytes of weights does each rank have if there are
#    four ranks?
# 2. **Change.** Give the second of the small layers a bias of 10, by hand. What
#    is the output if each rank adds it to its own part?
# 3. **Extend.** An attention layer computes query, key and value in one
#    ``nn.Linear``. Its weight has 12 rows, 4 for the query, then 4 for the key,
#    then 4 for the value. There are two heads, and rank 0 is to compute the
#    first. Which rows does it need, and which would ``ColwiseParallel`` give
#    it? What happens if it takes these for its head?

# %%
# .. answer:: 1
#
#    A quarter of all but the last bias, which stays whole. That is 30 bytes
#    more than a quarter of the whole.

own_numbers = 128 * 784 + 128 + 10 * 128 + 10
print(f"{4 * own_numbers:,} bytes, a quarter of all is {all_bytes / 4:,.0f}")

# %%
# .. check::

assert 4 * own_numbers == all_bytes / 4 + 30, "a quarter, and 30 bytes"

# %%
# .. answer:: 2
#
#    The sum then contains the bias twice, 65 in place of 55. This is why
#    ``RowwiseParallel`` lets each of two ranks add only half of the bias.

bias = 10
half = bias / 2
print("half on each rank", ((part_0 + half) + (part_1 + half)).item())
print("all on each rank", ((part_0 + bias) + (part_1 + bias)).item())

# %%
# .. check::

assert ((part_0 + half) + (part_1 + half)).item() == 55, "once"
assert ((part_0 + bias) + (part_1 + bias)).item() == 65, "twice"

# %%
# .. answer:: 3
#
#    It needs the first two rows for the query, for the key and for the value.
#    It would get the first six rows, which are all four of the query and two of
#    the key. They have the same shape, so nothing fails, but the output is
#    wrong. So give query, key and value a ``Linear`` each, cut all three by
#    ``ColwiseParallel``, and the layer after the heads by ``RowwiseParallel``.
#    Each rank then computes half of the heads.

attention = nn.functional.scaled_dot_product_attention
tokens = torch.randn(5, 4)
weight = torch.randn(12, 4)
query, key, value = (tokens @ weight.T).chunk(3, dim=1)
right = attention(query[:, :2], key[:, :2], value[:, :2])  # the first head
needed = torch.cat([part[:2] for part in weight.chunk(3)])
is_right = {}
for name, rows in [("needed", needed), ("first six", weight[:6])]:
    own_query, own_key, own_value = (tokens @ rows.T).chunk(3, dim=1)
    own = attention(own_query, own_key, own_value)
    is_right[name] = torch.allclose(own, right, atol=1e-5)
    print(f"{name} rows: shape {tuple(own.shape)}, {is_right[name]}")

# %%
# .. check::

assert torch.equal(needed, weight[[0, 1, 4, 5, 8, 9]]), "two rows of each"
assert is_right["needed"], "the output of the first head"
assert not is_right["first six"], "another output"
