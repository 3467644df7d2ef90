"""
Variational autoencoder (VAE)
=============================

How can a network learn a code for images, so that random codes become images?

An :term:`autoencoder` is a pair of networks. The encoder turns an image into a
few numbers, its *code* (or *latent variables*), and the decoder turns the code
back into the image. A *variational autoencoder* (VAE; Kingma and Welling, 2014)
keeps its codes close to standard normal numbers, so that you can draw new codes
yourself. In this lesson, a plain autoencoder draws digits that are just as
good. But the VAE also says, as a number, how probable it finds an image that it
has never seen.

After this lesson you can

- compute both parts of a VAE's loss by hand, and get a gradient through a
  random number
- train a VAE on images, and compare it with simpler models
- notice when the decoder ignores the code
"""

# %%
# Setup
# -----

import math

import matplotlib.pyplot as plt
import torch
from sklearn.cluster import KMeans
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import OneCycleLR

torch.manual_seed(0)

# %%

from handbook import (
    Batches,
    classification_step,
    datasets,
    fit,
    metrics,
    models,
    plots,
)

# %%
# One number, encoded
# -------------------
# Let the data be a single number, 2. Its code is a random number, and the
# encoder chooses only the mean and the standard deviation of the code. The
# decoder guesses that the data is equal to the code, with a normal error of
# standard deviation 1.
#
# A VAE adds up two costs, in nats (:doc:`/lessons/applications/07_ngrams`):
#
# - The *reconstruction* is the mean of −ln p(2 | code). For this decoder it is
#   ½ ln 2π = 0.919 plus half of the mean squared distance between the code and
#   2, which is (2 − mean)² + std².
# - The :term:`KL divergence` says how far the distribution of the code is from
#   the standard normal one. It is (mean² + std² − 1) / 2 − ln std, which is 0
#   only for mean 0 and standard deviation 1.
#
# We compute both for three codes, and compare the KL with
# :func:`torch.distributions.kl_divergence`, which takes two distributions such
# as :class:`torch.distributions.Normal`:

toy_costs = []
print("mean  std   reconstruction  KL by hand  by torch    sum")
for mean, std in [(0, 1), (2, 0.1), (1, 0.5**0.5)]:
    distance = (2 - mean) ** 2 + std**2
    reconstruction = 0.5 * math.log(2 * math.pi) + distance / 2
    by_hand = (mean**2 + std**2 - 1) / 2 - math.log(std)
    by_torch = kl_divergence(Normal(mean, std), Normal(0, 1)).item()
    toy_costs.append([reconstruction, by_hand, by_torch])
    print(f"{mean:4} {std:5.2f} {reconstruction:12.3f} {by_hand:14.3f}", end="")
    print(f" {by_torch:9.3f} {reconstruction + by_hand:8.3f}")
surprise = -Normal(0, 2**0.5).log_prob(torch.tensor(2.0)).item()
print(f"-ln p(2) = {surprise:.3f}")

# %%
# The first code is standard normal. It costs nothing and tells nothing. The
# second tells almost exactly where 2 is, and its KL is high. The third has the
# smallest sum, and no code has a smaller one, because the sum is never below
# −ln p(2). Here p is the distribution of what the decoder makes of standard
# normal codes, which is normal with variance 1 + 1. So the sum with its sign
# changed is never above ln p(2), and is called the
# :term:`evidence lower bound` (ELBO).

# %%
# .. check::

assert max(abs(row[1] - row[2]) for row in toy_costs) < 1e-4, "torch agrees"
assert torch.tensor(toy_costs)[0, 1] == 0, "the first code costs nothing"
assert torch.tensor(toy_costs)[1, 0] < 0.93, "almost exact"
assert torch.tensor(toy_costs)[1, 1] > 3.5, "and its KL is high"
assert abs(sum(toy_costs[2][:2]) - surprise) < 1e-4, "the smallest possible"
assert abs(surprise - 2.266) < 0.001, "-ln p(2)"

