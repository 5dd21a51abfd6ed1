"""What --gsd auto chooses, against the truth at every GSD of its ladder.

uv run python tests/benchmarks/gsd_auto.py [--model NAME_OR_FILE] [SET …]

Sets: the sample field at 1, 2 and 4 cm, and where the data folder is (CROPSEG_DATA) development pictures
at several sizes, written as rasters. Rules are chosen by these. ``pliman`` is a test set: reported only.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from PIL import Image
from rasterio.vrt import WarpedVRT

import cropseg_geo as cg
from cropseg_geo.engine.plan import gsd_ladder
from cropseg_geo.engine.resolution import GsdChoice
from cropseg_geo.model.zoo import DEFAULT_MODEL
from cropseg_geo.options import Options
from cropseg_geo.preflight import prepare, with_chosen_gsd

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_tiles"
DATA = Path(os.environ.get("CROPSEG_DATA", ROOT.parent / "shared" / "data"))
ORIGIN = (565800.0, 5705400.0)
UNKNOWN = 255
JUDGED_M = 12.0
"""Side of the piece of a field that is judged; the choice is made on the whole."""

PICTURES = {"peanut": (0.0004, (7, 14, 28)), "growingsoy": (0.001, (15, 45))}
"""Development set → assumed GSD (m/px) and which pictures, by their place in the sorted folder."""
SIZES = (0.25, 0.5, 1, 2)


@dataclass(frozen=True)
class Trial:
    """A raster with its truth (H, W): 0 background, 1 vegetation, 255 unknown."""

    name: str
    raster: Path
    truth: np.ndarray
    bbox: tuple[float, float, float, float] | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", help="names to begin with; all without any")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    args = parser.parse_args()
    print("set              native mm  ladder: GSD in mm, mIoU, (trust)                 → chosen")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for trial in trials(Path(folder), tuple(args.sets)):
            row = (trial.name, *judge(trial, args.model, Path(folder)))
            rows.append(row)
    for title, chosen in (("development", [r for r in rows if r[0] != "pliman"]), ("all", rows)):
        if chosen:
            default, auto, best, work, seconds = np.array([r[1:] for r in chosen]).T
            print(
                f"\n{title}, mean of {len(chosen)}: mIoU {default.mean():.4f} at the default GSD, "
                f"{auto.mean():.4f} at the chosen, {best.mean():.4f} at the best; worst loss "
                f"{min(0, (auto - default).min()):+.4f}; work × {work.mean():.2f}; "
                f"choice {np.median(seconds):.1f} s (median), {seconds.max():.1f} s (longest)"
            )


def judge(trial: Trial, model: str, folder: Path) -> tuple[float, float, float, float, float]:
    """mIoU at default, chosen and best GSD, work at the chosen ÷ at the default, seconds of the choice."""
    ready = prepare(trial.raster, Options(model=model, gsd_m="auto"))
    ready.predictor.describe()
    start = time.perf_counter()
    choice = with_chosen_gsd(ready).gsd_choice
    seconds = time.perf_counter() - start
    assert isinstance(choice, GsdChoice)
    scores = {
        gsd: miou_at(trial, model, gsd, folder)
        for gsd in gsd_ladder(choice.native_m, ready.card.gsd_range_m, choice.default_m)
    }
    trust = dict(choice.trust)
    ladder = "  ".join(
        f"{g * 1e3:.3g}: {s:.3f} ({trust.get(g, float('nan')):.2f})" for g, s in scores.items()
    )
    best = max(scores.values())
    default, chosen = scores[choice.default_m], scores[choice.gsd_m]
    print(
        f"{trial.name:16s} {choice.native_m * 1e3:9.3g}  {ladder}  → {choice.gsd_m * 1e3:.3g}: "
        f"default {default:.3f}, chosen {chosen:.3f}, best {best:.3f}; {seconds:.1f} s",
        flush=True,
    )
    return default, chosen, best, (choice.default_m / choice.gsd_m) ** 2, seconds


def miou_at(trial: Trial, model: str, gsd_m: float, folder: Path) -> float:
    result = cg.segment(
        trial.raster, folder / "out", model=model, gsd_m=gsd_m, bbox=trial.bbox, overwrite=True
    )
    with rasterio.open(result.outputs.mask) as mask, rasterio.open(trial.raster) as source:
        found = mask.read(1)
        col, row = ~source.transform @ (mask.transform.c, mask.transform.f)
    truth = trial.truth[round(row) :, round(col) :][: found.shape[0], : found.shape[1]]
    known = (truth != UNKNOWN) & (found != UNKNOWN)
    ious = [
        ((truth == c) & (found == c) & known).sum() / max(1, (((truth == c) | (found == c)) & known).sum())
        for c in (0, 1)
    ]
    return float(np.mean(ious))


def trials(folder: Path, wanted: tuple[str, ...]) -> Iterator[Trial]:
    def asked(name: str) -> bool:
        return not wanted or name.startswith(wanted)

    for cells in (1, 2, 4):
        if asked(name := f"field-{cells}cm"):
            yield field(name, cells, folder)
    if not DATA.is_dir():
        print(f"(no development pictures: {DATA} is not there)")
        return
    for dataset, (gsd_m, places) in PICTURES.items():
        for place in places:
            for size in SIZES:
                if asked(name := f"{dataset}-{place}x{size:g}"):
                    yield picture(name, dataset, place, size, gsd_m, folder)
    if asked("pliman"):
        yield pliman()


def field(name: str, cells: int, folder: Path) -> Trial:
    """The sample field, averaged over ``cells`` × ``cells`` pixels."""
    with rasterio.open(SAMPLE / "field.tif") as dataset:
        values, gsd_m = dataset.read(), dataset.res[0] * cells
    with rasterio.open(SAMPLE / "field_truth.tif") as dataset:
        truth = dataset.read(1)
    valid = averaged(values[3] > 0, cells) == 1
    rgb = np.rint(np.stack([averaged(band, cells) for band in values[:3]])).astype(np.uint8)
    known = (averaged(truth == UNKNOWN, cells) == 0) & valid
    coarse = np.where(known, averaged(truth == 1, cells) >= 0.5, UNKNOWN).astype(np.uint8)
    path = write(folder / f"{name}.tif", rgb, gsd_m, valid)
    height, width = valid.shape
    x, y = ORIGIN[0] + width * gsd_m / 2, ORIGIN[1] - height * gsd_m / 2
    half = JUDGED_M / 2
    return Trial(name, path, coarse, (x - half, y - half, x + half, y + half))


def averaged(values: np.ndarray, cells: int) -> np.ndarray:
    """(H, W) → means over cells × cells."""
    height, width = (n // cells for n in values.shape)
    pieces = values[: height * cells, : width * cells].reshape(height, cells, width, cells)
    return pieces.mean(axis=(1, 3), dtype=np.float64)


def picture(name: str, dataset: str, place: int, size: float, gsd_m: float, folder: Path) -> Trial:
    """A development picture, ``size`` times as large."""
    path = sorted((DATA / "test" / "pairs" / dataset / "images").iterdir())[place]
    with Image.open(path) as image, Image.open(path.parents[1] / "masks" / f"{path.stem}.png") as mask:
        shape = (round(image.width * size), round(image.height * size))
        smooth = Image.Resampling.BOX if size < 1 else Image.Resampling.BICUBIC
        pixels = np.asarray(image.convert("RGB").resize(shape, smooth))
        share = Image.fromarray((np.asarray(mask) > 0).astype(np.float32)).resize(shape, Image.Resampling.BOX)
    raster = write(folder / f"{name}.tif", pixels.transpose(2, 0, 1), gsd_m / size, None)
    return Trial(name, raster, (np.asarray(share) >= 0.5).astype(np.uint8))


def write(path: Path, rgb: np.ndarray, gsd_m: float, valid: np.ndarray | None) -> Path:
    """A raster in some metric CRS: pictures have none, and a run needs one."""
    profile = {"photometric": "RGB", "alpha": "YES"} if valid is not None else {}
    values = rgb if valid is None else np.concatenate([rgb, valid[None].astype(np.uint8) * 255])
    transform = Affine(gsd_m, 0, ORIGIN[0], 0, -gsd_m, ORIGIN[1])
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=count, height=height, width=width,
        crs="EPSG:32632", transform=transform, tiled=True, **profile,
    ) as dataset:  # fmt: skip
        dataset.write(values)
    return path


def pliman() -> Trial:
    folder = DATA / "orthos" / "pliman_soy_dsm"
    raster = folder / "soy_ortho.tif"
    truth_path = folder / "plant_mask_0soil_1plant_255nodata.tif"
    with rasterio.open(raster) as ortho, rasterio.open(truth_path) as truth:
        grid = {"crs": ortho.crs, "transform": ortho.transform}
        with WarpedVRT(truth, height=ortho.height, width=ortho.width, **grid) as aligned:
            return Trial("pliman", raster, aligned.read(1))


if __name__ == "__main__":
    main()
