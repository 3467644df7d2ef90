"""Train the network; a training that was killed goes on where it was."""

import sys
from pathlib import Path

import torch

from digit_reader.data import check_files, read_sets
from handbook import Batches, classification_step, fit, models

EPOCHS = 8


def load(folder):
    """Check the files of a folder, and read the three sets."""
    return read_sets(folder, check_files(folder))


def train(sets, checkpoint=None, seed=0, epochs=EPOCHS):
    """Train a network: return it, and the history of its losses."""
    torch.manual_seed(seed)
    model = models.LeNet()
    batches = Batches(*sets["train"], batch_size=64, shuffle=True, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * len(batches))
    val = Batches(*sets["val"], batch_size=1000)
    history = fit(
        model,
        batches,
        classification_step,
        optimizer=optimizer,
        scheduler=scheduler,
        scheduler_interval="batch",
        val=val,
        epochs=epochs,
        checkpoint=checkpoint,
        progress=False,
    )
    return model, history


if __name__ == "__main__":
    scans, checkpoint = sys.argv[1:]
    _, history = train(load(scans), Path(checkpoint))
    print(f"epoch {len(history)}, val_loss {history[-1]['val_loss']:.4f}")
