"""Plot layouts: formats, ids, CRSs, repairs, a remedy for every file that is no plots."""

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import CRS

from cropseg_geo.errors import InputError
from cropseg_geo.events import Event, Warned, WarnedOfOutlines
from cropseg_geo.grid import Window
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.raster.aoi import read_aoi
from tests.plots.squares import GROUND, TWO, UTM, frame_of, refused, square

BOW_TIE = shapely.Polygon(
    [(500_010, 5_000_010), (500_020, 5_000_020), (500_020, 5_000_010), (500_010, 5_000_020)]
)


def warnings_of(plots, **options) -> list[str]:
    events: list[Event] = []
    read_plots(plots, ground=GROUND, listener=events.append, **options)
    return [e.message for e in events if isinstance(e, Warned)]


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb"])
def test_any_polygon_format_gives_the_same_plots(tmp_path, suffix):
    path = tmp_path / f"field{suffix}"
    frame_of(*TWO, plot=["a", "b"], crop=["oats", "rye"]).to_file(path)
    plots = read_plots(path, ground=GROUND)
    assert sorted(zip(plots.ids, plots.frame["crop"], strict=True)) == [("a", "oats"), ("b", "rye")]
    assert plots.frame.crs == CRS.from_wkt(GROUND.crs)
    assert shapely.area(plots.geometry) == pytest.approx([100, 100], rel=1e-6)


def test_ids_come_from_plot_id_or_the_first_usual_name_with_unique_values():
    assert read_plots(frame_of(*TWO, id=[7, 8], Plot_ID=["x", "y"]), ground=GROUND).ids == ["x", "y"]
    plots = read_plots(frame_of(*TWO, Plot=[1, 1], Name=["n", "m"]), ground=GROUND)
    assert (plots.ids, plots.id_field) == (["n", "m"], "Name")
    assert plots.frame["Plot"].tolist() == [1, 1]
    plots = read_plots(frame_of(*TWO, id=[None, None], crop=["a", "b"]), ground=GROUND)
    assert (plots.ids, plots.id_field) == ([1, 2], None)
    assert read_plots(frame_of(*TWO, id=[4.0, 5.0]), ground=GROUND).ids == [4, 5]


def test_usual_names_are_known_however_they_are_spelt_and_counting_is_said():
    assert read_plots(frame_of(*TWO, **{"Plot Nr.": ["a", "b"]}), ground=GROUND).ids == ["a", "b"]
    assert warnings_of(frame_of(*TWO, **{"PLOT-ID": [7, 8]})) == []
    (message,) = warnings_of(frame_of(*TWO, crop=["oats", "oats"]))
    assert "counted from 1" in message


def test_an_explicit_id_field_wins_and_keeps_a_column_named_plot_id():
    plots = read_plots(frame_of(*TWO, plot_id=[1, 1], Code=["u", "v"]), ground=GROUND, id_field="code")
    assert plots.ids == ["u", "v"]
    assert plots.frame["plot_id_input"].tolist() == [1, 1]
    assert plots.frame["Code"].tolist() == ["u", "v"]


def test_columns_of_usual_names_that_are_no_ids_are_named():
    (note,) = warnings_of(frame_of(*TWO, Plot=[1, 1], name=["n", None], crop=["oats", "rye"]))
    assert "(Plot, name: not unique, or not complete) and are counted from 1" in note


def test_names_of_columns_become_texts_that_differ_by_more_than_case():
    frame = frame_of(*TWO, plot=["a", "b"], Plot=[1, 2], geometry_=[0, 0]).rename_geometry("outline")
    frame[5] = [3, 4]
    frame["geometry"] = ["hexagonal", "cubic"]
    plots = read_plots(frame, ground=GROUND).frame
    assert list(plots.columns) == ["plot_id", "plot", "Plot_", "geometry_", "5", "geometry__", "outline"]
    assert plots["geometry__"].tolist() == ["hexagonal", "cubic"]
    assert shapely.area(plots.geometry.values) == pytest.approx([100, 100])


def test_an_index_with_a_name_is_a_column_and_ids_may_stand_there():
    assert read_plots(frame_of(*TWO, plot=["a", "b"]).set_index("plot"), ground=GROUND).ids == ["a", "b"]


