"""Networks of one's own: an ONNX graph and a card become a model, or are refused before there is a file."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import rasterio
import xarray as xr
from fakes import fake_card
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasters import scene, write_raster

import cropseg_geo as cg
from cropseg_geo.errors import ModelError
from cropseg_geo.model.onnx_file import read_graph_digest
from cropseg_geo.model.weights import read_card, verify

DOCUMENT = Path(__file__).parents[2] / "docs" / "own-models.md"
CARD = fake_card(
    tile_px=64, classes=("background", "crop", "weed"), colours=("#000000", "#00ff00", "#ff0000")
)


def graph(names=("images", "logits"), channels=3, node="Expand"):
    """A serialised network that repeats its one band for each class."""
    kind, side = onnx.TensorProto.FLOAT, CARD.tile_px
    images = onnx.helper.make_tensor_value_info(names[0], kind, [1, 1, side, side])
    logits = onnx.helper.make_tensor_value_info(names[1], kind, [1, channels, side, side])
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [4], [1, channels, 1, 1])
    nodes = [onnx.helper.make_node(node, [names[0], "shape"], [names[1]])]
    built = onnx.helper.make_graph(nodes, "repeats", [images], [logits], [shape])
    model = onnx.helper.make_model(built, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    model.metadata_props.add(key="exporter", value="mine")
    return model.SerializeToString()


def test_a_graph_and_a_card_become_a_model(tmp_path):
    exported, path = tmp_path / "graph.onnx", tmp_path / "mine.onnx"
    exported.write_bytes(graph())
    card = cg.save_model(str(path), exported, CARD)
    assert verify(path) == read_card(path) == card
    assert card.weights_digest == read_graph_digest(path)
    # What was saved can be saved again, under another card.
    assert cg.save_model(tmp_path / "again.onnx", path, CARD) == card
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        ({"names": ("x", "logits")}, "does not compute"),
        ({"names": ("images", "y")}, "does not compute"),
        ({"channels": 2}, r"\(1, 2, 64, 64\).* \(1, 3, 64, 64\)"),
        ({"node": "Unheard"}, "Unheard"),
    ],
    ids=str,
)
def test_a_graph_that_does_not_fit_its_card_is_refused_and_nothing_is_written(tmp_path, made, complaint):
    with pytest.raises(ModelError, match=complaint):
        cg.save_model(tmp_path / "mine.onnx", graph(**made), CARD)
    assert not list(tmp_path.iterdir())


def test_what_is_no_graph_or_no_name_of_one_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"^the graph is truncated, or no ONNX file"):
        cg.save_model(tmp_path / "mine.onnx", b"PK\x03\x04 a zip file", CARD)
    with pytest.raises(ModelError, match=r"ends in \.onnx"):
        cg.save_model(tmp_path / "mine.pt", graph(), CARD)
    with pytest.raises(ModelError, match="cannot read the graph"):
        cg.save_model(tmp_path / "mine.onnx", tmp_path / "none.onnx", CARD)


def test_a_bare_graph_is_refused_with_what_makes_a_model_of_it(tmp_path):
    path = tmp_path / "bare.onnx"
    path.write_bytes(graph())
    with pytest.raises(ModelError, match=r"no model card.*\n.*save_model"):
        cg.predict(xr.DataArray(np.zeros((1, 8, 8))), path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_example_of_the_document_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = scene(600, 700)
    raster = write_raster(tmp_path / "ortho.tif", values)
    with rasterio.open(raster) as dataset:
        box = GeoBox(dataset.shape, dataset.transform, dataset.crs)
    names = {"dataarray": wrap_xr(values, box, axis=1)}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(block, names)
    with rasterio.open(names["result"].outputs.prob) as dataset:
        assert dataset.count == 3
    probability = names["probability"].compute()
    assert list(probability["class"].values) == ["background", "crop", "weed"]
    green = values[1].astype(int) > values[0]
    assert (probability.sel({"class": "background"}).to_numpy()[green] < 0.5).mean() > 0.9
