"""Training and evaluation mode, module by module: what was set before comes back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode; afterwards each module has the mode it had before."""
    before = _modes(model)
    model.eval()
    try:
        yield
    finally:
        _set(before)


@contextmanager
def training_mode(model: nn.Module) -> Iterator[Callable[[], None]]:
    """Put a model into training mode; afterwards each module has the mode it had before.

    Where some of its modules are in training mode and some are not, such as a frozen BatchNorm, the
    caller wanted it so, and they are left as they are. Gives a function that sets the modes of the
    start again, whatever has changed them meanwhile.
    """
    before = _modes(model)
    if not any(before.values()):
        model.train()
    start = _modes(model)
    try:
        yield lambda: _set(start)
    finally:
        _set(before)


def _modes(model: nn.Module) -> dict[nn.Module, bool]:
    return {module: module.training for module in model.modules()}


def _set(modes: dict[nn.Module, bool]) -> None:
    for module, training in modes.items():
        module.training = training  # not train(): that would reach the modules inside, too
