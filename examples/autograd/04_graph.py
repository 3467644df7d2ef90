"""
The computational graph
=======================

What does autograd record, and how does ``backward()`` use it?

You have seen that autograd records every operation, and that ``backward()``
goes back through the record. This record is a graph that you can look at, walk
through and draw. If a layer is cut off from the loss, the graph shows where.

After this lesson you can

- draw the graph of a calculation, and find a slope by adding its paths
- walk through the graph of any tensor with ``grad_fn``
- find the weights that the loss does not reach
"""

# %%
# Setup
# -----

import torch

from handbook import datasets, plots

torch.manual_seed(0)

# %%
# Two parts, three paths
# ----------------------
# Take y = 3a + a·a at a = 2. What is y, and what is its slope for ``a``? Work
# both out before you run the cell. The parts of the calculation have names, so
# that we can look at them one by one.

a = torch.tensor(2.0, requires_grad=True)
triple = 3 * a
square = a * a
y = triple + square
print("y:", y.item())

# %%
# The result is 6 + 4 = 10. For the slope, draw the calculation. The function
# :func:`handbook.plots.graph` does it for you. A drawing of this kind is called
# a :term:`computational graph`.
#
# .. alt:: Boxes joined by arrows. At the top y. Below it AddBackward0. From
#    there one arrow leads to the MulBackward0 that made triple, and one to the
#    MulBackward0 that made square. From triple one arrow leads to the leaf a,
#    from square two.

names = {"a": a, "triple": triple, "square": square, "y": y}
figure = plots.graph(y, names=names)

# %%
# The boxes are the *nodes* of the graph, one for each operation that autograd
# records: an addition (Add) and two multiplications (Mul). (Some PyTorch
# functions consist of several.) The box at the bottom is the :term:`leaf <leaf
# tensor>` ``a``. The ``()`` is the shape, that of a single number. The arrows
# lead from the result back to the start, because ``backward()`` goes this way.
#
# Three paths lead from ``y`` to ``a``, one through ``triple`` and two through
# ``square``, because ``a`` occurs twice in it. Along a path the slopes are
# multiplied, as the chain rule says. Where paths meet, they are added, because
# a change of ``a`` arrives in ``y`` along all of them:
#
# .. math::
#
#    \frac{dy}{da} = 1 \cdot 3 + 1 \cdot a + 1 \cdot a = 7
#
# Each 1 comes from the addition: if one part of a sum grows by 1, so does the
# sum. In 3·a, the slope for ``a`` is 3. In a·a, the slope for one factor is the
# other factor, which is 2.

# %%
# .. check::

assert triple.item() == 6, "3 times 2"
assert square.item() == 4, "2 times 2"
assert y.item() == 10, "6 + 4"

# %%
# .. _names-of-nodes:
#
# The same in PyTorch
# -------------------
# A tensor that was recorded holds its node in ``grad_fn``. The node holds the
# nodes before it in ``next_functions``. Each entry there is a pair of a node
# and a number. (The number matters only for operations with several results,
# and we leave it out.) ``name()`` gives the name of a node.

print("y:     ", y.grad_fn.name())
for node, _ in y.grad_fn.next_functions:
    print("before:", node.name())

# %%
# These are the names in the figure. The number at the end tells variants of an
# operation apart. Now the nodes before ``square``:

for node, _ in square.grad_fn.next_functions:
    print(node.name())

# %%
# They are the two arrows to ``a``, and both lead to the same node. For a leaf
# the node is called ``AccumulateGrad``, because it adds what arrives to
# ``a.grad``. For an input that needs no gradient, such as the 3 in ``3 * a``,
# there is ``None`` instead of a node.

# %%
# .. check::

assert y.grad_fn.name() == "AddBackward0", "y comes from an addition"
assert square.grad_fn.name() == "MulBackward0", "square from a product"
assert triple.grad_fn.next_functions[1] == (None, 0), "the 3 has no node"

# %%
# .. _no-backward-is-written:
#
# Back, node by node
# ------------------
# A node is not only a name. You can call it like a function. Give it the slope
# of ``y`` with respect to the node's result, and it returns the slopes of ``y``
# with respect to the node's inputs. Begin at ``y``: its slope with respect to
# itself is 1. (This calculation is not to be recorded, so it stands under
# ``no_grad``.)

with torch.no_grad():
    to_triple, to_square = y.grad_fn(torch.tensor(1.0))
    through_triple = triple.grad_fn(to_triple)
    through_square = square.grad_fn(to_square)
print("to triple and square:", to_triple.item(), to_square.item())
print("through triple:", through_triple)
print("through square:", through_square)

# %%
# An addition passes the 1 on to both parts. Then ``triple`` returns 3 for ``a``
# (and ``None`` for the number 3), and ``square`` returns 2 for each of its two
# factors. Added up, 3 + 2 + 2 = 7. Compare it with ``backward()``:

y.backward()
print("backward:", a.grad)

# %%
# This is what ``backward()`` does, too. It calls one node after the other and
# adds the slopes that meet. It needs no formula for the whole calculation,
# because each node knows the slopes of its own operation.

# %%
# .. check::

