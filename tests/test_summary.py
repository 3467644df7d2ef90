"""The table of shapes: right for every kind of layer, and nothing of the model is changed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from handbook import models, summary


def test_rows_of_a_small_network():
    model = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 24 * 24, 10))
    table = summary(model, torch.zeros(2, 1, 28, 28))
    assert list(table) == [
        ("0", "Conv2d", (2, 1, 28, 28), (2, 6, 24, 24), 156),
        ("1", "ReLU", (2, 6, 24, 24), (2, 6, 24, 24), 0),
        ("2", "Flatten", (2, 6, 24, 24), (2, 3456), 0),
        ("3", "Linear", (2, 3456), (2, 10), 34_570),
    ]
    assert table.total == sum(row.parameters for row in table) == 34_726
    assert repr(table) == str(table) and "34,570" in str(table)
    assert len({len(line) for line in str(table).splitlines()}) == 1


def test_a_single_layer_is_a_model():
    assert list(summary(nn.Linear(3, 2), torch.zeros(3))) == [("", "Linear", (3,), (2,), 8)]


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_convolutions_give_what_the_formula_says(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    kernel, stride, padding, dilation, size = (
        draw(1, 4),
        draw(1, 3),
        draw(0, 2),
        draw(1, 2),
        draw(8, 16),
    )
    layer = nn.Conv2d(2, 4, kernel, stride, padding, dilation)
    (row,) = summary(layer, torch.zeros(1, 2, size, size))
    expected = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    assert row.output == (1, 4, expected, expected)


def test_outputs_of_several_tensors():
    (row,) = summary(nn.LSTM(8, 4), torch.zeros(5, 3, 8))
    assert row.output == ((5, 3, 4), ((1, 3, 4), (1, 3, 4)))
    table = summary(nn.LSTM(8, 4), torch.zeros(5, 3, 8))
    assert "(5, 3, 4), ((1, 3, 4), (1, 3, 4))" in str(table)

    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.zeros(2, 5, 8)
    (row,) = summary(attention, x, x, x)
    assert row.input == ((2, 5, 8),) * 3 and row.output == ((2, 5, 8), (2, 5, 5))
    assert row.parameters == sum(p.numel() for p in attention.parameters()) == 288


def test_a_transformer_layer_shows_its_parts():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    table = summary(layer, torch.zeros(2, 5, 8))
    assert [row.layer for row in table].count("MultiheadAttention") == 1
    assert sum(row.parameters for row in table) == table.total
    assert table[0].input == ((2, 5, 8),) * 3  # query, key, value; no mask
    assert table[0].output == (2, 5, 8)  # no weights were asked for


class Twice(nn.Module):
    """Uses one layer twice, holds it under two names, and owns a parameter itself."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.same = self.one
        self.scale = nn.Parameter(torch.ones(3, 1))
        self.unused = nn.Linear(4, 4)

    def forward(self, x, *, times=1):
        return {"y": self.scale * self.same(self.one(x)) * times, "names": ["a"]}


def test_shared_layers_have_a_row_for_each_call():
    table = summary(Twice(), torch.zeros(3, 4))
    assert list(table) == [
        ("one", "Linear", (3, 4), (3, 4), 20),
        ("one", "Linear", (3, 4), (3, 4), 20),
        ("", "Twice", (3, 4), (3, 4), 3),
    ]
    assert table.total == 43  # once, with what was not called


def test_models_of_the_package():
    for model in (models.MLP(), models.LeNet(), models.ResNet()):
        table = summary(model, torch.zeros(1, 1, 28, 28))  # one example: batch norm would refuse it
        assert table[-1].output == (1, 10)
        assert sum(row.parameters for row in table) == table.total


def state(model):
    return [
        (name, m.training, dict(m._forward_hooks), dict(m._forward_pre_hooks))
        for name, m in model.named_modules()
    ]


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    model[1].eval()
    before, values = state(model), {k: v.clone() for k, v in model.state_dict().items()}
    random = torch.get_rng_state()
    summary(model, torch.ones(3, 2))
    assert state(model) == before and model.training and not model[1].training
    assert all(torch.equal(v, values[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(random, torch.get_rng_state())
    with pytest.raises(RuntimeError):
        summary(model, torch.ones(3, 5))
    assert state(model) == before


SMALL = nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1))


@pytest.mark.parametrize(
    ("model", "inputs", "kind", "message"),
    [
        (
            SMALL,
            [torch.zeros(5, 2)],
            RuntimeError,
            r"^1 \(Linear\) failed on input \(5, 3\): .",
        ),
        (models.LeNet(), [torch.zeros(1, 3, 28, 28)], ValueError, r"^the model \(LeNet\) failed"),
        (nn.Embedding(3, 2), [torch.tensor([3])], IndexError, r"^the model \(Embedding\) failed"),
        (nn.Linear(2, 2), [], TypeError, r"^the model \(Linear\) failed on input \(\): ."),
        (lambda x: x, [torch.zeros(1)], TypeError, "needs a module, got function"),
    ],
)
def test_errors_name_the_layer(model, inputs, kind, message):
    with pytest.raises(kind, match=message) as caught:
        summary(model, *inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated")
def test_a_scripted_layer_takes_no_hooks():
    scripted = torch.jit.script(nn.Linear(2, 2))
    for model in (scripted, nn.Sequential(scripted)):
        with pytest.raises(TypeError, match=r"scripted module: pass it before torch\.jit\.script"):
            summary(model, torch.zeros(1, 2))


def test_a_compiled_model_has_the_names_of_the_model():
    compiled = torch.compile(models.LeNet(), backend="eager")
    images = torch.zeros(2, 1, 28, 28)
    assert summary(compiled, images) == summary(models.LeNet(), images)


def test_a_lazy_layer_must_have_seen_an_input():
    model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"0.weight has no size yet: run the model once"):
        summary(model, torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"running_mean has no size yet: run the model once"):
        summary(nn.LazyBatchNorm1d(affine=False), torch.zeros(2, 3))
    model(torch.zeros(2, 3))
    assert summary(model, torch.zeros(2, 3)).total == 3 * 4 + 4 + 4 * 2 + 2


def test_an_error_of_another_type_keeps_it_and_gains_a_note():
    class Full(nn.Module):
        def forward(self, x):
            raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError) as caught:
        summary(nn.Sequential(nn.Flatten(), Full()), torch.zeros(2, 3))
    assert caught.value.args == ("no room",)
    assert caught.value.__notes__ == ["1 (Full) failed on input (2, 3): no room"]