def test_lists_and_objects_of_geojson_become_their_json_text(tmp_path):
    path = tmp_path / "plots.geojson"
    frame_of(*TWO, plot=[1, 2]).to_file(path)
    told = json.loads(path.read_text())
    told["features"][0]["properties"] |= {"tags": ["a", "ö"], "soil": {"ph": 6.5}}
    path.write_text(json.dumps(told))
    plots = read_plots(path, ground=GROUND).frame
    assert json.loads(plots["tags"][0]) == ["a", "ö"]
    assert json.loads(plots["soil"][0]) == {"ph": 6.5}
    assert plots["tags"].isna().tolist() == [False, True]


def test_plots_of_kml_are_called_by_their_names_and_leave_its_marks_out(tmp_path):
    path = tmp_path / "plots.kml"
    frame_of(*TWO, Name=["a", "b"]).to_crs(4326).to_file(path, driver="LIBKML")
    plots = read_plots(path, ground=GROUND)
    assert plots.ids == ["a", "b"]
    assert {"Name", "kml_id"} <= set(plots.frame.columns)
    assert not {"tessellate", "drawOrder", "begin"} & set(plots.frame.columns)


@pytest.mark.parametrize(
    ("plots", "message", "remedy"),
    [
        (None, "are given as NoneType; a path or a GeoDataFrame", "geopandas.GeoDataFrame"),
        (gpd.GeoSeries(TWO, crs=UTM), "are given as GeoSeries", "geopandas.GeoDataFrame"),
        (gpd.GeoDataFrame({"plot": [1]}), "no column of outlines", "set_geometry"),
    ],
)
def test_what_is_neither_a_path_nor_a_frame_with_outlines_is_refused(plots, message, remedy):
    refused(plots, message, remedy)


def test_ids_must_be_complete_and_unique():
    refused(frame_of(*TWO, plot_id=["a", "a"]), "names more than one plot a", "unique")
    refused(frame_of(*TWO, code=["a", None]), r"no id for 1 of 2 plots \(rows 2\)", id_field="code")
    refused(frame_of(*TWO, code=["a", "b"]), "no column 'nope'", "choose one of code", id_field="nope")


def test_layers_without_features_or_without_polygons_are_refused(tmp_path):
    path = tmp_path / "empty.gpkg"
    frame_of(*TWO).iloc[:0].to_file(path, geometry_type="Polygon")
    refused(path, "no feature", "right file")
    refused(
        frame_of(square(0, 0), shapely.Point(500_010, 5_000_050), plot=["a", "b"]),
        r"1 of 2 plots are Point, not polygons \(plot b\)",
        "buffer",
    )
    refused(frame_of(shapely.LineString([(500_000, 5_000_000), (500_010, 5_000_050)])), "LineString")


def test_a_missing_crs_is_an_error_until_it_is_told():
    nowhere = frame_of(*TWO, crs=None)
    refused(nowhere, "no CRS", "--plots-crs")
    assert len(read_plots(nowhere, ground=GROUND, plots_crs=UTM)) == 2
    refused(nowhere, "'EPSG:0' is not a CRS", "EPSG:32633", plots_crs="EPSG:0")


def test_a_crs_that_was_told_wins_with_a_warning():
    wrong = frame_of(*TWO).set_crs("EPSG:4326", allow_override=True)
    (message,) = warnings_of(wrong, plots_crs=UTM)
    assert "as told" in message


def test_plots_in_another_crs_arrive_in_the_rasters():
    degrees = frame_of(*TWO, plot=["a", "b"]).to_crs("EPSG:4326")
    plots = read_plots(degrees, ground=GROUND)
    assert shapely.area(plots.geometry) == pytest.approx([100, 100], rel=1e-5)
    assert shapely.hausdorff_distance(plots.geometry[0], TWO[0]) < 1e-5


def test_outlines_that_cross_themselves_are_repaired_and_named():
    frame = frame_of(square(0, 0), BOW_TIE, plot=["a", "tie"])
    (message,) = warnings_of(frame)
    assert message == "repaired outlines that cross themselves: plot tie"
    repaired = read_plots(frame, ground=GROUND).geometry[1]
    assert repaired.is_valid
    assert repaired.area == pytest.approx(50)


@pytest.mark.parametrize(
    "outline",
    [
        shapely.Polygon([(500_000, 5_000_000), (500_010, 5_000_010), (500_000, 5_000_000)]),
        shapely.box(0, 0, 1e12, 1),
    ],
)
def test_outlines_beyond_repair_are_refused_by_id(outline):
    refused(frame_of(square(0, 0), outline, plot=["a", "bad"]), "plot bad: the outline encloses no", "draw")


