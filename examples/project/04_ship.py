"""
Project: serving with FastAPI
=============================

How do other programs use the network, and do they get the same answers?

Web pages, apps, and programs in other languages need the network of this part.
So we serve it at an address. A program that sends a scan there gets the digit
back. Such a *service* must not break when somebody sends rubbish.

After this lesson you can

- export a network, so that it runs without the code of its class
- serve it at an address with FastAPI, and refuse what it cannot read
- check that the service gives the same answers as the network offline
"""

# %%
# Setup
# -----

import numpy as np
import torch
from fastapi import Depends, FastAPI, HTTPException, Request
from PIL import Image
from torch import nn

from digit_reader import evaluation
from digit_reader.data import check_files, choose_set, read_image, read_sets
from digit_reader.raw import write_raw_files
from digit_reader.training import train
from handbook import plots

torch.manual_seed(0)

# %%
# And from Python's standard library, for files, processes and requests:

import atexit
import io
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from json import dumps, loads
from pathlib import Path
from typing import Annotated
from urllib.error import HTTPError

# %%
# One scan, one answer
# --------------------
# We write the scans, train the network, and choose the temperature and the
# threshold as in :doc:`/lessons/project/03_evaluate`, so that 99% of the
# answers to the validation set are right.

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
write_raw_files(folder)
table = check_files(folder)
sets = read_sets(folder, table)
model, history = train(sets)

x_val, y_val = sets["val"]
logits = evaluation.predict(model, x_val)
temperature = evaluation.find_temperature(logits, y_val)
confidence, digit = (logits / temperature).softmax(dim=1).max(dim=1)
threshold = evaluation.find_threshold(confidence, digit == y_val)

# %%
# ``Reader`` makes one module of network and temperature, from ink to
# probabilities. ``answer`` is what the service will say about one image. In it,
# ``x[None]`` makes a batch of the image, and ``[0]`` takes its probabilities
# out again. Where the reader is not sure, the digit in the result is ``None``.


class Reader(nn.Module):
    def __init__(self, model, temperature):
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, x):
        return (self.model(x) / self.temperature).softmax(dim=1)


def answer(reader, threshold, x):
    with torch.no_grad():
        probabilities = reader(x[None])[0]
    confidence, digit = probabilities.max(dim=0)
    result = {"digit": None, "confidence": round(confidence.item(), 4)}
    if confidence >= threshold:
        result["digit"] = digit.item()
    return result


# %%
# ``read_image`` of :doc:`/lessons/project/01_frame` turns the bytes of a file
# into ink. A scan of the test set, and a blank page:

reader = Reader(model, temperature).eval()
scan = (folder / "scan00002.png").read_bytes()
print("scan: ", answer(reader, threshold, read_image(scan)))
print("blank:", answer(reader, threshold, torch.zeros(1, 28, 28)))

# %%
# .. check::

assert answer(reader, threshold, read_image(scan))["digit"] == 1, "it is a 1"
assert answer(reader, threshold, torch.zeros(1, 28, 28))["digit"] is None, (
    "no answer to a blank page"
)

# %%
# Export
# ------
# A :term:`state dict` needs the class of the network, too, so we export one
# file that has everything, with :mod:`torch.export`. ``torch.export.export``
# runs the module on an example, and writes down its operations as a graph. The
# sizes of the example are fixed, unless ``torch.export.Dim`` says that one may
# vary, here the batch, from 1 to 1,024. (The example has two images, because
# ``export`` refuses a varying size of 1.) ``torch.export.save`` writes the
# file, and the service's other setting, the threshold, goes into
# ``settings.json``.


