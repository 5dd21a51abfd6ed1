"""Models and colour indices on ground that no training picture shows: asphalt, gravel, mulch, snow.

uv run python tests/benchmarks/grounds.py [MODEL …]

Plants are cut out of labelled pictures by their masks and put on a ground that is drawn, whose colours are
neutral or those of soils. Mean vegetation IoU in percent, and of bare ground the share that is called
vegetation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from cropseg_geo.model.backends import choose_predictor
from cropseg_geo.model.zoo import DEFAULT_MODEL
from training.data import default_data_root, read_image, read_pairs, read_vegetation
from training.evaluation.methods import EXG_FIXED, EXG_OTSU, Method, baselines, models
from training.evaluation.sets import Sample

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Cutout = tuple[Floats, Floats]
"""Light (H, W, 3) of a plant by its own opacity (H, W), both linear, 0–1."""
Draw = Callable[[np.random.Generator], Floats]

SIDE_PX = 512
PLANTS = {"soybean": 0.4, "mustard": 0.28, "maize": 0.4, "barley": 0.4}
"""Potted species, and how much smaller their pictures are made."""
LEAST_PX = 2500
"""Parts of a mask with fewer pixels are no whole plants."""


def clouds(rng: np.random.Generator, slope: float) -> Floats:
    """Noise (H, W) of mean 0 and deviation 1, the smoother the steeper its spectrum falls."""
    rows, cols = np.fft.fftfreq(SIDE_PX)[:, None], np.fft.rfftfreq(SIDE_PX)[None]
    frequency = np.hypot(rows, cols)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE_PX, SIDE_PX))) * frequency ** (-slope / 2.0)
    values = np.fft.irfft2(spectrum, s=(SIDE_PX, SIDE_PX))
    noise: Floats = ((values - values.mean()) / values.std()).astype(np.float32)
    return noise


def linear(rgb: npt.ArrayLike) -> Floats:
    return np.asarray((np.asarray(rgb) / 255.0) ** 2.2, dtype=np.float32)


def plain(
    rng: np.random.Generator,
    rgb: Sequence[float],
    contrast: float = 0.16,
    tint: float = 0.03,
    grain: float = 0.06,
) -> Floats:
    """Ground of one colour, 0–255, uneven in brightness, and between warm and cold."""
    light = 1.0 + contrast * 0.6 * (clouds(rng, 1.6) + clouds(rng, 0.7)) + grain * clouds(rng, 0.0)
    warm = tint * clouds(rng, 1.5)[..., None] * np.array([1.0, 0.1, -1.0], dtype=np.float32)
    image: Floats = linear(rgb) * light.clip(0.1, 3.0)[..., None] * (1.0 + warm)
    return image


def stony(rng: np.random.Generator, rgb: Sequence[float], stones: Sequence[float], tint: float) -> Floats:
    """Stones of a colour on ground of another; ``tint`` is how far their channels differ by themselves."""
    image = plain(rng, rgb)
    rows, cols = np.mgrid[:SIDE_PX, :SIDE_PX]
    for _ in range(600):
        y, x = rng.uniform(0, SIDE_PX, 2)
        long = rng.uniform(3, 22)
        short, turn = long * rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)
        box = tuple(slice(max(int(c) - 24, 0), int(c) + 25) for c in (y, x))
        across = (cols[box] - x) * np.cos(turn) + (rows[box] - y) * np.sin(turn)
        along = (rows[box] - y) * np.cos(turn) - (cols[box] - x) * np.sin(turn)
        is_stone = (across / long) ** 2 + (along / short) ** 2 < 1.0
        lit = (1.1 - 0.5 * (across + along) / (long + short)).clip(0.35, 1.5)[is_stone]
        colour = linear(stones) * rng.uniform(0.7, 1.2) * (1.0 + rng.normal(0.0, tint, 3))
        image[box][is_stone] = (colour * lit[:, None]).astype(np.float32)
    return image


SOILS: dict[str, Draw] = {
    "loam": partial(plain, rgb=(115, 92, 70)),
    "laterite": partial(plain, rgb=(150, 85, 55)),
    "sand": partial(plain, rgb=(196, 172, 138), contrast=0.08),
    "peat": partial(plain, rgb=(42, 37, 33)),
    "grey clay": partial(plain, rgb=(128, 124, 116)),
}
GROUNDS: dict[str, Draw] = {
    **SOILS,
    "asphalt": partial(plain, rgb=(88, 89, 92), contrast=0.06, tint=0.01, grain=0.12),
    "concrete": partial(plain, rgb=(172, 170, 164), contrast=0.05, tint=0.01),
    "grey floor": partial(plain, rgb=(140, 142, 145), contrast=0.03, tint=0.005, grain=0.02),
    "black mulch": partial(plain, rgb=(28, 28, 30), contrast=0.3, tint=0.01, grain=0.02),
    "white mulch": partial(plain, rgb=(235, 236, 238), contrast=0.08, tint=0.004, grain=0.02),
    "snow": partial(plain, rgb=(238, 242, 250), contrast=0.05, tint=0.005, grain=0.02),
    "grey gravel": partial(stony, rgb=(95, 92, 88), stones=(130, 130, 130), tint=0.02),
    "beige gravel": partial(stony, rgb=(115, 92, 70), stones=(160, 150, 135), tint=0.0),
    "limestone": partial(stony, rgb=(200, 195, 185), stones=(215, 212, 205), tint=0.03),
    "stones on loam": partial(stony, rgb=(115, 92, 70), stones=(165, 160, 150), tint=0.04),
}


def cut_out(species: str, scale: float) -> list[Cutout]:
    """The plants of a picture of potted ones, smaller."""
    (pair,) = [
        p
        for p in read_pairs(default_data_root(), split="train")
        if p.species == species and p.dataset == "agir"
    ]
    light = linear(read_image(pair.image))
    parts, _ = ndimage.label(ndimage.binary_erosion(read_vegetation(pair.mask) == 1))
    found = []
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        opaque = (parts[box] == number).astype(np.float32)
        if opaque.sum() >= LEAST_PX:
            layers = [*np.moveaxis(light[box] * opaque[..., None], 2, 0), opaque]
            height, width = (max(2, int(n * scale)) for n in opaque.shape)
            small = [
                np.asarray(Image.fromarray(layer).resize((width, height), Image.Resampling.BOX))
                for layer in layers
            ]
            found.append((np.stack(small[:3], axis=2), small[3]))
    return found


def planted(
    rng: np.random.Generator, ground: Floats, plants: Sequence[Cutout], gaps_px: tuple[int, int], where: Flags
) -> tuple[Floats, Flags]:
    """Plants in rows, each with a shadow, and where they are; ``where`` says where they may stand."""
    image, cover = ground.copy(), np.zeros(ground.shape[:2], dtype=np.float32)
    for y0 in range(gaps_px[0] // 2, SIDE_PX, gaps_px[0]):
        for x0 in range(gaps_px[1] // 2, SIDE_PX, gaps_px[1]):
            if not where[y0, x0] or rng.random() > 0.8:
                continue
            light, opaque = plants[int(rng.integers(len(plants)))]
            turns = int(rng.integers(4))
            light, opaque = np.rot90(light, turns), np.rot90(opaque, turns)
            y, x = (
                int(c + rng.normal(0.0, 8.0) - n / 2) for c, n in zip((y0, x0), opaque.shape, strict=True)
            )
            shadow_px = max(2, opaque.shape[0] // 14)
            for shift, layer in ((shadow_px, None), (0, light)):
                place, part = _overlap(y + shift, x + shift, opaque.shape)
                share = opaque[part][..., None]
                if layer is None:
                    image[place] *= 1.0 - 0.6 * share
                else:
                    image[place] = image[place] * (1.0 - share) + layer[part]
                    cover[place] = 1.0 - (1.0 - cover[place]) * (1.0 - opaque[part])
    return image, cover >= 0.5


def _overlap(y: int, x: int, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a patch at (y, x) lies in the image, and which part of it does."""
    starts = (y, x)
    place = tuple(slice(max(s, 0), max(min(s + n, SIDE_PX), 0)) for s, n in zip(starts, shape, strict=True))
    part = tuple(slice(p.start - s, max(p.stop - s, p.start - s)) for p, s in zip(place, starts, strict=True))
    return (place[0], place[1]), (part[0], part[1])


