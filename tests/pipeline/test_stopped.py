"""A run that is stopped in any of its threads ends with the error, leaves no thread behind, and can go on."""

from __future__ import annotations

import errno
import io
import os
import shutil
import threading
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from fakes import logits_of
from rasters import scene, write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.errors import CropsegError, InferenceError, InputError, OutputError
from cropseg_geo.events import StageAdvanced, Written, ignore
from cropseg_geo.model.predictor import OnnxPredictor, TorchPredictor
from cropseg_geo.raster.cog import CogWriter


class FullDisk(io.FileIO):
    """A file that takes no more bytes."""

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def failing(function, error, *, after):
    """``function``, whose calls fail after so many."""
    calls = []

    def wrapped(*args, **kwargs):
        calls.append(1)
        if len(calls) > after:
            raise error
        return function(*args, **kwargs)

    return wrapped


def stop_reading(patch):
    from cropseg_geo.engine import lanes

    patch.setattr(lanes, "read_block", failing(lanes.read_block, InputError("rows are unreadable"), after=4))


def stop_inference(patch):
    for kind in (OnnxPredictor, TorchPredictor):
        patch.setattr(kind, "predict", failing(kind.predict, RuntimeError("no such device"), after=3))


def stop_writing(patch, *, buffer_bytes):
    """A disk that fills; only larger writes than the buffer notice it at once."""
    write, calls = CogWriter.write, []

    def filling(self, window, values):
        calls.append(1)
        if len(calls) == 4:
            self._file.close()
            self._file = io.BufferedRandom(FullDisk(self._path, "r+"), buffer_bytes)
        write(self, window, values)

    patch.setattr(CogWriter, "write", filling)


def stop_tracing(patch):
    trace = import_module("cropseg_geo.vector.trace")
    broken = failing(trace.row_of_blocks, OutputError("the layer cannot be written"), after=0)
    patch.setattr(trace, "row_of_blocks", broken)


def ctrl_c(event):
    if isinstance(event, StageAdvanced):
        raise KeyboardInterrupt


OPTIONS = {"tile_px": 256, "overlap_px": 32, "workers": cg.Workers(lanes=2)}


def use_a_formula(patch):
    """A network that costs nothing, and blocks of one tile."""
    for kind in (OnnxPredictor, TorchPredictor):
        patch.setattr(kind, "predict", lambda self, batch: logits_of(batch[:, 0]))
    patch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("field") / "field.tif", scene(1500, 2200), tiled=True)


@pytest.fixture(scope="module")
def straight(raster, tmp_path_factory):
    """The result of a run that nobody stops."""
    with pytest.MonkeyPatch.context() as patch:
        use_a_formula(patch)
        return cg.segment(raster, tmp_path_factory.mktemp("straight"), **OPTIONS)


@pytest.mark.parametrize(
    ("stop", "listener", "error", "message"),
    [
        (stop_reading, ignore, InputError, "rows are unreadable"),
        (stop_inference, ignore, InferenceError, "no such device"),
        (partial(stop_writing, buffer_bytes=1), ignore, OutputError, "spool.*(?i:no space left)"),
        (partial(stop_writing, buffer_bytes=1 << 26), ignore, OutputError, "spool.*(?i:no space left)"),
        (stop_tracing, ignore, OutputError, "the layer cannot be written"),
        (lambda patch: None, ctrl_c, KeyboardInterrupt, None),
    ],
    ids=["reading", "inference", "disk full", "disk full, seen later", "tracing", "Ctrl-C"],
)
def test_stopped_anywhere_the_run_ends_and_the_same_run_goes_on(
    raster, straight, tmp_path, monkeypatch, stop, listener, error, message
):
    use_a_formula(monkeypatch)
    with monkeypatch.context() as patch:
        stop(patch)
        with pytest.raises(error, match=message) as stopped:
            cg.segment(raster, tmp_path / "out", listener=listener, **OPTIONS)
    # While somebody holds the error: what it refers to must not keep the run going.
    assert not [t.name for t in threading.enumerate() if t.name.startswith("cropseg")]
    if isinstance(stopped.value, CropsegError):
        assert not [p for p in (tmp_path / "out").iterdir() if not p.name.startswith(".")]

    resumed = cg.segment(raster, tmp_path / "out", **OPTIONS)
    # One tile is one block here: what was finished is not inferred again.
    again, kept = resumed.summary.tiles_inferred, resumed.summary.blocks_resumed
    assert (again + kept, kept > 0) == (straight.summary.tiles_inferred, True)
    for a, b in zip(resumed.outputs.paths[:2], straight.outputs.paths[:2], strict=True):
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("kind", ["mask", "prob", "layers", "report"])
def test_stopped_while_its_files_are_put_in_place_the_same_run_goes_on(tmp_path, monkeypatch, kind):
    use_a_formula(monkeypatch)
    raster, out = write_raster(tmp_path / "field.tif", scene(300, 300)), tmp_path / "out"

    def stop(event):
        if isinstance(event, Written) and event.kind == kind:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cg.segment(raster, out, listener=stop, report=True, **OPTIONS)
    done = cg.segment(raster, out, report=True, **OPTIONS)
    assert done.summary.blocks_resumed > 0
    assert sorted(out.iterdir()) == sorted(done.files.values())


def test_a_disk_that_is_full_before_files_are_put_in_place_is_told(tmp_path, monkeypatch):
    use_a_formula(monkeypatch)
    raster, out = write_raster(tmp_path / "field.tif", scene(300, 300)), tmp_path / "out"
    write = Path.write_text

    def filling(self, text, **options):
        if self.name.startswith("run.json") and "field_mask.tif" in text:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, text, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", filling)
        with pytest.raises(OutputError, match="No space left") as stopped:
            cg.segment(raster, out, **OPTIONS)
    assert "free disk space" in stopped.value.remedy
    assert cg.segment(raster, out, **OPTIONS).summary.blocks_resumed > 0


@pytest.mark.parametrize("stage", ["segment", "plots", "report"])
@pytest.mark.skipif(os.name == "nt", reason="files in use cannot be deleted there")
def test_a_folder_that_is_taken_away_during_the_run_is_named(tmp_path, monkeypatch, stage):
    monkeypatch.setattr(OnnxPredictor, "predict", lambda self, batch: logits_of(batch[:, 0]))
    raster, out = write_raster(tmp_path / "field.tif", scene(300, 300)), tmp_path / "out"
    plots = write_plots(tmp_path / "plots.gpkg", [(0.5, 0.5, 1, 1)], plot_id=[1])
    asked = {"plots": plots, "report": True, "workers": cg.Workers(lanes=1)}

    def take_away(event):
        if isinstance(event, StageAdvanced) and event.stage == stage:
            shutil.rmtree(out, ignore_errors=True)

    with pytest.raises(OutputError, match=r"out.*is gone: it was deleted or renamed"):
        cg.segment(raster, out, listener=take_away, **asked)
    assert not out.exists()
    assert cg.segment(raster, out, **asked).report.exists()


@pytest.mark.skipif(os.name == "nt", reason="files in use cannot be deleted there")
def test_a_folder_that_is_taken_away_from_a_single_file_is_named(tmp_path):
    mask = write_raster(tmp_path / "mask.tif", np.ones((1, 60, 60), np.uint8), gsd=0.1, nodata=255)

    def take_away(event):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)

    with pytest.raises(OutputError, match=r"out: is gone"):
        cg.vectorize(mask, tmp_path / "out" / "canopy.gpkg", listener=take_away)
