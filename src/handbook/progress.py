"""The progress bar: tqdm on a terminal or in a notebook, silent elsewhere."""

import builtins
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from . import distributed
from .validation import num_batches

T = TypeVar("T")


class ProgressBar:
    """A bar for each epoch, with its results after it; only on rank 0.

    Parameters
    ----------
    show : bool, optional
        True: always; False: never; default: on a terminal and in a notebook.
    epochs : int
        How many there will be.
    batches : iterable
        Yields the batches of one epoch; its length, if it has one, is that of the bar.
    """

    def __init__(self, show: bool | None, epochs: int, batches: Iterable[Any]) -> None:
        if show is None:
            # IPython lends this function to all modules while it runs a cell.
            show = sys.stderr.isatty() or hasattr(builtins, "get_ipython")
        self.show = show and distributed.rank() == 0
        self.epochs = epochs
        self.batches = batches
        self.bar: Any = None

    def track(self, steps: Iterable[T], epoch: int) -> Iterable[T]:
        """Return ``steps`` as they are, or with a bar that counts them."""
        return self._counted(steps, epoch) if self.show else steps

    def finish_epoch(self, row: dict[str, Any]) -> None:
        """Write the results of the epoch after its bar, and end it."""
        if self.bar is not None:
            self.bar.set_postfix({name: row[name] for name in row if name != "epoch"})
            self.bar.close()

    def _counted(self, steps: Iterable[T], epoch: int) -> Iterator[T]:
        from tqdm import tqdm  # slow to import, and needed only where a bar is shown

        self.bar = tqdm(
            total=num_batches(self.batches), desc=f"epoch {epoch}/{self.epochs}", unit="step"
        )
        try:
            for step in steps:
                yield step
                self.bar.update()
        except BaseException:
            self.bar.close()
            raise
