"""What PyTorch warns of in vain, where every other warning is an error."""

from __future__ import annotations

import re
import warnings

# What `opcheck` sets off. PyTorch hides it where it would be shown, too late for an error.
HIDDEN = "ignore:The .grad attribute of a Tensor:UserWarning:torch._subclasses.meta_utils"
OPTIONS = ("-W", "error", "-W", HIDDEN)  # for a process that runs a lesson


def ignore_hidden(conf: dict[str, object], script: str | None, when: str) -> None:
    """Ignore it in the process of a lesson, after all warnings have become errors."""
    _action, message, _category, module = HIDDEN.split(":")
    warnings.filterwarnings("ignore", re.escape(message), UserWarning, re.escape(module))