# %%
# A gradient through a random number
# ----------------------------------
# To train the encoder, we need the gradient with respect to the mean and the
# standard deviation. But the code is drawn at random. ``torch.normal`` draws
# it, and ``backward`` raises no error, but both gradients are 0:

mean = torch.tensor(1.5, requires_grad=True)
std = torch.tensor(0.5, requires_grad=True)
code = torch.normal(mean, std)
loss = (2 - code) ** 2 / 2
loss.backward()
without_trick = [mean.grad.item(), std.grad.item()]
print("torch.normal:", without_trick)

# %%
# The *reparameterization trick* draws only standard normal noise at random, and
# computes the code as mean + std · noise. Let the noise be −1. Then the code is
# 1.5 − 0.5 = 1:

noise = -1.0
code = mean + std * noise
loss = (2 - code) ** 2 / 2
loss.backward()  # adds to the gradients, which are still 0
with_trick = [mean.grad.item(), std.grad.item()]
print("mean + std * noise:", with_trick)

# %%
# The derivative of the loss with respect to the code is code − 2 = −1. That of
# the code is 1 with respect to the mean, and −1, the noise, with respect to the
# standard deviation. By the chain rule, the gradients are −1 and 1. So the mean
# will grow and the standard deviation shrink, and both bring this code closer
# to 2.

# %%
# .. check::

assert without_trick == [0, 0], "no gradient"
assert with_trick == [-1, 1], "the trick"

# %%
# A VAE for digits
# ----------------
# As in :doc:`/lessons/applications/13_gan`, half of the 10,000 digits are for
# the models, and half for a judge. Half of the test digits are held out, and
# the others are a reference set.

digits, test = datasets.mnist()
train_x = digits.x[:5000].flatten(1)  # (5000, 784)
reference = test.x[::2].flatten(1)  # (1000, 784)
held_out = test.x[1::2].flatten(1)  # (1000, 784)

# %%
# A code has 16 numbers, and the encoder returns a mean and a standard deviation
# for each. ``exp`` makes the standard deviations positive.


class VAE(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 2 * size)
        )
        self.decoder = nn.Sequential(  # returns logits
            nn.Linear(size, 128), nn.ReLU(), nn.Linear(128, 784)
        )

    def encode(self, x):
        mean, log_std = self.encoder(x).chunk(2, dim=1)
        return mean, log_std.exp()


# %%
# We take the gray of a pixel, from 0 to 1, as the probability that it is white
# in a black-and-white image. Then the reconstruction of such images is the
# binary cross-entropy, *summed* over the pixels, in nats per image.


def vae_step(model, x):
    mean, std = model.encode(x)
    code = mean + std * torch.randn(mean.shape)
    entropy = binary_cross_entropy_with_logits(
        model.decoder(code), x, reduction="sum"
    )
    reconstruction = entropy / len(x)
    kl = ((mean**2 + std**2 - 1) / 2 - std.log()).sum() / len(x)
    parts = {"reconstruction": reconstruction, "kl": kl}
    return reconstruction + kl, parts


# %%
# A *plain* autoencoder has neither noise nor KL. It is a baseline:


def plain_step(model, x):
    mean, _ = model.encode(x)
    entropy = binary_cross_entropy_with_logits(
        model.decoder(mean), x, reduction="sum"
    )
    return entropy / len(x), {}


# %%
# Each is trained with three seeds. (We chose the settings, here and below, with
# other seeds and with digits of the judge's half.)


