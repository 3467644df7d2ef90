"""The recurrent network: sizes, shapes, the state that goes on, and the two ways out."""

import pytest
import torch
from torch import Tensor, nn

from handbook.models import RecurrentNetwork

KINDS = {"rnn": (1, nn.RNN), "gru": (3, nn.GRU), "lstm": (4, nn.LSTM)}
SEQUENCES = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(0))


def detached(state):
    return state.detach() if isinstance(state, Tensor) else tuple(each.detach() for each in state)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.mark.parametrize("num_layers", [1, 2])
def test_number_of_parameters(kind, num_layers):
    parts, _ = KINDS[kind]
    model = RecurrentNetwork(2, 5, 3, kind, num_layers)
    first = parts * (2 * 5 + 5 * 5 + 5 + 5)
    other = parts * (5 * 5 + 5 * 5 + 5 + 5)
    expected = first + (num_layers - 1) * other + (5 + 1) * 3
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


@pytest.mark.parametrize("num_layers", [1, 2])
def test_it_is_the_layer_of_torch_with_a_linear_layer(kind, num_layers):
    model = RecurrentNetwork(2, 5, 3, kind, num_layers)
    layer = KINDS[kind][1](2, 5, num_layers, batch_first=True)
    layer.load_state_dict(model.recurrent.state_dict())
    output, state = model.with_state(SEQUENCES)
    hidden, expected = layer(SEQUENCES)
    torch.testing.assert_close(output, hidden @ model.out.weight.T + model.out.bias)
    torch.testing.assert_close(state, expected)
    assert torch.equal(model(SEQUENCES), output)


def test_by_hand():
    """The cells step by step, from the formulas of the documentation of torch."""
    for kind in KINDS:
        model = RecurrentNetwork(2, 5, 3, kind)
        w_ih, w_hh, b_ih, b_hh = model.recurrent.parameters()
        h = c = torch.zeros(3, 5)
        for t in range(7):
            a, b = SEQUENCES[:, t] @ w_ih.T + b_ih, h @ w_hh.T + b_hh
            if kind == "rnn":
                h = torch.tanh(a + b)
            elif kind == "gru":
                r, z = torch.sigmoid(a + b)[:, :10].chunk(2, dim=1)
                h = (1 - z) * torch.tanh(a[:, 10:] + r * b[:, 10:]) + z * h
            else:
                i, f, g, o = (a + b).chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            torch.testing.assert_close(model(SEQUENCES)[:, t], model.out(h))


def test_gradients_reach_every_parameter(kind):
    model = RecurrentNetwork(2, 5, 3, kind, num_layers=2)
    model(SEQUENCES).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_a_sequence_is_read_alike_alone_and_in_a_batch(kind):
    model = RecurrentNetwork(2, 5, 3, kind).eval()
    alone = torch.cat([model(x[None]) for x in SEQUENCES])
    torch.testing.assert_close(alone, model(SEQUENCES))


def test_no_output_knows_later_steps(kind):
    model = RecurrentNetwork(2, 5, 3, kind)
    changed = SEQUENCES.clone()
    changed[:, 4:] += 1
    assert torch.equal(model(changed)[:, :4], model(SEQUENCES)[:, :4])
    assert not torch.allclose(model(changed)[:, 4:], model(SEQUENCES)[:, 4:])


@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_state_goes_on(kind, num_layers):
    model = RecurrentNetwork(2, 5, 3, kind, num_layers)
    first, state = model.with_state(SEQUENCES[:, :3])
    pieces = torch.cat([first, model(SEQUENCES[:, 3:], detached(state))], dim=1)
    torch.testing.assert_close(pieces, model(SEQUENCES))


def test_the_state_is_in_the_graph_until_it_is_detached(kind):
    model = RecurrentNetwork(2, 5, 3, kind)
    first, state = model.with_state(SEQUENCES[:, :3])
    first.sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        model(SEQUENCES[:, 3:], state).sum().backward()
    model(SEQUENCES[:, 3:], detached(state)).sum().backward()


def test_parameters_come_back(kind):
    model, other = RecurrentNetwork(2, 5, 3, kind), RecurrentNetwork(2, 5, 3, kind)
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(SEQUENCES), other(SEQUENCES))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((7, 2), r"needs sequences of shape \(B, T, 2\), got \(7, 2\).*x\[None\] makes one"),
        ((3, 7), r"unsqueeze\(2\) adds a missing last axis"),
        ((3, 7, 1), r"got \(3, 7, 1\)"),
        ((3, 7, 2, 1), r"got \(3, 7, 2, 1\)"),
    ],
)
def test_wrong_shapes_are_refused_in_one_line(shape, message):
    with pytest.raises(ValueError, match=message) as caught:
        RecurrentNetwork(2, 5, 3)(torch.zeros(shape))
    assert "\n" not in str(caught.value)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind is one of 'lstm', 'gru' and 'rnn', got 'LSTM'"):
        RecurrentNetwork(2, 5, 3, kind="LSTM")


def test_compiles_with_the_recurrent_layer_left_as_it_is(kind):
    """TorchDynamo does not read into recurrent layers, so this is not one graph."""
    model = RecurrentNetwork(2, 5, 3, kind).eval()
    compiled = torch.compile(model, dynamic=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(SEQUENCES), model(SEQUENCES))
        torch.testing.assert_close(compiled(SEQUENCES[:2]), model(SEQUENCES[:2]))


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # the weights, read flat
def test_exports_with_a_free_batch_size(kind, tmp_path):
    model = RecurrentNetwork(2, 5, 3, kind).eval()
    free = {"x": {0: torch.export.Dim("batch")}}
    exported = torch.export.export(model, (SEQUENCES,), dynamic_shapes=free)
    torch.export.save(exported, tmp_path / "model.pt2")
    batch = torch.randn(5, 7, 2)
    for program in (exported, torch.export.load(tmp_path / "model.pt2")):
        torch.testing.assert_close(program.module()(batch), model(batch))


def test_learns_a_running_sum(kind):
    torch.manual_seed(0)
    model = RecurrentNetwork(1, 16, 1, kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        x = 0.5 * torch.randn(64, 10, 1)
        loss = nn.functional.mse_loss(model(x), x.cumsum(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = 0.5 * torch.randn(500, 10, 1)
    with torch.no_grad():
        error = nn.functional.mse_loss(model(x), x.cumsum(1))
    assert error < 0.1 * x.cumsum(1).square().mean()
