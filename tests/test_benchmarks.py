"""What the benchmarks claim to be equal is equal; their times are measured by `nox -s bench`."""

import importlib
from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

from handbook import Batches, datasets

FOLDER = Path(__file__).parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Import benchmarks as their scripts find each other."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


class Prepared(torch.utils.data.Dataset):
    """The embedded digits, prepared image by image as torchvision does it for a tutorial."""

    def __init__(self, count):
        from torchvision.transforms import Compose, Normalize, ToTensor

        x, self.labels = datasets.mnist()[0]
        self.images = x[:count, 0].mul(255).round().byte().numpy()
        self.prepare = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        from PIL import Image

        return self.prepare(Image.fromarray(self.images[i])), int(self.labels[i])


def test_batches_are_those_of_a_data_loader_over_torchvision(benchmark):
    batches = benchmark("batches")
    x, y = datasets.mnist()[0]
    x, y = x[:300].sub(batches.MEAN).div(batches.STD), y[:300]
    batches.check_equal(Prepared(300), x, y, 64)
    batches.check_equal(TensorDataset(x, y), x, y, 64)
    x[7, 0, 14, 14] += 1e-6
    with pytest.raises(AssertionError, match="differ"):
        batches.check_equal(Prepared(300), x, y, 64)


def test_the_official_network_has_its_known_size(benchmark):
    model = benchmark("mnist99").Net()
    assert sum(p.numel() for p in model.parameters()) == 1_199_882
    torch.testing.assert_close(model(torch.rand(2, 1, 28, 28)).exp().sum(1), torch.ones(2))


@pytest.mark.parametrize("name", ["bare", "handbook"])
def test_the_loops_that_are_timed_note_every_pass_and_end_alike(benchmark, monkeypatch, name):
    """Without the notes the benchmark of `fit` has no times."""
    loops = benchmark("fit")
    monkeypatch.setattr(loops, "STEPS", 3)
    seconds, model = loops.once(name, accuracy=True)
    assert seconds > 0
    expected = loops.bare(loops.data(), accuracy=False).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def test_ours_moves_images_by_a_pixel_at_most(benchmark):
    shifted, model, seen = benchmark("mnist99").shifted, torch.nn.Flatten(), []
    model.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x, y = torch.rand(3, 1, 28, 28), torch.tensor([1, 2, 3])
    for _ in range(20):
        shifted(model, x, y)
    moves = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    for image in seen:
        assert any(torch.equal(image, x.roll(move, (2, 3))) for move in moves)
    assert not all(torch.equal(image, x) for image in seen)


def test_two_halves_are_the_batch(benchmark):
    """One process on half of the images takes as many steps as two ranks on all of them."""
    batch = benchmark("two_ranks").BATCH
    x, _ = datasets.mnist()[0]
    half = Batches(x[: len(x) // 2], batch_size=batch // 2)
    assert len(half) == len(Batches(x, batch_size=batch))
