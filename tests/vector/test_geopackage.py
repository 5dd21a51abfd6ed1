"""GeoPackage: layers, batches, styles and provenance as OGR and SQLite see them."""

import json
import sqlite3
import threading
import xml.etree.ElementTree as ET
from contextlib import closing

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from pyproj import CRS

from cropseg_geo.errors import OutputError
from cropseg_geo.vector.canopy import CanopyBatch
from cropseg_geo.vector.files.geopackage import GeoPackageWriter
from cropseg_geo.vector.files.layers import canopy_columns, canopy_layer, plots_layer, with_classes

UTM = CRS.from_epsg(32633).to_wkt()
CANOPY = canopy_layer(("background", "crop"))


def batch_of(n: int, first: int = 0) -> CanopyBatch:
    at = np.arange(first, first + n)
    return CanopyBatch(
        geometry=shapely.box(at, 0, at + 1, 1),
        class_id=np.ones(n, np.int32),
        class_name=np.full(n, "crop", object),
        pixels=np.full(n, 4),
        area_m2=at + 0.5,
        perimeter_m=np.full(n, 4.0),
        mean_prob=np.full(n, 0.75),
        centroid_x=at + 0.5,
        centroid_y=np.full(n, 0.5),
        crs=UTM,
    )


def append(writer, batch: CanopyBatch) -> None:
    writer.append("canopy", canopy_columns(batch), batch.geometry)


def append_plots(writer, frame: gpd.GeoDataFrame) -> None:
    writer.append("plots", frame.drop(columns="geometry").to_dict("series"), frame.geometry.values)


def plots_frame() -> gpd.GeoDataFrame:
    table = {"plot_id": ["a", "b"], "Block's": [1, 2], "fid": ["x", "y"], "coverage": [0.25, np.nan]}
    return gpd.GeoDataFrame(table, geometry=[shapely.box(0, 0, 2, 2), shapely.box(2, 0, 4, 2)], crs=UTM)


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".field.part.gpkg"


def rows(path, sql, *parameters):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql, parameters).fetchall()


def test_an_empty_canopy_layer_has_its_columns_and_its_type(path):
    with GeoPackageWriter(path, crs=UTM) as writer:
        writer.create_layer(CANOPY)
    info = pyogrio.read_info(path, layer="canopy")
    assert info["features"] == 0
    assert info["geometry_type"] == "Polygon"
    assert info["crs"] == "EPSG:32633"
    names = ["class_id", "class_name", "area_m2", "perimeter_m", "mean_prob", "centroid_x", "centroid_y"]
    assert list(info["fields"]) == names
    assert list(info["dtypes"]) == ["int32", "object", *["float64"] * 5]
    assert info["layer_metadata"]["DESCRIPTION"].startswith("Crop canopy")


def test_batches_are_appended_in_their_order(path):
    with GeoPackageWriter(path, crs=UTM) as writer:
        writer.create_layer(CANOPY)
        for first in (0, 3, 6, 9):
            append(writer, batch_of(3, first))
    frame = pyogrio.read_dataframe(path, layer="canopy")
    assert frame["area_m2"].tolist() == [k + 0.5 for k in range(12)]
    assert frame["class_name"].eq("crop").all()
    assert shapely.equals_exact(
        frame.geometry.values, shapely.box(np.arange(12), 0, np.arange(1, 13), 1)
    ).all()


def test_the_spatial_index_holds_every_row(path):
    with GeoPackageWriter(path, crs=UTM) as writer:
        writer.create_layer(CANOPY)
        append(writer, batch_of(300))
    assert rows(path, "SELECT count(*) FROM rtree_canopy_geom") == [(300,)]
    assert len(pyogrio.read_dataframe(path, layer="canopy", bbox=(9.5, 0, 10.5, 1))) == 2


def test_two_layers_stand_side_by_side_and_plots_keep_their_columns(path):
    frame = plots_frame()
    with GeoPackageWriter(path, crs=UTM) as writer:
        writer.create_layer(CANOPY)
        append(writer, batch_of(2))
        writer.create_layer(plots_layer(frame))
        append_plots(writer, frame)
    names = {str(name): kind for name, kind in pyogrio.list_layers(path)}
    assert names["canopy"] == "Polygon"
    assert names["plots"] == "MultiPolygon"
    found = pyogrio.read_dataframe(path, layer="plots")
    assert list(found.columns) == ["plot_id", "Block's", "fid", "coverage", "geometry"]
    assert found["fid"].tolist() == ["x", "y"]
    pd.testing.assert_series_equal(found["coverage"], frame["coverage"])


def test_styles_are_defaults_that_qgis_finds(path):
    with GeoPackageWriter(path, crs=UTM) as writer:
        writer.create_layer(CANOPY)
        writer.create_layer(plots_layer(plots_frame()))
    styles = rows(
        path,
        "SELECT f_table_name, f_table_catalog, f_table_schema, f_geometry_column, useAsDefault, styleQML "
        "FROM layer_styles",
    )
    assert [s[:5] for s in styles] == [("canopy", "", "", "geom", 1), ("plots", "", "", "geom", 1)]
    canopy, plots = (ET.fromstring(s[5].split("\n", 1)[1]) for s in styles)
    assert canopy.find("renderer-v2").get("type") == "singleSymbol"
    assert canopy.find("aliases/alias[@field='area_m2']").get("name") == "Area (m²)"
    assert plots.find("renderer-v2").get("attr") == 'coalesce("coverage", -1)'
    assert len(plots.findall("renderer-v2/ranges/range")) == len(plots.findall("renderer-v2/symbols/symbol"))
    label = plots.find("labeling/settings/text-style")
    assert '"plot_id"' in label.get("fieldName")
    assert '"coverage"' in label.get("fieldName")
    assert label.get("isExpression") == "1"


