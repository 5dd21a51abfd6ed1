"""A look at a raster before the work: how much of it is valid, and what its values are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.raster.source import GdalSource

_PATCHES = 144
_PATCH_PX = 48
_SEED = 20260
_BACKGROUND_SHARE = 0.02
"""Share of black or of white pixels from which on they are hardly all shadows or overexposed."""
_PINKISH_SHARE = 0.1
"""Share of pinkish pixels from which on the light, or what the bands are, is not what it should be."""
_SCAN_PX = 2048
_SCAN_MOST_PX = 10**11
"""Pixels that are looked at in search of a valid one: minutes. A few bytes can claim far more."""


@dataclass(frozen=True)
class Sample:
    """Patches spread over a window of a raster.

    ``valid_share`` is the estimated share of valid pixels, ``values`` (bands, N) the valid pixels seen.
    """

    valid_share: float
    values: npt.NDArray[np.float64]


def sample_raster(source: GdalSource, extent: Window) -> Sample:
    """Read about 144 patches of 48 px, one at random in each cell of a grid over ``extent``.

    Raises
    ------
    InputError
        If the extent holds no valid pixel at all (then, and only then, all of it is read), or none was seen
        and it is too large to be read as a whole.
    ReadError
        If a patch cannot be decoded.
    """
    rng = np.random.default_rng(_SEED)
    side = round(_PATCHES**0.5)
    row_edges = np.linspace(extent.row, extent.row_stop, side + 1)
    col_edges = np.linspace(extent.col, extent.col_stop, side + 1)
    values, n_valid, n_seen = [], 0, 0
    for i in range(side):
        for j in range(side):
            row = int(rng.uniform(row_edges[i], row_edges[i + 1]))
            col = int(rng.uniform(col_edges[j], col_edges[j + 1]))
            patch = Window(row, col, _PATCH_PX, _PATCH_PX) & extent
            pixels, valid = source.read(patch)
            n_valid, n_seen = n_valid + int(valid.sum()), n_seen + valid.size
            values.append(pixels[:, valid].astype(np.float64))
    if n_valid == 0 and extent.size > _SCAN_MOST_PX:
        raise InputError(
            f"{source.info.path}: none of {n_seen:,} pixels looked at is valid, and {extent.size:,} are too "
            "many to look at all of them before the work",
            remedy="restrict the work to where the field is, with --bbox or --aoi",
        )
    if n_valid == 0 and (seen := _first_valid(source, extent)) is not None:
        # A few pixels in a vast canvas: the scale and the run's name depend on them as on any others.
        values, n_valid = [seen], 1
    if n_valid == 0:
        raise InputError(
            f"{source.info.path}: not one of its {extent.size:,} pixels here is valid "
            f"(validity comes from its {source.info.validity})",
            remedy="check the file's alpha band, mask or nodata value with gdalinfo -mm FILE",
        )
    return Sample(n_valid / max(n_seen, 1), np.concatenate(values, axis=1))


def _first_valid(source: GdalSource, extent: Window) -> npt.NDArray[np.float64] | None:
    """Values (bands, N) of the first stretch that holds valid pixels; None if there is none."""
    for window in extent.split(_SCAN_PX):
        if source.read_valid(window).any():
            pixels, valid = source.read(window)
            if valid.any():
                return np.asarray(pixels[:, valid][:, : _PATCHES * _PATCH_PX**2], dtype=np.float64)
    return None


def background_note(source: GdalSource, sample: Sample) -> str | None:
    """What to say where many valid pixels are black, or white, in all bands like a background; or None."""
    info = source.info
    kind = np.dtype(info.dtype)
    for value in (0, int(np.iinfo(kind).max)) if kind.kind in "ui" else (0,):
        share = float((sample.values == value).all(axis=0).mean())
        if share < _BACKGROUND_SHARE:
            continue
        what = f"pixels are {value} in all bands"
        if source.alpha_band is None and info.validity == "none":
            return (
                f"about {share:.0%} of the {what}, and the file marks none as invalid: "
                f"if that is the background, rio edit-info --nodata {value} FILE marks it"
            )
        if source.alpha_band is None and info.validity != "alpha":
            return (
                f"about {share:.0%} of the valid {what}, which the file's {info.validity} does not mark: "
                "if that is the background, export the file again without it"
            )
        where = "everywhere" if sample.valid_share == 1 else "there"
        colour = ",".join([str(value)] * len(source.bands))
        return (
            f"about {share:.0%} of the valid {what}, and the alpha band is opaque {where}: if that is the "
            f"background, nearblack -color {colour} -near 0 -nb 0 -setalpha -o OUT FILE makes it transparent"
        )
    return None


def colours_note(values: npt.NDArray[np.float32]) -> str | None:
    """What to say of red, green and blue (3, N), 0–1, that are hardly the colours of a field; or None."""
    red, green, blue = values
    if (red == green).all() and (green == blue).all() and np.ptp(green) > 0:
        return (
            "the three bands hold the same values: a picture in grey does not show what is green, "
            "and its mask will say little"
        )
    # In false colours leaves are pinkish: infrared is far above red, and green light somewhat. None of 221
    # pictures (every seventh to train, test or teach with) has more than 1.2 % of such pixels.
    share = float(((red > 1.3 * green + 0.02) & (blue > 1.05 * green)).mean())
    if share > _PINKISH_SHARE:
        return (
            f"about {share:.0%} of the pixels are pinkish, as leaves where near infrared is shown as red: if "
            "so, --bands names red, green and blue, or no vegetation is found; if the light or the white "
            "balance is off, correct that first"
        )
    return None


def unflagged_alpha(source: GdalSource) -> int | None:
    """A band that holds nothing but 0 and 255 and could be an alpha band that nobody flagged, or None."""
    info = source.info
    if info.validity != "none" or info.dtype != "uint8" or info.count != len(source.bands) + 1:
        return None
    last = info.count
    if last in source.bands or info.colours[last - 1] not in ("undefined", "gray"):
        return None
    probe = GdalSource(info, (last,), (info.height, info.width))
    rng = np.random.default_rng(_SEED)
    for _ in range(16):
        row, col = int(rng.integers(0, info.height)), int(rng.integers(0, info.width))
        patch = Window(row, col, _PATCH_PX, _PATCH_PX) & Window(0, 0, info.height, info.width)
        if not np.isin(probe.read(patch)[0], (0, 255)).all():
            return None
    return last
