"""
Project: serving with FastAPI
=============================

How do other programs ask the network, and do they get the same answers?

The network of this part reads digits in our own Python program. The people who
need it have a web page, an app, or a program in another language. So we put the
network behind an address, and whoever sends a scan there gets the digit back.
This is called a *service*, and it must not break when somebody sends rubbish.

After this lesson you can

- export a network, so that it runs without the code of its class
- put it behind an address with FastAPI, and refuse what is not a scan
- check that the service gives the same answers as the network on your desk
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
from digit_reader.data import check_files, choose_set, read_image
from digit_reader.raw import write_raw_files
from digit_reader.training import load, train
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
from json import dumps, loads
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

# %%
# One scan, one answer
# --------------------
# We write the scans, train the network, and choose the temperature and the
# threshold as in :doc:`/lessons/project/03_evaluate`.

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
write_raw_files(folder)
sets = load(folder)
model, history = train(sets)

x_val, y_val = sets["val"]
logits = evaluation.predict(model, x_val)
temperature = evaluation.find_temperature(logits, y_val)
confidence, digit = (logits / temperature).softmax(dim=1).max(dim=1)
threshold = evaluation.find_threshold(confidence, digit == y_val)

# %%
# Network and temperature belong together, so ``Reader`` makes one module of
# them, from ink to probabilities. What the service will answer is a plain
# function of one image, which we can try without any service. Its result is a
# dict, and the digit in it is ``None`` if the reader is not sure.


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
# into ink. One scan of the test set, and a page without any ink:

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
# Whoever loads a :term:`state dict` needs the class of the network, too. For a
# service, one file that has everything is easier to hand over.
# :mod:`torch.export` has what we need. ``torch.export.export`` runs the module
# on an example, and writes down its operations as a graph. It takes the sizes
# of the example as fixed unless we say otherwise, so ``torch.export.Dim`` says
# that the first one, the batch, may be anything from 1 to 1,024.
# ``torch.export.save`` writes the file, and what else the service needs goes
# into ``settings.json``.


def export(model, temperature, threshold, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    reader = Reader(model, temperature).eval()
    example = torch.zeros(2, 1, 28, 28)
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    program = torch.export.export(reader, (example,), dynamic_shapes=(batch,))
    torch.export.save(program, folder / "digits.pt2")
    settings = {
        "threshold": threshold,
        "temperature": temperature,
        "torch": torch.__version__,
    }
    (folder / "settings.json").write_text(dumps(settings), "utf-8")


# %%
# ``torch.export.load`` reads it again. (Load only files from people you trust.)
# The result runs without the classes ``LeNet`` and ``Reader``. Does it give the
# same probabilities, for one image and for a hundred?

export(model, temperature, threshold, folder / "service")
loaded = torch.export.load(folder / "service/digits.pt2").module()
x_test, y_test = sets["test"]
furthest = {}
for n in [1, 7, 100]:
    with torch.no_grad():
        difference = loaded(x_test[:n]) - reader(x_test[:n])
    furthest[n] = difference.abs().max().item()
    print(f"{n:3} images: the same up to 1e-6: {furthest[n] < 1e-6}")

# %%
# .. check::

assert max(furthest.values()) < 1e-6, "the same probabilities"

# %%
# A service with FastAPI
# ----------------------
# Web pages and services speak *HTTP*. A client sends a *request*: a method such
# as ``GET`` (ask) or ``POST`` (send something), a path such as ``/read``, and
# for ``POST`` a body, here the bytes of a file. The service sends back a status
# code and a body. 200 means that all is well, and numbers from 400 on mean that
# something went wrong.
#
# FastAPI turns functions into such a service. The *decorator*
# ``@app.post("/read")`` stands above a function, and registers it: from then
# on, each ``POST`` request for ``/read`` calls this function. The function
# returns a dict, and FastAPI sends it as JSON text, with ``null`` for ``None``.
#
# ``read_body`` collects the body of a request. ``async def`` defines a function
# that can pause: while it waits for the next bytes, the service looks after
# other requests. ``async for`` is a loop that waits in this way in each round.
# ``request: Request`` tells FastAPI to pass the request itself. As soon as
# there are more bytes than a scan can have, the request is refused, so nobody
# can fill the memory.

LARGEST = 10_000  # bytes; a scan has about 300


async def read_body(request: Request):
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST:
            raise HTTPException(413, f"at most {LARGEST} bytes")
    return content


# %%
# The functions ``health`` and ``read`` are defined inside ``create_app``, and
# use its ``reader`` and ``settings``. ``Depends(read_body)`` says that FastAPI
# calls ``read_body`` first and passes on what it returned. A file that
# ``read_image`` cannot read gets the status 422, with the reason.


def create_app(folder):
    reader = torch.export.load(Path(folder) / "digits.pt2").module()
    settings = loads((Path(folder) / "settings.json").read_text("utf-8"))
    app = FastAPI(title="Digit reader")

    @app.get("/health")
    def health():
        return {"status": "ready", "torch": settings["torch"]}

    @app.post("/read")
    def read(content: bytes = Depends(read_body)):
        try:
            x = read_image(content)
        except ValueError as error:
            raise HTTPException(422, f"the file {error}") from None
        return answer(reader, settings["threshold"], x)

    return app


# %%
# Which paths does the service have?

app = create_app(folder / "service")
print([route.path for route in app.routes])

# %%
# The two last paths are ours. FastAPI has added the others, and ``/docs`` is a
# page where one can try the service in a browser.
#
# These functions are the file ``digit_reader/service.py``. It ends with the
# lines that start the service. The program *uvicorn* receives the requests and
# hands them to FastAPI, and the address ``127.0.0.1`` can be reached only from
# the same computer:
#
# .. code-block:: python
#
#    if __name__ == "__main__":
#        folder, port = sys.argv[1:]
#        app = create_app(folder)
#        uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
#
# Ask it for real
# ---------------
# Many programs on a computer can receive requests, and the *port* is a number
# that says for which of them a request is. We let the operating system name a
# free one, and start the service as a process of its own. ``atexit`` stops it
# when our program ends, also after an error.

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    _, port = free.getsockname()
arguments = [str(folder / "service"), str(port)]
command = [sys.executable, "-m", "digit_reader.service", *arguments]
server = subprocess.Popen(command)
atexit.register(server.terminate)

# %%
# ``ask`` sends a request, with ``POST`` if there is a body, and returns the
# status and the answer. ``urlopen`` raises an ``HTTPError`` for a status from
# 400 on, and this error carries the answer.


def ask(path, body=None):
    address = f"http://127.0.0.1:{port}{path}"
    try:
        with urlopen(address, data=body, timeout=10) as response:
            return response.status, loads(response.read())
    except HTTPError as error:
        with error:
            return error.code, loads(error.read())


# %%
# The service needs some seconds to import torch. We ask for ``/health`` until
# it answers, or until its process has ended (``poll`` returns ``None`` while it
# runs):

health = None
while health is None and server.poll() is None:
    try:
        health = ask("/health")
    except URLError:
        time.sleep(0.1)
print(health)

# %%
# Now a scan, and then what a service meets in real life: an empty body, text,
# an image of another size, far too much, and a blank page.

white = torch.full((28, 64), 255, dtype=torch.uint8).numpy()
wide = io.BytesIO()
Image.fromarray(white).save(wide, "PNG")
blank = io.BytesIO()
Image.fromarray(white[:, :28]).save(blank, "PNG")

# %%
# ``getvalue`` returns the bytes that were written:

requests = {
    "scan": scan,
    "empty": b"",
    "text": b"hello",
    "wide": wide.getvalue(),
    "large": bytes(20_000),
    "blank": blank.getvalue(),
}
answers = {}
for name, body in requests.items():
    status, content = ask("/read", body)
    answers[name] = (status, content)
    print(f"{name:5} {status} {content}")

# %%
# What cannot be read is refused with a status and a reason, the blank page gets
# no digit, and the service is still there afterwards.

# %%
# .. check::

assert health == (200, {"status": "ready", "torch": torch.__version__}), "ready"
assert answers["scan"] == (200, {"digit": 1, **answers["scan"][1]}), "a 1"
assert [status for status, _ in answers.values()] == [
    200,
    422,
    422,
    422,
    413,
    200,
], "what cannot be read is refused"
assert answers["blank"][1]["digit"] is None, "no answer to a blank page"

# %%
# The same answers as offline
# ---------------------------
# Does the service give the same answers as the network on our desk? We send the
# files of the first hundred test scans. ``choose_set`` says which files belong
# to the test set, and they come in the same order as in ``x_test``.

table = check_files(folder)
contents = []
for name in table["file"][table["fault"] == ""]:
    content = (folder / name).read_bytes()
    if choose_set(content) == "test":
        contents.append(content)

served = []
seconds = []
for content in contents[:100]:
    start = time.perf_counter()
    served.append(ask("/read", content))
    seconds.append(time.perf_counter() - start)

# %%
# Now the same hundred without the service:

same_digit = 0
differences = []
for x, response in zip(x_test[:100], served, strict=True):
    offline = answer(reader, threshold, x)
    _, online = response
    same_digit += online["digit"] == offline["digit"]
    differences.append(abs(online["confidence"] - offline["confidence"]))
print(f"the same digit, or None: {same_digit} of {len(served)}")
print(f"the same confidence up to 0.001: {max(differences) < 0.001}")

# %%
# And how long does one have to wait? The time between request and answer is
# called :term:`latency`. A mean hides the few who wait long, so one reports
# *p50*, within which half of the requests are answered, and *p95*, within which
# 95 of 100 are. Times differ from computer to computer, so we print only
# whether they are below a second. On yours, print ``p50`` and ``p95``.

in_order = sorted(seconds)
p50 = in_order[49]
p95 = in_order[94]
print(f"p50 below a second: {p50 < 1}, p95 below a second: {p95 < 1}")

# %%
# The service has done its work, so we stop it.

server.terminate()
server.wait()

# %%
# .. check::

assert same_digit == 100, "the same answers"
assert max(differences) < 0.001, "and the same confidence"
assert p95 < 1, "below a second"

# %%
# What goes wrong: another way to read
# ------------------------------------
# Services are often written by somebody who has not seen the training. A file
# is opened, divided by 255, and given to the network:

read_anew = []
for content in contents:
    grey = np.array(Image.open(io.BytesIO(content)))
    read_anew.append(torch.from_numpy(grey)[None] / 255)
careless = torch.stack(read_anew)
for name, x in {"read_image": x_test, "read anew": careless}.items():
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
# That is why training and service share one ``read_image``. And the comparison
# of a hundred answers, which we made above, would have found this mistake. Make
# it a test that runs before each release.

# %%
# .. check::

assert torch.allclose(careless, 1 - x_test), "the same scans, inverted"
assert (evaluation.predict(model, careless).argmax(dim=1) == y_test).sum() < (
    0.25 * len(y_test)
), "no better than guessing"

# %%
# The model card
# --------------
# Whoever uses the service has not read these lessons. A :term:`model card`
# tells them on one page what the network is for, how good it is, and what it is
# not for. The figures are those of the table in
# :doc:`/lessons/project/03_evaluate`, and a program writes them, so nobody
# mistypes one.

CARD = """# Digit reader

