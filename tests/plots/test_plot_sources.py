"""Where plots are read from: layers as QGIS names them, tables, archives; a remedy where that fails."""

import datetime as dt
import os
import zipfile

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

import cropseg_geo
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.vector_input import read_layer
from tests.plots.squares import GROUND, TWO, UTM, frame_of, refused, square
from tests.plots.test_plot_files import write

BARCODE = 12345678901234567
"""More digits than a decimal number keeps."""


def test_a_layer_is_chosen_by_name_or_because_it_is_called_plots(tmp_path):
    path = tmp_path / "project.gpkg"
    frame_of(*TWO).to_file(path, layer="fields")
    assert len(read_plots(path, ground=GROUND)) == 2
    frame_of(square(0, 0)).to_file(path, layer="trial", mode="w")
    refused(path, "has 2 layers", "|layername=fields")
    assert len(read_plots(f"{path}|layername=trial", ground=GROUND)) == 1
    refused(f"{path}|layername=nope", "no layer 'nope'", "'fields'")
    frame_of(square(0, 0), *TWO).to_file(path, layer="plots", mode="w")
    assert len(read_plots(path, ground=GROUND)) == 3


@pytest.mark.parametrize(
    ("behind", "ids"),
    [
        ("|layername=trial|subset=\"plot\" = 'b|c'", ["b|c"]),
        ("|layername=trial|subset=plot <> 'a'|geometrytype=Polygon", ["b|c"]),
        ("|layerid=1", ["a", "b|c", "d"]),
        ("|layerid=1|geometrytype=MultiPolygon25D", ["a", "b|c"]),
        ("|layerid=1|geometrytype=Point|subset=plot > 'a'", ["d"]),
        ("|subset=plot = 'x'", ["x"]),
        ("|layername=", ["x"]),
    ],
)
def test_what_qgis_writes_behind_a_file_is_followed(tmp_path, behind, ids):
    path = tmp_path / "project.gpkg"
    frame_of(square(0, 0), plot=["x"]).to_file(path, layer="plots")
    frame_of(*TWO, shapely.Point(500_005, 5_000_005), plot=["a", "b|c", "d"]).to_file(path, layer="trial")
    assert read_layer(f"{path}{behind}")["plot"].tolist() == ids


def test_what_is_not_understood_behind_a_file_is_refused(tmp_path):
    path = tmp_path / "project.gpkg"
    frame_of(*TWO, plot=["a", "b"]).to_file(path)
    for part in ("nope=1", "layerid=x", "geometrytype=Curve", "option:LIST=YES"):
        refused(f"{path}|layername=project|{part}", f"'{part}' behind", "|layername=NAME")
    refused(f"{path}|layerid=1", "no layer with geometries of number 1", "'project'")
    refused(f"{path}|subset=nope < 3", "cannot be read", "correct its filter, subset=nope < 3")
    frame_of(*TWO).to_parquet(tmp_path / "plots.parquet")
    refused(f"{tmp_path / 'plots.parquet'}|subset=plot = 1", "filter on GeoParquet", "file of its own")


@pytest.mark.parametrize("column", ["WKT", "geometry", "wkt_geom"])
def test_tables_with_outlines_as_text_are_plots(tmp_path, column):
    path = tmp_path / "plots.csv"
    table = pd.DataFrame({"plot": ["0101", "1E2"], column: [shape.wkt for shape in TWO]})
    table.to_csv(path, index=False)
    plots = read_plots(path, ground=GROUND, plots_crs=UTM)
    assert (plots.ids, list(plots.frame.columns)) == (["0101", "1E2"], ["plot_id", "plot", "geometry"])
    assert shapely.area(plots.geometry).tolist() == [100, 100]
    refused(path, "no CRS is stated", "--plots-crs")
    assert read_plots(f"{path}|subset=plot = '1E2'", ground=GROUND, plots_crs=UTM).ids == ["1E2"]


