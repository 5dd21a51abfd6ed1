"""One writer for a file: who writes it holds a lock beside it, and everybody else is told who that is.

A lock is a small hidden file that is made exclusively, says which process made it, and is touched as long as
that process lives. It is stale, and taken over, when its process is gone; from another machine, where that
cannot be seen, when it has not been touched for a while by the clock of the disk that both of them use.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from cropseg_geo.errors import InUseError, OutputError
from cropseg_geo.paths import patiently

TOUCH_S = 15.0
"""Time between two signs of life of a lock's holder."""

EXPIRY_S = 120.0
"""Time without a sign of life after which another machine's lock is stale."""

_held: ContextVar[frozenset[Path]] = ContextVar("cropseg_held_locks", default=frozenset())
"""Locks of this thread: a sentence that says another one does not lock itself out."""

_CLOCK_S = 5.0
"""How long the disk's clock is known without another look at it."""

_clocks: dict[Path, tuple[tuple[float, float], float]] = {}
"""Of each folder this machine's clocks, steady and set, and its disk's."""

_left: set[str] = set()
"""Tokens of locks that this process has released and could not delete."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: ``machine`` is one boot of one system or container, ``token`` one taking of it."""

    host: str
    machine: str
    pid: int
    started: float
    since: str
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Lock:
    """A lock that this process holds; made by :func:`locked`."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.path, self.holder = path, holder
        self._released = threading.Event()
        self._beat = threading.Thread(target=self._keep_fresh, name="cropseg-lock", daemon=True)
        self._beat.start()

    @property
    def is_held(self) -> bool:
        """False once another run has taken the lock over (after this machine slept, say)."""
        return read_holder(self.path) == self.holder

    def require_held(self) -> None:
        """Raise InUseError if another run has taken the lock over."""
        if not self.is_held:
            raise InUseError(
                f"{self.path}: another run has taken over while this one gave no sign of life",
                remedy="let that one finish, or stop it and run the same command again",
            )

    def release(self) -> None:
        self._released.set()
        self._beat.join()
        if self.is_held and not _removed(self.path):
            _left.add(self.holder.token)

    def _keep_fresh(self) -> None:
        while not self._released.wait(TOUCH_S):
            with suppress(OSError):
                if self.is_held:
                    os.utime(self.path)


@contextmanager
def locked(paths: Iterable[Path]) -> Iterator[tuple[Lock, ...]]:
    """Hold the locks of files for a block of code; each file's folder must exist.

    Raises
    ------
    InUseError
        If another run holds one of them; says which and since when.
    OutputError
        If locks cannot be written.
    """
    wanted = [path for path in map(lock_path, paths) if path not in _held.get()]
    with ExitStack() as stack:
        locks = []
        for path in sorted(set(wanted)):
            locks.append(Lock(path, _take(path)))
            stack.callback(locks[-1].release)
        token = _held.set(_held.get() | set(wanted))
        try:
            yield tuple(locks)
        finally:
            _held.reset(token)


def lock_path(path: Path) -> Path:
    """The lock of a file: hidden, beside it."""
    return path.parent.resolve() / f".{path.name}.lock"


def read_holder(lock: Path) -> Holder | None:
    """Who holds a lock; None where there is none, or none that says so."""
    try:
        holder = Holder(**json.loads(lock.read_text(encoding="utf-8")))
        is_ours = isinstance(holder.pid, int) and holder.pid > 0 and isinstance(holder.started, float)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return holder if is_ours else None


def refuse_locked(paths: Iterable[Path]) -> None:
    """Raise InUseError if another run holds the lock of one of the files."""
    for path in paths:
        if is_locked(path):
            raise _refusal(lock_path(path))


def is_locked(path: Path) -> bool:
    """Whether another run is writing a file, as far as the disk lets that be seen."""
    lock = lock_path(path)
    if lock in _held.get() or not lock.exists():
        return False
    try:
        return not _is_stale(lock, read_holder(lock))
    except OSError:  # full, or away for a moment
        return True


def _take(lock: Path) -> Holder:
    """Make the lock's file, over a stale one if need be. Raises InUseError, OutputError."""
    mine = _this_process()
    for _ in range(3):
        if _make(lock, mine):
            return mine
        found = read_holder(lock)
        if not _is_stale(lock, found):
            raise _refusal(lock)
        _remove_stale(lock, found)
    raise _refusal(lock)


