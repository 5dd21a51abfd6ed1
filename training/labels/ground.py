"""The terrain below the plants, from the surface alone: for orthomosaics that come without a DTM.

Three steps. Openings at growing windows take plants away, as far as they stand above a slope that terrain may
have; what they leave untouched is ground. A smooth surface is drawn through it, also below the plants. Then
ground is told from plants once more, by the height above that surface, and the surface is drawn again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cropseg_geo.errors import InputError
from training.labels.height import Heights

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MAX_PLANT_WIDTH_M = 4.0
"""Widest stand without a glimpse of soil: a plot sown across a drill's width."""

SLOPE = 0.08
"""Steepest terrain, against the field's own plane, that is not taken for a plant; in m per m."""

ROUGHNESS_M = 0.02
"""Clods, tracks and matching noise that are still ground."""

_FIRST_WINDOW_M = 0.15
_GROWTH = 1.6  # of the window from opening to opening
_SMOOTHING = 0.125  # standard deviation of the drawn surface, as a part of the widest plant
_TRIM_ROUNDS = 3


def estimate_ground(
    dsm: Heights,
    *,
    gsd_m: float,
    max_plant_width_m: float = MAX_PLANT_WIDTH_M,
    slope: float = SLOPE,
    roughness_m: float = ROUGHNESS_M,
) -> Heights:
    """Terrain height (H, W) float32 below a surface; NaN where the surface is unknown.

    Parameters
    ----------
    dsm
        Surface (H, W) in metres, NaN where unknown.
    gsd_m
        Side of a pixel in metres.
    max_plant_width_m
        Stands of plants up to this width are removed. A closed canopy wider than this counts as ground.
    slope
        Steepest slope of the terrain against the plane through the field, m per m.
    roughness_m
        Height differences of bare ground from pixel to pixel.

    Raises
    ------
    InputError
        If the pixel is not narrower than the widest plant.

    Source: openings at growing windows with a slope tolerance after K. Zhang et al., "A progressive
    morphological filter for removing nonground measurements" (2003), IEEE TGRS 41(4), eq. 4–8; the plane, the
    smooth surface and the second look are this project's.
    """
    if not 0 < gsd_m < max_plant_width_m:
        raise InputError(
            f"pixels of {gsd_m:g} m and plants of at most {max_plant_width_m:g} m: no plant covers a pixel",
            remedy="give the widest stand of plants in metres",
        )
    known = np.isfinite(dsm)
    if not known.any():
        return np.full(dsm.shape, np.nan, dtype=np.float32)
    surface = dsm.astype(np.float64)
    plane = ground_plane(surface, cell_px=max(1, round(max_plant_width_m / gsd_m)))
    surface -= plane
    sigma_px = _SMOOTHING * max_plant_width_m / gsd_m
    ground = unopened(surface, windows_px(gsd_m, max_plant_width_m), slope * gsd_m, roughness_m)
    drawn = draw_ground(surface, ground, sigma_px)
    for _ in range(_TRIM_ROUNDS):
        # Above the surface stand plants that the openings left; below it lies ground, however deep.
        ground = known & (surface - drawn < roughness_m)
        drawn = draw_ground(surface, ground, sigma_px)
    return np.where(known, drawn + plane, np.nan).astype(np.float32)


def windows_px(gsd_m: float, max_plant_width_m: float) -> tuple[int, ...]:
    """Odd window sides that grow up to one that is wider than the widest plant.

    >>> windows_px(0.1, 1.0)
    (3, 7, 9, 15)
    """
    sides: list[int] = []
    side_m = _FIRST_WINDOW_M
    while True:
        side = 2 * int(side_m / gsd_m / 2) + 1
        if side >= 3 and side not in sides:
            sides.append(side)
        if side_m > max_plant_width_m and sides:
            return tuple(sides)
        side_m *= _GROWTH


def unopened(surface: Floats, windows: tuple[int, ...], rise_per_px: float, roughness_m: float) -> Mask:
    """Where no opening lowers the surface by more than terrain of that slope would explain."""
    ground = np.isfinite(surface)
    current = surface
    side_before = 1
    for side in windows:
        opened = opening(current, side)
        tolerance = roughness_m + rise_per_px * (side - side_before)
        with np.errstate(invalid="ignore"):
            ground &= ~(current - opened > tolerance)
        current, side_before = opened, side
    return ground


def opening(surface: Floats, side: int) -> Floats:
    """Minimum, then maximum over squares of ``side`` px; unknown pixels take part in neither."""
    unknown = ~np.isfinite(surface)
    low = ndimage.minimum_filter(np.where(unknown, np.inf, surface), size=side, mode="constant", cval=np.inf)
    low[np.isinf(low)] = -np.inf
    high = ndimage.maximum_filter(low, size=side, mode="constant", cval=-np.inf)
    return np.where(unknown, np.nan, high)


