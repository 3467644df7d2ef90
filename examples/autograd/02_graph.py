"""
The recorded graph
==================

What graph was recorded?

``backward`` goes back the way that your calculation came. That way is a graph, made of objects
that you can hold in your hand: walk along it, and you find why a layer learns nothing, and what
fills the memory. The page before is :doc:`/lessons/autograd/01_gradients`.
"""

# %%
# Setup
# -----

import weakref

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from handbook import Batches, classification_step, datasets, fit, models, plots

torch.manual_seed(0)
train, test = datasets.mnist()

# %%
# .. _names-of-nodes:
#
# A walk
# ------
# Each recorded operation leaves a *node* in the :term:`graph <computational graph>`. A result holds
# its node in ``grad_fn``, and a node holds in ``next_functions`` those that made its inputs, or
# ``None`` for an input that needs no :term:`gradient`.

w = torch.tensor([1.0, 2.0], requires_grad=True)
x = torch.tensor([3.0, -1.0])
h = w * x
loss = (h**2 + h).mean()


def walk(node, depth=0):
    print("  " * depth + node.name().removeprefix("torch::autograd::"))
    for earlier, _ in node.next_functions:
        if earlier is not None:
            walk(earlier, depth + 1)


walk(loss.grad_fn)
print("mean along an axis:", h.mean(0).grad_fn.name())
assert (
    loss.grad_fn.name() == "MeanBackward0"
    and h.mean(0).grad_fn.name() == "MeanBackward1"
)

# %%
# Read it from the bottom: a product, then a square, an addition, a mean. The number in a name tells
# variants of an operation apart: older notes print ``MeanBackward1`` here, today that is the mean
# along an axis. ``x`` is missing, and ``AccumulateGrad`` is where a :term:`leaf <leaf tensor>`
# collects its gradient. Two products? See :func:`handbook.plots.graph`, which draws each node once.
#
# .. alt:: Boxes joined by arrows, from the output down: mean, add; from add one arrow to power and
#    one past it, both meeting in the product, which made h and has kept x; below it the leaf w.

figure = plots.graph(loss, {"w": w, "h": h}, saved=True)
(power, _), (product, _) = loss.grad_fn.next_functions[0][0].next_functions
assert power.next_functions[0][0] is product is h.grad_fn

# %%
# .. _no-backward-is-written:
#
# Back by hand
# ------------
# One product, reached by two ways. "Autograd writes a ``backward`` method for your module", one
# reads. A module has none; it is the nodes that know what to do. Call a node with the gradient of
# its output, and it returns those of its inputs.


@torch.no_grad()  # the way back itself is not recorded
def walk_back(node, grad):
    grads = node(grad)
    grads = grads if isinstance(grads, tuple) else (grads,)
    for (earlier, _), grad in zip(node.next_functions, grads, strict=True):
        if earlier is not None:
            walk_back(earlier, grad)


walk_back(loss.grad_fn, torch.tensor(1.0))
by_hand, w.grad = w.grad, None
loss.backward()
print("by hand:", by_hand.tolist(), " backward():", w.grad.tolist())
print("a module has backward():", hasattr(nn.Linear(1, 1), "backward"))
assert torch.equal(by_hand, w.grad) and not hasattr(nn.Linear(1, 1), "backward")

# %%
# That is the heart of ``backward()``. Its order is better: ours goes every way to its end and
# enters the product twice, ``backward`` enters each node once, when all that is due to it has
# arrived.
#
# .. _never-reached:
#
# A parameter that the loss never reaches
# ---------------------------------------
# Somebody wants to look at the hidden layer later, and keeps it, detached. A slip: the network
# goes on with what was kept.


class Reader(nn.Module):
    def __init__(self, keeps):
        super().__init__()
        self.hidden, self.out = nn.Linear(784, 256), nn.Linear(256, 10)
        self.keeps = keeps

    def forward(self, x):
        h = F.relu(self.hidden(x.flatten(1)))
        if self.keeps:
            self.kept = h = h.detach()
        return self.out(h)


