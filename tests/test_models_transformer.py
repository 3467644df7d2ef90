"""Transformers: beside PyTorch's own layers, what each element sees, and one that learns."""

import math

import pytest
import torch
from torch import nn

from handbook import models
from handbook.models import (
    MLP,
    SelfAttention,
    Transformer,
    TransformerBlock,
    sinusoidal_positions,
)

X = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
TOKENS = torch.tensor([[3, 1, 4, 1, 5], [2, 7, 1, 8, 2], [0, 0, 9, 9, 0]])
KEEP = torch.tensor([[True] * 5, [True, True, True, False, False], [True] + [False] * 4])


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def by_hand(layer: SelfAttention, x: torch.Tensor) -> torch.Tensor:
    """Attention with loops: over the examples, the heads and the queries."""
    query, key, value = layer.in_projection(x).chunk(3, dim=2)
    features = x.shape[2] // layer.heads
    output = torch.zeros_like(x)
    for b in range(x.shape[0]):
        for head in range(layer.heads):
            columns = slice(head * features, (head + 1) * features)
            for i in range(x.shape[1]):
                seen = i + 1 if layer.is_causal else x.shape[1]
                scores = key[b, :seen, columns] @ query[b, i, columns] / math.sqrt(features)
                output[b, i, columns] = scores.softmax(0) @ value[b, :seen, columns]
    return layer.out_projection(output)


def as_packaged(layer: SelfAttention, width: int) -> nn.MultiheadAttention:
    other = nn.MultiheadAttention(width, layer.heads, batch_first=True)
    other.load_state_dict(
        {
            "in_proj_weight": layer.in_projection.weight,
            "in_proj_bias": layer.in_projection.bias,
            "out_proj.weight": layer.out_projection.weight,
            "out_proj.bias": layer.out_projection.bias,
        }
    )
    return other


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_that_of_the_loops(heads, is_causal):
    layer = SelfAttention(8, heads, is_causal)
    with torch.no_grad():
        torch.testing.assert_close(layer(X), by_hand(layer, X))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_that_of_pytorch(heads):
    layer = SelfAttention(8, heads)
    other = as_packaged(layer, 8)
    torch.testing.assert_close(layer(X), other(X, X, X)[0])
    hidden = ~KEEP  # there True drops
    torch.testing.assert_close(layer(X, KEEP), other(X, X, X, key_padding_mask=hidden)[0])


def test_block_is_that_of_pytorch():
    block = TransformerBlock(8, 2)
    other = nn.TransformerEncoderLayer(
        8, 2, dim_feedforward=32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    other.self_attn = as_packaged(block.attention, 8)
    other.norm1, other.norm2 = block.norm1, block.norm2
    other.linear1, other.linear2 = block.network[0], block.network[2]
    torch.testing.assert_close(block(X), other(X))


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (SelfAttention(8, 2), (8 + 1) * 24 + (8 + 1) * 8),
        (SelfAttention(8, 4), (8 + 1) * 24 + (8 + 1) * 8),  # heads share the features
        (TransformerBlock(8, 2), 288 + 2 * 16 + (8 + 1) * 32 + (32 + 1) * 8),
        (TransformerBlock(32, 4), 12 * 32**2 + 13 * 32),
        (Transformer(10), 10 * 32 + 64 * 32 + 12_704 + 64 + 33 * 10),
        (Transformer(10, sinusoidal=True), 10 * 32 + 12_704 + 64 + 33 * 10),
        (Transformer(10, 3, 16, 8, 2, 2), 80 + 16 * 8 + 2 * 872 + 16 + 9 * 3),
    ],
)
def test_number_of_parameters(model, parameters):
    assert size(model) == parameters


@pytest.mark.parametrize("is_causal", [False, True])
def test_shapes_and_gradients(is_causal):
    model = Transformer(10, out_features=3, max_length=5, blocks=2, is_causal=is_causal)
    logits = model(TOKENS)
    assert logits.shape == (3, 5, 3)
    assert model(TOKENS[:0]).shape == (0, 5, 3)
    logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_what_each_element_sees():
    """A change of the element in the middle reaches all, or only itself and later ones."""
    other = X.clone()
    other[:, 2] += 1.0
    for is_causal, reached in [(False, [0, 1, 2, 3, 4]), (True, [2, 3, 4])]:
        block = TransformerBlock(8, 2, is_causal)
        changed = (block(X) != block(other)).any(2).any(0)
        assert changed.nonzero().flatten().tolist() == reached


