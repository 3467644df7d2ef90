"""
Digits with a CNN
=================

Which network reads handwritten digits best, and how do you choose it honestly?

We train three networks with the same function, from the simplest to a small
convolutional network (CNN), and compare how large they are, how long they take
and how often they are right. The test set stays closed until everything is
chosen.

After this lesson you can

- train a linear model, a multilayer perceptron and a CNN with one function, and
  compare them in a table
- move the training images by a pixel, and measure whether that alone helps
- choose with a validation set, and open the test set once
"""

# %%
# Setup
# -----

import time

import torch
from torch import nn
from torch.nn.functional import pad

from handbook import (
    Batches,
    classification_step,
    datasets,
    evaluate,
    fit,
    plots,
)

torch.manual_seed(0)

# %%
# A pattern that moves
# --------------------
# A row of seven pixels holds a pattern, two dark pixels side by side. Two
# detectors look for it. The first one has a weight for each of the seven
# pixels, like a fully connected layer. Its weights fit the pattern where it is
# now. The second one has only two weights and looks at each pair of
# neighbours in turn, as a :term:`convolution` does. (``unfold`` lists the six
# pairs.) Now the pattern moves by two pixels. What do the detectors say?

row = torch.tensor([0.0, 1, 1, 0, 0, 0, 0])
moved_row = torch.tensor([0.0, 0, 0, 1, 1, 0, 0])
seven_weights = row.clone()
two_weights = torch.tensor([1.0, 1])

for pixels in [row, moved_row]:
    print("seven weights:", seven_weights @ pixels)
    print("two weights:  ", pixels.unfold(0, 2, 1) @ two_weights)

# %%
# At first both find the pattern with a score of 2. After the move, the seven
# weights give 0, because they know the pattern at one place only. The two
# weights still give a 2, and it has moved with the pattern. So a convolution
# needs fewer weights, and what it has learned at one place it knows at all
# places.

# %%
# .. check::

assert seven_weights @ row == 2, "the seven weights find the pattern"
assert seven_weights @ moved_row == 0, "and lose it when it moves"
assert (row.unfold(0, 2, 1) @ two_weights).argmax() == 1, "the 2 is here"
assert (moved_row.unfold(0, 2, 1) @ two_weights).argmax() == 3, "it moves along"
assert (moved_row.unfold(0, 2, 1) @ two_weights).max() == 2, "and stays a 2"

# %%
# Data
# ----
# :func:`handbook.datasets.mnist` gives 10,000 training images and 2,000 test
# images. From the training images we keep 1,000 back as the :term:`validation
# set`. It tells us which network to choose. The :term:`test set` will tell how
# good the chosen one is.

digits, test = datasets.mnist()
order = torch.randperm(len(digits.x))
val_x = digits.x[order[:1000]]  # (1000, 1, 28, 28)
val_y = digits.y[order[:1000]]
train_x = digits.x[order[1000:]]
train_y = digits.y[order[1000:]]
print(f"training {len(train_x)}, validation {len(val_x)}, test {len(test.x)}")

# %%
# These images are part of the full MNIST, which has 60,000 training images and
# 10,000 test images. With ``datasets.mnist(full=True)`` the same lesson uses
# all of them. This needs torchvision, downloads the images once, and trains on
# more than six times as many. The numbers below are for the small set.
#
# Three models
# ------------
# The linear model is that of :doc:`/lessons/learning/06_softmax_regression`.
# The :term:`multilayer perceptron` (MLP) has a hidden layer of 128 units.

linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
mlp = nn.Sequential(
    nn.Flatten(),
    nn.Linear(784, 128),
    nn.ReLU(),
    nn.Linear(128, 10),
)

# %%
# The CNN has three blocks. The first gives ``width`` channels, and each of the
# others twice as many as the one before. The first convolution looks at 5 × 5
# pixels, the others at 3 × 3. In a block, the convolution looks for patterns
# and :term:`pooling` halves height and width. :term:`Batch normalization
# <batch normalization>` keeps the numbers in a good range, and ReLU makes the
# block nonlinear. The convolution has no bias, because batch normalization adds
# one. ``torch.channels_last`` is an order in memory that is faster on a CPU. It
# rounds differently, so without it your counts differ by a few.


