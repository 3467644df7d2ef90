"""Pictures of layers: what is drawn as read is what the output depends on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from torch import nn
from torch.nn import functional as F

from handbook import plots

FIRST, SECOND = "#e69f00", "#56b4e9"


@pytest.fixture(autouse=True)
def clean():
    """Leave no figure behind."""
    yield
    plt.close("all")


def drawn(panel):
    """Return text and colours of each cell, by row and column of the whole panel."""
    found = {}
    for text in panel.texts:
        found[tuple(reversed(text.get_position()))] = text.get_text(), set(), []
    for box in panel.patches:
        row = box.get_y() + 0.5
        here = [place for place in found if place[0] == row]
        nearest = min(here, key=lambda place: abs(place[1] - box.get_x() - box.get_width() / 2))
        fill = box.get_facecolor()
        if fill[3]:
            found[nearest][1].add(to_hex(fill))
        if box.get_hatch():
            found[nearest][2].append(box)
    return found


def grid(panel, columns):
    """Return the texts, and where the first and the second window lie, row by row."""
    found = drawn(panel)
    cells = [found[place] for place in sorted(found)]
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    texts = [[text for text, _, _ in row] for row in rows]
    masks = [
        torch.tensor([[c in fills for _, fills, _ in row] for row in rows]) for c in (FIRST, SECOND)
    ]
    return texts, masks, torch.tensor([[bool(hatched) for *_, hatched in row] for row in rows])


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_windows_are_what_an_output_depends_on(data):
    """Gradients of two outputs, with respect to an image that was padded by hand, agree."""
    kernel, stride = data.draw(pairs), data.draw(pairs)
    dilation = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    mode = data.draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    groups = data.draw(st.sampled_from([1, 2]))
    size = data.draw(st.tuples(st.integers(5, 7), st.integers(5, 8)))
    layer = nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups, padding_mode=mode)
    before = [p.clone() for p in layer.parameters()]
    figure = plots.receptive_fields(layer, size=size, which=(0, -1))
    assert all(map(torch.equal, before, layer.parameters()))

    numbers = torch.arange(1.0, size[0] * size[1] + 1).view(1, 1, *size)
    sides = (padding[1], padding[1], padding[0], padding[0])
    padded = F.pad(numbers, sides, mode="constant" if mode == "zeros" else mode)
    padded.requires_grad_()
    output = F.conv2d(padded, torch.ones(1, 1, *kernel), None, stride, 0, dilation)[0, 0]
    texts, masks, hatched = grid(figure.axes[0], padded.shape[3])
    title = figure.axes[0].get_title(loc="left").splitlines()
    assert title[-1] == f"{size} becomes {tuple(output.shape)}"
    assert tuple(layer(torch.zeros(2, *size)).shape[1:]) == tuple(output.shape)

    (all_read,) = torch.autograd.grad(output.sum(), padded, retain_graph=True)
    for row in range(padded.shape[2]):
        for column in range(padded.shape[3]):
            value = str(int(padded[0, 0, row, column].item()))
            inside = padding[0] <= row < padding[0] + size[0]
            inside = inside and padding[1] <= column < padding[1] + size[1]
            read = all_read[0, 0, row, column] > 0
            assert texts[row][column] == (value if inside or read else "")
            assert hatched[row, column] == (inside and not read)
    last = output.flatten()[-1]
    for mask, number in zip(masks, (output[0, 0], last), strict=True):
        (reached,) = torch.autograd.grad(number, padded, retain_graph=True)
        assert torch.equal(mask, reached[0, 0] > 0)
    plt.close(figure)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_windows_of_pooling(data):
    """The largest number of a window, and its mean, are those of the cells that are drawn."""
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = data.draw(st.one_of(st.none(), pairs))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    ceil = data.draw(st.booleans())
    counted = data.draw(st.booleans())
    largest = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil, return_indices=counted)
    mean = nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=counted)
    size = data.draw(st.tuples(st.integers(4, 7), st.integers(4, 8)))
    image = torch.arange(1.0, size[0] * size[1] + 1).view(1, 1, *size)
    figure = plots.receptive_fields(largest, mean, size=size, which=(0, -1))
    for panel, layer in zip(figure.axes, (largest, mean), strict=True):
        output = layer(image)
        output = (output[0] if isinstance(output, tuple) else output).flatten()
        cells = drawn(panel)
        columns = len({place[1] for place in cells})
        texts, masks, _ = grid(panel, columns)
        for mask, answer in zip(masks, output[[0, -1]].tolist(), strict=True):
            values = [float(texts[i][j]) for i, j in mask.nonzero().tolist() if texts[i][j]]
            expected = max(values) if layer is largest else sum(values) / len(values)
            assert answer == pytest.approx(expected)
    plt.close(figure)


def test_windows_say_what_they_show():
    layers = [
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(3, 8, (1, 3), padding="same", bias=False),
        nn.Conv2d(1, 1, 2, padding="same", padding_mode="reflect"),
        nn.MaxPool2d(2),
    ]
    figure = plots.receptive_fields(*layers, size=5, names=["a", "b", "c", "d"])
    assert [panel.get_title(loc="left").splitlines() for panel in figure.axes] == [
        ["a", "stride=1", "(5, 5) becomes (3, 3)"],
        ["b", "padding=same", "(5, 5) becomes (5, 5)"],
        ["c", "padding=same, padding_mode=reflect", "(5, 5) becomes (5, 5)"],
        ["d", "stride=2", "(5, 5) becomes (2, 2)"],
    ]
    _, masks, hatched = grid(figure.axes[3], 5)
    assert hatched[:, 4].all() and hatched[4].all() and not hatched[:4, :4].any()
    assert masks[0].sum() == masks[1].sum() == 4 and not (masks[0] & masks[1]).any()
    figure = plots.receptive_fields(nn.MaxPool2d(2), which=[3])
    assert figure.axes[0].get_title(loc="left").startswith("MaxPool2d, 2 × 2\n")


class Shifted(nn.Conv2d):
    """Read other cells than the settings say."""

    def forward(self, x):
        return super().forward(x.roll(1, -1))


class Wider(nn.MaxPool2d):
    """Look beyond the window."""

    def forward(self, x):
        return F.max_pool2d(x, 3, 1, 1)


@pytest.mark.parametrize(
    ("layers", "options", "kind", "message"),
    [
        ([], {}, ValueError, "0 layers"),
        ([nn.MaxPool2d(2)], {"ncols": 0}, ValueError, "0 columns"),
        ([nn.MaxPool2d(2)], {"which": []}, ValueError, "0 windows"),
        ([nn.MaxPool2d(2)], {"which": range(5)}, ValueError, "5 windows"),
        ([nn.MaxPool2d(2)], {"which": [9], "size": 6}, ValueError, "no window 9: .* has 9 of them"),
        ([nn.MaxPool2d(2)], {"names": []}, ValueError, "0 names for 1 layers"),
        ([nn.MaxPool2d(2)], {"size": 9}, ValueError, "9 × 9 cells: draw 1 to 64"),
        ([nn.Conv2d(1, 1, 6)], {}, RuntimeError, "Kernel size can't be greater"),
        ([nn.Linear(2, 2)], {}, TypeError, "Linear does not"),
        ([nn.Conv1d(1, 1, 3)], {}, TypeError, "Conv1d does not"),
        ([Shifted(1, 1, 3)], {}, RuntimeError, "Shifted does not read what its settings say"),
        ([Wider(1)], {}, RuntimeError, "Wider does not read what its settings say"),
    ],
)
def test_windows_refuse(layers, options, kind, message):
    with pytest.raises(kind, match=message) as caught:
        plots.receptive_fields(*layers, **options)
    assert "\n" not in str(caught.value)


# Channels


@pytest.mark.parametrize(
    ("inputs", "outputs", "groups"), [(4, 6, 2), (3, 3, 3), (4, 8, 4), (2, 5, 1)]
)
def test_channels_are_those_that_the_output_depends_on(inputs, outputs, groups):
    layer = nn.Conv2d(inputs, outputs, 3, groups=groups, padding=1, padding_mode="reflect")
    x = torch.randn(1, inputs, 4, 4, requires_grad=True)
    expected = []
    for channel in layer(x)[0]:
        (grad,) = torch.autograd.grad(channel.square().sum(), x, retain_graph=True)
        expected += (grad.abs().sum((0, 2, 3)) > 0).tolist()
    with torch.no_grad():
        (panel,) = plots.channel_map(layer).axes
    fills = [to_hex(box.get_facecolor()) for box in panel.patches]
    assert [fill != "#ffffff" for fill in fills] == expected
    assert len(set(fills) - {"#ffffff"}) == groups
    head, rest = panel.get_title(loc="left").split("\n")
    assert head == f"groups={groups}"
    assert rest == f"{layer.weight.numel()} weights"


@pytest.mark.parametrize(
    ("layers", "options", "kind", "message"),
    [
        ([], {}, ValueError, "0 layers"),
        ([nn.Conv2d(1, 1, 1)], {"ncols": 0}, ValueError, "0 columns"),
        ([nn.Conv2d(1, 1, 1)], {"names": ["a", "b"]}, ValueError, "2 names for 1 layers"),
        ([nn.Conv2d(1, 17, 1)], {}, ValueError, "1 channels to 17: draw at most 16"),
        ([nn.Linear(2, 2)], {}, TypeError, "not Linear"),
    ],
)
def test_channels_refuse(layers, options, kind, message):
    with pytest.raises(kind, match=message) as caught:
        plots.channel_map(*layers, **options)
    assert "\n" not in str(caught.value)


def test_pictures_of_layers_can_be_read_on_a_phone():
    from test_plots_tensors import legible

    modes = [nn.Conv2d(1, 1, 3, padding=1, padding_mode=m) for m in ("zeros", "circular")]
    legible(plots.receptive_fields(*modes, nn.MaxPool2d(2), size=6))
    legible(
        plots.channel_map(
            nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(4, 8, 1), ncols=3
        )
    )
