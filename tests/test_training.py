"""fit and evaluate: the same as a plain loop, right averages, errors that say what to do."""

import copy
import weakref

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from handbook import Batches, classification_step, evaluate, fit, regression_step

X = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + X[:, 1] > 0).long()


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))


def adam(model, lr=1e-2):
    return torch.optim.AdamW(model.parameters(), lr=lr)


def same(a, b):
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


@pytest.mark.parametrize("max_norm", [None, 0.1])
@pytest.mark.parametrize("interval", [None, "batch", "epoch"])
@pytest.mark.parametrize("kind", ["Batches", "DataLoader"])
def test_same_parameters_as_a_plain_loop(kind, interval, max_norm):
    def parts():
        model = network()
        optimizer = adam(model)
        scheduler = lr_scheduler.LinearLR(optimizer, total_iters=2) if interval else None
        if kind == "Batches":
            return model, optimizer, scheduler, Batches(X, Y, batch_size=16, shuffle=True)
        loader = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)
        return model, optimizer, scheduler, loader

    model, optimizer, scheduler, batches = parts()
    for _ in range(3):
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            if max_norm:
                nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            if interval == "batch":
                scheduler.step()
        if interval == "epoch":
            scheduler.step()
    ours, optimizer, scheduler, batches = parts()
    fit(
        ours, batches, classification_step, optimizer=optimizer, scheduler=scheduler,
        scheduler_interval=interval, max_grad_norm=max_norm, epochs=3,
    )  # fmt: skip
    assert same(ours, model)


def test_what_the_optimizer_does_not_hold_has_no_part_in_clipping():
    """Nobody clears its gradient, which would grow and leave ever less of the others."""

    def train(frozen):
        model = network()
        model[0].requires_grad_(not frozen)
        sgd = torch.optim.SGD(model[3].parameters(), lr=0.1)
        options = {"optimizer": sgd, "max_grad_norm": 0.1, "epochs": 3}
        return fit(model, Batches(X, Y, batch_size=16), classification_step, **options)

    assert train(frozen=False) == train(frozen=True)


def test_a_plateau_lowers_the_rate_by_the_loss_of_validation():
    model = network()
    optimizer = adam(model)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=2.0)
    batches, rates = Batches(X, Y, batch_size=25), []
    options = {"scheduler": plateau, "scheduler_interval": "epoch", "val": batches, "epochs": 4}
    fit(
        model, batches, classification_step, optimizer=optimizer, **options,
        on_epoch_end=lambda row: rates.append(optimizer.param_groups[0]["lr"]),
    )  # fmt: skip
    assert rates == [0.005, 0.0025, 0.00125, 0.000625]  # a threshold that no epoch can reach


def test_history_has_a_row_for_each_epoch_of_means_over_examples():
    model = network()
    before = copy.deepcopy(model)
    batches = Batches(X, Y, batch_size=16)  # the last batch has 2 examples
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    model[2].p = before[2].p = 0.0
    history = fit(model, batches, classification_step, optimizer=frozen, val=batches, epochs=2)
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
    history = fit(model, batches, classification_step, optimizer=adam(model), epochs=40)
    assert history[-1]["loss"] < 0.3 < history[0]["loss"]
    assert evaluate(model, batches, classification_step)["accuracy"] > 0.95


def test_evaluate_is_in_eval_mode_and_leaves_the_mode_as_it_was():
    model = network()
    batches = Batches(X, Y, batch_size=16)
    assert evaluate(model, batches, classification_step) == evaluate(
        model, batches, classification_step
    )
    assert model.training
    model.eval()
    evaluate(model, batches, classification_step)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_evaluate_does_not_shuffle_and_does_not_count_as_a_pass():
    batches = Batches(X, Y, batch_size=16, shuffle=True)
    evaluate(network(), batches, classification_step)
    assert batches.epoch == 1
    ordered = evaluate(network(), Batches(X, Y, batch_size=16), classification_step)
    assert evaluate(network(), batches, classification_step) == ordered


