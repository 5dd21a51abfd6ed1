"""What is summed over plots: classes of the mask, probability, colour indices and heights of canopy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import ReadError
from cropseg_geo.grid import Window
from cropseg_geo.plots.measuring.heights import HeightSource
from cropseg_geo.plots.measuring.indices import BandSource, index_values, possible_indices
from cropseg_geo.plots.measuring.zonal import NODATA, Cached, MaskSource, Quantity
from cropseg_geo.plots.options import UNCERTAIN_MARGIN

PROB, UNCERTAIN, HEIGHT = "prob", "uncertain", "height"

_ROUNDING = 1e-6
"""Probabilities come in steps; one that lies on the margin but for rounding is within it."""

ReadMask = Callable[[Window], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Extras:
    """What may be measured beside the mask, on its grid: the orthomosaic's bands, and heights."""

    bands: BandSource | None = None
    heights: HeightSource | None = None


def class_name(k: int) -> str:
    """Name of the quantity that counts class ``k``."""
    return f"class{k}"


def class_quantities(read_mask: ReadMask, n_classes: int) -> list[Quantity]:
    """1 where the mask has the class, 0 where it has another; nodata is left out."""
    if n_classes == 2:  # the mask is that already
        return [Quantity(class_name(1), read_mask, NODATA)]

    def reads(k: int) -> ReadMask:
        def read(window: Window) -> npt.NDArray[np.uint8]:
            mask = read_mask(window)
            return np.where(mask == NODATA, np.uint8(NODATA), (mask == k).astype(np.uint8))

        return read

    return [Quantity(class_name(k), reads(k), NODATA) for k in range(1, n_classes)]


def near_threshold(prob: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.bool_]:
    """Which probabilities are uncertain: within :data:`UNCERTAIN_MARGIN` of the threshold."""
    return np.asarray(np.abs(prob - np.float32(threshold)) <= UNCERTAIN_MARGIN + _ROUNDING)


def probability_quantities(source: MaskSource, read_mask: ReadMask, threshold: float) -> list[Quantity]:
    """Probability of valid pixels, and which of them are uncertain; nothing without probabilities."""
    if source.read_prob(Window(0, 0, 1, 1)) is None:
        return []

    def read(window: Window) -> npt.NDArray[np.float32]:
        prob = source.read_prob(window)
        if prob is None or prob.shape != window.shape:
            found = None if prob is None else prob.shape
            raise ReadError(f"the probability of {window} came back as {found}; expected {window.shape}")
        masked: npt.NDArray[np.float32] = np.where(read_mask(window) == NODATA, np.float32(np.nan), prob)
        return masked

    read_prob = Cached(read)

    def read_uncertain(window: Window) -> npt.NDArray[np.uint8]:
        prob = read_prob(window)
        is_near = near_threshold(prob, threshold).astype(np.uint8)
        return np.where(np.isnan(prob), np.uint8(NODATA), is_near)

    return [Quantity(PROB, read_prob), Quantity(UNCERTAIN, read_uncertain, NODATA)]


def extra_quantities(extras: Extras, read_mask: ReadMask) -> list[Quantity]:
    """Colour indices and height, of canopy pixels only."""

    def on_canopy(
        read: Callable[[Window], npt.NDArray[np.float32]],
    ) -> Callable[[Window], npt.NDArray[np.float32]]:
        def read_canopy(window: Window) -> npt.NDArray[np.float32]:
            mask = read_mask(window)
            is_canopy = (mask != 0) & (mask != NODATA)
            return np.where(is_canopy, read(window), np.float32(np.nan))

        return read_canopy

    quantities = []
    if extras.bands is not None:
        names = extras.bands.names
        read_bands = Cached(extras.bands.read_bands)
        quantities += [
            Quantity(index, on_canopy(_reads_index(index, read_bands, names)))
            for index in possible_indices(names)
        ]
    if extras.heights is not None:
        quantities.append(Quantity(HEIGHT, on_canopy(extras.heights.read)))
    return quantities


def _reads_index(
    index: str, read_bands: Cached, names: Sequence[str]
) -> Callable[[Window], npt.NDArray[np.float32]]:
    return lambda window: index_values(index, read_bands(window), tuple(names))
