"""Models: sizes known from the papers, shapes, errors, and the two ways out of eager mode."""

import shutil
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from handbook import datasets, models
from handbook.models import MLP, LeNet, ResidualBlock, ResNet

MODELS = [
    pytest.param(lambda: MLP(hidden=(32, 16), dropout=0.5), id="MLP"),
    pytest.param(LeNet, id="LeNet"),
    pytest.param(lambda: ResNet(width=4), id="ResNet"),
]
# A block reads images, of any number of channels, and returns images.
BLOCK = pytest.param(lambda: ResidualBlock(1, 4, stride=2), id="ResidualBlock")
DIGITS = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (MLP(), 784 * 128 + 128 + 128 * 10 + 10),
        (MLP(2, (), 1), 3),
        (MLP(2, (16, 8), 3), (2 + 1) * 16 + (16 + 1) * 8 + (8 + 1) * 3),
        (LeNet(), 156 + 2_416 + 48_120 + 10_164 + 850),
        (LeNet(classes=5), 61_706 - 5 * 85),
        (ResidualBlock(16, 16), 2 * 16 * 16 * 9 + 2 * 32),
        (ResidualBlock(16, 32, stride=2), (16 + 32) * 32 * 9 + 16 * 32 + 3 * 64),
        (ResNet(), 77_754),
        (ResNet(channels=3, blocks=3), 272_474),  # ResNet-20: 0.27 M in He et al. (2016), table 6
    ],
)
def test_number_of_parameters(model, parameters):
    assert size(model) == parameters


def test_resnet_20_has_20_layers_with_weights():
    layers = [m for m in ResNet(blocks=3).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    shortcuts = [m for m in layers if getattr(m, "kernel_size", None) == (1, 1)]
    assert len(layers) - len(shortcuts) == 20


@pytest.mark.parametrize("make", MODELS)
def test_gradients_reach_every_parameter(make):
    model = make()
    model(DIGITS).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("make", MODELS)
def test_an_example_is_read_alike_alone_and_in_a_batch(make):
    model = make().eval()
    alone = torch.cat([model(x[None]) for x in DIGITS])
    torch.testing.assert_close(alone, model(DIGITS))
    assert model(DIGITS[:0]).shape == (0, 10)


@pytest.mark.parametrize("make", MODELS)
def test_state_comes_back(make):
    model, other = make().eval(), make().eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(DIGITS), other(DIGITS))


@given(
    st.integers(1, 5), st.lists(st.integers(1, 5), max_size=3), st.integers(1, 5), st.integers(0, 3)
)
def test_mlp_of_any_size(in_features, hidden, out_features, batch):
    model = MLP(in_features, hidden, out_features)
    widths = [in_features, *hidden, out_features]
    assert model(torch.zeros(batch, in_features)).shape == (batch, out_features)
    assert size(model) == sum((a + 1) * b for a, b in pairwise(widths))


@given(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 2), st.integers(4, 33), st.integers(4, 33)
)
def test_resnet_of_any_size(channels, width, blocks, height, across):
    model = ResNet(channels, 7, width, blocks).eval()
    assert model(torch.zeros(2, channels, height, across)).shape == (2, 7)


def test_residual_block_adds_to_its_input():
    block = ResidualBlock(4, 4).eval()
    nn.init.zeros_(block.norm2.weight)
    x = torch.rand(2, 4, 5, 5)
    assert torch.equal(block(x), x)


def test_dropout_acts_in_training_alone():
    model = MLP(dropout=0.5)
    assert not torch.equal(model(DIGITS), model(DIGITS))
    model.eval()
    assert torch.equal(model(DIGITS), model(DIGITS))
    assert model.state_dict().keys() == MLP().state_dict().keys()


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (MLP(), (2, 1, 32, 32), r"784 values in each example, got shape \(2, 1, 32, 32\)"),
        (MLP(), (784,), r"got shape \(784,\); one example alone becomes a batch by x\[None\]"),
        (MLP(1), (5,), r"got shape \(5,\)"),
        (LeNet(), (28, 28), r"needs images of shape \(B, 1, 28, 28\), got \(28, 28\)"),
        (LeNet(), (1, 28, 28), r"x\[None\] makes one image a batch"),
        (LeNet(), (5, 28, 28), r"unsqueeze\(1\) adds a missing channel axis"),
        (LeNet(), (5, 3, 28, 28), r"got \(5, 3, 28, 28\)"),
        (LeNet(), (5, 1, 32, 32), r"got \(5, 1, 32, 32\)"),
        (ResNet(3), (5, 1, 32, 32), r"needs images of shape \(B, 3, H, W\), got \(5, 1, 32, 32\)"),
        (ResNet(), (28, 28), r"got \(28, 28\)"),
    ],
)
def test_wrong_shapes_are_refused_in_one_line(model, shape, message):
    with pytest.raises(ValueError, match=message) as caught:
        model(torch.zeros(shape))
    assert "\n" not in str(caught.value)


def test_the_two_ways_out_are_tried_with_every_public_model():
    tried = {type(param.values[0]()).__name__ for param in [*MODELS, BLOCK]}
    # Models of sequences have tests of their own: test_models_recurrent.py, _transformer.py.
    of_sequences = {"RecurrentNetwork", "SelfAttention", "Transformer", "TransformerBlock"}
    assert tried | of_sequences | {"sinusoidal_positions"} == set(models.__all__)


@pytest.mark.parametrize("make", [*MODELS, BLOCK])
def test_compiles_as_one_graph_for_any_batch_size(make):
    model = make().eval()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    torch.testing.assert_close(compiled(DIGITS), model(DIGITS))
    with torch.compiler.set_stance("fail_on_recompile"):
        torch.testing.assert_close(compiled(DIGITS[:2]), model(DIGITS[:2]))
    torch.compile(make(), fullgraph=True, backend="aot_eager")(DIGITS).sum().backward()


@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor compiles C++")
def test_lenet_compiles_to_machine_code():
    model = LeNet().eval()
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model, fullgraph=True)(DIGITS), model(DIGITS))


@pytest.mark.parametrize("make", [*MODELS, BLOCK])
def test_exports_with_a_free_batch_size(make, tmp_path):
    model = make().eval()
    free = {"x": {0: torch.export.Dim("batch")}}
    exported = torch.export.export(model, (DIGITS,), dynamic_shapes=free)
    torch.export.save(exported, tmp_path / "model.pt2")
    batch = torch.rand(7, 1, 28, 28)
    for program in (exported, torch.export.load(tmp_path / "model.pt2")):
        torch.testing.assert_close(program.module()(batch), model(batch))


def test_lenet_learns_to_read_digits():
    torch.manual_seed(0)
    train, test = datasets.mnist()
    model, epochs = LeNet(), 5
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs * 157)
    for _ in range(epochs):
        for index in torch.randperm(10_000).split(64):
            loss = nn.functional.cross_entropy(model(train.x[index]), train.y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    with torch.no_grad():
        accuracy = (model(test.x).argmax(1) == test.y).float().mean()
    assert accuracy > 0.98
