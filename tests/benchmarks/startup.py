"""How long a user waits: from the start of the process to help, to a check, to the first tile of a run.

    uv run python tests/benchmarks/startup.py

Every command starts a new process several times, after one that fills the disk's cache; the fastest and the
median are told. The first tile of ``segment`` is done when its logits are there.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

from harness import ROOT, Column, Row, number, outputs, save

FIELD = ROOT / "sample_tiles" / "field.tif"
COLUMNS = (
    Column("Command", lambda row: row["method"]),
    number("Fastest, s", "fastest_s", 2),
    number("Median, s", "median_s", 2),
)

TO_FIRST_TILE = """
import os, threading
from cropseg_geo.cli import main
from cropseg_geo.model.predictor import OnnxPredictor, TorchPredictor

for recipe in (OnnxPredictor, TorchPredictor):
    def first(self, batch, predict=recipe.predict):
        logits = predict(self, batch)
        if threading.current_thread().name != "cropseg-warm-up":  # which sees no pixel of the raster
            os._exit(0)
        return logits
    recipe.predict = first
main()
"""

COMMAND = "import sys; from cropseg_geo.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    outputs(parser)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        segment = ["segment", str(FIELD), "-o", folder, "--overwrite", "-q"]
        cases = {
            "python alone": ("pass", []),
            "cropseg --help": (COMMAND, ["--help"]),
            "cropseg check": (COMMAND, ["check", str(FIELD), "--overwrite"]),
            "segment to its first tile, OpenVINO": (TO_FIRST_TILE, [*segment, "--backend", "openvino"]),
            "the same, ONNX Runtime": (TO_FIRST_TILE, [*segment, "--backend", "onnxruntime"]),
            "the same, torch": (TO_FIRST_TILE, [*segment, "--backend", "torch"]),
        }
        rows: list[Row] = [
            {"method": name, **timed(code, arguments, options.repeats)}
            for name, (code, arguments) in cases.items()
        ]
    save("startup", rows, COLUMNS, options)


def timed(code: str, arguments: list[str], repeats: int) -> dict[str, float]:
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return {"fastest_s": min(seconds[1:]), "median_s": statistics.median(seconds[1:])}


if __name__ == "__main__":
    main()