def test_on_epoch_end_sees_each_row_and_ends_the_training():
    model, rows = network(), []

    def stop_after_two(row):
        rows.append(row)
        return row["epoch"] == 2

    batches = Batches(X, Y, batch_size=16)
    options = {"optimizer": adam(model), "epochs": 5, "on_epoch_end": stop_after_two}
    assert fit(model, batches, classification_step, **options) == rows
    assert [row["epoch"] for row in rows] == [1, 2]


def test_on_epoch_end_may_add_to_the_row():
    model = network()
    optimizer = adam(model)

    def note(row):
        row["lr"] = optimizer.param_groups[0]["lr"]

    history = fit(
        model,
        Batches(X, Y, batch_size=16),
        classification_step,
        optimizer=optimizer,
        on_epoch_end=note,
    )
    assert history[0]["lr"] == 1e-2


def test_zero_epochs_train_nothing():
    model = network()
    before = copy.deepcopy(model)
    assert (
        fit(
            model, Batches(X, Y, batch_size=9), classification_step, optimizer=adam(model), epochs=0
        )
        == []
    )
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


def refused(kind, message, model, batches, step=classification_step, **options):
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
    return regression_step(model[0], x, y.repeat(1, 3)[:, :16])


def test_nan_of_validation_is_a_result():
    model, x = network(), X.clone()
    x[0] = float("nan")
    val = Batches(x, Y, batch_size=10)
    history = fit(
        model, Batches(X, Y, batch_size=10), classification_step, optimizer=adam(model), val=val
    )
    assert history[0]["val_loss"] != history[0]["val_loss"]


def test_nan_leaves_the_checkpoint_of_the_epoch_before(tmp_path):
    path, model = tmp_path / "run.pt", network()
    refuse = []

    def step(model, x, y):
        loss, metrics = classification_step(model, x, y)
        return (loss * float("nan") if refuse else loss), metrics

    batches = Batches(X, Y, batch_size=10)
    options = {"optimizer": adam(model), "checkpoint": path, "epochs": 3}
    options["on_epoch_end"] = lambda row: refuse.append(row["epoch"]) if row["epoch"] == 2 else None
    with pytest.raises(RuntimeError, match="epoch 3, step 1"):
        fit(model, batches, step, **options)
    assert len(torch.load(path, weights_only=True)["history"]) == 2


def test_labels_out_of_range():
    message = "labels from 0 to 2, but the model has 2 outputs: labels must be from 0 to 1"
    refused(ValueError, message, network(), Batches(X, Y * 2, batch_size=25))


def test_an_index_beyond_an_embedding():
    def step(model, x):
        return model(x).mean(), {}

    hint = "an index is 5, but an embedding of 5 rows takes indices from 0 to 4"
    refused(IndexError, hint, nn.Embedding(5, 2), Batches(Y + 4, batch_size=25), step)


def test_wrong_dtype_and_shape():
    refused(RuntimeError, r"x\.float\(\)", network(), Batches(X.double(), Y, batch_size=25))
    shapes = r"failed on a batch of float32 \(25, 5\), int64 \(25,\)"
    refused(RuntimeError, shapes, network(), Batches(X[:, :5], Y, batch_size=25))
    refused(TypeError, "failed on a batch of float32", network(), Batches(X, batch_size=25))


def test_one_output_and_labels_of_its_shape_are_refused():
    """As the tutorials of a binary loss have it: cross-entropy would be 0 whatever happens."""
    model, labels = nn.Linear(6, 1), Y[:, None].float()
    for y in (labels, Y):
        refused(ValueError, "binary_cross_entropy_with_logits", model, Batches(X, y, batch_size=9))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("what", ["loss", "metric"])
def test_a_step_that_returns_a_float_is_refused_in_any_batch(batch, what):
    calls = []

    def step(model, x, y):
        calls.append(1)
        loss, metrics = classification_step(model, x, y)
        if len(calls) < batch:
            return loss, metrics
        return (loss.item(), metrics) if what == "loss" else (loss, {"accuracy": 0.5})

    refused(TypeError, "step must return", network(), Batches(X, Y, batch_size=10), step)
    assert len(calls) == batch


