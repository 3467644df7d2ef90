"""What a training loop costs: `handbook.fit` and five libraries against the bare loop.

All train the same MLP (784-128-10) by SGD on the same batches of 64 in the same order, on one
thread, and end with the same parameters, bit for bit. Each library works in a process of its own,
so that none changes torch for another; they take turns. The time is that of whole epochs, from
the start of the second to the start of the last one: setting up and the first epoch do not count.
"""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measure
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from handbook import Batches, classification_step, fit, models

STEPS, EPOCHS, ROUNDS, LR = 200, 4, 15, 0.01


class Timed(Batches):
    """Batches that note when each pass over them began."""

    starts: list[float]

    def _rank_shards(self, epoch: int | None) -> Iterator[Any]:
        """Yield what Batches does; a loop over it and `handbook.fit` both begin here."""
        self.starts.append(time.perf_counter())
        return super()._rank_shards(epoch)


class Plain:
    """The same batches, and nothing else that a library could call."""

    def __init__(self, batches: Timed) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


def data() -> Timed:
    """Return the batches, the same each time."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64 * STEPS, 784, generator=generator)
    y = torch.randint(10, (64 * STEPS,), generator=generator)
    batches = Timed(x, y, batch_size=64, shuffle=True)
    batches.starts = []
    return batches


def network() -> nn.Module:
    """Return the network as it is before training."""
    torch.manual_seed(0)
    return models.MLP()


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer."""
    return torch.optim.SGD(model.parameters(), lr=LR)


# The contestants: train for EPOCHS epochs and return the model. With `accuracy`, each also returns
# to its user the mean loss and accuracy over the training examples of each epoch.


def bare(batches: Timed, accuracy: bool) -> nn.Module:
    """Train as one writes it by hand, without waiting for numbers within an epoch."""
    model, history = network(), []
    optimizer = sgd(model)
    for epoch in range(1, EPOCHS + 1):
        model.train()
        sizes, losses, hits = [], [], []
        for x, y in batches:
            optimizer.zero_grad()
            logits = model(x)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            sizes.append(len(x))
            losses.append(loss.detach())
            if accuracy:
                hits.append((logits.argmax(1) == y).float().mean())
        weights = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
        row = {"epoch": epoch, "loss": float(torch.stack(losses).double() @ weights)}
        if accuracy:
            row["accuracy"] = float(torch.stack(hits).double() @ weights)
        history.append(row)
    return model


