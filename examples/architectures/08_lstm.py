"""
LSTM and GRU
============

How can a recurrent network keep something for a long time?

The recurrent networks of the last lesson multiplied their memory by a factor at
each step, and lost it. An *LSTM* (long short-term memory) and a *GRU* (gated
recurrent unit) compute this factor themselves. They are not hard to write, but
how long they remember depends on how they start.

After this lesson you can

- write the cells of an LSTM and of a GRU, and get what PyTorch returns
- start them so that they remember for as long as a task needs
- train on long sequences, piece by piece, with clipped gradients
"""

# %%
# Setup
# -----

import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from handbook import SavedMemory

torch.manual_seed(0)

# %%
# A gate in numbers
# -----------------
# Let c be a memory that holds the number 1. At each step it is multiplied by a
# number f between 0 and 1, which is called a *gate*. If f is 1, the gate is
# open and the memory stays. If f is 0, it is forgotten.
#
# A network computes a gate as the :term:`sigmoid` of a score. At the start the
# scores are close to 0, and the sigmoid of 0 is ½. To remember for 20 steps,
# take the score ln 20 instead, because its sigmoid is 20/21. How much of the 1
# is left after 20 steps?

left = {}
for score in [0.0, math.log(20)]:
    f = torch.sigmoid(torch.tensor(score)).item()
    left[score] = f**20
    print(f"score {score:.2f}: gate {f:.3f}, 20 steps {left[score]:.6f}")

# %%
# With a gate of ½, only a millionth is left. With 20/21, it is more than a
# third.
#
# The LSTM cell
# -------------
# An LSTM carries two memories, the cell state c and the hidden state h. The
# *forget gate* f says how much of c stays, the *input gate* i how much of the
# new values g is added, and the *output gate* o how much of c is shown in h:
#
# .. math::
#
#    c_t = f \cdot c_{t-1} + i \cdot g
#    \qquad
#    h_t = o \cdot \tanh(c_t)
#
# All four come from the same kind of scores as in the last lesson, four times
# as many, which are cut into four parts:
#
# .. math:: W_{ih} \, x_t + b_{ih} + W_{hh} \, h_{t-1} + b_{hh}
#
# The gates i, f and o are the sigmoid of their part, and g is the tanh.


def lstm_cell(x, h, c, w_ih, b_ih, w_hh, b_hh):
    scores = x @ w_ih + b_ih + h @ w_hh + b_hh
    i, f, g, o = scores.chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


# %%
# The GRU cell
# ------------
# A GRU has only h. Its *update gate* z does two things at once: z says how much
# stays, and 1 − z how much of the new values n is taken in. The *reset gate* r
# says how much of the memory is used in n:
#
# .. math::
#
#    n = \tanh(W_{in} \, x_t + b_{in} + r \cdot (W_{hn} \, h_{t-1} + b_{hn}))
#    \qquad
#    h_t = (1 - z) \cdot n + z \cdot h_{t-1}
#
# (Our function passes ``c`` on unchanged, so that it is called like the other.)


def gru_cell(x, h, c, w_ih, b_ih, w_hh, b_hh):
    from_input = x @ w_ih + b_ih
    from_memory = h @ w_hh + b_hh
    r_input, z_input, n_input = from_input.chunk(3, dim=-1)
    r_memory, z_memory, n_memory = from_memory.chunk(3, dim=-1)
    r = torch.sigmoid(r_input + r_memory)
    z = torch.sigmoid(z_input + z_memory)
    n = torch.tanh(n_input + r * n_memory)
    return (1 - z) * n + z * h, c


# %%
# Are these the cells of :class:`torch.nn.LSTM` and :class:`torch.nn.GRU`? We
# compare after each step, with 2 sequences of 5 steps.

x = torch.randn(2, 5, 3)
largest = {}
for layer, cell in [
    (nn.LSTM(3, 4, batch_first=True), lstm_cell),
    (nn.GRU(3, 4, batch_first=True), gru_cell),
]:
    weights = [layer.weight_ih_l0.T, layer.bias_ih_l0]
    weights += [layer.weight_hh_l0.T, layer.bias_hh_l0]
    output, state = layer(x)
    h, c = torch.zeros(2, 4), torch.zeros(2, 4)
    for t in range(5):
        h, c = cell(x[:, t], h, c, *weights)
        difference = (h - output[:, t]).abs().max().item()
        largest[cell, t] = difference
        print(f"{cell.__name__}, step {t}: difference {difference:.0e}")

# %%
# All steps agree to a millionth.

# %%
# .. check::

