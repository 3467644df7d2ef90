"""What happens in the process of one lesson: it runs, and a file says how far it came.

Everything that a lesson may change ends with its process: settings of libraries, the environment,
patches, threads. So nothing is put back here.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import time
import traceback
from json import dumps  # by its name: a lesson may change the module
from pathlib import Path
from typing import Any, NamedTuple

from sphinx_gallery import gen_rst


class Job(NamedTuple):
    """A lesson to run."""

    script: Path
    target: Path  # where its copy belongs, below `made`
    scratch: Path  # a folder for everything that is written while it runs
    gallery: dict[str, Any]  # sphinx_gallery_conf
    output_limit: int

    @property
    def made(self) -> Path:
        """The folder of the results, laid out as the folder with conf.py."""
        return self.scratch / "made"

    @property
    def report(self) -> Path:
        """A line of JSON for each step."""
        return self.scratch / "report.jsonl"

    @property
    def trace(self) -> Path:
        """Where Python stood when it was killed, or when it was asked."""
        return self.scratch / "trace.txt"

    @property
    def output(self) -> Path:
        """What was printed past Python, and what went wrong outside of the lesson."""
        return self.scratch / "output.txt"


class Ended(BaseException):
    """The lesson does not come to its end; no `except Exception` of its own may catch this."""


def run(job: Job) -> None:
    """Run a lesson, and leave the process."""
    with job.report.open("a", encoding="utf-8", buffering=1) as report:

        def say(**what: object) -> None:
            report.write(dumps(what) + "\n")

        _redirect(job)
        _watch(job, say)
        start = time.monotonic()
        try:
            conf = job.gallery | {"src_dir": str(job.made)}
            gen_rst.generate_file_rst(job.script.name, job.target.parent, job.script.parent, conf)
        except Ended:
            sys.exit(1)
        except BaseException as error:
            _say_error(say, job, error)
            sys.exit(1)
        say(done=time.monotonic() - start)
    sys.exit()  # as Python itself ends: threads are waited for, and what is registered is run


def _redirect(job: Job) -> None:
    """Give the process no input, and a file for what is printed past Python."""
    sys.stdout.flush()
    sys.stderr.flush()
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(job.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(nothing, 0)
    for number in (1, 2):
        os.dup2(output, number)
    trace = job.trace.open("w")  # stays open: the handlers below write to it
    faulthandler.enable(trace, all_threads=False)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, trace, all_threads=False)


def _watch(job: Job, say: Any) -> None:
    """Note which cell runs, how much it prints, and the line of an error.

    A page shows the standard output alone: what libraries log depends on the machine.
    """
    run_cell, tee, written = gen_rst.execute_code_block, gen_rst._LoggingTee, 0
    capture = tee.set_std_and_reset_position

    def noted_cell(compiler: Any, block: Any, *rest: Any) -> str:
        if block.type == "code":
            blank = len(block.content) - len(block.content.lstrip("\n"))
            say(cell=block.lineno + blank)
        found: str = run_cell(compiler, block, *rest)
        if len(found) > 2 * job.output_limit:  # the value of the last expression
            refuse()
        return found

    def refuse() -> None:
        say(error=f"it prints more than {job.output_limit:,} characters; print less")
        raise Ended

    def counted(self: Any, data: str) -> None:
        nonlocal written
        written += len(data)
        if written > job.output_limit:
            frames = [f for f in traceback.extract_stack() if f.filename == str(job.script)]
            say(cell=frames[-1].lineno if frames else None)
            refuse()
        self.output.write(data)  # and not to the log: that may be on its way to this very stream

    def standard_output_alone(self: Any) -> Any:
        capture(self)
        sys.stderr = self.origs[1]
        return self

    def noted_error(exc_info: Any, *_rest: object) -> str:
        _say_error(say, job, exc_info[1])
        raise Ended

    gen_rst.execute_code_block = noted_cell
    gen_rst.handle_exception = noted_error
    tee.write = counted
    tee.set_std_and_reset_position = standard_output_alone


def _say_error(say: Any, job: Job, error: BaseException) -> None:
    """Say the line of the lesson, and what went wrong in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [n for n, frame in enumerate(frames) if frame.filename == str(job.script)]
    line = frames[own[-1]].lineno if own else None
    if isinstance(error, SyntaxError) and error.filename == str(job.script):
        line = error.lineno
    said = " ".join(str(error).strip().partition("\n")[0].split())
    what = f"{type(error).__name__}: {said or (frames[own[-1]].line if own else '')}"
    if isinstance(error, SystemExit):
        what = f"sys.exit({error.code!r}) ends it; a lesson runs to its end"
    shown = traceback.format_list(frames[own[0] :] if own else frames)
    say(line=line, error=what, traceback="".join([*shown, *traceback.format_exception_only(error)]))


def main(file: str) -> None:
    """Run the lesson that a file describes, where processes cannot be forked."""
    with open(file, "rb") as jobs:
        run(pickle.load(jobs))


if __name__ == "__main__":
    main(sys.argv[1])
