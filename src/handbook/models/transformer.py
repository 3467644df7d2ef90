"""Transformers: attention, positions, and a network made of both."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoidal_positions(length: int, width: int) -> Tensor:
    """Return a row of sines and cosines for each position; nothing is learned.

    Column ``2 i`` holds the sine of the position divided by ``10000 ** (2 i / width)``, and column
    ``2 i + 1`` the cosine. The first columns change fast along the sequence, the last ones slowly.

    Parameters
    ----------
    length : int
        Number of positions.
    width : int
        Number of features of a position, an even number.

    Returns
    -------
    Tensor
        Shape ``(length, width)``, numbers from -1 to 1.

    Raises
    ------
    ValueError
        If ``width`` is odd.

    Notes
    -----
    Vaswani et al. (2017), *Attention is all you need*, section 3.5.

    Examples
    --------
    >>> sinusoidal_positions(length=2, width=4).round(decimals=2)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8400, 0.5400, 0.0100, 1.0000]])
    """
    if width % 2:
        raise ValueError(f"sines and cosines come in pairs: width must be even, got {width}")
    position = torch.arange(length).unsqueeze(1)  # (length, 1)
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))  # (width / 2,)
    angle = position * rate  # (length, width / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself.

    Parameters
    ----------
    width : int
        Number of features of each element, before and after.
    heads : int
        Number of heads; each one works on ``width / heads`` features.
    is_causal : bool
        Whether each element sees only itself and those before it.

    Raises
    ------
    ValueError
        If the heads cannot share the features evenly.

    Notes
    -----
    Vaswani et al. (2017), *Attention is all you need*, section 3.2. The weights have the layout of
    :class:`torch.nn.MultiheadAttention`, ``in_projection`` that of its ``in_proj_weight``. In
    ``keep`` as in :func:`torch.nn.functional.scaled_dot_product_attention`, ``True`` keeps.

    Examples
    --------
    >>> import torch
    >>> SelfAttention(width=8, heads=2)(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, width: int, heads: int, is_causal: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads cannot share {width} features evenly")
        self.in_projection = nn.Linear(width, 3 * width)  # query, key and value in one product
        self.out_projection = nn.Linear(width, width)
        self.heads = heads
        self.is_causal = is_causal

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map ``(B, L, width)`` to ``(B, L, width)``; ``keep`` ``(B, L)`` is False at padding."""
        # (B, L, width) -> (B, heads, L, width / heads)
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.in_projection(x).chunk(3, dim=2)
        )
        if keep is None:
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.is_causal)
        else:
            mask = keep[:, None, None, :]  # the same keys for every head and query
            if self.is_causal:  # the function takes one mask only
                length = x.shape[1]
                mask = mask & torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out_projection(mixed.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention, then a small network for each element; both add to their input.

    Parameters
    ----------
    width : int
        Number of features of each element, before and after.
    heads : int
        Number of heads of the attention.
    is_causal : bool
        Whether each element sees only itself and those before it.
    dropout : float
        Probability with which each number that is added is zeroed in training.

    Notes
    -----
    Vaswani et al. (2017), *Attention is all you need*, with the layer normalization before
    attention and network (pre-norm) as in Radford et al. (2019), *Language models are unsupervised
    multitask learners*. The network is four times as wide as the block and has a GELU.

    Examples
    --------
    >>> import torch
    >>> TransformerBlock(width=8, heads=2)(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self, width: int, heads: int, is_causal: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, is_causal)
        self.norm2 = nn.LayerNorm(width)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map ``(B, L, width)`` to ``(B, L, width)``; ``keep`` ``(B, L)`` is False at padding."""
        x = x + self.dropout(self.attention(self.norm1(x), keep))
        return x + self.dropout(self.network(self.norm2(x)))


class Transformer(nn.Module):
    """Transformer for sequences of tokens: logits for each token of the input.

    With ``is_causal=True`` it is a small GPT, without it an encoder.

    Parameters
    ----------
    vocabulary : int
        Number of different tokens.
    out_features : int, optional
        Number of logits for each token; ``vocabulary`` if not given.
    max_length : int
        Longest sequence that it can read.
    width : int
        Number of features of each token inside.
    heads : int
        Number of heads of each block.
    blocks : int
        Number of blocks.
    is_causal : bool
        Whether each token sees only itself and those before it.
    sinusoidal : bool
        Whether positions are sines and cosines; otherwise they are learned.
    dropout : float
        Probability with which each number that a block adds is zeroed in training.

    Notes
    -----
    Vaswani et al. (2017), *Attention is all you need*; pre-norm, learned positions and the last
    normalization as in Radford et al. (2019), *Language models are unsupervised multitask
    learners*. There the last layer shares the weights of the embedding; here it has its own.

    Examples
    --------
    >>> import torch
    >>> model = Transformer(vocabulary=10, is_causal=True)
    >>> model(torch.tensor([[3, 1, 4, 1, 5]])).shape
    torch.Size([1, 5, 10])
    """

    def __init__(
        self,
        vocabulary: int,
        out_features: int | None = None,
        max_length: int = 64,
        width: int = 32,
        heads: int = 4,
        blocks: int = 1,
        is_causal: bool = False,
        sinusoidal: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        positions = torch.randn(max_length, width)
        if sinusoidal:
            positions = sinusoidal_positions(max_length, width)
        self.positions = nn.Parameter(positions, requires_grad=not sinusoidal)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, is_causal, dropout) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, vocabulary if out_features is None else out_features)

    def forward(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map ``(B, L)`` to logits ``(B, L, out_features)``; ``keep`` is False at padding.

        Raises
        ------
        ValueError
            If the input is not a batch of sequences, or is longer than ``max_length``.
        """
        max_length = len(self.positions)
        if tokens.ndim != 2 or tokens.shape[1] > max_length:
            raise ValueError(
                f"Transformer needs tokens of shape (B, L) with L up to {max_length}, got "
                f"{tuple(tokens.shape)}; tokens[None] makes one sequence a batch"
            )
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]  # (B, L, width)
        for block in self.blocks:
            x = block(x, keep)
        return self.out(self.norm(x))
