"""
ONNX and AOTInductor
====================

When an exported network runs without Python, who still checks its inputs?

A phone, a web browser or a server written in C++ may have no Python. ONNX
stores an exported network in a file for other programs, and AOTInductor
compiles it into a library. Both keep the arithmetic. But :mod:`torch.export`
also adds guards, which check the sizes of the input at each call. We will see
which of these checks get lost, and what happens then.

After this lesson you can

- write an exported network as an ONNX file, and run it without PyTorch
- compile it ahead of time with AOTInductor
- find out what each of them checks, and check the rest yourself
"""

# %%
# Setup
# -----

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import onnxruntime
import torch
from torch import nn
from torch._inductor import aoti_compile_and_package, aoti_load_package
from torch.export import Dim, export

from handbook import Batches, classification_step, datasets, fit

torch.manual_seed(0)

# %%
# Our files go into a temporary folder, and so does the compiler's cache, which
# would otherwise stay.

temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
folder = Path(temporary.name)
os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "cache")

# %%
# A limit that is not in the file
# -------------------------------
# This is the module of :doc:`/lessons/advanced/20_export`. It doubles its
# numbers, but if it gets more than four rows, it first subtracts the mean of
# each column. We export it for up to four rows, so the graph only doubles:


class Center(nn.Module):
    def forward(self, x):
        if x.shape[0] > 4:
            x = x - x.mean(dim=0)
        return 2.0 * x


center = Center()
three = torch.arange(6.0).reshape(3, 2)
up_to_four = ({0: Dim("rows", max=4)},)
program = export(center, (three,), dynamic_shapes=up_to_four)

# %%
# ONNX is a file format for networks. A file holds the weights and a graph of
# standard operators. ``torch.onnx.export`` translates ``program``. (It needs
# the packages onnx and onnxscript. Repeating ``dynamic_shapes`` keeps the name
# ``rows``, and ``external_data=False`` keeps the weights in the same file, up
# to 2 GB.)

onnx_options = {"verbose": False, "external_data": False}
path = folder / "center.onnx"
torch.onnx.export(program, f=path, dynamic_shapes=up_to_four, **onnx_options)
print("written:", path.name)

# %%
# Such a file is run by a *runtime*. We take ONNX Runtime, a C++ library, which
# can be called from Python and other languages. A *session* loads one file, and
# lists the inputs that it expects:

session = onnxruntime.InferenceSession(path)
print(session.get_inputs()[0])

# %%
# It lists a name, a dtype (``float`` means float32) and a shape. But ``rows``
# is only a name, and the limit of four is gone. (Nor does ONNX Runtime compare
# two inputs with ``rows`` rows, see exercise 1.) ``run`` takes the names of the
# outputs that we want (``None`` for all) and a dictionary of NumPy arrays, and
# returns a list of outputs. We give six rows to the original, to the exported
# module and to ONNX, and look at the first row:

six = torch.arange(12.0).reshape(6, 2)
print("original:", center(six)[0].tolist())
refused = ""
try:
    program.module()(six)
except AssertionError as error:
    refused = str(error)
print("exported:", refused)
outputs = session.run(None, {"x": six.numpy()})
print("ONNX:    ", outputs[0].tolist()[0])

# %%
# The mean of the first column is 5 and that of the second is 6, so −10 and −10
# are right. The exported module refuses the six rows. ONNX only doubles them,
# without an error.

# %%
# .. check::

assert session.get_inputs()[0].shape == ["rows", 2], "no limit"
assert refused == "Guard failed: x.size()[0] <= 4", "a guard refuses"
assert center(six)[0].tolist() == [-10, -10], "the mean is subtracted"
assert outputs[0].tolist()[0] == [0, 2], "only doubled"

# %%
# On real data
# ------------
# Our next network reads digits. Its input is pixels from 0 to 1, and it
# standardizes them itself, so that no other program has to know how:


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, x):  # (B, 1, 28, 28)
        return self.layers((x - 0.13) / 0.31)