def train(step, seed, size=16):
    torch.manual_seed(seed)
    model = VAE(size)
    batches = Batches(train_x, batch_size=64, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    scheduler = OneCycleLR(optimizer, 0.02, total_steps=8 * len(batches))
    fit(
        model, batches, step, optimizer=optimizer, scheduler=scheduler,
        scheduler_interval="batch", epochs=8, device="cpu",
    )  # fmt: skip
    return model


vaes = [train(vae_step, seed) for seed in range(3)]
plains = [train(plain_step, seed) for seed in range(3)]

# %%
# How probable are new digits?
# ----------------------------
# Here is a simpler code for comparison. ``KMeans`` of scikit-learn sorts the
# training digits into 100 groups. The code of an image is the number of the
# group whose mean image fits it best, and this mean is its reconstruction. To
# name one of 100 groups costs ln 100 nats. With one group, the mean of all
# digits, the code costs nothing.

nats = {}
mean_images = {}
print("                reconstruction   code    sum")
for n in [1, 100]:
    groups = KMeans(n, n_init=1, max_iter=10, random_state=0)
    groups.fit(train_x.numpy())
    mean_images[n] = torch.tensor(groups.cluster_centers_).float()
    white = mean_images[n].clamp(0.001, 0.999)  # no probability is 0
    log_p = held_out @ white.log().T + (1 - held_out) @ (1 - white).log().T
    reconstruction = -log_p.amax(dim=1).mean().item()
    nats[n] = reconstruction + math.log(n)
    print(f"{n:3} mean images {reconstruction:14.1f}", end=" ")
    print(f"{math.log(n):6.1f} {nats[n]:6.1f}")

# %%

costs = torch.zeros(3, 2)
for seed in range(3):
    with torch.no_grad():
        _, parts = vae_step(vaes[seed], held_out)
    costs[seed, 0] = parts["reconstruction"]
    costs[seed, 1] = parts["kl"]
totals = costs.sum(dim=1)
mean = costs.mean(dim=0)
print(f"VAE             {mean[0]:14.1f} {mean[1]:6.1f}", end=" ")
print(f"{totals.mean():6.1f} ± {totals.std():.1f}")

# %%
# The VAE needs the fewest nats. (Its code costs the KL. The plain autoencoder
# has no such number, because nothing says how probable its codes are.)
#
# To see what a code means, we train a VAE with only two numbers, and decode a
# grid of codes from −2 to 2. The probabilities are drawn as gray. Similar
# digits have similar codes:
#
# .. alt:: Twelve by twelve decoded digits. Neighbors are alike, and regions of
#    digits such as 0, 1 and 9 pass into each other.

# %%
# .. drawing::

map_model = train(vae_step, 0, size=2)
ticks = torch.linspace(-2, 2, 12)
rows = []
for i in range(12):
    grid = torch.stack([ticks, -ticks[i].expand(12)], dim=1)
    with torch.no_grad():
        row = map_model.decoder(grid).sigmoid()
    rows.append(row.reshape(12, 28, 28).permute(1, 0, 2).reshape(28, 336))
figure, axis = plt.subplots(figsize=(4.4, 4.4), layout="constrained")
extent = (-2.2, 2.2, -2.2, 2.2)
axis.imshow(torch.cat(rows).numpy(), cmap="gray", extent=extent)
axis.set(xlabel="first number of the code", ylabel="second number")

# %%
# .. check::

assert 195 < nats[1] < 215, "the mean image"
assert nats[100] < 150, "100 mean images"
assert totals.max() < nats[100] - 8, "the VAE is below both"

# %%
# New digits
# ----------
# The judge is trained as in :doc:`/lessons/applications/13_gan`:

torch.manual_seed(0)
other_half = Batches(
    digits.x[5000:], digits.y[5000:], batch_size=64, shuffle=True
)
judge = models.LeNet()
optimizer = torch.optim.AdamW(judge.parameters(), lr=0.003)
fit(
    judge, other_half, classification_step,
    optimizer=optimizer, epochs=5, device="cpu",
)  # fmt: skip
judge.eval()

# %%
# We also use the same numbers: the share of images of which the judge is sure,
# their classes, and the mean distance to the nearest training digit. In place
# of the spread comes the *energy distance* to the reference digits. It is twice
# the mean distance between an image of one set and an image of the other, minus
# the mean distances inside each set. If both sets come from the same
# distribution, it is about 0 or slightly below, and otherwise larger.

n_pairs = 1000 * 999  # ordered pairs of different images
inside_reference = torch.cdist(reference, reference).sum() / n_pairs


def rate(images):
    with torch.no_grad():
        answers = judge(images.reshape(-1, 1, 28, 28)).softmax(dim=1)
    share, classes = metrics.judge_samples(answers)
    nearest = torch.cdist(images, train_x).amin(dim=1).mean().item()
    between = torch.cdist(images, reference).mean()
    inside = torch.cdist(images, images).sum() / n_pairs
    distance = 2 * between - inside - inside_reference
    return [share, classes, nearest, distance.item()]


# %%
# We draw codes in two ways. *Standard* codes are standard normal. *Fitted* ones
# come from a Gaussian that we fit to the codes of the training digits with PCA,
# as :doc:`/lessons/applications/13_gan` did with pixels:


def gaussian_samples(data, n_directions):
    _, sizes, directions = torch.pca_lowrank(data, q=n_directions)
    deviations = sizes / len(data) ** 0.5
    steps = torch.randn(1000, n_directions) * deviations
    return data.mean(dim=0) + steps @ directions.T


# %%
# Contrast made a difference there, so each gets a factor of its own, chosen by
# the energy distance. For the VAE with standard codes it is so high that almost
# only black and white are left.

contrast = {
    "100 mean images": 2, "PCA": 2, "plain, standard": 1, "plain, fitted": 2,
    "VAE, standard": 8, "VAE, fitted": 2,
}  # fmt: skip
ratings = {name: torch.zeros(3, 4) for name in contrast}
all_samples = []

# %%

for seed in range(3):
    torch.manual_seed(seed)
    samples = {
        "100 mean images": mean_images[100][torch.randint(100, (1000,))],
        "PCA": gaussian_samples(train_x, 40),
    }
    for name, model in [("plain", plains[seed]), ("VAE", vaes[seed])]:
        with torch.no_grad():
            codes, _ = model.encode(train_x)
            fitted = gaussian_samples(codes, 16)
            standard = torch.randn(1000, 16)
            samples[f"{name}, standard"] = model.decoder(standard).sigmoid()
            samples[f"{name}, fitted"] = model.decoder(fitted).sigmoid()
    all_samples.append(samples)

# %%

for seed in range(3):
    for name, factor in contrast.items():
        images = all_samples[seed][name].clamp(0, 1)
        images = (factor * (images - 0.4) + 0.4).clamp(0, 1)
        ratings[name][seed] = torch.tensor(rate(images))

# %%

real = rate(held_out)
print("                 sure         classes  nearest  energy distance")
print(f"held-out digits  {real[0]:.2f}", end="     ")
print(f"{real[1]:9} {real[2]:10.2f} {real[3]:7.2f}")
for name, three in ratings.items():
    mean = three.mean(dim=0)
    std = three.std(dim=0)
    print(f"{name:15}  {mean[0]:.2f} ± {std[0]:.2f}", end="")
    print(f"{three[:, 1].min():9.0f} {mean[2]:10.2f}", end="")
    print(f"    {mean[3]:.2f} ± {std[3]:.2f}")


# %%

gaps = {}
for name in ["VAE, standard", "VAE, fitted"]:
    gap = (ratings[name] - ratings["plain, fitted"])[:, 3]
    gaps[name] = gap
    error = gap.std() / 3**0.5
    print(f"distance, {name} - plain, fitted: {gap.mean():.3f} ± {error:.3f}")

# %%
# (We print means ± standard deviations, the fewest classes, and at the end
# differences ± standard errors.)
#
# **Which one wins?** By the energy distance, the two with fitted codes, and
# three seeds cannot separate them. The VAE with standard codes is behind both,
# and no better than PCA or the mean images. So here it is the fitting that
# helps, and a plain autoencoder is enough. Without it, the VAE still draws
# digits, and the plain autoencoder almost nothing.
#
# The judge is at least as sure of the mean images as of real digits. It cannot
# see that there are only 100 of them.
#
# These are held-out digits, the plain autoencoder with standard and with fitted
# codes, and the VAE with standard codes, all without more contrast:
#
# .. alt:: Ten images in each of four rows. The real digits are clear. The plain
#    autoencoder with standard codes draws faint scraps. With fitted codes it
#    draws bright strokes, and some can be read. The VAE's images are softer,
#    and some can be read.

# %%
# .. drawing::

rows = [held_out[:10]]
for name in ["plain, standard", "plain, fitted", "VAE, standard"]:
    rows.append(all_samples[0][name][:10])
figure = plots.image_grid(torch.cat(rows).reshape(-1, 1, 28, 28), ncols=10)

# %%
# .. check::

assert abs(real[3]) < 0.03, "real digits are at distance 0"
assert (gaps["VAE, standard"] > 0.05).all(), "standard codes are behind"
assert gaps["VAE, fitted"].abs().max() < 0.03, "not separated"
assert (
    ratings["VAE, standard"][:, 3].mean() > ratings["PCA"][:, 3].mean() - 0.01
), "no better than PCA"
assert (
    ratings["VAE, standard"][:, 3].mean()
    > ratings["100 mean images"][:, 3].mean() - 0.01
), "no better than the mean images"
assert ratings["PCA"][:, 3].min() > ratings["plain, fitted"][:, 3].max(), (
    "fitted codes win"
)
assert ratings["plain, standard"][:, 3].min() > 1.5, "almost nothing"
assert ratings["100 mean images"][:, 0].min() > real[0] - 0.02, "the judge"

# %%
# The worst mistakes
# ------------------
# Which held-out digits cost the first VAE most? This time we decode the mean of
# the code, without noise.

with torch.no_grad():
    mean, std = vaes[0].encode(held_out)
    logits = vaes[0].decoder(mean)
entropy = binary_cross_entropy_with_logits(logits, held_out, reduction="none")
kl = (mean**2 + std**2 - 1) / 2 - std.log()
cost = entropy.sum(dim=1) + kl.sum(dim=1)
order = cost.argsort(descending=True)
nearest = torch.cdist(held_out, train_x).amin(dim=1)
cheapest = test.y[1::2][order[-8:]]
print("the eight cheapest:", cheapest.tolist())
print("distance to the nearest training digit:", end=" ")
print(f"all {nearest.mean():.1f}, worst {nearest[order[:8]].mean():.1f}")

# %%
# The cheapest all show a 1. The worst are written in unusual ways, farther than
# others from every training digit, and the decoder makes them more common:
#
# .. alt:: Eight digits above, their reconstructions below. The digits are wide,
#    slanted or oddly closed. The reconstructions are narrower and blurred, and
#    some show another digit.

pairs = torch.cat([held_out[order[:8]], logits[order[:8]].sigmoid()])
figure = plots.image_grid(pairs.reshape(-1, 1, 28, 28))

# %%
# .. check::

assert (cheapest == 1).all(), "all ones"
assert nearest[order[:8]].mean() > nearest.mean() + 1, "unusual"

# %%
# What goes wrong
# ---------------
# By default, PyTorch's losses take the mean. Without ``reduction="sum"``, the
# reconstruction is also divided by the 784 pixels, and the KL is not:


def slip_step(model, x):
    mean, std = model.encode(x)
    code = mean + std * torch.randn(mean.shape)
    reconstruction = binary_cross_entropy_with_logits(model.decoder(code), x)
    kl = ((mean**2 + std**2 - 1) / 2 - std.log()).sum() / len(x)
    return reconstruction + kl, {"reconstruction": reconstruction, "kl": kl}


slipped = train(slip_step, 0)
with torch.no_grad():
    _, shown = slip_step(slipped, held_out)
    _, correct = vae_step(slipped, held_out)
print(f"as printed: reconstruction {shown['reconstruction']:.3f}", end=", ")
print(f"KL {shown['kl']:.3f}")
print(f"in nats per image: {correct['reconstruction']:.1f}")

# %%
# There is no error, and both numbers look good. But in nats per image, the
# model is no better than the mean of all digits. The KL is 0, so the code tells
# nothing, and the decoder draws the mean each time:
#
# .. alt:: Eight different digits above. Below each of them is the same gray
#    blur.

with torch.no_grad():
    codes, _ = slipped.encode(held_out[:8])
    blurs = slipped.decoder(codes).sigmoid()
pairs = torch.cat([held_out[:8], blurs])
figure = plots.image_grid(pairs.reshape(-1, 1, 28, 28))

# %%
# This is :term:`posterior collapse`. (*Posterior* is the name for the
# distribution of a code, given the image.) The KL counted 784 times too much.

# %%
# .. check::

assert shown["kl"] < 0.01, "the KL is 0"
assert shown["reconstruction"] < 0.3, "both look good"
assert abs(correct["reconstruction"] - nats[1]) < 3, "the mean image"
assert blurs.std(dim=0).max() < 0.01, "the same each time"

# %%
# In production
# -------------
# VAEs are often used to find unusual images by their cost. But a simple image
# can be cheap and unusual (exercise 1), and such models have found other data
# more probable than their own (Nalisnick et al., 2019, *Do deep generative
# models know what they don't know?*). So test with faults that you know. Log
# both parts of the loss, because a collapse shows in the KL. And store the
# fitted Gaussian with the model.
#
# Recipe
# ------
# Put your own table in place of ``x``, with values from 0 to 1. The nats should
# be below those of the mean row, and the KL above 0.

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
x = torch.tensor(load_digits().data).float() / 16  # (N, values), from 0 to 1
x = x[torch.randperm(len(x))]
n_test = len(x) // 5
test_rows = x[:n_test]
train_rows = x[n_test:]
size = x.shape[1]
encoder = nn.Sequential(nn.Linear(size, 128), nn.ReLU(), nn.Linear(128, 16))
decoder = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, size))
both = nn.ModuleList([encoder, decoder])
optimizer = torch.optim.Adam(both.parameters(), lr=0.005)
bce = nn.BCEWithLogitsLoss(reduction="sum")

