"""The steps of a build: what runs again, what is removed, and what a killed build leaves."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from helpers.small_site import DRAWS, ENGLISH, INDEX, write_site, written

from bilingual import build, locks, sites, sphinx_build
from bilingual.project import Project
from bilingual.results import Results


def run_lessons(docs, only=None):
    """Run the lessons that have to, and return the project."""
    project = Project(docs)
    build.write_lessons(project, only)
    return project


def ran(log):
    """Return the lessons that a log says have run."""
    return [line.split()[1] for line in log.splitlines() if line.startswith("ran ")]


def test_lessons_run_at_the_same_time_and_only_those_that_changed_again(tmp_path, capfd):
    """Each waits for the other one, and the lists of lessons follow without a change of a page."""
    waits = """
import time
from pathlib import Path
from textwrap import dedent
dedent(" x")
Path("../{mine}.here").touch()
end = time.monotonic() + 60
while not Path("../{other}.here").exists():
    assert time.monotonic() < end, "the other lesson does not run at the same time"
    time.sleep(0.01)
"""
    lessons = {f"{a}/{a}": waits.format(mine=a, other=b) for a, b in ("xy", "yx")}
    docs = write_site(tmp_path, lessons, bilingual_workers=2)
    gallery = "```{eval-rst}\n.. minigallery:: textwrap.dedent\n```\n"
    (docs / "index.md").write_text(f"{INDEX}\n{gallery}")
    build.build_sites(docs)
    assert sorted(ran(capfd.readouterr().out)) == ["x/x", "y/y"]
    build.build_sites(docs)
    assert ran(capfd.readouterr().out) == []
    shutil.copy(docs.parent / "examples/x/x.py", docs.parent / "examples/x/z.py")
    build.build_sites(docs)
    assert ran(capfd.readouterr().out) == ["x/z"]
    page = BeautifulSoup((docs / "_build/html/en/index.html").read_text("utf-8"), "html.parser")
    titles = [box.get_text() for box in page.select(".sphx-glr-thumbnail-title")]
    assert titles == ["Lesson x", "Lesson x", "Lesson y"]


def test_any_language_has_its_own_words(tmp_path):
    """The extension alone, and a language that it has never heard of."""
    docs = write_site(tmp_path, {"x/x": "print(1)"}, [*ENGLISH, ("ja", "ja", "ja", "日本語")])
    words = docs / "locale/ja/LC_MESSAGES/sphinx.po"
    words.parent.mkdir(parents=True)
    words.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
        'msgid "Out:"\nmsgstr "出力："\n',
        "utf-8",
    )
    html = tmp_path / "html"
    options = ("-D", "bilingual_lessons=text")
    sphinx_build.run_sphinx(Project(docs), "html", html, *options, language="ja")
    assert '"出力："' in (html / "_static/bilingual.css").read_text("utf-8")
    assert (html / "_downloads/x/x.py").exists()


def test_a_value_is_shown_as_text_even_if_its_library_has_a_widget(tmp_path):
    """A widget would bring styles and scripts that are not in the language of the page."""
    code = """class Model:
    def __repr__(self):
        return "Model(3)"

    def _repr_html_(self):
        return "<b>a widget</b>"