# %%
# We train it for two epochs.

train, test = datasets.mnist()
reader = Reader()
optimizer = torch.optim.AdamW(reader.parameters(), lr=0.003)
batches = Batches(*train, batch_size=100, shuffle=True, seed=0)
fit(
    reader, batches, classification_step, optimizer=optimizer,
    epochs=2, device="cpu", progress=False,
)  # fmt: skip

# %%
# We export it for up to 1,000 images, and write the ONNX file:

reader.eval()
batch = ({0: Dim("batch", max=1000)},)
example = test.x[:2].clone()  # a view would keep all images in memory
program = export(reader, (example,), dynamic_shapes=batch)
path = folder / "reader.onnx"
torch.onnx.export(program, f=path, dynamic_shapes=batch, **onnx_options)
onnx_size = path.stat().st_size

# %%
# Now we start a new process, with neither PyTorch nor the class ``Reader``. It
# reads seven images from a file, and prints whether torch was loaded, and the
# :term:`logits`:

images = test.x[:7]
(folder / "images.json").write_text(str(images.tolist()))
code = (
    "import json, sys, numpy, onnxruntime; "
    "session = onnxruntime.InferenceSession('reader.onnx'); "
    "x = numpy.array(json.load(open('images.json')), 'float32'); "
    "print('torch' in sys.modules); "
    "print(session.run(None, {'x': x})[0].tolist())"
)
command = [sys.executable, "-c", code]
printed = subprocess.check_output(command, cwd=folder, text=True)
torch_loaded, numbers = printed.splitlines()
print("torch loaded:", torch_loaded)

# %%
# Are these the logits of the original? We divide the largest difference by the
# largest logit, because rounding errors grow with the size of the numbers.

logits = torch.tensor(json.loads(numbers))
with torch.no_grad():
    wanted = reader(images)
onnx_gap = (logits - wanted).abs().max() / wanted.abs().max()
print("the same up to 1e-5:", onnx_gap.item() < 1e-5)

count = sum(parameter.numel() for parameter in reader.parameters())
weight_bytes = 4 * count  # float32 has four bytes
print("weights:", weight_bytes, "bytes")
little_larger = onnx_size <= 1.2 * weight_bytes
print("ONNX file at most 1.2 times as large:", little_larger)

# %%
# They are the same up to 1e-5. The file is at most 1.2 times as large as the
# weights.

# %%
# .. check::

assert torch_loaded == "False", "no torch"
assert onnx_gap < 1e-5, "the same logits"
assert weight_bytes == 4 * (784 * 64 + 64 + 64 * 10 + 10), "four bytes each"
assert weight_bytes < onnx_size, "all weights are in the file"
assert little_larger, "little larger than the weights"

# %%
# A compiled library
# ------------------
# ONNX Runtime reads a graph and calls ready-made functions. AOTInductor instead
# writes code for this one network (on a CPU in C++), with ``inductor``, which
# we know from :doc:`/lessons/advanced/11_compile`, and compiles it. This
# happens *ahead of time* (AOT), before the first input.
# ``aoti_compile_and_package`` writes a *package*, one file that a C++ program
# can load with PyTorch's C++ library, libtorch: ``run`` of
# ``torch::inductor::AOTIModelPackageLoader`` calls the network. We load it from
# Python, with ``aoti_load_package``. (AOTInductor is still a prototype, and may
# change.)
#
# An ONNX file runs wherever there is a runtime for it. A package is machine
# code, so compile it for the system, processor and device that will run it, and
# load only packages that you trust.
#
# AOTInductor needs a C++ compiler (see :doc:`/install`). Here we name one that
# does not exist:

package = str(folder / "reader.pt2")
complaint = ""
try:
    aoti_compile_and_package(
        program,
        package_path=package,
        inductor_configs={"cpp.cxx": (None, "no-compiler")},
    )
