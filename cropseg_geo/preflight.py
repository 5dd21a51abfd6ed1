"""Before any work: read the facts, decide what will happen, refuse what cannot work."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cropseg_geo import __version__
from cropseg_geo.engine.plan import (
    TILES_PER_BLOCK_SIDE,
    Plan,
    bbox_window,
    choose_gsd,
    make_plan,
    working_shape,
    working_window,
)
from cropseg_geo.engine.resolution import GsdChoice, choose_from_image
from cropseg_geo.engine.tuning import Tuned, fits_extent, remembered, usual_setting
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import InputError
from cropseg_geo.events import Event, Listener, Warned, ignore
from cropseg_geo.grid import Window
from cropseg_geo.model.backends import choose_predictor
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.predictor import FilePredictor
from cropseg_geo.model.zoo import find_model, is_address
from cropseg_geo.options import Options
from cropseg_geo.raster.aoi import AreaOfInterest, read_aoi
from cropseg_geo.raster.band_choice import choose_bands
from cropseg_geo.raster.info import RasterInfo, inspect_raster
from cropseg_geo.raster.sample import Sample, background_note, colours_note, sample_raster, unflagged_alpha
from cropseg_geo.raster.scaling import ValueScale, choose_scale
from cropseg_geo.raster.source import GdalSource
from cropseg_geo.vector.scratch import shortage

_SEARCH_PX = 1024
"""Side of the windows in which a valid pixel of the area of interest is looked for."""


@dataclass(frozen=True)
class Preflight:
    """Everything that a run has decided before it starts."""

    options: Options
    info: RasterInfo
    predictor: FilePredictor
    source: GdalSource
    scale: ValueScale
    sample: Sample = field(repr=False)
    extent: Window
    aoi: AreaOfInterest | None = field(repr=False)
    plan: Plan
    notes: tuple[str, ...]
    tuned: Tuned | None = None
    gsd_choice: GsdChoice | None = None

    @property
    def card(self) -> ModelCard:
        return self.predictor.card

    @property
    def threshold(self) -> float:
        return self.card.threshold if self.options.threshold is None else self.options.threshold

    @property
    def working_aoi(self) -> AreaOfInterest | None:
        """The area of interest in pixels of the working grid."""
        return self.aoi.scaled(self.source.pixel) if self.aoi else None

    @property
    def writes_source_grid(self) -> bool:
        return self.source.is_resampled and self.options.grid == "source"

    @property
    def output_extent(self) -> Window:
        """The extent in pixels of the outputs' grid before cropping."""
        return self.extent if self.writes_source_grid else self.plan.extent

    @property
    def batch_size(self) -> int:
        """Tiles at once: as asked for, as measured, or as is usual. May look for a GPU."""
        if self.options.batch_size:
            return self.options.batch_size
        if self.tuned:
            return self.tuned.best.batch_size
        return usual_setting(self.card, on_cpu=self.predictor.device_type == "cpu").batch_size

    def tuned_workers(self, workers: Workers | None) -> Workers:
        """The workers, with as many lanes as were measured to be best where nobody says how many."""
        workers = workers or Workers()
        if self.tuned is None or workers.lanes or workers.is_distributed:
            return workers
        return replace(workers, lanes=self.tuned.best.lanes)

    def memory_bytes(self, lanes: int) -> int:
        """Peak memory of one process to expect. May look for a GPU."""
        itemsize = np.dtype(self.info.dtype).itemsize
        # Processors compute a batch's tiles one by one, and a GPU holds them, which on a Mac is this memory.
        is_shared = self.predictor.device_type == "mps"
        return self.plan.memory_bytes(
            lanes=lanes,
            batch_size=self.batch_size,
            at_once=self.batch_size if is_shared else 1,
            bytes_per_pixel=itemsize * len(self.source.bands),
        )

    @property
    def disk_bytes(self) -> int:
        return self.plan.disk_bytes(self.output_extent.size, regrids=self.writes_source_grid)

    @property
    def finished_bytes(self) -> int:
        return self.plan.finished_bytes(self.output_extent.size)


