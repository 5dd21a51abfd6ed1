"""What SECURITY.md promises, each as a test."""

from __future__ import annotations

import ast
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from onnx import TensorProto, helper
from rasters import ORIGIN, UTM, scene, write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo import pipeline, worker
from cropseg_geo.errors import CropsegError, InputError, ModelError
from cropseg_geo.model import onnx_file
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from cropseg_geo.raster.info import inspect_raster
from cropseg_geo.vector.files.geopackage import GeoPackageWriter
from cropseg_geo.vector.files.layers import Column, Layer

ROOT = Path(__file__).parents[2]
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "subprocess"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "os.system", "os.popen", "np.load"}


def nodes(folder: str):
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield path, node


def test_the_product_unpickles_nothing_and_starts_no_program():
    for path, node in nodes("cropseg_geo"):
        modules: set[str] = set()
        if isinstance(node, ast.Import):
            modules = {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules = {node.module or ""}
        assert not {module.split(".")[0] for module in modules} & UNSAFE_MODULES, path
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in UNSAFE_CALLS, path


def test_training_loads_pickles_only_as_weights():
    calls = [node for _, node in nodes("training") if isinstance(node, ast.Call)]
    loads = [node for node in calls if ast.unparse(node.func) == "torch.load"]
    assert loads
    for node in loads:
        assert {k.arg: ast.unparse(k.value) for k in node.keywords}["weights_only"] == "True"


@pytest.fixture
def raster(tmp_path):
    return write_raster(tmp_path / "field.tif", scene(50, 50))


@pytest.fixture
def mask(tmp_path):
    return write_raster(tmp_path / "mask.tif", np.ones((1, 40, 40), np.uint8), gsd=0.1, nodata=255)


def vrt(source: Path, *, function: str = "", size: int = 50, head: str = "", place: str = "") -> str:
    with rasterio.open(source) as dataset:
        transform, crs = dataset.transform.to_gdal(), dataset.crs.to_wkt().replace('"', "&quot;")
    kind = 'subClass="VRTDerivedRasterBand"' if function else ""
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}" {kind}>{function}<NoDataValue>0</NoDataValue>'
        f"<SimpleSource><SourceFilename>{source}</SourceFilename><SourceBand>{band}</SourceBand>{place}"
        "</SimpleSource></VRTRasterBand>"
        for band in (1, 2, 3)
    )
    frame = f"<SRS>{crs}</SRS><GeoTransform>{', '.join(map(repr, transform))}</GeoTransform>"
    return f'{head}<VRTDataset rasterXSize="{size}" rasterYSize="{size}">{frame}{bands}</VRTDataset>'


def test_python_in_a_vrt_does_not_run_whatever_the_environment_says(tmp_path, raster):
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w').close()\ndef f(*args):\n    args[1][:] = 7"
    function = (
        "<PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionType>f</PixelFunctionType>"
        f"<PixelFunctionCode><![CDATA[{code}]]></PixelFunctionCode>"
    )
    (tmp_path / "evil.vrt").write_text(vrt(raster, function=function))
    script = (
        "import sys, cropseg_geo as cg; from cropseg_geo.errors import CropsegError\n"
        "try: cg.segment(sys.argv[1], sys.argv[2])\n"
        "except CropsegError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "evil.vrt"), str(tmp_path / "out")],
        env=os.environ | {"GDAL_VRT_ENABLE_PYTHON": "YES"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "refused", done.stderr
    assert not mark.exists()


def test_entities_of_xml_are_not_expanded(tmp_path, raster):
    laughs = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10 if k else "ha" * 50}">' for k in range(12))
    text = vrt(raster, head=f"<!DOCTYPE VRTDataset [{laughs}]>")
    (tmp_path / "bomb.vrt").write_text(text.replace("<SRS>", "<SRS>&l11;"))
    with pytest.raises(InputError):
        inspect_raster(tmp_path / "bomb.vrt")


def test_a_raster_that_claims_to_be_endless_is_refused_at_once(tmp_path, raster):
    endless = 2**31 - 1
    (tmp_path / "endless.vrt").write_text(vrt(raster, size=endless))
    with pytest.raises(CropsegError) as caught:
        cg.segment(tmp_path / "endless.vrt", tmp_path / "out")
    assert caught.value.remedy
    place = '<DstRect xOff="1000000000" yOff="1000000000" xSize="50" ySize="50"/>'
    (tmp_path / "empty.vrt").write_text(vrt(raster, size=endless, place=place))
    with pytest.raises(InputError, match="too many to look at"):
        cg.segment(tmp_path / "empty.vrt", tmp_path / "out")


def test_a_block_that_would_fill_the_memory_is_refused(tmp_path):
    side, transform = 49_152, Affine(0.01, 0, ORIGIN[0], 0, -0.01, ORIGIN[1])
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 3, "dtype": "uint8", "crs": UTM}
    profile |= {"tiled": True, "blockxsize": side, "blockysize": side, "interleave": "band"}
    with rasterio.open(tmp_path / "blocks.tif", "w", transform=transform, sparse_ok=True, **profile):
        pass
    with pytest.raises(InputError, match="is stored in blocks of 49152 × 49152 pixels"):
        inspect_raster(tmp_path / "blocks.tif")


