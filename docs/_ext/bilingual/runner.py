"""Run lessons, each in a process of its own; `python -m bilingual.runner FILE`.

This process imports what takes long (`bilingual_warm_up`), and each lesson is forked from it, so
that it starts at once and finds everything as it was. Between the two stands a process that watches
the lesson: it knows the time, and it inherits what the lesson leaves behind. Where that is not
possible (Windows, macOS) each lesson is a fresh process that imports everything itself; there, only
the time is watched.

A line of JSON on the standard output says how each lesson ended. After a failure the lessons that
still run are ended, and no other one starts.
"""

from __future__ import annotations

import json
import os
import pickle
import runpy
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from bilingual import lesson_process, linux
from bilingual.lesson_process import Job

GRACE = 5  # seconds in which processes of a lesson may end after it
EXIT = 10  # seconds that a lesson may wait for its threads after its last line
ENDED_BY_US = 77  # the exit code of a watcher that was told to stop


class Work(NamedTuple):
    """What this process is started for."""

    jobs: list[Job]
    warm_up: Path | None
    workers: int
    fork: bool
    time_limit: float


def main(file: str) -> None:
    """Run the lessons that a file describes."""
    work: Work = pickle.loads(Path(file).read_bytes())
    if work.fork and linux.can_fork():
        run_forked(work)
    else:
        run_fresh(work)


def run_forked(work: Work) -> None:
    """Fork the lessons, so many at a time."""
    linux.end_with_parent()
    if work.warm_up:
        runpy.run_path(str(work.warm_up))
    if (threads := linux.threads()) > 1:
        sys.exit(f"{work.warm_up}: it starts {threads - 1} threads; a fork would not have them")
    waiting, running, failed = list(work.jobs), {}, False
    while running or (waiting and not failed):
        while waiting and not failed and len(running) < work.workers:
            job = waiting.pop(0)
            watcher = os.fork()
            if not watcher:
                watch(job, work.time_limit)
            running[watcher] = job
        process, status = os.wait()
        job = running.pop(process)
        if os.waitstatus_to_exitcode(status) == ENDED_BY_US:
            continue
        error = say_how_it_ended(job)
        if error and not failed:
            for other in running:
                os.kill(other, signal.SIGTERM)
        failed = failed or error


def watch(job: Job, time_limit: float) -> None:
    """Fork a lesson and wait for its end, write how it ended, and leave this process."""
    linux.end_with_parent()
    linux.adopt_orphans()
    lesson = os.fork()
    if not lesson:
        linux.end_with_parent()
        os.setsid()
        lesson_process.run(job)  # does not return

    def stop(number: int, frame: object) -> None:
        os.kill(lesson, signal.SIGKILL)
        linux.wait_for_orphans(0)
        os._exit(ENDED_BY_US)

    signal.signal(signal.SIGTERM, stop)
    start = before = time.monotonic()
    done, waited = False, 0.0
    how: dict[str, object] = {}
    while not (ended := os.waitpid(lesson, os.WNOHANG))[0]:
        now = time.monotonic()
        # It sleeps while it waits for a thread. To clean up may take longer on a busy machine.
        waited += now - before if done and linux.sleeps(lesson) else 0
        before, done = now, done or b'"done"' in read_report(job)
        if now > start + time_limit or waited > EXIT:
            os.kill(lesson, signal.SIGUSR1)  # faulthandler writes the line
            time.sleep(0.2)
            os.kill(lesson, signal.SIGKILL)
            os.waitpid(lesson, 0)
            how = {"threads": True} if waited > EXIT else {"late": time_limit}
            break
        time.sleep(0.02)
    else:
        how = {"code": os.waitstatus_to_exitcode(ended[1])}
    how["left"] = linux.wait_for_orphans(GRACE if how.get("code") == 0 else 0)
    (job.scratch / "how.json").write_text(json.dumps(how))
    os._exit(0)


def run_fresh(work: Work) -> None:
    """Start a process for each lesson, so many at a time."""
    failed = False

    def run(job: Job) -> None:
        nonlocal failed
        if failed:
            return
        file = job.scratch / "job.pickle"
        file.write_bytes(pickle.dumps(job))
        how: dict[str, object] = {}
        command = [sys.executable, "-m", "bilingual.lesson_process", str(file)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr) as process:
            begun = None
            while process.poll() is None and not failed:
                if begun is None and read_report(job):
                    begun = time.monotonic()
                if begun and time.monotonic() > begun + work.time_limit:
                    how["late"] = work.time_limit
                    break
                time.sleep(0.05)
            process.kill()
        if failed:
            return
        (job.scratch / "how.json").write_text(json.dumps({"code": process.returncode} | how))
        failed = say_how_it_ended(job)

    with ThreadPoolExecutor(work.workers) as pool:
        list(pool.map(run, work.jobs))


def read_report(job: Job) -> bytes:
    """Return what the lesson has said so far."""
    return job.report.read_bytes() if job.report.exists() else b""


def say_how_it_ended(job: Job) -> bool:
    """Print a line for the lesson, and return whether it failed."""
    said: dict[str, Any] = {}
    for line in read_report(job).decode().splitlines():
        said |= json.loads(line)
    try:
        how = json.loads((job.scratch / "how.json").read_text())
    except OSError:
        how = {"code": None}
    error = said.get("error") or what_happened(said, how)
    line = said.get("line") or line_of_trace(job) or said.get("cell")
    shown = {"script": str(job.script), "line": line, "error": error, "seconds": said.get("done")}
    if error and job.output.exists():
        tail = job.output.read_text("utf-8", "replace")[-2000:]
        shown["traceback"] = said.get("traceback", "") + tail
    print(json.dumps(shown), flush=True)
    return bool(error)


def what_happened(said: dict[str, Any], how: dict[str, Any]) -> str | None:
    """Say in words how a lesson ended that did not say so itself."""
    if "late" in how:
        return f"it still runs after {how['late']:g} s, the limit; make it do less"
    if "threads" in how:
        return "a thread still runs after its last line; end it, or make it a daemon"
    if how.get("left"):
        return f"it leaves a process behind: {', '.join(how['left'])}; end it in the lesson"
    code = how["code"]
    if code is None:
        return "the process that watched it was killed"
    if code < 0:
        when = "after its last line" if "done" in said else "here, or in the lines after it"
        return f"killed by {signal.Signals(-code).name} {when}"
    if "done" not in said:
        return f"the process ends with code {code}, by os._exit perhaps; a lesson runs to its end"
    return f"Python ends with code {code} after its last line" if code else None


def line_of_trace(job: Job) -> int | None:
    """Return the line of the lesson that faulthandler wrote down."""
    if job.trace.exists():
        mark = f'File "{job.script}", line '
        for row in job.trace.read_text("utf-8", "replace").splitlines():
            if mark in row:
                return int(row.partition(mark)[2].split()[0])
    return None


if __name__ == "__main__":
    main(sys.argv[1])
