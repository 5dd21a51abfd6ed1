"""A weights file → its ONNX form, which OpenVINO and ONNX Runtime compute without torch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from cropseg_geo.model.onnx_file import INPUT, OUTPUT, SUFFIX, save_onnx
from cropseg_geo.model.runtime import load_network, prepare
from cropseg_geo.model.weights import read_card
from training.onnx_network import rewrite_for_onnx

_OPSET = 18
_SMALLEST_PX = 2


def export_onnx(weights: Path) -> Path:
    """Write the ONNX form of a safetensors file beside it, with the same card; any batch and size of tile.

    A network with positions of a fixed size takes tiles of that size alone.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ModelError
        If the weights are damaged.
    OutputError
        If the file cannot be written.
    """
    card = read_card(weights)
    network = rewrite_for_onnx(prepare(load_network(weights).eval()))
    fixed = card.network_arguments.get("img_size")
    sizes: dict[int, object] = {0: torch.export.Dim("tiles")}
    if fixed is None:
        sizes |= {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    # The traced size must not be the smallest one: dimensions of 1 would count as fixed.
    side_px = 2 * _SMALLEST_PX * card.stride_px if fixed is None else int(fixed)
    images = torch.zeros(2, len(card.bands), side_px, side_px)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            network,
            (images,),
            path,
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=_OPSET,
            dynamic_shapes=(sizes,),
            external_data=False,
            verbose=False,
        )
        model = onnx.load(path)
    target = weights.with_suffix(SUFFIX)
    save_onnx(target, slim(model).SerializeToString(deterministic=True), card)
    return target


def slim(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes, and with half-precision numbers where that loses nothing."""
    slimmer = onnx.ModelProto()
    slimmer.CopyFrom(model)
    del slimmer.metadata_props[:]
    del slimmer.functions[:]
    graph = slimmer.graph
    graph.doc_string = ""
    del graph.metadata_props[:], graph.value_info[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    halved = [tensor for tensor in graph.initializer if _fits_half(tensor)]
    for tensor in halved:
        half = numpy_helper.from_array(
            numpy_helper.to_array(tensor).astype(np.float16), tensor.name + "_half"
        )
        cast = onnx.helper.make_node("Cast", [half.name], [tensor.name], to=onnx.TensorProto.FLOAT)
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
        graph.node.insert(0, cast)
    onnx.checker.check_model(slimmer)
    return slimmer


def _fits_half(tensor: onnx.TensorProto) -> bool:
    if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < 256:
        return False
    values = numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        return bool((values.astype(np.float16).astype(np.float32) == values).all())
