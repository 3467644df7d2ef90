"""Steps: their numbers against formulas written out, their errors."""

import pytest
import torch
from torch import nn

from handbook import classification_step, regression_step
from handbook.validation import annotate_errors

LOGITS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 2, 1, 0, 1])


def test_classify_against_the_formula():
    loss, metrics = classification_step(nn.Identity(), LOGITS, LABELS)
    probabilities = LOGITS.exp() / LOGITS.exp().sum(1, keepdim=True)
    right = probabilities[torch.arange(7), LABELS]
    assert torch.allclose(loss, -right.log().mean())
    hits = [max(range(3), key=row.__getitem__) == y for row, y in zip(LOGITS, LABELS, strict=True)]
    assert metrics.keys() == {"accuracy"}
    assert metrics["accuracy"].item() == pytest.approx(sum(hits) / 7)


def test_classify_takes_images_of_labels():
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    loss, metrics = classification_step(nn.Identity(), logits, labels)
    flat, _ = classification_step(
        nn.Identity(), logits.movedim(1, -1).reshape(-1, 3), labels.flatten()
    )
    assert torch.allclose(loss, flat)
    assert 0 <= metrics["accuracy"] <= 1


def test_regress_against_the_formula():
    x, y = torch.tensor([[1.0], [4.0]]), torch.tensor([[3.0], [3.0]])
    loss, metrics = regression_step(nn.Identity(), x, y)
    assert loss == (4 + 1) / 2
    assert metrics == {"mae": torch.tensor((2 + 1) / 2)}


def test_metrics_hold_no_graph():
    model = nn.Linear(2, 2)
    for step, y in (
        (classification_step, torch.tensor([0, 1])),
        (regression_step, torch.zeros(2, 2)),
    ):
        loss, metrics = step(model, torch.ones(2, 2), y)
        assert loss.requires_grad
        assert not any(value.requires_grad for value in metrics.values())


@pytest.mark.parametrize(
    ("step", "x", "y", "message"),
    [
        (
            classification_step,
            LOGITS,
            LABELS + 1,
            "labels from 1 to 3, but .* 3 outputs: .* from 0 to 2",
        ),
        (classification_step, LOGITS, LABELS - 1, "labels from -1 to 1, but .* 3 outputs"),
        (classification_step, LOGITS, LABELS - 100 * (LABELS == 0), "labels from -100 to 2"),
        (classification_step, LOGITS, LABELS.float(), r"labels must be int64, .*: y\.long\(\)"),
        (classification_step, LOGITS, LABELS.int(), r"labels must be int64, .*: y\.long\(\)"),
        (classification_step, LOGITS, LABELS[:, None], r"\(7, 3\) and the labels are \(7, 1\)"),
        (classification_step, LOGITS, LOGITS, r"\(7, 3\) and the labels are \(7, 3\)"),
        (classification_step, LOGITS, LABELS[:6], r"\(7, 3\) and the labels are \(6,\)"),
        (classification_step, LOGITS[:, 0], LABELS, "one row of logits and one number for each"),
        (classification_step, LOGITS[:, :1], LABELS, "one output, which cannot tell classes apart"),
        (
            classification_step,
            LOGITS[:, :1],
            LOGITS[:, :1],
            "give it two, or write a step with",
        ),
        (regression_step, LOGITS[:, :1], LOGITS[:, 0], r"shape \(7, 1\), but y has \(7,\)"),
    ],
)
def test_errors_say_what_to_do_and_a_note_names_the_batch(step, x, y, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        annotate_errors(step)(nn.Identity(), x, y)
    assert "\n" not in str(caught.value)
    (note,) = caught.value.__notes__
    assert note.startswith(f"{step.__name__} failed on a batch of float64 {tuple(x.shape)}, ")


ONES = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("model", "x", "hint"),
    [
        (nn.Linear(3, 1), ONES.double(), "x is float64, but the model is float32: unless the mod"),
        (nn.Linear(3, 1), ONES.byte(), "x is uint8, but the model is float32: unless the model"),
        (nn.BatchNorm1d(3), ONES[:1], "BatchNorm1d cannot train on one example: use drop_last"),
        (nn.Embedding(3, 2), torch.tensor([1, 3]), "an index is 3, but an embedding of 3 rows"),
        (nn.Linear(3, 1), torch.ones(2, 4), None),  # PyTorch names both shapes itself
    ],
)
def test_errors_of_models_gain_a_hint_only_where_it_is_certain(model, x, hint):
    with pytest.raises((ValueError, RuntimeError, IndexError)) as caught:
        annotate_errors(regression_step)(model, x, torch.zeros(2, 1))
    where, *hints = caught.value.__notes__
    assert str(tuple(x.shape)) in where
    assert len(hints) == (hint is not None)
    assert all(found.startswith(hint) for found in hints)


@pytest.mark.parametrize("model", [nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)])
def test_an_error_of_the_step_itself_gains_no_hint_about_what_the_model_takes(model):
    def step(model, x):
        model(x.float())
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        annotate_errors(step)(model, torch.ones(1, 1, 4, 4, dtype=torch.uint8))
    assert caught.value.__notes__ == ["step failed on a batch of uint8 (1, 1, 4, 4)"]


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, RuntimeError, KeyError, SystemError])
def test_errors_keep_their_type_and_message(kind):
    def step(model, x):
        raise kind("mine")

    with pytest.raises(kind) as caught:
        annotate_errors(step)(nn.Linear(3, 1), ONES)
    assert type(caught.value) is kind and caught.value.args == ("mine",)
    hints = ["use a smaller batch_size or a smaller model"] * (kind is torch.OutOfMemoryError)
    assert caught.value.__notes__ == ["step failed on a batch of float32 (2, 3)", *hints]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (torch.tensor(1.0), "must return"),
        ((1.0, {}), "must return"),
        ((torch.tensor(1.0), {"a": 1.0}), "must return"),
        ((torch.ones(2, requires_grad=True), {}), r"the loss of shape \(2,\): return its mean"),
        ((torch.ones((), requires_grad=True), {"a": torch.ones(2)}), r"a of shape \(2,\)"),
        ((torch.ones((), requires_grad=True), {"loss": torch.ones(())}), "choose another name"),
        ((torch.ones((), requires_grad=True), {"val_a": torch.ones(())}), "a metric 'val_a'"),
        ((torch.ones(()), {}), "does not depend on the model's parameters"),
    ],
)
def test_what_a_step_returns_is_checked(result, message):
    with pytest.raises((TypeError, ValueError), match=message):
        annotate_errors(lambda model: result)(nn.Identity())
