"""A process that starts runs as children of its own, so that a run costs no start-up; run as a script.

Lines of JSON on standard input, each a run: ``raster``, ``out``, ``log`` and what is to go wrong. For each, a
line with its process, and one with how it ended. The model is a formula that writes down each tile.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from fakes import TileDependentPredictor

import cropseg_geo.pipeline.drafting
import cropseg_geo.preflight
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import CropsegError
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from cropseg_geo.pipeline import segment

SECONDS_A_TILE = 0.004
OPTIONS = {"tile_px": 64, "overlap_px": 16}


@dataclass(frozen=True)
class LoggingPredictor:
    """Logs a tile when it is inferred; from the tile ``fails_at`` on, the memory is used up."""

    log: str
    fails_at: int | None = None

    backend, device, precision = "formula", "cpu", "fp32"
    device_type = "cpu"
    identity = {"backend": "formula"}  # noqa: RUF012 - never changed

    @cached_property
    def card(self):
        return read_card(find_model(DEFAULT_MODEL))

    def describe(self) -> str:
        return "cpu, a formula"

    def predict(self, batch):
        time.sleep(SECONDS_A_TILE * len(batch))
        with Path(self.log).open("a") as log:
            for tile in batch:
                log.write(f"{hashlib.sha256(tile.tobytes()).hexdigest()[:16]}\n")
            if self.fails_at is not None and log.tell() > 17 * self.fails_at:
                raise MemoryError("no room")
        return TileDependentPredictor().predict(batch)


def run(job: dict) -> int:
    """One run in this process; its exit code as the command line's."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if job.get("file_bytes"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_bytes"], job["file_bytes"]))
    predictor = LoggingPredictor(job["log"], job.get("fails_at"))
    cropseg_geo.preflight.choose_predictor = lambda *_, **__: predictor
    cropseg_geo.preflight.TILES_PER_BLOCK_SIDE = 2
    try:
        segment(job["raster"], job["out"], workers=Workers(lanes=2), **OPTIONS, **job.get("options", {}))
    except CropsegError as err:
        Path(job["out"], "error.txt").write_text(str(err))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def main() -> None:
    np.seterr(all="raise")
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            os.close(1)
            os.open(os.devnull, os.O_WRONLY)
            code = 70
            try:
                code = run(json.loads(line))
            finally:
                os._exit(code)
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
