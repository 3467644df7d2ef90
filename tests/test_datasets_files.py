"""Tables and folders of images: read as they are, or refused in one line that says where."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handbook import datasets

FOUND = (ValueError, FileNotFoundError)
MEASURES = ["ink", "height", "width", "symmetry", "holes"]


def refused(message, read, *arguments, **options):
    """Check that a reader refuses in one line of moderate length."""
    with pytest.raises(FOUND, match=message) as caught:
        read(*arguments, **options)
    text = str(caught.value)
    assert text.isprintable() and len(text) < 600, text


@pytest.fixture
def table(tmp_path):
    """Write a table and say where."""

    def write(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# Tables


def test_table_of_digits(tmp_path):
    path = datasets.write_csv(tmp_path / "digits.csv", n=500)
    content = path.read_bytes()
    x, y = datasets.load_csv(path, "label", MEASURES)
    assert x.shape == (500, 5) and x.dtype == torch.float32 and y.dtype == torch.int64
    images, labels = datasets.mnist()[0]
    assert torch.equal(y, labels[:500])
    torch.testing.assert_close(x[:, 0], images[:500].mean((1, 2, 3)), atol=5.1e-5, rtol=0)
    holes = {digit: x[y == digit, 4].median().item() for digit in (0, 1, 7, 8)}
    assert holes == {0: 1, 1: 0, 7: 0, 8: 2}  # as we write them
    assert datasets.write_csv(path, n=500).read_bytes() == content


def test_measures_of_a_drawn_image():
    module = sys.modules["handbook.datasets.written"]
    eight = torch.zeros(2, 9, 9)
    eight[0, 1:8, 2:5] = 1
    eight[0, 2, 3] = eight[0, 5:7, 3] = 0  # two holes
    eight[1, 0, 0] = eight[1, 1, 1] = eight[1, 8, 2:6] = 1  # paper goes round the corner
    assert module._holes(eight > 0.5) == [2, 0]
    assert module._box(eight > 0.5) == ([7, 9], [3, 6])
    symmetric = torch.zeros(1, 3, 3)
    symmetric[0, :, 1] = 1
    assert module._symmetry(symmetric).item() == 1
    assert module._symmetry(symmetric.roll(1, 2)).item() == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_encodings_are_found(tmp_path, encoding):
    path = datasets.write_csv(tmp_path / "digits.csv", n=30, encoding=encoding)
    assert "五" in path.read_text(encoding)
    expected = datasets.load_csv(
        datasets.write_csv(tmp_path / "plain.csv", n=30), "label", MEASURES
    )
    for given_encoding in (None, encoding):
        got = datasets.load_csv(path, "label", MEASURES, encoding=given_encoding)
        assert torch.equal(got.x, expected.x) and torch.equal(got.y, expected.y)


def test_columns_named_in_chinese(table):
    path = table("身高,体重\r\n1.7,60\r\n1.6,55.5\r\n".encode("gbk"))
    x, y = datasets.load_csv(path, "体重")
    assert y.dtype == torch.float32 and y.tolist() == [60, 55.5]
    torch.testing.assert_close(x, torch.tensor([[1.7], [1.6]]))
    refused("'体长' is not there; there are '身高', '体重'", datasets.load_csv, path, "体长")


def test_line_ends_empty_lines_quotes_and_spaces(table):
    path = table('"a", b ,y\r\n\r\n 1 ,"2",3\r\n,,\r\n4,5e-1,-6\r\n\r\n')
    x, y = datasets.load_csv(path, "y", ["b", "a"])
    assert x.tolist() == [[2, 1], [0.5, 4]] and y.tolist() == [3, -6]
    assert datasets.load_csv(table("a,y\r1,2\r"), "y").x.tolist() == [[1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"table\.csv is empty"),
        ("\n\n", "is empty"),
        ("a,y\n", "no row below"),
        ("a,y\n\n,\n", "no row below"),
        ("a,b\n1,2\n", "column 'y' is not there; there are 'a', 'b'"),
        ("a;y\n1;2\n", "there are 'a;y'"),
        ("a,y,a\n1,2,3\n", "column 'a' is twice or more"),
        ("y\n1\n", "choose columns"),
        ("a,y\n1,2\n3\n", r"table\.csv, line 3: 1 cells for 2 columns"),
        ("a,y\n1,2\n\n3,4,5\n", "line 4: 3 cells"),
        ("a,y\n1,\n", "line 2: column 'y' is empty"),
        ("a,y\n1,2\ncat,2\n", "line 3: column 'a' is 'cat', which is no finite number"),
        ("a,y\nnan,2\n", "no finite number"),
        ("a,y\n1e39,2\n", "no finite number"),
        ("a,y\n1_0,2\n", "no finite number"),
        ('a,y\n"1\n",2\nx,3\n', "line 4: column 'a' is 'x'"),  # a cell of two lines before it
        ('a,y\n1,2\n"3,4\n5,6\n', "line 3: .*quotation mark"),
        ('a,y\n1,2\n"3"4,4\n', "line 3: .*quotation mark"),
        ("a,y\n1,2\n3\0,4\n", "line 3: this is no table of text"),
        (b"\x89PNG\r\n\x1a\n\0\0", "no table of text|is not"),
        (b"a,y\n\xff\xff,2\n", "line 2: this is not gb18030 text; pass its encoding"),
        (b"a,y\n" + b"1" * 2_000_000, "line 2: this is no table of text"),
        (b'a,y\n"' + b"1\n" * 500_000, "line 2: field larger.*quotation mark"),
    ],
)  # fmt: skip
def test_tables_are_refused(table, content, message):
    refused(message, datasets.load_csv, table(content), "y")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("written", "read", "line"),
    [("gbk", "utf-8", 3), ("utf-8", "ascii", 3), ("utf-8", "gbk", 3), ("gbk", "utf-16", 1)],
)
def test_the_line_that_is_in_another_encoding_is_named(table, written, read, end, line):
    rows = ["a,b,y", "x,1,2", "五,1,2", "六,1,2"] + ["x,1,2"] * 9999
    path = table(end.join(rows).encode(written))
    message = rf"table\.csv, line {line}: this is not {read} text; pass its encoding"
    refused(message, datasets.load_csv, path, "y", ["b"], encoding=read)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
@pytest.mark.parametrize("lines", [2, 400_000])
def test_the_line_that_breaks_off_is_named(table, encoding, lines):
    content = ("a,y\n" + "1,2\n" * (lines - 2) + "上").encode(encoding)
    message = rf"line {lines}: this is not {encoding} text"
    refused(message, datasets.load_csv, table(content[:-1]), "y", encoding=encoding)


def test_arguments_of_tables_are_checked(tmp_path, table):
    path = table("a,y\n1,2\n")
    refused("no file", datasets.load_csv, tmp_path / "none.csv", "y")
    refused("no file", datasets.load_csv, tmp_path, "y")
    refused(r"such as \['a'\]", datasets.load_csv, path, "y", "a")
    refused("other than itself", datasets.load_csv, path, "y", ["a", "y"])
    refused("other than itself", datasets.load_csv, path, "y", [])
    refused("line 1: this is not ascii", datasets.load_csv, table("a,ÿ\n"), "a", encoding="ascii")
    with pytest.raises(LookupError, match="unknown encoding"):
        datasets.load_csv(path, "y", encoding="gkb")
    refused("0 rows", datasets.write_csv, path, n=0)
    refused("10001 rows", datasets.write_csv, path, n=10_001)
    refused("latin-1 has no Chinese", datasets.write_csv, path, encoding="latin-1")
    assert path.read_bytes() == b"a,\xc3\xbf\n"  # nothing was written


NUMBERS = st.floats(-(2.0**99), 2.0**99, allow_nan=False, width=32)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda f: st.lists(
            st.lists(NUMBERS, min_size=f + 1, max_size=f + 1), min_size=1, max_size=5
        )
    ),
    st.sampled_from(["utf-8", "utf-8-sig", "gbk", "utf-16"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_of_numbers_is_read(tmp_path_factory, rows, encoding, end):
    names = [f"列{i}" for i in range(len(rows[0]))]
    text = end.join(",".join(map(str, row)) for row in [names, *rows]) + end
    path = tmp_path_factory.mktemp("fuzz") / "t.csv"
    path.write_bytes(text.encode(encoding))
    x, y = datasets.load_csv(path, names[-1])
    assert x.tolist() == [row[:-1] for row in rows]
    expected = [row[-1] for row in rows]
    assert y.dtype == (
        torch.int64 if all(v.is_integer() and abs(v) < 2**53 for v in expected) else torch.float32
    )
    assert y.tolist() == expected


BYTES = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet='ay,1.5"\n\r\0 eé五-', max_size=60).map(str.encode),
    st.text(alphabet='12,"\n', max_size=30).map(lambda text: f"a,y\n{text}".encode()),
)


@settings(max_examples=150, deadline=None)
@given(BYTES)
def test_any_bytes_are_a_table_or_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(content)
    try:
        x, y = datasets.load_csv(path, "y")
    except ValueError as error:
        assert str(error).isprintable() and len(str(error)) < 600
    else:
        assert x.shape[0] == len(y) > 0 and x.isfinite().all() and y.isfinite().all()


# Folders of images


def test_images_come_back_as_they_were(tmp_path):
    root = datasets.write_image_folder(tmp_path / "digits", per_class=7)
    x, y = datasets.load_image_folder(root)
    images, labels = datasets.mnist()[0]
    assert y.tolist() == [digit for digit in range(10) for _ in range(7)]
    assert torch.equal(x, torch.cat([images[labels == digit][:7] for digit in range(10)]))
    assert datasets.class_names(root) == [str(digit) for digit in range(10)]
    rows = datasets.write_csv(tmp_path / "t.csv", n=40).read_text("utf-8").splitlines()[1:]
    for row, image in zip(rows, images, strict=False):
        name = row.split(",")[0]
        if (root / name).exists():
            assert np.array_equal(np.array(Image.open(root / name)) / np.float32(255), image[0])


@pytest.fixture
def folder(tmp_path):
    """Make a folder of two classes with two images each."""
    root = tmp_path / "images"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (4, 3), (255, 51 * i, 0)).save(root / name / f"{i}.png")
    return root


def test_colour_images_and_what_is_passed_over(folder):
    (folder / "notes.txt").write_text("not of a class")
    (folder / ".hidden").mkdir()
    (folder / "cat" / ".DS_Store").write_bytes(b"\0")
    os.symlink(folder / "cat" / "0.png", folder / "dog" / "2.png")  # inside: like a copy
    x, y = datasets.load_image_folder(str(folder))
    assert x.shape == (5, 3, 3, 4) and y.tolist() == [0, 0, 1, 1, 1]
    assert x[1, :, 0, 0].tolist() == pytest.approx([1, 0.2, 0])
    assert datasets.class_names(folder) == ["cat", "dog"]


def damage(path, content):
    path.write_bytes(content)


def claim(width, height):
    """Make a small PNG file that claims a great size."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 999))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("9.png", b"hello", r"9\.png is no image"),
        ("9.png", b"", "is no image"),
        ("Thumbs.db", b"\0" * 9, r"Thumbs\.db is no image"),
        ("a\nb.png", b"", r"a\?b\.png is no image"),
        ("9.png", claim(4, 3)[:45], r"9\.png cannot be read \("),
        ("9.png", claim(50_000, 50_000), r"9\.png has more than 25,000,000 pixels"),
        ("9.png", claim(9_000, 9_000), "more than 25,000,000 pixels"),
        ("0.png", claim(4_000, 4_000), r"but .*0\.png is colour \(RGB\), 4000 × 4000"),
    ],
)
def test_files_are_refused(folder, name, content, message):
    (folder / "cat" / name).write_bytes(content)
    refused(message, datasets.load_image_folder, folder)


