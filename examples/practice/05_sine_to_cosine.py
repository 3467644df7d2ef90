"""
Sequence regression with an RNN: cosine from sine
=================================================

A network reads the sine of an angle. Can it work out the cosine?

One number is not enough. The task needs memory, and we know the best possible
error.

After this lesson you can

- say what the best error without memory is, and measure it
- train an RNN that predicts a number at each step, and compare it with a linear
  model
- show what a split by window hides, and split by recording
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
# We take a *sample* of the sine at each step. Let the angle grow by ω (omega)
# from one sample to the next. Then the sample before is
# sin(θ − ω) = sin θ · cos ω − cos θ · sin ω, where θ (theta) is the angle now.
# We solve it for the cosine:
#
# .. math::
#
#    \cos\theta = \frac{\cos\omega \cdot \sin\theta - \sin(\theta - \omega)}
#    {\sin\omega}
#
# The factors of sin θ and sin(θ − ω) depend only on ω. So if ω is known, the
# cosine is a *linear* formula of two samples. We try it with three angles.

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
# from the third sample (step 2) on. But this is no longer a linear formula.
# (A linear one of many samples comes close, as we shall see.)

# %%
# .. check::

assert theta[:2].sin().allclose(torch.tensor(0.5)), "the same sine"
assert abs(theta[0].cos() - 0.866) < 5e-4, "plus"
assert abs(theta[1].cos() + 0.866) < 5e-4, "minus"
assert formula.allclose(theta.cos(), atol=1e-5), "the linear formula"
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
# The first baseline is a network without memory, which sees one sample.


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
# We train five, from different seeds, and measure them on the validation waves.

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
# factors that are best for 2,000 training waves. The star in ``*cut(...)``
# hands over both tensors.


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
assert waves.__defaults__ == (0.2, 0.6), "the frequencies"
assert [
    (round(math.degrees(frequency)), round(2 * math.pi / frequency))
    for frequency in waves.__defaults__
] == [(11, 31), (34, 10)], "degrees, and steps a turn"

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

    def forward(self, x):  # (N, T)
        output, _ = self.rnn(x.unsqueeze(2))  # (N, T, 16)
        return self.head(output).squeeze(2)  # (N, T)


# %%
# We train five RNNs. Each of the 200 training steps gets 16 new waves of 20
# samples. The loss is the MSE over all of them, and the learning rate rises and
# falls, as in :doc:`/lessons/practice/04_mistakes`.


def train_rnn(seed):
    torch.manual_seed(seed)
    model = WaveRNN()
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = OneCycleLR(optimizer, max_lr=0.02, total_steps=200)
    for _ in range(200):
        x, y = waves(16, steps=20)
        loss = mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return model


models = [train_rnn(seed) for seed in range(5)]

# %%
# For each step of the sequence, we look at the error on the validation waves.
# What do you expect at step 0, where the RNN has read a single sample?

errors = torch.zeros(5, 40)
with torch.no_grad():
    for i, model in enumerate(models):
        squares = (model(x_val) - y_val) ** 2
        errors[i] = squares.mean(dim=0)  # one for each step

for step in [0, 1, 2, 5, 10, 39]:
    error = errors[:, step]
    print(f"step {step:2}: {error.mean():.3f} ± {error.std():.3f}")

# %%
# .. alt:: The mean squared error against the step, from 0 to 39, with a
#    logarithmic axis. Five lines for five RNNs start above a dotted line at one
#    half, fall below a dashed line at 0.04 before step 10, and from about step
#    12 on stay level at less than 0.01.

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
# At step 0 the memory is empty. No model can beat ½, and the RNNs do not reach
# it. Then each sample helps, up to about step 12. At step 5 the two-sample
# formula is still better, but from step 10 on, all five RNNs have a far smaller
# error, because they use what they read before. The error stays low up to step
# 39, although the training waves ended at step 19.
#
# **Is an RNN the best model here?** Not after 200 training steps. A linear
# formula of ten samples has a smaller error than each of the five RNNs
# (exercise 2). But some of its factors are larger than 1,000, so a little noise
# in the samples ruins it. The RNNs hardly notice such noise (exercise 3).

# %%
# .. check::

assert errors[:, 0].min() > 0.5, "step 0: not better than one half"
assert errors[:, 5].min() > linear, "at step 5 the formula is better"
assert errors[:, 9].max() < linear, "before step 10, the RNNs are"
assert errors[:, 10:].max() < 0.5 * linear, "after ten steps, far better"
assert errors[:, 12:].max() < 0.01, "less than 0.01"
assert errors.mean(dim=0)[:12].diff().max() < 0, "each sample helps"
assert errors.mean(dim=0)[12:].min() > 0.8 * errors[:, 12].mean(), "then level"
assert linear_error(
    fit_linear(*cut(x_train, y_train, 10)), *cut(x_val, y_val, 10)
) < (errors[:, 10:].mean(dim=1).min()), "ten samples: better than each RNN"
assert fit_linear(*cut(x_train, y_train, 10)).abs().max() > 1000, "large"

# %%
# What goes wrong
# ---------------
# **The test shares its waves with the training.** Suppose that we own only two
# recordings, two waves with the frequencies 0.2 and 0.6. We cut them into
# windows of ten samples, shuffle these, fit the linear formula on one half and
# test it on the other half.

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
# On the other half, the formula looks perfect. But the other half has the same
# two frequencies. On waves with other frequencies, the error is about three
# times that of the two-sample formula. So if you will use the model on new
# recordings, split by recording.

# %%
# .. check::

assert shared.max() < 1e-6, "looks perfect"
assert (honest / linear - 3).abs().max() < 0.5, "about three times"

# %%
# Recipe
# ------
# A number at each step of a sequence. The data are made up: 200 sequences of 15
# steps. Each target is half of the target before, plus the input. Whole
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
# The model also returns its state, detached, for a sequence that goes on
# (:doc:`/lessons/architectures/08_lstm`).


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
# nearly follow such a formula, so here it wins. On your data, compare the two.
# (The errors are root mean squared errors, in the unit of the target.)

zeros = torch.zeros(200, 7)  # nothing before the start
# (200, 22) -> (200, 15, 8): the last eight inputs at each step
last = torch.cat([zeros, inputs[..., 0]], dim=1).unfold(1, 8, 1)
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
# - Without memory, the best MSE is ½. Two samples and the frequency make the
#   cosine a linear formula.
# - An RNN gives a guess at each step, and its error falls over the first
#   samples.
# - Compare with a linear formula of a few samples. Without noise, one of ten
#   samples beats our RNNs here.
# - Split by recording, not by window.
#
# Exercises
# ---------
# 1. **Predict.** The angle grows by 180° at each step. What do two samples say
#    about the cosine? What is the best MSE of a linear formula?
# 2. **Change.** Give the linear formula 1 to 6 samples, and 10. How many does
#    it need to beat each of the RNNs (from step 10 on)?
# 3. **Extend.** Add noise to all samples, with the standard deviation 0.01.
#    What is now the MSE of the formula of 10 samples, and that of the RNNs?
#    Then fit formulas of 10 and of 20 samples to noisy training waves.

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
#    Six samples. (An odd number is hardly better than the even one before it.)

by_samples = {}
for k in [1, 2, 3, 4, 5, 6, 10]:
    factors = fit_linear(*cut(x_train, y_train, k))
    by_samples[k] = linear_error(factors, *cut(x_val, y_val, k))
    print(f"{k:2} samples: {by_samples[k]:.4f}")
rnn_errors = errors[:, 10:].mean(dim=1)
print(f"RNNs: {rnn_errors.min():.4f} to {rnn_errors.max():.4f}")

# %%
# .. check::

assert by_samples[6] < rnn_errors.min() < by_samples[5], "six"
assert by_samples[3] > 0.98 * by_samples[2], "3 is hardly better than 2"
assert by_samples[5] > 0.98 * by_samples[4], "5 is hardly better than 4"

# %%
# .. answer:: 3
#
#    The large factors multiply the noise, so the formula is ruined. The RNNs
#    hardly notice it. Fitted to noisy waves, the formula gets smaller factors.
#    With 10 samples it is then worse than each of the RNNs, and with 20 samples
#    better.

noisy_train = x_train + 0.01 * torch.randn(x_train.shape)
noisy_val = x_val + 0.01 * torch.randn(x_val.shape)
clean_fit = fit_linear(*cut(x_train, y_train, 10))
ruined = linear_error(clean_fit, *cut(noisy_val, y_val, 10))
print(f"10 samples, fitted without noise: {ruined:.0e}")
noisy_rnn = torch.zeros(5)
with torch.no_grad():
    for i, model in enumerate(models):
        noisy_rnn[i] = mse_loss(model(noisy_val)[:, 10:], y_val[:, 10:])
print(f"RNNs: {noisy_rnn.min():.4f} to {noisy_rnn.max():.4f}")
refitted = {}
for k in [10, 20]:
    noisy_fit = fit_linear(*cut(noisy_train, y_train, k))
    refitted[k] = linear_error(noisy_fit, *cut(noisy_val, y_val, k))
    print(f"{k} samples, fitted with noise: {refitted[k]:.4f}")

# %%
# .. check::

assert ruined > 1000, "ruined"
assert (noisy_rnn / rnn_errors - 1).abs().max() < 0.1, "hardly notice"
assert refitted[10] > noisy_rnn.max(), "10 samples: worse than each RNN"
assert refitted[20] < noisy_rnn.min(), "20 samples: better"
assert fit_linear(*cut(noisy_train, y_train, 10)).abs().max() < (
    0.01 * clean_fit.abs().max()
), "smaller factors"
