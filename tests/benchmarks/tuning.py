"""What ``training tune`` gains on few pictures of one field, and what the model forgets, by its strength.

uv run python tests/benchmarks/tuning.py [MODEL] --crop peanut --pictures 16 --strengths 0.5 1

None of the product's own data are mixed in, as for users who lack them. mIoU in percent.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from training.data import decode, default_data_root, read_pairs
from training.evaluation.measure import measure
from training.evaluation.run import whole_sets
from training.evaluation.sets import choice_sets
from training.evaluation.tables import markdown_table, with_mean
from training.sources.pairs import prepare_pairs
from training.sources.tuning import STEPS, STRENGTH, Plan, tune


def save_pictures(folder: Path, *, crop: str, count: int) -> None:
    """Some training pictures of a crop as a user has them."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    pairs = [pair for pair in read_pairs(default_data_root(), split="train") if pair.dataset == crop]
    for pair in pairs[:: max(1, len(pairs) // count)][:count]:
        shutil.copy(pair.image, folder / "images" / pair.image.name)
        mask = np.asarray(decode(pair).mask, dtype=np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{pair.image.stem}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--crop", default="peanut", help="a dataset of the training pictures")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--strengths", nargs="+", type=float, default=[STRENGTH, 1.0])
    parser.add_argument("--every", type=int, default=4, help="every nth picture of the development sets")
    parser.add_argument("--parts", action="store_true", help="also each species, condition and kind of scene")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_pictures(folder / "pictures", crop=options.crop, count=options.pictures)
        dataset = prepare_pairs(folder / "pictures", folder / "dataset", name="mine", licence="")
        files = {"as it was": find_model(options.model)}
        for strength in options.strengths:
            target = folder / f"{strength:g}.safetensors"
            plan = Plan(options.model, options.steps, keep=0.0, strength=strength, onnx=False)
            # One training for all: the run is done from the second strength on.
            tune(dataset, target, folder / "run", plan, name="tuned")
            files[f"strength {strength:g}"] = target
        sets = choice_sets(default_data_root(), every=options.every)
        scores = measure(files, sets, "cpu", against_baselines=False)
    whole = with_mean(whole_sets(scores))
    print(markdown_table({**scores, **whole} if options.parts else whole))


if __name__ == "__main__":
    main()
