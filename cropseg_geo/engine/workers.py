"""Where blocks are computed: threads of this process, local processes, or a dask cluster."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from cropseg_geo.errors import InputError
from cropseg_geo.machine import usable_cores

MAX_LANES = 8
"""Lanes chosen at most: each takes memory, and the lanes share one disk. ``--lanes`` says otherwise."""


@dataclass(frozen=True)
class Workers:
    """Where blocks are computed.

    Parameters
    ----------
    lanes
        Threads of a process that each compute a tile at a time; None chooses.
    processes
        Local worker processes, for one machine with many cores; 0 stays in this process. A script that asks
        for some has to do so under ``if __name__ == "__main__":``, as with :mod:`multiprocessing`.
    max_processes
        Let the number of local worker processes follow the work, up to this; None keeps it.
    scheduler
        Address of a running dask scheduler (``tcp://…``); its workers must see the input and the store.
    gpus
        Values of ``CUDA_VISIBLE_DEVICES``, one for each local worker process, which then has one lane.
    """

    lanes: int | None = None
    processes: int = 0
    max_processes: int | None = None
    scheduler: str | None = None
    gpus: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("lanes", 1), ("processes", 0), ("max_processes", 1)):
            value = getattr(self, name)
            is_left_out = value is None and name != "processes"
            is_whole = isinstance(value, Integral) and not isinstance(value, bool)
            if not is_left_out and not (is_whole and value >= least):
                raise InputError(
                    f"{name}={value!r} cannot be used", remedy=f"give a whole number, {least} or more"
                )
        if self.max_processes is not None and not 0 <= self.processes <= self.max_processes > 0:
            raise InputError(
                f"{self.processes} to {self.max_processes} workers is no range",
                remedy="give the smaller number first, for example --workers 2:8",
            )
        if self.scheduler is not None and not self.scheduler.strip():
            raise InputError(
                "--scheduler is empty",
                remedy="give its address, tcp://HOST:PORT, or leave the option out to compute here",
            )
        if self.scheduler and (self.processes or self.max_processes or self.lanes):
            raise InputError(
                "a scheduler has workers and lanes of its own, and --workers or --lanes are given",
                remedy="give --scheduler alone; its lanes are the --nthreads of its workers",
            )

        if self.gpus and not 0 < self.processes <= len(self.gpus):
            raise InputError(
                f"{self.processes} workers for {len(self.gpus)} GPUs",
                remedy="give --workers at most the number of GPUs: each worker has one",
            )

    @property
    def is_distributed(self) -> bool:
        """True where blocks are computed in other processes."""
        return bool(self.scheduler or self.processes or self.max_processes)

    @property
    def process_count(self) -> int:
        """Processes of this machine that compute, at most."""
        return self.max_processes or self.processes or 1

    @property
    def lane_count(self) -> int:
        """Lanes as given; else one thread a worker process, or a lane a usable core, up to eight."""
        return self.lanes or (1 if self.is_distributed else min(MAX_LANES, usable_cores()))