NAMES = ['a"b', "a;DROP TABLE gpkg_contents;--", "a' OR '1'='1", "ä ö/ü", "select", "a\\b", "x" * 100]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_layers_and_columns_are_no_code_when_read(tmp_path, mask, name):
    plots, out = tmp_path / "p.gpkg", tmp_path / "out.gpkg"
    box = shapely.box(ORIGIN[0] + 1, ORIGIN[1] - 3, ORIGIN[0] + 3, ORIGIN[1] - 1)
    frame = gpd.GeoDataFrame({name: ["1"], "plot_id": ["p"]}, geometry=[box], crs=UTM)
    frame.to_file(plots, layer=name)
    table = cg.measure_plots(mask, f"{plots}|layername={name}", out, stats="coverage")
    assert table["coverage"].tolist() == [1.0]
    assert list(pyogrio.read_dataframe(out, layer="plots")[name]) == ["1"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_layers_and_columns_are_no_code_when_written(tmp_path, name):
    path, crs = tmp_path / "o.gpkg", rasterio.CRS.from_string(UTM).to_wkt()
    layer = Layer(name, "Polygon", name, (Column(name, "object", name, name),))
    with GeoPackageWriter(path, crs=crs, provenance={name: name}) as file:
        file.create_layer(layer)
        file.append(name, {name: np.array([name], dtype=object)}, np.array([shapely.box(0, 0, 1, 1)]))
    assert pyogrio.read_dataframe(path, layer=name)[name].tolist() == [name]
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute("SELECT table_name FROM gpkg_contents WHERE data_type = 'features'").fetchall()
        described = db.execute("SELECT column_name, description FROM gpkg_data_columns").fetchall()
    assert tables == [(name,)]
    assert described == [(name, name)]


def test_ids_from_files_name_no_files(tmp_path, mask):
    boxes, ids = [(1, 1, 2, 2), (2, 2, 3, 3)], ["../../evil", "/etc/evil"]
    plots = write_plots(tmp_path / "p.gpkg", boxes, plot_id=ids)
    (tmp_path / "out").mkdir()
    before = set(tmp_path.iterdir())
    cg.measure_plots(mask, plots, tmp_path / "out" / "t.csv", stats="coverage")
    pipeline.make_report(mask, tmp_path / "out" / "r.html", plots=plots)
    assert set(tmp_path.iterdir()) == before
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"t.csv", "r.html"}


@pytest.mark.parametrize(
    "path",
    [
        "/data/../x.tif",
        "GPKG:/a/b.gpkg:../../evil",
        "/vsicurl/https://h/..%2Fb.tif?x=/../y",
        "..",
        "s3://b/..",
    ],
)
def test_outputs_are_named_after_a_raster_within_their_folder(raster, path):
    stem = replace(inspect_raster(raster), path=path).stem
    assert (Path("/out") / f"{stem}_mask.tif").parent == Path("/out")


def test_a_graph_with_data_outside_of_its_file_is_refused(tmp_path, raster):
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4)
    shape = ["n", 3, "h", "w"]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("images", "logits")]
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    entry = outside.external_data.add()
    entry.key, entry.value = "location", str(tmp_path / "secret.bin")
    node = helper.make_node("Mul", ["images", "w"], ["logits"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], initializer=[outside])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path / "outside.onnx"
    onnx_file.save_onnx(path, model.SerializeToString(), read_card(find_model(DEFAULT_MODEL)))
    for backend in ("openvino", "onnxruntime"):
        with pytest.raises(ModelError) as caught:
            cg.segment(raster, tmp_path / "out", model=path, backend=backend)
        assert caught.value.remedy


def test_a_pickle_is_no_model_under_any_name(tmp_path, raster):
    for name in ("a.pth", "a.safetensors", "a.onnx"):
        torch.save({"a": torch.zeros(1)}, tmp_path / name)
        with pytest.raises(ModelError):
            cg.segment(raster, tmp_path / "out", model=tmp_path / name)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, f'"{"x" * 2_000_000}"', "1" * 5000, '"\\ud800"'],
    ids=["deep list", "deep object", "long", "large number", "half a pair"],
)
def test_jobs_that_would_exhaust_the_parser_are_refused(text):
    out = io.StringIO()
    assert worker.run(text, out) == worker.NO_JOB
    assert json.loads(out.getvalue())["kind"] == "InputError"


def test_an_endless_job_is_not_read_to_its_end(tmp_path):
    job = tmp_path / "job.json"
    with job.open("wb") as file:
        file.truncate(500_000_000)
    command = [sys.executable, "-m", "cropseg_geo.worker", "--job", str(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == worker.NO_JOB
    assert "more than 1,000,000 characters" in json.loads(done.stdout)["message"]
