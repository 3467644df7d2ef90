"""How well boxes are found: the area under the curve of precision over recall."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def average_precision(
    boxes: Sequence[Tensor],
    scores: Sequence[Tensor],
    targets: Sequence[Tensor],
    iou_threshold: float = 0.5,
) -> float:
    """Compute the average precision of the boxes found for one class, over all images together.

    From the highest score to the lowest, each box takes the target of its image that it overlaps
    best, among those that are still free. If their IoU reaches the threshold, the box is a hit,
    otherwise a false positive. A second box on the same target is therefore a false positive.

    Parameters
    ----------
    boxes : sequence of Tensor
        For each image the boxes found, ``(N, 4)``: x1, y1, x2, y2 in pixels, with x1 ≤ x2 and
        y1 ≤ y2. ``torch.zeros(0, 4)`` if there are none.
    scores : sequence of Tensor
        For each image the scores of these boxes, ``(N,)``: higher means more confident, on any
        scale. Boxes of equal score keep their order.
    targets : sequence of Tensor
        For each image the true boxes, ``(M, 4)``, in the same form.
    iou_threshold : float
        Intersection over union from which a box is a hit, above 0 and at most 1.

    Returns
    -------
    float
        From 0 to 1; 0 if nothing was found, nan if there is not a single target.

    Raises
    ------
    ValueError
        If the sequences differ in length, a tensor has another shape, a box is not in the form
        x1, y1, x2, y2, a score is nan, or the threshold is out of range.

    Notes
    -----
    Lin et al. (2014), *Microsoft COCO: Common objects in context*; Everingham et al. (2010), *The
    Pascal visual object classes challenge*. At each recall counts the best precision at that
    recall or a higher one. As in COCO, this is averaged over the recalls 0, 0.01, …, 1; the exact
    area under the curve differs by at most 1/101. COCO's tool reads at most 100 boxes of a class
    in an image, this function all of them.

    Examples
    --------
    Two objects. The first is found twice, the second with the lowest score, as the third box:

    >>> import torch
    >>> targets = torch.tensor([[0.0, 0, 4, 4], [6, 6, 9, 9]])
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [6, 6, 9, 9]])
    >>> scores = torch.tensor([0.9, 0.8, 0.7])
    >>> round(average_precision([boxes], [scores], [targets]), 3)
    0.835

    The exact area would be 1/2 · 1 + 1/2 · 2/3 = 0.833.
    """
    if not len(boxes) == len(scores) == len(targets):
        raise ValueError(
            f"boxes of {len(boxes)} images, scores of {len(scores)} and targets of "
            f"{len(targets)}: pass one tensor for each image in all three"
        )
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold is {iou_threshold}: it must be above 0 and at most 1")
    all_scores, all_hits, num_targets = [], [], 0
    for found, score, target in zip(boxes, scores, targets, strict=True):
        found, target = _checked_boxes(found), _checked_boxes(target)
        score = _checked_scores(score, found)
        order = score.argsort(descending=True, stable=True)
        all_scores.append(score[order])
        all_hits.append(_hits(found[order], target, iou_threshold))
        num_targets += len(target)
    if num_targets == 0:
        return float("nan")
    order = torch.cat(all_scores).argsort(descending=True, stable=True)
    hits = torch.cat(all_hits)[order].double().cumsum(0)
    recall = hits / num_targets
    precision = hits / torch.arange(1, len(hits) + 1)
    best_from_here = precision.flip(0).cummax(0).values.flip(0)
    grid = torch.arange(101, dtype=torch.float64) * 0.01  # rounded as in COCO's tool
    first = torch.searchsorted(recall, grid)  # the first box at which each recall is reached
    return float(torch.cat([best_from_here, torch.zeros(1)])[first].mean())  # 0 where it never is


def mean_average_precision(
    predictions: Sequence[Mapping[str, Tensor]],
    targets: Sequence[Mapping[str, Tensor]],
    iou_threshold: float = 0.5,
) -> float:
    """Average :func:`average_precision` over the classes that occur in the targets (mAP).

    As in COCO, boxes of a class that no target has change nothing. COCO's main figure,
    mAP@[.5:.95], is the mean of this one over the thresholds 0.5, 0.55, …, 0.95.

    Parameters
    ----------
    predictions : sequence of dict
        For each image what was found, as the detectors of torchvision return it: ``"boxes"``
        ``(N, 4)``, ``"scores"`` ``(N,)`` and ``"labels"`` ``(N,)``, the numbers of the classes.
    targets : sequence of dict
        For each image the truth: ``"boxes"`` ``(M, 4)`` and ``"labels"`` ``(M,)``.
    iou_threshold : float
        Intersection over union from which a box is a hit, above 0 and at most 1.

    Returns
    -------
    float
        From 0 to 1; nan if there is not a single target.

    Raises
    ------
    ValueError
        As :func:`average_precision`, and if there is not one label for each box.
    KeyError
        If a dictionary lacks one of its entries.

    Examples
    --------
    Both boxes are in the right place, but the second has the wrong class:

    >>> import torch
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [6, 6, 9, 9]])
    >>> truth = {"boxes": boxes, "labels": torch.tensor([1, 2])}
    >>> found = {"boxes": boxes, "scores": torch.ones(2), "labels": torch.tensor([1, 3])}
    >>> mean_average_precision([found], [truth])
    0.5
    """
    for image in predictions:
        _check_labels(image, "boxes", "scores")
    for image in targets:
        _check_labels(image, "boxes")
    found = {label for image in targets for label in image["labels"].tolist()}
    values = [
        average_precision(
            [image["boxes"][image["labels"] == label] for image in predictions],
            [image["scores"][image["labels"] == label] for image in predictions],
            [image["boxes"][image["labels"] == label] for image in targets],
            iou_threshold,
        )
        for label in sorted(found)
    ]
    return sum(values) / len(values) if values else float("nan")


def _hits(boxes: Tensor, targets: Tensor, iou_threshold: float) -> Tensor:
    """Return which boxes of an image, sorted by score, are hits: ``(N,)``, bool."""
    iou = _box_iou(boxes, targets)
    hits = torch.zeros(len(boxes), dtype=torch.bool)
    if len(targets) == 0:
        return hits
    for i in range(len(boxes)):
        best = iou[i].argmax()
        if iou[i, best] >= iou_threshold:
            hits[i] = True
            iou[:, best] = -1  # found: another box on this target is a false positive
    return hits


def _box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of each of N boxes with each of M: ``(N, M)``.

    As ``torchvision.ops.box_iou``, but the package does not need torchvision to be installed.
    """
    top_left = torch.maximum(a[:, None, :2], b[:, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[:, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(2)
    areas = (a[:, None, 2:] - a[:, None, :2]).prod(2) + (b[:, 2:] - b[:, :2]).prod(1)
    return intersection / (areas - intersection).clamp(min=1e-12)  # 0 for two boxes without area


def _checked_boxes(boxes: Tensor) -> Tensor:
    """Return boxes on the CPU, since they are read one by one, in float64 as COCO's tool does."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"boxes of shape {tuple(boxes.shape)}: pass (N, 4), and torch.zeros(0, 4) for none"
        )
    boxes = boxes.detach().cpu().double()
    sizes = boxes[:, 2:] - boxes[:, :2]
    if not ((sizes >= 0) & sizes.isfinite()).all():
        raise ValueError(
            "a box has x2 < x1, y2 < y1, or a coordinate that is not finite: pass x1, y1, x2, y2; "
            "torchvision.ops.box_convert(boxes, 'xywh', 'xyxy') converts from widths and heights"
        )
    return boxes


def _checked_scores(scores: Tensor, boxes: Tensor) -> Tensor:
    if scores.shape != boxes.shape[:1]:
        raise ValueError(f"scores of shape {tuple(scores.shape)} for {len(boxes)} boxes: pass (N,)")
    if scores.isnan().any():
        raise ValueError("a score is nan")
    return scores.detach().cpu().double()


def _check_labels(image: Mapping[str, Tensor], *others: str) -> None:
    labels = image["labels"]
    for other in others:
        if labels.ndim != 1 or image[other].shape[:1] != labels.shape:
            raise ValueError(
                f"labels of shape {tuple(labels.shape)}, but {other} of shape "
                f"{tuple(image[other].shape)}: pass one label for each box"
            )
