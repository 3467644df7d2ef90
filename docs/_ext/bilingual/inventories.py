"""Compile readable lists of names, so that links to other documentation need no network."""

from __future__ import annotations

import zlib
from pathlib import Path

HEADER = "# Sphinx inventory version 2\n# Project: {}\n# Version: \n# zlib follows\n"


def inventories(source: Path, target: Path) -> dict[str, tuple[str, str]]:
    """Compile every `NAME-inventory.txt` of a folder, for `intersphinx_mapping`.

    The first line of a list is the address of the documentation. Each further line is a kind and a
    name (``function json.loads``), followed by the page if it is not the one that the line
    ``default …`` gives.
    """
    target.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for file in sorted(source.glob("*-inventory.txt")):
        name = file.name.removesuffix("-inventory.txt")
        address, *lines = [
            line for line in file.read_text("utf-8").splitlines() if line and line[0] != "#"
        ]
        content = HEADER.format(name).encode() + zlib.compress("".join(_entries(lines)).encode())
        compiled = target / f"{name}.inv"
        if not compiled.exists() or compiled.read_bytes() != content:
            compiled.write_bytes(content)
        mapping[name] = (address, str(compiled))
    return mapping


def _entries(lines: list[str]) -> list[str]:
    default = "{name}.html"
    entries = []
    for line in lines:
        kind, name, *page = line.split()
        if kind == "default":
            default = name
            continue
        address = page[0] if page else default.format(name=name)
        if "#" not in address:
            address += f"#module-{name}" if kind == "module" else f"#{name}"
        entries.append(f"{name} py:{kind} 1 {address} -\n")
    return entries
