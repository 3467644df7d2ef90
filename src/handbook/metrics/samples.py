"""How real generated samples look to a classifier that was trained on real ones."""

from torch import Tensor


def judge_samples(probabilities: Tensor, threshold: float = 0.9) -> tuple[float, int]:
    """Compute how many generated samples a classifier is sure of, and how many classes occur.

    It takes both: a generator that draws one good digit again and again reaches a high share, but
    one class. For comparison, judge real examples that the classifier was not trained on.

    Parameters
    ----------
    probabilities : Tensor
        What the classifier, the judge, makes of each sample, ``(N, C)``: ``logits.softmax(1)``.
    threshold : float
        It is sure of a sample if it gives one class a higher probability than this, from 0 to 1.

    Returns
    -------
    share, num_classes : float, int
        The share of the samples that the judge is sure of, from 0 to 1, and the number of classes
        among these, from 0 to C. nan and 0 if there are no samples.

    Raises
    ------
    ValueError
        If the shape is not ``(N, C)``, a row is not numbers from 0 whose sum is 1, or the threshold
        is out of range.

    Notes
    -----
    A coarse relative of the inception score (Salimans et al., 2016, *Improved techniques for
    training GANs*), in units that can be read. Like that score it does not notice samples that
    copy the training set, and a classifier can be sure of a sample that looks like nothing real.

    Examples
    --------
    The judge is sure of three samples, a 0 and two 2s. The last one could be a 1:

    >>> import torch
    >>> rows = [[0.95, 0.03, 0.02], [0, 0, 1], [0.04, 0, 0.96], [0.2, 0.6, 0.2]]
    >>> judge_samples(torch.tensor(rows))
    (0.75, 2)
    """
    if probabilities.ndim != 2 or probabilities.shape[1] == 0:
        raise ValueError(
            f"probabilities of shape {tuple(probabilities.shape)}: pass (N, C), one row per sample"
        )
    if not ((probabilities >= 0).all() and ((probabilities.sum(1) - 1).abs() < 0.01).all()):
        raise ValueError("a row is not probabilities, whose sum is 1: pass logits.softmax(1)")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}: it must be from 0 to 1")
    highest, label = probabilities.max(1)
    sure = highest > threshold
    return sure.float().mean().item(), len(label[sure].unique())
