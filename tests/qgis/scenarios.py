"""What the tests ask of the toolbox, as toolbox.py reads it: name, scenario, arguments."""

from __future__ import annotations

import shutil
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import rasterio
from pyproj import Transformer
from rasters import scene, write_raster
from shapely.geometry import MultiPoint, box
from toolboxes import ROOT, answering, dying, repeating, write_engine, write_wheel

from cropseg_geo.plots.making.numbering import Numbering
from cropseg_geo.plots.making.site import Site
from cropseg_geo.plots.making.trial import Trial

Scenario = tuple[str, str, list]

SAMPLE = ROOT / "sample_tiles"
FIELD = str(SAMPLE / "field.tif")
PLOTS = f"{SAMPLE / 'plots.gpkg'}|layername=plots"

BBOX = (565814.0, 5705374.0, 565820.0, 5705380.0)
LEFT, BOTTOM, RIGHT, TOP = BBOX
EXTENT = f"{LEFT},{RIGHT},{BOTTOM},{TOP} [EPSG:32632]"
MIN_AREA = 0.01
SELECTED = ["B3-03", "B3-04"]

RUN = {"INPUT": FIELD, "EXTENT": EXTENT, "MIN_AREA": MIN_AREA}
TRIAL = Trial(2, 2, 2.5, 2.0, row_alley_m=0.5)
SITE = Site("EPSG:32632", ab=((LEFT, BOTTOM), (RIGHT, BOTTOM)))
NUMBERING = Numbering(first=101, order="serpentine")
SIZES = {"ROWS": 2, "COLUMNS": 2, "LENGTH": 2.5, "WIDTH": 2.0, "ROW_ALLEY": 0.5}
NUMBERS = {"FIRST": 101, "ORDER": "serpentine"}
LINE = {"POINT_A": f"{LEFT},{BOTTOM} [EPSG:32632]", "POINT_B": f"{RIGHT},{BOTTOM} [EPSG:32632]"}
BOOK = pd.DataFrame({"plot": [101, 102, 103, 104], "variety": ["Ärve", "Blé d'or", "Ç", "Δ"], "dose": 1.5})


def whole_job(folder: Path, out: Path) -> list[Scenario]:
    """The pipeline, and algorithms on its results as the package has them."""
    mask, prob = str(out / "field_mask.tif"), str(out / "field_prob.tif")
    heights = {"DSM": str(SAMPLE / "field_dsm.tif"), "DTM": str(SAMPLE / "field_dtm.tif")}
    traced = {"INPUT": mask, "PROBABILITY": prob, "MIN_AREA": MIN_AREA}
    stats = {"INPUT": mask, "PROBABILITY": prob, "STATISTICS": ["coverage"], "PLOTS": PLOTS}
    coarse = write_raster(folder / "coarse.tif", scene(40, 40), gsd=0.5)
    placeless = write_raster(folder / "placeless.tif", scene(40, 40), crs=None)
    (folder / "stopped").mkdir()
    return [
        ("catalogue", "catalogue", []),
        ("pipeline", "run", ["pipeline", {**RUN, **heights, "PLOTS": PLOTS, "OUTPUT": str(out)}]),
        ("again", "run", ["pipeline", {**RUN, "OUTPUT": str(out)}]),
        ("vectorize", "run", ["vectorize", {**traced, "OUTPUT": str(folder / "canopy.gpkg")}]),
        ("shapefile", "run", ["vectorize", {"INPUT": mask, "OUTPUT": str(folder / "canopy.shp")}]),
        ("stats", "run", ["plotstats", {**stats, "OUTPUT": str(folder / "stats.gpkg")}]),
        ("check", "run", ["check", {"INPUT": FIELD, "EXTENT": EXTENT, "OUTPUT": str(folder / "c.json"),
                                    "OUTPUT_HTML": str(folder / "c.html")}]),
        ("placeless", "run", ["check", {"INPUT": str(placeless)}]),
        ("coarse", "run", ["check", {"INPUT": str(coarse)}]),
        ("stopped", "run", ["segment", {**RUN, "OUTPUT": str(folder / "stopped" / "mask.tif")}, 1]),
        ("assigned", "source_with_crs", [str(coarse), "EPSG:25832"]),
        ("untouched", "source_with_crs", [str(coarse), "EPSG:32632"]),
        ("loaded", "loaded",
         ["plotstats", {**stats, "OUTPUT": str(folder / "loaded.gpkg")}, "CropSeg: field_mask"]),
        ("replaced", "replaced",
         ["vectorize", *[{"INPUT": mask, "MIN_AREA": area, "OUTPUT": str(folder / "replaced.gpkg")}
                         for area in (0, 0.05)]]),
        ("stands", "stands",
         [{**RUN, "PLOTS": PLOTS, "OUTPUT": str(folder / "stands"), "LOAD": False, "MAKE_REPORT": False},
          {"PLOTS": None, "OVERWRITE": True, "THRESHOLD": 0.95, "MIN_AREA": 0.05}]),
        ("batch", "batch",
         ["vectorize", [{"INPUT": mask, "MIN_AREA": area, "OUTPUT": str(folder / f"from {area}.gpkg")}
                        for area in (0, 0.05)]]),
    ]  # fmt: skip


