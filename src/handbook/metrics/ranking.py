"""How well a ranking puts what is relevant first, as in recommendation and search."""

import torch
from torch import Tensor
from torch.nn import functional as F


def recall_at_k(scores: Tensor, relevant: Tensor, k: int) -> Tensor:
    """Compute which share of the relevant items is among the k items with the highest scores.

    Items of equal score count as if they were shuffled: the result is the mean over all their
    orders. A model that gives every item the same score gains nothing by the order of the items.

    Parameters
    ----------
    scores : Tensor
        One row for each user or query and one score for each item, ``(B, N)``. A score of -inf
        puts items last, for instance those that a user knows already.
    relevant : Tensor
        Which items are relevant, ``(B, N)``, bool.
    k : int
        Length of the list that is shown, from 1 to N.

    Returns
    -------
    Tensor
        One value for each row, ``(B,)``, from 0 to 1; nan where nothing is relevant, so take
        ``nanmean()``.

    Raises
    ------
    ValueError
        If the shapes differ or are not ``(B, N)``, a score is nan, or ``k`` is out of range.
    TypeError
        If ``relevant`` is not bool.

    Notes
    -----
    The denominator is the number of relevant items, even if there are more than ``k``; then the
    best possible recall is below 1.

    Examples
    --------
    The two best items are numbers 0 and 2; items 2 and 3 are relevant:

    >>> import torch
    >>> scores = torch.tensor([[0.9, 0.1, 0.7, 0.4]])
    >>> recall_at_k(scores, torch.tensor([[False, False, True, True]]), k=2)
    tensor([0.5000])
    """
    if relevant.dtype != torch.bool:
        raise TypeError(
            f"relevant must be bool, but is {relevant.dtype}: compare, as in stars >= 4"
        )
    _check(scores, relevant, k)
    weights = torch.ones(k, device=scores.device)
    return (_weight_of_items(scores, weights) * relevant).sum(1) / relevant.sum(1)


def ndcg_at_k(scores: Tensor, relevance: Tensor, k: int) -> Tensor:
    """Compute the normalized discounted cumulative gain of the k items with the highest scores.

    An item at position r, from 1, gains its relevance divided by ``log2(r + 1)``. The sum is
    divided by that of the best order. Items of equal score count as in :func:`recall_at_k`.

    Parameters
    ----------
    scores : Tensor
        One row for each user or query and one score for each item, ``(B, N)``.
    relevance : Tensor
        How relevant each item is, ``(B, N)``, numbers from 0, or bool. Pass
        ``2.0**relevance - 1`` for the variant with exponential gains.
    k : int
        Length of the list that is shown, from 1 to N.

    Returns
    -------
    Tensor
        One value for each row, ``(B,)``, from 0 to 1; nan where nothing is relevant, so take
        ``nanmean()``.

    Raises
    ------
    ValueError
        If the shapes differ or are not ``(B, N)``, a score is nan, a relevance is negative, or
        ``k`` is out of range.

    Notes
    -----
    Järvelin & Kekäläinen (2002), *Cumulated gain-based evaluation of IR techniques*; ties as in
    McSherry & Najork (2008), *Computing information retrieval performance measures efficiently in
    the presence of tied scores*. ``ndcg_score`` of scikit-learn agrees, but counts rows in which
    nothing is relevant as 0.

    Examples
    --------
    The only relevant item is at position 2, where it gains 1 / log2(3) of what it would at 1:

    >>> import torch
    >>> scores = torch.tensor([[0.9, 0.1, 0.7, 0.4]])
    >>> ndcg_at_k(scores, torch.tensor([[0, 0, 1, 0]]), k=2)
    tensor([0.6309])
    """
    _check(scores, relevance, k)
    if not (relevance >= 0).all():
        raise ValueError("a relevance is negative or nan: pass numbers from 0")
    weights = 1 / torch.arange(2, k + 2, device=scores.device).log2()
    best = relevance.float().sort(descending=True).values[:, :k]
    return (_weight_of_items(scores, weights) * relevance).sum(1) / (weights * best).sum(1)


def _weight_of_items(scores: Tensor, weights: Tensor) -> Tensor:
    """Return the weight of the rank of each item ``(B, N)``; tied items share those of theirs.

    ``weights`` ``(k,)`` are those of the first ranks; the others weigh nothing.
    """
    num_ranks = len(weights)
    top = scores.topk(num_ranks).values
    last = top[:, -1:]
    ascending = top.flip(1)
    scores = scores.contiguous()  # for searchsorted
    higher = num_ranks - torch.searchsorted(ascending, scores, right=True)
    not_lower = num_ranks - torch.searchsorted(ascending, scores)
    # Of the items that tie for the last rank, some may be outside of the top.
    not_lower = torch.where(scores == last, (scores >= last).sum(1, keepdim=True), not_lower)
    total = F.pad(weights.cumsum(0), (1, 0))  # of the first 0, 1, …, k ranks
    shared = total[not_lower.clamp(max=num_ranks)] - total[higher]
    return shared / (not_lower - higher).clamp(min=1)  # 0 / 1 where the rank weighs nothing


def _check(scores: Tensor, relevance: Tensor, k: int) -> None:
    if scores.shape != relevance.shape or scores.ndim != 2:
        raise ValueError(
            f"scores of shape {tuple(scores.shape)} and relevance of shape "
            f"{tuple(relevance.shape)}: pass (B, N) for both, one row for each user or query"
        )
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k is {k}: it must be from 1 to {scores.shape[1]}, the number of items")
    if scores.isnan().any():
        raise ValueError("a score is nan")
