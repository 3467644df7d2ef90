"""The picture of a graph: the nodes and edges that autograd has, legible, with nothing crossed."""

from collections import Counter
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from torch import nn

from handbook import models, plots


@pytest.fixture(autouse=True)
def clean():
    """Leave no figure behind."""
    yield
    plt.close("all")


def read(figure):
    """Return what the boxes say and which box each arrow connects, after checking legibility."""
    (panel,) = figure.axes
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_bbox_patch().get_window_extent(renderer) for t in panel.texts]
    texts = [t.get_text() for t in panel.texts]
    for (a, one), (b, other) in combinations(zip(boxes, texts, strict=True), 2):
        assert not a.overlaps(b), f"{one!r} lies on {other!r}"
    for box, t in zip(boxes, panel.texts, strict=True):
        words = t.get_window_extent(renderer)
        assert box.x0 < words.x0 and words.x1 < box.x1, "the text leaves its box"
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
        assert box.y0 >= 0 and box.y1 <= figure.bbox.height

    edges = []
    for arrow in panel.patches:
        line = panel.transData.transform_path(arrow._path_original)
        (start, *_, end) = line.vertices
        near = [[b.padded(3).contains(*point) for b in boxes].index(True) for point in (start, end)]
        edges.append(tuple(near))
        for i, box in enumerate(boxes):
            if i not in near:
                assert not line.intersects_bbox(box, filled=False), f"arrow over {texts[i]!r}"
    return texts, edges


def recorded(output):
    """Return the number of functions and of edges, by a walk of its own."""
    seen, todo, edges = set(), [output.grad_fn], 0
    while todo:
        function = todo.pop()
        if function not in seen:
            seen.add(function)
            following = [f for f, _ in function.next_functions if f is not None]
            edges += len(following)
            todo += following
    return len(seen), edges


def test_graph_of_a_line():
    w, b = torch.randn(3, requires_grad=True), torch.zeros((), requires_grad=True)
    hidden = torch.randn(5, 3) @ w
    loss = (hidden + b).square().mean()
    figure = plots.graph(loss, names={"w": w, "b": b, "h": hidden, "loss": loss})
    texts, edges = read(figure)
    assert texts == [
        "loss ()",
        "MeanBackward0",
        "PowBackward0",
        "AddBackward0",
        "MvBackward0\n→ h (5,)",
        "b ()",
        "w (3,)",
    ]
    assert sorted(edges) == [(0, 1), (1, 2), (2, 3), (3, 4), (3, 5), (4, 6)]


def test_graph_shows_each_use_of_a_shared_node():
    a = torch.tensor(2.0, requires_grad=True)
    y = a * a
    texts, edges = read(plots.graph(y + y.sin(), names={"a": a}))
    assert texts.count("a ()") == texts.count("MulBackward0") == 1
    product, leaf = texts.index("MulBackward0"), texts.index("a ()")
    assert edges.count((product, leaf)) == 2  # both factors
    assert sum(end == product for _, end in edges) == 2  # the diamond


def test_graph_takes_the_names_of_a_module():
    model = models.LeNet()
    output = model(torch.randn(2, 1, 28, 28))
    texts, edges = read(plots.graph(output, model.named_parameters()))
    for name, parameter in model.named_parameters():
        assert f"{name} {tuple(parameter.shape)}" in texts
    assert (len(texts) - 1, len(edges) - 1) == recorded(output)
    assert plots.graph(output, dict(model.named_parameters())).axes


def test_graph_of_a_recurrent_network():
    layer = nn.RNN(3, 4)
    output = layer(torch.randn(2, 3))[0]
    texts, edges = read(plots.graph(output, layer.named_parameters()))
    assert (len(texts) - 1, len(edges) - 1) == recorded(output)


def test_graph_lists_what_was_saved():
    x = torch.randn(2, 3, requires_grad=True)
    loss = x.exp().sum()
    assert "ExpBackward0\nsaved result (2, 3)" in read(plots.graph(loss, saved=True))[0]
    loss.backward()
    assert "ExpBackward0\nsaved tensors: freed" in read(plots.graph(loss, saved=True))[0]
    assert "ExpBackward0" in read(plots.graph(loss))[0]


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


def test_graph_of_a_function_of_your_own():
    x = torch.randn(2, requires_grad=True)
    texts, _ = read(plots.graph(Double.apply(x), {"x": x}, saved=True))
    assert texts == ["output (2,)", "DoubleBackward\nsaved tensor (2,)", "x (2,)"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.booleans()), max_size=12))
def test_any_graph_is_complete_and_legible(steps):
    made = [torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)]
    made.append(made[0] * made[1])
    for i, j, one in steps:
        a, b = made[i % len(made)], made[j % len(made)]
        made.append(a.sin() if one else a * b)
    output = torch.stack(made[2:]).sum()
    texts, edges = read(plots.graph(output))
    assert (len(texts) - 1, len(edges) - 1) == recorded(output)
    assert Counter(texts)["(2,)"] == 2
    plt.close("all")


def chain(length):
    y = torch.ones(1, requires_grad=True)
    for _ in range(length):
        y = y.sin()
    return y


def test_a_long_chain_and_a_wide_fan():
    texts, edges = read(plots.graph(chain(39)))
    assert len(texts) == 41 and len(edges) == 40
    fan = torch.stack([torch.ones(3, requires_grad=True) for _ in range(20)])
    figure = plots.graph(fan)
    assert len(read(figure)[0]) == 22
    assert figure.get_figwidth() < 6.5
    with pytest.raises(ValueError, match="more than 40 nodes, too many"):
        plots.graph(chain(40))


def test_letters_stay_readable_on_a_phone():
    model = models.LeNet()
    figure = plots.graph(model(torch.randn(2, 1, 28, 28)), model.named_parameters())
    assert 9 / 72 * 330 / figure.get_figwidth() >= 6.5  # pixels, on a page of 330


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.ones(2), "nothing it was computed from requires grad"),
        (torch.ones(2, requires_grad=True), "it is a leaf"),
        (3.0, "draws a tensor, got float"),
    ],
)
def test_graph_refuses(output, message):
    with pytest.raises(ValueError, match=message) as caught:
        plots.graph(output)
    assert "\n" not in str(caught.value)
