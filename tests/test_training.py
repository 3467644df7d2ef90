"""fit and evaluate: the same as a plain loop, right averages, errors that say what to do."""

import copy
import weakref

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from handbook import Batches, classify, evaluate, fit, regress

X = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + X[:, 1] > 0).long()


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))


def adam(model, lr=1e-2):
    return torch.optim.AdamW(model.parameters(), lr=lr)


def same(a, b):
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize("kind", ["Batches", "DataLoader"])
def test_same_parameters_as_a_plain_loop(kind, scheduled, clip):
    def parts():
        model = network()
        optimizer = adam(model)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer) if scheduled else None
        if kind == "Batches":
            return model, optimizer, schedule, Batches(X, Y, batch_size=16, shuffle=True)
        loader = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)
        return model, optimizer, schedule, loader

    model, optimizer, schedule, batches = parts()
    for _ in range(3):
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            if schedule:
                schedule.step()
    ours, optimizer, schedule, batches = parts()
    options = {"optimizer": optimizer, "schedule": schedule, "clip": clip, "epochs": 3}
    fit(ours, batches, classify, **options)
    assert same(ours, model)


def test_history_has_a_row_for_each_epoch_of_means_over_examples():
    model = network()
    before = copy.deepcopy(model)
    batches = Batches(X, Y, batch_size=16)  # the last batch has 2 examples
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    model[2].p = before[2].p = 0.0
    history = fit(model, batches, classify, optimizer=frozen, val=batches, epochs=2)
    logits = before(X)
    loss = nn.functional.cross_entropy(logits, Y).item()
    accuracy = (logits.argmax(1) == Y).float().mean().item()
    for epoch, row in enumerate(history, start=1):
        assert list(row) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
        assert row["epoch"] == epoch
        assert row["loss"] == pytest.approx(loss, rel=1e-6)
        assert row["val_loss"] == pytest.approx(loss, rel=1e-6)
        assert row["accuracy"] == row["val_accuracy"] == pytest.approx(accuracy, rel=1e-6)
        assert all(type(value) is float for name, value in row.items() if name != "epoch")


def test_it_learns():
    model = network()
    batches = Batches(X, Y, batch_size=10, shuffle=True)
    history = fit(model, batches, classify, optimizer=adam(model), epochs=40)
    assert history[-1]["loss"] < 0.3 < history[0]["loss"]
    assert evaluate(model, batches, classify)["accuracy"] > 0.95


def test_evaluate_is_in_eval_mode_and_leaves_the_mode_as_it_was():
    model = network()
    batches = Batches(X, Y, batch_size=16)
    assert evaluate(model, batches, classify) == evaluate(model, batches, classify)
    assert model.training
    model.eval()
    evaluate(model, batches, classify)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_evaluate_does_not_shuffle_and_does_not_count_as_a_pass():
    batches = Batches(X, Y, batch_size=16, shuffle=True)
    evaluate(network(), batches, classify)
    assert batches.epoch == 1
    ordered = evaluate(network(), Batches(X, Y, batch_size=16), classify)
    assert evaluate(network(), batches, classify) == ordered


def test_on_epoch_sees_each_row_and_ends_the_training():
    model, rows = network(), []

    def stop_after_two(row):
        rows.append(row)
        return row["epoch"] == 2

    batches = Batches(X, Y, batch_size=16)
    options = {"optimizer": adam(model), "epochs": 5, "on_epoch": stop_after_two}
    assert fit(model, batches, classify, **options) == rows
    assert [row["epoch"] for row in rows] == [1, 2]


def test_on_epoch_may_add_to_the_row():
    model = network()
    optimizer = adam(model)

    def note(row):
        row["lr"] = optimizer.param_groups[0]["lr"]

    history = fit(model, Batches(X, Y, batch_size=16), classify, optimizer=optimizer, on_epoch=note)
    assert history[0]["lr"] == 1e-2


def test_zero_epochs_train_nothing():
    model = network()
    before = copy.deepcopy(model)
    assert fit(model, Batches(X, Y, batch_size=9), classify, optimizer=adam(model), epochs=0) == []
    assert same(model, before)


def test_more_batches_than_are_kept_one_by_one():
    def step(model, x):
        return (model(x) ** 2).mean(), {"x": x.mean()}

    x, model = torch.arange(2500.0).unsqueeze(1), nn.Linear(1, 1)
    assert evaluate(model, Batches(x, batch_size=1), step)["x"] == 2499 / 2