# %%
# The training:

for _ in range(500):
    rows = train_rows[torch.randint(len(train_rows), (64,))]
    mean, log_std = encoder(rows).chunk(2, dim=1)
    std = log_std.exp()
    logits = decoder(mean + std * torch.randn(mean.shape))
    kl = ((mean**2 + std**2 - 1) / 2 - log_std).sum()
    loss = (bce(logits, rows) + kl) / len(rows)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# The same for the held-out rows, and then a new row:

with torch.no_grad():
    mean, log_std = encoder(test_rows).chunk(2, dim=1)
    std = log_std.exp()
    logits = decoder(mean + std * torch.randn(mean.shape))
    kl = ((mean**2 + std**2 - 1) / 2 - log_std).sum() / n_test
    nats_per_row = bce(logits, test_rows) / n_test + kl
    new_row = decoder(torch.randn(1, 8)).sigmoid()
white = train_rows.mean(dim=0).clamp(0.001, 0.999)
log_p = test_rows @ white.log() + (1 - test_rows) @ (1 - white).log()
without_code = -log_p.mean()
print(f"{nats_per_row:.1f} nats per row, mean row {without_code:.1f}", end=", ")
print(f"KL {kl:.1f}")
values = new_row.flatten().tolist()
print("a new row begins:", [round(value, 1) for value in values[:8]])