# %%
# Train it twice, without and with that slip.

accuracy = {}
for keeps in (False, True):
    torch.manual_seed(0)
    reader = Reader(keeps)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=0.01)
    batches = Batches(*train, batch_size=100, shuffle=True)
    fit(reader, batches, classification_step, optimizer=optimizer, epochs=2)
    reader.cpu()
    accuracy[keeps] = (reader(test.x).argmax(1) == test.y).float().mean().item()
    print(f"keeps: {keeps!s:5}  {accuracy[keeps]:.1%} right")
assert accuracy[False] > accuracy[True] + 0.02 and accuracy[True] > 0.8

# %%
# Both learn, and no error appears; the second could pass for a network that is a bit small. Walk
# from the loss to the leaves, and see which parameters you meet.
#
# .. alt:: The graph of the second network: below the loss a log-softmax, then one matrix product
#    that leads to the weight and the bias of the output layer. The hidden layer is missing.

loss = F.cross_entropy(reader(test.x[:100]), test.y[:100])
todo, reached = [loss.grad_fn], []
while todo:
    node = todo.pop()
    todo += [
        earlier for earlier, _ in node.next_functions if earlier is not None
    ]
    if hasattr(node, "variable"):  # an AccumulateGrad: the end of a way
        reached.append(node.variable)
lost = [
    n
    for n, p in reader.named_parameters()
    if not any(p is leaf for leaf in reached)
]
print("never reached:", lost)
figure = plots.graph(loss, reader.named_parameters())
assert lost == ["hidden.weight", "hidden.bias"]

# %%
# The hidden layer is as random as at the start. There is a quick test, too, after the first
# ``backward``: any parameter whose ``grad`` is still ``None``.
#
# What the graph keeps
# --------------------
# Now the memory. The derivative of :math:`h^2` is :math:`2h`, so the node of the square has kept
# ``h``; that of the addition needs nothing. :class:`~torch.autograd.graph.saved_tensors_hooks`
# shows what is kept. Send 200 images through LeNet (:doc:`/lessons/start/01_quickstart`), layer by
# layer, and count what was not there before.

model = models.LeNet()
known = {
    t.untyped_storage().data_ptr()
    for t in (train.x, test.x, *model.parameters())
}
layers = [*model.features, *model.classifier]
names, made, saved, seen = [], [], [], set(known)


def note(tensor):
    storage = tensor.untyped_storage()
    saved[-1] += 0 if storage.data_ptr() in seen else storage.nbytes() / 1e6
    seen.add(storage.data_ptr())
    return tensor.detach()


# %%
# .. alt:: Bars for the layers of LeNet, two each: memory of the result, and memory kept. The first
#    ReLU keeps most, 4 MB, then the first pooling, 2 MB; the convolution before them makes 4 MB and
#    keeps nothing new.

h = train.x[:200]
with saved_tensors_hooks(note, lambda kept: kept):
    for number, layer in enumerate(layers):
        saved.append(0.0)
        h = layer(h)
        made.append(h.nbytes / 1e6)
        names.append(f"{number} {type(layer).__name__}")
figure, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
axis.barh(names, made, height=0.8, color="lightgray", label="result")
axis.barh(names, saved, height=0.4, label="kept for backward()")
axis.invert_yaxis()
axis.set(xlabel="memory (MB)")
axis.legend()
weights = sum(parameter.nbytes for parameter in model.parameters()) / 1e6
print(f"kept: {sum(saved):.0f} MB; all weights: {weights:.2f} MB")
assert saved[0] == 0 and saved[1] == made[1] and sum(saved) > 20 * weights

