"""The photographs are what their description says."""

import torch

from handbook import datasets

IMAGES, NAMES = datasets.photos()


def test_pixels_as_image_files_hold_them():
    assert IMAGES.shape == (4, 128, 192, 3) and IMAGES.dtype == torch.uint8
    assert IMAGES.is_contiguous()
    assert len(set(NAMES)) == 4


def test_the_colours_are_in_the_order_red_green_blue():
    """The sky above the temple is blue, and the saucer of the coffee is red."""
    sky = IMAGES[0, :20, :60].float().mean((0, 1))
    saucer = IMAGES[3, 80:90, 30:40].float().mean((0, 1))
    assert sky[2] > sky[0] + 10
    assert saucer[0] > 2 * saucer[1] and saucer[0] > 2 * saucer[2]


def test_all_of_the_range_is_used():
    assert all(image.min() < 20 and image.max() > 200 for image in IMAGES)


def test_each_call_gives_tensors_of_its_own():
    datasets.photos().images.zero_()
    assert datasets.photos().images.equal(IMAGES)
