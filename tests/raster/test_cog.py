"""COGs written window by window: the same pixels in any order of windows, and what every reader expects."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rio_cogeo.cogeo import cog_validate

from cropseg_geo.errors import OutputError
from cropseg_geo.grid import Window
from cropseg_geo.raster import tiff
from cropseg_geo.raster.cog import TILE_PX, CogLayout, CogWriter, StoppedError
from cropseg_geo.raster.pyramid import NODATA, TileCollector, halved_by_average, halved_by_mode

ROTATED = Affine.translation(565800, 5705400) @ Affine.rotation(20) @ Affine.scale(0.01, -0.01)


def layout(shape, *, bands=1, resampling="mode", **changes) -> CogLayout:
    names = tuple(f"band {k}" for k in range(bands))
    return CogLayout(
        shape, ROTATED, "EPSG:32632", resampling, names, **{"tags": {"CROPSEG_X": "ä"}, **changes}
    )


def pixels(shape, bands=1, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2, (bands, *shape), dtype=np.uint8)
    values[:, : shape[0] // 3, : shape[1] // 2] = NODATA
    return values


@pytest.mark.parametrize("shape", [(1, 1), (512, 512), (513, 2000), (1500, 700)])
@pytest.mark.parametrize("bands", [1, 3])
def test_a_cog_holds_what_was_written_and_is_valid(tmp_path, shape, bands):
    values, path = pixels(shape, bands), tmp_path / "a.tif"
    colours = {0: (1, 2, 3), 1: (40, 160, 40)} if bands == 1 else None
    with CogWriter(tmp_path / "a.spool", layout(shape, bands=bands, colours=colours)) as writer:
        for window in Window(0, 0, *shape).split(300):
            writer.write(window, values[:, *window.slices])
        np.testing.assert_array_equal(writer.read(Window(0, 0, *shape)), values)
        writer.finish(path)
    assert cog_validate(path) == (True, [], [])
    assert not (tmp_path / "a.spool").exists()
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), values)
        assert dataset.transform.almost_equals(ROTATED)
        assert (dataset.nodata, dataset.crs.to_epsg(), dataset.tags()["CROPSEG_X"]) == (NODATA, 32632, "ä")
        assert dataset.descriptions == tuple(f"band {k}" for k in range(bands))
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        sizes = [max(shape) / factor for factor in (1, *dataset.overviews(1))]
        assert [size > TILE_PX for size in sizes] == [True] * (len(sizes) - 1) + [False]
        if colours:
            assert dataset.colormap(1)[1] == (40, 160, 40, 255)
            assert dataset.colormap(1)[NODATA][3] == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 1200), st.integers(1, 1200), st.integers(60, 700), st.randoms(use_true_random=False))
def test_the_bytes_do_not_depend_on_the_windows_or_their_order(tmp_path_factory, height, width, side, random):
    values, folder, files = pixels((height, width)), tmp_path_factory.mktemp("order"), []
    for name, windows in (
        ("whole", [Window(0, 0, height, width)]),
        ("parts", random.sample(parts := list(Window(0, 0, height, width).split(side)), len(parts))),
    ):
        with CogWriter(folder / "spool", layout((height, width))) as writer:
            for window in windows:
                part = values[:, *window.slices]
                writer.write(window, None if (part == NODATA).all() else part)
            writer.finish(folder / name)
        files.append((folder / name).read_bytes())
    assert files[0] == files[1]


def test_overviews_are_what_gdal_makes_of_the_same_pixels(tmp_path):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 255, (1, 1100, 1300), dtype=np.uint8)
    values[:, 200:900, 100:400] = NODATA
    path = tmp_path / "a.tif"
    with CogWriter(tmp_path / "spool", layout((1100, 1300), resampling="average")) as writer:
        writer.write(Window(0, 0, 1100, 1300), values)
        writer.finish(path)
    profile = {
        "driver": "GTiff",
        "width": 1300,
        "height": 1100,
        "count": 1,
        "dtype": "uint8",
        "nodata": NODATA,
    }
    with rasterio.open(tmp_path / "b.tif", "w", transform=ROTATED, crs="EPSG:32632", **profile) as other:
        other.write(values)
        other.build_overviews([2], rasterio.enums.Resampling.average)
    with rasterio.open(path, overview_level=0) as a, rasterio.open(tmp_path / "b.tif", overview_level=0) as b:
        ours, theirs = a.read(), b.read()
    np.testing.assert_array_equal(ours == NODATA, theirs == NODATA)
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_the_mode_of_four_leaves_nodata_out_and_takes_the_first_of_equals():
    quads = [[0, 1, 1, 1], [2, 2, 1, 1], [255, 255, 255, 7], [3, 255, 5, 5], [255] * 4, [4, 9, 9, 4]]
    values = np.array(quads, dtype=np.uint8).reshape(1, -1, 2, 2).swapaxes(1, 2).reshape(1, 2, -1)
    assert halved_by_mode(values)[0, 0].tolist() == [1, 2, 7, 5, 255, 4]


def test_the_average_of_four_leaves_nodata_out_and_rounds():
    quads = [[0, 1, 1, 1], [254, 254, 254, 253], [255, 255, 10, 13], [255] * 4, [0, 0, 0, 1]]
    values = np.array(quads, dtype=np.uint8).reshape(1, -1, 2, 2).swapaxes(1, 2).reshape(1, 2, -1)
    assert halved_by_average(values)[0, 0].tolist() == [1, 254, 12, 255, 0]
    assert halved_by_average(values[:, :, :4])[0, 0].tolist() == [1, 254]


def test_tiles_of_nodata_alone_take_no_room(tmp_path):
    with CogWriter(tmp_path / "spool", layout((20_000, 20_000))) as writer:
        writer.write(Window(0, 0, 20_000, 20_000), None)
        assert (writer.read(Window(5000, 5000, 700, 700)) == NODATA).all()
        writer.finish(tmp_path / "a.tif")
    assert (tmp_path / "a.tif").stat().st_size < 100_000
    assert cog_validate(tmp_path / "a.tif")[0]
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert (dataset.read(1, window=((9000, 9100), (0, 100))) == NODATA).all()


def test_files_beyond_four_gigabytes_are_bigtiffs_that_gdal_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "_CLASSIC_LIMIT", 1000)
    values = pixels((1100, 900))
    with CogWriter(tmp_path / "spool", layout((1100, 900))) as writer:
        writer.write(Window(0, 0, 1100, 900), values)
        writer.finish(tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes()[2] == 43
    assert cog_validate(tmp_path / "a.tif") == (True, [], [])
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), values)


def test_a_reader_waits_for_its_pixels_and_is_sent_away_when_they_will_not_come(tmp_path):
    values, read = pixels((1024, 1024)), []

    def reading(writer):
        read.append(writer.read(Window(0, 0, 512, 1024)))
        with pytest.raises(StoppedError):
            writer.read(Window(0, 0, 1024, 1024))
        read.append("stopped")

    with CogWriter(tmp_path / "spool", layout((1024, 1024))) as writer:
        thread = threading.Thread(target=reading, args=(writer,))
        thread.start()
        writer.write(Window(0, 0, 600, 1024), values[:, :600])
        while not read:
            thread.join(0.01)
        writer.stop()
        thread.join()
    np.testing.assert_array_equal(read[0], values[:, :512])
    assert read[1] == "stopped"


def test_a_disk_that_refuses_is_told_with_a_remedy(tmp_path):
    with pytest.raises(OutputError, match="cannot be written") as refused:
        CogWriter(tmp_path / "missing" / "spool", layout((10, 10)))
    assert "disk space" in refused.value.remedy


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40))
def test_every_tile_comes_once_whatever_the_windows(height, width, side, step):
    collector = TileCollector(height, width, side)
    values = np.arange(height * width, dtype=np.uint32).reshape(1, height, width) % 251
    out = np.full((height, width), NODATA, dtype=np.uint8)
    seen = []
    for window in Window(0, 0, height, width).split(step):
        for i, j, tile in collector.add(window, values[:, *window.slices].astype(np.uint8)):
            seen.append((i, j))
            here = collector.window(i, j)
            out[here.slices] = tile[0, : here.height, : here.width]
    assert sorted(seen) == list(np.ndindex(collector.shape))
    np.testing.assert_array_equal(out, values[0])
