"""In a notebook and in a script: the bar where someone watches, and an interrupt loses nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

SETUP = """
import time, torch
from pathlib import Path
from torch import nn
from handbook import Batches, fit, regression_step

x = torch.linspace(-1, 1, 40).unsqueeze(1)

def train(epochs, on_epoch_end=None):
    torch.manual_seed(0)
    model = nn.Linear(1, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = Batches(x, x, batch_size=10, shuffle=True)
    options = {"optimizer": sgd, "checkpoint": "run.pt", "on_epoch_end": on_epoch_end}
    return fit(model, batches, regression_step, epochs=epochs, **options)
"""
SLOW = """
def slow(row):
    Path("seen").write_text(str(row["epoch"]))
    if row["epoch"] == 3 and not Path("again").exists():
        time.sleep(600)

history = train(4, slow)
print(len(history), "epochs")
"""
KERNEL = {"OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def texts(cell, name=None):
    """Join what a cell wrote, to one stream or to all."""
    return "".join(o.text for o in cell.outputs if name in (None, o.get("name")) and "text" in o)


def test_a_notebook_shows_the_bar_and_goes_on_after_an_interrupt(tmp_path, monkeypatch):
    for name, value in KERNEL.items():
        monkeypatch.setenv(name, value)
    code = nbformat.v4.new_code_cell
    book = nbformat.v4.new_notebook(cells=[code(SETUP), code(SLOW), code(SLOW)])
    client = NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    with client.setup_kernel():
        client.execute_cell(book.cells[0], 0)

        def interrupt():
            """As the button does, once the third epoch is over and its row is being looked at."""
            seen = tmp_path / "seen"
            while not (seen.exists() and seen.read_text() == "3"):
                if ended.wait(0.05):
                    return
            os.kill(client.km.provisioner.pid, signal.SIGINT)

        ended = Event()
        thread = Thread(target=interrupt, daemon=True)
        thread.start()
        try:
            client.execute_cell(book.cells[1], 1)
            raise AssertionError("it was not interrupted")
        except CellExecutionError as error:
            assert error.ename == "KeyboardInterrupt"
        finally:
            ended.set()
            thread.join()
        assert "epoch 3/4: 100%" in texts(book.cells[1], "stderr")

        (tmp_path / "again").touch()
        client.execute_cell(book.cells[2], 2)
    assert texts(book.cells[2], "stdout") == "4 epochs\n"
    bar = texts(book.cells[2], "stderr")
    assert "epoch 4/4: 100%" in bar and "loss=" in bar
    assert not any(f"epoch {i}/4" in bar for i in (1, 2, 3))  # they are in the checkpoint


def test_a_script_whose_output_no_one_watches_writes_only_its_own(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SETUP + "print(len(train(3)))\n")
    command = [sys.executable, "-W", "error", script.name]
    settings = os.environ | KERNEL
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")
    assert {path.name for path in Path(tmp_path).iterdir()} == {"script.py", "run.pt"}
