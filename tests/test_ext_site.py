"""The miniature site in both languages: it is executed once and translated completely."""

import ast
import re
import shutil
from pathlib import Path

import polib
import pytest
from bs4 import BeautifulSoup
from docutils import nodes

from bilingual import build, catalogs, completeness, sphinx_build
from bilingual.code_comments import find_comments
from bilingual.project import Project

TINY = Path(__file__).parent / "tinysite"
FIRST, SECOND = "lessons/part/01_first", "lessons/part/02_second"


def code_of(soup):
    """Return the text of the code blocks, without the outputs."""
    blocks = soup.select("div.highlight pre")
    out = [block for block in blocks if block.find_parent(class_="sphx-glr-script-out")]
    return [block.get_text() for block in blocks if block not in out]


def catalog(name):
    """Read a catalog of the miniature site."""
    return polib.pofile(str(TINY / f"docs/locale/zh_CN/LC_MESSAGES/{name}.po"))


@pytest.mark.parametrize("name", ["index", "glossary", "where", "lessons/index", FIRST, SECOND])
def test_no_message_stays_english(page, name):
    """Prose, titles, list items, table cells, comments and alt texts are translated."""
    html = re.sub(r"\s+", " ", page("zh", name).get_text(" ") + str(page("zh", name)))
    for entry in catalog(name):
        if entry.msgid != entry.msgstr and len(entry.msgid.split()) > 1:
            assert not re.search(rf"(?<!\w){re.escape(entry.msgid)}(?!\w)", html)
    assert not re.search(r"\*\*|``|:\w+:`", page("zh", name).get_text()), "raw markup"


def test_comments_are_translated_and_code_is_not(page):
    """Without their comments, the blocks of both languages are the same program."""
    english, chinese = (code_of(page(folder, FIRST)) for folder in ("en", "zh"))
    assert len(english) == len(chinese) == 6
    assert [ast.dump(ast.parse(code)) for code in english] == [
        ast.dump(ast.parse(code)) for code in chinese
    ]
    assert "side = 3  # 行尾的注释" in chinese[0]
    assert "fmt: skip" not in english[0] + chinese[0], "a formatter reads it, and no learner"
    assert "    # 在函数里，有缩进。" in chinese[0]
    assert not any(re.search("[a-z]{4}", c.text) for c in find_comments(chinese[0])[:2])
    assert "# 正文里的注释" in code_of(page("zh", "index"))[0]


def test_outputs_are_the_same(page):
    """Outputs are not messages either."""
    outputs = [
        [
            block.get_text().strip()
            for block in page(folder, name).select(".sphx-glr-script-out pre")
        ]
        for name in (FIRST, SECOND)
        for folder in ("en", "zh")
    ]
    assert outputs[0] == outputs[1] == ["area: 9", "9", "900"]
    assert outputs[2] == outputs[3] == ["raised: watch out"], "warnings are errors in a lesson"
    assert "area: 9" not in [entry.msgid for entry in catalog(FIRST)]


def test_the_word_above_outputs_is_translated(tiny):
    """The style sheet shows it, which each language has for itself."""
    for folder, word in (("en", "Out:"), ("zh", "输出：")):
        style = (tiny / f"docs/_build/html/{folder}/_static/bilingual.css").read_text("utf-8")
        assert re.findall(r'content: "(.*?)"', style) == [word]


def test_answers_are_folded(page):
    """An answer holds text, code, output and figures, but not the text that follows."""
    for folder, title in (("en", "Answer 1"), ("zh", "答案 1")):
        first, second = page(folder, FIRST).select("details.answer")
        assert first.summary.get_text() == title and not first.has_attr("open")
        assert "area(3)" in first.get_text() and "9" in first.get_text()
        assert "area(30)" in second.get_text() and second.summary.get_text() == title[:-1] + "2"
        assert not second.find_all(["h2", "section"])
        drawn = page(folder, SECOND).select_one("details.answer")
        assert drawn.img
    assert "答案后面的文字不折叠。" not in second.get_text()


