"""The digit reader: each of its modules, and all of it by one command."""

import io
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from fastapi import HTTPException
from PIL import Image

from digit_reader import data, evaluation, raw, service, training


def png(**options):
    """Return the bytes of a blank page."""
    file = io.BytesIO()
    Image.new("L", (28, 28), 255).save(file, "PNG", **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Write 1,000 scans and the faults, once."""
    folder = tmp_path_factory.mktemp("scans")
    return folder, raw.write_raw_files(folder, count=1000)


@pytest.fixture(scope="module")
def sets(scans):
    return training.load(scans[0])


def test_every_planted_fault_is_found(scans):
    folder, planted = scans
    table = data.check_files(folder)
    for fault in ("unreadable", "bad label", "blank", "duplicate"):
        found = table["file"][table["fault"] == fault].tolist()
        assert found == sorted(planted[fault]), fault
    assert table["fault"].ne("").sum() == sum(map(len, planted.values())) - raw.WRONG_LABEL


def test_raw_files_are_the_same_each_time(scans, tmp_path):
    raw.write_raw_files(tmp_path, count=1000)
    for file in scans[0].iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("count", [999, 10_001])
def test_raw_files_need_a_count_that_is_there(tmp_path, count):
    with pytest.raises(ValueError, match=r"1,000 to 10,000"):
        raw.write_raw_files(tmp_path, count=count)


def test_ink_is_one_and_paper_is_zero():
    x = data.read_image(png())
    assert x.shape == (1, 28, 28) and x.dtype == torch.float32 and x.max() == 0


def test_what_is_no_scan_is_refused():
    large, jpeg, colour, clear, deep, keyed = (io.BytesIO() for _ in range(6))
    Image.new("L", (64, 28)).save(large, "PNG")
    Image.new("L", (28, 28)).save(jpeg, "JPEG")
    Image.new("RGB", (28, 28)).save(colour, "PNG")
    Image.new("RGBA", (28, 28)).save(clear, "PNG")
    Image.new("I;16", (28, 28), 30000).save(deep, "PNG")
    Image.new("L", (28, 28)).save(keyed, "PNG", transparency=0)
    for content in (b"", b"hello", png()[:40], jpeg.getvalue()):
        with pytest.raises(ValueError, match=r"not a PNG image, or it is damaged$"):
            data.read_image(content)
    with pytest.raises(ValueError, match=r"^is 64 × 28 pixels, not 28 × 28$"):
        data.read_image(large.getvalue())
    for file in (colour, clear, deep, keyed):
        with pytest.raises(ValueError, match=r"^is not 8-bit grey, or it is transparent$"):
            data.read_image(file.getvalue())


def test_damage_anywhere_is_the_same_error():
    whole = png()
    for i in range(len(whole)):
        for value in (0, 255):
            damaged = whole[:i] + bytes([value]) + whole[i + 1 :]
            try:
                data.read_image(damaged)
            except ValueError as error:
                assert str(error).startswith("is ")


def test_the_same_bytes_go_into_the_same_set(scans):
    contents = [file.read_bytes() for file in sorted(scans[0].glob("*.png"))]
    chosen = [data.choose_set(content) for content in contents]
    assert chosen == [data.choose_set(bytes(content)) for content in contents]
    shares = [chosen.count(name) / len(chosen) for name in ("train", "val", "test")]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.05)


def test_suspects():
    x = torch.cat([torch.zeros(12, 1, 4, 4), torch.ones(12, 1, 4, 4)])
    y = torch.tensor([0] * 12 + [1] * 12)
    y[3] = 1  # among eleven zeros
    assert data.find_suspects(x, y).nonzero().flatten().tolist() == [3]


def test_a_killed_training_goes_on_where_it_was(scans, tmp_path):
    """As if it had never been killed, bit for bit."""
    command = [sys.executable, "-m", "digit_reader.training", str(scans[0])]
    killed = tmp_path / "killed.pt"
    with subprocess.Popen([*command, str(killed)], stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 120
        while not killed.exists() and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done = [
        subprocess.run([*command, str(file)], check=True, capture_output=True, text=True)
        for file in (killed, tmp_path / "whole.pt")
    ]
    assert done[0].stdout == done[1].stdout
    weights = [
        torch.load(file, weights_only=True)["model"] for file in (killed, tmp_path / "whole.pt")
    ]
    for name in weights[0]:
        assert torch.equal(weights[0][name], weights[1][name])


def test_changes_move_what_they_say():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 1, 2] = 1
    assert evaluation.shift(x, 2)[0, 0, 1, 4] == 1 and evaluation.shift(x, 3).sum() == 0
    assert evaluation.thicken(x).sum() == 9
    assert evaluation.fade(x).sum() == 0.25
    assert evaluation.turn(x)[0, 0, 2, 1] == 1
    assert evaluation.invert(x).sum() == 24


def test_temperature_of_a_network_that_is_too_sure():
    torch.manual_seed(0)
    logits = torch.eye(10).repeat(100, 1) * 2
    y = torch.distributions.Categorical(logits=logits).sample()
    assert evaluation.find_temperature(3 * logits, y) == pytest.approx(3, abs=0.4)


def test_threshold():
    confidence = torch.tensor([0.9, 0.8, 0.7, 0.6])
    right = torch.tensor([True, True, False, True])
    assert evaluation.find_threshold(confidence, right, 0.99) == pytest.approx(0.8)
    assert evaluation.find_threshold(confidence, right, 0.75) == pytest.approx(0.6)
    with pytest.raises(ValueError, match=r"no threshold makes 99\.0% of the answers right"):
        evaluation.find_threshold(confidence, ~right, 0.99)
    with pytest.raises(ValueError, match="no threshold"):  # a tie: both are answered, or neither
        evaluation.find_threshold(torch.tensor([0.9, 0.9]), torch.tensor([True, False]))


def test_a_request_is_read_up_to_the_limit_and_refused_if_it_is_no_scan():
    class Sent:
        def __init__(self, *chunks, kind="image/png"):
            self.chunks, self.asked = chunks, 0
            self.headers = {"Content-Type": kind}

        async def stream(self):
            for chunk in self.chunks:
                self.asked += 1
                yield chunk

    def read(request):
        coroutine = service.read_scan(request)
        with pytest.raises(StopIteration) as done:
            coroutine.send(None)
        return done.value.value

    assert torch.equal(read(Sent(png()[:40], png()[40:])), torch.zeros(1, 28, 28))
    endless = Sent(*[b"x" * 6000] * 100)
    with pytest.raises(HTTPException, match="413"):
        service.read_scan(endless).send(None)
    assert endless.asked == 2
    form = Sent(b"ab", kind="text/plain")  # what a page of another site can send
    with pytest.raises(HTTPException, match="415"):
        service.read_scan(form).send(None)
    assert form.asked == 0
    dark = io.BytesIO()
    Image.new("L", (28, 28), 0).save(dark, "PNG")
    for content, reason in ((b"hello", "not a PNG"), (dark.getvalue(), "is it inverted")):
        with pytest.raises(HTTPException, match=f"422.*{reason}"):
            service.read_scan(Sent(content)).send(None)


def test_the_service_has_two_paths(tmp_path):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    service.export(model, 1.0, 0.0, tmp_path)
    routes = {route.path: route.endpoint for route in service.create_app(tmp_path).routes}
    assert sorted(routes) == ["/health", "/read"]  # no pages that load scripts from elsewhere
    assert routes["/health"]() == {"status": "ready"}
    assert routes["/read"](torch.zeros(1, 28, 28))["digit"] in range(10)


def test_all_of_it_by_one_command(tmp_path):
    """From raw files to an answer over HTTP; the model card has a row for each change."""
    command = [sys.executable, "-W", "error", "-m", "digit_reader", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\.png: \{'digit': \d, 'confidence': 0\.99\d*\}", done.stdout)
    card = (tmp_path / "service/MODEL_CARD.md").read_text("utf-8")
    rows = re.findall(r"^\| (.+?) \| ([\d.]+)% \| ([\d.]+)% \| ([\d.]+)% \|$", card, re.M)
    assert [row[0] for row in rows] == ["as they are", *evaluation.CHANGES]
    accuracy, answered, wrongly = map(float, rows[0][1:])
    assert accuracy > 93 and answered > 60 and wrongly < 3