def on_layers(folder: Path, mask: str) -> list[Scenario]:
    """The same plots and mask as layers of every kind, in a project with and without a CRS."""
    prob = mask.replace("_mask.tif", "_prob.tif")
    stats = {"INPUT": mask, "STATISTICS": ["coverage"]}
    traced = {"MIN_AREA": MIN_AREA}
    placeless = gpd.read_file(SAMPLE / "plots.gpkg").set_crs(None, allow_override=True)
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        placeless.to_file(folder / "placeless.gpkg", layer="Parzellen ß")
    # QGIS writes to a GeoPackage that it edits, even where nothing is saved.
    shutil.copy(SAMPLE / "plots.gpkg", folder / "plots.gpkg")
    copied = f"{folder / 'plots.gpkg'}|layername=plots"
    numbered = gpd.read_file(SAMPLE / "plots.gpkg").assign(fid="the same").to_crs(4326)
    numbered.to_file(folder / "fid.geojson")
    numbered[["geometry"]].to_file(folder / "bare ü plots.gpkg")
    far = gpd.GeoDataFrame(geometry=[box(20, 10, 21, 11)], crs="EPSG:4326")
    far.to_file(folder / "far away.gpkg")
    table = f"ogr:dbname='{folder / 'plots.gpkg'}' table=\"canopy\" (geom)"
    kinds = [
        ("selected", copied, "selected", SELECTED),
        ("filtered", copied, "filtered", SELECTED),
        ("edited", copied, "edited", SELECTED),
        ("memory", copied, "memory", "EPSG:4326"),
        ("shifted by a grid", copied, "memory", "EPSG:31467"),
        ("with a column fid", str(folder / "fid.geojson"), "as it is", ""),
        ("joined", copied, "joined", []),
        ("without columns", str(folder / "bare ü plots.gpkg"), "as it is", ""),
        ("assigned plots", f"{folder / 'placeless.gpkg'}|layername=Parzellen ß", "assigned", "EPSG:32632"),
    ]
    return [
        *[(name, "stats_of", [{**stats, "OUTPUT": str(folder / f"{name}.csv")}, plots, how, value])
          for name, plots, how, value in kinds],
        ("virtual", "virtual_raster",
         [mask, str(folder / "virtual ü.vrt"), {**traced, "OUTPUT": str(folder / "virtual.gpkg")}]),
        ("in a package", "packed_raster", [FIELD, list(BBOX), str(folder / "räster.gpkg")]),
        ("temporary", "run", ["vectorize", {**traced, "INPUT": mask, "OUTPUT": "TEMPORARY_OUTPUT"}]),
        ("memory output", "run", ["vectorize", {**traced, "INPUT": mask, "OUTPUT": "memory:"}]),
        ("database output", "run", ["vectorize", {**traced, "INPUT": mask, "OUTPUT": table}]),
        ("no suffix", "run", ["segment", {**RUN, "OUTPUT": str(folder / "m.tif"), "CANOPY": "canopy"}]),
        ("probability", "run", ["vectorize", {"INPUT": prob, "OUTPUT": str(folder / "never.gpkg")}]),
        ("area elsewhere", "run", ["check", {"INPUT": FIELD, "AREA": str(folder / "far away.gpkg")}]),
        ("more no data", "source_with_nodata", [FIELD]),
        ("origins", "origins", [mask]),
        ("extent", "extent_in", ["7.94,7.95,51.49,51.50 [EPSG:4326]", FIELD, ""]),
        ("bare extent", "extent_in", [EXTENT.partition(" ")[0], FIELD, ""]),
        ("bare extent in a project", "extent_in", [EXTENT.partition(" ")[0], FIELD, "EPSG:4326"]),
    ]  # fmt: skip


