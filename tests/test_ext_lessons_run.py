"""Each lesson runs in a process of its own, and what goes wrong is one line with its name."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.small_site import lesson
from sphinx_gallery.gen_gallery import _fill_gallery_conf_defaults

from bilingual import gallery, linux
from bilingual.lesson_process import Job
from bilingual.runner import Work
from bilingual.sphinx_build import EXTENSIONS

FORKS = pytest.mark.skipif(not linux.can_fork(), reason="processes are forked on Linux only")
SETTINGS = _fill_gallery_conf_defaults(dict(gallery.SETTINGS))


# Imports what a runner imports, and forks one for each line that it reads: the file with its work,
# and the file for what it says.
SERVER = """
import os, sys
import matplotlib.pyplot
from bilingual import runner

for line in sys.stdin:
    work, said = line.rstrip("\\n").split("\\t")
    process = os.fork()
    if not process:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 1)
        runner.main(work)
        sys.exit()
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def server():
    """Start a process that runs what it is told, as often as it is told."""
    env = os.environ | {"PYTHONPATH": str(EXTENSIONS), "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
    with subprocess.Popen([sys.executable, "-c", SERVER], **pipes) as process:
        yield process
        process.stdin.close()


class Runner:
    """Runs scripts as a build does, without Sphinx."""

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        self.options = {"warm_up": None, "workers": 1, "fork": True, "time_limit": 60}

    def start(self, *scripts, output_limit=1000, **options):
        """Start the process that runs these scripts."""
        jobs = []
        for n, code in enumerate(scripts, 1):
            script = self.folder / f"part/lesson_{n}.py"
            script.parent.mkdir(exist_ok=True)
            script.write_text(lesson(code)) if isinstance(code, str) else script.write_bytes(code)
            scratch = self.folder / f"scratch{n}"
            target = scratch / f"made/lessons/part/lesson_{n}.py"
            (target.parent / "images/thumb").mkdir(parents=True)
            jobs.append(Job(script, target, scratch, SETTINGS, output_limit))
        work = self.folder / "work.pickle"
        work.write_bytes(pickle.dumps(Work(jobs, **(self.options | options))))
        self.server.stdin.write(f"{work}\t{self.folder / 'said'}\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def wait(self):
        """Wait for it, and return its exit code."""
        return int(self.server.stdout.readline())

    def __call__(self, *scripts, **options):
        """Run them, and return what is said of each one that ended, by its number."""
        self.start(*scripts, **options)
        self.wait()
        said = [json.loads(line) for line in (self.folder / "said").read_text().splitlines()]
        return {int(Path(one["script"]).stem[-1]): one for one in said}

    def printed(self, number):
        """Return the page of a lesson."""
        return (self.folder / f"scratch{number}/made/lessons/part/lesson_{number}.rst").read_text()


@pytest.fixture
def run(tmp_path, server):
    """Return a runner with a folder of its own."""
    return Runner(tmp_path, server)


@pytest.fixture(
    params=[pytest.param(True, marks=FORKS, id="forked"), pytest.param(False, id="fresh")]
)
def fork(request):
    """Say whether the lessons are forked, or are fresh processes as where fork is missing."""
    return request.param


# What changes as much as a script can change, and what looks for a trace of it.
CHANGES = """
import builtins, locale, logging, os, random, sys, tempfile, threading, warnings
os.environ["LEAK"] = "yes"
os.chdir("/")
sys.path.insert(0, "/leak")
sys.modules["leak"] = sys
random.seed(1)
logging.getLogger().setLevel(logging.DEBUG)
logging.basicConfig()
builtins.print = lambda *texts: None
builtins.leak = 1
json = __import__("json")
json.dumps = None
sys.setrecursionlimit(300)
threading.Thread(target=threading.Event().wait, daemon=True).start()
tempfile.tempdir = "/leak"
"""
LOOKS = """
import builtins, json, logging, os, sys, tempfile, threading
print("LEAK" in os.environ, os.getcwd() == "/", "/leak" in sys.path, "leak" in sys.modules)
print(logging.getLogger().level == logging.DEBUG, hasattr(builtins, "leak"), json.dumps is None)
print(sys.getrecursionlimit() == 300, threading.active_count() > 1, tempfile.tempdir)
"""


def test_nothing_leaks_from_one_lesson_to_the_next(run, fork):
    said = run(CHANGES, LOOKS, fork=fork)
    assert [one["error"] for one in said.values()] == [None, None]
    assert "False False False False" in run.printed(2)
    assert "False False False\n" in run.printed(2)
    assert "False False None" in run.printed(2)


def test_a_page_shows_the_standard_output_alone(run, fork):
    """What a library logs may hold the date, or a path of the machine."""
    (said,) = run(
        "import logging, sys\nprint('shown')\nprint('hidden', file=sys.stderr)\n"
        "logging.basicConfig()\nlogging.getLogger('library').warning('hidden too')",
        fork=fork,
    ).values()
    assert said["error"] is None
    page = run.printed(1)
    assert "    shown\n" in page and "    hidden\n" not in page and "WARNING" not in page
    output = (run.folder / "scratch1/output.txt").read_text()
    assert "hidden\n" in output and "hidden too" in output


@FORKS
def test_what_is_warm_is_there_and_what_a_lesson_changes_of_it_is_not(run):
    warm = run.folder / "warm_up.py"
    warm.write_text("import colorsys\ncolorsys.warm = [1]\n")
    uses = "import colorsys\ncolorsys.warm.append(2)\nprint(colorsys.warm)"
    said = run(uses, uses, warm_up=warm)
    assert [one["error"] for one in said.values()] == [None, None]
    assert "[1, 2]\n" in run.printed(1) and "[1, 2]\n" in run.printed(2)


@FORKS
def test_a_warm_up_that_starts_a_thread_is_refused(run):
    warm = run.folder / "warm_up.py"
    wait = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    warm.write_text(f"import threading\n{wait}\n")
    run.start("pass", warm_up=warm)
    assert run.wait() == 1
    assert (run.folder / "said").read_text() == ""


BAD = {
    "an error": ('x = 1\nraise ValueError("no luck")', 9, "ValueError: no luck"),
    "a failed check": ("x = 1\n\nassert x == 2", 10, "AssertionError: assert x == 2"),
    "an error in a library": (
        "import json\njson.loads('[')",
        9,
        "JSONDecodeError: Expecting value",
    ),
    "no Python": ("x = 1\nif x\n    y = 1", 9, "SyntaxError: expected ':'"),
    "a warning": ("import warnings\nwarnings.warn('old', stacklevel=1)", 9, "UserWarning: old"),
    "sys.exit": ("import sys\nprint(1)\nsys.exit(3)", 10, "sys.exit(3) ends it"),
    "an interrupt": ("x = 1\nraise KeyboardInterrupt", 9, "KeyboardInterrupt"),
    "os._exit": ("import os\nos._exit(0)", 8, "the process ends with code 0, by os._exit perhaps"),
    "output": ("for n in range(10**9):\n    print(n)", 9, "it prints more than 1,000 characters"),
    "a value": ("x = 1\n'long' * 1000", 8, "it prints more than 1,000 characters"),
}
BAD_ON_LINUX = {
    "SIGKILL": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        8,
        "killed by SIGKILL here, or in the lines after it",
    ),
    "a crash": (
        "import ctypes\n\nctypes.string_at(0)",
        10,
        "killed by SIGSEGV here, or in the lines after it",
    ),
    "a process": (
        "import subprocess\nsubprocess.Popen(['sleep', '77.125'])",
        8,
        "it leaves a process behind: sleep 77.125; end it in the lesson",
    ),
    "a daemon": (
        "import subprocess\n_ = subprocess.run('setsid sleep 78.25 &', shell=True)",
        8,
        "it leaves a process behind: sleep 78.25; end it in the lesson",
    ),
    "a thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(79,)).start()",
        8,
        "a thread still runs after its last line; end it, or make it a daemon",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_lesson_that_does_not_reach_its_end_is_named_with_its_line(run, kind):
    code, line, error = BAD[kind]
    said = run(code)[1]
    assert said["error"].startswith(error), said
    assert said["line"] == line


@FORKS
@pytest.mark.parametrize("kind", BAD_ON_LINUX)
def test_a_lesson_that_dies_or_leaves_something_behind_is_named_within_seconds(run, kind):
    code, line, error = BAD_ON_LINUX[kind]
    start = time.monotonic()
    said = run(code)[1]
    assert time.monotonic() - start < 77, "it waits for what the lesson left"
    assert said["error"] == error, said
    assert said["line"] == line
    own = [f"sleep {seconds}" for seconds in ("77.125", "78.25") if seconds in code]
    assert not set(own) & set(every_command()), "it lives on"


@FORKS
def test_a_lesson_that_cleans_up_is_not_one_that_waits_for_a_thread():
    """On a busy machine the end of a lesson takes long, and nothing is wrong with it."""
    busy, waiting = "while True: pass", "import threading; threading.Event().wait(70)"
    for code, seen in ((busy, False), (waiting, True)):
        command = [sys.executable, "-c", f"print(1, flush=True)\n{code}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            end = time.monotonic() + (30 if seen else 1)
            while not linux.sleeps(process.pid) and time.monotonic() < end:
                time.sleep(0.02)
            assert linux.sleeps(process.pid) == seen, code
            process.kill()
    assert not linux.sleeps(process.pid), "it ended"


def every_command():
    """Return the commands of all processes of this user, without this one's."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
        except OSError:
            continue
    return [command for command in found if command.startswith("sleep ")]


def test_a_time_limit_names_the_line_that_takes_so_long(run, fork):
    said = run("import time\nx = 1\ntime.sleep(77)", time_limit=3, fork=fork)[1]
    assert said["error"] == "it still runs after 3 s, the limit; make it do less"
    assert said["line"] == (10 if fork else 8), "where Python stood, or at least the cell"


def test_a_failure_ends_the_others_and_starts_no_other(run, fork):
    start = time.monotonic()
    said = run("raise ValueError", "import time\ntime.sleep(9)", "1", workers=2, fork=fork)
    assert time.monotonic() - start < 77
    assert said[1]["error"].startswith("ValueError") and 3 not in said


@FORKS
def test_nothing_lives_on_when_the_runner_is_killed(run):
    process = run.start("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(76)")
    report = run.folder / "scratch1/report.jsonl"
    while not (report.exists() and b"cell" in report.read_bytes()):
        time.sleep(0.02)
    file = run.folder / "part/pid"
    while not (file.exists() and file.read_text()):
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    end = time.monotonic() + 10
    while Path(f"/proc/{file.read_text()}").exists():
        assert time.monotonic() < end, "the lesson lives on"
        time.sleep(0.05)


def test_processes_that_end_with_the_lesson_are_welcome(run):
    code = """
import multiprocessing

def twice(n):
    return 2 * n

with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(twice, range(3)))
worker = multiprocessing.get_context("fork").Process(target=print, daemon=True)
worker.start()
"""
    said = run(code)[1]
    assert said["error"] is None, said
    assert "[0, 2, 4]" in run.printed(1)


def test_a_script_that_is_not_utf_8_is_named(run):
    said = run(lesson("x = 'é'").encode("latin-1"))[1]
    assert "UnicodeDecodeError" in said["error"] or "SyntaxError" in said["error"]