@pytest.mark.parametrize(
    ("mode", "size", "message"),
    [
        ("RGB", (3, 4), r"9\.png is colour \(RGB\), 3 × 4, but .*0\.png is colour \(RGB\), 4 × 3"),
        ("L", (4, 3), r"is grey \(L\)"),
        ("RGBA", (4, 3), r"mode RGBA: save it as .*convert"),
        ("P", (4, 3), "mode P"),
        ("1", (4, 3), "mode 1"),
        ("I;16", (4, 3), "mode I;16"),
    ],
)
def test_images_must_be_alike(folder, mode, size, message):
    Image.new(mode, size).save(folder / "dog" / "9.png")
    refused(message, datasets.load_image_folder, folder)


def test_folders_are_refused(folder, tmp_path):
    refused("no folder", datasets.load_image_folder, tmp_path / "none")
    refused("no folder", datasets.class_names, folder / "cat" / "0.png")
    refused("holds no folders", datasets.load_image_folder, folder / "cat")
    (folder / "eel").mkdir()
    refused("eel is empty", datasets.load_image_folder, folder)
    (folder / "eel" / "inner").mkdir()
    refused("inner is no file", datasets.load_image_folder, folder)
    (folder / "eel" / "inner").rmdir()
    outside = tmp_path / "secret.png"
    Image.new("RGB", (4, 3)).save(outside)
    link = folder / "eel" / "0.png"
    for leads in (outside, link, tmp_path / "absent"):
        os.symlink(leads, link)
        refused("leads elsewhere", datasets.load_image_folder, folder)
        link.unlink()
    (folder / "eel").rmdir()
    (tmp_path / "other").mkdir()
    outside.rename(tmp_path / "other" / "0.png")
    os.symlink(tmp_path / "other", folder / "eel")
    refused("leads elsewhere", datasets.load_image_folder, folder)
    refused("0 images of each", datasets.write_image_folder, tmp_path / "w", per_class=0)
    refused("there are 1 to 1000", datasets.write_image_folder, tmp_path / "w", per_class=1001)
    assert not (tmp_path / "w").exists()


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"]), st.data())
def test_damaged_images_are_read_or_refused_in_one_line(tmp_path_factory, kind, data):
    memory = io.BytesIO()
    noise = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    Image.fromarray(noise).save(memory, kind)
    content = bytearray(memory.getvalue())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) :]
    root = tmp_path_factory.getbasetemp() / "fuzz"
    (root / "a").mkdir(parents=True, exist_ok=True)
    (root / "a" / "0").write_bytes(content)
    try:
        x, y = datasets.load_image_folder(root)
    except ValueError as error:
        assert str(error).isprintable() and len(str(error)) < 600
    else:
        assert x.shape[:2] in ((1, 1), (1, 3)) and x.min() >= 0 and x.max() <= 1 and len(y) == 1


