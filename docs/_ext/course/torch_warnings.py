"""What PyTorch warns of without need, where every other warning is an error."""

from __future__ import annotations

import builtins
import re
import warnings

IGNORED = (
    # What `opcheck` sets off. PyTorch hides it where it would be shown, too late for an error.
    "ignore:The .grad attribute of a Tensor:UserWarning:torch._subclasses.meta_utils",
    # A docstring of torchao sets it off when Python compiles the package, at its first import.
    "ignore:invalid escape sequence:DeprecationWarning:",
    "ignore:invalid escape sequence:SyntaxWarning:",  # the same, in Python 3.12 and later
)
# For a process that runs a lesson.
OPTIONS = ("-W", "error", *(option for each in IGNORED for option in ("-W", each)))


def ignore_hidden(conf: dict[str, object], script: str | None, when: str) -> None:
    """Ignore it in the process of a lesson, after all warnings have become errors."""
    for each in IGNORED:
        _action, message, category, module = each.split(":")
        kind = getattr(builtins, category)
        warnings.filterwarnings("ignore", re.escape(message), kind, re.escape(module))
