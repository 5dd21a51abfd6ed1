"""What fitting outlines to the image is worth: one model's scores by the radius of its guided filter.

uv run python tests/benchmarks/guide_radius.py [MODEL] --radii 0 2 4 8 --every 4
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from cropseg_geo.model.card import freeze_arguments
from cropseg_geo.model.weights import load_state, read_card, save_weights
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from training.data import default_data_root
from training.evaluation.measure import measure
from training.evaluation.run import whole_sets
from training.evaluation.sets import all_sets, thinned
from training.evaluation.tables import markdown_table, with_mean

FILTER = "outlines."


def with_radius(weights: Path, radius: int, target: Path) -> Path:
    """The model with another radius, or without its filter for 0. The calibration goes with the filter."""
    card, state = read_card(weights), load_state(weights)
    arguments = {**card.network_arguments, "guide_radius": radius}
    if not radius:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(FILTER)}
    save_weights(target, state, replace(card, network=freeze_arguments(arguments)))
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--radii", nargs="+", type=int, default=[0, 2, 4, 8])
    parser.add_argument("--every", type=int, default=4, help="every nth picture of the development sets")
    options = parser.parse_args()
    sets = [
        test_set if test_set.gsd_m is not None else thinned(test_set, options.every)
        for test_set in all_sets(default_data_root())
    ]
    with tempfile.TemporaryDirectory() as name:
        weights = {
            f"radius {radius}": with_radius(
                find_model(options.model), radius, Path(name, f"{radius}.safetensors")
            )
            for radius in options.radii
        }
        scores = measure(weights, sets, "cpu", against_baselines=False)
    print(markdown_table(with_mean(whole_sets(scores))))


if __name__ == "__main__":
    main()