Reads one handwritten digit from a PNG file of 28 × 28 pixels, dark ink on white
paper. Says `null` where it is not sure. Trained with torch {torch} on digits of
MNIST (CC BY-SA 3.0).

## What it can do

Shares of the {count:,} scans that were kept for the test. Some of their labels
are wrong, so the last column is too high in the first row.

| scans | right if all are answered | answered | answered wrongly |
|---|---|---|---|
{rows}

## What it is not for

Letters, several digits in one file, light ink on dark paper, pages on their
side.
"""

# %%
# ``format`` puts values in the places with braces.


def write_card(file, scores, count):
    rows = []
    for name, score in scores.items():
        shares = f"{score['accuracy']:.1%} | {score['answered']:.1%}"
        rows.append(f"| {name} | {shares} | {score['answered wrongly']:.1%} |")
    version = torch.__version__
    text = CARD.format(torch=version, count=count, rows="\n".join(rows))
    Path(file).write_text(text, "utf-8")


judged = [model, temperature, threshold]
scores = {"as they are": evaluation.score(*judged, x_test, y_test)}
for name, change in evaluation.CHANGES.items():
    scores[name] = evaluation.score(*judged, change(x_test), y_test)

# %%
# Here is the finished card:

write_card(folder / "service/MODEL_CARD.md", scores, len(y_test))
card = (folder / "service/MODEL_CARD.md").read_text("utf-8")
print(card)
temporary.cleanup()

# %%
# The whole folder
# ----------------
# The functions of the four lessons are the files of one folder,
# ``digit_reader``. At the end of this page you can download it as
# ``digit_reader.zip``. There, ``uv run run.py`` does all of it, from raw files
# to an answer over HTTP, and where the packages are installed, ``python -m
# digit_reader runs`` does the same and writes into the folder ``runs``.

# %%
# .. check::

assert card.count("\n| ") == 7, "a head and six rows"
assert "1,205 scans" in card, "how many scans it was measured on"

# %%
# In production
# -------------
# Our service is a single process, speaks plain HTTP, and can be reached only
# from the same computer. In production, a web server in front of it adds
# encryption (TLS) and finds out who is asking (authentication). Several
# *workers*, which are processes with the same service, answer side by side, so
# that one can crash. Logs keep the status, the confidence and the latency of
# each request, but not the scan, which may be private. And somebody is told
# when the share of ``null`` changes, because then the scans have probably
# changed (*drift*).
#
# Recipe
# ------
# Export a network, load it again, and check that it has not changed, also at
# another batch size:

import tempfile
from pathlib import Path

import torch

network = torch.nn.Sequential(
    torch.nn.Linear(4, 8),
    torch.nn.ReLU(),
    torch.nn.Linear(8, 3),
).eval()
sizes = {0: torch.export.Dim("batch", min=1, max=1024)}
example = torch.zeros(2, 4)
program = torch.export.export(network, (example,), dynamic_shapes=(sizes,))

with tempfile.TemporaryDirectory() as place:
    torch.export.save(program, Path(place) / "network.pt2")
    loaded = torch.export.load(Path(place) / "network.pt2").module()

# %%
# Compare, and use it for a new example:

new = torch.rand(5, 4)
with torch.no_grad():
    same = torch.allclose(loaded(new), network(new), atol=1e-6)
    prediction = loaded(new[:1]).argmax(dim=1)
print("the same:", same)
print("a new example:", prediction.item())

# %%
# .. check::

assert same, "the same outputs"

# %%
# What you learned
# ----------------
# - ``torch.export`` writes the operations of a network into one file, which
#   runs without the code of its class. Declare which sizes may change.
# - FastAPI calls a function for each request. What is not a scan is refused
#   with a status and a reason, before the network sees it.
# - Training and service read files by the same function. Compare served and
#   offline answers before each release.
# - A model card says what a network is for and what it is not for, with figures
#   that a program has measured.
#
# Exercises
# ---------
# 1. **Predict.** The service is stopped. What happens at ``ask("/health")``?
#    What should a program that uses the service expect, besides a digit?
# 2. **Change.** Write a function ``is_inverted`` that finds pages which are
#    mostly dark. The service could refuse them before it asks the network. How
#    many test scans would that be, and how many inverted ones?
# 3. **Extend.** Export the network of the recipe without ``dynamic_shapes``,
#    and give it five examples. Then give it two.

# %%
# .. answer:: 1
#
#    A ``URLError`` is raised, because nobody listens at the port. So a program
#    should be ready for three things: a digit, ``null``, and no answer at all.

try:
    ask("/health")
    reached = True
except URLError:
    reached = False
print("reached:", reached)

# %%
# .. check::

assert not reached, "nobody listens"

# %%
# .. answer:: 2
#
#    It refuses none of the scans and all of the inverted ones. For a plain
#    mistake like this one, a plain rule is better than any confidence.


def is_inverted(x):
    return x.mean() > 0.5


refused = sum(is_inverted(x).item() for x in x_test)
refused_inverted = sum(is_inverted(x).item() for x in 1 - x_test)
print(f"{refused} and {refused_inverted} of {len(x_test)}")

# %%
# .. check::

assert refused == 0, "none of the scans"
assert refused_inverted == len(x_test), "all of the inverted ones"

# %%
# .. answer:: 3
#
#    With five examples, an error says that the size has to be two, as in the
#    example of the export. With two, it works. Whoever tries a service with one
#    batch size only does not notice this.

fixed = torch.export.export(network, (example,)).module()
try:
    fixed(new)
    worked = True
except AssertionError as error:
    print(error)
    worked = False
print("five examples:", worked)
print("two examples:", tuple(fixed(new[:2]).shape))

# %%
# .. check::

assert not worked, "the size is fixed"