def export(model, temperature, threshold, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    reader = Reader(model, temperature).eval()
    example = torch.zeros(2, 1, 28, 28)
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    program = torch.export.export(reader, (example,), dynamic_shapes=(batch,))
    torch.export.save(program, folder / "digits.pt2")
    settings = {"threshold": threshold}
    (folder / "settings.json").write_text(dumps(settings), "utf-8")


# %%
# ``torch.export.load`` reads the file back. (Load only files from people you
# trust.) Are the probabilities the same, for one image and for a hundred?

export(model, temperature, threshold, folder / "service")
loaded = torch.export.load(folder / "service/digits.pt2").module()
x_test, y_test = sets["test"]
furthest = {}
for n in [1, 100]:
    with torch.no_grad():
        difference = loaded(x_test[:n]) - reader(x_test[:n])
    furthest[n] = difference.abs().max().item()
    print(f"{n:3} images: the same up to 1e-6: {furthest[n] < 1e-6}")

# %%
# Does it run without the classes ``LeNet`` and ``Reader``? A second Python,
# which imports only torch, reads a blank page:

code = (
    "import torch; "
    "reader = torch.export.load('digits.pt2').module(); "
    "print(reader(torch.zeros(1, 1, 28, 28)).max().item())"
)
command = [sys.executable, "-c", code]
alone = float(subprocess.check_output(command, cwd=folder / "service"))
here = answer(reader, threshold, torch.zeros(1, 28, 28))["confidence"]
print(f"confidence {alone:.3f}, and here {here:.3f}")

# %%
# .. check::

assert max(furthest.values()) < 1e-6, "the same probabilities"
assert abs(alone - here) < 1e-3, "also without the classes"

# %%
# A service with FastAPI
# ----------------------
# Web pages and services speak *HTTP*. A client sends a *request*: a method such
# as ``GET`` (ask) or ``POST`` (send something), a path such as ``/read``, and
# for ``POST`` a body, here the bytes of a file, with a header ``Content-Type``
# that names its type. The service sends back a status code and a body.
# 200 means that all is well, and numbers from 400 on mean that something went
# wrong.
#
# FastAPI turns functions into such a service. The *decorator*
# ``@app.post("/read")`` above a function registers it for this path: each
# ``POST`` request for ``/read`` calls the function. FastAPI sends the dict that
# it returns as JSON text, with ``null`` for ``None``.
#
# ``read_scan`` collects the body, and turns it into ink. ``request: Request``
# tells FastAPI to pass the request itself. ``async def`` defines a function
# that can pause: while it waits for more bytes, in ``async for``, the service
# looks after other requests. A request is refused as soon as it has too many
# bytes, so one request cannot fill the memory. (``from None`` drops the error
# that was caught.)


async def read_scan(request: Request):
    if request.headers.get("Content-Type") != "image/png":
        raise HTTPException(415, "send Content-Type: image/png")
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > 10_000:  # a scan has about 300
            raise HTTPException(413, "at most 10000 bytes")
    try:
        x = read_image(content)
    except ValueError as error:
        raise HTTPException(422, f"the file {error}") from None
    if x.mean() > 0.5:
        raise HTTPException(422, "dark page: is it inverted?")
    return x


# %%
# ``Annotated[torch.Tensor, Depends(read_scan)]`` says that FastAPI gets the
# tensor ``x`` by calling ``read_scan`` first. ``read`` calculates and does not
# wait, so it is a plain function, which FastAPI runs in a thread beside the
# other requests. (``openapi_url=None`` switches off pages that load scripts
# from elsewhere.)


def create_app(folder):
    reader = torch.export.load(Path(folder) / "digits.pt2").module()
    settings = loads((Path(folder) / "settings.json").read_text("utf-8"))
    app = FastAPI(openapi_url=None)

    @app.get("/health")
    def health():
        return {"status": "ready"}

    @app.post("/read")
    def read(x: Annotated[torch.Tensor, Depends(read_scan)]):
        return answer(reader, settings["threshold"], x)

    return app


# %%
# The file ``digit_reader/service.py`` has these functions, and ends with the
# lines that start the service. (We will run this file, so a change in this
# lesson does not reach the service.) The program *uvicorn* receives the
# requests and hands them to FastAPI, and ``limit_concurrency`` limits how many
# at a time. Other computers cannot reach the address ``127.0.0.1``.
#
# .. code-block:: python
#
#    if __name__ == "__main__":
#        folder, port = sys.argv[1:]
#        app = create_app(folder)
#        uvicorn.run(
#            app,
#            host="127.0.0.1",
#            port=int(port),
#            limit_concurrency=100,
#            log_level="warning",
#        )
#
# Ask it for real
# ---------------
# The *port* is a number that says for which program of a computer a request is.
# We ask the operating system for a free one. ``Popen`` starts the service as a
# process of its own, and does not wait for its end. ``atexit`` stops it when
# our program ends, also after an error.

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]  # not reserved: another could take it
arguments = [str(folder / "service"), str(port)]
command = [sys.executable, "-m", "digit_reader.service", *arguments]
server = subprocess.Popen(command)
atexit.register(server.terminate)
address = f"http://127.0.0.1:{port}"