except RuntimeError as error:
    complaint = str(error)
print(complaint)

# %%
# If you get this message from the next cell, you can only read the cells with
# ``compiled``, but the recipe works. (The first option merely saves time. We
# need the second at the end of the lesson.)

options = {
    "aot_inductor.precompile_headers": False,
    "aot_inductor.check_lowerbound": False,
}
aoti_compile_and_package(
    program, package_path=package, inductor_configs=options
)
print("written:", Path(package).name)

# %%

start = time.perf_counter()
session = onnxruntime.InferenceSession(path)
compiled = aoti_load_package(package)
load_seconds = time.perf_counter() - start
print("both loaded within 5 s:", load_seconds < 5)

aot_gap = (compiled(images) - wanted).abs().max() / wanted.abs().max()
print("the same up to 1e-5:", aot_gap.item() < 1e-5)
package_size = Path(package).stat().st_size
print("larger than the ONNX file:", package_size > onnx_size)

# %%
# The logits agree again. Besides the weights, the package holds a library and
# its source code, so it is larger than the ONNX file. Here, loading both files
# took less than 5 seconds.

# %%
# .. check::

assert "No working C++ compiler found" in complaint, "it needs a compiler"
assert aot_gap < 1e-5, "the same logits"
assert package_size > onnx_size, "larger than the ONNX file"
assert load_seconds < 5, "both are loaded within 5 s"

# %%
# What goes wrong
# ---------------
# Here are inputs that are not like the example. ``x[:200:2]``
# is every second image of the first 200. It is a view, and its images do not
# follow one another in memory (:doc:`/lessons/tensors/06_views`).

x = test.x
cases = {
    "7 images": x[:7],
    "1,500 images": x[:1500],
    "every second": x[:200:2],
    "float64": x[:100].double(),
    "32 × 32": nn.functional.pad(x[:7], (2, 2, 2, 2)),
}

# %%
# ``judge`` calls the network. An answer is right if it is that of ``reader``
# for the same images in float32. For 32 × 32 pixels there is no right answer.

messages = []


def judge(call, x):
    try:
        logits = call(x)
    except NameError:
        raise  # without a compiler, "compiled" is missing
    except Exception as error:
        messages.append(str(error))
        return "refused"
    if x.shape[1:] != (1, 28, 28):
        return "wrong"
    with torch.no_grad():
        wanted = reader(x.float())
    gap = (logits - wanted).abs().max() / wanted.abs().max()
    return "right" if gap < 1e-5 else "wrong"


# %%
# We judge the exported module, ONNX and AOTInductor. Which of them do you
# expect to refuse something?


def run_onnx(x):
    return torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


calls = {"exported": program.module(), "ONNX": run_onnx}
table = {}
for name, call in calls.items():
    table[name] = [judge(call, case) for case in cases.values()]
    print(f"{name:8}", *table[name])
print(messages[1])  # exported, float64

# %%

table["AOT"] = [judge(compiled, case) for case in cases.values()]
print("AOT     ", *table["AOT"])

# %%
# In the exported module, the matrix product refuses float64. No guard looks at
# the dtype. ONNX has lost the limit of 1,000, and AOTInductor does not check it
# by default, but this graph is right for any number of images. ONNX still
# refuses float64 and another image size. AOTInductor refuses nothing, and is
# wrong three times. It reads the memory of the input as float32 numbers, image
# after image, 28 × 28 pixels each. If that is so, it has read the first 100
# images instead of ``x[:200:2]``:

first = torch.equal(compiled(x[:200:2]), compiled(x[:100]))
print("it read the first 100:", first)
answers = compiled(x[:2000:2]).argmax(dim=1)
accuracy = (answers == test.y[:2000:2]).float().mean().item()
print("5 to 15% right:", 0.05 <= accuracy <= 0.15)

