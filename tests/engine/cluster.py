"""A dask scheduler and its workers as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

TESTS = Path(__file__).parents[1]


class Cluster:
    """Starts processes and kills them; :attr:`address` is the scheduler's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen] = []
        where = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(where))
        until(lambda: where.exists() and where.read_text())
        self.address = json.loads(where.read_text())["address"]

    def add_worker(self, *, cwd: Path | None = None, **environment: str) -> subprocess.Popen:
        """A worker process of one lane, without a nanny that would start it again."""
        worker = self._start("worker", self.address, "--nthreads", "1", "--no-nanny", cwd=cwd, **environment)
        self.workers.append(worker)
        return worker

    def require_worker(self) -> None:
        """One at least lives, and the scheduler knows it: a test of a shared cluster may run alone."""
        if all(worker.poll() is not None for worker in self.workers):
            self.add_worker()
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)

    def kill(self, process: subprocess.Popen) -> None:
        """As a power cut does it."""
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                self.kill(process)

    def _start(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen:
        env = os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent}", "PYTHONWARNINGS": "ignore"} | environment
        with (self.folder / "log.txt").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--host", "127.0.0.1", "--no-dashboard"],
                cwd=cwd or self.folder, env=env, stdout=log, stderr=log,
            )  # fmt: skip


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()


def until(condition, *, seconds: float = 60.0) -> None:
    """Wait for something that will be true soon."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not true after {seconds} s: {condition}")
        time.sleep(0.02)
