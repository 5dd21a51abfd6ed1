"""What every parameter of an algorithm becomes in the job for the engine."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
from scenarios import BBOX, BOOK, BOTTOM, EXTENT, LEFT, LINE, RIGHT, SAMPLE, Scenario
from shapely.geometry import box


@dataclass(frozen=True)
class Row:
    """Parameters of an algorithm, each with a value of its own, and the whole job that comes of them.

    ``@`` stands for the folder of the jobs, ``~`` for the user's; a file in QGIS's temporary folder has its
    bare name.
    """

    algorithm: str
    parameters: dict[str, Any]
    task: str
    arguments: dict[str, Any]


IMAGE = {
    "INPUT": "@field.tif", "EXTENT": EXTENT, "AREA": "@area.gpkg", "BANDS": [3, 2, 1], "ALPHA_BAND": 2,
    "SCALE": "5,4000", "REFLECTANCE": True, "MODEL": "canopy-m", "THRESHOLD": 0.3, "RESOLUTION": 0.02,
    "GRID": "working", "TILE_SIZE": 384, "OVERLAP": 48, "BATCH_SIZE": 6, "LANES": 7, "DEVICE": "cuda",
    "BACKEND": "torch", "PRECISION": "bf16",
}  # fmt: skip
IMAGE_ARGUMENTS = {
    "raster": "@field.tif", "bbox": list(BBOX), "aoi": "@area.gpkg", "bands": [3, 2, 1], "alpha_band": 2,
    "scale": [5, 4000], "reflectance": True, "model": "canopy-m", "threshold": 0.3, "gsd_m": 0.02,
    "grid": "working", "tile_px": 384, "overlap_px": 48, "batch_size": 6, "workers": {"lanes": 7},
    "device": "cuda", "backend": "torch", "precision": "bf16",
}  # fmt: skip
BARE = {"INPUT": "@field.tif", "AUTO_RESOLUTION": True}
BARE_ARGUMENTS = {
    "raster": "@field.tif", "model": "canopy-s", "gsd_m": "auto", "grid": "source", "device": "auto",
    "backend": "auto", "precision": "auto",
}  # fmt: skip
OUTLINES = {"MIN_AREA": 0.7, "OUTLINE": "contour", "OBJECTS": "split", "FILL_HOLES": 0.4, "SIMPLIFY": 0.06}
OUTLINE_ARGUMENTS = {
    "outline": "contour", "objects": "split", "min_area_m2": 0.7, "fill_holes_m2": 0.4, "simplify_m": 0.06,
}  # fmt: skip
MEASURES = {
    "PLOTS": "@plots.gpkg", "PLOT_ID": "variety", "STATISTICS": ["objects", "rows"], "BUFFER": 0.15,
    "MIN_VALID": 0.8, "ROW_ANGLE": 12, "ROW_SPACING": 0.45, "CELL": 2.5,
}  # fmt: skip
MEASURES_ARGUMENTS = {
    "plots": "@plots.gpkg", "plot_id": "variety", "stats": ["objects", "rows"], "buffer_m": 0.15,
    "min_valid": 0.8, "row_angle_deg": 12, "row_spacing_m": 0.45, "cell_m": 2.5,
}  # fmt: skip
BARE_OUTLINES = {
    "outline": "pixel", "objects": "touching", "min_area_m2": 0, "fill_holes_m2": 0, "simplify_m": 0,
}  # fmt: skip
RASTERS = {"INPUT": "@mask.tif", "PROBABILITY": "@prob.tif"}
HEIGHTS = {"DSM": "@dsm.tif", "DTM": "@dtm.tif"}

JOBS = {
    "segment": Row(
        "segment",
        {**IMAGE, **OUTLINES, "OUTPUT": "@m.tif", "PROBABILITY": "@p.tif", "CANOPY": "@c.gpkg"},
        "segment",
        {**IMAGE_ARGUMENTS, "outlines": OUTLINE_ARGUMENTS, "out": "@.m.cropseg", "overwrite": True},
    ),
    "segment, bare": Row(
        "segment",
        {**BARE, "OUTPUT": "@m.tif"},
        "segment",
        {**BARE_ARGUMENTS, "outlines": BARE_OUTLINES, "out": "@.m.cropseg", "overwrite": True},
    ),
    "check": Row(
        "check",
        {**IMAGE, "OUTPUT": "@c.json", "OUTPUT_HTML": "@c.html"},
        "check",
        {**IMAGE_ARGUMENTS, "out": "~", "overwrite": True},
    ),
    "check, bare": Row(
        "check",
        BARE,
        "check",
        {**BARE_ARGUMENTS, "out": "~", "overwrite": True},
    ),
    "pipeline": Row(
        "pipeline",
        {**IMAGE, **OUTLINES, **HEIGHTS, "PLOTS": "@plots.gpkg", "PLOT_ID": "variety", "MAKE_REPORT": False,
         "LOAD": False, "OVERWRITE": True, "OUTPUT": "@all"},
        "segment",
        {**IMAGE_ARGUMENTS, "outlines": OUTLINE_ARGUMENTS, "dsm": "@dsm.tif", "dtm": "@dtm.tif",
         "plots": "@plots.gpkg", "plot_id": "variety", "report": False, "out": "@all/.field.cropseg",
         "overwrite": True},
    ),
    "pipeline, bare": Row(
        "pipeline",
        {**BARE, "OUTPUT": "@all"},
        "segment",
        {**BARE_ARGUMENTS, "outlines": BARE_OUTLINES, "report": True, "out": "@all/.field.cropseg",
         "overwrite": True},
    ),
    "vectorize": Row(
        "vectorize",
        {**RASTERS, **OUTLINES, "OUTPUT": "@c.fgb"},
        "vectorize",
        {"mask": "@mask.tif", "prob": "@prob.tif", "outlines": OUTLINE_ARGUMENTS,
         "out": "@.c.cropseg/canopy.fgb", "overwrite": True},
    ),
    "plotstats": Row(
        "plotstats",
        {**RASTERS, **MEASURES, **HEIGHTS, "ORTHOMOSAIC": "@field.tif", "OUTPUT": "@s.csv"},
        "plots_stats",
        {**MEASURES_ARGUMENTS, "mask": "@mask.tif", "prob": "@prob.tif", "raster": "@field.tif",
         "dsm": "@dsm.tif", "dtm": "@dtm.tif", "out": "@.s.cropseg/plots.csv", "overwrite": True},
    ),
    "plotseries": Row(
        "plotseries",
        {**MEASURES, "INPUT": ["@mask.tif", "@mask 2.tif"], "DATES": "2026-05-31, 2026-06-14",
         "PROBABILITY": ["@prob.tif", "@prob 2.tif"], "ORTHOMOSAIC": ["@field.tif", "@field 2.tif"],
         "DSM": ["@dsm.tif", "@dsm 2.tif"], "DTM": ["@dtm.tif"], "OUTPUT": "@s.gpkg", "SUMMARY": "@sum.fgb",
         "CHART": "@s.svg"},
        "plots_series",
        {**MEASURES_ARGUMENTS, "masks": ["@mask.tif", "@mask 2.tif"], "dates": ["2026-05-31", "2026-06-14"],
         "probs": ["@prob.tif", "@prob 2.tif"], "rasters": ["@field.tif", "@field 2.tif"],
         "dsms": ["@dsm.tif", "@dsm 2.tif"], "dtms": ["@dtm.tif"], "out": "@.s.cropseg/plots.gpkg",
         "summary": "@.s.cropseg/season.fgb", "chart": "@.s.cropseg/growth.svg", "overwrite": True},
    ),
    "report": Row(
        "report",
        {**RASTERS, "ORTHOMOSAIC": "@field.tif", "PLOTS": "@plots.gpkg", "SERIES": "@series.gpkg",
         "BANDS": [3, 1, 2], "OUTPUT": "@r.pdf"},
        "report",
        {"mask": "@mask.tif", "prob": "@prob.tif", "raster": "@field.tif", "plots": "@plots.gpkg",
         "series": "series.csv", "bands": [3, 1, 2], "out": "@.r.cropseg/report.pdf", "overwrite": True},
    ),
    "makeplots": Row(
        "makeplots",
        {**LINE, "ROWS": 2, "COLUMNS": 3, "LENGTH": 2.5, "WIDTH": 1.9, "ROW_ALLEY": 0.5, "COLUMN_ALLEY": 0.6,
         "BLOCK_ROWS": 4, "BLOCK_COLUMNS": 5, "BLOCK_ALLEY": 0.8, "BUFFER": 0.1, "SIDE": "right",
         "TURN": -1.5, "TOLERANCE": 0.9, "ORDER": "serpentine", "START": "top-right", "FIRST": 101,
         "STEP": 10, "BY_BLOCK": True, "PLOT_NAME": "{block}-{number}", "FIELD_BOOK": "@book.csv",
         "FIELD_BOOK_BY": "row-column", "MASK": "@mask.tif", "OUTPUT": "@plots.geojson"},
        "plots_make",
        {"site": {"crs": "EPSG:32632", "ab": [[LEFT, BOTTOM], [RIGHT, BOTTOM]], "side": "right",
                  "rotate_deg": -1.5, "tolerance_m": 0.9},
         "trial": {"rows": 2, "columns": 3, "length_m": 2.5, "width_m": 1.9, "row_alley_m": 0.5,
                   "column_alley_m": 0.6, "block_rows": 4, "block_columns": 5, "block_alley_m": 0.8,
                   "buffer_m": 0.1},
         "numbering": {"order": "serpentine", "start": "top-right", "first": 101, "step": 10,
                       "by_block": True, "template": "{block}-{number}"},
         "fieldbook": "@book.csv", "fieldbook_by": "row-column", "snap_to": "@mask.tif",
         "out": "@.plots.cropseg/plots.geojson", "overwrite": True},
    ),
    "makeplots, a template": Row(
        "makeplots",
        {"CORNERS": "@area.gpkg", "TEMPLATE": "@plots.gpkg", "OUTPUT": "@moved.gpkg"},
        "plots_make",
        {"site": {"crs": "EPSG:32632", "corners": [[RIGHT, BOTTOM], [RIGHT, BBOX[3]], [LEFT, BBOX[3]],
                                                   [LEFT, BOTTOM]], "rotate_deg": 0},
         "numbering": {"order": "row", "start": "bottom-left", "first": 1, "step": 1, "by_block": False,
                       "template": ""},
         "template": {"plots": "@plots.gpkg"}, "fieldbook_by": "auto",
         "out": "@.moved.cropseg/plots.gpkg", "overwrite": True},
    ),
    "installengine": Row(
        "installengine",
        {"ACCELERATOR": "torch", "WHEELS": "@wheels", "FOLDER": "@engine"},
        "install",
        {"target": "@engine", "accelerator": "torch", "wheels": "@wheels"},
    ),
}  # fmt: skip
"""By name. All rows of an algorithm together have all of its parameters."""


def in_folder(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same with the folder's path, and that of the home beside it."""
    text = json.dumps(values, ensure_ascii=False)
    return json.loads(text.replace("@", f"{folder}/").replace("~", str(folder.parent / "home")))


def jobs(folder: Path) -> list[Scenario]:
    """The job of every row, which no engine does; its files are made first."""
    folder.mkdir()
    rasters = {"field": "field", "mask": "field_truth", "prob": "field_dsm"}
    for name, source in {**rasters, "dsm": "field_dsm", "dtm": "field_dtm"}.items():
        for flight in ("", " 2"):
            shutil.copy(SAMPLE / f"{source}.tif", folder / f"{name}{flight}.tif")
    for name in ("plots", "series"):
        shutil.copy(SAMPLE / "plots.gpkg", folder / f"{name}.gpkg")
    gpd.GeoDataFrame(geometry=[box(*BBOX)], crs="EPSG:32632").to_file(folder / "area.gpkg")
    BOOK.to_csv(folder / "book.csv", index=False)
    return [
        (f"job of {name}", "job_of", [row.algorithm, in_folder(row.parameters, folder)])
        for name, row in JOBS.items()
    ]
