"""Run a lesson where nothing is installed, from a site that knows its address.

`python fresh_downloads.py`: a site of one lesson is built and served on this machine. `uv run` runs
its English script; the Chinese notebook runs in an environment that has a kernel and nothing else,
and once more when the site is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
PART, LESSON = "tensors", "tensors/01_create"
# What would let a program find packages outside of its own environment.
ELSEWHERE = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "UV_PYTHON")


ASKED: list[str] = []


class Quiet(SimpleHTTPRequestHandler):
    """Serve a folder, and remember what was asked for."""

    def log_message(self, text: str, *values: object) -> None:
        """Note the request instead of printing it."""
        ASKED.append(str(values[0]))


def main() -> None:
    """Build, serve, run."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        html = here / "site/docs/_build/html"
        html.mkdir(parents=True)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(html)))
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        build_site(here / "site", address)
        for name in ELSEWHERE:
            os.environ.pop(name, None)
        run_script(here / "script", f"{address}/en/_downloads/{LESSON}.py")
        book = fetch(f"{address}/zh/_downloads/{LESSON}.ipynb")
        kernel = make_kernel(here / "kernel")
        run_notebook(book, kernel)
        wheels = [request for request in ASKED if ".whl" in request]
        assert wheels, "nobody asked the site for the package"
        server.shutdown()
        server.server_close()
        os.environ |= {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1"}
        run_notebook(book, kernel)
    print(f"{LESSON} ran where nothing was installed, as a script and as a notebook.")


def build_site(root: Path, address: str) -> None:
    """Build the site of a copy that has one lesson; links to the others lead nowhere."""
    parts = [*map(ROOT.joinpath, ("docs", "examples", "src", "hatch_build.py", "pyproject.toml"))]
    for part in [*parts, *ROOT.glob("LICENSE*"), *ROOT.glob("*.md")]:
        if part.is_dir():
            made = shutil.ignore_patterns("_build", "__pycache__", "api")
            shutil.copytree(part, root / part.name, ignore=made, dirs_exist_ok=True)
        else:
            shutil.copy2(part, root)
    shutil.rmtree(root / "docs/lessons", ignore_errors=True)
    for part in (root / "examples").glob("*/"):
        if part.name != PART:
            shutil.rmtree(part)
    for script in (root / "examples").glob("*/*.py"):
        if f"{PART}/{script.stem}" != LESSON:
            script.unlink()
    (root / "docs/_ext/course/order.py").write_text(
        f"ORDER = [{LESSON!r}]\nNOT_YET = ORDER\n\n\ndef parts():\n    return [{PART!r}]\n"
    )
    command = [sys.executable, str(root / "docs/build.py"), "--draft"]
    env = os.environ | {"HANDBOOK_BASE_URL": address, "PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"The site was not built:\n{done.stdout}{done.stderr}")


def fetch(address: str) -> str:
    """Load a file from the site."""
    with urlopen(address) as answer:
        return answer.read().decode("utf-8")


def run_script(folder: Path, address: str) -> None:
    """Save a script into a folder of its own, and give it to uv."""
    folder.mkdir()
    script = folder / Path(address).name
    script.write_text(fetch(address), "utf-8")
    env = os.environ | {"MPLBACKEND": "Agg"}
    done = subprocess.run(["uv", "run", script.name], cwd=folder, env=env, capture_output=True)
    if done.returncode or not done.stdout:
        sys.exit(f"uv run {script.name} failed:\n{done.stderr.decode()}")


def make_kernel(folder: Path) -> str:
    """Make an environment with a kernel alone, and tell Jupyter of it."""
    python = folder / "bin/python"
    subprocess.run(["uv", "venv", "--quiet", str(folder)], check=True)
    target = ["--python", str(python)]
    subprocess.run(["uv", "pip", "install", "--quiet", *target, "ipykernel"], check=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Fresh", "language": "python"}
    place = folder / "share/jupyter/kernels/fresh"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps(spec))
    os.environ["JUPYTER_PATH"] = str(folder / "share/jupyter")
    return "fresh"


def run_notebook(book: str, kernel: str) -> None:
    """Run a notebook; a cell that fails is an error."""
    NotebookClient(nbformat.reads(book, 4), timeout=600, kernel_name=kernel).execute()


if __name__ == "__main__":
    main()
