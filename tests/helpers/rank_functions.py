"""What test_distributed.py runs under torchrun: functions that also run in one process.

python -m torch.distributed.run --standalone --nproc-per-node=2 rank_functions.py FOLDER NAME...
"""

import os
import random
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from handbook import (
    Batches,
    classification_step,
    distributed,
    evaluate,
    fit,
    load_checkpoint,
    regression_step,
)
from handbook.validation import FiniteCheck

X = torch.randn(101, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + X[:, 1] > 0).long()
RANK = int(os.environ.get("RANK", 0))


def plain():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    return model, torch.optim.AdamW(model.parameters(), lr=1e-2)


def without_dropout(folder, batch_size, val=101):
    """Return history and weights of a training in which every rank matters."""
    model, optimizer = plain()
    batches = Batches(X, Y, batch_size=batch_size, shuffle=True)
    val = Batches(X[:val], Y[:val], batch_size=30)
    history = fit(
        model,
        batches,
        classification_step,
        optimizer=optimizer,
        val=val,
        max_grad_norm=1.0,
        epochs=3,
    )
    return history, model.state_dict(), evaluate(model, val, classification_step)


def even(folder):
    return without_dropout(folder, 32)


def odd(folder):
    return without_dropout(folder, 7)


def even_with_nan():
    """Train until the loss is not finite, in the second step, on every rank."""
    model, optimizer = plain()
    x = X.clone()
    x[40:] = float("nan")
    fit(model, Batches(x, Y, batch_size=32), classification_step, optimizer=optimizer)


def one_alone(folder):
    """Return the same for a last batch, and a validation set, of one example: rank 1 has none."""
    return without_dropout(folder, 20, val=1)


def single(folder):
    return without_dropout(folder, 1)


def shard(model, *layers, mesh=(2,)):
    """Apply fully_shard to these layers, and then to the whole model."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    distributed.init("cpu")
    names = ("replica", "share")[-len(mesh) :]
    mesh = init_device_mesh("cpu", mesh, mesh_dim_names=names)
    for module in (*layers, model):
        fully_shard(module, mesh=mesh)


def sharded(folder):
    """Return the same after fully_shard, and after a forward pass, which leaves weights whole."""
    model, _ = plain()
    if folder is not None:  # under torchrun
        shard(model, model[0])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batches, val = Batches(X, Y, batch_size=7, shuffle=True), Batches(X, Y, batch_size=50)
    with torch.no_grad():
        model(X)
    history = fit(
        model, batches, classification_step, optimizer=optimizer, val=val, max_grad_norm=1.0,
        epochs=2, device="cpu",
    )  # fmt: skip
    weights = {name: value.detach() for name, value in model.named_parameters()}
    if folder is not None:
        weights = {name: value.full_tensor() for name, value in weights.items()}
    return history, weights, evaluate(model, val, classification_step, device="cpu")


def sharded_uneven(folder):
    """Return the score of a sharded model on five examples of a DataLoader, one at a time."""
    model, _ = plain()
    data, sampler = TensorDataset(X[:5], Y[:5]), None
    if folder is not None:
        shard(model, model[0], model[-1])
        sampler = DistributedSampler(data, shuffle=False)
    loader = DataLoader(data, batch_size=1, sampler=sampler)
    return evaluate(model, loader, classification_step, device="cpu")


def hybrid(folder):
    """Return the history of a model of which each rank has a replica: the mesh is of two."""
    model, _ = plain()
    if folder is not None:
        shard(model, mesh=(2, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batches = Batches(X, Y, batch_size=20, shuffle=True)
    return fit(model, batches, classification_step, optimizer=optimizer, epochs=2, device="cpu")


def tensor_parallel_faults(folder):
    """Return what `fit` and `evaluate` say where a rank must not have its own part of a batch."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    distributed.init("cpu")
    mesh = init_device_mesh("cpu", (1, 2), mesh_dim_names=("data", "tensor"))
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    batches = Batches(X, Y, batch_size=50)
    cut, _ = plain()
    parallelize_module(cut, mesh["tensor"], plan)
    both, _ = plain()
    parallelize_module(both, mesh["tensor"], plan)
    fully_shard(both, mesh=mesh["data"])
    alone, _ = plain()
    fully_shard(alone, mesh=mesh["data"])

    said = []
    for model in (cut, both, alone):
        sgd = torch.optim.SGD(model.parameters(), lr=1e-2)
        calls = {fit: {"optimizer": sgd}, evaluate: {}}
        for call, options in calls.items():
            try:
                call(model, batches, classification_step, device="cpu", **options)
            except ValueError as error:
                said.append(str(error))
    return said


def sharded_faults(folder):
    """Return what `fit` and `load_checkpoint` say of sharded models that they cannot use."""
    said = []

    def note(call, *args, **options):
        try:
            call(*args, **options)
        except (TypeError, ValueError, RuntimeError) as error:
            said.append(f"{type(error).__name__}: {error}")

    def train(model, **options):
        sgd = torch.optim.SGD(model.parameters(), lr=1e-2)
        batches = Batches(X, Y, batch_size=50)
        fit(model, batches, classification_step, optimizer=sgd, device="cpu", epochs=1, **options)

    model, _ = plain()
    path = folder / "before_sharding.pt"
    train(model, checkpoint=path)
    shard(model)
    note(load_checkpoint, path, model)
    note(train, model, checkpoint=path)
    note(train, torch.compile(model), checkpoint=path)
    model[-1] = nn.Linear(model[-1].in_features, 2)  # a new head, too late
    note(train, model)

    model, _ = plain()
    shard(model)
    finite = FiniteCheck(model)
    if distributed.rank() == 1:
        model[-1].bias.detach().to_local().fill_(float("nan"))
    note(finite.check, 1, 1)
    return said


