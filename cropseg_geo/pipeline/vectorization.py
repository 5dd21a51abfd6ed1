"""Trace a finished mask into polygons."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cropseg_geo.arguments import require_kind
from cropseg_geo.events import Listener, Warned, warn
from cropseg_geo.layers import CanopyOptions, write_layers
from cropseg_geo.outputs.publishing import drafted
from cropseg_geo.outputs.refusals import refuse_inputs
from cropseg_geo.raster.heights import maybe_heights
from cropseg_geo.raster.mask import mask_classes, open_mask, read_once
from cropseg_geo.raster.tags import Tag, tags_of
from cropseg_geo.vector.files.formats import require_format
from cropseg_geo.vector.options import Outlines
from cropseg_geo.vector.scratch import shortage
from cropseg_geo.vector.simplify import TILE_PX

if TYPE_CHECKING:
    import geopandas as gpd


@dataclass(frozen=True)
class VectorizeResult:
    """What :func:`vectorize` made: the file, and what is in it."""

    path: Path
    n_polygons: int
    canopy_area_m2: float


def vectorize(
    mask: str | Path,
    out: str | Path,
    *,
    prob: str | Path | None = None,
    outlines: Outlines | None = None,
    plots: str | Path | gpd.GeoDataFrame | None = None,
    plot_id: str | None = None,
    plots_crs: str | None = None,
    dsm: str | Path | None = None,
    dtm: str | Path | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> VectorizeResult:
    """Trace a class mask into a new file of canopy polygons.

    Parameters
    ----------
    mask
        One band of class ids: whole numbers from 0 to 254 of any type, 255 and NaN are nodata.
    out
        The file; its suffix says of which format: ``.gpkg`` (GeoPackage with styles), ``.fgb`` (FlatGeobuf),
        ``.parquet`` (GeoParquet), ``.geojson`` or ``.json`` (RFC 7946), ``.geojsonl`` (one feature a line).
    prob
        The mask's probability raster, as :func:`segment` writes it or as decimals from 0 to 1; fills
        ``mean_prob``, and ``outline="contour"`` follows it.
    outlines
        How the polygons are drawn; along the pixels' edges, nothing left out, by default.
    plots, plot_id, plots_crs
        Plot polygons, the column that identifies them and their CRS, as in :func:`segment`; each polygon is
        given the ``plot_id`` of the plot that it shares the largest area with.
    dsm, dtm
        Surface and terrain model, any CRS and GSD; fill ``height_mean_m``, ``height_p95_m``, ``volume_m3``.
    overwrite
        Replace the file if it exists; without it that is refused.

    Raises
    ------
    CropsegError
        If the mask cannot be read or the file cannot be written. What was there before is untouched then.
    """
    require_kind("outlines", outlines, Outlines)
    listener = listener or warn
    final, listed = Path(out), outlines or Outlines()
    require_format(final)
    refuse_inputs([final], mask, prob, plots, dsm, dtm)
    with open_mask(mask, prob, listener=listener) as source:
        listed.require_probability(prob)
        ground, layout = source.info.ground, None
        if lacking := shortage(ground.height * ground.width):
            listener(Warned(lacking))
        if plots is not None:
            from cropseg_geo.plots.layout import read_plots

            layout = read_plots(
                plots, ground=ground, id_field=plot_id, plots_crs=plots_crs, listener=listener
            )
        with (
            maybe_heights(dsm, dtm, ground, listener) as heights,
            drafted(final, "layers", overwrite=overwrite, listener=listener) as draft,
            # Blocks are tiles of simplification, or several. Heights are read wherever there are polygons and
            # need the cache. Parting plants reads past its tiles, but that is little of its work.
            nullcontext() if heights else read_once(source, TILE_PX),
        ):
            totals = write_layers(
                draft,
                source,
                classes=mask_classes(source),
                options=CanopyOptions(listed, layout, heights),
                tags=tags_of(source) | {Tag.OUTLINES: listed.text},
                listener=listener,
            )
    return VectorizeResult(final, totals.n_polygons, totals.area_m2)
