"""Checkpoints: resumed = uninterrupted, bit for bit; nothing is lost, nothing is run."""

import copy
import errno
import os
import pickle
import re

import numpy as np
import pytest
import torch
from helpers.training_runs import Run, equal
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from handbook import classification_step, fit, load_checkpoint
from handbook.checkpoint import FORMAT, CheckpointError, _read


@pytest.mark.parametrize(
    "data", ["batches", "loader", "own generator", "own sampler", "noise", "workers"]
)
def test_resumed_is_uninterrupted(tmp_path, data):
    straight = Run(data).train(4).state()
    path = tmp_path / "new" / "folder" / "run.pt"
    for epochs in (2, 3, 4):
        resumed = Run(data).train(epochs, path).state()
    assert equal(resumed, straight)
    assert equal(Run(data).train(4, path).state(), straight)  # nothing left to do: the same again
    assert os.listdir(path.parent) == ["run.pt"]


SCHEDULES = {
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 16),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, T_mult=2),
    "steps": lambda o: lr_scheduler.MultiStepLR(o, [3, 9]),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (step + 1)),
    "warm-up": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o), lr_scheduler.ExponentialLR(o, 0.9)], [5]
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning:torch.optim.lr_scheduler")
@pytest.mark.parametrize("interval", ["batch", "epoch"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_resume(tmp_path, name, interval):
    def run(epochs, path=None):
        run = Run(scheduler=False)
        run.interval = interval
        run.scheduler = SCHEDULES[name](run.optimizer)
        return run.train(epochs, path)

    straight = run(4).state()
    run(2, tmp_path / "run.pt")
    assert equal(run(4, tmp_path / "run.pt").state(), straight)


def test_a_plateau_resumes(tmp_path):
    def run(epochs, path=None):
        run = Run(scheduler=False)
        run.interval = "epoch"
        run.scheduler = lr_scheduler.ReduceLROnPlateau(run.optimizer, patience=0, threshold=0.5)
        return run.train(epochs, path)

    straight = run(4).state()
    assert straight["optimizer"]["param_groups"][0]["lr"] < 1e-4
    run(2, tmp_path / "run.pt")
    assert equal(run(4, tmp_path / "run.pt").state(), straight)


@pytest.mark.parametrize("path", [None, "run.pt"])
def test_what_on_epoch_end_changes_is_saved_too(tmp_path, path):
    """A rate lowered by hand, a random number drawn, a number added to the row."""

    def run(epochs, path=None):
        run = Run(scheduler=False)

        def lower(row):
            run.optimizer.param_groups[0]["lr"] *= 0.5
            row["drawn"] = torch.rand(()).item()

        return run.train(epochs, path, on_epoch_end=lower)

    straight = run(4).state()
    if path:
        run(2, tmp_path / path)
        run(3, tmp_path / path)
    assert equal(run(4, path and tmp_path / path).state(), straight)


def test_an_epoch_is_saved_before_on_epoch_end_sees_it(tmp_path):
    path = tmp_path / "run.pt"

    def fails(row):
        if row["epoch"] == 2:
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        Run().train(4, path, on_epoch_end=fails)
    assert len(load_checkpoint(path, Run().model)) == 2
    assert equal(Run().train(4, path).state(), Run().train(4).state())


def test_without_a_path_no_checkpoint_code_runs(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("a checkpoint was made")

    monkeypatch.setattr("handbook.training.Checkpoint", never)
    assert len(Run().train(2).history) == 2
    with pytest.raises(AssertionError, match="a checkpoint was made"):
        Run().train(2, "run.pt")


# Where the file lies


def test_the_home_folder_a_link_and_another_working_folder(tmp_path, monkeypatch):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(tmp_path)
    Run().train(1, "~/run.pt")
    assert os.listdir(home) == ["run.pt"] and sorted(os.listdir()) == ["elsewhere", "home"]
    assert len(load_checkpoint("~/run.pt", Run().model)) == 1

    link = tmp_path / "link.pt"
    link.symlink_to(home / "run.pt")
    Run().train(2, link)
    assert link.is_symlink() and os.listdir(home) == ["run.pt"]
    assert len(load_checkpoint(link, Run().model)) == 2

    history = Run().train(3, "relative.pt", on_epoch_end=lambda row: os.chdir(elsewhere)).history
    assert os.listdir(elsewhere) == []
    os.chdir(tmp_path)
    assert load_checkpoint("relative.pt", Run().model) == history


@pytest.mark.skipif(os.name != "posix", reason="needs links and user names")
def test_a_path_that_leads_nowhere(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    nowhere = r"cannot use ~nobody-here/run.pt .*: choose another"
    with pytest.raises(CheckpointError, match=nowhere):
        Run().train(1, "~nobody-here/run.pt")
    with pytest.raises(CheckpointError, match=nowhere):
        load_checkpoint("~nobody-here/run.pt", Run().model)
    with pytest.raises(CheckpointError, match="choose another"):
        Run().train(1, tmp_path / "a")


def test_numbers_of_numpy_are_saved_as_numbers(tmp_path):
    """As a learning rate that `np.geomspace` gave."""

    def run(epochs, path=None):
        run = Run(scheduler=False)
        run.optimizer = torch.optim.AdamW(run.model.parameters(), lr=np.float64(0.01))
        run.interval = "epoch"
        run.scheduler = lr_scheduler.StepLR(run.optimizer, np.int64(2), gamma=np.float32(0.5))
        return run.train(epochs, path, on_epoch_end=lambda row: row.update(x=np.float32(0.5)))

    straight = run(4).state()
    run(2, tmp_path / "run.pt")
    assert equal(run(4, tmp_path / "run.pt").state()["model"], straight["model"])
    assert torch.load(tmp_path / "run.pt")["history"][0]["x"] == 0.5


def test_arrays_of_numpy_where_they_are_numbers(tmp_path):
    def run(epochs, path=None):
        run = Run(scheduler=False)
        run.optimizer = torch.optim.SGD(run.model.parameters(), lr=np.array(0.1))
        run.scheduler = lr_scheduler.MultiStepLR(run.optimizer, np.array([3, 6]))
        return run.train(epochs, path)

    straight = run(3).state()
    run(1, tmp_path / "run.pt")
    assert equal(run(3, tmp_path / "run.pt").state()["model"], straight["model"])


class Table:
    """A schedule as an object."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __call__(self, step):
        return 0.5


class Counted(nn.Module):
    """A layer with a state that is no tensor."""

    def get_extra_state(self):
        return np.zeros(2)

    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (np.ones(3), r"scheduler\.lr_lambdas\.0\.numbers, which is ndarray"),
        (range(3), r"scheduler\.lr_lambdas\.0\.numbers, which is range"),
        (None, r"model\.5\._extra_state, which is ndarray"),
    ],
)
def test_what_cannot_be_saved_is_named_before_the_first_step(tmp_path, numbers, message):
    run = Run(scheduler=False)
    if numbers is None:
        run.model.append(Counted())
    else:
        run.scheduler = lr_scheduler.LambdaLR(run.optimizer, Table(numbers))

    def never(model, *batch):
        raise AssertionError("a step was made")

    with pytest.raises(CheckpointError, match=message) as caught:
        run.train(1, tmp_path / "run.pt", never)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_an_infinite_moment_is_named_and_not_saved(path):
    before = path.read_bytes()
    run = Run()

    def spoil(model, *batch):
        for state in list(run.optimizer.state.values())[:1]:
            state["exp_avg_sq"].fill_(float("inf"))
        return classification_step(model, *batch)

    with pytest.raises(CheckpointError, match=r"exp_avg_sq of 0\.weight is not finite"):
        run.train(2, path, spoil)
    assert path.read_bytes() == before


def test_the_same_objects_may_go_on(tmp_path):
    """As in a notebook where only the cell with ``fit`` is run again."""
    straight = Run().train(4).state()
    run = Run().train(2, tmp_path / "run.pt")
    torch.rand(5)
    assert equal(run.train(4, tmp_path / "run.pt").state(), straight)


def test_an_interrupted_epoch_is_done_again(tmp_path):
    straight, path = Run().train(4).state(), tmp_path / "run.pt"
    run, seen = Run(), []

    def interrupted(model, x, y):
        seen.append(1)
        if len(seen) == 2 * (4 + 3) + 2:  # 4 batches and 3 of validation in an epoch
            raise KeyboardInterrupt
        return classification_step(model, x, y)

    with pytest.raises(KeyboardInterrupt):
        run.train(4, path, interrupted)
    assert len(torch.load(path, weights_only=True)["history"]) == 2
    assert equal(Run().train(4, path).state(), straight)


def test_stopped_by_on_epoch_end_stays_stopped(tmp_path):
    path = tmp_path / "run.pt"
    stop = {"on_epoch_end": lambda row: row["epoch"] == 2}
    assert len(Run().train(4, path, **stop).history) == 2
    assert len(Run().train(4, path, **stop).history) == 2
    go_on = Run().train(4, path)  # without on_epoch_end nothing says stop
    assert equal(go_on.state(), Run().train(4).state())


def test_shorter_than_the_checkpoint_trains_nothing(tmp_path):
    path = tmp_path / "run.pt"
    longer = Run().train(3, path)
    assert Run().train(2, path).history == longer.history


def test_a_checkpoint_is_read_without_running_code_and_holds_plain_names(tmp_path):
    run = Run().train(1, tmp_path / "run.pt")
    state = torch.load(tmp_path / "run.pt", weights_only=True)
    assert list(state["model"]) == list(run.model.state_dict())
    assert state["history"] == run.history


def test_a_compiled_model_has_the_names_of_the_model(tmp_path):
    run = Run()
    model, run.model = run.model, torch.compile(run.model, backend="eager")
    run.train(1, tmp_path / "run.pt")
    assert load_checkpoint(tmp_path / "run.pt", Run().model) == run.history
    assert list(torch.load(tmp_path / "run.pt")["model"]) == list(model.state_dict())


def test_load_checkpoint_gives_model_and_history(tmp_path):
    run, other = Run().train(2, tmp_path / "run.pt"), Run()
    assert load_checkpoint(tmp_path / "run.pt", other.model) == run.history
    assert equal(other.model.state_dict(), run.model.state_dict())


# Files that do not fit


@pytest.fixture
def path(tmp_path):
    """Return the path of a checkpoint of a short training."""
    Run().train(1, tmp_path / "run.pt")
    return tmp_path / "run.pt"


def refused(path, message, run=None, **options):
    """Check that a file is refused in one line, and that nothing is touched."""
    run, before = run or Run(), path.read_bytes()
    states = copy.deepcopy([run.model.state_dict(), run.optimizer.state_dict()])
    with pytest.raises(CheckpointError, match=message) as caught:
        run.train(4, path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert equal(states, [run.model.state_dict(), run.optimizer.state_dict()])
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("kept", [0, 1, 10, 500, 0.5, 0.99, -1])
def test_truncated(path, kept):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    refused(path, "cut off, damaged or something else; choose another path, or move the file away")


def test_a_flipped_bit_in_the_weights(path):
    whole = bytearray(path.read_bytes())
    weights = torch.load(path)["model"]["0.weight"].numpy().tobytes()
    whole[whole.index(weights) + len(weights) // 2] ^= 1
    path.write_bytes(whole)
    refused(path, "damaged")


def test_foreign_files(tmp_path):
    path = tmp_path / "run.pt"
    for content in (b"weights!", b"PK\x03\x04", pickle.dumps({"model": 1}), b"\x00" * 5000):
        path.write_bytes(content)
        refused(path, "cannot be read as a checkpoint")
    for thing in (Run().model.state_dict(), torch.ones(2), {"format": "other"}, [1]):
        torch.save(thing, path)
        refused(path, "was not written by fit: choose another path")


class Evil:
    """A pickle that runs code when it is loaded."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize("how", ["pickle", "torch", "inside a checkpoint"])
def test_a_malicious_pickle_runs_no_code(path, how, tmp_path_factory):
    trace = str(tmp_path_factory.mktemp("evil") / "ran")
    if how == "pickle":
        path.write_bytes(pickle.dumps(Evil(trace)))
    elif how == "torch":
        torch.save({"format": FORMAT, "model": Evil(trace)}, path)
    else:
        state = torch.load(path, weights_only=True)
        state["history"].append(Evil(trace))
        torch.save(state, path)
    refused(path, "cannot be read as a checkpoint")
    assert not os.path.exists(trace)


def test_a_folder_in_place_of_the_file(tmp_path):
    with pytest.raises(CheckpointError, match=re.escape(os.strerror(errno.EISDIR))):
        Run().train(1, tmp_path)


def test_another_model(path):
    refused(path, r"of another model \(0.weight was float32 \(8, 6\) and is float32 \(9, 6\);",
            Run(width=9))  # fmt: skip
    run = Run()
    run.model.add_module("5", nn.Linear(2, 2))
    refused(path, "it lacks 5.weight; it lacks 5.bias", run)
    run = Run()
    run.model[1] = nn.Identity()
    run.optimizer = torch.optim.AdamW(run.model.parameters(), lr=1e-2)
    run.scheduler = None
    refused(path, "it has 1.weight; it has 1.bias; it has 1.running_mean; 2 more", run)
    run = Run()
    run.model.double()
    refused(path, r"0.weight was float32 \(8, 6\) and is float64 \(8, 6\)", run)


def with_optimizer(make=torch.optim.AdamW, groups=None, **settings):
    """Return a run with another optimizer, and the scheduler made again for it."""
    run = Run()
    held = groups(run.model) if groups else run.model.parameters()
    run.optimizer = make(held, **{"lr": 1e-2, **settings})
    run.scheduler = lr_scheduler.OneCycleLR(run.optimizer, 1e-2, total_steps=16)
    return run


def test_another_optimizer_scheduler_or_setting(path):
    sgd = with_optimizer(torch.optim.SGD, momentum=0.9)
    refused(path, "with optimizer=AdamW, but now optimizer=SGD", sgd)
    changed = with_optimizer(weight_decay=0.5)
    refused(path, "with weight_decay=0.01, but now weight_decay=0.5", changed)
    longer = with_optimizer()
    longer.scheduler = lr_scheduler.OneCycleLR(longer.optimizer, 1e-2, total_steps=20)
    refused(path, "with total_steps=16, but now total_steps=20", longer)
    higher = with_optimizer()
    higher.scheduler = lr_scheduler.OneCycleLR(higher.optimizer, 2e-2, total_steps=16)
    refused(path, "with max_lr=0.01, but now max_lr=0.02", higher)
    longer.scheduler = lr_scheduler.CosineAnnealingLR(longer.optimizer, 19)
    refused(path, "scheduler=OneCycleLR, but now scheduler=CosineAnnealingLR", longer)


@pytest.mark.parametrize("kind", [float, torch.tensor, np.float64])
def test_another_learning_rate_or_betas(tmp_path, kind):
    path = tmp_path / "run.pt"

    def run(lr=1e-2, betas=(0.9, 0.999)):
        run = Run(scheduler=False)
        run.optimizer = torch.optim.AdamW(run.model.parameters(), lr=kind(lr), betas=betas)
        return run

    history = run().train(1, path).history
    refused(path, r"with lr=0.0\d+, but now lr=0.0\d+: set it back to continue, or", run(2e-2))
    refused(path, r"betas=\[0.9, 0.999\], but now betas=\[0.8, 0.999\]", run(betas=(0.8, 0.999)))
    assert run().train(2, path).history[:1] == history


def two_groups(model):
    weights, *rest = model.parameters()
    return [{"params": [weights], "weight_decay": 0.1}, {"params": rest}]


def test_another_setting_of_one_group(tmp_path):
    path = tmp_path / "run.pt"
    with_optimizer(groups=two_groups).train(1, path)
    changed = with_optimizer(groups=two_groups)
    changed.optimizer.param_groups[0]["weight_decay"] = 0.2
    refused(path, "weight_decay of group 0=0.1, but now weight_decay of group 0=0.2", changed)
    assert len(with_optimizer(groups=two_groups).train(2, path).history) == 2


def test_other_parameter_groups(path):
    message = "was written with 1 parameter group, but now 2: set it back to continue"
    refused(path, message, with_optimizer(groups=two_groups))


def test_an_optimizer_of_other_parameters_of_the_same_shapes(tmp_path):
    """Its momentum would be given to the wrong layer."""

    def run(which):
        run = Run(scheduler=False)
        run.model.add_module("5", nn.Linear(2, 2))
        run.model.add_module("6", nn.Linear(2, 2))
        run.optimizer = torch.optim.SGD(run.model[which].parameters(), lr=0.1, momentum=0.9)
        return run

    path = tmp_path / "run.pt"
    run(5).train(1, path)
    message = "when group 0 of the optimizer held 5.weight, but now it holds 6.weight"
    refused(path, message, run(6))
    assert len(run(5).train(2, path).history) == 2


@pytest.mark.filterwarnings("ignore::UserWarning:torch.optim.lr_scheduler")
def test_another_schedule_inside_a_sequence(tmp_path):
    path = tmp_path / "run.pt"

    def run(end=20, warm_up=3):
        run = Run(scheduler=False)
        parts = [lr_scheduler.LinearLR(run.optimizer, total_iters=3)]
        parts.append(lr_scheduler.CosineAnnealingLR(run.optimizer, end))
        run.scheduler = lr_scheduler.SequentialLR(run.optimizer, parts, [warm_up])
        return run

    run().train(1, path)
    refused(path, "with scheduler 1: T_max=20, but now scheduler 1: T_max=40", run(end=40))
    refused(path, r"with milestones=\[3\], but now milestones=\[4\]", run(warm_up=4))
    assert len(run().train(2, path).history) == 2


CONSTANT, LINEAR = lr_scheduler.ConstantLR, lr_scheduler.LinearLR


@pytest.mark.filterwarnings("ignore::UserWarning:torch.optim.lr_scheduler")
@pytest.mark.parametrize("others", [[LINEAR, LINEAR], [CONSTANT], [CONSTANT, LINEAR, CONSTANT]])
@pytest.mark.parametrize("chained", [False, True])
def test_other_schedules_inside_a_sequence_or_a_chain(tmp_path, chained, others):
    def run(kinds):
        run = Run(scheduler=False)
        parts = [kind(run.optimizer) for kind in kinds]
        run.scheduler = (
            lr_scheduler.ChainedScheduler(parts)
            if chained
            else lr_scheduler.SequentialLR(run.optimizer, parts, [*range(5, 4 + len(parts))])
        )
        return run

    path = tmp_path / "run.pt"
    run([CONSTANT, LINEAR]).train(1, path)
    names = ", ".join(kind.__name__ for kind in others)
    refused(path, rf"\(ConstantLR, LinearLR\), but now .*\({names}\)", run(others))


class Inverse(lr_scheduler.LRScheduler):
    """A schedule of one's own: a constant, and a count that moves."""

    def __init__(self, optimizer, k):
        self.k, self.calls = k, 0
        super().__init__(optimizer)

    def get_lr(self):
        self.calls += 1
        return [base / (1 + self.k * self.last_epoch) for base in self.base_lrs]


def test_a_constant_of_a_schedule_of_ones_own(tmp_path):
    def run(k=0.1):
        run = Run(scheduler=False)
        run.scheduler = Inverse(run.optimizer, k)
        return run

    path = tmp_path / "run.pt"
    straight = run().train(3).state()
    run().train(1, path)
    refused(path, "with k=0.1, but now k=0.5: set it back", run(0.5))
    assert equal(run().train(3, path).state(), straight)


def test_another_interval(path):
    run = Run()
    run.interval = "epoch"
    message = "with scheduler_interval=batch, but now scheduler_interval=epoch"
    refused(path, message, run)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 50, pct_start=0.4), "pct_start or three_phase"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 50, div_factor=9), "with initial_lr=0.004, but"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.2, 50), "with max_lr=0.1, but now max_lr=0.2"),
    ],
)
def test_a_changed_schedule_is_named_as_it_was_passed(tmp_path, made, message):
    def run(make=lambda o: lr_scheduler.OneCycleLR(o, 0.1, 50), beta2=0.999):
        run = Run(scheduler=False)
        run.optimizer = torch.optim.AdamW(run.model.parameters(), betas=(0.9, beta2))
        run.scheduler = make(run.optimizer)
        return run

    path = tmp_path / "run.pt"
    run().train(1, path)
    refused(path, message, run(made))
    refused(path, r"with betas\[1:\]=\[0.999\], but now betas\[1:\]=\[0.9\]", run(beta2=0.9))