@pytest.mark.parametrize("batches", [[], DataLoader(TensorDataset(X[:0], Y[:0]))])
def test_empty_data(batches):
    refused(ValueError, "there are no batches: the data is empty", network(), batches)
    with pytest.raises(ValueError, match="there are no batches"):
        evaluate(network(), batches, classification_step)


def test_a_generator_is_exhausted_after_one_epoch():
    refused(ValueError, "or an exhausted generator", network(), iter([(X, Y)]), epochs=2)
    val = iter([(X, Y)])
    refused(ValueError, r"evaluate on \(in fit: val\)", network(), [(X, Y)], val=val, epochs=2)


def test_an_error_on_val_says_so_and_an_empty_val_comes_before_the_first_step():
    model = network()
    before = copy.deepcopy(model)
    refused(ValueError, "val has no batches", model, Batches(X, Y, batch_size=9), val=[])
    assert same(model, before)
    narrow = Batches(X[:, :5], Y, batch_size=25)
    note = r"failed on a batch of float32 \(25, 5\), int64 \(25,\) in evaluation"
    refused(RuntimeError, note, model, Batches(X, Y, batch_size=9), val=narrow)


def test_parts_that_do_not_belong_together():
    batches = Batches(X, Y, batch_size=25)
    model, other = network(), network()
    refused(ValueError, "holds no parameter of this model", model, batches, optimizer=adam(other))
    scheduler = lr_scheduler.ConstantLR(adam(model))
    options = {"scheduler": scheduler, "scheduler_interval": "batch"}
    refused(ValueError, "scheduler belongs to another", model, batches, **options)
    frozen = network().requires_grad_(False)
    refused(ValueError, r"requires a gradient, .* requires_grad_\(True\)", frozen, batches)


def test_a_loss_with_parameters_of_its_own_is_refused():
    """Neither moved to the device nor saved: a run that resumes would not be the same."""
    model, loss = network(), nn.Linear(2, 2)
    both = torch.optim.AdamW([*model.parameters(), *loss.parameters()])
    message = r"holds 2 parameters that the model does not have, the first of shape \(2, 2\): make"
    refused(ValueError, message, model, Batches(X, Y, batch_size=25), optimizer=both)


def test_an_optimizer_that_needs_a_closure_is_refused():
    model = network()
    lbfgs = torch.optim.LBFGS(model.parameters())
    refused(
        TypeError, "write the loop by hand", model, Batches(X, Y, batch_size=9), optimizer=lbfgs
    )


def test_a_lazy_layer_must_have_seen_an_input():
    model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    message = r"0.weight has no size yet: run the model once, model\(x\)"
    refused(ValueError, message, model, Batches(X, Y, batch_size=9), optimizer=sgd)
    model(X)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, Batches(X, Y, batch_size=9), classification_step, optimizer=sgd)


def test_a_lazy_layer_with_buffers_alone_must_have_seen_an_input():
    model = nn.Sequential(nn.LazyBatchNorm1d(affine=False), nn.Linear(6, 2))
    message = r"0.running_mean has no size yet: run the model once"
    refused(ValueError, message, model, Batches(X, Y, batch_size=9))


@pytest.mark.parametrize("epochs", [1.5, "3", None])
def test_epochs_are_a_whole_number(epochs):
    message = f"epochs is {epochs!r}: it must be a whole number"
    refused(TypeError, message, network(), Batches(X, Y, batch_size=9), epochs=epochs)


@pytest.mark.parametrize("norm", [0, -1, float("nan")])
def test_a_norm_that_clips_all_or_nothing_is_refused(norm):
    message = f"max_grad_norm is {norm}: it must be positive"
    refused(ValueError, message, network(), Batches(X, Y, batch_size=9), max_grad_norm=norm)


# The scheduler


@pytest.mark.parametrize("interval", [None, "step", "epochs", 1])
def test_the_call_says_when_the_scheduler_moves(interval):
    model = network()
    optimizer = adam(model)
    scheduler = lr_scheduler.StepLR(optimizer, 30)
    options = {"optimizer": optimizer, "scheduler": scheduler, "scheduler_interval": interval}
    message = "scheduler_interval='batch' or scheduler_interval='epoch'"
    refused(ValueError, message, model, Batches(X, Y, batch_size=9), **options)


