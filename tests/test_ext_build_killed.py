"""A build that was killed: a file of its own, since it builds many times and files run at once."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.small_site import DRAWS, INDEX, write_site, written

from bilingual import linux
from bilingual.sphinx_build import EXTENSIONS

KILLED = """
import sys
from pathlib import Path
from bilingual import build
build.build_sites(Path(sys.argv[1]), draft=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a group of processes")
def test_a_build_that_is_killed_and_started_again_gives_the_bytes_of_a_clean_one(tmp_path):
    """At many moments, spread over all steps; the tree is that of the build before."""
    languages = [("en", "en", "en", "English"), ("de", "de", "de", "Deutsch")]
    lessons = {"a/one": DRAWS.format(2), "a/two": "print(2)"}
    docs = write_site(tmp_path / "killed", lessons, languages)
    catalog = docs / "locale/de/LC_MESSAGES/index.po"
    catalog.parent.mkdir(parents=True)
    env = os.environ | {"PYTHONPATH": str(EXTENSIONS), "SOURCE_DATE_EPOCH": "1767225600"}
    env |= {"PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", KILLED]

    def build(docs):
        """Build all of it, or show what it printed."""
        done = subprocess.run([*command, str(docs)], env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"the build failed:\n{done.stdout}\n{done.stderr}"

    def change(docs, n):
        (docs / "index.md").write_text(INDEX.replace("Small", f"Small {n}"), "utf-8")
        (docs / "locale/de/LC_MESSAGES/index.po").write_text(
            f'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
            f'msgid "Small {n}"\nmsgstr "Klein {n}"\n',
            "utf-8",
        )
        script = docs.parent / "examples/a/one.py"
        script.write_text(script.read_text().partition("\n\nx")[0] + f"\n\nx = {n}\nprint(x)\n")

    start = time.monotonic()
    change(docs, 0)
    build(docs)
    whole = time.monotonic() - start
    for n in range(1, 6):
        change(docs, n)
        with subprocess.Popen(
            [*command, str(docs)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:  # fmt: skip
            time.sleep(whole * n / 6)
            os.killpg(process.pid, signal.SIGKILL)
    build(docs)
    clean = write_site(tmp_path / "clean", lessons, languages)
    (clean / "locale/de/LC_MESSAGES").mkdir(parents=True)
    change(clean, 5)
    build(clean)
    assert written(docs, "_build/html") == written(clean, "_build/html")


@pytest.mark.skipif(not linux.can_fork(), reason="elsewhere the lessons run to their end")
def test_the_lessons_of_a_build_that_is_killed_end_with_it(tmp_path):
    """Otherwise the next build would wait for them."""
    begun = tmp_path / "begun"
    code = f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(100)\n"
    docs = write_site(tmp_path / "site", {"a/one": code})
    env = os.environ | {"PYTHONPATH": str(EXTENSIONS)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(docs)], env=env, stdout=subprocess.DEVNULL
    ) as process:
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.kill()  # alone, not its group
    script = docs.parent / "examples/a/one.py"
    script.write_text(script.read_text().replace("time.sleep(100)", "print(2)"))
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", KILLED, str(docs)], env=env, check=True)
    assert time.monotonic() - start < 60