def test_checks_are_folded(page):
    """A check is one quiet line without a count; one after an answer is inside the answer."""
    for folder, title in (("en", "Checked"), ("zh", "已核对")):
        alone, inner = page(folder, FIRST).select("details.check")
        for check in (alone, inner):
            assert check.summary.get_text() == title and not check.has_attr("open")
            assert len(check.select("pre")) == 1 and "assert area" in check.pre.get_text()
        assert alone.find_parent("details") is None
        assert inner.find_parent("details")["class"] == ["fold", "answer"]


def test_drawings_are_folded_and_their_figures_are_not(page):
    """Only in an answer is the figure folded, together with the rest of the answer."""
    for folder, title in (("en", "Code of the figure"), ("zh", "绘图代码")):
        alone, inner = page(folder, SECOND).select("details.drawing")
        for drawing in (alone, inner):
            assert drawing.summary.get_text() == title
            assert "ax.plot" in drawing.get_text() and not drawing.img
        figure = alone.find_next("img")
        assert figure["alt"] in ("A line that rises and falls.", "一条先升后降的线。")
        assert figure.find_parent("details") is None
        answer = inner.find_parent("details")
        assert answer.summary.get_text()[-1] == "2"
        assert answer.img["alt"] in ("A level line.", "一条水平线。")
        assert len(answer.select("details.check")) == 1


def test_what_changed_is_folded(page):
    """The box at the foot is the last one of the page."""
    for folder, title in (
        ("en", "If you learned PyTorch earlier"),
        ("zh", "如果你以前学过 PyTorch"),
    ):
        box = page(folder, FIRST).select("details.fold")[-1]
        assert box["class"] == ["fold", "earlier"] and box.summary.get_text() == title
        assert "quadratures" in box.get_text()
        assert box.find_all("a")[-1]["href"].endswith("glossary.html"), "more of what has changed"


def test_the_head_of_a_lesson(page):
    """Its place, its time, and the lessons it builds on stand below the question."""
    for folder, place, time, before in (
        ("en", "Lesson 1 of 2", "Runs in under 30 s on 2 cores", "Before: First of all"),
        ("zh", "第 1 课，共 2 课", "在 2 个 CPU 核上运行不到 30 秒", "先修：首先"),
    ):
        first, second = (page(folder, name).select_one(".lesson-head") for name in (FIRST, SECOND))
        (line,) = first.find_all("p")
        part, *rest = line.get_text().split(" · ")
        assert part == page(folder, "lessons/part/index").h1.get_text().rstrip("¶")
        assert rest[0] == place and rest[2] == time and re.search(r"\d", rest[1])
        assert first.find_previous_sibling().name == "p", "the question"
        assert first.find_previous_sibling().find_previous_sibling().name == "h1"
        place, links = second.find_all("p")
        assert time not in place.get_text(), "it was not measured"
        assert links.get_text() == before and links.a["href"] == "01_first.html"


def test_the_neighbours_are_those_of_the_order(page):
    """The theme shows them, and browsers may load them ahead."""
    for folder, first, second in (("en", "First of all", "Second of all"), ("zh", "首先", "其次")):
        assert page(folder, FIRST).select_one('link[rel="next"]')["title"] == second
        assert page(folder, SECOND).select_one('link[rel="prev"]')["title"] == first
        assert page(folder, FIRST).select_one('link[rel="prev"]')["href"] == "index.html"


def test_where_it_is_explained(page):
    """Names are sorted by their last part, with links to the lessons in every language."""
    for folder, first, second in (("en", "First of all", "Second of all"), ("zh", "首先", "其次")):
        drawn, syntax = page(folder, "where").select("ul.where-explained")
        found = [item.get_text().strip() for item in drawn.select("li")]
        assert found == [f"Axes.plot · {second}", f"matplotlib.pyplot.subplots · {second}"]
        assert syntax.get_text().strip() == f"try · {first}"
        assert syntax.a["href"] == "lessons/part/01_first.html"


