"""
Variational autoencoder (VAE)
=============================

How can a network learn a code for images, so that random codes become images?

An :term:`autoencoder` is a pair of networks. The encoder turns an image into a
few numbers, its *code* (or *latent variables*), and the decoder turns the code
back into the image. A *variational autoencoder* (VAE; Kingma and Welling, 2014)
keeps the distribution of its codes close to a standard normal one, so that you
can draw new ones, and its loss is a bound on how probable an image is. But a
plain autoencoder, if we add a Gaussian for its codes, draws digits that are
about as good here, by one measure, the energy distance.

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
# Let the data be a single number, 2. Its code is random, and the encoder
# chooses only its mean and its standard deviation. The decoder guesses that the
# data is equal to the code, with a standard normal error.
#
# A VAE adds up two costs, in nats (:doc:`/lessons/applications/07_ngrams`):
#
# - The *reconstruction* is the mean of −ln p(2 | code). Here p(2 | code) is the
#   normal density exp(−(2 − code)² / 2) / √(2π). So this mean is ½ ln 2π =
#   0.919 plus half of the mean of (2 − code)², which is (2 − mean)² + std².
# - The :term:`KL divergence` says how far the code is from a standard normal
#   one. It is the mean difference of their log densities, which comes to (mean²
#   + std² − 1) / 2 − ln std. It is 0 only for mean 0 and standard deviation 1.
#
# We compute both for three codes, and also take the mean difference over
# 100,000 codes, sampled with :class:`torch.distributions.Normal`:

toy_costs = []
standard_normal = Normal(0.0, 1.0)
print("mean  std  reconstruction     KL  sampled    sum")
for mean, std in [(0, 1), (2, 0.1), (1, 0.5**0.5)]:
    distance = (2 - mean) ** 2 + std**2
    reconstruction = 0.5 * math.log(2 * math.pi) + distance / 2
    kl = (mean**2 + std**2 - 1) / 2 - math.log(std)
    chosen = Normal(mean, std)
    codes = chosen.sample((100_000,))
    difference = chosen.log_prob(codes) - standard_normal.log_prob(codes)
    sampled = difference.mean().item()
    toy_costs.append([reconstruction, kl, sampled])
    print(f"{mean:4} {std:4.2f} {reconstruction:15.3f} {kl:6.3f}", end="")
    print(f" {sampled:8.3f} {reconstruction + kl:6.3f}")

# %%
# The first code is standard normal. Its KL is 0, and it tells nothing. The
# second tells almost exactly where 2 is, and its KL is high. The third has the
# smallest sum, and no code has a smaller one.
#
# To see why, draw standard normal codes and add the decoder's error. The
# results are normal with variance 1 + 1. Let p(2) be their density at 2. The
# third code is the *posterior*, the distribution of those codes that gave a 2.
# By Bayes' rule, every sum is −ln p(2) plus the KL
# (:func:`torch.distributions.kl_divergence`) from the code to the posterior,
# which is never below 0:

surprise = -Normal(0, 2**0.5).log_prob(torch.tensor(2.0)).item()
to_third = kl_divergence(standard_normal, Normal(1, 0.5**0.5)).item()
print(f"-ln p(2) = {surprise:.3f}, KL from first to third", end=" ")
print(f"{to_third:.3f}, sum {surprise + to_third:.3f}")

# %%
# So the sum with its sign changed is never above ln p(2), and is called the
# :term:`evidence lower bound` (ELBO).

# %%
# .. check::

assert max(abs(row[1] - row[2]) for row in toy_costs) < 0.03, "sampling agrees"
assert torch.tensor(toy_costs)[0, 1] == 0, "the KL of the first code is 0"
assert torch.tensor(toy_costs)[1, 0] < 0.93, "almost exact"
assert torch.tensor(toy_costs)[1, 1] > 3.5, "and its KL is high"
assert abs(sum(toy_costs[2][:2]) - surprise) < 1e-4, "the smallest possible"
assert abs(sum(toy_costs[0][:2]) - surprise - to_third) < 1e-4, "another KL"

# %%
# A gradient through a random number
# ----------------------------------
# To train the encoder, we need the gradients for the mean and the standard
# deviation. If ``torch.normal`` draws the code, ``backward`` raises no error,
# but both are 0:

mean = torch.tensor(1.5, requires_grad=True)
std = torch.tensor(0.5, requires_grad=True)
code = torch.normal(mean, std)
loss = (2 - code) ** 2 / 2
loss.backward()
without_trick = [mean.grad.item(), std.grad.item()]
print("torch.normal:", without_trick)

# %%
# The *reparameterization trick* draws standard normal noise, and computes the
# code as mean + std · noise. With the noise −1, the code is 1.5 − 0.5 = 1:

noise = -1.0
code = mean + std * noise
loss = (2 - code) ** 2 / 2
loss.backward()  # adds to the gradients, which are still 0
with_trick = [mean.grad.item(), std.grad.item()]
print("mean + std * noise:", with_trick)

# %%
# The derivative of the loss with respect to the code is code − 2 = −1. That of
# the code is 1 with respect to the mean, and −1, the noise, with respect to the
# standard deviation. So the gradients are −1 and 1.

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
# A code has 16 numbers. For each, the encoder returns a mean and the logarithm
# of a standard deviation, because ``exp`` makes any number positive.


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
        return mean, log_std


# %%
# We take the gray of a pixel as the probability that it is white in a
# black-and-white image. Then the reconstruction is the binary cross-entropy,
# *summed* over the pixels, in nats per image.


def vae_step(model, x):
    mean, log_std = model.encode(x)
    std = log_std.exp()
    code = mean + std * torch.randn(mean.shape)
    entropy = binary_cross_entropy_with_logits(
        model.decoder(code), x, reduction="sum"
    )
    reconstruction = entropy / len(x)
    kl = ((mean**2 + std**2 - 1) / 2 - log_std).sum() / len(x)
    parts = {"reconstruction": reconstruction, "kl": kl}
    return reconstruction + kl, parts


# %%
# A *plain* autoencoder, our baseline, has neither noise nor KL:


def plain_step(model, x):
    mean, _ = model.encode(x)
    entropy = binary_cross_entropy_with_logits(
        model.decoder(mean), x, reduction="sum"
    )
    return entropy / len(x), {}


# %%
# Each is trained with three seeds. (All settings were chosen with other seeds
# and digits of the judge's half.)


def train(step, seed, size=16, epochs=8):
    torch.manual_seed(seed)
    model = VAE(size)
    batches = Batches(train_x, batch_size=64, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    n_steps = epochs * len(batches)
    scheduler = OneCycleLR(optimizer, 0.02, total_steps=n_steps)
    fit(
        model, batches, step, optimizer=optimizer, scheduler=scheduler,
        scheduler_interval="batch", epochs=epochs, device="cpu",
    )  # fmt: skip
    return model


vaes = [train(vae_step, seed) for seed in range(3)]
plains = [train(plain_step, seed) for seed in range(3)]

# %%
# How probable are new digits?
# ----------------------------
# ``KMeans`` of scikit-learn gives a simpler code. It sorts the training digits
# into 100 groups (not tuned). The code of an image is the number of the group
# whose mean image fits best, and this mean is its reconstruction. To name one
# of 100 groups costs ln 100 nats, and a single group costs nothing.

nats = {}
mean_images = {}
print("                reconstruction   code    sum")
for n in [1, 100]:
    groups = KMeans(n, n_init=1, max_iter=10, random_state=0)
    groups.fit(train_x.numpy())
    mean_images[n] = torch.tensor(groups.cluster_centers_).float()
    white = mean_images[n].clamp(0.001, 0.999)  # no probability is 0
    # ln p of each image, a row, under each mean image, a column
    log_p = held_out @ white.log().T + (1 - held_out) @ (1 - white).log().T
    best = log_p.amax(dim=1)
    reconstruction = -best.mean().item()
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
# The VAE needs the fewest nats. Its code costs the KL, and the sum is a bound:
# on average, −ln p of a new black-and-white digit is at most this sum. The
# plain autoencoder lacks noise and a distribution of codes (exercise 2).

# %%
# .. check::

assert 195 < nats[1] < 215, "the mean image"
assert nats[100] < 150, "100 mean images"
assert totals.max() < nats[100] - 8, "the VAE is below both"

# %%
# Where the codes are
# -------------------
# Why do random codes become images? We train both kinds briefly, with codes of
# only two numbers, and print the share of codes less than 2 from the origin:

small_plain = train(plain_step, 0, size=2, epochs=4)
small_vae = train(vae_step, 0, size=2, epochs=4)
with torch.no_grad():
    plain_codes, _ = small_plain.encode(held_out)
    mean, log_std = small_vae.encode(held_out)
vae_codes = mean + log_std.exp() * torch.randn(mean.shape)
random_codes = torch.randn(1000, 2)
inside = {}
codes_of = {"random": random_codes, "plain": plain_codes, "VAE": vae_codes}
for name, codes in codes_of.items():
    inside[name] = (codes.norm(dim=1) < 2).float().mean().item()
    print(f"{name:6} {inside[name]:.2f}")

# %%
# .. alt:: Two panels with the codes of held-out digits, in a color for each
#    class, and a dashed circle. Plain: a minority of the codes is inside. The
#    others reach five times as far, in streaks with empty places between. VAE:
#    most codes are inside, where the classes overlap. Most zeros, ones and
#    sevens, and many nines, lie outside.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
labels = test.y[1::2]
for axis, name in zip(axes, ["plain", "VAE"], strict=True):
    for n in range(10):
        some = codes_of[name][labels == n]
        axis.scatter(some[:, 0], some[:, 1], s=4, color=f"C{n}", label=str(n))
    circle = plt.Circle((0, 0), 2, fill=False, linestyle="--", zorder=3)
    axis.add_patch(circle)
    axis.set(title=name, aspect="equal", xlabel="first number of the code")
axes[0].set_ylabel("second number")
figure.legend(
    *axes[1].get_legend_handles_labels(),
    loc="outside right center",
    markerscale=3,
)

# %%
# Most random codes fall inside the dashed circle, of radius 2. Many of the
# plain autoencoder's codes lie outside, some far away, with holes between them.
# The KL keeps the VAE's codes near the circle, and the noise spreads them, so
# they overlap and cover much of it. Random codes fall among codes that the
# decoder knows, but miss those outside.

# %%
# .. check::

assert inside["random"] > 0.83, "most random codes"
assert inside["plain"] < inside["VAE"] - 0.07, "many are outside"
assert inside["VAE"] > 0.6, "the VAE's are near the circle"
assert inside["VAE"] < inside["random"] - 0.03, "not perfect"

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
_ = judge.eval()

# %%
# As there, we print the share of images of which the judge is sure, and how
# many classes these have. The *energy distance* to the reference digits is
# twice the mean distance between images of the two sets, minus the mean
# distances inside each set. It is about 0 for sets from the same distribution,
# and otherwise larger.

n_pairs = 1000 * 999  # ordered pairs of different images
inside_reference = torch.cdist(reference, reference).sum() / n_pairs


def rate(images):
    with torch.no_grad():
        answers = judge(images.reshape(-1, 1, 28, 28)).softmax(dim=1)
    share, classes = metrics.judge_samples(answers)
    between = torch.cdist(images, reference).mean()
    inside = torch.cdist(images, images).sum() / n_pairs
    distance = 2 * between - inside - inside_reference
    return [share, classes, distance.item()]


# %%
# *Standard* codes are standard normal. Using PCA, we fit a Gaussian to the
# codes of the training digits, as that lesson did to pixels. *Fitted* codes are
# its mean plus a random step along each direction:


def gaussian_samples(data, n_directions):
    _, sizes, columns = torch.pca_lowrank(data, q=n_directions)
    deviations = sizes / len(data) ** 0.5  # one for each direction
    steps = torch.randn(1000, n_directions) * deviations
    changes = steps @ columns.T  # the sum of step · direction
    return data.mean(dim=0) + changes


# %%

all_samples = []
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
# We give all of them the same contrast, 4 times as much around a gray of 0.4,
# which suits the best ones.

ratings = {name: torch.zeros(3, 3) for name in all_samples[0]}
for seed in range(3):
    for name, images in all_samples[seed].items():
        images = (4 * (images - 0.4) + 0.4).clamp(0, 1)
        ratings[name][seed] = torch.tensor(rate(images))

# %%
# We print means ± standard deviations over three seeds, and the fewest classes.
# (For the mean images and PCA, a seed changes only the drawing.) The last line
# is a difference ± its standard error.

real = rate(held_out)
print("                 sure         classes  energy distance")
print(f"held-out digits  {real[0]:.2f}", end="     ")
print(f"{real[1]:9} {real[2]:7.2f}")
for name, three in ratings.items():
    mean = three.mean(dim=0)
    std = three.std(dim=0)
    print(f"{name:15}  {mean[0]:.2f} ± {std[0]:.2f}", end="")
    print(f"{three[:, 1].min():9.0f} {mean[2]:7.2f} ± {std[2]:.2f}")
gap = (ratings["VAE, fitted"] - ratings["plain, fitted"])[:, 2]
error = gap.std() / 3**0.5
print(f"distance, VAE - plain, both fitted: {gap.mean():.3f} ± {error:.3f}")

# %%
# **Which is best?** By the energy distance, the two with fitted codes, which
# are about level. After this short training, the VAE with standard codes is
# behind both, and no better than PCA or the mean images. So by this measure,
# the fitting helps, and a plain autoencoder is enough. Without it, the VAE
# still draws digits, and the plain autoencoder almost nothing.
#
# Here are held-out digits, the plain autoencoder with standard and with fitted
# codes, and the VAE with standard codes, without more contrast:
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

assert abs(gap.mean()) < 0.03, "about level"
assert (
    ratings["PCA"][:, 2].min() > ratings["plain, fitted"][:, 2].max() + 0.02
), "plain, fitted, is ahead of PCA"
assert ratings["PCA"][:, 2].min() > ratings["VAE, fitted"][:, 2].max() + 0.02, (
    "VAE, fitted, is ahead of PCA"
)
assert (
    ratings["100 mean images"][:, 2].min()
    > ratings["plain, fitted"][:, 2].max() + 0.02
), "plain, fitted, is ahead of 100 mean images"
assert (
    ratings["100 mean images"][:, 2].min()
    > ratings["VAE, fitted"][:, 2].max() + 0.02
), "VAE, fitted, is ahead of 100 mean images"
assert (
    ratings["VAE, standard"][:, 2].min()
    > ratings["plain, fitted"][:, 2].max() + 0.02
), "plain, fitted, is ahead of VAE, standard"
assert (
    ratings["VAE, standard"][:, 2].min()
    > ratings["VAE, fitted"][:, 2].max() + 0.02
), "VAE, fitted, is ahead of VAE, standard"
assert (
    ratings["VAE, standard"][:, 2].mean() > ratings["PCA"][:, 2].mean() - 0.01
), "no better than PCA"
assert (
    ratings["VAE, standard"][:, 2].mean()
    > ratings["100 mean images"][:, 2].mean() - 0.01
), "no better than 100 mean images"
assert ratings["plain, standard"][:, 2].min() > 1.5, "almost nothing"

# %%
# The worst mistakes
# ------------------
# Which held-out digits cost the first VAE most, and which least?

with torch.no_grad():
    mean, log_std = vaes[0].encode(held_out)
    logits = vaes[0].decoder(mean)  # without noise
entropy = binary_cross_entropy_with_logits(logits, held_out, reduction="none")
kl = (mean**2 + log_std.exp() ** 2 - 1) / 2 - log_std
cost = entropy.sum(dim=1) + kl.sum(dim=1)
order = cost.argsort(descending=True)
cheapest = test.y[1::2][order[-8:]]
print("the eight cheapest:", cheapest.tolist())

# %%
# The cheapest all show a 1. The worst are written in unusual ways, and the
# decoder redraws them in a more usual form:
#
# .. alt:: Eight digits above, their reconstructions below. The digits are wide,
#    slanted or oddly closed. The reconstructions are narrower and blurred, and
#    some show another digit.

pairs = torch.cat([held_out[order[:8]], logits[order[:8]].sigmoid()])
figure = plots.image_grid(pairs.reshape(-1, 1, 28, 28))

# %%
# .. check::

assert (cheapest == 1).all(), "all ones"

# %%
# What goes wrong
# ---------------
# By default, PyTorch's losses take the mean. Without ``reduction="sum"``, the
# reconstruction is also divided by the 784 pixels, and the KL is not:


def slip_step(model, x):
    mean, log_std = model.encode(x)
    std = log_std.exp()
    code = mean + std * torch.randn(mean.shape)
    reconstruction = binary_cross_entropy_with_logits(model.decoder(code), x)
    kl = ((mean**2 + std**2 - 1) / 2 - log_std).sum() / len(x)
    return reconstruction + kl, {"reconstruction": reconstruction, "kl": kl}


slipped = train(slip_step, 0, epochs=2)
with torch.no_grad():
    _, shown = slip_step(slipped, held_out)
    _, correct = vae_step(slipped, held_out)
print(f"as printed: reconstruction {shown['reconstruction']:.3f}", end=", ")
print(f"KL {abs(shown['kl']):.3f}")
print(f"in nats per image: {correct['reconstruction']:.1f}")

# %%
# Both numbers look good. But in nats per image, the model is no better than the
# mean of all digits. The KL is 0, so the code tells nothing, and every digit
# becomes the same image:
#
# .. alt:: Eight different digits above. Below each of them is the same gray
#    blur.

with torch.no_grad():
    codes, _ = slipped.encode(held_out[:8])
    blurs = slipped.decoder(codes).sigmoid()
pairs = torch.cat([held_out[:8], blurs])
figure = plots.image_grid(pairs.reshape(-1, 1, 28, 28))

# %%
# This is :term:`posterior collapse`, because the encoder stands for the
# posterior. Compared with the reconstruction, the KL had 784 times
# its proper weight.

# %%
# .. check::

assert shown["kl"] < 0.01, "the KL is 0"
assert shown["reconstruction"] < 0.3, "both look good"
assert abs(correct["reconstruction"] - nats[1]) < 6, "the mean image"
assert blurs.std(dim=0).max() < 0.01, "the same each time"

# %%
# In production
# -------------
# VAEs are often used to find unusual images by their cost. But a simple unusual
# image can be cheap (exercise 1), and such models have found other data more
# probable than their own (Nalisnick et al., 2019, *Do deep generative models
# know what they don't know?*). So test with faults that you know, and log the
# KL, because a collapse shows there.
#
# Recipe
# ------
# Put your own images in place of ``x``, black and white, or with gray for the
# amount of ink. (For other values, binary cross-entropy is not −ln p.) If you
# rescale, compute the scale from the training rows only. The nats should be
# below those of the mean row, and the KL above 0.

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
# Training:

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
# The same for the held-out rows, and the mean row for comparison:

with torch.no_grad():
    mean, log_std = encoder(test_rows).chunk(2, dim=1)
    std = log_std.exp()
    logits = decoder(mean + std * torch.randn(mean.shape))
    kl = ((mean**2 + std**2 - 1) / 2 - log_std).sum() / n_test
    nats_per_row = bce(logits, test_rows) / n_test + kl
white = train_rows.mean(dim=0).clamp(0.001, 0.999)
log_p = test_rows @ white.log() + (1 - test_rows) @ (1 - white).log()
without_code = -log_p.mean()
print(f"{nats_per_row:.1f} nats per row, mean row {without_code:.1f}", end=", ")
print(f"KL {kl:.1f}")

# %%
# A Gaussian for the codes, and a new row:

with torch.no_grad():
    codes, _ = encoder(train_rows).chunk(2, dim=1)
    _, sizes, columns = torch.pca_lowrank(codes, q=8)
    steps = torch.randn(1, 8) * sizes / len(codes) ** 0.5
    new_row = decoder(codes.mean(dim=0) + steps @ columns.T).sigmoid()
values = new_row.flatten().tolist()
print("a new row begins:", [round(value, 1) for value in values[:8]])

# %%
# .. check::

assert nats_per_row < without_code - 2, "below the mean row"
assert kl > 1, "no collapse"

# %%
# What you learned
# ----------------
# - The loss of a VAE, reconstruction plus KL, is an upper bound of −ln p(x). It
#   can be compared with other models, in nats on held-out data.
# - The KL keeps codes near standard normal ones, and the noise spreads them, so
#   that random codes become images.
# - ``mean + std * noise`` lets the gradient through.
# - Fit a Gaussian to the codes, and try a plain autoencoder.
# - Sum both costs over everything in one example. If the KL is 0, the code is
#   empty.
#
# Exercises
# ---------
#
# 1. **Predict.** An image that is all black is no digit. Does it cost the VAE
#    more than a held-out digit, or less?
# 2. **Change.** Fit a Gaussian to the codes of the plain autoencoder, and add
#    noise with 0.2 times its standard deviations. How many nats does it need?
# 3. **Extend.** Fit a mixture of ten Gaussians to the codes, with
#    ``GaussianMixture`` of scikit-learn. Are the digits better?

# %%
# .. answer:: 1
#
#    Less than any of them. A black pixel is cheap nearly everywhere.

black = torch.zeros(1, 784)
with torch.no_grad():
    mean, log_std = vaes[0].encode(black)
    logits = vaes[0].decoder(mean)
kl = ((mean**2 + log_std.exp() ** 2 - 1) / 2 - log_std).sum()
entropy = binary_cross_entropy_with_logits(logits, black, reduction="sum")
black_cost = entropy + kl
print(f"black {black_cost:.0f}, cheapest digit {cost.min():.0f}")

# %%
# .. check::

assert black_cost < cost.min() - 5, "cheaper than any digit"

# %%
# .. answer:: 2
#
#    About as many as the VAE. In the KL, the Gaussian takes the place of the
#    standard normal distribution, along each direction of PCA. (We chose 0.2
#    with digits of the judge's half.)

with torch.no_grad():
    codes, _ = plains[0].encode(train_x)
    held_codes, _ = plains[0].encode(held_out)
center = codes.mean(dim=0)
_, sizes, columns = torch.pca_lowrank(codes, q=16)
deviations = sizes / len(codes) ** 0.5
steps = (held_codes - center) @ columns  # along each direction
noisy = Normal(steps, 0.2 * deviations)
kl = kl_divergence(noisy, Normal(0, deviations)).sum() / len(held_out)
with torch.no_grad():
    logits = plains[0].decoder(center + noisy.sample() @ columns.T)
entropy = binary_cross_entropy_with_logits(logits, held_out, reduction="sum")
plain_nats = entropy / len(held_out) + kl
print(f"plain {plain_nats:.1f}, VAE {totals[0]:.1f}")

# %%
# .. check::

assert abs(plain_nats - totals[0]) < 5, "about as many"

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
    share, _, distance = mixed[name]
    print(f"{name:5} sure {share:.2f}, distance {distance:.2f}")

# %%
# .. check::

assert mixed["plain"][0] > ratings["plain, fitted"][0, 0] + 0.05, "plain"
assert mixed["VAE"][0] > ratings["VAE, fitted"][0, 0] + 0.05, "VAE"
assert 0.65 < mixed["plain"][0] < 0.85, "about three quarters"
assert 0.65 < mixed["VAE"][0] < 0.85, "about three quarters, too"
assert mixed["plain"][2] < ratings["plain, fitted"][0, 2], "smaller distance"
assert mixed["VAE"][2] < ratings["VAE, fitted"][0, 2], "smaller distance, too"