@pytest.mark.parametrize("outline", [None, shapely.Polygon(), shapely.GeometryCollection()])
def test_plots_without_an_outline_are_left_out_and_named(outline):
    frame = frame_of(square(0, 0), outline, square(20, 0), plot=["a", "b", "c"]).set_axis([7, 8, 9], axis=0)
    assert warnings_of(frame) == ["left out, because they have no outline: plot b"]
    plots = read_plots(frame, ground=GROUND)
    assert (plots.ids, plots.frame.index.tolist()) == (["a", "c"], [7, 9])
    assert read_plots(frame.drop(columns="plot"), ground=GROUND).ids == [1, 3]
    refused(frame.iloc[1:2], "none of the plots has an outline", "right file")


def test_collections_of_polygons_alone_are_plots():
    one, two = shapely.GeometryCollection([TWO[0]]), shapely.GeometryCollection([shapely.multipolygons(TWO)])
    plots = read_plots(frame_of(one, two, plot=["a", "b"]), ground=GROUND)
    assert shapely.area(plots.geometry).tolist() == [100, 200]
    assert [shape.geom_type for shape in plots.geometry] == ["Polygon", "MultiPolygon"]
    refused(frame_of(shapely.GeometryCollection([TWO[0], shapely.Point(0, 0)])), "are GeometryCollection")


def test_closed_lines_are_the_outlines_of_plots_and_open_ones_are_refused():
    one, hole = square(0, 0).exterior, square(2, 2, side=3).exterior
    lines = (shapely.LineString(one.coords), shapely.MultiLineString([one.coords, hole.coords]), TWO[1])
    told: list[Event] = []
    plots = read_plots(frame_of(*lines, plot=["a", "b", "c"]), ground=GROUND, listener=told.append)
    assert shapely.area(plots.geometry).tolist() == [100, 91, 100]
    assert told == [WarnedOfOutlines("closed lines are taken for outlines: plots a, b")]
    for line in (shapely.LineString(one.coords[:-1]), shapely.LineString(BOW_TIE.exterior.coords)):
        refused(
            frame_of(line, TWO[1], plot=["a", "b"]), r"LineString, .* \(plot a\)", "convert them to polygons"
        )


def test_closed_lines_are_areas_of_interest_in_the_same_way():
    told: list[Event] = []
    area = read_aoi(frame_of(shapely.LineString(square(10, 20).exterior.coords)), GROUND, told.append)
    assert area.window(Window(0, 0, 100, 100)) == Window(20, 10, 10, 10)
    assert told == [WarnedOfOutlines("closed lines are taken for outlines of the area of interest")]


def test_lines_through_nowhere_are_refused():
    with np.errstate(invalid="ignore"):
        line = shapely.LineString([(0, 0), (np.nan, 1), (1, 1), (0, 0)])
    refused(frame_of(line, TWO[1], plot=["a", "b"]), "LineString, not polygons")


def test_plots_that_all_miss_the_raster_tell_both_extents():
    with pytest.raises(InputError) as caught:
        read_plots(frame_of(square(500, 0)), ground=GROUND)
    assert "(500500, 5000090, 500510, 5000100) in 'WGS 84 / UTM zone 33N'" in caught.value.message
    assert "(500000, 5000000, 500100, 5000100)" in caught.value.message
    assert "--plots-crs" in caught.value.remedy


def test_metres_that_are_labelled_degrees_are_refused_with_the_hint():
    wrong = frame_of(*TWO).set_crs("EPSG:4326", allow_override=True)
    refused(wrong, "no plot meets the raster", "--plots-crs")


def test_some_plots_outside_are_kept_and_named():
    frame = frame_of(square(0, 0), square(500, 0), plot=["in", "out"])
    (message,) = warnings_of(frame)
    assert message.endswith("plot out")
    assert read_plots(frame, ground=GROUND).ids == ["in", "out"]


def test_the_users_frame_is_left_as_it_was():
    frame = frame_of(square(0, 0), BOW_TIE, plot=["a", "b"])
    before = frame.copy()
    read_plots(frame, ground=GROUND)
    assert frame.equals(before)
    assert frame.crs == before.crs


def test_third_dimensions_are_dropped():
    frame = frame_of(shapely.force_3d(square(0, 0), 5.0))
    assert not shapely.has_z(read_plots(frame, ground=GROUND).geometry).any()
