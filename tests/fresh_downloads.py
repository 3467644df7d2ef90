"""Run a lesson where nothing is installed, from a site that knows its address.

`python fresh_downloads.py`: a small site with a lesson of the handbook is built and served on this
machine. `uv run` runs the English script; the Chinese notebook runs in an environment that has a
kernel and nothing else, and once more when the site is gone. The folder of the complete project
runs by its one command.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parents[1] / "docs/_ext"))

import nbformat
from nbclient import NotebookClient

from bilingual import build
from course.order import ORDER
from publishing import build_wheel, project_folder, write_project, write_wheel

ROOT = Path(__file__).parents[1]
LESSON = next(name for name in ORDER if name.startswith("tensors/"))
PLACE = "part/02_second"  # in the miniature site
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
        run_script(here / "script", f"{address}/en/_downloads/{PLACE}.py")
        book = fetch(f"{address}/zh/_downloads/{PLACE}.ipynb")
        kernel = make_kernel(here / "kernel")
        run_notebook(book, kernel)
        wheels = [request for request in ASKED if ".whl" in request]
        assert wheels, "the site was not asked for the package"
        server.shutdown()
        server.server_close()
        run_project(here)
        os.environ |= {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1"}
        run_notebook(book, kernel)
    print(
        f"The project and {LESSON} ran where nothing was installed, as a script and as a notebook."
    )


def build_site(root: Path, address: str) -> None:
    """Build the miniature site with a lesson of the handbook in place of its last one."""
    shutil.copytree(ROOT / "tests/tinysite", root, dirs_exist_ok=True)
    shutil.copy2(ROOT / f"examples/{LESSON}.py", root / f"examples/{PLACE}.py")
    catalogs = "docs/locale/zh_CN/LC_MESSAGES/lessons"
    shutil.copy2(ROOT / catalogs / f"{LESSON}.po", root / catalogs / f"{PLACE}.po")
    conf = root / "docs/conf.py"
    of_handbook = runpy.run_path(str(ROOT / "docs/conf.py"))
    wanted = ("bilingual_warm_up", "bilingual_environment", "downloads_")
    settings = {name: of_handbook[name] for name in of_handbook if name.startswith(wanted)}
    shutil.copy2(ROOT / "docs" / settings["bilingual_warm_up"], root / "docs")
    settings["html_context"] = {"base_url": address}
    lines = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
    conf.write_text(f"{conf.read_text('utf-8')}\n{lines}", "utf-8")
    # As a draft, because the links to other lessons lead nowhere.
    write_wheel(build.build_sites(root / "docs", draft=True), build_wheel())


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


def run_project(folder: Path) -> None:
    """Unpack the folder of the project, and run it by its one command."""
    with zipfile.ZipFile(write_project(folder)) as archive:
        archive.extractall(folder)
    place = folder / project_folder.NAME
    done = subprocess.run(["uv", "run", "run.py"], cwd=place, capture_output=True)
    if done.returncode or b"The service runs" not in done.stdout:
        sys.exit(f"uv run run.py failed:\n{done.stderr.decode()}")


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
