"""A stopped run of another raster, model or options is refused, never mixed; the same one goes on."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple

import geopandas as gpd
import numpy as np
import pytest
import rasterio.shutil
import shapely
from rasters import ORIGIN, UTM, scene, write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.events import StageAdvanced
from cropseg_geo.options import Options
from cropseg_geo.preflight import prepare
from cropseg_geo.raster.source import close_handle

OPTIONS = {"tile_px": 64, "overlap_px": 16, "workers": cg.Workers(lanes=1)}


class StoppedError(Exception):
    """Stands for Ctrl-C."""


def stopped_run(raster, out, **options) -> None:
    """Leaves finished blocks behind."""

    def stop(event):
        if isinstance(event, StageAdvanced):
            raise StoppedError

    with pytest.raises(StoppedError):
        cg.segment(raster, out, listener=stop, **(OPTIONS | options))


@pytest.fixture
def field(tmp_path):
    fourth = np.full((1, 300, 310), 200, dtype=np.uint8)
    values = np.concatenate([scene(300, 310), fourth])
    return write_raster(tmp_path / "field.tif", values, compress="deflate", photometric="RGB", alpha="NO")


CHANGES = {
    "overlap_px": (32, "other tiles"),
    "tile_px": (128, "other tiles"),
    "gsd_m": (0.012, "other tiles or another GSD"),
    "bands": ((3, 2, 1), "another bands"),
    "scale": ((0.0, 200.0), "another scale"),
    "reflectance": (True, "another scale"),
    "bbox": ((ORIGIN[0], ORIGIN[1] - 2, ORIGIN[0] + 2, ORIGIN[1]), "another extent"),
    "model": ("canopy-m", "another model"),
    "alpha_band": (4, "another alpha"),
    "backend": ("onnxruntime", "another backend"),
    "precision": ("bf16", "another precision"),
}


def write_triangle(path, *corners):
    """An area of interest by three corners of the field, each 0 or 1 right and down."""
    left, top = ORIGIN
    shape = shapely.Polygon([(left + 3.1 * right, top - 3 * down) for right, down in corners])
    gpd.GeoDataFrame(geometry=[shape], crs=UTM).to_file(path)
    return path


def test_every_option_that_blocks_depend_on_is_noticed(field, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    upper = write_triangle(tmp_path / "upper.gpkg", (0, 0), (1, 0), (0, 1))
    lower = write_triangle(tmp_path / "lower.gpkg", (1, 1), (1, 0), (0, 1))
    # Of the same bounds, so that only what lies between them differs.
    changes = CHANGES | {"aoi": (lower, "another area of interest")}
    given = OPTIONS | {"backend": "torch", "aoi": upper}
    stopped_run(field, out, **given)
    left = sorted(p for p in out.rglob("*") if p.is_file())
    for name, (value, words) in changes.items():
        changed = given | {name: value}
        with pytest.raises(InputError, match=f"unfinished run of 'field' is there, of .*{words}") as refused:
            cg.segment(field, out, **changed)
        assert "--overwrite to discard it" in refused.value.remedy
    assert sorted(p for p in out.rglob("*") if p.is_file()) == left
    done = cg.segment(field, out, **given)
    assert done.summary.blocks_resumed >= 1
    assert sorted(out.iterdir()) == sorted(done.outputs.paths)


def test_what_blocks_do_not_depend_on_may_change(field, tmp_path, monkeypatch):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    stopped_run(field, tmp_path / "out")
    plots = write_plots(tmp_path / "plots.gpkg", [(0.2, 0.2, 2, 2)], plot_id=[1])
    done = cg.segment(
        field, tmp_path / "out", threshold=0.4, plots=plots, **(OPTIONS | {"workers": cg.Workers(lanes=2)})
    )
    assert done.summary.blocks_resumed >= 1


def test_what_a_stopped_run_left_needs_no_space_again(field, tmp_path, monkeypatch):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    out = tmp_path / "out"
    stopped_run(field, out)
    (run,) = out.glob(".field-*.cropseg")
    left = sum(p.stat().st_size for p in run.rglob("*"))
    needed = prepare(field, Options(tile_px=64, overlap_px=16)).disk_bytes
    usage = namedtuple("usage", "total used free")

    def free(size):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - size, size))

    free(needed - left - 1)
    with pytest.raises(OutputError, match="free; about"):
        cg.segment(field, out, **OPTIONS)
    free(needed - left)
    assert cg.segment(field, out, **OPTIONS).summary.blocks_resumed >= 1


def test_the_disk_of_a_store_has_to_hold_the_blocks(field, tmp_path, monkeypatch):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    out, store = tmp_path / "out", tmp_path / "store"
    stopped_run(field, out, store=str(store))
    (blocks,) = store.iterdir()
    left = sum(p.stat().st_size for p in blocks.rglob("*"))
    needed = prepare(field, Options(tile_px=64, overlap_px=16)).plan.block_bytes
    usage = namedtuple("usage", "total used free")

    def free(size):
        def disk_usage(folder):
            return usage(10**9, 0, size if folder.is_relative_to(store) else 10**9)

        monkeypatch.setattr(shutil, "disk_usage", disk_usage)

    free(needed - left - 1)
    for place in (str(store), f"file://{store}"):
        with pytest.raises(OutputError, match="free; finished blocks need about"):
            cg.segment(field, out, store=place, **OPTIONS)
    free(needed - left)
    assert cg.segment(field, out, store=str(store), **OPTIONS).summary.blocks_resumed >= 1


def test_blocks_on_another_disk_need_no_space_beside_the_outputs(field, tmp_path, monkeypatch):
    ready = prepare(field, Options(tile_px=64, overlap_px=16))
    out, needed = tmp_path / "out", ready.disk_bytes - ready.plan.block_bytes
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - needed, needed))
    for near in (None, str(tmp_path / "store"), f"file://{tmp_path}/store"):
        with pytest.raises(OutputError, match="free; about"):
            cg.check(field, out, store=near, **OPTIONS)
    assert cg.check(field, out, store="memory://blocks", **OPTIONS).disk_bytes == needed
    monkeypatch.setattr("cropseg_geo.space._is_on_disk_of", lambda folder, store: False)
    assert cg.check(field, out, store=str(tmp_path / "store"), **OPTIONS).disk_bytes == needed


def test_a_changed_raster_is_noticed_and_a_discarded_run_leaves_nothing(field, tmp_path, monkeypatch):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    out = tmp_path / "out"
    stopped_run(field, out)
    os.utime(field, (1_700_000_000, 1_700_000_000))
    with pytest.raises(InputError, match=r"the raster \(it has changed since\)"):
        cg.segment(field, out, **OPTIONS)
    done = cg.segment(field, out, overwrite=True, **OPTIONS)
    assert done.summary.blocks_resumed == 0
    assert sorted(out.iterdir()) == sorted(done.outputs.paths)


def test_pixels_that_change_behind_a_files_size_and_time_are_noticed(tmp_path):
    """As an address or a careful copy hides it."""
    pixels = scene(300, 310)
    raster = write_raster(tmp_path / "field.tif", pixels)
    before, stat = prepare(raster), raster.stat()
    write_raster(raster, pixels[:, ::-1])
    os.utime(raster, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert raster.stat().st_size == stat.st_size
    close_handle()  # as in another process
    after = prepare(raster)
    assert after.info.fingerprint == before.info.fingerprint
    assert after.plan.fingerprint != before.plan.fingerprint


@pytest.mark.parametrize("address", ["file://{}", "vrt://{}?bands=1,2,3"])
def test_a_file_behind_an_address_of_this_machine_counts(field, address):
    path = address.format(field)
    before, stat = prepare(path), field.stat()
    os.utime(field, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    assert prepare(path).plan.fingerprint != before.plan.fingerprint


def test_the_sources_of_a_vrt_count_and_the_place_of_a_file_does_not(field, tmp_path):
    vrt = tmp_path / "mosaic.vrt"
    rasterio.shutil.copy(field, vrt, driver="VRT")
    before = prepare(vrt)
    stat = field.stat()
    os.utime(field, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    assert prepare(vrt).plan.fingerprint != before.plan.fingerprint

    (tmp_path / "moved").mkdir()
    here = prepare(field, Options(**{k: v for k, v in OPTIONS.items() if k != "workers"}))
    there = shutil.copy2(field, tmp_path / "moved")
    assert prepare(there, here.options).plan.fingerprint == here.plan.fingerprint


@pytest.mark.parametrize("damage", ["empty", "half", "zeros"])
def test_a_store_whose_description_was_damaged_is_begun_anew(field, tmp_path, monkeypatch, damage):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    out = tmp_path / "out"
    stopped_run(field, out)
    (description,) = out.glob(".*/blocks.zarr/zarr.json")
    data = description.read_bytes()
    description.write_bytes({"empty": b"", "half": data[: len(data) // 2], "zeros": bytes(len(data))}[damage])
    done = cg.segment(field, out, **OPTIONS)
    straight = cg.segment(field, tmp_path / "straight", **OPTIONS)
    assert done.outputs.mask.read_bytes() == straight.outputs.mask.read_bytes()


def test_blocks_kept_elsewhere_are_taken_up_and_removed_at_the_end(field, tmp_path, monkeypatch):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    for store in (f"file://{tmp_path}/elsewhere", str(tmp_path / "elsewhere"), "memory://elsewhere"):
        out = tmp_path / "out"
        stopped_run(field, out, store=store)
        with pytest.raises(InputError, match="another --store"):
            cg.segment(field, out, **OPTIONS)
        done = cg.segment(field, out, store=store, **OPTIONS)
        assert done.summary.blocks_resumed >= 1
        assert sorted(out.iterdir()) == sorted(done.outputs.paths)
        from fsspec.core import url_to_fs

        filesystem, path = url_to_fs(store)
        assert not filesystem.find(path)
        shutil.rmtree(out)


@pytest.mark.parametrize(
    "said",
    [
        '{"facts": {}}',
        '{"store": null, "published": {}}',
        '{"facts": null, "store": null, "published": {}}',
        '{"facts": {}, "store": 5, "published": {}}',
        '{"facts": {}, "store": null, "published": [1]}',
        '{"facts": {}, "store": null, "published": null}',
        '{"facts": {}, "store": null, "published": {"field_mask.tif": 5}}',
        "[" * 100_000,
    ],
)
def test_a_record_that_was_damaged_is_none(field, tmp_path, monkeypatch, said):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    out = tmp_path / "out"
    stopped_run(field, out)
    (record,) = out.glob(".*/run.json")
    record.write_text(said)
    done = cg.segment(field, out, **OPTIONS)
    assert done.summary.blocks_resumed >= 1
    assert sorted(out.iterdir()) == sorted(done.outputs.paths)


def test_a_store_that_describes_itself_as_a_list_is_begun_anew(field, tmp_path, monkeypatch):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    stopped_run(field, tmp_path / "out")
    (description,) = tmp_path.glob("out/.*/blocks.zarr/zarr.json")
    description.write_text("[]")
    assert cg.segment(field, tmp_path / "out", **OPTIONS).summary.blocks_resumed == 0


@pytest.mark.parametrize("ending", ["", ".done"])
def test_a_record_from_elsewhere_deletes_nothing_but_blocks_of_its_own(field, tmp_path, ending):
    out, precious = tmp_path / "out", tmp_path / "precious"
    blocks = tmp_path / "kept" / "field-0123456789ab-01234567.zarr"
    for folder in (precious, blocks):
        folder.mkdir(parents=True)
        (folder / "thesis.odt").touch()
    for run, store in (("0123456789ab", blocks), ("ba9876543210", precious)):
        made = out / f".field-{run}.cropseg{ending}"
        made.mkdir(parents=True)
        record = {"facts": {}, "store": str(store), "published": {}}
        (made / "run.json").write_text(json.dumps(record))
    done = cg.segment(field, out, overwrite=True, **OPTIONS)
    assert sorted(out.iterdir()) == sorted(done.outputs.paths)
    assert (precious / "thesis.odt").exists()
    assert not blocks.exists()


def test_a_run_whose_folder_was_moved_and_linked_leaves_no_link(field, tmp_path, monkeypatch):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    out = tmp_path / "out"
    stopped_run(field, out)
    (run,) = out.glob(".*.cropseg")
    run.rename(tmp_path / "moved")
    run.symlink_to(tmp_path / "moved")
    done = cg.segment(field, out, **OPTIONS)
    assert done.summary.blocks_resumed >= 1
    assert sorted(out.iterdir()) == sorted(done.outputs.paths)
