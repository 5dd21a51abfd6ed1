"""Plots and field books to damage, and what is true of coverage on whatever came of them."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from rasterio.features import shapes
from rasters import ORIGIN, UTM, write_raster

import cropseg_geo as cg
from cropseg_geo.errors import InputError
from cropseg_geo.plots.making.fieldbook import join_fieldbook, read_fieldbook

SIDE, GSD = 60, 0.1
LEFT, TOP = ORIGIN
NAN, INF = float("nan"), float("inf")


def write_mask(path: Path) -> Path:
    """A mask of 6 m × 6 m with canopy in blotches, without nodata."""
    coarse = np.random.default_rng(5).integers(0, 2, (SIDE // 4, SIDE // 4), dtype=np.uint8)
    return write_raster(path, np.kron(coarse, np.ones((4, 4), np.uint8))[None], gsd=GSD, nodata=255)


def canopy_of(mask: Path) -> shapely.Geometry:
    """The canopy by another tracer than ours."""
    with rasterio.open(mask) as dataset:
        found = shapes(dataset.read(1), transform=dataset.transform)
        return shapely.union_all([shapely.geometry.shape(shape) for shape, value in found if value == 1])


def plot_seeds(folder: Path) -> dict[str, bytes]:
    """Files of plots in every format, by name."""
    boxes = [
        shapely.box(LEFT + 2 * i, TOP - 2 * j - 1.7, LEFT + 2 * i + 1.6, TOP - 2 * j)
        for i in range(3)
        for j in range(3)
    ]
    ids = [f"plot {k}" for k in range(len(boxes))]
    frame = gpd.GeoDataFrame({"plot_id": ids, "yield": range(9), "note": "ä'\";--"}, geometry=boxes, crs=UTM)
    for name in ("a.gpkg", "a.geojson", "a.fgb"):
        frame.to_file(folder / name)
    frame.to_crs(4326).to_file(folder / "degrees.geojson")
    frame.to_parquet(folder / "a.parquet")
    frame.to_parquet(folder / "plain.parquet", compression=None)
    names = ("a.gpkg", "a.geojson", "a.fgb", "degrees.geojson", "a.parquet", "plain.parquet")
    return {name: (folder / name).read_bytes() for name in names}


def odd_frame(rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Plots of which some have no sense: geometries, ids and columns that files can hold."""
    n = int(rng.integers(1, 6))
    x, y = LEFT + rng.uniform(-1, 7, n), TOP - rng.uniform(-1, 7, n)
    good = [shapely.box(a, b, a + 1.3, b + 1.7) for a, b in zip(x, y, strict=True)]
    geometry = [_odd_geometry(rng, box) if rng.random() < 0.5 else box for box in good]
    columns: dict[str, Any] = {}
    for _ in range(int(rng.integers(0, 4))):
        columns[_ODD_NAMES[int(rng.integers(len(_ODD_NAMES)))]] = _odd_values(rng, n)
    crs = (UTM, "EPSG:4326", "EPSG:3857", "EPSG:32733", None)[
        int(rng.choice(5, p=(0.7, 0.1, 0.1, 0.05, 0.05)))
    ]
    return gpd.GeoDataFrame(columns, geometry=geometry, crs=crs)


def _odd_geometry(rng: np.random.Generator, box: shapely.Polygon) -> Any:  # Any: a geometry or None
    a, b, c, d = box.bounds
    bow = shapely.Polygon([(a, b), (c, d), (c, b), (a, d)])
    hole = shapely.Polygon(
        box.exterior.coords, [shapely.box(a + 0.2, b + 0.2, a + 9, b + 0.5).exterior.coords]
    )
    z = shapely.force_3d(box, 1e9)
    far = shapely.transform(box, lambda xy: xy * 10.0 ** int(rng.integers(3, 300)))
    broken = shapely.transform(box, lambda xy: _with_a_hole_in_it(xy, rng))
    thin = shapely.box(a, b, a + 1e-9, d)
    choices = (
        None, shapely.Polygon(), shapely.Point(a, b), shapely.LineString([(a, b), (c, d)]), bow, hole, z, far,
        broken, thin,
        shapely.MultiPolygon([box, shapely.box(a + 2, b, c + 2, d)]),
        shapely.GeometryCollection([box, shapely.Point(a, b)]),
        shapely.MultiPolygon(), shapely.MultiPolygon([box, box]),
        shapely.box(LEFT - 1e5, TOP - 1e5, LEFT + 1e5, TOP + 1e5),
        shapely.Polygon([(a, b), (a, b), (a, b), (a, b)]), shapely.reverse(box),
    )  # fmt: skip
    return choices[int(rng.integers(len(choices)))]