def test_an_interval_without_a_scheduler_is_refused():
    batches = Batches(X, Y, batch_size=9)
    refused(ValueError, "there is no scheduler", network(), batches, scheduler_interval="epoch")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler_interval": "batch", "val": [(X, Y)]}, "scheduler_interval='epoch'"),
        ({"scheduler_interval": "epoch"}, "pass val="),
    ],
)
def test_a_plateau_needs_a_loss_of_validation(options, message):
    model = network()
    optimizer = adam(model)
    options |= {"optimizer": optimizer, "scheduler": lr_scheduler.ReduceLROnPlateau(optimizer)}
    refused(ValueError, message, model, Batches(X, Y, batch_size=9), **options)


SHORT = {  # of 8 batches in 2 epochs, or of 2 epochs
    "one cycle": (
        lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=7), "batch",
        "OneCycleLR ends after total_steps=7 steps, .* needs 8, .*: make it with total_steps=8",
    ),
    "cosine": (
        lambda o: lr_scheduler.CosineAnnealingLR(o, 1), "epoch",
        "CosineAnnealingLR climbs again after T_max=1 steps, .* needs 2, one per epoch",
    ),
    "cosine per batch": (
        lambda o: lr_scheduler.CosineAnnealingLR(o, 2), "batch",
        "climbs again after T_max=2 steps, .* needs 8, one per batch: make it with T_max=8",
    ),
    "after a warm-up": (
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, total_iters=3), lr_scheduler.CosineAnnealingLR(o, 4)], [3]
        ), "batch",
        "climbs again after T_max=4 steps, .* needs 5",
    ),
    "chained": (
        lambda o: lr_scheduler.ChainedScheduler(
            [lr_scheduler.ConstantLR(o), lr_scheduler.CosineAnnealingLR(o, 7)]
        ), "batch",
        "T_max=7 steps, .* needs 8",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step")
@pytest.mark.parametrize("name", SHORT)
def test_a_schedule_that_ends_before_the_training_is_refused(name):
    make, interval, message = SHORT[name]
    model = network()
    before = copy.deepcopy(model)
    optimizer = adam(model)
    options = {"optimizer": optimizer, "scheduler": make(optimizer), "epochs": 2}
    options["scheduler_interval"] = interval
    refused(ValueError, message, model, Batches(X, Y, batch_size=13), **options)
    assert same(model, before)


@pytest.mark.parametrize("interval", ["batch", "epoch"])
def test_a_schedule_that_is_long_enough_runs(interval):
    model = network()
    optimizer = adam(model)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 8 if interval == "batch" else 2)
    options = {"scheduler": scheduler, "scheduler_interval": interval, "epochs": 2}
    fit(model, Batches(X, Y, batch_size=13), classification_step, optimizer=optimizer, **options)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_a_schedule_that_ended_with_a_checkpoint_needs_another_checkpoint(tmp_path):
    def train(steps, epochs, name):
        model = network()
        optimizer = adam(model)
        scheduler = lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return fit(
            model, [(X, Y)], classification_step, optimizer=optimizer, scheduler=scheduler,
            scheduler_interval="epoch", epochs=epochs, checkpoint=tmp_path / name,
        )  # fmt: skip

    train(2, 2, "short.pt")
    message = "needs 4, one per epoch: start again with another checkpoint path and T_max=4"
    with pytest.raises(ValueError, match=message):
        train(2, 4, "short.pt")
    assert len(train(4, 4, "long.pt")) == 4


def train_by_factor(factor, interval="epoch", epochs=5):
    """Train with the rate multiplied by ``factor(step)``, four steps an epoch or one."""
    model = network()
    optimizer = adam(model)
    scheduler = lr_scheduler.LambdaLR(optimizer, factor)
    options = {"scheduler": scheduler, "scheduler_interval": interval, "epochs": epochs}
    batches = Batches(X, Y, batch_size=13)
    return fit(model, batches, classification_step, optimizer=optimizer, **options)


