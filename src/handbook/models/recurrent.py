"""Recurrent networks."""

from typing import Literal

from torch import Tensor, nn

State = Tensor | tuple[Tensor, Tensor]
_LAYERS: dict[str, type[nn.RNN | nn.LSTM | nn.GRU]] = {
    "rnn": nn.RNN,
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


class RecurrentNetwork(nn.Module):
    """A recurrent layer, and a linear layer that turns each hidden state into an output.

    It reads a sequence and answers at each step. For one answer to a whole sequence, take the
    last one, ``model(x)[:, -1]``.

    Parameters
    ----------
    in_features : int
        Number of values in one step of a sequence.
    hidden_size : int
        Number of values in the hidden state.
    out_features : int
        Number of outputs of a step: one for a regression, one logit per class for a classifier.
    kind : {"lstm", "gru", "rnn"}
        The recurrent layer: :class:`torch.nn.LSTM`, :class:`torch.nn.GRU`, or
        :class:`torch.nn.RNN` with tanh.
    num_layers : int
        Recurrent layers on top of each other.

    Raises
    ------
    ValueError
        If ``kind`` is not one of the three values.

    Notes
    -----
    Elman (1990), *Finding structure in time*; Hochreiter & Schmidhuber (1997), *Long short-term
    memory*, with the forget gate of Gers, Schmidhuber & Cummins (2000); Cho et al. (2014),
    *Learning phrase representations using RNN encoder–decoder*. The batch is the first axis.

    Examples
    --------
    >>> import torch
    >>> model = RecurrentNetwork(3, hidden_size=16, out_features=2, kind="gru")
    >>> model(torch.zeros(8, 50, 3)).shape
    torch.Size([8, 50, 2])
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int,
        out_features: int,
        kind: Literal["lstm", "gru", "rnn"] = "lstm",
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        if kind not in _LAYERS:
            raise ValueError(f"kind is one of 'lstm', 'gru' and 'rnn', got {kind!r}")
        self.recurrent = _LAYERS[kind](in_features, hidden_size, num_layers, batch_first=True)
        self.out = nn.Linear(hidden_size, out_features)
        self.in_features = in_features

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        """Map sequences ``(B, T, in_features)`` to outputs ``(B, T, out_features)``.

        Parameters
        ----------
        x : Tensor
            A batch of sequences.
        state : Tensor or tuple of two Tensors, optional
            The state to start from, as ``with_state`` returns it; zeros if left out.

        Raises
        ------
        ValueError
            If the input is not a batch of sequences with ``in_features`` values in each step.
        """
        return self.with_state(x, state)[0]

    def with_state(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the outputs and the last state, to go on reading a longer sequence from it.

        The state is one Tensor ``(num_layers, B, hidden_size)``, or for an LSTM two of them, the
        hidden state and the cell state. It is not detached: do that before the next training step,
        or the gradient reaches into the piece before.

        Raises
        ------
        ValueError
            If the input is not a batch of sequences with ``in_features`` values in each step.

        Examples
        --------
        >>> import torch
        >>> model = RecurrentNetwork(1, hidden_size=4, out_features=1, kind="gru")
        >>> x = torch.rand(2, 10, 1)
        >>> first, state = model.with_state(x[:, :5])
        >>> second, state = model.with_state(x[:, 5:], state.detach())
        >>> torch.cat([first, second], dim=1).allclose(model(x), atol=1e-6)
        True
        """
        if x.ndim != 3 or x.shape[2] != self.in_features:
            raise ValueError(
                f"RecurrentNetwork needs sequences of shape (B, T, {self.in_features}), got "
                f"{tuple(x.shape)}; unsqueeze(2) adds a missing last axis, x[None] makes one "
                "sequence a batch"
            )
        hidden, state = self.recurrent(x, state)  # (B, T, hidden_size)
        return self.out(hidden), state