def test_pages_follow_what_they_show(tiny, tmp_path):
    """A head and a list change with a file that is neither their script nor their catalog."""
    root = tmp_path / "site"
    shutil.copytree(tiny, root)
    (root / "docs/lesson_times.json").write_text('{"part/02_second": 10}')
    (root / "examples/introduces.toml").write_text('"part/02_second" = ["Python: try"]')
    html = root / "docs/_build/html/zh"
    images = html / "_images/lessons/part"
    shown = sorted(images.iterdir())
    (images / "sphx_glr_02_second_009_card.webp").write_bytes(b"of an earlier build")
    build.build_sites(root / "docs")
    assert shown == sorted(images.iterdir()), "what is shown stays, and nothing else"
    assert "不到 10 秒" in (html / f"{SECOND}.html").read_text("utf-8")
    assert "不到 30 秒" not in (html / f"{FIRST}.html").read_text("utf-8")
    assert "01_first.html" not in (html / "where.html").read_text("utf-8").split("</ul>")[-2]


def test_a_fold_without_code_is_an_error(tiny, tmp_path, capfd):
    """A check or a drawing whose code was forgotten would be an empty box."""
    root = tmp_path / "site"
    shutil.copytree(TINY, root, ignore=shutil.ignore_patterns("part", "locale", "where.md"))
    (root / "docs/index.md").write_text("# Tiny\n\n```{eval-rst}\n.. check::\n```\n")
    sphinx_build.run_sphinx(
        Project(root / "docs"), "html", root / "html", "-D", "bilingual_lessons=text"
    )
    assert "`.. check::` without code after it" in capfd.readouterr().out


def test_figures_have_alt_texts(page):
    """Quotes are escaped, and the directive itself does not appear on the page."""
    english, chinese = (
        [image["alt"] for image in page(folder, SECOND).select(".drawn img.only-light")]
        for folder in ("en", "zh")
    )
    dark = [image["alt"] for image in page("zh", SECOND).select(".drawn img.only-dark")]
    assert dark == chinese
    assert english[0] == 'A line that rises "steeply" from 0, and reaches 9.'
    assert english[1:3] == ["A line that rises and falls.", "A line that falls."]
    assert chinese[0] == "从 0 开始“急剧”上升、到达 9 的一条线。"
    assert chinese[1:] == ["一条先升后降的线。", "一条下降的线。", "一条水平线。"]


def test_thumbnails(page):
    """Titles and first paragraphs are translated, on gallery pages and in a mini-gallery."""
    for name in ("lessons/index", "lessons/part/index", "index"):
        thumbnail = page("zh", name).select(".sphx-glr-thumbcontainer")[-1]
        assert thumbnail["tooltip"] == "图怎样得到它的说明？"
        assert thumbnail.a.get_text() == "其次"
        assert "Second" not in thumbnail.get_text()
        assert thumbnail.select_one(".card-question").get_text() == "图怎样得到它的说明？"
        assert re.fullmatch(r"\d+ 分钟 · 入门", thumbnail.select_one(".card-facts").get_text())
        light, dark = thumbnail.select(".card-figure img")
        assert light["src"].endswith("_001_card.webp") and dark["src"].endswith("_dark_card.webp")
        assert not page("zh", name).select("#sg-tag-list")
        assert len(page("zh", name).select("h1")) == 1


def test_figures_come_in_two_drawings_that_exist(tiny, page):
    """Each has its size, waits until it is seen, and links to the largest picture."""
    for folder in ("en", "zh"):
        for figure in page(folder, SECOND).select(".drawn"):
            base = tiny / "docs/_build/html" / folder / "lessons/part"
            assert [image["class"] for image in figure.select("img")] == [
                ["only-light"],
                ["only-dark"],
            ]
            for image in figure.select("img"):
                assert (image["width"], image["height"]) == ("200", "200")
                assert image["loading"] == "lazy" and (base / image["src"]).stat().st_size > 500
            assert (base / figure.a["href"]).exists()
            assert figure["style"].startswith("--needs: ")


def test_formulas_are_mathml(page):
    """The source is kept for the search and for those who copy it."""
    for folder in ("en", "zh"):
        inline, block = page(folder, FIRST).select(".math > math")
        assert inline["alttext"] == r"\frac{a}{b}" and inline.mfrac
        assert block["display"] == "block" and block.msup


