"""What applications are judged by, beyond loss and accuracy: tensors in, numbers out, torch only.

A function that judges each example alone returns a tensor with one value for each; one that judges
a whole set returns plain numbers.
"""

from .detection import average_precision, mean_average_precision
from .ranking import ndcg_at_k, recall_at_k
from .samples import judge_samples
from .segmentation import dice, mask_iou
from .sequences import bits_per_character, exact_match

__all__ = [
    "average_precision",
    "bits_per_character",
    "dice",
    "exact_match",
    "judge_samples",
    "mask_iou",
    "mean_average_precision",
    "ndcg_at_k",
    "recall_at_k",
]
