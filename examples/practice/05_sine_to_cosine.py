"""
Sequence regression with an RNN: cosine from sine
=================================================

A network reads the sine of an angle. Can it say the cosine?

The sine and the cosine belong to the same angle, and yet one number is not
enough. This is a small task in which memory is needed, and in which we know the
best possible error, so that we can tell what a network has really learned.

After this lesson you can

- say what the best error without memory is, and measure it
- train an RNN that predicts a number at each step, and compare it with a linear
  model
- detach a hidden state that you carry on, and keep whole waves for the test
"""

# %%
# Setup
# -----

import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import OneCycleLR

torch.manual_seed(0)

# %%
# One number is not enough
# ------------------------
# Two angles between 0° and 360° have the sine 0.5. What are their cosines?

for angle in [30, 150]:
    sine = math.sin(math.radians(angle))
    cosine = math.cos(math.radians(angle))
    print(f"{angle:3}°: sine {sine:.3f}, cosine {cosine:+.3f}")

# %%
# The cosine is +0.866 or −0.866, and the number 0.5 does not say which. If both
# are equally likely, the guess with the smallest mean squared error (MSE) lies
# in the middle, at 0. The same holds for each sine, so the best guess is always
# 0, and the MSE is the mean of cos².
#
# How large is it? For each angle, sin² + cos² = 1. Over a whole turn, the
# cosine takes the same values as the sine, only earlier. So sin² and cos² have
# the same mean, and it must be ½. **Without memory, the best MSE is ½.**
#
# Two numbers are enough if the frequency is known
# ------------------------------------------------
# Suppose that the angle grows by 90° from one sample to the next. Then the
# cosine is minus the sample before: for 30°, the sample before was
# sin(−60°) = −0.866, and for 150° it was sin(60°) = 0.866. If the angle grows
# by ω at each step (the Greek letter omega), the sample before is
# sin(θ − ω) = sin θ · cos ω − cos θ · sin ω, where θ (theta) is the angle now.
# We solve it for the cosine:
#
# .. math::
#
#    \cos\theta = \frac{\cos\omega \cdot \sin\theta - \sin(\theta - \omega)}
#    {\sin\omega}
#
# The factors depend only on ω. So if ω is known, the cosine is a *linear*
# formula of two samples. We try it with three angles.

omega = math.radians(20)
theta = torch.tensor([30.0, 150.0, 200.0]) * math.pi / 180
now = theta.sin()
before = (theta - omega).sin()
formula = (math.cos(omega) * now - before) / math.sin(omega)
print("formula:", formula)
print("cosine: ", theta.cos())

# %%
# They agree. But each of our waves will have its own ω, its *frequency*,
# and the network is not told which one. Three samples tell it, because
# sin θ + sin(θ − 2ω) = 2 cos ω · sin(θ − ω). So with memory, the best MSE is 0
# from the third sample on. But this is no longer a linear formula.

# %%
# .. check::

assert theta[:2].sin().allclose(torch.tensor(0.5)), "the same sine"
assert abs(theta[0].cos() - 0.866) < 5e-4, "plus"
assert abs(theta[1].cos() + 0.866) < 5e-4, "minus"
assert formula.allclose(theta.cos(), atol=1e-5), "the linear formula"
assert abs(math.sin(math.radians(-60)) + 0.866) < 5e-4, "the sample before"
assert (now + (theta - 2 * omega).sin()).allclose(
    2 * math.cos(omega) * before, atol=1e-5
), "three samples tell the frequency"

# %%
# Data
# ----
# Each wave has a random frequency and a random start, the *phase*. A frequency
# of 0.2 to 0.6 radians (11° to 34°) a step makes a full turn in 31 to 10 steps.
# For validation we take 1,000 waves that no model trains on. They have 40
# samples, twice as many as the training waves.


def waves(n, steps, low=0.2, high=0.6):
    frequency = low + (high - low) * torch.rand(n, 1)
    phase = 2 * math.pi * torch.rand(n, 1)
    angle = frequency * torch.arange(steps) + phase
    return angle.sin(), angle.cos()


x_val, y_val = waves(1000, steps=40)
print(x_val.shape, y_val.shape)

# %%
# Baselines
# ---------
# The first baseline is a network without memory, which sees one sample. We
# train five, from different seeds.