assert abs(torch.sigmoid(torch.tensor(20.0).log()) - 20 / 21) < 1e-6, "20/21"
assert 0.9e-6 < left[0.0] < 1e-6, "about a millionth"
assert left[math.log(20)] > 1 / 3, "more than a third"
assert len(largest) == 10, "two cells, five steps"
assert max(largest.values()) < 1e-6, "by hand as PyTorch"

# %%
# The echo task, further back
# ---------------------------
# In :doc:`/lessons/architectures/07_rnn`, most networks did not learn to say
# the bit of 20 steps before.
# We take the same task, with batches of 64. Again five networks learn at once,
# with a first axis of 5 for each weight and 8 hidden numbers. ``parts`` is 1
# for an RNN, 3 for a GRU and 4 for an LSTM.


def new_weights(parts):
    weights = []
    wide = 8 * parts
    for shape in [(1, wide), (1, wide), (8, wide), (1, wide), (8, 1), (1, 1)]:
        start = (2 * torch.rand(5, *shape) - 1) / 8**0.5
        weights.append(start.requires_grad_())
    return weights


# %%
# The baseline is an RNN. To be fair, it gets a good start of its own, an
# orthogonal matrix (exercise 2 of the last lesson).


def rnn_cell(x, h, c, w_ih, b_ih, w_hh, b_hh):
    return torch.tanh(x @ w_ih + b_ih + h @ w_hh + b_hh), c


def last_score(x, weights, cell):  # x: (5, N, T, 1)
    h = torch.zeros(5, x.shape[1], 8)
    c = torch.zeros(5, x.shape[1], 8)
    for t in range(x.shape[2]):
        h, c = cell(x[:, :, t], h, c, *weights[:4])
    return h @ weights[4] + weights[5]  # (5, N, 1)


# %%
# ``learn`` trains for 100 steps, and then tries 1,000 more sequences.


def learn(weights, cell):
    optimizer = torch.optim.Adam(weights, lr=0.03)
    for _ in range(100):
        x = 2.0 * torch.randint(0, 2, (5, 64, 21, 1)) - 1  # −1 or 1
        first = (x[:, :, 0] > 0).float()
        score = last_score(x, weights, cell)
        loss = 5 * binary_cross_entropy_with_logits(score, first)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x = 2.0 * torch.randint(0, 2, (5, 1000, 21, 1)) - 1
        right = (last_score(x, weights, cell) > 0) == (x[:, :, 0] > 0)
    return right.float().mean(dim=(1, 2))  # (5,)


# %%
# The LSTM starts as in PyTorch. A second LSTM and the GRU start with an open
# gate, so the bias of f or z is the score from above. The GRU then takes in
# 1 − z = 1/21 of the new values, and we start i of that LSTM at 1/21 as well.

torch.manual_seed(0)
rnn = new_weights(parts=1)
for matrix in rnn[2]:
    nn.init.orthogonal_(matrix)
lstm = new_weights(parts=4)
lstm_open = new_weights(parts=4)
gru_open = new_weights(parts=3)
with torch.no_grad():
    for weights in [lstm_open, gru_open]:
        weights[1].zero_()  # the biases
        weights[3].zero_()
        weights[1][:, :, 8:16] = math.log(20)  # f of the LSTM, z of the GRU
    lstm_open[1][:, :, :8] = -math.log(20)  # i

# %%
# Each line has the accuracies of five networks.

results = {}
for name, cell, weights in [
    ("RNN, orthogonal", rnn_cell, rnn),
    ("LSTM", lstm_cell, lstm),
    ("LSTM, open gate", lstm_cell, lstm_open),
    ("GRU, open gate", gru_cell, gru_open),
]:
    results[name] = learn(weights, cell)
    print(f"{name:16}", [f"{share:.2f}" for share in results[name].tolist()])

# %%
# .. alt:: Four rows of five dots, the accuracies of the networks. LSTM: all
#    five at the dotted line of guessing, 0.5. RNN with an orthogonal start:
#    some at 0.5 and some at 1. LSTM with an open gate: most at 1. GRU with an
#    open gate: all at 1.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.8, 2.4), layout="constrained")
for row, name in enumerate(results):
    axis.plot(results[name], [row] * 5, "o", color="tab:blue", alpha=0.5)
axis.axvline(0.5, color="black", ls=":")
axis.text(0.51, -0.6, "guessing", fontsize=8)
axis.set_yticks(range(4), list(results))
axis.set(xlabel="accuracy", xlim=(0.4, 1.05), ylim=(3.5, -0.9))

