"""What the miniature site offers for download: scripts, notebooks, and archives of all of them."""

import ast
import base64
import io
import json
import re
import shutil
import zipfile
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from bilingual import archives, build

TINY = Path(__file__).parent / "tinysite"
FIRST, SECOND = "lessons/part/01_first", "lessons/part/02_second"


def program_of(body):
    """Return what statements do, in a form that can be compared."""
    return ast.dump(ast.Module(body, []))


def cells_of(tiny, folder, name):
    """Return the cells of a notebook, without the one that installs."""
    file = tiny / f"docs/_build/html/{folder}/_downloads/part/{Path(name).name}.ipynb"
    book = json.loads(file.read_text("utf-8"))
    nbformat.validate(book)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    install, *cells = book["cells"]
    assert install["cell_type"] == "code" and "find_spec" in "".join(install["source"])
    return cells


def picture_of(data):
    """Return a picture of a notebook: the drawing itself, or the pixels of what is no drawing."""
    if "image/svg+xml" in data:
        return "".join(data["image/svg+xml"]).encode("utf-8")
    return pixels_of(base64.b64decode(data["image/png"]))


def pixels_of(file):
    """Return the pixels of a file, however they are packed."""
    with Image.open(io.BytesIO(file)) as image:
        return image.size, image.convert("RGBA").tobytes()


@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_downloads(tiny, page, name):
    """Each site links to its own script and notebook, which are the same program as the lesson."""
    lesson = ast.parse((tiny / name.replace("lessons", "examples")).with_suffix(".py").read_text())
    program = program_of(lesson.body[1:])
    for folder, title in (("en", "of all"), ("zh", "首先" if name == FIRST else "其次")):
        links = [link["href"] for link in page(folder, name).select("a.download")]
        file = f"../../_downloads/part/{Path(name).name}"
        assert links == [f"{file}.ipynb", f"{file}.py"]
        base = tiny / "docs/_build/html" / folder / "lessons/part"
        script = (base / links[1]).read_text("utf-8")
        module = ast.parse(script)
        assert title in ast.get_docstring(module).split("\n")[0]
        assert program_of(module.body[1:]) == program
        cells = cells_of(tiny, folder, name)
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        assert program_of(ast.parse(code).body) == program
        prose = "\n".join(cell["source"][0] for cell in cells if cell["cell_type"] == "markdown")
        assert title in prose.split("\n")[0] and prose.startswith("# ")
        for text in (script, prose):
            assert not re.search(r":(doc|term|func):", text)
            assert not re.search(r"\.\. (alt|answer|check|drawing|earlier)::", text)


def test_scripts_say_what_they_need(tiny):
    """A lesson that imports only the standard library needs nothing."""
    for folder in ("en", "zh"):
        first, second = (
            (tiny / f"docs/_build/html/{folder}/_downloads/part/{Path(name).name}.py").read_text()
            for name in (FIRST, SECOND)
        )
        assert "\n# dependencies = [\n# ]\n# ///\n" in first
        pin = f"matplotlib=={version('matplotlib')}"
        assert f'\n# dependencies = [\n#     "{pin}",\n# ]\n# ///\n' in second


def test_notebooks_hold_what_the_build_printed_and_drew(tiny, page):
    """The figures are those of the page, with their descriptions; no cell ran a second time."""
    for folder in ("en", "zh"):
        for name in (FIRST, SECOND):
            outputs = [o for cell in cells_of(tiny, folder, name) for o in cell.get("outputs", [])]
            printed = ["".join(o["text"]).strip() for o in outputs if o["output_type"] == "stream"]
            shown = [
                block.get_text().strip()
                for block in page(folder, name).select(".sphx-glr-script-out pre")
            ]
            assert printed == shown and shown
            drawn = [o["data"] for o in outputs if o["output_type"] == "display_data"]
            images = page(folder, name).select(".drawn img.only-light")
            assert [data["text/plain"] for data in drawn] == [[img["alt"]] for img in images]
            files = (tiny / "docs/lessons/part/images").glob(f"sphx_glr_{Path(name).name}_00?.*")
            assert [picture_of(data) for data in drawn] == [
                file.read_bytes() if file.suffix == ".svg" else pixels_of(file.read_bytes())
                for file in sorted(files)
            ]


def test_notebooks_collapse_what_the_page_folds(tiny):
    """The code of folds is hidden, and of answers the results, too."""
    hidden = {}
    for cell in cells_of(tiny, "zh", SECOND):
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            state = cell["metadata"].get("jupyter", {})
            title = source.split("\n")[0].removeprefix("# @title ")
            assert source.startswith("# @title ") == state.get("source_hidden", False)
            assert (cell["metadata"].get("cellView") == "form") == bool(state)
            hidden.setdefault(title, []).append(state.get("outputs_hidden"))
    assert hidden == {
        "import warnings": [None],
        "绘图代码": [False, True],  # the second one is in an answer
        "try:": [None],
        "答案 1": [True],
        "答案 2": [True],
        "已核对": [True],
    }


