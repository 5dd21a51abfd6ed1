"""Everything a report says, gathered once for the page and for the printed sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import ModelError
from cropseg_geo.events import Listener, Warned
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import find_model
from cropseg_geo.paths import file_name, path_text
from cropseg_geo.plots.dates import readings_of
from cropseg_geo.raster.info import inspect_raster, opened
from cropseg_geo.raster.mask import MaskFiles, mask_classes
from cropseg_geo.raster.tags import Tag
from cropseg_geo.report.figures import Figures, count_mask
from cropseg_geo.report.notes import Note, origin_notes, quality_notes
from cropseg_geo.report.overview import LONGEST_PX, Overview, read_overview
from cropseg_geo.report.tables import PlotTable, Series, read_plot_table, read_series
from cropseg_geo.vector.files.geopackage import read_provenance

_CLASS_COLOURS = ((46, 139, 87), (208, 120, 40), (120, 94, 170), (30, 120, 180), (190, 60, 90))


@dataclass(frozen=True)
class Inputs:
    """Files of a report beside the mask and its probability; all may be missing."""

    raster: str | Path | None = None
    plots: str | Path | gpd.GeoDataFrame | None = None
    series: str | Path | None = None
    bands: tuple[int, ...] | None = None


@dataclass(frozen=True)
class MaskClass:
    """A class of the legend."""

    name: str
    colour: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Content:
    """A report's facts; ``classes`` start with the background, ``date`` is ISO or None."""

    title: str
    date: str | None
    model: str | None
    gsd_m: float
    classes: tuple[MaskClass, ...]
    figures: Figures
    overview: Overview
    table: PlotTable | None
    series: Series | None
    notes: tuple[Note, ...]
    provenance: tuple[tuple[str, str], ...]


def gather(mask: MaskFiles, inputs: Inputs, listener: Listener, *, longest_px: int = LONGEST_PX) -> Content:
    """Read and count everything that the report shows.

    Raises
    ------
    CropsegError
        If one of the files cannot be used.
    """
    tags = dict(mask.mask.tags())
    overview = read_overview(mask, inputs.raster, bands=inputs.bands, longest_px=longest_px)
    names = mask_classes(mask)
    classes = _legend(mask, names)
    table = None if inputs.plots is None else read_plot_table(inputs.plots, overview.ground, names, listener)
    stated = _measured_on(inputs.plots, table)
    series, day = None, _named_date(mask, inputs.raster)
    if inputs.series is not None:
        series, table = read_series(inputs.series, table, names, day)
        if not series.values:
            listener(Warned(f"{inputs.series}: no number changes over the dates; no growth is shown"))
            series = None
    if table is not None and not table.is_measured:
        listener(Warned("the plots carry no statistics: measure them with `cropseg plots stats`"))
    origins = origin_notes(tags, stated, day, series, table)
    for note in origins:
        listener(Warned(note.text))
    figures = count_mask(mask, n_classes=len(classes), listener=listener)
    gsd_m = mask.info.ground.gsd_m if inputs.raster is None else inspect_raster(inputs.raster).ground.gsd_m
    notes = quality_notes(figures, tags, _card(tags), table, gsd_m=gsd_m, origins=origins)
    return Content(
        title=_title(mask, tags, inputs.raster),
        date=day or _stated_date(inputs.raster),
        model=tags.get(Tag.MODEL),
        gsd_m=gsd_m,
        classes=classes,
        figures=figures,
        overview=overview,
        table=table,
        series=series,
        notes=notes,
        provenance=_provenance(mask, tags, inputs),
    )


def _measured_on(plots: str | Path | gpd.GeoDataFrame | None, table: PlotTable | None) -> Mapping[str, str]:
    """What measured plots say of their mask; nothing where their file says nothing."""
    if plots is None or isinstance(plots, gpd.GeoDataFrame) or table is None or not table.is_measured:
        return {}
    return read_provenance(plots)


def _title(mask: MaskFiles, tags: Mapping[str, str], raster: str | Path | None) -> str:
    if raster is not None:
        return inspect_raster(raster).stem
    return Path(tags.get(Tag.SOURCE, "")).stem or mask.info.stem.removesuffix("_mask")


def _named_date(mask: MaskFiles, raster: str | Path | None) -> str | None:
    """Day of the flight in the name of the raster or mask."""
    found = _only_date(inspect_raster(raster).stem) if raster is not None else None
    return found or _only_date(mask.info.stem)


def _stated_date(raster: str | Path | None) -> str | None:
    """Day in the raster's own tag (TIFF DateTime), which may be that on which it was put together."""
    if raster is None:
        return None
    with opened(path_text(raster)) as dataset:
        return _only_date(str(dataset.tags().get("TIFFTAG_DATETIME", "")).replace(":", "-")[:10])


def _only_date(text: str) -> str | None:
    """The ISO date in a text, if there is one and it can be read in one way."""
    readings = readings_of(text)
    return readings.pop().isoformat() if len(readings) == 1 else None


