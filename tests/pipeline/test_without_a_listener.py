"""What is told where nobody listens: Python's own warnings, from the line that called."""

import sqlite3
from contextlib import closing
from dataclasses import fields
from typing import get_type_hints

import geopandas
import numpy as np
import pytest
import shapely
from rasters import write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.events import ignore
from cropseg_geo.options import OptionFields, Options


@pytest.fixture
def survey(tmp_path):
    """A mask, and two plots that overlap."""
    mask = write_raster(tmp_path / "mask.tif", np.ones((1, 40, 50), np.uint8), nodata=255)
    return mask, write_plots(tmp_path / "plots.gpkg", [(0.1, 0.1, 0.3, 0.3), (0.2, 0.1, 0.4, 0.3)])


def test_what_should_be_known_is_a_warning_at_the_line_that_called(survey):
    with pytest.warns(cg.CropsegWarning, match="overlap") as told:
        cg.measure_plots(*survey)
    assert {warning.filename for warning in told} == {__file__}


@pytest.mark.filterwarnings("error")
def test_a_listener_is_told_instead(survey):
    said = []
    cg.measure_plots(*survey, listener=said.append)
    assert any("overlap" in getattr(event, "message", "") for event in said)
    cg.measure_plots(*survey, listener=ignore)


def test_what_gdal_complains_of_is_a_warning_too(survey):
    with closing(sqlite3.connect(survey[1])) as package:
        package.execute("PRAGMA user_version = 19900")  # of a GeoPackage of a version to come
    with pytest.warns(cg.CropsegWarning, match="GeoPackage user_version") as told:
        cg.measure_plots(*survey)
    assert {warning.filename for warning in told} == {__file__}


def test_keywords_of_segment_are_the_fields_of_its_options():
    hints = {"gpd": geopandas, "shapely": shapely}
    assert get_type_hints(OptionFields, localns=hints) == get_type_hints(Options, localns=hints)
    assert set(OptionFields.__annotations__) == {field.name for field in fields(Options)}
