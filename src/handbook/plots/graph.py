"""The graph that autograd recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ._graph_drawing import draw
from ._graph_layout import Box
from ._text import use_installed_fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT = 40  # nodes: a picture of more cannot be read


def graph(
    output: Tensor,
    names: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] = (),
    saved: bool = False,
) -> Figure:
    """Draw the graph that autograd recorded while a tensor was computed.

    The output is at the top. Below it are the functions that ``backward()`` will call, under the
    names that PyTorch gives them; arrows lead the way that the gradient goes, from each function
    to its ``next_functions``. They end at the leaves, the rounded boxes, which collect the gradient
    in ``.grad``; PyTorch calls such a node ``AccumulateGrad``. What needs no gradient, such as the
    data, is not in the graph.

    Parameters
    ----------
    output : Tensor
        Any tensor with a ``grad_fn``.
    names : dict or iterable
        Names of tensors: ``{"w": w}`` or ``model.named_parameters()``. The name of a tensor between
        the leaves and the output stands in the box of the function that made it.
    saved : bool
        Whether to list the tensors that each function has saved for the backward pass.

    Returns
    -------
    Figure
        Each box is a text in ``figure.axes[0].texts``. It is narrow enough for a phone.

    Raises
    ------
    ValueError
        If the tensor has no ``grad_fn``, or the graph has more than 40 nodes.

    Examples
    --------
    >>> import torch
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> figure = graph((w**2).sum(), names={"w": w})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['output ()', 'SumBackward0', 'PowBackward0', 'w (2,)']
    """
    if not isinstance(output, Tensor):
        raise ValueError(f"graph draws a tensor, got {type(output).__name__}")
    if output.grad_fn is None:
        why = (
            "it is a leaf, made by no operation: draw what you computed from it"
            if output.requires_grad
            else "nothing it was computed from requires grad, or it was computed under no_grad"
        )
        raise ValueError(f"no graph was recorded for this tensor: {why}")
    named = list(dict(names).items())
    title = next((name for name, tensor in named if tensor is output), "output")

    functions, edges = _walk(output.grad_fn)
    boxes = [Box(f"{title} {tuple(output.shape)}", "output")]
    for function in functions:
        leaf = getattr(function, "variable", None)
        if leaf is not None:
            name = next((name for name, tensor in named if tensor is leaf), "")
            boxes.append(Box(f"{name} {tuple(leaf.shape)}".strip(), "leaf"))
            continue
        lines = [function.name().removeprefix("torch::autograd::")]
        for name, tensor in named:
            if tensor.grad_fn is function and tensor is not output:
                lines.append(f"→ {name} {tuple(tensor.shape)}")
        if saved:
            lines += (f"saved {text}" for text in _saved(function))
        boxes.append(Box("\n".join(lines), "function"))
    figure = draw(boxes, [(0, 1), *((a + 1, b + 1) for a, b in edges)])
    use_installed_fonts(figure)
    return figure


def _walk(start: Any) -> tuple[list[Any], list[tuple[int, int]]]:
    """Return the functions that are reached, and the edges between them, as numbers."""
    functions, edges = [start], []
    numbers = {start: 0}
    for a, function in enumerate(functions):  # grows while it is walked
        for following, _ in function.next_functions:
            if following is not None:
                if following not in numbers:
                    numbers[following] = len(functions)
                    functions.append(following)
                edges.append((a, numbers[following]))
        if len(functions) > LIMIT:
            raise ValueError(
                f"the graph has more than {LIMIT} nodes, too many for one picture: draw a smaller "
                "model, or one part of it on a detached input"
            )
    return functions, edges


def _saved(function: Any) -> Iterator[str]:
    """Give name and shape of each tensor that a function has saved."""
    own = hasattr(function, "saved_tensors")  # of a torch.autograd.Function
    keys = ["saved_tensors"] if own else [key for key in dir(function) if key[:7] == "_saved_"]
    for key in keys:
        try:
            value = getattr(function, key)
        except RuntimeError:  # backward() has freed them
            yield "tensors: freed"
            return
        for tensor in value if isinstance(value, tuple | list) else [value]:
            if isinstance(tensor, Tensor):
                yield f"{'tensor' if own else key.removeprefix('_saved_')} {tuple(tensor.shape)}"
