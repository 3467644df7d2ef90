"""Links to the repository at the foot of a page, where the build is told which one it is.

`HANDBOOK_REPOSITORY` is the address of the repository, `HANDBOOK_BRANCH` the branch with the
sources (`main` if it is not given), `HANDBOOK_SITE_BRANCH` one that holds the built site: Colab
opens notebooks from there. Without the first one there are no links.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.locale import _

from bilingual import catalogs, downloads, shared_words

COLAB = "Open in Colab"
EDIT = "Edit this page"
EDIT_TRANSLATION = "Edit the translation"
REPORT = "Report a fault"
FORM = "lesson.yml"  # in .github/ISSUE_TEMPLATE, with a field `page`


class Repository(NamedTuple):
    """What the build is told."""

    address: str
    branch: str
    site_branch: str


def told() -> Repository:
    """Read the environment."""
    address, branch, site_branch = (
        os.environ.get(f"HANDBOOK_{name}", "") for name in ("REPOSITORY", "BRANCH", "SITE_BRANCH")
    )
    return Repository(address.rstrip("/"), branch or "main", site_branch)


def links(env: BuildEnvironment, page: str) -> list[tuple[str, str]]:
    """Return the words and the address of each link of a page."""
    repository = Repository(*env.config.html_context["repository"])
    if not repository.address or page not in env.found_docs:
        return []
    found = []
    if notebook := colab(env, page, repository):
        found.append((_(COLAB), notebook))
    sources = {EDIT: source(env, page), EDIT_TRANSLATION: catalog(env, page)}
    for words, file in sources.items():
        if file:
            address = f"{repository.address}/edit/{repository.branch}/{quote(file)}"
            found.append((_(words), address))
    name = f"{env.titles[page].astext()} ({env.config.html_context['folder']}/{page})"
    asked = urlencode({"template": FORM, "page": name})
    found.append((_(REPORT), f"{repository.address}/issues/new?{asked}"))
    return found


def source(env: BuildEnvironment, page: str) -> str:
    """Return the file from which a page is made: a script, the head of a part, or a page."""
    conf = env.config.sphinx_gallery_conf
    docs = Path(env.srcdir).name
    gallery = f"{conf['gallery_dirs']}/"
    if not page.startswith(gallery):
        return f"{docs}/{page}.md"
    examples = PurePosixPath(os.path.normpath(PurePosixPath(docs, conf["examples_dirs"])))
    name = page.removeprefix(gallery)
    if page in downloads.lessons(env):
        return f"{examples}/{name}.py"
    header = f"{examples}/{name.removesuffix('index')}GALLERY_HEADER.rst"
    return header if Path(env.srcdir).parent.joinpath(header).exists() else ""


def catalog(env: BuildEnvironment, page: str) -> str:
    """Return the catalog with the translation of a page; the source language has none."""
    file = catalogs.catalog_path(env, page)
    return file.relative_to(Path(env.srcdir).parent).as_posix() if file.exists() else ""


def colab(env: BuildEnvironment, page: str, repository: Repository) -> str:
    """Return where Colab opens the notebook of a lesson: it knows the repositories of GitHub."""
    place, branch = urlsplit(repository.address), repository.site_branch
    if not branch or place.netloc != "github.com" or page not in downloads.lessons(env):
        return ""
    folder = env.config.html_context["folder"]
    name = quote(f"{folder}/_downloads/{downloads.name_in_site(env, page)}.ipynb")
    return f"https://colab.research.google.com/github{place.path}/blob/{quote(branch)}/{name}"


def add_links(
    app: Sphinx, page: str, template: str, context: dict[str, Any], document: nodes.document | None
) -> None:
    """Give the template its links."""
    context["page_links"] = links(app.env, page)


def setup(app: Sphinx) -> None:
    """Register the handler and the words."""
    shared_words.register(COLAB, EDIT, EDIT_TRANSLATION, REPORT)
    app.connect("html-page-context", add_links)
