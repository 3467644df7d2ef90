"""Tables and folders of images: read as they are, or refused in one line that says where."""

import importlib
import io
import os
import struct
import zlib

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

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


def test_paths_may_begin_in_the_home_of_the_user(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert datasets.write_csv("~/digits.csv", n=2) == tmp_path / "digits.csv"
    assert len(datasets.load_csv("~/digits.csv", "label", ["ink"]).x) == 2
    assert datasets.write_image_folder("~/digits", per_class=1) == tmp_path / "digits"
    assert len(datasets.class_names("~/digits")) == 10
    assert len(datasets.load_image_folder("~/digits").x) == 10


def test_measures_of_a_drawn_image():
    module = importlib.import_module("handbook.datasets.export")
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
        ("", r"table\.csv: the first line must name the columns"),
        ("\n\n", "first line must name"),
        ("\na,y\n1,2\n", "first line must name"),
        ("a,y\n", "no row below"),
        ("a,y\n\n,\n", "no row below"),
        ("a,b\n1,2\n", "column 'y' is not there; there are 'a', 'b'"),
        ("a;y\n1;2\n", r"';' separates its columns, .*read_csv\(path, sep=';'\)"),
        ("a,y,a\n1,2,3\n", "column 'a' is there more than once"),
        ("a;y\n1,5;2,5\n", "decimal=','"),
        ("a\ty\n1\t2\n", r"'\\t' separates"),
        ("y\n1\n", "choose at least one column besides the target 'y'"),
        ("a,y\n1,2\n".encode("utf-16-le"), "pass encoding='utf-16-le'"),
        ("a,y\n1,2\n".encode("utf-16-be"), "pass encoding='utf-16-be'"),
        ("a,y\n1,2\n3\n", r"table\.csv: line 3: 1 cells for 2 columns"),
        ("a,y\n1,2\n\n3,4,5\n", r"table\.csv: .*4"),
        ("a,y\n1,2,3\n4,5,6\n", "more cells than the first line names"),
        ("a,y\n1,\n", "line 2: column 'y' is empty"),
        ("a,y\n1,2\ncat,2\n", "line 3: column 'a' is 'cat', which is not a finite number"),
        ("a,y\n1,2\n\n,\n3,\n", "line 5: column 'y' is empty"),
        ("a,y\nnan,2\n", "not a finite number"),
        ("a,y\nNA,2\n", "'NA', which is not a finite number"),
        ("a,y\ninf,2\n", "not a finite number"),
        ("a,y\n1e39,2\n", "not a finite number"),
        ("a,y\n1_0,2\n", "not a finite number"),
        ('a,y\n"1\n",2\nx,3\n', "line 4: column 'a' is 'x'"),  # a cell of two lines before it
        ('a,y\n1,2\n"3,4\n5,6\n', "a quotation mark in row 2 is not closed"),
        ("a,y\n1,2\n3\0,4\n", "line 3: column 'a' is .* not a finite number"),
        ("a,y\n1,2\n3,4\0\0\0\0", "line 3: column 'y' is .* not a finite number"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not there|is not"),
        (b"a,y\n\xff\xff,2\n", r"table\.csv: line 2 is not gb18030 text; pass its encoding"),
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
    message = rf"table\.csv: line {line} is not {read} text; pass its encoding"
    refused(message, datasets.load_csv, path, "y", ["b"], encoding=read)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
@pytest.mark.parametrize("lines", [2, 400_000])
def test_the_line_that_breaks_off_is_named(table, encoding, lines):
    content = ("a,y\n" + "1,2\n" * (lines - 2) + "上").encode(encoding)
    message = rf"line {lines} is not {encoding} text"
    refused(message, datasets.load_csv, table(content[:-1]), "y", encoding=encoding)


def test_arguments_of_tables_are_checked(tmp_path, table):
    path = table("a,y\n1,2\n")
    refused("no file", datasets.load_csv, tmp_path / "none.csv", "y")
    refused("no file", datasets.load_csv, tmp_path, "y")
    refused(r"such as \['a'\]", datasets.load_csv, path, "y", "a")
    refused("besides the target", datasets.load_csv, path, "y", ["a", "y"])
    refused("besides the target", datasets.load_csv, path, "y", [])
    refused("line 1 is not ascii", datasets.load_csv, table("a,ÿ\n"), "a", encoding="ascii")
    with pytest.raises(LookupError, match="unknown encoding"):
        datasets.load_csv(path, "y", encoding="gkb")
    refused("n is 0: it must be from 1 to 10000", datasets.write_csv, path, n=0)
    refused("n is 10001", datasets.write_csv, path, n=10_001)
    refused("latin-1 has no Chinese", datasets.write_csv, path, encoding="latin-1")
    assert path.read_bytes() == b"a,\xc3\xbf\n"  # nothing was written


@pytest.mark.parametrize("again", [False, True])
def test_the_index_that_pandas_writes_is_not_a_feature(tmp_path, again):
    frame = pandas.DataFrame({"a": [1.5, 2.5, 4.5], "y": [0, 1, 0]})
    frame.to_csv(tmp_path / "t.csv")
    if again:  # read and saved with its index, and with one more
        pandas.read_csv(tmp_path / "t.csv").to_csv(tmp_path / "t.csv")
    x, y = datasets.load_csv(tmp_path / "t.csv", "y")
    assert x.tolist() == [[1.5], [2.5], [4.5]] and y.tolist() == [0, 1, 0]
    if again:
        named = datasets.load_csv(tmp_path / "t.csv", "y", ["Unnamed: 0", "a"])
        assert named.x[:, 0].tolist() == [0, 1, 2]


def test_a_row_that_is_too_short_beside_a_column_that_is_not_read(table):
    path = table("a,b,y,note\n1,2,0,\n3,0,\n")
    refused("line 3: 3 cells for 4 columns", datasets.load_csv, path, "y", ["a", "b"])
    x, _ = datasets.load_csv(table("a,b,y,note\n1,2,0,\n3,4,1,ok\n"), "y", ["a", "b"])
    assert x.tolist() == [[1, 2], [3, 4]]


def test_numbers_as_they_are_written(table):
    x, y = datasets.load_csv(table("a,b,y\n.1,True,-0\n1E5,False,9007199254740991\n"), "y")
    assert x.tolist() == [[torch.tensor(0.1).item(), 1], [1e5, 0]]
    assert y.tolist() == [0, 9007199254740991]
    assert datasets.load_csv(table("a,y\n1,9007199254740992\n"), "y").y.dtype == torch.float32


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
    os.symlink(folder / "cat" / "0.png", folder / "dog" / "2.png")  # like a copy
    x, y = datasets.load_image_folder(str(folder))
    assert x.shape == (5, 3, 3, 4) and y.tolist() == [0, 0, 1, 1, 1]
    assert x[1, :, 0, 0].tolist() == pytest.approx([1, 0.2, 0])
    assert datasets.class_names(folder) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("9.png", b"hello", r"9\.png is not an image"),
        ("9.png", b"", "is not an image"),
        ("Thumbs.db", b"\0" * 9, r"Thumbs\.db is not an image"),
        ("a\nb.png", b"", r"a\?b\.png is not an image"),
    ],
)
def test_files_are_refused(folder, name, content, message):
    (folder / "cat" / name).write_bytes(content)
    refused(message, datasets.load_image_folder, folder)


GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GREY, GREY.T.reshape(3, 4), 255 - GREY], axis=2)


def only(folder, image, name="0.png", **options):
    """Make an image the only one of its folder, and load it."""
    root = folder / "single"
    (root / "class").mkdir(parents=True, exist_ok=True)
    image.save(root / "class" / name, **options)
    return datasets.load_image_folder(root).x


@pytest.mark.parametrize("size", [(3, 4), (4, 4)])
def test_images_must_be_of_one_size(folder, size):
    Image.new("RGB", size).save(folder / "dog" / "9.png")
    message = rf"9\.png is colour, {size[0]} × {size[1]}, but .*0\.png is colour, 4 × 3"
    refused(message, datasets.load_image_folder, folder)


def test_images_must_be_all_grey_or_all_colour(folder):
    Image.new("L", (4, 3)).save(folder / "dog" / "9.png")
    refused(r"9\.png is grey, 4 × 3, but .* is colour", datasets.load_image_folder, folder)


@pytest.mark.parametrize("values", [GREY.astype(np.uint16) * 300 + 7, np.uint16([[0, 65535]])])
@pytest.mark.parametrize("name", ["0.png", "0.tif"])
def test_16_bits_keep_their_values(tmp_path, values, name):
    x = only(tmp_path, Image.fromarray(values), name)
    assert torch.equal((x[0, 0] * 65535).round(), torch.tensor(values.astype(np.float32)))
    assert x.min() >= 0 and x.max() <= 1


