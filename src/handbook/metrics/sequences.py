"""How well text is predicted, and how often a generated sequence is the right one."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def bits_per_character(
    cross_entropy: float | Tensor, num_characters: int, num_tokens: int | None = None
) -> float:
    """Convert a cross-entropy to bits per character, a unit that no vocabulary changes.

    The loss for each token cannot be compared between vocabularies, because longer tokens are
    fewer and harder to guess.

    Parameters
    ----------
    cross_entropy : float or Tensor
        In nats, as :func:`torch.nn.functional.cross_entropy` returns it: the sum over all tokens
        of the text or, with ``num_tokens``, their mean.
    num_characters : int
        Number of characters of the text that was predicted.
    num_tokens : int, optional
        Number of tokens of which ``cross_entropy`` is the mean. If each token is a character,
        the same as ``num_characters``.

    Returns
    -------
    float
        Bits per character, from 0; nan for a text without characters.

    Raises
    ------
    ValueError
        If ``cross_entropy`` is not a single number, or a count is negative.

    Notes
    -----
    Shannon (1951), *Prediction and entropy of printed English*. Guessing among n equally probable
    characters takes ``log2(n)`` bits each.

    Examples
    --------
    Random digits, one token for each:

    >>> round(bits_per_character(math.log(10), num_characters=500, num_tokens=500), 4)
    3.3219
    """
    if isinstance(cross_entropy, Tensor) and cross_entropy.numel() != 1:
        raise ValueError(
            f"cross_entropy of shape {tuple(cross_entropy.shape)}: pass the sum of all tokens, or "
            "their mean and num_tokens"
        )
    if num_characters < 0 or (num_tokens is not None and num_tokens < 0):
        raise ValueError(f"{num_characters} characters and {num_tokens} tokens: pass counts from 0")
    nats = float(cross_entropy) * (1 if num_tokens is None else num_tokens)
    return nats / math.log(2) / num_characters if num_characters else float("nan")


def exact_match(prediction: Tensor, target: Tensor, padding: int, end: int | None = None) -> Tensor:
    """Say for each sequence whether it is the right one, from the first token to the last.

    A prediction that goes on where the target has ended is wrong. The two may differ in length:
    the shorter one is filled up with padding.

    Parameters
    ----------
    prediction, target : Tensor
        Tokens ``(B, T)``, integers; T may differ.
    padding : int
        The token that fills up sequences after their end.
    end : int, optional
        The token that ends a sequence. What a model generated after the first one does not count.

    Returns
    -------
    Tensor
        One value for each sequence, ``(B,)``, bool; ``float().mean()`` is the share that is right,
        from 0 to 1. Two sequences of padding alone are equal.

    Raises
    ------
    ValueError
        If the shapes are not ``(B, T)`` with the same B.
    TypeError
        If the tokens are not integers, such as logits.

    Examples
    --------
    0 is padding and 9 the end. The first row is right up to its end; the second goes on too long:

    >>> import torch
    >>> prediction = torch.tensor([[3, 5, 9, 7], [3, 5, 5, 9]])
    >>> target = torch.tensor([[3, 5, 9], [3, 5, 9]])
    >>> exact_match(prediction, target, padding=0, end=9)
    tensor([ True, False])
    """
    if prediction.ndim != 2 or target.ndim != 2 or len(prediction) != len(target):
        raise ValueError(
            f"sequences of shapes {tuple(prediction.shape)} and {tuple(target.shape)}: pass (B, T) "
            "for both, as many rows in one as in the other"
        )
    length = max(prediction.shape[1], target.shape[1])
    rows = []
    for tokens in (prediction, target):
        if tokens.is_floating_point() or tokens.dtype == torch.bool:
            raise TypeError(
                f"tokens must be integers, but they are {tokens.dtype}: logits.argmax(-1)"
            )
        if end is not None:
            ends = tokens == end
            tokens = tokens.masked_fill(ends.cumsum(1) - ends.long() > 0, padding)
        rows.append(F.pad(tokens, (0, length - tokens.shape[1]), value=padding))
    return (rows[0] == rows[1]).all(1)
