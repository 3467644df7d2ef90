"""Pictures of tensors: each cell shows the element that is there, and all text can be read."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from handbook import plots


@pytest.fixture(autouse=True)
def clean():
    """Leave no figure behind."""
    yield
    plt.close("all")


def cells(panel):
    """Return text and colour of each cell, by row and column of the whole panel, as drawn."""
    found = []
    for box in panel.patches:
        assert isinstance(box, Rectangle)
        middle = (box.get_x() + box.get_width() / 2, box.get_y() + 0.5)
        (text,) = [t.get_text() for t in panel.texts if t.get_position() == pytest.approx(middle)]
        found.append((text, box.get_facecolor()))
    return found


def legible(figure):
    """Check that no text lies on another one or outside, and that none shrinks below 7 pixels."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [text for panel in figure.axes for text in panel.texts]
    texts += [t for panel in figure.axes for t in (panel.title, panel._left_title)]
    texts += [t for t in (figure._supxlabel, figure._suptitle) if t is not None]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text()]
    assert boxes
    right, top = figure.bbox.width, figure.bbox.height
    for text, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= right + 1 and box.y1 <= top + 1
        assert inside, f"{text!r} leaves the figure"
    for (one, a), (other, b) in combinations(boxes, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        assert apart, f"{one!r} lies on {other!r}"
    phone = 330 / figure.get_figwidth()  # pixels for an inch where the page is 330 wide
    assert min(t.get_fontsize() for t in texts if t.get_text()) / 72 * phone >= 6.5


# Layout

X = torch.arange(12).reshape(3, 4)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (X, [*range(12)]),
        (X.T, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]),
        (X[1], [4, 5, 6, 7]),
        (X[:, ::2], [0, 2, 4, 6, 8, 10]),
        (X[2, 3], [11]),
        (X[:, :1].expand(3, 2), [0, 0, 4, 4, 8, 8]),
        (X.view(2, 3, 2).permute(2, 0, 1), [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]),
        (X.view(2, 6).unfold(1, 2, 3), [0, 1, 3, 4, 6, 7, 9, 10]),
    ],
    ids=str,
)
def test_layout_shows_where_each_element_lies(tensor, expected):
    """The colour of an element is that of its cell in the storage, and of no other cell."""
    figure = plots.memory_layout(tensor)
    drawn = cells(figure.axes[0])
    grid, storage = drawn[: len(expected)], drawn[len(expected) :]
    assert [int(text) for text, _ in grid] == expected
    assert [int(text) for text, _ in storage] == [*range(12)]
    used = sorted(set(expected))
    assert len({storage[k][1] for k in used}) == len(used)
    assert [colour for _, colour in grid] == [storage[k][1] for k in expected]
    assert all((storage[k][1] == (1, 1, 1, 1)) == (k not in used) for k in range(12))
    legible(figure)


def test_layout_tells_a_view_from_a_copy():
    figure = plots.memory_layout(
        X, X.T, X.T.reshape(3, 4), X[1:], names=["x", "x.T", "copy", "x[1:]"]
    )
    titles = [panel.get_title(loc="left").splitlines() for panel in figure.axes]
    assert [title[0] for title in titles] == ["x", "x.T", "copy", "x[1:]"]
    assert titles[1][1] == "shape (4, 3), stride (1, 4)"
    assert [title[2] for title in titles] == [
        "offset 0",
        "offset 0, in the storage of x",
        "offset 0, in another storage",
        "offset 4, in the storage of x",
    ]
    colours = [{colour for _, colour in cells(panel)} for panel in figure.axes]
    assert colours[0] == colours[1] and not colours[0] & colours[2]
    legible(figure)


def test_layout_of_other_element_sizes_and_values():
    bits = torch.tensor([1.0, -2.5]).view(torch.int16)
    figure = plots.memory_layout(
        bits, torch.tensor([True, False]), torch.tensor([1e-9, float("nan")])
    )
    assert [text for text, _ in cells(figure.axes[0])] == ["0", "16256", "0", "-16352"] * 2
    assert [text for text, _ in cells(figure.axes[1])] == ["True", "False"] * 2
    assert [text for text, _ in cells(figure.axes[2])] == ["1e-09", "nan"] * 2
    legible(figure)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 4), max_size=3), st.randoms(use_true_random=False), st.integers(1, 2)
)
def test_layout_can_be_read(shape, random, ncols):
    x = torch.randn(shape)
    turned = x.permute(random.sample(range(x.ndim), x.ndim))
    figure = plots.memory_layout(x, turned, x.clone(), ncols=ncols)
    assert [len(cells(panel)) for panel in figure.axes] == [2 * x.numel()] * 3
    if ncols == 1:
        legible(figure)
    plt.close(figure)