def test_colours_with_16_bits_are_refused(folder):
    """Pillow neither writes them nor reads more than 8 of their bits."""
    pixels = zlib.compress(b"\0" + np.uint16([[1000, 0, 65535]]).byteswap().tobytes())
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)), (b"IDAT", pixels)]
    file = b"\x89PNG\r\n\x1a\n"
    for name, data in [*chunks, (b"IEND", b"")]:
        check = struct.pack(">I", zlib.crc32(name + data))
        file += struct.pack(">I", len(data)) + name + data + check
    (folder / "cat" / "0.png").write_bytes(file)
    refused(r"0\.png has 16 bits per channel", datasets.load_image_folder, folder)


def test_big_endian_16_bits(tmp_path):
    """As scientific cameras write TIFF."""
    values = np.array([[0, 1], [256, 65535]], dtype=">u2")
    x = only(tmp_path, Image.frombytes("I;16B", (2, 2), values.tobytes()), "0.tif")
    assert (x[0, 0] * 65535).round().tolist() == values.tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("name", "pixels"), [("0.jpg", COLOUR), ("0.jpg", GREY), ("0.png", GREY)])
def test_photographs_are_upright(folder, tmp_path, orientation, name, pixels):
    exif = Image.Exif()
    exif[0x0112] = orientation
    x = only(tmp_path, Image.fromarray(pixels), name, exif=exif)
    with Image.open(tmp_path / "single" / "class" / name) as image:
        right = np.asarray(ImageOps.exif_transpose(image)) / np.float32(255)
    assert x.shape[2:] == ((3, 4) if orientation < 5 else (4, 3))  # the size after turning
    assert torch.equal(x[0].movedim(0, -1).squeeze(-1), torch.from_numpy(right))


def test_modes_that_become_another_without_loss(tmp_path):
    dots = Image.fromarray(GREY > 99)
    assert dots.mode == "1"
    assert np.array_equal(only(tmp_path, dots)[0, 0], GREY > 99)
    palette = Image.fromarray(COLOUR).quantize(12)
    assert palette.mode == "P"
    for name in ("0.png", "0.gif"):
        x = only(tmp_path / name, palette, name)
        assert torch.equal(x[0], torch.tensor(np.array(palette.convert("RGB"))).movedim(2, 0) / 255)


def test_a_progressive_photograph(tmp_path):
    plain = only(tmp_path / "a", Image.fromarray(COLOUR), "0.jpg", quality=95)
    progressive = only(tmp_path / "b", Image.fromarray(COLOUR), "0.jpg", quality=95, progressive=1)
    assert torch.equal(plain, progressive)


@pytest.mark.parametrize(
    ("mode", "name", "message"),
    [
        ("RGBA", "0.png", r"0\.png has transparency: save .*convert"),
        ("LA", "0.png", "has transparency"),
        ("CMYK", "0.jpg", r"mode CMYK: .*convert\('RGB'\)"),
        ("I", "0.tif", r"32 bits per pixel \(mode I\).* 0–65535 and save it as uint16"),
        ("F", "0.tif", r"32 bits per pixel \(mode F\)"),
    ],
)
def test_modes_that_need_a_choice(tmp_path, mode, name, message):
    refused(message, only, tmp_path, Image.new(mode, (4, 3)), name)