# %%
# The weights are little beside it, and what is kept grows with the batch. A ReLU keeps its
# *result*, so what the convolution made is free to go; a pooling shares that, and adds where each
# maximum was, in numbers of 8 bytes; flattening needs nothing.
#
# What keeps the graph alive
# --------------------------
# The graph lives as long as anybody holds its end. You compute the loss on test images, batch by
# batch, and collect it for the mean. ``held`` sums up what is kept, each piece of memory once.

alive = weakref.WeakSet()


class Keep:
    def __init__(self, tensor):
        self.tensor = tensor.detach()
        alive.add(self)


def held():
    storages = [keep.tensor.untyped_storage() for keep in alive]
    sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
    return (
        sum(size for place, size in sizes.items() if place not in known) / 1e6
    )


# %%
# .. alt:: Memory against batches. Collecting the loss: a straight line up to 24 MB in ten batches.
#    Collecting its number: flat at 2 MB. Without recording, or after backward: zero.

figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
end = {}
for name, style in {
    "loss": "o-",
    "loss.item()": "s-",
    "no_grad": "--",
    "backward": ":",
}.items():
    losses, curve = [], []
    for x, y in Batches(test.x[:500], test.y[:500], batch_size=50):
        recorded = torch.set_grad_enabled(name != "no_grad")
        with recorded, saved_tensors_hooks(Keep, lambda keep: keep.tensor):
            loss = F.cross_entropy(model(x), y)
        if name == "backward":
            loss.backward()
        losses.append(loss.item() if name == "loss.item()" else loss)
        curve.append(held())
    axis.plot(range(1, 11), curve, style, linewidth=2, label=name)
    end[name] = curve[-1]
    del loss, losses
print("MB held:", {name: round(size) for name, size in end.items()})
axis.set(xlabel="batches", ylabel="memory held (MB)")
axis.legend()
assert (
    end["loss"] > 9 * end["loss.item()"]
    and end["no_grad"] == end["backward"] == held() == 0
)

# %%
# Ten losses are ten numbers, and hold ten graphs. With ``.item()`` one graph is left, that of the
# last ``loss``; it goes when the name gets its next value. Where no ``backward`` follows, record
# nothing. And where one follows, it frees what was kept, as it goes.
#
# .. _reverse-mode-or-define-by-run:
#
# Twice through one graph
# -----------------------
# So there is no second time, unless you ask for it. Which pixels matter for each of ten scores?
# :func:`torch.autograd.grad` goes back like ``backward``, and returns the gradient to you.

image = test.x[:1].clone().requires_grad_()
scores = model(image)[0]  # (10,)
try:
    slopes = [torch.autograd.grad(score, image)[0] for score in scores]
except RuntimeError as error:
    print(str(error).split(" (")[0])
scores = model(image)[0]
slopes = [
    torch.autograd.grad(score, image, retain_graph=True)[0] for score in scores
]
again = [torch.autograd.grad(model(image)[0, k], image)[0] for k in range(10)]
assert torch.allclose(torch.cat(slopes), torch.cat(again), atol=1e-6)

# %%
# One forward pass or ten, the gradients are the same; you pay with memory or with time. And one
# graph was walked ten times: so it is not *reverse mode*, the walk backwards, that makes graphs
# changeable, as older notes have it. They are changeable because each run records a new one
# (:doc:`/lessons/start/02_define_by_run`); a :term:`static graph` is walked backwards just as well.
#
# .. _what-variable-was:
#
# A closer look
# -------------
# Older notes wrap everything in ``Variable``. Until version 0.4, of 2018, a tensor could not be in
# a graph, and ``Variable`` was the wrapper that could. Then the two became one.

wrapped = torch.autograd.Variable(torch.ones(2), requires_grad=True)
print(
    type(wrapped).__name__, isinstance(torch.ones(2), torch.autograd.Variable)
)
assert type(wrapped) is torch.Tensor and wrapped.is_leaf

