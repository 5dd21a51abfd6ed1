"""Models and excess green on pictures as other cameras, lights and heights would have taken them.

uv run python tests/benchmarks/sensors.py [MODEL …] --every 3

Every change is made to the pictures of the development tests; the truth stays as it is. mIoU in percent.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from cropseg_geo.model.backends import choose_predictor
from cropseg_geo.model.zoo import DEFAULT_MODEL
from training.data import default_data_root
from training.evaluation.methods import EXG_OTSU, baselines, models
from training.evaluation.run import evaluate
from training.evaluation.sets import Sample, TestSet, development_sets, thinned

Floats = npt.NDArray[np.float32]
Change = Callable[[Floats], Floats]
"""A picture (H, W, 3) on 0–1 → another one."""


def lit(red: float, green: float, blue: float) -> Change:
    """In light of that colour; the same number thrice is another exposure."""
    return lambda image: image * np.array([red, green, blue], dtype=np.float32)


def curved(exponent: float) -> Change:
    return lambda image: image ** np.float32(exponent)


def coloured(share: float) -> Change:
    """With so much of its colours' distance from grey."""

    def change(image: Floats) -> Floats:
        grey = image.mean(axis=2, keepdims=True)
        return np.asarray(grey + np.float32(share) * (image - grey), dtype=np.float32)

    return change


def hazy(share: float) -> Change:
    return lambda image: np.float32(share) + np.float32(1.0 - share) * image


def blurred(sigma_px: float) -> Change:
    return lambda image: ndimage.gaussian_filter(image, (sigma_px, sigma_px, 0.0))


def noisy(sigma: float) -> Change:
    """Each channel with noise of its own, the same for every picture."""

    def change(image: Floats) -> Floats:
        noise = np.random.default_rng(0).standard_normal(image.shape, dtype=np.float32)
        return image + np.float32(sigma) * noise

    return change


def compressed(quality: int) -> Change:
    def change(image: Floats) -> Floats:
        file = BytesIO()
        Image.fromarray(as_bytes(image)).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file)).astype(np.float32) / np.float32(255.0)

    return change


def darker_corners(share: float) -> Change:
    def change(image: Floats) -> Floats:
        rows, cols = (np.linspace(-1.0, 1.0, n, dtype=np.float32) ** 2 / 2.0 for n in image.shape[:2])
        return image * (1.0 - np.float32(share) * (rows[:, None] + cols))[..., None]

    return change


CHANGES: dict[str, Change] = {
    "as they are": lambda image: image,
    "red light": lit(1.15, 0.97, 0.88),
    "blue light": lit(0.88, 0.97, 1.15),
    "green light": lit(0.92, 1.1, 0.92),
    "magenta light": lit(1.06, 0.92, 1.06),
    "a third of the light": lit(0.33, 0.33, 0.33),
    "overexposed by 0.7 stops": lit(1.6, 1.6, 1.6),
    "gamma 0.6": curved(0.6),
    "gamma 1.6": curved(1.6),
    "half the colour": coloured(0.5),
    "1.4 times the colour": coloured(1.4),
    "haze": hazy(0.3),
    "corners 60 % darker": darker_corners(0.6),
    "blur of 2 px": blurred(2.0),
    "noise of 2 %": noisy(0.02),
    "noise of 6 %": noisy(0.06),
    "JPEG, quality 20": compressed(20),
}

SCALES = {"half the pixels": 0.5, "a quarter": 0.25, "twice": 2.0}
"""Sides by so much."""


def as_bytes(image: Floats) -> npt.NDArray[np.uint8]:
    return (np.clip(image, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)


def changed(read: Callable[[], Sample], change: Change) -> Sample:
    sample = read()
    return replace(sample, image=as_bytes(change(sample.image.astype(np.float32) / np.float32(255.0))))


def scaled(read: Callable[[], Sample], factor: float) -> Sample:
    sample = read()
    height, width = (round(n * factor) for n in sample.truth.shape)
    how = Image.Resampling.BOX if factor < 1.0 else Image.Resampling.BICUBIC
    image = Image.fromarray(sample.image).resize((width, height), how)
    truth = Image.fromarray(sample.truth).resize((width, height), Image.Resampling.NEAREST)
    return replace(sample, image=np.asarray(image), truth=np.asarray(truth))


def remade(test_set: TestSet, remake: Callable[[Callable[[], Sample]], Sample]) -> TestSet:
    return replace(test_set, readers=tuple(partial(remake, read) for read in test_set.readers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", default=[DEFAULT_MODEL])
    parser.add_argument("--every", type=int, default=3, help="every nth picture of the development sets")
    options = parser.parse_args()
    methods = {EXG_OTSU: baselines()[EXG_OTSU]} | models(
        {name: choose_predictor(name, precision="fp32") for name in options.models}
    )
    sets = [thinned(test_set, options.every) for test_set in development_sets(default_data_root())]
    columns = [f"{test_set.name}, {name}" for test_set in sets for name in methods]
    print(f"| Pictures | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    remakes = {name: partial(changed, change=change) for name, change in CHANGES.items()}
    remakes |= {name: partial(scaled, factor=factor) for name, factor in SCALES.items()}
    for label, remake in remakes.items():
        found = evaluate(methods, [remade(test_set, remake) for test_set in sets])
        cells = (f"{100.0 * found[s.name][name]['miou']:.1f}" for s in sets for name in methods)
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