@pytest.mark.parametrize("interval", ["batch", "epoch"])
def test_a_rate_below_zero_is_refused_when_an_epoch_begins(interval):
    per_epoch = 4 if interval == "batch" else 1
    with pytest.raises(ValueError, match=r"LambdaLR .* -0\.0033\d* before epoch 3"):
        train_by_factor(lambda step: 1 - step / per_epoch / 1.5, interval)


@pytest.mark.filterwarnings("default:LambdaLR has made the learning rate 0")
@pytest.mark.parametrize("interval", ["batch", "epoch"])
def test_a_rate_of_zero_before_the_last_epoch_is_a_warning(interval):
    per_epoch = 4 if interval == "batch" else 1
    with pytest.warns(UserWarning, match="LambdaLR has made the learning rate 0 while") as caught:
        train_by_factor(lambda step: max(0, 1 - step / per_epoch / 2), interval)
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("factor", [lambda step: 1 - step / 5, lambda step: step / 5])
def test_a_rate_that_ends_at_zero_or_begins_there_is_fine(factor):
    assert len(train_by_factor(factor)) == 5


# What on_epoch_end returns


@pytest.mark.parametrize("answer", [0.35, 1, torch.tensor(True), "stop", [], {}])
def test_on_epoch_end_returns_true_or_nothing(answer):
    message = "on_epoch_end returned .*: return True to stop, and nothing to continue"
    batches = Batches(X, Y, batch_size=25)
    refused(TypeError, message, network(), batches, on_epoch_end=lambda row: answer)


@pytest.mark.parametrize("answer", [None, False])
def test_on_epoch_end_without_true_continues(answer):
    model = network()
    options = {"optimizer": adam(model), "epochs": 3, "on_epoch_end": lambda row: answer}
    batches = Batches(X, Y, batch_size=25)
    assert len(fit(model, batches, classification_step, **options)) == 3


# What is no longer finite


