"""What the benchmarks share: processes that are watched, facts about the machine, JSON and tables."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import platformdirs
import psutil

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(platformdirs.user_cache_dir("cropseg-geo")) / "benchmarks"
"""Rasters and peers' environments: made once, outside the repository."""

SAMPLE_S = 0.05
PACKAGES = (
    "cropseg-geo",
    "torch",
    "openvino",
    "onnxruntime",
    "numpy",
    "rasterio",
    "geopandas",
    "exactextract",
)

Row = dict[str, Any]  # a result as JSON: numbers, texts, and "failed" with a reason instead of numbers


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and a row → text, empty where there is nothing to say."""

    heading: str
    text: Callable[[Row], str]


@dataclass(frozen=True)
class Watched:
    """A process that ended well. ``peak_mb`` counts it and all its children; ``lines`` is what it printed."""

    wall_s: float
    startup_s: float
    cpu_s: float
    peak_mb: float
    lines: list[tuple[float, str]]


class FailedError(Exception):
    """A process that did not end well; says why."""


def watch(
    command: Sequence[str | Path],
    *,
    started: str = "",
    environment: Mapping[str, str] | None = None,
    limit_mb: float = 20_000,
    limit_s: float = 3600,
) -> Watched:
    """Run a command in a process of its own and watch its time and memory.

    Parameters
    ----------
    command
        Program and arguments; it runs in the repository's root.
    started
        Start-up ends with the first line on standard output that holds this text.
    environment
        Variables to set on top of the present ones.
    limit_mb, limit_s
        Above this memory, or after this time, the process is ended: a failure.

    Raises
    ------
    FailedError
        With the exit code and the last line that it wrote to standard error, or the limit that it broke.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
        guard = _Guard(process.pid, limit_mb=limit_mb, limit_s=limit_s)
        guard.start()
        assert process.stdout is not None
        lines = [(time.perf_counter() - begin, line.rstrip("\n")) for line in process.stdout]
        # wait4 rather than wait: it also tells what the kernel counted.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        guard.stop()
        errors.seek(0)
        said = [line.strip() for line in errors if line.strip()]
    if guard.verdict:
        raise FailedError(guard.verdict)
    if process.returncode:
        raise FailedError(f"exit code {process.returncode}: {said[-1] if said else 'no message'}")
    return Watched(
        wall_s=wall,
        startup_s=next((at for at, line in lines if started in line), 0.0),
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=max(guard.peak_mb, guard.own_mb or _kilobytes(usage.ru_maxrss) / 1e3),
        lines=lines,
    )


def _kilobytes(ru_maxrss: int) -> float:
    # Linux counts KiB, macOS bytes.
    return ru_maxrss / 1e3 if sys.platform == "darwin" else ru_maxrss * 1.024


class _Guard(threading.Thread):
    """Samples the resident memory of a process and its children; ends them above a limit.

    ``own_mb`` is the high-water mark of the process itself where the kernel tells it. What it tells at the
    end (``ru_maxrss``) is no less than the memory of this process, from which the other one was forked.
    """

    def __init__(self, pid: int, *, limit_mb: float, limit_s: float) -> None:
        super().__init__(daemon=True)
        self.peak_mb = self.own_mb = 0.0
        self.verdict = ""
        self._pid, self._limit_mb, self._until = pid, limit_mb, time.monotonic() + limit_s
        self._limit_s, self._over = limit_s, threading.Event()

    def run(self) -> None:
        root = psutil.Process(self._pid)
        while not self._over.wait(SAMPLE_S):
            self.peak_mb = max(self.peak_mb, _resident_mb(root))
            self.own_mb = max(self.own_mb, _high_water_mb(self._pid))
            if self.peak_mb > self._limit_mb:
                self.verdict = f"ended at {self.peak_mb / 1e3:.1f} GB of memory"
            elif time.monotonic() > self._until:
                self.verdict = f"ended after {self._limit_s:.0f} s"
            if self.verdict:
                os.killpg(self._pid, signal.SIGKILL)
                return

    def stop(self) -> None:
        self._over.set()
        self.join()


def _resident_mb(root: psutil.Process) -> float:
    total = 0
    try:
        for process in (root, *root.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.Error:  # one of them has just ended
        pass
    return total / 1e6


def _high_water_mb(pid: int) -> float:
    """Linux: the largest resident memory of a running process so far. Elsewhere, or when it has ended: 0."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def arguments(doc: str, *, sizes: Sequence[int]) -> argparse.ArgumentParser:
    """The command line that all benchmarks have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(sizes), help="sides of the rasters (px)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="for rasters and environments")
    outputs(parser)
    return parser


def outputs(parser: argparse.ArgumentParser) -> None:
    """The options that are about the JSON."""
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "runs" / "benchmarks", help="for the JSON")
    parser.add_argument("--add", action="store_true", help="to the JSON; else it is replaced")


def save(
    name: str, rows: list[Row], columns: Sequence[Column], options: argparse.Namespace, **facts: object
) -> None:
    """Write ``NAME.json`` with the rows, the command and the machine; print the rows as a table."""
    path = options.out / f"{name}.json"
    if options.add and path.exists():
        new = {_subject(row) for row in rows}
        rows = [row for row in json.loads(path.read_text())["rows"] if _subject(row) not in new] + rows
        rows.sort(key=lambda row: row["size"])
    report = {
        "benchmark": name,
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
        "machine": machine(),
        "versions": versions(PACKAGES),
        **facts,
        "rows": rows,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(f"\n{table(rows, columns)}", flush=True)


def _subject(row: Row) -> tuple[object, ...]:
    """What a row is about: the same subject measured again replaces it."""
    return tuple(row.get(key) for key in ("size", "method", "device"))


def table(rows: Iterable[Row], columns: Sequence[Column]) -> str:
    """Rows as a Markdown table; what failed says why in its last cell."""
    lines = [[column.heading for column in columns], ["---", *["---:"] * (len(columns) - 1)]]
    for row in rows:
        cells = [_cell(column, row) for column in columns]
        if "failed" in row:
            cells[-1] = f"not measured: {row['failed']}"
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(column: Column, row: Row) -> str:
    try:
        return column.text(row)
    except KeyError:
        return "–"


def number(heading: str, key: str, digits: int = 1) -> Column:
    """A column of plain numbers."""
    return Column(heading, lambda row: f"{row[key]:,.{digits}f}")


SIZE = Column("Raster", lambda row: f"{row['size']}²")
PEAK = Column("Peak memory", lambda row: f"{row['peak_mb'] / 1e3:.2f} GB")
WALL = number("Wall, s", "wall_s")


def machine() -> dict[str, object]:
    """What was computed on: processor, cores, memory, system."""
    memory = psutil.virtual_memory().total
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "bf16": any(flag in _cpu_flags() for flag in ("avx512_bf16", "amx_bf16")),
        "memory_gb": round(memory / 1e9),
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _cpu_flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _cpu_flags(), re.MULTILINE)
    return found[1] if found else platform.processor()


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed versions of those packages that are installed, and GDAL's."""
    import rasterio

    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {**found, "gdal": rasterio.__gdal_version__}


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