def photographed(rng: np.random.Generator, light: Floats) -> npt.NDArray[np.uint8]:
    """As a camera's JPEG has it."""
    blurred = ndimage.gaussian_filter(light.clip(0.0, 1.2), (0.6, 0.6, 0.0)).clip(0.0, 1.0)
    encoded = blurred ** (1 / 2.2) + rng.normal(0.0, 0.006, light.shape)
    file = BytesIO()
    Image.fromarray((encoded.clip(0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)).save(file, "JPEG", quality=92)
    return np.asarray(Image.open(file))


def scenes(name: str, seed: int) -> Iterator[tuple[str, Sample]]:
    """Kind of scene and the scene."""
    rng = np.random.default_rng([seed, list(GROUNDS).index(name)])
    ground = GROUNDS[name](rng)
    species = list(PLANTS)[seed % len(PLANTS)]
    plants, small = cut_out(species, PLANTS[species]), cut_out("soybean", 0.05)
    everywhere, corner, left = (np.zeros(ground.shape[:2], dtype=bool) for _ in range(3))
    everywhere[:] = True
    corner[150:260, 150:260] = True
    left[:, : SIDE_PX // 2 - 20] = True
    beside = SOILS["loam"](rng)
    beside[:, SIDE_PX // 2 :] = ground[:, SIDE_PX // 2 :]
    for kind, below, cuts, gaps_px, where in (
        ("rows", ground, plants, (170, 95), everywhere),
        ("few plants", ground, plants, (80, 80), corner),
        ("seedlings", ground, small, (90, 70), everywhere),
        ("rows on loam beside it", beside, plants, (150, 95), left),
        ("bare", ground, plants, (170, 95), ~everywhere),
    ):
        light, is_plant = planted(rng, below, cuts, gaps_px, where)
        yield kind, Sample(photographed(rng, light), is_plant.astype(np.uint8), name)


def measured(method: Method, sample: Sample) -> float:
    """Vegetation IoU; of bare ground the share that is called vegetation. In percent."""
    answer = method(sample)
    if answer is None:
        return float("nan")
    found, truth = answer.mask > 0, sample.truth > 0
    if not truth.any():
        return 100.0 * float(found.mean())
    return 100.0 * float((found & truth).sum() / (found | truth).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", default=[DEFAULT_MODEL])
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    plain_indices = {name: baselines()[name] for name in (EXG_OTSU, EXG_FIXED)}
    methods = plain_indices | models({m: choose_predictor(m, precision="fp32") for m in options.models})
    found: dict[tuple[str, str], list[list[float]]] = {}
    for name in GROUNDS:
        for seed in range(options.seeds):
            for kind, sample in scenes(name, seed):
                which = "soil" if name in SOILS else "other ground"
                values = [measured(method, sample) for method in methods.values()]
                found.setdefault((kind, which), []).append(values)
    print(f"| Scenes | Ground | {' | '.join(methods)} |\n|---|---|{'---:|' * len(methods)}")
    for (kind, which), rows in sorted(found.items()):
        print(f"| {kind} | {which} | {' | '.join(f'{mean:.1f}' for mean in np.mean(rows, axis=0))} |")


if __name__ == "__main__":
    main()
