"""What a downloaded lesson needs: inline metadata for its script, a first cell for its notebook.

The packages are those that the lesson imports, at the versions of the build. The project's own
package is a wheel that lies on the site; only a build that knows its address can point to it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import NamedTuple

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx.locale import _

from bilingual import shared_words

FOLDER = "downloads"  # of the wheel, beside the folders of the languages
LISTED = "Run this file with `uv run {}`: uv installs what is listed here."
WITHOUT_ADDRESS = (
    "Get {0} from the folder `downloads` of the site, then run `uv run --with {0} {1}`."
)
INSTALLS = "Installs what this lesson needs, unless it is there."
GET_WHEEL = "Get {} from the folder `downloads` of the site, then run: {}"
RESTART = "Restart the kernel, then run the notebook from the top."


class Needs(NamedTuple):
    """What a lesson needs: modules that it imports, and what installs them and what they need."""

    modules: list[str]
    packages: list[str]  # without the project's own
    requirements: list[str]
    own: str  # the name of the project's own package, if the lesson imports it
    missing_wheel: str  # the file of that package, if its address is not known


def wheel_name(package: str) -> str:
    """Return the name of the wheel of a pure Python package, at the version that is installed."""
    return f"{package.replace('-', '_')}-{metadata.version(package)}-py3-none-any.whl"


def needs(source: str, config: Config) -> Needs:
    """Find what a script needs.

    An `ExtensionError` is raised if no installed package has one of its modules.
    """
    own, own_modules = config.downloads_package or ("", [])
    names = set(_names(ast.parse(source)))
    modules = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    packages = {_package_of(module) for module in modules - {*own_modules}}
    for name, more in config.downloads_needs.items():
        packages |= {*more} if _uses(names, name) else set()
    requirements = {package: f"{package}=={_version(package)}" for package in packages}
    missing = ""
    if modules.isdisjoint(own_modules):
        own = ""
    elif address := config.downloads_address:
        requirements[own] = f"{own} @ {address}/{FOLDER}/{wheel_name(own)}"
    else:
        missing = wheel_name(own)
    listed = [requirements[name] for name in sorted(requirements, key=str.lower)]
    return Needs(
        *(sorted(each, key=str.lower) for each in (modules, packages)), listed, own, missing
    )


def script_header(needs: Needs, file: str, config: Config) -> str:
    """Return the comments before the docstring of a script, as PEP 723 has them."""
    if needs.missing_wheel:
        said = _(WITHOUT_ADDRESS).format(needs.missing_wheel, file)
    else:
        said = _(LISTED).format(file)
    python = config.downloads_python or f">={'.'.join(map(str, sys.version_info[:2]))}"
    rows = ["/// script", f'requires-python = "{python}"', "dependencies = ["]
    rows += [f'    "{requirement}",' for requirement in needs.requirements]
    rows += ["]", "///"]
    return f"# {said}\n\n" + "".join(f"# {row}\n" for row in rows) + "\n"


def install_cell(needs: Needs) -> str:
    """Return the code that installs the same as the script lists, or says what to install."""
    found = f"all(map(version, {_quoted(needs.packages)}))"
    if needs.own:
        found = f'version("{needs.own}") == "{metadata.version(needs.own)}" and {found}'
    if needs.missing_wheel:
        files = [needs.missing_wheel, *needs.requirements]
        message = _(GET_WHEEL).format(needs.missing_wheel, f"%pip install {' '.join(files)}")
        return WHAT_TO_INSTALL.format(title=_(INSTALLS), found=found, message=message)
    return INSTALL.format(
        title=_(INSTALLS),
        found=found,
        requirements="".join(f'        "{requirement}",\n' for requirement in needs.requirements),
        modules=_quoted(needs.modules),
        restart=_(RESTART),
    )


IS_THERE = """\
# @title {title}
from importlib.metadata import PackageNotFoundError, version

try:
    is_there = {found}
except PackageNotFoundError:
    is_there = False
"""
WHAT_TO_INSTALL = f"""{IS_THERE}
if not is_there:
    raise ModuleNotFoundError("{{message}}")
"""
# An environment that uv made has no pip.
INSTALL = f"""{IS_THERE}
if not is_there:
    import subprocess
    import sys
    from importlib.util import find_spec

    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else ["uv", "pip"]
    where = [] if find_spec("pip") else ["--python", sys.executable]
    packages = [
{{requirements}}    ]
    loaded = [name for name in {{modules}} if name in sys.modules]
    subprocess.run([*pip, "install", "--quiet", *where, *packages], check=True)
    if loaded:
        print("{{restart}}")
"""


def _quoted(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield what is imported, and the attributes of it, by their full names."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                full = alias.name if alias.asname else alias.name.partition(".")[0]
                known[alias.asname or full] = full
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, _dot, rest = ast.unparse(node).partition(".")
            if first in known:
                yield f"{known[first]}.{rest}"


def _uses(names: set[str], wanted: str) -> bool:
    return any(name == wanted or name.startswith(f"{wanted}.") for name in names)


@cache
def _packages() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


@cache
def _package_of(module: str) -> str:
    """Return the package of a module; only one of another name has to be looked for in all."""
    try:
        return str(metadata.metadata(module)["Name"])
    except metadata.PackageNotFoundError:
        packages = _packages().get(module)
    if not packages:
        raise ExtensionError(f"no installed package has the module {module}")
    return packages[0]


def _version(package: str) -> str:
    """Return a version that every index has: what follows a plus names a local build."""
    return metadata.version(package).partition("+")[0]


def setup(app: Sphinx) -> None:
    """Register the settings and the words."""
    app.add_config_value("downloads_package", (), "env")
    app.add_config_value("downloads_needs", {}, "env")
    app.add_config_value("downloads_python", "", "env")
    app.add_config_value("downloads_address", "", "env")
    app.connect("config-inited", _note_address, priority=900)  # once the templates know it
    shared_words.register(LISTED, WITHOUT_ADDRESS, INSTALLS, GET_WHEEL, RESTART)


def _note_address(app: Sphinx, config: Config) -> None:
    """Note the address of the site, so that lessons are read again when it changes."""
    config.downloads_address = config.html_context.get("base_url", "")
