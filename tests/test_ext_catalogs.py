"""Catalogs: problems are reported with file and message; inventories are compiled."""

import polib
import pytest
from sphinx.util.inventory import InventoryFile

from bilingual import catalogs
from bilingual.inventories import inventories


def write(file, messages, fuzzy=()):
    """Write a catalog or, with empty translations, a template."""
    po = polib.POFile()
    for message, translation in messages.items():
        flags = ["fuzzy"] if message in fuzzy else []
        po.append(polib.POEntry(msgid=message, msgstr=translation, flags=flags))
    file.parent.mkdir(parents=True, exist_ok=True)
    po.save(str(file))


@pytest.fixture
def folders(tmp_path):
    """Write a template with two messages; return the folders of templates and catalogs."""
    write(tmp_path / "pot/part/page.pot", {"One": "", "Two": ""})
    return tmp_path / "pot", tmp_path / "zh_CN/LC_MESSAGES"


@pytest.mark.parametrize(
    ("messages", "fuzzy", "problem"),
    [
        ({"One": "一", "Two": "二"}, (), None),
        ({"One": "一"}, (), "missing: Two"),
        ({"One": "一", "Two": ""}, (), "untranslated: Two"),
        ({"One": "一", "Two": "二"}, ("Two",), "fuzzy: Two"),
        ({"One": "一", "Two": "二", "Three": "三"}, (), "obsolete: Three"),
    ],
)
def test_problems(folders, messages, fuzzy, problem):
    """Missing, untranslated, fuzzy and obsolete messages are reported."""
    templates, folder = folders
    write(folder / "part/page.po", messages, fuzzy)
    expected = [f"{folder}/part/page.po: {problem}"] if problem else []
    assert catalogs.compare(templates, folder) == expected


def test_missing_and_obsolete_catalogs(folders):
    """Each page has a catalog, each catalog a page."""
    templates, folder = folders
    write(folder / "gone.po", {"One": "一"})
    assert catalogs.compare(templates, folder) == [
        f"{folder}/part/page.po: missing",
        f"{folder}/gone.po: obsolete: there is no such page",
    ]


def test_refresh(folders):
    """Translations are kept, copied from other catalogs or dropped; a second time does nothing."""
    templates, folder = folders
    page = folder / "part/page.po"
    write(page, {"One": "一", "Three": "三"})
    write(folder / "other.po", {"Two": "二"})
    dropped = ["dropped: Three\n    三"]
    assert catalogs.refresh_all(templates, folder, "Tiny", ["part/page"]) == dropped
    assert catalogs.read(page) == {"One": "一", "Two": "二"}
    first = page.read_bytes()
    assert b"Date" not in first
    assert catalogs.refresh_all(templates, folder, "Tiny", ["part/page"]) == []
    assert page.read_bytes() == first


def test_a_message_that_moves_takes_its_translation_along(folders):
    """Whichever page comes first; and only what is to do is listed."""
    templates, folder = folders
    for source, target in (("a", "b"), ("b", "a")):
        write(folder / f"{source}.po", {"Moved": "搬家"})
        write(folder / f"{target}.po", {})
        write(templates / f"{source}.pot", {})
        write(templates / f"{target}.pot", {"Moved": ""})
        write(folder / "part/page.po", {"One": "一", "Two": "二"})
        assert catalogs.refresh_all(templates, folder, "Tiny", []) == []
        assert catalogs.read(folder / f"{target}.po") == {"Moved": "搬家"}
        assert catalogs.read(folder / f"{source}.po") == {}


def test_a_page_that_is_not_there_is_named(folders):
    templates, folder = folders
    found = catalogs.refresh_all(templates, folder, "Tiny", ["page"])
    assert found == ["page: there is no such page"]


def test_only_catalogs_that_change_are_written(folders):
    templates, folder = folders
    write(folder / "part/page.po", {"One": "一", "Two": "二"})
    catalogs.refresh_all(templates, folder, "Tiny", [])
    before = (folder / "part/page.po").stat()
    catalogs.refresh_all(templates, folder, "Tiny", [])
    assert (folder / "part/page.po").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ('msgid "One"\nmsgstr "一"\n\nmsgid "One"\nmsgstr "壹"\n', 7, "it stands in line 4, too"),
        ('msgid "One"\nmsgstr "一"\n\nmsgid "One"\nmsgstr "一"\n', 7, "it stands in line 4, too"),
        ('msgid "One"\nnonsense\n', 1, "Syntax error in po file"),
    ],
)
def test_a_catalog_that_cannot_be_read_or_says_two_things_is_refused(
    folders, content, line, problem
):
    templates, folder = folders
    page = folder / "part/page.po"
    page.parent.mkdir(parents=True)
    content = f'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n{content}'
    page.write_text(content, "utf-8")
    for found in (
        catalogs.compare(templates, folder),
        catalogs.refresh_all(templates, folder, "Tiny", []),
    ):
        assert found[0].startswith(f"{page}:{line}: {problem}")
    assert page.read_text("utf-8") == content


def test_a_catalog_that_is_not_utf_8_is_refused(folders):
    _templates, folder = folders
    page = folder / "part/page.po"
    page.parent.mkdir(parents=True)
    page.write_bytes('msgid "One"\nmsgstr "é"\n'.encode("latin-1"))
    (found,) = catalogs.unreadable(page)
    assert found.startswith(f"{page}:1: 'utf-8' codec can't decode")


def test_inventories(tmp_path):
    """A list of names becomes an inventory that Sphinx reads."""
    lines = ["https://example.org/", "# a comment", "default api/{name}.html"]
    lines += ["function tiny.area", "module tiny index.html", "class tiny.Side sides.html"]
    (tmp_path / "tiny-inventory.txt").write_text("\n".join(lines))
    mapping = inventories(tmp_path, tmp_path / "out")
    assert mapping == {"tiny": ("https://example.org/", str(tmp_path / "out/tiny.inv"))}
    content = (tmp_path / "out/tiny.inv").read_bytes()
    found = InventoryFile.loads(content, uri="https://example.org").data
    assert {name: item.uri for names in found.values() for name, item in names.items()} == {
        "tiny.area": "https://example.org/api/tiny.area.html#tiny.area",
        "tiny": "https://example.org/index.html#module-tiny",
        "tiny.Side": "https://example.org/sides.html#tiny.Side",
    }
