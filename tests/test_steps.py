"""Steps: their numbers against formulas written out, their errors."""

import pytest
import torch
from torch import nn

from handbook import classify, regress
from handbook.errors import explained

LOGITS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 2, 1, 0, 1])


def test_classify_against_the_formula():
    loss, metrics = classify(nn.Identity(), LOGITS, LABELS)
    probabilities = LOGITS.exp() / LOGITS.exp().sum(1, keepdim=True)
    right = probabilities[torch.arange(7), LABELS]
    assert torch.allclose(loss, -right.log().mean())
    hits = [max(range(3), key=row.__getitem__) == y for row, y in zip(LOGITS, LABELS, strict=True)]
    assert metrics.keys() == {"accuracy"}
    assert metrics["accuracy"].item() == pytest.approx(sum(hits) / 7)


def test_classify_takes_images_of_labels():
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    loss, metrics = classify(nn.Identity(), logits, labels)
    flat, _ = classify(nn.Identity(), logits.movedim(1, -1).reshape(-1, 3), labels.flatten())
    assert torch.allclose(loss, flat)
    assert 0 <= metrics["accuracy"] <= 1


def test_regress_against_the_formula():
    x, y = torch.tensor([[1.0], [4.0]]), torch.tensor([[3.0], [3.0]])
    loss, metrics = regress(nn.Identity(), x, y)
    assert loss == (4 + 1) / 2
    assert metrics == {"mae": torch.tensor((2 + 1) / 2)}


def test_metrics_hold_no_graph():
    model = nn.Linear(2, 2)
    for step, y in ((classify, torch.tensor([0, 1])), (regress, torch.zeros(2, 2))):
        loss, metrics = step(model, torch.ones(2, 2), y)
        assert loss.requires_grad
        assert not any(value.requires_grad for value in metrics.values())


@pytest.mark.parametrize(
    ("step", "x", "y", "message"),
    [
        (classify, LOGITS, LABELS + 1, "labels from 1 to 3, but .* 3 outputs: .* from 0 to 2"),
        (classify, LOGITS, LABELS - 1, "labels from -1 to 1, but .* 3 outputs"),
        (classify, LOGITS, LABELS - 100 * (LABELS == 0), "labels from -100 to 2"),
        (classify, LOGITS, LABELS.float(), r"int64: y\.long\(\)"),
        (classify, LOGITS, LABELS.int(), r"int64: y\.long\(\)"),
        (classify, LOGITS, LABELS[:, None], r"y.squeeze\(1\)"),
        (classify, LOGITS, LABELS[:6], r"float64 \(7, 3\), int64 \(6,\)"),
        (classify, LOGITS[:, 0], LABELS, "one row of logits for each example"),
        (regress, LOGITS[:, :1], LOGITS[:, 0], r"shape \(7, 1\), but y has \(7,\)"),
    ],
)
def test_errors_say_what_to_do(step, x, y, message):
    with pytest.raises((ValueError, RuntimeError, TypeError), match=message) as caught:
        explained(step)(nn.Identity(), x, y)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{step.__name__} failed on a batch of float64")


@pytest.mark.parametrize(
    ("model", "x", "message"),
    [
        (nn.Linear(3, 1), torch.ones(2, 3, dtype=torch.float64), r"x\.float\(\)"),
        (nn.Linear(3, 1), torch.ones(2, 3, dtype=torch.uint8), r"x\.float\(\)"),
        (nn.Linear(3, 1), torch.ones(2, 4), "compare the shape of x"),
        (nn.Conv2d(1, 2, 3), torch.ones(2, 3, 8, 8), "compare the shape of x"),
        (nn.Conv2d(1, 2, 3), torch.ones(2, 1, 8, 8).double(), r"x\.float\(\)"),
        (nn.BatchNorm1d(3), torch.ones(1, 3), "use drop_last=True"),
        (nn.Embedding(3, 2), torch.ones(2), r"x\.long\(\)"),
        (nn.Embedding(3, 2), torch.tensor([3]), "index out of range"),
        (nn.Linear(3, 1), torch.ones(2, 3, device="meta"), "device"),
    ],
)
def test_errors_of_models_name_the_batch_and_a_way_out(model, x, message):
    with pytest.raises((ValueError, RuntimeError, IndexError), match=message) as caught:
        explained(regress)(model, x, torch.zeros(2, 1))
    assert "\n" not in str(caught.value)
    assert str(tuple(x.shape)) in str(caught.value)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (torch.tensor(1.0), "must return"),
        ((1.0, {}), "must return"),
        ((torch.tensor(1.0), {"a": 1.0}), "must return"),
        ((torch.ones(2, requires_grad=True), {}), r"the loss of shape \(2,\): return its mean"),
        ((torch.ones((), requires_grad=True), {"a": torch.ones(2)}), r"a of shape \(2,\)"),
        ((torch.ones((), requires_grad=True), {"loss": torch.ones(())}), "the history needs"),
        ((torch.ones(()), {}), "does not depend on the model's parameters"),
    ],
)
def test_what_a_step_returns_is_checked(result, message):
    with pytest.raises((TypeError, ValueError), match=message):
        explained(lambda model: result)(nn.Identity())