def _make(lock: Path, holder: Holder) -> bool:
    """Put a whole lock file in place; False if there is one."""
    draft = lock.with_name(f".cropseg-lock-{holder.token}")  # as short for long names
    try:
        draft.write_text(json.dumps(asdict(holder)), encoding="utf-8")
        try:
            os.link(draft, lock)
        except FileExistsError:
            # Over NFS a link that was made and asked for once more is said to exist. Source: open(2), O_EXCL.
            return read_holder(lock) == holder
        except OSError:  # a disk without links
            with lock.open("x", encoding="utf-8") as file:
                file.write(json.dumps(asdict(holder)))
    except FileExistsError:
        return False
    except OSError as err:
        raise OutputError(
            f"{lock}: cannot be written ({err.strerror})", remedy="choose another --out folder"
        ) from err
    finally:
        _removed(draft)
    return True


def _remove_stale(lock: Path, found: Holder | None) -> None:
    """Remove a stale lock, one process at a time: between the look and the removal it stays what it is."""
    guard = lock.with_name(f"{lock.name}.takeover")
    try:
        guard.touch(exist_ok=False)
    except FileExistsError:
        with suppress(FileNotFoundError):
            if _is_expired(guard):  # its process died in these lines
                _removed(guard)
        time.sleep(0.01)
        return
    try:
        if read_holder(lock) == found:
            _removed(lock)
    finally:
        _removed(guard)


def _removed(path: Path) -> bool:
    """Delete a file; False where that is forbidden, as Windows does while another program has it open."""
    try:
        patiently(lambda: path.unlink(missing_ok=True))
    except OSError:
        return False
    return True


def _is_stale(lock: Path, holder: Holder | None) -> bool:
    """True if whoever made the lock is gone."""
    if holder is not None and holder.machine == _machine():
        return holder.token in _left or not _is_alive(holder)
    try:
        return _is_expired(lock)
    except FileNotFoundError:
        return True


def _is_expired(file: Path) -> bool:
    """True without a sign of life by now; one from the future is older than a clock that was set back."""
    return abs(_disk_now(file.parent) - file.stat().st_mtime) > EXPIRY_S


def _is_alive(holder: Holder) -> bool:
    import psutil

    try:
        process = psutil.Process(holder.pid)
        # The start as well: numbers of processes come round again.
        is_same = abs(process.create_time() - holder.started) < 2
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _disk_now(folder: Path) -> float:
    """Now, by the clock that stamps files in a folder; a file is made for that once in a few seconds."""
    steady, here = time.monotonic(), time.time()
    if found := _clocks.get(folder):
        (steady_then, here_then), disk_then = found
        passed = steady - steady_then
        # Both clocks of this machine have to agree that little time has passed: neither slept nor was set.
        if passed < _CLOCK_S and abs(here - here_then - passed) < 1.0:
            return disk_then + passed
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".cropseg-clock-") as file:
        disk = os.fstat(file.fileno()).st_mtime
    _clocks[folder] = ((steady, here), disk)
    return disk


def _refusal(lock: Path) -> InUseError:
    file, holder = lock.name.removeprefix(".").removesuffix(".lock"), read_holder(lock)
    return InUseError(
        f"{lock.with_name(file)}: is being written by another run ({holder or 'it does not say which'})",
        remedy="wait for it or stop it, or choose another --out; if its machine is gone, this is over "
        f"{EXPIRY_S:.0f} s after its last sign of life",
    )


def _this_process() -> Holder:
    import psutil

    return Holder(
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=psutil.Process().create_time(),
        since=datetime.now(UTC).astimezone().isoformat(sep=" ", timespec="seconds"),
        token=uuid4().hex,
    )


def _machine() -> str:
    """What processes share that can see each other: the host, this boot of it, the container."""
    facts = [socket.gethostname()]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(facts)