Model()"""
    docs = write_site(tmp_path, {"x/x": code})
    build.build_sites(docs)
    page = (docs / "_build/html/en/lessons/x/x.html").read_text("utf-8")
    assert "Model(3)" in page and "<b>a widget</b>" not in page


def test_a_message_has_only_its_own_page_read_and_a_title_is_shown_everywhere(tmp_path):
    """To read the pages with thumbnails again, those of the package among them, takes long."""
    chinese = ("zh_CN", "zh", "zh-CN", "中文")
    code = "# %%\n# A remark.\n\nimport textwrap\ntextwrap.dedent(' x')"
    docs = write_site(tmp_path, {"x/x": code}, [*ENGLISH, chinese])
    gallery = "```{eval-rst}\n.. minigallery:: textwrap.dedent\n```\n"
    (docs / "index.md").write_text(f"{INDEX}\n{gallery}")
    catalog = docs / "locale/zh_CN/LC_MESSAGES/lessons/x/x.po"
    catalog.parent.mkdir(parents=True)

    trees = docs / "_build/doctrees/html-zh_CN"

    def written():
        """Return when each page's doctree was written, which happens when the page is read."""
        files = trees.rglob("*.doctree")
        return {(f.relative_to(trees).as_posix(), f.stat().st_mtime_ns) for f in files}

    def translated(title, remark):
        """Build with these translations; return the pages read and the thumbnail's title."""
        words = {"Lesson x": title, "A remark.": remark}
        catalog.write_text(
            "\n\n".join(f'msgid "{a}"\nmsgstr "{b}"' for a, b in words.items()), "utf-8"
        )
        before = written()
        build.build_sites(docs, draft=True)
        read = [name.removesuffix(".doctree") for name, _ in written() - before]
        html = (docs / "_build/html/zh/index.html").read_text("utf-8")
        page = BeautifulSoup(html, "html.parser")
        return read, page.select_one(".sphx-glr-thumbnail-title").get_text()

    read, title = translated("第一课", "一句话。")
    assert {"index", "lessons/x/x"} <= set(read) and title == "第一课"
    assert translated("第一课", "另一句话。") == (["lessons/x/x"], "第一课")
    assert translated("另一课", "另一句话。") == (["lessons/x/x"], "另一课")


def test_scripts_that_cannot_be_read_are_all_named(tmp_path):
    """Before anything is executed, each with file, line and what to do."""
    docs = write_site(tmp_path, {"a/good": "print(1)", "a/syntax": "x = 1\nif x\n    y"})
    part = docs.parent / "examples/a"
    good = (part / "good.py").read_text()
    (part / "latin.py").write_bytes(good.replace("print(1)", "x = 1\ny = 'é'").encode("latin-1"))
    (part / "two words.py").write_text(good)
    (part / "untitled.py").write_text("x = 1\n")
    with pytest.raises(SystemExit) as refused:
        build.check_scripts(Project(docs))
    assert str(refused.value).splitlines() == [
        "examples/a/latin.py:9: not UTF-8; save the script as UTF-8",
        "examples/a/syntax.py:9: expected ':'; correct the code",
        "examples/a/two words.py:1: a space in its name; use _ instead",
        "examples/a/untitled.py:1: no docstring; begin with the title",
    ]


def test_references_are_checked_before_anything_is_executed(tmp_path, capfd):
    docs = write_site(tmp_path, {"a/one": "open('ran', 'w').close()"})
    script = docs.parent / "examples/a/one.py"
    script.write_text(script.read_text().replace("A question?", "Why :doc:`/none/at/all`?"))
    with pytest.raises(SystemExit, match="Building gettext"):
        build.build_sites(docs)
    assert "lessons/a/one.rst:" in (log := capfd.readouterr().out) and "none/at/all" in log
    assert not script.with_name("ran").exists()


def test_a_fault_is_found_though_templates_were_written_before_and_a_check_was_killed(
    tmp_path, capfd
):
    """What is read without an error is not read again: neither may stand in for a check."""
    docs = write_site(tmp_path, {"a/one": "x = 1\n\n# %%\n# Like batch_first, :ref:`nowhere`."})
    project = Project(docs)
    with build.templates(project):  # as when catalogs are brought up to date
        pass
    with pytest.raises(SystemExit), build.templates(project, *build.STRICT_OPTIONS):
        pass
    copied = Project(project.build / "check/docs")  # as if killed after it had read the page
    sphinx_build.run_sphinx(
        copied, "gettext", tmp_path / "out", "-q", "-D", "bilingual_lessons=text"
    )
    assert (project.build / "check.unfinished").exists()
    capfd.readouterr()
    with pytest.raises(SystemExit), build.templates(project, *build.STRICT_OPTIONS):
        pass
    assert "nowhere" in capfd.readouterr().out


