"""
Recurrent networks
==================

How does a network read a sequence, and how far back does it remember?

In a sentence or a temperature curve, the order matters. A *recurrent network*
(RNN) reads one step at a time and carries a memory along. Whether it can use
what it read long ago depends on a factor that is applied at each step.

After this lesson you can

- compute a recurrent network step by step, and get what ``nn.RNN`` returns
- measure how far back a network remembers, and say why it forgets
- notice mixed-up axes, and a memory that was kept from other sequences
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

torch.manual_seed(0)

# %%
# A memory of one number
# ----------------------
# Our first memory is a single number h, which starts at 0. At each step it is
# halved, and the input x is added:
#
# .. math:: h \leftarrow \tfrac{1}{2} h + x
#
# The inputs are 1, 0, 0, 0. Which four values does h take?

by_hand = []
h = 0.0
for x in [1.0, 0.0, 0.0, 0.0]:
    h = 0.5 * h + x
    by_hand.append(h)
print(by_hand)

# %%
# :class:`torch.nn.RNN` can compute the same. We set its weight of the input to
# 1, that of the memory to ½, and its two biases to 0.
#
# Its input has three axes, (N, T, inputs): N sequences of T steps, and the
# numbers of a step. ``batch_first=True`` says that N comes first.


def halving_layer(batch_first):
    layer = nn.RNN(1, 1, nonlinearity="relu", batch_first=batch_first)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1)  # input to hidden
        layer.weight_hh_l0.fill_(0.5)  # hidden to hidden
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
    return layer


x = torch.tensor([1.0, 0.0, 0.0, 0.0]).reshape(1, 4, 1)  # (N, T, inputs)
output, last = halving_layer(batch_first=True)(x)
for t in range(4):
    print(f"step {t}: {by_hand[t]} {output[0, t, 0].item()}")
print("output", tuple(output.shape), "last", tuple(last.shape))

# %%
# The memory is called the :term:`hidden state`. ``nn.RNN`` returns the hidden
# states of all steps, and that of the last step once more. ``last`` has the
# axes (layers, N, hidden). There N is always axis 1. ``batch_first`` does not
# change that.
#
# A memory of several numbers
# ---------------------------
# Usually the hidden state holds several numbers, and a layer mixes them at each
# step. The index t counts the steps:
#
# .. math::
#
#    h_t = \tanh(W_{ih} \, x_t + b_{ih} + W_{hh} \, h_{t-1} + b_{hh})
#
# The matrices W and the biases b are the same for all steps. We take 2
# sequences of 5 steps with 3 numbers each, and a hidden state of 4 numbers, and
# compare after each step.

layer = nn.RNN(3, 4, batch_first=True)
x = torch.randn(2, 5, 3)  # (N, T, inputs)
largest = []
with torch.no_grad():
    output, last = layer(x)  # (2, 5, 4) and (1, 2, 4)
    h = torch.zeros(2, 4)
    for t in range(5):
        from_input = x[:, t] @ layer.weight_ih_l0.T + layer.bias_ih_l0
        from_memory = h @ layer.weight_hh_l0.T + layer.bias_hh_l0
        h = torch.tanh(from_input + from_memory)
        largest.append((h - output[:, t]).abs().max().item())
print("largest difference:", max(largest))

# %%
# .. check::

assert by_hand == [1, 0.5, 0.25, 0.125], "each step halves the trace"
assert max(largest) < 1e-6, "by hand as nn.RNN"
assert last[0].equal(output[:, -1]), "the last step once more"

# %%
# A factor for each step
# ----------------------
# In t steps, the trace of an input is multiplied by the factor of the memory t
# times, and so is its slope in the backward pass. In 50 steps, 0.9 leaves
# 0.005, and 1.1 makes 117. These are the :term:`vanishing and exploding
# gradients <vanishing gradient>` of
# :doc:`/lessons/architectures/02_initialization`. In a recurrent network, the
# steps take the place of the layers. (With tanh, the state stays between −1 and
# 1, but its slope can still explode.)
#
# Which factor does ``nn.RNN`` start with? We create it with five seeds, and
# measure the slope of the last hidden state with respect to the input t steps
# earlier. The hidden state has 8 numbers. Random weights mix them into one, so
# that each input has one slope. We take the mean size over 100 sequences.

slopes = torch.zeros(5, 41)
for seed in range(5):
    torch.manual_seed(seed)
    layer = nn.RNN(1, 8, batch_first=True)
    x = torch.randn(100, 41, 1, requires_grad=True)
    output, last = layer(x)
    (output[:, -1] @ torch.randn(8)).sum().backward()
    sizes = x.grad.abs().mean(dim=0).flatten()  # (41,)
    for t in range(41):
        slopes[seed, t] = sizes[40 - t]  # t steps before the last one

for t in [0, 5, 10, 20, 40]:
    print(f"{t:2} steps ago: {slopes[:, t].min():.0e}", end=" ")
    print(f"to {slopes[:, t].max():.0e}")

# %%
# .. alt:: The size of the slope against the number of steps ago, from 0 to 40,
#    with a logarithmic axis. Five lines, one for each seed, fall nearly
#    straight, at different rates. A dotted line shows 0.9 to the power of t,
#    which falls far more slowly.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
for seed in range(5):
    axis.plot(slopes[seed].numpy(), color="tab:blue", alpha=0.7)
axis.plot(0.9 ** torch.arange(41), ":", color="black", label="0.9 ** t")
axis.plot([], color="tab:blue", label="nn.RNN, five seeds")
axis.set(xlabel="steps ago (t)", ylabel="size of the slope", yscale="log")
axis.set(ylim=(1e-23, 10))
axis.legend()

# %%
# The lines are nearly straight on the logarithmic axis, so each step multiplies
# by about the same factor, and for all five it lies far below 0.9. Before
# training, the last state hardly depends on what was read 20 steps earlier.

# %%
# .. check::

assert ((slopes[:, 40] / slopes[:, 20]) ** (1 / 20) < 0.8).all(), (
    "the factor of each step is far below 0.9"
)
assert (slopes[:, 20] < 1e-3 * slopes[:, 0]).all(), "20 steps ago: hardly"

# %%
# The echo task
# -------------
# Can training overcome this? We make up a task whose distance we control. The
# network reads random bits, and at the end it has to repeat the first bit. The
# number of steps after it is the distance. A network that remembers nothing is
# right in half of all cases.
#
# To try five random starts at once, we use our own lines from above, and give
# each weight a first axis of 5. The product ``@`` then multiplies network by
# network (:doc:`/lessons/tensors/10_matrix_products`). There are 8 hidden
# numbers, and the weights start as in PyTorch, between −1/√8 and 1/√8.


def new_weights():
    weights = []  # w_ih, b_ih, w_hh, b_hh, w_out, b_out
    for shape in [(1, 8), (1, 8), (8, 8), (1, 8), (8, 1), (1, 1)]:
        start = (2 * torch.rand(5, *shape) - 1) / 8**0.5
        weights.append(start.requires_grad_())
    return weights


# %%
# ``last_score`` reads all bits. A linear layer then turns the last hidden state
# into one score, and a score above 0 means the answer 1.


def last_score(x, weights):  # x: (5, N, T, 1)
    w_ih, b_ih, w_hh, b_hh, w_out, b_out = weights
    h = torch.zeros(5, x.shape[1], 8)
    for t in range(x.shape[2]):
        h = torch.tanh(x[:, :, t] @ w_ih + b_ih + h @ w_hh + b_hh)
    return h @ w_out + b_out  # (5, N, 1)


def random_bits(n, distance):
    bits = torch.randint(0, 2, (5, n, distance + 1, 1))
    return 2.0 * bits - 1  # −1 or 1: both leave a trace


def accuracy(weights, distance):
    with torch.no_grad():
        x = random_bits(1000, distance)
        right = (last_score(x, weights) > 0) == (x[:, :, 0] > 0)
    return right.float().mean(dim=(1, 2))  # (5,)


# %%
# ``train`` takes 100 training steps.


def train(weights, distance):
    optimizer = torch.optim.Adam(weights, lr=0.03)
    curves = torch.zeros(100, 5)
    for step in range(100):
        x = random_bits(32, distance)  # new bits at each step
        first = (x[:, :, 0] > 0).float()
        score = last_score(x, weights)
        each = binary_cross_entropy_with_logits(score, first, reduction="none")
        losses = each.mean(dim=(1, 2))  # over the sequences of each network
        curves[step] = losses.detach()
        optimizer.zero_grad()
        losses.sum().backward()  # no shared weights: each learns by itself
        optimizer.step()
    return curves


# %%
# Each line has five accuracies.

curves = {}
results = {}
torch.manual_seed(0)
for distance in [5, 10, 20, 40]:
    weights = new_weights()
    curves[distance] = train(weights, distance)
    results[distance] = accuracy(weights, distance)
    shares = [f"{share:.2f}" for share in results[distance].tolist()]
    print(f"distance {distance:2}:", " ".join(shares))

# %%
# .. alt:: Three panels, for the distances 10, 20 and 40, with the loss of five
#    networks against the training step. At distance 10 all five stay near a
#    dotted line at 0.69 and then fall towards 0. At distance 20 only one falls
#    before step 100. At distance 40 none reaches 0.

# %%
# .. drawing::

figure, axes = plt.subplots(
    1, 3, figsize=(7.2, 2.6), sharey=True, layout="constrained"
)
for axis, distance in zip(axes, [10, 20, 40], strict=True):
    axis.plot(curves[distance].numpy(), color="tab:blue", alpha=0.7)
    axis.axhline(0.693, color="black", ls=":", label="guessing")
    axis.set(
        title=f"distance {distance}", xlabel="training step", ylim=(0, 1.2)
    )
axes[0].set(ylabel="loss")
axes[0].legend(fontsize=8)

# %%
# Up to distance 10, training overcomes it. All five networks are right nearly
# always. At 20, most of them are still guessing after 100 steps, and at 40 none
# has learned the task. The further back the answer lies, the longer the loss
# stays at ln 2 = 0.69, the loss of guessing. This fits the slopes from above.
# In :doc:`/lessons/architectures/08_lstm`, the network computes the factor of
# its memory itself.

# %%
# .. check::

assert results[5].min() > 0.98, "5: all are right nearly always"
assert results[10].min() > 0.98, "10: as well"
assert (results[20] < 0.6).sum() >= 3, "20: most are guessing"
assert results[40].max() < 0.9, "40: none has learned it"
assert (curves[5] < 0.35).any(dim=0).all(), "5: each of the five gets there"
assert (curves[10] < 0.35).any(dim=0).all(), "10: as well"
assert (curves[5] < 0.35).float().argmax(dim=0).median() < (
    (curves[10] < 0.35).float().argmax(dim=0).median()
), "further back, longer"
assert (curves[20][:20].mean(dim=0) - 0.693).abs().max() < 0.1, (
    "the loss stays at that of guessing"
)

# %%
# What goes wrong
# ---------------
# **The axes are mixed up.** Without ``batch_first=True``, ``nn.RNN`` takes the
# first axis for the steps. Here the batch holds two sequences, 1 0 0 0 and
# 0 0 0 0. What should the output of the second one be?

x = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]).unsqueeze(2)
with torch.no_grad():
    right, right_last = halving_layer(batch_first=True)(x)
    mixed, mixed_last = halving_layer(batch_first=False)(x)
print("right:", right[:, :, 0].tolist(), "last", tuple(right_last.shape))
print("mixed:", mixed[:, :, 0].tolist(), "last", tuple(mixed_last.shape))

# %%
# A sequence of zeros should give zeros, but its first output is ½, because the
# layer walked from one sequence to the next. There is no error, and the shape
# is right. But axis 1 of ``last`` has to be as long as the batch, 2, and here
# it is 4.
#
# **The memory is kept from other sequences.** ``layer(x, last)`` starts from
# the hidden state ``last``. That is right only if each sequence continues the
# one in the same row of the batch before.

before = torch.tensor([1.0, 0.0, 0.0, 0.0]).reshape(1, 4, 1)
zeros = torch.zeros(1, 4, 1)  # another sequence
layer = halving_layer(batch_first=True)
with torch.no_grad():
    output, last = layer(before)
    kept, _ = layer(zeros, last)
    fresh, _ = layer(zeros)
print("kept: ", kept.flatten().tolist())
print("fresh:", fresh.flatten().tolist())

# %%
# The kept state gives zeros an output. Without it, each sequence starts at 0.
# (If you keep the state in training, pass ``last.detach()``. Otherwise the
# second ``backward()`` fails.)

# %%
# .. check::

assert right[1].abs().max() == 0, "zeros leave no trace"
assert mixed[1, 0] == 0.5, "mixed up, half of the other sequence"
assert mixed.shape == right.shape, "the right shape"
assert mixed_last.shape[1] == 4, "the steps"
assert kept.flatten().tolist() == [1 / 16, 1 / 32, 1 / 64, 1 / 128], "a trace"
assert fresh.abs().max() == 0, "no trace"

# %%
# Recipe
# ------
# A classifier of sequences.

import torch
from torch import nn
from torch.nn.functional import cross_entropy


class SequenceClassifier(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.rnn = nn.RNN(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):  # (N, T, features)
        output, _ = self.rnn(x)  # each starts at 0
        return self.head(output[:, -1])  # (N, classes)


# %%
# (All sequences have the same length here. If shorter ones are filled up, take
# the output at the last real step of each instead of ``[:, -1]``.)
#
# The data are made up, with two numbers at each step. The class is 1 if the
# first number is larger in the second half, on average, than in the first half.

torch.manual_seed(0)
x = 100 + 20 * torch.randn(600, 12, 2)
y = (x[:, 6:, 0].mean(dim=1) > x[:, :6, 0].mean(dim=1)).long()
x_train, x_val = x.split([400, 200])
y_train, y_val = y.split([400, 200])
mean = x_train.mean(dim=(0, 1))  # one for each feature
std = x_train.std(dim=(0, 1))

model = SequenceClassifier(features=2, hidden=16, classes=2)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(100):
    loss = cross_entropy(model((x_train - mean) / std), y_train)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# The baseline always says the most frequent class.

new = torch.full((1, 12, 2), 90.0)
new[:, 6:] = 110  # larger in the second half
with torch.no_grad():
    guess = model((x_val - mean) / std).argmax(dim=1)
    new_class = model((new - mean) / std).argmax(dim=1).item()
share = (guess == y_val).float().mean().item()
baseline = y_val.bincount().max().item() / len(y_val)
print(f"right {share:.0%}, baseline {baseline:.0%}")
print("class of the new sequence:", new_class)

# %%
# .. check::

assert share > baseline + 0.2, "far better than the baseline"
assert new_class == 1, "larger in the second half"
assert model(x_train[:5]).shape == (5, 2), "a row for each sequence"
assert model((x_val[:1] - mean) / std).allclose(
    model((x_val - mean) / std)[:1], atol=1e-4
), "a sequence is read alike alone and in a batch"

# %%
# What you learned
# ----------------
# - A recurrent network applies the same weights at each step, to the input and
#   to its hidden state.
# - What was read t steps ago is multiplied by a factor at each step, and so is
#   its slope. If the factors stay below 1, both vanish. If they stay above 1,
#   the slope explodes.
# - The further back the answer lies, the longer the network guesses before it
#   learns.
# - Set ``batch_first=True``, and check that axis 1 of the last state is as long
#   as the batch. Start unrelated sequences without a state.
#
# Exercises
# ---------
# 1. **Predict.** The memory has the weight 2 instead of ½, and then −½, with
#    ReLU. What does the layer make of 1, 0, 0, 0?
# 2. **Change.** Start the weight of the memory as an orthogonal matrix, which
#    does not change the length of a vector (:func:`torch.nn.init.orthogonal_`).
#    How large is the slope for the input of 20 steps ago now, for five seeds?
# 3. **Extend.** Let an ``nn.RNN`` read a sequence of 10 steps at once, and then
#    in two halves. How do you get the same output?

# %%
# .. answer:: 1
#
#    With 2, each step doubles the trace: 1, 2, 4, 8. With −½, the next value
#    would be −½, but ReLU makes it 0. So the output is 1, 0, 0, 0.

x = torch.tensor([1.0, 0.0, 0.0, 0.0]).reshape(1, 4, 1)
predicted = {}
for weight in [2.0, -0.5]:
    layer = halving_layer(batch_first=True)
    with torch.no_grad():
        layer.weight_hh_l0.fill_(weight)
        predicted[weight] = layer(x)[0].flatten().tolist()
    print(weight, predicted[weight])

# %%
# .. check::

assert predicted[2.0] == [1, 2, 4, 8], "doubled"
assert predicted[-0.5] == [1, 0, 0, 0], "cut off"

# %%
# .. answer:: 2
#
#    For each of the five seeds it is more than a hundred times as large as
#    before. It still shrinks, because the slope of tanh is at most 1.

orthogonal = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    layer = nn.RNN(1, 8, batch_first=True)
    nn.init.orthogonal_(layer.weight_hh_l0)
    x = torch.randn(100, 41, 1, requires_grad=True)
    output, last = layer(x)
    (output[:, -1] @ torch.randn(8)).sum().backward()
    orthogonal[seed] = x.grad[:, -21, 0].abs().mean()
    print(f"before {slopes[seed, 20]:.0e}, now {orthogonal[seed]:.0e}")

# %%
# .. check::

assert (orthogonal > 100 * slopes[:, 20]).all(), "more than a hundred times"
assert (orthogonal < slopes[:, 0]).all(), "it still shrinks"

# %%
# .. answer:: 3
#
#    Give the last state of the first half to the second half. The second half
#    really is the continuation of the first.

layer = nn.RNN(3, 4, batch_first=True)
x = torch.randn(2, 10, 3)
with torch.no_grad():
    whole, _ = layer(x)
    first_half, last = layer(x[:, :5])
    second_half, _ = layer(x[:, 5:], last)
halves = torch.cat([first_half, second_half], dim=1)
print((halves - whole).abs().max().item() < 1e-6)

# %%
# .. check::

assert halves.allclose(whole, atol=1e-6), "the same output"