# %%
# What you learnt
# ---------------
# - Read ``grad_fn`` and ``next_functions`` to see what was recorded; ``plots.graph`` draws it.
# - Look for parameters that the loss does not reach: ``grad`` is ``None`` after ``backward``.
# - Count memory by what the graph keeps, not by the weights.
# - Collect numbers, not losses: what holds the end of a graph holds all of it.
#
# Exercises
# ---------
# 1. **Predict.** Which of ``a + b``, ``a * b``, ``a.exp()``, ``a.sum()``, ``a.relu()`` keep
#    something, and how many tensors? Both ``a`` and ``b`` require a gradient.
# 2. **Change.** Losses jump, so you smooth them, ``smooth = 0.9 * smooth + 0.1 * loss``, and call
#    ``smooth.backward()`` in each step. Mend the error with ``retain_graph=True``, and count the
#    nodes. Then fix it well.
# 3. **Extend.** ``x = x + x``, thirty times: ``walk_back`` would take more than a billion steps.
#    Write it so that each node is entered once, when all that is due to it has arrived.

# %%
# .. answer:: 1
#
#    An addition needs no values, a product both; ``exp`` and ``relu`` keep their result.
#    ``a.sum()`` notes a shape, and that is no tensor.

a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
counts = []
for run in (lambda: a + b, lambda: a * b, a.exp, a.sum, a.relu):
    kept = []
    with saved_tensors_hooks(
        lambda t, kept=kept: kept.append(t.shape) or t, lambda t: t
    ):
        run()
    counts.append(len(kept))
print(counts)
assert counts == [0, 2, 1, 0, 1]

# %%
# .. answer:: 2
#
#    The old ``smooth`` still holds the graphs of all steps before, and what they kept is freed.
#    With ``retain_graph=True`` they grow without end, and each step walks through all of them.
#    Detach what is only to be remembered. (Had the weights been changed in place meanwhile, as in
#    training, keeping would have raised the next error.)


def count(tensor):
    todo, found = [tensor.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is not None and node not in found:
            found.add(node)
            todo += [earlier for earlier, _ in node.next_functions]
    return len(found)


sizes = {}
for name in ("as it is", "retain_graph", "detach"):
    smooth, sizes[name] = torch.tensor(0.0), []
    try:
        for x, y in Batches(test.x[:200], test.y[:200], batch_size=50):
            smooth = 0.9 * smooth + 0.1 * F.cross_entropy(model(x), y)
            smooth.backward(retain_graph=name == "retain_graph")
            sizes[name].append(count(smooth))
            smooth = smooth.detach() if name == "detach" else smooth
    except RuntimeError as error:
        print(str(error).split(" (")[0])
    print(f"{name:12} {sizes[name]}")
assert len(sizes["as it is"]) == 1 and len(set(sizes["detach"])) == 1
assert sizes["retain_graph"][3] > 2 * sizes["retain_graph"][0]

# %%
# .. answer:: 3
#
#    First count how many edges lead to each node; then go on from a node only when all of them have
#    delivered.


x = leaf = torch.tensor(1.0, requires_grad=True)
for _ in range(30):
    x = x + x
edges, todo = {}, [x.grad_fn]
for node in todo:  # grows while it is walked
    for earlier, _ in node.next_functions:
        if earlier not in edges:
            todo.append(earlier)
        edges[earlier] = edges.get(earlier, 0) + 1
ready, arrived, calls = [x.grad_fn], {x.grad_fn: torch.tensor(1.0)}, 0
while ready:
    node, calls = ready.pop(), calls + 1
    with torch.no_grad():
        grads = node(arrived.pop(node))
    for (earlier, _), grad in zip(node.next_functions, grads, strict=True):
        arrived[earlier] = arrived.get(earlier, 0) + grad
        edges[earlier] -= 1
        if edges[earlier] == 0:
            ready.append(earlier)
print(f"{calls} calls, gradient {leaf.grad:.0f}")
assert calls == 31 and leaf.grad == 2**30

# %%
# Next
# ----
# :doc:`/lessons/autograd/06_jacobian`: what goes back when the end of the graph is more than one
# number.
