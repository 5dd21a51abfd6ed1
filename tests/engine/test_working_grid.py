"""The working grid beside the file's own: which pixels it covers, and what comes back from it."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasters import scene, write_raster

from cropseg_geo.engine.finish import source_steps
from cropseg_geo.engine.plan import working_window
from cropseg_geo.errors import OutputError, ReadError
from cropseg_geo.grid import Window
from cropseg_geo.raster.aoi import read_aoi
from cropseg_geo.raster.info import inspect_raster
from cropseg_geo.raster.source import GdalSource, close_handle


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_handle()


@given(st.tuples(*[st.integers(0, 60)] * 2), st.tuples(*[st.integers(1, 40)] * 2), st.floats(0.2, 6))
def test_the_working_window_is_the_smallest_that_covers_the_files(at, size, pixel):
    window = Window(*at, *size)
    # Of another size down than across, as rounded shapes are.
    tall, wide = pixel, 0.9 * pixel
    found = working_window(window, (tall, wide), (10_000, 10_000))
    for first, stop, start, end in (
        (found.row * tall, found.row_stop * tall, window.row, window.row_stop),
        (found.col * wide, found.col_stop * wide, window.col, window.col_stop),
    ):
        assert first <= start < first + pixel
        assert stop - pixel < end <= stop or math.isclose(stop, end)


def on_the_files_grid(folder, steps, size, *, valid=None, area=None, alpha_band=None):
    """Steps (C, h, w) of a working grid on that of a file of ``size``, and which pixels are wanted."""
    values = scene(*size)
    if alpha_band:
        values = np.concatenate([values, np.where(valid, 255, 0)[None].astype(np.uint8)])
        path = write_raster(folder / "file.tif", values, photometric="MINISBLACK")
    else:
        path = write_raster(folder / "file.tif", values, valid=valid)
    info = inspect_raster(path)
    x, y = info.ground.transform @ (0, 0)
    region = area and read_aoi(
        shapely.affinity.affine_transform(area, [0.01, 0, 0, -0.01, x, y]), info.ground
    )
    working = GdalSource(info, (1, 2, 3), steps.shape[1:], alpha_band)
    whole = Window(0, 0, *steps.shape[1:])
    steps = np.where(working.read_valid(whole), steps, 0)
    extent = Window(0, 0, *size)
    out = np.zeros((len(steps), *size), np.uint16)
    for window, fixed in source_steps([(whole, steps)], len(steps), working, extent, region, folder=folder):
        out[:, *window.slices] = 0 if fixed is None else fixed
    wanted = np.ones(size, bool) if valid is None else valid
    if area is not None:
        row, col = np.indices(size) + 0.5
        wanted = wanted & shapely.contains_xy(area, col, row)
    return out, wanted


def test_a_pixel_with_several_working_pixels_in_it_has_their_mean(tmp_path):
    steps = np.random.default_rng(0).integers(1, 65_536, (2, 48, 60)).astype(np.uint16)
    found, _ = on_the_files_grid(tmp_path, steps, (12, 15))
    np.testing.assert_allclose(found, steps.reshape(2, 12, 4, 15, 4).mean(axis=(2, 4)), atol=1)


def test_pixels_within_a_working_pixel_lie_between_it_and_its_neighbours(tmp_path):
    row, col = np.indices((12, 15))
    found, _ = on_the_files_grid(tmp_path, (4000 + 800 * row + 1600 * col).astype(np.uint16)[None], (48, 60))
    row, col = (np.indices((48, 60)) + 0.5) / 4 - 0.5
    inside = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(found[0][inside], (4000 + 800 * row + 1600 * col)[inside], atol=1)


@pytest.mark.parametrize("shape", [(11, 13), (30, 40), (47, 63), (130, 171)], ids=str)
@pytest.mark.parametrize("mark", ["alpha", "alpha that is not flagged", "area of interest"])
def test_every_wanted_pixel_of_the_file_has_an_answer_and_no_other(tmp_path, shape, mark):
    steps = np.random.default_rng(1).integers(1, 65_536, (1, *shape)).astype(np.uint16)
    valid = np.random.default_rng(0).random((60, 80)) < 0.2
    how = {
        "alpha": {"valid": valid},
        "alpha that is not flagged": {"valid": valid, "alpha_band": 4},
        "area of interest": {"area": shapely.Polygon([(3, 5), (70, 20), (11, 54)])},
    }[mark]
    found, wanted = on_the_files_grid(tmp_path, steps, (60, 80), **how)
    np.testing.assert_array_equal(found[0] > 0, wanted)


@pytest.mark.skipif(os.name == "nt", reason="files have no greatest size there")
def test_a_disk_that_is_too_small_for_the_draft_is_told(tmp_path):
    import resource

    steps = np.random.default_rng(0).integers(1, 65_536, (1, 480, 600)).astype(np.uint16)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"working\.draft: cannot be written") as caught:
            on_the_files_grid(tmp_path, steps, (120, 150))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "free disk space" in caught.value.remedy


def test_a_draft_that_is_damaged_meanwhile_is_told(tmp_path, monkeypatch):
    steps = np.random.default_rng(0).integers(1, 65_536, (1, 48, 60)).astype(np.uint16)
    read_valid = GdalSource.read_valid

    def truncating(self, window):
        draft = tmp_path / "working.draft"
        if draft.exists():
            draft.write_bytes(draft.read_bytes()[:400])
        return read_valid(self, window)

    monkeypatch.setattr(GdalSource, "read_valid", truncating)
    with pytest.raises(OutputError, match=r"working\.draft"):
        on_the_files_grid(tmp_path, steps, (12, 15))


def test_what_stops_the_blocks_is_not_taken_for_the_disk(tmp_path):
    working = GdalSource(inspect_raster(write_raster(tmp_path / "file.tif", scene(12, 15))), (1,), (48, 60))

    def unreadable():
        raise ReadError("rows are unreadable")
        yield

    with pytest.raises(ReadError, match="rows are unreadable"):
        next(source_steps(unreadable(), 1, working, Window(0, 0, 12, 15), None, folder=tmp_path))
