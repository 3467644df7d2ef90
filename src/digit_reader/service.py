"""Export the network, and answer over HTTP."""

import sys
from json import dumps, loads
from pathlib import Path
from typing import Annotated

import torch
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from torch import nn

from digit_reader.data import read_image

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


class Reader(nn.Module):
    """From ink to probabilities: the network and its temperature."""

    def __init__(self, model, temperature):
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, x):
        """Map images ``(N, 1, 28, 28)`` to probabilities ``(N, 10)``."""
        return (self.model(x) / self.temperature).softmax(dim=1)


def export(model, temperature, threshold, folder):
    """Write ``digits.pt2``, which runs without the code of the model, and ``settings.json``."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    reader = Reader(model, temperature).eval()
    example = torch.zeros(2, 1, 28, 28)
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    program = torch.export.export(reader, (example,), dynamic_shapes=(batch,))
    torch.export.save(program, folder / "digits.pt2")
    settings = {"threshold": threshold}
    (folder / "settings.json").write_text(dumps(settings), "utf-8")


async def read_scan(request: Request):
    """Return the ink of a scan that was sent, or refuse it, as soon as it is too large."""
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


def answer(reader, threshold, x):
    """Return what the reader says about one image ``(1, 28, 28)``, as the service sends it."""
    with torch.no_grad():
        probabilities = reader(x[None])[0]
    confidence, digit = probabilities.max(dim=0)
    result = {"digit": None, "confidence": round(confidence.item(), 4)}
    if confidence >= threshold:
        result["digit"] = digit.item()
    return result


def create_app(folder):
    """Make the service from the two files that `export` wrote."""
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


def write_card(file, scores, count, threshold):
    """Write the model card: what the reader is for, and a row of shares for each kind of scan."""
    rows = []
    for name, score in scores.items():
        shares = f"{score['accuracy']:.1%} | {score['answered']:.1%}"
        rows.append(f"| {name} | {shares} | {score['answered wrongly']:.1%} |")
    version = torch.__version__
    text = CARD.format(threshold=threshold, torch=version, count=count, rows="\n".join(rows))
    Path(file).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    folder, port = sys.argv[1:]
    app = create_app(folder)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        limit_concurrency=100,
        log_level="warning",
    )
