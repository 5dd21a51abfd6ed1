"""Model cards, model files and jobs to damage, and what is true of whatever came of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import TensorProto, helper

from cropseg_geo import worker
from cropseg_geo.model import onnx_file
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.card_fields import freeze_arguments
from cropseg_geo.model.weights import load_state, read_card, save_weights

STATE = {
    "a": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
    "b.c": torch.arange(7, dtype=torch.float16),
    "n": torch.tensor([3], dtype=torch.int64),
}
CARD = ModelCard(
    name="tiny",
    version="1",
    summary="A card for tests.",
    architecture="canopy",
    network=freeze_arguments({"encoder": "mobilenetv2_050"}),
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
    classes=("background", "crop"),
    colours=("#000000", "#2e8b57"),
    gsd_m=0.01,
    gsd_range_m=(0.002, 0.016),
    weights_digest="0" * 64,
    licence="CC0-1.0",
    training_data=("none",),
    scores=(("test", (("miou", 0.5),)),),
)


def weights_seed(folder: Path) -> bytes:
    """A safetensors model of three small tensors."""
    save_weights(folder / "tiny.safetensors", STATE, CARD)
    return (folder / "tiny.safetensors").read_bytes()


def onnx_seed(folder: Path) -> bytes:
    """An ONNX model of one node."""
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3, "h", "w"]) for n in ("images", "logits")
    ]
    graph = helper.make_graph([helper.make_node("Neg", ["images"], ["logits"])], "tiny", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx_file.save_onnx(folder / "tiny.onnx", model.SerializeToString(), CARD)
    return (folder / "tiny.onnx").read_bytes()


def read_card_and_check(text: str) -> None:
    """A card that is taken says the same when it is written and read again."""
    card = ModelCard.from_json(text)
    assert ModelCard.from_json(card.to_json()) == card
    assert all(np.isfinite(card.mean))
    assert min(card.std) > 0
    assert 0 < card.threshold < 1
    assert 0 < card.gsd_range_m[0] <= card.gsd_range_m[1] < float("inf")
    assert card.overlap_px * 2 <= card.tile_px <= 65536


def load_weights_and_check(path: Path) -> None:
    """Weights that are taken are the ones that were written, bit for bit."""
    read_card(path)
    state = load_state(path)
    assert state.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor)


def load_onnx_and_check(path: Path) -> None:
    """A graph that is taken is the one that was written; the card is one that can be."""
    content = onnx_file.load_graph(path)
    card = onnx_file.read_onnx_card(path)
    assert ModelCard.from_json(card.to_json()) == card
    assert b"images" in content
    assert b"Neg" in content


def job_seeds(mask: Path, plots: Path, out: Path) -> list[dict[str, Any]]:  # Any: values of JSON
    """A job of each task that a program may send."""
    arguments: dict[str, dict[str, Any]] = {
        "check": {"raster": str(mask), "out": str(out), "bbox": [0, 0, 1, 1], "workers": {"lanes": 1}},
        "vectorize": {"mask": str(mask), "out": str(out / "v.gpkg"), "outlines": {"min_area_m2": 0.1}},
        "plots_stats": {
            "mask": str(mask), "plots": str(plots), "out": str(out / "p.csv"), "stats": ["coverage"],
        },
        "plots_make": {
            "out": str(out / "m.gpkg"), "corners": [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]],
            "crs": "EPSG:32632", "rows": 2, "columns": 2,
        },
        "report": {"mask": str(mask), "out": str(out / "r.html")},
        "models": {},
        "version": {},
    }  # fmt: skip
    return [{"protocol": worker.PROTOCOL, "task": task, "arguments": a} for task, a in arguments.items()]


def do_job_and_check(text: str, folder: Path) -> None:
    """A job ends with one result or one refusal, in lines of JSON; never with a mistake of the engine.

    A job writes wherever it says, so one whose output was damaged to a place outside ``folder`` is not done.
    """
    if _writes_outside(text, folder):
        return
    out = io.StringIO()
    code = worker.run(text, out)
    events = [json.loads(line, parse_constant=_no_constant) for line in out.getvalue().splitlines()]
    ends = [e for e in events if e["event"] in ("result", "error")]
    assert len(ends) == 1
    assert ends[0] is events[-1]
    assert (ends[0]["event"] == "result") == (code == worker.DONE)
    if code != worker.DONE:
        assert ends[0]["kind"] != "InternalError", ends[0]["message"]
        assert ends[0]["message"]


def _writes_outside(text: str, folder: Path) -> bool:
    try:
        place = json.loads(text)["arguments"]["out"]
        return isinstance(place, str) and not (Path.cwd() / place).resolve().is_relative_to(folder.resolve())
    except (ValueError, TypeError, KeyError, LookupError, OSError, RecursionError):
        return False  # it names no place


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