def train_without_memory(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        x, y = waves(200, steps=1)  # (200, 1)
        loss = mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


# %%
# All five are measured on the validation waves.

without = torch.zeros(5)
for seed in range(5):
    model = train_without_memory(seed)
    with torch.no_grad():
        guess = model(x_val.reshape(-1, 1))  # one sample at a time
        without[seed] = mse_loss(guess, y_val.reshape(-1, 1))
print(f"without memory: {without.mean():.3f} ± {without.std():.3f}")

# %%
# It is ½, as we reasoned.
#
# The second :term:`baseline` is a linear formula of the last ``k`` samples.
# ``cut`` takes all windows of ``k`` samples out of the waves, each with the
# cosine at its last sample (``unfold`` is from
# :doc:`/lessons/tensors/07_joining`). Then :func:`torch.linalg.lstsq` finds the
# factors that are best for 2,000 training waves. The star hands over both
# tensors.


def cut(x, y, k):
    windows = x.unfold(1, k, 1).reshape(-1, k)
    targets = y[:, k - 1 :].reshape(-1)
    # more digits, because neighbouring samples are almost alike
    return windows.double(), targets.double()


def fit_linear(windows, targets):
    return torch.linalg.lstsq(windows, targets).solution


def linear_error(factors, windows, targets):
    return mse_loss(windows @ factors, targets).item()


x_train, y_train = waves(2000, steps=20)
two_samples = fit_linear(*cut(x_train, y_train, k=2))
linear = linear_error(two_samples, *cut(x_val, y_val, k=2))
print(f"linear, two samples: {linear:.3f}")

# %%
# The second sample takes away nine tenths of the error. The rest is left
# because one pair of factors has to serve all frequencies.

# %%
# .. check::

assert abs(without.mean() - 0.5) < 0.01, "one half"
assert without.std() < 0.01, "for each seed"
assert linear < 0.1 * without.mean(), "nine tenths are gone"
assert linear > 0.02, "and something is left"
assert round(2 * math.pi / 0.2) == 31, "31 steps a turn"
assert round(2 * math.pi / 0.6) == 10, "10 steps a turn"
assert round(math.degrees(0.2)) == 11, "in degrees"
assert round(math.degrees(0.6)) == 34, "in degrees"

# %%
# An RNN
# ------
# A recurrent network (:doc:`/lessons/architectures/07_rnn`) reads one sample at
# a time. ``nn.RNN`` returns its hidden state at each step, and one linear layer
# turns each of them into a guess.


class WaveRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(1, 16, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x, state=None):  # x: (N, T)
        # without a state, it starts at 0
        output, state = self.rnn(x.unsqueeze(2), state)
        return self.head(output).squeeze(2), state  # (N, T)


# %%
# Each of the 200 training steps gets 16 new waves of 20 samples. The loss is
# the MSE over all of them, and the learning rate rises and falls, as in
# :doc:`/lessons/practice/04_mistakes`.


def train_rnn(seed):
    torch.manual_seed(seed)
    model = WaveRNN()
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = OneCycleLR(optimizer, max_lr=0.02, total_steps=200)
    for _ in range(200):
        x, y = waves(16, steps=20)
        guess, _ = model(x)
        loss = mse_loss(guess, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return model


# %%
# We train five such RNNs.

models = [train_rnn(seed) for seed in range(5)]

# %%
# For each step of the sequence, we look at the error on the validation waves.
# What do you expect at step 0, where the RNN has read a single sample?

errors = torch.zeros(5, 40)
with torch.no_grad():
    for i, model in enumerate(models):
        guess, _ = model(x_val)
        errors[i] = ((guess - y_val) ** 2).mean(dim=0)  # one for each step

for step in [0, 1, 2, 5, 10, 39]:
    error = errors[:, step]
    print(f"step {step:2}: {error.mean():.3f} ± {error.std():.3f}")

# %%
# .. alt:: The mean squared error against the step, from 0 to 39, with a
#    logarithmic axis. Five lines for five RNNs start above a dotted line at one
#    half, fall below a dashed line at 0.04 before step 10, and stay level at
#    less than 0.01 to the end.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
for i in range(5):
    label = "RNN, five seeds" if i == 0 else None
    axis.plot(errors[i].numpy(), color="tab:blue", alpha=0.7, label=label)
axis.axhline(0.5, color="black", ls=":", label="without memory")
axis.axhline(linear, color="tab:orange", ls="--", label="linear, two samples")
axis.set(xlabel="step", ylabel="mean squared error", yscale="log")
axis.legend(fontsize=8)

# %%
# At step 0 the memory is empty, and no model can beat ½. (The RNNs are even
# worse. Only one of the 20 steps in their loss is a first one.) Then each
# sample helps. At step 5 the two-sample formula is still better, but from step
# 10 on, all five RNNs have a far smaller error, because they use what they read
# before. The error stays low up to step 39, although the training waves ended
# at step 19.
#
# **Is an RNN the best model here?** Not after 200 training steps. A linear
# formula of ten samples has a smaller error than each of the five RNNs
# (exercise 2). What the RNN spares us is the choice of a window.

# %%
# .. check::

assert errors[:, 0].min() > 0.5, "step 0: not better than one half"
assert errors[:, 10:].max() < 0.5 * linear, "after ten steps, far better"
assert errors[:, 20:].max() < 0.03, "it stays low where training ended"
assert errors[:, 5].min() > linear, "at step 5 the formula is better"
assert linear_error(
    fit_linear(*cut(x_train, y_train, 10)), *cut(x_val, y_val, 10)
) < (errors[:, 10:].mean(dim=1).min()), "ten samples: better than each RNN"

# %%
# What goes wrong
# ---------------
# **The state is not detached.** A wave of 200 samples arrives in ten pieces. So
# we pass the state of one piece on to the next, and train after each piece.

x_long, y_long = waves(1, steps=200)
x_pieces = x_long.split(20, dim=1)
y_pieces = y_long.split(20, dim=1)
model = models[0]
state = None
trained = 0
try:
    for x, y in zip(x_pieces, y_pieces, strict=True):
        guess, state = model(x, state)
        mse_loss(guess, y).backward()
        trained += 1
except RuntimeError as error:
    message = str(error)
    print(f"after {trained} piece:", message.split(" (")[0])

# %%
# The state is the end of the graph of the first piece. So the second
# ``backward`` runs into the first piece, whose graph is freed already. With the
# line ``state = state.detach()``, the numbers are kept and the graph is cut.
#
# If you only predict, no error warns you, but the graphs of all earlier pieces
# stay in memory.
#
# **The test shares its waves with the training.** Now suppose that we own only
# two recordings, with the frequencies 0.2 and 0.6. We cut them into windows of
# ten samples, shuffle these, fit the linear formula on one half and test it on
# the other half.

x_a, y_a = waves(1, 200, low=0.2, high=0.2)
x_b, y_b = waves(1, 200, low=0.6, high=0.6)
windows, targets = cut(torch.cat([x_a, x_b]), torch.cat([y_a, y_b]), k=10)
shared = torch.zeros(5)
honest = torch.zeros(5)
for seed in range(5):
    torch.manual_seed(seed)
    half, rest = torch.randperm(len(windows)).chunk(2)
    factors = fit_linear(windows[half], targets[half])
    shared[seed] = linear_error(factors, windows[rest], targets[rest])
    honest[seed] = linear_error(factors, *cut(x_val, y_val, k=10))
print(f"the other half: at most {shared.max():.0e}")
print(f"new waves: {honest.mean():.3f} ± {honest.std():.3f}")

# %%
# On the other half, the formula looks perfect. But each window there has
# neighbours in the training half that overlap with it, and above all the same
# two frequencies. On waves with other frequencies, the error is large, more
# than twice that of the two-sample formula. So if you will use the model on new
# recordings, split by recording.

# %%
# .. check::

assert trained == 1, "the second piece fails"
assert "backward through the graph a second time" in message, "why"
assert shared.max() < 1e-6, "looks perfect"
assert honest.min() > 2 * linear, "is not"

# %%
# Recipe
# ------
# A number at each step of a sequence. The data are made up: 200 sequences of 15
# steps, in which the target halves at each step and adds the input. Whole
# sequences are kept for validation.

import torch
from torch import nn

torch.manual_seed(0)
inputs = 100 + 20 * torch.randn(200, 15, 1)  # (N, T, features)
targets = torch.zeros(200, 15, 1)
targets[:, 0] = inputs[:, 0]
for step in range(1, 15):
    targets[:, step] = 0.5 * targets[:, step - 1] + inputs[:, step]
train_inputs, val_inputs = inputs.split([150, 50])  # by sequence
train_targets, val_targets = targets.split([150, 50])

# %%
# The model also returns its state, detached, for a sequence that goes on.


class SequenceRegressor(nn.Module):
    def __init__(self, features, hidden, targets):
        super().__init__()
        self.rnn = nn.RNN(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, targets)

    def forward(self, x, state=None):
        output, state = self.rnn(x, state)
        return self.head(output), state.detach()  # nn.LSTM: detach both


# %%
# Inputs and targets are standardized with the numbers of the training part.

x_mean = train_inputs.mean(dim=(0, 1))
x_std = train_inputs.std(dim=(0, 1))
y_mean = train_targets.mean(dim=(0, 1))
y_std = train_targets.std(dim=(0, 1))
model = SequenceRegressor(features=1, hidden=16, targets=1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(150):
    guess, _ = model((train_inputs - x_mean) / x_std)
    loss = nn.functional.mse_loss(guess, (train_targets - y_mean) / y_std)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# The baseline is a linear formula of the last eight inputs. The made-up data
# follow such a formula, so here it wins. On your data, compare the two. The
# errors are root mean squared errors, in the unit of the target.

before = torch.zeros(200, 7)  # nothing before the start
last = torch.cat([before, inputs[..., 0]], dim=1).unfold(1, 8, 1)
table, val_table = last.split([150, 50])  # (N, T, 8)
answers = train_targets.reshape(-1, 1)
factors = torch.linalg.lstsq(table.reshape(-1, 8), answers).solution
baseline = ((val_table @ factors - val_targets) ** 2).mean() ** 0.5
new = torch.full((1, 15, 1), 100.0)
with torch.no_grad():
    guess = model((val_inputs - x_mean) / x_std)[0] * y_std + y_mean
    new_guess = model((new - x_mean) / x_std)[0] * y_std + y_mean
error = ((guess - val_targets) ** 2).mean() ** 0.5
print(f"RNN {error:.1f}, linear {baseline:.1f}")
print(f"the last step of a new sequence: {new_guess[0, -1, 0]:.0f}")

# %%
# .. check::

assert error < 2, "the recipe learns"
assert baseline < 0.5 * error, "here the formula wins"
assert abs(new_guess[0, -1, 0] - 200) < 5, "100 at each step leads to 200"

# %%
# What you learned
# ----------------
# - One sample of a sine leaves the sign of the cosine open. Without memory, the
#   best MSE is ½. Two samples and the frequency make it a linear formula.
# - An RNN gives a guess at each step, and its error falls as it reads.
# - Compare with a linear formula of some samples. Here it beats the RNNs, which
#   were trained for only 200 steps.
# - If you carry a state on, detach it. Split by recording, not by window.
#
# Exercises
# ---------
# 1. **Predict.** The angle grows by 180° at each step. What do two samples say
#    about the cosine? What is the best MSE of a linear formula?
# 2. **Change.** Give the linear formula 1, 2, 3, 5 and 10 samples. From how
#    many on is it better than the RNNs from step 10 on?
# 3. **Extend.** Halve the amplitude of the validation waves, and so of their
#    cosines. What happens to the MSE of the formula, and to that of the RNNs?

# %%
# .. answer:: 1
#
#    The sample before is always minus the sample now, so it says nothing new
#    (and the formula would divide by sin 180° = 0). The best MSE is ½ again.

x_half, y_half = waves(2000, steps=20, low=math.pi, high=math.pi)
windows, targets = cut(x_half, y_half, k=2)
half_turn = linear_error(fit_linear(windows, targets), windows, targets)
print(f"{half_turn:.2f}")

# %%
# .. check::

assert abs(half_turn - 0.5) < 0.02, "one half"

# %%
# .. answer:: 2
#
#    Only with 10 of these. With 5 samples its error is about that of the RNNs.

by_samples = {}
for k in [1, 2, 3, 5, 10]:
    factors = fit_linear(*cut(x_train, y_train, k))
    by_samples[k] = linear_error(factors, *cut(x_val, y_val, k))
    print(f"{k:2} samples: {by_samples[k]:.4f}")
rnn_errors = errors[:, 10:].mean(dim=1)
print(f"RNNs: {rnn_errors.min():.4f} to {rnn_errors.max():.4f}")

# %%
# .. check::

assert by_samples[10] < rnn_errors.min(), "10: better than each RNN"
assert by_samples[5] > rnn_errors.min(), "5: not yet"
assert by_samples[5] < 3 * rnn_errors.mean(), "but about the same"

# %%
# .. answer:: 3
#
#    The formula is linear. If the samples are halved, its guesses are halved,
#    too, and so the MSE is divided by 4. The RNNs have only ever seen the
#    amplitude 1. Their error grows, and it would be better always to guess 0
#    (the MSE of that is ½ · ¼ = 0.125).

formula_half = linear_error(two_samples, *cut(x_val / 2, y_val / 2, k=2))
rnn_half = []
with torch.no_grad():
    for model in models:
        guess, _ = model(x_val / 2)
        rnn_half.append(mse_loss(guess[:, 10:], y_val[:, 10:] / 2).item())
print(f"formula: {formula_half:.4f}, a quarter of {linear:.4f}")
print(f"RNNs: {min(rnn_half):.2f} to {max(rnn_half):.2f}")

# %%
# .. check::

assert abs(formula_half - linear / 4) < 0.05 * linear, "a quarter"
assert min(rnn_half) > 0.125, "worse than the guess 0"
