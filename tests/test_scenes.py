"""Scenes of digits: exact boxes, the right labels, and as much overlap as was asked for."""

import pytest
import torch
from torchvision.ops import box_iou

from handbook import datasets

TRAIN, _ = datasets.mnist()


def scenes(n=60, seed=0, digits=TRAIN, **options):
    generator = torch.Generator().manual_seed(seed)
    return datasets.digit_scenes(digits, n, generator=generator, **options)


def largest_iou(boxes):
    iou = box_iou(boxes, boxes)
    return iou.fill_diagonal_(0).max().item()


def test_each_box_is_the_smallest_that_holds_the_ink():
    images, boxes, _ = scenes(most=1)
    for image, (box,) in zip(images, boxes, strict=True):
        rows, columns = (image[0] >= 0.2).nonzero(as_tuple=True)
        exact = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box.tolist() == [side.item() for side in exact]


def test_nothing_is_drawn_outside_the_boxes():
    images, boxes, _ = scenes(overlap=0.2)
    for image, found in zip(images.clone(), boxes, strict=True):
        for left, top, right, bottom in found.int().tolist():
            image[0, top:bottom, left:right] = 0
        assert image.max() == 0


def test_digits_have_the_sizes_that_are_promised():
    _, boxes, _ = scenes(size=96, n=200)
    longer = torch.cat([(each[:, 2:] - each[:, :2]).amax(1) for each in boxes])
    assert longer.max() == 40 and 21 <= longer.min() <= 26  # faint edges may be cut off
    assert torch.cat(boxes).min() >= 0 and torch.cat(boxes).max() <= 96


def test_labels_belong_to_their_boxes():
    """A tall bar is called 1 and a wide one 7."""
    x = torch.zeros(2, 1, 28, 28)
    x[0, 0, 4:24, 12:16] = 1
    x[1, 0, 12:16, 4:24] = 1
    _, boxes, labels = scenes(digits=datasets.Split(x, torch.tensor([1, 7])))
    sides = torch.cat(boxes)[:, 2:] - torch.cat(boxes)[:, :2]
    assert torch.cat(labels).equal(torch.where(sides[:, 0] > sides[:, 1], 7, 1))
    assert {1, 7} == set(torch.cat(labels).tolist())


def test_every_number_of_digits_occurs_up_to_the_largest():
    _, boxes, labels = scenes(n=200, most=4, size=96)
    assert {len(each) for each in boxes} == {1, 2, 3, 4}
    assert [len(each) for each in boxes] == [len(each) for each in labels]
    assert all(each.dtype == torch.int64 for each in labels)


def test_boxes_overlap_as_much_as_was_asked_for():
    assert max(largest_iou(boxes) for boxes in scenes().boxes) == 0
    most = max(largest_iou(boxes) for boxes in scenes(n=200, overlap=0.3).boxes)
    assert 0.1 < most <= 0.3


def test_a_digit_without_room_is_left_out():
    images, boxes, _ = scenes(n=5, size=24, most=100)
    assert images.shape == (5, 1, 24, 24)
    assert all(1 <= len(each) < 20 for each in boxes)


def test_a_seed_gives_the_same_scenes_and_leaves_the_digits_alone():
    before = TRAIN.x.clone()
    first, again, other = scenes(), scenes(), scenes(seed=1)
    assert first.images.equal(again.images) and not first.images.equal(other.images)
    assert all(a.equal(b) for a, b in zip(first.boxes, again.boxes, strict=True))
    assert TRAIN.x.equal(before)
    torch.manual_seed(0)
    a = datasets.digit_scenes(TRAIN, 3).images
    torch.manual_seed(0)
    assert datasets.digit_scenes(TRAIN, 3).images.equal(a)


def test_pixels_keep_their_range():
    images = scenes(overlap=0.5).images
    assert images.dtype == torch.float32
    assert images.min() == 0 and 0.9 < images.max() <= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "n is 0"),
        ({"most": 0}, "most is 0"),
        ({"size": 23}, "size is 23"),
        ({"overlap": 1.0}, "overlap is 1.0"),
        ({"overlap": -0.1}, "overlap is -0.1"),
        ({"digits": datasets.Split(torch.zeros(1, 1, 28, 28), torch.zeros(1))}, "no ink"),
    ],
)
def test_errors_say_what_to_do(options, said):
    with pytest.raises(ValueError, match=said):
        scenes(**options)