def ground_plane(surface: Floats, *, cell_px: int) -> Floats:
    """The plane (H, W) through the low points of cells: takes the field's own slope out of the tolerances."""
    rows, cols, lows = [], [], []
    for row in range(0, surface.shape[0], cell_px):
        for col in range(0, surface.shape[1], cell_px):
            cell = surface[row : row + cell_px, col : col + cell_px]
            known = np.isfinite(cell)
            if known.mean() < 0.25:
                continue
            rows.append(row + cell.shape[0] / 2)
            cols.append(col + cell.shape[1] / 2)
            lows.append(np.percentile(cell[known], 10))
    if len(lows) < 4:
        return np.full(surface.shape, np.nanmedian(surface))
    points = np.column_stack([rows, cols, np.ones(len(rows))])
    heights = np.array(lows)
    weights = np.ones(len(lows))
    for _ in range(5):
        # Low cells hold soil and pull the plane down; high cells may be all canopy and count little.
        scaled = np.sqrt(weights)[:, None]
        solution = np.linalg.lstsq(points * scaled, heights * scaled[:, 0], rcond=None)[0]
        residual = heights - points @ solution
        spread = max(float(np.median(np.abs(residual))), 1e-6)
        weights = np.where(residual > 0, 1.0 / (1.0 + (residual / spread) ** 2), 1.0)
    down, right = np.ogrid[: surface.shape[0], : surface.shape[1]]
    return np.asarray(solution[0] * (down + 0.5) + solution[1] * (right + 0.5) + solution[2])


def draw_ground(surface: Floats, ground: Mask, sigma_px: float) -> Floats:
    """A smooth surface through the ground that does not flatten hills.

    A mean cuts the tops of hills off, and what it cuts off would be taken for plants in the next round: so
    what it missed is smoothed and added.
    """
    drawn = smooth_through(surface, ground, sigma_px)
    return drawn + smooth_through(surface - drawn, ground, sigma_px)


def smooth_through(surface: Floats, ground: Mask, sigma_px: float) -> Floats:
    """A smooth surface through the ground pixels: Gaussian means, wider where ground is far.

    Each doubling of the width has its say where the narrower ones saw next to no ground.
    """
    if not ground.any():
        return np.full(surface.shape, np.nanmin(surface))
    # The result is smooth, so it is worked out on a coarser grid, and each wider mean on one twice as coarse.
    step = max(1, int(sigma_px / 2))
    sigma = sigma_px / step
    total, mass = _block_sums(np.where(ground, surface, 0.0), step), _block_sums(ground.astype(float), step)
    shape = total.shape
    drawn, weight = np.zeros(shape), np.zeros(shape)
    full, scale = float(step * step), 1
    while True:
        seen = ndimage.gaussian_filter(mass, sigma, mode="constant", truncate=3.0)
        mean = ndimage.gaussian_filter(total, sigma, mode="constant", truncate=3.0) / np.maximum(seen, 1e-12)
        # Full say from a tenth of the ground that a bare neighbourhood would show.
        say = np.clip(seen / (0.1 * full), 0.0, 1.0)
        say[seen <= 1e-9 * full] = 0.0
        # Say and word go up together, so that pixels without a word add nothing to their neighbours.
        left = 1.0 - weight
        drawn += left * _upsampled(say * mean, scale, shape)
        weight += left * _upsampled(say, scale, shape)
        if weight.min() > 0.999 or max(total.shape) == 1:
            break
        total, mass = _block_sums(total, 2), _block_sums(mass, 2)
        full, scale = 4.0 * full, 2 * scale
    # Where even the widest mean saw little, its word is all there is.
    drawn = np.where(weight > 0, drawn / np.maximum(weight, 1e-12), np.nanmedian(surface[ground]))
    return _upsampled(drawn, step, surface.shape)


def _block_sums(values: Floats, step: int) -> Floats:
    rows, cols = (-side % step for side in values.shape)
    padded = np.pad(values, ((0, rows), (0, cols)))
    shape = (padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.asarray(padded.reshape(shape).sum(axis=(1, 3)))


def _upsampled(values: Floats, step: int, shape: tuple[int, ...]) -> Floats:
    """Linear between the centres of coarse pixels."""
    if step == 1:
        return values
    row, col = ((np.arange(side) + 0.5) / step - 0.5 for side in shape)
    at = np.meshgrid(row, col, indexing="ij")
    return np.asarray(ndimage.map_coordinates(values, at, order=1, mode="nearest"))
