"""Plots: what is drawn and how it is labelled, not its pixels."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from torch import nn

from handbook import plots

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
        (torch.zeros(28, 28), {}, r"need shape .* got \(28, 28\)"),
        (torch.zeros(2, 5, 28, 28), {}, r"got \(2, 5, 28, 28\)"),
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


def test_confusion_is_labelled():
    panel = plots.confusion_matrix(
        torch.tensor([0, 1]), torch.tensor([1, 1]), names=["cat", "dog", "owl"]
    )
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted class", "true class")
    for axis in (panel.xaxis, panel.yaxis):
        assert [text.get_text() for text in axis.get_ticklabels()] == ["cat", "dog", "owl"]


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
    """The class whose colour is drawn at a point."""
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


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
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
