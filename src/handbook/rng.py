"""The state of every random number generator that an epoch may draw from."""

import random
from typing import Any

import numpy as np
import torch

from . import distributed
from .batches import order_keepers


class RandomStreams:
    """Random streams of all ranks, with a state like that of a model or an optimizer.

    Dropout, augmentation and a shuffling `torch.utils.data.DataLoader` draw from generators that
    live outside the model. Saved and restored with it, they make an epoch a function of the saved
    state and its number. Covered are PyTorch on the CPU and on ``device``, Python, NumPy's global
    generator, and generators that were given to ``loaders`` or to their samplers.

    Parameters
    ----------
    device : torch.device
        Where the model computes.
    *loaders : object
        Loaders whose own generators belong to the state; None is left out.
    """

    def __init__(self, device: torch.device, *loaders: object) -> None:
        self.device = device
        owners = [owner for loader in loaders for owner in order_keepers(loader)]
        found = [getattr(owner, "generator", None) for owner in owners]
        unique = {id(one): one for one in found if isinstance(one, torch.Generator)}
        self.generators = list(unique.values())

    def fork_ranks(self) -> None:
        """Give every rank but the first a stream of its own: different dropout, augmentation."""
        rank = distributed.rank()
        if rank:
            seed = int(torch.randint(2**32, (rank,), dtype=torch.int64)[-1])
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)

    def rejoin_ranks(self) -> None:
        """Let all ranks continue with the stream of the first, as one script would."""
        if distributed.world_size() > 1:
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
            "device": (self.device.type, self._device_state()),
            "python": (version, torch.tensor(words), gauss),
            "numpy": numpy,
            "loaders": [generator.get_state() for generator in self.generators],
        }

    def _device_state(self) -> torch.Tensor | None:
        if self.device.type == "cpu":
            return None  # that is the one of torch
        state: torch.Tensor = torch.get_device_module(self.device).get_rng_state(self.device)
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["torch"])
        device_type, device_state = state["device"]
        if device_type == self.device.type and device_state is not None:
            torch.get_device_module(self.device).set_rng_state(device_state, self.device)
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words.tolist()), gauss))
        key = state["numpy"]["state"]["key"].numpy()
        np.random.set_state(state["numpy"] | {"state": state["numpy"]["state"] | {"key": key}})
        for generator, saved in zip(self.generators, state["loaders"], strict=False):
            generator.set_state(saved)
