"""
Confusion matrix and error bars
===============================

One network makes 20 mistakes and another one 16. Is the second one better?

An accuracy is measured on some images, and with other images it would have been
a different one. If you do not know how different, you will take luck for
progress.

After this lesson you can

- read a confusion matrix, and look at the worst mistakes
- put an error bar on a number of mistakes: 20 ± 4.5
- compare two networks on the same images, and tell a real difference from luck
"""

# %%
# Setup
# -----

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from handbook import Batches, classification_step, datasets, fit, plots

torch.manual_seed(0)

# %%
# Counting by hand
# ----------------
# Eight images show the digits 0, 1 and 2. A network has given eight answers. In
# a :term:`confusion matrix`, each row is a true digit and each column is an
# answer.

truth = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2])
answer = torch.tensor([0, 0, 1, 1, 2, 2, 1, 1])
counts = torch.zeros(3, 3, dtype=torch.int64)
for true_digit, given in zip(truth, answer, strict=True):
    # one more in the cell of this image
    counts[true_digit, given] += 1
print(counts)

# %%
# The right answers are on the diagonal, 2 + 2 + 1 = 5 of 8. All three mistakes
# are between 1 and 2. So the accuracy of 5/8 hides that both images of a 0 were
# read correctly, but only one of the three images of a 2.

# %%
# .. check::

assert counts.diagonal().sum() == 5, "5 of 8 are right"
assert counts[2].tolist() == [0, 2, 1], "the row of the 2"
assert counts[0].tolist() == [2, 0, 0], "both 0s are right"

# %%
# Data and two networks
# ---------------------
# The networks are two MLPs, one with 64 hidden units and one with 128. They
# learn from 8,000 images, and the other 2,000 of the training images judge
# them. The :term:`test set` stays closed, because we are still comparing
# and choosing.
# The training is that of :doc:`/lessons/practice/03_mnist`.

digits, _ = datasets.mnist()
train_x = digits.x[:8000]
train_y = digits.y[:8000]
x = digits.x[8000:]  # (2000, 1, 28, 28)
y = digits.y[8000:]

# %%
# One function builds and trains a network.


def train_mlp(hidden, seed):
    torch.manual_seed(seed)
    layers = [nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10)]
    model = nn.Sequential(nn.Flatten(), *layers)
    batches = Batches(train_x, train_y, batch_size=64, shuffle=True, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.01, total_steps=4 * len(batches)
    )
    fit(
        model, batches, classification_step, optimizer=optimizer,
        scheduler=scheduler, scheduler_interval="batch", epochs=4,
    )  # fmt: skip
    return model.cpu().eval()  # back from an accelerator, to evaluation mode


# %%
# We train both, and keep their answers to the 2,000 images.

small = train_mlp(hidden=64, seed=0)
large = train_mlp(hidden=128, seed=0)
with torch.no_grad():
    small_logits = small(x)  # (2000, 10)
    large_logits = large(x)
small_right = small_logits.argmax(dim=1) == y
large_right = large_logits.argmax(dim=1) == y
print("wrong, 64 hidden: ", (~small_right).sum().item())
print("wrong, 128 hidden:", (~large_right).sum().item())

# %%
# Which digits are confused?
# --------------------------
# :func:`handbook.plots.confusion_matrix` counts and draws the matrix. Here it
# is for the larger network.
#
# .. alt:: Confusion matrix of ten digits. Nearly all of the 2,000 images lie on
#    the diagonal. The mistakes are scattered over many cells, and most of these
#    hold one or two images.

answers = large_logits.argmax(dim=1)
panel = plots.confusion_matrix(y, answers)

# %%
# For each digit, the row tells how many of its images were read wrongly, and
# each cell tells for which digit they were taken. Rows are easier to trust than
# cells. Of the 209 images of a 3, 18 were read wrongly, but only 2 of the 214
# images of a 6. (They are the worst and the best of ten rows, and luck alone
# makes ten equal rows differ, too.) No cell off the diagonal holds more than 6
# images, and the next section shows that luck alone can turn 3 mistakes into 6.
# With so few mistakes, look at the images themselves. Here are the twelve with
# the largest loss. The title says what the digit is, what the network read, and
# with which probability.
#
# .. alt:: The twelve images with the largest loss. Some are slanted or written
#    in an unusual way, but a person can read most of them.

