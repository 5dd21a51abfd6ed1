"""cropseg segment beside what one would take instead: the same network, the same raster, the same run.

    uv run python tests/benchmarks/peers.py --sizes 4096 8192 16384

Each method runs in a process of its own, the peers in environments of their own (see environments.py), all
with their defaults. Ours writes mask, probability, overviews and polygons; the script writes mask
and probability, the others a mask. Compare within one run.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rasterio
from environments import environment
from forward import best, forward_rates
from harness import PEAK, SIZE, WALL, Column, FailedError, Row, arguments, number, save, watch
from rasters import orthomosaic
from scale import counted, segment_command

MODEL = "canopy-s"
OURS = "cropseg segment"
BARE = "bare forward pass, valid pixels once"
CONTESTANTS = Path(__file__).parent / "contestants"
COLUMNS = (
    Column("Method", lambda row: row["method"]),
    SIZE,
    WALL,
    number("After start-up, s", "work_s"),
    number("Raster MP/s", "raster_mp_s", 2),
    number("Valid MP/s", "valid_mp_s", 2),
    PEAK,
    Column("Time ÷ ours", lambda row: f"{row['times_ours']:.2f}"),
    Column("Valid pixels unlike ours", lambda row: f"{row['unlike']:.2%}"),
)


@dataclass(frozen=True)
class Task:
    """What a method gets: the network as TorchScript, a raster, and a folder of its own for the mask."""

    network: Path
    raster: Path
    folder: Path
    cache: Path

    @property
    def mask(self) -> Path:
        return self.folder / f"{self.raster.stem}_mask.tif"


Method = Callable[[Task], list[str | Path]]


def ours(*options: str) -> Method:
    return lambda task: segment_command(task.raster, task.folder, *options)


def script(task: Task) -> list[str | Path]:
    return [sys.executable, CONTESTANTS / "run_script.py", task.network, task.raster, task.mask]


def peer(name: str, file: str) -> Method:
    def command(task: Task) -> list[str | Path]:
        python = environment(name, task.cache).python
        return [python, CONTESTANTS / file, task.network, task.raster, task.mask]

    return command


METHODS: dict[str, Method] = {
    OURS: ours(),
    f"{OURS} --precision fp32": ours("--precision", "fp32"),
    f"{OURS} --backend torch": ours("--backend", "torch"),
    "plain script": script,
    "geoai-py": peer("geoai", "run_geoai.py"),
    "geo-inference": peer("geo-inference", "run_geo_inference.py"),
}


def main() -> None:
    parser = arguments(__doc__, sizes=(4096, 8192, 16384))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME")
    parser.add_argument("--limit-gb", type=float, default=20, help="a method above this memory is ended")
    parser.add_argument("--limit-s", type=float, default=1800, help="a method is ended after this time")
    options = parser.parse_args()
    # Ours always runs: the others are compared with it.
    names = [name for name in METHODS if name in {OURS, *options.methods}]
    options.cache.mkdir(parents=True, exist_ok=True)
    facts = {"model": MODEL, "forward": forward_rates("cpu"), "peers": peer_versions(options.cache)}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=options.cache) as folder:
        network = exported(Path(folder))
        for size in options.sizes:
            raster, reference = orthomosaic(size, options.cache), Path(folder) / "ours.tif"
            base: Row = {}
            for name in names:
                task = Task(network, raster, Path(folder) / "out", options.cache)
                row = result(name, task, reference, options)
                if name == OURS:
                    base = row
                    rows.append({"method": BARE, "size": size} | bare(row, best(facts["forward"])))
                if {"work_s"} <= row.keys() & base.keys():
                    row["times_ours"] = row["work_s"] / base["work_s"]
                rows.append({"method": name, "size": size} | row)
            save("peers", rows, COLUMNS, options, **facts)


def bare(ours_: Row, forward_mp_s: float) -> Row:
    """The time of the network alone for the valid pixels, once each."""
    if "failed" in ours_:
        return ours_
    seconds = ours_["valid_mp"] / forward_mp_s
    return {"work_s": seconds, "valid_mp_s": forward_mp_s, "times_ours": seconds / ours_["work_s"]}


def result(name: str, task: Task, reference: Path, options: argparse.Namespace) -> Row:
    """Times, memory and the share of valid pixels that differ from ours; or why there are none."""
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir()
    try:
        run = watch(
            METHODS[name](task),
            started="started",
            limit_mb=1000 * options.limit_gb,
            limit_s=options.limit_s,
        )
    except FailedError as failure:
        return {"failed": str(failure)}
    if not task.mask.exists():
        return {"failed": "it ended without a mask"}
    if name == OURS:
        shutil.copy(task.mask, reference)
    pixels, valid = counted(reference)
    work = run.wall_s - run.startup_s
    return {
        "wall_s": run.wall_s,
        "work_s": work,
        "cpu_s": run.cpu_s,
        "raster_mp_s": pixels / 1e6 / work,
        "valid_mp_s": valid / 1e6 / work,
        "valid_mp": valid / 1e6,
        "peak_mb": run.peak_mb,
        "unlike": unlike(task.mask, reference) / valid,
    }


def unlike(mask: Path, reference: Path) -> int:
    """Pixels that are valid in ``reference`` and have another class in ``mask``."""
    with rasterio.open(mask) as theirs, rasterio.open(reference) as ours_:
        count = 0
        for _, window in ours_.block_windows(1):
            expected = ours_.read(1, window=window)
            count += int(((theirs.read(1, window=window) != expected) & (expected != 255)).sum())
    return count


def exported(folder: Path) -> Path:
    """The network as TorchScript."""
    network = folder / "network.pt"
    watch([sys.executable, CONTESTANTS / "export_network.py", MODEL, network])
    return network


def peer_versions(cache: Path) -> dict[str, dict[str, str]]:
    """What is installed in the peers' environments."""
    found = {}
    for name in ("geoai", "geo-inference"):
        try:
            found[name] = environment(name, cache).versions
        except FailedError as failure:
            found[name] = {"failed": str(failure)}
    return found


if __name__ == "__main__":
    main()
