"""A run's polygons in another format than GeoPackage, with plots and heights, from Python and the shell."""

from __future__ import annotations

import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
from rasters import scene, write_plots, write_raster
from typer.testing import CliRunner

import cropseg_geo as cg
from cropseg_geo.cli import app
from cropseg_geo.errors import InputError
from cropseg_geo.outputs.names import Outputs


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    folder = tmp_path_factory.mktemp("field")
    write_raster(folder / "field.tif", scene(256, 300))
    write_plots(folder / "plots.gpkg", [(0, 0, 1.5, 2.56), (1.5, 0, 3, 2.56)], plot_id=["p", "q"])
    for name, elevation in (("dsm", 31.5), ("dtm", 31.0)):
        write_raster(folder / f"{name}.tif", np.full((1, 64, 75), elevation, np.float32), gsd=0.04)
    return folder


def test_polygons_go_to_their_format_and_plots_to_a_geopackage_of_their_own(field, tmp_path):
    result = cg.segment(
        field / "field.tif",
        tmp_path,
        plots=field / "plots.gpkg",
        dsm=field / "dsm.tif",
        dtm=field / "dtm.tif",
        outlines=cg.Outlines(min_area_m2=0.01),
        canopy_format="parquet",
    )
    names = ["field.parquet", "field_mask.tif", "field_plots.csv", "field_plots.gpkg", "field_prob.tif"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    canopy = gpd.read_parquet(result.outputs.layers)
    assert len(canopy) == result.summary.n_polygons > 5
    assert canopy["area_m2"].min() >= 0.01
    assert set(canopy["plot_id"]) == {"p", "q"}
    np.testing.assert_allclose(canopy["height_mean_m"], 0.5, atol=1e-5)
    np.testing.assert_allclose(canopy["volume_m3"], 0.5 * canopy["area_m2"], rtol=1e-4)
    plots = pyogrio.read_dataframe(result.outputs.plots_layer, layer="plots")
    np.testing.assert_allclose(plots["height_mean_m"], 0.5, atol=1e-5)
    assert plots["plot_id"].tolist() == ["p", "q"]


def test_the_shell_takes_the_same_options(field, tmp_path):
    mask = np.zeros((40, 50), np.uint8)
    mask[5:20, 5:20] = mask[30:32, 30:32] = 1
    mask[10:12, 10:12] = 0
    path, out = write_raster(tmp_path / "m.tif", mask[None], nodata=255), tmp_path / "m.fgb"
    outlines = ["--min-area", "0.001", "--fill-holes", "0.01", "--outline", "pixel", "--objects", "touching"]
    heights = ["--dsm", field / "dsm.tif", "--dtm", field / "dtm.tif"]
    words = ["vectorize", path, "-o", out, *outlines, *heights, "--plots", field / "plots.gpkg", "-q"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    (row,) = gpd.read_file(out).itertuples()
    assert row.area_m2 == pytest.approx(15 * 15 * 1e-4)  # the hole is filled, the speck left out
    assert row.plot_id == "p"
    assert row.height_p95_m == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("canopy_format", ["gpkg", "fgb"])
def test_names_that_look_like_parts_of_a_url_are_names(field, tmp_path, canopy_format):
    odd = tmp_path / "in;!2026"
    odd.mkdir()
    for name in ("field.tif", "plots.gpkg"):
        (odd / name).with_stem(f"{Path(name).stem}!;b").write_bytes((field / name).read_bytes())
    run = {"plots": odd / "plots!;b.gpkg", "canopy_format": canopy_format}
    result = cg.segment(odd / "field!;b.tif", odd / "out!;put", **run)
    plain = cg.segment(field / "field.tif", tmp_path / "plain", **run)
    folder = result.outputs.layers.parent
    assert folder == odd / "out!;put"
    names = [p.name.replace("field!;b", "field") for p in folder.iterdir()]
    assert sorted(names) == sorted(p.name for p in (tmp_path / "plain").iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in;!2026", "plain"]
    assert result.summary == plain.summary
    assert result.plots["coverage"].tolist() == plain.plots["coverage"].tolist()

    if os.name != "nt":  # two slashes start a share's name there
        cg.segment(field / "field.tif", f"/{tmp_path / 'slashes'}", **run)
        assert len(list((tmp_path / "slashes").iterdir())) == len(names)

    traced = cg.vectorize(result.outputs.mask, folder / f"traced!;1.{canopy_format}")
    assert traced.n_polygons == result.summary.n_polygons
    (kept,) = cg.segment_many([odd / "field!;b.tif"], odd / "season!", plots=run["plots"])
    (again,) = cg.segment_many([odd / "field!;b.tif"], odd / "season!", plots=run["plots"])
    assert (kept.state, again.state) == ("done", "kept")
    assert again.result.plots["coverage"].tolist() == pytest.approx(plain.plots["coverage"], abs=1e-5)


def test_an_unknown_canopy_format_is_refused_before_any_work(field, tmp_path):
    with pytest.raises(InputError, match="choose one of gpkg, fgb, parquet, geojson"):
        cg.segment(field / "field.tif", tmp_path / "out", canopy_format="shp")
    assert not (tmp_path / "out").exists()


def test_a_geopackage_holds_the_plots_too(tmp_path):
    assert Outputs.named(tmp_path, "f", with_plots=True).plots_layer is None
    kinds = [kind for kind, _ in Outputs.named(tmp_path, "f", with_plots=True, canopy_format="fgb").by_kind]
    assert kinds == ["mask", "prob", "layers", "plots_csv", "plots_layer"]