def test_each_lesson_is_there_as_markdown(tiny):
    """With its text, code, outputs, folds and the words of its figures, in both languages."""
    for folder, parts in (
        (
            "en",
            [
                "# First of all\n",
                "```python\n# A comment of one line.\nside = 3",
                "```text\narea: 9\n```",
                "**Answer 1**",
            ],
        ),
        (
            "zh",
            [
                "# 首先\n",
                "```python\n# 只有一行的注释。\nside = 3",
                "```text\narea: 9\n```",
                "**答案 1**",
                "$$",
            ],
        ),
    ):
        text = (tiny / f"docs/_build/html/{folder}/{FIRST}.md").read_text("utf-8")
        for part in parts:
            assert part in text
        assert ":doc:" not in text and "sphx-glr" not in text
    second = (tiny / f"docs/_build/html/zh/{SECOND}.md").read_text("utf-8")
    assert "![一条下降的线。](" in second


@pytest.mark.parametrize("folder", ["en", "zh"])
def test_links_in_markdown_lead_somewhere(tiny, folder):
    """Figures are where the site has them, and other lessons are Markdown, too."""
    found = {}
    for name in (FIRST, SECOND):
        file = tiny / f"docs/_build/html/{folder}/{name}.md"
        prose = re.sub(r"^```.*?^```$", "", file.read_text("utf-8"), flags=re.M | re.S)
        found[name] = re.findall(r"\]\((?!https?:)([^)#]+)", prose)
        assert [link for link in found[name] if not (file.parent / link).exists()] == []
    assert "02_second.md" in found[FIRST] and "../../glossary.html" in found[FIRST]
    assert [link for link in found[SECOND] if link.endswith(".svg")]


def test_gallery_text(page):
    """Sphinx-gallery's own sentences are translated."""
    text = page("zh", FIRST).get_text()
    assert "下载本课的脚本或 notebook" in text and "脚本" in text
    assert not re.search(r"Download|Go to the end|Gallery|zip", text)


def test_a_translation_is_complete_and_current(tiny, tmp_path, capfd):
    """The build of a translation finds what a comparison with new templates finds."""
    root = tmp_path / "site"
    shutil.copytree(tiny, root)
    file = root / f"docs/locale/zh_CN/LC_MESSAGES/{SECOND}.po"
    po = polib.pofile(str(file))
    po.find("An answer may draw.").msgstr = ""
    po.find("A line that falls.").flags = ["fuzzy"]
    po.append(polib.POEntry(msgid="Not there.", msgstr="没有。"))
    po.append(polib.POEntry(msgid="Gone.", msgstr="没有。", obsolete=True))
    po.save()
    words = file.parents[2] / "sphinx.po"
    words.write_text(words.read_text("utf-8").replace('msgstr "答案 %s"', 'msgstr ""'), "utf-8")
    shutil.copy(words, words.with_name("nowhere.po"))
    found = build.check_catalogs(Project(root / "docs"))
    assert f"{file}: untranslated: An answer may draw." in found
    assert f"{file}: fuzzy: A line that falls." in found
    assert {f"{file}: obsolete: Not there.", f"{file}: obsolete: Gone."} <= set(found)
    assert f"{words}: untranslated: Answer %s" in found
    assert f"{words.with_name('nowhere.po')}: obsolete: there is no such page" in found
    assert len(found) == 6
    for _ in range(2):  # a page with a warning is read again
        capfd.readouterr()
        with pytest.raises(SystemExit, match="failed"):
            build.build_sites(root / "docs")
        log = capfd.readouterr().out
        for problem in found:
            name, _colon, text = problem.partition(": ")
            page = Path(name).relative_to(file.parents[2]).with_suffix("").as_posix()
            text = text.replace("fuzzy", "untranslated")
            assert any(page in line and text in line for line in log.splitlines()), problem
        assert "not in the script: Not there." in log


def test_warnings_of_a_draft_are_not_forgotten(tiny, tmp_path):
    """The next build that is not a draft finds what a draft tolerated."""
    root = tmp_path / "site"
    shutil.copytree(tiny, root)
    file = root / "docs/locale/zh_CN/LC_MESSAGES/index.po"
    file.write_text(file.read_text("utf-8").replace('msgstr "小站"', 'msgstr ""'), "utf-8")
    build.build_sites(root / "docs", draft=True)
    assert "Tiny" in (root / "docs/_build/html/zh/index.html").read_text("utf-8")
    with pytest.raises(SystemExit, match="failed"):
        build.build_sites(root / "docs")


