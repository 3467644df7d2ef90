"""
GAN: generative adversarial network
===================================

How does a network learn to draw digits, if no drawing is right or wrong?

A *generative adversarial network* (GAN) is a pair: one network draws, and
another learns to tell real images from drawn ones. They compete, so both get
better. But neither of the two losses says how good the images are. For this we
need a judge.

After this lesson you can

- train a generator and a discriminator against each other, first on one number,
  then on images of digits
- read the four numbers that are usually printed while a GAN trains
- judge generated images by three numbers, beside simple baselines
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
# 0. It should find ``shift`` = 2, without ever seeing a real number.
#
# The :term:`discriminator` D sees a number x, real or fake, and answers with
# the probability D(x) that it is real. Here it is a logistic regression, the
# sigmoid of weight · x + bias, and both start at 0.

shift = torch.zeros(1, requires_grad=True)
discriminator = nn.Linear(1, 1)
nn.init.zeros_(discriminator.weight)
nn.init.zeros_(discriminator.bias)
g_optimizer = torch.optim.SGD([shift], lr=0.1)
d_optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.1)

# %%
# The two take turns. First D learns to answer 1 for real and 0 for fake. Its
# loss is the sum of two cross-entropies. ``detach`` cuts the fake data off from
# the generator, because only D learns here. The function returns the loss, and
# the mean answers for real and for fake.


def discriminator_step(discriminator, optimizer, real, fake):
    on_real = discriminator(real)  # logits, (B, 1)
    on_fake = discriminator(fake.detach())
    ones = torch.ones(len(real), 1)
    zeros = torch.zeros(len(fake), 1)
    loss = binary_cross_entropy_with_logits(on_real, ones)
    loss = loss + binary_cross_entropy_with_logits(on_fake, zeros)
    optimizer.zero_grad()
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
# so the loss is 1.386. The gradient of the weight is half the difference of the
# two means, (0 − 2) / 2 = −1, so the weight becomes about 0.1. D has noticed
# that real numbers are larger. The gradient of the shift is then −0.5 times the
# weight, so the shift moves by 0.1 · 0.5 · 0.1 = 0.005, in the right direction.
# Here are 1,000 more steps of each:

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
# The end is the mean of the last 100 steps:

end_loss = sum(d_losses[-100:]) / 100
end_shift = sum(shifts[-100:]) / 100
print(f"shift: at most {max(shifts):.2f}, at the end {end_shift:.2f}")
print(f"loss of D: at least {min(d_losses):.2f}, at the end {end_loss:.3f}")
passes = (torch.tensor(shifts) > 2).int().argmax()
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
# weight of D is still above 0, so D still takes larger numbers for more real,
# and needs a while to turn round. In the end its weight is almost 0: D can no
# longer tell real from fake.
#
# The loss of D begins at 1.386, when D knows nothing, and ends there, when the
# generator is right. So it does not say how good the generator is. It only says
# how well D does against its present opponent.

# %%
# .. check::

assert abs(first[0] - 1.386) < 0.001, "2 ln 2"
assert abs(first_weight - 0.1) < 0.03, "the weight becomes about 0.1"
assert abs(first_shift - 0.005) < 0.0015, "the shift moves by 0.005"
assert 2.4 < max(shifts) < 2.7, "overshoots to 2.5"
assert abs(end_shift - 2) < 0.06, "finds 2"
assert abs(end_loss - 1.386) < 0.005, "and the loss is where it began"
assert weights[passes] > 0.2, "still above 0 when the shift passes 2"
assert abs(weights[-1]) < 0.1, "almost 0 in the end"

# %%
# A judge
# -------
# Good images of digits are those of which a classifier is sure, and all ten
# digits should occur. :func:`handbook.metrics.judge_samples` takes the
# probabilities that a classifier gives each image. It returns the share of
# images with a probability above 0.9, and how many classes occur among these:

rows = [[0.95, 0.03, 0.02], [0, 0, 1], [0.04, 0, 0.96], [0.2, 0.6, 0.2]]
toy_verdict = metrics.judge_samples(torch.tensor(rows))
print(toy_verdict)

# %%
# The classifier is sure of three, a 0 and two 2s. Our judge is the LeNet of
# :doc:`/lessons/architectures/05_cnn`, trained on half of the 10,000 digits.
# The GAN gets the other half, and neither gets the test digits. (The networks
# are small, so we stay on the CPU.)

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
# A copy of a training digit would please this judge. So a third number looks
# for copies: the mean distance to the nearest training digit.

judge.eval()


def probabilities(images):  # (N, 784)
    with torch.no_grad():
        return judge(images.reshape(-1, 1, 28, 28)).softmax(dim=1)


def rate(images):
    share, classes = metrics.judge_samples(probabilities(images))
    nearest = torch.cdist(images, train_x).amin(dim=1)
    return [share, classes, nearest.mean().item()]


# %%
# First we judge images that need no network: noise, the mean digit, copies of
# training digits, and images halfway between a training digit and the one
# nearest to it. (Place 0 of the order is the digit itself, so we take place 1.)

some = train_x[:1000]
order = torch.cdist(some, train_x).argsort(dim=1)
candidates = {
    "held-out digits": test_x,
    "noise": torch.rand(1000, 784),
    "mean image": train_x.mean(dim=0, keepdim=True),
    "copies": some,
    "halfway": (some + train_x[order[:, 1]]) / 2,
}
rating = {}
print("                 sure  classes  distance")
for name, images in candidates.items():
    rating[name] = rate(images)
    share, classes, distance = rating[name]
    print(f"{name:15} {share:5.2f} {classes:8} {distance:9.2f}")

# %%
# The judge is sure of 89% of the held-out digits, and never of this noise. But
# it is surer still of the images halfway, and only the distance gives them
# away. A good generator has all three numbers close to those of the held-out
# digits.

# %%
# .. check::

assert toy_verdict == (0.75, 2), "three of four, two classes"
assert 0.8 < rating["held-out digits"][0] < 0.97, "89%"
assert rating["held-out digits"][1] == 10, "all ten"
assert rating["noise"][0] < 0.02, "never sure of noise"
assert rating["halfway"][0] > rating["held-out digits"][0] + 0.02, "surer"
assert rating["halfway"][2] < 0.6 * rating["held-out digits"][2], "closer"
assert rating["copies"][2] < 0.1, "copies are at distance 0"

# %%
# A baseline that is hard to beat
# -------------------------------
# *Principal component analysis* (PCA) finds the directions along which the
# digits vary most. ``pca_lowrank`` returns them as columns, and a size for each
# that gives the standard deviation along it. A new image is the mean plus a
# random step along each direction. How many directions are best?


def pca_samples(directions, seed):
    torch.manual_seed(seed)
    _, sizes, columns = torch.pca_lowrank(train_x, q=directions)
    spread = sizes / len(train_x) ** 0.5
    steps = torch.randn(1000, directions) * spread
    return (train_x.mean(dim=0) + steps @ columns.T).clamp(0, 1)


pca_shares = {}
for directions in [5, 10, 20, 40, 80]:
    pca_shares[directions] = rate(pca_samples(directions, seed=10))[0]
    print(f"{directions:2} directions: sure of {pca_shares[directions]:.2f}")

# %%
# It hardly matters from 20 on. We take 40.
#
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
# two betas is its momentum. It is usually 0.9, but 0.5 is common for GANs. (We
# chose the sizes and the learning rate with other seeds.)


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
    generator.eval()
    return generator, torch.tensor(history)  # (800, 5)


# %%
# Five seeds, 1,000 images each:

samples = []
generators = []
histories = []
results = {"PCA": torch.zeros(5, 3), "GAN": torch.zeros(5, 3)}
for seed in range(5):
    generator, history = train_gan(seed)
    with torch.no_grad():
        images = generator(torch.randn(1000, 32))
    samples.append(images)
    generators.append(generator)
    histories.append(history)
    results["GAN"][seed] = torch.tensor(rate(images))
    results["PCA"][seed] = torch.tensor(rate(pca_samples(40, seed)))

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
    d_loss, on_real, before, g_loss, after = row
    print(f"to {200 * i + 200}  {d_loss:7.2f} {g_loss:7.2f}", end=" ")
    print(f"{on_real:5.2f} {before:8.2f} {after:13.2f}")

# %%
# If D could tell nothing, the answers would be 0.5, and the losses 1.39 and
# 0.69. The numbers come closer to these, so the generator catches up. D(G(z))
# is lower after the step, because D has just learned that these images are
# fake. A D(x) near 1 with a D(G(z)) near 0 would be a warning: then D wins.

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
# The judge's numbers, as mean ± standard deviation over five seeds, with the
# fewest classes of the five:

print("       sure           classes  distance")
for name, rows in results.items():
    mean = rows.mean(dim=0)
    std = rows.std(dim=0)
    fewest = rows[:, 1].min()
    print(f"{name}    {mean[0]:.3f} ± {std[0]:.3f}", end=" ")
    print(f"{fewest:8.0f}   {mean[2]:.2f} ± {std[2]:.2f}")
gap = results["GAN"][:, 0] - results["PCA"][:, 0]
print("GAN minus PCA:", [round(value, 2) for value in gap.tolist()])
print(f"mean {gap.mean():.3f}, standard error {gap.std() / 5**0.5:.3f}")

# %%
# For each seed, the judge is sure of more images of the GAN than of PCA, on
# average 38% against 29%. Neither makes copies: on average, their images are
# farther from the training digits than new digits are. So the GAN wins, but
# both are far from the 89% of real digits. (This holds for these small networks
# and 800 steps.) The rows are held-out digits, PCA and GAN:
#
# .. alt:: Eight images in each of three rows. The held-out digits are clean
#    strokes. The PCA images are blurred clouds, and few suggest a digit. The
#    GAN images have bright strokes with ragged edges, and some can be read.

gan_images = samples[0]
three_rows = [test_x[:8], pca_samples(40, seed=0)[:8], gan_images[:8]]
pixels = torch.cat(three_rows).reshape(-1, 1, 28, 28)
figure = plots.image_grid(pixels)

# %%
# .. check::

assert gap.min() > 0, "more in each of the five runs"
assert gap.mean() > 3 * gap.std() / 5**0.5, "a clear gap"
assert 0.32 < results["GAN"][:, 0].mean() < 0.45, "38%"
assert 0.23 < results["PCA"][:, 0].mean() < 0.35, "29%"
assert results["GAN"][:, 2].min() > rating["held-out digits"][2], "no copies"
assert results["PCA"][:, 2].min() > rating["held-out digits"][2], "nor PCA"

# %%
# These are the ten images of the GAN that the judge is least sure of, with its
# two best guesses. Many strokes have gaps, and several images look like the top
# of one digit above the bottom of another.
#
# .. alt:: Ten images of the GAN. Above each, two guesses, such as 3 or 2. Most
#    look like parts of two digits, with gaps in their strokes.

sure = probabilities(gan_images)
ranking = sure.amax(dim=1).argsort()[:10]
guesses = sure[ranking].argsort(dim=1, descending=True).tolist()
titles = [f"{guess[0]} or {guess[1]}" for guess in guesses]
worst = gan_images[ranking].reshape(-1, 1, 28, 28)
figure = plots.image_grid(worst, titles, ncols=5)

# %%
# What goes wrong
# ---------------
# **A falling loss that is not progress.** ``detach`` belongs in D's step. Here
# it stands too early, where the images are made:

torch.manual_seed(0)
generator, discriminator = new_networks()
g_optimizer = torch.optim.Adam(generator.parameters(), 0.002, (0.5, 0.999))
d_optimizer = torch.optim.Adam(discriminator.parameters(), 0.002, (0.5, 0.999))
before = generator[3].weight.clone()
cut_off = []
for _ in range(300):
    real = train_x[torch.randint(len(train_x), (32,))]
    fake = generator(torch.randn(32, 32)).detach()  # the mistake
    d_row = discriminator_step(discriminator, d_optimizer, real, fake)
    generator_step(discriminator, g_optimizer, fake)
    cut_off.append(d_row[0])
print(f"loss of D: first {cut_off[0]:.2f}, last {cut_off[-1]:.4f}")
unchanged = generator[3].weight.equal(before)
print("generator unchanged:", unchanged)

# %%
# There is no error, and the loss of D falls almost to 0. But the generator gets
# no gradient, so it never changes.
#
# **Mode collapse.** With the usual momentum of 0.9:

generator, history = train_gan(0, momentum=0.9)
with torch.no_grad():
    images = generator(torch.randn(1000, 32))
collapsed = rate(images)
loss_d, on_real = history[-200:, :2].mean(dim=0).tolist()
print(f"D(x) {on_real:.2f}, loss of D {loss_d:.2f}")
print(f"sure {collapsed[0]:.2f}, classes {collapsed[1]}", end=", ")
print(f"distance {collapsed[2]:.2f}")

# %%
# The judge is sure of 75% of these images, far more than with 0.5. But only two
# classes occur, and no image looks real:
#
# .. alt:: Sixteen images from the collapsed generator: white blobs and grainy
#    rings. None is a clean digit.

figure = plots.image_grid(images[:16].reshape(-1, 1, 28, 28))

# %%
# This is :term:`mode collapse`: the generator makes only a few kinds of image.
# The share alone would have called it the better GAN, because a classifier can
# be sure of a blob, too. The classes show it, and D(x) above 0.9 was a warning.

# %%
# .. check::

assert cut_off[-1] < 0.05, "D's loss is close to 0"
assert unchanged, "the generator never changes"
assert collapsed[1] <= 4, "few classes occur"
assert collapsed[0] > results["GAN"][:, 0].mean(), "the judge is surer"
assert on_real > 0.85, "D(x) is close to 1"

# %%
# In production
# -------------
# Generated faces or records may be near-copies of real people, so look at the
# nearest training examples before you publish any. A generator may also leave
# out a rare group within a class, and a count of classes does not show this.
# The last step is not always the best one, so save checkpoints, and choose with
# all three numbers.
#
# Recipe
# ------
# Put your own table in place of ``x``, with values from 0 to 1. The two
# distances at the end should be close to each other. For the share, train a
# classifier of your own.

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
for _ in range(400):
    real = train[torch.randint(len(train), (32,))]
    fake = generator(torch.randn(32, 32))
    d_loss = bce(discriminator(real), ones)
    d_loss = d_loss + bce(discriminator(fake.detach()), 0 * ones)
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    g_loss = bce(discriminator(fake), ones)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()

# %%
# New images, and how far they are from the training set:

generator.eval()
discriminator.eval()
with torch.no_grad():
    new = generator(torch.randn(1000, 32))
    answer = discriminator(new[:1]).sigmoid().item()
for name, images in [("held-out", held_out), ("new", new)]:
    distance = torch.cdist(images, train).amin(dim=1).mean()
    print(f"{name}: {distance:.2f} from the nearest")
print(f"D thinks that the first one is real with probability {answer:.2f}")

# %%
# What you learned
# ----------------
# - The discriminator learns to tell real from fake, and the generator learns
#   from the discriminator's gradient. ``detach`` keeps the generator out of the
#   discriminator's step.
# - A loss only says how one does against its present opponent.
# - Judge the images by the share that a classifier is sure of, the classes that
#   occur, and the distance to the nearest training example. The share alone can
#   be fooled by copies and by mode collapse.
# - Here the GAN beat PCA, 38% to 29%, and was far from real digits.
#
# Exercises
# ---------
#
# 1. **Predict.** Someone leaves out ``detach`` in ``discriminator_step``. What
#    happens in the next ``generator_step``, with the networks for digits?
# 2. **Change.** Give the discriminator of the toy a learning rate of 0.3, and
#    leave that of the generator at 0.1. Does the shift overshoot less?
# 3. **Extend.** Walk from one random input of a generator to another, in ten
#    equal steps. Do the images jump, or do they change little by little? What
#    does the judge read on the way?

# %%
# .. answer:: 1
#
#    ``backward`` goes through the generator, too, and frees its graph. So the
#    second ``backward`` through the same images stops with an error.

generator, discriminator = new_networks()
fake = generator(torch.randn(32, 32))
discriminator(fake).mean().backward()  # without detach
optimizer = torch.optim.Adam(generator.parameters())
message = "no error"
try:
    generator_step(discriminator, optimizer, fake)
except RuntimeError as error:
    message = str(error)
print(message[:54])

# %%
# .. check::

assert "backward through the graph a second time" in message, "an error"

# %%
# .. answer:: 2
#
#    Yes, to 2.3 instead of 2.5. A discriminator that learns faster turns round
#    sooner.

torch.manual_seed(0)
shift = torch.zeros(1, requires_grad=True)
discriminator = nn.Linear(1, 1)
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

assert max(faster) < max(shifts) - 0.05, "less than before"

# %%
# .. answer:: 3
#
#    They change little by little, as no step is more than a third of the
#    distance from end to end. What the judge reads changes on the way.

torch.manual_seed(9)
start = torch.randn(32)
end = torch.randn(32)
way = torch.linspace(0, 1, 11).unsqueeze(1)  # (11, 1)
with torch.no_grad():
    images = generators[0](start + way * (end - start))  # (11, 784)
steps = (images[1:] - images[:-1]).norm(dim=1)
whole = (images[-1] - images[0]).norm()
print("each step:", [round(step, 1) for step in steps.tolist()])
print(f"from end to end: {whole:.1f}")
labels = probabilities(images).argmax(dim=1).tolist()
print("read as:", labels)

# %%
# .. check::

assert steps.max() < whole / 3, "little by little"
assert len(set(labels)) > 1, "the reading changes"
