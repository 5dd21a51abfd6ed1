"""Measure plots on a finished mask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import geopandas as gpd

from cropseg_geo.arguments import require_kind
from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, Warned, ignore, warn
from cropseg_geo.ground import Ground
from cropseg_geo.layers import write_plot_table
from cropseg_geo.outputs.publishing import drafted
from cropseg_geo.outputs.refusals import refuse_inputs
from cropseg_geo.paths import path_text
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.measuring.quantities import Extras
from cropseg_geo.plots.measuring.stats import plot_stats
from cropseg_geo.plots.options import StatsOptions, parse_groups
from cropseg_geo.raster.bands import Bands, open_bands, parse_bands
from cropseg_geo.raster.heights import maybe_heights
from cropseg_geo.raster.mask import MaskFiles, mask_classes, open_mask
from cropseg_geo.raster.tags import Tag, tags_of
from cropseg_geo.vector.files.formats import FORMATS, TABLES, require_format
from cropseg_geo.vector.options import AS_TRACED, Outlines
from cropseg_geo.vector.trace import trace
from cropseg_geo.vector_source import parse_source


@dataclass(frozen=True)
class Companions:
    """Files that belong to one mask: its probability, the orthomosaic, surface and terrain models."""

    prob: str | Path | None = None
    ortho: str | Path | None = None
    dsm: str | Path | None = None
    dtm: str | Path | None = None


@dataclass(frozen=True)
class PlotSettings:
    """How plots are read and measured, on one mask or on many.

    ``plot_id`` and ``plots_crs`` as in :func:`measure_plots`; ``bands`` are band numbers by name, for all
    orthomosaics. The threshold of ``options`` counts for masks that do not say theirs; without ``outlines``
    those of each mask count. With ``may_miss`` a mask that shows none of the plots is measured, too, instead
    of refused.
    """

    options: StatsOptions = StatsOptions()  # noqa: RUF009 - frozen, so that one will do for all
    bands: Mapping[str, int] | None = None
    plot_id: str | None = None
    plots_crs: str | None = None
    outlines: Outlines | None = None
    may_miss: bool = False

    def __post_init__(self) -> None:
        require_kind("outlines", self.outlines, Outlines)


def measure_plots(
    mask: str | Path,
    plots: str | Path | gpd.GeoDataFrame,
    out: str | Path | None = None,
    *,
    prob: str | Path | None = None,
    raster: str | Path | None = None,
    bands: str | Mapping[str, int] | None = None,
    dsm: str | Path | None = None,
    dtm: str | Path | None = None,
    stats: str | Iterable[str] = "all",
    buffer_m: float = 0.0,
    min_valid: float = 0.9,
    row_angle_deg: float | None = None,
    row_spacing_m: float | None = None,
    cell_m: float = 1.0,
    outlines: Outlines | None = None,
    plot_id: str | None = None,
    plots_crs: str | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> gpd.GeoDataFrame:
    """Statistics of plots on a finished mask; docs/plot-statistics.md says what each column means.

    Parameters
    ----------
    mask, prob
        Class mask and probability raster as written by :func:`segment`, or of others as in :func:`vectorize`.
    plots
        Plot polygons, any CRS.
    out
        The file to write: ``.csv``, a table, or with outlines what :func:`vectorize` writes; None writes
        nothing.
    raster, bands
        The orthomosaic, for colour indices over canopy; its bands by name (``red=1,green=2,…``), if the
        file does not say.
    dsm, dtm
        Surface and terrain model, for canopy height and volume.
    stats
        ``"all"``, or any of ``coverage`` (always measured), ``objects``, ``rows``, ``uniformity``.
        ``coverage`` alone is the fastest by far.
    buffer_m, min_valid, row_angle_deg, row_spacing_m, cell_m
        See :class:`cropseg_geo.plots.options.StatsOptions`.
    outlines
        How the polygons are drawn that count as objects; None: as in the run that made the mask, by its tags,
        else along the pixels' edges, nothing left out.
    plot_id
        Column that identifies a plot.
    plots_crs
        CRS of the plots, where their file states none or a wrong one.

    Returns
    -------
    GeoDataFrame
        A row for each plot that has an outline, in the order of ``plots``: ``plot_id``, their own columns (a
        named index among them), the statistics, and their outlines in the mask's CRS. Of a frame the index
        and the name of the geometry stay: ``plots["coverage"] = measure_plots(mask, plots)["coverage"]`` is
        right.

    Raises
    ------
    CropsegError
        If mask or plots cannot be used or the file cannot be written.
    """
    listener = listener or warn
    if out is not None:
        require_format(out, TABLES | FORMATS)
    options = StatsOptions(
        parse_groups(stats),
        buffer_m=buffer_m,
        min_valid=min_valid,
        row_angle_deg=row_angle_deg,
        row_spacing_m=row_spacing_m,
        cell_m=cell_m,
    )
    settings = PlotSettings(options, named_bands(bands), plot_id, plots_crs, outlines)
    beside = Companions(prob, raster, dsm, dtm)
    if out is None:
        return measure_survey(mask, plots, settings, beside, listener)
    refuse_inputs([Path(out)], mask, plots, prob, raster, dsm, dtm)
    # Drafted first: a file that may not be written is refused before the work, not after.
    with drafted(Path(out), "plots", overwrite=overwrite, listener=listener) as draft:
        table = measure_survey(mask, plots, settings, beside, listener)
        write_plot_table(draft, table, tags=_provenance(mask, plots, settings, beside))
    return table


def _provenance(
    mask: str | Path, plots: str | Path | gpd.GeoDataFrame, settings: PlotSettings, beside: Companions
) -> dict[str, str]:
    """What the plots were measured on, and how."""
    with open_mask(mask, beside.prob) as source:
        tags = tags_of(source)
        if "objects" in settings.options.groups:
            tags[Tag.OUTLINES] = outlines_for(source, settings).text
    how = asdict(settings.options) | {"groups": sorted(settings.options.groups)}
    how.pop("threshold")  # that of the mask, which its own tags tell
    tags[Tag.PLOT_OPTIONS] = json.dumps(how)
    if not isinstance(plots, gpd.GeoDataFrame):
        named = path_text(plots)
        file = parse_source(named).file
        tags[Tag.PLOTS] = Path(file).name + named.removeprefix(file)  # a filter may hold a / itself
    return tags


def named_bands(bands: str | Mapping[str, int] | None) -> Mapping[str, int] | None:
    """Band numbers by name, from text where it is text."""
    return parse_bands(bands) if isinstance(bands, str) else bands


def measure_survey(
    mask: str | Path,
    plots: str | Path | gpd.GeoDataFrame,
    settings: PlotSettings,
    companions: Companions,
    listener: Listener,
) -> gpd.GeoDataFrame:
    """Statistics of plots on one mask; writes nothing."""
    with open_mask(mask, companions.prob, listener=listener) as source:
        ground, classes = source.info.ground, mask_classes(source)
        layout = read_plots(
            plots,
            ground=ground,
            id_field=settings.plot_id,
            plots_crs=settings.plots_crs,
            may_miss=settings.may_miss,
            listener=listener,
        )
        objects = None
        if "objects" in settings.options.groups:
            outlines = outlines_for(source, settings, listener)
            traced = trace(source, ground=ground, classes=classes, options=outlines, listener=listener)
            objects = (batch.geometry for batch in traced)
        with _extras(companions, settings.bands, ground, listener) as extras:
            return plot_stats(
                layout,
                source,
                ground=ground,
                classes=classes,
                objects=objects,
                options=replace(settings.options, threshold=source.threshold or settings.options.threshold),
                extras=extras,
                listener=listener,
            )


def outlines_for(source: MaskFiles, settings: PlotSettings, listener: Listener = ignore) -> Outlines:
    """How a mask is traced: as asked for, else as the run that made it did, as far as its files allow.

    Raises
    ------
    InputError
        If contours are asked for without a probability, or the mask's tag is damaged.
    """
    if settings.outlines is not None:
        settings.outlines.require_probability(source.prob)
        return settings.outlines
    stated = source.mask.tags().get(Tag.OUTLINES)
    outlines = Outlines.of_text(stated) if stated else AS_TRACED
    if outlines.outline == "contour" and source.prob is None:
        listener(
            Warned("the mask was traced by contours of its probability, and objects by pixels: add --prob")
        )
        return replace(outlines, outline="pixel")
    return outlines


@contextmanager
def _extras(
    companions: Companions, bands: Mapping[str, int] | None, ground: Ground, listener: Listener
) -> Iterator[Extras]:
    colours: AbstractContextManager[Bands | None] = nullcontext()
    if companions.ortho is not None:
        colours = open_bands(companions.ortho, ground=ground, bands=bands, listener=listener)
    elif bands is not None:
        raise InputError("--bands are given, but no orthomosaic", remedy="add --raster FILE")
    with colours as ortho, maybe_heights(companions.dsm, companions.dtm, ground, listener) as heights:
        yield Extras(ortho, heights)