# %%
# ``ask`` sends a request, with ``POST`` if there is a body, and returns the
# status and the reply, a dict. For a status from 400 on, ``urlopen`` raises an
# ``HTTPError``, which carries the reply, here as text. If there is no reply, it
# raises another kind of ``OSError``.


def ask(path, body=None):
    header = {"Content-Type": "image/png"}
    request = urllib.request.Request(address + path, body, header)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, loads(response.read())
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


# %%
# The service needs some seconds to import torch. We ask for ``/health`` until
# it replies, at most for a minute, and only while ``poll`` returns ``None``,
# which means that the process runs:

health = None
deadline = time.monotonic() + 60
while health is None and server.poll() is None and time.monotonic() < deadline:
    try:
        health = ask("/health")
    except OSError:
        time.sleep(0.1)
print(health)

# %%
# Now a scan, and then what a service meets in real life: text, too many bytes,
# and images that are too wide, in colour, dark, or blank.

requests = {"scan": scan, "text": b"hello", "large": bytes(20_000)}
images = {
    "wide": torch.full((28, 64), 255),
    "colour": torch.full((28, 28, 3), 255),
    "dark": torch.full((28, 28), 0),
    "blank": torch.full((28, 28), 255),
}
for name, pixels in images.items():
    file = io.BytesIO()
    Image.fromarray(pixels.to(torch.uint8).numpy()).save(file, "PNG")
    requests[name] = file.getvalue()  # the bytes that were written

# %%
# What does the service reply?

replies = {}
for name, body in requests.items():
    status, content = ask("/read", body)
    replies[name] = (status, content)
    print(f"{name:6} {status} {content}")

# %%
# What is not a grey PNG of 28 × 28 pixels is refused, and so is a dark page.
# The rest reaches the network, letters too (exercise 3).

# %%
# .. check::

assert health == (200, {"status": "ready"}), "ready"
assert [status for status, _ in replies.values()] == [
    200,
    422,
    413,
    422,
    422,
    422,
    200,
], "what cannot be read is refused"
assert replies["scan"][1]["digit"] == 1, "it is a 1"
assert replies["blank"][1]["digit"] is None, "no answer to a blank page"
assert server.poll() is None, "it still runs"

# %%
# The same answers as offline
# ---------------------------
# Does the service give the same answers as the network offline? ``choose_set``
# says which files belong to the test set, in the same order as in ``x_test``.

contents = []
for name in table["file"][table["fault"] == ""]:
    content = (folder / name).read_bytes()
    if choose_set(content) == "test":
        contents.append(content)

# %%
# We send the first hundred (``strict=True`` raises an error if one of the two
# lists is longer):

same_digit = 0
differences = []
for x, content in zip(x_test[:100], contents[:100], strict=True):
    offline = answer(reader, threshold, x)
    status, online = ask("/read", content)
    if status != 200:
        raise RuntimeError(f"{status}: {online}")
    same_digit += online["digit"] == offline["digit"]
    differences.append(abs(online["confidence"] - offline["confidence"]))
print(f"the same digit, or None: {same_digit} of 100")
print(f"the same confidence up to 0.001: {max(differences) < 0.001}")
server.terminate()  # it has done its work
ended = server.wait()

# %%
# .. check::

assert same_digit == 100, "the same answers"
assert max(differences) < 0.001, "and the same confidence"

# %%
# What goes wrong: another way to read
# ------------------------------------
# Services are often written by somebody who has not seen the training. A file
# is opened, divided by 255, and given to the network:

