"""The colour index in the finished model: one model's scores by its weight and its shift.

Beside the sets of ``evaluate --all``: the sample field, and simulated scenes that no training sees.

uv run python tests/benchmarks/finish.py [MODEL] --weights 5 12 18 --shifts 0 0.07 --alone --every 4
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from cropseg_geo.model.card_fields import freeze_arguments
from cropseg_geo.model.weights import load_state, read_card, save_weights
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from training.data import default_data_root
from training.evaluation.measure import measure
from training.evaluation.run import whole_sets
from training.evaluation.sets import choice_sets
from training.evaluation.tables import markdown_table, with_mean

CLASSIFIER = "classifier."


def changed(weights: Path, weight: float, shift: float, target: Path, *, alone: bool = False) -> Path:
    """The model with another weight and shift of its colour index, or that index alone."""
    card, state = read_card(weights), load_state(weights)
    if alone:
        state = {name: tensor * (not name.startswith(CLASSIFIER)) for name, tensor in state.items()}
    index = {"colour_prior": weight, "colour_shift": shift}
    card = replace(card, network=freeze_arguments({**card.network_arguments, **index}))
    save_weights(target, state, card)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--weights", nargs="+", type=float, default=[5, 12, 18])
    parser.add_argument("--shifts", nargs="+", type=float, default=[0, 0.07])
    parser.add_argument("--alone", action="store_true", help="also the colour index without the network")
    parser.add_argument("--parts", action="store_true", help="also each species, condition and kind of scene")
    parser.add_argument("--every", type=int, default=4, help="every nth picture of the development sets")
    options = parser.parse_args()
    sets = choice_sets(default_data_root(), every=options.every)
    model = find_model(options.model)
    with tempfile.TemporaryDirectory() as name:
        weights = {
            f"weight {weight:g}, shift {shift:g}": changed(
                model, weight, shift, Path(name, f"{weight:g}-{shift:g}.safetensors")
            )
            for weight in options.weights
            for shift in options.shifts
        }
        if options.alone:
            target = Path(name, "alone.safetensors")
            weights["colour index alone"] = changed(model, 5.0, 0.0, target, alone=True)
        scores = measure(weights, sets, "cpu", against_baselines=False)
    whole = with_mean(whole_sets(scores))
    print(markdown_table({**scores, **whole} if options.parts else whole))


if __name__ == "__main__":
    main()