# Memory

PEAK = """
import resource, sys
from handbook import datasets
from PIL import Image
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for path in sys.argv[1:]:
    try:
        if path.endswith(".csv"):
            datasets.load_csv(path, "y")
        else:
            datasets.load_image_folder(path)
    except ValueError as error:
        print(error)
print(peak() - before)
"""


def test_refusing_needs_little_memory(folder, tmp_path):
    """In a process of its own, for tables of 4 to 60 MB and an image that claims 48 MB."""
    contents = {
        "line 2: this is no table": b"1" * 60_000_000,
        "field larger": b'"' + b"1\n" * 30_000_000,
        "line 2: this": b"1," * 30_000_000 + b"\n",
        "line 1000002: 1 cells": b"1,2\n" * 1_000_000 + b"3\n",
        "4000 × 4000": None,
    }
    paths = [*(tmp_path / f"{i}.csv" for i in range(4)), folder]
    for path, content in zip(paths, contents.values(), strict=True):
        if content:
            path.write_bytes(b"a,y\n" + content)
    (folder / "dog" / "9.png").write_bytes(claim(4_000, 4_000))
    command = [sys.executable, "-X", "utf8", "-c", PEAK, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    *errors, megabytes = done.stdout.splitlines()
    for message, error in zip(contents, errors, strict=True):
        assert message in error
    assert float(megabytes) < 48  # of these a row of half a million cells is 30
