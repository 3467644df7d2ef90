"""Build the wheel of the package that the lessons use, put it on the site, and link to it.

The role ``wheel`` takes the name of the package: ``{wheel}`torch-handbook` ``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxRole

from bilingual.requirements import FOLDER, wheel_name

ROOT = Path(__file__).parents[3]
PACKAGE = "torch-handbook"


class WheelRole(SphinxRole):
    """Link to the wheel of a package; its text is the name of the file."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the link, from the page to the folder beside those of the languages."""
        name = wheel_name(self.text)
        up = "../" * (self.env.current_document.docname.count("/") + 1)
        file = nodes.literal("", name)
        return [nodes.reference(self.rawtext, "", file, refuri=f"{up}{FOLDER}/{name}")], []


def build_wheel() -> bytes:
    """Build the wheel without a network; the same source gives the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"Building the wheel failed:\n{done.stdout}{done.stderr}")
        name, (built,) = wheel_name(PACKAGE), Path(folder).iterdir()
        if built.name != name:
            sys.exit(
                f"The downloads name {name}, but this is {built.name}: install the package again"
            )
        return built.read_bytes()


def write_wheel(html_dir: Path, content: bytes) -> Path:
    """Put the wheel on the site, alone in its folder."""
    wheel = html_dir / FOLDER / wheel_name(PACKAGE)
    shutil.rmtree(wheel.parent, ignore_errors=True)  # a wheel of another version
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(content)
    return wheel
