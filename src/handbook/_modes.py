"""Training and evaluation mode, module by module: what was set before comes back."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode; afterwards each module has the mode it had before."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def training_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into training mode; afterwards each module has the mode it had before.

    A model that is in training mode already is left as it is: where one of its modules is in
    evaluation mode, such as a frozen BatchNorm, the caller wanted it so.
    """
    before = {module: module.training for module in model.modules()}
    if not model.training:
        model.train()
    try:
        yield
    finally:
        _restore(before)


def _restore(modes: dict[nn.Module, bool]) -> None:
    for module, training in modes.items():
        module.training = training  # not train(): that would reach the modules inside, too
