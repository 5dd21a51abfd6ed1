"""A run with a shipped model imports neither torch nor what else it has no use for."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import cropseg_geo
from cropseg_geo import pipeline

FIELD = Path(__file__).resolve().parents[2] / "sample_tiles" / "field.tif"

RUN = """
import json, sys
from cropseg_geo.cli import app
from cropseg_geo.model import backends

backends.has_gpu = lambda: False  # this is about processors
app(sys.argv[1:], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""

NEEDLESS = {
    "torch", "torchvision", "timm", "safetensors", "onnx", "distributed", "dask.array", "xarray", "odc.geo",
    "openvino_telemetry", "openvino.tools.ovc",
}  # fmt: skip


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_a_run_imports_no_torch_and_nothing_that_it_has_no_use_for(tmp_path, backend):
    box = "565820,5705380,565825,5705384"
    command = ["segment", str(FIELD), "-o", str(tmp_path), "-q", "--bbox", box, "--backend", backend]
    done = subprocess.run([sys.executable, "-c", RUN, *command], check=True, capture_output=True, text=True)
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert (tmp_path / "field_mask.tif").is_file()
    assert {"openvino", "onnxruntime"} & modules == {"openvino" if backend == "auto" else backend}
    assert not NEEDLESS & modules


@pytest.mark.parametrize("package", [cropseg_geo, pipeline], ids=["cropseg_geo", "pipeline"])
def test_type_checkers_see_every_name_that_is_loaded_when_it_is_first_used(package):
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    assert {alias.name for line in guarded.body for alias in line.names} == set(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_every_sentence_is_public():
    assert {name for name in pipeline.__all__ if name[0].islower()} <= set(cropseg_geo.__all__)