assert to_triple == 1, "an addition passes the slope on"
assert to_square == 1, "to both parts"
assert through_triple[0] == 3, "3 through triple"
assert through_square[0] == 2, "2 through square"
assert through_square[1] == 2, "and 2 again"
assert a.grad == 7, "7 in all"

# %%
# .. _reverse-mode-or-define-by-run:
#
# A walk through any graph
# ------------------------
# To see all nodes of a graph, go from node to node. The list ``todo`` holds the
# nodes that we still have to visit, and ``found`` those that we have visited.
# The set ``seen`` holds the same nodes, because a set finds a node faster than
# a list.


def all_nodes(result):
    found = []
    seen = set()
    todo = [result.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found.append(node)
        for earlier, _ in node.next_functions:
            todo.append(earlier)
    return found


for node in all_nodes(y):
    print(node.name())

# %%
# There are four nodes: ``a`` is listed once, though three paths lead to it.
# That is what ``node in seen`` is for. Without it, the walk would go along
# every path, and a network that uses its tensors several times can have far too
# many (exercise 3).
#
# The graph is not a picture of the code. It is a record of the operations that
# ran, and each run makes a new one. If a loop ran 15 times, its operations
# stand in the graph 15 times, and the graph itself contains no loop. This is
# why a PyTorch program may use any ``if`` and ``for``, as in
# :doc:`/lessons/start/02_dynamic_graph`.

# %%
# .. check::

assert len(all_nodes(y)) == 4, "four nodes"

# %%
# .. _never-reached:
#
# What goes wrong
# ---------------
# Here is a small network that tells a 3 from an 8. It has two layers. The first
# one turns 784 pixels into 16 numbers and replaces negative ones by 0. The
# second one makes a score of them. To look at the 16 numbers later, we want a
# detached copy, ``kept``. The slip is one wrong name: ``hidden`` instead of
# ``kept``.


def predict(images, weights, slip):
    hidden = (images @ weights["first"]).clamp(min=0)  # (N, 16)
    if slip:
        hidden = hidden.detach()  # should be: kept = hidden.detach()
    return hidden @ weights["second"]  # (N,)


# %%
# The threes and eights, once for training and once for the test:


def threes_and_eights(split):
    chosen = (split.y == 3) | (split.y == 8)
    images = split.x[chosen].flatten(1)  # (N, 784)
    targets = (split.y[chosen] == 8).float()  # (N,)
    return images, targets


train_set, test_set = datasets.mnist()
images, targets = threes_and_eights(train_set)
test_images, test_targets = threes_and_eights(test_set)

# %%
# The training returns the weights. The seed decides where they start:


def train(slip, seed):
    torch.manual_seed(seed)
    first = (0.05 * torch.randn(784, 16)).requires_grad_()
    second = (0.05 * torch.randn(16)).requires_grad_()
    weights = {"first": first, "second": second}
    optimizer = torch.optim.SGD([first, second], lr=0.05)
    for _ in range(100):
        loss = ((predict(images, weights, slip) - targets) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weights


# %%
# Train it with five seeds, each time without the slip and with it, and measure
# the share of right answers for the test images.


def accuracy(weights):
    with torch.no_grad():
        answers = predict(test_images, weights, slip=False) > 0.5
    return (answers == (test_targets == 1)).float().mean().item()


good = []
bad = []
for seed in range(5):
    good.append(accuracy(train(slip=False, seed=seed)))
    bad.append(accuracy(train(slip=True, seed=seed)))

for name, shares in {"without the slip": good, "with the slip": bad}.items():
    mean = sum(shares) / len(shares)
    print(f"{name}: mean {mean:.1%}, {min(shares):.1%} to {max(shares):.1%}")

# %%
# There was no error. In all five runs the slip costs much, but the network is
# better than guessing, so you could take it for one that is too small or needs
# more time. Draw its graph, in which the box ``output`` is the loss:
#
# .. alt:: Boxes joined by arrows, from the output at the top: mean, power,
#    subtraction, then one product with the leaf second, of shape 16. The leaf
#    first is missing.

weights = train(slip=True, seed=0)
loss = ((predict(images, weights, slip=True) - targets) ** 2).mean()
figure = plots.graph(loss, names=weights)

# %%
# The graph ends at ``second``. No path leads to ``first``, so its weights are
# as random as in the beginning. In a graph that is too large to draw, look at
# the gradients. First set those left over from the training to ``None``. After
# ``backward()``, a weight that was not reached still has ``None``:

for weight in weights.values():
    weight.grad = None
loss.backward()
for name, weight in weights.items():
    print(name, weight.grad is not None)

# %%
# .. check::

assert min(good) > max(bad) + 0.05, "the slip costs accuracy"
assert min(bad) > 0.5, "but it learns something"
assert weights["first"].grad is None, "first is not reached"
assert weights["second"].grad is not None, "second is"

# %%
# Recipe
# ------
# Call this after the first ``backward()`` of a new network. (For a module, the
# argument is ``dict(model.named_parameters())``.)

import torch


def not_reached(weights):
    names = []
    for name, weight in weights.items():
        if weight.requires_grad and weight.grad is None:
            names.append(name)
    return names


used = torch.tensor(1.0, requires_grad=True)
forgotten = torch.tensor(1.0, requires_grad=True)
(2 * used).backward()
print(not_reached({"used": used, "forgotten": forgotten}))

# %%
# .. check::

assert not_reached({"used": used, "forgotten": forgotten}) == ["forgotten"], (
    "it finds the one that took no part"
)

# %%
# What you learned
# ----------------
# - Each recorded operation is a node. ``grad_fn`` is the node of a tensor, and
#   ``next_functions`` leads to the nodes before it.
# - Multiply slopes along a path, and add them where paths meet.
# - A walk through a graph remembers the nodes that it has seen.
# - If a weight requires a gradient and its ``grad`` is still ``None`` after the
#   first ``backward()``, no gradient has reached it.
#
# Exercises
# ---------
# 1. **Predict.** Take y = a·b + b at a = 2 and b = 3. How many paths lead from
#    y to ``a``, and how many to ``b``? What are the two slopes?
# 2. **Change.** In y = 3a + a·a, replace ``a * a`` by ``a.detach() * a``. Which
#    path is missing in the graph, and what is the slope?
# 3. **Extend.** ``backward()`` enters each node once, when everything that has
#    to arrive there has arrived. Double a number 15 times with x + x, and write
#    such a walk for the result. First count how many arrows lead to each node.
#    How many paths are there?

# %%
# .. answer:: 1
#
#    One path leads to ``a``, with the slope b = 3. Two lead to ``b``: one
#    through the product, with the slope a = 2, and one through the sum, with
#    the slope 1. That makes 3.

a = torch.tensor(2.0, requires_grad=True)
b = torch.tensor(3.0, requires_grad=True)
y = a * b + b
y.backward()
print(a.grad, b.grad)

# %%
# .. check::

assert a.grad == 3, "the other factor"
assert b.grad == 3, "2 + 1"

# %%
# .. answer:: 2
#
#    One of the two arrows from ``square`` to ``a`` is missing, and ``None``
#    stands in its place. The slope is 3 + 2 = 5.

a = torch.tensor(2.0, requires_grad=True)
square = a.detach() * a
y = 3 * a + square
for node, _ in square.grad_fn.next_functions:
    print("no node:", node is None)
y.backward()
print(a.grad)

# %%
# .. check::

assert a.grad == 5, "one path less"

# %%
# .. answer:: 3
#
#    ``arrows`` counts the arrows to each node. (``get(earlier, 0)`` gives 0 if
#    the node has no entry yet.) A node is ready when as many slopes have
#    arrived as it has arrows. So there are only 16 calls. The slope is 2
#    multiplied 15 times by itself, which is 32,768. This is also the number of
#    paths, because each addition doubles it, and every slope on the way is 1. A
#    walk that does not remember what it has seen would go along all of them.

result = torch.tensor(1.0, requires_grad=True)
for _ in range(15):
    result = result + result

arrows = {}
for node in all_nodes(result):
    for earlier, _ in node.next_functions:
        arrows[earlier] = arrows.get(earlier, 0) + 1

arrived = {result.grad_fn: torch.tensor(1.0)}
ready = [result.grad_fn]
calls = 0
while ready:
    node = ready.pop()
    calls += 1
    if node.name().endswith("AccumulateGrad"):
        print("slope:", arrived[node].item())
        continue
    with torch.no_grad():
        slopes = node(arrived[node])
    for pair, slope in zip(node.next_functions, slopes, strict=True):
        earlier = pair[0]
        arrived[earlier] = arrived.get(earlier, 0) + slope
        arrows[earlier] -= 1
        if arrows[earlier] == 0:
            ready.append(earlier)
print("calls:", calls)

# %%
# .. check::

assert calls == 16, "each node once"
assert len(all_nodes(result)) == 16, "15 additions and a leaf"
assert max(arrived.values()) == 32768, "the slope of 15 doublings"

# %%
# .. earlier::
#
#    .. _what-variable-was:
#
#    Older notes wrap every tensor in ``Variable``. Until version 0.4 of 2018, a
#    tensor could not be in a graph, and ``Variable`` was the wrapper that
#    could. Today it returns an ordinary tensor. Some notes say that autograd
#    writes a ``backward`` method for your module. A module has none, because
#    the nodes do the work. They also print ``MeanBackward1`` for a mean of all
#    elements, which is now ``MeanBackward0``. And they say that graphs can
#    change because autograd goes backwards (*reverse mode*). It goes backwards
#    through fixed graphs, too. They can change because each run records a new
#    one.

wrapped = torch.autograd.Variable(torch.ones(2), requires_grad=True)
print(type(wrapped).__name__)
print("a module has backward:", hasattr(torch.nn.Linear(1, 1), "backward"))
print(wrapped.mean().grad_fn.name(), wrapped.mean(0).grad_fn.name())

# %%
# .. check::

assert type(wrapped) is torch.Tensor, "Variable gives a tensor"
assert not hasattr(torch.nn.Linear(1, 1), "backward"), "no such method"
assert wrapped.mean().grad_fn.name() == "MeanBackward0", "of all elements"