def test_another_learning_rate_beside_a_schedule(tmp_path):
    def run(lr=0.1, milestones=(3,)):
        run = Run(scheduler=False)
        run.optimizer = torch.optim.SGD(run.model.parameters(), lr=lr)
        run.scheduler = lr_scheduler.MultiStepLR(run.optimizer, milestones)
        return run

    path = tmp_path / "run.pt"
    run().train(1, path)
    refused(path, "with lr=0.1, but now lr=0.2", run(0.2))
    refused(path, r"with milestones=\[3\], but now milestones=\[0, 1, .{30,60}…:",
            run(milestones=range(99)))  # fmt: skip


@pytest.mark.parametrize("change", ["unfreeze", "add"])
def test_what_is_trained_must_not_change_on_the_way(tmp_path, change):
    run = Run(scheduler=False)
    first = run.model[0].requires_grad_(False)
    run.optimizer = torch.optim.SGD(run.model[1:].parameters(), lr=0.1)
    if change == "unfreeze":
        run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.1)

    def at_the_end(row):
        first.requires_grad_(True)
        if change == "add":
            run.optimizer.add_param_group({"params": first.parameters()})

    with pytest.raises(CheckpointError, match="between two calls of fit, the second with more"):
        run.train(3, tmp_path / "run.pt", on_epoch_end=at_the_end)
    assert len(load_checkpoint(tmp_path / "run.pt", Run().model)) == 1