read_carelessly = []
for content in contents:
    grey = np.array(Image.open(io.BytesIO(content)))
    read_carelessly.append(torch.from_numpy(grey)[None] / 255)
careless = torch.stack(read_carelessly)
for name, x in {"read_image": x_test, "read carelessly": careless}.items():
    digit = evaluation.predict(model, x).argmax(dim=1)
    share = (digit == y_test).float().mean()
    print(f"{name}: {share:.1%} right")

# %%
# Shape, type and range are right, and no error is raised. But in a scan paper
# is white, that is 255, and the network was trained with paper as 0.
#
# .. alt:: Four digits, each twice. Above, ink is white on black, and the
#    answers in the titles are those digits. Below, the same digits are black on
#    white, and most of the answers are wrong.

# %%
# .. drawing::

images = torch.cat([x_test[:4], careless[:4]])
digits = evaluation.predict(model, images).argmax(dim=1)
figure = plots.image_grid(images, titles=digits.tolist(), ncols=4)

# %%
# That is why training and service share one ``read_image``, and why you compare
# a hundred answers before each release.

# %%
# .. check::

assert torch.allclose(careless, 1 - x_test), "the same scans, inverted"
assert (evaluation.predict(model, careless).argmax(dim=1) == y_test).sum() < (
    0.25 * len(y_test)
), "most are wrong"

# %%
# The model card
# --------------
# The users of the service have not read these lessons. A :term:`model card`
# tells them on one page what the network is for, how good it is, and what it is
# not for. A program fills in the figures of :doc:`/lessons/project/03_evaluate`
# (``format`` puts them in the places with braces), so nobody mistypes one.

CARD = """# Digit reader

Reads one handwritten digit, dark ink on white paper, from a grey PNG file of
28 × 28 pixels. Says `null` below a confidence of {threshold:.2f}. Trained on
scans made from MNIST (CC BY-SA 3.0), with torch {torch}.

## What it can do

Shares of {count:,} test scans, as they are and changed: 3 pixels to the right
(shift), a thicker pen (thicken), a quarter of the ink (fade), page on its side
(turn), ink and paper swapped (invert: the service refuses these). Some labels
are wrong, so a right answer can count as wrong, in every row.

| scans | right if all are answered | answered | answered wrongly |
|---|---|---|---|
{rows}

## What it is not for

Letters, several digits in one file, faint or blank pages, digits away from the
middle or on their side, light ink on dark paper. Some get a digit anyway."""

# %%
# ``write_card`` makes a row for each kind of scan.


def write_card(file, scores, count, threshold):
    rows = []
    for name, score in scores.items():
        shares = f"{score['accuracy']:.1%} | {score['answered']:.1%}"
        rows.append(f"| {name} | {shares} | {score['answered wrongly']:.1%} |")
    version = torch.__version__
    text = CARD.format(
        threshold=threshold, torch=version, count=count, rows="\n".join(rows)
    )
    Path(file).write_text(text + "\n", "utf-8")


judged = [model, temperature, threshold]
scores = {"as they are": evaluation.score(*judged, x_test, y_test)}
for name, change in evaluation.CHANGES.items():
    scores[name] = evaluation.score(*judged, change(x_test), y_test)

# %%
# Here is the finished card:

write_card(folder / "service/MODEL_CARD.md", scores, len(y_test), threshold)
card = (folder / "service/MODEL_CARD.md").read_text("utf-8")
print(card)
temporary.cleanup()

# %%
# All functions of the four lessons are in ``digit_reader.zip``, under *Whole
# project* at the foot of this page. In it, ``uv run run.py`` does everything,
# from raw files to a reply over HTTP.

# %%
# .. check::

assert card.count("\n| ") == 7, "a head and six rows"
assert "1,205 test scans" in card, "how many scans it was measured on"

