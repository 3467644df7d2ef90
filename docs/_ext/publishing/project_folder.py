"""The folder of the complete project: an archive beside the wheel, and the link to it.

The archive holds the project, the package that it imports, its tests, and a script that names what
has to be installed: it runs without this site.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from docutils import nodes
from sphinx.locale import _
from sphinx.transforms import SphinxTransform

from bilingual import transform_priorities
from bilingual.archives import pack
from bilingual.requirements import FOLDER

ROOT = Path(__file__).parents[3]
NAME = "digit_reader"
PART = "lessons/project/"  # the pages that link to it
LINK = "Whole project"
NEEDS = ["fastapi", "numpy", "pandas", "pillow", "torch", "tqdm", "uvicorn"]
AT_TOP = {
    "README.md": f"src/{NAME}/README.md",
    "README.zh-CN.md": f"src/{NAME}/README.zh-CN.md",
    "LICENSE": "LICENSE",
    f"tests/test_{NAME}.py": f"tests/test_{NAME}.py",
}


def write_project(html_dir: Path) -> Path:
    """Pack the folder; the same source gives the same bytes."""
    archive = html_dir / FOLDER / f"{NAME}.zip"
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(pack(NAME, contents()))
    return archive


def contents() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file."""
    yield "run.py", run_script().encode()
    for name, file in AT_TOP.items():
        yield name, (ROOT / file).read_bytes()
    for package in (NAME, "handbook"):
        for file in (ROOT / "src" / package).rglob("*"):
            if file.is_file() and file.suffix not in (".pyc", ".md"):
                yield file.relative_to(ROOT / "src").as_posix(), file.read_bytes()


def run_script() -> str:
    """Return the script that runs all of it, with what it needs as PEP 723 has it."""
    pinned = [f'#     "{name}=={metadata.version(name).partition("+")[0]}",' for name in NEEDS]
    rows = ["# /// script", '# requires-python = ">=3.11,<3.15"', "# dependencies = ["]
    rows += [*pinned, "# ]", "# ///", ""]
    return "\n".join(rows) + "\n" + Path(__file__).with_name("run_project.py").read_text("utf-8")


class LinkToProject(SphinxTransform):
    """Put the archive beside the script and the notebook of the lessons that build it."""

    default_priority = transform_priorities.LINK_TO_PROJECT

    def apply(self, **kwargs: object) -> None:
        """Add the link to the box at the foot of the page."""
        page = self.env.current_document.docname
        if not page.startswith(PART):
            return
        up = "../" * (page.count("/") + 1)
        for box in self.document.findall(nodes.container):
            if "sphx-glr-footer-example" in box["classes"]:
                link = nodes.reference("", _(LINK), refuri=f"{up}{FOLDER}/{NAME}.zip")
                classes = ["sphx-glr-download", "sphx-glr-download-project"]
                box += nodes.container("", nodes.paragraph("", "", link), classes=classes)
