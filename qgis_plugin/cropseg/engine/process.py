"""The engine as a child process: start it, hear its events, stop it with everything that it started."""

from __future__ import annotations

import os
import queue
import signal
import subprocess  # nosec B404 # the engine is another program; it is started without a shell
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from .command import command, environment, in_own_group, without_window
from .deaths import explain
from .language import tr
from .protocol import Failed, Job, Result, parse

GRACE_S = 1.2
"""Time to remove half files and leave after the engine was told to stop; then it is killed."""

_LAST_S = 0.3
"""Time that the children of a killed engine have to be gone."""

_POLL_S = 0.1
_TAIL_LINES = 12


class EngineError(Exception):
    """The engine refused, failed or died.

    Parameters
    ----------
    message, remedy
        What happened, and what can be done about it.
    log
        File with all that the engine said.
    kind
        The engine's own name of the error; ``"Crash"`` where it died without a word.
    """

    def __init__(
        self, message: str, remedy: str = "", *, log: Path | None = None, kind: str = "Crash"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.log = log
        self.kind = kind

    def __str__(self) -> str:
        lines = [self.message]
        if self.remedy:
            lines.append(f"→ {self.remedy}")
        if self.log:
            lines.append(tr("Log: {}").format(self.log))
        return "\n".join(lines)


class Cancelled(Exception):  # noqa: N818 - no error: the user asked for it
    """The job was stopped because ``is_cancelled`` said so; whether finished blocks of it are kept."""

    keeps_blocks = False


def run(
    python: Path,
    job: Job,
    *,
    on_event: Callable[[Any], None],  # Any: the events of protocol
    is_cancelled: Callable[[], bool],
    log: Path,
    settings: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """Do a job in the engine and wait for it.

    Parameters
    ----------
    python
        The engine's Python.
    on_event
        Called in this thread with every event but the result.
    is_cancelled
        Asked ten times a second; when it says yes, the engine and its children are gone within two seconds.
    log
        File for everything that the engine writes to standard error; its folder is made.
    settings
        Environment variables in place of this process's own.

    Returns
    -------
    Mapping
        The result's values.

    Raises
    ------
    Cancelled
        If it was.
    EngineError
        In every other case without a result.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8", errors="replace") as errors:
        errors.write(f"{python}\n{job.to_json()}\n\n")
        errors.flush()
        child = _start(python, errors, os.environ if settings is None else settings)
        lines: queue.Queue[bytes | None] = queue.Queue()
        reader = threading.Thread(target=_read_all, args=(child.stdout, lines), daemon=True)
        reader.start()
        try:
            _send(child, job)
            result, failure = _listen(child, lines, on_event, is_cancelled)
        except BaseException:
            stop(child)
            raise
        finally:
            _close_stream(child.stdin)
            # Its output ends with the last of its children.
            reader.join(_LAST_S)
        if failure:
            errors.write(f"\n{failure}\n")
    if result is not None:
        return result.values
    if failure:
        raise EngineError(failure.message, failure.remedy, log=log, kind=failure.kind)
    raise _death(child.returncode, log)


def _start(python: Path, errors: Any, inherited: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # nosec B603 # a list, no shell; the Python is the user's own choice
            command(python),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(inherited),
            cwd=Path.home(),
            **in_own_group(),
        )
    except OSError as err:
        raise EngineError(
            tr("The engine {} cannot be started ({}).").format(python, err.strerror or err),
            tr("choose another Python in Settings › Options › CropSeg, or install the engine again"),
        ) from err


def _send(child: subprocess.Popen[bytes], job: Job) -> None:
    try:
        child.stdin.write(job.to_json().encode() + b"\n")
        child.stdin.flush()
    except OSError:
        # It died at once; the exit code says why.
        return


def _listen(
    child: subprocess.Popen[bytes],
    lines: queue.Queue[bytes | None],
    on_event: Callable[[Any], None],
    is_cancelled: Callable[[], bool],
) -> tuple[Result | None, Failed | None]:
    """Events until the engine ends. Raises Cancelled."""
    result, failure = None, None
    is_alone = False
    while True:
        if is_cancelled():
            raise Cancelled
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            if child.poll() is None:
                continue
            if is_alone:
                break
            # It has gone, but what it started holds its output open and would be waited for.
            kill_tree(child)
            is_alone = True
            continue
        if line is None:
            break
        event = parse(line.decode("utf-8", errors="replace"))
        if isinstance(event, Result):
            result = event
        elif isinstance(event, Failed):
            failure = event
        else:
            on_event(event)
    while child.poll() is None:
        if is_cancelled():
            raise Cancelled
        time.sleep(_POLL_S / 4)
    return result, failure


def _read_all(stream: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    # Closed here and nowhere else: another thread could not, while this one reads.
    try:
        with stream:
            for line in stream:
                lines.put(line)
    finally:
        lines.put(None)


def stop(child: subprocess.Popen[bytes], *, grace_s: float = GRACE_S) -> None:
    """End a child and everything that it started: first it is asked to, then it is killed.

    The end of its standard input is the request, which the engine understands on every system.
    """
    _close_stream(child.stdin)
    if os.name != "nt" and child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=grace_s)
    # Also where the child itself has gone: its children may have stayed.
    kill_tree(child)
    child.wait()


def kill_tree(child: subprocess.Popen[bytes]) -> None:
    """Kill a child and its children, at once."""
    if os.name == "nt":
        subprocess.run(  # nosec B603 B607 # a tool of Windows itself
            ["taskkill", "/T", "/F", "/PID", str(child.pid)],
            capture_output=True,
            check=False,
            **without_window(),
        )
    else:
        _signal_group(child.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def _close_stream(stream: Any) -> None:
    try:
        stream.close()
    except OSError:
        return


def _death(code: int, log: Path) -> EngineError:
    """An end without a result and without a reason, in words."""
    death = explain(code, _tail(log))
    return EngineError(death.message, death.remedy, log=log, kind=death.kind)


def _tail(log: Path) -> str:
    """The last lines of a log, without the job that it begins with."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[3:]
    return "\n".join(line for line in lines[-_TAIL_LINES:] if line.strip())