class RootMeanSquare(nn.Module):
    """The root of the mean square: at 0 its slope is infinite, and 0 times that is nan."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("mask", torch.full((2,), float("-inf")))  # allowed: from the start

    def forward(self, x):
        return (self.scale * x).square().mean().sqrt()


def root(model, x):
    loss = model(x)
    return loss, {}


def test_a_gradient_of_nan_in_the_last_step_is_an_error_with_step_and_parameter(tmp_path):
    model, path = RootMeanSquare(), tmp_path / "run.pt"
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    ones = torch.ones(4, 1)
    assert len(fit(model, [ones, ones], root, optimizer=sgd, checkpoint=path)) == 1
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="scale is not finite after epoch 2, step 3, although"):
        fit(model, [ones, ones, 0 * ones], root, optimizer=sgd, epochs=2, checkpoint=path)
    assert path.read_bytes() == before
    with pytest.raises(RuntimeError, match="scale is not finite after epoch 1, step 1"):
        fit(model := RootMeanSquare(), [0 * ones], root,
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1))  # fmt: skip


def test_a_buffer_that_is_no_longer_finite_is_an_error():
    def step(model, x, y):
        if model.training:
            model[1].running_var.fill_(float("inf"))
        return classification_step(model, x, y)

    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, momentum=0.0), nn.Linear(4, 2))
    message = "1.running_var is not finite after .* the model itself wrote nan or inf into this buf"
    refused(RuntimeError, message, model, Batches(X, Y, batch_size=25), step)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("convert", ["to_sparse", "to_sparse_csr", "to_mkldnn"])
def test_a_buffer_whose_layout_is_not_strided_is_left_out(convert):
    model = network()
    model.register_buffer("graph", getattr(torch.eye(3), convert)())
    batches = Batches(X, Y, batch_size=25)
    assert len(fit(model, batches, classification_step, optimizer=adam(model))) == 1


# Modes


def modes(model):
    return [module.training for module in model.modules()]


def test_a_frozen_batch_norm_keeps_its_mode_and_statistics():
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    model[1].eval()
    before, mean = modes(model), model[1].running_mean.clone()
    batches, seen = Batches(X, Y, batch_size=25), []

    def step(model, x, y):
        seen.append(modes(model))
        return classification_step(model, x, y)

    fit(model, batches, step, optimizer=adam(model), val=batches)
    assert seen == [before] * 2 + [[False] * 5] * 2
    assert modes(model) == before and torch.equal(model[1].running_mean, mean)
    evaluate(model, batches, classification_step)
    assert modes(model) == before


@pytest.mark.parametrize("call", ["fit", "evaluate"])
@pytest.mark.parametrize("training", [True, False])
def test_modes_come_back_after_an_error_too(call, training):
    model = network().train(training)
    model[2].train(not training)
    before = modes(model)

    def step(model, x, y):
        raise ValueError("boom")

    batches = Batches(X, Y, batch_size=25)
    run = {
        "fit": lambda: fit(model, batches, step, optimizer=adam(model)),
        "evaluate": lambda: evaluate(model, batches, step),
    }[call]
    with pytest.raises(ValueError, match="boom"):
        run()
    assert modes(model) == before


def test_each_epoch_begins_with_the_modes_of_the_start():
    """Else a run that resumes, which begins with them, would not be the same."""
    model, seen = network(), []
    model[2].eval()
    before = modes(model)

    def step(model, x, y):
        seen.append(modes(model))
        return classification_step(model, x, y)

    def look(row):
        model.eval()

    fit(model, [(X, Y)], step, optimizer=adam(model), epochs=3, on_epoch_end=look)
    assert seen == [before] * 3 and modes(model) == before


def test_a_head_in_training_mode_does_not_switch_the_frozen_part():
    model, seen = network().eval(), []
    model[3].train()
    before = modes(model)

    def step(model, x, y):
        seen.append(modes(model))
        return classification_step(model, x, y)

    fit(model, [(X, Y)], step, optimizer=adam(model))
    assert seen == [before]


def test_a_model_in_evaluation_mode_is_trained_in_training_mode():
    model, seen = network().eval(), []

    def step(model, x, y):
        seen.append(all(modes(model)))
        return classification_step(model, x, y)

    fit(model, Batches(X, Y, batch_size=25), step, optimizer=adam(model))
    assert seen == [True, True] and not any(modes(model))


# Order


class Order:
    """A sampler of batches that keeps its order by the epoch, as for buckets of equal length."""

    def __init__(self):
        self.epochs = []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def __iter__(self):
        return iter([[0, 1], [2, 3]])

    def __len__(self):
        return 2


class Ordered(TensorDataset, Order):
    """A data set that is told the epoch, such as one that shuffles a stream."""

    def __init__(self, *tensors):
        TensorDataset.__init__(self, *tensors)
        Order.__init__(self)

    __len__ = TensorDataset.__len__


@pytest.mark.parametrize("where", ["batch_sampler", "sampler", "dataset", "loader"])
def test_whatever_keeps_the_order_is_told_the_epoch(where):
    keeper, data = Order(), TensorDataset(X, Y)
    if where == "batch_sampler":
        loader = DataLoader(data, batch_sampler=keeper)
    if where == "sampler":
        keeper.__class__ = type("Single", (Order,), {"__iter__": lambda self: iter([0, 1])})
        loader = DataLoader(data, sampler=keeper)
    if where == "dataset":
        keeper = Ordered(X, Y)
        loader = DataLoader(keeper, batch_size=25)
    if where == "loader":
        loader = DataLoader(data, batch_size=25)
        loader.set_epoch = keeper.set_epoch
    model = network()
    fit(model, loader, classification_step, optimizer=adam(model), epochs=3)
    assert keeper.epochs == [1, 2, 3]


def test_metrics_must_stay_the_same():
    def step(model, x, y):
        loss, metrics = classification_step(model, x, y)
        return loss, metrics if len(x) == 15 else {}

    refused(
        ValueError,
        "different metrics for some batches",
        network(),
        Batches(X, Y, batch_size=15),
        step,
    )


def test_an_error_in_the_step_keeps_its_cause():
    def step(model, x, y):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit(m := network(), Batches(X, Y, batch_size=9), step, optimizer=adam(m))
    with pytest.raises(ValueError, match="labels from 5") as caught:
        fit(m := network(), Batches(X, Y + 5, batch_size=9), classification_step, optimizer=adam(m))
    assert isinstance(caught.value.__cause__, IndexError)