def test_transparent_colours_and_animations_need_a_choice(tmp_path):
    palette = Image.fromarray(COLOUR).quantize(12)
    grey, colour = Image.fromarray(GREY), Image.fromarray(COLOUR)
    for image, clear in [(palette, 0), (grey, 0), (colour, (0, 0, 255))]:
        refused("has transparency: save", only, tmp_path, image, transparency=clear)
        with Image.open(tmp_path / "single" / "class" / "0.png") as saved:
            assert only(tmp_path, saved.convert("RGBA").convert("L")).shape == (1, 1, 3, 4)
    frames = [Image.fromarray(values) for values in (GREY, 255 - GREY)]
    for name in ("0.gif", "0.tif", "0.webp", "0.png"):
        root = tmp_path / name
        more = {"save_all": True, "append_images": frames[1:]}
        refused("holds several images", only, root, frames[0], name, **more)


def test_a_photograph_with_a_preview(tmp_path):
    """Telephones write two images into a JPEG: the first one is the photograph."""
    photo, preview = Image.fromarray(COLOUR), Image.fromarray(COLOUR[:2, :2])
    x = only(tmp_path, photo, "0.jpg", format="MPO", save_all=True, append_images=[preview])
    assert x.shape == (1, 3, 3, 4)


def test_a_file_that_breaks_off(tmp_path):
    for name in ("0.png", "0.jpg"):
        image = Image.fromarray(np.tile(COLOUR, (20, 20, 1)))
        only(tmp_path / name, image, name)
        path = tmp_path / name / "single" / "class" / name
        path.write_bytes(path.read_bytes()[:-200])
        refused(rf"{name} cannot be read \(", datasets.load_image_folder, path.parents[1])


# Classes that are given


def test_a_validation_folder_has_the_numbers_of_the_training_folder(folder, tmp_path):
    for name in ("ant", "cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
    classes = datasets.class_names(tmp_path / "train")
    message = r"images has no folder for the class 'ant': make one, which may be empty"
    refused(message, datasets.load_image_folder, folder, classes)
    (folder / "ant").mkdir()
    assert datasets.load_image_folder(folder, classes=classes).y.tolist() == [1, 1, 2, 2]
    turned = datasets.load_image_folder(folder, classes=("dog", "ant", "cat"))
    assert turned.y.tolist() == [0, 0, 2, 2] and turned.x[0, 0, 0, 0] == 1


def test_classes_that_do_not_fit_are_named(folder, tmp_path):
    refused(r"dog is not one of the 1 classes", datasets.load_image_folder, folder, ["cat"])
    refused("more than once", datasets.load_image_folder, folder, ["cat", "dog", "cat"])
    refused("not one of the", datasets.load_image_folder, folder, "cat")
    (tmp_path / "none" / "cat").mkdir(parents=True)
    message = "folders in .*none are empty"
    refused(message, datasets.load_image_folder, tmp_path / "none", ["cat"])


def test_folders_are_refused(folder, tmp_path):
    refused("no folder", datasets.load_image_folder, tmp_path / "none")
    refused("no folder", datasets.class_names, folder / "cat" / "0.png")
    refused("holds no folders", datasets.load_image_folder, folder / "cat")
    (folder / "eel").mkdir()
    refused("eel is empty", datasets.load_image_folder, folder)
    (folder / "eel" / "inner").mkdir()
    refused("inner is not a file", datasets.load_image_folder, folder)
    (folder / "eel" / "inner").rmdir()
    link = folder / "eel" / "0.png"
    for leads in (link, tmp_path / "absent"):
        os.symlink(leads, link)
        refused("not a file", datasets.load_image_folder, folder)
        link.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(link)
        refused("not a file", datasets.load_image_folder, folder)
    refused("per_class is 0: it", datasets.write_image_folder, tmp_path / "w", per_class=0)
    refused("from 1 to 1000", datasets.write_image_folder, tmp_path / "w", per_class=1001)
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
