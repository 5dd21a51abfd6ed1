"""Pixel and contour outlines against the sample field's true edges, at its GSD and at two and four times it.

uv run python tests/benchmarks/outlines.py

The true edge is that of the rendered leaves, whose cover of each pixel is interpolated to a quarter of the
GSD by cubic splines. What a model would see is the mean cover of coarser pixels, blurred a little and kept
in half percents.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import rasterio.features
import shapely
from affine import Affine
from pyproj import CRS
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector.options import Outline, Outlines
from cropseg_geo.vector.trace import trace
from sample_tiles.field import GSD_M, Field
from sample_tiles.render import canopy

FINE = 4
"""Steps of the true edge in one pixel of the field."""

BLUR_PX = 0.5
CELL_M = 0.64
UTM = CRS.from_epsg(32633).to_wkt()


@dataclass(frozen=True)
class Seen:
    """What a model makes of the field at one GSD."""

    mask: npt.NDArray[np.uint8]
    prob: npt.NDArray[np.float32]
    threshold: float = 0.5

    @property
    def height(self) -> int:
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        return int(self.mask.shape[1])

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        return self.mask[window.slices]

    def read_prob(self, window: Window) -> npt.NDArray[np.float32]:
        return self.prob[window.slices]


def true_canopy(window: Window) -> npt.NDArray[np.bool_]:
    """Where leaves are, (FINE · h, FINE · w)."""
    cover = canopy(Field(), window).paint[..., 3].astype(np.float64)
    at = (np.arange(FINE * np.array(window.shape).max()) + 0.5) / FINE - 0.5
    grid = np.meshgrid(at[: FINE * window.height], at[: FINE * window.width], indexing="ij")
    return np.asarray(ndimage.map_coordinates(cover, grid, order=3, mode="nearest") >= 0.5)


def seen(truth: npt.NDArray[np.bool_], scale: int) -> Seen:
    """The field at ``scale`` times its GSD."""
    step = FINE * scale
    cover = truth.reshape(truth.shape[0] // step, step, truth.shape[1] // step, step).mean(axis=(1, 3))
    blurred = ndimage.gaussian_filter(cover, BLUR_PX, mode="nearest")
    prob = (np.rint(blurred * 200) / 200).astype(np.float32)
    return Seen((prob >= 0.5).astype(np.uint8), prob)


def errors(truth: npt.NDArray[np.bool_], source: Seen, outline: Outline) -> dict[str, float]:
    """Errors of one kind of outline against the truth."""
    fine_m = GSD_M / FINE
    gsd_m = truth.shape[0] * fine_m / source.height
    ground = Ground(Affine(gsd_m, 0, 500_000, 0, -gsd_m, 5_000_000), UTM, source.height, source.width)
    options = Outlines(outline=outline)
    batches = trace(source, ground=ground, classes=("background", "crop"), options=options)
    found = np.concatenate([b.geometry for b in batches])
    fine = Affine(fine_m, 0, 500_000, 0, -fine_m, 5_000_000)
    drawn = rasterio.features.rasterize(found, out_shape=truth.shape, transform=fine).astype(bool)
    points = shapely.get_coordinates(shapely.segmentize(shapely.boundary(found), fine_m))
    col, row = (points[:, 0] - 500_000) / fine_m, (5_000_000 - points[:, 1]) / fine_m
    is_inner = (np.minimum(row, col) > 1) & (row < truth.shape[0] - 1) & (col < truth.shape[1] - 1)
    # Distance to the true edge: between pixels inside and outside it.
    inside, outside = ndimage.distance_transform_edt(truth), ndimage.distance_transform_edt(~truth)
    away = np.maximum(inside, outside) - 0.5
    distance = ndimage.map_coordinates(away, [row[is_inner] - 0.5, col[is_inner] - 0.5], order=1)
    n = round(CELL_M / fine_m)
    shape = (truth.shape[0] // n, n, truth.shape[1] // n, n)
    error = drawn.astype(float) - truth
    by_cell = error[: shape[0] * n, : shape[2] * n].reshape(shape).sum(axis=(1, 3))
    covered = truth.sum()
    return {
        "gsd_m": gsd_m,
        "polygons": len(found),
        "wrong_area_percent": round(100 * float(np.abs(error).sum() / covered), 3),
        "area_error_percent": round(100 * float(error.sum() / covered), 3),
        "area_error_by_cell_percent": round(100 * float(np.abs(by_cell).sum() / covered), 3),
        "boundary_distance_mm": round(1000 * fine_m * float(distance.mean()), 3),
    }


def compare(window: Window, scales: tuple[int, ...] = (1, 2, 4)) -> dict[str, dict[str, dict[str, float]]]:
    """Errors of pixel and contour outlines at multiples of the field's GSD."""
    truth = true_canopy(window)
    report: dict[str, dict[str, dict[str, float]]] = {}
    for scale in scales:
        source = seen(truth, scale)
        report[f"x{scale}"] = {k: errors(truth, source, k) for k in get_args(Outline)}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scales", type=int, nargs="+", default=[1, 2, 4], help="multiples of the field's GSD"
    )
    scales = parser.parse_args().scales
    print(json.dumps(compare(Window(1500, 1500, 1024, 1024), tuple(scales)), indent=2))


if __name__ == "__main__":
    main()
