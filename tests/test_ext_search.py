"""The search index: what it holds of a page, when a page is read again, and which words are one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from search import index as search_index
from search.same_words import read_synonyms, traditional_characters

ROOT = Path(__file__).parents[1]
PAGE = """<html><body><nav>Menu</nav><article>
<section id="top"><h1>A title<a class="headerlink" href="#">#</a></h1>
<p>About <code><span>nn</span>.<span>Conv2d</span></code> and
<span class="math"><math alttext="\\frac{1}{2}\\,\\theta_{i}^2"><mi>x</mi></math></span>.</p>
<p>张量和<em>梯度</em>。</p>
<section id="deep"><h2>Deeper</h2>
<div class="highlight-Python notranslate"><pre><span class="c1"># one more</span>
<span class="kn">import</span> <span class="nn">torch</span>
<span class="n">x</span> = <span class="n">torch</span>.<span class="n">ones</span>(
<span class="s2">"no"</span>)
<span class="nb">print</span>(<span class="n">x</span>.<span class="n">shape</span>)
</pre></div>
<div class="sphx-glr-script-out highlight-none"><pre>ValueError: expected 4D input
0.1  0.2
</pre></div>
<div class="highlight-bash"><pre>pip install torch
</pre></div><div class="sphx-glr-footer">Script</div></section>
<dl class="glossary"><dt id="term-a">a</dt><dt id="term-b">b</dt><dd><p>Both.</p></dd></dl>
<dl class="py function"><dt class="sig" id="handbook.fit">handbook.fit(<em>model</em>)</dt>
<dd><p>Train.</p>
<dl class="py method"><dt class="sig" id="handbook.fit.m">m()</dt><dd>Inner.</dd></dl></dd></dl>
</section></article><footer>Licence</footer></body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Make the site of one language, with one page that the index holds."""
    for name in ("index", "search", "lessons/one"):
        path = tmp_path / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGE, "utf-8")
    return tmp_path


def test_an_article_is_cut_at_its_headings_and_terms() -> None:
    article = BeautifulSoup(PAGE, "html.parser").article
    assert article is not None
    assert search_index.split_sections(article) == [
        ("top", "A title", "About nn.Conv2d and 1/2 theta_i^2. 张量和梯度。", ""),
        (
            "deep",
            "Deeper",
            "one more ValueError: expected 4D input pip install torch",
            "torch torch.ones shape",
        ),
        ("term-a", "a", "Both.", ""),
        ("term-b", "b", "Both.", ""),
        ("handbook.fit", "handbook.fit", "handbook.fit(model) Train.", ""),
        ("handbook.fit.m", "handbook.fit.m", "m() Inner.", ""),
    ]


def test_the_index_is_a_script_that_holds_only_articles(site: Path) -> None:
    search_index.write_index(site, [["tensor", "张量"]], ["errata"])
    script = (site / "search-data.js").read_text("utf-8")
    found = re.fullmatch(r"window.handbookIndex=(.*);\nwindow.handbookWords=(.*);\n", script, re.S)
    assert found is not None
    pages, words = map(json.loads, found.groups())
    assert [url for url, _, _ in pages] == ["lessons/one.html"]
    assert not re.search("Menu|Licence|Script|#", script)
    assert words["synonyms"] == [["tensor", "张量"]]
    assert words["aside"] == ["errata.html"]
    assert words["explains"] == {}
    assert "張张" in words["traditional"] and "網网" not in words["traditional"]


def explained(site: Path) -> dict[str, list[str]]:
    """Write the index, and return what it says about the names that are explained."""
    search_index.write_index(site)
    words = (site / "search-data.js").read_text("utf-8").rpartition("handbookWords=")[2]
    return dict(json.loads(words.removesuffix(";\n"))["explains"])


def test_the_index_says_which_page_explains_a_name(site: Path) -> None:
    items = "".join(
        f'<li><p>{name} · <a href="{page}">Title</a></p></li>'
        for name, page in [
            ("<code>torch.ones</code>", "lessons/two.html#top"),
            ("lambda", "lessons/one.html"),
            ("<code>Tensor.sum</code>", "lessons/one.html"),
            ("<code>Tensor.mean</code>", "lessons/one.html"),
        ]
    )
    page = f'<article><ul class="where-explained simple">{items}</ul></article>'
    (site / "where.html").write_text(page, "utf-8")
    found = {"lessons/one.html": ["Tensor.sum", "Tensor.mean"], "lessons/two.html": ["torch.ones"]}
    for _ in range(2):  # the second time it is taken from the index
        assert explained(site) == found
    (site / "where.html").write_text(page.replace("sum", "amax"), "utf-8")
    assert explained(site)["lessons/one.html"] == ["Tensor.amax", "Tensor.mean"]
    (site / "where.html").unlink()
    assert explained(site) == {}


SECTIONS = {
    "quantize": ("Quantization", "How a network gets smaller."),
    "quality": ("Quality", "What good data are, for a module."),
    "convolution": ("卷积", "卷积核在图像上滑动。"),
    "reel": ("卷起", "把纸卷起来，就是一卷纸。"),
    "models": ("Models", "The models of the package, each a module with attributes."),
    "recipe": ("A recipe", "A model, which is a module of torch, that learned on another task."),
    "transfer": ("Another task", "With few images, begin with a pretrained model."),
    "device": (
        "Devices",
        "A module of torch, its attribute, errors with CUDA, compiled code.",
    ),
    "install": ("Installation", "Torch not compiled with CUDA enabled: you have a CPU build."),
    "glossary": ("Glossary", "Stride: how far a window moves."),
    "layers": ("Layers", "A window moves by its stride, and pads what is outside."),
    "errata": ("Is it still true?", "torch.symeig: it is torch.linalg.eigh now."),
    "module": ("Module", "A module of torch is a part of a network, with an attribute or two."),
    "first": (
        "First",
        "A module has an attribute. Call fused_step, and fused_step again.",
    ),
    "explains": ("Second", "What it does in the end, fused_step, after many other words here."),
}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("quantizaton", "quantize"),  # a letter is missing
        ("quantisaton", "quantize"),  # and another spelling
        ("qauntization", "quantize"),  # two letters changed places
        ("卷级", "convolution"),  # a word that sounds the same
        ("pretrained model", "transfer"),  # "model" is everywhere
        ("AssertionError: Torch not compiled with CUDA enabled", "install"),
        ("stride", "layers"),  # before the glossary, which has a line on it
        ("AttributeError: module 'torch' has no attribute 'symeig'", "errata"),
        ("fused_step", "explains"),  # as the list of names says
    ],
)
def test_what_the_engine_finds(query: str, first: str) -> None:
    words = {
        "synonyms": [["convolution", "卷积"]],
        "traditional": "張张",
        "aside": ["glossary", "errata"],
        "explains": {"explains": ["handbook.fused_step"]},
    }
    assert first_page(query, SECTIONS, words) == first


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.parametrize("error", ["", "ModuleNotFoundError: "])
def test_a_whole_message_is_found_though_each_of_its_words_is_common(error: str) -> None:
    common = {
        f"page {number}": ("A page", "Torch names each module: no torch module is named twice.")
        for number in range(8)
    }
    quoted = {"quoted": ("Trouble", "After an update or in another folder: No module named torch.")}
    words = {"synonyms": [], "traditional": "張张", "aside": []}
    assert first_page(f"{error}No module named 'torch'", common | quoted, words) == "quoted"


def first_page(query: str, sections: dict[str, tuple[str, str]], words: dict[str, object]) -> str:
    """Let the engine search the sections, each a page of its own, and return the best one."""
    pages = [[name, title, [["", title, text, ""]]] for name, (title, text) in sections.items()]
    static = Path(search_index.__file__).with_name("static")
    script = f"""
        const MiniSearch = require({json.dumps(str(static / "minisearch.min.js"))});
        require({json.dumps(str(static / "search-engine.js"))});
        handbookSearch.createSearch(MiniSearch, {json.dumps(pages)}, {json.dumps(words)}).then(
            (engine) => engine.search({json.dumps(query)}).results.map((page) => page.section.url)
        ).then((found) => console.log(JSON.stringify(found)));
    """
    run = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    return str(json.loads(run.stdout)[0])


def test_only_changed_pages_are_read_again(site: Path, monkeypatch) -> None:
    index = site / "search-data.js"
    (site / "lessons/two.html").write_text(PAGE.replace("A title", "Two"), "utf-8")
    search_index.write_index(site)
    whole = index.read_text("utf-8")
    read = []
    split = search_index.split_sections
    monkeypatch.setattr(search_index, "split_sections", lambda tag: read.append(1) or split(tag))
    search_index.write_index(site)
    assert not read and index.read_text("utf-8") == whole
    later = index.stat().st_mtime_ns + 1_000_000
    page = site / "lessons/one.html"
    page.write_text(PAGE.replace("A title", "Another"), "utf-8")
    os.utime(page, ns=(later, later))
    search_index.write_index(site)
    assert len(read) == 1
    assert index.read_text("utf-8") == whole.replace('"A title"', '"Another"')


def test_the_index_forgets_deleted_pages(site: Path) -> None:
    search_index.write_index(site)
    (site / "lessons/one.html").unlink()
    search_index.write_index(site)
    script = (site / "search-data.js").read_text("utf-8")
    assert script.startswith("window.handbookIndex=[\n\n];\n")


def test_a_truncated_index_is_written_again(site: Path) -> None:
    index = site / "search-data.js"
    search_index.write_index(site)
    whole = index.read_text("utf-8")
    index.write_text(whole[:-20], "utf-8")
    search_index.write_index(site)
    assert index.read_text("utf-8") == whole


def test_words_that_mean_the_same_are_read_from_lists_and_tables(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# A comment\nGPU, graphics card, 显卡\nalone\n", "utf-8")
    table = (
        "english,chinese,note\nkey / value,键 / 值,\nkernel (GPU),内核（GPU）,\nlogits,logits,\n"
    )
    (tmp_path / "table.csv").write_text(table, "utf-8")
    assert read_synonyms(tmp_path / "list.txt") == [["gpu", "graphics card", "显卡"]]
    found = read_synonyms(tmp_path / "table.csv")
    assert found == [["key", "键"], ["value", "值"], ["kernel", "内核"]]


def test_no_synonym_stands_twice_in_a_line_and_each_line_has_both_languages() -> None:
    lines = (ROOT / "docs/synonyms.txt").read_text("utf-8").splitlines()
    for line in lines:
        if not line.startswith("#"):
            words = line.split(", ")
            assert len(words) == len(set(words)), line
            assert any(word.isascii() for word in words), line
            assert not all(word.isascii() for word in words), line


def test_only_characters_of_the_site_are_in_the_table_of_traditional_ones() -> None:
    assert traditional_characters("张量") == "張张"