def test_a_third_language_needs_a_line_in_conf_and_catalogs(tiny, tmp_path):
    """Here one part is translated; what is not stays in the source language, and is listed."""
    root = tmp_path / "site"
    shutil.copytree(tiny, root)
    conf = root / "docs/conf.py"
    japanese = '("zh_CN", "zh", "zh-CN", "中文"), ("ja", "ja", "ja", "日本語")]'
    text = conf.read_text("utf-8").replace('("zh_CN", "zh", "zh-CN", "中文")]', japanese)
    conf.write_text(text, "utf-8")
    project = Project(root / "docs")
    language = project.languages[2]
    part = project.catalogs(language) / "lessons/part/index.po"
    known = {"A part": "ひとつの部", "Two scripts.": "**二つの**スクリプト。"}
    part.parent.mkdir(parents=True)
    template = tmp_path / "index.pot"
    polib.POFile().save(str(template))
    source = polib.pofile(str(template))
    source.extend(polib.POEntry(msgid=message) for message in known)
    source.save()
    catalogs.refresh(template, part, known, "Tiny")
    assert '"Plural-Forms: nplurals=1; plural=0;' in part.read_text("utf-8")
    log = build.build_html(project, language)
    html = (root / "docs/_build/html/ja/lessons/part/index.html").read_text("utf-8")
    page = BeautifulSoup(html, "html.parser")
    assert page.html["lang"] == "ja" and page.h1.get_text().startswith("ひとつの部")
    assert "二つのスクリプト。" in page.get_text() and page.strong.get_text() == "二つの"
    assert "untranslated: A part" in log, "the page of all lessons has no catalog yet"
    assert "part/index.rst" not in log and "untranslated: Answer %s" in log


@pytest.mark.parametrize(
    ("message", "broken", "fault"),
    [
        ("Two scripts.", "**两个脚本。", "markup that is not understood, at '**'"),
        ("A part", "一个``部分", "markup that is not understood, at '``'"),
        ("Two scripts.", "两个:nowhere:`脚本`。", "markup that is not understood"),
    ],
)
def test_broken_markup_in_a_translation_is_named(tiny, tmp_path, message, broken, fault):
    """With the line of the catalog and the message, in titles, too; the other pages are built."""
    root = tmp_path / "site"
    shutil.copytree(tiny, root)
    project = Project(root / "docs")
    language = project.languages[1]
    file = project.catalogs(language) / "lessons/part/index.po"
    po = polib.pofile(str(file))
    po.find(message).msgstr = broken
    po.save()
    line = polib.pofile(str(file)).find(message).linenum
    log = re.sub("\x1b\\[.*?m", "", build.build_html(project, language))
    assert f"{file}:{line}: WARNING: {fault}" in log
    assert f"fix the translation: {broken}" in log


@pytest.mark.parametrize(
    ("text", "seen"),
    [("小于 2**53 时", False), ("这是**重要的", True), ("共有 3** 个", True), ("``x", True)],
)
def test_a_power_is_no_markup(text, seen):
    assert bool(completeness.markup_fault(nodes.paragraph("", "", nodes.Text(text)))) == seen


def test_the_extension_imports_neither_torch_nor_handbook():
    """It must work for any gallery and start fast."""
    for file in sphinx_build.EXTENSIONS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [
                alias.name for alias in getattr(node, "names", []) if isinstance(node, ast.Import)
            ]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"torch", "handbook"}, file


def test_titles_of_pages_are_marked_in_chinese_sentences(page):
    """A link in a sentence has the marks; one with words of its own or in the head has none."""
    text = page("zh", FIRST).get_text()
    assert "《其次》，另一页，函数" in text and "《另一页》" not in text
    assert "《首先》" in page("zh", SECOND).get_text()
    head = page("zh", SECOND).select_one(".lesson-head").get_text()
    assert "首先" in head and "《" not in head
    assert not any("《" in page("en", name).get_text() for name in (FIRST, SECOND))