# %%
# .. check::

assert nats_per_row < without_code - 2, "below the mean row"
assert kl > 1, "no collapse"

# %%
# What you learned
# ----------------
# - The loss of a VAE is the reconstruction plus the KL divergence. With its
#   sign changed it is a lower bound of ln p(x), so the loss can be compared
#   with other models, in nats on held-out data.
# - ``mean + std * noise`` lets the gradient through, and ``torch.normal`` does
#   not.
# - Fit a Gaussian to the codes before you draw new ones, and try a plain
#   autoencoder as well.
# - Sum both costs over everything that belongs to one example, and watch the
#   KL. If it is 0, the code is empty.
#
# Exercises
# ---------
#
# 1. **Predict.** An image that is all black is no digit. Does it cost the VAE
#    more than a held-out digit, or less?
# 2. **Change.** Rate the samples of seed 0 without more contrast. Who wins now?
# 3. **Extend.** Fit a mixture of ten Gaussians to the codes, with
#    ``GaussianMixture`` of scikit-learn. Are the digits better?

# %%
# .. answer:: 1
#
#    Less than any of them. A black pixel is cheap nearly everywhere.

black = torch.zeros(1000, 784)  # many, for a mean over the noise
with torch.no_grad():
    black_cost, _ = vae_step(vaes[0], black)
