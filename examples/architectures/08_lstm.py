"""
LSTM and GRU
============

How can a recurrent network remember something for a long time?

The recurrent networks of the last lesson multiplied their memory by a factor at
each step, and so the memory was lost. An *LSTM* (long short-term memory) and a
*GRU* (gated recurrent unit) compute this factor from the input and the memory.
How long they remember depends on how they start.

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

torch.manual_seed(0)

# %%
# A gate in numbers
# -----------------
# Let c be a memory that holds the number 1. At each step it is multiplied by a
# number f between 0 and 1, which is called a *gate*. If f is 1, the gate is
# open and the memory stays. If f is 0, it is forgotten.
#
# A network computes a gate as the :term:`sigmoid` of a score. At the start the
# scores are close to 0, and the sigmoid of 0 is ½. To remember for about 20
# steps, a step should lose only about 1/20. The sigmoid of ln 20 is 20/21, so
# with this score each step loses 1/21. How much of the 1 is left after 20
# steps?

left = {}
for score in [0.0, math.log(20)]:
    f = torch.sigmoid(torch.tensor(score)).item()
    left[score] = f**20
    print(f"score {score:.2f}: gate {f:.3f}, 20 steps {left[score]:.6f}")

# %%
# .. alt:: What is left of the memory against the step, from 0 to 40. With the
#    gate ½, it is close to 0 after 5 steps. With 20/21, it falls slowly, and is
#    at 0.38 at the dotted line of step 20.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5, 2.6), layout="constrained")
steps = torch.arange(41)
axis.plot(0.5**steps, "--", label="gate ½")
axis.plot((20 / 21) ** steps, label="gate 20/21")
axis.axvline(20, color="black", ls=":")
axis.set(xlabel="step", ylabel="left of the memory")
axis.legend()

# %%
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
# Going back along c, a slope is multiplied by f at each step, too. So it lasts
# as long as the memory.
#
# All four come from scores as in the last lesson. There are four times as many,
# and they are cut into four parts:
#
# .. math:: W_{ih} \, x_t + b_{ih} + W_{hh} \, h_{t-1} + b_{hh}
#
# The gates i, f and o are the sigmoid of their part, and g is the tanh. (All
# are vectors now, and · multiplies number by number.)


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
# says how much of the memory is used in n. Both are sigmoids of such scores.
# The rest is:
#
# .. math::
#
#    n = \tanh(W_{in} \, x_t + b_{in} + r \cdot (W_{hn} \, h_{t-1} + b_{hn}))
#    \qquad
#    h_t = (1 - z) \cdot n + z \cdot h_{t-1}
#
# (In the subscripts, n stands for the new values.) Because r multiplies only
# the half of the score that comes from the memory, the code keeps the two
# halves apart.


def gru_cell(x, h, c, w_ih, b_ih, w_hh, b_hh):  # c is not used
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
# compare after each of 5 steps, and print the largest difference.

x = torch.randn(2, 5, 3)
differences = []
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
        differences.append((h - output[:, t]).abs().max().item())
print(f"largest difference: {max(differences):.0e}")

# %%
# .. check::

assert left[0.0] < 1e-6, "hardly anything"
assert abs(left[math.log(20)] - 0.38) < 0.01, "at 0.38"
assert max(differences) < 1e-6, "by hand as PyTorch"

# %%
# The echo task, further back
# ---------------------------
# In :doc:`/lessons/architectures/07_rnn`, most networks did not learn to repeat
# the bit from 20 steps earlier. How far does each kind get? Again five networks
# learn at once, each with 8 hidden numbers.
#
# The baseline is an RNN with an orthogonal start (exercise 2 of the last
# lesson). One LSTM and one GRU start as in PyTorch. Another of each starts with
# open gates: for a distance of k steps, the bias of f or z is ln k. The open
# LSTM also starts with i = 1/(k + 1) (score −ln k), as the GRU does with 1 − z.
# So k steps of new values do not drown the old one.


def new_weights(name, parts, steps):
    wide = 8 * parts
    weights = []  # w_ih, b_ih, w_hh, b_hh, w_out, b_out
    for shape in [(1, wide), (1, wide), (8, wide), (1, wide), (8, 1), (1, 1)]:
        weights.append((2 * torch.rand(5, *shape) - 1) / 8**0.5)
    if name == "RNN, orthogonal":
        for matrix in weights[2]:
            nn.init.orthogonal_(matrix)
    if "open" in name:
        weights[1].zero_()  # there are two biases, which are added
        weights[3].zero_()
        weights[1][:, :, 8:16] = math.log(steps)  # f of the LSTM, z of the GRU
    if name == "LSTM, open":
        weights[1][:, :, :8] = -math.log(steps)  # i
    return [weight.requires_grad_() for weight in weights]


# %%
# The rest is as in the last lesson.


def rnn_cell(x, h, c, w_ih, b_ih, w_hh, b_hh):
    return torch.tanh(x @ w_ih + b_ih + h @ w_hh + b_hh), c


def last_score(x, weights, cell):  # x: (5, N, T, 1)
    h = torch.zeros(5, x.shape[1], 8)
    c = torch.zeros(5, x.shape[1], 8)
    for t in range(x.shape[2]):
        h, c = cell(x[:, :, t], h, c, *weights[:4])
    return h @ weights[4] + weights[5]  # (5, N, 1)


# %%
# ``learn`` trains, and returns the accuracies on new sequences.


def learn(weights, cell, distance):
    optimizer = torch.optim.Adam(weights, lr=0.05)
    for _ in range(60):
        x = 2.0 * torch.randint(0, 2, (5, 64, distance + 1, 1)) - 1  # −1 or 1
        first = (x[:, :, 0] > 0).float()
        score = last_score(x, weights, cell)
        loss = binary_cross_entropy_with_logits(score, first)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x = 2.0 * torch.randint(0, 2, (5, 200, distance + 1, 1)) - 1
        right = (last_score(x, weights, cell) > 0) == (x[:, :, 0] > 0)
    return right.float().mean(dim=(1, 2))  # (5,)


torch.manual_seed(0)


# %%
# After 60 training steps, in how many of the five is the accuracy above 90%? We
# double the distance until most of them fail.

learned = {}
for name, cell, parts in [
    ("RNN, orthogonal", rnn_cell, 1),
    ("LSTM", lstm_cell, 4),
    ("GRU", gru_cell, 3),
    ("LSTM, open", lstm_cell, 4),
    ("GRU, open", gru_cell, 3),
]:
    for distance in [10, 20, 40, 80, 160]:
        weights = new_weights(name, parts, distance)
        accuracies = learn(weights, cell, distance)
        learned[name, distance] = (accuracies > 0.9).sum().item()
        print(f"{name}, {distance} steps: {learned[name, distance]} of 5")
        if learned[name, distance] < 3:
            break

# %%
# As PyTorch starts them, most LSTMs and GRUs fail at 20 steps or before. With
# open gates, most of the ten networks learn 20 steps, and most fail at 40. Of
# the orthogonal RNNs, not all learn 20. (These are limits of 60 training steps,
# of one task, and of one learning rate for all.)

# %%
# .. check::

assert ("LSTM", 40) not in learned, "most LSTMs fail at 20 or before"
assert ("GRU", 40) not in learned, "so do most GRUs"
assert (
    sum(learned.get((f"{kind}, open", 20), 0) for kind in ["LSTM", "GRU"]) > 5
), "most of the ten learn 20 steps"
assert (
    sum(learned.get((f"{kind}, open", 40), 0) for kind in ["LSTM", "GRU"]) < 5
), "most fail at 40"
assert learned.get(("RNN, orthogonal", 20), 0) < 5, "not all RNNs learn 20"

# %%
# Gradient clipping
# -----------------
# Gates are below 1 and cannot make a slope explode. The matrix through which
# the scores depend on h can. With SGD, a single huge step can then ruin the
# weights. (With Adam, that step stays small, but hundreds of steps after it are
# far too small, because Adam divides by the size of past gradients. So we clip
# there, too.) *Gradient clipping* limits the length (the *norm*) of the
# gradient of all weights together and keeps its direction. The gradient (3, 4)
# has the norm √(9 + 16) = 5. What is left of it if the norm may be at most 1?

weight = torch.zeros(2, requires_grad=True)
clipped = []
norms = []
for gradient in [torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])]:
    weight.grad = gradient
    norms.append(nn.utils.clip_grad_norm_([weight], max_norm=1.0).item())
    clipped.append(weight.grad)
    print(f"norm {norms[-1]:.1f}, clipped {clipped[-1]}")

# %%
# The long one is divided by its norm, and the short one stays.
# :func:`torch.nn.utils.clip_grad_norm_` returns the norm before clipping. Call
# it after ``backward()`` and before ``step()``.
#
# What goes wrong
# ---------------
# **The state is not detached.** A long sequence is read in pieces, with a
# training step after each, and the state is handed to the next piece. But its
# graph still reaches into the piece before. We try it as it is, and then with
# ``retain_graph=True``, as the error message suggests.

layer = nn.LSTM(1, 8, batch_first=True)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
x = torch.randn(4, 40, 1)
errors = []
for keep_graph in [False, True]:
    output, state = layer(x[:, :20])
    output.square().mean().backward(retain_graph=keep_graph)
    optimizer.step()
    output, state = layer(x[:, 20:], state)
    try:
        output.square().mean().backward()
    except RuntimeError as error:
        errors.append(str(error))
        print(errors[-1][:79])

# %%
# As it is, that graph is already freed. If it is kept, the next error comes,
# because the step has changed the weights that the old graph needs. The cure is
# ``detach()``:

output, state = layer(x[:, :20])
state = [each.detach() for each in state]
output, state = layer(x[:, 20:], state)
optimizer.zero_grad()
output.square().mean().backward()
slope = layer.weight_hh_l0.grad.norm().item()
print(f"norm of the slopes: {slope:.4f}")

# %%
# The values of the state go on, and its graph ends there. (The state of an LSTM
# is the pair h and c. That of a GRU is one tensor, so there it is ``state =
# state.detach()``.) This is called *truncated backpropagation through time*.
# Its price is that no slope reaches back beyond the piece (exercise 3).

# %%
# .. check::

assert abs(norms[0] - 5) < 1e-6, "the root of 9 + 16"
assert abs(norms[1] - 0.5) < 1e-6, "below 1"
assert clipped[0].allclose(torch.tensor([0.6, 0.8])), "divided by 5"
assert clipped[1].allclose(torch.tensor([0.3, 0.4])), "below 1 it stays"
assert "a second time" in errors[0], "the graph is freed"
assert "modified by an inplace" in errors[1], "the weights have changed"
assert slope > 0, "detached, it works"

# %%
# Recipe
# ------
# This recipe forecasts a long sequence, piece by piece. For a task that needs
# the far past, open the gates as in exercise 2.

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
# The data is made up: 8 waves with a period of 25 steps, and noise.

torch.manual_seed(0)
times = torch.arange(300) + 25 * torch.rand(8, 1)  # (8, 300)
waves = torch.sin(6.2832 * times / 25)
series = 50 + 10 * waves + torch.randn(8, 300)
length = 200  # the first 200 values train, and the others judge
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
        # a safety net: it hardly acts here
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        state = [each.detach() for each in state]  # values go on

# %%
# The baseline predicts the value of one period ago. The model reads from the
# beginning, and its error counts only the last 100 values. Its very last output
# is a forecast of the value that comes after the data.

with torch.no_grad():
    guess, _ = model(scaled)
truth = scaled[:, length:]
model_error = mse_loss(guess[:, length - 1 : -1], truth).sqrt() * std
baseline = mse_loss(scaled[:, length - 25 : -25], truth).sqrt() * std
forecast = guess[0, -1].item() * std + mean
print(f"root mean squared error {model_error:.2f}, baseline {baseline:.2f}")
print(f"next value of the first wave: {forecast:.1f}")

# %%
# .. check::

assert model_error < 0.95 * baseline, "better than one period ago"
assert model_error < 1.3, "not far from the noise, 1"
assert (
    abs(
        forecast
        - (50 + 10 * torch.sin(6.2832 * (times[0, -1] + 1) / 25)).item()
    )
    < 3
), "the forecast is near the wave"

# %%
# What you learned
# ----------------
# - A gate is a sigmoid that says how much of the memory stays.
# - As PyTorch starts them, gates are near ½ and the memory is short. For about
#   k steps, start one bias of f or z at ln k and the other at 0 (for an LSTM,
#   also i at −ln k).
# - ``clip_grad_norm_`` shortens a long gradient, between ``backward()``
#   and ``step()``.
# - Read a long sequence in pieces, hand the state on, and detach it.
#
# Exercises
# ---------
# 1. **Predict.** An LSTM has c = 1, and f = ½, i = 1 and g = 1 at each step.
#    What is c after three steps?
# 2. **Change.** Start an ``nn.LSTM(1, 8)`` with open gates for 20 steps. How
#    large is the slope of its last output with respect to the input 20
#    steps earlier, for five seeds? Compare with an LSTM that starts as usual.
# 3. **Extend.** Read 40 steps in two pieces. How large is the slope of the last
#    output for the first piece, with and without ``detach()``?

# %%
# .. answer:: 1
#
#    c is 1.5, 1.75 and 1.875.

c = 1.0
values = []
for _ in range(3):
    c = 0.5 * c + 1 * 1
    values.append(c)
print(values)

# %%
# .. check::

assert values == [1.5, 1.75, 1.875], "it comes closer to 2"

# %%
# .. answer:: 2
#
#    The parts of the bias are i, f, g and o. With open gates, the slope is at
#    least 20 times as large for each seed.

sizes = torch.zeros(2, 5)
for seed in range(5):
    torch.manual_seed(seed)
    lstm = nn.LSTM(1, 8, batch_first=True)
    x = torch.randn(100, 21, 1, requires_grad=True)
    for i in range(2):  # as it is, and then with open gates
        x.grad = None
        lstm(x)[0][:, -1].sum().backward()
        sizes[i, seed] = x.grad[:, 0].abs().mean()
        with torch.no_grad():
            lstm.bias_ih_l0.zero_()
            lstm.bias_hh_l0.zero_()
            lstm.bias_ih_l0[:8] = -math.log(20)  # i
            lstm.bias_ih_l0[8:16] = math.log(20)  # f
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
