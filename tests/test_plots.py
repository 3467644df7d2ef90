"""Plots: what is drawn and how it is labelled, not its pixels."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import font_manager, rcParams
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.text import Text
from torch import nn

from handbook import plots
from handbook.plots import _text

HISTORY = [
    {"epoch": 1, "loss": 0.9, "accuracy": 0.6, "val_loss": 0.8, "val_accuracy": 0.7},
    {"epoch": 2, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.9},
]


@pytest.fixture(autouse=True)
def clean():
    """Leave no figure behind."""
    yield
    plt.close("all")


def test_matplotlib_and_torchvision_load_when_first_used():
    code = (
        "import sys; from handbook import datasets, models, plots; datasets.mnist();"
        "print(*sys.modules.keys() & {'matplotlib', 'torchvision', 'pandas', 'PIL'})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout.strip() == "", result


# Curves


def test_curves_draw_training_and_validation_of_every_metric():
    loss, accuracy = plots.learning_curves(HISTORY).axes
    assert [panel.get_xlabel() for panel in (loss, accuracy)] == ["epoch", "epoch"]
    assert [panel.get_ylabel() for panel in (loss, accuracy)] == ["loss", "accuracy"]
    train, validation = accuracy.lines
    assert train.get_xydata().tolist() == [[1, 0.6], [2, 0.8]]
    assert validation.get_xydata().tolist() == [[1, 0.7], [2, 0.9]]
    assert [text.get_text() for text in accuracy.get_legend().texts] == ["train", "validation"]
    assert train.get_linestyle() != validation.get_linestyle()  # not by colour alone


def test_curves_of_one_metric_without_validation():
    figure = plots.learning_curves([{"epoch": 1, "loss": 0.9, "accuracy": 0.6}], "accuracy")
    (panel,) = figure.axes
    assert panel.get_ylabel() == "accuracy" and len(panel.lines) == 1
    figure.canvas.draw()
    assert all(float(tick).is_integer() for tick in panel.get_xticks())


def test_curves_start_where_validation_starts():
    first = {"epoch": 1, "loss": 1.0}
    (panel,) = plots.learning_curves([first, {"epoch": 2, "loss": 0.9, "val_loss": 0.8}]).axes
    assert panel.lines[1].get_xydata().tolist() == [[2, 0.8]]


def test_curves_leave_a_gap_where_a_value_is_not_finite():
    losses = [0.9, math.nan, math.inf, 0.5]
    history = [{"epoch": i + 1, "loss": loss, "error": math.nan} for i, loss in enumerate(losses)]
    figure = plots.learning_curves(history)
    figure.canvas.draw()
    for panel in figure.axes:
        left, right = panel.get_xlim()
        assert left < 1 and right > 4  # all epochs are there
    low, high = figure.axes[0].get_ylim()
    assert 0.4 < low < 0.5 and 0.9 < high < 1


@pytest.mark.parametrize(
    ("history", "metric", "message"),
    [([], None, "empty: train for"), (HISTORY, "error", "no 'error'; it holds loss, accuracy")],
)
def test_curves_refuse(history, metric, message):
    with pytest.raises(ValueError, match=message):
        plots.learning_curves(history, metric)


# Images


def drawn(figure):
    return [panel.images[0].get_array() for panel in figure.axes]


@pytest.mark.parametrize(
    ("shape", "each"), [((5, 4, 3), (4, 3)), ((5, 1, 4, 3), (4, 3)), ((5, 3, 4, 2), (4, 2, 3))]
)
def test_images_shows_every_image(shape, each):
    x = torch.rand(shape)
    pictures = drawn(plots.image_grid(x, ncols=2))
    assert [picture.shape for picture in pictures] == [each] * 5
    expected = x.movedim(1, -1) if len(each) == 3 else x.reshape(5, *each)
    assert all((a == b.numpy()).all() for a, b in zip(pictures, expected, strict=True))


@settings(max_examples=20)
@given(st.integers(1, 10), st.integers(1, 12))
def test_images_fill_rows_from_the_left(number, ncols):
    figure = plots.image_grid(torch.zeros(number, 2, 2), titles=range(number), ncols=ncols)
    places = [panel.get_subplotspec() for panel in figure.axes]
    rows = [place.rowspan.start for place in places]
    columns = [place.colspan.start for place in places]
    assert [
        row * min(ncols, number) + column for row, column in zip(rows, columns, strict=True)
    ] == [*range(number)]
    plt.close(figure)


def test_images_share_one_grey_scale():
    x = torch.tensor([0.0, 0.5, 2.0, -1.0]).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    figure = plots.image_grid(x)
    assert {panel.images[0].get_clim() for panel in figure.axes} == {(-1.0, 2.0)}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_images_beside_one_with_a_pixel_that_is_not_finite(bad, dtype):
    x = torch.tensor([[0.0, 0.5], [1.0, 0.25]], dtype=dtype).repeat(2, 1, 1, 1)
    x[1, 0, 1, 1] = bad
    good, marked = plots.image_grid(x).axes
    assert good.images[0].get_clim() == marked.images[0].get_clim() == (0, 1)
    assert good.images[0].to_rgba(good.images[0].get_array())[0, 1, 0] == pytest.approx(
        0.5, abs=0.01
    )
    colours = marked.images[0].to_rgba(marked.images[0].get_array())
    assert [len(set(colours[i, j, :3])) for i in (0, 1) for j in (0, 1)] == [1, 1, 1, 3]
    assert not x[1, 0, 1, 1].isfinite()  # it stays as it was


def test_images_without_a_finite_pixel():
    figure = plots.image_grid(torch.full((2, 3, 3), math.nan))
    figure.canvas.draw()
    picture = figure.axes[0].images[0]
    assert len({tuple(pixel) for row in picture.to_rgba(picture.get_array()) for pixel in row}) == 1


def test_colour_images_with_a_pixel_that_is_not_finite():
    x = torch.rand(2, 3, 2, 2)
    x[0, 1, 0, 0] = math.nan
    figure = plots.image_grid(x)
    figure.canvas.draw()
    first, second = drawn(figure)
    assert to_hex(first[0, 0]) == "#cc79a7"
    assert (first[1] == x[0].movedim(0, -1)[1].numpy()).all()
    assert (second == x[1].movedim(0, -1).numpy()).all()


@pytest.mark.parametrize("dtype", [torch.uint16, torch.int64, torch.bool, torch.bfloat16])
def test_images_of_any_real_dtype(dtype):
    (picture,) = drawn(plots.image_grid(torch.tensor([[[0, 1]]]).to(dtype)))
    assert picture.tolist() == [[0, 1]]


def test_images_mark_what_is_wrong():
    figure = plots.image_grid(
        torch.zeros(3, 8, 8),
        titles=torch.tensor([7, 1, 4]),
        correct=torch.tensor([True, False, True]),
    )
    right, wrong, _ = figure.axes
    assert [panel.get_title() for panel in figure.axes] == ["7", "1", "4"]
    assert to_hex(wrong.title.get_color()) != to_hex(right.title.get_color())
    assert wrong.spines["left"].get_linewidth() > right.spines["left"].get_linewidth()


def test_images_need_no_gradient():
    layer = nn.Conv2d(1, 4, 3)
    assert len(plots.image_grid(layer.weight).axes) == 4


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.zeros(28, 28), {}, r"needs shape .* got \(28, 28\)"),
        (torch.zeros(2, 5, 28, 28), {}, r"got \(2, 5, 28, 28\)"),
        (torch.zeros(2, 28, 28, dtype=torch.cfloat), {}, r"real numbers.* pass x\.abs\(\)"),
        (torch.zeros(0, 28, 28), {}, "cannot draw 0 images"),
        (torch.zeros(201, 28, 28), {}, r"cannot draw 201 images: .* x\[:24\]"),
        (torch.zeros(2, 28, 28), {"titles": [1, 2, 3]}, "3 titles for 2 images"),
        (torch.zeros(2, 28, 28), {"correct": [True]}, "1 correct for 2 images"),
        (torch.zeros(2, 28, 28), {"ncols": 0}, "ncols is 0: an image needs at least 1 column"),
    ],
)
def test_images_refuse(x, options, message):
    with pytest.raises(ValueError, match=message):
        plots.image_grid(x, **options)


# Confusion


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_confusion_counts(pairs):
    truth, prediction = torch.tensor(pairs).T
    panel = plots.confusion_matrix(truth.to(torch.uint8), prediction)
    numbers = {text.get_position()[::-1]: int(text.get_text()) for text in panel.texts}
    assert numbers == {pair: pairs.count(pair) for pair in pairs}
    shares = panel.images[0].get_array()
    assert all(sum(row) == pytest.approx(float(i in truth)) for i, row in enumerate(shares))
    plt.close(panel.figure)


def test_confusion_takes_numbers_as_names():
    panel = plots.confusion_matrix(torch.tensor([0, 1]), torch.tensor([0, 1]), names=[3, 7])
    assert [label.get_text() for label in panel.get_xticklabels()] == ["3", "7"]


def test_confusion_is_labelled():
    panel = plots.confusion_matrix(
        torch.tensor([0, 1]), torch.tensor([1, 1]), names=["cat", "dog", "owl"]
    )
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted class", "true class")
    for axis in (panel.xaxis, panel.yaxis):
        assert [text.get_text() for text in axis.get_ticklabels()] == ["cat", "dog", "owl"]


def test_confusion_with_a_class_that_never_occurs():
    panel = plots.confusion_matrix(torch.tensor([0, 2]), torch.tensor([0, 0]))
    panel.figure.canvas.draw()
    assert panel.images[0].get_array()[1].tolist() == [0, 0, 0]
    assert len(panel.texts) == 2


# Fonts


def families(figure):
    return {
        text.get_text(): text.get_fontfamily()
        for text in figure.findobj(Text)
        if _text.width(text.get_text()) > len(text.get_text())
    }


def everything(name):
    """Draw each kind of figure with a name in it."""
    w = torch.ones(2, requires_grad=True)
    yield plots.confusion_matrix(torch.tensor([0, 1]), torch.tensor([1, 1]), [name, "b"]).figure
    yield plots.image_grid(torch.zeros(1, 2, 2), titles=[name])
    yield plots.learning_curves([{"epoch": 1, name: 0.5}])
    yield plots.memory_layout(torch.zeros(2), names=[name])
    yield plots.broadcast(torch.zeros(2), torch.zeros(2), names=(name, "b"))
    yield plots.graph(w.sum(), names={name: w})
    yield plots.receptive_fields(nn.MaxPool2d(2), names=[name])
    yield plots.channel_map(nn.Conv2d(1, 1, 1), names=[name])


@pytest.fixture
def chinese_font(monkeypatch):
    """Have a font that is installed stand for one with Chinese characters, on any machine."""
    monkeypatch.setattr(_text, "FAMILIES", ("Not Installed", "DejaVu Serif"))


@pytest.mark.usefixtures("chinese_font")
def test_an_installed_font_is_found_for_chinese_names():
    before = dict(rcParams)
    for figure in everything("猫头鹰"):
        found = families(figure)
        assert found and all("DejaVu Serif" in fonts[1:] for fonts in found.values()), found
        figure.canvas.draw()  # what that font lacks is a box, not a warning for each character
    assert dict(rcParams) == before
    others = plots.image_grid(torch.zeros(1, 2, 2), titles=["cat"])
    assert "DejaVu Serif" not in others.axes[0].title.get_fontfamily()


def test_without_a_font_there_is_one_warning(monkeypatch):
    monkeypatch.setattr(_text, "FAMILIES", ("Not Installed",))
    figures = everything("猫头鹰")

    def draw_next():
        next(figures).canvas.draw()

    message = "no installed font .*猫头鹰.* Noto Sans CJK"
    for _ in range(8):
        with pytest.warns(UserWarning, match=message) as caught:
            draw_next()
        assert len(caught) == 1 and caught[0].filename == __file__


def test_a_font_that_has_the_characters_is_left_alone(monkeypatch):
    """As where the settings of matplotlib name a Chinese font already."""
    monkeypatch.setattr(_text, "FAMILIES", ("Not Installed",))
    monkeypatch.setitem(rcParams, "font.sans-serif", [_text.BOXES])
    (found,) = families(plots.image_grid(torch.zeros(1, 2, 2), titles=["猫"])).values()
    assert found == ["sans-serif"]


def test_a_font_that_was_installed_after_matplotlib_made_its_list(monkeypatch):
    manager = font_manager.FontManager.__new__(font_manager.FontManager)
    vars(manager).update(vars(font_manager.fontManager))
    serif = [font for font in manager.ttflist if font.name == "DejaVu Serif"]
    manager.ttflist = [font for font in manager.ttflist if font not in serif]
    monkeypatch.setattr(font_manager, "fontManager", manager)
    monkeypatch.setattr(_text, "FAMILIES", ("DejaVu Serif",))
    damaged = str(Path(__file__))  # is not a font
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [damaged, serif[0].fname])
    assert _text._find_family() == "DejaVu Serif"


@pytest.mark.parametrize(
    ("truth", "prediction", "names", "message"),
    [
        ([0, 1], [0], None, r"got shapes \(2,\) and \(1,\)"),
        ([0], [[0.1, 0.9]], None, r"logits\.argmax\(1\)"),
        ([], [], None, "two vectors"),
        ([0.5], [0], None, "integers from 0"),
        ([0], [-1], None, "integers from 0"),
        ([0], [2], ["cat", "dog"], "2 names for 3 classes"),
    ],
)
def test_confusion_refuses(truth, prediction, names, message):
    with pytest.raises(ValueError, match=message):
        plots.confusion_matrix(torch.tensor(truth), torch.tensor(prediction), names)


# Boundary

POINTS = torch.tensor([[-1.0, 2.0], [1.0, 2.0], [1.0, 4.0]])


def region_of(panel, x, y):
    """Return the class whose colour is drawn at a point."""
    picture = panel.images[0]
    left, right, bottom, top = picture.get_extent()
    rows, columns = picture.get_array().shape
    row = int((y - bottom) / (top - bottom) * rows)
    return int(picture.get_array()[row, int((x - left) / (right - left) * columns)])


def test_boundary_lies_where_the_model_puts_it():
    def model(points):  # three classes: left, right below, right above
        x, y = points.T
        return torch.stack((-10 * x, torch.where(y < 3, x, -x), torch.where(y < 3, -x, x)), dim=1)

    panel = plots.decision_boundary(model, POINTS, torch.tensor([0, 1, 2]))
    assert [region_of(panel, *point) for point in POINTS.tolist()] == [0, 1, 2]
    assert region_of(panel, -0.5, 3.9) == 0
    assert [line.get_xydata().tolist() for line in panel.lines] == [[p] for p in POINTS.tolist()]
    assert [text.get_text() for text in panel.get_legend().texts] == [
        "class 0",
        "class 1",
        "class 2",
    ]
    assert len({line.get_marker() for line in panel.lines}) == 3  # not by colour alone
    assert panel.get_xlabel() and panel.get_ylabel()


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_boundary_of_one_logit(shape):
    panel = plots.decision_boundary(
        lambda p: p[:, 0].reshape(shape), POINTS, torch.tensor([0, 1, 1])
    )
    assert [region_of(panel, *point) for point in POINTS.tolist()] == [0, 1, 1]


def test_boundary_leaves_the_model_alone():
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plots.decision_boundary(model, POINTS, torch.tensor([0, 1, 1]))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_boundary_is_white_where_a_logit_is_nan():
    def model(points):
        return torch.where(points > 3, torch.nan, points)

    panel = plots.decision_boundary(model, POINTS, torch.tensor([0, 1, 1]))
    panel.figure.canvas.draw()
    picture = panel.images[0].get_array()
    assert picture.mask[-1].all() and not picture.mask[0].any()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.tensor([[0, math.nan]] * 3), [0, 1, 1], "finite points"),
        (torch.zeros(3, 3), [0, 1, 1], r"got shapes \(3, 3\) and \(3,\)"),
        (torch.zeros(3, 2), [0, 1], r"got shapes \(3, 2\) and \(2,\)"),
        (torch.zeros(0, 2), [], r"got shapes"),
        (torch.zeros(3, 2), [0, 1, 7], "7 colours, too few for 8 classes"),
        (torch.zeros(3, 2), [0, -1, 1], "needs class numbers: integers from 0"),
        (torch.zeros(3, 2), [0.0, 1.0, 1.0], "needs class numbers: integers from 0"),
    ],
)
def test_boundary_refuses(x, y, message):
    with pytest.raises(ValueError, match=message):
        plots.decision_boundary(lambda points: points, x, torch.tensor(y))
