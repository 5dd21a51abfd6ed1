"""Models on workers of other machines: shipped ones are those of their installation, others are sent."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
from distributed import Client
from engine.cluster import running_cluster
from engine.elsewhere import add_worker_elsewhere, install
from rasters import scene, write_raster

import cropseg_geo as cg
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import ModelError, ResourceError
from cropseg_geo.model.fetch import cached_copy
from cropseg_geo.model.files import file_digest
from cropseg_geo.model.predictor import OnnxPredictor, TorchPredictor
from cropseg_geo.model.zoo import find_model

OPTIONS = {"tile_px": 64, "overlap_px": 16}


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("field") / "field.tif", scene(150, 160), compress="deflate")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers of another installation, elsewhere on the disk; their second model is damaged."""
    folder = tmp_path_factory.mktemp("cluster")
    installed = install(folder / "installed")
    for damaged in (installed / "cropseg_geo" / "model" / "weights").glob("canopy-m.*"):
        damaged.write_bytes(damaged.read_bytes() + b"\0")
    with running_cluster(folder) as cluster:
        for k in range(2):
            add_worker_elsewhere(cluster, folder / f"machine{k}", installed)
        with Client(cluster.address, set_as_default=False) as client:
            client.wait_for_workers(2)
        yield cluster


def test_a_shipped_model_is_found_in_the_workers_own_installation(cluster, field, tmp_path):
    here = cg.segment(field, tmp_path / "here", workers=Workers(lanes=1), **OPTIONS)
    there = cg.segment(field, tmp_path / "there", workers=Workers(scheduler=cluster.address), **OPTIONS)
    assert there.outputs.prob.read_bytes() == here.outputs.prob.read_bytes()


def test_a_model_of_another_installation_that_is_not_the_same_is_refused(cluster, field, tmp_path):
    with pytest.raises(ResourceError, match=r"worker tcp://.*canopy-m.*is another file") as refused:
        cg.segment(field, tmp_path, model="canopy-m", workers=Workers(scheduler=cluster.address), **OPTIONS)
    assert "same version" in refused.value.remedy


def test_a_model_file_that_only_the_client_has_is_sent(cluster, field, tmp_path, monkeypatch):
    """It is named by a path that leads nowhere from the workers' folders."""
    shutil.copy(find_model("canopy-s").with_suffix(".onnx"), tmp_path / "mine.onnx")
    monkeypatch.chdir(tmp_path)
    options = OPTIONS | {"model": "mine.onnx"}
    here = cg.segment(field, "here", workers=Workers(lanes=1), **options)
    there = cg.segment(field, "there", workers=Workers(scheduler=cluster.address), **options)
    assert there.outputs.prob.read_bytes() == here.outputs.prob.read_bytes()
    assert sorted(Path("there").iterdir()) == sorted(there.outputs.paths)
    kept = [path for path in cluster.folder.glob("machine*/xdg_cache_home/**/mine.onnx") if path.is_file()]
    assert {file_digest(path) for path in kept} == {file_digest(Path("mine.onnx"))}


@pytest.mark.parametrize("kind", [TorchPredictor, OnnxPredictor])
def test_recipes_of_shipped_models_name_no_folder_and_those_of_files_their_path(kind, tmp_path):
    shipped = find_model("canopy-s")
    options = () if kind is TorchPredictor else ("openvino",)
    suffix = ".safetensors" if kind is TorchPredictor else ".onnx"
    recipe = kind(shipped.with_suffix(suffix), *options)
    pickled = pickle.dumps(recipe)
    assert str(shipped.parent).encode() not in pickled
    again = pickle.loads(pickled)
    assert again == recipe
    assert again.card == recipe.card
    assert pickle.loads(pickle.dumps(again)).digest == again.digest == file_digest(recipe.weights)

    mine = kind(tmp_path / f"mine{suffix}", *options)
    assert pickle.loads(pickle.dumps(mine)).weights == mine.weights


def test_a_copy_with_another_digest_is_refused_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="is another file"):
        cached_copy("a.onnx", "0" * 64, lambda path: path.write_bytes(b"no model"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
