"""``cropseg segment`` with a colour index instead of a network: what everything but the forward pass takes.

    uv run python tests/benchmarks/formula.py ORTHO -o OUT [--lanes N]

Prints the events of the run as JSON lines, as ``cropseg segment --events`` does.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cropseg_geo import Workers, preflight, segment
from cropseg_geo.answers import of_segment
from cropseg_geo.console import event_listener, print_event
from cropseg_geo.events import Result
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import find_model


@dataclass(frozen=True)
class GreennessPredictor:
    """Excess green of every eighth pixel, so that it costs next to nothing and draws whole plants."""

    card: ModelCard

    backend, device, precision = "formula", "cpu", "fp32"
    device_type = "cpu"

    @property
    def identity(self) -> dict[str, str]:
        return {"backend": self.backend}

    def predict(self, batch: np.ndarray) -> np.ndarray:
        red, green, blue = batch[:, :, ::8, ::8].transpose(1, 0, 2, 3)
        margin = (40 * (2 * green - red - blue) - 4).repeat(8, axis=1).repeat(8, axis=2)
        logits = np.zeros((len(batch), 2, *batch.shape[-2:]), dtype=np.float32)
        logits[:, 1] = margin[:, : batch.shape[-2], : batch.shape[-1]]
        return logits

    def describe(self) -> str:
        return "cpu, formula"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("raster", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--lanes", type=int)
    args = parser.parse_args()
    preflight.choose_predictor = lambda model, **_: GreennessPredictor(read_card(find_model(model)))
    with event_listener(as_json=True, quiet=False) as listener:
        workers = Workers(lanes=args.lanes)
        result = segment(args.raster, args.out, overwrite=True, workers=workers, listener=listener)
    print_event(Result("segment", of_segment(result)))


if __name__ == "__main__":
    main()