@pytest.mark.parametrize("is_causal", [False, True])
def test_padding_does_not_count(is_causal):
    model = Transformer(10, max_length=5, blocks=2, is_causal=is_causal)
    alone = model(TOKENS[1:2, :3])
    padded = model(TOKENS, KEEP)
    torch.testing.assert_close(padded[1:2, :3], alone)
    assert padded.isfinite().all()
    if not is_causal:  # without `keep`, padding is read
        assert not torch.allclose(model(TOKENS)[1:2, :3], alone)


def test_order_counts_by_the_positions_alone():
    order = torch.tensor([4, 2, 0, 1, 3])
    block = TransformerBlock(8, 2)
    torch.testing.assert_close(block(X[:, order]), block(X)[:, order])
    model = Transformer(10)
    assert not torch.allclose(model(TOKENS[:, order]), model(TOKENS)[:, order])


def test_sinusoidal_positions():
    positions = sinusoidal_positions(50, 16)
    assert positions.shape == (50, 16) and positions.dtype == torch.float32
    for p, column in [(0, 0), (7, 4), (49, 14)]:
        angle = p / 10_000 ** (column / 16)
        assert math.isclose(positions[p, column], math.sin(angle), abs_tol=1e-5)
        assert math.isclose(positions[p, column + 1], math.cos(angle), abs_tol=1e-5)
    # How alike two positions are depends on their distance alone.
    alike = positions @ positions.T
    torch.testing.assert_close(alike[:-3, :-3], alike[3:, 3:])
    assert torch.equal(Transformer(10, sinusoidal=True).positions, sinusoidal_positions(64, 32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SelfAttention(10, 4), "4 heads cannot share 10 features evenly"),
        (lambda: sinusoidal_positions(3, 5), "width must be even, got 5"),
        (lambda: Transformer(10, max_length=4)(TOKENS), r"L up to 4, got \(3, 5\)"),
        (lambda: Transformer(10)(TOKENS[0]), r"got \(5,\); tokens\[None\] makes one sequence"),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_dropout_acts_in_training_alone():
    model = Transformer(10, dropout=0.5)
    assert not torch.equal(model(TOKENS), model(TOKENS))
    model.eval()
    assert torch.equal(model(TOKENS), model(TOKENS))
    assert model.state_dict().keys() == Transformer(10).state_dict().keys()


MODELS = [
    pytest.param(lambda: Transformer(10, is_causal=True), TOKENS, id="GPT"),
    pytest.param(lambda: Transformer(10, blocks=2), TOKENS, id="encoder"),
    pytest.param(lambda: TransformerBlock(8, 2), X, id="block"),
    pytest.param(lambda: SelfAttention(8, 2), X, id="attention"),
]


def test_the_two_ways_out_are_tried_with_every_transformer():
    tried = {type(param.values[0]()) for param in MODELS}
    public = {getattr(models, name) for name in models.__all__ if hasattr(models.transformer, name)}
    assert tried == {each for each in public if isinstance(each, type)}


@pytest.mark.parametrize(("make", "x"), MODELS)
def test_compiles_as_one_graph_for_any_batch_size(make, x):
    model = make().eval()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    torch.testing.assert_close(compiled(x), model(x))
    with torch.compiler.set_stance("fail_on_recompile"):
        torch.testing.assert_close(compiled(x[:2]), model(x[:2]))
    torch.compile(make(), fullgraph=True, backend="aot_eager")(x).sum().backward()


@pytest.mark.parametrize(("make", "x"), MODELS)
def test_exports_with_a_free_batch_size(make, x, tmp_path):
    model = make().eval()
    free = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(model, (x,), dynamic_shapes=free)
    torch.export.save(exported, tmp_path / "model.pt2")
    batch = torch.cat([x, x, x[:1]])
    for program in (exported, torch.export.load(tmp_path / "model.pt2")):
        torch.testing.assert_close(program.module()(batch), model(batch))


def test_learns_to_reverse():
    """Attention finds the mirrored place; a network that reads each token alone cannot."""
    torch.manual_seed(0)
    accuracy = {}
    for name, model in {
        "Transformer": Transformer(10, max_length=8),
        "each alone": nn.Sequential(nn.Embedding(10, 32), MLP(32, (128,), 10)),
    }.items():
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(150):
            tokens = torch.randint(0, 10, (32, 8))
            read = tokens if name == "Transformer" else tokens.flatten()
            loss = nn.functional.cross_entropy(model(read).view(-1, 10), tokens.flip(1).flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        tokens = torch.randint(0, 10, (500, 8))
        read = tokens if name == "Transformer" else tokens.flatten()
        right = model(read).view(-1, 10).argmax(1) == tokens.flip(1).flatten()
        accuracy[name] = right.float().mean().item()
    assert accuracy["Transformer"] > 0.99 and accuracy["each alone"] < 0.15
