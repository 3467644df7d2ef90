"""A site of a few lessons without any other page, for tests of what happens when they run."""

from pathlib import Path

CONF = """\
from bilingual import gallery

extensions = ["myst_parser", "sphinx_gallery.gen_gallery", "bilingual"]
bilingual_languages = {languages}
exclude_patterns = ["_build", "locale"]
locale_dirs = ["locale"]
gettext_compact = False
html_theme = "basic"
sphinx_gallery_conf = {{
    **gallery.SETTINGS,
    "examples_dirs": "../examples",
    "gallery_dirs": "lessons",
    "doc_module": ("textwrap",),
}}
"""
ENGLISH = [("en", "en", "en", "English")]
DRAWS = "# %%\n# .. alt:: A line.\n\nimport matplotlib.pyplot as plt\nplt.plot([1, {}])\n"
INDEX = "# Small\n\n```{toctree}\nlessons/index\n```\n"


def lesson(code: str, title: str = "Title") -> str:
    """Return a script with this code, which begins in line 8."""
    return f'"""\n{title}\n{"=" * len(title)}\n\nA question?\n"""\n\n{code}\n'


def write_site(
    root: Path,
    lessons: dict[str, str],
    languages: list[tuple[str, str, str, str]] = ENGLISH,
    **settings: object,
) -> Path:
    """Write the scripts `part/name`, each with its code, and return the folder with conf.py."""
    docs = root / "docs"
    docs.mkdir(parents=True)
    conf = CONF.format(languages=languages)
    conf += "".join(f"{name} = {value!r}\n" for name, value in settings.items())
    (docs / "conf.py").write_text(conf, "utf-8")
    (docs / "index.md").write_text(INDEX, "utf-8")
    for name, code in {"": "", **lessons}.items():
        part = (root / "examples" / name).parent if name else root / "examples"
        part.mkdir(exist_ok=True)
        header = part / "GALLERY_HEADER.rst"
        if not header.exists():
            header.write_text(f"Part {part.name}\n{'=' * 20}\n\nWords.\n", "utf-8")
        if name:
            title = f"Lesson {name.partition('/')[2]}"
            (root / f"examples/{name}.py").write_text(lesson(code, title), "utf-8")
    return docs


def written(docs, *folders):
    """Return what lies in these folders below docs, by path."""
    return {
        file.relative_to(docs).as_posix(): file.read_bytes()
        for folder in folders
        for file in sorted((docs / folder).rglob("*"))
        if file.is_file()
    }