def onto_inputs(folder: Path) -> list[Scenario]:
    """Results that would replace what they are made of, or what lies beside them in a file."""
    place = folder / "own"
    place.mkdir()
    field, truth = str(place / "field.tif"), str(place / "truth.tif")
    plots, heap = str(place / "field.gpkg"), str(place / "heap.gpkg")
    virtual = str(place / "truth.vrt")
    shutil.copy(FIELD, field)
    shutil.copy(SAMPLE / "field_truth.tif", truth)
    shutil.copy(SAMPLE / "plots.gpkg", plots)
    shutil.copy(SAMPLE / "plots.gpkg", heap)
    gpd.read_file(plots).to_file(heap, layer="ditches")
    stats = {"INPUT": truth, "PLOTS": f"{plots}|layername=plots"}
    run = {**RUN, "INPUT": field}
    return [
        ("onto the field", "guarded", [[field], "segment", {**run, "OUTPUT": field}]),
        ("probability onto the field", "guarded",
         [[field], "segment", {**run, "OUTPUT": str(place / "m.tif"), "PROBABILITY": field}]),
        ("onto the plots", "guarded", [[plots], "plotstats", {**stats, "OUTPUT": plots}]),
        ("among others", "guarded", [[heap], "plotstats", {**stats, "OUTPUT": heap}]),
        ("canopy onto plots", "guarded", [[plots], "vectorize", {"INPUT": truth, "OUTPUT": plots}]),
        ("folder of the plots", "guarded",
         [[plots], "pipeline",
          {**run, "PLOTS": f"{plots}|layername=plots", "OUTPUT": str(place), "OVERWRITE": True}]),
        ("onto a member", "files_read", ["vectorize", truth, virtual]),
        ("onto a member of several", "files_read", ["plotseries", truth, virtual]),
    ]  # fmt: skip


def makeplots(folder: Path, mask: str) -> list[Scenario]:
    """Plots from a line, from corners, from a template; with a field book; fitted to the canopy."""
    corners = MultiPoint([(LEFT, BOTTOM), (RIGHT, BOTTOM), (RIGHT, TOP), (LEFT, TOP)])
    gpd.GeoDataFrame(geometry=list(corners.geoms), crs="EPSG:32632").to_file(folder / "corners.gpkg")
    BOOK.to_csv(folder / "Feldbuch ä.csv", index=False, sep=";", decimal=",")
    book = {"FIELD_BOOK": str(folder / "Feldbuch ä.csv")}
    bare = {name: point.partition(" ")[0] for name, point in LINE.items()}
    to_degrees = Transformer.from_crs(32632, 4326, always_xy=True).transform
    ends = {"POINT_A": to_degrees(LEFT, BOTTOM), "POINT_B": to_degrees(RIGHT, BOTTOM)}
    elsewhere = {name: f"{x!r},{y!r} [EPSG:4326]" for name, (x, y) in ends.items()}
    cornered = {"ROWS": 2, "COLUMNS": 3, "CORNERS": str(folder / "corners.gpkg")}
    stays = {"TEMPLATE": PLOTS, "MASK": str(SAMPLE / "field_truth.tif")}

    def made(name: str, **parameters: object) -> list:
        return ["makeplots", {**parameters, "OUTPUT": str(folder / f"{name}.gpkg")}]

    return [
        ("line", "run", made("line", **SIZES, **LINE, **NUMBERS)),
        ("corners", "run", made("corner plots", **cornered)),
        ("too tight", "run", made("never", **cornered, LENGTH=3.6)),
        ("put up with", "run", made("tight", **cornered, LENGTH=3.6, TOLERANCE=1.5)),
        ("field book", "run", made("book", **SIZES, **LINE, **NUMBERS, **book)),
        ("snapped", "run", made("snapped", **SIZES, **LINE, MASK=mask)),
        ("snapped from elsewhere", "run", made("elsewhere", **SIZES, **elsewhere, MASK=mask)),
        ("template", "run", made("template", TEMPLATE=PLOTS, **LINE)),
        ("template in memory", "with_memory_layer", [*made("from memory", **LINE), "TEMPLATE", PLOTS]),
        ("template that stays", "run", made("stays", **stays)),
        ("no place", "run", made("never", **SIZES)),
        ("bare points", "run_in_project", ["", *made("never", **SIZES, **bare)]),
        ("bare points in a project", "run_in_project", ["EPSG:32632", *made("bare", **SIZES, **bare)]),
        ("chain", "chain", [{"make": {**SIZES, **LINE}, "stats": {"INPUT": mask, "STATISTICS": ["coverage"]},
                             "out": str(folder / "chain.gpkg"), "file": str(folder / "chain.model3")}]),
    ]  # fmt: skip