def test_steps_without_metrics_and_with_other_batches():
    def step(model, batch):
        return model(batch).square().mean(), {}

    model = nn.Linear(6, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    history = fit(model, DataLoader(X, batch_size=7), step, optimizer=sgd)
    assert list(history[0]) == ["epoch", "loss"]


def test_graphs_of_a_step_are_not_kept():
    alive = []

    def step(model, x):
        prediction = model(x)
        alive.append(weakref.ref(prediction))  # saved for the backward pass of the square
        loss = (prediction**2).mean()
        return loss, {"kept": loss * 2}

    model = nn.Linear(6, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.0)
    peak = []

    def watching(batches):
        for batch in batches:
            peak.append(sum(ref() is not None for ref in alive))
            yield batch

    fit(model, watching(DataLoader(X, batch_size=5)), step, optimizer=sgd)
    assert max(peak) <= 1


# What goes wrong


def refused(kind, message, model, batches, step=classify, **options):
    options.setdefault("optimizer", adam(model))
    with pytest.raises(kind, match=message) as caught:
        fit(model, batches, step, **options)
    assert "\n" not in str(caught.value)


def test_nan_says_where():
    x = X.clone()
    x[30] = float("nan")
    refused(
        RuntimeError,
        "loss is nan in epoch 1, step 4: lower",
        network(),
        Batches(x, Y, batch_size=10),
    )
    model = network()
    huge = torch.optim.SGD(model.parameters(), lr=1e20)
    refused(RuntimeError, "the loss is (nan|inf) in epoch 1, step [23]", model,
            Batches(X, X, batch_size=10), regress_to_input, optimizer=huge)  # fmt: skip


def regress_to_input(model, x, y):
    return regress(model[0], x, y.repeat(1, 3)[:, :16])


def test_nan_of_validation_is_a_result():
    model, x = network(), X.clone()
    x[0] = float("nan")
    val = Batches(x, Y, batch_size=10)
    history = fit(model, Batches(X, Y, batch_size=10), classify, optimizer=adam(model), val=val)
    assert history[0]["val_loss"] != history[0]["val_loss"]


def test_nan_leaves_the_checkpoint_of_the_epoch_before(tmp_path):
    path, model = tmp_path / "run.pt", network()
    refuse = []

    def step(model, x, y):
        loss, metrics = classify(model, x, y)
        return (loss * float("nan") if refuse else loss), metrics

    batches = Batches(X, Y, batch_size=10)
    options = {"optimizer": adam(model), "checkpoint": path, "epochs": 3}
    options["on_epoch"] = lambda row: refuse.append(row["epoch"]) if row["epoch"] == 2 else None
    with pytest.raises(RuntimeError, match="epoch 3, step 1"):
        fit(model, batches, step, **options)
    assert len(torch.load(path, weights_only=True)["history"]) == 2


def test_labels_out_of_range():
    message = "labels from 0 to 2, but the model has 2 outputs: labels must be from 0 to 1"
    refused(ValueError, message, network(), Batches(X, Y * 2, batch_size=25))


def test_an_index_beyond_an_embedding():
    def step(model, x):
        return model(x).mean(), {}

    message = r"index out of range in self; an embedding needs indices from 0 to num_embeddings"
    refused(IndexError, message, nn.Embedding(5, 2), Batches(Y + 4, batch_size=25), step)


def test_wrong_dtype_and_shape():
    refused(RuntimeError, r"x\.float\(\)", network(), Batches(X.double(), Y, batch_size=25))
    refused(RuntimeError, "compare the shape", network(), Batches(X[:, :5], Y, batch_size=25))
    refused(TypeError, "missing 1 required", network(), Batches(X, batch_size=25))


@pytest.mark.parametrize("batches", [[], DataLoader(TensorDataset(X[:0], Y[:0]))])
def test_empty_data(batches):
    refused(ValueError, "there are no batches: the data is empty", network(), batches)
    with pytest.raises(ValueError, match="there are no batches"):
        evaluate(network(), batches, classify)


def test_a_generator_is_used_up_after_one_epoch():
    refused(ValueError, "a generator that was used up", network(), iter([(X, Y)]), epochs=2)


def test_parts_that_do_not_belong_together():
    batches = Batches(X, Y, batch_size=25)
    model, other = network(), network()
    refused(ValueError, "holds no parameter of this model", model, batches, optimizer=adam(other))
    schedule = torch.optim.lr_scheduler.ConstantLR(adam(model))
    refused(ValueError, "schedule belongs to another", model, batches, schedule=schedule)
    optimizer = adam(model)
    one_cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=3)
    options = {"optimizer": optimizer, "schedule": one_cycle, "epochs": 2}
    refused(ValueError, "2 epochs have 4: .* total_steps=4", model, batches, **options)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    refused(TypeError, "in on_epoch", model, batches, optimizer=optimizer, schedule=plateau)


def test_metrics_must_stay_the_same():
    def step(model, x, y):
        loss, metrics = classify(model, x, y)
        return loss, metrics if len(x) == 15 else {}

    refused(
        ValueError, "other metrics for some batches", network(), Batches(X, Y, batch_size=15), step
    )


def test_an_error_in_the_step_keeps_its_cause():
    def step(model, x, y):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit(m := network(), Batches(X, Y, batch_size=9), step, optimizer=adam(m))
    with pytest.raises(ValueError) as caught:
        fit(m := network(), Batches(X, Y + 5, batch_size=9), classify, optimizer=adam(m))
    assert isinstance(caught.value.__cause__, ValueError)
