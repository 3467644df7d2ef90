"""How a page looks, and how little it weighs: formulas, figures, icons and the style sheet.

Formulas are MathML, figures come in a light and a dark drawing, and what no page uses of the
theme's scripts, fonts and styles is left out. `drawing` and `dark_colours` run beside a lesson, and
`formulas`, `figures` and `slim_styles` when the pages are made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:  # Sphinx is not there where a download is run and drawn
    from sphinx.application import Sphinx
    from sphinx.config import Config

HERE = Path(__file__).parent


def add_static_files(app: Sphinx, config: Config) -> None:
    """Tell Sphinx where the style sheets and the scripts are."""
    config.html_static_path = [*config.html_static_path, str(HERE / "static")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part."""
    # Not needed where a lesson is drawn.
    from looks import figures, formulas, long_names, slim_styles

    for part in (formulas, figures, long_names, slim_styles):
        part.setup(app)
    app.connect("config-inited", add_static_files)
    app.add_css_file("looks.css")
    parts = b"".join(file.read_bytes() for file in sorted(HERE.glob("*.py")))
    return {
        "version": "1",
        "env_version": crc32(parts),  # pages are read again when a part has changed
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
