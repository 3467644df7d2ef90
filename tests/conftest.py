"""Settings that all tests share."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")  # draw without a screen, in doctests too
# A forked process has none of the threads of OpenMP, and would wait for them without an end.
os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("tests", deadline=None, derandomize=True)  # the same on a busy machine
settings.load_profile("tests")

# Scripts that would run when they are collected, and those that import other libraries.
collect_ignore = ["tinysite", "benchmarks", "on_device.py", "typed_use.py"]


def process_settings():
    """Return what a test may change in a process of its own only, never in that of pytest."""
    names = ["SIGINT", "SIGTERM", "SIGXFSZ", "SIGALRM"]
    found = [signal.getsignal(getattr(signal, name)) for name in names if hasattr(signal, name)]
    found += [os.fsync, os.replace]
    if sys.platform == "linux":
        import resource

        found += [os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "user")]
        found += [resource.getrlimit(resource.RLIMIT_FSIZE)]
    return found


@pytest.fixture(autouse=True)
def nothing_leaks_into_pytest():
    """Hold signal handlers, limits, mounts and `os` as they were before each test."""
    before = process_settings()
    yield
    assert process_settings() == before


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Build the miniature site once, strictly; a test that changes it does so in a copy."""
    from bilingual import build  # only where Sphinx is installed

    root = tmp_path_factory.mktemp("tiny") / "site"
    shutil.copytree(Path(__file__).parent / "tinysite", root)
    build.build_sites(root / "docs")
    return root


@pytest.fixture(scope="session")
def page(tiny):
    """Return a function that parses a page of the miniature site in one language."""
    from bs4 import BeautifulSoup

    def read(folder, name):
        file = tiny / "docs/_build/html" / folder / f"{name}.html"
        return BeautifulSoup(file.read_text("utf-8"), "html.parser")

    return read