# %%
# There is no error, and between 5 and 15% of the 1,000 answers are right, about
# as many as by guessing. With smaller images, or a dtype of fewer bytes, it
# would read beyond the end of the input.
#
# So we check before the call. This function refuses what the exported module
# refused, and copies views with ``contiguous()``:


def gated(x):
    if x.dtype != torch.float32:
        raise TypeError(f"float32 is needed, but this is {x.dtype}")
    if x.shape[1:] != (1, 28, 28):
        raise ValueError(f"(B, 1, 28, 28) is needed, not {tuple(x.shape)}")
    if not 1 <= len(x) <= 1000:
        raise ValueError(f"1 to 1,000 images are needed, not {len(x)}")
    return compiled(x.contiguous())


table["AOT,\nchecked"] = [judge(gated, case) for case in cases.values()]

# %%
# .. alt:: Table of five inputs and four ways to call the network. The exported
#    module refuses 1,500 images, float64 and 32 × 32, and ONNX the last two.
#    AOT refuses nothing, and is wrong for every second image, float64 and 32 ×
#    32. AOT with the checks gets the same five results as the exported module.

# %%
# .. drawing::

figure, axis = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
styles = {
    "right": ("o", "tab:blue"),
    "refused": ("s", "0.6"),
    "wrong": ("X", "tab:red"),
}
for column, results in enumerate(table.values()):
    for row, result in enumerate(results):
        marker, color = styles[result]
        axis.plot(column, row, marker, color=color, markersize=11)
for result, style in styles.items():
    axis.plot([], [], style[0], color=style[1], label=result)
axis.set(ylim=(4.5, -0.5), xlim=(-0.5, len(table) - 0.5))
axis.set_yticks(range(5), list(cases))
axis.set_xticks(range(len(table)), list(table))
figure.legend(loc="outside upper center", ncols=3)

# %%
# With our checks, nothing is wrong any more.
#
# AOTInductor has checks of its own, too. They are `off for speed
# <https://github.com/pytorch/pytorch/pull/148005>`__, unless an environment
# variable asks for them before the first call. So we start a new process. It
# prints the number of answers for one image and for seven, which should still
# pass, and then gets every second image:

torch.save(x[:200].clone(), folder / "images.pt")
code = (
    "import torch; "
    "compiled = torch._inductor.aoti_load_package('reader.pt2'); "
    "x = torch.load('images.pt'); "
    "print(len(compiled(x[:1])), len(compiled(x[:7]))); compiled(x[::2])"
)
command = [sys.executable, "-c", code]
checks = os.environ | {"AOTI_RUNTIME_CHECK_INPUTS": "1"}  # one more variable
done = subprocess.run(
    command, cwd=folder, env=checks, capture_output=True, text=True
)
print(done.stdout.strip())
print(done.stderr.strip().splitlines()[-1])
temporary.cleanup()

# %%
# It refuses the view, because the next image should begin 784 numbers later,
# not 1,568. So test with this variable set. By default, the checks would also
# refuse a single image, because ``export`` takes a varying size to be at least
# 2. That is why we compiled without ``check_lowerbound``.

# %%
# .. check::

assert table["exported"] == [
    "right", "refused", "right", "refused", "refused",
], "it refuses three"  # fmt: skip
assert table["ONNX"] == [
    "right", "right", "right", "refused", "refused",
], "it refuses two"  # fmt: skip
assert table["AOT"] == [
    "right", "right", "wrong", "wrong", "wrong",
], "it refuses nothing"  # fmt: skip
assert table["AOT,\nchecked"] == table["exported"], "the same for these five"
assert messages[0] == "Guard failed: x.size()[0] <= 1000", "the limit"
assert "must have the same dtype" in messages[1], "not a guard"
assert messages[2] == "Guard failed: x.size()[2] == 28", "the image size"
assert "Unexpected input data type" in messages[3], "ONNX checks the dtype"
assert "invalid dimensions" in messages[4], "and the fixed sizes"
assert first, "it read the first ones"
assert 0.05 <= accuracy <= 0.15, "about as by guessing"
assert done.stdout.split() == ["1", "7"], "one answer, and seven"
assert "expected: 784, but got: 1568" in done.stderr, "the view is refused"

