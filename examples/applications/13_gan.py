"""
GAN: generative adversarial network
===================================

How does a network learn to draw digits, if no drawing is right or wrong?

A *generative adversarial network* (GAN) is a pair: one network draws, and
another learns to tell real images from drawn ones. But neither of the two
losses says how good the images are. For this we need a judge.

After this lesson you can

- train a generator and a discriminator against each other, first on one number,
  then on images of digits
- read the four numbers that are usually printed while a GAN trains
- judge generated images with a classifier and with distances, beside simple
  baselines
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from handbook import (
    Batches,
    classification_step,
    datasets,
    fit,
    metrics,
    models,
    plots,
)

torch.manual_seed(0)

# %%
# One number to find
# ------------------
# Our real data are random numbers around 2, with standard deviation 1. The
# :term:`generator` makes fake ones: it adds ``shift`` to random numbers around
# 0. It should find ``shift`` = 2, without ever seeing the real data.
#
# The :term:`discriminator` D sees a number x, real or fake, and answers with
# the probability D(x) that it is real. Here it is a logistic regression, the
# sigmoid of weight · x + bias. Weight and bias start at 0.

shift = torch.zeros(1, requires_grad=True)
discriminator = nn.Linear(1, 1)
nn.init.zeros_(discriminator.weight)
nn.init.zeros_(discriminator.bias)
g_optimizer = torch.optim.SGD([shift], lr=0.1)
d_optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.1)

# %%
# First D learns to answer 1 for real and 0 for fake. Its loss is the sum of two
# cross-entropies. ``detach`` cuts the fake data off from the generator, because
# only D learns here.


def discriminator_step(discriminator, optimizer, real, fake):
    on_real = discriminator(real)  # logits, (B, 1)
    on_fake = discriminator(fake.detach())
    ones = torch.ones(len(real), 1)
    zeros = torch.zeros(len(fake), 1)
    loss = binary_cross_entropy_with_logits(on_real, ones)
    loss = loss + binary_cross_entropy_with_logits(on_fake, zeros)
    optimizer.zero_grad()  # also discards what the generator's step left
    loss.backward()
    optimizer.step()
    answer_real = on_real.sigmoid().mean()
    answer_fake = on_fake.sigmoid().mean()
    return [loss.item(), answer_real.item(), answer_fake.item()]


# %%
# Then the generator learns to make D answer 1. The gradient flows back through
# D into the generator, and the optimizer moves the generator only.


def generator_step(discriminator, optimizer, fake):
    on_fake = discriminator(fake)
    ones = torch.ones(len(fake), 1)
    loss = binary_cross_entropy_with_logits(on_fake, ones)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return [loss.item(), on_fake.sigmoid().mean().item()]


# %%
# One step of each, with 64 numbers:

real = 2 + torch.randn(64, 1)
fake = shift + torch.randn(64, 1)
first = discriminator_step(discriminator, d_optimizer, real, fake)
first_weight = discriminator.weight.item()
generator_step(discriminator, g_optimizer, fake)
first_shift = shift.item()
print(f"loss of D {first[0]:.3f}, answers {first[1]:.2f}, {first[2]:.2f}")
print(f"then weight {first_weight:.2f}, shift {first_shift:.3f}")

# %%
# At first D answers 0.5 to everything. Each cross-entropy is −ln 0.5 = 0.693,
# so the loss is 1.386. The weight turns positive: D has noticed that real
# numbers are larger. So the shift moves up. Here are 1,000 more steps of each:

shifts = []
weights = []
d_losses = []
for _ in range(1000):
    real = 2 + torch.randn(64, 1)
    fake = shift + torch.randn(64, 1)
    d_row = discriminator_step(discriminator, d_optimizer, real, fake)
    generator_step(discriminator, g_optimizer, fake)
    d_losses.append(d_row[0])
    weights.append(discriminator.weight.item())
    shifts.append(shift.item())

# %%
# Then we print the extremes, and the mean of the last 100 steps:

end_loss = sum(d_losses[-100:]) / 100
end_shift = sum(shifts[-100:]) / 100
print(f"shift: at most {max(shifts):.2f}, at the end {end_shift:.2f}")
print(f"loss of D: at least {min(d_losses):.2f}, at the end {end_loss:.3f}")
passes = (torch.tensor(shifts) > 2).int().argmax()  # the first above 2
print(f"weight when the shift passes 2: {weights[passes]:.2f}", end=", ")
print(f"in the end: {weights[-1]:.2f}")

# %%
# .. alt:: Two panels over 1,000 steps. Left: the shift rises from 0 to 2.5 by
#    step 130, falls to 1.9, and settles at 2, a dashed line. The weight of D
#    rises to 0.7, crosses 0 when the shift is largest, and settles at 0. Right:
#    the loss of D drops from 1.39 to 1.0, rises to 1.5, and settles at 1.386.

# %%
# .. drawing::

figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
axes[0].plot(shifts, label="shift")
axes[0].plot(weights, label="weight of D")
axes[0].axhline(2, linestyle="--", color="gray")
axes[0].set(xlabel="step")
axes[0].legend()
axes[1].plot(d_losses)
axes[1].axhline(1.386, linestyle="--", color="gray")
axes[1].set(xlabel="step", ylabel="loss of D")

# %%
# The shift finds 2, but first it overshoots to 2.5. When it passes 2, the
# weight of D is still above 0, so D still rates larger numbers as more real,
# and needs a while to turn round. In the end its weight is almost 0: D can no
# longer tell real from fake.
#
# The loss of D begins at 1.386, when D knows nothing, and ends there, when the
# generator is right. So it does not say how good the generator is. It only says
# how well D does against its current opponent.

# %%
# .. check::

assert abs(first[0] - 1.386) < 0.001, "2 ln 2"
assert first_weight > 0.05, "the weight turns positive"
assert first_shift > 0.002, "the shift moves up"
assert 2.4 < max(shifts) < 2.7, "overshoots to 2.5"
assert abs(end_shift - 2) < 0.06, "finds 2"
assert abs(end_loss - 1.386) < 0.005, "and the loss is where it began"
assert weights[passes] > 0.2, "still above 0 when the shift passes 2"
assert abs(weights[-1]) < 0.1, "almost 0 in the end"

# %%
# A judge
# -------
# One idea is that an image is good if a classifier is sure of it, and that all
# ten digits should occur. :func:`handbook.metrics.judge_samples` takes the
# probabilities that a classifier gives each image. It returns the share of
# images whose largest probability is above 0.9, and how many classes these
# have:

rows = [[0.95, 0.03, 0.02], [0, 0, 1], [0.04, 0, 0.96], [0.2, 0.6, 0.2]]
toy_verdict = metrics.judge_samples(torch.tensor(rows))
print(toy_verdict)

# %%
# Our judge is the LeNet of :doc:`/lessons/architectures/05_cnn`, trained on
# half of the 10,000 digits. The GAN gets the other half, and neither gets the
# test digits.

digits, test = datasets.mnist()
train_x = digits.x[:5000].flatten(1)  # (5000, 784), for the GAN
test_x = test.x[:1000].flatten(1)  # (1000, 784)
other_half = Batches(
    digits.x[5000:], digits.y[5000:], batch_size=64, shuffle=True
)
judge = models.LeNet()
optimizer = torch.optim.AdamW(judge.parameters(), lr=0.003)
fit(
    judge, other_half, classification_step,
    optimizer=optimizer, epochs=5, device="cpu",
)  # fmt: skip

# %%
# A copy of a training digit would please this judge. So we also look for
# copies, with the mean distance to the nearest training digit, and measure the
# spread, the mean distance between two of the images. Distances are straight
# lines in the space of 784 pixels.

judge.eval()


def probabilities(images):  # (N, 784)
    with torch.no_grad():
        return judge(images.reshape(-1, 1, 28, 28)).softmax(dim=1)


def rate(images):
    share, classes = metrics.judge_samples(probabilities(images))
    nearest = torch.cdist(images, train_x).amin(dim=1)
    spread = torch.cdist(images, images).mean()
    return [share, classes, nearest.mean().item(), spread.item()]


# %%
# First we judge images that need no network: noise, the mean digit, copies of
# training digits, and images halfway between a training digit and the one
# nearest to it.

some = train_x[:1000]
order = torch.cdist(some, train_x).argsort(dim=1)  # first the digit itself
candidates = {
    "held-out digits": test_x,
    "noise": torch.rand(1000, 784),
    "mean image": train_x.mean(dim=0).repeat(1000, 1),
    "copies": some,
    "halfway": (some + train_x[order[:, 1]]) / 2,
}
rating = {}
print("                 sure  classes  nearest  spread")
for name, images in candidates.items():
    rating[name] = rate(images)
    share, classes, nearest, spread = rating[name]
    print(f"{name:15} {share:5.2f} {classes:8} {nearest:8.2f} {spread:7.2f}")

# %%
# The judge is sure of 89% of the held-out digits, and never of this noise. But
# it is at least as sure of the halfway images, and only the distance to the
# nearest digit gives them away. The mean image is about as near as held-out
# digits, but has no spread. A good generator has all four numbers close to
# those of the held-out digits.

# %%
# .. check::

assert toy_verdict == (0.75, 2), "three of four, two classes"
assert 0.8 < rating["held-out digits"][0] < 0.97, "89%"
assert rating["held-out digits"][1] == 10, "all ten"
assert rating["noise"][0] < 0.02, "never sure of noise"
assert rating["halfway"][0] > rating["held-out digits"][0], "at least as sure"
assert rating["halfway"][2] < 0.6 * rating["held-out digits"][2], "closer"
assert rating["copies"][2] < 0.1, "copies are at distance 0"
assert abs(rating["mean image"][2] - rating["held-out digits"][2]) < 1, "near"
assert rating["mean image"][3] < 0.1, "no spread"

# %%
# A simple baseline: PCA
# ----------------------
# *Principal component analysis* (PCA) finds the directions along which the
# digits vary most. ``pca_lowrank`` returns them as columns, here 40, and a size
# for each that gives the standard deviation along it. A new image is the mean
# plus a random step along each direction.

_, sizes, columns = torch.pca_lowrank(train_x, q=40)
deviations = sizes / len(train_x) ** 0.5  # one for each direction


def pca_samples():
    steps = torch.randn(1000, 40) * deviations
    changes = steps @ columns.T  # (1000, 784), the sum of step · direction
    return (train_x.mean(dim=0) + changes).clamp(0, 1)


# %%
# The GAN
# -------
# The generator maps 32 random numbers to 784 pixels, which ``nn.Sigmoid`` keeps
# between 0 and 1.


def new_networks():
    generator = nn.Sequential(
        nn.Linear(32, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 784),
        nn.Sigmoid(),
    )
    discriminator = nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 1)
    )
    return generator, discriminator


# %%
# The loop is that of the toy, with the same two functions. The first of Adam's
# two betas sets its momentum. It is usually 0.9, but 0.5 is common for GANs.
# (We chose the sizes and the learning rate with other seeds.)


def train_gan(seed, momentum=0.5):
    torch.manual_seed(seed)
    generator, discriminator = new_networks()
    betas = (momentum, 0.999)
    g_optimizer = torch.optim.Adam(generator.parameters(), 0.002, betas)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), 0.002, betas)
    history = []
    for _ in range(800):
        real = train_x[torch.randint(len(train_x), (32,))]
        fake = generator(torch.randn(32, 32))
        d_row = discriminator_step(discriminator, d_optimizer, real, fake)
        g_row = generator_step(discriminator, g_optimizer, fake)
        history.append(d_row + g_row)
    generator.eval()  # BatchNorm then uses its running means
    return generator, torch.tensor(history)  # (800, 5)


# %%
# Five seeds, 1,000 images each:

generators = []
histories = []
samples = {"PCA": [], "GAN": []}
for seed in range(5):
    generator, history = train_gan(seed)
    with torch.no_grad():
        images = generator(torch.randn(1000, 32))
    generators.append(generator)
    histories.append(history)
    samples["GAN"].append(images)
    samples["PCA"].append(pca_samples())

# %%
# The four numbers
# ----------------
# While a GAN trains, one usually prints the two losses and the mean answers:
# D(x) for real images, and D(G(z)) for those that the generator G makes from
# random numbers z, before and after the step of D. These are means over 200
# steps, for seed 0:

print("steps    D loss  G loss  D(x)  D(G(z)) before, after")
blocks = histories[0].reshape(4, 200, 5).mean(dim=1)
for i, row in enumerate(blocks.tolist()):
    d_loss, on_real, before, g_loss, after = row  # the columns of history
    print(f"to {200 * i + 200}  {d_loss:7.2f} {g_loss:7.2f}", end=" ")
    print(f"{on_real:5.2f} {before:8.2f} {after:13.2f}")

# %%
# If D could tell nothing, the answers would be 0.5, and the losses 1.39 and
# half of it, 0.69. From the first block to the last, the numbers come closer to
# these, so the generator catches up. D(G(z)) is lower after the step, because D
# has just learned that these images are fake. A D(x) near 1 with a D(G(z)) near
# 0 would be a warning: then D wins.

# %%
# .. check::

assert blocks[3, 0] > blocks[0, 0] + 0.1, "D's loss rises"
assert blocks[3, 3] < blocks[0, 3] - 0.1, "G's loss falls"
assert blocks[3, 1] < blocks[0, 1] - 0.03, "D(x) falls"
assert blocks[3, 2] > blocks[0, 2], "D(G(z)) rises"
assert (blocks[:, 4] < blocks[:, 2]).all(), "lower after the step"

# %%
# The verdict
# -----------
# Is it the shapes that the judge likes, or only bright strokes on black? We let
# it see all images twice: as they are, and with twice the contrast around a
# gray of 0.4.

results = {}
for name, five_sets in samples.items():
    for contrast in [1, 2]:
        rows = []
        for images in five_sets:
            changed = contrast * (images - 0.4) + 0.4
            rows.append(rate(changed.clamp(0, 1)))
        results[name, contrast] = torch.tensor(rows)  # (5, 4)

# %%
# These are means over five seeds, with the standard deviation of the share, and
# the fewest classes. Below is the GAN's share minus that of PCA ± its standard
# error (the standard deviation / √5):

print("               sure         classes  nearest  spread")
for key, five in results.items():
    share, _, nearest, spread = five.mean(dim=0)
    print(f"{key[0]}, contrast {key[1]}", end=" ")
    print(f"{share:.2f} ± {five[:, 0].std():.2f}", end=" ")
    print(f"{five[:, 1].min():8.0f} {nearest:8.2f} {spread:7.2f}")
gaps = {}
for contrast in [1, 2]:
    gap = results["GAN", contrast][:, 0] - results["PCA", contrast][:, 0]
    error = gap.std() / 5**0.5
    gaps[contrast] = gap.mean().item()
    print(f"GAN - PCA, contrast {contrast}: {gap.mean():.3f} ± {error:.3f}")

# %%
# On average, this judge is sure of about 38% of the images from the GAN, and of
# about 28% of those from PCA. But with twice the contrast, PCA does about as
# well as the unchanged GAN, although its images are then farther from the
# digits. With twice the contrast for both, the GAN leads by less. So this judge
# likes contrast, and part of the GAN's lead is no more than that. All are far
# from the 89% of real digits.
#
# A mean cannot show a single copy, so here are the smallest distances, for seed
# 0:

gan_images = samples["GAN"][0]
pca_images = samples["PCA"][0]
smallest = []
for images in [test_x, pca_images, gan_images]:
    smallest.append(torch.cdist(images, train_x).min().item())
print("smallest:", [round(distance, 2) for distance in smallest])

# %%
# The nearest test digit is nearer than any image from PCA or the GAN, so none
# of these is a copy pixel for pixel. (A copy that is moved by two pixels would
# not be noticed.) The rows below are test digits, PCA, the GAN, and the
# GAN's worst images, those that the judge is least sure of. Their strokes are
# broken:
#
# .. alt:: Eight images in each of four rows. The test digits are clean strokes.
#    The PCA images are blurred clouds, and few suggest a digit. The GAN images
#    have bright strokes with ragged edges, and some can be read. Those in the
#    last row have gaps in their strokes, and few can be read.

ranking = probabilities(gan_images).amax(dim=1).argsort()
worst = gan_images[ranking[:8]]
four_rows = [test_x[:8], pca_images[:8], gan_images[:8], worst]
pixels = torch.cat(four_rows).reshape(-1, 1, 28, 28)
figure = plots.image_grid(pixels)

# %%
# .. check::

assert 0.3 < results["GAN", 1][:, 0].mean() < 0.5, "about 38%"
assert 0.18 < results["PCA", 1][:, 0].mean() < 0.36, "about 28%"
assert gaps[1] > 0.03, "the GAN is ahead on average"
assert (
    abs(results["PCA", 2][:, 0].mean() - results["GAN", 1][:, 0].mean()) < 0.07
), "about as good"
assert gaps[2] < gaps[1], "leads by less"
assert results["PCA", 2][:, 2].mean() > results["PCA", 1][:, 2].mean() + 0.1, (
    "farther from the digits"
)
assert results["GAN", 2][:, 0].mean() < 0.7, "far from real digits"
assert smallest[1] > smallest[0] + 0.5, "no copies from PCA"
assert smallest[2] > smallest[0] + 0.5, "nor from the GAN"

# %%
# What goes wrong
# ---------------
# **Mode collapse.** With the usual momentum of 0.9, for two seeds:

collapsed = []
runs = []
print("D(x)  D(G(z))  sure  classes  nearest  spread")
for seed in range(2):
    generator, history = train_gan(seed, momentum=0.9)
    with torch.no_grad():
        images = generator(torch.randn(1000, 32))
    collapsed.append(images)
    _, on_real, on_fake, _, _ = history[-200:].mean(dim=0)
    share, classes, nearest, spread = rate(images)
    runs.append([on_real, on_fake, share, classes, spread])
    print(f"{on_real:.2f} {on_fake:8.2f} {share:5.2f} {classes:8}", end=" ")
    print(f"{nearest:8.2f} {spread:7.2f}")
collapse = torch.tensor(runs)

# %%
# This judge is sure of many of these images, so the share does not give them
# away. But in both runs only a few classes occur, and the spread is smaller
# than before. These images are from seed 0:
#
# .. alt:: Sixteen images from the collapsed generator: white blobs and grainy
#    rings. None is a clean digit.

figure = plots.image_grid(collapsed[0][:16].reshape(-1, 1, 28, 28))

# %%
# This is :term:`mode collapse`: the generator makes only a few kinds of image,
# and a classifier can be sure of a blob, too. A D(x) near 1 with a D(G(z)) near
# 0 was the warning.

# %%
# .. check::

assert collapse[:, 0].min() > 0.85, "D(x) is near 1"
assert collapse[:, 1].max() < 0.15, "D(G(z)) is near 0"
assert collapse[:, 2].mean() > results["GAN", 1][:, 0].mean() - 0.05, (
    "the share does not give them away"
)
assert collapse[:, 3].max() <= 4, "few classes occur"
assert collapse[:, 4].mean() < results["GAN", 1][:, 3].mean() - 0.5, "spread"

# %%
# In production
# -------------
# Generated faces or records may be near-copies of real people. A generator may
# also leave out a rare group within a class, and a count of classes does not
# show this. Published work usually reports the *Fréchet inception distance*
# (FID), which compares the features that a trained network computes for real
# images and for generated ones.
#
# Recipe
# ------
# Put your own table in place of ``x``, with values from 0 to 1. At the end,
# both numbers of the new rows should be close to those of the held-out ones.
# After these few steps they are not yet. For the share, train a classifier of
# your own.

import torch
from torch import nn

from handbook import datasets

torch.manual_seed(0)
digits, _ = datasets.mnist()
x = digits.x.flatten(1)  # (N, values), from 0 to 1
held_out = x[:1000]
train = x[1000:]
size = x.shape[1]

# %%
# The networks and their optimizers:

generator = nn.Sequential(
    nn.Linear(32, 128), nn.BatchNorm1d(128), nn.ReLU(),
    nn.Linear(128, size), nn.Sigmoid(),
)  # fmt: skip
discriminator = nn.Sequential(
    nn.Linear(size, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 1)
)
betas = (0.5, 0.999)
g_optimizer = torch.optim.Adam(generator.parameters(), 0.002, betas)
d_optimizer = torch.optim.Adam(discriminator.parameters(), 0.002, betas)

# %%
# The training:

bce = nn.BCEWithLogitsLoss()
ones = torch.ones(32, 1)
zeros = torch.zeros(32, 1)
for _ in range(400):
    real = train[torch.randint(len(train), (32,))]
    fake = generator(torch.randn(32, 32))
    d_loss = bce(discriminator(real), ones)
    d_loss = d_loss + bce(discriminator(fake.detach()), zeros)
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    g_loss = bce(discriminator(fake), ones)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()

# %%
# New rows, their distance to the training set, and their spread:

generator.eval()
with torch.no_grad():
    new = generator(torch.randn(1000, 32))
for name, images in [("held-out", held_out), ("new", new)]:
    nearest = torch.cdist(images, train).amin(dim=1).mean()
    spread = torch.cdist(images, images).mean()
    print(f"{name}: nearest {nearest:.2f}, spread {spread:.2f}")

# %%
# What you learned
# ----------------
# - The discriminator learns to tell real from fake, and the generator learns
#   from the discriminator's gradient. ``detach`` keeps the generator out of the
#   discriminator's step.
# - A loss only says how well a network does against its current opponent.
# - Judge the images by the share that a classifier is sure of, the classes that
#   occur, the distance to the nearest training example, and the spread. The
#   share alone can be fooled by copies, by contrast and by mode collapse.
#
# Exercises
# ---------
#
# 1. **Predict.** Someone writes ``detach`` too early, where the images are
#    made. What happens to the loss of D, and to the generator?
# 2. **Change.** Give the discriminator of the toy a learning rate of 0.3, and
#    leave that of the generator at 0.1. Does the shift overshoot less?
# 3. **Extend.** Walk from one random input of a generator to another, in ten
#    equal steps, ten times. Do the images jump, or do they change little by
#    little? What does the judge read on the way?

# %%
# .. answer:: 1
#
#    There is no error, and the loss of D falls almost to 0. But the generator
#    gets no gradient, so it never changes.

torch.manual_seed(0)
generator, discriminator = new_networks()
g_optimizer = torch.optim.Adam(generator.parameters(), 0.002)
d_optimizer = torch.optim.Adam(discriminator.parameters(), 0.002)
first_layer = generator[0].weight.clone()
cut_off = []
for _ in range(200):
    real = train_x[torch.randint(len(train_x), (32,))]
    fake = generator(torch.randn(32, 32)).detach()  # the mistake
    d_row = discriminator_step(discriminator, d_optimizer, real, fake)
    generator_step(discriminator, g_optimizer, fake)
    cut_off.append(d_row[0])
unchanged = generator[0].weight.equal(first_layer)
print(f"loss of D: first {cut_off[0]:.2f}, last {cut_off[-1]:.4f}")
print("generator unchanged:", unchanged)

# %%
# .. check::

assert cut_off[-1] < 0.05, "D's loss is close to 0"
assert unchanged, "the generator never changes"

# %%
# .. answer:: 2
#
#    Yes, to about 2.35 instead of 2.54. A discriminator that learns faster
#    turns round sooner.

torch.manual_seed(0)
shift = torch.zeros(1, requires_grad=True)
discriminator = nn.Linear(1, 1)
nn.init.zeros_(discriminator.weight)
nn.init.zeros_(discriminator.bias)
g_optimizer = torch.optim.SGD([shift], lr=0.1)
d_optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.3)
faster = []
for _ in range(500):
    real = 2 + torch.randn(64, 1)
    fake = shift + torch.randn(64, 1)
    discriminator_step(discriminator, d_optimizer, real, fake)
    generator_step(discriminator, g_optimizer, fake)
    faster.append(shift.item())
print(f"at most {max(faster):.2f}")

# %%
# .. check::

assert abs(max(faster) - 2.35) < 0.1, "about 2.35"
assert max(faster) < max(shifts) - 0.05, "less than before"

# %%
# .. answer:: 3
#
#    They change little by little. In each walk, no step is more than half of
#    the distance from end to end. What the judge reads changes on most walks.

way = torch.linspace(0, 1, 11).unsqueeze(1)  # (11, 1)
longest = []
readings = []
for seed in range(10):
    torch.manual_seed(seed)
    start = torch.randn(32)
    end = torch.randn(32)
    with torch.no_grad():
        images = generators[0](start + way * (end - start))  # (11, 784)
    steps = (images[1:] - images[:-1]).norm(dim=1)
    whole = (images[-1] - images[0]).norm()
    longest.append((steps.max() / whole).item())
    labels = probabilities(images).argmax(dim=1)
    readings.append(len(labels.unique()))
print("longest step / whole:", [round(part, 2) for part in longest])
print("digits read:", readings)

# %%
# .. check::

assert max(longest) < 0.5, "little by little"
assert sum(number > 1 for number in readings) > 5, "changes on most walks"
