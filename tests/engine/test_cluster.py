"""Blocks on a dask cluster: the same bytes as on one machine, whatever happens to the workers."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import dask
import numpy as np
import pytest
from distributed import Client
from engine.cluster import running_cluster, until
from engine.jobs import SIDE, DeadlyElsewhere, blended, fake_job, fake_source, run_blocks, tile_log
from fakes import ArraySource, EchoPredictor, NanPredictor, PlaceDependentPredictor

from cropseg_geo.engine import cluster as engine_cluster
from cropseg_geo.engine.graph import Inference, Job
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import InferenceError, InputError, ResourceError
from cropseg_geo.events import StageAdvanced, Warned


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    job = fake_job(tmp_path_factory.mktemp("reference"), seconds=0)
    tally = run_blocks(job, workers=Workers(lanes=1))
    return blended(job), tally


@pytest.fixture(scope="module")
def dask_cluster(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def with_predictor(job: Job, predictor) -> Job:
    return Job(job.source, Inference(predictor, job.inference.scale, job.plan), job.store)


def test_law_3_a_worker_killed_one_slow_and_one_late_change_no_byte(dask_cluster, reference, tmp_path):
    steady, slow = dask_cluster.add_worker(), dask_cluster.add_worker(FAKE_SECONDS="0.2")
    victim, late = dask_cluster.add_worker(), []
    job = fake_job(tmp_path, seconds=0.04)

    def workers_seen() -> set[int]:
        return {pid for pid, _ in tile_log(job)}

    with Client(dask_cluster.address, set_as_default=False) as client:
        client.wait_for_workers(3)

        def trouble(event):
            """Once the three have worked for a while the victim dies, and another worker comes."""
            if isinstance(event, StageAdvanced) and not late and len(workers_seen()) == 3:
                dask_cluster.kill(victim)
                until(lambda: len(client.nthreads()) == 2)
                late.append(dask_cluster.add_worker())
                until(lambda: len(client.nthreads()) == 3)

        tally = run_blocks(job, workers=Workers(scheduler=dask_cluster.address), listener=trouble)

    expected, straight = reference
    np.testing.assert_array_equal(blended(job), expected)
    assert tally.blocks_done + tally.blocks_resumed == straight.blocks_done
    assert workers_seen() == {steady.pid, slow.pid, victim.pid, late[0].pid}
    inferred = Counter(tile for _, tile in tile_log(job))
    assert 0 <= inferred.total() - straight.tiles_inferred <= SIDE * SIDE  # what the victim had in flight


def test_a_second_run_on_the_cluster_takes_up_what_is_there_and_repairs_it(dask_cluster, reference, tmp_path):
    dask_cluster.require_worker()
    job = fake_job(tmp_path, seconds=0)
    workers = Workers(scheduler=dask_cluster.address)
    run_blocks(job, workers=workers)
    inferred = len(tile_log(job))
    chunks = sorted((tmp_path / "blocks.zarr" / "sums" / "c").rglob("[0-9]"))
    chunks = [chunk for chunk in chunks if chunk.is_file()]
    chunks[3].write_bytes(chunks[3].read_bytes()[:100])
    chunks[5].unlink()
    again = run_blocks(job, workers=workers)
    assert again.blocks_done == 2
    assert len(tile_log(job)) - inferred == again.tiles_inferred
    np.testing.assert_array_equal(blended(job), reference[0])


def test_an_error_of_a_block_arrives_as_it_is(dask_cluster, tmp_path):
    dask_cluster.require_worker()
    job = with_predictor(fake_job(tmp_path), NanPredictor())
    with pytest.raises(InferenceError, match=r"not finite for tile \(\d, \d\)"):
        run_blocks(job, workers=Workers(scheduler=dask_cluster.address))


def test_workers_that_cannot_do_the_job_are_named_before_any_work(dask_cluster, tmp_path):
    dask_cluster.require_worker()
    workers = Workers(scheduler=dask_cluster.address)
    unseen = fake_job(tmp_path, store="memory://only/here.zarr")
    with pytest.raises(ResourceError, match=r"worker tcp://.* blocks cannot be seen from here") as refused:
        run_blocks(unseen, workers=workers)
    assert "--store" in refused.value.remedy
    other = with_predictor(fake_job(tmp_path / "b"), PlaceDependentPredictor())
    with pytest.raises(ResourceError, match="another model under that name"):
        run_blocks(other, workers=workers)


def test_a_cluster_without_workers_is_waited_for_and_then_given_up(
    dask_cluster, reference, tmp_path, monkeypatch
):
    """The last worker dies; the run says so and goes on when another one comes, or ends after a while."""
    dask_cluster.require_worker()
    for worker in dask_cluster.workers[1:]:
        if worker.poll() is None:
            dask_cluster.kill(worker)
    last, warned = dask_cluster.workers[0], []
    job = fake_job(tmp_path, seconds=0.02)

    def trouble(event):
        if isinstance(event, StageAdvanced) and last.poll() is None:
            dask_cluster.kill(last)
        if isinstance(event, Warned):
            warned.append(event.message)
            dask_cluster.add_worker()

    run_blocks(job, workers=Workers(scheduler=dask_cluster.address), listener=trouble)
    assert warned == ["no worker is left; the run waits for one"]
    np.testing.assert_array_equal(blended(job), reference[0])

    monkeypatch.setattr(engine_cluster, "PATIENCE_S", 1.5)
    job = fake_job(tmp_path / "b", seconds=0.02)

    def kill_all(event):
        if isinstance(event, StageAdvanced):
            for worker in dask_cluster.workers:
                if worker.poll() is None:
                    dask_cluster.kill(worker)

    with pytest.raises(ResourceError, match="no worker for 2 s"):
        run_blocks(job, workers=Workers(scheduler=dask_cluster.address), listener=kill_all)
    with pytest.raises(ResourceError, match="has no workers"):
        run_blocks(job, workers=Workers(scheduler=dask_cluster.address))


def test_a_scheduler_that_dies_ends_the_run_and_the_blocks_stay(reference, tmp_path):
    with running_cluster(tmp_path) as cluster:
        cluster.add_worker()
        with Client(cluster.address, set_as_default=False) as client:
            client.wait_for_workers(1)
        job = fake_job(tmp_path, seconds=0.02)

        def trouble(event):
            if isinstance(event, StageAdvanced) and cluster.scheduler.poll() is None:
                cluster.kill(cluster.scheduler)

        with pytest.raises(ResourceError, match="the scheduler was lost"):
            run_blocks(job, workers=Workers(scheduler=cluster.address), listener=trouble)
    tally = run_blocks(job, workers=Workers(lanes=1))
    assert tally.blocks_resumed >= 1
    np.testing.assert_array_equal(blended(job), reference[0])


def test_local_processes_follow_the_work_and_a_block_that_kills_them_is_given_up(reference, tmp_path):
    job = fake_job(tmp_path, seconds=0.02)
    run_blocks(job, workers=Workers(processes=1, max_processes=2))
    np.testing.assert_array_equal(blended(job), reference[0])

    source = fake_source()
    source.values[:, 100:170, 100:170] = 77
    deadly = fake_job(tmp_path / "b", source=source, seconds=0, poison=77.0)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(ResourceError, match=r"block \(\d, \d\) was lost with each of the workers"),
    ):
        run_blocks(deadly, workers=Workers(processes=1))


def test_a_job_that_kills_whoever_loads_it_is_given_up(tmp_path):
    job = replace(fake_job(tmp_path), source=DeadlyElsewhere(fake_source()))
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(ResourceError, match="the job was lost with each of the workers") as caught,
    ):
        run_blocks(job, workers=Workers(processes=1))
    assert "logs" in caught.value.remedy


def test_worker_processes_that_do_not_start_are_told_with_what_scripts_need(monkeypatch):
    def fail(**options):
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("distributed.LocalCluster", fail)
    with (
        pytest.raises(ResourceError, match=r"could not be started \(Nanny") as caught,
        engine_cluster._client(Workers(processes=2)),
    ):
        pass
    assert '__name__ == "__main__"' in caught.value.remedy


def test_each_gpu_worker_sees_one_gpu():
    workers = Workers(processes=2, gpus=("0", "3", "5"))
    with engine_cluster._client(workers) as client:
        client.wait_for_workers(2)
        assert sorted(client.run(os.getenv, "CUDA_VISIBLE_DEVICES").values()) == ["0", "3"]
        assert set(client.nthreads().values()) == {1}


@pytest.mark.parametrize(
    "arguments",
    [
        {"processes": 4, "max_processes": 2},
        {"processes": 0, "max_processes": 0},
        {"scheduler": "tcp://h:1", "processes": 2},
        {"scheduler": "tcp://h:1", "lanes": 2},
        {"processes": 3, "gpus": ("0",)},
    ],
)
def test_contradictions_about_workers_are_refused(arguments):
    with pytest.raises(InputError):
        Workers(**arguments)


def test_blocks_in_an_object_store_are_those_of_a_folder(reference, tmp_path):
    job = fake_job(tmp_path, store="memory://bucket/blocks.zarr", seconds=0)
    run_blocks(job, workers=Workers(lanes=2))
    np.testing.assert_array_equal(blended(job), reference[0])
    assert run_blocks(job, workers=Workers(lanes=2)).blocks_done == 0


def test_an_echo_through_a_file_url(tmp_path):
    values = np.arange(64 * 64, dtype=np.uint8).reshape(1, 64, 64)
    job = fake_job(
        tmp_path, source=ArraySource(values, np.ones((64, 64), dtype=bool)), store=f"file://{tmp_path}/s.zarr"
    )
    run_blocks(with_predictor(job, EchoPredictor()), workers=Workers(lanes=1))
    assert (tmp_path / "s.zarr" / "zarr.json").exists()
    np.testing.assert_array_equal(np.rint((blended(job) - 1.0) / 65534 * 255), values[0])