def new_cnn(width):
    layers = []
    inputs = 1
    for outputs, size in [(width, 5), (2 * width, 3), (4 * width, 3)]:
        layers.append(  # the padding keeps height and width
            nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
        )
        layers.append(nn.MaxPool2d(2))  # 28, 14, 7, 3
        layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.ReLU())
        inputs = outputs
    layers.append(nn.Flatten())  # (B, 4 * width * 3 * 3)
    layers.append(nn.Linear(36 * width, 10))  # (B, 10)
    model = nn.Sequential(*layers)
    return model.to(memory_format=torch.channels_last)


# %%
# Training
# --------
# One function trains every model. It uses the optimizer AdamW with a learning
# rate that first rises and then falls to almost 0, as in
# :doc:`/lessons/networks/04_optimizers`. :func:`handbook.fit` is the loop of
# :doc:`/lessons/networks/07_training_loop`, and ``step`` is the function that
# computes the loss of a batch.


def learn(
    model, x, y, step=classification_step, epochs=4, batch_size=128, seed=0
):
    batches = Batches(x, y, batch_size=batch_size, shuffle=True, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.01, total_steps=epochs * len(batches)
    )
    fit(
        model, batches, step,
        optimizer=optimizer, scheduler=scheduler, scheduler_interval="batch",
        epochs=epochs,
    )  # fmt: skip


# %%
# And one function counts the mistakes of a model.


def count_wrong(model, x, y):
    batches = Batches(x, y, batch_size=500)
    accuracy = evaluate(model, batches, classification_step)["accuracy"]
    return round(len(x) * (1 - accuracy))


# %%
# Now we train the three, and count the mistakes among the 1,000 validation
# images. We time the training as well. (``process_time`` counts the seconds
# that the processor works for us.) The seconds depend on your machine, so we
# print only which model takes longest, and whether the CNN takes at least three
# times as long as the MLP.

cnn = new_cnn(width=8)
models = {"linear": linear, "MLP": mlp, "CNN": cnn}
sizes = {}
val_wrong = {}
seconds = {}
for name, model in models.items():
    start = time.process_time()
    learn(model, train_x, train_y)
    seconds[name] = time.process_time() - start
    val_wrong[name] = count_wrong(model, val_x, val_y)
    sizes[name] = sum([weight.numel() for weight in model.parameters()])
    print(f"{name:6} {sizes[name]:7,} parameters, {val_wrong[name]} wrong")
print("slowest:", max(seconds, key=seconds.get))
print("at least 3 times the MLP:", seconds["CNN"] > 3 * seconds["MLP"])

# %%
# The MLP makes fewer mistakes than the linear model, but it has thirteen times
# as many parameters. The CNN has hardly more parameters than the linear model,
# and it makes by far the fewest mistakes. It has a price, too. Each of its
# weights is used at many places, so it takes several times as long as the MLP.
# The number of parameters tells you
# neither how good a network is nor how long it takes.

# %%
# .. check::

assert sizes["linear"] == 784 * 10 + 10, "7,850"
assert 12.5 < sizes["MLP"] / sizes["linear"] < 13.5, "thirteen times"
assert sizes["CNN"] < 1.2 * sizes["linear"], "hardly more"
assert val_wrong["MLP"] < 0.8 * val_wrong["linear"], "the MLP is better"
assert val_wrong["CNN"] < 0.6 * val_wrong["MLP"], "the CNN by far"
assert (
    torch.accelerator.is_available() or seconds["CNN"] > 3 * seconds["MLP"]
), "several times as long, on a CPU"

# %%
# What goes wrong
# ---------------
# **New images are not centred.** In MNIST every digit was moved to the middle
# of its image. Your own scans may not be. So move the validation images to the
# right, and ask the three models again. :func:`torch.nn.functional.pad` adds
# pixels of value 0 around an image. Its four numbers say how many are added on
# the left, on the right, above and below. We add pixels on the left only and
# cut off as many columns on the right, so the image moves and keeps its size.
# (At 4 pixels about one digit in eight loses a little of its edge.)


