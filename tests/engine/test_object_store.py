"""Blocks in an object store: S3 over HTTP, s3fs as in the product, a server on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyogrio
import pytest
from distributed import Client
from engine.cluster import Cluster, running_cluster, until
from engine.elsewhere import add_worker_elsewhere, install
from engine.jobs import SIDE, blended, fake_job, run_blocks, tile_log
from fsspec.registry import _registry as loaded
from rasters import scene, write_raster

import cropseg_geo as cg
from cropseg_geo.engine.places import require_usable
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import InputError, OutputError, ResourceError
from cropseg_geo.events import StageAdvanced, Warned

pytest.importorskip("s3fs", reason="s3fs is not installed: pip install s3fs")
pytest.importorskip("moto", reason="moto is not installed: the server that these tests talk to")
pytest.importorskip("flask", reason="flask is not installed: moto's server needs it")

OPTIONS = {"tile_px": 64, "overlap_px": 16, "workers": Workers(lanes=2)}
STORE = "s3://bucket/runs"


@pytest.fixture(scope="module")
def server():
    from engine.s3 import running_s3_server

    with running_s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("field") / "field.tif", scene(300, 310), compress="deflate")


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 2)
        yield


@pytest.fixture(scope="module")
def straight(field, tmp_path_factory):
    """The run whose bytes all others must have."""
    return cg.segment(field, tmp_path_factory.mktemp("straight"), **OPTIONS)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def cluster(server, installed, tmp_path_factory):
    """Three workers that share nothing with this process but the server."""
    folder = tmp_path_factory.mktemp("cluster")
    with running_cluster(folder) as cluster:
        for k in range(3):
            add_worker_elsewhere(cluster, folder / f"machine{k}", installed)
        with Client(cluster.address, set_as_default=False) as client:
            client.wait_for_workers(3)
            places = client.run(lambda: __import__("cropseg_geo").__file__).values()
            assert all(place.startswith(str(installed)) for place in places)
        yield cluster


def on(cluster: Cluster) -> dict[str, Any]:
    return OPTIONS | {"workers": Workers(scheduler=cluster.address)}


def assert_equal(done: cg.SegmentResult, expected: cg.SegmentResult) -> None:
    """The same bytes of the rasters, the same polygons."""
    for name in ("mask", "prob"):
        assert done.files[name].read_bytes() == expected.files[name].read_bytes()
    ours, theirs = (pyogrio.read_arrow(run.outputs.layers, layer="canopy")[1] for run in (done, expected))
    assert ours.equals(theirs)


def test_law_3_blocks_in_s3_give_the_same_bytes_and_none_is_left(server, field, straight, tmp_path):
    done = cg.segment(field, tmp_path / "out", store=STORE, **OPTIONS)
    assert_equal(done, straight)
    assert not server.keys("runs")


def test_law_3_workers_that_share_the_object_store_alone_give_the_same_bytes(
    server, cluster, field, tmp_path
):
    """Pixels come from the same server, through GDAL."""
    address = server.upload(field)
    alone = cg.segment(address, tmp_path / "alone", **OPTIONS)
    done = cg.segment(address, tmp_path / "out", store=STORE, **on(cluster))
    assert done.summary.tiles_inferred == alone.summary.tiles_inferred
    assert_equal(done, alone)
    assert not server.keys("runs")


def test_a_worker_without_s3fs_is_named_before_any_work(server, cluster, installed, field, tmp_path):
    (tmp_path / "s3fs.py").write_text("raise ImportError('not installed')")
    worker = add_worker_elsewhere(cluster, tmp_path / "machine", installed, before=str(tmp_path))
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(4)
        with pytest.raises(ResourceError, match=r"worker tcp://.*s3fs") as refused:
            cg.segment(server.upload(field), tmp_path / "out", store=STORE, **on(cluster))
        cluster.kill(worker)
        until(lambda: len(client.nthreads()) == 3)
    assert refused.value.remedy == "pip install s3fs"
    assert not server.keys("runs")


def test_law_10_a_client_and_a_worker_killed_repeat_only_what_was_in_flight(server, cluster, tmp_path):
    straight = fake_job(tmp_path / "straight", seconds=0)
    total = run_blocks(straight, workers=Workers(lanes=1)).tiles_inferred
    job = fake_job(tmp_path / "job", store="s3://bucket/killed.zarr", seconds=0.03)
    workers, victim = Workers(scheduler=cluster.address), cluster.workers[0]
    spawn = multiprocessing.get_context("spawn").Process
    run = spawn(target=run_blocks, args=(job,), kwargs={"workers": workers})
    run.start()
    until(lambda: len(server.keys("killed.zarr/sums/c")) >= 3)
    run.kill()
    run.join()
    assert run.exitcode == -signal.SIGKILL

    def trouble(event):
        if isinstance(event, StageAdvanced) and victim.poll() is None:
            cluster.kill(victim)

    again = run_blocks(job, workers=workers, listener=trouble)
    assert again.blocks_resumed >= 3
    np.testing.assert_array_equal(blended(job), blended(straight))
    inferred = Counter(tile for _, tile in tile_log(job))
    # The client left a block in flight at each of three workers, and the killed one its own.
    assert 0 <= inferred.total() - total <= 4 * SIDE * SIDE


def test_a_place_that_cannot_be_used_is_refused_before_any_work(server, field, tmp_path):
    events = []
    with pytest.raises(OutputError, match="no-such-bucket") as refused:
        cg.segment(field, tmp_path, store="s3://no-such-bucket/runs", listener=events.append, **OPTIONS)
    assert "make the bucket" in refused.value.remedy
    assert not events
    assert not list(tmp_path.iterdir())
    with server.checking_keys(), pytest.raises(OutputError) as refused:
        require_usable(STORE)
    assert "AWS_ACCESS_KEY_ID" in refused.value.remedy
    assert "list, read, write and delete" in refused.value.remedy


@pytest.mark.parametrize("place", ["s3://", "s4://bucket/runs"])
def test_an_address_that_names_no_place_is_refused(place):
    with pytest.raises(InputError, match=r"names no place|no such kind of URL") as refused:
        require_usable(place)
    assert "s3://bucket/folder" in refused.value.remedy


def test_a_server_that_does_not_answer_is_told_in_a_line(server, field, tmp_path):
    command = (sys.executable, "-m", "cropseg_geo.cli", "segment", str(field), "-o", str(tmp_path), "-q")
    environment = os.environ | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    ended = subprocess.run(
        [*command, "--store", STORE], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "AWS_ENDPOINT_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_s3fs_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(loaded, "s3", raising=False)
    with pytest.raises(InputError, match="s3fs") as refused:
        require_usable(STORE)
    assert refused.value.remedy == "pip install s3fs"


def test_law_10_a_store_that_fails_in_the_middle_keeps_what_was_done(server, field, straight, tmp_path):
    with ExitStack() as trouble:
        failing = []

        def fail(event):
            if isinstance(event, StageAdvanced) and not failing:
                failing.append(trouble.enter_context(server.checking_keys()))

        with pytest.raises(OutputError, match=r"s3://bucket/runs/.*: block"):
            cg.segment(field, tmp_path, store=STORE, listener=fail, **OPTIONS)
    done = cg.segment(field, tmp_path, store=STORE, **OPTIONS)
    assert done.summary.blocks_resumed >= 1
    assert_equal(done, straight)
    assert not server.keys("runs")


def test_blocks_that_could_not_be_deleted_are_told_and_deleted_by_the_next_run(
    server, field, straight, tmp_path, monkeypatch
):
    def fail(place):
        raise OutputError(f"{place}: the blocks there could not be deleted")

    events = []
    with monkeypatch.context() as patch:
        patch.setattr("cropseg_geo.runs.remove", fail)
        done = cg.segment(field, tmp_path, store=STORE, listener=events.append, **OPTIONS)
    assert_equal(done, straight)
    assert any(isinstance(event, Warned) and "could not be deleted" in event.message for event in events)
    assert server.keys("runs")
    done = cg.segment(field, tmp_path, overwrite=True, **OPTIONS)
    assert not server.keys("runs")
    assert sorted(tmp_path.iterdir()) == sorted(done.outputs.paths)
