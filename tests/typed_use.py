"""A user's script, checked with `mypy --strict` (nox -s lint), not run: our types must fit."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import handbook
from handbook import (
    Batches,
    classification_step,
    datasets,
    evaluate,
    fit,
    load_checkpoint,
    metrics,
    models,
    plots,
    regression_step,
)


def step(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute a loss of one's own."""
    loss = (model(x) - y).abs().mean()
    return loss, {"mae": loss}


class Step:
    """A step that has settings: an object that is called."""

    weight: float = 0.5

    def __call__(self, model: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.weight * model(x).mean(), {}


train, test = datasets.mnist(full=False, root=Path("data"))
x, y = train
batches = Batches(x, y, batch_size=128, shuffle=True, seed=1, drop_last=True)
batches.set_epoch(3)
for first, second in batches:
    print(first.shape, second.shape, len(batches))

nets: Sequence[nn.Module] = [models.MLP(784, (32,)), models.LeNet(), models.ResNet(width=8)]
for model in nets:
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=100)
    history = fit(
        model,
        batches,
        classification_step,
        optimizer=optimizer,
        scheduler=scheduler,
        scheduler_interval="batch",
        epochs=2,
    )
    history += fit(
        model,
        DataLoader(TensorDataset(x, y), batch_size=64),
        step,
        optimizer=optimizer,
        val=DataLoader(TensorDataset(*test)),
        device=torch.device("cpu"),
        max_grad_norm=1.0,
        checkpoint=Path("run.pt"),
        on_epoch_end=lambda row: row["val_mae"] < 0.1,
        progress=False,
    )
    fit(model, [(x,), (x,)], Step(), optimizer=optimizer, on_epoch_end=lambda row: print(row))
    fit(model, batches, lambda m, a, b: (m(a).mean(), {}), optimizer=optimizer, device="cpu")
    epochs: list[int] = [row["epoch"] for row in history]
    loss: float = evaluate(model, DataLoader(TensorDataset(x, y)), regression_step)["loss"]
    rows: list[dict[str, float]] = load_checkpoint("run.pt", model)
    plots.learning_curves(history).suptitle(f"{loss} {rows} {epochs}")
    plots.image_grid(x[:8], titles=["a"] * 8, ncols=4).savefig("images.png")
    plots.confusion_matrix(y, model(x).argmax(1), names=list("0123456789")).set_xlabel("x")
    plots.decision_boundary(lambda points: points, x[:, 0, 0, :2], y).legend()

detections = [{"boxes": x, "scores": x, "labels": y}]
found: float = metrics.mean_average_precision(detections, [{"boxes": x, "labels": y}])
share, num_classes = metrics.judge_samples(x.softmax(1))
recall: Tensor = metrics.recall_at_k(x, x > 0, k=10).nanmean()
print(f"{found} {share:.2f} {num_classes + 1} {recall} {metrics.bits_per_character(x.mean(), 7)}")

version: str = handbook.__version__
