"""All scripts and all notebooks of a language, each in an archive.

The directive ``downloads`` shows the links to both, with their sizes.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.locale import _
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from bilingual import downloads, shared_words

KINDS = {"scripts": (".py", "All scripts"), "notebooks": (".ipynb", "All notebooks")}
OLDEST = (1980, 1, 1, 0, 0, 0)  # the first date that such an archive can hold


class archive_links(nodes.General, nodes.Element):
    """The links, whose sizes are known once every lesson is read."""


class ArchiveLinks(SphinxDirective):
    """Place the links."""

    def run(self) -> list[nodes.Node]:
        """Create the node, and remember its page."""
        self.env.metadata[self.env.current_document.docname]["archive_links"] = True
        return [archive_links()]


def archive_name(env: BuildEnvironment, kind: str) -> str:
    """Return the file name of an archive, which is also the name of the folder in it."""
    return f"{env.config.bilingual_archives}-{kind}-{env.config.html_context['folder']}"


def pack(top: str, files: Iterable[tuple[str, bytes]], before: bytes = b"") -> bytes:
    """Put files under their names into a folder of an archive, the same bytes each time.

    From the archive `before`, which this function has packed, files that have not changed are taken
    over as they are: compressing all of them would take the longer, the more lessons there are.
    """
    old = {}
    if zipfile.is_zipfile(io.BytesIO(before)):  # not if the build was killed while it was written
        with zipfile.ZipFile(io.BytesIO(before)) as archive:
            old = archive.NameToInfo
    packed = io.BytesIO()
    # The highest level would take twice as long for 2 % less.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        for name, content in sorted(files):
            known = old.get(f"{top}/{name}")
            if known and (known.CRC, known.file_size) == (zlib.crc32(content), len(content)):
                _take_over(archive, known, before)
                continue
            entry = zipfile.ZipInfo(f"{top}/{name}", OLDEST)
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return packed.getvalue()


def _take_over(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, before: bytes) -> None:
    """Add an entry of an older archive, header and compressed content; zipfile has no such call."""
    size = zipfile.sizeFileHeader + len(entry.filename.encode()) + entry.compress_size
    content = before[entry.header_offset : entry.header_offset + size]
    entry.header_offset = archive.fp.tell()
    archive.fp.write(content)
    archive.start_dir = archive.fp.tell()  # where the next entry goes, or the list of all
    archive.filelist.append(entry)
    archive.NameToInfo[entry.filename] = entry


def write_archives(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Write the archives, and return the pages that show their sizes."""
    for kind, (suffix, _title) in KINDS.items():
        top = archive_name(env, kind)
        files = [
            (downloads.name_in_site(env, page) + suffix, _file(env, page + suffix))
            for page in downloads.lessons(env)
        ]
        target = _file(env, f"{top}.zip")
        before = target.read_bytes() if target.exists() else b""
        contents = [(name, file.read_bytes()) for name, file in files if file.exists()]
        packed = pack(top, contents, before)
        if packed != before:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(packed)
        name = target.relative_to(env.srcdir)
        env.dlfiles[name] = ({downloads.HELD}, PurePosixPath(target.name))
    return [page for page, notes in env.metadata.items() if "archive_links" in notes]


def _file(env: BuildEnvironment, name: str) -> Path:
    return Path(env.srcdir, downloads.folder(env), name)


def size(count: int) -> str:
    """Write a number of bytes for readers."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} KB"


def visit_archive_links(self: HTML5Translator, node: archive_links) -> None:
    """Write a link for each archive, and the size behind it."""
    env = self.builder.env
    links = []
    for kind, (_suffix, title) in KINDS.items():
        file = f"{archive_name(env, kind)}.zip"
        address = f"{self.builder.dlpath}/{file}"
        bytes_ = size(_file(env, file).stat().st_size)
        link = f'<a class="reference download internal" download href="{address}">{_(title)}</a>'
        links.append(f'{link} <span class="hb-size">({bytes_})</span>')
    self.body.append(f'<p class="hb-archives">{" · ".join(links)}</p>\n')


def depart_archive_links(self: HTML5Translator, node: archive_links) -> None:
    """Do nothing: all is written."""


def setup(app: Sphinx) -> None:
    """Register the directive, the node, the handler and the words."""
    shared_words.register(*(title for _suffix, title in KINDS.values()))
    app.add_node(archive_links, html=(visit_archive_links, depart_archive_links))
    app.add_directive("downloads", ArchiveLinks)
    app.connect("env-updated", write_archives)
