"""Do all of it: ``python -m digit_reader FOLDER`` goes from raw files to an answer over HTTP."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

from digit_reader import data, evaluation, raw, service, training


def ask(address, content=None):
    """Ask the service; the answer is a dict."""
    request = Request(address, content, {"Content-Type": "image/png"})
    with urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def main(folder):
    """Write scans, check them, train, evaluate, export, serve and ask."""
    scans = folder / "scans"
    if not (scans / "labels.csv").exists():
        raw.write_raw_files(scans)
    table = data.check_files(scans)
    print("Faults:", table["fault"].value_counts().drop("").to_dict())

    sets = training.load(scans)
    model, history = training.train(sets, checkpoint=folder / "training.pt")
    print(f"Loss on the validation set: {history[-1]['val_loss']:.3f}")

    x, y = sets["val"]
    logits = evaluation.predict(model, x)
    temperature = evaluation.find_temperature(logits, y)
    confidence, answers = (logits / temperature).softmax(dim=1).max(dim=1)
    threshold = evaluation.find_threshold(confidence, answers == y)
    x, y = sets["test"]
    scores = {"as they are": evaluation.score(model, temperature, threshold, x, y)}
    for name, change in evaluation.CHANGES.items():
        scores[name] = evaluation.score(model, temperature, threshold, change(x), y)
    service.export(model, temperature, threshold, folder / "service")
    service.write_card(folder / "service/MODEL_CARD.md", scores, len(y), threshold)
    print((folder / "service/MODEL_CARD.md").read_text("utf-8"))

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # if another program takes it before us, we say so below
    command = [sys.executable, "-m", "digit_reader.service", str(folder / "service"), str(port)]
    server = subprocess.Popen(command)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        health = None
        while health is None:
            try:
                health = ask(f"{address}/health")
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"The service did not start at {address}.")
                time.sleep(0.1)
        print(f"The service runs at {address}:", health)
        name = table["file"][table["fault"] == ""].iloc[-1]
        print(f"{name}:", ask(f"{address}/read", (scans / name).read_bytes()))
    finally:
        server.terminate()
        server.wait()
    print("Start it yourself:", " ".join(["python", *command[1:]]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
