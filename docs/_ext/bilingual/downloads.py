"""The script and the notebook of each lesson, in the language of the site.

Their addresses are stable: `_downloads/<part>/<lesson>.py` and `.ipynb`.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx_gallery.py_source_parser import Block

from bilingual import (
    catalogs,
    folds,
    notebooks,
    requirements,
    scripts,
    title_marks,
    titles,
    transform_priorities,
)

logger = logging.getLogger(__name__)
SUFFIXES = (".py", ".ipynb")
HELD = "downloads"  # in the place of a page: Sphinx keeps the address of a file that has one


def lessons(env: BuildEnvironment) -> list[str]:
    """List the pages that are lessons, in the order of their names."""
    return sorted(page for page in env.found_docs if Path(env.srcdir, f"{page}.py").exists())


def folder(env: BuildEnvironment) -> str:
    """Return the folder of the files before they are copied to the site."""
    return f"_build/downloads/{env.config.language}"


def name_in_site(env: BuildEnvironment, page: str) -> str:
    """Return the name of a lesson below `_downloads`, without a suffix."""
    return (
        PurePosixPath(page).relative_to(env.config.sphinx_gallery_conf["gallery_dirs"]).as_posix()
    )


class WriteDownloads(SphinxTransform):
    """Write both files once a lesson is translated and folded, and point its links to them."""

    default_priority = transform_priorities.WRITE_DOWNLOADS

    def apply(self, **kwargs: object) -> None:
        """Write the files, unless the page is not a lesson."""
        page = self.env.current_document.docname
        source = Path(self.env.srcdir, f"{page}.py")
        links = list(self.document.findall(download_reference))
        if not links or not source.exists():
            return
        name = f"{folder(self.env)}/{page}"
        for suffix, content in contents(self.env, page, source, self.document).items():
            file = Path(self.env.srcdir, name + suffix)
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists() or file.read_text("utf-8") != content:
                file.write_text(content, "utf-8")
        for link in links:
            link["reftarget"] = f"/{name}{Path(link['reftarget']).suffix}"


def contents(
    env: BuildEnvironment, page: str, source: Path, document: nodes.document
) -> dict[str, str]:
    """Return the script and the notebook by suffix.

    An `ExtensionError` is raised if the script is not the same program that the site ran.
    """

    def describe(role: str, content: str) -> str:
        return plain_role(env, role, content)

    def localized() -> list[Block]:
        blocks, unmatched = scripts.translate(scripts.read(source), translations)
        for message in sorted(unmatched):
            logger.warning("not in the script: %s", message, location=page, type="bilingual")
        return scripts.clean(blocks, folds.title_in_downloads, describe)

    translations = {
        message: scripts.plain(text, describe)
        for message, text in catalogs.translations(env).items()
    }
    original = source.read_text("utf-8")
    needs = requirements.needs(original, env.config)
    header = requirements.script_header(needs, source.name, env.config)
    script = header + scripts.write(localized())
    if not scripts.same_program(original, script):
        raise ExtensionError(f"{page}: the {env.config.language} download is another program")
    notebook = notebooks.write(env, document, requirements.install_cell(needs))
    return dict(zip(SUFFIXES, (script, notebook), strict=True))


def plain_role(env: BuildEnvironment, role: str, content: str) -> str:
    """Write a role for readers without Sphinx: titles and terms as text, names as code."""
    if role == "math":
        return f":math:`{content}`"
    text, _bracket, target = content.removesuffix(">").partition(" <")
    if role == "term":
        return text
    if role != "doc":
        return f"``{text.rpartition('.')[2] if text.startswith('~') else text}``"
    page = (target or text).lstrip("/")
    text = text if target else titles.page_title(env, page)
    marks = "" if target else title_marks.marks_of(env.config)
    if address := titles.page_address(env, page):
        text = f"`{text} <{address}>`__"
    elif not target:
        marks = marks or "“”"
    return f"{marks[:1]}{text}{marks[1:]}"


def hold_addresses(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Give each file its address, before Sphinx would make one from a digest."""
    for name, (pages, _address) in list(env.dlfiles.items()):
        if HELD in pages:
            del env.dlfiles[name]
    for page in lessons(env):
        for suffix in SUFFIXES:
            address = PurePosixPath(name_in_site(env, page) + suffix)
            env.dlfiles[Path(f"{folder(env)}/{page}{suffix}")] = ({HELD, page}, address)


def setup(app: Sphinx) -> None:
    """Register the transform and the handler."""
    app.add_transform(WriteDownloads)
    app.connect("env-before-read-docs", hold_addresses)
