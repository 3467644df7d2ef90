"""Turn warnings into errors while a lesson runs."""

from __future__ import annotations

import re
import warnings

# What `opcheck` sets off. PyTorch hides it where it would be shown, too late for an error.
HIDDEN = "ignore:The .grad attribute of a Tensor:UserWarning:torch._subclasses.meta_utils"
OPTIONS = ("-W", "error", "-W", HIDDEN)  # the same for a process of its own


def turn_warnings_into_errors(conf: dict[str, object], script: str | None, when: str) -> None:
    """Change the filter for good: each lesson has a process of its own."""
    warnings.simplefilter("error")
    _action, message, _category, module = HIDDEN.split(":")
    warnings.filterwarnings("ignore", re.escape(message), UserWarning, re.escape(module))