def chosen_predictor(options: Options) -> FilePredictor:
    """What computes the model of these options. Raises as :func:`choose_predictor`."""
    return choose_predictor(
        options.model, backend=options.backend, device=options.device, precision=options.precision
    )


def prepare(
    raster: str | Path, options: Options | None = None, predictor: FilePredictor | None = None
) -> Preflight:
    """Decide everything about a run that does not need the network itself.

    With ``gsd_m="auto"`` the default GSD stands in until :func:`with_chosen_gsd`. ``predictor`` is that of
    the options where it was chosen already.

    Raises
    ------
    InputError, ModelError, ReadError
        For whatever cannot work; says what was found, what was expected and what to do.
    """
    options = options or Options()
    predictor = predictor or chosen_predictor(options)
    card = predictor.card
    info = inspect_raster(raster)
    bands = choose_bands(info, card.bands, options.bands, options.alpha_band)
    native = info.ground.gsd_m
    wanted = None if options.gsd_m == "auto" else options.gsd_m
    gsd = choose_gsd(native, card.gsd_range_m, wanted, card.name)
    shape = working_shape(info.height, info.width, native, gsd)
    source = GdalSource(info, bands, shape, options.alpha_band)
    told: list[Event] = []
    extent, aoi = _extent(info, options, told.append)
    working = working_window(extent, source.pixel, shape)
    sample = sample_raster(source, working)
    if aoi:
        _require_any_wanted(source, working, aoi.scaled(source.pixel))
    tuned = remembered(predictor)
    scale = choose_scale(info, bands, sample.values, scale=options.scale, reflectance=options.reflectance)
    plan = make_plan(
        shape=shape,
        extent=working,
        tile_px=_tile_px(options, card, tuned, working),
        overlap_px=card.overlap_px if options.overlap_px is None else options.overlap_px,
        channels=card.channels,
        identity=_identity(source, sample, scale, predictor, aoi),
        tiles_per_side=TILES_PER_BLOCK_SIDE,
    )
    require_stride(plan, card)
    notes = tuple(_notes(source, sample, card, plan, scale))
    notes += tuple(event.message for event in told if isinstance(event, Warned))
    if lacking := shortage(extent.size):
        notes += (lacking,)
    return Preflight(options, info, predictor, source, scale, sample, extent, aoi, plan, notes, tuned)


def _identity(
    source: GdalSource,
    sample: Sample,
    scale: ValueScale,
    predictor: FilePredictor,
    aoi: AreaOfInterest | None,
) -> dict[str, str]:
    """What probabilities depend on besides the lattice, by name."""
    return {
        "engine": __version__,
        "source": source.info.fingerprint,
        "pixels": hashlib.sha256(sample.values.tobytes()).hexdigest(),
        "bands": str(source.bands),
        "alpha": str(source.alpha_band),
        "scale": repr(scale),
        "model": predictor.card.digest,
        **predictor.identity,
        "aoi": aoi.digest if aoi else "",
    }


def require_stride(plan: Plan, card: ModelCard) -> None:
    """Raise InputError for tiles that the network does not take."""
    if plan.tiles.tile_px % card.stride_px:
        raise InputError(
            f"--tile {plan.tiles.tile_px} is not a multiple of the network's stride, {card.stride_px} px",
            remedy=f"give a multiple of {card.stride_px}, for example {card.tile_px}",
        )


def with_local_model(options: Options, listener: Listener = ignore) -> Options:
    """The options, with a model at a web address fetched. Raises ModelError where that does not work."""
    if not is_address(options.model):
        return options
    return replace(options, model=find_model(options.model, listener=listener))


