"""The project's commands: `nox` runs everything, `nox -s NAME` one, `nox -l` lists them."""

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "tests", "docs", "downloads", "browser"]

# One thread: the same results on every machine, and never slow under load.
STEADY = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1767225600"}


def install(session: nox.Session, extra: str) -> None:
    """Install the package in place, at the versions of constraints.txt."""
    session.install("-c", "constraints.txt", "-e", f".[{extra}]")


@nox.session
def docs(session: nox.Session) -> None:
    """Build both languages into docs/_build/html."""
    install(session, "docs")
    session.run("python", "docs/build.py", *session.posargs, env=STEADY)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the unit tests and the doctests of docstrings and prose."""
    install(session, "test")
    session.run(
        "pytest", "-n", "2", "--dist", "loadfile", "-m", "not site", *session.posargs, env=STEADY
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style and types."""
    install(session, "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
