"""Without a network: the tests run in a namespace that has only a loopback device."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.site
CUT = "HANDBOOK_NETWORK_IS_CUT"
# Formulas, the search, and opening one page of each kind without a server. That no page asks any
# other host for anything, the fixture `read` tests wherever pages are opened.
TESTS = [
    "test_reading.py::test_formulas_need_no_script",
    "test_search.py::test_the_right_page_is_among_the_first_three",
    "test_entry.py::test_every_kind_of_page_works_without_a_server",
]


@pytest.mark.skipif(sys.platform != "linux", reason="needs the network namespaces of Linux")
@pytest.mark.skipif(CUT in os.environ, reason="runs already inside this test")
def test_the_site_needs_no_network() -> None:
    here = Path(__file__).parent
    tests = [str(here / test) for test in TESTS]
    again = [sys.executable, str(here / "test_offline.py"), *tests]
    command = ["unshare", *(["-n"] if os.geteuid() == 0 else ["-rn"]), *again]
    done = subprocess.run(command, env=os.environ | {CUT: "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def raise_loopback() -> None:
    """Switch on the loopback device of this namespace, and check that it is the only device."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        up = struct.pack("16sh14x", b"lo", 0x1)  # IFF_UP
        fcntl.ioctl(handle, 0x8914, up)  # SIOCSIFFLAGS
    assert [name for _, name in socket.if_nameindex()] == ["lo"]


if __name__ == "__main__":
    raise_loopback()
    sys.exit(
        pytest.main(["-q", "-m", "site", "-p", "no:xdist", "-p", "no:cacheprovider", *sys.argv[1:]])
    )
