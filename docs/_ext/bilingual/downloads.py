"""The script and the notebook of each lesson, in the language of the site."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx_gallery import notebook
from sphinx_gallery.py_source_parser import Block

from bilingual import catalogs, folds, markdown, scripts, transform_priorities

logger = logging.getLogger(__name__)


class WriteDownloads(SphinxTransform):
    """Write both files when a lesson is read, and point its links to them."""

    default_priority = transform_priorities.WRITE_DOWNLOADS

    def apply(self, **kwargs: object) -> None:
        """Write the files, unless the page is not a lesson."""
        page = self.env.current_document.docname
        source = Path(self.env.srcdir, f"{page}.py")
        links = list(self.document.findall(download_reference))
        if not links or not source.exists():
            return
        folder = f"_build/downloads/{self.config.language}/{page}"
        for suffix, content in contents(self.env, page, source).items():
            file = Path(self.env.srcdir, folder + suffix)
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists() or file.read_text("utf-8") != content:
                file.write_text(content, "utf-8")
        for link in links:
            link["reftarget"] = f"/{folder}{Path(link['reftarget']).suffix}"


def contents(env: BuildEnvironment, page: str, source: Path) -> dict[str, str]:
    """Return the script and the notebook by suffix.

    An `ExtensionError` is raised if the script is not the same program that the site ran.
    """

    def describe(role: str, content: str) -> str:
        return plain_role(env, role, content)

    def localized(wrap: bool) -> list[Block]:
        blocks, unmatched = scripts.translate(original, translations, wrap)
        if wrap:
            for message in sorted(unmatched):
                logger.warning("not in the script: %s", message, location=page, type="bilingual")
        return scripts.clean(blocks, folds.title_in_downloads, describe)

    original = scripts.read(source)
    translations = {
        message: scripts.plain(text, describe)
        for message, text in catalogs.translations(env).items()
    }
    script = scripts.write(localized(wrap=True))
    if not scripts.same_program(source.read_text("utf-8"), script):
        raise ExtensionError(f"{page}: the {env.config.language} download is another program")
    cells = notebook.jupyter_notebook_skeleton()
    for block in localized(wrap=False):
        if block.type == "code":
            notebook.add_code_cell(cells, block.content)
        elif text := markdown.convert(block.content, env):
            notebook.add_markdown_cell(cells, text)
    return {".py": script, ".ipynb": json.dumps(cells, indent=1, ensure_ascii=False) + "\n"}


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
    text = text if target else page_title(env, page)
    context = env.config.html_context
    if context.get("base_url"):
        return f"`{text} <{context['base_url']}/{context['folder']}/{page}.html>`__"
    return text if target else f"“{text}”"


def page_title(env: BuildEnvironment, page: str) -> str:
    """Return the translated title of a page, which Sphinx may not have read yet."""
    script, prose = (Path(env.srcdir, page + suffix) for suffix in (".py", ".md"))
    if script.exists():
        text = _title(script, script.stat().st_mtime_ns)
    elif prose.exists():
        rows = prose.read_text("utf-8").splitlines()
        text = next(row for row in rows if row.startswith("# ")).removeprefix("# ")
    else:
        return page.replace("_", " ")  # Sphinx itself warns about the link
    return catalogs.translations(env, page).get(text, text)


@cache
def _title(script: Path, changed: int) -> str:
    """Split a script only once, however many pages link to it."""
    return scripts.title(script)


def setup(app: Sphinx) -> None:
    """Register the transform."""
    app.add_transform(WriteDownloads)