def test_a_failure_names_its_lesson_and_nothing_else_is_built(tmp_path, capfd):
    docs = write_site(
        tmp_path, {"a/good": "print(1)", "b/bad": "x = 1\nraise ValueError('no luck')"}
    )
    with pytest.raises(SystemExit, match="Running the lessons failed"):
        build.build_sites(docs)
    assert "examples/b/bad.py:9: ValueError: no luck\n" in capfd.readouterr().out
    assert not (docs / "_build/html").exists()
    project = Project(docs)
    assert Results(project).stale(None)[-1].name == "bad.py"


def test_a_lesson_that_failed_and_was_restored_shows_its_own_results(tmp_path):
    """Nothing of the failed run is left, neither page nor thumbnail."""
    docs = write_site(tmp_path, {"a/one": DRAWS.format(2)})
    run_lessons(docs)
    before = written(docs, "lessons")
    script = docs.parent / "examples/a/one.py"
    good = script.read_text()
    script.write_text(good.replace("[1, 2]", "[1, 9]") + "\nraise ValueError\n")
    with pytest.raises(SystemExit):
        run_lessons(docs)
    script.write_text(good)
    run_lessons(docs)
    assert written(docs, "lessons") == before


def test_every_file_of_a_lesson_is_looked_for(tmp_path):
    docs = write_site(tmp_path, {"a/one": DRAWS.format(2)})
    found = Results(run_lessons(docs))
    (script,) = found.project.scripts
    files = [file for file in found.files(script) if not file.name.endswith(".cost.json")]
    assert {"one.rst", "one.py", "one.ipynb"} <= {file.name for file in files}
    assert {"sphx_glr_one_001", "sphx_glr_one_thumb"} <= {file.stem for file in files}
    for file in files:
        content = file.read_bytes()
        file.unlink()
        assert found.stale(None) == [script], f"{file.name} is missed"
        file.write_bytes(content[: len(content) // 2])
        assert found.stale(None) == [script], f"{file.name} is not read"
        file.write_bytes(content)
        assert found.stale(None) == []


def test_lessons_run_again_when_a_package_or_a_setting_changes(tmp_path, monkeypatch):
    package = tmp_path / "packages/tiny_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(package.parent)
    docs = write_site(
        tmp_path,
        {"a/one": "print(__import__('tiny_package').x)"},  # no download has to install it
        bilingual_packages=["tiny_package"],
        bilingual_environment={"PYTHONPATH": str(package.parent)},
    )
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    project = run_lessons(docs)
    assert Results(project).stale(None) == []
    (package / "__init__.py").write_text("x = 2\n")
    assert Results(project).stale(None) == project.scripts
    (package / "__init__.py").write_text("x = 1\n")
    conf = docs / "conf.py"
    conf.write_text(conf.read_text() + 'sphinx_gallery_conf["image_srcset"] = ["3x"]\n')
    assert Results(Project(docs)).stale(None) == project.scripts
    conf.write_text(conf.read_text() + 'bilingual_packages = ["no_such_package"]\n')
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        Results(Project(docs)).stale(None)


def test_a_pattern_selects_what_runs(tmp_path, capfd):
    docs = write_site(tmp_path, {"a/one": "print(11)", "b/two": "print(22)"})
    build.build_sites(docs, only="a/one")
    assert ran(capfd.readouterr().out) == ["a/one"]
    pages = docs / "_build/html/en/lessons"
    assert "script-out" in (pages / "a/one.html").read_text()
    assert "script-out" not in (pages / "b/two.html").read_text()
    build.build_sites(docs)
    assert ran(capfd.readouterr().out) == ["b/two"]


def test_a_build_of_pages_cannot_execute(tmp_path, capfd):
    """Sphinx alone, or with a lesson that changed, fails with its name."""
    docs = write_site(tmp_path, {"a/one": "print(1)"})
    project = Project(docs)
    with pytest.raises(SystemExit):
        sphinx_build.run_sphinx(project, "html", tmp_path / "html")
    assert "examples/a/one.py:1: has not run" in capfd.readouterr().out
    run_lessons(docs)
    sphinx_build.run_sphinx(project, "html", tmp_path / "html")
    script = docs.parent / "examples/a/one.py"
    script.write_text(script.read_text().replace("print(1)", "print(2)"))
    before = written(docs, "lessons")
    with pytest.raises(SystemExit):
        sphinx_build.run_sphinx(project, "html", tmp_path / "html")
    assert "examples/a/one.py:1: has not run" in capfd.readouterr().out
    assert written(docs, "lessons") == before


def test_what_no_build_writes_is_removed(tmp_path, monkeypatch):
    """Lessons, pages and files that are deleted or renamed leave nothing behind."""
    docs = write_site(
        tmp_path, {"a/one": DRAWS.format(2), "a/one_more": DRAWS.format(3), "b/two": "print(2)"}
    )
    conf = docs / "conf.py"
    conf.write_text(conf.read_text() + 'html_static_path = ["static"]\n')
    for folder in ("api", "static"):
        (docs / folder).mkdir()
    (docs / "index.md").write_text(INDEX.replace("index\n", "index\napi/old\n"))
    (docs / "api/old.md").write_text("# Old\n\nWords.\n")
    (docs / "static/old.css").write_text("p {}")
    (docs / "index.md").write_text(INDEX.replace("index\n", "index\napi/old\n"))
    build.build_sites(docs)
    assert any("old.css" in name for name in written(docs, "_build/html"))
    (docs / "index.md").write_text(INDEX.replace("index\n", "index\napi/new\n"))
    (docs / "api/old.md").rename(docs / "api/new.md")
    (docs / "static/old.css").rename(docs / "static/new.css")
    examples = docs.parent / "examples"
    (examples / "a/one.py").rename(examples / "a/other.py")
    shutil.rmtree(examples / "b")
    build.build_sites(docs)
    clean = tmp_path / "clean/docs"
    shutil.copytree(examples, clean.parent / "examples")
    shutil.copytree(docs, clean, ignore=shutil.ignore_patterns("_build", "lessons"))
    build.build_sites(clean)
    assert written(docs, "_build/html") == written(clean, "_build/html")
    checked = docs / "_build/check/docs/lessons"
    assert {page.stem for page in checked.glob("*/*.rst")} == {"index", "one_more", "other"}
    notes = [name for name in written(docs, "lessons") if not name.endswith((".json", ".zip"))]
    assert notes == [n for n in written(clean, "lessons") if not n.endswith((".json", ".zip"))]


def test_what_another_language_is_removing_is_not_looked_at(tmp_path, monkeypatch):
    """After a build that was killed each language empties its folders while the others begin."""
    project = Project(write_site(tmp_path, {"a/one": "print(1)"}))
    (project.build / "html/de").mkdir(parents=True)
    look = os.scandir

    def is_gone_below_build(folder="."):
        if Path(folder).is_relative_to(project.build):
            raise FileNotFoundError(folder)
        return look(folder)

    monkeypatch.setattr(os, "scandir", is_gone_below_build)
    sites.remove_what_is_gone(project, project.languages[0])
    note = json.loads((project.build / "doctrees/html-en.sources.json").read_text("utf-8"))
    assert note == ["conf.py", "index.md"]


def test_a_folder_with_a_space_in_its_name(tmp_path):
    docs = write_site(tmp_path / "a b/c d", {"a/one": DRAWS.format(2)})
    build.build_sites(docs)
    assert (docs / "_build/html/en/lessons/a/one.html").exists()


def test_two_builds_of_a_tree_wait_for_each_other(tmp_path):
    """Even a step whose build was killed is waited for: it holds the lock, too."""
    file = tmp_path / "lock"
    waited = []
    with locks.lock(file, wait=lambda: waited.append(1)):
        (number,) = locks.inherited()
        orphan = subprocess.Popen(["sleep", "1"], pass_fds=[number])
    start = time.monotonic()
    with locks.lock(file, wait=lambda: waited.append(2)):
        assert time.monotonic() > start + 0.5
    assert waited == [2]
    orphan.wait()
    with locks.lock(file, wait=lambda: waited.append(3)):
        pass
    assert waited == [2]