losses = cross_entropy(large_logits, y, reduction="none")  # (2000,)
worst = losses.argsort(descending=True)[:12]
probability = torch.softmax(large_logits, dim=1).amax(dim=1)  # (2000,)
titles = []
for i in worst:
    titles.append(f"{y[i]}, read {answers[i]}: {probability[i]:.0%}")
figure = plots.image_grid(x[worst], titles=titles, ncols=4)
print("right among the twelve:", large_right[worst].sum().item())

# %%
# Most of these are plain to a person, so a better network could read them, too.
# Where you cannot read one, the label may be wrong.

# %%
# .. check::

assert large_right[worst].sum() == 0, "all twelve are mistakes"
assert (y == 3).sum() == 209, "images of a 3"
assert (y[~large_right] == 3).sum() == 18, "mistakes with a 3"
assert (y == 6).sum() == 214, "images of a 6"
assert (y[~large_right] == 6).sum() == 2, "mistakes with a 6"
assert (10 * y + answers)[~large_right].bincount().max() == 6, "a few images"

# %%
# Standard error: 20 mistakes, give or take
# -----------------------------------------
# Suppose that a network reads 99% of all digits correctly. Then among 2,000
# images we expect 20 mistakes, but we will not get exactly 20 each time. Each
# image is like the toss of a coin that shows "wrong" with the probability 0.01.
# :class:`torch.distributions.Binomial` tosses 2,000 such coins and returns how
# many show "wrong". We do it 10,000 times, as if we had 10,000 test sets.

coins = torch.distributions.Binomial(2000, torch.tensor(0.01))
mistakes = coins.sample((10_000,))  # (10000,)
print("first five tests:", mistakes[:5])
print(f"mean {mistakes.mean():.1f}, standard deviation {mistakes.std():.2f}")
inside = (mistakes >= 11) & (mistakes <= 29)
print(f"between 11 and 29: {inside.float().mean():.0%}")

# %%
# .. alt:: How often each number of mistakes occurred in 10,000 tests of 2,000
#    images. The bars form a hill around 20. Nearly all of it lies between two
#    dotted lines at 11 and 29.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
axis.bar(range(45), mistakes.int().bincount(minlength=45)[:45].tolist())
axis.axvline(11, color="black", linestyle=":")
axis.axvline(29, color="black", linestyle=":")
axis.set(xlabel="mistakes among 2,000 images", ylabel="tests of 10,000")

# %%
# In the first five tests alone, the same network makes 15 mistakes once and 31
# another time. The standard deviation of such a count is
#
# .. math::
#
#    \sqrt{n \, p \, (1 - p)} = \sqrt{2000 \cdot 0.01 \cdot 0.99} = 4.45
#
# where :math:`n` is the number of images and :math:`p` the probability of a
# mistake. If mistakes are rare, 1 − p is almost 1, and n · p is about the
# number of mistakes that you counted. This gives a rule of thumb. *The error of
# a small count, which is its standard deviation, is about its square root*.
# Here it is √20 ≈ 4.5. About 95% of the tests lie within two such errors. (Here
# it is 97% between 11 and 29. The 31 above is one of the few outside.) So you
# write 20 ± 4.5 mistakes. Divide the error by 2,000, and you can write the
# accuracy as 99.0% ± 0.2%. The number after ± is called the *standard error*,
# and drawn in a figure it is an *error bar*.
#
# In a cell of the matrix, 3 means 3 ± 1.7, and 6 means 6 ± 2.4. Only for 0 the
# rule fails: if you expect one mistake, you still see none in 37% of the tests.

# %%
# .. check::

assert abs(mistakes.mean() - 20) < 0.3, "20 on average"
assert abs(mistakes.std() - (2000 * 0.01 * 0.99) ** 0.5) < 0.15, "the formula"
assert 0.965 <= inside.float().mean() < 0.975, "97%"
assert mistakes[:5].min() == 15, "15 in one of the first five"
assert mistakes[:5].max() == 31, "31 in another"
assert round((1 - 1 / 2000) ** 2000, 2) == 0.37, "none, if one is expected"

# %%
# What goes wrong
# ---------------
# **20 against 16.** A network with 16 mistakes is called better than one with
# 20. How often does luck alone do this? We let two *equally good* networks
# compete. Each is tested on 2,000 images of its own, and the count is repeated
# 10,000 times.

