"""
FSDP2: sharded data parallelism
===============================

How can two processes train one network if each keeps only half of it?

With data parallelism, every process has the whole network, its gradients and
the state of the optimizer. The largest network is then the one that fits on
*one* GPU, however many you have. Fully sharded data parallelism (FSDP) divides
all of this among the processes.

After this lesson you can

- count by hand the bytes that training needs, on one process and on several
- shard a network with ``fully_shard``, and check the count and the loss
- avoid the order of two lines that learns nothing and raises no error
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.functional import cross_entropy

from handbook import datasets, torchrun

torch.manual_seed(0)

# %%
# Count the bytes
# ---------------
# Our network has two layers and reads digits.


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10)
    )


weights = sum(parameter.numel() for parameter in network().parameters())
print(weights, "weights")

# %%
# Each weight is a ``float32`` number of 4 bytes. In training it also has a
# gradient, as large as itself. Adam (:doc:`/lessons/networks/04_optimizers`)
# keeps two more numbers for each weight, a running mean of its gradient and one
# of the squared gradient. They are called the *moments*. So each weight takes 4
# numbers, or 16 bytes. (Adam's step counters are too small to count. The
# activations come on top.)
#
# Suppose that two ranks share all of this equally. How many bytes does each
# need?

predicted = {"weights": 4 * weights / 2}
predicted["gradients"] = 4 * weights / 2
predicted["moments"] = 2 * 4 * weights / 2
for name, count in predicted.items():
    print(f"{name} {count:,.0f} bytes")
print(f"all {sum(predicted.values()):,.0f}, on one process {16 * weights:,}")
print(f"7 billion weights: {16 * 7} GB, on 8 ranks {16 * 7 / 8:.0f} GB each")

# %%
# A language model with seven billion weights needs 112 GB in the same way,
# before it has seen a single text.

# %%
# .. check::

assert weights == 784 * 512 + 512 + 512 * 10 + 10, "weights and biases"
assert sum(predicted.values()) * 2 == 16 * weights, "half of 16 bytes each"

# %%
# Four weights on two ranks
# -------------------------
# We begin with a layer of four weights, and a function for each rank to run.


def toy(mesh):
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    fully_shard(layer, mesh=mesh)
    shape = tuple(layer.weight.shape)
    own = layer.weight.to_local()
    whole = layer.weight.full_tensor()
    print(f"shape {shape}, own {own.tolist()}, whole {whole.tolist()}")
    print(f"{layer.weight.nbytes} bytes, own {own.nbytes}")
    output = layer(torch.ones(2)).tolist()
    print("output", output)
    return output


# %%
# - ``fully_shard`` cuts each weight along its first dimension, as ``chunk``
#   does, and each rank keeps one piece, its shard (see :term:`sharding`). It
#   changes the layer itself.
# - The weight is now a ``DTensor``, a *distributed tensor*. It has the shape of
#   the whole, but its numbers are spread over the ranks.
# - ``to_local`` returns the piece of this rank, an ordinary tensor.
# - ``full_tensor`` collects the whole by all-gather
#   (:doc:`/lessons/advanced/13_collectives`), so every rank must call it.
# - The *mesh* says which ranks share the weight, and on what kind of device.
#   Below, ``init_device_mesh`` makes one of all ranks, on the CPU. Without a
#   mesh, ``fully_shard`` takes the accelerator if there is one.
#
# The output is that of the layer for a vector of ones. Before you read on, what
# does rank 0 print there? Its own piece, [1, 2], is enough for only one of the
# two numbers.
#
# On real data
# ------------
# The loop is that of one process, except that each rank takes its own part of
# every batch, here 32 of 64 digits.

train_data, test_data = datasets.mnist()
x = train_data.x[:2048]
y = train_data.y[:2048]


def train(net, optimizer, rank=0, ranks=1):
    losses = []
    for start in range(0, len(x), 64):
        own_x = x[start : start + 64].chunk(ranks)[rank]
        own_y = y[start : start + 64].chunk(ranks)[rank]
        loss = cross_entropy(net(own_x), own_y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        return losses, cross_entropy(net(x), y).item()


# %%
# The next function prints the shapes and counts the bytes of this rank. Adam's
# moments are in ``optimizer.state``, under these two names.


def look(net, optimizer):
    found = {"weights": 0, "gradients": 0, "moments": 0}
    for name, weight in net.named_parameters():
        own = weight.to_local()
        print(f"{name} {tuple(weight.shape)}, own {tuple(own.shape)}")
        found["weights"] += own.nbytes
        found["gradients"] += weight.grad.to_local().nbytes
        for moment in ["exp_avg", "exp_avg_sq"]:
            moments = optimizer.state[weight][moment]
            found["moments"] += moments.to_local().nbytes
    return found


# %%
# Now each rank builds the whole network and shards first the two layers, and
# then the network around them. Then it makes the optimizer and trains. (The
# seed must be the same on all ranks, because each cuts its piece from its own
# copy. For a network that is too large to be built whole, see PyTorch's
# `tutorial
# <https://docs.pytorch.org/tutorials/intermediate/FSDP_tutorial.html>`__.)


def sharded(mesh):
    net = network()
    for module in [net[1], net[3], net]:
        fully_shard(module, mesh=mesh)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    losses, loss = train(net, optimizer, dist.get_rank(), dist.get_world_size())
    found = look(net, optimizer)
    return losses, loss, found, net[1].weight.full_tensor().detach()


# %%
# One start is enough for the toy, for this training, and for a second one, in
# which the optimizer is made a little earlier. Would you have noticed?


def work():
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    output = toy(mesh)
    late = sharded(mesh)
    net = network()
    old = net[1].weight
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    for module in [net[1], net[3], net]:
        fully_shard(module, mesh=mesh)
    losses, loss = train(net, optimizer, dist.get_rank(), dist.get_world_size())
    dist.destroy_process_group()
    early = losses, loss, old is net[1].weight, old.grad is None, old.nbytes
    return {"toy": output, "late": late, "early": early}


results = torchrun(work, processes=2)

# %%
# The first three lines of each rank are those of the toy. The output is [3, 7]
# on both, although neither keeps all four weights. Before a layer computes, its
# weights are collected by all-gather, and afterwards the pieces of the others
# are dropped. (We sharded layer by layer so that not all layers are whole at
# the same time. Those that are whole come on top of our count.)
#
# In the backward pass, the gradients are averaged over the ranks, which is
# right because all have equally many digits. Each rank receives only the mean
# for its own piece. This collective is called *reduce-scatter*.
#
# The other lines show the real network. Each rank has half of the rows. Do the
# bytes agree with our count?

losses, loss, found, weight = results[0]["late"]
for name, count in found.items():
    print(f"{name} {count:,} bytes, as predicted: {count == predicted[name]}")

net = network()
adam = torch.optim.Adam(net.parameters(), lr=0.001)
_, loss_alone = train(net, adam)
error = (weight - net[1].weight).abs().max().item()
print(f"loss {loss:.3f}, on one process {loss_alone:.3f}")
print("weights of the first layer equal to 0.00001:", error < 1e-5)

# %%
# .. alt:: Bars of millions of bytes, stacked from weights, gradients and
#    moments. One process needs 6.5. With data parallelism, each of two ranks
#    needs 6.5, too. With FSDP, each needs 3.3.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.4, 2.8), layout="constrained")
columns = ["one process", "DDP, each rank", "FSDP, each rank"]
bottom = torch.zeros(3)
for name, count in found.items():
    heights = torch.tensor([2 * count, 2 * count, count]) / 1e6
    axis.bar(columns, heights, bottom=bottom, label=name, width=0.6)
    bottom += heights
axis.set_ylabel("millions of bytes")
axis.set_ylim(0, 9.5)
axis.legend(ncols=3, loc="upper center", fontsize=8)

# %%
# Nothing is lost. The training is that of one process, except for rounding, and
# each rank keeps half of the bytes. In the figure, DDP is the way of
# ``DistributedDataParallel``, in which every rank has a full copy.
#
# Take care when you count. As the toy shows, ``nbytes`` of a DTensor is that of
# the whole. Only ``to_local`` tells you what lies on this rank.

# %%
# .. check::

assert all(own["toy"] == [3, 7] for own in results), "both outputs"
assert all(own["late"][2] == predicted for own in results), "as predicted"
assert abs(loss - loss_alone) < 1e-4, "the loss of one process"
assert error < 1e-5, "the weights of one process"

# %%
# What goes wrong
# ---------------
# Now to the optimizer that was made too early.

early_losses, early_loss, same, no_gradient, early_bytes = results[0]["early"]
with torch.no_grad():
    untrained_loss = cross_entropy(network()(x), y).item()
print(f"loss untrained {untrained_loss:.3f}, trained {early_loss:.3f}")
print("the optimizer has the weight of the network:", same)
print("the weight that it has got no gradient:", no_gradient)
print(f"and is still whole: {early_bytes:,} bytes")

# %%
# .. alt:: The loss of rank 0 over 32 steps. With the optimizer made after
#    sharding, it falls from 2.3 to below 1. With the optimizer made before, it
#    stays at 2.3.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.4, 2.6), layout="constrained")
axis.plot(early_losses, "C1--", label="optimizer before fully_shard")
axis.plot(losses, "C0", label="optimizer after fully_shard")
axis.set(xlabel="step", ylabel="loss", ylim=(0, 2.9))
axis.legend(fontsize=8)

# %%
# There is no error, and nothing was learned. ``fully_shard`` replaces each
# weight by a new one, a DTensor. The optimizer still has the old ones, which no
# longer belong to any network. They never receive a gradient, and Adam passes
# over weights without one. It also keeps the old weights in memory, where they
# take as much as before.
#
# So the rule is ``fully_shard`` first, and then, on the next line, the
# optimizer. Do not run the network in between, which can leave its weights
# collected. An optimizer made at that moment has the wrong ones, too (`as
# reported here <https://github.com/pytorch/pytorch/issues/149205>`__).

# %%
# .. check::

assert abs(early_loss - untrained_loss) < 1e-4, "nothing was learned"
assert loss < early_loss / 2, "and in the right order, much was"
assert not same, "another weight"
assert no_gradient, "without a gradient"
assert early_bytes == 4 * 784 * 512, "whole"

# %%
# Recipe
# ------
# Save this as ``script.py``, with ``work()`` in place of the last cell, and
# start it by
#
# .. code-block:: bash
#
#    torchrun --nproc-per-node=2 script.py

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from handbook import Batches, classification_step, datasets, fit, torchrun

digits, new_digits = datasets.mnist()
batches = Batches(digits.x[:4096], digits.y[:4096], batch_size=64, shuffle=True)
val = Batches(digits.x[5000:6000], digits.y[5000:6000], batch_size=500)

# %%
# First come the network and its shards.


def sharded_network():
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10)]
    net = nn.Sequential(*layers)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for module in [net[1], net[3], net]:  # layers first, then the whole
        fully_shard(module, mesh=mesh)
    return net


# %%
# :func:`handbook.fit` is called as on one process. To a network that is
# sharded, it leaves the averaging of the gradients. It refuses an optimizer
# that does not have the weights of the network. The ``batch_size`` is that of
# all ranks together.


def work():
    dist.init_process_group("gloo")
    net = sharded_network()
    adam = torch.optim.Adam(net.parameters(), lr=0.001)  # after fully_shard
    history = fit(
        net, batches, classification_step, optimizer=adam, epochs=2, val=val,
        device="cpu", progress=False,
    )  # fmt: skip
    guess = net(new_digits.x[:1]).argmax().item()  # every rank must call it
    dist.destroy_process_group()
    print(f"accuracy {history[-1]['val_accuracy']:.0%}, a new digit: {guess}")
    return history[-1]["val_accuracy"], guess


# %%
# The last cell starts two processes.

guesses = torchrun(work, processes=2)
print("the new digit is a", new_digits.y[0].item())

# %%
# This page ran on a CPU. For NVIDIA GPUs, write ``"nccl"`` for ``"gloo"`` and
# ``"cuda"`` for ``"cpu"``. ``fully_shard`` then moves the pieces to the GPU of
# each rank. How the collectives overlap with computing there is described in
# its `documentation
# <https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html>`__.

# %%
# .. check::

assert all(accuracy > 0.8 for accuracy, _ in guesses), "it has learned"
assert all(guess == new_digits.y[0] for _, guess in guesses), "it is right"

# %%
# What you learned
# ----------------
# - Training with Adam in ``float32`` takes 16 bytes for each weight, and
#   activations. FSDP divides the 16 bytes by the number of ranks.
# - ``fully_shard`` turns each weight into a DTensor. It has the shape of the
#   whole, and ``to_local`` returns the piece of this rank.
# - The training is that of one process, except for rounding.
# - First ``fully_shard``, then the optimizer. The other order learns nothing
#   and raises no error.
#
# Exercises
# ---------
# 1. **Predict.** The last layer has 10 rows. How many of them does each rank
#    keep on 4 ranks, and on 8? (It is cut as by ``chunk``.)
# 2. **Change.** Take SGD with momentum in place of Adam. How many bytes does
#    each of two ranks need?
# 3. **Extend.** Do three steps of FSDP by hand, in one process. Take four
#    weights for two ranks, let each rank compute the gradient from its own part
#    of the data, and give each an Adam of its own for its own half. Compare
#    with one Adam for all four.

# %%
# .. answer:: 1
#
#    On 4 ranks 3, 3, 3 and 1. On 8 ranks the first five keep 2 rows each, and
#    the last three nothing at all. So "divided by the number of ranks" is exact
#    only where the rows can be divided.

rows = torch.arange(10)
rows_of_4 = [len(piece) for piece in rows.chunk(4)]
rows_of_8 = [len(piece) for piece in rows.chunk(8)]
print(rows_of_4, rows_of_8)

# %%
# .. check::

assert rows_of_4 == [3, 3, 3, 1], "on 4 ranks"
assert rows_of_8 == [2, 2, 2, 2, 2], "on 8 ranks, three have none"

# %%
# .. answer:: 2
#
#    SGD with momentum keeps one number for each weight. With the weight and its
#    gradient, that makes 12 bytes, and 6 on each of two ranks.

net = network()
sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
cross_entropy(net(x), y).backward()
sgd.step()
momentum_bytes = 0
for weight in net.parameters():
    momentum_bytes += sgd.state[weight]["momentum_buffer"].nbytes
each = (4 * weights + 4 * weights + momentum_bytes) / 2
print(f"{each:,.0f} bytes, {each / weights:.0f} for each weight")

# %%
# .. check::

assert each == 6 * weights, "6 bytes for each weight"

# %%
# .. answer:: 3
#
#    The mean of the two gradients, cut in half, is the reduce-scatter. To put
#    the halves together is the all-gather. The weights are equal, because Adam
#    treats each weight by itself.

data = torch.arange(24.0).reshape(6, 4).sin()
target = torch.tensor([1.0, 2.0, 3.0, 4.0])
halves = [torch.zeros(2), torch.zeros(2)]
optimizers = [torch.optim.Adam([half], lr=0.1) for half in halves]
whole = torch.zeros(4, requires_grad=True)
adam = torch.optim.Adam([whole], lr=0.1)
for _ in range(3):
    gradients = []
    for part in data.chunk(2):  # each rank has all weights for a moment
        gathered = torch.cat(halves).requires_grad_()
        ((part @ (gathered - target)) ** 2).mean().backward()
        gradients.append(gathered.grad)
    mean = (gradients[0] + gradients[1]) / 2
    for rank in range(2):  # each rank steps with its own half
        halves[rank].grad = mean.chunk(2)[rank].clone()
        optimizers[rank].step()
    adam.zero_grad()
    ((data @ (whole - target)) ** 2).mean().backward()
    adam.step()
print([f"{number:.3f}" for number in torch.cat(halves)])
print([f"{number:.3f}" for number in whole.detach()])

# %%
# .. check::

assert torch.allclose(torch.cat(halves), whole), "the same steps"

# %%
# .. earlier::
#
#    ``FullyShardedDataParallel`` is the first FSDP. It joins the weights of a
#    module into one flat vector and cuts that. PyTorch's `migration guide
#    <https://docs.pytorch.org/tutorials/intermediate/FSDP_tutorial.html>`__
#    calls it deprecated and shows how to change to ``fully_shard``.