def _with_a_hole_in_it(xy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same ring, with a coordinate that is none."""
    xy = xy.copy()
    xy[int(rng.integers(1, len(xy) - 1)), int(rng.integers(2))] = (NAN, INF)[int(rng.integers(2))]
    return xy


_ODD_NAMES = (
    "plot_id", "Plot", "id", "fid", "name", "geom", "area_m2", "coverage", "PLOT_ID", 'a"b', "a;DROP TABLE x",
    "a' OR 1", "é",
    "x" * 200, "select", "plot_id_input", "n_objects", "bbox", "../x", "row", "valid_fraction", "$id", "a\nb",
)  # fmt: skip


def _odd_values(rng: np.random.Generator, n: int) -> list[Any]:
    choices = (
        None, NAN, INF, -1, 0, 1.5, 2**53 + 1, 1e300, "", " ", "a", "../../etc", "'; DROP TABLE plots; --",
        "=1+1", "\u202e", "a\nb",
        True, "1", "01", "1e5", "nan", "<script>", "ä" * 300,
    )  # fmt: skip
    if rng.random() < 0.5:
        return list(rng.permutation(n * 2)[:n])
    kind = int(rng.integers(2))
    values = [choices[int(rng.integers(len(choices)))] for _ in range(n)]
    # A file has columns of one type.
    return values if kind else [str(v) for v in values]


def measure_and_check(mask: Path, canopy: shapely.Geometry, plots: Any, out: Path, *, stats: str) -> None:
    """Measure plots; where that gives an answer, compare coverage with areas of geometries cut by GEOS."""
    table = cg.measure_plots(mask, plots, out, stats=stats)
    assert out.exists()
    assert table["plot_id"].is_unique
    extent = shapely.box(LEFT, TOP - SIDE * GSD, LEFT + SIDE * GSD, TOP)
    for outline, row in zip(table.geometry, table.itertuples(), strict=True):
        inside = outline.intersection(extent)
        coverage = row.coverage
        assert row.plot_area_m2 > 0
        assert 0 <= row.valid_fraction <= 1
        if inside.area < 1e-6 or outline.area > 1e8:
            assert math.isnan(coverage) or 0 <= coverage <= 1
            continue
        assert 0 <= coverage <= 1
        expected = inside.intersection(canopy).area / inside.area
        assert abs(coverage - expected) < 1e-3, f"coverage {coverage}, by cut polygons {expected}"


def read_book_and_check(path: Path, plots: gpd.GeoDataFrame) -> None:
    """Join a field book; whatever it holds, the plots stay as they are."""
    book = read_fieldbook(path)
    assert len(book.columns) == len(set(book.columns))
    joined = join_fieldbook(plots, book).frame
    assert len(joined) == len(plots)
    assert (joined.geometry == plots.geometry).all()
    assert list(joined["plot_id"]) == list(plots["plot_id"])


def book_seed() -> bytes:
    """A field book as a spreadsheet writes it."""
    rows = [{"plot_id": f"plot {k}", "variety": f"V{k % 3}", "n": k, "t": k / 3} for k in range(9)]
    return pd.DataFrame(rows).to_csv(index=False).encode()


def write_as_it_comes(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write a frame; what no file of that format can hold is no case, and is left out of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path)
        except Exception as err:
            raise InputError(f"cannot be written: {err}") from err