one = coins.sample((10_000,))
other = coins.sample((10_000,))
apart = (one - other).abs() >= 4
print(f"standard deviation of the difference: {(one - other).std():.1f}")
print(f"4 or more apart: {apart.float().mean():.0%}")

# %%
# In more than half of the tests, one of two equal networks is ahead by 4 or
# more. The two errors often cancel in part, so the error of the difference is
# less than their sum. For independent counts the *squares* of the errors add
# up, and each square is about the count itself: √(20 + 20) = 6.3, and for the
# counts 20 and 16 √36 = 6. A difference of 4 is less than one error, so 16
# instead of 20 says almost nothing. If both networks read the *same* images,
# luck has less room, as the next section shows.

# %%
# .. check::

assert abs((one - other).std() - 6.3) < 0.2, "6.3, nearly the 6.4 measured"
assert 0.52 < apart.float().mean() < 0.66, "more than half"

# %%
# Compare image by image: McNemar's test
# --------------------------------------
# Now the two real networks. Images that both read correctly, or both read
# wrongly, do not tell which one is better. Only the others count. Let :math:`b`
# images be wrong with the first network only, and :math:`c` with the second one
# only. If the networks are equally good, each of these images is like the toss
# of a fair coin that moves the lead by +1 or −1. After :math:`b + c` such
# steps, the standard deviation of the lead is :math:`\sqrt{b + c}`. So the lead
# and its error are
#
# .. math::
#
#    (b - c) \pm \sqrt{b + c}
#
# This comparison is called *McNemar's test*. (Books give the square of the lead
# divided by its error. If b + c is below about 25, count with the coin
# exactly.) Here it is for our two networks.

both_wrong = (~small_right & ~large_right).sum().item()
only_small = (~small_right & large_right).sum().item()
only_large = (small_right & ~large_right).sum().item()
print("wrong in both:       ", both_wrong)
print("wrong in small only: ", only_small)
print("wrong in large only: ", only_large)

difference = only_small - only_large
paired = (only_small + only_large) ** 0.5
own = ((~small_right).sum() + (~large_right).sum()).item() ** 0.5
print(f"difference {difference}, error {paired:.1f} on the same images")
print(f"on images of their own it would be {own:.1f}")

# %%
# Most mistakes are shared, so the error on the same images is less than half as
# large. The larger network is ahead by 9 images, only 1.4 times the error, so
# the two may be equally good. As a rule, believe a difference that is more than
# twice its error. Even then, two equal networks will fool you in about one of
# twenty comparisons.

# %%
# .. check::

assert both_wrong == 78, "wrong in both"
assert both_wrong > only_small + only_large, "most mistakes are shared"
assert paired < 0.5 * own, "less than half the error on the same images"
assert difference == 9, "the larger network is ahead"
assert abs(difference / paired - 1.4) < 0.05, "not shown"

# %%
# Another seed, another network
# -----------------------------
# There is luck of a second kind: another seed gives another network. So to know
# whether 128 units are better than 64, one pair is not enough. We train four
# more, each pair with one seed.


def count_wrong(model):
    with torch.no_grad():
        return (model(x).argmax(dim=1) != y).sum()


differences = torch.zeros(5)  # by how many images the larger one is ahead
differences[0] = difference
for seed in range(1, 5):
    small_wrong = count_wrong(train_mlp(64, seed))
    differences[seed] = small_wrong - count_wrong(train_mlp(128, seed))

error = differences.std() / 5**0.5
print("differences:", differences)
print(f"mean {differences.mean():.1f}, standard error {error:.1f}")

# %%
# In each of the five pairs the network with 128 units makes fewer mistakes. The
# standard error of the mean is the standard deviation of the five differences,
# divided by √5. The mean is several times as large. (With only five values, ask
# for almost three times the error instead of twice.) So on these 2,000 images
# the larger *kind* of network is better.
#
# But all pairs share their images, and this error knows nothing of the luck
# with the images. To claim the same for other images, you need other images,
# too.

# %%
# .. check::

assert differences.min() > 0, "fewer mistakes in each pair"
assert differences.mean() > 3 * error, "better on these images"

# %%
# Recipe
# ------
# The answers are made up here. Put your labels and the answers of your two
# networks in their place, and repeat it with several seeds.

import torch

