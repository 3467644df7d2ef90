"""What each layer of a model does to a shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ._modes import evaluation_mode

KINDS = (ValueError, TypeError, IndexError, RuntimeError)  # what a layer raises for a wrong input


class Layer(NamedTuple):
    """One call of one layer."""

    name: str  #: Where it is in the model, such as ``features.0``; of the model itself, empty.
    layer: str  #: Its class, such as ``Conv2d``.
    input: tuple[Any, ...]  #: The shape of its input; of several tensors, a tuple of shapes.
    output: tuple[Any, ...]  #: The shape of its output, in the same way.
    parameters: int  #: How many numbers it can learn, again for each call.


class Table(list[Layer]):
    """Rows that print as a table."""

    total = 0  # parameters of the whole model, each counted once

    def __str__(self) -> str:
        """Return columns of equal width, numbers on the right."""
        head = ("name", "layer", "input", "output", "parameters")
        rows = [
            head,
            *(
                (r.name, r.layer, _text(r.input), _text(r.output), f"{r.parameters:,}")
                for r in self
            ),
            ("total", "each parameter once", "", "", f"{self.total:,}"),
        ]
        wide = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = [
            "  ".join([*(row[i].ljust(wide[i]) for i in range(4)), row[4].rjust(wide[4])])
            for row in rows
        ]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    __repr__ = __str__


def summary(model: nn.Module, *inputs: Any) -> Table:
    """Run a model once and list, layer by layer, what it does to the shape.

    Parameters
    ----------
    model : Module
        Any module. It runs in evaluation mode and without gradients, and is left as it was.
    *inputs : Tensor
        What to call it with: ``model(*inputs)``.

    Returns
    -------
    list
        A list that prints as a table. A row is a named tuple ``(name, layer, input, output,
        parameters)``, one for each call of a layer, in the order in which they finish. A layer is a
        module that calls no other; one that does has a row only for parameters of its own. Shapes
        are tuples; of several tensors, as those of ``nn.LSTM``, tuples of tuples. The last
        line counts each parameter of the model once.

    Raises
    ------
    TypeError
        If ``model`` is not a module, or a part of it went through ``torch.jit.script``.
    ValueError
        If a lazy layer has not seen an input yet.
    RuntimeError
        If a layer fails, with its name and the shape it was given. An error of another type keeps
        its type.

    Examples
    --------
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.ReLU())
    >>> table = summary(model, torch.zeros(64, 1, 28, 28))
    >>> print(table)
    name   layer                input            output     parameters
    ------------------------------------------------------------------
    0      Flatten              (64, 1, 28, 28)  (64, 784)           0
    1      Linear               (64, 784)        (64, 10)        7,850
    2      ReLU                 (64, 10)         (64, 10)            0
    ------------------------------------------------------------------
    total  each parameter once                                   7,850
    >>> table[1].output
    (64, 10)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"summary needs a module, got {type(model).__name__}")
    model = getattr(model, "_orig_mod", model)  # what torch.compile has compiled
    scripted = torch.jit.RecursiveScriptModule  # type: ignore[attr-defined]
    if any(isinstance(module, scripted) for module in model.modules()):
        raise TypeError("summary cannot watch a scripted module: pass it before torch.jit.script")
    named = [*model.named_parameters(), *model.named_buffers()]
    lazy = [name for name, tensor in named if nn.parameter.is_lazy(tensor)]
    if lazy:
        raise ValueError(f"{lazy[0]} has no size yet: run the model once, model(x)")
    table = Table()
    calls: list[list[Any]] = []  # those that have not returned: module, its inputs, has it called?
    names = {module: name for name, module in model.named_modules()}

    def enter(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        if calls:
            calls[-1][2] = True
        calls.append([module, _shape((*args, *kwargs.values())) or (), False])

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        _, given, inner = calls.pop()
        own = list(module.parameters(recurse=not inner))
        if own or not inner:
            count = sum(parameter.numel() for parameter in own)
            table.append(
                Layer(names[module], type(module).__name__, given, _shape(output) or (), count)
            )

    with _watched(model, enter, leave), torch.no_grad():
        try:
            model(*inputs)
        except Exception as error:
            if type(error) in KINDS:
                raise type(error)(_explanation(calls, names, error)) from error
            error.add_note(_explanation(calls, names, error))  # its type carries the meaning
            raise
    table.total = sum(parameter.numel() for parameter in model.parameters())
    return table


@contextmanager
def _watched(model: nn.Module, enter: Any, leave: Any) -> Iterator[None]:
    """Run the model in evaluation mode with two hooks on every module; undo that afterwards."""
    hooks = []
    with evaluation_mode(model):
        try:
            for module in model.modules():
                hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))
                hooks.append(module.register_forward_hook(leave))
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _shape(value: Any) -> Any:
    """Return the shape of a tensor, shapes of several; None of what holds no tensor."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, dict):
        value = tuple(value.values())
    if not isinstance(value, tuple | list):
        return None
    parts = tuple(part for part in map(_shape, value) if part is not None)
    return parts if len(parts) > 1 else next(iter(parts), None)


def _text(shape: Any) -> str:
    """Write a shape, or several with commas between them."""
    several = isinstance(shape, tuple) and shape and isinstance(shape[0], tuple)
    return ", ".join(map(str, shape)) if several else str(shape)


def _explanation(calls: list[list[Any]], names: dict[nn.Module, str], error: Exception) -> str:
    """Return one line: which layer failed, what it was given, what it said."""
    module, given, _ = calls[-1]
    where = names[module] or "the model"
    first = next(filter(None, map(str.strip, str(error).splitlines())), "no message")
    return f"{where} ({type(module).__name__}) failed on input {_text(given)}: {first}"