def move_right(x, pixels):
    return pad(x, (pixels, 0, 0, 0))[..., :28]  # (B, 1, 28, 28)


off_centre = {}
for name, model in models.items():
    off_centre[name] = []
    for pixels in range(5):
        wrong = count_wrong(model, move_right(val_x, pixels), val_y)
        off_centre[name].append(wrong)
    print(f"{name:6} {off_centre[name]} wrong when moved by 0 to 4")

# %%
# There is no error and no warning, but the results get much worse. The CNN
# suffers least: it makes a little over 100 more mistakes when the images move
# by 4, and the others about 700 more. Its convolutions find a pattern wherever
# it is, and pooling hides small moves, though not exactly. But its last layer
# is fully connected, and that knows places. So a validation result holds only
# for images that were prepared in the same way.

# %%
# .. check::

assert all(counts[4] > 3 * counts[0] for counts in off_centre.values()), (
    "much worse"
)
assert 75 < off_centre["CNN"][4] - off_centre["CNN"][0] < 150, "over 100 more"
assert 650 < off_centre["MLP"][4] - off_centre["MLP"][0] < 750, "about 700"
assert 650 < off_centre["linear"][4] - off_centre["linear"][0] < 750, "as well"
assert 0.10 < (val_x[..., 24:] > 0.3).flatten(1).any(1).float().mean() < 0.15, (
    "one digit in eight loses some of its edge"
)

# %%
# Moving the training images
# --------------------------
# The remedy is to show moved digits during training. A 7 that moves by one
# pixel is still a 7, so one image gives nine. This is called :term:`data
# augmentation`. ``shift`` pads each image by one pixel on all sides, draws one
# of the nine windows of 28 × 28 pixels at random, and cuts it out.


def shift(x):  # (B, 1, 28, 28)
    padded = pad(x, (1, 1, 1, 1))  # (B, 1, 30, 30)
    moved = torch.empty_like(x)
    drawn = torch.randint(9, (len(x),), device=x.device)
    for window in range(9):
        top = window // 3
        left = window % 3
        here = drawn == window  # the images that get this window
        moved[here] = padded[here, :, top : top + 28, left : left + 28]
    return moved


def shifted_step(model, x, y):
    if model.training:
        x = shift(x)
    return classification_step(model, x, y)


# %%
# ``shifted_step`` moves images only while the model is training, because
# validation and test images must stay as they are. This is how ``shift`` moves
# one image. The first one is the original.
#
# .. alt:: The same handwritten digit eight times, moved by at most one pixel.

original = train_x[:1]
copies = original.expand(7, 1, 28, 28)
figure = plots.image_grid(torch.cat([original, shift(copies)]))

# %%
# Does it help with centred images, too, and with images that move farther? We
# train pairs of CNNs that differ in nothing but the moved images. The effect
# should be easiest to see where examples are few, so each pair learns from 128
# images, for 12 epochs. We count the mistakes on another 1,000 images, which
# neither of the two has seen, as they are and moved by 4 pixels. Five pairs,
# each with a seed of its own, show how much may be luck.

wrong = torch.zeros(2, 2, 5)  # plain or shifted, centred or moved by 4, seed
for seed in range(5):
    torch.manual_seed(seed)
    mixed = torch.randperm(len(train_x))
    few = mixed[:128]
    others = mixed[128:1128]
    for i, step in enumerate([classification_step, shifted_step]):
        torch.manual_seed(seed)
        model = new_cnn(width=8)
        x = train_x[few]
        y = train_y[few]
        learn(model, x, y, step, epochs=12, batch_size=32, seed=seed)
        for place, pixels in enumerate([0, 4]):
            x = move_right(train_x[others], pixels)
            wrong[i, place, seed] = count_wrong(model, x, train_y[others])

# %%
# We print the counts, and the mean of the five differences.

fewer = wrong[0] - wrong[1]  # (2, 5)
errors = fewer.std(dim=1) / 5**0.5
for place, name in enumerate(["centred", "moved by 4"]):
    print(f"{name}, plain:  ", wrong[0, place])
    print(f"{name}, shifted:", wrong[1, place])
    mean = fewer[place].mean()
    print(f"fewer: {mean:.0f}, standard error {errors[place]:.0f}")