# %%
# Recipe
# ------
# Export, write, and compare the session with the network, at sizes other than
# that of the example. The checks that the file lost stand before the call:

import tempfile
from pathlib import Path

import onnxruntime
import torch
from torch import nn
from torch.export import Dim, export

torch.manual_seed(0)
limit = 100  # an example: this network is right for any number
network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
example = torch.rand(2, 4)
sizes = ({0: Dim("batch", max=limit)},)
written = export(network, (example,), dynamic_shapes=sizes)

# %%

with tempfile.TemporaryDirectory() as place:
    file = Path(place) / "network.onnx"
    torch.onnx.export(
        written, f=file, dynamic_shapes=sizes,
        external_data=False, verbose=False,
    )  # fmt: skip
    loaded = onnxruntime.InferenceSession(file)

# %%


def predict(x):  # NumPy: the program that uses the file has no torch
    if not 1 <= len(x) <= limit:
        raise ValueError(f"1 to {limit} rows are needed, not {len(x)}")
    key = loaded.get_inputs()[0].name
    return loaded.run(None, {key: x})[0]


for n in [1, 5, limit]:
    x = torch.rand(n, 4)
    expected = network(x).detach()
    gap = (torch.from_numpy(predict(x.numpy())) - expected).abs().max()
    if not gap <= 1e-5 * expected.abs().max():  # "not", to find nan
        raise RuntimeError(f"{n} rows: not the same")

# %%

refused = False
try:
    predict(torch.rand(limit + 1, 4).numpy())
except ValueError:
    refused = True
if not refused:
    raise RuntimeError("the limit is not checked")
new = torch.rand(1, 4)
print("a new example:", predict(new.numpy()).argmax())

# %%
# .. check::

assert predict(new.numpy()).argmax() == network(new).argmax(), "the same"

# %%
# What you learned
# ----------------
# - An ONNX file holds weights and a graph. ONNX Runtime runs it without
#   PyTorch, and its results agreed up to rounding.
# - AOTInductor compiles the network for C++ programs. To compile, it needs a
#   compiler.
# - ONNX Runtime checks the dtype and the fixed sizes, but the limits of a
#   ``Dim`` are lost, and so is that two sizes are equal. AOTInductor checks
#   neither dtype, shape, layout nor device unless asked, and reads the memory
#   as if the input were like the example.
# - So compare with the original on inputs that are not like the example, and
#   put the checks that are missing before the call.
#
# Exercises
# ---------
# 1. **Predict.** Another program sends pixels as bytes, from 0 to 255. What do
#    ``run_onnx`` and the exported module do with them? (Do not try
#    ``compiled``, which would read beyond the end.) And what if a module adds
#    two inputs with the same ``Dim``, and gets three rows and one row?
# 2. **Change.** Rewrite ``Center`` with :func:`torch.cond`, so that the ONNX
#    file is right for any number of rows. Which operators are in its graph?
# 3. **Extend.** Does the file say more than it has to? Write ``reader.onnx``
#    again, and search its bytes for a line of the source code. Then delete
#    ``stack_trace`` from the ``meta`` of each node of the program, and write
#    and search once more.

# %%
# .. answer:: 1
#
#    ONNX Runtime refuses them, because it expects float32. The exported module
#    goes on without an error, because no guard checks the dtype, and its logits
#    are not those of the pixels from 0 to 1. (Bytes minus 0.13 are float32
#    numbers, but float64 numbers stay float64, and fail at the weights.)
#
#    ONNX Runtime adds the one row to each of the three by broadcasting. In the
#    exported module, a guard refuses it.