# %%
# As PyTorch starts it, no LSTM learned the task in 100 steps. So an LSTM does
# not remember just because it has gates. They have to be open. With an open
# gate, most LSTMs and all GRUs learned it. Some of the orthogonal RNNs learned
# it, too. (This is one task, with one learning rate for all.)

# %%
# .. check::

assert (results["LSTM"] < 0.6).all(), "closed, no LSTM learned it"
assert (results["LSTM, open gate"] > 0.9).sum() >= 3, "open, most LSTMs"
assert (results["GRU, open gate"] > 0.9).all(), "and all GRUs"
assert (results["RNN, orthogonal"] > 0.9).any(), "some RNNs"
assert (results["RNN, orthogonal"] < 0.9).any(), "but not all"

# %%
# Gradient clipping
# -----------------
# Gates are at most 1, but the scores also depend on h, and so a slope can still
# explode on a long sequence. A single huge step can then ruin the weights.
# *Gradient clipping* limits the length (the *norm*) of the whole gradient and
# keeps its direction. Take the gradient (3, 4). Its norm is √(9 + 16) = 5. What
# is left of it if the norm may be at most 1?

weight = torch.zeros(2, requires_grad=True)
clipped = []
norms = []
for gradient in [torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])]:
    weight.grad = gradient
    norms.append(nn.utils.clip_grad_norm_([weight], max_norm=1.0).item())
    clipped.append(weight.grad)
    print(f"norm {norms[-1]:.1f}, clipped {clipped[-1]}")

# %%
# (3, 4) is divided by 5 and becomes (0.6, 0.8), while (0.3, 0.4) stays, because
# its norm is only 0.5. :func:`torch.nn.utils.clip_grad_norm_` returns the norm
# before clipping. Call it after ``backward()`` and before ``step()``.
#
# What goes wrong
# ---------------
# **The state is not detached.** A long sequence is read in pieces, with a
# training step after each, and the state is handed to the next piece. But its
# graph still reaches into the piece before.

layer = nn.LSTM(1, 8, batch_first=True)
x = torch.randn(4, 100, 1)
output, state = layer(x[:, :20])
output.square().mean().backward()
output, state = layer(x[:, 20:40], state)
refused = False
try:
    output.square().mean().backward()
except RuntimeError as error:
    refused = "backward through the graph a second time" in str(error)
print("refused:", refused)

# %%
# The error message suggests to keep the graph. We try this with five pieces,
# and then we detach the state instead. We print the bytes that are kept for the
# backward pass after each piece.

kept = {False: [], True: []}
for detach in [False, True]:
    state = None
    with SavedMemory() as saved:
        for piece in x.split(20, dim=1):
            output, state = layer(piece, state)
            output.square().mean().backward(retain_graph=not detach)
            if detach:
                state = [each.detach() for each in state]
            del output
            kept[detach].append(saved.nbytes)
print("graph kept:    ", kept[False])
print("state detached:", kept[True])

# %%
# Without ``detach()``, the backward pass of the second piece enters the graph
# of the first, which is already freed. With ``retain_graph=True`` the error is
# gone, but the memory grows with each piece. The cure is to detach the state.
# Its values go on, and its graph ends there. This is called *truncated
# backpropagation through time*. Its price is that no slope reaches back beyond
# the piece (exercise 3).

# %%
# .. check::

assert abs(norms[0] - 5) < 1e-6, "the root of 9 + 16"
assert abs(norms[1] - 0.5) < 1e-6, "below 1"
assert clipped[0].allclose(torch.tensor([0.6, 0.8])), "divided by 5"
assert clipped[1].allclose(torch.tensor([0.3, 0.4])), "below 1 it stays"
assert refused, "an error in the second piece"
assert kept[False][4] > 4.5 * kept[False][0], "the memory grows"
assert max(kept[True]) == 0, "detached, nothing is kept"

# %%
# Recipe
# ------
# Forecasts of a long sequence, piece by piece. The data are made up: 8 waves
# with a period of 25 steps, and noise.

import torch
from torch import nn
from torch.nn.functional import mse_loss


class Forecaster(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x, state=None):  # (N, T, 1)
        output, state = self.lstm(x, state)
        return self.head(output), state


# %%
# The first 200 values train, and the others judge.

torch.manual_seed(0)
times = torch.arange(300) + 25 * torch.rand(8, 1)  # (8, 300)
series = 50 + 10 * torch.sin(times * 6.2832 / 25) + torch.randn(8, 300)
length = 200
mean = series[:, :length].mean()
std = series[:, :length].std()
scaled = ((series - mean) / std).unsqueeze(2)  # (8, 300, 1)

# %%
# Each step predicts the next value.