def _legend(mask: MaskFiles, names: tuple[str, ...]) -> tuple[MaskClass, ...]:
    """Names with their colours: the mask's own colour table, else ours."""
    try:
        table: dict[int, tuple[int, ...]] = mask.mask.colormap(1)
    except ValueError:
        table = {}
    colours = [
        table[k][:3] if k in table else _CLASS_COLOURS[(k - 1) % len(_CLASS_COLOURS)]
        for k in range(len(names))
    ]
    return tuple(
        MaskClass(name, (int(red), int(green), int(blue)))
        for name, (red, green, blue) in zip(names, colours, strict=True)
    )


def _card(tags: Mapping[str, str]) -> ModelCard | None:
    """The card of the mask's model where this installation has exactly that one."""
    name = tags.get(Tag.MODEL, "").partition(" ")[0]
    if not name:
        return None
    try:
        card = read_card(find_model(name))
    except ModelError:
        return None
    return card if card.digest == tags.get(Tag.MODEL_DIGEST) else None


_TAG_LABELS = {
    Tag.SOURCE: "Orthomosaic",
    Tag.MODEL: "Model",
    Tag.MODEL_LICENCE: "Licence of the model",
    Tag.MODEL_DIGEST: "Model digest (SHA-256)",
    Tag.THRESHOLD: "Threshold",
    Tag.WORKING_GSD_M: "Working GSD (m/px)",
    Tag.TILE_PX: "Tile (px)",
    Tag.OVERLAP_PX: "Overlap (px)",
    Tag.VERSION: "CropSeg-Geo",
    Tag.RUN: "Run",
}


def _provenance(mask: MaskFiles, tags: Mapping[str, str], inputs: Inputs) -> tuple[tuple[str, str], ...]:
    info = mask.info
    rows = [(label, tags[key]) for key, label in _TAG_LABELS.items() if key in tags]
    if Tag.CLASSES in tags:
        rows.append(("Classes", ", ".join(mask_classes(mask))))
    rows.append(("Mask", file_name(info.path)))
    rows.append(("Mask size", f"{info.width:,} × {info.height:,} px"))
    rows.append(("Coordinate reference system", mask.mask.crs.to_string() if mask.mask.crs else ""))
    for label, path in (("Plots", inputs.plots), ("Series", inputs.series)):
        if isinstance(path, str | Path):
            rows.append((label, file_name(path)))
    return tuple((label, _short_crs(value)) for label, value in rows)


def _short_crs(value: str) -> str:
    """A WKT by its name: whole, it is a page of text."""
    return (
        value.split('"')[1]
        if value[:6] in ("PROJCS", "GEOGCS", "PROJCR", "GEOGCR") and '"' in value
        else value
    )


def mask_image(content: Content) -> tuple[npt.NDArray[np.uint8], list[tuple[int, int, int]]]:
    """Class ids (H, W) with nodata as background, and the colour of each id."""
    classes = np.where(content.overview.classes < len(content.classes), content.overview.classes, 0)
    return classes.astype(np.uint8), [c.colour for c in content.classes]


def area_text(area_m2: float) -> str:
    """``"294.7 m²"``, ``"1.23 ha"`` from 10,000 m²: the unit of fields.

    >>> area_text(12345)
    '1.23 ha'
    """
    return f"{area_m2 / 1e4:,.2f} ha" if area_m2 >= 1e4 else f"{area_m2:,.1f} m²"


def gsd_text(gsd_m: float) -> str:
    """``"1.0 cm/px"``; millimetres would be false precision, metres are what satellites have.

    >>> gsd_text(0.0125)
    '1.25 cm/px'
    """
    return f"{gsd_m:.3g} m/px" if gsd_m >= 1 else f"{100 * gsd_m:.3g} cm/px"


def key_figures(content: Content) -> tuple[tuple[str, str, str], ...]:
    """The numbers that matter: (label, value, remark)."""
    figures = content.figures
    cover = "–" if np.isnan(figures.canopy_cover) else f"{100 * figures.canopy_cover:.1f} %"
    cells = [
        ("Canopy cover", cover, "of the valid area"),
        ("Canopy area", area_text(figures.canopy_area_m2), ""),
        (
            "Valid area",
            area_text(figures.valid_area_m2),
            f"{100 * figures.valid_fraction:.0f} % of the raster",
        ),
    ]
    if content.table is not None:
        cells.append(("Plots", f"{len(content.table):,}", _spread(content.table)))
    cells.append(("GSD", gsd_text(content.gsd_m), "orthomosaic"))
    if content.date:
        cells.append(("Date", content.date, ""))
    if content.model:
        cells.append(("Model", content.model, ""))
    return tuple(cells)


def _spread(table: PlotTable) -> str:
    if not (table.is_measured and table.frame["coverage"].notna().any()):
        return ""
    return f"median cover {100 * table.frame['coverage'].median():.1f} %"