def run(path, epochs, progress=False):
    """Return all that a training with dropout, BatchNorm and a scheduler leaves behind."""
    torch.manual_seed(1)
    random.seed(1)
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batches = Batches(X, Y, batch_size=16, shuffle=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=4 * len(batches))
    history = fit(
        model, batches, classification_step, optimizer=optimizer, scheduler=scheduler,
        scheduler_interval="batch", val=batches,
        epochs=epochs, checkpoint=path, progress=progress,
    )  # fmt: skip
    states = model.state_dict(), optimizer.state_dict(), scheduler.state_dict()
    return history, *states, torch.rand(3), random.random()


def straight(folder):
    return run(None, 4)


def half(folder):
    return run(folder / "run.pt", 2, progress=True)


def rest(folder):
    return run(folder / "run.pt", 4)


def endless(path, epochs, started=None):
    """Return the same for a training whose scheduler has no end; say when it has begun."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Linear(6, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 2)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 5)

    def step(model, x, y):
        if started is not None and not started.exists():
            started.touch()
        return classification_step(model, x, y)

    history = fit(
        model, Batches(X, Y, batch_size=32, shuffle=True), step, optimizer=optimizer,
        scheduler=scheduler, scheduler_interval="batch", val=Batches(X, Y, batch_size=101),
        epochs=epochs, checkpoint=path,
    )  # fmt: skip
    states = model.state_dict(), optimizer.state_dict(), scheduler.state_dict()
    return history, *states, torch.rand(3)


def masks(folder):
    """Return the dropout masks of this rank, for the same examples on every rank."""
    seen = []

    def step(model, x):
        seen.append(nn.functional.dropout(torch.ones(64)))
        return model(x).mean(), {}

    torch.manual_seed(0)
    model = nn.Linear(6, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, Batches(X, batch_size=50), step, optimizer=sgd)
    return torch.stack(seen)


def loader(folder):
    """Return which examples of a DataLoader with a distributed sampler this rank saw."""
    seen = []

    def step(model, x, y):
        seen.append(y)
        return regression_step(model, x, y)

    model = nn.Linear(6, 1)
    data = TensorDataset(X, torch.arange(101.0).unsqueeze(1))
    numbers = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])  # before fit has joined
    examples = DataLoader(data, batch_size=10, sampler=DistributedSampler(data, *numbers))
    sgd = torch.optim.SGD(model.parameters(), lr=1e-6)
    history = fit(model, examples, step, optimizer=sgd, epochs=2)
    return torch.cat(seen[: len(seen) // 2]).flatten(), torch.cat(seen).flatten(), history


def methods(folder):
    """Return the gradient of a step that calls a method of the model, not the model."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def encode(self, x):
            return x * self.scale

    model, seen = Model(), []

    def step(model, x):
        seen.append(type(model).__name__)
        return model.encode(x).mean(), {}

    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    fit(model, Batches(torch.arange(5.0), batch_size=5), step, optimizer=sgd)
    return seen, model.scale.item()


def mistake(name, folder):
    """Make a mistake, or one that only the last rank makes."""
    batches = Batches(X, Y, batch_size=101 if name == "frozen, one step" else 32)
    loader = DataLoader(TensorDataset(X, Y), batch_size=10)
    model, optimizer = plain()
    step, options = classification_step, {}
    if name == "loader":
        batches = loader
    if name == "loader of evaluate":
        evaluate(model, loader, classification_step)
    if name.startswith("frozen"):
        model.add_module("unused", nn.Linear(1, 1))
        model.forward = lambda x: model[2](model[1](model[0](x)))
    if name == "nan on one":

        def step(model, x, y):
            loss, metrics = classification_step(model, x, y)
            return loss * (float("nan") if int(os.environ["RANK"]) else 1.0), metrics

    if name == "no folder":
        (folder / "file").write_text("not a folder")
        options["checkpoint"] = folder / "file" / "run.pt"
    if name == "garbage":
        options["checkpoint"] = folder / "garbage.pt"
        options["checkpoint"].write_text("garbage")
    fit(model, batches, step, optimizer=optimizer, **options)


def stopping(folder):
    """Return the rows before rank 1, and it alone, said stop."""
    model, optimizer = plain()
    batches = Batches(X, Y, batch_size=32)
    return fit(
        model, batches, classification_step, optimizer=optimizer, epochs=5,
        on_epoch_end=lambda row: RANK == 1 and row["epoch"] == 2,
    )  # fmt: skip


def order(folder):
    """Return the examples of this rank in a plain loop over Batches."""
    return [y.tolist() for _, y in Batches(X, torch.arange(101), batch_size=25)]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        torch.save(globals()[name](folder), folder / f"{name}.{RANK}")
