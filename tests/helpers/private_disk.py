"""A disk of one's own, which may be full or read-only: needs no root, and nobody else sees it."""

import contextlib
import ctypes
import os

from helpers.training_runs import assert_in_child

NEW_NAMESPACES = 0x00020000 | 0x10000000  # CLONE_NEWNS | CLONE_NEWUSER
READ_ONLY, REMOUNT = 1, 32  # MS_RDONLY, MS_REMOUNT


def _call(name, *args):
    """Call the C library, and raise what it says."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*args):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def disk(folder, size):
    """Mount an empty disk of so many bytes, which only this process (a forked one) sees."""
    assert_in_child()
    user, group = os.getuid(), os.getgid()
    _call("unshare", NEW_NAMESPACES)  # as `unshare -rm` does
    for name, text in {
        "setgroups": "deny", "uid_map": f"0 {user} 1", "gid_map": f"0 {group} 1"
    }.items():  # fmt: skip
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    folder.mkdir()
    _mount(folder, 0, f"size={size}")


def read_only(folder, now=True):
    """Make the disk read-only, as Linux does after an error of the device, or writable again."""
    _mount(folder, REMOUNT | READ_ONLY * now, "")


def fill(folder):
    """Leave not a byte on the disk; return the file to remove."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


def _mount(folder, flags, options):
    _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(flags), options.encode())
