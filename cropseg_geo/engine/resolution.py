"""The working GSD at which a model's answer can be trusted most, found on a few windows of the raster.

What matters to a network is the size of leaves and plants in pixels, and no file says that. The strategy is:
look at the same few places at a ladder of GSDs, and trust an answer that is *sure* where any step of the
ladder sees vegetation, and whose vegetation the next finer or the next coarser look *shares*. Background
everywhere is a sure answer too, but shares no vegetation with anyone. A GSD other than the default one has to
gain enough to be worth its steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cropseg_geo.engine import blend
from cropseg_geo.engine.graph import Region, wanted_mask
from cropseg_geo.engine.plan import choose_gsd, gsd_ladder, working_shape
from cropseg_geo.engine.tiles import cut_tile
from cropseg_geo.errors import InferenceError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.grid import Window
from cropseg_geo.model.predictor import Predictor
from cropseg_geo.raster.scaling import ValueScale
from cropseg_geo.raster.source import GdalSource

STAGE = "gsd"

LEAST_GAIN, STEP_WORTH = 0.01, 0.03
"""Trust that leaving the default GSD has to gain, and each step besides; a step finer doubles the work."""

WINDOWS = 12
CORE_PX = 416
"""Side of a window at the finest step; with its context, a tile of 512 px."""

_CANDIDATES_PER_SIDE = 6
_CONTEXT_PX = 48
_LEAST_VEGETATION = 0.002
_SEED = 20261

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GsdChoice:
    """What was looked at and what came of it.

    Parameters
    ----------
    native_m, default_m
        The raster's own GSD and the one that is taken without a choice (m/px).
    gsd_m
        The chosen one (m/px).
    trust
        (GSD, trust in 0–1) of each step of the ladder, finest first; empty where nothing could be compared.
    """

    native_m: float
    default_m: float
    gsd_m: float
    trust: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        trust = dict(self.trust)
        if not trust:
            why = "there was nothing to compare"
        elif self.gsd_m == self.default_m:
            why = f"trust {trust[self.gsd_m]:.2f}, no other gains enough"
        else:
            why = f"trust {trust[self.gsd_m]:.2f} against {trust[self.default_m]:.2f} at {self.default_m:.3g}"
        return f"working GSD {self.gsd_m:.3g} m/px chosen from the image (native {self.native_m:.3g}; {why})"


def choose_from_image(
    source: GdalSource,
    extent: Window,
    *,
    region: Region | None,
    scale: ValueScale,
    predictor: Predictor,
    listener: Listener = ignore,
) -> GsdChoice:
    """Choose a working GSD by what the model makes of up to 12 windows at up to 8 GSDs.

    Parameters
    ----------
    source
        The raster at the default working GSD.
    extent, region
        What is wanted of it, in pixels of ``source``.
    scale
        From stored values to 0–1.

    Returns
    -------
    GsdChoice
        The same for the same pixels, model and options: the windows are fixed.

    Raises
    ------
    ReadError, InferenceError
        If a window cannot be read or the model fails on it.
    """
    native_m, card = source.info.ground.gsd_m, predictor.card
    default_m = choose_gsd(native_m, card.gsd_range_m, None, card.name)
    ladder = gsd_ladder(native_m, card.gsd_range_m, default_m)
    unchanged = GsdChoice(native_m, default_m, default_m, ())
    if len(ladder) == 1:
        return unchanged
    side = round(CORE_PX * ladder[0] / default_m)
    windows = informative_windows(source, extent, region, side)
    views = [_View(_at(source, native_m, gsd), source, predictor, scale) for gsd in ladder]
    total = sum(view.tile_px(w) ** 2 for w in windows for view in views)
    listener(StageStarted(STAGE, total, "px"))
    evidence = Evidence.none(len(ladder))
    for window in windows:
        probabilities = []
        for view in views:
            probabilities.append(view.probability(window))
            listener(StageAdvanced(STAGE, view.tile_px(window) ** 2))
        wanted = source.read(window)[1] & wanted_mask(extent, window, region)
        evidence = evidence.plus(np.stack(probabilities)[:, wanted], card.threshold)
    listener(StageFinished(STAGE))
    if evidence.vegetation_px < _LEAST_VEGETATION * max(evidence.seen_px, 1):
        return unchanged
    trust = evidence.trust
    best = most_worthwhile(trust, ladder.index(default_m))
    return GsdChoice(native_m, default_m, ladder[best], tuple(zip(ladder, trust, strict=True)))


def most_worthwhile(trust: Sequence[float], default: int) -> int:
    """The index of the step that is most worth its trust, with a preference for the ``default`` one.

    >>> most_worthwhile([0.70, 0.69, 0.64], default=2), most_worthwhile([0.70, 0.69, 0.66], default=2)
    (1, 2)
    """

    def worth(i: int) -> float:
        return trust[i] - (LEAST_GAIN + STEP_WORTH * abs(i - default) if i != default else 0)

    # From the coarse end, so that of equals the cheaper one wins.
    return max(reversed(range(len(trust))), key=worth)


@dataclass(frozen=True)
class Evidence:
    """Sums over the windows from which the trust in each of K GSDs follows.

    ``margin``: (K,) sum of |2p − 1| where any GSD sees vegetation; ``shared``: (K − 1, 2, 2) pixels by class
    at one GSD and at the next coarser one.
    """

    seen_px: int
    vegetation_px: int
    margin: npt.NDArray[np.float64]
    shared: npt.NDArray[np.int64]

    @classmethod
    def none(cls, count: int) -> Evidence:
        return cls(0, 0, np.zeros(count), np.zeros((count - 1, 2, 2), dtype=np.int64))

    def plus(self, probabilities: Floats, threshold: float) -> Evidence:
        """With the pixels of one window, probabilities (K, N)."""
        masks = probabilities >= threshold
        anywhere = masks.any(axis=0)
        margin = np.abs(2 * probabilities[:, anywhere].astype(np.float64) - 1).sum(axis=1)
        pairs = pairwise(masks)
        shared = [np.bincount(2 * fine + coarse, minlength=4).reshape(2, 2) for fine, coarse in pairs]
        return Evidence(
            self.seen_px + masks.shape[1],
            self.vegetation_px + int(np.count_nonzero(anywhere)),
            self.margin + margin,
            self.shared + np.array(shared),
        )

    @property
    def trust(self) -> tuple[float, ...]:
        """For each GSD, mean margin × the better of the IoUs of vegetation with its two neighbours."""
        shared = self.shared[:, 1, 1] / np.maximum(self.shared.sum(axis=(1, 2)) - self.shared[:, 0, 0], 1)
        agreement = [shared[max(0, k - 1) : k + 1].max() for k in range(len(self.margin))]
        sure = self.margin / max(self.vegetation_px, 1)
        return tuple(float(m * a) for m, a in zip(sure, agreement, strict=True))


def informative_windows(source: GdalSource, extent: Window, region: Region | None, side: int) -> list[Window]:
    """Up to 12 windows of ``side`` pixels whose colours vary most, of 36 spread over the extent at random.

    Windows of which less than half is wanted and valid are left out as long as there are others.
    """
    ranked = []
    for window in dict.fromkeys(_candidates(extent, side)):
        values, valid = source.read(window)
        wanted = valid & wanted_mask(extent, window, region)
        if wanted.any():
            pixels = values[:, wanted].astype(np.float64)
            colours = pixels / np.maximum(pixels.sum(axis=0), 1e-9)
            ranked.append((wanted.mean() >= 0.5, float(colours.std(axis=1).sum()), window))
    full = [entry for entry in ranked if entry[0]] or ranked
    return [window for *_, window in sorted(full, key=lambda entry: (-entry[1], entry[2]))[:WINDOWS]]


def _candidates(extent: Window, side: int) -> Iterator[Window]:
    """One window at random in each of 6 × 6 cells."""
    rng, n = np.random.default_rng(_SEED), _CANDIDATES_PER_SIDE
    height, width = min(side, extent.height), min(side, extent.width)
    for i in range(n):
        for j in range(n):
            down, right = (i + rng.random()) / n, (j + rng.random()) / n
            row = extent.row + round((extent.height - height) * down)
            col = extent.col + round((extent.width - width) * right)
            yield Window(row, col, height, width)


def _at(source: GdalSource, native_m: float, gsd_m: float) -> GdalSource:
    shape = working_shape(source.info.height, source.info.width, native_m, gsd_m)
    return GdalSource(source.info, source.bands, shape, source.alpha_band)


@dataclass(frozen=True)
class _View:
    """The model's look at windows of ``base`` through another GSD."""

    source: GdalSource
    base: GdalSource
    predictor: Predictor
    scale: ValueScale

    @property
    def ratio(self) -> tuple[float, float]:
        """Pixels of this view for one of ``base``, along rows and columns."""
        return (self.source.height / self.base.height, self.source.width / self.base.width)

    def tile_px(self, window: Window) -> int:
        """Side of the square tile that holds the window and its context."""
        rows, cols = self.ratio
        side = math.ceil(max(window.height * rows, window.width * cols)) + 2 * _CONTEXT_PX
        stride = self.predictor.card.stride_px
        return -(-side // stride) * stride

    def probability(self, window: Window) -> Floats:
        """Probability of vegetation in each pixel of a window of ``base`` (H, W)."""
        rows, cols = self.ratio
        side = self.tile_px(window)
        row = _start(window.row, window.height, rows, side, self.source.height)
        col = _start(window.col, window.width, cols, side, self.source.width)
        tile = Window(row, col, side, side)
        inside = tile & Window(0, 0, self.source.height, self.source.width)
        values, valid = self.source.read(inside)
        pixels, _ = cut_tile(values, valid, inside, tile)
        seen = _vegetation(self.predictor, self.scale.apply(pixels[None]))
        at_rows = (window.row + np.arange(window.height) + 0.5) * rows - 0.5 - row
        at_cols = (window.col + np.arange(window.width) + 0.5) * cols - 0.5 - col
        where = np.meshgrid(at_rows, at_cols, indexing="ij")
        from scipy import ndimage  # for those who ask for it

        return np.asarray(ndimage.map_coordinates(seen, where, order=1, mode="nearest"), dtype=np.float32)


def _start(start: int, length: int, ratio: float, side: int, limit: int) -> int:
    """First pixel of a tile around ``length`` pixels from ``start``, kept inside the raster if it fits."""
    centred = math.floor((start + length / 2) * ratio - side / 2)
    return max(0, min(centred, limit - side))


def _vegetation(predictor: Predictor, batch: Floats) -> Floats:
    """Probability (H, W) of any class but the first for a batch of one tile."""
    logits = predictor.predict(batch)
    if not np.isfinite(logits).all():
        raise InferenceError(
            "the model returned values that are not finite while a working GSD was chosen",
            remedy="try --precision fp32, or give --gsd in m/px",
        )
    probabilities = blend.probabilities(logits)[0]
    return np.asarray(probabilities[0] if len(probabilities) == 1 else 1 - probabilities[0], dtype=np.float32)