as_bytes = (255 * test.x[:100]).round().to(torch.uint8)
print("ONNX:", judge(run_onnx, as_bytes))
exported = program.module()
same = torch.allclose(exported(as_bytes), exported(as_bytes / 255))
print("exported: the same logits:", same)

complaint = ""
try:
    exported(test.x[:100].double())
except RuntimeError as error:
    complaint = str(error)
print("float64:", complaint)

# %%


class Add(nn.Module):
    def forward(self, x, y):
        return x + y


add = export(Add(), (three, six[:3]), dynamic_shapes=up_to_four * 2)
with tempfile.TemporaryDirectory() as place:
    path = Path(place) / "add.onnx"
    torch.onnx.export(add, f=path, **onnx_options)
    add_session = onnxruntime.InferenceSession(path)
unequal = {"x": three.numpy(), "y": three[:1].numpy()}
print("ONNX:", add_session.run(None, unequal)[0].shape)

refused = ""
try:
    add.module()(three, three[:1])
except AssertionError as error:
    refused = str(error)
print("exported:", refused)

# %%
# .. check::

assert judge(run_onnx, as_bytes) == "refused", "it expects float32"
assert not same, "the bytes are not divided by 255"
assert "dtype" in complaint, "float64 fails at the weights"
assert add_session.run(None, unequal)[0].shape == (3, 2), "by broadcasting"
assert "y.size()[0] == x.size()[0]" in refused, "a guard refuses"

# %%
# .. answer:: 2
#
#    ``torch.cond`` becomes the operator ``If``, which has both branches. So the
#    file is right from one row to eight.


def subtract_mean(x):
    return x - x.mean(dim=0)


def keep(x):
    return x.clone()


class CenterAny(nn.Module):
    def forward(self, x):
        many = x.shape[0] > 4
        return 2.0 * torch.cond(many, subtract_mean, keep, (x,))


rows = ({0: Dim("rows")},)
with_both = export(CenterAny(), (three,), dynamic_shapes=rows)
with tempfile.TemporaryDirectory() as place:
    path = Path(place) / "center.onnx"
    written = torch.onnx.export(
        with_both, f=path, dynamic_shapes=rows, **onnx_options
    )
    any_session = onnxruntime.InferenceSession(path)
print([node.op_type for node in written.model.graph])

# %%

right = []
for n in range(1, 9):
    x = torch.arange(2.0 * n).reshape(n, 2)
    outputs = any_session.run(None, {"x": x.numpy()})
    if torch.allclose(torch.from_numpy(outputs[0]), center(x)):
        right.append(n)
print("right for", right, "rows")

# %%
# .. check::

assert "If" in [node.op_type for node in written.model.graph], "an If"
assert right == list(range(1, 9)), "one row to eight"

# %%
# .. answer:: 3
#
#    The file names the line of the source code from which each node came, and
#    the path of that file. So look into a file before you give it away. Without
#    ``stack_trace`` both are gone, but the name of the class is still there.

word = b"return self.layers"
counts = []
with tempfile.TemporaryDirectory() as place:
    path = Path(place) / "reader.onnx"
    torch.onnx.export(program, f=path, dynamic_shapes=batch, **onnx_options)
    counts.append(path.read_bytes().count(word))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.onnx.export(program, f=path, dynamic_shapes=batch, **onnx_options)
    counts.append(path.read_bytes().count(word))
    named = b"Reader" in path.read_bytes()
print("line in the file:", counts[0] > 0)
print("line without stack_trace:", counts[1] > 0)
print("name of the class:", named)

# %%
# .. check::

assert counts[0] > 0, "source code is in the file"
assert counts[1] == 0, "and can be taken out"
assert named, "the name of the class stays"

# %%
# .. earlier::
#
#    ``torch.onnx.dynamo_export`` is gone, and the two functions of AOTInductor
#    above replace ``torch._export.aot_compile`` and ``torch._export.aot_load``
#    (:doc:`/errata`). ``torch.onnx.export`` uses the new exporter by default.