def test_a_part_may_be_unfrozen_between_two_calls(tmp_path):
    def train(epochs, path):
        run = Run(scheduler=False)
        run.model[0].requires_grad_(False)
        run.train(min(epochs, 2), path)
        run.model[0].requires_grad_(True)
        return run.train(epochs, path)

    done = train(4, tmp_path / "straight.pt").state()
    train(3, tmp_path / "run.pt")
    assert equal(train(4, tmp_path / "run.pt").state(), done)


def test_more_epochs_than_the_schedule_was_made_for(path):
    """The rate of a cosine would climb again; a run that goes on must say what it wants."""
    with pytest.raises(ValueError, match="OneCycleLR ends after total_steps=16 steps"):
        Run().train(5, path)


def test_a_setting_of_speed_alone_may_change(path):
    run = Run()
    run.optimizer.defaults["foreach"] = True
    assert len(run.train(2, path).history) == 2


def test_load_checkpoint_leaves_another_model_alone(path):
    model = Run(width=9).model
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CheckpointError, match="of another model"):
        load_checkpoint(path, model)
    assert equal(before, model.state_dict())
    with pytest.raises(CheckpointError, match="is not there"):
        load_checkpoint(path.with_name("other.pt"), model)


def test_load_checkpoint_into_a_lazy_or_a_tied_model(path):
    with pytest.raises(CheckpointError, match=r"0.weight has no size yet: run the model once"):
        load_checkpoint(path, nn.Sequential(nn.LazyLinear(8)))
    layers = [nn.Linear(3, 3), nn.Linear(3, 3)]
    untied = nn.Sequential(*layers)
    sgd = torch.optim.SGD(untied.parameters())
    two = path.with_name("two.pt")
    fit(untied, [torch.ones(2, 3)], lambda m, x: (m(x).mean(), {}), optimizer=sgd, checkpoint=two)
    layers[1].weight = layers[0].weight
    with pytest.raises(CheckpointError, match=r"\(0.weight and 1.weight were two and are one\)"):
        load_checkpoint(two, nn.Sequential(*layers))