torch.manual_seed(0)
truth = torch.randint(0, 3, (500,))
next_class = (truth + 1) % 3
answer_a = torch.where(torch.rand(500) < 0.10, next_class, truth)
answer_b = torch.where(torch.rand(500) < 0.04, next_class, truth)

n_classes = 3
cell = n_classes * truth + answer_a  # number of the cell in the matrix
print(cell.bincount(minlength=n_classes**2).reshape(n_classes, n_classes))

wrong_a = answer_a != truth
wrong_b = answer_b != truth
for name, mask in [("a", wrong_a), ("b", wrong_b)]:
    print(f"{name}: {mask.sum()} ± {mask.sum() ** 0.5:.1f} wrong")

# %%
# The comparison, on the images where exactly one of them is wrong:

only_a = (wrong_a & ~wrong_b).sum().item()
only_b = (wrong_b & ~wrong_a).sum().item()
lead = only_a - only_b
lead_error = (only_a + only_b) ** 0.5
print(f"b is ahead by {lead} ± {lead_error:.1f}")
print("a real difference:", abs(lead) > 2 * lead_error)

# %%
# .. check::

assert lead > 2 * lead_error, "the recipe finds it"

# %%
# What you learned
# ----------------
# - A confusion matrix has a row for each true class and a column for each
#   answer. The mistakes are off the diagonal.
# - The error of a small count is about its square root: 20 ± 4.5. This holds
#   for a cell with a few mistakes, too.
# - Two equal networks with about 20 mistakes often differ by 4 or more. Do not
#   call 16 better than 20.
# - Compare two networks on the same images, and count only those where exactly
#   one of them is wrong.
# - One network of each kind tells little about the kind. Use several seeds,
#   and remember that they share their images.
#
# Exercises
# ---------
# 1. **Predict.** A network is right on 99% of all images. How many test images
#    do you need, so that the standard error of its accuracy is 0.1%?
# 2. **Change.** One network makes 30 mistakes and another one 18, and 15 images
#    are wrong in both. Is the second one better? Compare image by image, and
#    then as if each had its own 2,000 images.
# 3. **Extend.** Does the network know when it is wrong? Sort the 2,000 images
#    by the probability of the answer, and let a person read the 10% of which
#    the larger network is least sure. How many of its mistakes are among them?

# %%
# .. answer:: 1
#
#    The standard error of the accuracy is the error of the count, divided by
#    :math:`n`. That is √(p(1 − p)/n). With p = 0.01 it is 0.001 for
#    n = 0.01 · 0.99 / 0.001² = 9,900. The full MNIST has 10,000 test images, so
#    even there the accuracy is known only to ± 0.1%. If two networks are tested
#    on images of their own, their difference has an error of √2 · 0.1% = 0.14%.

needed = 0.01 * 0.99 / 0.001**2
print(f"{needed:,.0f} images")

# %%
# .. check::

assert round(needed) == 9_900, "9,900"
assert round(2**0.5 * 0.1, 2) == 0.14, "the error of a difference"

# %%
# .. answer:: 2
#
#    Only 15 images are wrong in the first alone, and 3 in the second alone. The
#    difference of 12 has the error √18 = 4.2 and is almost three times as
#    large, so the second network is better. On images of their own, the error
#    would be √48 = 6.9. Then 12 would be less than two errors, and not enough.

first_only = 30 - 15
second_only = 18 - 15
on_same = (first_only - second_only) / (first_only + second_only) ** 0.5
on_own = (30 - 18) / (30 + 18) ** 0.5
print(f"same images: {on_same:.1f} errors, images of their own: {on_own:.1f}")

# %%
# .. check::

assert (
    torch.distributions.Binomial(18, torch.tensor(0.5))
    .log_prob(torch.arange(4.0))
    .exp()
    .sum()
    < 0.005
), "better: a fair coin seldom gives 3 or fewer of 18"
assert 2.7 < on_same < 3, "almost three times"
assert on_own < 2, "not enough"

# %%
# .. answer:: 3
#
#    About three quarters of the mistakes are among these 200 images. So a
#    person who reads one image in ten can correct most of the mistakes.

unsure = probability.argsort()[:200]
caught = (~large_right[unsure]).sum().item()
total = (~large_right).sum().item()
print(f"{caught} of {total} mistakes are among the 200")

# %%
# .. check::

assert 0.65 < caught / total < 0.85, "about three quarters"