# %%
# In each of the five pairs the network that saw moved images makes fewer
# mistakes. On centred images it makes on average 39 fewer, where the plain one
# makes 147. This mean is more than six times its *standard error* (explained in
# :doc:`/lessons/autograd/08_straight_through`), so it is hardly luck. On images
# moved by 4 pixels it makes about 120 fewer, although in training no digit
# moved by more than one. The result holds for this network and 128 images. With
# more images the effect may be smaller, because fewer mistakes are left.

# %%
# .. check::

assert fewer.min() > 0, "fewer mistakes in each pair, centred and moved"
assert fewer[0].mean() > 4 * errors[0], "hardly luck"
assert 30 < fewer[0].mean() < 50, "39 fewer"
assert 136 < wrong[0, 0].mean() < 158, "the plain one makes 147"
assert 100 < fewer[1].mean() < 140, "about 120 fewer when moved by 4"

# %%
# The choice, and the test
# ------------------------
# The last candidate puts together what we have found. The same CNN learns from
# all 9,000 images and sees them moved.

moved_cnn = new_cnn(width=8)
learn(moved_cnn, train_x, train_y, shifted_step)
val_wrong["CNN, moved"] = count_wrong(moved_cnn, val_x, val_y)
by_four = count_wrong(moved_cnn, move_right(val_x, 4), val_y)
print("validation:", val_wrong)
print(f"moved by 4: CNN {off_centre['CNN'][4]}, CNN, moved {by_four}")

# %%
# On the centred images the new CNN makes about as many mistakes as the old one,
# between 10 and 20. But when the images are moved by 4 pixels, it makes clearly
# fewer, as the five pairs let us expect. So we choose it. Now all choices are
# made. We open the test set, once, and for this one network.

test_wrong = count_wrong(moved_cnn, test.x, test.y)
accuracy = 1 - test_wrong / len(test.x)
print(f"test: {test_wrong} of {len(test.x)} wrong, {accuracy:.1%} right")

# %%
# About one image in a hundred is read wrongly. This is the number to report,
# because nothing was chosen with it.

# %%
# .. check::

assert 8 < val_wrong["CNN, moved"] < 22, "between 10 and 20"
assert 8 < val_wrong["CNN"] < 22, "between 10 and 20"
assert by_four < 0.85 * off_centre["CNN"][4], "clearly fewer"
assert 0.985 <= accuracy < 0.995, "about one wrong in a hundred"

# %%
# Recipe
# ------
# Split, train, look at the validation set, and test at the end. To be quick,
# the recipe takes 2,000 images, a constant learning rate and no moved images.
# (For those, pass ``shifted_step`` from above instead of
# ``classification_step``.) For your own images, change the lines with the data
# and the sizes in the model.

import torch
from torch import nn

import handbook
from handbook import classification_step, datasets

torch.manual_seed(0)
digits, test = datasets.mnist()
order = torch.randperm(len(digits.x))[:2000]
x = digits.x[order]
y = digits.y[order]
train = handbook.Batches(x[500:], y[500:], batch_size=64, shuffle=True)
val = handbook.Batches(x[:500], y[:500], batch_size=500)

# %%
# The model and its training:

layers = []
for inputs, outputs in [(1, 8), (8, 16), (16, 32)]:
    layers.append(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
    layers.append(nn.MaxPool2d(2))
    layers.append(nn.BatchNorm2d(outputs))
    layers.append(nn.ReLU())
# 288: 32 channels of 3 × 3 pixels (28 is halved to 14, 7 and 3)
model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(288, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
history = handbook.fit(
    model, train, classification_step, optimizer=optimizer, val=val, epochs=4
)
print(f"validation: {history[-1]['val_accuracy']:.1%}")

# %%
# Choose with the validation set until you are satisfied. Then test once, and
# let the model read one new image:

tests = handbook.Batches(test.x, test.y, batch_size=500)
on_test = handbook.evaluate(model, tests, classification_step)
print(f"test: {on_test['accuracy']:.1%}")

model.eval()
device = next(model.parameters()).device
with torch.no_grad():
    logits = model(test.x[:1].to(device))  # (1, 10)
print("read:", logits.argmax(dim=1).item(), "truth:", test.y[0].item())

# %%
# .. check::

assert on_test["accuracy"] > 0.93, "from 1,500 images"

# %%
# What you learned
# ----------------
# - Train all candidates with the same function, and put parameters, time and
#   mistakes side by side.
# - A CNN learns a pattern once for all places. So it needs few weights, but it
#   computes a lot with each.
# - A validation result holds only for images prepared in the same way.
# - Measure a change alone, in pairs and with several seeds.
# - Choose with the validation set, and open the test set once.
#
# Exercises
# ---------
# 1. **Predict.** How many parameters does ``new_cnn(width=16)`` have?
#    (Batch normalization has two for each channel.) Which layer has the most?
# 2. **Change.** Put the 784 pixels of all images into one random order, the
#    same for all images. Train an MLP and a CNN on 1,000 images, with and
#    without this. Which of the two does not mind?
# 3. **Extend.** Turn the validation images by 180° (``x.flip(2, 3)`` reverses
#    both axes of the pixels). Which digits does the chosen network still read?
#    What does it read in most images of a 6? Would this be a good way to get
#    more training images?

# %%
# .. answer:: 1
#
#    The convolutions have 16 · 25 = 400, 16 · 32 · 9 = 4,608 and 32 · 64 · 9 =
#    18,432 weights. Batch normalization has 2 · (16 + 32 + 64) = 224
#    parameters, and the last layer 576 · 10 + 10 = 5,770. The sum is 29,434.
#    The last convolution has the most.

wide_cnn = new_cnn(width=16)
shapes = []
for parameter in wide_cnn.parameters():
    shapes.append(tuple(parameter.shape))
wide_size = sum([parameter.numel() for parameter in wide_cnn.parameters()])
print(f"{wide_size:,} in {shapes}")

# %%
# .. check::

assert wide_size == 29_434, "by hand"

# %%
# .. answer:: 2
#
#    The MLP does not mind, because it does not know which pixels are
#    neighbours. The CNN makes 215 mistakes instead of 39, because patterns of
#    neighbouring pixels are what it looks for.

pixel_order = torch.randperm(784)


def mix(x):
    return x.flatten(1)[:, pixel_order].reshape(-1, 1, 28, 28)


few = torch.randperm(len(train_x))[:1000]
x = train_x[few]
y = train_y[few]
mixed_wrong = {}
for name in ["MLP", "MLP, mixed", "CNN", "CNN, mixed"]:
    if name.startswith("MLP"):
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)
        )
    else:
        model = new_cnn(width=8)
    if name.endswith("mixed"):
        learn(model, mix(x), y, epochs=3, batch_size=32)
        mixed_wrong[name] = count_wrong(model, mix(val_x), val_y)
    else:
        learn(model, x, y, epochs=3, batch_size=32)
        mixed_wrong[name] = count_wrong(model, val_x, val_y)
print(mixed_wrong)

# %%
# .. check::

assert abs(mixed_wrong["MLP, mixed"] - mixed_wrong["MLP"]) < 40, "does not mind"
assert mixed_wrong["CNN, mixed"] > 3 * mixed_wrong["CNN"], "minds"

# %%
# .. answer:: 3
#
#    The digits 0, 1, 5 and 8 look much the same upside down, and most of them
#    are still read. Most images of a 6 are read as 9, and that is what they are
#    now. So this would be a bad way. A training image that is changed must
#    still be what its label says, and a 6 upside down is a 9.

moved_cnn.cpu().eval()
with torch.no_grad():
    answers = moved_cnn(val_x.flip(2, 3)).argmax(dim=1)
shares = []
for digit in range(10):
    given = answers[val_y == digit]
    shares.append((given == digit).float().mean())
    print(f"{digit}: {shares[digit]:.0%} read,", given.bincount(minlength=10))
nines = (answers[val_y == 6] == 9).float().mean()
print(f"sixes read as 9: {nines:.0%}")

# %%
# .. check::

assert nines > 0.6, "most sixes are read as 9"
assert min([shares[0], shares[1], shares[5], shares[8]]) > 0.75, (
    "most are still read"
)