@given(data=st.data())
def test_whatever_happens_to_the_bytes_is_noticed(data, tmp_path_factory):
    """Cut, overwrite, repeat: a one-line error, or the very same content."""
    path = tmp_path_factory.getbasetemp() / "fuzz.pt"
    whole = tmp_path_factory.getbasetemp() / "whole.pt"
    if not whole.exists():
        Run().train(1, whole)
    damaged = bytearray(whole.read_bytes())
    start = data.draw(st.integers(0, len(damaged) - 1))
    length = data.draw(st.integers(0, 64))
    damaged[start : start + length] = data.draw(st.binary(max_size=64))
    path.write_bytes(damaged)
    try:
        state = _read(path)
    except CheckpointError as error:
        assert "\n" not in str(error)
    else:
        assert equal(state, _read(whole))


# What goes wrong while saving


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_error_while_writing_leaves_the_old_file(path, call, monkeypatch):
    before = path.read_bytes()

    def fail(*args):
        raise OSError(errno.ENOSPC, "no more")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(
        CheckpointError, match=r"\(no more\): the file written before is untouched"
    ) as caught:
        Run().train(2, path)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["run.pt"]
    assert equal(Run().train(4, path).state(), Run().train(4).state())


def test_a_folder_that_cannot_be_written_is_known_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    seen = []
    with pytest.raises(CheckpointError, match=r"cannot write .*: choose another"):
        Run().train(1, tmp_path / "file" / "run.pt", on_epoch_end=seen.append)
    with pytest.raises(CheckpointError, match=rf"\({os.strerror(errno.ENAMETOOLONG)}\): choose"):
        Run().train(
            1, tmp_path / ("x" * 252), on_epoch_end=seen.append
        )  # with .part it is too long
    assert seen == []


def test_what_could_not_be_read_again_is_not_written(path):
    """The epoch itself was saved before ``on_epoch_end`` put something odd into its row."""
    with pytest.raises(CheckpointError, match=r"cannot hold history\.1\.thing, which is Run: it"):
        Run().train(2, path, on_epoch_end=lambda row: row.update(thing=Run()))
    assert load_checkpoint(path, Run().model)[1].keys() == Run().train(1).history[0].keys()