print(f"black {black_cost:.0f}, cheapest digit {cost.min():.0f}")

# %%
# .. check::

assert black_cost < cost.min() - 5, "cheaper than any digit"

# %%
# .. answer:: 2
#
#    The plain autoencoder with fitted codes, by the distance. The VAE with
#    fitted codes is now clearly behind it. With standard codes, the judge is
#    sure of about 40% of the VAE's images. (In
#    :doc:`/lessons/applications/13_gan`, a judge trained in the same way was
#    sure of about 38% of the GAN's.)

unchanged = {}
for name in ["plain, fitted", "VAE, standard", "VAE, fitted"]:
    unchanged[name] = rate(all_samples[0][name].clamp(0, 1))
    share, _, _, distance = unchanged[name]
    print(f"{name:13} sure {share:.2f}, distance {distance:.2f}")

# %%
# .. check::

assert unchanged["VAE, fitted"][3] > unchanged["plain, fitted"][3] + 0.04, (
    "clearly behind"
)
assert unchanged["VAE, standard"][3] > unchanged["VAE, fitted"][3] + 0.1, (
    "standard codes are last"
)
assert 0.28 < unchanged["VAE, standard"][0] < 0.5, "about 40%"

# %%
# .. answer:: 3
#
#    Yes. The judge is sure of about three quarters of them, and the distance is
#    smaller as well. (This is one training of each.)