model = Forecaster(hidden=16)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(20):
    state = None  # each round begins at the start of the sequence
    for start in range(0, length - 1, 25):
        end = min(start + 25, length - 1)
        guess, state = model(scaled[:, start:end], state)
        loss = mse_loss(guess, scaled[:, start + 1 : end + 1])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        state = [each.detach() for each in state]  # values go on

# %%
# The baseline says that the next value is the last one. The model reads from
# the beginning, and its error counts from value 200 on. Its very last output is
# a forecast of the value that comes after the data.

with torch.no_grad():
    guess, _ = model(scaled)
truth = scaled[:, length:]
model_error = mse_loss(guess[:, length - 1 : -1], truth).sqrt() * std
baseline = mse_loss(scaled[:, length - 1 : -1], truth).sqrt() * std
forecast = guess[0, -1].item() * std + mean
print(f"root mean squared error {model_error:.2f}, baseline {baseline:.2f}")
print(f"next value of the first wave: {forecast:.1f}")

# %%
# .. check::

assert model_error < 0.7 * baseline, "better than the last value"
assert model_error < 1.5, "not far from the noise, 1"
assert (
    abs(
        forecast
        - (50 + 10 * torch.sin((times[0, -1] + 1) * 6.2832 / 25)).item()
    )
    < 3
), "the forecast is near the wave"

# %%
# What you learned
# ----------------
# - A gate is a sigmoid between 0 and 1. The LSTM multiplies its cell state by a
#   forget gate, and the GRU uses one gate to keep and to take in.
# - As PyTorch starts them, the gates are near ½, and the memory is short. For a
#   memory of k steps, start the bias of the gate at ln k.
# - ``clip_grad_norm_`` shortens a long gradient. It belongs between
#   ``backward()`` and ``step()``.
# - Read a long sequence in pieces, hand the state on, and detach it.
#
# Exercises
# ---------
# 1. **Predict.** An LSTM has c = 1, and f = ½, i = 1 and g = 1 at each step.
#    What is c after three steps? And what becomes of the gradient (6, 8) if its
#    norm may be at most 5?
# 2. **Change.** Open the gate of an ``nn.GRU(1, 8)`` for 20 steps. How large is
#    the slope of its last state for the input of 20 steps before, with and
#    without that, for five seeds?
# 3. **Extend.** Read 40 steps in two pieces. How large is the slope of the last
#    output for the first piece, with and without ``detach()``?

# %%
# .. answer:: 1
#
#    c is 1.5, 1.75 and 1.875. The norm of (6, 8) is 10, so the gradient is
#    halved, to (3, 4).

c = 1.0
values = []
for _ in range(3):
    c = 0.5 * c + 1 * 1
    values.append(c)
weight.grad = torch.tensor([6.0, 8.0])
nn.utils.clip_grad_norm_([weight], max_norm=5.0)
print(values, weight.grad)

# %%
# .. check::

assert values == [1.5, 1.75, 1.875], "it comes closer to 2"
assert weight.grad.allclose(torch.tensor([3.0, 4.0])), "halved"

# %%
# .. answer:: 2
#
#    The parts of the bias are r, z and n, so z is in the middle. With an open
#    gate, the slope is at least 20 times as large for each seed.

sizes = torch.zeros(2, 5)
for seed in range(5):
    torch.manual_seed(seed)
    gru = nn.GRU(1, 8, batch_first=True)
    x = torch.randn(100, 21, 1, requires_grad=True)
    for i in range(2):  # as it is, and then with an open gate
        x.grad = None
        gru(x)[0][:, -1].sum().backward()
        sizes[i, seed] = x.grad[:, 0].abs().mean()
        with torch.no_grad():
            gru.bias_ih_l0[8:16] = math.log(20)
            gru.bias_hh_l0[8:16] = 0
print("as it is:", sizes[0])
print("open:    ", sizes[1])

# %%
# .. check::

assert (sizes[1] > 20 * sizes[0]).all(), "at least 20 times"

# %%
# .. answer:: 3
#
#    With ``detach()`` the first piece gets no slope at all.

layer = nn.LSTM(1, 8, batch_first=True)
first = torch.randn(1, 20, 1, requires_grad=True)
second = torch.randn(1, 20, 1)
reached = {}
for detach in [False, True]:
    first.grad = None
    _, state = layer(first)
    if detach:
        state = [each.detach() for each in state]
    output, _ = layer(second, state)
    output[:, -1].sum().backward()
    reached[detach] = first.grad
print("without:", reached[False].abs().max().item())
print("with:   ", reached[True])

# %%
# .. check::

assert reached[False].abs().max() > 0, "without detach, a slope"
assert reached[True] is None, "with detach, none"
