"""Metrics: against torchmetrics, pycocotools and scikit-learn, and by hand; their errors."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import tensor

from handbook import metrics
from handbook.metrics.detection import _box_iou

NONE = torch.zeros(0, 4)
A, B, C = tensor([[0.0, 0, 4, 4], [6, 6, 9, 9], [10, 0, 14, 2]]).split(1)


# Boxes


def random_boxes(generator, count):
    corners = torch.randint(20, (count, 2, 2), generator=generator).float()
    return torch.cat([corners.amin(1), corners.amax(1) + 1], 1)


def random_images(seed, num_images=12, num_classes=3):
    """Return predictions and targets: near and far boxes, tied scores, duplicates, empty images."""
    generator = torch.Generator().manual_seed(seed)
    predictions, targets = [], []
    for i in range(num_images):
        truth = random_boxes(generator, i % 5)
        labels = torch.randint(num_classes, (len(truth),), generator=generator)
        near = truth.repeat(2, 1) + torch.rand(2 * len(truth), 4, generator=generator) / 2
        found = torch.cat([near, random_boxes(generator, (i + seed) % 4)])
        guessed = torch.randint(num_classes, (len(found),), generator=generator)
        guessed[: len(truth)] = labels
        scores = torch.randint(1, 30, (len(found),), generator=generator) / 30
        targets.append({"boxes": truth, "labels": labels})
        predictions.append({"boxes": found, "scores": scores, "labels": guessed})
    return predictions, targets


RECALLS = [float(recall) for recall in np.linspace(0, 1, 101)]  # torchmetrics would use float32


def coco(predictions, targets, threshold):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports warns of what it imports
        from torchmetrics.detection import MeanAveragePrecision

        metric = MeanAveragePrecision(
            iou_thresholds=[threshold], rec_thresholds=RECALLS, backend="pycocotools"
        )
        metric.update(predictions, targets)
        return metric.compute()["map"].item()


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.75, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_map_is_that_of_coco(seed, threshold):
    predictions, targets = random_images(seed)
    ours = metrics.mean_average_precision(predictions, targets, threshold)
    assert 0.01 < ours < 0.99
    assert ours == pytest.approx(coco(predictions, targets, threshold), abs=1e-6)


@pytest.mark.parametrize("num_targets", [7, 29, 100])
def test_recalls_on_the_grid_are_rounded_as_in_coco(num_targets):
    """7/100 and 7 * 0.01 are different numbers, so the last digit decides about a step."""
    boxes = torch.arange(num_targets)[:, None] * 10 + tensor([0.0, 0, 5, 5])
    wrong = boxes + 5
    found = torch.stack([boxes, wrong], 1).flatten(0, 1)  # every second one is a hit
    scores = torch.linspace(1, 0.1, len(found))
    if num_targets <= 50:  # COCO reads 100 boxes of an image
        one = {"labels": torch.zeros(len(found), dtype=torch.long), "boxes": found}
        truth = [{"labels": one["labels"][:num_targets], "boxes": boxes}]
        images = [one | {"scores": scores}]
    else:
        truth = [{"labels": tensor([0]), "boxes": box[None]} for box in boxes]
        images = [
            {"labels": tensor([0, 0]), "boxes": found[i : i + 2], "scores": scores[i : i + 2]}
            for i in range(0, len(found), 2)
        ]
    ours = metrics.mean_average_precision(images, truth)
    assert ours == pytest.approx(coco(images, truth, 0.5), abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_the_101_recalls_are_within_a_101st_of_the_exact_area(seed):
    generator = torch.Generator().manual_seed(seed)
    num_targets = 1 + seed % 7
    boxes = torch.arange(num_targets)[:, None] * 10 + tensor([0.0, 0, 5, 5])
    found = torch.cat([boxes, boxes + 5])[torch.randperm(2 * num_targets, generator=generator)]
    scores = torch.linspace(1, 0, len(found))
    hits = [any(torch.equal(box, other) for other in boxes) for box in found]
    precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    area = sum(max(precision[i:]) for i, hit in enumerate(hits) if hit) / num_targets
    ours = metrics.average_precision([found], [scores], [boxes])
    assert abs(ours - area) <= 1 / 101 + 1e-12


def test_average_precision_by_hand():
    targets = torch.cat([A, B])
    found = torch.cat([A, C, B])  # hit, miss, hit: precision 1 up to recall 1/2, then 2/3
    ap = metrics.average_precision([found], [tensor([0.9, 0.8, 0.7])], [targets])
    assert ap == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert metrics.average_precision([A], [torch.ones(1)], [targets]) == pytest.approx(51 / 101)
    reordered = metrics.average_precision([found], [tensor([0.9, 0.1, 0.7])], [targets])
    assert reordered == 1  # a false positive below all hits costs nothing


def test_a_duplicate_is_a_false_positive():
    found = [torch.cat([A, A, B])]
    scores = [tensor([0.9, 0.8, 0.7])]
    ap = metrics.average_precision(found, scores, [torch.cat([A, B])])
    assert ap == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert metrics.average_precision([torch.cat([A, A])], [tensor([0.9, 0.8])], [A]) == 1


def test_a_box_takes_the_best_target_that_is_free():
    near = A + tensor([0.0, 0, 1, 0])  # overlaps A, taken by the better box, and then nothing
    targets = torch.cat([A, A + tensor([0.0, 0, 2, 0])])
    ap = metrics.average_precision([torch.cat([A, near])], [tensor([0.9, 0.8])], [targets])
    assert ap == 1


def test_an_image_does_not_lend_its_targets_to_another():
    scores = [torch.ones(1), torch.ones(1)]
    assert metrics.average_precision([A, B], scores, [B, A]) == 0
    assert metrics.average_precision([A, B], scores, [A, B]) == 1


def test_an_iou_equal_to_the_threshold_is_a_hit():
    part = tensor([[0.0, 0, 7, 1]])
    whole = tensor([[0.0, 0, 10, 1]])
    assert metrics.average_precision([part], [torch.ones(1)], [whole], 0.7) == 1
    assert metrics.average_precision([part], [torch.ones(1)], [whole], 0.71) == 0
    assert metrics.average_precision([whole], [torch.ones(1)], [whole], 1.0) == 1


def test_box_iou_is_that_of_torchvision():
    from torchvision.ops import box_iou

    generator = torch.Generator().manual_seed(0)
    a, b = random_boxes(generator, 30), random_boxes(generator, 20)
    assert torch.allclose(_box_iou(a, b), box_iou(a, b))
    point = tensor([[1.0, 1, 1, 1]])
    assert _box_iou(point, point).item() == 0  # torchvision: nan
    assert _box_iou(tensor([[0.0, 0, 2, 2]]), tensor([[1.0, 1, 3, 3]])).item() == pytest.approx(
        1 / 7
    )


def test_no_boxes_and_no_targets():
    empty = torch.zeros(0)
    assert metrics.average_precision([NONE], [empty], [A]) == 0
    assert math.isnan(metrics.average_precision([A], [torch.ones(1)], [NONE]))
    assert math.isnan(metrics.average_precision([], [], []))
    assert math.isnan(metrics.mean_average_precision([], []))
    nothing = {"boxes": NONE, "labels": empty.long(), "scores": empty}
    assert math.isnan(metrics.mean_average_precision([nothing], [nothing]))


def test_outputs_of_a_model_that_still_hold_a_graph():
    boxes, scores = A.clone().requires_grad_(), torch.ones(1, requires_grad=True)
    assert metrics.average_precision([boxes], [scores], [A]) == 1


@pytest.mark.parametrize(
    ("boxes", "scores", "targets", "message"),
    [
        ([A, A], [torch.ones(1)], [A], "boxes of 2 images, scores of 1 and targets of 1"),
        ([A[0]], [torch.ones(1)], [A], r"boxes of shape \(4,\): pass \(N, 4\)"),
        ([A], [torch.ones(1)], [tensor([])], r"boxes of shape \(0,\).*torch.zeros\(0, 4\)"),
        ([A], [torch.ones(1, 1)], [A], r"scores of shape \(1, 1\) for 1 boxes"),
        ([A], [tensor([math.nan])], [A], "a score is nan"),
        ([A], [torch.ones(1)], [tensor([[5.0, 5, 2, 2]])], "box_convert"),
        ([A * math.nan], [torch.ones(1)], [A], "not finite"),
    ],
)
def test_average_precision_refuses(boxes, scores, targets, message):
    with pytest.raises(ValueError, match=message):
        metrics.average_precision(boxes, scores, targets)


@pytest.mark.parametrize("threshold", [0, 1.5, math.nan])
def test_a_threshold_that_is_no_share_is_refused(threshold):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        metrics.average_precision([A], [torch.ones(1)], [A], threshold)


def test_map_refuses():
    truth = {"boxes": A, "labels": tensor([1])}
    with pytest.raises(ValueError, match=r"labels of shape \(2,\), but boxes of shape \(1, 4\)"):
        metrics.mean_average_precision([], [truth | {"labels": tensor([1, 2])}])
    with pytest.raises(ValueError, match=r"but scores of shape \(2,\)"):
        metrics.mean_average_precision([truth | {"scores": torch.ones(2)}], [truth])
    with pytest.raises(KeyError, match="scores"):
        metrics.mean_average_precision([truth], [truth])
    with pytest.raises(ValueError, match="boxes of 0 images"):
        metrics.mean_average_precision([], [truth])


# Masks


def test_masks_are_those_of_torchmetrics():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchmetrics.functional import f1_score, jaccard_index

    prediction, target = torch.rand(2, 5, 8, 9, generator=torch.Generator().manual_seed(0)) > 0.4
    iou, dice = metrics.mask_iou(prediction, target), metrics.dice(prediction, target)
    for i in range(5):
        pair = prediction[i].flatten(), target[i].flatten()
        assert iou[i] == pytest.approx(jaccard_index(*pair, task="binary").item())
        assert dice[i] == pytest.approx(f1_score(*pair, task="binary").item())
    assert torch.allclose(dice, 2 * iou / (1 + iou))


def test_empty_masks():
    none, some = torch.zeros(4, 4, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)
    for metric in (metrics.mask_iou, metrics.dice):
        assert metric(none, none) == 1
        assert metric(none, some) == metric(some, none) == 0
        assert metric(some, some) == 1
        assert metric(none.expand(0, 4, 4), none.expand(0, 4, 4)).shape == (0,)


@pytest.mark.parametrize("metric", [metrics.mask_iou, metrics.dice])
def test_masks_refuse(metric):
    mask = torch.ones(4, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"\(4, 4\) and \(1, 4, 4\)"):
        metric(mask, mask[None])
    with pytest.raises(ValueError, match=r"\(…, H, W\)"):
        metric(mask[0], mask[0])
    with pytest.raises(TypeError, match="logits > 0"):
        metric(mask.float(), mask)


# Rankings


@pytest.mark.parametrize("k", [1, 3, 10, 40])
@pytest.mark.parametrize("levels", [4, 1000])  # with many ties, with few
def test_ndcg_is_that_of_scikit_learn(k, levels):
    from sklearn.metrics import ndcg_score

    generator = torch.Generator().manual_seed(k)
    scores = torch.randint(levels, (50, 40), generator=generator) / levels
    relevance = torch.randint(4, (50, 40), generator=generator)
    ours = metrics.ndcg_at_k(scores, relevance, k)
    for row in range(50):
        theirs = ndcg_score(relevance[row : row + 1].numpy(), scores[row : row + 1].numpy(), k=k)
        assert ours[row] == pytest.approx(theirs, abs=1e-5)


def test_recall_is_that_of_torchmetrics():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchmetrics.functional.retrieval import retrieval_recall

    generator = torch.Generator().manual_seed(0)
    scores, relevant = torch.rand(20, 30, generator=generator), torch.rand(20, 30) < 0.2
    relevant[:, 7] = True
    ours = metrics.recall_at_k(scores, relevant, 5)
    theirs = [retrieval_recall(*row, top_k=5) for row in zip(scores, relevant, strict=True)]
    assert torch.allclose(ours, torch.stack(theirs))


def test_ties_count_as_shuffled():
    """The mean over many orders, drawn by a little noise, is what is computed at once."""
    generator = torch.Generator().manual_seed(0)
    scores, relevant = tensor([2.0, 1, 1, 1, 1, 0]), tensor([0, 1, 1, 0, 0, 1]).bool()
    shuffled = scores + torch.rand(20_000, 6, generator=generator) / 10
    for metric in (metrics.recall_at_k, metrics.ndcg_at_k):
        drawn = metric(shuffled, relevant.expand(20_000, 6), 3)
        bound = 5 * drawn.std().item() / math.sqrt(20_000)
        assert metric(scores[None], relevant[None], 3).item() == pytest.approx(
            drawn.mean().item(), abs=bound
        )
    assert metrics.recall_at_k(scores[None], relevant[None], 3).item() == pytest.approx(1 / 3)
    equal = torch.zeros(1, 10)
    assert metrics.recall_at_k(equal, torch.arange(10)[None] < 2, 2).item() == pytest.approx(0.2)


def test_rankings_by_hand():
    scores = tensor([[4.0, 3, 2, 1], [4, 3, 2, -math.inf]])
    relevant = tensor([[1, 0, 0, 1], [0, 0, 0, 1]]).bool()
    assert metrics.recall_at_k(scores, relevant, 1).tolist() == [0.5, 0]
    assert metrics.recall_at_k(scores, relevant, 4).tolist() == [1, 1]
    ndcg = metrics.ndcg_at_k(scores, relevant, 4)
    best = 1 + 1 / math.log2(3)
    assert ndcg.tolist() == pytest.approx([(1 + 1 / math.log2(5)) / best, 1 / math.log2(5)])
    transposed = scores.T.contiguous().T  # not contiguous: PyTorch would warn
    assert torch.equal(metrics.ndcg_at_k(transposed, relevant, 4), ndcg)


@pytest.mark.parametrize("metric", [metrics.recall_at_k, metrics.ndcg_at_k])
def test_rows_without_a_relevant_item_are_nan(metric):
    relevant = tensor([[True, False], [False, False]])
    result = metric(tensor([[2.0, 1], [2, 1]]), relevant, 1)
    assert result[0] == 1 and result[1].isnan() and result.nanmean() == 1
    assert metric(torch.zeros(0, 2), relevant[:0], 1).shape == (0,)


@pytest.mark.parametrize("metric", [metrics.recall_at_k, metrics.ndcg_at_k])
def test_rankings_refuse(metric):
    relevant = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(
        ValueError, match=r"scores of shape \(2, 4\) and relevance of shape \(2, 3\)"
    ):
        metric(torch.ones(2, 4), relevant, 1)
    with pytest.raises(ValueError, match=r"pass \(B, N\)"):
        metric(torch.ones(3), relevant[0], 1)
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"k is {k}: it must be from 1 to 3"):
            metric(torch.ones(2, 3), relevant, k)
    with pytest.raises(ValueError, match="a score is nan"):
        metric(torch.full((2, 3), math.nan), relevant, 1)


def test_recall_and_ndcg_refuse_a_relevance_that_is_none():
    with pytest.raises(TypeError, match="must be bool"):
        metrics.recall_at_k(torch.ones(1, 2), tensor([[4, 5]]), 1)
    with pytest.raises(ValueError, match="negative or nan"):
        metrics.ndcg_at_k(torch.ones(1, 2), tensor([[-1, 5]]), 1)


# Text and sequences


def test_bits_per_character():
    logits = torch.zeros(50, 8)  # 3 bits for each token
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(50) % 8)
    total = torch.nn.functional.cross_entropy(logits, torch.arange(50) % 8, reduction="sum")
    assert metrics.bits_per_character(loss, 50, num_tokens=50) == pytest.approx(3)
    assert metrics.bits_per_character(loss.item(), 100, num_tokens=50) == pytest.approx(1.5)
    assert metrics.bits_per_character(total, 100) == pytest.approx(1.5)
    assert math.isnan(metrics.bits_per_character(0.0, 0))


def test_bits_per_character_refuses():
    with pytest.raises(ValueError, match=r"cross_entropy of shape \(3,\)"):
        metrics.bits_per_character(torch.ones(3), 3)
    with pytest.raises(ValueError, match="-1 characters"):
        metrics.bits_per_character(1.0, -1)
    with pytest.raises(ValueError, match="-2 tokens"):
        metrics.bits_per_character(1.0, 1, num_tokens=-2)


def test_exact_match_without_an_end():
    target = tensor([[3, 0, 0], [3, 5, 0], [0, 0, 0]])
    same = tensor([[3, 0, 0, 0], [3, 5, 0, 0], [0, 0, 0, 0]])
    assert metrics.exact_match(same, target, padding=0).tolist() == [True, True, True]
    assert metrics.exact_match(target, same, padding=0).tolist() == [True, True, True]
    longer = tensor([[3, 1, 0, 0], [3, 5, 0, 7], [1, 0, 0, 0]])
    assert not metrics.exact_match(longer, target, padding=0).any()
    assert metrics.exact_match(target[:, :1], target, padding=0).tolist() == [True, False, True]


def test_exact_match_up_to_the_end():
    target = tensor([[3, 9, 0, 0], [3, 4, 9, 0]])
    after = tensor([[3, 9, 4, 9], [3, 4, 9, 1]])
    assert metrics.exact_match(after, target, padding=0, end=9).all()
    assert not metrics.exact_match(after, target, padding=0).any()
    never = tensor([[3, 0, 0, 0], [3, 4, 4, 4]])
    assert not metrics.exact_match(never, target, padding=0, end=9).any()
    early = tensor([[9, 3, 9, 0], [3, 9, 4, 9]])
    assert not metrics.exact_match(early, target, padding=0, end=9).any()
    assert metrics.exact_match(target[:0], target[:0], padding=0).shape == (0,)


def test_exact_match_refuses():
    tokens = torch.ones(2, 3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"\(3,\) and \(2, 3\): pass \(B, T\)"):
        metrics.exact_match(tokens[0], tokens, padding=0)
    with pytest.raises(ValueError, match="as many rows"):
        metrics.exact_match(tokens[:1], tokens, padding=0)
    with pytest.raises(TypeError, match="argmax"):
        metrics.exact_match(tokens.float(), tokens, padding=0)


# Samples


def test_the_judge_counts_what_it_is_sure_of():
    rows = tensor([[0.95, 0.05, 0], [0.9, 0.1, 0], [0.02, 0.98, 0], [0, 0.3, 0.7]])
    assert metrics.judge_samples(rows) == (0.5, 2)  # .9 is not more than .9
    assert metrics.judge_samples(rows, threshold=0.5) == (1, 3)
    assert metrics.judge_samples(rows, threshold=1) == (0, 0)
    one_digit = rows[:1].expand(100, 3)
    assert metrics.judge_samples(one_digit) == (1, 1)
    share, num_classes = metrics.judge_samples(rows[:0])
    assert math.isnan(share) and num_classes == 0


def test_the_judge_refuses():
    with pytest.raises(ValueError, match=r"logits.softmax\(1\)"):
        metrics.judge_samples(tensor([[3.0, -2.0]]))
    with pytest.raises(ValueError, match=r"logits.softmax\(1\)"):
        metrics.judge_samples(tensor([[math.nan, 1.0]]))
    with pytest.raises(ValueError, match=r"pass \(N, C\)"):
        metrics.judge_samples(tensor([0.5, 0.5]))
    with pytest.raises(ValueError, match="from 0 to 1"):
        metrics.judge_samples(tensor([[0.5, 0.5]]), threshold=90)
