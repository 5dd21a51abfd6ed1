"""The colour index in the finished model: one model's scores by its weight, its shift and its doubts.

Beside the sets of ``evaluate --all``: the sample field, and simulated scenes that no training sees.

uv run python tests/benchmarks/finish.py [MODEL] --weights 12 18 --shifts 0 0.03 --doubted 0 5 --every 4
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from itertools import product, starmap
from pathlib import Path
from typing import NamedTuple

from cropseg_geo.model.card_fields import freeze_arguments
from cropseg_geo.model.weights import load_state, read_card, save_weights
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from training.data import default_data_root
from training.evaluation.measure import measure
from training.evaluation.run import whole_sets
from training.evaluation.sets import choice_sets
from training.evaluation.tables import markdown_table, with_mean

CLASSIFIER = "classifier."


class Index(NamedTuple):
    """A colour index as a network's arguments name it, without their ``colour_``."""

    prior: float
    shift: float
    doubted: float


def changed(weights: Path, index: Index, target: Path, *, alone: bool = False) -> Path:
    """The model with another colour index, or that index alone."""
    card, state = read_card(weights), load_state(weights)
    if alone:
        state = {name: tensor * (not name.startswith(CLASSIFIER)) for name, tensor in state.items()}
    arguments = {f"colour_{name}": value for name, value in index._asdict().items()}
    card = replace(card, network=freeze_arguments({**card.network_arguments, **arguments}))
    save_weights(target, state, card)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--weights", nargs="+", type=float, default=[5, 12, 18])
    parser.add_argument("--shifts", nargs="+", type=float, default=[0, 0.03])
    parser.add_argument("--doubted", nargs="+", type=float, default=[5])
    parser.add_argument("--alone", action="store_true", help="also the colour index without the network")
    parser.add_argument("--parts", action="store_true", help="also each species, condition and kind of scene")
    parser.add_argument("--every", type=int, default=4, help="every nth picture of the development sets")
    options = parser.parse_args()
    sets = choice_sets(default_data_root(), every=options.every)
    model = find_model(options.model)
    with tempfile.TemporaryDirectory() as name:
        weights = {}
        for index in starmap(Index, product(options.weights, options.shifts, options.doubted)):
            label = f"weight {index.prior:g}, shift {index.shift:g}, doubted {index.doubted:g}"
            weights[label] = changed(model, index, Path(name, f"{label}.safetensors"))
        if options.alone:
            target = Path(name, "alone.safetensors")
            weights["colour index alone"] = changed(model, Index(5.0, 0.0, 0.0), target, alone=True)
        scores = measure(weights, sets, "cpu", against_baselines=False)
    whole = with_mean(whole_sets(scores))
    print(markdown_table({**scores, **whole} if options.parts else whole))


if __name__ == "__main__":
    main()
