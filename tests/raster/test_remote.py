"""Rasters behind a web address, read by ranges (a server on this machine)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasters import scene, write_plots, write_raster
from typer.testing import CliRunner

import cropseg_geo as cg
from cropseg_geo import answers
from cropseg_geo.addresses import without_secrets
from cropseg_geo.cli import app
from cropseg_geo.errors import InputError
from cropseg_geo.events import RasterFinished
from cropseg_geo.grid import Window
from cropseg_geo.pipeline.turns import Outcome
from cropseg_geo.raster.info import inspect_raster
from cropseg_geo.raster.source import GdalSource, close_handle

SERVER = Path(__file__).with_name("range_server.py")


@pytest.fixture
def address(tmp_path, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "asked.txt"
    server = subprocess.Popen(
        [sys.executable, SERVER, tmp_path, log], stdout=subprocess.PIPE, encoding="ascii"
    )
    yield Address(f"http://127.0.0.1:{server.stdout.readline().strip()}", log)
    close_handle()
    server.kill()
    server.communicate()


@dataclass(frozen=True)
class Address:
    """Where the server is, and its record of the names that it was asked for."""

    url: str
    log: Path

    def __str__(self) -> str:
        return self.url

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.mark.parametrize("prefix", ["/vsicurl/", ""], ids=["vsicurl", "plain address"])
def test_a_raster_behind_an_address_reads_like_a_file(tmp_path, address, prefix):
    values = scene(300, 400)
    write_raster(tmp_path / "field.tif", values, tiled=True, blockxsize=128, blockysize=128)
    info = inspect_raster(f"{prefix}{address}/field.tif")
    assert info.stem == "field"
    source = GdalSource(info, (1, 2, 3), (300, 400))
    np.testing.assert_array_equal(source.read(Window(100, 150, 90, 80))[0], values[:, 100:190, 150:230])


def test_an_address_that_holds_nothing_is_refused(address):
    with pytest.raises(InputError, match="not a raster that can be read"):
        inspect_raster(f"/vsicurl/{address}/nothing.tif")


def masked(folder: Path) -> np.ndarray:
    """Writes ``field.tif`` with its mask beside it, in ``field.tif.msk``; returns the mask."""
    valid = np.ones((90, 120), dtype=bool)
    valid[:40, :50] = False
    write_raster(folder / "field.tif", scene(90, 120))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(folder / "field.tif", "r+") as dataset:
        dataset.write_mask(valid)
    assert (folder / "field.tif.msk").is_file()
    return valid


def validity(path: str) -> np.ndarray:
    return GdalSource(inspect_raster(path), (1, 2, 3), (90, 120)).read_valid(Window(0, 0, 90, 120))


def test_a_mask_beside_a_raster_counts_behind_an_address_and_no_folder_is_listed(tmp_path, address):
    valid = masked(tmp_path)
    np.testing.assert_array_equal(validity(f"{address}/field.tif"), valid)
    assert "" not in address.asked()
    assert len(address.asked()) < 30


def test_nothing_is_looked_for_beside_a_query(tmp_path, address):
    masked(tmp_path)
    assert validity(f"{address}/field.tif?token=1").all()
    assert set(address.asked()) == {"field.tif"}


SECRETS = ("SECRETX", "SECRETY")


def signed(address, name="field.tif") -> str:
    return f"{address}/{name}?X-Amz-Expires=9&X-Amz-Signature=SECRETX#SECRETY"


def test_a_signature_is_in_no_output(tmp_path, address, tmp_path_factory):
    write_raster(tmp_path / "field.tif", scene(120, 130))
    plots = write_plots(tmp_path / "plots.gpkg", [(0.1, 0.1, 1, 1)], plot_id=["p"])
    out = tmp_path_factory.mktemp("out")
    result = cg.segment(signed(address), out, plots=plots, report=True)
    with rasterio.open(result.outputs.mask) as mask:
        assert mask.tags()["CROPSEG_SOURCE"] == "field.tif"
    assert len(list(out.iterdir())) == 5
    for file in out.iterdir():
        assert not any(secret.encode() in file.read_bytes() for secret in SECRETS), file


def test_a_signed_address_is_one_raster_to_the_command_line(tmp_path, address, tmp_path_factory):
    write_raster(tmp_path / "field.tif", scene(120, 130))
    out = tmp_path_factory.mktemp("out")
    done = CliRunner().invoke(app, ["segment", signed(address), "-o", str(out), "--events"])
    assert done.exit_code == 0, done.output
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["task"]) == ("result", "segment")
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_messages_keep_no_signature_and_no_password(tmp_path, address, monkeypatch):
    for raster in (signed(address, "no.tif"), signed(address, "no.tif").replace("//", "//me:SECRETX@")):
        with pytest.raises(InputError, match=r"/no\.tif\?…: not a raster") as caught:
            inspect_raster(raster)
        assert not any(secret in str(caught.value) for secret in SECRETS)

    monkeypatch.setenv("COLUMNS", "1000")
    write_raster(tmp_path / "field.tif", scene(120, 130))
    done = CliRunner().invoke(app, ["check", signed(address), "-o", str(tmp_path / "out")])
    assert f"{address}/field.tif?…, 120 × 130 px" in done.output
    assert not any(secret in done.output for secret in SECRETS)


def test_errors_of_others_keep_no_signature_in_a_seasons_messages(address):
    error = RuntimeError(f"{signed(address)}: no such thing")
    assert (
        RasterFinished("field.tif", "failed", str(error)).message == f"{address}/field.tif?…: no such thing"
    )
    (row,) = answers.of_season([Outcome("field.tif", "field", "failed", error=error)])["rasters"]
    assert row["message"] == f"{address}/field.tif?…: no such thing"


def test_long_messages_are_no_work():
    for text in ("x" * 1_000_000, "https://a?" + ".)" * 500_000 + "x y"):
        begun = time.process_time()
        without_secrets(text)
        assert time.process_time() - begun < 5


def test_a_season_says_which_raster_it_is_at_without_its_signature(
    tmp_path, address, tmp_path_factory, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "1000")
    for name in "ab":
        write_raster(tmp_path / f"{name}.tif", scene(120, 130))
    rasters = [signed(address, f"{name}.tif") for name in "ab"]
    done = CliRunner().invoke(app, ["segment", *rasters, "-o", str(tmp_path_factory.mktemp("out"))])
    assert done.exit_code == 0, done.output
    assert "a.tif?…" in done.output
    assert not any(secret in done.output for secret in SECRETS), done.output


@pytest.mark.parametrize("form", ["/vsizip/{0}/field.tif", "zip://{0}!field.tif"])
def test_a_mask_beside_a_raster_counts_in_an_archive(tmp_path, form):
    valid = masked(tmp_path)
    with zipfile.ZipFile(tmp_path / "field.zip", "w") as archive:
        for name in ("field.tif", "field.tif.msk"):
            archive.write(tmp_path / name, name)
    np.testing.assert_array_equal(validity(form.format(tmp_path / "field.zip")), valid)
    close_handle()


@pytest.mark.parametrize("place", ["zip", "address"])
def test_an_image_is_placed_by_the_files_beside_it(tmp_path, address, place):
    write_raster(tmp_path / "field.png", scene(90, 120), driver="PNG", worldfile="YES")
    names = ["field.png", "field.png.aux.xml", "field.wld"]
    expected = inspect_raster(tmp_path / "field.png")
    with zipfile.ZipFile(tmp_path / "field.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / name, name)
    remote = f"/vsizip/{tmp_path}/field.zip" if place == "zip" else address
    found = inspect_raster(f"{remote}/field.png")
    assert (found.crs, found.transform) == (expected.crs, expected.transform)