def test_a_shapefile_in_an_archive_is_read(tmp_path):
    frame_of(*TWO, plot=["ä", "b"]).to_file(tmp_path / "plots.shp")
    with zipfile.ZipFile(tmp_path / "plots.zip", "w") as archive:
        for file in tmp_path.glob("plots.*"):
            if file.suffix != ".zip":
                archive.write(file, file.name)
    assert read_plots(f"/vsizip/{tmp_path / 'plots.zip'}/plots.shp", ground=GROUND).ids == ["ä", "b"]


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb", ".csv", ".zip"])
def test_names_that_look_like_parts_of_a_url_are_names(tmp_path, suffix):
    made, folder = tmp_path / "made", tmp_path / "2026!a;b"
    made.mkdir()
    folder.mkdir()
    if suffix == ".csv":
        table = pd.DataFrame({"plot": ["a", "b"], "WKT": [shape.wkt for shape in TWO]})
        table.to_csv(made / "plots.csv", index=False)
    else:
        frame_of(*TWO, plot=["a", "b"]).to_file(made / f"plots{suffix.replace('.zip', '.shp')}")
    for file in list(made.iterdir()):
        file.rename(folder / f"plots!;{file.suffix}")
    if suffix == ".zip":
        parts = list(folder.iterdir())
        with zipfile.ZipFile(folder / "plots!;.zip", "w") as archive:
            for part in parts:
                archive.write(part, f"plots{part.suffix}")
    how = {"ground": GROUND, "id_field": "plot", "plots_crs": UTM}
    assert sorted(read_plots(folder / f"plots!;{suffix}", **how).ids) == ["a", "b"]
    if os.name != "nt":  # two slashes start a share's name there
        for file in list(folder.iterdir()):
            file.rename(made / file.name.replace("!;", ""))
        assert sorted(read_plots(f"/{made / f'plots{suffix}'}", **how).ids) == ["a", "b"]


def test_a_parquet_file_without_outlines_is_refused(tmp_path):
    pd.DataFrame({"plot_id": [1]}).to_parquet(tmp_path / "table.parquet")
    refused(tmp_path / "table.parquet", "no GeoParquet file with outlines", "GeoPackage")
    (tmp_path / "text.parquet").write_text("plot_id")
    refused(tmp_path / "text.parquet", "no GeoParquet file with outlines", "GeoPackage")


def test_files_that_are_no_vector_files_are_refused(tmp_path):
    refused(tmp_path / "nothing.gpkg", "does not exist", "check the path")
    (tmp_path / "broken.gpkg").write_bytes(b"this is text")
    refused(tmp_path / "broken.gpkg", "not a vector file", "GeoPackage")
    (tmp_path / "plots.csv").write_text("id,x,y\n1,2,3\n")
    refused(tmp_path / "plots.csv", "is a table and holds no outlines", "QGIS")


def test_a_file_that_may_not_be_read_is_not_taken_for_no_vector_file(tmp_path, monkeypatch):
    frame_of(*TWO).to_file(tmp_path / "plots.gpkg")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)  # root may read all
    refused(tmp_path / "plots.gpkg", "may not be read", "permissions")


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb", ".parquet"])
def test_whole_numbers_and_truth_values_stay_so_beside_blanks(tmp_path, suffix):
    path = tmp_path / f"plots{suffix}"
    three = frame_of(
        *TWO, square(40, 0), plot=["a", "b", "c"], n=pd.array([1, None, BARCODE], dtype="Int64"),
        sown=pd.array([True, None, False], dtype="boolean"), dose=[1.0, None, 3.0], row=[1, 2, 3],
    )  # fmt: skip
    if suffix == ".parquet":
        # As others than pandas write it, who do not say what its types are there.
        three.to_parquet(path)
        table = pq.read_table(path)
        kept = {key: value for key, value in table.schema.metadata.items() if key != b"pandas"}
        pq.write_table(table.replace_schema_metadata(kept), path)
    else:
        three.to_file(path)
    read = read_layer(path).sort_values("plot")
    assert read["n"].tolist() == [1, pd.NA, BARCODE]
    assert read["sown"].tolist() == [True, pd.NA, False]
    assert read["dose"].dtype == "float64"
    assert read["row"].dtype.kind == "i"