from sklearn.mixture import GaussianMixture

mixed = {}
for name, model in [("plain", plains[0]), ("VAE", vaes[0])]:
    with torch.no_grad():
        codes, _ = model.encode(train_x)
    mixture = GaussianMixture(10, random_state=0)
    mixture.fit(codes.double().numpy())
    drawn, _ = mixture.sample(1000)
    with torch.no_grad():
        images = model.decoder(torch.tensor(drawn).float()).sigmoid()
    mixed[name] = rate((2 * (images - 0.4) + 0.4).clamp(0, 1))
    share, _, _, distance = mixed[name]
    print(f"{name:5} sure {share:.2f}, distance {distance:.2f}")

# %%
# .. check::

assert mixed["plain"][0] > ratings["plain, fitted"][0, 0] + 0.05, "plain"
assert mixed["VAE"][0] > ratings["VAE, fitted"][0, 0] + 0.05, "VAE"
assert 0.65 < mixed["plain"][0] < 0.85, "about three quarters"
assert 0.65 < mixed["VAE"][0] < 0.85, "about three quarters, too"
assert mixed["plain"][3] < ratings["plain, fitted"][0, 3], "smaller distance"
assert mixed["VAE"][3] < ratings["VAE, fitted"][0, 3], "smaller distance, too"