# %%
# In production
# -------------
# Our service is one process, speaks plain HTTP, and was not tested under load.
# In production, a web server in front of it adds encryption (TLS), finds out
# who is asking (authentication), and limits how long and how often one may ask
# (timeouts, rate limits). Several processes with the same service answer side
# by side, so that one can crash. Logs keep the status, the confidence and the
# :term:`latency` of each request, but not the scan, which may be private. And
# somebody is told when the share of ``null`` changes, because then the scans
# have probably changed (*drift*).
#
# Recipe
# ------
# Export a network, load it again, compare at another batch size, and use it for
# a new example:

import tempfile
from pathlib import Path

import torch

torch.manual_seed(0)
network = torch.nn.Linear(4, 3)
sizes = {0: torch.export.Dim("batch", min=1, max=1024)}
example = torch.zeros(2, 4)
program = torch.export.export(network, (example,), dynamic_shapes=(sizes,))
with tempfile.TemporaryDirectory() as place:
    torch.export.save(program, Path(place) / "network.pt2")
    loaded = torch.export.load(Path(place) / "network.pt2").module()

x = torch.rand(5, 4)
same = torch.allclose(loaded(x), network(x), atol=1e-6)
new = loaded(x[:1]).argmax(dim=1)
print("the same:", same, "a new example:", new.item())

# %%
# .. check::

assert same, "the same outputs"

# %%
# What you learned
# ----------------
# - ``torch.export`` writes the operations of a network into one file, which
#   runs without its class. Declare which sizes may change.
# - FastAPI calls a function for each request. What cannot be read is refused,
#   and the rest reaches the network.
# - Training and service read files by the same function. Compare served and
#   offline answers before each release.
# - A model card says what a network is for and what it is not for, with figures
#   that a program has measured.
#
# Exercises
# ---------
# 1. **Predict.** The service is stopped. What happens at ``ask("/health")``?
#    What should a program that uses the service expect, besides a digit?
# 2. **Change.** The service refuses pages whose mean is above 0.5. How many
#    test scans is that, as they are, thickened and inverted? And with 0.4?
# 3. **Extend.** Draw the 26 capital letters with ``ImageDraw`` of PIL, each on
#    a page of its own. How many of them get a digit?

# %%
# .. answer:: 1
#
#    A ``URLError`` is raised, which is an ``OSError``, because nobody listens
#    at the port. So a program should be ready for four outcomes: a digit,
#    ``null``, a refusal (a status from 400 on), and no reply at all.

try:
    ask("/health")
    reached = True
except OSError:
    reached = False
print("reached:", reached)

# %%
# .. check::

assert not reached, "nobody listens"

# %%
# .. answer:: 2
#
#    With 0.5, it refuses none of the scans, not even thickened ones, and all of
#    the inverted ones. With 0.4, a few thickened ones are refused, too. For a
#    plain mistake like this one, a plain rule is safer than confidence alone.

refused = {}
kinds = [x_test, evaluation.thicken(x_test), evaluation.invert(x_test)]
for limit in [0.4, 0.5]:
    dark = [x.mean(dim=(1, 2, 3)) > limit for x in kinds]
    refused[limit] = [pages.sum().item() for pages in dark]
    print(limit, refused[limit])

# %%
# .. check::

assert refused[0.5] == [0, 0, len(x_test)], "only the inverted ones"
assert refused[0.4][1] > 0, "with 0.4, some thickened digits, too"

# %%
# .. answer:: 3
#
#    Some letters get a digit, even those that look like no digit. The network
#    has to choose one of ten, and can be sure of its choice all the same.

from PIL import ImageDraw

read_as = {}
for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
    paper = torch.full((28, 28), 255, dtype=torch.uint8)
    page = Image.fromarray(paper.numpy())
    draw = ImageDraw.Draw(page)
    options = {"anchor": "mm", "font_size": 20, "stroke_width": 1}
    draw.text((14, 14), letter, 0, **options)
    file = io.BytesIO()
    page.save(file, "PNG")
    result = answer(reader, threshold, read_image(file.getvalue()))
    if result["digit"] is not None:
        read_as[letter] = result["digit"]
print(len(read_as), "of 26:", read_as)

# %%
# .. check::

assert len(read_as) >= 5, "some letters get a digit"