def test_whole_numbers_beside_blanks_are_those_of_the_rows_that_a_filter_leaves(tmp_path):
    columns = {"plot": ["a", "b", "c"], "n": pd.array([7, None, BARCODE], dtype="Int64")}
    frame_of(*TWO, square(40, 0), **columns).to_file(tmp_path / "plots.gpkg", layer="plots")
    read = read_layer(f"{tmp_path}/plots.gpkg|layername=plots|subset=\"plot\" <> 'a'")
    assert read["n"].tolist() == [pd.NA, BARCODE]


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".parquet"])
def test_dates_stay_dates_without_a_time(tmp_path, suffix):
    mask, path = tmp_path / "m_2024-05-10.tif", tmp_path / f"plots{suffix}"
    write(mask, np.ones((100, 100), np.uint8), nodata=255, transform=GROUND.transform)
    sown = [dt.date(2024, 4, 3), None]
    dated = frame_of(*TWO, plot=["a", "b"], sown=sown)
    if suffix == ".parquet":
        dated.to_parquet(path)
    else:
        dated.to_file(path, use_arrow=True)  # pyogrio takes dates for text otherwise
    assert read_layer(path)["sown"].tolist() == sown
    cropseg_geo.measure_plots(mask, path, tmp_path / "out.gpkg")
    info = pyogrio.read_info(tmp_path / "out.gpkg", layer="plots")
    assert dict(zip(info["fields"], info["dtypes"], strict=True))["sown"] == "datetime64[D]"
    cropseg_geo.measure_plots(mask, path, tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv", keep_default_na=False)["sown"].tolist() == ["2024-04-03", ""]
    cropseg_geo.measure_plots(mask, path, tmp_path / "out.geojson")
    assert '"sown": "2024-04-03"' in (tmp_path / "out.geojson").read_text()
    cropseg_geo.make_report(mask, tmp_path / "report.html", plots=tmp_path / "out.gpkg")
    assert "2024-04-03 00" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("suffix", [".csv", ".gpkg"])
def test_what_is_measured_of_them_has_the_same_whole_numbers(tmp_path, suffix):
    masks = [tmp_path / f"m_2024-05-{day}.tif" for day in (10, 20)]
    for mask in masks:
        write(mask, np.ones((100, 100), np.uint8), nodata=255, transform=GROUND.transform)
    columns = {"plot": ["a", "b"], "n": pd.array([BARCODE, None], dtype="Int64")}
    frame_of(*TWO, **columns, sown=pd.array([True, None], dtype="boolean")).to_file(tmp_path / "p.gpkg")
    measured = tmp_path / f"out{suffix}"
    cropseg_geo.measure_plots(masks[0], tmp_path / "p.gpkg", measured)
    cropseg_geo.plot_series(masks, tmp_path / "p.gpkg", tmp_path / f"season{suffix}")
    cropseg_geo.make_report(
        masks[0], tmp_path / "report.html", plots=tmp_path / "p.gpkg", series=tmp_path / f"season{suffix}"
    )
    for path, dates in ((measured, 1), (tmp_path / f"season{suffix}", 2)):
        if suffix == ".csv":
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            assert table["n"].tolist() == [str(BARCODE), ""] * dates
            assert table["sown"].tolist() == ["True", ""] * dates
        else:
            info = pyogrio.read_info(path, layer="plots")
            kinds = dict(zip(info["fields"], info["dtypes"], strict=True))
            assert (kinds["n"], kinds["sown"]) == ("int64", "bool")
            assert read_layer(path, "plots")["n"].tolist() == [BARCODE, pd.NA] * dates