def with_chosen_gsd(ready: Preflight, listener: Listener = ignore) -> Preflight:
    """Where ``gsd_m="auto"``, choose the working GSD with the network; the rest is as if it had been given.

    Raises
    ------
    ReadError, InferenceError, ModelError
        If the windows cannot be read or the network fails on them.
    """
    if ready.options.gsd_m != "auto":
        return ready
    choice = choose_from_image(
        ready.source,
        ready.plan.extent,
        region=ready.working_aoi,
        scale=ready.scale,
        predictor=ready.predictor,
        listener=listener,
    )
    settled = prepare(ready.info.path, replace(ready.options, gsd_m=choice.gsd_m), ready.predictor)
    return replace(settled, notes=(str(choice), *settled.notes), gsd_choice=choice)


def _tile_px(options: Options, card: ModelCard, tuned: Tuned | None, extent: Window) -> int:
    """As asked for; else as measured on this machine, where the extent is large enough; else the card's."""
    if options.tile_px:
        return options.tile_px
    if tuned and options.overlap_px is None and fits_extent(tuned.best, extent):
        return tuned.best.tile_px
    return card.tile_px


def _extent(info: RasterInfo, options: Options, listener: Listener) -> tuple[Window, AreaOfInterest | None]:
    extent = Window(0, 0, info.height, info.width)
    aoi = None
    if options.bbox is not None:
        extent = bbox_window(options.bbox, info.ground)
    if options.aoi is not None:
        aoi = read_aoi(options.aoi, info.ground, listener)
        extent = aoi.window(extent)
        if not extent:
            raise InputError(
                "--bbox and --aoi have no pixel in common", remedy="give one of them, or let them overlap"
            )
    return extent, aoi


def _require_any_wanted(source: GdalSource, extent: Window, area: AreaOfInterest) -> None:
    """Refuse an area in which there is nothing to answer: smaller than a pixel, or where nothing was seen."""
    for window in extent.split(_SEARCH_PX):
        inside = area.mask(window)
        if inside.any() and (inside & source.read_valid(window)).any():
            return
    raise InputError(
        f"{source.info.path}: the area of interest holds no valid pixel of it",
        remedy="give an area that holds the centres of pixels that the survey has seen",
    )


def _notes(source: GdalSource, sample: Sample, card: ModelCard, plan: Plan, scale: ValueScale) -> list[str]:
    info, notes = source.info, []
    native_m, gsd_m = info.ground.gsd_m, source.ground.gsd_m
    if source.is_resampled:
        finest, coarsest = card.gsd_range_m
        notes.append(
            f"read resampled from {native_m * 100:.3g} to {gsd_m * 100:.3g} cm/px "
            f"(model {card.name} accepts {finest * 100:.3g}–{coarsest * 100:.3g} cm/px)"
        )
        if gsd_m < native_m:
            notes.append("upsampling adds no detail: small plants may be missed")
    if set(card.bands) <= {"red", "green", "blue"} and not set(card.bands) <= set(info.colours):
        called = [info.band_name(band) for band in source.bands]
        what = f", which it calls {', '.join(name or 'nothing' for name in called)}," if any(called) else ""
        notes.append(
            f"the file does not name all its colours: bands {source.bands}{what} are taken as "
            f"{', '.join(card.bands)}"
        )
    if source.alpha_band is None and (band := unflagged_alpha(source)):
        notes.append(
            f"band {band} looks like an alpha band that is not flagged: --alpha-band {band} would use it"
        )
    elif background := background_note(source, sample):
        notes.append(background)
    if card.bands == ("red", "green", "blue") and (colours := colours_note(scale.apply(sample.values))):
        notes.append(colours)
    if scale.encode_srgb:
        notes.append("values are taken as reflectance and encoded like a photograph (sRGB)")
    if plan.tiles.tile_px != card.tile_px:
        notes.append(
            f"tiles of {plan.tiles.tile_px} px; masks differ slightly from those of {card.tile_px} px"
        )
    if plan.tiles.stride_px % card.stride_px:
        notes.append(
            f"tiles start every {plan.tiles.stride_px} px, off the network's stride of {card.stride_px} px: "
            "accuracy suffers slightly"
        )
    return notes