def handbook(batches: Timed, accuracy: bool) -> nn.Module:
    """Train with this package."""

    def loss_alone(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return F.cross_entropy(model(x), y), {}

    model = network()
    step = classification_step if accuracy else loss_alone
    fit(model, batches, step, optimizer=sgd(model), epochs=EPOCHS, progress=False)
    return model


def ignite(batches: Timed, accuracy: bool) -> nn.Module:
    """Train with PyTorch-Ignite: its engine, and its metrics attached to it."""
    from ignite.engine import Engine, Events
    from ignite.metrics import Accuracy, Average

    model = network()
    optimizer = sgd(model)

    def update(engine: Engine, batch: tuple[Tensor, Tensor]) -> Any:
        x, y = batch
        optimizer.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        return (loss.detach(), logits.detach(), y) if accuracy else loss.detach()

    trainer = Engine(update)
    if accuracy:
        Average(lambda output: output[0]).attach(trainer, "loss")
        Accuracy(lambda output: output[1:]).attach(trainer, "accuracy")
    trainer.on(Events.EPOCH_STARTED)(lambda: model.train())
    trainer.run(batches, max_epochs=EPOCHS, epoch_length=STEPS)
    return model


def skorch(batches: Timed, accuracy: bool) -> nn.Module:
    """Train with skorch; the accuracy uses its cached predictions."""
    from skorch import NeuralNetClassifier
    from skorch.callbacks import EpochScoring

    model = network()
    scores = [("accuracy", EpochScoring("accuracy", on_train=True, lower_is_better=False))]
    net = NeuralNetClassifier(
        model, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.SGD, lr=LR,
        max_epochs=EPOCHS, train_split=None, iterator_train=lambda dataset, **_: batches,
        callbacks=scores if accuracy else None, callbacks__print_log=None,
        callbacks__valid_acc=None, verbose=0,
    )  # fmt: skip
    net.fit(batches.tensors[0], batches.tensors[1])
    return net.module_


def accelerate(batches: Timed, accuracy: bool) -> nn.Module:
    """Train by hand with Accelerate's prepared parts."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model = network()
    model, optimizer = accelerator.prepare(model, sgd(model))
    for _ in range(EPOCHS):
        model.train()
        losses, hits = [], []
        for x, y in batches:
            with accelerator.accumulate(model):
                optimizer.zero_grad()
                logits = model(x)
                loss = F.cross_entropy(logits, y)
                accelerator.backward(loss)
                optimizer.step()
                losses.append(loss.detach())
                if accuracy:
                    hits.append((logits.argmax(1) == y).float().mean())
        float(torch.stack(losses).mean())
        if accuracy:
            float(torch.stack(hits).mean())
    return accelerator.unwrap_model(model)


def lightning(batches: Timed, accuracy: bool) -> nn.Module:
    """Train with Lightning, everything around the loop switched off."""
    import lightning as L

    class Task(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            x, y = batch
            logits = self.model(x)
            loss = F.cross_entropy(logits, y)
            if accuracy:
                hit = (logits.argmax(1) == y).float().mean()
                values = {"loss": loss, "accuracy": hit}
                self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(x))
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return sgd(self.model)

    task = Task()
    trainer = L.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", devices=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(task, Plain(batches))  # it would number the epochs of Batches from 0
    return task.model


def fastai(batches: Timed, accuracy: bool) -> nn.Module:
    """Train with fastai's Learner, plain SGD, and its recorder, without the printed table."""
    from fastai.basics import SGD, DataLoaders, Learner
    from fastai.basics import accuracy as accurate

    learner = Learner(
        DataLoaders(batches, []), network(), loss_func=F.cross_entropy, opt_func=SGD, lr=LR,
        metrics=[accurate] if accuracy else None,
    )  # fmt: skip
    learner.recorder.train_metrics, learner.recorder.valid_metrics = True, False
    with learner.no_logging():
        learner.fit(EPOCHS)
    return learner.model


CONTESTANTS: dict[str, Callable[[Timed, bool], nn.Module]] = {
    "bare": bare,
    "handbook": handbook,
    "ignite": ignite,
    "skorch": skorch,
    "accelerate": accelerate,
    "lightning": lightning,
    "fastai": fastai,
}
PACKAGES = {"ignite": "pytorch-ignite"}


def once(name: str, accuracy: bool) -> tuple[float, nn.Module]:
    """Return the seconds of a step of one contestant, and the trained model."""
    batches = data()
    model = CONTESTANTS[name](batches, accuracy)
    starts = batches.starts
    assert len(starts) == EPOCHS, f"{name} went {len(starts)} times over the data"
    return (starts[-1] - starts[1]) / (STEPS * (EPOCHS - 2)), model


def worker(name: str) -> None:
    """Do a round for each line that comes in: "loss" or "accuracy"; answer with the seconds."""
    import logging

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    expected = bare(data(), False).state_dict()
    for line in sys.stdin:
        seconds, model = once(name, line.strip() == "accuracy")
        same = all(map(torch.equal, model.state_dict().values(), expected.values()))
        print(f"answer {seconds} {same}", flush=True)


def main() -> None:
    """Let all contestants take turns, and record their times."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    command = [sys.executable, __file__, "worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = {
        name: subprocess.Popen([*command, name], cwd=Path(__file__).parent, **pipes)
        for name in CONTESTANTS
    }
    equal: dict[str, bool] = {}

    def ask(name: str, what: str) -> float:
        process = processes[name]
        process.stdin.write(what + "\n")
        process.stdin.flush()
        while not (line := process.stdout.readline()).startswith("answer"):
            if not line:
                sys.exit(f"{name} ended: see above")
        _, seconds, same = line.split()
        equal[name] = equal.get(name, True) and same == "True"
        return float(seconds)

    found = {}
    for what in ("loss", "accuracy"):
        tasks = {name: lambda name=name, what=what: ask(name, what) for name in CONTESTANTS}
        measure.interleaved(tasks, 1)  # the first round loads and compiles
        found[what] = measure.rows(measure.interleaved(tasks, rounds), "bare")
    for process in processes.values():
        process.stdin.close()
        process.wait()
    rows = {name: {what: found[what][name] for what in found} for name in CONTESTANTS}
    for name in rows:
        rows[name]["same"] = equal[name]
    names = [PACKAGES.get(name, name) for name in CONTESTANTS if name not in ("bare", "handbook")]
    measure.record("fit", rows, names, threads=1, rounds=rounds)


if __name__ == "__main__":
    worker(sys.argv[2]) if sys.argv[1:2] == ["worker"] else main()
