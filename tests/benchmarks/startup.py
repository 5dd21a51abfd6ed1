"""How long a user waits: from the start of the process to help, to a check, to the first tile of a run.

    uv run python tests/benchmarks/startup.py --out startup.json

Every command starts a new process several times, after one that fills the disk's cache; the fastest and the
median are told. The first tile of ``segment`` is done when its logits are there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
FIELD = ROOT / "sample_tiles" / "field.tif"

TO_FIRST_TILE = """
import os
from cropseg_geo.cli import main
from cropseg_geo.model.predictor import OnnxPredictor, TorchPredictor

for recipe in (OnnxPredictor, TorchPredictor):
    def first(self, batch, predict=recipe.predict):
        predict(self, batch)
        os._exit(0)
    recipe.predict = first
main()
"""

COMMAND = "import sys; from cropseg_geo.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        segment = ["segment", str(FIELD), "-o", folder, "--overwrite", "-q"]
        cases = {
            "python alone": ("pass", []),
            "cropseg --help": (COMMAND, ["--help"]),
            "cropseg check": (COMMAND, ["check", str(FIELD)]),
            "segment, first tile, OpenVINO": (TO_FIRST_TILE, [*segment, "--backend", "openvino"]),
            "segment, first tile, ONNX Runtime": (TO_FIRST_TILE, [*segment, "--backend", "onnxruntime"]),
            "segment, first tile, torch": (TO_FIRST_TILE, [*segment, "--backend", "torch"]),
        }
        rows = {name: timed(code, arguments, args.repeats) for name, (code, arguments) in cases.items()}
    if args.out:
        args.out.write_text(json.dumps({"cores": os.cpu_count(), "runs": rows}, indent=2) + "\n")
    table = Table("command", "fastest (s)", "median (s)")
    for name, row in rows.items():
        table.add_row(name, f"{row['fastest_s']:.2f}", f"{row['median_s']:.2f}")
    Console().print(table)


def timed(code: str, arguments: list[str], repeats: int) -> dict[str, float]:
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return {"fastest_s": min(seconds[1:]), "median_s": statistics.median(seconds[1:])}


if __name__ == "__main__":
    main()
