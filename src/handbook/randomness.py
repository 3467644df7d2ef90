"""The state of every random number generator that an epoch may draw from."""

import random
from typing import Any

import numpy as np
import torch

from . import distributed


class Randomness:
    """Random streams of all ranks as one part of a checkpoint, like a model or an optimizer.

    Dropout, augmentation and a shuffling `torch.utils.data.DataLoader` draw from generators that
    live outside the model. Saved and restored with it, they make an epoch a function of the saved
    state and its number. Covered are PyTorch on the CPU and on ``device``, Python, NumPy's global
    generator, and generators that were given to ``loaders``.

    Parameters
    ----------
    device : torch.device
        Where the model computes.
    *loaders : object
        Loaders whose own generators belong to the state; others, and None, are passed over.
    """

    def __init__(self, device: torch.device, *loaders: object) -> None:
        self.device = device
        owners = [*loaders, *(getattr(loader, "sampler", None) for loader in loaders)]
        found = [getattr(owner, "generator", None) for owner in owners]
        unique = {id(one): one for one in found if isinstance(one, torch.Generator)}
        self.generators = list(unique.values())

    def part(self) -> None:
        """Give every rank but the first a stream of its own: different dropout, augmentation."""
        rank = distributed.rank()
        if rank:
            seed = int(torch.randint(2**32, (rank,), dtype=torch.int64)[-1])
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)

    def join(self) -> None:
        """Let all ranks go on with the stream of the first, as one script would."""
        if distributed.world() > 1:
            self._restore(distributed.gather(self._state())[0])

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all ranks, to each of them."""
        return {"ranks": distributed.gather(self._state())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore this rank's state, if it was saved with at least as many ranks."""
        if distributed.rank() < len(state["ranks"]):
            self._restore(state["ranks"][distributed.rank()])

    def _state(self) -> dict[str, Any]:
        version, words, gauss = random.getstate()
        numpy = np.random.get_state(legacy=False)
        numpy["state"]["key"] = torch.tensor(numpy["state"]["key"], dtype=torch.int64)
        return {
            "torch": torch.get_rng_state(),
            "device": (self.device.type, self._generator_of_device()),
            "python": (version, torch.tensor(words), gauss),
            "numpy": numpy,
            "loaders": [generator.get_state() for generator in self.generators],
        }

    def _generator_of_device(self) -> torch.Tensor | None:
        if self.device.type == "cpu":
            return None  # that is the one of torch
        here: torch.Tensor = torch.get_device_module(self.device).get_rng_state(self.device)
        return here

    def _restore(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["torch"])
        kind, there = state["device"]
        if kind == self.device.type and there is not None:
            torch.get_device_module(self.device).set_rng_state(there, self.device)
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words.tolist()), gauss))
        key = state["numpy"]["state"]["key"].numpy()
        if not 0 <= state["numpy"]["state"]["pos"] <= len(key) == 624:
            raise ValueError("the state of NumPy's generator is damaged")  # NumPy would crash
        np.random.set_state(state["numpy"] | {"state": state["numpy"]["state"] | {"key": key}})
        for generator, saved in zip(self.generators, state["loaders"], strict=False):
            generator.set_state(saved)