def test_a_notebook_says_how_its_cells_are_run(tiny):
    """Once, because a cell that is repeated may fail."""
    for folder, words in (("en", "in order, from the top"), ("zh", "从头开始，按顺序")):
        head, _heading, _text = cells_of(tiny, folder, FIRST)[0]["source"][0].partition("\n\n## ")
        assert words in head.split("\n\n")[-1]


def test_chinese_notebook(tiny):
    """Every construct is converted to Markdown."""
    cells = cells_of(tiny, "zh", FIRST)
    prose = "\n\n".join(c["source"][0] for c in cells if c["cell_type"] == "markdown")
    for expected in (
        "# 首先",
        r"$\frac{a}{b}$ 和 `C:\new`。",
        "**粗体**和*斜体*",
        "《其次》，另一页，函数 `area()`",
        "[链接](https://example.org/a_b)",
        "- 第二项\n\n  - 它自己也有一项。",
        "1. **预测。** 会得到什么？\n2. **修改。** 把它变大。",
        "> **备注**\n>\n> 有两段的提示。\n>\n> - 里面的列表。",
        "| 名称 | 含义 |\n| --- | --- |\n| `side` | 边长 |",
        "$$\nA = a^2\n$$",
        "> 数统治着宇宙。",
        "```python\narea(4)  # 在只供阅读的代码里\n```",
        "<details><summary>答案 1</summary>\n\n三乘三，和 `area` 说的一样。\n\n</details>",
        "**答案 2**",
        "**已核对**",
        "<details><summary>如果你以前学过 PyTorch</summary>\n\n面积以前叫 `quadratures`。\n\n",
    ):
        assert expected in prose


def test_archives(tiny, page):
    """The home page leads to all scripts and all notebooks, and says how large they are."""
    for folder, titles in (
        ("en", ["All scripts", "All notebooks"]),
        ("zh", ["全部脚本", "全部 notebook"]),
    ):
        box = page(folder, "index").select_one(".hb-archives")
        assert [link.get_text() for link in box.find_all("a")] == titles
        for link, kind, suffix in zip(
            box.find_all("a"), ("scripts", "notebooks"), (".py", ".ipynb"), strict=True
        ):
            file = tiny / "docs/_build/html" / folder / link["href"]
            top = f"tiny-{kind}-{folder}"
            assert file.name == f"{top}.zip"
            size = archives.size(file.stat().st_size)
            assert link.find_next_sibling("span").get_text() == f"({size})"
            with zipfile.ZipFile(file) as archive:
                names = [f"{top}/part/{Path(name).name}{suffix}" for name in (FIRST, SECOND)]
                assert archive.namelist() == names
                for name, entry in zip(names, archive.infolist(), strict=True):
                    original = file.parent / Path(name).relative_to(top)
                    assert archive.read(name) == original.read_bytes()
                    assert entry.date_time == archives.OLDEST
                    assert entry.external_attr == 0o100644 << 16


def test_an_archive_takes_over_what_has_not_changed(monkeypatch):
    """It has the bytes of one that is packed from nothing, also where files changed or are gone."""
    files = [("a.py", b"1" * 1000), ("b.py", b"two"), ("c/d.py", bytes(range(256)) * 9)]
    before = archives.pack("top", files)
    for now in (files, files[1:], [*files, ("e.py", b"5")], [files[0], ("b.py", b"2")]):
        assert archives.pack("top", now, before) == archives.pack("top", now)
    changed = [files[0], ("b.py", b"2"), files[2]]
    fresh = archives.pack("top", changed)
    packed = []
    write = zipfile.ZipFile.writestr
    monkeypatch.setattr(
        zipfile.ZipFile,
        "writestr",
        lambda archive, entry, content: (packed.append(content), write(archive, entry, content)),
    )
    assert archives.pack("top", changed, before) == fresh
    assert packed == [b"2"]
    assert archives.pack("top", changed, before[:-9]) == fresh, "an archive that was cut off"


def test_an_archive_follows_its_files(tiny, tmp_path):
    """The page that shows its size does, too, though it did not change itself."""
    root = tmp_path / "site"
    shutil.copytree(tiny, root)
    shutil.rmtree(root / "docs/_build/html/en/_downloads")
    script = root / "examples/part/02_second.py"
    text = "".join(f"# {number}\n" for number in range(2000))
    script.write_text(f"{script.read_text()}\n{text}")
    build.build_sites(root / "docs")
    file = root / "docs/_build/html/en/_downloads/tiny-scripts-en.zip"
    index = (root / "docs/_build/html/en/index.html").read_text()
    assert archives.size(file.stat().st_size) in index
    assert "KB" in index and file.stat().st_size > 4000