def test_layout_draws_where_it_is_told():
    figure, panels = plt.subplots(1, 2)
    assert plots.memory_layout(X, X.T, ax=panels) is figure
    assert plots.memory_layout(X[0], ax=panels[0]) is figure
    assert len(cells(panels[1])) == 24
    with pytest.raises(ValueError, match="2 axes for 1 tensors"):
        plots.memory_layout(X, ax=panels)


def test_layout_needs_no_gradient_and_leaves_the_tensor_alone():
    x = torch.ones(2, 2, requires_grad=True)
    plots.memory_layout(x, (x * 2).T)
    assert x.requires_grad and x.grad is None


@pytest.mark.parametrize(
    ("tensors", "options", "message"),
    [
        ([], {}, "0 tensors"),
        ([X], {"names": ["a", "b"]}, "2 names for 1 tensors"),
        ([X], {"ncols": 0}, "0 columns"),
        ([torch.zeros(65)], {}, "tensor 0 has 65 elements, in a storage of 65: draw 1 to 64"),
        ([torch.zeros(99)[:2]], {}, "2 elements, in a storage of 99"),
        ([torch.zeros(0)], {"names": ["x"]}, "x has 0 elements"),
        ([torch.zeros(1).expand(65)], {}, "65 elements, in a storage of 1:"),
        ([torch.zeros(1, 1, 1, 1)], {}, "4 axes: draw at most 3"),
        ([torch.zeros(2, device="meta")], {}, "not a dense"),
        ([torch.eye(2).to_sparse()], {}, "not a dense"),
        ([[1, 2]], {}, "not a dense"),
    ],
)
def test_layout_refuses(tensors, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        plots.memory_layout(*tensors, **options)
    assert "\n" not in str(caught.value)


# Broadcast


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_broadcast_draws_what_torch_computes(data):
    full = data.draw(st.lists(st.integers(1, 5), max_size=2))
    shapes = [
        [data.draw(st.sampled_from([1, n])) for n in full][data.draw(st.integers(0, len(full))) :]
        for _ in "ab"
    ]
    a, b = (torch.arange(torch.Size(shape).numel()).reshape(shape) for shape in shapes)
    figure = plots.broadcast(a, b)
    for panel, x, wide in zip(figure.axes, (a, b), torch.broadcast_tensors(a, b), strict=True):
        drawn = cells(panel)
        assert [int(text) for text, _ in drawn] == wide.flatten().tolist()
        full_colour = [int(text) for text, (*_, alpha) in drawn if alpha == 1]
        assert full_colour == x.flatten().tolist()  # each element once, its copies pale
    legible(figure)
    plt.close(figure)


def test_broadcast_aligns_the_axes_on_the_right():
    figure = plots.broadcast(torch.zeros(3, 1), torch.zeros(4), names=("x", "bias"))
    assert figure._supxlabel.get_text().splitlines() == [
        "x          3   1",
        "bias           4",
        "result     3   4",
    ]
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles == ["x: (3, 1) becomes (3, 4)", "bias: (4,) becomes (3, 4)"]
    same = plots.broadcast(torch.zeros(2), torch.zeros(2))
    assert [panel.get_title(loc="left") for panel in same.axes] == ["a: (2,)", "b: (2,)"]


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((3,), (4,), r"\(3,\) and \(4,\) do not broadcast: axis -1 is 3 and 4"),
        ((2, 3), (3, 3), "axis -2 is 2 and 3"),
        ((2, 1, 3), (4, 1), r"shape \(2, 4, 3\): draw at most two axes"),
        ((65,), (1,), r"shape \(65,\)"),
        ((0, 3), (1, 3), r"shape \(0, 3\)"),
    ],
)
def test_broadcast_refuses(a, b, message):
    with pytest.raises(ValueError, match=message) as caught:
        plots.broadcast(torch.zeros(a), torch.zeros(b))
    assert "\n" not in str(caught.value)
