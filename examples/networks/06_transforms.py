"""
Transforms and augmentation
===========================

How do I prepare and augment images?

Files hold whole numbers from 0 to 255; a network wants small floats, and more images than you have.
Transforms make the floats, and new images from old ones. Few of the mistakes on this page raise an
error: a mirror teaches nonsense, a whole batch turns by one angle, a mask stays behind its image.
The page before is :doc:`/lessons/networks/05_data`.
"""

# %%
# Setup
# -----

import inspect
import tempfile
import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from handbook import Batches, datasets, plots

torch.manual_seed(0)
device = torch.accelerator.current_accelerator(
    check_available=True
) or torch.device("cpu")
digits, _ = datasets.mnist()

# %%
# The smallest one
# ----------------
# Thirty images of each digit, as PNG files in ten folders, are read by
# :class:`torchvision.datasets.ImageFolder`. A :term:`transform` takes an image and returns another;
# :class:`torchvision.transforms.v2.Compose` runs several, one after the other.

steps = [v2.Grayscale(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
with tempfile.TemporaryDirectory() as root:
    datasets.write_image_folder(root, per_class=30)
    folder = torchvision.datasets.ImageFolder(root)
    image = folder[0][0]
    folder.transform = v2.Compose(steps[:2])
    x = torch.stack([image for image, _ in folder])  # (300, 1, 28, 28), uint8
    y = torch.tensor(folder.targets)  # (300,)
for step in (v2.Identity(), *steps):
    image = step(image)
    kind = getattr(image, "dtype", None) or image.mode
    print(f"{type(step).__name__:9} -> {type(image).__module__} {kind}")
assert image.shape == (1, 28, 28) and image.min() == 0 and image.max() == 1

# %%
# Pillow, a library for images, opens the files, and ``ImageFolder`` turns all of them into RGB: a
# grey digit comes back with three equal channels. ``Grayscale`` undoes that. ``ToImage`` makes a
# tensor; ``ToDtype`` makes floats and, with ``scale=True``, divides by 255.
#
# .. _totensor-and-scale:
#
# What older code says
# --------------------
# Older pages import ``transforms``, without ``v2``, and call ``ToTensor``. In ``v2`` that is
# deprecated: the last two steps above replace it. ``Scale`` is gone; ``Resize`` does its work.

with warnings.catch_warnings(record=True, action="always") as caught:
    v2.ToTensor()
print(str(caught[0].message).split(". ")[0])
print(
    "Scale:",
    hasattr(torchvision.transforms, "Scale"),
    " Resize:",
    tuple(v2.Resize(14)(x).shape),
)
assert "deprecated" in str(caught[0].message) and not hasattr(
    torchvision.transforms, "Scale"
)

# %%
# .. _download-imagenet-coco:
# .. _download-is-off:
#
# What download= really does
# --------------------------
# Some notes promise that torchvision hands you ImageNet and COCO; others, that importing
# ``datasets`` loads data. Read the signatures, then try.

found = {
    name: a
    for name, a in vars(torchvision.datasets).items()
    if inspect.isclass(a)
}
options = {name: inspect.signature(a).parameters for name, a in found.items()}
default = {
    name: each["download"].default
    for name, each in options.items()
    if "download" in each
}
print(
    len(default),
    "of",
    len(found),
    "have download=; on in",
    *filter(default.get, default),
)
coco = {"annFile": "", "download": True}
for name, given in {
    "MNIST": {},
    "CocoDetection": coco,
    "ImageNet": {"download": True},
}.items():
    try:
        raise AssertionError(found[name]("nowhere", **given))
    except (RuntimeError, TypeError, ImportError) as error:
        print(
            f"{name} is refused" + ("" if name == "ImageNet" else f": {error}")
        )
assert (
    not default["MNIST"] and not {"ImageNet", "CocoDetection"} & default.keys()
)

# %%
# An import loads nothing. ``MNIST`` fetches nothing unless told to; two sets do: read signatures.
# As a rule, ``download=True`` means: fetch what is missing. COCO and ImageNet you fetch yourself:
# ``CocoDetection`` has no such argument; ``ImageNet`` wants archives in the folder, and SciPy.
#
# .. _todtype-without-scale:
#
# From 0 to 255
# -------------
# ``Normalize`` subtracts a mean and divides by a standard deviation. Both come from the training
# images alone: the :term:`validation set` stands for images that nobody has seen. Train on the 300:

val_x, val_y = (
    (digits.x[8000:] * 255).round().byte(),
    digits.y[8000:],
)  # as files hold them
unscaled, scaled = (
    v2.ToDtype(torch.float32),
    v2.ToDtype(torch.float32, scale=True),
)
mean, std = scaled(x).mean().item(), scaled(x).std().item()
normalize, as_it_is = v2.Normalize([mean], [std]), v2.Identity()


def learn(
    first,
    last,
    augment=None,
    seed=0,
    optimizer_class=torch.optim.AdamW,
    lr=0.003,
):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)
    ).to(device)
    optimizer = optimizer_class(model.parameters(), lr=lr)
    batches = Batches(first(x), y, batch_size=50, shuffle=True, seed=seed)
    for _ in range(30):
        for images, labels in batches:
            if augment is not None:  # again in each epoch, image by image
                images = torch.stack([augment(image) for image in images])
            loss = F.cross_entropy(
                model(last(images).to(device)), labels.to(device)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def right(model, first, last):
    with torch.no_grad():
        return (
            model(last(first(val_x)).to(device)).argmax(1).cpu() == val_y
        ).float()  # (2000,)


# %%
# Three ways to prepare the images, two optimizers, two seeds:

ways = {"0 to 255": (unscaled, as_it_is), "0 to 1": (scaled, as_it_is)}
ways["normalized"], reached = (scaled, normalize), {}
for name, way in ways.items():
    for optimizer_class, lr in (
        (torch.optim.AdamW, 0.003),
        (torch.optim.SGD, 0.1),
    ):
        models = [
            learn(*way, None, seed, optimizer_class, lr) for seed in range(2)
        ]
        reached[name, lr] = (
            sum(right(model, *way).mean().item() for model in models) / 2
        )
    print(
        f"{name:10}  AdamW {reached[name, 0.003]:.1%}  SGD {reached[name, 0.1]:.1%}"
    )
forgot = (
    sum(right(model, *ways["0 to 255"]).mean().item() for model in models) / 2
)
print(f"SGD, trained normalized, asked from 0 to 255: {forgot:.1%}")
assert (
    reached["0 to 255", 0.1] < 0.2
    and forgot < reached["normalized", 0.1] - 0.02
)
assert 0.6 < reached["0 to 255", 0.003] < min(list(reached.values())[2:]) - 0.03

# %%
# No error, no warning. From 0 to 255, SGD learns nothing, and AdamW, which adapts to the size of
# the gradients, loses several points. Here 0 to 1 and normalized come out alike. And it costs
# points to ask with another preparation than was trained with.
#
# Augmentation
# ------------
# A five that is moved or turned a little is still a five: one more image whose answer is known.
# That is :term:`data augmentation`. Ask for six at once, then one by one, then for mirror images.
#
# .. alt:: Three rows of six fives. Top: all six are turned and moved in the same way. Middle: each
#    in its own way. Bottom: some are mirrored and look like a two.

smooth = (
    v2.InterpolationMode.BILINEAR
)  # NEAREST, the default, leaves jagged edges
affine = v2.RandomAffine(degrees=10, translate=(0.1, 0.1), interpolation=smooth)
flip = v2.RandomHorizontalFlip(p=0.5)
six = scaled(x[y == 5][:1]).expand(6, 1, 28, 28)
rows = {
    "at once": affine(six),
    "one by one": torch.stack([affine(image) for image in six]),
}
rows["flip"] = torch.stack([flip(image) for image in six])
figure = plots.image_grid(
    torch.cat(list(rows.values())), [name for name in rows for _ in six], 6
)
different = {name: len(images.unique(dim=0)) for name, images in rows.items()}
print("different images:", different)
assert (
    different == {"at once": 1, "one by one": 6, "flip": 2}
    and normalize(six).min() < -0.4
)

# %%
# The top row is a trap: to a transform, a batch is *one* sample, and one angle is drawn for it. So
# ``learn`` goes image by image; its seed repeats the draws, too. And it augments before
# ``Normalize``: what comes in from outside is 0, the paper; after ``Normalize``, 0 would be grey.
#
# Which of the two helps? Validation images are left as they are.
#
# .. alt:: Validation accuracy with three seeds each: with affine transforms, about 86 %, above the
#    dotted line, which is the mean without augmentation, 82 %; with flips, about 78 %.

answers, shares = {}, {}
for name, augment in {"none": None, "affine": affine, "flip": flip}.items():
    models = [learn(scaled, normalize, augment, seed) for seed in range(3)]
    answers[name] = 100 * torch.stack(
        [right(model, scaled, normalize) for model in models]
    )
    shares[name] = answers[name].mean(1)  # (3,)
    fives = answers[name][:, val_y == 5].mean()
    print(
        f"{name:6}",
        *(f"{share:.1f} %" for share in shares[name]),
        f"  fives {fives:.1f} %",
    )
figure, axis = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
axis.plot(
    list(shares),
    torch.stack(list(shares.values())).numpy(),
    "o",
    color="C0",
    alpha=0.7,
)
axis.axhline(shares["none"].mean().item(), color="gray", linestyle=":")
axis.set(
    xlabel="dotted: mean of none",
    ylabel="validation accuracy (%)",
    xlim=(-0.5, 2.5),
)
assert shares["affine"].min() > shares["none"].max()
assert shares["flip"].max() < shares["none"].min() - 1
assert fives < answers["none"][:, val_y == 5].mean() - 10

# %%
# Turning and moving win about four points. Flipping loses as many: nobody writes mirrored fives,
# and they look like twos. An augmentation must leave the answer true *and* make images that will
# be met. With photos of cats, a flip may well help: ask the validation set.
#
# Boxes and masks
# ---------------
# What if the answer lies *in* the image? Two digits on a page: a mask holds a class for each pixel,
# and each digit has a :term:`bounding box`, left, top, right and bottom. It runs along the outer
# edges of the pixels, hence the ``+ 1``.


def box_of(ink):  # (H, W), True where there is ink
    rows, columns = ink.any(1).nonzero(), ink.any(0).nonzero()
    return [
        int(columns[0]),
        int(rows[0]),
        int(columns[-1]) + 1,
        int(rows[-1]) + 1,
    ]


page, marks = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
for k, place in ((5, slice(2, 30)), (2, slice(34, 62))):
    page[0, place, place] = x[y == k][0, 0]
    marks[0, place, place] = k * (page[0, place, place] > 127)
boxes = [box_of(marks[0] == k) for k in (5, 2)]
sample = {"image": tv_tensors.Image(page), "mask": tv_tensors.Mask(marks)}
sample["boxes"] = tv_tensors.BoundingBoxes(
    boxes, format="XYXY", canvas_size=(64, 64)
)
sample["labels"] = torch.tensor([5, 2])

# %%
# Turn image and mask, in three ways. How much of the ink do they agree on afterwards?

torch.manual_seed(0)
turn = v2.RandomRotation((20, 40), interpolation=smooth)
pairs = {"one, then the other": (turn(sample["image"]), turn(sample["mask"]))}
pairs["together, as tensors"] = turn(page, marks)
pairs["together, with types"] = turn(sample["image"], sample["mask"])
agreed = {}
for name, (image, mask) in pairs.items():
    ink, marked = image[0] > 127, mask > 0
    agreed[name] = ((ink & marked).sum() / (ink | marked).sum()).item()
    print(f"{name}: {agreed[name]:.0%}, classes {mask.unique().tolist()}")
print(
    "a mask that passes as an image:",
    turn(tv_tensors.Image(marks)).unique().tolist(),
)
assert agreed.pop("together, with types") > 0.75 and max(agreed.values()) < 0.65
assert pairs["together, as tensors"][1] is marks and mask.unique().tolist() == [
    0,
    2,
    5,
]

# %%
# One after the other, each draws an angle of its own. Of two plain tensors, only the first is taken
# for the image; the second comes back untouched. The types of ``tv_tensors`` say what is what: one
# angle for all, and no blending in a mask, for between classes 2 and 5 there is no class 3.
#
# .. alt:: A page with a five and a two, four times, each digit tinted and in a box: as it is,
#    mirrored, turned, cropped. Turned, the boxes are larger than the digits; cropped, one is left.

views = {"as it is": sample, "mirrored": v2.RandomHorizontalFlip(p=1)(sample)}
views["turned"] = v2.RandomRotation((30, 30), interpolation=smooth)(sample)
views["cropped"] = v2.Compose([v2.RandomCrop(34), v2.SanitizeBoundingBoxes()])(
    sample
)
figure, axes = plt.subplots(2, 2, figsize=(5.6, 5.6), layout="constrained")
for axis, (name, view) in zip(axes.flat, views.items(), strict=True):
    axis.imshow(view["image"][0].numpy(), cmap="gray_r", vmin=0, vmax=255)
    mask = view["mask"][0].numpy()
    axis.imshow(mask, cmap="cividis", vmin=0, vmax=6, alpha=0.7 * (mask > 0))
    for a, b, c, d in view["boxes"].tolist():
        axis.add_patch(
            plt.Rectangle(
                (a - 0.5, b - 0.5), c - a, d - b, fill=False, color="C1"
            )
        )
    axis.set(title=f"{name}: {view['labels'].tolist()}", xticks=[], yticks=[])
for name in ("mirrored", "turned"):
    tight = torch.tensor([box_of(views[name]["mask"][0] == k) for k in (5, 2)])
    areas = [
        (b[:, 2:] - b[:, :2]).prod(1).sum().item()
        for b in (views[name]["boxes"], tight)
    ]
    print(f"{name}: area of the boxes {areas[0]}, of tight ones {areas[1]}")
    assert (name == "mirrored") == torch.equal(views[name]["boxes"], tight)
assert areas[0] > 1.3 * areas[1] and len(views["cropped"]["boxes"]) == 1
assert type(sample["image"] / 255) is torch.Tensor

# %%
# Mirrored, the boxes are exact. Turned, each is the box around the turned *box*, larger than the
# digit needs: where you have the mask, compute it again. ``SanitizeBoundingBoxes`` removed the box
# that was cut away, and its label. Mind arithmetic: ``sample["image"] / 255`` is a plain tensor.
#
# What you learned
# ----------------
# - Prepare with ``v2``: ``ToImage``, ``ToDtype`` with ``scale=True``, ``Normalize`` last.
# - Use the statistics of the training set, and the same preparation wherever you ask.
# - Augment training images, one by one, and only in ways that leave the answer true.
# - Give images, masks and boxes their types, and pass them through a transform together.
# - Read the signature before you count on ``download=``.
#
# Exercises
# ---------
# 1. **Predict.** Four files with the names of MNIST's, but with only 300 digits, lie in the folder
#    ``MNIST/raw`` below ``root``. What does ``torchvision.datasets.MNIST(root, download=True)`` do?
# 2. **Change.** Let digits turn by up to 180 degrees instead of 10. Which ones suffer, and why?
# 3. **Extend.** Write a transform of your own that turns and moves each image of a batch
#    differently, all at once: a subclass of ``v2.Transform``, with the methods ``make_params`` and
#    ``transform``. How much time does it save?
#
# Images are ready: what happens to them in each step of training is
# :doc:`/lessons/networks/07_training_loop`.

# %%
# .. answer:: 1
#
#    It reads them, and needs no network: ``download=True`` fetches what is missing. ``MNIST`` looks
#    at the names only, and does not notice that 59,700 images are not there.

import struct
import time
from pathlib import Path

with tempfile.TemporaryDirectory() as root:
    folder = Path(root) / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind, values in (
            ("images-idx3", x[:, 0]),
            ("labels-idx1", y.byte()),
        ):
            head = struct.pack(
                f">{values.ndim + 1}i", 0x800 + values.ndim, *values.shape
            )
            (folder / f"{part}-{kind}-ubyte").write_bytes(
                head + values.numpy().tobytes()
            )
    small = torchvision.datasets.MNIST(root, download=True)
print(len(small), "images")
assert len(small) == 300 and torch.equal(small.data, x[:, 0])

# %%
# .. answer:: 2
#
#    All but the 1, a straight line from wherever you look. A 6 on its head is a 9.

upside_down = v2.RandomRotation(180, interpolation=smooth)
answer = right(learn(scaled, normalize, upside_down), scaled, normalize)
lost = answers["none"].mean(0) - 100 * answer  # (2000,)
by_digit = torch.stack([lost[val_y == k].mean() for k in range(10)])
print(
    f"accuracy {answer.mean():.1%}; points lost:",
    [round(each) for each in by_digit.tolist()],
)
assert answer.mean() < 0.7 and by_digit[[6, 9]].min() > 10 > by_digit[1]

# %%
# .. answer:: 3
#
#    ``make_params`` draws for all images at once, ``transform`` applies it. One grid for the whole
#    batch takes a fraction of the time, and the model gains from it, too.


class EachAffine(v2.Transform):
    def make_params(self, flat_inputs):
        angle = torch.deg2rad(
            torch.empty(len(flat_inputs[0])).uniform_(-10, 10)
        )
        shift = torch.empty(len(angle), 2, 1).uniform_(
            -0.2, 0.2
        )  # an image is 2 wide
        cos, sin = angle.cos(), angle.sin()
        turned = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
        return {"theta": torch.cat([turned, shift], 2)}

    def transform(self, inpt, params):
        grid = F.affine_grid(params["theta"], inpt.shape, align_corners=False)
        return F.grid_sample(inpt, grid, align_corners=False)


each, images, seconds = EachAffine(), scaled(x), {}
one_by_one = v2.Lambda(
    lambda images: torch.stack([affine(image) for image in images])
)
for way in (one_by_one, each):
    start = time.perf_counter()
    way(images)
    seconds[way] = time.perf_counter() - start
accuracy = right(
    learn(scaled, v2.Compose([each, normalize])), scaled, normalize
).mean()
print(
    f"{len(each(six).unique(dim=0))} different images, validation accuracy {accuracy:.1%}"
)
assert (
    seconds[one_by_one] > 5 * seconds[each]
    and len(each(six).unique(dim=0)) == 6
)
assert accuracy > shares["none"].max() / 100
