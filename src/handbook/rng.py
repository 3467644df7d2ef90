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
    state and its number. Covered are PyTorch on the CPU and on ``device``, the global generators of
    Python and NumPy, and generators of all three that are attributes of ``loaders``, or of data
    sets and samplers inside them.

    Parameters
    ----------
    device : torch.device
        Where the model computes.
    *loaders : object
        Loaders whose own generators belong to the state; None is left out.
    """

    def __init__(self, device: torch.device, *loaders: object) -> None:
        self.device = device
        kinds = torch.Generator, random.Random, np.random.Generator, np.random.RandomState
        owners = [owner for loader in loaders for owner in order_keepers(loader)]
        found = [one for owner in owners for one in getattr(owner, "__dict__", {}).values()]
        found = [one for one in found if isinstance(one, kinds)]
        found = [one for one in found if not isinstance(one, random.SystemRandom)]
        self.generators = list({id(one): one for one in found}.values())

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
        return {
            "torch": torch.get_rng_state(),
            "device": (self.device.type, self._device_state()),
            "python": random.getstate(),
            "numpy": _plain(np.random.get_state(legacy=False)),
            "loaders": [(_kind(one), _get_state(one)) for one in self.generators],
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
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        for generator, (kind, saved) in zip(self.generators, state["loaders"], strict=False):
            if kind == _kind(generator):
                _set_state(generator, saved)


def _kind(generator: Any) -> str:
    """Return the name of its algorithm, or of its class."""
    return type(getattr(generator, "bit_generator", generator)).__name__


def _get_state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        return _plain(generator.bit_generator.state)
    return _plain(generator.get_state(legacy=False))


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def _plain(state: Any) -> Any:
    """Return a state of NumPy with lists for its arrays, which its setters take as well."""
    if isinstance(state, dict):
        return {name: _plain(part) for name, part in state.items()}
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state
