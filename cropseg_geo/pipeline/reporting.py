"""Make the report of a finished mask."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, Warned, warn
from cropseg_geo.outputs.publishing import drafted, write_text
from cropseg_geo.outputs.refusals import refuse_inputs
from cropseg_geo.raster.mask import open_mask
from cropseg_geo.report.content import Inputs, gather
from cropseg_geo.report.page import render_page
from cropseg_geo.report.sheet import write_sheet

_FORMATS = ("html", "png", "pdf")
_LARGE_PAGE_BYTES = 10_000_000


def make_report(
    mask: str | Path,
    out: str | Path,
    *,
    raster: str | Path | None = None,
    prob: str | Path | None = None,
    plots: str | Path | gpd.GeoDataFrame | None = None,
    series: str | Path | None = None,
    bands: tuple[int, ...] | None = None,
    file_format: str | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Path:
    """Write a report of a mask: one offline HTML page, or a sheet (A4 landscape) as PNG or PDF.

    Parameters
    ----------
    mask, prob
        Class mask and probability raster as written by :func:`segment`.
    out
        The file.
    raster
        The orthomosaic, to show under the mask; any grid, any CRS.
    plots
        Plots with their statistics: a layer or frame, or a ``.csv`` (a table without outlines).
    series
        Table of several dates, ``.csv`` or a layer with ``plot_id`` and ``date``, for growth curves. Plots
        that are not measured take their statistics from it, of the mask's date or else the latest.
    bands
        1-based bands of red, green and blue; None finds them.
    file_format
        ``"html"``, ``"png"`` or ``"pdf"``, where the suffix of ``out`` does not say.

    Returns
    -------
    pathlib.Path
        ``out``.

    Raises
    ------
    CropsegError
        If a file cannot be used or the report cannot be written; an earlier report then stays as it was.
    """
    listener, final = listener or warn, Path(out)
    kind = _format(final, file_format)
    refuse_inputs([final], mask, prob, raster, plots, series)
    with (
        open_mask(mask, prob, listener=listener) as source,
        drafted(final, "report", overwrite=overwrite, listener=listener) as draft,
    ):
        content = gather(source, Inputs(raster, plots, series, bands), listener)
        if kind == "html":
            write_text(draft, render_page(content))
            _warn_if_large(draft, listener)
        else:
            write_sheet(draft, content, kind)
    return final


def _format(path: Path, asked: str | None) -> str:
    suffix = path.suffix.lower().removeprefix(".")
    suffix = "html" if suffix == "htm" else suffix
    kind = (asked or suffix).lower()
    if kind not in _FORMATS:
        found = f"not {kind}" if kind else "and this name has no suffix"
        raise InputError(
            f"{path}: reports are written as html, png or pdf, {found}",
            remedy="give --out field_report.html, or --format html, png or pdf",
        )
    if suffix in _FORMATS and suffix != kind:
        raise InputError(
            f"{path}: ends in .{suffix}, but --format is {kind}",
            remedy=f"give --out {path.with_suffix('.' + kind).name}, or leave --format out",
        )
    return kind


def _warn_if_large(path: Path, listener: Listener) -> None:
    size = path.stat().st_size
    if size > _LARGE_PAGE_BYTES:
        listener(Warned(f"the report has {size / 1e6:.1f} MB; phones may open it slowly"))