SLD = "{http://www.opengis.net/sld}"
OGC = "{http://www.opengis.net/ogc}"


def test_slds_are_version_1_0_with_a_rule_for_every_class_and_fifth(path):
    with GeoPackageWriter(path, crs=UTM) as writer:
        layer = with_classes(CANOPY, ["background", "crop", "weed & co"], [1, 2], ["", "#33a02c", "#aa0000"])
        writer.create_layer(CANOPY)
        writer.set_style("canopy", layer.style)
        writer.create_layer(plots_layer(plots_frame()))
    texts = [text.encode() for (text,) in rows(path, "SELECT styleSLD FROM layer_styles ORDER BY id")]
    canopy, plots = (ET.fromstring(text) for text in texts)
    assert {canopy.tag, plots.tag} == {f"{SLD}StyledLayerDescriptor"}
    assert {canopy.get("version"), plots.get("version")} == {"1.0.0"}
    assert [r.findtext(f"{SLD}Title") for r in canopy.iter(f"{SLD}Rule")] == ["crop", "weed & co"]
    assert [r.findtext(f".//{OGC}Literal") for r in canopy.iter(f"{SLD}Rule")] == ["1", "2"]
    fifths = [[e.text for e in rule.iter(f"{OGC}Literal")] for rule in plots.iter(f"{SLD}Rule")]
    assert fifths == [["0.0", "0.2"], ["0.2", "0.4"], ["0.4", "0.6"], ["0.6", "0.8"], ["0.8", "1.0"], [], []]
    unseen = next(
        rule for rule in plots.iter(f"{SLD}Rule") if rule.find(f".//{OGC}PropertyIsNull") is not None
    )
    assert unseen.findtext(f"{SLD}Title") == "no valid pixel"
    # The order of elements is part of the schema.
    for rule in (*canopy.iter(f"{SLD}Rule"), *plots.iter(f"{SLD}Rule")):
        names = [child.tag.split("}")[1] for child in rule]
        order = ["Name", "Title", "Filter", "PolygonSymbolizer", "TextSymbolizer"]
        assert names == [n for n in order if n in names]


def test_several_classes_are_told_apart_by_colour(path):
    with GeoPackageWriter(path, crs=UTM) as writer:
        writer.create_layer(CANOPY)
        writer.set_style("canopy", with_classes(CANOPY, ["background", "crop", "weed"], [1, 2]).style)
    ((text,),) = rows(path, "SELECT styleQML FROM layer_styles")
    renderer = ET.fromstring(text.split("\n", 1)[1]).find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "class_id")
    assert [(c.get("value"), c.get("label")) for c in renderer.iter("category")] == [
        ("1", "crop"),
        ("2", "weed"),
    ]
    fills = [o.get("value") for o in renderer.iter("Option") if o.get("name") == "color"]
    assert len(set(fills)) == 2


def test_provenance_and_descriptions_are_in_their_tables(path):
    provenance = {"model": "canopy-s", "command": "cropseg segment 'ü\"; DROP TABLE x'", "threshold": 0.5}
    with GeoPackageWriter(path, crs=UTM, provenance=provenance) as writer:
        writer.create_layer(CANOPY)
    ((text, mime, scope),) = rows(
        path,
        "SELECT metadata, mime_type, reference_scope FROM gpkg_metadata JOIN gpkg_metadata_reference "
        "ON md_file_id = id",
    )
    assert (json.loads(text), mime, scope) == (provenance, "application/json", "geopackage")
    described = dict(
        rows(path, "SELECT column_name, description FROM gpkg_data_columns WHERE table_name = 'canopy'")
    )
    assert "m²" in described["area_m2"]
    extensions = {row[0] for row in rows(path, "SELECT extension_name FROM gpkg_extensions")}
    assert extensions == {"gpkg_schema", "gpkg_metadata", "gpkg_rtree_index"}


def test_the_file_is_sound_and_leaves_no_journal(path):
    with GeoPackageWriter(path, crs=UTM, provenance={"a": 1}) as writer:
        writer.create_layer(CANOPY)
        append(writer, batch_of(9))
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "PRAGMA foreign_key_check") == []
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_existing_file_is_refused(path):
    path.write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        GeoPackageWriter(path, crs=UTM)
    assert path.read_text() == "mine"


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"does not end in \.gpkg"):
        GeoPackageWriter(tmp_path / "field.part", crs=UTM)


def test_a_missing_folder_is_an_output_error(tmp_path):
    with (
        pytest.raises(OutputError, match="could not be written"),
        GeoPackageWriter(tmp_path / "no" / "such.gpkg", crs=UTM) as writer,
    ):
        writer.create_layer(CANOPY)


def test_rows_need_a_layer_and_a_name_is_for_one_layer(path):
    with GeoPackageWriter(path, crs=UTM) as writer:
        writer.create_layer(CANOPY)
        with pytest.raises(OutputError, match="has no layer 'plots'"):
            append_plots(writer, plots_frame())
        with pytest.raises(OutputError, match="has a layer 'canopy' already"):
            writer.create_layer(CANOPY)


def test_writing_that_fails_midway_raises_what_went_wrong_and_ends_the_thread(path):
    before = threading.active_count()

    def write_until_tracing_fails():
        with GeoPackageWriter(path, crs=UTM) as writer:
            writer.create_layer(CANOPY)
            append(writer, batch_of(5))
            raise ValueError("while tracing")

    with pytest.raises(ValueError, match="while tracing"):
        write_until_tracing_fails()
    assert threading.active_count() == before
