"""The ImageNet weights of the lessons: put into the cache of torch.hub, checked, and loaded."""

import importlib.util
from pathlib import Path

import pytest
import torch

spec = importlib.util.spec_from_file_location(
    "weights", Path(__file__).parents[1] / "docs/weights.py"
)
weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(weights)
SOURCE = Path(importlib.util.find_spec(weights.PACKAGE).origin).parent / "weights" / weights.FILE


def test_the_folder_is_that_of_torch(monkeypatch, tmp_path):
    monkeypatch.delenv("TORCH_HOME", raising=False)
    assert weights.cache() == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert weights.cache() == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "own"))
    assert weights.cache() == Path(torch.hub.get_dir()) / "checkpoints"


def test_torchvision_loads_them_by_its_normal_line(monkeypatch, tmp_path):
    from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)  # nothing may be fetched
    weights.place(SOURCE, weights.cache())
    assert MobileNet_V2_Weights.IMAGENET1K_V1.url.endswith(weights.FILE)
    model = mobilenet_v2(weights=MobileNet_V2_Weights.IMAGENET1K_V1)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_504_872


def test_a_file_that_is_there_stays(tmp_path):
    file = weights.place(SOURCE, tmp_path)
    before = file.stat()
    assert weights.place(tmp_path / "missing", tmp_path).stat() == before


def test_a_damaged_file_is_replaced_and_a_damaged_source_refused(tmp_path):
    target = tmp_path / weights.FILE
    target.write_bytes(SOURCE.read_bytes()[:-1])
    with pytest.raises(ValueError, match="again"):
        weights.place(target, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()
    assert weights.place(SOURCE, tmp_path).stat().st_size == SOURCE.stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == [weights.FILE]