def season(folder: Path) -> list[Scenario]:
    """Masks of two dates, in files that are named after them and in others, and reports of them."""
    with rasterio.open(SAMPLE / "field_truth.tif") as truth:
        profile, late = truth.profile, truth.read()
    early = late.copy()
    early[:, ::2][early[:, ::2] == 1] = 0
    masks = {"2026-05-31": early, "2026-06-14": late}
    dated = [str(folder / f"Süd {day} mask.tif") for day in masks]
    plain = [str(folder / name) for name in ("early.tif", "late.tif")]
    for names in (dated, plain):
        for name, values in zip(names, masks.values(), strict=True):
            with rasterio.open(name, "w", **profile) as file:
                file.write(values)
    elsewhere = folder / "plots elsewhere.gpkg"
    gpd.read_file(SAMPLE / "plots.gpkg").to_crs(4326).to_file(elsewhere)
    stats = {"PLOTS": PLOTS, "STATISTICS": ["coverage"]}
    report = {"INPUT": plain[1], "ORTHOMOSAIC": FIELD, "PLOTS": PLOTS}
    return [
        ("season", "run", ["plotseries", {**stats, "INPUT": dated, "OUTPUT": str(folder / "season.csv"),
                                          "CHART": str(folder / "season.svg")}]),
        ("season as a layer", "run",
         ["plotseries", {**stats, "INPUT": plain[::-1], "DATES": "2026-06-14, 2026-05-31",
                         "OUTPUT": str(folder / "season.gpkg"), "SUMMARY": str(folder / "summary.gpkg")}]),
        ("season loaded", "loaded",
         ["plotseries", {**stats, "INPUT": dated, "OUTPUT": str(folder / "loaded season.gpkg")},
          "CropSeg: Süd 2026-05-31 mask"]),
        ("season without dates", "run",
         ["plotseries", {**stats, "INPUT": plain, "OUTPUT": str(folder / "never.csv")}]),
        ("season that lacks a mask", "run",
         ["plotseries", {**stats, "INPUT": [dated[0], str(folder / "nowhere.tif")],
                         "OUTPUT": str(folder / "never.csv")}]),
        ("report", "run", ["report", {**report, "SERIES": str(folder / "season.gpkg"),
                                      "OUTPUT": str(folder / "season.html")}]),
        ("sheet", "run", ["report", {**report, "OUTPUT": str(folder / "season.pdf")}]),
        ("season onto its summary", "run",
         ["plotseries", {**stats, "INPUT": dated, "OUTPUT": str(folder / "never.gpkg"),
                         "SUMMARY": str(folder / "never.gpkg")}]),
        ("season in a model", "job_of",
         ["plotseries", {**stats, "INPUT": [dated[0], [dated[1]]], "OUTPUT": str(folder / "never.gpkg")}]),
        ("rows of a season", "job_of_selected",
         ["report", {**report, "SERIES": f"{folder / 'season.gpkg'}|layername=plots"},
          "\"plot_id\" = 'B3-03'", "SERIES"]),
        ("plots of elsewhere", "job_of_selected",
         ["report", {**report, "PLOTS": str(elsewhere)}, "\"plot_id\" = 'B3-03'", "PLOTS"]),
        ("report of bands", "run", ["report", {"INPUT": plain[1], "ORTHOMOSAIC": FIELD, "BANDS": [1, 2],
                                               "OUTPUT": str(folder / "never.html")}]),
    ]  # fmt: skip


def engines(folder: Path, mask: str) -> list[Scenario]:
    """Engines that are missing, broken, or made from wheels."""
    write_wheel(folder / "wheels", "0.1.0")
    vectorize = {"INPUT": mask, "OUTPUT": str(folder / "never.gpkg")}
    broken = {
        "old": answering("0.0.9"),
        "new": answering("7.0.0"),
        "incomplete": answering("0.1.0", missing=["rasterio"]),
        "another": "sys.exit('python3.8: No module named cropseg_geo')",
        "killed": dying("SIGKILL"),
        "crashed": dying("SIGSEGV"),
    }
    twice = write_engine(folder / "twice" / "python", repeating("the light changes"))
    pythons = {name: write_engine(folder / name / "python", code) for name, code in broken.items()}
    return [
        ("installed", "run", ["installengine", {"ACCELERATOR": "cpu", "WHEELS": str(folder / "wheels"),
                                                "FOLDER": str(folder / "my engine")}]),
        ("warned", "with_engine", [str(twice), "check", {"INPUT": FIELD}]),
        *[(name, "with_engine", [str(python), "vectorize", vectorize])
          for name, python in {**pythons, "missing": folder / "nowhere"}.items()],
    ]  # fmt: skip


def results(answer: dict) -> dict:
    """The results of a scenario that ran to its end."""
    assert answer.get("done"), answer
    return answer["results"]
