"""What the sentences give, as values of JSON: the same from the command line and from the worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cropseg_geo.addresses import without_secrets

if TYPE_CHECKING:
    import geopandas as gpd

    from cropseg_geo.forecast import Forecast
    from cropseg_geo.pipeline import SegmentResult, VectorizeResult
    from cropseg_geo.pipeline.turns import Outcome

Values = dict[str, Any]  # values of JSON


def of_segment(result: SegmentResult) -> Values:
    """Figures and files of a run."""
    return {"summary": asdict(result.summary), "files": _files(**result.files)}


def of_season(outcomes: Sequence[Outcome]) -> Values:
    """What became of each of several rasters, and the answer of those that were segmented."""
    rows = [
        {
            "raster": outcome.raster,
            "state": outcome.state,
            **(of_segment(outcome.result) if outcome.result else {"summary": None, "files": {}}),
            "message": without_secrets(str(getattr(outcome.error, "message", outcome.error or ""))),
            "remedy": getattr(outcome.error, "remedy", ""),
        }
        for outcome in outcomes
    ]
    return {"rasters": rows}


def of_check(forecast: Forecast) -> Values:
    """What a run would do and need, and the lines that say it to people."""
    return {"forecast": forecast.as_dict(), "lines": forecast.lines()}


def of_vectorize(made: VectorizeResult) -> Values:
    """Number, area and file of canopy polygons."""
    figures = {"n_polygons": made.n_polygons, "canopy_area_m2": made.canopy_area_m2}
    return {**figures, "files": _files(layers=made.path)}


def of_plots(table: gpd.GeoDataFrame, **files: str | Path | None) -> Values:
    """Number and mean coverage of plots that were measured, on one date or on several."""
    coverage = float(table["coverage"].mean())
    return {"n_plots": table["plot_id"].nunique(), "mean_coverage": coverage, "files": _files(**files)}


def of_layout(table: gpd.GeoDataFrame, out: str | Path | None) -> Values:
    """Number of plots that were laid out, and what is known of their layout."""
    from cropseg_geo.pipeline.layout import LAYOUT

    return {"n_plots": len(table), "layout": table.attrs[LAYOUT], "files": _files(plots=out)}


def of_report(path: Path) -> Values:
    """The file."""
    return {"files": _files(report=path)}


def _files(**files: str | Path | None) -> dict[str, str]:
    """Paths by what the files are, as :class:`~cropseg_geo.events.Written` names them; without None."""
    return {kind: str(path) for kind, path in files.items() if path}
