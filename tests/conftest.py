"""Settings that all tests share."""

import os

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")  # draw without a screen, in doctests too
settings.register_profile("house", deadline=None, derandomize=True)  # the same on a busy machine
settings.load_profile("house")

# Scripts that would run when they are collected, and those that import other libraries.
collect_ignore = ["tinysite", "benchmarks", "on_device.py", "typed_use.py"]
