"""The engine for a parent program: one job as JSON in, events as JSON lines out.

``python -m cropseg_geo.worker`` reads a job from standard input (or ``--job FILE``)::

    {"protocol": 1, "task": "segment", "arguments": {"raster": "field.tif", "out": "out"}}

and writes one JSON object a line to standard output: the events of :mod:`cropseg_geo.events`, the
last one a result or an error, as ``--events`` has them on the command line. Nothing else goes
there; what libraries print goes to standard error. The arguments are those of the pipeline's sentences, by
name and type.

SIGTERM and Ctrl-C stop the job as they stop the command line: half files are removed, finished blocks kept.
With ``--stop-at-eof`` the job is one line, and the end of standard input stops it too, so that it does not
outlive its parent. Exit codes: 0 done, 1 refused or failed, 2 not a job, 130 stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from cropseg_geo import __version__
from cropseg_geo.errors import CropsegError, InputError
from cropseg_geo.events import Ending, Event, Result, to_json
from cropseg_geo.failures import failure_of
from cropseg_geo.tasks import PROTOCOL, TASKS, Arguments

MAX_JOB_CHARS = 1_000_000
"""Largest job. One with thousands of corners has some hundred thousand."""

_MAX_JOB_BYTES = 4 * MAX_JOB_CHARS + 4

_POLL_S = 0.2

DONE, FAILED, NO_JOB, STOPPED = 0, 1, 2, 130


@dataclass(frozen=True)
class Job:
    """What to do, and with what; the arguments are not checked yet."""

    task: str
    arguments: Arguments


def parse_job(text: str) -> Job:
    """A job from its JSON.

    Raises
    ------
    InputError
        If it is not one, or speaks another version of the protocol.
    """
    remedy = 'expected {"protocol": 1, "task": "segment", "arguments": {…}}'
    if len(text) > MAX_JOB_CHARS:
        raise InputError(f"the job has more than {MAX_JOB_CHARS:,} characters", remedy=remedy)
    try:
        job = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise InputError(f"the job is not JSON ({err})", remedy=remedy) from err
    if not isinstance(job, dict) or not isinstance(job.get("task"), str):
        raise InputError("the job names no task", remedy=remedy)
    if job.get("protocol") != PROTOCOL:
        raise InputError(
            f"the job speaks protocol {job.get('protocol')}, engine {__version__} speaks {PROTOCOL}",
            remedy="bring the program that sent the job and the engine to versions that fit",
        )
    if unknown := sorted(set(job) - {"protocol", "task", "arguments"}):
        raise InputError(f"the job has unknown entries: {', '.join(unknown)}", remedy=remedy)
    if job["task"] not in TASKS:
        raise InputError(f"unknown task {job['task']!r}", remedy=f"expected one of {', '.join(TASKS)}")
    arguments = job.get("arguments", {})
    if not isinstance(arguments, dict):
        raise InputError("the job's arguments are not an object", remedy=remedy)
    return Job(job["task"], arguments)


def run(text: str, out: TextIO) -> int:
    """Do the job in ``text``, writing its events to ``out``; returns the exit code."""

    def say(event: Event | Ending) -> None:
        _say(out, event)

    try:
        job = parse_job(text)
    except CropsegError as err:
        say(failure_of(err))
        return NO_JOB
    try:
        values = TASKS[job.task](job.arguments, say)
    except BrokenPipeError:
        return STOPPED
    except Exception as err:  # noqa: BLE001 - the front end's duty: the parent learns of it in words
        if not isinstance(err, CropsegError | MemoryError):
            _trace()
        say(failure_of(err))
        return FAILED
    say(Result(job.task, values))
    return DONE


def _say(out: TextIO, event: Event | Ending) -> None:
    out.write(to_json(event) + "\n")
    out.flush()


def _trace() -> None:
    """The place of the error that is being handled, to standard error."""
    import traceback

    traceback.print_exc()


def _private_stdout() -> TextIO:
    """Standard output for this module alone; from here on everybody else's goes to standard error."""
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8", newline="\n")


def _private_stdin() -> int:
    """Standard input for this module alone; from here on everybody else's is empty."""
    private = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return private


def _interrupt(*_: object) -> None:
    # Once is enough: a second signal must not interrupt the cleaning up.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


# SIGBREAK is how one program stops another on Windows.
_STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)


def _may_read(stdin: int) -> bool:
    """False where a read would wait, on Windows; elsewhere it may. Raises BrokenPipeError at a pipe's end.

    Windows lets everybody wait who does anything to a pipe that is being read, be it to ask what it is, as
    NumPy's libraries ask of standard input when they are loaded; and the read would last as long as the job.
    Source: github.com/numpy/numpy/issues/24290, github.com/python/cpython/issues/78961.
    """
    if sys.platform == "win32":
        import _winapi
        import msvcrt

        try:
            return _winapi.PeekNamedPipe(msvcrt.get_osfhandle(stdin), 0)[0] != 0
        except BrokenPipeError:
            raise
        except OSError:  # no pipe: a console, a file
            return True
    else:
        return True


def _wait_for_end(stdin: int, may_read: Callable[[int], bool] = _may_read) -> None:
    """Return when standard input has ended; what cannot be read any more has."""
    with suppress(OSError):
        while True:
            if not may_read(stdin):
                time.sleep(_POLL_S)
            elif not os.read(stdin, 4096):
                return


def _stop_at_eof(stdin: int) -> None:
    """Wait for the end of standard input, then interrupt the main thread."""
    _wait_for_end(stdin)
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main()
    else:
        os.kill(os.getpid(), signal.SIGINT)


def _read_line(stdin: int) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n") and len(line) <= _MAX_JOB_BYTES and (byte := os.read(stdin, 1)):
        line += byte
    return bytes(line)


def _read_all(source: BinaryIO) -> bytes:
    with source:
        return source.read(_MAX_JOB_BYTES)


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m cropseg_geo.worker", description="One job in, JSON lines out."
    )
    parser.add_argument("--job", type=Path, help="read the job from this file, not from standard input")
    parser.add_argument("--stop-at-eof", action="store_true", help="stop when standard input ends")
    options = parser.parse_args(argv)
    out = _private_stdout()
    for number in _STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        # It may be closed where nothing is read from it.
        stdin = _private_stdin() if options.stop_at_eof or not options.job else -1
        if options.job:
            job = _read_all(options.job.open("rb"))
        else:
            job = _read_line(stdin) if options.stop_at_eof else _read_all(os.fdopen(stdin, "rb"))
        text = job.decode("utf-8")
        if options.stop_at_eof:
            threading.Thread(target=_stop_at_eof, args=(stdin,), name="cropseg-stdin", daemon=True).start()
        code = run(text, out)
    except KeyboardInterrupt:
        code = STOPPED
    except (OSError, UnicodeDecodeError) as err:
        _say(out, failure_of(InputError(f"the job cannot be read ({err})")))
        code = NO_JOB
    sys.stderr.flush()
    # Threads that are inside a library call cannot be waited for.
    os._exit(code)


if __name__ == "__main__":
    main()
